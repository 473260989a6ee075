/* classify.h: are the allocations of a thread weights or working memory? Predicted from its stream
 * of calls alone, before an allocation is made.
 *
 * Kernels are not seen, so the evidence is who writes a new block first: a host-to-device copy
 * fills weights; what is never filled so, or is given back soon, was working memory. A wrong
 * prediction costs speed, never correctness.
 *
 * One struct pol_phase for each thread and device, zeroed at first, guarded by its owner. Every
 * call takes constant time and allocates nothing. All sizes are bytes.
 */
#ifndef HYBRIDMEM_POLICY_CLASSIFY_H
#define HYBRIDMEM_POLICY_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

enum pol_class {
    POL_CLASS_UNKNOWN, /* no upload was seen: obeys the budget as weights do */
    POL_CLASS_WEIGHTS, /* uploads go on */
    POL_CLASS_WORKING, /* uploads were seen, and have stopped */
};

#define POL_PHASE_ALLOC_MIN  (UINT64_C(1) << 20)  /* smaller allocations tell nothing */
#define POL_PHASE_UPLOAD_MIN (UINT64_C(64) << 10) /* nor do smaller writes */
#define POL_PHASE_RECENT     16
#define POL_PHASE_SIZES      512
#define POL_PHASE_WORKED     4

struct pol_phase_block {
    uint64_t address, bytes; /* bytes 0: an empty place, or freed */
    uint8_t state;           /* enum block_state in classify.c */
};

struct pol_phase {
    enum pol_class class;
    uint8_t newest;        /* index into recent */
    uint8_t gap;           /* blocks without an upload since the last one that had one */
    uint8_t patience;      /* how long a gap ends the weights; 0: nothing learned yet */
    uint8_t fresh;         /* live uploaded blocks in recent, of this phase */
    uint8_t streamed;      /* of those, how many were freed in a row */
    uint8_t uploaded;      /* blocks uploaded in this phase, up to 255 */
    uint8_t worked;        /* blocks in a row that were taken for working memory, up to 255 */
    uint64_t live;         /* bytes of large blocks that this thread allocated and did not free */
    uint64_t weights;      /* bytes of those that were uploaded as weights, at most */
    uint64_t working_peak; /* the most of them that was working memory; outlives the models */
    uint64_t sizes[POL_PHASE_SIZES / 64]; /* a bit for each size that was uploaded, by its hash */
    struct pol_phase_block recent[POL_PHASE_RECENT];
};

/* A new block, after the prediction for it. With the virtual memory calls memory can be used from
 * cuMemSetAccess on: the whole range of that call is one block, whatever the number of handles in
 * it (PyTorch's expandable segments have one of 20 MiB after the other). */
void pol_phase_alloc(struct pol_phase *phase, uint64_t address, uint64_t bytes);

/* A host-to-device copy into [address, address + bytes). */
void pol_phase_upload(struct pol_phase *phase, uint64_t address, uint64_t bytes);

/* Another write that was seen: a set, a copy from device memory. */
void pol_phase_write(struct pol_phase *phase, uint64_t address, uint64_t bytes);

/* Where the file is known that is uploaded: a tensor of it comes for the first time (before
 * pol_phase_upload), and all of it has come (after). */
void pol_phase_loading(struct pol_phase *phase);
void pol_phase_loaded(struct pol_phase *phase);

/* A block, or any range of addresses, is gone. */
void pol_phase_free(struct pol_phase *phase, uint64_t address, uint64_t bytes);

/* What the next allocation will most likely be. `bytes` as pol_phase_alloc() will be told; 0 where
 * that is not known, as of one handle of several. */
enum pol_class pol_phase_class(const struct pol_phase *phase, uint64_t bytes);

#endif
