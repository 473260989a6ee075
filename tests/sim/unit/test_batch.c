/* test_batch.c: batches of copies, hints for managed memory. */
#define __CUDA_API_VERSION_INTERNAL /* both ABIs by name */
#include "sim_test.h"

static CUmemcpyAttributes in_order = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
static size_t from_first;
static CUstream stream;

static void start_stream(void)
{
    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
}

START_TEST(many_copies)
{
    static uint32_t up[1024], down[1024];
    CUdeviceptr a, b, to[3], from[3];
    size_t sizes[3] = {sizeof(up), 2048, 2048};

    start_stream();
    a = alloc(sizeof(up));
    b = alloc(sizeof(up));
    for (uint32_t i = 0; i < 1024; i++)
        up[i] = i;
    to[0] = a, from[0] = (CUdeviceptr)(uintptr_t)up;
    OK(cuMemcpyBatchAsync_v2(to, from, sizes, 1, &in_order, &from_first, 1, stream));
    to[0] = b + 2048, from[0] = a, sizes[0] = 2048;
    to[1] = b, from[1] = a + 2048;
    OK(cuMemcpyBatchAsync_v2(to, from, sizes, 2, &in_order, &from_first, 1, stream));
    to[0] = (CUdeviceptr)(uintptr_t)down, from[0] = b, sizes[0] = sizeof(down);
    OK(cuMemcpyBatchAsync_v2(to, from, sizes, 1, &in_order, &from_first, 1, stream));
    OK(cuStreamSynchronize(stream));
    for (uint32_t i = 0; i < 1024; i++)
        ck_assert_uint_eq(down[i], (i + 512) % 1024);
    OK(cuMemFree_v2(a));
    OK(cuMemFree_v2(b));
}
END_TEST

/* The source may go when the call returns. */
START_TEST(short_lived_sources)
{
    CUmemcpyAttributes now = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL};
    size_t bytes = 256 << 10;
    uint32_t *source;
    CUdeviceptr p, from;

    start_stream();
    p = alloc(bytes);
    if (_i)
        OK(cuMemHostAlloc((void **)&source, bytes, 0));
    else
        source = malloc(bytes);
    for (size_t i = 0; i < bytes / 4; i++)
        source[i] = 3;
    from = (CUdeviceptr)(uintptr_t)source;
    OK(spin(20000, stream));
    OK(cuMemcpyBatchAsync_v2(&p, &from, &bytes, 1, &now, &from_first, 1, stream));
    memset(source, 0, bytes);
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(p, 3, bytes / 4), 0);
    if (_i)
        OK(cuMemFreeHost(source));
    else
        free(source);
}
END_TEST

