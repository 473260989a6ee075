/* Loads models as ComfyUI does: maps each file, allocates a block for each tensor and uploads it
 * from the mapping; then allocates working memory and runs kernels over it, reading all weights.
 *
 *   host_direct_model WAY WORK [/FILE [OFFSET:BYTES]...]...   WORK: blocks of 8 MiB
 *
 * WAY: htod async unified 2d 3d batch attributes    the flavour of the copy
 *      chunks                            in pieces of 1 MiB
 *      staged                            through a pinned buffer: the source is no file
 *      reloaded                          all is freed and loaded once more
 *      again                             the same, after work has been done
 *      ordered                           stream-ordered allocation
 *      mapped                            addresses are reserved, physical memory is mapped there
 *      sets moves                        working memory is first set, or copied to, then uploaded
 * to
 */
#define HOST_DIRECT
#include "host.h"
#include "mapped.h"

#define WORK_SIZE (8u << 20)
#define BLOCKS    256

static const char *way;
static void *staging;
static size_t largest;

static struct tensor {
    const unsigned char *data; /* in the mapping */
    size_t bytes;
    CUdeviceptr address;
} tensors[BLOCKS];
static unsigned int count;

static bool is_way(const char *name)
{
    return strcmp(way, name) == 0;
}

static void upload_planes(CUdeviceptr to, const void *from, size_t bytes)
{
    if (is_way("2d")) {
        CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                           .srcHost = from,
                           .srcPitch = bytes / 32,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = to,
                           .dstPitch = bytes / 32,
                           .WidthInBytes = bytes / 32,
                           .Height = 32};
        MUST(cuMemcpy2D(&c));
    } else {
        CUDA_MEMCPY3D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                           .srcHost = from,
                           .srcPitch = bytes / 32,
                           .srcHeight = 8,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = to,
                           .dstPitch = bytes / 32,
                           .dstHeight = 8,
                           .WidthInBytes = bytes / 32,
                           .Height = 8,
                           .Depth = 4};
        MUST(cuMemcpy3D(&c));
    }
}

static void upload_with_attributes(CUdeviceptr to, const void *from, size_t bytes)
{
    CUdeviceptr source = (CUdeviceptr)(uintptr_t)from;
    CUmemcpyAttributes attributes = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    size_t first = 0;
    CUstream stream;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    if (is_way("batch"))
        MUST(cuMemcpyBatchAsync(&to, &source, &bytes, 1, &attributes, &first, 1, stream));
    else
        MUST(cuMemcpyWithAttributesAsync(to, source, bytes, &attributes, stream));
    MUST(cuStreamSynchronize(stream));
    MUST(cuStreamDestroy(stream));
}

static void upload(CUdeviceptr to, const void *from, size_t bytes)
{
    if (is_way("async")) {
        MUST(cuMemcpyHtoDAsync(to, from, bytes, NULL));
    } else if (is_way("unified")) {
        MUST(cuMemcpy(to, (CUdeviceptr)(uintptr_t)from, bytes));
    } else if (is_way("2d") || is_way("3d")) {
        upload_planes(to, from, bytes);
    } else if (is_way("batch") || is_way("attributes")) {
        upload_with_attributes(to, from, bytes);
    } else if (is_way("chunks")) {
        for (size_t at = 0, n; at < bytes; at += n) {
            n = bytes - at < 1u << 20 ? bytes - at : 1u << 20;
            MUST(cuMemcpyHtoD(to + at, (const char *)from + at, n));
        }
    } else if (is_way("staged")) {
        memcpy(staging, from, bytes);
        MUST(cuMemcpyHtoD(to, staging, bytes));
    } else {
        MUST(cuMemcpyHtoD(to, from, bytes));
    }
}

#define SEGMENT (2u << 20)

static size_t in_segments(size_t bytes)
{
    return (bytes + SEGMENT - 1) / SEGMENT * SEGMENT;
}

static CUresult map_segments(CUdeviceptr *address, size_t bytes)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle;
    CUresult r = cuMemCreate(&handle, in_segments(bytes), &prop, 0);

    if (r != CUDA_SUCCESS)
        return r;
    MUST(cuMemAddressReserve(address, in_segments(bytes), 0, 0, 0));
    MUST(cuMemMap(*address, in_segments(bytes), 0, handle, 0));
    MUST(cuMemRelease(handle));
    return cuMemSetAccess(*address, in_segments(bytes), &access, 1);
}

