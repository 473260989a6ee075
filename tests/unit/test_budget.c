/* The budget formulas, to the byte. Expected numbers were worked out with exact rational
 * arithmetic outside this program, rounded down where budget.h says so.
 */
#include "policy/budget.h"

#include <check.h>
#include <stdlib.h>

#define GIB     UINT64_C(1073741824)
#define MAX     UINT64_MAX
#define PERCENT POL_ONE /* one percent, in billionths of a percent */
#define TENTH   (POL_ONE / 10)

static const struct {
    uint64_t x, billionths, expected;
} scales[] = {
    {0, MAX, 0},
    {10, 700000000, 7},
    {13, 700000000, 9},
    {3, 333333333, 0},
    {3, 333333334, 1},
    {MAX, 1, UINT64_C(18446744073)},
    {MAX, 999999999, UINT64_C(18446744055262807541)},
    {MAX, 1000000000, MAX},
    {MAX, 1000000001, MAX},
    {MAX, MAX, MAX},
    {UINT64_C(9223372036854775807), 2000000000, UINT64_C(18446744073709551614)},
    {UINT64_C(9223372036854775808), 2000000000, MAX},
};

START_TEST(scale)
{
    ck_assert_uint_eq(pol_scale(scales[_i].x, scales[_i].billionths), scales[_i].expected);
}
END_TEST

static const struct {
    uint64_t total, reserved, percent, factor, overhead, budget;
} budgets[] = {
    /* the defaults, 15 % and 0.7, on common cards */
    {8 * GIB, 0, 15 * PERCENT, 7 * TENTH, 1288490188, UINT64_C(5111011082)},
    {8 * GIB, GIB, 15 * PERCENT, 7 * TENTH, 1288490188, UINT64_C(4359391806)},
    {6 * GIB, 629145601, 15 * PERCENT, 7 * TENTH, 966367641, UINT64_C(3392856391)},
    {16 * GIB, 0, 15 * PERCENT, 7 * TENTH, 2576980377, UINT64_C(10222022164)},
    {80 * GIB, 3, 15 * PERCENT, 7 * TENTH, UINT64_C(12884901888), UINT64_C(51110110820)},
    /* other settings */
    {24 * GIB, 123456789, 10 * PERCENT, 9 * TENTH, 2576980377, UINT64_C(20762429949)},
    {24 * GIB, 0, 30 * PERCENT, 5 * TENTH, UINT64_C(7730941132), UINT64_C(9019431322)},
    {12 * GIB, 0, 25 * PERCENT / 2, 65 * TENTH / 10, 1610612736, UINT64_C(7328287948)},
    {2000000000, 0, 0, 1, 0, 2},
    {1000, 0, 0, 1, 0, 0},
    {100, 0, 90 * PERCENT, POL_ONE, 90, 10},
    /* a fraction of a byte is dropped: of the overhead, and of the budget */
    {7, 0, 15 * PERCENT, POL_ONE, 1, 6},
    {10, 0, 15 * PERCENT, 7 * TENTH, 1, 6},
    {1, 0, 15 * PERCENT, 7 * TENTH, 0, 0},
    {0, 0, 15 * PERCENT, 7 * TENTH, 0, 0},
    /* never below zero */
    {100, 84, 15 * PERCENT, POL_ONE, 15, 1},
    {100, 85, 15 * PERCENT, POL_ONE, 15, 0},
    {100, 86, 15 * PERCENT, POL_ONE, 15, 0},
    {100, 101, 0, POL_ONE, 0, 0},
    {100, MAX, 15 * PERCENT, POL_ONE, 15, 0},
    /* huge, and settings that the parser would not let through */
    {MAX, 0, 15 * PERCENT, 7 * TENTH, UINT64_C(2767011611056432742),
     UINT64_C(10975812723857183211)},
    {MAX, 0, 0, POL_ONE, 0, MAX},
    {MAX, MAX, 0, POL_ONE, 0, 0},
    {MAX, 0, MAX, MAX, MAX, 0},
    {100, 0, 101 * PERCENT, POL_ONE, 101, 0},
    {100, 0, 0, 2 * POL_ONE, 0, 200},
};

