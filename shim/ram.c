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

static bool stat_of(const char *dir, const char *key, uint64_t *value)
{
    return snprintf(scratch.path, sizeof scratch.path, "%s/memory.stat", dir) <
               (int)sizeof scratch.path &&
           slurp(scratch.path, scratch.text) && field(scratch.text, key, value);
}

static void lower(uint64_t *limit, uint64_t other)
{
    *limit = other < *limit ? other : *limit;
}

/* memory.high is where the kernel stops a cgroup that cannot give pages back, and pinned ones it
 * cannot; hierarchical_memory_limit has those ancestors in it that are out of our sight. */
static uint64_t limit_of(const char *dir, bool v2)
{
    uint64_t limit = UINT64_MAX, other;

    if (number_in(dir, v2 ? "memory.max" : "memory.limit_in_bytes", &other))
        limit = other;
    if (v2 && number_in(dir, "memory.high", &other))
        lower(&limit, other);
    if (!v2 && stat_of(dir, "hierarchical_memory_limit ", &other))
        lower(&limit, other);
    return limit;
}

/* One cgroup directory: its limit less its use; file pages that the kernel gives back are free. */
static void apply_cgroup(const char *dir, bool v2, struct ram *ram)
{
    uint64_t limit = limit_of(dir, v2), used, reclaimable;

    if (limit == UINT64_MAX ||
        !number_in(dir, v2 ? "memory.current" : "memory.usage_in_bytes", &used))
        return;
    if (stat_of(dir, v2 ? "inactive_file " : "total_inactive_file ", &reclaimable))
        used -= reclaimable < used ? reclaimable : used;
    lower(&ram->total, limit);
    lower(&ram->available, limit > used ? limit - used : 0);
}

/* A cgroup and all its ancestors: every one of them can stop us. */
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

/* --- where cgroups are mounted --------------------------------------------------------------- */

struct hierarchy {
    const char *root;
    bool v2;
    char *group; /* as /proc/self/cgroup has it; what of it lies under the mount, when found */
    enum { NOWHERE, ELSEWHERE, FOUND } where;
};

static bool lists(const char *options, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = options; (p = strstr(p, name)); p += len)
        if ((p == options || p[-1] == ',') && (p[len] == ',' || p[len] == '\0'))
            return true;
    return false;
}

/* A line of mountinfo: "36 35 0:26 ROOT POINT rw,relatime shared:9 - TYPE source OPTIONS". */
static void consider_mount(struct hierarchy *h, char *line)
{
    char *word[5], *tail = strstr(line, " - "), *save = NULL, *rest = line;
    size_t len;

    if (!tail || h->where == FOUND)
        return;
    *tail = '\0';
    char *type = strtok_r(tail + 3, " ", &save), *source = strtok_r(NULL, " ", &save);
    char *options = strtok_r(NULL, " ", &save);
    if (!source || !options || strcmp(type, h->v2 ? "cgroup2" : "cgroup") != 0 ||
        (!h->v2 && !lists(options, "memory")))
        return;
    for (int i = 0; i < 5; i++, rest = NULL)
        if (!(word[i] = strtok_r(rest, " ", &save)))
            return;
    len = strcmp(word[3], "/") == 0 ? 0 : strlen(word[3]);
    bool inside =
        strncmp(h->group, word[3], len) == 0 && (h->group[len] == '/' || h->group[len] == '\0');
    if (!inside && h->where == ELSEWHERE)
        return;
    if (snprintf(scratch.mount, sizeof scratch.mount, "%s%s", h->root, word[4]) >=
        (int)sizeof scratch.mount)
        return;
    h->where = inside ? FOUND : ELSEWHERE;
    h->group += inside ? len : 0;
}

/* mountinfo may be long: line by line, without taking memory. */
static void search_mounts(struct hierarchy *h)
{
    size_t have = 0;
    ssize_t got;

    snprintf(scratch.path, sizeof scratch.path, "%s/proc/self/mountinfo", h->root);
    int fd = open(scratch.path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (got = read(fd, scratch.text + have, TEXT_MAX - 1 - have)) > 0) {
        char *line = scratch.text, *end;
        scratch.text[have + (size_t)got] = '\0';
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            consider_mount(h, line);
        }
        have = strlen(line);
        have = have < TEXT_MAX - 1 ? have : 0; /* too long a line is no cgroup's */
        memmove(scratch.text, line, have);
    }
    if (fd >= 0)
        close(fd);
}

/* Where a process in a container finds its cgroup: the mount may show a part of the tree, and the
 * path may be that of another namespace; the root of the mount then stands for it. */
static void apply_hierarchy(const char *root, char *group, bool v2, struct ram *ram)
{
    struct hierarchy h = {.root = root, .v2 = v2, .group = group};

    search_mounts(&h);
    if (h.where == NOWHERE)
        snprintf(scratch.mount, sizeof scratch.mount, "%s/sys/fs/cgroup%s", root,
                 v2 ? "" : "/memory");
    if (h.where == ELSEWHERE)
        *h.group = '\0';
    apply_ancestors(scratch.mount, h.group, v2, ram);
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
        if (v2 || lists(controllers + 1, "memory"))
            apply_hierarchy(root, group, v2, ram);
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
