#include "shim/pending.h"

#include "shim/hooks.h"

#include <string.h>
#include <sys/mman.h>

#define TICKETS_FIRST 4096u /* tickets that the table begins with */
#define SPARES_MAX    1024u
/* How far a search goes before it is cheaper to take other memory. */
#define REUSE_DEPTH   64u
#define NOT_READY_MAX 8u

/* CUstream's special values (cuda.h: CU_STREAM_LEGACY, CU_STREAM_PER_THREAD). */
#define STREAM_LEGACY     ((CUstream)0x1)
#define STREAM_PER_THREAD ((CUstream)0x2)

static void *map(size_t bytes)
{
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return m == MAP_FAILED ? NULL : m;
}

/* The table grows: a block without a ticket would have to wait for its stream, and that may wait
 * for what the host does next. */
static bool have_room(struct pending *p)
{
    const size_t size = sizeof *p->tickets;

    if (p->count < p->room)
        return true;
    if (!p->spare && !(p->spare = map(SPARES_MAX * sizeof *p->spare)))
        return false;
    if (p->room > UINT32_MAX / 2)
        return false;
    void *m = p->room ? mremap(p->tickets, p->room * size, 2 * p->room * size, MREMAP_MAYMOVE)
                      : map(TICKETS_FIRST * size);
    if (!m || m == MAP_FAILED)
        return false;
    p->tickets = m;
    p->room = p->room ? 2 * p->room : TICKETS_FIRST;
    return true;
}

bool pending_is_full(const struct pending *p)
{
    return p->count == p->room;
}

CUstream pending_key(const struct stream_order *order)
{
    if (order->stream == STREAM_PER_THREAD || (!order->stream && order->per_thread))
        return NULL;
    return order->stream ? order->stream : STREAM_LEGACY;
}

static void spare_event(struct pending *p, CUevent event)
{
    if (p->spares < SPARES_MAX)
        p->spare[p->spares++] = event;
    else
        driver.cuEventDestroy_v2(event);
}

static CUresult record(CUevent event, const struct stream_order *order)
{
    return order->per_thread ? driver.cuEventRecord_ptsz(event, order->stream)
                             : driver.cuEventRecord(event, order->stream);
}

CUevent pending_record(struct pending *p, const struct stream_order *order)
{
    CUevent event = NULL;

    if (!have_room(p))
        return NULL;
    if (p->spares)
        event = p->spare[--p->spares];
    else if (driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
        return NULL;
    if (record(event, order) == CUDA_SUCCESS)
        return event;
    spare_event(p, event);
    return NULL;
}

/* An event may be waited for across contexts (cuStreamWaitEvent), and destroyed before it has
 * completed (cuEventDestroy). */
CUevent pending_record_across(struct pending *p, CUcontext own, CUcontext other,
                              const struct stream_order *order)
{
    CUevent there = NULL, here = NULL;

    if (driver.cuCtxPushCurrent_v2(other) != CUDA_SUCCESS)
        return NULL;
    bool ok = driver.cuEventCreate(&there, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS &&
              record(there, order) == CUDA_SUCCESS;
    driver.cuCtxPopCurrent_v2(&other);
    if (ok && driver.cuCtxPushCurrent_v2(own) == CUDA_SUCCESS) {
        if ((p->waiter ||
             driver.cuStreamCreate(&p->waiter, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS) &&
            driver.cuStreamWaitEvent(p->waiter, there, 0) == CUDA_SUCCESS)
            here = pending_record(p, &(struct stream_order){p->waiter, false});
        driver.cuCtxPopCurrent_v2(&own);
    }
    if (there)
        driver.cuEventDestroy_v2(there);
    return here;
}

bool pending_add(struct pending *p, const struct arena_block *block, CUstream key, CUevent event)
{
    if (!have_room(p))
        return false;
    p->tickets[p->count++] =
        (struct ticket){block->arena, block->base, block->bytes, ++p->serial, key, event};
    p->bytes += block->bytes;
    return true;
}

/* The ticket is done with. */
static void tear(struct pending *p, const struct ticket *t)
{
    p->bytes -= t->bytes;
    spare_event(p, t->event);
}

/* Takes ticket i out; its block is the caller's. */
static void take_out(struct pending *p, uint32_t i)
{
    tear(p, &p->tickets[i]);
    memmove(&p->tickets[i], &p->tickets[i + 1], (--p->count - i) * sizeof *p->tickets);
}

uint64_t pending_reuse(struct pending *p, CUstream key, uint64_t bytes, int avoid)
{
    for (uint32_t n = 0; key && n < REUSE_DEPTH && n < p->count; n++) {
        uint32_t i = p->count - 1 - n;
        const struct ticket t = p->tickets[i];
        if (t.key == key && arena_kind(t.arena) != avoid &&
            arena_held_bytes(t.arena, t.address) / 5 * 4 <= bytes &&
            arena_revive(t.arena, t.address, bytes)) {
            take_out(p, i);
            return t.address;
        }
    }
    return 0;
}

static void release(struct pending *p, const struct ticket *t)
{
    arena_release_held(t->arena, t->address);
    tear(p, t);
}

/* Closes the gap between the first `kept` tickets and those from `next` on. */
static void close_up(struct pending *p, uint32_t kept, uint32_t next)
{
    memmove(&p->tickets[kept], &p->tickets[next], (p->count - next) * sizeof *p->tickets);
    p->count -= next - kept;
}

bool pending_drain(struct pending *p)
{
    uint32_t not_ready = 0, i = 0;

    for (; i < p->count && not_ready < NOT_READY_MAX; i++) {
        if (driver.cuEventQuery(p->tickets[i].event) == CUDA_SUCCESS)
            release(p, &p->tickets[i]);
        else
            p->tickets[not_ready++] = p->tickets[i];
    }
    bool any = i > not_ready;
    if (any)
        close_up(p, not_ready, i);
    return any;
}

void pending_release(struct pending *p, uint64_t serial)
{
    uint32_t i = 0;

    while (i < p->count && p->tickets[i].serial <= serial)
        release(p, &p->tickets[i++]);
    if (i)
        close_up(p, 0, i);
}

void pending_forget_stream(struct pending *p, CUstream key)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->tickets[i].key == key)
            p->tickets[i].key = NULL;
}

void pending_clear(struct pending *p)
{
    p->count = 0;
    p->spares = 0;
    p->bytes = 0;
    p->waiter = NULL;
}
