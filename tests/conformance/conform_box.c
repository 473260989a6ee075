/* conform_box.c: copies in two and three dimensions, with memory of all kinds. Source of the rules:
 * CUDA driver API, "Memory Management": cuMemcpy2D, cuMemcpy3D. */
#define CONF_GROUP "box"
#include "conform.h"

#define PITCH ((size_t)1024)
#define ROWS  ((size_t)2048)
#define BLOCK (PITCH * ROWS)

typedef CUresult copy_2d_call(const CUDA_MEMCPY2D *copy);
typedef CUresult copy_3d_call(const CUDA_MEMCPY3D *copy);

static CUresult plain_2d(const CUDA_MEMCPY2D *copy)
{
    return cu.Memcpy2D(copy);
}
static CUresult unaligned_2d(const CUDA_MEMCPY2D *copy)
{
    return cu.Memcpy2DUnaligned(copy);
}
static CUresult async_2d(const CUDA_MEMCPY2D *copy)
{
    return cu.Memcpy2DAsync(copy, NULL);
}
static CUresult plain_3d(const CUDA_MEMCPY3D *copy)
{
    return cu.Memcpy3D(copy);
}
static CUresult async_3d(const CUDA_MEMCPY3D *copy)
{
    return cu.Memcpy3DAsync(copy, NULL);
}

/* A CUDA_MEMCPY3D is, field for field, a CUDA_MEMCPY3D_PEER with two contexts. */
static CUDA_MEMCPY3D_PEER peer_of(const CUDA_MEMCPY3D *c)
{
    return (CUDA_MEMCPY3D_PEER){
        c->srcXInBytes,   c->srcY,        c->srcZ,         c->srcLOD,    c->srcMemoryType,
        c->srcHost,       c->srcDevice,   c->srcArray,     conf.context, c->srcPitch,
        c->srcHeight,     c->dstXInBytes, c->dstY,         c->dstZ,      c->dstLOD,
        c->dstMemoryType, c->dstHost,     c->dstDevice,    c->dstArray,  conf.context,
        c->dstPitch,      c->dstHeight,   c->WidthInBytes, c->Height,    c->Depth};
}
static CUresult peer_3d(const CUDA_MEMCPY3D *copy)
{
    CUDA_MEMCPY3D_PEER peer = peer_of(copy);

    return cu.Memcpy3DPeer(&peer);
}
static CUresult peer_async_3d(const CUDA_MEMCPY3D *copy)
{
    CUDA_MEMCPY3D_PEER peer = peer_of(copy);

    return cu.Memcpy3DPeerAsync(&peer, NULL);
}

static const struct flat {
    const char *name;
    copy_2d_call *call;
} flats[] = {{"2D", plain_2d}, {"2DUnaligned", unaligned_2d}, {"2DAsync", async_2d}};
static const struct deep {
    const char *name;
    copy_3d_call *call;
} deeps[] = {
    {"3D", plain_3d}, {"3DAsync", async_3d}, {"3DPeer", peer_3d}, {"3DPeerAsync", peer_async_3d}};

/* Two blocks of the device, one with a pattern and one with 0xee, and their images here. */
struct pair {
    CUdeviceptr from, to;
    unsigned char *source, *found;
};

static struct pair pair(void)
{
    struct pair p = {conf_alloc(BLOCK), conf_alloc(BLOCK), conf_memory(BLOCK), conf_memory(BLOCK)};

    conf_pattern(p.source, BLOCK, 1);
    MUST(cu.MemcpyHtoD(p.from, p.source, BLOCK));
    MUST(cu.MemsetD8(p.to, 0xee, BLOCK));
    memset(p.found, 0xee, BLOCK);
    MUST(cu.CtxSynchronize());
    return p;
}

static void pair_end(const struct pair *p)
{
    free(p->source);
    free(p->found);
    conf_free(p->from);
    conf_free(p->to);
}

static void read_back(struct pair *p)
{
    MUST(cu.CtxSynchronize());
    MUST(cu.MemcpyDtoH(p->found, p->to, BLOCK));
}

/* After copies that move nothing. */
static void pair_end_untouched(struct pair *p)
{
    read_back(p);
    for (size_t i = 0; i < BLOCK; i++)
        CHECK(p->found[i] == 0xee);
    pair_end(p);
}

