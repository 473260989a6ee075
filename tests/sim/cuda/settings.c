/* settings.c: the SIMCUDA_* environment, read once, refused loudly when it makes no sense.
 *
 *   SIMCUDA_DEVICES       cards, 0 to 16 (1)
 *   SIMCUDA_VRAM          bytes of each: 1GiB, or 1GiB,2GiB; the last one holds for the rest (8GiB)
 *   SIMCUDA_CONTEXT       bytes that a context takes of its card (0, so that budgets are exact)
 *   SIMCUDA_RESERVED      bytes that the driver keeps of each: NVML counts them, CUDA does not (0)
 *   SIMCUDA_DRIVER        must agree with the library that was loaded: 11.4, 12.2, 13.0 or 13.5
 *   SIMCUDA_FAIL          function:n:code,...: the n-th call (or *) answers code (fault.c)
 *   SIMCUDA_LOG           file: a line for each call (calllog.c)
 *   SIMCUDA_REPORT        file, or stderr (stderr): leaks and illegal uses, if any (report.c)
 *   SIMCUDA_ILLEGAL       report or abort: what an illegal use ends in (report)
 *   SIMCUDA_COST          vram=500GB/s,...: event times from bytes and bandwidths (cost.c)
 *   SIMCUDA_CONTENT       copies and sets move only so many bytes of each row, so that models
 *                         larger than this machine can be played: 4KiB (all). Copies between two
 *                         mappings (cuMemMap) move what was ever written, wherever in the row
 *   SIMCUDA_NULL          1: null mode, for benchmarks (null.c)
 *   SIMCUDA_SEED          of jitter and address choice (1)
 *   SIMCUDA_HOST_POINTER  device attribute 91; 0: registered memory has two addresses (1)
 *   SIMCUDA_POPULATE      1: pinned and physical memory takes the RAM at once (0: at first use)
 *   SIMCUDA_HOST_NUMA     granularity of host memory of a NUMA node for cuMemCreate: a multiple of
 *                         2MiB; 0: there is no such memory, attribute 141 (2MiB)
 *
 * The driver also obeys CUDA_VISIBLE_DEVICES (numbers only), which NVML knows nothing of.
 */
#include "sim.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

extern char **environ;

struct sim_settings sim_settings = {
    .devices = 1, .host_pointer = true, .host_numa = 2 << 20, .content = SIZE_MAX, .seed = 1};

_Noreturn void sim_refuse(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("simcuda: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

static uint64_t read_number(const char *name, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > most)
        sim_refuse("%s=%s: a number from %llu to %llu is wanted", name, text,
                   (unsigned long long)least, (unsigned long long)most);
    return value;
}

/* 512, 64KiB, 1.5GiB ...: reads up to `stop` or the end and returns where it stopped. */
static const char *read_size(const char *name, const char *text, size_t *bytes)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"T", 40},
                 {"G", 30},   {"M", 20},   {"K", 10},   {"B", 0},    {"", 0}};
    char *end;
    double value = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;

    for (size_t i = 0; value >= 0 && i < sizeof(units) / sizeof(*units); i++) {
        size_t length = strlen(units[i].unit);

        if (strncmp(end, units[i].unit, length) || (end[length] && end[length] != ','))
            continue;
        value *= (double)(1ull << units[i].shift);
        if (value > 1e15)
            break;
        *bytes = (size_t)value;
        return end + length;
    }
    sim_refuse("%s=%s: a size such as 512MiB or 8GiB is wanted", name, text);
}

static void read_one_size(const char *name, const char *text, size_t *bytes)
{
    if (*read_size(name, text, bytes))
        sim_refuse("%s=%s: one size is wanted", name, text);
}

static void read_vram(const char *name, const char *text)
{
    int count = 0;

    for (const char *p = text; *p;) {
        if (count == SIM_MAX_DEVICES)
            sim_refuse("%s=%s: more than %d sizes", name, text, SIM_MAX_DEVICES);
        p = read_size(name, p, &sim_settings.vram[count++]);
        p += *p == ',';
    }
    if (!count)
        sim_refuse("%s: empty", name);
    for (int i = count; i < SIM_MAX_DEVICES; i++) /* the last one holds for the rest */
        sim_settings.vram[i] = sim_settings.vram[count - 1];
}

