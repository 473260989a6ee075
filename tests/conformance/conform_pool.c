/* conform_pool.c: memory pools: their attributes, their access, which one is current. Source of the
 * rules: CUDA driver API, "Stream Ordered Memory Allocator". */
#define CONF_GROUP "pool"
#include "conform.h"

#define BLOCK (4 * MIB)

static CUmemoryPool pool_new(void)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool pool = NULL;

    NEEDS(MemPoolCreate);
    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        conf_skip("no memory pools here");
    MUST(cu.MemPoolCreate(&pool, &props));
    CHECK(pool != NULL);
    return pool;
}

static CUmemoryPool current(void)
{
    CUmemoryPool pool = NULL;

    NEEDS(DeviceGetMemPool);
    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        conf_skip("no memory pools here");
    MUST(cu.DeviceGetMemPool(&pool, conf.device));
    return pool;
}

static uint64_t ask(CUmemoryPool pool, CUmemPool_attribute attribute)
{
    uint64_t value = 0;

    MUST(cu.MemPoolGetAttribute(pool, attribute, &value));
    return value;
}

static CUdeviceptr take_from(CUmemoryPool pool, size_t bytes)
{
    CUdeviceptr p = 0;

    MUST(cu.MemAllocFromPoolAsync(&p, bytes, pool, NULL));
    return p;
}

static void give(CUdeviceptr p)
{
    MUST(cu.MemFreeAsync(p, NULL));
    MUST(cu.CtxSynchronize());
}

static CUmemoryPool the_default(void)
{
    current();
    CUmemoryPool pool = NULL;

    MUST(cu.DeviceGetDefaultMemPool(&pool, conf.device));
    return pool;
}

/* Of the pool that is current at the start, and of one that the program made. */
static const struct {
    const char *name;
    CUmemoryPool (*pool)(void);
    bool own;
} pools[] = {{"current", current, false}, {"default", the_default, false}, {"own", pool_new, true}};

static void pool_end(bool own, CUmemoryPool pool)
{
    if (own)
        MUST(cu.MemPoolDestroy(pool));
    else
        MUST(cu.MemPoolTrimTo(pool, 0));
}

CASES(used, pools, "CU_MEMPOOL_ATTR_USED_MEM_CURRENT: the bytes of the pool that are in use")
{
    CUmemoryPool pool = row->pool();
    uint64_t before = ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    CUdeviceptr p = take_from(pool, BLOCK), q;

    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) - before, BLOCK);
    q = take_from(pool, 2 * BLOCK);
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) - before, 3 * BLOCK);
    give(p);
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) - before, 2 * BLOCK);
    give(q);
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), before);
    pool_end(row->own, pool);
}

CASES(used_high, pools, "CU_MEMPOOL_ATTR_USED_MEM_HIGH: the most since it was last set to 0")
{
    CUmemoryPool pool = row->pool();
    uint64_t zero = 0, before = ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    CUdeviceptr p;

    MUST(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
    p = take_from(pool, BLOCK);
    give(p);
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) - before, BLOCK);
    MUST(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), before);
    p = take_from(pool, MIB);
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) - before, MIB);
    give(p);
    pool_end(row->own, pool);
}

CASES(reserved, pools, "CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: at least what is used")
{
    CUmemoryPool pool = row->pool();
    CUdeviceptr p = take_from(pool, BLOCK);
    uint64_t used = ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);

    CHECK(ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= used);
    CHECK(ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) >=
          ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
    CHECK(used >= BLOCK);
    give(p);
    pool_end(row->own, pool);
}

static const struct {
    const char *name;
    CUmemPool_attribute attribute;
} highs[] = {{"USED", CU_MEMPOOL_ATTR_USED_MEM_HIGH},
             {"RESERVED", CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH}};
CASES(high_only_to_zero, highs, "cuMemPoolSetAttribute: a high-water mark can only be set to 0")
{
    CUmemoryPool pool = pool_new();
    uint64_t value = 4096;

    IS(cu.MemPoolSetAttribute(pool, row->attribute, &value), CUDA_ERROR_INVALID_VALUE);
    pool_end(true, pool);
}

static const struct {
    const char *name;
    CUmemPool_attribute attribute;
} nows[] = {{"USED", CU_MEMPOOL_ATTR_USED_MEM_CURRENT},
            {"RESERVED", CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT},
            {"0", (CUmemPool_attribute)0},
            {"999", (CUmemPool_attribute)999}};
CASES(not_to_set, nows, "cuMemPoolSetAttribute: what is in use, and no attribute, cannot be set")
{
    CUmemoryPool pool = pool_new();
    uint64_t value = 0;

    REFUSED(cu.MemPoolSetAttribute(pool, row->attribute, &value));
    pool_end(true, pool);
}

static const struct {
    const char *name;
    CUmemPool_attribute attribute;
} reuses[] = {{"EVENTS", CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES},
              {"OPPORTUNISTIC", CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC},
              {"INTERNAL", CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES}};
