/* conform_vmm.c: addresses, physical memory, and what is mapped where. Source of the rules: CUDA
 * driver API, "Virtual Memory Management". */
#define CONF_GROUP "vmm"
#include "conform.h"

#include <unistd.h>

static const CUmemAllocationProp on_device = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                              .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
static const CUmemAccessDesc read_write = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                           CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

/* Bytes of the smallest piece; or skips. */
static size_t unit(void)
{
    size_t bytes = 0;

    NEEDS(MemCreate);
    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED))
        conf_skip("no virtual memory management here");
    MUST(cu.MemGetAllocationGranularity(&bytes, &on_device, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    CHECK(bytes > 0 && (bytes & (bytes - 1)) == 0);
    return bytes;
}

static CUmemGenericAllocationHandle create(size_t bytes)
{
    CUmemGenericAllocationHandle handle = 0;

    MUST(cu.MemCreate(&handle, bytes, &on_device, 0));
    return handle;
}

static CUdeviceptr reserve(size_t bytes)
{
    CUdeviceptr p = 0;

    MUST(cu.MemAddressReserve(&p, bytes, 0, 0, 0));
    CHECK(p != 0);
    return p;
}

static void map(CUdeviceptr p, size_t bytes, CUmemGenericAllocationHandle handle)
{
    MUST(cu.MemMap(p, bytes, 0, handle, 0));
    MUST(cu.MemSetAccess(p, bytes, &read_write, 1));
}

static void unmap(CUdeviceptr p, size_t bytes)
{
    MUST(cu.MemUnmap(p, bytes));
}

CASE(whole_way, "cuMemCreate, cuMemMap, cuMemSetAccess: then the memory can be used")
{
    size_t bytes = 4 * unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    conf_pattern_block(p, bytes, 1);
    CHECK(conf_patterned_block(p, bytes, 1));
    conf_fill(p, 3, bytes / 4, NULL);
    conf_add(p, 4, bytes / 4, NULL);
    CHECK(conf_holds(p, 7, bytes / 4));
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(release_while_mapped, "cuMemRelease: the memory stays until it is unmapped")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    MUST(cu.MemRelease(handle));
    conf_pattern_block(p, bytes, 2);
    CHECK(conf_patterned_block(p, bytes, 2));
    unmap(p, bytes);
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(moved, "cuMemMap: the bytes are the handle's, wherever it is mapped")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes), q = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    conf_pattern_block(p, bytes, 3);
    unmap(p, bytes);
    map(q, bytes, handle);
    CHECK(conf_patterned_block(q, bytes, 3));
    unmap(q, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, bytes));
    MUST(cu.MemAddressFree(q, bytes));
}

CASE(two_places, "cuMemMap: one handle may be mapped at two addresses")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(2 * bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    map(p + bytes, bytes, handle);
    conf_pattern_block(p, bytes, 4);
    CHECK(conf_patterned_block(p + bytes, bytes, 4));
    unmap(p, 2 * bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, 2 * bytes));
}

CASE(grows, "cuMemMap: pieces side by side are one range for kernels and copies")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(4 * bytes);

    for (int i = 0; i < 4; i++) {
        CUmemGenericAllocationHandle handle = create(bytes);

        map(p + (size_t)i * bytes, bytes, handle);
        MUST(cu.MemRelease(handle));
    }
    conf_fill(p, 5, bytes, NULL);
    CHECK(conf_holds(p, 5, bytes));
    conf_pattern_block(p + bytes / 2, 3 * bytes, 5);
    CHECK(conf_patterned_block(p + bytes / 2, 3 * bytes, 5));
    unmap(p + bytes, bytes);
    CHECK(conf_holds(p, 5, bytes / 8));
    unmap(p, bytes);
    unmap(p + 2 * bytes, 2 * bytes);
    MUST(cu.MemAddressFree(p, 4 * bytes));
}

CASE(accounts, "cuMemGetInfo: physical memory counts from its creation to its end")
{
    size_t bytes = 8 * unit(), before, during, after, total;
    CUmemGenericAllocationHandle handle;

    MUST(cu.MemGetInfo(&before, &total));
    handle = create(bytes);
    MUST(cu.MemGetInfo(&during, &total));
    EQUAL(before - during, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(before, after);
}

CASE(reserve_is_free, "cuMemAddressReserve: addresses take no memory")
{
    size_t bytes = 64 * unit(), before, during, total;
    CUdeviceptr p;

    MUST(cu.MemGetInfo(&before, &total));
    p = reserve(bytes);
    MUST(cu.MemGetInfo(&during, &total));
    EQUAL(before, during);
    MUST(cu.MemAddressFree(p, bytes));
}

/* --- creating -----------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    size_t more, less; /* than one unit */
} odd_sizes[] = {{"nothing", 0, 1}, {"one more", 1, 0}, {"512 more", 512, 0}};
CASES(create_size, odd_sizes, "cuMemCreate: the size is a multiple of the granularity, and not 0")
{
    size_t bytes = unit();
    CUmemGenericAllocationHandle handle = 0;

    IS(cu.MemCreate(&handle, row->less ? 0 : bytes + row->more, &on_device, 0),
       CUDA_ERROR_INVALID_VALUE);
}

