#include "shim/array.h"

#include <stdbool.h>

unsigned int array_element_bits(CUarray_format format, unsigned int channels)
{
    switch ((unsigned int)format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 8 * channels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 16 * channels;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 32 * channels;
    /* The others name all their channels (CUarray_format). */
    case CU_AD_FORMAT_BC1_UNORM: /* 8 bytes for 4 x 4 texels, BC2 to BC7 but BC4 16 bytes */
    case CU_AD_FORMAT_BC1_UNORM_SRGB:
    case CU_AD_FORMAT_BC4_UNORM:
    case CU_AD_FORMAT_BC4_SNORM:
        return 4;
    case CU_AD_FORMAT_UNORM_INT8X1:
    case CU_AD_FORMAT_SNORM_INT8X1:
        return 8;
    case CU_AD_FORMAT_NV12: /* 4:2:0: half as much chroma as luma */
    case CU_AD_FORMAT_UINT8_SEMIPLANAR_420:
    case CU_AD_FORMAT_UINT8_PLANAR_420:
        return 12;
    case CU_AD_FORMAT_UNORM_INT8X2:
    case CU_AD_FORMAT_SNORM_INT8X2:
    case CU_AD_FORMAT_UNORM_INT16X1:
    case CU_AD_FORMAT_SNORM_INT16X1:
    case CU_AD_FORMAT_NV16: /* 4:2:2: as much */
    case CU_AD_FORMAT_YUY2:
    case CU_AD_FORMAT_UINT8_PACKED_422:
    case CU_AD_FORMAT_UINT8_SEMIPLANAR_422:
    case CU_AD_FORMAT_UINT8_PLANAR_422:
        return 16;
    case CU_AD_FORMAT_P010: /* 10 bits and more lie in 16 */
    case CU_AD_FORMAT_P016:
    case CU_AD_FORMAT_Y444_PLANAR8:
    case CU_AD_FORMAT_YUV444_8bit_SemiPlanar:
    case CU_AD_FORMAT_UINT16_SEMIPLANAR_420:
    case CU_AD_FORMAT_UINT16_PLANAR_420:
    case CU_AD_FORMAT_UINT8_SEMIPLANAR_444:
    case CU_AD_FORMAT_UINT8_PLANAR_444:
        return 24;
    case CU_AD_FORMAT_UNORM_INT8X4:
    case CU_AD_FORMAT_SNORM_INT8X4:
    case CU_AD_FORMAT_UNORM_INT16X2:
    case CU_AD_FORMAT_SNORM_INT16X2:
    case CU_AD_FORMAT_UNORM_INT_101010_2:
    case CU_AD_FORMAT_P210:
    case CU_AD_FORMAT_P216:
    case CU_AD_FORMAT_Y210:
    case CU_AD_FORMAT_Y216:
    case CU_AD_FORMAT_AYUV:
    case CU_AD_FORMAT_Y410:
    case CU_AD_FORMAT_UINT8_PACKED_444:
    case CU_AD_FORMAT_UINT16_SEMIPLANAR_422:
    case CU_AD_FORMAT_UINT16_PLANAR_422:
        return 32;
    case CU_AD_FORMAT_Y444_PLANAR10:
    case CU_AD_FORMAT_YUV444_16bit_SemiPlanar:
    case CU_AD_FORMAT_UINT16_SEMIPLANAR_444:
    case CU_AD_FORMAT_UINT16_PLANAR_444:
        return 48;
    case CU_AD_FORMAT_UNORM_INT16X4:
    case CU_AD_FORMAT_SNORM_INT16X4:
    case CU_AD_FORMAT_Y416:
        return 64;
    default:
        return format > CU_AD_FORMAT_BC1_UNORM_SRGB && format <= CU_AD_FORMAT_BC7_UNORM_SRGB ? 8
                                                                                             : 0;
    }
}

static size_t at_least_1(size_t extent)
{
    return extent ? extent : 1;
}

/* "clamped to the range [1, 1 + floor(log2(max(width, height, depth)))]" (cuMipmappedArrayCreate):
 * it ends with a level of one element. Layers and faces are as many in each level. */
uint64_t array_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned int levels)
{
    bool layered = shape->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    uint64_t bits = array_element_bits(shape->Format, shape->NumChannels), bytes = 0;
    size_t width = at_least_1(shape->Width), height = at_least_1(shape->Height),
           depth = at_least_1(shape->Depth);

    /* Such an array is mapped to memory from cuMemCreate(), which is counted by itself. */
    if (shape->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING))
        return 0;
    do {
        bytes += (width * height * depth * bits + 7) / 8;
        if (width == 1 && height == 1 && (layered || depth == 1))
            break;
        width = at_least_1(width / 2);
        height = at_least_1(height / 2);
        depth = layered ? depth : at_least_1(depth / 2);
    } while (levels-- > 1);
    return bytes;
}
