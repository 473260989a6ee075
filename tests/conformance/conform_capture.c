/* conform_capture.c: memory while a stream is captured, and in graphs. Source of the rules: CUDA
 * driver API, "Stream Management" (cuStreamBeginCapture); CUDA Programming Guide, "Prohibited and
 * unhandled operations". */
#define CONF_GROUP "capture"
#include "conform.h"

#define BLOCK (2 * MIB)
#define WORDS (BLOCK / 4)

static const struct mode {
    const char *name;
    CUstreamCaptureMode mode;
} modes[] = {{"global", CU_STREAM_CAPTURE_MODE_GLOBAL},
             {"thread local", CU_STREAM_CAPTURE_MODE_THREAD_LOCAL},
             {"relaxed", CU_STREAM_CAPTURE_MODE_RELAXED}};

static CUstream begin(CUstreamCaptureMode mode)
{
    CUstream stream = conf_stream();

    MUST(cu.StreamBeginCapture(stream, mode));
    return stream;
}

static void launch(CUgraph graph, CUstream stream, int times)
{
    CUgraphExec ready = NULL;

    MUST(cu.GraphInstantiate(&ready, graph, 0));
    for (int i = 0; i < times; i++)
        MUST(cu.GraphLaunch(ready, stream));
    MUST(cu.StreamSynchronize(stream));
    MUST(cu.GraphExecDestroy(ready));
}

CASES(nothing_runs, modes, "cuStreamBeginCapture: work is not run but put into the graph")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUgraph graph = NULL;
    CUstream stream;

    MUST(cu.MemsetD32(p, 1, WORDS));
    MUST(cu.CtxSynchronize());
    stream = begin(row->mode);
    conf_add(p, 10, WORDS, stream);
    MUST(cu.StreamEndCapture(stream, &graph));
    CHECK(graph != NULL);
    CHECK(conf_holds(p, 1, WORDS));
    MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
    conf_free(p);
}

CASES(replays, modes, "cuGraphLaunch: what was captured runs each time, in its order")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    CUgraph graph = NULL;
    CUstream stream = begin(row->mode);

    MUST(cu.MemsetD32Async(p, 5, WORDS, stream));
    conf_add(p, 10, WORDS, stream);
    MUST(cu.MemcpyDtoDAsync(q, p, BLOCK, stream));
    MUST(cu.StreamEndCapture(stream, &graph));
    MUST(cu.MemsetD32(q, 0, WORDS));
    MUST(cu.CtxSynchronize());
    launch(graph, stream, 3);
    CHECK(conf_holds(q, 15, WORDS));
    MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
    conf_free(q);
    conf_free(p);
}

CASES(replays_after_others, modes, "cuGraphLaunch: memory that a graph uses stays the host's own")
{
    CUdeviceptr p = conf_alloc(BLOCK), others[8];
    CUgraph graph = NULL;
    CUstream stream = begin(row->mode);

    conf_fill(p, 5, WORDS, stream);
    MUST(cu.StreamEndCapture(stream, &graph));
    for (int i = 0; i < 8; i++) {
        others[i] = conf_alloc(BLOCK);
        MUST(cu.MemsetD32(others[i], 77, WORDS));
    }
    launch(graph, stream, 2);
    CHECK(conf_holds(p, 5, WORDS));
    for (int i = 0; i < 8; i++) {
        CHECK(conf_holds(others[i], 77, WORDS));
        conf_free(others[i]);
    }
    MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
    conf_free(p);
}

