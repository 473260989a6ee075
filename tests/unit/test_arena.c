/* Arenas: blocks never overlap, look-ups by any address agree with a model, freed memory waits for
 * its batch, neighbours merge. The memory itself is never touched, so any range of addresses does.
 */
#include "shim/arena.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BASE UINT64_C(0x200000000000)
#define MIB  (UINT64_C(1) << 20)

static char owner;

static struct arena *make(uint64_t bytes)
{
    struct arena *a = arena_create(BASE, bytes, &owner, 7);
    ck_assert_ptr_nonnull(a);
    return a;
}

static void retire(struct arena *a, uint64_t address)
{
    struct arena_block block;
    ck_assert(arena_retire(a, address, &block));
    ck_assert_uint_eq(block.base, address);
}

static void release_all(struct arena *a)
{
    arena_close_batch(a);
    arena_release(a);
}

START_TEST(creation)
{
    ck_assert_ptr_null(arena_create(BASE, 511, &owner, 7));
    ck_assert_ptr_null(arena_create(BASE, ARENA_MAX + 512, &owner, 7));
    ck_assert_ptr_null(arena_create(BASE + 512, MIB, &owner, 7));
    ck_assert_ptr_null(arena_create(UINT64_C(1) << 48, MIB, &owner, 7));
    struct arena *top = arena_create(UINT64_C(0xffff80000000), 32 * MIB, &owner, 7); /* AArch64 */
    ck_assert_ptr_nonnull(top);
    ck_assert_ptr_eq(arena_at(UINT64_C(0xffff80000000) + 32 * MIB - 1), top);
    arena_destroy(top);

    struct arena *a = make(5 * MIB);
    ck_assert_ptr_eq(arena_owner(a), &owner);
    ck_assert_int_eq(arena_kind(a), 7);
    ck_assert_uint_eq(arena_base(a), BASE);
    ck_assert_uint_eq(arena_bytes(a), 5 * MIB);
    ck_assert(arena_is_empty(a));
    ck_assert_ptr_eq(arena_at(BASE), a);
    ck_assert_ptr_eq(arena_at(BASE + 5 * MIB - 1), a);
    ck_assert_ptr_null(arena_at(BASE - 1));
    ck_assert_ptr_null(arena_at(BASE + 6 * MIB));
    arena_destroy(a);
    ck_assert_ptr_null(arena_at(BASE));
}
END_TEST

/* The driver gives the addresses of a context that is gone to another thread, before the arena that
 * lay there is destroyed. */
START_TEST(another_in_its_place)
{
    struct arena *gone = make(8 * MIB), *next = arena_create(BASE + 2 * MIB, 4 * MIB, &owner, 7);

    ck_assert_ptr_nonnull(next);
    arena_destroy(gone);
    ck_assert_ptr_null(arena_at(BASE));
    ck_assert_ptr_eq(arena_at(BASE + 2 * MIB), next);
    ck_assert_ptr_eq(arena_at(BASE + 6 * MIB - 1), next);
    ck_assert_ptr_null(arena_at(BASE + 6 * MIB));
    arena_destroy(next);
    ck_assert_ptr_null(arena_at(BASE + 2 * MIB));
}
END_TEST

START_TEST(exact_fit_and_refusal)
{
    struct arena *a = make(4 * MIB);
    ck_assert_uint_eq(arena_alloc(a, 4 * MIB + 1), 0);
    ck_assert_uint_eq(arena_alloc(a, 0), 0);
    ck_assert_uint_eq(arena_alloc(a, UINT64_MAX), 0);
    ck_assert_uint_eq(arena_alloc(a, 4 * MIB), BASE);
    ck_assert_uint_eq(arena_alloc(a, 1), 0);
    retire(a, BASE);
    ck_assert_uint_eq(arena_alloc(a, 1), 0);
    release_all(a);
    ck_assert_uint_eq(arena_alloc(a, 4 * MIB - 1), BASE);
    arena_destroy(a);
}
END_TEST

