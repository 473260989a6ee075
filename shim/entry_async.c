/* entry_async.c: stream-ordered allocation and free.
 *
 * While its stream captures, an allocation or free becomes a node of the graph (cuMemAllocAsync):
 * the driver owns that memory, and is left alone.
 */
#include "shim/caller.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/mempool.h"

/* NULL, CU_STREAM_LEGACY and CU_STREAM_PER_THREAD are no handles. */
#define STREAM_SPECIAL_MAX 2u

/* Does the stream capture? Asked only while some stream does. An error is the driver's answer. */
static CUresult captures(const struct stream_order *order, bool *yes)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUresult r = CUDA_SUCCESS;

    if (unlikely(context_capturing()))
        r = order->per_thread ? driver.cuStreamIsCapturing_ptsz(order->stream, &status)
                              : driver.cuStreamIsCapturing(order->stream, &status);
    *yes = status != CU_STREAM_CAPTURE_STATUS_NONE;
    return r;
}

/* Is the stream the current context's, or of a green context of it? A special stream always is. */
static bool is_of_current_context(CUstream stream)
{
    CUcontext current = NULL, own = NULL;
    CUgreenCtx green;

    return (uintptr_t)stream <= STREAM_SPECIAL_MAX ||
           (driver.cuCtxGetCurrent(&current) == CUDA_SUCCESS &&
            driver.cuStreamGetCtx(stream, &own) == CUDA_SUCCESS &&
            (own == current ||
             (driver.cuStreamGetCtx_v2(stream, &own, &green) == CUDA_SUCCESS && own == current)));
}

/* A pool of another device, of host memory or of another process is the driver's alone. */
static bool is_of_current_device(CUmemoryPool pool)
{
    const struct context *context = context_current();
    return context && mempool_lies_on(pool, context->device);
}

static CUresult alloc_async(CUdeviceptr *dptr, const struct alloc_request *request)
{
    struct alloc_result result;
    bool capturing;
    int saved = shim_enter();
    CUresult r = captures(request->order, &capturing);

    if (r == CUDA_SUCCESS) {
        bool ours = !capturing && is_of_current_context(request->order->stream) &&
                    (!request->pool || is_of_current_device(request->pool));
        r = ours ? core_alloc(request, &result) : backing_device_ask(request, &result);
    }
    shim_leave(saved);
    if (r == CUDA_SUCCESS)
        *dptr = result.address;
    return r;
}

#define ALLOC_ASYNC(suffix, is_per_thread)                                                         \
    CUresult cuMemAllocAsync##suffix(CUdeviceptr *dptr, size_t bytesize, CUstream hStream)         \
    {                                                                                              \
        struct stream_order order = {hStream, is_per_thread};                                      \
        struct alloc_request request = {.bytes = bytesize, .order = &order};                       \
        caller_note_.reached = true;                                                               \
        if (!shim_acts() || !dptr)                                                                 \
            return driver.cuMemAllocAsync##suffix(dptr, bytesize, hStream);                        \
        return alloc_async(dptr, &request);                                                        \
    }                                                                                              \
    CUresult cuMemAllocFromPoolAsync##suffix(CUdeviceptr *dptr, size_t bytesize,                   \
                                             CUmemoryPool pool, CUstream hStream)                  \
    {                                                                                              \
        struct stream_order order = {hStream, is_per_thread};                                      \
        struct alloc_request request = {.bytes = bytesize, .order = &order, .pool = pool};         \
        if (!shim_acts() || !dptr || !pool)                                                        \
            return driver.cuMemAllocFromPoolAsync##suffix(dptr, bytesize, pool, hStream);          \
        return alloc_async(dptr, &request);                                                        \
    }
ALLOC_ASYNC(, false)
ALLOC_ASYNC(_ptsz, true)

static CUresult free_in_stream(CUdeviceptr address, void *arg)
{
    const struct stream_order *order = arg;
    return order->per_thread ? driver.cuMemFreeAsync_ptsz(address, order->stream)
                             : driver.cuMemFreeAsync(address, order->stream);
}

/* Whether this is a stream is the driver's to say. A special stream always is. */
static CUresult is_stream(CUstream stream)
{
    CUcontext own;
    return (uintptr_t)stream <= STREAM_SPECIAL_MAX ? CUDA_SUCCESS
                                                   : driver.cuStreamGetCtx(stream, &own);
}

static CUresult free_async(CUdeviceptr dptr, struct stream_order *order)
{
    struct arena_block block;
    bool capturing = false;
    int saved = shim_enter();
    CUresult r = CUDA_SUCCESS;

    /* "During stream capture, this function results in the creation of a free node and must
     * therefore be passed the address of a graph allocation" (cuMemFreeAsync). */
    if (core_is_ours(dptr, &block)) {
        r = is_stream(order->stream);
        if (r == CUDA_SUCCESS)
            r = captures(order, &capturing);
    }
    if (r == CUDA_SUCCESS)
        r = capturing ? CUDA_ERROR_INVALID_VALUE : core_free(dptr, order, free_in_stream, order);
    shim_leave(saved);
    return r;
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
    if (!shim_acts())
        return driver.cuMemFreeAsync(dptr, hStream);
    return free_async(dptr, &(struct stream_order){hStream, false});
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr dptr, CUstream hStream)
{
    if (!shim_acts())
        return driver.cuMemFreeAsync_ptsz(dptr, hStream);
    return free_async(dptr, &(struct stream_order){hStream, true});
}

/* A new stream may get the handle of one that is gone; a capture ends with its stream. */
static CUresult destroy_stream(CUstream stream, CUresult (*destroy)(CUstream))
{
    struct stream_order order = {stream, false};
    struct context *context = NULL;
    bool capturing = false;
    int saved = shim_enter();

    captures(&order, &capturing);
    if (capturing)
        context = context_of_stream(stream);
    context_forget_stream(stream);
    CUresult r = destroy(stream);
    if (r == CUDA_SUCCESS && capturing)
        context_capture_ended(context);
    shim_leave(saved);
    return r;
}

CUresult cuStreamDestroy(CUstream hStream)
{
    return shim_acts() ? destroy_stream(hStream, driver.cuStreamDestroy)
                       : driver.cuStreamDestroy(hStream);
}

CUresult cuStreamDestroy_v2(CUstream hStream)
{
    return shim_acts() ? destroy_stream(hStream, driver.cuStreamDestroy_v2)
                       : driver.cuStreamDestroy_v2(hStream);
}
