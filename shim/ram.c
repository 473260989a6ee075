#include "shim/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096 /* what is looked for stands in the first lines */

/* Whoever polls may have a small stack: what is read lies here, and one thread reads at a time. */
static struct {
    pthread_mutex_t lock;
    char path[PATH_MAX];
    char dir[PATH_MAX];
    char mount[PATH_MAX];
    char groups[TEXT_MAX];
    char text[TEXT_MAX];
} scratch = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A whole small file as text; false if it cannot be read. */
static bool slurp(const char *path, char *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;

    if (fd < 0)
        return false;
    while (n < TEXT_MAX - 1) {
        ssize_t got = read(fd, text + n, TEXT_MAX - 1 - n);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    text[n] = '\0';
    return n > 0;
}

/* The number behind `key` at the start of a line; false if there is none. */
static bool field(const char *text, const char *key, uint64_t *value)
{
    size_t len = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0) {
            char *end;
            *value = strtoull(line + len, &end, 10);
            return end != line + len;
        }
    }
    return false;
}

static bool number_in(const char *dir, const char *file, uint64_t *value)
{
    if (snprintf(scratch.path, sizeof scratch.path, "%s/%s", dir, file) >=
            (int)sizeof scratch.path ||
        !slurp(scratch.path, scratch.text))
        return false;
    return field(scratch.text, "", value); /* "max" is no number: no limit */
}

/* One cgroup directory: its limit less its use; file pages that the kernel gives back are free. */
static void apply_cgroup(const char *dir, bool v2, struct ram *ram)
{
    uint64_t limit, used, reclaimable = 0;

    if (!number_in(dir, v2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
        !number_in(dir, v2 ? "memory.current" : "memory.usage_in_bytes", &used))
        return;
    if (snprintf(scratch.path, sizeof scratch.path, "%s/memory.stat", dir) <
            (int)sizeof scratch.path &&
        slurp(scratch.path, scratch.text))
        field(scratch.text, v2 ? "inactive_file " : "total_inactive_file ", &reclaimable);
    used -= reclaimable < used ? reclaimable : used;
    if (limit < ram->total)
        ram->total = limit;
    if ((limit > used ? limit - used : 0) < ram->available)
        ram->available = limit > used ? limit - used : 0;
}

/* A cgroup and all its ancestors: every one of them can stop us. Inside a container the path in
 * /proc/self/cgroup may not exist; its root then stands for it. */
static void apply_ancestors(const char *mount, char *path, bool v2, struct ram *ram)
{
    for (;;) {
        if (snprintf(scratch.dir, sizeof scratch.dir, "%s%s", mount, path) <
            (int)sizeof scratch.dir)
            apply_cgroup(scratch.dir, v2, ram);
        char *slash = strrchr(path, '/');
        if (!slash || !*path)
            return;
        *slash = '\0';
    }
}

static void apply_cgroups(const char *root, struct ram *ram)
{
    char *groups = scratch.groups;

    snprintf(scratch.path, sizeof scratch.path, "%s/proc/self/cgroup", root);
    if (!slurp(scratch.path, groups))
        return;
    for (char *save, *line = strtok_r(groups, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        /* "0::/path" is v2, "4:memory:/path" and "4:cpu,memory:/path" are v1. */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        bool v2 = strncmp(line, "0:", 2) == 0 && controllers[1] == '\0';
        if (!v2 && !strstr(controllers, "memory"))
            continue;
        snprintf(scratch.mount, sizeof scratch.mount, "%s/sys/fs/cgroup%s", root,
                 v2 ? "" : "/memory");
        apply_ancestors(scratch.mount, group, v2, ram);
    }
}

bool ram_read(const char *root, struct ram *ram)
{
    uint64_t total, available;
    int saved = errno;
    bool ok = false;

    *ram = (struct ram){0};
    pthread_mutex_lock(&scratch.lock);
    snprintf(scratch.path, sizeof scratch.path, "%s/proc/meminfo", root);
    if (slurp(scratch.path, scratch.text) && field(scratch.text, "MemTotal:", &total) &&
        field(scratch.text, "MemAvailable:", &available)) {
        *ram = (struct ram){total << 10, available << 10};
        apply_cgroups(root, ram);
        ok = true;
    }
    pthread_mutex_unlock(&scratch.lock);
    errno = saved;
    return ok;
}

void ram_after_fork(void)
{
    pthread_mutex_init(&scratch.lock, NULL);
}
