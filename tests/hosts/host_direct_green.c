/* Green contexts: memory that is made with one current is the primary context's. What is freed
 * there is not used again while streams of the primary context, or of another green one, use it;
 * the default stream is another one; and it stays when the green context goes.
 */
#define HOST_DIRECT
#include "host.h"

#define SIZE  ((size_t)24 << 20)
#define WORDS (SIZE / 4)

static CUgreenCtx green;
static CUcontext green_context;

static void make_green(void)
{
    CUdevResource all, part;
    CUdevResourceDesc desc;
    unsigned int groups = 1;

    MUST(cuDeviceGetDevResource(host.device, &all, CU_DEV_RESOURCE_TYPE_SM));
    MUST(cuDevSmResourceSplitByCount(&part, &groups, &all, NULL, 0, all.sm.minSmPartitionSize));
    MUST(cuDevResourceGenerateDesc(&desc, &part, 1));
    MUST(cuGreenCtxCreate(&green, desc, host.device, CU_GREEN_CTX_DEFAULT_STREAM));
    MUST(cuCtxFromGreenCtx(&green_context, green));
}

static void enter(void)
{
    MUST(cuCtxPushCurrent(green_context));
}

static void leave(void)
{
    CUcontext popped;

    MUST(cuCtxPopCurrent(&popped));
    REQUIRE(popped == green_context);
}

/* Enqueues a look at the block behind a delay; what it found is in host.result. */
static void look_late(CUdeviceptr block, uint32_t value, CUstream stream)
{
    uint64_t words = WORDS;
    void *params[] = {&block, &value, &words, &host.result};

    MUST(cuMemsetD32Async(host.result, 0, 2, stream));
    host_spin(100000, stream);
    host_launch(host.check, stream, params);
}

static uint64_t found(CUstream stream)
{
    uint64_t count = UINT64_MAX;

    MUST(cuMemcpyDtoHAsync(&count, host.result, sizeof count, stream));
    MUST(cuStreamSynchronize(stream));
    return count;
}

/* Freed and used again with the green context current, while a stream elsewhere reads it. */
static void freed_in_green(CUstream reader)
{
    CUdeviceptr block, next;

    enter();
    MUST(cuMemAlloc(&block, SIZE));
    host_fill(block, 1, WORDS, NULL);
    MUST(cuStreamSynchronize(NULL));
    leave();
    look_late(block, 1, reader);
    enter();
    MUST(cuMemFree(block));
    MUST(cuMemAlloc(&next, SIZE));
    host_fill(next, 2, WORDS, NULL);
    MUST(cuStreamSynchronize(NULL));
    leave();
    printf("freed and used again: %llu words wrong\n", (unsigned long long)found(reader));
    MUST(cuMemFree(next));
}

/* The other way round. */
static void freed_in_primary(CUstream reader)
{
    CUdeviceptr block, next;

    MUST(cuMemAlloc(&block, SIZE));
    host_fill(block, 3, WORDS, NULL);
    MUST(cuStreamSynchronize(NULL));
    look_late(block, 3, reader);
    MUST(cuMemFree(block));
    MUST(cuMemAlloc(&next, SIZE));
    host_fill(next, 4, WORDS, NULL);
    MUST(cuStreamSynchronize(NULL));
    printf("freed while a green stream reads: %llu words wrong\n",
           (unsigned long long)found(reader));
    MUST(cuMemFree(next));
}

/* In stream order; NULL is one stream here and another there. */
static void in_order(bool from_green)
{
    CUdeviceptr block, next;
    CUstream reader = NULL;

    if (from_green)
        enter();
    MUST(cuMemAllocAsync(&block, SIZE, NULL));
    host_fill(block, 5, WORDS, NULL);
    look_late(block, 5, NULL);
    MUST(cuMemFreeAsync(block, NULL));
    if (from_green)
        leave();
    else
        enter();
    MUST(cuMemAllocAsync(&next, SIZE, NULL));
    host_fill(next, 6, WORDS, NULL);
    MUST(cuStreamSynchronize(NULL));
    MUST(cuMemFreeAsync(next, NULL));
    if (from_green)
        enter();
    else
        leave();
    printf("freed in a default stream: %llu words wrong\n", (unsigned long long)found(reader));
    if (from_green)
        leave();
}

/* A green stream needs no green context to be current. */
static void in_green_stream(CUstream stream)
{
    CUdeviceptr block, next;

    MUST(cuMemAllocAsync(&block, SIZE, stream));
    host_fill(block, 7, WORDS, stream);
    look_late(block, 7, stream);
    MUST(cuMemFreeAsync(block, stream));
    MUST(cuMemAllocAsync(&next, SIZE, NULL));
    host_fill(next, 8, WORDS, NULL);
    MUST(cuStreamSynchronize(NULL));
    printf("freed in a green stream: %llu words wrong\n", (unsigned long long)found(stream));
    MUST(cuMemFreeAsync(next, NULL));
    MUST(cuStreamSynchronize(NULL));
}

static void after_green(void)
{
    CUdeviceptr block;
    CUcontext owner = NULL;
    uint32_t word = 0;

    enter();
    MUST(cuMemAlloc(&block, SIZE));
    MUST(cuMemsetD32(block, 9, WORDS));
    MUST(cuStreamSynchronize(NULL));
    MUST(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, block));
    printf("it is the primary context's: %d\n", owner == host.context);
    leave();
    MUST(cuGreenCtxDestroy(green));
    MUST(cuMemcpyDtoH(&word, block + SIZE - 4, 4));
    printf("after the green context was destroyed: %u\n", word);
    make_green();
    enter();
    MUST(cuMemFree(block));
    MUST(cuMemAlloc(&block, SIZE));
    MUST(cuMemsetD32(block, 10, WORDS));
    leave();
    MUST(cuMemFree(block));
}

/* The green context was the last to hold the primary one: blocks go with it. */
static void last_of_all(void)
{
    CUdeviceptr block, again;
    uint32_t word = 0;

    MUST(cuMemAlloc(&block, SIZE));
    host_close();
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuMemcpyDtoH(&word, block, 4));
    MUST(cuGreenCtxDestroy(green));
    host_show("gone", cuMemcpyDtoH(&word, block, 4));
    MUST(cuDevicePrimaryCtxRetain(&host.context, host.device));
    MUST(cuCtxSetCurrent(host.context));
    host_show("gone with the primary context", cuMemFree(block));
    MUST(cuMemAlloc(&again, SIZE));
    MUST(cuMemsetD32(again, 11, WORDS));
    MUST(cuMemcpyDtoH(&word, again, 4));
    REQUIRE(word == 11);
    MUST(cuMemFree(again));
    MUST(cuDevicePrimaryCtxRelease(host.device));
}

int main(void)
{
    CUstream own, greens;

    host_open(&host_direct);
    make_green();
    MUST(cuStreamCreate(&own, CU_STREAM_NON_BLOCKING));
    MUST(cuGreenCtxStreamCreate(&greens, green, CU_STREAM_NON_BLOCKING, 0));
    freed_in_green(own);
    freed_in_green(greens);
    freed_in_primary(greens);
    in_order(false);
    in_order(true);
    in_green_stream(greens);
    MUST(cuStreamDestroy(greens));
    MUST(cuStreamDestroy(own));
    after_green();
    last_of_all();
    printf("done\n");
    return 0;
}
