/* conform_vmm_none.c: virtual memory management of memory that is none of its own: what cuMemAlloc
 * and its like return lies in no reservation and has no handle. Source of the rules: CUDA driver
 * API, "Virtual Memory Management". */
#define CONF_GROUP "vmm"
#include "conform.h"

#define BLOCK (4 * MIB)

static const CUmemAccessDesc read_write = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                           CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static const struct allocator {
    const char *name;
    bool ordered;
} allocators[] = {{"cuMemAlloc", false}, {"cuMemAllocAsync", true}};

static CUdeviceptr open_block(const struct allocator *from)
{
    CUdeviceptr p = 0;

    NEEDS(MemCreate);
    if (from->ordered) {
        NEEDS(MemAllocAsync);
        MUST(cu.MemAllocAsync(&p, BLOCK, NULL));
    } else {
        p = conf_alloc(BLOCK);
    }
    conf_pattern_block(p, BLOCK, 21);
    return p;
}

/* It is what it was, and used as before. */
static void close_block(CUdeviceptr p)
{
    CUdeviceptr base = 0;
    size_t bytes = 0;

    CHECK(conf_patterned_block(p, BLOCK, 21));
    conf_fill(p, 4, BLOCK / 4, NULL);
    CHECK(conf_holds(p, 4, BLOCK / 4));
    MUST(cu.MemGetAddressRange(&base, &bytes, p + BLOCK - 1));
    EQUAL(base, p);
    EQUAL(bytes, BLOCK);
    conf_free(p);
}

CASES(none_retain, allocators, "cuMemRetainAllocationHandle: no handle was mapped there")
{
    CUdeviceptr p = open_block(row);
    CUmemGenericAllocationHandle found = 0x5a5a;

    REFUSED(cu.MemRetainAllocationHandle(&found, (void *)(uintptr_t)p));
    REFUSED(cu.MemRetainAllocationHandle(&found, (void *)(uintptr_t)(p + 2 * MIB + 5)));
    close_block(p);
}

CASES(none_get_access, allocators, "cuMemGetAccess: of an address that nothing is mapped to")
{
    CUdeviceptr p = open_block(row);
    unsigned long long flags = 0;

    REFUSED(cu.MemGetAccess(&flags, &read_write.location, p));
    REFUSED(cu.MemGetAccess(&flags, &read_write.location, p + BLOCK - 1));
    close_block(p);
}

CASES(none_set_access, allocators, "cuMemSetAccess: ptr and size are those of mappings")
{
    CUmemAccessDesc nothing = read_write;
    CUdeviceptr p = open_block(row);

    nothing.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    REFUSED(cu.MemSetAccess(p, BLOCK, &read_write, 1));
    REFUSED(cu.MemSetAccess(p, BLOCK, &nothing, 1));
    REFUSED(cu.MemSetAccess(p, 2 * MIB, &nothing, 1));
    close_block(p);
}

CASES(none_unmap, allocators, "cuMemUnmap: nothing was mapped there")
{
    CUdeviceptr p = open_block(row);

    REFUSED(cu.MemUnmap(p, BLOCK));
    REFUSED(cu.MemUnmap(p, 2 * MIB));
    REFUSED(cu.MemUnmap(p + 2 * MIB, 2 * MIB));
    close_block(p);
}

CASES(none_map, allocators, "cuMemMap: ptr is reserved by cuMemAddressReserve")
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = read_write.location};
    CUdeviceptr p = open_block(row);
    CUmemGenericAllocationHandle handle = 0;

    MUST(cu.MemCreate(&handle, BLOCK, &prop, 0));
    REFUSED(cu.MemMap(p, BLOCK, 0, handle, 0));
    MUST(cu.MemRelease(handle));
    close_block(p);
}

CASES(none_address_free, allocators, "cuMemAddressFree: nothing was reserved there")
{
    CUdeviceptr p = open_block(row);

    REFUSED(cu.MemAddressFree(p, BLOCK));
    REFUSED(cu.MemAddressFree(p, 2 * MIB));
    close_block(p);
}
