/* policy.h: request + view of memory -> verdict + reason. Pure: no CUDA, no I/O, no clock, no
 * state.
 *
 * The shim polls memory now and then and digests what it saw with pol_limits(); each allocation
 * then costs one pol_decide(). The command-line tool calls the same functions, so that what it
 * predicts is what happens. All sizes are bytes.
 */
#ifndef HYBRIDMEM_POLICY_POLICY_H
#define HYBRIDMEM_POLICY_POLICY_H

#include "policy/budget.h"
#include "policy/classify.h"
#include "policy/rules.h"

#include <stdbool.h>
#include <stdint.h>

enum pol_placement {
    POL_PLACEMENT_ADAPTIVE,     /* weights obey the budget, working memory only the card */
    POL_PLACEMENT_STRICT,       /* everything obeys the budget */
    POL_PLACEMENT_DEVICE_FIRST, /* overflow only when the driver is out of memory */
};

/* The user's wishes. */
struct pol_settings {
    uint64_t conservative_factor; /* billionths */
    uint64_t overhead_percent;    /* billionths of a percent */
    uint64_t system_ram_pad;      /* bytes, or POL_AUTO */
    uint64_t vram_limit;          /* bytes, or POL_NONE */
    uint64_t host_limit;          /* bytes, or POL_NONE */
    uint64_t min_redirect;        /* bytes: the budget leaves smaller requests in VRAM */
    enum pol_placement placement;
};

/* What one poll of the driver and of the system saw. */
struct pol_view {
    uint64_t vram_total;    /* as the driver reports */
    uint64_t vram_free;     /* as the driver reports */
    uint64_t device_bytes;  /* our live bytes in VRAM at that moment */
    uint64_t ram_total;     /* of the machine or the container */
    uint64_t ram_available; /* as if we held nothing: what is available, plus what we hold */
};

/* The digest of a poll: how much may lie where until the next one. */
struct pol_limits {
    uint64_t vram_total; /* after vram_limit */
    uint64_t reserved;   /* held by others */
    uint64_t gpu_budget; /* our bytes in VRAM that obey the budget */
    uint64_t working;    /* our bytes in VRAM when working memory is asked for; >= gpu_budget */
    uint64_t vram_cap;   /* our bytes in VRAM at the very most: vram_limit, or POL_NONE */
    uint64_t sys_avail;  /* our bytes in RAM; host_limit applied */
};

struct pol_request {
    uint64_t bytes;
    enum pol_class class;  /* the prediction; of consequence under placement=adaptive alone */
    uint64_t working_peak; /* what working memory took at the most so far; 0: not seen yet */
    enum pol_place place;
    bool lendable; /* where the budget sends it to the host, it may have VRAM on loan meanwhile */
};

struct pol_usage {
    uint64_t device_bytes; /* our live bytes in VRAM, this device */
    uint64_t lent_bytes;   /* VRAM besides, that redirected memory has on loan there */
    uint64_t host_bytes;   /* our live redirected bytes, whole process */
};

enum pol_reason {
    POL_FITS,           /* within the budget */
    POL_CARD,           /* beyond it, and placement=adaptive lets it use the card */
    POL_SMALL,          /* below min_redirect: stays in VRAM */
    POL_DEVICE_FIRST,   /* placement=device_first: VRAM until the driver refuses */
    POL_OVER_BUDGET,    /* beyond gpu_budget: to the host */
    POL_OVER_CARD,      /* working memory that would fill the card to the brim: to the host */
    POL_OVER_LIMIT,     /* beyond vram_limit: to the host, at any size */
    POL_RULE,           /* a rule's place */
    POL_HOST_EXHAUSTED, /* should overflow, but sys_avail is used up: VRAM is tried, the driver
                           has the last word */
};

struct pol_verdict {
    bool host;           /* overflow at once; otherwise the device is tried first */
    bool host_if_failed; /* the device came first: may an out-of-memory overflow? */
    enum pol_reason reason;
    uint64_t lend;   /* host: so much VRAM may be lent for it, at least its size; 0: none */
    uint64_t recall; /* device: so much of what is lent must come back to make room for it */
};

struct pol_limits pol_limits(const struct pol_settings *settings, const struct pol_view *view);

/* Where a request goes. */
struct pol_verdict pol_decide(const struct pol_settings *settings, const struct pol_limits *limits,
                              const struct pol_usage *usage, const struct pol_request *request);

/* "adaptive", "strict", "device_first": the option placement's values. */
const char *pol_placement_name(enum pol_placement placement);

/* The reason in a few words that name the option to change; a static string. */
const char *pol_reason_text(enum pol_reason reason);

#endif
