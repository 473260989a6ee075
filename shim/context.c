#include "shim/context.h"

#include "shim/backing.h"
#include "shim/hooks.h"

#include <stdatomic.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct context *all; /* every record ever made, newest first */
static uint32_t last_id;
static atomic_uint generation; /* changes whenever a record dies */
static atomic_int captures;
static atomic_bool captured;

/* The last context that this thread asked for. */
static __thread struct {
    CUcontext handle;
    struct context *context;
    unsigned generation;
} cache;

static struct context *find_locked(CUcontext handle)
{
    for (struct context *c = all; c; c = c->next)
        if (c->state == CONTEXT_ALIVE && c->handle == handle)
            return c;
    return NULL;
}

/* A record to fill: one whose context died, or a new one. */
static struct context *make_locked(void)
{
    struct context *c = all;

    while (c && c->state != CONTEXT_DEAD)
        c = c->next;
    if (!c) {
        c = calloc(1, sizeof *c);
        if (!c)
            return NULL;
        pthread_mutex_init(&c->pool.lock, NULL);
        pthread_cond_init(&c->pool.reclaimed, NULL);
        c->next = all;
        all = c;
    }
    return c;
}

/* The context that the current one stands for; NULL if that cannot be told. "The operation is
 * performed identically to how it would perform with a primary context" where that has nothing to
 * do with a green context's resources (cuCtxFromGreenCtx): the memory is the primary context's, and
 * stays when the green one goes. */
static CUcontext regular(CUcontext current)
{
    CUcontext primary;
    CUgreenCtx green = NULL;
    CUresult r = driver.cuStreamGetCtx_v2(NULL, &primary, &green);

    if (r == CUDA_SUCCESS)
        return green ? primary : current;
    if (r != CUDA_ERROR_NOT_FOUND)
        return NULL;
    /* CUDA 12.4 has green contexts, but does not tell of what context they are. */
    r = driver.cuStreamGetGreenCtx(NULL, &green);
    return r == CUDA_ERROR_NOT_FOUND || (r == CUDA_SUCCESS && !green) ? current : NULL;
}

static struct context *find_or_make(CUcontext current)
{
    CUcontext handle = current;
    CUdevice ordinal;

    pthread_mutex_lock(&lock);
    struct context *c = find_locked(handle);
    pthread_mutex_unlock(&lock);
    if (c || driver.cuCtxGetDevice(&ordinal) != CUDA_SUCCESS)
        return c;
    struct device *device = device_get(ordinal);
    if (!device || !(handle = regular(current)))
        return NULL;
    if (handle != current)
        __atomic_store_n(&device->primary, handle, __ATOMIC_RELEASE);
    pthread_mutex_lock(&lock);
    c = find_locked(handle);
    if (!c && (c = make_locked())) {
        c->handle = handle;
        c->id = ++last_id;
        c->device = device;
        c->pool.kind = HOST_UNDECIDED;
        c->captures = 0;
        c->state = CONTEXT_ALIVE;
    }
    pthread_mutex_unlock(&lock);
    return c;
}

struct context *context_current(void)
{
    CUcontext handle = NULL;
    unsigned now = atomic_load_explicit(&generation, memory_order_acquire);

    if (driver.cuCtxGetCurrent(&handle) != CUDA_SUCCESS || !handle)
        return NULL;
    if (likely(cache.handle == handle && cache.generation == now && cache.context))
        return cache.context;
    struct context *c = find_or_make(handle);
    if (c) {
        cache.handle = handle;
        cache.context = c;
        cache.generation = now;
    }
    return c;
}

bool context_is_current(const struct context *context)
{
    CUcontext handle = NULL;
    return driver.cuCtxGetCurrent(&handle) == CUDA_SUCCESS && handle == context->handle;
}

bool context_is_primary(const struct context *context)
{
    return context->handle == __atomic_load_n(&context->device->primary, __ATOMIC_ACQUIRE);
}

