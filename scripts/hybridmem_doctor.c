/* hybridmem_doctor.c: "hybridmem doctor": how would it work here, and if it does not, why? The
 * library itself is asked: what it says of its budget is what a program would get.
 */
#include "scripts/hybridmem_doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char help_text[] =
    "Usage: hybridmem doctor [--json] [--policy FILE] [--set KEY=VALUE]...\n"
    "\n"
    "Looks for the NVIDIA driver and the library, reads the options, and tries out on each GPU:\n"
    "1 MiB of VRAM by each way in which programs find the driver, the same with everything\n"
    "overflowing to host memory, and how fast copies between both are. Says what the library\n"
    "would do with each GPU, and what to change where something is wrong. The speeds are noted\n"
    "in $XDG_CACHE_HOME/hybridmem/bandwidth.json (or under ~/.cache), where \"hybridmem plan\n"
    "--gpu N\" finds them.\n"
    "\n"
    "  --json            the same as JSON (keys: see the README)\n"
    "  --policy FILE, --set KEY=VALUE   options, as for \"hybridmem run\"\n"
    "\n"
    "Exit status: 0 nothing is wrong, 1 something is, 64 wrong usage, 69 there is no library, no\n"
    "driver or no GPU, 78 options.\n";

/* --- what the system says ------------------------------------------------------------------------
 */

/* "always [madvise] never": the word in brackets. */
static void read_huge_pages(char word[16])
{
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    char line[128] = "";
    const char *open;

    if (file && fgets(line, sizeof(line), file) && (open = strchr(line, '[')) != NULL)
        snprintf(word, 16, "%.*s", (int)strcspn(open + 1, "]"), open + 1);
    if (file)
        fclose(file);
}

static void look_around(struct doctor *doctor)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    ram_read("", &doctor->ram);
    getrlimit(RLIMIT_MEMLOCK, &limit);
    doctor->locked_limit = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    doctor->shm_usable = access("/dev/shm", R_OK | W_OK | X_OK) == 0;
    read_huge_pages(doctor->huge_pages);
}

/* --- options and library -------------------------------------------------------------------------
 */

static void take_problem(void *arg, enum cfg_severity severity, const char *line)
{
    doctor_add(arg, severity == CFG_ERROR ? EXIT_CONFIG : 0, "", "options: %s", line);
}

static void look_for_library(struct doctor *doctor)
{
    char why[CLI_WHY_MAX];

    doctor->has_library = cli_find_library(doctor->library, why);
    if (!doctor->has_library)
        doctor_add(doctor, EXIT_NO_LIBRARY,
                   "\"make install\" puts command and library where they find each other", "%.900s",
                   why);
}

/* --- the command ---------------------------------------------------------------------------------
 */

static void note_bandwidths(struct doctor *doctor)
{
    const struct doctor_try *bare = &doctor->try[DOCTOR_BARE];

    for (int i = 0; i < bare->gpus; i++) {
        const struct probe_gpu *g = &bare->gpu[i];
        const char *why = g->measured ? machine_note_bandwidth(g->gpu.uuid, &g->bandwidth) : NULL;

        if (why)
            doctor_add(doctor, 0, "XDG_CACHE_HOME names another place; plan --pcie takes a figure",
                       "cuda:%d: its bandwidth cannot be noted: %s", i, why);
        else if (g->measured)
            doctor->bandwidth_file = machine_bandwidth_file();
    }
}

static void examine(struct doctor *doctor)
{
    cfg_load(&doctor->options, NULL, environ, take_problem, doctor);
    look_for_library(doctor);
    look_around(doctor);
    doctor_try(&doctor->try[DOCTOR_BARE], DOCTOR_BARE, NULL);
    if (doctor->has_library)
        doctor_try(&doctor->try[DOCTOR_WITH], DOCTOR_WITH, doctor->library);
    if (doctor->try[DOCTOR_WITH].probe.has_library && doctor->try[DOCTOR_WITH].gpus > 0 &&
        doctor->options.config.enable)
        doctor_try(&doctor->try[DOCTOR_OVERFLOW], DOCTOR_OVERFLOW, doctor->library);
    doctor_find(doctor);
    note_bandwidths(doctor);
}

static int take_arguments(int argc, char **argv, struct doctor *doctor)
{
    int status = 0;

    for (int i = 0; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            doctor->json = true;
        else if (!cli_take_setting(&i, argc, argv, &status))
            status = cli_usage("doctor has no such option, or its value is missing: ", argv[i]);
    }
    return status;
}

int doctor_command(int argc, char **argv)
{
    static struct doctor doctor;
    int status;

    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        fputs(help_text, stdout);
        return EXIT_SUCCESS;
    }
    if (argc >= 2 && strcmp(argv[0], "--probe") == 0) /* from doctor_try() */
        return probe_main(atoi(argv[1]), argc > 2 ? argv[2] : NULL);
    status = take_arguments(argc, argv, &doctor);
    if (status != 0)
        return status;
    examine(&doctor);
    if (doctor.json)
        doctor_print_json(&doctor);
    else
        doctor_print(&doctor);
    if (fflush(stdout) != 0) {
        perror("hybridmem: standard output");
        return EXIT_FAILURE;
    }
    return doctor.status;
}
