/* entry_vmm.c: virtual memory management: PyTorch's expandable segments, and whoever else makes
 * physical memory and maps it.
 */
#include "shim/cancel.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/uploads.h"
#include "shim/vmm.h"

/* What only VRAM has. Memory that another process may map is as good in a NUMA node: the handle
 * types stay as asked, and a driver that cannot export such memory refuses to create it. PyTorch
 * asks for file descriptors always, and where the card has it for RDMA, which it rarely uses. */
static enum alloc_stays stays(const CUmemAllocationProp *prop)
{
    const unsigned exportable = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;

    if (prop->type != CU_MEM_ALLOCATION_TYPE_PINNED || prop->win32HandleMetaData ||
        (prop->requestedHandleTypes & ~exportable) || prop->allocFlags.compressionType ||
        prop->allocFlags.usage)
        return STAYS;
    return prop->allocFlags.gpuDirectRDMACapable ? STAYS_IF_IT_CAN : MAY_MOVE;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size,
                     const CUmemAllocationProp *prop, unsigned long long flags)
{
    if (!shim_acts() || !handle || !prop || flags ||
        prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return driver.cuMemCreate(handle, size, prop, flags);

    struct alloc_request request = {.bytes = size, .physical = prop, .stays = stays(prop)};
    struct alloc_result result = {0};
    int saved = shim_enter();
    CUresult r = core_alloc(&request, &result);
    if (r == CUDA_SUCCESS) {
        vmm_created(&result);
        *handle = result.address;
    }
    shim_leave(saved);
    return r;
}

/* A thread is not cancelled between the driver's answer and ours. */
#define PASS(symbol, params, args, ours)                                                           \
    CUresult symbol params                                                                         \
    {                                                                                              \
        if (!shim_acts())                                                                          \
            return driver.symbol args;                                                             \
        int saved = shim_enter(), cancel = cancel_defer();                                         \
        CUresult r = ours args;                                                                    \
        cancel_allow(cancel);                                                                      \
        shim_leave(saved);                                                                         \
        return r;                                                                                  \
    }

PASS(cuMemRelease, (CUmemGenericAllocationHandle handle), (handle), vmm_release)
PASS(cuMemMap,
     (CUdeviceptr ptr, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
      unsigned long long flags),
     (ptr, size, offset, handle, flags), vmm_map)

/* Memory of cuMemAlloc is mapped by nobody whom these functions know (conformance, none_*), though
 * what we give out for it may well be: no host takes that away from under its other blocks, or
 * holds on to what is behind it (promise P3). */
static bool touches_ours(CUdeviceptr address, size_t size)
{
    struct arena_block block;

    return core_is_ours(address, &block) || (size && core_is_ours(address + size - 1, &block));
}

static CUresult unmap(CUdeviceptr address, size_t size)
{
    if (touches_ours(address, size))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = vmm_unmap(address, size);
    if (r == CUDA_SUCCESS)
        uploads_range_unmapped(address, size);
    return r;
}
PASS(cuMemUnmap, (CUdeviceptr ptr, size_t size), (ptr, size), unmap)

/* "The handle is guaranteed to be the same handle value used to map the memory"
 * (cuMemRetainAllocationHandle). An import that has a value of its own is the driver's alone. */
CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *addr)
{
    if (unlikely(touches_ours((CUdeviceptr)(uintptr_t)addr, 1)))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = driver.cuMemRetainAllocationHandle(handle, addr);
    if (r == CUDA_SUCCESS && shim_acts())
        vmm_retained(*handle);
    return r;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *osHandle,
                                        CUmemAllocationHandleType shHandleType)
{
    CUresult r = driver.cuMemImportFromShareableHandle(handle, osHandle, shHandleType);
    if (r == CUDA_SUCCESS && shim_acts())
        vmm_retained(*handle);
    return r;
}

/* --- redirected memory is the device's for whoever asks (promise P1) ------------------------- */

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
                                                CUmemGenericAllocationHandle handle)
{
    CUresult r = driver.cuMemGetAllocationPropertiesFromHandle(prop, handle);
    int ordinal;

    if (r == CUDA_SUCCESS && shim_acts() && vmm_is_redirected(handle, &ordinal))
        prop->location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, ordinal};
    return r;
}

/* "Users cannot specify CU_MEM_LOCATION_TYPE_HOST_NUMA accessibility for allocations created on
 * with other location types" (cuMemSetAccess). */
static CUresult set_access(CUdeviceptr address, size_t size, const CUmemAccessDesc *desc,
                           size_t count)
{
    int ordinal;

    if (touches_ours(address, size))
        return CUDA_ERROR_INVALID_VALUE;
    if (desc && vmm_range_is_redirected(address, size, &ordinal))
        for (size_t i = 0; i < count; i++)
            if (desc[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
                return CUDA_ERROR_INVALID_VALUE;
    CUresult r = driver.cuMemSetAccess(address, size, desc, count);
    if (r == CUDA_SUCCESS)
        uploads_range_usable(address, size);
    return r;
}
PASS(cuMemSetAccess, (CUdeviceptr ptr, size_t size, const CUmemAccessDesc *desc, size_t count),
     (ptr, size, desc, count), set_access)

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr ptr)
{
    if (unlikely(touches_ours(ptr, 1)))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuMemGetAccess(flags, location, ptr);
}

CUresult cuMemAddressFree(CUdeviceptr ptr, size_t size)
{
    if (unlikely(touches_ours(ptr, size)))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuMemAddressFree(ptr, size);
}
