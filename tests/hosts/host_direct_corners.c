/* Corners that a careful reader would try; each prints what the driver's rules ask for.
 *
 *   host_direct_corners CASE
 */
#define HOST_DIRECT
#include "host.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* A copy or set of nothing, at a block's end and past it. */
static void empty_copies(void)
{
    CUdeviceptr p;
    uint32_t word = 0;

    MUST(cuMemAlloc(&p, 2 * MIB));
    host_show("copy of nothing to the end", cuMemcpyHtoD(p + 2 * MIB, &word, 0));
    host_show("copy of nothing from the end", cuMemcpyDtoH(&word, p + 2 * MIB, 0));
    host_show("set of nothing at the end", cuMemsetD8(p + 2 * MIB, 0, 0));
    MUST(cuMemFree(p));
}

/* Two layers of `bytes` each. */
static CUDA_MEMCPY3D_BATCH_OP box_of(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return (CUDA_MEMCPY3D_BATCH_OP){
        .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr.ptr = from},
        .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr.ptr = to},
        .extent = {1024, bytes / 1024, 2},
        .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
}

/* An array's elements count for both sides; a block's address given as the host's. */
static void over_the_end_beside_arrays(void)
{
    const CUDA_ARRAY_DESCRIPTOR shape = {
        .Width = 1024, .Height = 0, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4};
    CUdeviceptr p, neighbour;
    uint32_t found = 0;
    CUstream stream;
    CUarray array;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuArrayCreate(&array, &shape));
    MUST(cuMemAlloc(&p, MIB));
    MUST(cuMemAlloc(&neighbour, MIB));
    MUST(cuMemsetD32(p, 1, MIB / 4));
    MUST(cuMemsetD32(neighbour, 2, MIB / 4));
    MUST(cuMemcpyDtoA(array, 0, p, 16384));
    MUST(cuCtxSynchronize());
    for (size_t over = 0; over < 2; over++) {
        CUdeviceptr last = p + MIB - 16384 + 16 * over;
        CUDA_MEMCPY3D_BATCH_OP op = {
            .src = {.type = CU_MEMCPY_OPERAND_TYPE_ARRAY, .op.array.array = array},
            .dst = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr.ptr = last},
            .extent = {1024, 1, 1},
            .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};

        host_show("from an array", cuMemcpy3DBatchAsync(1, &op, 0, stream));
        MUST(cuStreamSynchronize(stream));
    }
    host_show("over the end as the host's",
              cuMemcpyAtoH((void *)(p + MIB - 16384 + 16), array, 0, 16384));
    host_show("and back", cuMemcpyHtoA(array, 0, (void *)(p + MIB - 16384 + 16), 16384));
    MUST(cuMemcpyDtoH(&found, neighbour, 4));
    printf("neighbour %u\n", found);
    MUST(cuMemFree(p));
    MUST(cuMemFree(neighbour));
    MUST(cuArrayDestroy(array));
    MUST(cuStreamDestroy(stream));
}

/* Copies in batches and between peers that run one byte over a block's end: its neighbour keeps
 * all. */
static void over_the_end(void)
{
    CUdeviceptr p, neighbour, source;
    CUmemcpyAttributes attributes = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    uint32_t found[2] = {0};
    size_t first = 0;
    CUstream stream;

    MUST(cuMemAlloc(&p, 2 * MIB));
    MUST(cuMemAlloc(&neighbour, 2 * MIB));
    MUST(cuMemAlloc(&source, 4 * MIB));
    MUST(cuMemsetD32(p, 1, 2 * MIB / 4));
    MUST(cuMemsetD32(neighbour, 2, 2 * MIB / 4));
    MUST(cuMemsetD32(source, 3, 4 * MIB / 4));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (size_t over = 0; over < 2; over++) {
        CUdeviceptr dsts[] = {p, p + MIB}, srcs[] = {source, source};
        size_t sizes[] = {MIB, MIB + over};
        CUDA_MEMCPY3D_PEER peer = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                                   .srcDevice = source,
                                   .srcContext = host.context,
                                   .srcPitch = MIB,
                                   .srcHeight = 1,
                                   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                   .dstDevice = p + over,
                                   .dstContext = host.context,
                                   .dstPitch = MIB,
                                   .dstHeight = 1,
                                   .WidthInBytes = MIB,
                                   .Height = 1,
                                   .Depth = 2};
        host_show("batch",
                  cuMemcpyBatchAsync(dsts, srcs, sizes, 2, &attributes, &first, 1, stream));
        MUST(cuStreamSynchronize(stream));
        host_show("3D between peers", cuMemcpy3DPeer(&peer));
        CUDA_MEMCPY3D_BATCH_OP boxes[] = {box_of(p, source, MIB / 2),
                                          box_of(p + over, source, MIB)};
        host_show("batch of boxes", cuMemcpy3DBatchAsync(2, boxes, 0, stream));
        MUST(cuStreamSynchronize(stream));
    }
    MUST(cuMemcpyDtoH(&found[0], p + 2 * MIB - 4, 4));
    MUST(cuMemcpyDtoH(&found[1], neighbour, 4));
    printf("end %u neighbour %u\n", found[0], found[1]);
    MUST(cuStreamDestroy(stream));
    MUST(cuMemFree(p));
    MUST(cuMemFree(neighbour));
    MUST(cuMemFree(source));
}

