/* lifetime.c: whether look-ups agree on a function's address, and what pinned memory is worth
 * after the context that pinned it has gone. */
#include "tests/gpu/probe.h"

#include <stdio.h>
#include <string.h>

#define BYTES (4 * PROBE_MIB)

static const struct row {
    const char *symbol, *base;
    int since;
    char flavour; /* of NONE, LEGACY, PTDS, PTSZ: P for the last two */
} rows[] = {
#define FLAVOUR_NONE   'N'
#define FLAVOUR_LEGACY 'L'
#define FLAVOUR_PTDS   'P'
#define FLAVOUR_PTSZ   'P'
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    {#symbol, #base, since, FLAVOUR_##flavour},
#include "shim/hooks.def"
#undef HOOK
};

/* One line for each row where the two ways differ, and their number. */
void probe_lookup(struct probe *p)
{
    /* cuda.h's cuGetProcAddress is version 2, whose last parameter tells what was missing. */
    CUresult (*get)(const char *, void **, int, cuuint64_t) = probe_symbol(p, "cuGetProcAddress");
    const char *table = "cuGetProcAddress and dlsym";
    unsigned same = 0, other = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *direct = probe_symbol(p, rows[i].symbol), *looked_up = NULL;
        cuuint64_t flags = rows[i].flavour == 'P' ? CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
                                                  : CU_GET_PROC_ADDRESS_LEGACY_STREAM;
        CUresult result =
            get ? get(rows[i].base, &looked_up, rows[i].since, flags) : CUDA_ERROR_NOT_SUPPORTED;

        if (direct && direct == looked_up) {
            same++;
            continue;
        }
        other++;
        probe_answer(p, table, rows[i].symbol, "answer", "dlsym %s, cuGetProcAddress at %d %s",
                     direct ? "finds it" : "does not", rows[i].since,
                     result      ? probe_result(result)
                     : looked_up ? "another address"
                                 : "NULL");
    }
    probe_answer(p, table, "all rows of shim/hooks.def", "answer", "%u the same, %u not", same,
                 other);
}

/* Pins in one context, ends it, and looks from another one. */
static void outlive(struct probe *p, const char *row, enum probe_kind kind, bool reset)
{
    CUresult (*create)(CUcontext *, unsigned, CUdevice) = probe_symbol(p, "cuCtxCreate_v2");
    const char *table = "pinned PORTABLE, then its context ended";
    CUcontext maker = NULL, other = NULL;
    struct probe_block block;
    bool made;

    if (!create || create(&other, 0, p->device) != CUDA_SUCCESS)
        return;
    if (reset)
        p->drv.cuCtxSetCurrent(p->context);
    else if (create(&maker, 0, p->device) != CUDA_SUCCESS)
        return;
    made = probe_make(p, kind, BYTES, &block);
    if (made) {
        CUresult ended =
            reset ? p->drv.cuDevicePrimaryCtxReset(p->device) : p->drv.cuCtxDestroy(maker);
        p->drv.cuCtxSetCurrent(other);
        probe_answer(p, table, row, "end of the context", "%s", probe_result(ended));
        CUresult result = p->drv.cuMemsetD8(block.device, 0x5a, BYTES);
        if (result == CUDA_SUCCESS)
            result = p->drv.cuCtxSynchronize();
        /* Memory of cuMemHostAlloc may be unmapped by now: the CPU must not touch it. */
        bool wrong = result == CUDA_SUCCESS && kind != PROBE_HOSTALLOC &&
                     *((unsigned char *)block.host + BYTES - 1) != 0x5a;
        probe_answer(p, table, row, "use from another context", "%s",
                     wrong ? "wrong bytes" : probe_result(result));
        probe_answer(p, table, row, "its free or unregister", "%s",
                     probe_result(probe_drop(p, &block)));
    } else {
        probe_answer(p, table, row, "end of the context", "%s", block.why);
    }
    p->drv.cuCtxSetCurrent(other);
    p->drv.cuCtxDestroy(other);
    if (reset) {
        p->drv.cuDevicePrimaryCtxRetain(&p->context, p->device);
        p->drv.cuCtxSetCurrent(p->context);
    }
}

void probe_lifetime(struct probe *p)
{
    p->drv.cuModuleUnload(p->module);
    outlive(p, "registered, cuCtxDestroy", PROBE_REGISTERED_4K, false);
    outlive(p, "cuMemHostAlloc, cuCtxDestroy", PROBE_HOSTALLOC, false);
    outlive(p, "registered, cuDevicePrimaryCtxReset", PROBE_REGISTERED_4K, true);
    outlive(p, "cuMemHostAlloc, cuDevicePrimaryCtxReset", PROBE_HOSTALLOC, true);
    p->drv.cuDevicePrimaryCtxRelease(p->device);
}
