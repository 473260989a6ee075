/* test_settings.c: faults on demand, the call log, the report, null mode, settings that are
 * refused. */
#include "sim_test.h"

#include <pthread.h>
#include <sys/mman.h>

START_TEST(the_nth_call_fails)
{
    CUdeviceptr p, q;
    size_t before;

    setenv("SIMCUDA_FAIL", "cuMemAlloc_v2:2:2,cuMemFree:1:CUDA_ERROR_UNKNOWN,cuMemsetD8Async:*:719",
           1);
    start();
    before = free_bytes();
    p = alloc(4096);
    IS(cuMemAlloc(&q, 4096), CUDA_ERROR_OUT_OF_MEMORY);
    ck_assert_uint_eq(free_bytes(), before - 4096); /* it did nothing */
    OK(cuMemAlloc(&q, 4096));
    IS(cuMemFree(p), CUDA_ERROR_UNKNOWN); /* the base name counts cuMemFree_v2 */
    OK(cuMemFree(p));
    IS(cuMemsetD8Async(q, 0, 1, NULL), CUDA_ERROR_LAUNCH_FAILED);
    IS(cuMemsetD8Async(q, 0, 1, NULL), CUDA_ERROR_LAUNCH_FAILED);
    IS(cuMemsetD8Async_ptsz(q, 0, 1, NULL), CUDA_ERROR_LAUNCH_FAILED);
    OK(cuMemsetD8(q, 0, 1));
    OK(cuMemFree(q));
}
END_TEST

/* How many of the pages at p are in RAM. */
static size_t resident(void *p, size_t bytes)
{
    unsigned char there[64] = {0};
    size_t count = 0;

    ck_assert_int_eq(mincore(p, bytes, there), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        count += there[i] & 1;
    return count;
}

unsigned long simcuda_fail_nth(unsigned long nth, CUresult result);

/* Of whatever function, and this thread's alone. */
START_TEST(the_nth_call_from_here_fails)
{
    CUdeviceptr p = 7;

    start();
    simcuda_fail_nth(2, CUDA_ERROR_UNKNOWN);
    OK(cuCtxSynchronize());
    IS(cuMemAlloc(&p, 4096), CUDA_ERROR_UNKNOWN);
    ck_assert_uint_eq(p, 7);
    OK(cuMemAlloc(&p, 4096));
    ck_assert_uint_eq(simcuda_fail_nth(0, CUDA_SUCCESS), 3);
    OK(cuMemFree(p));
    ck_assert_uint_eq(simcuda_fail_nth(0, CUDA_SUCCESS), 1);
}
END_TEST

unsigned long simcuda_cancel_nth(unsigned long nth);

static int calls_made;

static void *is_cancelled(void *defers)
{
    int state;

    pthread_setcancelstate(defers ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE, &state);
    simcuda_cancel_nth(2);
    OK(cuCtxGetCurrent(&(CUcontext){NULL}));
    calls_made++;
    OK(cuCtxGetCurrent(&(CUcontext){NULL}));
    calls_made++;
    ck_assert_uint_eq(simcuda_cancel_nth(0), 2);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    pthread_testcancel();
    return defers;
}

/* At its n-th call; where it defers that, all calls are made. */
START_TEST(the_nth_call_from_here_cancels)
{
    pthread_t thread;
    void *end;

    start();
    ck_assert_int_eq(pthread_create(&thread, NULL, is_cancelled, _i ? &end : NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &end), 0);
    ck_assert_ptr_eq(end, PTHREAD_CANCELED);
    ck_assert_int_eq(calls_made, _i ? 2 : 1);
}
END_TEST

START_TEST(pinned_pages_are_there)
{
    size_t bytes = 64 * 4096;
    char *ours = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *theirs;

    if (_i)
        setenv("SIMCUDA_POPULATE", "1", 1);
    start();
    ours[4096] = 'x';
    OK(cuMemHostRegister(ours, bytes, 0));
    OK(cuMemHostAlloc(&theirs, bytes, 0));
    ck_assert_int_eq(ours[4096], 'x');
    ck_assert_int_eq(resident(ours, bytes) == 64, _i);
    ck_assert_int_eq(resident(theirs, bytes) == 64, _i);
    OK(cuMemHostUnregister(ours));
    OK(cuMemFreeHost(theirs));
    munmap(ours, bytes);
}
END_TEST

static void logged(void)
{
    static char host[4096];
    CUdeviceptr p, q;
    CUstream stream;
    CUDA_MEMCPY2D plane = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcHost = host,
                           .WidthInBytes = 8,
                           .Height = 1};

    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&test.context, 0));
    OK(cuCtxSetCurrent(test.context));
    p = alloc(1000);
    q = alloc(1000);
    OK(cuStreamCreate(&stream, 1));
    OK(cuMemcpyHtoDAsync(q + 16, host, 100, stream));
    plane.dstDevice = q;
    OK(cuMemcpy2D(&plane));
    OK(cuMemHostRegister(host, sizeof(host), 3));
    OK(cuMemHostUnregister(host));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(q));
}