/* A block of one context is freed in a stream of another, under work that still waits there. With
 * `mode` while a third stream captures. */
static void free_in_other_contexts_stream(const CUstreamCaptureMode *mode)
{
    CUstream captured = NULL;
    CUgraph graph;
    uint32_t value = 7, found = 0;
    uint64_t delay = 200000, words = 2 * MIB / 4;
    CUdeviceptr p, q;
    CUcontext other;
    CUmodule module;
    CUfunction fill, spin;
    CUstream stream;

    if (mode)
        MUST(cuStreamCreate(&captured, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc(&p, 2 * MIB));
    MUST(cuCtxCreate_v2(&other, 0, host.device));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuModuleLoadData(&module, host_ptx));
    MUST(cuModuleGetFunction(&fill, module, "fill"));
    MUST(cuModuleGetFunction(&spin, module, "spin"));
    void *delay_params[] = {&delay}, *fill_params[] = {&p, &value, &words};
    MUST(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, delay_params, NULL));
    MUST(cuLaunchKernel(fill, 64, 1, 1, 256, 1, 1, 0, stream, fill_params, NULL));
    if (mode)
        MUST(cuStreamBeginCapture(captured, *mode));
    host_show("free in the other context's stream", cuMemFreeAsync(p, stream));
    if (mode) {
        host_show("end", cuStreamEndCapture(captured, &graph));
        MUST(cuGraphDestroy(graph));
        MUST(cuStreamDestroy(captured));
    }
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuMemAlloc(&q, 2 * MIB));
    MUST(cuMemsetD32(q, 1, words));
    MUST(cuCtxSynchronize());
    MUST(cuCtxSetCurrent(other));
    MUST(cuCtxSynchronize());
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuMemcpyDtoH(&found, q, sizeof found));
    printf("found %u\n", found);
    MUST(cuMemFree(q));
    MUST(cuCtxDestroy(other));
}

static void other_contexts_stream(void)
{
    free_in_other_contexts_stream(NULL);
}

static void other_contexts_stream_beside_a_capture(void)
{
    const CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

    free_in_other_contexts_stream(&mode);
}

/* A capture ends with its stream; what is allocated afterwards is placed as ever. */
static void abandoned_capture(void)
{
    CUdeviceptr p[4];
    CUstream stream;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    host_show("destroy", cuStreamDestroy(stream));
    for (int i = 0; i < 4; i++)
        MUST(cuMemAlloc(&p[i], 4 * MIB));
    for (int i = 0; i < 4; i++)
        MUST(cuMemFree(p[i]));
}

/* A capture may end while another context than its stream's is current. When that stream's context
 * has ended too, the next capture is one all the same. */
static void capture_ended_elsewhere(void)
{
    CUcontext other;
    CUstream captured, stream;
    CUgraph graph = NULL;
    CUdeviceptr p = 0;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAllocAsync(&p, 2 * MIB, stream));
    MUST(cuCtxCreate_v2(&other, 0, host.device));
    MUST(cuStreamCreate(&captured, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamBeginCapture(captured, CU_STREAM_CAPTURE_MODE_RELAXED));
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuStreamEndCapture(captured, &graph));
    MUST(cuGraphDestroy(graph));
    MUST(cuCtxDestroy(other));
    MUST(cuStreamCreate(&captured, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamBeginCapture(captured, CU_STREAM_CAPTURE_MODE_GLOBAL));
    MUST(cuMemFreeAsync(p, stream));
    MUST(cuMemAllocAsync(&p, 5 * MIB / 2, stream));
    host_show("end", cuStreamEndCapture(captured, &graph));
    MUST(cuGraphDestroy(graph));
    MUST(cuMemFreeAsync(p, stream));
    MUST(cuStreamDestroy(captured));
    MUST(cuStreamDestroy(stream));
}

/* Beside a capture that forbids whatever is unsafe: allocation in another stream, and the end of
 * another context. The capture is none the worse. */
static void beside_a_capture(void)
{
    CUcontext other;
    CUstream captured, stream;
    CUgraph graph = NULL;
    CUdeviceptr p = 0;

    MUST(cuStreamCreate(&captured, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuCtxCreate_v2(&other, 0, host.device));
    MUST(cuMemAlloc(&p, 2 * MIB));
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuStreamBeginCapture(captured, CU_STREAM_CAPTURE_MODE_GLOBAL));
    MUST(cuCtxDestroy(other));
    host_show("48 MiB", cuMemAllocAsync(&p, 48 * MIB, stream));
    host_show("end", cuStreamEndCapture(captured, &graph));
    if (graph)
        MUST(cuGraphDestroy(graph));
    MUST(cuMemFreeAsync(p, stream));
    MUST(cuStreamDestroy(stream));
    MUST(cuStreamDestroy(captured));
}

