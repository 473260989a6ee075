/* physical.c: physical memory of cuMemCreate: how much there is, whose it is, and handles to it.
 *
 * It is a file without a name, of which mappings take parts (MAP_SHARED): what is mapped twice
 * shows the same bytes. A handle is exported as a descriptor that this process can import again;
 * no other process can, as each has cards of its own.
 */
#include "impl.h"
#include "vmm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)4 << 40) /* sparse */
#define HOST_SINCE 13000             /* CU_MEM_LOCATION_TYPE_HOST */
#define NUMA_SINCE 12020             /* CU_MEM_LOCATION_TYPE_HOST_NUMA */

static struct physical *physicals;
static struct space places;
static int file = -1;

CUresult location_check(const CUmemLocation *location)
{
    switch (location->type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return device_get(location->id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST: /* the id is ignored */
        return sim_driver_version >= HOST_SINCE ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_MEM_LOCATION_TYPE_HOST_NUMA: /* one node here */
        return sim_driver_version >= NUMA_SINCE && !location->id ? CUDA_SUCCESS
                                                                 : CUDA_ERROR_INVALID_VALUE;
    default: /* HOST_NUMA_CURRENT: where the documentation names it, as an error */
        return CUDA_ERROR_INVALID_VALUE;
    }
}

int physical_file_locked(void)
{
    if (file >= 0)
        return file;
    file = memfd_create("simcuda", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, FILE_BYTES))
        sim_refuse("cannot create a file for physical memory");
    places.base = places.top = VMM_GRANULARITY; /* 0 means none */
    places.bytes = FILE_BYTES - VMM_GRANULARITY;
    return file;
}

struct physical *physical_get(CUmemGenericAllocationHandle handle)
{
    struct physical *physical = handle_object((void *)(uintptr_t)handle, HANDLE_PHYSICAL);

    return physical && physical->references ? physical : NULL;
}

static CUmemGenericAllocationHandle handle_of(const struct physical *physical)
{
    return (uintptr_t)physical->handle;
}

size_t physical_granularity(const CUmemLocation *location)
{
    return location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA ? sim_settings.host_numa
                                                            : VMM_GRANULARITY;
}

static CUresult prop_check(const CUmemAllocationProp *prop)
{
    CUresult result;

    if (!prop || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED || prop->win32HandleMetaData)
        return CUDA_ERROR_INVALID_VALUE;
    result = location_check(&prop->location);
    if (result != CUDA_SUCCESS)
        return result;
    if (!physical_granularity(&prop->location))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (prop->location.type == CU_MEM_LOCATION_TYPE_HOST && prop->requestedHandleTypes)
        return CUDA_ERROR_INVALID_VALUE;
    return prop->requestedHandleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
               ? CUDA_ERROR_NOT_SUPPORTED
               : CUDA_SUCCESS;
}

static CUresult create_locked(struct physical *physical)
{
    static const char poison[4096] = {[0 ... 4095] = (char)0xdb};
    int fd = physical_file_locked();

    physical->place = window_take_locked(&places, physical->size, VMM_GRANULARITY);
    if (!physical->place)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (pwrite(fd, poison, sizeof(poison), (off_t)physical->place) != sizeof(poison))
        sim_refuse("cannot write physical memory");
    physical->references = 1;
    physical->handle = handle_new_locked(HANDLE_PHYSICAL, physical);
    physical->next = physicals;
    physical->link = &physicals;
    if (physicals)
        physicals->link = &physical->next;
    physicals = physical;
    return CUDA_SUCCESS;
}

CUresult sim_mem_create(CUmemGenericAllocationHandle *out, size_t size,
                        const CUmemAllocationProp *prop, unsigned long long flags)
{
    struct physical *physical;
    CUresult result = prop_check(prop);

    if (!out || flags || !size)
        return CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    if (size % physical_granularity(&prop->location))
        return CUDA_ERROR_INVALID_VALUE;
    physical = calloc(1, sizeof(*physical));
    physical->prop = *prop;
    physical->prop.allocFlags.compressionType = 0; /* asked for, not had: no such memory here */
    physical->size = size;
    if (prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE)
        physical->device = device_get(prop->location.id);
    sim_enter();
    if (physical->device)
        result = device_take_locked(physical->device, size);
    if (result == CUDA_SUCCESS) {
        result = create_locked(physical);
        if (result != CUDA_SUCCESS && physical->device)
            device_give_locked(physical->device, size);
    }
    if (result == CUDA_SUCCESS) {
        *out = handle_of(physical);
        if (!physical->device && sim_settings.populate &&
            fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)physical->place, (off_t)size))
            sim_refuse("no RAM for %zu bytes of physical memory", size);
    }
    sim_leave();
    if (result != CUDA_SUCCESS)
        free(physical);
    return result;
}

