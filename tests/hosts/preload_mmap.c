/* preload_mmap.c: what libhybridmem.so asks the system for. Loaded before it.
 *
 *   FAIL_MMAP=n       fails its n-th mmap(), and only that one
 *   SYSTEM_LOG=file   appends "mmap failed" when it did, and "madvise N" for each advice
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int is_library(const void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libhybridmem.so");
}

static void note(const char *what, int number)
{
    const char *file = getenv("SYSTEM_LOG");
    FILE *log = file ? fopen(file, "a") : NULL;

    if (log) {
        fprintf(log, "%s %d\n", what, number);
        fclose(log);
    }
}

EXPORT void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    static atomic_long calls;
    const char *n = getenv("FAIL_MMAP");

    if (n && is_library(__builtin_return_address(0)) &&
        atomic_fetch_add(&calls, 1) + 1 == strtol(n, NULL, 10)) {
        note("mmap failed", (int)strtol(n, NULL, 10));
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

EXPORT int madvise(void *address, size_t length, int advice)
{
    if (is_library(__builtin_return_address(0)))
        note("madvise", advice);
    return (int)syscall(SYS_madvise, address, length, advice);
}
