/* probe.h: asks a CUDA driver what it really does. Shared by the files of the probe.
 *
 * The probe opens libcuda.so.1 by dlopen, so that it runs on any driver, the simulated one
 * included; a function that the driver lacks answers "absent". Each answer is one cell of a table.
 */
#ifndef HYBRIDMEM_TESTS_GPU_PROBE_H
#define HYBRIDMEM_TESTS_GPU_PROBE_H

#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_MIB ((size_t)1 << 20)

/* The functions used; with cuda.h's names, which stand for the newest version of each. */
#define PROBE_CALLS(X)                                                                             \
    X(cuInit)                                                                                      \
    X(cuDriverGetVersion)                                                                          \
    X(cuDeviceGet)                                                                                 \
    X(cuDeviceGetName)                                                                             \
    X(cuDeviceGetAttribute)                                                                        \
    X(cuDeviceTotalMem)                                                                            \
    X(cuDevicePrimaryCtxRetain)                                                                    \
    X(cuDevicePrimaryCtxRelease)                                                                   \
    X(cuDevicePrimaryCtxReset)                                                                     \
    X(cuCtxDestroy)                                                                                \
    X(cuCtxSetCurrent)                                                                             \
    X(cuCtxSynchronize)                                                                            \
    X(cuStreamCreate)                                                                              \
    X(cuStreamDestroy)                                                                             \
    X(cuStreamSynchronize)                                                                         \
    X(cuEventCreate)                                                                               \
    X(cuEventRecord)                                                                               \
    X(cuEventSynchronize)                                                                          \
    X(cuEventElapsedTime)                                                                          \
    X(cuEventDestroy)                                                                              \
    X(cuModuleLoadData)                                                                            \
    X(cuModuleGetFunction)                                                                         \
    X(cuModuleUnload)                                                                              \
    X(cuLaunchKernel)                                                                              \
    X(cuMemAlloc)                                                                                  \
    X(cuMemFree)                                                                                   \
    X(cuMemHostAlloc)                                                                              \
    X(cuMemFreeHost)                                                                               \
    X(cuMemHostRegister)                                                                           \
    X(cuMemHostUnregister)                                                                         \
    X(cuMemHostGetDevicePointer)                                                                   \
    X(cuMemHostGetFlags)                                                                           \
    X(cuMemGetAddressRange)                                                                        \
    X(cuMemGetInfo)                                                                                \
    X(cuPointerGetAttribute)                                                                       \
    X(cuPointerGetAttributes)                                                                      \
    X(cuIpcGetMemHandle)                                                                           \
    X(cuMemcpy)                                                                                    \
    X(cuMemcpyAsync)                                                                               \
    X(cuMemcpyPeer)                                                                                \
    X(cuMemcpyHtoD)                                                                                \
    X(cuMemcpyHtoDAsync)                                                                           \
    X(cuMemcpyDtoH)                                                                                \
    X(cuMemcpyDtoD)                                                                                \
    X(cuMemcpy2D)                                                                                  \
    X(cuMemsetD8)                                                                                  \
    X(cuMemsetD16)                                                                                 \
    X(cuMemsetD32)                                                                                 \
    X(cuMemsetD8Async)                                                                             \
    X(cuMemsetD2D8)

struct probe_driver {
    void *handle;
#define PROBE_MEMBER(name) __typeof__(&name) name;
    PROBE_CALLS(PROBE_MEMBER)
#undef PROBE_MEMBER
};

struct probe {
    struct probe_driver drv;
    CUdevice device;
    CUcontext context; /* the primary one, current */
    CUmodule module;
    size_t big;       /* bytes for measurements */
    unsigned spin_ms; /* how long a kernel runs that others are timed against */
    bool first_answer;
};

/* Virtual memory management, which a driver may lack. */
struct probe_vmm {
    __typeof__(&cuMemCreate) create;
    __typeof__(&cuMemRelease) release;
    __typeof__(&cuMemAddressReserve) reserve;
    __typeof__(&cuMemAddressFree) address_free;
    __typeof__(&cuMemMap) map;
    __typeof__(&cuMemUnmap) unmap;
    __typeof__(&cuMemSetAccess) set_access;
    __typeof__(&cuMemGetAllocationGranularity) granularity;
    __typeof__(&cuMemExportToShareableHandle) export;
    __typeof__(&cuMemImportFromShareableHandle) import;
};

