/* vmm.c: reserved addresses and what is mapped to them.
 *
 * All reservations lie in one window. The engines find the bytes of a mapping at its place in the
 * window's shadow, so that mappings that adjoin are one piece for them as for the host. The CPU
 * faults at the addresses themselves, unless it was given access to host memory there.
 */
#include "vmm.h"
#include "impl.h"

#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define WINDOW_BYTES ((size_t)96 << 30) /* ThreadSanitizer leaves little address space */
#else
#define WINDOW_BYTES ((size_t)1 << 40)
#endif

struct reservation {
    struct node node; /* first */
    unsigned mappings;
};
struct mapping {
    struct reservation *reservation;
    struct physical *physical;
    unsigned char access[SIM_MAX_DEVICES], host_access; /* CUmemAccess_flags */
};

static struct space window;
static struct node *reservations;

bool vmm_is_reserved(uint64_t address)
{
    return address - window.base < window.bytes;
}

static struct reservation *reservation_locked(uint64_t address)
{
    struct node *node = tree_floor(reservations, address);

    return node && address - node->base < node->size ? (struct reservation *)node : NULL;
}

bool vmm_range_locked(uint64_t address, uint64_t *base, uint64_t *size)
{
    const struct reservation *reservation = reservation_locked(address);

    if (!reservation)
        return false;
    *base = reservation->node.base;
    *size = reservation->node.size;
    return true;
}

bool mapping_admits(const struct mapping *mapping, int device, bool write)
{
    unsigned needed = write ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ;

    return (mapping->access[device] & needed) == needed;
}

bool mapping_admits_host(const struct mapping *mapping)
{
    return mapping->host_access;
}

bool mapping_is_host(const struct mapping *mapping)
{
    return !mapping->physical->device;
}

bool mapping_adjoins(const struct mapping *one, const struct mapping *other)
{
    return one->reservation == other->reservation;
}

unsigned mapping_handle_types(const struct mapping *mapping)
{
    return mapping->physical->prop.requestedHandleTypes;
}

/* --- reservations --------------------------------------------------------------------------------
 */

static void window_start_locked(void)
{
    if (window.base)
        return;
    window.shadow = device_reserve(WINDOW_BYTES, PROT_READ | PROT_WRITE);
    window.base = window.top = (uintptr_t)device_reserve(WINDOW_BYTES, PROT_NONE);
    window.bytes = WINDOW_BYTES;
}

