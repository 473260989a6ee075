/* Streams that wait for the host: a call that does not wait for the device in the driver does not
 * wait for it with us, or host and device would wait for each other.
 */
#define HOST_DIRECT
#include "host.h"

#include <semaphore.h>
#include <unistd.h>

#define BYTES ((size_t)4 << 20)
#define LARGE ((size_t)96 << 20) /* more than what is pinned at first */

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

static sem_t gate;

static void CUDA_CB wait_for_gate(void *arg)
{
    (void)arg;
    while (sem_wait(&gate) != 0)
        ;
}

/* A block that its stream still has work for, behind the gate. */
static CUdeviceptr gated_block(CUstream stream, CUdeviceptr *result)
{
    CUdeviceptr block;

    MUST(cuMemAllocAsync(&block, BYTES, stream));
    MUST(cuMemsetD32Async(block, 7, BYTES / 4, stream));
    MUST(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    MUST(cuMemcpyDtoDAsync(*result, block, 4, stream));
    return block;
}

static void open_gate(CUstream stream, CUdeviceptr result, const char *what)
{
    unsigned int word = 0;

    sem_post(&gate);
    MUST(cuStreamSynchronize(stream));
    MUST(cuMemcpyDtoH(&word, result, 4));
    REQUIRE(word == 7);
    printf("%s\n", what);
}

int main(void)
{
    CUcontext other, popped;
    CUdeviceptr result, block, large;
    CUstream stream;

    alarm(30);
    REQUIRE(sem_init(&gate, 0, 0) == 0);
    host_open(&host_direct);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc(&result, 4));

    MUST(cuMemAlloc(&large, BYTES));
    MUST(cuMemFree(large));
    block = gated_block(stream, &result);
    MUST(cuMemAlloc(&large, LARGE));
    open_gate(stream, result, "allocated beside a stream that waits");
    MUST(cuMemFree(large));
    MUST(cuMemFreeAsync(block, stream));
    MUST(cuCtxSynchronize());

    block = gated_block(stream, &result);
    MUST(cuMemFreeAsync(block, stream));
    MUST(cuMemAlloc(&large, 2 * LARGE));
    open_gate(stream, result, "allocated beside a free that waits");
    MUST(cuMemFree(large));
    MUST(cuCtxSynchronize());

    MUST(cuCtxCreate_v2(&other, 0, host.device));
    MUST(cuCtxPopCurrent(&popped));
    block = gated_block(stream, &result);
    MUST(cuCtxPushCurrent(other));
    MUST(cuMemFreeAsync(block, stream));
    MUST(cuCtxPopCurrent(&popped));
    open_gate(stream, result, "freed with another context current");

    MUST(cuMemAllocAsync(&block, BYTES, stream));
    MUST(cuStreamSynchronize(stream));
    MUST(cuCtxPushCurrent(other));
    MUST(cuMemsetD32Async(block, 7, BYTES / 4, NULL));
    MUST(cuLaunchHostFunc(NULL, wait_for_gate, NULL));
    MUST(cuMemcpyDtoDAsync(result, block + BYTES - 4, 4, NULL));
    MUST(cuMemFreeAsync(block, NULL));
    MUST(cuCtxPopCurrent(&popped));
    /* In a stream of the same name: not to be used again before the gate is open. */
    MUST(cuMemAllocAsync(&large, BYTES, NULL));
    MUST(cuMemsetD32Async(large, 8, BYTES / 4, NULL));
    MUST(cuCtxPushCurrent(other));
    open_gate(NULL, result, "freed in a stream of another context");
    MUST(cuCtxPopCurrent(&popped));
    MUST(cuMemFreeAsync(large, NULL));
    MUST(cuCtxSynchronize());
    MUST(cuCtxDestroy(other));

    MUST(cuMemFree(result));
    MUST(cuStreamDestroy(stream));
    host_close();
    printf("done\n");
    return 0;
}
