/* Threads that are cancelled (pthread_cancel) before they call the driver, once for each call: what
 * they leave behind keeps nobody waiting.
 */
#define HOST_DIRECT
#include "host.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES (4u << 20)

static CUdeviceptr block;
static void *mapping; /* of a file */

static void *asks(void *arg)
{
    size_t free_bytes, total;

    cuMemGetInfo(&free_bytes, &total);
    pthread_testcancel();
    return arg;
}

static void *allocates(void *arg)
{
    cuMemAlloc(&block, BYTES);
    pthread_testcancel();
    return arg;
}

static void *uploads(void *arg)
{
    cuMemcpyHtoD(block, mapping, BYTES);
    pthread_testcancel();
    return arg;
}

static void *frees(void *arg)
{
    if (cuMemFree(block) == CUDA_SUCCESS)
        block = 0;
    pthread_testcancel();
    return arg;
}

struct doomed {
    void *(*call)(void *);
};

static void *wait_for_it(void *arg)
{
    struct doomed *self = arg;
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    MUST(cuCtxSetCurrent(host.context));
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    return self->call(arg);
}

static void cancelled_in(void *(*call)(void *))
{
    struct doomed self = {call};
    pthread_t thread;
    void *end;

    REQUIRE(pthread_create(&thread, NULL, wait_for_it, &self) == 0);
    REQUIRE(pthread_join(thread, &end) == 0);
    REQUIRE(end == PTHREAD_CANCELED);
}

int main(void)
{
    CUdeviceptr other;
    size_t free_bytes, total;
    int fd = open("/proc/self/exe", O_RDONLY);

    alarm(30);
    REQUIRE(fd >= 0);
    mapping = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapping != MAP_FAILED);
    REQUIRE(mmap(mapping, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == mapping);
    close(fd);
    host_open(&host_direct);
    usleep(1100000); /* what is known of the memory is old by then (stats_ttl_ms) */
    cancelled_in(asks);
    MUST(cuMemGetInfo(&free_bytes, &total));
    usleep(1100000);
    cancelled_in(allocates);
    MUST(cuMemAlloc(&other, BYTES));
    REQUIRE(block);
    cancelled_in(uploads);
    MUST(cuMemcpyHtoD(other, mapping, BYTES));
    cancelled_in(frees);
    MUST(cuMemFree(other));
    if (block)
        MUST(cuMemFree(block));
    host_close();
    printf("done\n");
    return 0;
}
