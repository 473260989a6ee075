/* Every flavour of one-dimensional copy, at odd offsets and lengths, against a CPU model; and
 * ranges that leave their block, which the driver must refuse. */
#define HOST_DIRECT
#include "model.h"

static struct model a, b;
static CUstream stream;

static void up(const uint8_t *source, bool async)
{
    struct range r = model_range();

    if (async)
        MUST(cuMemcpyHtoDAsync(a.device + r.to, source + r.from, r.size, stream));
    else
        MUST(cuMemcpyHtoD(a.device + r.to, source + r.from, r.size));
    MUST(cuStreamSynchronize(stream));
    memcpy(a.bytes + r.to, source + r.from, r.size);
    model_report(async ? "cuMemcpyHtoDAsync" : "cuMemcpyHtoD", &a, &b);
}

static void down(uint8_t *target, bool async)
{
    struct range r = model_range();

    memset(target, 0, MODEL_BYTES);
    if (async)
        MUST(cuMemcpyDtoHAsync(target + r.to, a.device + r.from, r.size, stream));
    else
        MUST(cuMemcpyDtoH(target + r.to, a.device + r.from, r.size));
    MUST(cuStreamSynchronize(stream));
    REQUIRE(!memcmp(target + r.to, a.bytes + r.from, r.size));
    REQUIRE(r.to == 0 || target[r.to - 1] == 0);
    REQUIRE(r.to + r.size == MODEL_BYTES || target[r.to + r.size] == 0);
    model_report(async ? "cuMemcpyDtoHAsync" : "cuMemcpyDtoH", &a, &b);
}

static void across(bool async)
{
    struct range r = model_range();

    if (async)
        MUST(cuMemcpyDtoDAsync(b.device + r.to, a.device + r.from, r.size, stream));
    else
        MUST(cuMemcpyDtoD(b.device + r.to, a.device + r.from, r.size));
    MUST(cuCtxSynchronize());
    memcpy(b.bytes + r.to, a.bytes + r.from, r.size);
    model_report(async ? "cuMemcpyDtoDAsync" : "cuMemcpyDtoD", &a, &b);
}

static void unified(bool async)
{
    struct range r = model_range();

#define UNIFIED(dst, src)                                                                          \
    do {                                                                                           \
        if (async)                                                                                 \
            MUST(cuMemcpyAsync((dst), (src), r.size, stream));                                     \
        else                                                                                       \
            MUST(cuMemcpy((dst), (src), r.size));                                                  \
        MUST(cuCtxSynchronize());                                                                  \
    } while (0)
    UNIFIED(a.device + r.to, (CUdeviceptr)(model_pinned + r.from));
    memcpy(a.bytes + r.to, model_pinned + r.from, r.size);
    UNIFIED(b.device + r.from, a.device + r.to);
    memcpy(b.bytes + r.from, a.bytes + r.to, r.size);
    UNIFIED((CUdeviceptr)(model_pinned + r.to), b.device + r.to);
    REQUIRE(!memcmp(model_pinned + r.to, b.bytes + r.to, r.size));
    model_report(async ? "cuMemcpyAsync" : "cuMemcpy", &a, &b);
}

static void peer(bool async)
{
    struct range r = model_range();

    if (async)
        MUST(cuMemcpyPeerAsync(b.device + r.to, host.context, a.device + r.from, host.context,
                               r.size, stream));
    else
        MUST(cuMemcpyPeer(b.device + r.to, host.context, a.device + r.from, host.context, r.size));
    MUST(cuCtxSynchronize());
    memcpy(b.bytes + r.to, a.bytes + r.from, r.size);
    model_report(async ? "cuMemcpyPeerAsync" : "cuMemcpyPeer", &a, &b);
}

/* The driver rounds no block up so far that these would fit. */
static void beyond_the_end(void)
{
    const size_t far = MODEL_BYTES + (64u << 20);

    host_show("HtoD beyond the end", cuMemcpyHtoD(a.device + 4096, model_buffer, far));
    host_show("DtoH beyond the end", cuMemcpyDtoH(model_buffer, a.device + 4096, far));
    host_show("DtoD beyond the end", cuMemcpyDtoD(b.device + 4096, a.device + 4096, far));
    host_show("HtoD of nothing", cuMemcpyHtoD(a.device, model_buffer, 0));
    host_show("HtoD to null", cuMemcpyHtoD(0, model_buffer, 16));
    host_show("set beyond the end", cuMemsetD8(a.device + 4096, 0, far));
    model_report("untouched by errors", &a, &b);
}

int main(void)
{
    host_open(&host_direct);
    MUST(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    model_open_buffers();
    model_open(&a);
    model_open(&b);
    for (int round = 0; round < 4; round++) {
        bool async = round & 1;

        up(model_buffer, async);
        up(model_pinned, async);
        across(async);
        unified(async);
        peer(async);
        down(model_buffer, async);
        down(model_pinned, async);
    }
    beyond_the_end();
    model_close(&a);
    model_close(&b);
    model_close_buffers();
    MUST(cuStreamDestroy(stream));
    host_close();
    printf("done\n");
    return 0;
}
