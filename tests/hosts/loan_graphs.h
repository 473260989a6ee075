/* loan_graphs.h: a graph that copies a tensor and sums the copy. */
#ifndef HYBRIDMEM_TESTS_LOAN_GRAPHS_H
#define HYBRIDMEM_TESTS_LOAN_GRAPHS_H

#include "loan.h"

static struct {
    CUgraphExec exec;
    CUdeviceptr copy, result; /* of the last tensor */
} graph;

static void graph_buffers(size_t bytes)
{
    MUST(cuMemAlloc(&graph.copy, bytes));
    MUST(cuMemAlloc(&graph.result, 8));
}

/* copy = the tensor; result = sum of the copy. */
static void graph_capture(struct tensor *t, CUdeviceptr *meanwhile)
{
    uint64_t words = t->bytes / 4;
    CUgraph made;

    graph_buffers(t->bytes);
    MUST(cuStreamBeginCapture(side, CU_STREAM_CAPTURE_MODE_RELAXED));
    MUST(cuMemcpyDtoDAsync(graph.copy, t->address, t->bytes, side));
    for (unsigned int i = 0; meanwhile && i < steps; i++)
        allocate('w', &meanwhile[i], WORK_SIZE);
    MUST(cuMemsetD32Async(graph.result, 0, 2, side));
    host_launch(host.sum, side, (void *[]){&graph.copy, &words, &graph.result});
    MUST(cuStreamEndCapture(side, &made));
    MUST(cuGraphInstantiate(&graph.exec, made, 0));
    MUST(cuGraphDestroy(made));
}

static void graph_build(struct tensor *t)
{
    uint64_t words = t->bytes / 4;
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = t->address,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .WidthInBytes = t->bytes,
                          .Height = 1,
                          .Depth = 1};
    CUDA_MEMSET_NODE_PARAMS set = {.elementSize = 4, .width = 2, .height = 1};
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = host.sum,
                                      .gridDimX = 64,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 256,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams =
                                          (void *[]){&graph.copy, &words, &graph.result}};
    CUgraphNode nodes[3];
    CUgraph made;

    graph_buffers(t->bytes);
    copy.dstDevice = graph.copy;
    set.dst = graph.result;
    MUST(cuGraphCreate(&made, 0));
    MUST(cuGraphAddMemcpyNode(&nodes[0], made, NULL, 0, &copy, host.context));
    MUST(cuGraphAddMemsetNode(&nodes[1], made, NULL, 0, &set, host.context));
    MUST(cuGraphAddKernelNode(&nodes[2], made, nodes, 2, &kernel));
    MUST(cuGraphInstantiate(&graph.exec, made, 0));
    MUST(cuGraphDestroy(made));
}

static void graph_launch(struct tensor *t)
{
    uint64_t sum = 0;

    if (!graph.exec)
        return;
    MUST(cuMemsetD8(graph.copy, 0xcc, t->bytes));
    MUST(cuCtxSynchronize());
    MUST(cuGraphLaunch(graph.exec, side));
    MUST(cuStreamSynchronize(side));
    MUST(cuMemcpyDtoH(&sum, graph.result, sizeof sum));
    REQUIRE(sum == expected(t));
}

static void graph_end(void)
{
    if (!graph.exec)
        return;
    MUST(cuGraphExecDestroy(graph.exec));
    MUST(cuMemFree(graph.copy));
    MUST(cuMemFree(graph.result));
    memset(&graph, 0, sizeof graph);
}

#endif
