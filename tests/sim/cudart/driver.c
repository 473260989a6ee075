/* driver.c: finding the driver, and the primary context of each device. */
#include "cudart.h"

#include <dlfcn.h>
#include <pthread.h>

/* NVIDIA's runtime imports the first versions, whatever glibc it meets (readelf of libcudart.so
 * 11, 12 and 13). */
#if defined(__x86_64__)
#define FIRST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define FIRST_GLIBC "GLIBC_2.17"
#else
#error "only x86_64 and aarch64"
#endif
void *first_dlsym(void *handle, const char *name);
void *first_dlvsym(void *handle, const char *name, const char *version);
__asm__(".symver first_dlsym, dlsym@" FIRST_GLIBC);
__asm__(".symver first_dlvsym, dlvsym@" FIRST_GLIBC);

/* The first driver with cuGetProcAddress, or the first of the same major version. */
#define DRIVER_NEEDED (SIM_CUDART_VERSION < 12000 ? 11030 : SIM_CUDART_VERSION / 1000 * 1000)
/* The version that the functions in RT_DRIVER are asked for at: some change their parameters in 13.
 */
#define DRIVER_SPOKEN (DRIVER_NEEDED < 12000 ? DRIVER_NEEDED : 12000)
#define DEVICES_MAX   64

typedef CUresult get_proc_v1_fn(const char *, void **, int, cuuint64_t);
typedef CUresult get_proc_v2_fn(const char *, void **, int, cuuint64_t,
                                CUdriverProcAddressQueryResult *);

static struct {
    pthread_once_t once;
    cudaError_t error;
    get_proc_v1_fn *get_v1;
    get_proc_v2_fn *get_v2;
    int version;
    int devices;
    struct rt_driver table[2];
} rt = {.once = PTHREAD_ONCE_INIT};

static pthread_mutex_t primary_lock = PTHREAD_MUTEX_INITIALIZER;
static CUcontext primary[DEVICES_MAX];
static __thread int current_device;

CUresult rt_look_up(const char *symbol, void **fn, unsigned int version, unsigned long long flags,
                    CUdriverProcAddressQueryResult *status)
{
    int capped = rt.version && (int)version > rt.version ? rt.version : (int)version;
    CUdriverProcAddressQueryResult unused;
    CUresult result;

    *fn = NULL;
    if (rt.get_v2)
        return rt.get_v2(symbol, fn, capped, flags, status ? status : &unused);
    result = rt.get_v1(symbol, fn, capped, flags);
    if (status)
        *status = result == CUDA_SUCCESS ? CU_GET_PROC_ADDRESS_SUCCESS
                                         : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return result;
}

static bool fill_table(struct rt_driver *table, unsigned long long flags)
{
    bool complete = true;

#define LOOK_UP(symbol, base)                                                                      \
    complete &=                                                                                    \
        rt_look_up(#base, (void **)&table->base, DRIVER_SPOKEN, flags, NULL) == CUDA_SUCCESS;
    RT_DRIVER(LOOK_UP)
#undef LOOK_UP
    return complete;
}

static cudaError_t open_driver(void)
{
    void *handle;
    CUresult result;

    /* As in NVIDIA's: names of libc are looked up by version too. */
    if (!first_dlvsym(RTLD_DEFAULT, "gnu_get_libc_version", FIRST_GLIBC))
        return cudaErrorInitializationError;
    handle = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!handle)
        return cudaErrorInsufficientDriver;
    rt.get_v2 = (get_proc_v2_fn *)first_dlsym(handle, "cuGetProcAddress_v2");
    rt.get_v1 = (get_proc_v1_fn *)first_dlsym(handle, "cuGetProcAddress");
    if (!rt.get_v2 && !rt.get_v1)
        return cudaErrorInsufficientDriver;
    if (rt_look_up("cuDriverGetVersion", (void **)&rt.table[RT_LEGACY].cuDriverGetVersion, 2020, 0,
                   NULL) != CUDA_SUCCESS ||
        rt.table[RT_LEGACY].cuDriverGetVersion(&rt.version) != CUDA_SUCCESS ||
        rt.version < DRIVER_NEEDED)
        return cudaErrorInsufficientDriver;
    if (!fill_table(&rt.table[RT_LEGACY], CU_GET_PROC_ADDRESS_LEGACY_STREAM) ||
        !fill_table(&rt.table[RT_PER_THREAD], CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM))
        return cudaErrorInsufficientDriver;
    result = rt.table[RT_LEGACY].cuInit(0);
    if (result != CUDA_SUCCESS)
        return rt_error(result);
    result = rt.table[RT_LEGACY].cuDeviceGetCount(&rt.devices);
    if (result != CUDA_SUCCESS)
        return rt_error(result);
    return rt.devices ? cudaSuccess : cudaErrorNoDevice;
}

static void open_once(void)
{
    rt.error = open_driver();
}

cudaError_t rt_driver(enum rt_flavour flavour, const struct rt_driver **driver)
{
    pthread_once(&rt.once, open_once);
    *driver = &rt.table[flavour];
    return rt.error;
}

static CUresult retain_primary(const struct rt_driver *driver, int device, CUcontext *context)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&primary_lock);
    if (!primary[device])
        result = driver->cuDevicePrimaryCtxRetain(&primary[device], device);
    *context = primary[device];
    pthread_mutex_unlock(&primary_lock);
    return result;
}

cudaError_t rt_context(enum rt_flavour flavour, const struct rt_driver **driver)
{
    cudaError_t error = rt_driver(flavour, driver);
    CUcontext context;
    CUresult result;

    if (error != cudaSuccess)
        return error;
    result = (*driver)->cuCtxGetCurrent(&context);
    if (result != CUDA_SUCCESS || context)
        return rt_error(result);
    result = retain_primary(*driver, current_device, &context);
    if (result == CUDA_SUCCESS)
        result = (*driver)->cuCtxSetCurrent(context);
    return rt_error(result);
}

void rt_forget(int device)
{
    pthread_mutex_lock(&primary_lock);
    primary[device] = NULL;
    pthread_mutex_unlock(&primary_lock);
}

int rt_device(void)
{
    return current_device;
}

/* Since CUDA 12, cudaSetDevice makes the primary context at once. */
cudaError_t rt_set_device(int device)
{
    const struct rt_driver *driver;
    cudaError_t error = rt_driver(RT_LEGACY, &driver);
    CUcontext context;
    CUresult result;

    if (error != cudaSuccess)
        return error;
    if (device < 0 || device >= rt.devices || device >= DEVICES_MAX)
        return cudaErrorInvalidDevice;
    result = retain_primary(driver, device, &context);
    if (result == CUDA_SUCCESS)
        result = driver->cuCtxSetCurrent(context);
    if (result == CUDA_SUCCESS)
        current_device = device;
    return rt_error(result);
}
