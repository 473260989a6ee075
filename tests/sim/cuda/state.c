/* state.c: start, end, fork, the lock, the dice. */
#include "cost.h"
#include "gate.h"
#include "impl.h"

#include <errno.h>
#include <time.h>

pthread_mutex_t sim_lock = PTHREAD_MUTEX_INITIALIZER;
__thread int sim_cancel_state;
pthread_cond_t sim_progress = PTHREAD_COND_INITIALIZER;
atomic_bool sim_initialised, sim_finished, sim_usable;
atomic_int sim_gate = GATE_CLOSED;

static uint64_t random_state;

uint64_t sim_random_locked(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

uint64_t sim_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void start_once(void)
{
    sim_settings_read();
    if (getenv("CUDA_VISIBLE_DEVICES"))
        sim_settings_hide_cards(getenv("CUDA_VISIBLE_DEVICES"));
    random_state = sim_settings.seed * 0x9e3779b97f4a7c15u + 1;
    fault_start();
    log_start();
    cost_start();
    if (sim_settings.null)
        null_start();
    atomic_store(&sim_gate, fault_any() || log_any() ? GATE_WATCHED : GATE_OPEN);
}

void sim_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start_once);
}

/* A forked child has no worker threads and shares its parent's device: as with the real driver, an
 * initialised one is of no use in the child. */
static void before_fork(void)
{
    sim_enter();
}
static void after_fork_parent(void)
{
    sim_leave();
}
static void after_fork_child(void)
{
    sim_leave();
    atomic_store(&sim_initialised, false);
    atomic_store(&sim_usable, false);
    atomic_store(&sim_gate, GATE_FORKED);
}

static void initialise_once(void)
{
    sim_enter();
    device_start();
    sim_leave();
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    atomic_store(&sim_initialised, true);
    atomic_store(&sim_usable, true);
}

CUresult sim_init(unsigned int flags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&sim_gate) == GATE_FORKED)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!sim_settings.devices)
        return CUDA_ERROR_NO_DEVICE;
    pthread_once(&once, initialise_once);
    return CUDA_SUCCESS;
}

CUresult sim_driver_get_version(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = sim_driver_version;
    return CUDA_SUCCESS;
}

CUresult sim_not_supported(void)
{
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult sim_get_export_table(const void **table, const CUuuid *id)
{
    if (!table || !id)
        return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}

/* Whatever the streams are doing, the process ends: nothing here waits for them. */
__attribute__((destructor)) static void finish(void)
{
    struct timespec limit;

    if (!atomic_load(&sim_initialised) || atomic_exchange(&sim_finished, true))
        return;
    atomic_store(&sim_usable, false);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec++;
    if (pthread_mutex_timedlock(&sim_lock, &limit))
        return;
    report_leaks_locked();
    sim_leave();
}
