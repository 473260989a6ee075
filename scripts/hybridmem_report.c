/* hybridmem_report.c: the plan for people; lines of at most 100 columns.
 */
#include "scripts/hybridmem_plan.h"
#include "scripts/hybridmem_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_WIDTH 26
#define MIB        (UINT64_C(1) << 20)

static struct text row_name(const struct plan_row *row)
{
    const char *slash = row->path ? strrchr(row->path, '/') : NULL;
    const char *name = slash && slash[1] ? slash + 1 : row->path;

    return row->path ? name_text(name, strlen(name), NAME_WIDTH) : name_text("together", 8, 8);
}

static struct text seconds_text(double seconds)
{
    struct text t;

    if (seconds < 1)
        snprintf(t.text, sizeof(t.text), seconds < 0.01 ? "%.1f ms" : "%.0f ms", seconds * 1000);
    else
        snprintf(t.text, sizeof(t.text), "%.2f s", seconds);
    return t;
}

/* --- the tables ----------------------------------------------------------------------------------
 */

static void print_budgets(const struct plan *plan)
{
    const struct pol_settings *s = &plan->settings;

    printf("VRAM %9s, %9s free       budget %9s  (factor %s, overhead %s %%)\n",
           size_text(plan->limits.vram_total).text,
           size_text(plan->limits.vram_total - plan->limits.reserved).text,
           size_text(plan->limits.gpu_budget).text, decimal_text(s->conservative_factor).text,
           decimal_text(s->overhead_percent).text);
    printf("RAM  %9s, %9s available  budget %9s  (%s stay free)\n",
           size_text(plan->view.ram_total).text, size_text(plan->view.ram_available).text,
           size_text(plan->limits.sys_avail).text,
           size_text(pol_ram_pad(plan->view.ram_total, s->system_ram_pad)).text);
}

static void print_row(const struct plan_row *row)
{
    printf("%-*s  %-9s  %9s  %9s  %9s  %9s  %s\n", NAME_WIDTH, row_name(row).text,
           row->path ? model_type_name(row->type) : "", size_text(row->model.tensor_bytes).text,
           size_text(row->estimate).text, size_text(row->plan.gpu_bytes).text,
           size_text(row->plan.host_bytes).text, pol_strategy_name(row->plan.strategy));
}

static void print_table(const struct plan *plan)
{
    printf("\n%-*s  %-9s  %9s  %9s  %9s  %9s  %s\n", NAME_WIDTH, "model", "type", "tensors",
           "estimate", "GPU", "host", "strategy");
    for (size_t i = 0; i < plan->count; i++)
        print_row(&plan->row[i]);
    if (plan->count > 1)
        print_row(&plan->together);
}

/* --- one model in words --------------------------------------------------------------------------
 */

static void print_what(const struct plan_row *row)
{
    const struct model *m = &row->model;

    if (!row->path) {
        printf("\ntogether: %" PRIu64 " tensors\n", m->tensors);
        return;
    }
    printf("\n%s: ", row_name(row).text);
    if (m->format == MODEL_GGUF)
        printf("GGUF v%u, architecture %s", m->version,
               *m->architecture ? name_text(m->architecture, strlen(m->architecture), 32).text
                                : "not given");
    else
        printf("safetensors");
    printf(", %" PRIu64 " tensor%s", m->tensors, m->tensors == 1 ? "" : "s");
    if (m->parts > 1)
        printf(" in %u files", m->parts);
    printf("%s\n", row->origin == MODEL_FROM_NAMES ? "; type by tensor names" : "");
}

