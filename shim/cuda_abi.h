/* cuda_abi.h: the few CUDA driver types that hybridmem needs, from NVIDIA's public documentation
 * (CUDA driver API reference, "Data types used by CUDA driver").
 *
 * No toolkit is needed to build. Where one is installed, tests/unit/abi_check.c includes the real
 * cuda.h first and then this file: the types below then step aside, and the lists stay, so that
 * each constant, size, offset and signature is compared with NVIDIA's own by the compiler.
 */
#ifndef HYBRIDMEM_CUDA_ABI_H
#define HYBRIDMEM_CUDA_ABI_H

#include <stddef.h>
#include <stdint.h>

/* X(name, value) */
#define ABI_RESULTS(X)                                                                             \
    X(CUDA_SUCCESS, 0)                                                                             \
    X(CUDA_ERROR_INVALID_VALUE, 1)                                                                 \
    X(CUDA_ERROR_OUT_OF_MEMORY, 2)                                                                 \
    X(CUDA_ERROR_NOT_INITIALIZED, 3)                                                               \
    X(CUDA_ERROR_DEINITIALIZED, 4)                                                                 \
    X(CUDA_ERROR_INVALID_DEVICE, 101)                                                              \
    X(CUDA_ERROR_INVALID_CONTEXT, 201)                                                             \
    X(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, 303)                                                   \
    X(CUDA_ERROR_NOT_FOUND, 500)                                                                   \
    X(CUDA_ERROR_NOT_READY, 600)                                                                   \
    X(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709)                                                        \
    X(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712)                                              \
    X(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713)                                                  \
    X(CUDA_ERROR_NOT_SUPPORTED, 801)                                                               \
    X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900)                                                  \
    X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901)                                                  \
    X(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, 904)                                                     \
    X(CUDA_ERROR_UNKNOWN, 999)

#define ABI_POINTER_ATTRIBUTES(X)                                                                  \
    X(CU_POINTER_ATTRIBUTE_CONTEXT, 1)                                                             \
    X(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 2)                                                         \
    X(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, 3)                                                      \
    X(CU_POINTER_ATTRIBUTE_HOST_POINTER, 4)                                                        \
    X(CU_POINTER_ATTRIBUTE_P2P_TOKENS, 5)                                                          \
    X(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 6)                                                         \
    X(CU_POINTER_ATTRIBUTE_BUFFER_ID, 7)                                                           \
    X(CU_POINTER_ATTRIBUTE_IS_MANAGED, 8)                                                          \
    X(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 9)                                                      \
    X(CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, 10)                                         \
    X(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, 11)                                                   \
    X(CU_POINTER_ATTRIBUTE_RANGE_SIZE, 12)                                                         \
    X(CU_POINTER_ATTRIBUTE_MAPPED, 13)                                                             \
    X(CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, 14)                                               \
    X(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, 15)                                         \
    X(CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, 16)                                                       \
    X(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, 17)                                                     \
    X(CU_POINTER_ATTRIBUTE_MAPPING_SIZE, 18)                                                       \
    X(CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR, 19)                                                  \
    X(CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID, 20)                                                    \
    X(CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE, 21)

#define ABI_MEMORY_TYPES(X)                                                                        \
    X(CU_MEMORYTYPE_HOST, 1)                                                                       \
    X(CU_MEMORYTYPE_DEVICE, 2)                                                                     \
    X(CU_MEMORYTYPE_ARRAY, 3)                                                                      \
    X(CU_MEMORYTYPE_UNIFIED, 4)

