/* conform_query.c: what the driver says of an address: pointer attributes, address ranges, host
 * questions about device memory, IPC. Source of the rules: CUDA driver API, "Unified Addressing".
 */
#define CONF_GROUP "query"
#include "conform.h"

#define BLOCK (2 * MIB)

static uint64_t ask(CUpointer_attribute attribute, CUdeviceptr p)
{
    uint64_t value = 0;

    MUST(cu.PointerGetAttribute(&value, attribute, p));
    return value;
}

/* Attributes of a block of cuMemAlloc, where the answer follows from what it is. */
static const struct {
    const char *name;
    CUpointer_attribute attribute;
    uint64_t answer;
} fixed[] = {
    {"MEMORY_TYPE", CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_MEMORYTYPE_DEVICE},
    {"SYNC_MEMOPS", CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 0},
    {"IS_MANAGED", CU_POINTER_ATTRIBUTE_IS_MANAGED, 0},
    {"DEVICE_ORDINAL", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 0},
    {"RANGE_SIZE", CU_POINTER_ATTRIBUTE_RANGE_SIZE, BLOCK},
    {"MAPPED", CU_POINTER_ATTRIBUTE_MAPPED, 1},
    {"ALLOWED_HANDLE_TYPES", CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, 0},
    {"ACCESS_FLAGS", CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, 3},
    {"MEMPOOL_HANDLE", CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, 0},
};
CASES(attribute, fixed, "cuPointerGetAttribute: of a block, at its first, middle and last byte")
{
    const size_t offsets[] = {0, 1, 511, BLOCK / 2 + 3, BLOCK - 1};
    CUdeviceptr p = conf_alloc(BLOCK);

    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++)
        EQUAL(ask(row->attribute, p + offsets[i]), row->answer);
    conf_free(p);
}

/* Every one that there is. */
static const struct {
    const char *name;
    CUpointer_attribute attribute;
} attributes[] = {
    {"CONTEXT", CU_POINTER_ATTRIBUTE_CONTEXT},
    {"MEMORY_TYPE", CU_POINTER_ATTRIBUTE_MEMORY_TYPE},
    {"DEVICE_POINTER", CU_POINTER_ATTRIBUTE_DEVICE_POINTER},
    {"HOST_POINTER", CU_POINTER_ATTRIBUTE_HOST_POINTER},
    {"P2P_TOKENS", CU_POINTER_ATTRIBUTE_P2P_TOKENS},
    {"SYNC_MEMOPS", CU_POINTER_ATTRIBUTE_SYNC_MEMOPS},
    {"BUFFER_ID", CU_POINTER_ATTRIBUTE_BUFFER_ID},
    {"IS_MANAGED", CU_POINTER_ATTRIBUTE_IS_MANAGED},
    {"DEVICE_ORDINAL", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL},
    {"IS_LEGACY_CUDA_IPC_CAPABLE", CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE},
    {"RANGE_START_ADDR", CU_POINTER_ATTRIBUTE_RANGE_START_ADDR},
    {"RANGE_SIZE", CU_POINTER_ATTRIBUTE_RANGE_SIZE},
    {"MAPPED", CU_POINTER_ATTRIBUTE_MAPPED},
    {"ALLOWED_HANDLE_TYPES", CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES},
    {"IS_GPU_DIRECT_RDMA_CAPABLE", CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE},
    {"ACCESS_FLAGS", CU_POINTER_ATTRIBUTE_ACCESS_FLAGS},
    {"MEMPOOL_HANDLE", CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE},
    {"MAPPING_SIZE", CU_POINTER_ATTRIBUTE_MAPPING_SIZE},
    {"MAPPING_BASE_ADDR", CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR},
    {"MEMORY_BLOCK_ID", CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID},
    {"IS_HW_DECOMPRESS_CAPABLE", CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE},
};
_Static_assert(sizeof(attributes) / sizeof(*attributes) ==
                   CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE,
               "they count up from 1");

