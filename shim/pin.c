#include "shim/pin.h"

#include "shim/arena.h"
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/window.h"

#include <string.h>

struct pin_permit pin_permit(void)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    bool given = driver.cuThreadExchangeStreamCaptureMode(&mode) == CUDA_SUCCESS;

    return (struct pin_permit){given, mode};
}

void pin_forbid(struct pin_permit permit)
{
    if (permit.given)
        driver.cuThreadExchangeStreamCaptureMode(&permit.before);
}

/* Does the device reach `memory` under the host's own address? (cuMemHostRegister: only where
 * CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM says so; cuMemHostAlloc: on all
 * devices with unified addressing.) */
static bool same_address(void *memory)
{
    CUdeviceptr seen = 0;
    return driver.cuMemHostGetDevicePointer_v2(&seen, memory, 0) == CUDA_SUCCESS &&
           seen == (CUdeviceptr)(uintptr_t)memory;
}

static void *pin_registered(uint64_t bytes)
{
    bool huge = shim_config()->hugepages == CFG_HUGEPAGES_AUTO;
    void *memory = window_take(bytes, huge);

    if (!memory)
        return NULL;
    CUresult r = driver.cuMemHostRegister_v2(
        memory, bytes, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
    if (r == CUDA_SUCCESS && same_address(memory))
        return memory;
    if (r == CUDA_SUCCESS)
        driver.cuMemHostUnregister(memory);
    window_give(memory, bytes);
    return NULL;
}

/* The driver chooses the address, which need not be a multiple of ARENA_UNIT: what is not used of
 * it lies before the arena, so the allocation's own address is kept in front of it. */
static void *pin_allocated(uint64_t bytes)
{
    void *memory = NULL;

    if (driver.cuMemHostAlloc(&memory, bytes + 2 * ARENA_UNIT,
                              CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP) != CUDA_SUCCESS)
        return NULL;
    if (!same_address(memory)) {
        driver.cuMemFreeHost(memory);
        return NULL;
    }
    uint64_t base =
        ((uint64_t)(uintptr_t)memory + sizeof memory + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
    memcpy((void *)(uintptr_t)(base - sizeof memory), &memory, sizeof memory);
    return (void *)(uintptr_t)base;
}

static void *allocation_of(uint64_t base)
{
    void *memory;
    memcpy(&memory, (void *)(uintptr_t)(base - sizeof memory), sizeof memory);
    return memory;
}

static bool registration_works(const struct context *context)
{
    int value = 0;
    return driver.cuDeviceGetAttribute(&value,
                                       CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
                                       context->device->handle) == CUDA_SUCCESS &&
           value;
}

/* Or does the user? */
static bool may_choose(void)
{
    return shim_config()->backing == CFG_BACKING_AUTO || shim_config()->backing == CFG_BACKING_VMM;
}

enum host_kind pin_kind(const struct context *context)
{
    enum cfg_backing wish = (enum cfg_backing)shim_config()->backing;

    if (wish == CFG_BACKING_PINNED)
        return HOST_PINNED;
    if (wish == CFG_BACKING_REGISTERED || registration_works(context))
        return HOST_REGISTERED;
    return HOST_PINNED;
}

/* Where we may choose, the driver has the last word: what the attribute
 * promised may fail (a sandbox, a cap on locked memory), and cuMemHostAlloc pins in another way. */
void *pin_pages(uint64_t bytes, enum host_kind *kind, bool may_change)
{
    struct pin_permit permitted = pin_permit();
    void *memory = *kind == HOST_REGISTERED ? pin_registered(bytes) : pin_allocated(bytes);

    if (!memory && *kind == HOST_REGISTERED && may_change && may_choose() &&
        (memory = pin_allocated(bytes)))
        *kind = HOST_PINNED;
    pin_forbid(permitted);
    return memory;
}

bool pin_release(void *memory, uint64_t bytes, enum host_kind kind)
{
    struct pin_permit permitted = pin_permit();
    CUresult r = kind == HOST_PINNED
                     ? driver.cuMemFreeHost(allocation_of((uint64_t)(uintptr_t)memory))
                     : driver.cuMemHostUnregister(memory);

    pin_forbid(permitted);
    if (r != CUDA_SUCCESS)
        return false;
    if (kind == HOST_REGISTERED)
        window_give(memory, bytes);
    return true;
}

/* Should the driver have kept a portable registration beyond its context, it ends here; otherwise
 * this answers "not registered". */
void pin_drop(void *memory, uint64_t bytes, enum host_kind kind)
{
    if (kind != HOST_REGISTERED)
        return;
    struct pin_permit permitted = pin_permit();
    driver.cuMemHostUnregister(memory);
    pin_forbid(permitted);
    window_give(memory, bytes);
}
