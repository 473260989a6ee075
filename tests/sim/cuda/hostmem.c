/* hostmem.c: pinned host memory, allocated (cuMemHostAlloc) or registered (cuMemHostRegister). */
#include "engine.h"
#include "impl.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Every page is there from now on; what the host writes meanwhile stays. */
static void populate(char *p, size_t bytes)
{
    size_t first = 4096 - (uintptr_t)p % 4096;

    if (!sim_settings.populate)
        return;
    __atomic_fetch_or(p, 0, __ATOMIC_RELAXED);
    for (size_t at = first; at < bytes; at += 4096)
        __atomic_fetch_or(p + at, 0, __ATOMIC_RELAXED);
}

CUresult sim_mem_host_alloc(void **out, size_t bytes, unsigned flags)
{
    void *p;

    if (!out || !bytes || (flags & ~7u))
        return CUDA_ERROR_INVALID_VALUE;
    p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    if (p == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!sim_null())
        memset(p, 0xdb, bytes < 4096 ? bytes : 4096);
    populate(p, bytes);
    sim_enter();
    range_new_locked(RANGE_HOST, ctx_current(), (uintptr_t)p, bytes, p, "cuMemHostAlloc")->flags =
        flags;
    sim_leave();
    *out = p;
    return CUDA_SUCCESS;
}

/* The range of this kind that begins at p. */
static struct range *exact_locked(const void *p, enum range_kind kind)
{
    struct range *range = range_find_locked((uintptr_t)p);

    return range && range->kind == kind && range->node.base == (uintptr_t)p && !range->pool ? range
                                                                                            : NULL;
}

static void end_locked(struct range *range, const char *by)
{
    unsigned in_flight = range->in_flight + (range->twin ? range->twin->in_flight : 0);

    if (in_flight)
        report_illegal("%s: h%u is still used by %u enqueued operations", by, range->serial,
                       in_flight);
    range_end_locked(range);
}

CUresult sim_mem_free_host(void *p)
{
    struct range *range;

    if (!p)
        return CUDA_SUCCESS;
    sim_enter();
    range = exact_locked(p, RANGE_HOST);
    if (range)
        end_locked(range, "cuMemFreeHost");
    sim_leave();
    return range ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Mapped, and readable at both ends: the kernel reads them for us, so that PROT_NONE (a device
 * address, say) is an answer and not a signal. */
static bool can_be_pinned(char *p, size_t bytes)
{
    char *ends[] = {p, p + bytes - 1};
    int pipes[2];
    bool can = host_is_mapped(p, bytes);

    if (!can || pipe2(pipes, O_CLOEXEC))
        return false;
    for (int i = 0; i < 2; i++)
        can = can && write(pipes[1], ends[i], 1) == 1;
    close(pipes[0]);
    close(pipes[1]);
    return can;
}

/* The device address of registered memory where it differs from the host's. */
static CUresult make_alias_locked(struct range *range)
{
    struct ctx *ctx = range->ctx;
    /* The same offset in the page on both sides. */
    size_t skew = range->node.base % SIM_ALIGNMENT;
    uint64_t base = window_take_locked(&ctx->device->space, range->node.size + skew, 0);
    struct range *alias;

    if (!base)
        return CUDA_ERROR_OUT_OF_MEMORY;
    alias = range_new_locked(RANGE_ALIAS, ctx, base + skew, range->node.size, range->cpu,
                             range->made_by);
    alias->flags = range->flags;
    alias->twin = range;
    range->twin = alias;
    return CUDA_SUCCESS;
}

CUresult sim_mem_host_register(void *p, size_t bytes, unsigned flags)
{
    struct range *range;
    CUresult result = CUDA_SUCCESS;

    if (!p || !bytes || (flags & ~0xfu) || (uintptr_t)p + bytes < (uintptr_t)p)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & (CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY))
        return CUDA_ERROR_NOT_SUPPORTED; /* attribute 113 is 0 */
    if (!sim_null() && !can_be_pinned(p, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    if (range_overlaps_locked((uintptr_t)p, bytes)) {
        sim_leave();
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    }
    range = range_new_locked(RANGE_REGISTERED, ctx_current(), (uintptr_t)p, bytes, p,
                             "cuMemHostRegister");
    range->flags = flags;
    if (!sim_settings.host_pointer && (flags & CU_MEMHOSTREGISTER_DEVICEMAP))
        result = make_alias_locked(range);
    if (result != CUDA_SUCCESS)
        range_end_locked(range);
    sim_leave();
    if (result == CUDA_SUCCESS)
        populate(p, bytes);
    return result;
}

CUresult sim_mem_host_unregister(void *p)
{
    const struct range *known;
    struct range *range;
    CUresult result = CUDA_SUCCESS;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    range = exact_locked(p, RANGE_REGISTERED);
    known = range_find_locked((uintptr_t)p);
    if (range)
        end_locked(range, "cuMemHostUnregister");
    else if (known && known->kind == RANGE_REGISTERED)
        result = CUDA_ERROR_INVALID_VALUE; /* inside a registered range, not its start */
    else
        result = CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    sim_leave();
    return result;
}

CUresult sim_mem_host_get_device_pointer(CUdeviceptr *out, void *p, unsigned flags)
{
    const struct range *range;
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    if (!out || !p || flags)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    range = range_find_locked((uintptr_t)p);
    if (range && range->kind == RANGE_REGISTERED && range->twin) {
        if (range_reachable_locked(range->twin, ctx_current(), false)) {
            *out = range->twin->node.base + ((uintptr_t)p - range->node.base);
            result = CUDA_SUCCESS;
        }
    } else if (range && (range_is_host(range) || range->kind == RANGE_MANAGED) &&
               range_reachable_locked(range, ctx_current(), false)) {
        *out = (uintptr_t)p;
        result = CUDA_SUCCESS;
    }
    sim_leave();
    return result;
}

CUresult sim_mem_host_get_flags(unsigned *flags, void *p)
{
    const struct range *range;
    bool is_host;

    if (!flags || !p)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    range = range_find_locked((uintptr_t)p);
    is_host =
        range && (range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED) && !range->pool;
    if (is_host) /* with unified addressing every allocation is mapped */
        *flags = range->flags | (range->kind == RANGE_HOST ? CU_MEMHOSTALLOC_DEVICEMAP : 0);
    sim_leave();
    return is_host ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