CASES(status, modes, "cuStreamIsCapturing: ACTIVE from begin to end, in that stream")
{
    CUstreamCaptureStatus found = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    CUstream other = conf_stream(), stream = begin(row->mode);
    CUgraph graph = NULL;

    MUST(cu.StreamIsCapturing(stream, &found));
    EQUAL(found, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    MUST(cu.StreamIsCapturing(other, &found));
    EQUAL(found, CU_STREAM_CAPTURE_STATUS_NONE);
    MUST(cu.StreamEndCapture(stream, &graph));
    MUST(cu.StreamIsCapturing(stream, &found));
    EQUAL(found, CU_STREAM_CAPTURE_STATUS_NONE);
    MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
    conf_stream_end(other);
}

/* Notes what the driver answers, and what has become of the capture then. */
static void during(const struct mode *mode, CUresult (*call)(CUdeviceptr p))
{
    CUstreamCaptureStatus found = CU_STREAM_CAPTURE_STATUS_NONE;
    CUdeviceptr p = conf_alloc(BLOCK);
    CUgraph graph = NULL;
    CUstream stream;
    CUresult result;

    conf_pattern_block(p, BLOCK, 1);
    stream = begin(mode->mode);
    result = call(p);
    NOTE("%s", conf_result(result));
    MUST(cu.StreamIsCapturing(stream, &found));
    NOTE("%s", found == CU_STREAM_CAPTURE_STATUS_ACTIVE ? "active" : "invalidated");
    if (found == CU_STREAM_CAPTURE_STATUS_ACTIVE) {
        MUST(cu.StreamEndCapture(stream, &graph));
        MUST(cu.GraphDestroy(graph));
    } else {
        IS(cu.StreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        CHECK(graph == NULL);
    }
    if (mode->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        EQUAL(found, CU_STREAM_CAPTURE_STATUS_ACTIVE); /* nothing is unsafe there */
    CHECK(conf_patterned_block(p, BLOCK, 1));
    conf_free(p);
    conf_stream_end(stream);
}

static CUresult alloc_now(CUdeviceptr unused)
{
    CUdeviceptr p = 0;
    CUresult result = cu.MemAlloc(&p, BLOCK);

    (void)unused;
    if (result == CUDA_SUCCESS)
        result = cu.MemFree(p);
    return result;
}
static CUresult info_now(CUdeviceptr unused)
{
    size_t left, total;

    (void)unused;
    return cu.MemGetInfo(&left, &total);
}
static CUresult query_now(CUdeviceptr p)
{
    uint64_t value;

    return cu.PointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p);
}
static CUresult range_now(CUdeviceptr p)
{
    size_t bytes;

    return cu.MemGetAddressRange(NULL, &bytes, p);
}
static CUresult pin_now(CUdeviceptr unused)
{
    void *p = NULL;
    CUresult result = cu.MemHostAlloc(&p, 4096, 0);

    (void)unused;
    if (result == CUDA_SUCCESS)
        result = cu.MemFreeHost(p);
    return result;
}
static CUresult bad_free_now(CUdeviceptr p)
{
    return cu.MemFree(p + 512);
}

CASES(alloc, modes, "cuMemAlloc: in a capture it is unsafe, but not in relaxed mode")
{
    during(row, alloc_now);
}

CASES(info, modes, "cuMemGetInfo: in a capture it is no work, and safe")
{
    during(row, info_now);
}

CASES(query, modes, "cuPointerGetAttribute in a capture: no work, and safe")
{
    during(row, query_now);
}

CASES(range, modes, "cuMemGetAddressRange in a capture: no work, and safe")
{
    during(row, range_now);
}

CASES(pin, modes, "cuMemHostAlloc: in a capture it may be unsafe, but not in relaxed mode")
{
    during(row, pin_now);
}

CASES(bad_free, modes, "cuMemFree: of no allocation, in a capture, is refused there too")
{
    during(row, bad_free_now);
}

CASES(synchronise, modes, "cuStreamSynchronize: of a capturing stream: CAPTURE_UNSUPPORTED")
{
    CUstream stream = begin(row->mode);
    CUgraph graph = NULL;

    IS(cu.StreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    IS(cu.StreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    conf_stream_end(stream);
}

CASES(twice, modes, "cuStreamBeginCapture: of a stream that captures already")
{
    CUstream stream = begin(row->mode);
    CUgraph graph = NULL;

    REFUSED(cu.StreamBeginCapture(stream, row->mode));
    SAW(cu.StreamEndCapture(stream, &graph));
    if (graph)
        MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
}

CASES(past_the_end, modes, "cuMemset*Async in a capture: what runs over a block's end is refused")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUstream stream = begin(row->mode);
    CUgraph graph = NULL;

    REFUSED(cu.MemsetD8Async(p + 1, 0, BLOCK, stream));
    SAW(cu.StreamEndCapture(stream, &graph));
    if (graph)
        MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
    conf_free(p);
}

CASE(end_without_begin, "cuStreamEndCapture: of a stream that does not capture: ILLEGAL_STATE")
{
    CUstream stream = conf_stream();
    CUgraph graph = NULL;

    IS(cu.StreamEndCapture(stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
    conf_stream_end(stream);
}

CASE(legacy_stream, "cuStreamBeginCapture: the legacy default stream cannot be captured")
{
    IS(cu.StreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_RELAXED),
       CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

CASE(implicit, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT: the legacy stream beside a blocking capture")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUstream stream = NULL;
    CUgraph graph = NULL;

    MUST(cu.StreamCreate(&stream, CU_STREAM_DEFAULT));
    MUST(cu.StreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    IS(cu.MemsetD8Async(p, 0, 16, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    SAW(cu.StreamEndCapture(stream, &graph));
    if (graph)
        MUST(cu.GraphDestroy(graph));
    MUST(cu.StreamDestroy(stream));
    conf_free(p);
}

/* --- memory of a graph ---------------------------------------------------------------------------
 */

CASES(graph_memory, modes, "cuMemAllocAsync, cuMemFreeAsync in a capture: nodes of the graph")
{
    CUdeviceptr p = 0, q = conf_alloc(BLOCK);
    CUgraph graph = NULL;
    CUstream stream;

    NEEDS(MemAllocAsync);
    stream = begin(row->mode);
    MUST(cu.MemAllocAsync(&p, BLOCK, stream));
    conf_fill(p, 9, WORDS, stream);
    MUST(cu.MemcpyDtoDAsync(q, p, BLOCK, stream));
    MUST(cu.MemFreeAsync(p, stream));
    MUST(cu.StreamEndCapture(stream, &graph));
    launch(graph, stream, 2);
    CHECK(conf_holds(q, 9, WORDS));
    MUST(cu.GraphDestroy(graph));
    conf_stream_end(stream);
    conf_free(q);
}

CASES(free_in_capture, modes, "cuMemFreeAsync in a capture: must be passed a graph's memory")
{
    CUdeviceptr p = 0;
    CUgraph graph = NULL;
    CUstream stream;

    NEEDS(MemFreeAsync);
    MUST(cu.MemAllocAsync(&p, BLOCK, NULL));
    MUST(cu.MemsetD32Async(p, 4, WORDS, NULL));
    MUST(cu.CtxSynchronize());
    stream = begin(row->mode);
    REFUSED(cu.MemFreeAsync(p, stream));
    SAW(cu.StreamEndCapture(stream, &graph));
    if (graph)
        MUST(cu.GraphDestroy(graph));
    CHECK(conf_holds(p, 4, WORDS));
    MUST(cu.MemFreeAsync(p, NULL));
    MUST(cu.CtxSynchronize());
    conf_stream_end(stream);
}

CASE(exchange, "cuThreadExchangeStreamCaptureMode: relaxed lets a thread allocate beside a capture")
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUdeviceptr p = 0;
    CUgraph graph = NULL;
    CUstream stream = begin(CU_STREAM_CAPTURE_MODE_GLOBAL);

    MUST(cu.ThreadExchangeStreamCaptureMode(&mode));
    EQUAL(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
    MUST(cu.MemAlloc(&p, BLOCK));
    MUST(cu.ThreadExchangeStreamCaptureMode(&mode));
    EQUAL(mode, CU_STREAM_CAPTURE_MODE_RELAXED);
    MUST(cu.StreamEndCapture(stream, &graph));
    MUST(cu.GraphDestroy(graph));
    conf_pattern_block(p, BLOCK, 2);
    CHECK(conf_patterned_block(p, BLOCK, 2));
    conf_free(p);
    conf_stream_end(stream);
}
