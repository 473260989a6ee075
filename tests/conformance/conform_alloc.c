/* conform_alloc.c: cuMemAlloc, cuMemFree, cuMemAllocPitch, cuMemAllocManaged.
 * Source of the rules: CUDA driver API, "Memory Management". */
#define CONF_GROUP "alloc"
#include "conform.h"

#include <pthread.h>

/* --- cuMemAlloc ---------------------------------------------------------------------------------
 */

CASE(zero_bytes, "cuMemAlloc: if bytesize is 0, CUDA_ERROR_INVALID_VALUE")
{
    CUdeviceptr p = 0x5a5a;

    IS(cu.MemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
    EQUAL(p, 0x5a5a);
}

CASE(null_pointer, "cuMemAlloc: a NULL dptr is CUDA_ERROR_INVALID_VALUE")
{
    IS(cu.MemAlloc(NULL, 512), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAlloc(NULL, 0), CUDA_ERROR_INVALID_VALUE);
}

static const struct {
    const char *name;
    size_t bytes;
} beyond[] = {
    {"SIZE_MAX", SIZE_MAX},
    {"SIZE_MAX-1", SIZE_MAX - 1},
    {"SIZE_MAX-511", SIZE_MAX - 511},
    {"SIZE_MAX-512", SIZE_MAX - 512},
    {"SIZE_MAX-2MiB", SIZE_MAX - 2 * MIB},
    {"2^63", (size_t)1 << 63},
    {"2^63-1", SIZE_MAX / 2},
    {"2^62", (size_t)1 << 62},
    {"2^52", (size_t)1 << 52},
};
CASES(more_than_any, beyond, "cuMemAlloc: what no memory can hold is CUDA_ERROR_OUT_OF_MEMORY")
{
    CUdeviceptr p = 0x5a5a;

    IS(cu.MemAlloc(&p, row->bytes), CUDA_ERROR_OUT_OF_MEMORY);
    EQUAL(p, 0x5a5a);
    conf_free(conf_alloc(512)); /* the error does not stay */
}

static const struct {
    const char *name;
    size_t bytes;
} sizes[] = {
    {"1", 1},
    {"2", 2},
    {"511", 511},
    {"512", 512},
    {"513", 513},
    {"4095", 4095},
    {"64KiB+1", 64 * KIB + 1},
    {"1MiB-1", MIB - 1},
    {"1MiB", MIB},
    {"1MiB+1", MIB + 1},
    {"2MiB-1", 2 * MIB - 1},
    {"2MiB", 2 * MIB},
    {"2MiB+1", 2 * MIB + 1},
    {"5MiB+3", 5 * MIB + 3},
};
CASES(every_byte, sizes, "cuMemAlloc: allocates bytesize bytes, each of which can be used")
{
    CUdeviceptr p = conf_alloc(row->bytes);

    conf_pattern_block(p, row->bytes, 1);
    CHECK(conf_patterned_block(p, row->bytes, 1));
    conf_free(p);
}

CASES(alignment, sizes, "Programming Guide: device memory is aligned to at least 256 bytes")
{
    CUdeviceptr p[8];

    for (int i = 0; i < 8; i++) {
        p[i] = conf_alloc(row->bytes);
        EQUAL(p[i] % 256, 0);
    }
    for (int i = 0; i < 8; i++)
        conf_free(p[i]);
}

CASE(apart, "cuMemAlloc: live blocks do not overlap, and keep their bytes")
{
    enum { COUNT = 40 };
    CUdeviceptr p[COUNT];
    size_t bytes[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        bytes[i] = (size_t)1 + i * 7919 % 100 * 1000;
        p[i] = conf_alloc(bytes[i]);
        conf_pattern_block(p[i], bytes[i], i);
        for (unsigned j = 0; j < i; j++)
            CHECK(p[i] + bytes[i] <= p[j] || p[j] + bytes[j] <= p[i]);
    }
    for (unsigned i = 0; i < COUNT; i += 2)
        conf_free(p[i]);
    for (unsigned i = 1; i < COUNT; i += 2)
        CHECK(conf_patterned_block(p[i], bytes[i], i));
    for (unsigned i = 0; i < COUNT; i += 2) {
        p[i] = conf_alloc(bytes[i]);
        MUST(cu.MemsetD8(p[i], 0, bytes[i]));
    }
    for (unsigned i = 1; i < COUNT; i += 2)
        CHECK(conf_patterned_block(p[i], bytes[i], i));
    for (unsigned i = 0; i < COUNT; i++)
        conf_free(p[i]);
}

CASE(by_kernel, "cuMemAlloc: the memory is on the device: kernels read and write it")
{
    const size_t words = 3 * MIB / 4;
    CUdeviceptr p = conf_alloc(3 * MIB), q = conf_alloc(3 * MIB);

    conf_fill(p, 40, words, NULL);
    conf_add(p, 2, words, NULL);
    conf_copy(q, p, words, NULL);
    CHECK(conf_holds(q, 42, words));
    conf_free(q);
    conf_free(p);
}

CASE(again_after_refusal, "cuMemAlloc: a failed allocation takes nothing and frees nothing")
{
    CUdeviceptr kept = conf_alloc(MIB), p = 0;
    size_t before, after, total;

    conf_pattern_block(kept, MIB, 7);
    MUST(cu.MemGetInfo(&before, &total));
    for (int i = 0; i < 20; i++)
        IS(cu.MemAlloc(&p, (size_t)1 << 50), CUDA_ERROR_OUT_OF_MEMORY);
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(before, after);
    CHECK(conf_patterned_block(kept, MIB, 7));
    conf_free(kept);
}

CASE(no_context, "cuMemAlloc: without a current context, CUDA_ERROR_INVALID_CONTEXT")
{
    CUdeviceptr p = 0;

    MUST(cu.CtxSetCurrent(NULL));
    IS(cu.MemAlloc(&p, 512), CUDA_ERROR_INVALID_CONTEXT);
    IS(cu.MemAlloc(&p, 4 * MIB), CUDA_ERROR_INVALID_CONTEXT);
    MUST(cu.CtxSetCurrent(conf.context));
}

CASE_BARE(before_init, "cuMemAlloc, cuMemFree: before cuInit, CUDA_ERROR_NOT_INITIALIZED")
{
    CUdeviceptr p = 0;

    IS(cu.MemAlloc(&p, 512), CUDA_ERROR_NOT_INITIALIZED);
    IS(cu.MemAlloc(&p, 4 * MIB), CUDA_ERROR_NOT_INITIALIZED);
    IS(cu.MemFree(0x10000), CUDA_ERROR_NOT_INITIALIZED);
}

CASE(addresses_again, "cuMemFree, cuMemAlloc: memory that was given back can be had again")
{
    size_t before, after, total;

    conf_free(conf_alloc(8 * MIB));
    MUST(cu.MemGetInfo(&before, &total));
    for (int i = 0; i < 200; i++)
        conf_free(conf_alloc(8 * MIB));
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(before, after);
}

/* --- cuMemFree ----------------------------------------------------------------------------------
 */

CASE(free_null, "cuMemFree: of 0 (not said by the driver API; cudaFree: \"no operation\")")
{
    SAW(cu.MemFree(0));
}

static const struct {
    const char *name;
    size_t bytes;
} two_sizes[] = {{"64KiB", 64 * KIB}, {"4MiB", 4 * MIB}};

CASES(free_twice, two_sizes, "cuMemFree: what was freed is CUDA_ERROR_INVALID_VALUE")
{
    CUdeviceptr p = conf_alloc(row->bytes), kept = conf_alloc(row->bytes);

    conf_pattern_block(kept, row->bytes, 3);
    conf_free(p);
    IS(cu.MemFree(p), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemFree(p), CUDA_ERROR_INVALID_VALUE);
    CHECK(conf_patterned_block(kept, row->bytes, 3));
    conf_free(kept);
}

static const struct {
    const char *name;
    size_t offset;
} inside[] = {{"+1", 1},
              {"+255", 255},
              {"+256", 256},
              {"+512", 512},
              {"+half", MIB},
              {"+64KiB", 64 * KIB},
              {"last byte", 2 * MIB - 1}};
CASES(free_inside, inside, "cuMemFree: dptr must have been returned by an allocation")
{
    CUdeviceptr p = conf_alloc(2 * MIB);

    conf_pattern_block(p, 2 * MIB, 5);
    IS(cu.MemFree(p + row->offset), CUDA_ERROR_INVALID_VALUE);
    CHECK(conf_patterned_block(p, 2 * MIB, 5));
    conf_free(p);
}

CASE(free_one_past, "cuMemFree: one past the end is not the block")
{
    CUdeviceptr p = conf_alloc(2 * MIB);
    CUdeviceptr base = 0;
    size_t bytes = 0;

    /* unless another block begins there */
    if (cu.MemGetAddressRange(&base, &bytes, p + 2 * MIB) != CUDA_SUCCESS)
        IS(cu.MemFree(p + 2 * MIB), CUDA_ERROR_INVALID_VALUE);
    CHECK(base != p);
    conf_free(p);
}

static char in_data[64];
static const struct {
    const char *name;
    CUdeviceptr address;
} foreign[] = {{"1", 1},
               {"page 1", 4096},
               {"nobody's", 0x123456000},
               {"the middle", 0x3fffffffffff},
               {"the kernel's", 0xffff800000000000},
               {"the last", UINT64_MAX},
               {"static data", (CUdeviceptr)(uintptr_t)in_data}};
CASES(free_foreign, foreign, "cuMemFree: an address that was never handed out")
{
    IS(cu.MemFree(row->address), CUDA_ERROR_INVALID_VALUE);
}

CASE(free_pinned, "cuMemFree: host memory is freed by cuMemFreeHost")
{
    void *pinned = NULL;

    MUST(cu.MemHostAlloc(&pinned, 4096, 0));
    memset(pinned, 1, 4096);
    REFUSED(cu.MemFree((CUdeviceptr)(uintptr_t)pinned));
    memset(pinned, 2, 4096);
    MUST(cu.MemFreeHost(pinned));
}

CASE(free_no_context, "cuMemFree: a block's own context is enough (the field: numba frees so)")
{
    CUdeviceptr p = conf_alloc(2 * MIB);
    CUresult result;

    MUST(cu.CtxSetCurrent(NULL));
    result = cu.MemFree(p);
    NOTE("%s", conf_result(result));
    MUST(cu.CtxSetCurrent(conf.context));
    if (result != CUDA_SUCCESS)
        conf_free(p);
}

/* Many, so that one of them must lie where the freed one lay, if that can be. */
CASES(free_waits, two_sizes, "cuMemFree: work that was enqueued before still has the memory")
{
    enum { COUNT = 40 };
    const size_t words = row->bytes / 4;
    CUdeviceptr p = conf_alloc(row->bytes), q = conf_alloc(row->bytes), next[COUNT];
    CUstream stream = conf_stream();

    MUST(cu.MemsetD32(p, 11, words));
    MUST(cu.CtxSynchronize());
    conf_spin(50000, stream);
    conf_copy(q, p, words, stream);
    conf_free(p);
    for (unsigned i = 0; i < COUNT; i++) {
        next[i] = conf_alloc(row->bytes);
        MUST(cu.MemsetD32(next[i], 100 + i, words));
    }
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_holds(q, 11, words));
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(conf_holds(next[i], 100 + i, words));
        conf_free(next[i]);
    }
    conf_free(q);
    conf_stream_end(stream);
}

