#include "scripts/hybridmem_probe.h"

#include "shim/ram.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB    ((size_t)1 << 20)
#define BLOCK  MIB
#define ROUNDS 8 /* a link that saved power needs some to speed up */

typedef uint64_t address; /* CUdeviceptr */

/* As the driver names them (CUDA driver API); results: 0 is success, contexts and streams are
 * pointers. */
#define PROBE_CALLS(X)                                                                             \
    X(init, "cuInit", (unsigned int flags))                                                        \
    X(version, "cuDriverGetVersion", (int *version))                                               \
    X(count, "cuDeviceGetCount", (int *count))                                                     \
    X(get, "cuDeviceGet", (int *device, int ordinal))                                              \
    X(error_name, "cuGetErrorName", (int error, const char **name))                                \
    X(retain, "cuDevicePrimaryCtxRetain", (void **context, int device))                            \
    X(set_current, "cuCtxSetCurrent", (void *context))                                             \
    X(release, "cuDevicePrimaryCtxRelease", (int device))                                          \
    X(free_block, "cuMemFree_v2", (address block))                                                 \
    X(write_block, "cuMemcpyHtoD_v2", (address to, const void *from, size_t len))                  \
    X(read_block, "cuMemcpyDtoH_v2", (void *to, address from, size_t len))                         \
    X(host_alloc, "cuMemHostAlloc", (void **p, size_t len, unsigned int flags))                    \
    X(host_free, "cuMemFreeHost", (void *p))                                                       \
    X(to_device, "cuMemcpyHtoDAsync_v2", (address to, const void *from, size_t len, void *stream)) \
    X(from_device, "cuMemcpyDtoHAsync_v2", (void *to, address from, size_t len, void *stream))     \
    X(event_create, "cuEventCreate", (void **event, unsigned int flags))                           \
    X(event_record, "cuEventRecord", (void *event, void *stream))                                  \
    X(event_wait, "cuEventSynchronize", (void *event))                                             \
    X(event_ms, "cuEventElapsedTime", (float *ms, void *start, void *end))                         \
    X(event_destroy, "cuEventDestroy_v2", (void *event))

typedef int alloc_fn(address *block, size_t len);

static struct {
    void *handle;
#define X(member, symbol, params) int(*member) params;
    PROBE_CALLS(X)
#undef X
} cu;

static bool find(const char *symbol, void *function)
{
    void *found = dlsym(cu.handle, symbol);

    memcpy(function, &found, sizeof(found));
    return found != NULL;
}

static bool open_driver(void)
{
    /* In the global scope, as if the program were linked with it. */
    cu.handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
#define X(member, symbol, params) &&find(symbol, &cu.member)
    return cu.handle PROBE_CALLS(X);
#undef X
}

static bool failed(struct probe_result *result, int code)
{
    const char *name = NULL;

    result->code = code;
    if (code != 0 && (cu.error_name(code, &name) != 0 || !name))
        snprintf(result->name, sizeof(result->name), "error %d", code);
    else if (code != 0)
        snprintf(result->name, sizeof(result->name), "%s", name);
    return code != 0;
}

/* --- doors ---------------------------------------------------------------------------------------
 */

/* As the CUDA runtime of 12 and later asks, and that of 11.3 and later. */
static void *ask_driver(const char *base, int version)
{
    int (*ask_v2)(const char *base, void **found, int version, uint64_t flags, int *status);
    int (*ask)(const char *base, void **found, int version, uint64_t flags);
    void *found = NULL;
    int status;

    if (find("cuGetProcAddress_v2", &ask_v2))
        return ask_v2(base, &found, version, 0, &status) == 0 ? found : NULL;
    if (find("cuGetProcAddress", &ask))
        return ask(base, &found, version, 0) == 0 ? found : NULL;
    return NULL;
}

static alloc_fn *look_up(enum probe_door door)
{
    void *found = door == PROBE_LINKED  ? dlsym(RTLD_DEFAULT, "cuMemAlloc_v2")
                  : door == PROBE_DLSYM ? dlsym(cu.handle, "cuMemAlloc_v2")
                                        : ask_driver("cuMemAlloc", 3020);
    alloc_fn *alloc;

    memcpy(&alloc, &found, sizeof(alloc));
    return alloc;
}

static bool lies_in(alloc_fn *function, const char *library)
{
    void *pointer;
    Dl_info info;

    memcpy(&pointer, &function, sizeof(pointer));
    return library && dladdr(pointer, &info) && strcmp(info.dli_fname, library) == 0;
}

static void fill(unsigned char *bytes, enum probe_door door)
{
    for (size_t i = 0; i < BLOCK; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251 + door * 7);
}