static CUresult allocate(CUdeviceptr *address, size_t bytes)
{
    if (is_way("mapped"))
        return map_segments(address, bytes);
    return is_way("ordered") ? cuMemAllocAsync(address, bytes, NULL) : cuMemAlloc(address, bytes);
}

static void release(CUdeviceptr address, size_t bytes)
{
    if (is_way("mapped")) {
        MUST(cuMemUnmap(address, in_segments(bytes)));
        MUST(cuMemAddressFree(address, in_segments(bytes)));
    } else {
        MUST(cuMemFree(address));
    }
}

static bool load(void)
{
    for (unsigned int i = 0; i < count; i++) {
        CUresult r = allocate(&tensors[i].address, tensors[i].bytes);

        if (r != CUDA_SUCCESS) {
            printf("tensor %u of %u: %s\n", i, count, host_name(r));
            return false;
        }
        upload(tensors[i].address, tensors[i].data, tensors[i].bytes);
    }
    return true;
}

static void unload(void)
{
    for (unsigned int i = 0; i < count; i++)
        release(tensors[i].address, tensors[i].bytes);
}

/* A tensor is copied into working memory by a kernel, and added to there; both are read back. */
static void work(unsigned int blocks, void *buffer)
{
    CUdeviceptr block[BLOCKS];

    for (unsigned int i = 0; i < blocks; i++) {
        MUST(allocate(&block[i], WORK_SIZE));
        if (is_way("sets"))
            MUST(cuMemsetD8(block[i], 1, WORK_SIZE));
        if (is_way("moves"))
            MUST(cuMemcpyDtoD(block[i], tensors[0].address, tensors[0].bytes));
        if (is_way("sets") || is_way("moves"))
            MUST(cuMemcpyHtoD(block[i], tensors[0].data, tensors[0].bytes));
        host_fill_block(block[i], WORK_SIZE, i, NULL);
    }
    for (unsigned int i = 0; i < blocks; i++) {
        const struct tensor *t = &tensors[i % count];
        size_t words = (t->bytes < WORK_SIZE ? t->bytes : WORK_SIZE) / 4;

        REQUIRE(host_check_block(block[i], WORK_SIZE, i, host.result, NULL) == 0);
        host_copy(block[i], t->address, words, NULL);
        MUST(cuMemcpyDtoH(buffer, block[i], words * 4));
        REQUIRE(memcmp(buffer, t->data, words * 4) == 0);
    }
    for (unsigned int i = 0; i < count; i++) {
        MUST(cuMemcpyDtoH(buffer, tensors[i].address, tensors[i].bytes));
        REQUIRE(memcmp(buffer, tensors[i].data, tensors[i].bytes) == 0);
    }
    for (unsigned int i = 0; i < blocks; i++)
        release(block[i], WORK_SIZE);
}

static void take_arguments(int argc, char **argv)
{
    const unsigned char *file = NULL;
    size_t size = 0;

    for (int i = 3; i < argc; i++) {
        if (argv[i][0] == '/') {
            file = map_file(argv[i], &size);
            continue;
        }
        char *end;
        size_t offset = strtoull(argv[i], &end, 10);
        size_t bytes = strtoull(end + 1, NULL, 10);
        REQUIRE(count < BLOCKS && *end == ':' && offset + bytes <= size);
        tensors[count++] = (struct tensor){.data = file + offset, .bytes = bytes};
        largest = bytes > largest ? bytes : largest;
    }
}

int main(int argc, char **argv)
{
    void *buffer;

    REQUIRE(argc > 4);
    way = argv[1];
    take_arguments(argc, argv);
    host_open(&host_direct);
    MUST(cuMemAllocHost(&staging, largest));
    buffer = malloc(largest > WORK_SIZE ? largest : WORK_SIZE);
    REQUIRE(buffer);
    if (is_way("reloaded") || is_way("again")) {
        if (!load())
            return 1;
        if (is_way("again"))
            work((unsigned int)atoi(argv[2]), buffer);
        unload();
    }
    if (!load())
        return 1;
    printf("%u tensors loaded\n", count);
    work((unsigned int)atoi(argv[2]), buffer);
    unload();
    free(buffer);
    MUST(cuMemFreeHost(staging));
    host_close();
    printf("done\n");
    return 0;
}
