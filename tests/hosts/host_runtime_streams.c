/* Links libcudart.so.12: streams, events and host functions in order. */
#include "runtime.h"

#define SIZE ((size_t)4 << 20)

static void set_flag(void *arg)
{
    *(int *)arg = 1;
}

static void streams(void)
{
    unsigned char *pinned;
    cudaStream_t first, second;
    cudaEvent_t event;
    void *a, *b;
    int called = 0;

    MUST(cudaMallocHost((void **)&pinned, SIZE));
    MUST(cudaMalloc(&a, SIZE));
    MUST(cudaMalloc(&b, SIZE));
    MUST(cudaStreamCreate(&first));
    MUST(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    MUST(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    memset(pinned, 0x77, SIZE);
    MUST(cudaMemcpyAsync(a, pinned, SIZE, cudaMemcpyHostToDevice, first));
    MUST(cudaMemsetAsync((char *)a + 100, 0x22, 50, first));
    MUST(cudaEventRecord(event, first));
    MUST(cudaStreamWaitEvent(second, event, 0));
    MUST(cudaMemcpyAsync(b, a, SIZE, cudaMemcpyDeviceToDevice, second));
    MUST(cudaLaunchHostFunc(second, set_flag, &called));
    MUST(cudaStreamSynchronize(second));
    MUST(cudaEventSynchronize(event));
    MUST(cudaEventQuery(event));
    MUST(cudaStreamQuery(first));
    MUST(cudaMemcpy(pinned, b, SIZE, cudaMemcpyDefault));
    REQUIRE(called && pinned[99] == 0x77 && pinned[100] == 0x22 && pinned[149] == 0x22);
    REQUIRE(pinned[150] == 0x77 && pinned[SIZE - 1] == 0x77);
    printf("streams: equal\n");
    MUST(cudaEventDestroy(event));
    MUST(cudaStreamDestroy(first));
    MUST(cudaStreamDestroy(second));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
    MUST(cudaFreeHost(pinned));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int round = 0; round < 3; round++)
        streams();
    printf("done\n");
    return 0;
}