/* A rectangle of the source stands in a rectangle of what was found, and nothing else does. */
struct rectangle {
    size_t to_x, to_y, to_pitch, from_x, from_y, from_pitch, width, height;
};
static bool arrived(const struct pair *p, const struct rectangle *r)
{
    for (size_t i = 0; i < BLOCK; i++) {
        size_t y = i / r->to_pitch - r->to_y, x = i % r->to_pitch - r->to_x;
        bool in = y < r->height && x < r->width;
        unsigned char wanted =
            in ? p->source[(y + r->from_y) * r->from_pitch + x + r->from_x] : 0xee;

        if (p->found[i] != wanted)
            return false;
    }
    return true;
}

static const struct rectangle rectangles[] = {
    {0, 0, PITCH, 0, 0, PITCH, PITCH, ROWS},           /* all */
    {0, 0, PITCH, 0, 0, PITCH, 100, 50},               /* a corner */
    {13, 7, PITCH, 511, 1999, PITCH, 500, 49},         /* the other corner, odd places */
    {0, 0, PITCH / 2, 256, 1, PITCH, PITCH / 2, 1000}, /* another pitch */
    {5, 3, 2 * PITCH, 0, 0, PITCH, 1, 1},              /* one byte */
    {1023, 0, PITCH, 0, 0, PITCH, 1, ROWS},            /* the last column */
};
#define RECTANGLES (sizeof(rectangles) / sizeof(rectangles[0]))

static CUDA_MEMCPY2D flat_copy(const struct rectangle *r)
{
    return (CUDA_MEMCPY2D){.srcXInBytes = r->from_x,
                           .srcY = r->from_y,
                           .srcPitch = r->from_pitch,
                           .dstXInBytes = r->to_x,
                           .dstY = r->to_y,
                           .dstPitch = r->to_pitch,
                           .WidthInBytes = r->width,
                           .Height = r->height};
}

/* A copy within the pair, to the block of the device or to its image here. */
static void flat_arrives(const struct flat *row, const CUDA_MEMCPY2D *copy, struct pair *p,
                         const struct rectangle *r)
{
    MUST(row->call(copy));
    if (copy->dstMemoryType == CU_MEMORYTYPE_HOST)
        MUST(cu.CtxSynchronize());
    else
        read_back(p);
    CHECK(arrived(p, r));
    pair_end(p);
}

CASES(flat_device, flats, "cuMemcpy2D: WidthInBytes x Height from srcX, srcY to dstX, dstY")
{
    for (size_t i = 0; i < RECTANGLES; i++) {
        struct pair p = pair();
        CUDA_MEMCPY2D copy = flat_copy(&rectangles[i]);

        copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
        copy.srcDevice = p.from;
        copy.dstDevice = p.to;
        flat_arrives(row, &copy, &p, &rectangles[i]);
    }
}

CASES(flat_to_device, flats, "cuMemcpy2D: CU_MEMORYTYPE_HOST: srcHost is the base address")
{
    for (size_t i = 0; i < RECTANGLES; i++) {
        struct pair p = pair();
        CUDA_MEMCPY2D copy = flat_copy(&rectangles[i]);

        copy.srcMemoryType = CU_MEMORYTYPE_HOST;
        copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
        copy.srcHost = p.source;
        copy.dstDevice = p.to;
        flat_arrives(row, &copy, &p, &rectangles[i]);
    }
}

CASES(flat_to_host, flats, "cuMemcpy2D: CU_MEMORYTYPE_HOST: dstHost is the base address")
{
    for (size_t i = 0; i < RECTANGLES; i++) {
        struct pair p = pair();
        CUDA_MEMCPY2D copy = flat_copy(&rectangles[i]);

        copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
        copy.dstMemoryType = CU_MEMORYTYPE_HOST;
        copy.srcDevice = p.from;
        copy.dstHost = p.found;
        flat_arrives(row, &copy, &p, &rectangles[i]);
    }
}

CASES(flat_unified, flats, "cuMemcpy2D: CU_MEMORYTYPE_UNIFIED: srcDevice may be any address")
{
    for (int from_host = 0; from_host < 2; from_host++) {
        struct pair p = pair();
        CUDA_MEMCPY2D copy = flat_copy(&rectangles[2]);

        copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
        copy.srcDevice = from_host ? (CUdeviceptr)(uintptr_t)p.source : p.from;
        copy.dstDevice = p.to;
        flat_arrives(row, &copy, &p, &rectangles[2]);
    }
}

