/* copy.c: all copies. Each becomes a box (width, height, depth) between two sides, and one
 * operation.
 *
 * When a call returns (driver API reference, "API synchronization behavior"):
 *   pageable to device   once the source was read; up to 64 KiB the copy itself may still be under
 * way device to pageable   when the copy is done pinned and device    the synchronous functions
 * when it is done, the asynchronous at once device and device    at once, also from the synchronous
 * functions host and host        when it is done
 */
#include "cost.h"
#include "impl.h"

#include <stdlib.h>
#include <sys/mman.h>

#define STAGED_MOST ((size_t)64 << 10)

enum place { PLACE_PAGEABLE, PLACE_PINNED, PLACE_DEVICE };

/* One side: first byte and how far apart rows and layers are. */
struct side {
    struct span span;
    size_t pitch, layer;
    enum place place;
    bool sync_memops;
    char *array_data;
};
struct box {
    size_t width, height, depth;
};

struct copy_op {
    struct op op;
    struct box box;
    struct side to, from;
    int to_use, from_use; /* -1: an array or staged */
};

static size_t reach(const struct side *side, const struct box *box)
{
    return (box->depth - 1) * side->layer + (box->height - 1) * side->pitch + box->width;
}

/* False when the sizes are such that reach() would wrap. */
static bool sane(const struct side *side, const struct box *box)
{
    size_t total, rows;

    return !__builtin_mul_overflow(box->depth - 1, side->layer, &total) &&
           !__builtin_mul_overflow(box->height - 1, side->pitch, &rows) &&
           !__builtin_add_overflow(total, rows, &total) &&
           !__builtin_add_overflow(total, box->width, &total) &&
           !__builtin_add_overflow(total, side->span.address, &total);
}

static CUresult resolve_array_locked(struct side *side, const struct box *box)
{
    const struct array *array = array_get(side->span.array);

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    if (side->span.address > array->bytes || reach(side, box) > array->bytes - side->span.address)
        return CUDA_ERROR_INVALID_VALUE;
    side->place = PLACE_DEVICE;
    side->array_data = array->data + side->span.address;
    return CUDA_SUCCESS;
}

static CUresult resolve_range_locked(struct side *side, const struct box *box,
                                     const struct range *range, const struct ctx *ctx, unsigned how)
{
    if (range_fault_locked(range, side->span.address, reach(side, box), ctx, how, UINT64_MAX))
        return CUDA_ERROR_INVALID_VALUE;
    side->sync_memops = range->sync_memops;
    if (!range_is_host(range)) {
        side->place = PLACE_DEVICE;
        return side->span.kind == SPAN_IS_HOST && range->kind != RANGE_MANAGED
                   ? CUDA_ERROR_INVALID_VALUE
                   : CUDA_SUCCESS;
    }
    side->place = PLACE_PINNED;
    /* As a device address it must be one for this context; as a host address it always serves. */
    if (side->span.kind == SPAN_IS_DEVICE && !range_reachable_locked(range, ctx, how & USE_WRITE))
        return CUDA_ERROR_INVALID_VALUE;
    return side->span.kind == SPAN_IS_HOST && range->kind == RANGE_ALIAS ? CUDA_ERROR_INVALID_VALUE
                                                                         : CUDA_SUCCESS;
}

/* What a side is, or INVALID_VALUE: a range that no single live allocation holds. */
static CUresult resolve_locked(struct side *side, const struct box *box, const struct ctx *ctx,
                               unsigned how)
{
    const struct range *range;

    if (!sane(side, box))
        return CUDA_ERROR_INVALID_VALUE;
    if (side->span.kind == SPAN_IS_ARRAY)
        return resolve_array_locked(side, box);
    range = range_find_locked(side->span.address);
    if (range)
        return resolve_range_locked(side, box, range, ctx, how);
    if (side->span.kind == SPAN_IS_DEVICE || !side->span.address ||
        range_is_window(side->span.address))
        return CUDA_ERROR_INVALID_VALUE;
    side->place = PLACE_PAGEABLE;
    return CUDA_SUCCESS;
}

