/* Blocks of three kinds that another process or device is to reach by their addresses.
 *
 * Arguments: [the one call to make] */
#define HOST_DIRECT
#include "host.h"

#define SIZE ((size_t)4 << 20)

static const char *only; /* the one call to make; NULL: all of them */

static bool wanted(const char *what)
{
    return !only || strcmp(only, what) == 0;
}
#define SHOW(what, call)                                                                           \
    do {                                                                                           \
        if (wanted(what))                                                                          \
            host_show(what, call);                                                                 \
    } while (0)

int main(int argc, char **argv)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemGenericAllocationHandle handle;
    CUmemPoolPtrExportData data;
    CUipcMemHandle ipc;
    CUdeviceptr plain, ordered, mapped;
    int fd = -1;

    only = argc > 1 ? argv[1] : NULL;
    host_open(&host_direct);
    MUST(cuMemAlloc(&plain, SIZE));
    MUST(cuMemAllocAsync(&ordered, SIZE, NULL));
    MUST(cuMemCreate(&handle, SIZE, &prop, 0));
    MUST(cuMemAddressReserve(&mapped, SIZE, 0, 0, 0));
    MUST(cuMemMap(mapped, SIZE, 0, handle, 0));
    SHOW("pool export", cuMemPoolExportPointer(&data, ordered));
    SHOW("dma-buf of a mapping",
         cuMemGetHandleForAddressRange(&fd, mapped, SIZE, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    SHOW("dma-buf of a block",
         cuMemGetHandleForAddressRange(&fd, plain, SIZE, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    SHOW("ipc of a mapping", cuIpcGetMemHandle(&ipc, mapped));
    SHOW("ipc of a block", cuIpcGetMemHandle(&ipc, plain));
    SHOW("multicast of a block", cuMulticastBindAddr(0, 0, plain, SIZE, 0));
    SHOW("multicast of a mapping", cuMulticastBindAddr_v2(0, 0, 0, mapped, SIZE, 0));
    SHOW("endpoint of a block",
         cuLogicalEndpointBindAddr(0, 0, 0, (void *)(uintptr_t)ordered, SIZE, 0));
    MUST(cuMemUnmap(mapped, SIZE));
    MUST(cuMemRelease(handle));
    MUST(cuMemAddressFree(mapped, SIZE));
    MUST(cuMemFreeAsync(ordered, NULL));
    MUST(cuMemFree(plain));
    host_close();
    printf("done\n");
    return 0;
}
