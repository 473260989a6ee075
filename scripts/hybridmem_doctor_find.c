/* hybridmem_doctor_find.c: what is wrong, and which knob changes it.
 */
#include "scripts/hybridmem_doctor.h"
#include "scripts/hybridmem_print.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define OUT_OF_MEMORY 2   /* CUDA_ERROR_OUT_OF_MEMORY */
#define NO_DEVICE     100 /* CUDA_ERROR_NO_DEVICE */

void doctor_add(struct doctor *doctor, int status, const char *advice, const char *format, ...)
{
    struct doctor_finding *finding = &doctor->finding[doctor->count];
    va_list args;

    /* options before what is missing before what does not work */
    doctor->status = status > doctor->status ? status : doctor->status;
    if (doctor->count == DOCTOR_FINDINGS_MAX)
        return; /* enough to begin with */
    doctor->count++;
    finding->wrong = status != 0;
    snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
    va_start(args, format);
    vsnprintf(finding->what, sizeof(finding->what), format, args);
    va_end(args);
}

const char *doctor_door_name(enum probe_door door)
{
    static const char *const names[] = {"linked", "dlsym", "cuGetProcAddress"};

    return names[door];
}

/* --- driver and library --------------------------------------------------------------------------
 */

static void find_driver(struct doctor *doctor)
{
    const struct probe *probe = &doctor->try[DOCTOR_BARE].probe;
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");

    if (!doctor->try[DOCTOR_BARE].started)
        doctor_add(doctor, 1, "ulimit -n and -u bound files and processes",
                   "no process could be started to try the driver out");
    if (!doctor->try[DOCTOR_BARE].answered)
        return; /* it did not come so far */
    if (!probe->has_driver)
        doctor_add(doctor, EXIT_NO_LIBRARY,
                   "install NVIDIA's driver (nvidia-smi then lists the GPUs); a container needs to "
                   "be started with access to them (--gpus all)",
                   "no NVIDIA driver: libcuda.so.1 cannot be loaded: nothing can be tried out");
    else if (probe->init.code != 0 && probe->init.code != NO_DEVICE)
        doctor_add(doctor, EXIT_NO_LIBRARY,
                   "nvidia-smi tells whether the driver works at all: after an update of the "
                   "driver the machine has to be restarted; a container needs to be started with "
                   "access to the GPUs (--gpus all)",
                   "the NVIDIA driver does not start: %s", probe->init.name);
    else if (probe->gpus == 0)
        doctor_add(doctor, EXIT_NO_LIBRARY,
                   "nvidia-smi lists the GPUs; CUDA_VISIBLE_DEVICES, if it is set, those that "
                   "programs may see; a container is given them with --gpus all",
                   "the driver shows no GPU (CUDA_VISIBLE_DEVICES is %s)",
                   visible ? *visible ? name_text(visible, strlen(visible), 64).text : "empty"
                           : "not set");
}

static bool has_status(const struct doctor_try *try, int status)
{
    return try->started && WIFEXITED(try->wait_status) && WEXITSTATUS(try->wait_status) == status;
}

static void find_load(struct doctor *doctor)
{
    const struct doctor_try *with = &doctor->try[DOCTOR_WITH];

    if ((with->answered && !with->probe.has_library) || has_status(with, EXIT_CANNOT_RUN))
        doctor_add(doctor, EXIT_NO_LIBRARY,
                   "HYBRIDMEM_LIBRARY names another one; it must be built for this machine and "
                   "lie at a path without blanks and colons",
                   "the library is not loaded: %.900s", with->said);
}

