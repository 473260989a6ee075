/* cuda.h: the driver API as far as the simulated driver has it, so that host programs compile
 * without a CUDA toolkit, with the same `#include <cuda.h>` that NVIDIA's own takes.
 *
 * Types and values are those of the public documentation (CUDA driver API 13.5). What
 * shim/cuda_abi.h has comes from there; prototypes come from tests/sim/cuda/symbols.def. As in
 * NVIDIA's header a plain name stands for the newest version of a function (cuMemAlloc is
 * cuMemAlloc_v2), CUDA_API_PER_THREAD_DEFAULT_STREAM selects the _ptds and _ptsz functions, and
 * __CUDA_API_VERSION_INTERNAL leaves every name as it is.
 */
#ifndef HYBRIDMEM_SIM_CUDA_H
#define HYBRIDMEM_SIM_CUDA_H

#include "shim/cuda_abi.h"

#define CUDA_VERSION 13050
#define CUDAAPI
#define CUDA_CB

/* clang-format off */
/* Results that shim/cuda_abi.h has no use for */
#define CUDA_ERROR_PROFILER_DISABLED ((CUresult)5)
#define CUDA_ERROR_PROFILER_NOT_INITIALIZED ((CUresult)6)
#define CUDA_ERROR_PROFILER_ALREADY_STARTED ((CUresult)7)
#define CUDA_ERROR_PROFILER_ALREADY_STOPPED ((CUresult)8)
#define CUDA_ERROR_STUB_LIBRARY ((CUresult)34)
#define CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER ((CUresult)36)
#define CUDA_ERROR_DEVICE_UNAVAILABLE ((CUresult)46)
#define CUDA_ERROR_NO_DEVICE ((CUresult)100)
#define CUDA_ERROR_DEVICE_NOT_LICENSED ((CUresult)102)
#define CUDA_ERROR_INVALID_IMAGE ((CUresult)200)
#define CUDA_ERROR_CONTEXT_ALREADY_CURRENT ((CUresult)202)
#define CUDA_ERROR_MAP_FAILED ((CUresult)205)
#define CUDA_ERROR_UNMAP_FAILED ((CUresult)206)
#define CUDA_ERROR_ARRAY_IS_MAPPED ((CUresult)207)
#define CUDA_ERROR_ALREADY_MAPPED ((CUresult)208)
#define CUDA_ERROR_NO_BINARY_FOR_GPU ((CUresult)209)
#define CUDA_ERROR_ALREADY_ACQUIRED ((CUresult)210)
#define CUDA_ERROR_NOT_MAPPED ((CUresult)211)
#define CUDA_ERROR_NOT_MAPPED_AS_ARRAY ((CUresult)212)
#define CUDA_ERROR_NOT_MAPPED_AS_POINTER ((CUresult)213)
#define CUDA_ERROR_ECC_UNCORRECTABLE ((CUresult)214)
#define CUDA_ERROR_UNSUPPORTED_LIMIT ((CUresult)215)
#define CUDA_ERROR_CONTEXT_ALREADY_IN_USE ((CUresult)216)
#define CUDA_ERROR_PEER_ACCESS_UNSUPPORTED ((CUresult)217)
#define CUDA_ERROR_INVALID_PTX ((CUresult)218)
#define CUDA_ERROR_INVALID_GRAPHICS_CONTEXT ((CUresult)219)
#define CUDA_ERROR_NVLINK_UNCORRECTABLE ((CUresult)220)
#define CUDA_ERROR_JIT_COMPILER_NOT_FOUND ((CUresult)221)
#define CUDA_ERROR_UNSUPPORTED_PTX_VERSION ((CUresult)222)
#define CUDA_ERROR_JIT_COMPILATION_DISABLED ((CUresult)223)
#define CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY ((CUresult)224)
#define CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC ((CUresult)225)
#define CUDA_ERROR_CONTAINED ((CUresult)226)
#define CUDA_ERROR_INVALID_SOURCE ((CUresult)300)
#define CUDA_ERROR_FILE_NOT_FOUND ((CUresult)301)
#define CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND ((CUresult)302)
#define CUDA_ERROR_OPERATING_SYSTEM ((CUresult)304)
#define CUDA_ERROR_INVALID_HANDLE ((CUresult)400)
#define CUDA_ERROR_ILLEGAL_STATE ((CUresult)401)
#define CUDA_ERROR_LOSSY_QUERY ((CUresult)402)
#define CUDA_ERROR_ILLEGAL_ADDRESS ((CUresult)700)
#define CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES ((CUresult)701)
#define CUDA_ERROR_LAUNCH_TIMEOUT ((CUresult)702)
#define CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING ((CUresult)703)
#define CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED ((CUresult)704)
#define CUDA_ERROR_PEER_ACCESS_NOT_ENABLED ((CUresult)705)
#define CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE ((CUresult)708)
#define CUDA_ERROR_ASSERT ((CUresult)710)
#define CUDA_ERROR_TOO_MANY_PEERS ((CUresult)711)
#define CUDA_ERROR_HARDWARE_STACK_ERROR ((CUresult)714)
#define CUDA_ERROR_ILLEGAL_INSTRUCTION ((CUresult)715)
#define CUDA_ERROR_MISALIGNED_ADDRESS ((CUresult)716)
#define CUDA_ERROR_INVALID_ADDRESS_SPACE ((CUresult)717)
#define CUDA_ERROR_INVALID_PC ((CUresult)718)
#define CUDA_ERROR_LAUNCH_FAILED ((CUresult)719)
#define CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE ((CUresult)720)
#define CUDA_ERROR_TENSOR_MEMORY_LEAK ((CUresult)721)
#define CUDA_ERROR_NOT_PERMITTED ((CUresult)800)
#define CUDA_ERROR_SYSTEM_NOT_READY ((CUresult)802)
#define CUDA_ERROR_SYSTEM_DRIVER_MISMATCH ((CUresult)803)
#define CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE ((CUresult)804)
#define CUDA_ERROR_MPS_CONNECTION_FAILED ((CUresult)805)
#define CUDA_ERROR_MPS_RPC_FAILURE ((CUresult)806)
#define CUDA_ERROR_MPS_SERVER_NOT_READY ((CUresult)807)
#define CUDA_ERROR_MPS_MAX_CLIENTS_REACHED ((CUresult)808)
#define CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED ((CUresult)809)
#define CUDA_ERROR_MPS_CLIENT_TERMINATED ((CUresult)810)
#define CUDA_ERROR_CDP_NOT_SUPPORTED ((CUresult)811)
#define CUDA_ERROR_CDP_VERSION_MISMATCH ((CUresult)812)
#define CUDA_ERROR_STREAM_CAPTURE_INVALIDATED ((CUresult)901)
#define CUDA_ERROR_STREAM_CAPTURE_MERGE ((CUresult)902)
#define CUDA_ERROR_STREAM_CAPTURE_UNMATCHED ((CUresult)903)
#define CUDA_ERROR_STREAM_CAPTURE_UNJOINED ((CUresult)904)
#define CUDA_ERROR_STREAM_CAPTURE_ISOLATION ((CUresult)905)
#define CUDA_ERROR_STREAM_CAPTURE_IMPLICIT ((CUresult)906)
#define CUDA_ERROR_CAPTURED_EVENT ((CUresult)907)
#define CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD ((CUresult)908)
#define CUDA_ERROR_TIMEOUT ((CUresult)909)
#define CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE ((CUresult)910)
#define CUDA_ERROR_EXTERNAL_DEVICE ((CUresult)911)
#define CUDA_ERROR_INVALID_CLUSTER_SIZE ((CUresult)912)
#define CUDA_ERROR_FUNCTION_NOT_LOADED ((CUresult)913)
#define CUDA_ERROR_INVALID_RESOURCE_TYPE ((CUresult)914)
#define CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION ((CUresult)915)
#define CUDA_ERROR_KEY_ROTATION ((CUresult)916)

