/* Properties of the policy, on seeded random numbers of every magnitude: TEST_SEED repeats a run.
 */
#include "policy/plan.h"
#include "policy/policy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 100000

/* As ck_assert, which tells Check of each time it is passed. */
#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what))                                                                               \
            ck_abort_msg("%s, line %d", #what, __LINE__);                                          \
    } while (0)

static uint64_t state;

static void seed(void)
{
    const char *given = getenv("TEST_SEED");

    state = given ? strtoull(given, NULL, 0) : 1;
    state += !state;
}

/* xorshift64* */
static uint64_t any(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

/* All magnitudes are alike; now and then the extremes. */
static uint64_t number(void)
{
    uint64_t kind = any() % 16;

    return kind == 0 ? 0 : kind == 1 ? UINT64_MAX : any() >> any() % 64;
}

static uint64_t up_to(uint64_t most)
{
    return most == UINT64_MAX ? any() : any() % (most + 1);
}

/* A number that is at least `least`. */
static uint64_t more(uint64_t least)
{
    return least + up_to(UINT64_MAX - least) / (any() % 2 ? 1 : 1 + any());
}

static struct pol_settings some_settings(void)
{
    return (struct pol_settings){
        .conservative_factor = 1 + up_to(POL_ONE - 1),
        .overhead_percent = up_to(90 * POL_ONE),
        .system_ram_pad = number(),
        .vram_limit = number(),
        .host_limit = number(),
        .min_redirect = any() % 2 ? 0 : number(),
        .placement = (enum pol_placement)(any() % 3),
    };
}

static struct pol_view some_view(void)
{
    struct pol_view v;

    v.vram_total = number();
    v.vram_free = up_to(v.vram_total);
    v.device_bytes = up_to(v.vram_total - v.vram_free);
    v.ram_total = number();
    v.ram_available = up_to(v.ram_total);
    return v;
}

static struct pol_request some_request(void)
{
    return (struct pol_request){
        .bytes = number(),
        .class = (enum pol_class)(any() % 3),
        .place = any() % 2 ? POL_PLACE_AUTO : (enum pol_place)(any() % 4),
    };
}

static struct pol_limits some_limits(void)
{
    struct pol_settings settings = some_settings();
    struct pol_view view = some_view();

    return pol_limits(&settings, &view);
}

/* --- limits --------------------------------------------------------------------------------------
 */

static void not_less(const struct pol_limits *more_of_it, const struct pol_limits *less)
{
    MUST(more_of_it->vram_total >= less->vram_total);
    MUST(more_of_it->gpu_budget >= less->gpu_budget);
    MUST(more_of_it->working >= less->working);
    MUST(more_of_it->vram_cap >= less->vram_cap);
    MUST(more_of_it->sys_avail >= less->sys_avail);
}

/* Easing one setting, or freeing memory, takes nothing from any limit. The exception: where others
 * hold VRAM, a larger vram_limit has a larger overhead and floor, shares of the total. */
START_TEST(limits_are_monotone)
{
    seed();
    for (int i = 0; i < ROUNDS; i++) {
        struct pol_settings s = some_settings(), eased = s;
        struct pol_view v = some_view(), freed = v;
        struct pol_limits less, easy;
        int what = (int)(any() % 7);

        if (what == 0)
            eased.conservative_factor += up_to(POL_ONE - s.conservative_factor);
        else if (what == 1)
            eased.overhead_percent = up_to(s.overhead_percent);
        else if (what == 2 && s.system_ram_pad != POL_AUTO)
            eased.system_ram_pad = up_to(s.system_ram_pad);
        else if (what == 3)
            eased.host_limit = more(s.host_limit);
        else if (what == 4)
            freed.vram_free += up_to(v.vram_total - v.vram_free - v.device_bytes);
        else if (what == 5)
            freed.ram_available += up_to(v.ram_total - v.ram_available);
        if (what == 6) {
            v.vram_free = v.vram_total - v.device_bytes; /* nobody else is there */
            freed = v;
            eased.vram_limit = more(s.vram_limit);
        }
        less = pol_limits(&s, &v);
        easy = pol_limits(&eased, &freed);
        not_less(&easy, &less);
    }
}
END_TEST

START_TEST(limits_hold_together)
{
    seed();
    for (int i = 0; i < ROUNDS; i++) {
        struct pol_settings s = some_settings();
        struct pol_view v = some_view();
        struct pol_limits l = pol_limits(&s, &v);

        MUST(l.gpu_budget <= l.working);
        MUST(l.working <= l.vram_total - l.reserved);
        MUST(l.vram_total <= v.vram_total);
        MUST(l.vram_total <= l.vram_cap);
        MUST(l.sys_avail <= v.ram_available);
        MUST(l.sys_avail <= s.host_limit);
    }
}
END_TEST

/* --- verdicts ------------------------------------------------------------------------------------
 */

/* More of a limit, or less in use, sends nothing away from where it was. */
START_TEST(verdicts_are_monotone)
{
    seed();
    for (int i = 0; i < ROUNDS; i++) {
        struct pol_settings s = some_settings();
        struct pol_limits l = some_limits(), roomy = l;
        struct pol_usage u = {.device_bytes = number(), .host_bytes = number()}, emptier = u;
        struct pol_request r = some_request();
        struct pol_verdict tight, easy;

        roomy.gpu_budget = more(l.gpu_budget);
        roomy.working = more(l.working > roomy.gpu_budget ? l.working : roomy.gpu_budget);
        roomy.vram_cap = more(l.vram_cap);
        emptier.device_bytes = up_to(u.device_bytes);
        tight = pol_decide(&s, &l, &u, &r);
        easy = pol_decide(&s, &roomy, &emptier, &r);
        if (r.place != POL_PLACE_HOST || l.vram_cap == roomy.vram_cap)
            MUST(!(easy.host && !tight.host && tight.reason != POL_HOST_EXHAUSTED));

        roomy = l;
        emptier = u;
        roomy.sys_avail = more(l.sys_avail);
        emptier.host_bytes = up_to(u.host_bytes);
        easy = pol_decide(&s, &roomy, &emptier, &r);
        MUST(easy.host >= tight.host);
        MUST(easy.host || easy.host_if_failed >= tight.host_if_failed);
    }
}
END_TEST

/* Working memory stays on the device wherever weights do; what is unknown is placed as weights. */
START_TEST(classes_are_ordered)
{
    seed();
    for (int i = 0; i < ROUNDS; i++) {
        struct pol_settings s = some_settings();
        struct pol_limits l = some_limits();
        struct pol_usage u = {.device_bytes = number(), .host_bytes = number()};
        struct pol_request r = some_request();
        struct pol_verdict weights, unknown, working;

        r.class = POL_CLASS_WEIGHTS;
        weights = pol_decide(&s, &l, &u, &r);
        r.class = POL_CLASS_UNKNOWN;
        unknown = pol_decide(&s, &l, &u, &r);
        r.class = POL_CLASS_WORKING;
        working = pol_decide(&s, &l, &u, &r);
        MUST(unknown.host == weights.host);
        MUST(unknown.reason == weights.reason);
        MUST(working.host <= weights.host);
        if (s.placement != POL_PLACEMENT_ADAPTIVE)
            MUST(working.reason == weights.reason);
    }
}
END_TEST

/* Device bytes and host bytes of a sequence are what was asked for, and no verdict passes a limit.
 */
START_TEST(every_byte_lies_somewhere)
{
    seed();
    for (int i = 0; i < ROUNDS / 100; i++) {
        struct pol_settings s = some_settings();
        struct pol_limits l = some_limits();
        struct pol_usage u = {0};
        uint64_t asked = 0, unlimited = 0;

        for (int n = 0; n < 100; n++) {
            struct pol_request r = some_request();
            struct pol_verdict v;

            r.bytes %= UINT64_MAX / 200; /* so that no sum wraps around */
            v = pol_decide(&s, &l, &u, &r);
            MUST(!(v.host && v.host_if_failed));
            *(v.host ? &u.host_bytes : &u.device_bytes) += r.bytes;
            asked += r.bytes;
            if (!v.host && v.reason != POL_FITS && v.reason != POL_CARD)
                unlimited += r.bytes;
            MUST(u.device_bytes + u.host_bytes == asked);
            MUST(u.host_bytes <= l.sys_avail);
            MUST(u.device_bytes <= l.working + unlimited);
            if (v.reason == POL_FITS && r.bytes)
                MUST(u.device_bytes <= l.gpu_budget);
        }
    }
}
END_TEST

/* What is lent changes no verdict, stays within what working memory could have, and comes back as
 * far as it is needed. */
START_TEST(loans_are_no_placement)
{
    seed();
    for (int i = 0; i < ROUNDS; i++) {
        struct pol_settings s = some_settings();
        struct pol_limits l = some_limits();
        struct pol_usage u = {.device_bytes = number(), .host_bytes = number()}, lent = u;
        struct pol_request r = some_request(), lendable = r;
        struct pol_verdict without, with;
        unsigned __int128 used;

        lent.lent_bytes = number();
        lendable.lendable = any() % 2;
        without = pol_decide(&s, &l, &u, &r);
        with = pol_decide(&s, &l, &lent, &lendable);
        used = (unsigned __int128)lent.device_bytes + lent.lent_bytes;
        MUST(with.host == without.host && with.reason == without.reason);
        MUST(without.lend == 0 && without.recall == 0);
        MUST(!with.lend || (with.host && lendable.lendable && with.lend >= r.bytes));
        MUST(!with.lend || used + with.lend <= l.working);
        MUST(with.recall <= lent.lent_bytes);
        MUST(!with.recall || (!with.host && with.recall <= r.bytes));
        if (!with.host && with.recall < lent.lent_bytes && with.recall < r.bytes)
            MUST(used + r.bytes - with.recall <= l.working);
    }
}
END_TEST

/* The same calls, with memory polled once or again in between: what we hold ourselves, and when it
 * was seen, changes no verdict. */
START_TEST(no_verdict_depends_on_when_memory_was_polled)
{
    seed();
    for (int i = 0; i < ROUNDS / 100; i++) {
        struct pol_settings s = some_settings();
        struct pol_view v = some_view();
        struct pol_limits once, again;
        struct pol_usage u = {0};

        v.vram_free += v.device_bytes; /* we begin with nothing */
        v.device_bytes = 0;
        once = again = pol_limits(&s, &v);
        for (int n = 0; n < 100; n++) {
            struct pol_request r = some_request();
            struct pol_verdict a, b;

            if (any() % 2)
                again = pol_limits(&s, &v);
            a = pol_decide(&s, &once, &u, &r);
            b = pol_decide(&s, &again, &u, &r);
            MUST(a.host == b.host);
            MUST(a.host_if_failed == b.host_if_failed);
            MUST(a.reason == b.reason);
            if (a.host) {
                u.host_bytes += r.bytes;
            } else if (r.bytes <= v.vram_free) { /* the driver has it */
                u.device_bytes += r.bytes;
                v.device_bytes += r.bytes;
                v.vram_free -= r.bytes;
            }
        }
    }
}
END_TEST

/* --- plans ---------------------------------------------------------------------------------------
 */

START_TEST(plans)
{
    seed();
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t estimate = number(), budget = number(), ram = number();
        struct pol_plan p = pol_plan(estimate, budget, ram);
        struct pol_plan roomy = pol_plan(estimate, more(budget), more(ram));

        MUST(p.gpu_bytes + p.host_bytes + p.shortfall == estimate);
        MUST(p.gpu_bytes <= budget);
        MUST(p.host_bytes <= ram);
        MUST((p.shortfall > 0) == (p.strategy == POL_GGUF_INSUFFICIENT));
        MUST((p.host_bytes == 0 && p.shortfall == 0) == (p.strategy == POL_GPU_ONLY));
        MUST(roomy.strategy <= p.strategy);
        MUST(roomy.shortfall <= p.shortfall);
    }
}
END_TEST

