/* Options from defaults and the environment: every kind of value, to and fro, and what is said of
 * bad ones.
 */
#include "config/option.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cfg_result result;
static char said[64][2100];
static int lines;

static void listen(void *arg, enum cfg_severity severity, const char *line)
{
    ck_assert_ptr_eq(arg, &lines);
    ck_assert_int_lt(lines, 64);
    snprintf(said[lines++], sizeof(said[0]), "%s %s", severity == CFG_ERROR ? "E" : "W", line);
}

/* Loads with up to four variables. */
static void load(const char *a, const char *b, const char *c, const char *d)
{
    const char *env[] = {a, b, c, d, NULL};
    int start = 0;

    while (start < 4 && !env[start])
        start++;
    lines = 0;
    cfg_load(&result, NULL, (char **)env + start, listen, &lines);
}

static const char *shown(enum cfg_option option)
{
    static char text[CFG_TEXT_MAX];

    return cfg_format(&result.config, option, text, sizeof(text));
}

/* --- defaults ------------------------------------------------------------------------------------
 */

START_TEST(defaults)
{
    load(NULL, NULL, NULL, NULL);
    ck_assert_int_eq(lines, 0);
    ck_assert_uint_eq(result.errors + result.warnings, 0);
    ck_assert(result.config.enable);
    ck_assert(result.config.target_gpu.all);
    ck_assert_uint_eq(result.config.conservative_factor, 700000000);
    ck_assert_uint_eq(result.config.overhead_percent, UINT64_C(15000000000));
    ck_assert_uint_eq(result.config.system_ram_pad_gb, CFG_UNSET);
    ck_assert_uint_eq(result.config.vram_limit.value, CFG_UNSET);
    ck_assert_uint_eq(result.config.host_limit.value, CFG_UNSET);
    ck_assert_uint_eq(result.config.min_redirect.value, 1048576);
    ck_assert_int_eq(result.config.placement, CFG_PLACEMENT_ADAPTIVE);
    ck_assert_int_eq(result.config.report, CFG_REPORT_HYBRID);
    ck_assert_int_eq(result.config.backing, CFG_BACKING_AUTO);
    ck_assert_int_eq(result.config.hugepages, CFG_HUGEPAGES_AUTO);
    ck_assert_uint_eq(result.config.stats_ttl_ms, 1000);
    ck_assert_int_eq(result.config.log, CFG_LOG_WARN);
    ck_assert_str_eq(result.config.log_file, "");
    ck_assert(!result.config.summary);
    ck_assert_str_eq(result.config.stats_file, "");
    for (int i = 0; i < CFG_OPTIONS; i++)
        ck_assert_int_eq(result.origin[i], CFG_FROM_DEFAULT);
}
END_TEST

/* Every row's default, bounds and advice can be read, and mean what they say. */
START_TEST(every_row_is_sound)
{
    const struct cfg_desc *desc = &cfg_desc[_i];
    enum cfg_option option = (enum cfg_option)_i;
    const char *const bounds[] = {desc->low, desc->high, desc->advice_low, desc->advice_high};
    struct config config;

    memset(&config, 0xFF, sizeof(config));
    ck_assert(cfg_parse(&config, option, desc->initial, strlen(desc->initial)));
    ck_assert(cfg_advised(&config, option));
    result.config = config;
    ck_assert_str_eq(shown(option), desc->initial);
    for (int i = 0; i < 4; i++)
        if (*bounds[i])
            ck_assert(cfg_parse(&config, option, bounds[i], strlen(bounds[i])));
    ck_assert_int_eq(*desc->low != 0,
                     desc->kind == CFG_KIND_DECIMAL || desc->kind == CFG_KIND_UINT);
    ck_assert_int_gt(strlen(desc->doc), 10);
}
END_TEST

/* --- values --------------------------------------------------------------------------------------
 */

#define F CFG_OPTION_conservative_factor
#define O CFG_OPTION_overhead_percent
#define P CFG_OPTION_system_ram_pad_gb
#define V CFG_OPTION_vram_limit
#define R CFG_OPTION_min_redirect
#define T CFG_OPTION_stats_ttl_ms
#define G CFG_OPTION_target_gpu
#define B CFG_OPTION_enable
#define L CFG_OPTION_log
#define X CFG_OPTION_log_file

