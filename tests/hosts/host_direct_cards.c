/* Every device at the same time, a thread for each: COUNT blocks of SIZE, each with values of its
 * own, all checked when all threads have theirs, twice over.
 *
 *   host_direct_cards [COUNT [SIZE]]        default 6 8M
 */
#define HOST_DIRECT
#include "host.h"

#include <pthread.h>

#define CARDS_MAX  16
#define BLOCKS_MAX 256

static unsigned int blocks;
static size_t size;
static pthread_barrier_t together;
static const char *failure[CARDS_MAX];

struct kernels {
    CUfunction fill, check;
};

static void run(CUfunction function, CUdeviceptr p, uint32_t value, CUdeviceptr result)
{
    uint64_t words = size / 4;
    void *params[] = {&p, &value, &words, &result};

    MUST(cuLaunchKernel(function, 64, 1, 1, 256, 1, 1, 0, NULL, params, NULL));
}

static uint32_t value_of(int card, unsigned int i)
{
    return host_value((unsigned int)card * BLOCKS_MAX + i, 0);
}

static uint64_t fill_and_check(int card, const struct kernels *k)
{
    CUdeviceptr block[BLOCKS_MAX], result;
    uint64_t wrong = 0;

    MUST(cuMemAlloc(&result, sizeof(uint64_t)));
    for (unsigned int i = 0; i < blocks; i++) {
        MUST(cuMemAlloc(&block[i], size));
        run(k->fill, block[i], value_of(card, i), 0);
    }
    pthread_barrier_wait(&together);
    for (unsigned int i = 0; i < blocks; i++) {
        uint64_t found = UINT64_MAX;
        MUST(cuMemsetD32(result, 0, 2));
        run(k->check, block[i], value_of(card, i), result);
        MUST(cuMemcpyDtoH(&found, result, sizeof(found)));
        wrong += found;
        MUST(cuMemFree(block[i]));
    }
    MUST(cuMemFree(result));
    pthread_barrier_wait(&together);
    return wrong;
}

static void *work(void *arg)
{
    int card = (int)(intptr_t)arg;
    CUdevice device;
    CUcontext context;
    CUmodule module;
    struct kernels k;

    MUST(cuDeviceGet(&device, card));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuModuleLoadData(&module, host_ptx));
    MUST(cuModuleGetFunction(&k.fill, module, "fill"));
    MUST(cuModuleGetFunction(&k.check, module, "check"));
    uint64_t wrong = fill_and_check(card, &k);
    wrong += fill_and_check(card, &k);
    failure[card] = wrong ? "words are wrong" : NULL;
    MUST(cuModuleUnload(module));
    MUST(cuDevicePrimaryCtxRelease(device));
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[CARDS_MAX];
    int count = 0;

    blocks = argc > 1 ? (unsigned int)atoi(argv[1]) : 6;
    size = host_size(argc > 2 ? argv[2] : "8M") / 4 * 4;
    REQUIRE(blocks <= BLOCKS_MAX && size);
    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGetCount(&count));
    REQUIRE(count >= 1 && count <= CARDS_MAX);
    pthread_barrier_init(&together, NULL, (unsigned int)count);
    for (int i = 0; i < count; i++)
        REQUIRE(!pthread_create(&thread[i], NULL, work, (void *)(intptr_t)i));
    for (int i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < count; i++)
        printf("card %d: %s\n", i, failure[i] ? failure[i] : "all right");
    printf("done\n");
    return 0;
}
