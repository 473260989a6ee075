/* Discards in a batch: a range that runs over a redirected block's end, to its neighbour, is
 * refused as one of a copy is; the driver is not asked. In place of the driver's functions stand
 * some that count their calls.
 */
#include "shim/arena.h"
#include "shim/hooks.h"

#include <check.h>
#include <stdlib.h>

#define BASE UINT64_C(0x200000000000)
#define SIZE ((size_t)1 << 20)

static int asked;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
static CUresult discard(CUdeviceptr *dptrs, size_t *sizes, size_t count, unsigned long long flags,
                        CUstream stream)
{
    asked++;
    return CUDA_ERROR_UNKNOWN;
}

static CUresult discard_and_prefetch(CUdeviceptr *dptrs, size_t *sizes, size_t count,
                                     CUmemLocation *locations, size_t *indices, size_t number,
                                     unsigned long long flags, CUstream stream)
{
    asked++;
    return CUDA_ERROR_UNKNOWN;
}
#pragma GCC diagnostic pop

/* By all four functions, which agree. */
static bool reaches_driver(CUdeviceptr *dptrs, size_t *sizes, size_t count)
{
    CUresult r[] = {
        cuMemDiscardBatchAsync(dptrs, sizes, count, 0, NULL),
        cuMemDiscardBatchAsync_ptsz(dptrs, sizes, count, 0, NULL),
        cuMemDiscardAndPrefetchBatchAsync(dptrs, sizes, count, NULL, NULL, 0, 0, NULL),
        cuMemDiscardAndPrefetchBatchAsync_ptsz(dptrs, sizes, count, NULL, NULL, 0, 0, NULL),
    };
    int calls = asked;

    asked = 0;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(r[i], calls ? CUDA_ERROR_UNKNOWN : CUDA_ERROR_INVALID_VALUE);
    ck_assert(calls == 0 || calls == 4);
    return calls;
}

START_TEST(ranges)
{
    static char owner;
    struct arena *arena = arena_create(BASE, 32 * SIZE, &owner, 1);

    driver.cuMemDiscardBatchAsync = driver.cuMemDiscardBatchAsync_ptsz = discard;
    driver.cuMemDiscardAndPrefetchBatchAsync = driver.cuMemDiscardAndPrefetchBatchAsync_ptsz =
        discard_and_prefetch;
    ck_assert_ptr_nonnull(arena);
    CUdeviceptr block = arena_alloc(arena, SIZE), neighbour = arena_alloc(arena, SIZE);
    ck_assert(block && neighbour);
    CUdeviceptr elsewhere = BASE - SIZE;

    ck_assert(reaches_driver((CUdeviceptr[]){elsewhere, block}, (size_t[]){SIZE, SIZE}, 2));
    ck_assert(reaches_driver((CUdeviceptr[]){block + 512}, (size_t[]){SIZE - 512}, 1));
    ck_assert(!reaches_driver((CUdeviceptr[]){block}, (size_t[]){SIZE + 1}, 1));
    ck_assert(!reaches_driver((CUdeviceptr[]){elsewhere, block, neighbour + 512},
                              (size_t[]){SIZE, SIZE, SIZE}, 3));
    ck_assert(!reaches_driver((CUdeviceptr[]){block}, (size_t[]){SIZE_MAX}, 1));
    ck_assert(reaches_driver(NULL, NULL, 1)); /* the driver's to refuse */
    arena_destroy(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("discard");
    TCase *tcase = tcase_create("discard");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, ranges);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
