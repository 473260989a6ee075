/* graph.h: graphs: what captures have recorded, in the order in which it was recorded. */
#ifndef HYBRIDMEM_SIM_GRAPH_H
#define HYBRIDMEM_SIM_GRAPH_H

#include "engine.h"

struct graph_node {
    struct graph_node *next;
    enum { NODE_WORK, NODE_ALLOC, NODE_FREE } kind;
    struct op *op;             /* WORK: the pattern of what each launch enqueues */
    struct graph_block *block; /* ALLOC, FREE */
};
struct graph {
    struct listed listed;
    void *handle;
    struct graph_node *nodes;
};
struct graph *graph_new_locked(void);
bool graph_end_locked(void *handle); /* false: no such graph */

/* Memory of graphs (graph_memory.c): an address for as long as an allocation node has it, memory
 * behind it from the node's launch to its free. */
struct graph_block *graph_block_new_locked(struct device *device, size_t bytes, CUdeviceptr *out);
struct graph_block *graph_block_keep(struct graph_block *block);
void graph_block_drop_locked(struct graph_block *block);
bool graph_block_is_at(const struct graph_block *block, CUdeviceptr address);
/* From a launch that was not followed by a free. */
bool graph_block_live_locked(const struct graph_block *block);
/* The bytes of one allocation, counted before it, or OUT_OF_MEMORY; not needed after all. */
CUresult graph_block_take_locked(struct graph_block *block);
void graph_block_give_locked(struct graph_block *block);
CUresult graph_block_alloc_locked(struct graph_block *block, struct stream *stream);
CUresult graph_block_free_locked(struct graph_block *block, struct stream *stream);

#endif
