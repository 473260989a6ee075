/* test_cost.c: simulated time: what moves how many bytes, by where they lie, and what waits for
 * what. 100 GB/s is 0.01 ns a byte; figures are in microseconds. */
#include "sim_test.h"

#define COST "vram=100GB/s,pcie=10GB/s,ram=20GB/s,launch=5us"
#define SIZE (10 * 1000 * 1000) /* 100 us in VRAM, 1000 us over PCIe, 500 us within RAM */

static CUfunction move;
static CUevent first, last;

static void start_timed(const char *cost)
{
    setenv("SIMCUDA_COST", cost, 1);
    start();
    OK(cuModuleGetFunction(&move, test.module, "move"));
    OK(cuEventCreate(&first, 0));
    OK(cuEventCreate(&last, 0));
}

static void begin(CUstream stream)
{
    OK(cuEventRecord(first, stream));
}

static double microseconds(CUstream stream)
{
    float milliseconds;

    OK(cuEventRecord(last, stream));
    OK(cuEventSynchronize(first)); /* it may be another stream's */
    OK(cuEventSynchronize(last));
    OK(cuEventElapsedTime(&milliseconds, first, last));
    return (double)milliseconds * 1000;
}

#define TOOK(stream, us) ck_assert_double_eq_tol(microseconds(stream), us, 0.5)

static CUresult move_bytes(CUdeviceptr to, uint64_t to_moved, CUdeviceptr from, uint64_t from_moved,
                           CUstream stream)
{
    uint64_t size = SIZE, none = 0;

    return launch(move, stream,
                  (void *[]){&to, to ? &size : &none, &to_moved, &from, from ? &size : &none,
                             &from_moved, &none, &none, &none, &none, &none, &none});
}

static CUdeviceptr alloc_pinned(void)
{
    void *p;

    OK(cuMemHostAlloc(&p, SIZE, CU_MEMHOSTALLOC_DEVICEMAP));
    return (CUdeviceptr)(uintptr_t)p;
}

START_TEST(kernels_by_place)
{
    CUdeviceptr near_, far_;
    uint64_t words = SIZE / 4;

    start_timed(COST);
    near_ = alloc(SIZE);
    far_ = alloc_pinned();
    begin(NULL);
    OK(move_bytes(near_, SIZE, 0, 0, NULL));
    TOOK(NULL, 5 + 100);
    begin(NULL);
    OK(move_bytes(near_, SIZE, far_, SIZE / 2, NULL));
    TOOK(NULL, 5 + 100 + 500);
    begin(NULL);
    OK(move_bytes(0, 0, far_, 3 * SIZE, NULL)); /* read three times over */
    TOOK(NULL, 5 + 3000);
    begin(NULL);
    OK(fill(near_, 1, words, NULL));
    OK(launch(test.copy, NULL, (void *[]){&near_, &far_, &words}));
    OK(spin(7, NULL));
    TOOK(NULL, 5 + 100 + 5 + 1100 + 5 + 7);
    OK(cuMemFree(near_));
    OK(cuMemFreeHost((void *)(uintptr_t)far_));
}
END_TEST

START_TEST(a_kernel_that_moves_is_checked)
{
    CUdeviceptr p;
    uint64_t none = 0, more = SIZE + 1;

    setenv("SIMCUDA_REPORT", "/dev/null", 1);
    start_timed(COST);
    p = alloc(SIZE);
    OK(cuMemsetD8(p, 7, SIZE));
    OK(move_bytes(p, SIZE, p, SIZE, NULL));
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(wrong_words(p, 0x07070707, SIZE / 4), 0); /* it writes nothing */
    OK(launch(move, NULL,
              (void *[]){&none, &none, &none, &p, &more, &more, &none, &none, &none, &none, &none,
                         &none}));
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

START_TEST(copies_and_sets_by_place)
{
    CUdeviceptr near_, other, far_, farther;
    char *pageable;
    CUDA_MEMCPY2D plane = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcPitch = 10000,
                           .dstPitch = 10000,
                           .WidthInBytes = 1000,
                           .Height = 1000};

    start_timed(COST);
    pageable = calloc(1, SIZE);
    near_ = alloc(SIZE);
    other = alloc(SIZE);
    far_ = alloc_pinned();
    farther = alloc_pinned();
    begin(NULL);
    OK(cuMemcpyDtoD(near_, other, SIZE)); /* read and written */
    TOOK(NULL, 200);
    begin(NULL);
    OK(cuMemcpyHtoD(near_, pageable, SIZE));
    TOOK(NULL, 1100);
    begin(NULL);
    OK(cuMemcpyDtoH(pageable, near_, SIZE));
    TOOK(NULL, 1100);
    begin(NULL);
    OK(cuMemcpy(far_, near_, SIZE));
    TOOK(NULL, 1100);
    begin(NULL);
    OK(cuMemcpy(far_, farther, SIZE));
    TOOK(NULL, 500);
    begin(NULL);
    OK(cuMemcpyHtoD(near_, pageable, 10000)); /* small enough to be staged */
    TOOK(NULL, 1 + 0.1);
    begin(NULL);
    OK(cuMemsetD8(near_, 1, SIZE));
    OK(cuMemsetD8((CUdeviceptr)far_, 1, SIZE));
    TOOK(NULL, 1100);
    plane.srcDevice = near_;
    plane.dstDevice = other;
    begin(NULL);
    OK(cuMemcpy2D(&plane)); /* 1 MB, although it reaches over ten */
    TOOK(NULL, 20);
    OK(cuMemFree(near_));
    OK(cuMemFree(other));
    OK(cuMemFreeHost((void *)(uintptr_t)far_));
    OK(cuMemFreeHost((void *)(uintptr_t)farther));
    free(pageable);
}
END_TEST

