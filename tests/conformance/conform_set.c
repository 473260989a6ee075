/* conform_set.c: cuMemset*. Source of the rules: CUDA driver API, "Memory Management". */
#define CONF_GROUP "set"
#include "conform.h"

#define BLOCK (2 * MIB)

typedef CUresult setter_call(CUdeviceptr dst, size_t count, CUstream stream);
typedef CUresult plane_call(CUdeviceptr dst, size_t pitch, size_t width, size_t height,
                            CUstream stream);

#define SETTER(name, ...)                                                                          \
    static CUresult name(CUdeviceptr dst, size_t count, __attribute__((unused)) CUstream stream)   \
    {                                                                                              \
        return __VA_ARGS__;                                                                        \
    }
#define PLANE(name, ...)                                                                           \
    static CUresult name(CUdeviceptr dst, size_t pitch, size_t width, size_t height,               \
                         __attribute__((unused)) CUstream stream)                                  \
    {                                                                                              \
        return __VA_ARGS__;                                                                        \
    }
SETTER(d8, cu.MemsetD8(dst, 0xa1, count))
SETTER(d16, cu.MemsetD16(dst, 0xa1b2, count))
SETTER(d32, cu.MemsetD32(dst, 0xa1b2c3d4, count))
SETTER(d8_async, cu.MemsetD8Async(dst, 0xa1, count, stream))
SETTER(d16_async, cu.MemsetD16Async(dst, 0xa1b2, count, stream))
SETTER(d32_async, cu.MemsetD32Async(dst, 0xa1b2c3d4, count, stream))
PLANE(d2d8, cu.MemsetD2D8(dst, pitch, 0xa1, width, height))
PLANE(d2d16, cu.MemsetD2D16(dst, pitch, 0xa1b2, width, height))
PLANE(d2d32, cu.MemsetD2D32(dst, pitch, 0xa1b2c3d4, width, height))
PLANE(d2d8_async, cu.MemsetD2D8Async(dst, pitch, 0xa1, width, height, stream))
PLANE(d2d16_async, cu.MemsetD2D16Async(dst, pitch, 0xa1b2, width, height, stream))
PLANE(d2d32_async, cu.MemsetD2D32Async(dst, pitch, 0xa1b2c3d4, width, height, stream))

static const unsigned char byte8[] = {0xa1};
static const unsigned char byte16[] = {0xb2, 0xa1};
static const unsigned char byte32[] = {0xd4, 0xc3, 0xb2, 0xa1};

static const struct setter {
    const char *name;
    setter_call *call;
    size_t size;
    const unsigned char *bytes;
    bool async;
} setters[] = {
    {"D8", d8, 1, byte8, false},
    {"D16", d16, 2, byte16, false},
    {"D32", d32, 4, byte32, false},
    {"D8Async", d8_async, 1, byte8, true},
    {"D16Async", d16_async, 2, byte16, true},
    {"D32Async", d32_async, 4, byte32, true},
};
static const struct plane {
    const char *name;
    plane_call *call;
    size_t size;
    const unsigned char *bytes;
} planes[] = {
    {"D2D8", d2d8, 1, byte8},
    {"D2D16", d2d16, 2, byte16},
    {"D2D32", d2d32, 4, byte32},
    {"D2D8Async", d2d8_async, 1, byte8},
    {"D2D16Async", d2d16_async, 2, byte16},
    {"D2D32Async", d2d32_async, 4, byte32},
};

static CUdeviceptr block(void)
{
    CUdeviceptr p = conf_alloc(BLOCK);

    MUST(cu.MemsetD8(p, 0xee, BLOCK));
    MUST(cu.CtxSynchronize());
    return p;
}

static unsigned char *contents(CUdeviceptr p)
{
    unsigned char *found = conf_memory(BLOCK);

    MUST(cu.MemcpyDtoH(found, p, BLOCK));
    return found;
}

static bool untouched(CUdeviceptr p)
{
    unsigned char *found = contents(p);
    bool all = true;

    for (size_t i = 0; i < BLOCK; i++)
        all = all && found[i] == 0xee;
    free(found);
    return all;
}