/* A range of just the size asked for is found although its list also holds smaller ones. */
START_TEST(exact_fit_among_smaller)
{
    struct arena *a = make(64 * MIB);
    uint64_t small[8], wanted, wall;

    wanted = arena_alloc(a, 1000 * 512);
    wall = arena_alloc(a, 512);
    for (int i = 0; i < 8; i++) {
        small[i] = arena_alloc(a, (992 + i % 4) * 512);
        ck_assert_uint_ne(arena_alloc(a, 512), 0);
    }
    uint64_t rest = 64 * MIB / 512 - 1000 - 1;
    for (int i = 0; i < 8; i++)
        rest -= 992 + i % 4 + 1;
    ck_assert_uint_ne(arena_alloc(a, rest * 512), 0);
    retire(a, wanted);
    for (int i = 0; i < 8; i++)
        retire(a, small[i]);
    release_all(a);
    ck_assert_uint_eq(arena_alloc(a, 1000 * 512), wanted);
    ck_assert_uint_ne(wall, 0);
    arena_destroy(a);
}
END_TEST

START_TEST(find)
{
    struct arena *a = make(8 * MIB);
    struct arena_block b;
    uint64_t first = arena_alloc(a, 1000), second = arena_alloc(a, 3 * MIB);

    ck_assert(arena_find(first, &b));
    ck_assert_uint_eq(b.base, first);
    ck_assert_uint_eq(b.bytes, 1000);
    ck_assert_ptr_eq(b.arena, a);
    uint64_t id = b.id;
    ck_assert(arena_find(first + 999, &b));
    ck_assert_uint_eq(b.id, id);
    ck_assert(!arena_find(first + 1000, &b)); /* rounded up, but not the host's */
    ck_assert(arena_find(second + 3 * MIB - 1, &b));
    ck_assert_uint_eq(b.base, second);
    ck_assert_uint_ne(b.id, id);
    ck_assert(!arena_find(second + 3 * MIB, &b));

    ck_assert(!arena_retire(a, first + 512, &b)); /* interior */
    ck_assert(!arena_retire(a, first + 1, &b));
    retire(a, first);
    ck_assert(!arena_find(first, &b));
    ck_assert(!arena_retire(a, first, &b)); /* twice */
    ck_assert(!arena_is_empty(a));
    arena_destroy(a);
    ck_assert(!arena_find(second, &b));
}
END_TEST

static unsigned visited;
static uint64_t visited_bytes;

static bool visit(const struct arena_block *block, void *stop_at)
{
    visited += block->tag;
    visited_bytes += block->bytes;
    return !stop_at || block->base != *(const uint64_t *)stop_at;
}

/* A tag stays with its block beside mark and id, and does not come back with a new one. */
START_TEST(tags)
{
    struct arena *a = make(MIB);
    uint64_t p[3];
    struct arena_block block;

    for (unsigned i = 0; i < 3; i++)
        p[i] = arena_alloc(a, 1000 + i);
    ck_assert(arena_find(p[2], &block));
    ck_assert_uint_eq(block.tag, 0);
    uint64_t id = block.id;
    arena_tag(&block, ARENA_TAG_MAX);
    arena_mark(&block, true);
    ck_assert(arena_find(p[2] + 999, &block));
    ck_assert_uint_eq(block.tag, ARENA_TAG_MAX);
    ck_assert_uint_eq(block.id, id);
    ck_assert(arena_is_marked(&block));
    ck_assert(arena_find(p[0], &block));
    arena_tag(&block, 5);
    retire(a, p[1]);
    ck_assert(arena_for_each(a, visit, NULL));
    ck_assert_uint_eq(visited, ARENA_TAG_MAX + 5);
    ck_assert_uint_eq(visited_bytes, 1000 + 1002);
    ck_assert(!arena_for_each(a, visit, &p[2])); /* the last comes first */
    ck_assert_uint_eq(visited_bytes, 1000 + 1002 + 1002);
    ck_assert(arena_hold(a, p[2], &block));
    ck_assert_uint_eq(block.tag, ARENA_TAG_MAX);
    ck_assert(arena_revive(a, p[2], 10));
    ck_assert(arena_find(p[2], &block));
    ck_assert_uint_eq(block.tag, 0);
    arena_destroy(a);
    ck_assert(arena_for_each(a, visit, NULL)); /* nothing */
    ck_assert_uint_eq(visited_bytes, 1000 + 1002 + 1002);
}
END_TEST

