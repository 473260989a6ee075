/* Options from a policy file: positions, exact numbers, order, and hostile files. */
#include "config/option.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cfg_result result;
static char said[64][2100];
static int lines;
static char folder[] = "/tmp/hybridmem-test-XXXXXX";
static char path[64];

static void listen_to(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    ck_assert_int_lt(lines, 64);
    /* without the folder, which has another name each time */
    if (strncmp(line, folder, strlen(folder)) == 0)
        line += strlen(folder) + 1;
    snprintf(said[lines++], sizeof(said[0]), "%s %s", severity == CFG_ERROR ? "E" : "W", line);
}

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/p.json", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static void load(const char *variable)
{
    char *env[] = {(char *)variable, NULL};

    lines = 0;
    cfg_load(&result, path, env, listen_to, NULL);
}

static void load_text(const char *text)
{
    write_file(text, strlen(text));
    load(NULL);
}

static const char *shown(enum cfg_option option)
{
    static char text[CFG_TEXT_MAX];

    return cfg_format(&result.config, option, text, sizeof(text));
}

static void nothing_changed(void)
{
    for (int i = 0; i < CFG_OPTIONS; i++) {
        ck_assert_int_eq(result.origin[i], CFG_FROM_DEFAULT);
        ck_assert_str_eq(shown((enum cfg_option)i), cfg_desc[i].initial);
    }
}

/* --- good files ----------------------------------------------------------------------------------
 */

START_TEST(every_kind)
{
    load_text("{ \"$schema\": \"any\", \"enable\": false, \"target_gpu\": \"cuda:1\",\n"
              "\"conservative_factor\": 0.65, \"overhead_percent\": 20, \"system_ram_pad_gb\": 4,\n"
              "\"vram_limit\": \"6G\", \"host_limit\": \"50%\", \"min_redirect\": 2097152,\n"
              "\"placement\": \"device_first\", \"stats_ttl_ms\": 0, \"log\": \"info\",\n"
              "\"log_file\": \"/tmp/\\u00e4\\n\", \"summary\": true }\n");
    ck_assert_int_eq(lines, 0);
    ck_assert(!result.config.enable);
    ck_assert_str_eq(shown(CFG_OPTION_target_gpu), "cuda:1");
    ck_assert_uint_eq(result.config.conservative_factor, 650000000);
    ck_assert_str_eq(shown(CFG_OPTION_overhead_percent), "20");
    ck_assert_str_eq(shown(CFG_OPTION_system_ram_pad_gb), "4");
    ck_assert_str_eq(shown(CFG_OPTION_vram_limit), "6GiB");
    ck_assert_str_eq(shown(CFG_OPTION_host_limit), "50%");
    ck_assert_str_eq(shown(CFG_OPTION_min_redirect), "2MiB");
    ck_assert_int_eq(result.config.placement, CFG_PLACEMENT_DEVICE_FIRST);
    ck_assert_uint_eq(result.config.stats_ttl_ms, 0);
    ck_assert_int_eq(result.config.log, CFG_LOG_INFO);
    ck_assert_str_eq(result.config.log_file, "/tmp/\xc3\xa4\n");
    ck_assert(result.config.summary);
    ck_assert_int_eq(result.origin[CFG_OPTION_log], CFG_FROM_FILE);
    ck_assert_int_eq(result.origin[CFG_OPTION_report], CFG_FROM_DEFAULT);
}
END_TEST

static const struct {
    const char *text;
    enum cfg_option option;
    const char *shown;
} numbers[] = {
    {"0.7", CFG_OPTION_conservative_factor, "0.7"},
    {"0.57", CFG_OPTION_conservative_factor, "0.57"},
    {"0.123456789", CFG_OPTION_conservative_factor, "0.123456789"},
    {"7e-1", CFG_OPTION_conservative_factor, "0.7"},
    {"1", CFG_OPTION_conservative_factor, "1"},
    {"15", CFG_OPTION_overhead_percent, "15"},
    {"1e1", CFG_OPTION_overhead_percent, "10"},
    {"1E+1", CFG_OPTION_overhead_percent, "10"},
    {"0.1", CFG_OPTION_system_ram_pad_gb, "0.1"},
    {"\"auto\"", CFG_OPTION_system_ram_pad_gb, "auto"},
    {"1e3", CFG_OPTION_stats_ttl_ms, "1000"},
    {"9007199254740993", CFG_OPTION_vram_limit, "9007199254740993"},
    {"9223372036854775807", CFG_OPTION_vram_limit, "9223372036854775807"},
    {"0", CFG_OPTION_host_limit, "0"},
    {"\"9e3\"", CFG_OPTION_host_limit, "9000"},
    {"[\"cuda:0\", \"2\", \"GPU-01\"]", CFG_OPTION_target_gpu, "cuda:0,cuda:2,GPU-01"},
    {"[ \"all\" ]", CFG_OPTION_target_gpu, "all"},
};

