/* conform_api.h: the driver's functions that the cases call: X(member of `cu`, exported symbol). */
#ifndef HYBRIDMEM_TESTS_CONFORM_API_H
#define HYBRIDMEM_TESTS_CONFORM_API_H

/* clang-format off */
#define CONF_API(X) CONF_API_BASE(X) CONF_API_MEMORY(X) CONF_API_COPY(X) CONF_API_YOUNG(X)

#define CONF_API_BASE(X)                                                                           \
    X(Init, cuInit) X(DriverGetVersion, cuDriverGetVersion) X(GetErrorName, cuGetErrorName)        \
    X(GetErrorString, cuGetErrorString) X(GetProcAddress, cuGetProcAddress)                        \
    X(GetProcAddress_v2, cuGetProcAddress_v2) X(DeviceGet, cuDeviceGet)                            \
    X(DeviceGetCount, cuDeviceGetCount) X(DeviceGetAttribute, cuDeviceGetAttribute)                \
    X(DeviceTotalMem, cuDeviceTotalMem_v2) X(DeviceCanAccessPeer, cuDeviceCanAccessPeer)           \
    X(CtxCreate, cuCtxCreate_v2) X(CtxDestroy, cuCtxDestroy_v2) X(CtxPushCurrent, cuCtxPushCurrent_v2) \
    X(CtxPopCurrent, cuCtxPopCurrent_v2) X(CtxSetCurrent, cuCtxSetCurrent)                         \
    X(CtxGetCurrent, cuCtxGetCurrent) X(CtxGetDevice, cuCtxGetDevice)                              \
    X(CtxSynchronize, cuCtxSynchronize) X(CtxEnablePeerAccess, cuCtxEnablePeerAccess)              \
    X(CtxDisablePeerAccess, cuCtxDisablePeerAccess)                                                \
    X(DevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain)                                            \
    X(DevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2)                                       \
    X(DevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2)                                           \
    X(DevicePrimaryCtxGetState, cuDevicePrimaryCtxGetState)                                        \
    X(ModuleLoadData, cuModuleLoadData) X(ModuleGetFunction, cuModuleGetFunction)                  \
    X(ModuleUnload, cuModuleUnload) X(LaunchKernel, cuLaunchKernel)                                \
    X(StreamCreate, cuStreamCreate) X(StreamCreateWithPriority, cuStreamCreateWithPriority)        \
    X(StreamDestroy, cuStreamDestroy_v2) X(StreamSynchronize, cuStreamSynchronize)                 \
    X(StreamQuery, cuStreamQuery) X(StreamWaitEvent, cuStreamWaitEvent)                            \
    X(StreamAddCallback, cuStreamAddCallback) X(LaunchHostFunc, cuLaunchHostFunc)                  \
    X(StreamGetFlags, cuStreamGetFlags) X(StreamGetCtx, cuStreamGetCtx)                            \
    X(StreamIsCapturing, cuStreamIsCapturing) X(StreamBeginCapture, cuStreamBeginCapture_v2)       \
    X(StreamEndCapture, cuStreamEndCapture)                                                        \
    X(StreamGetCaptureInfo, cuStreamGetCaptureInfo_v2)                                             \
    X(ThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode)                          \
    X(EventCreate, cuEventCreate) X(EventDestroy, cuEventDestroy_v2)                               \
    X(EventRecord, cuEventRecord) X(EventQuery, cuEventQuery)                                      \
    X(EventSynchronize, cuEventSynchronize) X(EventElapsedTime, cuEventElapsedTime)                \
    X(GraphCreate, cuGraphCreate) X(GraphDestroy, cuGraphDestroy)                                  \
    X(GraphInstantiate, cuGraphInstantiateWithFlags) X(GraphExecDestroy, cuGraphExecDestroy)       \
    X(GraphLaunch, cuGraphLaunch)

