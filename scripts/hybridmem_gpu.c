/* hybridmem_gpu.c: what the driver says of a card. Makes no context on it: the driver is asked for
 * the total, NVML for what is free.
 */
#include "scripts/hybridmem_gpu.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* nvmlMemory_t; bytes. */
struct nvml_memory {
    unsigned long long total, free, used;
};

/* As the driver and NVML name them (CUDA driver API, "Device Management"; NVML API reference). All
 * results: 0 is success. */
struct functions {
    int (*init)(unsigned int flags);
    int (*get)(int *device, int ordinal);
    int (*name)(char *name, int len, int device);
    int (*total)(size_t *bytes, int device);
    int (*bus)(char *id, int len, int device);
    int (*uuid)(unsigned char uuid[16], int device);
    int (*nvml_init)(void);
    int (*nvml_handle)(const char *bus, void **device);
    int (*nvml_memory)(void *device, struct nvml_memory *memory);
};

static bool find(void *library, const char *symbol, void *function)
{
    void *found = library ? dlsym(library, symbol) : NULL;

    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static bool find_driver(struct functions *f)
{
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    return find(cuda, "cuInit", &f->init) && find(cuda, "cuDeviceGet", &f->get) &&
           find(cuda, "cuDeviceGetName", &f->name) &&
           find(cuda, "cuDeviceTotalMem_v2", &f->total) &&
           find(cuda, "cuDeviceGetPCIBusId", &f->bus) &&
           (find(cuda, "cuDeviceGetUuid_v2", &f->uuid) || find(cuda, "cuDeviceGetUuid", &f->uuid));
}

/* The same card for NVML, which counts cards in another order and knows no CUDA_VISIBLE_DEVICES. */
static bool free_bytes(struct functions *f, int device, uint64_t *bytes)
{
    void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL), *handle;
    struct nvml_memory memory;
    char bus[32];

    if (!find(nvml, "nvmlInit_v2", &f->nvml_init) ||
        !find(nvml, "nvmlDeviceGetHandleByPciBusId_v2", &f->nvml_handle) ||
        !find(nvml, "nvmlDeviceGetMemoryInfo", &f->nvml_memory) ||
        f->bus(bus, sizeof bus, device) != 0 || f->nvml_init() != 0 ||
        f->nvml_handle(bus, &handle) != 0 || f->nvml_memory(handle, &memory) != 0)
        return false;
    *bytes = memory.free;
    return true;
}

static void read_uuid(struct functions *f, int device, char text[48])
{
    unsigned char b[16];

    text[0] = '\0';
    if (f->uuid(b, device) == 0)
        snprintf(text, 48,
                 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                 b[14], b[15]);
}

const char *gpu_read(int ordinal, struct gpu *gpu)
{
    struct functions f;
    size_t total = 0;
    int device;

    *gpu = (struct gpu){0};
    if (!find_driver(&f))
        return "no NVIDIA driver: libcuda.so.1 cannot be loaded";
    if (f.init(0) != 0)
        return "the NVIDIA driver does not start (cuInit)";
    if (f.get(&device, ordinal) != 0)
        return "there is no such GPU";
    if (f.total(&total, device) != 0)
        return "the driver does not tell how much memory the GPU has";
    gpu->total = total;
    if (f.name(gpu->name, sizeof gpu->name, device) != 0)
        gpu->name[0] = '\0';
    read_uuid(&f, device, gpu->uuid);
    gpu->knows_free = free_bytes(&f, device, &gpu->free);
    if (!gpu->knows_free || gpu->free > gpu->total)
        gpu->free = gpu->total;
    return NULL;
}
