/* null.c: null mode, for benchmarks: device allocation that costs a few nanoseconds, so that what
 * is measured is the shim. Addresses only: nothing is behind them, no capacity is counted.
 *
 * Each size class (a power of two) has its own part of one reserved window, so that an address
 * tells its class. A thread takes fresh addresses by the batch and keeps what it frees, last in,
 * first out.
 */
#include "sim.h"

#include <stdlib.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#define CLASS_FIRST 9  /* 512 bytes */
#define CLASSES     32 /* up to 1 TiB */
#ifdef __SANITIZE_THREAD__
#define PART_SHIFT 33 /* ThreadSanitizer leaves a few TiB of address space */
#else
#define PART_SHIFT 41 /* 2 TiB for each: a million live blocks of 2 MiB */
#endif
#define BATCH 64

struct cache {
    CUdeviceptr fresh, fresh_end;
    CUdeviceptr *freed;
    size_t count, room;
};
static uint64_t window;
static atomic_ullong taken[CLASSES]; /* bytes of each part */
static __thread struct cache *caches __attribute__((tls_model("initial-exec")));
static pthread_key_t key;

static void end_thread(void *mine)
{
    for (int i = 0; i < CLASSES; i++)
        free(((struct cache *)mine)[i].freed);
    free(mine);
}

void null_start(void)
{
    void *p = mmap(NULL, (size_t)CLASSES << PART_SHIFT, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        sim_refuse("SIMCUDA_NULL: cannot reserve %d GiB of address space",
                   CLASSES << (PART_SHIFT - 30));
    window = (uintptr_t)p;
    pthread_key_create(&key, end_thread);
}

bool null_owns(CUdeviceptr address)
{
    return address - window < (uint64_t)CLASSES << PART_SHIFT;
}

static int class_of(size_t bytes)
{
    return bytes <= (1u << CLASS_FIRST) ? 0 : 64 - __builtin_clzll(bytes - 1) - CLASS_FIRST;
}

static CUresult refill(struct cache *cache, int class)
{
    uint64_t bytes = (uint64_t)1 << (class + CLASS_FIRST);
    /* Large blocks are few: take them one by one, so that a part is not used up by idle batches. */
    uint64_t batch = class <= 13 ? BATCH * bytes : bytes;
    uint64_t at = atomic_fetch_add(&taken[class], batch);

    if (at + batch > (uint64_t)1 << PART_SHIFT)
        return CUDA_ERROR_OUT_OF_MEMORY;
    cache->fresh = window + ((uint64_t) class << PART_SHIFT) + at;
    cache->fresh_end = cache->fresh + batch;
    return CUDA_SUCCESS;
}

CUresult null_alloc(CUdeviceptr *address, size_t bytes)
{
    struct cache *cache;
    int class = class_of(bytes);

    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (class >= CLASSES)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!caches) {
        caches = calloc(CLASSES, sizeof(*caches));
        pthread_setspecific(key, caches);
    }
    cache = &caches[class];
    if (cache->count) {
        *address = cache->freed[--cache->count];
        return CUDA_SUCCESS;
    }
    if (cache->fresh == cache->fresh_end && refill(cache, class) != CUDA_SUCCESS)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *address = cache->fresh;
    cache->fresh += (uint64_t)1 << (class + CLASS_FIRST);
    return CUDA_SUCCESS;
}

CUresult null_free(CUdeviceptr address)
{
    struct cache *cache;

    if (!caches) {
        caches = calloc(CLASSES, sizeof(*caches));
        pthread_setspecific(key, caches);
    }
    cache = &caches[(address - window) >> PART_SHIFT];
    if (cache->count == cache->room) {
        cache->room = cache->room ? cache->room * 2 : 1024;
        cache->freed = sim_grow(cache->freed, cache->room * sizeof(*cache->freed));
    }
    cache->freed[cache->count++] = address;
    return CUDA_SUCCESS;
}

CUresult null_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
    uint64_t offset = address - window;
    size_t size = (size_t)1 << ((offset >> PART_SHIFT) + CLASS_FIRST);

    if (base)
        *base = address - (offset & (size - 1));
    if (bytes)
        *bytes = size;
    return CUDA_SUCCESS;
}

CUresult null_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
    const struct ctx *ctx = ctx_current();
    CUdeviceptr base;
    size_t size;

    null_range(&base, &size, address);
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        *(void **)data = ctx ? ctx->handle : NULL;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)data = CU_MEMORYTYPE_DEVICE;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *(int *)data = ctx ? ctx->device->ordinal : 0;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        *(CUdeviceptr *)data = address;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        *(CUdeviceptr *)data = base;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        *(size_t *)data = size;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}
