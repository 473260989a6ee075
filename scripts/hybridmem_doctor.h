/* hybridmem_doctor.h: inside "hybridmem doctor": what was tried, what was found, and its parts.
 */
#ifndef HYBRIDMEM_SCRIPTS_HYBRIDMEM_DOCTOR_H
#define HYBRIDMEM_SCRIPTS_HYBRIDMEM_DOCTOR_H

#include "config/config.h"
#include "scripts/command.h"
#include "scripts/hybridmem_probe.h"
#include "shim/ram.h"

#include <limits.h>

#define DOCTOR_FINDINGS_MAX 48
#define DOCTOR_LINE_MAX     1024

/* What the library wrote into its statistics file, of one device. */
struct doctor_device {
    bool is_target; /* the library has looked at its budget */
    uint64_t vram_total, vram_reserved, gpu_budget, host_peak, insufficient;
};

/* The same program three times: without the library (or with one that is switched off), with it,
 * and with it and no VRAM, so that everything overflows. */
enum doctor_way { DOCTOR_BARE, DOCTOR_WITH, DOCTOR_OVERFLOW, DOCTOR_WAYS };

struct doctor_try {
    bool started, ended; /* ended: by itself, with success */
    int wait_status;     /* as waitpid() gives it */
    bool answered;       /* `probe` is filled */
    struct probe probe;
    int gpus; /* that it came to an end with */
    struct probe_gpu gpu[PROBE_GPUS_MAX];
    bool has_stats;
    uint64_t host_share;
    struct doctor_device device[PROBE_GPUS_MAX];
    char said[DOCTOR_LINE_MAX]; /* the library's last warning or error, or the first line of stderr
                                 */
};

struct doctor_finding {
    bool wrong; /* otherwise a remark */
    char what[DOCTOR_LINE_MAX];
    char advice[DOCTOR_LINE_MAX];
};

struct doctor {
    bool json;
    struct cfg_result options;
    bool has_library;
    char library[PATH_MAX];
    struct doctor_try try[DOCTOR_WAYS];
    const char *bandwidth_file; /* where bandwidths were noted; NULL: nowhere */

    struct ram ram;        /* 0: not known */
    uint64_t locked_limit; /* RLIMIT_MEMLOCK, bytes; UINT64_MAX: none */
    bool shm_usable;
    char huge_pages[16]; /* "always", "madvise", "never"; empty: the kernel has none */

    size_t count;
    struct doctor_finding finding[DOCTOR_FINDINGS_MAX];
    int status; /* exit status */
};

/* --- hybridmem_doctor_try.c ----------------------------------------------------------------------
 * Runs this command again as a probe, in one of the ways. Never fails: what did not work stands in
 * *try. */
void doctor_try(struct doctor_try *try, enum doctor_way way, const char *library);

/* --- hybridmem_doctor_find.c ---------------------------------------------------------------------
 * What is wrong, from what was tried. */
void doctor_find(struct doctor *doctor);

/* Adds a finding; `status` is the exit status that it asks for, 0 makes it a remark. */
__attribute__((format(printf, 4, 5))) void doctor_add(struct doctor *doctor, int status,
                                                      const char *advice, const char *format, ...);

const char *doctor_door_name(enum probe_door door);

/* Did all that was allocated on the card overflow, and come back unchanged? */
bool doctor_overflows(const struct doctor *doctor, int gpu);

/* --- hybridmem_doctor_print.c ------------------------------------------------------------------
 */
void doctor_print(const struct doctor *doctor);
void doctor_print_json(const struct doctor *doctor);

#endif
