/* impl.h: what the calls in symbols.def stand for. Each takes what the exported function takes,
 * less what all versions and flavours of it have in common. */
#ifndef HYBRIDMEM_SIM_IMPL_H
#define HYBRIDMEM_SIM_IMPL_H

#include "engine.h"

/* array.c */
CUresult sim_array_3d_create(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *shape);
CUresult sim_array_create(CUarray *out, const CUDA_ARRAY_DESCRIPTOR *shape);
CUresult sim_array_destroy(CUarray handle);
CUresult sim_mipmap_create(CUmipmappedArray *out, const CUDA_ARRAY3D_DESCRIPTOR *shape,
                           unsigned levels);
CUresult sim_mipmap_destroy(CUmipmappedArray handle);
CUresult sim_array_3d_get_descriptor(CUDA_ARRAY3D_DESCRIPTOR *out, CUarray handle);
CUresult sim_array_get_descriptor(CUDA_ARRAY_DESCRIPTOR *out, CUarray handle);

/* capture.c */
CUresult sim_stream_begin_capture(CUstream handle, CUstreamCaptureMode mode);
CUresult sim_stream_begin_capture_to_graph(CUstream handle, CUgraph graph,
                                           const CUgraphNode *dependencies, size_t count,
                                           CUstreamCaptureMode mode);
CUresult sim_stream_end_capture(CUstream handle, CUgraph *out);
CUresult sim_stream_get_capture_info(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                     CUgraph *graph, const CUgraphNode **dependencies,
                                     size_t *count);
CUresult sim_stream_is_capturing(CUstream handle, CUstreamCaptureStatus *status);
CUresult sim_thread_exchange_stream_capture_mode(CUstreamCaptureMode *mode);

/* batch.c */
CUresult sim_copy_batch(const CUdeviceptr *to, const CUdeviceptr *from, const size_t *bytes,
                        size_t count, const CUmemcpyAttributes *attributes, const size_t *firsts,
                        size_t attribute_count, size_t *failed, CUstream stream);
CUresult sim_copy_3d_batch(size_t count, const CUDA_MEMCPY3D_BATCH_OP *list, size_t *failed,
                           unsigned long long flags, CUstream stream);
CUresult sim_copy_with_attributes(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                  const CUmemcpyAttributes *attributes, CUstream stream);
CUresult sim_copy_3d_with_attributes(const CUDA_MEMCPY3D_BATCH_OP *op, unsigned long long flags,
                                     CUstream stream);

/* context.c */
CUresult sim_ctx_create(CUcontext *out, unsigned flags, CUdevice dev, unsigned api_version);
CUresult sim_ctx_destroy(CUcontext handle);
CUresult sim_ctx_attach(CUcontext *out, unsigned flags);
CUresult sim_ctx_detach(CUcontext handle);
CUresult sim_ctx_push_current(CUcontext handle);
CUresult sim_ctx_pop_current(CUcontext *out);
CUresult sim_ctx_set_current(CUcontext handle);
CUresult sim_ctx_get_current(CUcontext *out);
CUresult sim_ctx_get_device(CUdevice *device, CUcontext handle);
CUresult sim_ctx_get_api_version(CUcontext handle, unsigned *version);
CUresult sim_ctx_get_id(CUcontext handle, unsigned long long *id);
CUresult sim_ctx_synchronize(CUcontext handle);
CUresult sim_ctx_get_flags(unsigned *flags);
CUresult sim_ctx_set_flags(unsigned flags);
CUresult sim_ctx_set_limit(CUlimit limit, size_t value);
CUresult sim_ctx_get_limit(size_t *value, CUlimit limit);
CUresult sim_ctx_get_cache_config(CUfunc_cache *config);
CUresult sim_ctx_set_cache_config(CUfunc_cache config);
CUresult sim_ctx_get_shared_mem_config(CUsharedconfig *config);
CUresult sim_ctx_set_shared_mem_config(CUsharedconfig config);
CUresult sim_ctx_get_stream_priority_range(int *least, int *greatest);
CUresult sim_ctx_enable_peer_access(CUcontext handle, unsigned flags);
CUresult sim_ctx_disable_peer_access(CUcontext handle);
CUresult sim_primary_retain(CUcontext *out, CUdevice dev);
CUresult sim_primary_release(CUdevice dev);
CUresult sim_primary_reset(CUdevice dev);
CUresult sim_primary_get_state(CUdevice dev, unsigned *flags, int *active);
CUresult sim_primary_set_flags(CUdevice dev, unsigned flags);

/* copy.c */
CUresult sim_copy(struct span to, struct span from, size_t bytes, CUstream stream,
                  enum copy_mode mode);
