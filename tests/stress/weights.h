/* weights.h: blocks that are the tensors of a model: allocated and uploaded from the mapping of its
 * file one after the other, each once, so that the library knows them for what they are. From then
 * on they are blocks like others.
 */
#ifndef HYBRIDMEM_STRESS_WEIGHTS_H
#define HYBRIDMEM_STRESS_WEIGHTS_H

#include "tests/hosts/mapped.h"
#include "work.h"

/* The tensors lie side by side and are equally large. Each thread has a part of them. */
static struct {
    const uint8_t *data; /* NULL: there is no model */
    size_t bytes, count;
} weights;

static inline void weights_map(char **argv) /* FILE OFFSET BYTES COUNT */
{
    size_t offset = strtoull(argv[1], NULL, 0), size;
    const unsigned char *file = map_file(argv[0], &size);

    weights.bytes = strtoull(argv[2], NULL, 0);
    weights.count = strtoull(argv[3], NULL, 0);
    REQUIRE(weights.bytes <= BLOCK_MOST && offset + weights.bytes * weights.count <= size);
    weights.data = file + offset;
}

static inline void weights_share(struct worker *w, unsigned threads)
{
    w->tensor = weights.count / threads * w->index;
    w->last_tensor = w->tensor + weights.count / threads;
}

/* False: it is to be a block like others. */
static inline bool weights_open(struct worker *w, struct block *b)
{
    const uint8_t *source = weights.data + w->tensor * weights.bytes;
    int lane;

    if (w->tensor == w->last_tensor || !stress_below(w, 3) ||
        !block_open(w, b, KIND_ALLOC, weights.bytes))
        return false;
    w->tensor++;
    lane = lane_or_none(w, b);
    block_note(w, b, "upload of a tensor", 0, b->size);
    memcpy(b->bytes, source, b->size);
    if (lane < 0)
        DO(cuMemcpyHtoD(b->device, source, b->size));
    else
        DO(cuMemcpyHtoDAsync(b->device, source, b->size, w->lane[lane]));
    return true;
}

#endif
