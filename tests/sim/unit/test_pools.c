/* test_pools.c: allocation and free in stream order, and the pools behind it. */
#include "sim_test.h"

#include <pthread.h>

static cuuint64_t attribute(CUmemoryPool pool, CUmemPool_attribute which)
{
    cuuint64_t value = 0;

    OK(cuMemPoolGetAttribute(pool, which, &value));
    return value;
}

static cuuint64_t reserved(CUmemoryPool pool)
{
    return attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
}

static cuuint64_t used(CUmemoryPool pool)
{
    return attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
}

static CUmemoryPool standard_pool(void)
{
    CUmemoryPool pool;

    OK(cuDeviceGetDefaultMemPool(&pool, 0));
    return pool;
}

static void keep_at_least(CUmemoryPool pool, cuuint64_t bytes)
{
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &bytes));
}

static CUstream new_stream(void)
{
    CUstream stream;

    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

static CUdeviceptr alloc_in(size_t bytes, CUstream stream)
{
    CUdeviceptr p = 0;

    OK(cuMemAllocAsync(&p, bytes, stream));
    return p;
}

static CUmemoryPool new_pool(CUmemLocationType type, int id, size_t most)
{
    CUmemPoolProps props = {
        .allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {type, id}, .maxSize = most};
    CUmemoryPool pool;

    OK(cuMemPoolCreate(&pool, &props));
    return pool;
}

START_TEST(used_in_stream_order)
{
    CUstream stream;
    CUdeviceptr p;
    CUmemoryPool pool;

    start();
    stream = new_stream();
    OK(spin(5000, stream));
    p = alloc_in(MIB, stream);
    OK(fill(p, 7, MIB / 4, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(p, 7, MIB / 4), 0);
    OK(cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    ck_assert_ptr_eq(pool, standard_pool());
    OK(cuMemFreeAsync(p, stream));
    IS(cuMemFreeAsync(p, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamSynchronize(stream));
    IS(cuMemFreeAsync(p, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAllocAsync(&p, 0, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAllocAsync(NULL, 1, stream), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAllocAsync(&p, SIZE_MAX, stream), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemFreeAsync(0, stream));
    OK(cuStreamDestroy(stream));
}
END_TEST

/* 0: by another stream before the allocation; 1: in the stream after the free; 2: by another stream
 * while the free is under way. */
START_TEST(used_out_of_order)
{
    static const char *const said[] = {"is not allocated yet in stream order", "was freed",
                                       "was freed by a call before"};
    const char *report = scratch("SIMCUDA_REPORT");
    CUstream first, second;
    CUdeviceptr p;

    start();
    first = new_stream();
    second = new_stream();
    OK(spin(50000, first));
    p = alloc_in(4096, first);
    if (_i)
        OK(cuMemFreeAsync(p, first));
    OK(fill(p, 1, 1024, _i == 1 ? first : second));
    IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert_msg(strstr(slurp(report), said[_i]) != NULL, "not reported");
}
END_TEST

START_TEST(the_same_stream_gets_it_back_at_once)
{
    CUstream first, second;
    CUdeviceptr p, q, other;
    CUmemoryPool pool;

    start();
    pool = standard_pool();
    keep_at_least(pool, UINT64_MAX);
    first = new_stream();
    second = new_stream();
    p = alloc_in(MIB, first);
    OK(fill(p, 1, MIB / 4, first));
    OK(spin(20000, first));
    OK(fill(p, 2, MIB / 4, first)); /* runs after the next three calls, on the old block */
    OK(cuMemFreeAsync(p, first));
    ck_assert_uint_eq(used(pool), 0);
    other = alloc_in(MIB, second); /* not another stream */
    ck_assert_uint_ne(other, p);
    q = alloc_in(MIB, first);
    ck_assert_uint_eq(q, p);
    ck_assert_uint_eq(used(pool), 2 * MIB);
    OK(fill(q, 3, MIB / 4, first));
    OK(cuStreamSynchronize(first));
    ck_assert_uint_eq(wrong_words(q, 3, MIB / 4), 0);
    ck_assert_uint_eq(reserved(pool), 2 * MIB);
    OK(cuMemFreeAsync(q, second)); /* on another stream than it came from */
    OK(cuMemFreeAsync(other, second));
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(used(pool), 0);
}
END_TEST

START_TEST(a_block_may_go_before_its_predecessor)
{
    CUstream first, second;
    CUmemoryPool pool;
    CUdeviceptr p, q;
    size_t before;

    start();
    before = free_bytes();
    first = new_stream();
    second = new_stream();
    pool = new_pool(CU_MEM_LOCATION_TYPE_DEVICE, 0, 0);
    keep_at_least(pool, UINT64_MAX);
    OK(cuMemAllocFromPoolAsync(&p, MIB, pool, first));
    OK(cuStreamSynchronize(first));
    OK(spin(50000, first));
    OK(cuMemFreeAsync(p, first));
    OK(cuMemAllocFromPoolAsync(&q, MIB, pool, first));
    ck_assert_uint_eq(q, p);
    OK(cuMemFreeAsync(q, second)); /* not ordered: wrong, and survived */
    OK(cuStreamSynchronize(second));
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(used(pool), 0);
    OK(cuMemPoolDestroy(pool)); /* nothing of it is left */
    ck_assert_uint_eq(free_bytes(), before);
}
END_TEST

/* "This API will not perform any implicit synchronization when the pointer was allocated with
 * cuMemAllocAsync": unlike for memory of cuMemAlloc. */
START_TEST(cumemfree_does_not_wait)
{
    CUstream stream;
    CUdeviceptr p;

    start();
    stream = new_stream();
    p = _i ? alloc(MIB) : alloc_in(MIB, stream);
    OK(cuStreamSynchronize(stream));
    OK(spin(100000, stream));
    OK(cuMemFree(p));
    IS(cuStreamQuery(stream), _i ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY);
    OK(cuStreamSynchronize(stream));
}
END_TEST

START_TEST(what_a_pool_holds)
{
    CUmemoryPool pool;
    CUstream stream;
    CUdeviceptr p, q;
    size_t before;

    start();
    pool = standard_pool();
    stream = new_stream();
    before = free_bytes();
    keep_at_least(pool, 6 * MIB);
    p = alloc_in(3 * MIB, stream);
    q = alloc_in(7 * MIB, stream);
    ck_assert_uint_eq(used(pool), 10 * MIB);
    ck_assert_uint_eq(reserved(pool), 10 * MIB);
    ck_assert_uint_eq(before - free_bytes(), 10 * MIB);
    OK(cuMemFreeAsync(q, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(used(pool), 3 * MIB);
    ck_assert_uint_eq(reserved(pool), 6 * MIB);
    ck_assert_uint_eq(before - free_bytes(), 6 * MIB); /* what is reserved is taken */
    OK(cuMemPoolTrimTo(pool, 5 * MIB));
    ck_assert_uint_eq(reserved(pool), 6 * MIB); /* whole chunks */
    OK(cuMemPoolTrimTo(pool, 0));
    ck_assert_uint_eq(reserved(pool), 4 * MIB); /* p is there still */
    OK(cuMemFree(p));                           /* legal, at once */
    ck_assert_uint_eq(used(pool), 0);
    ck_assert_uint_eq(reserved(pool), 4 * MIB);
    OK(cuMemPoolTrimTo(pool, 0));
    ck_assert_uint_eq(free_bytes(), before);
    ck_assert_uint_eq(attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH), 10 * MIB);
    ck_assert_uint_eq(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 10 * MIB);
    OK(cuStreamDestroy(stream));
}
END_TEST

START_TEST(released_at_each_kind_of_synchronisation)
{
    CUmemoryPool pool;
    CUstream stream;
    CUevent event;

    start();
    pool = standard_pool();
    stream = new_stream();
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuMemFreeAsync(alloc_in(MIB, stream), stream));
    while (cuStreamQuery(stream) == CUDA_ERROR_NOT_READY)
        ;
    ck_assert_uint_eq(reserved(pool), 2 * MIB); /* a query is none */
    OK(cuEventRecord(event, stream));
    if (_i == 0)
        OK(cuStreamSynchronize(stream));
    else if (_i == 1)
        OK(cuEventSynchronize(event));
    else
        OK(cuCtxSynchronize());
    ck_assert_uint_eq(reserved(pool), 0);
}
END_TEST

START_TEST(attributes_and_their_rules)
{
    cuuint64_t zero = 0, one = 1;
    CUmemoryPool pool;
    CUstream stream;
    CUdeviceptr p;
    int flag;

    start();
    pool = standard_pool();
    stream = new_stream();
    for (int i = CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES;
         i <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES; i++) {
        OK(cuMemPoolGetAttribute(pool, (CUmemPool_attribute)i, &flag));
        ck_assert_int_eq(flag, 1);
        flag = 0;
        OK(cuMemPoolSetAttribute(pool, (CUmemPool_attribute)i, &flag));
        flag = 77;
        OK(cuMemPoolGetAttribute(pool, (CUmemPool_attribute)i, &flag));
        ck_assert_int_eq(flag, 0);
    }
    ck_assert_uint_eq(attribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), 0);
    p = alloc_in(MIB, stream);
    OK(cuMemFreeAsync(alloc_in(3 * MIB, stream), stream));
    OK(cuStreamSynchronize(stream));
    IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &one), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &zero),
       CUDA_ERROR_INVALID_VALUE);
    IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &zero),
       CUDA_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 4 * MIB);
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, &zero));
    ck_assert_uint_eq(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), MIB);
    ck_assert_uint_eq(attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH), 2 * MIB);
    IS(cuMemPoolGetAttribute(pool, (CUmemPool_attribute)9, &zero), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemPoolGetAttribute(NULL, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
}
END_TEST

START_TEST(a_full_card_waits_for_frees)
{
    CUstream first, second;
    CUdeviceptr p, q;

    setenv("SIMCUDA_VRAM", "4MiB", 1);
    start();
    first = new_stream();
    second = new_stream();
    p = alloc_in(3 * MIB, first);
    ck_assert_uint_eq(free_bytes(), 0);
    IS(cuMemAllocAsync(&q, 3 * MIB, second), CUDA_ERROR_OUT_OF_MEMORY);
    IS(cuMemAlloc(&q, 512), CUDA_ERROR_OUT_OF_MEMORY);
    OK(spin(20000, first));
    OK(cuMemFreeAsync(p, first));
    q = alloc_in(3 * MIB, second); /* waits for it */
    OK(cuMemFreeAsync(q, second));
    OK(cuCtxSynchronize());
    q = alloc(4 * MIB);
    OK(cuMemFree(q));
    /* Idle memory of a pool is not there for others until it is trimmed. */
    keep_at_least(standard_pool(), UINT64_MAX);
    OK(cuMemFreeAsync(alloc_in(MIB, first), first));
    OK(cuCtxSynchronize());
    IS(cuMemAlloc(&q, 4 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemPoolTrimTo(standard_pool(), 0));
    OK(cuMemFree(alloc(4 * MIB)));
}
END_TEST

START_TEST(blocks_of_cumemalloc_freed_in_stream_order)
{
    CUstream stream;
    CUdeviceptr p;
    size_t before;

    start();
    stream = new_stream();
    before = free_bytes();
    p = alloc(MIB);
    OK(spin(10000, stream));
    OK(fill(p, 1, MIB / 4, stream));
    OK(cuMemFreeAsync(p, stream));
    ck_assert_uint_eq(free_bytes(), before - MIB);
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(free_bytes(), before);
}
END_TEST

START_TEST(pools_of_ones_own)
{
    CUmemoryPool pool, current;
    CUstream stream;
    CUdeviceptr p, q;
    size_t before;

    start();
    before = free_bytes();
    stream = new_stream();
    pool = new_pool(CU_MEM_LOCATION_TYPE_DEVICE, 0, 4 * MIB);
    OK(cuMemAllocFromPoolAsync(&p, 3 * MIB, pool, stream));
    IS(cuMemAllocFromPoolAsync(&q, 2 * MIB, pool, stream),
       CUDA_ERROR_OUT_OF_MEMORY); /* its limit */
    IS(cuMemAllocFromPoolAsync(&q, MIB, NULL, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuDeviceSetMemPool(0, pool));
    OK(cuDeviceGetMemPool(&current, 0));
    ck_assert_ptr_eq(current, pool);
    OK(cuMemAllocAsync(&q, MIB, stream));
    ck_assert_uint_eq(used(pool), 4 * MIB);
    ck_assert_uint_eq(used(standard_pool()), 0);
    OK(cuMemPoolDestroy(pool)); /* its blocks live on */
    IS(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
    IS(cuDeviceSetMemPool(0, pool), CUDA_ERROR_INVALID_VALUE);
    OK(cuDeviceGetMemPool(&current, 0));
    ck_assert_ptr_eq(current, standard_pool());
    OK(fill(p, 9, MIB / 4, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(wrong_words(p, 9, MIB / 4), 0);
    OK(cuMemFreeAsync(p, stream));
    OK(cuMemFreeAsync(q, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(free_bytes(), before);
    IS(cuMemPoolDestroy(standard_pool()), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(which_pools_there_are)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool pool;
    int can;

    start();
    OK(cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0));
    ck_assert_int_eq(can, 1);
    OK(cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED, 0));
    ck_assert_int_eq(can, 1);
    IS(cuMemPoolCreate(NULL, &props), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemPoolCreate(&pool, NULL), CUDA_ERROR_INVALID_VALUE);
    props.reserved[52] = 1;
    IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_VALUE);
    props.reserved[52] = 0;
    props.allocType = CU_MEM_ALLOCATION_TYPE_INVALID;
    IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_VALUE);
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location.id = 7;
    IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_DEVICE);
    props.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, 7};
    IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_VALUE);
    props.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, 0};
    IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_VALUE);
    props.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 7}; /* the id is ignored */
    OK(cuMemPoolCreate(&pool, &props));
    OK(cuMemPoolDestroy(pool));
    props.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* Host memory: the CPU's own at first, a device's when it is granted. */