/* Device attributes that programs ask for */
#define CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK ((CUdevice_attribute)1)
#define CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X ((CUdevice_attribute)2)
#define CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y ((CUdevice_attribute)3)
#define CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z ((CUdevice_attribute)4)
#define CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X ((CUdevice_attribute)5)
#define CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y ((CUdevice_attribute)6)
#define CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z ((CUdevice_attribute)7)
#define CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK ((CUdevice_attribute)8)
#define CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY ((CUdevice_attribute)9)
#define CU_DEVICE_ATTRIBUTE_WARP_SIZE ((CUdevice_attribute)10)
#define CU_DEVICE_ATTRIBUTE_MAX_PITCH ((CUdevice_attribute)11)
#define CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK ((CUdevice_attribute)12)
#define CU_DEVICE_ATTRIBUTE_CLOCK_RATE ((CUdevice_attribute)13)
#define CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT ((CUdevice_attribute)16)
#define CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT ((CUdevice_attribute)17)
#define CU_DEVICE_ATTRIBUTE_INTEGRATED ((CUdevice_attribute)18)
#define CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY ((CUdevice_attribute)19)
#define CU_DEVICE_ATTRIBUTE_COMPUTE_MODE ((CUdevice_attribute)20)
#define CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS ((CUdevice_attribute)31)
#define CU_DEVICE_ATTRIBUTE_ECC_ENABLED ((CUdevice_attribute)32)
#define CU_DEVICE_ATTRIBUTE_PCI_BUS_ID ((CUdevice_attribute)33)
#define CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID ((CUdevice_attribute)34)
#define CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID ((CUdevice_attribute)50)
#define CU_DEVICE_ATTRIBUTE_TCC_DRIVER ((CUdevice_attribute)35)
#define CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE ((CUdevice_attribute)36)
#define CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH ((CUdevice_attribute)37)
#define CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE ((CUdevice_attribute)38)
#define CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR ((CUdevice_attribute)39)
#define CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT ((CUdevice_attribute)40)
#define CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING ((CUdevice_attribute)41)
#define CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ((CUdevice_attribute)75)
#define CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ((CUdevice_attribute)76)
#define CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED ((CUdevice_attribute)78)
#define CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY ((CUdevice_attribute)83)
#define CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS ((CUdevice_attribute)88)
#define CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS ((CUdevice_attribute)89)
#define CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED ((CUdevice_attribute)99)
#define CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES ((CUdevice_attribute)100)
#define CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED ((CUdevice_attribute)102)
#define CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED ((CUdevice_attribute)113)
#define CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED ((CUdevice_attribute)115)
#define CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED ((CUdevice_attribute)103)
#define CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES ((CUdevice_attribute)119)
#define CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED ((CUdevice_attribute)142)
#define CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED ((CUdevice_attribute)144)
#define CU_DEVICE_ATTRIBUTE_HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED ((CUdevice_attribute)145)

