/* graphs.c: what a graph makes of it when other memory lies behind an address that it was made
 * with. Here the library does not rely on anything: once there is a graph, nothing moves. The
 * answers say whether that is needed. */
#include "tests/gpu/probe.h"

#include <string.h>

#define BYTES  (4 * PROBE_MIB)
#define BEFORE 0x11u
#define AFTER  0x22u

struct graphs {
    __typeof__(&cuStreamBeginCapture) begin;
    __typeof__(&cuStreamEndCapture) end;
    __typeof__(&cuGraphInstantiate) instantiate;
    __typeof__(&cuGraphLaunch) launch;
    CUstream stream;
    CUgraph graph;
    struct probe_span span;
    struct probe_block vram, pinned;
    const struct kind *kind;
};

/* A graph's one node, and where its bytes come from and go to; a set has no source. */
struct kind {
    const char *name;
    CUresult (*node)(struct probe *p, struct graphs *g);
    CUdeviceptr (*from)(const struct graphs *g), (*to)(const struct graphs *g);
};

static CUdeviceptr in_span(const struct graphs *g)
{
    return g->span.base;
}
static CUdeviceptr in_vram(const struct graphs *g)
{
    return g->vram.device;
}
static CUdeviceptr in_pinned(const struct graphs *g)
{
    return g->pinned.device;
}

static CUresult copy_node(struct probe *p, struct graphs *g)
{
    return p->drv.cuMemcpyAsync(g->kind->to(g), g->kind->from(g), BYTES, g->stream);
}

static CUresult set_node(struct probe *p, struct graphs *g)
{
    return p->drv.cuMemsetD8Async(g->kind->to(g), AFTER, BYTES, g->stream);
}

static CUresult kernel_node(struct probe *p, struct graphs *g)
{
    CUdeviceptr to = g->kind->to(g), from = g->kind->from(g);
    uint64_t words = BYTES / 4;
    void *params[] = {&to, &from, &words};

    return probe_launch(p, "copy", g->stream, params);
}

static bool open_graphs(struct probe *p, struct graphs *g)
{
    g->begin = probe_symbol(p, "cuStreamBeginCapture_v2");
    g->end = probe_symbol(p, "cuStreamEndCapture");
    g->instantiate = probe_symbol(p, "cuGraphInstantiateWithFlags");
    g->launch = probe_symbol(p, "cuGraphLaunch");
    return g->begin && g->end && g->instantiate && g->launch &&
           p->drv.cuStreamCreate(&g->stream, 1 /* non-blocking */) == CUDA_SUCCESS &&
           probe_span_make(p, &g->span, BYTES, 1) == CUDA_SUCCESS &&
           probe_make(p, PROBE_DEVICE, BYTES, &g->vram) &&
           probe_make(p, PROBE_HOSTALLOC, BYTES, &g->pinned);
}

static CUresult capture(struct probe *p, struct graphs *g)
{
    CUresult result = g->begin(g->stream, CU_STREAM_CAPTURE_MODE_RELAXED);

    if (result == CUDA_SUCCESS)
        result = g->kind->node(p, g);
    CUresult ended = g->end(g->stream, &g->graph);
    return result ? result : ended;
}

static void tell(struct probe *p, const struct graphs *g, const char *row, const char *what)
{
    probe_answer(p, "a graph across a move, by its node", row, g->kind->name, "%s", what);
}

/* New bytes at the source, others where they go to: what arrives is what lies there now. */
static const char *outcome(struct probe *p, struct graphs *g, CUgraphExec exec)
{
    unsigned char seen[64] = {0};
    CUresult result = p->drv.cuMemsetD8(g->kind->to(g), BEFORE, BYTES);

    if (result == CUDA_SUCCESS && g->kind->from)
        result = p->drv.cuMemsetD8(g->kind->from(g), AFTER, BYTES);
    if (result == CUDA_SUCCESS)
        result = p->drv.cuCtxSynchronize();
    if (result == CUDA_SUCCESS)
        result = g->launch(exec, g->stream);
    if (result == CUDA_SUCCESS)
        result = p->drv.cuStreamSynchronize(g->stream);
    if (result == CUDA_SUCCESS)
        result = p->drv.cuMemcpyDtoH(seen, g->kind->to(g) + BYTES - sizeof seen, sizeof seen);
    if (result != CUDA_SUCCESS)
        return probe_result(result);
    return seen[0] == AFTER && seen[63] == AFTER     ? "right"
           : seen[0] == BEFORE && seen[63] == BEFORE ? "nothing arrived"
                                                     : "wrong bytes";
}

static bool across(struct probe *p, const struct kind *kind)
{
    static struct graphs g;
    CUgraphExec exec = NULL, late = NULL;

    g.kind = kind;
    if (!open_graphs(p, &g)) {
        tell(p, &g, "made", "cannot be made here");
        return true;
    }
    CUresult result = capture(p, &g);
    if (result == CUDA_SUCCESS)
        result = g.instantiate(&exec, g.graph, 0);
    tell(p, &g, "made", probe_result(result));
    if (result != CUDA_SUCCESS)
        return true;
    tell(p, &g, "launched", outcome(p, &g, exec));
    tell(p, &g, "the move", probe_result(probe_span_move(p, &g.span, true)));
    tell(p, &g, "launched after it", outcome(p, &g, exec));
    result = g.instantiate(&late, g.graph, 0);
    tell(p, &g, "instantiated after it", result ? probe_result(result) : outcome(p, &g, late));
    tell(p, &g, "the move back", probe_result(probe_span_move(p, &g.span, false)));
    tell(p, &g, "launched at last", outcome(p, &g, exec));
    return true;
}

bool probe_graph_kernel(struct probe *p)
{
    return across(p, &(const struct kind){"kernel", kernel_node, in_span, in_vram});
}
bool probe_graph_copy_from(struct probe *p)
{
    return across(p, &(const struct kind){"copy from it to VRAM", copy_node, in_span, in_vram});
}
bool probe_graph_copy_to(struct probe *p)
{
    return across(p, &(const struct kind){"copy from VRAM to it", copy_node, in_vram, in_span});
}
bool probe_graph_download(struct probe *p)
{
    return across(p, &(const struct kind){"copy to pinned memory", copy_node, in_span, in_pinned});
}
bool probe_graph_set(struct probe *p)
{
    return across(p, &(const struct kind){"set", set_node, NULL, in_span});
}
