/* moves.c: what VRAM on loan takes for granted (shim/backing_loan.c): that bytes are where they
 * were when other memory lies behind their address, for every thread, stream and event, that VRAM
 * is free afterwards, and what all that costs. */
#include "tests/gpu/probe.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 100
#define TURNS  20

/* "ok", or which call of a span said what. */
static const char *told(const struct probe_span *span, CUresult result)
{
    static char text[96];

    if (result == CUDA_SUCCESS)
        return "ok";
    snprintf(text, sizeof text, "%s: %s", span->call_name, probe_result(result));
    return text;
}

static size_t bytes_of(const struct probe_span *span)
{
    return span->chunks * span->chunk;
}

/* --- are the bytes there? --- */

struct places {
    struct probe_span span;
    struct probe_block other; /* VRAM, as large */
    CUdeviceptr wrong;        /* 8 bytes */
    uint32_t *seen;
};

/* How many words at an address differ from the value, as a kernel sees them. */
static uint64_t wrong_words(struct probe *p, struct places *k, CUdeviceptr at, uint32_t value,
                            CUstream stream)
{
    uint64_t words = bytes_of(&k->span) / 4, wrong = 1;
    void *params[] = {&at, &value, &words, &k->wrong};

    if (p->drv.cuMemsetD8Async(k->wrong, 0, 8, stream) != CUDA_SUCCESS ||
        probe_launch(p, "check", stream, params) != CUDA_SUCCESS ||
        p->drv.cuStreamSynchronize(stream) != CUDA_SUCCESS ||
        p->drv.cuMemcpyDtoH(&wrong, k->wrong, 8) != CUDA_SUCCESS)
        return UINT64_MAX;
    return wrong;
}

static CUresult fill(struct probe *p, struct places *k, uint32_t value, CUstream stream)
{
    uint64_t words = bytes_of(&k->span) / 4;
    void *params[] = {&k->span.base, &value, &words};

    return probe_launch(p, "fill", stream, params);
}

static bool by_kernel(struct probe *p, struct places *k, uint32_t value)
{
    return wrong_words(p, k, k->span.base, value, NULL) == 0;
}

static bool by_download(struct probe *p, struct places *k, uint32_t value)
{
    size_t words = bytes_of(&k->span) / 4;

    memset(k->seen, 0, words * 4);
    if (p->drv.cuMemcpyDtoH(k->seen, k->span.base, words * 4) != CUDA_SUCCESS)
        return false;
    for (size_t i = 0; i < words; i++)
        if (k->seen[i] != value)
            return false;
    return true;
}

static bool by_copy(struct probe *p, struct places *k, uint32_t value)
{
    return p->drv.cuMemcpyDtoD(k->other.device, k->span.base, bytes_of(&k->span)) == CUDA_SUCCESS &&
           wrong_words(p, k, k->other.device, value, NULL) == 0;
}

/* In turn by a kernel, a set, a copy from VRAM. */
static CUresult write_all(struct probe *p, struct places *k, uint32_t value, int round)
{
    size_t bytes = bytes_of(&k->span);

    if (round % 3 == 0)
        return fill(p, k, value, NULL);
    if (round % 3 == 1)
        return p->drv.cuMemsetD32(k->span.base, value, bytes / 4);
    CUresult result = p->drv.cuMemsetD32(k->other.device, value, bytes / 4);
    return result ? result : p->drv.cuMemcpyDtoD(k->span.base, k->other.device, bytes);
}

