/* conform_host.c: page-locked and registered host memory; how much memory there is. Source of the
 * rules: CUDA driver API, "Memory Management", "Device Management". */
#define CONF_GROUP "host"
#include "conform.h"

#include <sys/mman.h>

static const struct {
    const char *name;
    unsigned flags;
} host_flags[] = {
    {"none", 0},
    {"portable", CU_MEMHOSTALLOC_PORTABLE},
    {"devicemap", CU_MEMHOSTALLOC_DEVICEMAP},
    {"writecombined", CU_MEMHOSTALLOC_WRITECOMBINED},
    {"all", CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED},
};
CASES(alloc, host_flags, "cuMemHostAlloc: page-locked memory that the device reaches by address")
{
    CUdeviceptr p = 0;
    uint32_t *words = NULL;
    unsigned flags = 0;

    MUST(cu.MemHostAlloc((void **)&words, MIB, row->flags));
    for (size_t i = 0; i < MIB / 4; i++)
        words[i] = 1;
    MUST(cu.MemHostGetDevicePointer(&p, words, 0));
    if (!(row->flags & CU_MEMHOSTALLOC_WRITECOMBINED))
        EQUAL(p, (uintptr_t)words); /* unified addressing */
    conf_add(p, 2, MIB / 4, NULL);
    MUST(cu.CtxSynchronize());
    CHECK(words[0] == 3 && words[MIB / 4 - 1] == 3);
    MUST(cu.MemHostGetFlags(&flags, words));
    CHECK((flags & row->flags) == row->flags);
    NOTE("flags %u", flags);
    MUST(cu.MemFreeHost(words));
}

CASE(alloc_refused, "cuMemHostAlloc: no bytes, unknown flags and NULL are refused")
{
    void *p = NULL;

    SAW(cu.MemHostAlloc(&p, 0, 0));
    IS(cu.MemHostAlloc(&p, 4096, 0x80000000), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemHostAlloc(NULL, 4096, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAllocHost(NULL, 4096), CUDA_ERROR_INVALID_VALUE);
}

CASE(alloc_beyond, "cuMemHostAlloc, cuMemAllocHost: what no memory can hold is refused")
{
    void *p = NULL;

    REFUSED(cu.MemHostAlloc(&p, (size_t)1 << 60, 0));
    REFUSED(cu.MemAllocHost(&p, SIZE_MAX));
    CHECK(p == NULL);
}

CASE(alloc_simple, "cuMemAllocHost: page-locked memory; cuMemFreeHost frees it once")
{
    void *p = NULL;

    MUST(cu.MemAllocHost(&p, 10000));
    memset(p, 1, 10000);
    MUST(cu.MemFreeHost(p));
    REFUSED(cu.MemFreeHost(p));
}

CASE(free_foreign, "cuMemFreeHost: of what it did not allocate is refused")
{
    void *pageable = conf_memory(8192), *pinned = NULL;

    REFUSED(cu.MemFreeHost(pageable));
    memset(pageable, 1, 8192);
    free(pageable);
    MUST(cu.MemHostAlloc(&pinned, 8192, 0));
    REFUSED(cu.MemFreeHost((char *)pinned + 4096));
    MUST(cu.MemFreeHost(pinned));
}

CASE(flags_of_pageable, "cuMemHostGetFlags: of pageable memory is CUDA_ERROR_INVALID_VALUE")
{
    unsigned flags = 0;
    int here = 0;

    IS(cu.MemHostGetFlags(&flags, &here), CUDA_ERROR_INVALID_VALUE);
}

CASE(flags_inside, "cuMemHostGetFlags: inside page-locked memory")
{
    char *pinned = NULL;
    unsigned flags = 0;

    MUST(cu.MemHostAlloc((void **)&pinned, 8192, CU_MEMHOSTALLOC_PORTABLE));
    SAW(cu.MemHostGetFlags(&flags, pinned + 5000));
    MUST(cu.MemFreeHost(pinned));
}

CASE(pointer_flags, "cuMemHostGetDevicePointer: its Flags must be 0")
{
    CUdeviceptr p = 0;
    void *pinned = NULL;

    MUST(cu.MemHostAlloc(&pinned, 8192, CU_MEMHOSTALLOC_DEVICEMAP));
    IS(cu.MemHostGetDevicePointer(&p, pinned, 1), CUDA_ERROR_INVALID_VALUE);
    MUST(cu.MemHostGetDevicePointer(&p, (char *)pinned + 4097, 0));
    EQUAL(p, (uintptr_t)pinned + 4097);
    MUST(cu.MemFreeHost(pinned));
}

/* --- cuMemHostRegister --------------------------------------------------------------------------
 */

static void *pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    memset(p, 0, bytes);
    return p;
}

