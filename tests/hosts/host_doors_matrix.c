/* Looks every function of shim/hooks.def up by every door and says which object answered.
 *
 * One line for each function: its name, then for each door "driver", "preloaded", "-" (not found)
 * or "other" (another function than the one that was meant). The doors are dlsym in both of glibc's
 * versions on the driver's handle, dlsym on RTLD_DEFAULT, and cuGetProcAddress and _v2 by base
 * name, the first version that has the function, and its stream flavour.
 */
#include "doors.h"

#include <link.h>

enum flavour { NONE, LEGACY, PTDS, PTSZ };

static const struct row {
    const char *symbol, *base;
    int since;
    enum flavour flavour;
} rows[] = {
#define HOOK(group, symbol, base, since, flavour, params, args) {#symbol, #base, since, flavour},
#include "shim/hooks.def"
#undef HOOK
};

typedef CUresult get_proc_fn(const char *, void **, int, cuuint64_t);
typedef CUresult get_proc_v2_fn(const char *, void **, int, cuuint64_t,
                                CUdriverProcAddressQueryResult *);

typedef void *dlsym_fn(void *handle, const char *name);
extern dlsym_fn first_dlsym;
__asm__(".symver first_dlsym, dlsym@" DOOR_FIRST_GLIBC);

static void *driver;
static get_proc_fn *get_proc;
static get_proc_v2_fn *get_proc_v2;

/* Which object the function lies in, if it is the one of that name there. */
static const char *where(void *fn, const char *symbol)
{
    Dl_info info;
    const char *file;

    if (!fn)
        return "-";
    if (!dladdr(fn, &info) || !info.dli_sname || strcmp(info.dli_sname, symbol) != 0)
        return "other";
    file = strrchr(info.dli_fname, '/');
    file = file ? file + 1 : info.dli_fname;
    return strncmp(file, "libcuda.so", 10) == 0 ? "driver" : "preloaded";
}

static cuuint64_t flags_of(const struct row *r)
{
    return r->flavour == PTDS || r->flavour == PTSZ ? CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
                                                    : CU_GET_PROC_ADDRESS_LEGACY_STREAM;
}

static void *by_proc(const struct row *r)
{
    void *fn = NULL;
    return get_proc && get_proc(r->base, &fn, r->since, flags_of(r)) == CUDA_SUCCESS ? fn : NULL;
}

static void *by_proc_v2(const struct row *r)
{
    CUdriverProcAddressQueryResult status;
    void *fn = NULL;
    CUresult result = get_proc_v2 ? get_proc_v2(r->base, &fn, r->since, flags_of(r), &status)
                                  : CUDA_ERROR_NOT_FOUND;
    return result == CUDA_SUCCESS ? fn : NULL;
}

int main(void)
{
    driver = door_open(RTLD_NOW | RTLD_GLOBAL);
    get_proc = (get_proc_fn *)dlsym(driver, "cuGetProcAddress");
    get_proc_v2 = (get_proc_v2_fn *)dlsym(driver, "cuGetProcAddress_v2");
    CUresult (*init)(unsigned int) = (CUresult(*)(unsigned int))dlsym(driver, "cuInit");
    door_required((void *)init, "cuInit");
    if (init(0) != CUDA_SUCCESS)
        return 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        printf("%s %s %s %s %s %s\n", r->symbol, where(dlsym(driver, r->symbol), r->symbol),
               where(first_dlsym(driver, r->symbol), r->symbol),
               where(dlsym(RTLD_DEFAULT, r->symbol), r->symbol), where(by_proc(r), r->symbol),
               where(by_proc_v2(r), r->symbol));
    }
    return 0;
}