#define ABI_ARRAY_FORMATS(X)                                                                       \
    X(CU_AD_FORMAT_UNSIGNED_INT8, 0x01)                                                            \
    X(CU_AD_FORMAT_UNSIGNED_INT16, 0x02)                                                           \
    X(CU_AD_FORMAT_UNSIGNED_INT32, 0x03)                                                           \
    X(CU_AD_FORMAT_SIGNED_INT8, 0x08)                                                              \
    X(CU_AD_FORMAT_SIGNED_INT16, 0x09)                                                             \
    X(CU_AD_FORMAT_SIGNED_INT32, 0x0a)                                                             \
    X(CU_AD_FORMAT_HALF, 0x10)                                                                     \
    X(CU_AD_FORMAT_FLOAT, 0x20)                                                                    \
    X(CU_AD_FORMAT_UNORM_INT_101010_2, 0x50)                                                       \
    X(CU_AD_FORMAT_BC1_UNORM, 0x91)                                                                \
    X(CU_AD_FORMAT_BC1_UNORM_SRGB, 0x92)                                                           \
    X(CU_AD_FORMAT_BC4_UNORM, 0x97)                                                                \
    X(CU_AD_FORMAT_BC4_SNORM, 0x98)                                                                \
    X(CU_AD_FORMAT_BC7_UNORM_SRGB, 0x9e)                                                           \
    X(CU_AD_FORMAT_P010, 0x9f)                                                                     \
    X(CU_AD_FORMAT_P016, 0xa1)                                                                     \
    X(CU_AD_FORMAT_NV16, 0xa2)                                                                     \
    X(CU_AD_FORMAT_P210, 0xa3)                                                                     \
    X(CU_AD_FORMAT_P216, 0xa4)                                                                     \
    X(CU_AD_FORMAT_YUY2, 0xa5)                                                                     \
    X(CU_AD_FORMAT_Y210, 0xa6)                                                                     \
    X(CU_AD_FORMAT_Y216, 0xa7)                                                                     \
    X(CU_AD_FORMAT_AYUV, 0xa8)                                                                     \
    X(CU_AD_FORMAT_Y410, 0xa9)                                                                     \
    X(CU_AD_FORMAT_NV12, 0xb0)                                                                     \
    X(CU_AD_FORMAT_Y416, 0xb1)                                                                     \
    X(CU_AD_FORMAT_Y444_PLANAR8, 0xb2)                                                             \
    X(CU_AD_FORMAT_Y444_PLANAR10, 0xb3)                                                            \
    X(CU_AD_FORMAT_YUV444_8bit_SemiPlanar, 0xb4)                                                   \
    X(CU_AD_FORMAT_YUV444_16bit_SemiPlanar, 0xb5)                                                  \
    X(CU_AD_FORMAT_UNORM_INT8X1, 0xc0)                                                             \
    X(CU_AD_FORMAT_UNORM_INT8X2, 0xc1)                                                             \
    X(CU_AD_FORMAT_UNORM_INT8X4, 0xc2)                                                             \
    X(CU_AD_FORMAT_UNORM_INT16X1, 0xc3)                                                            \
    X(CU_AD_FORMAT_UNORM_INT16X2, 0xc4)                                                            \
    X(CU_AD_FORMAT_UNORM_INT16X4, 0xc5)                                                            \
    X(CU_AD_FORMAT_SNORM_INT8X1, 0xc6)                                                             \
    X(CU_AD_FORMAT_SNORM_INT8X2, 0xc7)                                                             \
    X(CU_AD_FORMAT_SNORM_INT8X4, 0xc8)                                                             \
    X(CU_AD_FORMAT_SNORM_INT16X1, 0xc9)                                                            \
    X(CU_AD_FORMAT_SNORM_INT16X2, 0xca)                                                            \
    X(CU_AD_FORMAT_SNORM_INT16X4, 0xcb)

