/* classify.c: weights or working memory? See classify.h.
 *
 * UNKNOWN becomes WEIGHTS with the first upload into a new block.
 *
 * WEIGHTS becomes WORKING when uploads have stopped: two new blocks in a row had none; one, if the
 * model was one large block (llama.cpp). A loader that makes temporaries between uploads, or
 * allocates several blocks before it fills them, shows so: what it bridged once is no end, and the
 * next end must be twice as long. Uploads into blocks that are soon freed again are weights that
 * are streamed through; four in a row are working memory too.
 *
 * A model is made of layers, and layers of the same few shapes: among WEIGHTS, a size that was
 * never uploaded is more likely working memory, once several blocks were seen, or one that was
 * large enough for all of it. This spares the first segments that PyTorch's native allocator asks
 * for after a load and then keeps for good, and llama.cpp's cache.
 *
 * WORKING becomes WEIGHTS when three of the recent blocks were uploaded and stay: one or two are
 * inputs, or a double buffer.
 *
 * When most of the weights are gone, all begins anew.
 */
#include "policy/classify.h"

#include <stddef.h>

#define WHOLE_MODEL (UINT64_C(256) << 20) /* one block of this size may be all of it */

enum {
    SHAPES_KNOWN = 8,   /* uploaded blocks after which a new size means something */
    BLOCKS_WITHOUT = 2, /* end the weights */
    BLOCKS_WITH = 3,    /* begin them */
    STREAMED = 4,
    GAP_LEARNED_MAX = 8, /* longer ones are no habit of a loader */
};

enum block_state {
    PENDING,  /* the newest block, not written yet as far as we see */
    PASSED,   /* a newer one came before it was written */
    WRITTEN,  /* first by something other than an upload */
    UPLOADED, /* first by an upload, in this phase */
    SETTLED,  /* the same, in an earlier phase */
};

