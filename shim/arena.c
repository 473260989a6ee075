#include "shim/arena.h"

#include "shim/live_index.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define GRANULE ARENA_ALIGNMENT
#define NIL     0u /* a granule index + 1 stands in every list, 0 ends it */

/* Free ranges by size: powers of two, each in 8 steps. */
#define STEPS_LOG2 3
#define STEPS      (1u << STEPS_LOG2)
#define POWERS     32

enum span_state { SPAN_FREE, SPAN_LIVE, SPAN_RETIRED };

/* What lies at a granule where a range begins. */
struct span {
    uint32_t granules;
    uint32_t before; /* granules of the range just before; 0 for the first */
    uint32_t next;   /* in the list of its size, or of the retired */
    uint32_t prev;
    uint64_t bytes : 62; /* as asked for */
    uint64_t state : 2;
    uint64_t id; /* and MARK, and the tag */
};

#define MARK      (UINT64_C(1) << 63)
#define TAG_SHIFT 48
#define ID_MASK   ((UINT64_C(1) << TAG_SHIFT) - 1)

struct arena {
    uint64_t base;
    uint64_t bytes;
    void *owner;
    int kind;
    uint32_t granules;
    uint32_t used; /* granules live or retired */
    uint32_t retired;
    uint32_t batch;
    uint32_t powers; /* bit p: some free range has 2^p <= granules < 2^(p+1) */
    uint8_t steps[POWERS];
    uint32_t free_list[POWERS][STEPS];
    struct live_index live;
    struct span *spans;
    size_t meta_bytes;
};

/* --- address -> arena ------------------------------------------------------------------------ */

/* A radix tree of two levels over the bits of a user address, in ARENA_UNITs: 47 on x86-64, 48 on
 * AArch64 (Linux, Documentation/arch/arm64/memory.rst). */
#define ADDRESS_BITS 48
#define UNIT_LOG2    21
#define LEAF_LOG2    13
#define LEAF_UNITS   (1u << LEAF_LOG2)
#define TOP_UNITS    (1u << (ADDRESS_BITS - UNIT_LOG2 - LEAF_LOG2))

struct leaf {
    struct arena *unit[LEAF_UNITS];
};
static struct leaf *tree[TOP_UNITS];
static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
struct arena_bounds arena_bounds_;

struct arena *arena_at(uint64_t address)
{
    uint64_t unit = address >> UNIT_LOG2;

    if (unit >> LEAF_LOG2 >= TOP_UNITS)
        return NULL;
    struct leaf *leaf = __atomic_load_n(&tree[unit >> LEAF_LOG2], __ATOMIC_ACQUIRE);
    return leaf ? __atomic_load_n(&leaf->unit[unit % LEAF_UNITS], __ATOMIC_ACQUIRE) : NULL;
}

