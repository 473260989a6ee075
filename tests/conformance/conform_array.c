/* conform_array.c: CUDA arrays beside blocks of memory, and batches of copies. Source of the rules:
 * CUDA driver API, "Memory Management": cuArrayCreate, cuMemcpyDtoA, cuMemcpy2D,
 * cuMemcpyBatchAsync. */
#define CONF_GROUP "array"
#include "conform.h"

#define WIDTH  ((size_t)256) /* elements of four bytes */
#define HEIGHT ((size_t)64)
#define BYTES  (WIDTH * 4 * HEIGHT)

static CUarray array(size_t height)
{
    CUDA_ARRAY_DESCRIPTOR shape = {WIDTH, height, CU_AD_FORMAT_UNSIGNED_INT32, 1};
    CUarray made = NULL;

    MUST(cu.ArrayCreate(&made, &shape));
    return made;
}

static const struct {
    const char *name;
    CUDA_ARRAY3D_DESCRIPTOR shape;
} shapes[] = {
    {"1D", {100, 0, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0}},
    {"2D", {100, 50, 0, CU_AD_FORMAT_FLOAT, 4, 0}},
    {"3D", {30, 20, 10, CU_AD_FORMAT_HALF, 2, 0}},
    {"2D surface", {64, 64, 0, CU_AD_FORMAT_SIGNED_INT16, 2, CUDA_ARRAY3D_SURFACE_LDST}},
};
CASES(descriptor, shapes, "cuArray3DGetDescriptor: what the array was created with")
{
    CUDA_ARRAY3D_DESCRIPTOR found = {0};
    CUarray made = NULL;

    MUST(cu.Array3DCreate(&made, &row->shape));
    MUST(cu.Array3DGetDescriptor(&found, made));
    CHECK(found.Width == row->shape.Width && found.Height == row->shape.Height);
    CHECK(found.Depth == row->shape.Depth && found.Format == row->shape.Format);
    CHECK(found.NumChannels == row->shape.NumChannels && found.Flags == row->shape.Flags);
    MUST(cu.ArrayDestroy(made));
}

static const struct {
    const char *name;
    CUDA_ARRAY_DESCRIPTOR shape;
} no_shapes[] = {
    {"no width", {0, 8, CU_AD_FORMAT_FLOAT, 1}},
    {"no channels", {8, 8, CU_AD_FORMAT_FLOAT, 0}},
    {"3 channels", {8, 8, CU_AD_FORMAT_FLOAT, 3}},
    {"5 channels", {8, 8, CU_AD_FORMAT_FLOAT, 5}},
    {"no format", {8, 8, (CUarray_format)0, 1}},
    {"huge", {(size_t)1 << 40, 8, CU_AD_FORMAT_FLOAT, 1}},
};
CASES(refused, no_shapes, "cuArrayCreate: channels are 1, 2 or 4; a width and a format there are")
{
    CUarray made = NULL;

    IS(cu.ArrayCreate(&made, &row->shape), CUDA_ERROR_INVALID_VALUE);
}

CASE(null, "cuArrayCreate: NULL is CUDA_ERROR_INVALID_VALUE")
{
    CUDA_ARRAY_DESCRIPTOR shape = {WIDTH, 1, CU_AD_FORMAT_UNSIGNED_INT32, 1};

    IS(cu.ArrayCreate(NULL, &shape), CUDA_ERROR_INVALID_VALUE);
}

CASE(one_row, "cuMemcpyDtoA, cuMemcpyAtoD: bytes of a 1D array from an offset on")
{
    CUdeviceptr p = conf_alloc(2 * MIB), q = conf_alloc(2 * MIB);
    CUarray made = array(0);

    conf_pattern_block(p, WIDTH * 4, 1);
    MUST(cu.MemcpyDtoA(made, 0, p, WIDTH * 4));
    MUST(cu.MemcpyAtoD(q, made, 0, WIDTH * 4));
    MUST(cu.CtxSynchronize());
    CHECK(conf_patterned_block(q, WIDTH * 4, 1));
    MUST(cu.MemcpyAtoD(q + 2 * MIB - 8, made, WIDTH * 4 - 8, 8));
    MUST(cu.MemcpyDtoA(made, 0, q + 2 * MIB - 8, 8));
    MUST(cu.CtxSynchronize());
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
    conf_free(q);
}

