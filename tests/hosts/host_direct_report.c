/* What the driver reports of memory: the total by both calls, what is free before and how far it
 * falls with four blocks of 64 MiB; free and used together never exceed the total.
 */
#define HOST_DIRECT
#include "host.h"

#define BLOCKS 4
#define SIZE   ((size_t)64 << 20)

int main(void)
{
    size_t device_total, first, total, now, again, used = 0;
    CUdeviceptr block[BLOCKS];
    CUdevice device;
    CUcontext context;

    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDeviceTotalMem(&device_total, device));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuMemGetInfo(&first, &total));
    for (int i = 0; i < BLOCKS; i++) {
        MUST(cuMemAlloc(&block[i], SIZE));
        used += SIZE;
        MUST(cuMemGetInfo(&now, &again));
        REQUIRE(again == total);
        REQUIRE(now + used <= total);
    }
    printf("total %zu device_total %zu free %zu falls %zu\n", total, device_total, first,
           first - now);
    for (int i = 0; i < BLOCKS; i++)
        MUST(cuMemFree(block[i]));
    MUST(cuMemGetInfo(&now, &again));
    REQUIRE(now == first && again == total);
    MUST(cuDevicePrimaryCtxRelease(device));
    return 0;
}
