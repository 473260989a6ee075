/* engine.c: runs the operations of streams, in stream order, on a thread for each stream.
 *
 * Order (driver API reference, "Stream synchronization behavior"): a stream runs its operations one
 * after the other. An operation of the legacy default stream waits for all that blocking streams of
 * its context hold, and later operations of those wait for it. Non-blocking streams wait for
 * neither. Everything else is left to chance: before it runs an operation a thread may doze for a
 * few microseconds, by the roll of seeded dice.
 */
#include "cost.h"

#include <stdlib.h>
#include <time.h>

void *op_new(size_t bytes, const char *name, void (*run)(struct op *))
{
    struct op *op = calloc(1, bytes);

    op->bytes = bytes;
    op->name = name;
    op->run = run;
    return op;
}

struct op *op_again_locked(const struct op *op)
{
    struct op *again = malloc(op->bytes);

    memcpy(again, op, op->bytes);
    again->use_count = 0;
    for (int i = 0; i < op->use_count; i++) {
        const struct use *use = &op->uses[i];

        op_use_locked(again, use->address, use->size, use->how);
        again->uses[i].moved = use->moved;
        if (!(use->how & USE_KERNEL) && use->place && again->uses[i].place != use->place)
            report_illegal("%s of a graph: %zu bytes at 0x%llx: the memory was moved since the "
                           "graph was made",
                           op->name, use->size, (unsigned long long)use->address);
    }
    return again;
}

void op_free(struct op *op)
{
    free(op->dependencies);
    free(op->owned);
    free(op);
}

static void add_dependency(struct op *op, const struct stream *stream)
{
    cost_not_before(&op->stream->clock_ns, stream->clock_ns);
    if (engine_idle_locked(stream))
        return;
    op->dependencies =
        sim_grow(op->dependencies, (size_t)(op->dependency_count + 1) * sizeof(*op->dependencies));
    op->dependencies[op->dependency_count++] =
        (struct dependency){(struct stream *)stream, stream->enqueued};
}

static void order_locked(struct stream *stream, struct op *op)
{
    const struct ctx *ctx = stream->ctx;

    for (const struct stream *other = stream->observer ? ctx->streams : NULL; other;
         other = other->next)
        if (other != stream)
            add_dependency(op, other);
    if (stream->flags & CU_STREAM_NON_BLOCKING)
        return;
    if (!stream->legacy) {
        add_dependency(op, ctx->legacy);
        return;
    }
    for (const struct stream *other = ctx->streams; other; other = other->next)
        if (other != stream && !(other->flags & CU_STREAM_NON_BLOCKING))
            add_dependency(op, other);
}

static bool ready_locked(const struct op *op)
{
    for (int i = 0; i < op->dependency_count; i++)
        if (op->dependencies[i].stream->completed < op->dependencies[i].sequence)
            return false;
    return true;
}

/* --- what an operation touches ------------------------------------------------------------------
 */

static enum use_place place_of(const struct range *range)
{
    if (!range || range->kind != RANGE_MAPPED)
        return USE_ELSEWHERE;
    return range_is_host(range) ? USE_ON_HOST : USE_ON_DEVICE;
}

void op_use_locked(struct op *op, uint64_t address, size_t size, unsigned how)
{
    struct range *range = range_find_locked(address);

    op->uses[op->use_count++] = (struct use){.address = address,
                                             .size = size,
                                             .id = range ? range->id : 0,
                                             .newest = range_newest_locked(),
                                             .how = how,
                                             .place = place_of(range),
                                             .late = range && range->freeing};
    for (; range; range = range_adjoining_locked(range, address + size))
        range->in_flight++;
}

static const char *use_fault_locked(const struct op *op, struct use *use)
{
    const struct range *range = range_by_id_locked(use->address, use->id);
    const char *fault;

    if (!use->id && !(use->how & USE_KERNEL)) { /* the host's pageable memory */
        use->cpu = (char *)(uintptr_t)use->address;
        return NULL;
    }
    if (!range && range_find_locked(use->address))
        return "was freed and given to another";
    if (!range)
        return use->id ? "was freed" : "is no memory of the device";
    if (use->late)
        return "was freed by a call before";
    if (range->unborn)
        return "is not allocated yet in stream order";
    fault =
        range_fault_locked(range, use->address, use->size, op->stream->ctx, use->how, use->newest);
    if (fault)
        return fault;
    if (range_is_host(range) && range->kind != RANGE_MAPPED &&
        !host_is_mapped(range->cpu + (use->address - range->node.base), use->size))
        return "was unmapped underneath";
    use->cpu = range->cpu + (use->address - range->node.base);
    return NULL;
}

