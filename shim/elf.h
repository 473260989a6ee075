/* elf.h: finds a function in a loaded object without dlsym, which is ours. */
#ifndef HYBRIDMEM_ELF_H
#define HYBRIDMEM_ELF_H

/* Address of `symbol` as defined by an object that was loaded with the program and whose file name
 * begins with `library` (as "libc.so."), in any version; NULL if there is none. Takes no lock and
 * calls nothing, so that it works before the first constructor has run; meant for objects that are
 * never unloaded. */
void *elf_find(const char *library, const char *symbol);

#endif
