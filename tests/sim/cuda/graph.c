/* graph.c: graphs can be made, instantiated, launched and destroyed; they run nothing.
 *
 * An allocation in a capture gets an address of the graph's own. As nothing runs, nothing is behind
 * it: a use outside the capture is an illegal one.
 */
#include "graph.h"
#include "impl.h"

struct graph_block {
    struct graph_block *next;
    struct device *device;
    uint64_t base;
    size_t bytes;
    bool freed;
};
struct graph_exec {
    struct listed listed;
    void *handle;
    cuuint64_t flags;
};
static struct graph_block *orphans; /* of graphs that are gone, not freed yet */

struct graph *graph_new_locked(void)
{
    struct graph *graph = calloc(1, sizeof(*graph));

    listed_add_locked(&graph->listed);
    graph->handle = handle_new_locked(HANDLE_GRAPH, graph);
    return graph;
}

static struct graph *graph_get(CUgraph handle)
{
    return handle_object(handle, HANDLE_GRAPH);
}

CUresult graph_alloc_locked(struct capture *capture, struct device *device, size_t bytes,
                            CUdeviceptr *out)
{
    struct graph *graph = graph_get(capture->graph);
    struct graph_block *block;
    uint64_t base = 0;

    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes <= device->total)
        base = window_take_locked(&device->space, bytes, 0);
    if (!base)
        return CUDA_ERROR_OUT_OF_MEMORY;
    block = calloc(1, sizeof(*block));
    *block = (struct graph_block){graph->blocks, device, base, bytes, false};
    graph->blocks = block;
    *out = base;
    return CUDA_SUCCESS;
}

static struct graph_block *block_at(struct graph_block *blocks, CUdeviceptr address)
{
    while (blocks && (blocks->base != address || blocks->freed))
        blocks = blocks->next;
    return blocks;
}

CUresult graph_free_locked(struct capture *capture, CUdeviceptr address)
{
    struct graph *graph = capture ? graph_get(capture->graph) : NULL;
    struct graph_block *block = block_at(graph ? graph->blocks : orphans, address);

    if (capture && capture->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!block)
        return CUDA_ERROR_INVALID_VALUE;
    block->freed = true;
    return CUDA_SUCCESS;
}

/* Freed ones give their addresses back; the others stay the host's to free. */
static void drop_blocks_locked(struct graph *graph)
{
    while (graph->blocks) {
        struct graph_block *block = graph->blocks;

        graph->blocks = block->next;
        if (block->freed) {
            window_give_locked(&block->device->space, block->base, block->bytes);
            free(block);
        } else {
            block->next = orphans;
            orphans = block;
        }
    }
}

CUresult sim_graph_create(CUgraph *out, unsigned flags)
{
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    *out = graph_new_locked()->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

bool graph_end_locked(void *handle)
{
    struct graph *graph = graph_get(handle);

    if (!graph)
        return false;
    drop_blocks_locked(graph);
    handle_end(handle);
    listed_remove_locked(&graph->listed);
    free(graph);
    return true;
}

CUresult sim_graph_destroy(CUgraph handle)
{
    bool known;

    sim_enter();
    known = graph_end_locked(handle);
    sim_leave();
    return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_graph_clone(CUgraph *out, CUgraph original)
{
    return graph_get(original) ? sim_graph_create(out, 0) : CUDA_ERROR_INVALID_VALUE;
}

/* Nodes and edges alike: there are none. */
CUresult sim_graph_count(CUgraph handle, size_t *count)
{
    if (!count || !graph_get(handle))
        return CUDA_ERROR_INVALID_VALUE;
    *count = 0;
    return CUDA_SUCCESS;
}

CUresult sim_graph_instantiate(CUgraphExec *out, CUgraph handle, cuuint64_t flags)
{
    struct graph_exec *exec;

    if (!out || !graph_get(handle) || (flags & ~(cuuint64_t)0xf))
        return CUDA_ERROR_INVALID_VALUE;
    exec = calloc(1, sizeof(*exec));
    exec->flags = flags;
    sim_enter();
    listed_add_locked(&exec->listed);
    *out = exec->handle = handle_new_locked(HANDLE_GRAPH_EXEC, exec);
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_graph_instantiate_with_params(CUgraphExec *out, CUgraph handle,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    CUresult result;

    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    result = sim_graph_instantiate(out, handle, params->flags);
    params->hErrNode_out = NULL;
    params->result_out =
        result == CUDA_SUCCESS ? CUDA_GRAPH_INSTANTIATE_SUCCESS : CUDA_GRAPH_INSTANTIATE_ERROR;
    return result;
}

CUresult sim_graph_exec_get_flags(CUgraphExec handle, cuuint64_t *flags)
{
    const struct graph_exec *exec;

    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    exec = handle_object(handle, HANDLE_GRAPH_EXEC);
    if (exec)
        *flags = exec->flags;
    sim_leave();
    return exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_graph_exec_destroy(CUgraphExec handle)
{
    struct graph_exec *exec;

    sim_enter();
    exec = handle_object(handle, HANDLE_GRAPH_EXEC);
    if (exec) {
        handle_end(handle);
        listed_remove_locked(&exec->listed);
        free(exec);
    }
    sim_leave();
    return exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* A launch takes its place in the stream, and does nothing there. */
CUresult sim_graph_launch(CUgraphExec handle, CUstream stream_handle)
{
    struct stream *stream;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(stream_handle, &result);
    if (stream && !handle_object(handle, HANDLE_GRAPH_EXEC))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = engine_submit_locked(stream, op_new(sizeof(struct op), "graph", NULL), false);
    sim_leave();
    return result;
}
