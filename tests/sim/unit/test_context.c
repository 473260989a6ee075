/* test_context.c: contexts: the stack, primary ones, what dies with them, what is said afterwards.
 */
#include "sim_test.h"

#include <pthread.h>

START_TEST(the_stack)
{
    CUcontext one, two, got;
    CUdevice device;

    start();
    OK(cuCtxCreate(&one, NULL, 0, 0)); /* created: pushed */
    OK(cuCtxCreate(&two, NULL, 0, 0));
    OK(cuCtxGetCurrent(&got));
    ck_assert_ptr_eq(got, two);
    OK(cuCtxPopCurrent(&got));
    ck_assert_ptr_eq(got, two);
    OK(cuCtxSetCurrent(two)); /* in place of the top */
    OK(cuCtxPopCurrent(&got));
    OK(cuCtxGetCurrent(&got));
    ck_assert_ptr_eq(got, test.context);
    OK(cuCtxSetCurrent(NULL));
    OK(cuCtxGetCurrent(&got));
    ck_assert_ptr_null(got);
    IS(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
    IS(cuCtxPopCurrent(&got), CUDA_ERROR_INVALID_CONTEXT);
    IS(cuCtxPushCurrent((CUcontext)&got), CUDA_ERROR_INVALID_CONTEXT);
    IS(cuCtxPushCurrent(NULL), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxDestroy(one));
    OK(cuCtxDestroy(two));
    IS(cuCtxDestroy(two), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    IS(cuCtxDestroy(test.context), CUDA_ERROR_INVALID_CONTEXT); /* a primary one */
}
END_TEST

static void *with_destroyed(void *context)
{
    size_t a, b;

    OK(cuCtxSetCurrent(*(CUcontext *)context));
    OK(cuCtxDestroy(*(CUcontext *)context));
    IS(cuMemGetInfo(&a, &b), CUDA_ERROR_INVALID_CONTEXT); /* popped, as it was current here */
    return NULL;
}

START_TEST(destroyed_elsewhere)
{
    CUcontext context;
    pthread_t thread;
    CUdeviceptr p;
    CUstream stream;
    size_t before, size;

    start();
    before = free_bytes();
    OK(cuCtxCreate(&context, NULL, 0, 0));
    p = alloc(MIB);
    OK(cuStreamCreate(&stream, 0));
    IS(spin(1, stream), CUDA_ERROR_INVALID_HANDLE); /* code of one context, stream of another */
    ck_assert_int_eq(pthread_create(&thread, NULL, with_destroyed, &context), 0);
    pthread_join(thread, NULL);
    IS(cuMemAlloc(&p, 1), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    OK(cuCtxPopCurrent(NULL));
    ck_assert_uint_eq(free_bytes(), before); /* its memory went with it */
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemGetAddressRange(NULL, &size, p), CUDA_ERROR_NOT_FOUND);
    IS(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

START_TEST(primary)
{
    CUcontext again;
    unsigned flags;
    int active;
    CUdeviceptr p, q;
    size_t total;

    start();
    total = free_bytes();
    p = alloc(MIB);
    OK(cuDevicePrimaryCtxRetain(&again, 0));
    ck_assert_ptr_eq(again, test.context);
    OK(cuDevicePrimaryCtxRelease(0));
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    ck_assert_int_eq(active, 1);
    OK(cuMemsetD8(p, 0, 1));
    OK(cuDevicePrimaryCtxRelease(0));
    IS(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    ck_assert_int_eq(active, 0);
    IS(cuMemAlloc(&q, 1), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    OK(cuDevicePrimaryCtxRetain(&again, 0));
    ck_assert_ptr_eq(again, test.context);
    ck_assert_uint_eq(free_bytes(), total); /* and so the current context lives again */
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    p = alloc(MIB);
    OK(cuDevicePrimaryCtxReset(0));
    IS(cuMemAlloc(&q, 1), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    OK(cuDevicePrimaryCtxRelease(0)); /* the reset released nothing */
    IS(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
}
END_TEST

START_TEST(blocks_belong_to_nobodys_thread)
{
    CUcontext other;
    CUdeviceptr p;

    start();
    p = alloc(4096);
    OK(cuCtxCreate(&other, NULL, 0, 0));
    OK(cuMemsetD32(p, 3, 1024)); /* the same device: any context may */
    OK(cuCtxSynchronize());
    OK(cuMemFree(p));
    OK(cuCtxDestroy(other));
}
END_TEST

/* "cuCtxDestroy() will not destroy memory allocations by ... cuMemAllocAsync()". */
START_TEST(a_pools_memory_outlives_its_context)
{
    CUcontext other;
    CUdeviceptr p;
    uint32_t word = 0;

    start();
    OK(cuCtxCreate(&other, NULL, 0, 0));
    OK(cuMemAllocAsync(&p, 4096, NULL));
    OK(cuMemsetD32Async(p, 7, 1024, NULL));
    OK(cuCtxDestroy(other));
    OK(cuMemcpyDtoH(&word, p, 4));
    ck_assert_uint_eq(word, 7);
    OK(cuMemFree(p));
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(what_a_device_says)
{
    char name[64], bus[16];
    CUdevice device;
    CUuuid one, two;
    int value, major, minor;
    const char *text;

    setenv("SIMCUDA_DEVICES", "2", 1);
    start();
    OK(cuDeviceGetName(name, sizeof(name), 0));
    OK(cuDeviceGetUuid(&one, 0));
    OK(cuDeviceGetUuid(&two, 1));
    ck_assert_int_ne(memcmp(&one, &two, sizeof(one)), 0);
    OK(cuDeviceGetPCIBusId(bus, sizeof(bus), 1));
    OK(cuDeviceGetByPCIBusId(&device, bus));
    ck_assert_int_eq(device, 1);
    OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 0));
    ck_assert_int_eq(value, 512);
    OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
    OK(cuDeviceComputeCapability(&value, &minor, 0));
    ck_assert_int_eq(value, major);
    IS(cuDeviceGetAttribute(&value, (CUdevice_attribute)0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuDeviceGetAttribute(&value, (CUdevice_attribute)999, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuDeviceGet(&device, 2), CUDA_ERROR_INVALID_DEVICE);
    IS(cuDeviceGet(&device, -1), CUDA_ERROR_INVALID_DEVICE);
    OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    ck_assert_str_eq(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
    OK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
    ck_assert_str_eq(text, "out of memory");
    IS(cuGetErrorName((CUresult)12345, &text), CUDA_ERROR_INVALID_VALUE);
    ck_assert_ptr_null(text);
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("contexts");

    tcase_add_test(tcase, the_stack);
    tcase_add_test(tcase, destroyed_elsewhere);
    tcase_add_test(tcase, primary);
    tcase_add_test(tcase, blocks_belong_to_nobodys_thread);
    tcase_add_test(tcase, a_pools_memory_outlives_its_context);
    tcase_add_test(tcase, what_a_device_says);
    return tcase;
}

int main(void)
{
    return run_suite("contexts", cases);
}