START_TEST(number)
{
    char text[200];

    snprintf(text, sizeof(text), "{\"%s\":%s}", cfg_desc[numbers[_i].option].key, numbers[_i].text);
    load_text(text);
    ck_assert_uint_eq(result.errors, 0);
    ck_assert_str_eq(shown(numbers[_i].option), numbers[_i].shown);
    ck_assert_int_eq(result.origin[numbers[_i].option], CFG_FROM_FILE);
}
END_TEST

START_TEST(files_that_are_odd_but_right)
{
    static const char *const texts[] = {
        "{\"log\":\"debug\"}",
        "\xEF\xBB\xBF{\"log\":\"debug\"}",
        "\r\n{\r\n\t\"log\"\r\n:\t\"debug\"\r\n}\r\n",
        "{\"lo\\u0067\":\"de\\u0062ug\"}",
        "{\"$schema\":{\"log\":[\"{\\\"log\\\\\",[],{}]},\"log\":\"debug\"}",
        "{\"$schema\":\"}\",\"log\":\"debug\"}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        load_text(texts[i]);
        ck_assert_int_eq(lines, 0);
        ck_assert_str_eq(shown(CFG_OPTION_log), "debug");
    }
    load_text("{}");
    ck_assert_int_eq(lines, 0);
    nothing_changed();
}
END_TEST

START_TEST(environment_over_file_over_default)
{
    char variable[100];

    load_text("{\"log\":\"debug\",\"summary\":true}");
    load("HYBRIDMEM_LOG=silent");
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(CFG_OPTION_log), "silent");
    ck_assert_int_eq(result.origin[CFG_OPTION_log], CFG_FROM_ENVIRONMENT);
    ck_assert_int_eq(result.origin[CFG_OPTION_summary], CFG_FROM_FILE);
    /* a bad value leaves the one before it */
    load("HYBRIDMEM_LOG=loud");
    ck_assert_str_eq(said[0], "E HYBRIDMEM_LOG: found \"loud\", allowed: silent error warn info "
                              "debug; kept debug");
    ck_assert_int_eq(result.origin[CFG_OPTION_log], CFG_FROM_FILE);
    /* the alias in the environment is over the option's own name in the file */
    load_text("{\"overhead_percent\":20}");
    load("HYBRIDMEM_GGUF_OVERHEAD_PERCENT=25");
    ck_assert_str_eq(shown(CFG_OPTION_overhead_percent), "25");
    /* the file that the environment names, unless the caller names one */
    load_text("{\"log\":\"debug\"}");
    snprintf(variable, sizeof(variable), "HYBRIDMEM_POLICY= %s\r\n", path);
    lines = 0;
    cfg_load(&result, NULL, (char *[]){variable, NULL}, listen_to, NULL);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(CFG_OPTION_log), "debug");
    load("HYBRIDMEM_POLICY=/does/not/exist");
    ck_assert_int_eq(lines, 0);
}
END_TEST

/* --- what is said --------------------------------------------------------------------------------
 */

#define LIST "allowed: silent error warn info debug; kept warn"

