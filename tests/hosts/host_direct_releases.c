/* Two threads release a primary context at the same moment: one of them ends it. What is made in
 * the next one is the next one's.
 */
#define HOST_DIRECT
#include "host.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define ROUNDS 200
#define BYTES  ((size_t)1 << 20)

static CUdevice device;
static atomic_uint ready;

static void *release(void *arg)
{
    /* Both at once: a barrier lets one of them go first. */
    unsigned both = atomic_fetch_add(&ready, 1) / 2 * 2 + 2;

    while (atomic_load(&ready) < both)
        sched_yield();
    MUST(cuDevicePrimaryCtxRelease(device));
    return arg;
}

int main(void)
{
    unsigned int word = 0;
    CUcontext context;
    CUdeviceptr block;
    pthread_t other;

    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    for (unsigned int i = 0; i < ROUNDS; i++) {
        MUST(cuDevicePrimaryCtxRetain(&context, device));
        MUST(cuDevicePrimaryCtxRetain(&context, device));
        MUST(cuCtxSetCurrent(context));
        MUST(cuMemAlloc(&block, BYTES));
        MUST(cuMemsetD32(block, i, BYTES / 4));
        MUST(cuMemcpyDtoH(&word, block + BYTES - 4, 4));
        REQUIRE(word == i);
        MUST(cuCtxSetCurrent(NULL));
        REQUIRE(pthread_create(&other, NULL, release, NULL) == 0);
        release(NULL);
        REQUIRE(pthread_join(other, NULL) == 0);
    }
    printf("done\n");
    return 0;
}
