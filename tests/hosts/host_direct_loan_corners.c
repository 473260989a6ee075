/* A model of which more is loaded than the card's budget allows, and what stands in the way of
 * moving what is on loan.
 *
 *   host_direct_loan_corners WAY FILE OFFSET BYTES COUNT
 *
 * WAY:
 *      context    a context in which nothing was ever allocated copies from a tensor
 *      waits      streams wait for the host while it loads and allocates
 *      given      what was on loan is freed after a graph was made, and the card is wanted whole
 *      ordered    the same, freed in the order of a stream
 *      captures   another thread captures a stream while the device is waited for
 *      told       memory is asked for all the while
 */
#define HOST_DIRECT
#include "host.h"
#include "mapped.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#define WORK_SIZE   ((size_t)8 << 20)
#define WORK        13
#define WHOLE       ((size_t)160 << 20)
#define TENSORS_MAX 64
#define PART        ((size_t)64 << 10)

/* The plain name takes other parameters from one CUDA version to the next; this one never did. */
CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

static const char *data; /* of the tensors, one behind the other, in the mapping of their file */
static size_t bytes;     /* of each */
static unsigned int count;
static CUdeviceptr tensors[TENSORS_MAX], work[WORK];
static sem_t gate;

static void map(char **argv)
{
    size_t offset = strtoull(argv[3], NULL, 10), size;
    const unsigned char *file = map_file(argv[2], &size);

    bytes = strtoull(argv[4], NULL, 10);
    count = (unsigned int)atoi(argv[5]);
    REQUIRE(count <= TENSORS_MAX && offset + count * bytes <= size);
    data = (const char *)file + offset;
}

static void load(void)
{
    for (unsigned int i = 0; i < count; i++) {
        MUST(cuMemAlloc(&tensors[i], bytes));
        MUST(cuMemcpyHtoD(tensors[i], data + i * bytes, bytes));
    }
}

static void compare(void)
{
    char *seen = calloc(1, bytes);

    REQUIRE(seen);
    for (unsigned int i = 0; i < count; i++) {
        MUST(cuMemcpyDtoH(seen, tensors[i], bytes));
        REQUIRE(!memcmp(seen, data + i * bytes, bytes));
    }
    free(seen);
}

static void unload(void)
{
    for (unsigned int i = 0; i < count; i++)
        MUST(cuMemFree(tensors[i]));
}

static void work_begins(void)
{
    for (unsigned int i = 0; i < WORK; i++) {
        MUST(cuMemAlloc(&work[i], WORK_SIZE));
        MUST(cuMemsetD8Async(work[i], 1, WORK_SIZE, NULL));
    }
}

static void work_ends(void)
{
    for (unsigned int i = 0; i < WORK; i++)
        MUST(cuMemFree(work[i]));
}

static void CUDA_CB wait_for_gate(void *arg)
{
    (void)arg;
    while (sem_wait(&gate) != 0)
        ;
}

static void CUDA_CB callback(CUstream stream, CUresult status, void *arg)
{
    (void)stream;
    (void)status;
    wait_for_gate(arg);
}

/* --- the ways -------------------------------------------------------------------------------- */

/* The other context's stream still has a copy to do when the tensors move, if they do. */
static void from_another_context(void)
{
    uint64_t microseconds = 300000;
    CUcontext other, popped;
    CUmodule module;
    CUfunction spin;
    CUstream stream;
    char *seen;

    load();
    MUST(cuMemHostAlloc((void **)&seen, PART, CU_MEMHOSTALLOC_PORTABLE));
    MUST(cuCtxCreate_v2(&other, 0, host.device));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuModuleLoadData(&module, host_ptx));
    MUST(cuModuleGetFunction(&spin, module, "spin"));
    host_launch(spin, stream, (void *[]){&microseconds});
    MUST(cuMemcpyDtoHAsync(seen, tensors[count - 1], PART, stream));
    MUST(cuCtxPopCurrent(&popped));
    work_begins();
    MUST(cuStreamSynchronize(stream));
    REQUIRE(!memcmp(seen, data + (count - 1) * bytes, PART));
    MUST(cuCtxDestroy(other));
    MUST(cuMemFreeHost(seen));
    compare();
    work_ends();
    unload();
}