static uint8_t plus_one(uint8_t n)
{
    return (uint8_t)(n + (n < UINT8_MAX));
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Uploads have stopped: what was uploaded tells nothing of what comes. */
static void end_weights(struct pol_phase *phase)
{
    phase->class = POL_CLASS_WORKING;
    phase->gap = phase->streamed = phase->uploaded = phase->fresh = 0;
    for (unsigned i = 0; i < POL_PHASE_RECENT; i++)
        if (phase->recent[i].state == UPLOADED)
            phase->recent[i].state = SETTLED;
}

static bool is_whole(const struct pol_phase *phase)
{
    return phase->uploaded == 1 && phase->weights >= WHOLE_MODEL;
}

/* A block had no upload. */
static void without(struct pol_phase *phase)
{
    unsigned enough = phase->patience ? phase->patience : is_whole(phase) ? 1 : BLOCKS_WITHOUT;

    phase->gap = plus_one(phase->gap);
    if (phase->class == POL_CLASS_WEIGHTS && phase->gap >= enough)
        end_weights(phase);
}

static void learn(struct pol_phase *phase)
{
    unsigned longer = 2u * phase->gap + 1;

    if (phase->gap > 0 && phase->gap <= GAP_LEARNED_MAX && phase->patience < longer)
        phase->patience = (uint8_t)longer;
}

static unsigned hash_of_size(uint64_t bytes)
{
    return (unsigned)(bytes * UINT64_C(0x9E3779B97F4A7C15) >> 55) % POL_PHASE_SIZES;
}

/* A block had one. */
static void with(struct pol_phase *phase, struct pol_phase_block *block)
{
    block->state = UPLOADED;
    phase->fresh++;
    if (phase->class == POL_CLASS_WORKING && phase->fresh < BLOCKS_WITH)
        return;
    learn(phase);
    phase->class = POL_CLASS_WEIGHTS;
    phase->gap = 0;
    phase->uploaded = plus_one(phase->uploaded);
    phase->sizes[hash_of_size(block->bytes) / 64] |= UINT64_C(1) << hash_of_size(block->bytes) % 64;
    phase->weights += block->bytes;
    if (phase->weights > phase->live)
        phase->weights = phase->live;
}

static struct pol_phase_block *recent(struct pol_phase *phase, unsigned ago)
{
    return &phase->recent[(phase->newest - ago) % POL_PHASE_RECENT];
}

/* The recent block that holds `address`, the newest first; NULL if none does. */
static struct pol_phase_block *find(struct pol_phase *phase, uint64_t address)
{
    for (unsigned ago = 0; ago < POL_PHASE_RECENT; ago++) {
        struct pol_phase_block *block = recent(phase, ago);

        if (address - block->address < block->bytes)
            return block;
    }
    return NULL;
}

/* The first block of the next model is taken for working memory too: one alone shows nothing. */
static void note_working(struct pol_phase *phase)
{
    uint64_t now = minus(phase->live, phase->weights);

    phase->worked = phase->class == POL_CLASS_WORKING ? plus_one(phase->worked) : 0;
    if (phase->worked >= POL_PHASE_WORKED && now > phase->working_peak)
        phase->working_peak = now;
}

void pol_phase_alloc(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    struct pol_phase_block *block = &phase->recent[phase->newest];

    if (bytes < POL_PHASE_ALLOC_MIN)
        return;
    if (block->bytes && block->state == PENDING) {
        block->state = PASSED;
        without(phase);
    }
    phase->newest = (uint8_t)((phase->newest + 1) % POL_PHASE_RECENT);
    block = &phase->recent[phase->newest];
    if (block->bytes && block->state == UPLOADED) { /* it has stayed */
        phase->fresh--;
        phase->streamed = 0;
    }
    *block = (struct pol_phase_block){address, bytes, PENDING};
    phase->live += bytes;
    note_working(phase);
}

void pol_phase_upload(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    struct pol_phase_block *block;

    if (bytes < POL_PHASE_UPLOAD_MIN)
        return;
    block = find(phase, address);
    /* Memory that is used again says nothing of new blocks. */
    if (block && (block->state == PENDING || block->state == PASSED))
        with(phase, block);
}

void pol_phase_write(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    struct pol_phase_block *block;

    if (bytes < POL_PHASE_UPLOAD_MIN)
        return;
    block = find(phase, address);
    if (!block || (block->state != PENDING && block->state != PASSED))
        return;
    if (block->state == PENDING)
        without(phase);
    block->state = WRITTEN;
}

void pol_phase_loading(struct pol_phase *phase)
{
    if (phase->class == POL_CLASS_WORKING) {
        phase->class = POL_CLASS_WEIGHTS;
        phase->gap = 0;
    }
}

void pol_phase_loaded(struct pol_phase *phase)
{
    if (phase->class == POL_CLASS_WEIGHTS)
        end_weights(phase);
}

static void forget(struct pol_phase *phase, struct pol_phase_block *block)
{
    uint64_t bytes = block->bytes;

    block->bytes = 0;
    if (block->state == PENDING)
        without(phase);
    if (block->state == UPLOADED || block->state == SETTLED)
        phase->weights = minus(phase->weights, bytes);
    if (block->state == UPLOADED) {
        phase->fresh--;
        phase->streamed = plus_one(phase->streamed);
        if (phase->class == POL_CLASS_WEIGHTS && phase->streamed >= STREAMED)
            end_weights(phase);
    }
}

void pol_phase_free(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    if (bytes < POL_PHASE_ALLOC_MIN)
        return;
    for (unsigned ago = 0; ago < POL_PHASE_RECENT; ago++) {
        struct pol_phase_block *block = recent(phase, ago);
        bool whole = block->address == address && block->bytes == bytes;

        if (block->bytes && block->address - address < bytes)
            forget(phase, block);
        if (whole) /* nothing else can lie there */
            break;
    }
    phase->live = minus(phase->live, bytes);
    /* All that lives is less than half of the weights. */
    if (phase->class != POL_CLASS_UNKNOWN && phase->live < phase->weights / 2)
        *phase = (struct pol_phase){.live = phase->live, .working_peak = phase->working_peak};
}

/* Segments and handles of PyTorch's, whatever is in them (c10/cuda/CUDACachingAllocator.cpp,
 * kSmallBuffer and kLargeBuffer). */
static bool is_mixed(uint64_t bytes)
{
    return bytes == UINT64_C(2) << 20 || bytes == UINT64_C(20) << 20;
}

enum pol_class pol_phase_class(const struct pol_phase *phase, uint64_t bytes)
{
    unsigned size = hash_of_size(bytes);
    bool shapes_known = phase->uploaded >= SHAPES_KNOWN || is_whole(phase);

    if (phase->class == POL_CLASS_WEIGHTS && shapes_known && bytes && !is_mixed(bytes) &&
        !(phase->sizes[size / 64] >> size % 64 & 1))
        return POL_CLASS_WORKING;
    return phase->class;
}
