/* entry_context.c: the end of contexts, and stream captures.
 *
 * Memory dies with the context it was allocated in, redirected memory too. The driver goes first:
 * if it refuses, nothing has happened. A thread is not cancelled in between: nobody would ever
 * know.
 */
#include "shim/cancel.h"
#include "shim/context.h"
#include "shim/core.h"
#include "shim/gate.h"
#include "shim/hooks.h"
#include "shim/init.h"

#define DESTROY(symbol)                                                                            \
    CUresult symbol(CUcontext ctx)                                                                 \
    {                                                                                              \
        if (!shim_acts())                                                                          \
            return driver.symbol(ctx);                                                             \
        int saved = shim_enter(), cancel = cancel_defer();                                         \
        context_begin_end(ctx);                                                                    \
        CUresult r = driver.symbol(ctx);                                                           \
        core_context_ended(ctx, r == CUDA_SUCCESS);                                                \
        cancel_allow(cancel);                                                                      \
        shim_leave(saved);                                                                         \
        return r;                                                                                  \
    }
DESTROY(cuCtxDestroy)
DESTROY(cuCtxDestroy_v2)

/* Destroys the context if this was its last use; it is then no longer current. */
CUresult cuCtxDetach(CUcontext ctx)
{
    CUcontext current = NULL;

    if (!shim_acts())
        return driver.cuCtxDetach(ctx);
    int saved = shim_enter(), cancel = cancel_defer();
    context_begin_end(ctx);
    CUresult r = driver.cuCtxDetach(ctx);
    core_context_ended(ctx, r == CUDA_SUCCESS && driver.cuCtxGetCurrent(&current) == CUDA_SUCCESS &&
                                current != ctx);
    cancel_allow(cancel);
    shim_leave(saved);
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

/* The last release destroys the context. */
static bool released(CUdevice dev)
{
    unsigned int flags;
    int active = 1;
    return driver.cuDevicePrimaryCtxGetState(dev, &flags, &active) == CUDA_SUCCESS && !active;
}

/* A reset destroys what is in the context, however many hold it. */
static bool reset(CUdevice dev)
{
    (void)dev;
    return true;
}

/* One thread after the other: whoever was not the last to release it must not take it for alive
 * when another has ended it. */
static CUcontext primary_begins_to_end(struct device *device)
{
    pthread_mutex_lock(&device->ending);
    CUcontext primary = __atomic_load_n(&device->primary, __ATOMIC_ACQUIRE);
    context_begin_end(primary);
    return primary;
}

static void primary_ended(struct device *device, CUcontext primary, bool gone)
{
    core_context_ended(primary, gone);
    pthread_mutex_unlock(&device->ending);
}

static CUresult end_known(struct device *device, CUresult (*end)(CUdevice),
                          bool (*is_gone)(CUdevice))
{
    int cancel = cancel_defer();
    CUcontext primary = primary_begins_to_end(device);
    CUresult r = end(device->handle);

    primary_ended(device, primary, r == CUDA_SUCCESS && is_gone(device->handle));
    cancel_allow(cancel);
    return r;
}

static CUresult end_primary(CUdevice dev, CUresult (*end)(CUdevice), bool (*is_gone)(CUdevice))
{
    struct device *device = device_known(dev);
    int saved = shim_enter();
    CUresult r = device && __atomic_load_n(&device->primary, __ATOMIC_ACQUIRE)
                     ? end_known(device, end, is_gone)
                     : end(dev);

    shim_leave(saved);
    return r;
}

#define PRIMARY(symbol, is_gone)                                                                   \
    CUresult symbol(CUdevice dev)                                                                  \
    {                                                                                              \
        return shim_acts() ? end_primary(dev, driver.symbol, is_gone) : driver.symbol(dev);        \
    }
PRIMARY(cuDevicePrimaryCtxRelease, released)
PRIMARY(cuDevicePrimaryCtxRelease_v2, released)
PRIMARY(cuDevicePrimaryCtxReset, reset)
PRIMARY(cuDevicePrimaryCtxReset_v2, reset)

/* It holds the primary context of its device, which ends with it if nobody else does. Which device
 * that is the driver does not tell. */
CUresult cuGreenCtxDestroy(CUgreenCtx hCtx)
{
    CUcontext primary[DEVICES_MAX] = {0};
    struct device *d;

    if (!shim_acts())
        return driver.cuGreenCtxDestroy(hCtx);
    int saved = shim_enter(), cancel = cancel_defer();
    for (int i = 0; i < DEVICES_MAX; i++)
        if ((d = device_known(i)) && __atomic_load_n(&d->primary, __ATOMIC_ACQUIRE))
            primary[i] = primary_begins_to_end(d);
    CUresult r = driver.cuGreenCtxDestroy(hCtx);
    for (int i = 0; i < DEVICES_MAX; i++)
        if (primary[i] && (d = device_known(i)))
            primary_ended(d, primary[i], r == CUDA_SUCCESS && released(d->handle));
    cancel_allow(cancel);
    shim_leave(saved);
    return r;
}

/* --- captures: while one is under way nothing is synchronised behind the host's back ---------
 * One that is counted and is none would keep everything in VRAM from then on. */

/* Counted before it begins: another thread must not synchronise in between. */
#define CAPTURE(symbol, params, args)                                                              \
    CUresult symbol params                                                                         \
    {                                                                                              \
        gate_freeze(); /* the graph that comes of it: see entry_launch.c */                        \
        if (!shim_acts())                                                                          \
            return driver.symbol args;                                                             \
        int cancel = cancel_defer();                                                               \
        struct context *context = context_of_stream(hStream);                                      \
        context_capture_begins(context);                                                           \
        CUresult r = driver.symbol args;                                                           \
        if (r != CUDA_SUCCESS)                                                                     \
            context_capture_ended(context);                                                        \
        cancel_allow(cancel);                                                                      \
        return r;                                                                                  \
    }
#define BEGIN_V2_PARAMS (CUstream hStream, CUstreamCaptureMode mode)
#define BEGIN_GRAPH_PARAMS                                                                         \
    (CUstream hStream, CUgraph hGraph, const CUgraphNode *dependencies,                            \
     const CUgraphEdgeData *dependencyData, size_t numDependencies, CUstreamCaptureMode mode)
#define BEGIN_GRAPH_ARGS (hStream, hGraph, dependencies, dependencyData, numDependencies, mode)

#define RECAPTURE_PARAMS                                                                           \
    (CUstream hStream, CUstreamCaptureMode mode, CUgraph hGraph,                                   \
     CUgraphRecaptureCallback callbackFunc, void *userData)
#define RECAPTURE_ARGS (hStream, mode, hGraph, callbackFunc, userData)
#define CIG_PARAMS     (CUstream hStream, CUstreamCigCaptureParams * streamCigCaptureParams)

CAPTURE(cuStreamBeginCapture, (CUstream hStream), (hStream))
CAPTURE(cuStreamBeginCapture_ptsz, (CUstream hStream), (hStream))
CAPTURE(cuStreamBeginCapture_v2, BEGIN_V2_PARAMS, (hStream, mode))
CAPTURE(cuStreamBeginCapture_v2_ptsz, BEGIN_V2_PARAMS, (hStream, mode))
CAPTURE(cuStreamBeginCaptureToGraph, BEGIN_GRAPH_PARAMS, BEGIN_GRAPH_ARGS)
CAPTURE(cuStreamBeginCaptureToGraph_ptsz, BEGIN_GRAPH_PARAMS, BEGIN_GRAPH_ARGS)
CAPTURE(cuStreamBeginRecaptureToGraph, RECAPTURE_PARAMS, RECAPTURE_ARGS)
CAPTURE(cuStreamBeginRecaptureToGraph_ptsz, RECAPTURE_PARAMS, RECAPTURE_ARGS)
/* Into a command list of a graphics API, which runs later. */
CAPTURE(cuStreamBeginCaptureToCig, CIG_PARAMS, (hStream, streamCigCaptureParams))
CAPTURE(cuStreamBeginCaptureToCig_ptsz, CIG_PARAMS, (hStream, streamCigCaptureParams))

/* An invalidated or unjoined capture ends here too, with an error (cuStreamEndCapture). */
#define END_CAPTURE(symbol, params, args)                                                          \
    CUresult symbol params                                                                         \
    {                                                                                              \
        if (!shim_acts())                                                                          \
            return driver.symbol args;                                                             \
        int cancel = cancel_defer();                                                               \
        CUresult r = driver.symbol args;                                                           \
        if (r == CUDA_SUCCESS || r == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED ||                     \
            r == CUDA_ERROR_STREAM_CAPTURE_UNJOINED)                                               \
            context_capture_ended(context_of_stream(hStream));                                     \
        cancel_allow(cancel);                                                                      \
        return r;                                                                                  \
    }
END_CAPTURE(cuStreamEndCapture, (CUstream hStream, CUgraph *phGraph), (hStream, phGraph))
END_CAPTURE(cuStreamEndCapture_ptsz, (CUstream hStream, CUgraph *phGraph), (hStream, phGraph))
END_CAPTURE(cuStreamEndCaptureToCig, (CUstream hStream), (hStream))
END_CAPTURE(cuStreamEndCaptureToCig_ptsz, (CUstream hStream), (hStream))
