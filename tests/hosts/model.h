/* model.h: device blocks beside a CPU copy of what they must hold. */
#ifndef HYBRIDMEM_TESTS_MODEL_H
#define HYBRIDMEM_TESTS_MODEL_H

#include "host.h"

#define MODEL_BYTES ((size_t)(2u << 20) + 512)

struct model {
    CUdeviceptr device;
    uint8_t *bytes; /* what the block must hold */
};

static uint8_t *model_buffer; /* ordinary memory */
static uint8_t *model_pinned; /* cuMemHostAlloc'ed */

static uint32_t model_seed = 1;

/* A number below `limit`, the same in every run. */
static inline size_t model_random(size_t limit)
{
    model_seed = model_seed * 1664525u + 1013904223u;
    return (size_t)(model_seed >> 8) % limit;
}

static inline void model_noise(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)model_random(256);
}

static inline void model_open(struct model *model)
{
    model->bytes = malloc(MODEL_BYTES);
    REQUIRE(model->bytes);
    model_noise(model->bytes, MODEL_BYTES);
    MUST(cuMemAlloc(&model->device, MODEL_BYTES));
    MUST(cuMemcpyHtoD(model->device, model->bytes, MODEL_BYTES));
}

static inline void model_open_buffers(void)
{
    model_buffer = malloc(MODEL_BYTES);
    REQUIRE(model_buffer);
    MUST(cuMemHostAlloc((void **)&model_pinned, MODEL_BYTES, CU_MEMHOSTALLOC_PORTABLE));
    model_noise(model_buffer, MODEL_BYTES);
    memcpy(model_pinned, model_buffer, MODEL_BYTES);
}

static inline void model_close_buffers(void)
{
    free(model_buffer);
    MUST(cuMemFreeHost(model_pinned));
}

static inline void model_close(struct model *model)
{
    MUST(cuMemFree(model->device));
    free(model->bytes);
}

/* Every byte of the block, read by the driver, against the model. */
static inline bool model_equal(const struct model *model)
{
    uint8_t *seen = calloc(1, MODEL_BYTES);
    bool equal;

    REQUIRE(seen);
    MUST(cuMemcpyDtoH(seen, model->device, MODEL_BYTES));
    equal = !memcmp(seen, model->bytes, MODEL_BYTES);
    free(seen);
    return equal;
}

static inline void model_report(const char *name, const struct model *a, const struct model *b)
{
    bool equal = model_equal(a) && model_equal(b);

    printf("%s: %s\n", name, equal ? "equal" : "differs");
    if (!equal)
        exit(1);
}

/* A range: `from` in the source, `to` in the destination. */
struct range {
    size_t from;
    size_t to;
    size_t size;
};

static inline struct range model_range(void)
{
    struct range range;

    range.size = 1 + model_random(MODEL_BYTES / 2);
    range.from = model_random(MODEL_BYTES - range.size);
    range.to = model_random(MODEL_BYTES - range.size);
    return range;
}

#endif
