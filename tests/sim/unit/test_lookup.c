/* test_lookup.c: symbols, versions and flags; every row of shim/hooks.def; the older drivers. */
#define __CUDA_API_VERSION_INTERNAL
#include "sim_test.h"

#include <dlfcn.h>

#define PTDS CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM

static const struct {
    const char *symbol, *base;
    int since, per_thread;
} hooks[] = {
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    {#symbol, #base, since, flavour_##flavour},
#define flavour_NONE   0
#define flavour_LEGACY 0
#define flavour_PTDS   1
#define flavour_PTSZ   1
#include "shim/hooks.def"
};
#define HOOKS (sizeof(hooks) / sizeof(*hooks))

/* The signatures agree: a difference does not compile. */
#undef HOOK
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&symbol), CUresult(*) params), #symbol);
#include "shim/hooks.def"

static const struct {
    const char *symbol;
    int since;
} rows[] = {
#define SIM_ROW(symbol, base, since, flavour, needs, params, args, call) {#symbol, since},
#include "tests/sim/cuda/symbols.def"
};
#define ROWS (sizeof(rows) / sizeof(*rows))

static int since_of(const char *symbol)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].symbol, symbol))
            return rows[i].since;
    return 0;
}

/* By name at run time, as this program also runs with drivers that lack it. */
static void *named(const char *symbol)
{
    return dlsym(RTLD_DEFAULT, symbol);
}

static CUresult look_up_v2(const char *base, void **function, int version, cuuint64_t flags,
                           CUdriverProcAddressQueryResult *status)
{
    __typeof__(&cuGetProcAddress_v2) look_up = named("cuGetProcAddress_v2");

    return look_up(base, function, version, flags, status);
}

static void *by_version(const char *base, int version, cuuint64_t flags)
{
    CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)77;
    void *function = &function;

    OK(look_up_v2(base, &function, version, flags, &status));
    ck_assert_int_eq(status == CU_GET_PROC_ADDRESS_SUCCESS, function != NULL);
    return function;
}

START_TEST(every_hook_is_there)
{
    for (size_t i = 0; i < HOOKS; i++) {
        void *symbol = named(hooks[i].symbol);

        ck_assert_msg(symbol != NULL, "%s is not exported", hooks[i].symbol);
        ck_assert_msg(since_of(hooks[i].symbol) == hooks[i].since, "%s: since %d there, %d here",
                      hooks[i].symbol, hooks[i].since, since_of(hooks[i].symbol));
        ck_assert_msg(by_version(hooks[i].base, hooks[i].since, hooks[i].per_thread ? PTDS : 0) ==
                          symbol,
                      "%s: another answer at its own version", hooks[i].symbol);
    }
}
END_TEST

START_TEST(every_row_is_exported_once)
{
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_msg(named(rows[i].symbol) != NULL, "%s is not exported", rows[i].symbol);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(rows[i].symbol, rows[k].symbol);
    }
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, "sim_mem_alloc"));
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, "cuFluxCapacitorCreate"));
}
END_TEST

