/* hooks.h: what hooks.def says, as C: prototypes, the real driver's functions, the look-up rows.
 */
#ifndef HYBRIDMEM_HOOKS_H
#define HYBRIDMEM_HOOKS_H

#include "shim/cuda_abi.h"
#include "shim/libraries.h"

#include <stdbool.h>
#include <stddef.h>

#define EXPORT      __attribute__((visibility("default")))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The intercepted functions, under the driver's own names (shim/entry_*.c, shim/resolve.c). */
#define HOOK(group, symbol, base, since, flavour, params, args) EXPORT CUresult symbol params;
#define NVML_HOOK(group, symbol, base, since, params, args)     EXPORT nvmlReturn_t symbol params;
#include "shim/hooks.def"
#undef HOOK

/* Functions of the driver that we call and do not intercept: CALL(symbol, params, args). */
#define DRIVER_CALLS(CALL)                                                                         \
    CALL(cuDeviceGet, (CUdevice * device, int ordinal), (device, ordinal))                         \
    CALL(cuDeviceGetCount, (int *count), (count))                                                  \
    CALL(cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice dev),           \
         (value, attribute, dev))                                                                  \
    CALL(cuDeviceGetUuid, (CUuuid * uuid, CUdevice dev), (uuid, dev))                              \
    CALL(cuDeviceGetUuid_v2, (CUuuid * uuid, CUdevice dev), (uuid, dev))                           \
    CALL(cuArray3DGetDescriptor_v2, (CUDA_ARRAY3D_DESCRIPTOR * descriptor, CUarray array),         \
         (descriptor, array))                                                                      \
    CALL(cuCtxGetCurrent, (CUcontext * ctx), (ctx))                                                \
    CALL(cuCtxGetDevice, (CUdevice * dev), (dev))                                                  \
    CALL(cuCtxPushCurrent_v2, (CUcontext ctx), (ctx))                                              \
    CALL(cuCtxPopCurrent_v2, (CUcontext * ctx), (ctx))                                             \
    CALL(cuCtxSynchronize, (void), ())                                                             \
    CALL(cuCtxRecordEvent, (CUcontext ctx, CUevent event), (ctx, event))                           \
    CALL(cuDevicePrimaryCtxGetState, (CUdevice dev, unsigned int *flags, int *active),             \
         (dev, flags, active))                                                                     \
    CALL(cuMemAddressReserve,                                                                      \
         (CUdeviceptr * ptr, size_t size, size_t alignment, CUdeviceptr at,                        \
          unsigned long long flags),                                                               \
         (ptr, size, alignment, at, flags))                                                        \
    CALL(cuMemGetAllocationGranularity,                                                            \
         (size_t * granularity, const CUmemAllocationProp *prop,                                   \
          CUmemAllocationGranularity_flags option),                                                \
         (granularity, prop, option))                                                              \
    CALL(cuEventCreate, (CUevent * event, unsigned int flags), (event, flags))                     \
    CALL(cuEventDestroy_v2, (CUevent event), (event))                                              \
    CALL(cuEventRecord, (CUevent event, CUstream stream), (event, stream))                         \
    CALL(cuEventRecord_ptsz, (CUevent event, CUstream stream), (event, stream))                    \
    CALL(cuEventQuery, (CUevent event), (event))                                                   \
    CALL(cuStreamCreate, (CUstream * stream, unsigned int flags), (stream, flags))                 \
    CALL(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned int flags),                  \
         (stream, event, flags))                                                                   \
    CALL(cuStreamSynchronize, (CUstream stream), (stream))                                         \
    CALL(cuStreamSynchronize_ptsz, (CUstream stream), (stream))                                    \
    CALL(cuStreamGetCtx, (CUstream stream, CUcontext * ctx), (stream, ctx))                        \
    CALL(cuStreamGetCtx_v2, (CUstream stream, CUcontext * ctx, CUgreenCtx * green),                \
         (stream, ctx, green))                                                                     \
    CALL(cuStreamGetGreenCtx, (CUstream stream, CUgreenCtx * green), (stream, green))              \
    CALL(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode * mode), (mode))                  \
    CALL(cuDeviceGetMemPool, (CUmemoryPool * pool, CUdevice dev), (pool, dev))                     \
    CALL(cuDeviceGetDefaultMemPool, (CUmemoryPool * pool, CUdevice dev), (pool, dev))              \
    CALL(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus * status), (stream, status)) \
    CALL(cuStreamIsCapturing_ptsz, (CUstream stream, CUstreamCaptureStatus * status),              \
         (stream, status))

/* The real driver. Every pointer may be called at any time: before the driver is loaded it leads
 * to a function that loads it, and where the driver lacks the symbol to one that answers
 * CUDA_ERROR_NOT_FOUND. */
struct driver_ops {
#define HOOK(group, symbol, base, since, flavour, params, args) CUresult(*symbol) params;
#define CALL(symbol, params, args)                              CUresult(*symbol) params;
#include "shim/hooks.def"
    DRIVER_CALLS(CALL)
#undef HOOK
#undef CALL
};
extern struct driver_ops driver;

/* The real NVML's functions, NULL where it lacks them. nvml_open() fills them, and the rows of
 * hooks[], once NVML is in the process, and is false while it is not; it loads nothing.
 * Thread-safe. */
struct nvml_ops {
#define HOOK(...)
#define NVML_HOOK(group, symbol, base, since, params, args) nvmlReturn_t(*symbol) params;
#include "shim/hooks.def"
#undef HOOK
    nvmlReturn_t (*nvmlDeviceGetUUID)(nvmlDevice_t device, char *uuid, unsigned int length);
};
extern struct nvml_ops nvml;
bool nvml_open(void);

enum hook_flavour { HOOK_NONE, HOOK_LEGACY, HOOK_PTDS, HOOK_PTSZ };

struct hook {
    const char *symbol;
    const char *base;
    int since;
    enum hook_flavour flavour;
    void *replacement; /* ours */
    void **real;       /* the library's own, a member of `driver` or `nvml` */
    bool present;      /* does the library have it? */
};

enum {
#define HOOK(group, symbol, base, since, flavour, params, args) HOOK_##symbol,
#include "shim/hooks.def"
#undef HOOK
    HOOK_COUNT,
    HOOK_LAST_OF_DRIVER = HOOK_COUNT - 1,
#define HOOK(...)
#define NVML_HOOK(group, symbol, base, since, params, args) HOOK_##symbol,
#include "shim/hooks.def"
#undef HOOK
    HOOK_ROWS
};
/* The driver's HOOK_COUNT rows come first. */
extern struct hook hooks[HOOK_ROWS];

#endif