static const struct {
    const char *text, *line;
} messages[] = {
    {"{\n  \"log\": \"loud\"\n}", "E p.json:2:3: key \"log\": found \"loud\", " LIST},
    {"{\"log\": 3}", "E p.json:1:2: key \"log\": found 3, " LIST},
    {"{\"log\": null}", "E p.json:1:2: key \"log\": found null, " LIST},
    {"{\"log\": [1,\n2] }", "E p.json:1:2: key \"log\": found [1,\\x0a2], " LIST},
    {"{\"log\": {\"a\":\"}\"}  }", "E p.json:1:2: key \"log\": found {\"a\":\"}\"}, " LIST},
    {"{\"log\": \"de bug\"}", "E p.json:1:2: key \"log\": found \"de bug\", " LIST},
    {"{\"$schema\": \"\xc3\xa4\xc3\xb6\", \"log\": 1e0}",
     "E p.json:1:19: key \"log\": found 1e0, " LIST},
    {"{\"enable\": \"true\"}",
     "E p.json:1:2: key \"enable\": found \"true\", allowed: true or false; kept true"},
    {"{\"enable\": 1}", "E p.json:1:2: key \"enable\": found 1, allowed: true or false; kept true"},
    {"{\"overhead_percent\": \"15\"}", "E p.json:1:2: key \"overhead_percent\": found \"15\", "
                                       "allowed: a number from 0 to 90; kept 15"},
    {"{\"overhead_percent\": -1}", "E p.json:1:2: key \"overhead_percent\": found -1, allowed: a "
                                   "number from 0 to 90; kept 15"},
    {"{\"overhead_percent\": true}", "E p.json:1:2: key \"overhead_percent\": found true, "
                                     "allowed: a number from 0 to 90; kept 15"},
    {"{\"stats_ttl_ms\": \"1000\"}", "E p.json:1:2: key \"stats_ttl_ms\": found \"1000\", "
                                     "allowed: a whole number from 0 to 3600000; kept 1000"},
    {"{\"stats_ttl_ms\": 1.5}", "E p.json:1:2: key \"stats_ttl_ms\": found 1.5, allowed: a whole "
                                "number from 0 to 3600000; kept 1000"},
    {"{\"min_redirect\": -1}", "E p.json:1:2: key \"min_redirect\": found -1, allowed: a size "
                               "such as 512MiB or 6G; kept 1MiB"},
    {"{\"log_file\": 5}", "E p.json:1:2: key \"log_file\": found 5, allowed: text of at most 4095 "
                          "bytes; kept \"\""},
    {"{\"target_gpu\": []}",
     "E p.json:1:2: key \"target_gpu\": found [], allowed: all, cuda:0, a list such as "
     "cuda:0,cuda:1, or UUIDs such as GPU-0123abcd; kept all"},
    {"{\"target_gpu\": [\"0\", 1]}",
     "E p.json:1:2: key \"target_gpu\": found [\"0\", 1], allowed: all, cuda:0, a list such as "
     "cuda:0,cuda:1, or UUIDs such as GPU-0123abcd; kept all"},
    {"{\"conservative_factor\": 0.95}",
     "W p.json:1:2: key \"conservative_factor\": 0.95 is taken, but 0.5 to 0.9 is advised"},
    {"{\"overhead_percent\": 20, \"gguf_overhead_percent\": 25}",
     "W p.json:1:26: key \"gguf_overhead_percent\": ignored, because \"overhead_percent\" is set "
     "too and means the same"},
    /* unknown keys */
    {"{\"vram_limt\": 1}",
     "E p.json:1:2: key \"vram_limt\": unknown, ignored; did you mean \"vram_limit\"?"},
    {"{\"LOG\": 1}", "E p.json:1:2: key \"LOG\": unknown, ignored; did you mean \"log\"?"},
    {"{\"gguf_overhead\": 1}", "E p.json:1:2: key \"gguf_overhead\": unknown, ignored; did you "
                               "mean \"gguf_overhead_percent\"?"},
    {"{\"\": 1}", "E p.json:1:2: key \"\": unknown, ignored; \"hybridmem --help\" lists the keys"},
    {"{\"x\\ny\": 1}",
     "E p.json:1:2: key \"x\\x0ay\": unknown, ignored; \"hybridmem --help\" lists the keys"},
    {"{\"policy\": 1}",
     "E p.json:1:2: key \"policy\": unknown, ignored; \"hybridmem --help\" lists the keys"},
    /* not an object */
    {"[1]", "E p.json: found no object, allowed: { \"key\": value, ... }; the file is ignored"},
    {"5", "E p.json: found no object, allowed: { \"key\": value, ... }; the file is ignored"},
};

START_TEST(message)
{
    load_text(messages[_i].text);
    ck_assert_int_eq(lines, 1);
    ck_assert_str_eq(said[0], messages[_i].line);
    ck_assert_uint_eq(result.errors, said[0][0] == 'E');
    ck_assert_uint_eq(result.warnings, said[0][0] == 'W');
    if (result.errors)
        nothing_changed();
}
END_TEST

