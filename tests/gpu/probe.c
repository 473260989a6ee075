/* probe.c: asks a CUDA driver what it really does, and prints the answers as JSON.
 *
 *   probe PART [--small]     facts, moves, or a kind of graph; --small: little memory and short
 *                            waits, for a smoke test
 *
 * {"driver": 13000, "device": "...", "total": bytes, "answers":
 *   [{"table": ..., "row": ..., "column": ..., "value": "..."}, ...]}
 * scripts/gpu-check makes tables of it. Exit code 77: no driver or no device; 1: bytes were lost in
 * a move, or there are no moves.
 */
#include "tests/gpu/probe.h"
#include "tests/hosts/kernels.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double probe_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

const char *probe_result(CUresult result)
{
    static __typeof__(&cuGetErrorName) name_of;
    static char number[32];
    const char *name = NULL;

    if (result == CUDA_SUCCESS)
        return "ok";
    if (!name_of)
        name_of = (__typeof__(name_of))dlsym(RTLD_DEFAULT, "cuGetErrorName");
    if (name_of && name_of(result, &name) == CUDA_SUCCESS && name)
        return strncmp(name, "CUDA_ERROR_", 11) == 0 ? name + 11 : name;
    snprintf(number, sizeof number, "error %d", (int)result);
    return number;
}

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

void probe_answer(struct probe *p, const char *table, const char *row, const char *column,
                  const char *format, ...)
{
    const char *const keys[] = {"table", "row", "column", "value"};
    char value[256];
    va_list list;

    va_start(list, format);
    vsnprintf(value, sizeof value, format, list);
    va_end(list);
    printf(p->first_answer ? "  {" : ",\n  {");
    p->first_answer = false;
    const char *const values[] = {table, row, column, value};
    for (int i = 0; i < 4; i++) {
        printf("%s\"%s\": ", i ? ", " : "", keys[i]);
        print_quoted(values[i]);
    }
    printf("}");
    fflush(stdout);
}

void *probe_symbol(struct probe *p, const char *name)
{
    return dlsym(p->drv.handle, name);
}

CUresult probe_launch(struct probe *p, const char *kernel, CUstream stream, void **params)
{
    CUfunction function;
    CUresult result = p->drv.cuModuleGetFunction(&function, p->module, kernel);

    if (result != CUDA_SUCCESS)
        return result;
    /* A spinning kernel takes one thread, so that what waits does not wait for room on the GPU. */
    bool spin = strcmp(kernel, "spin") == 0;
    return p->drv.cuLaunchKernel(function, spin ? 1 : 1024, 1, 1, spin ? 1 : 256, 1, 1, 0, stream,
                                 params, NULL);
}

/* Before CUDA 12.8 one function had another name, for the same. */
static void *find(struct probe *p, const char *name)
{
    void *found = probe_symbol(p, name);

    return found || strcmp(name, "cuEventElapsedTime_v2") != 0
               ? found
               : probe_symbol(p, "cuEventElapsedTime");
}

#define PROBE_TEXT_(name) #name
#define PROBE_TEXT(name)  PROBE_TEXT_(name) /* after cuda.h has put in the version */

static int open_driver(struct probe *p)
{
    p->drv.handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (!p->drv.handle) {
        fprintf(stderr, "probe: %s\n", dlerror());
        return 77;
    }
#define PROBE_LOAD(name)                                                                           \
    p->drv.name = (__typeof__(p->drv.name))find(p, PROBE_TEXT(name));                              \
    if (!p->drv.name) {                                                                            \
        fprintf(stderr, "probe: this driver has no %s\n", PROBE_TEXT(name));                       \
        return 1;                                                                                  \
    }
    PROBE_CALLS(PROBE_LOAD)
#undef PROBE_LOAD
    return 0;
}

static int open_device(struct probe *p)
{
    CUresult result = p->drv.cuInit(0);

    if (result == CUDA_SUCCESS)
        result = p->drv.cuDeviceGet(&p->device, 0);
    if (result != CUDA_SUCCESS) {
        fprintf(stderr, "probe: no device: %s\n", probe_result(result));
        return 77;
    }
    result = p->drv.cuDevicePrimaryCtxRetain(&p->context, p->device);
    if (result == CUDA_SUCCESS)
        result = p->drv.cuCtxSetCurrent(p->context);
    if (result == CUDA_SUCCESS)
        result = p->drv.cuModuleLoadData(&p->module, host_ptx);
    if (result != CUDA_SUCCESS)
        fprintf(stderr, "probe: no context: %s\n", probe_result(result));
    return result != CUDA_SUCCESS;
}

static void print_head(struct probe *p)
{
    char name[128] = "";
    size_t total = 0;
    int version = 0;

    p->drv.cuDriverGetVersion(&version);
    p->drv.cuDeviceGetName(name, sizeof name, p->device);
    p->drv.cuDeviceTotalMem(&total, p->device);
    printf("{\"driver\": %d, \"device\": ", version);
    print_quoted(name);
    printf(", \"total\": %zu, \"answers\": [\n", total);
}

static bool probe_facts(struct probe *p)
{
    probe_speed(p);
    probe_attributes(p);
    probe_copies(p);
    probe_odd_calls(p);
    probe_lookup(p);
    probe_waits(p);
    probe_host_numa(p);
    probe_pools(p);
    probe_free_memory(p);
    probe_captures(p);
    probe_host_copies(p);
    probe_lifetime(p); /* last: it ends the context */
    return true;
}

/* Each in a process of its own: what one breaks, another does not miss. */
static const struct {
    const char *name;
    bool (*run)(struct probe *p);
} parts[] = {
    {"facts", probe_facts},
    {"moves", probe_moves},
    {"graph-kernel", probe_graph_kernel},
    {"graph-copy-from", probe_graph_copy_from},
    {"graph-copy-to", probe_graph_copy_to},
    {"graph-download", probe_graph_download},
    {"graph-set", probe_graph_set},
};

int main(int argc, char **argv)
{
    static struct probe p = {.first_answer = true};
    size_t which = 0, count = sizeof parts / sizeof parts[0];
    bool small = argc == 3 && strcmp(argv[2], "--small") == 0;

    while (which < count && (argc < 2 || strcmp(argv[1], parts[which].name) != 0))
        which++;
    if (which == count) {
        fprintf(stderr, "usage: probe PART [--small]; PART of:");
        for (which = 0; which < count; which++)
            fprintf(stderr, " %s", parts[which].name);
        fprintf(stderr, "\n");
        return 2;
    }
    p.big = small ? 16 * PROBE_MIB : 1024 * PROBE_MIB;
    p.spin_ms = small ? 30 : 300;
    int failed = open_driver(&p);
    if (!failed)
        failed = open_device(&p);
    if (failed)
        return failed;
    print_head(&p);
    bool good = parts[which].run(&p);
    printf("\n]}\n");
    return !good;
}
