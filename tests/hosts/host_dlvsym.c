/* Uses dlvsym alone, as overlays do that want the true dlsym: takes dlsym's first version from the
 * global scope by dlvsym, and the driver's names from that. The driver's names carry no version
 * themselves, so that dlvsym finds none of them (glibc wants its version to match); if a driver's
 * had, they would be taken. */
#include "doors.h"
#include "script.h"

typedef void *dlsym_fn(void *, const char *);

static dlsym_fn *versioned_dlsym;

static void *find(void *handle, const char *symbol, const char *base, int version)
{
    void *fn = dlvsym(handle, symbol, "libcuda.so.1");

    (void)base;
    (void)version;
    return fn ? fn : versioned_dlsym(handle, symbol);
}

int main(void)
{
    void *handle = door_open(RTLD_NOW | RTLD_LOCAL);
    struct host_api api;

    REQUIRE(dlvsym(RTLD_DEFAULT, "malloc", DOOR_FIRST_GLIBC) != NULL);
    REQUIRE(dlvsym(RTLD_DEFAULT, "malloc", "NO_SUCH_VERSION") == NULL);
    REQUIRE(dlvsym(handle, "cuMemAlloc_v2", "NO_SUCH_VERSION") == NULL);
    versioned_dlsym = (dlsym_fn *)dlvsym(RTLD_DEFAULT, "dlsym", DOOR_FIRST_GLIBC);
    door_required((void *)versioned_dlsym, "dlsym");
    door_fill(&api, find, handle);
    return script_run(&api);
}
