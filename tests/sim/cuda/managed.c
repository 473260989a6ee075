/* managed.c: hints for managed memory, which here lies with the host whatever they say. */
#include "engine.h"
#include "impl.h"
#include "vmm.h"

/* The devices of the older calls: CU_DEVICE_CPU is the host. */
CUmemLocation location_of_device(CUdevice dev)
{
    return dev == CU_DEVICE_CPU ? (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0}
                                : (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, dev};
}

static CUresult place_check(CUmemLocation location)
{
    if (location.type == CU_MEM_LOCATION_TYPE_DEVICE)
        return device_get(location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    return location.type == CU_MEM_LOCATION_TYPE_HOST ||
                   location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT ||
                   (location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA && !location.id)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

static bool is_managed_locked(CUdeviceptr address, size_t bytes)
{
    const struct range *range = range_find_locked(address);

    return bytes && range && range->kind == RANGE_MANAGED && bytes <= range_end(range) - address;
}

CUresult sim_mem_prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned flags,
                          CUstream handle)
{
    CUresult result = place_check(location);
    struct stream *stream;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream && !is_managed_locked(address, bytes))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = engine_submit_locked(stream, op_new(sizeof(struct op), "prefetch", NULL), false);
    sim_leave();
    return result;
}

CUresult sim_mem_advise(CUdeviceptr address, size_t bytes, CUmem_advise advice,
                        CUmemLocation location)
{
    CUresult result = CUDA_SUCCESS;
    bool can;

    if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
        return CUDA_ERROR_INVALID_VALUE;
    /* "ignored for CU_MEM_ADVISE_SET_READ_MOSTLY, ..._UNSET_READ_MOSTLY and
     * ..._UNSET_PREFERRED_LOCATION" */
    if (advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION || advice >= CU_MEM_ADVISE_SET_ACCESSED_BY)
        result = place_check(location);
    if (result != CUDA_SUCCESS)
        return result;
    sim_enter();
    can = is_managed_locked(address, bytes);
    sim_leave();
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
