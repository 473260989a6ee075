/* Free and total memory: never more free than there is, the same total whoever is asked, and free
 * memory falls and rises by what is allocated and freed. */
#define HOST_DIRECT
#include "host.h"

#define BLOCKS 4
#define SIZE   ((size_t)64 << 20)

static size_t total_bytes;

static size_t free_bytes(void)
{
    size_t bytes = 0, total = 0;

    MUST(cuMemGetInfo(&bytes, &total));
    REQUIRE(bytes <= total);
    REQUIRE(total == total_bytes);
    return bytes;
}

int main(void)
{
    CUdeviceptr block[BLOCKS];
    size_t before, last;

    host_open(&host_direct);
    MUST(cuDeviceTotalMem(&total_bytes, host.device));
    before = last = free_bytes();
    for (int i = 0; i < BLOCKS; i++) {
        size_t now;

        MUST(cuMemAlloc(&block[i], SIZE));
        now = free_bytes();
        printf("free falls by %zu MiB\n", (last - now) >> 20);
        last = now;
    }
    for (int i = 0; i < BLOCKS; i++) {
        MUST(cuMemFree(block[i]));
        printf("free rises by %zu MiB\n", (free_bytes() - last) >> 20);
        last = free_bytes();
    }
    REQUIRE(last == before);
    host_close();
    printf("done\n");
    return 0;
}
