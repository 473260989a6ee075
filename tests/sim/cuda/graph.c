/* graph.c: graphs: made by captures, instantiated, launched, destroyed.
 *
 * A launch enqueues what was captured once more, one node after the other as they were captured,
 * which is an order that their dependencies allow; what each touches is looked up at the launch and
 * checked when it runs.
 */
#include "graph.h"
#include "impl.h"

struct graph_exec {
    struct listed listed;
    void *handle;
    cuuint64_t flags;
    struct graph_node *nodes;
    struct dependency last; /* a launch waits for the one before it */
};

static struct graph *graph_get(CUgraph handle)
{
    return handle_object(handle, HANDLE_GRAPH);
}

/* --- nodes --------------------------------------------------------------------------------------
 */

static struct graph_node *append(struct graph_node **list, struct graph_node what)
{
    struct graph_node *node = malloc(sizeof(*node));

    *node = what;
    node->next = NULL;
    while (*list)
        list = &(*list)->next;
    *list = node;
    return node;
}

static void copy_nodes_locked(struct graph_node **list, const struct graph_node *from)
{
    for (; from; from = from->next) {
        struct graph_node *node = append(list, *from);

        if (node->op) {
            node->op = malloc(from->op->bytes);
            memcpy(node->op, from->op, from->op->bytes);
        }
        if (node->block)
            graph_block_keep(node->block);
        list = &node->next;
    }
}

static void drop_nodes_locked(struct graph_node *nodes)
{
    while (nodes) {
        struct graph_node *node = nodes;

        nodes = node->next;
        if (node->op)
            op_free(node->op);
        if (node->block)
            graph_block_drop_locked(node->block);
        free(node);
    }
}

void graph_record_locked(const struct capture *capture, struct op *op)
{
    struct graph *graph = graph_get(capture->graph);

    if (graph && (op->run || op->always))
        append(&graph->nodes, (struct graph_node){.kind = NODE_WORK, .op = op});
    else
        op_free(op); /* events and waits only say what comes before what */
}

CUresult graph_alloc_locked(const struct capture *capture, struct device *device, size_t bytes,
                            CUdeviceptr *out)
{
    struct graph *graph = graph_get(capture->graph);
    struct graph_block *block;

    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    block = graph_block_new_locked(device, bytes, out);
    if (!block)
        return CUDA_ERROR_OUT_OF_MEMORY;
    append(&graph->nodes, (struct graph_node){.kind = NODE_ALLOC, .block = block});
    return CUDA_SUCCESS;
}

