/* Limits from a view of memory, and verdicts from limits. Expected numbers were worked out outside;
 * 8 GiB with the defaults give the budget 5111011082 (see test_budget.c).
 */
#include "policy/policy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define GIB UINT64_C(1073741824)
#define MIB UINT64_C(1048576)
#define MAX UINT64_MAX

static const struct pol_settings defaults = {
    .conservative_factor = 700000000,
    .overhead_percent = UINT64_C(15000000000),
    .system_ram_pad = POL_AUTO,
    .vram_limit = POL_NONE,
    .host_limit = POL_NONE,
    .min_redirect = MIB,
    .placement = POL_PLACEMENT_STRICT,
};

/* --- limits --------------------------------------------------------------------------------------
 */

static const struct {
    const char *what;
    uint64_t vram_limit, host_limit, pad;
    struct pol_view view;
    struct {
        uint64_t vram_total, reserved, gpu_budget, vram_cap, sys_avail;
    } limits;
} digests[] = {
    {"an empty card, much RAM",
     POL_NONE,
     POL_NONE,
     POL_AUTO,
     {8 * GIB, 8 * GIB, 0, 64 * GIB, 50 * GIB},
     {8 * GIB, 0, UINT64_C(5111011082), POL_NONE, UINT64_C(46815143527)}},
    {"others hold 1 GiB, we 2 GiB: only theirs is reserved",
     POL_NONE,
     POL_NONE,
     POL_AUTO,
     {8 * GIB, 5 * GIB, 2 * GIB, 16 * GIB, 12 * GIB},
     {8 * GIB, GIB, UINT64_C(4359391806), POL_NONE, 10 * GIB}},
    {"a limit below the card; others lie in what it cuts off",
     8 * GIB,
     POL_NONE,
     POL_AUTO,
     {24 * GIB, 20 * GIB, GIB, 16 * GIB, 12 * GIB},
     {8 * GIB, 0, UINT64_C(5111011082), 8 * GIB, 10 * GIB}},
    {"a limit that others leave no room for",
     8 * GIB,
     POL_NONE,
     POL_AUTO,
     {24 * GIB, 6 * GIB, GIB, 16 * GIB, 12 * GIB},
     {8 * GIB, GIB, UINT64_C(4359391806), 8 * GIB, 10 * GIB}},
    {"a limit above the card changes its size not",
     24 * GIB,
     POL_NONE,
     POL_AUTO,
     {8 * GIB, 7 * GIB, 0, 16 * GIB, 12 * GIB},
     {8 * GIB, GIB, UINT64_C(4359391806), 24 * GIB, 10 * GIB}},
    {"a limit of nothing",
     0,
     POL_NONE,
     POL_AUTO,
     {8 * GIB, 7 * GIB, GIB, 16 * GIB, 12 * GIB},
     {0, 0, 0, 0, 10 * GIB}},
    {"we hold more than the limit",
     GIB,
     POL_NONE,
     POL_AUTO,
     {8 * GIB, 5 * GIB, 3 * GIB, 16 * GIB, 12 * GIB},
     {GIB, 0, UINT64_C(638876385), GIB, 10 * GIB}},
    {"host_limit binds",
     POL_NONE,
     3 * GIB,
     POL_AUTO,
     {8 * GIB, 8 * GIB, 0, 64 * GIB, 50 * GIB},
     {8 * GIB, 0, UINT64_C(5111011082), POL_NONE, 3 * GIB}},
    {"host_limit above what is there",
     POL_NONE,
     60 * GIB,
     GIB,
     {8 * GIB, 8 * GIB, 0, 64 * GIB, 50 * GIB},
     {8 * GIB, 0, UINT64_C(5111011082), POL_NONE, 49 * GIB}},
    {"the pad is more than what is there",
     POL_NONE,
     POL_NONE,
     POL_AUTO,
     {8 * GIB, 8 * GIB, 0, 4 * GIB, GIB},
     {8 * GIB, 0, UINT64_C(5111011082), POL_NONE, 0}},
    {"more free than there is",
     POL_NONE,
     POL_NONE,
     0,
     {8 * GIB, 9 * GIB, GIB, 16 * GIB, 17 * GIB},
     {8 * GIB, 0, UINT64_C(5111011082), POL_NONE, 16 * GIB}},
    {"we hold more than there is",
     POL_NONE,
     POL_NONE,
     0,
     {8 * GIB, GIB, MAX, 16 * GIB, GIB},
     {8 * GIB, 0, UINT64_C(5111011082), POL_NONE, GIB}},
    {"nothing at all", POL_NONE, POL_NONE, POL_AUTO, {0, 0, 0, 0, 0}, {0, 0, 0, POL_NONE, 0}},
    {"as much as numbers can say",
     POL_NONE,
     POL_NONE,
     0,
     {MAX, MAX, 0, MAX, MAX},
     {MAX, 0, UINT64_C(10975812723857183211), POL_NONE, MAX}},
};

