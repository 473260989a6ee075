/* rules.h: what the user wants of particular allocations: the first rule that matches decides.
 *
 * A rule matches when every condition it has holds; a condition on what is not known of an
 * allocation does not. All of it is plain data without pointers, so that it can be copied.
 */
#ifndef HYBRIDMEM_POLICY_RULES_H
#define HYBRIDMEM_POLICY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POL_RULES_MAX      32
#define POL_RULES_TEXT_MAX 8192 /* bytes of all patterns together */
#define POL_RULE_GPUS_MAX  4

/* What a rule says of an allocation. */
enum pol_place {
    POL_PLACE_AUTO,   /* nothing: class and budget decide */
    POL_PLACE_DEVICE, /* VRAM until the driver refuses, whatever the budget says */
    POL_PLACE_HOST,   /* host memory while there is room, at any size */
    POL_PLACE_SKIP,   /* the driver alone: never redirected, not even after an out-of-memory */
};

enum pol_allocator {
    POL_ALLOCATOR_MALLOC, /* cuMemAlloc, cuMemAllocPitch */
    POL_ALLOCATOR_ASYNC,  /* stream-ordered, pools */
    POL_ALLOCATOR_VMM,    /* cuMemCreate */
};

/* A device, by number or by UUID. */
struct pol_gpu {
    bool is_uuid;
    int ordinal;
    unsigned char uuid[16]; /* GPU-xxxxxxxx-xxxx-... as bytes; `uuid_len` of them are compared */
    size_t uuid_len;        /* a UUID may be cut short, as in CUDA_VISIBLE_DEVICES */
};

/* `uuid` is NULL where it is not known. */
bool pol_gpu_is(const struct pol_gpu *gpu, int ordinal, const unsigned char *uuid);

/* The texts that a rule may ask for; each condition is one or more patterns. */
enum pol_rule_text {
    POL_RULE_MODEL_TYPE,   /* gguf_unet, gguf_clip, gguf_vae */
    POL_RULE_ARCHITECTURE, /* general.architecture */
    POL_RULE_STRATEGY,     /* of the model: gpu_only, gguf_hybrid, gguf_insufficient */
    POL_RULE_FILE,         /* a pattern without '/' is compared with what follows the last one */
    POL_RULE_TENSOR,
    POL_RULE_PROCESS, /* the program's name */
    POL_RULE_TEXTS
};

struct pol_rule {
    /* Of the first pattern in pol_rules.text, 0: no condition. Each pattern ends with a NUL, the
     * last one with two. */
    uint16_t text[POL_RULE_TEXTS];
    uint64_t min_size, max_size; /* inclusive */
    uint8_t allocators;          /* bit 1 << enum pol_allocator; 0: no condition */
    uint8_t gpus;                /* 0: no condition */
    struct pol_gpu gpu[POL_RULE_GPUS_MAX];
    enum pol_place place;
};

struct pol_rules {
    uint32_t count;
    uint32_t text_len; /* of text; its first byte is in no pattern */
    struct pol_rule rule[POL_RULES_MAX];
    char text[POL_RULES_TEXT_MAX];
};

/* What is known of an allocation; NULL where it is not. */
struct pol_subject {
    const char *text[POL_RULE_TEXTS];
    uint64_t bytes;
    enum pol_allocator allocator;
    int device;                /* ordinal */
    const unsigned char *uuid; /* 16 bytes */
};

/* The place that the first matching rule gives, POL_PLACE_AUTO if none does. *which (may be NULL)
 * is its number from 1 on, 0 for none. No state; thread-safe. */
enum pol_place pol_rules_place(const struct pol_rules *rules, const struct pol_subject *subject,
                               unsigned *which);

/* The same where the option skip_clip is the last rule: a text encoder is the driver's alone. */
enum pol_place pol_place_of(const struct pol_rules *rules, bool skip_clip,
                            const struct pol_subject *subject, unsigned *which);

/* Does `text` match a pattern, in which '*' stands for any characters and '?' for one? */
bool pol_glob(const char *pattern, const char *text);

#endif
