/* hybridmem_plan.c: "hybridmem plan": would these models fit, and what lies where? Computed by the
 * functions that decide in the library.
 */
#include "scripts/hybridmem_plan.h"

#include "config/option.h"
#include "scripts/command.h"
#include "scripts/hybridmem_gpu.h"
#include "scripts/hybridmem_machine.h"
#include "shim/ram.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCIE_ASSUMED UINT64_C(12000000000)

static const char help_text[] =
    "Usage: hybridmem plan --vram SIZE | --gpu N [OPTION]... MODEL...\n"
    "\n"
    "Reads the headers of MODELs (GGUF, in one file or as -00001-of-0000N.gguf; safetensors)\n"
    "and says, for each one alone and for all together: type, size, estimate, how much of it\n"
    "lies on the GPU and how much in host memory, and which settings would make it fit.\n"
    "\n"
    "  --gpu N           the card that programs see as cuda:N: the driver says how much memory\n"
    "                    it has, and how much of that is free\n"
    "  --vram SIZE       the card's memory, whatever a driver says\n"
    "  --free SIZE       how much of it is free; default: all, or as the driver says\n"
    "  --ram SIZE        the machine's RAM; default: this machine's, or its container's limit\n"
    "  --ram-free SIZE   how much of it is available; default: what is now, or all of --ram\n"
    "  --pcie NUMBER     GB/s between host memory and GPU; default: with --gpu as \"hybridmem\n"
    "                    doctor\" has measured it, else 12 is assumed\n"
    "  --tensors         every tensor, and where it would lie\n"
    "  --json            the same as JSON (keys: see the README)\n"
    "  --policy FILE, --set KEY=VALUE   options, as for \"hybridmem run\"\n"
    "\n"
    "Exit status: 64 wrong usage, 65 a file is broken, 66 a file cannot be read, 69 no card\n"
    "for --gpu, 78 options.\n";

/* --- placing tensors -----------------------------------------------------------------------------
 */

/* One tensor after those that are placed, by the verdict that the library would give. */
static enum plan_place place(const struct plan *plan, struct plan_placement *placement,
                             const struct pol_request *request)
{
    uint64_t bytes = request->bytes;
    struct pol_usage usage = {.device_bytes = placement->device_bytes,
                              .host_bytes = placement->host_bytes};
    struct pol_verdict verdict = pol_decide(&plan->settings, &plan->limits, &usage, request);
    bool room =
        bytes <= plan->view.vram_free && placement->device_bytes <= plan->view.vram_free - bytes;

    if (!verdict.host && room) {
        placement->device_bytes += bytes;
        return PLAN_GPU;
    }
    if (verdict.host || verdict.host_if_failed) {
        placement->host_bytes += bytes;
        return PLAN_HOST;
    }
    placement->nowhere_bytes += bytes;
    return PLAN_NOWHERE;
}

const char *plan_place_name(enum plan_place place)
{
    return place == PLAN_GPU ? "gpu" : place == PLAN_HOST ? "host" : "nowhere";
}

struct walk {
    const struct plan *plan;
    struct plan_placement *placement;
    struct plan_row row; /* a copy, whose model counts parts while it is read again */
    plan_tensor_fn *show;
    void *arg;
    char path[PATH_MAX]; /* from the root, as the library sees it */
    bool is_next;        /* another model was before it */
    unsigned begun;      /* parts whose first tensor was seen */
};

static enum pol_place ruled_place(const struct walk *walk, const struct hdr_tensor *tensor,
                                  bool known)
{
    const struct config *c = walk->plan->config;
    const struct plan_row *row = &walk->row;
    struct pol_subject subject = {
        .bytes = tensor->bytes, .allocator = POL_ALLOCATOR_MALLOC, .device = -1};
    unsigned rule;

    if (known) {
        if (row->type != MODEL_UNKNOWN)
            subject.text[POL_RULE_MODEL_TYPE] = model_type_name(row->type);
        if (row->model.architecture[0])
            subject.text[POL_RULE_ARCHITECTURE] = row->model.architecture;
        subject.text[POL_RULE_STRATEGY] = pol_strategy_name(row->plan.strategy);
        subject.text[POL_RULE_FILE] = walk->path;
        subject.text[POL_RULE_TENSOR] = tensor->name;
    }
    return pol_place_of(&c->rules, c->skip_clip, &subject, &rule);
}

