/* clock.h: when something was last looked at.
 */
#ifndef HYBRIDMEM_CLOCK_H
#define HYBRIDMEM_CLOCK_H

#include "shim/init.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Is a poll of that moment older than stats_ttl_ms? */
static inline bool clock_is_old(int64_t polled_ms)
{
    return clock_ms() - polled_ms >= (int64_t)shim_config()->stats_ttl_ms;
}

#endif
