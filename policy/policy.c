/* policy.c: view of memory -> limits; request + limits -> verdict; see policy.h. */
#include "policy/policy.h"

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* used + bytes <= limit, for any three numbers. */
static bool fits(uint64_t used, uint64_t bytes, uint64_t limit)
{
    return bytes <= limit && used <= limit - bytes;
}

/* Working memory leaves this much of the card to the driver, which needs VRAM of its own behind our
 * back (kernels that are loaded at their first launch, local memory, cuBLAS workspaces) and fails
 * the launch when there is none: 1/64, as 128 MiB of 8 GiB, and 64 MiB at the least. */
static uint64_t driver_floor(uint64_t total)
{
    const uint64_t least = UINT64_C(64) << 20;

    return total / 64 > least ? total / 64 : least;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

struct pol_limits pol_limits(const struct pol_settings *settings, const struct pol_view *view)
{
    struct pol_limits limits;
    uint64_t total = min(view->vram_total, settings->vram_limit);
    uint64_t pad = pol_ram_pad(view->ram_total, settings->system_ram_pad);
    uint64_t available = min(view->ram_available, view->ram_total);

    limits.vram_total = total;
    /* Of the limited size. What others hold is thus taken to lie in the part that the limit cuts
     * off, and counts only where it leaves us less than the limit. */
    limits.reserved = pol_reserved(total, view->vram_free, view->device_bytes);
    limits.gpu_budget = pol_gpu_budget(total, limits.reserved, settings->overhead_percent,
                                       settings->conservative_factor);
    limits.working = minus(minus(total, limits.reserved), driver_floor(total));
    if (limits.working < limits.gpu_budget)
        limits.working = limits.gpu_budget;
    limits.vram_cap = settings->vram_limit;
    limits.sys_avail = min(pol_sys_avail(available, pad), settings->host_limit);
    return limits;
}

/* What placement=adaptive lets lie in VRAM beyond the budget, as a limit of our bytes there.
 *
 * Working memory may use the card. Weights may when working memory has shown what it needs, which
 * is what the budget leaves room for: half as much again as the most that was seen stays free (not
 * where VRAM can be lent, which needs no foresight). And
 * a block of half the card or more is no part of anything: on the host it would be all there is to
 * read, and VRAM would lie idle. */
static uint64_t adaptive_limit(const struct pol_limits *limits, const struct pol_request *request)
{
    uint64_t peak = request->working_peak;

    if (request->class == POL_CLASS_WORKING || request->bytes >= limits->vram_total / 2)
        return limits->working;
    if (request->class == POL_CLASS_WEIGHTS && peak && !request->lendable)
        return minus(minus(limits->working, peak), peak / 2);
    return 0;
}

/* To the host if it has room. If not, the device is tried after all: a limit of ours must not fail
 * a call that the driver can satisfy. */
static struct pol_verdict overflow(bool host_has_room, enum pol_reason reason)
{
    if (host_has_room)
        return (struct pol_verdict){.host = true, .reason = reason};
    return (struct pol_verdict){.reason = POL_HOST_EXHAUSTED};
}

/* As if nothing were lent. */
static struct pol_verdict decide(const struct pol_settings *settings,
                                 const struct pol_limits *limits, const struct pol_usage *usage,
                                 const struct pol_request *request)
{
    uint64_t bytes = request->bytes;
    bool adaptive = settings->placement == POL_PLACEMENT_ADAPTIVE;
    bool host_has_room = fits(usage->host_bytes, bytes, limits->sys_avail);
    struct pol_verdict device = {.host_if_failed = host_has_room};

    if (bytes == 0) /* the driver's own answer (an error), whatever it is */
        return (struct pol_verdict){.reason = POL_FITS};
    if (request->place == POL_PLACE_SKIP)
        return (struct pol_verdict){.reason = POL_RULE};
    if (limits->vram_cap != POL_NONE && !fits(usage->device_bytes, bytes, limits->vram_cap))
        return overflow(host_has_room, POL_OVER_LIMIT);
    if (request->place == POL_PLACE_HOST)
        return overflow(host_has_room, POL_RULE);
    if (request->place == POL_PLACE_DEVICE)
        device.reason = POL_RULE;
    else if (settings->placement == POL_PLACEMENT_DEVICE_FIRST)
        device.reason = POL_DEVICE_FIRST;
    else if (bytes < settings->min_redirect)
        device.reason = POL_SMALL;
    else if (fits(usage->device_bytes, bytes, limits->gpu_budget))
        device.reason = POL_FITS;
    else if (adaptive && fits(usage->device_bytes, bytes, adaptive_limit(limits, request)))
        device.reason = POL_CARD;
    else if (adaptive && request->class == POL_CLASS_WORKING)
        return overflow(host_has_room, POL_OVER_CARD);
    else
        return overflow(host_has_room, POL_OVER_BUDGET);
    return device;
}

struct pol_verdict pol_decide(const struct pol_settings *settings, const struct pol_limits *limits,
                              const struct pol_usage *usage, const struct pol_request *request)
{
    struct pol_verdict v = decide(settings, limits, usage, request);
    uint64_t left = minus(minus(limits->working, usage->device_bytes), usage->lent_bytes);

    /* What working memory is known to need is not lent, only to be asked back at once. */
    if (v.host && v.reason == POL_OVER_BUDGET && request->lendable &&
        settings->placement == POL_PLACEMENT_ADAPTIVE &&
        request->bytes <= minus(left, request->working_peak))
        v.lend = minus(left, request->working_peak);
    if (!v.host)
        v.recall = min(minus(request->bytes, left), usage->lent_bytes);
    return v;
}

const char *pol_placement_name(enum pol_placement placement)
{
    switch (placement) {
    case POL_PLACEMENT_ADAPTIVE:
        return "adaptive";
    case POL_PLACEMENT_STRICT:
        return "strict";
    case POL_PLACEMENT_DEVICE_FIRST:
        return "device_first";
    }
    return "unknown";
}

const char *pol_reason_text(enum pol_reason reason)
{
    switch (reason) {
    case POL_FITS:
        return "fits the GPU budget (conservative_factor, overhead_percent)";
    case POL_CARD:
        return "beyond the GPU budget, but the card has room for it (placement)";
    case POL_SMALL:
        return "smaller than min_redirect";
    case POL_DEVICE_FIRST:
        return "placement=device_first";
    case POL_OVER_BUDGET:
        return "over the GPU budget (conservative_factor, overhead_percent)";
    case POL_OVER_CARD:
        return "working memory, but the card is full (placement)";
    case POL_RULE:
        return "a rule says so (rules)";
    case POL_OVER_LIMIT:
        return "over vram_limit";
    case POL_HOST_EXHAUSTED:
        return "host memory is used up (host_limit, system_ram_pad_gb)";
    }
    return "unknown";
}