static void *free_here(void *p)
{
    CUresult *result = p;
    CUdeviceptr block = *(CUdeviceptr *)((char *)p + 8);

    *result = cu.CtxSetCurrent(conf.context);
    if (*result == CUDA_SUCCESS)
        *result = cu.MemFree(block);
    return NULL;
}

CASE(free_other_thread, "cuMemFree: a context's memory is that of all threads which have it")
{
    struct {
        CUresult result;
        CUdeviceptr p;
    } box = {CUDA_ERROR_UNKNOWN, conf_alloc(3 * MIB)};
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, free_here, &box) == 0);
    pthread_join(thread, NULL);
    MUST(box.result);
    IS(cu.MemFree(box.p), CUDA_ERROR_INVALID_VALUE);
}

/* --- cuMemAllocPitch ----------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    size_t width, height;
    unsigned element;
} planes[] = {
    {"1x1", 1, 1, 4},
    {"3x5", 3, 5, 4},
    {"64x64", 64, 64, 4},
    {"511x2", 511, 2, 8},
    {"512x2", 512, 2, 8},
    {"513x2", 513, 2, 8},
    {"1000x1000", 1000, 1000, 16},
    {"4096x600", 4096, 600, 16},
    {"7777x333", 7777, 333, 8},
};
CASES(pitch_rows, planes, "cuMemAllocPitch: Height rows of at least WidthInBytes, pitch apart")
{
    CUdeviceptr p = 0, base = 0;
    size_t pitch = 0, bytes = 0;
    unsigned char last = 0;

    MUST(cu.MemAllocPitch(&p, &pitch, row->width, row->height, row->element));
    CHECK(pitch >= row->width);
    EQUAL(pitch % row->element, 0);
    EQUAL(p % 256, 0);
    MUST(cu.MemGetAddressRange(&base, &bytes, p));
    EQUAL(base, p);
    CHECK(bytes >= pitch * (row->height - 1) + row->width);
    NOTE("pitch %zu", pitch);
    MUST(cu.MemsetD2D8(p, pitch, 0x77, row->width, row->height));
    MUST(cu.MemcpyDtoH(&last, p + pitch * (row->height - 1) + row->width - 1, 1));
    EQUAL(last, 0x77);
    conf_free(p);
}

CASE(pitch_textures, "cuMemAllocPitch: the pitch suits 2D textures")
{
    CUdeviceptr p = 0;
    size_t pitch = 0;

    MUST(cu.MemAllocPitch(&p, &pitch, 1000, 8, 4));
    EQUAL(pitch % (size_t)conf_attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT), 0);
    conf_free(p);
}

static const struct {
    const char *name;
    size_t width, height;
    unsigned element;
    CUresult result;
} odd_planes[] = {
    {"no width", 0, 16, 4, CUDA_ERROR_INVALID_VALUE},
    {"no height", 16, 0, 4, CUDA_ERROR_INVALID_VALUE},
    {"element 0", 1024, 16, 0, CUDA_ERROR_INVALID_VALUE},
    {"element 1", 1024, 16, 1, CUDA_ERROR_INVALID_VALUE},
    {"element 2", 1024, 16, 2, CUDA_ERROR_INVALID_VALUE},
    {"element 3", 1024, 16, 3, CUDA_ERROR_INVALID_VALUE},
    {"element 5", 1024, 16, 5, CUDA_ERROR_INVALID_VALUE},
    {"element 12", 1024, 16, 12, CUDA_ERROR_INVALID_VALUE},
    {"element 32", 1024, 16, 32, CUDA_ERROR_INVALID_VALUE},
};
CASES(pitch_refused, odd_planes, "cuMemAllocPitch: ElementSizeBytes is 4, 8 or 16")
{
    CUdeviceptr p = 0x5a5a;
    size_t pitch = 0;

    IS(cu.MemAllocPitch(&p, &pitch, row->width, row->height, row->element), row->result);
    EQUAL(p, 0x5a5a);
}

static const struct {
    const char *name;
    size_t width, height;
} huge_planes[] = {
    {"2^40 x 2^20", (size_t)1 << 40, (size_t)1 << 20},
    {"2^32 x 2^32", (size_t)1 << 32, (size_t)1 << 32},
    {"SIZE_MAX x 1", SIZE_MAX, 1},
    {"SIZE_MAX-511 x 2", SIZE_MAX - 511, 2},
    {"512 x 2^55", 512, (size_t)1 << 55},
    {"513 x SIZE_MAX", 513, SIZE_MAX},
};
CASES(pitch_beyond, huge_planes, "cuMemAllocPitch: sizes whose product wraps are refused")
{
    CUdeviceptr p = 0x5a5a;
    size_t pitch = 0;

    REFUSED(cu.MemAllocPitch(&p, &pitch, row->width, row->height, 4));
    EQUAL(p, 0x5a5a);
}

CASE(pitch_null, "cuMemAllocPitch: NULL results are CUDA_ERROR_INVALID_VALUE")
{
    CUdeviceptr p = 0;
    size_t pitch = 0;

    IS(cu.MemAllocPitch(NULL, &pitch, 64, 64, 4), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAllocPitch(&p, NULL, 64, 64, 4), CUDA_ERROR_INVALID_VALUE);
}

/* --- cuMemAllocManaged --------------------------------------------------------------------------
 */

