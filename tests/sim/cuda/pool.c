/* pool.c: memory pools: what they hold, and what may be asked of them. Their blocks: ordered.c. */
#include "pool.h"
#include "impl.h"
#include "vmm.h"

static struct pool *pools;
/* The default and the current pool of host memory: by NUMA node (there is one), and of no node. */
static struct {
    struct pool *standard, *current;
} host_pools[2];

struct pool *pool_get(CUmemoryPool handle)
{
    return handle_object(handle, HANDLE_POOL);
}

bool pool_admits(const struct pool *pool, int device, bool write)
{
    unsigned needed = write ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ;

    return (pool->access[device] & needed) == needed;
}

static struct pool *pool_new_locked(CUmemLocation location, size_t most, bool is_default)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    pool->handle = handle_new_locked(HANDLE_POOL, pool);
    pool->location = location;
    pool->most = most;
    pool->is_default = is_default;
    for (int i = 0; i < 3; i++)
        pool->reuse[i] = 1;
    /* "By default, the pool's memory will be accessible from the device it is allocated on", that
     * of the host from the CPU. */
    if (location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
        pool->device = device_get(location.id);
        pool->access[location.id] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    } else {
        pool->host_access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    }
    pool->next = pools;
    pool->link = &pools;
    if (pools)
        pools->link = &pool->next;
    pools = pool;
    return pool;
}

void pool_start_locked(struct device *device)
{
    CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, device->ordinal};

    device->default_pool = device->pool = pool_new_locked(location, 0, true);
}

/* --- how much ------------------------------------------------------------------------------------
 */

static uint64_t in_chunks(uint64_t bytes)
{
    return (bytes + POOL_CHUNK - 1) / POOL_CHUNK * POOL_CHUNK;
}

/* Gives back whole idle chunks, down to `keep` bytes. */
static void trim_locked(struct pool *pool, uint64_t keep)
{
    uint64_t needed = in_chunks(pool->used + pool->freeing);

    keep = keep > UINT64_MAX - POOL_CHUNK ? keep : in_chunks(keep);
    if (keep < needed)
        keep = needed;
    if (pool->reserved <= keep)
        return;
    if (pool->device)
        device_give_locked(pool->device, pool->reserved - keep);
    pool->reserved = keep;
}

/* A destroyed pool goes with its last block. */
static void drop_if_done_locked(struct pool *pool)
{
    if (pool->handle || pool->blocks)
        return;
    trim_locked(pool, 0);
    *pool->link = pool->next;
    if (pool->next)
        pool->next->link = pool->link;
    free(pool);
}

void pool_synchronised_locked(void)
{
    for (struct pool *pool = pools; pool; pool = pool->next)
        if (pool->reserved > pool->threshold)
            trim_locked(pool, pool->threshold);
}

static void use_locked(struct pool *pool, size_t bytes)
{
    pool->used += bytes;
    if (pool->used > pool->used_high)
        pool->used_high = pool->used;
}

CUresult pool_take_locked(struct pool *pool, size_t bytes)
{
    uint64_t needed = pool->used + pool->freeing + bytes, more = 0;
    CUresult result = CUDA_SUCCESS;

    if (needed > pool->reserved)
        more = in_chunks(needed - pool->reserved);
    if (pool->most && pool->reserved + more > pool->most)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    else if (more && pool->device)
        result = device_take_locked(pool->device, more);
    if (result != CUDA_SUCCESS)
        return result;
    pool->reserved += more;
    if (pool->reserved > pool->reserved_high)
        pool->reserved_high = pool->reserved;
    use_locked(pool, bytes);
    return CUDA_SUCCESS;
}

static void unlink_freed(struct range *range)
{
    if (!range->freed_link)
        return;
    *range->freed_link = range->freed_next;
    if (range->freed_next)
        range->freed_next->freed_link = range->freed_link;
    range->freed_link = NULL;
}

void pool_block_freed_locked(struct range *range, struct stream *stream, uint64_t sequence)
{
    struct pool *pool = range->pool;

    pool->used -= range->charged;
    pool->freeing += range->charged;
    range->free_in = stream;
    range->free_sequence = sequence;
    range->freed_next = pool->freed;
    range->freed_link = &pool->freed;
    if (pool->freed)
        pool->freed->freed_link = &range->freed_next;
    pool->freed = range;
}

