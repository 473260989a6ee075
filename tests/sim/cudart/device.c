/* device.c: devices, streams, events and versions. */
#include "cudart.h"

/* Needs the driver, but no context. */
#define ENTER_DRIVER()                                                                             \
    const struct rt_driver *cu;                                                                    \
    cudaError_t error = rt_driver(flavour, &cu);                                                   \
    if (error != cudaSuccess)                                                                      \
        return error;

cudaError_t rt_cudaGetDeviceCount(enum rt_flavour flavour, int *count)
{
    ENTER_DRIVER()
    return count ? rt_error(cu->cuDeviceGetCount(count)) : cudaErrorInvalidValue;
}

/* The device of the current context, be it the program's own; else the last one set. */
cudaError_t rt_cudaGetDevice(enum rt_flavour flavour, int *device)
{
    CUcontext context = NULL;
    ENTER_DRIVER()

    if (!device)
        return cudaErrorInvalidValue;
    *device = rt_device();
    if (cu->cuCtxGetCurrent(&context) == CUDA_SUCCESS && context)
        return rt_error(cu->cuCtxGetDevice(device));
    return cudaSuccess;
}

cudaError_t rt_cudaSetDevice(enum rt_flavour flavour, int device)
{
    (void)flavour;
    return rt_set_device(device);
}

cudaError_t rt_cudaDeviceGetAttribute(enum rt_flavour flavour, int *value, int attr, int device)
{
    ENTER_DRIVER()
    return rt_error(cu->cuDeviceGetAttribute(value, (CUdevice_attribute)attr, device));
}

cudaError_t rt_cudaDeviceSynchronize(enum rt_flavour flavour)
{
    RT_ENTER()
    return rt_error(cu->cuCtxSynchronize());
}

cudaError_t rt_cudaDeviceReset(enum rt_flavour flavour)
{
    int device = rt_device();
    CUresult result;
    ENTER_DRIVER()

    result = cu->cuCtxSetCurrent(NULL);
    if (result == CUDA_SUCCESS)
        result = cu->cuDevicePrimaryCtxReset(device);
    rt_forget(device);
    return rt_error(result);
}

cudaError_t rt_cudaRuntimeGetVersion(enum rt_flavour flavour, int *version)
{
    (void)flavour;
    if (!version)
        return cudaErrorInvalidValue;
    *version = SIM_CUDART_VERSION;
    return cudaSuccess;
}

/* Zero, and no error, without a driver. */
cudaError_t rt_cudaDriverGetVersion(enum rt_flavour flavour, int *version)
{
    const struct rt_driver *cu;

    if (!version)
        return cudaErrorInvalidValue;
    *version = 0;
    rt_driver(flavour, &cu);
    return cu->cuDriverGetVersion ? rt_error(cu->cuDriverGetVersion(version)) : cudaSuccess;
}

cudaError_t rt_cudaGetDriverEntryPointByVersion(enum rt_flavour flavour, const char *symbol,
                                                void **funcPtr, unsigned int cudaVersion,
                                                unsigned long long flags,
                                                cudaDriverEntryPointQueryResult *driverStatus)
{
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
    CUresult result;
    ENTER_DRIVER()
    (void)cu;

    if (!symbol || !funcPtr)
        return cudaErrorInvalidValue;
    /* Without a flag, the flavour of this entry point itself decides. */
    if (flags == cudaEnableDefault)
        flags =
            flavour == RT_PER_THREAD ? cudaEnablePerThreadDefaultStream : cudaEnableLegacyStream;
    result = rt_look_up(symbol, funcPtr, cudaVersion, flags, &status);
    if (driverStatus)
        *driverStatus = (cudaDriverEntryPointQueryResult)status;
    /* With driverStatus it tells what was not found, and the call itself succeeds. */
    return driverStatus && result == CUDA_ERROR_NOT_FOUND ? cudaSuccess : rt_error(result);
}

cudaError_t rt_cudaGetDriverEntryPoint(enum rt_flavour flavour, const char *symbol, void **funcPtr,
                                       unsigned long long flags,
                                       cudaDriverEntryPointQueryResult *driverStatus)
{
    return rt_cudaGetDriverEntryPointByVersion(flavour, symbol, funcPtr, SIM_CUDART_VERSION, flags,
                                               driverStatus);
}

cudaError_t rt_cudaStreamCreateWithFlags(enum rt_flavour flavour, cudaStream_t *pStream,
                                         unsigned int flags)
{
    RT_ENTER()
    return rt_error(cu->cuStreamCreate(pStream, flags));
}

cudaError_t rt_cudaStreamCreate(enum rt_flavour flavour, cudaStream_t *pStream)
{
    return rt_cudaStreamCreateWithFlags(flavour, pStream, cudaStreamDefault);
}

cudaError_t rt_cudaStreamDestroy(enum rt_flavour flavour, cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuStreamDestroy(stream));
}

cudaError_t rt_cudaStreamSynchronize(enum rt_flavour flavour, cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuStreamSynchronize(stream));
}

cudaError_t rt_cudaStreamQuery(enum rt_flavour flavour, cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuStreamQuery(stream));
}

cudaError_t rt_cudaStreamWaitEvent(enum rt_flavour flavour, cudaStream_t stream, cudaEvent_t event,
                                   unsigned int flags)
{
    RT_ENTER()
    return rt_error(cu->cuStreamWaitEvent(stream, event, flags));
}

cudaError_t rt_cudaLaunchHostFunc(enum rt_flavour flavour, cudaStream_t stream, cudaHostFn_t fn,
                                  void *userData)
{
    RT_ENTER()
    return rt_error(cu->cuLaunchHostFunc(stream, fn, userData));
}

cudaError_t rt_cudaEventCreateWithFlags(enum rt_flavour flavour, cudaEvent_t *event,
                                        unsigned int flags)
{
    RT_ENTER()
    return rt_error(cu->cuEventCreate(event, flags));
}

cudaError_t rt_cudaEventCreate(enum rt_flavour flavour, cudaEvent_t *event)
{
    return rt_cudaEventCreateWithFlags(flavour, event, cudaEventDefault);
}

cudaError_t rt_cudaEventDestroy(enum rt_flavour flavour, cudaEvent_t event)
{
    RT_ENTER()
    return rt_error(cu->cuEventDestroy(event));
}

cudaError_t rt_cudaEventRecord(enum rt_flavour flavour, cudaEvent_t event, cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuEventRecord(event, stream));
}

cudaError_t rt_cudaEventQuery(enum rt_flavour flavour, cudaEvent_t event)
{
    RT_ENTER()
    return rt_error(cu->cuEventQuery(event));
}

cudaError_t rt_cudaEventSynchronize(enum rt_flavour flavour, cudaEvent_t event)
{
    RT_ENTER()
    return rt_error(cu->cuEventSynchronize(event));
}

cudaError_t rt_cudaEventElapsedTime(enum rt_flavour flavour, float *ms, cudaEvent_t start,
                                    cudaEvent_t end)
{
    RT_ENTER()
    return rt_error(cu->cuEventElapsedTime(ms, start, end));
}
