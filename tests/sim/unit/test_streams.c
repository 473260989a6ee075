/* test_streams.c: what is ordered, what is not, and when calls return. Blocks are told apart by
 * spin kernels that last far longer than a call; where a test waits, it waits for an event, not for
 * time. */
#include "sim_test.h"

#include <pthread.h>
#include <time.h>

#define LONG 50000 /* microseconds: of a kernel that must still be running at the next call */

START_TEST(a_stream_keeps_its_order)
{
    CUdeviceptr p;
    CUstream stream;
    uint64_t words = 1 << 16;
    uint32_t one = 1;

    start();
    p = alloc(words * 4);
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (uint32_t i = 0; i < 50; i++) {
        OK(fill(p, i, words, stream));
        OK(launch(test.add, stream, (void *[]){&p, &one, &words}));
    }
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(p, 50, words), 0);
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
}
END_TEST

START_TEST(streams_run_beside_each_other)
{
    CUstream slow, fast;

    start();
    OK(cuStreamCreate(&slow, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&fast, CU_STREAM_NON_BLOCKING));
    OK(spin(LONG, slow));
    OK(spin(1, fast));
    OK(cuStreamSynchronize(fast));
    IS(cuStreamQuery(slow), CUDA_ERROR_NOT_READY);
    OK(cuStreamSynchronize(slow));
    OK(cuStreamQuery(slow));
    OK(cuStreamDestroy(slow));
    OK(cuStreamDestroy(fast));
}
END_TEST

/* The legacy default stream waits for blocking streams and they for it; not so non-blocking ones.
 */
START_TEST(the_legacy_stream)
{
    CUstream blocking, other;
    CUdeviceptr p;

    start();
    p = alloc(4096);
    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    OK(fill(p, 1, 1024, NULL));
    OK(spin(LONG, blocking));
    OK(fill(p, 2, 1024, blocking));
    OK(fill(p, 3, 1024, NULL));
    OK(cuStreamSynchronize(NULL));
    OK(cuStreamQuery(blocking));
    ck_assert_uint_eq(wrong_words(p, 3, 1024), 0); /* 2 was waited for */

    OK(spin(LONG, NULL));
    OK(fill(p, 4, 1024, blocking));
    IS(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    OK(cuStreamSynchronize(blocking));
    OK(cuStreamQuery(NULL)); /* blocking waited for it */

    OK(spin(LONG, NULL));
    OK(spin(1, other));
    OK(cuStreamSynchronize(other));
    IS(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY); /* other did not */
    OK(cuCtxSynchronize());
    OK(cuStreamDestroy(blocking));
    OK(cuStreamDestroy(other));
    OK(cuMemFree(p));
}
END_TEST

static void *other_thread(void *unused)
{
    OK(cuCtxSetCurrent(test.context));
    OK(cuStreamQuery(CU_STREAM_PER_THREAD)); /* its own, and idle */
    return unused;
}

START_TEST(the_per_thread_stream)
{
    CUdeviceptr p;
    pthread_t thread;
    uint32_t value = 9;

    start();
    p = alloc(4096);
    OK(spin(LONG, CU_STREAM_PER_THREAD));
    IS(cuStreamQuery(CU_STREAM_PER_THREAD), CUDA_ERROR_NOT_READY);
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    /* The _ptds functions use it: this copy comes after the spin. */
    OK(cuMemcpyHtoD_v2_ptds(p, &value, 4));
    OK(cuStreamSynchronize_ptsz(NULL));
    OK(cuStreamQuery(CU_STREAM_PER_THREAD));
    ck_assert_uint_eq(wrong_words(p, 9, 1), 0);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(events)
{
    CUstream stream, waiting;
    CUevent begin, end, untimed;
    float milliseconds;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&waiting, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&begin, CU_EVENT_DEFAULT));
    OK(cuEventCreate(&end, CU_EVENT_DEFAULT));
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    OK(cuEventQuery(end)); /* never recorded: nothing to wait for */
    IS(cuEventElapsedTime(&milliseconds, begin, end), CUDA_ERROR_INVALID_HANDLE);
    OK(cuEventRecord(begin, stream));
    OK(spin(LONG, stream));
    OK(cuEventRecord(end, stream));
    OK(cuEventRecord(untimed, stream));
    OK(cuStreamWaitEvent(waiting, end, 0));
    IS(cuEventQuery(end), CUDA_ERROR_NOT_READY);
    IS(cuEventElapsedTime(&milliseconds, begin, end), CUDA_ERROR_NOT_READY);
    OK(cuStreamSynchronize(waiting));
    OK(cuEventQuery(end));
    OK(cuEventSynchronize(untimed));
    OK(cuEventElapsedTime(&milliseconds, begin, end));
    ck_assert(milliseconds >= (float)LONG / 1000);
    IS(cuEventElapsedTime(&milliseconds, begin, untimed), CUDA_ERROR_INVALID_HANDLE);
    OK(cuEventDestroy(begin));
    IS(cuEventDestroy(begin), CUDA_ERROR_INVALID_HANDLE);
    IS(cuEventRecord(begin, stream), CUDA_ERROR_INVALID_HANDLE);
    OK(cuEventDestroy(end));
    OK(cuEventDestroy(untimed));
    OK(cuStreamDestroy(stream));
    OK(cuStreamDestroy(waiting));
}
END_TEST

