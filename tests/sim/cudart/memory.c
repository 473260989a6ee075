/* memory.c: allocation, host memory and pointer queries. */
#include "cudart.h"

cudaError_t rt_cudaMalloc(enum rt_flavour flavour, void **devPtr, size_t size)
{
    RT_ENTER()
    if (!devPtr)
        return cudaErrorInvalidValue;
    *devPtr = NULL;
    return size ? rt_error(cu->cuMemAlloc((CUdeviceptr *)devPtr, size)) : cudaSuccess;
}

cudaError_t rt_cudaFree(enum rt_flavour flavour, void *devPtr)
{
    RT_ENTER()
    return devPtr ? rt_error(cu->cuMemFree((CUdeviceptr)devPtr)) : cudaSuccess;
}

cudaError_t rt_cudaMallocPitch(enum rt_flavour flavour, void **devPtr, size_t *pitch, size_t width,
                               size_t height)
{
    RT_ENTER()
    if (!devPtr || !pitch)
        return cudaErrorInvalidValue;
    *devPtr = NULL;
    *pitch = 0;
    if (!width || !height)
        return cudaSuccess;
    return rt_error(cu->cuMemAllocPitch((CUdeviceptr *)devPtr, pitch, width, height, 4));
}

cudaError_t rt_cudaMallocManaged(enum rt_flavour flavour, void **devPtr, size_t size,
                                 unsigned int flags)
{
    RT_ENTER()
    return rt_error(cu->cuMemAllocManaged((CUdeviceptr *)devPtr, size, flags));
}

cudaError_t rt_cudaMallocAsync(enum rt_flavour flavour, void **devPtr, size_t size,
                               cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuMemAllocAsync((CUdeviceptr *)devPtr, size, stream));
}

cudaError_t rt_cudaFreeAsync(enum rt_flavour flavour, void *devPtr, cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuMemFreeAsync((CUdeviceptr)devPtr, stream));
}

cudaError_t rt_cudaHostAlloc(enum rt_flavour flavour, void **pHost, size_t size, unsigned int flags)
{
    RT_ENTER()
    if (!pHost)
        return cudaErrorInvalidValue;
    *pHost = NULL;
    return size ? rt_error(cu->cuMemHostAlloc(pHost, size, flags)) : cudaSuccess;
}

cudaError_t rt_cudaMallocHost(enum rt_flavour flavour, void **ptr, size_t size)
{
    return rt_cudaHostAlloc(flavour, ptr, size, cudaHostAllocDefault);
}

cudaError_t rt_cudaFreeHost(enum rt_flavour flavour, void *ptr)
{
    RT_ENTER()
    return ptr ? rt_error(cu->cuMemFreeHost(ptr)) : cudaSuccess;
}

cudaError_t rt_cudaHostRegister(enum rt_flavour flavour, void *ptr, size_t size, unsigned int flags)
{
    RT_ENTER()
    return rt_error(cu->cuMemHostRegister(ptr, size, flags));
}

cudaError_t rt_cudaHostUnregister(enum rt_flavour flavour, void *ptr)
{
    RT_ENTER()
    return rt_error(cu->cuMemHostUnregister(ptr));
}

cudaError_t rt_cudaHostGetDevicePointer(enum rt_flavour flavour, void **pDevice, void *pHost,
                                        unsigned int flags)
{
    RT_ENTER()
    return rt_error(cu->cuMemHostGetDevicePointer((CUdeviceptr *)pDevice, pHost, flags));
}

cudaError_t rt_cudaMemGetInfo(enum rt_flavour flavour, size_t *free_bytes, size_t *total)
{
    RT_ENTER()
    return rt_error(cu->cuMemGetInfo(free_bytes, total));
}

/* Since CUDA 11, memory that CUDA does not know is "unregistered", not an error. */
cudaError_t rt_cudaPointerGetAttributes(enum rt_flavour flavour,
                                        struct cudaPointerAttributes *attributes, const void *ptr)
{
    CUmemorytype type = 0;
    unsigned int managed = 0;
    int ordinal = -2;
    CUdeviceptr device = 0;
    void *host = NULL;
    CUpointer_attribute wanted[] = {
        CU_POINTER_ATTRIBUTE_MEMORY_TYPE,    CU_POINTER_ATTRIBUTE_IS_MANAGED,
        CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
        CU_POINTER_ATTRIBUTE_HOST_POINTER,
    };
    void *into[] = {&type, &managed, &ordinal, &device, &host};
    CUresult result;
    RT_ENTER()

    if (!attributes)
        return cudaErrorInvalidValue;
    result = cu->cuPointerGetAttributes(5, wanted, into, (CUdeviceptr)ptr);
    if (result != CUDA_SUCCESS)
        return rt_error(result);
    attributes->devicePointer = (void *)device;
    attributes->hostPointer = host;
    attributes->device = ordinal;
    if (managed)
        attributes->type = cudaMemoryTypeManaged;
    else if (type == CU_MEMORYTYPE_DEVICE)
        attributes->type = cudaMemoryTypeDevice;
    else if (type == CU_MEMORYTYPE_HOST)
        attributes->type = cudaMemoryTypeHost;
    else
        *attributes = (struct cudaPointerAttributes){cudaMemoryTypeUnregistered, -2, NULL,
                                                     (void *)(uintptr_t)ptr};
    return cudaSuccess;
}
