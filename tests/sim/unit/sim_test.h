/* sim_test.h: what the simulator's own tests share. Each test runs in a process of its own (Check's
 * fork mode), so that settings can be put into the environment before the first call. */
#ifndef HYBRIDMEM_SIM_TEST_H
#define HYBRIDMEM_SIM_TEST_H

#include <check.h>
#include <cuda.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK(call)        ck_assert_int_eq((call), CUDA_SUCCESS)
#define IS(call, error) ck_assert_int_eq((call), (error))

#define MIB ((size_t)1 << 20)

static const char test_ptx[] = ".version 6.4\n.target sm_50\n.address_size 64\n"
                               ".visible .entry fill(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry copy(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry add(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry sum(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry check(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry spin(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry move(.param .u64 p)\n{ ret; }\n"
                               ".visible .entry unheard_of(.param .u64 p)\n{ ret; }\n";

static struct {
    CUcontext context;
    CUmodule module;
    CUfunction fill, copy, add, sum, check, spin;
} test;

/* Device 0, its primary context, the kernels. */
static inline void start(void)
{
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&test.context, 0));
    OK(cuCtxSetCurrent(test.context));
    OK(cuModuleLoadData(&test.module, test_ptx));
    OK(cuModuleGetFunction(&test.fill, test.module, "fill"));
    OK(cuModuleGetFunction(&test.copy, test.module, "copy"));
    OK(cuModuleGetFunction(&test.add, test.module, "add"));
    OK(cuModuleGetFunction(&test.sum, test.module, "sum"));
    OK(cuModuleGetFunction(&test.check, test.module, "check"));
    OK(cuModuleGetFunction(&test.spin, test.module, "spin"));
}

static inline CUresult launch(CUfunction function, CUstream stream, void **parameters)
{
    return cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL);
}

static inline CUresult fill(CUdeviceptr p, uint32_t value, uint64_t words, CUstream stream)
{
    return launch(test.fill, stream, (void *[]){&p, &value, &words});
}

static inline CUresult spin(uint64_t microseconds, CUstream stream)
{
    return launch(test.spin, stream, (void *[]){&microseconds});
}

static inline CUdeviceptr alloc(size_t bytes)
{
    CUdeviceptr p = 0;

    OK(cuMemAlloc_v2(&p, bytes));
    return p;
}

static inline size_t free_bytes(void)
{
    size_t free_now, total;

    OK(cuMemGetInfo_v2(&free_now, &total));
    return free_now;
}

/* The number of 32-bit words in [p, p + words) that are not `value`, read by a synchronous copy. */
static inline size_t wrong_words(CUdeviceptr p, uint32_t value, size_t words)
{
    uint32_t *host = malloc(words * 4);
    size_t wrong = 0;

    OK(cuMemcpyDtoH_v2(host, p, words * 4));
    for (size_t i = 0; i < words; i++)
        wrong += host[i] != value;
    free(host);
    return wrong;
}

/* Made and emptied by run_suite: a library may still write into it when the test is over. */
static char scratch_folder[] = "/tmp/simcuda-test-XXXXXX";

/* A file for a log or a report, absent at first, named in the environment variable. */
static inline const char *scratch(const char *variable)
{
    static char names[4][64];
    static int count;
    char *name = names[count++];

    snprintf(name, sizeof(names[0]), "%s/%d-%d", scratch_folder, (int)getpid(), count);
    setenv(variable, name, 1);
    return name;
}

/* The file's text, empty when there is none; the file is gone then. */
static inline const char *slurp(const char *name)
{
    static char text[1 << 16];
    int fd = open(name, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[length > 0 ? length : 0] = 0;
    if (fd >= 0)
        close(fd);
    unlink(name);
    return text;
}

/* Runs `body` in a child and returns how it ended. It ends with exit(0) when body returns. */
static inline int child(void (*body)(void))
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        body();
        exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void remove_scratch(void)
{
    DIR *folder = opendir(scratch_folder);
    char name[512];

    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(name, sizeof(name), "%s/%s", scratch_folder, entry->d_name);
        unlink(name);
    }
    if (folder)
        closedir(folder);
    rmdir(scratch_folder);
}

static inline int run_suite(const char *name, TCase *(*cases)(void))
{
    Suite *suite = suite_create(name);
    SRunner *runner;
    int failed;

    if (!mkdtemp(scratch_folder))
        return EXIT_FAILURE;
    suite_add_tcase(suite, cases());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_scratch();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
