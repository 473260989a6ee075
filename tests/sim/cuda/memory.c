/* memory.c: device and managed memory, and how much there is. */
#include "engine.h"
#include "impl.h"

#include <stdlib.h>
#include <sys/mman.h>

#define POISON_BYTES 4096 /* of a new block: who relies on zeroes is found out */

static size_t charged(size_t bytes)
{
    return (bytes + SIM_ALIGNMENT - 1) / SIM_ALIGNMENT * SIM_ALIGNMENT;
}

static CUresult alloc_locked(struct ctx *ctx, CUdeviceptr *out, size_t bytes, const char *made_by)
{
    struct device *device = ctx->device;
    struct range *range;
    uint64_t base;
    CUresult result;

    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > device->total) /* before rounding, which could wrap */
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = device_take_locked(device, charged(bytes));
    if (result != CUDA_SUCCESS)
        return result;
    base = window_take_locked(&device->space, bytes, 0);
    if (!base) {
        device_give_locked(device, charged(bytes));
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    range = range_new_locked(RANGE_DEVICE, ctx, base, bytes,
                             device->space.shadow + (base - device->space.base), made_by);
    memset(range->cpu, 0xdb, bytes < POISON_BYTES ? bytes : POISON_BYTES);
    *out = base;
    return CUDA_SUCCESS;
}

CUresult sim_mem_alloc(CUdeviceptr *out, size_t bytes)
{
    CUresult result;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (sim_null())
        return null_alloc(out, bytes);
    sim_enter();
    result = alloc_locked(ctx_current(), out, bytes, "cuMemAlloc");
    sim_leave();
    return result;
}

CUresult sim_mem_alloc_pitch(CUdeviceptr *out, size_t *pitch, size_t width, size_t height,
                             unsigned element)
{
    size_t row = charged(width);
    CUresult result;

    if (!out || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
        return CUDA_ERROR_INVALID_VALUE;
    if (row < width || height > SIZE_MAX / row)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (sim_null()) {
        result = null_alloc(out, row * height);
    } else {
        sim_enter();
        result = alloc_locked(ctx_current(), out, row * height, "cuMemAllocPitch");
        sim_leave();
    }
    if (result == CUDA_SUCCESS)
        *pitch = row;
    return result;
}

/* Managed memory: here simply memory of the host that every device reaches. */
CUresult sim_mem_alloc_managed(CUdeviceptr *out, size_t bytes, unsigned flags)
{
    void *p;

    if (!out || !bytes || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    if (p == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    sim_enter();
    *out = (uintptr_t)p;
    range_new_locked(RANGE_MANAGED, ctx_current(), *out, bytes, p, "cuMemAllocManaged");
    sim_leave();
    return CUDA_SUCCESS;
}

struct range *block_freeable_locked(CUdeviceptr address)
{
    struct range *range = range_find_locked(address);

    if (!range || range->node.base != address || range->freeing ||
        (range->kind != RANGE_DEVICE && range->kind != RANGE_MANAGED && !range->pool))
        return NULL;
    return range;
}

void block_end_locked(struct range *range, const char *by)
{
    if (range->in_flight)
        report_illegal("%s: %c%u is still used by %u enqueued operations", by,
                       range_is_host(range) ? 'h' : 'd', range->serial, range->in_flight);
    range_end_locked(range);
}

CUresult sim_mem_free(CUdeviceptr address)
{
    struct range *range;
    struct ctx *owner = NULL;
    uint64_t id = 0;
    bool known;

    if (!address)
        return CUDA_SUCCESS;
    if (sim_null() && null_owns(address))
        return null_free(address);
    sim_enter();
    range = block_freeable_locked(address);
    known = range != NULL;
    if (range) {
        range->freeing = true; /* a second free meanwhile is refused */
        owner = range->ctx;
        id = range->id;
    }
    /* Source: cuMemFree: no implicit synchronisation for memory from cuMemAllocAsync. */
    if (range && !range->pool) {
        sim_leave();
        ctx_wait(owner);
        sim_enter();
        range = range_by_id_locked(address, id); /* the context may have gone, with the block */
    }
    if (range)
        block_end_locked(range, "cuMemFree");
    sim_leave();
    return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_mem_get_info(size_t *free_bytes, size_t *total)
{
    const struct device *device = ctx_current()->device;

    if (!free_bytes || !total)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    *free_bytes = device->total - device->used;
    *total = device->total;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_mem_get_address_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
    const struct range *range;

    if (sim_null() && null_owns(address))
        return null_range(base, bytes, address);
    sim_enter();
    range = range_find_locked(address);
    if (range && base)
        *base = range->node.base;
    if (range && bytes)
        *bytes = range->node.size;
    sim_leave();
    return range ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