/* Kinds of memory that a block can be. */
enum probe_kind {
    PROBE_DEVICE,
    PROBE_HOSTALLOC,
    PROBE_REGISTERED_4K,
    PROBE_REGISTERED_THP,
    PROBE_REGISTERED_HUGETLB,
    PROBE_VMM_HOST,
    PROBE_VMM_DEVICE,
    PROBE_PAGEABLE, /* ordinary memory that CUDA has not been told of */
    PROBE_KINDS
};

struct probe_block {
    enum probe_kind kind;
    size_t bytes;
    CUdeviceptr device; /* address for the GPU; 0: it has none */
    void *host;         /* address for the CPU; NULL: it has none */
    double populate_ms; /* page faults */
    double pin_ms;      /* the driver's call */
    double drop_ms;
    CUmemGenericAllocationHandle vmm_handle;
    char why[96]; /* after a failure: what refused it */
};

extern const char *const probe_kind_name[PROBE_KINDS];

/* blocks.c: a block of a kind; false, with `why` filled, where the machine or the driver refuses.
 * probe_drop returns what the driver said. */
bool probe_make(struct probe *p, enum probe_kind kind, size_t bytes, struct probe_block *block);
CUresult probe_drop(struct probe *p, struct probe_block *block);
bool probe_find_vmm(struct probe *p, struct probe_vmm *v);
CUmemLocation probe_here(struct probe *p);

/* spans.c: addresses with VRAM behind them, in chunks, which moves to host memory and back up. What
 * failed is told by call_name and the result; then it is left as it is. What uses it is to be done
 * before a move. */
#define PROBE_CHUNKS 32
struct probe_span {
    struct probe_vmm vmm;
    CUdeviceptr base;
    CUstream stream; /* of the copies */
    size_t chunk;
    unsigned chunks;
    CUmemGenericAllocationHandle handle[PROBE_CHUNKS];
    const char *call_name;
};
CUresult probe_span_make(struct probe *p, struct probe_span *span, size_t chunk, unsigned chunks);
CUresult probe_span_move(struct probe *p, struct probe_span *span, bool down);
CUresult probe_span_drop(struct probe *p, struct probe_span *span);

/* speed.c: GB/s at which a kernel reads p->big bytes there; negative: it does not. A row of the
 * table of calls beside a running kernel. */
double probe_kernel_reads(struct probe *p, CUdeviceptr from);
void probe_timed(struct probe *p, const char *row, double ms, CUresult result);

/* facts.c: a column of the table of pointer attributes, for a block of 4 MiB or more. Each is asked
 * alone, and as one of an array; of an interior pointer, so that "base" and "here" differ. */
void probe_attributes_of(struct probe *p, const char *column, CUdeviceptr base);

/* facts.c, speed.c, guesses.c, order.c: one function for each table, or a few. */
void probe_attributes(struct probe *p);
void probe_copies(struct probe *p);
void probe_odd_calls(struct probe *p);
void probe_lookup(struct probe *p);
void probe_lifetime(struct probe *p);
void probe_waits(struct probe *p);
void probe_host_numa(struct probe *p);
void probe_pools(struct probe *p);
void probe_free_memory(struct probe *p);
void probe_captures(struct probe *p);
void probe_host_copies(struct probe *p);
void probe_speed(struct probe *p);

/* idle.c: waits for all that the context was given so far, without cuCtxSynchronize. */
CUresult probe_wait_for_all(struct probe *p);
bool probe_idle(struct probe *p);
/* idle.c, moves.c: what VRAM on loan needs; false if any of it is not so. graphs.c: a graph with a
 * node of that kind, launched after a move of what it uses; whatever comes of it is an answer. */
bool probe_moves(struct probe *p);
bool probe_graph_kernel(struct probe *p);
bool probe_graph_copy_from(struct probe *p);
bool probe_graph_copy_to(struct probe *p);
bool probe_graph_download(struct probe *p);
bool probe_graph_set(struct probe *p);

/* probe.c: one cell; `format` as printf's. */
void probe_answer(struct probe *p, const char *table, const char *row, const char *column,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
/* "ok", or the error's name without CUDA_ERROR_. */
const char *probe_result(CUresult result);
double probe_now_ms(void);
/* Any function of the driver by its exported name; NULL if it has none. */
void *probe_symbol(struct probe *p, const char *name);
/* A kernel that runs for spin_ms. */
CUresult probe_spin(struct probe *p, CUstream stream);
/* Launches a kernel of tests/hosts/kernels.h on `stream`. */
CUresult probe_launch(struct probe *p, const char *kernel, CUstream stream, void **params);

#endif