START_TEST(limits)
{
    struct pol_settings settings = defaults;
    struct pol_limits l;

    settings.vram_limit = digests[_i].vram_limit;
    settings.host_limit = digests[_i].host_limit;
    settings.system_ram_pad = digests[_i].pad;
    l = pol_limits(&settings, &digests[_i].view);
    ck_assert_msg(l.vram_total == digests[_i].limits.vram_total, "%s: total %ju", digests[_i].what,
                  (uintmax_t)l.vram_total);
    ck_assert_msg(l.reserved == digests[_i].limits.reserved, "%s: reserved %ju", digests[_i].what,
                  (uintmax_t)l.reserved);
    ck_assert_msg(l.gpu_budget == digests[_i].limits.gpu_budget, "%s: budget %ju", digests[_i].what,
                  (uintmax_t)l.gpu_budget);
    ck_assert_msg(l.vram_cap == digests[_i].limits.vram_cap, "%s: cap %ju", digests[_i].what,
                  (uintmax_t)l.vram_cap);
    ck_assert_msg(l.sys_avail == digests[_i].limits.sys_avail, "%s: RAM %ju", digests[_i].what,
                  (uintmax_t)l.sys_avail);
}
END_TEST

/* Our own bytes must not change the budget: it is what we may hold in all. */
START_TEST(own_bytes_do_not_count_as_reserved)
{
    for (uint64_t ours = 0; ours <= 7 * GIB; ours += 512 * MIB) {
        struct pol_view view = {8 * GIB, 7 * GIB - ours, ours, 16 * GIB, 12 * GIB};

        ck_assert_uint_eq(pol_limits(&defaults, &view).gpu_budget, UINT64_C(4359391806));
    }
}
END_TEST

/* On a card that others leave alone. Where they hold some of it, a larger vram_limit can shrink the
 * budget a little: the overhead, a share of the total, grows while what is free does not. */
START_TEST(limits_are_monotone)
{
    static const uint64_t sizes[] = {0, 1, MIB, GIB, 7 * GIB, 8 * GIB, 9 * GIB, POL_NONE};
    struct pol_view view = {8 * GIB, 7 * GIB, GIB, 16 * GIB, 12 * GIB};
    struct pol_limits last = {0};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pol_settings settings = defaults;
        struct pol_limits l;

        settings.vram_limit = settings.host_limit = sizes[i];
        l = pol_limits(&settings, &view);
        ck_assert_uint_ge(l.vram_total, last.vram_total);
        ck_assert_uint_ge(l.gpu_budget, last.gpu_budget);
        ck_assert_uint_ge(l.working, last.working);
        ck_assert_uint_ge(l.sys_avail, last.sys_avail);
        ck_assert_uint_le(l.gpu_budget, l.vram_total);
        ck_assert_uint_le(l.gpu_budget, l.vram_cap);
        last = l;
    }
}
END_TEST

/* --- verdicts ------------------------------------------------------------------------------------
 */

/* Budget 1000, RAM 500; requests below 10 are small. */
#define DEVICE(why, overflow)                                                                      \
    {                                                                                              \
        .host_if_failed = overflow, .reason = why                                                  \
    }
