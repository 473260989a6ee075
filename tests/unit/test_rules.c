/* Rules: patterns, each condition alone and together, the first match. */
#include "policy/rules.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct pol_rules rules;

static void start(void)
{
    memset(&rules, 0, sizeof(rules));
    rules.text_len = 1;
}

static struct pol_rule *add(enum pol_place place)
{
    struct pol_rule *rule = &rules.rule[rules.count++];

    rule->max_size = UINT64_MAX;
    rule->place = place;
    return rule;
}

/* Patterns separated by blanks. */
static void ask(struct pol_rule *rule, enum pol_rule_text what, const char *patterns)
{
    char *at = rules.text + rules.text_len;

    rule->text[what] = (uint16_t)rules.text_len;
    strcpy(at, patterns);
    rules.text_len += (uint32_t)strlen(patterns) + 2;
    for (; *at; at++)
        if (*at == ' ')
            *at = '\0';
}

static const struct {
    const char *pattern, *text;
    bool match;
} globs[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "abc", true},
    {"**", "", true},
    {"?", "", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"abc", "abc", true},
    {"abc", "ab", false},
    {"ab", "abc", false},
    {"a*", "abc", true},
    {"*c", "abc", true},
    {"*b", "abc", false},
    {"*b*", "abc", true},
    {"a*c", "ac", true},
    {"a?c", "ac", false},
    {"*ab", "aab", true},
    {"*ab*ab", "abab", true},
    {"*ab*ab", "ab", false},
    {"*.attn*", "blk.0.attn_q.weight", true},
    {"*norm*", "blk.0.attn_q.weight", false},
    {"*_norm.weight", "blk.0.attn_norm.weight", true},
    {"blk.?.*", "blk.10.attn_q.weight", false},
    {"A", "a", false},
    {"[ab]", "a", false},
    {"[ab]", "[ab]", true},
    {"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

START_TEST(glob)
{
    ck_assert_msg(pol_glob(globs[_i].pattern, globs[_i].text) == globs[_i].match, "%s, %s",
                  globs[_i].pattern, globs[_i].text);
}
END_TEST

static enum pol_place place_of(const struct pol_subject *subject)
{
    return pol_rules_place(&rules, subject, NULL);
}

START_TEST(no_rules)
{
    struct pol_subject subject = {.bytes = 1};
    unsigned which = 9;

    start();
    ck_assert_int_eq(pol_rules_place(&rules, &subject, &which), POL_PLACE_AUTO);
    ck_assert_uint_eq(which, 0);
}
END_TEST

START_TEST(a_rule_without_conditions_takes_all)
{
    struct pol_subject subject = {.bytes = 1};

    start();
    add(POL_PLACE_HOST);
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
}
END_TEST

START_TEST(the_first_match_decides)
{
    struct pol_subject subject = {.bytes = 100};
    unsigned which;

    start();
    add(POL_PLACE_HOST)->min_size = 101;
    add(POL_PLACE_AUTO)->min_size = 100;
    add(POL_PLACE_SKIP);
    ck_assert_int_eq(pol_rules_place(&rules, &subject, &which), POL_PLACE_AUTO);
    ck_assert_uint_eq(which, 2);
    subject.bytes = 101;
    ck_assert_int_eq(pol_rules_place(&rules, &subject, &which), POL_PLACE_HOST);
    ck_assert_uint_eq(which, 1);
    subject.bytes = 99;
    ck_assert_int_eq(pol_rules_place(&rules, &subject, &which), POL_PLACE_SKIP);
    ck_assert_uint_eq(which, 3);
}
END_TEST

/* Each text: what it asks for, any of several patterns, and not what is not known. */
START_TEST(texts)
{
    struct pol_subject subject = {.bytes = 1};

    start();
    ask(add(POL_PLACE_HOST), (enum pol_rule_text)_i, "first sec?nd*");
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.text[_i] = "first";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    subject.text[_i] = "second one";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    subject.text[_i] = "third";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.text[_i] = "";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.text[_i] = NULL;
    subject.text[(_i + 1) % POL_RULE_TEXTS] = "first";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
}
END_TEST

START_TEST(even_any_text_must_be_known)
{
    struct pol_subject subject = {.bytes = 1};

    start();
    ask(add(POL_PLACE_HOST), POL_RULE_TENSOR, "*");
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.text[POL_RULE_TENSOR] = "";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
}
END_TEST

START_TEST(a_file_by_name_or_by_path)
{
    struct pol_subject subject = {.bytes = 1};

    start();
    ask(add(POL_PLACE_HOST), POL_RULE_FILE, "flux*.gguf");
    ask(add(POL_PLACE_SKIP), POL_RULE_FILE, "*/clip/*");
    subject.text[POL_RULE_FILE] = "/models/unet/flux-Q4.gguf";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    subject.text[POL_RULE_FILE] = "flux-Q4.gguf";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    subject.text[POL_RULE_FILE] = "/models/clip/t5.gguf";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_SKIP);
    subject.text[POL_RULE_FILE] = "/flux/model.gguf";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
}
END_TEST

START_TEST(sizes_allocators_devices)
{
    static const unsigned char uuid[16] = {0x12, 0x34, 0x56, 0x78};
    struct pol_subject subject = {.bytes = 100, .allocator = POL_ALLOCATOR_ASYNC, .device = 1};
    struct pol_rule *rule;

    start();
    rule = add(POL_PLACE_HOST);
    rule->min_size = rule->max_size = 100;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    rule->max_size = 99;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    rule->max_size = UINT64_MAX;
    rule->allocators = 1 << POL_ALLOCATOR_MALLOC | 1 << POL_ALLOCATOR_ASYNC;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    subject.allocator = POL_ALLOCATOR_VMM;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    rule->allocators = 0;
    rule->gpus = 2;
    rule->gpu[0].ordinal = 3;
    rule->gpu[1] =
        (struct pol_gpu){.is_uuid = true, .ordinal = 1, .uuid = {0x12, 0x34}, .uuid_len = 2};
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.uuid = uuid;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
    rule->gpu[1].uuid[1] = 0x35;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.device = 3;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_HOST);
}
END_TEST

START_TEST(all_conditions_must_hold)
{
    struct pol_subject subject = {.bytes = 100};
    struct pol_rule *rule;

    start();
    rule = add(POL_PLACE_DEVICE);
    rule->min_size = 50;
    ask(rule, POL_RULE_MODEL_TYPE, "gguf_unet");
    ask(rule, POL_RULE_TENSOR, "*attn* blk.*");
    subject.text[POL_RULE_MODEL_TYPE] = "gguf_unet";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.text[POL_RULE_TENSOR] = "blk.1.ffn_up.weight";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_DEVICE);
    subject.bytes = 49;
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
    subject.bytes = 50;
    subject.text[POL_RULE_MODEL_TYPE] = "gguf_clip";
    ck_assert_int_eq(place_of(&subject), POL_PLACE_AUTO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rules");
    TCase *core = tcase_create("rules");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_loop_test(core, glob, 0, sizeof(globs) / sizeof(globs[0]));
    tcase_add_test(core, no_rules);
    tcase_add_test(core, a_rule_without_conditions_takes_all);
    tcase_add_test(core, the_first_match_decides);
    tcase_add_loop_test(core, texts, 0, POL_RULE_TEXTS);
    tcase_add_test(core, even_any_text_must_be_known);
    tcase_add_test(core, a_file_by_name_or_by_path);
    tcase_add_test(core, sizes_allocators_devices);
    tcase_add_test(core, all_conditions_must_hold);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
