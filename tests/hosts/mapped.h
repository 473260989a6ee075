/* mapped.h: a file as loaders have it: mapped, and uploaded from there.
 */
#ifndef HYBRIDMEM_TESTS_MAPPED_H
#define HYBRIDMEM_TESTS_MAPPED_H

#include "host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static inline const unsigned char *map_file(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY);

    REQUIRE(fd >= 0 && fstat(fd, &status) == 0);
    *size = (size_t)status.st_size;
    void *data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(data != MAP_FAILED);
    close(fd);
    return data;
}

#endif
