/* test_capture.c: stream capture: state, what is refused, what invalidates. */
#include "sim_test.h"

#include <pthread.h>

static CUstreamCaptureStatus status_of(CUstream stream)
{
    CUstreamCaptureStatus status = (CUstreamCaptureStatus)77;

    OK(cuStreamIsCapturing(stream, &status));
    return status;
}

START_TEST(captured_work_does_not_run)
{
    CUstream stream;
    CUgraph graph;
    CUdeviceptr p;

    start();
    p = alloc(4096);
    OK(cuMemsetD32(p, 1, 1024));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ck_assert_int_eq(status_of(stream), CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    IS(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
    ck_assert_int_eq(status_of(stream), CU_STREAM_CAPTURE_STATUS_ACTIVE);
    OK(fill(p, 2, 1024, stream));
    OK(cuMemsetD32Async(p, 3, 1024, stream));
    OK(cuStreamEndCapture(stream, &graph));
    ck_assert_ptr_nonnull(graph);
    OK(cuGraphDestroy(graph));
    IS(cuGraphDestroy(graph), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(p, 1, 1024), 0);
    IS(cuStreamEndCapture(stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
    IS(cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_RELAXED),
       CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    OK(cuMemFree(p));
}
END_TEST

/* _i is the mode. Relaxed lets unsafe calls through; the others refuse them and are invalid then.
 */
START_TEST(unsafe_calls)
{
    CUresult expected =
        _i == CU_STREAM_CAPTURE_MODE_RELAXED ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    CUstream stream;
    CUgraph graph;
    CUdeviceptr p = 0;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(stream, (CUstreamCaptureMode)_i));
    IS(cuMemAlloc(&p, 4096), expected);
    IS(cuCtxSynchronize(), expected);
    if (expected == CUDA_SUCCESS) {
        OK(cuMemFree(p));
        OK(cuStreamEndCapture(stream, &graph));
        OK(cuGraphDestroy(graph));
        return;
    }
    ck_assert_int_eq(status_of(stream), CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    IS(spin(1, stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    IS(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    ck_assert_ptr_null(graph);
    OK(cuMemAlloc(&p, 4096));
    OK(cuMemFree(p));
}
END_TEST

static CUresult elsewhere_result;

static void *elsewhere(void *mode)
{
    CUdeviceptr p;

    OK(cuCtxSetCurrent(test.context));
    OK(cuThreadExchangeStreamCaptureMode(mode));
    elsewhere_result = cuMemAlloc(&p, 4096);
    if (elsewhere_result == CUDA_SUCCESS)
        OK(cuMemFree(p));
    return NULL;
}

/* Another thread's unsafe call conflicts only where both think globally. */
START_TEST(other_threads)
{
    static const struct {
        CUstreamCaptureMode capture, thread;
        CUresult result;
    } rows[] = {
        {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_GLOBAL,
         CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
        {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CUDA_SUCCESS},
        {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_RELAXED, CUDA_SUCCESS},
        {CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_GLOBAL, CUDA_SUCCESS},
        {CU_STREAM_CAPTURE_MODE_RELAXED, CU_STREAM_CAPTURE_MODE_GLOBAL, CUDA_SUCCESS},
    };
    CUstreamCaptureMode mode = rows[_i].thread;
    CUstream stream;
    CUgraph graph;
    pthread_t thread;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(stream, rows[_i].capture));
    ck_assert_int_eq(pthread_create(&thread, NULL, elsewhere, &mode), 0);
    pthread_join(thread, NULL);
    IS(elsewhere_result, rows[_i].result);
    IS(cuStreamEndCapture(stream, &graph),
       rows[_i].result ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS);
}
END_TEST

START_TEST(waits_and_the_legacy_stream)
{
    CUstream blocking, other;
    CUevent event;
    CUgraph graph;

    start();
    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, 0));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    IS(spin(1, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    IS(cuStreamEndCapture(blocking, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    IS(cuStreamSynchronize(blocking), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    IS(cuStreamEndCapture(blocking, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuEventRecord(event, blocking));
    IS(cuEventQuery(event), CUDA_ERROR_CAPTURED_EVENT);
    OK(cuStreamWaitEvent(other, event, 0)); /* joins the capture */
    ck_assert_int_eq(status_of(other), CU_STREAM_CAPTURE_STATUS_ACTIVE);
    IS(cuStreamEndCapture(other, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    IS(cuStreamEndCapture(blocking, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    ck_assert_int_eq(status_of(other), CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuEventDestroy(event));
}
END_TEST

START_TEST(allocations_of_a_graph)
{
    CUstream stream;
    CUgraph graph;
    CUdeviceptr p;
    size_t before;

    start();
    before = free_bytes();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(cuMemAllocAsync(&p, MIB, stream));
    OK(fill(p, 1, MIB / 4, stream));
    OK(cuMemFreeAsync(p, stream));
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphDestroy(graph));
    ck_assert_uint_eq(free_bytes(), before);
}
END_TEST

START_TEST(the_graph_of_a_failed_capture)
{
    CUstreamCaptureStatus status;
    CUgraph inside, graph, own;
    CUstream stream;
    size_t nodes;

    start();
    OK(cuGraphCreate(&own, 0));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 2; i++) {
        if (i)
            OK(cuStreamBeginCaptureToGraph(stream, own, NULL, NULL, 0,
                                           CU_STREAM_CAPTURE_MODE_RELAXED));
        else
            OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(cuStreamGetCaptureInfo(stream, &status, NULL, &inside, NULL, NULL, NULL));
        OK(cuGraphGetNodes(inside, NULL, &nodes));
        IS(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        IS(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        ck_assert_ptr_null(graph);
        /* Gone, unless it was the host's own. */
        IS(cuGraphGetNodes(inside, NULL, &nodes), i ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
    }
    OK(cuGraphDestroy(own));
}
END_TEST

/* Only the graph's own memory can be freed in a capture; other memory stays as it was. */
START_TEST(frees_in_a_capture)
{
    CUstream stream, other;
    CUgraph graph;
    CUdeviceptr p, q, pooled;
    size_t before;

    start();
    before = free_bytes();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    p = alloc(MIB);
    OK(cuMemAllocAsync(&pooled, MIB, other));
    OK(cuStreamSynchronize(other));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    IS(cuMemFreeAsync(p, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemFreeAsync(pooled, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAllocAsync(&q, MIB, stream));
    IS(cuMemFreeAsync(q, other), CUDA_ERROR_INVALID_VALUE); /* the graph does not exist yet */
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphDestroy(graph));
    IS(cuMemFreeAsync(q, other), CUDA_ERROR_INVALID_VALUE); /* was never launched */
    OK(cuMemFreeAsync(pooled, other));
    OK(cuMemFree(p));
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(free_bytes(), before);
}
END_TEST

/* Begins a capture on a stream of its own. */
static CUstream capture(CUstreamCaptureMode mode)
{
    CUstream stream;

    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(stream, mode));
    return stream;
}

static CUgraphExec instantiate(CUstream stream, cuuint64_t flags)
{
    CUgraphExec exec;
    CUgraph graph;

    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphInstantiate(&exec, graph, flags));
    OK(cuGraphDestroy(graph)); /* the executable graph stands on its own */
    return exec;
}

START_TEST(a_launch_does_what_was_captured)
{
    CUstream stream;
    CUgraphExec exec;
    CUdeviceptr p, q;
    uint32_t *pinned;
    uint64_t words = 1024;
    uint32_t one = 1;

    start();
    p = alloc(4096);
    q = alloc(4096);
    OK(cuMemsetD32(q, 9, words));
    OK(cuMemHostAlloc((void **)&pinned, 4096, 0));
    OK(cuCtxSynchronize());
    stream = capture((CUstreamCaptureMode)_i);
    OK(cuMemcpyHtoDAsync(p, pinned, 4096, stream));
    OK(launch(test.add, stream, (void *[]){&p, &one, &words}));
    OK(cuMemcpyDtoDAsync(q, p, 2048, stream));
    OK(cuMemsetD32Async(q, 5, 16, stream));
    exec = instantiate(stream, 0);
    OK(cuGraphUpload(exec, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(q, 9, words), 0); /* nothing has run */
    for (uint32_t round = 10; round < 13; round++) {
        for (size_t i = 0; i < words; i++) /* the source is read when the launch runs */
            pinned[i] = round;
        OK(cuGraphLaunch(exec, stream));
        OK(cuStreamSynchronize(stream));
        ck_assert_uint_eq(wrong_words(p, round + 1, words), 0);
        ck_assert_uint_eq(wrong_words(q, 5, 16), 0);
        ck_assert_uint_eq(wrong_words(q + 64, round + 1, words / 2 - 16), 0);
        ck_assert_uint_eq(wrong_words(q + 2048, 9, words / 2), 0);
    }
    OK(cuGraphExecDestroy(exec));
    OK(cuMemFreeHost(pinned));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
END_TEST

/* One launch after the other, on whatever stream. */
START_TEST(launches_of_a_graph_wait_for_each_other)
{
    CUstream stream = NULL, other;
    CUgraphExec exec;
    CUdeviceptr p;
    uint64_t words = 1024;
    uint32_t one = 1;

    start();
    p = alloc(4096);
    OK(cuMemsetD32(p, 0, words));
    OK(cuCtxSynchronize());
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    stream = capture(CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(spin(3000, stream));
    OK(launch(test.add, stream, (void *[]){&p, &one, &words}));
    exec = instantiate(stream, 0);
    for (int i = 0; i < 10; i++)
        OK(cuGraphLaunch(exec, i % 2 ? stream : other));
    OK(cuStreamSynchronize(stream)); /* the last of them */
    ck_assert_uint_eq(wrong_words(p, 10, words), 0);
    OK(cuGraphExecDestroy(exec));
    OK(cuMemFree(p));
}
END_TEST

static void launch_after_free(void)
{
    CUgraphExec exec;
    CUstream stream;
    CUdeviceptr p;

    start();
    p = alloc(4096);
    stream = capture(CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(fill(p, 2, 1024, stream));
    exec = instantiate(stream, 0);
    OK(cuMemFree(p));
    OK(cuGraphLaunch(exec, stream));
    IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* What a graph uses stays the host's to keep. */
START_TEST(memory_that_a_graph_lost)
{
    const char *report = scratch("SIMCUDA_REPORT");

    ck_assert_int_eq(child(launch_after_free), 0);
    ck_assert_ptr_nonnull(strstr(slurp(report), "fill in stream"));
}
END_TEST

START_TEST(memory_of_a_graph)
{
    CUgraphExec exec, kept;
    CUstream stream;
    CUdeviceptr p, q, r;
    size_t before;

    start();
    q = alloc(MIB);
    before = free_bytes();
    stream = capture(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    OK(cuMemAllocAsync(&p, MIB, stream));
    OK(cuMemsetD32Async(p, 6, MIB / 4, stream));
    OK(cuMemcpyDtoDAsync(q, p, MIB, stream));
    OK(cuMemFreeAsync(p, stream));
    IS(cuMemFreeAsync(p, stream), CUDA_ERROR_INVALID_VALUE);
    exec = instantiate(stream, 0);
    ck_assert_uint_eq(free_bytes(), before);
    for (int i = 0; i < 5; i++)
        OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(q, 6, MIB / 4), 0);
    ck_assert_uint_eq(free_bytes(), before);
    OK(cuGraphExecDestroy(exec));
    /* What a graph allocates and does not free outlives it. _i: freed by the next launch. */
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuMemAllocAsync(&r, MIB, stream));
    OK(fill(r, 7, MIB / 4, stream));
    kept = instantiate(stream, (cuuint64_t)_i);
    OK(cuGraphLaunch(kept, stream));
    IS(cuGraphLaunch(kept, stream), _i ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphExecDestroy(kept));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(free_bytes(), before - MIB);
    ck_assert_uint_eq(wrong_words(r, 7, MIB / 4), 0);
    OK(cuMemFreeAsync(r, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(free_bytes(), before);
    IS(cuMemFreeAsync(r, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(q));
}
END_TEST

START_TEST(what_is_in_a_graph)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 1};
    CUgraphNode nodes[3], from[3], to[3];
    CUgraph graph, clone, empty;
    CUgraphExec exec;
    CUstream stream;
    CUdeviceptr p;
    cuuint64_t flags;
    size_t count;

    start();
    p = alloc(4096);
    stream = capture(CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(fill(p, 2, 1024, stream));
    OK(fill(p, 3, 1024, stream));
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphClone(&clone, graph));
    OK(cuGraphDestroy(graph));
    IS(cuGraphInstantiate(&exec, graph, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphGetNodes(clone, NULL, &count));
    ck_assert_uint_eq(count, 2);
    count = 3;
    OK(cuGraphGetNodes(clone, nodes, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert_ptr_null(nodes[2]);
    OK(cuGraphGetRootNodes(clone, NULL, &count));
    ck_assert_uint_eq(count, 1);
    count = 3;
    OK(cuGraphGetEdges(clone, from, to, NULL, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert_ptr_eq(from[0], nodes[0]);
    ck_assert_ptr_eq(to[0], nodes[1]);
    OK(cuGraphInstantiateWithParams(&exec, clone, &params));
    OK(cuGraphExecGetFlags(exec, &flags));
    ck_assert_uint_eq(flags, 1);
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(p, 3, 1024), 0);
    OK(cuGraphExecDestroy(exec));
    IS(cuGraphLaunch(exec, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuGraphExecDestroy(exec), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroy(clone));
    OK(cuGraphCreate(&empty, 0));
    OK(cuGraphInstantiate(&exec, empty, 0));
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(empty));
    OK(cuMemFree(p));
}
END_TEST

static CUDA_KERNEL_NODE_PARAMS of_kernel(CUfunction function, void **parameters)
{
    return (CUDA_KERNEL_NODE_PARAMS){.func = function,
                                     .gridDimX = 1,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = 32,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = parameters};
}

/* q = 9, its second half p's, all of it + 1: without any capture that others could see. */
START_TEST(nodes_that_a_host_adds)
{
    const size_t bytes = 4096;
    CUdeviceptr p, q;
    uint32_t one = 1;
    uint64_t words = 1024;
    CUDA_KERNEL_NODE_PARAMS kernel;
    CUDA_MEMSET_NODE_PARAMS set;
    CUDA_MEMCPY3D copy;
    CUgraphNode nodes[3], none = NULL, listed[3];
    CUgraphExec exec;
    CUgraph graph;
    size_t count = 3;

    start();
    p = alloc(bytes);
    q = alloc(bytes);
    OK(fill(p, 5, words, NULL));
    OK(cuGraphCreate(&graph, 0));
    set = (CUDA_MEMSET_NODE_PARAMS){
        .dst = q, .value = 9, .elementSize = 4, .width = words, .height = 1};
    OK(cuGraphAddMemsetNode(&nodes[0], graph, NULL, 0, &set, test.context));
    copy = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = p,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = q + bytes / 2,
                           .WidthInBytes = bytes / 2,
                           .Height = 1,
                           .Depth = 1};
    OK(cuGraphAddMemcpyNode(&nodes[1], graph, nodes, 1, &copy, test.context));
    kernel = of_kernel(test.add, (void *[]){&q, &one, &words});
    OK(cuGraphAddKernelNode(&nodes[2], graph, nodes, 2, &kernel));
    OK(cuGraphGetNodes(graph, listed, &count));
    ck_assert_uint_eq(count, 3);
    ck_assert_mem_eq(listed, nodes, sizeof(nodes));
    OK(cuGraphInstantiate(&exec, graph, 0));
    OK(cuCtxSynchronize());
    for (int turn = 0; turn < 2; turn++) {
        OK(cuGraphLaunch(exec, NULL));
        ck_assert_uint_eq(wrong_words(q, 10, words / 2), 0);
        ck_assert_uint_eq(wrong_words(q + bytes / 2, 6, words / 2), 0);
    }
    IS(cuGraphAddMemcpyNode(&none, graph, (CUgraphNode[]){(CUgraphNode)&p}, 1, &copy, test.context),
       CUDA_ERROR_INVALID_VALUE); /* no node of this graph */
    IS(cuGraphAddMemcpyNode(&none, NULL, NULL, 0, &copy, test.context), CUDA_ERROR_INVALID_VALUE);
    copy.WidthInBytes = 0;
    IS(cuGraphAddMemcpyNode(&none, graph, NULL, 0, &copy, test.context), CUDA_ERROR_INVALID_VALUE);
    set.dst = q + bytes - 4;
    IS(cuGraphAddMemsetNode(&none, graph, NULL, 0, &set, test.context), CUDA_ERROR_INVALID_VALUE);
    ck_assert_ptr_null(none);
    OK(cuGraphGetNodes(graph, NULL, &count));
    ck_assert_uint_eq(count, 3);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("capture");

    tcase_add_test(tcase, captured_work_does_not_run);
    tcase_add_loop_test(tcase, unsafe_calls, 0, 3);
    tcase_add_loop_test(tcase, other_threads, 0, 5);
    tcase_add_test(tcase, waits_and_the_legacy_stream);
    tcase_add_test(tcase, allocations_of_a_graph);
    tcase_add_test(tcase, the_graph_of_a_failed_capture);
    tcase_add_test(tcase, frees_in_a_capture);
    tcase_add_loop_test(tcase, a_launch_does_what_was_captured, 0, 3);
    tcase_add_test(tcase, launches_of_a_graph_wait_for_each_other);
    tcase_add_test(tcase, memory_that_a_graph_lost);
    tcase_add_loop_test(tcase, memory_of_a_graph, 0, 2);
    tcase_add_test(tcase, what_is_in_a_graph);
    tcase_add_test(tcase, nodes_that_a_host_adds);
    return tcase;
}

int main(void)
{
    return run_suite("capture", cases);
}