/* All blocks are alive at once, so that each has bytes of its own. */
static void try_doors(struct probe_gpu *g, const char *library)
{
    static unsigned char there[BLOCK], back[BLOCK];
    address block[PROBE_DOORS];

    for (int i = 0; i < PROBE_DOORS; i++) {
        alloc_fn *alloc = look_up((enum probe_door)i);

        g->door[i].exists = alloc != NULL;
        g->door[i].is_ours = alloc && lies_in(alloc, library);
        fill(there, (enum probe_door)i);
        if (alloc && !failed(&g->door[i].result, alloc(&block[i], BLOCK)))
            failed(&g->door[i].result, cu.write_block(block[i], there, BLOCK));
    }
    for (int i = 0; i < PROBE_DOORS; i++) {
        if (!g->door[i].exists || g->door[i].result.code != 0)
            continue;
        fill(there, (enum probe_door)i);
        memset(back, 0, BLOCK);
        if (!failed(&g->door[i].result, cu.read_block(back, block[i], BLOCK)))
            g->door[i].is_right = memcmp(there, back, BLOCK) == 0;
        if (g->door[i].result.code == 0)
            failed(&g->door[i].result, cu.free_block(block[i]));
    }
}

/* --- bandwidth -----------------------------------------------------------------------------------
 */

struct bench {
    void *start, *end, *host;
    address device;
    size_t len;
};

static int copy(const struct bench *b, bool to_device)
{
    return to_device ? cu.to_device(b->device, b->host, b->len, NULL)
                     : cu.from_device(b->host, b->device, b->len, NULL);
}

/* The fastest of some rounds, in bytes per second, after one to warm up; 0: it failed. */
static uint64_t speed(const struct bench *b, bool to_device)
{
    float best = 0, ms = 0;

    if (copy(b, to_device) != 0)
        return 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (cu.event_record(b->start, NULL) != 0 || copy(b, to_device) != 0 ||
            cu.event_record(b->end, NULL) != 0 || cu.event_wait(b->end) != 0 ||
            cu.event_ms(&ms, b->start, b->end) != 0)
            return 0;
        best = i == 0 || ms < best ? ms : best;
    }
    return best > 0 ? (uint64_t)((double)b->len / (double)best * 1e3) : 0;
}

/* 64 MiB, or an eighth of what is free if that is less. */
static size_t bench_len(const struct gpu *gpu)
{
    uint64_t least = gpu->free;
    struct ram ram;

    if (ram_read("", &ram) && ram.available < least)
        least = ram.available;
    least = least / 8 / MIB * MIB;
    return least < MIB ? MIB : least > 64 * MIB ? 64 * MIB : (size_t)least;
}

static void measure(struct probe_gpu *g)
{
    struct bench b = {.len = bench_len(&g->gpu)};
    alloc_fn *alloc = look_up(PROBE_DLSYM);

    if (!failed(&g->pinned, cu.host_alloc(&b.host, b.len, 0)) && alloc &&
        alloc(&b.device, b.len) == 0) {
        memset(b.host, 1, b.len);
        if (cu.event_create(&b.start, 0) == 0 && cu.event_create(&b.end, 0) == 0) {
            g->bandwidth.to_device = speed(&b, true);
            g->bandwidth.from_device = speed(&b, false);
        }
        g->measured = g->bandwidth.to_device && g->bandwidth.from_device;
        if (b.start)
            cu.event_destroy(b.start);
        if (b.end)
            cu.event_destroy(b.end);
        cu.free_block(b.device);
    }
    if (b.host)
        cu.host_free(b.host);
}

/* --- the process ---------------------------------------------------------------------------------
 */

static void try_gpu(struct probe_gpu *g, int ordinal, const char *library)
{
    const char *problem = gpu_read(ordinal, &g->gpu);
    void *context = NULL;
    int device;

    snprintf(g->problem, sizeof(g->problem), "%s", problem ? problem : "");
    if (failed(&g->context, cu.get(&device, ordinal)) ||
        failed(&g->context, cu.retain(&context, device)))
        return;
    if (!failed(&g->context, cu.set_current(context))) {
        try_doors(g, library);
        if (!library)
            measure(g);
    }
    cu.set_current(NULL);
    cu.release(device);
}

static bool put(int fd, const void *what, size_t len)
{
    return write(fd, what, len) == (ssize_t)len;
}

int probe_main(int fd, const char *library)
{
    struct probe probe = {0};

    probe.has_library = library && dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    probe.has_driver = open_driver();
    if (probe.has_driver && cu.version(&probe.version) != 0)
        probe.version = 0;
    if (probe.has_driver && !failed(&probe.init, cu.init(0)))
        failed(&probe.init, cu.count(&probe.gpus));
    if (!put(fd, &probe, sizeof(probe)))
        return EXIT_FAILURE;
    for (int i = 0; i < probe.gpus && i < PROBE_GPUS_MAX; i++) {
        struct probe_gpu g = {0};

        try_gpu(&g, i, library);
        if (!put(fd, &g, sizeof(g)))
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
