/* fault.c: SIMCUDA_FAIL=function:n:code,...: the n-th call (from 1; * for every one) of a function
 * answers `code` (a number or a name) and does nothing. `function` is an exported name, or the base
 * name, which counts all its versions and flavours together.
 *
 * Or, from inside the process: the n-th call of whatever function that this thread makes from now
 * on (simcuda_fail_nth); or that one is where the thread is cancelled (simcuda_cancel_nth). */
#include "gate.h"

#include <stdlib.h>

struct fault {
    char function[64];
    unsigned long nth; /* 0: every call */
    CUresult result;
    atomic_ulong calls;
};
#define FAULTS 32
static struct fault faults[FAULTS];
static int fault_count;

#define SIM_ROW(symbol, base, since, flavour, needs, params, args, call) {#symbol, #base},
static const char *const names[][2] = {
#include "symbols.def"
};

static bool is_function(const char *name)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcmp(name, names[i][0]) || !strcmp(name, names[i][1]))
            return true;
    return false;
}

static void parse_one(const char *text)
{
    struct fault *fault = &faults[fault_count];
    char nth[24], code[64], *end;

    if (fault_count == FAULTS)
        sim_refuse("SIMCUDA_FAIL: more than %d entries", FAULTS);
    if (sscanf(text, "%63[^:]:%23[^:]:%63[^:]", fault->function, nth, code) != 3)
        sim_refuse("SIMCUDA_FAIL: \"%s\": function:n:code is wanted", text);
    if (!is_function(fault->function))
        sim_refuse("SIMCUDA_FAIL: \"%s\": no such function", fault->function);
    fault->nth = strtoul(nth, &end, 10);
    if (strcmp(nth, "*") && (*end || !fault->nth))
        sim_refuse("SIMCUDA_FAIL: \"%s\": n is a number from 1, or *", text);
    fault->result = (CUresult)strtoul(code, &end, 10);
    if (*end && !result_by_name(code, &fault->result))
        sim_refuse("SIMCUDA_FAIL: \"%s\": no such result", code);
    fault_count++;
}

void fault_start(void)
{
    char *copy, *save = NULL;

    if (!sim_settings.fail)
        return;
    copy = strdup(sim_settings.fail);
    for (char *entry = strtok_r(copy, ",", &save); entry; entry = strtok_r(NULL, ",", &save))
        parse_one(entry);
    free(copy);
}

bool fault_any(void)
{
    return fault_count > 0;
}

/* For a test in the same process: not part of the driver API. The n-th call that the thread makes
 * from now on answers `result`; none does if n is 0. Returns how many it has made since it was here
 * last. */
static __thread struct {
    unsigned long calls, nth;
    bool cancels;
    CUresult result;
} armed;

static unsigned long arm(unsigned long nth, bool cancels, CUresult result)
{
    unsigned long calls = armed.calls;
    int open = GATE_OPEN;

    atomic_compare_exchange_strong(&sim_gate, &open, GATE_WATCHED);
    armed.calls = 0;
    armed.nth = nth;
    armed.cancels = cancels;
    armed.result = result;
    return calls;
}

unsigned long simcuda_fail_nth(unsigned long nth, CUresult result);
__attribute__((visibility("default"))) unsigned long simcuda_fail_nth(unsigned long nth,
                                                                      CUresult result)
{
    return arm(nth, false, result);
}

/* The same, but that call is a cancellation point at which the thread has just been cancelled;
 * where its cancellation is deferred the call is made, and what waits for it comes later. */
unsigned long simcuda_cancel_nth(unsigned long nth);
__attribute__((visibility("default"))) unsigned long simcuda_cancel_nth(unsigned long nth)
{
    return arm(nth, true, CUDA_SUCCESS);
}

static bool armed_is_due(CUresult *result)
{
    if (++armed.calls != armed.nth)
        return false;
    *result = armed.result;
    if (armed.cancels) {
        pthread_cancel(pthread_self());
        pthread_testcancel();
    }
    return !armed.cancels;
}

bool fault_due(const char *symbol, const char *base, CUresult *result)
{
    bool due = armed_is_due(result);

    for (int i = 0; i < fault_count; i++) {
        struct fault *fault = &faults[i];

        if (strcmp(fault->function, symbol) && strcmp(fault->function, base))
            continue;
        if (atomic_fetch_add(&fault->calls, 1) + 1 == fault->nth || !fault->nth) {
            *result = fault->result;
            due = true;
        }
    }
    return due;
}
