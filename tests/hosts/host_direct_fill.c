/* Fills all memory that there is with blocks of SIZE, until the driver has no more, in step with
 * other processes: says "open", waits for a line; says how many blocks it got, waits for a line;
 * says how many words are wrong.
 *
 *   host_direct_fill SIZE [PINNED [ROUNDS]]
 *
 * PINNED bytes are pinned by the host itself, in each round anew; the context is new too.
 */
#define HOST_DIRECT
#include "host.h"

#define BLOCKS_MAX 4096

static CUdeviceptr block[BLOCKS_MAX];

static void wait_for_line(void)
{
    char line[64];

    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        exit(3);
}

/* Blocks until there are no more, after one that nobody could have; after the first of them the
 * host pins memory by itself. */
static unsigned int fill(size_t size, size_t pinned, void **p)
{
    CUresult result = CUDA_SUCCESS;
    unsigned int count = 0;

    REQUIRE(cuMemAlloc(&block[0], (size_t)1 << 45) == CUDA_ERROR_OUT_OF_MEMORY);
    while (count < BLOCKS_MAX && (result = cuMemAlloc(&block[count], size)) == CUDA_SUCCESS) {
        host_fill_block(block[count], size, count, NULL);
        if (count++ == 0 && pinned)
            MUST(cuMemHostAlloc(p, pinned, 0));
    }
    MUST(cuCtxSynchronize());
    printf("%u blocks, then %s\n", count, host_name(result));
    return count;
}

int main(int argc, char **argv)
{
    size_t size = host_size(argc > 1 ? argv[1] : "16M") / (4 * HOST_PARTS) * (4 * HOST_PARTS);
    size_t pinned = argc > 2 ? host_size(argv[2]) : 0;
    int rounds = argc > 3 ? atoi(argv[3]) : 1;

    for (int round = 0; round < rounds; round++) {
        uint64_t wrong = 0;
        void *p = NULL;

        host_open(&host_direct);
        if (round == 0) {
            printf("open\n");
            wait_for_line();
        }
        unsigned int count = fill(size, pinned, &p);
        wait_for_line();
        for (unsigned int i = 0; i < count; i++)
            wrong += host_check_block(block[i], size, i, host.result, NULL);
        printf("words wrong: %llu\n", (unsigned long long)wrong);
        for (unsigned int i = 0; i < count; i++)
            MUST(cuMemFree(block[i]));
        if (p)
            MUST(cuMemFreeHost(p));
        host_close();
    }
    return 0;
}
