/* hybridmem_doctor_print.c: what was found, for people and as JSON.
 */
#include "config/option.h"
#include "scripts/hybridmem_doctor.h"
#include "scripts/hybridmem_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- for people ----------------------------------------------------------------------------------
 */

static void print_driver(const struct probe *probe)
{
    if (!probe->has_driver)
        printf("driver   none\n");
    else
        printf("driver   CUDA %d.%d, %d GPU%s\n", probe->version / 1000, probe->version % 1000 / 10,
               probe->gpus, probe->gpus == 1 ? "" : "s");
}

static void print_options(const struct doctor *doctor)
{
    const char *file = getenv(CFG_ENV_PREFIX CFG_ENV_POLICY);

    if (file && *file)
        printf("options  policy file %s", file);
    else
        printf("options  no policy file");
    printf("; %u error%s, %u warning%s\n", doctor->options.errors,
           doctor->options.errors == 1 ? "" : "s", doctor->options.warnings,
           doctor->options.warnings == 1 ? "" : "s");
}

static void print_system(const struct doctor *doctor)
{
    const struct doctor_try *with = &doctor->try[DOCTOR_WITH];

    printf("RAM      %s, %s available", size_text(doctor->ram.total).text,
           size_text(doctor->ram.available).text);
    if (with->has_stats)
        printf("; up to %s for overflow", size_text(with->host_share).text);
    printf("\nsystem   locked memory %s; /dev/shm %s; huge pages %s\n",
           doctor->locked_limit == UINT64_MAX ? "unlimited" : size_text(doctor->locked_limit).text,
           doctor->shm_usable ? "usable" : "not usable",
           doctor->huge_pages[0] ? doctor->huge_pages : "none");
}

static const char *door_text(const struct probe_block *block)
{
    return !block->exists            ? "-"
           : block->result.code != 0 ? block->result.name
           : !block->is_right        ? "wrong bytes"
           : block->is_ours          ? "yes"
                                     : "no";
}

static void print_gpu(const struct doctor *doctor, int i)
{
    const struct doctor_try *with = &doctor->try[DOCTOR_WITH];
    const struct probe_gpu *g = &doctor->try[DOCTOR_BARE].gpu[i];

    printf("\ncuda:%-3d %s, %s\n", i, name_text(g->gpu.name, strlen(g->gpu.name), 40).text,
           *g->gpu.uuid ? g->gpu.uuid : "no UUID");
    printf("         VRAM %s, %s free", size_text(g->gpu.total).text,
           g->gpu.knows_free ? size_text(g->gpu.free).text : "unknown how much");
    if (with->device[i].is_target)
        printf("; budget %s (%s held by others)", size_text(with->device[i].gpu_budget).text,
               size_text(with->device[i].vram_reserved).text);
    if (with->probe.has_library && i < with->gpus) {
        printf("\n         taken over:");
        for (int door = 0; door < PROBE_DOORS; door++)
            printf(" %s %s;", doctor_door_name((enum probe_door)door),
                   door_text(&with->gpu[i].door[door]));
        printf(" overflow %s", doctor_overflows(doctor, i) ? "works" : "no");
    }
    if (g->measured)
        printf("\n         PCIe %.1f GB/s to the GPU, %.1f GB/s from it",
               (double)g->bandwidth.to_device / 1e9, (double)g->bandwidth.from_device / 1e9);
    putchar('\n');
}

static void print_findings(const struct doctor *doctor)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_finding *f = &doctor->finding[i];

        wrong += f->wrong;
        printf("\n%s:\n", f->wrong ? "wrong" : "remark");
        print_wrapped(f->what, 2);
        if (f->advice[0])
            print_wrapped(f->advice, 6);
    }
    printf(wrong ? "\n%u thing%s wrong.\n" : "\nNothing is wrong.\n", wrong,
           wrong == 1 ? " is" : "s are");
}

void doctor_print(const struct doctor *doctor)
{
    printf("hybridmem " HYBRIDMEM_VERSION "\n");
    print_driver(&doctor->try[DOCTOR_BARE].probe);
    printf("library  %s\n", doctor->has_library ? doctor->library : "none");
    print_options(doctor);
    print_system(doctor);
    for (int i = 0; i < doctor->try[DOCTOR_BARE].gpus; i++)
        print_gpu(doctor, i);
    if (doctor->bandwidth_file)
        printf("\nThe bandwidths are noted in %s\n", doctor->bandwidth_file);
    print_findings(doctor);
}

