/* fit.h: which change of one setting would make a model fit? Answered by trying: the limits and
 * the plan are computed as always, with the setting eased step by step.
 */
#ifndef HYBRIDMEM_POLICY_FIT_H
#define HYBRIDMEM_POLICY_FIT_H

#include "policy/plan.h"
#include "policy/policy.h"

enum pol_knob {
    POL_FIT_FACTOR,     /* conservative_factor, up to 1, in steps of 0.001; billionths */
    POL_FIT_OVERHEAD,   /* overhead_percent, down to 0, in steps of 0.1; billionths of a percent */
    POL_FIT_PAD,        /* system_ram_pad, down to 0, in steps of 1/8 GiB; bytes */
    POL_FIT_HOST_LIMIT, /* up to all RAM, in steps of 1 MiB; bytes */
    POL_FIT_VRAM_LIMIT, /* up to all VRAM, likewise */
    POL_FIT_VRAM,       /* a larger card, of which others hold as much; 1 MiB; bytes in total */
    POL_FIT_RAM,        /* more RAM, of which others hold as much; 1 MiB; bytes in total */
    POL_FIT_KNOBS
};

/* The least change of `knob` alone with which `estimate` bytes get the strategy `wanted` or a
 * better one: its new value. False where no value does, or none is needed. */
bool pol_fit(const struct pol_settings *settings, const struct pol_view *view, uint64_t estimate,
             enum pol_strategy wanted, enum pol_knob knob, uint64_t *value);

#endif