START_TEST(the_log)
{
    const char *log = scratch("SIMCUDA_LOG");
    static char first[1 << 14];
    const char *text;

    ck_assert_int_eq(child(logged), 0);
    text = slurp(log);
    ck_assert_str_eq(text, "T0 cuInit(0)=CUDA_SUCCESS\n"
                           "T0 cuDevicePrimaryCtxRetain(*c1, 0)=CUDA_SUCCESS\n"
                           "T0 cuCtxSetCurrent(c1)=CUDA_SUCCESS\n"
                           "T0 cuMemAlloc_v2(*d1+0x0, 1000)=CUDA_SUCCESS\n"
                           "T0 cuMemAlloc_v2(*d2+0x0, 1000)=CUDA_SUCCESS\n"
                           "T0 cuStreamCreate(*s1, 1)=CUDA_SUCCESS\n"
                           "T0 cuMemcpyHtoDAsync_v2(d2+0x10, host, 100, s1)=CUDA_SUCCESS\n"
                           "T0 cuMemcpy2D_v2({d2+0x0 <- host, 8x1})=CUDA_SUCCESS\n"
                           "T0 cuMemHostRegister_v2(host, 4096, 3)=CUDA_SUCCESS\n"
                           "T0 cuMemHostUnregister(h1+0x0)=CUDA_SUCCESS\n"
                           "T0 cuStreamDestroy_v2(s1)=CUDA_SUCCESS\n"
                           "T0 cuMemFree_v2(d1+0x0)=CUDA_SUCCESS\n"
                           "T0 cuMemFree_v2(dead)=CUDA_ERROR_INVALID_VALUE\n"
                           "T0 cuMemFree_v2(d2+0x0)=CUDA_SUCCESS\n");
    snprintf(first, sizeof(first), "%s", text);
    setenv("SIMCUDA_SEED", "99", 1);
    ck_assert_int_eq(child(logged), 0);
    ck_assert_str_eq(slurp(log), first);
}
END_TEST

static void leaky(void)
{
    CUcontext context;

    start();
    alloc(1000);
    OK(cuCtxCreate(&context, NULL, 0, 0));
    alloc(2000);
}

static void tidy(void)
{
    CUdeviceptr p;
    CUcontext context;

    start();
    p = alloc(1000);
    OK(cuCtxCreate(&context, NULL, 0, 0));
    alloc(2000);
    OK(cuCtxDestroy(context)); /* takes its block along */
    OK(cuMemFree(p));
}

START_TEST(the_report)
{
    const char *report = scratch("SIMCUDA_REPORT"), *text;

    ck_assert_int_eq(child(leaky), 0);
    text = slurp(report);
    ck_assert_msg(strstr(text, "leak: context c2 on device 0\n") != NULL, "%s", text);
    ck_assert(strstr(text, "leak: d1: 1000 bytes on device 0, by cuMemAlloc\n"));
    ck_assert(strstr(text, "leak: d2: 2000 bytes on device 0, by cuMemAlloc\n"));
    ck_assert(strstr(text, "leaks: 2 blocks, 3000 bytes\n"));
    ck_assert_int_eq(child(tidy), 0);
    ck_assert_int_ne(access(report, F_OK), 0); /* nothing to say: no file */
}
END_TEST

static void call(void)
{
    signal(SIGABRT, SIG_DFL);
    cuInit(0);
}

START_TEST(refused_settings)
{
    static const char *const bad[][2] = {
        {"SIMCUDA_VRAM", "much"},
        {"SIMCUDA_VRAM", ""},
        {"SIMCUDA_VRAM", "1GiBx"},
        {"SIMCUDA_VRAM", "-1"},
        {"SIMCUDA_DEVICES", "17"},
        {"SIMCUDA_DEVICES", "two"},
        {"SIMCUDA_DRIVER", "12.9"},
        {"SIMCUDA_FAIL", "cuMemAlloc_v2"},
        {"SIMCUDA_FAIL", "cuNoSuch:1:2"},
        {"SIMCUDA_FAIL", "cuInit:0:2"},
        {"SIMCUDA_FAIL", "cuInit:1:NOPE"},
        {"SIMCUDA_NULL", "yes"},
        {"SIMCUDA_SEED", "x"},
        {"SIMCUDA_ILLEGAL", "maybe"},
        {"SIMCUDA_LOG", "/no/such/dir/l"},
        {"SIMCUDA_COST", "vram=fast"},
        {"SIMCUDA_COST", "vram=0GB/s"},
        {"SIMCUDA_COST", "pcie=16GB"},
        {"SIMCUDA_COST", "launch=5ms"},
        {"SIMCUDA_COST", "disk=1GB/s"},
        {"SIMCUDA_CONTENT", "1KiB,2KiB"},
        {"SIMCUDA_TYPO", "1"},
    };
    int status, null = open("/dev/null", O_WRONLY);

    setenv(bad[_i][0], bad[_i][1], 1);
    dup2(null, STDERR_FILENO);
    status = child(call);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s=%s was taken", bad[_i][0],
                  bad[_i][1]);
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = {{"1GiB", 1024 * MIB}, {"1.5GiB", 1536 * MIB}, {"1536M", 1536 * MIB},
                {"4096", 4096},       {"64KiB", 65536},       {"0.0625TiB", MIB * MIB / 16}};
    size_t total;

    setenv("SIMCUDA_VRAM", good[_i].text, 1);
    OK(cuInit(0));
    OK(cuDeviceTotalMem(&total, 0));
    ck_assert_uint_eq(total, good[_i].bytes);
}
END_TEST

