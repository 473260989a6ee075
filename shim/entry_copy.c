/* entry_copy.c: copies and sets.
 *
 * The driver does them: a redirected block is memory that the device reaches at the very address
 * that the host was given. What the driver cannot see is where a block ends inside its arena, so
 * that is checked here, without a lock; with nothing redirected it costs a comparison an address.
 */
#include "shim/core.h"
#include "shim/hooks.h"

/* A call that goes on to the driver if its ranges are sound, and otherwise answers what the driver
 * says of a range that is no allocation's. */
#define CHECKED(symbol, params, args, condition)                                                   \
    CUresult symbol params                                                                         \
    {                                                                                              \
        if (unlikely(!(condition)))                                                                \
            return CUDA_ERROR_INVALID_VALUE;                                                       \
        return driver.symbol args;                                                                 \
    }
/* The legacy and the per-thread flavour. */
#define CHECKED2(symbol, suffix, params, args, condition)                                          \
    CHECKED(symbol, params, args, condition)                                                       \
    CHECKED(symbol##suffix, params, args, condition)

static inline bool sound(CUdeviceptr address, size_t bytes)
{
    return likely(!arena_may_hold(address)) || core_range_is_sound(address, bytes);
}

static inline bool sound_host(const void *address, size_t bytes)
{
    return sound((CUdeviceptr)(uintptr_t)address, bytes);
}

/* --- one dimension --------------------------------------------------------------------------- */

CHECKED2(cuMemcpy, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t ByteCount),
         (dst, src, ByteCount), sound(dst, ByteCount) && sound(src, ByteCount))
CHECKED2(cuMemcpyAsync, _ptsz,
         (CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream),
         (dst, src, ByteCount, hStream), sound(dst, ByteCount) && sound(src, ByteCount))

CHECKED2(cuMemcpyPeer, _ptds,
         (CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
          size_t ByteCount),
         (dstDevice, dstContext, srcDevice, srcContext, ByteCount),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount))
CHECKED2(cuMemcpyPeerAsync, _ptsz,
         (CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
          size_t ByteCount, CUstream hStream),
         (dstDevice, dstContext, srcDevice, srcContext, ByteCount, hStream),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount))

CHECKED2(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount),
         (dstDevice, srcHost, ByteCount),
         sound(dstDevice, ByteCount) && sound_host(srcHost, ByteCount))
CHECKED2(cuMemcpyHtoDAsync_v2, _ptsz,
         (CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream),
         (dstDevice, srcHost, ByteCount, hStream),
         sound(dstDevice, ByteCount) && sound_host(srcHost, ByteCount))

CHECKED2(cuMemcpyDtoH_v2, _ptds, (void *dstHost, CUdeviceptr srcDevice, size_t ByteCount),
         (dstHost, srcDevice, ByteCount),
         sound_host(dstHost, ByteCount) && sound(srcDevice, ByteCount))
CHECKED2(cuMemcpyDtoHAsync_v2, _ptsz,
         (void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream),
         (dstHost, srcDevice, ByteCount, hStream),
         sound_host(dstHost, ByteCount) && sound(srcDevice, ByteCount))

CHECKED2(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount),
         (dstDevice, srcDevice, ByteCount),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount))
CHECKED2(cuMemcpyDtoDAsync_v2, _ptsz,
         (CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream),
         (dstDevice, srcDevice, ByteCount, hStream),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount))

CHECKED2(cuMemcpyDtoA_v2, _ptds,
         (CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice, size_t ByteCount),
         (dstArray, dstOffset, srcDevice, ByteCount), sound(srcDevice, ByteCount))
CHECKED2(cuMemcpyAtoD_v2, _ptds,
         (CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset, size_t ByteCount),
         (dstDevice, srcArray, srcOffset, ByteCount), sound(dstDevice, ByteCount))

/* --- two and three dimensions ---------------------------------------------------------------- */

/* One side of a copy: `rows` rows of `width` bytes from row `y`, in `slices` slices of `height`
 * rows from slice `z`. */
struct side {
    CUmemorytype type;
    uint64_t device;
    const void *host;
    size_t x, y, z, pitch, height;
};

