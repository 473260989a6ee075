/* test_memory.c: device memory: capacity, alignment, addresses, what is refused. */
#include "sim_test.h"

START_TEST(nothing_before_init)
{
    CUdeviceptr p;
    int version;

    IS(cuMemAlloc(&p, 1), CUDA_ERROR_NOT_INITIALIZED);
    OK(cuDriverGetVersion(&version));
    ck_assert_int_eq(version, 13050);
    OK(cuInit(0));
    IS(cuMemAlloc(&p, 1), CUDA_ERROR_INVALID_CONTEXT);
}
END_TEST

START_TEST(capacity_is_exact)
{
    CUdeviceptr a, b;
    size_t total;

    setenv("SIMCUDA_VRAM", "1MiB", 1);
    start();
    OK(cuDeviceTotalMem(&total, 0));
    ck_assert_uint_eq(total, MIB);
    ck_assert_uint_eq(free_bytes(), MIB);
    a = alloc(1); /* one unit of 512 bytes */
    ck_assert_uint_eq(free_bytes(), MIB - 512);
    IS(cuMemAlloc(&b, MIB - 511), CUDA_ERROR_OUT_OF_MEMORY);
    b = alloc(MIB - 512);
    ck_assert_uint_eq(free_bytes(), 0);
    OK(cuMemFree(a));
    OK(cuMemFree(b));
    ck_assert_uint_eq(free_bytes(), MIB);
    /* Holes do not matter: what is free can be had in one piece. */
    a = alloc(MIB / 2);
    b = alloc(MIB / 4);
    OK(cuMemFree(a));
    a = alloc(MIB * 3 / 4);
    OK(cuMemFree(a));
    OK(cuMemFree(b));
}
END_TEST

START_TEST(a_context_costs_what_is_set)
{
    setenv("SIMCUDA_VRAM", "8MiB", 1);
    setenv("SIMCUDA_CONTEXT", "3MiB", 1);
    start();
    ck_assert_uint_eq(free_bytes(), 5 * MIB);
}
END_TEST

START_TEST(each_device_has_its_own)
{
    CUcontext second;
    CUdeviceptr p;
    int count;

    setenv("SIMCUDA_DEVICES", "2", 1);
    setenv("SIMCUDA_VRAM", "1MiB,2MiB", 1);
    start();
    OK(cuDeviceGetCount(&count));
    ck_assert_int_eq(count, 2);
    OK(cuDevicePrimaryCtxRetain(&second, 1));
    OK(cuCtxPushCurrent(second));
    p = alloc(2 * MIB);
    OK(cuCtxPopCurrent(NULL));
    ck_assert_uint_eq(free_bytes(), MIB);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(blocks_are_aligned_and_apart)
{
    CUdeviceptr p[200];

    start();
    for (size_t i = 0; i < 200; i++) {
        p[i] = alloc(1 + i * 37);
        ck_assert_uint_eq(p[i] % 512, 0);
        for (size_t k = 0; k < i; k++)
            ck_assert(p[i] + 1 + i * 37 <= p[k] || p[k] + 1 + k * 37 <= p[i]);
        if (i % 3 == 2) {
            OK(cuMemFree(p[i - 1]));
            p[i - 1] = alloc(1 + (i - 1) * 37);
        }
    }
    for (size_t i = 0; i < 200; i++)
        OK(cuMemFree(p[i]));
}
END_TEST

static CUdeviceptr victim;

static void touch(void)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)(uintptr_t)victim = 1;
}

START_TEST(the_cpu_faults)
{
    int status;

    start();
    victim = alloc(4096);
    status = child(touch);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    OK(cuMemFree(victim));
}
END_TEST

