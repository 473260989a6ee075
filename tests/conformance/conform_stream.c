/* conform_stream.c: streams, events, host functions: what follows what. Source of the rules: CUDA
 * driver API, "Stream Management", "Event Management", "Stream synchronization behavior". */
#define CONF_GROUP "stream"
#include "conform.h"

#define BLOCK (2 * MIB)
#define WORDS (BLOCK / 4)

CASE(fifo, "Streams: what one stream is given is done in order")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUstream stream = conf_stream();

    conf_fill(p, 0, WORDS, stream);
    for (unsigned i = 1; i <= 50; i++)
        conf_add(p, i, WORDS, stream);
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_holds(p, 1275, WORDS));
    conf_stream_end(stream);
    conf_free(p);
}

CASE(query, "cuStreamQuery: NOT_READY while there is work, then SUCCESS")
{
    CUstream stream = conf_stream();

    MUST(cu.StreamQuery(stream));
    conf_spin(50000, stream);
    IS(cu.StreamQuery(stream), CUDA_ERROR_NOT_READY);
    MUST(cu.StreamSynchronize(stream));
    MUST(cu.StreamQuery(stream));
    conf_stream_end(stream);
}

CASE(legacy_waits_for_blocking, "Legacy default stream: waits for all blocking streams")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    CUstream stream = NULL;

    MUST(cu.StreamCreate(&stream, CU_STREAM_DEFAULT));
    conf_fill(p, 1, WORDS, stream);
    conf_spin(10000, stream);
    conf_fill(p, 2, WORDS, stream);
    conf_copy(q, p, WORDS, NULL);
    CHECK(conf_holds(q, 2, WORDS));
    MUST(cu.StreamDestroy(stream));
    conf_free(q);
    conf_free(p);
}

CASE(blocking_waits_for_legacy, "Legacy default stream: blocking streams wait for it")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    CUstream stream = NULL;

    MUST(cu.StreamCreate(&stream, CU_STREAM_DEFAULT));
    conf_spin(10000, NULL);
    conf_fill(p, 3, WORDS, NULL);
    conf_copy(q, p, WORDS, stream);
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_holds(q, 3, WORDS));
    MUST(cu.StreamDestroy(stream));
    conf_free(q);
    conf_free(p);
}

CASE(non_blocking, "CU_STREAM_NON_BLOCKING: no waiting for the legacy default stream")
{
    CUstream stream = conf_stream();

    conf_spin(100000, NULL);
    conf_spin(1, stream);
    MUST(cu.StreamSynchronize(stream));
    IS(cu.StreamQuery(NULL), CUDA_ERROR_NOT_READY);
    MUST(cu.CtxSynchronize());
    conf_stream_end(stream);
}

CASE(wait_event, "cuStreamWaitEvent: work follows what the event has recorded")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    CUstream one = conf_stream(), other = conf_stream();
    CUevent event = NULL;

    MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
    conf_spin(10000, one);
    conf_fill(p, 4, WORDS, one);
    MUST(cu.EventRecord(event, one));
    MUST(cu.StreamWaitEvent(other, event, 0));
    conf_copy(q, p, WORDS, other);
    MUST(cu.StreamSynchronize(other));
    CHECK(conf_holds(q, 4, WORDS));
    MUST(cu.EventDestroy(event));
    conf_stream_end(one);
    conf_stream_end(other);
    conf_free(q);
    conf_free(p);
}

CASE(event_never_recorded,
     "cuEventQuery, cuStreamWaitEvent: an event that was not recorded is done")
{
    CUstream stream = conf_stream();
    CUevent event = NULL;

    MUST(cu.EventCreate(&event, 0));
    MUST(cu.EventQuery(event));
    MUST(cu.EventSynchronize(event));
    MUST(cu.StreamWaitEvent(stream, event, 0));
    MUST(cu.EventDestroy(event));
    conf_stream_end(stream);
}