/* Other constants */
#define CU_CTX_SCHED_AUTO          0x00
#define CU_CTX_SCHED_SPIN          0x01
#define CU_CTX_SCHED_YIELD         0x02
#define CU_CTX_SCHED_BLOCKING_SYNC 0x04
#define CU_CTX_MAP_HOST            0x08
#define CU_CTX_LMEM_RESIZE_TO_MAX  0x10

#define CU_STREAM_DEFAULT      0x0
#define CU_STREAM_NON_BLOCKING 0x1
#define CU_STREAM_LEGACY       ((CUstream)0x1)
#define CU_STREAM_PER_THREAD   ((CUstream)0x2)

#define CU_EVENT_DEFAULT         0x0
#define CU_EVENT_BLOCKING_SYNC   0x1
#define CU_EVENT_DISABLE_TIMING  0x2
#define CU_EVENT_INTERPROCESS    0x4
#define CU_EVENT_RECORD_DEFAULT  0x0
#define CU_EVENT_RECORD_EXTERNAL 0x1
#define CU_EVENT_WAIT_DEFAULT    0x0
#define CU_EVENT_WAIT_EXTERNAL   0x1

#define CU_MEM_ATTACH_GLOBAL          0x1
#define CU_MEM_ATTACH_HOST            0x2
#define CU_MEM_ATTACH_SINGLE          0x4
#define CU_MEMHOSTALLOC_WRITECOMBINED 0x04
#define CU_MEMHOSTREGISTER_IOMEMORY   0x04
#define CU_MEMHOSTREGISTER_READ_ONLY  0x08
#define CU_IPC_HANDLE_SIZE            64
#define CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS 0x1

#define CUDA_ARRAY3D_SURFACE_LDST   0x02
#define CUDA_ARRAY3D_TEXTURE_GATHER 0x08

#define CU_LAUNCH_PARAM_END            ((void *)0x00)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void *)0x01)
#define CU_LAUNCH_PARAM_BUFFER_SIZE    ((void *)0x02)

