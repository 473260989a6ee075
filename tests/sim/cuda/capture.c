/* capture.c: stream capture: which calls it refuses, which streams it takes in, when it is spoilt.
 * What it keeps: graph.c. */
#include "graph.h"
#include "impl.h"

#include <stdlib.h>

atomic_int capture_count;
static struct capture *captures;
static uint64_t next_capture_id;
static __thread CUstreamCaptureMode thread_mode; /* CU_STREAM_CAPTURE_MODE_GLOBAL */

/* Source: cuThreadExchangeStreamCaptureMode. */
static bool conflicts(const struct capture *capture)
{
    bool mine = pthread_equal(capture->thread, pthread_self());

    if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return false;
    if (mine)
        return capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
           capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

CUresult capture_forbids_unsafe_locked(void)
{
    CUresult result = CUDA_SUCCESS;

    for (struct capture *capture = captures; capture; capture = capture->next) {
        if (!conflicts(capture))
            continue;
        capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return result;
}

CUresult capture_admit_locked(struct stream *stream, bool *captured)
{
    struct capture *capture = stream->capture;

    *captured = capture != NULL;
    if (capture)
        return capture->status == CU_STREAM_CAPTURE_STATUS_ACTIVE
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!stream->legacy || !captures)
        return CUDA_SUCCESS;
    /* The legacy stream would have to wait for a blocking stream that is being captured. */
    for (const struct stream *other = stream->ctx->streams; other; other = other->next) {
        if (!other->capture || (other->flags & CU_STREAM_NON_BLOCKING))
            continue;
        other->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    return CUDA_SUCCESS;
}

static CUresult begin(CUstream handle, CUstreamCaptureMode mode, CUgraph graph)
{
    struct stream *stream;
    CUresult result;

    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream && stream->legacy)
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    else if (stream && stream->capture)
        result = CUDA_ERROR_ILLEGAL_STATE;
    if (result == CUDA_SUCCESS) {
        struct capture *capture = calloc(1, sizeof(*capture));

        *capture = (struct capture){mode,
                                    CU_STREAM_CAPTURE_STATUS_ACTIVE,
                                    ++next_capture_id,
                                    pthread_self(),
                                    stream,
                                    graph ? (void *)graph : graph_new_locked()->handle,
                                    captures,
                                    graph != NULL};
        captures = stream->capture = capture;
        atomic_fetch_add(&capture_count, 1);
    }
    sim_leave();
    return result;
}

CUresult sim_stream_begin_capture(CUstream handle, CUstreamCaptureMode mode)
{
    return begin(handle, mode, NULL);
}

CUresult sim_stream_begin_capture_to_graph(CUstream handle, CUgraph graph,
                                           const CUgraphNode *dependencies, size_t count,
                                           CUstreamCaptureMode mode)
{
    if (!handle_object(graph, HANDLE_GRAPH) || (count && !dependencies))
        return CUDA_ERROR_INVALID_VALUE;
    return begin(handle, mode, graph);
}

/* Streams and events forget it; its graph goes to the host or, `lost`, away. */
static void end_locked(struct capture *capture, bool lost)
{
    struct ctx *ctx = capture->origin->ctx;

    for (struct stream *stream = ctx->streams; stream; stream = stream->next)
        if (stream->capture == capture)
            stream->capture = NULL;
    for (struct event *event = ctx->events; event; event = event->next)
        if (event->captured == capture)
            event->captured = NULL;
    for (struct capture **link = &captures; *link; link = &(*link)->next) {
        if (*link == capture) {
            *link = capture->next;
            break;
        }
    }
    atomic_fetch_sub(&capture_count, 1);
    if (lost && !capture->to_graph)
        graph_end_locked(capture->graph);
    free(capture);
}

void capture_drop_ctx_locked(struct ctx *ctx)
{
    struct capture *next;

    for (struct capture *capture = captures; capture; capture = next) {
        next = capture->next;
        if (capture->origin->ctx == ctx)
            end_locked(capture, true);
    }
}

CUresult sim_stream_end_capture(CUstream handle, CUgraph *out)
{
    struct stream *stream;
    CUresult result;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    *out = NULL;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream && !stream->capture) {
        result = CUDA_ERROR_ILLEGAL_STATE;
    } else if (stream) {
        struct capture *capture = stream->capture;

        if (capture->origin != stream)
            result = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
        else if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
                 !pthread_equal(capture->thread, pthread_self()))
            result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
        else if (capture->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
            result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (result == CUDA_SUCCESS)
            *out = capture->graph;
        if (result == CUDA_SUCCESS || result == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
            end_locked(capture, result != CUDA_SUCCESS);
        else
            capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    }
    sim_leave();
    return result;
}

CUresult sim_stream_get_capture_info(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                     CUgraph *graph, const CUgraphNode **dependencies,
                                     size_t *count)
{
    struct stream *stream;
    CUresult result;
    bool captured;

    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream && stream->legacy)
        result = capture_admit_locked(stream, &captured); /* IMPLICIT while others are captured */
    if (result == CUDA_SUCCESS) {
        const struct capture *capture = stream->capture;

        *status = capture ? capture->status : CU_STREAM_CAPTURE_STATUS_NONE;
        if (id && capture)
            *id = capture->id;
        if (graph)
            *graph = capture ? capture->graph : NULL;
        if (dependencies)
            *dependencies = NULL;
        if (count)
            *count = 0;
    }
    sim_leave();
    return result;
}

CUresult sim_stream_is_capturing(CUstream handle, CUstreamCaptureStatus *status)
{
    return sim_stream_get_capture_info(handle, status, NULL, NULL, NULL, NULL);
}

CUresult sim_thread_exchange_stream_capture_mode(CUstreamCaptureMode *mode)
{
    CUstreamCaptureMode old = thread_mode;

    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    thread_mode = *mode;
    *mode = old;
    return CUDA_SUCCESS;
}
