/* work.h: what is done to blocks: sets, kernels, uploads, downloads, queries, and calls that must
 * be refused. Each changes or checks the model.
 */
#ifndef HYBRIDMEM_STRESS_WORK_H
#define HYBRIDMEM_STRESS_WORK_H

#include "blocks.h"

static inline void must_equal(struct worker *w, const uint8_t *seen, const uint8_t *expected,
                              size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (seen[i] != expected[i])
            stress_fail(w, "byte %zu of %zu is %02x, not %02x", i, size, seen[i], expected[i]);
}

static inline void must_be(struct worker *w, bool truth, const char *what)
{
    if (!truth)
        stress_fail(w, "not so: %s", what);
}
#define MUST_BE(truth) must_be(w, (truth), #truth)

/* A part of the block. */
static inline size_t part(struct worker *w, const struct block *b, size_t *size)
{
    *size = stress_below(w, 4) ? stress_size(w, b->size) : b->size;
    return stress_below(w, b->size - *size + 1);
}

/* --- sets --------------------------------------------------------------------------------------
 */

static inline void model_set(uint8_t *row, uint32_t value, size_t count, size_t word)
{
    for (size_t i = 0; i < count; i++)
        memcpy(row + i * word, &value, word);
}

static inline void set_row(struct worker *w, const struct block *b, size_t at, size_t word,
                           uint32_t value, size_t count, int lane)
{
    CUdeviceptr p = b->device + at;

    if (lane < 0 && word == 1)
        DO(cuMemsetD8(p, (unsigned char)value, count));
    else if (lane < 0 && word == 2)
        DO(cuMemsetD16(p, (unsigned short)value, count));
    else if (lane < 0)
        DO(cuMemsetD32(p, value, count));
    else if (word == 1)
        DO(cuMemsetD8Async(p, (unsigned char)value, count, w->lane[lane]));
    else if (word == 2)
        DO(cuMemsetD16Async(p, (unsigned short)value, count, w->lane[lane]));
    else
        DO(cuMemsetD32Async(p, value, count, w->lane[lane]));
}

static inline void set_rows(struct worker *w, CUdeviceptr p, size_t pitch, size_t word,
                            uint32_t value, size_t width, size_t rows, int lane)
{
    CUstream s = lane < 0 ? NULL : w->lane[lane];

    if (lane < 0 && word == 1)
        DO(cuMemsetD2D8(p, pitch, (unsigned char)value, width, rows));
    else if (lane < 0 && word == 2)
        DO(cuMemsetD2D16(p, pitch, (unsigned short)value, width, rows));
    else if (lane < 0)
        DO(cuMemsetD2D32(p, pitch, value, width, rows));
    else if (word == 1)
        DO(cuMemsetD2D8Async(p, pitch, (unsigned char)value, width, rows, s));
    else if (word == 2)
        DO(cuMemsetD2D16Async(p, pitch, (unsigned short)value, width, rows, s));
    else
        DO(cuMemsetD2D32Async(p, pitch, value, width, rows, s));
}

/* Some of the calls are the synchronous functions, which go to the default lane. */
static inline int lane_or_none(struct worker *w, struct block *b)
{
    int lane = stress_below(w, 6) ? lane_any(w) : -1;

    block_order(w, b, lane < 0 ? LANE_DEFAULT : lane);
    return lane;
}

static inline void op_set(struct worker *w, struct block *b)
{
    size_t word = (size_t)1 << stress_below(w, 3), size, at = part(w, b, &size);
    size_t rows = 1 + stress_below(w, 8), pitch, width;
    uint32_t value = (uint32_t)stress_random(w);
    int lane;

    at -= at % word;
    pitch = size / rows / word * word;
    if (!pitch)
        return;
    lane = lane_or_none(w, b);
    block_note(w, b, lane < 0 ? "synchronous set" : "set", at, size);
    if (rows == 1) {
        set_row(w, b, at, word, value, pitch / word, lane);
        model_set(b->bytes + at, value, pitch / word, word);
        return;
    }
    width = 1 + stress_below(w, pitch / word);
    set_rows(w, b->device + at, pitch, word, value, width, rows, lane);
    for (size_t y = 0; y < rows; y++)
        model_set(b->bytes + at + y * pitch, value, width, word);
}

/* --- kernels -----------------------------------------------------------------------------------
 */

static inline void launch(struct worker *w, CUfunction function, int lane, void **params)
{
    DO(cuLaunchKernel(function, 4, 1, 1, 64, 1, 1, 0, w->lane[lane], params, NULL));
}