#define CU_DEVICE_CPU     ((CUdevice)-1)
#define CU_DEVICE_INVALID ((CUdevice)-2)

typedef enum CUlimit_enum {
    CU_LIMIT_STACK_SIZE = 0, CU_LIMIT_PRINTF_FIFO_SIZE = 1, CU_LIMIT_MALLOC_HEAP_SIZE = 2,
    CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH = 3, CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT = 4,
    CU_LIMIT_MAX_L2_FETCH_GRANULARITY = 5, CU_LIMIT_PERSISTING_L2_CACHE_SIZE = 6,
    CU_LIMIT_SHMEM_SIZE = 7, CU_LIMIT_CIG_ENABLED = 8, CU_LIMIT_CIG_SHMEM_FALLBACK_ENABLED = 9
} CUlimit;
typedef enum CUfunc_cache_enum {
    CU_FUNC_CACHE_PREFER_NONE = 0, CU_FUNC_CACHE_PREFER_SHARED = 1, CU_FUNC_CACHE_PREFER_L1 = 2,
    CU_FUNC_CACHE_PREFER_EQUAL = 3
} CUfunc_cache;
typedef enum CUsharedconfig_enum {
    CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE = 0, CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE = 1,
    CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE = 2
} CUsharedconfig;
typedef enum CUfunction_attribute_enum {
    CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
    CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES = 2, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
    CU_FUNC_ATTRIBUTE_NUM_REGS = 4, CU_FUNC_ATTRIBUTE_PTX_VERSION = 5,
    CU_FUNC_ATTRIBUTE_BINARY_VERSION = 6, CU_FUNC_ATTRIBUTE_CACHE_MODE_CA = 7,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
    CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9
} CUfunction_attribute;
typedef enum CUjitInputType_enum {
    CU_JIT_INPUT_CUBIN = 0, CU_JIT_INPUT_PTX = 1, CU_JIT_INPUT_FATBINARY = 2,
    CU_JIT_INPUT_OBJECT = 3, CU_JIT_INPUT_LIBRARY = 4, CU_JIT_INPUT_NVVM = 5
} CUjitInputType;
typedef enum CUjit_option_enum {
    CU_JIT_MAX_REGISTERS = 0, CU_JIT_THREADS_PER_BLOCK = 1, CU_JIT_INFO_LOG_BUFFER = 3,
    CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4, CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6, CU_JIT_OPTIMIZATION_LEVEL = 7, CU_JIT_TARGET = 9
} CUjit_option;
typedef enum CUdevice_P2PAttribute_enum {
    CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK = 1, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED = 2,
    CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED = 3,
    CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED = 4
} CUdevice_P2PAttribute;
typedef enum CUmoduleLoadingMode_enum {
    CU_MODULE_EAGER_LOADING = 1, CU_MODULE_LAZY_LOADING = 2
} CUmoduleLoadingMode;
typedef enum CUoutput_mode_enum { CU_OUT_KEY_VALUE_PAIR = 0, CU_OUT_CSV = 1 } CUoutput_mode;
typedef enum CUlibraryOption_enum {
    CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE = 0, CU_LIBRARY_BINARY_IS_PRESERVED = 1
} CUlibraryOption;
typedef enum CUlaunchAttributeID_enum {
    CU_LAUNCH_ATTRIBUTE_IGNORE = 0, CU_LAUNCH_ATTRIBUTE_COOPERATIVE = 2,
    CU_LAUNCH_ATTRIBUTE_PRIORITY = 8
} CUlaunchAttributeID;
/* clang-format on */

typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUlinkState_st *CUlinkState;
typedef struct CUlib_st *CUlibrary;
typedef struct CUkern_st *CUkernel;
typedef struct CUgreenCtx_st *CUgreenCtx;
typedef struct CUdevResourceDesc_st *CUdevResourceDesc;
typedef enum { CU_GREEN_CTX_DEFAULT_STREAM = 0x1 } CUgreenCtxCreate_flags;
typedef enum { CU_DEV_RESOURCE_TYPE_INVALID = 0, CU_DEV_RESOURCE_TYPE_SM = 1 } CUdevResourceType;
typedef struct CUdevSmResource_st {
    unsigned int smCount, minSmPartitionSize, smCoscheduledAlignment;
} CUdevSmResource;
typedef struct CUdevResource_st {
    CUdevResourceType type;
    unsigned char _internal_padding[92];
    union {
        CUdevSmResource sm;
        unsigned char _oversize[48];
    };
} CUdevResource;
typedef struct CUexecAffinityParam_st CUexecAffinityParam;
typedef struct CUctxCreateParams_st CUctxCreateParams;
typedef void (*CUhostFn)(void *userData);
typedef void (*CUstreamCallback)(CUstream hStream, CUresult status, void *userData);
typedef size_t (*CUoccupancyB2DSize)(int blockSize);

