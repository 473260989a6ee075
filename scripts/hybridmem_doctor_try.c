/* hybridmem_doctor_try.c: this command again, as a probe in a process of its own.
 */
#include "policy/jscan.h"
#include "scripts/hybridmem_doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATS_NAME "stats.json"

/* --- the statistics file -------------------------------------------------------------------------
 */

static bool read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
    return pread(*(int *)ctx, buf, len, (off_t)offset) == (ssize_t)len;
}

/* A number, or null: 0, and *known false. */
static bool read_number(struct hdr *hdr, uint64_t *value, bool *known)
{
    *known = jscan_peek(hdr) != 'n';
    return *known ? jscan_whole(hdr, value) : jscan_skip(hdr);
}

static bool read_member(struct hdr *hdr, const char *key, uint64_t *ordinal,
                        struct doctor_device *d)
{
    const struct {
        const char *key;
        uint64_t *to;
    } members[] = {{"ordinal", ordinal},
                   {"vram_total", &d->vram_total},
                   {"vram_reserved", &d->vram_reserved},
                   {"gpu_budget", &d->gpu_budget},
                   {"host_bytes_peak", &d->host_peak},
                   {"insufficient", &d->insufficient}};
    bool known;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (strcmp(key, members[i].key) == 0) {
            bool good = read_number(hdr, members[i].to, &known);

            if (members[i].to == &d->gpu_budget)
                d->is_target = known;
            return good;
        }
    return jscan_skip(hdr);
}

static bool read_key(struct hdr *hdr, char *key, size_t size)
{
    size_t len;

    return jscan_string(hdr, key, size, &len, true) && jscan_expect(hdr, ':');
}

static void read_devices(struct hdr *hdr, struct doctor_try *try)
{
    bool first_device = true;
    char key[32];

    if (!jscan_expect(hdr, '['))
        return;
    while (jscan_more(hdr, ']', &first_device)) {
        struct doctor_device d = {0};
        uint64_t ordinal = UINT64_MAX;
        bool first = true;

        if (!jscan_expect(hdr, '{'))
            return;
        while (jscan_more(hdr, '}', &first))
            if (!read_key(hdr, key, sizeof(key)) || !read_member(hdr, key, &ordinal, &d))
                return;
        if (ordinal < PROBE_GPUS_MAX)
            try->device[ordinal] = d;
    }
}

static void read_stats(struct doctor_try *try, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    bool first = true, known;
    static struct hdr hdr;
    char key[32];

    if (size > 0) {
        struct hdr_file file = {(uint64_t)size, read_at, &fd};

        hdr_start(&hdr, &file, file.size);
        jscan_expect(&hdr, '{');
        while (hdr.status == HDR_OK && jscan_more(&hdr, '}', &first)) {
            if (!read_key(&hdr, key, sizeof(key)))
                break;
            if (strcmp(key, "host_share") == 0)
                read_number(&hdr, &try->host_share, &known);
            else if (strcmp(key, "devices") == 0)
                read_devices(&hdr, try);
            else
                jscan_skip(&hdr);
        }
        try->has_stats = hdr.status == HDR_OK;
    }
    if (fd >= 0)
        close(fd);
}

/* --- the process ---------------------------------------------------------------------------------
 */

/* What a person has set holds, but for where the library speaks, and how. */
static void set_environment(enum doctor_way way, const char *stats)
{
    setenv("HYBRIDMEM_STATS_FILE", stats, 1);
    setenv("HYBRIDMEM_SUMMARY", "false", 1);
    setenv("HYBRIDMEM_LOG", "warn", 1);
    setenv("HYBRIDMEM_LOG_FILE", "", 1);
    if (way == DOCTOR_BARE)
        setenv("HYBRIDMEM_ENABLE", "false", 1); /* where it is preloaded into everything */
    if (way != DOCTOR_OVERFLOW)
        return;
    setenv("HYBRIDMEM_VRAM_LIMIT", "1", 1); /* byte */
    setenv("HYBRIDMEM_MIN_REDIRECT", "0", 1);
    setenv("HYBRIDMEM_RULES", "[]", 1);
    setenv("HYBRIDMEM_SKIP_CLIP", "false", 1);
}

