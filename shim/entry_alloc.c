/* entry_alloc.c: synchronous allocation and every free. */
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
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
    return core_free(dptr, free_now, NULL);
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

/* A stream-ordered free of what cuMemAlloc gave is legal. A redirected block waits, like one freed
 * synchronously, until the context has been idle after this call: later than stream order asks. */

typedef CUresult is_capturing_fn(CUstream stream, CUstreamCaptureStatus *status);

struct stream_free {
    CUresult (*how)(CUdeviceptr address, CUstream stream);
    CUstream stream;
};

static CUresult free_in_stream(CUdeviceptr address, void *arg)
{
    const struct stream_free *f = arg;
    return f->how(address, f->stream);
}

static CUresult free_async(CUdeviceptr dptr, struct stream_free *f, is_capturing_fn *is_capturing)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    struct arena_block block;

    /* "During stream capture, this function results in the creation of a free node and must
     * therefore be passed the address of a graph allocation" (cuMemFreeAsync). */
    if (context_capturing() && core_is_ours(dptr, &block)) {
        CUresult r = is_capturing(f->stream, &status);
        if (r != CUDA_SUCCESS)
            return r;
        if (status == CU_STREAM_CAPTURE_STATUS_ACTIVE)
            return CUDA_ERROR_INVALID_VALUE;
    }
    return core_free(dptr, free_in_stream, f);
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
    if (!shim_acts())
        return driver.cuMemFreeAsync(dptr, hStream);
    int saved = shim_enter();
    CUresult r = free_async(dptr, &(struct stream_free){driver.cuMemFreeAsync, hStream},
                            driver.cuStreamIsCapturing);
    shim_leave(saved);
    return r;
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr dptr, CUstream hStream)
{
    if (!shim_acts())
        return driver.cuMemFreeAsync_ptsz(dptr, hStream);
    int saved = shim_enter();
    CUresult r = free_async(dptr, &(struct stream_free){driver.cuMemFreeAsync_ptsz, hStream},
                            driver.cuStreamIsCapturing_ptsz);
    shim_leave(saved);
    return r;
}