static inline void model_add(uint8_t *bytes, uint32_t value, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        uint32_t word;

        memcpy(&word, bytes + i * 4, 4);
        word += value;
        memcpy(bytes + i * 4, &word, 4);
    }
}

static inline void op_kernel(struct worker *w, struct block *b)
{
    size_t size, at = part(w, b, &size) / 4 * 4;
    uint64_t words = size / 4, delay = stress_below(w, 200);
    uint32_t value = (uint32_t)stress_random(w);
    CUdeviceptr p = b->device + at;
    int lane = lane_any(w);

    if (!words)
        return;
    block_order(w, b, lane);
    block_note(w, b, "kernel", at, size);
    if (stress_below(w, 8) == 0)
        launch(w, host.spin, lane, (void *[]){&delay});
    if (stress_below(w, 2)) {
        launch(w, host.fill, lane, (void *[]){&p, &value, &words});
        model_set(b->bytes + at, value, words, 4);
    } else {
        launch(w, host.add, lane, (void *[]){&p, &value, &words});
        model_add(b->bytes + at, value, words);
    }
}

/* --- the CPU's side ----------------------------------------------------------------------------
 */

static inline void upload(struct worker *w, struct block *b, size_t at, size_t size)
{
    int lane = lane_or_none(w, b);

    block_note(w, b, lane < 0 ? "synchronous upload" : "upload", at, size);
    stress_noise(w, w->buffer, size);
    memcpy(b->bytes + at, w->buffer, size);
    if (lane < 0)
        DO(cuMemcpyHtoD(b->device + at, w->buffer, size));
    else
        DO(cuMemcpyHtoDAsync(b->device + at, w->buffer, size, w->lane[lane]));
    /* The source was read when the call returns: pageable memory. */
    memset(w->buffer, 0xee, size);
}

static inline void op_upload(struct worker *w, struct block *b)
{
    size_t size, at = part(w, b, &size);

    upload(w, b, at, size < BUFFER_BYTES ? size : BUFFER_BYTES);
}

/* Every byte of a new block is written before it is read. */
static inline void first_fill(struct worker *w, struct block *b)
{
    uint8_t value = (uint8_t)stress_random(w);
    int lane = stress_below(w, 2) ? b->lane : lane_any(w);

    if (b->size <= BUFFER_BYTES && stress_below(w, 2)) {
        upload(w, b, 0, b->size);
        return;
    }
    block_order(w, b, lane);
    block_note(w, b, "set", 0, b->size);
    DO(cuMemsetD8Async(b->device, value, b->size, w->lane[lane]));
    memset(b->bytes, value, b->size);
}

static inline void download(struct worker *w, struct block *b, size_t at, size_t size)
{
    int lane = lane_or_none(w, b);

    if (size > BUFFER_BYTES)
        size = BUFFER_BYTES;
    block_note(w, b, lane < 0 ? "synchronous download" : "download", at, size);
    memset(w->buffer, 0xaa, size);
    if (lane < 0)
        DO(cuMemcpyDtoH(w->buffer, b->device + at, size));
    else
        DO(cuMemcpyDtoHAsync(w->buffer, b->device + at, size, w->lane[lane]));
    must_equal(w, w->buffer, b->bytes + at, size); /* pageable: complete */
}

static inline void op_download(struct worker *w, struct block *b)
{
    size_t size, at = part(w, b, &size);

    download(w, b, at, size);
}

/* Looks at what an earlier read has found. */
static inline void peek_end(struct worker *w, struct peek *p)
{
    if (!p->size)
        return;
    w->doing = "earlier read";
    w->about = &p->was;
    DO(cuEventSynchronize(p->done));
    must_equal(w, p->seen, p->expected, p->size);
    p->size = 0;
}

/* Enqueues a read, to be looked at when the block may be long gone. By a kernel where that can be:
 * a copy between two places of host memory, as the driver sees a redirected block, may wait. */
static inline void peek(struct worker *w, struct block *b, int lane)
{
    struct peek *p = &w->peek[stress_below(w, 4)];
    CUdeviceptr to = (CUdeviceptr)p->seen, from;
    uint64_t words;
    size_t at;

    peek_end(w, p);
    at = part(w, b, &p->size) / 4 * 4;
    p->size = p->size < PEEK_BYTES ? p->size : PEEK_BYTES;
    if (p->size > 4 && stress_below(w, 4))
        p->size -= p->size % 4;
    memcpy(p->expected, b->bytes + at, p->size);
    block_order(w, b, lane);
    block_note(w, b, "read for later", at, p->size);
    p->was = *b;
    from = b->device + at;
    words = p->size / 4;
    if (p->size % 4)
        DO(cuMemcpyDtoHAsync(p->seen, from, p->size, w->lane[lane]));
    else
        launch(w, host.copy, lane, (void *[]){&to, &from, &words});
    DO(cuEventRecord(p->done, w->lane[lane]));
}

