/* mappings.h: which file lies behind an address of the host's, from /proc/self/maps.
 *
 * The answers of the last reading are kept, so that a look-up costs a comparison or two. They may
 * be a tenth of a second old, and an address that nothing is known of is looked for only so often:
 * what comes out is a hint. Constant memory; keeps no file open; not thread-safe: the caller locks.
 */
#ifndef HYBRIDMEM_MAPPINGS_H
#define HYBRIDMEM_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

/* Asked once for each mapping of a file that an address was found in, or that was looked for: the
 * number that mappings_find() is to answer with, or 0 if the file is of no interest. `start` is
 * where the file's first byte is mapped, 0 if that is not in front of the address. */
typedef uint32_t mappings_name_fn(const char *path, uint64_t inode, uint64_t start);

struct mapping {
    uint32_t file;   /* as mappings_name_fn said */
    uint64_t offset; /* of the address, from the beginning of the file */
    uint64_t left;   /* bytes from there to the mapping's end */
};

/* False if no file of interest is known to lie there. */
bool mappings_find(uint64_t address, mappings_name_fn *name, struct mapping *found);

/* Has the files named whose names are a model's (*.gguf, *.safetensors), wherever they are mapped;
 * false if that was done a moment ago. */
bool mappings_look(mappings_name_fn *name);

/* A number is no longer valid; 0: none is. */
void mappings_forget(uint32_t file);

#endif
