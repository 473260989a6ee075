/* backing_loan.c: VRAM on loan: redirected blocks that lie in VRAM as long as nobody needs the
 * room.
 *
 * A model's weights beyond the budget would be read over PCIe in each step while a part of the card
 * lies idle, waiting for working memory that may never come. Here they have that part, in arenas of
 * addresses that the driver keeps apart from the memory behind them (cuMemAddressReserve,
 * cuMemMap). When something else needs VRAM, arenas move to host memory, the youngest first: the
 * gate is shut, so that nothing can use them (gate.h), the bytes are copied and other memory is
 * mapped at the same addresses. Their room in RAM was counted when they were made. Nothing moves
 * that a graph may know of.
 */
#include "shim/backing.h"

#include "shim/claims.h"
#include "shim/clock.h"
#include "shim/gate.h"
#include "shim/hooks.h"
#include "shim/host_pool.h"
#include "shim/log.h"
#include "shim/pin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* What moves at once, and about what an arena of small blocks has: little more than is needed. A
 * larger block may so lie half in VRAM. */
#define CHUNK (UINT64_C(32) << 20)

struct loan {
    CUdeviceptr base;
    uint64_t bytes; /* a multiple of ARENA_UNIT */
    uint64_t lent;  /* of these, from the beginning, lie in VRAM: whole chunks */
    struct arena *arena;
    struct loan *next;                     /* older */
    CUmemGenericAllocationHandle handle[]; /* of each chunk */
};

static struct loan *make_loan(uint64_t bytes)
{
    struct loan *loan =
        calloc(1, sizeof *loan + (bytes / CHUNK + 1) * sizeof(CUmemGenericAllocationHandle));

    if (loan)
        loan->bytes = bytes;
    return loan;
}

/* --- memory behind addresses ----------------------------------------------------------------- */

static bool create(CUmemGenericAllocationHandle *handle, uint64_t bytes, CUmemLocation where)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = where};

    return driver.cuMemCreate(handle, bytes, &prop, 0) == CUDA_SUCCESS;
}

/* Maps the memory there, for the device to use; false, and nothing is mapped, if that fails. */
static bool map(const struct device *d, CUdeviceptr at, uint64_t bytes,
                CUmemGenericAllocationHandle handle)
{
    CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, d->ordinal},
                              CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

    if (driver.cuMemMap(at, bytes, 0, handle, 0) != CUDA_SUCCESS)
        return false;
    if (driver.cuMemSetAccess(at, bytes, &access, 1) == CUDA_SUCCESS)
        return true;
    driver.cuMemUnmap(at, bytes);
    return false;
}

static uint64_t chunk_bytes(const struct loan *loan, uint64_t offset)
{
    return loan->bytes - offset < CHUNK ? loan->bytes - offset : CHUNK;
}

/* VRAM behind the chunk at loan->lent. */
static bool add_chunk(const struct device *d, struct loan *loan)
{
    CUmemGenericAllocationHandle *handle = &loan->handle[loan->lent / CHUNK];
    uint64_t bytes = chunk_bytes(loan, loan->lent);

    if (!create(handle, bytes, (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, d->ordinal}))
        return false;
    if (map(d, loan->base + loan->lent, bytes, *handle)) {
        loan->lent += bytes;
        return true;
    }
    driver.cuMemRelease(*handle);
    return false;
}

/* Gives back what lies behind [0, end). Addresses that the driver does not unmap stay ours. */
static bool close_loan(const struct loan *loan, uint64_t end)
{
    bool closed = true;

    for (uint64_t at = 0; at < end; at += CHUNK) {
        closed &= driver.cuMemUnmap(loan->base + at, chunk_bytes(loan, at)) == CUDA_SUCCESS;
        driver.cuMemRelease(loan->handle[at / CHUNK]);
    }
    if (closed)
        driver.cuMemAddressFree(loan->base, loan->bytes);
    return closed;
}

static bool open_loan(const struct device *d, struct loan *loan)
{
    if (driver.cuMemAddressReserve(&loan->base, loan->bytes, ARENA_UNIT, 0, 0) != CUDA_SUCCESS)
        return false;
    while (loan->lent < loan->bytes)
        if (!add_chunk(d, loan)) {
            close_loan(loan, loan->lent);
            return false;
        }
    return true;
}

