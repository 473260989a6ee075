#include "shim/core.h"

#include "shim/attribution.h"
#include "shim/cancel.h"
#include "shim/claims.h"
#include "shim/hooks.h"
#include "shim/log.h"
#include "shim/mempool.h"
#include "shim/reclaim.h"
#include "shim/registry.h"
#include "shim/uploads.h"
#include "shim/window.h"

#include <stdatomic.h>

/* The pitch of a redirected block: the driver's own is a multiple of 512 on every device so far,
 * and every texture pitch alignment divides that. */
#define PITCH_ALIGNMENT 512u

static _Atomic uint64_t host_live;

uint64_t core_host_bytes(void)
{
    return atomic_load_explicit(&host_live, memory_order_relaxed);
}

/* --- host memory ----------------------------------------------------------------------------- */

static bool host_reserve(uint64_t bytes, uint64_t room)
{
    uint64_t now = atomic_load(&host_live);
    do {
        if (bytes > room || now > room - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&host_live, &now, now + bytes));
    return true;
}

static void raise_peak(_Atomic uint64_t *peak, uint64_t now)
{
    uint64_t seen = atomic_load(peak);
    while (now > seen && !atomic_compare_exchange_weak(peak, &seen, now))
        ;
}

static void count_redirected(struct device *d, uint64_t bytes)
{
    char size[LOG_SIZE_MAX];

    if (atomic_fetch_add(&d->redirected_allocations, 1) == 0)
        log_info("cuda:%d: overflow begins: %s to host memory (see HYBRIDMEM_CONSERVATIVE_FACTOR, "
                 "HYBRIDMEM_OVERHEAD_PERCENT)",
                 d->ordinal, log_size(bytes, size));
    atomic_fetch_add(&d->redirected_bytes, bytes);
    raise_peak(&d->host_bytes_peak, atomic_fetch_add(&d->host_bytes, bytes) + bytes);
}

/* A block of host memory for the request, or a physical allocation of it. */
static bool take_host(struct context *context, const struct alloc_request *request, uint64_t room,
                      struct alloc_result *result)
{
    struct arena_block block;
    static atomic_bool warned;

    if (request->physical)
        return backing_vmm_create(context->device, request, room, &result->address);
    if ((request->lend &&
         backing_loan_alloc(context, request->bytes, request->lend, room, &block)) ||
        backing_host_alloc(context, request->bytes, room, request->order, &block)) {
        if (request->pool_tag) {
            arena_tag(&block, request->pool_tag);
            mempool_add(request->pool_tag, request->bytes);
        }
        result->address = block.base;
        return true;
    }
    if (!atomic_exchange(&warned, true))
        log_warn("host memory could not be pinned; VRAM is tried instead (HYBRIDMEM_BACKING "
                 "chooses how, HYBRIDMEM_HOST_LIMIT and HYBRIDMEM_SYSTEM_RAM_PAD_GB how much)");
    return false;
}

/* Tries host memory within `room`; false, and nothing changed, if that cannot be. `why` is for the
 * log. */
static bool redirect(struct context *context, const struct alloc_request *request, uint64_t room,
                     const char *why, struct alloc_result *result)
{
    char size[LOG_SIZE_MAX];

    if (!host_reserve(request->bytes, room))
        return false;
    if (!take_host(context, request, room, result)) {
        atomic_fetch_sub(&host_live, request->bytes);
        return false;
    }
    count_redirected(context->device, request->bytes);
    log_debug("cuda:%d: %s to host memory at %#llx: %s", context->device->ordinal,
              log_size(request->bytes, size), (unsigned long long)result->address, why);
    result->device = context->device;
    result->host = true;
    result->bytes = request->bytes;
    result->pitch = request->pitched ? request->bytes / request->height : 0;
    return true;
}