START_TEST(versions_and_flags)
{
    CUdriverProcAddressQueryResult status;
    void *function = &function;

    ck_assert_ptr_eq(by_version("cuMemAlloc", 2000, 0), named("cuMemAlloc"));
    ck_assert_ptr_eq(by_version("cuMemAlloc", 3010, 0), named("cuMemAlloc"));
    ck_assert_ptr_eq(by_version("cuMemAlloc", 3020, 0), named("cuMemAlloc_v2"));
    ck_assert_ptr_eq(by_version("cuMemAlloc", 13000, PTDS), named("cuMemAlloc_v2"));
    ck_assert_ptr_eq(by_version("cuMemcpyAsync", 12000, 0), named("cuMemcpyAsync"));
    ck_assert_ptr_eq(by_version("cuMemcpyAsync", 12000, CU_GET_PROC_ADDRESS_LEGACY_STREAM),
                     named("cuMemcpyAsync"));
    ck_assert_ptr_eq(by_version("cuMemcpyAsync", 12000, PTDS), named("cuMemcpyAsync_ptsz"));
    ck_assert_ptr_eq(by_version("cuMemcpyAsync", 6000, PTDS), named("cuMemcpyAsync"));
    ck_assert_ptr_eq(by_version("cuMemcpyHtoD", 12000, PTDS), named("cuMemcpyHtoD_v2_ptds"));
    ck_assert_ptr_eq(by_version("cuGetProcAddress", 11030, 0), named("cuGetProcAddress"));
    ck_assert_ptr_eq(by_version("cuGetProcAddress", 12000, 0), named("cuGetProcAddress_v2"));
    ck_assert_ptr_eq(by_version("cuStreamBeginCapture", 10000, PTDS),
                     named("cuStreamBeginCapture_ptsz"));
    ck_assert_ptr_eq(by_version("cuLaunchHostFunc", 13000, 0), named("cuLaunchHostFunc"));
    ck_assert_ptr_eq(by_version("cuLaunchHostFunc", 13010, 0), named("cuLaunchHostFunc_v2"));
    ck_assert_ptr_eq(by_version("cuStreamBeginCapture", 10010, PTDS),
                     named("cuStreamBeginCapture_v2_ptsz"));
    /* Absent names: success and a NULL from version 2, an error from version 1. */
    OK(look_up_v2("cuNoSuchThing", &function, 12000, 0, &status));
    ck_assert_ptr_null(function);
    ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    OK(look_up_v2("cuMemAlloc_v2", &function, 12000, 0, &status)); /* not a base name */
    ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    OK(look_up_v2("cuMemAllocAsync", &function, 11010, 0, &status));
    ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    OK(look_up_v2("cuMemAlloc", &function, 12000, 0, NULL));
    IS(cuGetProcAddress("cuNoSuchThing", &function, 12000, 0), CUDA_ERROR_NOT_FOUND);
    ck_assert_ptr_null(function);
    IS(look_up_v2("cuMemAlloc", &function, 13060, 0, &status), CUDA_ERROR_INVALID_VALUE);
    IS(look_up_v2("cuMemAlloc", &function, 12000, 4, &status), CUDA_ERROR_INVALID_VALUE);
    IS(look_up_v2("cuMemAlloc", &function, 12000, 3, &status), CUDA_ERROR_INVALID_VALUE);
    IS(look_up_v2(NULL, &function, 12000, 0, &status), CUDA_ERROR_INVALID_VALUE);
    IS(look_up_v2("cuMemAlloc", NULL, 12000, 0, &status), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(old_and_foreign_functions)
{
    unsigned old;
    CUuuid uuid = {{0}};
    const void *table = &table;

    start();
    IS(cuMemAlloc(&old, 16), CUDA_ERROR_NOT_SUPPORTED);
    IS(cuGetExportTable(&table, &uuid), CUDA_ERROR_NOT_FOUND);
    IS(cuTexObjectDestroy(), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuProfilerStart());
}
END_TEST

/* --- the older drivers: this program again, with another library
 * -------------------------------------- */

/* Memory of the host came to both in 12.2, by NUMA node, and in 13.0 without; the attributes that
 * tell came later than the first. */
static int look_at_host_memory(int driver)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0}};
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = prop.location};
    CUresult expected = driver >= 12020 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    CUmemGenericAllocationHandle handle;
    CUmemoryPool pool;
    int value, wrong = cuInit(0) != CUDA_SUCCESS;

    wrong += cuMemCreate(&handle, 2 * MIB, &prop, 0) != expected;
    wrong += cuMemPoolCreate(&pool, &props) != expected;
    prop.location.type = props.location.type = CU_MEM_LOCATION_TYPE_HOST;
    wrong += cuMemCreate(&handle, 2 * MIB, &prop, 0) != CUDA_ERROR_INVALID_VALUE;
    wrong += cuMemPoolCreate(&pool, &props) != CUDA_ERROR_INVALID_VALUE;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    wrong += cuMemCreate(&handle, 2 * MIB, &prop, 0) != CUDA_SUCCESS;
    for (int attribute = 141; attribute <= 145; attribute++)
        wrong += cuDeviceGetAttribute(&value, (CUdevice_attribute)attribute, 0) !=
                 CUDA_ERROR_INVALID_VALUE;
    wrong += cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0) !=
                 CUDA_SUCCESS ||
             value != 1;
    return wrong;
}

static int look_at_older_driver(int driver)
{
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
    __typeof__(&cuGetProcAddress) look_up = cuGetProcAddress;
    void *function;
    int version, wrong = 0;

    wrong += cuDriverGetVersion(&version) != CUDA_SUCCESS || version != driver;
    for (size_t i = 0; i < ROWS; i++)
        wrong += (named(rows[i].symbol) != NULL) != (rows[i].since <= driver);
    wrong += look_up("cuMemAlloc", &function, driver, 0) != CUDA_SUCCESS;
    wrong += look_up("cuCtxCreate", &function, driver, 0) != CUDA_SUCCESS ||
             function != named("cuCtxCreate_v3");
    wrong += look_up("cuMemAlloc", &function, driver + 10, 0) != CUDA_ERROR_INVALID_VALUE;
    wrong += look_up("cuStreamBeginCaptureToGraph", &function, driver, 0) != CUDA_ERROR_NOT_FOUND;
    if (driver >= 12000)
        wrong += look_up_v2("cuMemAlloc", &function, driver, 0, &status) != CUDA_SUCCESS;
    wrong += look_at_host_memory(driver);
    return wrong;
}

static int run_with(const char *folder, const char *driver, const char *agree)
{
    char path[512], *slash, self[512] = "";
    Dl_info info;
    int status;
    pid_t pid;

    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    ck_assert(dladdr(named("cuInit"), &info) && info.dli_fname);
    snprintf(path, sizeof(path), "%s", info.dli_fname);
    slash = strrchr(path, '/');
    ck_assert_ptr_nonnull(slash);
    snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s", folder);
    pid = fork();
    if (!pid) {
        signal(SIGABRT, SIG_DFL);
        setenv("LD_LIBRARY_PATH", path, 1);
        setenv("SIM_TEST_DRIVER", driver, 1);
        setenv("SIMCUDA_DRIVER", agree, 1);
        execl(self, self, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(older_drivers)
{
    ck_assert_int_eq(run_with("11.4", "11040", "11.4"), 0);
    ck_assert_int_eq(run_with("12.2", "12020", "12.2"), 0);
    ck_assert_int_ne(run_with("12.2", "11040", "12.2"), 0); /* the test can fail */
    /* SIMCUDA_DRIVER must agree with the library that was loaded. */
    ck_assert(WIFSIGNALED(run_with("12.2", "12020", "11.4")));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("look-up");

    tcase_add_test(tcase, every_hook_is_there);
    tcase_add_test(tcase, every_row_is_exported_once);
    tcase_add_test(tcase, versions_and_flags);
    tcase_add_test(tcase, old_and_foreign_functions);
    tcase_add_test(tcase, older_drivers);
    return tcase;
}

int main(void)
{
    const char *driver = getenv("SIM_TEST_DRIVER");

    if (driver)
        return look_at_older_driver(atoi(driver));
    return run_suite("look-up", cases);
}