START_TEST(batches)
{
    struct arena *a = make(2 * MIB);
    uint64_t x = arena_alloc(a, MIB), y = arena_alloc(a, MIB);

    retire(a, x);
    arena_close_batch(a);
    retire(a, y); /* after the batch was closed: not in it */
    ck_assert_uint_eq(arena_release(a), MIB);
    ck_assert_uint_eq(arena_alloc(a, MIB), x);
    ck_assert_uint_eq(arena_alloc(a, MIB), 0);

    retire(a, x);
    arena_close_batch(a);
    arena_reopen_batch(a); /* nothing was released */
    ck_assert_uint_eq(arena_release(a), 0);
    release_all(a);
    ck_assert(arena_is_empty(a));
    ck_assert_uint_eq(arena_alloc(a, 2 * MIB), BASE);
    arena_destroy(a);
}
END_TEST

START_TEST(bounds)
{
    ck_assert(!arena_may_hold(0));
    ck_assert(!arena_may_hold(BASE));
    struct arena *a = make(4 * MIB);
    ck_assert(arena_may_hold(BASE));
    ck_assert(arena_may_hold(BASE + 4 * MIB - 1));
    ck_assert(!arena_may_hold(BASE + 4 * MIB));
    ck_assert(!arena_may_hold(BASE - 1));
    struct arena *low = arena_create(BASE - 16 * MIB, 2 * MIB, &owner, 7);
    ck_assert_ptr_nonnull(low);
    ck_assert(arena_may_hold(BASE - 16 * MIB));
    ck_assert(arena_may_hold(BASE + 4 * MIB - 1));
    ck_assert_ptr_null(arena_at(BASE - 8 * MIB)); /* in the bounds, in no arena */
    struct arena_block b;
    ck_assert(!arena_find(BASE - 8 * MIB, &b));
    arena_destroy(low);
    arena_destroy(a);
}
END_TEST

/* --- against a model ---------------------------------------------------------------------------
 */

#define BLOCKS 400

struct model {
    uint64_t base[BLOCKS], bytes[BLOCKS];
    bool live[BLOCKS];
};

/* Looks at 200 addresses. ck_assert() is slow, so that the answers are added up. */
static void compare(const struct model *m, uint64_t size)
{
    int wrong = 0;

    for (int i = 0; i < 200; i++) {
        uint64_t address = BASE + ((uint64_t)rand() << 12 ^ (uint64_t)rand()) % size;
        struct arena_block b;
        int hit = -1;
        for (int k = 0; k < BLOCKS; k++)
            if (m->live[k] && address - m->base[k] < m->bytes[k])
                hit = k;
        wrong += arena_find(address, &b) != (hit >= 0);
        wrong += hit >= 0 && b.base != m->base[hit];
    }
    ck_assert_int_eq(wrong, 0);
}

/* Inside the arena, aligned, and clear of all others. */
static bool well_placed(const struct model *m, int k, uint64_t size)
{
    bool ok = m->base[k] >= BASE && m->base[k] + m->bytes[k] <= BASE + size &&
              m->base[k] % ARENA_ALIGNMENT == 0;

    for (int o = 0; o < BLOCKS; o++)
        ok &= o == k || !m->live[o] || m->base[o] + m->bytes[o] <= m->base[k] ||
              m->base[k] + m->bytes[k] <= m->base[o];
    return ok;
}

START_TEST(random_operations)
{
    static struct model m;
    const uint64_t size = 64 * MIB;
    struct arena *a = make(size);

    srand((unsigned)_i + 1);
    memset(&m, 0, sizeof m);
    for (int step = 0; step < 10000; step++) {
        int k = rand() % BLOCKS;
        if (m.live[k]) {
            retire(a, m.base[k]);
            m.live[k] = false;
        } else {
            m.bytes[k] =
                rand() % 4 ? 1 + (uint64_t)rand() % 3000 : 1 + (uint64_t)rand() % (2 * MIB);
            m.base[k] = arena_alloc(a, m.bytes[k]);
            m.live[k] = m.base[k] != 0;
            ck_assert(!m.live[k] || well_placed(&m, k, size));
        }
        if (rand() % 50 == 0)
            release_all(a);
        if (step % 1000 == 0)
            compare(&m, size);
    }
    for (int k = 0; k < BLOCKS; k++)
        if (m.live[k])
            retire(a, m.base[k]);
    release_all(a);
    ck_assert(arena_is_empty(a));
    ck_assert_uint_eq(arena_alloc(a, size), BASE); /* every neighbour has merged */
    arena_destroy(a);
}
END_TEST

