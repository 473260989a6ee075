/* sim.h: what the files of the simulated driver share: settings, the lock, handles, contexts,
 * devices, ways to say that something is wrong.
 *
 * One lock (sim_lock) guards all state. Work (copies, sets, kernels, host functions) runs on the
 * streams' threads without it. Functions named *_locked want it held. Structs of contexts and
 * streams are never freed, so that a stale one can be told from a live one without the lock.
 */
#ifndef HYBRIDMEM_SIM_H
#define HYBRIDMEM_SIM_H

#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL /* every name as it is exported */
#endif
#include <cuda.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_MAX_DEVICES 16
#define SIM_ALIGNMENT   512 /* of device memory, as the driver aligns */

enum flavour { FLAVOUR_NONE, FLAVOUR_LEGACY, FLAVOUR_PTDS, FLAVOUR_PTSZ };
enum needs { NEED_ANY = 0, NEED_INIT = 1, NEED_CTX = 2, NOT_IN_CAPTURE = 4 };

/* --- settings (settings.c): SIMCUDA_*, read once -------------------------------------------- */

struct sim_settings {
    int devices;                  /* that the process may see */
    int card[SIM_MAX_DEVICES];    /* which one of the machine each of them is */
    size_t vram[SIM_MAX_DEVICES]; /* of each card */
    size_t reserved_bytes;        /* the driver's own, which only NVML tells of */
    size_t context_bytes;  /* what a context costs on its device; 0, so that budgets are exact */
    const char *fail;      /* SIMCUDA_FAIL, parsed by fault.c */
    const char *log;       /* SIMCUDA_LOG */
    const char *report;    /* SIMCUDA_REPORT, or "stderr" */
    const char *cost;      /* SIMCUDA_COST, parsed by cost.c */
    size_t content;        /* SIMCUDA_CONTENT */
    bool null;             /* SIMCUDA_NULL */
    bool populate;         /* pinning takes the RAM at once */
    bool host_pointer;     /* attribute 91: registered memory has one address for both sides */
    size_t host_numa;      /* granularity of such memory; 0: there is none (attribute 141) */
    bool abort_on_illegal; /* SIMCUDA_ILLEGAL=abort */
    uint64_t seed;
};
extern struct sim_settings sim_settings;
extern const int
    sim_driver_version; /* 11040, 12020, 13000 or 13050: fixed when the library is linked */
void sim_settings_read(void);
void sim_settings_hide_cards(const char *visible); /* what CUDA_VISIBLE_DEVICES says */
/* One line on stderr, then abort: for a setting that makes no sense. */
_Noreturn void sim_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* realloc that does not come back without memory. */
static inline void *sim_grow(void *old, size_t bytes)
{
    void *grown = realloc(old, bytes);

    if (!grown)
        sim_refuse("out of host memory");
    return grown;
}

/* --- state (state.c) ------------------------------------------------------------------------ */

extern pthread_mutex_t sim_lock;
extern pthread_cond_t sim_progress; /* broadcast whenever an operation completes */
extern atomic_bool sim_initialised, sim_finished;

extern __thread int sim_cancel_state;

/* A thread of the host's that is cancelled does not end with the lock held. */
static inline void sim_enter(void)
{
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    pthread_mutex_lock(&sim_lock);
    sim_cancel_state = before;
}
static inline void sim_leave(void)
{
    int state = sim_cancel_state;

    pthread_mutex_unlock(&sim_lock);
    pthread_setcancelstate(state, &state);
}
uint64_t sim_random_locked(void); /* xorshift, seeded by SIMCUDA_SEED */
uint64_t sim_now_ns(void);

/* --- handles (handle.c) --------------------------------------------------------------------- */

enum handle_kind {
    HANDLE_CONTEXT = 1,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_MODULE,
    HANDLE_FUNCTION,
    HANDLE_LINK,
    HANDLE_ARRAY,
    HANDLE_MIPMAP,
    HANDLE_GRAPH,
    HANDLE_POOL,
    HANDLE_GRAPH_EXEC,
    HANDLE_PHYSICAL,
    HANDLE_LIBRARY,
    HANDLE_KERNEL,
    HANDLE_DESCRIPTOR,
    HANDLE_GREEN,
    HANDLE_GREEN_CONTEXT,
    HANDLE_KINDS
};
/* What a host holds: an address in a table whose slots are never used twice. */
struct handle {
    void *_Atomic object; /* NULL once destroyed */
    enum handle_kind kind;
    unsigned serial; /* from 1, per kind */
};
void *handle_new_locked(enum handle_kind kind, void *object); /* NULL when the table is full */
void handle_end(void *handle);
/* The object, or NULL: never a handle, of another kind, or destroyed. Needs no lock. */
void *handle_object(const void *handle, enum handle_kind kind);
/* The handle's slot, destroyed or not, or NULL. */
const struct handle *handle_slot(const void *handle);

