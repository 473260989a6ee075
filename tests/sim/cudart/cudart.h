/* cudart.h: inside the simulated runtime.
 *
 * It reaches the driver as NVIDIA's does: dlopen("libcuda.so.1"), dlsym for cuGetProcAddress(_v2),
 * and all else from that by base name, version and flags. There are two tables, since the
 * per-thread entry points ask with the per-thread flag and get other functions for the same names.
 */
#ifndef SIM_CUDART_H
#define SIM_CUDART_H

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <stdbool.h>

#define RT_API __attribute__((visibility("default")))

/* X(symbol whose type it has, base name) */
#define RT_DRIVER(X)                                                                               \
    X(cuInit, cuInit)                                                                              \
    X(cuDriverGetVersion, cuDriverGetVersion)                                                      \
    X(cuDeviceGet, cuDeviceGet)                                                                    \
    X(cuDeviceGetCount, cuDeviceGetCount)                                                          \
    X(cuDeviceGetAttribute, cuDeviceGetAttribute)                                                  \
    X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain)                                          \
    X(cuDevicePrimaryCtxReset_v2, cuDevicePrimaryCtxReset)                                         \
    X(cuCtxGetCurrent, cuCtxGetCurrent)                                                            \
    X(cuCtxSetCurrent, cuCtxSetCurrent)                                                            \
    X(cuCtxGetDevice, cuCtxGetDevice)                                                              \
    X(cuCtxSynchronize, cuCtxSynchronize)                                                          \
    X(cuMemAlloc_v2, cuMemAlloc)                                                                   \
    X(cuMemAllocPitch_v2, cuMemAllocPitch)                                                         \
    X(cuMemAllocManaged, cuMemAllocManaged)                                                        \
    X(cuMemAllocAsync, cuMemAllocAsync)                                                            \
    X(cuMemFree_v2, cuMemFree)                                                                     \
    X(cuMemFreeAsync, cuMemFreeAsync)                                                              \
    X(cuMemHostAlloc, cuMemHostAlloc)                                                              \
    X(cuMemFreeHost, cuMemFreeHost)                                                                \
    X(cuMemHostRegister_v2, cuMemHostRegister)                                                     \
    X(cuMemHostUnregister, cuMemHostUnregister)                                                    \
    X(cuMemHostGetDevicePointer_v2, cuMemHostGetDevicePointer)                                     \
    X(cuMemGetInfo_v2, cuMemGetInfo)                                                               \
    X(cuPointerGetAttributes, cuPointerGetAttributes)                                              \
    X(cuMemcpy, cuMemcpy)                                                                          \
    X(cuMemcpyAsync, cuMemcpyAsync)                                                                \
    X(cuMemcpyHtoD_v2, cuMemcpyHtoD)                                                               \
    X(cuMemcpyDtoH_v2, cuMemcpyDtoH)                                                               \
    X(cuMemcpyDtoD_v2, cuMemcpyDtoD)                                                               \
    X(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync)                                                     \
    X(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync)                                                     \
    X(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync)                                                     \
    X(cuMemcpy2DUnaligned_v2, cuMemcpy2DUnaligned)                                                 \
    X(cuMemcpy2DAsync_v2, cuMemcpy2DAsync)                                                         \
    X(cuMemsetD8_v2, cuMemsetD8)                                                                   \
    X(cuMemsetD8Async, cuMemsetD8Async)                                                            \
    X(cuMemsetD2D8_v2, cuMemsetD2D8)                                                               \
    X(cuStreamCreate, cuStreamCreate)                                                              \
    X(cuStreamDestroy_v2, cuStreamDestroy)                                                         \
    X(cuStreamSynchronize, cuStreamSynchronize)                                                    \
    X(cuStreamQuery, cuStreamQuery)                                                                \
    X(cuStreamWaitEvent, cuStreamWaitEvent)                                                        \
    X(cuEventCreate, cuEventCreate)                                                                \
    X(cuEventDestroy_v2, cuEventDestroy)                                                           \
    X(cuEventRecord, cuEventRecord)                                                                \
    X(cuEventQuery, cuEventQuery)                                                                  \
    X(cuEventSynchronize, cuEventSynchronize)                                                      \
    X(cuEventElapsedTime, cuEventElapsedTime)                                                      \
    X(cuLaunchHostFunc, cuLaunchHostFunc)

struct rt_driver {
#define RT_MEMBER(symbol, base) __typeof__(&symbol) base;
    RT_DRIVER(RT_MEMBER)
#undef RT_MEMBER
};

enum rt_flavour { RT_LEGACY, RT_PER_THREAD };

/* Finds the driver once; *driver is its table. cudaErrorInsufficientDriver without a driver that
 * is new enough for this runtime (SIM_CUDART_VERSION). Makes no context. */
cudaError_t rt_driver(enum rt_flavour flavour, const struct rt_driver **driver);

/* The same, and makes the calling thread's device's primary context current unless a context is. */
cudaError_t rt_context(enum rt_flavour flavour, const struct rt_driver **driver);

/* cuGetProcAddress as the driver's own; `version` is capped by what the driver answers. */
CUresult rt_look_up(const char *symbol, void **fn, unsigned int version, unsigned long long flags,
                    CUdriverProcAddressQueryResult *status);

/* Forgets that a device's primary context was retained (after a reset). */
void rt_forget(int device);
int rt_device(void);
cudaError_t rt_set_device(int device);

/* Remembers an error for cudaGetLastError; returns it. */
cudaError_t rt_note(cudaError_t error);

/* Driver results and runtime errors have had equal values since CUDA 10.1 (driver_types.h). */
static inline cudaError_t rt_error(CUresult result)
{
    return (cudaError_t)result;
}

/* Each entry point NAME is a function rt_NAME(flavour, ...) in some file; entry.c exports it. */
#define RT_STRIP_(...) __VA_ARGS__
#define RT_DECLARE(name, params, args)                                                             \
    cudaError_t rt_##name(enum rt_flavour flavour, RT_STRIP_ params);
#define RT_DECLARE_VOID(name) cudaError_t rt_##name(enum rt_flavour flavour);
CUDART_VOID(RT_DECLARE_VOID)
CUDART_PLAIN(RT_DECLARE)
CUDART_PTSZ(RT_DECLARE)
CUDART_PTDS(RT_DECLARE)

/* What most entry points begin with: `cu` becomes the driver's table, a context is current. */
#define RT_ENTER()                                                                                 \
    const struct rt_driver *cu;                                                                    \
    cudaError_t error = rt_context(flavour, &cu);                                                  \
    if (error != cudaSuccess)                                                                      \
        return error;

#endif
