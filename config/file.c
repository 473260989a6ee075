/* file.c: the bytes of a policy file, and what the system refused. */
#include "config/file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct cfg_io cfg_io_system = {
    .open = open,
    .fstat = fstat,
    .read = read,
    .close = close,
    .malloc = malloc,
    .free = free,
    .dlopen = dlopen,
    .dlsym = dlsym,
    .dlclose = dlclose,
};

void cfg_ignore_file(struct cfg_reader *reader, const char *path, const char *why, int error)
{
    struct cfg_place place = {.file = path};
    struct cfg_line line = {0};
    char text[128];

    cfg_add_place(&line, &place);
    cfg_add(&line, "%s", why);
    if (error)
        cfg_add(&line, ": %s", strerror_r(error, text, sizeof(text)));
    cfg_add(&line, "; the file is ignored");
    cfg_say(reader, CFG_ERROR, &line);
}

/* Only what lies on a disk: a FIFO could keep the host waiting for ever. */
static const char *not_a_file(const struct stat *status)
{
    if (S_ISREG(status->st_mode))
        return status->st_size > (off_t)CFG_FILE_MAX ? "is larger than 1 MiB" : NULL;
    return S_ISDIR(status->st_mode) ? "is a directory, not a file" : "is not a regular file";
}

/* The number of bytes, at most `size`, or -1. */
static ssize_t read_all(int fd, char *buf, size_t size, const struct cfg_io *io)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = io->read(fd, buf + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

char *cfg_slurp(struct cfg_reader *reader, const char *path, const struct cfg_io *io, size_t *len)
{
    /* one more, to see that the file grew meanwhile */
    const size_t size = CFG_FILE_MAX + 1;
    const char *why = NULL;
    struct stat status;
    char *text = NULL;
    ssize_t n = 0;
    int error = 0;
    int fd = io->open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        cfg_ignore_file(reader, path, "cannot be opened", errno);
        return NULL;
    }
    if (io->fstat(fd, &status) != 0) {
        why = "cannot be examined";
        error = errno;
    } else if ((why = not_a_file(&status)) == NULL && (text = io->malloc(size)) == NULL) {
        why = "no memory to read it";
    } else if (text && (n = read_all(fd, text, size, io)) < 0) {
        why = "cannot be read";
        error = errno;
    } else if ((size_t)n == size) {
        why = "is larger than 1 MiB";
    }
    io->close(fd);
    if (!why) {
        *len = (size_t)n;
        return text;
    }
    io->free(text);
    cfg_ignore_file(reader, path, why, error);
    return NULL;
}
