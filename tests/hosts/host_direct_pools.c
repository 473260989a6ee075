/* Memory pools: the device's own and some that the program makes; what each says it holds while
 * blocks come and go, whose block is whose, and a pool that is destroyed before its blocks.
 */
#define HOST_DIRECT
#include "host.h"

#define MIB ((size_t)1 << 20)

static CUmemoryPool make(CUmemAllocationHandleType handles, size_t most, CUmemLocationType where)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .handleTypes = handles,
                            .location = {where, 0},
                            .maxSize = most};
    CUmemoryPool pool = NULL;

    MUST(cuMemPoolCreate(&pool, &props));
    return pool;
}

static uint64_t ask(CUmemoryPool pool, CUmemPool_attribute attribute)
{
    cuuint64_t value = 0;

    MUST(cuMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

/* How much is reserved for it is the driver's affair: at least what is in use. */
static void show(const char *when, CUmemoryPool pool)
{
    uint64_t used = ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    uint64_t used_high = ask(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH);
    uint64_t reserved = ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    uint64_t reserved_high = ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH);

    printf("%s: %llu bytes in use, %llu at most\n", when, (unsigned long long)used,
           (unsigned long long)used_high);
    REQUIRE(reserved >= used && reserved_high >= reserved && reserved_high >= used_high);
}

static CUdeviceptr take(CUmemoryPool pool, size_t bytes, unsigned block)
{
    CUdeviceptr p = 0;

    MUST(cuMemAllocFromPoolAsync(&p, bytes, pool, NULL));
    host_fill_block(p, bytes, block, NULL);
    return p;
}

static void check(CUdeviceptr p, size_t bytes, unsigned block)
{
    REQUIRE(host_check_block(p, bytes, block, host.result, NULL) == 0);
}

static CUmemoryPool pool_of(CUdeviceptr p)
{
    CUmemoryPool pool = NULL;

    MUST(cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    return pool;
}

static void of_no_context(CUdeviceptr p)
{
    CUcontext context = host.context;
    unsigned int type = 0;
    int ordinal = -1;

    MUST(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, p));
    MUST(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    MUST(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
    printf("a block: %s context, memory type %u, device %d\n", context ? "a" : "no", type, ordinal);
}

/* The device's own pool, by both ways to it. */
static void standard(void)
{
    CUmemoryPool pool = NULL;
    CUdeviceptr p, q;
    cuuint64_t zero = 0, one = 1;

    MUST(cuDeviceGetDefaultMemPool(&pool, 0));
    show("default pool", pool);
    MUST(cuMemAllocAsync(&p, 3 * MIB, NULL));
    q = take(pool, 5 * MIB + 100, 2);
    host_fill_block(p, 3 * MIB, 1, NULL);
    show("two blocks", pool);
    REQUIRE(pool_of(p) == pool && pool_of(q) == pool);
    of_no_context(p);
    check(p, 3 * MIB, 1);
    MUST(cuMemFreeAsync(p, NULL));
    show("one freed", pool);
    host_show("mark set to one", cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &one));
    MUST(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
    printf("mark begun again: %llu at most\n",
           (unsigned long long)ask(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH));
    MUST(cuStreamSynchronize(NULL));
    MUST(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, &zero));
    REQUIRE(ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) ==
            ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
    host_show("the default is not destroyed", cuMemPoolDestroy(pool));
    show("still there", pool);
    REQUIRE(pool_of(q) == pool);
    check(q, 5 * MIB + 100, 2);
    MUST(cuMemFree(q));
    show("both freed", pool);
    host_show("a mark that can only be read",
              cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &zero));
}

/* Of CUDA 13.4: other devices are to reach it. It stays in VRAM. */
static void rdma(void)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                            .gpuDirectRDMACapable = 1};
    CUmemoryPool pool;
    CUdeviceptr p;

    MUST(cuMemPoolCreate(&pool, &props));
    p = take(pool, 2 * MIB, 6);
    check(p, 2 * MIB, 6);
    MUST(cuMemFree(p));
    MUST(cuMemPoolDestroy(pool));
}

/* Blocks live on when their pool is destroyed, while another may get its handle. */
static void own(void)
{
    CUmemoryPool first = make(CU_MEM_HANDLE_TYPE_NONE, 0, CU_MEM_LOCATION_TYPE_DEVICE), second;
    CUdeviceptr p = take(first, 4 * MIB, 3), q = take(first, 2 * MIB, 4), r;

    show("own pool", first);
    REQUIRE(pool_of(p) == first);
    MUST(cuMemFreeAsync(q, NULL));
    MUST(cuMemPoolDestroy(first));
    REQUIRE(pool_of(p) == NULL);
    second = make(CU_MEM_HANDLE_TYPE_NONE, 0, CU_MEM_LOCATION_TYPE_DEVICE);
    show("another", second);
    r = take(second, MIB, 5);
    show("another, used", second);
    check(p, 4 * MIB, 3);
    MUST(cuMemFreeAsync(p, NULL));
    show("the first one's block freed", second);
    MUST(cuDeviceSetMemPool(0, second));
    MUST(cuMemAllocAsync(&p, MIB, NULL));
    REQUIRE(pool_of(p) == second);
    check(r, MIB, 5);
    MUST(cuMemFreeAsync(r, NULL));
    MUST(cuMemFreeAsync(p, NULL));
    show("emptied", second);
    MUST(cuMemPoolDestroy(second));
}

/* A pool that has a limit keeps to it, and memory of the host's is the host's. */
static void special(void)
{
    CUmemoryPool limited = make(CU_MEM_HANDLE_TYPE_NONE, 4 * MIB, CU_MEM_LOCATION_TYPE_DEVICE);
    CUmemoryPool local = make(CU_MEM_HANDLE_TYPE_NONE, 0, CU_MEM_LOCATION_TYPE_HOST_NUMA);
    CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemPoolPtrExportData data;
    CUdeviceptr p = take(limited, 3 * MIB, 6), q;
    unsigned int type = 0;

    show("limited", limited);
    host_show("beyond the limit", cuMemAllocFromPoolAsync(&q, 3 * MIB, limited, NULL));
    check(p, 3 * MIB, 6);
    host_show("export", cuMemPoolExportPointer(&data, p));
    MUST(cuMemFreeAsync(p, NULL));
    MUST(cuMemPoolSetAccess(local, &access, 1));
    p = take(local, MIB, 7);
    show("host memory", local);
    MUST(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    printf("memory type %u\n", type);
    check(p, MIB, 7);
    MUST(cuMemFreeAsync(p, NULL));
    MUST(cuMemPoolDestroy(local));
    MUST(cuMemPoolDestroy(limited));
    host_show("destroyed twice", cuMemPoolDestroy(limited));
}

/* What lived in the context is gone from the pool. */
static void after_a_reset(void)
{
    CUmemoryPool pool = NULL;
    CUdeviceptr p;

    MUST(cuDeviceGetDefaultMemPool(&pool, 0));
    MUST(cuMemAllocAsync(&p, 2 * MIB, NULL));
    MUST(cuCtxSynchronize());
    printf("before a reset: %llu in use\n",
           (unsigned long long)ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
    MUST(cuDevicePrimaryCtxReset(host.device));
    MUST(cuDevicePrimaryCtxRetain(&host.context, host.device));
    printf("after a reset: %llu in use\n",
           (unsigned long long)ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
}

int main(void)
{
    host_open(&host_direct);
    standard();
    own();
    special();
    rdma();
    after_a_reset();
    MUST(cuDevicePrimaryCtxRelease(host.device));
    printf("done\n");
    return 0;
}
