/* test_copies.c: copies and sets in all shapes, against a model on the host; ranges that are
 * refused. */
#include "sim_test.h"

#define SIDE 64

static unsigned char model[SIDE * SIDE * 4];

static void randomise(unsigned char *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (unsigned char)rand();
}

START_TEST(one_dimension)
{
    unsigned char out[4096];
    CUdeviceptr p, q;
    void *pinned;

    start();
    p = alloc(4096);
    q = alloc(4096);
    OK(cuMemAllocHost(&pinned, 4096));
    randomise(model, 4096);
    OK(cuMemcpyHtoD(p, model, 4096));
    OK(cuMemcpyDtoD(q, p, 4096));
    OK(cuMemcpyDtoH(pinned, q, 4096));
    OK(cuMemcpy((CUdeviceptr)(uintptr_t)out, (CUdeviceptr)(uintptr_t)pinned, 4096));
    ck_assert_int_eq(memcmp(out, model, 4096), 0);
    OK(cuMemcpyHtoDAsync(p + 100, model, 1000, NULL));
    OK(cuMemcpyPeer(q, test.context, p, test.context, 4096));
    OK(cuMemcpyDtoH(out, q, 4096));
    ck_assert_int_eq(memcmp(out + 100, model, 1000), 0);
    IS(cuMemcpyPeer(q, (CUcontext)out, p, test.context, 1), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuMemFreeHost(pinned));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
END_TEST

START_TEST(refused_ranges)
{
    static char host[8192];
    CUdeviceptr p, q;
    void *pinned;

    start();
    p = alloc(1000);
    q = alloc(1000);
    OK(cuMemAllocHost(&pinned, 1000));
    IS(cuMemcpyHtoD(p, host, 1001), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyHtoD(p + 999, host, 2), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyDtoH(host, p + 1000, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyDtoD(p, q, SIZE_MAX), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyDtoD(p, (CUdeviceptr)(uintptr_t)host, 10), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyHtoD(p, (void *)(uintptr_t)q, 10), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyDtoH(pinned, p, 1000 + 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyHtoD(0, host, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyHtoD(p, NULL, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD8(p, 0, 1001), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD32(p + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD32(p, 0, SIZE_MAX / 2), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD2D8(p, 10, 0, 11, 2), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyHtoDAsync(p, host, 1, (CUstream)host), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemcpyHtoD(p, host, 0));
    OK(cuMemFree(q));
    IS(cuMemcpyDtoH(host, q, 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFreeHost(pinned));
    OK(cuMemFree(p));
}
END_TEST

/* A box from device to device and back, compared byte by byte with the same done by loops. */
START_TEST(boxes)
{
    static unsigned char expected[SIDE * SIDE * 4], got[SIDE * SIDE * 4];
    CUDA_MEMCPY3D c = {0};
    CUdeviceptr p, q;

    start();
    srand((unsigned)_i + 1);
    p = alloc(sizeof(model));
    q = alloc(sizeof(model));
    randomise(model, sizeof(model));
    OK(cuMemcpyHtoD(p, model, sizeof(model)));
    OK(cuMemsetD8(q, 0x55, sizeof(model)));
    memset(expected, 0x55, sizeof(expected));
    c.srcMemoryType = _i & 1 ? CU_MEMORYTYPE_UNIFIED : CU_MEMORYTYPE_DEVICE;
    c.srcDevice = p;
    c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    c.dstDevice = q;
    c.srcPitch = c.dstPitch = SIDE;
    c.srcHeight = c.dstHeight = SIDE;
    c.WidthInBytes = 1 + (size_t)rand() % 30;
    c.Height = 1 + (size_t)rand() % 30;
    c.Depth = 1 + (size_t)rand() % 3;
    c.srcXInBytes = (size_t)rand() % 30;
    c.dstXInBytes = (size_t)rand() % 30;
    c.srcY = (size_t)rand() % 30;
    c.dstY = (size_t)rand() % 30;
    c.dstZ = (size_t)rand() % 2;
    for (size_t z = 0; z < c.Depth; z++)
        for (size_t y = 0; y < c.Height; y++)
            memcpy(expected + ((z + c.dstZ) * SIDE + y + c.dstY) * SIDE + c.dstXInBytes,
                   model + (z * SIDE + y + c.srcY) * SIDE + c.srcXInBytes, c.WidthInBytes);
    OK(cuMemcpy3D(&c));
    OK(cuMemcpyDtoH(got, q, sizeof(got)));
    ck_assert_int_eq(memcmp(got, expected, sizeof(got)), 0);
    c.dstZ = 4; /* past the end */
    IS(cuMemcpy3D(&c), CUDA_ERROR_INVALID_VALUE);
    c.dstZ = 0;
    c.srcPitch = c.WidthInBytes - 1;
    IS(cuMemcpy3D(&c), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
END_TEST

START_TEST(planes)
{
    static unsigned char got[SIDE * SIDE];
    CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                       .srcHost = model,
                       .srcPitch = SIDE,
                       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                       .dstPitch = 512,
                       .dstXInBytes = 3,
                       .dstY = 1,
                       .WidthInBytes = 40,
                       .Height = 20};

    start();
    randomise(model, SIDE * SIDE);
    c.dstDevice = alloc(512 * 21);
    OK(cuMemcpy2DAsync(&c, NULL));
    c = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                        .srcDevice = c.dstDevice,
                        .srcPitch = 512,
                        .srcXInBytes = 3,
                        .srcY = 1,
                        .dstMemoryType = CU_MEMORYTYPE_HOST,
                        .dstHost = got,
                        .dstPitch = SIDE,
                        .WidthInBytes = 40,
                        .Height = 20};
    OK(cuMemcpy2D(&c));
    for (size_t y = 0; y < 20; y++)
        ck_assert_int_eq(memcmp(got + y * SIDE, model + y * SIDE, 40), 0);
    ck_assert_int_eq(got[40], 0);
    c.Height = 21; /* one row too many */
    IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(c.srcDevice));
}
END_TEST

START_TEST(sets)
{
    static uint16_t got[32 * 256];
    CUdeviceptr p;

    start();
    p = alloc(sizeof(got));
    OK(cuMemsetD16(p, 1, 32 * 256));
    OK(cuMemsetD2D16Async(p + 16, 512, 0xabcd, 10, 32, NULL));
    OK(cuMemcpyDtoH(got, p, sizeof(got)));
    for (size_t y = 0; y < 32; y++)
        for (size_t x = 0; x < 256; x++)
            ck_assert_uint_eq(got[y * 256 + x], x >= 8 && x < 18 ? 0xabcd : 1);
    OK(cuMemFree(p));
}
END_TEST

static size_t taken_by_mipmap(size_t height, size_t depth, unsigned flags, unsigned levels)
{
    CUDA_ARRAY3D_DESCRIPTOR shape = {1024, height, depth, CU_AD_FORMAT_FLOAT, 1, flags};
    size_t before = free_bytes(), taken;
    CUmipmappedArray array;

    OK(cuMipmappedArrayCreate(&array, &shape, levels));
    taken = before - free_bytes();
    IS(cuArrayDestroy((CUarray)array), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMipmappedArrayDestroy(array));
    IS(cuMipmappedArrayDestroy(array), CUDA_ERROR_INVALID_HANDLE);
    ck_assert_uint_eq(free_bytes(), before);
    return taken;
}

START_TEST(mipmaps)
{
    start();
    ck_assert_uint_eq(taken_by_mipmap(512, 0, 0, 0), 2 << 20); /* at least one level */
    ck_assert_uint_eq(taken_by_mipmap(512, 0, 0, 3), (2 << 20) + (1 << 19) + (1 << 17));
    ck_assert_uint_eq(taken_by_mipmap(512, 8, 0, 2), (16 << 20) + (2 << 20));
    ck_assert_uint_eq(taken_by_mipmap(512, 8, CUDA_ARRAY3D_LAYERED, 2), (16 << 20) + (4 << 20));
    ck_assert_uint_eq(taken_by_mipmap(0, 0, 0, 99), 2047 * 4 / 512 * 512 + 512); /* at most 11 */
}
END_TEST

START_TEST(arrays)
{
    CUDA_ARRAY_DESCRIPTOR shape = {
        .Width = 16, .Height = 8, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 4};
    CUDA_ARRAY_DESCRIPTOR again;
    CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                       .srcHost = model,
                       .srcPitch = 64,
                       .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                       .WidthInBytes = 64,
                       .Height = 8};
    unsigned char got[512];
    CUarray array;
    CUdeviceptr p;
    size_t before;

    start();
    before = free_bytes();
    randomise(model, 512);
    OK(cuArrayCreate(&array, &shape));
    ck_assert_uint_eq(before - free_bytes(), 512);
    OK(cuArrayGetDescriptor(&again, array));
    ck_assert_uint_eq(again.Width, 16);
    c.dstArray = array;
    OK(cuMemcpy2D(&c));
    p = alloc(512);
    OK(cuMemcpyAtoD(p, array, 0, 512));
    OK(cuMemsetD8(p, 0xee, 64));
    OK(cuMemcpyDtoA(array, 64, p, 64));
    OK(cuMemcpyAtoH(got, array, 0, 512));
    ck_assert_int_eq(memcmp(got, model, 64), 0);
    ck_assert_int_eq(got[64], 0xee);
    ck_assert_int_eq(memcmp(got + 128, model + 128, 384), 0);
    IS(cuMemcpyAtoD(p, array, 1, 512), CUDA_ERROR_INVALID_VALUE);
    c.Height = 9;
    IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
    c.Height = 1;
    c.WidthInBytes = 4;
    c.dstXInBytes = 2; /* inside an element */
    IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
    c.dstXInBytes = 4;
    OK(cuMemcpy2D(&c));
    OK(cuArrayDestroy(array));
    IS(cuArrayDestroy(array), CUDA_ERROR_INVALID_HANDLE);
    IS(cuMemcpyAtoD(p, array, 0, 1), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemFree(p));
    ck_assert_uint_eq(free_bytes(), before);
}
END_TEST

START_TEST(between_devices)
{
    CUcontext second;
    CUdeviceptr here, there;

    setenv("SIMCUDA_DEVICES", "2", 1);
    start();
    here = alloc(4096);
    OK(cuDevicePrimaryCtxRetain(&second, 1));
    OK(cuCtxPushCurrent(second));
    there = alloc(4096);
    OK(cuCtxPopCurrent(NULL));
    OK(cuMemsetD32(here, 0x1234, 1024));
    OK(cuMemcpyPeer(there, second, here, test.context, 4096));
    OK(cuMemcpyDtoD(here, there, 4096)); /* unified addressing: no peer access needed */
    ck_assert_uint_eq(wrong_words(there, 0x1234, 1024), 0);
    OK(cuCtxEnablePeerAccess(second, 0));
    IS(cuCtxEnablePeerAccess(second, 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
    OK(fill(there, 5, 1024, NULL));
    ck_assert_uint_eq(wrong_words(there, 5, 1024), 0);
    OK(cuMemFree(here));
    OK(cuMemFree(there));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("copies");

    tcase_add_test(tcase, one_dimension);
    tcase_add_test(tcase, refused_ranges);
    tcase_add_loop_test(tcase, boxes, 0, 20);
    tcase_add_test(tcase, planes);
    tcase_add_test(tcase, sets);
    tcase_add_test(tcase, arrays);
    tcase_add_test(tcase, mipmaps);
    tcase_add_test(tcase, between_devices);
    return tcase;
}

int main(void)
{
    return run_suite("copies", cases);
}