/* All that the context's streams have to do at that moment, whatever kind they are, and no more. */
START_TEST(the_event_of_a_context)
{
    CUstream streams[3] = {NULL};
    CUcontext context;
    CUevent event, other;
    CUgraph graph;

    start();
    OK(cuCtxGetCurrent(&context));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuStreamCreate(&streams[1], CU_STREAM_DEFAULT));
    OK(cuStreamCreate(&streams[2], CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 3; i++) {
        OK(spin(LONG, streams[i]));
        OK(cuCtxRecordEvent(context, event));
        IS(cuEventQuery(event), CUDA_ERROR_NOT_READY);
        OK(cuEventSynchronize(event));
        OK(cuStreamQuery(streams[i]));
        OK(cuEventQuery(event));
    }
    OK(cuCtxRecordEvent(context, event));
    OK(spin(LONG, streams[2]));
    OK(cuEventSynchronize(event));
    IS(cuStreamQuery(streams[2]), CUDA_ERROR_NOT_READY);
    OK(cuCtxSynchronize());
    IS(cuCtxRecordEvent(NULL, event), CUDA_ERROR_INVALID_CONTEXT);
    IS(cuCtxRecordEvent(context, NULL), CUDA_ERROR_INVALID_HANDLE);
    OK(cuStreamBeginCapture(streams[2], CU_STREAM_CAPTURE_MODE_RELAXED));
    IS(cuCtxRecordEvent(context, event), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    IS(cuStreamEndCapture(streams[2], &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuCtxCreate(&context, NULL, 0, 0));
    OK(cuEventCreate(&other, CU_EVENT_DISABLE_TIMING));
    IS(cuCtxRecordEvent(context, event), CUDA_ERROR_INVALID_HANDLE);
    OK(cuCtxRecordEvent(context, other));
    OK(cuEventSynchronize(other));
    OK(cuCtxDestroy(context));
}
END_TEST

static int order[3], orders;

static void note(void *value)
{
    order[orders++] = *(int *)value;
}

static void note_status(CUstream stream, CUresult status, void *value)
{
    (void)stream;
    order[orders++] = status == CUDA_SUCCESS ? *(int *)value : -1;
}

START_TEST(host_functions)
{
    static int values[] = {1, 2, 3};
    CUstream stream;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(spin(1000, stream));
    OK(cuLaunchHostFunc(stream, note, &values[0]));
    OK(cuStreamAddCallback(stream, note_status, &values[1], 0));
    OK(cuLaunchHostFunc(stream, note, &values[2]));
    OK(cuStreamSynchronize(stream));
    ck_assert_int_eq(orders, 3);
    ck_assert(order[0] == 1 && order[1] == 2 && order[2] == 3);
    OK(cuStreamDestroy(stream));
}
END_TEST

START_TEST(work_outlives_its_stream)
{
    CUdeviceptr p;
    CUstream stream;

    start();
    p = alloc(4096);
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(spin(5000, stream));
    OK(fill(p, 4, 1024, stream));
    OK(cuStreamDestroy(stream));
    IS(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(wrong_words(p, 4, 1024), 0);
    OK(cuMemFree(p));
}
END_TEST

/* Device to device, sets and small pageable uploads return before they are done ... */
START_TEST(calls_that_return_early)
{
    CUdeviceptr p, q;
    uint32_t source[16] = {7};

    start();
    p = alloc(MIB);
    q = alloc(MIB);
    OK(spin(LONG, NULL));
    OK(cuMemcpyDtoD(q, p, MIB));
    OK(cuMemsetD32(p, 1, MIB / 4));
    OK(cuMemcpyHtoD(q, source, sizeof(source)));
    memset(source, 0, sizeof(source)); /* it was read already */
    IS(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(wrong_words(q, 7, 1), 0);
    ck_assert_uint_eq(wrong_words(p, 1, MIB / 4), 0);
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
END_TEST

/* ... downloads, large pageable uploads, pinned ones by the synchronous function do not. */
START_TEST(calls_that_wait)
{
    CUdeviceptr p;
    char *host = malloc(MIB);
    void *pinned;
    unsigned sync = 1;

    start();
    p = alloc(MIB);
    OK(cuMemAllocHost(&pinned, MIB));
    OK(spin(5000, NULL));
    OK(cuMemcpyDtoH(host, p, 4));
    OK(cuStreamQuery(NULL));
    OK(spin(5000, NULL));
    OK(cuMemcpyHtoD(p, host, MIB));
    OK(cuStreamQuery(NULL));
    OK(spin(5000, NULL));
    OK(cuMemcpyHtoD(p, pinned, 4));
    OK(cuStreamQuery(NULL));
    OK(spin(5000, NULL));
    OK(cuMemcpyDtoHAsync(host, p, 4, NULL)); /* pageable: as good as synchronous */
    OK(cuStreamQuery(NULL));
    OK(spin(LONG, NULL));
    OK(cuMemcpyDtoHAsync(pinned, p, 4, NULL)); /* pinned: not */
    IS(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    OK(cuPointerSetAttribute(&sync, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
    OK(cuMemsetD8(p, 0, 4)); /* this attribute makes synchronous calls keep their word */
    OK(cuStreamQuery(NULL));
    OK(cuMemFree(p));
    OK(cuMemFreeHost(pinned));
    free(host);
}
END_TEST

START_TEST(free_waits_for_the_context)
{
    CUdeviceptr p;
    CUstream stream;

    start();
    p = alloc(4096);
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(spin(LONG, stream));
    OK(fill(p, 1, 1024, stream));
    OK(cuMemFree(p));
    OK(cuStreamQuery(stream));
    OK(cuStreamDestroy(stream));
}
END_TEST

static void leave_busy(void)
{
    start();
    OK(spin(30000000, NULL)); /* half a minute */
}

START_TEST(exit_does_not_wait)
{
    struct timespec before, after;

    clock_gettime(CLOCK_MONOTONIC, &before);
    ck_assert_int_eq(child(leave_busy), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_lt(after.tv_sec - before.tv_sec, 10);
}
END_TEST

static void forked(void)
{
    size_t a, b;

    if (cuMemGetInfo(&a, &b) != CUDA_ERROR_NOT_INITIALIZED ||
        cuInit(0) != CUDA_ERROR_NOT_INITIALIZED)
        _exit(1);
    _exit(0);
}

START_TEST(a_forked_child_has_no_driver)
{
    CUdeviceptr p;

    start();
    p = alloc(4096);
    OK(spin(2000, NULL));
    ck_assert_int_eq(child(forked), 0);
    OK(fill(p, 8, 1024, NULL));
    ck_assert_uint_eq(wrong_words(p, 8, 1024), 0);
    OK(cuMemFree(p));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("streams");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_stream_keeps_its_order);
    tcase_add_test(tcase, streams_run_beside_each_other);
    tcase_add_test(tcase, the_legacy_stream);
    tcase_add_test(tcase, the_per_thread_stream);
    tcase_add_test(tcase, events);
    tcase_add_test(tcase, the_event_of_a_context);
    tcase_add_test(tcase, host_functions);
    tcase_add_test(tcase, work_outlives_its_stream);
    tcase_add_test(tcase, calls_that_return_early);
    tcase_add_test(tcase, calls_that_wait);
    tcase_add_test(tcase, free_waits_for_the_context);
    tcase_add_test(tcase, exit_does_not_wait);
    tcase_add_test(tcase, a_forked_child_has_no_driver);
    return tcase;
}

int main(void)
{
    return run_suite("streams", cases);
}
