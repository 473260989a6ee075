/* plan.c: the size of a model and its split; see plan.h. */
#include "policy/plan.h"

#include "policy/budget.h"

/* The factors are in billionths, as every decimal here. */
#define GGUF_FACTOR  (POL_ONE / 10 * 15)
#define OTHER_FACTOR (POL_ONE / 10 * 12)
#define FLOOR        (2 * POL_GIB)

uint64_t pol_estimate(uint64_t tensor_bytes, bool gguf)
{
    uint64_t estimate = pol_scale(tensor_bytes, gguf ? GGUF_FACTOR : OTHER_FACTOR);

    return estimate > FLOOR ? estimate : FLOOR;
}

struct pol_plan pol_plan(uint64_t estimate, uint64_t gpu_budget, uint64_t sys_avail)
{
    struct pol_plan plan = {POL_GPU_ONLY, estimate, 0, 0};
    uint64_t rest;

    if (estimate <= gpu_budget)
        return plan;
    /* Compared without budget + sys_avail, a sum that need not fit 64 bits. */
    rest = estimate - gpu_budget;
    plan.gpu_bytes = gpu_budget;
    if (rest <= sys_avail) {
        plan.strategy = POL_GGUF_HYBRID;
        plan.host_bytes = rest;
    } else {
        plan.strategy = POL_GGUF_INSUFFICIENT;
        plan.host_bytes = sys_avail;
        plan.shortfall = rest - sys_avail;
    }
    return plan;
}

const char *pol_strategy_name(enum pol_strategy strategy)
{
    switch (strategy) {
    case POL_GPU_ONLY:
        return "gpu_only";
    case POL_GGUF_HYBRID:
        return "gguf_hybrid";
    case POL_GGUF_INSUFFICIENT:
        return "gguf_insufficient";
    }
    return "unknown";
}
