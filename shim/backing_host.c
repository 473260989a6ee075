/* backing_host.c: redirected blocks: arenas of pinned memory, one pool for each context.
 *
 * An arena belongs to the context that pinned it and dies with it, as device memory does. Pinning
 * costs milliseconds, so arenas are cut into blocks and used again; a freed block waits until the
 * context has been idle once, and one synchronisation releases all that wait (promise P5). A pool's
 * lock is let go while the driver pins or waits for the device.
 */
#include "shim/backing.h"

#include "shim/claims.h"
#include "shim/hooks.h"
#include "shim/host_budget.h"
#include "shim/host_pool.h"
#include "shim/log.h"
#include "shim/mempool.h"
#include "shim/pin.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)
/* A new arena is half of what the pool holds already, within these bounds: few pins for much
 * memory, and no large pin for a little. */
#define GROW_MIN (UINT64_C(32) << 20)
#define GROW_MAX (UINT64_C(512) << 20)
/* Empty arenas kept for the next allocation; the rest goes back to the system. */
#define KEEP_EMPTY (UINT64_C(512) << 20)
/* This much waiting for an idle context is worth a synchronisation in the free itself, which the
 * driver's own cuMemFree does at every call. */
#define RETIRED_MAX (UINT64_C(256) << 20)

static _Atomic uint64_t pinned_total, pinned_peak;

uint64_t backing_host_pinned(void)
{
    return atomic_load_explicit(&pinned_total, memory_order_relaxed);
}

uint64_t backing_host_pinned_peak(void)
{
    return atomic_load_explicit(&pinned_peak, memory_order_relaxed);
}

static void note_peak(void)
{
    uint64_t peak = atomic_load(&pinned_peak), now = atomic_load(&pinned_total);
    while (now > peak && !atomic_compare_exchange_weak(&pinned_peak, &peak, now))
        ;
}

bool backing_host_count(uint64_t bytes, uint64_t room)
{
    uint64_t pinned = atomic_load(&pinned_total);
    do {
        if (bytes > room || pinned > room - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&pinned_total, &pinned, pinned + bytes));
    if (!host_budget_reserve(bytes)) {
        atomic_fetch_sub(&pinned_total, bytes);
        return false;
    }
    note_peak();
    return true;
}

