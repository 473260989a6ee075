/* entry_copy.c: copies and sets.
 *
 * The driver does them: a redirected block is memory that the device reaches at the very address
 * that the host was given. What the driver cannot see is where a block ends inside its arena, so
 * that is checked here, without a lock; with nothing redirected it costs a comparison an address.
 */
#include "shim/array.h"
#include "shim/core.h"
#include "shim/gate.h"
#include "shim/hooks.h"
#include "shim/uploads.h"

/* A call that goes on to the driver if its ranges are sound, and otherwise answers what the driver
 * says of a range that is no allocation's; `note` is told to the predictor before. */
#define CHECKED(symbol, params, args, condition, note)                                             \
    CUresult symbol params                                                                         \
    {                                                                                              \
        if (unlikely(!(condition)))                                                                \
            return CUDA_ERROR_INVALID_VALUE;                                                       \
        note;                                                                                      \
        GATED(driver.symbol args);                                                                 \
    }
/* The legacy and the per-thread flavour. */
#define CHECKED2(symbol, suffix, params, args, condition, note)                                    \
    CHECKED(symbol, params, args, condition, note)                                                 \
    CHECKED(symbol##suffix, params, args, condition, note)
#define NOTHING (void)0

static inline bool sound(CUdeviceptr address, size_t bytes)
{
    return likely(!arena_may_hold(address)) || core_range_is_sound(address, bytes);
}

static inline bool sound_host(const void *address, size_t bytes)
{
    return sound((CUdeviceptr)(uintptr_t)address, bytes);
}

/* What is written, and from where: of consequence only where it is large. */
static inline void from_host(CUdeviceptr dst, const void *src, size_t bytes)
{
    if (bytes >= POL_PHASE_UPLOAD_MIN)
        uploads_copy_from_host(dst, (uint64_t)(uintptr_t)src, bytes);
}

static inline void from_anywhere(CUdeviceptr dst, CUdeviceptr src, size_t bytes)
{
    if (bytes >= POL_PHASE_UPLOAD_MIN)
        uploads_copy(dst, src, bytes);
}

static inline void from_device(CUdeviceptr dst, size_t bytes)
{
    if (bytes >= POL_PHASE_UPLOAD_MIN)
        uploads_write(dst, bytes);
}

/* --- one dimension --------------------------------------------------------------------------- */

CHECKED2(cuMemcpy, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t ByteCount),
         (dst, src, ByteCount), sound(dst, ByteCount) && sound(src, ByteCount),
         from_anywhere(dst, src, ByteCount))
CHECKED2(cuMemcpyAsync, _ptsz,
         (CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream),
         (dst, src, ByteCount, hStream), sound(dst, ByteCount) && sound(src, ByteCount),
         from_anywhere(dst, src, ByteCount))

CHECKED2(cuMemcpyPeer, _ptds,
         (CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
          size_t ByteCount),
         (dstDevice, dstContext, srcDevice, srcContext, ByteCount),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount),
         from_device(dstDevice, ByteCount))
CHECKED2(cuMemcpyPeerAsync, _ptsz,
         (CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
          size_t ByteCount, CUstream hStream),
         (dstDevice, dstContext, srcDevice, srcContext, ByteCount, hStream),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount),
         from_device(dstDevice, ByteCount))

CHECKED2(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount),
         (dstDevice, srcHost, ByteCount),
         sound(dstDevice, ByteCount) && sound_host(srcHost, ByteCount),
         from_host(dstDevice, srcHost, ByteCount))
CHECKED2(cuMemcpyHtoDAsync_v2, _ptsz,
         (CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream),
         (dstDevice, srcHost, ByteCount, hStream),
         sound(dstDevice, ByteCount) && sound_host(srcHost, ByteCount),
         from_host(dstDevice, srcHost, ByteCount))

CHECKED2(cuMemcpyDtoH_v2, _ptds, (void *dstHost, CUdeviceptr srcDevice, size_t ByteCount),
         (dstHost, srcDevice, ByteCount),
         sound_host(dstHost, ByteCount) && sound(srcDevice, ByteCount), NOTHING)
