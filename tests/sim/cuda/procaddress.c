/* procaddress.c: cuGetProcAddress: base name, version and flags to a function. */
#include "impl.h"
#include "sim.h"

#define SIM_ROW(symbol, base, since, flavour, needs, params, args, call)                           \
    {#base, since, flavour, (void *)symbol},
static const struct row {
    const char *base;
    int since;
    enum flavour flavour;
    void *function;
} rows[] = {
#include "symbols.def"
};

/* The newest version of `base` that this driver has and `version` covers; a per-thread function
 * before a legacy one where that was asked for. Source: cuGetProcAddress, "Driver Entry Point
 * Access" in the driver API reference. */
static const struct row *find(const char *base, int version, bool per_thread, bool *known)
{
    const struct row *best = NULL;

    *known = false;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        bool is_pt = row->flavour == FLAVOUR_PTDS || row->flavour == FLAVOUR_PTSZ;
        bool best_is_pt = best && (best->flavour == FLAVOUR_PTDS || best->flavour == FLAVOUR_PTSZ);

        if (strcmp(row->base, base) || row->since > sim_driver_version)
            continue;
        *known = true;
        if (row->since > version || (is_pt && !per_thread))
            continue;
        if (!best || is_pt > best_is_pt || (is_pt == best_is_pt && row->since > best->since))
            best = row;
    }
    return best;
}

CUresult sim_proc_address(const char *symbol, void **function, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status, CUresult absent)
{
    const struct row *row;
    bool known;

    if (!symbol || !function ||
        (flags & ~(cuuint64_t)(CU_GET_PROC_ADDRESS_LEGACY_STREAM |
                               CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)) ||
        flags ==
            (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) ||
        version > sim_driver_version)
        return CUDA_ERROR_INVALID_VALUE;
    row = find(symbol, version, flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &known);
    *function = row ? row->function : NULL;
    if (status)
        *status = row     ? CU_GET_PROC_ADDRESS_SUCCESS
                  : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                          : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return row ? CUDA_SUCCESS : absent;
}