static void *map_zeroed(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool plant(uint64_t base, uint64_t bytes, struct arena *arena)
{
    for (uint64_t unit = base >> UNIT_LOG2; unit <= (base + bytes - 1) >> UNIT_LOG2; unit++) {
        if (unit >> LEAF_LOG2 >= TOP_UNITS)
            return false;
        pthread_mutex_lock(&tree_lock);
        struct leaf **leaf = &tree[unit >> LEAF_LOG2];
        if (!*leaf)
            __atomic_store_n(leaf, map_zeroed(sizeof **leaf), __ATOMIC_RELEASE);
        if (*leaf)
            __atomic_store_n(&(*leaf)->unit[unit % LEAF_UNITS], arena, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&tree_lock);
        if (!*leaf)
            return false;
    }
    return true;
}

/* What a context that is gone had of the driver, the driver may have given out again: another arena
 * may lie there by now. */
static void uproot(const struct arena *arena)
{
    uint64_t last = (arena->base + arena->bytes - 1) >> UNIT_LOG2;

    pthread_mutex_lock(&tree_lock);
    for (uint64_t unit = arena->base >> UNIT_LOG2; unit <= last; unit++) {
        struct leaf *leaf = unit >> LEAF_LOG2 < TOP_UNITS ? tree[unit >> LEAF_LOG2] : NULL;
        if (leaf && leaf->unit[unit % LEAF_UNITS] == arena)
            __atomic_store_n(&leaf->unit[unit % LEAF_UNITS], NULL, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&tree_lock);
}

/* Makes [base, base + bytes) part of the bounds. */
static void extend_bounds(uint64_t base, uint64_t bytes)
{
    pthread_mutex_lock(&tree_lock);
    struct arena_bounds *b = &arena_bounds_;
    uint64_t lowest = b->span && b->lowest < base ? b->lowest : base;
    uint64_t end = b->lowest + b->span > base + bytes ? b->lowest + b->span : base + bytes;
    /* Readers load `lowest`, then `span`. In between the span reaches the end from any lowest. */
    if (lowest != b->lowest) {
        __atomic_store_n(&b->span, end, __ATOMIC_RELEASE);
        __atomic_store_n(&b->lowest, lowest, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&b->span, end - lowest, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&tree_lock);
}

/* --- free ranges ----------------------------------------------------------------------------- */

static unsigned power_of(uint32_t granules)
{
    return 31u - (unsigned)__builtin_clz(granules);
}

static unsigned step_of(uint32_t granules, unsigned power)
{
    return power >= STEPS_LOG2 ? granules >> (power - STEPS_LOG2) & (STEPS - 1)
                               : granules << (STEPS_LOG2 - power) & (STEPS - 1);
}

static void list_insert(struct arena *a, uint32_t at)
{
    struct span *s = &a->spans[at];
    unsigned p = power_of(s->granules), t = step_of(s->granules, p);
    uint32_t *head = &a->free_list[p][t];

    s->state = SPAN_FREE;
    s->prev = NIL;
    s->next = *head;
    if (*head)
        a->spans[*head - 1].prev = at + 1;
    *head = at + 1;
    a->steps[p] |= (uint8_t)(1u << t);
    a->powers |= 1u << p;
}

static void list_remove(struct arena *a, uint32_t at)
{
    struct span *s = &a->spans[at];
    unsigned p = power_of(s->granules), t = step_of(s->granules, p);

    if (s->next)
        a->spans[s->next - 1].prev = s->prev;
    if (s->prev) {
        a->spans[s->prev - 1].next = s->next;
        return;
    }
    a->free_list[p][t] = s->next;
    if (!s->next) {
        a->steps[p] &= (uint8_t) ~(1u << t);
        if (!a->steps[p])
            a->powers &= ~(1u << p);
    }
}

/* A free range of at least `granules`: index + 1, or NIL. First the list of its own size, where a
 * range of just this size lies if there is one; then any list of larger ones. */
static uint32_t list_find(const struct arena *a, uint32_t granules)
{
    unsigned p = power_of(granules), t = step_of(granules, p);
    uint32_t i = a->free_list[p][t];

    for (int tries = 16; i && tries > 0; tries--, i = a->spans[i - 1].next)
        if (a->spans[i - 1].granules >= granules)
            return i;
    unsigned larger = t + 1 < STEPS ? a->steps[p] & (0xffu << (t + 1) & 0xffu) : 0;
    if (!larger) {
        uint32_t powers = p + 1 < POWERS ? a->powers & (UINT32_MAX << (p + 1)) : 0;
        if (!powers)
            return NIL;
        p = (unsigned)__builtin_ctz(powers);
        larger = a->steps[p];
    }
    return a->free_list[p][__builtin_ctz(larger)];
}

static void set_before(struct arena *a, uint32_t at, uint32_t before)
{
    if (at < a->granules)
        a->spans[at].before = before;
}

/* --- life ------------------------------------------------------------------------------------ */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

struct arena *arena_create(uint64_t base, uint64_t bytes, void *owner, int kind)
{
    uint64_t granules = bytes / GRANULE;
    if (granules == 0 || bytes > ARENA_MAX || base % ARENA_UNIT)
        return NULL;

    size_t header = round_up(sizeof(struct arena), 4096);
    size_t index = round_up(live_size((uint32_t)granules), 4096);
    size_t meta = header + index + granules * sizeof(struct span);
    struct arena *a = map_zeroed(meta);
    if (!a)
        return NULL;
    a->base = base;
    a->bytes = bytes;
    a->owner = owner;
    a->kind = kind;
    a->granules = (uint32_t)granules;
    a->meta_bytes = meta;
    live_init(&a->live, a->granules, (char *)a + header);
    a->spans = (struct span *)((char *)a + header + index);
    a->spans[0].granules = a->granules;
    list_insert(a, 0);
    if (!plant(base, bytes, a)) {
        arena_destroy(a);
        return NULL;
    }
    extend_bounds(base, bytes);
    return a;
}

void arena_destroy(struct arena *a)
{
    size_t header = round_up(sizeof *a, 4096);

    uproot(a);
    /* The addresses stay reserved: a look-up that began before may still read there. It finds
     * zeroes, that is, no live block. */
    madvise((char *)a + header, a->meta_bytes - header, MADV_DONTNEED);
}

uint64_t arena_base(const struct arena *a)
{
    return a->base;
}

uint64_t arena_bytes(const struct arena *a)
{
    return a->bytes;
}

void *arena_owner(const struct arena *a)
{
    return a->owner;
}

int arena_kind(const struct arena *a)
{
    return a->kind;
}

void arena_set_kind(struct arena *a, int kind)
{
    a->kind = kind;
}

bool arena_is_empty(const struct arena *a)
{
    return a->used == 0;
}

/* The range at `at` becomes a live block. */
static uint64_t make_live(struct arena *a, uint32_t at, uint64_t bytes)
{
    static uint64_t last_id;
    struct span *s = &a->spans[at];

    s->state = SPAN_LIVE;
    s->bytes = bytes;
    s->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    live_set(&a->live, at);
    return a->base + (uint64_t)at * GRANULE;
}

static uint64_t granules_for(uint64_t bytes)
{
    return bytes / GRANULE + (bytes % GRANULE != 0);
}

uint64_t arena_alloc(struct arena *a, uint64_t bytes)
{
    uint64_t granules = granules_for(bytes);
    uint32_t found = granules && granules <= a->granules ? list_find(a, (uint32_t)granules) : NIL;

    if (!found)
        return 0;
    uint32_t at = found - 1, need = (uint32_t)granules;
    struct span *s = &a->spans[at];
    list_remove(a, at);
    if (s->granules > need) {
        struct span *rest = &a->spans[at + need];
        rest->granules = s->granules - need;
        rest->before = need;
        set_before(a, at + s->granules, rest->granules);
        s->granules = need;
        list_insert(a, at + need);
    }
    a->used += need;
    return make_live(a, at, bytes);
}

static struct arena_block block_at(struct arena *a, uint32_t at)
{
    const struct span *s = &a->spans[at];
    uint64_t id = __atomic_load_n(&s->id, __ATOMIC_RELAXED);

    return (struct arena_block){a, a->base + (uint64_t)at * GRANULE, s->bytes, id & ID_MASK,
                                (unsigned)(id >> TAG_SHIFT) & ARENA_TAG_MAX};
}

static uint32_t granule_at(const struct arena *a, uint64_t address)
{
    return (uint32_t)((address - a->base) / GRANULE);
}

bool arena_hold(struct arena *a, uint64_t address, struct arena_block *block)
{
    uint32_t at = granule_at(a, address);

    if ((address - a->base) % GRANULE || at >= a->granules || !live_test(&a->live, at))
        return false;
    live_clear(&a->live, at);
    *block = block_at(a, at);
    a->spans[at].state = SPAN_RETIRED;
    return true;
}

bool arena_retire(struct arena *a, uint64_t address, struct arena_block *block)
{
    if (!arena_hold(a, address, block))
        return false;
    a->spans[granule_at(a, address)].next = a->retired;
    a->retired = granule_at(a, address) + 1;
    return true;
}

uint64_t arena_held_bytes(const struct arena *a, uint64_t address)
{
    return (uint64_t)a->spans[granule_at(a, address)].granules * GRANULE;
}

bool arena_revive(struct arena *a, uint64_t address, uint64_t bytes)
{
    uint32_t at = granule_at(a, address);

    if (bytes == 0 || granules_for(bytes) > a->spans[at].granules)
        return false;
    make_live(a, at, bytes);
    return true;
}

void arena_close_batch(struct arena *a)
{
    a->batch = a->retired;
    a->retired = NIL;
}

void arena_reopen_batch(struct arena *a)
{
    while (a->batch) {
        struct span *s = &a->spans[a->batch - 1];
        uint32_t next = s->next;
        s->next = a->retired;
        a->retired = a->batch;
        a->batch = next;
    }
}

static void free_span(struct arena *a, uint32_t at)
{
    struct span *s = &a->spans[at];
    uint32_t end = at + s->granules;

    if (end < a->granules && a->spans[end].state == SPAN_FREE) {
        list_remove(a, end);
        s->granules += a->spans[end].granules;
    }
    if (s->before && a->spans[at - s->before].state == SPAN_FREE) {
        uint32_t granules = s->granules;
        at -= s->before;
        s = &a->spans[at];
        list_remove(a, at);
        s->granules += granules;
    }
    set_before(a, at + s->granules, s->granules);
    list_insert(a, at);
}

void arena_release_held(struct arena *a, uint64_t address)
{
    uint32_t at = granule_at(a, address);
    a->used -= a->spans[at].granules;
    free_span(a, at);
}

uint64_t arena_release(struct arena *a)
{
    uint64_t granules = 0;

    while (a->batch) {
        uint32_t at = a->batch - 1;
        a->batch = a->spans[at].next;
        granules += a->spans[at].granules;
        a->used -= a->spans[at].granules;
        free_span(a, at);
    }
    return granules * GRANULE;
}

bool arena_find(uint64_t address, struct arena_block *block)
{
    struct arena *a = arena_at(address);

    *block = (struct arena_block){.arena = a};
    if (!a || address - a->base >= (uint64_t)a->granules * GRANULE)
        return false;
    uint32_t at = live_last(&a->live, (uint32_t)((address - a->base) / GRANULE));
    if (at == LIVE_NONE)
        return false;
    struct arena_block found = block_at(a, at);
    if (address - found.base >= found.bytes)
        return false;
    *block = found;
    return true;
}

bool arena_for_each(struct arena *a, bool (*each)(const struct arena_block *block, void *arg),
                    void *arg)
{
    uint32_t at = live_last(&a->live, a->granules - 1);

    while (at != LIVE_NONE) {
        struct arena_block block = block_at(a, at);
        if (!each(&block, arg))
            return false;
        at = at ? live_last(&a->live, at - 1) : LIVE_NONE;
    }
    return true;
}

static struct span *span_of(const struct arena_block *b)
{
    return &b->arena->spans[(b->base - b->arena->base) / GRANULE];
}

void arena_tag(struct arena_block *block, unsigned tag)
{
    block->tag = tag;
    __atomic_fetch_or(&span_of(block)->id, (uint64_t)tag << TAG_SHIFT, __ATOMIC_RELAXED);
}

void arena_mark(const struct arena_block *block, bool mark)
{
    if (mark)
        __atomic_fetch_or(&span_of(block)->id, MARK, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&span_of(block)->id, ~MARK, __ATOMIC_RELAXED);
}

bool arena_is_marked(const struct arena_block *block)
{
    return __atomic_load_n(&span_of(block)->id, __ATOMIC_RELAXED) & MARK;
}

void arena_forget(void)
{
    arena_bounds_ = (struct arena_bounds){0};
    memset(tree, 0, sizeof tree);
    pthread_mutex_init(&tree_lock, NULL);
}
