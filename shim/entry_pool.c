/* entry_pool.c: memory pools: what comes and goes, and what they say they hold. */
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/mempool.h"

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *poolProps)
{
    CUresult r = driver.cuMemPoolCreate(pool, poolProps);
    if (r == CUDA_SUCCESS && shim_acts())
        mempool_created(*pool, poolProps);
    return r;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    return shim_acts() ? mempool_destroy(pool) : driver.cuMemPoolDestroy(pool);
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t minBytesToKeep)
{
    CUresult r = driver.cuMemPoolTrimTo(pool, minBytesToKeep);
    if (r == CUDA_SUCCESS && shim_acts())
        mempool_trimmed(pool, minBytesToKeep);
    return r;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    CUresult r = driver.cuMemPoolGetAttribute(pool, attr, value);
    if (r == CUDA_SUCCESS && shim_acts())
        mempool_complete(pool, attr, value);
    return r;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
    CUresult r = driver.cuMemPoolSetAttribute(pool, attr, value);
    if (r == CUDA_SUCCESS && shim_acts())
        mempool_attribute_set(pool, attr);
    return r;
}