CUresult graph_free_locked(const struct capture *capture, CUdeviceptr address)
{
    struct graph *graph = graph_get(capture->graph);
    struct graph_block *block = NULL;

    if (capture->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    for (struct graph_node *node = graph ? graph->nodes : NULL; node; node = node->next)
        if (node->block && graph_block_is_at(node->block, address))
            block = node->kind == NODE_ALLOC ? node->block : NULL;
    if (!block)
        return CUDA_ERROR_INVALID_VALUE;
    append(&graph->nodes, (struct graph_node){.kind = NODE_FREE, .block = graph_block_keep(block)});
    return CUDA_SUCCESS;
}

/* --- graphs -------------------------------------------------------------------------------------
 */

struct graph *graph_new_locked(void)
{
    struct graph *graph = calloc(1, sizeof(*graph));

    listed_add_locked(&graph->listed);
    graph->handle = handle_new_locked(HANDLE_GRAPH, graph);
    return graph;
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
    drop_nodes_locked(graph->nodes);
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

/* "not supported ... graph contains allocation or free nodes" (cuGraphAddMemAllocNode: "Graphs
 * which contain one or more memory allocation nodes ... cannot be cloned"). */
CUresult sim_graph_clone(CUgraph *out, CUgraph original)
{
    const struct graph *from;
    struct graph *graph;
    CUresult result = CUDA_SUCCESS;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    from = graph_get(original);
    if (!from)
        result = CUDA_ERROR_INVALID_VALUE;
    for (const struct graph_node *node = from ? from->nodes : NULL; node; node = node->next)
        if (node->block)
            result = CUDA_ERROR_NOT_SUPPORTED;
    if (result == CUDA_SUCCESS) {
        graph = graph_new_locked();
        copy_nodes_locked(&graph->nodes, from->nodes);
        *out = graph->handle;
    }
    sim_leave();
    return result;
}

/* A node's handle is its address: enough to count and compare. */
CUresult sim_graph_nodes(CUgraph handle, CUgraphNode *nodes, size_t *count, bool roots_only)
{
    const struct graph *graph;
    size_t found = 0;

    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    graph = graph_get(handle);
    for (struct graph_node *node = graph ? graph->nodes : NULL; node; node = node->next) {
        if (nodes && found == *count)
            break;
        if (nodes)
            nodes[found] = (CUgraphNode)node;
        found++;
        if (roots_only)
            break;
    }
    for (size_t i = found; nodes && i < *count; i++)
        nodes[i] = NULL;
    *count = found;
    sim_leave();
    return graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Each node comes after the one before it. */
CUresult sim_graph_edges(CUgraph handle, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
    const struct graph *graph;
    size_t found = 0;

    if (!count || !from != !to)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    graph = graph_get(handle);
    for (struct graph_node *node = graph ? graph->nodes : NULL; node && node->next;
         node = node->next) {
        if (from && found == *count)
            break;
        if (from) {
            from[found] = (CUgraphNode)node;
            to[found] = (CUgraphNode)node->next;
        }
        found++;
    }
    *count = found;
    sim_leave();
    return graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- executable graphs --------------------------------------------------------------------------
 */

CUresult sim_graph_instantiate(CUgraphExec *out, CUgraph handle, cuuint64_t flags)
{
    const struct graph *graph;
    struct graph_exec *exec;

    if (!out || (flags & ~(cuuint64_t)0xf))
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    graph = graph_get(handle);
    if (graph) {
        exec = calloc(1, sizeof(*exec));
        exec->flags = flags;
        copy_nodes_locked(&exec->nodes, graph->nodes);
        listed_add_locked(&exec->listed);
        *out = exec->handle = handle_new_locked(HANDLE_GRAPH_EXEC, exec);
    }
    sim_leave();
    return graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
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
        drop_nodes_locked(exec->nodes);
        handle_end(handle);
        listed_remove_locked(&exec->listed);
        free(exec);
    }
    sim_leave();
    return exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_graph_upload(CUgraphExec handle, CUstream stream_handle)
{
    CUresult result;

    sim_enter();
    stream_get_locked(stream_handle, &result);
    if (result == CUDA_SUCCESS && !handle_object(handle, HANDLE_GRAPH_EXEC))
        result = CUDA_ERROR_INVALID_VALUE;
    sim_leave();
    return result;
}

/* What the last launch allocated and nothing has freed is in the way of another, or freed by it
 * (CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH). */
static CUresult clear_locked(const struct graph_exec *exec, struct stream *stream)
{
    enum { AUTO_FREE_ON_LAUNCH = 1 };
    CUresult result = CUDA_SUCCESS;

    for (struct graph_node *node = exec->nodes; node && result == CUDA_SUCCESS; node = node->next)
        if (node->kind == NODE_ALLOC && graph_block_live_locked(node->block))
            result = exec->flags & AUTO_FREE_ON_LAUNCH
                         ? graph_block_free_locked(node->block, stream)
                         : CUDA_ERROR_INVALID_VALUE;
    return result;
}

/* Room for all that the launch allocates, or none. */
static CUresult take_locked(const struct graph_exec *exec)
{
    CUresult result = CUDA_SUCCESS;
    struct graph_node *node = exec->nodes, *failed = NULL;

    for (; node && !failed; node = node->next) {
        if (node->kind == NODE_ALLOC)
            result = graph_block_take_locked(node->block);
        if (result != CUDA_SUCCESS)
            failed = node;
    }
    for (node = exec->nodes; failed && node != failed; node = node->next)
        if (node->kind == NODE_ALLOC)
            graph_block_give_locked(node->block);
    return result;
}

static CUresult enqueue_locked(const struct graph_node *node, struct stream *stream)
{
    if (node->kind == NODE_ALLOC)
        return graph_block_alloc_locked(node->block, stream);
    if (node->kind == NODE_FREE)
        return graph_block_free_locked(node->block, stream);
    return engine_submit_locked(stream, op_again_locked(node->op), false);
}

static CUresult launch_locked(struct graph_exec *exec, struct stream *stream)
{
    struct op *op = op_new(sizeof(*op), "graph", NULL);
    CUresult result;

    if (exec->last.stream) {
        op->dependencies = malloc(sizeof(*op->dependencies));
        op->dependencies[op->dependency_count++] = exec->last;
    }
    result = engine_submit_locked(stream, op, false);
    if (result == CUDA_SUCCESS)
        result = clear_locked(exec, stream);
    if (result == CUDA_SUCCESS)
        result = take_locked(exec);
    for (const struct graph_node *node = exec->nodes; node && result == CUDA_SUCCESS;
         node = node->next)
        result = enqueue_locked(node, stream);
    exec->last = (struct dependency){stream, stream->enqueued};
    return result;
}

CUresult sim_graph_launch(CUgraphExec handle, CUstream stream_handle)
{
    struct graph_exec *exec;
    struct stream *stream;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(stream_handle, &result);
    exec = handle_object(handle, HANDLE_GRAPH_EXEC);
    if (stream && !exec)
        result = CUDA_ERROR_INVALID_VALUE;
    if (stream && stream->capture)
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (result == CUDA_SUCCESS)
        result = launch_locked(exec, stream);
    sim_leave();
    return result;
}
