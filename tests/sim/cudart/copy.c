/* copy.c: copies and sets, by kind as the documentation of cudaMemcpyKind says. */
#include "cudart.h"

cudaError_t rt_cudaMemcpy(enum rt_flavour flavour, void *dst, const void *src, size_t count,
                          enum cudaMemcpyKind kind)
{
    RT_ENTER()
    switch (kind) {
    case cudaMemcpyHostToDevice:
        return rt_error(cu->cuMemcpyHtoD((CUdeviceptr)dst, src, count));
    case cudaMemcpyDeviceToHost:
        return rt_error(cu->cuMemcpyDtoH(dst, (CUdeviceptr)src, count));
    case cudaMemcpyDeviceToDevice:
        return rt_error(cu->cuMemcpyDtoD((CUdeviceptr)dst, (CUdeviceptr)src, count));
    case cudaMemcpyHostToHost:
    case cudaMemcpyDefault:
        return rt_error(cu->cuMemcpy((CUdeviceptr)dst, (CUdeviceptr)src, count));
    }
    return cudaErrorInvalidMemcpyDirection;
}

cudaError_t rt_cudaMemcpyAsync(enum rt_flavour flavour, void *dst, const void *src, size_t count,
                               enum cudaMemcpyKind kind, cudaStream_t stream)
{
    RT_ENTER()
    switch (kind) {
    case cudaMemcpyHostToDevice:
        return rt_error(cu->cuMemcpyHtoDAsync((CUdeviceptr)dst, src, count, stream));
    case cudaMemcpyDeviceToHost:
        return rt_error(cu->cuMemcpyDtoHAsync(dst, (CUdeviceptr)src, count, stream));
    case cudaMemcpyDeviceToDevice:
        return rt_error(cu->cuMemcpyDtoDAsync((CUdeviceptr)dst, (CUdeviceptr)src, count, stream));
    case cudaMemcpyHostToHost:
    case cudaMemcpyDefault:
        return rt_error(cu->cuMemcpyAsync((CUdeviceptr)dst, (CUdeviceptr)src, count, stream));
    }
    return cudaErrorInvalidMemcpyDirection;
}

static void set_side(bool is_host, bool unified, const void *p, CUmemorytype *type, CUdeviceptr *d)
{
    *type = unified ? CU_MEMORYTYPE_UNIFIED : is_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    *d = is_host && !unified ? 0 : (CUdeviceptr)p;
}

static bool describe(CUDA_MEMCPY2D *copy, void *dst, size_t dpitch, const void *src, size_t spitch,
                     size_t width, size_t height, enum cudaMemcpyKind kind)
{
    bool unified = kind == cudaMemcpyDefault;

    if ((unsigned int)kind > cudaMemcpyDefault)
        return false;
    *copy = (CUDA_MEMCPY2D){.srcHost = src,
                            .srcPitch = spitch,
                            .dstHost = dst,
                            .dstPitch = dpitch,
                            .WidthInBytes = width,
                            .Height = height};
    set_side(kind == cudaMemcpyHostToHost || kind == cudaMemcpyHostToDevice, unified, src,
             &copy->srcMemoryType, &copy->srcDevice);
    set_side(kind == cudaMemcpyHostToHost || kind == cudaMemcpyDeviceToHost, unified, dst,
             &copy->dstMemoryType, &copy->dstDevice);
    return true;
}

cudaError_t rt_cudaMemcpy2D(enum rt_flavour flavour, void *dst, size_t dpitch, const void *src,
                            size_t spitch, size_t width, size_t height, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY2D copy;
    RT_ENTER()

    if (!describe(&copy, dst, dpitch, src, spitch, width, height, kind))
        return cudaErrorInvalidMemcpyDirection;
    if (width > dpitch || width > spitch)
        return cudaErrorInvalidPitchValue;
    return rt_error(cu->cuMemcpy2DUnaligned(&copy));
}

cudaError_t rt_cudaMemcpy2DAsync(enum rt_flavour flavour, void *dst, size_t dpitch, const void *src,
                                 size_t spitch, size_t width, size_t height,
                                 enum cudaMemcpyKind kind, cudaStream_t stream)
{
    CUDA_MEMCPY2D copy;
    RT_ENTER()

    if (!describe(&copy, dst, dpitch, src, spitch, width, height, kind))
        return cudaErrorInvalidMemcpyDirection;
    if (width > dpitch || width > spitch)
        return cudaErrorInvalidPitchValue;
    return rt_error(cu->cuMemcpy2DAsync(&copy, stream));
}

cudaError_t rt_cudaMemset(enum rt_flavour flavour, void *devPtr, int value, size_t count)
{
    RT_ENTER()
    return rt_error(cu->cuMemsetD8((CUdeviceptr)devPtr, (unsigned char)value, count));
}

cudaError_t rt_cudaMemsetAsync(enum rt_flavour flavour, void *devPtr, int value, size_t count,
                               cudaStream_t stream)
{
    RT_ENTER()
    return rt_error(cu->cuMemsetD8Async((CUdeviceptr)devPtr, (unsigned char)value, count, stream));
}

cudaError_t rt_cudaMemset2D(enum rt_flavour flavour, void *devPtr, size_t pitch, int value,
                            size_t width, size_t height)
{
    RT_ENTER()
    return rt_error(
        cu->cuMemsetD2D8((CUdeviceptr)devPtr, pitch, (unsigned char)value, width, height));
}
