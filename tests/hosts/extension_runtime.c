/* An extension that is linked to the runtime: every call that the library exports under the
 * runtime's versions, on blocks that a small card cannot hold all. */
#include "runtime.h"

#include <stdint.h>

#define BLOCKS 8
#define SIZE   ((size_t)32 << 20)
#define SMALL  ((size_t)64 << 10)
#define EXPORT __attribute__((visibility("default")))

int extension_malloc(void **p, size_t size);
int extension_free(void *p);
int extension_run(void);

static unsigned char *up, *down;

/* No more than jumps: the runtime's caller seems to be whoever called these. */
EXPORT int extension_malloc(void **p, size_t size)
{
    return (int)cudaMalloc(p, size);
}

EXPORT int extension_free(void *p)
{
    return (int)cudaFree(p);
}

static void fill(size_t block)
{
    for (size_t i = 0; i < SIZE; i++)
        up[i] = (unsigned char)(i * 7 + i / 4099 + block * 31);
}

static void write_and_read(void *p, size_t block)
{
    fill(block);
    MUST(cudaMemcpy(p, up, SIZE / 2, cudaMemcpyHostToDevice));
    MUST(cudaMemcpyAsync((char *)p + SIZE / 2, up + SIZE / 2, SIZE / 2, cudaMemcpyDefault, NULL));
    memset(down, 0, SIZE);
    MUST(cudaMemcpy(down, p, SIZE, cudaMemcpyDeviceToHost));
    REQUIRE(memcmp(up, down, SIZE) == 0);
}

/* A block answers as device memory, and copies end where it ends. */
static void look_at(char *p, size_t size)
{
    struct cudaPointerAttributes seen = {0};

    MUST(cudaPointerGetAttributes(&seen, p));
    REQUIRE(seen.type == cudaMemoryTypeDevice && seen.devicePointer == p && !seen.hostPointer);
    REQUIRE(seen.device == 0);
    REQUIRE(cudaMemcpy(p + size - 4, up, 8, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    REQUIRE(cudaGetLastError() == cudaErrorInvalidValue);
    REQUIRE(cudaMemcpy(down, p + 4, size, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    REQUIRE(cudaGetLastError() == cudaErrorInvalidValue);
    REQUIRE(cudaMemcpyAsync(p, p + 4, size, cudaMemcpyDeviceToDevice, NULL) ==
            cudaErrorInvalidValue);
    REQUIRE(cudaGetLastError() == cudaErrorInvalidValue);
}

/* Small ones lie side by side. */
static void neighbours(void)
{
    void *p[3];

    for (int i = 0; i < 3; i++)
        MUST(cudaMalloc(&p[i], SMALL));
    for (int i = 0; i < 3; i++)
        look_at(p[i], SMALL);
    for (int i = 0; i < 3; i++)
        MUST(cudaFree(p[i]));
}

static void keep_content(void **block)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        fill(i);
        MUST(cudaMemcpy(down, block[i], SIZE, cudaMemcpyDeviceToHost));
        REQUIRE(memcmp(up, down, SIZE) == 0);
    }
}

EXPORT int extension_run(void)
{
    size_t free_bytes, total, again;
    void *block[BLOCKS], *p;
    size_t pitch;

    up = malloc(SIZE);
    down = malloc(SIZE);
    REQUIRE(up && down);
    MUST(cudaFree(NULL));
    MUST(cudaMemGetInfo(&free_bytes, &total));
    REQUIRE(free_bytes <= total);
    for (size_t i = 0; i < BLOCKS; i++) {
        MUST(cudaMalloc(&block[i], SIZE));
        REQUIRE(cudaPeekAtLastError() == cudaSuccess);
        write_and_read(block[i], i);
        look_at(block[i], SIZE);
    }
    neighbours();
    MUST(cudaMallocAsync(&p, SIZE, NULL));
    write_and_read(p, BLOCKS);
    MUST(cudaFreeAsync(p, NULL));
    MUST(cudaMallocPitch(&p, &pitch, 1000, SIZE / 1024));
    REQUIRE(pitch >= 1000);
    MUST(cudaMemcpy((char *)p + (SIZE / 1024 - 1) * pitch, up, 1000, cudaMemcpyHostToDevice));
    MUST(cudaFree(p));
    keep_content(block);
    MUST(cudaMemGetInfo(&free_bytes, &again));
    REQUIRE(again == total && free_bytes + BLOCKS * SIZE <= total);
    REQUIRE(cudaFree((char *)block[BLOCKS - 1] + 512) == cudaErrorInvalidValue);
    REQUIRE(cudaGetLastError() == cudaErrorInvalidValue);
    for (size_t i = 0; i < BLOCKS; i++)
        MUST(i % 3 ? cudaFree(block[i]) : cudaFreeAsync(block[i], NULL));
    MUST(cudaDeviceSynchronize());
    printf("total %zu MiB\n", total >> 20);
    free(up);
    free(down);
    return 0;
}
