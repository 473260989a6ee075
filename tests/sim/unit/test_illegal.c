/* test_illegal.c: kernels, and what happens to those who use memory that is not theirs. */
#include "sim_test.h"

START_TEST(kernels)
{
    CUfunction unknown;
    CUdeviceptr p, q, out;
    uint64_t words = 1000, sum = 1, wrong = 0;
    uint32_t value = 0xffffffff, one = 1;

    start();
    IS(cuModuleGetFunction(&unknown, test.module, "unheard_of"), CUDA_ERROR_NOT_FOUND);
    IS(cuModuleGetFunction(&unknown, test.module, "fil"), CUDA_ERROR_NOT_FOUND);
    p = alloc(4000);
    q = alloc(4000);
    out = alloc(16);
    OK(cuMemsetD8(out, 0, 16));
    OK(fill(p, value, words, NULL));
    OK(launch(test.copy, NULL, (void *[]){&q, &p, &words}));
    OK(launch(test.sum, NULL, (void *[]){&q, &words, &out}));
    OK(cuMemcpyDtoH(&sum, out, 8));
    ck_assert_uint_eq(sum, 1000 * (uint64_t)0xffffffff);
    OK(launch(test.add, NULL, (void *[]){&q, &one, &words}));
    ck_assert_uint_eq(wrong_words(q, 0, 1000), 0);
    words = 1;
    OK(fill(q, 77, 1, NULL));
    words = 1000;
    value = 0;
    out += 8;
    OK(launch(test.check, NULL, (void *[]){&q, &value, &words, &out}));
    OK(cuMemcpyDtoH(&wrong, out, 8));
    ck_assert_uint_eq(wrong, 1);
    OK(cuMemFree(p));
    OK(cuMemFree(q));
    OK(cuMemFree(out - 8));
}
END_TEST

