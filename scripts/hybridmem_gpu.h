/* hybridmem_gpu.h: what the driver says of a card.
 */
#ifndef HYBRIDMEM_SCRIPTS_HYBRIDMEM_GPU_H
#define HYBRIDMEM_SCRIPTS_HYBRIDMEM_GPU_H

#include <stdbool.h>
#include <stdint.h>

struct gpu {
    char name[128];
    char uuid[48];        /* as nvidia-smi writes it: GPU-01234567-...; empty: not known */
    uint64_t total, free; /* bytes */
    bool knows_free;      /* NVML answered; otherwise free is total */
};

/* Asks for the device that programs see as cuda:<ordinal>. Returns NULL, or what is wrong: a static
 * string. */
const char *gpu_read(int ordinal, struct gpu *gpu);

#endif