CHECKED2(cuMemcpyDtoHAsync_v2, _ptsz,
         (void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream),
         (dstHost, srcDevice, ByteCount, hStream),
         sound_host(dstHost, ByteCount) && sound(srcDevice, ByteCount), NOTHING)

CHECKED2(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount),
         (dstDevice, srcDevice, ByteCount),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount),
         from_device(dstDevice, ByteCount))
CHECKED2(cuMemcpyDtoDAsync_v2, _ptsz,
         (CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream),
         (dstDevice, srcDevice, ByteCount, hStream),
         sound(dstDevice, ByteCount) && sound(srcDevice, ByteCount),
         from_device(dstDevice, ByteCount))

CHECKED2(cuMemcpyDtoA_v2, _ptds,
         (CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice, size_t ByteCount),
         (dstArray, dstOffset, srcDevice, ByteCount), sound(srcDevice, ByteCount), NOTHING)
CHECKED2(cuMemcpyAtoD_v2, _ptds,
         (CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset, size_t ByteCount),
         (dstDevice, srcArray, srcOffset, ByteCount), sound(dstDevice, ByteCount),
         from_device(dstDevice, ByteCount))

/* A pointer into a redirected block may be given as the host's: it may not run over the end either.
 */
CHECKED2(cuMemcpyHtoA_v2, _ptds,
         (CUarray dstArray, size_t dstOffset, const void *srcHost, size_t ByteCount),
         (dstArray, dstOffset, srcHost, ByteCount), sound_host(srcHost, ByteCount), NOTHING)
CHECKED2(cuMemcpyHtoAAsync_v2, _ptsz,
         (CUarray dstArray, size_t dstOffset, const void *srcHost, size_t ByteCount,
          CUstream hStream),
         (dstArray, dstOffset, srcHost, ByteCount, hStream), sound_host(srcHost, ByteCount),
         NOTHING)
CHECKED2(cuMemcpyAtoH_v2, _ptds,
         (void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount),
         (dstHost, srcArray, srcOffset, ByteCount), sound_host(dstHost, ByteCount), NOTHING)
CHECKED2(cuMemcpyAtoHAsync_v2, _ptsz,
         (void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount, CUstream hStream),
         (dstHost, srcArray, srcOffset, ByteCount, hStream), sound_host(dstHost, ByteCount),
         NOTHING)

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

/* What a large copy writes is noted as if its rows had no gaps between them. */
static void note_planes(const struct side *src, const struct side *dst, size_t width, size_t rows,
                        size_t slices)
{
    CUdeviceptr to = dst->device + (dst->z * dst->height + dst->y) * dst->pitch + dst->x;
    uint64_t from = src->type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)src->host : src->device;
    size_t bytes;

    from += (src->z * src->height + src->y) * src->pitch + src->x;
    if (__builtin_mul_overflow(width, rows, &bytes) ||
        __builtin_mul_overflow(bytes, slices, &bytes) || bytes < POL_PHASE_UPLOAD_MIN ||
        dst->type == CU_MEMORYTYPE_ARRAY || dst->type == CU_MEMORYTYPE_HOST)
        return;
    if (src->type == CU_MEMORYTYPE_HOST)
        uploads_copy_from_host(to, from, bytes);
    else if (src->type == CU_MEMORYTYPE_UNIFIED || dst->type == CU_MEMORYTYPE_UNIFIED)
        uploads_copy(to, from, bytes);
    else
        uploads_write(to, bytes);
}

/* The two sides of a copy in two dimensions, or in three. */
#define SIDE(c, end, ...)                                                                          \
    (struct side)                                                                                  \
    {                                                                                              \
        .type = (c)->end##MemoryType, .device = (c)->end##Device, .host = (c)->end##Host,          \
        .x = (c)->end##XInBytes, .y = (c)->end##Y,                                                 \
        .pitch = (c)->end##Pitch ? (c)->end##Pitch : (c)->WidthInBytes, __VA_ARGS__                \
    }