#define HOST(why)                                                                                  \
    {                                                                                              \
        .host = true, .reason = why                                                                \
    }
#define BOTH -1

static const struct {
    int placement;
    uint64_t cap, device_bytes, host_bytes, bytes;
    struct pol_verdict verdict;
} verdicts[] = {
    /* the budget, to the byte */
    {POL_PLACEMENT_STRICT, POL_NONE, 0, 0, 10, DEVICE(POL_FITS, true)},
    {POL_PLACEMENT_STRICT, POL_NONE, 0, 0, 1000, DEVICE(POL_FITS, false)},
    {POL_PLACEMENT_STRICT, POL_NONE, 900, 0, 100, DEVICE(POL_FITS, true)},
    {POL_PLACEMENT_STRICT, POL_NONE, 900, 0, 101, HOST(POL_OVER_BUDGET)},
    {POL_PLACEMENT_STRICT, POL_NONE, 1001, 0, 10, HOST(POL_OVER_BUDGET)},
    {POL_PLACEMENT_STRICT, POL_NONE, MAX, 0, 10, HOST(POL_OVER_BUDGET)},
    /* the RAM, to the byte */
    {POL_PLACEMENT_STRICT, POL_NONE, 1000, 0, 500, HOST(POL_OVER_BUDGET)},
    {POL_PLACEMENT_STRICT, POL_NONE, 1000, 0, 501, DEVICE(POL_HOST_EXHAUSTED, false)},
    {POL_PLACEMENT_STRICT, POL_NONE, 1000, 490, 10, HOST(POL_OVER_BUDGET)},
    {POL_PLACEMENT_STRICT, POL_NONE, 1000, 491, 10, DEVICE(POL_HOST_EXHAUSTED, false)},
    {POL_PLACEMENT_STRICT, POL_NONE, 1000, MAX, 10, DEVICE(POL_HOST_EXHAUSTED, false)},
    /* fits, and an out-of-memory may overflow exactly while RAM is left */
    {POL_PLACEMENT_STRICT, POL_NONE, 0, 400, 100, DEVICE(POL_FITS, true)},
    {POL_PLACEMENT_STRICT, POL_NONE, 0, 401, 100, DEVICE(POL_FITS, false)},
    /* small ones */
    {POL_PLACEMENT_STRICT, POL_NONE, 0, 0, 9, DEVICE(POL_SMALL, true)},
    {POL_PLACEMENT_STRICT, POL_NONE, 5000, 0, 9, DEVICE(POL_SMALL, true)},
    {POL_PLACEMENT_STRICT, POL_NONE, 5000, 492, 9, DEVICE(POL_SMALL, false)},
    {POL_PLACEMENT_STRICT, 5008, 5000, 0, 9, HOST(POL_OVER_LIMIT)},
    {POL_PLACEMENT_STRICT, 5009, 5000, 0, 9, DEVICE(POL_SMALL, true)},
    {POL_PLACEMENT_STRICT, 5008, 5000, 492, 9, DEVICE(POL_HOST_EXHAUSTED, false)},
    /* vram_limit */
    {POL_PLACEMENT_STRICT, 1000, 995, 0, 10, HOST(POL_OVER_LIMIT)},
    {POL_PLACEMENT_STRICT, 0, 0, 0, 1, HOST(POL_OVER_LIMIT)},
    {POL_PLACEMENT_DEVICE_FIRST, 2000, 1990, 0, 10, DEVICE(POL_DEVICE_FIRST, true)},
    {POL_PLACEMENT_DEVICE_FIRST, 2000, 1990, 0, 11, HOST(POL_OVER_LIMIT)},
    {POL_PLACEMENT_DEVICE_FIRST, 2000, 1990, 490, 11, DEVICE(POL_HOST_EXHAUSTED, false)},
    /* device_first minds no budget and no size */
    {POL_PLACEMENT_DEVICE_FIRST, POL_NONE, 5000, 0, 500, DEVICE(POL_DEVICE_FIRST, true)},
    {POL_PLACEMENT_DEVICE_FIRST, POL_NONE, 5000, 0, 501, DEVICE(POL_DEVICE_FIRST, false)},
    {POL_PLACEMENT_DEVICE_FIRST, POL_NONE, 5000, 0, 1, DEVICE(POL_DEVICE_FIRST, true)},
    /* nothing, and everything */
    {BOTH, POL_NONE, 0, 0, 0, DEVICE(POL_FITS, false)},
    {BOTH, 0, MAX, MAX, 0, DEVICE(POL_FITS, false)},
    {POL_PLACEMENT_STRICT, POL_NONE, 1, 1, MAX, DEVICE(POL_HOST_EXHAUSTED, false)},
    {POL_PLACEMENT_STRICT, POL_NONE, MAX, MAX, MAX, DEVICE(POL_HOST_EXHAUSTED, false)},
    {POL_PLACEMENT_DEVICE_FIRST, POL_NONE, MAX, MAX, MAX, DEVICE(POL_DEVICE_FIRST, false)},
    {BOTH, MAX - 1, 1, 0, MAX, DEVICE(POL_HOST_EXHAUSTED, false)},
};

