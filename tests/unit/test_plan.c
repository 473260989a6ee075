/* How large a model is and where its bytes go. Expected numbers were worked out outside. */
#include "policy/budget.h"
#include "policy/plan.h"

#include <check.h>
#include <stdlib.h>

#define GIB UINT64_C(1073741824)
#define MAX UINT64_MAX

static const struct {
    uint64_t tensor_bytes, gguf, other;
} estimates[] = {
    /* the floor of 2 GiB, and where each factor leaves it */
    {0, 2147483648, 2147483648},
    {1, 2147483648, 2147483648},
    {1431655765, 2147483648, 2147483648},
    {1431655766, 2147483649, 2147483648},
    {1431655767, 2147483650, 2147483648},
    {1789569707, 2684354560, 2147483648},
    {1789569708, 2684354562, 2147483649},
    /* 1.5 and 1.2 */
    {UINT64_C(6871947673), UINT64_C(10307921509), UINT64_C(8246337207)},
    {10 * GIB, UINT64_C(16106127360), UINT64_C(12884901888)},
    {10 * GIB + 1, UINT64_C(16106127361), UINT64_C(12884901889)},
    /* the end of 64 bits */
    {UINT64_C(12297829382473034410), MAX, UINT64_C(14757395258967641292)},
    {UINT64_C(12297829382473034411), MAX, UINT64_C(14757395258967641293)},
    {UINT64_C(15372286728091293012), MAX, UINT64_C(18446744073709551614)},
    {UINT64_C(15372286728091293013), MAX, MAX},
    {MAX, MAX, MAX},
};

START_TEST(estimate)
{
    ck_assert_uint_eq(pol_estimate(estimates[_i].tensor_bytes, true), estimates[_i].gguf);
    ck_assert_uint_eq(pol_estimate(estimates[_i].tensor_bytes, false), estimates[_i].other);
}
END_TEST

static const struct {
    uint64_t estimate, budget, avail;
    struct pol_plan plan;
} plans[] = {
    {0, 0, 0, {POL_GPU_ONLY, 0, 0, 0}},
    {100, 100, 0, {POL_GPU_ONLY, 100, 0, 0}},
    {99, 100, 50, {POL_GPU_ONLY, 99, 0, 0}},
    {101, 100, 50, {POL_GGUF_HYBRID, 100, 1, 0}},
    {150, 100, 50, {POL_GGUF_HYBRID, 100, 50, 0}},
    {151, 100, 50, {POL_GGUF_INSUFFICIENT, 100, 50, 1}},
    {151, 100, 0, {POL_GGUF_INSUFFICIENT, 100, 0, 51}},
    {1, 0, 1, {POL_GGUF_HYBRID, 0, 1, 0}},
    {1, 0, 0, {POL_GGUF_INSUFFICIENT, 0, 0, 1}},
    /* budget + available RAM is beyond 64 bits */
    {MAX, MAX - 1, MAX, {POL_GGUF_HYBRID, MAX - 1, 1, 0}},
    {MAX, 1, MAX, {POL_GGUF_HYBRID, 1, MAX - 1, 0}},
    {MAX, 0, 5, {POL_GGUF_INSUFFICIENT, 0, 5, MAX - 5}},
    {MAX, MAX, 0, {POL_GPU_ONLY, MAX, 0, 0}},
    /* a 12 GB GGUF file (x 1.5) on the default budget of 8 GiB, with 16 GiB of RAM to use */
    {UINT64_C(18000000000),
     UINT64_C(5111011082),
     16 * GIB,
     {POL_GGUF_HYBRID, UINT64_C(5111011082), UINT64_C(12888988918), 0}},
};

START_TEST(plan)
{
    struct pol_plan p = pol_plan(plans[_i].estimate, plans[_i].budget, plans[_i].avail);

    ck_assert_int_eq(p.strategy, plans[_i].plan.strategy);
    ck_assert_uint_eq(p.gpu_bytes, plans[_i].plan.gpu_bytes);
    ck_assert_uint_eq(p.host_bytes, plans[_i].plan.host_bytes);
    ck_assert_uint_eq(p.shortfall, plans[_i].plan.shortfall);
}
END_TEST

/* Nothing gets lost or doubled, and no place takes more than it has. */
START_TEST(every_byte_has_one_place)
{
    static const uint64_t sizes[] = {0, 1, 2, 99, 100, GIB, 80 * GIB, MAX / 2, MAX - 1, MAX};
    const int n = sizeof(sizes) / sizeof(sizes[0]);

    for (int e = 0; e < n; e++) {
        for (int b = 0; b < n; b++) {
            for (int a = 0; a < n; a++) {
                struct pol_plan p = pol_plan(sizes[e], sizes[b], sizes[a]);
                unsigned __int128 sum = (unsigned __int128)p.gpu_bytes + p.host_bytes + p.shortfall;

                ck_assert(sum == sizes[e]);
                ck_assert_uint_le(p.gpu_bytes, sizes[b]);
                ck_assert_uint_le(p.host_bytes, sizes[a]);
                ck_assert_int_eq(p.shortfall != 0, p.strategy == POL_GGUF_INSUFFICIENT);
                ck_assert_int_eq(p.host_bytes == 0 && p.shortfall == 0, p.strategy == POL_GPU_ONLY);
            }
        }
    }
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(pol_strategy_name(POL_GPU_ONLY), "gpu_only");
    ck_assert_str_eq(pol_strategy_name(POL_GGUF_HYBRID), "gguf_hybrid");
    ck_assert_str_eq(pol_strategy_name(POL_GGUF_INSUFFICIENT), "gguf_insufficient");
    ck_assert_str_eq(pol_strategy_name((enum pol_strategy)7), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *core = tcase_create("plan");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_loop_test(core, estimate, 0, sizeof(estimates) / sizeof(estimates[0]));
    tcase_add_loop_test(core, plan, 0, sizeof(plans) / sizeof(plans[0]));
    tcase_add_test(core, every_byte_has_one_place);
    tcase_add_test(core, names);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
