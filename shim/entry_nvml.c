/* entry_nvml.c: NVML tells the same story as cuMemGetInfo, of the devices that this process has
 * used. Of all others, and in a process that never comes to CUDA (nvidia-smi), it tells the truth.
 */
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/report.h"
#include "shim/resolve.h"

#include <dlfcn.h>
#include <string.h>

struct nvml_ops nvml;

static atomic_bool opened;

bool nvml_open(void)
{
    if (atomic_load(&opened))
        return true;
    /* Kept: what we hand out leads into it for as long as the process lives. */
    void *handle = dlopen(NVML_SONAME, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return false;
        /* Threads that race here store the same values. */
#define FIND(name, member)                                                                         \
    __atomic_store_n((void **)&(member), resolve_real_dlsym(handle, name), __ATOMIC_RELAXED)
#define HOOK(...)
#define NVML_HOOK(group, symbol, base, since, params, args)                                        \
    FIND(#symbol, nvml.symbol);                                                                    \
    __atomic_store_n(&hooks[HOOK_##symbol].present, nvml.symbol != NULL, __ATOMIC_RELAXED);
#include "shim/hooks.def"
#undef HOOK
    FIND("nvmlDeviceGetUUID", nvml.nvmlDeviceGetUUID);
    atomic_store(&opened, true);
    return true;
}

/* "GPU-73696d75-6c61-7465-6463-756461000000", or MIG- for a slice of one, as 16 bytes. */
static bool read_uuid(const char *text, CUuuid *uuid)
{
    const char *p = strchr(text, '-');
    unsigned digits = 0;

    memset(uuid, 0, sizeof *uuid);
    for (; p && *p; p++) {
        unsigned low = (unsigned)*p | 0x20, digit;
        if (*p == '-')
            continue;
        if (low - '0' < 10)
            digit = low - '0';
        else if (low - 'a' < 6)
            digit = low - 'a' + 10;
        else
            return false;
        if (digits == 2 * sizeof uuid->bytes)
            return false;
        uuid->bytes[digits / 2] = (char)((unsigned char)uuid->bytes[digits / 2] << 4 | digit);
        digits++;
    }
    return digits == 2 * sizeof uuid->bytes;
}

/* Of a slice of a card (MIG), the second version tells the slice's own UUID, the first the card's:
 * CUDA 11.4. */
static bool has_uuid(const struct device *d, const CUuuid *wanted)
{
    CUuuid own;

    return (driver.cuDeviceGetUuid_v2(&own, d->handle) == CUDA_SUCCESS ||
            driver.cuDeviceGetUuid(&own, d->handle) == CUDA_SUCCESS) &&
           memcmp(&own, wanted, sizeof own) == 0;
}

/* The target device that NVML means, if this process has used it: NVML counts all cards, CUDA those
 * in CUDA_VISIBLE_DEVICES. */
static struct device *device_of(nvmlDevice_t handle)
{
    char text[NVML_UUID_SIZE];
    CUuuid uuid;

    if (!nvml.nvmlDeviceGetUUID ||
        nvml.nvmlDeviceGetUUID(handle, text, sizeof text) != NVML_SUCCESS ||
        !read_uuid(text, &uuid))
        return NULL;
    for (int i = 0; i < DEVICES_MAX; i++) {
        struct device *d = device_known(i);
        if (d && d->target && has_uuid(d, &uuid))
            return d;
    }
    return NULL;
}

/* total = reserved + free + used, as before. */
static void tell(struct device *d, unsigned long long *total, unsigned long long *reserved,
                 unsigned long long *free_bytes, unsigned long long *used)
{
    *free_bytes = report_free(d, *free_bytes, *total);
    *total = report_total(d, *total);
    unsigned long long rest = *total > *free_bytes ? *total - *free_bytes : 0;
    *reserved = *reserved < rest ? *reserved : rest;
    *used = rest - *reserved;
}

/* Nothing is initialised for NVML's sake: without a device that we know there is nothing to add. */
static bool acts(void)
{
    return atomic_load(&shim_state_) == SHIM_ENABLED && shim_depth_ == 0;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    if (!nvml_open() || !nvml.nvmlDeviceGetMemoryInfo)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    if (!acts() || !memory)
        return nvml.nvmlDeviceGetMemoryInfo(device, memory);
    int saved = shim_enter();
    nvmlReturn_t r = nvml.nvmlDeviceGetMemoryInfo(device, memory);
    struct device *d = r == NVML_SUCCESS ? device_of(device) : NULL;
    unsigned long long reserved = 0;
    if (d)
        tell(d, &memory->total, &reserved, &memory->free, &memory->used);
    shim_leave(saved);
    return r;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    if (!nvml_open() || !nvml.nvmlDeviceGetMemoryInfo_v2)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    if (!acts() || !memory)
        return nvml.nvmlDeviceGetMemoryInfo_v2(device, memory);
    int saved = shim_enter();
    nvmlReturn_t r = nvml.nvmlDeviceGetMemoryInfo_v2(device, memory);
    struct device *d = r == NVML_SUCCESS ? device_of(device) : NULL;
    if (d)
        tell(d, &memory->total, &memory->reserved, &memory->free, &memory->used);
    shim_leave(saved);
    return r;
}
