/* conform_async.c: allocation in stream order. Source of the rules: CUDA driver API, "Stream
 * Ordered Memory Allocator"; CUDA Programming Guide, the chapter of that name. */
#define CONF_GROUP "async"
#include "conform.h"

#include <stdatomic.h>
#include <unistd.h>

#define BLOCK (2 * MIB)

static CUdeviceptr take(size_t bytes, CUstream stream)
{
    CUdeviceptr p = 0;

    MUST(cu.MemAllocAsync(&p, bytes, stream));
    CHECK(p != 0);
    return p;
}

static void give(CUdeviceptr p, CUstream stream)
{
    MUST(cu.MemFreeAsync(p, stream));
}

static void needs_pools(void)
{
    NEEDS(MemAllocAsync);
    if (!conf_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        conf_skip("no memory pools here");
}

static const struct {
    const char *name;
    size_t bytes;
} sizes[] = {{"1", 1},         {"512", 512},
             {"1000", 1000},   {"64KiB", 64 * KIB},
             {"1MiB", MIB},    {"2MiB+1", 2 * MIB + 1},
             {"9MiB", 9 * MIB}};
CASES(every_byte, sizes, "cuMemAllocAsync: memory that may be used in the stream at once")
{
    CUstream stream;
    CUdeviceptr p;
    unsigned char *bytes = conf_memory(row->bytes), *found = conf_memory(row->bytes);

    needs_pools();
    stream = conf_stream();
    p = take(row->bytes, stream);
    EQUAL(p % 256, 0);
    conf_pattern(bytes, row->bytes, 1);
    MUST(cu.MemcpyHtoDAsync(p, bytes, row->bytes, stream));
    MUST(cu.MemcpyDtoHAsync(found, p, row->bytes, stream));
    give(p, stream);
    conf_stream_end(stream);
    CHECK(conf_patterned(found, row->bytes, 1));
    free(found);
    free(bytes);
}

CASES(default_stream, sizes, "cuMemAllocAsync: in the legacy default stream")
{
    CUdeviceptr p;

    needs_pools();
    p = take(row->bytes, NULL);
    MUST(cu.MemsetD8Async(p, 3, row->bytes, NULL));
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASES(per_thread_stream, sizes, "cuMemAllocAsync_ptsz: in the thread's own default stream")
{
    CUdeviceptr p = 0;

    needs_pools();
    MUST(cu.MemAllocAsync_ptsz(&p, row->bytes, NULL));
    MUST(cu.MemsetD8Async_ptsz(p, 3, row->bytes, NULL));
    MUST(cu.MemFreeAsync_ptsz(p, NULL));
    MUST(cu.StreamSynchronize_ptsz(NULL));
}

CASE(refused, "cuMemAllocAsync: NULL dptr, no bytes")
{
    CUdeviceptr p = 0x5a5a;

    needs_pools();
    IS(cu.MemAllocAsync(NULL, BLOCK, NULL), CUDA_ERROR_INVALID_VALUE);
    SAW(cu.MemAllocAsync(&p, 0, NULL));
}

static const struct {
    const char *name;
    size_t bytes;
} beyond[] = {{"SIZE_MAX", SIZE_MAX},
              {"SIZE_MAX-511", SIZE_MAX - 511},
              {"2^63", (size_t)1 << 63},
              {"2^50", (size_t)1 << 50}};
CASES(more_than_any, beyond, "cuMemAllocAsync: what no memory can hold is CUDA_ERROR_OUT_OF_MEMORY")
{
    CUdeviceptr p = 0x5a5a;

    needs_pools();
    IS(cu.MemAllocAsync(&p, row->bytes, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    give(take(BLOCK, NULL), NULL);
    MUST(cu.CtxSynchronize());
}

CASE(no_context, "cuMemAllocAsync: without a current context, CUDA_ERROR_INVALID_CONTEXT")
{
    CUdeviceptr p = 0;

    needs_pools();
    MUST(cu.CtxSetCurrent(NULL));
    IS(cu.MemAllocAsync(&p, BLOCK, NULL), CUDA_ERROR_INVALID_CONTEXT);
    MUST(cu.CtxSetCurrent(conf.context));
}

CASE(forged_stream, "cuMemAllocAsync: what is no stream is CUDA_ERROR_INVALID_HANDLE")
{
    CUdeviceptr p = 0;

    conf_forged();
    needs_pools();
    IS(cu.MemAllocAsync(&p, BLOCK, (CUstream)0x3), CUDA_ERROR_INVALID_HANDLE);
}

CASE(forged_stream_free, "cuMemFreeAsync: what is no stream is CUDA_ERROR_INVALID_HANDLE")
{
    CUdeviceptr p;

    conf_forged();
    needs_pools();
    p = take(BLOCK, NULL);
    IS(cu.MemFreeAsync(p, (CUstream)0x3), CUDA_ERROR_INVALID_HANDLE);
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

/* --- order --------------------------------------------------------------------------------------
 */

CASE(same_stream_again, "Guide: memory freed in a stream may be used by it again at once, in order")
{
    CUstream stream;
    CUdeviceptr copy;

    needs_pools();
    stream = conf_stream();
    copy = conf_alloc(BLOCK);
    for (unsigned i = 0; i < 20; i++) {
        CUdeviceptr p = take(BLOCK, stream);

        conf_spin(500, stream);
        conf_fill(p, i, BLOCK / 4, stream);
        conf_copy(copy, p, BLOCK / 4, stream);
        give(p, stream);
        p = take(BLOCK, stream);
        conf_fill(p, 99, BLOCK / 4, stream);
        give(p, stream);
        MUST(cu.StreamSynchronize(stream));
        CHECK(conf_holds(copy, i, BLOCK / 4));
    }
    conf_stream_end(stream);
    conf_free(copy);
}

/* Many, so that one of them must lie where the freed one lay, if that can be. */
CASE(other_stream_waits, "Guide: memory freed in one stream is not another's before that is done")
{
    enum { COUNT = 40 };
    CUstream one, other;
    CUdeviceptr p, q[COUNT], copy;

    needs_pools();
    one = conf_stream();
    other = conf_stream();
    copy = conf_alloc(2 * BLOCK);
    p = take(2 * BLOCK, one);
    conf_fill(p, 1, BLOCK / 2, one);
    conf_spin(50000, one);
    conf_copy(copy, p, BLOCK / 2, one);
    give(p, one);
    for (unsigned i = 0; i < COUNT; i++) {
        q[i] = take(2 * BLOCK, other);
        conf_fill(q[i], 100 + i, BLOCK / 2, other);
    }
    MUST(cu.StreamSynchronize(other));
    MUST(cu.StreamSynchronize(one));
    CHECK(conf_holds(copy, 1, BLOCK / 2));
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(conf_holds(q[i], 100 + i, BLOCK / 2));
        give(q[i], other);
    }
    conf_stream_end(one);
    conf_stream_end(other);
    conf_free(copy);
}

CASE(free_in_other_stream, "cuMemFreeAsync: in another stream, ordered by an event")
{
    CUstream one, other;
    CUevent event = NULL;
    CUdeviceptr p, copy;

    needs_pools();
    one = conf_stream();
    other = conf_stream();
    copy = conf_alloc(BLOCK);
    MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
    p = take(BLOCK, one);
    conf_spin(3000, one);
    conf_fill(p, 5, BLOCK / 4, one);
    MUST(cu.EventRecord(event, one));
    MUST(cu.StreamWaitEvent(other, event, 0));
    conf_copy(copy, p, BLOCK / 4, other);
    give(p, other);
    MUST(cu.StreamSynchronize(other));
    CHECK(conf_holds(copy, 5, BLOCK / 4));
    MUST(cu.EventDestroy(event));
    conf_stream_end(one);
    conf_stream_end(other);
    conf_free(copy);
}

CASE(use_in_other_stream, "cuMemAllocAsync: another stream may use it after an event")
{
    CUstream one, other;
    CUevent event = NULL;
    CUdeviceptr p;

    needs_pools();
    one = conf_stream();
    other = conf_stream();
    MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
    conf_spin(3000, one);
    p = take(BLOCK, one);
    MUST(cu.EventRecord(event, one));
    MUST(cu.StreamWaitEvent(other, event, 0));
    conf_fill(p, 6, BLOCK / 4, other);
    MUST(cu.StreamSynchronize(other));
    CHECK(conf_holds(p, 6, BLOCK / 4));
    give(p, other);
    MUST(cu.EventDestroy(event));
    conf_stream_end(other);
    conf_stream_end(one);
}

CASE(sync_free, "cuMemFree: may free what cuMemAllocAsync allocated")
{
    CUdeviceptr p;

    needs_pools();
    p = take(BLOCK, NULL);
    conf_fill(p, 1, BLOCK / 4, NULL);
    MUST(cu.CtxSynchronize());
    conf_free(p);
    REFUSED(cu.MemFree(p));
    REFUSED(cu.MemFreeAsync(p, NULL));
}

CASE(async_free_of_sync, "cuMemFreeAsync: of memory of cuMemAlloc")
{
    CUdeviceptr p;
    CUresult result;

    needs_pools();
    p = conf_alloc(BLOCK);
    conf_fill(p, 1, BLOCK / 4, NULL);
    result = cu.MemFreeAsync(p, NULL);
    NOTE("%s", conf_result(result));
    MUST(cu.CtxSynchronize());
    if (result != CUDA_SUCCESS)
        conf_free(p);
}

CASE(twice, "cuMemFreeAsync: what was freed is CUDA_ERROR_INVALID_VALUE")
{
    CUdeviceptr p;

    needs_pools();
    p = take(BLOCK, NULL);
    give(p, NULL);
    MUST(cu.CtxSynchronize());
    IS(cu.MemFreeAsync(p, NULL), CUDA_ERROR_INVALID_VALUE);
}

CASE(inside, "cuMemFreeAsync: dptr is where the allocation begins")
{
    CUdeviceptr p;

    needs_pools();
    p = take(BLOCK, NULL);
    MUST(cu.MemsetD32Async(p, 7, BLOCK / 4, NULL));
    IS(cu.MemFreeAsync(p + 512, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemFreeAsync(p + BLOCK - 1, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK(conf_holds(p, 7, BLOCK / 4));
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(foreign, "cuMemFreeAsync: of what was never allocated, and of 0")
{
    int here = 0;

    needs_pools();
    IS(cu.MemFreeAsync((CUdeviceptr)(uintptr_t)&here, NULL), CUDA_ERROR_INVALID_VALUE);
    IS(cu.MemFreeAsync(0x123456000, NULL), CUDA_ERROR_INVALID_VALUE);
    SAW(cu.MemFreeAsync(0, NULL));
}

CASE(stream_gone, "cuStreamDestroy: memory outlives the stream that it was allocated in")
{
    CUdeviceptr p;
    CUstream stream;

    needs_pools();
    stream = conf_stream();
    p = take(BLOCK, stream);
    conf_fill(p, 8, BLOCK / 4, stream);
    conf_stream_end(stream);
    CHECK(conf_holds(p, 8, BLOCK / 4));
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(stream_gone_early, "cuStreamDestroy: frees that are pending in it are done all the same")
{
    CUstream stream;

    needs_pools();
    for (int i = 0; i < 20; i++) {
        stream = conf_stream();
        CUdeviceptr p = take(BLOCK, stream);

        conf_spin(1000, stream);
        conf_fill(p, 8, BLOCK / 4, stream);
        give(p, stream);
        MUST(cu.StreamDestroy(stream));
    }
    MUST(cu.CtxSynchronize());
}

CASE(many_streams, "Streams: allocation and free in each of a hundred")
{
    enum { COUNT = 100 };
    CUstream streams[COUNT];
    CUdeviceptr p[COUNT];

    needs_pools();
    for (unsigned i = 0; i < COUNT; i++) {
        streams[i] = conf_stream();
        p[i] = take(64 * KIB, streams[i]);
        conf_fill(p[i], i, 16 * KIB, streams[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        MUST(cu.StreamSynchronize(streams[i]));
        CHECK(conf_holds(p[i], i, 16 * KIB));
        give(p[i], streams[i]);
    }
    for (unsigned i = 0; i < COUNT; i++)
        conf_stream_end(streams[i]);
}

static atomic_bool opened;

static void wait_for_it(void *unused)
{
    (void)unused;
    while (!atomic_load(&opened))
        usleep(100);
}

CASE(thousands_pending, "cuMemFreeAsync: waits for nothing, however many streams it is pending in")
{
    enum { STREAMS = 1250, EACH = 4, LATER = 64, BYTES = 512 };
    CUdeviceptr p[EACH], later[LATER];
    CUstream gate, stream;
    CUevent event;

    needs_pools();
    NEEDS(LaunchHostFunc);
    atomic_store(&opened, false);
    gate = conf_stream();
    MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
    MUST(cu.LaunchHostFunc(gate, wait_for_it, NULL));
    MUST(cu.EventRecord(event, gate));
    for (int i = 0; i < STREAMS; i++) {
        stream = conf_stream();
        MUST(cu.StreamWaitEvent(stream, event, 0));
        for (int j = 0; j < EACH; j++) {
            p[j] = take(BYTES, stream);
            conf_fill(p[j], 1, BYTES / 4, stream);
        }
        for (int j = 0; j < EACH; j++)
            give(p[j], stream);
        MUST(cu.StreamDestroy(stream));
    }
    stream = conf_stream();
    for (int i = 0; i < LATER; i++) {
        later[i] = take(BYTES, stream);
        conf_fill(later[i], 2, BYTES / 4, stream);
    }
    MUST(cu.StreamSynchronize(stream));
    atomic_store(&opened, true);
    MUST(cu.CtxSynchronize());
    for (int i = 0; i < LATER; i++) {
        CHECK(conf_holds(later[i], 2, BYTES / 4));
        give(later[i], stream);
    }
    MUST(cu.EventDestroy(event));
    conf_stream_end(stream);
    conf_stream_end(gate);
}

/* --- what it is ---------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    CUpointer_attribute attribute;
    uint64_t answer;
} fixed[] = {
    {"MEMORY_TYPE", CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_MEMORYTYPE_DEVICE},
    {"IS_MANAGED", CU_POINTER_ATTRIBUTE_IS_MANAGED, 0},
    {"DEVICE_ORDINAL", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 0},
    {"RANGE_SIZE", CU_POINTER_ATTRIBUTE_RANGE_SIZE, BLOCK},
    {"MAPPED", CU_POINTER_ATTRIBUTE_MAPPED, 1},
    {"IS_LEGACY_CUDA_IPC_CAPABLE", CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, 0},
};
CASES(attribute, fixed, "cuPointerGetAttribute: of stream-ordered memory")
{
    uint64_t value = 0;
    CUdeviceptr p;

    needs_pools();
    p = take(BLOCK, NULL);
    MUST(cu.PointerGetAttribute(&value, row->attribute, p + 1000));
    EQUAL(value, row->answer);
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(attribute_pool, "CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: the pool that it is from")
{
    CUmemoryPool pool = NULL, found = NULL;
    CUdeviceptr p;

    needs_pools();
    MUST(cu.DeviceGetMemPool(&pool, conf.device));
    p = take(BLOCK, NULL);
    MUST(cu.PointerGetAttribute(&found, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    CHECK(found == pool);
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(attribute_context, "CU_POINTER_ATTRIBUTE_CONTEXT: of memory that belongs to a pool")
{
    CUcontext found = (CUcontext)1;
    CUdeviceptr p;
    CUresult result;

    needs_pools();
    p = take(BLOCK, NULL);
    result = cu.PointerGetAttribute(&found, CU_POINTER_ATTRIBUTE_CONTEXT, p);
    NOTE("%s, %s", conf_result(result),
         found == conf.context ? "the current one"
         : found               ? "another"
                               : "none");
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(range, "cuMemGetAddressRange: of stream-ordered memory")
{
    CUdeviceptr p, base = 0;
    size_t bytes = 0;

    needs_pools();
    p = take(BLOCK, NULL);
    MUST(cu.MemGetAddressRange(&base, &bytes, p + BLOCK / 2));
    EQUAL(base, p);
    EQUAL(bytes, BLOCK);
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(ipc, "cuIpcGetMemHandle: not for stream-ordered memory")
{
    CUipcMemHandle handle;
    CUdeviceptr p;

    needs_pools();
    p = take(BLOCK, NULL);
    REFUSED(cu.IpcGetMemHandle(&handle, p));
    give(p, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(past_the_end, "cuMemcpy*, cuMemset*: what runs over the end of it is refused")
{
    CUdeviceptr p, q;

    needs_pools();
    p = take(BLOCK, NULL);
    q = take(BLOCK, NULL);
    REFUSED(cu.MemsetD8Async(p + 1, 0, BLOCK, NULL));
    REFUSED(cu.MemcpyDtoDAsync(p + MIB, q + 1, BLOCK - 1, NULL));
    give(p, NULL);
    give(q, NULL);
    MUST(cu.CtxSynchronize());
}

CASE(context_gone, "cuCtxDestroy: a pool's memory outlives the context that allocated it")
{
    CUdeviceptr p;
    CUcontext other;

    needs_pools();
    other = conf_second_context();
    p = take(BLOCK, NULL);
    MUST(cu.CtxSynchronize());
    conf_pattern_block(p, BLOCK, 5);
    conf_context_end(other);
    CHECK(conf_patterned_block(p, BLOCK, 5));
    MUST(cu.MemFree(p));
}

CASE(other_context_frees, "cuMemFreeAsync: in a stream of another context of the device")
{
    CUdeviceptr p;
    CUcontext other;

    needs_pools();
    p = take(BLOCK, NULL);
    MUST(cu.CtxSynchronize());
    other = conf_second_context();
    give(p, NULL);
    MUST(cu.CtxSynchronize());
    conf_context_end(other);
    REFUSED(cu.MemFree(p));
}