static bool check_uses_locked(struct op *op, bool before)
{
    for (int i = 0; i < op->use_count; i++) {
        struct use *use = &op->uses[i];
        const char *fault = use->size ? use_fault_locked(op, use) : NULL;

        if (!fault)
            continue;
        report_illegal("%s in stream %llu: %zu bytes at 0x%llx: the memory %s%s", op->name,
                       (unsigned long long)op->stream->id, use->size,
                       (unsigned long long)use->address, fault,
                       before ? "" : " while it was in use");
        op->result = CUDA_ERROR_ILLEGAL_ADDRESS;
        return false;
    }
    return true;
}

static void release_uses_locked(struct op *op)
{
    for (int i = 0; i < op->use_count; i++) {
        const struct use *use = &op->uses[i];
        struct range *range = use->id ? range_by_id_locked(use->address, use->id) : NULL;

        for (; range && range->id <= use->newest;
             range = range_adjoining_locked(range, use->address + use->size))
            range->in_flight--;
    }
}

/* --- running -----------------------------------------------------------------------------------
 */

static void run_locked(struct stream *stream, struct op *op)
{
    CUresult sick = atomic_load(&stream->ctx->sticky);

    stream->running = true;
    if (op->always) {
        sim_leave();
        op->always(op, sick);
        sim_enter();
    } else if (sick == CUDA_SUCCESS && op->run && check_uses_locked(op, true)) {
        sim_leave();
        op->run(op);
        sim_enter();
        if (op->result == CUDA_SUCCESS)
            check_uses_locked(op, false);
    }
    release_uses_locked(op);
    if (op->done)
        op->done(op);
    if (op->result != CUDA_SUCCESS && sick == CUDA_SUCCESS)
        atomic_store(&stream->ctx->sticky, op->result);
    stream->running = false;
    stream->completed = op->sequence;
    pthread_cond_broadcast(&sim_progress);
    if (stream->head)
        pthread_cond_signal(&stream->wake);
}

static void doze(uint64_t dice)
{
    struct timespec time = {0, (long)(dice >> 8) % 40 * 1000};

    if ((dice & 3) == 0)
        nanosleep(&time, NULL);
}

static void *work(void *argument)
{
    struct stream *stream = argument;

    sim_enter();
    for (;;) {
        struct op *op = stream->head;
        uint64_t dice = sim_random_locked();

        if (!op && stream->destroyed)
            break;
        if (!op || stream->running) {
            pthread_cond_wait(&stream->wake, &sim_lock);
            continue;
        }
        if (!ready_locked(op)) {
            pthread_cond_wait(&sim_progress, &sim_lock);
            continue;
        }
        stream->running = true;
        stream->head = op->next;
        if (!stream->head)
            stream->tail = NULL;
        if (!op->quick && !cost_any()) { /* what is timed does not wait for chance */
            sim_leave();
            doze(dice);
            sim_enter();
        }
        run_locked(stream, op);
        op_free(op);
    }
    stream->worker = false;
    sim_leave();
    return NULL;
}

static void start_worker_locked(struct stream *stream)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, work, stream))
        sim_refuse("cannot create a thread for a stream");
    pthread_attr_destroy(&attributes);
    stream->worker = true;
}

void engine_wait_locked(struct stream *stream, uint64_t sequence)
{
    if (sequence == stream->enqueued)
        cost_waited(stream->clock_ns);
    while (stream->completed < sequence)
        pthread_cond_wait(&sim_progress, &sim_lock);
}

CUresult engine_submit_locked(struct stream *stream, struct op *op, bool wait)
{
    bool captured;
    CUresult result = capture_admit_locked(stream, &captured);

    op->stream = stream;
    if (result != CUDA_SUCCESS || captured) {
        release_uses_locked(op);
        if (captured && result == CUDA_SUCCESS)
            graph_record_locked(stream->capture, op);
        else
            op_free(op);
        return result;
    }
    order_locked(stream, op);
    cost_enqueue_locked(stream, op->cost ? op->cost(op) : 0);
    op->sequence = ++stream->enqueued;
    if (wait && !stream->head && !stream->running && ready_locked(op)) {
        cost_waited(stream->clock_ns);
        run_locked(stream, op); /* nothing before it: here and now */
        result = op->result;
        op_free(op);
        return result == CUDA_SUCCESS ? atomic_load(&stream->ctx->sticky) : result;
    }
    if (stream->tail)
        stream->tail->next = op;
    else
        stream->head = op;
    stream->tail = op;
    if (!stream->worker)
        start_worker_locked(stream);
    else
        pthread_cond_signal(&stream->wake);
    if (!wait)
        return CUDA_SUCCESS;
    engine_wait_locked(stream, stream->enqueued);
    return atomic_load(&stream->ctx->sticky);
}
