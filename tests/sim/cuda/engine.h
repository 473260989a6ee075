/* engine.h: streams, the operations in them, and capture. */
#ifndef HYBRIDMEM_SIM_ENGINE_H
#define HYBRIDMEM_SIM_ENGINE_H

#include "memory.h"

struct capture {
    CUstreamCaptureMode mode;
    CUstreamCaptureStatus status;
    uint64_t id;
    pthread_t thread;
    struct stream *origin;
    void *graph;
    struct capture *next;
    bool to_graph; /* the host's own: cuStreamBeginCaptureToGraph */
};

struct stream {
    void *handle; /* NULL for default streams */
    struct ctx *ctx;
    struct green *green; /* whose it is; NULL: the context's own */
    struct stream *next; /* of the context */
    struct stream *next_ever;
    unsigned flags;
    int priority;
    uint64_t id;
    bool legacy, per_thread;
    bool observer;    /* no host's: waits for all streams (cuCtxRecordEvent) */
    pthread_t thread; /* whose default stream it is */
    bool destroyed, worker, running;
    uint64_t enqueued, completed; /* sequence numbers */
    uint64_t clock_ns;            /* simulated: when all that is enqueued will have ended */
    struct op *head, *tail;
    pthread_cond_t wake;
    struct capture *capture;
};

struct event {
    void *handle;
    struct ctx *ctx;
    struct event *next, **link;
    unsigned flags;
    struct stream *stream; /* of the last record; NULL: never recorded */
    uint64_t sequence;
    uint64_t time_ns; /* of the last record, when it was passed */
    struct capture *captured;
};

/* Where the memory of a mapping lies (cuMemMap), which may change behind the address. */
enum use_place { USE_ELSEWHERE, USE_ON_DEVICE, USE_ON_HOST };

/* A piece of memory that an operation touches, checked again when it runs. */
struct use {
    uint64_t address;
    size_t size;
    uint64_t id;     /* of the range; 0: pageable memory, or nothing known yet */
    uint64_t newest; /* later ranges are none that it was meant for */
    unsigned how;    /* USE_KERNEL, USE_WRITE */
    bool late;       /* its free was enqueued before */
    char *cpu;       /* set when it runs */
    uint64_t moved;  /* bytes that a kernel moves there, for the cost model */
    enum use_place place;
};
#define OP_USES 4

struct dependency {
    struct stream *stream;
    uint64_t sequence;
};
struct op {
    size_t bytes; /* of the whole structure that begins with this one */
    struct op *next;
    struct stream *stream;
    uint64_t sequence;
    const char *name;
    void (*run)(struct op *op);  /* without the lock, unless the context is sick */
    void (*done)(struct op *op); /* always, with the lock; may be NULL */
    void (*always)(struct op *op, CUresult status); /* instead of run: runs on error too */
    struct dependency *dependencies;
    int dependency_count;
    struct use uses[OP_USES];
    int use_count;
    uint64_t (*cost)(const struct op *op); /* in simulated time; may be NULL */
    CUresult result;
    void *owned; /* freed with it */
    bool quick;  /* costs nothing: no jitter */
};

/* The stream behind a handle for the calling thread, or NULL with *result set.
 * NULL and CU_STREAM_LEGACY: the legacy default stream; CU_STREAM_PER_THREAD: the thread's own. */
struct stream *stream_get_locked(CUstream handle, CUresult *result);
struct stream *stream_default_locked(struct ctx *ctx, bool per_thread);
struct stream *stream_new_locked(struct ctx *ctx, unsigned flags, int priority);

/* Allocates a zeroed operation of `bytes`, which starts with struct op. */
void *op_new(size_t bytes, const char *name, void (*run)(struct op *));
void op_free(struct op *op);
/* The same once more, with what it touches looked up anew. */
struct op *op_again_locked(const struct op *op);
/* Puts the operation into the stream and owns it from then on. With `wait`, returns when it is
 * done, with its result. Drops and reacquires the lock. */
CUresult engine_submit_locked(struct stream *stream, struct op *op, bool wait);
void engine_wait_locked(struct stream *stream, uint64_t sequence);
static inline bool engine_idle_locked(const struct stream *stream)
{
    return stream->completed == stream->enqueued;
}
/* Adds what the operation touches; how: USE_KERNEL, USE_WRITE. */
void op_use_locked(struct op *op, uint64_t address, size_t size, unsigned how);

/* Capture (capture.c). */
/* May a call that is unsafe in a capture be made by this thread now? Invalidates if not. */
CUresult capture_forbids_unsafe_locked(void);
/* May work go into this stream? *captured: it does not run, but becomes part of a graph. */
CUresult capture_admit_locked(struct stream *stream, bool *captured);
void capture_drop_ctx_locked(struct ctx *ctx);
/* What a capture makes a node of its graph (graph.c): work, which it owns from then on; an
 * allocation; the free of one. */
void graph_record_locked(const struct capture *capture, struct op *op);
CUresult graph_alloc_locked(const struct capture *capture, struct device *device, size_t bytes,
                            CUdeviceptr *out);
CUresult graph_free_locked(const struct capture *capture, CUdeviceptr address);
/* An allocation or a free of this block in the stream's order (ordered.c). */
CUresult ordered_alloc_locked(struct range *range, struct stream *stream);
CUresult ordered_free_locked(struct range *range, struct stream *stream);
extern atomic_int capture_count; /* captures under way: 0 is the fast way out */

/* --- spans: one side of a copy ---------------------------------------------------------------- */

enum span_kind { SPAN_IS_ANY, SPAN_IS_HOST, SPAN_IS_DEVICE, SPAN_IS_ARRAY };
struct span {
    enum span_kind kind;
    uint64_t address; /* or the offset into the array */
    CUarray array;
};
#define SPAN_ANY(p)      ((struct span){SPAN_IS_ANY, (p), NULL})
#define SPAN_HOST(p)     ((struct span){SPAN_IS_HOST, (uint64_t)(uintptr_t)(p), NULL})
#define SPAN_DEVICE(p)   ((struct span){SPAN_IS_DEVICE, (p), NULL})
#define SPAN_ARRAY(a, n) ((struct span){SPAN_IS_ARRAY, (n), (a)})
enum copy_mode {
    COPY_SYNC,
    COPY_ASYNC,
    COPY_EPHEMERAL /* asynchronous, but a host's source is read before the call returns */
};

struct array {
    void *handle;
    struct ctx *ctx;
    struct array *next, **link;
    CUDA_ARRAY3D_DESCRIPTOR shape; /* Height and Depth as asked for: 0 in a 1D or 2D array */
    size_t element, row, rows, layers, bytes, charged;
    char *data;
};
struct array *array_get(CUarray handle);
void array_release_locked(struct array *array);
void module_release_locked(struct ctx *ctx);
void event_release_locked(struct ctx *ctx);

#endif