CASE(row_host, "cuMemcpyHtoA, cuMemcpyAtoH, cuMemcpyAtoA and Async: with host memory")
{
    unsigned char source[WIDTH * 4], found[WIDTH * 4] = {0};
    CUarray one = array(0), other = array(0);
    CUstream stream = conf_stream();

    conf_pattern(source, sizeof(source), 2);
    MUST(cu.MemcpyHtoA(one, 0, source, sizeof(source)));
    MUST(cu.MemcpyAtoA(other, 0, one, 0, sizeof(source)));
    MUST(cu.CtxSynchronize());
    MUST(cu.MemcpyAtoH(found, other, 0, sizeof(found)));
    CHECK(conf_patterned(found, sizeof(found), 2));
    conf_pattern(source, sizeof(source), 3);
    MUST(cu.MemcpyHtoAAsync(one, 0, source, sizeof(source), stream));
    MUST(cu.MemcpyAtoHAsync(found, one, 0, sizeof(found), stream));
    conf_stream_end(stream);
    CHECK(conf_patterned(found, sizeof(found), 3));
    MUST(cu.ArrayDestroy(one));
    MUST(cu.ArrayDestroy(other));
}

CASE(row_past_the_end, "cuMemcpyDtoA, cuMemcpyAtoD: over the end of array or block is refused")
{
    CUdeviceptr p = conf_alloc(2 * MIB);
    CUarray made = array(0);

    REFUSED(cu.MemcpyDtoA(made, 4, p, WIDTH * 4));
    REFUSED(cu.MemcpyAtoD(p, made, 4, WIDTH * 4));
    REFUSED(cu.MemcpyAtoD(p + 2 * MIB - 4, made, 0, 8));
    REFUSED(cu.MemcpyDtoA(made, 0, p + 2 * MIB - 4, 8));
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
}

static CUDA_MEMCPY2D to_array(CUarray made, CUdeviceptr p)
{
    return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = p,
                           .srcPitch = WIDTH * 4,
                           .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                           .dstArray = made,
                           .WidthInBytes = WIDTH * 4,
                           .Height = HEIGHT};
}

static CUDA_MEMCPY2D from_array(CUarray made, CUdeviceptr p)
{
    return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                           .srcArray = made,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = p,
                           .dstPitch = WIDTH * 4,
                           .WidthInBytes = WIDTH * 4,
                           .Height = HEIGHT};
}

CASE(plane, "cuMemcpy2D: CU_MEMORYTYPE_ARRAY: the pitch of an array's side is ignored")
{
    CUdeviceptr p = conf_alloc(2 * MIB), q = conf_alloc(2 * MIB);
    CUarray made = array(HEIGHT);
    CUDA_MEMCPY2D copy = to_array(made, p);

    conf_pattern_block(p, BYTES, 4);
    copy.dstPitch = 1;
    MUST(cu.Memcpy2D(&copy));
    copy = from_array(made, q);
    copy.srcPitch = 1;
    MUST(cu.Memcpy2D(&copy));
    MUST(cu.CtxSynchronize());
    CHECK(conf_patterned_block(q, BYTES, 4));
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
    conf_free(q);
}

CASE(plane_part, "cuMemcpy2D: a rectangle of an array")
{
    CUdeviceptr p = conf_alloc(2 * MIB), q = conf_alloc(2 * MIB);
    CUarray made = array(HEIGHT);
    CUDA_MEMCPY2D copy = to_array(made, p);
    unsigned char source[BYTES], found[40] = {0};

    conf_pattern(source, BYTES, 5);
    MUST(cu.MemcpyHtoD(p, source, BYTES));
    MUST(cu.Memcpy2D(&copy));
    copy = from_array(made, q);
    copy.srcXInBytes = 16;
    copy.srcY = 60;
    copy.WidthInBytes = 40;
    copy.Height = 4;
    MUST(cu.Memcpy2D(&copy));
    MUST(cu.CtxSynchronize());
    MUST(cu.MemcpyDtoH(found, q + 3 * WIDTH * 4, 40));
    CHECK(!memcmp(found, source + 63 * WIDTH * 4 + 16, 40));
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
    conf_free(q);
}

CASE(plane_past_the_end, "cuMemcpy2D: a rectangle that leaves its array is refused")
{
    CUdeviceptr p = conf_alloc(2 * MIB);
    CUarray made = array(HEIGHT);
    CUDA_MEMCPY2D copy = to_array(made, p);

    copy.dstXInBytes = 4;
    IS(cu.Memcpy2D(&copy), CUDA_ERROR_INVALID_VALUE);
    copy = to_array(made, p);
    copy.dstY = 1;
    IS(cu.Memcpy2D(&copy), CUDA_ERROR_INVALID_VALUE);
    copy = from_array(made, p + 2 * MIB - BYTES + 4);
    REFUSED(cu.Memcpy2D(&copy));
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
}