CASE(event_query, "cuEventQuery: NOT_READY until the recorded work is done")
{
    CUstream stream = conf_stream();
    CUevent event = NULL;

    MUST(cu.EventCreate(&event, 0));
    conf_spin(50000, stream);
    MUST(cu.EventRecord(event, stream));
    IS(cu.EventQuery(event), CUDA_ERROR_NOT_READY);
    MUST(cu.EventSynchronize(event));
    MUST(cu.EventQuery(event));
    MUST(cu.EventDestroy(event));
    conf_stream_end(stream);
}

CASE(event_again, "cuEventRecord: of an event that was recorded before: the last one counts")
{
    CUstream stream = conf_stream();
    CUevent event = NULL;

    MUST(cu.EventCreate(&event, 0));
    MUST(cu.EventRecord(event, stream));
    MUST(cu.EventSynchronize(event));
    conf_spin(50000, stream);
    MUST(cu.EventRecord(event, stream));
    IS(cu.EventQuery(event), CUDA_ERROR_NOT_READY);
    MUST(cu.EventSynchronize(event));
    MUST(cu.EventDestroy(event));
    conf_stream_end(stream);
}

CASE(event_elapsed, "cuEventElapsedTime: milliseconds between two recorded events")
{
    CUstream stream = conf_stream();
    CUevent begin = NULL, end = NULL;
    float milliseconds = -1;

    MUST(cu.EventCreate(&begin, 0));
    MUST(cu.EventCreate(&end, 0));
    MUST(cu.EventRecord(begin, stream));
    conf_spin(5000, stream);
    MUST(cu.EventRecord(end, stream));
    MUST(cu.EventSynchronize(end));
    MUST(cu.EventElapsedTime(&milliseconds, begin, end));
    CHECK(milliseconds >= 4 && milliseconds < 5000);
    MUST(cu.EventDestroy(begin));
    MUST(cu.EventDestroy(end));
    conf_stream_end(stream);
}

CASE(event_elapsed_refused, "cuEventElapsedTime: not recorded, or without timing: INVALID_HANDLE")
{
    CUevent timed = NULL, untimed = NULL;
    float milliseconds = 0;

    MUST(cu.EventCreate(&timed, 0));
    MUST(cu.EventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    IS(cu.EventElapsedTime(&milliseconds, timed, timed), CUDA_ERROR_INVALID_HANDLE);
    MUST(cu.EventRecord(timed, NULL));
    MUST(cu.EventRecord(untimed, NULL));
    MUST(cu.CtxSynchronize());
    IS(cu.EventElapsedTime(&milliseconds, timed, untimed), CUDA_ERROR_INVALID_HANDLE);
    MUST(cu.EventDestroy(timed));
    MUST(cu.EventDestroy(untimed));
}

static void write_one(void *place)
{
    *(volatile int *)place += 1;
}

static void write_two(CUstream stream, CUresult status, void *place)
{
    (void)stream;
    if (status == CUDA_SUCCESS)
        *(volatile int *)place += 2;
}

CASE(host_function_mode, "cuLaunchHostFunc (13.2): the thread that waits may block or spin")
{
    unsigned int *pinned;
    CUstream stream;

    NEEDS(LaunchHostFunc_v2);
    MUST(cu.MemHostAlloc((void **)&pinned, 64, 0));
    stream = conf_stream();
    for (unsigned int mode = 0; mode < 2; mode++) {
        *pinned = 0;
        conf_spin(5000, stream);
        MUST(cu.LaunchHostFunc_v2(stream, write_one, pinned, mode));
        MUST(cu.StreamSynchronize(stream));
        EQUAL(*pinned, 1);
    }
    conf_stream_end(stream);
    MUST(cu.MemFreeHost(pinned));
}

CASE(host_function, "cuLaunchHostFunc, cuStreamAddCallback: run in stream order")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUstream stream = conf_stream();
    int *pinned = NULL;
    int seen = 0;

    MUST(cu.MemHostAlloc((void **)&pinned, 4096, 0));
    *pinned = 0;
    conf_spin(3000, stream);
    MUST(cu.LaunchHostFunc(stream, write_one, pinned));
    MUST(cu.MemcpyHtoDAsync(p, pinned, sizeof(int), stream));
    MUST(cu.StreamAddCallback(stream, write_two, pinned, 0));
    MUST(cu.StreamSynchronize(stream));
    MUST(cu.MemcpyDtoH(&seen, p, sizeof(seen)));
    EQUAL(seen, 1);
    EQUAL(*pinned, 3);
    MUST(cu.MemFreeHost(pinned));
    conf_stream_end(stream);
    conf_free(p);
}

