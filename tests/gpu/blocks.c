/* blocks.c: memory of each kind that the probe asks about. */
#include "tests/gpu/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2 * PROBE_MIB)

const char *const probe_kind_name[PROBE_KINDS] = {
    [PROBE_DEVICE] = "cuMemAlloc",
    [PROBE_HOSTALLOC] = "cuMemHostAlloc",
    [PROBE_REGISTERED_4K] = "registered 4K",
    [PROBE_REGISTERED_THP] = "registered THP",
    [PROBE_REGISTERED_HUGETLB] = "registered hugetlb",
    [PROBE_VMM_HOST] = "VMM host NUMA",
    [PROBE_VMM_DEVICE] = "VMM device",
    [PROBE_PAGEABLE] = "pageable",
};

bool probe_find_vmm(struct probe *p, struct probe_vmm *v)
{
    v->create = probe_symbol(p, "cuMemCreate");
    v->release = probe_symbol(p, "cuMemRelease");
    v->reserve = probe_symbol(p, "cuMemAddressReserve");
    v->address_free = probe_symbol(p, "cuMemAddressFree");
    v->map = probe_symbol(p, "cuMemMap");
    v->unmap = probe_symbol(p, "cuMemUnmap");
    v->set_access = probe_symbol(p, "cuMemSetAccess");
    v->granularity = probe_symbol(p, "cuMemGetAllocationGranularity");
    v->export = probe_symbol(p, "cuMemExportToShareableHandle");
    v->import = probe_symbol(p, "cuMemImportFromShareableHandle");
    return v->create && v->release && v->reserve && v->address_free && v->map && v->unmap &&
           v->set_access && v->granularity && v->export && v->import;
}

CUmemLocation probe_here(struct probe *p)
{
    return (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, p->device};
}

static bool refused(struct probe_block *block, const char *what, const char *how)
{
    snprintf(block->why, sizeof block->why, "%s: %s", what, how);
    return false;
}

static bool call_ok(struct probe_block *block, const char *what, CUresult result)
{
    return result == CUDA_SUCCESS || refused(block, what, probe_result(result));
}