static void sets(const struct setter *setter, size_t offset, size_t count)
{
    CUdeviceptr p = block();
    CUstream stream = conf_stream();
    unsigned char *found;

    MUST(setter->call(p + offset, count, stream));
    conf_stream_end(stream);
    MUST(cu.CtxSynchronize());
    found = contents(p);
    for (size_t i = 0; i < BLOCK; i++)
        CHECK(found[i] == (i >= offset && i < offset + count * setter->size
                               ? setter->bytes[(i - offset) % setter->size]
                               : 0xee));
    free(found);
    conf_free(p);
}

CASES(whole, setters, "cuMemsetD*: N values from dstDevice on")
{
    sets(row, 0, BLOCK / row->size);
}

CASES(part, setters, "cuMemsetD*: N values and no byte beside them")
{
    sets(row, 4 * 1237, 12347);
}

CASES(last, setters, "cuMemsetD*: the last value of a block")
{
    sets(row, BLOCK - row->size, 1);
}

CASES(nothing, setters, "cuMemsetD*: N of 0 succeeds and does nothing")
{
    sets(row, 0, 0);
}

CASES(past_the_end, setters, "cuMemsetD*: what runs over the block's end is refused, whole")
{
    CUdeviceptr p = block();

    REFUSED(row->call(p + row->size, BLOCK / row->size, NULL));
    REFUSED(row->call(p, BLOCK / row->size + 1, NULL));
    MUST(cu.CtxSynchronize());
    CHECK(untouched(p));
    conf_free(p);
}

CASES(huge_count, setters, "cuMemsetD*: a count whose bytes wrap round is refused")
{
    CUdeviceptr p = block();

    REFUSED(row->call(p, SIZE_MAX, NULL));
    REFUSED(row->call(p, SIZE_MAX / row->size + (row->size > 1), NULL));
    REFUSED(row->call(p + 4096, SIZE_MAX / row->size - 7, NULL));
    CHECK(untouched(p));
    conf_free(p);
}

CASES(misaligned, setters, "cuMemsetD16, D32: dstDevice must be two-byte, four-byte aligned")
{
    CUdeviceptr p = block();

    if (row->size == 1) {
        MUST(row->call(p + 1, 16, NULL));
    } else {
        IS(row->call(p + 1, 16, NULL), CUDA_ERROR_INVALID_VALUE);
        if (row->size == 4)
            IS(row->call(p + 2, 16, NULL), CUDA_ERROR_INVALID_VALUE);
        MUST(cu.CtxSynchronize());
        CHECK(untouched(p));
    }
    MUST(cu.CtxSynchronize());
    conf_free(p);
}

CASES(after_free, setters, "cuMemsetD*: memory that was freed is no memory")
{
    CUdeviceptr p = block();

    conf_free(p);
    REFUSED(row->call(p, 16, NULL));
}

CASES(no_context, setters, "cuMemsetD*: without a current context, CUDA_ERROR_INVALID_CONTEXT")
{
    CUdeviceptr p = block();

    MUST(cu.CtxSetCurrent(NULL));
    IS(row->call(p, 16, NULL), CUDA_ERROR_INVALID_CONTEXT);
    MUST(cu.CtxSetCurrent(conf.context));
    conf_free(p);
}

CASES(in_order, setters, "Streams: a set follows what its stream was given before")
{
    CUdeviceptr p = block();
    CUstream stream = row->async ? conf_stream() : NULL;
    unsigned char *found;

    conf_spin(5000, stream);
    conf_fill(p, 0x03030303, BLOCK / 4, stream);
    MUST(row->call(p, MIB / row->size, stream));
    MUST(cu.CtxSynchronize());
    found = contents(p);
    CHECK(found[0] == row->bytes[0] && found[MIB - 1] == row->bytes[row->size - 1]);
    CHECK(found[MIB] == 3 && found[BLOCK - 1] == 3);
    free(found);
    if (stream)
        conf_stream_end(stream);
    conf_free(p);
}

