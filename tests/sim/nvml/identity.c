/* identity.c: what a card is called: the answers agree with those of the simulated driver
 * (tests/sim/cuda/device.c), as name, UUID and bus agree between NVML and CUDA.
 */
#include "nvml_inside.h"

#define UUID_FORMAT "GPU-73696d75-6c61-7465-6463-7564610000%02x" /* "simulatedcuda", ordinal */

NVML_API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    unsigned int ordinal;
    nvmlReturn_t result = nvmlDeviceGetIndex(device, &ordinal);

    return result != NVML_SUCCESS ? result : nvml_give_text(name, length, "Simulated CUDA Device");
}

NVML_API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    char text[NVML_DEVICE_UUID_BUFFER_SIZE];
    unsigned int ordinal;
    nvmlReturn_t result = nvmlDeviceGetIndex(device, &ordinal);

    if (result != NVML_SUCCESS)
        return result;
    snprintf(text, sizeof(text), UUID_FORMAT, ordinal);
    return nvml_give_text(uuid, length, text);
}

/* The device whose ordinal is `ordinal`, or NVML_ERROR_NOT_FOUND. */
static nvmlReturn_t by_ordinal(unsigned long ordinal, nvmlDevice_t *device)
{
    unsigned int count;
    nvmlReturn_t result = nvmlDeviceGetCount_v2(&count);

    if (result != NVML_SUCCESS)
        return result;
    if (ordinal >= count)
        return NVML_ERROR_NOT_FOUND;
    return nvmlDeviceGetHandleByIndex_v2((unsigned int)ordinal, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    char text[NVML_DEVICE_UUID_BUFFER_SIZE];

    if (!uuid || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < SIM_MAX_DEVICES; i++) {
        snprintf(text, sizeof(text), UUID_FORMAT, i);
        if (!strcmp(uuid, text))
            return by_ordinal(i, device);
    }
    return by_ordinal(SIM_MAX_DEVICES, device);
}

/* domain:bus:device.function; card n sits on bus n + 1. */
NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    unsigned int domain, bus, slot, function = 0;

    if (!bus_id || !device || sscanf(bus_id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (domain || slot || function || !bus)
        return by_ordinal(SIM_MAX_DEVICES, device);
    return by_ordinal(bus - 1, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByPciBusId_v2(bus_id, device);
}