#ifndef SIM_ANY_DRIVER /* NVML is one library beside drivers of all versions */
#define SIM_ANY_DRIVER 0
#endif

static void read_driver(const char *name, const char *text)
{
    char ours[16];

    if (SIM_ANY_DRIVER)
        return;
    snprintf(ours, sizeof(ours), "%d.%d", sim_driver_version / 1000, sim_driver_version % 100 / 10);
    if (strcmp(text, ours))
        sim_refuse(
            "%s=%s: this library is driver %s; each version is a library of its own: put the "
            "folder sim/%s (sim/ for 13.5) into LD_LIBRARY_PATH",
            name, text, ours, text);
}

static bool read_bool(const char *name, const char *text)
{
    return read_number(name, text, 0, 1) == 1;
}

static void read_one(const char *name, const char *text)
{
    if (!strcmp(name, "SIMCUDA_DEVICES"))
        sim_settings.devices = (int)read_number(name, text, 0, SIM_MAX_DEVICES);
    else if (!strcmp(name, "SIMCUDA_VRAM"))
        read_vram(name, text);
    else if (!strcmp(name, "SIMCUDA_CONTEXT"))
        read_one_size(name, text, &sim_settings.context_bytes);
    else if (!strcmp(name, "SIMCUDA_CONTENT"))
        read_one_size(name, text, &sim_settings.content);
    else if (!strcmp(name, "SIMCUDA_RESERVED"))
        read_one_size(name, text, &sim_settings.reserved_bytes);
    else if (!strcmp(name, "SIMCUDA_COST"))
        sim_settings.cost = strdup(text);
    else if (!strcmp(name, "SIMCUDA_DRIVER"))
        read_driver(name, text);
    else if (!strcmp(name, "SIMCUDA_FAIL"))
        sim_settings.fail = strdup(text); /* copies: the host may change its environment */
    else if (!strcmp(name, "SIMCUDA_LOG"))
        sim_settings.log = strdup(text);
    else if (!strcmp(name, "SIMCUDA_REPORT"))
        sim_settings.report = strdup(text);
    else if (!strcmp(name, "SIMCUDA_ILLEGAL")) {
        if (strcmp(text, "abort") && strcmp(text, "report"))
            sim_refuse("%s=%s: abort or report is wanted", name, text);
        sim_settings.abort_on_illegal = !strcmp(text, "abort");
    } else if (!strcmp(name, "SIMCUDA_NULL"))
        sim_settings.null = read_bool(name, text);
    else if (!strcmp(name, "SIMCUDA_SEED"))
        sim_settings.seed = read_number(name, text, 0, UINT64_MAX);
    else if (!strcmp(name, "SIMCUDA_HOST_NUMA")) {
        if (*read_size(name, text, &sim_settings.host_numa) || sim_settings.host_numa % (2 << 20))
            sim_refuse("%s=%s: a multiple of 2MiB is wanted", name, text);
    } else if (!strcmp(name, "SIMCUDA_HOST_POINTER"))
        sim_settings.host_pointer = read_bool(name, text);
    else if (!strcmp(name, "SIMCUDA_POPULATE"))
        sim_settings.populate = read_bool(name, text);
    else
        sim_refuse("%s: no such setting", name);
}

/* "2,0": card 2 is device 0, card 0 is device 1. What follows a number that is no card's is not
 * seen (CUDA C Programming Guide, "CUDA environment variables"). */
void sim_settings_hide_cards(const char *visible)
{
    int count = 0;

    for (const char *p = visible; isdigit((unsigned char)*p) && count < sim_settings.devices;) {
        char *end;
        long card = strtol(p, &end, 10);
        if (card >= sim_settings.devices)
            break;
        sim_settings.card[count++] = (int)card;
        p = end + (*end == ',');
    }
    sim_settings.devices = count;
}

void sim_settings_read(void)
{
    for (int i = 0; i < SIM_MAX_DEVICES; i++) {
        sim_settings.vram[i] = (size_t)8 << 30;
        sim_settings.card[i] = i;
    }
    for (char **entry = environ; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char name[64];

        if (strncmp(*entry, "SIMCUDA_", 8) || !equals)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(equals - *entry), *entry);
        read_one(name, equals + 1);
    }
    if (!sim_settings.report || !*sim_settings.report)
        sim_settings.report = "stderr";
}