#define SIDE_2D(c, end) SIDE(c, end, .z = 0)
#define SIDE_3D(c, end)                                                                            \
    SIDE(c, end, .z = (c)->end##Z, .height = (c)->end##Height ? (c)->end##Height : (c)->Height)

static bool sound_2d(const CUDA_MEMCPY2D *c)
{
    if (!c)
        return true; /* the driver's to refuse */
    struct side src = SIDE_2D(c, src), dst = SIDE_2D(c, dst);
    return sound_side(&src, c->WidthInBytes, c->Height, 1) &&
           sound_side(&dst, c->WidthInBytes, c->Height, 1);
}

static void note_2d(const CUDA_MEMCPY2D *c)
{
    if (!c)
        return;
    struct side src = SIDE_2D(c, src), dst = SIDE_2D(c, dst);
    note_planes(&src, &dst, c->WidthInBytes, c->Height, 1);
}

static bool sound_3d(const CUDA_MEMCPY3D *c)
{
    if (!c)
        return true;
    struct side src = SIDE_3D(c, src), dst = SIDE_3D(c, dst);
    return sound_side(&src, c->WidthInBytes, c->Height, c->Depth) &&
           sound_side(&dst, c->WidthInBytes, c->Height, c->Depth);
}

static void note_3d(const CUDA_MEMCPY3D *c)
{
    if (!c)
        return;
    struct side src = SIDE_3D(c, src), dst = SIDE_3D(c, dst);
    note_planes(&src, &dst, c->WidthInBytes, c->Height, c->Depth);
}

CHECKED2(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *pCopy), (pCopy), sound_2d(pCopy),
         note_2d(pCopy))
CHECKED2(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *pCopy, CUstream hStream),
         (pCopy, hStream), sound_2d(pCopy), note_2d(pCopy))
CHECKED2(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *pCopy), (pCopy), sound_2d(pCopy),
         note_2d(pCopy))
CHECKED2(cuMemcpy3D_v2, _ptds, (const CUDA_MEMCPY3D *pCopy), (pCopy), sound_3d(pCopy),
         note_3d(pCopy))
CHECKED2(cuMemcpy3DAsync_v2, _ptsz, (const CUDA_MEMCPY3D *pCopy, CUstream hStream),
         (pCopy, hStream), sound_3d(pCopy), note_3d(pCopy))

/* The two structs differ in what their reserved pointers are called (tests/unit/abi_check.c). */
static bool sound_peer(const CUDA_MEMCPY3D_PEER *c)
{
    return sound_3d((const CUDA_MEMCPY3D *)c);
}

CHECKED2(cuMemcpy3DPeer, _ptds, (const CUDA_MEMCPY3D_PEER *pCopy), (pCopy), sound_peer(pCopy),
         NOTHING)
CHECKED2(cuMemcpy3DPeerAsync, _ptsz, (const CUDA_MEMCPY3D_PEER *pCopy, CUstream hStream),
         (pCopy, hStream), sound_peer(pCopy), NOTHING)

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

static void note_batch(const CUdeviceptr *dsts, const CUdeviceptr *srcs, const size_t *sizes,
                       size_t count)
{
    for (size_t i = 0; dsts && srcs && sizes && i < count; i++)
        from_anywhere(dsts[i], srcs[i], sizes[i]);
}

#define BATCH_PARAMS                                                                               \
    CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count, CUmemcpyAttributes *attrs,  \
        size_t *attrsIdxs, size_t numAttrs
#define BATCH_ARGS dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs

CHECKED2(cuMemcpyBatchAsync, _ptsz, (BATCH_PARAMS, size_t *failIdx, CUstream hStream),
         (BATCH_ARGS, failIdx, hStream), sound_batch(dsts, srcs, sizes, count, failIdx),
         note_batch(dsts, srcs, sizes, count))