CASES(of_block, attributes, "cuPointerGetAttribute: answered or refused, alone as among several")
{
    CUpointer_attribute names[] = {row->attribute, CU_POINTER_ATTRIBUTE_MEMORY_TYPE};
    uint64_t alone = 0, several[2] = {0x5a5a5a5a5a5a5a5a, 0};
    void *into[] = {&several[0], &several[1]};
    CUdeviceptr p = conf_alloc(BLOCK);
    CUresult result = cu.PointerGetAttribute(&alone, row->attribute, p + 77), together;

    NOTE("%s", conf_result(result));
    together = cu.PointerGetAttributes(2, names, into, p + 77);
    NOTE("%s", conf_result(together));
    if (together == CUDA_SUCCESS)
        EQUAL(several[1], CU_MEMORYTYPE_DEVICE);
    if (result == CUDA_SUCCESS && together == CUDA_SUCCESS)
        CHECK(memcmp(&alone, &several[0], 1) == 0);
    conf_free(p);
}

CASES(after_free, attributes, "cuPointerGetAttribute: what was freed is CUDA_ERROR_INVALID_VALUE")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    uint64_t value = 0x5a5a;

    conf_free(p);
    IS(cu.PointerGetAttribute(&value, row->attribute, p), CUDA_ERROR_INVALID_VALUE);
    EQUAL(value, 0x5a5a);
}

CASES(of_pageable, attributes,
      "cuPointerGetAttribute: CUDA never saw pageable memory: INVALID_VALUE")
{
    void *bytes = conf_memory(4096);
    uint64_t value = 0x5a5a;

    IS(cu.PointerGetAttribute(&value, row->attribute, (CUdeviceptr)(uintptr_t)bytes),
       CUDA_ERROR_INVALID_VALUE);
    EQUAL(value, 0x5a5a);
    free(bytes);
}

CASES(without_context, attributes, "cuPointerGetAttribute: asked with no context current")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    uint64_t value = 0;
    CUresult result;

    MUST(cu.CtxSetCurrent(NULL));
    result = cu.PointerGetAttribute(&value, row->attribute, p);
    MUST(cu.CtxSetCurrent(conf.context));
    NOTE("%s", conf_result(result));
    conf_free(p);
}

CASES(of_pinned, attributes, "cuPointerGetAttribute: of page-locked host memory")
{
    uint64_t value = 0, base;
    void *pinned = NULL;
    CUresult result;

    MUST(cu.MemHostAlloc(&pinned, 8192, CU_MEMHOSTALLOC_DEVICEMAP));
    base = (uintptr_t)pinned;
    result = cu.PointerGetAttribute(&value, row->attribute, base + 100);
    NOTE("%s", conf_result(result));
    if (row->attribute == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
        EQUAL(value, CU_MEMORYTYPE_HOST);
    if (row->attribute == CU_POINTER_ATTRIBUTE_HOST_POINTER)
        EQUAL(value, base + 100);
    if (row->attribute == CU_POINTER_ATTRIBUTE_IS_MANAGED)
        EQUAL(value, 0);
    MUST(cu.MemFreeHost(pinned));
}

CASE(context, "CU_POINTER_ATTRIBUTE_CONTEXT: the context that allocated it, whichever is current")
{
    CUdeviceptr p = conf_alloc(BLOCK), q;
    CUcontext other = conf_second_context();

    EQUAL(ask(CU_POINTER_ATTRIBUTE_CONTEXT, p), (uintptr_t)conf.context);
    q = conf_alloc(BLOCK);
    EQUAL(ask(CU_POINTER_ATTRIBUTE_CONTEXT, q), (uintptr_t)other);
    MUST(cu.CtxSetCurrent(conf.context));
    EQUAL(ask(CU_POINTER_ATTRIBUTE_CONTEXT, q + BLOCK - 1), (uintptr_t)other);
    conf_free(q);
    conf_context_end(other);
    conf_free(p);
}

CASE(device_pointer, "CU_POINTER_ATTRIBUTE_DEVICE_POINTER: usually the same as ptr")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    EQUAL(ask(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, p), p);
    EQUAL(ask(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, p + 77), p + 77);
    conf_free(p);
}

CASE(host_pointer,
     "CU_POINTER_ATTRIBUTE_HOST_POINTER: of what the host cannot reach: INVALID_VALUE")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    void *value = NULL;

    IS(cu.PointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_HOST_POINTER, p),
       CUDA_ERROR_INVALID_VALUE);
    conf_free(p);
}

CASE(range_start, "CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: where the allocation begins")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    EQUAL(ask(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + BLOCK - 1), p);
    conf_free(p);
}