START_TEST(gpu_budget)
{
    ck_assert_uint_eq(pol_overhead(budgets[_i].total, budgets[_i].percent), budgets[_i].overhead);
    ck_assert_uint_eq(pol_gpu_budget(budgets[_i].total, budgets[_i].reserved, budgets[_i].percent,
                                     budgets[_i].factor),
                      budgets[_i].budget);
}
END_TEST

static const struct {
    uint64_t ram_total, pad, expected;
} pads[] = {
    {0, POL_AUTO, 2 * GIB},
    {4 * GIB, POL_AUTO, 2 * GIB},
    {UINT64_C(21474836489), POL_AUTO, UINT64_C(2147483648)},
    {UINT64_C(21474836490), POL_AUTO, UINT64_C(2147483649)},
    {64 * GIB, POL_AUTO, UINT64_C(6871947673)},
    {MAX, POL_AUTO, UINT64_C(1844674407370955161)},
    {64 * GIB, 0, 0},
    {64 * GIB, 1, 1},
    {GIB, 5 * GIB, 5 * GIB},
    {0, MAX - 1, MAX - 1},
};

START_TEST(ram_pad)
{
    ck_assert_uint_eq(pol_ram_pad(pads[_i].ram_total, pads[_i].pad), pads[_i].expected);
}
END_TEST

START_TEST(sys_avail)
{
    ck_assert_uint_eq(pol_sys_avail(10, 0), 10);
    ck_assert_uint_eq(pol_sys_avail(10, 3), 7);
    ck_assert_uint_eq(pol_sys_avail(10, 10), 0);
    ck_assert_uint_eq(pol_sys_avail(10, 11), 0);
    ck_assert_uint_eq(pol_sys_avail(0, MAX), 0);
    ck_assert_uint_eq(pol_sys_avail(MAX, 1), MAX - 1);
}
END_TEST

START_TEST(reserved)
{
    ck_assert_uint_eq(pol_reserved(100, 60, 10), 30);
    ck_assert_uint_eq(pol_reserved(100, 60, 40), 0);
    ck_assert_uint_eq(pol_reserved(100, 60, 41), 0);
    ck_assert_uint_eq(pol_reserved(100, 101, 0), 0);
    ck_assert_uint_eq(pol_reserved(100, MAX, MAX), 0);
    ck_assert_uint_eq(pol_reserved(MAX, 0, 0), MAX);
    ck_assert_uint_eq(pol_reserved(0, 0, 0), 0);
}
END_TEST

/* More memory never means a smaller budget; more reserved, more overhead never a larger one. */
START_TEST(monotone)
{
    static const uint64_t sizes[] = {0, 1, 99, 100, 101, GIB - 1, 8 * GIB, 80 * GIB, MAX / 2, MAX};
    const int n = sizeof(sizes) / sizeof(sizes[0]);

    for (int i = 0; i + 1 < n; i++) {
        for (int j = 0; j < n; j++) {
            for (uint64_t percent = 0; percent < 90; percent += 15) {
                uint64_t p = percent * PERCENT, r = sizes[j];

                ck_assert_uint_le(pol_gpu_budget(sizes[i], r, p, 7 * TENTH),
                                  pol_gpu_budget(sizes[i + 1], r, p, 7 * TENTH));
                ck_assert_uint_ge(pol_gpu_budget(r, sizes[i], p, 7 * TENTH),
                                  pol_gpu_budget(r, sizes[i + 1], p, 7 * TENTH));
                ck_assert_uint_ge(pol_gpu_budget(r, sizes[i], p, 7 * TENTH),
                                  pol_gpu_budget(r, sizes[i], p + 15 * PERCENT, 7 * TENTH));
                ck_assert_uint_le(pol_gpu_budget(r, sizes[i], p, 6 * TENTH),
                                  pol_gpu_budget(r, sizes[i], p, 7 * TENTH));
                ck_assert_uint_le(pol_gpu_budget(r, sizes[i], p, POL_ONE), r);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *formulas = tcase_create("formulas");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, formulas);
    tcase_add_loop_test(formulas, scale, 0, sizeof(scales) / sizeof(scales[0]));
    tcase_add_loop_test(formulas, gpu_budget, 0, sizeof(budgets) / sizeof(budgets[0]));
    tcase_add_loop_test(formulas, ram_pad, 0, sizeof(pads) / sizeof(pads[0]));
    tcase_add_test(formulas, sys_avail);
    tcase_add_test(formulas, reserved);
    tcase_add_test(formulas, monotone);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