/* Where there was room by these numbers, it could not be pinned, and take_host() has said so. */
static void count_insufficient(struct device *d, uint64_t bytes, const struct pol_limits *limits)
{
    char size[LOG_SIZE_MAX], used[LOG_SIZE_MAX], room[LOG_SIZE_MAX];
    uint64_t live = core_host_bytes();
    bool no_room = live > limits->sys_avail || bytes > limits->sys_avail - live;

    atomic_fetch_add(&d->insufficient, 1);
    if (no_room && !atomic_exchange(&d->told_of_no_room, true))
        log_warn("cuda:%d: %s should overflow, but %s of %s host memory is in use; VRAM is tried "
                 "(less HYBRIDMEM_SYSTEM_RAM_PAD_GB or more HYBRIDMEM_HOST_LIMIT allows more)",
                 d->ordinal, log_size(bytes, size), log_size(live, used),
                 log_size(limits->sys_avail, room));
}

/* --- allocation ------------------------------------------------------------------------------ */

/* The size that counts for the budget; false if the driver would refuse the request at once. */
static bool size_request(const struct alloc_request *asked, struct alloc_request *sized)
{
    size_t pitch;

    *sized = *asked;
    if (!asked->pitched)
        return asked->bytes > 0;
    return asked->height > 0 && asked->width > 0 &&
           (asked->element == 4 || asked->element == 8 || asked->element == 16) &&
           !__builtin_add_overflow(asked->width, PITCH_ALIGNMENT - 1, &pitch) &&
           !__builtin_mul_overflow(pitch / PITCH_ALIGNMENT * PITCH_ALIGNMENT, asked->height,
                                   &sized->bytes);
}

/* The verdict on a request, and the limits it came from. What fits the budget is counted at once,
 * in *reserved, so that two threads cannot both have the last of it. */
static struct pol_verdict decide(struct device *d, const struct pol_request *request,
                                 struct pol_limits *limits, uint64_t *reserved)
{
    pthread_mutex_lock(&d->lock);
    *limits = *device_limits(d, false);
    struct pol_usage usage = {ledger_sum(&d->vram), atomic_load(&d->lent_bytes), core_host_bytes()};
    struct pol_verdict v = pol_decide(&d->settings, limits, &usage, request);
    *reserved = v.reason == POL_FITS || v.reason == POL_CARD ? request->bytes : 0;
    if (*reserved)
        ledger_reserve(&d->vram, request->bytes);
    pthread_mutex_unlock(&d->lock);
    return v;
}

/* Is host memory as good as VRAM for it, and has the driver any that suits? If it is to be of a
 * pool, that is looked up only here. */
static bool may_move(struct alloc_request *request, const struct device *d,
                     enum alloc_stays at_most)
{
    if (request->stays > at_most)
        return false;
    if (request->physical)
        return backing_vmm_suits(d, request);
    if (request->order && !request->pool_tag)
        request->pool_tag = mempool_tag(request->pool, d);
    return !request->order || request->pool_tag;
}

/* The driver is out of memory: what its pools keep is given back first, since PyTorch's
 * cudaMallocAsync backend never tries again by itself; then looks at what is there and overflows if
 * it may. */
static CUresult overflow(struct context *context, struct alloc_request *request, bool was_counted,
                         struct alloc_result *result)
{
    struct device *d = context->device;
    struct pol_limits limits;

    if (!context_capturing() && mempool_trim(d)) {
        CUresult r = backing_device_alloc(context, request, 0, result);
        if (r != CUDA_ERROR_OUT_OF_MEMORY)
            return r;
    }
    if (!may_move(request, d, STAYS_IF_IT_CAN))
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&d->lock);
    limits = *device_limits(d, true);
    pthread_mutex_unlock(&d->lock);
    if (redirect(context, request, limits.sys_avail, "the driver is out of memory", result))
        return CUDA_SUCCESS;
    if (!was_counted)
        count_insufficient(d, request->bytes, &limits);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* PyTorch tries nothing again while a stream captures: then nobody may come here. */
