/* entry_runtime.c: the runtime's own entry points.
 *
 * A reference to libcudart carries a version: libcudart.so.11.0, .12 or .13. We export each name
 * under exactly these, and never as a default, so that only such references come here: those of a
 * library with a static runtime, which carry none, do not.
 *
 * The real runtime does the work, and reaches the driver through our other doors. Where it found
 * the driver by itself it does not: if it was opened RTLD_DEEPBIND, its dlsym is the C library's.
 * Then these act: what is out of memory overflows, and what came from us is treated as what it is.
 */
#include "shim/caller.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/log.h"

/* Has a block been given out here, past a runtime that does not come through our other doors? */
static atomic_bool acted;

static bool has_acted(void)
{
    return unlikely(atomic_load_explicit(&acted, memory_order_relaxed));
}

/* --- allocation ------------------------------------------------------------------------------ */

/* Each allocation is the real runtime's, under a note of who calls. */
#define UNDER_NOTE(c, call)                                                                        \
    ({                                                                                             \
        struct caller_note outer_ = caller_note_;                                                  \
        caller_note_ = (struct caller_note){.caller = (c)};                                        \
        cudaError_t r_ = (call);                                                                   \
        bool reached_ = caller_note_.reached;                                                      \
        caller_note_ = outer_;                                                                     \
        reached_ || r_ != cudaErrorMemoryAllocation || !shim_acts() ? r_ : UNREACHED;              \
    })
/* Out of memory, and nobody has asked us. */
#define UNREACHED (-1)

/* Ends a call that the runtime failed with an out-of-memory, and our door served instead. */
static cudaError_t served(const struct caller *c, CUresult ours)
{
    if (ours != CUDA_SUCCESS)
        return cudaErrorMemoryAllocation; /* which the runtime remembers */
    if (!atomic_exchange(&acted, true))
        log_info("a CUDA runtime was found that does not reach the driver through hybridmem: its "
                 "allocations overflow only when the driver is out of memory");
    /* The host has not seen it. */
    if (c->real.cudaGetLastError)
        c->real.cudaGetLastError();
    return cudaSuccess;
}

static cudaError_t door_cudaMalloc(const struct caller *c, void **devPtr, size_t size)
{
    CUdeviceptr p;
    cudaError_t r = UNDER_NOTE(c, c->real.cudaMalloc(devPtr, size));

    if (likely(r != UNREACHED))
        return r;
    r = served(c, cuMemAlloc_v2(&p, size));
    if (r == cudaSuccess)
        *devPtr = (void *)(uintptr_t)p;
    return r;
}

/* The runtime asks the driver for rows that suit the smallest element. */
static cudaError_t door_cudaMallocPitch(const struct caller *c, void **devPtr, size_t *pitch,
                                        size_t width, size_t height)
{
    CUdeviceptr p;
    cudaError_t r = UNDER_NOTE(NULL, c->real.cudaMallocPitch(devPtr, pitch, width, height));

    if (likely(r != UNREACHED))
        return r;
    r = served(c, cuMemAllocPitch_v2(&p, pitch, width, height, 4));
    if (r == cudaSuccess)
        *devPtr = (void *)(uintptr_t)p;
    return r;
}

