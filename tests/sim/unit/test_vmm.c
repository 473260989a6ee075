/* test_vmm.c: reserved addresses, physical memory, mappings, access. */
#include "sim_test.h"

#define GRAIN (2 * MIB)

static const CUmemAllocationProp on_device = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                              .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
static const CUmemAllocationProp on_host = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                            .location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0}};

static CUdeviceptr reserve(size_t bytes)
{
    CUdeviceptr p = 0;

    OK(cuMemAddressReserve(&p, bytes, 0, 0, 0));
    ck_assert_uint_eq(p % GRAIN, 0);
    return p;
}

static CUmemGenericAllocationHandle create(size_t bytes, const CUmemAllocationProp *prop)
{
    CUmemGenericAllocationHandle handle = 0;

    OK(cuMemCreate(&handle, bytes, prop, 0));
    return handle;
}

static CUresult grant(CUdeviceptr p, size_t bytes, CUmemLocationType type, CUmemAccess_flags flags)
{
    const CUmemAccessDesc desc = {{type, 0}, flags};

    return cuMemSetAccess(p, bytes, &desc, 1);
}

static CUresult grant_device(CUdeviceptr p, size_t bytes)
{
    return grant(p, bytes, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
}

/* One block behind one reservation, as a host allocates. */
static CUdeviceptr block(size_t bytes, const CUmemAllocationProp *prop)
{
    CUmemGenericAllocationHandle handle = create(bytes, prop);
    CUdeviceptr p = reserve(bytes);

    OK(cuMemMap(p, bytes, 0, handle, 0));
    OK(grant_device(p, bytes));
    OK(cuMemRelease(handle)); /* the mapping keeps it */
    return p;
}

static void unblock(CUdeviceptr p, size_t bytes)
{
    OK(cuMemUnmap(p, bytes));
    OK(cuMemAddressFree(p, bytes));
}

START_TEST(counted_from_create_to_the_end)
{
    CUmemGenericAllocationHandle handle, again;
    size_t before, granularity;
    CUdeviceptr p;

    setenv("SIMCUDA_VRAM", "8MiB", 1);
    start();
    before = free_bytes();
    OK(cuMemGetAllocationGranularity(&granularity, &on_device, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    ck_assert_uint_eq(granularity, GRAIN);
    handle = create(3 * GRAIN, &on_device);
    ck_assert_uint_eq(free_bytes(), before - 3 * GRAIN);
    IS(cuMemCreate(&again, 2 * GRAIN, &on_device, 0), CUDA_ERROR_OUT_OF_MEMORY);
    p = reserve(3 * GRAIN);
    OK(cuMemMap(p, 3 * GRAIN, 0, handle, 0));
    OK(cuMemRelease(handle));
    IS(cuMemRelease(handle), CUDA_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(free_bytes(), before - 3 * GRAIN); /* mapped: it stays */
    OK(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(p + GRAIN + 5)));
    ck_assert_uint_eq(again, handle);
    OK(cuMemUnmap(p, 3 * GRAIN));
    ck_assert_uint_eq(free_bytes(), before - 3 * GRAIN); /* referred to: it stays */
    OK(cuMemRelease(again));
    ck_assert_uint_eq(free_bytes(), before);
    OK(cuMemAddressFree(p, 3 * GRAIN));
}
END_TEST

START_TEST(used_like_any_memory)
{
    CUdeviceptr p, q;

    start();
    p = block(GRAIN, &on_device);
    q = alloc(GRAIN);
    OK(fill(p, 3, GRAIN / 4, NULL));
    OK(cuMemcpyDtoD(q, p, GRAIN));
    ck_assert_uint_eq(wrong_words(q, 3, GRAIN / 4), 0);
    OK(cuMemsetD32(p + 4096, 4, 1024));
    ck_assert_uint_eq(wrong_words(p + 4096, 4, 1024), 0);
    IS(cuMemsetD32(p + GRAIN - 4, 4, 2), CUDA_ERROR_INVALID_VALUE); /* past the end */
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemFreeAsync(p, NULL), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(q));
    unblock(p, GRAIN);
    IS(cuMemsetD32(p, 4, 1), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* As PyTorch's expandable segments: blocks side by side are one piece of memory. */
START_TEST(neighbours_are_one_piece)
{
    CUmemGenericAllocationHandle handles[3];
    CUdeviceptr p, copy;

    start();
    p = reserve(16 * GRAIN);
    for (size_t i = 0; i < 3; i++) {
        handles[i] = create(GRAIN, &on_device);
        OK(cuMemMap(p + i * GRAIN, GRAIN, 0, handles[i], 0));
    }
    OK(grant_device(p, 3 * GRAIN));
    OK(fill(p, 6, 3 * GRAIN / 4, NULL));
    copy = alloc(2 * GRAIN);
    OK(cuMemcpyDtoD(copy, p + GRAIN / 2, 2 * GRAIN));
    ck_assert_uint_eq(wrong_words(copy, 6, 2 * GRAIN / 4), 0);
    IS(cuMemcpyDtoD(copy, p + 2 * GRAIN, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE); /* a hole */
    OK(cuMemUnmap(p + GRAIN, GRAIN));                                           /* the middle one */
    IS(cuMemcpyDtoD(copy, p, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemUnmap(p, 3 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemMap(p + GRAIN, GRAIN, 0, handles[1], 0));
    IS(cuMemcpyDtoD(copy, p, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE); /* not granted again */
    OK(grant_device(p + GRAIN, GRAIN));
    ck_assert_uint_eq(wrong_words(p, 6, 3 * GRAIN / 4), 0); /* the same memory as before */
    IS(cuMemUnmap(p, GRAIN / 2), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemUnmap(p + GRAIN / 2, GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAddressFree(p, 16 * GRAIN), CUDA_ERROR_INVALID_VALUE); /* mapped still */
    OK(cuMemUnmap(p, 3 * GRAIN));                                  /* all at once */
    IS(cuMemAddressFree(p, 8 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAddressFree(p, 16 * GRAIN));
    for (size_t i = 0; i < 3; i++)
        OK(cuMemRelease(handles[i]));
    OK(cuMemFree(copy));
}
END_TEST

START_TEST(the_same_memory_twice)
{
    CUmemGenericAllocationHandle handle;
    CUdeviceptr p;

    start();
    p = reserve(4 * GRAIN);
    handle = create(2 * GRAIN, &on_device);
    OK(cuMemMap(p, 2 * GRAIN, 0, handle, 0));
    OK(cuMemMap(p + 2 * GRAIN, GRAIN, 0, handle, 0)); /* a part of it */
    OK(grant_device(p, 3 * GRAIN));
    OK(fill(p, 1, 2 * GRAIN / 4, NULL));
    OK(fill(p + 2 * GRAIN, 8, GRAIN / 4, NULL));
    ck_assert_uint_eq(wrong_words(p, 8, GRAIN / 4), 0);
    ck_assert_uint_eq(wrong_words(p + GRAIN, 1, GRAIN / 4), 0);
    OK(cuMemUnmap(p, 2 * GRAIN));
    ck_assert_uint_eq(wrong_words(p + 2 * GRAIN, 8, GRAIN / 4), 0);
    OK(cuMemUnmap(p + 2 * GRAIN, GRAIN));
    OK(cuMemRelease(handle));
    OK(cuMemAddressFree(p, 4 * GRAIN));
}
END_TEST

static void expect_illegal(const char *report)
{
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert_msg(strstr(slurp(report), "is not mapped for this context") != NULL, "not reported");
}

/* 0: nothing granted; 1: reading granted and read; 2: reading granted and written. */
START_TEST(access_is_what_was_granted)
{
    const char *report = scratch("SIMCUDA_REPORT");
    CUmemGenericAllocationHandle handle;
    unsigned long long flags;
    CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUdeviceptr p, q;

    start();
    q = alloc(GRAIN);
    p = reserve(GRAIN);
    handle = create(GRAIN, &on_device);
    OK(cuMemMap(p, GRAIN, 0, handle, 0));
    OK(cuMemGetAccess(&flags, &location, p));
    ck_assert_uint_eq(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    IS(cuMemcpyDtoD(q, p, GRAIN), CUDA_ERROR_INVALID_VALUE);
    if (_i)
        OK(grant(p, GRAIN, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEM_ACCESS_FLAGS_PROT_READ));
    OK(cuMemGetAccess(&flags, &location, p));
    ck_assert_uint_eq(flags, _i ? CU_MEM_ACCESS_FLAGS_PROT_READ : CU_MEM_ACCESS_FLAGS_PROT_NONE);
    IS(cuMemcpyDtoD(q, p, GRAIN), _i ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyDtoD(p, q, GRAIN), CUDA_ERROR_INVALID_VALUE);
    if (_i == 1) {
        uint64_t words = GRAIN / 4;

        OK(launch(test.copy, NULL, (void *[]){&q, &p, &words}));
        OK(cuCtxSynchronize());
    } else {
        OK(fill(p, 1, 4, NULL));
        expect_illegal(report);
    }
}
END_TEST

START_TEST(memory_of_the_host)
{
    CUmemLocation host = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
    unsigned long long flags;
    size_t before;
    CUdeviceptr p;
    unsigned type;
    int can;

    start();
    OK(cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
                            0));
    ck_assert_int_eq(can, 1);
    before = free_bytes();
    p = block(GRAIN, &on_host);
    ck_assert_uint_eq(free_bytes(), before);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    ck_assert_uint_eq(type, CU_MEMORYTYPE_HOST);
    OK(fill(p, 2, GRAIN / 4, NULL));
    OK(cuCtxSynchronize());
    OK(grant(p, GRAIN, CU_MEM_LOCATION_TYPE_HOST_NUMA, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    OK(cuMemGetAccess(&flags, &host, p));
    ck_assert_uint_eq(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    ck_assert_uint_eq(((uint32_t *)(uintptr_t)p)[GRAIN / 4 - 1], 2);
    *(uint32_t *)(uintptr_t)p = 77;
    ck_assert_uint_eq(wrong_words(p, 77, 1), 0);
    unblock(p, GRAIN);
    p = block(GRAIN, &on_device); /* the device's own is not for the CPU */
    IS(grant(p, GRAIN, CU_MEM_LOCATION_TYPE_HOST_NUMA, CU_MEM_ACCESS_FLAGS_PROT_READWRITE),
       CUDA_ERROR_INVALID_VALUE);
    unblock(p, GRAIN);
}
END_TEST

static CUdeviceptr victim;
static void touch(void)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)(uintptr_t)victim = 1;
}

/* Device memory; host memory before the CPU got access; after it lost it again. */
START_TEST(the_cpu_faults)
{
    int status;

    start();
    victim = block(GRAIN, _i ? &on_host : &on_device);
    if (_i == 2) {
        OK(grant(victim, GRAIN, CU_MEM_LOCATION_TYPE_HOST_NUMA,
                 CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
        *(volatile char *)(uintptr_t)victim = 1;
        OK(grant(victim, GRAIN, CU_MEM_LOCATION_TYPE_HOST_NUMA, CU_MEM_ACCESS_FLAGS_PROT_NONE));
    }
    status = child(touch);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    unblock(victim, GRAIN);
}
END_TEST

START_TEST(what_is_refused)
{
    CUmemGenericAllocationHandle handle, other;
    CUmemAllocationProp prop = on_device;
    CUdeviceptr p;
    size_t granularity;

    start();
    IS(cuMemCreate(&handle, GRAIN / 2, &prop, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemCreate(&handle, 0, &prop, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemCreate(&handle, GRAIN, &prop, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemCreate(&handle, GRAIN, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    prop.location.id = 3;
    IS(cuMemCreate(&handle, GRAIN, &prop, 0), CUDA_ERROR_INVALID_DEVICE);
    prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, 0};
    IS(cuMemCreate(&handle, GRAIN, &prop, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemGetAllocationGranularity(&granularity, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
       CUDA_ERROR_INVALID_VALUE);
    prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    IS(cuMemCreate(&handle, GRAIN, &prop, 0),
       CUDA_ERROR_INVALID_VALUE); /* not for other processes */
    IS(cuMemAddressReserve(&p, 1000, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAddressReserve(&p, GRAIN, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAddressReserve(&p, GRAIN, 0, 0, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAddressReserve(&p, SIZE_MAX / 4096 * 4096, 0, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    p = reserve(4 * GRAIN);
    handle = create(2 * GRAIN, &on_device);
    IS(cuMemMap(p, 4 * GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE); /* more than there is */
    IS(cuMemMap(p, GRAIN, GRAIN, handle, 0), CUDA_ERROR_INVALID_VALUE); /* offset */
    IS(cuMemMap(p + 4096, GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemMap(p + 3 * GRAIN, 2 * GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemMap(p, GRAIN, 0, 4711, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemMap(p, 2 * GRAIN, 0, handle, 0));
    IS(cuMemMap(p + GRAIN, GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE); /* taken */
    IS(grant_device(p, GRAIN), CUDA_ERROR_INVALID_VALUE);                   /* a part */
    IS(grant_device(p, 3 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(grant_device(p + GRAIN, GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemUnmap(p + GRAIN, GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemSetAccess(p, 2 * GRAIN, NULL, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemRetainAllocationHandle(&other, (void *)(uintptr_t)(p + 2 * GRAIN)),
       CUDA_ERROR_INVALID_VALUE);
    OK(cuMemUnmap(p, 2 * GRAIN));
    IS(cuMemUnmap(p, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemRelease(handle));
    OK(cuMemAddressFree(p, 4 * GRAIN));
    IS(cuMemAddressFree(p, 4 * GRAIN), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

#define RESERVATIONS 90

static void reserve_apart(CUdeviceptr *p, size_t *bytes, size_t i, size_t alignment)
{
    bytes[i] = GRAIN + i * 4096;
    OK(cuMemAddressReserve(&p[i], bytes[i], alignment, 0, 0));
    ck_assert_uint_eq(p[i] % alignment, 0);
    for (size_t k = 0; k < RESERVATIONS; k++)
        ck_assert(k == i || !p[k] || p[i] >= p[k] + bytes[k] || p[k] >= p[i] + bytes[i]);
}

START_TEST(reservations_are_aligned)
{
    CUdeviceptr p[RESERVATIONS] = {0};
    size_t bytes[RESERVATIONS];

    start();
    for (size_t i = 0; i < RESERVATIONS; i++) {
        reserve_apart(p, bytes, i, (size_t)64 << 20);
        if (i % 3 == 2) { /* places that may be had again */
            for (size_t k = i - 2; k < i; k++) {
                OK(cuMemAddressFree(p[k], bytes[k]));
                p[k] = 0;
            }
            reserve_apart(p, bytes, i - 1, GRAIN);
            reserve_apart(p, bytes, i - 2, GRAIN);
        }
    }
    for (size_t i = 0; i < RESERVATIONS; i++)
        OK(cuMemAddressFree(p[i], bytes[i]));
}
END_TEST

START_TEST(queries)
{
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp prop = on_device, got;
    CUipcMemHandle ipc;
    CUcontext context = test.context;
    CUdeviceptr p, base;
    unsigned mapped = 7, type;
    size_t size;

    start();
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    prop.allocFlags.compressionType = 1;
    p = reserve(8 * GRAIN);
    handle = create(2 * GRAIN, &prop);
    OK(cuMemGetAllocationPropertiesFromHandle(&got, handle));
    ck_assert_int_eq(got.location.type, CU_MEM_LOCATION_TYPE_DEVICE);
    ck_assert_int_eq(got.requestedHandleTypes, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    ck_assert_int_eq(got.allocFlags.compressionType, 0); /* asked for, and not to be had */
    OK(cuMemMap(p + GRAIN, 2 * GRAIN, 0, handle, 0));
    OK(grant_device(p + GRAIN, 2 * GRAIN));
    OK(cuMemGetAddressRange(&base, &size, p + 2 * GRAIN));
    ck_assert_uint_eq(base, p + GRAIN);
    ck_assert_uint_eq(size, 2 * GRAIN);
    OK(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + 2 * GRAIN));
    ck_assert_uint_eq(base, p);
    OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 2 * GRAIN));
    ck_assert_uint_eq(size, 8 * GRAIN);
    OK(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR, p + 2 * GRAIN));
    ck_assert_uint_eq(base, p + GRAIN);
    OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_MAPPING_SIZE, p + 2 * GRAIN));
    ck_assert_uint_eq(size, 2 * GRAIN);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + GRAIN));
    ck_assert_uint_eq(type, CU_MEMORYTYPE_DEVICE);
    OK(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, p + GRAIN));
    ck_assert_ptr_null(context);
    OK(cuPointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, p + GRAIN));
    ck_assert_uint_eq(mapped, 1);
    OK(cuPointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, p)); /* reserved only */
    ck_assert_uint_eq(mapped, 0);
    IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemGetAddressRange(&base, &size, p), CUDA_ERROR_NOT_FOUND);
    IS(cuIpcGetMemHandle(&ipc, p + GRAIN), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemUnmap(p + GRAIN, 2 * GRAIN));
    OK(cuMemRelease(handle));
    OK(cuMemAddressFree(p, 8 * GRAIN));
}
END_TEST

START_TEST(handed_over_as_a_descriptor)
{
    CUmemGenericAllocationHandle handle, other;
    CUmemAllocationProp prop = on_device;
    size_t before;
    int fd = -1;

    start();
    before = free_bytes();
    handle = create(GRAIN, &prop);
    IS(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
       CUDA_ERROR_INVALID_VALUE); /* was not asked for */
    OK(cuMemRelease(handle));
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    handle = create(GRAIN, &prop);
    OK(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    OK(cuMemImportFromShareableHandle(&other, (void *)(intptr_t)fd,
                                      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    OK(cuMemRelease(handle));
    ck_assert_uint_eq(free_bytes(), before - GRAIN);
    OK(cuMemRelease(other));
    ck_assert_uint_eq(free_bytes(), before);
    IS(cuMemImportFromShareableHandle(&other, (void *)(intptr_t)fd,
                                      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
       CUDA_ERROR_INVALID_VALUE);
    close(fd);
    IS(cuMemImportFromShareableHandle(&other, (void *)(intptr_t)fd,
                                      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
       CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(unmapped_while_in_use)
{
    const char *report = scratch("SIMCUDA_REPORT");
    CUstream stream;
    CUdeviceptr p;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    p = block(GRAIN, &on_device);
    OK(spin(50000, stream));
    OK(fill(p, 1, GRAIN / 4, stream));
    OK(cuMemUnmap(p, GRAIN));
    ck_assert_msg(strstr(slurp(report), "cuMemUnmap: d1 is still used") != NULL, "not reported");
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

static void leave_one_behind(void)
{
    start();
    block(GRAIN, &on_device);
    block(2 * GRAIN, &on_host);
}

START_TEST(leaks_are_reported)
{
    const char *report = scratch("SIMCUDA_REPORT"), *text;

    ck_assert_int_eq(child(leave_one_behind), 0);
    text = slurp(report);
    ck_assert(strstr(text, "leak: x1: 2097152 bytes on device 0, by cuMemCreate\n"));
    ck_assert(strstr(text, "leak: x2: 4194304 bytes of host memory, by cuMemCreate\n"));
    ck_assert(strstr(text, "leaks: 2 blocks, 6291456 bytes\n"));
}
END_TEST

/* SIMCUDA_HOST_NUMA: coarser than the device's memory, or none at all. */
START_TEST(another_granularity)
{
    CUmemGenericAllocationHandle handle;
    CUdeviceptr p;
    size_t grain;
    int can;

    setenv("SIMCUDA_HOST_NUMA", _i ? "0" : "4MiB", 1);
    start();
    OK(cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
                            0));
    ck_assert_int_eq(can, !_i);
    if (_i) {
        IS(cuMemCreate(&handle, GRAIN, &on_host, 0), CUDA_ERROR_NOT_SUPPORTED);
        IS(cuMemGetAllocationGranularity(&grain, &on_host, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
           CUDA_ERROR_NOT_SUPPORTED);
        return;
    }
    OK(cuMemGetAllocationGranularity(&grain, &on_host, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    ck_assert_uint_eq(grain, 2 * GRAIN);
    IS(cuMemCreate(&handle, GRAIN, &on_host, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAddressReserve(&p, 4 * GRAIN, 2 * GRAIN, 0, 0));
    handle = create(2 * GRAIN, &on_host);
    IS(cuMemMap(p + GRAIN, 2 * GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemMap(p, GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemMap(p, 2 * GRAIN, 0, handle, 0));
    OK(cuMemUnmap(p, 2 * GRAIN));
    OK(cuMemRelease(handle));
    OK(cuMemAddressFree(p, 4 * GRAIN));
}
END_TEST

START_TEST(the_context_may_go)
{
    CUdeviceptr p;

    start();
    p = block(GRAIN, &on_device);
    OK(fill(p, 5, GRAIN / 4, NULL));
    OK(cuDevicePrimaryCtxReset(0));
    OK(cuDevicePrimaryCtxRetain(&test.context, 0));
    ck_assert_uint_eq(wrong_words(p, 5, GRAIN / 4), 0); /* of the process, not of the context */
    unblock(p, GRAIN);
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("vmm");

    tcase_add_test(tcase, counted_from_create_to_the_end);
    tcase_add_test(tcase, used_like_any_memory);
    tcase_add_test(tcase, neighbours_are_one_piece);
    tcase_add_test(tcase, the_same_memory_twice);
    tcase_add_loop_test(tcase, access_is_what_was_granted, 0, 3);
    tcase_add_test(tcase, memory_of_the_host);
    tcase_add_loop_test(tcase, the_cpu_faults, 0, 3);
    tcase_add_test(tcase, what_is_refused);
    tcase_add_test(tcase, reservations_are_aligned);
    tcase_add_test(tcase, queries);
    tcase_add_test(tcase, handed_over_as_a_descriptor);
    tcase_add_test(tcase, unmapped_while_in_use);
    tcase_add_test(tcase, leaks_are_reported);
    tcase_add_loop_test(tcase, another_granularity, 0, 2);
    tcase_add_test(tcase, the_context_may_go);
    return tcase;
}

int main(void)
{
    return run_suite("vmm", cases);
}
