/* bench_calls.c: what one call costs, in nanoseconds: a host that does nothing but call.
 *
 *   bench_calls CASE LIVE      prints the median of several batches, e.g. "23.4"
 *
 * CASE  small       cuMemAlloc + cuMemFree of 64 KiB with LIVE other allocations
 *       large       the same with 2 MiB, which asks for a verdict
 *       threads     small, on two threads at once; per pair and thread
 *       copy        cuMemcpyDtoDAsync between two device allocations
 *       launch      cuLaunchKernel
 *       query       cuPointerGetAttribute of a device allocation
 *       redirected  cuMemAlloc + cuMemFree of 2 MiB (run it with a budget of nothing)
 *       redirected-copy, redirected-query   the same on redirected blocks
 *
 * Meant for the simulated driver in null mode (SIMCUDA_NULL=1), where a driver call costs a few
 * nanoseconds; scripts around it pair runs with and without the library.
 */
#include "kernels.h"

#include <cuda.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCHES 31

static CUcontext context;
static CUdeviceptr a, b;
static CUfunction spin;
static size_t size = 64 << 10;

static void check(CUresult r, const char *what)
{
    const char *name = "?";
    if (r == CUDA_SUCCESS)
        return;
    cuGetErrorName(r, &name);
    fprintf(stderr, "bench_calls: %s: %s\n", what, name);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void pair(void)
{
    CUdeviceptr p;
    check(cuMemAlloc(&p, size), "cuMemAlloc");
    check(cuMemFree(p), "cuMemFree");
}

static void copy(void)
{
    check(cuMemcpyDtoDAsync(a, b, 4096, NULL), "cuMemcpyDtoDAsync");
}

static void launch(void)
{
    uint64_t microseconds = 0;
    void *parameters[] = {&microseconds};
    check(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL), "cuLaunchKernel");
}

static void find_kernel(void)
{
    CUmodule module;
    check(cuModuleLoadData(&module, host_ptx), "cuModuleLoadData");
    check(cuModuleGetFunction(&spin, module, "spin"), "cuModuleGetFunction");
}

static void query(void)
{
    int ordinal;
    check(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, a),
          "cuPointerGetAttribute");
}

static int ascending(const void *x, const void *y)
{
    double d = *(const double *)x - *(const double *)y;
    return (d > 0) - (d < 0);
}

static double median_ns(void (*call)(void))
{
    double batch[BATCHES];
    int calls = 1000;

    for (double t = 0; t < 1e6; calls *= 2) { /* a batch lasts a millisecond or more */
        double start = now_ns();
        for (int i = 0; i < calls; i++)
            call();
        t = now_ns() - start;
    }
    for (int k = 0; k < BATCHES; k++) {
        double start = now_ns();
        for (int i = 0; i < calls; i++)
            call();
        batch[k] = (now_ns() - start) / calls;
    }
    qsort(batch, BATCHES, sizeof *batch, ascending);
    return batch[BATCHES / 2];
}

static void *measure_thread(void *arg)
{
    check(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    *(double *)arg = median_ns(pair);
    return NULL;
}

static double two_threads(void)
{
    pthread_t thread[2];
    double ns[2];

    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, measure_thread, &ns[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    return (ns[0] + ns[1]) / 2;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "small";
    long live = argc > 2 ? atol(argv[2]) : 1000;
    CUdevice device;
    CUdeviceptr p;
    double ns;

    check(cuInit(0), "cuInit");
    check(cuDeviceGet(&device, 0), "cuDeviceGet");
    check(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    check(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    for (long i = 0; i < live; i++)
        check(cuMemAlloc(&p, 4096), "cuMemAlloc");
    check(cuMemAlloc(&a, 4 << 20), "cuMemAlloc");
    check(cuMemAlloc(&b, 4 << 20), "cuMemAlloc");

    if (strcmp(what, "large") == 0 || strcmp(what, "redirected") == 0)
        size = 2 << 20;
    find_kernel();
    if (strstr(what, "copy"))
        ns = median_ns(copy);
    else if (strcmp(what, "launch") == 0)
        ns = median_ns(launch);
    else if (strstr(what, "query"))
        ns = median_ns(query);
    else if (strcmp(what, "threads") == 0)
        ns = two_threads();
    else
        ns = median_ns(pair);
    printf("%.2f\n", ns);
    return 0;
}
