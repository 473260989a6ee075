/* gate.h: what every exported function passes first. */
#ifndef HYBRIDMEM_SIM_GATE_H
#define HYBRIDMEM_SIM_GATE_H

#include "engine.h"

enum {
    GATE_CLOSED,  /* settings not read yet */
    GATE_OPEN,    /* nothing but the call */
    GATE_WATCHED, /* SIMCUDA_FAIL or SIMCUDA_LOG is set */
    GATE_FORKED   /* a child of an initialised process */
};
extern atomic_int sim_gate;
extern atomic_bool sim_usable; /* initialised, and not at the end of the process */
void sim_start(void);

/* Why a call may not be made in this state; SUCCESS when it may. */
CUresult gate_refuse(unsigned needs);

/* The same, with the usual state decided here. */
static inline CUresult gate_admit(unsigned needs)
{
    const struct ctx *ctx = ctx_top;

    if (needs == NEED_ANY)
        return CUDA_SUCCESS;
    if (atomic_load_explicit(&sim_usable, memory_order_acquire) &&
        (!(needs & NOT_IN_CAPTURE) ||
         !atomic_load_explicit(&capture_count, memory_order_relaxed)) &&
        (!(needs & NEED_CTX) ||
         (ctx && atomic_load_explicit(&ctx->alive, memory_order_acquire) &&
          atomic_load_explicit(&ctx->sticky, memory_order_relaxed) == CUDA_SUCCESS)))
        return CUDA_SUCCESS;
    return gate_refuse(needs);
}

#endif
