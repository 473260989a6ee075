/* workers.h: hosts that do random things on several threads, all alike.
 *
 *   HOST [STEPS [THREADS [SEED [LARGEST BLOCK IN MIB]]]]
 */
#ifndef HYBRIDMEM_TESTS_WORKERS_H
#define HYBRIDMEM_TESTS_WORKERS_H

#include "host.h"

#include <pthread.h>

#define WORKERS_MAX 64

struct worker {
    pthread_t thread;
    unsigned int seed;
    int steps;
    uint64_t largest; /* words */
    uint64_t wrong;   /* words, counted by the worker */
};

static inline int worker_below(struct worker *w, int n)
{
    return (int)(rand_r(&w->seed) % (unsigned int)n);
}

/* Runs work(struct worker *) on each thread and prints how many words were wrong; main()'s result.
 */
static inline int workers_run(int argc, char **argv, int steps, int mib,
                              void *(*work)(void *worker))
{
    static struct worker worker[WORKERS_MAX];
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    uint64_t wrong = 0;

    threads = threads < 1 ? 1 : threads > WORKERS_MAX ? WORKERS_MAX : threads;
    host_open(&host_direct);
    for (int i = 0; i < threads; i++) {
        worker[i].steps = argc > 1 ? atoi(argv[1]) : steps;
        worker[i].seed =
            (unsigned int)(argc > 3 ? atoi(argv[3]) : 1) * WORKERS_MAX + (unsigned int)i;
        worker[i].largest = (uint64_t)(argc > 4 ? atoi(argv[4]) : mib) << 18;
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

#endif
