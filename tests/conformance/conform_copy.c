/* conform_copy.c: copies in one dimension. Source of the rules: CUDA driver API, "Memory
 * Management", and "API synchronization behavior". */
#define CONF_GROUP "copy"
#include "conform.h"

#define BLOCK (2 * MIB)

enum side { HOST, DEVICE };
typedef CUresult mover_call(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream);

static void *host(CUdeviceptr address)
{
    return (void *)(uintptr_t)address;
}

/* Each function as one that takes two addresses and a stream. */
#define MOVER(name, ...)                                                                           \
    static CUresult name(CUdeviceptr dst, CUdeviceptr src, size_t bytes,                           \
                         __attribute__((unused)) CUstream stream)                                  \
    {                                                                                              \
        return __VA_ARGS__;                                                                        \
    }
MOVER(htod, cu.MemcpyHtoD(dst, host(src), bytes))
MOVER(htod_async, cu.MemcpyHtoDAsync(dst, host(src), bytes, stream))
MOVER(dtoh, cu.MemcpyDtoH(host(dst), src, bytes))
MOVER(dtoh_async, cu.MemcpyDtoHAsync(host(dst), src, bytes, stream))
MOVER(dtod, cu.MemcpyDtoD(dst, src, bytes))
MOVER(dtod_async, cu.MemcpyDtoDAsync(dst, src, bytes, stream))
MOVER(unified, cu.Memcpy(dst, src, bytes))
MOVER(unified_async, cu.MemcpyAsync(dst, src, bytes, stream))
MOVER(peer, cu.MemcpyPeer(dst, conf.context, src, conf.context, bytes))
MOVER(peer_async, cu.MemcpyPeerAsync(dst, conf.context, src, conf.context, bytes, stream))

static const struct mover {
    const char *name;
    mover_call *call;
    enum side to, from;
    bool async;
} movers[] = {
    {"HtoD", htod, DEVICE, HOST, false},
    {"HtoDAsync", htod_async, DEVICE, HOST, true},
    {"DtoH", dtoh, HOST, DEVICE, false},
    {"DtoHAsync", dtoh_async, HOST, DEVICE, true},
    {"DtoD", dtod, DEVICE, DEVICE, false},
    {"DtoDAsync", dtod_async, DEVICE, DEVICE, true},
    {"Memcpy to device", unified, DEVICE, HOST, false},
    {"Memcpy to host", unified, HOST, DEVICE, false},
    {"Memcpy on device", unified, DEVICE, DEVICE, false},
    {"MemcpyAsync to device", unified_async, DEVICE, HOST, true},
    {"MemcpyAsync to host", unified_async, HOST, DEVICE, true},
    {"MemcpyAsync on device", unified_async, DEVICE, DEVICE, true},
    {"Peer", peer, DEVICE, DEVICE, false},
    {"PeerAsync", peer_async, DEVICE, DEVICE, true},
};

/* --- a place: a block of the device, or of pageable memory -------------------------------------
 */

static CUdeviceptr place(enum side side)
{
    return side == DEVICE ? conf_alloc(BLOCK) : (CUdeviceptr)(uintptr_t)conf_memory(BLOCK);
}

static void place_end(enum side side, CUdeviceptr p)
{
    if (side == DEVICE)
        conf_free(p);
    else
        free(host(p));
}

static void place_clear(enum side side, CUdeviceptr p)
{
    if (side == DEVICE)
        MUST(cu.MemsetD8(p, 0xee, BLOCK));
    else
        memset(host(p), 0xee, BLOCK);
}

static void place_pattern(enum side side, CUdeviceptr p)
{
    if (side == DEVICE)
        conf_pattern_block(p, BLOCK, 1);
    else
        conf_pattern(host(p), BLOCK, 1);
}

/* The whole place, for the CPU to look at; free() it. */
static unsigned char *place_read(enum side side, CUdeviceptr p)
{
    unsigned char *found = conf_memory(BLOCK);

    if (side == DEVICE)
        MUST(cu.MemcpyDtoH(found, p, BLOCK));
    else
        memcpy(found, host(p), BLOCK);
    return found;
}