/* In headers after 13.0. */
#define ABI_ARRAY_FORMATS_13050(X)                                                                 \
    X(CU_AD_FORMAT_UINT8_PACKED_422, 0x51)                                                         \
    X(CU_AD_FORMAT_UINT8_PACKED_444, 0x52)                                                         \
    X(CU_AD_FORMAT_UINT8_SEMIPLANAR_420, 0x53)                                                     \
    X(CU_AD_FORMAT_UINT16_SEMIPLANAR_420, 0x54)                                                    \
    X(CU_AD_FORMAT_UINT8_SEMIPLANAR_422, 0x55)                                                     \
    X(CU_AD_FORMAT_UINT16_SEMIPLANAR_422, 0x56)                                                    \
    X(CU_AD_FORMAT_UINT8_SEMIPLANAR_444, 0x57)                                                     \
    X(CU_AD_FORMAT_UINT16_SEMIPLANAR_444, 0x58)                                                    \
    X(CU_AD_FORMAT_UINT8_PLANAR_420, 0x59)                                                         \
    X(CU_AD_FORMAT_UINT16_PLANAR_420, 0x5a)                                                        \
    X(CU_AD_FORMAT_UINT8_PLANAR_422, 0x5b)                                                         \
    X(CU_AD_FORMAT_UINT16_PLANAR_422, 0x5c)                                                        \
    X(CU_AD_FORMAT_UINT8_PLANAR_444, 0x5d)                                                         \
    X(CU_AD_FORMAT_UINT16_PLANAR_444, 0x5e)

#define ABI_ARRAY_FLAGS(X)                                                                         \
    X(CUDA_ARRAY3D_LAYERED, 0x01)                                                                  \
    X(CUDA_ARRAY3D_CUBEMAP, 0x04)                                                                  \
    X(CUDA_ARRAY3D_SPARSE, 0x40)                                                                   \
    X(CUDA_ARRAY3D_DEFERRED_MAPPING, 0x80)

#define ABI_OBJECT_FLAGS(X)                                                                        \
    X(CU_STREAM_NON_BLOCKING, 0x1)                                                                 \
    X(CU_EVENT_DISABLE_TIMING, 0x2)

#define ABI_CAPTURE_MODES(X)                                                                       \
    X(CU_STREAM_CAPTURE_MODE_GLOBAL, 0)                                                            \
    X(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, 1)                                                      \
    X(CU_STREAM_CAPTURE_MODE_RELAXED, 2)

#define ABI_CAPTURE_STATUSES(X)                                                                    \
    X(CU_STREAM_CAPTURE_STATUS_NONE, 0)                                                            \
    X(CU_STREAM_CAPTURE_STATUS_ACTIVE, 1)                                                          \
    X(CU_STREAM_CAPTURE_STATUS_INVALIDATED, 2)

#define ABI_PROC_ADDRESS_RESULTS(X)                                                                \
    X(CU_GET_PROC_ADDRESS_SUCCESS, 0)                                                              \
    X(CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, 1)                                                     \
    X(CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT, 2)

#define ABI_PROC_ADDRESS_FLAGS(X)                                                                  \
    X(CU_GET_PROC_ADDRESS_DEFAULT, 0)                                                              \
    X(CU_GET_PROC_ADDRESS_LEGACY_STREAM, 1)                                                        \
    X(CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, 2)

#define ABI_DEVICE_ATTRIBUTES(X)                                                                   \
    X(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 14)                                                   \
    X(CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 51)                                             \
    X(CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 91)                             \
    X(CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, 134)                                                       \
    X(CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 141)

#define ABI_SRC_ACCESS_ORDERS(X)                                                                   \
    X(CU_MEMCPY_SRC_ACCESS_ORDER_INVALID, 0)                                                       \
    X(CU_MEMCPY_SRC_ACCESS_ORDER_STREAM, 1)                                                        \
    X(CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL, 2)                                               \
    X(CU_MEMCPY_SRC_ACCESS_ORDER_ANY, 3)

#define ABI_OPERAND_TYPES(X)                                                                       \
    X(CU_MEMCPY_OPERAND_TYPE_POINTER, 1)                                                           \
    X(CU_MEMCPY_OPERAND_TYPE_ARRAY, 2)

#define ABI_FABRIC_OPERAND_TYPES(X) X(CU_FABRIC_COPY_OPERAND_TYPE_POINTER, 1)

