/* test_host.c: pinned host memory: allocation, registration, what the device may do with it. */
#include "sim_test.h"

static char *pages(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(p != MAP_FAILED);
    return p;
}

#define ADDRESS(p) ((CUdeviceptr)(uintptr_t)(p))

START_TEST(allocated)
{
    CUdeviceptr p;
    unsigned flags, type;
    void *host, *same;

    start();
    IS(cuMemHostAlloc(&host, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostAlloc(&host, 4096, 8), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemHostAlloc(&host, 4096, CU_MEMHOSTALLOC_PORTABLE));
    OK(cuMemHostGetDevicePointer(&p, host, 0));
    ck_assert_uint_eq(p, ADDRESS(host));
    OK(cuMemHostGetFlags(&flags, (char *)host + 9));
    ck_assert_uint_eq(flags, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    ck_assert_uint_eq(type, CU_MEMORYTYPE_HOST);
    OK(cuPointerGetAttribute(&same, CU_POINTER_ATTRIBUTE_HOST_POINTER, p));
    ck_assert_ptr_eq(same, host);
    OK(fill(p, 3, 1024, NULL));
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(((uint32_t *)host)[1023], 3);
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostUnregister(host), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    IS(cuMemFreeHost((char *)host + 512), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFreeHost(host));
    IS(cuMemFreeHost(host), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(registered)
{
    char *host = pages(65536);
    CUdeviceptr p;
    unsigned flags;

    start();
    IS(cuMemHostGetDevicePointer(&p, host, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemHostRegister(host + 100, 8000, CU_MEMHOSTREGISTER_DEVICEMAP)); /* no page boundary */
    IS(cuMemHostRegister(host, 4096, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    IS(cuMemHostRegister(host + 8000, 4096, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    OK(cuMemHostGetDevicePointer(&p, host + 104, 0));
    ck_assert_uint_eq(p, ADDRESS(host + 104));
    OK(cuMemHostGetFlags(&flags, host + 104));
    ck_assert_uint_eq(flags, CU_MEMHOSTREGISTER_DEVICEMAP);
    OK(fill(p, 3, 8, NULL));
    OK(cuCtxSynchronize());
    ck_assert_int_eq(host[104], 3);
    IS(cuMemHostUnregister(host + 200), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostUnregister(host + 20000), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    OK(cuMemHostUnregister(host + 100));
    IS(cuMemHostUnregister(host + 100), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    OK(cuMemHostRegister(host, 65536, 0));
    OK(cuMemHostUnregister(host));
}
END_TEST

START_TEST(what_cannot_be_registered)
{
    char *host = pages(3 * 4096);
    CUdeviceptr p;

    start();
    munmap(host + 4096, 4096);
    IS(cuMemHostRegister(host, 3 * 4096, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostRegister(host + 4096, 4096, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostRegister(NULL, 4096, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostRegister(host, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostRegister(host, SIZE_MAX, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemHostRegister(host, 4096, 0x10), CUDA_ERROR_INVALID_VALUE);
    p = alloc(8192);
    IS(cuMemHostRegister((void *)(uintptr_t)p, 4096, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
    mprotect(host, 4096, PROT_NONE);
    IS(cuMemHostRegister(host, 4096, 0), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* Without DEVICEMAP it is pinned, and no more. */
START_TEST(registered_without_mapping)
{
    char *host = pages(4096);
    CUdeviceptr p;

    start();
    OK(cuMemHostRegister(host, 4096, 0));
    IS(cuMemHostGetDevicePointer(&p, host, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD8(ADDRESS(host), 1, 4), CUDA_ERROR_INVALID_VALUE);
    p = alloc(4096);
    OK(cuMemcpyHtoD(p, host, 4096)); /* as a host address it serves */
    OK(cuMemFree(p));
    OK(cuMemHostUnregister(host));
}
END_TEST

START_TEST(portable_or_not)
{
    char *mine = pages(4096), *everyones = pages(4096);
    CUcontext second;
    CUdeviceptr p;

    start();
    OK(cuMemHostRegister(mine, 4096, CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(cuMemHostRegister(everyones, 4096,
                         CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE));
    OK(cuCtxCreate(&second, NULL, 0, 0));
    IS(cuMemHostGetDevicePointer(&p, mine, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD8(ADDRESS(mine), 1, 4), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemHostGetDevicePointer(&p, everyones, 0));
    OK(cuMemsetD8(p, 1, 4));
    OK(cuCtxDestroy(second));
    OK(cuMemHostUnregister(mine));
    OK(cuMemHostUnregister(everyones));
}
END_TEST

START_TEST(a_context_takes_its_pinned_memory_along)
{
    char *host = pages(4096);
    CUcontext second;
    void *pinned;
    unsigned flags;

    start();
    OK(cuCtxCreate(&second, NULL, 0, 0));
    OK(cuMemHostRegister(host, 4096, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(cuMemAllocHost(&pinned, 4096));
    OK(cuCtxDestroy(second));
    OK(cuCtxSetCurrent(test.context));
    IS(cuMemHostUnregister(host), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    IS(cuMemHostGetFlags(&flags, pinned), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* SIMCUDA_HOST_POINTER=0: registered memory has another address on the device. */
START_TEST(two_addresses)
{
    char *host = pages(8192);
    CUdeviceptr p, back;
    void *there, *pinned;
    int same;

    setenv("SIMCUDA_HOST_POINTER", "0", 1);
    start();
    OK(cuDeviceGetAttribute(&same, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 0));
    ck_assert_int_eq(same, 0);
    OK(cuMemHostRegister(host, 8192, CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(cuMemHostGetDevicePointer(&p, host + 16, 0));
    ck_assert_uint_ne(p, ADDRESS(host + 16));
    OK(fill(p, 6, 4, NULL));
    OK(cuCtxSynchronize());
    ck_assert_int_eq(host[16], 6);
    IS(cuMemsetD8(ADDRESS(host), 1, 4), CUDA_ERROR_INVALID_VALUE);
    OK(cuPointerGetAttribute(&there, CU_POINTER_ATTRIBUTE_HOST_POINTER, p));
    ck_assert_ptr_eq(there, host + 16);
    OK(cuPointerGetAttribute(&back, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, ADDRESS(host + 16)));
    ck_assert_uint_eq(back, p);
    OK(cuMemHostUnregister(host));
    IS(cuMemsetD8(p, 1, 4), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemHostAlloc(&pinned, 4096, CU_MEMHOSTALLOC_DEVICEMAP)); /* these agree all the same */
    OK(cuMemHostGetDevicePointer(&p, pinned, 0));
    ck_assert_uint_eq(p, ADDRESS(pinned));
    OK(cuMemFreeHost(pinned));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("host memory");

    tcase_add_test(tcase, allocated);
    tcase_add_test(tcase, registered);
    tcase_add_test(tcase, what_cannot_be_registered);
    tcase_add_test(tcase, registered_without_mapping);
    tcase_add_test(tcase, portable_or_not);
    tcase_add_test(tcase, a_context_takes_its_pinned_memory_along);
    tcase_add_test(tcase, two_addresses);
    return tcase;
}

int main(void)
{
    return run_suite("host memory", cases);
}