CASE(managed_both_sides, "cuMemAllocManaged: one pointer for host and device")
{
    CUdeviceptr p = 0;
    uint32_t *words;

    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
        conf_skip("no managed memory here");
    MUST(cu.MemAllocManaged(&p, MIB, CU_MEM_ATTACH_GLOBAL));
    words = (uint32_t *)(uintptr_t)p;
    for (size_t i = 0; i < MIB / 4; i++)
        words[i] = 5;
    conf_add(p, 6, MIB / 4, NULL);
    MUST(cu.CtxSynchronize());
    CHECK(words[0] == 11 && words[MIB / 4 - 1] == 11);
    CHECK(conf_holds(p, 11, MIB / 4));
    conf_free(p);
    IS(cu.MemFree(p), CUDA_ERROR_INVALID_VALUE);
}

static const struct {
    const char *name;
    size_t bytes;
    unsigned flags;
} odd_managed[] = {
    {"no bytes", 0, CU_MEM_ATTACH_GLOBAL},
    {"no flags", MIB, 0},
    {"single", MIB, CU_MEM_ATTACH_SINGLE},
    {"two flags", MIB, CU_MEM_ATTACH_GLOBAL | CU_MEM_ATTACH_HOST},
    {"unknown flag", MIB, 0x100},
};
CASES(managed_refused, odd_managed,
      "cuMemAllocManaged: 0 bytes, and flags but one of GLOBAL and HOST, are INVALID_VALUE")
{
    CUdeviceptr p = 0;

    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
        conf_skip("no managed memory here");
    IS(cu.MemAllocManaged(&p, row->bytes, row->flags), CUDA_ERROR_INVALID_VALUE);
}

