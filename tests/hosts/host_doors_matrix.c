/* Looks every function of shim/hooks.def up by every door and says which object answered.
 *
 * One line for each function: its name, then for each door "driver" (or NVML), "preloaded", "-"
 * (not found) or "other" (another function than the one that was meant). The doors are dlsym in
 * both of glibc's versions on the library's handle, dlsym on RTLD_DEFAULT, and, for the driver's,
 * cuGetProcAddress and _v2 by base name, the first version that has the function, and its stream
 * flavour. The runtime's functions are found by what a reference is bound to.
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

static const char *const nvml_rows[] = {
#define HOOK(...)
#define NVML_HOOK(group, symbol, ...) #symbol,
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
    if (strncmp(file, "libcuda.so", 10) == 0 || strncmp(file, "libnvidia-ml.so", 15) == 0)
        return "driver";
    return "preloaded";
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

static void by_name(void *handle, const char *symbol)
{
    printf("%s %s %s %s", symbol, where(dlsym(handle, symbol), symbol),
           where(first_dlsym(handle, symbol), symbol), where(dlsym(RTLD_DEFAULT, symbol), symbol));
}

int main(void)
{
    void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_GLOBAL);

    REQUIRE(nvml != NULL);
    driver = door_open(RTLD_NOW | RTLD_GLOBAL);
    get_proc = (get_proc_fn *)dlsym(driver, "cuGetProcAddress");
    get_proc_v2 = (get_proc_v2_fn *)dlsym(driver, "cuGetProcAddress_v2");
    CUresult (*init)(unsigned int) = (CUresult(*)(unsigned int))dlsym(driver, "cuInit");
    door_required((void *)init, "cuInit");
    if (init(0) != CUDA_SUCCESS)
        return 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        by_name(driver, r->symbol);
        printf(" %s %s\n", where(by_proc(r), r->symbol), where(by_proc_v2(r), r->symbol));
    }
    for (size_t i = 0; i < sizeof nvml_rows / sizeof *nvml_rows; i++) {
        by_name(nvml, nvml_rows[i]);
        printf("\n");
    }
    return 0;
}
