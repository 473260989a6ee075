/* Opens the driver into the global scope and asks for its names there. */
#include "doors.h"
#include "script.h"

static void *find(void *handle, const char *symbol, const char *base, int version)
{
    (void)handle;
    (void)base;
    (void)version;
    return dlsym(RTLD_DEFAULT, symbol);
}

int main(void)
{
    struct host_api api;

    door_fill(&api, find, door_open(RTLD_LAZY | RTLD_GLOBAL));
    return script_run(&api);
}
