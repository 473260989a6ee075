#include "shim/live_index.h"

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static uint32_t words_for(uint32_t bits)
{
    return bits / 64 + (bits % 64 != 0);
}

size_t live_size(uint32_t granules)
{
    size_t words = 0;
    uint32_t n = granules;

    for (int i = 0; i < LIVE_LEVELS; i++) {
        n = words_for(n);
        words += n;
        if (n <= 1)
            break;
    }
    return words * sizeof(uint64_t);
}

void live_init(struct live_index *index, uint32_t granules, void *memory)
{
    uint64_t *next = memory;
    uint32_t n = granules;

    index->levels = 0;
    do {
        n = words_for(n);
        index->level[index->levels++] = next;
        next += n;
    } while (n > 1 && index->levels < LIVE_LEVELS);
}

void live_set(struct live_index *index, uint32_t granule)
{
    for (int i = 0; i < index->levels; i++, granule /= 64)
        __atomic_fetch_or(&index->level[i][granule / 64], UINT64_C(1) << granule % 64,
                          __ATOMIC_RELEASE);
}

void live_clear(struct live_index *index, uint32_t granule)
{
    for (int i = 0; i < index->levels; i++, granule /= 64) {
        uint64_t bit = UINT64_C(1) << granule % 64;
        if (__atomic_and_fetch(&index->level[i][granule / 64], ~bit, __ATOMIC_RELEASE) != 0)
            break; /* the word is not empty: the bits above it stay */
    }
}

bool live_test(const struct live_index *index, uint32_t granule)
{
    return load(&index->level[0][granule / 64]) >> granule % 64 & 1;
}

/* Bits 0 to n of a word. */
static uint64_t up_to(uint32_t n)
{
    return UINT64_MAX >> (63 - n);
}

uint32_t live_last(const struct live_index *index, uint32_t granule)
{
    uint64_t bits = load(&index->level[0][granule / 64]) & up_to(granule % 64);
    int level = 0;

    /* Up, until a word has a bit before ours; */
    while (!bits) {
        granule /= 64;
        if (++level == index->levels)
            return LIVE_NONE;
        bits = load(&index->level[level][granule / 64]) & up_to(granule % 64) &
               ~(UINT64_C(1) << granule % 64);
    }
    /* and down along the last one. An empty word: its last block was freed just now. */
    for (;;) {
        granule = granule / 64 * 64 + (uint32_t)(63 - __builtin_clzll(bits));
        if (level-- == 0)
            return granule;
        bits = load(&index->level[level][granule]);
        if (!bits)
            return LIVE_NONE;
        granule *= 64;
    }
}
