/* arena.h: one pinned range of host memory, cut into blocks.
 *
 * Two-level segregated fit: allocation and release take constant time and neighbours merge. All
 * book-keeping lies outside the range, which only the host and the device write. A block is live
 * (the host owns it), retired (the host has freed it, enqueued work may still touch it) or free.
 *
 * Changes need the owner's lock. Look-ups by address take none and may run at any time.
 */
#ifndef HYBRIDMEM_ARENA_H
#define HYBRIDMEM_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The driver's own alignment of device allocations. */
#define ARENA_ALIGNMENT 512u
/* An arena starts at a multiple of this; arenas never share such a unit of addresses. */
#define ARENA_UNIT (UINT64_C(2) << 20)
#define ARENA_MAX  (UINT64_C(256) << 30)

struct arena;

struct arena_block {
    struct arena *arena;
    uint64_t base;
    uint64_t bytes; /* as asked for */
    uint64_t id;    /* unique in the process, never 0 */
    unsigned tag;   /* arena_tag() */
};

/* Book-keeping for [base, base + bytes), all free. NULL if memory for it cannot be had. `base` is a
 * multiple of ARENA_UNIT, `bytes` at most ARENA_MAX; a rest below ARENA_ALIGNMENT is not used.
 * `owner` and `kind` are the caller's to ask for again. */
struct arena *arena_create(uint64_t base, uint64_t bytes, void *owner, int kind);

/* Forgets the arena and every block in it. Late look-ups find nothing. */
void arena_destroy(struct arena *arena);

uint64_t arena_base(const struct arena *arena);
uint64_t arena_bytes(const struct arena *arena);
void *arena_owner(const struct arena *arena);
int arena_kind(const struct arena *arena);
void arena_set_kind(struct arena *arena, int kind);
/* True when no block is live or retired. */
bool arena_is_empty(const struct arena *arena);

/* A live block of `bytes` > 0: its address, or 0 if no free range is large enough. */
uint64_t arena_alloc(struct arena *arena, uint64_t bytes);

/* live -> retired, into the open batch. False if no live block begins at `address`. */
bool arena_retire(struct arena *arena, uint64_t address, struct arena_block *block);

/* live -> retired, in no batch: the owner releases or revives it by itself. */
bool arena_hold(struct arena *arena, uint64_t address, struct arena_block *block);

/* A held block: retired -> free. */
void arena_release_held(struct arena *arena, uint64_t address);

/* The bytes that a held block's place has. */
uint64_t arena_held_bytes(const struct arena *arena, uint64_t address);

/* A held block: retired -> live, as a new one of `bytes`. False if it is too small. */
bool arena_revive(struct arena *arena, uint64_t address, uint64_t bytes);

/* Closes the batch of blocks retired so far, for arena_release(). */
void arena_close_batch(struct arena *arena);

/* The closed batch: retired -> free. Returns the bytes that became free (rounded up). */
uint64_t arena_release(struct arena *arena);

/* Opens the closed batch again: its blocks stay retired. */
void arena_reopen_batch(struct arena *arena);

/* The arena that `address` lies in; NULL if none. Lock-free. */
struct arena *arena_at(uint64_t address);

/* The live block that `address` lies in, from any arena. False if there is none: block->base is
 * then 0, and block->arena the arena that the address lies in all the same, or NULL. Lock-free. */
bool arena_find(uint64_t address, struct arena_block *block);

/* A number up to ARENA_TAG_MAX that a live block carries, 0 at first; set before anybody else knows
 * of the block. */
#define ARENA_TAG_MAX 32767u
void arena_tag(struct arena_block *block, unsigned tag);

/* Calls `each` for every live block, until it says false; false then. */
bool arena_for_each(struct arena *arena, bool (*each)(const struct arena_block *block, void *arg),
                    void *arg);

/* A mark on a live block that its owner may set and ask for; a new block has none. Thread-safe. */
void arena_mark(const struct arena_block *block, bool mark);
bool arena_is_marked(const struct arena_block *block);

/* All arenas lie in [lowest, lowest + span): whether an address may be ours costs one subtraction
 * and one comparison. The span only grows, and is 0 as long as nothing was ever redirected. */
struct arena_bounds {
    uint64_t lowest;
    uint64_t span;
};
extern struct arena_bounds arena_bounds_;

static inline bool arena_may_hold(uint64_t address)
{
    return address - __atomic_load_n(&arena_bounds_.lowest, __ATOMIC_ACQUIRE) <
           __atomic_load_n(&arena_bounds_.span, __ATOMIC_RELAXED);
}

/* A forked child: nothing is ours any more. */
void arena_forget(void);

#endif