void backing_host_uncount(uint64_t bytes)
{
    atomic_fetch_sub(&pinned_total, bytes);
    claims_release(bytes);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* --- arenas ---------------------------------------------------------------------------------- */

static struct arena *pin(struct context *context, uint64_t bytes, enum host_kind *kind,
                         bool may_change)
{
    void *memory = pin_pages(bytes, kind, may_change);

    if (!memory)
        return NULL;
    struct arena *arena = arena_create((uint64_t)(uintptr_t)memory, bytes, context, (int)*kind);
    if (!arena)
        pin_release(memory, bytes, *kind);
    return arena;
}

/* Gives an empty arena's memory back: NULL, or the arena in its new guise if the driver will not.
 * The book-keeping goes first, since the driver may hand the same addresses out again at once. */
static struct arena *unpin(struct arena *arena)
{
    uint64_t base = arena_base(arena), bytes = arena_bytes(arena);
    void *owner = arena_owner(arena);
    int kind = arena_kind(arena);

    arena_destroy(arena);
    claims_unsettle(bytes);
    if (!pin_release((void *)(uintptr_t)base, bytes, (enum host_kind)kind)) {
        claims_settle(bytes);
        return arena_create(base, bytes, owner, kind);
    }
    backing_host_uncount(bytes);
    return NULL;
}

/* --- a context's pool ------------------------------------------------------------------------ */

bool host_pool_add(struct host_pool *pool, struct arena *arena)
{
    if (!pool->arenas) {
        void *p = mmap(NULL, POOL_ARENAS_MAX * sizeof *pool->arenas, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return false;
        pool->arenas = p;
    }
    if (pool->count == POOL_ARENAS_MAX)
        return false;
    pool->arenas[pool->count++] = arena;
    pool->pinned += arena_bytes(arena);
    return true;
}

/* Newest first: it is the largest, and has been cut least. */
uint64_t host_pool_alloc(struct host_pool *pool, uint64_t bytes, bool lent)
{
    for (uint32_t i = pool->count; i-- > 0;) {
        if ((arena_kind(pool->arenas[i]) == HOST_LENT) != lent)
            continue;
        uint64_t address = arena_alloc(pool->arenas[i], bytes);
        if (address)
            return address;
    }
    return 0;
}

static uint64_t pool_alloc(struct host_pool *pool, uint64_t bytes)
{
    return host_pool_alloc(pool, bytes, false);
}

/* Another thread is reclaiming: waits until it is done. False if none was. */
static bool pool_await_reclaim(struct host_pool *pool)
{
    bool any = pool->reclaiming;
    while (pool->reclaiming)
        pthread_cond_wait(&pool->reclaimed, &pool->lock);
    return any;
}

/* Waits for all that the context was given. With a green context of it current, that would be the
 * green one's work only; with the primary one, theirs too (cuCtxSynchronize). */
static bool wait_until_idle(const struct context *context)
{
    CUcontext popped;
    bool green = !context_is_current(context);

    if (green && driver.cuCtxPushCurrent_v2(context->handle) != CUDA_SUCCESS)
        return false;
    bool idle = driver.cuCtxSynchronize() == CUDA_SUCCESS;
    if (green)
        driver.cuCtxPopCurrent_v2(&popped);
    return idle;
}

/* Waits until the context is idle and makes what was retired before usable. The pool's lock is held
 * on entry and on return, and let go while the driver waits. The context, or a green one of it,
 * must be current. False if nothing came of it. */
static bool pool_reclaim(struct context *context)
{
    struct host_pool *pool = &context->pool;
    uint64_t batch = pool->retired, serial = pool->pending.serial;

    if ((!batch && !pool->pending.count) || pool->reclaiming || context_capturing())
        return false;
    pool->reclaiming = true;
    for (uint32_t i = 0; i < pool->count; i++)
        arena_close_batch(pool->arenas[i]);
    pthread_mutex_unlock(&pool->lock);
    bool idle = wait_until_idle(context);
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->count; i++) {
        if (idle)
            arena_release(pool->arenas[i]);
        else
            arena_reopen_batch(pool->arenas[i]);
    }
    if (idle) {
        pending_release(&pool->pending, serial);
        pool->retired -= batch < pool->retired ? batch : pool->retired;
    }
    pool->reclaiming = false;
    pthread_cond_broadcast(&pool->reclaimed);
    return idle;
}

/* Blocks that streams have finished with by now. Nothing may be asked while a stream captures. */
bool host_pool_drain(struct host_pool *pool)
{
    if (!pool->pending.count || context_capturing())
        return false;
    struct pin_permit permitted = pin_permit(); /* another thread's capture may begin meanwhile */
    bool any = pending_drain(&pool->pending);
    pin_forbid(permitted);
    return any;
}

/* Gives empty arenas back until at most `keep` bytes of them are left; VRAM is not kept. Lock held,
 * as above: an arena that is being unpinned is no longer in the pool. */
static void pool_trim(struct context *context, uint64_t keep)
{
    struct host_pool *pool = &context->pool;
    uint64_t kept = 0;

    for (uint32_t i = 0; i < pool->count && !pool->reclaiming;) {
        struct arena *arena = pool->arenas[i];
        uint64_t bytes = arena_bytes(arena);
        bool loan = host_pool_is_loan(arena);
        if (!arena_is_empty(arena) || (!loan && kept + bytes <= keep)) {
            kept += arena_is_empty(arena) ? bytes : 0;
            i++;
            continue;
        }
        pool->arenas[i] = pool->arenas[--pool->count];
        pool->pinned -= bytes;
        if (loan) {
            backing_loan_end(pool, arena);
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        arena = unpin(arena);
        pthread_mutex_lock(&pool->lock);
        if (arena) {
            host_pool_add(pool, arena);
            return;
        }
        i = 0; /* others may have changed the pool meanwhile */
        kept = 0;
    }
}

bool host_pool_settle(struct context *context)
{
    struct host_pool *pool = &context->pool;

    if (pool->reclaiming)
        return false;
    for (uint32_t i = 0; i < pool->count; i++) {
        arena_close_batch(pool->arenas[i]);
        arena_release(pool->arenas[i]);
    }
    pool->retired = 0;
    pending_release(&pool->pending, pool->pending.serial);
    pool_trim(context, UINT64_MAX);
    return true;
}

void host_pool_give_back(struct context *context)
{
    struct host_pool *pool = &context->pool;

    pthread_mutex_lock(&pool->lock);
    host_pool_drain(pool);
    pool_trim(context, UINT64_MAX);
    pthread_mutex_unlock(&pool->lock);
}

/* How much to pin for `need`: more than that if the room allows, 0 if there is no room. Counted in
 * pinned_total at once, so that two threads cannot both take the last of it. */
static uint64_t reserve_room(const struct host_pool *pool, uint64_t need, uint64_t room)
{
    uint64_t pinned = atomic_load(&pinned_total), size;

    do {
        uint64_t left = room > pinned ? room - pinned : 0;
        size = pool->pinned / 2;
        size = size < GROW_MIN ? GROW_MIN : size > GROW_MAX ? GROW_MAX : round_up(size, ARENA_UNIT);
        size = size > left ? left / PAGE * PAGE : size;
        size = size < need ? need : size;
        /* Rounding to pages may go beyond the room, fragments may not. */
        if (size > ARENA_MAX || need > round_up(left, ARENA_UNIT))
            return 0;
    } while (!atomic_compare_exchange_weak(&pinned_total, &pinned, pinned + size));
    return size;
}

/* The same, and the RAM is promised to us among all processes. */
static uint64_t reserve_pinned(const struct host_pool *pool, uint64_t need, uint64_t room)
{
    uint64_t size = reserve_room(pool, need, room);

    if (!size || host_budget_reserve(size))
        return size;
    if (size > need && host_budget_reserve(need)) {
        atomic_fetch_sub(&pinned_total, size - need);
        return need;
    }
    atomic_fetch_sub(&pinned_total, size);
    return 0;
}

/* One more arena, for at least `bytes`, cut from what `room` leaves. Lock held, as above. */
static bool pool_grow(struct context *context, uint64_t bytes, uint64_t room)
{
    struct host_pool *pool = &context->pool;
    uint64_t need = round_up(bytes, PAGE);
    uint64_t size = need >= bytes ? reserve_pinned(pool, need, room) : 0;

    if (!size)
        return false;
    if (pool->kind == HOST_UNDECIDED)
        pool->kind = pin_kind(context);
    enum host_kind kind = pool->kind;
    bool may_change = pool->count == 0;
    pthread_mutex_unlock(&pool->lock);
    struct arena *arena = pin(context, size, &kind, may_change);
    if (!arena && size > need && (arena = pin(context, need, &kind, may_change))) {
        backing_host_uncount(size - need);
        size = need;
    }
    if (arena)
        claims_settle(size);
    else
        backing_host_uncount(size);
    pthread_mutex_lock(&pool->lock);
    if (arena)
        pool->kind = kind;
    note_peak();
    if (arena && !host_pool_add(pool, arena)) {
        unpin(arena);
        return false;
    }
    return arena != NULL;
}

/* One more arena, after empty ones have made way if there is no room for it. */
static uint64_t alloc_from_new(struct context *context, uint64_t bytes, uint64_t room)
{
    if (backing_host_pinned() + bytes > room)
        pool_trim(context, 0);
    return pool_grow(context, bytes, room) ? pool_alloc(&context->pool, bytes) : 0;
}

bool backing_host_alloc(struct context *context, uint64_t bytes, uint64_t room,
                        const struct stream_order *order, struct arena_block *block)
{
    struct host_pool *pool = &context->pool;
    uint64_t address = 0;

    pthread_mutex_lock(&pool->lock);
    /* A green context has a default stream of its own. */
    if (order && context_is_current(context))
        address = pending_reuse(&pool->pending, pending_key(order), bytes, HOST_LENT);
    if (!address)
        address = pool_alloc(pool, bytes);
    if (!address && host_pool_drain(pool))
        address = pool_alloc(pool, bytes);
    /* The driver's allocation does not wait for streams, and a stream may wait for the host. Ours
     * does only where there is no room, or where what waits here is a good part of it, which other
     * contexts cannot have. */
    if (!address && (order || (pool->retired <= RETIRED_MAX && pool->retired <= room / 8)))
        address = alloc_from_new(context, bytes, room);
    if (!address && (pool_await_reclaim(pool) || pool_reclaim(context)))
        address = pool_alloc(pool, bytes);
    if (!address)
        address = alloc_from_new(context, bytes, room);
    if (address && arena_find(address, block))
        pool->live += bytes;
    pthread_mutex_unlock(&pool->lock);
    return address != 0;
}

/* An event in the stream, whichever context is current; NULL if there can be none. *key is the
 * stream's, or NULL where it is another context's: that has a default stream of its own. */
static CUevent record(struct context *context, const struct stream_order *order, CUstream *key)
{
    struct pending *pending = &context->pool.pending;
    CUcontext owner = NULL;
    CUevent event = context_is_current(context) ? pending_record(pending, order) : NULL;

    *key = pending_key(order);
    if (event || driver.cuStreamGetCtx(order->stream, &owner) != CUDA_SUCCESS)
        return event;
    if (owner != context->handle) {
        *key = NULL;
        return pending_record_across(pending, context->handle, owner, order);
    }
    if (driver.cuCtxPushCurrent_v2(owner) != CUDA_SUCCESS)
        return NULL;
    event = pending_record(pending, order);
    driver.cuCtxPopCurrent_v2(&owner);
    return event;
}

/* A free in stream order: the block waits for an event in its stream. False, and nothing changed,
 * if none can be recorded: nothing may be while a stream captures. */
static bool hold_for_stream(struct context *context, struct arena *arena, uint64_t address,
                            const struct stream_order *order, struct arena_block *block)
{
    struct host_pool *pool = &context->pool;
    CUevent event = NULL;
    CUstream key;

    if (!arena_find(address, block) || block->base != address)
        return false;
    if (!context_capturing())
        event = record(context, order, &key);
    if (!event)
        return false;
    arena_hold(arena, address, block);
    pending_add(&pool->pending, block, key, event);
    if ((pool->pending.bytes > RETIRED_MAX || pending_is_full(&pool->pending)) &&
        host_pool_drain(pool))
        pool_trim(context, KEEP_EMPTY);
    return true;
}

/* Without an event the block waits for its own context, as one freed synchronously does. What its
 * stream still has to do with it must be over by then: that stream may be another context's. While
 * a stream captures, others are waited for only where they are. */
static void finish_stream(struct context *context, const struct stream_order *order)
{
    CUcontext owner = NULL;

    if (context_capturing() && driver.cuStreamGetCtx(order->stream, &owner) == CUDA_SUCCESS &&
        owner == context->handle)
        return;
    pthread_mutex_unlock(&context->pool.lock);
    struct pin_permit permitted = pin_permit();
    if (order->per_thread)
        driver.cuStreamSynchronize_ptsz(order->stream);
    else
        driver.cuStreamSynchronize(order->stream);
    pin_forbid(permitted);
    pthread_mutex_lock(&context->pool.lock);
}

static bool retire_for_context(struct context *context, struct arena *arena, uint64_t address,
                               struct arena_block *block)
{
    struct host_pool *pool = &context->pool;

    if (!arena_retire(arena, address, block))
        return false;
    pool->retired += block->bytes;
    /* What is lent is VRAM, for which the driver's own would wait as well. */
    if ((pool->retired > RETIRED_MAX || host_pool_is_loan(arena)) && context_is_current(context) &&
        pool_reclaim(context))
        pool_trim(context, KEEP_EMPTY);
    return true;
}

bool backing_host_free(uint64_t address, const struct stream_order *order,
                       struct arena_block *block)
{
    struct arena *arena = arena_at(address);
    *block = (struct arena_block){0};
    if (!arena)
        return false;
    struct context *context = arena_owner(arena);
    struct host_pool *pool = &context->pool;

    pthread_mutex_lock(&pool->lock);
    bool was_live = order && hold_for_stream(context, arena, address, order, block);
    if (!was_live) {
        if (order && block->base == address)
            finish_stream(context, order);
        was_live = retire_for_context(context, arena, address, block);
    }
    if (was_live)
        pool->live -= block->bytes;
    pthread_mutex_unlock(&pool->lock);
    return was_live;
}

static bool leave_pool(const struct arena_block *block, void *arg)
{
    (void)arg;
    mempool_sub(block->tag, block->bytes);
    return true;
}

uint64_t backing_host_drop(struct context *context)
{
    struct host_pool *pool = &context->pool;
    uint64_t live;

    pthread_mutex_lock(&pool->lock);
    while (pool->count) {
        struct arena *arena = pool->arenas[--pool->count];
        uint64_t base = arena_base(arena), bytes = arena_bytes(arena);
        int kind = arena_kind(arena);
        arena_for_each(arena, leave_pool, NULL);
        if (host_pool_is_loan(arena)) {
            backing_loan_end(pool, arena);
            continue;
        }
        arena_destroy(arena);
        claims_unsettle(bytes);
        pin_drop((void *)(uintptr_t)base, bytes, (enum host_kind)kind);
        backing_host_uncount(bytes);
    }
    live = pool->live;
    pending_clear(&pool->pending);
    pool->pinned = 0;
    pool->live = 0;
    pool->retired = 0;
    pthread_mutex_unlock(&pool->lock);
    return live;
}

void backing_host_forget(void)
{
    atomic_store(&pinned_total, 0);
}
