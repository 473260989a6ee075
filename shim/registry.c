#include "shim/registry.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define SHARDS         64
#define FIRST_CAPACITY 128 /* records; a power of two, and at most 4 KiB */

/* Open addressing, linear probing, at most 5/8 full. Address 0 marks a free slot. */
struct shard {
    _Alignas(64) atomic_bool locked;
    uint32_t count;
    uint32_t capacity;
    struct reg_record *slots;
};

static struct shard shards[SHARDS];

/* Held for a few loads and stores: half the price of a mutex, whose unlocking is an atomic exchange
 * as well. A holder that lost its processor gets it back by our yielding. */
static void lock(struct shard *s)
{
    while (atomic_exchange_explicit(&s->locked, true, memory_order_acquire))
        sched_yield();
}

static void unlock(struct shard *s)
{
    atomic_store_explicit(&s->locked, false, memory_order_release);
}

/* Fibonacci hashing; the driver aligns to 512 bytes. The top bits choose the shard, the next ones
 * the slot. */
static uint64_t hash_address(uint64_t address)
{
    return (address >> 9) * UINT64_C(0x9E3779B97F4A7C15);
}

static struct shard *shard_of(uint64_t address)
{
    return &shards[hash_address(address) >> 58];
}

static uint32_t home(const struct shard *s, uint64_t address)
{
    return (uint32_t)(hash_address(address) >> 26) & (s->capacity - 1);
}

static uint32_t find(const struct shard *s, uint64_t address)
{
    uint32_t i = home(s, address);
    while (s->slots[i].address && s->slots[i].address != address)
        i = (i + 1) & (s->capacity - 1);
    return i;
}

static bool grow(struct shard *s)
{
    struct shard bigger = *s;
    bigger.capacity = s->capacity ? s->capacity * 2 : FIRST_CAPACITY;
    void *memory = mmap(NULL, bigger.capacity * sizeof *s->slots, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    bigger.slots = memory;
    for (uint32_t i = 0; i < s->capacity; i++)
        if (s->slots[i].address)
            bigger.slots[find(&bigger, s->slots[i].address)] = s->slots[i];
    if (s->slots)
        munmap(s->slots, s->capacity * sizeof *s->slots);
    s->slots = bigger.slots;
    s->capacity = bigger.capacity;
    return true;
}

/* Takes slot i out and moves up what had to step aside for it. */
static void erase(struct shard *s, uint32_t i)
{
    uint32_t mask = s->capacity - 1, hole = i;

    for (uint32_t j = (i + 1) & mask; s->slots[j].address; j = (j + 1) & mask) {
        uint32_t wanted = home(s, s->slots[j].address);
        if (((j - wanted) & mask) >= ((j - hole) & mask)) {
            s->slots[hole] = s->slots[j];
            hole = j;
        }
    }
    s->slots[hole].address = 0;
    s->count--;
}

bool reg_put(const struct reg_record *record, struct reg_record *replaced)
{
    struct shard *s = shard_of(record->address);
    bool ok = true;

    replaced->address = 0;
    lock(s);
    if ((s->count + 1) * 8 > (uint64_t)s->capacity * 5)
        ok = grow(s) || s->count + 1 < s->capacity;
    if (ok) {
        uint32_t i = find(s, record->address);
        s->count += s->slots[i].address == 0;
        *replaced = s->slots[i];
        s->slots[i] = *record;
    }
    unlock(s);
    return ok;
}

bool reg_take(uint64_t address, struct reg_record *record)
{
    struct shard *s = shard_of(address);
    bool found = false;

    if (address == 0)
        return false;
    lock(s);
    if (s->capacity) {
        uint32_t i = find(s, address);
        if (s->slots[i].address) {
            *record = s->slots[i];
            erase(s, i);
            found = true;
        }
    }
    unlock(s);
    return found;
}

void reg_drop_context(uint32_t context, void (*each)(const struct reg_record *record))
{
    for (struct shard *s = shards; s < shards + SHARDS; s++) {
        lock(s);
        for (uint32_t i = 0; i < s->capacity;) {
            if (s->slots[i].address && s->slots[i].context == context) {
                each(&s->slots[i]);
                erase(s, i); /* another record may have moved to i */
            } else {
                i++;
            }
        }
        unlock(s);
    }
}

void reg_forget(void)
{
    for (struct shard *s = shards; s < shards + SHARDS; s++) {
        unlock(s);
        s->count = 0;
        s->capacity = 0;
        s->slots = NULL;
    }
}
