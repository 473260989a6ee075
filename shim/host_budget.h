/* host_budget.h: how much RAM redirected memory may take: polled now and then, and shared with the
 * other preloaded processes of the user between two polls.
 *
 * Thread-safe; calls no driver function. All sizes are bytes.
 */
#ifndef HYBRIDMEM_HOST_BUDGET_H
#define HYBRIDMEM_HOST_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct pol_view;

/* Fills view->ram_total and view->ram_available as of the last poll; polls if that is older than
 * stats_ttl_ms, or if `fresh`. */
void host_budget_view(struct pol_view *view, bool fresh);

/* May `bytes` more be pinned, all that was promised since the last poll considered? Then they are
 * promised to the caller, who goes on with claims_settle() or claims_release(). False if
 * not, after a fresh poll. The first call joins the other processes' ledger. */
bool host_budget_reserve(uint64_t bytes);

/* A forked child. */
void host_budget_forget(void);

#endif
