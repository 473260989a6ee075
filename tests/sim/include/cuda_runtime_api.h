/* cuda_runtime_api.h: what the simulated runtime offers, under the names, values and layouts of the
 * public CUDA 12 runtime documentation, so that a program compiles with this header and with
 * NVIDIA's. CUDA_API_PER_THREAD_DEFAULT_STREAM selects the per-thread entry points.
 */
#ifndef SIM_CUDA_RUNTIME_API_H
#define SIM_CUDA_RUNTIME_API_H

#include <stddef.h>

#define CUDART_VERSION 12050

/* X(name, value, text) */
#define CUDART_ERRORS(X)                                                                           \
    X(cudaSuccess, 0, "no error")                                                                  \
    X(cudaErrorInvalidValue, 1, "invalid argument")                                                \
    X(cudaErrorMemoryAllocation, 2, "out of memory")                                               \
    X(cudaErrorInitializationError, 3, "initialization error")                                     \
    X(cudaErrorCudartUnloading, 4, "driver shutting down")                                         \
    X(cudaErrorInvalidPitchValue, 12, "invalid pitch argument")                                    \
    X(cudaErrorInvalidMemcpyDirection, 21, "invalid copy direction for memcpy")                    \
    X(cudaErrorInsufficientDriver, 35,                                                             \
      "CUDA driver version is insufficient for CUDA runtime "                                      \
      "version")                                                                                   \
    X(cudaErrorStubLibrary, 34, "CUDA driver is a stub library")                                   \
    X(cudaErrorNoDevice, 100, "no CUDA-capable device is detected")                                \
    X(cudaErrorInvalidDevice, 101, "invalid device ordinal")                                       \
    X(cudaErrorInvalidKernelImage, 200, "device kernel image is invalid")                          \
    X(cudaErrorDeviceUninitialized, 201, "invalid device context")                                 \
    X(cudaErrorNoKernelImageForDevice, 209,                                                        \
      "no kernel image is available for execution on the "                                         \
      "device")                                                                                    \
    X(cudaErrorInvalidPtx, 218, "a PTX JIT compilation failed")                                    \
    X(cudaErrorSharedObjectInitFailed, 303, "shared object initialization failed")                 \
    X(cudaErrorOperatingSystem, 304, "OS call failed or operation not supported on this OS")       \
    X(cudaErrorInvalidResourceHandle, 400, "invalid resource handle")                              \
    X(cudaErrorIllegalState, 401, "the operation cannot be performed in the present state")        \
    X(cudaErrorSymbolNotFound, 500, "named symbol not found")                                      \
    X(cudaErrorNotReady, 600, "device not ready")                                                  \
    X(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered")                    \
    X(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch")               \
    X(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated")                      \
    X(cudaErrorPeerAccessAlreadyEnabled, 704, "peer access is already enabled")                    \
    X(cudaErrorPeerAccessNotEnabled, 705, "peer access has not been enabled")                      \
    X(cudaErrorSetOnActiveProcess, 708, "cannot set while device is active in this process")       \
    X(cudaErrorContextIsDestroyed, 709, "context is destroyed")                                    \
    X(cudaErrorHostMemoryAlreadyRegistered, 712,                                                   \
      "part or all of the requested memory range is "                                              \
      "already mapped")                                                                            \
    X(cudaErrorHostMemoryNotRegistered, 713,                                                       \
      "pointer does not correspond to a registered memory "                                        \
      "region")                                                                                    \
    X(cudaErrorLaunchFailure, 719, "unspecified launch failure")                                   \
    X(cudaErrorNotPermitted, 800, "operation not permitted")                                       \
    X(cudaErrorNotSupported, 801, "operation not supported")                                       \
    X(cudaErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing")  \
    X(cudaErrorStreamCaptureInvalidated, 901,                                                      \
      "operation failed due to a previous error during "                                           \
      "capture")                                                                                   \
    X(cudaErrorStreamCaptureMerge, 902,                                                            \
      "operation would result in a merge of separate capture "                                     \
      "sequences")                                                                                 \
    X(cudaErrorStreamCaptureUnmatched, 903,                                                        \
      "capture was not ended in the same stream as it "                                            \
      "began")                                                                                     \
    X(cudaErrorStreamCaptureUnjoined, 904, "capturing stream has unjoined work")                   \
    X(cudaErrorStreamCaptureIsolation, 905,                                                        \
      "dependency created on uncaptured work in another "                                          \
      "stream")                                                                                    \
    X(cudaErrorStreamCaptureImplicit, 906,                                                         \
      "operation would make the legacy stream depend on a "                                        \
      "capturing blocking stream")                                                                 \
    X(cudaErrorCapturedEvent, 907,                                                                 \
      "operation not permitted on an event last recorded in a "                                    \
      "capturing stream")                                                                          \
    X(cudaErrorStreamCaptureWrongThread, 908,                                                      \
      "attempt to terminate a thread-local capture "                                               \
      "sequence from another thread")                                                              \
    X(cudaErrorUnknown, 999, "unknown error")

