/* live_index.h: which granules of an arena begin a live block: a bit each, and above them a bit for
 * each word that is not empty, and so on up, so that the last beginning at or before any granule is
 * found in a few loads.
 *
 * Setting and clearing need a lock; looking needs none: while a block is live, its bit and the bits
 * above it stay set, whatever happens to its neighbours.
 */
#ifndef HYBRIDMEM_LIVE_INDEX_H
#define HYBRIDMEM_LIVE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIVE_LEVELS 5 /* 64^5 granules of 512 bytes: 512 GiB */
#define LIVE_NONE   UINT32_MAX

struct live_index {
    uint64_t *level[LIVE_LEVELS];
    int levels;
};

/* Bytes of zeroed memory that an index over `granules` needs. */
size_t live_size(uint32_t granules);

/* Lays the index out in `memory`, which holds live_size(granules) zero bytes. */
void live_init(struct live_index *index, uint32_t granules, void *memory);

void live_set(struct live_index *index, uint32_t granule);
void live_clear(struct live_index *index, uint32_t granule);
bool live_test(const struct live_index *index, uint32_t granule);

/* The last set granule <= `granule`, or LIVE_NONE. */
uint32_t live_last(const struct live_index *index, uint32_t granule);

#endif