CHECKED2(cuMemcpyBatchAsync_v2, _ptsz, (BATCH_PARAMS, CUstream hStream), (BATCH_ARGS, hStream),
         sound_batch(dsts, srcs, sizes, count, NULL), note_batch(dsts, srcs, sizes, count))

CHECKED2(cuMemcpyWithAttributesAsync, _ptsz,
         (CUdeviceptr dst, CUdeviceptr src, size_t size, CUmemcpyAttributes *attr,
          CUstream hStream),
         (dst, src, size, attr, hStream), sound(dst, size) && sound(src, size),
         from_anywhere(dst, src, size))

/* Bytes of an array's element; 1 where they are no whole number or not known. */
static size_t element_bytes(CUarray array)
{
    CUDA_ARRAY3D_DESCRIPTOR d;

    if (driver.cuArray3DGetDescriptor_v2(&d, array) != CUDA_SUCCESS)
        return 1;
    unsigned int bits = array_element_bits(d.Format, d.NumChannels);
    return bits && bits % 8 == 0 ? bits / 8 : 1;
}

/* `other` is the other operand: an array's elements are the unit of both, else that is a byte. */
static bool sound_operand(const CUmemcpy3DOperand *o, const CUmemcpy3DOperand *other,
                          const CUextent3D *extent)
{
    size_t element = 1, width;

    if (o->type != CU_MEMCPY_OPERAND_TYPE_POINTER || likely(!arena_may_hold(o->op.ptr.ptr)))
        return true;
    if (other->type == CU_MEMCPY_OPERAND_TYPE_ARRAY)
        element = element_bytes(other->op.array.array);
    struct side side = {.type = CU_MEMORYTYPE_UNIFIED,
                        .device = o->op.ptr.ptr,
                        .height = o->op.ptr.layerHeight ? o->op.ptr.layerHeight : extent->height};
    return !__builtin_mul_overflow(extent->width, element, &width) &&
           !__builtin_mul_overflow(o->op.ptr.rowLength ? o->op.ptr.rowLength : extent->width,
                                   element, &side.pitch) &&
           sound_side(&side, width, extent->height, extent->depth);
}

/* As sound_batch(). */
static bool sound_boxes(const CUDA_MEMCPY3D_BATCH_OP *ops, size_t count, size_t *failed)
{
    for (size_t i = 0; ops && i < count; i++) {
        const CUDA_MEMCPY3D_BATCH_OP *op = &ops[i];

        if (likely(sound_operand(&op->src, &op->dst, &op->extent) &&
                   sound_operand(&op->dst, &op->src, &op->extent)))
            continue;
        if (failed)
            *failed = i;
        return false;
    }
    return true;
}

#define BOXES_PARAMS size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList
CHECKED2(cuMemcpy3DBatchAsync, _ptsz,
         (BOXES_PARAMS, size_t *failIdx, unsigned long long flags, CUstream hStream),
         (numOps, opList, failIdx, flags, hStream), sound_boxes(opList, numOps, failIdx), NOTHING)
CHECKED2(cuMemcpy3DBatchAsync_v2, _ptsz, (BOXES_PARAMS, unsigned long long flags, CUstream hStream),
         (numOps, opList, flags, hStream), sound_boxes(opList, numOps, NULL), NOTHING)

CHECKED2(cuMemcpy3DWithAttributesAsync, _ptsz,
         (CUDA_MEMCPY3D_BATCH_OP * op, unsigned long long flags, CUstream hStream),
         (op, flags, hStream), sound_boxes(op, 1, NULL), NOTHING)

/* An endpoint is memory of other machines, or is bound to some of ours (entry_export.c). */
static bool sound_fabric(const CUDA_FABRIC_COPY_BATCH_OP *ops, size_t count)
{
    for (size_t i = 0; ops && i < count; i++) {
        const CUfabricCpyOperand *src = &ops[i].src, *dst = &ops[i].dst;

        if ((src->type == CU_FABRIC_COPY_OPERAND_TYPE_POINTER &&
             !sound(src->op.ptr.ptr, ops[i].size)) ||
            (dst->type == CU_FABRIC_COPY_OPERAND_TYPE_POINTER &&
             !sound(dst->op.ptr.ptr, ops[i].size)))
            return false;
    }
    return true;
}