CASE(plane_elements, "cuMemcpy2D: for arrays, XInBytes must be divisible by the element's size")
{
    CUdeviceptr p = conf_alloc(2 * MIB);
    CUarray made = array(HEIGHT);
    CUDA_MEMCPY2D copy = to_array(made, p);

    copy.WidthInBytes = 16;
    copy.dstXInBytes = 2;
    REFUSED(cu.Memcpy2D(&copy));
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
}

CASE(box, "cuMemcpy3D: with a 3D array")
{
    CUDA_ARRAY3D_DESCRIPTOR shape = {32, 16, 8, CU_AD_FORMAT_UNSIGNED_INT32, 1, 0};
    CUdeviceptr p = conf_alloc(2 * MIB), q = conf_alloc(2 * MIB);
    const size_t bytes = 32 * 4 * 16 * 8;
    CUarray made = NULL;
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = p,
                          .srcPitch = 128,
                          .srcHeight = 16,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .WidthInBytes = 128,
                          .Height = 16,
                          .Depth = 8};

    MUST(cu.Array3DCreate(&made, &shape));
    conf_pattern_block(p, bytes, 6);
    copy.dstArray = made;
    MUST(cu.Memcpy3D(&copy));
    copy = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                           .srcArray = made,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = q,
                           .dstPitch = 128,
                           .dstHeight = 16,
                           .WidthInBytes = 128,
                           .Height = 16,
                           .Depth = 8};
    MUST(cu.Memcpy3D(&copy));
    MUST(cu.CtxSynchronize());
    CHECK(conf_patterned_block(q, bytes, 6));
    copy.srcZ = 1;
    IS(cu.Memcpy3D(&copy), CUDA_ERROR_INVALID_VALUE);
    MUST(cu.ArrayDestroy(made));
    conf_free(p);
    conf_free(q);
}

CASE(forged, "cuArrayDestroy: what is no array is CUDA_ERROR_INVALID_HANDLE")
{
    conf_forged();
    IS(cu.ArrayDestroy((CUarray)(uintptr_t)0x1230), CUDA_ERROR_INVALID_HANDLE);
}

CASE(mipmapped, "cuMipmappedArrayCreate: memory is taken, cuMipmappedArrayDestroy gives it back")
{
    CUDA_ARRAY3D_DESCRIPTOR shape = {2048, 2048, 0, CU_AD_FORMAT_FLOAT, 1, 0};
    CUmipmappedArray made = NULL;
    size_t before, now, total;

    MUST(cu.MemGetInfo(&before, &total));
    MUST(cu.MipmappedArrayCreate(&made, &shape, 4));
    MUST(cu.MemGetInfo(&now, &total));
    CHECK(before >= now + 2048 * 2048 * 4 / 64 * 85);
    MUST(cu.MipmappedArrayDestroy(made));
    MUST(cu.MemGetInfo(&now, &total));
    CHECK(now == before);
    IS(cu.MipmappedArrayCreate(NULL, &shape, 4), CUDA_ERROR_INVALID_VALUE);
}

/* --- batches ------------------------------------------------------------------------------------
 */

/* Either of the two functions; the younger one does not tell which copy failed. */
static CUresult batch(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t count,
                      CUmemcpyAttributes *attributes, size_t *firsts, size_t some, size_t *failed,
                      CUstream stream)
{
    return cu.MemcpyBatchAsync(to, from, bytes, count, attributes, firsts, some, failed, stream);
}

static CUmemcpyAttributes in_stream_order = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
static size_t first_of_all = 0;

CASE(batch_of_three, "cuMemcpyBatchAsync: every copy of the batch is done, in stream order")
{
    CUdeviceptr p, q;
    unsigned char *bytes;
    CUstream stream;
    size_t failed = 77;

    NEEDS(MemcpyBatchAsync);
    p = conf_alloc(2 * MIB);
    q = conf_alloc(2 * MIB);
    bytes = conf_memory(MIB);
    stream = conf_stream();
    conf_pattern_block(p, MIB, 7);
    CUdeviceptr to[] = {q, q + MIB, (CUdeviceptr)(uintptr_t)bytes};
    CUdeviceptr from[] = {p, p, p};
    size_t sizes[] = {MIB, 12345, MIB};
    conf_spin(3000, stream);
    MUST(batch(to, from, sizes, 3, &in_stream_order, &first_of_all, 1, &failed, stream));
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned_block(q, MIB, 7) && conf_patterned_block(q + MIB, 12345, 7));
    CHECK(conf_patterned(bytes, MIB, 7));
    conf_stream_end(stream);
    free(bytes);
    conf_free(p);
    conf_free(q);
}

