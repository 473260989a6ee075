/* entry_context.c: the end of contexts, and stream captures.
 *
 * Memory dies with the context it was allocated in, redirected memory too. The driver goes first:
 * if it refuses, nothing has happened.
 */
#include "shim/context.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"

static CUresult after_destroy(CUresult r, CUcontext ctx)
{
    if (r == CUDA_SUCCESS)
        core_context_gone(ctx);
    return r;
}

#define DESTROY(symbol)                                                                            \
    CUresult symbol(CUcontext ctx)                                                                 \
    {                                                                                              \
        if (!shim_acts())                                                                          \
            return driver.symbol(ctx);                                                             \
        int saved = shim_enter();                                                                  \
        CUresult r = after_destroy(driver.symbol(ctx), ctx);                                       \
        shim_leave(saved);                                                                         \
        return r;                                                                                  \
    }
DESTROY(cuCtxDestroy)
DESTROY(cuCtxDestroy_v2)

/* Destroys the context if this was its last use; it is then no longer current. */
CUresult cuCtxDetach(CUcontext ctx)
{
    CUcontext current = NULL;
    CUresult r = driver.cuCtxDetach(ctx);

    if (r == CUDA_SUCCESS && shim_acts()) {
        int saved = shim_enter();
        if (driver.cuCtxGetCurrent(&current) == CUDA_SUCCESS && current != ctx)
            core_context_gone(ctx);
        shim_leave(saved);
    }
    return r;
}

/* --- primary contexts ------------------------------------------------------------------------ */

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
    CUresult r = driver.cuDevicePrimaryCtxRetain(pctx, dev);

    if (r == CUDA_SUCCESS && shim_acts()) {
        int saved = shim_enter();
        struct device *device = device_get(dev);
        if (device)
            __atomic_store_n(&device->primary, *pctx, __ATOMIC_RELEASE);
        shim_leave(saved);
    }
    return r;
}

static void primary_gone(CUdevice dev)
{
    struct device *device = device_known(dev);
    if (device)
        core_context_gone(__atomic_load_n(&device->primary, __ATOMIC_ACQUIRE));
}

/* The last release destroys the context. */
static CUresult after_release(CUresult r, CUdevice dev)
{
    unsigned int flags;
    int active = 1;

    if (r == CUDA_SUCCESS &&
        driver.cuDevicePrimaryCtxGetState(dev, &flags, &active) == CUDA_SUCCESS && !active)
        primary_gone(dev);
    return r;
}

/* A reset destroys what is in the context, however many hold it. */
static CUresult after_reset(CUresult r, CUdevice dev)
{
    if (r == CUDA_SUCCESS)
        primary_gone(dev);
    return r;
}

#define PRIMARY(symbol, after)                                                                     \
    CUresult symbol(CUdevice dev)                                                                  \
    {                                                                                              \
        if (!shim_acts())                                                                          \
            return driver.symbol(dev);                                                             \
        int saved = shim_enter();                                                                  \
        CUresult r = after(driver.symbol(dev), dev);                                               \
        shim_leave(saved);                                                                         \
        return r;                                                                                  \
    }
PRIMARY(cuDevicePrimaryCtxRelease, after_release)
PRIMARY(cuDevicePrimaryCtxRelease_v2, after_release)
PRIMARY(cuDevicePrimaryCtxReset, after_reset)
PRIMARY(cuDevicePrimaryCtxReset_v2, after_reset)

/* --- captures: while one is under way nothing is synchronised behind the host's back --------- */

#define CAPTURE(symbol, params, args, note)                                                        \
    CUresult symbol params                                                                         \
    {                                                                                              \
        CUresult r = driver.symbol args;                                                           \
        if (r == CUDA_SUCCESS)                                                                     \
            note();                                                                                \
        return r;                                                                                  \
    }
#define BEGIN_V2_PARAMS (CUstream hStream, CUstreamCaptureMode mode)
#define BEGIN_GRAPH_PARAMS                                                                         \
    (CUstream hStream, CUgraph hGraph, const CUgraphNode *dependencies,                            \
     const CUgraphEdgeData *dependencyData, size_t numDependencies, CUstreamCaptureMode mode)
#define BEGIN_GRAPH_ARGS (hStream, hGraph, dependencies, dependencyData, numDependencies, mode)

CAPTURE(cuStreamBeginCapture, (CUstream hStream), (hStream), context_capture_began)
CAPTURE(cuStreamBeginCapture_ptsz, (CUstream hStream), (hStream), context_capture_began)
CAPTURE(cuStreamBeginCapture_v2, BEGIN_V2_PARAMS, (hStream, mode), context_capture_began)
CAPTURE(cuStreamBeginCapture_v2_ptsz, BEGIN_V2_PARAMS, (hStream, mode), context_capture_began)
CAPTURE(cuStreamBeginCaptureToGraph, BEGIN_GRAPH_PARAMS, BEGIN_GRAPH_ARGS, context_capture_began)
CAPTURE(cuStreamBeginCaptureToGraph_ptsz, BEGIN_GRAPH_PARAMS, BEGIN_GRAPH_ARGS,
        context_capture_began)

/* An invalidated or unjoined capture ends here too, with an error (cuStreamEndCapture). */
static CUresult after_end(CUresult r)
{
    if (r == CUDA_SUCCESS || r == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED ||
        r == CUDA_ERROR_STREAM_CAPTURE_UNJOINED)
        context_capture_ended();
    return r;
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph *phGraph)
{
    return after_end(driver.cuStreamEndCapture(hStream, phGraph));
}

CUresult cuStreamEndCapture_ptsz(CUstream hStream, CUgraph *phGraph)
{
    return after_end(driver.cuStreamEndCapture_ptsz(hStream, phGraph));
}