static const struct pol_limits limits_of_verdicts = {.vram_total = 2000,
                                                     .gpu_budget = 1000,
                                                     .working = 1900,
                                                     .vram_cap = POL_NONE,
                                                     .sys_avail = 500};

START_TEST(verdict)
{
    struct pol_limits l = limits_of_verdicts;
    struct pol_usage usage = {.device_bytes = verdicts[_i].device_bytes,
                              .host_bytes = verdicts[_i].host_bytes};
    struct pol_request request = {.bytes = verdicts[_i].bytes};
    const struct pol_verdict *expected = &verdicts[_i].verdict;

    l.vram_cap = verdicts[_i].cap;
    for (int p = POL_PLACEMENT_STRICT; p <= POL_PLACEMENT_DEVICE_FIRST; p++) {
        struct pol_settings settings = defaults;
        struct pol_verdict v;

        if (verdicts[_i].placement != BOTH && verdicts[_i].placement != p)
            continue;
        settings.placement = (enum pol_placement)p;
        settings.min_redirect = 10;
        v = pol_decide(&settings, &l, &usage, &request);
        ck_assert_int_eq(v.reason, expected->reason);
        ck_assert_int_eq(v.host, expected->host);
        ck_assert_int_eq(v.host_if_failed, expected->host_if_failed);
    }
}
END_TEST

/* Classes and rules: what is asked, when 900 (or `device_bytes`) of the budget of 1000 and of the
 * card's 1900 are held, and 500 bytes of RAM are free. */
#define CLASS(place, class, device, host, bytes)                                                   \
    place, POL_CLASS_##class, POL_PLACE_AUTO, device, host, bytes, POL_NONE
#define RULE(rule, device, host, bytes, cap)                                                       \
    POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, POL_PLACE_##rule, device, host, bytes, cap
