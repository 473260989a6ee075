/* doors.h: filling the table of driver calls by name. */
#ifndef HYBRIDMEM_TESTS_DOORS_H
#define HYBRIDMEM_TESTS_DOORS_H

#include "host.h"

#include <dlfcn.h>

/* dlsym and dlvsym had this version first; binaries built before glibc 2.34 import it. */
#if defined(__x86_64__)
#define DOOR_FIRST_GLIBC "GLIBC_2.2.5"
#else
#define DOOR_FIRST_GLIBC "GLIBC_2.17"
#endif

static inline void *door_open(int flags)
{
    void *handle = dlopen("libcuda.so.1", flags);

    if (!handle) {
        printf("libcuda.so.1 cannot be opened\n");
        exit(1);
    }
    return handle;
}

static inline void door_required(const void *fn, const char *name)
{
    if (fn)
        return;
    printf("%s: not found\n", name);
    exit(1);
}

/* Fills *api with find(arg, symbol, base, version). */
static inline void
door_fill(struct host_api *api,
          void *(*find)(void *arg, const char *symbol, const char *base, int version), void *arg)
{
#define DOOR_FIND(symbol, base, version)                                                           \
    api->base = (__typeof__(api->base))find(arg, symbol, #base, version);                          \
    door_required((void *)api->base, symbol);
    HOST_API(DOOR_FIND)
#undef DOOR_FIND
}

#endif
