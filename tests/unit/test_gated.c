/* Which of the hooked functions pass the gate, and which freeze it: all rows of shim/hooks.def, by
 * their groups. In place of the driver's functions stand some that look where they are called.
 */
#include "shim/gate.h"
#include "shim/hooks.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int called;
static bool was_inside, was_frozen;

/* Inside a gated call a second one is not gated. */
static CUresult look(void)
{
    bool entered = gate_enter();

    called++;
    was_frozen = gate_is_frozen();
    was_inside = !was_frozen && !entered;
    gate_leave(entered);
    return CUDA_ERROR_UNKNOWN;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    static CUresult look_##symbol params                                                           \
    {                                                                                              \
        return look();                                                                             \
    }
#include "shim/hooks.def"
#undef HOOK
#pragma GCC diagnostic pop

/* Called with nothing at all: as many zeroes as the longest list of parameters has. */
typedef CUresult any_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t, uint64_t);
struct row {
    const char *symbol, *group;
    any_fn *hook;
};

static const struct row rows[] = {
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    {#symbol, #group, (any_fn *)(void *)symbol},
#include "shim/hooks.def"
#undef HOOK
};
#define ROWS (sizeof rows / sizeof *rows)

static bool is_gated(const struct row *row)
{
    return !strcmp(row->group, "COPY") || !strcmp(row->group, "SET") ||
           !strcmp(row->group, "LAUNCH");
}

static bool freezes(const struct row *row)
{
    return !strcmp(row->group, "GRAPH") || !strncmp(row->symbol, "cuStreamBegin", 13);
}

START_TEST(each_row)
{
    int gated = 0, freezing = 0;

    /* Disabled: what a call does besides is nothing, and needs no driver. */
    setenv("HYBRIDMEM_ENABLE", "0", 1);
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];

        if (!is_gated(row) && !freezes(row))
            continue;
        row->hook(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* the options are read, once */
#define HOOK(group, symbol, base, since, flavour, params, args) driver.symbol = look_##symbol;
#include "shim/hooks.def"
#undef HOOK
        gate_forget();
        gate_use();
        called = 0;
        CUresult r = row->hook(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        ck_assert_msg(called == 1 && r == CUDA_ERROR_UNKNOWN, "%s: %d calls", row->symbol, called);
        ck_assert_msg(was_inside == is_gated(row), "%s: %d", row->symbol, was_inside);
        ck_assert_msg(was_frozen == freezes(row), "%s: %d", row->symbol, was_frozen);
        ck_assert_msg(freezes(row) || gate_enter(), "%s has not left the gate", row->symbol);
        gate_leave(!freezes(row));
        gated += is_gated(row);
        freezing += freezes(row);
    }
    ck_assert_int_gt(gated, 80);
    ck_assert_int_gt(freezing, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gated");
    TCase *tcase = tcase_create("gated");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, each_row);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
