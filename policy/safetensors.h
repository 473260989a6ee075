/* safetensors.h: the header of a safetensors file: its tensors.
 *
 * Checked as strictly as the format's reference implementation does (safetensors/src/tensor.rs):
 * the tensors cover the data without holes and overlaps. Two tensors of one name are not noticed:
 * that would take memory for all names.
 */
#ifndef HYBRIDMEM_POLICY_SAFETENSORS_H
#define HYBRIDMEM_POLICY_SAFETENSORS_H

#include "policy/header.h"

#define SAFETENSORS_HEADER_MAX UINT64_C(100000000) /* the reference's limit */

struct safetensors_info {
    uint64_t tensors;
    uint64_t data_at; /* where the tensors' bytes begin */
    uint64_t tensor_bytes;
};

/* As gguf_read. Names come decoded from JSON, in UTF-8; shapes have the slowest dimension first. */
enum hdr_status safetensors_read(const struct hdr_file *file, struct safetensors_info *info,
                                 hdr_visit_fn *visit, void *arg, struct txt *error);

#endif
