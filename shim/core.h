/* core.h: request + view of memory -> verdict -> backing, with unwind on failure.
 */
#ifndef HYBRIDMEM_CORE_H
#define HYBRIDMEM_CORE_H

#include "shim/arena.h"
#include "shim/backing.h"
#include "shim/cuda_abi.h"

#include <stdbool.h>

/* Serves an allocation of the current context: by the driver, or by host memory where the budget or
 * an out-of-memory says so. Any error is the driver's own (promise P2). */
CUresult core_alloc(const struct alloc_request *request, struct alloc_result *result);

/* Frees any address: a redirected block, in the order of a stream if one is given, or what the
 * driver gave, by `how`. */
CUresult core_free(CUdeviceptr address, const struct stream_order *order, backing_free_fn *how,
                   void *arg);

/* The driver was out of memory for something else on the current context's device: does anything
 * that is lent come back, `bytes` of it if there is as much? Then the driver may be asked again. */
bool core_make_room(uint64_t bytes);

/* A physical allocation that core_alloc() counted is gone. */
void core_physical_ended(struct device *device, uint64_t bytes, bool host);

/* Is [address, address + bytes) something that the driver should judge? False if any of it is
 * redirected memory and not wholly inside one live block: the driver, which sees only the arena,
 * would let a copy run into a neighbour (promise P3). Lock-free; cheap when nothing is redirected.
 */
bool core_range_is_sound(CUdeviceptr address, size_t bytes);

/* Does `address` lie in memory of ours, live block or not? Then *block says which, with base 0 if
 * no live block is there. */
bool core_is_ours(CUdeviceptr address, struct arena_block *block);

/* After context_begin_end() and the driver's answer: was the context destroyed? Then what it held
 * is gone with it. */
void core_context_ended(CUcontext handle, bool gone);

/* Live redirected bytes of the process. */
uint64_t core_host_bytes(void);

/* A forked child: forgets everything, touches nothing. */
void core_forget_everything(void);

#endif
