/* test_moves.c: other physical memory behind the same address: who sees it, what it costs, and what
 * may not be under way meanwhile. */
#include "sim_test.h"

#define GRAIN (2 * MIB)
#define WORDS (GRAIN / 4)
#define COST  "vram=100GB/s,pcie=10GB/s,ram=20GB/s,launch=0us"

static CUmemGenericAllocationHandle create(CUmemLocationType type, size_t bytes)
{
    const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {type, 0}};
    CUmemGenericAllocationHandle handle = 0;

    OK(cuMemCreate(&handle, bytes, &prop, 0));
    return handle;
}

/* Maps new memory there, which goes with the mapping. */
static void put(CUdeviceptr p, size_t bytes, CUmemLocationType type)
{
    const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                    CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle = create(type, bytes);

    OK(cuMemMap(p, bytes, 0, handle, 0));
    OK(cuMemSetAccess(p, bytes, &access, 1));
    OK(cuMemRelease(handle));
}

static CUdeviceptr block(size_t bytes, CUmemLocationType type)
{
    CUdeviceptr p;

    OK(cuMemAddressReserve(&p, bytes, 0, 0, 0));
    put(p, bytes, type);
    return p;
}

static void unblock(CUdeviceptr p, size_t bytes)
{
    OK(cuMemUnmap(p, bytes));
    OK(cuMemAddressFree(p, bytes));
}

/* The same bytes at the same address, in the other memory. */
static void move(CUdeviceptr p, size_t bytes, CUmemLocationType type)
{
    const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                    CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle = create(type, bytes);
    CUdeviceptr window;

    OK(cuMemAddressReserve(&window, bytes, 0, 0, 0));
    OK(cuMemMap(window, bytes, 0, handle, 0));
    OK(cuMemSetAccess(window, bytes, &access, 1));
    OK(cuMemcpyDtoDAsync(window, p, bytes, NULL));
    OK(cuCtxSynchronize());
    unblock(window, bytes);
    OK(cuMemUnmap(p, bytes));
    OK(cuMemMap(p, bytes, 0, handle, 0));
    OK(cuMemSetAccess(p, bytes, &access, 1));
    OK(cuMemRelease(handle));
}

#define DOWN CU_MEM_LOCATION_TYPE_HOST_NUMA
#define UP   CU_MEM_LOCATION_TYPE_DEVICE

START_TEST(bytes_follow)
{
    uint64_t words = WORDS;
    CUdeviceptr p, q;
    size_t room;

    setenv("SIMCUDA_VRAM", "8MiB", 1);
    start();
    room = free_bytes();
    p = block(GRAIN, UP);
    q = alloc(GRAIN);
    ck_assert_uint_eq(free_bytes(), room - 2 * GRAIN);
    OK(fill(p, 11, WORDS, NULL));
    move(p, GRAIN, DOWN);
    ck_assert_uint_eq(free_bytes(), room - GRAIN); /* host memory is no VRAM */
    ck_assert_uint_eq(wrong_words(p, 11, WORDS), 0);
    OK(launch(test.copy, NULL, (void *[]){&q, &p, &words})); /* kernels reach it */
    ck_assert_uint_eq(wrong_words(q, 11, WORDS), 0);
    OK(cuMemsetD32(p, 12, WORDS)); /* so do sets and copies */
    OK(cuMemcpyDtoD(q, p, GRAIN));
    ck_assert_uint_eq(wrong_words(q, 12, WORDS), 0);
    OK(fill(q, 13, WORDS, NULL));
    OK(cuMemcpyDtoD(p, q, GRAIN));
    move(p, GRAIN, UP);
    ck_assert_uint_eq(free_bytes(), room - 2 * GRAIN);
    ck_assert_uint_eq(wrong_words(p, 13, WORDS), 0);
    OK(cuMemFree(q));
    unblock(p, GRAIN);
    ck_assert_uint_eq(free_bytes(), room);
}
END_TEST

/* A kernel, a copy from it, a copy to it, a set. */
enum { USES = 4 };
static void use(int which, CUdeviceptr p, CUdeviceptr other, CUstream stream)
{
    if (which == 0)
        OK(fill(p, 1, WORDS, stream));
    else if (which == 1)
        OK(cuMemcpyDtoDAsync(other, p, GRAIN, stream));
    else if (which == 2)
        OK(cuMemcpyDtoDAsync(p, other, GRAIN, stream));
    else
        OK(cuMemsetD8Async(p, 1, GRAIN, stream));
}

/* The address is good again when the work runs; what it was given for is not. */
START_TEST(moved_while_work_waits)
{
    const char *report = scratch("SIMCUDA_REPORT"), *text;
    CUdeviceptr p, q;
    CUstream stream;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    p = block(GRAIN, UP);
    q = alloc(GRAIN);
    OK(spin(50000, stream));
    use(_i, p, q, stream);
    OK(cuMemUnmap(p, GRAIN));
    put(p, GRAIN, DOWN);
    IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    text = slurp(report);
    ck_assert(strstr(text, "cuMemUnmap: d1 is still used by 1 enqueued"));
    ck_assert(strstr(text, "was freed and given to another"));
}
END_TEST

