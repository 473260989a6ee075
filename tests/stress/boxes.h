/* boxes.h: copies from block to block by every function there is: lines, planes, boxes, batches,
 * between peers, with each side named as what it is.
 */
#ifndef HYBRIDMEM_STRESS_BOXES_H
#define HYBRIDMEM_STRESS_BOXES_H

#include "work.h"

/* --- lines -------------------------------------------------------------------------------------
 */

static inline void line_async(struct worker *w, const struct block *to, size_t to_at,
                              const struct block *from, size_t from_at, size_t size, CUstream s)
{
    CUdeviceptr dst = to->device + to_at, src = from->device + from_at;

    if (to->host && stress_below(w, 2))
        DO(cuMemcpyDtoHAsync(to->host + to_at, src, size, s));
    else if (from->host && stress_below(w, 2))
        DO(cuMemcpyHtoDAsync(dst, from->host + from_at, size, s));
    else if (stress_below(w, 3) == 0)
        DO(cuMemcpyAsync(dst, src, size, s));
    else if (stress_below(w, 2))
        DO(cuMemcpyDtoDAsync(dst, src, size, s));
    else
        DO(cuMemcpyPeerAsync(dst, host.context, src, host.context, size, s));
}

static inline void line_now(struct worker *w, const struct block *to, size_t to_at,
                            const struct block *from, size_t from_at, size_t size)
{
    CUdeviceptr dst = to->device + to_at, src = from->device + from_at;

    if (to->host && stress_below(w, 2))
        DO(cuMemcpyDtoH(to->host + to_at, src, size));
    else if (from->host && stress_below(w, 2))
        DO(cuMemcpyHtoD(dst, from->host + from_at, size));
    else if (stress_below(w, 3) == 0)
        DO(cuMemcpy(dst, src, size));
    else if (stress_below(w, 2))
        DO(cuMemcpyDtoD(dst, src, size));
    else
        DO(cuMemcpyPeer(dst, host.context, src, host.context, size));
}

static inline void kernel_copy(struct worker *w, CUdeviceptr dst, CUdeviceptr src, uint64_t words,
                               int lane)
{
    launch(w, host.copy, lane, (void *[]){&dst, &src, &words});
}

/* Two halves in one call. Lane 0 is no stream for a batch. */
static inline void line_batch(struct worker *w, CUdeviceptr dst, CUdeviceptr src, size_t size,
                              int lane)
{
    size_t half = size / 2, sizes[] = {half, size - half}, first = 0;
    CUdeviceptr dsts[] = {dst, dst + half}, srcs[] = {src, src + half};
    CUmemcpyAttributes attributes = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};

    DO(cuMemcpyBatchAsync(dsts, srcs, sizes, 2, &attributes, &first, 1, w->lane[lane]));
}

static inline void op_line(struct worker *w, struct block *to, struct block *from)
{
    size_t size = stress_size(w, to->size < from->size ? to->size : from->size);
    size_t to_at = stress_below(w, to->size - size + 1);
    size_t from_at = stress_below(w, from->size - size + 1);
    int lane = lane_any(w);

    if (stress_below(w, 8) == 0)
        lane = LANE_DEFAULT;
    block_order(w, from, lane);
    block_order(w, to, lane);
    block_note(w, from, "copy from here", from_at, size);
    block_note(w, to, "copy to here", to_at, size);
    if (lane == LANE_DEFAULT) {
        line_now(w, to, to_at, from, from_at, size);
    } else if (lane != LANE_LEGACY && size > 1 && stress_below(w, 4) == 0) {
        line_batch(w, to->device + to_at, from->device + from_at, size, lane);
    } else if ((to_at | from_at | size) % 4 == 0 && stress_below(w, 2)) {
        kernel_copy(w, to->device + to_at, from->device + from_at, size / 4, lane);
    } else {
        line_async(w, to, to_at, from, from_at, size, w->lane[lane]);
    }
    memcpy(to->bytes + to_at, from->bytes + from_at, size);
}

/* --- planes and boxes --------------------------------------------------------------------------
 */

struct corner {
    size_t x, y, z, pitch, height;
    CUmemorytype type;
};
struct extent {
    size_t width, rows, layers;
};

static inline size_t offset(const struct corner *c, size_t y, size_t z)
{
    return ((c->z + z) * c->height + c->y + y) * c->pitch + c->x;
}

/* A random place for the box in the block; false if it found none. */
static inline bool place(struct worker *w, const struct block *b, const struct extent *e,
                         struct corner *c)
{
    c->pitch = e->width + stress_below(w, e->width + 64);
    c->x = stress_below(w, c->pitch - e->width + 1);
    c->y = stress_below(w, 3);
    c->z = e->layers > 1 ? stress_below(w, 2) : 0;
    c->height = c->y + e->rows + stress_below(w, 3);
    c->type = b->host && stress_below(w, 3) == 0 ? CU_MEMORYTYPE_HOST
              : stress_below(w, 2)               ? CU_MEMORYTYPE_DEVICE
                                                 : CU_MEMORYTYPE_UNIFIED;
    return offset(c, e->rows - 1, e->layers - 1) + e->width <= b->size;
}

