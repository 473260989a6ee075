/* More blocks than the card may hold: each is written by kernels with values of its own, and all
 * are read back by kernels, in samples, and whole; then they are freed in an odd order.
 *
 *   host_direct_overflow [COUNT [SIZE]]        default 16 128M
 */
#define HOST_DIRECT
#include "host.h"

static void check_samples(CUdeviceptr p, size_t size, unsigned int block)
{
    size_t part_size = size / HOST_PARTS;

    for (unsigned int part = 0; part < HOST_PARTS; part++) {
        uint32_t first = 0;
        uint32_t last = 0;

        MUST(cuMemcpyDtoH(&first, p + part * part_size, 4));
        MUST(cuMemcpyDtoH(&last, p + (part + 1) * part_size - 4, 4));
        REQUIRE(first == host_value(block, part));
        REQUIRE(last == host_value(block, part));
    }
}

static void check_whole(CUdeviceptr p, size_t size, unsigned int block, void *buffer)
{
    memset(buffer, 0, size);
    MUST(cuMemcpyDtoH(buffer, p, size));
    REQUIRE(host_check_words(buffer, size, block) == 0);
}

/* Every third block, then every third of the rest, ...: neither the order of allocation nor its
 * reverse. */
static void free_all(CUdeviceptr *block, unsigned int count)
{
    unsigned int left = count;

    while (left)
        for (unsigned int i = 0, seen = 0; i < count; i++)
            if (block[i] && seen++ % 3 == 0) {
                MUST(cuMemFree(block[i]));
                block[i] = 0;
                left--;
            }
}

int main(int argc, char **argv)
{
    unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : 16;
    size_t size = host_size(argc > 2 ? argv[2] : "128M") / (4 * HOST_PARTS) * (4 * HOST_PARTS);
    CUdeviceptr *block = calloc(count, sizeof(*block));
    void *buffer = malloc(size);
    uint64_t wrong = 0;

    REQUIRE(block && buffer && count && size);
    host_open(&host_direct);
    for (unsigned int i = 0; i < count; i++) {
        CUresult result = cuMemAlloc(&block[i], size);

        if (result != CUDA_SUCCESS) {
            printf("block %u of %u: %s\n", i, count, host_name(result));
            return 1;
        }
        host_fill_block(block[i], size, i, NULL);
    }
    printf("%u blocks of %zu bytes allocated and written\n", count, size);
    for (unsigned int i = 0; i < count; i++)
        wrong += host_check_block(block[i], size, i, host.result, NULL);
    printf("words wrong, by kernel: %llu\n", (unsigned long long)wrong);
    REQUIRE(wrong == 0);
    for (unsigned int i = 0; i < count; i++) {
        check_samples(block[i], size, i);
        check_whole(block[i], size, i, buffer);
    }
    printf("samples and whole blocks: equal\n");
    free_all(block, count);
    host_close();
    free(block);
    free(buffer);
    printf("done\n");
    return 0;
}
