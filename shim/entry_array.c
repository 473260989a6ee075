/* entry_array.c: CUDA arrays. Their layout is the driver's own, so that they stay where it puts
 * them; they are counted, so that the budget and the reports know of them (promise P7).
 */
#include "shim/array.h"
#include "shim/backing.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"

/* The registry's key of a handle: no address that the driver gives is odd, and the registry leaves
 * the low 9 bits out of its hash. */
static uint64_t array_key(const void *handle)
{
    return (uint64_t)(uintptr_t)handle << 9 | 1;
}

/* Counts what the driver has made in the current context. */
static void note_array(const void *handle, const CUDA_ARRAY3D_DESCRIPTOR *shape,
                       unsigned int levels)
{
    struct context *context = context_current();
    uint64_t bytes = array_bytes(shape, levels);

    if (bytes && context && context->device->target)
        backing_device_note_array(context, array_key(handle), bytes);
}

#define CREATE(symbol, params, args, levels, ...)                                                  \
    CUresult symbol params                                                                         \
    {                                                                                              \
        if (!shim_acts())                                                                          \
            return driver.symbol args;                                                             \
        int saved = shim_enter();                                                                  \
        CUresult r = driver.symbol args;                                                           \
        if (r == CUDA_ERROR_OUT_OF_MEMORY && core_make_room(array_bytes(__VA_ARGS__, levels)))     \
            r = driver.symbol args;                                                                \
        if (r == CUDA_SUCCESS)                                                                     \
            note_array(*pHandle, __VA_ARGS__, levels);                                             \
        shim_leave(saved);                                                                         \
        return r;                                                                                  \
    }
CREATE(cuArrayCreate_v2, (CUarray * pHandle, const CUDA_ARRAY_DESCRIPTOR *pAllocateArray),
       (pHandle, pAllocateArray), 1,
       &(CUDA_ARRAY3D_DESCRIPTOR){.Width = pAllocateArray->Width,
                                  .Height = pAllocateArray->Height,
                                  .Format = pAllocateArray->Format,
                                  .NumChannels = pAllocateArray->NumChannels})
CREATE(cuArray3DCreate_v2, (CUarray * pHandle, const CUDA_ARRAY3D_DESCRIPTOR *pAllocateArray),
       (pHandle, pAllocateArray), 1, pAllocateArray)
CREATE(cuMipmappedArrayCreate,
       (CUmipmappedArray * pHandle, const CUDA_ARRAY3D_DESCRIPTOR *pMipmappedArrayDesc,
        unsigned int numMipmapLevels),
       (pHandle, pMipmappedArrayDesc, numMipmapLevels), numMipmapLevels, pMipmappedArrayDesc)

/* From any context: the record knows whose it is. One that we did not see is the driver's alone. */
#define DESTROY(symbol, type, handle)                                                              \
    static CUresult do_##symbol(CUdeviceptr key, void *array)                                      \
    {                                                                                              \
        (void)key;                                                                                 \
        return driver.symbol(array);                                                               \
    }                                                                                              \
    CUresult symbol(type handle)                                                                   \
    {                                                                                              \
        struct backing_freed freed;                                                                \
                                                                                                   \
        if (!shim_acts())                                                                          \
            return driver.symbol(handle);                                                          \
        int saved = shim_enter();                                                                  \
        CUresult r = backing_device_free(array_key(handle), do_##symbol, handle, &freed);          \
        shim_leave(saved);                                                                         \
        return r;                                                                                  \
    }
DESTROY(cuArrayDestroy, CUarray, hArray)
DESTROY(cuMipmappedArrayDestroy, CUmipmappedArray, hMipmappedArray)
