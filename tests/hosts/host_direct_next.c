/* Runs with a second preloaded library (preload_next.c) and asks for its own RTLD_NEXT: nothing
 * after the program may be skipped, and nothing that is not there may be found. */
#define HOST_DIRECT
#include "host.h"

#include <dlfcn.h>

#define SIZE ((size_t)16 << 20)

int main(void)
{
    CUdeviceptr block[4];

    for (int i = 0; i < 3; i++) {
        REQUIRE(dlsym(RTLD_NEXT, "cuMemAlloc_v2") == (void *)cuMemAlloc);
        REQUIRE(dlsym(RTLD_NEXT, "cuMemFree_v2") == (void *)cuMemFree);
        REQUIRE(dlsym(RTLD_NEXT, "malloc") != NULL);
        REQUIRE(dlsym(RTLD_NEXT, "cuNoSuchFunction") == NULL);
        REQUIRE(dlerror() != NULL && dlerror() == NULL);
        REQUIRE(dlsym(RTLD_NEXT, "main") == NULL);
    }
    host_open(&host_direct);
    for (unsigned int i = 0; i < 4; i++) {
        MUST(cuMemAlloc(&block[i], SIZE));
        host_fill_block(block[i], SIZE, i, NULL);
    }
    for (unsigned int i = 0; i < 4; i++) {
        printf("words wrong: %llu\n",
               (unsigned long long)host_check_block(block[i], SIZE, i, host.result, NULL));
        MUST(cuMemFree(block[i]));
    }
    host_close();
    printf("done\n");
    return 0;
}