static const struct {
    enum pol_placement placement;
    enum pol_class class;
    enum pol_place place;
    uint64_t device_bytes, host_bytes, bytes, cap;
    struct pol_verdict verdict;
} requests[] = {
    {CLASS(POL_PLACEMENT_ADAPTIVE, WEIGHTS, 900, 0, 100), DEVICE(POL_FITS, true)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WEIGHTS, 900, 0, 101), HOST(POL_OVER_BUDGET)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, UNKNOWN, 900, 0, 100), DEVICE(POL_FITS, true)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, UNKNOWN, 900, 0, 101), HOST(POL_OVER_BUDGET)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 900, 0, 100), DEVICE(POL_FITS, true)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 900, 0, 101), DEVICE(POL_CARD, true)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 1400, 0, 500), DEVICE(POL_CARD, true)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 1400, 1, 500), DEVICE(POL_CARD, false)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 1401, 0, 500), HOST(POL_OVER_CARD)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 1401, 1, 500), DEVICE(POL_HOST_EXHAUSTED, false)},
    {CLASS(POL_PLACEMENT_ADAPTIVE, WORKING, 5000, 0, 9), DEVICE(POL_SMALL, true)},
    {CLASS(POL_PLACEMENT_STRICT, WORKING, 900, 0, 101), HOST(POL_OVER_BUDGET)},
    {CLASS(POL_PLACEMENT_DEVICE_FIRST, WEIGHTS, 5000, 0, 101), DEVICE(POL_DEVICE_FIRST, true)},
    /* rules: at any size; vram_limit binds all but `skip` */
    {RULE(DEVICE, 5000, 0, 500, POL_NONE), DEVICE(POL_RULE, true)},
    {RULE(DEVICE, 5000, 1, 500, POL_NONE), DEVICE(POL_RULE, false)},
    {RULE(DEVICE, 1500, 0, 500, 1999), HOST(POL_OVER_LIMIT)},
    {RULE(HOST, 0, 0, 500, POL_NONE), HOST(POL_RULE)},
    {RULE(HOST, 0, 0, 1, POL_NONE), HOST(POL_RULE)},
    {RULE(HOST, 0, 1, 500, POL_NONE), DEVICE(POL_HOST_EXHAUSTED, false)},
    {RULE(SKIP, 5000, 0, 500, POL_NONE), DEVICE(POL_RULE, false)},
    {RULE(SKIP, 5000, 0, 500, 1000), DEVICE(POL_RULE, false)},
    {RULE(HOST, 0, 0, 0, POL_NONE), DEVICE(POL_FITS, false)},
};

START_TEST(classes_and_rules)
{
    struct pol_settings settings = defaults;
    struct pol_limits l = limits_of_verdicts;
    struct pol_usage usage = {.device_bytes = requests[_i].device_bytes,
                              .host_bytes = requests[_i].host_bytes};
    struct pol_request request = {
        .bytes = requests[_i].bytes, .class = requests[_i].class, .place = requests[_i].place};
    struct pol_verdict v;

    settings.placement = requests[_i].placement;
    settings.min_redirect = 10;
    l.vram_cap = requests[_i].cap;
    v = pol_decide(&settings, &l, &usage, &request);
    ck_assert_int_eq(v.reason, requests[_i].verdict.reason);
    ck_assert_int_eq(v.host, requests[_i].verdict.host);
    ck_assert_int_eq(v.host_if_failed, requests[_i].verdict.host_if_failed);
}
END_TEST

/* The card has 2000, of which 1900 are for working memory, and the budget is 1000. */
static const struct {
    enum pol_placement placement;
    enum pol_class class;
    uint64_t peak, device_bytes, bytes;
    bool host;
} beyond[] = {
    /* what working memory has shown to need, and half as much again, stays free of weights */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 200, 1500, 100, false},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 200, 1501, 100, true},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 700, 850, 100, false}, /* the budget at the least */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, MAX, 950, 100, true},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 0, 1500, 100, true}, /* not seen yet */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_UNKNOWN, 200, 1500, 100, true},
    {POL_PLACEMENT_STRICT, POL_CLASS_WEIGHTS, 200, 1500, 100, true},
    /* half the card or more in one block */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 0, 900, 1000, false},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_UNKNOWN, 0, 0, 1900, false},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 0, 901, 1000, true}, /* it must fit */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, 0, 900, 999, true},
    {POL_PLACEMENT_STRICT, POL_CLASS_WEIGHTS, 0, 0, 1900, true},
};

/* A card of which the budget is about the half. */
static const struct pol_limits half = {.vram_total = 2000,
                                       .gpu_budget = 1000,
                                       .working = 1900,
                                       .vram_cap = POL_NONE,
                                       .sys_avail = MAX};

START_TEST(what_may_lie_in_vram_beyond_the_budget)
{
    struct pol_settings settings = defaults;
    struct pol_usage usage = {.device_bytes = beyond[_i].device_bytes};
    struct pol_request request = {
        .bytes = beyond[_i].bytes, .class = beyond[_i].class, .working_peak = beyond[_i].peak};

    settings.placement = beyond[_i].placement;
    settings.min_redirect = 0;
    ck_assert_int_eq(pol_decide(&settings, &half, &usage, &request).host, beyond[_i].host);
}
END_TEST