CUresult sim_mem_address_reserve(CUdeviceptr *out, size_t size, size_t alignment, CUdeviceptr hint,
                                 unsigned long long flags)
{
    struct reservation *reservation;
    uint64_t base = 0;

    if (!out || !size || size % 4096 || hint % 4096 || (alignment & (alignment - 1)) || flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (alignment < VMM_GRANULARITY)
        alignment = VMM_GRANULARITY;
    sim_enter();
    window_start_locked();
    if (size <= window.bytes && alignment <= window.bytes)
        base = window_take_locked(&window, size, alignment);
    if (base) {
        reservation = calloc(1, sizeof(*reservation));
        reservation->node.base = *out = base;
        reservation->node.size = size;
        tree_insert(&reservations, &reservation->node, sim_random_locked());
    }
    sim_leave();
    return base ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult sim_mem_address_free(CUdeviceptr address, size_t size)
{
    struct reservation *reservation;
    bool can;

    sim_enter();
    reservation = reservation_locked(address);
    can = reservation && reservation->node.base == address && reservation->node.size == size &&
          !reservation->mappings;
    if (can) {
        tree_remove(&reservations, &reservation->node);
        window_give_locked(&window, address, size);
        free(reservation);
    }
    sim_leave();
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- mappings ------------------------------------------------------------------------------------
 */

/* The memory's place in the file, or nothing, at an address of this process. */
static void show_locked(char *at, const struct physical *physical, size_t size, int protection)
{
    void *p = physical ? mmap(at, size, protection, MAP_SHARED | MAP_FIXED, physical_file_locked(),
                              (off_t)physical->place)
                       : mmap(at, size, protection,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED)
        sim_refuse("cannot map %zu bytes", size);
}

static char *shadow_of(uint64_t address)
{
    return window.shadow + (address - window.base);
}

CUresult sim_mem_map(CUdeviceptr address, size_t size, size_t offset,
                     CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    struct reservation *reservation;
    struct physical *physical;
    struct range *range;
    bool can;

    /* "offset ... Note: currently must be zero." */
    if (!size || (address | size) % VMM_GRANULARITY || offset || flags)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    reservation = reservation_locked(address);
    physical = physical_get(handle);
    can = reservation && physical && size <= physical->size &&
          (address | size) % physical_granularity(&physical->prop.location) == 0 &&
          size <= reservation->node.size - (address - reservation->node.base) &&
          !range_overlaps_locked(address, size);
    if (can) {
        show_locked(shadow_of(address), physical, size, PROT_READ | PROT_WRITE);
        range = range_new_locked(RANGE_MAPPED, NULL, address, size, shadow_of(address), "cuMemMap");
        range->device = physical->device;
        range->mapping = calloc(1, sizeof(*range->mapping));
        range->mapping->reservation = reservation;
        range->mapping->physical = physical;
        reservation->mappings++;
        physical->mappings++;
    }
    sim_leave();
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Do mappings fill [address, address + size), none of them in part? */
static bool whole_locked(uint64_t address, size_t size)
{
    uint64_t end = address + size, at = address;

    while (size && end > address && at < end) {
        const struct range *range = range_find_locked(at);

        if (!range || range->kind != RANGE_MAPPED || range->node.base != at)
            return false;
        at = range_end(range);
    }
    return size && at == end;
}

/* "all mappings start with no accessibility setup": what was granted goes with the mapping. */
static void unmap_locked(struct range *range)
{
    struct mapping *mapping = range->mapping;

    if (range->in_flight)
        report_illegal("cuMemUnmap: d%u is still used by %u enqueued operations", range->serial,
                       range->in_flight);
    /* Still there for an operation that is under way, and reported. */
    show_locked(shadow_of(range->node.base), NULL, range->node.size, PROT_READ | PROT_WRITE);
    if (mapping->host_access)
        show_locked((char *)(uintptr_t)range->node.base, NULL, range->node.size, PROT_NONE);
    mapping->reservation->mappings--;
    mapping->physical->mappings--;
    physical_drop_locked(mapping->physical);
    range_end_locked(range);
    free(mapping);
}

CUresult sim_mem_unmap(CUdeviceptr address, size_t size)
{
    bool can;

    sim_enter();
    can = whole_locked(address, size);
    for (uint64_t at = address; can && at < address + size;) {
        struct range *range = range_find_locked(at);

        at = range_end(range);
        unmap_locked(range);
    }
    sim_leave();
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_mem_retain(CUmemGenericAllocationHandle *out, void *address)
{
    struct range *range;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    range = range_find_locked((uintptr_t)address);
    if (range && range->kind != RANGE_MAPPED)
        range = NULL;
    if (range) {
        range->mapping->physical->references++;
        *out = (uintptr_t)range->mapping->physical->handle;
    }
    sim_leave();
    return range ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- access --------------------------------------------------------------------------------------
 */

static bool host_location(const CUmemLocation *location)
{
    return location->type == CU_MEM_LOCATION_TYPE_HOST ||
           location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA;
}

static CUresult desc_check(const CUmemAccessDesc *desc)
{
    CUmemLocation location = desc->location;

    if (desc->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
        desc->flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
        desc->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
        return CUDA_ERROR_INVALID_VALUE;
    if (location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA)
        location.id = 0; /* ignored here */
    return location_check(&location);
}

/* "Users cannot specify CU_MEM_LOCATION_TYPE_HOST_NUMA accessibility for allocations created on
 * with other location types." */
static bool may_grant_locked(uint64_t address, size_t size, const CUmemAccessDesc *desc)
{
    for (uint64_t at = address; host_location(&desc->location) && at < address + size;) {
        const struct range *range = range_find_locked(at);

        if (!mapping_is_host(range->mapping))
            return false;
        at = range_end(range);
    }
    return true;
}

static void grant_locked(struct range *range, const CUmemAccessDesc *desc)
{
    struct mapping *mapping = range->mapping;
    unsigned flags = desc->flags;

    if (!host_location(&desc->location)) {
        mapping->access[desc->location.id] = (unsigned char)flags;
        return;
    }
    mapping->host_access = (unsigned char)flags;
    show_locked((char *)(uintptr_t)range->node.base, flags ? mapping->physical : NULL,
                range->node.size,
                !flags                                   ? PROT_NONE
                : flags == CU_MEM_ACCESS_FLAGS_PROT_READ ? PROT_READ
                                                         : PROT_READ | PROT_WRITE);
}

CUresult sim_mem_set_access(CUdeviceptr address, size_t size, const CUmemAccessDesc *descs,
                            size_t count)
{
    CUresult result = CUDA_SUCCESS;

    if (!descs || !count)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = desc_check(&descs[i]);
    if (result != CUDA_SUCCESS)
        return result;
    sim_enter();
    if (!whole_locked(address, size))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        if (!may_grant_locked(address, size, &descs[i]))
            result = CUDA_ERROR_INVALID_VALUE;
    for (uint64_t at = address; result == CUDA_SUCCESS && at < address + size;) {
        struct range *range = range_find_locked(at);

        for (size_t i = 0; i < count; i++)
            grant_locked(range, &descs[i]);
        at = range_end(range);
    }
    sim_leave();
    return result;
}

CUresult sim_mem_get_access(unsigned long long *flags, const CUmemLocation *location,
                            CUdeviceptr address)
{
    const struct range *range;
    CUresult result;

    if (!flags || !location)
        return CUDA_ERROR_INVALID_VALUE;
    result = location_check(location);
    if (result != CUDA_SUCCESS)
        return result;
    sim_enter();
    range = range_find_locked(address);
    if (!range || range->kind != RANGE_MAPPED)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        *flags = host_location(location) ? range->mapping->host_access
                                         : range->mapping->access[location->id];
    sim_leave();
    return result;
}
