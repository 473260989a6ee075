/* host_pool.h: what the backings of redirected blocks share: a context's pool of arenas. All calls
 * but the last are made with the pool's lock held.
 */
#ifndef HYBRIDMEM_HOST_POOL_H
#define HYBRIDMEM_HOST_POOL_H

#include "shim/arena.h"
#include "shim/context.h"

#include <stdbool.h>
#include <stdint.h>

static inline bool host_pool_is_loan(const struct arena *arena)
{
    return arena_kind(arena) == HOST_LENT || arena_kind(arena) == HOST_RECALLED;
}

/* False if there is no room for another arena. */
bool host_pool_add(struct host_pool *pool, struct arena *arena);

/* A live block from what lies in host memory, or with `lent` from what lies in VRAM on loan: its
 * address, or 0. */
uint64_t host_pool_alloc(struct host_pool *pool, uint64_t bytes, bool lent);

/* Releases blocks that streams have finished with by now; false if there were none. */
bool host_pool_drain(struct host_pool *pool);

/* The context is idle, and nothing can be enqueued in it: what waited for that is free, and what
 * was lent and has become empty is given back. False, and nothing changed, while another thread
 * waits for the context itself. */
bool host_pool_settle(struct context *context);

/* Gives back what was lent and has become empty, as far as that is known without waiting. */
void host_pool_give_back(struct context *context);

#endif
