/* vmm.h: virtual memory management: reserved addresses, physical memory, and mappings of one to
 * the other. */
#ifndef HYBRIDMEM_SIM_VMM_H
#define HYBRIDMEM_SIM_VMM_H

#include "memory.h"

#define VMM_GRANULARITY ((size_t)2 << 20)

/* A place in a process's physical memory (physical.c): one file, so that the same memory can lie
 * at several addresses. */
struct physical {
    void *handle;
    struct physical *next, **link;
    CUmemAllocationProp prop;
    struct device *device; /* NULL: host memory */
    size_t size;
    uint64_t place;                /* in the file */
    unsigned references, mappings; /* it goes when both are 0 */
};
struct physical *physical_get(CUmemGenericAllocationHandle handle); /* NULL: none, or released */
size_t physical_granularity(const CUmemLocation *location);         /* 0: no such memory */
int physical_file_locked(void);
void physical_drop_locked(struct physical *physical); /* if nothing refers to it any more */
/* A line for each that lives, as report_leaks_locked counts them. */
void vmm_leaks_locked(unsigned *blocks, unsigned long long *bytes, unsigned lines);

/* Is this a place that the driver of this version knows, on this machine? */
CUresult location_check(const CUmemLocation *location);

bool vmm_is_reserved(uint64_t address); /* in the window of such addresses, live or not */
/* The reservation that holds the address. */
bool vmm_range_locked(uint64_t address, uint64_t *base, uint64_t *size);
bool mapping_admits(const struct mapping *mapping, int device, bool write);
bool mapping_admits_host(const struct mapping *mapping);
bool mapping_is_host(const struct mapping *mapping);
bool mapping_adjoins(const struct mapping *one, const struct mapping *other);
unsigned mapping_handle_types(const struct mapping *mapping);

#endif
