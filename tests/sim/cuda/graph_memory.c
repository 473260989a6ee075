/* graph_memory.c: the memory of graphs (cuGraphAddMemAllocNode): "the address of the allocation is
 * fixed" when the node is made; what lies there comes with a launch and goes with a free, in stream
 * order.
 *
 * A range of its own keeps the address, so that work on it can be captured; what launches allocate
 * is chained on top of that, as a stream's blocks are that use an address again (ordered.c).
 */
#include "graph.h"

struct graph_block {
    unsigned references;
    struct range *home;
};

static size_t charged(const struct graph_block *block)
{
    return (block->home->node.size + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT;
}

struct graph_block *graph_block_new_locked(struct device *device, size_t bytes, CUdeviceptr *out)
{
    struct graph_block *block;
    uint64_t base = 0;

    if (bytes <= device->total)
        base = window_take_locked(&device->space, bytes, 0);
    if (!base)
        return NULL;
    block = calloc(1, sizeof(*block));
    block->references = 1;
    block->home =
        range_new_locked(RANGE_DEVICE, NULL, base, bytes,
                         device->space.shadow + (base - device->space.base), "cuMemAllocAsync");
    block->home->device = device;
    block->home->graph_home = block->home->unborn = block->home->freeing = true;
    *out = base;
    return block;
}

struct graph_block *graph_block_keep(struct graph_block *block)
{
    block->references++;
    return block;
}

void graph_block_drop_locked(struct graph_block *block)
{
    if (--block->references)
        return;
    range_end_locked(block->home); /* the address goes with the last of its chain */
    free(block);
}

bool graph_block_is_at(const struct graph_block *block, CUdeviceptr address)
{
    return block->home->node.base == address;
}

bool graph_block_live_locked(const struct graph_block *block)
{
    return block_freeable_locked(block->home->node.base) != NULL;
}

CUresult graph_block_take_locked(struct graph_block *block)
{
    return device_take_locked(block->home->device, charged(block));
}

void graph_block_give_locked(struct graph_block *block)
{
    device_give_locked(block->home->device, charged(block));
}

CUresult graph_block_alloc_locked(struct graph_block *block, struct stream *stream)
{
    struct range *home = block->home;

    return ordered_alloc_locked(
        range_again_locked(range_find_locked(home->node.base), stream->ctx, home->node.size),
        stream);
}

CUresult graph_block_free_locked(struct graph_block *block, struct stream *stream)
{
    struct range *range = block_freeable_locked(block->home->node.base);

    return range ? ordered_free_locked(range, stream) : CUDA_ERROR_INVALID_VALUE;
}
