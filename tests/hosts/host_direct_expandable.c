/* What PyTorch does with expandable segments: a segment is a large reservation that physical memory
 * is mapped into in pieces as it grows, of 2 MiB in one segment and 20 MiB in the other, and that
 * gives pieces up in its middle when caches are emptied. Every piece is written and read through
 * the segment's one address, across the pieces' borders. Ends with what each piece says of itself.
 *
 * Arguments: rounds, pieces a segment, [late: the first piece before there is any context], [rdma:
 * memory that a network card may reach]
 */
#define HOST_DIRECT
#include "host.h"

#define MIB     ((size_t)1 << 20)
#define RESERVE ((size_t)1 << 36)
#define PIECES  256

struct segment {
    CUdeviceptr base;
    size_t piece;
    CUmemGenericAllocationHandle handle[PIECES]; /* 0: nothing is mapped */
};

static bool rdma;

/* As PyTorch has them: memory that can be handed to another process as a file descriptor; where the
 * card has it, for RDMA too. */
static CUmemAllocationProp properties(void)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                .allocFlags = {.gpuDirectRDMACapable = rdma}};
    return prop;
}

static CUdeviceptr at(const struct segment *s, int i)
{
    return s->base + (size_t)i * s->piece;
}

static CUresult grow(struct segment *s, int i)
{
    CUmemAllocationProp prop = properties();
    CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUresult result = cuMemCreate(&s->handle[i], s->piece, &prop, 0);

    if (result != CUDA_SUCCESS) {
        s->handle[i] = 0;
        return result;
    }
    MUST(cuMemMap(at(s, i), s->piece, 0, s->handle[i], 0));
    MUST(cuMemSetAccess(at(s, i), s->piece, &access, 1));
    return CUDA_SUCCESS;
}

static void shrink(struct segment *s, int i)
{
    MUST(cuMemUnmap(at(s, i), s->piece));
    MUST(cuMemRelease(s->handle[i]));
    s->handle[i] = 0;
}

static void must_grow(struct segment *s, int i, const char *name)
{
    CUresult result = grow(s, i);

    if (result == CUDA_SUCCESS)
        return;
    printf("%s: piece %d: %s\n", name, i, host_name(result));
    exit(1);
}

/* Pieces [from, to) as one block. */
static void use(const struct segment *s, int from, int to, unsigned block)
{
    size_t size = (size_t)(to - from) * s->piece;
    uint32_t *words = malloc(size);

    REQUIRE(words != NULL);
    host_fill_block(at(s, from), size, block, NULL);
    REQUIRE(host_check_block(at(s, from), size, block, host.result, NULL) == 0);
    MUST(cuMemcpyDtoH(words, at(s, from), size));
    REQUIRE(host_check_words(words, size, block) == 0);
    MUST(cuMemsetD8(at(s, from), 0, size));
    MUST(cuMemcpyHtoD(at(s, from), words, size));
    REQUIRE(host_check_block(at(s, from), size, block, host.result, NULL) == 0);
    free(words);
}

/* Every other piece goes and comes back; those beside it keep what they hold. */
static void churn(struct segment *s, int pieces, unsigned block)
{
    for (int i = 0; i < pieces; i++)
        host_fill_block(at(s, i), s->piece, block + (unsigned)i, NULL);
    MUST(cuCtxSynchronize());
    for (int i = 1; i < pieces; i += 2)
        shrink(s, i);
    for (int i = 1; i < pieces; i += 2)
        must_grow(s, i, "again");
    for (int i = 0; i < pieces; i += 2)
        REQUIRE(host_check_block(at(s, i), s->piece, block + (unsigned)i, host.result, NULL) == 0);
}

