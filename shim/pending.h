/* pending.h: stream-ordered frees of redirected blocks, each with an event recorded in its stream.
 *
 * A block freed in a stream may be given out again to the same stream at once, since what comes
 * later there runs later; to anybody else only when the event has completed (promise P5). All calls
 * are made with the pool's lock held.
 */
#ifndef HYBRIDMEM_PENDING_H
#define HYBRIDMEM_PENDING_H

#include "shim/arena.h"
#include "shim/cuda_abi.h"

#include <stdbool.h>
#include <stdint.h>

/* A stream as a call names it. */
struct stream_order {
    CUstream stream;
    bool per_thread; /* the call is of the _ptsz flavour */
};

struct ticket {
    struct arena *arena;
    uint64_t address;
    uint64_t bytes; /* as the freed block had */
    uint64_t serial;
    CUstream key; /* the same for the same stream; NULL: no other is known to be the same */
    CUevent event;
};

struct pending {
    struct ticket *tickets; /* oldest first; mapped at first use */
    uint32_t count, room;
    uint64_t serial; /* of the newest ticket */
    uint64_t bytes;
    CUevent *spare; /* events to record again */
    uint32_t spares;
    CUstream waiter; /* waits for streams of other contexts; NULL: none had to be */
};

/* What two calls have in common that name the same stream; NULL for the per-thread default stream,
 * which is another one in each thread. */
CUstream pending_key(const struct stream_order *order);

/* An event recorded in the stream now; NULL if that cannot be. The stream's context is current. */
CUevent pending_record(struct pending *pending, const struct stream_order *order);

/* The same for a stream of context `other`, whichever is current, by way of a stream of ours in
 * `own`, the pool's context: the event is of that one and ends with it. */
CUevent pending_record_across(struct pending *pending, CUcontext own, CUcontext other,
                              const struct stream_order *order);

/* Keeps a held block until `event` has completed. False if there is no room: nothing has changed.
 */
bool pending_add(struct pending *pending, const struct arena_block *block, CUstream key,
                 CUevent event);

/* Would another ticket take more memory? */
bool pending_is_full(const struct pending *pending);

/* A block of the same stream that fits `bytes` without much waste, live again: its address, or 0.
 * None from an arena of the kind `avoid`. */
uint64_t pending_reuse(struct pending *pending, CUstream key, uint64_t bytes, int avoid);

/* Releases blocks whose events have completed. True if there were any. Does not wait. */
bool pending_drain(struct pending *pending);

/* Releases every block whose ticket is not newer than `serial`: the context was idle after it. */
void pending_release(struct pending *pending, uint64_t serial);

/* The stream is gone; its handle may come back as another's. */
void pending_forget_stream(struct pending *pending, CUstream key);

/* The context is gone, events and all. */
void pending_clear(struct pending *pending);

#endif
