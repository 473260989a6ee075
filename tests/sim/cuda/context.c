/* context.c: contexts, each thread's stack of them, primary contexts, peers. */
#include "engine.h"
#include "green.h"
#include "impl.h"
#include "pool.h"

#include <stdlib.h>

/* A thread's stack of contexts, alive or not, and its top, which every call reads. */
struct place {
    struct ctx *ctx;
    struct green *green; /* the one that stands for it, or NULL */
};
static __thread struct place *stack;
static __thread unsigned depth, room;
__thread struct ctx *ctx_top;
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;
static struct ctx *all;

static void make_key(void)
{
    pthread_key_create(&stack_key, free);
}

static void stack_push(struct ctx *ctx, struct green *green)
{
    if (depth == room) {
        pthread_once(&stack_once, make_key);
        room = room ? room * 2 : 8;
        stack = sim_grow(stack, room * sizeof(*stack));
        pthread_setspecific(stack_key, stack);
    }
    stack[depth++] = (struct place){ctx, green};
    ctx_top = ctx;
    green_top = green;
    if (green)
        green_pushed(green);
}

static void stack_pop(void)
{
    const struct place *below = --depth ? &stack[depth - 1] : NULL;

    if (green_top)
        green_popped(green_top);
    ctx_top = below ? below->ctx : NULL;
    green_top = below ? below->green : NULL;
}

struct ctx *ctx_all_locked(void)
{
    return all;
}

struct ctx *ctx_get(CUcontext handle)
{
    struct ctx *ctx = handle_object(handle, HANDLE_CONTEXT);

    return ctx && atomic_load_explicit(&ctx->alive, memory_order_acquire) ? ctx : NULL;
}

/* Source: CUDA_ERROR_CONTEXT_IS_DESTROYED: "the context current to the calling thread has been
 * destroyed"; no context at all is CUDA_ERROR_INVALID_CONTEXT. */
CUresult ctx_missing(void)
{
    return ctx_top ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_ERROR_INVALID_CONTEXT;
}

/* The error of a handle that was given: made up, or gone. */
static CUresult bad_handle(CUcontext handle)
{
    const struct handle *slot = handle_slot(handle);

    return slot && slot->kind == HANDLE_CONTEXT ? CUDA_ERROR_CONTEXT_IS_DESTROYED
                                                : CUDA_ERROR_INVALID_CONTEXT;
}

static struct ctx *ctx_new_locked(struct device *device, bool primary)
{
    struct ctx *ctx = calloc(1, sizeof(*ctx));

    ctx->device = device;
    ctx->primary = primary;
    ctx->handle = handle_new_locked(HANDLE_CONTEXT, ctx);
    ctx->next = all;
    all = ctx;
    return ctx;
}