/* A kernel that is at work already: it has a quarter of a gigabyte to read. */
START_TEST(moved_while_work_runs)
{
    const char *report = scratch("SIMCUDA_REPORT");
    const size_t bytes = 256 * MIB;
    uint64_t words = bytes / 4;
    CUdeviceptr p, out;
    CUstream stream;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    p = block(bytes, UP);
    out = alloc(8);
    OK(launch(test.sum, stream, (void *[]){&p, &words, &out}));
    usleep(1000);
    OK(cuMemUnmap(p, bytes));
    put(p, bytes, DOWN);
    IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    ck_assert(strstr(slurp(report), "cuMemUnmap: d1 is still used by 1 enqueued"));
}
END_TEST

/* Between unmap and map, and between map and access: what asks the driver is refused, a kernel
 * finds out when it runs. */
START_TEST(used_between)
{
    const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                    CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    const char *report = scratch("SIMCUDA_REPORT"), *text;
    CUmemGenericAllocationHandle handle;
    CUdeviceptr p, q;
    CUstream stream;

    start();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    p = block(GRAIN, UP);
    q = alloc(GRAIN);
    OK(cuMemUnmap(p, GRAIN));
    handle = create(DOWN, GRAIN);
    if (_i)
        OK(cuMemMap(p, GRAIN, 0, handle, 0));
    IS(cuMemcpyDtoD(q, p, GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemcpyDtoD(p, q, GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemsetD8(p, 1, GRAIN), CUDA_ERROR_INVALID_VALUE);
    ck_assert_str_eq(slurp(report), "");
    OK(spin(50000, stream));
    OK(fill(p, 1, WORDS, stream));
    if (!_i) { /* mapped again before the kernel runs: it was launched for nothing */
        OK(cuMemMap(p, GRAIN, 0, handle, 0));
        OK(cuMemSetAccess(p, GRAIN, &access, 1));
    }
    IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    text = slurp(report);
    ck_assert(
        strstr(text, _i ? "is not mapped for this context" : "was freed and given to another"));
}
END_TEST

/* --- graphs --------------------------------------------------------------------------------------
 */

static CUgraphExec captured(int which, CUdeviceptr p, CUdeviceptr other)
{
    CUgraphExec exec;
    CUstream stream;
    CUgraph graph;

    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    use(which, p, other, stream);
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    OK(cuGraphDestroy(graph));
    OK(cuStreamDestroy(stream));
    return exec;
}

/* The same by nodes that are added: a kernel, a copy, a set. */
static CUgraphExec added(int which, CUdeviceptr p, CUdeviceptr other)
{
    uint32_t value = 1;
    uint64_t words = WORDS;
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = test.fill,
                                      .gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 1,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = (void *[]){&p, &value, &words}};
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = which == 1 ? p : other,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = which == 1 ? other : p,
                          .WidthInBytes = GRAIN,
                          .Height = 1,
                          .Depth = 1};
    CUDA_MEMSET_NODE_PARAMS set = {.dst = p, .elementSize = 1, .width = GRAIN, .height = 1};
    CUgraphExec exec;
    CUgraphNode node;
    CUgraph graph;

    OK(cuGraphCreate(&graph, 0));
    if (which == 0)
        OK(cuGraphAddKernelNode(&node, graph, NULL, 0, &kernel));
    else if (which == 3)
        OK(cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, test.context));
    else
        OK(cuGraphAddMemcpyNode(&node, graph, NULL, 0, &copy, test.context));
    OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    OK(cuGraphDestroy(graph));
    return exec;
}

/* Nodes that copy or set may know what kind of memory they were made for: "the memory operands'
 * mappings" must not change (cuGraphExecMemcpyNodeSetParams, cuGraphExecMemsetNodeSetParams). A
 * kernel knows addresses only. */
START_TEST(moved_under_a_graph)
{
    const char *report = scratch("SIMCUDA_REPORT");
    CUdeviceptr p, q;
    CUgraphExec exec;

    start();
    p = block(GRAIN, UP);
    q = alloc(GRAIN);
    exec = (_i < USES ? captured : added)(_i % USES, p, q);
    OK(cuGraphLaunch(exec, NULL));
    OK(cuCtxSynchronize());
    ck_assert_str_eq(slurp(report), "");
    move(p, GRAIN, DOWN);
    OK(cuGraphLaunch(exec, NULL));
    OK(cuCtxSynchronize());
    if (_i % USES)
        ck_assert(strstr(slurp(report), "the memory was moved since the graph was made"));
    else
        ck_assert_str_eq(slurp(report), "");
    move(p, GRAIN, UP); /* as it was */
    OK(cuGraphLaunch(exec, NULL));
    OK(cuCtxSynchronize());
    ck_assert_str_eq(slurp(report), "");
    OK(cuGraphExecDestroy(exec));
    OK(cuMemFree(q));
    unblock(p, GRAIN);
}
END_TEST

/* --- what it costs -------------------------------------------------------------------------------
 */