static inline void plane(struct worker *w, const struct block *to, const struct corner *tc,
                         const struct block *from, const struct corner *fc, const struct extent *e,
                         int lane)
{
    const CUDA_MEMCPY2D copy = {.srcXInBytes = fc->x,
                                .srcY = fc->y,
                                .srcMemoryType = fc->type,
                                .srcHost = from->host,
                                .srcDevice = from->device,
                                .srcPitch = fc->pitch,
                                .dstXInBytes = tc->x,
                                .dstY = tc->y,
                                .dstMemoryType = tc->type,
                                .dstHost = to->host,
                                .dstDevice = to->device,
                                .dstPitch = tc->pitch,
                                .WidthInBytes = e->width,
                                .Height = e->rows};

    if (lane != LANE_DEFAULT)
        DO(cuMemcpy2DAsync(&copy, w->lane[lane]));
    else if (stress_below(w, 2))
        DO(cuMemcpy2D(&copy));
    else
        DO(cuMemcpy2DUnaligned(&copy));
}

/* CUDA_MEMCPY3D and CUDA_MEMCPY3D_PEER, whose members have the same names. */
#define BOX                                                                                        \
    {                                                                                              \
        .srcXInBytes = fc->x, .srcY = fc->y, .srcZ = fc->z, .srcMemoryType = fc->type,             \
        .srcHost = from->host, .srcDevice = from->device, .srcPitch = fc->pitch,                   \
        .srcHeight = fc->height, .dstXInBytes = tc->x, .dstY = tc->y, .dstZ = tc->z,               \
        .dstMemoryType = tc->type, .dstHost = to->host, .dstDevice = to->device,                   \
        .dstPitch = tc->pitch, .dstHeight = tc->height, .WidthInBytes = e->width,                  \
        .Height = e->rows, .Depth = e->layers                                                      \
    }

static inline void box(struct worker *w, const struct block *to, const struct corner *tc,
                       const struct block *from, const struct corner *fc, const struct extent *e,
                       int lane)
{
    const CUDA_MEMCPY3D copy = BOX;
    CUDA_MEMCPY3D_PEER peer = BOX;

    peer.srcContext = peer.dstContext = host.context;
    if (lane != LANE_DEFAULT && stress_below(w, 2))
        DO(cuMemcpy3DAsync(&copy, w->lane[lane]));
    else if (lane != LANE_DEFAULT)
        DO(cuMemcpy3DPeerAsync(&peer, w->lane[lane]));
    else if (stress_below(w, 2))
        DO(cuMemcpy3D(&copy));
    else
        DO(cuMemcpy3DPeer(&peer));
}

static inline void box_batch(struct worker *w, const struct block *to, const struct corner *tc,
                             const struct block *from, const struct corner *fc,
                             const struct extent *e, int lane)
{
    CUDA_MEMCPY3D_BATCH_OP op = {
        .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER,
                .op.ptr = {from->device + offset(fc, 0, 0), fc->pitch, fc->height, {0}}},
        .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER,
                .op.ptr = {to->device + offset(tc, 0, 0), tc->pitch, tc->height, {0}}},
        .extent = {e->width, e->rows, e->layers},
        .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};

    DO(cuMemcpy3DBatchAsync(1, &op, 0, w->lane[lane]));
}

static inline void op_box(struct worker *w, struct block *to, struct block *from)
{
    size_t least = to->size < from->size ? to->size : from->size;
    struct extent e = {0, 1 + stress_below(w, 12), 1 + stress_below(w, 3)};
    struct corner tc, fc;
    int lane = lane_any(w);

    e.width = stress_size(w, least / (e.rows * e.layers) + 1);
    if (!place(w, to, &e, &tc) || !place(w, from, &e, &fc))
        return;
    block_order(w, from, lane);
    block_order(w, to, lane);
    block_note(w, from, "box from here", offset(&fc, 0, 0), e.width);
    block_note(w, to, "box to here", offset(&tc, 0, 0), e.width);
    if (e.layers == 1)
        plane(w, to, &tc, from, &fc, &e, lane);
    else if (lane != LANE_LEGACY && lane != LANE_DEFAULT && stress_below(w, 3) == 0)
        box_batch(w, to, &tc, from, &fc, &e, lane);
    else
        box(w, to, &tc, from, &fc, &e, lane);
    for (size_t z = 0; z < e.layers; z++)
        for (size_t y = 0; y < e.rows; y++)
            memcpy(to->bytes + offset(&tc, y, z), from->bytes + offset(&fc, y, z), e.width);
}

#endif
