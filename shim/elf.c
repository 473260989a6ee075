#include "shim/elf.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu_hash;
};

/* Other libraries interpose string functions too (sanitizers do), and look up theirs through us
 * before they are ready: so these are our own. */
static bool begins_with(const char *s, const char *prefix)
{
    for (; *prefix; s++, prefix++)
        if (*s != *prefix)
            return false;
    return true;
}

static bool equal(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return *a == *b;
}

static const char *base_name(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

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
            equal(o->strings + sym->st_name, name))
            return (void *)(o->base + sym->st_value);
        if (chain[i - symoffset] & 1)
            break;
    }
    return NULL;
}

static void *find_in_loaded(const struct link_map *map, const char *symbol)
{
    struct object o = {.base = map->l_addr};

    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            o.symbols = absolute(o.base, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            o.strings = absolute(o.base, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            o.gnu_hash = absolute(o.base, d->d_un.d_ptr);
    }
    return o.symbols && o.strings && o.gnu_hash ? find_in(&o, symbol) : NULL;
}

void *elf_find(const char *library, const char *symbol)
{
    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        bool named = begins_with(base_name(map->l_name), library);
        void *found = named ? find_in_loaded(map, symbol) : NULL;
        if (found)
            return found;
    }
    return NULL;
}
