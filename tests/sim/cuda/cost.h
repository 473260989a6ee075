/* cost.h: simulated time (SIMCUDA_COST). Nanoseconds and bytes; all is 0 where the setting is not
 * given. */
#ifndef HYBRIDMEM_SIM_COST_H
#define HYBRIDMEM_SIM_COST_H

#include "engine.h"

void cost_start(void);
bool cost_any(void);

/* A kernel that moves so many bytes in all within [address, address + size), and its launch. */
uint64_t cost_access_locked(uint64_t address, size_t size, uint64_t moved);
uint64_t cost_launch(void);

/* A copy, by the shares (0 to 1) of its two sides that lie in host memory. */
double cost_host_share_locked(uint64_t address, size_t size);
uint64_t cost_copy(double to_host, double from_host, uint64_t moved);

/* Moves the stream's clock on by one operation, which starts when the calling thread has nothing
 * left to wait for. */
void cost_enqueue_locked(struct stream *stream, uint64_t cost_ns);
/* What this thread enqueues from now on starts no earlier. */
void cost_waited(uint64_t clock_ns);
void cost_not_before(uint64_t *clock_ns, uint64_t other_ns);

#endif