static void describe(const struct segment *s, int i)
{
    CUmemGenericAllocationHandle again;
    CUmemAllocationProp prop;
    CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    unsigned int type = 0;
    int ordinal = -1;
    unsigned long long access = 0;
    uint64_t start = 0, size = 0, mapped = 0, bytes = 0, pointer = 0, types = 0;
    CUpointer_attribute names[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                   CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                   CU_POINTER_ATTRIBUTE_HOST_POINTER};
    void *into[] = {&type, &ordinal, &pointer};
    CUdeviceptr p = at(s, i) + s->piece - 1;

    MUST(cuMemGetAllocationPropertiesFromHandle(&prop, s->handle[i]));
    MUST(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)p));
    REQUIRE(again == s->handle[i]);
    MUST(cuMemRelease(again));
    MUST(cuMemGetAccess(&access, &device, p));
    printf("properties: type %d, handles %d, location %d %d; access %llu\n", (int)prop.type,
           (int)prop.requestedHandleTypes, (int)prop.location.type, prop.location.id, access);
    host_show("memory type", cuPointerGetAttribute(&type, names[0], p));
    host_show("ordinal", cuPointerGetAttribute(&ordinal, names[1], p));
    printf("memory type %u, ordinal %d\n", type, ordinal);
    host_show("host pointer", cuPointerGetAttribute(&pointer, names[2], p));
    type = 0, ordinal = -1, pointer = 1;
    MUST(cuPointerGetAttributes(3, names, into, p));
    printf("at once: memory type %u, ordinal %d, host pointer %llu\n", type, ordinal,
           (unsigned long long)pointer);
    MUST(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p));
    MUST(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p));
    MUST(cuPointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR, p));
    MUST(cuPointerGetAttribute(&bytes, CU_POINTER_ATTRIBUTE_MAPPING_SIZE, p));
    MUST(cuPointerGetAttribute(&types, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, p));
    printf("range %+lld, %llu bytes; mapping %+lld, %llu bytes; handle types %llu\n",
           (long long)(start - s->base), (unsigned long long)size, (long long)(mapped - s->base),
           (unsigned long long)bytes, (unsigned long long)types);
}

/* The CPU is not let at a device's memory. */
static void host_access(const struct segment *s, int i)
{
    CUmemAccessDesc both[2] = {
        {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
        {{CU_MEM_LOCATION_TYPE_HOST_NUMA, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE}};

    host_show("access for the CPU", cuMemSetAccess(at(s, i), s->piece, both, 2));
    host_show("access for the device", cuMemSetAccess(at(s, i), s->piece, both, 1));
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 2, pieces = argc > 2 ? atoi(argv[2]) : 4;
    struct segment small = {.piece = 2 * MIB}, large = {.piece = 20 * MIB};
    CUmemAllocationProp prop = properties();
    size_t granularity = 0;

    rdma = argc > 4;
    REQUIRE(pieces > 1 && pieces <= PIECES);
    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuMemGetAllocationGranularity(&granularity, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    REQUIRE(small.piece % granularity == 0);
    MUST(cuMemAddressReserve(&small.base, RESERVE, 0, 0, 0));
    MUST(cuMemAddressReserve(&large.base, RESERVE, 0, 0, 0));
    if (argc > 3) /* neither needs a context */
        must_grow(&small, 0, "without a context");
    host_open(&host_direct);
    for (int i = argc > 3; i < pieces; i++) {
        must_grow(&small, i, "small");
        must_grow(&large, i, "large");
    }
    if (argc > 3)
        must_grow(&large, 0, "large");
    for (int round = 0; round < rounds; round++) {
        use(&small, 0, pieces, (unsigned)round);
        use(&large, 0, pieces, 100 + (unsigned)round);
        churn(&small, pieces, 200);
        churn(&large, pieces, 300);
    }
    describe(&small, 0);
    describe(&large, pieces - 1);
    host_access(&large, pieces - 1);
    for (int i = 0; i < pieces; i++) {
        shrink(&large, i);
        if (i) /* a handle may go before its mapping */
            MUST(cuMemRelease(small.handle[i]));
    }
    MUST(cuMemUnmap(small.base, small.piece * (size_t)pieces));
    MUST(cuMemRelease(small.handle[0]));
    MUST(cuMemAddressFree(small.base, RESERVE));
    MUST(cuMemAddressFree(large.base, RESERVE));
    host_close();
    printf("done\n");
    return 0;
}