/* First in an object that only a handle refers to: a leak checker does not look into the table. */
struct listed {
    struct listed *next, **link;
};
void listed_add_locked(struct listed *object);
void listed_remove_locked(struct listed *object);

/* --- devices (device.c) --------------------------------------------------------------------- */

struct ctx;
struct pool;
/* Numbers that are handed out in ranges: device addresses, or places in physical memory. */
struct space {
    uint64_t base; /* of device addresses: PROT_NONE, the CPU faults there */
    size_t bytes;
    uint64_t top;       /* from here on nothing was ever handed out */
    char *shadow;       /* the memory behind: base + n is stored at shadow + n */
    struct node *holes; /* what was given back */
    uint64_t last_hole;
};
struct device {
    int ordinal;
    size_t total, used; /* bytes; used counts whole units of SIM_ALIGNMENT */
    struct space space;
    struct ctx *primary; /* one for the life of the process, alive or not */
    unsigned primary_users, primary_flags;
    struct pool *default_pool, *pool; /* pool: the current one */
};
extern struct device sim_devices[SIM_MAX_DEVICES];
struct device *device_get(CUdevice ordinal); /* NULL for no such device */
void device_start(void);
void *device_reserve(size_t bytes, int protection); /* of address space, with nothing in it */
CUresult device_take_locked(struct device *device, size_t bytes); /* accounts, or OUT_OF_MEMORY */
void device_give_locked(struct device *device, size_t bytes);

/* --- contexts (context.c) ------------------------------------------------------------------- */

struct stream;
struct range;
struct event;
struct ctx {
    void *handle;
    struct device *device;
    struct ctx *next; /* all that ever were */
    atomic_bool alive;
    _Atomic CUresult sticky; /* an illegal address ends a context */
    bool primary;
    unsigned flags, api_version, attach_count;
    CUfunc_cache cache;
    CUsharedconfig shared_config;
    size_t limits[10];
    bool peers[SIM_MAX_DEVICES];
    struct stream *streams, *legacy; /* every stream; the legacy default stream */
    struct range *ranges;            /* the memory it owns */
    struct event *events;
    struct array *arrays;
    struct module *modules;
};
/* The calling thread's current context, alive or not. Initial-exec: every call reads it, and
 * __tls_get_addr would cost more than the rest of a call in null mode. */
extern __thread struct ctx *ctx_top __attribute__((tls_model("initial-exec")));
static inline struct ctx *ctx_current(void) /* NULL: none, or destroyed */
{
    struct ctx *top = ctx_top;

    return top && atomic_load_explicit(&top->alive, memory_order_acquire) ? top : NULL;
}
CUresult ctx_missing(void);            /* which error to answer when ctx_current() is NULL */
struct ctx *ctx_get(CUcontext handle); /* NULL when not alive */
struct ctx *ctx_all_locked(void);      /* first of the list, for the report */
CUresult ctx_wait(struct ctx *ctx);    /* until all its streams are idle; without the lock */
void ctx_wait_all(void);

/* --- what is wrong (report.c), faults (fault.c), the call log (calllog.c) --------------------- */

/* An illegal use of memory: reported at once, counted, and fatal with SIMCUDA_ILLEGAL=abort. */
void report_illegal(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_leaks_locked(void);
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

void fault_start(void);
bool fault_any(void);
/* True when this call is to fail, with *result set. */
bool fault_due(const char *symbol, const char *base, CUresult *result);

enum log_type {
    LOG_INT,
    LOG_UINT,
    LOG_SIZE,
    LOG_DEVICE_POINTER,
    LOG_TEXT,
    LOG_POINTER,
    LOG_OUT_DEVICE_POINTER,
    LOG_OUT_SIZE,
    LOG_OUT_INT,
    LOG_OUT_HANDLE,
    LOG_OUT_POINTER,
    LOG_OUT,
    LOG_COPY_2D,
    LOG_COPY_3D
};
struct log_argument {
    enum log_type type;
    uint64_t value;
};
struct log_line {
    char text[12][160];
};
void log_start(void);
bool log_any(void);
void log_before(struct log_line *line, const struct log_argument *arguments, int count);
void log_after(struct log_line *line, const struct log_argument *arguments, int count,
               const char *symbol, CUresult result);

const char *result_name(CUresult result); /* NULL when unknown */
const char *result_text(CUresult result);
bool result_by_name(const char *name, CUresult *result);

/* --- null mode (null.c): for benchmarks; no content, no streams, no capacity -------------------
 */

static inline bool sim_null(void)
{
    return __builtin_expect(sim_settings.null, 0);
}
void null_start(void);
CUresult null_alloc(CUdeviceptr *address, size_t bytes);
CUresult null_free(CUdeviceptr address);
bool null_owns(CUdeviceptr address);
CUresult null_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr address);
CUresult null_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address);

#endif
