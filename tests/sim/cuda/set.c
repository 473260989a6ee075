/* set.c: all sets: a value of 1, 2 or 4 bytes into rows. Asynchronous to the host, also from the
 * synchronous functions, unless the target is pinned host memory ("API synchronization behavior").
 */
#include "cost.h"
#include "impl.h"

struct set_op {
    struct op op;
    size_t pitch, width, height; /* width in elements */
    unsigned element, value;
};

static void run_set(struct op *op)
{
    const struct set_op *set = (const struct set_op *)op;
    size_t most = sim_settings.content / set->element;
    size_t width = set->width < most ? set->width : most;

    for (size_t y = 0; y < set->height; y++) {
        char *row = op->uses[0].cpu + y * set->pitch;

        if (set->element == 1)
            memset(row, (int)set->value, width);
        else if (set->element == 2)
            for (size_t x = 0; x < width; x++)
                ((uint16_t *)(void *)row)[x] = (uint16_t)set->value;
        else
            for (size_t x = 0; x < width; x++)
                ((uint32_t *)(void *)row)[x] = set->value;
    }
}

static uint64_t cost_of(const struct op *op)
{
    const struct set_op *set = (const struct set_op *)op;

    return cost_access_locked(op->uses[0].address, op->uses[0].size,
                              set->width * set->height * set->element);
}

static CUresult submit_locked(struct stream *stream, CUdeviceptr to, const struct set_op *what,
                              size_t bytes, enum copy_mode mode)
{
    const struct range *range = range_find_locked(to);
    struct set_op *set;
    bool wait;

    if (!range ||
        range_fault_locked(range, to, bytes, stream->ctx, USE_KERNEL | USE_WRITE, UINT64_MAX))
        return CUDA_ERROR_INVALID_VALUE;
    if (mode == COPY_SYNC && stream->capture) {
        stream->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    wait = mode == COPY_SYNC && (range_is_host(range) || range->sync_memops);
    set = op_new(sizeof(*set), "set", run_set);
    set->pitch = what->pitch;
    set->width = what->width;
    set->height = what->height;
    set->element = what->element;
    set->value = what->value;
    op_use_locked(&set->op, to, bytes, USE_WRITE);
    set->op.cost = cost_of;
    return engine_submit_locked(stream, &set->op, wait);
}

CUresult sim_set(CUdeviceptr to, size_t pitch, unsigned element, unsigned value, size_t width,
                 size_t height, CUstream handle, enum copy_mode mode)
{
    struct set_op what = {
        .pitch = pitch, .width = width, .height = height, .element = element, .value = value};
    struct stream *stream;
    CUresult result;
    size_t row, bytes;

    if (sim_null() || !width || !height)
        return CUDA_SUCCESS;
    if (to % element || (height > 1 && pitch % element) ||
        __builtin_mul_overflow(width, element, &row) || (height > 1 && pitch < row) ||
        __builtin_mul_overflow(height - 1, pitch, &bytes) ||
        __builtin_add_overflow(bytes, row, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(handle, &result);
    if (stream)
        result = submit_locked(stream, to, &what, bytes, mode);
    sim_leave();
    return result;
}