/* The library learns from uploads what is being loaded: of the first tensor of each file it knows
 * nothing yet when the memory is asked for, or only that the file before it was complete, after
 * which working memory was to be expected. */
static void place_tensor(void *arg, const struct hdr_tensor *tensor)
{
    struct walk *walk = arg;
    unsigned part = walk->row.model.parts + 1;
    bool known = walk->begun == part;
    struct pol_request request = {.bytes = tensor->bytes,
                                  .class = POL_CLASS_WEIGHTS,
                                  .place = ruled_place(walk, tensor, known)};

    if (!known && (walk->is_next || walk->begun))
        request.class = POL_CLASS_WORKING;
    walk->begun = part;
    walk->show(walk->arg, &walk->row, tensor, place(walk->plan, walk->placement, &request));
}

int plan_each_tensor(const struct plan *plan, struct plan_placement *placement,
                     plan_tensor_fn *show, void *arg)
{
    int status = 0;

    *placement = (struct plan_placement){0};
    for (size_t i = 0; i < plan->count && status == 0; i++) {
        struct walk walk = {plan, placement, plan->row[i], show, arg, "", i > 0, 0};

        if (!realpath(walk.row.path, walk.path))
            walk.path[0] = '\0'; /* which reading it will complain of */
        status = files_read(walk.row.path, &walk.row.model, place_tensor, &walk);
    }
    return status;
}

/* --- the plan ------------------------------------------------------------------------------------
 */

const char *plan_knob_option(enum pol_knob knob)
{
    switch (knob) {
    case POL_FIT_FACTOR:
        return "conservative_factor";
    case POL_FIT_OVERHEAD:
        return "overhead_percent";
    case POL_FIT_PAD:
        return "system_ram_pad_gb";
    case POL_FIT_HOST_LIMIT:
        return "host_limit";
    case POL_FIT_VRAM_LIMIT:
        return "vram_limit";
    case POL_FIT_VRAM:
    case POL_FIT_RAM:
    case POL_FIT_KNOBS:
        return NULL;
    }
    return NULL;
}

double plan_pass_seconds(const struct plan *plan, const struct plan_row *row)
{
    return (double)row->plan.host_bytes / (double)plan->pcie;
}

/* A better strategy than the row's own, and what would lead there. */
static void find_fits(const struct plan *plan, struct plan_row *row, enum pol_strategy strategy)
{
    for (enum pol_knob knob = 0; knob < POL_FIT_KNOBS; knob++) {
        struct plan_fit fit = {strategy, knob, 0};

        if (row->plan.strategy > strategy &&
            pol_fit(&plan->settings, &plan->view, row->estimate, strategy, knob, &fit.value))
            row->fit[row->fits++] = fit;
    }
}