static double host_share_locked(const struct side *side, const struct box *box)
{
    return side->span.kind == SPAN_IS_ARRAY
               ? 0
               : cost_host_share_locked(side->span.address, reach(side, box));
}

static uint64_t cost_of(const struct op *op)
{
    const struct copy_op *copy = (const struct copy_op *)op;
    const struct box *box = &copy->box;

    return cost_copy(host_share_locked(&copy->to, box), host_share_locked(&copy->from, box),
                     box->width * box->height * box->depth);
}

/* What was ever written there, found by its pages. */
static void move_written(char *to, const char *from, size_t width)
{
    enum { PAGE = 4096, PAGES = 4096 };
    unsigned char there[PAGES];
    uintptr_t first = (uintptr_t)from & ~(uintptr_t)(PAGE - 1), end = (uintptr_t)from + width;

    for (uintptr_t at = first; at < end; at += (size_t)PAGES * PAGE) {
        size_t pages = (end - at + PAGE - 1) / PAGE;

        pages = pages < PAGES ? pages : PAGES;
        if (mincore((void *)at, pages * PAGE, there))
            sim_refuse("mincore failed");
        for (size_t i = 0; i < pages; i++) {
            uintptr_t page = at + i * PAGE, start = page < (uintptr_t)from ? (uintptr_t)from : page;
            uintptr_t stop = page + PAGE < end ? page + PAGE : end;

            if (there[i] & 1)
                memmove(to + (start - (uintptr_t)from), (const void *)start, stop - start);
        }
    }
}

static bool between_mappings(const struct copy_op *copy)
{
    return copy->to_use >= 0 && copy->from_use >= 0 && copy->op.uses[copy->to_use].place &&
           copy->op.uses[copy->from_use].place;
}

static void run_copy(struct op *op)
{
    const struct copy_op *copy = (const struct copy_op *)op;
    char *to = copy->to_use < 0 ? copy->to.array_data : op->uses[copy->to_use].cpu;
    const char *from = op->owned            ? op->owned
                       : copy->from_use < 0 ? copy->from.array_data
                                            : op->uses[copy->from_use].cpu;
    size_t width = copy->box.width < sim_settings.content ? copy->box.width : sim_settings.content;

    for (size_t z = 0; z < copy->box.depth; z++)
        for (size_t y = 0; y < copy->box.height; y++) {
            char *row = to + z * copy->to.layer + y * copy->to.pitch;
            const char *source = from + z * copy->from.layer + y * copy->from.pitch;

            if (width < copy->box.width && between_mappings(copy))
                move_written(row, source, copy->box.width);
            else
                memmove(row, source, width);
        }
}

static int use_side_locked(struct op *op, const struct side *side, const struct box *box,
                           unsigned how)
{
    if (side->span.kind == SPAN_IS_ARRAY)
        return -1;
    op_use_locked(op, side->span.address, reach(side, box), how);
    return op->use_count - 1;
}

static bool waits(const struct side *to, const struct side *from, enum copy_mode mode)
{
    if (to->sync_memops || from->sync_memops)
        return mode == COPY_SYNC;
    if (to->place == PLACE_DEVICE && from->place == PLACE_DEVICE)
        return false;
    if (to->place != PLACE_DEVICE && from->place != PLACE_DEVICE)
        return true;
    return mode == COPY_SYNC || to->place == PLACE_PAGEABLE || from->place == PLACE_PAGEABLE;
}

/* Reads a small pageable source now, so that the call may return before the copy ran. */
static bool stage(struct copy_op *copy, enum copy_mode mode)
{
    bool usual = copy->from.place == PLACE_PAGEABLE && copy->to.place == PLACE_DEVICE &&
                 copy->box.width <= STAGED_MOST && !(copy->to.sync_memops && mode == COPY_SYNC);

    if (copy->box.height * copy->box.depth != 1 || copy->from.place == PLACE_DEVICE ||
        (!usual && mode != COPY_EPHEMERAL))
        return false;
    copy->op.owned = malloc(copy->box.width);
    memcpy(copy->op.owned, (const char *)(uintptr_t)copy->from.span.address, copy->box.width);
    copy->from_use = -1;
    return true;
}

