/* hybridmem_probe.h: what "hybridmem doctor" tries out on the driver, in a process of its own: a
 * driver that crashes or hangs then says something, too, and the library can be preloaded.
 */
#ifndef HYBRIDMEM_SCRIPTS_HYBRIDMEM_PROBE_H
#define HYBRIDMEM_SCRIPTS_HYBRIDMEM_PROBE_H

#include "scripts/hybridmem_gpu.h"
#include "scripts/hybridmem_machine.h"

#define PROBE_GPUS_MAX 16
#define PROBE_SECONDS  60 /* then SIGALRM ends the process */

/* How programs find the driver's functions: by a reference that they are linked with (which the
 * dynamic loader searches for as dlsym(RTLD_DEFAULT) does), by dlsym on the driver's handle, and as
 * the CUDA runtime does. */
enum probe_door { PROBE_LINKED, PROBE_DLSYM, PROBE_PROC, PROBE_DOORS };

struct probe_result {
    int code; /* CUresult; 0 is success */
    char name[48];
};

/* 1 MiB that was asked for through a door. */
struct probe_block {
    bool exists;   /* a driver before CUDA 11.3 has no cuGetProcAddress */
    bool is_ours;  /* the library answers */
    bool is_right; /* what was written there was read again */
    struct probe_result result;
};

struct probe_gpu {
    char problem[80]; /* of gpu_read(); empty: none */
    struct gpu gpu;
    struct probe_result context;
    struct probe_block door[PROBE_DOORS];
    struct probe_result pinned; /* while the bandwidth was measured */
    bool measured;
    struct bandwidth bandwidth;
};

struct probe {
    bool has_driver;  /* libcuda.so.1 can be loaded, and is one */
    bool has_library; /* the library is in the process */
    struct probe_result init;
    int version; /* 13000: CUDA 13.0 */
    int gpus;    /* of these, the first PROBE_GPUS_MAX follow */
};

/* Inside that process: writes a struct probe, then a struct probe_gpu for each card as it is done,
 * to the file descriptor. `library` is the path that was preloaded; NULL: none, and bandwidths are
 * measured. Returns the exit status. */
int probe_main(int fd, const char *library);

#endif