/* Would it be refused? */
CUresult sim_copy_check(struct span to, struct span from, size_t bytes, CUstream stream);
CUresult sim_copy_peer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                       CUcontext from_context, size_t bytes, CUstream stream, enum copy_mode mode);
CUresult sim_copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, enum copy_mode mode);
CUresult sim_copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, enum copy_mode mode);
CUresult sim_copy_3d_peer(const CUDA_MEMCPY3D_PEER *copy, CUstream stream, enum copy_mode mode);

/* device.c */
CUresult sim_device_get(CUdevice *device, int ordinal);
CUresult sim_device_get_count(int *count);
CUresult sim_device_get_name(char *name, int length, CUdevice dev);
CUresult sim_device_get_uuid(CUuuid *uuid, CUdevice dev);
CUresult sim_device_get_attribute(int *value, CUdevice_attribute attribute, CUdevice dev);
CUresult sim_device_compute_capability(int *major, int *minor, CUdevice dev);
CUresult sim_device_total_mem(size_t *bytes, CUdevice dev);
CUresult sim_device_get_properties(CUdevprop *properties, CUdevice dev);
CUresult sim_device_get_pci_bus_id(char *id, int length, CUdevice dev);
CUresult sim_device_get_by_pci_bus_id(CUdevice *dev, const char *id);
CUresult sim_device_can_access_peer(int *can, CUdevice dev, CUdevice peer);
CUresult sim_device_get_p2p_attribute(int *value, CUdevice_P2PAttribute attribute, CUdevice from,
                                      CUdevice to);

/* errors.c */
CUresult sim_get_error_name(CUresult error, const char **name);
CUresult sim_get_error_string(CUresult error, const char **text);

/* event.c */
CUresult sim_event_create(CUevent *out, unsigned flags);
CUresult sim_event_destroy(CUevent handle);
CUresult sim_event_record(CUevent handle, CUstream stream_handle, unsigned flags);
CUresult sim_ctx_record_event(CUcontext ctx_handle, CUevent handle);
CUresult sim_event_query(CUevent handle);
CUresult sim_event_synchronize(CUevent handle);
CUresult sim_event_elapsed_time(float *milliseconds, CUevent start_handle, CUevent end_handle);
CUresult sim_stream_wait_event(CUstream stream_handle, CUevent handle, unsigned flags);

/* graph.c */
CUresult sim_graph_create(CUgraph *out, unsigned flags);
CUresult sim_graph_destroy(CUgraph handle);
CUresult sim_graph_clone(CUgraph *out, CUgraph original);
CUresult sim_graph_nodes(CUgraph handle, CUgraphNode *nodes, size_t *count, bool roots_only);
CUresult sim_graph_edges(CUgraph handle, CUgraphNode *from, CUgraphNode *to, size_t *count);
CUresult sim_graph_instantiate(CUgraphExec *out, CUgraph handle, cuuint64_t flags);
CUresult sim_graph_instantiate_with_params(CUgraphExec *out, CUgraph handle,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *params);
CUresult sim_graph_exec_get_flags(CUgraphExec handle, cuuint64_t *flags);
CUresult sim_graph_exec_destroy(CUgraphExec handle);
CUresult sim_graph_upload(CUgraphExec handle, CUstream stream_handle);
CUresult sim_graph_launch(CUgraphExec handle, CUstream stream_handle);

/* graph_node.c */
CUresult sim_graph_add_kernel(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
                              size_t count, const CUDA_KERNEL_NODE_PARAMS *params);
CUresult sim_graph_add_copy(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
                            size_t count, const CUDA_MEMCPY3D *params, CUcontext context);
CUresult sim_graph_add_set(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
                           size_t count, const CUDA_MEMSET_NODE_PARAMS *params, CUcontext context);

/* green.c */
CUresult sim_device_get_dev_resource(CUdevice dev, CUdevResource *resource, CUdevResourceType type);
CUresult sim_split_by_count(CUdevResource *groups, unsigned *count, const CUdevResource *input,
                            CUdevResource *rest, unsigned flags, unsigned least);
CUresult sim_generate_desc(CUdevResourceDesc *out, const CUdevResource *resources, unsigned count);
CUresult sim_green_create(CUgreenCtx *out, CUdevResourceDesc desc, CUdevice dev, unsigned flags);
CUresult sim_green_destroy(CUgreenCtx handle);
CUresult sim_ctx_from_green(CUcontext *out, CUgreenCtx handle);
CUresult sim_green_stream_create(CUstream *out, CUgreenCtx handle, unsigned flags, int priority);
CUresult sim_stream_get_green(CUstream handle, CUgreenCtx *out);

