/* entry_alloc.c: synchronous allocation. */
#include "shim/caller.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
    caller_note_.reached = true;
    if (!shim_acts() || !dptr)
        return driver.cuMemAlloc_v2(dptr, bytesize);

    struct alloc_request request = {.bytes = bytesize};
    struct alloc_result result;
    int saved = shim_enter();
    CUresult r = core_alloc(&request, &result);
    shim_leave(saved);
    if (r == CUDA_SUCCESS)
        *dptr = result.address;
    return r;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes, size_t Height,
                            unsigned int ElementSizeBytes)
{
    caller_note_.reached = true;
    if (!shim_acts() || !dptr || !pPitch)
        return driver.cuMemAllocPitch_v2(dptr, pPitch, WidthInBytes, Height, ElementSizeBytes);

    struct alloc_request request = {
        .pitched = true, .width = WidthInBytes, .height = Height, .element = ElementSizeBytes};
    struct alloc_result result;
    int saved = shim_enter();
    CUresult r = core_alloc(&request, &result);
    shim_leave(saved);
    if (r == CUDA_SUCCESS) {
        *dptr = result.address;
        *pPitch = result.pitch;
    }
    return r;
}

/* Counted only: the driver moves managed memory by itself. */
CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned int flags)
{
    CUresult r = driver.cuMemAllocManaged(dptr, bytesize, flags);

    if (r == CUDA_SUCCESS && shim_acts()) {
        struct context *context = context_current();
        if (context)
            backing_device_note_managed(context, *dptr, bytesize);
    }
    return r;
}

static CUresult free_now(CUdeviceptr address, void *arg)
{
    (void)arg;
    return driver.cuMemFree_v2(address);
}

/* While a stream captures, a thread may be forbidden to free (cuThreadExchangeStreamCaptureMode).
 * Only the driver knows, and says so of freeing nothing as well. */
static CUresult free_checked(CUdeviceptr dptr)
{
    struct arena_block block;

    if (unlikely(context_capturing()) && core_is_ours(dptr, &block)) {
        CUresult r = driver.cuMemFree_v2(0);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return core_free(dptr, NULL, free_now, NULL);
}

CUresult cuMemFree_v2(CUdeviceptr dptr)
{
    if (!shim_acts())
        return driver.cuMemFree_v2(dptr);
    int saved = shim_enter();
    CUresult r = free_checked(dptr);
    shim_leave(saved);
    return r;
}
