/* query.c: what is at an address: pointer attributes, and memory for other processes (IPC). */
#include "engine.h"
#include "impl.h"
#include "pool.h"
#include "vmm.h"

#define ATTRIBUTE_FIRST CU_POINTER_ATTRIBUTE_CONTEXT
#define ATTRIBUTE_LAST  CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE

#define ACCESS_READ_WRITE 3 /* CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE */

/* The size of each answer in bytes; 0: not to be had here. Source: cuPointerGetAttribute. */
static size_t attribute_size(CUpointer_attribute attribute)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return 4;
    case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
        return 0;
    default:
        return 8;
    }
}

/* The address on the other side of registered memory, where the two differ. */
static uint64_t other_side(const struct range *range, uint64_t address)
{
    return range->twin ? range->twin->node.base + (address - range->node.base) : address;
}

static CUresult device_pointer_locked(const struct range *range, uint64_t address, uint64_t *value)
{
    const struct ctx *ctx = ctx_current();

    if (!ctx)
        return ctx_missing();
    if (range->kind == RANGE_REGISTERED && range->twin) {
        *value = other_side(range, address);
        range = range->twin;
    } else {
        *value = address;
    }
    return range_reachable_locked(range, ctx, false) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* What the current context's device may do with it. */
static uint64_t access_of(const struct range *range)
{
    const struct ctx *ctx = ctx_current();

    if (!ctx || !range_reachable_locked(range, ctx, false))
        return CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return range_reachable_locked(range, ctx, true) ? ACCESS_READ_WRITE
                                                    : CU_MEM_ACCESS_FLAGS_PROT_READ;
}

static CUresult attribute_locked(const struct range *range, CUpointer_attribute attribute,
                                 uint64_t address, uint64_t *value)
{
    bool is_host = range_is_host(range);

    *value = 0;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        /* A pool's and a mapping's memory belongs to no context. */
        *value = range->ctx && !range->pool ? (uintptr_t)range->ctx->handle : 0;
        break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *value = is_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        return device_pointer_locked(range, address, value);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (range->kind == RANGE_DEVICE ||
            (range->kind == RANGE_MAPPED && !mapping_admits_host(range->mapping)))
            return CUDA_ERROR_INVALID_VALUE;
        *value = range->kind == RANGE_ALIAS ? other_side(range, address) : address;
        break;
    case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
        return CUDA_ERROR_NOT_SUPPORTED;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        *value = range->sync_memops;
        break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        *value = range->id;
        break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        *value = range->kind == RANGE_MANAGED;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *value = (uint64_t)(range->device ? range->device->ordinal : CU_DEVICE_CPU);
        break;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
        *value = range->kind == RANGE_DEVICE && !range->pool;
        break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: /* of the whole reservation: vmm_range_locked */
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        *value = range->node.base;
        break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        *value = range->node.size;
        break;
    case CU_POINTER_ATTRIBUTE_MAPPED:
        *value = 1;
        break;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        *value = range->pool || range->kind == RANGE_MAPPED ? access_of(range) : ACCESS_READ_WRITE;
        break;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        *value = range->kind == RANGE_MAPPED ? mapping_handle_types(range->mapping) : 0;
        break;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *value = range->pool ? (uintptr_t)range->pool->handle : 0;
        break;
    default: /* RDMA, decompression: none */
        break;
    }
    return CUDA_SUCCESS;
}

/* RANGE_START_ADDR and RANGE_SIZE are those "of the mappable address range ... (e.g. from
 * cuMemAddressReserve)", and MAPPED tells whether anything is there: these three have answers for
 * reserved addresses that nothing is mapped to. */
static CUresult answer_locked(CUpointer_attribute attribute, uint64_t address, uint64_t *value)
{
    const struct range *range = range_find_locked(address);
    uint64_t base, size;

    if ((range && range->kind != RANGE_MAPPED) || !vmm_range_locked(address, &base, &size))
        return range ? attribute_locked(range, attribute, address, value)
                     : CUDA_ERROR_INVALID_VALUE;
    if (attribute == CU_POINTER_ATTRIBUTE_RANGE_START_ADDR)
        *value = base;
    else if (attribute == CU_POINTER_ATTRIBUTE_RANGE_SIZE)
        *value = size;
    else if (range)
        return attribute_locked(range, attribute, address, value);
    else if (attribute == CU_POINTER_ATTRIBUTE_MAPPED)
        *value = 0;
    else
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static bool known(CUpointer_attribute attribute)
{
    return attribute >= ATTRIBUTE_FIRST && attribute <= ATTRIBUTE_LAST;
}

/* memcpy: the low bytes of value; hosts' answers may lie at any address. */
static void put(void *data, uint64_t value, size_t size)
{
    memcpy(data, &value, size);
}

CUresult sim_pointer_get_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
    CUresult result;
    uint64_t value;

    if (!data || !known(attribute))
        return CUDA_ERROR_INVALID_VALUE;
    if (sim_null() && null_owns(address))
        return null_attribute(data, attribute, address);
    sim_enter();
    result = answer_locked(attribute, address, &value);
    if (result == CUDA_SUCCESS)
        put(data, value, attribute_size(attribute));
    sim_leave();
    return result;
}

/* Unlike the function for one attribute it answers for any address: what does not apply is 0, and
 * the device of an unknown address -2 (CU_DEVICE_INVALID). */
CUresult sim_pointer_get_attributes(unsigned count, CUpointer_attribute *attributes, void **data,
                                    CUdeviceptr address)
{
    bool known_to_the_driver;

    if (!count || !attributes || !data)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++)
        if (!known(attributes[i]) || !data[i] || !attribute_size(attributes[i]))
            return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; sim_null() && null_owns(address) && i < count; i++)
        null_attribute(data[i], attributes[i], address);
    if (sim_null() && null_owns(address))
        return CUDA_SUCCESS;
    sim_enter();
    known_to_the_driver = range_find_locked(address);
    for (unsigned i = 0; i < count; i++) {
        uint64_t value =
            attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL ? (uint64_t)CU_DEVICE_INVALID : 0;

        if (answer_locked(attributes[i], address, &value) != CUDA_SUCCESS)
            value = known_to_the_driver ? 0 : value;
        put(data[i], value, attribute_size(attributes[i]));
    }
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_pointer_set_attribute(const void *value, CUpointer_attribute attribute,
                                   CUdeviceptr address)
{
    struct range *range;

    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    range = range_find_locked(address);
    if (range && range->kind == RANGE_DEVICE)
        range->sync_memops = *(const unsigned *)value != 0;
    else
        range = NULL;
    sim_leave();
    return range ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- IPC: a handle can be made of a block of cuMemAlloc, and not be opened by its maker
 * ------------- */

CUresult sim_ipc_get_mem_handle(CUipcMemHandle *out, CUdeviceptr address)
{
    const struct range *range;
    bool can;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    range = range_find_locked(address);
    can = range && range->kind == RANGE_DEVICE && !range->pool;
    if (can) {
        memset(out, 0, sizeof(*out));
        memcpy(out->reserved, &range->id, sizeof(range->id));
    }
    sim_leave();
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_ipc_open_mem_handle(CUdeviceptr *out, const CUipcMemHandle *handle, unsigned flags)
{
    (void)handle;
    if (!out || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_ERROR_INVALID_CONTEXT; /* "cannot be opened in the process that created it" */
}

CUresult sim_ipc_close_mem_handle(CUdeviceptr address)
{
    (void)address;
    return CUDA_ERROR_INVALID_VALUE; /* none was ever opened */
}