static CUresult submit_locked(struct stream *stream, struct side *to, struct side *from,
                              const struct box *box, enum copy_mode mode)
{
    struct copy_op *copy;
    CUresult result = resolve_locked(to, box, stream->ctx, USE_WRITE);
    bool wait;

    if (result == CUDA_SUCCESS)
        result = resolve_locked(from, box, stream->ctx, 0);
    if (result != CUDA_SUCCESS)
        return result;
    if (mode == COPY_SYNC && stream->capture) { /* a wait inside a capture */
        stream->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    copy = op_new(sizeof(*copy), "copy", run_copy);
    copy->box = *box;
    copy->to = *to;
    copy->from = *from;
    copy->to_use = use_side_locked(&copy->op, to, box, USE_WRITE);
    copy->op.cost = cost_of;
    wait = waits(to, from, mode);
    if (!stream->capture && stage(copy, mode))
        wait = false;
    else
        copy->from_use = use_side_locked(&copy->op, from, box, 0);
    return engine_submit_locked(stream, &copy->op, wait);
}

/* Any copy. An empty one is a success without a look at its addresses. */
static CUresult submit(struct side *to, struct side *from, const struct box *box, CUstream handle,
                       enum copy_mode mode)
{
    struct stream *stream;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream && box->width && box->height && box->depth)
        result = submit_locked(stream, to, from, box, mode);
    sim_leave();
    return result;
}

CUresult sim_copy(struct span to, struct span from, size_t bytes, CUstream stream,
                  enum copy_mode mode)
{
    struct side to_side = {.span = to}, from_side = {.span = from};

    if (sim_null())
        return CUDA_SUCCESS;
    return submit(&to_side, &from_side, &(struct box){bytes, 1, 1}, stream, mode);
}

CUresult sim_copy_check(struct span to, struct span from, size_t bytes, CUstream handle)
{
    struct side to_side = {.span = to}, from_side = {.span = from};
    const struct box box = {bytes, 1, 1};
    const struct stream *stream;
    CUresult result;

    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream && bytes)
        result = resolve_locked(&to_side, &box, stream->ctx, USE_WRITE);
    if (stream && bytes && result == CUDA_SUCCESS)
        result = resolve_locked(&from_side, &box, stream->ctx, 0);
    sim_leave();
    return result;
}

CUresult sim_copy_peer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                       CUcontext from_context, size_t bytes, CUstream stream, enum copy_mode mode)
{
    if (!ctx_get(to_context) || !ctx_get(from_context))
        return CUDA_ERROR_INVALID_CONTEXT;
    return sim_copy(SPAN_DEVICE(to), SPAN_DEVICE(from), bytes, stream, mode);
}

/* --- boxes ---------------------------------------------------------------------------------------
 */

/* A side of a 2D or 3D copy as the caller describes it. */
struct corner {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    CUarray array;
    size_t x, y, z, lod, pitch, height;
};