static _Noreturn void become_probe(enum doctor_way way, const char *library, const char *stats,
                                   int results, int words)
{
    char why[CLI_WHY_MAX], fd[16];

    set_environment(way, stats);
    if (way != DOCTOR_BARE && !cli_preload(library, why)) {
        dprintf(words, "%s\n", why);
        _exit(EXIT_CANNOT_RUN);
    }
    alarm(PROBE_SECONDS); /* of a driver that hangs, too */
    snprintf(fd, sizeof(fd), "%d", results);
    dup2(words, STDOUT_FILENO);
    dup2(words, STDERR_FILENO);
    execl("/proc/self/exe", "hybridmem", "doctor", "--probe", fd,
          way == DOCTOR_BARE ? NULL : library, NULL);
    dprintf(words, "/proc/self/exe: %s\n", strerror(errno));
    _exit(EXIT_CANNOT_RUN);
}

static bool read_all(int fd, void *to, size_t len)
{
    char *at = to;

    while (len > 0) {
        ssize_t n = read(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void read_results(struct doctor_try *try, int fd)
{
    try->answered = read_all(fd, &try->probe, sizeof(try->probe));
    if (!try->answered)
        try->probe = (struct probe){0};
    while (try->gpus < try->probe.gpus && try->gpus < PROBE_GPUS_MAX &&
           read_all(fd, &try->gpu[try->gpus], sizeof(try->gpu[0])))
        try->gpus++;
}

/* Of several lines the last of the library's or of the loader's: what is wrong with the options it
 * says first, and that is found elsewhere. */
static void read_words(struct doctor_try *try, int words)
{
    char text[4096] = "";
    ssize_t len = pread(words, text, sizeof(text) - 1, 0);
    const char *line = text;

    text[len > 0 ? len : 0] = '\0';
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strncmp(at, "hybridmem: ", 11) == 0 || strncmp(at, "ERROR: ld.so", 12) == 0)
            line = at;
    snprintf(try->said, sizeof(try->said), "%.*s", (int)strcspn(line, "\n"), line);
}

static void run_probe(struct doctor_try *try, enum doctor_way way, const char *library,
                      const char *stats, int words)
{
    int ends[2];
    pid_t child;

    if (pipe(ends) != 0)
        return;
    child = fork();
    if (child == 0) {
        close(ends[0]);
        become_probe(way, library, stats, ends[1], words);
    }
    close(ends[1]);
    if (child > 0) {
        read_results(try, ends[0]);
        while (waitpid(child, &try->wait_status, 0) < 0 && errno == EINTR)
            ;
        try->started = true;
        try->ended = WIFEXITED(try->wait_status) && WEXITSTATUS(try->wait_status) == 0;
    }
    close(ends[0]);
}

void doctor_try(struct doctor_try *try, enum doctor_way way, const char *library)
{
    const char *folder = getenv("TMPDIR");
    char name[PATH_MAX - 32], stats[PATH_MAX];
    int words = memfd_create("hybridmem-doctor", MFD_CLOEXEC);

    snprintf(name, sizeof(name), "%s/hybridmem-doctor-XXXXXX",
             folder && folder[0] == '/' && strlen(folder) < PATH_MAX / 2 ? folder : "/tmp");
    bool has_folder = mkdtemp(name) != NULL;
    snprintf(stats, sizeof(stats), "%s/" STATS_NAME, name);
    if (words >= 0) {
        run_probe(try, way, library, has_folder ? stats : "", words);
        read_words(try, words);
        close(words);
    }
    if (has_folder) {
        read_stats(try, stats);
        unlink(stats);
        rmdir(name);
    }
}
