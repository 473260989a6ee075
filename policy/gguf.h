/* gguf.h: the header of a GGUF file: what it says of itself, and its tensors.
 *
 * Versions 2 and 3, little-endian. Checked as strictly as ggml's own reader does (gguf.cpp), so
 * that a sum of bytes means what a program will load; only the number of dimensions may be larger,
 * as the Python package writes it.
 */
#ifndef HYBRIDMEM_POLICY_GGUF_H
#define HYBRIDMEM_POLICY_GGUF_H

#include "policy/header.h"

#define GGUF_WORD_MAX   64                  /* of an architecture's name, with the closing NUL */
#define GGUF_HEADER_MAX (UINT64_C(1) << 30) /* real ones stay below 32 MiB */
#define GGUF_ALIGN_MAX  (UINT32_C(1) << 20)

struct gguf_info {
    uint32_t version;
    uint64_t tensors;
    uint64_t pairs; /* of metadata */
    uint32_t alignment;
    char architecture[GGUF_WORD_MAX]; /* general.architecture, or "" */
    char type[GGUF_WORD_MAX];         /* general.type, or "" */
    /* Of a model in several files: split.no counts from 0. 0, 0, 0 where the file does not say. */
    uint64_t split_no, split_count, split_tensors;
    uint64_t data_at;      /* where the tensors' bytes begin */
    uint64_t tensor_bytes; /* sum over all tensors, without padding */
};

/* Reads the header of `file`. `visit` (may be NULL) sees each tensor, after the whole header was
 * found right. Not HDR_OK: *error says why, *info holds what was read till then. */
enum hdr_status gguf_read(const struct hdr_file *file, struct gguf_info *info, hdr_visit_fn *visit,
                          void *arg, struct txt *error);

#endif
