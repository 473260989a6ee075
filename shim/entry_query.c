/* entry_query.c: redirected memory answers as device memory does (promise P1), and reports of
 * memory say what a host may count on.
 */
#include "shim/caller.h"
#include "shim/claims.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/mempool.h"
#include "shim/report.h"
#include "shim/vmm.h"

#include <string.h>

/* --- pointers -------------------------------------------------------------------------------- */

enum answer {
    ANSWERED,
    REFUSED,    /* as the driver refuses it for device memory */
    ASK_DRIVER, /* the answer does not depend on where the block lies, or we do not know the
                   attribute */
};

#define ANSWER(type, value)                                                                        \
    do {                                                                                           \
        type v_ = (value);                                                                         \
        memcpy(data, &v_, sizeof v_);                                                              \
        return ANSWERED;                                                                           \
    } while (0)

/* CU_MEM_ACCESS_FLAGS_PROT_READWRITE */
#define ACCESS_READ_WRITE 3

/* What cuPointerGetAttribute says of memory from cuMemAlloc. Types as documented with
 * CUpointer_attribute. */
static enum answer attribute_of(const struct arena_block *b, CUpointer_attribute attribute,
                                void *data)
{
    const struct context *context = arena_owner(b->arena);

    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        /* Memory of a pool belongs to none. */
        ANSWER(CUcontext, b->tag ? NULL : context->handle);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        ANSWER(unsigned int, CU_MEMORYTYPE_DEVICE);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        return ASK_DRIVER; /* it is ptr, but an error where no context is current */
    case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
        return ASK_DRIVER; /* no host memory has any: its own error */
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        return REFUSED;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        /* The driver's ids count up from 1; ours have the top bit, so that they never meet. */
        ANSWER(unsigned long long, b->id | 1ull << 63);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        ANSWER(int, context->device->ordinal);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        ANSWER(CUdeviceptr, b->base);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        ANSWER(size_t, b->bytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
        ANSWER(int, 1);
    /* Not shared with other processes, other devices' NICs or a decompression engine: the honest
     * answer keeps a host from trying. */
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        ANSWER(int, 0);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        ANSWER(uint64_t, 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        ANSWER(int, ACCESS_READ_WRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        ANSWER(CUmemoryPool, mempool_of(b->tag));
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        ANSWER(int, arena_is_marked(b));
    default:
        return ASK_DRIVER;
    }
}

/* Redirected memory that the host has mapped itself (cuMemMap) is the driver's in all but this. */
static enum answer mapped_attribute_of(CUdeviceptr ptr, CUpointer_attribute attribute, void *data)
{
    int ordinal;

    if (likely(!vmm_may_hold(ptr)) || !data || !vmm_range_is_redirected(ptr, 1, &ordinal))
        return ASK_DRIVER;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        ANSWER(unsigned int, CU_MEMORYTYPE_DEVICE);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        ANSWER(int, ordinal);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        return REFUSED;
    default:
        return ASK_DRIVER;
    }
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    struct arena_block block;

    if (likely(!core_is_ours(ptr, &block)) || !data)
        switch (mapped_attribute_of(ptr, attribute, data)) {
        case ANSWERED:
            return CUDA_SUCCESS;
        case REFUSED:
            return CUDA_ERROR_INVALID_VALUE;
        default:
            return driver.cuPointerGetAttribute(data, attribute, ptr);
        }
    if (!block.base)
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute_of(&block, attribute, data)) {
    case ANSWERED:
        return CUDA_SUCCESS;
    case REFUSED:
        return CUDA_ERROR_INVALID_VALUE;
    default:
        return driver.cuPointerGetAttribute(data, attribute, ptr);
    }
}

/* One call for several attributes. What does not apply to a pointer is set to zero, and an address
 * that CUDA does not know gets zeroes throughout (cuPointerGetAttributes): the driver writes those,
 * asked about an address that nobody has. */
