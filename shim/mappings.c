#include "shim/mappings.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KNOWN_MAX 64
#define FRESH_MS  100 /* what is known is believed that long */
/* Reading costs a millisecond in a large process. A new model is mapped now and then; a host that
 * uploads from ever new addresses must not pay for each. */
#define CREDIT_MAX 16
#define CREDIT_MS  50
#define TEXT_MAX   4352 /* a path has at most 4096 bytes */
#define MODELS     0    /* no address: models, wherever they are */

static struct known {
    uint64_t start, end;
    uint64_t offset; /* of the start, in the file */
    uint64_t inode;  /* 0: no file */
    uint32_t file;
    bool seen; /* in the reading that goes on */
} known[KNOWN_MAX];
static unsigned count, oldest;
static int64_t read_ms;   /* of the last reading; 0: never */
static int64_t credit_ms; /* of the last credit */
static int credit = CREDIT_MAX;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + 1;
}

static bool may_read(int64_t now)
{
    int64_t more = (now - credit_ms) / CREDIT_MS;

    if (more > 0) {
        credit = more < CREDIT_MAX - credit ? credit + (int)more : CREDIT_MAX;
        credit_ms = now;
    }
    return credit > 0 && credit-- > 0;
}

/* --- /proc/self/maps ------------------------------------------------------------------------- */

struct line {
    uint64_t start, end, offset, inode;
    const char *path; /* "" where there is none */
};

static const char *take_number(const char *at, unsigned base, uint64_t *number)
{
    *number = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
                                                    : 16;
        if (digit >= base)
            return at;
        *number = *number * base + digit;
    }
}

static const char *skip_word(const char *at)
{
    while (*at && *at != ' ')
        at++;
    while (*at == ' ')
        at++;
    return at;
}

/* "start-end perms offset dev inode   path" (proc_pid_maps(5)). */
static void parse(const char *text, struct line *line)
{
    text = take_number(text, 16, &line->start);
    text = take_number(*text ? text + 1 : text, 16, &line->end);
    text = skip_word(skip_word(text)); /* the blank, then the permissions */
    text = skip_word(take_number(text, 16, &line->offset));
    text = skip_word(text);
    line->path = skip_word(take_number(text, 10, &line->inode));
}

/* The path of a deleted file ends in " (deleted)": it cannot be opened. */
static bool is_file(const struct line *line)
{
    return line->inode && line->path[0] == '/' && strncmp(line->path, "/dev/", 5) != 0;
}

static bool is_same(const struct known *k, const struct line *line)
{
    return k->start == line->start && k->end == line->end && k->inode == line->inode &&
           k->offset == line->offset;
}

/* `head` is the last line before it, or itself, that a file begins in. */
static void learn(const struct line *line, const struct line *head, mappings_name_fn *name)
{
    bool begins = head->inode == line->inode && head->start == line->start - line->offset;
    uint32_t file = is_file(line) ? name(line->path, line->inode, begins ? head->start : 0) : 0;
    struct known *k = count < KNOWN_MAX ? &known[count++] : &known[oldest++ % KNOWN_MAX];

    *k = (struct known){.start = line->start,
                        .end = line->end,
                        .offset = line->offset,
                        .inode = line->inode,
                        .file = file,
                        .seen = true};
}

static bool ends_in(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len > n && memcmp(text + len - n, end, n) == 0;
}

static bool is_wanted(const struct line *line, uint64_t wanted)
{
    size_t len = strlen(line->path);

    if (wanted != MODELS)
        return wanted - line->start < line->end - line->start;
    return ends_in(line->path, len, ".gguf") || ends_in(line->path, len, ".safetensors");
}

static void take_line(const char *text, uint64_t wanted, struct line *head, mappings_name_fn *name)
{
    struct line line;
    bool is_known = false;

    parse(text, &line);
    if (line.offset == 0)
        *head = line;
    for (unsigned i = 0; i < count; i++)
        if (is_same(&known[i], &line))
            is_known = known[i].seen = true;
    if (!is_known && is_wanted(&line, wanted))
        learn(&line, head, name);
}

/* Takes each whole line of text[0..len); returns the bytes that remain of the last one. */
static size_t take_lines(char *text, size_t len, uint64_t wanted, struct line *head,
                         mappings_name_fn *name)
{
    char *at = text, *end;

    while ((end = memchr(at, '\n', len - (size_t)(at - text)))) {
        *end = '\0';
        take_line(at, wanted, head, name);
        at = end + 1;
    }
    len -= (size_t)(at - text);
    memmove(text, at, len);
    return len;
}

static void drop_unseen(void)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++)
        if (known[i].seen)
            known[kept++] = known[i];
    count = kept;
    oldest = 0;
}

static void read_maps(uint64_t wanted, mappings_name_fn *name)
{
    static char buf[4 * TEXT_MAX];
    struct line head = {0};
    size_t len = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    for (unsigned i = 0; i < count; i++)
        known[i].seen = false;
    while (fd >= 0 && (n = read(fd, buf + len, sizeof buf - len)) > 0) {
        len = take_lines(buf, len + (size_t)n, wanted, &head, name);
        if (len == sizeof buf)
            break; /* no line is that long */
    }
    if (fd >= 0)
        close(fd);
    drop_unseen();
}

/* --- looking --------------------------------------------------------------------------------- */

static const struct known *find(uint64_t address)
{
    static unsigned last;

    if (last < count && address - known[last].start < known[last].end - known[last].start)
        return &known[last];
    for (unsigned i = 0; i < count; i++)
        if (address - known[i].start < known[i].end - known[i].start) {
            last = i;
            return &known[i];
        }
    return NULL;
}

bool mappings_find(uint64_t address, mappings_name_fn *name, struct mapping *found)
{
    const struct known *k = find(address);
    int64_t now = now_ms();

    if ((!k || now - read_ms >= FRESH_MS) && may_read(now)) {
        read_maps(address, name);
        read_ms = now;
        k = find(address);
    }
    if (!k || !k->file)
        return false;
    *found = (struct mapping){k->file, k->offset + (address - k->start), k->end - address};
    return true;
}

bool mappings_look(mappings_name_fn *name)
{
    int64_t now = now_ms();

    if (now - read_ms < FRESH_MS || !may_read(now))
        return false;
    read_maps(MODELS, name);
    read_ms = now;
    return true;
}

/* May be called by mappings_name_fn: the places in the table stay as they are, and the next reading
 * drops what no line can be like. */
void mappings_forget(uint32_t file)
{
    for (unsigned i = 0; i < count; i++)
        if (!file || known[i].file == file)
            known[i] = (struct known){0};
}
