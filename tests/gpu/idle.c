/* idle.c: whether an event of a whole context (cuCtxRecordEvent, CUDA 12.5) tells when all that it
 * was given is done, whoever gave it: a move of memory on loan waits for nothing else. */
#include "tests/gpu/probe.h"

#include <stdio.h>
#include <time.h>

#define TABLE "an event of the whole context"

struct calls {
    __typeof__(&cuCtxRecordEvent) record_all;
    __typeof__(&cuEventQuery) event_query;
    __typeof__(&cuStreamQuery) stream_query;
    __typeof__(&cuLaunchHostFunc) host_func;
};

static bool find(struct probe *p, struct calls *c)
{
    c->record_all = probe_symbol(p, "cuCtxRecordEvent");
    c->event_query = probe_symbol(p, "cuEventQuery");
    c->stream_query = probe_symbol(p, "cuStreamQuery");
    c->host_func = probe_symbol(p, "cuLaunchHostFunc");
    return c->record_all && c->event_query && c->stream_query && c->host_func;
}

static CUresult wait_by_query(const struct calls *c, CUevent event)
{
    struct timespec pause = {0, 50000};
    double begun = probe_now_ms();
    CUresult result;

    while ((result = c->event_query(event)) == CUDA_ERROR_NOT_READY &&
           probe_now_ms() - begun < 5000)
        nanosleep(&pause, NULL);
    return result;
}

CUresult probe_wait_for_all(struct probe *p)
{
    struct calls c;
    CUevent event;

    if (!find(p, &c))
        return CUDA_ERROR_NOT_FOUND;
    CUresult result = p->drv.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
    if (result != CUDA_SUCCESS)
        return result;
    result = c.record_all(p->context, event);
    if (result == CUDA_SUCCESS)
        result = wait_by_query(&c, event);
    p->drv.cuEventDestroy(event);
    return result;
}

static void CUDA_CB sleeps(void *arg)
{
    const struct probe *p = arg;
    struct timespec time = {0, (long)p->spin_ms * 1000000L};

    nanosleep(&time, NULL);
}

/* Work in the stream, the event, and more work in `later`, which the event is not to wait for. */
static bool event_of(struct probe *p, const struct calls *c, const char *row, CUstream stream,
                     bool host, CUstream later)
{
    CUevent event;

    if (p->drv.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
        return false;
    double begun = probe_now_ms();
    CUresult given = host ? c->host_func(stream, sleeps, p) : probe_spin(p, stream);
    double before = probe_now_ms();
    CUresult recorded = c->record_all(p->context, event);
    double call_ms = probe_now_ms() - before;
    CUresult at_once = c->event_query(event);
    bool in_time = probe_now_ms() - begun < p->spin_ms; /* or the work may be done already */
    CUresult given_later = probe_spin(p, later);
    CUresult waited = recorded ? recorded : wait_by_query(c, event);
    double ms = probe_now_ms() - begun;
    CUresult stream_done = c->stream_query(stream);
    p->drv.cuCtxSynchronize();
    p->drv.cuEventDestroy(event);
    bool good = given == CUDA_SUCCESS && given_later == CUDA_SUCCESS && recorded == CUDA_SUCCESS &&
                (at_once == CUDA_ERROR_NOT_READY || !in_time) && waited == CUDA_SUCCESS &&
                stream_done == CUDA_SUCCESS;
    probe_answer(p, TABLE, row, "cuCtxRecordEvent", "%s, %.2f ms", probe_result(recorded), call_ms);
    probe_answer(p, TABLE, row, "cuEventQuery at once", "%s", probe_result(at_once));
    probe_answer(p, TABLE, row, "when it is done", "%s after %.0f ms, the stream: %s",
                 probe_result(waited), ms, probe_result(stream_done));
    probe_answer(p, TABLE, row, "waited for later work", "%s",
                 ms > p->spin_ms * 1.7 ? "yes" : "no");
    probe_answer(p, TABLE, row, "as needed", "%s", good ? "yes" : "no");
    return good;
}

bool probe_idle(struct probe *p)
{
    static const CUstream per_thread = (CUstream)2; /* CU_STREAM_PER_THREAD */
    CUstream blocking, other, later;
    struct calls c;

    if (!find(p, &c)) {
        probe_answer(p, TABLE, "cuCtxRecordEvent", "cuCtxRecordEvent", "absent");
        return true; /* nothing is lent then */
    }
    if (p->drv.cuStreamCreate(&blocking, 0) != CUDA_SUCCESS ||
        p->drv.cuStreamCreate(&other, 1 /* non-blocking */) != CUDA_SUCCESS ||
        p->drv.cuStreamCreate(&later, 1) != CUDA_SUCCESS)
        return false;
    probe_spin(p, later); /* loads the kernel */
    p->drv.cuCtxSynchronize();
    bool good = event_of(p, &c, "a kernel in the default stream", NULL, false, later);
    good &= event_of(p, &c, "in the thread's default stream", per_thread, false, later);
    good &= event_of(p, &c, "in a blocking stream", blocking, false, later);
    good &= event_of(p, &c, "in a non-blocking stream", other, false, later);
    good &= event_of(p, &c, "a host function", other, true, later);
    p->drv.cuStreamDestroy(blocking);
    p->drv.cuStreamDestroy(other);
    p->drv.cuStreamDestroy(later);
    return good;
}