static bool keeps_bytes(struct probe *p, struct places *k)
{
    static const struct {
        const char *name;
        bool (*sees)(struct probe *p, struct places *k, uint32_t value);
    } ways[] = {{"a kernel", by_kernel}, {"cuMemcpyDtoH", by_download}, {"cuMemcpyDtoD", by_copy}};
    enum { WAYS = sizeof ways / sizeof ways[0] };
    int before[WAYS] = {0}, after[WAYS] = {0}, moved = 0;
    const char *table = "memory moved behind its address";
    CUresult result = CUDA_SUCCESS;
    bool all = true;

    for (int round = 0; round < ROUNDS && result == CUDA_SUCCESS; round++) {
        uint32_t value = 0x5a000000u + (uint32_t)round;
        result = write_all(p, k, value, round);
        if (result == CUDA_SUCCESS)
            result = p->drv.cuCtxSynchronize();
        for (int i = 0; i < WAYS; i++)
            before[i] += ways[i].sees(p, k, value);
        if (result == CUDA_SUCCESS) {
            result = probe_span_move(p, &k->span, round % 2 == 0);
            moved += result == CUDA_SUCCESS;
        }
        for (int i = 0; i < WAYS; i++)
            after[i] += ways[i].sees(p, k, value);
    }
    probe_answer(p, table, "moves, to host memory and back", "answer", "%d of %d, %s", moved,
                 ROUNDS, told(&k->span, result));
    for (int i = 0; i < WAYS; i++) {
        probe_answer(p, table, ways[i].name, "right before", "%d", before[i]);
        probe_answer(p, table, ways[i].name, "right after", "%d", after[i]);
        all = all && before[i] == ROUNDS && after[i] == ROUNDS;
    }
    return all && moved == ROUNDS;
}

/* --- another thread --- */

/* Takes turns with the mover, as the gate makes calls and moves take turns. */
struct other_thread {
    struct probe *p;
    struct places *places;
    CUstream stream;
    pthread_barrier_t barrier;
    atomic_bool stop;
    int right; /* of TURNS: what it wrote was there after the move, for its own stream */
};

static void *use(void *arg)
{
    struct other_thread *o = arg;

    o->p->drv.cuCtxSetCurrent(o->p->context);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        probe_spin(o->p, o->stream); /* what follows is not done when the mover begins */
        fill(o->p, o->places, 0x77000000u + turn, o->stream);
        pthread_barrier_wait(&o->barrier); /* the mover's turn */
        pthread_barrier_wait(&o->barrier);
        if (o->stop)
            break;
        o->right +=
            wrong_words(o->p, o->places, o->places->span.base, 0x77000000u + turn, o->stream) == 0;
    }
    return NULL;
}

static bool others_see_it(struct probe *p, struct places *k, bool by_event)
{
    const char *column = by_event ? "waited for by an event" : "waited for by cuCtxSynchronize";
    struct other_thread o = {.p = p, .places = k};
    CUresult result = p->drv.cuStreamCreate(&o.stream, 1 /* non-blocking */);
    unsigned spin_ms = p->spin_ms;
    pthread_t thread;
    int moved = 0;

    if (result != CUDA_SUCCESS)
        return false;
    p->spin_ms = 5;
    pthread_barrier_init(&o.barrier, NULL, 2);
    if (pthread_create(&thread, NULL, use, &o) != 0)
        return false;
    for (int turn = 0; turn < TURNS && !o.stop; turn++) {
        pthread_barrier_wait(&o.barrier);
        /* For the other thread's stream, too. */
        k->span.call_name = "waiting";
        result = by_event ? probe_wait_for_all(p) : p->drv.cuCtxSynchronize();
        if (result == CUDA_SUCCESS)
            result = probe_span_move(p, &k->span, turn % 2 == 0);
        moved += result == CUDA_SUCCESS;
        o.stop = result != CUDA_SUCCESS;
        pthread_barrier_wait(&o.barrier);
    }
    pthread_join(thread, NULL);
    p->drv.cuCtxSynchronize();
    pthread_barrier_destroy(&o.barrier);
    p->spin_ms = spin_ms;
    p->drv.cuStreamDestroy(o.stream);
    probe_answer(p, "another thread's stream across a move", "moves", column, "%d of %d, %s", moved,
                 TURNS, told(&k->span, result));
    probe_answer(p, "another thread's stream across a move", "right after", column, "%d of %d",
                 o.right, TURNS);
    return o.right == TURNS || (by_event && result == CUDA_ERROR_NOT_FOUND); /* nothing is lent */
}