CUresult cuPointerGetAttributes(unsigned int numAttributes, CUpointer_attribute *attributes,
                                void **data, CUdeviceptr ptr)
{
    static const CUdeviceptr nobodys = 1;
    struct arena_block block;
    int ordinal;
    bool ours = core_is_ours(ptr, &block);
    bool mapped = !ours && vmm_may_hold(ptr) && vmm_range_is_redirected(ptr, 1, &ordinal);

    if (likely(!ours && !mapped) || !attributes || !data || numAttributes == 0)
        return driver.cuPointerGetAttributes(numAttributes, attributes, data, ptr);
    if (ours && !block.base)
        return driver.cuPointerGetAttributes(numAttributes, attributes, data, nobodys);
    for (unsigned int i = 0; i < numAttributes; i++) {
        enum answer a = !data[i] ? ASK_DRIVER
                        : mapped ? mapped_attribute_of(ptr, attributes[i], data[i])
                                 : attribute_of(&block, attributes[i], data[i]);
        if (a == ANSWERED)
            continue;
        CUresult r = driver.cuPointerGetAttributes(1, &attributes[i], &data[i],
                                                   a == REFUSED ? nobodys : ptr);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return CUDA_SUCCESS;
}

/* Synchronous copies and sets of pinned host memory are synchronous anyway (CUDA driver API, "API
 * synchronization behavior"), so that only the answer to the query above has to change. */
CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    struct arena_block block;
    int wish;

    if (likely(!core_is_ours(ptr, &block)) || !value ||
        attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        return driver.cuPointerSetAttribute(value, attribute, ptr);
    if (!block.base)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&wish, value, sizeof wish);
    arena_mark(&block, wish != 0);
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *pbase, size_t *psize, CUdeviceptr dptr)
{
    struct arena_block block;

    if (likely(!core_is_ours(dptr, &block)))
        return driver.cuMemGetAddressRange_v2(pbase, psize, dptr);
    if (!block.base)
        return CUDA_ERROR_NOT_FOUND;
    if (pbase)
        *pbase = block.base;
    if (psize)
        *psize = block.bytes;
    return CUDA_SUCCESS;
}

/* --- calls that take host memory: a device pointer is none ----------------------------------- */

CUresult cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
    struct arena_block block;
    if (unlikely(core_is_ours((CUdeviceptr)(uintptr_t)p, &block)))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuMemHostGetFlags(pFlags, p);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned int Flags)
{
    struct arena_block block;
    if (unlikely(core_is_ours((CUdeviceptr)(uintptr_t)p, &block)))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuMemHostGetDevicePointer_v2(pdptr, p, Flags);
}

/* What the host pins by itself is RAM that overflow cannot have. The next poll sees it; until then
 * it is counted: before it is pinned, so that another process cannot take the same. */
static void about_to_pin(size_t bytes)
{
    if (shim_acts())
        claims_note_host_pin((int64_t)bytes);
}

static CUresult after_pin(CUresult r, size_t bytes)
{
    if (r != CUDA_SUCCESS && shim_acts())
        claims_note_host_pin(-(int64_t)bytes);
    return r;
}

CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
    struct arena_block block;
    if (unlikely(core_is_ours((CUdeviceptr)(uintptr_t)p, &block)))
        return CUDA_ERROR_INVALID_VALUE;
    about_to_pin(bytesize);
    return after_pin(driver.cuMemHostRegister_v2(p, bytesize, Flags), bytesize);
}

CUresult cuMemAllocHost_v2(void **pp, size_t bytesize)
{
    about_to_pin(bytesize);
    return after_pin(driver.cuMemAllocHost_v2(pp, bytesize), bytesize);
}

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
    about_to_pin(bytesize);
    return after_pin(driver.cuMemHostAlloc(pp, bytesize, Flags), bytesize);
}

/* Without these two a host that mistakes its pointer would take a whole arena away from under its
 * other blocks (promise P3). */
CUresult cuMemHostUnregister(void *p)
{
    struct arena_block block;
    if (unlikely(core_is_ours((CUdeviceptr)(uintptr_t)p, &block)))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    return driver.cuMemHostUnregister(p);
}

CUresult cuMemFreeHost(void *p)
{
    struct arena_block block;
    if (unlikely(core_is_ours((CUdeviceptr)(uintptr_t)p, &block)))
        return CUDA_ERROR_INVALID_VALUE;
    return driver.cuMemFreeHost(p);
}

/* --- how much memory there is ---------------------------------------------------------------- */

CUresult cuMemGetInfo_v2(size_t *free, size_t *total)
{
    size_t real_free = 0, real_total = 0;
    CUresult r;

    caller_note_.reached = true;
    /* Whether one of the two may be NULL is the driver's to say. */
    bool both = free && total;
    r = driver.cuMemGetInfo_v2(both ? &real_free : free, both ? &real_total : total);
    if (r == CUDA_SUCCESS && both) {
        *free = real_free;
        *total = real_total;
    }
    if (r != CUDA_SUCCESS || !shim_acts() ||
        (!both && driver.cuMemGetInfo_v2(&real_free, &real_total) != CUDA_SUCCESS))
        return r;
    int saved = shim_enter();
    struct context *context = context_current();
    struct device *d = context ? context->device : NULL;
    if (d && d->target) {
        real_free = report_free(d, real_free, real_total);
        real_total = report_total(d, real_total);
    }
    shim_leave(saved);
    if (free)
        *free = real_free;
    if (total)
        *total = real_total;
    return r;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
    CUresult r = driver.cuDeviceTotalMem_v2(bytes, dev);

    if (r != CUDA_SUCCESS || !bytes || !shim_acts())
        return r;
    int saved = shim_enter();
    struct device *d = device_get(dev);
    if (d && d->target)
        *bytes = report_total(d, *bytes);
    shim_leave(saved);
    return r;
}