#define ABI_MEM_LOCATION_TYPES(X)                                                                  \
    X(CU_MEM_LOCATION_TYPE_INVALID, 0)                                                             \
    X(CU_MEM_LOCATION_TYPE_NONE, 0)                                                                \
    X(CU_MEM_LOCATION_TYPE_DEVICE, 1)                                                              \
    X(CU_MEM_LOCATION_TYPE_HOST, 2)                                                                \
    X(CU_MEM_LOCATION_TYPE_HOST_NUMA, 3)                                                           \
    X(CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, 4)

#define ABI_MEM_ALLOCATION_TYPES(X)                                                                \
    X(CU_MEM_ALLOCATION_TYPE_INVALID, 0)                                                           \
    X(CU_MEM_ALLOCATION_TYPE_PINNED, 1)                                                            \
    X(CU_MEM_ALLOCATION_TYPE_MANAGED, 2)

#define ABI_MEM_HANDLE_TYPES(X)                                                                    \
    X(CU_MEM_HANDLE_TYPE_NONE, 0)                                                                  \
    X(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 1)                                                 \
    X(CU_MEM_HANDLE_TYPE_WIN32, 2)                                                                 \
    X(CU_MEM_HANDLE_TYPE_WIN32_KMT, 4)                                                             \
    X(CU_MEM_HANDLE_TYPE_FABRIC, 8)

#define ABI_MEM_ACCESS_FLAGS(X)                                                                    \
    X(CU_MEM_ACCESS_FLAGS_PROT_NONE, 0)                                                            \
    X(CU_MEM_ACCESS_FLAGS_PROT_READ, 1)                                                            \
    X(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, 3)

#define ABI_MEM_GRANULARITY_FLAGS(X)                                                               \
    X(CU_MEM_ALLOC_GRANULARITY_MINIMUM, 0)                                                         \
    X(CU_MEM_ALLOC_GRANULARITY_RECOMMENDED, 1)

#define ABI_MEM_RANGE_HANDLE_TYPES(X) X(CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 1)

#define ABI_POOL_ATTRIBUTES(X)                                                                     \
    X(CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES, 1)                                          \
    X(CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, 2)                                                \
    X(CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, 3)                                        \
    X(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 4)                                                        \
    X(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, 5)                                                     \
    X(CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, 6)                                                        \
    X(CU_MEMPOOL_ATTR_USED_MEM_CURRENT, 7)                                                         \
    X(CU_MEMPOOL_ATTR_USED_MEM_HIGH, 8)

/* These are macros in cuda.h, hence not an enum there. */
#define ABI_MEMHOST_FLAGS(X)                                                                       \
    X(CU_MEMHOSTALLOC_PORTABLE, 1)                                                                 \
    X(CU_MEMHOSTALLOC_DEVICEMAP, 2)                                                                \
    X(CU_MEMHOSTREGISTER_PORTABLE, 1)                                                              \
    X(CU_MEMHOSTREGISTER_DEVICEMAP, 2)

#define ABI_CONSTANTS(X)                                                                           \
    ABI_RESULTS(X)                                                                                 \
    ABI_POINTER_ATTRIBUTES(X)                                                                      \
    ABI_MEMORY_TYPES(X)                                                                            \
    ABI_CAPTURE_MODES(X)                                                                           \
    ABI_CAPTURE_STATUSES(X)                                                                        \
    ABI_PROC_ADDRESS_RESULTS(X)                                                                    \
    ABI_PROC_ADDRESS_FLAGS(X)                                                                      \
    ABI_DEVICE_ATTRIBUTES(X)                                                                       \
    ABI_SRC_ACCESS_ORDERS(X)                                                                       \
    ABI_OPERAND_TYPES(X)                                                                           \
    ABI_MEM_LOCATION_TYPES(X)                                                                      \
    ABI_MEM_ALLOCATION_TYPES(X)                                                                    \
    ABI_MEM_HANDLE_TYPES(X)                                                                        \
    ABI_MEM_ACCESS_FLAGS(X)                                                                        \
    ABI_MEM_GRANULARITY_FLAGS(X)                                                                   \
    ABI_MEM_RANGE_HANDLE_TYPES(X)                                                                  \
    ABI_ARRAY_FORMATS(X)                                                                           \
    ABI_ARRAY_FLAGS(X)                                                                             \
    ABI_OBJECT_FLAGS(X)                                                                            \
    ABI_POOL_ATTRIBUTES(X)                                                                         \
    ABI_MEMHOST_FLAGS(X)

