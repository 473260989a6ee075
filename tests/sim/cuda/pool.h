/* pool.h: memory pools and the blocks that are allocated and freed in stream order. */
#ifndef HYBRIDMEM_SIM_POOL_H
#define HYBRIDMEM_SIM_POOL_H

#include "memory.h"

/* What a pool takes from its device at a time. The driver's own unit is larger (32 MiB), but not
 * documented: "OS allocations may happen at different granularity" (cuMemPoolTrimTo). */
#define POOL_CHUNK ((size_t)2 << 20)

struct pool {
    void *handle; /* NULL once destroyed */
    struct pool *next, **link;
    CUmemLocation location;
    struct device *device; /* NULL: host memory */
    bool is_default;
    size_t most; /* bytes; 0: no limit of its own */
    int reuse[3];
    uint64_t threshold;
    /* reserved = used + freeing + idle. What was freed counts as in use no longer at the call, and
     * is idle when the stream has come to the free. */
    uint64_t reserved, reserved_high, used, used_high, freeing;
    struct range *freed; /* frees under way, the latest first */
    unsigned blocks;
    unsigned char access[SIM_MAX_DEVICES]; /* CUmemAccess_flags */
    unsigned char host_access;
};

void pool_start_locked(struct device *device);
struct pool *pool_get(CUmemoryPool handle); /* NULL when not alive */
/* Makes room for a block of `bytes`, a multiple of SIM_ALIGNMENT, or OUT_OF_MEMORY. */
CUresult pool_take_locked(struct pool *pool, size_t bytes);
/* A block's bytes: its free is enqueued; in use again by a new block at its address; given back. */
void pool_block_freed_locked(struct range *range, struct stream *stream, uint64_t sequence);
void pool_block_again_locked(struct range *older, struct range *range);
void pool_block_end_locked(struct range *range);
bool pool_admits(const struct pool *pool, int device, bool write);
/* After a stream, event or context synchronisation: what is over the thresholds goes back. */
void pool_synchronised_locked(void);

#endif