/* Copies [from, from + bytes) to `to` of another place: those bytes arrive, and no other. */
static void moves(const struct mover *mover, size_t to, size_t from, size_t bytes)
{
    CUdeviceptr dst = place(mover->to), src = place(mover->from);
    CUstream stream = conf_stream();
    unsigned char *wanted, *found;

    place_pattern(mover->from, src);
    place_clear(mover->to, dst);
    MUST(cu.CtxSynchronize());
    MUST(mover->call(dst + to, src + from, bytes, stream));
    conf_stream_end(stream);
    wanted = place_read(mover->from, src);
    found = place_read(mover->to, dst);
    CHECK(memcmp(found + to, wanted + from, bytes) == 0);
    for (size_t i = 0; i < BLOCK; i++)
        CHECK((i >= to && i < to + bytes) || found[i] == 0xee);
    free(wanted);
    free(found);
    place_end(mover->to, dst);
    place_end(mover->from, src);
}

CASES(whole, movers, "cuMemcpy*: ByteCount bytes from source to destination")
{
    moves(row, 0, 0, BLOCK);
}

CASES(part, movers, "cuMemcpy*: of any address and count, and no byte beside them")
{
    moves(row, 4099, 12345, 777777);
}

CASES(one_byte, movers, "cuMemcpy*: the last byte of one to the last byte of the other")
{
    moves(row, BLOCK - 1, BLOCK - 1, 1);
}

CASES(nothing, movers, "cuMemcpy*: of no bytes succeeds and does nothing")
{
    moves(row, 0, 0, 0);
}

CASES(past_the_end, movers, "cuMemcpy*: what runs over a block's end is refused, whole")
{
    CUdeviceptr dst = place(row->to), src = place(row->from);
    unsigned char *found;

    place_clear(row->to, dst);
    place_pattern(row->from, src);
    /* one byte too many, in the device's memory and in no other */
    if (row->to == DEVICE)
        REFUSED(row->call(dst + MIB + 1, src, MIB, NULL));
    if (row->from == DEVICE)
        REFUSED(row->call(dst, src + MIB + 1, MIB, NULL));
    MUST(cu.CtxSynchronize());
    found = place_read(row->to, dst);
    for (size_t i = 0; i < BLOCK; i++)
        CHECK(found[i] == 0xee);
    free(found);
    place_end(row->to, dst);
    place_end(row->from, src);
}

CASES(huge_count, movers, "cuMemcpy*: a count that wraps round the address space is refused")
{
    CUdeviceptr dst = place(row->to), src = place(row->from);

    REFUSED(row->call(row->to == DEVICE ? dst + 4096 : dst, row->from == DEVICE ? src + 4096 : src,
                      SIZE_MAX - 4095, NULL));
    place_end(row->to, dst);
    place_end(row->from, src);
}

CASES(after_free, movers, "cuMemcpy*: memory that was freed is no memory")
{
    CUdeviceptr dst = place(row->to), src = place(row->from), gone = conf_alloc(BLOCK);

    conf_free(gone);
    if (row->to == DEVICE)
        REFUSED(row->call(gone, src, 4096, NULL));
    if (row->from == DEVICE)
        REFUSED(row->call(dst, gone, 4096, NULL));
    place_end(row->to, dst);
    place_end(row->from, src);
}

CASES(no_context, movers, "cuMemcpy*: without a current context, CUDA_ERROR_INVALID_CONTEXT")
{
    CUdeviceptr dst = place(row->to), src = place(row->from);
    CUresult result;

    MUST(cu.CtxSetCurrent(NULL));
    result = row->call(dst, src, 4096, NULL);
    MUST(cu.CtxSetCurrent(conf.context));
    if (row->call == peer || row->call == peer_async) /* these name their contexts */
        NOTE("%s", conf_result(result));
    else
        IS(result, CUDA_ERROR_INVALID_CONTEXT);
    MUST(cu.CtxSynchronize());
    place_end(row->to, dst);
    place_end(row->from, src);
}

CASES(other_context, movers, "Unified addressing: another context of the device may copy, too")
{
    CUdeviceptr dst = place(row->to), src = place(row->from);
    unsigned char *found;
    CUcontext other;

    place_pattern(row->from, src);
    MUST(cu.CtxSynchronize());
    other = conf_second_context();
    MUST(row->call(dst, src, BLOCK, NULL));
    MUST(cu.CtxSynchronize());
    conf_context_end(other);
    MUST(cu.CtxSynchronize());
    found = place_read(row->to, dst);
    CHECK(conf_patterned(found, BLOCK, 1));
    free(found);
    place_end(row->to, dst);
    place_end(row->from, src);
}

