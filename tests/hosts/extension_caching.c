/* An allocator that caches, as PyTorch's native one: a freed block is kept for the next request of
 * its size; after an out-of-memory all that is kept is given back, and the request tried once more.
 * It is built under PyTorch's name (libc10_cuda.so) and under one of its own.
 *
 * With GIVES_UP in the environment it does not try again: what fails, fails. With CAPTURES a stream
 * captures nothing before that, as when PyTorch opens the private pool of a graph.
 */
#include "runtime.h"

#include <dlfcn.h>
#include <stdbool.h>

#define MIB    ((size_t)1 << 20)
#define BLOCKS 16

int extension_run(void);

static struct block {
    void *p;
    size_t size;
    bool used;
} block[BLOCKS];
static int retries, failures;

static void give_back(void)
{
    for (int i = 0; i < BLOCKS; i++)
        if (block[i].p && !block[i].used) {
            MUST(cudaFree(block[i].p));
            block[i].p = NULL;
        }
}

static cudaError_t ask_runtime(void **p, size_t size)
{
    cudaError_t r = cudaMalloc(p, size);

    if (r != cudaErrorMemoryAllocation)
        return r;
    REQUIRE(cudaGetLastError() == cudaErrorMemoryAllocation);
    if (getenv("GIVES_UP"))
        return r;
    retries++;
    give_back();
    return cudaMalloc(p, size);
}

static struct block *take(size_t size)
{
    struct block *b = NULL;

    for (int i = 0; i < BLOCKS; i++) {
        if (block[i].p && !block[i].used && block[i].size == size) {
            block[i].used = true;
            return &block[i];
        }
        if (!block[i].p && !b)
            b = &block[i];
    }
    REQUIRE(b != NULL);
    b->size = size;
    b->used = ask_runtime(&b->p, size) == cudaSuccess;
    if (!b->used) {
        b->p = NULL;
        failures++;
    } else {
        MUST(cudaMemset(b->p, 0x5a, size));
    }
    return b;
}

/* Through the driver: the simulated runtime has no captures. */
static void capture_nothing(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    void *stream = NULL, *graph = NULL;
    REQUIRE(driver != NULL);
    int (*create)(void **, unsigned) = (int (*)(void **, unsigned))dlsym(driver, "cuStreamCreate");
    int (*begin)(void *, int) = (int (*)(void *, int))dlsym(driver, "cuStreamBeginCapture_v2");
    int (*end)(void *, void **) = (int (*)(void *, void **))dlsym(driver, "cuStreamEndCapture");
    int (*drop)(void *) = (int (*)(void *))dlsym(driver, "cuGraphDestroy");
    int (*destroy)(void *) = (int (*)(void *))dlsym(driver, "cuStreamDestroy_v2");

    REQUIRE(create && begin && end && drop && destroy);
    REQUIRE(create(&stream, 1) == 0 && begin(stream, 1) == 0 && end(stream, &graph) == 0);
    REQUIRE(drop(graph) == 0 && destroy(stream) == 0);
}

/* 128 MiB, of which 96 are only cached; then a request that no cached block fits, and more until
 * the card is full. */
__attribute__((visibility("default"))) int extension_run(void)
{
    struct block *b[4];

    for (int i = 0; i < 4; i++)
        b[i] = take(32 * MIB);
    for (int i = 0; i < 3; i++)
        b[i]->used = false;
    REQUIRE(take(32 * MIB) == b[0]);
    b[0]->used = false;
    if (getenv("CAPTURES"))
        capture_nothing();
    take(48 * MIB);
    printf("first: %d retries, %d failures\n", retries, failures);
    for (size_t i = 0; i < 4; i++)
        take((60 + i) * MIB);
    printf("then: %d retries, %d failures\n", retries, failures);
    for (int i = 0; i < BLOCKS; i++)
        block[i].used = false;
    give_back();
    return 0;
}
