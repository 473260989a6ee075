/* fit.c: which change of one setting would make a model fit? See fit.h. */
#include "policy/fit.h"

#define MIB          (UINT64_C(1) << 20)
#define FACTOR_STEP  (POL_ONE / 1000)
#define PERCENT_STEP (POL_ONE / 10)
#define PAD_STEP     (POL_GIB / 8)
#define MEMORY_MAX   (UINT64_C(1) << 50) /* of any one machine */

/* Settings and machine with one of them eased. */
struct eased {
    struct pol_settings settings;
    struct pol_view view;
    uint64_t value;
};

/* `from` rounded down to whole steps, plus k steps, at most `most` and at least `from`. */
static uint64_t up(uint64_t from, uint64_t k, uint64_t step, uint64_t most)
{
    uint64_t value = from - from % step + k * step;

    value = value < most ? value : most;
    return value > from ? value : from;
}

/* `from` rounded up to whole steps, less k steps, not below 0 and at most `from`. */
static uint64_t down(uint64_t from, uint64_t k, uint64_t step)
{
    uint64_t steps = from / step + (from % step != 0);
    uint64_t value = k < steps ? (steps - k) * step : 0;

    return value < from ? value : from;
}

static void ease(struct eased *e, enum pol_knob knob, uint64_t k)
{
    struct pol_settings *s = &e->settings;
    struct pol_view *v = &e->view;
    uint64_t grown;

    switch (knob) {
    case POL_FIT_FACTOR:
        e->value = s->conservative_factor = up(s->conservative_factor, k, FACTOR_STEP, POL_ONE);
        break;
    case POL_FIT_OVERHEAD:
        e->value = s->overhead_percent = down(s->overhead_percent, k, PERCENT_STEP);
        break;
    case POL_FIT_PAD:
        e->value = s->system_ram_pad =
            down(pol_ram_pad(v->ram_total, s->system_ram_pad), k, PAD_STEP);
        break;
    case POL_FIT_HOST_LIMIT:
        e->value = s->host_limit = up(s->host_limit, k, MIB, v->ram_total);
        break;
    case POL_FIT_VRAM_LIMIT:
        e->value = s->vram_limit = up(s->vram_limit, k, MIB, v->vram_total);
        break;
    case POL_FIT_VRAM:
        grown = up(v->vram_total, k, MIB, MEMORY_MAX) - v->vram_total;
        e->value = v->vram_total += grown;
        v->vram_free += grown;
        break;
    case POL_FIT_RAM:
        grown = up(v->ram_total, k, MIB, MEMORY_MAX) - v->ram_total;
        e->value = v->ram_total += grown;
        v->ram_available += grown;
        break;
    case POL_FIT_KNOBS:
        break;
    }
}

static bool fits(const struct eased *base, uint64_t estimate, enum pol_strategy wanted,
                 enum pol_knob knob, uint64_t k, uint64_t *value)
{
    struct eased e = *base;
    struct pol_limits limits;

    ease(&e, knob, k);
    *value = e.value;
    limits = pol_limits(&e.settings, &e.view);
    /* The strategies stand from the best to the worst. */
    return pol_plan(estimate, limits.gpu_budget, limits.sys_avail).strategy <= wanted;
}

bool pol_fit(const struct pol_settings *settings, const struct pol_view *view, uint64_t estimate,
             enum pol_strategy wanted, enum pol_knob knob, uint64_t *value)
{
    struct eased base = {*settings, *view, 0};
    uint64_t low = 0, high = MEMORY_MAX / MIB; /* steps: no knob has more */

    if ((knob == POL_FIT_HOST_LIMIT && settings->host_limit == POL_NONE) ||
        (knob == POL_FIT_VRAM_LIMIT && settings->vram_limit == POL_NONE))
        return false;
    if (fits(&base, estimate, wanted, knob, 0, value) ||
        !fits(&base, estimate, wanted, knob, high, value))
        return false;
    /* More of each helps, never hurts: low does not fit, high does. */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (fits(&base, estimate, wanted, knob, middle, value))
            high = middle;
        else
            low = middle;
    }
    return fits(&base, estimate, wanted, knob, high, value);
}