CASE(range_size_asked, "CU_POINTER_ATTRIBUTE_RANGE_SIZE: the size of the allocation")
{
    CUdeviceptr p = conf_alloc(BLOCK + 100);

    NOTE("%llu", (unsigned long long)ask(CU_POINTER_ATTRIBUTE_RANGE_SIZE, p));
    conf_free(p);
}

CASE(buffer_id, "CU_POINTER_ATTRIBUTE_BUFFER_ID: unique within the process, never used again")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    uint64_t one = ask(CU_POINTER_ATTRIBUTE_BUFFER_ID, p), again;

    EQUAL(ask(CU_POINTER_ATTRIBUTE_BUFFER_ID, p + BLOCK - 1), one);
    CHECK(ask(CU_POINTER_ATTRIBUTE_BUFFER_ID, q) != one);
    conf_free(p);
    p = conf_alloc(BLOCK);
    again = ask(CU_POINTER_ATTRIBUTE_BUFFER_ID, p);
    CHECK(again != one && again != ask(CU_POINTER_ATTRIBUTE_BUFFER_ID, q));
    conf_free(p);
    conf_free(q);
}

CASE(memory_block_id, "CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID: tells blocks apart")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    uint64_t one = 0, other = 0;

    if (cu.PointerGetAttribute(&one, CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID, p) == CUDA_SUCCESS) {
        MUST(cu.PointerGetAttribute(&other, CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID, q));
        CHECK(one != other);
        EQUAL(ask(CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID, p + 4096), one);
    } else {
        NOTE("not answered");
    }
    conf_free(q);
    conf_free(p);
}

CASE(sync_memops, "cuPointerSetAttribute: SYNC_MEMOPS can be set and is told")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = conf_alloc(BLOCK);
    unsigned on = 1, off = 0;

    MUST(cu.PointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
    EQUAL(ask(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), 1);
    EQUAL(ask(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p + BLOCK - 1), 1);
    EQUAL(ask(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, q), 0);
    MUST(cu.PointerSetAttribute(&off, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
    EQUAL(ask(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), 0);
    conf_free(p);
    conf_free(q);
}

CASE(sync_memops_freed, "cuPointerSetAttribute: of no block, and of another attribute, is refused")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    unsigned on = 1;

    IS(cu.PointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_IS_MANAGED, p), CUDA_ERROR_INVALID_VALUE);
    IS(cu.PointerSetAttribute(NULL, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), CUDA_ERROR_INVALID_VALUE);
    conf_free(p);
    REFUSED(cu.PointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
}

CASE(sync_memops_not_inherited, "cuPointerSetAttribute: it goes with the block")
{
    unsigned on = 1;

    for (int i = 0; i < 8; i++) {
        CUdeviceptr p = conf_alloc(BLOCK);

        EQUAL(ask(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), 0);
        MUST(cu.PointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
        conf_free(p);
    }
}

static const struct {
    const char *name;
    int attribute;
} no_attributes[] = {{"0", 0}, {"-1", -1}, {"1000", 1000}, {"2^30", 1 << 30}};
CASES(unknown, no_attributes, "cuPointerGetAttribute: no attribute at all is INVALID_VALUE")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    uint64_t value = 0;

    IS(cu.PointerGetAttribute(&value, (CUpointer_attribute)row->attribute, p),
       CUDA_ERROR_INVALID_VALUE);
    conf_free(p);
}

CASE(null_data, "cuPointerGetAttribute: NULL data is CUDA_ERROR_INVALID_VALUE")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    IS(cu.PointerGetAttribute(NULL, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p), CUDA_ERROR_INVALID_VALUE);
    conf_free(p);
}

CASE(one_past, "cuPointerGetAttribute: one past the end is not this block")
{
    CUdeviceptr p = conf_alloc(BLOCK), start = 0;

    if (cu.PointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + BLOCK) ==
        CUDA_SUCCESS)
        CHECK(start >= p + BLOCK);
    if (cu.PointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p - 1) ==
        CUDA_SUCCESS)
        CHECK(start < p);
    conf_free(p);
}

CASE(managed, "cuPointerGetAttribute: of managed memory")
{
    CUdeviceptr p = 0;

    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
        conf_skip("no managed memory here");
    MUST(cu.MemAllocManaged(&p, MIB, CU_MEM_ATTACH_GLOBAL));
    EQUAL(ask(CU_POINTER_ATTRIBUTE_IS_MANAGED, p) & 1, 1);
    EQUAL(ask(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p), CU_MEMORYTYPE_DEVICE);
    EQUAL(ask(CU_POINTER_ATTRIBUTE_HOST_POINTER, p + 5), p + 5);
    conf_free(p);
}

