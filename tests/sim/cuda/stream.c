/* stream.c: streams and host functions. */
#include "engine.h"
#include "green.h"
#include "impl.h"
#include "pool.h"

#include <stdlib.h>

static uint64_t next_stream_id;
static struct stream *ever; /* also those whose context is gone: others may still point at them */

struct stream *stream_new_locked(struct ctx *ctx, unsigned flags, int priority)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    stream->ctx = ctx;
    stream->flags = flags;
    stream->priority = priority;
    stream->id = ++next_stream_id;
    pthread_cond_init(&stream->wake, NULL);
    stream->next = ctx->streams;
    ctx->streams = stream;
    stream->next_ever = ever;
    ever = stream;
    return stream;
}

struct stream *stream_default_locked(struct ctx *ctx, bool per_thread)
{
    struct stream *stream;

    for (stream = ctx->streams; stream; stream = stream->next)
        if (per_thread ? stream->per_thread && pthread_equal(stream->thread, pthread_self())
                       : stream->legacy)
            return stream;
    stream = stream_new_locked(ctx, CU_STREAM_DEFAULT, 0);
    stream->legacy = !per_thread;
    stream->per_thread = per_thread;
    stream->thread = pthread_self();
    return stream;
}

struct stream *stream_get_locked(CUstream handle, CUresult *result)
{
    struct ctx *ctx = ctx_current();
    struct stream *stream;

    *result = CUDA_SUCCESS;
    if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
        if (ctx && !green_top)
            return stream_default_locked(ctx, handle == CU_STREAM_PER_THREAD);
        if (ctx && handle != CU_STREAM_PER_THREAD)
            return green_standard_locked(green_top);
        if (ctx) /* "if a green context is current" (cuStreamGetCtx) */
            *result = CUDA_ERROR_INVALID_HANDLE;
        else
            *result = ctx_missing();
        return NULL;
    }
    stream = handle_object(handle, HANDLE_STREAM);
    if (!stream)
        *result = CUDA_ERROR_INVALID_HANDLE;
    if (stream && stream->green && !stream->green->alive) { /* cuGreenCtxDestroy */
        *result = CUDA_ERROR_CONTEXT_IS_DESTROYED;
        return NULL;
    }
    return stream;
}

CUresult sim_stream_create(CUstream *out, unsigned flags, int priority)
{
    struct stream *stream;

    if (!out || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING))
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    /* Out of range is clamped: cuStreamCreateWithPriority. */
    stream = stream_new_locked(ctx_current(), green_top ? CU_STREAM_NON_BLOCKING : flags,
                               priority > 0    ? 0
                               : priority < -5 ? -5
                                               : priority);
    stream->green = green_top;
    stream->handle = handle_new_locked(HANDLE_STREAM, stream);
    *out = stream->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

/* Returns at once; what was enqueued still runs. The struct stays: others may wait for it. */
CUresult sim_stream_destroy(CUstream handle)
{
    struct stream *stream;
    CUresult result;

    if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD)
        return CUDA_ERROR_INVALID_HANDLE;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream) {
        handle_end(stream->handle);
        stream->handle = NULL;
        stream->destroyed = true;
        pthread_cond_broadcast(&stream->wake);
    }
    sim_leave();
    return result;
}

/* Not for capturing streams; otherwise only where the thread may make unsafe calls. */
static CUresult may_ask_locked(struct stream *stream)
{
    if (!stream->capture)
        return CUDA_SUCCESS;
    stream->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult sim_stream_synchronize(CUstream handle)
{
    struct stream *stream;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream)
        result = may_ask_locked(stream);
    if (result == CUDA_SUCCESS) {
        const struct ctx *ctx = stream->ctx;

        engine_wait_locked(stream, stream->enqueued);
        /* The legacy default stream is done when the blocking streams before it are. */
        for (struct stream *other = stream->legacy ? ctx->streams : NULL; other;
             other = other->next)
            if (!(other->flags & CU_STREAM_NON_BLOCKING))
                engine_wait_locked(other, other->enqueued);
        pool_synchronised_locked();
        result = atomic_load(&ctx->sticky);
    }
    sim_leave();
    return result;
}

CUresult sim_stream_query(CUstream handle)
{
    struct stream *stream;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream)
        result = may_ask_locked(stream);
    if (result == CUDA_SUCCESS && !engine_idle_locked(stream))
        result = CUDA_ERROR_NOT_READY;
    if (result == CUDA_SUCCESS)
        result = atomic_load(&stream->ctx->sticky);
    sim_leave();
    return result;
}

/* --- host functions ------------------------------------------------------------------------------
 */

struct host_op {
    struct op op;
    CUhostFn function;
    CUstreamCallback callback;
    CUstream stream;
    void *data;
};

static void run_host(struct op *op)
{
    struct host_op *host = (struct host_op *)op;

    host->function(host->data);
}

static void run_callback(struct op *op, CUresult status)
{
    struct host_op *host = (struct host_op *)op;

    host->callback(host->stream, status, host->data);
}

static CUresult submit_host(CUstream handle, const struct host_op *what)
{
    struct stream *stream;
    struct host_op *host;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream) {
        host = op_new(sizeof(*host), "host function", what->function ? run_host : NULL);
        host->op.always = what->callback ? run_callback : NULL;
        host->function = what->function;
        host->callback = what->callback;
        host->stream = stream->handle;
        host->data = what->data;
        result = engine_submit_locked(stream, &host->op, false);
    }
    sim_leave();
    return result;
}

CUresult sim_launch_host_func(CUstream handle, CUhostFn function, void *data)
{
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_host(handle, &(struct host_op){.function = function, .data = data});
}

CUresult sim_stream_add_callback(CUstream handle, CUstreamCallback callback, void *data,
                                 unsigned flags)
{
    if (!callback || flags)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_host(handle, &(struct host_op){.callback = callback, .data = data});
}

/* --- what a stream is ----------------------------------------------------------------------------
 */

CUresult sim_stream_get_ctx(CUstream handle, CUcontext *out)
{
    const struct stream *stream;
    CUresult result;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream)
        *out = stream->green ? stream->green->context : stream->ctx->handle;
    sim_leave();
    return result;
}

CUresult sim_stream_get_ctx_v2(CUstream handle, CUcontext *out, CUgreenCtx *green)
{
    const struct stream *stream;
    CUresult result;

    if (!out || !green)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream) {
        *out = stream->ctx->handle;
        *green = stream->green ? stream->green->handle : NULL;
    }
    sim_leave();
    return result;
}

#define STREAM_GETTER(name, type, value)                                                           \
    CUresult name(CUstream handle, type *out)                                                      \
    {                                                                                              \
        const struct stream *stream;                                                               \
        CUresult result;                                                                           \
                                                                                                   \
        if (!out)                                                                                  \
            return CUDA_ERROR_INVALID_VALUE;                                                       \
        sim_enter();                                                                               \
        stream = stream_get_locked(handle, &result);                                               \
        if (stream)                                                                                \
            *out = (value);                                                                        \
        sim_leave();                                                                               \
        return result;                                                                             \
    }
STREAM_GETTER(sim_stream_get_flags, unsigned, stream->flags)
STREAM_GETTER(sim_stream_get_priority, int, stream->priority)
STREAM_GETTER(sim_stream_get_id, unsigned long long, stream->id)
STREAM_GETTER(sim_stream_get_device, CUdevice, stream->ctx->device->ordinal)
