/* The address window: memory that is there, aligned, given out once, and not inherited by fork().
 */
#include "shim/arena.h"
#include "shim/window.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static bool is_mapped(void *p)
{
    return msync(p, 4096, MS_ASYNC) == 0;
}

START_TEST(take_and_give)
{
    char *a = window_take(3 * MIB, true), *b = window_take(4096, false);

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq((uintptr_t)a % ARENA_UNIT, 0);
    ck_assert_uint_eq((uintptr_t)b % ARENA_UNIT, 0);
    memset(a, 1, 3 * MIB);
    memset(b, 2, 4096);
    ck_assert_int_eq(a[3 * MIB - 1], 1);
    window_give(a, 3 * MIB);
    char *c = window_take(3 * MIB, true);
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_ne(c, a);
    ck_assert_int_eq(c[0], 0);
    ck_assert_int_eq(b[4095], 2);
}
END_TEST

START_TEST(too_much)
{
    ck_assert_ptr_null(window_take(SIZE_MAX, true));
    ck_assert_ptr_null(window_take(SIZE_MAX - 4096, true));
    ck_assert_ptr_null(window_take(UINT64_C(1) << 60, true));
    ck_assert_ptr_nonnull(window_take(4096, true));
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
    !defined(__SANITIZE_THREAD__) /* a sanitizer's shadow needs more than any limit */
/* `ulimit -v`: a smaller window is better than none, and none is no crash. */
START_TEST(address_limit)
{
    struct rlimit limit = {UINT64_C(1) << 36, UINT64_C(1) << 36};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_ptr_nonnull(window_take(64 * MIB, false));
    ck_assert_ptr_null(window_take(UINT64_C(1) << 37, false));
}
END_TEST
#endif

START_TEST(not_inherited)
{
    char *a = window_take(MIB, false);
    int status;

    memset(a, 3, MIB);
    pid_t child = fork();
    if (child == 0)
        _exit(is_mapped(a));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(a[MIB - 1], 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *tcase = tcase_create("window");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, take_and_give);
    tcase_add_test(tcase, too_much);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(tcase, address_limit);
#endif
    tcase_add_test(tcase, not_inherited);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