static inline void op_peek(struct worker *w, struct block *b)
{
    peek(w, b, lane_any(w));
}

/* Frees the block while work on it still waits, and asks for as much again at once: what comes may
 * lie in the same place, and must not be touched by the old work, nor touch what that reads. */
static inline void op_succeed(struct worker *w, struct block *b)
{
    uint64_t delay = stress_below(w, stress_below(w, 4) ? 400 : 8000);
    enum kind kind = stress_below(w, 4) ? b->kind : kind_any(w);
    bool waits = b->kind == KIND_MAPPED || b->kind >= KIND_HOST;
    size_t size = b->size;
    int lane = lane_any(w);

    if (!waits) {
        block_order(w, b, lane);
        launch(w, host.spin, lane, (void *[]){&delay});
        peek(w, b, lane);
    }
    block_close(w, b);
    if (block_open(w, b, kind, size < BLOCK_MOST ? size : BLOCK_MOST))
        first_fill(w, b);
}

/* The CPU reads and writes pinned and managed memory itself. */
static inline void op_cpu(struct worker *w, struct block *b)
{
    size_t size, at = part(w, b, &size);

    if (!b->host)
        return;
    block_note(w, b, "access by the CPU", at, size);
    block_drain(w, b);
    must_equal(w, b->host + at, b->bytes + at, size);
    stress_noise(w, b->bytes + at, size);
    memcpy(b->host + at, b->bytes + at, size);
}

/* --- questions, and what must be refused --------------------------------------------------------
 */

static inline void op_query(struct worker *w, struct block *b)
{
    CUdeviceptr p = b->device + stress_below(w, b->size), base = 0, start = 0;
    size_t size = 0, length = 0, free_bytes, total;
    unsigned type = 0;
    int ordinal = -1;

    block_note(w, b, "query", p - b->device, 1);
    DO(cuMemGetInfo(&free_bytes, &total));
    MUST_BE(free_bytes <= total);
    DO(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    MUST_BE(type ==
            (b->host && b->kind != KIND_MANAGED ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE));
    DO(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
    MUST_BE(ordinal == 0);
    if (b->kind == KIND_MAPPED)
        return;
    DO(cuMemGetAddressRange(&base, &size, p));
    MUST_BE(base == b->device);
    MUST_BE(size == b->allocated);
    DO(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p));
    DO(cuPointerGetAttribute(&length, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p));
    MUST_BE(start == b->device);
    MUST_BE(length == b->allocated);
}

/* Runs over the end of a block: into a neighbour, were it done. Nothing is enqueued, so that the
 * block stays with its lane. */
static inline void op_over(struct worker *w, struct block *b)
{
    size_t inside = stress_below(w, b->size < 4096 ? b->size : 4096);
    size_t size = inside + 1 + stress_below(w, 4096);
    CUdeviceptr p = b->device + b->size - inside;
    const CUDA_MEMCPY2D row = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                               .srcHost = w->buffer,
                               .srcPitch = size,
                               .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                               .dstDevice = p,
                               .dstPitch = size,
                               .WidthInBytes = size,
                               .Height = 1};
    int lane = lane_any(w);

    if (b->kind != KIND_ALLOC && b->kind != KIND_ASYNC)
        return;
    block_note(w, b, "call over the end", b->size - inside, size);
    switch (stress_below(w, 5)) {
    case 0:
        MUST_BE(cuMemcpyHtoDAsync(p, w->buffer, size, w->lane[lane]) == CUDA_ERROR_INVALID_VALUE);
        break;
    case 1:
        MUST_BE(cuMemcpyDtoHAsync(w->buffer, p, size, w->lane[lane]) == CUDA_ERROR_INVALID_VALUE);
        break;
    case 2:
        MUST_BE(cuMemsetD8Async(p, 0xcc, size, w->lane[lane]) == CUDA_ERROR_INVALID_VALUE);
        break;
    case 3:
        MUST_BE(cuMemcpy2DAsync(&row, w->lane[lane]) == CUDA_ERROR_INVALID_VALUE);
        break;
    default:
        MUST_BE(cuMemFree(b->device + 1 + stress_below(w, b->size)) == CUDA_ERROR_INVALID_VALUE);
    }
}

#endif
