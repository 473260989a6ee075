/* facts.c: what the driver says about memory of each kind: pointer attributes, copies that take it
 * for device memory, odd calls, look-up, and what outlives a context. */
#include "tests/gpu/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES (4 * PROBE_MIB)

/* --- pointer attributes --- */

static const struct {
    const char *name;
    CUpointer_attribute attribute;
    char type; /* p pointer, i int, u 64 bits, c bool, h handle or token */
} attributes[] = {
    {"CONTEXT", CU_POINTER_ATTRIBUTE_CONTEXT, 'h'},
    {"MEMORY_TYPE", CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 'i'},
    {"DEVICE_POINTER", CU_POINTER_ATTRIBUTE_DEVICE_POINTER, 'p'},
    {"HOST_POINTER", CU_POINTER_ATTRIBUTE_HOST_POINTER, 'p'},
    {"P2P_TOKENS", CU_POINTER_ATTRIBUTE_P2P_TOKENS, 'h'},
    {"SYNC_MEMOPS", CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 'c'},
    {"BUFFER_ID", CU_POINTER_ATTRIBUTE_BUFFER_ID, 'h'},
    {"IS_MANAGED", CU_POINTER_ATTRIBUTE_IS_MANAGED, 'c'},
    {"DEVICE_ORDINAL", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 'i'},
    {"IS_LEGACY_CUDA_IPC_CAPABLE", CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, 'c'},
    {"RANGE_START_ADDR", CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, 'p'},
    {"RANGE_SIZE", CU_POINTER_ATTRIBUTE_RANGE_SIZE, 'u'},
    {"MAPPED", CU_POINTER_ATTRIBUTE_MAPPED, 'c'},
    {"ALLOWED_HANDLE_TYPES", CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, 'u'},
    {"IS_GPU_DIRECT_RDMA_CAPABLE", CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, 'c'},
    {"ACCESS_FLAGS", CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, 'i'},
    {"MEMPOOL_HANDLE", CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, 'h'},
    {"MAPPING_SIZE", CU_POINTER_ATTRIBUTE_MAPPING_SIZE, 'u'},
    {"MAPPING_BASE_ADDR", CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR, 'p'},
    {"MEMORY_BLOCK_ID", CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID, 'h'},
    {"IS_HW_DECOMPRESS_CAPABLE", CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE, 'c'},
};

/* An address as its distance from the block, a handle as "set" or "0": the same on every run. */
static void value_text(char *text, size_t size, char type, uint64_t value, uint64_t base)
{
    if (type == 'c')
        snprintf(text, size, "%u", (unsigned)(value & 0xff));
    else if (type == 'i')
        snprintf(text, size, "%d", (int)(uint32_t)value);
    else if (type == 'u')
        snprintf(text, size, "%llu", (unsigned long long)value);
    else if (value == 0)
        snprintf(text, size, "0");
    else if (type == 'h')
        snprintf(text, size, "set");
    else if (value - base < BYTES)
        snprintf(text, size, "base+%llu", (unsigned long long)(value - base));
    else
        snprintf(text, size, "elsewhere");
}

void probe_attributes_of(struct probe *p, const char *column, CUdeviceptr base)
{
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        CUpointer_attribute attribute = attributes[i].attribute;
        uint64_t one[2] = {0}, two[2] = {0}; /* tokens are the widest: 16 bytes */
        void *data[1] = {two};
        char a[64], b[64];
        CUresult single = p->drv.cuPointerGetAttribute(one, attribute, base + 4096);
        CUresult array = p->drv.cuPointerGetAttributes(1, &attribute, data, base + 4096);

        value_text(a, sizeof a, attributes[i].type, one[0], base);
        value_text(b, sizeof b, attributes[i].type, two[0], base);
        if (single)
            snprintf(a, sizeof a, "%s", probe_result(single));
        if (array)
            snprintf(b, sizeof b, "%s", probe_result(array));
        if (strcmp(a, b) == 0)
            probe_answer(p, "pointer attributes", attributes[i].name, column, "%s", a);
        else
            probe_answer(p, "pointer attributes", attributes[i].name, column, "%s; in array %s", a,
                         b);
    }
}

void probe_attributes(struct probe *p)
{
    struct probe_block block;

    for (int kind = 0; kind < PROBE_KINDS; kind++) {
        if (!probe_make(p, (enum probe_kind)kind, BYTES, &block))
            continue;
        CUdeviceptr host = (CUdeviceptr)(uintptr_t)block.host;
        probe_attributes_of(p, probe_kind_name[kind], block.device ? block.device : host);
        probe_drop(p, &block);
    }
}

/* --- copies that take the block for device memory --- */

struct copy_case {
    CUdeviceptr block, device;
    char *source, *target; /* pageable */
};

static CUresult copy_2d(struct probe *p, CUdeviceptr dst, CUmemorytype type, const char *source)
{
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = source,
                          .srcPitch = 1024,
                          .dstMemoryType = type,
                          .dstDevice = dst,
                          .dstPitch = 1024,
                          .WidthInBytes = 1024,
                          .Height = BYTES / 1024};

    if (type == CU_MEMORYTYPE_HOST) {
        copy.dstDevice = 0;
        copy.dstHost = (void *)(uintptr_t)dst;
    }
    return p->drv.cuMemcpy2D(&copy);
}

