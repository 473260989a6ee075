/* What the driver reports of memory: the total by both calls, what is free before and how far it
 * falls with four blocks of 64 MiB; free and used together never exceed the total, at any moment in
 * between, and all is free again at the end.
 *
 *   host_direct_report [ordered|pool|physical]      cuMemAlloc's blocks, or such
 */
#define HOST_DIRECT
#include "host.h"

#define BLOCKS 4
#define SIZE   ((size_t)64 << 20)

static const char *kind = "";
static size_t first, total, used;
static CUmemoryPool pool;

static size_t look(void)
{
    size_t now, again;

    MUST(cuMemGetInfo(&now, &again));
    REQUIRE(again == total);
    REQUIRE(now + used <= total);
    return now;
}

static bool is(const char *name)
{
    return strcmp(kind, name) == 0;
}

static void map_block(CUdeviceptr *p)
{
    static const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemGenericAllocationHandle handle;

    MUST(cuMemAddressReserve(p, SIZE, 0, 0, 0));
    look();
    MUST(cuMemCreate(&handle, SIZE, &prop, 0));
    used += SIZE;
    look();
    MUST(cuMemMap(*p, SIZE, 0, handle, 0));
    MUST(cuMemRelease(handle)); /* the mapping keeps it */
}

static void make(CUdeviceptr *p)
{
    if (is("physical")) {
        map_block(p);
        return;
    }
    if (is("ordered"))
        MUST(cuMemAllocAsync(p, SIZE, NULL));
    else if (is("pool"))
        MUST(cuMemAllocFromPoolAsync(p, SIZE, pool, NULL));
    else
        MUST(cuMemAlloc(p, SIZE));
    used += SIZE;
}

static void end(CUdeviceptr p)
{
    if (is("physical"))
        MUST(cuMemUnmap(p, SIZE));
    else if (is("ordered") || is("pool"))
        MUST(cuMemFreeAsync(p, NULL));
    else
        MUST(cuMemFree(p));
    used -= SIZE;
    look(); /* of a free that may be pending */
    if (is("physical"))
        MUST(cuMemAddressFree(p, SIZE));
}

int main(int argc, char **argv)
{
    static const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                         .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUdeviceptr block[BLOCKS];
    size_t device_total;
    CUdevice device;
    CUcontext context;

    kind = argc > 1 ? argv[1] : kind;
    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDeviceTotalMem(&device_total, device));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuMemPoolCreate(&pool, &props));
    MUST(cuMemGetInfo(&first, &total));
    for (int i = 0; i < BLOCKS; i++) {
        make(&block[i]);
        look();
    }
    printf("total %zu device_total %zu free %zu falls %zu\n", total, device_total, first,
           first - look());
    for (int i = 0; i < BLOCKS; i++)
        end(block[i]);
    MUST(cuCtxSynchronize());
    REQUIRE(look() == first);
    MUST(cuMemPoolDestroy(pool));
    MUST(cuDevicePrimaryCtxRelease(device));
    return 0;
}
