/* device.c: the cards: how big, how full, and what they say about themselves. */
#include "impl.h"
#include "pool.h"

#include <stdlib.h>
#include <sys/mman.h>

struct device sim_devices[SIM_MAX_DEVICES];

/* What is beyond is no attribute: an older driver knows fewer. */
#define ATTRIBUTE_LAST (sim_driver_version >= 13000 ? 147 : sim_driver_version >= 12000 ? 134 : 119)
#define WINDOW_LEAST   ((size_t)256 << 30) /* of address space: reserved, not committed */

struct device *device_get(CUdevice ordinal)
{
    return ordinal >= 0 && ordinal < sim_settings.devices ? &sim_devices[ordinal] : NULL;
}

void *device_reserve(size_t bytes, int protection)
{
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        sim_refuse("cannot reserve %zu GiB of address space for device memory", bytes >> 30);
    madvise(p, bytes, MADV_DONTDUMP);
    return p;
}

void device_start(void)
{
    for (int i = 0; i < sim_settings.devices; i++) {
        struct device *device = &sim_devices[i];

        device->ordinal = i;
        device->total = sim_settings.vram[sim_settings.card[i]] / SIM_ALIGNMENT * SIM_ALIGNMENT;
        device->space.bytes = device->total * 4 > WINDOW_LEAST ? device->total * 4 : WINDOW_LEAST;
        device->space.base = (uintptr_t)device_reserve(device->space.bytes, PROT_NONE);
        device->space.top = device->space.base;
        device->space.shadow = device_reserve(device->space.bytes, PROT_READ | PROT_WRITE);
        pool_start_locked(device);
    }
}

CUresult device_take_locked(struct device *device, size_t bytes)
{
    if (bytes > device->total - device->used)
        return CUDA_ERROR_OUT_OF_MEMORY;
    device->used += bytes;
    return CUDA_SUCCESS;
}

void device_give_locked(struct device *device, size_t bytes)
{
    device->used -= bytes;
}

CUresult sim_device_get(CUdevice *device, int ordinal)
{
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(ordinal))
        return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult sim_device_get_count(int *count)
{
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = sim_settings.devices;
    return CUDA_SUCCESS;
}

CUresult sim_device_get_name(char *name, int length, CUdevice dev)
{
    if (!name || length <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    snprintf(name, (size_t)length, "Simulated CUDA Device");
    return CUDA_SUCCESS;
}

CUresult sim_device_get_uuid(CUuuid *uuid, CUdevice dev)
{
    if (!uuid)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    memcpy(uuid->bytes, "simulatedcuda\0\0", sizeof(uuid->bytes));
    uuid->bytes[15] = (char)sim_settings.card[dev];
    return CUDA_SUCCESS;
}

CUresult sim_device_get_attribute(int *value, CUdevice_attribute attribute, CUdevice dev)
{
    const struct device *device = device_get(dev);

    if (!value || (int)attribute < 1)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    if ((int)attribute > ATTRIBUTE_LAST)
        return CUDA_ERROR_INVALID_VALUE;
    switch ((int)attribute) {
#define ATTRIBUTE(number, answer)                                                                  \
    case number:                                                                                   \
        *value = (answer);                                                                         \
        return CUDA_SUCCESS;
#include "attributes.def"
#undef ATTRIBUTE
    default:
        *value = 0;
        return CUDA_SUCCESS;
    }
}

CUresult sim_device_compute_capability(int *major, int *minor, CUdevice dev)
{
    if (!major || !minor)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    *major = 8;
    *minor = 6;
    return CUDA_SUCCESS;
}

CUresult sim_device_total_mem(size_t *bytes, CUdevice dev)
{
    const struct device *device = device_get(dev);

    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    *bytes = device->total;
    return CUDA_SUCCESS;
}

CUresult sim_device_get_properties(CUdevprop *properties, CUdevice dev)
{
    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    *properties = (CUdevprop){.maxThreadsPerBlock = 1024,
                              .maxThreadsDim = {1024, 1024, 64},
                              .maxGridSize = {2147483647, 65535, 65535},
                              .sharedMemPerBlock = 49152,
                              .totalConstantMemory = 65536,
                              .SIMDWidth = 32,
                              .memPitch = 2147483647,
                              .regsPerBlock = 65536,
                              .clockRate = 1777000,
                              .textureAlign = 512};
    return CUDA_SUCCESS;
}

CUresult sim_device_get_pci_bus_id(char *id, int length, CUdevice dev)
{
    if (!id || length < 13)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    snprintf(id, (size_t)length, "0000:%02X:00.0", (unsigned)(sim_settings.card[dev] + 1) & 0xff);
    return CUDA_SUCCESS;
}

CUresult sim_device_get_by_pci_bus_id(CUdevice *dev, const char *id)
{
    unsigned domain = 0, bus, slot;

    if (!dev || !id ||
        (sscanf(id, "%x:%x:%x", &domain, &bus, &slot) != 3 &&
         (domain = 0, sscanf(id, "%x:%x", &bus, &slot) != 2)))
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; !domain && !slot && i < sim_settings.devices; i++)
        if (sim_settings.card[i] == (int)bus - 1) {
            *dev = i;
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_INVALID_DEVICE;
}

/* All simulated cards reach each other. */
CUresult sim_device_can_access_peer(int *can, CUdevice dev, CUdevice peer)
{
    if (!can)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev) || !device_get(peer))
        return CUDA_ERROR_INVALID_DEVICE;
    *can = dev != peer;
    return CUDA_SUCCESS;
}

CUresult sim_device_get_p2p_attribute(int *value, CUdevice_P2PAttribute attribute, CUdevice from,
                                      CUdevice to)
{
    if (!value || (int)attribute < 1 || (int)attribute > 4)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(from) || !device_get(to) || from == to)
        return CUDA_ERROR_INVALID_DEVICE;
    *value = attribute != CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK;
    return CUDA_SUCCESS;
}