static CUresult ctx_begin_locked(struct ctx *ctx, unsigned flags, unsigned api_version)
{
    CUresult result = device_take_locked(ctx->device, sim_settings.context_bytes);

    if (result != CUDA_SUCCESS)
        return result;
    ctx->flags = flags;
    ctx->api_version = api_version;
    ctx->attach_count = 1;
    ctx->limits[CU_LIMIT_STACK_SIZE] = 1024;
    ctx->limits[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
    ctx->limits[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
    ctx->limits[CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = 2;
    ctx->limits[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
    ctx->limits[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
    atomic_store(&ctx->sticky, CUDA_SUCCESS);
    ctx->legacy = stream_default_locked(ctx, false);
    atomic_store_explicit(&ctx->alive, true, memory_order_release);
    return CUDA_SUCCESS;
}

/* Waits for its work, then takes all that it owned with it. */
static void ctx_end(struct ctx *ctx)
{
    ctx_wait(ctx);
    sim_enter();
    if (atomic_load(&ctx->alive)) {
        atomic_store(&ctx->alive, false);
        capture_drop_ctx_locked(ctx);
        memory_release_ctx_locked(ctx);
        while (ctx->arrays)
            array_release_locked(ctx->arrays);
        event_release_locked(ctx);
        module_release_locked(ctx);
        for (struct stream *stream = ctx->streams; stream; stream = stream->next) {
            stream->destroyed = true;
            if (stream->handle)
                handle_end(stream->handle);
            pthread_cond_broadcast(&stream->wake);
        }
        ctx->streams = ctx->legacy = NULL;
        memset(ctx->peers, 0, sizeof(ctx->peers));
        device_give_locked(ctx->device, sim_settings.context_bytes);
    }
    sim_leave();
}

CUresult ctx_wait(struct ctx *ctx)
{
    sim_enter();
    for (struct stream *stream = ctx->streams; stream; stream = stream->next)
        engine_wait_locked(stream, stream->enqueued);
    sim_leave();
    return atomic_load(&ctx->sticky);
}

void ctx_wait_all(void)
{
    struct ctx *ctx;

    sim_enter();
    ctx = all;
    sim_leave();
    for (; ctx; ctx = ctx->next)
        ctx_wait(ctx);
}

CUresult sim_ctx_create(CUcontext *out, unsigned flags, CUdevice dev, unsigned api_version)
{
    struct device *device = device_get(dev);
    struct ctx *ctx;
    CUresult result;

    if (!out || (flags & ~0xffu))
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    ctx = ctx_new_locked(device, false);
    result = ctx_begin_locked(ctx, flags, api_version);
    sim_leave();
    if (result != CUDA_SUCCESS)
        return result;
    *out = ctx->handle;
    stack_push(ctx, NULL);
    return CUDA_SUCCESS;
}

CUresult sim_ctx_destroy(CUcontext handle)
{
    struct ctx *ctx = ctx_get(handle);

    if (!ctx)
        return bad_handle(handle);
    if (ctx->primary) /* only cuDevicePrimaryCtxRelease and Reset end it */
        return CUDA_ERROR_INVALID_CONTEXT;
    ctx_end(ctx);
    if (ctx_top == ctx) /* current to this thread: popped */
        stack_pop();
    return CUDA_SUCCESS;
}

CUresult sim_ctx_attach(CUcontext *out, unsigned flags)
{
    struct ctx *ctx = ctx_current();

    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (!ctx)
        return ctx_missing();
    sim_enter();
    ctx->attach_count++;
    sim_leave();
    *out = ctx->handle;
    return CUDA_SUCCESS;
}

CUresult sim_ctx_detach(CUcontext handle)
{
    struct ctx *ctx = ctx_get(handle);
    bool last;

    if (!ctx)
        return bad_handle(handle);
    sim_enter();
    last = --ctx->attach_count == 0;
    sim_leave();
    return last ? sim_ctx_destroy(handle) : CUDA_SUCCESS;
}

/* What is to be current: a context, or the primary one that a green one stands for. */
static struct ctx *ctx_to_push(CUcontext handle, struct green **green)
{
    *green = green_of_context(handle);
    return *green ? (*green)->primary : ctx_get(handle);
}

/* What the calling thread knows its current context by. */
static CUcontext top_handle(void)
{
    return green_top ? green_top->context : ctx_top ? ctx_top->handle : NULL;
}

CUresult sim_ctx_push_current(CUcontext handle)
{
    struct green *green;
    struct ctx *ctx = ctx_to_push(handle, &green);

    if (!ctx)
        return bad_handle(handle);
    stack_push(ctx, green);
    return CUDA_SUCCESS;
}

CUresult sim_ctx_pop_current(CUcontext *out)
{
    if (!ctx_top)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (out)
        *out = top_handle();
    stack_pop();
    return CUDA_SUCCESS;
}

/* Replaces the top of the stack; NULL pops it. */
CUresult sim_ctx_set_current(CUcontext handle)
{
    struct green *green;
    struct ctx *ctx = ctx_to_push(handle, &green);

    if (handle && !ctx)
        return bad_handle(handle);
    if (depth)
        stack_pop();
    if (ctx)
        stack_push(ctx, green);
    return CUDA_SUCCESS;
}

CUresult sim_ctx_get_current(CUcontext *out)
{
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    *out = top_handle();
    return CUDA_SUCCESS;
}

/* The context of a handle, or the current one for NULL. */
static struct ctx *ctx_or_current(CUcontext handle, CUresult *result)
{
    struct ctx *ctx = handle ? ctx_get(handle) : ctx_current();

    *result = ctx ? CUDA_SUCCESS : handle ? bad_handle(handle) : ctx_missing();
    return ctx;
}

CUresult sim_ctx_get_device(CUdevice *device, CUcontext handle)
{
    CUresult result;
    const struct ctx *ctx = ctx_or_current(handle, &result);

    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (ctx)
        *device = ctx->device->ordinal;
    return result;
}

CUresult sim_ctx_get_api_version(CUcontext handle, unsigned *version)
{
    CUresult result;
    const struct ctx *ctx = ctx_or_current(handle, &result);

    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    if (ctx)
        *version = ctx->api_version;
    return result;
}

CUresult sim_ctx_get_id(CUcontext handle, unsigned long long *id)
{
    CUresult result;
    const struct ctx *ctx = ctx_or_current(handle, &result);

    if (!id)
        return CUDA_ERROR_INVALID_VALUE;
    if (ctx)
        *id = handle_slot(ctx->handle)->serial;
    return result;
}

CUresult sim_ctx_synchronize(CUcontext handle)
{
    CUresult result;
    struct ctx *ctx = ctx_or_current(handle, &result);

    if (!ctx)
        return result;
    /* "If the current context is the primary context, green contexts that have been created will
     * also be synchronized" (cuCtxSynchronize): their streams are its streams here. */
    result = !handle && green_top ? green_wait(green_top) : ctx_wait(ctx);
    sim_enter();
    pool_synchronised_locked();
    sim_leave();
    return result;
}

CUresult sim_ctx_get_flags(unsigned *flags)
{
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = ctx_current()->flags;
    return CUDA_SUCCESS;
}

CUresult sim_ctx_set_flags(unsigned flags)
{
    if (flags & ~0xffu)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    ctx_current()->flags = flags;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_ctx_set_limit(CUlimit limit, size_t value)
{
    if ((unsigned)limit >= 10)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    sim_enter();
    ctx_current()->limits[limit] = value;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_ctx_get_limit(size_t *value, CUlimit limit)
{
    if (!value || (unsigned)limit >= 10)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    sim_enter();
    *value = ctx_current()->limits[limit];
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_ctx_get_cache_config(CUfunc_cache *config)
{
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = ctx_current()->cache;
    return CUDA_SUCCESS;
}

CUresult sim_ctx_set_cache_config(CUfunc_cache config)
{
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    ctx_current()->cache = config;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_ctx_get_shared_mem_config(CUsharedconfig *config)
{
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = ctx_current()->shared_config;
    return CUDA_SUCCESS;
}

CUresult sim_ctx_set_shared_mem_config(CUsharedconfig config)
{
    if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    ctx_current()->shared_config = config;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_ctx_get_stream_priority_range(int *least, int *greatest)
{
    if (least)
        *least = 0;
    if (greatest)
        *greatest = -5;
    return CUDA_SUCCESS;
}

CUresult sim_ctx_enable_peer_access(CUcontext handle, unsigned flags)
{
    struct ctx *ctx = ctx_current(), *peer = ctx_get(handle);
    CUresult result = CUDA_SUCCESS;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (!peer)
        return bad_handle(handle);
    if (peer->device == ctx->device)
        return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    sim_enter();
    if (ctx->peers[peer->device->ordinal])
        result = CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    ctx->peers[peer->device->ordinal] = true;
    sim_leave();
    return result;
}

CUresult sim_ctx_disable_peer_access(CUcontext handle)
{
    struct ctx *ctx = ctx_current(), *peer = ctx_get(handle);
    CUresult result = CUDA_SUCCESS;

    if (!peer)
        return bad_handle(handle);
    sim_enter();
    if (!ctx->peers[peer->device->ordinal])
        result = CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    ctx->peers[peer->device->ordinal] = false;
    sim_leave();
    return result;
}

/* --- primary contexts: one for each device, with the same handle whenever it is alive ----------
 */

CUresult sim_primary_retain(CUcontext *out, CUdevice dev)
{
    struct device *device = device_get(dev);
    CUresult result = CUDA_SUCCESS;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    if (!device->primary)
        device->primary = ctx_new_locked(device, true);
    if (!atomic_load(&device->primary->alive))
        result = ctx_begin_locked(device->primary, device->primary_flags, 3020);
    if (result == CUDA_SUCCESS) {
        device->primary_users++;
        *out = device->primary->handle;
    }
    sim_leave();
    return result;
}

CUresult sim_primary_release(CUdevice dev)
{
    struct device *device = device_get(dev);
    bool last;

    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    if (!device->primary_users) {
        sim_leave();
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    last = --device->primary_users == 0;
    sim_leave();
    if (last)
        ctx_end(device->primary);
    return CUDA_SUCCESS;
}

/* Ends the context whatever its users; a later retain brings it back. Source: "Resetting the
 * primary context does not release it": the count stays, and who retained it must still release it.
 */
CUresult sim_primary_reset(CUdevice dev)
{
    struct device *device = device_get(dev);
    bool alive;

    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    alive = device->primary && atomic_load(&device->primary->alive);
    sim_leave();
    if (alive)
        ctx_end(device->primary);
    return CUDA_SUCCESS;
}

CUresult sim_primary_get_state(CUdevice dev, unsigned *flags, int *active)
{
    struct device *device = device_get(dev);

    if (!flags || !active)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    *flags = device->primary_flags;
    *active = device->primary && atomic_load(&device->primary->alive);
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_primary_set_flags(CUdevice dev, unsigned flags)
{
    struct device *device = device_get(dev);

    if (flags & ~0xffu)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    sim_enter();
    device->primary_flags = flags;
    if (device->primary)
        device->primary->flags = flags;
    sim_leave();
    return CUDA_SUCCESS;
}
