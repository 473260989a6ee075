#include "shim/init.h"

#include "shim/cancel.h"
#include "shim/claims.h"
#include "shim/core.h"
#include "shim/driver.h"
#include "shim/gate.h"
#include "shim/log.h"
#include "shim/stats.h"
#include "shim/vmm.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

_Atomic enum shim_state shim_state_ = SHIM_FRESH;
__thread int shim_depth_;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool initialising;
static struct config loaded;
static pid_t owner;
static bool forked; /* from the owner of that time, and not past pthread_atfork() */

static void report(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    log_line(severity == CFG_ERROR ? CFG_LOG_ERROR : CFG_LOG_WARN, "%s", line);
}

static void say_nothing(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    (void)severity;
    (void)line;
}

/* CUDA does not survive fork() (CUDA C Programming Guide, "fork"): what the parent holds is not the
 * child's to touch, and a driver that was initialised refuses the child's calls by itself. One that
 * was not may be used in the child from the beginning. */
static void in_forked_child(void)
{
    pthread_mutex_init(&lock, NULL);
    driver_after_fork();
    gate_forget();
    core_forget_everything();
    vmm_forget();
    owner = getpid();
    forked = true;
}

/* The first thread to come here settles the options for all; true for that one. */
static bool settle(const struct cfg_result *result, bool open)
{
    bool first = false;

    pthread_mutex_lock(&lock);
    if (atomic_load(&shim_state_) == SHIM_FRESH) {
        first = true;
        owner = getpid();
        loaded = result->config;
        if (loaded.enable)
            log_configure((enum cfg_log)loaded.log, loaded.log_file);
        atomic_store_explicit(&shim_state_, loaded.enable && open ? SHIM_ENABLED : SHIM_DISABLED,
                              memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return first;
}

/* No lock is held while the driver, or the library that reads policy files, is opened (see
 * driver_open()); several threads may read the options at once. They are read in silence first:
 * whether anything may be said, and where, is one of them. */
static void initialise(struct cfg_result *result)
{
    cfg_load(result, NULL, environ, say_nothing, NULL);
    bool open = driver_open(true);
    bool complaints = result->errors + result->warnings > 0;
    if (!settle(result, open) || !result->config.enable)
        return;
    if (complaints)
        cfg_load(result, NULL, environ, report, NULL);
    if (open)
        pthread_atfork(NULL, NULL, in_forked_child);
}

void shim_init(void)
{
    int saved = errno;

    if (initialising || atomic_load(&shim_state_) != SHIM_FRESH)
        return;
    /* Too large for the stack of a small thread. */
    struct cfg_result *result =
        mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED)
        return; /* the next call tries again */
    initialising = true;
    int cancel = cancel_defer();
    initialise(result);
    cancel_allow(cancel);
    initialising = false;
    munmap(result, sizeof *result);
    errno = saved;
}

const struct config *shim_config(void)
{
    return &loaded;
}

__attribute__((destructor)) static void at_exit(void)
{
    int saved = errno;

    /* A child cloned past pthread_atfork() has nothing of its own to say or to give back. */
    if (owner != getpid())
        return;
    /* A forked child speaks only if it used a device of its own accord. */
    if (atomic_load(&shim_state_) == SHIM_ENABLED && (!forked || stats_any_device()))
        stats_at_exit();
    claims_leave();
    errno = saved;
}
