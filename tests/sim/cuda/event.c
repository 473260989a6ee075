/* event.c: events: a place in a stream, and when it was passed. */
#include "cost.h"
#include "impl.h"
#include "pool.h"

#include <stdlib.h>

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

struct event_op {
    struct op op;
    CUevent event; /* the handle: the event may be destroyed before this runs */
};

static void record_done(struct op *op)
{
    struct event *event = handle_object(((struct event_op *)op)->event, HANDLE_EVENT);

    if (!cost_any() && event && event->stream == op->stream && event->sequence == op->sequence)
        event->time_ns = sim_now_ns();
}

CUresult sim_event_create(CUevent *out, unsigned flags)
{
    struct ctx *ctx = ctx_current();
    struct event *event;

    if (!out || (flags & ~(unsigned)EVENT_FLAGS) ||
        ((flags & CU_EVENT_INTERPROCESS) && !(flags & CU_EVENT_DISABLE_TIMING)))
        return CUDA_ERROR_INVALID_VALUE;
    event = calloc(1, sizeof(*event));
    event->ctx = ctx;
    event->flags = flags;
    sim_enter();
    event->handle = handle_new_locked(HANDLE_EVENT, event);
    event->next = ctx->events;
    event->link = &ctx->events;
    if (event->next)
        event->next->link = &event->next;
    ctx->events = event;
    *out = event->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

static void end_locked(struct event *event)
{
    handle_end(event->handle);
    *event->link = event->next;
    if (event->next)
        event->next->link = event->link;
    free(event);
}

void event_release_locked(struct ctx *ctx)
{
    while (ctx->events)
        end_locked(ctx->events);
}

CUresult sim_event_destroy(CUevent handle)
{
    struct event *event;

    sim_enter();
    event = handle_object(handle, HANDLE_EVENT);
    if (event)
        end_locked(event);
    sim_leave();
    return event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult record_locked(struct event *event, struct stream *stream)
{
    struct capture *capture = stream->capture;
    struct event_op *op = op_new(sizeof(*op), "event record", NULL);
    CUresult result;

    op->event = event->handle;
    op->op.done = record_done;
    op->op.quick = true;
    /* Filled in first: the record may be over before engine_submit returns. */
    event->stream = stream;
    event->sequence = stream->enqueued + 1;
    event->captured = capture;
    result = engine_submit_locked(stream, &op->op, false);
    if (cost_any())
        event->time_ns = stream->clock_ns;
    if (result != CUDA_SUCCESS || capture)
        event->stream = NULL;
    return result;
}

CUresult sim_event_record(CUevent handle, CUstream stream_handle, unsigned flags)
{
    struct event *event;
    struct stream *stream;
    CUresult result;

    if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(stream_handle, &result);
    event = handle_object(handle, HANDLE_EVENT);
    if (stream && (!event || event->ctx != stream->ctx))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        result = record_locked(event, stream);
    sim_leave();
    return result;
}

/* A stream of the simulator's own waits for all others. */
static struct stream *observer_locked(struct ctx *ctx)
{
    struct stream *stream = ctx->streams;

    while (stream && !stream->observer)
        stream = stream->next;
    if (!stream) {
        stream = stream_new_locked(ctx, CU_STREAM_NON_BLOCKING, 0);
        stream->observer = true;
    }
    return stream;
}

/* "if the specified context hCtx has a stream in the capture mode [...] the call will invalidate
 * all the conflicting captures" (cuCtxRecordEvent). */
static bool spoils_locked(const struct ctx *ctx)
{
    bool any = false;

    for (const struct stream *stream = ctx->streams; stream; stream = stream->next)
        if (stream->capture) {
            stream->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
            any = true;
        }
    return any;
}

CUresult sim_ctx_record_event(CUcontext ctx_handle, CUevent handle)
{
    struct ctx *ctx;
    struct event *event;
    CUresult result = CUDA_SUCCESS;

    sim_enter();
    ctx = handle_object(ctx_handle, HANDLE_CONTEXT);
    event = handle_object(handle, HANDLE_EVENT);
    if (!ctx)
        result = CUDA_ERROR_INVALID_CONTEXT;
    else if (!event || event->ctx != ctx)
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (spoils_locked(ctx))
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    else
        result = record_locked(event, observer_locked(ctx));
    sim_leave();
    return result;
}

static CUresult get_locked(CUevent handle, struct event **event)
{
    *event = handle_object(handle, HANDLE_EVENT);
    if (!*event)
        return CUDA_ERROR_INVALID_HANDLE;
    return (*event)->captured ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}

static bool passed(const struct event *event)
{
    return !event->stream || event->stream->completed >= event->sequence;
}

CUresult sim_event_query(CUevent handle)
{
    struct event *event;
    CUresult result;

    sim_enter();
    result = get_locked(handle, &event);
    if (result == CUDA_SUCCESS)
        result = passed(event) ? atomic_load(&event->ctx->sticky) : CUDA_ERROR_NOT_READY;
    sim_leave();
    return result;
}

CUresult sim_event_synchronize(CUevent handle)
{
    struct event *event;
    CUresult result;

    sim_enter();
    result = get_locked(handle, &event);
    if (result == CUDA_SUCCESS) {
        struct ctx *ctx = event->ctx;

        if (event->stream && cost_any())
            cost_waited(event->time_ns);
        if (event->stream)
            engine_wait_locked(event->stream, event->sequence);
        pool_synchronised_locked();
        result = atomic_load(&ctx->sticky);
    }
    sim_leave();
    return result;
}

CUresult sim_event_elapsed_time(float *milliseconds, CUevent start_handle, CUevent end_handle)
{
    struct event *start, *end;
    CUresult result;

    if (!milliseconds)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    result = get_locked(start_handle, &start);
    if (result == CUDA_SUCCESS)
        result = get_locked(end_handle, &end);
    if (result == CUDA_SUCCESS &&
        (!start->stream || !end->stream || ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && (!passed(start) || !passed(end)))
        result = CUDA_ERROR_NOT_READY;
    if (result == CUDA_SUCCESS)
        *milliseconds = (float)((double)(int64_t)(end->time_ns - start->time_ns) / 1e6);
    sim_leave();
    return result;
}

static CUresult wait_in_stream_locked(struct stream *stream, const struct event *event)
{
    struct op *op = op_new(sizeof(*op), "event wait", NULL);

    op->quick = true;
    op->dependencies = malloc(sizeof(*op->dependencies));
    op->dependencies[op->dependency_count++] = (struct dependency){event->stream, event->sequence};
    return engine_submit_locked(stream, op, false);
}

CUresult sim_stream_wait_event(CUstream stream_handle, CUevent handle, unsigned flags)
{
    struct event *event;
    struct stream *stream;
    CUresult result;

    if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(stream_handle, &result);
    event = handle_object(handle, HANDLE_EVENT);
    if (stream && !event)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && event->captured) {
        /* Waiting for captured work takes this stream into the same capture. */
        if (stream->legacy)
            result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        else if (stream->capture && stream->capture != event->captured)
            result = CUDA_ERROR_STREAM_CAPTURE_MERGE;
        else
            stream->capture = event->captured;
    } else if (result == CUDA_SUCCESS && stream->capture) {
        result = CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    } else if (result == CUDA_SUCCESS && event->stream) {
        if (cost_any())
            cost_not_before(&stream->clock_ns, event->time_ns);
        if (!passed(event))
            result = wait_in_stream_locked(stream, event);
    }
    sim_leave();
    return result;
}
