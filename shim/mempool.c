#include "shim/mempool.h"

#include "shim/arena.h"
#include "shim/cancel.h"
#include "shim/hooks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define POOLS_MAX 1024
_Static_assert(POOLS_MAX <= ARENA_TAG_MAX, "a block carries the number of its pool");
/* The driver hands out memory in such units (cuMemAllocAsync), and counts them. */
#define UNIT 512u

/* In use while the pool lives or blocks of it do. */
static struct mempool {
    _Atomic(CUmemoryPool) handle; /* NULL once destroyed */
    int device;
    bool may_move;
    _Atomic uint64_t used;      /* redirected bytes */
    _Atomic uint64_t reserved;  /* these, and what is said to be kept of freed ones */
    _Atomic uint64_t threshold; /* so much is kept: CU_MEMPOOL_ATTR_RELEASE_THRESHOLD */
    _Atomic uint64_t used_high, reserved_high;
} pools[POOLS_MAX];
static atomic_uint count; /* of pools[], used ones and free ones */

/* Held where pools come and go, so that none goes while the driver is asked about it; nor is the
 * thread cancelled meanwhile. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* For unlock_pools(). */
static int lock_pools(void)
{
    int cancel = cancel_defer();

    pthread_mutex_lock(&lock);
    return cancel;
}

static void unlock_pools(int cancel)
{
    pthread_mutex_unlock(&lock);
    cancel_allow(cancel);
}

static struct mempool *find(CUmemoryPool handle)
{
    unsigned n = atomic_load_explicit(&count, memory_order_acquire);

    for (unsigned i = 0; handle && i < n; i++)
        if (atomic_load_explicit(&pools[i].handle, memory_order_acquire) == handle)
            return &pools[i];
    return NULL;
}

static void read_threshold(struct mempool *p, CUmemoryPool handle)
{
    cuuint64_t value = 0;

    if (driver.cuMemPoolGetAttribute(handle, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value) ==
        CUDA_SUCCESS)
        atomic_store(&p->threshold, value);
}

static struct mempool *add_locked(CUmemoryPool handle, int device, bool may_move)
{
    unsigned n = atomic_load(&count), i = 0;

    while (i < n && (atomic_load(&pools[i].handle) || atomic_load(&pools[i].used)))
        i++;
    if (i == POOLS_MAX)
        return NULL;
    struct mempool *p = &pools[i];
    p->device = device;
    p->may_move = may_move;
    atomic_store(&p->reserved, 0);
    atomic_store(&p->used_high, 0);
    atomic_store(&p->reserved_high, 0);
    atomic_store(&p->threshold, 0);
    read_threshold(p, handle);
    atomic_store_explicit(&p->handle, handle, memory_order_release);
    if (i == n)
        atomic_store_explicit(&count, n + 1, memory_order_release);
    return p;
}

/* A pool that other processes or devices share, or whose size has a limit, must be what it says. */
void mempool_created(CUmemoryPool pool, const CUmemPoolProps *props)
{
    if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return;
    int cancel = lock_pools();
    add_locked(pool, props->location.id,
               props->allocType == CU_MEM_ALLOCATION_TYPE_PINNED &&
                   props->handleTypes == CU_MEM_HANDLE_TYPE_NONE && !props->maxSize &&
                   !props->usage && !props->gpuDirectRDMACapable);
    unlock_pools(cancel);
}

CUresult mempool_destroy(CUmemoryPool pool)
{
    int cancel = lock_pools();
    struct mempool *p = find(pool);
    if (p) /* beforehand: another pool may get the same handle at once */
        atomic_store(&p->handle, NULL);
    CUresult r = driver.cuMemPoolDestroy(pool);
    if (p && r != CUDA_SUCCESS)
        atomic_store(&p->handle, pool);
    unlock_pools(cancel);
    return r;
}

/* A pool, found or, if it is the device's default, made known. */
static struct mempool *look_up(CUmemoryPool pool, const struct device *device)
{
    struct mempool *p = find(pool);
    CUmemoryPool standard = NULL;

    if (likely(p != NULL) ||
        driver.cuDeviceGetDefaultMemPool(&standard, device->handle) != CUDA_SUCCESS ||
        standard != pool)
        return p;
    int cancel = lock_pools();
    p = find(pool);
    if (!p)
        p = add_locked(pool, device->ordinal, true);
    unlock_pools(cancel);
    return p;
}

bool mempool_lies_on(CUmemoryPool pool, const struct device *device)
{
    const struct mempool *p = look_up(pool, device);
    return p && p->device == device->ordinal;
}

unsigned mempool_tag(CUmemoryPool pool, const struct device *device)
{
    if (!pool && driver.cuDeviceGetMemPool(&pool, device->handle) != CUDA_SUCCESS)
        return 0;
    const struct mempool *p = look_up(pool, device);
    return p && p->may_move && p->device == device->ordinal ? 1 + (unsigned)(p - pools) : 0;
}

