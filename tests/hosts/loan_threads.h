/* loan_threads.h: threads that use tensors while others are made to move. */
#ifndef HYBRIDMEM_TESTS_LOAN_THREADS_H
#define HYBRIDMEM_TESTS_LOAN_THREADS_H

#include "loan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_bool enough;

struct reader {
    pthread_t thread;
    unsigned int number; /* from 1 */
    CUstream stream;
    CUdeviceptr scratch, result;
    uint64_t *sum;
    unsigned char *seen; /* pinned */
    unsigned int turns;
};

static uint64_t sum_of(struct reader *r, CUdeviceptr p, uint64_t words)
{
    MUST(cuMemsetD32Async(r->result, 0, 2, r->stream));
    host_launch(host.sum, r->stream, (void *[]){&p, &words, &r->result});
    MUST(cuMemcpyDtoHAsync(r->sum, r->result, sizeof *r->sum, r->stream));
    MUST(cuStreamSynchronize(r->stream));
    return *r->sum;
}

/* Writes it, reads it by a kernel, copies it within the card and to the host. */
static void use(struct reader *r, struct tensor *t)
{
    uint32_t first;

    switch (r->turns++ % 4) {
    case 0:
        host_add(t->address, 1, t->bytes / 4, r->stream);
        t->added++;
        REQUIRE(sum_of(r, t->address, t->bytes / 4) == expected(t));
        break;
    case 1:
        host_add(t->address, 1, t->bytes / 4, r->stream);
        t->added++;
        MUST(cuMemcpyDtoDAsync(r->scratch, t->address, t->bytes, r->stream));
        REQUIRE(sum_of(r, r->scratch, t->bytes / 4) == expected(t));
        break;
    case 2: /* there and back: what is written while it moves must not be lost */
        MUST(cuMemcpyDtoDAsync(r->scratch, t->address, t->bytes, r->stream));
        MUST(cuMemsetD8Async(t->address, 0xee, t->bytes, r->stream));
        MUST(cuMemcpyDtoDAsync(t->address, r->scratch, t->bytes, r->stream));
        REQUIRE(sum_of(r, t->address, t->bytes / 4) == expected(t));
        break;
    default:
        MUST(cuMemcpyDtoHAsync(r->seen, t->address, t->bytes, r->stream));
        MUST(cuStreamSynchronize(r->stream));
        memcpy(&first, t->data, sizeof first);
        first += t->added;
        REQUIRE(!memcmp(r->seen, &first, sizeof first));
        MUST(cuMemcpyHtoD(t->address, r->seen, t->bytes)); /* what it is already */
    }
}

static void *reader_run(void *argument)
{
    struct reader *r = argument;

    MUST(cuCtxSetCurrent(host.context));
    while (!atomic_load(&enough))
        for (unsigned int i = 0; i < count && !atomic_load(&enough); i++)
            if (owner(i) == r->number) {
                use(r, &tensors[i]);
                usleep(r->turns % 4 ? 0 : 3000); /* a moment in which memory may move */
            }
    return NULL;
}

static void readers_start(struct reader *readers)
{
    size_t most = largest();

    atomic_store(&enough, false);
    readers_at_work = true;
    for (unsigned int k = 0; k < READERS; k++) {
        struct reader *r = &readers[k];

        *r = (struct reader){.number = k + 1};
        MUST(cuStreamCreate(&r->stream, CU_STREAM_NON_BLOCKING));
        MUST(cuMemAlloc(&r->scratch, most));
        MUST(cuMemAlloc(&r->result, 8));
        MUST(cuMemAllocHost((void **)&r->sum, 8));
        MUST(cuMemAllocHost((void **)&r->seen, most));
        REQUIRE(!pthread_create(&r->thread, NULL, reader_run, r));
    }
}

/* What they added is taken back. */
static void readers_stop(struct reader *readers)
{
    atomic_store(&enough, true);
    for (unsigned int k = 0; k < READERS; k++) {
        struct reader *r = &readers[k];

        pthread_join(r->thread, NULL);
        REQUIRE(r->turns > 0);
        MUST(cuStreamDestroy(r->stream));
        MUST(cuMemFree(r->scratch));
        MUST(cuMemFree(r->result));
        MUST(cuMemFreeHost(r->sum));
        MUST(cuMemFreeHost(r->seen));
    }
    readers_at_work = false;
    for (unsigned int i = 0; i < count; i++) {
        check(i);
        host_add(tensors[i].address, -tensors[i].added, tensors[i].bytes / 4, NULL);
        tensors[i].added = 0;
    }
}

#endif
