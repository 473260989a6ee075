/* preload_mmap.c: fails the n-th mmap() that libhybridmem.so itself calls, and only that one.
 * FAIL_MMAP=n; loaded before libhybridmem.so.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    static atomic_long calls;
    const char *n = getenv("FAIL_MMAP");
    Dl_info info;

    if (n && dladdr(__builtin_return_address(0), &info) && info.dli_fname &&
        strstr(info.dli_fname, "libhybridmem.so") &&
        atomic_fetch_add(&calls, 1) + 1 == strtol(n, NULL, 10)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
