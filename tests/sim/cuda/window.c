/* window.c: what is handed out of a space: device addresses, places in physical memory. Freed
 * ranges are joined; a new block takes a freed range or a fresh one by the roll of the dice, so
 * that both a stale record of a reused address and a use after free of one that is not reused come
 * to light. */
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>

static size_t rounded(size_t bytes)
{
    return (bytes + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT;
}

static void hole_add(struct space *space, uint64_t base, size_t size)
{
    struct node *before = tree_floor(space->holes, base), *after = tree_ceiling(space->holes, base);

    if (before && before->base + before->size == base) {
        base = before->base;
        size += before->size;
        tree_remove(&space->holes, before);
        free(before);
    }
    if (after && base + size == after->base) {
        size += after->size;
        tree_remove(&space->holes, after);
        free(after);
    }
    after = calloc(1, sizeof(*after));
    after->base = base;
    after->size = size;
    tree_insert(&space->holes, after, sim_random_locked());
}

static uint64_t hole_cut(struct space *space, struct node *hole, size_t size)
{
    uint64_t base = hole->base;

    tree_remove(&space->holes, hole);
    if (hole->size > size) {
        hole->base += size;
        hole->size -= size;
        tree_insert(&space->holes, hole, sim_random_locked());
    } else {
        free(hole);
    }
    return base;
}

static uint64_t reuse(struct space *space, size_t size, bool thoroughly)
{
    struct node *hole = tree_floor(space->holes, space->last_hole);

    if (hole && hole->size >= size)
        return hole_cut(space, hole, size);
    for (hole = thoroughly ? tree_ceiling(space->holes, 0) : NULL; hole;
         hole = tree_ceiling(space->holes, hole->base + 1))
        if (hole->size >= size)
            return hole_cut(space, hole, size);
    return 0;
}

static uint64_t take(struct space *space, size_t bytes)
{
    uint64_t base = 0, end = space->base + space->bytes;

    if (sim_random_locked() & 1)
        base = reuse(space, bytes, false);
    if (!base && bytes <= end - space->top) {
        base = space->top;
        space->top += bytes;
    }
    return base ? base : reuse(space, bytes, true);
}

uint64_t window_take_locked(struct space *space, size_t bytes, size_t alignment)
{
    uint64_t base, first;

    bytes = rounded(bytes);
    if (alignment <= SIM_ALIGNMENT)
        return take(space, bytes);
    base = bytes + alignment > bytes ? take(space, bytes + alignment) : 0;
    if (!base)
        return 0;
    first = (base + alignment - 1) / alignment * alignment;
    if (first > base)
        hole_add(space, base, first - base);
    if (base + alignment > first)
        hole_add(space, first + bytes, base + alignment - first);
    return first;
}

void window_give_locked(struct space *space, uint64_t base, size_t bytes)
{
    hole_add(space, base, rounded(bytes));
    space->last_hole = base;
}

void window_poison_locked(struct space *space, uint64_t base, size_t bytes)
{
    static const size_t page = 4096;
    char *from = space->shadow + (base - space->base), *to;

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
}
