/* order.c: what a capturing stream bears, and whether copies between host addresses keep the order
 * of their stream. */
#include "tests/gpu/probe.h"

#include <stdio.h>
#include <string.h>

#define BYTES (4 * PROBE_MIB)

struct capture {
    __typeof__(&cuStreamBeginCapture) begin;
    __typeof__(&cuStreamEndCapture) end;
    __typeof__(&cuStreamIsCapturing) status;
    __typeof__(&cuGraphInstantiate) instantiate;
    __typeof__(&cuGraphLaunch) launch;
    __typeof__(&cuGraphDestroy) destroy;
    __typeof__(&cuGraphExecDestroy) exec_destroy;
    CUstream stream;
    CUgraphExec exec;        /* one memset into `block` */
    CUdeviceptr got, victim; /* allocated and freed while it captures */
    struct probe_block block, pages;
};

static bool find_capture(struct probe *p, struct capture *c)
{
    c->begin = probe_symbol(p, "cuStreamBeginCapture_v2");
    c->end = probe_symbol(p, "cuStreamEndCapture");
    c->status = probe_symbol(p, "cuStreamIsCapturing");
    c->instantiate = probe_symbol(p, "cuGraphInstantiateWithFlags");
    c->launch = probe_symbol(p, "cuGraphLaunch");
    c->destroy = probe_symbol(p, "cuGraphDestroy");
    c->exec_destroy = probe_symbol(p, "cuGraphExecDestroy");
    return c->begin && c->end && c->status && c->instantiate && c->launch && c->destroy &&
           c->exec_destroy &&
           p->drv.cuStreamCreate(&c->stream, 1 /* non-blocking */) == CUDA_SUCCESS;
}

static bool make_graph(struct probe *p, struct capture *c)
{
    CUgraph graph = NULL;
    CUresult result = c->begin(c->stream, CU_STREAM_CAPTURE_MODE_RELAXED);

    if (result == CUDA_SUCCESS)
        result = p->drv.cuMemsetD8Async(c->block.device, 1, BYTES, c->stream);
    CUresult ended = c->end(c->stream, &graph);
    if (result == CUDA_SUCCESS && ended == CUDA_SUCCESS)
        result = c->instantiate(&c->exec, graph, 0);
    if (graph)
        c->destroy(graph);
    return result == CUDA_SUCCESS && ended == CUDA_SUCCESS;
}

static CUresult launch_graph(struct probe *p, struct capture *c)
{
    (void)p;
    return c->launch(c->exec, c->stream);
}
static CUresult allocate(struct probe *p, struct capture *c)
{
    return p->drv.cuMemAlloc(&c->got, BYTES);
}
static CUresult free_block(struct probe *p, struct capture *c)
{
    CUresult result = p->drv.cuMemFree(c->victim);
    if (result == CUDA_SUCCESS)
        c->victim = 0;
    return result;
}
static CUresult host_register(struct probe *p, struct capture *c)
{
    return p->drv.cuMemHostRegister(c->pages.host, BYTES, CU_MEMHOSTREGISTER_DEVICEMAP);
}
static CUresult host_unregister(struct probe *p, struct capture *c)
{
    return p->drv.cuMemHostUnregister(c->pages.host);
}
static CUresult mem_info(struct probe *p, struct capture *c)
{
    size_t free_bytes, total;

    (void)c;
    return p->drv.cuMemGetInfo(&free_bytes, &total);
}
static CUresult attribute(struct probe *p, struct capture *c)
{
    uint64_t value = 0;

    return p->drv.cuPointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, c->block.device);
}
static CUresult synchronize(struct probe *p, struct capture *c)
{
    (void)c;
    return p->drv.cuCtxSynchronize();
}
static CUresult copy_now(struct probe *p, struct capture *c)
{
    return p->drv.cuMemcpyHtoD(c->block.device, c->pages.host, BYTES);
}

/* In this order: what one takes, a later one gives back. */
static const struct {
    const char *name;
    CUresult (*run)(struct probe *p, struct capture *c);
} calls[] = {
    {"cuGraphLaunch into it", launch_graph},
    {"cuMemAlloc", allocate},
    {"cuMemFree", free_block},
    {"cuMemHostRegister", host_register},
    {"cuMemHostUnregister", host_unregister},
    {"cuMemGetInfo", mem_info},
    {"cuPointerGetAttribute", attribute},
    {"cuMemcpyHtoD", copy_now},
    {"cuCtxSynchronize", synchronize},
};