CASES(in_order, movers, "Streams: a copy follows what its stream was given before")
{
    CUdeviceptr dst = place(row->to), src = place(row->from);
    CUstream stream = row->async ? conf_stream() : NULL;
    unsigned char *found;

    place_pattern(row->from, src);
    place_clear(row->to, dst);
    MUST(cu.CtxSynchronize());
    conf_spin(5000, stream);
    if (row->from == DEVICE)
        conf_fill(src, 0x01010101, BLOCK / 4, stream);
    if (row->to == DEVICE)
        conf_fill(dst, 0x02020202, BLOCK / 4, stream);
    MUST(row->call(dst, src, BLOCK, stream));
    if (row->to == DEVICE)
        conf_add(dst, 0x10101010, 16, stream);
    MUST(cu.CtxSynchronize());
    found = place_read(row->to, dst);
    if (row->from == DEVICE && row->to == HOST)
        CHECK(found[0] == 1 && found[BLOCK - 1] == 1);
    else if (row->from == DEVICE)
        CHECK(found[0] == 0x11 && found[63] == 0x11 && found[64] == 1 && found[BLOCK - 1] == 1);
    else
        CHECK(!memcmp(found + 64, (char *)host(src) + 64, BLOCK - 64));
    free(found);
    if (stream)
        conf_stream_end(stream);
    place_end(row->to, dst);
    place_end(row->from, src);
}

/* --- what the sides may be ----------------------------------------------------------------------
 */

CASE(pinned_both_ways, "cuMemcpyHtoDAsync, cuMemcpyDtoHAsync: with page-locked memory")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUstream stream = conf_stream();
    unsigned char *pinned = NULL;

    MUST(cu.MemHostAlloc((void **)&pinned, 2 * BLOCK, 0));
    conf_pattern(pinned, BLOCK, 3);
    memset(pinned + BLOCK, 0, BLOCK);
    MUST(cu.MemcpyHtoDAsync(p, pinned, BLOCK, stream));
    MUST(cu.MemcpyDtoHAsync(pinned + BLOCK, p, BLOCK, stream));
    MUST(cu.StreamSynchronize(stream));
    CHECK(conf_patterned(pinned + BLOCK, BLOCK, 3));
    conf_stream_end(stream);
    MUST(cu.MemFreeHost(pinned));
    conf_free(p);
}

CASE(pageable_is_staged, "API synchronization behavior: pageable HtoD: the source may be changed")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    unsigned char *bytes = conf_memory(BLOCK);

    conf_pattern(bytes, BLOCK, 4);
    conf_spin(2000, NULL);
    MUST(cu.MemcpyHtoD(p, bytes, BLOCK)); /* synchronous */
    memset(bytes, 0, BLOCK);
    CHECK(conf_patterned_block(p, BLOCK, 4));
    free(bytes);
    conf_free(p);
}

CASE(host_to_host, "cuMemcpy: between two places of the host")
{
    static unsigned char from[4096], to[4096];

    conf_pattern(from, sizeof(from), 5);
    MUST(cu.Memcpy((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from, sizeof(to)));
    CHECK(conf_patterned(to, sizeof(to), 5));
}

CASE(overlapping, "cuMemcpyDtoD: overlapping: not defined inside, but outside nothing changes")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    unsigned char *found = conf_memory(BLOCK), *before = conf_memory(BLOCK);

    conf_pattern_block(p, BLOCK, 6);
    conf_pattern(before, BLOCK, 6);
    SAW(cu.MemcpyDtoD(p + 65536, p + 32768, 262144));
    MUST(cu.MemcpyDtoH(found, p, BLOCK));
    CHECK(memcmp(found, before, 65536) == 0);
    CHECK(memcmp(found + 65536 + 262144, before + 65536 + 262144, BLOCK - 65536 - 262144) == 0);
    free(found);
    free(before);
    conf_free(p);
}

CASE(onto_itself, "cuMemcpyDtoD: onto itself leaves everything as it is")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    conf_pattern_block(p, BLOCK, 7);
    MUST(cu.MemcpyDtoD(p, p, BLOCK));
    CHECK(conf_patterned_block(p, BLOCK, 7));
    conf_free(p);
}

CASE(within_one_block, "cuMemcpyDtoD: parts of one block")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    conf_pattern_block(p, MIB, 8);
    MUST(cu.MemcpyDtoD(p + MIB, p, MIB));
    CHECK(conf_patterned_block(p, MIB, 8));
    CHECK(conf_patterned_block(p + MIB, MIB, 8));
    conf_free(p);
}

