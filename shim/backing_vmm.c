/* backing_vmm.c: physical host memory for cuMemCreate: the memory of a NUMA node, which the driver
 * maps and gives access to as it does with VRAM.
 *
 * What a host does with a handle is not to fail because its memory lies elsewhere (promise P2).
 * Attributes promise that much, and before anything is redirected a small allocation goes the whole
 * way on each device: create, map, access. A driver that refuses any of it keeps all such memory in
 * VRAM.
 */
#include "shim/backing.h"

#include "shim/claims.h"
#include "shim/hooks.h"
#include "shim/log.h"

#include <stdatomic.h>

enum state { UNTRIED, WORKS, FAILS };

/* What a device can do with host memory. */
static struct host_side {
    enum state state;
    int node;
    size_t granularity;
} sides[DEVICES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static CUmemAllocationProp elsewhere(const CUmemAllocationProp *asked, int node)
{
    CUmemAllocationProp prop = *asked;

    prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, node};
    prop.allocFlags.gpuDirectRDMACapable = 0;
    return prop;
}

/* The node next to the device; -1 where the system has but one (CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID),
 * which is node 0 then. Drivers had such memory, and told the node, before they had an attribute
 * for it: where they do not know that one, the trial alone says. */
static bool find_node(const struct device *d, int *node)
{
    int can;

    if (driver.cuDeviceGetAttribute(
            &can, CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, d->handle) ==
            CUDA_SUCCESS &&
        !can)
        return false;
    if (driver.cuDeviceGetAttribute(node, CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, d->handle) !=
        CUDA_SUCCESS)
        return false;
    *node = *node < 0 ? 0 : *node;
    return true;
}

static bool can_be_mapped(const struct device *d, const CUmemAllocationProp *host, size_t size)
{
    CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, d->ordinal},
                              CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle;
    CUdeviceptr address;
    bool works = false;

    if (driver.cuMemAddressReserve(&address, size, 0, 0, 0) != CUDA_SUCCESS)
        return false;
    if (driver.cuMemCreate(&handle, size, host, 0) == CUDA_SUCCESS) {
        if (driver.cuMemMap(address, size, 0, handle, 0) == CUDA_SUCCESS) {
            works = driver.cuMemSetAccess(address, size, &access, 1) == CUDA_SUCCESS;
            driver.cuMemUnmap(address, size);
        }
        driver.cuMemRelease(handle);
    }
    driver.cuMemAddressFree(address, size);
    return works;
}

/* With the smallest size that suits the device: what is made of it must suit the host. */
static bool try_out(const struct device *d, int *node, size_t *granularity)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, d->ordinal}};

    if (!find_node(d, node) ||
        driver.cuMemGetAllocationGranularity(granularity, &prop,
                                             CU_MEM_ALLOC_GRANULARITY_MINIMUM) != CUDA_SUCCESS)
        return false;
    prop = elsewhere(&prop, *node);
    return can_be_mapped(d, &prop, *granularity);
}

/* Once for each device; not while a stream captures, when a thread may be forbidden to. */
static struct host_side look_at(const struct device *d)
{
    struct host_side *side = &sides[d->ordinal];

    pthread_mutex_lock(&lock);
    if (side->state == UNTRIED && !context_capturing())
        side->state = try_out(d, &side->node, &side->granularity) ? WORKS : FAILS;
    struct host_side seen = *side;
    pthread_mutex_unlock(&lock);
    return seen;
}

static void warn_once(const struct device *d)
{
    static atomic_bool warned;

    if (!atomic_exchange(&warned, true))
        log_warn("cuda:%d: the driver has no host memory for cuMemCreate; VRAM is tried instead "
                 "(PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False makes PyTorch do without; "
                 "HYBRIDMEM_HOST_LIMIT and HYBRIDMEM_SYSTEM_RAM_PAD_GB say how much there is)",
                 d->ordinal);
}

bool backing_vmm_suits(const struct device *d, const struct alloc_request *request)
{
    struct host_side side = look_at(d);

    if (side.state == WORKS) /* or the driver refuses it, wherever it is to lie */
        return request->bytes % side.granularity == 0;
    warn_once(d);
    return false;
}

bool backing_vmm_node(const struct device *d, int *node, size_t *granularity)
{
    struct host_side side = look_at(d);

    *node = side.node;
    *granularity = side.granularity;
    return side.state == WORKS;
}

bool backing_vmm_create(struct device *d, const struct alloc_request *request, uint64_t room,
                        CUmemGenericAllocationHandle *handle)
{
    if (backing_host_count(request->bytes, room)) {
        CUmemAllocationProp prop = elsewhere(request->physical, sides[d->ordinal].node);
        if (driver.cuMemCreate(handle, request->bytes, &prop, 0) == CUDA_SUCCESS) {
            claims_settle(request->bytes);
            return true;
        }
        backing_host_uncount(request->bytes);
    }
    warn_once(d);
    return false;
}

void backing_vmm_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    for (int i = 0; i < DEVICES_MAX; i++)
        sides[i].state = UNTRIED;
}
