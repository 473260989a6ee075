/* Two devices in one process: whose a block is does not depend on what is current; blocks are
 * copied between devices, reached from the other one once peer access is there, freed from
 * anywhere, and live and die with their own device's context.
 */
#define HOST_DIRECT
#include "host.h"

#define SIZE  ((size_t)8 << 20)
#define WORDS (SIZE / 4)

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

struct card {
    CUdevice device;
    CUcontext context;
    CUfunction fill, copy;
};

static struct card card[2];

static void use(const struct card *c)
{
    MUST(cuCtxSetCurrent(c->context));
}

static void open_card(struct card *c, int ordinal)
{
    CUmodule module;

    MUST(cuDeviceGet(&c->device, ordinal));
    MUST(cuDevicePrimaryCtxRetain(&c->context, c->device));
    use(c);
    MUST(cuModuleLoadData(&module, host_ptx));
    MUST(cuModuleGetFunction(&c->fill, module, "fill"));
    MUST(cuModuleGetFunction(&c->copy, module, "copy"));
}

static CUdeviceptr block_of(const struct card *c, uint32_t value)
{
    uint64_t words = WORDS;
    CUdeviceptr p;
    void *params[] = {&p, &value, &words};

    use(c);
    MUST(cuMemAlloc(&p, SIZE));
    host_launch(c->fill, NULL, params);
    MUST(cuCtxSynchronize());
    return p;
}

/* With whatever context is current: unified addressing knows where the block is. */
static void expect(CUdeviceptr p, uint32_t value)
{
    static uint32_t words[WORDS];

    memset(words, 0, sizeof words);
    MUST(cuMemcpyDtoH(words, p, SIZE));
    for (size_t i = 0; i < WORDS; i++)
        REQUIRE(words[i] == value);
}

static void show_owner(const char *what, CUdeviceptr p)
{
    int ordinal = -1;
    unsigned int type = 0;
    CUcontext context = NULL;

    MUST(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
    MUST(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    MUST(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, p));
    printf("%s: device %d, type %u, context of card %d\n", what, ordinal, type,
           context == card[1].context);
}

static void owners(void)
{
    CUdeviceptr a = block_of(&card[0], 1), b = block_of(&card[1], 2);
    CUcontext popped;

    for (int i = 0; i < 2; i++) {
        use(&card[i]);
        show_owner("a", a);
        show_owner("b", b);
        expect(a, 1);
        expect(b, 2);
    }
    MUST(cuCtxPushCurrent(card[0].context));
    MUST(cuMemsetD32(a, 3, WORDS));
    MUST(cuCtxSynchronize()); /* the other context does not wait for it */
    MUST(cuMemFree(b));       /* the other device's */
    MUST(cuCtxPopCurrent(&popped));
    REQUIRE(popped == card[0].context);
    expect(a, 3);
    MUST(cuMemFree(a)); /* with card 1 current */
    host_show("free again", cuMemFree(a));
}

static void copies(void)
{
    CUdeviceptr a = block_of(&card[0], 4), b = block_of(&card[1], 5), c = block_of(&card[1], 6);
    CUDA_MEMCPY3D_PEER plane = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                                .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                .srcDevice = c,
                                .dstDevice = a,
                                .srcContext = card[1].context,
                                .dstContext = card[0].context,
                                .WidthInBytes = SIZE,
                                .Height = 1,
                                .Depth = 1};
    CUstream stream;

    MUST(cuMemcpyPeer(b, card[1].context, a, card[0].context, SIZE));
    expect(b, 4);
    use(&card[0]);
    MUST(cuMemcpyDtoD(b, c, SIZE)); /* both on the device that is not current */
    expect(b, 6);
    MUST(cuMemcpy(b, a, SIZE));
    expect(b, 4);
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemcpyPeerAsync(a, card[0].context, c, card[1].context, SIZE, stream));
    MUST(cuMemcpyDtoDAsync(b, a, SIZE, stream));
    MUST(cuStreamSynchronize(stream));
    expect(b, 6);
    MUST(cuMemsetD32(a, 7, WORDS));
    MUST(cuMemcpy3DPeer(&plane));
    expect(a, 6);
    host_show("beyond the end", cuMemcpyPeer(b, card[1].context, a + 512, card[0].context, SIZE));
    expect(b, 6);
    MUST(cuStreamDestroy(stream));
    MUST(cuMemFree(a));
    MUST(cuMemFree(b));
    MUST(cuMemFree(c));
}

/* A kernel of one device on the memory of the other. */
static void peers(void)
{
    CUdeviceptr a = block_of(&card[0], 8), b = block_of(&card[1], 9);
    uint64_t words = WORDS;
    void *params[] = {&b, &a, &words};
    int can = 0;

    MUST(cuDeviceCanAccessPeer(&can, card[1].device, card[0].device));
    printf("peer access: %d\n", can);
    use(&card[1]);
    MUST(cuCtxEnablePeerAccess(card[0].context, 0));
    host_show("again", cuCtxEnablePeerAccess(card[0].context, 0));
    host_launch(card[1].copy, NULL, params);
    MUST(cuCtxSynchronize());
    expect(b, 8);
    /* A block that is made while the access is there already. */
    MUST(cuMemFree(a));
    a = block_of(&card[0], 10);
    use(&card[1]);
    host_launch(card[1].copy, NULL, params);
    MUST(cuMemFreeAsync(b, NULL)); /* in the order of that stream, of the same device */
    MUST(cuMemAlloc(&b, SIZE));
    host_launch(card[1].copy, NULL, params);
    MUST(cuCtxSynchronize());
    expect(b, 10);
    MUST(cuCtxDisablePeerAccess(card[0].context));
    MUST(cuMemFree(a));
    MUST(cuMemFree(b));
}

static void show_gone(CUdeviceptr p)
{
    unsigned int word = 0, type = 0;

    host_show("  read", cuMemcpyDtoH(&word, p, 4));
    host_show("  memory type", cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    host_show("  free", cuMemFree(p));
}

/* One device's contexts come and go; the other device's memory, and that of another context on the
 * same device, stay. */
static void ends(void)
{
    CUdeviceptr a = block_of(&card[0], 11), b = block_of(&card[1], 12), c;
    CUcontext other;

    MUST(cuCtxCreate_v2(&other, 0, card[1].device));
    MUST(cuMemAlloc(&c, SIZE));
    MUST(cuMemsetD32(c, 13, WORDS));
    MUST(cuCtxDestroy(other));
    use(&card[0]);
    printf("a context of card 1 destroyed\n");
    show_gone(c);
    expect(a, 11);
    expect(b, 12);
    MUST(cuDevicePrimaryCtxReset(card[1].device));
    printf("card 1 reset\n");
    show_gone(b);
    expect(a, 11);
    open_card(&card[1], 1);
    b = block_of(&card[1], 14);
    expect(b, 14);
    expect(a, 11);
    MUST(cuMemFree(a));
    MUST(cuMemFree(b));
}

int main(void)
{
    int count = 0;

    host.cu = &host_direct;
    setvbuf(stdout, NULL, _IOLBF, 0);
    MUST(cuInit(0));
    MUST(cuDeviceGetCount(&count));
    REQUIRE(count >= 2);
    open_card(&card[0], 0);
    open_card(&card[1], 1);
    owners();
    copies();
    peers();
    ends();
    MUST(cuDevicePrimaryCtxReset(card[0].device));
    MUST(cuDevicePrimaryCtxReset(card[1].device));
    printf("done\n");
    return 0;
}