CASE(managed_null, "cuMemAllocManaged: a NULL dptr is CUDA_ERROR_INVALID_VALUE")
{
    IS(cu.MemAllocManaged(NULL, MIB, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_INVALID_VALUE);
}

CASE(managed_host, "cuMemAllocManaged: CU_MEM_ATTACH_HOST is initially the host's")
{
    CUdeviceptr p = 0;

    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
        conf_skip("no managed memory here");
    MUST(cu.MemAllocManaged(&p, MIB, CU_MEM_ATTACH_HOST));
    memset((void *)(uintptr_t)p, 1, MIB);
    conf_free(p);
}

CASE(managed_moves, "cuMemPrefetchAsync, cuMemAdvise: hints; the bytes stay")
{
    CUdeviceptr p = 0;

    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS))
        conf_skip("no concurrent managed access here");
    NEEDS(MemPrefetchAsync);
    MUST(cu.MemAllocManaged(&p, MIB, CU_MEM_ATTACH_GLOBAL));
    conf_pattern((void *)(uintptr_t)p, MIB, 9);
    MUST(cu.MemPrefetchAsync(p, MIB, conf.device, NULL));
    MUST(cu.MemAdvise(p, MIB, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, conf.device));
    MUST(cu.MemPrefetchAsync(p, MIB, CU_DEVICE_CPU, NULL));
    MUST(cu.CtxSynchronize());
    CHECK(conf_patterned((void *)(uintptr_t)p, MIB, 9));
    conf_free(p);
}

CASE(managed_not_managed, "cuMemPrefetchAsync, cuMemAdvise: only managed memory has hints")
{
    CUdeviceptr p = conf_alloc(2 * MIB);

    NEEDS(MemPrefetchAsync);
    IS(cu.MemPrefetchAsync(p, 2 * MIB, conf.device, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemAdvise(p, 2 * MIB, CU_MEM_ADVISE_SET_READ_MOSTLY, conf.device),
       CUDA_ERROR_INVALID_VALUE);
    conf_free(p);
}
