/* entry_launch.c: launches of kernels, and what fixes addresses for longer than a call takes.
 *
 * The driver does them all. A launch passes the gate: its kernel may use an address behind which
 * memory is about to move. A host function passes it too: the mover's own calls might wait for it,
 * and it for a lock of a thread at the gate.
 *
 * A graph may know, from its making on, what kind of memory an address was; it comes from
 * cuGraphCreate or from a capture (entry_context.c). A stream may wait for a value or an external
 * semaphore that the host has yet to set, in an order that the driver does not see; whoever waited
 * for the device meanwhile might wait for ever ("Improper use of this API may deadlock the
 * application", cuStreamWaitValue32). After the first of either kind nothing moves any more.
 */
#include "shim/core.h"
#include "shim/gate.h"
#include "shim/hooks.h"
#include "shim/init.h"

/* A kernel may need VRAM that the driver has not set aside yet: its code, local memory. */
#define LAUNCH_ROOM (UINT64_C(128) << 20)

static bool make_room(void)
{
    int saved = shim_enter();
    bool came = core_make_room(LAUNCH_ROOM);

    shim_leave(saved);
    return came;
}

/* Two functions, so that the first is a jump. */
#define LAUNCH(symbol, params, args)                                                               \
    static __attribute__((noinline)) CUresult gated_##symbol params                                \
    {                                                                                              \
        CUresult r;                                                                                \
                                                                                                   \
        do {                                                                                       \
            bool entered = gate_enter();                                                           \
            r = driver.symbol args;                                                                \
            gate_leave(entered);                                                                   \
        } while (r == CUDA_ERROR_OUT_OF_MEMORY && make_room());                                    \
        return r;                                                                                  \
    }                                                                                              \
    CUresult symbol params                                                                         \
    {                                                                                              \
        return likely(!gate_is_used()) ? driver.symbol args : gated_##symbol args;                 \
    }
#define LAUNCH2(symbol, params, args)                                                              \
    LAUNCH(symbol, params, args)                                                                   \
    LAUNCH(symbol##_ptsz, params, args)

#define SHAPE_PARAMS                                                                               \
    unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX,   \
        unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes,               \
        CUstream hStream, void **kernelParams
#define SHAPE_ARGS                                                                                 \
    gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes, hStream,        \
        kernelParams

LAUNCH2(cuLaunchKernel, (CUfunction f, SHAPE_PARAMS, void **extra), (f, SHAPE_ARGS, extra))
LAUNCH2(cuLaunchKernelEx,
        (const CUlaunchConfig *config, CUfunction f, void **kernelParams, void **extra),
        (config, f, kernelParams, extra))
LAUNCH2(cuLaunchCooperativeKernel, (CUfunction f, SHAPE_PARAMS), (f, SHAPE_ARGS))
LAUNCH(cuLaunchCooperativeKernelMultiDevice,
       (CUDA_LAUNCH_PARAMS * launchParamsList, unsigned int numDevices, unsigned int flags),
       (launchParamsList, numDevices, flags))
LAUNCH2(cuLaunchHostFunc, (CUstream hStream, CUhostFn fn, void *userData), (hStream, fn, userData))
LAUNCH2(cuLaunchHostFunc_v2, (CUstream hStream, CUhostFn fn, void *userData, unsigned int syncMode),
        (hStream, fn, userData, syncMode))
LAUNCH2(cuStreamAddCallback,
        (CUstream hStream, CUstreamCallback callback, void *userData, unsigned int flags),
        (hStream, callback, userData, flags))
LAUNCH(cuLaunch, (CUfunction f), (f))
LAUNCH(cuLaunchGrid, (CUfunction f, int grid_width, int grid_height), (f, grid_width, grid_height))
LAUNCH(cuLaunchGridAsync, (CUfunction f, int grid_width, int grid_height, CUstream hStream),
       (f, grid_width, grid_height, hStream))

/* A unit of the device's own does it, in the stream. */
LAUNCH2(cuMemBatchDecompressAsync,
        (CUmemDecompressParams * paramsArray, size_t count, unsigned int flags, size_t *errorIndex,
         CUstream stream),
        (paramsArray, count, flags, errorIndex, stream))

/* --- nothing moves afterwards ---------------------------------------------------------------- */

#define FREEZE(symbol, params, args)                                                               \
    CUresult symbol params                                                                         \
    {                                                                                              \
        gate_freeze();                                                                             \
        return driver.symbol args;                                                                 \
    }
#define FREEZE4(symbol, params, args)                                                              \
    FREEZE(symbol, params, args)                                                                   \
    FREEZE(symbol##_ptsz, params, args)                                                            \
    FREEZE(symbol##_v2, params, args)                                                              \
    FREEZE(symbol##_v2_ptsz, params, args)

FREEZE(cuGraphCreate, (CUgraph * phGraph, unsigned int flags), (phGraph, flags))
FREEZE(cuImportExternalSemaphore,
       (CUexternalSemaphore * extSem_out, const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC *semHandleDesc),
       (extSem_out, semHandleDesc))

#define VALUE(symbol, type)                                                                        \
    FREEZE4(symbol, (CUstream hStream, CUdeviceptr addr, type value, unsigned int flags),          \
            (hStream, addr, value, flags))
VALUE(cuStreamWaitValue32, cuuint32_t)
VALUE(cuStreamWaitValue64, cuuint64_t)
VALUE(cuStreamWriteValue32, cuuint32_t)
VALUE(cuStreamWriteValue64, cuuint64_t)
FREEZE4(cuStreamBatchMemOp,
        (CUstream hStream, unsigned int count, CUstreamBatchMemOpParams *paramArray,
         unsigned int flags),
        (hStream, count, paramArray, flags))
