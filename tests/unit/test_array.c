/* How much VRAM an array takes, by its format, shape, levels and flags. */
#include "shim/array.h"

#include <check.h>
#include <stdlib.h>

static uint64_t bytes(size_t width, size_t height, size_t depth, unsigned int flags,
                      unsigned int levels)
{
    CUDA_ARRAY3D_DESCRIPTOR shape = {width, height, depth, CU_AD_FORMAT_HALF, 2, flags};
    return array_bytes(&shape, levels);
}

START_TEST(shapes)
{
    ck_assert_uint_eq(bytes(100, 0, 0, 0, 1), 400);
    ck_assert_uint_eq(bytes(100, 3, 0, 0, 1), 1200);
    ck_assert_uint_eq(bytes(100, 3, 5, 0, 1), 6000);
    ck_assert_uint_eq(bytes(100, 0, 5, CUDA_ARRAY3D_LAYERED, 1), 2000);
    ck_assert_uint_eq(bytes(1 << 16, 1 << 15, 1, 0, 1), UINT64_C(8) << 30);
    ck_assert_uint_eq(bytes(100, 3, 5, CUDA_ARRAY3D_SPARSE, 1), 0);
    ck_assert_uint_eq(bytes(100, 3, 5, CUDA_ARRAY3D_DEFERRED_MAPPING, 1), 0);
}
END_TEST

START_TEST(levels)
{
    ck_assert_uint_eq(bytes(8, 8, 0, 0, 0), 4 * 64); /* at least one */
    ck_assert_uint_eq(bytes(8, 8, 0, 0, 2), 4 * (64 + 16));
    ck_assert_uint_eq(bytes(8, 8, 0, 0, 99), 4 * (64 + 16 + 4 + 1));
    ck_assert_uint_eq(bytes(5, 2, 0, 0, 99), 4 * (10 + 2 + 1));
    ck_assert_uint_eq(bytes(2, 2, 8, 0, 99), 4 * (32 + 4 + 2 + 1));
    ck_assert_uint_eq(bytes(4, 4, 6, CUDA_ARRAY3D_CUBEMAP, 99), 4 * 6 * (16 + 4 + 1));
    ck_assert_uint_eq(bytes(4, 0, 3, CUDA_ARRAY3D_LAYERED, 99), 4 * 3 * (4 + 2 + 1));
}
END_TEST

static const struct {
    CUarray_format format;
    unsigned int channels, bits;
} formats[] = {
    {CU_AD_FORMAT_SIGNED_INT8, 4, 32},
    {CU_AD_FORMAT_UNSIGNED_INT16, 2, 32},
    {CU_AD_FORMAT_HALF, 1, 16},
    {CU_AD_FORMAT_FLOAT, 4, 128},
    {CU_AD_FORMAT_UNORM_INT8X4, 4, 32},
    {CU_AD_FORMAT_SNORM_INT16X4, 4, 64},
    {CU_AD_FORMAT_BC1_UNORM, 4, 4},
    {CU_AD_FORMAT_BC4_SNORM, 1, 4},
    {(CUarray_format)0x93, 4, 8},
    {CU_AD_FORMAT_BC7_UNORM_SRGB, 4, 8},
    {CU_AD_FORMAT_NV12, 3, 12},
    {CU_AD_FORMAT_P016, 3, 24},
    {(CUarray_format)0x7e, 4, 0},
    /* 8 bits, then 16: packed and in planes, with chroma for each fourth, second and each texel. */
    {(CUarray_format)0x51, 4, 16},
    {(CUarray_format)0x52, 4, 32},
    {(CUarray_format)0x53, 3, 12},
    {(CUarray_format)0x54, 3, 24},
    {(CUarray_format)0x55, 3, 16},
    {(CUarray_format)0x56, 3, 32},
    {(CUarray_format)0x57, 3, 24},
    {(CUarray_format)0x58, 3, 48},
    {(CUarray_format)0x59, 3, 12},
    {(CUarray_format)0x5a, 3, 24},
    {(CUarray_format)0x5b, 3, 16},
    {(CUarray_format)0x5c, 3, 32},
    {(CUarray_format)0x5d, 3, 24},
    {(CUarray_format)0x5e, 3, 48},
    {(CUarray_format)0x5f, 3, 0},
};

START_TEST(bits_of_formats)
{
    ck_assert_uint_eq(array_element_bits(formats[_i].format, formats[_i].channels),
                      formats[_i].bits);
}
END_TEST

START_TEST(rounded_up)
{
    CUDA_ARRAY3D_DESCRIPTOR shape = {3, 3, 0, CU_AD_FORMAT_NV12, 3, 0};
    ck_assert_uint_eq(array_bytes(&shape, 1), 14);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("array");
    TCase *tcase = tcase_create("array");

    tcase_add_test(tcase, shapes);
    tcase_add_test(tcase, levels);
    tcase_add_loop_test(tcase, bits_of_formats, 0, sizeof formats / sizeof *formats);
    tcase_add_test(tcase, rounded_up);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