/* X(type, size in bytes) */
#define ABI_SIZES(X)                                                                               \
    X(CUdeviceptr, 8)                                                                              \
    X(CUdevice, 4)                                                                                 \
    X(CUresult, 4)                                                                                 \
    X(CUuuid, 16)                                                                                  \
    X(CUipcMemHandle, 64)                                                                          \
    X(cuuint64_t, 8)                                                                               \
    X(CUpointer_attribute, 4)                                                                      \
    X(CUmemGenericAllocationHandle, 8)                                                             \
    X(CUmemLocation, 8)                                                                            \
    X(CUmemAllocationProp, 32)                                                                     \
    X(CUmemAccessDesc, 12)                                                                         \
    X(CUmemPoolProps, 88)                                                                          \
    X(CUmemPoolPtrExportData, 64)                                                                  \
    X(CUDA_ARRAY_DESCRIPTOR, 24)                                                                   \
    X(CUDA_ARRAY3D_DESCRIPTOR, 40)                                                                 \
    X(CUDA_MEMCPY2D, 128)                                                                          \
    X(CUmemcpy3DOperand, 40)                                                                       \
    X(CUDA_MEMCPY3D_BATCH_OP, 112)                                                                 \
    X(CUDA_MEMCPY3D, 200)

/* Of CUDA 13.4 and 13.5, so not with an older cuda.h: as ABI_CONSTANTS, ABI_SIZES and ABI_OFFSETS.
 */
#define ABI_OFFSETS_13040(X) X(CUmemPoolProps, gpuDirectRDMACapable, 34)
#define ABI_SIZES_13050(X)                                                                         \
    X(CUfabricCpyOperand, 24)                                                                      \
    X(CUDA_FABRIC_COPY_BATCH_OP, 64)
#define ABI_OFFSETS_13050(X)                                                                       \
    X(CUfabricCpyOperand, op.ptr.ptr, 8)                                                           \
    X(CUDA_FABRIC_COPY_BATCH_OP, dst, 24)                                                          \
    X(CUDA_FABRIC_COPY_BATCH_OP, size, 48)

/* X(type, field, offset in bytes) */
#define ABI_OFFSETS(X)                                                                             \
    X(CUmemAllocationProp, requestedHandleTypes, 4)                                                \
    X(CUmemAllocationProp, location, 8)                                                            \
    X(CUmemAllocationProp, win32HandleMetaData, 16)                                                \
    X(CUmemAllocationProp, allocFlags.compressionType, 24)                                         \
    X(CUmemAllocationProp, allocFlags.gpuDirectRDMACapable, 25)                                    \
    X(CUmemAllocationProp, allocFlags.usage, 26)                                                   \
    X(CUmemAccessDesc, flags, 8)                                                                   \
    X(CUmemPoolProps, handleTypes, 4)                                                              \
    X(CUmemPoolProps, location, 8)                                                                 \
    X(CUmemPoolProps, maxSize, 24)                                                                 \
    X(CUmemPoolProps, usage, 32)                                                                   \
    X(CUDA_ARRAY_DESCRIPTOR, Format, 16)                                                           \
    X(CUDA_ARRAY_DESCRIPTOR, NumChannels, 20)                                                      \
    X(CUDA_ARRAY3D_DESCRIPTOR, Format, 24)                                                         \
    X(CUDA_ARRAY3D_DESCRIPTOR, NumChannels, 28)                                                    \
    X(CUDA_ARRAY3D_DESCRIPTOR, Flags, 32)                                                          \
    X(CUDA_MEMCPY2D, srcMemoryType, 16)                                                            \
    X(CUDA_MEMCPY2D, srcDevice, 32)                                                                \
    X(CUDA_MEMCPY2D, dstXInBytes, 56)                                                              \
    X(CUDA_MEMCPY2D, dstMemoryType, 72)                                                            \
    X(CUDA_MEMCPY2D, dstPitch, 104)                                                                \
    X(CUDA_MEMCPY2D, Height, 120)                                                                  \
    X(CUmemcpy3DOperand, op.ptr.ptr, 8)                                                            \
    X(CUmemcpy3DOperand, op.ptr.rowLength, 16)                                                     \
    X(CUmemcpy3DOperand, op.ptr.layerHeight, 24)                                                   \
    X(CUmemcpy3DOperand, op.array.array, 8)                                                        \
    X(CUDA_MEMCPY3D_BATCH_OP, dst, 40)                                                             \
    X(CUDA_MEMCPY3D_BATCH_OP, extent, 80)                                                          \
    X(CUDA_MEMCPY3D_BATCH_OP, srcAccessOrder, 104)                                                 \
    X(CUDA_MEMCPY3D, srcMemoryType, 32)                                                            \
    X(CUDA_MEMCPY3D, srcHeight, 80)                                                                \
    X(CUDA_MEMCPY3D, dstMemoryType, 120)                                                           \
    X(CUDA_MEMCPY3D, dstHeight, 168)                                                               \
    X(CUDA_MEMCPY3D, Depth, 192)