static void *null_thread(void *unused)
{
    CUdeviceptr p[200];

    OK(cuCtxSetCurrent(test.context));
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 200; i++)
            p[i] = alloc((size_t)1 << (i % 24));
        for (int i = 0; i < 200; i++)
            OK(cuMemFree(p[i]));
    }
    return unused;
}

START_TEST(null_mode)
{
    enum { MANY = 2000 };
    static CUdeviceptr p[MANY];
    CUdeviceptr base, again;
    pthread_t threads[2];
    char host[16];
    unsigned type;
    size_t size;

    setenv("SIMCUDA_NULL", "1", 1);
    setenv("SIMCUDA_VRAM", "1MiB", 1); /* capacity does not count */
    start();
    for (size_t i = 0; i < MANY; i++) {
        p[i] = alloc(2 * MIB);
        if (i)
            ck_assert(p[i] >= p[i - 1] + 2 * MIB || p[i] + 2 * MIB <= p[i - 1]);
    }
    OK(cuMemGetAddressRange(&base, &size, p[7] + 5));
    ck_assert_uint_eq(base, p[7]);
    ck_assert_uint_eq(size, 2 * MIB);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p[7] + 5));
    ck_assert_uint_eq(type, CU_MEMORYTYPE_DEVICE);
    OK(cuMemcpyHtoD(p[0], host, sizeof(host)));
    OK(cuMemFree(p[100]));
    again = alloc(2 * MIB); /* last in, first out */
    ck_assert_uint_eq(again, p[100]);
    OK(cuMemHostRegister(host, sizeof(host), CU_MEMHOSTREGISTER_DEVICEMAP));
    OK(cuMemHostUnregister(host));
    for (size_t i = 0; i < MANY; i++)
        OK(cuMemFree(p[i]));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, null_thread, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(no_device)
{
    setenv("SIMCUDA_DEVICES", "0", 1);
    IS(cuInit(0), CUDA_ERROR_NO_DEVICE);
}
END_TEST

/* Card 2 is device 0, card 0 is device 1; the last number is no card's. */
START_TEST(visible_devices)
{
    char bus[16];
    CUuuid uuid;
    int n;
    size_t bytes;

    setenv("SIMCUDA_DEVICES", "3", 1);
    setenv("SIMCUDA_VRAM", "1GiB,2GiB,3GiB", 1);
    setenv("CUDA_VISIBLE_DEVICES", "2,0,7", 1);
    OK(cuInit(0));
    OK(cuDeviceGetCount(&n));
    ck_assert_int_eq(n, 2);
    OK(cuDeviceTotalMem(&bytes, 0));
    ck_assert_uint_eq(bytes, (size_t)3 << 30);
    OK(cuDeviceGetUuid(&uuid, 0));
    ck_assert_int_eq(uuid.bytes[15], 2);
    OK(cuDeviceGetPCIBusId(bus, sizeof(bus), 0));
    ck_assert_str_eq(bus, "0000:03:00.0");
    OK(cuDeviceGetByPCIBusId(&n, "0000:01:00.0"));
    ck_assert_int_eq(n, 1);
    IS(cuDeviceGetByPCIBusId(&n, "0000:02:00.0"), CUDA_ERROR_INVALID_DEVICE);
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("settings");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_nth_call_fails);
    tcase_add_test(tcase, the_nth_call_from_here_fails);
    tcase_add_loop_test(tcase, the_nth_call_from_here_cancels, 0, 2);
    tcase_add_loop_test(tcase, pinned_pages_are_there, 0, 2);
    tcase_add_test(tcase, the_log);
    tcase_add_test(tcase, the_report);
    tcase_add_loop_test(tcase, refused_settings, 0, 22);
    tcase_add_loop_test(tcase, sizes, 0, 6);
    tcase_add_test(tcase, null_mode);
    tcase_add_test(tcase, no_device);
    tcase_add_test(tcase, visible_devices);
    return tcase;
}

int main(void)
{
    return run_suite("settings", cases);
}