#define CUDART_ERROR_MEMBER(name, value, text) name = (value),
typedef enum cudaError { CUDART_ERRORS(CUDART_ERROR_MEMBER) } cudaError_t;
#undef CUDART_ERROR_MEMBER

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};

enum cudaMemoryType {
    cudaMemoryTypeUnregistered = 0,
    cudaMemoryTypeHost = 1,
    cudaMemoryTypeDevice = 2,
    cudaMemoryTypeManaged = 3,
};

enum cudaDriverEntryPointQueryResult {
    cudaDriverEntryPointSuccess = 0,
    cudaDriverEntryPointSymbolNotFound = 1,
    cudaDriverEntryPointVersionNotSufficent = 2, /* spelt as in NVIDIA's */
};
typedef enum cudaDriverEntryPointQueryResult cudaDriverEntryPointQueryResult;

struct cudaPointerAttributes {
    enum cudaMemoryType type;
    int device;
    void *devicePointer;
    void *hostPointer;
};

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef void (*cudaHostFn_t)(void *userData);

#define cudaHostAllocDefault             0x00
#define cudaHostAllocPortable            0x01
#define cudaHostAllocMapped              0x02
#define cudaHostAllocWriteCombined       0x04
#define cudaHostRegisterDefault          0x00
#define cudaHostRegisterPortable         0x01
#define cudaHostRegisterMapped           0x02
#define cudaMemAttachGlobal              0x01
#define cudaMemAttachHost                0x02
#define cudaStreamDefault                0x00
#define cudaStreamNonBlocking            0x01
#define cudaStreamLegacy                 ((cudaStream_t)0x1)
#define cudaStreamPerThread              ((cudaStream_t)0x2)
#define cudaEventDefault                 0x00
#define cudaEventBlockingSync            0x01
#define cudaEventDisableTiming           0x02
#define cudaEnableDefault                0x0
#define cudaEnableLegacyStream           0x1
#define cudaEnablePerThreadDefaultStream 0x2

/* The list of entry points: X(name, parameters, arguments). */
#define CUDART_PLAIN(X)                                                                            \
    X(cudaMalloc, (void **devPtr, size_t size), (devPtr, size))                                    \
    X(cudaFree, (void *devPtr), (devPtr))                                                          \
    X(cudaMallocPitch, (void **devPtr, size_t *pitch, size_t width, size_t height),                \
      (devPtr, pitch, width, height))                                                              \
    X(cudaMallocHost, (void **ptr, size_t size), (ptr, size))                                      \
    X(cudaHostAlloc, (void **pHost, size_t size, unsigned int flags), (pHost, size, flags))        \
    X(cudaFreeHost, (void *ptr), (ptr))                                                            \
    X(cudaHostRegister, (void *ptr, size_t size, unsigned int flags), (ptr, size, flags))          \
    X(cudaHostUnregister, (void *ptr), (ptr))                                                      \
    X(cudaHostGetDevicePointer, (void **pDevice, void *pHost, unsigned int flags),                 \
      (pDevice, pHost, flags))                                                                     \
    X(cudaMallocManaged, (void **devPtr, size_t size, unsigned int flags), (devPtr, size, flags))  \
    X(cudaMemGetInfo, (size_t * free, size_t * total), (free, total))                              \
    X(cudaGetDevice, (int *device), (device))                                                      \
    X(cudaSetDevice, (int device), (device))                                                       \
    X(cudaGetDeviceCount, (int *count), (count))                                                   \
    X(cudaDeviceGetAttribute, (int *value, int attr, int device), (value, attr, device))           \
    X(cudaStreamCreate, (cudaStream_t * pStream), (pStream))                                       \
    X(cudaStreamCreateWithFlags, (cudaStream_t * pStream, unsigned int flags), (pStream, flags))   \
    X(cudaStreamDestroy, (cudaStream_t stream), (stream))                                          \
    X(cudaEventCreate, (cudaEvent_t * event), (event))                                             \
    X(cudaEventCreateWithFlags, (cudaEvent_t * event, unsigned int flags), (event, flags))         \
    X(cudaEventDestroy, (cudaEvent_t event), (event))                                              \
    X(cudaEventQuery, (cudaEvent_t event), (event))                                                \
    X(cudaEventSynchronize, (cudaEvent_t event), (event))                                          \
    X(cudaEventElapsedTime, (float *ms, cudaEvent_t start, cudaEvent_t end), (ms, start, end))     \
    X(cudaPointerGetAttributes, (struct cudaPointerAttributes * attributes, const void *ptr),      \
      (attributes, ptr))                                                                           \
    X(cudaRuntimeGetVersion, (int *version), (version))                                            \
    X(cudaDriverGetVersion, (int *version), (version))

