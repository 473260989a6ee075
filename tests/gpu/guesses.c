/* guesses.c: what the documentation leaves open about memory and what the library or the simulated
 * driver takes for granted: physical memory of a NUMA node, pools, and what counts as free. */
#include "tests/gpu/probe.h"
#include "tests/sim/include/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#define BYTES (4 * PROBE_MIB)

static const CUmemLocation node0 = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};

/* --- physical memory of a NUMA node --- */

static const struct place {
    const char *name;
    CUmemLocationType type;
    int handle_types;
    bool rdma;
} places[] = {
    {"device", CU_MEM_LOCATION_TYPE_DEVICE, 0, false},
    {"device, for RDMA", CU_MEM_LOCATION_TYPE_DEVICE, 0, true},
    {"HOST_NUMA", CU_MEM_LOCATION_TYPE_HOST_NUMA, 0, false},
    {"HOST_NUMA, for a descriptor", CU_MEM_LOCATION_TYPE_HOST_NUMA,
     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, false},
    {"HOST_NUMA, for RDMA", CU_MEM_LOCATION_TYPE_HOST_NUMA, 0, true},
    {"HOST_NUMA_CURRENT", CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, 0, false},
    {"HOST", CU_MEM_LOCATION_TYPE_HOST, 0, false},
};

static void answer(struct probe *p, const char *row, const struct place *place, CUresult result)
{
    probe_answer(p, "physical memory", row, place->name, "%s", probe_result(result));
}

/* Who may be given access, each in a mapping of its own; what the GPU then does there. */
static void access_to(struct probe *p, const struct probe_vmm *v, const struct place *place,
                      CUmemGenericAllocationHandle handle)
{
    const CUmemAccessDesc access[] = {{probe_here(p), CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
                                      {node0, CU_MEM_ACCESS_FLAGS_PROT_READWRITE}};
    static const struct {
        const char *name, *use;
        int first, count;
    } sets[] = {{"access for the device", "cuMemsetD8 then", 0, 1},
                {"access for the node", NULL, 1, 1},
                {"access for both", "cuMemsetD8 then, as well", 0, 2}};
    CUdeviceptr base = 0;

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        CUresult result = v->reserve(&base, BYTES, 0, 0, 0);
        if (result == CUDA_SUCCESS)
            result = v->map(base, BYTES, 0, handle, 0);
        if (result != CUDA_SUCCESS) {
            answer(p, "cuMemMap", place, result);
            return;
        }
        result = v->set_access(base, BYTES, access + sets[i].first, (size_t)sets[i].count);
        answer(p, sets[i].name, place, result);
        if (result == CUDA_SUCCESS && sets[i].use) {
            answer(p, sets[i].use, place, p->drv.cuMemsetD8(base, 0x5a, BYTES));
            if (sets[i].count == 1)
                probe_attributes_of(p, place->name, base);
        }
        p->drv.cuCtxSynchronize();
        v->unmap(base, BYTES);
        v->address_free(base, BYTES);
    }
}

static void descriptor_of(struct probe *p, const struct probe_vmm *v, const struct place *place,
                          CUmemGenericAllocationHandle handle)
{
    CUmemGenericAllocationHandle again = 0;
    int fd = -1;
    CUresult result = v->export(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);

    answer(p, "export as a descriptor", place, result);
    if (result != CUDA_SUCCESS)
        return;
    result = v->import(&again, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    answer(p, "import of the descriptor", place, result);
    if (result == CUDA_SUCCESS)
        v->release(again);
    close(fd);
}

static void place_answers(struct probe *p, const struct probe_vmm *v, const struct place *place)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .requestedHandleTypes =
                                    (CUmemAllocationHandleType)place->handle_types,
                                .location = {place->type, 0},
                                .allocFlags = {.gpuDirectRDMACapable = place->rdma}};
    CUmemGenericAllocationHandle handle = 0;
    size_t grain = 0;

    CUresult result = v->granularity(&grain, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
    probe_answer(p, "physical memory", "granularity", place->name, result ? "%s" : "%.0s%zu",
                 probe_result(result), grain);
    result = v->create(&handle, BYTES, &prop, 0);
    answer(p, "cuMemCreate", place, result);
    if (result != CUDA_SUCCESS)
        return;
    access_to(p, v, place, handle);
    descriptor_of(p, v, place, handle);
    answer(p, "cuMemRelease", place, v->release(handle));
}

void probe_host_numa(struct probe *p)
{
    static const struct {
        const char *name;
        int number;
    } attributes[] = {{"GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED (110)", 110},
                      {"MEMORY_POOLS_SUPPORTED (115)", 115},
                      {"HOST_NUMA_ID (134)", 134},
                      {"HOST_NUMA_MEMORY_POOLS_SUPPORTED (142)", 142},
                      {"HOST_MEMORY_POOLS_SUPPORTED (144)", 144},
                      {"HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED (145)", 145}};
    struct probe_vmm v;

    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        int value = 0;
        CUresult result = p->drv.cuDeviceGetAttribute(
            &value, (CUdevice_attribute)attributes[i].number, p->device);
        probe_answer(p, "device attributes", attributes[i].name, "value", result ? "%s" : "%.0s%d",
                     probe_result(result), value);
    }
    if (!probe_find_vmm(p, &v)) {
        probe_answer(p, "physical memory", "cuMemCreate and its kin", "answer", "absent");
        return;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        place_answers(p, &v, &places[i]);
}

/* --- pools --- */

