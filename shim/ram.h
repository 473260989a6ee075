/* ram.h: how much RAM the machine or the container has, and how much of it is free.
 */
#ifndef HYBRIDMEM_RAM_H
#define HYBRIDMEM_RAM_H

#include <stdbool.h>
#include <stdint.h>

struct ram {
    uint64_t total;     /* bytes: of the machine, or the tightest cgroup limit */
    uint64_t available; /* bytes: MemAvailable, or the tightest cgroup limit's remainder */
};

/* Reads <root>/proc/meminfo and the memory limits of this process's cgroups, v1 and v2, ancestors
 * included, wherever <root>/proc/self/mountinfo says they are mounted. `root` is "" outside tests.
 * False if /proc/meminfo cannot be read or has no MemAvailable (Linux before 3.14): *ram is then
 * zero. Allocates nothing; keeps errno. Source: Linux, Documentation/filesystems/proc.rst,
 * admin-guide/cgroup-v2.rst (memory.max, memory.high, memory.current, memory.stat inactive_file)
 * and cgroup-v1/memory.rst. */
bool ram_read(const char *root, struct ram *ram);

/* In a forked child: a lock that another thread of the parent held is nobody's now. */
void ram_after_fork(void);

#endif
