/* model.h: a model, in one file or several: what it is, and how many bytes its tensors have.
 */
#ifndef HYBRIDMEM_POLICY_MODEL_H
#define HYBRIDMEM_POLICY_MODEL_H

#include "policy/gguf.h"
#include "policy/header.h"

enum model_format { MODEL_GGUF, MODEL_SAFETENSORS };
enum model_type { MODEL_UNET, MODEL_CLIP, MODEL_VAE, MODEL_UNKNOWN };
enum model_origin { MODEL_FROM_NOTHING, MODEL_FROM_METADATA, MODEL_FROM_NAMES };

struct model {
    enum model_format format;
    unsigned version;                 /* of GGUF */
    char architecture[GGUF_WORD_MAX]; /* as the file says, or "" */
    char general_type[GGUF_WORD_MAX];
    unsigned parts; /* files that were read */
    uint64_t tensors;
    uint64_t tensor_bytes;
    uint64_t split_tensors;  /* as the parts say; 0: they do not */
    uint64_t named_bytes[3]; /* of tensors whose names tell a unet, clip, vae */
};

/* A file of a model in several: `number` counts from 1 to `count`. */
struct model_part {
    unsigned number, count;
};

/* The part that a file name tells by its end, -00002-of-00003.gguf; false if it tells none. */
bool model_part_of_name(const char *name, size_t len, struct model_part *part);

/* Reads a file and adds it to *model, which is all zero before the first part; parts come in
 * order. `visit` (may be NULL) sees each tensor of a file that is right. Not HDR_OK: *error says
 * why. Constant memory; no state; thread-safe. */
enum hdr_status model_read(struct model *model, const struct hdr_file *file,
                           const struct model_part *part, hdr_visit_fn *visit, void *arg,
                           struct txt *error);

/* What the model is. The names of its tensors count more than what its metadata says where they
 * tell most of its bytes, and wherever the metadata says nothing. */
enum model_type model_type(const struct model *model, enum model_origin *origin);

/* "gguf_unet", "gguf_clip", "gguf_vae", "unknown": the option model_type's values. */
const char *model_type_name(enum model_type type);

/* The type that one tensor's name tells. */
enum model_type model_type_of_tensor(const char *name, size_t len);

/* The type that general.architecture and general.type tell. */
enum model_type model_type_of_metadata(const char *architecture, const char *general_type);

#endif
