/* green.c: green contexts. Source: CUDA driver API, "Green Contexts", 12.4 to 13.5. */
#include "green.h"

#include "impl.h"

#define PROCESSORS    32u
#define MIN_PARTITION 8u /* "Compute Architecture 9.0+: The minimum count is 8 SMs" */

__thread struct green *green_top;

struct green *green_of_context(CUcontext handle)
{
    return handle_object(handle, HANDLE_GREEN_CONTEXT);
}

/* "a green context can be current to only one thread at a time" (cuGreenCtxCreate) */
void green_pushed(struct green *green)
{
    sim_enter();
    if (green->current && !pthread_equal(green->thread, pthread_self()))
        report_illegal("a green context is made current to two threads");
    green->thread = pthread_self();
    green->current++;
    sim_leave();
}

void green_popped(struct green *green)
{
    sim_enter();
    green->current--;
    sim_leave();
}

/* --- resources ------------------------------------------------------------------------------- */

struct descriptor {
    struct device *device;
};

static void fill(CUdevResource *resource, unsigned processors)
{
    memset(resource, 0, sizeof *resource);
    resource->type = CU_DEV_RESOURCE_TYPE_SM;
    resource->sm.smCount = processors;
    resource->sm.minSmPartitionSize = MIN_PARTITION;
    resource->sm.smCoscheduledAlignment = MIN_PARTITION;
}

CUresult sim_device_get_dev_resource(CUdevice dev, CUdevResource *resource, CUdevResourceType type)
{
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    if (!resource || type != CU_DEV_RESOURCE_TYPE_SM)
        return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    fill(resource, PROCESSORS);
    resource->_internal_padding[0] = (unsigned char)dev;
    return CUDA_SUCCESS;
}

CUresult sim_split_by_count(CUdevResource *groups, unsigned *count, const CUdevResource *input,
                            CUdevResource *rest, unsigned flags, unsigned least)
{
    unsigned size, most;

    if (!count || !input || flags || least > input->sm.smCount)
        return CUDA_ERROR_INVALID_VALUE;
    if (input->type != CU_DEV_RESOURCE_TYPE_SM)
        return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    size = least > MIN_PARTITION ? (least + MIN_PARTITION - 1) / MIN_PARTITION * MIN_PARTITION
                                 : MIN_PARTITION;
    most = input->sm.smCount / size;
    *count = !groups || *count > most ? most : *count;
    for (unsigned i = 0; groups && i < *count; i++) {
        fill(&groups[i], size);
        groups[i]._internal_padding[0] = input->_internal_padding[0];
    }
    if (rest && groups) {
        fill(rest, input->sm.smCount - *count * size);
        rest->_internal_padding[0] = input->_internal_padding[0];
    }
    return CUDA_SUCCESS;
}

CUresult sim_generate_desc(CUdevResourceDesc *out, const CUdevResource *resources, unsigned count)
{
    static struct descriptor descriptors[SIM_MAX_DEVICES];
    struct descriptor *descriptor;

    if (!out || !resources || !count)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++)
        if (resources[i].type != CU_DEV_RESOURCE_TYPE_SM || !resources[i].sm.smCount ||
            resources[i]._internal_padding[0] != resources[0]._internal_padding[0])
            return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    descriptor = &descriptors[resources[0]._internal_padding[0]];
    sim_enter();
    descriptor->device = device_get(resources[0]._internal_padding[0]);
    *out = handle_new_locked(HANDLE_DESCRIPTOR, descriptor);
    sim_leave();
    return CUDA_SUCCESS;
}

/* --- contexts -------------------------------------------------------------------------------- */

static struct green *ever; /* every one, so that none counts as lost */

CUresult sim_green_create(CUgreenCtx *out, CUdevResourceDesc desc, CUdevice dev, unsigned flags)
{
    const struct descriptor *descriptor = handle_object(desc, HANDLE_DESCRIPTOR);
    struct green *green;
    CUcontext primary;
    CUresult result;

    if (!out || !descriptor || flags != CU_GREEN_CTX_DEFAULT_STREAM)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_get(dev) || descriptor->device != device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    result = sim_primary_retain(&primary, dev);
    if (result != CUDA_SUCCESS)
        return result;
    green = calloc(1, sizeof *green);
    sim_enter();
    green->primary = ctx_get(primary);
    green->alive = true;
    green->handle = handle_new_locked(HANDLE_GREEN, green);
    green->context = handle_new_locked(HANDLE_GREEN_CONTEXT, green);
    green->next_ever = ever;
    ever = green;
    *out = green->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

/* What is enqueued goes on. The struct stays: its streams point at it. */
CUresult sim_green_destroy(CUgreenCtx handle)
{
    struct green *green = handle_object(handle, HANDLE_GREEN);

    if (!green)
        return handle_slot(handle) ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_ERROR_INVALID_CONTEXT;
    sim_enter();
    if (green->current)
        report_illegal("a green context is destroyed while it is current");
    green->alive = false;
    handle_end(green->handle);
    handle_end(green->context);
    sim_leave();
    return sim_primary_release(green->primary->device->ordinal);
}

CUresult sim_ctx_from_green(CUcontext *out, CUgreenCtx handle)
{
    const struct green *green = handle_object(handle, HANDLE_GREEN);

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!green)
        return CUDA_ERROR_INVALID_CONTEXT;
    *out = green->context;
    return CUDA_SUCCESS;
}

/* --- streams --------------------------------------------------------------------------------- */

/* It waits for no other, as the others do (cuGreenCtxStreamCreate: CU_STREAM_NON_BLOCKING "must be
 * specified"). */
struct stream *green_standard_locked(struct green *green)
{
    if (!green->standard) {
        green->standard = stream_new_locked(green->primary, CU_STREAM_NON_BLOCKING, 0);
        green->standard->green = green;
    }
    return green->standard;
}

CUresult sim_green_stream_create(CUstream *out, CUgreenCtx handle, unsigned flags, int priority)
{
    struct green *green = handle_object(handle, HANDLE_GREEN);
    struct stream *stream;

    if (!green)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!out || flags != CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_new_locked(green->primary, flags, priority > 0 ? 0 : priority);
    stream->green = green;
    stream->handle = handle_new_locked(HANDLE_STREAM, stream);
    *out = stream->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult green_wait(const struct green *green)
{
    sim_enter();
    for (struct stream *stream = green->primary->streams; stream; stream = stream->next)
        if (stream->green == green)
            engine_wait_locked(stream, stream->enqueued);
    sim_leave();
    return atomic_load(&green->primary->sticky);
}

CUresult sim_stream_get_green(CUstream handle, CUgreenCtx *out)
{
    CUcontext primary;

    return sim_stream_get_ctx_v2(handle, &primary, out);
}
