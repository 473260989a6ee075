/* hybridmem_plan.h: inside "hybridmem plan": what is asked, what was computed, and its parts.
 */
#ifndef HYBRIDMEM_SCRIPTS_HYBRIDMEM_PLAN_H
#define HYBRIDMEM_SCRIPTS_HYBRIDMEM_PLAN_H

#include "config/config.h"
#include "policy/fit.h"
#include "policy/model.h"
#include "policy/plan.h"
#include "policy/policy.h"

#define PLAN_FITS_MAX 16

/* A change of one setting, and the strategy that it leads to. */
struct plan_fit {
    enum pol_strategy strategy;
    enum pol_knob knob;
    uint64_t value; /* in the knob's unit */
};

/* One model, or all together. */
struct plan_row {
    const char *path; /* as it was given; NULL: all together */
    struct model model;
    enum model_type type;
    enum model_origin origin;
    uint64_t estimate;
    struct pol_plan plan;
    size_t fits;
    struct plan_fit fit[PLAN_FITS_MAX];
};

/* Where tensors would lie if each were one allocation, in the order of the files. */
struct plan_placement {
    uint64_t device_bytes, host_bytes, nowhere_bytes;
};

enum plan_pcie { PLAN_PCIE_ASSUMED, PLAN_PCIE_MEASURED, PLAN_PCIE_GIVEN };

struct plan {
    const struct config *config;
    struct pol_settings settings;
    struct pol_view view;
    struct pol_limits limits;
    uint64_t pcie; /* bytes per second */
    enum plan_pcie pcie_from;
    bool json, tensors;
    size_t count;
    struct plan_row *row;     /* `count` models */
    struct plan_row together; /* of more than one */
};

/* --- hybridmem_files.c: reading models -----------------------------------------------------------
 */

/* Reads a model, all parts of it, into *model. Says what is wrong on stderr; returns 0 or the exit
 * status. While `visit` runs, model->parts are the parts before the one that the tensor is in. */
int files_read(const char *path, struct model *model, hdr_visit_fn *visit, void *arg);

/* --- hybridmem_plan.c: the computation -----------------------------------------------------------
 */

enum plan_place { PLAN_GPU, PLAN_HOST, PLAN_NOWHERE };

const char *plan_place_name(enum plan_place place);

/* Shows each tensor of all models, in the order of the files. Returns 0 or the exit status. */
typedef void plan_tensor_fn(void *arg, const struct plan_row *row, const struct hdr_tensor *tensor,
                            enum plan_place place);
int plan_each_tensor(const struct plan *plan, struct plan_placement *placement,
                     plan_tensor_fn *show, void *arg);

/* Seconds that reading the row's host share once takes over PCIe. */
double plan_pass_seconds(const struct plan *plan, const struct plan_row *row);

/* The option that a knob is, or NULL: it is the machine's memory. */
const char *plan_knob_option(enum pol_knob knob);

/* --- hybridmem_report.c, hybridmem_json.c: what is printed ---------------------------------------
 * Return 0 or the exit status.
 */
int report_plan(const struct plan *plan);
int json_plan(const struct plan *plan);

#endif