CUmemoryPool mempool_of(unsigned tag)
{
    return tag ? atomic_load(&pools[tag - 1].handle) : NULL;
}

/* --- how much -------------------------------------------------------------------------------- */

static uint64_t in_units(uint64_t bytes)
{
    return (bytes + UNIT - 1) / UNIT * UNIT;
}

static uint64_t reserved(const struct mempool *p)
{
    uint64_t used = atomic_load(&p->used), kept = atomic_load(&p->reserved);
    return kept > used ? kept : used;
}

static void raise(_Atomic uint64_t *high, uint64_t now)
{
    uint64_t seen = atomic_load(high);
    while (now > seen && !atomic_compare_exchange_weak(high, &seen, now))
        ;
}

void mempool_add(unsigned tag, uint64_t bytes)
{
    if (!tag)
        return;
    struct mempool *p = &pools[tag - 1];
    uint64_t now = atomic_fetch_add(&p->used, in_units(bytes)) + in_units(bytes);
    raise(&p->used_high, now);
    raise(&p->reserved, now);
    raise(&p->reserved_high, now);
}

static void keep_at_most(struct mempool *p, uint64_t keep)
{
    uint64_t seen = atomic_load(&p->reserved);
    while (seen > keep && !atomic_compare_exchange_weak(&p->reserved, &seen, keep))
        ;
}

void mempool_sub(unsigned tag, uint64_t bytes)
{
    if (!tag)
        return;
    struct mempool *p = &pools[tag - 1];
    atomic_fetch_sub(&p->used, in_units(bytes));
    keep_at_most(p, atomic_load(&p->threshold));
}

/* What a pool keeps beyond what is in use is what the driver would have kept after a
 * synchronisation; the memory itself is in arenas, for all pools. The sum of two high-water marks
 * may exceed that of the sum, if the two were not reached together. */
void mempool_complete(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    const struct mempool *p = find(pool);
    uint64_t ours = 0;
    cuuint64_t all;

    if (!p)
        return;
    if (attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)
        ours = reserved(p);
    else if (attribute == CU_MEMPOOL_ATTR_USED_MEM_CURRENT)
        ours = atomic_load(&p->used);
    else if (attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)
        ours = atomic_load(&p->reserved_high);
    else if (attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH)
        ours = atomic_load(&p->used_high);
    if (!ours) /* or no size at all */
        return;
    memcpy(&all, value, sizeof all);
    all += ours;
    memcpy(value, &all, sizeof all);
}

void mempool_attribute_set(CUmemoryPool pool, CUmemPool_attribute attribute)
{
    struct mempool *p = find(pool);

    if (p && attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)
        atomic_store(&p->reserved_high, reserved(p));
    else if (p && attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH)
        atomic_store(&p->used_high, atomic_load(&p->used));
    else if (p && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)
        read_threshold(p, pool);
}

void mempool_trimmed(CUmemoryPool pool, uint64_t keep)
{
    struct mempool *p = find(pool);

    if (p)
        keep_at_most(p, keep);
}

/* --- what the driver's pools keep ------------------------------------------------------------ */

static uint64_t kept_by(CUmemoryPool pool)
{
    cuuint64_t reserved = 0, used = 0;

    if (driver.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &reserved) !=
            CUDA_SUCCESS ||
        driver.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used) != CUDA_SUCCESS)
        return 0;
    return reserved > used ? reserved - used : 0;
}

/* Calls `each` for the device's pools; returns the sum of its answers. */
static uint64_t for_each(const struct device *device, uint64_t (*each)(CUmemoryPool pool))
{
    CUmemoryPool current = NULL;
    uint64_t sum = 0;

    if (!atomic_load(&device->stream_ordered))
        return 0;
    /* The first allocation in stream order may have been of a pool that nobody has named yet. */
    if (driver.cuDeviceGetMemPool(&current, device->handle) == CUDA_SUCCESS)
        look_up(current, device);
    int cancel = lock_pools();
    for (unsigned i = 0; i < atomic_load(&count); i++) {
        CUmemoryPool pool = atomic_load(&pools[i].handle);
        if (pool && pools[i].device == device->ordinal)
            sum += each(pool);
    }
    unlock_pools(cancel);
    return sum;
}

uint64_t mempool_kept(const struct device *device)
{
    return for_each(device, kept_by);
}

static uint64_t trim(CUmemoryPool pool)
{
    return kept_by(pool) && driver.cuMemPoolTrimTo(pool, 0) == CUDA_SUCCESS;
}

bool mempool_trim(const struct device *device)
{
    return for_each(device, trim) > 0;
}

void mempool_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(pools, 0, sizeof pools);
    atomic_store(&count, 0);
}
