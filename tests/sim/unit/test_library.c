/* test_library.c: libraries and their kernels. */
#include "sim_test.h"

static CUlibrary load(void)
{
    CUlibrary library;

    OK(cuLibraryLoadData(&library, test_ptx, NULL, NULL, 0, NULL, NULL, 0));
    return library;
}

/* Launched as a kernel and as the function of the context, in two contexts. */
START_TEST(kernels_run)
{
    uint64_t words = 1024;
    uint32_t value = 5;
    CUlibrary library;
    CUcontext second;
    CUfunction function;
    CUkernel kernel;
    CUdeviceptr p;

    start();
    library = load();
    OK(cuLibraryGetKernel(&kernel, library, "fill"));
    for (int i = 0; i < 2; i++) {
        p = alloc(4096);
        value = 5;
        OK(launch((CUfunction)(void *)kernel, NULL, (void *[]){&p, &value, &words}));
        OK(cuCtxSynchronize());
        ck_assert_uint_eq(wrong_words(p, 5, 1024), 0);
        OK(cuKernelGetFunction(&function, kernel));
        value = 6;
        OK(launch(function, NULL, (void *[]){&p, &value, &words}));
        OK(cuLaunchCooperativeKernel(test.spin, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&words}));
        OK(cuCtxSynchronize());
        ck_assert_uint_eq(wrong_words(p, 6, 1024), 0);
        OK(cuMemFree(p));
        if (!i) {
            CUmodule module;

            OK(cuCtxCreate(&second, NULL, 0, 0));
            OK(cuModuleLoadData(&module, test_ptx));
            OK(cuModuleGetFunction(&test.spin, module, "spin"));
        }
    }
    OK(cuLibraryUnload(library));
    IS(launch(function, NULL, (void *[]){&p, &value, &words}), CUDA_ERROR_INVALID_HANDLE);
    IS(launch((CUfunction)(void *)kernel, NULL, (void *[]){&p, &value, &words}),
       CUDA_ERROR_INVALID_HANDLE);
    OK(cuCtxDestroy(second));
}
END_TEST

START_TEST(what_is_in_a_library)
{
    CUlibrary library, owner;
    CUkernel kernels[16], kernel;
    CUmodule module;
    CUfunction function;
    const char *name;
    unsigned count;
    size_t offset, size;
    int value;

    start();
    IS(cuLibraryLoadData(&library, "no code", NULL, NULL, 0, NULL, NULL, 0),
       CUDA_ERROR_INVALID_PTX);
    library = load();
    OK(cuLibraryGetKernelCount(&count, library));
    ck_assert_uint_eq(count, 7);
    OK(cuLibraryEnumerateKernels(kernels, 16, library));
    for (unsigned i = 0; i < count; i++) {
        OK(cuKernelGetName(&name, kernels[i]));
        OK(cuLibraryGetKernel(&kernel, library, name));
        ck_assert_ptr_eq(kernel, kernels[i]);
    }
    IS(cuLibraryGetKernel(&kernel, library, "unheard_of"), CUDA_ERROR_NOT_FOUND);
    OK(cuLibraryGetKernel(&kernel, library, "check"));
    OK(cuKernelGetLibrary(&owner, kernel));
    ck_assert_ptr_eq(owner, library);
    OK(cuKernelGetParamInfo(kernel, 2, &offset, &size)); /* u64, u32, u64 */
    ck_assert_uint_eq(offset, 16);
    ck_assert_uint_eq(size, 8);
    IS(cuKernelGetParamInfo(kernel, 4, &offset, &size), CUDA_ERROR_INVALID_VALUE);
    OK(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, 0));
    ck_assert_int_eq(value, 1024);
    IS(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, kernel, 3),
       CUDA_ERROR_INVALID_DEVICE);
    OK(cuLibraryGetModule(&module, library));
    OK(cuModuleGetFunction(&function, module, "sum"));
    OK(cuLibraryUnload(library));
    IS(cuLibraryUnload(library), CUDA_ERROR_INVALID_HANDLE);
    IS(cuKernelGetName(&name, kernel), CUDA_ERROR_INVALID_HANDLE);
    IS(cuModuleGetFunction(&function, module, "sum"), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("library");

    tcase_add_test(tcase, kernels_run);
    tcase_add_test(tcase, what_is_in_a_library);
    return tcase;
}

int main(void)
{
    return run_suite("library", cases);
}
