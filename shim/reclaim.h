/* reclaim.h: "reclaim first" (option `reclaim`). A caller that caches device memory gives it back
 * when it is told that there is none left; if overflow is hidden from it, its cache is never
 * returned. So a caller that is known to try again (struct caller) is told once for each request
 * that overflows.
 */
#ifndef HYBRIDMEM_RECLAIM_H
#define HYBRIDMEM_RECLAIM_H

#include "shim/caller.h"
#include "shim/hooks.h"

/* reclaim_begins() for a thread whose call comes from such a caller. */
bool reclaim_begins_by_caller(uint64_t bytes);

/* At the beginning of each synchronous allocation: may it be refused, should it overflow? The
 * second try may not, nor may anything once a refused request was not tried again. */
static inline bool reclaim_begins(uint64_t bytes)
{
    return unlikely(caller_note_.caller && caller_note_.caller->tries_again) &&
           reclaim_begins_by_caller(bytes);
}

/* The request is refused, to be tried again by the same thread. */
void reclaim_refused(uint64_t bytes);

#endif
