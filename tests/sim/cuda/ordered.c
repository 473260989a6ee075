/* ordered.c: allocation and free in stream order (cuMemAllocAsync, cuMemFreeAsync).
 *
 * The address is known at the call; the memory may be used by what the stream runs between the
 * allocation and the free. A block that is freed goes to the next allocation of its size in the
 * same stream at once, address and all, while the free is still to come. Another stream gets its
 * room when the free is over.
 */
#include "engine.h"
#include "impl.h"
#include "pool.h"

#include <sys/mman.h>

#define POISON_BYTES 4096 /* of a new block: who relies on zeroes is found out */
#define LOOK_AT      64   /* frees under way, for one to reuse */

struct block_op {
    struct op op;
    CUdeviceptr address;
    uint64_t id;
};

static struct block_op *block_op_new(const struct range *range, const char *name,
                                     void (*done)(struct op *))
{
    struct block_op *op = op_new(sizeof(*op), name, NULL);

    op->address = range->node.base;
    op->id = range->id;
    op->op.done = done;
    op->op.quick = true;
    return op;
}

static void alloc_done(struct op *op)
{
    const struct block_op *block = (const struct block_op *)op;
    struct range *range = range_by_id_locked(block->address, block->id);

    if (range)
        range->unborn = false;
}

static void free_done(struct op *op)
{
    const struct block_op *block = (const struct block_op *)op;
    struct range *range = range_by_id_locked(block->address, block->id);

    if (range)
        block_end_locked(range, "cuMemFreeAsync");
}

CUresult ordered_alloc_locked(struct range *range, struct stream *stream)
{
    range->unborn = true;
    return engine_submit_locked(stream, &block_op_new(range, "cuMemAllocAsync", alloc_done)->op,
                                false);
}

/* The latest block of this size that this stream frees. Not a larger one: what is enqueued for the
 * old block must find it at each of its addresses. */
static struct range *reuse_locked(const struct pool *pool, struct stream *stream, size_t bytes,
                                  size_t charged)
{
    struct range *range = pool->freed, *again;

    for (int i = 0; range && i < LOOK_AT; i++, range = range->freed_next) {
        if (range->free_in != stream || range->charged != charged || bytes < range->node.size)
            continue;
        again = range_again_locked(range, stream->ctx, bytes);
        pool_block_again_locked(range, again);
        return again;
    }
    return NULL;
}

static struct range *place_locked(struct pool *pool, struct ctx *ctx, size_t bytes)
{
    struct range *range;
    uint64_t base;
    void *p;

    if (pool->device) {
        base = window_take_locked(&pool->device->space, bytes, 0);
        if (!base)
            return NULL;
        range = range_new_locked(RANGE_DEVICE, ctx, base, bytes,
                                 pool->device->space.shadow + (base - pool->device->space.base),
                                 "cuMemAllocAsync");
        range->device = pool->device;
    } else {
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        range = range_new_locked(RANGE_HOST, ctx, (uintptr_t)p, bytes, p, "cuMemAllocAsync");
    }
    memset(range->cpu, 0xdb, bytes < POISON_BYTES ? bytes : POISON_BYTES);
    range->pool = pool;
    pool->blocks++;
    return range;
}

/* Room in the pool; frees under way are waited for before it gives up. */
static CUresult take_locked(struct pool *pool, CUmemoryPool handle, size_t charged)
{
    CUresult result;

    while ((result = pool_take_locked(pool, charged)) == CUDA_ERROR_OUT_OF_MEMORY && pool->freed) {
        engine_wait_locked(pool->freed->free_in, pool->freed->free_sequence);
        if (pool_get(handle) != pool) /* destroyed meanwhile */
            return CUDA_ERROR_INVALID_VALUE;
    }
    return result;
}

static CUresult alloc_locked(struct pool *pool, struct stream *stream, size_t bytes,
                             CUdeviceptr *out)
{
    size_t charged = (bytes + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT;
    struct range *range;
    CUresult result;

    if (bytes > SIZE_MAX / 4)
        return CUDA_ERROR_OUT_OF_MEMORY;
    range = reuse_locked(pool, stream, bytes, charged);
    if (!range) {
        result = take_locked(pool, pool->handle, charged);
        if (result != CUDA_SUCCESS)
            return result;
        range = place_locked(pool, stream->ctx, bytes);
        if (!range) {
            pool->used -= charged;
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        range->charged = charged;
    }
    *out = range->node.base;
    return ordered_alloc_locked(range, stream);
}

CUresult sim_mem_alloc_async(CUdeviceptr *out, size_t bytes, CUmemoryPool handle, bool own_pool,
                             CUstream stream_handle)
{
    struct stream *stream;
    struct pool *pool;
    CUresult result;
    bool captured;

    if (!out || !bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (sim_null())
        return null_alloc(out, bytes);
    sim_enter();
    stream = stream_get_locked(stream_handle, &result);
    pool = own_pool ? pool_get(handle) : stream ? stream->ctx->device->pool : NULL;
    if (stream && !pool)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = capture_admit_locked(stream, &captured);
    if (result == CUDA_SUCCESS)
        result = captured ? graph_alloc_locked(stream->capture, stream->ctx->device, bytes, out)
                          : alloc_locked(pool, stream, bytes, out);
    sim_leave();
    return result;
}

CUresult ordered_free_locked(struct range *range, struct stream *stream)
{
    struct block_op *op = block_op_new(range, "cuMemFreeAsync", free_done);
    uint64_t sequence = stream->enqueued + 1;
    CUresult result;

    range->freeing = true;
    result = engine_submit_locked(stream, &op->op, false);
    if (result != CUDA_SUCCESS)
        range->freeing = false;
    else if (range->pool)
        pool_block_freed_locked(range, stream, sequence);
    return result;
}

CUresult sim_mem_free_async(CUdeviceptr address, CUstream handle)
{
    struct stream *stream;
    struct range *range;
    CUresult result;

    if (!address)
        return CUDA_SUCCESS;
    if (sim_null() && null_owns(address))
        return null_free(address);
    sim_enter();
    stream = stream_get_locked(handle, &result);
    range = block_freeable_locked(address);
    /* "During stream capture ... must therefore be passed the address of a graph allocation" */
    if (stream && stream->capture)
        result = graph_free_locked(stream->capture, address);
    else if (stream)
        result = range ? ordered_free_locked(range, stream) : CUDA_ERROR_INVALID_VALUE;
    sim_leave();
    return result;
}