START_TEST(pools_of_host_memory)
{
    const CUmemAccessDesc grant = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                   CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, host = {CU_MEM_LOCATION_TYPE_HOST, 0};
    CUmemAccess_flags flags;
    CUmemoryPool pool, got;
    CUstream stream;
    CUdeviceptr p, q;
    unsigned type;
    size_t before;

    start();
    before = free_bytes();
    stream = new_stream();
    pool = new_pool(_i ? CU_MEM_LOCATION_TYPE_HOST : CU_MEM_LOCATION_TYPE_HOST_NUMA, 0, 0);
    OK(cuMemPoolGetAccess(&flags, pool, &device));
    ck_assert_int_eq(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    OK(cuMemPoolGetAccess(&flags, pool, &host));
    ck_assert_int_eq(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    OK(cuMemAllocFromPoolAsync(&p, MIB, pool, stream));
    OK(cuStreamSynchronize(stream));
    memset((void *)(uintptr_t)p, 0, MIB);
    IS(cuMemsetD32(p, 1, 4), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemPoolSetAccess(pool, &grant, 1));
    OK(fill(p, 5, MIB / 4, stream));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(((uint32_t *)(uintptr_t)p)[MIB / 4 - 1], 5);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    ck_assert_uint_eq(type, CU_MEMORYTYPE_HOST);
    OK(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    ck_assert_ptr_eq(got, pool);
    IS(cuMemFreeHost((void *)(uintptr_t)p), CUDA_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(free_bytes(), before);
    ck_assert_uint_eq(reserved(pool), 2 * MIB);
    OK(cuMemFreeAsync(p, stream));
    OK(cuMemAllocFromPoolAsync(&q, MIB, pool, stream));
    ck_assert_uint_eq(p, q);
    OK(cuMemFree(q));
    OK(cuStreamSynchronize(stream));
    ck_assert_uint_eq(reserved(pool), 0);
    OK(cuMemPoolDestroy(pool));
}
END_TEST

START_TEST(default_and_current_by_location)
{
    CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, host = {CU_MEM_LOCATION_TYPE_HOST, 0};
    CUmemoryPool pool, other, own;

    start();
    OK(cuMemGetDefaultMemPool(&pool, &device, CU_MEM_ALLOCATION_TYPE_PINNED));
    ck_assert_ptr_eq(pool, standard_pool());
    OK(cuMemGetDefaultMemPool(&pool, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
    OK(cuMemGetMemPool(&other, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
    ck_assert_ptr_eq(pool, other);
    own = new_pool(CU_MEM_LOCATION_TYPE_HOST, 0, 0);
    OK(cuMemSetMemPool(&host, CU_MEM_ALLOCATION_TYPE_PINNED, own));
    OK(cuMemGetMemPool(&other, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
    ck_assert_ptr_eq(own, other);
    IS(cuMemSetMemPool(&device, CU_MEM_ALLOCATION_TYPE_PINNED, own), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemGetMemPool(&other, &host, CU_MEM_ALLOCATION_TYPE_MANAGED), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuMemPoolDestroy(own));
    OK(cuMemGetMemPool(&other, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
    ck_assert_ptr_eq(pool, other);
}
END_TEST

START_TEST(access_from_another_card)
{
    CUmemAccessDesc desc = {{CU_MEM_LOCATION_TYPE_DEVICE, 1}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUcontext second;
    CUdeviceptr p;
    CUstream stream;

    setenv("SIMCUDA_DEVICES", "2", 1);
    start();
    p = alloc_in(4096, NULL);
    OK(cuCtxSynchronize());
    OK(cuDevicePrimaryCtxRetain(&second, 1));
    OK(cuCtxPushCurrent(second));
    OK(cuCtxEnablePeerAccess(test.context, 0)); /* says nothing about pools */
    IS(cuMemsetD32(p, 1, 4), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemPoolSetAccess(standard_pool(), &desc, 1));
    OK(cuMemsetD32(p, 1, 4));
    OK(cuCtxSynchronize());
    desc.location.id = 0;
    desc.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE; /* its own card's */
    IS(cuMemPoolSetAccess(standard_pool(), &desc, 1), CUDA_ERROR_INVALID_VALUE);
    desc.location.id = 9;
    IS(cuMemPoolSetAccess(standard_pool(), &desc, 1), CUDA_ERROR_INVALID_DEVICE);
    /* A pool of another card than the stream's. */
    stream = new_stream();
    OK(cuMemFreeAsync(p, stream));
    OK(cuMemAllocFromPoolAsync(&p, 4096, standard_pool(), stream));
    OK(cuMemFreeAsync(p, stream));
    OK(cuStreamSynchronize(stream));
}
END_TEST

#define THREADS 4
#define ROUNDS  150

/* Each with a stream of its own: what it writes it reads back, whoever has had the memory before.
 */
static void *churn(void *argument)
{
    uint32_t mine = (uint32_t)(uintptr_t)argument, wrong;
    CUdeviceptr p, q, count;
    uint64_t words;
    CUstream stream;

    OK(cuCtxSetCurrent(test.context));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc(&count, 8));
    OK(cuMemsetD32Async(count, 0, 2, stream));
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t value = mine * ROUNDS + i;

        words = 64 << (i % 5);
        OK(cuMemAllocAsync(&p, words * 4, stream));
        OK(fill(p, value, words, stream));
        OK(cuMemAllocAsync(&q, words * 4, stream));
        OK(launch(test.copy, stream, (void *[]){&q, &p, &words}));
        OK(cuMemFreeAsync(p, stream));
        OK(launch(test.check, stream, (void *[]){&q, &value, &words, &count}));
        OK(cuMemFreeAsync(q, stream));
        if (i % 50 == 49)
            OK(cuStreamSynchronize(stream));
    }
    OK(cuMemcpyDtoHAsync(&wrong, count, 4, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuMemFree(count));
    return (void *)(uintptr_t)wrong;
}

START_TEST(many_threads)
{
    const char *report = scratch("SIMCUDA_REPORT");
    pthread_t threads[THREADS];
    void *wrong;

    start();
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    ck_assert_uint_eq(used(standard_pool()), 0);
    OK(cuCtxSynchronize());
    ck_assert_uint_eq(reserved(standard_pool()), 0);
    ck_assert_str_eq(slurp(report), "");
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("pools");

    tcase_add_test(tcase, used_in_stream_order);
    tcase_add_loop_test(tcase, used_out_of_order, 0, 3);
    tcase_add_test(tcase, the_same_stream_gets_it_back_at_once);
    tcase_add_test(tcase, a_block_may_go_before_its_predecessor);
    tcase_add_loop_test(tcase, cumemfree_does_not_wait, 0, 2);
    tcase_add_test(tcase, what_a_pool_holds);
    tcase_add_loop_test(tcase, released_at_each_kind_of_synchronisation, 0, 3);
    tcase_add_test(tcase, attributes_and_their_rules);
    tcase_add_test(tcase, a_full_card_waits_for_frees);
    tcase_add_test(tcase, blocks_of_cumemalloc_freed_in_stream_order);
    tcase_add_test(tcase, pools_of_ones_own);
    tcase_add_test(tcase, which_pools_there_are);
    tcase_add_loop_test(tcase, pools_of_host_memory, 0, 2);
    tcase_add_test(tcase, default_and_current_by_location);
    tcase_add_test(tcase, access_from_another_card);
    tcase_add_test(tcase, many_threads);
    return tcase;
}

int main(void)
{
    return run_suite("pools", cases);
}