/* Bytes from the start of the memory to the end of the last row; false if that is more than there
 * can be. */
static bool extent(const struct side *s, size_t width, size_t rows, size_t slices, uint64_t *bytes)
{
    size_t last_row, last, end;

    return !__builtin_add_overflow(s->z, slices - 1, &last_row) &&
           !__builtin_mul_overflow(last_row, s->height, &last_row) &&
           !__builtin_add_overflow(last_row, s->y, &last_row) &&
           !__builtin_add_overflow(last_row, rows - 1, &last_row) &&
           !__builtin_mul_overflow(last_row, s->pitch, &last) &&
           !__builtin_add_overflow(last, s->x, &end) && !__builtin_add_overflow(end, width, &end) &&
           (*bytes = end, true);
}

static bool sound_side(const struct side *s, size_t width, size_t rows, size_t slices)
{
    uint64_t base = s->type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)s->host : s->device;
    struct arena_block block;
    uint64_t end;

    if (s->type == CU_MEMORYTYPE_ARRAY || likely(!arena_may_hold(base)) ||
        !core_is_ours(base, &block) || width == 0 || rows == 0 || slices == 0)
        return true;
    return block.base && extent(s, width, rows, slices, &end) &&
           end <= block.base + block.bytes - base;
}

static bool sound_2d(const CUDA_MEMCPY2D *c)
{
    if (!c)
        return true; /* the driver's to refuse */
    struct side src = {.type = c->srcMemoryType,
                       .device = c->srcDevice,
                       .host = c->srcHost,
                       .x = c->srcXInBytes,
                       .y = c->srcY,
                       .pitch = c->srcPitch ? c->srcPitch : c->WidthInBytes};
    struct side dst = {.type = c->dstMemoryType,
                       .device = c->dstDevice,
                       .host = c->dstHost,
                       .x = c->dstXInBytes,
                       .y = c->dstY,
                       .pitch = c->dstPitch ? c->dstPitch : c->WidthInBytes};
    return sound_side(&src, c->WidthInBytes, c->Height, 1) &&
           sound_side(&dst, c->WidthInBytes, c->Height, 1);
}

static bool sound_3d(const CUDA_MEMCPY3D *c)
{
    if (!c)
        return true;
    struct side src = {.type = c->srcMemoryType,
                       .device = c->srcDevice,
                       .host = c->srcHost,
                       .x = c->srcXInBytes,
                       .y = c->srcY,
                       .z = c->srcZ,
                       .pitch = c->srcPitch ? c->srcPitch : c->WidthInBytes,
                       .height = c->srcHeight ? c->srcHeight : c->Height};
    struct side dst = {.type = c->dstMemoryType,
                       .device = c->dstDevice,
                       .host = c->dstHost,
                       .x = c->dstXInBytes,
                       .y = c->dstY,
                       .z = c->dstZ,
                       .pitch = c->dstPitch ? c->dstPitch : c->WidthInBytes,
                       .height = c->dstHeight ? c->dstHeight : c->Height};
    return sound_side(&src, c->WidthInBytes, c->Height, c->Depth) &&
           sound_side(&dst, c->WidthInBytes, c->Height, c->Depth);
}

CHECKED2(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *pCopy), (pCopy), sound_2d(pCopy))
CHECKED2(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *pCopy, CUstream hStream),
         (pCopy, hStream), sound_2d(pCopy))
CHECKED2(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *pCopy), (pCopy), sound_2d(pCopy))
CHECKED2(cuMemcpy3D_v2, _ptds, (const CUDA_MEMCPY3D *pCopy), (pCopy), sound_3d(pCopy))
CHECKED2(cuMemcpy3DAsync_v2, _ptsz, (const CUDA_MEMCPY3D *pCopy, CUstream hStream),
         (pCopy, hStream), sound_3d(pCopy))

/* The two structs differ in what their reserved pointers are called (tests/unit/abi_check.c). */
static bool sound_peer(const CUDA_MEMCPY3D_PEER *c)
{
    return sound_3d((const CUDA_MEMCPY3D *)c);
}

