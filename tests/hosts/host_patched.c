/* Overwrites the first bytes of two of the driver's own functions with a jump to functions of its
 * own, as libraries that hook at run time do (funchook, Detours); those put the bytes back for as
 * long as they call on. Blocks are allocated before and after.
 *
 *   host_patched driver|found first|late
 *
 * The driver's own functions, or what dlsym finds; before the driver's first call, or with blocks
 * there. The last line says how many calls went through the jumps: all else is the same with a
 * library in between.
 */
#include "doors.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCKS 6
#define SIZE   ((size_t)4 << 20)

#if defined(__x86_64__)
/* jmp *0(%rip), then the address */
static const unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0};
#else
/* ldr x16, .+8; br x16, then the address */
static const unsigned char jump[] = {0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6};
#endif
#define PATCH_BYTES (sizeof jump + sizeof(void *))

struct patch {
    unsigned char *at;
    unsigned char own[PATCH_BYTES], patched[PATCH_BYTES];
    unsigned calls;
};
static struct patch on_alloc, on_free;

static void write_code(struct patch *p, const unsigned char *bytes)
{
    memcpy(p->at, bytes, PATCH_BYTES);
    __builtin___clear_cache((char *)p->at, (char *)p->at + PATCH_BYTES);
}

static CUresult patched_alloc(CUdeviceptr *dptr, size_t bytes)
{
    on_alloc.calls++;
    write_code(&on_alloc, on_alloc.own);
    CUresult r = ((CUresult(*)(CUdeviceptr *, size_t))on_alloc.at)(dptr, bytes);
    write_code(&on_alloc, on_alloc.patched);
    return r;
}

static CUresult patched_free(CUdeviceptr dptr)
{
    on_free.calls++;
    write_code(&on_free, on_free.own);
    CUresult r = ((CUresult(*)(CUdeviceptr))on_free.at)(dptr);
    write_code(&on_free, on_free.patched);
    return r;
}

/* The driver's own, from its symbol table: dlsym may be somebody else's. */
static void *in_driver(void *handle, const char *name)
{
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    struct link_map *map;

    REQUIRE(dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0);
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
        if (d->d_tag == DT_STRTAB)
            strings = (const char *)d->d_un.d_ptr;
    }
    REQUIRE(symbols && strings);
    for (const ElfW(Sym) *s = symbols; (const char *)s < strings;
         s++) /* the one follows the other */
        if (s->st_value && strcmp(strings + s->st_name, name) == 0)
            return (void *)(map->l_addr + s->st_value);
    return NULL;
}

static void patch(struct patch *p, void *at, void *instead)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)at & ~(page - 1);

    REQUIRE(at != NULL);
    REQUIRE(mprotect((void *)from, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    p->at = at;
    memcpy(p->own, at, PATCH_BYTES);
    memcpy(p->patched, jump, sizeof jump);
    memcpy(p->patched + sizeof jump, &instead, sizeof instead);
    write_code(p, p->patched);
}

static void patch_both(void *handle, void *(*find)(void *, const char *))
{
    patch(&on_alloc, find(handle, "cuMemAlloc_v2"), (void *)patched_alloc);
    patch(&on_free, find(handle, "cuMemFree_v2"), (void *)patched_free);
}

static void *by_name(void *handle, const char *symbol, const char *base, int version)
{
    (void)base;
    (void)version;
    return dlsym(handle, symbol);
}

int main(int argc, char **argv)
{
    bool first = argc == 3 && strcmp(argv[2], "first") == 0;
    bool found = argc == 3 && strcmp(argv[1], "found") == 0;
    static struct host_api api;
    CUdeviceptr block[BLOCKS];
    uint64_t wrong = 0;

    void *driver = door_open(RTLD_NOW);
    if (first)
        patch_both(driver, found ? dlsym : in_driver);
    door_fill(&api, by_name, driver);
    host_open(&api);
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!first && i == BLOCKS / 2)
            patch_both(driver, found ? dlsym : in_driver);
        MUST(host.cu->cuMemAlloc(&block[i], SIZE));
        host_fill_block(block[i], SIZE, i, NULL);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        wrong += host_check_block(block[i], SIZE, i, host.result, NULL);
    for (unsigned i = 0; i < BLOCKS; i += 2)
        MUST(host.cu->cuMemFree(block[i]));
    for (unsigned i = 1; i < BLOCKS; i += 2)
        wrong += host_check_block(block[i], SIZE, i, host.result, NULL);
    for (unsigned i = 1; i < BLOCKS; i += 2)
        MUST(host.cu->cuMemFree(block[i]));
    host_show("a second time", host.cu->cuMemFree(block[0]));
    host_close();
    printf("%u words wrong\n", (unsigned)wrong);
    printf("through the jumps: %u allocated, %u freed\n", on_alloc.calls, on_free.calls);
    return wrong != 0;
}
