/* Threads that allocate, write, verify and free blocks of random size in random order, and take an
 * out-of-memory or any other refusal as it comes: what was allocated keeps its bytes.
 * Prints how many words were wrong: none, whatever the driver refused. Arguments: workers.h.
 */
#define HOST_DIRECT
#include "workers.h"

#define BLOCKS 24

struct block {
    CUdeviceptr address;
    uint64_t words;
    uint32_t value;
};

/* Calls that the test makes fail on purpose are not the point here. */
static bool worked(CUresult r)
{
    return r == CUDA_SUCCESS;
}

static uint64_t count_wrong(const struct block *b, CUdeviceptr result, CUstream stream)
{
    uint64_t count = UINT64_MAX;
    void *params[] = {(void *)&b->address, (void *)&b->value, (void *)&b->words, &result};

    MUST(cuMemsetD32Async(result, 0, 2, stream));
    MUST(cuLaunchKernel(host.check, 64, 1, 1, 256, 1, 1, 0, stream, params, NULL));
    MUST(cuMemcpyDtoHAsync(&count, result, sizeof count, stream));
    MUST(cuStreamSynchronize(stream));
    return count;
}

/* Frees it, right after more work on it was enqueued; a free that is refused is tried again. */
static void release(struct block *b, CUstream stream)
{
    host_add(b->address, 1, b->words, stream);
    for (int tries = 0; tries < 100 && !worked(cuMemFree(b->address)); tries++)
        ;
    b->address = 0;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct block block[BLOCKS] = {{0}};
    CUdeviceptr result;
    CUstream stream;

    MUST(cuCtxSetCurrent(host.context));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    while (!worked(cuMemAlloc(&result, sizeof(uint64_t))))
        ;
    for (int step = 0; step < w->steps; step++) {
        struct block *b = &block[rand_r(&w->seed) % BLOCKS];
        if (b->address) {
            w->wrong += count_wrong(b, result, stream);
            release(b, stream);
            continue;
        }
        b->words = 1 + (((uint64_t)rand_r(&w->seed) << 15) ^ (uint64_t)rand_r(&w->seed)) %
                           (rand_r(&w->seed) % 2 ? w->largest : 4096);
        b->value = (uint32_t)rand_r(&w->seed);
        if (worked(cuMemAlloc(&b->address, b->words * 4)))
            host_fill(b->address, b->value, b->words, stream);
        else
            b->address = 0;
    }
    for (struct block *b = block; b < block + BLOCKS; b++) {
        if (!b->address)
            continue;
        w->wrong += count_wrong(b, result, stream);
        release(b, stream);
    }
    release(&(struct block){result, 2, 0}, stream);
    MUST(cuStreamDestroy(stream));
    return NULL;
}

int main(int argc, char **argv)
{
    return workers_run(argc, argv, 200, 4, work);
}
