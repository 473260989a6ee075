#include "shim/init.h"

#include "shim/core.h"
#include "shim/driver.h"
#include "shim/log.h"
#include "shim/stats.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

_Atomic enum shim_state shim_state_ = SHIM_FRESH;
__thread int shim_depth_;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool initialising;
static struct cfg_result loaded;
static pid_t owner;

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

/* CUDA does not survive fork() (CUDA C Programming Guide, "fork"): in the child every call is the
 * driver's to refuse, and the parent's memory is not ours to touch. */
static void in_forked_child(void)
{
    atomic_store(&shim_state_, SHIM_FORKED);
    core_forget_everything();
}

static void initialise(void)
{
    bool open;

    owner = getpid();
    /* First in silence: whether anything may be said, and where, is one of the options. */
    cfg_load(&loaded, NULL, environ, say_nothing, NULL);
    if (loaded.config.enable) {
        log_configure((enum cfg_log)loaded.config.log, loaded.config.log_file);
        if (loaded.errors + loaded.warnings)
            cfg_load(&loaded, NULL, environ, report, NULL);
    }
    open = driver_open(true);
    if (loaded.config.enable && open)
        pthread_atfork(NULL, NULL, in_forked_child);
    atomic_store_explicit(&shim_state_, loaded.config.enable && open ? SHIM_ENABLED : SHIM_DISABLED,
                          memory_order_release);
}

void shim_init(void)
{
    int saved = errno;

    if (initialising)
        return;
    pthread_mutex_lock(&lock);
    if (atomic_load(&shim_state_) == SHIM_FRESH) {
        initialising = true;
        initialise();
        initialising = false;
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

const struct config *shim_config(void)
{
    return &loaded.config;
}

bool shim_owns_process(void)
{
    return owner == getpid();
}

__attribute__((destructor)) static void at_exit(void)
{
    int saved = errno;
    if (atomic_load(&shim_state_) == SHIM_ENABLED && shim_owns_process())
        stats_at_exit();
    errno = saved;
}
