/* classify.c: weights or working memory? See classify.h.
 *
 * A small automaton. UNKNOWN becomes WEIGHTS with the first upload. WEIGHTS becomes WORKING when
 * `against` has grown to LEAVE: two blocks in a row that were not uploaded, or a little more where
 * both kinds mix; one odd block does not do it, unless the model itself was one block (llama.cpp
 * loads it so). WORKING becomes WEIGHTS with three uploaded blocks that stay: two are a double
 * buffer, through which weights are streamed. When most of the weights are gone, all begins anew.
 */
#include "policy/classify.h"

#include <stddef.h>

/* Evidence of one block against the present class. */
enum {
    NOT_UPLOADED = 3, /* against WEIGHTS: the next block came first, or it was set, or freed */
    SHORT_LIVED = 4,  /* uploaded, and freed soon: streamed through */
    UPLOADED = 2,     /* for WEIGHTS, or against WORKING */
    LEAVE = 6,
};

enum block_state { PENDING, PASSED, UPLOADS, WORKS };

static void turn(struct pol_phase *phase, enum pol_class class)
{
    phase->class = class;
    phase->against = 0;
    phase->uploaded = 0;
}

static void against_weights(struct pol_phase *phase, unsigned evidence)
{
    if (phase->class == POL_CLASS_WORKING) {
        phase->against = (uint8_t)(phase->against > evidence ? phase->against - evidence : 0);
    } else if (phase->class == POL_CLASS_WEIGHTS) {
        phase->against = (uint8_t)(phase->against + evidence);
        if (phase->against >= LEAVE || phase->uploaded < 2)
            turn(phase, POL_CLASS_WORKING);
    }
}

static void for_weights(struct pol_phase *phase)
{
    if (phase->class == POL_CLASS_UNKNOWN)
        turn(phase, POL_CLASS_WEIGHTS);
    if (phase->class == POL_CLASS_WEIGHTS) {
        phase->against = (uint8_t)(phase->against > UPLOADED ? phase->against - UPLOADED : 0);
        phase->uploaded = (uint8_t)(phase->uploaded < UINT8_MAX ? phase->uploaded + 1 : UINT8_MAX);
    } else {
        phase->against = (uint8_t)(phase->against + UPLOADED);
        if (phase->against >= LEAVE) {
            turn(phase, POL_CLASS_WEIGHTS);
            phase->uploaded = LEAVE / UPLOADED;
        }
    }
}

static bool holds(const struct pol_phase_block *block, uint64_t address)
{
    return address - block->address < block->bytes;
}

/* The recent block that holds `address`, the newest first; NULL if none does. */
static struct pol_phase_block *find(struct pol_phase *phase, uint64_t address)
{
    for (unsigned i = 0; i < POL_PHASE_RECENT; i++) {
        struct pol_phase_block *block =
            &phase->recent[(phase->newest + POL_PHASE_RECENT - i) % POL_PHASE_RECENT];

        if (holds(block, address))
            return block;
    }
    return NULL;
}

void pol_phase_alloc(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    struct pol_phase_block *last = &phase->recent[phase->newest];

    if (bytes < POL_PHASE_ALLOC_MIN)
        return;
    if (last->bytes && last->state == PENDING) {
        last->state = PASSED;
        against_weights(phase, NOT_UPLOADED);
    }
    phase->newest = (uint8_t)((phase->newest + 1) % POL_PHASE_RECENT);
    phase->recent[phase->newest] = (struct pol_phase_block){address, bytes, PENDING};
    phase->live += bytes;
}

void pol_phase_upload(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    struct pol_phase_block *block;

    if (bytes < POL_PHASE_UPLOAD_MIN)
        return;
    block = find(phase, address);
    /* Memory used again, for whatever is uploaded now, says nothing of new blocks. */
    if (!block || (block->state != PENDING && block->state != PASSED))
        return;
    block->state = UPLOADS;
    phase->weights += block->bytes;
    for_weights(phase);
}

void pol_phase_write(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    struct pol_phase_block *block;

    if (bytes < POL_PHASE_UPLOAD_MIN)
        return;
    block = find(phase, address);
    if (!block || block->state == UPLOADS || block->state == WORKS)
        return;
    if (block->state == PENDING)
        against_weights(phase, NOT_UPLOADED);
    block->state = WORKS;
}

/* The end of a recent block. */
static void forget(struct pol_phase *phase, struct pol_phase_block *block)
{
    if (block->state == PENDING)
        against_weights(phase, NOT_UPLOADED);
    else if (block->state == UPLOADS)
        against_weights(phase, SHORT_LIVED);
    if (block->state == UPLOADS)
        phase->weights -= block->bytes;
    block->bytes = 0;
}

void pol_phase_free(struct pol_phase *phase, uint64_t address, uint64_t bytes)
{
    if (bytes < POL_PHASE_ALLOC_MIN)
        return;
    for (unsigned i = 0; i < POL_PHASE_RECENT; i++) {
        struct pol_phase_block *block = &phase->recent[i];

        if (block->bytes && block->address - address < bytes)
            forget(phase, block);
    }
    phase->live = phase->live > bytes ? phase->live - bytes : 0;
    /* All that lives is less than half of them: most are gone. */
    if (phase->class != POL_CLASS_UNKNOWN && phase->live < phase->weights / 2) {
        *phase = (struct pol_phase){.live = phase->live};
    }
}

enum pol_class pol_phase_class(const struct pol_phase *phase, uint64_t bytes)
{
    return bytes ? phase->class : POL_CLASS_UNKNOWN;
}