/* The words are jansson's: only where it points, and that nothing was taken. */
static const struct {
    const char *text;
    size_t len; /* 0: up to the NUL */
    const char *place;
} broken[] = {
    {"{\"log\":\"debug\",}", 0, "E p.json:1:16: "},
    {"{\"log\":\"debug\"", 0, "E p.json:1:"},
    {"{\"log\":\"debug\"}\n}", 0, "E p.json:2:1: "},
    {"{\"log\":\n\"debug", 0, "E p.json:2:"},
    {"{\"log\":\n\n tru}", 0, "E p.json:3:4: "},
    {"{'log':1}", 0, "E p.json:1:"},
    {"{\"log\":\"debug\" // comment\n}", 0, "E p.json:1:"},
    {"{\"log\":\"debug\",\n\"log\":\"info\"}", 0, "E p.json:2:5: "},
    {"{\"log\":\"debug\",\n\"lo\\u0067\":\"info\"}", 0, "E p.json:2:"},
    {"{\"overhead_percent\":1e400}", 0, "E p.json:1:"},
    {"{\"overhead_percent\":99999999999999999999}", 0, "E p.json:1:"},
    {"{\"overhead_percent\":015}", 0, "E p.json:1:"},
    {"{\"overhead_percent\":NaN}", 0, "E p.json:1:"},
    {"{\"log\":\"\xff\"}", 0, "E p.json:1:"},
    {"{\"log\":\"\xc3\"}", 0, "E p.json:1:"},
    {"{\"log\":\"\xed\xa0\x80\"}", 0, "E p.json:1:"},
    {"{\"log\":\"\\ud800\"}", 0, "E p.json:1:"},
    {"{\"log\":\"a\\u0000b\"}", 0, "E p.json:1:"},
    {"{\"l\\u0000og\":1}", 0, "E p.json:1:"},
    {"{\"log\":\"de\0bug\"}", 17, "E p.json:1:"},
    {"{\"log\":\"debug\"}\0", 16, "E p.json:1:"},
    {"\0", 1, "E p.json:1:"},
    {" \n ", 0, "E p.json:2:"},
    {"}", 0, "E p.json:1:"},
    {"\"", 0, "E p.json:1:"},
    {"\"\\", 0, "E p.json:1:"},
    {"\xFE\xFF{", 0, "E p.json:1:"},
};

START_TEST(not_json)
{
    write_file(broken[_i].text, broken[_i].len ? broken[_i].len : strlen(broken[_i].text));
    load(NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert_msg(strncmp(said[0], broken[_i].place, strlen(broken[_i].place)) == 0, "%s", said[0]);
    ck_assert_ptr_nonnull(strstr(said[0], "; the file is ignored"));
    for (const char *c = said[0]; *c; c++)
        ck_assert(*c >= ' ' || *c < 0);
    nothing_changed();
}
END_TEST

START_TEST(an_empty_file)
{
    load_text("");
    ck_assert_int_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "; the file is ignored"));
    nothing_changed();
}
END_TEST

/* Cut off anywhere, a file says one thing and changes nothing. */
START_TEST(truncated)
{
    static const char text[] = "{\n \"log\": \"d\\u0065bug\", \"target_gpu\": [\"0\", \"1\"],\n"
                               " \"overhead_percent\": 1.5e1, \"summary\": true }";

    for (size_t len = 1; len + 1 < sizeof(text); len++) {
        write_file(text, len);
        load(NULL);
        ck_assert_int_eq(lines, 1);
        ck_assert_uint_eq(result.errors, 1);
        nothing_changed();
    }
    load_text(text);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(CFG_OPTION_log), "debug");
}
END_TEST

/* --- too much ------------------------------------------------------------------------------------
 */

static void repeat(const char *start, const char *unit, size_t n, const char *end)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(start, file);
    while (n--)
        fputs(unit, file);
    fputs(end, file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(nested)
{
    repeat("", "[", 100000, "");
    load(NULL);
    ck_assert_str_eq(said[0], "E p.json:1:17: is nested too deeply; the file is ignored");
    ck_assert_int_eq(lines, 1);
    repeat("\n", "{\"a\":", 100000, "");
    load(NULL);
    ck_assert_str_eq(said[0], "E p.json:2:81: is nested too deeply; the file is ignored");
    repeat("{\"$schema\":", "[", 15, "]]]]]]]]]]]]]]],\"log\":\"debug\"}");
    load(NULL);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(CFG_OPTION_log), "debug");
    repeat("{\"$schema\":", "[", 16, "]]]]]]]]]]]]]]]],\"log\":\"debug\"}");
    load(NULL);
    ck_assert_int_eq(lines, 1);
    /* many, but not deep */
    repeat("{\"$schema\":[", "[[]],", 10000, "[]],\"log\":\"debug\"}");
    load(NULL);
    ck_assert_int_eq(lines, 0);
}
END_TEST