/* One range of addresses, half of it in VRAM and half in host memory. */
START_TEST(a_mapping_of_two_places)
{
    const size_t half = 2 * MIB;
    CUmemAllocationProp near_ = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    CUmemAllocationProp far_ = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location.type = CU_MEM_LOCATION_TYPE_HOST_NUMA};
    CUmemAccessDesc access = {{.type = CU_MEM_LOCATION_TYPE_DEVICE},
                              CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handles[2];
    CUdeviceptr p;

    start_timed(COST);
    OK(cuMemAddressReserve(&p, 2 * half, 0, 0, 0));
    OK(cuMemCreate(&handles[0], half, &near_, 0));
    OK(cuMemCreate(&handles[1], half, &far_, 0));
    for (int i = 0; i < 2; i++)
        OK(cuMemMap(p + (size_t)i * half, half, 0, handles[i], 0));
    OK(cuMemSetAccess(p, 2 * half, &access, 1));
    begin(NULL);
    OK(fill(p, 1, 2 * half / 4, NULL));
    TOOK(NULL, 5 + (double)half / 1e5 + (double)half / 1e4);
    OK(cuMemUnmap(p, 2 * half));
    OK(cuMemRelease(handles[0]));
    OK(cuMemRelease(handles[1]));
    OK(cuMemAddressFree(p, 2 * half));
}
END_TEST

START_TEST(what_waits_starts_later)
{
    CUstream a, b;
    CUevent event;

    start_timed("launch=0us");
    OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, 0));
    begin(a);
    OK(spin(1000, a));
    OK(cuEventRecord(event, a));
    OK(spin(500, a));
    OK(spin(100, b));
    TOOK(b, 100); /* beside each other */
    OK(cuStreamWaitEvent(b, event, 0));
    OK(spin(1, b));
    TOOK(b, 1001); /* after the event, not after the stream */
    OK(cuStreamSynchronize(a));
    OK(cuStreamWaitEvent(b, event, 0)); /* the same when it has long passed */
    OK(spin(1, b));
    TOOK(b, 1501); /* the thread waited for the stream */
    OK(cuStreamDestroy(a));
    OK(cuStreamDestroy(b));
}
END_TEST

START_TEST(the_legacy_stream_orders_time_too)
{
    CUstream blocking;

    start_timed("launch=0us");
    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    begin(NULL);
    OK(spin(300, blocking));
    OK(spin(20, NULL));
    OK(spin(1, blocking));
    TOOK(blocking, 321);
    OK(cuStreamDestroy(blocking));
}
END_TEST

/* The same figures again, however the threads ran. */
START_TEST(time_is_simulated)
{
    CUdeviceptr p;

    start_timed("");
    p = alloc(SIZE);
    begin(NULL);
    for (int i = 0; i < 1000; i++)
        OK(move_bytes(p, 500ull * 1000 * 1000, 0, 0, NULL));
    TOOK(NULL, 1000 * (1000 + 5)); /* the default: 500 GB/s, 5 us */
    OK(cuMemFree(p));
}
END_TEST

START_TEST(without_it_time_is_real)
{
    unsetenv("SIMCUDA_COST");
    start();
    OK(cuEventCreate(&first, 0));
    OK(cuEventCreate(&last, 0));
    begin(NULL);
    OK(spin(3000, NULL));
    ck_assert_double_ge(microseconds(NULL), 3000);
}
END_TEST

START_TEST(content_may_be_left_out)
{
    enum { WORDS = 4096 };
    static uint32_t pattern[WORDS];
    CUdeviceptr p;

    setenv("SIMCUDA_CONTENT", "4KiB", 1);
    start();
    for (int i = 0; i < WORDS; i++)
        pattern[i] = 5;
    p = alloc(sizeof(pattern));
    OK(fill(p, 1, WORDS, NULL)); /* a kernel does all of its work */
    OK(cuMemcpyHtoD(p, pattern, sizeof(pattern)));
    OK(cuMemsetD32(p + 8192, 5, 2048));
    memset(pattern, 0, sizeof(pattern));
    for (int i = 0; i < 4; i++) {
        OK(cuMemcpyDtoH(pattern, p + (size_t)i * 4096, 4096));
        for (int word = 0; word < 1024; word++)
            ck_assert_uint_eq(pattern[word], i % 2 ? 1 : 5);
    }
    OK(cuMemFree(p));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("cost");

    tcase_add_test(tcase, kernels_by_place);
    tcase_add_test(tcase, a_kernel_that_moves_is_checked);
    tcase_add_test(tcase, copies_and_sets_by_place);
    tcase_add_test(tcase, a_mapping_of_two_places);
    tcase_add_test(tcase, what_waits_starts_later);
    tcase_add_test(tcase, the_legacy_stream_orders_time_too);
    tcase_add_test(tcase, time_is_simulated);
    tcase_add_test(tcase, without_it_time_is_real);
    tcase_add_test(tcase, content_may_be_left_out);
    return tcase;
}

int main(void)
{
    return run_suite("cost", cases);
}
