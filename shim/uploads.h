/* uploads.h: what a thread's calls tell of what its memory is for: the class of its next
 * allocation, and the model that it loads.
 *
 * Kept for each thread and device; no lock. What is smaller than the policy looks at costs a
 * comparison.
 */
#ifndef HYBRIDMEM_UPLOADS_H
#define HYBRIDMEM_UPLOADS_H

#include "policy/policy.h"
#include "shim/backing.h"
#include "shim/cuda_abi.h"
#include "shim/device.h"

#include <stdint.h>

/* --- copies and sets, before the driver does them -------------------------------------------- */

/* From host memory, from device memory or a value, and from wherever `src` lies. */
void uploads_copy_from_host(CUdeviceptr dst, uint64_t src, uint64_t bytes);
void uploads_write(CUdeviceptr dst, uint64_t bytes);
void uploads_copy(CUdeviceptr dst, CUdeviceptr src, uint64_t bytes);

/* --- blocks ---------------------------------------------------------------------------------- */

/* What a request that asks for a verdict is probably for, and what a rule or skip_clip says of it:
 * fills the class and the place of *asked, whose bytes are given. */
void uploads_predict(struct device *device, const struct alloc_request *request,
                     struct pol_request *asked);

void uploads_block_allocated(struct device *device, uint64_t address, uint64_t bytes);
void uploads_block_freed(struct device *device, uint64_t address, uint64_t bytes);

static inline void uploads_allocated(struct device *device, uint64_t address, uint64_t bytes)
{
    if (bytes >= POL_PHASE_ALLOC_MIN)
        uploads_block_allocated(device, address, bytes);
}

static inline void uploads_freed(struct device *device, uint64_t address, uint64_t bytes)
{
    if (bytes >= POL_PHASE_ALLOC_MIN)
        uploads_block_freed(device, address, bytes);
}

/* The same where addresses and memory come apart: access was given to a range, and it was unmapped.
 */
void uploads_range_usable(CUdeviceptr address, uint64_t bytes);
void uploads_range_unmapped(CUdeviceptr address, uint64_t bytes);

/* A context has ended, and blocks with it: what was known of any block is forgotten. */
void uploads_forget_blocks(void);

#endif