CHECKED2(cuFabricCpyBatchAsync, _ptsz,
         (size_t numOps, CUDA_FABRIC_COPY_BATCH_OP *opList, unsigned long long flags,
          CUstream hStream),
         (numOps, opList, flags, hStream), sound_fabric(opList, numOps), NOTHING)

/* --- discards -------------------------------------------------------------------------------- */

/* Of managed memory, and where devices reach all of the host's, of that: there a range that runs
 * over a block's end would throw away what its neighbour holds (cuMemDiscardBatchAsync). */
CHECKED2(cuMemDiscardBatchAsync, _ptsz,
         (CUdeviceptr * dptrs, size_t *sizes, size_t count, unsigned long long flags,
          CUstream hStream),
         (dptrs, sizes, count, flags, hStream), sound_batch(dptrs, dptrs, sizes, count, NULL),
         NOTHING)
CHECKED2(cuMemDiscardAndPrefetchBatchAsync, _ptsz,
         (CUdeviceptr * dptrs, size_t *sizes, size_t count, CUmemLocation *prefetchLocs,
          size_t *prefetchLocIdxs, size_t numPrefetchLocs, unsigned long long flags,
          CUstream hStream),
         (dptrs, sizes, count, prefetchLocs, prefetchLocIdxs, numPrefetchLocs, flags, hStream),
         sound_batch(dptrs, dptrs, sizes, count, NULL), NOTHING)

/* --- sets ------------------------------------------------------------------------------------ */

static bool sound_words(CUdeviceptr address, size_t count, size_t word)
{
    size_t bytes;
    return likely(!arena_may_hold(address)) ||
           (!__builtin_mul_overflow(count, word, &bytes) && core_range_is_sound(address, bytes));
}

/* Where the product is too large for a size_t, the driver refuses the call. */
static inline void set(CUdeviceptr address, size_t count, size_t word)
{
    from_device(address, count * word);
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
             sound_words(dstDevice, N, sizeof value), set(dstDevice, N, sizeof value))             \
    CHECKED2(async, _ptsz, (CUdeviceptr dstDevice, type value, size_t N, CUstream hStream),        \
             (dstDevice, value, N, hStream), sound_words(dstDevice, N, sizeof value),              \
             set(dstDevice, N, sizeof value))
SET(cuMemsetD8_v2, cuMemsetD8Async, unsigned char, uc)
SET(cuMemsetD16_v2, cuMemsetD16Async, unsigned short, us)
SET(cuMemsetD32_v2, cuMemsetD32Async, unsigned int, ui)

#define SET_2D(symbol, async, type, value)                                                         \
    CHECKED2(symbol, _ptds,                                                                        \
             (CUdeviceptr dstDevice, size_t dstPitch, type value, size_t Width, size_t Height),    \
             (dstDevice, dstPitch, value, Width, Height),                                          \
             sound_rows(dstDevice, dstPitch, Width, Height, sizeof value),                         \
             set(dstDevice, Width, sizeof value *Height))                                          \
    CHECKED2(async, _ptsz,                                                                         \
             (CUdeviceptr dstDevice, size_t dstPitch, type value, size_t Width, size_t Height,     \
              CUstream hStream),                                                                   \
             (dstDevice, dstPitch, value, Width, Height, hStream),                                 \
             sound_rows(dstDevice, dstPitch, Width, Height, sizeof value),                         \
             set(dstDevice, Width, sizeof value *Height))
SET_2D(cuMemsetD2D8_v2, cuMemsetD2D8Async, unsigned char, uc)
SET_2D(cuMemsetD2D16_v2, cuMemsetD2D16Async, unsigned short, us)
SET_2D(cuMemsetD2D32_v2, cuMemsetD2D32Async, unsigned int, ui)
