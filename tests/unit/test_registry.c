/* The registry of driver allocations and the ledger of live bytes. */
#include "shim/ledger.h"
#include "shim/registry.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

static struct reg_record record(uint64_t address, uint64_t bytes, uint32_t context)
{
    return (struct reg_record){.address = address, .bytes = bytes, .context = context, .device = 3};
}

static void put(uint64_t address, uint64_t bytes, uint32_t context)
{
    struct reg_record r = record(address, bytes, context), replaced;
    ck_assert(reg_put(&r, &replaced));
    ck_assert_uint_eq(replaced.address, 0);
}

START_TEST(put_and_take)
{
    struct reg_record r, replaced;

    ck_assert(!reg_take(0, &r));
    ck_assert(!reg_take(512, &r));
    put(512, 100, 1);
    ck_assert(reg_take(512, &r));
    ck_assert_uint_eq(r.bytes, 100);
    ck_assert_uint_eq(r.context, 1);
    ck_assert_uint_eq(r.device, 3);
    ck_assert(!reg_take(512, &r));

    put(512, 100, 1);
    r = record(512, 200, 2);
    ck_assert(reg_put(&r, &replaced)); /* its end went unseen */
    ck_assert_uint_eq(replaced.bytes, 100);
    ck_assert(reg_take(512, &r));
    ck_assert_uint_eq(r.bytes, 200);
    ck_assert(!reg_take(512, &r));
}
END_TEST

/* Many addresses in the patterns that drivers use: dense, and far apart. */
START_TEST(many)
{
    static const uint64_t strides[] = {512, 2 << 20, UINT64_C(1) << 30};
    uint64_t stride = strides[_i], n = 20000;
    struct reg_record r;

    for (uint64_t i = 1; i <= n; i++)
        put(i * stride, i, (uint32_t)(i % 3));
    for (uint64_t i = 1; i <= n; i += 2) {
        ck_assert(reg_take(i * stride, &r));
        ck_assert_uint_eq(r.bytes, i);
    }
    for (uint64_t i = 1; i <= n; i++)
        ck_assert_int_eq(reg_take(i * stride, &r), i % 2 == 0);
    for (uint64_t i = 1; i <= n; i++)
        ck_assert(!reg_take(i * stride, &r));
}
END_TEST

static uint64_t dropped, dropped_bytes;

static void count(const struct reg_record *r)
{
    dropped++;
    dropped_bytes += r->bytes;
}

START_TEST(drop_context)
{
    struct reg_record r;
    uint64_t expected = 0;

    for (uint64_t i = 1; i <= 5000; i++) {
        put(i << 21, i, (uint32_t)(i % 5));
        expected += i % 5 == 2 ? i : 0;
    }
    reg_drop_context(2, count);
    ck_assert_uint_eq(dropped, 1000);
    ck_assert_uint_eq(dropped_bytes, expected);
    for (uint64_t i = 1; i <= 5000; i++)
        ck_assert_int_eq(reg_take(i << 21, &r), i % 5 != 2);
}
END_TEST

#define THREADS 4

/* An allocation as the library counts it: reserved first, settled when it has come. */
static void ledger_add(struct ledger *l, uint64_t bytes)
{
    ledger_reserve(l, bytes);
    ledger_settle(l, bytes);
}

static struct ledger ledger;

static void *churn(void *arg)
{
    uint64_t base = (uint64_t)(uintptr_t)arg << 40;
    struct reg_record r, replaced;
    uintptr_t wrong = 0;

    for (int round = 0; round < 20; round++) {
        for (uint64_t i = 1; i <= 2000; i++) {
            r = record(base + i * 512, i, 1);
            wrong += !reg_put(&r, &replaced) || replaced.address;
            ledger_add(&ledger, i);
        }
        for (uint64_t i = 1; i <= 2000; i++) {
            wrong += !reg_take(base + i * 512, &r) || r.bytes != i;
            ledger_sub(&ledger, r.bytes);
        }
    }
    return (void *)wrong;
}

START_TEST(threads)
{
    pthread_t thread[THREADS];
    void *wrong;

    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    ck_assert_uint_eq(ledger_sum(&ledger), 0);
    /* One thread's summit, at least, less what may be missed (ledger.h). */
    ck_assert_uint_ge(ledger.peak, 2000 * 2001 / 2 - (1 << 20));
}
END_TEST

static struct ledger crossed;

static void *give_back(void *arg)
{
    ledger_sub(&crossed, *(uint64_t *)arg);
    return NULL;
}

/* What one thread allocates another may free. */
START_TEST(ledger_across_threads)
{
    uint64_t bytes = 5 << 20;
    pthread_t thread;

    ledger_add(&crossed, bytes);
    ck_assert_uint_eq(ledger_sum(&crossed), bytes);
    ck_assert_int_eq(pthread_create(&thread, NULL, give_back, &bytes), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(ledger_sum(&crossed), 0);
    ledger_note_peak(&crossed);
    ck_assert_uint_eq(crossed.peak, bytes);
    ledger_add(&crossed, 100);
    ledger_note_peak(&crossed);
    ck_assert_uint_eq(crossed.peak, bytes);
    ck_assert_uint_eq(ledger_sum(&crossed), 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("registry");
    TCase *tcase = tcase_create("registry");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, put_and_take);
    tcase_add_loop_test(tcase, many, 0, 3);
    tcase_add_test(tcase, drop_context);
    tcase_add_test(tcase, threads);
    tcase_add_test(tcase, ledger_across_threads);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
