/* resolve.h: one look-up for every way in which a host asks for a driver function by name: dlsym
 * and dlvsym (both glibc versions, see resolve_*.S) and cuGetProcAddress(_v2).
 */
#ifndef HYBRIDMEM_RESOLVE_H
#define HYBRIDMEM_RESOLVE_H

#include <stdint.h>

/* The C library's own dlsym, which has no idea that we are there. */
void *resolve_real_dlsym(void *handle, const char *name);
void *resolve_real_dlvsym(void *handle, const char *name, const char *version);

/* What cuGetProcAddress should answer in place of `found`, which the driver answered for `base` at
 * `version` with `flags`: our hook, or `found` itself where we have none. */
void *resolve_proc(const char *base, void *found, int version, uint64_t flags);

#endif