static const struct {
    const char *name;
    size_t offset, bytes;
} host_ranges[] = {{"pages", 0, MIB}, {"odd start", 100, 70000}, {"one byte", 4095, 1}};
CASES(registered, host_ranges, "cuMemHostRegister: any range of the host's own memory")
{
    char *p = pages(MIB);
    CUdeviceptr d = 0;

    MUST(cu.MemHostRegister(p + row->offset, row->bytes, CU_MEMHOSTREGISTER_DEVICEMAP));
    MUST(cu.MemHostGetDevicePointer(&d, p + row->offset, 0));
    MUST(cu.MemsetD8(d, 9, row->bytes));
    MUST(cu.CtxSynchronize());
    CHECK(p[row->offset] == 9 && p[row->offset + row->bytes - 1] == 9);
    CHECK(row->offset == 0 || p[row->offset - 1] == 0);
    MUST(cu.MemHostUnregister(p + row->offset));
    munmap(p, MIB);
}

CASE(register_twice, "cuMemHostRegister: HOST_MEMORY_ALREADY_REGISTERED")
{
    char *p = pages(MIB);

    MUST(cu.MemHostRegister(p, MIB, 0));
    IS(cu.MemHostRegister(p, MIB, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    IS(cu.MemHostRegister(p + 4096, 4096, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    MUST(cu.MemHostUnregister(p));
    MUST(cu.MemHostRegister(p, MIB, 0));
    MUST(cu.MemHostUnregister(p));
    munmap(p, MIB);
}

CASE(unregister_what, "cuMemHostUnregister: HOST_MEMORY_NOT_REGISTERED")
{
    char *p = pages(MIB);
    void *pinned = NULL;

    IS(cu.MemHostUnregister(p), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    MUST(cu.MemHostRegister(p, MIB, 0));
    REFUSED(cu.MemHostUnregister(p + 4096));
    MUST(cu.MemHostUnregister(p));
    IS(cu.MemHostUnregister(p), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    MUST(cu.MemHostAlloc(&pinned, 4096, 0));
    REFUSED(cu.MemHostUnregister(pinned));
    MUST(cu.MemFreeHost(pinned));
    munmap(p, MIB);
}

CASE(register_refused, "cuMemHostRegister: NULL, no bytes and unknown flags are INVALID_VALUE")
{
    char *p = pages(MIB);

    IS(cu.MemHostRegister(NULL, MIB, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemHostRegister(p, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemHostRegister(p, MIB, 0x80000000), CUDA_ERROR_INVALID_VALUE);
    munmap(p, MIB);
}

CASE(register_not_free, "cuMemFreeHost: of registered memory is refused")
{
    char *p = pages(MIB);

    MUST(cu.MemHostRegister(p, MIB, 0));
    REFUSED(cu.MemFreeHost(p));
    MUST(cu.MemHostUnregister(p));
    munmap(p, MIB);
}

/* --- how much -----------------------------------------------------------------------------------
 */

CASE(info, "cuMemGetInfo: free is at most total, and more than 0 on a card with room")
{
    size_t left = 0, total = 0;

    MUST(cu.MemGetInfo(&left, &total));
    CHECK(left > 0 && left <= total);
}

static const struct {
    const char *name;
    size_t bytes;
} info_sizes[] = {{"2MiB", 2 * MIB}, {"16MiB", 16 * MIB}, {"64MiB", 64 * MIB}};
CASES(info_moves, info_sizes, "cuMemGetInfo: an allocation takes from free what a free gives back")
{
    size_t before, during, after, total, total_during;
    CUdeviceptr p;

    MUST(cu.MemGetInfo(&before, &total));
    p = conf_alloc(row->bytes);
    MUST(cu.MemGetInfo(&during, &total_during));
    EQUAL(total, total_during);
    EQUAL(before - during, row->bytes);
    conf_free(p);
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(after, before);
}

CASE(info_null, "cuMemGetInfo: a NULL result")
{
    size_t left = 0, total = 0;

    SAW(cu.MemGetInfo(NULL, &total));
    SAW(cu.MemGetInfo(&left, NULL));
    SAW(cu.MemGetInfo(NULL, NULL));
}

CASE(info_no_context, "cuMemGetInfo: without a current context, CUDA_ERROR_INVALID_CONTEXT")
{
    size_t left = 0, total = 0;

    MUST(cu.CtxSetCurrent(NULL));
    IS(cu.MemGetInfo(&left, &total), CUDA_ERROR_INVALID_CONTEXT);
    MUST(cu.CtxSetCurrent(conf.context));
}

CASE(info_per_device, "cuMemGetInfo: of the current context's device")
{
    CUdevice second = conf_second_device();
    size_t before, after, total, bytes = 0;
    CUcontext other = NULL;
    CUdeviceptr p;

    MUST(cu.DevicePrimaryCtxRetain(&other, second));
    MUST(cu.CtxSetCurrent(other));
    MUST(cu.MemGetInfo(&before, &total));
    MUST(cu.DeviceTotalMem(&bytes, second));
    NOTE("%s", bytes == total ? "the same total" : "not the same total");
    p = conf_alloc(16 * MIB);
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(before - after, 16 * MIB);
    MUST(cu.CtxSetCurrent(conf.context));
    conf_free(p); /* of the other device */
    MUST(cu.CtxSetCurrent(other));
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(before, after);
    MUST(cu.CtxSetCurrent(conf.context));
    MUST(cu.DevicePrimaryCtxRelease(second));
}

CASE(total, "cuDeviceTotalMem: the same total as cuMemGetInfo's, context or not")
{
    size_t bytes = 0, again = 0, left, total;

    MUST(cu.DeviceTotalMem(&bytes, conf.device));
    MUST(cu.MemGetInfo(&left, &total));
    NOTE("%s", bytes == total ? "the same" : "not the same");
    MUST(cu.CtxSetCurrent(NULL));
    MUST(cu.DeviceTotalMem(&again, conf.device));
    MUST(cu.CtxSetCurrent(conf.context));
    EQUAL(bytes, again);
}

CASE(total_refused, "cuDeviceTotalMem: NULL is INVALID_VALUE, no device INVALID_DEVICE")
{
    size_t bytes = 0x5a5a;

    IS(cu.DeviceTotalMem(NULL, conf.device), CUDA_ERROR_INVALID_VALUE);
    IS(cu.DeviceTotalMem(&bytes, 4711), CUDA_ERROR_INVALID_DEVICE);
    IS(cu.DeviceTotalMem(&bytes, -1), CUDA_ERROR_INVALID_DEVICE);
    EQUAL(bytes, 0x5a5a);
}

CASE_BARE(total_before_init, "cuDeviceTotalMem, cuMemGetInfo: before cuInit, NOT_INITIALIZED")
{
    size_t left = 0, total = 0;

    IS(cu.DeviceTotalMem(&total, 0), CUDA_ERROR_NOT_INITIALIZED);
    IS(cu.MemGetInfo(&left, &total), CUDA_ERROR_NOT_INITIALIZED);
}
