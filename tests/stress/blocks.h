/* blocks.h: blocks of memory of every allocator beside a CPU copy of what each byte must be, and
 * the order in which streams use them.
 *
 * A block remembers the lane on which it was last used. Another lane waits for that one before it
 * touches the block, by an event, unless the streams' own rules order the two already. So the model
 * may change at the call, and what a lane reads must be what the model said at that moment.
 */
#ifndef HYBRIDMEM_STRESS_BLOCKS_H
#define HYBRIDMEM_STRESS_BLOCKS_H

#define HOST_DIRECT
#include "host.h"

#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

enum kind {
    KIND_NONE, /* an empty slot */
    KIND_ALLOC,
    KIND_PITCH,
    KIND_ASYNC,
    KIND_DEFAULT_POOL,
    KIND_OWN_POOL,
    KIND_MAPPED,
    KIND_MANAGED,
    KIND_HOST,
    KIND_REGISTERED,
    KINDS
};

/* Where work goes: the context's legacy stream, the thread's own, and streams that are made: most
 * of them without ties to the legacy stream, which would order all that meets there. */
enum {
    LANE_LEGACY,
    LANE_PER_THREAD,
    LANE_FIRST,
    LANE_BLOCKING = LANE_FIRST + 4,
    LANES = LANE_BLOCKING + 2,
    LANE_EVENT = -1
};

#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
#define LANE_DEFAULT LANE_PER_THREAD
#else
#define LANE_DEFAULT LANE_LEGACY
#endif

#define SLOTS       8
#define BLOCK_MOST  ((size_t)1 << 20)
#define GRANULARITY ((size_t)2 << 20)
#define PEEK_BYTES  ((size_t)16 << 10)

/* What was done to a block, for the report. */
struct note {
    const char *what;
    unsigned thread;
    long step;
    int lane;
    size_t at, size;
};
#define NOTES 12

struct block {
    enum kind kind;
    CUdeviceptr device;
    uint8_t *host;  /* where the CPU may reach it, else NULL */
    uint8_t *bytes; /* the model */
    size_t size, allocated;
    int lane;      /* LANE_EVENT: `ready` says when it may be used */
    CUevent ready; /* goes with the block from slot to slot */
    CUmemGenericAllocationHandle half[2];
    struct note note[NOTES];
    unsigned notes;
};

/* A read that was enqueued and is looked at later. */
struct peek {
    CUevent done;
    uint8_t *seen, *expected; /* seen: pinned */
    size_t size;
    struct block was; /* for the report */
};

struct worker {
    pthread_t thread;
    unsigned index;
    uint64_t random;
    long step, steps;
    struct block block[SLOTS];
    CUstream lane[LANES];
    struct peek peek[4];
    uint8_t *buffer; /* ordinary memory of BUFFER_BYTES */
    const char *doing;
    const struct block *about;
    unsigned long long counts[KINDS];
    size_t tensor, last_tensor; /* weights.h */
};
#define BUFFER_BYTES (BLOCK_MOST + 8192)

static struct {
    uint64_t seed;
    CUmemoryPool pool, default_pool;
    pthread_mutex_t lock;
    struct block mailbox[16]; /* blocks on their way from thread to thread */
} stress = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- chance, and what to say when something is wrong ------------------------------------------ */

static inline uint64_t stress_random(struct worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static inline size_t stress_below(struct worker *w, size_t limit)
{
    return (size_t)(stress_random(w) >> 16) % limit;
}

/* 1 to most, each order of magnitude as likely as the next. */
static inline size_t stress_size(struct worker *w, size_t most)
{
    size_t top = (size_t)2 << stress_below(w, 63 - (size_t)__builtin_clzl(most) + 1);

    return 1 + stress_below(w, top < most ? top : most);
}

static inline void stress_noise(struct worker *w, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = stress_random(w);

        memcpy(bytes + i, &word, size - i < sizeof word ? size - i : sizeof word);
    }
}

static inline void block_note(struct worker *w, struct block *b, const char *what, size_t at,
                              size_t size)
{
    w->doing = what;
    w->about = b;
    b->note[b->notes++ % NOTES] = (struct note){what, w->index, w->step, b->lane, at, size};
}

static const char *const kind_names[KINDS] = {
    "nothing",     "cuMemAlloc", "cuMemAllocPitch",   "cuMemAllocAsync", "default pool",
    "pool of own", "cuMemMap",   "cuMemAllocManaged", "cuMemHostAlloc",  "cuMemHostRegister"};

static void print_history(const struct block *b)
{
    printf("block %#llx, %zu bytes, %s, oldest first:\n", b->device, b->size, kind_names[b->kind]);
    for (unsigned i = b->notes > NOTES ? b->notes - NOTES : 0; i < b->notes; i++) {
        const struct note *n = &b->note[i % NOTES];

        printf("  thread %u operation %ld: %s of %zu bytes from %zu, in lane %d\n", n->thread,
               n->step, n->what, n->size, n->at, n->lane);
    }
}

