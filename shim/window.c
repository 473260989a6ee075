#include "shim/window.h"

#include "shim/arena.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

/* Addresses cost nothing; a user process has 128 TiB of them. Halved while refused (ulimit -v). */
#define WINDOW_BYTES (UINT64_C(1) << 40)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t next, end;

static uint64_t round_up(uint64_t n)
{
    return (n + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
}

static bool reserve(uint64_t bytes)
{
    for (uint64_t size = WINDOW_BYTES; size >= bytes + 2 * ARENA_UNIT; size /= 2) {
        void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            next = round_up((uint64_t)(uintptr_t)p);
            end = (uint64_t)(uintptr_t)p + size;
            return true;
        }
    }
    return false;
}

void *window_take(size_t bytes, bool hugepages)
{
    uint64_t size = round_up(bytes);
    void *memory = MAP_FAILED;

    if (size < bytes)
        return NULL;
    pthread_mutex_lock(&lock);
    if (end - next >= size || reserve(size)) {
        memory = mmap((void *)(uintptr_t)next, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (memory != MAP_FAILED)
            next += size;
    }
    pthread_mutex_unlock(&lock);
    if (memory == MAP_FAILED)
        return NULL;
    if (hugepages)
        madvise(memory, bytes, MADV_HUGEPAGE);
    /* Without this a fork() would make the parent's pinned pages copy-on-write: its next write
     * would move to a new page, while the device goes on with the old one. */
    madvise(memory, bytes, MADV_DONTFORK);
    return memory;
}

void window_give(void *memory, size_t bytes)
{
    mmap(memory, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

void window_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
}