/* hostmem.c */
CUresult sim_mem_host_alloc(void **out, size_t bytes, unsigned flags);
CUresult sim_mem_free_host(void *p);
CUresult sim_mem_host_register(void *p, size_t bytes, unsigned flags);
CUresult sim_mem_host_unregister(void *p);
CUresult sim_mem_host_get_device_pointer(CUdeviceptr *out, void *p, unsigned flags);
CUresult sim_mem_host_get_flags(unsigned *flags, void *p);

/* kernel.c */
CUresult sim_launch(CUfunction handle, const unsigned dims[7], CUstream stream_handle, void **list,
                    void **extra);
CUresult sim_launch_ex(const CUlaunchConfig *config, CUfunction function, void **list, void **extra,
                       bool per_thread);

/* library.c */
CUresult sim_library_load_data(CUlibrary *out, const void *code);
CUresult sim_library_load_file(CUlibrary *out, const char *path);
CUresult sim_library_unload(CUlibrary handle);
CUresult sim_library_get_kernel(CUkernel *out, CUlibrary handle, const char *name);
CUresult sim_library_get_kernel_count(unsigned *out, CUlibrary handle);
CUresult sim_library_enumerate_kernels(CUkernel *out, unsigned most, CUlibrary handle);
CUresult sim_library_get_module(CUmodule *out, CUlibrary handle);
CUresult sim_library_get_global(CUlibrary handle, const char *name);
CUresult sim_kernel_get_function(CUfunction *out, CUkernel handle);
CUresult sim_kernel_get_library(CUlibrary *out, CUkernel handle);
CUresult sim_kernel_get_name(const char **out, CUkernel handle);
CUresult sim_kernel_get_attribute(int *value, CUfunction_attribute attribute, CUkernel handle,
                                  CUdevice dev);
CUresult sim_kernel_get_param_info(CUkernel handle, size_t index, size_t *offset, size_t *size);

/* managed.c */
CUmemLocation location_of_device(CUdevice dev);
CUresult sim_mem_prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned flags,
                          CUstream handle);
CUresult sim_mem_advise(CUdeviceptr address, size_t bytes, CUmem_advise advice,
                        CUmemLocation location);

/* memory.c */
CUresult sim_mem_alloc(CUdeviceptr *out, size_t bytes);
CUresult sim_mem_alloc_pitch(CUdeviceptr *out, size_t *pitch, size_t width, size_t height,
                             unsigned element);
CUresult sim_mem_alloc_managed(CUdeviceptr *out, size_t bytes, unsigned flags);
CUresult sim_mem_free(CUdeviceptr address);
CUresult sim_mem_get_info(size_t *free_bytes, size_t *total);
CUresult sim_mem_get_address_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr address);

/* module.c */
CUresult sim_module_load_data(CUmodule *out, const void *image);
CUresult sim_module_load(CUmodule *out, const char *path);
CUresult sim_module_unload(CUmodule handle);
CUresult sim_module_get_function(CUfunction *out, CUmodule handle, const char *name);
CUresult sim_module_get_global(CUdeviceptr *out, size_t *bytes, CUmodule handle, const char *name);
CUresult sim_module_get_loading_mode(CUmoduleLoadingMode *mode);
CUresult sim_func_get_attribute(int *value, CUfunction_attribute attribute, CUfunction handle);
CUresult sim_func_set_attribute(CUfunction handle, CUfunction_attribute attribute, int value);
CUresult sim_func_set_cache_config(CUfunction handle, CUfunc_cache config);
CUresult sim_func_get_module(CUmodule *out, CUfunction handle);
CUresult sim_func_get_name(const char **name, CUfunction handle);
CUresult sim_func_load(CUfunction handle);
CUresult sim_occupancy_blocks(int *blocks, CUfunction handle, int block_size);
CUresult sim_occupancy_potential(int *grid, int *block, CUfunction handle, int limit);
CUresult sim_link_create(CUlinkState *out);
CUresult sim_link_add_data(CUlinkState handle, CUjitInputType type, const void *data, size_t size);
CUresult sim_link_add_file(CUlinkState handle, CUjitInputType type, const char *path);
CUresult sim_link_complete(CUlinkState handle, void **out, size_t *size);
CUresult sim_link_destroy(CUlinkState handle);

/* ordered.c */
CUresult sim_mem_alloc_async(CUdeviceptr *out, size_t bytes, CUmemoryPool handle, bool own_pool,
                             CUstream stream_handle);
CUresult sim_mem_free_async(CUdeviceptr address, CUstream handle);

/* physical.c */
CUresult sim_mem_create(CUmemGenericAllocationHandle *out, size_t size,
                        const CUmemAllocationProp *prop, unsigned long long flags);