/* Anonymous memory, aligned to a huge page, touched. */
static bool map_pages(struct probe_block *block)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    bool hugetlb = block->kind == PROBE_REGISTERED_HUGETLB;
    double start = probe_now_ms();

    if (hugetlb)
        flags |= MAP_HUGETLB;
    size_t room = block->bytes + (hugetlb ? 0 : HUGE_PAGE);
    char *base = mmap(NULL, room, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED)
        return refused(block, "mmap", strerror(errno));
    if (!hugetlb) {
        char *aligned = (char *)(((uintptr_t)base + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
        if (aligned > base)
            munmap(base, (size_t)(aligned - base));
        if (aligned + block->bytes < base + room)
            munmap(aligned + block->bytes, (size_t)(base + room - aligned) - block->bytes);
        base = aligned;
        madvise(base, block->bytes,
                block->kind == PROBE_REGISTERED_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    memset(base, 0, block->bytes);
    block->populate_ms = probe_now_ms() - start;
    block->host = base;
    return true;
}

static bool make_registered(struct probe *p, struct probe_block *block)
{
    unsigned flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;

    if (!map_pages(block))
        return false;
    double start = probe_now_ms();
    CUresult result = p->drv.cuMemHostRegister(block->host, block->bytes, flags);
    block->pin_ms = probe_now_ms() - start;
    if (result == CUDA_SUCCESS) {
        result = p->drv.cuMemHostGetDevicePointer(&block->device, block->host, 0);
        if (result == CUDA_SUCCESS)
            return true;
        p->drv.cuMemHostUnregister(block->host);
    }
    munmap(block->host, block->bytes);
    block->host = NULL;
    return refused(block, "cuMemHostRegister", probe_result(result));
}

static bool map_vmm(struct probe *p, const struct probe_vmm *v, struct probe_block *block)
{
    const CUmemAccessDesc access[] = {
        {probe_here(p), CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
        {{CU_MEM_LOCATION_TYPE_HOST_NUMA, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE}};

    if (!call_ok(block, "cuMemAddressReserve", v->reserve(&block->device, block->bytes, 0, 0, 0)))
        return false;
    if (!call_ok(block, "cuMemMap", v->map(block->device, block->bytes, 0, block->vmm_handle, 0)))
        return false;
    /* The CPU reaches it through the same address, once its node has access; older drivers know
     * access for devices only. */
    if (block->kind == PROBE_VMM_HOST &&
        v->set_access(block->device, block->bytes, access, 2) == CUDA_SUCCESS) {
        block->host = (void *)(uintptr_t)block->device;
        return true;
    }
    return call_ok(block, "cuMemSetAccess", v->set_access(block->device, block->bytes, access, 1));
}

static bool make_vmm(struct probe *p, struct probe_block *block)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = probe_here(p)};
    struct probe_vmm v;

    if (block->kind == PROBE_VMM_HOST)
        prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
    if (!probe_find_vmm(p, &v))
        return refused(block, "cuMemCreate", "absent");
    double start = probe_now_ms();
    if (!call_ok(block, "cuMemCreate", v.create(&block->vmm_handle, block->bytes, &prop, 0)))
        return false;
    if (!map_vmm(p, &v, block))
        return false;
    block->pin_ms = probe_now_ms() - start;
    return true;
}

bool probe_make(struct probe *p, enum probe_kind kind, size_t bytes, struct probe_block *block)
{
    *block = (struct probe_block){.kind = kind, .bytes = bytes};
    double start = probe_now_ms();

    switch (kind) {
    case PROBE_DEVICE:
        if (!call_ok(block, "cuMemAlloc", p->drv.cuMemAlloc(&block->device, bytes)))
            return false;
        block->pin_ms = probe_now_ms() - start;
        return true;
    case PROBE_HOSTALLOC:
        if (!call_ok(block, "cuMemHostAlloc",
                     p->drv.cuMemHostAlloc(&block->host, bytes,
                                           CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP)))
            return false;
        block->pin_ms = probe_now_ms() - start;
        return call_ok(block, "cuMemHostGetDevicePointer",
                       p->drv.cuMemHostGetDevicePointer(&block->device, block->host, 0));
    case PROBE_VMM_HOST:
    case PROBE_VMM_DEVICE:
        return make_vmm(p, block);
    case PROBE_PAGEABLE:
        return map_pages(block);
    default:
        return make_registered(p, block);
    }
}

static CUresult drop_vmm(struct probe *p, struct probe_block *block)
{
    struct probe_vmm v;

    if (!probe_find_vmm(p, &v))
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = v.unmap(block->device, block->bytes);
    CUresult released = v.release(block->vmm_handle);
    CUresult freed = v.address_free(block->device, block->bytes);
    return result ? result : released ? released : freed;
}

static bool has_pages(const struct probe_block *block)
{
    return block->kind != PROBE_DEVICE && block->kind != PROBE_HOSTALLOC &&
           block->kind != PROBE_VMM_HOST && block->kind != PROBE_VMM_DEVICE;
}

CUresult probe_drop(struct probe *p, struct probe_block *block)
{
    double start = probe_now_ms();
    CUresult result = CUDA_SUCCESS;

    switch (block->kind) {
    case PROBE_DEVICE:
        result = p->drv.cuMemFree(block->device);
        break;
    case PROBE_HOSTALLOC:
        result = p->drv.cuMemFreeHost(block->host);
        break;
    case PROBE_VMM_HOST:
    case PROBE_VMM_DEVICE:
        result = drop_vmm(p, block);
        break;
    case PROBE_PAGEABLE:
        break;
    default:
        result = p->drv.cuMemHostUnregister(block->host);
        break;
    }
    block->drop_ms = probe_now_ms() - start;
    if (has_pages(block))
        munmap(block->host, block->bytes);
    return result;
}