/* --- VRAM on loan --------------------------------------------------------------------------------
 */

static const struct {
    enum pol_placement placement;
    enum pol_class class;
    bool lendable;
    uint64_t device, lent, peak, bytes;
    bool host;
    uint64_t lend, recall;
} loans[] = {
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 900, 0, 0, 100, false, 0, 0}, /* the budget */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 0, 0, 100, true, 950, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 850, 0, 100, true, 100, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 851, 0, 100, true, 0, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, MAX, 0, 100, true, 0, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, false, 950, 0, 0, 100, true, 0, 0},
    {POL_PLACEMENT_STRICT, POL_CLASS_WEIGHTS, true, 950, 0, 0, 100, true, 0, 0},
    /* what working memory has shown to need is not lent; nor is it the weights' own */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 0, 850, 100, true, 100, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 0, 851, 100, true, 0, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 0, 100, 100, true, 850, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 950, 0, MAX, 100, true, 0, 0},
    /* who has VRAM of his own has it back */
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WORKING, false, 950, 850, 0, 100, false, 0, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WORKING, false, 950, 900, 0, 100, false, 0, 50},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WORKING, false, 1800, 10, 0, 100, false, 0, 10},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WORKING, false, 1850, 50, 0, 100, true, 0, 0},
    {POL_PLACEMENT_ADAPTIVE, POL_CLASS_WEIGHTS, true, 800, 1100, 0, 100, false, 0, 100},
    {POL_PLACEMENT_DEVICE_FIRST, POL_CLASS_UNKNOWN, false, 1000, 900, 0, 100, false, 0, 100},
};

START_TEST(what_is_lent_and_comes_back)
{
    struct pol_settings settings = defaults;
    struct pol_usage usage = {.device_bytes = loans[_i].device, .lent_bytes = loans[_i].lent};
    struct pol_request request = {.bytes = loans[_i].bytes,
                                  .class = loans[_i].class,
                                  .working_peak = loans[_i].peak,
                                  .lendable = loans[_i].lendable};
    struct pol_verdict v;

    settings.placement = loans[_i].placement;
    settings.min_redirect = 0;
    v = pol_decide(&settings, &half, &usage, &request);
    ck_assert_int_eq(v.host, loans[_i].host);
    ck_assert_uint_eq(v.lend, loans[_i].lend);
    ck_assert_uint_eq(v.recall, loans[_i].recall);
    request.place = POL_PLACE_HOST; /* a rule that says the host means it */
    ck_assert_uint_eq(pol_decide(&settings, &half, &usage, &request).lend, 0);
}
END_TEST

/* All of the card that others leave, less 1/64 of it (64 MiB at least); never below the budget. */
START_TEST(working_memory_may_use_the_card)
{
    static const struct {
        uint64_t total, free, limit, working;
    } cards[] = {
        {8 * GIB, 8 * GIB, POL_NONE, 8 * GIB - 128 * MIB},
        {8 * GIB, 7 * GIB, POL_NONE, 7 * GIB - 128 * MIB},
        {24 * GIB, 20 * GIB, 8 * GIB, 8 * GIB - 128 * MIB},
        {2 * GIB, 2 * GIB, POL_NONE, 2 * GIB - 64 * MIB},
        {32 * MIB, 32 * MIB, POL_NONE, 19964887}, /* the budget */
        {8 * GIB, 0, POL_NONE, 0},
    };

    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        struct pol_view view = {cards[i].total, cards[i].free, 0, 16 * GIB, 12 * GIB};
        struct pol_settings settings = defaults;

        settings.vram_limit = cards[i].limit;
        ck_assert_uint_eq(pol_limits(&settings, &view).working, cards[i].working);
    }
}
END_TEST

/* A sum that wraps around would put everything into VRAM: no limit is ever passed by its verdict.
 */