static void plan_row(const struct plan *plan, struct plan_row *row)
{
    row->plan = pol_plan(row->estimate, plan->limits.gpu_budget, plan->limits.sys_avail);
    find_fits(plan, row, POL_GGUF_HYBRID);
    find_fits(plan, row, POL_GPU_ONLY);
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static int read_models(struct plan *plan)
{
    struct plan_row *all = &plan->together;
    int status = 0;

    for (size_t i = 0; i < plan->count; i++) {
        struct plan_row *row = &plan->row[i];
        int failed = files_read(row->path, &row->model, NULL, NULL);

        status = status ? status : failed;
        if (failed)
            continue;
        row->type = model_type(&row->model, &row->origin);
        if (plan->config->model_type != CFG_MODEL_TYPE_AUTO) {
            row->type = (enum model_type)(plan->config->model_type - CFG_MODEL_TYPE_UNET);
            row->origin = MODEL_FROM_NOTHING;
        }
        row->estimate = pol_estimate(row->model.tensor_bytes, row->model.format == MODEL_GGUF);
        plan_row(plan, row);
        all->model.tensors += row->model.tensors;
        all->model.tensor_bytes = sum(all->model.tensor_bytes, row->model.tensor_bytes);
        all->estimate = sum(all->estimate, row->estimate);
    }
    plan_row(plan, all);
    return status;
}

/* --- what is asked -------------------------------------------------------------------------------
 */

static int take_options(struct plan *plan)
{
    static struct cfg_result result;

    cfg_load(&result, NULL, environ, cli_print_problem, NULL);
    if (result.errors)
        return EXIT_CONFIG;
    if (!result.config.enable)
        fprintf(stderr, "warning: enable is false: this is what would happen if it were true\n");
    plan->config = &result.config;
    plan->settings = cfg_settings(&result.config, plan->view.vram_total, plan->view.ram_total);
    plan->limits = pol_limits(&plan->settings, &plan->view);
    return 0;
}

/* GB/s in billionths are bytes per second. */
static bool read_bandwidth(const char *text, uint64_t *bytes)
{
    static struct config scratch;

    if (!cfg_parse(&scratch, CFG_OPTION_system_ram_pad_gb, text, strlen(text)) ||
        scratch.system_ram_pad_gb == CFG_UNSET || scratch.system_ram_pad_gb == 0)
        return false;
    *bytes = scratch.system_ram_pad_gb;
    return true;
}

struct sizes {
    uint64_t vram, vram_free, ram, ram_free;
    bool has_vram, has_vram_free, has_ram, has_ram_free;
    int gpu; /* -1: none is asked */
};

/* What the card says holds where nothing else is given. */
static int ask_gpu(struct plan *plan, struct sizes *s)
{
    struct bandwidth bandwidth;
    struct gpu gpu;
    const char *problem = gpu_read(s->gpu, &gpu);

    if (problem) {
        fprintf(stderr, "hybridmem: --gpu %d: %s\n", s->gpu, problem);
        return EXIT_NO_LIBRARY;
    }
    if (!s->has_vram && !s->has_vram_free && !gpu.knows_free)
        fprintf(stderr,
                "warning: --gpu %d: NVML does not tell what is free: all of it, is assumed\n",
                s->gpu);
    if (!s->has_vram) {
        s->vram_free = s->has_vram_free ? s->vram_free : gpu.free;
        s->vram = gpu.total;
        s->has_vram = s->has_vram_free = true;
    }
    if (plan->pcie_from == PLAN_PCIE_ASSUMED && machine_bandwidth(gpu.uuid, &bandwidth)) {
        plan->pcie = bandwidth.to_device;
        plan->pcie_from = PLAN_PCIE_MEASURED;
    }
    return 0;
}

static int complete(struct plan *plan, struct sizes *s)
{
    struct pol_view *view = &plan->view;
    int status = s->gpu >= 0 ? ask_gpu(plan, s) : 0;
    struct ram ram;

    if (status != 0)
        return status;
    if (!s->has_vram)
        return cli_usage("no --vram and no --gpu given: how much memory has the card?", "");
    view->vram_total = s->vram;
    view->vram_free = s->has_vram_free ? s->vram_free : s->vram;
    if (view->vram_free > view->vram_total)
        return cli_usage("--free is more than --vram", "");
    if (s->has_ram)
        ram.total = ram.available = s->ram;
    else if (!ram_read("", &ram)) /* as the library reads it */
        return cli_usage("/proc/meminfo tells nothing: give --ram", "");
    view->ram_total = ram.total;
    view->ram_available = s->has_ram_free ? s->ram_free : ram.available;
    if (view->ram_available > view->ram_total)
        return cli_usage("--ram-free is more than the RAM", "");
    return 0;
}

/* Is argv[*i] a size of this name? Then *status says whether it could be read. */
static bool take_size(int *i, int argc, char **argv, const char *name, uint64_t *bytes, bool *has,
                      int *status)
{
    const char *value = cli_option_value(i, argc, argv, name);

    if (!value)
        return false;
    *has = true;
    if (!cfg_parse_bytes(value, strlen(value), bytes))
        *status = cli_usage("a size is written like 512MiB or 6G, not ", value);
    return true;
}

/* "1", "cuda:1"; -1 for anything else. */
static int ordinal(const char *text)
{
    text += strncmp(text, "cuda:", 5) == 0 ? 5 : 0;
    return strlen(text) <= 3 && *text && text[strspn(text, "0123456789")] == '\0' ? atoi(text) : -1;
}

static int take_option(int *i, int argc, char **argv, struct plan *plan, struct sizes *s)
{
    const char *value;
    int status = 0;

    if (take_size(i, argc, argv, "--vram", &s->vram, &s->has_vram, &status) ||
        take_size(i, argc, argv, "--free", &s->vram_free, &s->has_vram_free, &status) ||
        take_size(i, argc, argv, "--ram", &s->ram, &s->has_ram, &status) ||
        take_size(i, argc, argv, "--ram-free", &s->ram_free, &s->has_ram_free, &status) ||
        cli_take_setting(i, argc, argv, &status))
        return status;
    if (strcmp(argv[*i], "--json") == 0) {
        plan->json = true;
        return 0;
    }
    if (strcmp(argv[*i], "--tensors") == 0) {
        plan->tensors = true;
        return 0;
    }
    if ((value = cli_option_value(i, argc, argv, "--gpu")) != NULL) {
        s->gpu = ordinal(value);
        return s->gpu >= 0 ? 0 : cli_usage("--gpu takes a number such as 0 or cuda:0, not ", value);
    }
    value = cli_option_value(i, argc, argv, "--pcie");
    if (!value)
        return cli_usage("plan has no such option, or its value is missing: ", argv[*i]);
    plan->pcie_from = PLAN_PCIE_GIVEN;
    if (!read_bandwidth(value, &plan->pcie))
        return cli_usage("--pcie takes a number of GB/s, not ", value);
    return 0;
}

/* Options and models in any order; behind "--" there are models only. */
static int take_arguments(int argc, char **argv, struct plan *plan, struct sizes *s)
{
    bool options = true;
    int status = 0;

    for (int i = 0; i < argc && status == 0; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1])
            status = take_option(&i, argc, argv, plan, s);
        else
            plan->row[plan->count++].path = argv[i];
    }
    return status;
}

int plan_command(int argc, char **argv)
{
    struct plan plan = {.pcie = PCIE_ASSUMED};
    struct sizes sizes = {.gpu = -1};
    int status;

    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        fputs(help_text, stdout);
        return EXIT_SUCCESS;
    }
    plan.row = calloc((size_t)argc + 1, sizeof(plan.row[0]));
    if (!plan.row) {
        perror("hybridmem");
        return EXIT_FAILURE;
    }
    status = take_arguments(argc, argv, &plan, &sizes);
    if (status == 0 && plan.count == 0)
        status = cli_usage("plan: no model given", "");
    if (status == 0)
        status = complete(&plan, &sizes);
    if (status == 0)
        status = take_options(&plan);
    if (status == 0)
        status = read_models(&plan);
    if (status == 0)
        status = plan.json ? json_plan(&plan) : report_plan(&plan);
    free(plan.row);
    if (fflush(stdout) != 0 && status == 0) {
        perror("hybridmem: standard output");
        status = EXIT_FAILURE;
    }
    return status;
}