CASES(reuse, reuses, "CU_MEMPOOL_ATTR_REUSE_*: enabled by default; can be turned off")
{
    CUmemoryPool pool = pool_new();
    int off = 0;

    EQUAL(ask(pool, row->attribute), 1);
    MUST(cu.MemPoolSetAttribute(pool, row->attribute, &off));
    EQUAL(ask(pool, row->attribute), 0);
    give(take_from(pool, BLOCK));
    pool_end(true, pool);
}

CASE(threshold_default, "CU_MEMPOOL_ATTR_RELEASE_THRESHOLD: 0 by default, and is kept as set")
{
    CUmemoryPool pool = pool_new();
    uint64_t value = 64 * MIB;

    EQUAL(ask(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), 0);
    MUST(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value));
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), value);
    value = UINT64_MAX;
    MUST(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value));
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), value);
    pool_end(true, pool);
}

CASES(threshold, pools,
      "CU_MEMPOOL_ATTR_RELEASE_THRESHOLD: up to so much is kept at a synchronisation")
{
    CUmemoryPool pool = row->pool();
    uint64_t all = UINT64_MAX, old = ask(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), kept;

    MUST(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &all));
    give(take_from(pool, BLOCK));
    kept = ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    CHECK(kept >= BLOCK);
    give(take_from(pool, BLOCK));
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), kept);
    MUST(cu.MemPoolTrimTo(pool, 0));
    CHECK(ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) < kept);
    MUST(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &old));
    pool_end(row->own, pool);
}

CASES(trim_keeps, pools, "cuMemPoolTrimTo: what is allocated stays, and its bytes with it")
{
    CUmemoryPool pool = row->pool();
    CUdeviceptr p = take_from(pool, BLOCK);

    conf_fill(p, 77, BLOCK / 4, NULL);
    MUST(cu.CtxSynchronize());
    MUST(cu.MemPoolTrimTo(pool, 0));
    CHECK(conf_holds(p, 77, BLOCK / 4));
    CHECK(ask(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= BLOCK);
    give(p);
    pool_end(row->own, pool);
}

CASES(attribute_null, pools, "cuMemPoolGetAttribute, cuMemPoolSetAttribute: NULL is INVALID_VALUE")
{
    CUmemoryPool pool = row->pool();

    IS(cu.MemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, NULL),
       CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, NULL),
       CUDA_ERROR_INVALID_VALUE);
    pool_end(row->own, pool);
}

CASES(handle_of, pools, "CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: the pool that the memory is from")
{
    CUmemoryPool pool = row->pool(), found = NULL;
    CUdeviceptr p = take_from(pool, BLOCK);

    MUST(cu.PointerGetAttribute(&found, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p + 5));
    CHECK(found == pool);
    give(p);
    pool_end(row->own, pool);
}

/* --- which pool ---------------------------------------------------------------------------------
 */

CASE(default_is_current, "cuDeviceGetMemPool: the default pool, until another is set")
{
    CUmemoryPool now = current(), standard = NULL;

    MUST(cu.DeviceGetDefaultMemPool(&standard, conf.device));
    CHECK(now == standard);
}

CASE(set_current, "cuDeviceSetMemPool: cuMemAllocAsync then takes from it")
{
    CUmemoryPool standard = current(), pool = pool_new(), now = NULL;
    CUdeviceptr p = 0;

    MUST(cu.DeviceSetMemPool(conf.device, pool));
    MUST(cu.DeviceGetMemPool(&now, conf.device));
    CHECK(now == pool);
    MUST(cu.MemAllocAsync(&p, BLOCK, NULL));
    EQUAL(ask(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), BLOCK);
    give(p);
    MUST(cu.DeviceSetMemPool(conf.device, standard));
    pool_end(true, pool);
}

CASE(destroy_current, "cuMemPoolDestroy: of the current pool makes the default pool current")
{
    CUmemoryPool standard = current(), pool = pool_new(), now = NULL;

    MUST(cu.DeviceSetMemPool(conf.device, pool));
    MUST(cu.MemPoolDestroy(pool));
    MUST(cu.DeviceGetMemPool(&now, conf.device));
    CHECK(now == standard);
}

CASE(destroy_default, "cuMemPoolDestroy: a device's default pool cannot be destroyed")
{
    CUmemoryPool standard = current();

    IS(cu.MemPoolDestroy(standard), CUDA_ERROR_INVALID_VALUE);
    give(take_from(standard, BLOCK));
}

CASE(destroy_in_use, "cuMemPoolDestroy: what is allocated stays until it is freed")
{
    CUmemoryPool pool = pool_new();
    CUdeviceptr p = take_from(pool, BLOCK);

    conf_fill(p, 55, BLOCK / 4, NULL);
    MUST(cu.MemPoolDestroy(pool));
    CHECK(conf_holds(p, 55, BLOCK / 4));
    give(p);
    REFUSED(cu.MemFree(p));
}