#ifndef __cuda_cuda_h__

#define ABI_ENUM_MEMBER(name, value) name = (value),

typedef enum cudaError_enum { ABI_RESULTS(ABI_ENUM_MEMBER) } CUresult;
typedef enum CUpointer_attribute_enum {
    ABI_POINTER_ATTRIBUTES(ABI_ENUM_MEMBER)
} CUpointer_attribute;
typedef enum CUmemorytype_enum { ABI_MEMORY_TYPES(ABI_ENUM_MEMBER) } CUmemorytype;
typedef enum CUstreamCaptureMode_enum { ABI_CAPTURE_MODES(ABI_ENUM_MEMBER) } CUstreamCaptureMode;
typedef enum CUstreamCaptureStatus_enum {
    ABI_CAPTURE_STATUSES(ABI_ENUM_MEMBER)
} CUstreamCaptureStatus;
typedef enum CUdriverProcAddressQueryResult_enum {
    ABI_PROC_ADDRESS_RESULTS(ABI_ENUM_MEMBER)
} CUdriverProcAddressQueryResult;
typedef enum CUdriverProcAddress_flags_enum {
    ABI_PROC_ADDRESS_FLAGS(ABI_ENUM_MEMBER)
} CUdriverProcAddress_flags;
typedef enum CUdevice_attribute_enum { ABI_DEVICE_ATTRIBUTES(ABI_ENUM_MEMBER) } CUdevice_attribute;
typedef enum CUmemcpySrcAccessOrder_enum {
    ABI_SRC_ACCESS_ORDERS(ABI_ENUM_MEMBER)
} CUmemcpySrcAccessOrder;
typedef enum CUmemcpy3DOperandType_enum {
    ABI_OPERAND_TYPES(ABI_ENUM_MEMBER)
} CUmemcpy3DOperandType;
typedef enum CUfabricCpyOperandType_enum {
    ABI_FABRIC_OPERAND_TYPES(ABI_ENUM_MEMBER)
} CUfabricCpyOperandType;
typedef enum CUmemLocationType_enum { ABI_MEM_LOCATION_TYPES(ABI_ENUM_MEMBER) } CUmemLocationType;
typedef enum CUmemAllocationType_enum {
    ABI_MEM_ALLOCATION_TYPES(ABI_ENUM_MEMBER)
} CUmemAllocationType;
typedef enum CUmemAllocationHandleType_enum {
    ABI_MEM_HANDLE_TYPES(ABI_ENUM_MEMBER)
} CUmemAllocationHandleType;
typedef enum CUmemAccess_flags_enum { ABI_MEM_ACCESS_FLAGS(ABI_ENUM_MEMBER) } CUmemAccess_flags;
typedef enum CUmemAllocationGranularity_flags_enum {
    ABI_MEM_GRANULARITY_FLAGS(ABI_ENUM_MEMBER)
} CUmemAllocationGranularity_flags;
typedef enum CUmemRangeHandleType_enum {
    ABI_MEM_RANGE_HANDLE_TYPES(ABI_ENUM_MEMBER)
} CUmemRangeHandleType;
typedef enum CUmemPool_attribute_enum { ABI_POOL_ATTRIBUTES(ABI_ENUM_MEMBER) } CUmemPool_attribute;
typedef enum CUarray_format_enum {
    ABI_ARRAY_FORMATS(ABI_ENUM_MEMBER) ABI_ARRAY_FORMATS_13050(ABI_ENUM_MEMBER)
} CUarray_format;
enum { ABI_MEMHOST_FLAGS(ABI_ENUM_MEMBER) };
enum { ABI_ARRAY_FLAGS(ABI_ENUM_MEMBER) };
enum { ABI_OBJECT_FLAGS(ABI_ENUM_MEMBER) };

