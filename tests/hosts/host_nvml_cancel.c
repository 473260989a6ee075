/* Threads that are cancelled (pthread_cancel) inside a call of the driver's: at the n-th that is
 * made on their behalf, for each n, or before the first. Whoever comes after them finds no lock
 * held and nothing half done: the main thread goes on where they ended.
 */
#define HOST_DIRECT
#include "host.h"

#include <nvml.h>
#include <pthread.h>
#include <unistd.h>

#define BYTES   ((size_t)2 << 20)
#define DEVICES 16

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

/* Of the simulated driver, not of the API: the n-th call that the thread makes from now on is a
 * cancellation point at which it has just been cancelled. Returns how many it has made. */
unsigned long simcuda_cancel_nth(unsigned long nth);

/* What is under way: the steps of it that are done, and what they have made. */
static int done, attempt;
static CUdeviceptr block, space;
static CUmemoryPool pool;
static CUstream stream;
static CUgraph graph;
static CUcontext context;
static CUmemGenericAllocationHandle handle;
static nvmlDevice_t card;

#define STEP(number, call)                                                                         \
    if (done == (number)) {                                                                        \
        MUST(call);                                                                                \
        done++;                                                                                    \
    }

static void captures(void)
{
    STEP(0, cuStreamCreate(&stream, 0))
    STEP(1, cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED))
    STEP(2, cuStreamEndCapture(stream, &graph))
    STEP(3, cuGraphDestroy(graph))
    STEP(4, cuStreamDestroy(stream))
}

static void allocates(void)
{
    STEP(0, cuMemAlloc(&block, BYTES))
    STEP(1, cuMemFree(block))
    STEP(2, cuMemAllocAsync(&block, BYTES, NULL))
    STEP(3, cuMemFreeAsync(block, NULL))
}

static void copies(void)
{
    static char bytes[BYTES];

    STEP(0, cuMemAlloc(&block, BYTES))
    STEP(1, cuMemcpyHtoD(block, bytes, BYTES))
    STEP(2, cuMemsetD8Async(block + BYTES / 2, 1, BYTES / 2, NULL))
    STEP(3, cuMemcpyAsync(block, block + BYTES / 2, BYTES / 2, NULL))
    STEP(4, cuMemcpyDtoH(bytes, block, BYTES))
    STEP(5, cuMemFree(block))
}

static void pools(void)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};

    STEP(0, cuMemPoolCreate(&pool, &props))
    STEP(1, cuMemAllocFromPoolAsync(&block, BYTES, pool, NULL))
    STEP(2, cuMemFreeAsync(block, NULL))
    STEP(3, cuMemPoolTrimTo(pool, 0))
    STEP(4, cuMemPoolDestroy(pool))
}

static void maps(void)
{
    const CUmemAllocationProp props = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                    CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

    STEP(0, cuMemAddressReserve(&space, BYTES, 0, 0, 0))
    STEP(1, cuMemCreate(&handle, BYTES, &props, 0))
    STEP(2, cuMemMap(space, BYTES, 0, handle, 0))
    STEP(3, cuMemSetAccess(space, BYTES, &access, 1))
    STEP(4, cuMemUnmap(space, BYTES))
    STEP(5, cuMemRelease(handle))
    STEP(6, cuMemAddressFree(space, BYTES))
}

/* With memory in it, which ends with it. */
static void contexts(void)
{
    STEP(0, cuCtxCreate_v2(&context, 0, 0))
    if (done == 1)
        MUST(cuCtxSetCurrent(context));
    STEP(1, cuMemAlloc(&block, BYTES))
    STEP(2, cuCtxDestroy(context))
    MUST(cuCtxSetCurrent(host.context));
}

/* Another device each time: its pool has not been seen. */
static void devices(void)
{
    int device = 1 + attempt % (DEVICES - 1);

    STEP(0, cuDevicePrimaryCtxRetain(&context, device))
    STEP(1, cuDeviceGetDefaultMemPool(&pool, device))
    if (done == 2)
        MUST(cuCtxSetCurrent(context));
    STEP(2, cuMemAllocFromPoolAsync(&block, BYTES, pool, NULL))
    MUST(cuCtxSetCurrent(host.context));
    STEP(3, cuDevicePrimaryCtxRelease(device))
}

static void queries(void)
{
    nvmlMemory_t memory;
    size_t free_bytes, total;

    STEP(0, cuMemGetInfo(&free_bytes, &total))
    REQUIRE(nvmlDeviceGetMemoryInfo(card, &memory) == NVML_SUCCESS);
    STEP(1, cuDeviceTotalMem(&total, 0))
}

/* --- threads ------------------------------------------------------------------------------------
 */

struct doomed {
    void (*run)(void);
    unsigned long nth; /* 0: cancelled beforehand */
    bool at_end;       /* it made fewer calls */
};

static void *thread_of(void *arg)
{
    struct doomed *self = arg;
    int state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    MUST(cuCtxSetCurrent(host.context));
    if (!self->nth)
        pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    simcuda_cancel_nth(self->nth);
    self->run();
    self->at_end = self->nth && simcuda_cancel_nth(0) < self->nth;
    pthread_testcancel();
    return arg;
}

static void cancelled_in(const char *what, void (*run)(void))
{
    struct doomed self = {.run = run};
    pthread_t thread;
    void *end;

    for (attempt = 0; !self.at_end; attempt++) {
        self.nth = (unsigned long)attempt;
        done = 0;
        REQUIRE(pthread_create(&thread, NULL, thread_of, &self) == 0);
        REQUIRE(pthread_join(thread, &end) == 0);
        REQUIRE((end == PTHREAD_CANCELED) == !self.at_end);
        run();
        REQUIRE(attempt < 1000);
    }
    printf("%s\n", what);
}

int main(void)
{
    alarm(30);
    host_open(&host_direct);
    REQUIRE(nvmlInit_v2() == NVML_SUCCESS);
    REQUIRE(nvmlDeviceGetHandleByIndex_v2(0, &card) == NVML_SUCCESS);
    cancelled_in("captures", captures);
    cancelled_in("allocates", allocates);
    cancelled_in("copies", copies);
    cancelled_in("pools", pools);
    cancelled_in("maps", maps);
    cancelled_in("contexts", contexts);
    cancelled_in("devices", devices);
    cancelled_in("queries", queries);
    MUST(cuCtxSynchronize());
    REQUIRE(nvmlShutdown() == NVML_SUCCESS);
    host_close();
    printf("done\n");
    return 0;
}
