/* Contexts: blocks live and die with the context they were made in; what is freed may be freed
 * from another one; and after a primary context went, a new one works. */
#define HOST_DIRECT
#include "host.h"

#define SIZE ((size_t)8 << 20)

/* The plain name takes other parameters from one CUDA version to the next; this one never did. */
CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

static CUdevice device;

static CUdeviceptr block_of(unsigned int value)
{
    CUdeviceptr block;

    MUST(cuMemAlloc(&block, SIZE));
    MUST(cuMemsetD32(block, value, SIZE / 4));
    return block;
}

static void expect(CUdeviceptr block, unsigned int value)
{
    unsigned int first = 0, last = 0;

    MUST(cuMemcpyDtoH(&first, block, 4));
    MUST(cuMemcpyDtoH(&last, block + SIZE - 4, 4));
    REQUIRE(first == value && last == value);
}

/* All that may be asked of a block that went with its context. */
static void show_gone(CUdeviceptr block)
{
    unsigned int word = 0, type = 0;
    CUdeviceptr base = 0;
    size_t size = 0;

    host_show("  read", cuMemcpyDtoH(&word, block, 4));
    host_show("  write", cuMemcpyHtoD(block, &word, 4));
    host_show("  memory type",
              cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, block));
    host_show("  range", cuMemGetAddressRange(&base, &size, block));
    host_show("  free", cuMemFree(block));
}

static size_t free_bytes(void)
{
    size_t bytes = 0, total = 0;

    MUST(cuMemGetInfo(&bytes, &total));
    return bytes;
}

static void two_contexts(void)
{
    CUcontext a, b, current = NULL;
    CUdeviceptr in_a, also_in_a, in_b;
    size_t before;

    MUST(cuCtxCreate_v2(&a, 0, device));
    in_a = block_of(1);
    also_in_a = block_of(2);
    before = free_bytes();
    MUST(cuCtxCreate_v2(&b, 0, device));
    in_b = block_of(3);
    expect(in_b, 3);
    MUST(cuMemFree(in_a));
    printf("freed from another context\n");
    MUST(cuCtxPopCurrent(&current));
    REQUIRE(current == b);
    expect(also_in_a, 2);
    MUST(cuCtxPushCurrent(b));
    in_a = in_b;
    in_b = block_of(4);
    expect(in_a, 3);
    MUST(cuCtxDestroy(b));
    MUST(cuCtxGetCurrent(&current));
    REQUIRE(current == a);
    printf("after the context was destroyed\n");
    REQUIRE(free_bytes() >= before + SIZE);
    show_gone(in_a);
    show_gone(in_b);
    expect(also_in_a, 2);
    in_a = block_of(5);
    expect(in_a, 5);
    MUST(cuMemFree(in_a));
    MUST(cuMemFree(also_in_a));
    MUST(cuCtxDestroy(a));
    MUST(cuCtxGetCurrent(&current));
    REQUIRE(!current);
    host_show("without a context", cuMemAlloc(&in_a, SIZE));
}

static void open_primary(void)
{
    CUcontext primary;

    MUST(cuDevicePrimaryCtxRetain(&primary, device));
    MUST(cuCtxSetCurrent(primary));
}

static void primary_context(void)
{
    CUdeviceptr block;
    CUcontext again;

    open_primary();
    block = block_of(6);
    MUST(cuDevicePrimaryCtxRetain(&again, device));
    MUST(cuDevicePrimaryCtxRelease(device));
    expect(block, 6);
    MUST(cuCtxSetCurrent(NULL));
    MUST(cuDevicePrimaryCtxRelease(device));
    host_show("released too often", cuDevicePrimaryCtxRelease(device));
    open_primary();
    printf("after the primary context was released\n");
    show_gone(block);
    block = block_of(7);
    expect(block, 7);
    MUST(cuCtxSetCurrent(NULL));
    MUST(cuDevicePrimaryCtxReset(device));
    open_primary();
    printf("after the primary context was reset\n");
    show_gone(block);
    block = block_of(8);
    expect(block, 8);
    MUST(cuMemFree(block));
}

/* It belongs to no context, and is still there, and still counted, when that which made it is gone.
 */
static void pool_memory(void)
{
    const size_t large = (size_t)64 << 20; /* a multiple of what pools grow by */
    unsigned int word = 0;
    CUdeviceptr block;
    CUcontext maker, current;
    size_t before;

    open_primary();
    MUST(cuMemAlloc(&block, 1)); /* something is used on the card already */
    MUST(cuMemFree(block));
    before = free_bytes();
    MUST(cuCtxCreate_v2(&maker, 0, device));
    MUST(cuMemAllocAsync(&block, large, NULL));
    MUST(cuMemsetD32Async(block, 9, large / 4, NULL));
    MUST(cuCtxDestroy(maker));
    MUST(cuCtxGetCurrent(&current));
    REQUIRE(current);
    REQUIRE(free_bytes() + large <= before);
    MUST(cuMemcpyDtoH(&word, block + large - 4, 4));
    REQUIRE(word == 9);
    MUST(cuMemFree(block));
    printf("a pool's memory outlived its context\n");
}

int main(void)
{
    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    two_contexts();
    primary_context();
    pool_memory();
    printf("done\n");
    return 0;
}
