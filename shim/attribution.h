/* attribution.h: which model, and which of its tensors, a host uploads: from the file mapping that
 * the source lies in.
 *
 * Only the file's header is read, once, from the mapping, by the thread that first uploads from it.
 * All of this is a hint: a loader that reads its files, maps them without their beginning, or
 * copies through a staging buffer, leaves nothing to see, and a wrong hint costs speed, never
 * correctness. Thread-safe.
 */
#ifndef HYBRIDMEM_ATTRIBUTION_H
#define HYBRIDMEM_ATTRIBUTION_H

#include "policy/model.h"
#include "shim/device.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTRIBUTION_PATH_MAX   1024
#define ATTRIBUTION_TENSOR_MAX 256

/* Where a thread's load stands. All zero: nowhere. */
struct attribution {
    uint32_t model;  /* 0: no model is known */
    uint32_t tensor; /* the last one uploaded, in the order of the file; UINT32_MAX: before them */
};

/* What an allocation is probably for. */
struct attribution_guess {
    char file[ATTRIBUTION_PATH_MAX];
    char architecture[GGUF_WORD_MAX];    /* "" where the file says none */
    enum model_type type;                /* as the option model_type says, if not auto */
    uint64_t estimate;                   /* of the whole model (policy/plan.h) */
    char tensor[ATTRIBUTION_TENSOR_MAX]; /* "" where none fits */
    bool is_new;                         /* that tensor was never uploaded */
};

/* An upload of `bytes` from the host's `src`, into VRAM or redirected memory of `device`. *at
 * becomes where the load stands; a source that tells nothing leaves it alone. */
enum attribution_news {
    ATTRIBUTION_NOTHING,
    ATTRIBUTION_LOADING,  /* of a tensor that was never uploaded before */
    ATTRIBUTION_COMPLETE, /* all of the model has come: the load is nowhere now */
};
enum attribution_news attribution_upload(struct attribution *at, const struct device *device,
                                         uint64_t src, uint64_t bytes, bool to_host);

/* Nothing was uploaded yet, and `bytes` are allocated: if a model is mapped that has a tensor of
 * that size, and of which nothing has come so far, *at becomes the place before that tensor. */
void attribution_expect(struct attribution *at, uint64_t bytes);

/* False if nothing is known of the next allocation: no model is being loaded. */
bool attribution_guess(const struct attribution *at, uint64_t bytes,
                       struct attribution_guess *guess);

/* The load seems to be over: the plan line, if there is news; *at becomes nowhere. */
void attribution_end(struct attribution *at);

/* For the statistics: the i-th model, from 0; false after the last. */
struct attribution_model {
    char file[ATTRIBUTION_PATH_MAX];
    char architecture[GGUF_WORD_MAX];
    enum model_type type;
    uint64_t tensor_bytes;
    uint64_t device_bytes; /* of the tensors, as last uploaded */
    uint64_t host_bytes;
};
bool attribution_model(unsigned i, struct attribution_model *model);

/* Plan lines that were not said yet. */
void attribution_at_exit(void);

/* A forked child. */
void attribution_after_fork(void);

#endif