static double microseconds(CUevent *two)
{
    float milliseconds;

    OK(cuEventRecord(two[1], NULL));
    OK(cuEventSynchronize(two[1]));
    OK(cuEventElapsedTime(&milliseconds, two[0], two[1]));
    OK(cuEventRecord(two[0], NULL));
    return (double)milliseconds * 1000;
}

#define NEAR_US ((double)GRAIN / 1e5)
#define FAR_US  ((double)GRAIN / 1e4)

/* By where the bytes lie when the work is done, also when a graph was made of it before. */
START_TEST(charged_by_place)
{
    const double both[USES] = {0, NEAR_US, NEAR_US, 0}; /* the side that stays */
    CUevent two[2];
    CUdeviceptr p, q;
    CUgraphExec exec;

    setenv("SIMCUDA_COST", COST, 1);
    setenv("SIMCUDA_REPORT", "/dev/null", 1); /* copies do not move under a graph */
    start();
    for (int i = 0; i < 2; i++)
        OK(cuEventCreate(&two[i], 0));
    p = block(GRAIN, UP);
    q = alloc(GRAIN);
    exec = captured(_i, p, q);
    for (int turn = 0; turn < 2; turn++) {
        double wanted = (turn ? FAR_US : NEAR_US) + both[_i];

        OK(cuEventRecord(two[0], NULL));
        use(_i, p, q, NULL);
        ck_assert_double_eq_tol(microseconds(two), wanted, 0.5);
        OK(cuGraphLaunch(exec, NULL));
        ck_assert_double_eq_tol(microseconds(two), wanted, 0.5);
        if (!turn)
            move(p, GRAIN, DOWN);
    }
    OK(cuGraphExecDestroy(exec));
    OK(cuMemFree(q));
    unblock(p, GRAIN);
}
END_TEST

/* --- much of it ----------------------------------------------------------------------------------
 */

static size_t kib_of(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    size_t kib = 0;

    while (file && fgets(line, sizeof(line), file))
        if (!strncmp(line, key, strlen(key)))
            kib = strtoull(line + strlen(key), NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

/* Larger than this machine's memory may be: only what was written is ever there. */
START_TEST(gigabytes_of_little_content)
{
    const size_t bytes = (size_t)6 << 30;
    uint32_t seen[16] = {0};
    size_t kib, room;
    CUdeviceptr p;

    setenv("SIMCUDA_VRAM", "8GiB", 1);
    setenv("SIMCUDA_CONTENT", "64", 1);
    start();
    room = free_bytes();
    kib = kib_of("VmRSS:");
    p = block(bytes, UP);
    ck_assert_uint_eq(free_bytes(), room - bytes);
    for (size_t i = 0; i < 16; i++) /* as a model's tensors lie in it */
        OK(cuMemsetD32(p + i * (bytes / 17 / 512 * 512), (unsigned)i + 1, 4096));
    for (int turn = 0; turn < 2; turn++) {
        move(p, bytes, turn ? UP : DOWN);
        ck_assert_uint_eq(free_bytes(), turn ? room - bytes : room);
        for (size_t i = 0; i < 16; i++) {
            OK(cuMemcpyDtoH(seen, p + i * (bytes / 17 / 512 * 512), sizeof(seen)));
            for (int word = 0; word < 16; word++)
                ck_assert_uint_eq(seen[word], i + 1);
        }
    }
    ck_assert_uint_le(kib_of("VmRSS:"), kib + (16 << 10));
    unblock(p, bytes);
    ck_assert_uint_eq(free_bytes(), room);
}
END_TEST

/* --- what it is not for --------------------------------------------------------------------------
 */

/* Blocks of cuMemAlloc are no mappings, reservations or handles, and stay what they are. */
START_TEST(not_for_other_memory)
{
    const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                    CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle, found;
    unsigned long long flags;
    CUdeviceptr p;

    start();
    p = alloc(2 * GRAIN);
    OK(fill(p, 5, 2 * WORDS, NULL));
    handle = create(UP, GRAIN);
    IS(cuMemRetainAllocationHandle(&found, (void *)(uintptr_t)p), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemGetAccess(&flags, &access.location, p), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemSetAccess(p, 2 * GRAIN, &access, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemMap(p, GRAIN, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemUnmap(p, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    IS(cuMemAddressFree(p, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(wrong_words(p, 5, 2 * WORDS), 0);
    OK(cuMemRelease(handle));
    OK(cuMemFree(p));
}
END_TEST

static TCase *cases(void)
{
    TCase *tcase = tcase_create("moves");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, bytes_follow);
    tcase_add_loop_test(tcase, moved_while_work_waits, 0, USES);
    tcase_add_test(tcase, moved_while_work_runs);
    tcase_add_loop_test(tcase, used_between, 0, 2);
    tcase_add_loop_test(tcase, moved_under_a_graph, 0, 2 * USES);
    tcase_add_loop_test(tcase, charged_by_place, 0, USES);
    tcase_add_test(tcase, gigabytes_of_little_content);
    tcase_add_test(tcase, not_for_other_memory);
    return tcase;
}

int main(void)
{
    return run_suite("moves", cases);
}
