/* What the driver says about a block: every pointer attribute at its first byte, inside, at its
 * last byte and one past its end; its range; and host questions about it, which must fail.
 * Addresses are printed as offsets from the block. */
#define HOST_DIRECT
#include "host.h"

#define SIZE (6u << 20)

/* The attributes whose answer does not depend on driver or card. A buffer's id and the context are
 * compared instead of printed. */
static const struct {
    CUpointer_attribute attribute;
    const char *name;
    size_t size;
    enum { NUMBER, ADDRESS } kind;
} attributes[] = {
    {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, "memory type", 4, NUMBER},
    {CU_POINTER_ATTRIBUTE_DEVICE_POINTER, "device pointer", 8, ADDRESS},
    {CU_POINTER_ATTRIBUTE_HOST_POINTER, "host pointer", 8, ADDRESS},
    {CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, "sync memops", 1, NUMBER},
    {CU_POINTER_ATTRIBUTE_IS_MANAGED, "managed", 1, NUMBER},
    {CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, "ordinal", 4, NUMBER},
    {CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, "ipc capable", 1, NUMBER},
    {CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, "range start", 8, ADDRESS},
    {CU_POINTER_ATTRIBUTE_RANGE_SIZE, "range size", 8, NUMBER},
    {CU_POINTER_ATTRIBUTE_MAPPED, "mapped", 1, NUMBER},
    {CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, "handle types", 8, NUMBER},
    {CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, "access flags", 4, NUMBER},
    {CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, "mempool", 8, NUMBER},
};
#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static void print_one(unsigned int i, CUresult result, uint64_t value, CUdeviceptr base)
{
    printf("  %s: ", attributes[i].name);
    if (result != CUDA_SUCCESS)
        printf("%s\n", host_name(result));
    else if (attributes[i].kind == ADDRESS && value)
        printf("%+lld\n", (long long)(value - base));
    else
        printf("%llu\n", (unsigned long long)value);
}

static void print_attributes(const char *where, CUdeviceptr p, CUdeviceptr base)
{
    CUpointer_attribute names[ATTRIBUTES];
    uint64_t one, many[ATTRIBUTES] = {0};
    void *into[ATTRIBUTES];
    CUresult result;

    printf("%s\n", where);
    for (unsigned int i = 0; i < ATTRIBUTES; i++) {
        one = 0;
        result = cuPointerGetAttribute(&one, attributes[i].attribute, p);
        print_one(i, result, one, base);
        names[i] = attributes[i].attribute;
        into[i] = &many[i];
    }
    result = cuPointerGetAttributes(ATTRIBUTES, names, into, p);
    printf("  all at once: %s\n", host_name(result));
    for (unsigned int i = 0; i < ATTRIBUTES; i++)
        print_one(i, CUDA_SUCCESS, many[i], base);
}

static void print_range(const char *where, CUdeviceptr p, CUdeviceptr base)
{
    CUdeviceptr start = 0;
    size_t size = 0;
    CUresult result = cuMemGetAddressRange(&start, &size, p);

    if (result == CUDA_SUCCESS)
        printf("%s: range %+lld, %zu bytes\n", where, (long long)(start - base), size);
    else
        printf("%s: range: %s\n", where, host_name(result));
}

/* One past the end lies in another block or in none, but never in this one. */
static void check_past_end(CUdeviceptr p)
{
    CUdeviceptr start = 0;
    size_t size = 0;

    if (cuMemGetAddressRange(&start, &size, p + SIZE) == CUDA_SUCCESS)
        REQUIRE(start >= p + SIZE);
    if (cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + SIZE) ==
        CUDA_SUCCESS)
        REQUIRE(start >= p + SIZE);
    printf("one past the end: not this block\n");
}

/* Ids tell blocks apart, contexts are the current one; neither has a value worth printing. */
static void check_identity(CUdeviceptr a, CUdeviceptr b)
{
    unsigned long long id[3] = {0};
    CUcontext context = NULL;

    MUST(cuPointerGetAttribute(&id[0], CU_POINTER_ATTRIBUTE_BUFFER_ID, a));
    MUST(cuPointerGetAttribute(&id[1], CU_POINTER_ATTRIBUTE_BUFFER_ID, a + 4096));
    MUST(cuPointerGetAttribute(&id[2], CU_POINTER_ATTRIBUTE_BUFFER_ID, b));
    MUST(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, a));
    REQUIRE(id[0] && id[0] == id[1] && id[0] != id[2]);
    REQUIRE(context == host.context);
}

static void host_questions(CUdeviceptr p)
{
    unsigned int flags = 0;
    CUdeviceptr device = 0;

    host_show("cuMemHostGetFlags", cuMemHostGetFlags(&flags, (void *)p));
    host_show("cuMemHostGetDevicePointer", cuMemHostGetDevicePointer(&device, (void *)p, 0));
    host_show("cuMemFreeHost", cuMemFreeHost((void *)p));
    host_show("cuMemHostUnregister", cuMemHostUnregister((void *)p));
}

int main(void)
{
    CUdeviceptr block, other;
    unsigned int on = 1;

    host_open(&host_direct);
    MUST(cuMemAlloc(&block, SIZE));
    MUST(cuMemAlloc(&other, SIZE));
    print_attributes("first byte", block, block);
    print_attributes("inside", block + SIZE / 2 + 3, block);
    print_attributes("last byte", block + SIZE - 1, block);
    print_range("first byte", block, block);
    print_range("inside", block + SIZE / 2 + 3, block);
    print_range("last byte", block + SIZE - 1, block);
    check_past_end(block);
    check_identity(block, other);
    host_show("set sync memops",
              cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, block));
    print_attributes("with sync memops", block, block);
    host_questions(block);
    MUST(cuMemFree(other));
    MUST(cuMemFree(block));
    print_attributes("after free", block, block);
    print_range("after free", block, block);
    host_close();
    printf("done\n");
    return 0;
}
