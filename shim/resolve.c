/* resolve.c: see resolve.h.
 *
 * The exported dlsym and dlvsym are the assembly stubs in resolve_*.S: glibc's dlsym finds its
 * caller by the return address (RTLD_NEXT, RTLD_DEFAULT), so every name that is not ours goes on
 * with a jump that leaves the stack as it was. Only one of our names comes here.
 */
#include "shim/resolve.h"

#include "shim/driver.h"
#include "shim/elf.h"
#include "shim/hooks.h"
#include "shim/init.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void *dlsym_fn(void *handle, const char *name);
typedef void *dlvsym_fn(void *handle, const char *name, const char *version);

/* Used by the stubs. */
extern dlsym_fn *resolve_next_dlsym __attribute__((visibility("hidden")));
extern dlvsym_fn *resolve_next_dlvsym __attribute__((visibility("hidden")));
void resolve_init(void) __attribute__((visibility("hidden")));
int resolve_is_ours(const char *name) __attribute__((visibility("hidden")));
void *resolve_dlsym(void *handle, const char *name, void *caller)
    __attribute__((visibility("hidden")));
void *resolve_dlvsym(void *handle, const char *name, const char *version, void *caller)
    __attribute__((visibility("hidden")));

dlsym_fn *resolve_next_dlsym;
dlvsym_fn *resolve_next_dlvsym;

/* Two small open-addressed tables over hooks[]: by symbol, and by base (its first row). */
#define SLOTS 512
_Static_assert(HOOK_ROWS * 2 < SLOTS, "the look-up tables are more than half full: double SLOTS");
static short by_symbol[SLOTS], by_base[SLOTS]; /* index + 1; 0 is free */
static short same_base[HOOK_COUNT];            /* next row of the same base + 1 */
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static unsigned hash_name(const char *s)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return (h ^ h >> 16) % SLOTS;
}

static short *slot_of(short *table, const char *name, bool base)
{
    unsigned i = hash_name(name);
    while (table[i] && strcmp(base ? hooks[table[i] - 1].base : hooks[table[i] - 1].symbol, name))
        i = (i + 1) % SLOTS;
    return &table[i];
}

static void build_tables(void)
{
    for (int i = 0; i < HOOK_ROWS; i++)
        *slot_of(by_symbol, hooks[i].symbol, false) = (short)(i + 1);
    for (int i = HOOK_COUNT - 1; i >= 0; i--) {
        short *base = slot_of(by_base, hooks[i].base, true);
        same_base[i] = *base;
        *base = (short)(i + 1);
    }
}

static struct hook *hook_by_symbol(const char *name)
{
    pthread_once(&tables_once, build_tables);
    short i = *slot_of(by_symbol, name, false);
    return i ? &hooks[i - 1] : NULL;
}

/* glibc 2.34 moved dlsym from libdl into libc. Racing threads store the same values. */
void resolve_init(void)
{
    dlsym_fn *sym = (dlsym_fn *)elf_find("libc.so.", "dlsym");
    dlvsym_fn *vsym = (dlvsym_fn *)elf_find("libc.so.", "dlvsym");

    if (!sym)
        sym = (dlsym_fn *)elf_find("libdl.so.", "dlsym");
    if (!vsym)
        vsym = (dlvsym_fn *)elf_find("libdl.so.", "dlvsym");
    if (!sym || !vsym) {
        /* Nothing can be looked up in this process: no answer would be better than this one. */
        static const char text[] = "hybridmem: no dlsym in libc.so or libdl.so; only glibc is "
                                   "supported: run without LD_PRELOAD\n";
        if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
            abort();
        abort();
    }
    __atomic_store_n(&resolve_next_dlvsym, vsym, __ATOMIC_RELEASE);
    __atomic_store_n(&resolve_next_dlsym, sym, __ATOMIC_RELEASE);
}

void *resolve_real_dlsym(void *handle, const char *name)
{
    if (!__atomic_load_n(&resolve_next_dlsym, __ATOMIC_ACQUIRE))
        resolve_init();
    return resolve_next_dlsym(handle, name);
}

void *resolve_real_dlvsym(void *handle, const char *name, const char *version)
{
    if (!__atomic_load_n(&resolve_next_dlsym, __ATOMIC_ACQUIRE))
        resolve_init();
    return resolve_next_dlvsym(handle, name, version);
}

int resolve_is_ours(const char *name)
{
    return hook_by_symbol(name) != NULL;
}

/* The symbol in the object that `caller` lies in, or in what that object links; NULL if it is not
 * there. */
