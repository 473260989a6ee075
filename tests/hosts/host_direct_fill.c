/* Fills all memory that there is with blocks of SIZE, until the driver has no more, in step with
 * other processes: says "open", waits for a line; says how many blocks it got, waits for a line;
 * says how many words are wrong.
 *
 *   host_direct_fill SIZE [PINNED [ROUNDS [physical]]]
 *
 * PINNED bytes are pinned by the host itself, in each round anew; the context is new too.
 * The blocks are cuMemAlloc's, or physical ones from cuMemCreate.
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

static bool physical;
static CUmemGenericAllocationHandle handle[BLOCKS_MAX];

static CUresult make_block(unsigned int i, size_t size)
{
    static const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    static const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                           CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUresult r = physical ? cuMemCreate(&handle[i], size, &prop, 0) : cuMemAlloc(&block[i], size);

    if (r == CUDA_SUCCESS && physical) {
        MUST(cuMemAddressReserve(&block[i], size, 0, 0, 0));
        MUST(cuMemMap(block[i], size, 0, handle[i], 0));
        MUST(cuMemSetAccess(block[i], size, &access, 1));
    }
    return r;
}

static void end_block(unsigned int i, size_t size)
{
    if (!physical) {
        MUST(cuMemFree(block[i]));
        return;
    }
    MUST(cuMemUnmap(block[i], size));
    MUST(cuMemRelease(handle[i]));
    MUST(cuMemAddressFree(block[i], size));
}

/* Blocks until there are no more, after one that nobody could have; after the first of them the
 * host pins memory by itself. */
static unsigned int fill(size_t size, size_t pinned, void **p)
{
    CUresult result = CUDA_SUCCESS;
    unsigned int count = 0;

    REQUIRE(cuMemAlloc(&block[0], (size_t)1 << 45) == CUDA_ERROR_OUT_OF_MEMORY);
    while (count < BLOCKS_MAX && (result = make_block(count, size)) == CUDA_SUCCESS) {
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

    physical = argc > 4;
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
            end_block(i, size);
        if (p)
            MUST(cuMemFreeHost(p));
        host_close();
    }
    return 0;
}
