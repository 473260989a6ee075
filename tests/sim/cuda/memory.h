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
    RANGE_MANAGED
};
struct range {
    struct node node; /* first: base and size, as asked for */
    enum range_kind kind;
    unsigned serial;            /* d1, d2 ... or h1, h2 ... in the log */
    uint64_t id;                /* unique: the buffer id of pointer attributes */
    struct ctx *ctx;            /* owner */
    struct range *next, **link; /* the owner's list */
    struct range *twin;         /* REGISTERED <-> ALIAS */
    unsigned flags;
    char *cpu;          /* where the engines find the bytes */
    unsigned in_flight; /* enqueued operations that use it */
    bool stream_ordered, freeing, sync_memops;
    const char *made_by;
};

/* Which range holds this address, or NULL. */
struct range *range_find_locked(uint64_t address);
struct range *range_by_id_locked(uint64_t address, uint64_t id);
bool range_overlaps_locked(uint64_t base, size_t size);
struct range *range_new_locked(enum range_kind kind, struct ctx *ctx, uint64_t base, size_t size,
                               char *cpu, const char *made_by);
void range_end_locked(struct range *range); /* forgets it and gives back what is behind it */
bool range_is_window(uint64_t address);     /* in some device's address window, live or not */
static inline uint64_t range_end(const struct range *range)
{
    return range->node.base + range->node.size;
}
static inline bool range_is_host(const struct range *range)
{
    return range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED ||
           range->kind == RANGE_ALIAS;
}

/* Device address space (window.c). */
uint64_t window_take_locked(struct device *device, size_t bytes); /* 0: none left */
void window_give_locked(struct device *device, uint64_t base, size_t bytes);

/* True when every page of [p, p + bytes) is mapped: one system call, no look at the content. */
bool host_is_mapped(const void *p, size_t bytes);

/* May ctx's engines use this range at its device address? */
bool range_reachable_locked(const struct range *range, const struct ctx *ctx);
void memory_release_ctx_locked(struct ctx *ctx);

#endif