/* "freed when all outstanding mappings to the memory are unmapped and when all outstanding
 * references to the handle ... are also released" */
void physical_drop_locked(struct physical *physical)
{
    if (physical->references || physical->mappings)
        return;
    if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)physical->place,
                  (off_t)physical->size))
        sim_refuse("cannot give back physical memory");
    window_give_locked(&places, physical->place, physical->size);
    if (physical->device)
        device_give_locked(physical->device, physical->size);
    handle_end(physical->handle);
    *physical->link = physical->next;
    if (physical->next)
        physical->next->link = physical->link;
    free(physical);
}

CUresult sim_mem_release(CUmemGenericAllocationHandle handle)
{
    struct physical *physical;

    sim_enter();
    physical = physical_get(handle);
    if (physical) {
        physical->references--;
        physical_drop_locked(physical);
    }
    sim_leave();
    return physical ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_mem_get_allocation_granularity(size_t *out, const CUmemAllocationProp *prop,
                                            CUmemAllocationGranularity_flags option)
{
    CUresult result = prop_check(prop);

    if (!out || (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM &&
                 option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        return CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *out = physical_granularity(&prop->location);
    return result;
}

CUresult sim_mem_get_allocation_properties(CUmemAllocationProp *out,
                                           CUmemGenericAllocationHandle handle)
{
    const struct physical *physical;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    physical = physical_get(handle);
    if (physical)
        *out = physical->prop;
    sim_leave();
    return physical ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- export and import ---------------------------------------------------------------------------
 */

struct ticket {
    char magic[8];
    pid_t process;
    CUmemGenericAllocationHandle handle;
};
static const char ticket_magic[8] = "simcuda";

CUresult sim_mem_export(void *out, CUmemGenericAllocationHandle handle,
                        CUmemAllocationHandleType type, unsigned long long flags)
{
    struct ticket ticket = {.process = getpid(), .handle = handle};
    bool known, may;
    int fd;

    memcpy(ticket.magic, ticket_magic, sizeof(ticket.magic));
    sim_enter();
    known = physical_get(handle);
    may = known && (physical_get(handle)->prop.requestedHandleTypes & (unsigned)type);
    sim_leave();
    if (!out || flags || !known || !may)
        return CUDA_ERROR_INVALID_VALUE;
    fd = memfd_create("simcuda-handle", MFD_CLOEXEC);
    if (fd < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (pwrite(fd, &ticket, sizeof(ticket), 0) != sizeof(ticket)) {
        close(fd);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *(int *)out = fd;
    return CUDA_SUCCESS;
}

CUresult sim_mem_import(CUmemGenericAllocationHandle *out, void *os_handle,
                        CUmemAllocationHandleType type)
{
    struct physical *physical;
    struct ticket ticket;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (pread((int)(intptr_t)os_handle, &ticket, sizeof(ticket), 0) != sizeof(ticket) ||
        memcmp(ticket.magic, ticket_magic, sizeof(ticket.magic)))
        return CUDA_ERROR_INVALID_VALUE;
    if (ticket.process != getpid())
        return CUDA_ERROR_NOT_SUPPORTED;
    sim_enter();
    physical = physical_get(ticket.handle);
    if (physical) {
        physical->references++;
        *out = handle_of(physical);
    }
    sim_leave();
    return physical ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void vmm_leaks_locked(unsigned *blocks, unsigned long long *bytes, unsigned lines)
{
    for (const struct physical *physical = physicals; physical; physical = physical->next) {
        *bytes += physical->size;
        if ((*blocks)++ >= lines)
            continue;
        if (physical->device)
            report_line("leak: x%u: %zu bytes on device %d, by cuMemCreate",
                        handle_slot(physical->handle)->serial, physical->size,
                        physical->device->ordinal);
        else
            report_line("leak: x%u: %zu bytes of host memory, by cuMemCreate",
                        handle_slot(physical->handle)->serial, physical->size);
    }
}
