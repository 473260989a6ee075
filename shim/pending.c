#include "shim/pending.h"

#include "shim/hooks.h"

#include <string.h>
#include <sys/mman.h>

#define TICKETS_MAX 4096u
#define SPARES_MAX  1024u
/* How far a search goes before it is cheaper to take other memory. */
#define REUSE_DEPTH   64u
#define NOT_READY_MAX 8u

#define CU_EVENT_DISABLE_TIMING 2u

/* CUstream's special values (cuda.h: CU_STREAM_LEGACY, CU_STREAM_PER_THREAD). */
#define STREAM_LEGACY     ((CUstream)0x1)
#define STREAM_PER_THREAD ((CUstream)0x2)

static bool have_room(struct pending *p)
{
    if (!p->tickets) {
        size_t tickets = TICKETS_MAX * sizeof *p->tickets, spare = SPARES_MAX * sizeof *p->spare;
        void *m =
            mmap(NULL, tickets + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (m == MAP_FAILED)
            return false;
        p->spare = (CUevent *)((char *)m + tickets);
        p->tickets = m;
    }
    return p->count < TICKETS_MAX;
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

CUevent pending_record(struct pending *p, const struct stream_order *order)
{
    CUevent event = NULL;

    if (!have_room(p))
        return NULL;
    if (p->spares)
        event = p->spare[--p->spares];
    else if (driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
        return NULL;
    CUresult r = order->per_thread ? driver.cuEventRecord_ptsz(event, order->stream)
                                   : driver.cuEventRecord(event, order->stream);
    if (r == CUDA_SUCCESS)
        return event;
    spare_event(p, event);
    return NULL;
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

/* Takes ticket i out; its block is the caller's. */
static void take_out(struct pending *p, uint32_t i)
{
    p->bytes -= p->tickets[i].bytes;
    spare_event(p, p->tickets[i].event);
    memmove(&p->tickets[i], &p->tickets[i + 1], (--p->count - i) * sizeof *p->tickets);
}

uint64_t pending_reuse(struct pending *p, CUstream key, uint64_t bytes)
{
    for (uint32_t n = 0; key && n < REUSE_DEPTH && n < p->count; n++) {
        uint32_t i = p->count - 1 - n;
        const struct ticket t = p->tickets[i];
        if (t.key == key && arena_held_bytes(t.arena, t.address) / 5 * 4 <= bytes &&
            arena_revive(t.arena, t.address, bytes)) {
            take_out(p, i);
            return t.address;
        }
    }
    return 0;
}

static void release(struct pending *p, uint32_t i)
{
    arena_release_held(p->tickets[i].arena, p->tickets[i].address);
    take_out(p, i);
}

bool pending_drain(struct pending *p)
{
    uint32_t not_ready = 0;
    bool any = false;

    for (uint32_t i = 0; i < p->count && not_ready < NOT_READY_MAX;) {
        if (driver.cuEventQuery(p->tickets[i].event) == CUDA_SUCCESS) {
            release(p, i);
            any = true;
        } else {
            not_ready++;
            i++;
        }
    }
    return any;
}

void pending_release(struct pending *p, uint64_t serial)
{
    while (p->count && p->tickets[0].serial <= serial)
        release(p, 0);
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
}
