#include "shim/driver.h"

#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/resolve.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Before the driver is open: open it, then call what came to stand there. */
#define HOOK(group, symbol, base, since, flavour, params, args) CALL(symbol, params, args)
#define CALL(symbol, params, args)                                                                 \
    static CUresult boot_##symbol params                                                           \
    {                                                                                              \
        shim_init();                                                                               \
        return driver.symbol == boot_##symbol ? CUDA_ERROR_SHARED_OBJECT_INIT_FAILED               \
                                              : driver.symbol args;                                \
    }
#include "shim/hooks.def"
DRIVER_CALLS(CALL)
#undef CALL

/* Where the driver lacks the symbol. */
#define CALL(symbol, params, args)                                                                 \
    static CUresult missing_##symbol params                                                        \
    {                                                                                              \
        return CUDA_ERROR_NOT_FOUND;                                                               \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "shim/hooks.def"
DRIVER_CALLS(CALL)
#pragma GCC diagnostic pop
#undef CALL

#define CALL(symbol, params, args) .symbol = boot_##symbol,
struct driver_ops driver = {
#include "shim/hooks.def"
    DRIVER_CALLS(CALL)};
#undef CALL
#undef HOOK

struct hook hooks[HOOK_ROWS] = {
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    {#symbol, #base, since, HOOK_##flavour, (void *)symbol, (void **)&driver.symbol, false},
#define NVML_HOOK(group, symbol, base, since, params, args)                                        \
    {#symbol, #base, since, HOOK_NONE, (void *)symbol, (void **)&nvml.symbol, false},
#include "shim/hooks.def"
#undef HOOK
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool open_done;

static void *look_up(void *handle, const char *symbol, void *missing, bool *present)
{
    void *real = resolve_real_dlsym(handle, symbol);
    *present = real != NULL;
    return real ? real : missing;
}

/* What the driver has, by name. */
static void read_table(void *handle, struct driver_ops *table, bool present[HOOK_COUNT])
{
    bool ignored;
#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    table->symbol = (CUresult(*) params)look_up(handle, #symbol, (void *)missing_##symbol,         \
                                                &present[HOOK_##symbol]);
#define CALL(symbol, params, args)                                                                 \
    table->symbol =                                                                                \
        (CUresult(*) params)look_up(handle, #symbol, (void *)missing_##symbol, &ignored);
#include "shim/hooks.def"
    DRIVER_CALLS(CALL)
#undef HOOK
#undef CALL
}

static bool is_open(void)
{
    return atomic_load_explicit(&open_done, memory_order_acquire);
}

static void publish(const struct driver_ops *table, const bool present[HOOK_COUNT])
{
    pthread_mutex_lock(&lock);
    if (!is_open()) {
        driver = *table;
        for (int i = 0; i < HOOK_COUNT; i++)
            hooks[i].present = present[i];
        atomic_store_explicit(&open_done, true, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
}

static int is_driver(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *file = strrchr(info->dlpi_name, '/');
    (void)size;
    (void)arg;
    return strncmp(file ? file + 1 : info->dlpi_name, "libcuda.so", strlen("libcuda.so")) == 0;
}

/* dlopen(RTLD_NOLOAD) would search the file system for the name first. */
static bool is_in_process(void)
{
    return dl_iterate_phdr(is_driver, NULL);
}

bool driver_open(bool load)
{
    static __thread bool opening;

    /* The driver's own constructors may ask for a function by name while dlopen() runs them. */
    if (is_open() || opening || (!load && !is_in_process()))
        return is_open();
    /* No lock is held here: the loader has one of its own, and a constructor that it runs in
     * another thread may ask for one of our names. Several threads may read the table at once. */
    opening = true;
    void *handle = dlopen(DRIVER_SONAME, RTLD_LAZY | (load ? 0 : RTLD_NOLOAD));
    if (handle) {
        struct driver_ops table;
        bool present[HOOK_COUNT];
        read_table(handle, &table, present);
        publish(&table, present);
    }
    opening = false;
    return is_open();
}

void driver_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
}

/* Only a hint: a program that links the driver directly may call it from two threads at once, and
 * finds the pointers filled. */
__attribute__((constructor)) static void before_main(void)
{
    driver_open(false);
}
