/* Physical memory by its handles: what is refused, how long it lives, who else may hold it, what it
 * says of itself; told by how much memory the driver has left after each step.
 */
#define HOST_DIRECT
#include "host.h"

#include <unistd.h>

#define MIB   ((size_t)1 << 20)
#define GRAIN (2 * MIB)

static const CUmemAllocationProp plain = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                          .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
static CUdeviceptr space; /* 64 MiB of addresses */

/* How much less memory there is than at the first call. */
static void left(const char *after)
{
    static size_t first;
    size_t free_now, total;

    MUST(cuMemGetInfo(&free_now, &total));
    if (!first)
        first = free_now;
    printf("%s: %lld MiB taken\n", after, (long long)(first - free_now) / (long long)MIB);
}

static CUmemGenericAllocationHandle create(size_t bytes, const CUmemAllocationProp *prop)
{
    CUmemGenericAllocationHandle handle = 0;

    MUST(cuMemCreate(&handle, bytes, prop, 0));
    return handle;
}

static void map(CUdeviceptr p, size_t bytes, CUmemGenericAllocationHandle handle)
{
    CUmemAccessDesc access = {plain.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

    MUST(cuMemMap(p, bytes, 0, handle, 0));
    MUST(cuMemSetAccess(p, bytes, &access, 1));
}

static void refused(void)
{
    CUmemGenericAllocationHandle handle = 0;
    CUmemAllocationProp prop = plain;

    host_show("no handle", cuMemCreate(NULL, GRAIN, &prop, 0));
    host_show("no properties", cuMemCreate(&handle, GRAIN, NULL, 0));
    host_show("no bytes", cuMemCreate(&handle, 0, &prop, 0));
    host_show("odd size", cuMemCreate(&handle, GRAIN + 512, &prop, 0));
    host_show("flags", cuMemCreate(&handle, GRAIN, &prop, 1));
    prop.location.id = 77;
    host_show("no such device", cuMemCreate(&handle, GRAIN, &prop, 0));
    prop = plain;
    prop.type = CU_MEM_ALLOCATION_TYPE_INVALID;
    host_show("no type", cuMemCreate(&handle, GRAIN, &prop, 0));
    prop = plain;
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_FABRIC;
    host_show("for a fabric", cuMemCreate(&handle, GRAIN, &prop, 0));
    host_show("more than there is", cuMemCreate(&handle, (size_t)1 << 46, &plain, 0));
    host_show("release of nothing", cuMemRelease(12345));
    host_show("unmap of nothing", cuMemUnmap(space, GRAIN));
    host_show("access to nothing", cuMemSetAccess(space, GRAIN, NULL, 0));
    host_show("handle of nothing", cuMemRetainAllocationHandle(&handle, (void *)space));
    left("what was refused");
}

static void lifetime(void)
{
    CUmemGenericAllocationHandle handle = create(4 * GRAIN, &plain), again;

    left("created");
    map(space, 4 * GRAIN, handle);
    map(space + 4 * GRAIN, 2 * GRAIN, handle); /* a part of it, at another address */
    host_fill(space + 4 * GRAIN, 0x5a5a5a5a, 2 * GRAIN / 4, NULL);
    REQUIRE(host_mismatches(space, 0x5a5a5a5a, 2 * GRAIN / 4, host.result, NULL) == 0);
    MUST(cuMemRelease(handle));
    host_show("released twice", cuMemRelease(handle));
    left("released, mapped");
    host_show("half a mapping", cuMemUnmap(space, 2 * GRAIN));
    left("half a mapping");
    MUST(cuMemUnmap(space, 4 * GRAIN));
    left("one mapping");
    MUST(cuMemRetainAllocationHandle(&again, (void *)(space + 5 * GRAIN)));
    REQUIRE(again == handle);
    MUST(cuMemUnmap(space + 4 * GRAIN, 2 * GRAIN));
    left("held again");
    MUST(cuMemRelease(again));
    left("gone");
}

/* Neighbours of several handles, and one unmap for all of them. */
static void several(void)
{
    CUmemGenericAllocationHandle handle[3];

    for (int i = 0; i < 3; i++) {
        handle[i] = create(GRAIN, &plain);
        map(space + (size_t)i * GRAIN, GRAIN, handle[i]);
    }
    MUST(cuMemRelease(handle[1]));
    host_fill_block(space, 3 * GRAIN, 7, NULL);
    REQUIRE(host_check_block(space, 3 * GRAIN, 7, host.result, NULL) == 0);
    host_show("past the end", cuMemsetD8(space + 2 * GRAIN, 0, GRAIN + 1));
    MUST(cuMemUnmap(space, 3 * GRAIN));
    left("several");
    MUST(cuMemRelease(handle[0]));
    MUST(cuMemRelease(handle[2]));
    left("several, gone");
}

static void handed_over(void)
{
    CUmemAllocationProp prop = plain;
    CUmemGenericAllocationHandle handle = create(GRAIN, &prop), other;
    int fd = -1;

    host_show("not to be exported", cuMemExportToShareableHandle(
                                        &fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    MUST(cuMemRelease(handle));
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    handle = create(GRAIN, &prop);
    host_show("exported", cuMemExportToShareableHandle(
                              &fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    host_show("imported", cuMemImportFromShareableHandle(&other, (void *)(intptr_t)fd,
                                                         CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    MUST(close(fd) == 0 ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN);
    MUST(cuMemRelease(handle));
    left("held by the import");
    map(space, GRAIN, other);
    MUST(cuMemRelease(other));
    MUST(cuMemUnmap(space, GRAIN));
    left("imported, gone");
}

static void kinds(void)
{
    CUmemGenericAllocationHandle handle, tiles;
    CUmemAllocationProp prop = plain, told;

    prop.allocFlags.compressionType = 1;
    handle = create(GRAIN, &prop);
    MUST(cuMemGetAllocationPropertiesFromHandle(&told, handle));
    printf("compressible: at %d %d\n", (int)told.location.type, told.location.id);
    prop = plain;
    prop.allocFlags.usage = 1; /* CU_MEM_CREATE_USAGE_TILE_POOL: for sparse arrays */
    tiles = create(GRAIN, &prop);
    left("tiles beside it");
    MUST(cuMemRelease(handle));
    MUST(cuMemRelease(tiles));
    prop = plain;
    prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
    handle = create(GRAIN, &prop);
    MUST(cuMemGetAllocationPropertiesFromHandle(&told, handle));
    printf("the host's own: at %d %d\n", (int)told.location.type, told.location.id);
    left("the host's own");
    MUST(cuMemRelease(handle));
}

/* Memory of the process, not of a context. */
static void outlives_its_context(void)
{
    CUmemGenericAllocationHandle handle = create(GRAIN, &plain);
    static uint32_t words[GRAIN / 4];

    map(space, GRAIN, handle);
    MUST(cuMemRelease(handle));
    host_fill_block(space, GRAIN, 3, NULL);
    MUST(cuCtxSynchronize());
    MUST(cuDevicePrimaryCtxReset(0));
    MUST(cuDevicePrimaryCtxRetain(&host.context, host.device));
    MUST(cuCtxSetCurrent(host.context));
    MUST(cuMemcpyDtoH(words, space, GRAIN));
    REQUIRE(host_check_words(words, GRAIN, 3) == 0);
    MUST(cuMemUnmap(space, GRAIN));
    printf("outlived its context\n");
}

int main(void)
{
    host_open(&host_direct);
    MUST(cuMemAddressReserve(&space, 64 * MIB, 0, 0, 0));
    left("at first");
    refused();
    lifetime();
    several();
    handed_over();
    kinds();
    left("in the end");
    outlives_its_context();
    MUST(cuMemAddressFree(space, 64 * MIB));
    MUST(cuDevicePrimaryCtxRelease(host.device));
    printf("done\n");
    return 0;
}
