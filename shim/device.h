/* device.h: what we know of each GPU: its budget, polled now and then, and what we hold on it.
 */
#ifndef HYBRIDMEM_DEVICE_H
#define HYBRIDMEM_DEVICE_H

#include "policy/policy.h"
#include "shim/cuda_abi.h"
#include "shim/ledger.h"

#include <pthread.h>
#include <stdbool.h>

#define DEVICES_MAX 64

struct device {
    int ordinal; /* as the process counts, after CUDA_VISIBLE_DEVICES */
    CUdevice handle;
    bool has_uuid;
    CUuuid uuid;
    bool target;                 /* target_gpu names it */
    _Atomic bool stream_ordered; /* has an allocation been made in stream order? */
    CUcontext primary;           /* as cuDevicePrimaryCtxRetain last gave it; NULL if never */
    pthread_mutex_t ending;      /* held while it is released or reset */

    _Atomic uint64_t small_below; /* smaller requests need no verdict: VRAM, if the driver has it */

    struct ledger vram;    /* live bytes that the driver gave in this device's contexts */
    struct ledger managed; /* cuMemAllocManaged: counted, not budgeted */

    _Atomic uint64_t lent_bytes; /* VRAM that redirected memory has on loan (backing_loan.c) */

    pthread_mutex_t lock; /* guards what follows */
    struct pol_settings settings;
    struct pol_limits limits;
    bool polled;
    int64_t polled_ms;

    /* Statistics. */
    _Atomic uint64_t host_bytes;
    _Atomic uint64_t host_bytes_peak;
    _Atomic uint64_t lent_bytes_peak;
    _Atomic uint64_t recalled_bytes; /* that had to move to host memory */
    _Atomic uint64_t redirected_allocations;
    _Atomic uint64_t redirected_bytes;
    _Atomic uint64_t insufficient; /* requests that should have overflowed and could not */
    _Atomic uint64_t refused;      /* requests that ended in an out-of-memory */
    _Atomic bool told_of_no_room;  /* the first of the insufficient was warned of */
};

/* The device of an ordinal, set up at first use; NULL if there is no such device. Thread-safe. */
struct device *device_get(int ordinal);

/* The device if anything is known of it; NULL otherwise. Calls no driver function. */
struct device *device_known(int ordinal);

/* 16 bytes; NULL where the driver does not tell. */
const unsigned char *device_uuid(const struct device *device);

/* The limits that hold now. Asks driver and system if the last poll is older than stats_ttl_ms, or
 * if `fresh`. With the device's lock held. */
const struct pol_limits *device_limits(struct device *device, bool fresh);

/* Reports: the VRAM that the host is told of, vram_limit applied. */
uint64_t device_capped_total(const struct device *device, uint64_t total);

/* RAM left for overflow: sys_avail as of now, before what is redirected already is subtracted. */
uint64_t device_sys_avail(void);

/* The host share that reports add to each device: sys_avail as first seen, constant afterwards. */
uint64_t device_host_share(void);

/* A forked child. */
void device_forget(void);

#endif