static const struct {
    const char *name;
    size_t to, from, bytes; /* of the second copy, of blocks of 2 MiB */
} bad_second[] = {
    {"end of destination", MIB + 1, 0, MIB},
    {"end of source", 0, MIB + 1, MIB},
    {"all too large", 0, 0, 2 * MIB + 1},
};
CASES(batch_past_the_end, bad_second, "cuMemcpyBatchAsync: failIdx is the first that is wrong")
{
    CUdeviceptr p, q;
    CUstream stream;
    size_t failed = 77;

    NEEDS(MemcpyBatchAsync);
    p = conf_alloc(2 * MIB);
    q = conf_alloc(2 * MIB);
    stream = conf_stream();
    CUdeviceptr to[] = {q, q + row->to}, from[] = {p, p + row->from};
    size_t sizes[] = {4096, row->bytes};
    IS(batch(to, from, sizes, 2, &in_stream_order, &first_of_all, 1, &failed, stream),
       CUDA_ERROR_INVALID_VALUE);
    EQUAL(failed, 1);
    conf_stream_end(stream);
    conf_free(p);
    conf_free(q);
}

static const struct {
    const char *name;
    size_t count, some, first;
    int order;
} bad_batches[] = {
    {"no copies", 0, 1, 0, CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
    {"no attributes", 1, 0, 0, CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
    {"more attributes than copies", 1, 2, 0, CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
    {"first index not 0", 2, 1, 1, CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
    {"no order", 1, 1, 0, CU_MEMCPY_SRC_ACCESS_ORDER_INVALID},
};
CASES(batch_refused, bad_batches, "cuMemcpyBatchAsync: counts, attrsIdxs and orders make sense")
{
    CUmemcpyAttributes attributes[2] = {{.srcAccessOrder = (CUmemcpySrcAccessOrder)row->order},
                                        {.srcAccessOrder = (CUmemcpySrcAccessOrder)row->order}};
    size_t firsts[2] = {row->first, row->first + 1}, sizes[2] = {16, 16}, failed = 77;
    CUdeviceptr p;
    CUstream stream;

    NEEDS(MemcpyBatchAsync);
    p = conf_alloc(2 * MIB);
    stream = conf_stream();
    CUdeviceptr to[] = {p, p + MIB}, from[] = {p + 4096, p + 4096};
    IS(batch(to, from, sizes, row->count, attributes, firsts, row->some, &failed, stream),
       CUDA_ERROR_INVALID_VALUE);
    conf_stream_end(stream);
    conf_free(p);
}

CASE(batch_legacy_stream, "cuMemcpyBatchAsync: hStream must not be the legacy NULL stream")
{
    CUdeviceptr p;
    size_t bytes = 16, failed = 77;

    NEEDS(MemcpyBatchAsync);
    p = conf_alloc(2 * MIB);
    CUdeviceptr to[] = {p}, from[] = {p + MIB};
    REFUSED(batch(to, from, &bytes, 1, &in_stream_order, &first_of_all, 1, &failed, NULL));
    conf_free(p);
}

CASE(batch_during_call, "cuMemcpyBatchAsync: DURING_API_CALL: the source may be changed at once")
{
    CUmemcpyAttributes now = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL};
    CUdeviceptr p;
    unsigned char *bytes;
    size_t size = MIB, failed = 77;
    CUstream stream;

    NEEDS(MemcpyBatchAsync);
    p = conf_alloc(2 * MIB);
    bytes = conf_memory(MIB);
    stream = conf_stream();
    conf_pattern(bytes, MIB, 8);
    CUdeviceptr to[] = {p}, from[] = {(CUdeviceptr)(uintptr_t)bytes};
    conf_spin(5000, stream);
    MUST(batch(to, from, &size, 1, &now, &first_of_all, 1, &failed, stream));
    memset(bytes, 0, MIB);
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned_block(p, MIB, 8));
    conf_stream_end(stream);
    free(bytes);
    conf_free(p);
}

CASE(batch_v2, "cuMemcpyBatchAsync (13.0): the same without failIdx")
{
    CUdeviceptr p;
    size_t bytes = MIB;
    CUstream stream;

    NEEDS(MemcpyBatchAsync_v2);
    p = conf_alloc(2 * MIB);
    stream = conf_stream();
    CUdeviceptr to[] = {p + MIB}, from[] = {p};
    conf_pattern_block(p, MIB, 9);
    MUST(cu.MemcpyBatchAsync_v2(to, from, &bytes, 1, &in_stream_order, &first_of_all, 1, stream));
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned_block(p + MIB, MIB, 9));
    bytes = MIB + 1;
    IS(cu.MemcpyBatchAsync_v2(to, from, &bytes, 1, &in_stream_order, &first_of_all, 1, stream),
       CUDA_ERROR_INVALID_VALUE);
    conf_stream_end(stream);
    conf_free(p);
}

CASE(batch_boxes, "cuMemcpy3DBatchAsync: boxes whose rows and layers are counted in elements")
{
    CUdeviceptr p;
    CUstream stream;
    size_t failed = 77;

    NEEDS(Memcpy3DBatchAsync);
    p = conf_alloc(2 * MIB);
    stream = conf_stream();
    conf_pattern_block(p, MIB, 10);
    CUDA_MEMCPY3D_BATCH_OP op = {
        .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = p}},
        .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = p + MIB}},
        .extent = {1024, 32, 32},
        .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    MUST(cu.Memcpy3DBatchAsync(1, &op, &failed, 0, stream));
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned_block(p + MIB, MIB, 10));
    conf_stream_end(stream);
    conf_free(p);
}