CASE(across_two_blocks, "cuMemcpyDtoD: neighbours are two blocks, even where they touch")
{
    CUdeviceptr p[8];
    bool met = false;

    for (int i = 0; i < 8; i++)
        p[i] = conf_alloc(BLOCK);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            if (p[j] == p[i] + BLOCK) {
                met = true;
                MUST(cu.MemsetD8(p[i], 1, BLOCK));
                MUST(cu.MemsetD8(p[j], 2, BLOCK));
                CHECK(cu.MemcpyDtoD(p[i] + MIB, p[i], BLOCK) != CUDA_SUCCESS);
                CHECK(conf_holds(p[j], 0x02020202, BLOCK / 4));
            }
    (void)met; /* where they lie is the driver's affair */
    for (int i = 0; i < 8; i++)
        conf_free(p[i]);
}

CASE(forged_stream, "cuMemcpy*Async: what is no stream is CUDA_ERROR_INVALID_HANDLE")
{
    CUdeviceptr p, q;

    conf_forged();
    p = conf_alloc(BLOCK);
    q = conf_alloc(BLOCK);
    IS(cu.MemcpyDtoDAsync(p, q, 4096, (CUstream)0x3), CUDA_ERROR_INVALID_HANDLE);
    conf_free(q);
    conf_free(p);
}

CASE(per_thread_streams, "cuMemcpyHtoDAsync_ptsz: stream 0 is the thread's own")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    unsigned char *bytes = conf_memory(BLOCK);

    conf_pattern(bytes, BLOCK, 9);
    MUST(cu.MemsetD8Async_ptsz(p, 0, BLOCK, NULL));
    MUST(cu.MemcpyHtoDAsync_ptsz(p, bytes, BLOCK, NULL));
    MUST(cu.StreamSynchronize_ptsz(NULL));
    CHECK(conf_patterned_block(p, BLOCK, 9));
    free(bytes);
    conf_free(p);
}

/* --- between devices ----------------------------------------------------------------------------
 */

static void two_devices(bool enable)
{
    CUdevice second = conf_second_device();
    CUcontext other = NULL;
    CUdeviceptr here = conf_alloc(BLOCK), there = 0, back = conf_alloc(BLOCK);
    int can = 0;

    conf_pattern_block(here, BLOCK, 10);
    MUST(cu.DevicePrimaryCtxRetain(&other, second));
    MUST(cu.CtxSetCurrent(other));
    there = conf_alloc(BLOCK);
    MUST(cu.CtxSetCurrent(conf.context));
    MUST(cu.DeviceCanAccessPeer(&can, conf.device, second));
    if (enable && !can)
        conf_skip("no access between these devices");
    if (enable)
        MUST(cu.CtxEnablePeerAccess(other, 0));
    MUST(cu.MemcpyPeer(there, other, here, conf.context, BLOCK));
    MUST(cu.MemcpyPeerAsync(back, conf.context, there, other, BLOCK, NULL));
    MUST(cu.CtxSynchronize());
    CHECK(conf_patterned_block(back, BLOCK, 10));
    if (enable) {
        MUST(cu.MemsetD8(back, 0, BLOCK));
        conf_copy(back, there, BLOCK / 4, NULL); /* a kernel here reads there */
        CHECK(conf_patterned_block(back, BLOCK, 10));
        MUST(cu.CtxDisablePeerAccess(other));
    }
    REFUSED(cu.MemcpyPeer(there + 1, other, here, conf.context, BLOCK));
    REFUSED(cu.MemcpyPeer(there, other, here + 1, conf.context, BLOCK));
    MUST(cu.MemFree(there)); /* with another context current */
    MUST(cu.DevicePrimaryCtxRelease(second));
    conf_free(here);
    conf_free(back);
}

CASE_ALONE(peer_devices, "cuMemcpyPeer(Async): from the memory of one context to another's")
{
    two_devices(false);
}

CASE_ALONE(peer_access, "cuCtxEnablePeerAccess: kernels then reach the other device's memory")
{
    two_devices(true);
}

CASE(peer_null_context, "cuMemcpyPeer: a NULL context is CUDA_ERROR_INVALID_CONTEXT or _VALUE")
{
    CUdeviceptr p = conf_alloc(BLOCK);

    SAW(cu.MemcpyPeer(p, NULL, p + MIB, conf.context, 4096));
    conf_free(p);
}