typedef struct CUipcEventHandle_st {
    char reserved[CU_IPC_HANDLE_SIZE];
} CUipcEventHandle;

typedef struct CUdevprop_st {
    int maxThreadsPerBlock;
    int maxThreadsDim[3];
    int maxGridSize[3];
    int sharedMemPerBlock;
    int totalConstantMemory;
    int SIMDWidth;
    int memPitch;
    int regsPerBlock;
    int clockRate;
    int textureAlign;
} CUdevprop;

typedef struct CUDA_MEMCPY3D_PEER_st {
    size_t srcXInBytes;
    size_t srcY;
    size_t srcZ;
    size_t srcLOD;
    CUmemorytype srcMemoryType;
    const void *srcHost;
    CUdeviceptr srcDevice;
    CUarray srcArray;
    CUcontext srcContext;
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
    CUcontext dstContext;
    size_t dstPitch;
    size_t dstHeight;
    size_t WidthInBytes;
    size_t Height;
    size_t Depth;
} CUDA_MEMCPY3D_PEER;

typedef union CUlaunchAttributeValue_union {
    char pad[64];
    int cooperative;
    int priority;
} CUlaunchAttributeValue;

typedef struct CUlaunchAttribute_st {
    CUlaunchAttributeID id;
    char pad[8 - sizeof(CUlaunchAttributeID)];
    CUlaunchAttributeValue value;
} CUlaunchAttribute;

typedef struct CUlaunchConfig_st {
    unsigned int gridDimX;
    unsigned int gridDimY;
    unsigned int gridDimZ;
    unsigned int blockDimX;
    unsigned int blockDimY;
    unsigned int blockDimZ;
    unsigned int sharedMemBytes;
    CUstream hStream;
    CUlaunchAttribute *attrs;
    unsigned int numAttrs;
} CUlaunchConfig;
typedef struct CUDA_LAUNCH_PARAMS_st CUDA_LAUNCH_PARAMS;
typedef struct CUmemDecompressParams_st CUmemDecompressParams;
typedef union CUstreamBatchMemOpParams_union CUstreamBatchMemOpParams;
typedef struct CUextSemaphore_st *CUexternalSemaphore;
typedef struct CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC_st CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC;

#include "tests/sim/include/cuda_memory.h"

#ifdef __cplusplus
extern "C" {
#endif
#define SIM_ROW(symbol, base, since, flavour, needs, params, args, call) CUresult symbol params;
#include "tests/sim/cuda/symbols.def"
#ifdef __cplusplus
}
#endif

