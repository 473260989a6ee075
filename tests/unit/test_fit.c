/* Which change of one setting would make a model fit. */
#include "policy/fit.h"

#include <check.h>
#include <stdlib.h>

#define GIB UINT64_C(1073741824)
#define MIB UINT64_C(1048576)

static const struct pol_settings defaults = {
    .conservative_factor = 700000000,
    .overhead_percent = 15 * POL_ONE,
    .system_ram_pad = POL_AUTO,
    .vram_limit = POL_NONE,
    .host_limit = POL_NONE,
    .min_redirect = MIB,
};

/* 8 GiB, 0.5 of them held by others; 16 GiB of RAM, of which 8 are available: pad 2 GiB,
 * sys_avail 6 GiB, gpu_budget (7.5 - 1.2) x 0.7 = 4.41 GiB. */
static const struct pol_view machine = {
    .vram_total = 8 * GIB,
    .vram_free = 8 * GIB - GIB / 2,
    .ram_total = 16 * GIB,
    .ram_available = 8 * GIB,
};

#define NO UINT64_MAX

static const struct {
    uint64_t estimate;
    enum pol_strategy wanted;
    enum pol_knob knob;
    uint64_t value; /* NO: none */
} cases[] = {
    /* all on the GPU: 5 GiB of 6.3 usable need a factor of 0.7937 */
    {5 * GIB, POL_GPU_ONLY, POL_FIT_FACTOR, 794000000},
    /* (7.5 - 8 p) x 0.7 >= 5: p <= 4.4642 % */
    {5 * GIB, POL_GPU_ONLY, POL_FIT_OVERHEAD, 4400000000},
    /* (0.85 v - 0.5) x 0.7 >= 5 GiB: v >= 9207.39 MiB */
    {5 * GIB, POL_GPU_ONLY, POL_FIT_VRAM, 9208 * MIB},
    {5 * GIB, POL_GPU_ONLY, POL_FIT_PAD, NO}, /* RAM does not help it onto the GPU */
    {5 * GIB, POL_GPU_ONLY, POL_FIT_RAM, NO},
    {5 * GIB, POL_GPU_ONLY, POL_FIT_HOST_LIMIT, NO}, /* not limited */
    {5 * GIB, POL_GPU_ONLY, POL_FIT_VRAM_LIMIT, NO},
    {7 * GIB, POL_GPU_ONLY, POL_FIT_FACTOR, NO}, /* more than usable at 1 */
    {7 * GIB, POL_GPU_ONLY, POL_FIT_OVERHEAD, NO},
    /* it fits: nothing is needed */
    {4 * GIB, POL_GPU_ONLY, POL_FIT_FACTOR, NO},
    {5 * GIB, POL_GGUF_HYBRID, POL_FIT_FACTOR, NO},
    /* at all: 11 GiB of 10.41 */
    {11 * GIB, POL_GGUF_HYBRID, POL_FIT_FACTOR, 794000000},
    {11 * GIB, POL_GGUF_HYBRID, POL_FIT_PAD, GIB + 3 * GIB / 8}, /* 2 - 0.59, down to an eighth */
    /* 16 GiB + 0.59, of which the pad takes nothing below 20 GiB: 604.16 MiB */
    {11 * GIB, POL_GGUF_HYBRID, POL_FIT_RAM, 16 * GIB + 605 * MIB},
    {13 * GIB, POL_GGUF_HYBRID, POL_FIT_PAD, NO}, /* not even without a pad */
    {11 * GIB, POL_GGUF_HYBRID, POL_FIT_KNOBS, NO},
    {NO, POL_GGUF_HYBRID, POL_FIT_RAM, NO}, /* no machine */
};

START_TEST(knobs)
{
    uint64_t value = 0;
    bool fits =
        pol_fit(&defaults, &machine, cases[_i].estimate, cases[_i].wanted, cases[_i].knob, &value);

    ck_assert_int_eq(fits, cases[_i].value != NO);
    if (fits)
        ck_assert_uint_eq(value, cases[_i].value);
}
END_TEST