/* --- classes and patterns ------------------------------------------------------------------------
 */

/* Any stream of calls, sensible or not: nothing is believed that was not seen. */
START_TEST(phases)
{
    seed();
    for (int i = 0; i < ROUNDS / 100; i++) {
        struct pol_phase phase = {0};
        bool uploads = any() % 4 != 0;

        for (int n = 0; n < 1000; n++) {
            uint64_t address = (any() % 64 << 25) + (any() % 4 ? 0 : number() % (1 << 25));
            uint64_t bytes = any() % 16 ? (uint64_t)1 << (16 + any() % 12) : number();

            switch (any() % 4) {
            case 0:
                pol_phase_alloc(&phase, address, bytes);
                break;
            case 1:
                if (uploads)
                    pol_phase_upload(&phase, address, bytes);
                break;
            case 2:
                pol_phase_write(&phase, address, bytes);
                break;
            default:
                pol_phase_free(&phase, address, bytes);
            }
            MUST(phase.newest < POL_PHASE_RECENT);
            MUST(phase.fresh <= POL_PHASE_RECENT);
            MUST((pol_phase_class(&phase, bytes)) <= POL_CLASS_WORKING);
            if (!uploads || phase.class == POL_CLASS_UNKNOWN)
                MUST((pol_phase_class(&phase, bytes)) == POL_CLASS_UNKNOWN);
        }
    }
}
END_TEST

