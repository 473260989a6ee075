/* A model of which more is loaded than the card's budget allows, beside working memory that comes
 * and goes: tensors are allocated one by one and uploaded from the mapping of their file, kernels
 * sum them, blocks of working memory are made and filled step by step, all tensors are summed
 * again, and so on. Free memory and what is held together never exceed the total.
 *
 *   host_direct_loan WAY STEPS FILE OFFSET:BYTES...     STEPS: blocks of 8 MiB
 *
 * WAY is a list, with commas between:
 *      plain
 *      ordered       stream-ordered allocation
 *      threads       two more threads use the tensors all the while
 *      behind        work that waits in a stream is still to write them when memory is asked for
 *      asks          what is said of a tensor, and what is refused
 *      early         a graph is captured before anything is loaded
 *      capture       a graph is captured after the load, and launched at every step
 *      capturing     the same, with working memory made while it is captured
 *      graph         the same graph, by adding nodes to it
 *      multicast     a tensor is bound to a multicast object, by its address; there is none
 *      contexts      first all in a context that is destroyed with everything in it
 *      fork          children come and go
 *      fail=P:N:C    a driver call in an allocation or a free fails (loan.h); all once only
 *      card          VRAM in use once all is loaded, what is said to be free, VRAM in use at most
 */
#include "loan_graphs.h"
#include "loan_threads.h"
#include "mapped.h"

#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 2

/* The plain name takes other parameters from one CUDA version to the next; this one never did. */
CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev);

static void compare_all(void)
{
    unsigned char *seen = calloc(1, largest());

    REQUIRE(seen);
    for (unsigned int i = 0; i < count; i++) {
        MUST(cuMemcpyDtoH(seen, tensors[i].address, tensors[i].bytes));
        REQUIRE(!memcmp(seen, tensors[i].data, tensors[i].bytes));
    }
    free(seen);
}

/* Adds to the youngest tensors, but not yet. */
static void add_later(uint32_t value)
{
    host_spin(value == 1 ? 3000 : 0, side);
    for (unsigned int i = count - count / 4; i < count; i++)
        host_add(tensors[i].address, value, tensors[i].bytes / 4, side);
}

static void work(void)
{
    CUdeviceptr block[BLOCKS];
    bool capturing = is_way("capturing") && !graph.exec;

    if (capturing)
        graph_capture(&tensors[count - 1], block);
    for (unsigned int i = 0; i < steps; i++) {
        if (is_way("behind"))
            add_later(1);
        if (!capturing)
            allocate('w', &block[i], WORK_SIZE);
        if (is_way("behind")) {
            add_later(UINT32_MAX);
            MUST(cuStreamSynchronize(side));
        }
        host_fill_block(block[i], WORK_SIZE, i, NULL);
        if (!owner(i % count))
            check(i % count);
        graph_launch(&tensors[count - 1]);
    }
    check_all("with working memory");
    for (unsigned int i = 0; i < steps; i++)
        REQUIRE(host_check_block(block[i], WORK_SIZE, i, host.result, NULL) == 0);
    for (unsigned int i = 0; i < steps; i++)
        release(block[i], WORK_SIZE, false);
    check_all("after it");
}

/* --- questions -----------------------------------------------------------------------------------
 */

static void ask_attributes(const struct tensor *t)
{
    for (int a = CU_POINTER_ATTRIBUTE_CONTEXT; a <= CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE;
         a++) {
        uint64_t values[2] = {0}, value; /* two are the most: P2P_TOKENS */
        CUresult result;

        if (a == CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE) /* differs by design */
            continue;
        result = cuPointerGetAttribute(values, (CUpointer_attribute)a, t->address + 4097);
        value = values[0];
        if (a == CU_POINTER_ATTRIBUTE_BUFFER_ID || a == CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID)
            value = value != 0;
        else if (value >= t->address && value < t->address + t->bytes)
            value -= t->address;
        else if (value == (uintptr_t)host.context)
            value = 1;
        printf("  attribute %d: %s %llu\n", a, host_name(result), (unsigned long long)value);
    }
}

static void ask_refused(const struct tensor *t)
{
    const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    const CUmemAccessDesc none = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_NONE};
    void *p = (void *)(uintptr_t)t->address;
    CUmemGenericAllocationHandle handle;
    unsigned long long flags;
    unsigned int host_flags;
    CUdeviceptr other;

    host_show("  retain", cuMemRetainAllocationHandle(&handle, p));
    host_show("  access", cuMemGetAccess(&flags, &prop.location, t->address));
    host_show("  no access", cuMemSetAccess(t->address, t->bytes, &none, 1));
    host_show("  unmap", cuMemUnmap(t->address, t->bytes));
    host_show("  unmap a part", cuMemUnmap(t->address, (size_t)2 << 20));
    host_show("  free the addresses", cuMemAddressFree(t->address, t->bytes));
    host_show("  host flags", cuMemHostGetFlags(&host_flags, p));
    host_show("  device pointer", cuMemHostGetDevicePointer(&other, p, 0));
    host_show("  free as host memory", cuMemFreeHost(p));
    host_show("  unregister", cuMemHostUnregister(p));
    host_show("  free inside", cuMemFree(t->address + 512));
    host_show("  beyond the end", cuMemsetD8(t->address + t->bytes - 8, 0, 16));
}

