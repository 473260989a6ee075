/* Takes cuGetProcAddress_v2 of CUDA 12.0 by dlsym, asks it for itself as NVIDIA's runtime does, and
 * the rest from that; with the argument "per-thread", the functions of the per-thread default
 * stream. What the look-up must answer is checked on the way. */
#include "doors.h"
#include "script.h"

typedef CUresult get_proc_fn(const char *, void **, int, cuuint64_t,
                             CUdriverProcAddressQueryResult *);

static cuuint64_t flags = CU_GET_PROC_ADDRESS_LEGACY_STREAM;

static void *ask(void *arg, const char *base, int version, cuuint64_t how,
                 CUdriverProcAddressQueryResult *status)
{
    get_proc_fn *get = (get_proc_fn *)arg;
    void *fn = NULL;

    return get(base, &fn, version, how, status) == CUDA_SUCCESS ? fn : NULL;
}

static void *find(void *arg, const char *symbol, const char *base, int version)
{
    CUdriverProcAddressQueryResult status;

    (void)symbol;
    (void)version;
    return ask(arg, base, 12000, flags, &status);
}

/* The version chooses the ABI, the flag the stream flavour, and a name that cannot be had says why.
 */
static void check_answers(void *handle, void *get)
{
    const cuuint64_t legacy = CU_GET_PROC_ADDRESS_LEGACY_STREAM;
    const cuuint64_t per_thread = CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    CUdriverProcAddressQueryResult status = 99;
    void *v2 = ask(get, "cuMemAlloc", 3020, legacy, &status);

    REQUIRE(v2 && status == CU_GET_PROC_ADDRESS_SUCCESS);
    REQUIRE(v2 == ask(get, "cuMemAlloc", 12000, 0, &status));
    REQUIRE(v2 == ask(get, "cuMemAlloc", 12000, per_thread, &status));
    REQUIRE(v2 == dlsym(handle, "cuMemAlloc_v2"));
    REQUIRE(ask(get, "cuMemcpyHtoD", 12000, legacy, &status) == dlsym(handle, "cuMemcpyHtoD_v2"));
    REQUIRE(ask(get, "cuMemcpyHtoD", 12000, per_thread, &status) ==
            dlsym(handle, "cuMemcpyHtoD_v2_ptds"));
    REQUIRE(ask(get, "cuMemsetD8Async", 12000, per_thread, &status) ==
            dlsym(handle, "cuMemsetD8Async_ptsz"));
    REQUIRE(ask(get, "cuStreamBeginCapture", 10000, legacy, &status) ==
            dlsym(handle, "cuStreamBeginCapture"));
    REQUIRE(ask(get, "cuStreamBeginCapture", 10010, legacy, &status) ==
            dlsym(handle, "cuStreamBeginCapture_v2"));
    REQUIRE(!ask(get, "cuMemFreeAsync", 10000, legacy, &status));
    REQUIRE(status == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    REQUIRE(!ask(get, "cuNoSuchFunction", 12000, legacy, &status));
    REQUIRE(status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    REQUIRE(ask(get, "cuMemAlloc", 12000, legacy, NULL) == v2);
}

int main(int argc, char **argv)
{
    void *handle = door_open(RTLD_LAZY);
    void *get = dlsym(handle, "cuGetProcAddress_v2");
    CUdriverProcAddressQueryResult status;
    struct host_api api;

    door_required(get, "cuGetProcAddress_v2");
    check_answers(handle, get);
    get = ask(get, "cuGetProcAddress", 12000, flags, &status);
    door_required(get, "cuGetProcAddress by itself");
    check_answers(handle, get);
    if (argc > 1 && !strcmp(argv[1], "per-thread"))
        flags = CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    door_fill(&api, find, get);
    return script_run(&api);
}
