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

/* How a context's redirected memory is pinned. */
enum host_kind {
    HOST_UNDECIDED,
    HOST_REGISTERED, /* our pages, cuMemHostRegister */
    HOST_PINNED,     /* cuMemHostAlloc's pages */
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
};

/* Never freed, so that a late reader finds something; a record whose context died is used again,
 * under a new id, for another. */
struct context {
    CUcontext handle;
    uint32_t id; /* from 1 */
    bool alive;
    struct device *device;
    struct host_pool pool;
    struct context *next;
};

/* The current context's record, made at first use; NULL if no context is current or its device
 * cannot be told. One driver call when nothing changed since the last time on this thread. */
struct context *context_current(void);

/* The record of a handle, if there is one. */
struct context *context_find(CUcontext handle);

/* After the driver has destroyed it: its record is found no more. False if another thread was
 * faster. */
bool context_retire(struct context *context);

/* A stream is about to be destroyed. */
void context_forget_stream(CUstream stream);

/* --- stream captures ------------------------------------------------------------------------- */

/* cuStreamBeginCapture and cuStreamEndCapture succeeded. */
void context_capture_began(void);
void context_capture_ended(void);

/* True while any stream of the process captures: nothing may be synchronised then. */
bool context_capturing(void);

/* A forked child. */
void context_forget_all(void);

#endif
