#include "shim/caller.h"

#include "shim/resolve.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* PyTorch's native caching allocator (c10/cuda/CUDACachingAllocator.cpp): after an out-of-memory
 * from cudaMalloc it frees all blocks that it only caches, and tries the same size once more. */
#define TRIES_AGAIN "libc10_cuda.so"
/* With this in the environment it caches nothing, and tries nothing again. */
#define CACHES_NOTHING "PYTORCH_NO_CUDA_MEMORY_CACHING"

#define CALLERS_MAX 128

__thread struct caller_note caller_note_;

static struct caller callers[CALLERS_MAX];
static atomic_uint taken;
static struct caller *_Atomic first;
/* Where a process has more libraries than that: looked up at each call. */
static __thread struct caller one_more;

struct search {
    uintptr_t address;
    struct caller *caller;
    const char *file;
};

static int holds_address(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *s = arg;
    uintptr_t begin = UINTPTR_MAX, end = 0;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD)
            continue;
        begin = from < begin ? from : begin;
        end = from + p->p_memsz > end ? from + p->p_memsz : end;
    }
    if (s->address < begin || s->address >= end)
        return 0;
    s->caller->begin = begin;
    s->caller->end = end;
    s->file = info->dlpi_name;
    return 1;
}

/* Counts the loaded libcudart*.so down: torch's wheels carry one with a name of its own. */
struct pick {
    unsigned left;
    const char *file;
};

static int is_runtime(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct pick *p = arg;
    const char *base = strrchr(info->dlpi_name, '/');

    (void)size;
    if (!base || strncmp(base + 1, "libcudart", strlen("libcudart")) != 0 || p->left-- > 0)
        return 0;
    p->file = info->dlpi_name;
    return 1;
}

/* The library that holds the runtime for a caller, opened; NULL if it is in the global scope or
 * cannot be told. */
static void *open_runtime(const char *file, const char *version)
{
    void *own = file && *file ? dlopen(file, RTLD_LAZY | RTLD_NOLOAD) : NULL;

    if (own && resolve_real_dlvsym(own, "cudaMalloc", version))
        return own;
    if (own)
        dlclose(own);
    /* A function that ends in a call of the runtime leaves no trace: the address is its caller's.
     */
    for (unsigned n = 0;; n++) {
        struct pick p = {.left = n};
        if (!dl_iterate_phdr(is_runtime, &p))
            return NULL;
        own = dlopen(p.file, RTLD_LAZY | RTLD_NOLOAD);
        if (own && resolve_real_dlvsym(own, "cudaMalloc", version))
            return own;
        if (own)
            dlclose(own);
    }
}

/* A library that is loaded stays so. */
static void keep(const char *file)
{
    void *handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);

    if (handle)
        dlclose(handle);
}

/* As the loader binds a reference: the global scope after us, then what the caller links by itself,
 * which may have been opened RTLD_LOCAL. */
static void find_runtime(struct runtime_ops *real, const char *file, const char *version)
{
    void *scope = resolve_real_dlvsym(RTLD_NEXT, "cudaMalloc", version) ? RTLD_NEXT : NULL;
    Dl_info info;

    if (!scope && !(scope = open_runtime(file, version)))
        return;
#define HOOK(...)
#define RUNTIME_HOOK(group, symbol, base, since, params, args)                                     \
    real->symbol = (cudaError_t(*) params)resolve_real_dlvsym(scope, #symbol, version);
#include "shim/hooks.def"
#undef HOOK
    real->cudaGetLastError =
        (cudaError_t(*)(void))resolve_real_dlvsym(scope, "cudaGetLastError", version);
    /* The runtime stays for as long as we may call it. */
    if (dladdr((void *)real->cudaMalloc, &info) && info.dli_fname)
        keep(info.dli_fname);
    if (scope != RTLD_NEXT)
        dlclose(scope);
}

static const struct caller *meet(uintptr_t address, const char *version)
{
    unsigned i = atomic_fetch_add(&taken, 1);
    struct caller *c = i < CALLERS_MAX ? &callers[i] : &one_more;
    struct search s = {.address = address, .caller = c};
    int saved = errno;

    if (i >= CALLERS_MAX)
        atomic_store(&taken, CALLERS_MAX);
    /* An address in no library (code made at run time) is a caller by itself. */
    *c = (struct caller){.begin = address, .end = address + 1, .version = version};
    dl_iterate_phdr(holds_address, &s);
    const char *base = s.file ? strrchr(s.file, '/') : NULL;
    c->tries_again = base && strcmp(base + 1, TRIES_AGAIN) == 0 && !getenv(CACHES_NOTHING);
    if (c->tries_again)
        keep(s.file); /* another in its place may try nothing again */
    find_runtime(&c->real, s.file, version);
    errno = saved;
    if (c == &one_more)
        return c;
    c->next = atomic_load(&first);
    while (!atomic_compare_exchange_weak(&first, &c->next, c))
        ;
    return c;
}

const struct caller *caller_at(const void *address, const char *version)
{
    uintptr_t a = (uintptr_t)address;

    for (const struct caller *c = atomic_load(&first); c; c = c->next)
        if (a >= c->begin && a < c->end && c->version == version)
            return c;
    return meet(a, version);
}