#define CONF_API_MEMORY(X)                                                                         \
    X(MemAlloc, cuMemAlloc_v2) X(MemAllocPitch, cuMemAllocPitch_v2)                                \
    X(MemAllocManaged, cuMemAllocManaged) X(MemFree, cuMemFree_v2)                                 \
    X(MemGetInfo, cuMemGetInfo_v2) X(MemGetAddressRange, cuMemGetAddressRange_v2)                  \
    X(MemAllocHost, cuMemAllocHost_v2) X(MemHostAlloc, cuMemHostAlloc)                             \
    X(MemFreeHost, cuMemFreeHost) X(MemHostRegister, cuMemHostRegister_v2)                         \
    X(MemHostUnregister, cuMemHostUnregister)                                                      \
    X(MemHostGetDevicePointer, cuMemHostGetDevicePointer_v2)                                       \
    X(MemHostGetFlags, cuMemHostGetFlags) X(PointerGetAttribute, cuPointerGetAttribute)            \
    X(PointerGetAttributes, cuPointerGetAttributes)                                                \
    X(PointerSetAttribute, cuPointerSetAttribute) X(IpcGetMemHandle, cuIpcGetMemHandle)            \
    X(IpcOpenMemHandle, cuIpcOpenMemHandle_v2) X(IpcCloseMemHandle, cuIpcCloseMemHandle)           \
    X(ArrayCreate, cuArrayCreate_v2) X(Array3DCreate, cuArray3DCreate_v2)                          \
    X(MipmappedArrayCreate, cuMipmappedArrayCreate)                                                 \
    X(MipmappedArrayDestroy, cuMipmappedArrayDestroy)                                              \
    X(ArrayDestroy, cuArrayDestroy) X(ArrayGetDescriptor, cuArrayGetDescriptor_v2)                 \
    X(Array3DGetDescriptor, cuArray3DGetDescriptor_v2)                                             \
    X(MemAdvise, cuMemAdvise) X(MemPrefetchAsync, cuMemPrefetchAsync)

#define CONF_API_COPY(X)                                                                           \
    X(Memcpy, cuMemcpy) X(MemcpyAsync, cuMemcpyAsync) X(MemcpyPeer, cuMemcpyPeer)                  \
    X(MemcpyPeerAsync, cuMemcpyPeerAsync) X(MemcpyHtoD, cuMemcpyHtoD_v2)                           \
    X(MemcpyHtoDAsync, cuMemcpyHtoDAsync_v2) X(MemcpyDtoH, cuMemcpyDtoH_v2)                        \
    X(MemcpyDtoHAsync, cuMemcpyDtoHAsync_v2) X(MemcpyDtoD, cuMemcpyDtoD_v2)                        \
    X(MemcpyDtoDAsync, cuMemcpyDtoDAsync_v2) X(MemcpyDtoA, cuMemcpyDtoA_v2)                        \
    X(MemcpyAtoD, cuMemcpyAtoD_v2) X(MemcpyHtoA, cuMemcpyHtoA_v2) X(MemcpyAtoH, cuMemcpyAtoH_v2)   \
    X(MemcpyAtoA, cuMemcpyAtoA_v2) X(MemcpyHtoAAsync, cuMemcpyHtoAAsync_v2)                        \
    X(MemcpyAtoHAsync, cuMemcpyAtoHAsync_v2)                                                       \
    X(Memcpy2D, cuMemcpy2D_v2) X(Memcpy2DUnaligned, cuMemcpy2DUnaligned_v2)                        \
    X(Memcpy2DAsync, cuMemcpy2DAsync_v2) X(Memcpy3D, cuMemcpy3D_v2)                                \
    X(Memcpy3DAsync, cuMemcpy3DAsync_v2) X(Memcpy3DPeer, cuMemcpy3DPeer)                           \
    X(Memcpy3DPeerAsync, cuMemcpy3DPeerAsync)                                                      \
    X(MemsetD8, cuMemsetD8_v2) X(MemsetD16, cuMemsetD16_v2) X(MemsetD32, cuMemsetD32_v2)           \
    X(MemsetD2D8, cuMemsetD2D8_v2) X(MemsetD2D16, cuMemsetD2D16_v2)                                \
    X(MemsetD2D32, cuMemsetD2D32_v2) X(MemsetD8Async, cuMemsetD8Async)                             \
    X(MemsetD16Async, cuMemsetD16Async) X(MemsetD32Async, cuMemsetD32Async)                        \
    X(MemsetD2D8Async, cuMemsetD2D8Async) X(MemsetD2D16Async, cuMemsetD2D16Async)                  \
    X(MemsetD2D32Async, cuMemsetD2D32Async)                                                        \
    X(MemsetD8_ptds, cuMemsetD8_v2_ptds) X(MemsetD8Async_ptsz, cuMemsetD8Async_ptsz)               \
    X(MemcpyHtoDAsync_ptsz, cuMemcpyHtoDAsync_v2_ptsz)                                             \
    X(StreamSynchronize_ptsz, cuStreamSynchronize_ptsz)                                            \
    X(LaunchKernel_ptsz, cuLaunchKernel_ptsz)