static void print_value(const struct plan_fit *fit)
{
    const char *option = plan_knob_option(fit->knob);

    switch (fit->knob) {
    case POL_FIT_FACTOR:
    case POL_FIT_OVERHEAD:
        printf("%s=%s", option, decimal_text(fit->value).text);
        break;
    case POL_FIT_PAD: /* whole eighths: exact */
        printf("%s=%s", option,
               decimal_text((uint64_t)((unsigned __int128)fit->value * POL_ONE / POL_GIB)).text);
        break;
    case POL_FIT_HOST_LIMIT:
    case POL_FIT_VRAM_LIMIT:
        if (fit->value % MIB)
            printf("%s=%" PRIu64, option, fit->value);
        else
            printf("%s=%" PRIu64 "MiB", option, fit->value / MIB);
        break;
    case POL_FIT_VRAM:
    case POL_FIT_RAM:
        printf("%" PRIu64 " MiB of %s (%s)", (fit->value + MIB - 1) / MIB,
               fit->knob == POL_FIT_VRAM ? "VRAM" : "RAM", size_text(fit->value).text);
        break;
    case POL_FIT_KNOBS:
        break;
    }
}

static void print_fits(const struct plan_row *row, enum pol_strategy strategy)
{
    const char *before = "";

    for (size_t i = 0; i < row->fits; i++) {
        if (row->fit[i].strategy != strategy)
            continue;
        if (!*before)
            printf("  %-11s with  ", pol_strategy_name(strategy));
        else
            printf("%s  %11s or    ", before, "");
        before = "\n";
        print_value(&row->fit[i]);
    }
    fputs(before, stdout);
}

static const char *pcie_text(enum plan_pcie from)
{
    return from == PLAN_PCIE_ASSUMED ? "assumed " : from == PLAN_PCIE_MEASURED ? "measured " : "";
}

static void print_words(const struct plan *plan, const struct plan_row *row)
{
    print_what(row);
    if (row->plan.shortfall)
        printf("  %s fit nowhere\n", size_text(row->plan.shortfall).text);
    if (row->plan.host_bytes)
        printf("  %s more for each pass over the host share (%s%s GB/s over PCIe)\n",
               seconds_text(plan_pass_seconds(plan, row)).text, pcie_text(plan->pcie_from),
               decimal_text(plan->pcie).text);
    print_fits(row, POL_GGUF_HYBRID);
    print_fits(row, POL_GPU_ONLY);
}

/* --- tensors -------------------------------------------------------------------------------------
 */

static void print_tensor(void *arg, const struct plan_row *row, const struct hdr_tensor *tensor,
                         enum plan_place place)
{
    const char **last = arg;
    char shape[64] = "";
    size_t len = 0;

    if (*last != row->path)
        printf("\n%s\n", row_name(row).text);
    *last = row->path;
    for (unsigned i = 0; i < tensor->dims && len < sizeof(shape); i++)
        len += (size_t)snprintf(shape + len, sizeof(shape) - len, "%s%" PRIu64, i ? "x" : "",
                                tensor->shape[i]);
    printf("  %-7s  %9s  %-8s %-18s %s\n", plan_place_name(place), size_text(tensor->bytes).text,
           tensor->type, *shape ? name_text(shape, strlen(shape), 18).text : "1",
           name_text(tensor->name, tensor->name_len, 48).text);
}

static int print_tensors(const struct plan *plan)
{
    struct plan_placement p;
    const char *last = NULL;
    int status;

    printf(
        "\nTensors in the order of the files, each as one allocation, first come first served:\n");
    status = plan_each_tensor(plan, &p, print_tensor, &last);
    printf("\nTensors alone (the estimate has room for working memory, too): gpu %s, host %s",
           size_text(p.device_bytes).text, size_text(p.host_bytes).text);
    if (p.nowhere_bytes)
        printf(", nowhere %s", size_text(p.nowhere_bytes).text);
    putchar('\n');
    return status;
}

int report_plan(const struct plan *plan)
{
    print_budgets(plan);
    print_table(plan);
    for (size_t i = 0; i < plan->count; i++)
        print_words(plan, &plan->row[i]);
    if (plan->count > 1)
        print_words(plan, &plan->together);
    return plan->tensors ? print_tensors(plan) : 0;
}
