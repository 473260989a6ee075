/* exports.c: the exported functions, made from symbols.def. Each passes the gate, may be told to
 * fail, is written to the call log, and calls its implementation. Nothing inside the simulator
 * calls these, so that an interposer sees a host's calls only, as with the real library. */
#include "engine.h"
#include "gate.h"
#include "impl.h"

CUresult gate_refuse(unsigned needs)
{
    CUresult result = CUDA_SUCCESS;

    if (atomic_load(&sim_finished))
        return CUDA_ERROR_DEINITIALIZED;
    if (!atomic_load(&sim_initialised))
        return CUDA_ERROR_NOT_INITIALIZED;
    if ((needs & NEED_CTX) && !ctx_current())
        return ctx_missing();
    if (needs & NEED_CTX)
        result = atomic_load(&ctx_top->sticky);
    if (result == CUDA_SUCCESS && (needs & NOT_IN_CAPTURE)) {
        sim_enter();
        result = capture_forbids_unsafe_locked();
        sim_leave();
    }
    return result;
}

/* --- arguments for the log, by their C type --------------------------------------------------- */

#define LOGGER(name, ctype, logtype, cast)                                                         \
    static inline struct log_argument name(ctype value)                                            \
    {                                                                                              \
        return (struct log_argument){logtype, cast value};                                         \
    }
LOGGER(log_int, int, LOG_INT, (uint64_t)(int64_t))
LOGGER(log_uint, unsigned, LOG_UINT, (uint64_t))
LOGGER(log_size, size_t, LOG_SIZE, (uint64_t))
LOGGER(log_dptr, CUdeviceptr, LOG_DEVICE_POINTER, (uint64_t))
LOGGER(log_text, const char *, LOG_TEXT, (uint64_t)(uintptr_t))
LOGGER(log_pointer, const void *, LOG_POINTER, (uint64_t)(uintptr_t))
LOGGER(log_out_dptr, const CUdeviceptr *, LOG_OUT_DEVICE_POINTER, (uint64_t)(uintptr_t))
LOGGER(log_out_size, const size_t *, LOG_OUT_SIZE, (uint64_t)(uintptr_t))
LOGGER(log_out_int, const void *, LOG_OUT_INT, (uint64_t)(uintptr_t))
LOGGER(log_out_handle, const void *, LOG_OUT_HANDLE, (uint64_t)(uintptr_t))
LOGGER(log_out_pointer, const void *, LOG_OUT_POINTER, (uint64_t)(uintptr_t))
LOGGER(log_out, const void *, LOG_OUT, (uint64_t)(uintptr_t))
LOGGER(log_copy_2d, const CUDA_MEMCPY2D *, LOG_COPY_2D, (uint64_t)(uintptr_t))
LOGGER(log_copy_3d, const CUDA_MEMCPY3D *, LOG_COPY_3D, (uint64_t)(uintptr_t))
static inline struct log_argument log_ipc(CUipcMemHandle handle)
{
    (void)handle;
    return (struct log_argument){LOG_OUT, 0};
}
static inline struct log_argument log_location(CUmemLocation location)
{
    return (struct log_argument){LOG_INT, (uint64_t)(int64_t)location.id};
}
static inline struct log_argument log_ipc_event(CUipcEventHandle handle)
{
    (void)handle;
    return (struct log_argument){LOG_OUT, 0};
}

/* clang-format off */
#define LOG_ARG(x) _Generic((x), \
    int: log_int, unsigned: log_uint, unsigned short: log_uint, unsigned char: log_uint, \
    size_t: log_size, CUdeviceptr: log_dptr, const char *: log_text, \
    CUdeviceptr *: log_out_dptr, size_t *: log_out_size, int *: log_out_int, \
    unsigned *: log_out_int, CUcontext *: log_out_handle, CUstream *: log_out_handle, \
    CUevent *: log_out_handle, CUmodule *: log_out_handle, CUfunction *: log_out_handle, \
    CUarray *: log_out_handle, CUgraph *: log_out_handle, CUlinkState *: log_out_handle, \
    CUmemoryPool *: log_out_handle, CUgraphExec *: log_out_handle, \
    CUlibrary *: log_out_handle, CUkernel *: log_out_handle, void **: log_out_pointer, \
    char *: log_out, CUuuid *: log_out, float *: log_out, \
    const CUDA_MEMCPY2D *: log_copy_2d, const CUDA_MEMCPY3D *: log_copy_3d, \
    CUmemLocation: log_location, CUipcMemHandle: log_ipc, CUipcEventHandle: log_ipc_event, \
    default: log_pointer)(x)

