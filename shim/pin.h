/* pin.h: pages that the driver pins, for the device to use at the host's own address.
 */
#ifndef HYBRIDMEM_PIN_H
#define HYBRIDMEM_PIN_H

#include "shim/context.h"
#include "shim/cuda_abi.h"

#include <stdbool.h>
#include <stdint.h>

/* Beside a capture, pinning and waiting are refused and spoil the capture, because a graph would
 * not repeat them. Ours need not be repeated; a thread may say so
 * (cuThreadExchangeStreamCaptureMode). Afterwards it is as it was: pin_forbid() takes what
 * pin_permit() gave. */
struct pin_permit {
    bool given;
    CUstreamCaptureMode before;
};
struct pin_permit pin_permit(void);
void pin_forbid(struct pin_permit permit);

/* How the context's memory is to be pinned: as the user wishes, or as the device can use it. */
enum host_kind pin_kind(const struct context *context);

/* Pins pages in the way *kind, or with `may_change` in another, which *kind then says; the context
 * is current. NULL, and nothing changed, if the driver will not. The address is a multiple of
 * ARENA_UNIT. */
void *pin_pages(uint64_t bytes, enum host_kind *kind, bool may_change);

/* Gives them back; false, and nothing changed, if the driver will not. */
bool pin_release(void *memory, uint64_t bytes, enum host_kind kind);

/* Their context is gone, and they with it. */
void pin_drop(void *memory, uint64_t bytes, enum host_kind kind);

#endif