__attribute__((noreturn, format(printf, 2, 3))) static void stress_fail(const struct worker *w,
                                                                        const char *format, ...)
{
    va_list arguments;

    pthread_mutex_lock(&stress.lock); /* one report */
    printf("FAILED seed %llu thread %u operation %ld, %s: ", (unsigned long long)stress.seed,
           w->index, w->step, w->doing ? w->doing : "beginning");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    if (w->about)
        print_history(w->about);
    fflush(stdout);
    _exit(1); /* the other threads are at work still */
}
#define DO(call)                                                                                   \
    do {                                                                                           \
        CUresult result_ = (call);                                                                 \
        if (result_ != CUDA_SUCCESS)                                                               \
            stress_fail(w, "%s: %s", #call, host_name(result_));                                   \
    } while (0)

/* --- lanes -------------------------------------------------------------------------------------
 */

static inline bool lane_blocking(int lane)
{
    return lane < LANE_FIRST || lane >= LANE_BLOCKING;
}

static inline void lane_open(struct worker *w, int lane)
{
    DO(cuStreamCreate(&w->lane[lane],
                      lane_blocking(lane) ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING));
}

static inline int lane_any(struct worker *w)
{
    size_t dice = stress_below(w, 24);

    return dice == 0  ? LANE_LEGACY
           : dice < 3 ? LANE_PER_THREAD
                      : LANE_FIRST + (int)stress_below(w, LANES - LANE_FIRST);
}

/* The next use of the block is on this lane; the caller must enqueue one, since the lane may have
 * been told nothing itself. */
static inline void block_order(struct worker *w, struct block *b, int lane)
{
    bool implied = b->lane >= 0 && (b->lane == LANE_LEGACY || lane == LANE_LEGACY) &&
                   lane_blocking(b->lane) && lane_blocking(lane);

    if (b->lane != lane && !implied) {
        if (b->lane >= 0)
            DO(cuEventRecord(b->ready, w->lane[b->lane]));
        DO(cuStreamWaitEvent(w->lane[lane], b->ready, 0));
    }
    b->lane = lane;
}

/* The CPU waits until nothing uses the block. */
static inline void block_drain(struct worker *w, struct block *b)
{
    if (b->lane >= 0)
        DO(cuStreamSynchronize(w->lane[b->lane]));
    else
        DO(cuEventSynchronize(b->ready));
}

/* Gives up the lane, so that another thread, or one who knows no lane, can take the block. */
static inline void block_detach(struct worker *w, struct block *b)
{
    if (b->lane >= 0)
        DO(cuEventRecord(b->ready, w->lane[b->lane]));
    b->lane = LANE_EVENT;
}

/* A stream goes while work waits in it, frees for example; its handle may come back. */
static inline void lane_replace(struct worker *w)
{
    int lane = LANE_FIRST + (int)stress_below(w, LANES - LANE_FIRST);

    w->about = NULL;
    w->doing = "another stream";
    for (struct block *b = w->block; b < w->block + SLOTS; b++)
        if (b->kind && b->lane == lane)
            block_detach(w, b);
    DO(cuStreamDestroy(w->lane[lane]));
    lane_open(w, lane);
}

/* --- allocation --------------------------------------------------------------------------------
 */

/* An allocator may be out of memory; anything else is a failure. */
static inline bool got(struct worker *w, CUresult result, const char *call)
{
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_OUT_OF_MEMORY)
        stress_fail(w, "%s: %s", call, host_name(result));
    return result == CUDA_SUCCESS;
}
#define GOT(call) got(w, (call), #call)

/* One or two pieces of physical memory behind neighbouring addresses; the block straddles them. */
static inline bool map(struct worker *w, struct block *b)
{
    const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .location = {CU_MEM_LOCATION_TYPE_DEVICE, host.device}};
    const CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    size_t halves = 1 + stress_below(w, 2);

    b->allocated = halves * GRANULARITY;
    DO(cuMemAddressReserve(&b->device, b->allocated, 0, 0, 0));
    for (size_t i = 0; i < halves; i++) {
        if (!GOT(cuMemCreate(&b->half[i], GRANULARITY, &prop, 0))) {
            if (i) {
                DO(cuMemUnmap(b->device, GRANULARITY));
                DO(cuMemRelease(b->half[0]));
            }
            DO(cuMemAddressFree(b->device, b->allocated));
            return false;
        }
        DO(cuMemMap(b->device + i * GRANULARITY, GRANULARITY, 0, b->half[i], 0));
    }
    DO(cuMemSetAccess(b->device, b->allocated, &access, 1));
    /* A mapping keeps the memory whose handle was released. */
    for (size_t i = 0; i < halves && stress_below(w, 2); i++) {
        DO(cuMemRelease(b->half[i]));
        b->half[i] = 0;
    }
    b->size = b->allocated - stress_below(w, GRANULARITY);
    return true;
}

static inline bool pin(struct worker *w, struct block *b)
{
    void *p = NULL;

    if (b->kind == KIND_HOST) {
        if (!GOT(cuMemHostAlloc(&p, b->size, CU_MEMHOSTALLOC_PORTABLE)))
            return false;
    } else { /* pages of its own: no two registrations may share one */
        REQUIRE(!posix_memalign(&p, 4096, (b->size + 4095) & ~(size_t)4095));
        if (!GOT(cuMemHostRegister(p, b->size, CU_MEMHOSTREGISTER_DEVICEMAP))) {
            free(p);
            return false;
        }
    }
    b->host = p;
    DO(cuMemHostGetDevicePointer(&b->device, p, 0));
    return true;
}

