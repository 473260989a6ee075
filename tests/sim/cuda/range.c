/* range.c: what lies at an address: one tree for all ranges that the driver knows, as host and
 * device share one address space (unified addressing). */
#include "memory.h"

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

    return range && range->id == id ? range : NULL;
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
        if (address - sim_devices[i].window < sim_devices[i].window_bytes)
            return true;
    return false;
}

struct range *range_new_locked(enum range_kind kind, struct ctx *ctx, uint64_t base, size_t size,
                               char *cpu, const char *made_by)
{
    struct range *range = calloc(1, sizeof(*range));

    range->node.base = base;
    range->node.size = size;
    range->kind = kind;
    range->ctx = ctx;
    range->cpu = cpu;
    range->made_by = made_by;
    range->serial = range_is_host(range) ? ++host_serial : ++device_serial;
    range->id = ++next_id;
    range->next = ctx->ranges;
    range->link = &ctx->ranges;
    if (range->next)
        range->next->link = &range->next;
    ctx->ranges = range;
    tree_insert(&ranges, &range->node, sim_random_locked());
    return range;
}

void range_end_locked(struct range *range)
{
    struct device *device = range->ctx->device;
    size_t size = range->node.size;

    if (range->twin) {
        range->twin->twin = NULL;
        range_end_locked(range->twin);
    }
    tree_remove(&ranges, &range->node);
    *range->link = range->next;
    if (range->next)
        range->next->link = range->link;
    if (range->kind == RANGE_DEVICE)
        device_give_locked(device, (size + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT);
    if (range->kind == RANGE_DEVICE || range->kind == RANGE_ALIAS)
        window_give_locked(device, range->node.base, size);
    if (range->kind == RANGE_HOST || range->kind == RANGE_MANAGED)
        munmap(range->cpu, size);
    free(range);
}

bool range_reachable_locked(const struct range *range, const struct ctx *ctx)
{
    switch (range->kind) {
    case RANGE_DEVICE:
        return range->ctx->device == ctx->device || ctx->peers[range->ctx->device->ordinal];
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

void memory_release_ctx_locked(struct ctx *ctx)
{
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