static void call_in_capture(struct probe *p, struct capture *c, size_t which,
                            CUstreamCaptureMode mode, const char *column)
{
    static const char *const names[] = {"none", "active", "invalidated"};
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUgraph graph = NULL;

    if (c->begin(c->stream, mode) != CUDA_SUCCESS)
        return;
    CUresult result = calls[which].run(p, c);
    c->status(c->stream, &status);
    CUresult ended = c->end(c->stream, &graph);
    probe_answer(p, "calls of the thread whose stream captures", calls[which].name, column,
                 "%s; capture %s, its end %s", probe_result(result),
                 (unsigned)status < 3 ? names[status] : "unknown", probe_result(ended));
    if (graph)
        c->destroy(graph);
}

static void calls_in_mode(struct probe *p, struct capture *c, CUstreamCaptureMode mode,
                          const char *name)
{
    c->got = c->victim = 0;
    if (p->drv.cuMemAlloc(&c->victim, BYTES) != CUDA_SUCCESS)
        return;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        call_in_capture(p, c, i, mode, name);
    /* What a capture refused to give back. */
    p->drv.cuCtxSynchronize();
    p->drv.cuMemHostUnregister(c->pages.host);
    if (c->got)
        p->drv.cuMemFree(c->got);
    if (c->victim)
        p->drv.cuMemFree(c->victim);
}

void probe_captures(struct probe *p)
{
    static const struct {
        CUstreamCaptureMode mode;
        const char *name;
    } modes[] = {{CU_STREAM_CAPTURE_MODE_GLOBAL, "global"},
                 {CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, "thread local"},
                 {CU_STREAM_CAPTURE_MODE_RELAXED, "relaxed"}};
    struct capture c = {0};

    if (!find_capture(p, &c))
        return;
    if (probe_make(p, PROBE_DEVICE, BYTES, &c.block) &&
        probe_make(p, PROBE_PAGEABLE, BYTES, &c.pages) && make_graph(p, &c)) {
        for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++)
            calls_in_mode(p, &c, modes[m].mode, modes[m].name);
        c.exec_destroy(c.exec);
    }
    p->drv.cuCtxSynchronize();
    if (c.block.device)
        probe_drop(p, &c.block);
    if (c.pages.host)
        probe_drop(p, &c.pages);
    p->drv.cuStreamDestroy(c.stream);
}

/* --- copies between host addresses --- */

/* Behind a kernel that runs for a while: does the call wait, and has it copied when it returns? */
static void copy_behind_kernel(struct probe *p, CUstream stream, enum probe_kind from,
                               enum probe_kind to)
{
    struct probe_block source, target;
    char row[64];

    if (!probe_make(p, from, BYTES, &source))
        return;
    if (probe_make(p, to, BYTES, &target)) {
        const char *table = "cuMemcpyAsync from host to host behind a kernel";
        snprintf(row, sizeof row, "%s to %s", probe_kind_name[from], probe_kind_name[to]);
        memset(source.host, 0x5a, BYTES);
        memset(target.host, 0, BYTES);
        probe_spin(p, stream);
        double start = probe_now_ms();
        CUresult result = p->drv.cuMemcpyAsync((CUdeviceptr)(uintptr_t)target.host,
                                               (CUdeviceptr)(uintptr_t)source.host, BYTES, stream);
        double ms = probe_now_ms() - start;
        bool early = memcmp(target.host, source.host, BYTES) == 0;
        /* A source that changes after the call tells when it was read. */
        memset(source.host, 0x33, BYTES);
        p->drv.cuStreamSynchronize(stream);
        const unsigned char *got = target.host;
        probe_answer(p, table, row, "result", "%s", probe_result(result));
        probe_answer(p, table, row, "ms", "%.2f", ms);
        probe_answer(p, table, row, "waited", "%s", ms > p->spin_ms * 0.7 ? "yes" : "no");
        probe_answer(p, table, row, "copied at return", "%s", early ? "yes" : "no");
        probe_answer(p, table, row, "source read", "%s",
                     got[BYTES - 1] == 0x5a   ? "before the return"
                     : got[BYTES - 1] == 0x33 ? "after it"
                                              : "never");
        probe_drop(p, &target);
    }
    probe_drop(p, &source);
}

void probe_host_copies(struct probe *p)
{
    static const enum probe_kind kinds[] = {PROBE_PAGEABLE, PROBE_HOSTALLOC, PROBE_REGISTERED_4K};
    CUstream stream;

    if (p->drv.cuStreamCreate(&stream, 1 /* non-blocking */) != CUDA_SUCCESS)
        return;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (size_t j = 0; j < sizeof kinds / sizeof kinds[0]; j++)
            copy_behind_kernel(p, stream, kinds[i], kinds[j]);
    p->drv.cuStreamDestroy(stream);
}