struct context *context_of_none(int ordinal)
{
    static struct context none[DEVICES_MAX];
    struct device *device = device_get(ordinal);

    if (!device)
        return NULL;
    pthread_mutex_lock(&lock);
    if (!none[ordinal].device) /* others may read it already */
        none[ordinal].device = device;
    pthread_mutex_unlock(&lock);
    return &none[ordinal];
}

static void change_state(struct context *context, enum context_state state)
{
    pthread_mutex_lock(&lock);
    context->state = state;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add_explicit(&generation, 1, memory_order_release);
}

void context_begin_end(CUcontext handle)
{
    pthread_mutex_lock(&lock);
    for (struct context *c = all; c; c = c->next)
        if (c->state == CONTEXT_ALIVE && c->handle == handle)
            c->state = CONTEXT_ENDING;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add_explicit(&generation, 1, memory_order_release);
}

struct context *context_next_ending(CUcontext handle)
{
    pthread_mutex_lock(&lock);
    struct context *c = all;
    while (c && !(c->state == CONTEXT_ENDING && c->handle == handle))
        c = c->next;
    pthread_mutex_unlock(&lock);
    return c;
}

void context_revive(struct context *context)
{
    change_state(context, CONTEXT_ALIVE);
}

void context_bury(struct context *context)
{
    pthread_mutex_lock(&lock);
    atomic_fetch_sub(&captures, context->captures);
    context->captures = 0;
    pthread_mutex_unlock(&lock);
    change_state(context, CONTEXT_DEAD);
}

struct context *context_only(const struct device *device)
{
    struct context *only = NULL;
    unsigned count = 0;

    pthread_mutex_lock(&lock);
    for (struct context *c = all; c; c = c->next)
        if (c->state != CONTEXT_DEAD && c->device == device) {
            only = c;
            count++;
        }
    bool alive = count == 1 && only->state == CONTEXT_ALIVE;
    pthread_mutex_unlock(&lock);
    return alive ? only : NULL;
}

void context_forget_stream(CUstream stream)
{
    pthread_mutex_lock(&lock);
    for (struct context *c = all; c; c = c->next) {
        if (c->state == CONTEXT_DEAD)
            continue;
        pthread_mutex_lock(&c->pool.lock);
        pending_forget_stream(&c->pool.pending, stream);
        pthread_mutex_unlock(&c->pool.lock);
    }
    pthread_mutex_unlock(&lock);
}

struct context *context_of_stream(CUstream stream)
{
    struct context *c = context_current();
    CUcontext owner = NULL;

    if (driver.cuStreamGetCtx(stream, &owner) != CUDA_SUCCESS || (c && c->handle == owner))
        return c;
    pthread_mutex_lock(&lock);
    c = find_locked(owner);
    pthread_mutex_unlock(&lock);
    return c;
}

/* Counted in all, and for the stream's context, whose end would end them too. */
static void count_capture(struct context *context, int change)
{
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&captures, change);
    if (context)
        context->captures += change;
    pthread_mutex_unlock(&lock);
}

void context_capture_begins(struct context *context)
{
    atomic_store(&captured, true);
    count_capture(context, 1);
}

void context_capture_ended(struct context *context)
{
    count_capture(context, -1);
}

bool context_capturing(void)
{
    return atomic_load_explicit(&captures, memory_order_acquire) > 0;
}

bool context_has_captured(void)
{
    return atomic_load_explicit(&captured, memory_order_relaxed);
}

void context_forget_all(void)
{
    pthread_mutex_init(&lock, NULL);
    for (struct context *c = all; c; c = c->next) {
        c->state = CONTEXT_DEAD;
        c->pool = (struct host_pool){.lock = PTHREAD_MUTEX_INITIALIZER,
                                     .reclaimed = PTHREAD_COND_INITIALIZER};
    }
    cache.context = NULL;
    atomic_store(&captures, 0);
    atomic_store(&captured, false);
}