CASE(create_beyond, "cuMemCreate: what no memory can hold is CUDA_ERROR_OUT_OF_MEMORY")
{
    CUmemGenericAllocationHandle handle = 0;

    unit();
    IS(cu.MemCreate(&handle, (size_t)1 << 46, &on_device, 0), CUDA_ERROR_OUT_OF_MEMORY);
    MUST(cu.MemRelease(create(unit())));
}

static const struct {
    const char *name;
    CUmemAllocationProp prop;
} no_props[] = {
    {"no type", {.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}}},
    {"no location", {.type = CU_MEM_ALLOCATION_TYPE_PINNED}},
    {"no device",
     {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 4711}}},
    {"device -1",
     {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, -1}}},
};
CASES(create_props, no_props, "cuMemCreate, cuMemGetAllocationGranularity: props make sense")
{
    CUmemGenericAllocationHandle handle = 0;
    size_t bytes = unit(), found = 0;

    REFUSED(cu.MemCreate(&handle, bytes, &row->prop, 0));
    REFUSED(cu.MemGetAllocationGranularity(&found, &row->prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
}

CASE(create_refused, "cuMemCreate: NULL is INVALID_VALUE, and flags must be zero")
{
    CUmemGenericAllocationHandle handle = 0;
    size_t bytes = unit();

    IS(cu.MemCreate(NULL, bytes, &on_device, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemCreate(&handle, bytes, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemCreate(&handle, bytes, &on_device, 1), CUDA_ERROR_INVALID_VALUE);
}

CASE(create_without_context, "cuMemCreate: needs no current context")
{
    size_t bytes = unit();
    CUmemGenericAllocationHandle handle = 0;

    MUST(cu.CtxSetCurrent(NULL));
    MUST(cu.MemCreate(&handle, bytes, &on_device, 0));
    MUST(cu.MemRelease(handle));
    MUST(cu.CtxSetCurrent(conf.context));
}

CASE(props_of_handle, "cuMemGetAllocationPropertiesFromHandle: what it was created with")
{
    CUmemGenericAllocationHandle handle = create(unit());
    CUmemAllocationProp found = {0};

    MUST(cu.MemGetAllocationPropertiesFromHandle(&found, handle));
    EQUAL(found.type, CU_MEM_ALLOCATION_TYPE_PINNED);
    EQUAL(found.location.type, CU_MEM_LOCATION_TYPE_DEVICE);
    EQUAL(found.location.id, 0);
    EQUAL(found.requestedHandleTypes, CU_MEM_HANDLE_TYPE_NONE);
    IS(cu.MemGetAllocationPropertiesFromHandle(NULL, handle), CUDA_ERROR_INVALID_VALUE);
    MUST(cu.MemRelease(handle));
}

CASE(granularity, "cuMemGetAllocationGranularity: recommended is a multiple of minimum")
{
    size_t least = unit(), best = 0;

    MUST(cu.MemGetAllocationGranularity(&best, &on_device, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    EQUAL(best % least, 0);
    IS(cu.MemGetAllocationGranularity(NULL, &on_device, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
       CUDA_ERROR_INVALID_VALUE);
    NOTE("%zu, %zu", least, best);
}

/* --- handles ------------------------------------------------------------------------------------
 */

CASE(release_twice, "cuMemRelease: a handle that is gone is CUDA_ERROR_INVALID_VALUE")
{
    CUmemGenericAllocationHandle handle = create(unit());

    MUST(cu.MemRelease(handle));
    conf_forged();
    IS(cu.MemRelease(handle), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemRelease(0), CUDA_ERROR_INVALID_VALUE);
}

CASE(retain, "cuMemRetainAllocationHandle: the handle of what is mapped, released once more")
{
    size_t bytes = 2 * unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes), found = 0;
    CUmemAllocationProp prop = {0};

    map(p, bytes, handle);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemRetainAllocationHandle(&found, (void *)(uintptr_t)(p + bytes - 1)));
    EQUAL(found, handle);
    unmap(p, bytes);
    MUST(cu.MemGetAllocationPropertiesFromHandle(&prop, found)); /* it lives on */
    map(p, bytes, found);
    unmap(p, bytes);
    MUST(cu.MemRelease(found));
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(retain_nothing, "cuMemRetainAllocationHandle: of what is not mapped is INVALID_VALUE")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes), q = conf_alloc(2 * MIB);
    CUmemGenericAllocationHandle found = 0;

    IS(cu.MemRetainAllocationHandle(&found, (void *)(uintptr_t)p), CUDA_ERROR_INVALID_VALUE);
    REFUSED(cu.MemRetainAllocationHandle(&found, (void *)(uintptr_t)q));
    conf_free(q);
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(export_not_asked, "cuMemExportToShareableHandle: only of a type that was requested")
{
    CUmemGenericAllocationHandle handle = create(unit());
    int file = -1;

    REFUSED(
        cu.MemExportToShareableHandle(&file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    MUST(cu.MemRelease(handle));
}

CASE(export_import, "cuMemExportToShareableHandle, Import: another handle of the same memory")
{
    CUmemAllocationProp prop = on_device;
    CUmemGenericAllocationHandle handle = 0, other = 0;
    size_t bytes = unit();
    CUdeviceptr p, q;
    int file = -1;

    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED))
        conf_skip("no file descriptors for memory here");
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    MUST(cu.MemCreate(&handle, bytes, &prop, 0));
    MUST(cu.MemExportToShareableHandle(&file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    CHECK(file >= 0);
    MUST(cu.MemImportFromShareableHandle(&other, (void *)(intptr_t)file,
                                         CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    close(file);
    p = reserve(bytes);
    q = reserve(bytes);
    map(p, bytes, handle);
    map(q, bytes, other);
    conf_pattern_block(p, bytes, 6);
    CHECK(conf_patterned_block(q, bytes, 6));
    unmap(p, bytes);
    unmap(q, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemRelease(other));
    MUST(cu.MemAddressFree(p, bytes));
    MUST(cu.MemAddressFree(q, bytes));
}

/* --- mapping ------------------------------------------------------------------------------------
 */

CASE(map_refused,
     "cuMemMap: offset and flags are zero, address and size in units, in a reservation")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(2 * bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    REFUSED(cu.MemMap(p, bytes, 512, handle, 0));
    IS(cu.MemMap(p, bytes, 0, handle, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemMap(p + 512, bytes, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemMap(p, 0, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    REFUSED(cu.MemMap(p, 2 * bytes, 0, handle, 0)); /* more than the handle has */
    REFUSED(cu.MemMap(p + 2 * bytes, bytes, 0, handle, 0));
    REFUSED(cu.MemMap(0, bytes, 0, handle, 0));
    map(p, bytes, handle);
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, 2 * bytes));
}

CASE(map_twice, "cuMemMap: where something is mapped nothing else can be")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle one = create(bytes), other = create(bytes);

    map(p, bytes, one);
    conf_pattern_block(p, bytes, 7);
    REFUSED(cu.MemMap(p, bytes, 0, other, 0));
    CHECK(conf_patterned_block(p, bytes, 7));
    unmap(p, bytes);
    MUST(cu.MemRelease(one));
    MUST(cu.MemRelease(other));
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(unmap_refused, "cuMemUnmap: whole mappings only, and what is mapped")
{
    size_t bytes = 2 * unit();
    CUdeviceptr p = reserve(2 * bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    conf_pattern_block(p, bytes, 8);
    REFUSED(cu.MemUnmap(p, bytes / 2));
    REFUSED(cu.MemUnmap(p + bytes / 2, bytes / 2));
    REFUSED(cu.MemUnmap(p, 2 * bytes));
    REFUSED(cu.MemUnmap(p + bytes, bytes));
    IS(cu.MemUnmap(p, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK(conf_patterned_block(p, bytes, 8));
    unmap(p, bytes);
    REFUSED(cu.MemUnmap(p, bytes));
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, 2 * bytes));
}

CASE(free_is_not_unmap, "cuMemFree, cuMemFreeAsync: not for what is mapped")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    conf_pattern_block(p, bytes, 9);
    REFUSED(cu.MemFree(p));
    CHECK(conf_patterned_block(p, bytes, 9));
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, bytes));
}

/* --- addresses ----------------------------------------------------------------------------------
 */

CASE(reserve_refused, "cuMemAddressReserve: size in units, alignment a power of two, flags zero")
{
    size_t bytes = unit();
    CUdeviceptr p = 0;

    IS(cu.MemAddressReserve(&p, 0, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAddressReserve(&p, bytes + 1, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAddressReserve(&p, bytes, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAddressReserve(&p, bytes, 0, 0, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAddressReserve(NULL, bytes, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
}

CASE(reserve_aligned, "cuMemAddressReserve: as aligned as asked")
{
    size_t bytes = unit();
    CUdeviceptr p = 0;

    MUST(cu.MemAddressReserve(&p, bytes, 16 * bytes, 0, 0));
    EQUAL(p % (16 * bytes), 0);
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(address_free_refused, "cuMemAddressFree: the whole reservation, once, with nothing mapped")
{
    size_t bytes = 2 * unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    REFUSED(cu.MemAddressFree(p, bytes / 2));
    REFUSED(cu.MemAddressFree(p + bytes / 2, bytes / 2));
    map(p, bytes, handle);
    REFUSED(cu.MemAddressFree(p, bytes));
    unmap(p, bytes);
    MUST(cu.MemAddressFree(p, bytes));
    REFUSED(cu.MemAddressFree(p, bytes));
    MUST(cu.MemRelease(handle));
}

/* --- access -------------------------------------------------------------------------------------
 */

CASE(access_granted, "cuMemGetAccess: none after cuMemMap, then what cuMemSetAccess granted")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);
    CUmemAccessDesc desc = read_write;
    unsigned long long flags = 77;

    MUST(cu.MemMap(p, bytes, 0, handle, 0));
    MUST(cu.MemGetAccess(&flags, &read_write.location, p));
    EQUAL(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    desc.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
    MUST(cu.MemSetAccess(p, bytes, &desc, 1));
    MUST(cu.MemGetAccess(&flags, &read_write.location, p + bytes - 1));
    EQUAL(flags, CU_MEM_ACCESS_FLAGS_PROT_READ);
    MUST(cu.MemSetAccess(p, bytes, &read_write, 1));
    MUST(cu.MemGetAccess(&flags, &read_write.location, p));
    EQUAL(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(access_refused, "cuMemSetAccess: a mapped range, at least one description")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(2 * bytes);
    CUmemGenericAllocationHandle handle = create(bytes);
    CUmemAccessDesc nowhere = {{CU_MEM_LOCATION_TYPE_DEVICE, 4711},
                               CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

    REFUSED(cu.MemSetAccess(p, bytes, &read_write, 1)); /* nothing there */
    MUST(cu.MemMap(p, bytes, 0, handle, 0));
    IS(cu.MemSetAccess(p, bytes, NULL, 1), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemSetAccess(p, bytes, &read_write, 0), CUDA_ERROR_INVALID_VALUE);
    REFUSED(cu.MemSetAccess(p, 2 * bytes, &read_write, 1));
    REFUSED(cu.MemSetAccess(p, bytes, &nowhere, 1));
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, 2 * bytes));
}

static const struct {
    const char *name;
    CUpointer_attribute attribute;
    uint64_t answer;
} answers[] = {
    {"MEMORY_TYPE", CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_MEMORYTYPE_DEVICE},
    {"DEVICE_ORDINAL", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 0},
    {"IS_MANAGED", CU_POINTER_ATTRIBUTE_IS_MANAGED, 0},
    {"IS_LEGACY_CUDA_IPC_CAPABLE", CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, 0},
    {"MAPPED", CU_POINTER_ATTRIBUTE_MAPPED, 1},
    {"ALLOWED_HANDLE_TYPES", CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, 0},
    {"MEMPOOL_HANDLE", CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, 0},
    {"ACCESS_FLAGS", CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, 3},
};
CASES(attribute, answers, "cuPointerGetAttribute: of what is mapped")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes);
    CUmemGenericAllocationHandle handle = create(bytes);
    uint64_t value = 0;

    map(p, bytes, handle);
    MUST(cu.PointerGetAttribute(&value, row->attribute, p + 100));
    EQUAL(value, row->answer);
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, bytes));
}

CASE(attribute_range, "RANGE_START_ADDR, RANGE_SIZE: the reservation; MAPPED: whether it is")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(4 * bytes), start = 0;
    CUmemGenericAllocationHandle handle = create(bytes);
    uint64_t size = 0;

    map(p + bytes, bytes, handle);
    MUST(cu.PointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + bytes));
    EQUAL(start, p);
    MUST(cu.PointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + bytes));
    EQUAL(size, 4 * bytes);
    unmap(p + bytes, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, 4 * bytes));
}

CASE(past_the_end, "cuMemcpy*, cuMemset*: what runs into addresses without memory is refused")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(2 * bytes);
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    REFUSED(cu.MemsetD8(p, 0, bytes + 1));
    REFUSED(cu.MemcpyDtoD(p + 1, p, bytes));
    REFUSED(cu.MemsetD8(p + bytes, 0, 16));
    unmap(p, bytes);
    REFUSED(cu.MemsetD8(p, 0, 16));
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, 2 * bytes));
}

CASE(context_outlived, "cuCtxDestroy: physical memory belongs to no context")
{
    size_t bytes = unit();
    CUdeviceptr p = reserve(bytes);
    CUcontext other = conf_second_context();
    CUmemGenericAllocationHandle handle = create(bytes);

    map(p, bytes, handle);
    conf_pattern_block(p, bytes, 10);
    conf_context_end(other);
    CHECK(conf_patterned_block(p, bytes, 10));
    unmap(p, bytes);
    MUST(cu.MemRelease(handle));
    MUST(cu.MemAddressFree(p, bytes));
}