/* A block's own context is enough to free it: numba frees after it has popped every context. */
static void no_context(void)
{
    CUdeviceptr p;

    MUST(cuMemAlloc(&p, 2 * MIB));
    MUST(cuCtxSetCurrent(NULL));
    host_show("free", cuMemFree(p));
    MUST(cuCtxSetCurrent(host.context));
    host_show("free again", cuMemFree(p));
}

/* One place in stream order for smaller and smaller blocks, and then the large one again. */
static void shrinking(void)
{
    CUdeviceptr p, q[7];
    CUstream stream;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (size_t bytes = 64 * MIB; bytes > MIB; bytes = bytes / 100 * 85) {
        MUST(cuMemAllocAsync(&p, bytes, stream));
        MUST(cuMemFreeAsync(p, stream));
    }
    MUST(cuMemAllocAsync(&p, MIB, stream));
    MUST(cuStreamSynchronize(stream));
    for (int i = 0; i < 7; i++)
        host_show("8 MiB", cuMemAlloc(&q[i], 8 * MIB));
    for (int i = 0; i < 7; i++)
        MUST(cuMemFree(q[i]));
    MUST(cuMemFreeAsync(p, stream));
    MUST(cuStreamDestroy(stream));
}

/* A pool that keeps what is freed: a budget must not take that for somebody else's, and a
 * synchronous allocation must be able to have it. */
static void kept_by(CUmemoryPool pool)
{
    cuuint64_t threshold = UINT64_MAX;
    CUdeviceptr p, q;

    MUST(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    MUST(cuMemAllocFromPoolAsync(&p, 40 * MIB, pool, NULL));
    MUST(cuMemFreeAsync(p, NULL));
    MUST(cuCtxSynchronize());
    MUST(cuMemAllocFromPoolAsync(&p, 40 * MIB, pool, NULL)); /* the very same */
    MUST(cuMemFreeAsync(p, NULL));
    MUST(cuCtxSynchronize());
    MUST(cuMemAlloc(&q, 30 * MIB));
    MUST(cuMemFree(q));
}

static void kept_by_the_pool(void)
{
    CUmemoryPool pool;

    MUST(cuDeviceGetMemPool(&pool, host.device));
    kept_by(pool);
}

static void kept_by_a_pool_of_its_own(void)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool pool;

    MUST(cuMemPoolCreate(&pool, &props));
    kept_by(pool);
    MUST(cuMemPoolDestroy(pool));
}

static void *allocate(void *arg)
{
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuMemAlloc(arg, 2 * MIB));
    return NULL;
}

/* Eight threads allocate for the first time at once. */
static void all_at_once(void)
{
    CUdeviceptr p[8];
    pthread_t thread[8];

    for (int i = 0; i < 8; i++)
        REQUIRE(!pthread_create(&thread[i], NULL, allocate, &p[i]));
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
        MUST(cuMemFree(p[i]));
    }
}

/* A child is forked before CUDA is initialised, and uses it. */
static int fork_first(void)
{
    int status;
    size_t ignored;

    host_show("before", cuMemGetInfo(&ignored, &ignored));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        CUdeviceptr p[4];
        host_open(&host_direct);
        for (int i = 0; i < 4; i++)
            MUST(cuMemAlloc(&p[i], 4 * MIB));
        printf("child: allocated\n");
        exit(0);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    return WEXITSTATUS(status);
}

/* A child of a bare system call, which runs no handler of fork(), ends as programs do. */
static void cloned_child(void)
{
    CUdeviceptr p;
    int status;

    MUST(cuMemAlloc(&p, 4 * MIB));
    fflush(stdout);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        exit(7);
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    MUST(cuMemFree(p));
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"cloned-child", cloned_child},
    {"empty-copies", empty_copies},
    {"over-the-end", over_the_end},
    {"over-the-end-beside-arrays", over_the_end_beside_arrays},
    {"other-contexts-stream", other_contexts_stream},
    {"other-contexts-stream-beside-a-capture", other_contexts_stream_beside_a_capture},
    {"abandoned-capture", abandoned_capture},
    {"capture-ended-elsewhere", capture_ended_elsewhere},
    {"beside-a-capture", beside_a_capture},
    {"no-context", no_context},
    {"shrinking", shrinking},
    {"kept-by-the-pool", kept_by_the_pool},
    {"kept-by-its-own-pool", kept_by_a_pool_of_its_own},
    {"all-at-once", all_at_once},
};

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    host.cu = &host_direct;
    if (strcmp(name, "fork-first") == 0)
        return fork_first();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, name) != 0)
            continue;
        host_open(&host_direct);
        cases[i].run();
        host_close();
        printf("done\n");
        return 0;
    }
    return 2;
}
