/* range.c: what lies at an address: one tree for all ranges that the driver knows, as host and
 * device share one address space (unified addressing). */
#include "pool.h"
#include "vmm.h"

#include <stdlib.h>
#include <sys/mman.h>

static struct node *ranges;
static unsigned device_serial, host_serial;
static uint64_t next_id;

struct range *range_find_locked(uint64_t address)
{
    struct node *node = tree_floor(ranges, address);

    return node && address - node->base < node->size ? (struct range *)node : NULL;
}

struct range *range_by_id_locked(uint64_t address, uint64_t id)
{
    struct range *range = range_find_locked(address);

    while (range && range->id != id)
        range = range->older;
    return range;
}

uint64_t range_newest_locked(void)
{
    return next_id;
}

bool range_is_host(const struct range *range)
{
    return range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED ||
           range->kind == RANGE_ALIAS ||
           (range->kind == RANGE_MAPPED && mapping_is_host(range->mapping));
}

bool range_overlaps_locked(uint64_t base, size_t size)
{
    const struct node *next = tree_ceiling(ranges, base);

    return range_find_locked(base) || (next && next->base - base < size);
}

bool range_is_window(uint64_t address)
{
    if (!atomic_load(&sim_initialised))
        return false;
    for (int i = 0; i < sim_settings.devices; i++)
        if (address - sim_devices[i].space.base < sim_devices[i].space.bytes)
            return true;
    return vmm_is_reserved(address);
}

static struct range *make_locked(enum range_kind kind, struct ctx *ctx, uint64_t base, size_t size)
{
    struct range *range = calloc(1, sizeof(*range));

    range->node.base = base;
    range->node.size = size;
    range->kind = kind;
    range->ctx = ctx;
    range->id = ++next_id;
    if (!ctx)
        return range;
    range->device = ctx->device;
    range->next = ctx->ranges;
    range->link = &ctx->ranges;
    if (range->next)
        range->next->link = &range->next;
    ctx->ranges = range;
    return range;
}

struct range *range_new_locked(enum range_kind kind, struct ctx *ctx, uint64_t base, size_t size,
                               char *cpu, const char *made_by)
{
    struct range *range = make_locked(kind, ctx, base, size);
    bool is_host = kind == RANGE_HOST || kind == RANGE_REGISTERED || kind == RANGE_ALIAS;

    range->cpu = cpu;
    range->made_by = made_by;
    range->serial = is_host ? ++host_serial : ++device_serial;
    tree_insert(&ranges, &range->node, sim_random_locked());
    return range;
}

struct range *range_again_locked(struct range *older, struct ctx *ctx, size_t size)
{
    struct range *range = make_locked(older->kind, ctx, older->node.base, size);

    range->device = older->device;
    range->cpu = older->cpu;
    range->made_by = older->made_by;
    range->serial = older->kind == RANGE_HOST ? ++host_serial : ++device_serial;
    tree_remove(&ranges, &older->node);
    older->newer = range;
    range->older = older;
    tree_insert(&ranges, &range->node, sim_random_locked());
    return range;
}

/* True when it shared its address with others, which keep it. */
static bool leave_chain_locked(struct range *range)
{
    struct range *older = range->older, *newer = range->newer;

    if (newer) {
        newer->older = older;
        if (newer->unborn) /* who writes too early is found out */
            memset(range->cpu, 0xdd, range->node.size < 4096 ? range->node.size : 4096);
    } else {
        tree_remove(&ranges, &range->node);
        if (older)
            tree_insert(&ranges, &older->node, sim_random_locked());
    }
    if (older)
        older->newer = newer;
    return older || newer;
}