/* Neither an allocation nor an upload waits for the stream that waits for this thread. */
static void beside_a_stream_that_waits(void)
{
    CUstream stream;

    REQUIRE(sem_init(&gate, 0, 0) == 0);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    load();
    sem_post(&gate);
    MUST(cuStreamSynchronize(stream));
    compare();
    unload();
    load();
    MUST(cuStreamAddCallback(stream, callback, NULL, 0));
    work_begins();
    sem_post(&gate);
    MUST(cuStreamSynchronize(stream));
    compare();
    work_ends();
    for (unsigned int i = 0; i < WORK; i++) {
        MUST(cuCtxSynchronize());
        MUST(cuMemAlloc(&work[i], WORK_SIZE));
    }
    compare();
    work_ends();
    unload();
    MUST(cuStreamDestroy(stream));
}

/* It begins while an allocation waits, if it does. */
static void *capture(void *arg)
{
    CUdeviceptr word = *(CUdeviceptr *)arg;
    CUstream stream;
    CUgraph graph;

    MUST(cuCtxSetCurrent(host.context));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    usleep(50000);
    MUST(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    MUST(cuMemsetD32Async(word, 7, 1, stream));
    usleep(100000);
    MUST(cuStreamEndCapture(stream, &graph));
    MUST(cuGraphDestroy(graph));
    MUST(cuStreamDestroy(stream));
    return NULL;
}

static void beside_a_capture(void)
{
    pthread_t thread;
    CUstream stream;

    load();
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    host_spin(300000, stream);
    REQUIRE(pthread_create(&thread, NULL, capture, &host.result) == 0);
    for (unsigned int i = 0; i < WORK; i++)
        MUST(cuMemAllocAsync(&work[i], WORK_SIZE, stream));
    REQUIRE(pthread_join(thread, NULL) == 0);
    MUST(cuStreamSynchronize(stream));
    compare();
    work_ends();
    unload();
    MUST(cuStreamDestroy(stream));
}

static void given_back(bool in_order)
{
    CUdeviceptr whole;
    CUgraph graph;

    load();
    MUST(cuGraphCreate(&graph, 0));
    MUST(cuGraphDestroy(graph));
    compare();
    if (!in_order)
        unload();
    for (unsigned int i = 0; i < count && in_order; i++)
        MUST(cuMemFreeAsync(tensors[i], NULL));
    MUST(cuStreamSynchronize(NULL));
    MUST(cuMemAlloc(&whole, WHOLE));
    MUST(cuMemFree(whole));
}

static atomic_bool over;
static _Atomic size_t held;
static size_t total;

static void *ask(void *arg)
{
    size_t now, again;

    (void)arg;
    MUST(cuCtxSetCurrent(host.context));
    while (!over) {
        size_t before = held;
        MUST(cuMemGetInfo(&now, &again));
        if (before == held && again == total && now + before <= total)
            continue;
        if (before == held) {
            printf("%zu held, %zu free, %zu in all\n", before, now, again);
            exit(1);
        }
    }
    return NULL;
}

static void told(void)
{
    pthread_t thread;
    size_t now;

    MUST(cuMemGetInfo(&now, &total));
    load();
    held = count * bytes;
    REQUIRE(pthread_create(&thread, NULL, ask, NULL) == 0);
    for (unsigned int i = 0; i < WORK; i++) {
        MUST(cuMemAlloc(&work[i], WORK_SIZE));
        held += WORK_SIZE;
    }
    over = true;
    REQUIRE(pthread_join(thread, NULL) == 0);
    compare();
    work_ends();
    unload();
}

int main(int argc, char **argv)
{
    alarm(60);
    REQUIRE(argc == 6);
    host_open(&host_direct);
    map(argv);
    if (!strcmp(argv[1], "context"))
        from_another_context();
    else if (!strcmp(argv[1], "waits"))
        beside_a_stream_that_waits();
    else if (!strcmp(argv[1], "given"))
        given_back(false);
    else if (!strcmp(argv[1], "ordered"))
        given_back(true);
    else if (!strcmp(argv[1], "captures"))
        beside_a_capture();
    else if (!strcmp(argv[1], "told"))
        told();
    else
        REQUIRE(!"a way");
    host_close();
    printf("done\n");
    return 0;
}
