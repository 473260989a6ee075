/* Links libcudart.so.12 and makes every call about memory once: what it returns, what it remembers
 * as the last error, and what is in the memory afterwards. */
#include "runtime.h"

#define SIZE ((size_t)4 << 20)

static void show(const char *what, cudaError_t error)
{
    cudaError_t seen = cudaPeekAtLastError();
    cudaError_t taken = cudaGetLastError();

    printf("%s: %s (last %s, then %s)\n", what, cudaGetErrorName(error),
           seen == taken ? cudaGetErrorName(seen) : "two answers",
           cudaGetErrorName(cudaGetLastError()));
}

static void errors(void)
{
    char stack[16];
    void *p = &stack;

    show("malloc of nothing", cudaMalloc(&p, 0));
    REQUIRE(!p);
    show("malloc of too much", cudaMalloc(&p, (size_t)1 << 60));
    show("malloc into null", cudaMalloc(NULL, SIZE));
    show("free of null", cudaFree(NULL));
    show("free of the stack", cudaFree(stack));
    show("no such device", cudaSetDevice(4711));
    show("a wrong direction", cudaMemcpy(stack, stack, 4, (enum cudaMemcpyKind)17));
    printf("%s\n", cudaGetErrorString(cudaErrorMemoryAllocation));
}

static void describe(const char *what, const void *p)
{
    struct cudaPointerAttributes found;

    MUST(cudaPointerGetAttributes(&found, p));
    printf("%s: type %d, device pointer %s, host pointer %s\n", what, (int)found.type,
           found.devicePointer == p ? "same"
           : found.devicePointer    ? "other"
                                    : "none",
           found.hostPointer == p ? "same"
           : found.hostPointer    ? "other"
                                  : "none");
}

static void kinds(void)
{
    static char unregistered[64];
    void *device, *pinned, *managed, *mapped = NULL;

    MUST(cudaMalloc(&device, SIZE));
    MUST(cudaHostAlloc(&pinned, SIZE, cudaHostAllocMapped | cudaHostAllocPortable));
    MUST(cudaMallocManaged(&managed, SIZE, cudaMemAttachGlobal));
    MUST(cudaHostGetDevicePointer(&mapped, pinned, 0));
    describe("device", device);
    describe("inside", (char *)device + 12345);
    describe("pinned", pinned);
    describe("managed", managed);
    describe("unregistered", unregistered);
    MUST(cudaFree(managed));
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(device));
}

static void planes(void)
{
    const size_t width = 1000, height = 500;
    unsigned char *up = malloc(width * height), *down = malloc(width * height);
    size_t pitch = 0;
    void *device;

    REQUIRE(up && down);
    for (size_t i = 0; i < width * height; i++)
        up[i] = (unsigned char)(i * 31 + i / 251);
    MUST(cudaMallocPitch(&device, &pitch, width, height));
    REQUIRE(pitch >= width && pitch % 32 == 0);
    MUST(cudaMemset(device, 0x11, pitch * height));
    MUST(cudaMemcpy2D(device, pitch, up, width, width, height, cudaMemcpyHostToDevice));
    MUST(cudaMemset2D((char *)device + 10 * pitch, pitch, 0x5a, 100, 20));
    for (size_t y = 10; y < 30; y++)
        memset(up + y * width, 0x5a, 100);
    MUST(
        cudaMemcpy2DAsync(down, width, device, pitch, width, height, cudaMemcpyDeviceToHost, NULL));
    MUST(cudaDeviceSynchronize());
    printf("planes: %s\n", memcmp(up, down, width * height) ? "differ" : "equal");
    MUST(cudaFree(device));
    free(up);
    free(down);
}

int main(void)
{
    size_t before = 0, after = 0, total = 0;
    void *p;

    setvbuf(stdout, NULL, _IOLBF, 0);
    errors();
    kinds();
    planes();
    MUST(cudaMemGetInfo(&before, &total));
    REQUIRE(before <= total);
    MUST(cudaMalloc(&p, 64 << 20));
    MUST(cudaMemGetInfo(&after, &total));
    printf("free falls by %zu MiB\n", (before - after) >> 20);
    MUST(cudaDeviceReset());
    show("free after the reset", cudaFree(p));
    MUST(cudaMalloc(&p, SIZE));
    MUST(cudaFree(p));
    printf("done\n");
    return 0;
}