void range_end_locked(struct range *range)
{
    size_t size = range->node.size;

    if (range->twin) {
        range->twin->twin = NULL;
        range_end_locked(range->twin);
    }
    if (range->ctx) {
        *range->link = range->next;
        if (range->next)
            range->next->link = range->link;
    }
    if (range->pool)
        pool_block_end_locked(range);
    else if (range->kind == RANGE_DEVICE && !range->graph_home)
        device_give_locked(range->device,
                           (size + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT);
    if (!leave_chain_locked(range)) {
        if (range->kind == RANGE_DEVICE)
            window_poison_locked(&range->device->space, range->node.base, size);
        if (range->kind == RANGE_DEVICE || range->kind == RANGE_ALIAS)
            window_give_locked(&range->device->space, range->node.base, size);
        if (range->kind == RANGE_HOST || range->kind == RANGE_MANAGED)
            munmap(range->cpu, size);
    }
    free(range);
}

bool range_reachable_locked(const struct range *range, const struct ctx *ctx, bool write)
{
    if (range->kind == RANGE_MAPPED)
        return mapping_admits(range->mapping, ctx->device->ordinal, write);
    if (range->pool)
        return pool_admits(range->pool, ctx->device->ordinal, write);
    switch (range->kind) {
    case RANGE_DEVICE:
        return range->device == ctx->device || ctx->peers[range->device->ordinal];
    case RANGE_REGISTERED:
        if (range->twin) /* its device address is another one */
            return false;
        /* fall through */
    case RANGE_ALIAS:
        return (range->flags & CU_MEMHOSTREGISTER_DEVICEMAP) &&
               (range->ctx == ctx || (range->flags & CU_MEMHOSTREGISTER_PORTABLE));
    default:
        /* "accessible from all contexts ... regardless of whether or not the flags
         * CU_MEMHOSTALLOC_PORTABLE and CU_MEMHOSTALLOC_DEVICEMAP are specified" (unified
         * addressing) */
        return true;
    }
}

struct range *range_adjoining_locked(const struct range *range, uint64_t end)
{
    struct range *next = NULL;

    if (range->kind == RANGE_MAPPED && range_end(range) < end)
        next = range_find_locked(range_end(range));
    return next && next->kind == RANGE_MAPPED && mapping_adjoins(range->mapping, next->mapping)
               ? next
               : NULL;
}

const char *range_fault_locked(const struct range *range, uint64_t address, size_t size,
                               const struct ctx *ctx, unsigned use, uint64_t newest)
{
    uint64_t end = address + size;

    if (end < address)
        return "runs past the end of its block";
    for (; range; range = range_adjoining_locked(range, end)) {
        if (range->id > newest)
            return "was freed and given to another";
        if (((use & USE_KERNEL) || range->kind == RANGE_MAPPED) &&
            !range_reachable_locked(range, ctx, use & USE_WRITE))
            return "is not mapped for this context";
        if (end <= range_end(range))
            return NULL;
    }
    return "runs past the end of its block";
}

/* "cuCtxDestroy() will not destroy memory allocations by cuMemCreate(), cuMemAllocAsync() and
 * cuMemAllocFromPoolAsync()" (cuCtxDestroy). A primary context that is released or reset takes all
 * of its device's. */
static void disown_pool_blocks_locked(struct ctx *ctx)
{
    struct range *next;

    for (struct range *range = ctx->ranges; range; range = next) {
        next = range->next;
        if (!range->pool)
            continue;
        *range->link = next;
        if (next)
            next->link = range->link;
        range->ctx = NULL;
    }
}

void memory_release_ctx_locked(struct ctx *ctx)
{
    if (!ctx->primary)
        disown_pool_blocks_locked(ctx);
    while (ctx->ranges)
        range_end_locked(ctx->ranges);
}

bool host_is_mapped(const void *p, size_t bytes)
{
    uintptr_t first = (uintptr_t)p & ~(uintptr_t)4095;

    if (!bytes || (uintptr_t)p + bytes < (uintptr_t)p)
        return false;
    /* MS_ASYNC does nothing but to answer ENOMEM where a page is not mapped: msync(2). */
    return msync((void *)first, (uintptr_t)p + bytes - first, MS_ASYNC) == 0;
}
