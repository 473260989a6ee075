/* driver.h: finds the real driver; nothing else knows how. */
#ifndef HYBRIDMEM_DRIVER_H
#define HYBRIDMEM_DRIVER_H

#include <stdbool.h>

/* The soname that NVIDIA's driver library has on Linux. */
#define DRIVER_SONAME "libcuda.so.1"

/* Fills `driver` and hooks[].present, once. With `load`, a driver that is not in the process yet is
 * opened (a host reached one of our exports by direct link); without it, only a driver that the
 * host has loaded counts. False while there is none. Thread-safe. */
bool driver_open(bool load);

/* In a forked child: a lock that another thread of the parent held is nobody's now. */
void driver_after_fork(void);

#endif