/* The definition, in exponential time. */
static bool glob(const char *pattern, const char *text)
{
    if (*pattern == '*')
        return glob(pattern + 1, text) || (*text && glob(pattern, text + 1));
    if (!*text || !*pattern)
        return *text == *pattern;
    return (*pattern == '?' || *pattern == *text) && glob(pattern + 1, text + 1);
}

START_TEST(globs)
{
    int matches = 0;

    seed();
    for (int i = 0; i < ROUNDS; i++) {
        char pattern[8] = "", text[8] = "";

        for (uint64_t n = any() % 8, at = 0; at < n; at++)
            pattern[at] = "ab*?*ab?"[any() % 8];
        for (uint64_t n = any() % 8, at = 0; at < n; at++)
            text[at] = "ab"[any() % 2];
        if (pol_glob(pattern, text) != glob(pattern, text))
            ck_abort_msg("%s, %s", pattern, text);
        matches += pol_glob(pattern, text);
    }
    MUST(matches > ROUNDS / 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("properties");
    TCase *core = tcase_create("properties");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_set_timeout(core, 60);
    tcase_add_test(core, limits_are_monotone);
    tcase_add_test(core, limits_hold_together);
    tcase_add_test(core, verdicts_are_monotone);
    tcase_add_test(core, classes_are_ordered);
    tcase_add_test(core, every_byte_lies_somewhere);
    tcase_add_test(core, loans_are_no_placement);
    tcase_add_test(core, no_verdict_depends_on_when_memory_was_polled);
    tcase_add_test(core, plans);
    tcase_add_test(core, phases);
    tcase_add_test(core, globs);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