START_TEST(large)
{
    repeat("{\"log\":\"debug\"", " ", CFG_FILE_MAX - 15, "}");
    load(NULL);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(CFG_OPTION_log), "debug");
    repeat("{\"log\":\"debug\"", " ", CFG_FILE_MAX - 14, "}");
    load(NULL);
    ck_assert_str_eq(said[0], "E p.json: is larger than 1 MiB; the file is ignored");
    nothing_changed();
    repeat("{\"log\":\"debug\"", " ", 2 * CFG_FILE_MAX, "}");
    load(NULL);
    ck_assert_str_eq(said[0], "E p.json: is larger than 1 MiB; the file is ignored");
    repeat("{\"log\":\"", "x", 1000000, "\"}");
    load(NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert_int_lt(strlen(said[0]), 250);
    repeat("{\"", "k", 1000000, "\":1}");
    load(NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert_int_lt(strlen(said[0]), 250);
    repeat("{\"target_gpu\":[\"0\"", ",\"0\"", 5000, "]}");
    load(NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert(result.config.target_gpu.all);
    repeat("{\"target_gpu\":[\"", "0", 5000, "\"]}");
    load(NULL);
    ck_assert_int_eq(lines, 1);
}
END_TEST

START_TEST(many_errors)
{
    char *text = malloc(1 << 20);
    size_t len = 1;

    ck_assert_ptr_nonnull(text);
    text[0] = '{';
    for (int i = 0; i < 50000; i++)
        len += (size_t)snprintf(text + len, (1 << 20) - len, "\"key%d\":1,\n", i);
    len += (size_t)snprintf(text + len, (1 << 20) - len, "\"log\":\"debug\"}");
    write_file(text, len);
    load(NULL);
    ck_assert_int_eq(lines, CFG_LINES_MAX + 1);
    ck_assert_str_eq(
        said[0],
        "E p.json:1:2: key \"key0\": unknown, ignored; \"hybridmem --help\" lists the keys");
    ck_assert_str_eq(said[CFG_LINES_MAX], "E p.json:21:1: too many errors; the rest is not read");
    ck_assert_uint_eq(result.errors, CFG_LINES_MAX + 1);
    nothing_changed();
    free(text);
}
END_TEST

/* --- not a file ----------------------------------------------------------------------------------
 */

START_TEST(not_a_file)
{
    struct {
        const char *path, *line;
    } cases[] = {
        {"/does/not/exist",
         "E /does/not/exist: cannot be opened: No such file or directory; the file is ignored"},
        {"", "E : cannot be opened: No such file or directory; the file is ignored"},
        {"/", "E /: is a directory, not a file; the file is ignored"},
        {"/dev/null", "E /dev/null: is not a regular file; the file is ignored"},
        {"/dev/zero", "E /dev/zero: is not a regular file; the file is ignored"},
        {path, "E p.json: is not a regular file; the file is ignored"},
    };

    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody will ever write into it */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lines = 0;
        cfg_load(&result, cases[i].path, NULL, listen_to, NULL);
        ck_assert_int_eq(lines, 1);
        ck_assert_str_eq(said[0], cases[i].line);
        nothing_changed();
    }
}
END_TEST

START_TEST(not_readable)
{
    if (geteuid() == 0) /* root may read everything: the fault test stands in */
        return;
    load_text("{}");
    ck_assert_int_eq(chmod(path, 0), 0);
    load(NULL);
    ck_assert_str_eq(said[0], "E p.json: cannot be opened: Permission denied; the file is ignored");
}
END_TEST

START_TEST(a_very_long_name)
{
    static char name[1 << 16];

    memset(name, 'n', sizeof(name) - 1);
    lines = 0;
    cfg_load(&result, name, NULL, listen_to, NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "...: cannot be opened: File name too long"));
}
END_TEST

/* A host thread's stack may be small; what we put on it is bounded. */
static void *load_on_small_stack(void *unused)
{
    (void)unused;
    load(NULL);
    return NULL;
}

START_TEST(small_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;

    repeat("{\"$schema\":", "[", 15, "]]]]]]]]]]]]]]],\"log\":\"loud\"}");
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, load_on_small_stack, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(pthread_attr_destroy(&attributes), 0);
    ck_assert_int_eq(lines, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *core = tcase_create("json");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_set_timeout(core, 30);
    tcase_add_checked_fixture(core, make_folder, remove_folder);
    tcase_add_test(core, every_kind);
    tcase_add_loop_test(core, number, 0, sizeof(numbers) / sizeof(numbers[0]));
    tcase_add_test(core, files_that_are_odd_but_right);
    tcase_add_test(core, environment_over_file_over_default);
    tcase_add_loop_test(core, message, 0, sizeof(messages) / sizeof(messages[0]));
    tcase_add_loop_test(core, not_json, 0, sizeof(broken) / sizeof(broken[0]));
    tcase_add_test(core, an_empty_file);
    tcase_add_test(core, truncated);
    tcase_add_test(core, nested);
    tcase_add_test(core, large);
    tcase_add_test(core, many_errors);
    tcase_add_test(core, not_a_file);
    tcase_add_test(core, not_readable);
    tcase_add_test(core, a_very_long_name);
    tcase_add_test(core, small_stack);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
