/* file.h: inside config/: the bytes of a policy file. */
#ifndef HYBRIDMEM_CONFIG_FILE_H
#define HYBRIDMEM_CONFIG_FILE_H

#include "config/option.h"

/* One error about the file as a whole; `error` is an errno, or 0. */
void cfg_ignore_file(struct cfg_reader *reader, const char *path, const char *why, int error);

/* The bytes of a regular file of at most CFG_FILE_MAX, to be freed with io->free; NULL after an
 * error was said. */
char *cfg_slurp(struct cfg_reader *reader, const char *path, const struct cfg_io *io, size_t *len);

#endif
