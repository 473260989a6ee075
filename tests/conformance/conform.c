/* conform.c: runs the cases.
 *
 *   conformance [GROUP | GROUP/CASE ...]     all of them, or those whose names begin so
 *   conformance --list                       names and rules
 *
 * A line for each case: ok, FAIL with file, line and what was found, or skip with the reason; what
 * was noted follows in brackets. Exit code 1 if a case failed, 2 if none matched.
 *
 * CONFORM_FORGED=1 runs the cases that pass handles which are none; on the simulated driver only.
 *
 * The cases of a group share a process, since starting CUDA takes long on a real card. The parent
 * never calls CUDA. A case that fails or crashes takes its process with it; the next one starts in
 * a new one.
 */
#include "conform.h"

#include "kernels.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE_SECONDS 60

struct conf_api cu;
struct conf_state conf;

static struct conf_case *first, **last = &first;
static jmp_buf leave;
static char noted[2048];
static const struct conf_case *running;

/* What the child tells its parent: how many cases of the process's run are over. */
static struct progress {
    size_t over;
    bool failed;
} * progress;

void conf_register(struct conf_case *one)
{
    *last = one;
    last = &one->next;
}

void conf_register_rows(const struct conf_case *all, size_t count, size_t row_size)
{
    for (size_t i = 0; i < count; i++) {
        const char *const *row = (const void *)((const char *)all->row + i * row_size);
        struct conf_case *one = malloc(sizeof(*one));
        size_t length = strlen(all->name) + strlen(*row) + 3;
        char *name = malloc(length);

        if (!one || !name)
            abort();
        snprintf(name, length, "%s[%s]", all->name, *row);
        *one = *all;
        one->name = name;
        one->row = row;
        conf_register(one);
    }
}

const char *conf_result(CUresult result)
{
    const char *name = NULL;

    if (!cu.GetErrorName || cu.GetErrorName(result, &name) != CUDA_SUCCESS || !name)
        return "unknown error";
    return name;
}

static void say(const char *verdict, const char *format, va_list arguments)
{
    char text[1024] = "";

    if (format)
        vsnprintf(text, sizeof(text), format, arguments);
    printf("%s %s/%s%s%s%s\n", verdict, running->group, running->name, *text ? ": " : "", text,
           noted);
    fflush(stdout);
}

_Noreturn void conf_fail(const char *file, int line, const char *format, ...)
{
    char place[1200];
    va_list arguments;

    file = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    snprintf(place, sizeof(place), "%s:%d %s", file, line, format);
    va_start(arguments, format);
    say("FAIL", place, arguments);
    va_end(arguments);
    progress->over++;
    progress->failed = true;
    _exit(1);
}

_Noreturn void conf_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say("skip", format, arguments);
    va_end(arguments);
    longjmp(leave, 1);
}

void conf_note(const char *format, ...)
{
    size_t used = strlen(noted);
    va_list arguments;

    used += (size_t)snprintf(noted + used, sizeof(noted) - used, " [");
    va_start(arguments, format);
    vsnprintf(noted + used, sizeof(noted) - used - 2, format, arguments);
    va_end(arguments);
    strcat(noted, "]");
}

/* --- the driver ---------------------------------------------------------------------------------
 */

static void *driver;

void *conf_exported(const char *symbol)
{
    return dlsym(driver, symbol);
}

static bool load(void)
{
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!driver)
        return false;
#define CONF_LOAD(member, symbol) cu.member = (__typeof__(cu.member))dlsym(driver, #symbol);
    CONF_API(CONF_LOAD)
#undef CONF_LOAD
    return true;
}

static void open_device(void)
{
    MUST(cu.Init(0));
    MUST(cu.DeviceGet(&conf.device, 0));
    MUST(cu.DevicePrimaryCtxRetain(&conf.context, conf.device));
    MUST(cu.CtxSetCurrent(conf.context));
    MUST(cu.ModuleLoadData(&conf.module, host_ptx));
    MUST(cu.ModuleGetFunction(&conf.fill, conf.module, "fill"));
    MUST(cu.ModuleGetFunction(&conf.copy, conf.module, "copy"));
    MUST(cu.ModuleGetFunction(&conf.add, conf.module, "add"));
    MUST(cu.ModuleGetFunction(&conf.spin, conf.module, "spin"));
}

