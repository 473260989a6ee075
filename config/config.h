/* config.h: the options, where their values came from, and how they are read.
 *
 * Order: built-in default < policy file (HYBRIDMEM_POLICY) < environment. A bad value, an unknown
 * key or an unreadable file gives one diagnostic each and leaves the value as it was.
 */
#ifndef HYBRIDMEM_CONFIG_H
#define HYBRIDMEM_CONFIG_H

#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CFG_UNSET    UINT64_MAX           /* "none" or "auto" of a SIZE or DECIMAL option */
#define CFG_ONE      UINT64_C(1000000000) /* DECIMAL values are whole billionths */
#define CFG_TEXT_MAX 4096                 /* bytes, with the closing NUL */
#define CFG_GPUS_MAX 64

enum cfg_model_type {
    CFG_MODEL_TYPE_AUTO,
    CFG_MODEL_TYPE_UNET,
    CFG_MODEL_TYPE_CLIP,
    CFG_MODEL_TYPE_VAE,
};
enum cfg_placement { CFG_PLACEMENT_ADAPTIVE, CFG_PLACEMENT_STRICT, CFG_PLACEMENT_DEVICE_FIRST };
enum cfg_report { CFG_REPORT_HYBRID, CFG_REPORT_DEVICE };
enum cfg_reclaim { CFG_RECLAIM_AUTO, CFG_RECLAIM_OFF };
enum cfg_backing {
    CFG_BACKING_AUTO,
    CFG_BACKING_REGISTERED,
    CFG_BACKING_PINNED,
    CFG_BACKING_VMM,
};
enum cfg_hugepages { CFG_HUGEPAGES_AUTO, CFG_HUGEPAGES_OFF };
enum cfg_log { CFG_LOG_SILENT, CFG_LOG_ERROR, CFG_LOG_WARN, CFG_LOG_INFO, CFG_LOG_DEBUG };

/* SIZE: bytes, or a share of a total that the reader knows (cfg_size_bytes). */
struct cfg_size {
    uint64_t value; /* bytes, billionths of a percent, or CFG_UNSET */
    bool is_percent;
};

/* GPUS: all devices, or those named. */
struct cfg_gpus {
    bool all;
    size_t count;
    struct pol_gpu gpu[CFG_GPUS_MAX];
};

/* The C type of each kind. */
typedef bool cfg_bool_t;
typedef uint64_t cfg_decimal_t;
typedef uint64_t cfg_uint_t;
typedef struct cfg_size cfg_size_t;
typedef int cfg_choice_t;
typedef struct cfg_gpus cfg_gpus_t;
typedef char cfg_text_t[CFG_TEXT_MAX];
typedef struct pol_rules cfg_rules_t;

#define CFG_TYPE_BOOL    cfg_bool_t
#define CFG_TYPE_DECIMAL cfg_decimal_t
#define CFG_TYPE_UINT    cfg_uint_t
#define CFG_TYPE_SIZE    cfg_size_t
#define CFG_TYPE_CHOICE  cfg_choice_t
#define CFG_TYPE_GPUS    cfg_gpus_t
#define CFG_TYPE_TEXT    cfg_text_t
#define CFG_TYPE_RULES   cfg_rules_t

struct config {
#define OPTION(key, env, kind, ...) CFG_TYPE_##kind key;
#define ALIAS(...)
#include "config/options.def"
#undef OPTION
#undef ALIAS
};

enum cfg_option {
#define OPTION(key, ...) CFG_OPTION_##key,
#define ALIAS(...)
#include "config/options.def"
#undef OPTION
#undef ALIAS
    CFG_OPTIONS
};

enum cfg_origin { CFG_FROM_DEFAULT, CFG_FROM_FILE, CFG_FROM_ENVIRONMENT };
enum cfg_severity { CFG_WARNING, CFG_ERROR };

/* One diagnostic: a whole line without newline, e.g.
 * "HYBRIDMEM_LOG: found \"loud\", allowed: silent error warn info debug; kept warn". */
typedef void cfg_report_fn(void *arg, enum cfg_severity severity, const char *line);

struct cfg_result {
    struct config config;
    enum cfg_origin origin[CFG_OPTIONS];
    unsigned errors;
    unsigned warnings;
};

/* Fills *result from the defaults, the policy file (NULL: the one that HYBRIDMEM_POLICY names, if
 * any) and the environment `env` (as environ). Allocates only while it reads a policy file; not
 * thread-safe against setenv. Never fails: what cannot be read stays at its default, and is
 * reported and counted. */
void cfg_load(struct cfg_result *result, const char *policy_file, char **env, cfg_report_fn *report,
              void *arg);

/* The options as the policy takes them; the totals, in bytes, are what percentages refer to. */
struct pol_settings cfg_settings(const struct config *config, uint64_t vram_total,
                                 uint64_t ram_total);

/* Bytes of a SIZE whose percent refers to `total`; CFG_UNSET stays CFG_UNSET. */
uint64_t cfg_size_bytes(const struct cfg_size *size, uint64_t total);

/* The value of an option as a person would write it, into buf; returns buf. */
const char *cfg_format(const struct config *config, enum cfg_option option, char *buf, size_t len);

#endif
