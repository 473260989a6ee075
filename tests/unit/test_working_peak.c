/* How much working memory a program has shown to need (policy/classify.h), on made-up streams. */
#include "policy/classify.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MIB     (UINT64_C(1) << 20)
#define TENSORS 40

static struct pol_phase phase;
static uint64_t next_address;

static uint64_t alloc(uint64_t bytes)
{
    uint64_t address = next_address;

    next_address += bytes;
    pol_phase_alloc(&phase, address, bytes);
    return address;
}

static void load_model(void)
{
    memset(&phase, 0, sizeof(phase));
    next_address = 1024 * MIB;
    for (int i = 0; i < TENSORS; i++)
        pol_phase_upload(&phase, alloc(30 * MIB), 30 * MIB);
    ck_assert_int_eq(phase.class, POL_CLASS_WEIGHTS);
    pol_phase_loaded(&phase);
    ck_assert_int_eq(phase.class, POL_CLASS_WORKING);
    ck_assert_uint_eq(phase.working_peak, 0);
}

START_TEST(the_most_is_kept)
{
    uint64_t block[20];

    load_model();
    for (int i = 0; i < 20; i++)
        block[i] = alloc(100 * MIB);
    ck_assert_uint_eq(phase.working_peak, 2000 * MIB);
    for (int i = 0; i < 20; i++)
        pol_phase_free(&phase, block[i], 100 * MIB);
    alloc(50 * MIB);
    ck_assert_uint_eq(phase.working_peak, 2000 * MIB);
}
END_TEST

START_TEST(it_outlives_the_model)
{
    load_model();
    for (int i = 0; i < 20; i++)
        alloc(100 * MIB);
    pol_phase_free(&phase, 0, UINT64_MAX);
    ck_assert_int_eq(phase.class, POL_CLASS_UNKNOWN);
    ck_assert_uint_eq(phase.working_peak, 2000 * MIB);
}
END_TEST

/* The first block of each further model is taken for working memory, and uploaded then. */
START_TEST(models_without_work_between_them_show_nothing)
{
    load_model();
    for (int model = 0; model < 10; model++) {
        for (int i = 1; i < POL_PHASE_WORKED; i++)
            alloc(100 * MIB);
        ck_assert_uint_eq(phase.working_peak, 0);
        pol_phase_loading(&phase);
        pol_phase_upload(&phase, alloc(100 * MIB), 100 * MIB);
        pol_phase_loaded(&phase);
    }
    for (int i = 0; i < POL_PHASE_WORKED; i++)
        alloc(100 * MIB);
    ck_assert_uint_ne(phase.working_peak, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("working_peak");
    TCase *core = tcase_create("core");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, core);
    tcase_add_test(core, the_most_is_kept);
    tcase_add_test(core, it_outlives_the_model);
    tcase_add_test(core, models_without_work_between_them_show_nothing);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