START_TEST(no_limit_is_passed)
{
    static const uint64_t sizes[] = {0, 1, 9, 10, 499, 500, 501, 1000, 1001, MAX / 2, MAX - 1, MAX};
    const int n = sizeof(sizes) / sizeof(sizes[0]);
    struct pol_settings settings = defaults;

    settings.min_redirect = 10;
    for (int i = 0; i < n * n * n * n; i++) {
        struct pol_usage usage = {.device_bytes = sizes[i % n], .host_bytes = sizes[i / n % n]};
        uint64_t bytes = sizes[i / n / n % n];
        struct pol_request request = {.bytes = bytes};
        struct pol_limits l = limits_of_verdicts;
        struct pol_verdict v;
        unsigned __int128 device = (unsigned __int128)usage.device_bytes + bytes;
        unsigned __int128 host = (unsigned __int128)usage.host_bytes + bytes;

        l.gpu_budget = sizes[i / n / n / n];
        v = pol_decide(&settings, &l, &usage, &request);
        if (v.host || v.host_if_failed)
            ck_assert(host <= 500);
        if (v.reason == POL_FITS && bytes)
            ck_assert(device <= l.gpu_budget);
        if (v.host || v.reason == POL_HOST_EXHAUSTED)
            ck_assert(device > l.gpu_budget && bytes >= 10);
        ck_assert(!(v.host && v.host_if_failed));
    }
}
END_TEST

/* 16 x 128 MiB on a card of 1 GiB: the budget is 638876385, so 4 fit and 12 overflow. */
START_TEST(a_sequence_of_allocations)
{
    struct pol_view view = {GIB, GIB, 0, 16 * GIB, 12 * GIB};
    struct pol_limits l = pol_limits(&defaults, &view);
    struct pol_usage usage = {0};

    for (int i = 0; i < 16; i++) {
        struct pol_request request = {.bytes = 128 * MIB};
        struct pol_verdict v = pol_decide(&defaults, &l, &usage, &request);

        *(v.host ? &usage.host_bytes : &usage.device_bytes) += 128 * MIB;
    }
    ck_assert_uint_eq(l.gpu_budget, 638876385);
    ck_assert_uint_eq(usage.device_bytes, 4 * 128 * MIB);
    ck_assert_uint_eq(usage.host_bytes, 12 * 128 * MIB);
}
END_TEST

START_TEST(reasons_name_the_option)
{
    static const struct {
        enum pol_reason reason;
        const char *option;
    } texts[] = {
        {POL_FITS, "conservative_factor"},  {POL_SMALL, "min_redirect"},
        {POL_DEVICE_FIRST, "placement"},    {POL_OVER_BUDGET, "overhead_percent"},
        {POL_OVER_LIMIT, "vram_limit"},     {POL_CARD, "placement"},
        {POL_OVER_CARD, "placement"},       {POL_RULE, "rules"},
        {POL_HOST_EXHAUSTED, "host_limit"}, {POL_HOST_EXHAUSTED, "system_ram_pad_gb"},
        {(enum pol_reason)99, "unknown"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_ptr_nonnull(strstr(pol_reason_text(texts[i].reason), texts[i].option));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *core = tcase_create("policy");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_loop_test(core, limits, 0, sizeof(digests) / sizeof(digests[0]));
    tcase_add_test(core, own_bytes_do_not_count_as_reserved);
    tcase_add_test(core, limits_are_monotone);
    tcase_add_loop_test(core, verdict, 0, sizeof(verdicts) / sizeof(verdicts[0]));
    tcase_add_loop_test(core, classes_and_rules, 0, sizeof(requests) / sizeof(requests[0]));
    tcase_add_loop_test(core, what_may_lie_in_vram_beyond_the_budget, 0,
                        sizeof(beyond) / sizeof(beyond[0]));
    tcase_add_loop_test(core, what_is_lent_and_comes_back, 0, sizeof loans / sizeof loans[0]);
    tcase_add_test(core, working_memory_may_use_the_card);
    tcase_add_test(core, no_limit_is_passed);
    tcase_add_test(core, a_sequence_of_allocations);
    tcase_add_test(core, reasons_name_the_option);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