static CUresult refuse_once(const struct alloc_request *request)
{
    reclaim_refused(request->bytes);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* What is lent comes back before anything else gives way. */
static bool make_room(struct device *d, uint64_t bytes, bool must)
{
    if (likely(!atomic_load_explicit(&d->lent_bytes, memory_order_relaxed)))
        return false;
    int cancel = cancel_defer();
    bool came = backing_loan_recall(d, bytes, must);
    cancel_allow(cancel);
    return came;
}

bool core_make_room(uint64_t bytes)
{
    struct context *context = context_current();
    return context && make_room(context->device, bytes, true);
}

/* A request on its way. */
struct course {
    bool reclaim;    /* an out-of-memory makes the caller give back its cache and try again */
    bool stays;      /* a rule leaves it to the driver */
    bool tried_host; /* in vain */
    bool exhausted;  /* it should overflow and cannot, which is counted */
    uint64_t reserved;
};

enum next { ASK_DRIVER, REFUSE_ONCE, DONE };

/* What the policy says, as far as it is not VRAM. */
static enum next ask_policy(struct context *context, struct alloc_request *request,
                            struct course *c, struct alloc_result *result)
{
    struct device *d = context->device;
    struct pol_request asked = {.bytes = request->bytes};
    struct pol_limits limits;

    uploads_predict(d, request, &asked);
    struct pol_verdict v = decide(d, &asked, &limits, &c->reserved);
    request->lend = v.lend;
    c->stays = asked.place == POL_PLACE_SKIP;
    /* While a stream captures, the driver owns what is allocated, as long as it can. */
    if (v.host && !context_capturing() && may_move(request, d, MAY_MOVE)) {
        if (c->reclaim && !v.lend)
            return REFUSE_ONCE;
        if (redirect(context, request, limits.sys_avail, pol_reason_text(v.reason), result))
            return DONE;
        c->tried_host = true;
    }
    if (v.recall && c->reclaim && backing_loan_works(d)) {
        ledger_sub(&d->vram, c->reserved);
        return REFUSE_ONCE;
    }
    if (v.recall)
        make_room(d, v.recall, false);
    c->exhausted = c->tried_host || v.reason == POL_HOST_EXHAUSTED;
    if (c->exhausted)
        count_insufficient(d, request->bytes, &limits);
    return ASK_DRIVER;
}

/* By the verdict, and where that is the device, by host memory if the driver has none left. */
static CUresult serve(struct context *context, struct alloc_request *request,
                      struct alloc_result *result)
{
    struct device *d = context->device;
    struct course c = {.reclaim = !request->order && !request->pitched && !request->physical &&
                                  reclaim_begins(request->bytes)};
    enum next next = ASK_DRIVER;

    if (request->bytes >= atomic_load_explicit(&d->small_below, memory_order_relaxed))
        next = ask_policy(context, request, &c, result);
    if (next != ASK_DRIVER)
        return next == DONE ? CUDA_SUCCESS : refuse_once(request);
    CUresult r = backing_device_alloc(context, request, c.reserved, result);
    if (r == CUDA_ERROR_OUT_OF_MEMORY && c.reclaim && !context_capturing())
        return refuse_once(request);
    while (r == CUDA_ERROR_OUT_OF_MEMORY && make_room(d, request->bytes, true))
        r = backing_device_alloc(context, request, 0, result);
    if (r == CUDA_ERROR_OUT_OF_MEMORY && !c.tried_host && !c.stays) {
        int cancel = cancel_defer();
        r = overflow(context, request, c.exhausted, result);
        cancel_allow(cancel);
    }
    if (r == CUDA_ERROR_OUT_OF_MEMORY)
        atomic_fetch_add(&d->refused, 1);
    return r;
}

CUresult core_alloc(const struct alloc_request *asked, struct alloc_result *result)
{
    struct context *context =
        asked->physical ? context_of_none(asked->physical->location.id) : context_current();
    struct alloc_request request;

    if (!context || !context->device->target || !size_request(asked, &request))
        return backing_device_ask(asked, result);

    struct device *d = context->device;
    if (request.order && !atomic_load_explicit(&d->stream_ordered, memory_order_relaxed))
        atomic_store(&d->stream_ordered, true);
    /* A pool's memory outlives its context (cuCtxDestroy), ours does not. */
    if (request.order && !context_is_primary(context))
        request.stays = STAYS_IF_IT_CAN;
    /* What needs no verdict takes no lock before the driver has answered. */
    bool locks = request.bytes >= atomic_load_explicit(&d->small_below, memory_order_relaxed);
    int cancel = locks ? cancel_defer() : 0;
    CUresult r = serve(context, &request, result);
    if (locks)
        cancel_allow(cancel);
    if (r == CUDA_SUCCESS && !request.physical) /* a handle is no address */
        uploads_allocated(d, result->address, result->bytes);
    return r;
}

/* --- the other end --------------------------------------------------------------------------- */

static void uncount_redirected(struct device *d, uint64_t bytes)
{
    atomic_fetch_sub(&d->host_bytes, bytes);
    atomic_fetch_sub(&host_live, bytes);
}

CUresult core_free(CUdeviceptr address, const struct stream_order *order, backing_free_fn *how,
                   void *arg)
{
    struct arena_block block;

    if (!arena_may_hold(address) || !arena_at(address)) {
        struct backing_freed freed = {0};
        CUresult r = backing_device_free(address, how, arg, &freed);
        if (r == CUDA_SUCCESS)
            uploads_freed(freed.device, address, freed.bytes);
        return r;
    }
    /* A stream needs a context, the block's own is enough to free it now; whatever else the driver
     * says then, it says of freeing nothing too. */
    CUcontext current = NULL;
    CUresult r = order ? driver.cuCtxGetCurrent(&current) : CUDA_SUCCESS;
    if (r != CUDA_SUCCESS)
        return r;
    if (order && !current)
        return how(0, arg);
    /* A device pointer that is no live allocation's (CUDA driver API, cuMemFree). */
    int cancel = cancel_defer();
    bool freed = backing_host_free(address, order, &block);
    cancel_allow(cancel);
    if (!freed)
        return CUDA_ERROR_INVALID_VALUE;
    struct context *context = arena_owner(block.arena);
    uncount_redirected(context->device, block.bytes);
    uploads_freed(context->device, address, block.bytes);
    mempool_sub(block.tag, block.bytes);
    return CUDA_SUCCESS;
}

void core_physical_ended(struct device *device, uint64_t bytes, bool host)
{
    if (host) {
        uncount_redirected(device, bytes);
        claims_unsettle(bytes);
        backing_host_uncount(bytes);
    } else {
        backing_device_uncount(device, bytes);
    }
}

bool core_is_ours(CUdeviceptr address, struct arena_block *block)
{
    if (likely(!arena_may_hold(address)))
        return false;
    arena_find(address, block);
    return block->arena != NULL;
}

bool core_range_is_sound(CUdeviceptr address, size_t bytes)
{
    struct arena_block block;

    if (bytes == 0 || !core_is_ours(address, &block))
        return true;
    return block.base && bytes <= block.base + block.bytes - address;
}

void core_context_ended(CUcontext handle, bool gone)
{
    struct context *context;

    while ((context = context_next_ending(handle))) {
        if (!gone) {
            context_revive(context);
            continue;
        }
        backing_device_drop(context);
        uncount_redirected(context->device, backing_host_drop(context));
        context_bury(context);
        uploads_forget_blocks();
    }
}

void core_forget_everything(void)
{
    arena_forget();
    reg_forget();
    context_forget_all();
    device_forget();
    backing_host_forget();
    backing_loan_forget();
    backing_vmm_forget();
    mempool_forget();
    window_after_fork();
    uploads_forget_blocks();
    attribution_after_fork();
    atomic_store(&host_live, 0);
}