#ifndef __CUDA_API_VERSION_INTERNAL
#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
#define SIM_PTDS(api) api##_ptds
#define SIM_PTSZ(api) api##_ptsz
#else
#define SIM_PTDS(api) api
#define SIM_PTSZ(api) api
#endif
/* clang-format off */
#define cuArray3DCreate cuArray3DCreate_v2
#define cuArray3DGetDescriptor cuArray3DGetDescriptor_v2
#define cuArrayCreate cuArrayCreate_v2
#define cuArrayGetDescriptor cuArrayGetDescriptor_v2
#define cuCtxCreate cuCtxCreate_v4
#define cuCtxDestroy cuCtxDestroy_v2
#define cuCtxPopCurrent cuCtxPopCurrent_v2
#define cuCtxPushCurrent cuCtxPushCurrent_v2
#define cuDeviceGetUuid cuDeviceGetUuid_v2
#define cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRelease_v2
#define cuDevicePrimaryCtxReset cuDevicePrimaryCtxReset_v2
#define cuDevicePrimaryCtxSetFlags cuDevicePrimaryCtxSetFlags_v2
#define cuDeviceTotalMem cuDeviceTotalMem_v2
#define cuEventDestroy cuEventDestroy_v2
#define cuEventElapsedTime cuEventElapsedTime_v2
#define cuEventRecord SIM_PTSZ(cuEventRecord)
#define cuEventRecordWithFlags SIM_PTSZ(cuEventRecordWithFlags)
#define cuGetProcAddress cuGetProcAddress_v2
#define cuGraphAddKernelNode cuGraphAddKernelNode_v2
#define cuGraphGetEdges cuGraphGetEdges_v2
#define cuGraphInstantiate cuGraphInstantiateWithFlags
#define cuGraphInstantiateWithParams SIM_PTSZ(cuGraphInstantiateWithParams)
#define cuGraphLaunch SIM_PTSZ(cuGraphLaunch)
#define cuGraphUpload SIM_PTSZ(cuGraphUpload)
#define cuIpcOpenMemHandle cuIpcOpenMemHandle_v2
#define cuGraphicsResourceSetMapFlags cuGraphicsResourceSetMapFlags_v2
#define cuLaunchCooperativeKernel SIM_PTSZ(cuLaunchCooperativeKernel)
#define cuLaunchHostFunc SIM_PTSZ(cuLaunchHostFunc)
#define cuLaunchHostFunc_v2 SIM_PTSZ(cuLaunchHostFunc_v2)
#define cuLaunchKernel SIM_PTSZ(cuLaunchKernel)
#define cuLaunchKernelEx SIM_PTSZ(cuLaunchKernelEx)
#define cuLinkAddData cuLinkAddData_v2
#define cuLinkAddFile cuLinkAddFile_v2
#define cuLinkCreate cuLinkCreate_v2
#define cuMemAdvise cuMemAdvise_v2
#define cuMemAlloc cuMemAlloc_v2
#define cuMemAllocAsync SIM_PTSZ(cuMemAllocAsync)
#define cuMemAllocFromPoolAsync SIM_PTSZ(cuMemAllocFromPoolAsync)
#define cuMemAllocHost cuMemAllocHost_v2
#define cuMemAllocPitch cuMemAllocPitch_v2
#define cuMemFree cuMemFree_v2
#define cuMemFreeAsync SIM_PTSZ(cuMemFreeAsync)
#define cuMemGetAddressRange cuMemGetAddressRange_v2
#define cuMemGetInfo cuMemGetInfo_v2
#define cuMemHostGetDevicePointer cuMemHostGetDevicePointer_v2
#define cuMemHostRegister cuMemHostRegister_v2
#define cuMemPrefetchAsync SIM_PTSZ(cuMemPrefetchAsync_v2)
#define cuMemcpy SIM_PTDS(cuMemcpy)
#define cuMemcpy2D SIM_PTDS(cuMemcpy2D_v2)
#define cuMemcpy2DAsync SIM_PTSZ(cuMemcpy2DAsync_v2)
#define cuMemcpy2DUnaligned SIM_PTDS(cuMemcpy2DUnaligned_v2)
#define cuMemcpy3D SIM_PTDS(cuMemcpy3D_v2)
#define cuMemcpy3DAsync SIM_PTSZ(cuMemcpy3DAsync_v2)
#define cuMemcpy3DBatchAsync SIM_PTSZ(cuMemcpy3DBatchAsync_v2)
#define cuMemcpy3DPeer SIM_PTDS(cuMemcpy3DPeer)
#define cuMemcpy3DPeerAsync SIM_PTSZ(cuMemcpy3DPeerAsync)
#define cuMemcpyAsync SIM_PTSZ(cuMemcpyAsync)
#define cuMemcpyAtoA SIM_PTDS(cuMemcpyAtoA_v2)
#define cuMemcpyAtoD SIM_PTDS(cuMemcpyAtoD_v2)
#define cuMemcpyAtoH SIM_PTDS(cuMemcpyAtoH_v2)
#define cuMemcpyAtoHAsync SIM_PTSZ(cuMemcpyAtoHAsync_v2)
#define cuMemcpy3DWithAttributesAsync SIM_PTSZ(cuMemcpy3DWithAttributesAsync)
#define cuMemcpyBatchAsync SIM_PTSZ(cuMemcpyBatchAsync_v2)
#define cuMemcpyDtoA SIM_PTDS(cuMemcpyDtoA_v2)
#define cuMemcpyDtoD SIM_PTDS(cuMemcpyDtoD_v2)
#define cuMemcpyDtoDAsync SIM_PTSZ(cuMemcpyDtoDAsync_v2)
#define cuMemcpyDtoH SIM_PTDS(cuMemcpyDtoH_v2)
#define cuMemcpyDtoHAsync SIM_PTSZ(cuMemcpyDtoHAsync_v2)
#define cuMemcpyHtoA SIM_PTDS(cuMemcpyHtoA_v2)
#define cuMemcpyHtoAAsync SIM_PTSZ(cuMemcpyHtoAAsync_v2)
#define cuMemcpyHtoD SIM_PTDS(cuMemcpyHtoD_v2)
#define cuMemcpyHtoDAsync SIM_PTSZ(cuMemcpyHtoDAsync_v2)
#define cuMemcpyPeer SIM_PTDS(cuMemcpyPeer)
#define cuMemcpyPeerAsync SIM_PTSZ(cuMemcpyPeerAsync)
#define cuMemcpyWithAttributesAsync SIM_PTSZ(cuMemcpyWithAttributesAsync)
#define cuMemsetD16 SIM_PTDS(cuMemsetD16_v2)
#define cuMemsetD16Async SIM_PTSZ(cuMemsetD16Async)
#define cuMemsetD2D16 SIM_PTDS(cuMemsetD2D16_v2)
#define cuMemsetD2D16Async SIM_PTSZ(cuMemsetD2D16Async)
#define cuMemsetD2D32 SIM_PTDS(cuMemsetD2D32_v2)
#define cuMemsetD2D32Async SIM_PTSZ(cuMemsetD2D32Async)
#define cuMemsetD2D8 SIM_PTDS(cuMemsetD2D8_v2)
#define cuMemsetD2D8Async SIM_PTSZ(cuMemsetD2D8Async)
#define cuMemsetD32 SIM_PTDS(cuMemsetD32_v2)
#define cuMemsetD32Async SIM_PTSZ(cuMemsetD32Async)
#define cuMemsetD8 SIM_PTDS(cuMemsetD8_v2)
#define cuMemsetD8Async SIM_PTSZ(cuMemsetD8Async)
#define cuModuleGetGlobal cuModuleGetGlobal_v2
#define cuStreamAddCallback SIM_PTSZ(cuStreamAddCallback)
#define cuStreamBatchMemOp SIM_PTSZ(cuStreamBatchMemOp_v2)
#define cuStreamBeginCapture SIM_PTSZ(cuStreamBeginCapture_v2)
#define cuStreamBeginCaptureToGraph SIM_PTSZ(cuStreamBeginCaptureToGraph)
#define cuStreamDestroy cuStreamDestroy_v2
#define cuStreamEndCapture SIM_PTSZ(cuStreamEndCapture)
#define cuStreamGetCaptureInfo SIM_PTSZ(cuStreamGetCaptureInfo_v3)
#define cuStreamGetCtx SIM_PTSZ(cuStreamGetCtx)
#define cuStreamGetCtx_v2 SIM_PTSZ(cuStreamGetCtx_v2)
#define cuStreamGetDevice SIM_PTSZ(cuStreamGetDevice)
#define cuStreamGetFlags SIM_PTSZ(cuStreamGetFlags)
#define cuStreamGetId SIM_PTSZ(cuStreamGetId)
#define cuStreamGetPriority SIM_PTSZ(cuStreamGetPriority)
#define cuStreamIsCapturing SIM_PTSZ(cuStreamIsCapturing)
#define cuStreamQuery SIM_PTSZ(cuStreamQuery)
#define cuStreamSynchronize SIM_PTSZ(cuStreamSynchronize)
#define cuStreamWaitEvent SIM_PTSZ(cuStreamWaitEvent)
#define cuStreamWaitValue32 SIM_PTSZ(cuStreamWaitValue32_v2)
#define cuStreamWaitValue64 SIM_PTSZ(cuStreamWaitValue64_v2)
#define cuStreamWriteValue32 SIM_PTSZ(cuStreamWriteValue32_v2)
#define cuStreamWriteValue64 SIM_PTSZ(cuStreamWriteValue64_v2)
/* clang-format on */
#endif /* __CUDA_API_VERSION_INTERNAL */
#endif