static void *look_up_from(void *caller, const char *name)
{
    struct link_map *map = NULL;
    Dl_info info;

    if (!dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) || !map || !map->l_name[0])
        return NULL; /* the program itself: what it links is in the global scope */
    /* A link map serves as a handle only once dlopen() has seen it. */
    void *handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return NULL;
    void *found = resolve_real_dlsym(handle, name);
    dlclose(handle);
    return found;
}

/* Would the caller have found a driver without us? A search through the global scope
 * (RTLD_DEFAULT, the main program's handle) meets our own export first; so look for RTLD_DEFAULT in
 * what the caller links, since a library opened RTLD_LOCAL keeps that to itself, and behind us. */
static bool reachable(void *handle, const char *name, void *caller)
{
    if (handle == RTLD_DEFAULT) {
        void *own = look_up_from(caller, name);
        if (own && own != hook_by_symbol(name)->replacement)
            return true;
    }
    return resolve_real_dlsym(RTLD_NEXT, name); /* last: dlerror() tells of this one */
}

/* Is the library that the hook belongs to in the process? Then *hook->real is its function. */
static bool is_open(const struct hook *hook)
{
    return hook - hooks < HOOK_COUNT ? driver_open(false) : nvml_open();
}

/* A process that only asks NVML is not made to load a driver (promise P4). */
static bool is_wanted(const struct hook *hook)
{
    if (hook - hooks >= HOOK_COUNT)
        return atomic_load(&shim_state_) != SHIM_DISABLED;
    shim_init();
    return shim_enabled();
}

static void *replace(struct hook *hook, void *found, void *handle, void *caller)
{
    if (!found)
        return NULL;
    if (found == hook->replacement) {
        if (!reachable(handle, hook->symbol, caller))
            return NULL; /* dlerror() now says that the symbol is undefined */
        return is_wanted(hook) || !is_open(hook) || !hook->present ? found : *hook->real;
    }
    /* Only the library's own function is replaced: a wrapper of the same name, or the inner driver
     * that WSL's libcuda.so.1 loads and asks by dlsym, stays what it is. */
    if (!is_open(hook) || found != *hook->real)
        return found;
    return is_wanted(hook) ? hook->replacement : found;
}

void *resolve_dlsym(void *handle, const char *name, void *caller)
{
    void *found = resolve_real_dlsym(handle, name);
    return replace(hook_by_symbol(name), found, handle, caller);
}

void *resolve_dlvsym(void *handle, const char *name, const char *version, void *caller)
{
    if (!__atomic_load_n(&resolve_next_dlsym, __ATOMIC_ACQUIRE))
        resolve_init();
    void *found = resolve_next_dlvsym(handle, name, version);
    return replace(hook_by_symbol(name), found, handle, caller);
}

/* Is `found` exported by the driver under a name that is not the hook's? Then it is a variant that
 * this list does not know, with an ABI of its own. */
static bool is_another_symbol(const struct hook *hook, void *found)
{
    Dl_info info;
    return dladdr(found, &info) && info.dli_sname && info.dli_saddr == found &&
           strcmp(info.dli_sname, hook->symbol) != 0;
}

static bool flavour_fits(const struct hook *hook, uint64_t flags)
{
    bool per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    return hook->flavour == HOOK_NONE ||
           per_thread == (hook->flavour == HOOK_PTDS || hook->flavour == HOOK_PTSZ);
}

void *resolve_proc(const char *base, void *found, int version, uint64_t flags)
{
    struct hook *best = NULL;

    pthread_once(&tables_once, build_tables);
    for (short i = *slot_of(by_base, base, true); i; i = same_base[i - 1]) {
        struct hook *hook = &hooks[i - 1];
        if (!hook->present)
            continue;
        if (*hook->real == found) /* the driver chose by version and flags; so do we */
            return hook->replacement;
        if (flavour_fits(hook, flags) && hook->since <= version &&
            (!best || hook->since > best->since))
            best = hook;
    }
    /* A driver may answer with an address that it does not export. */
    return best && !is_another_symbol(best, found) ? best->replacement : found;
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
    CUresult r = driver.cuGetProcAddress(symbol, pfn, cudaVersion, flags);
    if (r == CUDA_SUCCESS && shim_enabled() && symbol && pfn && *pfn)
        *pfn = resolve_proc(symbol, *pfn, cudaVersion, flags);
    return r;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *symbolStatus)
{
    CUresult r = driver.cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, symbolStatus);
    if (r == CUDA_SUCCESS && shim_enabled() && symbol && pfn && *pfn)
        *pfn = resolve_proc(symbol, *pfn, cudaVersion, flags);
    return r;
}
