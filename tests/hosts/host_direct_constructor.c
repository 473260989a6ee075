/* One thread opens a library whose constructor looks a driver function up, another makes the first
 * driver call at that moment. Argument: the library. */
#define HOST_DIRECT
#include "host.h"

#include <dlfcn.h>
#include <pthread.h>

static pthread_barrier_t barrier;

static void *open_it(void *arg)
{
    pthread_barrier_wait(&barrier);
    return dlopen(arg, RTLD_NOW);
}

int main(int argc, char **argv)
{
    CUdeviceptr p;
    pthread_t thread;
    void *handle = NULL;

    host.cu = &host_direct;
    REQUIRE(argc > 1);
    pthread_barrier_init(&barrier, NULL, 2);
    REQUIRE(!pthread_create(&thread, NULL, open_it, argv[1]));
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 50; i++) /* not initialised: the driver says so, from before to after */
        REQUIRE(cuMemAlloc(&p, 4096) == CUDA_ERROR_NOT_INITIALIZED);
    pthread_join(thread, &handle);
    REQUIRE(handle);
    printf("done\n");
    return 0;
}
