/* window.h: the reserved range of addresses in which redirected memory lies.
 *
 * An address is given out once and never again: a driver that still remembers a registration of it
 * (a context that died with it) cannot take new memory for old.
 */
#ifndef HYBRIDMEM_WINDOW_H
#define HYBRIDMEM_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

/* `bytes` of zeroed memory at a multiple of ARENA_UNIT, not inherited by fork(); NULL if there are
 * no addresses left. `hugepages`: ask for transparent huge pages. */
void *window_take(size_t bytes, bool hugepages);

/* Gives the memory back to the system; the addresses stay reserved. */
void window_give(void *memory, size_t bytes);

/* In a forked child: a lock that another thread of the parent held is nobody's now. */
void window_after_fork(void);

#endif