/* Younger than some driver that is still in use. */
#define CONF_API_YOUNG(X)                                                                          \
    X(MemAllocAsync, cuMemAllocAsync) X(MemAllocAsync_ptsz, cuMemAllocAsync_ptsz)                  \
    X(MemAllocFromPoolAsync, cuMemAllocFromPoolAsync) X(MemFreeAsync, cuMemFreeAsync)              \
    X(MemFreeAsync_ptsz, cuMemFreeAsync_ptsz) X(MemPoolCreate, cuMemPoolCreate)                    \
    X(MemPoolDestroy, cuMemPoolDestroy) X(MemPoolTrimTo, cuMemPoolTrimTo)                          \
    X(MemPoolSetAttribute, cuMemPoolSetAttribute) X(MemPoolGetAttribute, cuMemPoolGetAttribute)    \
    X(MemPoolSetAccess, cuMemPoolSetAccess) X(MemPoolGetAccess, cuMemPoolGetAccess)                \
    X(DeviceGetDefaultMemPool, cuDeviceGetDefaultMemPool) X(DeviceGetMemPool, cuDeviceGetMemPool)  \
    X(DeviceSetMemPool, cuDeviceSetMemPool) X(MemGetDefaultMemPool, cuMemGetDefaultMemPool)        \
    X(MemGetMemPool, cuMemGetMemPool)                                                              \
    X(MemAddressReserve, cuMemAddressReserve) X(MemAddressFree, cuMemAddressFree)                  \
    X(MemCreate, cuMemCreate) X(MemRelease, cuMemRelease) X(MemMap, cuMemMap)                      \
    X(MemUnmap, cuMemUnmap) X(MemSetAccess, cuMemSetAccess) X(MemGetAccess, cuMemGetAccess)        \
    X(MemExportToShareableHandle, cuMemExportToShareableHandle)                                    \
    X(MemImportFromShareableHandle, cuMemImportFromShareableHandle)                                \
    X(MemGetAllocationGranularity, cuMemGetAllocationGranularity)                                  \
    X(MemGetAllocationPropertiesFromHandle, cuMemGetAllocationPropertiesFromHandle)                \
    X(MemRetainAllocationHandle, cuMemRetainAllocationHandle)                                      \
    X(MemcpyBatchAsync, cuMemcpyBatchAsync) X(MemcpyBatchAsync_v2, cuMemcpyBatchAsync_v2)          \
    X(MemcpyWithAttributesAsync, cuMemcpyWithAttributesAsync)                                      \
    X(Memcpy3DWithAttributesAsync, cuMemcpy3DWithAttributesAsync)                                  \
    X(LaunchHostFunc_v2, cuLaunchHostFunc_v2)                                                      \
    X(Memcpy3DBatchAsync, cuMemcpy3DBatchAsync)                                                    \
    X(StreamBeginCaptureToGraph, cuStreamBeginCaptureToGraph) X(StreamGetId, cuStreamGetId)
/* clang-format on */

#endif
