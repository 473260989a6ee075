/* Allocation and freeing around and inside a stream capture. Inside, a call that could
 * synchronise is refused and spoils the capture, unless the capture is relaxed. */
#define HOST_DIRECT
#include "host.h"

#define SIZE ((size_t)4 << 20)

static CUdeviceptr kept;

static void show_status(const char *when, CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

    MUST(cuStreamIsCapturing(stream, &status));
    printf("%s: capture status %d\n", when, (int)status);
}

static void end(CUstream stream)
{
    CUgraph graph = NULL;

    host_show("end", cuStreamEndCapture(stream, &graph));
    if (graph)
        MUST(cuGraphDestroy(graph));
    show_status("after", stream);
}

static void capture(const char *name, CUstreamCaptureMode mode)
{
    CUdeviceptr p = 0, before = 0;
    CUstream stream;
    CUresult result;

    printf("%s\n", name);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc(&before, SIZE));
    MUST(cuStreamBeginCapture(stream, mode));
    show_status("begun", stream);
    MUST(cuMemsetD32Async(kept, 7, SIZE / 4, stream));
    result = cuMemAlloc(&p, SIZE);
    host_show("alloc", result);
    show_status("after alloc", stream);
    end(stream);
    if (result == CUDA_SUCCESS)
        MUST(cuMemFree(p));
    MUST(cuMemFree(before));
    MUST(cuStreamDestroy(stream));
}

static void free_inside(const char *name, CUstreamCaptureMode mode)
{
    CUdeviceptr p = 0;
    CUstream stream;
    CUresult result;

    printf("%s\n", name);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc(&p, SIZE));
    MUST(cuStreamBeginCapture(stream, mode));
    result = cuMemFree(p);
    host_show("free", result);
    end(stream);
    if (result != CUDA_SUCCESS)
        MUST(cuMemFree(p));
    MUST(cuStreamDestroy(stream));
}

int main(void)
{
    host_open(&host_direct);
    MUST(cuMemAlloc(&kept, SIZE));
    host_fill_block(kept, SIZE, 0, NULL);
    capture("alloc, global", CU_STREAM_CAPTURE_MODE_GLOBAL);
    capture("alloc, thread-local", CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    capture("alloc, relaxed", CU_STREAM_CAPTURE_MODE_RELAXED);
    free_inside("free, global", CU_STREAM_CAPTURE_MODE_GLOBAL);
    free_inside("free, relaxed", CU_STREAM_CAPTURE_MODE_RELAXED);
    printf("words wrong: %llu\n",
           (unsigned long long)host_check_block(kept, SIZE, 0, host.result, NULL));
    MUST(cuMemFree(kept));
    host_close();
    printf("done\n");
    return 0;
}