CASE(forged, "cuMemPool*: what is no pool is CUDA_ERROR_INVALID_VALUE")
{
    CUmemoryPool none = (CUmemoryPool)(uintptr_t)0x1230;
    CUdeviceptr p = 0;
    uint64_t value = 0;

    conf_forged();
    current();
    IS(cu.MemPoolDestroy(none), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemPoolTrimTo(none, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemPoolGetAttribute(none, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value),
       CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAllocFromPoolAsync(&p, BLOCK, none, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.DeviceSetMemPool(conf.device, none), CUDA_ERROR_INVALID_VALUE);
}

CASE(device_refused, "cuDeviceGetMemPool, cuDeviceGetDefaultMemPool: NULL and no device")
{
    CUmemoryPool pool = current();

    IS(cu.DeviceGetMemPool(NULL, conf.device), CUDA_ERROR_INVALID_VALUE);
    IS(cu.DeviceGetDefaultMemPool(NULL, conf.device), CUDA_ERROR_INVALID_VALUE);
    IS(cu.DeviceGetMemPool(&pool, 4711), CUDA_ERROR_INVALID_DEVICE);
}

CASE(other_device, "cuDeviceSetMemPool: the pool must be local to the device")
{
    CUdevice second = conf_second_device();
    CUmemoryPool pool = current();

    REFUSED(cu.DeviceSetMemPool(second, pool));
}

/* --- making one ---------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    CUmemPoolProps props;
} no_props[] = {
    {"no type", {.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}}},
    {"no location", {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED}},
    {"no device",
     {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 4711}}},
    {"reserved used",
     {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
      .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
      .reserved = {[52] = 1}}},
};
CASES(create_refused, no_props, "cuMemPoolCreate: type, location and reserved bytes make sense")
{
    CUmemoryPool pool = NULL;

    current();
    REFUSED(cu.MemPoolCreate(&pool, &row->props));
}

CASE(create_null, "cuMemPoolCreate: NULL is CUDA_ERROR_INVALID_VALUE")
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool pool = NULL;

    current();
    IS(cu.MemPoolCreate(NULL, &props), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemPoolCreate(&pool, NULL), CUDA_ERROR_INVALID_VALUE);
}

CASE(most, "CUmemPoolProps.maxSize (12.2): what does not fit is CUDA_ERROR_OUT_OF_MEMORY")
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                            .maxSize = 64 * MIB};
    CUmemoryPool pool = NULL;
    CUdeviceptr p = 0;
    int version = 0;

    current();
    MUST(cu.DriverGetVersion(&version));
    if (version < 12020)
        conf_skip("this driver has no cuMemPoolProps.maxSize");
    MUST(cu.MemPoolCreate(&pool, &props));
    give(take_from(pool, 32 * MIB));
    IS(cu.MemAllocFromPoolAsync(&p, 128 * MIB, pool, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    MUST(cu.MemPoolDestroy(pool));
}

/* --- access -------------------------------------------------------------------------------------
 */

CASE(access_own, "cuMemPoolGetAccess: a pool's device may read and write")
{
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemoryPool pool = pool_new();
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;

    MUST(cu.MemPoolGetAccess(&flags, pool, &here));
    EQUAL(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    pool_end(true, pool);
}

CASE(access_peer, "cuMemPoolSetAccess: another device's access is granted and revoked")
{
    CUmemLocation there = {CU_MEM_LOCATION_TYPE_DEVICE, conf_second_device()};
    CUmemAccessDesc desc = {there, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemoryPool pool = pool_new();
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
    int can = 0;

    MUST(cu.DeviceCanAccessPeer(&can, there.id, conf.device));
    MUST(cu.MemPoolGetAccess(&flags, pool, &there));
    EQUAL(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    if (can) {
        MUST(cu.MemPoolSetAccess(pool, &desc, 1));
        MUST(cu.MemPoolGetAccess(&flags, pool, &there));
        EQUAL(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
        desc.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
        MUST(cu.MemPoolSetAccess(pool, &desc, 1));
    }
    pool_end(true, pool);
}

CASE(access_revoke_own, "cuMemPoolSetAccess: a pool's own device cannot lose its access")
{
    CUmemAccessDesc desc = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_NONE};
    CUmemoryPool pool = pool_new();

    REFUSED(cu.MemPoolSetAccess(pool, &desc, 1));
    pool_end(true, pool);
}

CASE(of_location, "cuMemGetDefaultMemPool (13.0): of a device's location is that of the device")
{
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemoryPool standard = current(), found = NULL;

    NEEDS(MemGetDefaultMemPool);
    MUST(cu.MemGetDefaultMemPool(&found, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    CHECK(found == standard);
    MUST(cu.MemGetMemPool(&found, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    CHECK(found == standard);
}
