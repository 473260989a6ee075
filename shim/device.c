#include "shim/device.h"

#include "shim/cancel.h"
#include "shim/clock.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/host_budget.h"
#include "shim/log.h"
#include "shim/mempool.h"

#include <string.h>

static struct device devices[DEVICES_MAX];
static _Atomic bool known[DEVICES_MAX];
static pthread_mutex_t setup_lock = PTHREAD_MUTEX_INITIALIZER;

static _Atomic uint64_t host_share; /* 0: not fixed yet; otherwise the share + 1 */

/* --- RAM ------------------------------------------------------------------------------------- */

uint64_t device_sys_avail(void)
{
    struct pol_view view = {0};

    host_budget_view(&view, false);
    struct pol_settings settings = cfg_settings(shim_config(), 0, view.ram_total);
    return pol_limits(&settings, &view).sys_avail;
}

uint64_t device_host_share(void)
{
    uint64_t share = atomic_load(&host_share), fresh;

    if (!share) {
        uint64_t now = device_sys_avail(), used = core_host_bytes();
        fresh = (now > used ? now : used) + 1;
        share = atomic_compare_exchange_strong(&host_share, &share, fresh) ? fresh : share;
    }
    return share - 1;
}

/* A card does not grow: what was once reported as the host's share is all there is, also when more
 * RAM becomes free later. Otherwise free + used would exceed the total. */
static void keep_to_share(struct pol_limits *limits)
{
    uint64_t share = atomic_load_explicit(&host_share, memory_order_relaxed);

    if (share && share - 1 < limits->sys_avail && shim_config()->report == CFG_REPORT_HYBRID)
        limits->sys_avail = share - 1;
}

/* --- devices --------------------------------------------------------------------------------- */

const unsigned char *device_uuid(const struct device *d)
{
    return d->has_uuid ? (const unsigned char *)d->uuid.bytes : NULL;
}

static bool is_target(const struct device *d)
{
    const struct cfg_gpus *wish = &shim_config()->target_gpu;

    for (size_t i = 0; i < wish->count && !wish->all; i++)
        if (pol_gpu_is(&wish->gpu[i], d->ordinal, device_uuid(d)))
            return true;
    return wish->all;
}

struct device *device_known(int ordinal)
{
    return ordinal >= 0 && ordinal < DEVICES_MAX && atomic_load(&known[ordinal]) ? &devices[ordinal]
                                                                                 : NULL;
}

struct device *device_get(int ordinal)
{
    struct device *d = device_known(ordinal);

    if (d || ordinal < 0 || ordinal >= DEVICES_MAX)
        return d;
    int cancel = cancel_defer();
    pthread_mutex_lock(&setup_lock);
    d = &devices[ordinal];
    if (!atomic_load(&known[ordinal])) {
        CUdevice handle;
        if (driver.cuDeviceGet(&handle, ordinal) == CUDA_SUCCESS) {
            d->ordinal = ordinal;
            d->handle = handle;
            d->has_uuid = driver.cuDeviceGetUuid(&d->uuid, handle) == CUDA_SUCCESS;
            d->target = is_target(d);
            pthread_mutex_init(&d->lock, NULL);
            pthread_mutex_init(&d->ending, NULL);
            atomic_store(&known[ordinal], true);
        } else {
            d = NULL;
        }
    }
    pthread_mutex_unlock(&setup_lock);
    cancel_allow(cancel);
    return d;
}

/* Where the driver does not answer, VRAM has no budget: it is tried, and it may refuse. */
static const struct pol_limits unknown_vram = {
    .gpu_budget = UINT64_MAX, .working = UINT64_MAX, .vram_cap = POL_NONE};