/* What is accepted, and how it reads when it is told again; NULL: refused. */
static const struct {
    enum cfg_option option;
    const char *text, *shown;
} values[] = {
    /* decimals are exact */
    {F, "0.7", "0.7"},
    {F, "0.1", "0.1"},
    {F, ".7", NULL},
    {F, "0.", NULL},
    {F, "1", "1"},
    {F, "1.0", "1"},
    {F, "1e0", "1"},
    {F, "7e-1", "0.7"},
    {F, "0.07E+1", "0.7"},
    {F, "70000000000000000000e-20", "0.7"},
    {F, "0.000000001", "0.000000001"},
    {F, "0.0000000014", "0.000000001"},
    {F, "0.9999999995", "1"},
    {F, "0.99999999949999", "0.999999999"},
    {F, "0.30000000000000004", "0.3"},
    {F, "0.33333333333333333333333333333333333333333333333333", "0.333333333"},
    {F, "0.0000000004", NULL},
    {F, "0", NULL},
    {F, "1.000000001", NULL},
    {F, "-0.7", NULL},
    {F, "+0.7", NULL},
    {F, "0,7", NULL},
    {F, "0.7x", NULL},
    {F, "0.7 0.7", NULL},
    {F, "70%", NULL},
    {F, "nan", NULL},
    {F, "inf", NULL},
    {F, "0x1", NULL},
    {F, "1e", NULL},
    {F, "1e+", NULL},
    {F, "e1", NULL},
    {F, "auto", NULL},
    {F, "0.7.1", NULL},
    {O, "15", "15"},
    {O, "1e1", "10"},
    {O, "0", "0"},
    {O, "0e99999999999", "0"},
    {O, "12.5", "12.5"},
    {O, "90", "90"},
    {O, "90.000000001", NULL},
    {O, "90.0000000001", "90"},
    {O, "1e400", NULL},
    {O, "1e-400", "0"},
    {O, "1e-99999999999", "0"},
    {O, "99999999999999999999999999999999999999999999999999", NULL},
    {O, "99999999999999999999999999999999999999999999999999e-49", "10"},
    {O, "18446744073709551616", NULL},
    {P, "auto", "auto"},
    {P, "AUTO", "auto"},
    {P, "0", "0"},
    {P, "2.5", "2.5"},
    {P, "1048576", "1048576"},
    {P, "1048577", NULL},
    {P, "none", NULL},
    /* whole numbers */
    {T, "0", "0"},
    {T, "3600000", "3600000"},
    {T, "3600001", NULL},
    {T, "1e3", "1000"},
    {T, "5.0", "5"},
    {T, "5.5", NULL},
    {T, "18446744073709551617", NULL},
    {T, "-1", NULL},
    /* sizes */
    {V, "0", "0"},
    {V, "1", "1"},
    {V, "1023", "1023"},
    {V, "1024", "1KiB"},
    {V, "6G", "6GiB"},
    {V, "6g", "6GiB"},
    {V, "6GiB", "6GiB"},
    {V, "6gib", "6GiB"},
    {V, "6GB", "5859375KiB"},
    {V, "1K", "1KiB"},
    {V, "1KB", "1000"},
    {V, "1MB", "1000000"},
    {V, "3T", "3TiB"},
    {V, "1TB", "976562500KiB"},
    {V, "4096T", "4096TiB"},
    {V, "1.5G", "1536MiB"},
    {V, "0.1K", "102"},
    {V, "512 MiB", "512MiB"},
    {V, "512MiB ", "512MiB"},
    {V, "4096B", "4KiB"},
    {V, "none", "none"},
    {V, "None", "none"},
    {V, "50%", "50%"},
    {V, "33.3 %", "33.3%"},
    {V, "0%", "0%"},
    {V, "100%", "100%"},
    {V, "100.1%", NULL},
    {V, "%", NULL},
    {V, "1.5", NULL},
    {V, "1.5B", NULL},
    {V, "auto", NULL},
    {V, "G", NULL},
    {V, "6 G iB", NULL},
    {V, "6P", NULL},
    {V, "6Gi", NULL},
    {V, "6GG", NULL},
    {V, "-6G", NULL},
    {V, "18446744073709551614", "18446744073709551614"},
    {V, "18446744073709551615", NULL},
    {V, "18446744073709551616", NULL},
    {V, "16777215T", "16777215TiB"},
    {V, "16777216T", NULL},
    {V, "1e30", NULL},
    {R, "0", "0"},
    {R, "2M", "2MiB"},
    {R, "none", NULL},
    {R, "50%", NULL},
    /* devices */
    {G, "all", "all"},
    {G, "ALL", "all"},
    {G, "0", "cuda:0"},
    {G, "cuda:0", "cuda:0"},
    {G, "CUDA:12", "cuda:12"},
    {G, "0,1", "cuda:0,cuda:1"},
    {G, "0 , cuda:3 2", "cuda:0,cuda:3,cuda:2"},
    {G, "9999", "cuda:9999"},
    {G, "10000", NULL},
    {G, "cuda:", NULL},
    {G, "cuda", NULL},
    {G, "cuda:-1", NULL},
    {G, "0,", NULL},
    {G, ",0", NULL},
    {G, "0,,1", NULL},
    {G, "all,0", NULL},
    {G, "gpu:0", NULL},
    {G, "GPU-01", "GPU-01"},
    {G, "gpu-8932F937", "GPU-8932f937"},
    {G, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"},
    {G, "1,GPU-8932f937-d7", "cuda:1,GPU-8932f937-d7"},
    {G, "GPU-", NULL},
    {G, "GPU-8", NULL},
    {G, "GPU-8932f937d72c", NULL},
    {G, "GPU-8932f937-", NULL},
    {G, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f600", NULL},
    {G, "GPU-89_2", NULL},
    {G, "GPU-\x10\x11", NULL},
    /* words */
    {B, "false", "false"},
    {B, "TRUE", "true"},
    {B, "0", "false"},
    {B, "1", "true"},
    {B, "no", "false"},
    {B, "Yes", "true"},
    {B, "OFF", "false"},
    {B, "on", "true"},
    {B, "2", NULL},
    {B, "tru", NULL},
    {B, "true false", NULL},
    {L, "silent", "silent"},
    {L, "DEBUG", "debug"},
    {L, "error", "error"},
    {L, "loud", NULL},
    {L, "silent error", NULL},
    {X, "/tmp/a b=c", "/tmp/a b=c"},
};

START_TEST(value)
{
    char variable[256];
    enum cfg_option option = values[_i].option;

    snprintf(variable, sizeof(variable), "%s=%s", cfg_desc[option].env, values[_i].text);
    load(variable, NULL, NULL, NULL);
    if (values[_i].shown) {
        ck_assert_uint_eq(result.errors, 0);
        ck_assert_str_eq(shown(option), values[_i].shown);
        ck_assert_int_eq(result.origin[option], CFG_FROM_ENVIRONMENT);
    } else {
        ck_assert_uint_eq(result.errors, 1);
        ck_assert_int_eq(lines, 1);
        ck_assert_str_eq(shown(option), cfg_desc[option].initial);
        ck_assert_int_eq(result.origin[option], CFG_FROM_DEFAULT);
    }
}
END_TEST

/* What is told can be read again, and then is the same. */
START_TEST(told_values_read_the_same)
{
    static struct config again;
    enum cfg_option option = values[_i].option;

    if (!values[_i].shown)
        return;
    memset(&again, 0, sizeof(again));
    ck_assert(cfg_parse(&again, option, values[_i].shown, strlen(values[_i].shown)));
    result.config = again;
    ck_assert_str_eq(shown(option), values[_i].shown);
}
END_TEST

START_TEST(uuid_bytes)
{
    static const unsigned char bytes[16] = {0x89, 0x32, 0xf9, 0x37, 0xd7, 0x2c, 0x41, 0x06,
                                            0xc1, 0x2f, 0x20, 0xbd, 0x9f, 0xae, 0xd9, 0xf6};

    load("HYBRIDMEM_TARGET_GPU=7,GPU-8932F937-d72c-4106-c12f-20bd9faed9f6", NULL, NULL, NULL);
    ck_assert(!result.config.target_gpu.all);
    ck_assert_uint_eq(result.config.target_gpu.count, 2);
    ck_assert(!result.config.target_gpu.gpu[0].is_uuid);
    ck_assert_int_eq(result.config.target_gpu.gpu[0].ordinal, 7);
    ck_assert(result.config.target_gpu.gpu[1].is_uuid);
    ck_assert_uint_eq(result.config.target_gpu.gpu[1].uuid_len, 16);
    ck_assert_mem_eq(result.config.target_gpu.gpu[1].uuid, bytes, 16);
}
END_TEST

START_TEST(as_many_devices_as_fit)
{
    char list[400] = "HYBRIDMEM_TARGET_GPU=0";

    for (int i = 1; i < CFG_GPUS_MAX; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), ",%d", i);
    load(list, NULL, NULL, NULL);
    ck_assert_uint_eq(result.errors, 0);
    ck_assert_uint_eq(result.config.target_gpu.count, CFG_GPUS_MAX);
    ck_assert_int_eq(result.config.target_gpu.gpu[63].ordinal, 63);
    snprintf(list + strlen(list), sizeof(list) - strlen(list), ",64");
    load(list, NULL, NULL, NULL);
    ck_assert_uint_eq(result.errors, 1);
    ck_assert(result.config.target_gpu.all);
}
END_TEST

START_TEST(size_bytes)
{
    static const struct {
        struct cfg_size size;
        uint64_t total, expected;
    } cases[] = {
        {{CFG_UNSET, false}, 100, CFG_UNSET},
        {{5, false}, 100, 5},
        {{UINT64_C(50000000000), true}, 101, 50},
        {{UINT64_C(33300000000), true}, UINT64_C(68719476736), UINT64_C(22883585753)},
        {{UINT64_C(100000000000), true}, UINT64_MAX, UINT64_MAX},
        {{0, true}, UINT64_MAX, 0},
        {{UINT64_C(50000000000), true}, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_uint_eq(cfg_size_bytes(&cases[i].size, cases[i].total), cases[i].expected);
}
END_TEST

START_TEST(format_stays_in_its_buffer)
{
    char buf[8] = "xxxxxxx";

    load("HYBRIDMEM_TARGET_GPU=0,1,2,3", NULL, NULL, NULL);
    ck_assert_str_eq(cfg_format(&result.config, G, buf, 5), "cuda");
    ck_assert_int_eq(buf[5], 'x');
    ck_assert_str_eq(cfg_format(&result.config, B, buf, 1), "");
    buf[0] = 'x';
    ck_assert_ptr_eq(cfg_format(&result.config, B, buf, 0), buf);
    ck_assert_int_eq(buf[0], 'x');
}
END_TEST

/* --- the environment -----------------------------------------------------------------------------
 */

START_TEST(white_space_is_cut_off)
{
    load("HYBRIDMEM_LOG= \tdebug\r\n", "HYBRIDMEM_LOG_FILE=  a b \r", NULL, NULL);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(L), "debug");
    ck_assert_str_eq(result.config.log_file, "a b");
}
END_TEST

START_TEST(empty_is_unset)
{
    load("HYBRIDMEM_LOG=", "HYBRIDMEM_ENABLE= \r\n", "HYBRIDMEM_POLICY=", "HYBRIDMEM_LOG_FILE=");
    ck_assert_int_eq(lines, 0);
    ck_assert_int_eq(result.origin[L], CFG_FROM_DEFAULT);
    ck_assert_int_eq(result.origin[B], CFG_FROM_DEFAULT);
    ck_assert_int_eq(result.origin[X], CFG_FROM_ENVIRONMENT);
}
END_TEST

START_TEST(the_first_of_several_counts)
{
    load("HYBRIDMEM_LOG=debug", "HYBRIDMEM_LOG=silent", NULL, NULL);
    ck_assert_str_eq(shown(L), "debug");
}
END_TEST

START_TEST(no_environment)
{
    lines = 0;
    cfg_load(&result, NULL, NULL, listen, &lines);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(F), "0.7");
}
END_TEST

START_TEST(an_alias)
{
    load("HYBRIDMEM_GGUF_OVERHEAD_PERCENT=20", NULL, NULL, NULL);
    ck_assert_int_eq(lines, 0);
    ck_assert_str_eq(shown(O), "20");
    load("HYBRIDMEM_GGUF_OVERHEAD_PERCENT=20", "HYBRIDMEM_OVERHEAD_PERCENT=25", NULL, NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert_str_eq(said[0], "W HYBRIDMEM_GGUF_OVERHEAD_PERCENT: ignored, because "
                              "HYBRIDMEM_OVERHEAD_PERCENT is set too and means the same");
    ck_assert_str_eq(shown(O), "25");
    load("HYBRIDMEM_GGUF_OVERHEAD_PERCENT=x", "HYBRIDMEM_OVERHEAD_PERCENT=", NULL, NULL);
    ck_assert_uint_eq(result.errors, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "HYBRIDMEM_GGUF_OVERHEAD_PERCENT: found \"x\""));
}
END_TEST

/* --- what is said --------------------------------------------------------------------------------
 */

static const struct {
    const char *variable, *line;
} messages[] = {
    {"HYBRIDMEM_LOG=loud",
     "E HYBRIDMEM_LOG: found \"loud\", allowed: silent error warn info debug; kept warn"},
    {"HYBRIDMEM_ENABLE=maybe",
     "E HYBRIDMEM_ENABLE: found \"maybe\", allowed: true or false; kept true"},
    {"HYBRIDMEM_OVERHEAD_PERCENT=-1",
     "E HYBRIDMEM_OVERHEAD_PERCENT: found \"-1\", allowed: a number from 0 to 90; kept 15"},
    {"HYBRIDMEM_SYSTEM_RAM_PAD_GB=x", "E HYBRIDMEM_SYSTEM_RAM_PAD_GB: found \"x\", allowed: a "
                                      "number from 0 to 1048576, or auto; kept auto"},
    {"HYBRIDMEM_STATS_TTL_MS=1s", "E HYBRIDMEM_STATS_TTL_MS: found \"1s\", allowed: a whole "
                                  "number from 0 to 3600000; kept 1000"},
    {"HYBRIDMEM_VRAM_LIMIT=big", "E HYBRIDMEM_VRAM_LIMIT: found \"big\", allowed: a size such as "
                                 "512MiB or 6G, a percentage such as 50%, or none; kept none"},
    {"HYBRIDMEM_MIN_REDIRECT=big", "E HYBRIDMEM_MIN_REDIRECT: found \"big\", allowed: a size such "
                                   "as 512MiB or 6G; kept 1MiB"},
    {"HYBRIDMEM_TARGET_GPU=x",
     "E HYBRIDMEM_TARGET_GPU: found \"x\", allowed: all, cuda:0, a list such as cuda:0,cuda:1, "
     "or UUIDs such as GPU-0123abcd; kept all"},
    {"HYBRIDMEM_CONSERVATIVE_FACTOR=0.95",
     "W HYBRIDMEM_CONSERVATIVE_FACTOR: 0.95 is taken, but 0.5 to 0.9 is advised"},
    {"HYBRIDMEM_OVERHEAD_PERCENT=9.9",
     "W HYBRIDMEM_OVERHEAD_PERCENT: 9.9 is taken, but 10 to 30 is advised"},
    {"HYBRIDMEM_LOGG=x", "W HYBRIDMEM_LOGG: unknown, ignored; did you mean HYBRIDMEM_LOG?"},
    {"HYBRIDMEM_Log=x", "W HYBRIDMEM_Log: unknown, ignored; did you mean HYBRIDMEM_LOG?"},
    {"HYBRIDMEM_CONSERVATIVE=x",
     "W HYBRIDMEM_CONSERVATIVE: unknown, ignored; did you mean HYBRIDMEM_CONSERVATIVE_FACTOR?"},
    {"HYBRIDMEM_POLICI=x", "W HYBRIDMEM_POLICI: unknown, ignored; did you mean HYBRIDMEM_POLICY?"},
    {"HYBRIDMEM_policy=x", "W HYBRIDMEM_policy: unknown, ignored; did you mean HYBRIDMEM_POLICY?"},
    {"HYBRIDMEM_=x", "W HYBRIDMEM_: unknown, ignored; \"hybridmem --help\" lists the options"},
    {"HYBRIDMEM_XYZZY=x",
     "W HYBRIDMEM_XYZZY: unknown, ignored; \"hybridmem --help\" lists the options"},
    {"HYBRIDMEM_XYZZY",
     "W HYBRIDMEM_XYZZY: unknown, ignored; \"hybridmem --help\" lists the options"},
    {"HYBRIDMEM_LIBRARY=/x", NULL},
    {"HYBRIDMEMX=1", NULL},
    {"PATH=/bin", NULL},
    /* what could trick a terminal or a log is shown, not passed on */
    {"HYBRIDMEM_LOG=a\x1b[31m\nb\x7f",
     "E HYBRIDMEM_LOG: found \"a\\x1b[31m\\x0ab\\x7f\", allowed: silent error warn info debug; "
     "kept warn"},
    {"HYBRIDMEM_LOG=12345678901234567890123456789012345678901234567890123456789\xc3\xa4",
     "E HYBRIDMEM_LOG: found \"12345678901234567890123456789012345678901234567890123456789...\", "
     "allowed: silent error warn info debug; kept warn"},
};

START_TEST(message)
{
    load(messages[_i].variable, NULL, NULL, NULL);
    if (!messages[_i].line) {
        ck_assert_int_eq(lines, 0);
        return;
    }
    ck_assert_int_eq(lines, 1);
    ck_assert_str_eq(said[0], messages[_i].line);
    ck_assert_uint_eq(result.errors, said[0][0] == 'E');
    ck_assert_uint_eq(result.warnings, said[0][0] == 'W');
}
END_TEST

/* A value of a megabyte, a name of a megabyte, a text one byte too long. */
START_TEST(very_long)
{
    const size_t size = 1 << 20;
    char *variable = malloc(size);

    ck_assert_ptr_nonnull(variable);
    memset(variable, '9', size);
    variable[size - 1] = '\0';
    for (int i = 0; i < CFG_OPTIONS; i++) {
        size_t len = strlen(cfg_desc[i].env);

        memset(variable, '9', len + 1);
        memcpy(variable, cfg_desc[i].env, len);
        variable[len] = '=';
        load(variable, NULL, NULL, NULL);
        ck_assert_uint_eq(result.errors, 1);
        ck_assert_int_eq(lines, 1);
        ck_assert_int_lt(strlen(said[0]), 400);
        ck_assert_str_eq(shown((enum cfg_option)i), cfg_desc[i].initial);
    }
    memcpy(variable, "HYBRIDMEM_POLICY=", 17);
    load(variable, NULL, NULL, NULL);
    ck_assert_str_eq(said[0], "E HYBRIDMEM_POLICY: the file name is longer than 4095 bytes");
    memset(variable + 10, 'A', 100);
    load(variable, NULL, NULL, NULL);
    ck_assert_uint_eq(result.warnings, 1);
    ck_assert_int_lt(strlen(said[0]), 200);
    memcpy(variable, "HYBRIDMEM_LOG_FILE=", 19);
    memset(variable + 19, 'x', CFG_TEXT_MAX);
    variable[19 + CFG_TEXT_MAX] = '\0';
    load(variable, NULL, NULL, NULL);
    ck_assert_uint_eq(result.errors, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "allowed: text of at most 4095 bytes; kept \"\""));
    variable[19 + CFG_TEXT_MAX - 1] = '\0';
    load(variable, NULL, NULL, NULL);
    ck_assert_uint_eq(result.errors, 0);
    ck_assert_uint_eq(strlen(result.config.log_file), CFG_TEXT_MAX - 1);
    free(variable);
}
END_TEST