typedef unsigned long long CUdeviceptr;
typedef uint64_t cuuint64_t;
typedef uint32_t cuuint32_t;
typedef int CUdevice;
typedef struct CUctx_st *CUcontext;
typedef struct CUgreenCtx_st *CUgreenCtx;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUarray_st *CUarray;
typedef struct CUmipmappedArray_st *CUmipmappedArray;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef unsigned long long CUmemGenericAllocationHandle;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphEdgeData_st CUgraphEdgeData;
typedef struct CUgraphNodeParams_st CUgraphNodeParams;
typedef int CUgraphRecaptureStatus; /* an enum there */
typedef CUresult (*CUgraphRecaptureCallback)(void *data, CUgraphNode node,
                                             const CUgraphNodeParams *originalParams,
                                             const CUgraphNodeParams *recaptureParams,
                                             CUgraphRecaptureStatus status);
typedef struct CUstreamCigCaptureParams_st CUstreamCigCaptureParams;
typedef uint32_t CUlogicalEndpointId;
typedef struct CUmemcpyAttributes_st CUmemcpyAttributes;
typedef struct CUfunc_st *CUfunction;
typedef struct CUlaunchConfig_st CUlaunchConfig;
typedef struct CUDA_LAUNCH_PARAMS_st CUDA_LAUNCH_PARAMS;
typedef struct CUmemDecompressParams_st CUmemDecompressParams;
typedef union CUstreamBatchMemOpParams_union CUstreamBatchMemOpParams;
typedef struct CUextSemaphore_st *CUexternalSemaphore;
typedef void (*CUhostFn)(void *userData);
typedef void (*CUstreamCallback)(CUstream stream, CUresult status, void *userData);
typedef struct CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC_st CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC;
/* Field for field a CUDA_MEMCPY3D, whose two reserved pointers are its contexts. */
typedef struct CUDA_MEMCPY3D_PEER_st CUDA_MEMCPY3D_PEER;
typedef struct CUuuid_st {
    char bytes[16];
} CUuuid;
typedef struct CUipcMemHandle_st {
    char reserved[64];
} CUipcMemHandle;

typedef struct CUmemLocation_st {
    CUmemLocationType type;
    int id;
} CUmemLocation;

typedef struct CUmemAllocationProp_st {
    CUmemAllocationType type;
    CUmemAllocationHandleType requestedHandleTypes;
    CUmemLocation location;
    void *win32HandleMetaData;
    struct {
        unsigned char compressionType;
        unsigned char gpuDirectRDMACapable;
        unsigned short usage;
        unsigned char reserved[4];
    } allocFlags;
} CUmemAllocationProp;

typedef struct CUmemAccessDesc_st {
    CUmemLocation location;
    CUmemAccess_flags flags;
} CUmemAccessDesc;

