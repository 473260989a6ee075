/* Takes only cuGetProcAddress of CUDA 11.3 by dlsym, and the rest from it by base name, version and
 * flags; with the argument "per-thread", the functions of the per-thread default stream. */
#include "doors.h"
#include "script.h"

typedef CUresult get_proc_fn(const char *, void **, int, cuuint64_t);

static cuuint64_t flags = CU_GET_PROC_ADDRESS_DEFAULT;

static void *find(void *arg, const char *symbol, const char *base, int version)
{
    get_proc_fn *get = (get_proc_fn *)arg;
    void *fn = NULL;

    (void)symbol;
    return get(base, &fn, version, flags) == CUDA_SUCCESS ? fn : NULL;
}

int main(int argc, char **argv)
{
    void *get = dlsym(door_open(RTLD_NOW), "cuGetProcAddress");
    struct host_api api;

    door_required(get, "cuGetProcAddress");
    if (argc > 1 && !strcmp(argv[1], "per-thread"))
        flags = CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    door_fill(&api, find, get);
    return script_run(&api);
}
