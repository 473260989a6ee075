/* host.h: what the hosts share.
 *
 * A host is a small, unmodified CUDA program. All it prints is the same on every card that is big
 * enough: no address, no time, no size of the card. Exit code 0: all was right; 1: something was
 * not, and the last line says what.
 *
 * All driver calls here go through a table, so that each host can fill it by an access path of its
 * own; a host that links the driver directly defines HOST_DIRECT before it includes this file.
 */
#ifndef HYBRIDMEM_TESTS_HOST_H
#define HYBRIDMEM_TESTS_HOST_H

#include "kernels.h"

#include <cuda.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* X(symbol, base name, first version that has it with its per-thread flavour, if any) */
#define HOST_API(X)                                                                                \
    X("cuInit", cuInit, 2000)                                                                      \
    X("cuDeviceGet", cuDeviceGet, 2000)                                                            \
    X("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain, 7000)                                  \
    X("cuDevicePrimaryCtxRelease_v2", cuDevicePrimaryCtxRelease, 11000)                            \
    X("cuCtxSetCurrent", cuCtxSetCurrent, 4000)                                                    \
    X("cuCtxSynchronize", cuCtxSynchronize, 2000)                                                  \
    X("cuModuleLoadData", cuModuleLoadData, 2000)                                                  \
    X("cuModuleGetFunction", cuModuleGetFunction, 2000)                                            \
    X("cuModuleUnload", cuModuleUnload, 2000)                                                      \
    X("cuLaunchKernel", cuLaunchKernel, 7000)                                                      \
    X("cuStreamCreate", cuStreamCreate, 2000)                                                      \
    X("cuStreamSynchronize", cuStreamSynchronize, 7000)                                            \
    X("cuStreamDestroy_v2", cuStreamDestroy, 4000)                                                 \
    X("cuMemAlloc_v2", cuMemAlloc, 3020)                                                           \
    X("cuMemFree_v2", cuMemFree, 3020)                                                             \
    X("cuMemcpyHtoD_v2", cuMemcpyHtoD, 7000)                                                       \
    X("cuMemcpyDtoH_v2", cuMemcpyDtoH, 7000)                                                       \
    X("cuMemcpyDtoD_v2", cuMemcpyDtoD, 7000)                                                       \
    X("cuMemcpyHtoDAsync_v2", cuMemcpyHtoDAsync, 7000)                                             \
    X("cuMemcpyDtoHAsync_v2", cuMemcpyDtoHAsync, 7000)                                             \
    X("cuMemsetD32_v2", cuMemsetD32, 7000)                                                         \
    X("cuMemsetD32Async", cuMemsetD32Async, 7000)                                                  \
    X("cuMemGetInfo_v2", cuMemGetInfo, 3020)                                                       \
    X("cuPointerGetAttribute", cuPointerGetAttribute, 4000)                                        \
    X("cuGetErrorName", cuGetErrorName, 6000)

struct host_api {
#define HOST_MEMBER(symbol, base, version) __typeof__(&base) base;
    HOST_API(HOST_MEMBER)
#undef HOST_MEMBER
};

static struct {
    const struct host_api *cu;
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction fill, copy, add, sum, spin, check;
    CUdeviceptr result; /* one u64 for sum and check */
} host;

#ifdef HOST_DIRECT
static const struct host_api host_direct = {
#define HOST_LINKED(symbol, base, version) .base = base,
    HOST_API(HOST_LINKED)
#undef HOST_LINKED
};
#endif

static inline const char *host_name(CUresult result)
{
    const char *name = NULL;

    if (host.cu->cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
        return "unknown error";
    return name;
}

static inline void host_must(CUresult result, const char *call)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s: %s\n", call, host_name(result));
    exit(1);
}
#define MUST(call) host_must((call), #call)

static inline void host_require(bool truth, const char *what)
{
    if (truth)
        return;
    printf("wrong: %s\n", what);
    exit(1);
}
#define REQUIRE(truth) host_require((truth), #truth)

/* Prints a call's result as a line of the transcript. */
static inline void host_show(const char *what, CUresult result)
{
    printf("%s: %s\n", what, host_name(result));
}

static inline void host_load_kernels(void)
{
    MUST(host.cu->cuModuleLoadData(&host.module, host_ptx));
    MUST(host.cu->cuModuleGetFunction(&host.fill, host.module, "fill"));
    MUST(host.cu->cuModuleGetFunction(&host.copy, host.module, "copy"));
    MUST(host.cu->cuModuleGetFunction(&host.add, host.module, "add"));
    MUST(host.cu->cuModuleGetFunction(&host.sum, host.module, "sum"));
    MUST(host.cu->cuModuleGetFunction(&host.spin, host.module, "spin"));
    MUST(host.cu->cuModuleGetFunction(&host.check, host.module, "check"));
    MUST(host.cu->cuMemAlloc(&host.result, sizeof(uint64_t)));
}

/* Device 0, its primary context, the kernels. */
static inline void host_open(const struct host_api *api)
{
    host.cu = api;
    setvbuf(stdout, NULL, _IOLBF, 0);
    MUST(host.cu->cuInit(0));
    MUST(host.cu->cuDeviceGet(&host.device, 0));
    MUST(host.cu->cuDevicePrimaryCtxRetain(&host.context, host.device));
    MUST(host.cu->cuCtxSetCurrent(host.context));
    host_load_kernels();
}

static inline void host_close(void)
{
    MUST(host.cu->cuMemFree(host.result));
    MUST(host.cu->cuModuleUnload(host.module));
    MUST(host.cu->cuDevicePrimaryCtxRelease(host.device));
}

static inline void host_launch(CUfunction function, CUstream stream, void **params)
{
    MUST(host.cu->cuLaunchKernel(function, 64, 1, 1, 256, 1, 1, 0, stream, params, NULL));
}

static inline void host_fill(CUdeviceptr p, uint32_t value, uint64_t words, CUstream stream)
{
    void *params[] = {&p, &value, &words};

    host_launch(host.fill, stream, params);
}

static inline void host_add(CUdeviceptr p, uint32_t value, uint64_t words, CUstream stream)
{
    void *params[] = {&p, &value, &words};

    host_launch(host.add, stream, params);
}

static inline void host_copy(CUdeviceptr dst, CUdeviceptr src, uint64_t words, CUstream stream)
{
    void *params[] = {&dst, &src, &words};

    host_launch(host.copy, stream, params);
}

static inline void host_spin(uint64_t microseconds, CUstream stream)
{
    void *params[] = {&microseconds};

    host_launch(host.spin, stream, params);
}

/* How many words differ from `value`, counted by a kernel; `result` is a device u64. */
static inline uint64_t host_mismatches(CUdeviceptr p, uint32_t value, uint64_t words,
                                       CUdeviceptr result, CUstream stream)
{
    uint64_t count = UINT64_MAX;
    void *params[] = {&p, &value, &words, &result};

    MUST(host.cu->cuMemsetD32Async(result, 0, 2, stream));
    host_launch(host.check, stream, params);
    MUST(host.cu->cuMemcpyDtoHAsync(&count, result, sizeof(count), stream));
    MUST(host.cu->cuStreamSynchronize(stream));
    return count;
}

static inline uint64_t host_sum(CUdeviceptr p, uint64_t words)
{
    uint64_t total = 0;
    void *params[] = {&p, &words, &host.result};

    MUST(host.cu->cuMemsetD32(host.result, 0, 2));
    host_launch(host.sum, NULL, params);
    MUST(host.cu->cuMemcpyDtoH(&total, host.result, sizeof(total)));
    return total;
}

/* A value for each (block, part) that no other has. */
static inline uint32_t host_value(unsigned int block, unsigned int part)
{
    return (block * 64 + part + 1) * 2654435761u;
}

#define HOST_PARTS 8

/* Writes a block in HOST_PARTS equal parts, each with a value of its own, by kernel: a byte that
 * lands at another place in the block, or in another block, is then found. */
static inline void host_fill_block(CUdeviceptr p, size_t size, unsigned int block, CUstream stream)
{
    size_t part_size = size / HOST_PARTS;

    for (unsigned int part = 0; part < HOST_PARTS; part++)
        host_fill(p + part * part_size, host_value(block, part), part_size / 4, stream);
}

static inline uint64_t host_check_block(CUdeviceptr p, size_t size, unsigned int block,
                                        CUdeviceptr result, CUstream stream)
{
    size_t part_size = size / HOST_PARTS;
    uint64_t wrong = 0;

    for (unsigned int part = 0; part < HOST_PARTS; part++)
        wrong += host_mismatches(p + part * part_size, host_value(block, part), part_size / 4,
                                 result, stream);
    return wrong;
}

/* The same by the CPU, over a copy of the whole block in `words`. */
static inline uint64_t host_check_words(const uint32_t *words, size_t size, unsigned int block)
{
    size_t part_words = size / HOST_PARTS / 4;
    uint64_t wrong = 0;

    for (size_t i = 0; i < part_words * HOST_PARTS; i++)
        wrong += words[i] != host_value(block, (unsigned int)(i / part_words));
    return wrong;
}

/* "128", "128M", "128MiB", "1G" ... ; bytes. */
static inline size_t host_size(const char *text)
{
    char *end;
    size_t value = strtoull(text, &end, 0);

    switch (*end) {
    case 'K':
        return value << 10;
    case 'M':
        return value << 20;
    case 'G':
        return value << 30;
    default:
        return value;
    }
}

#endif
