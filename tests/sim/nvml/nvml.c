/* nvml.c: the simulated libnvidia-ml.so.1. What the cards are comes from the SIMCUDA_* settings;
 * what is used of them, from the simulated driver where the same process has loaded it (each
 * process has cards of its own), else nothing is.
 */
#include "nvml_inside.h"

#include <dlfcn.h>

static pthread_once_t settings_once = PTHREAD_ONCE_INIT;
static atomic_int users;

/* For a test in the same process, as simcuda_fail_nth of the driver: the n-th call that the thread
 * makes from now on answers `result`; none does if n is 0. Calls that need no initialised NVML do
 * not count. Returns how many it has made since it was here last. */
static __thread struct {
    unsigned long calls, nth;
    nvmlReturn_t result;
} armed;

NVML_API unsigned long simnvml_fail_nth(unsigned long nth, nvmlReturn_t result);
NVML_API unsigned long simnvml_fail_nth(unsigned long nth, nvmlReturn_t result)
{
    unsigned long calls = armed.calls;

    armed.calls = 0;
    armed.nth = nth;
    armed.result = result;
    return calls;
}

static nvmlReturn_t begin(void)
{
    if (++armed.calls == armed.nth)
        return armed.result;
    return atomic_load(&users) > 0 ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

/* Handles are the ordinals, counted from one. */
static nvmlReturn_t find(nvmlDevice_t device, int *ordinal)
{
    intptr_t number = (intptr_t)device - 1;
    nvmlReturn_t result = begin();

    if (result != NVML_SUCCESS)
        return result;
    if (number < 0 || number >= sim_settings.devices)
        return NVML_ERROR_INVALID_ARGUMENT;
    *ordinal = (int)number;
    return NVML_SUCCESS;
}

nvmlReturn_t nvml_give_text(char *out, unsigned int length, const char *text)
{
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (strlen(text) >= length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(out, text);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    pthread_once(&settings_once, sim_settings_read);
    atomic_fetch_add(&users, 1);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

NVML_API nvmlReturn_t nvmlInit(void)
{
    return nvmlInitWithFlags(0);
}

NVML_API nvmlReturn_t nvmlShutdown(void)
{
    if (atomic_fetch_sub(&users, 1) > 0)
        return NVML_SUCCESS;
    atomic_fetch_add(&users, 1);
    return NVML_ERROR_UNINITIALIZED;
}

NVML_API const char *nvmlErrorString(nvmlReturn_t result)
{
    switch (result) {
#define CASE(name, value, text)                                                                    \
    case name:                                                                                     \
        return text;
        NVML_RESULTS(CASE)
#undef CASE
    }
    return "Unknown Error";
}

NVML_API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    nvmlReturn_t result = begin();

    return result != NVML_SUCCESS ? result : nvml_give_text(version, length, "580.00");
}

/* That of the driver in this process; the newest where there is none. */
NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    CUresult (*ask)(int *) = NULL;

    if (version)
        *version = sim_driver_version;
    if (driver)
        ask = (CUresult(*)(int *))dlsym(driver, "cuDriverGetVersion");
    if (version && ask)
        ask(version);
    if (driver)
        dlclose(driver);
    return version ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    return nvmlSystemGetCudaDriverVersion_v2(version);
}

NVML_API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    nvmlReturn_t result = begin();

    if (result != NVML_SUCCESS)
        return result;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = (unsigned int)sim_settings.devices;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCount(unsigned int *count)
{
    return nvmlDeviceGetCount_v2(count);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    nvmlReturn_t result = begin();

    if (result != NVML_SUCCESS)
        return result;
    if (!device || index >= (unsigned int)sim_settings.devices)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = (nvmlDevice_t)((intptr_t)index + 1);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    int ordinal;
    nvmlReturn_t result = find(device, &ordinal);

    if (result != NVML_SUCCESS)
        return result;
    if (!index)
        return NVML_ERROR_INVALID_ARGUMENT;
    *index = (unsigned int)ordinal;
    return NVML_SUCCESS;
}

/* Bytes in use on a card by this process. */
static size_t used_bytes(int ordinal)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    size_t (*used)(int) = NULL;
    size_t bytes = 0;

    if (!driver)
        return 0;
    used = (size_t(*)(int))dlsym(driver, "simcuda_used_bytes");
    if (used)
        bytes = used(ordinal);
    dlclose(driver);
    return bytes;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    int ordinal;
    nvmlReturn_t result = find(device, &ordinal);

    if (result != NVML_SUCCESS)
        return result;
    if (!memory)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (memory->version != nvmlMemory_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memory->reserved = sim_settings.reserved_bytes;
    memory->total = sim_settings.vram[ordinal] + memory->reserved;
    memory->used = used_bytes(ordinal);
    memory->free = memory->total - memory->reserved - memory->used;
    return NVML_SUCCESS;
}

/* The first version counts what the driver keeps as used. */
NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    nvmlMemory_v2_t seen = {.version = nvmlMemory_v2};
    nvmlReturn_t result;

    if (!memory)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = nvmlDeviceGetMemoryInfo_v2(device, &seen);
    if (result == NVML_SUCCESS)
        *memory = (nvmlMemory_t){
            .total = seen.total, .free = seen.free, .used = seen.used + seen.reserved};
    return result;
}
