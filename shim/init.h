/* init.h: lifecycle. Everything is lazy: until a host reaches the driver, nothing is read, opened,
 * allocated or said.
 */
#ifndef HYBRIDMEM_INIT_H
#define HYBRIDMEM_INIT_H

#include "config/config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

enum shim_state {
    SHIM_FRESH,    /* nothing has happened yet */
    SHIM_DISABLED, /* enable=false, or no driver: every call goes straight on */
    SHIM_ENABLED,
};

extern _Atomic enum shim_state shim_state_;
extern __thread int shim_depth_;

/* Reads the options and opens the driver, once. Returns at once when the caller is inside it.
 * Thread-safe; keeps errno. */
void shim_init(void);

/* Initialises if need be; true when the options enable us. */
static inline bool shim_enabled(void)
{
    enum shim_state s = atomic_load_explicit(&shim_state_, memory_order_acquire);
    if (__builtin_expect(s == SHIM_FRESH, 0)) {
        shim_init();
        s = atomic_load_explicit(&shim_state_, memory_order_acquire);
    }
    return s == SHIM_ENABLED;
}

/* Should this call be acted on? Not when disabled, and not when the driver calls its own exports
 * while this thread is inside one of our calls already. */
static inline bool shim_acts(void)
{
    return shim_enabled() && shim_depth_ == 0;
}

/* Brackets the body of a call that acts (promise P1: what the driver calls meanwhile passes
 * through; promise P6: errno stays the host's). shim_leave() takes what shim_enter() gave. */
static inline int shim_enter(void)
{
    shim_depth_++;
    return errno;
}
static inline void shim_leave(int saved_errno)
{
    shim_depth_--;
    errno = saved_errno;
}

/* The options, valid once shim_init() has returned. */
const struct config *shim_config(void);

#endif