CASE(flags, "cuStreamGetFlags: what it was created with; of the default streams")
{
    CUstream stream = conf_stream();
    unsigned found = 77;

    MUST(cu.StreamGetFlags(stream, &found));
    EQUAL(found, CU_STREAM_NON_BLOCKING);
    MUST(cu.StreamGetFlags(NULL, &found));
    NOTE("%u", found);
    conf_stream_end(stream);
    MUST(cu.StreamCreate(&stream, CU_STREAM_DEFAULT));
    MUST(cu.StreamGetFlags(stream, &found));
    EQUAL(found, CU_STREAM_DEFAULT);
    conf_stream_end(stream);
}

CASE(refused, "cuStreamCreate, cuEventCreate: NULL and unknown flags are CUDA_ERROR_INVALID_VALUE")
{
    CUstream stream = NULL;
    CUevent event = NULL;

    IS(cu.StreamCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.StreamCreate(&stream, 0x100), CUDA_ERROR_INVALID_VALUE);
    IS(cu.EventCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.EventCreate(&event, 0x100), CUDA_ERROR_INVALID_VALUE);
}

CASE(destroy_with_work, "cuStreamDestroy: returns at once; what was enqueued is still done")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUstream stream = conf_stream();

    conf_spin(5000, stream);
    conf_fill(p, 6, WORDS, stream);
    MUST(cu.StreamDestroy(stream));
    MUST(cu.CtxSynchronize());
    CHECK(conf_holds(p, 6, WORDS));
    conf_free(p);
}

CASE(context_of, "cuStreamGetCtx: the context that was current when it was created")
{
    CUstream stream = conf_stream();
    CUcontext found = NULL, other = conf_second_context();

    MUST(cu.StreamGetCtx(stream, &found));
    CHECK(found == conf.context);
    MUST(cu.StreamGetCtx(NULL, &found));
    CHECK(found == other);
    conf_context_end(other);
    conf_stream_end(stream);
}

CASE(copies_overlap_nothing,
     "API synchronization behavior: cuMemcpyDtoH has all of it when it returns")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    for (unsigned i = 0; i < 10; i++) {
        conf_spin(1000, NULL);
        conf_fill(p, i, WORDS, NULL);
        CHECK(conf_holds(p, i, WORDS));
    }
    conf_free(p);
}

CASE(free_while_busy, "cuMemFree: work of every stream has the memory until it is done")
{
    CUdeviceptr q = conf_alloc(BLOCK);
    CUstream streams[4];

    for (int i = 0; i < 4; i++)
        streams[i] = conf_stream();
    for (unsigned turn = 0; turn < 10; turn++) {
        CUdeviceptr p = conf_alloc(BLOCK);

        MUST(cu.MemsetD32(p, turn, WORDS));
        MUST(cu.CtxSynchronize());
        conf_spin(1000, streams[turn % 4]);
        conf_copy(q, p, WORDS, streams[turn % 4]);
        conf_free(p);
        p = conf_alloc(BLOCK);
        MUST(cu.MemsetD32(p, 999, WORDS));
        MUST(cu.CtxSynchronize());
        CHECK(conf_holds(q, turn, WORDS));
        conf_free(p);
    }
    for (int i = 0; i < 4; i++)
        conf_stream_end(streams[i]);
    conf_free(q);
}
