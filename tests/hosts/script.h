/* script.h: what every host of an access path does, so that their transcripts are equal: blocks
 * are allocated, written and read by kernels, copies and sets, verified and freed.
 */
#ifndef HYBRIDMEM_TESTS_SCRIPT_H
#define HYBRIDMEM_TESTS_SCRIPT_H

#include "host.h"

#define SCRIPT_BLOCKS 6

static const size_t script_sizes[SCRIPT_BLOCKS] = {
    8 << 20, 1 << 20, 64 << 10, 3 << 20, 2048, 5 << 20,
};

/* From host memory into block 3 and back, over streams; the pattern counts up. */
static inline void script_copies(CUdeviceptr block, size_t size, CUstream stream)
{
    size_t words = size / 4;
    uint32_t *out = malloc(size);
    uint32_t *back = malloc(size);

    REQUIRE(out && back);
    for (size_t i = 0; i < words; i++)
        out[i] = (uint32_t)i * 7 + 3;
    MUST(host.cu->cuMemcpyHtoDAsync(block, out, size, stream));
    MUST(host.cu->cuStreamSynchronize(stream));
    MUST(host.cu->cuMemcpyDtoH(back, block, size));
    printf("up and down: %s\n", memcmp(out, back, size) ? "differs" : "equal");
    host_add(block, 11, words, stream);
    memset(back, 0, size);
    MUST(host.cu->cuMemcpyDtoHAsync(back, block, size, stream));
    MUST(host.cu->cuStreamSynchronize(stream));
    for (size_t i = 0; i < words; i++)
        REQUIRE(back[i] == out[i] + 11);
    printf("after add: equal\n");
    MUST(host.cu->cuMemcpyHtoD(block + size / 2, out, size / 4));
    MUST(host.cu->cuMemcpyDtoH(back, block, size));
    REQUIRE(!memcmp(back + words / 2, out, size / 4));
    REQUIRE(back[words / 2 - 1] == out[words / 2 - 1] + 11);
    REQUIRE(back[words / 2 + words / 4] == out[words / 2 + words / 4] + 11);
    printf("into the middle: equal\n");
    free(out);
    free(back);
}

static inline void script_free(CUdeviceptr *block)
{
    static const int order[SCRIPT_BLOCKS] = {4, 0, 5, 2, 1, 3};

    for (int i = 0; i < SCRIPT_BLOCKS; i++)
        MUST(host.cu->cuMemFree(block[order[i]]));
    printf("freed\n");
}

/* Returns the exit code. */
static inline int script_run(const struct host_api *api)
{
    CUdeviceptr block[SCRIPT_BLOCKS];
    unsigned int type = 0;
    uint64_t total;
    CUstream stream;

    host_open(api);
    MUST(api->cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (unsigned int i = 0; i < SCRIPT_BLOCKS; i++) {
        MUST(api->cuMemAlloc(&block[i], script_sizes[i]));
        MUST(api->cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, block[i]));
        printf("block %u: %zu bytes, memory type %u, aligned %d\n", i, script_sizes[i], type,
               block[i] % 256 == 0);
        host_fill_block(block[i], script_sizes[i], i, stream);
    }
    for (unsigned int i = 0; i < SCRIPT_BLOCKS; i++)
        printf("block %u: %llu words wrong\n", i,
               (unsigned long long)host_check_block(block[i], script_sizes[i], i, host.result,
                                                    stream));
    script_copies(block[3], script_sizes[3], stream);

    MUST(api->cuMemcpyDtoD(block[0] + 4096, block[3], script_sizes[3]));
    total = host_sum(block[0] + 4096, script_sizes[3] / 4);
    printf("sum of a copy: %s\n",
           total == host_sum(block[3], script_sizes[3] / 4) ? "equal" : "differs");
    MUST(api->cuMemsetD32(block[5], 0x5eed, script_sizes[5] / 4));
    printf("set: %llu words wrong\n",
           (unsigned long long)host_mismatches(block[5], 0x5eed, script_sizes[5] / 4, host.result,
                                               NULL));
    host_copy(block[1], block[5], script_sizes[1] / 4, NULL);
    MUST(api->cuCtxSynchronize());
    printf("copied by kernel: %llu words wrong\n",
           (unsigned long long)host_mismatches(block[1], 0x5eed, script_sizes[1] / 4, host.result,
                                               NULL));
    script_free(block);
    MUST(api->cuStreamDestroy(stream));
    host_close();
    printf("done\n");
    return 0;
}

#endif
