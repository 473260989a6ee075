/* mempool.h: the memory pools that stream-ordered blocks may be asked of, and how much of each is
 * redirected. Known are the pools of a device that the host has made and each device's default
 * pool; imported pools and pools of host memory are the driver's alone.
 *
 * All calls are thread-safe. A tag stands for a pool: blocks carry it, also when their pool has
 * been destroyed before them; 0 is no pool.
 */
#ifndef HYBRIDMEM_MEMPOOL_H
#define HYBRIDMEM_MEMPOOL_H

#include "shim/cuda_abi.h"
#include "shim/device.h"

#include <stdbool.h>
#include <stdint.h>

/* After cuMemPoolCreate. */
void mempool_created(CUmemoryPool pool, const CUmemPoolProps *props);

/* cuMemPoolDestroy, with what follows. Blocks of the pool live on. */
CUresult mempool_destroy(CUmemoryPool pool);

/* Is it a pool of VRAM of this device? */
bool mempool_lies_on(CUmemoryPool pool, const struct device *device);

/* The tag of a pool, NULL being the device's current one; 0 if its blocks may not be redirected. */
unsigned mempool_tag(CUmemoryPool pool, const struct device *device);

/* The pool of a tag; NULL once it is destroyed. */
CUmemoryPool mempool_of(unsigned tag);

/* A block of `bytes` is redirected; is freed. */
void mempool_add(unsigned tag, uint64_t bytes);
void mempool_sub(unsigned tag, uint64_t bytes);

/* cuMemPoolGetAttribute's answer, made whole with the redirected bytes. */
void mempool_complete(CUmemoryPool pool, CUmemPool_attribute attribute, void *value);

/* After cuMemPoolSetAttribute: a high-water mark begins again from what is, a threshold holds from
 * now on. */
void mempool_attribute_set(CUmemoryPool pool, CUmemPool_attribute attribute);

/* After cuMemPoolTrimTo. */
void mempool_trimmed(CUmemoryPool pool, uint64_t keep);

/* Bytes that the device's pools keep of freed blocks. Zero before the first stream-ordered
 * allocation. */
uint64_t mempool_kept(const struct device *device);

/* Has the device's pools give back what they keep. False if there was nothing to give. */
bool mempool_trim(const struct device *device);

/* A forked child. */
void mempool_forget(void);

#endif