static CUresult side_from_corner(struct side *side, const struct corner *corner,
                                 const struct box *box)
{
    const struct array *array;
    size_t pitch = corner->pitch, height = corner->height ? corner->height : box->height;
    uint64_t base;

    *side = (struct side){.span.array = NULL};
    if (corner->lod)
        return CUDA_ERROR_INVALID_VALUE;
    if (corner->type == CU_MEMORYTYPE_ARRAY) {
        array = array_get(corner->array);
        if (!array)
            return CUDA_ERROR_INVALID_HANDLE;
        if (corner->x > array->row || box->width > array->row - corner->x ||
            corner->y > array->rows || box->height > array->rows - corner->y ||
            corner->z > array->layers || box->depth > array->layers - corner->z ||
            corner->x % array->element) /* "must be evenly divisible by the array element size" */
            return CUDA_ERROR_INVALID_VALUE;
        pitch = array->row;
        height = array->rows;
        base = 0;
        side->span = SPAN_ARRAY(corner->array, 0);
    } else if (corner->type == CU_MEMORYTYPE_HOST) {
        base = (uintptr_t)corner->host;
        side->span = SPAN_HOST(0);
    } else if (corner->type == CU_MEMORYTYPE_DEVICE || corner->type == CU_MEMORYTYPE_UNIFIED) {
        base = corner->device;
        side->span = corner->type == CU_MEMORYTYPE_DEVICE ? SPAN_DEVICE(0) : SPAN_ANY(0);
    } else {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!pitch && box->height * box->depth <= 1)
        pitch = box->width + corner->x;
    if (pitch < box->width || corner->x > pitch - box->width || height < box->height ||
        __builtin_mul_overflow(pitch, height, &side->layer) || corner->y > SIZE_MAX >> 32 ||
        corner->z > SIZE_MAX >> 32)
        return CUDA_ERROR_INVALID_VALUE;
    side->pitch = pitch;
    side->span.address = base + corner->z * side->layer + corner->y * pitch + corner->x;
    return CUDA_SUCCESS;
}

static CUresult submit_box(const struct corner *to, const struct corner *from,
                           const struct box *box, CUstream stream, enum copy_mode mode)
{
    struct side to_side, from_side;
    CUresult result;

    if (sim_null() || !box->width || !box->height || !box->depth)
        return CUDA_SUCCESS;
    result = side_from_corner(&to_side, to, box);
    if (result == CUDA_SUCCESS)
        result = side_from_corner(&from_side, from, box);
    return result == CUDA_SUCCESS ? submit(&to_side, &from_side, box, stream, mode) : result;
}

CUresult sim_copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, enum copy_mode mode)
{
    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_box(&(struct corner){c->dstMemoryType, c->dstHost, c->dstDevice, c->dstArray,
                                       c->dstXInBytes, c->dstY, 0, 0, c->dstPitch, 0},
                      &(struct corner){c->srcMemoryType, c->srcHost, c->srcDevice, c->srcArray,
                                       c->srcXInBytes, c->srcY, 0, 0, c->srcPitch, 0},
                      &(struct box){c->WidthInBytes, c->Height, 1}, stream, mode);
}

/* CUDA_MEMCPY3D and CUDA_MEMCPY3D_PEER have the same members but for the contexts. */
#define BOX_COPY(c)                                                                                \
    submit_box(&(struct corner){(c)->dstMemoryType, (c)->dstHost, (c)->dstDevice, (c)->dstArray,   \
                                (c)->dstXInBytes, (c)->dstY, (c)->dstZ, (c)->dstLOD,               \
                                (c)->dstPitch, (c)->dstHeight},                                    \
               &(struct corner){(c)->srcMemoryType, (c)->srcHost, (c)->srcDevice, (c)->srcArray,   \
                                (c)->srcXInBytes, (c)->srcY, (c)->srcZ, (c)->srcLOD,               \
                                (c)->srcPitch, (c)->srcHeight},                                    \
               &(struct box){(c)->WidthInBytes, (c)->Height, (c)->Depth}, stream, mode)

CUresult sim_copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, enum copy_mode mode)
{
    return copy ? BOX_COPY(copy) : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_copy_3d_peer(const CUDA_MEMCPY3D_PEER *copy, CUstream stream, enum copy_mode mode)
{
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    if ((copy->dstMemoryType != CU_MEMORYTYPE_HOST && !ctx_get(copy->dstContext)) ||
        (copy->srcMemoryType != CU_MEMORYTYPE_HOST && !ctx_get(copy->srcContext)))
        return CUDA_ERROR_INVALID_CONTEXT;
    return BOX_COPY(copy);
}
