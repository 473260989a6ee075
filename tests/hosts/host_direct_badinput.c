/* Wrong calls: each gets the driver's own answer, and what the program owns stays as it is. */
#define HOST_DIRECT
#include "host.h"

#define SIZE ((size_t)4 << 20)

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

static void bad_sizes(void)
{
    CUdeviceptr p = 0;
    size_t pitch = 0;

    host_show("alloc of nothing", cuMemAlloc(&p, 0));
    host_show("alloc of SIZE_MAX", cuMemAlloc(&p, SIZE_MAX));
    host_show("alloc of SIZE_MAX - 511", cuMemAlloc(&p, SIZE_MAX - 511));
    host_show("alloc of 2^62", cuMemAlloc(&p, (size_t)1 << 62));
    host_show("alloc of 2^47", cuMemAlloc(&p, (size_t)1 << 47));
    host_show("alloc into null", cuMemAlloc(NULL, SIZE));
    host_show("pitch of no width", cuMemAllocPitch(&p, &pitch, 0, 16, 4));
    host_show("pitch of no height", cuMemAllocPitch(&p, &pitch, 16, 0, 4));
    host_show("pitch of huge rows", cuMemAllocPitch(&p, &pitch, (size_t)1 << 40, 1 << 20, 4));
    host_show("pitch of odd elements", cuMemAllocPitch(&p, &pitch, 1024, 64, 3));
    host_show("pitch into null", cuMemAllocPitch(NULL, &pitch, 1024, 64, 4));
}

static void bad_frees(CUdeviceptr kept)
{
    CUdeviceptr p = 0;
    int on_stack = 0;
    void *pageable = malloc(4096);
    void *pinned = NULL;

    MUST(cuMemHostAlloc(&pinned, 4096, 0));
    MUST(cuMemAlloc(&p, SIZE));
    host_show("free of null", cuMemFree(0));
    host_show("free inside a block", cuMemFree(p + 512));
    host_show("free of the last byte", cuMemFree(p + SIZE - 1));
    host_show("free", cuMemFree(p));
    host_show("free again", cuMemFree(p));
    host_show("free of the stack", cuMemFree((CUdeviceptr)&on_stack));
    host_show("free of the heap", cuMemFree((CUdeviceptr)pageable));
    host_show("free of an address of nobody", cuMemFree(0x1234567000));
    host_show("free of the last address", cuMemFree(UINT64_MAX));
    host_show("host free of a block", cuMemFreeHost((void *)kept));
    MUST(cuMemFreeHost(pinned));
    free(pageable);
}

static void bad_queries(CUdeviceptr kept)
{
    size_t bytes = 0;
    unsigned int type = 0;

    host_show("attribute into null",
              cuPointerGetAttribute(NULL, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, kept));
    host_show("attribute 0", cuPointerGetAttribute(&type, (CUpointer_attribute)0, kept));
    host_show("attribute 9999", cuPointerGetAttribute(&type, (CUpointer_attribute)9999, kept));
    host_show("attribute of null",
              cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 0));
    host_show("no attributes", cuPointerGetAttributes(0, NULL, NULL, kept));
    host_show("memory info, free alone", cuMemGetInfo(&bytes, NULL));
    host_show("memory info, total alone", cuMemGetInfo(NULL, &bytes));
    host_show("total of device -1", cuDeviceTotalMem(&bytes, -1));
    host_show("total of device 4711", cuDeviceTotalMem(&bytes, 4711));
    host_show("total into null", cuDeviceTotalMem(NULL, host.device));
    host_show("range of null", cuMemGetAddressRange(&kept, &bytes, 0));
}

static void after_destroy(void)
{
    CUcontext context;
    CUdeviceptr p;

    MUST(cuCtxCreate_v2(&context, 0, host.device));
    MUST(cuMemAlloc(&p, SIZE));
    MUST(cuCtxDestroy(context));
    host_show("free after its context", cuMemFree(p));
    host_show("destroy of null", cuCtxDestroy(NULL));
}

static void without_context(CUdeviceptr kept)
{
    CUdeviceptr p = 0;
    size_t bytes = 0, total = 0;

    MUST(cuCtxSetCurrent(NULL));
    host_show("alloc without a context", cuMemAlloc(&p, SIZE));
    host_show("memory info without a context", cuMemGetInfo(&bytes, &total));
    host_show("set without a context", cuMemsetD8(kept, 0, 16));
    MUST(cuCtxSetCurrent(host.context));
}

int main(void)
{
    CUdeviceptr kept = 0;

    host.cu = &host_direct;
    host_show("before cuInit", cuMemAlloc(&kept, SIZE));
    host_open(&host_direct);
    MUST(cuMemAlloc(&kept, SIZE));
    host_fill_block(kept, SIZE, 0, NULL);
    bad_sizes();
    bad_frees(kept);
    bad_queries(kept);
    after_destroy();
    without_context(kept);
    printf("words wrong in the kept block: %llu\n",
           (unsigned long long)host_check_block(kept, SIZE, 0, host.result, NULL));
    MUST(cuMemFree(kept));
    host_close();
    printf("done\n");
    return 0;
}
