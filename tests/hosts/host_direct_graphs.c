/* Captured graphs and the memory that they use, in each mode of capture: blocks that were allocated
 * before, memory of the graph's own, allocations and frees on another stream meanwhile. The graph
 * is launched again and again while other memory comes and goes. */
#define HOST_DIRECT
#include "host.h"

#define SIZE     ((size_t)4 << 20)
#define WORDS    (SIZE / 4)
#define LAUNCHES 3

static CUdeviceptr block, ordered;
static CUstream stream, other;

static uint32_t first_word(CUdeviceptr p)
{
    uint32_t word = 0;

    MUST(cuMemcpyDtoH(&word, p, sizeof word));
    return word;
}

/* What is freed here waits for work on `other`; what is allocated next may take its place. */
static void meanwhile(void)
{
    CUdeviceptr p;

    MUST(cuMemAllocAsync(&p, SIZE, other));
    MUST(cuMemsetD32Async(p, 0xbad, WORDS, other));
    host_spin(500, other);
    MUST(cuMemFreeAsync(p, other));
}

/* ordered = block = block + 1, by way of memory that is the graph's own. */
static CUgraphExec capture(CUstreamCaptureMode mode)
{
    CUdeviceptr scratch, before;
    CUgraphExec exec;
    CUgraph graph;

    MUST(cuMemAllocAsync(&before, SIZE, other));
    host_fill(before, 7, WORDS, other);
    MUST(cuStreamBeginCapture(stream, mode));
    host_add(block, 1, WORDS, stream);
    meanwhile();
    host_spin(500, other);
    MUST(cuMemFreeAsync(before, other));
    MUST(cuMemAllocAsync(&scratch, SIZE, stream));
    MUST(cuMemcpyDtoDAsync(scratch, block, SIZE, stream));
    MUST(cuMemcpyAsync(ordered, scratch, SIZE, stream));
    host_show("free in the capture of what is not the graph's", cuMemFreeAsync(ordered, stream));
    MUST(cuMemFreeAsync(scratch, stream));
    meanwhile();
    MUST(cuStreamEndCapture(stream, &graph));
    MUST(cuGraphInstantiate(&exec, graph, 0));
    MUST(cuGraphDestroy(graph));
    return exec;
}

static void come_and_go(void)
{
    CUdeviceptr p[4];

    for (int i = 0; i < 4; i++) {
        MUST(cuMemAlloc(&p[i], SIZE));
        MUST(cuMemsetD32(p[i], 0xbad, WORDS));
    }
    for (int i = 0; i < 4; i++)
        MUST(cuMemFree(p[i]));
    meanwhile();
}

static void one_mode(const char *name, CUstreamCaptureMode mode)
{
    CUgraphExec exec;

    printf("%s\n", name);
    MUST(cuMemAlloc(&block, SIZE));
    MUST(cuMemAllocAsync(&ordered, SIZE, stream));
    MUST(cuMemsetD32Async(block, 100, WORDS, stream));
    MUST(cuStreamSynchronize(stream));
    exec = capture(mode);
    printf("captured: %u\n", first_word(block));
    for (uint32_t i = 1; i <= LAUNCHES; i++) {
        MUST(cuGraphLaunch(exec, stream));
        come_and_go();
        printf("launch %u: words wrong: %llu %llu\n", i,
               (unsigned long long)host_mismatches(block, 100 + i, WORDS, host.result, stream),
               (unsigned long long)host_mismatches(ordered, 100 + i, WORDS, host.result, stream));
    }
    /* Freed behind a launch that is under way. */
    host_spin(2000, stream);
    MUST(cuGraphLaunch(exec, stream));
    MUST(cuMemFreeAsync(ordered, stream));
    MUST(cuMemFreeAsync(block, stream));
    come_and_go();
    MUST(cuGraphExecDestroy(exec));
    MUST(cuCtxSynchronize());
}

int main(void)
{
    host_open(&host_direct);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    one_mode("global", CU_STREAM_CAPTURE_MODE_GLOBAL);
    one_mode("thread-local", CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    one_mode("relaxed", CU_STREAM_CAPTURE_MODE_RELAXED);
    MUST(cuStreamDestroy(stream));
    MUST(cuStreamDestroy(other));
    host_close();
    printf("done\n");
    return 0;
}
