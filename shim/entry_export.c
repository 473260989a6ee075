/* entry_export.c: memory that another process or device is to reach. Redirected memory cannot be
 * handed over by its address: the answer is the driver's own error, and a word on why. Physical
 * memory is handed over by its handle, wherever it lies (entry_vmm.c).
 */
#include "shim/core.h"
#include "shim/gate.h"
#include "shim/hooks.h"
#include "shim/log.h"
#include "shim/vmm.h"

#include <stdatomic.h>

/* True for a redirected block that lies in VRAM on loan. */
static bool warn_if_redirected(const char *call, CUdeviceptr address, size_t bytes)
{
    struct arena_block block;
    static atomic_bool warned;
    int ordinal;
    bool ours = core_is_ours(address, &block);

    if (likely(!ours) && likely(!vmm_range_is_redirected(address, bytes, &ordinal)))
        return false;
    if (!atomic_exchange(&warned, true))
        log_warn("%s: the block lies in host memory and cannot be shared; HYBRIDMEM_MIN_REDIRECT "
                 "or HYBRIDMEM_TARGET_GPU keeps such blocks in VRAM",
                 call);
    return ours && arena_kind(block.arena) == HOST_LENT;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *pHandle, CUdeviceptr dptr)
{
    warn_if_redirected("cuIpcGetMemHandle", dptr, 1);
    return driver.cuIpcGetMemHandle(pHandle, dptr);
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *shareData_out, CUdeviceptr ptr)
{
    warn_if_redirected("cuMemPoolExportPointer", ptr, 1);
    return driver.cuMemPoolExportPointer(shareData_out, ptr);
}

CUresult cuMemGetHandleForAddressRange(void *handle, CUdeviceptr dptr, size_t size,
                                       CUmemRangeHandleType handleType, unsigned long long flags)
{
    /* Of VRAM on loan the driver might make one, which would not move with it. */
    if (warn_if_redirected("cuMemGetHandleForAddressRange", dptr, size))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuMemGetHandleForAddressRange(handle, dptr, size, handleType, flags);
}

/* A multicast object or an endpoint keeps the memory that is behind the address now ("must have
 * been allocated via cuMemCreate or cudaMallocAsync", cuMulticastBindAddr): VRAM on loan must not
 * move from then on. */
#define BIND(symbol, params, args, address, bytes)                                                 \
    CUresult symbol params                                                                         \
    {                                                                                              \
        struct arena_block block;                                                                  \
                                                                                                   \
        if (unlikely(core_is_ours(address, &block)))                                               \
            gate_freeze();                                                                         \
        CUresult r = driver.symbol args;                                                           \
        if (r != CUDA_SUCCESS)                                                                     \
            warn_if_redirected(#symbol, address, bytes);                                           \
        return r;                                                                                  \
    }
BIND(cuMulticastBindAddr,
     (CUmemGenericAllocationHandle mcHandle, size_t mcOffset, CUdeviceptr memptr, size_t size,
      unsigned long long flags),
     (mcHandle, mcOffset, memptr, size, flags), memptr, size)
BIND(cuMulticastBindAddr_v2,
     (CUmemGenericAllocationHandle mcHandle, CUdevice dev, size_t mcOffset, CUdeviceptr memptr,
      size_t size, unsigned long long flags),
     (mcHandle, dev, mcOffset, memptr, size, flags), memptr, size)
BIND(cuLogicalEndpointBindAddr,
     (CUlogicalEndpointId leId, CUdevice dev, cuuint64_t offset, void *ptr, cuuint64_t size,
      unsigned long long flags),
     (leId, dev, offset, ptr, size, flags), (CUdeviceptr)(uintptr_t)ptr, size)
