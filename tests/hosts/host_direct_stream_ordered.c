/* Stream-ordered allocation and free: several streams on several threads, blocks used on their
 * stream behind a delay, freed in stream order, on another stream behind an event, or
 * synchronously; a block that comes back too early is overwritten under a check that still waits.
 *
 *   host_direct_stream_ordered [STEPS [THREADS [SEED [LARGEST BLOCK IN MIB]]]]
 *
 * Prints how many words were wrong.
 */
#define HOST_DIRECT
#include "host.h"

#include <pthread.h>

#define STREAMS 3
#define BLOCKS  12

struct block {
    CUdeviceptr address;
    CUdeviceptr result; /* of the check that was enqueued last */
    uint64_t words;
    uint32_t value;
    int stream;
};

struct worker {
    pthread_t thread;
    unsigned int seed;
    int steps;
    uint64_t largest;
    uint64_t wrong;
    CUstream stream[STREAMS];
    CUevent event;
    struct block block[BLOCKS];
};

static int below(struct worker *w, int n)
{
    return (int)(rand_r(&w->seed) % (unsigned int)n);
}

/* Allocates, fills and checks behind a delay, all enqueued, nothing waited for. */
static void start(struct worker *w, struct block *b)
{
    CUstream s;

    b->stream = below(w, STREAMS);
    s = w->stream[b->stream];
    b->words = 1 + (uint64_t)rand_r(&w->seed) % (below(w, 2) ? w->largest : 4096);
    b->value = (uint32_t)rand_r(&w->seed);
    if (cuMemAllocAsync(&b->address, b->words * 4, s) != CUDA_SUCCESS) {
        b->address = 0;
        return;
    }
    host_fill(b->address, b->value, b->words, s);
    if (below(w, 2))
        host_spin((uint64_t)below(w, 400), s);
    void *params[] = {&b->address, &b->value, &b->words, &b->result};
    MUST(cuMemsetD32Async(b->result, 0, 2, s));
    host_launch(host.check, s, params);
}

/* Frees while the check may still wait, then looks at what it found. */
static void finish(struct worker *w, struct block *b)
{
    CUstream s = w->stream[b->stream], other = w->stream[below(w, STREAMS)];
    uint64_t count = UINT64_MAX;

    switch (below(w, 4)) {
    case 0: /* on another stream, once this one has come so far */
        MUST(cuEventRecord(w->event, s));
        MUST(cuStreamWaitEvent(other, w->event, 0));
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
    if (below(w, 2)) { /* something new, perhaps in the same place, before the old check has run */
        struct block *next = &w->block[below(w, BLOCKS)];
        if (!next->address && next != b)
            start(w, next);
    }
    MUST(cuMemcpyDtoHAsync(&count, b->result, sizeof count, s));
    MUST(cuStreamSynchronize(s));
    w->wrong += count;
}

static void *work(void *arg)
{
    struct worker *w = arg;

    MUST(cuCtxSetCurrent(host.context));
    MUST(cuEventCreate(&w->event, CU_EVENT_DISABLE_TIMING));
    for (int i = 0; i < STREAMS; i++)
        MUST(cuStreamCreate(&w->stream[i], CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < BLOCKS; i++)
        MUST(cuMemAlloc(&w->block[i].result, sizeof(uint64_t)));
    for (int step = 0; step < w->steps; step++) {
        struct block *b = &w->block[below(w, BLOCKS)];
        if (b->address)
            finish(w, b);
        else
            start(w, b);
        if (below(w, 50) ==
            0) { /* a stream goes while its frees are pending; its handle may return */
            int i = below(w, STREAMS);
            MUST(cuStreamSynchronize(w->stream[i]));
            MUST(cuStreamDestroy(w->stream[i]));
            MUST(cuStreamCreate(&w->stream[i], CU_STREAM_NON_BLOCKING));
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &w->block[i];
        while (b->address)
            finish(w, b);
    }
    for (int i = 0; i < BLOCKS; i++)
        if (w->block[i].address)
            finish(w, &w->block[i]);
    MUST(cuCtxSynchronize());
    for (int i = 0; i < BLOCKS; i++) {
        if (w->block[i].address)
            MUST(cuMemFree(w->block[i].address));
        MUST(cuMemFree(w->block[i].result));
    }
    for (int i = 0; i < STREAMS; i++)
        MUST(cuStreamDestroy(w->stream[i]));
    MUST(cuEventDestroy(w->event));
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    static struct worker worker[16];
    uint64_t wrong = 0;

    threads = threads < 1 ? 1 : threads > 16 ? 16 : threads;
    host_open(&host_direct);
    for (int i = 0; i < threads; i++) {
        worker[i].steps = argc > 1 ? atoi(argv[1]) : 300;
        worker[i].seed = (unsigned int)(argc > 3 ? atoi(argv[3]) : 1) * 64 + (unsigned int)i;
        worker[i].largest = (argc > 4 ? (uint64_t)atoi(argv[4]) : 1) << 18;
        REQUIRE(!pthread_create(&worker[i].thread, NULL, work, &worker[i]));
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(worker[i].thread, NULL);
        wrong += worker[i].wrong;
    }
    printf("words wrong: %llu\n", (unsigned long long)wrong);
    host_close();
    printf("done\n");
    return wrong != 0;
}
