/* What NVML and the driver say of one device's memory, as lines "what total free used": before CUDA
 * is in use, with a context, with BLOCKS blocks. NVML is asked by direct link ("nvml", "nvml2") and
 * by dlsym ("dlsym"), of the card by its index, its UUID and its place on the bus; whatever it says
 * adds up.
 *
 *   host_nvml_memory DEVICE CARD       as CUDA counts, as NVML counts
 */
#define HOST_DIRECT
#include "host.h"

#include <dlfcn.h>
#include <nvml.h>

#define BLOCKS 4
#define SIZE   ((size_t)64 << 20)

typedef nvmlReturn_t memory_fn(nvmlDevice_t, nvmlMemory_t *);

static nvmlDevice_t card, by_uuid, by_bus;

static void say(const char *when, const char *who, unsigned long long total,
                unsigned long long free_bytes, unsigned long long used)
{
    printf("%s %s %llu %llu %llu\n", when, who, total, free_bytes, used);
}

static void ask_nvml(const char *when)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    memory_fn *by_name = (memory_fn *)dlsym(library, "nvmlDeviceGetMemoryInfo");
    nvmlMemory_v2_t v2 = {.version = nvmlMemory_v2};
    nvmlMemory_t v1 = {0}, found = {0};

    REQUIRE(nvmlDeviceGetMemoryInfo(card, &v1) == NVML_SUCCESS);
    REQUIRE(nvmlDeviceGetMemoryInfo_v2(card, &v2) == NVML_SUCCESS);
    REQUIRE(by_name && by_name(card, &found) == NVML_SUCCESS);
    REQUIRE(v1.total == v1.free + v1.used);
    REQUIRE(v2.total == v2.free + v2.used + v2.reserved);
    say(when, "nvml", v1.total, v1.free, v1.used);
    say(when, "nvml2", v2.total, v2.free, v2.used + v2.reserved);
    say(when, "dlsym", found.total, found.free, found.used);
    REQUIRE(nvmlDeviceGetMemoryInfo(by_uuid, &v1) == NVML_SUCCESS);
    say(when, "uuid", v1.total, v1.free, v1.used);
    REQUIRE(nvmlDeviceGetMemoryInfo(by_bus, &v1) == NVML_SUCCESS);
    say(when, "bus", v1.total, v1.free, v1.used);
    REQUIRE(nvmlDeviceGetMemoryInfo(card, NULL) == NVML_ERROR_INVALID_ARGUMENT);
    v2.version = 1;
    REQUIRE(nvmlDeviceGetMemoryInfo_v2(card, &v2) == NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    dlclose(library);
}

static void find_card(unsigned index)
{
    char uuid[NVML_DEVICE_UUID_BUFFER_SIZE], bus[32];

    REQUIRE(nvmlDeviceGetHandleByIndex_v2(index, &card) == NVML_SUCCESS);
    REQUIRE(nvmlDeviceGetUUID(card, uuid, sizeof uuid) == NVML_SUCCESS);
    REQUIRE(nvmlDeviceGetHandleByUUID(uuid, &by_uuid) == NVML_SUCCESS);
    snprintf(bus, sizeof bus, "00000000:%02X:00.0", index + 1); /* the simulated card's */
    REQUIRE(nvmlDeviceGetHandleByPciBusId_v2(bus, &by_bus) == NVML_SUCCESS);
}

static void ask_cuda(const char *when)
{
    size_t free_bytes, total;

    MUST(cuMemGetInfo(&free_bytes, &total));
    say(when, "cuda", total, free_bytes, total - free_bytes);
}

int main(int argc, char **argv)
{
    CUdeviceptr block[BLOCKS];
    CUdevice device;
    CUcontext context;

    REQUIRE(argc == 3);
    host.cu = &host_direct;
    REQUIRE(nvmlInit_v2() == NVML_SUCCESS);
    find_card((unsigned)atoi(argv[2]));
    ask_nvml("before");
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, atoi(argv[1])));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    ask_cuda("empty");
    ask_nvml("empty");
    for (int i = 0; i < BLOCKS; i++)
        MUST(cuMemAlloc(&block[i], SIZE));
    ask_cuda("full");
    ask_nvml("full");
    for (int i = 0; i < BLOCKS; i++)
        MUST(cuMemFree(block[i]));
    MUST(cuDevicePrimaryCtxRelease(device));
    REQUIRE(nvmlShutdown() == NVML_SUCCESS);
    return 0;
}