/* A block held outside any batch comes back larger or smaller in its place, or becomes free. */
START_TEST(hold_and_revive)
{
    struct arena *a = make(2 * MIB);
    struct arena_block b;
    uint64_t x = arena_alloc(a, MIB), y = arena_alloc(a, MIB);

    ck_assert(arena_find(x, &b));
    uint64_t id = b.id;
    arena_mark(&b, true);
    ck_assert(!arena_hold(a, x + 512, &b));
    ck_assert(arena_hold(a, x, &b));
    ck_assert_uint_eq(b.id, id);
    ck_assert(!arena_hold(a, x, &b));
    ck_assert(!arena_find(x, &b));
    release_all(a); /* it is in no batch */
    ck_assert_uint_eq(arena_alloc(a, 512), 0);
    ck_assert(!arena_revive(a, x, MIB + 1));
    ck_assert(!arena_revive(a, x, 0));
    ck_assert(arena_revive(a, x, MIB - 1000));
    ck_assert(arena_find(x + MIB - 1001, &b));
    ck_assert(!arena_find(x + MIB - 1000, &b));
    ck_assert(arena_find(x, &b));
    ck_assert_uint_ne(b.id, id);
    ck_assert(!arena_is_marked(&b));
    ck_assert(arena_hold(a, x, &b));
    arena_release_held(a, x);
    ck_assert_uint_eq(arena_alloc(a, MIB), x);
    retire(a, x);
    retire(a, y);
    release_all(a);
    ck_assert(arena_is_empty(a));
    arena_destroy(a);
}
END_TEST

/* Look-ups take no lock: while neighbours come and go, a block that lives is always found. */

static atomic_bool stop;
static uint64_t anchor[3];

static void *look(void *arg)
{
    uintptr_t wrong = 0;
    (void)arg;
    while (!atomic_load(&stop))
        for (int i = 0; i < 3; i++) {
            struct arena_block b;
            wrong += !arena_find(anchor[i] + 4000, &b) || b.base != anchor[i] || b.bytes != 5000;
        }
    return (void *)wrong;
}

START_TEST(look_up_during_changes)
{
    struct arena *a = make(64 * MIB);
    pthread_t reader;
    uint64_t other[64] = {0};
    void *wrong;

    for (int i = 0; i < 3; i++) {
        anchor[i] = arena_alloc(a, 5000);
        ck_assert_uint_ne(arena_alloc(a, 512 * 70 * (uint64_t)(i + 1)), 0);
    }
    atomic_store(&stop, false);
    ck_assert_int_eq(pthread_create(&reader, NULL, look, NULL), 0);
    srand(7);
    for (int step = 0; step < 200000; step++) {
        int k = rand() % 64;
        if (other[k]) {
            retire(a, other[k]);
            other[k] = 0;
            release_all(a);
        } else {
            other[k] = arena_alloc(a, 1 + (uint64_t)rand() % 40000);
        }
    }
    atomic_store(&stop, true);
    ck_assert_int_eq(pthread_join(reader, &wrong), 0);
    ck_assert_uint_eq((uintptr_t)wrong, 0);
    arena_destroy(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *blocks = tcase_create("blocks");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, blocks);
    tcase_set_timeout(blocks, 60);
    tcase_add_test(blocks, creation);
    tcase_add_test(blocks, another_in_its_place);
    tcase_add_test(blocks, exact_fit_and_refusal);
    tcase_add_test(blocks, exact_fit_among_smaller);
    tcase_add_test(blocks, find);
    tcase_add_test(blocks, tags);
    tcase_add_test(blocks, batches);
    tcase_add_test(blocks, bounds);
    tcase_add_test(blocks, hold_and_revive);
    tcase_add_loop_test(blocks, random_operations, 0, 6);
    tcase_add_test(blocks, look_up_during_changes);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
