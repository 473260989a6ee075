#include "shim/vmm.h"

#include "shim/core.h"
#include "shim/hooks.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>

struct physical {
    CUmemGenericAllocationHandle handle;
    struct device *device;
    uint64_t bytes;
    bool host;
    unsigned references, mappings;
    unsigned releasing; /* calls under way that may yet put a reference back */
};

struct mapping {
    uint64_t base, size;
    struct physical *physical;
    struct mapping *next; /* of those that an unmap under way has taken out */
};

/* Both are trees of tsearch(): mappings are compared as ranges, those that overlap being equal. The
 * driver is called without the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *physicals, *mappings;
struct vmm_bounds vmm_bounds_ = {.lowest = UINT64_MAX};

static int by_handle(const void *a, const void *b)
{
    const struct physical *one = a, *other = b;
    return (one->handle > other->handle) - (one->handle < other->handle);
}

static int by_range(const void *a, const void *b)
{
    const struct mapping *one = a, *other = b;
    if (one->base + one->size <= other->base)
        return -1;
    return other->base + other->size <= one->base;
}

static struct physical *physical_locked(CUmemGenericAllocationHandle handle)
{
    struct physical key = {.handle = handle};
    struct physical *const *found = tfind(&key, &physicals, by_handle);
    return found ? *found : NULL;
}

/* Some mapping that overlaps [address, address + size). */
static struct mapping *mapping_locked(uint64_t address, uint64_t size)
{
    struct mapping key = {.base = address, .size = size};
    struct mapping *const *found = tfind(&key, &mappings, by_range);
    return found ? *found : NULL;
}

/* "freed when all outstanding mappings to the memory are unmapped and when all outstanding
 * references to the handle (including its shareable counterparts) are also released"
 * (cuMemRelease). */
static void end_if_done_locked(struct physical *p)
{
    if (p->references || p->mappings || p->releasing)
        return;
    /* The driver may have given the handle out again already. */
    if (physical_locked(p->handle) == p)
        tdelete(p, &physicals, by_handle);
    core_physical_ended(p->device, p->bytes, p->host);
    free(p);
}

/* --- handles --------------------------------------------------------------------------------- */

void vmm_created(const struct alloc_result *result)
{
    struct physical *p = result->device ? malloc(sizeof *p) : NULL;
    struct physical **slot = NULL, *older = NULL;

    if (!result->device)
        return;
    if (p)
        *p = (struct physical){.handle = result->address,
                               .device = result->device,
                               .bytes = result->bytes,
                               .host = result->host,
                               .references = 1};
    pthread_mutex_lock(&lock);
    if (p)
        slot = (struct physical **)tsearch(p, &physicals, by_handle);
    if (slot && *slot != p) {
        /* It was released by a way that we did not see, or its end is under way in another thread:
         * what is left of it are mappings. */
        older = *slot;
        *slot = p;
        older->references = 0;
        end_if_done_locked(older);
    }
    pthread_mutex_unlock(&lock);
    if (!slot) { /* not counted, since its end would go unseen */
        free(p);
        core_physical_ended(result->device, result->bytes, result->host);
    }
}

void vmm_retained(CUmemGenericAllocationHandle handle)
{
    pthread_mutex_lock(&lock);
    struct physical *p = physical_locked(handle);
    if (p)
        p->references++;
    pthread_mutex_unlock(&lock);
}

/* The reference is given up beforehand: as soon as the driver has released the last one, it may
 * give the same handle to another thread. */
CUresult vmm_release(CUmemGenericAllocationHandle handle)
{
    pthread_mutex_lock(&lock);
    struct physical *p = physical_locked(handle);
    bool held = p && p->references;
    if (held) {
        p->references--;
        p->releasing++;
    }
    pthread_mutex_unlock(&lock);
    CUresult r = driver.cuMemRelease(handle);
    if (!held)
        return r;
    pthread_mutex_lock(&lock);
    p->releasing--;
    if (r != CUDA_SUCCESS)
        p->references++;
    end_if_done_locked(p);
    pthread_mutex_unlock(&lock);
    return r;
}