/* A probe that did not come to its end: what is wrong without the library is so with it, too. */
static void find_end(struct doctor *doctor)
{
    static const char *const names[] = {"without the library", "with the library",
                                        "with everything in host memory"};
    enum doctor_way way = DOCTOR_BARE;

    while (way < DOCTOR_WAYS && (doctor->try[way].ended || !doctor->try[way].started))
        way++;
    if (way == DOCTOR_WAYS)
        return;
    const struct doctor_try *try = &doctor->try[way];
    const char *advice = way == DOCTOR_BARE
                             ? "nvidia-smi and the kernel's log (dmesg) tell more of the driver"
                             : "enable=false leaves everything to the driver; please report this";
    int status = try->wait_status;

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        doctor_add(doctor, 1, advice, "%s the driver did not answer within %d s", names[way],
                   PROBE_SECONDS);
    else if (WIFSIGNALED(status))
        doctor_add(doctor, 1, advice, "%s a test of the driver was killed by signal %d (%s) %.800s",
                   names[way], WTERMSIG(status), strsignal(WTERMSIG(status)), try->said);
    else if (way == DOCTOR_BARE || !has_status(try, EXIT_CANNOT_RUN))
        doctor_add(doctor, 1, advice, "%s a test of the driver ended with status %d: %.800s",
                   names[way], WEXITSTATUS(status), try->said);
}

/* --- cards ---------------------------------------------------------------------------------------
 */

/* The first door that failed, or PROBE_DOORS. */
static enum probe_door bad_door(const struct probe_gpu *g)
{
    for (int i = 0; i < PROBE_DOORS; i++)
        if (g->door[i].exists && (g->door[i].result.code != 0 || !g->door[i].is_right))
            return (enum probe_door)i;
    return PROBE_DOORS;
}

static const char *door_error(const struct probe_block *block)
{
    return block->result.code != 0 ? block->result.name : "other bytes came back";
}

/* Without the library; true: nothing is wrong there. */
static bool find_bare(struct doctor *doctor, int i)
{
    const struct probe_gpu *g = &doctor->try[DOCTOR_BARE].gpu[i];
    enum probe_door bad = bad_door(g);
    int code = g->context.code ? g->context.code : bad < PROBE_DOORS ? g->door[bad].result.code : 0;
    const char *advice = code == OUT_OF_MEMORY
                             ? "other programs fill the card: nvidia-smi lists them"
                             : "nvidia-smi and the kernel's log (dmesg) tell more of the card";

    if (g->problem[0])
        doctor_add(doctor, 1, advice, "cuda:%d: %s", i, g->problem);
    else if (g->context.code != 0)
        doctor_add(doctor, 1, advice, "cuda:%d: no context can be made: %s", i, g->context.name);
    else if (bad < PROBE_DOORS)
        doctor_add(doctor, 1, advice, "cuda:%d: 1 MiB of VRAM cannot be used (%s): %s", i,
                   doctor_door_name(bad), door_error(&g->door[bad]));
    else if (g->pinned.code != 0)
        doctor_add(doctor, 1,
                   "raise the container's memory limit or ulimit -l and -v; on WSL 2 the limit "
                   "stands in .wslconfig",
                   "cuda:%d: the driver cannot pin host memory: %s", i, g->pinned.name);
    else if (!g->measured)
        doctor_add(doctor, 0, "plan --pcie takes a figure",
                   "cuda:%d: the bandwidth could not be measured", i);
    return !g->problem[0] && g->context.code == 0 && bad == PROBE_DOORS;
}

/* With the library; true: it acts, and works as far as that goes. */
static bool find_with(struct doctor *doctor, int i)
{
    const struct doctor_try *with = &doctor->try[DOCTOR_WITH];
    const struct probe_gpu *g = &with->gpu[i];
    enum probe_door bad = bad_door(g);

    if (g->context.code != 0 || bad < PROBE_DOORS) {
        doctor_add(doctor, 1, "enable=false leaves everything to the driver; please report this",
                   "cuda:%d: fails with the library alone (%s): %s", i,
                   g->context.code ? "context" : doctor_door_name(bad),
                   g->context.code ? g->context.name : door_error(&g->door[bad]));
        return false;
    }
    for (int door = 0; door < PROBE_DOORS; door++)
        if (g->door[door].exists && !g->door[door].is_ours) {
            doctor_add(doctor, 1, "LD_PRELOAD names what else is preloaded: try without",
                       "cuda:%d: programs pass the library by (%s): another one answers", i,
                       doctor_door_name((enum probe_door)door));
            return false;
        }
    if (with->has_stats && !with->device[i].is_target) {
        if (doctor->options.config.target_gpu.all)
            doctor_add(doctor, 1, "enable=false leaves everything to the driver",
                       "cuda:%d: the driver does not tell the library how much memory is free", i);
        else
            doctor_add(doctor, 0, "target_gpu=all takes each GPU",
                       "cuda:%d: target_gpu does not name it: it is left to the driver", i);
        return false;
    }
    return true;
}