static void sets_plane(const struct plane *plane, size_t offset, size_t pitch, size_t width,
                       size_t height)
{
    CUdeviceptr p = block();
    unsigned char *found;

    MUST(plane->call(p + offset, pitch, width, height, NULL));
    MUST(cu.CtxSynchronize());
    found = contents(p);
    for (size_t i = 0; i < BLOCK; i++) {
        size_t at = i - offset;
        bool in = i >= offset && at / pitch < height && at % pitch < width * plane->size;

        CHECK(found[i] == (in ? plane->bytes[at % pitch % plane->size] : 0xee));
    }
    free(found);
    conf_free(p);
}

CASES(plane_rows, planes, "cuMemsetD2D*: Height rows of Width values, dstPitch apart")
{
    sets_plane(row, 2048, 1024, 100, 64);
}

CASES(plane_last_row, planes, "cuMemsetD2D*: the last row may end before its pitch does")
{
    sets_plane(row, BLOCK - 4096 * 3 - 64, 4096, 64 / row->size, 4);
}

CASES(plane_whole, planes, "cuMemsetD2D*: rows without gaps")
{
    sets_plane(row, 0, 4096, 4096 / row->size, BLOCK / 4096);
}

CASES(plane_one_row, planes, "cuMemsetD2D*: of one row the pitch does not matter")
{
    sets_plane(row, 512, 512, 17, 1);
}

CASES(plane_past_the_end, planes, "cuMemsetD2D*: what runs over the block's end is refused")
{
    CUdeviceptr p = block();

    REFUSED(row->call(p, 4096, 4096 / row->size, BLOCK / 4096 + 1, NULL));
    REFUSED(row->call(p + row->size, 4096, 4096 / row->size, BLOCK / 4096, NULL));
    MUST(cu.CtxSynchronize());
    CHECK(untouched(p));
    conf_free(p);
}

CASES(plane_huge, planes, "cuMemsetD2D*: pitch times height that wraps round is refused")
{
    CUdeviceptr p = block();

    REFUSED(row->call(p, (size_t)1 << 40, 16, (size_t)1 << 30, NULL));
    CHECK(untouched(p));
    conf_free(p);
}

CASES(plane_nothing, planes, "cuMemsetD2D*: of no width or no height does nothing")
{
    CUdeviceptr p = block();

    SAW(row->call(p, 4096, 0, 4, NULL));
    SAW(row->call(p, 4096, 4, 0, NULL));
    MUST(cu.CtxSynchronize());
    CHECK(untouched(p));
    conf_free(p);
}

CASES(plane_narrow_pitch, planes, "cuMemsetD2D*: a pitch below the width is no plane")
{
    CUdeviceptr p = block();

    SAW(row->call(p, 16, 64, 4, NULL));
    MUST(cu.CtxSynchronize());
    conf_free(p);
}

static unsigned char on_the_heap[64];

CASE(host_memory, "cuMemsetD8: pageable memory is not the device's")
{
    REFUSED(cu.MemsetD8((CUdeviceptr)(uintptr_t)on_the_heap, 1, sizeof(on_the_heap)));
    CHECK(on_the_heap[0] == 0 && on_the_heap[63] == 0);
}

CASE(pinned_memory, "cuMemsetD8: mapped host memory can be set by its device address")
{
    CUdeviceptr p = 0;
    unsigned char *pinned = NULL;

    MUST(cu.MemHostAlloc((void **)&pinned, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    MUST(cu.MemHostGetDevicePointer(&p, pinned, 0));
    MUST(cu.MemsetD8(p, 0x42, 4096));
    MUST(cu.CtxSynchronize());
    CHECK(pinned[0] == 0x42 && pinned[4095] == 0x42);
    MUST(cu.MemFreeHost(pinned));
}

CASE(forged_stream, "cuMemsetD8Async: what is no stream is CUDA_ERROR_INVALID_HANDLE")
{
    CUdeviceptr p;

    conf_forged();
    p = block();
    IS(cu.MemsetD8Async(p, 1, 16, (CUstream)0x3), CUDA_ERROR_INVALID_HANDLE);
    CHECK(untouched(p));
    conf_free(p);
}