static CUDA_MEMCPY2D whole_plane(const struct pair *p)
{
    return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = p->from,
                           .srcPitch = PITCH,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = p->to,
                           .dstPitch = PITCH,
                           .WidthInBytes = PITCH,
                           .Height = ROWS};
}

CASES(flat_past_the_end, flats, "cuMemcpy2D: what runs over a block's end is refused, whole")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    copy.dstY = 1;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.srcY = 1;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.Height = ROWS + 1;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.dstDevice = p.to + 1;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.srcDevice = p.from + 1;
    REFUSED(row->call(&copy));
    pair_end_untouched(&p);
}

CASES(flat_last_row, flats, "cuMemcpy2D: the last row may end before its pitch does")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    copy.WidthInBytes = 100;
    copy.srcDevice = p.from + PITCH - 100;
    copy.dstDevice = p.to + PITCH - 100;
    MUST(row->call(&copy));
    MUST(cu.CtxSynchronize());
    pair_end(&p);
}

CASES(flat_narrow, flats, "cuMemcpy2D: a pitch must be at least WidthInBytes + XInBytes")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    copy.Height = 4;
    copy.srcPitch = PITCH - 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.srcPitch = PITCH;
    copy.dstPitch = PITCH - 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.dstPitch = PITCH;
    copy.dstXInBytes = 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.dstXInBytes = 0;
    copy.srcXInBytes = 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    pair_end(&p);
}

CASES(flat_huge, flats, "cuMemcpy2D: sizes that wrap round are refused")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    copy.Height = SIZE_MAX / PITCH + 2;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.dstPitch = (size_t)1 << 63;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.srcXInBytes = SIZE_MAX - 100;
    REFUSED(row->call(&copy));
    copy = whole_plane(&p);
    copy.dstY = SIZE_MAX / PITCH + 1;
    REFUSED(row->call(&copy));
    pair_end_untouched(&p);
}

CASES(flat_nothing, flats, "cuMemcpy2D: of no width or height moves nothing")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    copy.WidthInBytes = 0;
    SAW(row->call(&copy));
    copy = whole_plane(&p);
    copy.Height = 0;
    SAW(row->call(&copy));
    pair_end_untouched(&p);
}

CASES(flat_types, flats, "cuMemcpy2D: a memory type that is none is CUDA_ERROR_INVALID_VALUE")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    copy.srcMemoryType = (CUmemorytype)0;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy = whole_plane(&p);
    copy.dstMemoryType = (CUmemorytype)9;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    pair_end(&p);
}

CASES(flat_freed, flats, "cuMemcpy2D: memory that was freed is no memory")
{
    struct pair p = pair();
    CUDA_MEMCPY2D copy = whole_plane(&p);

    conf_free(p.to);
    REFUSED(row->call(&copy));
    p.to = conf_alloc(BLOCK);
    pair_end(&p);
}

CASE(flat_null, "cuMemcpy2D: a NULL descriptor is CUDA_ERROR_INVALID_VALUE")
{
    IS(cu.Memcpy2D(NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.Memcpy2DUnaligned(NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.Memcpy2DAsync(NULL, NULL), CUDA_ERROR_INVALID_VALUE);
}

CASE(flat_pitched, "cuMemcpy2D: pitches that come back from cuMemAllocPitch always work")
{
    CUdeviceptr p = 0;
    size_t pitch = 0;
    unsigned char source[100 * 30], found[100 * 30] = {0};
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = source,
                          .srcPitch = 100,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .WidthInBytes = 100,
                          .Height = 30};

    MUST(cu.MemAllocPitch(&p, &pitch, 100, 30, 4));
    conf_pattern(source, sizeof(source), 2);
    copy.dstDevice = p;
    copy.dstPitch = pitch;
    MUST(cu.Memcpy2D(&copy));
    copy = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = p,
                           .srcPitch = pitch,
                           .dstMemoryType = CU_MEMORYTYPE_HOST,
                           .dstHost = found,
                           .dstPitch = 100,
                           .WidthInBytes = 100,
                           .Height = 30};
    MUST(cu.Memcpy2D(&copy));
    CHECK(conf_patterned(found, sizeof(found), 2));
    conf_free(p);
}

/* --- three dimensions: layers of 64 rows ---------------------------------------------------------
 */

#define LAYER ((size_t)64)

static CUDA_MEMCPY3D deep_copy(const struct pair *p)
{
    return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = p->from,
                           .srcPitch = PITCH,
                           .srcHeight = LAYER,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = p->to,
                           .dstPitch = PITCH,
                           .dstHeight = LAYER,
                           .WidthInBytes = PITCH,
                           .Height = LAYER,
                           .Depth = ROWS / LAYER};
}

