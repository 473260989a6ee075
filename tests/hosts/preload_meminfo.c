/* preload_meminfo.c: another machine. Loaded before libhybridmem.so, which then reads of
 * MACHINE_RAM bytes that are used by the caller's process group alone, and shares the file
 * MACHINE_SHARES with the processes of that machine. Or, for any program, one whose /proc and
 * control groups lie under the folder MACHINE_ROOT.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* fopen() and scanf() take memory; open() is called where the caller has little of it. */
static int slurp(const char *path, char *text, size_t size)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Bytes of the process group's resident memory (proc(5): field 5 pgrp, field 24 rss). */
static unsigned long long used(void)
{
    unsigned long long pages = 0;
    char path[64], text[1024];
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        int group = 0;
        long rss = 0;
        snprintf(path, sizeof path, "/proc/%.16s/stat", entry->d_name);
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || !slurp(path, text, sizeof text))
            continue;
        const char *rest = strrchr(text, ')');
        if (rest &&
            sscanf(rest,
                   ") %*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                   "%*u %*u %ld",
                   &group, &rss) == 2 &&
            group == getpgrp() && rss > 0)
            pages += (unsigned long long)rss;
    }
    if (proc)
        closedir(proc);
    return pages * 4096;
}

static int machine(unsigned long long total)
{
    unsigned long long now = used();
    int fd = memfd_create("meminfo", MFD_CLOEXEC);

    dprintf(fd, "MemTotal: %llu kB\nMemAvailable: %llu kB\n", total >> 10,
            (total > now ? total - now : 0) >> 10);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static const char *here(const char *path)
{
    const char *shares = getenv("MACHINE_SHARES"), *root = getenv("MACHINE_ROOT");
    static __thread char elsewhere[4096];

    if (shares && strncmp(path, "/dev/shm/hybridmem-", 19) == 0)
        return shares;
    if (!root || (strncmp(path, "/proc/", 6) != 0 && strncmp(path, "/sys/fs/cgroup/", 15) != 0))
        return path;
    snprintf(elsewhere, sizeof elsewhere, "%s%s", root, path);
    return elsewhere;
}

EXPORT int stat(const char *restrict path, struct stat *restrict s)
{
    return (int)syscall(SYS_newfstatat, AT_FDCWD, here(path), s, 0);
}

EXPORT int open(const char *path, int flags, ...)
{
    const char *total = getenv("MACHINE_RAM");
    va_list args;

    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    if (total && strcmp(path, "/proc/meminfo") == 0)
        return machine(strtoull(total, NULL, 10));
    return (int)syscall(SYS_openat, AT_FDCWD, here(path), flags, mode);
}
