/* Four threads, each with a stream of its own, allocate, write, verify and free in an order of
 * their own; blocks of one thread are freed by another.
 *
 *   host_direct_threads [ROUNDS]
 */
#define HOST_DIRECT
#include "host.h"

#include <pthread.h>

#define THREADS 4
#define BLOCKS  6

struct worker {
    pthread_t thread;
    unsigned int index;
    unsigned int rounds;
    uint64_t wrong;
    CUdeviceptr kept; /* freed by the next thread in the following round */
    size_t kept_size;
};

static struct worker worker[THREADS];
static pthread_barrier_t barrier;

static size_t size_of(unsigned int thread, unsigned int round, unsigned int block)
{
    return (size_t)(1 + (thread * 7 + round * 3 + block * 5) % 11) << (16 + block);
}

static void one_round(struct worker *self, unsigned int round, CUdeviceptr result, CUstream stream)
{
    CUdeviceptr block[BLOCKS];

    for (unsigned int i = 0; i < BLOCKS; i++) {
        MUST(cuMemAlloc(&block[i], size_of(self->index, round, i)));
        host_fill_block(block[i], size_of(self->index, round, i), self->index * 16 + i, stream);
    }
    for (unsigned int i = 0; i < BLOCKS; i++)
        self->wrong += host_check_block(block[i], size_of(self->index, round, i),
                                        self->index * 16 + i, result, stream);
    for (unsigned int i = 0; i < BLOCKS; i++) {
        unsigned int at = (i * 5 + self->index) % BLOCKS;

        if (at)
            MUST(cuMemFree(block[at]));
    }
    self->kept = block[0];
    self->kept_size = size_of(self->index, round, 0);
}

static void *work(void *arg)
{
    struct worker *self = arg;
    struct worker *other = &worker[(self->index + 1) % THREADS];
    CUdeviceptr result;
    CUstream stream;

    MUST(cuCtxSetCurrent(host.context));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc(&result, sizeof(uint64_t)));
    for (unsigned int round = 0; round < self->rounds; round++) {
        one_round(self, round, result, stream);
        pthread_barrier_wait(&barrier);
        self->wrong +=
            host_check_block(other->kept, other->kept_size, other->index * 16, result, stream);
        MUST(cuMemFree(other->kept));
        pthread_barrier_wait(&barrier);
    }
    MUST(cuMemFree(result));
    MUST(cuStreamDestroy(stream));
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t wrong = 0;

    host_open(&host_direct);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (unsigned int i = 0; i < THREADS; i++) {
        worker[i].index = i;
        worker[i].rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 4;
        REQUIRE(!pthread_create(&worker[i].thread, NULL, work, &worker[i]));
    }
    for (unsigned int i = 0; i < THREADS; i++) {
        pthread_join(worker[i].thread, NULL);
        wrong += worker[i].wrong;
    }
    printf("words wrong: %llu\n", (unsigned long long)wrong);
    host_close();
    printf("done\n");
    return wrong != 0;
}