START_TEST(parameters_in_one_buffer)
{
    struct {
        CUdeviceptr p;
        uint32_t value;
        uint64_t words;
    } arguments = {0, 12, 100};
    size_t size = sizeof(arguments);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &arguments, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    void *list[] = {&arguments.p, &arguments.value, &arguments.words};

    start();
    arguments.p = alloc(400);
    OK(cuLaunchKernel(test.fill, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    ck_assert_uint_eq(wrong_words(arguments.p, 12, 100), 0);
    IS(cuLaunchKernel(test.fill, 1, 1, 1, 1, 1, 1, 0, NULL, list, extra), CUDA_ERROR_INVALID_VALUE);
    IS(cuLaunchKernel(test.fill, 0, 1, 1, 1, 1, 1, 0, NULL, list, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cuLaunchKernel(test.fill, 1, 1, 1, 1025, 1, 1, 0, NULL, list, NULL),
       CUDA_ERROR_INVALID_VALUE);
    IS(cuLaunchKernel((CUfunction)list, 1, 1, 1, 1, 1, 1, 0, NULL, list, NULL),
       CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemFree(arguments.p));
}
END_TEST

START_TEST(code_that_cannot_be_loaded)
{
    CUmodule module;

    start();
    IS(cuModuleLoadData(&module, "no code at all"), CUDA_ERROR_INVALID_PTX);
    IS(cuModuleLoadData(&module, "\x7f"
                                 "ELF...."),
       CUDA_ERROR_NO_BINARY_FOR_GPU);
    IS(cuModuleLoad(&module, "/no/such/file"), CUDA_ERROR_FILE_NOT_FOUND);
    OK(cuModuleUnload(test.module));
    IS(cuModuleUnload(test.module), CUDA_ERROR_INVALID_HANDLE);
    IS(spin(1, NULL), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

START_TEST(linked_code)
{
    CUlinkState state;
    CUfunction function;
    CUmodule module;
    void *image;
    size_t size;

    start();
    OK(cuLinkCreate(0, NULL, NULL, &state));
    OK(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)(uintptr_t)test_ptx, sizeof(test_ptx), "x", 0,
                     NULL, NULL));
    OK(cuLinkComplete(state, &image, &size));
    OK(cuModuleLoadData(&module, image));
    OK(cuLinkDestroy(state));
    OK(cuModuleGetFunction(&function, module, "fill"));
    OK(cuModuleUnload(module));
}
END_TEST

/* After an illegal access the context answers nothing but the error, until it is gone. */
static void expect_illegal(const char *report, const char *what)
{
    CUdeviceptr p;

    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    IS(cuMemAlloc(&p, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
    IS(cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert_msg(strstr(slurp(report), what) != NULL, "the report has no \"%s\"", what);
    OK(cuDevicePrimaryCtxReset(0));
    OK(cuDevicePrimaryCtxRetain(&test.context, 0));
    OK(cuCtxSetCurrent(test.context));
    OK(cuMemAlloc(&p, 1));
    OK(cuMemFree(p));
}

START_TEST(a_kernel_after_free)
{
    const char *report = scratch("SIMCUDA_REPORT");
    CUdeviceptr p;

    start();
    p = alloc(4096);
    OK(cuMemFree(p));
    OK(fill(p, 1, 1024, NULL));
    expect_illegal(report, "is no memory of the device");
}
END_TEST

START_TEST(a_kernel_past_the_end)
{
    const char *report = scratch("SIMCUDA_REPORT");
    CUdeviceptr p;

    start();
    p = alloc(4096);
    OK(fill(p, 1, 1025, NULL));
    expect_illegal(report, "runs past the end");
}
END_TEST

START_TEST(a_kernel_on_pageable_memory)
{
    const char *report = scratch("SIMCUDA_REPORT");
    static uint32_t host[1024];

    start();
    OK(fill((CUdeviceptr)(uintptr_t)host, 1, 1024, NULL));
    expect_illegal(report, "is no memory of the device");
    ck_assert_uint_eq(host[0], 0);
}
END_TEST

START_TEST(a_kernel_on_anothers_registration)
{
    const char *report = scratch("SIMCUDA_REPORT");
    static uint32_t host[4096];
    CUcontext second;

    start();
    OK(cuCtxCreate(&second, NULL, 0, 0));
    OK(cuMemHostRegister(host, sizeof(host), CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(cuCtxSetCurrent(test.context));
    OK(fill((CUdeviceptr)(uintptr_t)host, 1, 1024, NULL));
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert(strstr(slurp(report), "is not mapped for this context"));
    OK(cuCtxDestroy(second));
}
END_TEST

START_TEST(a_misaligned_kernel)
{
    CUdeviceptr p;

    scratch("SIMCUDA_REPORT");
    start();
    p = alloc(4096);
    OK(fill(p + 2, 1, 8, NULL));
    IS(cuCtxSynchronize(), CUDA_ERROR_MISALIGNED_ADDRESS);
}
END_TEST

START_TEST(freed_in_stream_order_while_another_uses_it)
{
    const char *report = scratch("SIMCUDA_REPORT");
    CUstream one, two;
    CUdeviceptr p;

    start();
    OK(cuStreamCreate(&one, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&two, CU_STREAM_NON_BLOCKING));
    OK(cuMemAllocAsync(&p, 4096, one));
    OK(spin(50000, two));
    OK(fill(p, 1, 1024, two));
    OK(cuMemFreeAsync(p, one)); /* without an event between the two */
    IS(cuStreamSynchronize(two), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert(strstr(slurp(report), "still used by 1 enqueued"));
}
END_TEST

START_TEST(unregistered_while_in_use)
{
    const char *report = scratch("SIMCUDA_REPORT");
    char *host = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    start();
    OK(cuMemHostRegister(host, MIB, CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(spin(50000, NULL));
    OK(cuMemsetD8Async((CUdeviceptr)(uintptr_t)host, 1, MIB, NULL));
    OK(cuMemHostUnregister(host));
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert(strstr(slurp(report), "still used by 1 enqueued"));
    ck_assert_int_eq(host[0], 0);
}
END_TEST

/* The address is good again when the work runs; what it was given for is not. */
START_TEST(registered_again_while_in_use)
{
    const char *report = scratch("SIMCUDA_REPORT");
    char *host = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    start();
    OK(cuMemHostRegister(host, MIB, CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(spin(50000, NULL));
    OK(fill((CUdeviceptr)(uintptr_t)host, 1, MIB / 4, NULL));
    OK(cuMemHostUnregister(host));
    OK(cuMemHostRegister(host, MIB, CU_MEMHOSTREGISTER_DEVICEMAP));
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert(strstr(slurp(report), "was freed and given to another"));
    ck_assert_int_eq(host[0], 0);
}
END_TEST

START_TEST(unmapped_while_registered)
{
    const char *report = scratch("SIMCUDA_REPORT");
    char *host = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    start();
    OK(cuMemHostRegister(host, MIB, CU_MEMHOSTREGISTER_DEVICEMAP));
    munmap(host + MIB / 2, 4096);
    OK(fill((CUdeviceptr)(uintptr_t)host, 1, MIB / 4, NULL));
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert(strstr(slurp(report), "was unmapped underneath"));
}
END_TEST

static void die_of_it(void)
{
    signal(SIGABRT, SIG_DFL);
    setenv("SIMCUDA_ILLEGAL", "abort", 1);
    start();
    fill(4096, 1, 1, NULL);
    cuCtxSynchronize();
}

START_TEST(fatal_when_asked)
{
    const char *report = scratch("SIMCUDA_REPORT");
    int status = child(die_of_it);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert(strstr(slurp(report), "illegal use: fill"));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("illegal");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, kernels);
    tcase_add_test(tcase, parameters_in_one_buffer);
    tcase_add_test(tcase, code_that_cannot_be_loaded);
    tcase_add_test(tcase, linked_code);
    tcase_add_test(tcase, a_kernel_after_free);
    tcase_add_test(tcase, a_kernel_past_the_end);
    tcase_add_test(tcase, a_kernel_on_pageable_memory);
    tcase_add_test(tcase, a_kernel_on_anothers_registration);
    tcase_add_test(tcase, a_misaligned_kernel);
    tcase_add_test(tcase, freed_in_stream_order_while_another_uses_it);
    tcase_add_test(tcase, unregistered_while_in_use);
    tcase_add_test(tcase, registered_again_while_in_use);
    tcase_add_test(tcase, unmapped_while_registered);
    tcase_add_test(tcase, fatal_when_asked);
    return tcase;
}

int main(void)
{
    return run_suite("kernels and illegal use", cases);
}
