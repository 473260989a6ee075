/* memory.h: ranges of memory that the driver knows, and how the engines reach them. */
#ifndef HYBRIDMEM_SIM_MEMORY_H
#define HYBRIDMEM_SIM_MEMORY_H

#include "sim.h"

/* A balanced search tree (treap) of address ranges that do not overlap. */
struct node {
    struct node *left, *right;
    uint64_t base, priority;
    size_t size;
};
void tree_insert(struct node **root, struct node *node, uint64_t priority);
void tree_remove(struct node **root, struct node *node);
struct node *tree_floor(struct node *root, uint64_t address);   /* greatest base <= address */
struct node *tree_ceiling(struct node *root, uint64_t address); /* least base >= address */

enum range_kind {
    RANGE_DEVICE,     /* cuMemAlloc and its like */
    RANGE_HOST,       /* cuMemHostAlloc: one address for both sides */
    RANGE_REGISTERED, /* cuMemHostRegister: the host's own pages */
    RANGE_ALIAS,      /* their device address, where it differs (SIMCUDA_HOST_POINTER=0) */
    RANGE_MANAGED,
    RANGE_MAPPED /* cuMemMap */
};
struct pool;
struct mapping;
struct range {
    struct node node; /* first: base and size, as asked for */
    enum range_kind kind;
    unsigned serial;            /* d1, d2 ... or h1, h2 ... in the log */
    uint64_t id;                /* unique: the buffer id of pointer attributes */
    struct ctx *ctx;            /* owner; NULL: the process (MAPPED) */
    struct device *device;      /* where it lies; the owner's for host memory */
    struct range *next, **link; /* the owner's list */
    struct range *twin;         /* REGISTERED <-> ALIAS */
    unsigned flags;
    char *cpu;          /* where the engines find the bytes */
    unsigned in_flight; /* enqueued operations that use it */
    bool freeing, sync_memops;
    const char *made_by;

    struct pool *pool;      /* stream-ordered: where it comes from */
    size_t charged;         /* bytes of the pool */
    bool unborn;            /* the stream has not come to its allocation yet */
    bool graph_home;        /* keeps an address for a graph; not memory itself */
    struct stream *free_in; /* freeing: where, and which operation that is */
    uint64_t free_sequence;
    struct range *freed_next, **freed_link; /* the pool's frees under way */
    /* The same address again while the free of its last user is under way: the newest is in the
     * tree. */
    struct range *older, *newer;

    struct mapping *mapping; /* MAPPED */
};

/* Which range holds this address, or NULL. */
struct range *range_find_locked(uint64_t address);
struct range *range_by_id_locked(uint64_t address, uint64_t id);
uint64_t range_newest_locked(void); /* the highest id so far */
bool range_overlaps_locked(uint64_t base, size_t size);
struct range *range_new_locked(enum range_kind kind, struct ctx *ctx, uint64_t base, size_t size,
                               char *cpu, const char *made_by);
/* The same, at the address of a block whose free is under way. */
struct range *range_again_locked(struct range *older, struct ctx *ctx, size_t size);
void range_end_locked(struct range *range); /* forgets it and gives back what is behind it */
bool range_is_window(uint64_t address);     /* in some device's address window, live or not */
static inline uint64_t range_end(const struct range *range)
{
    return range->node.base + range->node.size;
}
bool range_is_host(const struct range *range);

/* What is handed out of a space (window.c). Alignment: a power of two, or 0 for the usual one. */
uint64_t window_take_locked(struct space *space, size_t bytes, size_t alignment); /* 0: none left */
void window_give_locked(struct space *space, uint64_t base, size_t bytes);
void window_poison_locked(struct space *space, uint64_t base, size_t bytes); /* its shadow */

/* True when every page of [p, p + bytes) is mapped: one system call, no look at the content. */
bool host_is_mapped(const void *p, size_t bytes);

/* May ctx's engines use this range at its device address? */
bool range_reachable_locked(const struct range *range, const struct ctx *ctx, bool write);
enum { USE_KERNEL = 1, USE_WRITE = 2 };
/* What is wrong with an access by ctx to [address, address + size), which begins in `range` and may
 * go on in mappings that adjoin it; NULL when nothing is. Ranges newer than `newest` do not count.
 * Copies reach what kernels do not (peers, memory that is not mapped), except for mappings. */
const char *range_fault_locked(const struct range *range, uint64_t address, size_t size,
                               const struct ctx *ctx, unsigned use, uint64_t newest);
/* The next of the mappings that hold [.., end), or NULL. */
struct range *range_adjoining_locked(const struct range *range, uint64_t end);
void memory_release_ctx_locked(struct ctx *ctx);

/* What cuMemFree and its like accept: the first address of a live block that no free is under way
 * for; else NULL. */
struct range *block_freeable_locked(CUdeviceptr address);
void block_end_locked(struct range *range, const char *by);

#endif