static void ask(unsigned int i)
{
    const struct tensor *t = &tensors[i];
    CUdeviceptr base = 0;
    size_t bytes = 0;

    printf("tensor %u\n", i);
    MUST(cuMemGetAddressRange(&base, &bytes, t->address + t->bytes - 1));
    REQUIRE(base == t->address && bytes == t->bytes);
    ask_attributes(t);
    ask_refused(t);
}

/* --- the rest ------------------------------------------------------------------------------------
 */

/* A child cannot use what it has inherited; its parent's tensors do not suffer. */
static void fork_twice(void)
{
    const CUdeviceptr address = tensors[count - 1].address;
    unsigned int word = 0;
    CUdeviceptr p;
    int status;

    for (int turn = 0; turn < 2; turn++) {
        fflush(stdout);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            host_show("child: alloc", cuMemAlloc(&p, WORK_SIZE));
            host_show("child: read", cuMemcpyDtoH(&word, address, 4));
            host_show("child: set", cuMemsetD8(address, 0xff, WORK_SIZE / 2));
            host_show("child: free", cuMemFree(address));
            fflush(stdout);
            if (turn)
                exit(0);
            _exit(0);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
    }
}

/* The tensors and half of the working memory go with their context. */
static void in_a_context(void)
{
    const __typeof__(host) before = host;
    CUdeviceptr block;

    MUST(cuCtxCreate_v2(&host.context, 0, host.device));
    host_load_kernels();
    load();
    check_all("in a context");
    for (unsigned int i = 0; i < steps / 2; i++)
        allocate('w', &block, WORK_SIZE);
    check_all("with working memory");
    MUST(cuCtxDestroy(host.context));
    host = before;
    MUST(cuCtxSetCurrent(host.context));
    held = 0;
    look();
}

static void take_arguments(int argc, char **argv)
{
    size_t size = 0;
    const unsigned char *file;

    REQUIRE(argc > 4);
    way = argv[1];
    steps = (unsigned int)atoi(argv[2]);
    file = map_file(argv[3], &size);
    REQUIRE(steps < BLOCKS);
    for (int i = 4; i < argc; i++) {
        char *end;
        size_t offset = strtoull(argv[i], &end, 10);
        size_t bytes = strtoull(end + 1, NULL, 10);

        REQUIRE(count < BLOCKS && *end == ':' && offset + bytes <= size);
        tensors[count++] = (struct tensor){.data = file + offset, .bytes = bytes};
    }
}

static void whole(bool again)
{
    struct reader readers[READERS];

    load();
    check_all("loaded");
    if (is_way("card") && !again)
        printf("card: %zu loaded\ncard: %zu free\n", simcuda_used_bytes(0), look());
    if (is_way("asks")) {
        ask(0);
        ask(count - 1);
    }
    if (is_way("capture") && !graph.exec)
        graph_capture(&tensors[count - 1], NULL);
    if (is_way("graph") && !graph.exec)
        graph_build(&tensors[count - 1]);
    if (is_way("multicast"))
        host_show("multicast", cuMulticastBindAddr(0, 0, tensors[count - 1].address,
                                                   tensors[count - 1].bytes, 0));
    if (is_way("threads"))
        readers_start(readers);
    for (int round = 0; round < (again || plant.nth ? 1 : ROUNDS); round++) {
        work();
        if (is_way("fork"))
            fork_twice();
    }
    if (is_way("threads"))
        readers_stop(readers);
    check_all("at the end");
    compare_all();
    graph_end();
    unload();
}

int main(int argc, char **argv)
{
    take_arguments(argc, argv);
    take_plant();
    host_open(&host_direct);
    held = 0;
    look();
    MUST(cuStreamCreate(&ordered_stream, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
    if (is_way("early")) {
        struct tensor result = {.address = host.result, .bytes = 8};
        graph_capture(&result, NULL);
        graph_end();
    }
    if (is_way("contexts"))
        in_a_context();
    whole(false);
    if (!plant.nth)
        whole(true);
    MUST(cuStreamDestroy(ordered_stream));
    MUST(cuStreamDestroy(side));
    MUST(cuMemFree(host.result));
    MUST(cuModuleUnload(host.module));
    TRY('f', cuDevicePrimaryCtxRelease(host.device));
    if (plant.nth)
        printf("met: %lu\n", plant.met);
    if (is_way("card"))
        printf("card: %zu at most\n", most_used);
    printf("done\n");
    return 0;
}