static CUresult upload(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemcpyHtoD(c->block, c->source, BYTES);
}
static CUresult upload_async(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemcpyHtoDAsync(c->block, c->source, BYTES, NULL);
}
static CUresult upload_unified(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemcpy(c->block, (CUdeviceptr)(uintptr_t)c->source, BYTES);
}
static CUresult from_device(struct probe *p, const struct copy_case *c)
{
    CUresult result = p->drv.cuMemcpyHtoD(c->device, c->source, BYTES);

    return result ? result : p->drv.cuMemcpyDtoD(c->block, c->device, BYTES);
}
static CUresult peer(struct probe *p, const struct copy_case *c)
{
    CUresult result = p->drv.cuMemcpyHtoD(c->device, c->source, BYTES);

    return result ? result
                  : p->drv.cuMemcpyPeer(c->block, p->context, c->device, p->context, BYTES);
}
static CUresult upload_2d_device(struct probe *p, const struct copy_case *c)
{
    return copy_2d(p, c->block, CU_MEMORYTYPE_DEVICE, c->source);
}
static CUresult upload_2d_unified(struct probe *p, const struct copy_case *c)
{
    return copy_2d(p, c->block, CU_MEMORYTYPE_UNIFIED, c->source);
}
static CUresult upload_2d_host(struct probe *p, const struct copy_case *c)
{
    return copy_2d(p, c->block, CU_MEMORYTYPE_HOST, c->source);
}
static CUresult set8(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemsetD8(c->block, 0x5a, BYTES);
}
static CUresult set8_async(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemsetD8Async(c->block, 0x5a, BYTES, NULL);
}
static CUresult set16(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemsetD16(c->block, 0x5a5a, BYTES / 2);
}
static CUresult set32(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemsetD32(c->block, 0x5a5a5a5au, BYTES / 4);
}
static CUresult set_2d(struct probe *p, const struct copy_case *c)
{
    return p->drv.cuMemsetD2D8(c->block, 1024, 0x5a, 1024, BYTES / 1024);
}
static CUresult kernel(struct probe *p, const struct copy_case *c)
{
    CUdeviceptr address = c->block;
    uint32_t value = 0x5a5a5a5au;
    uint64_t words = BYTES / 4;
    void *params[] = {&address, &value, &words};

    return probe_launch(p, "fill", NULL, params);
}

static const struct {
    const char *name;
    CUresult (*run)(struct probe *p, const struct copy_case *c);
} copies[] = {
    {"cuMemcpyHtoD", upload},
    {"cuMemcpyHtoDAsync", upload_async},
    {"cuMemcpy", upload_unified},
    {"cuMemcpyDtoD from VRAM", from_device},
    {"cuMemcpyPeer from VRAM", peer},
    {"cuMemcpy2D, type DEVICE", upload_2d_device},
    {"cuMemcpy2D, type UNIFIED", upload_2d_unified},
    {"cuMemcpy2D, type HOST", upload_2d_host},
    {"cuMemsetD8", set8},
    {"cuMemsetD8Async", set8_async},
    {"cuMemsetD16", set16},
    {"cuMemsetD32", set32},
    {"cuMemsetD2D8", set_2d},
    {"kernel fill", kernel},
};

/* Each writes 0x5a everywhere; what arrived is read back through the GPU, where that works, and
 * by the CPU. */
static const char *outcome(struct probe *p, struct copy_case *c, const struct probe_block *block,
                           size_t which)
{
    CUresult result = copies[which].run(p, c);

    if (result == CUDA_SUCCESS)
        result = p->drv.cuCtxSynchronize();
    if (result != CUDA_SUCCESS)
        return probe_result(result);
    if (block->host && memcmp(block->host, c->source, BYTES) != 0)
        return "wrong bytes";
    memset(c->target, 0, BYTES);
    result = p->drv.cuMemcpyDtoH(c->target, c->block, BYTES);
    if (result != CUDA_SUCCESS)
        return "ok; cuMemcpyDtoH of it fails";
    return memcmp(c->target, c->source, BYTES) == 0 ? "ok" : "wrong bytes by cuMemcpyDtoH";
}

static void copies_of(struct probe *p, const struct probe_block *block, struct copy_case *c)
{
    c->block = block->device;
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        if (copies[i].run == upload_2d_host && !block->host)
            continue; /* the driver may touch it with the CPU */
        if (block->host)
            memset(block->host, 0, BYTES);
        probe_answer(p, "writing to it as device memory", copies[i].name,
                     probe_kind_name[block->kind], "%s", outcome(p, c, block, i));
    }
}

void probe_copies(struct probe *p)
{
    struct probe_block block, device;
    struct copy_case c = {.source = malloc(BYTES), .target = malloc(BYTES)};

    if (c.source && c.target && probe_make(p, PROBE_DEVICE, BYTES, &device)) {
        memset(c.source, 0x5a, BYTES);
        c.device = device.device;
        for (int kind = 0; kind < PROBE_PAGEABLE; kind++) {
            if (!probe_make(p, (enum probe_kind)kind, BYTES, &block))
                continue;
            copies_of(p, &block, &c);
            probe_drop(p, &block);
        }
        probe_drop(p, &device);
    }
    free(c.source);
    free(c.target);
}

