/* batch.c: many copies in one call, "the batch as a whole" in stream order. All are checked before
 * the first is enqueued. Here they run one after the other. */
#include "engine.h"
#include "impl.h"

static void fail_at(size_t *failed, size_t index)
{
    if (failed)
        *failed = index;
}

static bool order_known(CUmemcpySrcAccessOrder order)
{
    return order >= CU_MEMCPY_SRC_ACCESS_ORDER_STREAM && order <= CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

/* "The stream ... Must not be legacy NULL stream." */
static bool stream_allowed(CUstream stream)
{
    return stream && stream != CU_STREAM_LEGACY;
}

static bool attribute_sane(const CUmemcpyAttributes *a)
{
    return order_known(a->srcAccessOrder) &&
           !(a->flags & ~(unsigned)CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE);
}

static bool attributes_sane(size_t count, const CUmemcpyAttributes *attributes,
                            const size_t *firsts, size_t attribute_count)
{
    if (!attributes || !firsts || !attribute_count || attribute_count > count || firsts[0])
        return false;
    for (size_t i = 0; i < attribute_count; i++)
        if (!attribute_sane(&attributes[i]) || firsts[i] >= count ||
            (i && firsts[i] <= firsts[i - 1]))
            return false;
    return true;
}

static enum copy_mode kind_of(const CUmemcpyAttributes *a)
{
    return a->srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL ? COPY_EPHEMERAL
                                                                           : COPY_ASYNC;
}

/* One copy; the documentation excludes no stream. */
CUresult sim_copy_with_attributes(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                  const CUmemcpyAttributes *attributes, CUstream stream)
{
    if (!attributes || !attribute_sane(attributes))
        return CUDA_ERROR_INVALID_VALUE;
    return sim_null() ? CUDA_SUCCESS
                      : sim_copy(SPAN_ANY(to), SPAN_ANY(from), bytes, stream, kind_of(attributes));
}

CUresult sim_copy_batch(const CUdeviceptr *to, const CUdeviceptr *from, const size_t *bytes,
                        size_t count, const CUmemcpyAttributes *attributes, const size_t *firsts,
                        size_t attribute_count, size_t *failed, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    size_t which = 0;

    fail_at(failed, SIZE_MAX); /* "SIZE_MAX" where no one copy is to blame */
    if (!count || !to || !from || !bytes || !stream_allowed(stream) ||
        !attributes_sane(count, attributes, firsts, attribute_count))
        return CUDA_ERROR_INVALID_VALUE;
    if (sim_null())
        return CUDA_SUCCESS;
    for (size_t i = 0; i < count; i++) {
        result = sim_copy_check(SPAN_ANY(to[i]), SPAN_ANY(from[i]), bytes[i], stream);
        if (result != CUDA_SUCCESS) {
            fail_at(failed, i);
            return result;
        }
    }
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        if (which + 1 < attribute_count && firsts[which + 1] == i)
            which++;
        result = sim_copy(SPAN_ANY(to[i]), SPAN_ANY(from[i]), bytes[i], stream,
                          kind_of(&attributes[which]));
    }
    return result;
}

/* --- boxes ---------------------------------------------------------------------------------------
 */

/* Bytes of an element: of the arrays, which must agree, else 1. 0: no such array, or no agreement.
 */
static size_t element_bytes(const CUDA_MEMCPY3D_BATCH_OP *op)
{
    const CUmemcpy3DOperand *sides[] = {&op->src, &op->dst};
    size_t element = 0;

    for (int i = 0; i < 2; i++) {
        const struct array *array;

        if (sides[i]->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
            continue;
        array = array_get(sides[i]->op.array.array);
        if (!array || (element && element != array->element))
            return 0;
        element = array->element;
    }
    return element ? element : 1;
}

static bool operand_sane(const CUmemcpy3DOperand *operand, const CUextent3D *extent)
{
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY)
        return true;
    return operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER &&
           (!operand->op.ptr.rowLength || operand->op.ptr.rowLength >= extent->width) &&
           (!operand->op.ptr.layerHeight || operand->op.ptr.layerHeight >= extent->height);
}

/* One side of a CUDA_MEMCPY3D: its members have the same names but for src and dst. */
#define PUT_SIDE(copy, side, operand, element, extent)                                             \
    do {                                                                                           \
        if ((operand)->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {                                     \
            (copy)->side##MemoryType = CU_MEMORYTYPE_ARRAY;                                        \
            (copy)->side##Array = (operand)->op.array.array;                                       \
            (copy)->side##XInBytes = (operand)->op.array.offset.x * (element);                     \
            (copy)->side##Y = (operand)->op.array.offset.y;                                        \
            (copy)->side##Z = (operand)->op.array.offset.z;                                        \
        } else {                                                                                   \
            size_t row_ = (operand)->op.ptr.rowLength;                                             \
            (copy)->side##MemoryType = CU_MEMORYTYPE_UNIFIED;                                      \
            (copy)->side##Device = (operand)->op.ptr.ptr;                                          \
            (copy)->side##Pitch = (row_ ? row_ : (extent)->width) * (element);                     \
            (copy)->side##Height = (operand)->op.ptr.layerHeight;                                  \
        }                                                                                          \
    } while (0)

static CUresult copy_box(const CUDA_MEMCPY3D_BATCH_OP *op, CUstream stream)
{
    const CUextent3D *extent = &op->extent;
    size_t element = element_bytes(op);
    CUDA_MEMCPY3D copy = {0};

    if (!order_known(op->srcAccessOrder) || !extent->width || !extent->height || !extent->depth ||
        !operand_sane(&op->src, extent) || !operand_sane(&op->dst, extent))
        return CUDA_ERROR_INVALID_VALUE;
    if (!element)
        return CUDA_ERROR_INVALID_VALUE;
    PUT_SIDE(&copy, src, &op->src, element, extent);
    PUT_SIDE(&copy, dst, &op->dst, element, extent);
    copy.WidthInBytes = extent->width * element;
    copy.Height = extent->height;
    copy.Depth = extent->depth;
    return sim_copy_3d(&copy, stream, COPY_ASYNC);
}

CUresult sim_copy_3d_batch(size_t count, const CUDA_MEMCPY3D_BATCH_OP *list, size_t *failed,
                           unsigned long long flags, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;

    fail_at(failed, SIZE_MAX);
    if (!count || !list || flags || !stream_allowed(stream))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        result = copy_box(&list[i], stream);
        if (result != CUDA_SUCCESS)
            fail_at(failed, i);
    }
    return result;
}

CUresult sim_copy_3d_with_attributes(const CUDA_MEMCPY3D_BATCH_OP *op, unsigned long long flags,
                                     CUstream stream)
{
    return op && !flags ? copy_box(op, stream) : CUDA_ERROR_INVALID_VALUE;
}
