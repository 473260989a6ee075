#include "shim/report.h"

#include "shim/core.h"
#include "shim/init.h"

static bool is_hybrid(void)
{
    return shim_config()->report == CFG_REPORT_HYBRID;
}

/* Free VRAM as the host may see it: with a vram_limit, what the limit leaves beside our own bytes,
 * and in *beyond what these exceed it by: arrays are not held to it. */
static uint64_t free_vram(struct device *d, uint64_t free_bytes, uint64_t total, uint64_t *beyond)
{
    uint64_t capped = device_capped_total(d, total), ours;

    *beyond = 0;
    if (capped == total)
        return free_bytes;
    ours = ledger_sum(&d->vram);
    if (ours >= capped) {
        *beyond = ours - capped;
        return 0;
    }
    return capped - ours < free_bytes ? capped - ours : free_bytes;
}

/* Host memory still to be had, within the share that the reported total holds. */
static uint64_t free_host(void)
{
    uint64_t share = device_host_share(), now = device_sys_avail(), used = core_host_bytes();

    share = now < share ? now : share;
    return share > used ? share - used : 0;
}

uint64_t report_total(struct device *device, uint64_t total)
{
    return device_capped_total(device, total) + (is_hybrid() ? device_host_share() : 0);
}

uint64_t report_free(struct device *device, uint64_t free_bytes, uint64_t total)
{
    /* What is lent comes back to whoever asks: it is the host's share that is in use. */
    uint64_t lent = atomic_load_explicit(&device->lent_bytes, memory_order_relaxed);
    uint64_t beyond, left = free_vram(device, free_bytes + lent, total, &beyond);
    uint64_t host = is_hybrid() ? free_host() : 0;

    return left + (host > beyond ? host - beyond : 0);
}
