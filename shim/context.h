/* context.h: the CUDA contexts that allocations were made in.
 */
#ifndef HYBRIDMEM_CONTEXT_H
#define HYBRIDMEM_CONTEXT_H

#include "shim/cuda_abi.h"
#include "shim/device.h"
#include "shim/pending.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct loan;

/* How a context's redirected memory is pinned. */
enum host_kind {
    HOST_UNDECIDED,
    HOST_REGISTERED, /* our pages, cuMemHostRegister */
    HOST_PINNED,     /* cuMemHostAlloc's pages */
    HOST_LENT,       /* VRAM on loan (backing_loan.c) */
    HOST_RECALLED,   /* it was; now the driver's host memory */
};

#define POOL_ARENAS_MAX 4096

/* The redirected memory of one context. */
struct host_pool {
    pthread_mutex_t lock;
    enum host_kind kind;   /* of the next arena */
    struct arena **arenas; /* POOL_ARENAS_MAX, mapped at first use */
    uint32_t count;
    uint64_t pinned;  /* bytes in arenas */
    uint64_t live;    /* bytes that the host holds */
    uint64_t retired; /* bytes freed by the host and not yet usable again */
    bool reclaiming;  /* a thread waits for the context to be idle */
    pthread_cond_t reclaimed;
    struct pending pending; /* blocks freed in stream order */
    struct loan *loans;     /* youngest first (backing_loan.c) */
};

enum context_state {
    CONTEXT_DEAD, /* its record may become another's */
    CONTEXT_ALIVE,
    CONTEXT_ENDING, /* the driver is about to destroy it; found no more */
};

/* Never freed, so that a late reader finds something; a record whose context died is used again,
 * under a new id, for another. */
struct context {
    CUcontext handle;
    uint32_t id; /* from 1 */
    enum context_state state;
    int captures; /* begun in it and not ended */
    struct device *device;
    struct host_pool pool;
    struct context *next;
};

/* Is it its device's primary context? One that is not may end while its device is used on. */
bool context_is_primary(const struct context *context);

/* The current context's record, made at first use; a green context's is that of its device's
 * primary context. NULL if no context is current or its device cannot be told. One driver call when
 * nothing changed since the last time on this thread. */
struct context *context_current(void);

/* Is this the context that the calling thread works in, itself and not a green one of it? */
bool context_is_current(const struct context *context);

/* A record for memory of a device that belongs to no context (cuMemCreate): it has no handle, is
 * never current and never ends. NULL if there is no such device. */
struct context *context_of_none(int ordinal);

/* Before the driver is asked to destroy a context: what the record of it holds belongs to the
 * context of this moment, not to one that is given the same handle right afterwards. */
void context_begin_end(CUcontext handle);

/* The next record that is ending with this handle, or NULL. After the driver's answer each is
 * either alive again (context_revive), or dropped and then buried (context_bury). */
struct context *context_next_ending(CUcontext handle);
void context_revive(struct context *context);
void context_bury(struct context *context);

/* The device's only context; NULL if it has none, or several. */
struct context *context_only(const struct device *device);

/* A stream is about to be destroyed. */
void context_forget_stream(CUstream stream);

/* --- stream captures ------------------------------------------------------------------------- */

/* The record of the context that a stream belongs to, which need not be the current one; NULL if it
 * has none. */
struct context *context_of_stream(CUstream stream);

/* Before cuStreamBeginCapture; after one that failed, cuStreamEndCapture, or the end of a stream
 * that captured. With the stream's context. */
void context_capture_begins(struct context *context);
void context_capture_ended(struct context *context);

/* True while any stream of the process captures: nothing may be synchronised then. */
bool context_capturing(void);

/* True from the first capture on. */
bool context_has_captured(void);

/* A forked child. */
void context_forget_all(void);

#endif