/* What the probe allocates on a card: 1 MiB at each door. */
static uint64_t allocated(const struct probe_gpu *g)
{
    uint64_t blocks = 0;

    for (int door = 0; door < PROBE_DOORS; door++)
        blocks += g->door[door].exists;
    return blocks << 20;
}

bool doctor_overflows(const struct doctor *doctor, int gpu)
{
    const struct doctor_try *try = &doctor->try[DOCTOR_OVERFLOW];
    const struct probe_gpu *g = &try->gpu[gpu];

    return gpu < try->gpus && try->has_stats && g->context.code == 0 &&
           bad_door(g) == PROBE_DOORS && try->device[gpu].host_peak >= allocated(g);
}

static void find_overflow(struct doctor *doctor, int i)
{
    const struct doctor_try *try = &doctor->try[DOCTOR_OVERFLOW];

    if (i >= try->gpus || !try->has_stats || doctor_overflows(doctor, i))
        return; /* which is said elsewhere, or well */
    if (try->device[i].insufficient && try->host_share < allocated(&try->gpu[i]))
        doctor_add(doctor, 1,
                   "a smaller system_ram_pad_gb, a larger host_limit if one is set, or a larger "
                   "memory limit of the container",
                   "cuda:%d: no RAM to overflow to: %s may be used", i,
                   size_text(try->host_share).text);
    else
        doctor_add(doctor, 1,
                   "backing=pinned has the driver allocate the memory; ulimit -l and -v and the "
                   "container's memory limit bound what can be pinned",
                   "cuda:%d: nothing overflows to host memory: %.800s", i,
                   *try->said ? try->said : "the library does not say why");
}

static void find_gpus(struct doctor *doctor)
{
    const struct doctor_try *bare = &doctor->try[DOCTOR_BARE], *with = &doctor->try[DOCTOR_WITH];
    bool enabled = doctor->options.config.enable;

    for (int i = 0; i < bare->gpus; i++)
        if (find_bare(doctor, i) && enabled && with->probe.has_library && i < with->gpus &&
            find_with(doctor, i))
            find_overflow(doctor, i);
    if (bare->probe.gpus > PROBE_GPUS_MAX)
        doctor_add(doctor, 0, "CUDA_VISIBLE_DEVICES chooses others",
                   "of %d GPUs the first %d were tried", bare->probe.gpus, PROBE_GPUS_MAX);
    if (with->gpus > 0 && with->probe.has_library && enabled && !with->has_stats)
        doctor_add(doctor, 0, "TMPDIR names a folder that can be written to",
                   "the library could not write down its figures");
}

/* --- the rest ------------------------------------------------------------------------------------
 */

static void find_remarks(struct doctor *doctor)
{
    const struct config *c = &doctor->options.config;

    if (!c->enable)
        doctor_add(doctor, 0, "enable=true",
                   "enable is false: the library leaves everything to the driver");
    if (!doctor->shm_usable)
        doctor_add(doctor, 0, "make /dev/shm writable, or leave more room with system_ram_pad_gb",
                   "/dev/shm cannot be used: several programs that overflow at once see what the "
                   "others took only after a while");
    if (c->hugepages == CFG_HUGEPAGES_AUTO && strcmp(doctor->huge_pages, "never") == 0)
        doctor_add(doctor, 0,
                   "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, or hugepages=off",
                   "the kernel gives no huge pages: pinning host memory takes longer");
}

void doctor_find(struct doctor *doctor)
{
    find_driver(doctor);
    find_load(doctor);
    find_end(doctor);
    find_gpus(doctor);
    find_remarks(doctor);
}
