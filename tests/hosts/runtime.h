/* runtime.h: what the hosts of the runtime share; the like of host.h. */
#ifndef HYBRIDMEM_TESTS_RUNTIME_H
#define HYBRIDMEM_TESTS_RUNTIME_H

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void must(cudaError_t error, const char *call)
{
    if (error == cudaSuccess)
        return;
    printf("%s: %s\n", call, cudaGetErrorName(error));
    exit(1);
}
#define MUST(call) must((call), #call)

static inline void require(int truth, const char *what)
{
    if (truth)
        return;
    printf("wrong: %s\n", what);
    exit(1);
}
#define REQUIRE(truth) require((truth), #truth)

#endif
