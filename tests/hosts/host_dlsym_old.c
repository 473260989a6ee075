/* Finds the driver by dlsym's first version, as every binary does that was built before glibc 2.34.
 */
#include "doors.h"
#include "script.h"

void *first_dlsym(void *handle, const char *name);
__asm__(".symver first_dlsym, dlsym@" DOOR_FIRST_GLIBC);

static void *find(void *handle, const char *symbol, const char *base, int version)
{
    (void)base;
    (void)version;
    return first_dlsym(handle, symbol);
}

int main(void)
{
    struct host_api api;

    door_fill(&api, find, door_open(RTLD_NOW | RTLD_LOCAL));
    return script_run(&api);
}
