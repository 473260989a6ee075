/* gate.h: no work is enqueued while memory moves (promise P3).
 *
 * Memory on loan changes what lies behind an address. Every call that enqueues work on addresses
 * passes the gate; whoever moves memory closes it, the device idle, and opens it again. Until the
 * first loan, and once frozen, a call that passes costs one load.
 */
#ifndef HYBRIDMEM_GATE_H
#define HYBRIDMEM_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern atomic_bool gate_used_;
bool gate_enter_slow_(void);
void gate_leave_slow_(void);

/* Calls pass the gate from now on: before the first loan is given out, since a call that uses its
 * address begins after that. */
void gate_use(void);

static inline bool gate_is_used(void)
{
    return atomic_load_explicit(&gate_used_, memory_order_relaxed);
}

/* Brackets a driver call: gate_leave() takes what gate_enter() gave. Waits while the gate is
 * closed. False, and nothing to leave, while the gate is not in use and for a call inside another
 * one of the same thread. In between the thread is not cancelled. Keep errno. */
static inline bool gate_enter(void)
{
    return __builtin_expect(gate_is_used(), 0) && gate_enter_slow_();
}

static inline void gate_leave(bool entered)
{
    if (__builtin_expect(entered, 0))
        gate_leave_slow_();
}

/* The body of a function that is one gated driver call. A jump where there is no gate. */
#define GATED(call)                                                                                \
    if (!gate_enter())                                                                             \
        return call;                                                                               \
    CUresult gated_ = call;                                                                        \
    gate_leave(true);                                                                              \
    return gated_

/* For the mover: true if no gated call is in the driver, none begins until gate_open() (by the same
 * thread), and everything enqueued earlier is finished. False, and nothing to open, when frozen,
 * inside a gated call, when `idle` says so, or when other threads leave no moment for it.
 * idle(arg) waits until what is enqueued in all contexts is finished; it may be called several
 * times, never with the gate closed. Keeps errno. */
bool gate_close(bool (*idle)(void *), void *arg);
void gate_open(void);

/* How many gated calls there were, for people; one inside another is not counted. */
uint64_t gate_calls(void);

/* From then on nothing moves: a graph may know what lies behind addresses. Waits for the gate to
 * open if it is closed. */
void gate_freeze(void);
bool gate_is_frozen(void);

/* In a forked child: a lock that another thread of the parent held is nobody's now. */
void gate_forget(void);

#endif
