/* Links libcudart.so.12: memory, copies, sets and streams by the runtime; kernels, which need no
 * compiler this way, by driver functions that the runtime looks up. */
#include "script.h"

#include <cuda_runtime_api.h>

/* Driver results and runtime errors have equal values. */
#define AS_DRIVER(call) ((CUresult)(call))

static CUresult rt_init(unsigned int flags)
{
    int count = 0;

    return flags ? CUDA_ERROR_INVALID_VALUE : AS_DRIVER(cudaGetDeviceCount(&count));
}

static CUresult rt_retain(CUcontext *context, CUdevice device)
{
    CUresult (*get_current)(CUcontext *) = NULL;
    cudaError_t error = cudaSetDevice(device);

    if (error == cudaSuccess)
        error = cudaGetDriverEntryPoint("cuCtxGetCurrent", (void **)&get_current, cudaEnableDefault,
                                        NULL);
    return error == cudaSuccess ? get_current(context) : AS_DRIVER(error);
}

static CUresult rt_release(CUdevice device)
{
    (void)device;
    return AS_DRIVER(cudaDeviceReset());
}

static CUresult rt_synchronize(void)
{
    return AS_DRIVER(cudaDeviceSynchronize());
}

static CUresult rt_alloc(CUdeviceptr *p, size_t size)
{
    return AS_DRIVER(cudaMalloc((void **)p, size));
}

static CUresult rt_free(CUdeviceptr p)
{
    return AS_DRIVER(cudaFree((void *)p));
}

static CUresult rt_up(CUdeviceptr dst, const void *src, size_t size)
{
    return AS_DRIVER(cudaMemcpy((void *)dst, src, size, cudaMemcpyHostToDevice));
}

static CUresult rt_down(void *dst, CUdeviceptr src, size_t size)
{
    return AS_DRIVER(cudaMemcpy(dst, (void *)src, size, cudaMemcpyDeviceToHost));
}

static CUresult rt_across(CUdeviceptr dst, CUdeviceptr src, size_t size)
{
    return AS_DRIVER(cudaMemcpy((void *)dst, (void *)src, size, cudaMemcpyDefault));
}

static CUresult rt_up_async(CUdeviceptr dst, const void *src, size_t size, CUstream stream)
{
    return AS_DRIVER(cudaMemcpyAsync((void *)dst, src, size, cudaMemcpyHostToDevice, stream));
}

static CUresult rt_down_async(void *dst, CUdeviceptr src, size_t size, CUstream stream)
{
    return AS_DRIVER(cudaMemcpyAsync(dst, (void *)src, size, cudaMemcpyDeviceToHost, stream));
}

static CUresult rt_info(size_t *free_bytes, size_t *total)
{
    return AS_DRIVER(cudaMemGetInfo(free_bytes, total));
}

static CUresult rt_stream(CUstream *stream, unsigned int flags)
{
    return AS_DRIVER(cudaStreamCreateWithFlags(stream, flags));
}

static CUresult rt_stream_wait(CUstream stream)
{
    return AS_DRIVER(cudaStreamSynchronize(stream));
}

static CUresult rt_stream_destroy(CUstream stream)
{
    return AS_DRIVER(cudaStreamDestroy(stream));
}

static CUresult rt_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr p)
{
    struct cudaPointerAttributes found;
    cudaError_t error = cudaPointerGetAttributes(&found, (void *)p);

    if (error == cudaSuccess && attribute == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
        *(unsigned int *)data = found.type;
    return AS_DRIVER(error);
}

/* Asks for each driver function that the runtime has no counterpart of. */
static void look_up(struct host_api *api)
{
#define LOOK_UP(symbol, base, version)                                                             \
    if (!api->base && cudaGetDriverEntryPoint(#base, (void **)&api->base, cudaEnableDefault,       \
                                              NULL) != cudaSuccess) {                              \
        printf("%s: not found\n", #base);                                                          \
        exit(1);                                                                                   \
    }
    HOST_API(LOOK_UP)
#undef LOOK_UP
}

int main(void)
{
    struct host_api api = {.cuInit = rt_init,
                           .cuDevicePrimaryCtxRetain = rt_retain,
                           .cuDevicePrimaryCtxRelease = rt_release,
                           .cuCtxSynchronize = rt_synchronize,
                           .cuMemAlloc = rt_alloc,
                           .cuMemFree = rt_free,
                           .cuMemcpyHtoD = rt_up,
                           .cuMemcpyDtoH = rt_down,
                           .cuMemcpyDtoD = rt_across,
                           .cuMemcpyHtoDAsync = rt_up_async,
                           .cuMemcpyDtoHAsync = rt_down_async,
                           .cuMemGetInfo = rt_info,
                           .cuStreamCreate = rt_stream,
                           .cuStreamSynchronize = rt_stream_wait,
                           .cuStreamDestroy = rt_stream_destroy,
                           .cuPointerGetAttribute = rt_attribute};

    look_up(&api);
    return script_run(&api);
}
