/* vmm.h: which physical allocations the host holds (cuMemCreate), and where they are mapped. What
 * an allocation takes is counted as long as a handle or a mapping of it is left, whatever becomes
 * of addresses.
 *
 * All calls are thread-safe. An address or a handle that is not known here is the driver's alone.
 */
#ifndef HYBRIDMEM_VMM_H
#define HYBRIDMEM_VMM_H

#include "shim/backing.h"
#include "shim/cuda_abi.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A handle that core_alloc() gave, and what it counted. */
void vmm_created(const struct alloc_result *result);

/* The driver has given out one more reference to a handle. */
void vmm_retained(CUmemGenericAllocationHandle handle);

/* The driver's cuMemRelease, cuMemMap and cuMemUnmap, with what follows for the count. */
CUresult vmm_release(CUmemGenericAllocationHandle handle);
CUresult vmm_map(CUdeviceptr address, size_t size, size_t offset,
                 CUmemGenericAllocationHandle handle, unsigned long long flags);
CUresult vmm_unmap(CUdeviceptr address, size_t size);

/* Is the handle's memory redirected? Then *ordinal is the device that it was asked of. */
bool vmm_is_redirected(CUmemGenericAllocationHandle handle, int *ordinal);

/* Is redirected memory mapped somewhere in [address, address + size)? Then *ordinal is the device
 * that the first of it was asked of. A comparison or two where nothing was ever redirected. */
bool vmm_range_is_redirected(CUdeviceptr address, size_t size, int *ordinal);

/* Every redirected mapping that ever was lies in [lowest, end). */
struct vmm_bounds {
    _Atomic uint64_t lowest;
    _Atomic uint64_t end;
};
extern struct vmm_bounds vmm_bounds_;

static inline bool vmm_may_hold(uint64_t address)
{
    return address < atomic_load_explicit(&vmm_bounds_.end, memory_order_acquire) &&
           address >= atomic_load_explicit(&vmm_bounds_.lowest, memory_order_relaxed);
}

/* A forked child. */
void vmm_forget(void);

#endif