/* These have a per-thread flavour: name##_ptsz, or name##_ptds where they take no stream. */
#define CUDART_PTSZ(X)                                                                             \
    X(cudaMallocAsync, (void **devPtr, size_t size, cudaStream_t stream), (devPtr, size, stream))  \
    X(cudaFreeAsync, (void *devPtr, cudaStream_t stream), (devPtr, stream))                        \
    X(cudaMemcpyAsync,                                                                             \
      (void *dst, const void *src, size_t count, enum cudaMemcpyKind kind, cudaStream_t stream),   \
      (dst, src, count, kind, stream))                                                             \
    X(cudaMemcpy2DAsync,                                                                           \
      (void *dst, size_t dpitch, const void *src, size_t spitch, size_t width, size_t height,      \
       enum cudaMemcpyKind kind, cudaStream_t stream),                                             \
      (dst, dpitch, src, spitch, width, height, kind, stream))                                     \
    X(cudaMemsetAsync, (void *devPtr, int value, size_t count, cudaStream_t stream),               \
      (devPtr, value, count, stream))                                                              \
    X(cudaStreamSynchronize, (cudaStream_t stream), (stream))                                      \
    X(cudaStreamQuery, (cudaStream_t stream), (stream))                                            \
    X(cudaStreamWaitEvent, (cudaStream_t stream, cudaEvent_t event, unsigned int flags),           \
      (stream, event, flags))                                                                      \
    X(cudaEventRecord, (cudaEvent_t event, cudaStream_t stream), (event, stream))                  \
    X(cudaLaunchHostFunc, (cudaStream_t stream, cudaHostFn_t fn, void *userData),                  \
      (stream, fn, userData))                                                                      \
    X(cudaGetDriverEntryPoint,                                                                     \
      (const char *symbol, void **funcPtr, unsigned long long flags,                               \
       cudaDriverEntryPointQueryResult *driverStatus),                                             \
      (symbol, funcPtr, flags, driverStatus))                                                      \
    X(cudaGetDriverEntryPointByVersion,                                                            \
      (const char *symbol, void **funcPtr, unsigned int cudaVersion, unsigned long long flags,     \
       cudaDriverEntryPointQueryResult *driverStatus),                                             \
      (symbol, funcPtr, cudaVersion, flags, driverStatus))

#define CUDART_PTDS(X)                                                                             \
    X(cudaMemcpy, (void *dst, const void *src, size_t count, enum cudaMemcpyKind kind),            \
      (dst, src, count, kind))                                                                     \
    X(cudaMemcpy2D,                                                                                \
      (void *dst, size_t dpitch, const void *src, size_t spitch, size_t width, size_t height,      \
       enum cudaMemcpyKind kind),                                                                  \
      (dst, dpitch, src, spitch, width, height, kind))                                             \
    X(cudaMemset, (void *devPtr, int value, size_t count), (devPtr, value, count))                 \
    X(cudaMemset2D, (void *devPtr, size_t pitch, int value, size_t width, size_t height),          \
      (devPtr, pitch, value, width, height))

#define CUDART_VOID(X)                                                                             \
    X(cudaDeviceSynchronize)                                                                       \
    X(cudaDeviceReset)

#define CUDART_DECLARE(name, params, args) cudaError_t name params;
#define CUDART_DECLARE_PTSZ(name, params, args)                                                    \
    cudaError_t name params;                                                                       \
    cudaError_t name##_ptsz params;
#define CUDART_DECLARE_PTDS(name, params, args)                                                    \
    cudaError_t name params;                                                                       \
    cudaError_t name##_ptds params;
#define CUDART_DECLARE_VOID(name) cudaError_t name(void);
CUDART_VOID(CUDART_DECLARE_VOID)
CUDART_PLAIN(CUDART_DECLARE)
CUDART_PTSZ(CUDART_DECLARE_PTSZ)
CUDART_PTDS(CUDART_DECLARE_PTDS)

cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorString(cudaError_t error);
const char *cudaGetErrorName(cudaError_t error);

#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
#define cudaMallocAsync                  cudaMallocAsync_ptsz
#define cudaFreeAsync                    cudaFreeAsync_ptsz
#define cudaMemcpyAsync                  cudaMemcpyAsync_ptsz
#define cudaMemcpy2DAsync                cudaMemcpy2DAsync_ptsz
#define cudaMemsetAsync                  cudaMemsetAsync_ptsz
#define cudaStreamSynchronize            cudaStreamSynchronize_ptsz
#define cudaStreamQuery                  cudaStreamQuery_ptsz
#define cudaStreamWaitEvent              cudaStreamWaitEvent_ptsz
#define cudaEventRecord                  cudaEventRecord_ptsz
#define cudaLaunchHostFunc               cudaLaunchHostFunc_ptsz
#define cudaGetDriverEntryPoint          cudaGetDriverEntryPoint_ptsz
#define cudaGetDriverEntryPointByVersion cudaGetDriverEntryPointByVersion_ptsz
#define cudaMemcpy                       cudaMemcpy_ptds
#define cudaMemcpy2D                     cudaMemcpy2D_ptds
#define cudaMemset                       cudaMemset_ptds
#define cudaMemset2D                     cudaMemset2D_ptds
#endif

#endif
