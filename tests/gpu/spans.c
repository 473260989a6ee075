/* spans.c: addresses behind which memory is exchanged, chunk by chunk, as shim/backing_loan.c does
 * with VRAM on loan. */
#include "tests/gpu/probe.h"

#include <string.h>

/* After a failure: which call, of which the answer is told. */
#define TRY(name, call)                                                                            \
    do {                                                                                           \
        span->call_name = name;                                                                    \
        CUresult tried_ = (call);                                                                  \
        if (tried_ != CUDA_SUCCESS)                                                                \
            return tried_;                                                                         \
    } while (0)

static CUresult create(struct probe_span *span, CUmemGenericAllocationHandle *handle,
                       CUmemLocation where)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = where};

    TRY("cuMemCreate", span->vmm.create(handle, span->chunk, &prop, 0));
    return CUDA_SUCCESS;
}

static CUresult map(struct probe *p, struct probe_span *span, CUdeviceptr at,
                    CUmemGenericAllocationHandle handle)
{
    CUmemAccessDesc access = {probe_here(p), CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

    TRY("cuMemMap", span->vmm.map(at, span->chunk, 0, handle, 0));
    TRY("cuMemSetAccess", span->vmm.set_access(at, span->chunk, &access, 1));
    return CUDA_SUCCESS;
}

CUresult probe_span_make(struct probe *p, struct probe_span *span, size_t chunk, unsigned chunks)
{
    memset(span, 0, sizeof *span);
    span->chunk = chunk;
    span->call_name = "cuMemCreate and its kin";
    if (chunks > PROBE_CHUNKS || !probe_find_vmm(p, &span->vmm))
        return CUDA_ERROR_NOT_FOUND;
    TRY("cuStreamCreate", p->drv.cuStreamCreate(&span->stream, 1 /* non-blocking */));
    TRY("cuMemAddressReserve", span->vmm.reserve(&span->base, chunks * chunk, 0, 0, 0));
    for (; span->chunks < chunks; span->chunks++) {
        CUmemGenericAllocationHandle *handle = &span->handle[span->chunks];
        CUresult result = create(span, handle, probe_here(p));
        if (result == CUDA_SUCCESS)
            result = map(p, span, span->base + span->chunks * chunk, *handle);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

static CUresult move_chunk(struct probe *p, struct probe_span *span, unsigned i, CUmemLocation to)
{
    CUdeviceptr at = span->base + i * span->chunk, window;
    CUmemGenericAllocationHandle next;
    CUresult result = create(span, &next, to);

    if (result != CUDA_SUCCESS)
        return result;
    TRY("cuMemAddressReserve", span->vmm.reserve(&window, span->chunk, 0, 0, 0));
    result = map(p, span, window, next);
    if (result != CUDA_SUCCESS)
        return result;
    TRY("cuMemcpyAsync", p->drv.cuMemcpyAsync(window, at, span->chunk, span->stream));
    TRY("cuStreamSynchronize", p->drv.cuStreamSynchronize(span->stream));
    TRY("cuMemUnmap", span->vmm.unmap(window, span->chunk));
    TRY("cuMemAddressFree", span->vmm.address_free(window, span->chunk));
    TRY("cuMemUnmap", span->vmm.unmap(at, span->chunk));
    result = map(p, span, at, next);
    if (result != CUDA_SUCCESS)
        return result;
    TRY("cuMemRelease", span->vmm.release(span->handle[i]));
    span->handle[i] = next;
    return CUDA_SUCCESS;
}

CUresult probe_span_move(struct probe *p, struct probe_span *span, bool down)
{
    static const CUmemLocation node0 = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
    CUresult result = CUDA_SUCCESS;

    /* The last first, as a recall goes. */
    for (unsigned i = span->chunks; i-- > 0 && result == CUDA_SUCCESS;)
        result = move_chunk(p, span, i, down ? node0 : probe_here(p));
    return result;
}

CUresult probe_span_drop(struct probe *p, struct probe_span *span)
{
    TRY("cuCtxSynchronize", p->drv.cuCtxSynchronize());
    for (unsigned i = 0; i < span->chunks; i++) {
        TRY("cuMemUnmap", span->vmm.unmap(span->base + i * span->chunk, span->chunk));
        TRY("cuMemRelease", span->vmm.release(span->handle[i]));
    }
    TRY("cuMemAddressFree", span->vmm.address_free(span->base, span->chunks * span->chunk));
    TRY("cuStreamDestroy", p->drv.cuStreamDestroy(span->stream));
    return CUDA_SUCCESS;
}
