/* gate.c: see gate.h.
 *
 * Gated calls hold a lock for reading while they are in the driver, the mover holds it for writing.
 * The device must be idle as well, and nothing is ever waited for with the gate closed: what is
 * waited for may be a host function (cuLaunchHostFunc) that needs a lock of a thread that waits at
 * the gate. So the mover first waits for the device, then tries the lock, and is content if no call
 * has left the gate in between: calls are counted as they leave, since one that was inside before
 * the wait may have enqueued after it. For the same reason a call that is found inside has spoiled
 * the attempt already, and to wait at the lock would win nothing.
 */
#include "shim/gate.h"

#include "shim/cancel.h"
#include "shim/context.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define ATTEMPTS 8

atomic_bool gate_used_;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic uint64_t calls_done;
static atomic_bool frozen;   /* becomes true with the lock held */
static __thread bool inside; /* this thread holds the lock */
static __thread int cancel_before;

bool gate_enter_slow_(void)
{
    if (inside)
        return false;
    cancel_before = cancel_defer();
    context_current(); /* known from now on: context_only() */
    pthread_rwlock_rdlock(&lock);
    inside = true;
    return true;
}

static void unlock(void)
{
    if (inside) /* not when forked inside: the child's lock is a new one */
        pthread_rwlock_unlock(&lock);
    inside = false;
    cancel_allow(cancel_before);
}

void gate_leave_slow_(void)
{
    atomic_fetch_add(&calls_done, 1);
    unlock();
}

/* Long copies from ordinary memory are inside for as long as the CPU copies: the waits add up to
 * half a second. */
static void wait_for_those_inside(int attempt)
{
    int saved = errno;
    struct timespec pause = {0, 100000L << 2 * attempt};

    nanosleep(&pause, NULL);
    errno = saved;
}

/* One attempt; the lock is held if it succeeds. */
static bool close_once(uint64_t before, int attempt)
{
    if (pthread_rwlock_trywrlock(&lock) != 0) {
        if (attempt < ATTEMPTS - 1)
            wait_for_those_inside(attempt);
        return false;
    }
    if (atomic_load(&calls_done) == before && !gate_is_frozen())
        return true;
    pthread_rwlock_unlock(&lock);
    return false;
}

bool gate_close(bool (*idle)(void *), void *arg)
{
    int cancel = cancel_defer();

    for (int attempt = 0; attempt < ATTEMPTS && !inside && !gate_is_frozen(); attempt++) {
        uint64_t before = atomic_load(&calls_done);

        if (!idle(arg))
            break;
        if (close_once(before, attempt)) {
            inside = true; /* calls of the mover's own, if any, do not wait for it */
            cancel_before = cancel;
            return true;
        }
    }
    cancel_allow(cancel);
    return false;
}

void gate_open(void)
{
    unlock();
}

void gate_use(void)
{
    if (!gate_is_frozen())
        atomic_store(&gate_used_, true);
}

void gate_freeze(void)
{
    if (gate_is_frozen())
        return;
    int cancel = cancel_defer();
    if (!inside)
        pthread_rwlock_rdlock(&lock);
    atomic_store(&frozen, true);
    if (!inside)
        pthread_rwlock_unlock(&lock);
    cancel_allow(cancel);
    atomic_store(&gate_used_, false); /* nothing will move: nothing to wait for */
}

uint64_t gate_calls(void)
{
    return atomic_load(&calls_done);
}

bool gate_is_frozen(void)
{
    return atomic_load_explicit(&frozen, memory_order_acquire);
}

void gate_forget(void)
{
    pthread_rwlock_init(&lock, NULL);
    atomic_store(&gate_used_, false);
    atomic_store(&frozen, false);
    inside = false;
}
