/* Two- and three-dimensional copies between blocks, host memory and arrays, with pitches, offsets
 * and memory types of every kind, against a CPU model. */
#define HOST_DIRECT
#include "model.h"

static struct model a, b;
static CUstream stream;

#define PITCH_A 1536u
#define PITCH_B 1024u
#define WIDTH   700u
#define HEIGHT  300u
#define DEPTH   3u

enum call { PLAIN, UNALIGNED, ASYNC };

static void run_2d(const CUDA_MEMCPY2D *copy, enum call call)
{
    if (call == ASYNC)
        MUST(cuMemcpy2DAsync(copy, stream));
    else if (call == UNALIGNED)
        MUST(cuMemcpy2DUnaligned(copy));
    else
        MUST(cuMemcpy2D(copy));
    MUST(cuCtxSynchronize());
}

static void rows(uint8_t *dst, size_t dst_pitch, const uint8_t *src, size_t src_pitch)
{
    for (size_t y = 0; y < HEIGHT; y++)
        memcpy(dst + y * dst_pitch, src + y * src_pitch, WIDTH);
}

/* Block to block, host to block, block to host; `type` says device memory or unified. */
static void planes(const char *name, enum call call, CUmemorytype type)
{
    CUDA_MEMCPY2D copy = {.srcXInBytes = 20,
                          .srcY = 2,
                          .srcMemoryType = type,
                          .srcDevice = a.device,
                          .srcPitch = PITCH_A,
                          .dstXInBytes = 4,
                          .dstY = 5,
                          .dstMemoryType = type,
                          .dstDevice = b.device,
                          .dstPitch = PITCH_B,
                          .WidthInBytes = WIDTH,
                          .Height = HEIGHT};

    run_2d(&copy, call);
    rows(b.bytes + 5 * PITCH_B + 4, PITCH_B, a.bytes + 2 * PITCH_A + 20, PITCH_A);
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = model_pinned;
    copy.dstY = 400;
    run_2d(&copy, call);
    rows(b.bytes + 400 * PITCH_B + 4, PITCH_B, model_pinned + 2 * PITCH_A + 20, PITCH_A);
    copy.srcMemoryType = type;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = model_buffer;
    copy.dstY = 0;
    run_2d(&copy, call);
    for (size_t y = 0; y < HEIGHT; y++)
        REQUIRE(!memcmp(model_buffer + y * PITCH_B + 4, a.bytes + (y + 2) * PITCH_A + 20, WIDTH));
    model_report(name, &a, &b);
}

static void boxes(const char *name, bool async, CUmemorytype type)
{
    const size_t slice_a = PITCH_A * (HEIGHT + 10);
    const size_t slice_b = PITCH_B * (HEIGHT + 20);
    CUDA_MEMCPY3D copy = {.srcXInBytes = 8,
                          .srcY = 1,
                          .srcZ = 1,
                          .srcMemoryType = type,
                          .srcDevice = a.device,
                          .srcPitch = PITCH_A,
                          .srcHeight = HEIGHT + 10,
                          .dstXInBytes = 12,
                          .dstY = 3,
                          .dstMemoryType = type,
                          .dstDevice = b.device,
                          .dstPitch = PITCH_B,
                          .dstHeight = HEIGHT + 20,
                          .WidthInBytes = WIDTH,
                          .Height = HEIGHT,
                          .Depth = DEPTH};

    if (async)
        MUST(cuMemcpy3DAsync(&copy, stream));
    else
        MUST(cuMemcpy3D(&copy));
    MUST(cuCtxSynchronize());
    for (size_t z = 0; z < DEPTH; z++)
        rows(b.bytes + z * slice_b + 3 * PITCH_B + 12, PITCH_B,
             a.bytes + (z + 1) * slice_a + PITCH_A + 8, PITCH_A);
    model_report(name, &a, &b);
}

/* Arrays are opaque: up into one, and back into another place. */
static void arrays(void)
{
    const CUDA_ARRAY_DESCRIPTOR shape = {
        .Width = 4096, .Height = 0, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
    CUarray array;

    MUST(cuArrayCreate(&array, &shape));
    MUST(cuMemcpyDtoA(array, 256, a.device + 777, 3000));
    MUST(cuMemcpyAtoD(b.device + 99, array, 300, 2900));
    MUST(cuCtxSynchronize());
    memcpy(b.bytes + 99, a.bytes + 777 + 44, 2900);
    MUST(cuArrayDestroy(array));
    model_report("cuMemcpyDtoA, cuMemcpyAtoD", &a, &b);
}

int main(void)
{
    host_open(&host_direct);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    model_open_buffers();
    model_open(&a);
    model_open(&b);
    planes("cuMemcpy2D", PLAIN, CU_MEMORYTYPE_DEVICE);
    planes("cuMemcpy2D, unified", PLAIN, CU_MEMORYTYPE_UNIFIED);
    planes("cuMemcpy2DUnaligned", UNALIGNED, CU_MEMORYTYPE_DEVICE);
    planes("cuMemcpy2DUnaligned, unified", UNALIGNED, CU_MEMORYTYPE_UNIFIED);
    planes("cuMemcpy2DAsync", ASYNC, CU_MEMORYTYPE_DEVICE);
    planes("cuMemcpy2DAsync, unified", ASYNC, CU_MEMORYTYPE_UNIFIED);
    boxes("cuMemcpy3D", false, CU_MEMORYTYPE_DEVICE);
    boxes("cuMemcpy3D, unified", false, CU_MEMORYTYPE_UNIFIED);
    boxes("cuMemcpy3DAsync", true, CU_MEMORYTYPE_DEVICE);
    boxes("cuMemcpy3DAsync, unified", true, CU_MEMORYTYPE_UNIFIED);
    arrays();
    model_close(&a);
    model_close(&b);
    model_close_buffers();
    MUST(cuStreamDestroy(stream));
    host_close();
    printf("done\n");
    return 0;
}
