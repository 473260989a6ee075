/* What the driver reports of memory: the total by both calls, what is free before and how far it
 * falls with four blocks of 64 MiB; free and used together never exceed the total, at any moment in
 * between, and all is free again at the end.
 *
 *   host_direct_report [ordered|pool|physical|array|box|mipmap]      cuMemAlloc's blocks, or such;
 *                                                                    a mipmap has 20 MiB more
 */
#define HOST_DIRECT
#include "host.h"

#define BLOCKS 4
#define SIZE   ((size_t)64 << 20)

static const char *kind = "";
static size_t first, total, used, size = SIZE;
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

/* 16 bytes x 2048 x 2048: SIZE; a mipmap with 16 and 4 MiB of lower levels. */
static void make_array(CUdeviceptr *p)
{
    static const CUDA_ARRAY_DESCRIPTOR plane = {2048, 2048, CU_AD_FORMAT_FLOAT, 4};
    static const CUDA_ARRAY3D_DESCRIPTOR box = {256, 256, 64, CU_AD_FORMAT_FLOAT, 4, 0},
                                         image = {2048, 2048, 0, CU_AD_FORMAT_FLOAT, 4, 0};
    CUmipmappedArray mipmap;
    CUarray array;

    if (is("mipmap")) {
        MUST(cuMipmappedArrayCreate(&mipmap, &image, 3));
        *p = (CUdeviceptr)(uintptr_t)mipmap;
    } else {
        MUST(is("box") ? cuArray3DCreate(&array, &box) : cuArrayCreate(&array, &plane));
        *p = (CUdeviceptr)(uintptr_t)array;
    }
    used += size;
}

static bool makes_arrays(void)
{
    return is("array") || is("box") || is("mipmap");
}

static CUresult destroy(CUdeviceptr p)
{
    void *array = (void *)(uintptr_t)p;
    return is("mipmap") ? cuMipmappedArrayDestroy(array) : cuArrayDestroy(array);
}

static void make(CUdeviceptr *p)
{
    if (makes_arrays()) {
        make_array(p);
        return;
    }
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
    if (makes_arrays())
        MUST(destroy(p));
    else if (is("physical"))
        MUST(cuMemUnmap(p, SIZE));
    else if (is("ordered") || is("pool"))
        MUST(cuMemFreeAsync(p, NULL));
    else
        MUST(cuMemFree(p));
    used -= size;
    look(); /* of a free that may be pending */
    if (is("physical"))
        MUST(cuMemAddressFree(p, SIZE));
}

/* Two in a context of their own: one is destroyed from another, and before that in vain from none,
 * one goes with it. */
static void make_in_another_context(CUdevice device, CUcontext primary)
{
    CUdeviceptr one, two;
    CUcontext other;

    MUST(cuCtxCreate_v2(&other, 0, device));
    make(&one);
    make(&two);
    look();
    MUST(cuCtxSetCurrent(NULL)); /* pops the one */
    MUST(cuCtxSetCurrent(NULL)); /* and the other */
    REQUIRE(destroy(one) == CUDA_ERROR_INVALID_CONTEXT);
    MUST(cuCtxSetCurrent(primary));
    look();
    end(one);
    MUST(cuCtxDestroy(other));
    used -= size;
    REQUIRE(look() == first);
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
    if (is("mipmap"))
        size = SIZE + SIZE / 4 + SIZE / 16;
    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDeviceTotalMem(&device_total, device));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuMemPoolCreate(&pool, &props));
    MUST(cuMemGetInfo(&first, &total));
    if (makes_arrays())
        make_in_another_context(device, context);
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