/* --- calls that a host may make on such a pointer --- */

/* Handles to what lies at an address. */
static void handles_of(struct probe *p, const struct probe_block *block)
{
    __typeof__(&cuMemRetainAllocationHandle) retain =
        probe_symbol(p, "cuMemRetainAllocationHandle");
    __typeof__(&cuMemRelease) release = probe_symbol(p, "cuMemRelease");
    __typeof__(&cuMemGetHandleForAddressRange) range =
        probe_symbol(p, "cuMemGetHandleForAddressRange");
    __typeof__(&cuMemGetAccess) get_access = probe_symbol(p, "cuMemGetAccess");
    const char *column = probe_kind_name[block->kind], *table = "calls on its address";
    CUmemGenericAllocationHandle handle = 0;
    CUmemLocation here = probe_here(p);
    unsigned long long access = 0;
    CUipcMemHandle ipc;
    int fd = -1;

    CUresult result = p->drv.cuIpcGetMemHandle(&ipc, block->device);
    probe_answer(p, table, "cuIpcGetMemHandle", column, "%s", probe_result(result));
    if (range) {
        result = range(&fd, block->device, BYTES, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0);
        probe_answer(p, table, "cuMemGetHandleForAddressRange, dma-buf", column, "%s",
                     probe_result(result));
        if (result == CUDA_SUCCESS)
            close(fd);
    }
    if (retain && release) {
        result = retain(&handle, (void *)(uintptr_t)block->device);
        probe_answer(p, table, "cuMemRetainAllocationHandle", column, "%s", probe_result(result));
        if (result == CUDA_SUCCESS)
            release(handle);
    }
    if (get_access) {
        result = get_access(&access, &here, block->device);
        probe_answer(p, table, "cuMemGetAccess", column, result ? "%s" : "%s, flags %llu",
                     probe_result(result), access);
    }
}

static void odd_calls_on(struct probe *p, struct probe_block *block)
{
    const char *column = probe_kind_name[block->kind];
    const char *table = "calls on its address";
    CUdeviceptr base = 0, device = 0;
    unsigned flags = 0;
    size_t size = 0;
    CUresult result = p->drv.cuMemGetAddressRange(&base, &size, block->device + 4096);

    if (result)
        probe_answer(p, table, "cuMemGetAddressRange", column, "%s", probe_result(result));
    else
        probe_answer(p, table, "cuMemGetAddressRange", column, "%s, %zu bytes",
                     base == block->device ? "base" : "other base", size);
    void *host = block->host ? block->host : (void *)(uintptr_t)block->device;
    result = p->drv.cuMemHostGetFlags(&flags, host);
    probe_answer(p, table, "cuMemHostGetFlags", column, result ? "%s" : "%s, flags %u",
                 probe_result(result), flags);
    result = p->drv.cuMemHostGetDevicePointer(&device, host, 0);
    probe_answer(p, table, "cuMemHostGetDevicePointer", column, "%s%s", probe_result(result),
                 result                                   ? ""
                 : device == (CUdeviceptr)(uintptr_t)host ? ", the host's own address"
                                                          : ", another address");
    handles_of(p, block);
    if (block->kind == PROBE_DEVICE)
        return;
    probe_answer(p, table, "cuMemFree, inside it", column, "%s",
                 probe_result(p->drv.cuMemFree(block->device + 4096)));
    probe_answer(p, table, "cuMemFree", column, "%s",
                 probe_result(p->drv.cuMemFree(block->device)));
    if (block->kind != PROBE_HOSTALLOC && block->host)
        probe_answer(p, table, "cuMemFreeHost", column, "%s",
                     probe_result(p->drv.cuMemFreeHost(block->host)));
    result = p->drv.cuMemsetD8(block->device, 1, BYTES);
    probe_answer(p, table, "cuMemsetD8 after these", column, "%s", probe_result(result));
    p->drv.cuCtxSynchronize();
}

void probe_odd_calls(struct probe *p)
{
    struct probe_block block;
    int value = 0;

    for (int kind = 0; kind < PROBE_PAGEABLE; kind++) {
        if (!probe_make(p, (enum probe_kind)kind, BYTES, &block))
            continue;
        odd_calls_on(p, &block);
        probe_answer(p, "calls on its address", "the right free, at last", probe_kind_name[kind],
                     "%s", probe_result(probe_drop(p, &block)));
    }
    CUresult result = p->drv.cuDeviceGetAttribute(
        &value, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, p->device);
    probe_answer(p, "device attributes", "CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM (91)", "value",
                 result ? "%s" : "%.0s%d", probe_result(result), value);
    result = p->drv.cuDeviceGetAttribute(&value, (CUdevice_attribute)141, p->device);
    probe_answer(p, "device attributes", "HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED (141)",
                 "value", result ? "%s" : "%.0s%d", probe_result(result), value);
}