/* --- moving ---------------------------------------------------------------------------------- */

/* Copies go through a stream of our own, that waits for nobody's: what others have enqueued may
 * wait for the calling thread. */
struct mover {
    const struct device *device;
    CUstream stream;
};

static bool mover_begin(struct mover *mover, const struct device *d)
{
    mover->device = d;
    return driver.cuStreamCreate(&mover->stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS;
}

static void mover_end(const struct mover *mover)
{
    driver.cuStreamDestroy_v2(mover->stream);
}

struct copy {
    const struct mover *mover;
    uint64_t from, end; /* addresses */
    CUdeviceptr to;
};

/* What of the block lies in [from, end). */
static bool copy_block(const struct arena_block *block, void *arg)
{
    const struct copy *c = arg;
    uint64_t from = block->base > c->from ? block->base : c->from;
    uint64_t end = block->base + block->bytes < c->end ? block->base + block->bytes : c->end;

    return from >= end || driver.cuMemcpyAsync(c->to + (from - c->from), from, end - from,
                                               c->mover->stream) == CUDA_SUCCESS;
}

/* Copies what the host holds of a chunk into other memory, which is mapped somewhere for that. */
static bool copy_chunk(const struct mover *mover, const struct loan *loan, uint64_t at,
                       uint64_t bytes, CUmemGenericAllocationHandle handle)
{
    struct copy copy = {.mover = mover, .from = loan->base + at, .end = loan->base + at + bytes};
    bool copied = false;

    if (driver.cuMemAddressReserve(&copy.to, bytes, ARENA_UNIT, 0, 0) != CUDA_SUCCESS)
        return false;
    if (map(mover->device, copy.to, bytes, handle)) {
        copied = arena_for_each(loan->arena, copy_block, &copy);
        /* What is not known to be over may still write there. */
        if (driver.cuStreamSynchronize(mover->stream) != CUDA_SUCCESS)
            return false;
        driver.cuMemUnmap(copy.to, bytes);
    }
    driver.cuMemAddressFree(copy.to, bytes);
    return copied;
}

/* Other memory behind a chunk's addresses. What was there is let go last: should the driver refuse,
 * it is mapped again. */
static bool replace(const struct device *d, CUdeviceptr at, uint64_t bytes,
                    CUmemGenericAllocationHandle *now, CUmemGenericAllocationHandle next)
{
    if (driver.cuMemUnmap(at, bytes) != CUDA_SUCCESS)
        return false;
    if (map(d, at, bytes, next)) {
        driver.cuMemRelease(*now);
        *now = next;
        return true;
    }
    if (!map(d, at, bytes, *now))
        log_error("cuda:%d: the driver has unmapped %#llx and maps nothing there again "
                  "(HYBRIDMEM_BACKING=auto does without)",
                  d->ordinal, (unsigned long long)at);
    return false;
}

/* The last chunk that lies in VRAM goes to host memory; nothing is enqueued that uses it. */
static bool move_chunk(const struct mover *mover, struct loan *loan)
{
    const struct device *d = mover->device;
    uint64_t at = (loan->lent - 1) / CHUNK * CHUNK, bytes = loan->lent - at;
    CUmemGenericAllocationHandle handle;
    size_t granularity;
    int node;

    if (!backing_vmm_node(d, &node, &granularity) ||
        !create(&handle, bytes, (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, node}))
        return false;
    if (copy_chunk(mover, loan, at, bytes, handle) &&
        replace(d, loan->base + at, bytes, &loan->handle[at / CHUNK], handle)) {
        loan->lent = at;
        return true;
    }
    driver.cuMemRelease(handle);
    return false;
}

/* --- an idle device -------------------------------------------------------------------------- */

/* How long to wait for what is enqueued: some seconds of work may be, or work that waits for the
 * calling thread and would wait for ever. */
#define IDLE_MS       5000
#define IDLE_SHORT_MS 100
#define IDLE_AGAIN_MS 30000

/* All that the context was given so far; CUDA 12.5 and later have a call for that. */
static bool record_all(const struct context *context, CUevent *event)
{
    if (driver.cuEventCreate(event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
        return false;
    if (driver.cuCtxRecordEvent(context->handle, *event) == CUDA_SUCCESS)
        return true;
    driver.cuEventDestroy_v2(*event);
    return false;
}

/* After a wait in vain the next ones are short for a while: otherwise the host would stand still at
 * each allocation. */
static int64_t idle_ms(int64_t now, int64_t in_vain)
{
    return in_vain && now - in_vain < IDLE_AGAIN_MS ? IDLE_SHORT_MS : IDLE_MS;
}

/* Waits until all of it is done; false if that takes too long, or nothing moves any more. */
static bool is_idle(void *context)
{
    static _Atomic int64_t in_vain; /* when; 0: not yet */
    struct timespec pause = {0, 50000};
    int64_t begun = clock_ms(), wait = idle_ms(begun, atomic_load(&in_vain));
    CUresult r = CUDA_ERROR_NOT_READY;
    CUevent event;

    if (!record_all(context, &event))
        return false;
    while (!gate_is_frozen() && (r = driver.cuEventQuery(event)) == CUDA_ERROR_NOT_READY &&
           clock_ms() - begun < wait)
        nanosleep(&pause, NULL);
    driver.cuEventDestroy_v2(event);
    if (r == CUDA_ERROR_NOT_READY && wait == IDLE_MS && !gate_is_frozen())
        atomic_store(&in_vain, clock_ms());
    return r == CUDA_SUCCESS;
}

/* --- can it be done? ------------------------------------------------------------------------- */

enum state { UNTRIED, WORKS, FAILS };
static _Atomic int states[DEVICES_MAX];
static pthread_mutex_t trial = PTHREAD_MUTEX_INITIALIZER;

#define WORDS 16

/* What was written before a move must be there after it. */
static bool moves_whole(const struct mover *mover, struct loan *loan)
{
    static unsigned seen[WORDS]; /* one thread at a time; what fails may still write there */
    uint64_t at = arena_alloc(loan->arena, sizeof seen);
    bool whole =
        at && driver.cuMemsetD32Async(at, 0x10a4ed, WORDS, mover->stream) == CUDA_SUCCESS &&
        driver.cuStreamSynchronize(mover->stream) == CUDA_SUCCESS && move_chunk(mover, loan) &&
        driver.cuMemcpyDtoHAsync_v2(seen, at, sizeof seen, mover->stream) == CUDA_SUCCESS;

    whole = driver.cuStreamSynchronize(mover->stream) == CUDA_SUCCESS && whole;
    for (int i = 0; i < WORDS; i++)
        whole = whole && seen[i] == 0x10a4ed;
    return whole;
}

static bool try_loan(const struct mover *mover, struct loan *loan)
{
    if (!open_loan(mover->device, loan))
        return false;
    loan->arena = arena_create(loan->base, loan->bytes, NULL, HOST_LENT);
    bool works = loan->arena && moves_whole(mover, loan);
    if (loan->arena)
        arena_destroy(loan->arena);
    /* What the set may still write to is not taken away. */
    return driver.cuStreamSynchronize(mover->stream) == CUDA_SUCCESS &&
           close_loan(loan, loan->bytes) && works;
}

/* Where other devices are, they may be given access to the host's memory, which ours would not have
 * (cuCtxEnablePeerAccess is not for memory that is mapped). */
static bool suits(const struct context *context)
{
    size_t granularity;
    int count, node;
    CUevent event;

    if (driver.cuDeviceGetCount(&count) != CUDA_SUCCESS || count != 1 ||
        !backing_vmm_node(context->device, &node, &granularity) || ARENA_UNIT % granularity != 0 ||
        !record_all(context, &event))
        return false;
    driver.cuEventDestroy_v2(event);
    return true;
}

static bool try_out(const struct context *context)
{
    struct loan *loan = make_loan(ARENA_UNIT);
    struct mover mover;
    bool works = false;

    if (loan && suits(context) && mover_begin(&mover, context->device)) {
        works = try_loan(&mover, loan);
        mover_end(&mover);
    }
    free(loan);
    return works;
}

/* Once for each device, by doing it. Nobody else waits for that. */
static bool can_lend(const struct context *context)
{
    const struct device *d = context->device;
    _Atomic int *state = &states[d->ordinal];

    if (atomic_load(state) == UNTRIED && pthread_mutex_trylock(&trial) == 0) {
        struct pin_permit permitted = pin_permit(); /* as in recall_from() */
        if (atomic_load(state) == UNTRIED)
            atomic_store(state, try_out(context) ? WORKS : FAILS);
        pin_forbid(permitted);
        pthread_mutex_unlock(&trial);
        if (atomic_load(state) == FAILS)
            log_warn(
                "cuda:%d: VRAM cannot be lent here: what overflows goes to host memory at once "
                "(HYBRIDMEM_BACKING=auto asks for no more)",
                d->ordinal);
    }
    return atomic_load(state) == WORKS;
}

bool backing_loan_works(const struct device *d)
{
    return atomic_load_explicit(&states[d->ordinal], memory_order_relaxed) != FAILS &&
           !gate_is_frozen();
}

/* --- lending --------------------------------------------------------------------------------- */

/* The arena of a loan, in the pool; NULL, and nothing changed, if that cannot be. */
static struct arena *take_in(struct context *context, struct loan *loan)
{
    struct host_pool *pool = &context->pool;
    struct arena *arena = arena_create(loan->base, loan->bytes, context, HOST_LENT);

    if (arena && !host_pool_add(pool, arena)) {
        arena_destroy(arena);
        return NULL;
    }
    loan->arena = arena;
    loan->next = pool->loans;
    pool->loans = arena ? loan : pool->loans;
    return arena;
}

static void count_lent(struct device *d, uint64_t bytes)
{
    uint64_t lent = atomic_fetch_add(&d->lent_bytes, bytes) + bytes;
    uint64_t peak = atomic_load(&d->lent_bytes_peak);

    if (peak == 0)
        log_info("cuda:%d: what overflows of models lies in VRAM on loan, until its room is needed "
                 "(HYBRIDMEM_BACKING)",
                 d->ordinal);
    while (lent > peak && !atomic_compare_exchange_weak(&d->lent_bytes_peak, &peak, lent))
        ;
}

static bool lend(struct context *context, uint64_t bytes, uint64_t room)
{
    struct device *d = context->device;
    struct loan *loan = make_loan(bytes);

    if (loan && backing_host_count(bytes, room)) {
        if (open_loan(d, loan)) {
            if (take_in(context, loan)) {
                count_lent(d, bytes);
                return true;
            }
            close_loan(loan, bytes);
        }
        backing_host_uncount(bytes);
    }
    free(loan);
    return false;
}

/* One more arena: of a few such blocks, or where there is less room for the one alone. */
static bool lend_for(struct context *context, uint64_t bytes, uint64_t vram, uint64_t room)
{
    uint64_t one = (bytes + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
    uint64_t several = one < CHUNK ? CHUNK / one * one : one;

    if (one < bytes || one > vram)
        return false;
    return (several <= vram && lend(context, several, room)) ||
           (several != one && lend(context, one, room));
}

bool backing_loan_alloc(struct context *context, uint64_t bytes, uint64_t vram, uint64_t room,
                        struct arena_block *block)
{
    struct device *d = context->device;
    struct host_pool *pool = &context->pool;

    /* With a green context current, events and streams of ours would be of that one. */
    if (bytes > ARENA_MAX || gate_is_frozen() || context_only(d) != context ||
        !context_is_current(context) || !can_lend(context))
        return false;
    gate_use();
    pthread_mutex_lock(&pool->lock);
    uint64_t address = host_pool_alloc(pool, bytes, true);
    if (!address && host_pool_drain(pool))
        address = host_pool_alloc(pool, bytes, true);
    if (!address && lend_for(context, bytes, vram, room))
        address = host_pool_alloc(pool, bytes, true);
    if (address && arena_find(address, block))
        pool->live += bytes;
    pthread_mutex_unlock(&pool->lock);
    return address != 0;
}

void backing_loan_end(struct host_pool *pool, struct arena *arena)
{
    struct device *d = ((struct context *)arena_owner(arena))->device;
    struct loan **at = &pool->loans;

    while ((*at)->arena != arena)
        at = &(*at)->next;
    struct loan *loan = *at;
    *at = loan->next;
    arena_destroy(arena);
    claims_unsettle(loan->bytes - loan->lent);
    atomic_fetch_sub(&d->lent_bytes, loan->lent);
    close_loan(loan, loan->bytes);
    backing_host_uncount(loan->bytes);
    free(loan);
}

/* --- recalling ------------------------------------------------------------------------------- */

/* The youngest that still lies in VRAM, if only in part. */
static struct loan *youngest(struct host_pool *pool)
{
    struct loan *loan = pool->loans;

    while (loan && !loan->lent)
        loan = loan->next;
    return loan;
}

/* Memory is asked for all the while: a chunk on its way is neither lent nor free, and never both.
 */
static bool recall_chunk(const struct mover *mover, struct device *d, struct loan *loan)
{
    uint64_t bytes = (loan->lent - 1) % CHUNK + 1;

    atomic_fetch_sub(&d->lent_bytes, bytes);
    if (!move_chunk(mover, loan)) {
        atomic_fetch_add(&d->lent_bytes, bytes);
        return false;
    }
    arena_set_kind(loan->arena, HOST_RECALLED); /* no more is to be put there */
    claims_settle(bytes);
    atomic_fetch_add(&d->recalled_bytes, bytes);
    return true;
}

static void recall(struct context *context, const struct mover *mover, uint64_t bytes)
{
    struct device *d = context->device;
    struct host_pool *pool = &context->pool;
    uint64_t before = atomic_load(&d->lent_bytes);
    struct loan *loan;

    pthread_mutex_lock(&pool->lock);
    host_pool_settle(context);
    while (before - atomic_load(&d->lent_bytes) < bytes && (loan = youngest(pool)) &&
           recall_chunk(mover, d, loan))
        ;
    pthread_mutex_unlock(&pool->lock);
}

/* With the gate shut, if that can be. Another context that has come meanwhile was not waited for.
 */
static bool recall_gated(struct context *context, uint64_t bytes)
{
    struct mover mover;

    if (!mover_begin(&mover, context->device))
        return false;
    bool closed = gate_close(is_idle, context);
    if (closed) {
        if (context_only(context->device) == context)
            recall(context, &mover, bytes);
        gate_open();
    }
    mover_end(&mover);
    return closed;
}

/* If it cannot be, what is empty comes back all the same. */
static void recall_from(struct context *context, uint64_t bytes)
{
    CUcontext popped;

    if (driver.cuCtxPushCurrent_v2(context->handle) != CUDA_SUCCESS)
        return;
    struct pin_permit permitted = pin_permit(); /* another thread's capture may begin meanwhile */
    if (!recall_gated(context, bytes))
        host_pool_give_back(context);
    pin_forbid(permitted);
    driver.cuCtxPopCurrent_v2(&popped);
}

bool backing_loan_recall(struct device *d, uint64_t bytes, bool must)
{
    static _Atomic int64_t failed_ms; /* 0: it did not */
    uint64_t before = atomic_load_explicit(&d->lent_bytes, memory_order_relaxed);
    struct context *context = before ? context_only(d) : NULL;
    int64_t failed = atomic_load(&failed_ms);
    char size[LOG_SIZE_MAX];

    if (!context || (!must && failed && !clock_is_old(failed)))
        return false;
    recall_from(context, bytes);
    uint64_t after = atomic_load(&d->lent_bytes);
    atomic_store(&failed_ms, after < before ? 0 : clock_ms());
    if (after < before)
        log_debug("cuda:%d: %s of VRAM came back from loan", d->ordinal,
                  log_size(before - after, size));
    return after < before;
}

void backing_loan_forget(void)
{
    pthread_mutex_init(&trial, NULL);
    for (int i = 0; i < DEVICES_MAX; i++)
        atomic_store(&states[i], UNTRIED);
}
