#include "shim/host_budget.h"

#include "policy/policy.h"
#include "shim/cancel.h"
#include "shim/claims.h"
#include "shim/clock.h"
#include "shim/init.h"
#include "shim/log.h"
#include "shim/ram.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    bool polled;
    int64_t polled_ms;
    uint64_t total;
    uint64_t available; /* as if we held nothing */
    uint64_t spare;     /* what could be pinned at that moment, by whomever */
    bool joined;        /* tried to; not until something is redirected */
} ram = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- polls ----------------------------------------------------------------------------------- */

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Reads files, with locks held. */
static void poll_locked(void)
{
    struct ram seen;
    int cancel = cancel_defer();

    claims_look();
    if (!ram_read("", &seen) && !ram.polled)
        log_warn("/proc/meminfo cannot be read: nothing can be redirected to host memory");
    uint64_t ours = claims_look_again();
    ram.total = seen.total;
    /* What others have promised themselves is as good as gone. */
    ram.available = seen.total ? minus(seen.available, claims_in_flight()) + ours : 0;
    uint64_t pad = cfg_settings(shim_config(), 0, seen.total).system_ram_pad;
    ram.spare = pol_sys_avail(seen.available, pol_ram_pad(seen.total, pad));
    ram.polled = true;
    ram.polled_ms = clock_ms();
    cancel_allow(cancel);
}

void host_budget_view(struct pol_view *view, bool fresh)
{
    pthread_mutex_lock(&ram.lock);
    if (fresh || !ram.polled || clock_is_old(ram.polled_ms))
        poll_locked();
    view->ram_total = ram.total;
    view->ram_available = ram.available;
    pthread_mutex_unlock(&ram.lock);
}

/* --- promises -------------------------------------------------------------------------------- */

/* One file for all processes that see the same process ids; in a container with a /dev/shm of its
 * own that is the container's. A file of this name made by someone else is not used. */
static void join_locked(void)
{
    char path[64];
    struct stat ns = {0};

    ram.joined = true;
    stat("/proc/self/ns/pid", &ns);
    snprintf(path, sizeof path, "/dev/shm/hybridmem-%u-%lu", (unsigned)geteuid(),
             (unsigned long)ns.st_ino);
    if (!claims_join(path))
        log_info("%s cannot be used: what other processes are about to pin shows only when they "
                 "have (HYBRIDMEM_SYSTEM_RAM_PAD_GB is the margin for that)",
                 path);
    poll_locked(); /* what the others have promised counts from here on */
}

bool host_budget_reserve(uint64_t bytes)
{
    bool granted = false;

    pthread_mutex_lock(&ram.lock);
    if (!ram.joined)
        join_locked();
    /* Promised first, looked at then: of two processes at least one sees the other. If both do,
     * the second try comes after a poll, which also finds what was given back meanwhile. */
    for (int i = 0; i < 2 && !granted; i++) {
        if (i > 0)
            poll_locked();
        claims_reserve(bytes);
        granted = claims_growth() <= ram.spare;
        if (!granted)
            claims_release(bytes);
    }
    pthread_mutex_unlock(&ram.lock);
    return granted;
}

void host_budget_forget(void)
{
    pthread_mutex_init(&ram.lock, NULL);
    ram.polled = false;
    ram.joined = false;
    ram_after_fork();
    claims_after_fork();
}
