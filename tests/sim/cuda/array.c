/* array.c: CUDA arrays: device memory without an address. */
#include "engine.h"
#include "impl.h"

#include <stdlib.h>

#define ARRAY_FLAGS                                                                                \
    (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP |                     \
     CUDA_ARRAY3D_TEXTURE_GATHER)

static size_t format_bytes(CUarray_format format)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4;
    default:
        return 0;
    }
}

struct array *array_get(CUarray handle)
{
    return handle_object(handle, HANDLE_ARRAY);
}

void array_release_locked(struct array *array)
{
    handle_end(array->handle);
    *array->link = array->next;
    if (array->next)
        array->next->link = array->link;
    device_give_locked(array->ctx->device, array->charged);
    free(array->data);
    free(array);
}

/* "clamped to the range [1, 1 + floor(log2(max(width, height, depth)))]" (cuMipmappedArrayCreate);
 * a layer is no depth. */
static size_t level_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, size_t element, unsigned levels)
{
    bool layered = shape->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    size_t width = shape->Width, height = shape->Height, depth = shape->Depth, bytes = 0;

    for (unsigned level = 0; level == 0 || level < levels; level++) {
        bytes += element * (width ? width : 1) * (height ? height : 1) * (depth ? depth : 1);
        width /= 2;
        height /= 2;
        if (!layered)
            depth /= 2;
        if (!width && !height && (layered || !depth))
            break;
    }
    return bytes;
}

/* `levels` 0: an array, not a mipmapped one. */
static CUresult create_locked(struct ctx *ctx, void **out, const CUDA_ARRAY3D_DESCRIPTOR *shape,
                              unsigned levels)
{
    size_t element = format_bytes(shape->Format) * shape->NumChannels;
    struct array *array;

    array = calloc(1, sizeof(*array));
    array->ctx = ctx;
    array->shape = *shape;
    array->element = element;
    array->row = shape->Width * element;
    array->rows = shape->Height ? shape->Height : 1;
    array->layers = shape->Depth ? shape->Depth : 1;
    array->bytes = level_bytes(shape, element, levels);
    array->charged = (array->bytes + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT;
    if (device_take_locked(ctx->device, array->charged) != CUDA_SUCCESS) {
        free(array);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    array->data = calloc(1, array->bytes);
    array->handle = handle_new_locked(levels ? HANDLE_MIPMAP : HANDLE_ARRAY, array);
    array->next = ctx->arrays;
    array->link = &ctx->arrays;
    if (array->next)
        array->next->link = &array->next;
    ctx->arrays = array;
    *out = array->handle;
    return CUDA_SUCCESS;
}

static CUresult create(void **out, const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned levels)
{
    CUresult result;

    if (!out || !shape || !shape->Width || !format_bytes(shape->Format) ||
        (shape->NumChannels != 1 && shape->NumChannels != 2 && shape->NumChannels != 4) ||
        (shape->Flags & ~(unsigned)ARRAY_FLAGS) || shape->Width > 131072 || shape->Height > 65536 ||
        shape->Depth > 16384)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    result = create_locked(ctx_current(), out, shape, levels);
    sim_leave();
    return result;
}

CUresult sim_array_3d_create(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *shape)
{
    return create((void **)out, shape, 0);
}

/* Its levels are not to be had (cuMipmappedArrayGetLevel): only that it takes memory. */
CUresult sim_mipmap_create(CUmipmappedArray *out, const CUDA_ARRAY3D_DESCRIPTOR *shape,
                           unsigned levels)
{
    return create((void **)out, shape, levels ? levels : 1);
}

CUresult sim_array_create(CUarray *out, const CUDA_ARRAY_DESCRIPTOR *shape)
{
    CUDA_ARRAY3D_DESCRIPTOR full;

    if (!shape)
        return CUDA_ERROR_INVALID_VALUE;
    full = (CUDA_ARRAY3D_DESCRIPTOR){.Width = shape->Width,
                                     .Height = shape->Height,
                                     .Format = shape->Format,
                                     .NumChannels = shape->NumChannels};
    return sim_array_3d_create(out, &full);
}

static CUresult destroy(const void *handle, enum handle_kind kind)
{
    struct array *array = handle_object(handle, kind);

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    ctx_wait(array->ctx);
    sim_enter();
    array = handle_object(handle, kind);
    if (array)
        array_release_locked(array);
    sim_leave();
    return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_array_destroy(CUarray handle)
{
    return destroy(handle, HANDLE_ARRAY);
}

CUresult sim_mipmap_destroy(CUmipmappedArray handle)
{
    return destroy(handle, HANDLE_MIPMAP);
}

CUresult sim_array_3d_get_descriptor(CUDA_ARRAY3D_DESCRIPTOR *out, CUarray handle)
{
    const struct array *array;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    array = array_get(handle);
    if (array)
        *out = array->shape;
    sim_leave();
    return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_array_get_descriptor(CUDA_ARRAY_DESCRIPTOR *out, CUarray handle)
{
    CUDA_ARRAY3D_DESCRIPTOR full;
    CUresult result = out ? sim_array_3d_get_descriptor(&full, handle) : CUDA_ERROR_INVALID_VALUE;

    if (result == CUDA_SUCCESS)
        *out = (CUDA_ARRAY_DESCRIPTOR){full.Width, full.Height, full.Format, full.NumChannels};
    return result;
}
