/* Stream-ordered allocation and free: several streams on several threads, blocks used on their
 * stream behind a delay, freed in stream order, on another stream behind an event, or
 * synchronously; a block that comes back too early is overwritten under a check that still waits.
 * Prints how many words were wrong. Arguments: workers.h.
 */
#define HOST_DIRECT
#include "workers.h"

#define STREAMS 3
#define BLOCKS  12

struct block {
    CUdeviceptr address;
    CUdeviceptr result; /* of the check that was enqueued last */
    uint64_t words;
    uint32_t value;
    int stream;
};

struct state {
    struct worker *worker;
    CUstream stream[STREAMS];
    CUevent event;
    struct block block[BLOCKS];
};

static int below(struct state *t, int n)
{
    return worker_below(t->worker, n);
}

/* Allocates, fills and checks behind a delay, all enqueued, nothing waited for. */
static void start(struct state *t, struct block *b)
{
    CUstream s;

    b->stream = below(t, STREAMS);
    s = t->stream[b->stream];
    b->words = 1 + (uint64_t)rand_r(&t->worker->seed) % (below(t, 2) ? t->worker->largest : 4096);
    b->value = (uint32_t)rand_r(&t->worker->seed);
    if (cuMemAllocAsync(&b->address, b->words * 4, s) != CUDA_SUCCESS) {
        b->address = 0;
        return;
    }
    host_fill(b->address, b->value, b->words, s);
    if (below(t, 2))
        host_spin((uint64_t)below(t, 400), s);
    void *params[] = {&b->address, &b->value, &b->words, &b->result};
    MUST(cuMemsetD32Async(b->result, 0, 2, s));
    host_launch(host.check, s, params);
}

/* Frees while the check may still wait, then looks at what it found. */
static void finish(struct state *t, struct block *b)
{
    CUstream s = t->stream[b->stream], other = t->stream[below(t, STREAMS)];
    uint64_t count = UINT64_MAX;

    switch (below(t, 4)) {
    case 0: /* on another stream, once this one has come so far */
        MUST(cuEventRecord(t->event, s));
        MUST(cuStreamWaitEvent(other, t->event, 0));
        MUST(cuMemFreeAsync(b->address, other));
        break;
    case 1: /* synchronously */
        MUST(cuStreamSynchronize(s));
        MUST(cuMemFree(b->address));
        break;
    default:
        MUST(cuMemFreeAsync(b->address, s));
    }
    b->address = 0;
    if (below(t, 2)) { /* something new, perhaps in the same place, before the old check has run */
        struct block *next = &t->block[below(t, BLOCKS)];
        if (!next->address && next != b)
            start(t, next);
    }
    MUST(cuMemcpyDtoHAsync(&count, b->result, sizeof count, s));
    MUST(cuStreamSynchronize(s));
    t->worker->wrong += count;
}

/* A stream goes while its frees are pending; its handle may come back. */
static void replace_stream(struct state *t, int i)
{
    MUST(cuStreamSynchronize(t->stream[i]));
    MUST(cuStreamDestroy(t->stream[i]));
    MUST(cuStreamCreate(&t->stream[i], CU_STREAM_NON_BLOCKING));
}

static void *work(void *arg)
{
    struct state state = {.worker = arg}, *t = &state;

    MUST(cuCtxSetCurrent(host.context));
    MUST(cuEventCreate(&t->event, CU_EVENT_DISABLE_TIMING));
    for (int i = 0; i < STREAMS; i++)
        MUST(cuStreamCreate(&t->stream[i], CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < BLOCKS; i++)
        MUST(cuMemAlloc(&t->block[i].result, sizeof(uint64_t)));
    for (int step = 0; step < t->worker->steps; step++) {
        struct block *b = &t->block[below(t, BLOCKS)];
        if (b->address)
            finish(t, b);
        else
            start(t, b);
        if (below(t, 50) == 0)
            replace_stream(t, below(t, STREAMS));
    }
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &t->block[i];
        while (b->address)
            finish(t, b);
    }
    MUST(cuCtxSynchronize());
    for (int i = 0; i < BLOCKS; i++) {
        if (t->block[i].address)
            MUST(cuMemFree(t->block[i].address));
        MUST(cuMemFree(t->block[i].result));
    }
    for (int i = 0; i < STREAMS; i++)
        MUST(cuStreamDestroy(t->stream[i]));
    MUST(cuEventDestroy(t->event));
    return NULL;
}

int main(int argc, char **argv)
{
    return workers_run(argc, argv, 300, 1, work);
}
