/* Every flavour of set, at odd places, against a CPU model. */
#define HOST_DIRECT
#include "model.h"

static struct model a, b;
static CUstream stream;

#define PITCH  1280u
#define WIDTH  301u
#define HEIGHT 200u

static void model_set(size_t at, uint32_t value, size_t unit, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy(a.bytes + at + i * unit, &value, unit);
}

/* Sets in one dimension and in two; the line names the call. */
#define SETS(bits, unit, async, ...)                                                               \
    do {                                                                                           \
        size_t at = model_random(MODEL_BYTES / 4) / 4 * 4;                                         \
        size_t count = 1 + model_random(MODEL_BYTES / 8);                                          \
        uint32_t value = 0x1357abcd + (uint32_t)at;                                                \
        MUST(cuMemsetD##bits##async(a.device + at, (uint##bits##_t)value, count __VA_ARGS__));     \
        MUST(cuCtxSynchronize());                                                                  \
        model_set(at, value, unit, count);                                                         \
        model_report("cuMemsetD" #bits #async, &a, &b);                                            \
        MUST(cuMemsetD2D##bits##async(a.device + at, PITCH, (uint##bits##_t) ~value, WIDTH,        \
                                      HEIGHT __VA_ARGS__));                                        \
        MUST(cuCtxSynchronize());                                                                  \
        for (size_t y = 0; y < HEIGHT; y++)                                                        \
            model_set(at + y * PITCH, ~value, unit, WIDTH);                                        \
        model_report("cuMemsetD2D" #bits #async, &a, &b);                                          \
    } while (0)

int main(void)
{
    host_open(&host_direct);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    model_open(&a);
    model_open(&b);
    SETS(8, 1, );
    SETS(8, 1, Async, , stream);
    SETS(16, 2, );
    SETS(16, 2, Async, , stream);
    SETS(32, 4, );
    SETS(32, 4, Async, , stream);
    host_show("D32 at an odd address", cuMemsetD32(a.device + 2, 0, 4));
    host_show("D16 at an odd address", cuMemsetD16(a.device + 1, 0, 4));
    host_show("D8 of nothing", cuMemsetD8(a.device, 0, 0));
    model_report("untouched by errors", &a, &b);
    model_close(&a);
    model_close(&b);
    MUST(cuStreamDestroy(stream));
    host_close();
    printf("done\n");
    return 0;
}
