/* conform_context.c: contexts and the memory that is theirs; look-up of functions. Source of the
 * rules: CUDA driver API, "Context Management", "Primary Context Management", "Driver Entry Point
 * Access". */
#define CONF_GROUP "context"
#include "conform.h"

#define BLOCK (2 * MIB)

CASE(destroy_frees, "cuCtxDestroy: what it allocated goes with it")
{
    CUcontext other;
    CUdeviceptr p;
    uint64_t value;

    other = conf_second_context();
    p = conf_alloc(BLOCK);
    conf_context_end(other);
    REFUSED(cu.MemFree(p));
    REFUSED(cu.PointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    REFUSED(cu.MemsetD8(p, 0, 16));
}

CASE(destroy_gives_back, "cuCtxDestroy: its memory can be had again")
{
    size_t before, after, total;

    conf_context_end(conf_second_context());
    MUST(cu.MemGetInfo(&before, &total));
    for (int i = 0; i < 10; i++) {
        CUcontext other = conf_second_context();

        for (int j = 0; j < 10; j++)
            conf_alloc(BLOCK);
        conf_context_end(other);
    }
    MUST(cu.MemGetInfo(&after, &total));
    EQUAL(before, after);
}

CASE(destroy_spares_others, "cuCtxDestroy: other contexts keep theirs")
{
    CUdeviceptr p = conf_alloc(BLOCK);
    CUcontext other;

    conf_pattern_block(p, BLOCK, 1);
    other = conf_second_context();
    MUST(cu.MemsetD8(conf_alloc(BLOCK), 0, BLOCK));
    conf_context_end(other);
    CHECK(conf_patterned_block(p, BLOCK, 1));
    conf_free(p);
}

CASE(destroy_waits, "cuCtxDestroy: work that is under way is not cut off from its memory")
{
    CUdeviceptr kept = conf_alloc(BLOCK);
    CUcontext other = conf_second_context();
    CUdeviceptr p = conf_alloc(BLOCK);

    MUST(cu.MemsetD8(p, 0x21, BLOCK));
    for (int i = 0; i < 20; i++)
        MUST(cu.MemcpyDtoDAsync(kept, p, BLOCK, NULL));
    MUST(cu.CtxSynchronize());
    conf_context_end(other);
    CHECK(conf_holds(kept, 0x21212121, BLOCK / 4));
    conf_free(kept);
}

CASE(free_from_another, "cuMemFree: with another context of the device current")
{
    CUdeviceptr p = conf_alloc(BLOCK), q;
    CUcontext other = conf_second_context();

    q = conf_alloc(BLOCK);
    conf_free(p);
    IS(cu.MemFree(p), CUDA_ERROR_INVALID_VALUE);
    MUST(cu.CtxSetCurrent(conf.context));
    conf_free(q);
    conf_context_end(other);
}

CASE(use_from_another, "Unified addressing: a context's kernels reach the other's memory")
{
    CUdeviceptr p = conf_alloc(BLOCK), q;
    CUcontext other;

    MUST(cu.MemsetD32(p, 5, BLOCK / 4));
    MUST(cu.CtxSynchronize());
    other = conf_second_context();
    q = conf_alloc(BLOCK);
    MUST(cu.MemcpyDtoD(q, p, BLOCK));
    MUST(cu.MemsetD32(p, 6, BLOCK / 4));
    MUST(cu.CtxSynchronize());
    CHECK(conf_holds(q, 5, BLOCK / 4));
    conf_free(q);
    conf_context_end(other);
    CHECK(conf_holds(p, 6, BLOCK / 4));
    conf_free(p);
}

CASE(stack, "cuCtxPushCurrent, cuCtxPopCurrent: the thread's contexts are a stack")
{
    CUcontext other = conf_second_context(), found = NULL;

    MUST(cu.CtxPopCurrent(&found));
    CHECK(found == other);
    MUST(cu.CtxGetCurrent(&found));
    NOTE("%s", found == conf.context ? "the former one" : found ? "another" : "none");
    MUST(cu.CtxSetCurrent(conf.context));
    MUST(cu.CtxPushCurrent(other));
    MUST(cu.CtxGetCurrent(&found));
    CHECK(found == other);
    MUST(cu.CtxPopCurrent(&found));
    MUST(cu.CtxGetCurrent(&found));
    CHECK(found == conf.context);
    MUST(cu.CtxPushCurrent(other));
    conf_free(conf_alloc(BLOCK));
    MUST(cu.CtxPopCurrent(NULL));
    MUST(cu.CtxDestroy(other));
    MUST(cu.CtxGetCurrent(&found));
    CHECK(found == conf.context);
}

CASE(destroyed_is_current, "cuCtxDestroy: a thread that still has it current: CONTEXT_IS_DESTROYED")
{
    CUcontext other = conf_second_context();
    CUdeviceptr p = 0;

    MUST(cu.CtxPushCurrent(conf.context));
    MUST(cu.CtxDestroy(other));
    MUST(cu.CtxPopCurrent(NULL));
    SAW(cu.MemAlloc(&p, BLOCK));
    MUST(cu.CtxSetCurrent(conf.context));
}

CASE(null, "cuCtxDestroy, cuCtxPushCurrent: NULL is refused")
{
    REFUSED(cu.CtxDestroy(NULL));
    REFUSED(cu.CtxPushCurrent(NULL));
}

CASE(device_of, "cuCtxGetDevice: of the current context")
{
    CUdevice device = 77;

    MUST(cu.CtxGetDevice(&device));
    EQUAL(device, conf.device);
    MUST(cu.CtxSetCurrent(NULL));
    IS(cu.CtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
    MUST(cu.CtxSetCurrent(conf.context));
}

CASE(two_devices, "Contexts of two devices: each has memory of its own")
{
    CUdevice second = conf_second_device();
    CUcontext other = NULL;
    CUdeviceptr p = conf_alloc(BLOCK), q;
    int ordinal = -1;

    MUST(cu.DevicePrimaryCtxRetain(&other, second));
    MUST(cu.CtxSetCurrent(other));
    q = conf_alloc(BLOCK);
    CHECK(p != q);
    MUST(cu.PointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, q));
    EQUAL(ordinal, second);
    MUST(cu.PointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
    EQUAL(ordinal, conf.device);
    conf_free(p);
    MUST(cu.CtxSetCurrent(conf.context));
    conf_free(q);
    MUST(cu.DevicePrimaryCtxRelease(second));
}

/* --- the primary context ------------------------------------------------------------------------
 */

CASE(primary_counted, "cuDevicePrimaryCtxRetain, Release: counted; the last one ends it")
{
    CUcontext again = NULL;
    CUdeviceptr p = conf_alloc(BLOCK);
    unsigned flags;
    int active = 0;

    MUST(cu.DevicePrimaryCtxRetain(&again, conf.device));
    CHECK(again == conf.context);
    conf_pattern_block(p, BLOCK, 2);
    MUST(cu.DevicePrimaryCtxRelease(conf.device));
    CHECK(conf_patterned_block(p, BLOCK, 2));
    MUST(cu.DevicePrimaryCtxGetState(conf.device, &flags, &active));
    EQUAL(active, 1);
    conf_free(p);
}

CASE(primary_ends, "cuDevicePrimaryCtxRelease: the last one frees the context's memory")
{
    CUdevice second = conf_second_device();
    CUcontext other = NULL;
    CUdeviceptr p;
    unsigned flags;
    int active = 1;

    for (int i = 0; i < 3; i++) {
        MUST(cu.DevicePrimaryCtxRetain(&other, second));
        MUST(cu.CtxSetCurrent(other));
        p = conf_alloc(BLOCK);
        MUST(cu.CtxSetCurrent(conf.context));
        MUST(cu.DevicePrimaryCtxRelease(second));
        MUST(cu.DevicePrimaryCtxGetState(second, &flags, &active));
        EQUAL(active, 0);
        if (cu.MemFree(p) == CUDA_SUCCESS)
            conf_fail(__FILE__, __LINE__, "the memory outlived its context");
    }
}

CASE_ALONE(primary_reset, "cuDevicePrimaryCtxReset: everything in it is gone; it can be used again")
{
    CUdeviceptr p = conf_alloc(BLOCK), q = 0;
    uint64_t value = 0;

    MUST(cu.DevicePrimaryCtxReset(conf.device));
    REFUSED(cu.PointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    SAW(cu.MemAlloc(&q, BLOCK));
    MUST(cu.DevicePrimaryCtxRetain(&conf.context, conf.device));
    MUST(cu.CtxSetCurrent(conf.context));
    q = conf_alloc(BLOCK);
    conf_pattern_block(q, BLOCK, 3);
    CHECK(conf_patterned_block(q, BLOCK, 3));
    conf_free(q);
    MUST(cu.DevicePrimaryCtxRelease(conf.device));
}

CASE(primary_not_held, "cuDevicePrimaryCtxRelease: more often than retained is INVALID_CONTEXT")
{
    IS(cu.DevicePrimaryCtxRelease(conf_second_device()), CUDA_ERROR_INVALID_CONTEXT);
}

CASE(no_device, "cuDevicePrimaryCtx*: no such device is CUDA_ERROR_INVALID_DEVICE")
{
    CUcontext context = NULL;

    IS(cu.DevicePrimaryCtxRetain(&context, 4711), CUDA_ERROR_INVALID_DEVICE);
    IS(cu.DevicePrimaryCtxRelease(4711), CUDA_ERROR_INVALID_DEVICE);
    IS(cu.DevicePrimaryCtxReset(4711), CUDA_ERROR_INVALID_DEVICE);
    IS(cu.DevicePrimaryCtxRetain(NULL, conf.device), CUDA_ERROR_INVALID_VALUE);
}

/* --- look-up ------------------------------------------------------------------------------------
 */

static const struct {
    const char *name, *symbol;
    int version;
    const char *exported;
} lookups[] = {
    {"cuMemAlloc 3020", "cuMemAlloc", 3020, "cuMemAlloc_v2"},
    {"cuMemAlloc 13000", "cuMemAlloc", 11040, "cuMemAlloc_v2"},
    {"cuMemFree", "cuMemFree", 11040, "cuMemFree_v2"},
    {"cuMemGetInfo", "cuMemGetInfo", 11040, "cuMemGetInfo_v2"},
    {"cuMemcpyHtoD", "cuMemcpyHtoD", 11040, "cuMemcpyHtoD_v2"},
    {"cuMemcpyHtoDAsync", "cuMemcpyHtoDAsync", 11040, "cuMemcpyHtoDAsync_v2"},
    {"cuMemAllocAsync", "cuMemAllocAsync", 11020, "cuMemAllocAsync"},
    {"cuMemFreeAsync", "cuMemFreeAsync", 11040, "cuMemFreeAsync"},
    {"cuMemCreate", "cuMemCreate", 11040, "cuMemCreate"},
    {"cuCtxDestroy", "cuCtxDestroy", 11040, "cuCtxDestroy_v2"},
    {"cuDevicePrimaryCtxRelease", "cuDevicePrimaryCtxRelease", 11040,
     "cuDevicePrimaryCtxRelease_v2"},
};
CASES(lookup, lookups, "cuGetProcAddress: a base name at a version is the function of that ABI")
{
    void *found = NULL;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;

    NEEDS(GetProcAddress);
    MUST(cu.GetProcAddress(row->symbol, &found, row->version, 0));
    CHECK(found != NULL && found == conf_exported(row->exported));
    if (!cu.GetProcAddress_v2)
        return;
    MUST(cu.GetProcAddress_v2(row->symbol, &found, row->version, 0, &status));
    CHECK(found == conf_exported(row->exported));
    EQUAL(status, CU_GET_PROC_ADDRESS_SUCCESS);
}

CASES(lookup_too_early, lookups, "cuGetProcAddress: a version before the function has none")
{
    void *found = (void *)1;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;

    NEEDS(GetProcAddress);
    IS(cu.GetProcAddress(row->symbol, &found, 1000, 0), CUDA_ERROR_NOT_FOUND);
    if (!cu.GetProcAddress_v2)
        return;
    SAW(cu.GetProcAddress_v2(row->symbol, &found, 1000, 0, &status));
    CHECK(found == NULL);
    EQUAL(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}

CASE(lookup_per_thread, "cuGetProcAddress: the flag for the per-thread default stream")
{
    void *found = NULL;

    NEEDS(GetProcAddress);
    MUST(cu.GetProcAddress("cuMemcpyHtoDAsync", &found, 11040,
                           CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM));
    CHECK(found == conf_exported("cuMemcpyHtoDAsync_v2_ptsz"));
    MUST(cu.GetProcAddress("cuMemcpyHtoD", &found, 11040,
                           CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM));
    CHECK(found == conf_exported("cuMemcpyHtoD_v2_ptds"));
    MUST(cu.GetProcAddress("cuMemAlloc", &found, 11040,
                           CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM));
    CHECK(found == conf_exported("cuMemAlloc_v2"));
    MUST(cu.GetProcAddress("cuMemcpyHtoDAsync", &found, 11040, CU_GET_PROC_ADDRESS_LEGACY_STREAM));
    CHECK(found == conf_exported("cuMemcpyHtoDAsync_v2"));
}

static const struct {
    const char *name;
} no_names[] = {{"cuNoSuchThing"}, {"cuMemAlloc_v99"}, {"cudaMalloc"}, {"malloc"}, {"cu"}};
CASES(lookup_unknown, no_names, "cuGetProcAddress: an unknown name is not found")
{
    void *found = (void *)1;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;

    NEEDS(GetProcAddress);
    IS(cu.GetProcAddress(row->name, &found, 11040, 0), CUDA_ERROR_NOT_FOUND);
    if (!cu.GetProcAddress_v2)
        return;
    SAW(cu.GetProcAddress_v2(row->name, &found, 11040, 0, &status));
    EQUAL(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

CASE(lookup_refused, "cuGetProcAddress: NULL and unknown flags are CUDA_ERROR_INVALID_VALUE")
{
    void *found = NULL;

    NEEDS(GetProcAddress);
    IS(cu.GetProcAddress(NULL, &found, 11040, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.GetProcAddress("cuMemAlloc", NULL, 11040, 0), CUDA_ERROR_INVALID_VALUE);
    IS(cu.GetProcAddress("cuMemAlloc", &found, 11040, 0x100), CUDA_ERROR_INVALID_VALUE);
}

CASE_BARE(lookup_before_init, "cuGetProcAddress, cuDriverGetVersion: may be called before cuInit")
{
    void *found = NULL;
    int version = 0;

    MUST(cu.DriverGetVersion(&version));
    CHECK(version >= 11000);
    NEEDS(GetProcAddress);
    MUST(cu.GetProcAddress("cuMemAlloc", &found, 11040, 0));
    CHECK(found == conf_exported("cuMemAlloc_v2"));
}

CASE_BARE(init_flags, "cuInit: flags must be 0")
{
    IS(cu.Init(1), CUDA_ERROR_INVALID_VALUE);
    MUST(cu.Init(0));
    MUST(cu.Init(0));
}

CASE(error_names, "cuGetErrorName, cuGetErrorString: of an unknown error, NULL and INVALID_VALUE")
{
    const char *text = NULL;

    MUST(cu.GetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &text));
    CHECK(text && strcmp(text, "CUDA_ERROR_OUT_OF_MEMORY") == 0);
    MUST(cu.GetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
    CHECK(text && *text);
    IS(cu.GetErrorName((CUresult)123456, &text), CUDA_ERROR_INVALID_VALUE);
    CHECK(text == NULL);
}