START_TEST(which_one_failed)
{
    CUmemcpyAttributes wrong = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID};
    CUmemcpyAttributes two[2] = {in_order, in_order};
    size_t firsts[2] = {0, 0}, sizes[2] = {4096, 8192}, index = 7;
    CUdeviceptr a, b, to[2], from[2];

    start_stream();
    a = to[0] = to[1] = alloc(4096);
    b = from[0] = from[1] = alloc(4096);
    OK(cuMemsetD32_v2(a, 1, 1024));
    OK(cuMemsetD32_v2(b, 2, 1024));
    OK(cuCtxSynchronize());
    /* The first ABI tells which copy it was; nothing was copied. */
    IS(cuMemcpyBatchAsync(to, from, sizes, 2, &in_order, &from_first, 1, &index, stream),
       CUDA_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(index, 1);
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(a, 1, 1024), 0);
    sizes[1] = 4096;
    IS(cuMemcpyBatchAsync(to, from, sizes, 2, &wrong, &from_first, 1, &index, stream),
       CUDA_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(index, SIZE_MAX);
    IS(cuMemcpyBatchAsync_v2(to, from, sizes, 2, two, firsts, 2, stream), CUDA_ERROR_INVALID_VALUE);
    firsts[1] = 2;
    IS(cuMemcpyBatchAsync_v2(to, from, sizes, 2, two, firsts, 2, stream), CUDA_ERROR_INVALID_VALUE);
    firsts[1] = 1;
    OK(cuMemcpyBatchAsync_v2(to, from, sizes, 2, two, firsts, 2, stream));
    IS(cuMemcpyBatchAsync_v2(to, from, sizes, 2, two, firsts, 2, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyBatchAsync_v2(to, from, sizes, 0, two, firsts, 2, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(a, 2, 1024), 0);
}
END_TEST

START_TEST(boxes)
{
    CUDA_MEMCPY3D_BATCH_OP op = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM,
                                 .extent = {8, 4, 2}};
    unsigned char source[16 * 4 * 2], result[8 * 4 * 2];
    CUdeviceptr p;

    start_stream();
    p = alloc(sizeof(result));
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (unsigned char)i;
    op.src.type = op.dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    op.src.op.ptr.ptr = (CUdeviceptr)(uintptr_t)source;
    op.src.op.ptr.rowLength = 16;
    op.dst.op.ptr.ptr = p; /* tightly packed */
    OK(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
    OK(cuMemcpyDtoHAsync_v2(result, p, sizeof(result), stream));
    OK(cuStreamSynchronize(stream));
    for (size_t i = 0; i < sizeof(result); i++)
        ck_assert_uint_eq(result[i], source[i / 8 * 16 + i % 8]);
    op.src.op.ptr.rowLength = 7;
    IS(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream), CUDA_ERROR_INVALID_VALUE);
    op.src.op.ptr.rowLength = 0;
    op.extent.depth = 0;
    IS(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpy3DBatchAsync_v2(1, &op, 1, stream), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(with_attributes)
{
    CUmemcpyAttributes wrong = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID}, flag;
    CUDA_MEMCPY3D_BATCH_OP op = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM,
                                 .extent = {4096, 1, 1}};
    CUdeviceptr a, b;

    start_stream();
    a = alloc(4096);
    b = alloc(4096);
    OK(cuMemsetD32_v2(a, 5, 1024));
    OK(cuCtxSynchronize());
    OK(cuMemcpyWithAttributesAsync(b, a, 4096, &in_order, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(b, 5, 1024), 0);
    IS(cuMemcpyWithAttributesAsync(b, a, 4097, &in_order, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyWithAttributesAsync(b, a, 4096, &wrong, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyWithAttributesAsync(b, a, 4096, NULL, stream), CUDA_ERROR_INVALID_VALUE);
    flag = in_order;
    flag.flags = 2;
    IS(cuMemcpyWithAttributesAsync(b, a, 4096, &flag, stream), CUDA_ERROR_INVALID_VALUE);
    op.src.type = op.dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    op.src.op.ptr.ptr = b;
    op.dst.op.ptr.ptr = a;
    OK(cuMemsetD32_v2(b, 6, 1024));
    OK(cuCtxSynchronize());
    OK(cuMemcpy3DWithAttributesAsync(&op, 0, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(a, 6, 1024), 0);
    IS(cuMemcpy3DWithAttributesAsync(&op, 1, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpy3DWithAttributesAsync(NULL, 0, stream), CUDA_ERROR_INVALID_VALUE);
    op.extent.depth = 2;
    IS(cuMemcpy3DWithAttributesAsync(&op, 0, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(a));
    OK(cuMemFree_v2(b));
}
END_TEST

START_TEST(boxes_of_arrays)
{
    CUDA_ARRAY_DESCRIPTOR shape = {8, 4, CU_AD_FORMAT_UNSIGNED_INT32, 1};
    CUDA_MEMCPY3D_BATCH_OP op = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM,
                                 .extent = {4, 2, 1}};
    uint32_t source[8], result[8];
    CUarray array;

    start_stream();
    OK(cuArrayCreate_v2(&array, &shape));
    for (uint32_t i = 0; i < 8; i++)
        source[i] = i + 1;
    op.src.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    op.src.op.ptr.ptr = (CUdeviceptr)(uintptr_t)source;
    op.dst.type = CU_MEMCPY_OPERAND_TYPE_ARRAY;
    op.dst.op.array.array = array;
    op.dst.op.array.offset = (CUoffset3D){2, 1, 0}; /* in elements */
    OK(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuMemcpyAtoH_v2(result, array, (8 + 2) * 4, 16));
    OK(cuMemcpyAtoH_v2(result + 4, array, (16 + 2) * 4, 16));
    ck_assert_int_eq(memcmp(source, result, sizeof(source)), 0);
    op.dst.op.array.offset.x = 6;
    IS(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuArrayDestroy(array));
}
END_TEST

START_TEST(hints_for_managed_memory)
{
    const CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                        host = {CU_MEM_LOCATION_TYPE_HOST, 0},
                        absent = {CU_MEM_LOCATION_TYPE_DEVICE, 5};
    CUdeviceptr p, q;

    start_stream();
    OK(cuMemAllocManaged(&p, 8192, CU_MEM_ATTACH_GLOBAL));
    q = alloc(8192);
    OK(cuMemPrefetchAsync_v2(p, 8192, device, 0, stream));
    OK(cuMemPrefetchAsync_v2(p + 4096, 4096, host, 0, stream));
    OK(cuMemPrefetchAsync(p, 8192, CU_DEVICE_CPU, stream));
    IS(cuMemPrefetchAsync_v2(p, 8193, device, 0, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemPrefetchAsync_v2(p, 8192, device, 1, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemPrefetchAsync_v2(p, 8192, absent, 0, stream), CUDA_ERROR_INVALID_DEVICE);
    IS(cuMemPrefetchAsync_v2(q, 8192, device, 0, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAdvise_v2(p, 8192, CU_MEM_ADVISE_SET_READ_MOSTLY, absent));
    OK(cuMemAdvise(p, 8192, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU));
    IS(cuMemAdvise_v2(p, 8192, CU_MEM_ADVISE_SET_ACCESSED_BY, absent), CUDA_ERROR_INVALID_DEVICE);
    IS(cuMemAdvise_v2(p, 8192, (CUmem_advise)7, device), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAdvise_v2(q, 8192, CU_MEM_ADVISE_SET_READ_MOSTLY, device), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(p));
    OK(cuMemFree_v2(q));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("batch");

    tcase_add_test(tcase, many_copies);
    tcase_add_loop_test(tcase, short_lived_sources, 0, 2);
    tcase_add_test(tcase, which_one_failed);
    tcase_add_test(tcase, boxes);
    tcase_add_test(tcase, with_attributes);
    tcase_add_test(tcase, boxes_of_arrays);
    tcase_add_test(tcase, hints_for_managed_memory);
    return tcase;
}

int main(void)
{
    return run_suite("batch", cases);
}
