/* graph_node.c: nodes that a host adds to a graph by itself. Each is what the capture of one call
 * records, in a stream that is made for it: checked as that call is, and no unsafe call for anybody
 * else (CU_STREAM_CAPTURE_MODE_RELAXED). */
#include "graph.h"
#include "impl.h"

struct wish {
    const CUDA_KERNEL_NODE_PARAMS *kernel;
    const CUDA_MEMCPY3D *copy;
    const CUDA_MEMSET_NODE_PARAMS *set;
};

static CUresult call(const struct wish *wish, CUstream stream)
{
    const CUDA_KERNEL_NODE_PARAMS *k = wish->kernel;
    const CUDA_MEMSET_NODE_PARAMS *s = wish->set;

    if (wish->copy)
        return sim_copy_3d(wish->copy, stream, COPY_ASYNC);
    if (s)
        return sim_set(s->dst, s->pitch, s->elementSize, s->value, s->width, s->height, stream,
                       COPY_ASYNC);
    return sim_launch(k->func,
                      (const unsigned[]){k->gridDimX, k->gridDimY, k->gridDimZ, k->blockDimX,
                                         k->blockDimY, k->blockDimZ, k->sharedMemBytes},
                      stream, k->kernelParams, k->extra);
}

static CUresult record(CUgraph graph, const struct wish *wish)
{
    CUstream stream = NULL;
    CUresult result = sim_stream_create(&stream, CU_STREAM_NON_BLOCKING, 0);

    if (result == CUDA_SUCCESS)
        result = sim_stream_begin_capture_to_graph(stream, graph, NULL, 0,
                                                   CU_STREAM_CAPTURE_MODE_RELAXED);
    if (result == CUDA_SUCCESS) {
        result = call(wish, stream);
        sim_stream_end_capture(stream, &graph);
    }
    if (stream)
        sim_stream_destroy(stream);
    return result;
}

static struct graph_node *last_locked(CUgraph handle)
{
    const struct graph *graph = handle_object(handle, HANDLE_GRAPH);
    struct graph_node *node = graph ? graph->nodes : NULL;

    while (node && node->next)
        node = node->next;
    return node;
}

static bool has_locked(CUgraph handle, CUgraphNode node)
{
    const struct graph *graph = handle_object(handle, HANDLE_GRAPH);
    const struct graph_node *one = graph ? graph->nodes : NULL;

    while (one && (CUgraphNode)one != node)
        one = one->next;
    return one;
}

/* What a node depends on is in the graph already, and so comes before it. */
static bool may_follow(CUgraph graph, const CUgraphNode *dependencies, size_t count)
{
    bool known = handle_object(graph, HANDLE_GRAPH) && (!count || dependencies);

    sim_enter();
    for (size_t i = 0; i < count && known; i++)
        known = has_locked(graph, dependencies[i]);
    sim_leave();
    return known;
}

static CUresult add(CUgraphNode *out, CUgraph graph, const struct wish *wish)
{
    struct graph_node *before, *after;
    CUresult result;

    sim_enter();
    before = last_locked(graph);
    sim_leave();
    result = record(graph, wish);
    sim_enter();
    after = last_locked(graph);
    sim_leave();
    if (result == CUDA_SUCCESS && after == before) /* nothing to do */
        return CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *out = (CUgraphNode)after;
    return result;
}

static CUresult add_in(CUcontext context, CUgraphNode *out, CUgraph graph, const struct wish *wish)
{
    CUresult result = sim_ctx_push_current(context);

    if (result != CUDA_SUCCESS)
        return result;
    result = add(out, graph, wish);
    sim_ctx_pop_current(NULL);
    return result;
}

CUresult sim_graph_add_kernel(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
                              size_t count, const CUDA_KERNEL_NODE_PARAMS *params)
{
    if (!out || !params || !may_follow(graph, dependencies, count))
        return CUDA_ERROR_INVALID_VALUE;
    return add(out, graph, &(struct wish){.kernel = params});
}

CUresult sim_graph_add_copy(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
                            size_t count, const CUDA_MEMCPY3D *params, CUcontext context)
{
    if (!out || !params || !may_follow(graph, dependencies, count))
        return CUDA_ERROR_INVALID_VALUE;
    return add_in(context, out, graph, &(struct wish){.copy = params});
}

CUresult sim_graph_add_set(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies,
                           size_t count, const CUDA_MEMSET_NODE_PARAMS *params, CUcontext context)
{
    if (!out || !params || !may_follow(graph, dependencies, count))
        return CUDA_ERROR_INVALID_VALUE;
    return add_in(context, out, graph, &(struct wish){.set = params});
}
