/* caller.h: the libraries that call the CUDA runtime through us, and the call under way.
 */
#ifndef HYBRIDMEM_CALLER_H
#define HYBRIDMEM_CALLER_H

#include "shim/cuda_abi.h"
#include "shim/libraries.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The runtime that a library is linked to; NULL where it lacks the function. */
struct runtime_ops {
#define HOOK(...)
#define RUNTIME_HOOK(group, symbol, base, since, params, args) cudaError_t(*symbol) params;
#include "shim/hooks.def"
#undef HOOK
    cudaError_t (*cudaGetLastError)(void);
};

/* Never freed or changed once it can be found. */
struct caller {
    uintptr_t begin, end; /* its addresses */
    const char *version;  /* of the runtime that it asked for: a version node's name */
    bool tries_again;     /* after an out-of-memory it gives back what it caches, and tries again */
    struct runtime_ops real;
    struct caller *next;
};

/* The caller that `address` lies in. Searches the loaded libraries at its first call, a short list
 * afterwards. `version` is one of a few string constants. Thread-safe. */
const struct caller *caller_at(const void *address, const char *version);

/* What the thread is doing. */
struct caller_note {
    const struct caller *caller; /* is in a cudaMalloc by this library; NULL: is not */
    bool reached;                /* the driver's function was asked through us */
};
extern __thread struct caller_note caller_note_;

#endif