CASE(batch_boxes_past_the_end, "cuMemcpy3DBatchAsync: a box over a block's end is refused")
{
    CUdeviceptr p;
    CUstream stream;
    size_t failed = 77;

    NEEDS(Memcpy3DBatchAsync);
    p = conf_alloc(2 * MIB);
    stream = conf_stream();
    CUDA_MEMCPY3D_BATCH_OP op = {
        .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = p}},
        .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = p + MIB + 1}},
        .extent = {1024, 32, 32},
        .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    REFUSED(cu.Memcpy3DBatchAsync(1, &op, &failed, 0, stream));
    EQUAL(failed, 0);
    conf_stream_end(stream);
    conf_free(p);
}

/* --- copies with attributes (CUDA 13.2) ---------------------------------------------------------
 */

CASE(attributes_ephemeral, "cuMemcpyWithAttributesAsync: as ordered, the source may go at once")
{
    CUmemcpyAttributes now = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL};
    unsigned char *bytes;
    CUdeviceptr p;
    CUstream stream;

    NEEDS(MemcpyWithAttributesAsync);
    p = conf_alloc(2 * MIB);
    bytes = conf_memory(MIB);
    stream = conf_stream();
    conf_pattern(bytes, MIB, 11);
    conf_spin(5000, stream);
    MUST(cu.MemcpyWithAttributesAsync(p, (CUdeviceptr)(uintptr_t)bytes, MIB, &now, stream));
    memset(bytes, 0, MIB);
    MUST(cu.MemcpyWithAttributesAsync(p + MIB, p, MIB, &in_stream_order, stream));
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned_block(p, MIB, 11));
    CHECK(conf_patterned_block(p + MIB, MIB, 11));
    conf_stream_end(stream);
    free(bytes);
    conf_free(p);
}

static const struct {
    const char *name;
    size_t to, from; /* from the start of a block of 2 MiB */
} bad_ranges[] = {
    {"destination over the end", MIB + 1, 0},
    {"source over the end", 0, MIB + 1},
};
CASES(attributes_refused, bad_ranges, "cuMemcpyWithAttributesAsync: a range over a block's end")
{
    CUdeviceptr p;
    CUstream stream;

    NEEDS(MemcpyWithAttributesAsync);
    p = conf_alloc(2 * MIB);
    stream = conf_stream();
    REFUSED(
        cu.MemcpyWithAttributesAsync(p + row->to, p + row->from, MIB, &in_stream_order, stream));
    conf_stream_end(stream);
    conf_free(p);
}

CASES(attributes_box, bad_ranges, "cuMemcpy3DWithAttributesAsync: one box; none over a block's end")
{
    CUdeviceptr p;
    CUstream stream;

    NEEDS(Memcpy3DWithAttributesAsync);
    p = conf_alloc(2 * MIB);
    stream = conf_stream();
    conf_pattern_block(p, MIB, 12);
    CUDA_MEMCPY3D_BATCH_OP op = {
        .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = p}},
        .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = p + MIB}},
        .extent = {1024, 32, 32},
        .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    MUST(cu.Memcpy3DWithAttributesAsync(&op, 0, stream));
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned_block(p + MIB, MIB, 12));
    op.dst.op.ptr.ptr = p + row->to;
    op.src.op.ptr.ptr = p + row->from;
    REFUSED(cu.Memcpy3DWithAttributesAsync(&op, 0, stream));
    conf_stream_end(stream);
    conf_free(p);
}
