/* hybridmem_files.c: the files of a model, for "hybridmem plan". The readers of policy/ get them as
 * two functions; here is the system behind them.
 */
#include "scripts/command.h"
#include "scripts/hybridmem_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct open_file {
    int fd;
    int error; /* errno of the read that failed; 0: the file became shorter */
};

static bool read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
    struct open_file *f = ctx;
    char *to = buf;

    while (len > 0) {
        ssize_t n = pread(f->fd, to, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            f->error = n < 0 ? errno : 0;
            return false;
        }
        to += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "hybridmem: %s: %s\n", path, what);
    return EXIT_NO_INPUT;
}

/* The file's size; -1 and a line on stderr where it has no contents to read. */
static int64_t size_of(const char *path, int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        complain(path, strerror(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        complain(path, S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file");
        return -1;
    }
    return status.st_size;
}

static int read_part(const char *path, struct model *model, const struct model_part *part,
                     hdr_visit_fn *visit, void *arg)
{
    /* Not to wait for the other end of a pipe. */
    struct open_file f = {open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), 0};
    enum hdr_status status = HDR_UNREADABLE;
    struct txt error = {0};
    int64_t size;

    if (f.fd < 0)
        return complain(path, strerror(errno));
    size = size_of(path, f.fd);
    if (size >= 0) {
        struct hdr_file file = {(uint64_t)size, read_at, &f};

        status = model_read(model, &file, part, visit, arg, &error);
    }
    close(f.fd);
    if (status == HDR_OK)
        return 0;
    if (status == HDR_UNREADABLE && size >= 0)
        fprintf(stderr, "hybridmem: %s: %s: %s\n", path, error.text,
                f.error ? strerror(f.error) : "the file became shorter");
    if (status == HDR_BAD)
        fprintf(stderr, "hybridmem: %s: %s\n", path, error.text);
    return status == HDR_BAD ? EXIT_DATA : EXIT_NO_INPUT;
}

/* The name of another part of the same model; to be freed. */
static char *name_of_part(const char *path, const struct model_part *part)
{
    static const size_t end_len = sizeof("00001-of-00002.gguf") - 1;
    char *name = NULL;

    if (asprintf(&name, "%.*s%05u-of-%05u.gguf", (int)(strlen(path) - end_len), path, part->number,
                 part->count) < 0)
        return NULL;
    return name;
}

static int read_parts(const char *path, struct model *model, struct model_part part,
                      hdr_visit_fn *visit, void *arg)
{
    int status = 0;

    for (part.number = 1; part.number <= part.count && status == 0; part.number++) {
        char *name = name_of_part(path, &part);

        if (!name)
            return complain(path, strerror(ENOMEM));
        if (access(name, F_OK) != 0) {
            fprintf(stderr, "hybridmem: %s: part %u of %u is missing: %s\n", name, part.number,
                    part.count, strerror(errno));
            status = EXIT_NO_INPUT;
        } else {
            status = read_part(name, model, &part, visit, arg);
        }
        free(name);
    }
    return status;
}

int files_read(const char *path, struct model *model, hdr_visit_fn *visit, void *arg)
{
    struct model_part part = {1, 1};

    *model = (struct model){0};
    if (!model_part_of_name(path, strlen(path), &part))
        return read_part(path, model, &(struct model_part){1, 1}, visit, arg);
    if (part.number == 1)
        return read_parts(path, model, part, visit, arg);
    fprintf(
        stderr,
        "hybridmem: %s: is part %u of %u: name the first part, the others are found beside it\n",
        path, part.number, part.count);
    return EXIT_USAGE;
}
