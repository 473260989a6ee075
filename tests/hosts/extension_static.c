/* An extension with a runtime of its own, as nvcc links it by default, here with its names in the
 * open as some builds leave them: its calls are its own. Its references carry no version. */
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

int cudaMalloc(void **p, size_t size);
int cudaFree(void *p);

int extension_run(void);

static int allocated, freed;

EXPORT int cudaMalloc(void **p, size_t size)
{
    allocated++;
    *p = malloc(size);
    return !*p;
}

EXPORT int cudaFree(void *p)
{
    freed++;
    free(p);
    return 0;
}

EXPORT int extension_run(void)
{
    void *p = NULL;

    if (cudaMalloc(&p, 100) || cudaFree(p))
        return 1;
    printf("%d allocated, %d freed by its own\n", allocated, freed);
    return allocated != 1 || freed != 1;
}