/* --- several at once ----------------------------------------------------------------------------
 */

CASE(several, "cuPointerGetAttributes: the same answers as one by one")
{
    CUpointer_attribute names[] = {
        CU_POINTER_ATTRIBUTE_CONTEXT,          CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
        CU_POINTER_ATTRIBUTE_DEVICE_POINTER,   CU_POINTER_ATTRIBUTE_BUFFER_ID,
        CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, CU_POINTER_ATTRIBUTE_RANGE_SIZE,
        CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,   CU_POINTER_ATTRIBUTE_MAPPED,
        CU_POINTER_ATTRIBUTE_IS_MANAGED};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    uint64_t values[COUNT] = {0};
    void *into[COUNT];
    CUdeviceptr p = conf_alloc(BLOCK);

    for (int i = 0; i < COUNT; i++)
        into[i] = &values[i];
    MUST(cu.PointerGetAttributes(COUNT, names, into, p + 4097));
    for (int i = 0; i < COUNT; i++)
        EQUAL(values[i], ask(names[i], p + 4097));
    conf_free(p);
}

static void several_of_nothing(CUdeviceptr p)
{
    CUpointer_attribute names[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_CONTEXT,
                                   CU_POINTER_ATTRIBUTE_HOST_POINTER,
                                   CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
    uint64_t values[4] = {7, 7, 7, 7};
    void *into[] = {&values[0], &values[1], &values[2], &values[3]};

    MUST(cu.PointerGetAttributes(4, names, into, p));
    EQUAL((unsigned)values[0], 0);
    EQUAL(values[1], 0);
    EQUAL(values[2], 0);
    EQUAL(values[3], 0);
}

CASE(several_of_freed, "cuPointerGetAttributes: of an invalid address it returns NULLs and success")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    conf_free(p);
    several_of_nothing(p);
}

CASE(several_of_pageable, "cuPointerGetAttributes: the same of pageable memory")
{
    int here = 0;

    several_of_nothing((CUdeviceptr)(uintptr_t)&here);
}

CASE(several_not_there, "cuPointerGetAttributes: what an address has not is NULL, not an error")
{
    CUpointer_attribute names[] = {CU_POINTER_ATTRIBUTE_HOST_POINTER,
                                   CU_POINTER_ATTRIBUTE_MEMORY_TYPE};
    uint64_t values[2] = {7, 0};
    void *into[] = {&values[0], &values[1]};
    CUdeviceptr p = conf_alloc(BLOCK);

    MUST(cu.PointerGetAttributes(2, names, into, p));
    EQUAL(values[0], 0);
    EQUAL(values[1], CU_MEMORYTYPE_DEVICE);
    conf_free(p);
}

CASE(several_refused, "cuPointerGetAttributes: none, NULL and unknown are CUDA_ERROR_INVALID_VALUE")
{
    CUpointer_attribute name = CU_POINTER_ATTRIBUTE_MEMORY_TYPE, none = (CUpointer_attribute)999;
    unsigned type = 0;
    void *into = &type;
    CUdeviceptr p = conf_alloc(BLOCK);

    SAW(cu.PointerGetAttributes(0, &name, &into, p));
    IS(cu.PointerGetAttributes(1, NULL, &into, p), CUDA_ERROR_INVALID_VALUE);
    IS(cu.PointerGetAttributes(1, &name, NULL, p), CUDA_ERROR_INVALID_VALUE);
    IS(cu.PointerGetAttributes(1, &none, &into, p), CUDA_ERROR_INVALID_VALUE);
    conf_free(p);
}

/* --- cuMemGetAddressRange -----------------------------------------------------------------------
 */

static const struct {
    const char *name;
    size_t bytes;
} range_sizes[] = {
    {"1", 1},      {"512", 512},      {"1000", 1000},          {"64KiB", 64 * KIB},
    {"1MiB", MIB}, {"2MiB", 2 * MIB}, {"2MiB+1", 2 * MIB + 1}, {"7MiB-5", 7 * MIB - 5}};
