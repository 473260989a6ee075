/* graphs.h: work on blocks as a captured graph, launched once or more.
 *
 * Other threads allocate and free meanwhile, so that a capture in the global mode is not among
 * those here: their calls would spoil it.
 */
#ifndef HYBRIDMEM_STRESS_GRAPHS_H
#define HYBRIDMEM_STRESS_GRAPHS_H

#include "boxes.h"

/* Memory that the graph allocates and frees itself. */
static inline void capture_scratch(struct worker *w, CUdeviceptr to, uint8_t value, size_t size,
                                   CUstream s)
{
    CUdeviceptr scratch;

    DO(cuMemAllocAsync(&scratch, size, s));
    DO(cuMemsetD8Async(scratch, value, size, s));
    DO(cuMemcpyDtoDAsync(to, scratch, size, s));
    DO(cuMemFreeAsync(scratch, s));
}

static inline void op_graph(struct worker *w, struct block *to, struct block *from)
{
    size_t size = stress_size(w, to->size < from->size ? to->size : from->size);
    size_t to_at = stress_below(w, to->size - size + 1) / 4 * 4;
    size_t from_at = stress_below(w, from->size - size + 1);
    size_t times = 1 + stress_below(w, 3), scratch = stress_below(w, 2) ? size / 2 : 0;
    int lane = LANE_FIRST + (int)stress_below(w, LANE_BLOCKING - LANE_FIRST);
    uint32_t value = (uint32_t)stress_random(w);
    uint64_t words = size / 4;
    CUdeviceptr p = to->device + to_at;
    CUstream s = w->lane[lane];
    CUgraphExec exec;
    CUgraph graph;

    block_order(w, from, lane); /* by an event: no stream here is ordered with others by itself */
    block_order(w, to, lane);
    block_note(w, from, "graph from here", from_at, size);
    block_note(w, to, "graph to here", to_at, size);
    DO(cuStreamBeginCapture(s, stress_below(w, 2) ? CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
                                                  : CU_STREAM_CAPTURE_MODE_RELAXED));
    DO(cuMemcpyDtoDAsync(p, from->device + from_at, size, s));
    launch(w, host.add, lane, (void *[]){&p, &value, &words});
    if (scratch)
        capture_scratch(w, p, (uint8_t)value, scratch, s);
    DO(cuStreamEndCapture(s, &graph));
    DO(cuGraphInstantiate(&exec, graph, 0));
    DO(cuGraphDestroy(graph));
    for (size_t i = 0; i < times && GOT(cuGraphLaunch(exec, s)); i++) {
        memcpy(to->bytes + to_at, from->bytes + from_at, size);
        model_add(to->bytes + to_at, value, words);
        memset(to->bytes + to_at, (uint8_t)value, scratch);
    }
    DO(cuGraphExecDestroy(exec));
}

#endif