/* --- streams and events from before --- */

static bool streams_go_on(struct probe *p, struct places *k)
{
    const char *table = "memory moved behind its address";
    CUevent before, after;
    CUstream stream;
    float ms = -1;

    if (p->drv.cuStreamCreate(&stream, 1) != CUDA_SUCCESS ||
        p->drv.cuEventCreate(&before, 0) != CUDA_SUCCESS ||
        p->drv.cuEventCreate(&after, 0) != CUDA_SUCCESS)
        return false;
    CUresult result = fill(p, k, 0x66000001u, stream);
    if (result == CUDA_SUCCESS)
        result = p->drv.cuEventRecord(before, stream);
    p->drv.cuCtxSynchronize();
    CUresult moved = probe_span_move(p, &k->span, true);
    CUresult waited = p->drv.cuEventSynchronize(before);
    uint64_t wrong = wrong_words(p, k, k->span.base, 0x66000001u, stream);
    CUresult recorded = p->drv.cuEventRecord(after, stream);
    p->drv.cuStreamSynchronize(stream);
    CUresult elapsed = p->drv.cuEventElapsedTime(&ms, before, after);
    probe_answer(p, table, "the move for these", "answer", "%s", told(&k->span, moved));
    probe_answer(p, table, "an event from before", "answer", "cuEventSynchronize %s",
                 probe_result(waited));
    probe_answer(p, table, "a stream from before", "answer", "%s; cuEventRecord %s, elapsed %s",
                 wrong == 0            ? "right"
                 : wrong == UINT64_MAX ? "its calls fail"
                                       : "wrong bytes",
                 probe_result(recorded), probe_result(elapsed));
    p->drv.cuEventDestroy(before);
    p->drv.cuEventDestroy(after);
    p->drv.cuStreamDestroy(stream);
    return result == CUDA_SUCCESS && moved == CUDA_SUCCESS && waited == CUDA_SUCCESS &&
           wrong == 0 && recorded == CUDA_SUCCESS && elapsed == CUDA_SUCCESS &&
           probe_span_move(p, &k->span, false) == CUDA_SUCCESS;
}

/* --- what it costs --- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The calls of a chunk's life, the median of several; then each beside a running kernel. */
static void cost_of_calls(struct probe *p, struct probe_vmm *v, size_t bytes, CUmemLocation where,
                          const char *name)
{
    enum { CREATE, MAP, ACCESS, UNMAP, RELEASE, CALLS, TIMES = 9 };
    static const char *const calls[CALLS] = {"cuMemCreate", "cuMemMap", "cuMemSetAccess",
                                             "cuMemUnmap", "cuMemRelease"};
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = where};
    CUmemAccessDesc access = {probe_here(p), CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle = 0;
    CUresult result[CALLS] = {CUDA_SUCCESS};
    double ms[CALLS][TIMES], beside[CALLS];
    CUdeviceptr at = 0;
    CUstream stream;

    if (v->reserve(&at, bytes, 0, 0, 0) != CUDA_SUCCESS ||
        p->drv.cuStreamCreate(&stream, 1 /* non-blocking */) != CUDA_SUCCESS)
        return;
    for (int time = 0; time <= TIMES; time++)
        for (int call = 0; call < CALLS; call++) {
            if (time == TIMES)
                probe_spin(p, stream);
            double start = probe_now_ms();
            result[call] = call == CREATE   ? v->create(&handle, bytes, &prop, 0)
                           : call == MAP    ? v->map(at, bytes, 0, handle, 0)
                           : call == ACCESS ? v->set_access(at, bytes, &access, 1)
                           : call == UNMAP  ? v->unmap(at, bytes)
                                            : v->release(handle);
            *(time < TIMES ? &ms[call][time] : &beside[call]) = probe_now_ms() - start;
            p->drv.cuStreamSynchronize(stream);
        }
    for (int call = 0; call < CALLS; call++) {
        char row[64];
        qsort(ms[call], TIMES, sizeof(double), compare);
        probe_answer(p, "what a move costs", calls[call], name, "%.3f ms, %s", ms[call][TIMES / 2],
                     probe_result(result[call]));
        snprintf(row, sizeof row, "%s, %s", calls[call], name);
        probe_timed(p, row, beside[call], result[call]);
    }
    p->drv.cuStreamDestroy(stream);
    v->address_free(at, bytes);
}

