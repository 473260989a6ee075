/* hybridmem_json.c: the plan as JSON. Sizes are bytes; keys are documented in the README.
 */
#include "scripts/hybridmem_plan.h"
#include "scripts/hybridmem_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- what is given -------------------------------------------------------------------------------
 */

static void print_limit(const char *key, uint64_t bytes, const char *end)
{
    if (bytes == POL_NONE)
        printf("\"%s\": null%s", key, end);
    else
        printf("\"%s\": %" PRIu64 "%s", key, bytes, end);
}

static void print_given(const struct plan *plan)
{
    static const char *const pcie_from[] = {"assumed", "measured", "option"};
    const struct pol_settings *s = &plan->settings;

    printf("  \"version\": \"" HYBRIDMEM_VERSION "\",\n");
    printf("  \"vram\": {\"total\": %" PRIu64 ", \"free\": %" PRIu64 ", \"budget\": %" PRIu64
           "},\n",
           plan->view.vram_total, plan->view.vram_free, plan->limits.gpu_budget);
    printf("  \"ram\": {\"total\": %" PRIu64 ", \"available\": %" PRIu64 ", \"pad\": %" PRIu64
           ", \"budget\": %" PRIu64 "},\n",
           plan->view.ram_total, plan->view.ram_available,
           pol_ram_pad(plan->view.ram_total, s->system_ram_pad), plan->limits.sys_avail);
    printf("  \"options\": {\"conservative_factor\": %.9f, \"overhead_percent\": %.9f, ",
           (double)s->conservative_factor / (double)POL_ONE,
           (double)s->overhead_percent / (double)POL_ONE);
    print_limit("vram_limit", s->vram_limit, ", ");
    print_limit("host_limit", s->host_limit, ", ");
    printf("\"min_redirect\": %" PRIu64 ", \"placement\": \"%s\"},\n", s->min_redirect,
           pol_placement_name(s->placement));
    printf("  \"pcie\": {\"bytes_per_second\": %" PRIu64 ", \"from\": \"%s\"},\n", plan->pcie,
           pcie_from[plan->pcie_from]);
}

/* --- what was found ------------------------------------------------------------------------------
 */

static const char *origin_text(enum model_origin origin)
{
    return origin == MODEL_FROM_METADATA ? "metadata"
           : origin == MODEL_FROM_NAMES  ? "tensor names"
                                         : NULL;
}

static void print_model(const struct plan_row *row)
{
    const struct model *m = &row->model;

    print_text("file", row->path);
    printf(", \"files\": %u, ", m->parts);
    print_text("format", m->format == MODEL_GGUF ? "gguf" : "safetensors");
    printf(", \"format_version\": ");
    if (m->format == MODEL_GGUF)
        printf("%u", m->version);
    else
        printf("null");
    printf(",\n     ");
    print_text("type", model_type_name(row->type));
    printf(", ");
    print_text("type_from", origin_text(row->origin));
    printf(", ");
    print_text("architecture", *m->architecture ? m->architecture : NULL);
    printf(",\n     ");
}

static void print_fit(const struct plan_fit *fit)
{
    const char *option = plan_knob_option(fit->knob);

    printf("{\"strategy\": \"%s\", ", pol_strategy_name(fit->strategy));
    if (option)
        print_text("option", option);
    else
        print_text("memory", fit->knob == POL_FIT_VRAM ? "vram" : "ram");
    printf(", \"value\": ");
    switch (fit->knob) {
    case POL_FIT_FACTOR:
    case POL_FIT_OVERHEAD:
        printf("%.9f}", (double)fit->value / (double)POL_ONE);
        break;
    case POL_FIT_PAD: /* whole eighths */
        printf("%.3f}", (double)fit->value / (double)POL_GIB);
        break;
    case POL_FIT_HOST_LIMIT:
    case POL_FIT_VRAM_LIMIT:
    case POL_FIT_VRAM:
    case POL_FIT_RAM:
    case POL_FIT_KNOBS:
        printf("%" PRIu64 "}", fit->value);
        break;
    }
}

static void print_row(const struct plan *plan, const struct plan_row *row)
{
    printf("{");
    if (row->path)
        print_model(row);
    printf("\"tensors\": %" PRIu64 ", \"tensor_bytes\": %" PRIu64 ", \"estimate\": %" PRIu64
           ",\n     ",
           row->model.tensors, row->model.tensor_bytes, row->estimate);
    printf("\"gpu_bytes\": %" PRIu64 ", \"host_bytes\": %" PRIu64 ", \"shortfall\": %" PRIu64
           ", \"strategy\": \"%s\",\n     ",
           row->plan.gpu_bytes, row->plan.host_bytes, row->plan.shortfall,
           pol_strategy_name(row->plan.strategy));
    printf("\"host_pass_seconds\": %.6f,\n     \"fits\": [", plan_pass_seconds(plan, row));
    for (size_t i = 0; i < row->fits; i++) {
        fputs(i ? ",\n              " : "", stdout);
        print_fit(&row->fit[i]);
    }
    printf("]}");
}

/* --- tensors -------------------------------------------------------------------------------------
 */

struct listing {
    const struct plan *plan;
    bool any;
};

static void print_tensor(void *arg, const struct plan_row *row, const struct hdr_tensor *tensor,
                         enum plan_place place)
{
    struct listing *listing = arg;

    fputs(listing->any ? ",\n    {" : "\n    {", stdout);
    listing->any = true;
    print_text("file", row->path);
    printf(", \"part\": %u, \"name\": ", row->model.parts + 1);
    print_string(tensor->name, tensor->name_len);
    printf(", \"type\": \"%s\", \"shape\": [", tensor->type);
    for (unsigned i = 0; i < tensor->dims; i++)
        printf("%s%" PRIu64, i ? ", " : "", tensor->shape[i]);
    printf("], \"bytes\": %" PRIu64 ", \"offset\": %" PRIu64 ", \"place\": \"%s\"}", tensor->bytes,
           tensor->offset, plan_place_name(place));
}

static int print_tensors(const struct plan *plan)
{
    struct listing listing = {plan, false};
    struct plan_placement p;
    int status;

    printf(",\n  \"order\": \"file\",\n  \"tensors\": [");
    status = plan_each_tensor(plan, &p, print_tensor, &listing);
    printf("\n  ],\n  \"placed\": {\"gpu_bytes\": %" PRIu64 ", \"host_bytes\": %" PRIu64
           ", \"nowhere_bytes\": %" PRIu64 "}",
           p.device_bytes, p.host_bytes, p.nowhere_bytes);
    return status;
}

int json_plan(const struct plan *plan)
{
    int status = 0;

    printf("{\n");
    print_given(plan);
    printf("  \"models\": [\n    ");
    for (size_t i = 0; i < plan->count; i++) {
        fputs(i ? ",\n    " : "", stdout);
        print_row(plan, &plan->row[i]);
    }
    printf("\n  ],\n  \"together\": ");
    print_row(plan, &plan->together);
    if (plan->tensors)
        status = print_tensors(plan);
    printf("\n}\n");
    return status;
}