/* --- JSON ----------------------------------------------------------------------------------------
 */

static void json_number(const char *key, bool known, uint64_t value, const char *end)
{
    if (known)
        printf("\"%s\": %" PRIu64 "%s", key, value, end);
    else
        printf("\"%s\": null%s", key, end);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void json_system(const struct doctor *doctor)
{
    const struct doctor_try *with = &doctor->try[DOCTOR_WITH];

    printf("  \"ram\": {");
    json_number("total", doctor->ram.total, doctor->ram.total, ", ");
    json_number("available", doctor->ram.total, doctor->ram.available, ", ");
    json_number("host_share", with->has_stats, with->host_share, "},\n");
    printf("  \"system\": {");
    json_number("locked_limit", doctor->locked_limit != UINT64_MAX, doctor->locked_limit, ", ");
    printf("\"shm\": %s, ", truth(doctor->shm_usable));
    print_text("huge_pages", doctor->huge_pages[0] ? doctor->huge_pages : NULL);
    printf("},\n");
}

static void json_gpu(const struct doctor *doctor, int i)
{
    const struct doctor_try *with = &doctor->try[DOCTOR_WITH];
    const struct doctor_device *d = &with->device[i];
    const struct probe_gpu *g = &doctor->try[DOCTOR_BARE].gpu[i];

    printf("{\"ordinal\": %d, ", i);
    print_text("name", g->gpu.name);
    printf(", ");
    print_text("uuid", *g->gpu.uuid ? g->gpu.uuid : NULL);
    printf(",\n     ");
    json_number("vram_total", !g->problem[0], g->gpu.total, ", ");
    json_number("vram_free", g->gpu.knows_free, g->gpu.free, ", ");
    json_number("vram_reserved", d->is_target, d->vram_reserved, ", ");
    json_number("gpu_budget", d->is_target, d->gpu_budget, ",\n     ");
    printf("\"doors\": {");
    for (int door = 0; door < PROBE_DOORS; door++) {
        const struct probe_block *block = &with->gpu[i].door[door];

        printf("%s\"%s\": %s", door ? ", " : "", doctor_door_name((enum probe_door)door),
               !block->exists
                   ? "null"
                   : truth(block->is_ours && block->is_right && block->result.code == 0));
    }
    printf("}, \"overflow\": %s,\n     ", truth(doctor_overflows(doctor, i)));
    json_number("to_device", g->measured, g->bandwidth.to_device, ", ");
    json_number("from_device", g->measured, g->bandwidth.from_device, "}");
}

static void json_findings(const struct doctor *doctor)
{
    printf("  \"findings\": [");
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_finding *f = &doctor->finding[i];

        printf("%s\n    {\"wrong\": %s, ", i ? "," : "", truth(f->wrong));
        print_text("what", f->what);
        printf(", ");
        print_text("advice", f->advice[0] ? f->advice : NULL);
        printf("}");
    }
    printf("%s],\n", doctor->count ? "\n  " : "");
}

void doctor_print_json(const struct doctor *doctor)
{
    const struct probe *probe = &doctor->try[DOCTOR_BARE].probe;
    const char *file = getenv(CFG_ENV_PREFIX CFG_ENV_POLICY);

    printf("{\n  \"version\": \"" HYBRIDMEM_VERSION "\",\n  \"driver\": ");
    if (probe->has_driver)
        printf("%d", probe->version);
    else
        printf("null");
    printf(",\n  ");
    print_text("library", doctor->has_library ? doctor->library : NULL);
    printf(",\n  ");
    print_text("policy", file && *file ? file : NULL);
    printf(",\n");
    json_system(doctor);
    printf("  \"gpus\": [");
    for (int i = 0; i < doctor->try[DOCTOR_BARE].gpus; i++) {
        fputs(i ? ",\n    " : "\n    ", stdout);
        json_gpu(doctor, i);
    }
    printf("%s],\n", doctor->try[DOCTOR_BARE].gpus ? "\n  " : "");
    json_findings(doctor);
    printf("  \"status\": %d\n}\n", doctor->status);
}
