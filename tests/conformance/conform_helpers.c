/* conform_helpers.c: what many cases do. */
#include "conform.h"

void conf_forged(void)
{
    const char *asked = getenv("CONFORM_FORGED");

    if (!asked || strcmp(asked, "1") != 0)
        conf_skip("a real driver may crash on a forged handle (CONFORM_FORGED=1 asks for it)");
}

void *conf_memory(size_t bytes)
{
    void *found = malloc(bytes);

    if (!found)
        conf_fail(__FILE__, __LINE__, "no memory");
    return found;
}

CUdeviceptr conf_alloc(size_t bytes)
{
    CUdeviceptr p = 0;

    MUST(cu.MemAlloc(&p, bytes));
    CHECK(p != 0);
    return p;
}

void conf_free(CUdeviceptr p)
{
    MUST(cu.MemFree(p));
}

CUstream conf_stream(void)
{
    CUstream stream = NULL;

    MUST(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

void conf_stream_end(CUstream stream)
{
    MUST(cu.StreamSynchronize(stream));
    MUST(cu.StreamDestroy(stream));
}

static void launch(CUfunction function, CUstream stream, void **parameters)
{
    MUST(cu.LaunchKernel(function, 32, 1, 1, 128, 1, 1, 0, stream, parameters, NULL));
}

void conf_spin(uint64_t microseconds, CUstream stream)
{
    MUST(cu.LaunchKernel(conf.spin, 1, 1, 1, 1, 1, 1, 0, stream, (void *[]){&microseconds}, NULL));
}

void conf_fill(CUdeviceptr p, uint32_t value, size_t words, CUstream stream)
{
    uint64_t count = words;

    launch(conf.fill, stream, (void *[]){&p, &value, &count});
}

void conf_add(CUdeviceptr p, uint32_t value, size_t words, CUstream stream)
{
    uint64_t count = words;

    launch(conf.add, stream, (void *[]){&p, &value, &count});
}

void conf_copy(CUdeviceptr dst, CUdeviceptr src, size_t words, CUstream stream)
{
    uint64_t count = words;

    launch(conf.copy, stream, (void *[]){&dst, &src, &count});
}

bool conf_holds(CUdeviceptr p, uint32_t value, size_t words)
{
    uint32_t *found = conf_memory(words * 4);
    bool all = true;

    MUST(cu.MemcpyDtoH(found, p, words * 4));
    for (size_t i = 0; i < words; i++)
        all = all && found[i] == value;
    free(found);
    return all;
}

static unsigned char byte_at(size_t place, unsigned seed)
{
    return (unsigned char)((place * 2654435761u + seed * 40503u) >> 7);
}

void conf_pattern(void *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        ((unsigned char *)bytes)[i] = byte_at(i, seed);
}

bool conf_patterned(const void *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        if (((const unsigned char *)bytes)[i] != byte_at(i, seed))
            return false;
    return true;
}

void conf_pattern_block(CUdeviceptr p, size_t bytes, unsigned seed)
{
    void *source = conf_memory(bytes);

    conf_pattern(source, bytes, seed);
    MUST(cu.MemcpyHtoD(p, source, bytes));
    free(source);
}

bool conf_patterned_block(CUdeviceptr p, size_t bytes, unsigned seed)
{
    void *found = conf_memory(bytes);
    bool same;

    MUST(cu.MemcpyDtoH(found, p, bytes));
    same = conf_patterned(found, bytes, seed);
    free(found);
    return same;
}

CUcontext conf_second_context(void)
{
    CUcontext context = NULL;

    if (!cu.CtxCreate)
        conf_skip("this driver has no cuCtxCreate_v2");
    MUST(cu.CtxCreate(&context, 0, conf.device));
    MUST(cu.CtxPopCurrent(NULL)); /* instead of conf.context, not on top of it */
    MUST(cu.CtxSetCurrent(context));
    return context;
}

void conf_context_end(CUcontext context)
{
    MUST(cu.CtxDestroy(context));
    MUST(cu.CtxSetCurrent(conf.context));
}

CUdevice conf_second_device(void)
{
    int count = 0;

    MUST(cu.DeviceGetCount(&count));
    if (count < 2)
        conf_skip("one device only");
    return 1;
}

int conf_attribute(CUdevice_attribute attribute)
{
    int value = 0;

    MUST(cu.DeviceGetAttribute(&value, attribute, conf.device));
    return value;
}
