/* preload_next.c: another preloaded library, which counts allocations and hands them on to whoever
 * comes next, as its own RTLD_NEXT sees it. It asks anew at every call: a look-up that works once
 * must work again. At exit it says what it saw. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long device_pointer;

int cuMemAlloc_v2(device_pointer *p, size_t size);
int cuMemFree_v2(device_pointer p);

static unsigned int allocated, freed;

static void *next(const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);

    if (!fn) {
        fprintf(stderr, "preload_next: no next %s\n", name);
        abort();
    }
    return fn;
}

__attribute__((visibility("default"))) int cuMemAlloc_v2(device_pointer *p, size_t size)
{
    int (*fn)(device_pointer *, size_t) = (int (*)(device_pointer *, size_t))next("cuMemAlloc_v2");

    allocated++;
    return fn(p, size);
}

__attribute__((visibility("default"))) int cuMemFree_v2(device_pointer p)
{
    int (*fn)(device_pointer) = (int (*)(device_pointer))next("cuMemFree_v2");

    freed++;
    return fn(p);
}

/* Where the next cuMemAlloc_v2 lies, without its folder. */
static const char *next_file(void)
{
    Dl_info info;
    const char *slash;

    if (!dladdr(next("cuMemAlloc_v2"), &info) || !info.dli_fname)
        return "nowhere";
    slash = strrchr(info.dli_fname, '/');
    return slash ? slash + 1 : info.dli_fname;
}

/* Quiet in a program that has no driver. A name that no CUDA library has (puts) must be found past
 * all of them. */
__attribute__((destructor)) static void report(void)
{
    int (*say)(const char *) = (int (*)(const char *))next("puts");
    char line[128];

    if (!dlsym(RTLD_NEXT, "cuInit"))
        return;
    snprintf(line, sizeof(line), "preload_next: %u allocated, %u freed, next is %s", allocated,
             freed, next_file());
    say(line);
    fflush(stdout);
}
