/* plan.h: will a model of a given size fit, and where would its bytes go? (specification, "Compute
 * Optimal Split") Bytes throughout.
 */
#ifndef HYBRIDMEM_POLICY_PLAN_H
#define HYBRIDMEM_POLICY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum pol_strategy { POL_GPU_ONLY, POL_GGUF_HYBRID, POL_GGUF_INSUFFICIENT };

struct pol_plan {
    enum pol_strategy strategy;
    uint64_t gpu_bytes;
    uint64_t host_bytes;
    uint64_t shortfall; /* bytes that fit nowhere; not zero only for POL_GGUF_INSUFFICIENT */
};

/* max(2 GiB, tensor_bytes x (1.5 for GGUF, 1.2 otherwise)); UINT64_MAX where it does not fit. */
uint64_t pol_estimate(uint64_t tensor_bytes, bool gguf);

struct pol_plan pol_plan(uint64_t estimate, uint64_t gpu_budget, uint64_t sys_avail);

/* "gpu_only", "gguf_hybrid", "gguf_insufficient". */
const char *pol_strategy_name(enum pol_strategy strategy);

#endif