/* The box of the copy stands in what was found, and nothing else does. */
static bool box_arrived(const struct pair *p, const CUDA_MEMCPY3D *c)
{
    for (size_t i = 0; i < BLOCK; i++) {
        size_t x = i % PITCH - c->dstXInBytes, y = i / PITCH % LAYER - c->dstY,
               z = i / PITCH / LAYER - c->dstZ;
        bool in = x < c->WidthInBytes && y < c->Height && z < c->Depth;
        size_t from = ((z + c->srcZ) * LAYER + y + c->srcY) * PITCH + x + c->srcXInBytes;

        if (p->found[i] != (in ? p->source[from] : 0xee))
            return false;
    }
    return true;
}

CASES(deep_whole, deeps, "cuMemcpy3D: Depth layers of Height rows")
{
    struct pair p = pair();
    CUDA_MEMCPY3D copy = deep_copy(&p);

    MUST(row->call(&copy));
    read_back(&p);
    CHECK(box_arrived(&p, &copy));
    pair_end(&p);
}

CASES(deep_part, deeps, "cuMemcpy3D: from srcX, srcY, srcZ to dstX, dstY, dstZ")
{
    for (int kind = 0; kind < 3; kind++) { /* device, from the host, to the host */
        struct pair p = pair();
        CUDA_MEMCPY3D copy = deep_copy(&p);

        copy.srcXInBytes = 1000;
        copy.srcY = 60;
        copy.srcZ = 30;
        copy.dstXInBytes = 3;
        copy.dstY = 1;
        copy.dstZ = 17;
        copy.WidthInBytes = 24;
        copy.Height = 4;
        copy.Depth = 2;
        if (kind == 1) {
            copy.srcMemoryType = CU_MEMORYTYPE_HOST;
            copy.srcHost = p.source;
        } else if (kind == 2) {
            copy.dstMemoryType = CU_MEMORYTYPE_HOST;
            copy.dstHost = p.found;
        }
        MUST(row->call(&copy));
        MUST(cu.CtxSynchronize());
        if (kind != 2)
            read_back(&p);
        CHECK(box_arrived(&p, &copy));
        pair_end(&p);
    }
}

CASES(deep_past_the_end, deeps, "cuMemcpy3D: what runs over a block's end is refused, whole")
{
    struct pair p = pair();
    CUDA_MEMCPY3D copy = deep_copy(&p);

    copy.Depth++;
    REFUSED(row->call(&copy));
    copy = deep_copy(&p);
    copy.dstDevice++;
    REFUSED(row->call(&copy));
    copy = deep_copy(&p);
    copy.srcZ = 1;
    REFUSED(row->call(&copy));
    pair_end_untouched(&p);
}

CASES(deep_narrow, deeps, "cuMemcpy3D: pitch >= WidthInBytes + XInBytes, height >= Height + Y")
{
    struct pair p = pair();
    CUDA_MEMCPY3D copy = deep_copy(&p);

    copy.Depth = 2;
    copy.srcPitch = PITCH - 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.srcPitch = PITCH;
    copy.dstHeight = LAYER - 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.dstHeight = LAYER;
    copy.srcY = 1;
    SAW(row->call(&copy));
    MUST(cu.CtxSynchronize());
    pair_end(&p);
}

CASES(deep_lod, deeps, "cuMemcpy3D: srcLOD and dstLOD must be zero")
{
    struct pair p = pair();
    CUDA_MEMCPY3D copy = deep_copy(&p);

    copy.srcLOD = 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.srcLOD = 0;
    copy.dstLOD = 1;
    IS(row->call(&copy), CUDA_ERROR_INVALID_VALUE);
    pair_end(&p);
}

CASES(deep_nothing, deeps, "cuMemcpy3D: of no depth moves nothing")
{
    struct pair p = pair();
    CUDA_MEMCPY3D copy = deep_copy(&p);

    copy.Depth = 0;
    SAW(row->call(&copy));
    pair_end_untouched(&p);
}

CASE(deep_null, "cuMemcpy3D: a NULL descriptor is CUDA_ERROR_INVALID_VALUE")
{
    IS(cu.Memcpy3D(NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.Memcpy3DAsync(NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.Memcpy3DPeer(NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.Memcpy3DPeerAsync(NULL, NULL), CUDA_ERROR_INVALID_VALUE);
}