CHECKED2(cuMemcpy3DPeer, _ptds, (const CUDA_MEMCPY3D_PEER *pCopy), (pCopy), sound_peer(pCopy))
CHECKED2(cuMemcpy3DPeerAsync, _ptsz, (const CUDA_MEMCPY3D_PEER *pCopy, CUstream hStream),
         (pCopy, hStream), sound_peer(pCopy))

/* --- batches --------------------------------------------------------------------------------- */

/* Are all copies of the batch sound? If not, *failed is the first that is not. */
static bool sound_batch(const CUdeviceptr *dsts, const CUdeviceptr *srcs, const size_t *sizes,
                        size_t count, size_t *failed)
{
    for (size_t i = 0; dsts && srcs && sizes && i < count; i++) {
        if (likely(sound(dsts[i], sizes[i]) && sound(srcs[i], sizes[i])))
            continue;
        if (failed)
            *failed = i;
        return false;
    }
    return true;
}

#define BATCH_PARAMS                                                                               \
    CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count, CUmemcpyAttributes *attrs,  \
        size_t *attrsIdxs, size_t numAttrs
#define BATCH_ARGS dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs

CHECKED2(cuMemcpyBatchAsync, _ptsz, (BATCH_PARAMS, size_t *failIdx, CUstream hStream),
         (BATCH_ARGS, failIdx, hStream), sound_batch(dsts, srcs, sizes, count, failIdx))
CHECKED2(cuMemcpyBatchAsync_v2, _ptsz, (BATCH_PARAMS, CUstream hStream), (BATCH_ARGS, hStream),
         sound_batch(dsts, srcs, sizes, count, NULL))

/* --- sets ------------------------------------------------------------------------------------ */

static bool sound_words(CUdeviceptr address, size_t count, size_t word)
{
    size_t bytes;
    return likely(!arena_may_hold(address)) ||
           (!__builtin_mul_overflow(count, word, &bytes) && core_range_is_sound(address, bytes));
}

static bool sound_rows(CUdeviceptr address, size_t pitch, size_t width, size_t rows, size_t word)
{
    struct side side = {.type = CU_MEMORYTYPE_DEVICE, .device = address, .pitch = pitch};
    size_t bytes;
    return likely(!arena_may_hold(address)) ||
           (!__builtin_mul_overflow(width, word, &bytes) && sound_side(&side, bytes, rows, 1));
}

#define SET(symbol, async, type, value)                                                            \
    CHECKED2(symbol, _ptds, (CUdeviceptr dstDevice, type value, size_t N), (dstDevice, value, N),  \
             sound_words(dstDevice, N, sizeof value))                                              \
    CHECKED2(async, _ptsz, (CUdeviceptr dstDevice, type value, size_t N, CUstream hStream),        \
             (dstDevice, value, N, hStream), sound_words(dstDevice, N, sizeof value))
SET(cuMemsetD8_v2, cuMemsetD8Async, unsigned char, uc)
SET(cuMemsetD16_v2, cuMemsetD16Async, unsigned short, us)
SET(cuMemsetD32_v2, cuMemsetD32Async, unsigned int, ui)

#define SET_2D(symbol, async, type, value)                                                         \
    CHECKED2(symbol, _ptds,                                                                        \
             (CUdeviceptr dstDevice, size_t dstPitch, type value, size_t Width, size_t Height),    \
             (dstDevice, dstPitch, value, Width, Height),                                          \
             sound_rows(dstDevice, dstPitch, Width, Height, sizeof value))                         \
    CHECKED2(async, _ptsz,                                                                         \
             (CUdeviceptr dstDevice, size_t dstPitch, type value, size_t Width, size_t Height,     \
              CUstream hStream),                                                                   \
             (dstDevice, dstPitch, value, Width, Height, hStream),                                 \
             sound_rows(dstDevice, dstPitch, Width, Height, sizeof value))
SET_2D(cuMemsetD2D8_v2, cuMemsetD2D8Async, unsigned char, uc)
SET_2D(cuMemsetD2D16_v2, cuMemsetD2D16Async, unsigned short, us)
SET_2D(cuMemsetD2D32_v2, cuMemsetD2D32Async, unsigned int, ui)
