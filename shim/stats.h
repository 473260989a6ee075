/* stats.h: what went where, for people and for programs.
 *
 * stats_file, JSON, bytes throughout:
 *   {"version": "0.1.0", "pid": 4711, "host_share": ..., "host_pinned": ...,
 *    "host_pinned_peak": ...,
 *    "devices": [{"ordinal": 0, "device_bytes": ..., "device_bytes_peak": ..., "host_bytes": ...,
 *      "host_bytes_peak": ..., "managed_bytes": ..., "redirected_allocations": ...,
 *      "redirected_bytes": ..., "insufficient": ..., "refused": ...}],
 *    "models": [{"file": "/models/unet.gguf", "architecture": "flux", "model_type": "gguf_unet",
 *      "tensor_bytes": ..., "device_bytes": ..., "host_bytes": ...}]}
 * A model's device_bytes and host_bytes say where its tensors lay when they were last uploaded; it
 * is known only where the host uploads from a mapping of its file (attribution.h).
 */
#ifndef HYBRIDMEM_STATS_H
#define HYBRIDMEM_STATS_H

#include <stdbool.h>

/* What the options `summary` and `stats_file` ask for. */
void stats_at_exit(void);

/* Has any device been used in this process? */
bool stats_any_device(void);

#endif