void pool_block_again_locked(struct range *older, struct range *range)
{
    struct pool *pool = older->pool;

    unlink_freed(older);
    range->pool = pool;
    range->charged = older->charged;
    older->charged = 0;
    pool->freeing -= range->charged;
    pool->blocks++;
    use_locked(pool, range->charged);
}

void pool_block_end_locked(struct range *range)
{
    struct pool *pool = range->pool;

    unlink_freed(range);
    if (range->freeing && range->free_in)
        pool->freeing -= range->charged;
    else
        pool->used -= range->charged;
    pool->blocks--;
    drop_if_done_locked(pool);
}

/* --- calls ---------------------------------------------------------------------------------------
 */

CUresult sim_mem_pool_create(CUmemoryPool *out, const CUmemPoolProps *props)
{
    static const CUmemPoolProps zero;
    CUresult result;

    if (!out || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        props->win32SecurityAttributes ||
        memcmp(props->reserved, zero.reserved, sizeof(zero.reserved)))
        return CUDA_ERROR_INVALID_VALUE;
    result = location_check(&props->location);
    if (result != CUDA_SUCCESS)
        return result;
    if (props->handleTypes != CU_MEM_HANDLE_TYPE_NONE) /* attribute 119 is 0 */
        return props->location.type == CU_MEM_LOCATION_TYPE_HOST ? CUDA_ERROR_INVALID_VALUE
                                                                 : CUDA_ERROR_NOT_SUPPORTED;
    sim_enter();
    *out = pool_new_locked(props->location, props->maxSize, false)->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

/* "Destroying the current mempool of a device sets the default mempool of that device as the
 * current mempool"; blocks that live on keep their memory. */
CUresult sim_mem_pool_destroy(CUmemoryPool handle)
{
    struct pool *pool;
    bool can;

    sim_enter();
    pool = pool_get(handle);
    can = pool && !pool->is_default;
    if (can) {
        for (int i = 0; i < sim_settings.devices; i++)
            if (sim_devices[i].pool == pool)
                sim_devices[i].pool = sim_devices[i].default_pool;
        for (int i = 0; i < 2; i++)
            if (host_pools[i].current == pool)
                host_pools[i].current = host_pools[i].standard;
        handle_end(handle);
        pool->handle = NULL;
        pool->threshold = 0;
        drop_if_done_locked(pool);
    }
    sim_leave();
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_mem_pool_trim_to(CUmemoryPool handle, size_t keep)
{
    struct pool *pool;

    sim_enter();
    pool = pool_get(handle);
    if (pool)
        trim_locked(pool, keep);
    sim_leave();
    return pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* A high-water mark can only be reset to zero: it begins again from what is. */
static CUresult reset_locked(uint64_t *high, uint64_t now, uint64_t value)
{
    if (value)
        return CUDA_ERROR_INVALID_VALUE;
    *high = now;
    return CUDA_SUCCESS;
}

static CUresult set_locked(struct pool *pool, CUmemPool_attribute attribute, const void *value)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        pool->reuse[attribute - 1] = *(const int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        pool->threshold = *(const cuuint64_t *)value;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        return reset_locked(&pool->reserved_high, pool->reserved, *(const cuuint64_t *)value);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        return reset_locked(&pool->used_high, pool->used, *(const cuuint64_t *)value);
    default: /* what is in use now can only be asked for */
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult get_locked(const struct pool *pool, CUmemPool_attribute attribute, void *value)
{
    const uint64_t sizes[] = {pool->threshold, pool->reserved, pool->reserved_high, pool->used,
                              pool->used_high};

    if (attribute >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
        attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES)
        *(int *)value = pool->reuse[attribute - 1];
    else if (attribute >= CU_MEMPOOL_ATTR_RELEASE_THRESHOLD &&
             attribute <= CU_MEMPOOL_ATTR_USED_MEM_HIGH)
        *(cuuint64_t *)value = sizes[attribute - CU_MEMPOOL_ATTR_RELEASE_THRESHOLD];
    else
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult sim_mem_pool_set_attribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    struct pool *pool;

    sim_enter();
    pool = pool_get(handle);
    if (pool && value)
        result = set_locked(pool, attribute, value);
    sim_leave();
    return result;
}

CUresult sim_mem_pool_get_attribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    const struct pool *pool;

    sim_enter();
    pool = pool_get(handle);
    if (pool && value)
        result = get_locked(pool, attribute, value);
    sim_leave();
    return result;
}

/* Each device's own memory stays within its reach. */
static CUresult access_check(const struct pool *pool, const CUmemAccessDesc *map)
{
    bool known = map->flags == CU_MEM_ACCESS_FLAGS_PROT_NONE ||
                 map->flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
                 map->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;

    if (!known || map->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(map->location.id))
        return CUDA_ERROR_INVALID_DEVICE;
    return pool->device == device_get(map->location.id) &&
                   map->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE
               ? CUDA_ERROR_INVALID_VALUE
               : CUDA_SUCCESS;
}

CUresult sim_mem_pool_set_access(CUmemoryPool handle, const CUmemAccessDesc *map, size_t count)
{
    CUresult result = CUDA_SUCCESS;
    struct pool *pool;

    if (count && !map)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    pool = pool_get(handle);
    if (!pool)
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = access_check(pool, &map[i]);
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        pool->access[map[i].location.id] = (unsigned char)map[i].flags;
    sim_leave();
    return result;
}

CUresult sim_mem_pool_get_access(CUmemAccess_flags *flags, CUmemoryPool handle,
                                 const CUmemLocation *location)
{
    CUresult result = CUDA_SUCCESS;
    const struct pool *pool;

    if (!flags || !location)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    pool = pool_get(handle);
    if (!pool)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = location_check(location);
    if (result == CUDA_SUCCESS)
        *flags = (CUmemAccess_flags)(location->type == CU_MEM_LOCATION_TYPE_DEVICE
                                         ? pool->access[location->id]
                                         : pool->host_access);
    sim_leave();
    return result;
}

/* --- default and current pools -------------------------------------------------------------------
 */

CUresult sim_device_get_mem_pool(CUmemoryPool *out, CUdevice dev, bool standard)
{
    const struct device *device = device_get(dev);

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    *out = (standard ? device->default_pool : device->pool)->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_device_set_mem_pool(CUdevice dev, CUmemoryPool handle)
{
    struct device *device = device_get(dev);
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    struct pool *pool;

    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    pool = pool_get(handle);
    if (pool && pool->device == device) { /* "must be local to the specified device" */
        device->pool = pool;
        result = CUDA_SUCCESS;
    }
    sim_leave();
    return result;
}

/* Pools of managed memory there are none. */
static CUresult pinned_check(const CUmemLocation *location, CUmemAllocationType type)
{
    if (!location ||
        (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
        return CUDA_ERROR_INVALID_VALUE;
    if (type == CU_MEM_ALLOCATION_TYPE_MANAGED)
        return CUDA_ERROR_NOT_SUPPORTED;
    return location_check(location);
}

/* The host's, made when they are first asked for. */
static int host_index_locked(const CUmemLocation *location)
{
    int index = location->type == CU_MEM_LOCATION_TYPE_HOST;

    if (!host_pools[index].standard)
        host_pools[index].standard = host_pools[index].current =
            pool_new_locked(*location, 0, true);
    return index;
}

CUresult sim_mem_get_mem_pool(CUmemoryPool *out, const CUmemLocation *location,
                              CUmemAllocationType type, bool standard)
{
    CUresult result = pinned_check(location, type);
    int index;

    if (result != CUDA_SUCCESS || !out)
        return out ? result : CUDA_ERROR_INVALID_VALUE;
    if (location->type == CU_MEM_LOCATION_TYPE_DEVICE)
        return sim_device_get_mem_pool(out, location->id, standard);
    sim_enter();
    index = host_index_locked(location);
    *out = (standard ? host_pools[index].standard : host_pools[index].current)->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_mem_set_mem_pool(const CUmemLocation *location, CUmemAllocationType type,
                              CUmemoryPool handle)
{
    CUresult result = pinned_check(location, type);
    struct pool *pool;

    if (result != CUDA_SUCCESS)
        return result;
    if (location->type == CU_MEM_LOCATION_TYPE_DEVICE)
        return sim_device_set_mem_pool(location->id, handle);
    sim_enter();
    pool = pool_get(handle);
    if (pool && pool->location.type == location->type)
        host_pools[host_index_locked(location)].current = pool;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    sim_leave();
    return result;
}
