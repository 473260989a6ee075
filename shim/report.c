#include "shim/report.h"

#include "shim/core.h"
#include "shim/init.h"

static bool is_hybrid(void)
{
    return shim_config()->report == CFG_REPORT_HYBRID;
}

/* Free VRAM as the host may see it: with a vram_limit, what the limit leaves beside our own bytes.
 */
static uint64_t free_vram(struct device *d, uint64_t free_bytes, uint64_t total)
{
    uint64_t capped = device_capped_total(d, total), ours;

    if (capped == total)
        return free_bytes;
    ours = ledger_sum(&d->vram);
    uint64_t left = capped > ours ? capped - ours : 0;
    return left < free_bytes ? left : free_bytes;
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
    return free_vram(device, free_bytes, total) + (is_hybrid() ? free_host() : 0);
}