typedef struct CUmemPoolProps_st {
    CUmemAllocationType allocType;
    CUmemAllocationHandleType handleTypes;
    CUmemLocation location;
    void *win32SecurityAttributes;
    size_t maxSize;
    unsigned short usage;
    unsigned char gpuDirectRDMACapable; /* since 13.4; reserved before, so zero */
    unsigned char reserved[53];
} CUmemPoolProps;

typedef struct CUmemPoolPtrExportData_st {
    unsigned char reserved[64];
} CUmemPoolPtrExportData;

typedef struct CUDA_ARRAY_DESCRIPTOR_st {
    size_t Width;
    size_t Height;
    CUarray_format Format;
    unsigned int NumChannels;
} CUDA_ARRAY_DESCRIPTOR;

typedef struct CUDA_ARRAY3D_DESCRIPTOR_st {
    size_t Width;
    size_t Height;
    size_t Depth;
    CUarray_format Format;
    unsigned int NumChannels;
    unsigned int Flags;
} CUDA_ARRAY3D_DESCRIPTOR;

typedef struct CUoffset3D_st {
    size_t x;
    size_t y;
    size_t z;
} CUoffset3D;

typedef struct CUextent3D_st {
    size_t width;
    size_t height;
    size_t depth;
} CUextent3D;

typedef struct CUmemcpy3DOperand_st {
    CUmemcpy3DOperandType type;
    union {
        struct {
            CUdeviceptr ptr;
            size_t rowLength;   /* in elements */
            size_t layerHeight; /* in elements */
            CUmemLocation locHint;
        } ptr;
        struct {
            CUarray array;
            CUoffset3D offset;
        } array;
    } op;
} CUmemcpy3DOperand;

typedef struct CUDA_MEMCPY3D_BATCH_OP_st {
    CUmemcpy3DOperand src;
    CUmemcpy3DOperand dst;
    CUextent3D extent; /* in elements */
    CUmemcpySrcAccessOrder srcAccessOrder;
    unsigned int flags;
} CUDA_MEMCPY3D_BATCH_OP;

typedef struct CUfabricCpyOperand_st {
    CUfabricCpyOperandType type;
    union {
        struct {
            CUdeviceptr ptr;
            CUmemLocation locHint;
        } ptr;
        struct {
            CUlogicalEndpointId id;
            cuuint64_t offset;
        } le;
    } op;
} CUfabricCpyOperand;

typedef struct CUDA_FABRIC_COPY_BATCH_OP_st {
    CUfabricCpyOperand src;
    CUfabricCpyOperand dst;
    size_t size;
    unsigned int flags;
} CUDA_FABRIC_COPY_BATCH_OP;

typedef struct CUDA_MEMCPY2D_st {
    size_t srcXInBytes;
    size_t srcY;
    CUmemorytype srcMemoryType;
    const void *srcHost;
    CUdeviceptr srcDevice;
    CUarray srcArray;
    size_t srcPitch;
    size_t dstXInBytes;
    size_t dstY;
    CUmemorytype dstMemoryType;
    void *dstHost;
    CUdeviceptr dstDevice;
    CUarray dstArray;
    size_t dstPitch;
    size_t WidthInBytes;
    size_t Height;
} CUDA_MEMCPY2D;

typedef struct CUDA_MEMCPY3D_st {
    size_t srcXInBytes;
    size_t srcY;
    size_t srcZ;
    size_t srcLOD;
    CUmemorytype srcMemoryType;
    const void *srcHost;
    CUdeviceptr srcDevice;
    CUarray srcArray;
    void *reserved0;
    size_t srcPitch;
    size_t srcHeight;
    size_t dstXInBytes;
    size_t dstY;
    size_t dstZ;
    size_t dstLOD;
    CUmemorytype dstMemoryType;
    void *dstHost;
    CUdeviceptr dstDevice;
    CUarray dstArray;
    void *reserved1;
    size_t dstPitch;
    size_t dstHeight;
    size_t WidthInBytes;
    size_t Height;
    size_t Depth;
} CUDA_MEMCPY3D;

#endif /* __cuda_cuda_h__ */
#endif