CUresult sim_mem_release(CUmemGenericAllocationHandle handle);
CUresult sim_mem_get_allocation_granularity(size_t *out, const CUmemAllocationProp *prop,
                                            CUmemAllocationGranularity_flags option);
CUresult sim_mem_get_allocation_properties(CUmemAllocationProp *out,
                                           CUmemGenericAllocationHandle handle);
CUresult sim_mem_export(void *out, CUmemGenericAllocationHandle handle,
                        CUmemAllocationHandleType type, unsigned long long flags);
CUresult sim_mem_import(CUmemGenericAllocationHandle *out, void *os_handle,
                        CUmemAllocationHandleType type);

/* pool.c */
CUresult sim_mem_pool_create(CUmemoryPool *out, const CUmemPoolProps *props);
CUresult sim_mem_pool_destroy(CUmemoryPool handle);
CUresult sim_mem_pool_trim_to(CUmemoryPool handle, size_t keep);
CUresult sim_mem_pool_set_attribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                                    void *value);
CUresult sim_mem_pool_get_attribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                                    void *value);
CUresult sim_mem_pool_set_access(CUmemoryPool handle, const CUmemAccessDesc *map, size_t count);
CUresult sim_mem_pool_get_access(CUmemAccess_flags *flags, CUmemoryPool handle,
                                 const CUmemLocation *location);
CUresult sim_device_get_mem_pool(CUmemoryPool *out, CUdevice dev, bool standard);
CUresult sim_device_set_mem_pool(CUdevice dev, CUmemoryPool handle);
CUresult sim_mem_get_mem_pool(CUmemoryPool *out, const CUmemLocation *location,
                              CUmemAllocationType type, bool standard);
CUresult sim_mem_set_mem_pool(const CUmemLocation *location, CUmemAllocationType type,
                              CUmemoryPool handle);

/* procaddress.c */
CUresult sim_proc_address(const char *symbol, void **function, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status, CUresult absent);

/* query.c */
CUresult sim_pointer_get_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address);
CUresult sim_pointer_get_attributes(unsigned count, CUpointer_attribute *attributes, void **data,
                                    CUdeviceptr address);
CUresult sim_pointer_set_attribute(const void *value, CUpointer_attribute attribute,
                                   CUdeviceptr address);
CUresult sim_ipc_get_mem_handle(CUipcMemHandle *out, CUdeviceptr address);
CUresult sim_ipc_open_mem_handle(CUdeviceptr *out, const CUipcMemHandle *handle, unsigned flags);
CUresult sim_ipc_close_mem_handle(CUdeviceptr address);

/* set.c */
CUresult sim_set(CUdeviceptr to, size_t pitch, unsigned element, unsigned value, size_t width,
                 size_t height, CUstream handle, enum copy_mode mode);

/* state.c */
CUresult sim_init(unsigned int flags);
CUresult sim_driver_get_version(int *version);
CUresult sim_not_supported(void);
CUresult sim_get_export_table(const void **table, const CUuuid *id);

/* stream.c */
CUresult sim_stream_create(CUstream *out, unsigned flags, int priority);
CUresult sim_stream_destroy(CUstream handle);
CUresult sim_stream_synchronize(CUstream handle);
CUresult sim_stream_query(CUstream handle);
CUresult sim_launch_host_func(CUstream handle, CUhostFn function, void *data);
CUresult sim_stream_add_callback(CUstream handle, CUstreamCallback callback, void *data,
                                 unsigned flags);
CUresult sim_stream_get_ctx(CUstream handle, CUcontext *out);
CUresult sim_stream_get_ctx_v2(CUstream handle, CUcontext *out, CUgreenCtx *green);
CUresult sim_stream_get_flags(CUstream handle, unsigned *out);
CUresult sim_stream_get_priority(CUstream handle, int *out);
CUresult sim_stream_get_id(CUstream handle, unsigned long long *out);
CUresult sim_stream_get_device(CUstream handle, CUdevice *out);

/* vmm.c */
CUresult sim_mem_address_reserve(CUdeviceptr *out, size_t size, size_t alignment, CUdeviceptr hint,
                                 unsigned long long flags);
CUresult sim_mem_address_free(CUdeviceptr address, size_t size);
CUresult sim_mem_map(CUdeviceptr address, size_t size, size_t offset,
                     CUmemGenericAllocationHandle handle, unsigned long long flags);
CUresult sim_mem_unmap(CUdeviceptr address, size_t size);
CUresult sim_mem_retain(CUmemGenericAllocationHandle *out, void *address);
CUresult sim_mem_set_access(CUdeviceptr address, size_t size, const CUmemAccessDesc *descs,
                            size_t count);
CUresult sim_mem_get_access(unsigned long long *flags, const CUmemLocation *location,
                            CUdeviceptr address);

#endif