START_TEST(limits)
{
    struct pol_settings s = defaults;
    uint64_t value;

    s.vram_limit = 4 * GIB + 5;
    /* (l x 0.85) x 0.7 >= 4 GiB: l >= 6884.03 MiB */
    ck_assert(pol_fit(&s, &machine, 4 * GIB, POL_GPU_ONLY, POL_FIT_VRAM_LIMIT, &value));
    ck_assert_uint_eq(value, 6885 * MIB);
    /* the limit binds, so that a larger card is no help */
    ck_assert(!pol_fit(&s, &machine, 4 * GIB, POL_GPU_ONLY, POL_FIT_VRAM, &value));
    /* the card ends before that */
    ck_assert(!pol_fit(&s, &machine, 6 * GIB, POL_GPU_ONLY, POL_FIT_VRAM_LIMIT, &value));

    s = defaults;
    s.host_limit = GIB;
    /* 6 GiB - 4.41: 1628.16 MiB */
    ck_assert(pol_fit(&s, &machine, 6 * GIB, POL_GGUF_HYBRID, POL_FIT_HOST_LIMIT, &value));
    ck_assert_uint_eq(value, 1629 * MIB);
    ck_assert(!pol_fit(&s, &machine, 6 * GIB, POL_GGUF_HYBRID, POL_FIT_PAD, &value));
    ck_assert(!pol_fit(&s, &machine, 11 * GIB, POL_GGUF_HYBRID, POL_FIT_HOST_LIMIT, &value));
}
END_TEST

static enum pol_strategy strategy(const struct pol_settings *s, uint64_t estimate)
{
    struct pol_limits l = pol_limits(s, &machine);

    return pol_plan(estimate, l.gpu_budget, l.sys_avail).strategy;
}

/* The value is enough, and one step less is not. */
START_TEST(is_the_least_change)
{
    int found = 0;

    for (uint64_t estimate = 4 * GIB; estimate < 8 * GIB; estimate += 37 * MIB) {
        struct pol_settings s = defaults;
        uint64_t value;

        if (pol_fit(&s, &machine, estimate, POL_GPU_ONLY, POL_FIT_FACTOR, &value)) {
            found++;
            s.conservative_factor = value;
            ck_assert_int_eq(strategy(&s, estimate), POL_GPU_ONLY);
            s.conservative_factor = value - POL_ONE / 1000;
            ck_assert_int_ne(strategy(&s, estimate), POL_GPU_ONLY);
        }
        s = defaults;
        if (pol_fit(&s, &machine, estimate, POL_GPU_ONLY, POL_FIT_OVERHEAD, &value)) {
            found++;
            s.overhead_percent = value;
            ck_assert_int_eq(strategy(&s, estimate), POL_GPU_ONLY);
            s.overhead_percent = value + POL_ONE / 10;
            ck_assert_int_ne(strategy(&s, estimate), POL_GPU_ONLY);
        }
    }
    ck_assert_int_gt(found, 60);
}
END_TEST

/* Values between two steps, and at the end of 64 bits. */
START_TEST(odd_values)
{
    struct pol_settings s = defaults;
    struct pol_view huge = {UINT64_MAX, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX};
    uint64_t value;

    s.conservative_factor = 700000001;
    ck_assert(pol_fit(&s, &machine, 5 * GIB, POL_GPU_ONLY, POL_FIT_FACTOR, &value));
    ck_assert_uint_eq(value, 794000000);
    s.conservative_factor = 999999999; /* the next step is 1 */
    ck_assert(pol_fit(&s, &machine, 8 * GIB - GIB / 2 - 1288490189, POL_GPU_ONLY, POL_FIT_FACTOR,
                      &value));
    ck_assert_uint_eq(value, POL_ONE);
    s.conservative_factor = 799900000; /* enough as it is, though not the step below it */
    ck_assert(!pol_fit(&s, &machine, pol_limits(&s, &machine).gpu_budget, POL_GPU_ONLY,
                       POL_FIT_FACTOR, &value));
    s = defaults;
    s.system_ram_pad = 2 * GIB + 1;
    ck_assert(pol_fit(&s, &machine, 11 * GIB, POL_GGUF_HYBRID, POL_FIT_PAD, &value));
    ck_assert_uint_eq(value, GIB + 3 * GIB / 8);
    s.host_limit = s.vram_limit = UINT64_MAX - 1;
    for (enum pol_knob knob = 0; knob <= POL_FIT_KNOBS; knob++)
        if (pol_fit(&s, &huge, UINT64_MAX, POL_GPU_ONLY, knob, &value))
            ck_abort_msg("knob %d", knob);
}
END_TEST

/* Without RAM to use there is no hybrid: what is better than wanted will do. */
START_TEST(better_than_wanted)
{
    struct pol_view view = machine;
    uint64_t value;

    view.ram_available = 0;
    ck_assert(pol_fit(&defaults, &view, 5 * GIB, POL_GGUF_HYBRID, POL_FIT_FACTOR, &value));
    ck_assert_uint_eq(value, 794000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fit");
    TCase *core = tcase_create("fit");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_loop_test(core, knobs, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(core, limits);
    tcase_add_test(core, is_the_least_change);
    tcase_add_test(core, odd_values);
    tcase_add_test(core, better_than_wanted);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
