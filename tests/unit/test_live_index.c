/* The index of live blocks against a plain array, over one to four levels. */
#include "shim/live_index.h"

#include <check.h>
#include <stdlib.h>

static const uint32_t sizes[] = {1, 63, 64, 65, 4095, 4096, 4097, 262144, 262145, 1000003};

START_TEST(against_an_array)
{
    uint32_t n = sizes[_i];
    void *memory = calloc(1, live_size(n));
    bool *set = calloc(n, sizeof *set);
    struct live_index index;

    live_init(&index, n, memory);
    ck_assert_uint_eq(live_last(&index, n - 1), LIVE_NONE);
    srand((unsigned)_i);
    for (int step = 0; step < 3000; step++) {
        uint32_t g = ((uint32_t)rand() << 8 ^ (uint32_t)rand()) % n;
        ck_assert_int_eq(live_test(&index, g), set[g]);
        if (set[g])
            live_clear(&index, g);
        else if (step % 3)
            live_set(&index, g);
        set[g] = live_test(&index, g);
        uint32_t from = ((uint32_t)rand() << 8 ^ (uint32_t)rand()) % n, expected = from;
        while (!set[expected] && expected > 0)
            expected--;
        ck_assert_uint_eq(live_last(&index, from), set[expected] ? expected : LIVE_NONE);
    }
    free(set);
    free(memory);
}
END_TEST

START_TEST(ends)
{
    uint32_t n = 1000003;
    void *memory = calloc(1, live_size(n));
    struct live_index index;

    live_init(&index, n, memory);
    live_set(&index, 0);
    ck_assert_uint_eq(live_last(&index, n - 1), 0);
    ck_assert_uint_eq(live_last(&index, 0), 0);
    live_set(&index, n - 1);
    ck_assert_uint_eq(live_last(&index, n - 1), n - 1);
    ck_assert_uint_eq(live_last(&index, n - 2), 0);
    live_clear(&index, 0);
    ck_assert_uint_eq(live_last(&index, n - 2), LIVE_NONE);
    free(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("live_index");
    TCase *tcase = tcase_create("live_index");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, against_an_array, 0, sizeof sizes / sizeof *sizes);
    tcase_add_test(tcase, ends);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