CASES(range, range_sizes, "cuMemGetAddressRange: base and size of the allocation with dptr in it")
{
    CUdeviceptr p = conf_alloc(row->bytes), base = 0;
    const size_t offsets[] = {0, row->bytes / 2, row->bytes - 1};
    size_t bytes = 0;

    for (int i = 0; i < 3; i++) {
        MUST(cu.MemGetAddressRange(&base, &bytes, p + offsets[i]));
        EQUAL(base, p);
        CHECK(bytes >= row->bytes);
    }
    NOTE("%zu", bytes);
    conf_free(p);
}

CASE(range_parts, "cuMemGetAddressRange: both results are optional")
{
    CUdeviceptr p = conf_alloc(BLOCK), base = 0;
    size_t bytes = 0;

    MUST(cu.MemGetAddressRange(&base, NULL, p + 5));
    EQUAL(base, p);
    MUST(cu.MemGetAddressRange(NULL, &bytes, p + 5));
    EQUAL(bytes, BLOCK);
    SAW(cu.MemGetAddressRange(NULL, NULL, p));
    conf_free(p);
}

CASE(range_of_nothing, "cuMemGetAddressRange: what is in no allocation")
{
    CUdeviceptr p = conf_alloc(BLOCK), base = 0x5a5a;
    size_t bytes = 0x5a5a;

    conf_free(p);
    REFUSED(cu.MemGetAddressRange(&base, &bytes, p));
    REFUSED(cu.MemGetAddressRange(&base, &bytes, 0));
    REFUSED(cu.MemGetAddressRange(&base, &bytes, 12345));
    EQUAL(base, 0x5a5a);
    EQUAL(bytes, 0x5a5a);
}

CASE(range_other_context, "cuMemGetAddressRange: asked from another context")
{
    CUdeviceptr p = conf_alloc(BLOCK), base = 0;
    size_t bytes = 0;
    CUcontext other = conf_second_context();

    SAW(cu.MemGetAddressRange(&base, &bytes, p + 9));
    conf_context_end(other);
    conf_free(p);
}

/* --- host questions about device memory ----------------------------------------------------------
 */

CASE(host_flags, "cuMemHostGetFlags: of what cuMemHostAlloc did not return: INVALID_VALUE")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    unsigned flags = 0x5a5a;

    IS(cu.MemHostGetFlags(&flags, (void *)(uintptr_t)p), CUDA_ERROR_INVALID_VALUE);
    EQUAL(flags, 0x5a5a);
    conf_free(p);
}

CASE(host_device_pointer, "cuMemHostGetDevicePointer: of device memory is refused")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = 0;

    REFUSED(cu.MemHostGetDevicePointer(&q, (void *)(uintptr_t)p, 0));
    conf_free(p);
}

CASE(host_free, "cuMemFreeHost: of device memory is refused, and the block stays")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    conf_pattern_block(p, BLOCK, 1);
    REFUSED(cu.MemFreeHost((void *)(uintptr_t)p));
    CHECK(conf_patterned_block(p, BLOCK, 1));
    conf_free(p);
}

CASE(host_unregister, "cuMemHostUnregister: of device memory is refused, and the block stays")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    conf_pattern_block(p, BLOCK, 2);
    REFUSED(cu.MemHostUnregister((void *)(uintptr_t)p));
    CHECK(conf_patterned_block(p, BLOCK, 2));
    conf_free(p);
}

CASE(host_register, "cuMemHostRegister: of device memory is refused, and the block stays")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    conf_pattern_block(p, BLOCK, 3);
    REFUSED(cu.MemHostRegister((void *)(uintptr_t)p, BLOCK, 0));
    CHECK(conf_patterned_block(p, BLOCK, 3));
    conf_free(p);
}

/* --- IPC ----------------------------------------------------------------------------------------
 */

CASE(ipc_of_nothing, "cuIpcGetMemHandle: of host memory and of nothing is refused")
{
    CUipcMemHandle handle;
    int here = 0;

    REFUSED(cu.IpcGetMemHandle(&handle, (CUdeviceptr)(uintptr_t)&here));
    REFUSED(cu.IpcGetMemHandle(&handle, 0));
}

CASE(ipc_close, "cuIpcCloseMemHandle: of what was not opened so is refused")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    REFUSED(cu.IpcCloseMemHandle(p));
    conf_free(p);
}
