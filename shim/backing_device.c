#include "shim/backing.h"

#include "shim/hooks.h"
#include "shim/registry.h"

#define NOBODY 0 /* ids of contexts begin at 1 */

static struct ledger *ledger_of(const struct reg_record *record)
{
    struct device *device = device_known(record->device);
    if (!device)
        return NULL;
    return record->kind == REG_MANAGED ? &device->managed : &device->vram;
}

static void uncount(const struct reg_record *record)
{
    struct ledger *ledger = ledger_of(record);
    if (ledger)
        ledger_sub(ledger, record->bytes);
}

/* Of `reserved` bytes that were counted, `bytes` have come. */
static void settle(struct ledger *ledger, uint64_t bytes, uint64_t reserved)
{
    if (bytes > reserved)
        ledger_reserve(ledger, bytes - reserved);
    else if (bytes < reserved)
        ledger_sub(ledger, reserved - bytes);
    ledger_settle(ledger, bytes);
}

/* Counts what has come from the driver, until its owner ends (the id of a context, or NOBODY).
 * Where it cannot be recorded it is not counted either, since its end would go unseen. */
static void record(struct context *context, uint32_t owner, CUdeviceptr address, uint64_t bytes,
                   enum reg_kind kind, uint64_t reserved)
{
    struct reg_record replaced;
    struct reg_record r = {.address = address,
                           .bytes = bytes,
                           .context = owner,
                           .device = (uint16_t)context->device->ordinal,
                           .kind = (uint16_t)kind};
    struct ledger *ledger = ledger_of(&r);

    if (!reg_put(&r, &replaced))
        bytes = 0;
    else if (replaced.address)
        uncount(&replaced);
    settle(ledger, bytes, reserved);
}

CUresult backing_device_ask(const struct alloc_request *q, struct alloc_result *result)
{
    result->bytes = q->bytes;
    if (q->physical)
        return driver.cuMemCreate(&result->address, q->bytes, q->physical, 0);
    if (q->order && q->pool)
        return q->order->per_thread ? driver.cuMemAllocFromPoolAsync_ptsz(
                                          &result->address, q->bytes, q->pool, q->order->stream)
                                    : driver.cuMemAllocFromPoolAsync(&result->address, q->bytes,
                                                                     q->pool, q->order->stream);
    if (q->order)
        return q->order->per_thread
                   ? driver.cuMemAllocAsync_ptsz(&result->address, q->bytes, q->order->stream)
                   : driver.cuMemAllocAsync(&result->address, q->bytes, q->order->stream);
    if (!q->pitched)
        return driver.cuMemAlloc_v2(&result->address, q->bytes);
    CUresult r = driver.cuMemAllocPitch_v2(&result->address, &result->pitch, q->width, q->height,
                                           q->element);
    result->bytes = r == CUDA_SUCCESS ? result->pitch * q->height : 0;
    return r;
}

/* "cuCtxDestroy() will not destroy memory allocations by ... cuMemAllocAsync()" (cuCtxDestroy); a
 * primary context's end resets its device. */
static uint32_t owner_of(const struct context *context, const struct alloc_request *request)
{
    return request->order && !context_is_primary(context) ? NOBODY : context->id;
}

CUresult backing_device_alloc(struct context *context, const struct alloc_request *request,
                              uint64_t reserved, struct alloc_result *result)
{
    CUresult r = backing_device_ask(request, result);

    if (r == CUDA_SUCCESS)
        result->device = context->device;
    if (r == CUDA_SUCCESS && request->physical) /* a handle is no address: vmm.c records it */
        settle(&context->device->vram, result->bytes, reserved);
    else if (r == CUDA_SUCCESS)
        record(context, owner_of(context, request), result->address, result->bytes, REG_DEVICE,
               reserved);
    else if (reserved)
        ledger_sub(&context->device->vram, reserved);
    return r;
}

void backing_device_uncount(struct device *device, uint64_t bytes)
{
    ledger_sub(&device->vram, bytes);
}

void backing_device_note_managed(struct context *context, CUdeviceptr address, uint64_t bytes)
{
    record(context, context->id, address, bytes, REG_MANAGED, 0);
}

void backing_device_note_array(struct context *context, uint64_t key, uint64_t bytes)
{
    record(context, context->id, key, bytes, REG_DEVICE, 0);
}

CUresult backing_device_free(CUdeviceptr address, backing_free_fn *how, void *arg,
                             struct backing_freed *freed)
{
    struct reg_record r, replaced;
    bool known = reg_take(address, &r);
    CUresult result = how(address, arg);

    if (known && result == CUDA_SUCCESS) {
        uncount(&r);
        *freed = (struct backing_freed){device_known(r.device), r.bytes};
    } else if (known) {
        reg_put(&r, &replaced);
    }
    return result;
}

void backing_device_drop(struct context *context)
{
    reg_drop_context(context->id, uncount);
}
