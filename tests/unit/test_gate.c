/* The gate: what is closed holds callers, and is only closed when nobody can have enqueued anything
 * since the device was idle. Threads; under the thread sanitizer too.
 */
#include "shim/gate.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(int ms)
{
    struct timespec time = {0, ms * 1000000L};
    nanosleep(&time, NULL);
}

static void await(atomic_bool *flag)
{
    while (!atomic_load(flag))
        sleep_ms(1);
}

static pthread_t started(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

/* A call of another thread: in the driver from `in` until somebody sets `end`. */
struct caller {
    pthread_t thread;
    atomic_bool in, end, out;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    bool entered = gate_enter();

    atomic_store(&c->in, true);
    await(&c->end);
    gate_leave(entered);
    atomic_store(&c->out, true);
    return NULL;
}

static void caller_ends(struct caller *c)
{
    atomic_store(&c->end, true);
    pthread_join(c->thread, NULL);
}

static bool passes_at_once(void)
{
    struct caller c = {.end = true};
    c.thread = started(call, &c);
    for (int i = 0; i < 5000 && !atomic_load(&c.out); i++)
        sleep_ms(1);
    bool passed = atomic_load(&c.out);
    if (passed)
        pthread_join(c.thread, NULL);
    return passed;
}

/* What the mover waits with: counts its calls, and does once what `during` says. */
static int waits;
static void (*during)(void);

static bool idle(void *arg)
{
    if (waits++ == 0 && during)
        during();
    return !arg; /* an argument: the device cannot be waited for */
}

static bool close_gate(void (*what)(void))
{
    waits = 0;
    during = what;
    return gate_close(idle, NULL);
}

START_TEST(free_of_charge)
{
    ck_assert(!gate_enter());
    gate_leave(false);
    gate_use();
    ck_assert(gate_enter());
    ck_assert_msg(!gate_enter(), "a call inside a call locks again");
    gate_leave(false);
    gate_leave(true);
    ck_assert(gate_enter());
    gate_leave(true);
}
END_TEST

START_TEST(holds_callers)
{
    struct caller c[3] = {{.end = true}, {.end = true}, {.end = true}};

    gate_use();
    ck_assert(close_gate(NULL));
    ck_assert_int_eq(waits, 1);
    for (int i = 0; i < 3; i++)
        c[i].thread = started(call, &c[i]);
    sleep_ms(50);
    for (int i = 0; i < 3; i++)
        ck_assert(!atomic_load(&c[i].in));
    ck_assert_msg(!gate_enter(), "the mover waits for itself");
    gate_open();
    for (int i = 0; i < 3; i++)
        caller_ends(&c[i]);
    ck_assert(close_gate(NULL)); /* and nothing is left of it */
    gate_open();
}
END_TEST

static struct caller early;

static void let_it_leave(void)
{
    caller_ends(&early);
}

/* It may have enqueued after the wait, and nobody is at the lock any more. */
START_TEST(one_inside_when_the_wait_begins)
{
    gate_use();
    early.thread = started(call, &early);
    await(&early.in);
    ck_assert(close_gate(let_it_leave));
    ck_assert_int_eq(waits, 2);
    gate_open();
}
END_TEST

static void let_one_pass(void)
{
    ck_assert(passes_at_once());
}

START_TEST(one_that_passes_during_the_wait)
{
    gate_use();
    ck_assert(close_gate(let_one_pass));
    ck_assert_int_eq(waits, 2);
    gate_open();
}
END_TEST

static bool never_alone(void *arg)
{
    (void)arg;
    waits++;
    ck_assert(passes_at_once());
    return true;
}

/* However long it tries, nobody waits for the mover. */
START_TEST(gives_up)
{
    struct caller c = {0};

    gate_use();
    ck_assert(!gate_close(never_alone, NULL));
    ck_assert_int_eq(waits, 8);
    c.thread = started(call, &c);
    await(&c.in);
    errno = ERANGE;
    ck_assert(!close_gate(let_one_pass));
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_int_eq(waits, 8);
    ck_assert(passes_at_once());
    caller_ends(&c);
    ck_assert(!gate_close(idle, &c)); /* the device cannot be waited for */
    ck_assert_int_eq(waits, 9);
    ck_assert(passes_at_once());
    ck_assert(close_gate(NULL));
    gate_open();
}
END_TEST

/* A copy that takes a tenth of a second is waited for. */
static void *ends_soon(void *arg)
{
    sleep_ms(100);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

START_TEST(waits_for_a_long_call)
{
    struct caller c = {0};

    gate_use();
    c.thread = started(call, &c);
    await(&c.in);
    pthread_t ending = started(ends_soon, &c.end);
    ck_assert(close_gate(NULL));
    ck_assert(atomic_load(&c.end));
    gate_open();
    pthread_join(ending, NULL);
    caller_ends(&c);
}
END_TEST

static void freeze_it(void)
{
    gate_freeze();
}

START_TEST(frozen)
{
    gate_use();
    ck_assert(!gate_is_frozen());
    ck_assert_msg(!close_gate(freeze_it), "frozen during the wait");
    ck_assert_int_eq(waits, 1);
    ck_assert(gate_is_frozen());
    gate_freeze();
    ck_assert(!close_gate(NULL));
    ck_assert_int_eq(waits, 0);
    ck_assert_msg(!gate_enter(), "nothing moves, and yet it costs");
    gate_use();
    ck_assert(!gate_enter());
}
END_TEST

static void *freeze(void *done)
{
    gate_freeze();
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

START_TEST(freezing_waits_for_the_mover)
{
    atomic_bool done[2] = {false, false};

    gate_use();
    ck_assert(close_gate(NULL));
    pthread_t a = started(freeze, &done[0]), b = started(freeze, &done[1]);
    sleep_ms(50);
    ck_assert(!atomic_load(&done[0]) && !atomic_load(&done[1]) && !gate_is_frozen());
    gate_open();
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    ck_assert(gate_is_frozen());
}
END_TEST

START_TEST(inside_a_call)
{
    gate_use();
    ck_assert(gate_enter());
    ck_assert(!close_gate(NULL));
    ck_assert_int_eq(waits, 0);
    gate_freeze();
    gate_leave(true);
    ck_assert(gate_is_frozen());
}
END_TEST

static int child_status(pid_t child)
{
    int status;
    ck_assert_int_ne(child, -1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void *close_and_stay(void *closed)
{
    ck_assert(close_gate(NULL));
    atomic_store((atomic_bool *)closed, true);
    for (;;)
        pause();
    return NULL;
}

/* The child has a gate of its own: not in use, not frozen, whoever holds the parent's. */
START_TEST(fork_while_closed)
{
    atomic_bool closed = false;

    gate_use();
    started(close_and_stay, &closed);
    await(&closed);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        gate_forget();
        if (gate_enter())
            _exit(1);
        gate_use();
        if (!gate_enter())
            _exit(2);
        gate_leave(true);
        _exit(close_gate(NULL) ? 0 : 3);
    }
    ck_assert_int_eq(child_status(child), 0);
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* which takes the lock for held in the child as well */
START_TEST(fork_inside)
{
    gate_use();
    ck_assert(gate_enter());
    gate_freeze();
    pid_t child = fork();
    if (child == 0) {
        int state;

        alarm(10);
        gate_forget();
        gate_leave(true); /* the lock was the parent's */
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
        if (gate_is_frozen() || state != PTHREAD_CANCEL_ENABLE)
            _exit(1);
        gate_use();
        if (!close_gate(NULL))
            _exit(2);
        gate_open();
        _exit(gate_enter() ? 0 : 3);
    }
    ck_assert_int_eq(child_status(child), 0);
    gate_leave(true);
}
END_TEST
#endif

static void *cancelled_inside(void *left)
{
    struct caller *c = left;
    bool entered = gate_enter();

    atomic_store(&c->in, true);
    await(&c->end);
    pthread_testcancel();
    gate_leave(entered);
    atomic_store(&c->out, true);
    pthread_testcancel();
    return NULL;
}

static void *cancelled_mover(void *left)
{
    struct caller *c = left;

    ck_assert(gate_close(idle, NULL));
    atomic_store(&c->in, true);
    await(&c->end);
    pthread_testcancel();
    gate_open();
    atomic_store(&c->out, true);
    pthread_testcancel();
    return NULL;
}

/* A thread does not end with the lock held, and ends right afterwards. */
START_TEST(cancelled)
{
    void *(*const run[])(void *) = {cancelled_inside, cancelled_mover};
    struct caller c = {0};
    void *result;

    gate_use();
    c.thread = started(run[_i], &c);
    await(&c.in);
    ck_assert_int_eq(pthread_cancel(c.thread), 0);
    atomic_store(&c.end, true);
    ck_assert_int_eq(pthread_join(c.thread, &result), 0);
    ck_assert(atomic_load(&c.out));
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert(close_gate(NULL));
    gate_open();
}
END_TEST

/* Callers enqueue, two movers drain the queue and change what lies behind the address. */
static atomic_int queued;
static int backing; /* not atomic: the gate is what keeps readers and movers apart */
static atomic_bool stop;

static void *enqueue(void *arg)
{
    uint64_t *sum = arg;

    while (!atomic_load(&stop)) {
        bool entered = gate_enter();
        *sum += (uint64_t)backing;
        atomic_fetch_add(&queued, 1);
        gate_leave(entered);
        sleep_ms(1);
    }
    return NULL;
}

static bool drain(void *arg)
{
    (void)arg;
    atomic_store(&queued, 0);
    return true;
}

static void *move(void *arg)
{
    int *moved = arg;

    while (*moved < 200) {
        if (!gate_close(drain, NULL))
            continue;
        ck_assert_msg(atomic_load(&queued) == 0, "enqueued after the wait");
        backing++;
        gate_open();
        ++*moved;
    }
    return NULL;
}

START_TEST(many_threads)
{
    uint64_t sums[3] = {0};
    pthread_t callers[3], movers[2];
    int moved[2] = {0, 0};

    gate_use();
    for (int i = 0; i < 3; i++)
        callers[i] = started(enqueue, &sums[i]);
    for (int i = 0; i < 2; i++)
        movers[i] = started(move, &moved[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(movers[i], NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(callers[i], NULL);
    ck_assert_int_eq(backing, 400);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tcase = tcase_create("gate");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, free_of_charge);
    tcase_add_test(tcase, holds_callers);
    tcase_add_test(tcase, one_inside_when_the_wait_begins);
    tcase_add_test(tcase, one_that_passes_during_the_wait);
    tcase_add_test(tcase, gives_up);
    tcase_add_test(tcase, waits_for_a_long_call);
    tcase_add_test(tcase, frozen);
    tcase_add_test(tcase, freezing_waits_for_the_mover);
    tcase_add_test(tcase, inside_a_call);
    tcase_add_test(tcase, fork_while_closed);
#ifndef __SANITIZE_THREAD__
    tcase_add_test(tcase, fork_inside);
#endif
    tcase_add_loop_test(tcase, cancelled, 0, 2);
    tcase_add_test(tcase, many_threads);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