static size_t free_now(struct probe *p)
{
    size_t free_bytes = 0, total;

    p->drv.cuCtxSynchronize();
    p->drv.cuMemGetInfo(&free_bytes, &total);
    return free_bytes;
}

static void tell_change(struct probe *p, const char *row, size_t from, size_t to)
{
    probe_answer(p, "what a move costs", "free VRAM, MiB", row, "%+.1f",
                 ((double)to - (double)from) / (double)PROBE_MIB);
}

/* As much as is read for all measurements of speed. */
static bool cost_of_much(struct probe *p, size_t chunk)
{
    static const char *const names[] = {"in VRAM", "moved down", "moved up again"};
    struct probe_span span;
    size_t before = free_now(p);
    CUresult result = probe_span_make(p, &span, chunk, (unsigned)(p->big / chunk));
    double start = 0;

    for (int i = 0; i < 3 && result == CUDA_SUCCESS; i++) {
        if (i > 0)
            result = probe_span_move(p, &span, i == 1);
        double ms = probe_now_ms() - start;
        size_t now = free_now(p);
        if (i > 0)
            probe_answer(p, "what a move costs", "all of it", names[i], "%.1f ms, %.1f GB/s, %s",
                         ms, (double)p->big / ms / 1e6, told(&span, result));
        tell_change(p, names[i], before, now);
        probe_answer(p, "what a move costs", "a kernel reads it, GB/s", names[i], "%.1f",
                     probe_kernel_reads(p, span.base));
        before = now;
        start = probe_now_ms();
    }
    if (result != CUDA_SUCCESS)
        probe_answer(p, "what a move costs", "all of it", "failed", "%s", told(&span, result));
    before = free_now(p);
    bool dropped = probe_span_drop(p, &span) == CUDA_SUCCESS;
    tell_change(p, "given back", before, free_now(p));
    return result == CUDA_SUCCESS && dropped;
}

/* --- all of it --- */

static bool open_places(struct probe *p, struct places *k, size_t chunk)
{
    struct probe_block small;
    CUresult result = probe_span_make(p, &k->span, chunk, 2);

    probe_answer(p, "memory moved behind its address", "VRAM, mapped", "answer", "%s",
                 told(&k->span, result));
    if (result != CUDA_SUCCESS || !probe_make(p, PROBE_DEVICE, 2 * chunk, &k->other) ||
        !probe_make(p, PROBE_DEVICE, 8, &small))
        return false;
    k->wrong = small.device;
    k->seen = malloc(2 * chunk);
    return k->seen != NULL;
}

bool probe_moves(struct probe *p)
{
    static const CUmemLocation node0 = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
    size_t chunk = p->big / PROBE_CHUNKS < 2 * PROBE_MIB ? 2 * PROBE_MIB : p->big / PROBE_CHUNKS;
    static struct places k;

    bool idle = probe_idle(p);
    if (!open_places(p, &k, chunk))
        return false;
    cost_of_calls(p, &k.span.vmm, chunk, probe_here(p), "VRAM");
    cost_of_calls(p, &k.span.vmm, chunk, node0, "HOST_NUMA");
    bool kept = keeps_bytes(p, &k);
    bool shared = others_see_it(p, &k, false) & others_see_it(p, &k, true);
    bool went_on = streams_go_on(p, &k);
    bool dropped = probe_span_drop(p, &k.span) == CUDA_SUCCESS;
    probe_drop(p, &k.other);
    p->drv.cuMemFree(k.wrong);
    free(k.seen);
    return cost_of_much(p, chunk) && kept && shared && went_on && dropped && idle;
}
