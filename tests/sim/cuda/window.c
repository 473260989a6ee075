/* window.c: device address space. Freed ranges are joined; a new block takes a freed range or a
 * fresh one by the roll of the dice, so that both a stale record of a reused address and a use
 * after free of one that is not reused come to light. */
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>

static size_t rounded(size_t bytes)
{
    return (bytes + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT;
}

static void hole_add(struct device *device, uint64_t base, size_t size)
{
    struct node *before = tree_floor(device->holes, base),
                *after = tree_ceiling(device->holes, base);

    if (before && before->base + before->size == base) {
        base = before->base;
        size += before->size;
        tree_remove(&device->holes, before);
        free(before);
    }
    if (after && base + size == after->base) {
        size += after->size;
        tree_remove(&device->holes, after);
        free(after);
    }
    after = calloc(1, sizeof(*after));
    after->base = base;
    after->size = size;
    tree_insert(&device->holes, after, sim_random_locked());
}

static uint64_t hole_cut(struct device *device, struct node *hole, size_t size)
{
    uint64_t base = hole->base;

    tree_remove(&device->holes, hole);
    if (hole->size > size) {
        hole->base += size;
        hole->size -= size;
        tree_insert(&device->holes, hole, sim_random_locked());
    } else {
        free(hole);
    }
    return base;
}

static uint64_t reuse(struct device *device, size_t size, bool thoroughly)
{
    struct node *hole = tree_floor(device->holes, device->last_hole);

    if (hole && hole->size >= size)
        return hole_cut(device, hole, size);
    for (hole = thoroughly ? tree_ceiling(device->holes, 0) : NULL; hole;
         hole = tree_ceiling(device->holes, hole->base + 1))
        if (hole->size >= size)
            return hole_cut(device, hole, size);
    return 0;
}

uint64_t window_take_locked(struct device *device, size_t bytes)
{
    uint64_t base = 0, end = device->window + device->window_bytes;

    bytes = rounded(bytes);
    if (sim_random_locked() & 1)
        base = reuse(device, bytes, false);
    if (!base && bytes <= end - device->window_top) {
        base = device->window_top;
        device->window_top += bytes;
    }
    return base ? base : reuse(device, bytes, true);
}

void window_give_locked(struct device *device, uint64_t base, size_t bytes)
{
    static const size_t page = 4096;
    char *from = device->shadow + (base - device->window), *to;

    bytes = rounded(bytes);
    to = from + bytes;
    /* Poison what shares a page with its neighbours; give the rest back to the system. */
    if (bytes < 4 * page) {
        memset(from, 0xdd, bytes);
    } else {
        char *first = (char *)(((uintptr_t)from + page - 1) & ~(page - 1));
        char *last = (char *)((uintptr_t)to & ~(page - 1));

        memset(from, 0xdd, (size_t)(first - from));
        memset(last, 0xdd, (size_t)(to - last));
        madvise(first, (size_t)(last - first), MADV_DONTNEED);
    }
    hole_add(device, base, bytes);
    device->last_hole = base;
}