bool vmm_is_redirected(CUmemGenericAllocationHandle handle, int *ordinal)
{
    pthread_mutex_lock(&lock);
    const struct physical *p = physical_locked(handle);
    bool host = p && p->host;
    if (host)
        *ordinal = p->device->ordinal;
    pthread_mutex_unlock(&lock);
    return host;
}

/* --- mappings -------------------------------------------------------------------------------- */

static void extend_bounds_locked(const struct mapping *m)
{
    if (m->base < atomic_load(&vmm_bounds_.lowest))
        atomic_store(&vmm_bounds_.lowest, m->base);
    if (m->base + m->size > atomic_load(&vmm_bounds_.end))
        atomic_store(&vmm_bounds_.end, m->base + m->size);
}

/* Takes the mapping in, unless something is in the way that should not be there. */
static bool take_in_locked(struct mapping *m)
{
    struct mapping *const *slot = (struct mapping *const *)tsearch(m, &mappings, by_range);

    if (!slot || *slot != m)
        return false;
    m->physical->mappings++;
    if (m->physical->host)
        extend_bounds_locked(m);
    return true;
}

CUresult vmm_map(CUdeviceptr address, size_t size, size_t offset,
                 CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    struct mapping *m = malloc(sizeof *m);
    CUresult r = driver.cuMemMap(address, size, offset, handle, flags);
    bool taken = false;

    if (r == CUDA_SUCCESS && m) {
        pthread_mutex_lock(&lock);
        *m = (struct mapping){.base = address, .size = size, .physical = physical_locked(handle)};
        taken = m->physical && take_in_locked(m);
        pthread_mutex_unlock(&lock);
    }
    if (!taken)
        free(m);
    return r;
}

/* The mappings in [address, address + size), no longer to be found. What they are of still counts.
 */
static struct mapping *take_out_locked(uint64_t address, uint64_t size)
{
    struct mapping *out = NULL, *m;

    while ((m = mapping_locked(address, size))) {
        tdelete(m, &mappings, by_range);
        m->next = out;
        out = m;
    }
    return out;
}

/* They are taken out beforehand: as soon as the driver has unmapped them, another thread may map
 * something else there. */
CUresult vmm_unmap(CUdeviceptr address, size_t size)
{
    struct mapping *m, *next;

    pthread_mutex_lock(&lock);
    m = take_out_locked(address, size);
    pthread_mutex_unlock(&lock);
    CUresult r = driver.cuMemUnmap(address, size);
    if (!m)
        return r;
    pthread_mutex_lock(&lock);
    for (; m; m = next) {
        next = m->next;
        m->physical->mappings--;
        if (r != CUDA_SUCCESS && take_in_locked(m))
            continue;
        end_if_done_locked(m->physical);
        free(m);
    }
    pthread_mutex_unlock(&lock);
    return r;
}

bool vmm_range_is_redirected(CUdeviceptr address, size_t size, int *ordinal)
{
    uint64_t end = address + size;
    bool host = false;

    if (likely(address >= atomic_load_explicit(&vmm_bounds_.end, memory_order_acquire) ||
               end <= atomic_load_explicit(&vmm_bounds_.lowest, memory_order_relaxed)))
        return false;
    pthread_mutex_lock(&lock);
    while (address < end && !host) {
        const struct mapping *m = mapping_locked(address, 1);
        if (!m)
            break;
        host = m->physical->host;
        *ordinal = m->physical->device->ordinal;
        address = m->base + m->size;
    }
    pthread_mutex_unlock(&lock);
    return host;
}

void vmm_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    physicals = NULL;
    mappings = NULL;
    atomic_store(&vmm_bounds_.lowest, UINT64_MAX);
    atomic_store(&vmm_bounds_.end, 0);
}