START_TEST(what_is_refused)
{
    CUdeviceptr p = 0, q;
    size_t pitch;
    char host;

    start();
    IS(cuMemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAlloc(NULL, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAlloc(&p, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    IS(cuMemAllocPitch(&p, &pitch, 10, 10, 3), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAllocPitch(&p, &pitch, SIZE_MAX / 2, 4, 4), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemFree(0));
    IS(cuMemFree((CUdeviceptr)(uintptr_t)&host), CUDA_ERROR_INVALID_VALUE);
    p = alloc(4096);
    q = alloc(4096);
    IS(cuMemFree(p + 512), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(q));
}
END_TEST

START_TEST(rows_with_a_pitch)
{
    CUdeviceptr p;
    size_t pitch, size, before;

    start();
    before = free_bytes();
    OK(cuMemAllocPitch(&p, &pitch, 1000, 3, 4));
    ck_assert_uint_eq(pitch, 1024);
    OK(cuMemGetAddressRange(NULL, &size, p));
    ck_assert_uint_eq(size, 3 * 1024);
    ck_assert_uint_eq(before - free_bytes(), 3 * 1024);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(address_ranges)
{
    CUdeviceptr p, base;
    size_t size;

    start();
    p = alloc(1000);
    OK(cuMemGetAddressRange(&base, &size, p + 999));
    ck_assert_uint_eq(base, p);
    ck_assert_uint_eq(size, 1000);
    IS(cuMemGetAddressRange(&base, &size, p + 1000), CUDA_ERROR_NOT_FOUND);
    OK(cuMemFree(p));
    IS(cuMemGetAddressRange(&base, &size, p), CUDA_ERROR_NOT_FOUND);
}
END_TEST

/* What each attribute of a block of device memory answers; all that the header names. */
START_TEST(attributes_of_device_memory)
{
    CUdeviceptr p, address;
    CUcontext context;
    unsigned type, managed;
    unsigned long long id, next;
    size_t size;
    int ordinal;
    void *host, *pool;

    start();
    p = alloc(1000);
    OK(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, p + 1));
    ck_assert_ptr_eq(context, test.context);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 1));
    ck_assert_uint_eq(type, CU_MEMORYTYPE_DEVICE);
    OK(cuPointerGetAttribute(&address, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, p + 1));
    ck_assert_uint_eq(address, p + 1);
    IS(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, p),
       CUDA_ERROR_INVALID_VALUE);
    OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, p));
    ck_assert_uint_eq(managed, 0);
    OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
    ck_assert_int_eq(ordinal, 0);
    OK(cuPointerGetAttribute(&address, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + 9));
    ck_assert_uint_eq(address, p);
    OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 9));
    ck_assert_uint_eq(size, 1000);
    OK(cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    ck_assert_ptr_null(pool);
    OK(cuPointerGetAttribute(&id, CU_POINTER_ATTRIBUTE_BUFFER_ID, p));
    for (int attribute = 1; attribute <= 21; attribute++) {
        unsigned long long value[2] = {0, 0x1234};
        CUresult result = cuPointerGetAttribute(value, (CUpointer_attribute)attribute, p);

        if (attribute == CU_POINTER_ATTRIBUTE_HOST_POINTER)
            IS(result, CUDA_ERROR_INVALID_VALUE);
        else if (attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS)
            IS(result, CUDA_ERROR_NOT_SUPPORTED);
        else
            OK(result);
        ck_assert_uint_eq(value[1], 0x1234); /* nothing wider than 8 bytes was written */
    }
    IS(cuPointerGetAttribute(&id, (CUpointer_attribute)22, p), CUDA_ERROR_INVALID_VALUE);
    IS(cuPointerGetAttribute(&id, CU_POINTER_ATTRIBUTE_CONTEXT, p + 1000),
       CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
    p = alloc(1000);
    OK(cuPointerGetAttribute(&next, CU_POINTER_ATTRIBUTE_BUFFER_ID, p));
    ck_assert_uint_ne(id, next);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(many_attributes_at_once)
{
    CUpointer_attribute wanted[] = {CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                    CU_POINTER_ATTRIBUTE_HOST_POINTER};
    void *context = &context, *host = &host;
    unsigned type = 77;
    int ordinal = 77;
    void *data[] = {&context, &type, &ordinal, &host};
    CUdeviceptr p;

    start();
    p = alloc(1000);
    OK(cuPointerGetAttributes(4, wanted, data, p));
    ck_assert_ptr_eq(context, test.context);
    ck_assert_uint_eq(type, CU_MEMORYTYPE_DEVICE);
    ck_assert_int_eq(ordinal, 0);
    ck_assert_ptr_null(host);
    /* Unlike the single question it answers for memory that the driver does not know. */
    OK(cuPointerGetAttributes(4, wanted, data, (CUdeviceptr)(uintptr_t)&p));
    ck_assert_ptr_null(context);
    ck_assert_uint_eq(type, 0);
    ck_assert_int_eq(ordinal, CU_DEVICE_INVALID);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(ipc)
{
    CUipcMemHandle handle;
    CUdeviceptr p, q;
    char host;

    start();
    p = alloc(4096);
    OK(cuIpcGetMemHandle(&handle, p));
    IS(cuIpcGetMemHandle(&handle, (CUdeviceptr)(uintptr_t)&host), CUDA_ERROR_INVALID_VALUE);
    IS(cuIpcOpenMemHandle(&q, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
       CUDA_ERROR_INVALID_CONTEXT);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(managed_memory_is_everyones)
{
    CUdeviceptr p;
    unsigned managed;

    start();
    OK(cuMemAllocManaged(&p, 4096, CU_MEM_ATTACH_GLOBAL));
    memset((void *)(uintptr_t)p, 0, 4096);
    OK(fill(p, 5, 1024, NULL));
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(((uint32_t *)(uintptr_t)p)[1023], 5);
    OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, p));
    ck_assert_uint_eq(managed, 1);
    OK(cuMemFree(p));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("memory");

    tcase_add_test(tcase, nothing_before_init);
    tcase_add_test(tcase, capacity_is_exact);
    tcase_add_test(tcase, a_context_costs_what_is_set);
    tcase_add_test(tcase, each_device_has_its_own);
    tcase_add_test(tcase, blocks_are_aligned_and_apart);
    tcase_add_test(tcase, the_cpu_faults);
    tcase_add_test(tcase, what_is_refused);
    tcase_add_test(tcase, rows_with_a_pitch);
    tcase_add_test(tcase, address_ranges);
    tcase_add_test(tcase, attributes_of_device_memory);
    tcase_add_test(tcase, many_attributes_at_once);
    tcase_add_test(tcase, ipc);
    tcase_add_test(tcase, managed_memory_is_everyones);
    return tcase;
}

int main(void)
{
    return run_suite("memory", cases);
}
