/* The option rules of a policy file: what is taken, and what is said of the rest. */
#include "config/option.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cfg_result result;
static char said[64][2100];
static int lines;
static char path[] = "/tmp/hybridmem-rules-XXXXXX";

static void listen_to(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    ck_assert_int_lt(lines, 64);
    if (strncmp(line, path, strlen(path)) == 0)
        line += strlen(path);
    snprintf(said[lines++], sizeof(said[0]), "%s%s", severity == CFG_ERROR ? "E" : "W", line);
}

static void load_env(const char *text, const char *variable)
{
    char *env[] = {(char *)variable, NULL};
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    ck_assert_int_eq(fclose(file), 0);
    lines = 0;
    cfg_load(&result, path, env, listen_to, NULL);
}

static void load(const char *text)
{
    load_env(text, NULL);
}

static void make_file(void)
{
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_file(void)
{
    unlink(path);
}

/* The n-th pattern of a condition, "" after the last. */
static const char *pattern(unsigned rule, enum pol_rule_text what, int n)
{
    const struct pol_rules *rules = &result.config.rules;
    const char *at = rules->text + rules->rule[rule].text[what];

    ck_assert_uint_ne(rules->rule[rule].text[what], 0);
    while (n-- > 0)
        at += strlen(at) + 1;
    return at;
}

START_TEST(everything)
{
    const struct pol_rules *rules = &result.config.rules;
    char text[64];

    load("{ \"rules\": [\n"
         "  { \"note\": \"all of it\", \"place\": \"host\", \"match\": {\n"
         "    \"model_type\": [\"gguf_unet\", \"gguf_vae\"], \"architecture\": \"flux\",\n"
         "    \"strategy\": \"gguf_hybrid\", \"file\": \"*.gguf\", \"process\": [\"python*\"],\n"
         "    \"tensor\": [\"*norm*\", \"*\\u0062ias\"], \"allocator\": [\"async\", \"vmm\"],\n"
         "    \"device\": [\"cuda:1\", \"GPU-0123\"], \"min_size\": \"1MiB\", \"max_size\": 1e9 } "
         "},\n"
         "  { \"match\": {}, \"place\": \"skip\" },\n"
         "  { \"match\": { \"tensor\": \"x\", \"device\": \"0\" }, \"place\": \"device\" },\n"
         "  { \"match\": { \"allocator\": \"malloc\" }, \"place\": \"auto\" } ] }");
    ck_assert_msg(lines == 0, "%s", said[0]);
    ck_assert_uint_eq(rules->count, 4);
    ck_assert_str_eq(pattern(0, POL_RULE_MODEL_TYPE, 0), "gguf_unet");
    ck_assert_str_eq(pattern(0, POL_RULE_MODEL_TYPE, 1), "gguf_vae");
    ck_assert_str_eq(pattern(0, POL_RULE_MODEL_TYPE, 2), "");
    ck_assert_str_eq(pattern(0, POL_RULE_ARCHITECTURE, 0), "flux");
    ck_assert_str_eq(pattern(0, POL_RULE_STRATEGY, 0), "gguf_hybrid");
    ck_assert_str_eq(pattern(0, POL_RULE_FILE, 0), "*.gguf");
    ck_assert_str_eq(pattern(0, POL_RULE_PROCESS, 0), "python*");
    ck_assert_str_eq(pattern(0, POL_RULE_PROCESS, 1), "");
    ck_assert_str_eq(pattern(0, POL_RULE_TENSOR, 0), "*norm*");
    ck_assert_str_eq(pattern(0, POL_RULE_TENSOR, 1), "*bias");
    ck_assert_str_eq(pattern(0, POL_RULE_TENSOR, 2), "");
    ck_assert_uint_eq(rules->rule[0].allocators, 1 << POL_ALLOCATOR_ASYNC | 1 << POL_ALLOCATOR_VMM);
    ck_assert_uint_eq(rules->rule[0].gpus, 2);
    ck_assert(pol_gpu_is(&rules->rule[0].gpu[0], 1, NULL));
    ck_assert(pol_gpu_is(&rules->rule[0].gpu[1], 0, (const unsigned char *)"\x01\x23"));
    ck_assert_uint_eq(rules->rule[0].min_size, 1048576);
    ck_assert_uint_eq(rules->rule[0].max_size, 1000000000);
    ck_assert_int_eq(rules->rule[0].place, POL_PLACE_HOST);
    for (int what = 0; what < POL_RULE_TEXTS; what++)
        ck_assert_uint_eq(rules->rule[1].text[what], 0);
    ck_assert_uint_eq(rules->rule[1].max_size, UINT64_MAX);
    ck_assert_int_eq(rules->rule[1].place, POL_PLACE_SKIP);
    ck_assert_str_eq(pattern(2, POL_RULE_TENSOR, 0), "x");
    ck_assert_str_eq(pattern(2, POL_RULE_TENSOR, 1), "");
    ck_assert_int_eq(rules->rule[2].place, POL_PLACE_DEVICE);
    ck_assert_uint_eq(rules->rule[3].allocators, 1 << POL_ALLOCATOR_MALLOC);
    ck_assert_int_eq(rules->rule[3].place, POL_PLACE_AUTO);
    ck_assert_int_eq(result.origin[CFG_OPTION_rules], CFG_FROM_FILE);
    ck_assert_str_eq(cfg_format(&result.config, CFG_OPTION_rules, text, sizeof(text)), "4 rules");
}
END_TEST

START_TEST(none)
{
    char text[64];

    load("{ \"rules\": [ ] }");
    ck_assert_int_eq(lines, 0);
    ck_assert_uint_eq(result.config.rules.count, 0);
    ck_assert_str_eq(cfg_format(&result.config, CFG_OPTION_rules, text, sizeof(text)), "[]");
}
END_TEST

/* The environment can only take back what the file says. */
START_TEST(environment)
{
    static const char one[] = "{ \"rules\": [ { \"match\": {}, \"place\": \"host\" } ] }";

    load_env(one, "HYBRIDMEM_RULES=[{\"match\": {}, \"place\": \"skip\"}]");
    ck_assert_int_eq(lines, 1);
    ck_assert_str_eq(said[0],
                     "EHYBRIDMEM_RULES: found \"[{\"match\": {}, \"place\": \"skip\"}]\", allowed: "
                     "in a policy file an array of at most 32 rules, elsewhere only []; "
                     "kept 1 rule");
    ck_assert_uint_eq(result.config.rules.count, 1);
    load_env(one, "HYBRIDMEM_RULES=[]");
    ck_assert_int_eq(lines, 0);
    ck_assert_uint_eq(result.config.rules.count, 0);
    ck_assert_int_eq(result.origin[CFG_OPTION_rules], CFG_FROM_ENVIRONMENT);
}
END_TEST

#define OK          "{ \"match\": {}, \"place\": \"host\" }"
#define RULE(match) "{ \"rules\": [ " OK ",\n{ \"match\": {" match "}, \"place\": \"host\" } ] }"
#define AT_MATCH    ":2:13: key \"rules[1].match"
#define TAIL        "; no rule is taken"
#define PATTERN     ", allowed: a pattern such as \"*norm*\", or an array of them" TAIL

static const struct {
    const char *text, *line;
} bad[] = {
    {"{ \"rules\": 5 }",
     ":1:3: key \"rules\": found 5, allowed: in a policy file an array of at most "
     "32 rules, elsewhere only []; kept []"},
    {"{ \"rules\": [5] }",
     ":1:13: key \"rules[0]\": found 5, allowed: { \"match\": ..., \"place\": ... }" TAIL},
    {"{ \"rules\": [" OK ", {}] }",
     ":1:47: key \"rules[1]\": found {}, allowed: both match and place" TAIL},
    {"{ \"rules\": [{ \"match\": {} }] }",
     ":1:13: key \"rules[0]\": found { \"match\": {} }, allowed: both match and place" TAIL},
    {"{ \"rules\": [{ \"place\": \"host\" }] }",
     ":1:13: key \"rules[0]\": found { \"place\": \"host\" }, allowed: both match and place" TAIL},
    {"{ \"rules\": [{ \"match\": [], \"place\": \"host\" }] }",
     ":1:15: key \"rules[0].match\": found [], allowed: { \"condition\": value, ... }" TAIL},
    {"{ \"rules\": [{ \"match\": {}, \"place\": \"gpu\" }] }",
     ":1:28: key \"rules[0].place\": found \"gpu\", allowed: auto device host skip" TAIL},
    {"{ \"rules\": [{ \"match\": {}, \"place\": \"Host\" }] }",
     ":1:28: key \"rules[0].place\": found \"Host\", allowed: auto device host skip" TAIL},
    {"{ \"rules\": [{ \"match\": {}, \"place\": 0 }] }",
     ":1:28: key \"rules[0].place\": found 0, allowed: auto device host skip" TAIL},
    {"{ \"rules\": [{ \"match\": {}, \"place\": \"host\", \"when\": 1 }] }",
     ":1:45: key \"rules[0]\": found \"when\", allowed: match, place, note" TAIL},
    {RULE("\"size\": 1"),
     AT_MATCH "\": found \"size\", allowed: model_type architecture strategy file tensor "
              "process allocator device min_size max_size" TAIL},
    {RULE("\"model_type\": \"unet\""),
     AT_MATCH ".model_type\": found \"unet\", allowed: of gguf_unet gguf_clip gguf_vae, one or an "
              "array" TAIL},
    {RULE("\"model_type\": \"GGUF_UNET\""), AT_MATCH
     ".model_type\": found \"GGUF_UNET\", allowed: of gguf_unet gguf_clip gguf_vae, one or an "
     "array" TAIL},
    {RULE("\"strategy\": []"), AT_MATCH ".strategy\": found [], allowed: of gpu_only gguf_hybrid "
                                        "gguf_insufficient, one or an array" TAIL},
    {RULE("\"tensor\": \"\""), AT_MATCH ".tensor\": found \"\"" PATTERN},
    {RULE("\"tensor\": 5"), AT_MATCH ".tensor\": found 5" PATTERN},
    {RULE("\"tensor\": [\"a\", 5]"), AT_MATCH ".tensor\": found [\"a\", 5]" PATTERN},
    {RULE("\"file\": {}"), AT_MATCH ".file\": found {}" PATTERN},
    {RULE("\"allocator\": \"managed\""), AT_MATCH
     ".allocator\": found \"managed\", allowed: of malloc async vmm, one or an array" TAIL},
    {RULE("\"device\": \"all\""), AT_MATCH
     ".device\": found \"all\", allowed: cuda:0 or GPU-0123abcd, or an array of at most 4" TAIL},
    {RULE("\"device\": [\"0\", \"1\", \"2\", \"3\", \"4\"]"),
     AT_MATCH ".device\": found [\"0\", \"1\", \"2\", \"3\", \"4\"], allowed: cuda:0 or "
              "GPU-0123abcd, or an array "
              "of at most 4" TAIL},
    {RULE("\"min_size\": \"50%\""),
     AT_MATCH ".min_size\": found \"50%\", allowed: a size such as 512MiB or 6G" TAIL},
    {RULE("\"max_size\": -1"),
     AT_MATCH ".max_size\": found -1, allowed: a size such as 512MiB or 6G" TAIL},
    {RULE("\"max_size\": true"),
     AT_MATCH ".max_size\": found true, allowed: a size such as 512MiB or 6G" TAIL},
    {RULE("\"min_size\": \"2K\", \"max_size\": 2047"),
     ":2:31: key \"rules[1].match.max_size\": found 2047, allowed: at least min_size" TAIL},
    {RULE("\"max_size\": 0, \"min_size\": 1"),
     ":2:28: key \"rules[1].match.min_size\": found 1, allowed: at most max_size" TAIL},
};

START_TEST(refused)
{
    load(bad[_i].text);
    ck_assert_int_eq(lines, 1);
    ck_assert_str_eq(said[0] + 1, bad[_i].line);
    ck_assert_int_eq(said[0][0], 'E');
    ck_assert_uint_eq(result.config.rules.count, 0);
    ck_assert_int_eq(result.origin[CFG_OPTION_rules], CFG_FROM_DEFAULT);
}
END_TEST

/* All that is wrong is told, and what follows is still read. */
START_TEST(several)
{
    load("{ \"rules\": [ { \"match\": { \"tensor\": 1, \"file\": 2 }, \"place\": 3 } ], \"log\": "
         "\"info\" }");
    ck_assert_int_eq(lines, 3);
    ck_assert_uint_eq(result.config.rules.count, 0);
    ck_assert_int_eq(result.config.log, CFG_LOG_INFO);
}
END_TEST

static void load_rules(int count, const char *rule)
{
    static char text[1 << 17];
    size_t len = (size_t)sprintf(text, "{ \"rules\": [");

    for (int i = 0; i < count; i++)
        len += (size_t)sprintf(text + len, "%s%s", i ? ",\n" : "", rule);
    sprintf(text + len, "] }");
    load(text);
}

START_TEST(how_many)
{
    load_rules(POL_RULES_MAX, OK);
    ck_assert_int_eq(lines, 0);
    ck_assert_uint_eq(result.config.rules.count, POL_RULES_MAX);
    load_rules(POL_RULES_MAX + 9, OK);
    ck_assert_int_eq(lines, 1);
    ck_assert_str_eq(said[0],
                     "E:33:1: key \"rules[32]\": found " OK ", allowed: at most 32 rules" TAIL);
    load_rules(POL_RULES_MAX, "{ \"match\": { \"file\": 1 }, \"place\": 1 }");
    ck_assert_int_eq(lines, CFG_LINES_MAX + 1);
    ck_assert_ptr_nonnull(strstr(said[CFG_LINES_MAX], "too many errors; the rest is not read"));
}
END_TEST

/* The patterns of all rules share POL_RULES_TEXT_MAX bytes: each with a NUL, each list with one
 * more, and the first byte is nobody's. */
START_TEST(how_long)
{
    static char text[POL_RULES_TEXT_MAX + 100];

    for (int over = 0; over <= 1; over++) {
        int len = POL_RULES_TEXT_MAX - 3 + over;

        snprintf(text, sizeof(text),
                 "{ \"rules\": [{ \"place\": \"host\", \"match\": { \"tensor\": \"%0*d\" } }] }",
                 len, 0);
        load(text);
        ck_assert_int_eq(lines, over);
        ck_assert_uint_eq(result.config.rules.count, 1 - over);
        ck_assert(!over || strstr(said[0], ", allowed: at most 8192 bytes of patterns in all "
                                           "rules together" TAIL));
    }
    ck_assert_uint_le(result.config.rules.text_len, POL_RULES_TEXT_MAX);
    /* What is wrong with the next condition is said of that one. */
    snprintf(text, sizeof(text),
             "{ \"rules\": [{ \"place\": \"host\", \"match\": { \"tensor\": \"%0*d\", "
             "\"min_size\": \"x\" } }] }",
             POL_RULES_TEXT_MAX, 0);
    load(text);
    ck_assert_int_eq(lines, 2);
    ck_assert_ptr_nonnull(strstr(said[1], "found \"x\", allowed: a size such as"));
}
END_TEST

START_TEST(sizes)
{
    load("{ \"rules\": [{ \"place\": \"host\", \"match\": { \"max_size\": 7, \"min_size\": 7 } }] "
         "}");
    ck_assert_int_eq(lines, 0);
    ck_assert_uint_eq(result.config.rules.count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json rules");
    TCase *core = tcase_create("json rules");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_unchecked_fixture(core, make_file, remove_file);
    tcase_add_test(core, everything);
    tcase_add_test(core, none);
    tcase_add_test(core, environment);
    tcase_add_loop_test(core, refused, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(core, several);
    tcase_add_test(core, how_many);
    tcase_add_test(core, how_long);
    tcase_add_test(core, sizes);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