#define L0()
#define L1(a)       LOG_ARG(a),
#define L2(a, ...)  LOG_ARG(a), L1(__VA_ARGS__)
#define L3(a, ...)  LOG_ARG(a), L2(__VA_ARGS__)
#define L4(a, ...)  LOG_ARG(a), L3(__VA_ARGS__)
#define L5(a, ...)  LOG_ARG(a), L4(__VA_ARGS__)
#define L6(a, ...)  LOG_ARG(a), L5(__VA_ARGS__)
#define L7(a, ...)  LOG_ARG(a), L6(__VA_ARGS__)
#define L8(a, ...)  LOG_ARG(a), L7(__VA_ARGS__)
#define L9(a, ...)  LOG_ARG(a), L8(__VA_ARGS__)
#define L10(a, ...) LOG_ARG(a), L9(__VA_ARGS__)
#define L11(a, ...) LOG_ARG(a), L10(__VA_ARGS__)
#define PICK(z, a, b, c, d, e, f, g, h, i, j, k, name, ...) name
#define LOG_ARGS(...) \
    PICK(z, ##__VA_ARGS__, L11, L10, L9, L8, L7, L6, L5, L4, L3, L2, L1, L0, z)(__VA_ARGS__)
/* clang-format on */

/* Before the call: opens the gate the first time; true when the call must not be made. */
static bool gate_slow(const char *symbol, const char *base, unsigned needs, CUresult *result)
{
    if (atomic_load(&sim_gate) == GATE_CLOSED)
        sim_start();
    if (atomic_load(&sim_gate) == GATE_FORKED && needs != NEED_ANY) {
        *result = CUDA_ERROR_NOT_INITIALIZED;
        return true;
    }
    return fault_due(symbol, base, result);
}

#define DIMS(...)        ((const unsigned[]){__VA_ARGS__})
#define STREAM(s)        stream_of_flavour((s), PT)
#define IS_PER_THREAD(f) ((f) == FLAVOUR_PTDS || (f) == FLAVOUR_PTSZ)

static inline CUstream stream_of_flavour(CUstream stream, bool per_thread)
{
    return stream ? stream : per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
}

/* Apart, so that what the log needs on the stack costs nothing where there is none. */
#define SIM_ROW(symbol, base, since, flavour, needs, params, args, call)                           \
    static __attribute__((noinline)) CUresult watched_##symbol params                              \
    {                                                                                              \
        enum { PT = IS_PER_THREAD(flavour) };                                                      \
        const struct log_argument list_[] = {LOG_ARGS args{LOG_INT, 0}};                           \
        const int count_ = (int)(sizeof(list_) / sizeof(*list_)) - 1;                              \
        CUresult result_ = CUDA_SUCCESS;                                                           \
        struct log_line line_;                                                                     \
        bool failed_ = gate_slow(#symbol, #base, needs, &result_);                                 \
        log_before(&line_, list_, count_);                                                         \
        if (!failed_)                                                                              \
            result_ = gate_admit(needs);                                                           \
        if (!failed_ && result_ == CUDA_SUCCESS)                                                   \
            result_ = (call);                                                                      \
        log_after(&line_, list_, count_, #symbol, result_);                                        \
        return result_;                                                                            \
    }                                                                                              \
    __attribute__((visibility("default"))) CUresult symbol params                                  \
    {                                                                                              \
        enum { PT = IS_PER_THREAD(flavour) };                                                      \
        if (__builtin_expect(atomic_load_explicit(&sim_gate, memory_order_acquire) != GATE_OPEN,   \
                             0))                                                                   \
            return watched_##symbol args;                                                          \
        CUresult result_ = gate_admit(needs);                                                      \
        return result_ == CUDA_SUCCESS ? (call) : result_;                                         \
    }
#include "symbols.def"

/* For the simulated NVML in the same process: not part of the driver API. 0 before cuInit. */
size_t simcuda_used_bytes(int card);
__attribute__((visibility("default"))) size_t simcuda_used_bytes(int card)
{
    size_t used = 0;

    if (!atomic_load(&sim_initialised))
        return 0;
    sim_enter();
    for (int i = 0; i < sim_settings.devices; i++)
        if (sim_settings.card[i] == card)
            used = sim_devices[i].used;
    sim_leave();
    return used;
}