#define DOOR_ASYNC(suffix)                                                                         \
    static cudaError_t door_cudaMallocAsync##suffix(const struct caller *c, void **devPtr,         \
                                                    size_t size, CUstream stream)                  \
    {                                                                                              \
        CUdeviceptr p;                                                                             \
        cudaError_t r = UNDER_NOTE(NULL, c->real.cudaMallocAsync##suffix(devPtr, size, stream));   \
        if (likely(r != UNREACHED))                                                                \
            return r;                                                                              \
        r = served(c, cuMemAllocAsync##suffix(&p, size, stream));                                  \
        if (r == cudaSuccess)                                                                      \
            *devPtr = (void *)(uintptr_t)p;                                                        \
        return r;                                                                                  \
    }                                                                                              \
    static cudaError_t door_cudaFreeAsync##suffix(const struct caller *c, void *devPtr,            \
                                                  CUstream stream)                                 \
    {                                                                                              \
        if (has_acted() && devPtr &&                                                               \
            cuMemFreeAsync##suffix((CUdeviceptr)(uintptr_t)devPtr, stream) == CUDA_SUCCESS)        \
            return cudaSuccess;                                                                    \
        return c->real.cudaFreeAsync##suffix(devPtr, stream);                                      \
    }
DOOR_ASYNC()
DOOR_ASYNC(_ptsz)

/* What we cannot free the runtime cannot either, and says so in its own words. */
static cudaError_t door_cudaFree(const struct caller *c, void *devPtr)
{
    if (has_acted() && devPtr && cuMemFree_v2((CUdeviceptr)(uintptr_t)devPtr) == CUDA_SUCCESS)
        return cudaSuccess;
    return c->real.cudaFree(devPtr);
}

/* --- copies ---------------------------------------------------------------------------------- */

static bool is_sound(const void *p, size_t count)
{
    return core_range_is_sound((CUdeviceptr)(uintptr_t)p, count);
}

/* Where to: a copy that runs out of a block of ours is refused by the runtime itself, for nothing
 * lies at NULL. */
static void *checked(void *dst, const void *src, size_t count)
{
    return has_acted() && (!is_sound(dst, count) || !is_sound(src, count)) ? NULL : dst;
}

static cudaError_t door_cudaMemcpy(const struct caller *c, void *dst, const void *src, size_t count,
                                   int kind)
{
    return c->real.cudaMemcpy(checked(dst, src, count), src, count, kind);
}

static cudaError_t door_cudaMemcpy_ptds(const struct caller *c, void *dst, const void *src,
                                        size_t count, int kind)
{
    return c->real.cudaMemcpy_ptds(checked(dst, src, count), src, count, kind);
}

static cudaError_t door_cudaMemcpyAsync(const struct caller *c, void *dst, const void *src,
                                        size_t count, int kind, CUstream stream)
{
    return c->real.cudaMemcpyAsync(checked(dst, src, count), src, count, kind, stream);
}

static cudaError_t door_cudaMemcpyAsync_ptsz(const struct caller *c, void *dst, const void *src,
                                             size_t count, int kind, CUstream stream)
{
    return c->real.cudaMemcpyAsync_ptsz(checked(dst, src, count), src, count, kind, stream);
}

/* --- queries --------------------------------------------------------------------------------- */

static cudaError_t door_cudaMemGetInfo(const struct caller *c, size_t *free_bytes, size_t *total)
{
    struct caller_note outer = caller_note_;

    caller_note_ = (struct caller_note){0};
    cudaError_t r = c->real.cudaMemGetInfo(free_bytes, total);
    if (r == cudaSuccess && !caller_note_.reached && shim_acts())
        cuMemGetInfo_v2(free_bytes, total);
    caller_note_ = outer;
    return r;
}

static cudaError_t door_cudaPointerGetAttributes(const struct caller *c,
                                                 struct cudaPointerAttributes *attributes,
                                                 const void *ptr)
{
    struct arena_block block;
    cudaError_t r = c->real.cudaPointerGetAttributes(attributes, ptr);

    if (r == cudaSuccess && has_acted() && core_is_ours((CUdeviceptr)(uintptr_t)ptr, &block) &&
        block.base) {
        const struct context *owner = arena_owner(block.arena);
        attributes->type = cudaMemoryTypeDevice;
        attributes->device = owner->device->ordinal;
        attributes->devicePointer = (void *)(uintptr_t)ptr;
        attributes->hostPointer = NULL;
    }
    return r;
}

/* --- what is exported: NAME@VERSION, for each name and version ------------------------------- */

#define VERSIONS(X, ...)                                                                           \
    X(11, "libcudart.so.11.0", __VA_ARGS__)                                                        \
    X(12, "libcudart.so.12", __VA_ARGS__)                                                          \
    X(13, "libcudart.so.13", __VA_ARGS__)

#define NAME(n, node, ...) static const char version##n[] = node;
VERSIONS(NAME, )

#define STRIP(...) __VA_ARGS__
#define ENTRY(n, node, symbol, params, args)                                                       \
    __asm__(".symver runtime" #n "_" #symbol ", " #symbol "@" node);                               \
    EXPORT cudaError_t runtime##n##_##symbol params;                                               \
    cudaError_t runtime##n##_##symbol params                                                       \
    {                                                                                              \
        const struct caller *c = caller_at(__builtin_return_address(0), version##n);               \
        return likely(c->real.symbol) ? door_##symbol(c, STRIP args) : cudaErrorSymbolNotFound;    \
    }
#define HOOK(...)
#define RUNTIME_HOOK(group, symbol, base, since, params, args) VERSIONS(ENTRY, symbol, params, args)
#include "shim/hooks.def"
