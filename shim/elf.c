#include "shim/elf.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct search {
    const char *library;
    const char *symbol;
    void *found;
};

struct object {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu_hash;
};

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* glibc relocates the dynamic section of a loaded object in place; musl and the vDSO do not. */
static const void *absolute(ElfW(Addr) base, ElfW(Addr) value)
{
    return (const void *)(value < base ? base + value : value);
}

static void *find_in(const struct object *o, const char *name)
{
    /* Layout: nbuckets, symoffset, bloom_size, bloom_shift, bloom[], buckets[], chain[]. */
    const uint32_t *h = o->gnu_hash;
    uint32_t nbuckets = h[0], symoffset = h[1], bloom_size = h[2];
    const uint32_t *buckets = h + 4 + bloom_size * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chain = buckets + nbuckets;
    uint32_t hash = gnu_hash_of(name);

    if (nbuckets == 0)
        return NULL;
    for (uint32_t i = buckets[hash % nbuckets]; i >= symoffset && i != 0; i++) {
        const ElfW(Sym) *sym = &o->symbols[i];
        if ((chain[i - symoffset] | 1) == (hash | 1) && sym->st_shndx != SHN_UNDEF &&
            strcmp(o->strings + sym->st_name, name) == 0)
            return (void *)(o->base + sym->st_value);
        if (chain[i - symoffset] & 1)
            break;
    }
    return NULL;
}

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *s = arg;
    struct object o = {.base = info->dlpi_addr};
    const char *file = strrchr(info->dlpi_name, '/');

    (void)size;
    file = file ? file + 1 : info->dlpi_name;
    if (strncmp(file, s->library, strlen(s->library)) != 0)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        for (; d->d_tag != DT_NULL; d++) {
            if (d->d_tag == DT_SYMTAB)
                o.symbols = absolute(o.base, d->d_un.d_ptr);
            else if (d->d_tag == DT_STRTAB)
                o.strings = absolute(o.base, d->d_un.d_ptr);
            else if (d->d_tag == DT_GNU_HASH)
                o.gnu_hash = absolute(o.base, d->d_un.d_ptr);
        }
    }
    if (o.symbols && o.strings && o.gnu_hash)
        s->found = find_in(&o, s->symbol);
    return s->found != NULL;
}

void *elf_find(const char *library, const char *symbol)
{
    struct search s = {library, symbol, NULL};
    dl_iterate_phdr(visit, &s);
    return s.found;
}