static void pool_numbers(struct probe *p, CUmemoryPool pool, const char *when)
{
    __typeof__(&cuMemPoolGetAttribute) get = probe_symbol(p, "cuMemPoolGetAttribute");
    static const struct {
        const char *name;
        CUmemPool_attribute attribute;
    } numbers[] = {{"reserved", CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT},
                   {"reserved, most", CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH},
                   {"used", CU_MEMPOOL_ATTR_USED_MEM_CURRENT},
                   {"used, most", CU_MEMPOOL_ATTR_USED_MEM_HIGH}};

    for (size_t i = 0; get && i < sizeof numbers / sizeof numbers[0]; i++) {
        cuuint64_t value = 0;
        CUresult result = get(pool, numbers[i].attribute, &value);
        probe_answer(p, "the default pool's numbers", when, numbers[i].name,
                     result ? "%s" : "%.0s%llu", probe_result(result), (unsigned long long)value);
    }
}

void probe_pools(struct probe *p)
{
    __typeof__(&cuDeviceGetDefaultMemPool) default_pool =
        probe_symbol(p, "cuDeviceGetDefaultMemPool");
    __typeof__(&cuMemAllocAsync) alloc = probe_symbol(p, "cuMemAllocAsync");
    __typeof__(&cuMemFreeAsync) free_async = probe_symbol(p, "cuMemFreeAsync");
    __typeof__(&cuMemPoolTrimTo) trim = probe_symbol(p, "cuMemPoolTrimTo");
    CUmemoryPool pool;
    CUdeviceptr block = 0;
    CUstream stream;

    if (!default_pool || !alloc || !free_async || !trim ||
        default_pool(&pool, p->device) != CUDA_SUCCESS ||
        p->drv.cuStreamCreate(&stream, 1 /* non-blocking */) != CUDA_SUCCESS)
        return;
    pool_numbers(p, pool, "at first");
    if (alloc(&block, BYTES, stream) == CUDA_SUCCESS) {
        pool_numbers(p, pool, "after an allocation of 4 MiB");
        probe_attributes_of(p, "of a pool", block);
        probe_spin(p, stream);
        free_async(block, stream);
        pool_numbers(p, pool, "after its free behind a running kernel");
        probe_attributes_of(p, "of a pool, free enqueued", block);
        p->drv.cuStreamSynchronize(stream);
        pool_numbers(p, pool, "after the stream's synchronisation");
        probe_attributes_of(p, "of a pool, freed", block);
        trim(pool, 0);
        pool_numbers(p, pool, "after trimming to 0");
    }
    p->drv.cuStreamDestroy(stream);
}

/* --- what counts as free --- */

struct nvml {
    __typeof__(&nvmlDeviceGetMemoryInfo) info;
    __typeof__(&nvmlDeviceGetMemoryInfo_v2) info_v2;
    nvmlDevice_t device;
};

static bool find_nvml(struct nvml *n)
{
    void *handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return false;
    __typeof__(&nvmlInit_v2) init = (__typeof__(init))dlsym(handle, "nvmlInit_v2");
    __typeof__(&nvmlDeviceGetHandleByIndex_v2) by_index =
        (__typeof__(by_index))dlsym(handle, "nvmlDeviceGetHandleByIndex_v2");
    n->info = (__typeof__(n->info))dlsym(handle, "nvmlDeviceGetMemoryInfo");
    n->info_v2 = (__typeof__(n->info_v2))dlsym(handle, "nvmlDeviceGetMemoryInfo_v2");
    return init && by_index && n->info && n->info_v2 && init() == NVML_SUCCESS &&
           by_index(0, &n->device) == NVML_SUCCESS;
}

/* The card may be shared with others: differences, not absolute values, tell something. */
static void free_now(struct probe *p, const struct nvml *n, const char *when)
{
    const char *table = "free memory, bytes";
    size_t free_bytes = 0, total = 0;
    nvmlMemory_t one;
    nvmlMemory_v2_t two = {.version = nvmlMemory_v2};

    p->drv.cuCtxSynchronize();
    p->drv.cuMemGetInfo(&free_bytes, &total);
    probe_answer(p, table, when, "cuMemGetInfo free", "%zu", free_bytes);
    probe_answer(p, table, when, "total", "%zu", total);
    if (n && n->info(n->device, &one) == NVML_SUCCESS) {
        probe_answer(p, table, when, "NVML free", "%llu", one.free);
        probe_answer(p, table, when, "NVML total", "%llu", one.total);
        probe_answer(p, table, when, "NVML used", "%llu", one.used);
    }
    if (n && n->info_v2(n->device, &two) == NVML_SUCCESS) {
        probe_answer(p, table, when, "v2 reserved", "%llu", two.reserved);
        probe_answer(p, table, when, "v2 used", "%llu", two.used);
    }
}

void probe_free_memory(struct probe *p)
{
    static const struct {
        const char *name;
        size_t bytes; /* 0: p->big */
    } steps[] = {{"with 1 byte", 1},
                 {"with 1 MiB", PROBE_MIB},
                 {"with 3 MiB", 3 * PROBE_MIB},
                 {"with much", 0}};
    struct probe_block block;
    struct nvml nvml;
    bool has_nvml = find_nvml(&nvml);

    free_now(p, has_nvml ? &nvml : NULL, "at first");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!probe_make(p, PROBE_DEVICE, steps[i].bytes ? steps[i].bytes : p->big, &block))
            continue;
        free_now(p, has_nvml ? &nvml : NULL, steps[i].name);
        probe_drop(p, &block);
    }
    free_now(p, has_nvml ? &nvml : NULL, "at last");
}
