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

/* On 16 of the device's processors. */
static CUgreenCtx green(void)
{
    CUdevResource all, part, rest;
    CUdevResourceDesc desc;
    unsigned groups = 1;
    CUgreenCtx made;

    OK(cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM));
    OK(cuDevSmResourceSplitByCount(&part, &groups, &all, &rest, 0, 9));
    ck_assert_uint_eq(groups, 1);
    ck_assert_uint_eq(part.sm.smCount, 16); /* rounded up */
    ck_assert_uint_eq(part.sm.smCount + rest.sm.smCount, all.sm.smCount);
    OK(cuDevResourceGenerateDesc(&desc, &part, 1));
    IS(cuGreenCtxCreate(&made, desc, 0, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuGreenCtxCreate(&made, desc, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    return made;
}

START_TEST(green_contexts)
{
    CUcontext context, got;
    CUgreenCtx made, of;
    CUstream stream;
    CUevent event;
    CUdeviceptr p;

    start();
    made = green();
    IS(cuCtxPushCurrent((CUcontext)made), CUDA_ERROR_INVALID_CONTEXT); /* not converted */
    OK(cuCtxFromGreenCtx(&context, made));
    IS(cuGreenCtxStreamCreate(&stream, made, 0, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuGreenCtxStreamCreate(&stream, made, CU_STREAM_NON_BLOCKING, 0));
    OK(cuStreamGetCtx(stream, &got));
    ck_assert_ptr_eq(got, context);
    OK(cuStreamGetCtx_v2(stream, &got, &of));
    ck_assert_ptr_eq(got, test.context);
    ck_assert_ptr_eq(of, made);
    OK(cuStreamGetCtx_v2(NULL, &got, &of));
    ck_assert_ptr_null(of);
    OK(cuStreamGetGreenCtx(stream, &of));
    ck_assert_ptr_eq(of, made);

    OK(cuCtxPushCurrent(context));
    OK(cuCtxGetCurrent(&got));
    ck_assert_ptr_eq(got, context);
    OK(cuStreamGetCtx_v2(NULL, &got, &of));
    ck_assert_ptr_eq(of, made);
    IS(cuStreamQuery(CU_STREAM_PER_THREAD), CUDA_ERROR_INVALID_HANDLE);
    p = alloc(4096);
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuCtxPopCurrent(&got));
    ck_assert_ptr_eq(got, context);

    OK(cuStreamDestroy(stream));
    OK(cuGreenCtxDestroy(made));
    IS(cuGreenCtxDestroy(made), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    IS(cuCtxPushCurrent(context), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuEventDestroy(event)); /* the primary context's, as the memory is */
    OK(cuMemFree(p));
}
END_TEST

/* Synchronised for itself it waits for its own streams; the primary one for all. */
START_TEST(green_contexts_wait)
{
    CUcontext context;
    CUgreenCtx made;
    CUstream stream, other;
    CUevent event;

    start();
    made = green();
    OK(cuCtxFromGreenCtx(&context, made));
    OK(cuGreenCtxStreamCreate(&stream, made, CU_STREAM_NON_BLOCKING, 0));
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    OK(spin(200000, other));
    OK(cuCtxPushCurrent(context));
    OK(cuCtxSynchronize());
    IS(cuStreamQuery(other), CUDA_ERROR_NOT_READY);
    OK(cuCtxPopCurrent(NULL));
    OK(cuCtxSynchronize());
    OK(cuStreamQuery(other));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(spin(200000, stream));
    OK(cuCtxRecordEvent(test.context, event));
    IS(cuEventQuery(event), CUDA_ERROR_NOT_READY);
    OK(cuCtxSynchronize());
    OK(cuStreamQuery(stream));
    OK(cuGreenCtxDestroy(made));
    IS(cuStreamQuery(stream), CUDA_ERROR_CONTEXT_IS_DESTROYED);
}
END_TEST

/* It holds the primary context. */
START_TEST(green_contexts_retain)
{
    unsigned flags;
    int active;
    CUgreenCtx made;

    start();
    made = green();
    OK(cuDevicePrimaryCtxRelease(0));
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    ck_assert_int_eq(active, 1);
    OK(cuGreenCtxDestroy(made));
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    ck_assert_int_eq(active, 0);
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
    tcase_add_test(tcase, green_contexts);
    tcase_add_test(tcase, green_contexts_wait);
    tcase_add_test(tcase, green_contexts_retain);
    return tcase;
}

int main(void)
{
    return run_suite("contexts", cases);
}