static void close_device(void)
{
    cu.ModuleUnload(conf.module);
    cu.DevicePrimaryCtxRelease(conf.device);
}

/* --- running ------------------------------------------------------------------------------------
 */

static void run_one(const struct conf_case *one)
{
    CUcontext now = NULL;

    running = one;
    noted[0] = 0;
    alarm(CASE_SECONDS);
    if (setjmp(leave) == 0) {
        one->run(one->row);
        if (one->where == CONF_SHARED) { /* nothing that the next case would trip over */
            MUST(cu.CtxSynchronize());
            MUST(cu.CtxPopCurrent(&now));
            EQUAL(now, conf.context);
            MUST(cu.CtxGetCurrent(&now));
            EQUAL(now, NULL);
            MUST(cu.CtxSetCurrent(conf.context));
        }
        say("ok", NULL, (va_list){0});
    }
    progress->over++;
}

/* The child: `count` cases of one group from `from` on. */
_Noreturn static void run_some(const struct conf_case *const *from, size_t count)
{
    running = from[0];
    if (!load()) {
        fprintf(stderr, "conformance: %s\n", dlerror());
        exit(2);
    }
    if (from[0]->where != CONF_BARE)
        open_device();
    for (size_t i = 0; i < count; i++)
        run_one(from[i]);
    if (from[0]->where == CONF_SHARED)
        close_device();
    exit(0);
}

/* How many cases from here on share a process. */
static size_t together(const struct conf_case *const *from, size_t left)
{
    size_t count = 1;

    while (from[0]->where == CONF_SHARED && count < left && from[count]->where == CONF_SHARED &&
           strcmp(from[count]->group, from[0]->group) == 0)
        count++;
    return count;
}

/* Returns false if one of them failed. */
static bool run_all(const struct conf_case *const *chosen, size_t count)
{
    bool good = true;

    for (size_t done = 0; done < count;) {
        size_t some = together(chosen + done, count - done);
        int status = 0;
        pid_t child;

        *progress = (struct progress){0, false};
        fflush(NULL);
        child = fork();
        if (child == 0)
            run_some(chosen + done, some);
        if (child < 0 || waitpid(child, &status, 0) != child) {
            perror("conformance");
            return false;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2) /* no driver: said so */
            return false;
        if (progress->over < some && !progress->failed) {
            running = chosen[done + progress->over++];
            printf("FAIL %s/%s: ended with %s\n", running->group, running->name,
                   WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
            progress->failed = true;
        }
        good = good && !progress->failed && status == 0;
        if (!progress->failed && status != 0)
            printf("FAIL %s/end-of-process: status 0x%x\n", chosen[done]->group, (unsigned)status);
        done += progress->over;
    }
    return good;
}

static bool wanted(const struct conf_case *one, int argc, char **argv)
{
    char full[256];

    snprintf(full, sizeof(full), "%s/%s", one->group, one->name);
    for (int i = 1; i < argc; i++)
        if (strncmp(full, argv[i], strlen(argv[i])) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
    const struct conf_case **chosen;
    size_t count = 0;

    for (const struct conf_case *one = first; one; one = one->next)
        count++;
    chosen = calloc(count + 1, sizeof(*chosen));
    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!chosen || progress == MAP_FAILED)
        return 2;
    count = 0;
    for (const struct conf_case *one = first; one; one = one->next) {
        if (list)
            printf("%s/%s\t%s\n", one->group, one->name, one->rule);
        else if (wanted(one, argc, argv))
            chosen[count++] = one;
    }
    int status = list ? 0 : count == 0 ? 2 : run_all(chosen, count) ? 0 : 1;
    free(chosen);
    return status;
}
