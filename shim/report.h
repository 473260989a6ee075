/* report.h: how much memory a device is said to have (option `report`).
 */
#ifndef HYBRIDMEM_REPORT_H
#define HYBRIDMEM_REPORT_H

#include "shim/device.h"

/* The total that a target device is said to have, where the driver or NVML says `total`. */
uint64_t report_total(struct device *device, uint64_t total);

/* What is said to be free of it, where they say `free_bytes`. With report=hybrid, free and the
 * host's own bytes together never exceed report_total(). */
uint64_t report_free(struct device *device, uint64_t free_bytes, uint64_t total);

#endif