static void say_budget(const struct device *d)
{
    char budget[LOG_SIZE_MAX], total[LOG_SIZE_MAX], others[LOG_SIZE_MAX], host[LOG_SIZE_MAX];

    log_info("cuda:%d: budget %s of %s VRAM (%s held by others); up to %s of host memory",
             d->ordinal, log_size(d->limits.gpu_budget, budget),
             log_size(d->limits.vram_total, total), log_size(d->limits.reserved, others),
             log_size(d->limits.sys_avail, host));
}

/* With a vram_limit every byte needs a verdict, and rules may be about any; otherwise the budget
 * leaves the small ones alone. */
static uint64_t small_below(const struct pol_settings *settings)
{
    if (settings->vram_limit != POL_NONE || shim_config()->rules.count || shim_config()->skip_clip)
        return 0;
    return settings->placement == POL_PLACEMENT_DEVICE_FIRST ? UINT64_MAX : settings->min_redirect;
}

/* Free and total VRAM. The driver tells them of the current context's device only, and cuMemCreate
 * needs no context: then the primary one is asked, if it is there (pushing one that is not would
 * not make it). Without any context on the device nobody but us is known to hold any of it. */
static bool memory_info(struct device *d, size_t *free_bytes, size_t *total)
{
    CUcontext primary = __atomic_load_n(&d->primary, __ATOMIC_ACQUIRE);
    CUdevice current;
    unsigned int flags;
    int active = 0;

    if (driver.cuCtxGetDevice(&current) == CUDA_SUCCESS && current == d->handle)
        return driver.cuMemGetInfo_v2(free_bytes, total) == CUDA_SUCCESS;
    if (primary && driver.cuDevicePrimaryCtxGetState(d->handle, &flags, &active) == CUDA_SUCCESS &&
        active && driver.cuCtxPushCurrent_v2(primary) == CUDA_SUCCESS) {
        CUresult r = driver.cuMemGetInfo_v2(free_bytes, total);
        driver.cuCtxPopCurrent_v2(&primary);
        return r == CUDA_SUCCESS;
    }
    if (driver.cuDeviceTotalMem_v2(total, d->handle) != CUDA_SUCCESS)
        return false;
    uint64_t ours = ledger_sum(&d->vram) + atomic_load(&d->lent_bytes);
    *free_bytes = ours < *total ? *total - (size_t)ours : 0;
    return true;
}

static void poll(struct device *d, bool fresh)
{
    struct pol_view view = {0};
    size_t free_bytes, total;
    bool first = !d->polled;
    bool answered = memory_info(d, &free_bytes, &total);
    host_budget_view(&view, fresh);
    if (answered) {
        view.vram_total = total;
        view.vram_free = free_bytes;
        view.device_bytes = ledger_sum(&d->vram) + atomic_load(&d->lent_bytes) + mempool_kept(d);
        d->settings = cfg_settings(shim_config(), total, view.ram_total);
        d->limits = pol_limits(&d->settings, &view);
        d->polled = true;
        d->polled_ms = clock_ms();
        atomic_store(&d->small_below, small_below(&d->settings));
    } else if (first) {
        d->settings = cfg_settings(shim_config(), 0, view.ram_total);
        d->limits = unknown_vram;
        d->limits.sys_avail = pol_limits(&d->settings, &view).sys_avail;
    }
    if (answered && first)
        say_budget(d);
}

const struct pol_limits *device_limits(struct device *d, bool fresh)
{
    if (fresh || !d->polled || clock_is_old(d->polled_ms))
        poll(d, fresh);
    keep_to_share(&d->limits);
    return &d->limits;
}

uint64_t device_capped_total(const struct device *device, uint64_t total)
{
    uint64_t limit = cfg_size_bytes(&shim_config()->vram_limit, total);
    return device->target && limit < total ? limit : total;
}

void device_forget(void)
{
    for (int i = 0; i < DEVICES_MAX; i++)
        atomic_store(&known[i], false);
    memset(devices, 0, sizeof devices);
    pthread_mutex_init(&setup_lock, NULL);
    host_budget_forget();
}