static inline bool allocate(struct worker *w, struct block *b)
{
    CUmemoryPool pool = b->kind == KIND_OWN_POOL ? stress.pool : stress.default_pool;
    size_t pitch, rows = 1 + stress_below(w, 32);

    switch (b->kind) {
    case KIND_ALLOC:
        return GOT(cuMemAlloc(&b->device, b->size));
    case KIND_PITCH:
        if (!GOT(cuMemAllocPitch(&b->device, &pitch, b->size / rows + 1, rows, 4)))
            return false;
        b->size = b->allocated = pitch * rows;
        return true;
    case KIND_ASYNC:
        b->lane = lane_any(w);
        return GOT(cuMemAllocAsync(&b->device, b->size, w->lane[b->lane]));
    case KIND_DEFAULT_POOL:
    case KIND_OWN_POOL:
        b->lane = lane_any(w);
        return GOT(cuMemAllocFromPoolAsync(&b->device, b->size, pool, w->lane[b->lane]));
    case KIND_MAPPED:
        return map(w, b);
    case KIND_MANAGED:
        if (!GOT(cuMemAllocManaged(&b->device, b->size, CU_MEM_ATTACH_GLOBAL)))
            return false;
        b->host = (uint8_t *)b->device;
        return true;
    default:
        return pin(w, b);
    }
}

static inline enum kind kind_any(struct worker *w)
{
    static const enum kind kinds[] = {
        KIND_ALLOC,   KIND_ALLOC, KIND_ALLOC,        KIND_PITCH,     KIND_ASYNC,
        KIND_ASYNC,   KIND_ASYNC, KIND_DEFAULT_POOL, KIND_OWN_POOL,  KIND_MAPPED,
        KIND_MANAGED, KIND_HOST,  KIND_HOST,         KIND_REGISTERED};

    return kinds[stress_below(w, sizeof kinds / sizeof *kinds)];
}

/* Fills an empty slot, but for the bytes. False: out of memory. Pitch and granularity may make the
 * block larger. */
static inline bool block_open(struct worker *w, struct block *b, enum kind kind, size_t size)
{
    w->about = NULL;
    w->doing = "allocation";
    b->kind = kind;
    b->size = b->allocated = size;
    b->host = NULL;
    b->half[0] = b->half[1] = 0;
    b->lane = LANE_DEFAULT;
    if (!allocate(w, b)) {
        b->kind = KIND_NONE;
        return false;
    }
    w->counts[b->kind]++;
    b->bytes = malloc(b->size);
    REQUIRE(b->bytes);
    b->notes = 0;
    block_note(w, b, "allocation", 0, b->size);
    return true;
}

/* --- the end of a block ------------------------------------------------------------------------
 */

static inline void unmap(struct worker *w, const struct block *b)
{
    DO(cuMemUnmap(b->device, b->allocated));
    for (int i = 0; i < 2; i++)
        if (b->half[i])
            DO(cuMemRelease(b->half[i]));
    DO(cuMemAddressFree(b->device, b->allocated));
}

static inline void free_in_stream(struct worker *w, struct block *b)
{
    int lane = lane_any(w);

    block_order(w, b, lane);
    DO(cuMemFreeAsync(b->device, w->lane[lane]));
}

/* What was enqueued may still wait where the call itself sees to the order. */
static inline void block_close(struct worker *w, struct block *b)
{
    bool ordered = b->kind >= KIND_ASYNC && b->kind <= KIND_OWN_POOL;

    block_note(w, b, "free", 0, b->size);
    if (ordered ? stress_below(w, 4) != 0 : b->kind == KIND_ALLOC && stress_below(w, 4) == 0) {
        free_in_stream(w, b);
    } else {
        if (b->kind != KIND_ALLOC && b->kind != KIND_PITCH && b->kind != KIND_MANAGED)
            block_drain(w, b);
        if (b->kind == KIND_MAPPED) {
            unmap(w, b);
        } else if (b->kind == KIND_HOST) {
            DO(cuMemFreeHost(b->host));
        } else if (b->kind == KIND_REGISTERED) {
            DO(cuMemHostUnregister(b->host));
            free(b->host);
        } else {
            DO(cuMemFree(b->device));
        }
    }
    free(b->bytes);
    b->kind = KIND_NONE;
}

/* --- from thread to thread ---------------------------------------------------------------------
 */

/* Swaps the slot with one of the mailbox: gives, takes, or both. */
static inline void block_exchange(struct worker *w, struct block *b)
{
    struct block *other = &stress.mailbox[stress_below(w, 16)], mine;

    w->about = NULL;
    w->doing = "exchange";
    if (b->kind)
        block_detach(w, b);
    mine = *b;
    pthread_mutex_lock(&stress.lock);
    *b = *other;
    *other = mine;
    pthread_mutex_unlock(&stress.lock);
}

#endif