START_TEST(a_line_that_is_full_is_cut_off)
{
    static struct cfg_line line;

    for (int i = 0; i < 1000; i++)
        cfg_add(&line, "%d", 1000 + i);
    ck_assert_uint_eq(line.len, sizeof(line.text) - 1);
    ck_assert_uint_eq(strlen(line.text), sizeof(line.text) - 1);
}
END_TEST

/* In a preloaded library, the caller's errno is the host's; and nobody need listen. */
START_TEST(errno_is_kept)
{
    char *env[] = {(char[]){"HYBRIDMEM_POLICY=/does/not/exist"}, (char[]){"HYBRIDMEM_LOG=x"}, NULL};

    errno = 4711;
    cfg_load(&result, NULL, env, NULL, NULL);
    ck_assert_int_eq(errno, 4711);
    ck_assert_uint_eq(result.errors, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *core = tcase_create("config");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_set_timeout(core, 30);
    tcase_add_test(core, defaults);
    tcase_add_loop_test(core, every_row_is_sound, 0, CFG_OPTIONS);
    tcase_add_loop_test(core, value, 0, sizeof(values) / sizeof(values[0]));
    tcase_add_loop_test(core, told_values_read_the_same, 0, sizeof(values) / sizeof(values[0]));
    tcase_add_test(core, uuid_bytes);
    tcase_add_test(core, as_many_devices_as_fit);
    tcase_add_test(core, size_bytes);
    tcase_add_test(core, format_stays_in_its_buffer);
    tcase_add_test(core, white_space_is_cut_off);
    tcase_add_test(core, empty_is_unset);
    tcase_add_test(core, the_first_of_several_counts);
    tcase_add_test(core, no_environment);
    tcase_add_test(core, an_alias);
    tcase_add_loop_test(core, message, 0, sizeof(messages) / sizeof(messages[0]));
    tcase_add_test(core, very_long);
    tcase_add_test(core, a_line_that_is_full_is_cut_off);
    tcase_add_test(core, errno_is_kept);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
