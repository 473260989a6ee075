#include "shim/reclaim.h"

#include "shim/context.h"
#include "shim/init.h"
#include "shim/log.h"

/* What this thread was refused last and has not tried again yet; 0: nothing. */
static __thread uint64_t refused;

/* A caller did not try again: whatever it is, it is not what we took it for (promise P2). */
static atomic_bool mistaken;

/* While PyTorch allocates into the private pool of a graph it tries nothing again, and it does so
 * outside captures too: torch.compile's CUDA graphs warm up in their pool, after a capture of
 * nothing that opens it (torch/_inductor/cudagraph_trees.py). */
bool reclaim_begins_by_caller(uint64_t bytes)
{
    uint64_t last = refused;

    refused = 0;
    if (last && last != bytes && !atomic_exchange(&mistaken, true))
        log_warn(
            "an allocation was refused, so that the program give back what it only caches, and "
            "was not tried again: no more are refused (HYBRIDMEM_RECLAIM=off never does it)");
    return last != bytes && shim_config()->reclaim == CFG_RECLAIM_AUTO && !atomic_load(&mistaken) &&
           !context_has_captured();
}

void reclaim_refused(uint64_t bytes)
{
    char size[LOG_SIZE_MAX];

    refused = bytes;
    log_debug("%s would overflow: out of memory is reported once, so that cached memory comes back",
              log_size(bytes, size));
}
