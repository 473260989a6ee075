/* backing.h: where the bytes of an allocation can lie. Each backing takes a request in the current
 * context and gives an address that the device can use, or an error and nothing else changed.
 */
#ifndef HYBRIDMEM_BACKING_H
#define HYBRIDMEM_BACKING_H

#include "shim/arena.h"
#include "shim/context.h"
#include "shim/cuda_abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the host wants of a block that host memory may not give it. */
enum alloc_stays {
    MAY_MOVE,
    STAYS_IF_IT_CAN, /* the budget does not move it, an out-of-memory does */
    STAYS,
};

/* What the host asked for: cuMemAlloc, or with `pitched` cuMemAllocPitch. */
struct alloc_request {
    size_t bytes; /* pitched: at least this much, pitch x height */
    bool pitched;
    size_t width; /* bytes in a row */
    size_t height;
    unsigned int element; /* 4, 8 or 16 bytes */
    /* Stream-ordered: cuMemAllocAsync, or with a pool cuMemAllocFromPoolAsync. NULL: neither. */
    const struct stream_order *order;
    CUmemoryPool pool;
    unsigned pool_tag; /* of that pool (mempool.h), where its blocks may be redirected */
    /* cuMemCreate: the result's address is a handle, and no context is needed. */
    const CUmemAllocationProp *physical;
    enum alloc_stays stays;
    uint64_t lend; /* if it goes to the host, it may have VRAM on loan: room for that, or 0 */
};

struct alloc_result {
    CUdeviceptr address;
    size_t bytes;
    size_t pitch;          /* bytes from row to row; pitched only */
    struct device *device; /* where it is counted; NULL: it is the driver's alone */
    bool host;             /* it lies in host memory */
};

/* --- VRAM (backing_device.c) ----------------------------------------------------------------- */

/* The driver's own answer to a request, recorded nowhere. */
CUresult backing_device_ask(const struct alloc_request *request, struct alloc_result *result);

/* The driver's own answer; on success the allocation is recorded and counted. `reserved` bytes were
 * counted by the caller already, and are corrected or taken back. */
CUresult backing_device_alloc(struct context *context, const struct alloc_request *request,
                              uint64_t reserved, struct alloc_result *result);

/* Counts an allocation of managed memory, which the driver places by itself. */
void backing_device_note_managed(struct context *context, CUdeviceptr address, uint64_t bytes);

/* Counts an array, under a key that is no address; backing_device_free() takes it out again. */
void backing_device_note_array(struct context *context, uint64_t key, uint64_t bytes);

/* Takes a physical allocation that has ended out of the count. */
void backing_device_uncount(struct device *device, uint64_t bytes);

/* Frees an address by `how` (the driver's cuMemFree or a stream-ordered one). An address that we
 * did not see is the driver's alone: *freed stays as it is. A free that fails leaves everything as
 * it was. */
typedef CUresult backing_free_fn(CUdeviceptr address, void *arg);
struct backing_freed {
    struct device *device;
    uint64_t bytes;
};
CUresult backing_device_free(CUdeviceptr address, backing_free_fn *how, void *arg,
                             struct backing_freed *freed);

/* Drops the records of a context that is gone. */
void backing_device_drop(struct context *context);

/* --- pinned host memory (backing_host.c) ----------------------------------------------------- */

/* A block of pinned memory that the device reads and writes at its address; `order`: for use in
 * this stream, from now on, or NULL for any use. False if there is none (pinning failed, no memory,
 * no addresses): nothing has changed then. `room` is the number of bytes that may be pinned
 * altogether. */
bool backing_host_alloc(struct context *context, uint64_t bytes, uint64_t room,
                        const struct stream_order *order, struct arena_block *block);

/* Frees the live block that begins at `address`; false if none does. Its memory is used again only
 * when the context has been idle once after this call, or with `order` by the same stream, and by
 * others when that stream has come so far (promise P5). */
bool backing_host_free(uint64_t address, const struct stream_order *order,
                       struct arena_block *block);

/* Drops the arenas of a context that is gone; the driver has released its registrations. Returns
 * the bytes that the host still held in them. */
uint64_t backing_host_drop(struct context *context);

/* Memory that the driver pins for us elsewhere (backing_vmm.c) counts against the same room. False,
 * and not counted, if it has none left. */
bool backing_host_count(uint64_t bytes, uint64_t room);
void backing_host_uncount(uint64_t bytes);

/* Bytes pinned by us in the process. */
uint64_t backing_host_pinned(void);
uint64_t backing_host_pinned_peak(void);

/* A forked child. */
void backing_host_forget(void);

/* --- VRAM on loan (backing_loan.c) -------------------------------------------------------------
 */

/* A redirected block that lies in VRAM until backing_loan_recall() moves it to host memory, whose
 * room is kept for it. At most `vram` bytes are lent for it, `room` as above. Its address stays.
 * For use from now on; freed by backing_host_free(). False, and nothing changed, where none is to
 * be had.
 */
bool backing_loan_alloc(struct context *context, uint64_t bytes, uint64_t vram, uint64_t room,
                        struct arena_block *block);

/* May anything be lent on this device? Neither the driver nor a graph forbids it, as far as is
 * known.
 */
bool backing_loan_works(const struct device *device);

/* Moves what was lent last until `bytes` of VRAM have come free, or all that was lent. Waits for
 * the context to be idle. False, and nothing changed, where nothing is lent or nothing can be
 * moved. Where other threads left no moment for it, that is so for a poll period unless it `must`
 * be. */
bool backing_loan_recall(struct device *device, uint64_t bytes, bool must);

/* An empty arena of this backing ends, or its context has; with the pool's lock held. */
void backing_loan_end(struct host_pool *pool, struct arena *arena);

/* A forked child. */
void backing_loan_forget(void);

/* --- physical host memory (backing_vmm.c) ---------------------------------------------------- */

/* Can this request lie in host memory, where the driver takes it as the device's? What it is asked
 * is asked once for each device. */
bool backing_vmm_suits(const struct device *device, const struct alloc_request *request);

/* cuMemCreate with the same properties but another place: the NUMA node next to the device. False,
 * and nothing changed, if there is none to be had. For requests that suit. */
bool backing_vmm_create(struct device *device, const struct alloc_request *request, uint64_t room,
                        CUmemGenericAllocationHandle *handle);

/* The NUMA node next to the device, and the granularity that suits both; false where its memory
 * cannot be mapped for the device. */
bool backing_vmm_node(const struct device *device, int *node, size_t *granularity);

/* A forked child. */
void backing_vmm_forget(void);

#endif
