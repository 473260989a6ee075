/* elf.h: finds a function in a loaded object without dlsym, which is ours. */
#ifndef HYBRIDMEM_ELF_H
#define HYBRIDMEM_ELF_H

/* Address of `symbol` as defined by a loaded object whose file name begins with `library` (as
 * "libc.so."), in any version; NULL if there is none. Takes no lock of its own and allocates
 * nothing. */
void *elf_find(const char *library, const char *symbol);

#endif
