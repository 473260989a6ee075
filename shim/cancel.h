/* cancel.h: a thread of the host's that is cancelled (pthread_cancel) does not end inside of us,
 * with a lock held that every later call would wait for: files that we read, lines that we write
 * and the driver's waits may be cancellation points (pthreads(7)). What was asked for happens at
 * the host's next one. Costs some 5 ns each, so it brackets what is slow.
 */
#ifndef HYBRIDMEM_CANCEL_H
#define HYBRIDMEM_CANCEL_H

#include <pthread.h>

/* For cancel_allow(). May be nested. */
static inline int cancel_defer(void)
{
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void cancel_allow(int before)
{
    int ignored;

    pthread_setcancelstate(before, &ignored);
}

#endif
