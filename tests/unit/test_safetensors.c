/* safetensors headers: right ones of every kind, hostile ones, cut off anywhere, mutated. */
#include "policy/safetensors.h"

#include "tests/unit/model_bytes.h"

static struct bytes b; /* the file that is being written */
static struct safetensors_info info;
static struct shown shown;
static struct txt error;

static void put_file(const char *json, size_t data)
{
    b.len = 0;
    put_number(&b, strlen(json), 8);
    put(&b, json, strlen(json));
    put_zeros(&b, data);
}

static enum hdr_status read_first(size_t len)
{
    struct memory m = memory_of(&b, len);
    struct hdr_file file = file_of(&m);
    enum hdr_status status;

    memset(&shown, 0, sizeof(shown));
    shown.size = len;
    status = safetensors_read(&file, &info, show, &shown, &error);
    free(m.data);
    return status;
}

static void expect_right(const char *json, size_t data)
{
    put_file(json, data);
    ck_assert_msg(read_first(b.len) == HDR_OK, "%s: %s", json, error.text);
    ck_assert_uint_eq(info.data_at, b.len - data);
    ck_assert_uint_eq(info.tensor_bytes, data);
    ck_assert_uint_eq(shown.bytes, data);
    ck_assert_uint_eq(shown.tensors, info.tensors);
}

static void expect_wrong(const char *json, size_t data, const char *text)
{
    put_file(json, data);
    ck_assert_msg(read_first(b.len) == HDR_BAD, "taken: %s", json);
    ck_assert_msg(strstr(error.text, text) != NULL, "\"%s\" is not in \"%s\"", text, error.text);
    ck_assert_msg(strncmp(error.text, "byte ", 5) == 0, "%s", error.text);
    ck_assert_uint_eq(shown.tensors, 0);
}

#define T(dtype, shape, offsets)                                                                   \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* What the Python package writes, with white space and members in another order. */
#define MODEL                                                                                      \
    "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"a \\\"b\\\"\"},"                              \
    "\"encoder.weight\":" T("BF16", "[2,3]",                                                       \
                            "[0,12]") ",\r\n\t "                                                   \
                                      "\"bias\" : { \"data_offsets\" : [ 12 , 16 ] , \"shape\" : " \
                                      "[ ] , \"dtype\" : \"F32\" } }   "

START_TEST(model)
{
    char expected[200];

    expect_right(MODEL, 16);
    snprintf(expected, sizeof(expected), "encoder.weight BF16 2x3 12@%zu\nbias F32  4@%zu\n",
             b.len - 16, b.len - 4);
    ck_assert_str_eq(shown.all, expected);
}
END_TEST

START_TEST(other_right_ones)
{
    expect_right("{}", 0);
    expect_right("{\"__metadata__\":{}}", 0);
    expect_right("\n { } \t", 0);
    /* any order, as older writers had it; empty tensors anywhere */
    expect_right("{\"b\":" T("F32", "[1]", "[4,8]") ",\"a\":" T("I8", "[4]", "[0,4]") "}", 8);
    expect_right("{\"b\":" T("F32", "[0,18446744073709551615,7]", "[4,4]") ",\"a\":" T("I8", "[4]",
                                                                                       "[0,4]") "}",
                 4);
    /* members that are not known are passed over */
    expect_right("{\"a\":{\"x\":[1,-2.5e-3,{\"y\":[null,true,false,\"\\u0041\",0,{},[]]}],"
                 "\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"z\":-0.0E+1}}",
                 4);
}
END_TEST

START_TEST(names)
{
    expect_right("{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\xc3\xa9\xe2\x82"
                 "\xac\xf0\x9f\x98\x80\":" T("U8", "[1]", "[0,1]") "}",
                 1);
    ck_assert_str_eq(shown.name, "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9\xe2"
                                 "\x82\xac\xf0\x9f\x98\x80");
    expect_right("{\"a\\u0000b\":" T("U8", "[1]", "[0,1]") "}", 1);
    ck_assert_uint_eq(shown.last.name_len, 3);
    ck_assert_mem_eq(shown.name, "a\0b", 4);
}
END_TEST

static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {
    {"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E8M0", 8}, {"F4", 4},      {"F6_E2M3", 6},
    {"F6_E3M2", 6},     {"I16", 16},        {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},        {"F32", 32},    {"I64", 64},    {"U64", 64},
    {"F64", 64},        {"C64", 64},
};

START_TEST(every_dtype)
{
    unsigned bytes = dtypes[_i].bits * 12 / 8;
    char json[200];

    snprintf(json, sizeof(json),
             "{\"t\":{\"dtype\":\"%s\",\"shape\":[3,4],\"data_offsets\":[0,%u]}}", dtypes[_i].name,
             bytes);
    expect_right(json, bytes);
    ck_assert_str_eq(shown.last.type, dtypes[_i].name);
    put_file(json, bytes);
    b.len--;
    ck_assert_int_eq(read_first(b.len), HDR_BAD);
}
END_TEST

/* --- hostile -------------------------------------------------------------------------------------
 */

START_TEST(lengths)
{
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = {
        {UINT64_MAX, "byte 0: a header of 18446744073709551615 bytes (at most 100000000)"},
        {100000001, "(at most 100000000)"},
        {UINT64_MAX - 7, "(at most 100000000)"},
        {100000000, "does not fit the file"},
        {17, "a header of 17 bytes does not fit the file"},
        {0, "expected '{', found the header's end"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        b.len = 0;
        put_number(&b, cases[i].n, 8);
        put(&b, "{}              ", 16);
        ck_assert_int_eq(read_first(b.len), HDR_BAD);
        ck_assert_msg(strstr(error.text, cases[i].text), "%s", error.text);
    }
    ck_assert_int_eq(read_first(7), HDR_BAD);
    ck_assert_msg(strstr(error.text, "the header's length would take 8 bytes"), "%s", error.text);
}
END_TEST

static const struct {
    const char *json;
    size_t data;
    const char *text;
} wrong[] = {
    /* not JSON, or not this JSON */
    {"[]", 0, "byte 8: JSON: expected '{', found \"[\""},
    {"{", 0, "found the header's end"},
    {"{}x", 0, "something follows the closing '}'"},
    {"{}\\0", 0, "something follows"},
    {"{,}", 0, "expected a string, found \",\""},
    {"{\"a\"}", 0, "expected ':'"},
    {"{\"a\":1}", 0, "expected '{', found \"1\""},
    {"{\"a\":" T("U8", "[1]", "[0,1]") ",}", 1, "expected a string, found \"}\""},
    {"{\"a\":" T("U8", "[1]", "[0,1]") " \"b\":" T("U8", "[1]", "[1,2]") "}", 2,
     "expected ',' or '}'"},
    {"{\"a\":" T("U8", "[1 2]", "[0,2]") "}", 2, "expected ',' or ']'"},
    {"{\"a\":" T("U8", "[1,]", "[0,1]") "}", 1, "expected a whole number from 0, found \"]\""},
    {"{\"__metadata__\":{\"a\":1}}", 0, "expected a string, found \"1\""},
    {"{\"__metadata__\":[]}", 0, "expected '{'"},
    {"{\"__metadata__\":{\"a\" \"b\"}}", 0, "expected ':'"},
    {"{'a':1}", 0, "expected a string"},
    {"{\"a", 0, "expected '\"', found the header's end"},
    {"{\"a\nb\":1}", 0, "a control character"},
    {"{\"\\x\":1}", 0, "expected an escape, found \"x\""},
    {"{\"\\u12g4\":1}", 0, "four hexadecimal digits"},
    {"{\"\\udc00\":1}", 0, "half of a surrogate"},
    {"{\"\\ud800\":1}", 0, "half of a surrogate"},
    {"{\"\\ud800\\n\":1}", 0, "half of a surrogate"},
    {"{\"\\ud800\\u0041\":1}", 0, "half of a surrogate"},
    {"{\"\\ud800\\uz\":1}", 0, "four hexadecimal digits"},
    {"{\"\x80\":1}", 0, "not valid UTF-8"},
    {"{\"\xc0\x80\":1}", 0, "not valid UTF-8"},
    {"{\"\xe0\x80\x80\":1}", 0, "not valid UTF-8"},
    {"{\"\xed\xa0\x80\":1}", 0, "not valid UTF-8"},
    {"{\"\xf4\x90\x80\x80\":1}", 0, "not valid UTF-8"},
    {"{\"\xf0\x8f\x80\x80\":1}", 0, "not valid UTF-8"},
    {"{\"\xe2\x82\":1}", 0, "not valid UTF-8"},
    /* members */
    {"{\"a\":{}}", 0, "tensor \"a\": dtype is missing"},
    {"{\"a\":{\"dtype\":\"U8\"}}", 0, "tensor \"a\": shape is missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 0, "tensor \"a\": data_offsets is missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0, "a key is there twice"},
    {"{\"a\":{\"x\":tru}}", 0, "expected true"},
    {"{\"a\":{\"x\":nul", 0, "expected null"},
    {"{\"a\":{\"x\":falsy}}", 0, "expected false"},
    {"{\"a\":{\"x\":+1}}", 0, "expected a value"},
    {"{\"a\":{\"x\":1.}}", 0, "expected a digit"},
    {"{\"a\":{\"x\":1e}}", 0, "expected a digit"},
    {"{\"a\":{\"x\":-}}", 0, "expected a value"},
    {"{\"a\":{\"x\":[1,]}}", 0, "expected a value"},
    {"{\"a\":{\"x\":{\"y\"}}}", 0, "expected ':'"},
    {"{\"a\":{\"x\":{1:2}}}", 0, "expected a string"},
    {"{\"a\":{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, "nested more than 32 deep"},
    /* dtype */
    {"{\"a\":" T("F33", "[1]", "[0,4]") "}", 4, "tensor \"a\": dtype \"F33\" is unknown"},
    {"{\"a\":" T("F32\\u0000", "[1]", "[0,4]") "}", 4, "dtype \"F32\\x00\" is unknown"},
    {"{\"a\":{\"dtype\":32", 0, "expected a string, found \"3\""},
    /* shape */
    {"{\"a\":" T("U8", "[-1]", "[0,1]") "}", 1, "expected a whole number from 0, found \"-\""},
    {"{\"a\":" T("U8", "[1.0]", "[0,1]") "}", 1, "expected a whole number, found \".\""},
    {"{\"a\":" T("U8", "[1e0]", "[0,1]") "}", 1, "expected a whole number, found \"e\""},
    {"{\"a\":" T("U8", "[01]", "[0,1]") "}", 1, "a number that begins with 0"},
    {"{\"a\":" T("U8", "[18446744073709551616]", "[0,1]") "}", 1, "a number beyond 2^64"},
    {"{\"a\":" T("U8", "[99999999999999999999999999]", "[0,1]") "}", 1, "a number beyond 2^64"},
    {"{\"a\":" T("U8", "[4294967296,4294967296]", "[0,1]") "}", 1, "more than 2^64 bits"},
    {"{\"a\":" T("F64", "[2305843009213693952]", "[0,0]") "}", 0, "more than 2^64 bits"},
    {"{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "more than 16 dim"},
    {"{\"a\":" T("F4", "[3]", "[0,2]") "}", 2, "does not end at a whole byte"},
    {"{\"a\":{\"shape\":3", 0, "expected '['"},
    /* data_offsets */
    {"{\"a\":" T("U8", "[1]", "[0]") "}", 1, "expected ','"},
    {"{\"a\":" T("U8", "[1]", "[0,1,2]") "}", 1, "expected ']'"},
    {"{\"a\":" T("U8", "[1]", "[1,0]") "}", 1, "data_offsets 1 to 0 run backwards"},
    {"{\"a\":" T("U8", "[2]", "[0,2]") "}", 1, "data_offsets 0 to 2 reach beyond the end"},
    {"{\"a\":" T("U8", "[1]", "[18446744073709551614,18446744073709551615]") "}", 1,
     "beyond the end"},
    {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 4, "have 4 bytes, the shape in F32 takes 8"},
    {"{\"a\":" T("U8", "[1]", "[0,1]") "}", 2, "the tensors take 1 bytes, but the file has 2"},
    {"{\"a\":" T("U8", "[1]", "[1,2]") "}", 2, "byte 9: tensors overlap or leave a hole"},
    {"{\"a\":" T("U8", "[4]", "[0,4]") ",\"b\":" T("U8", "[4]", "[0,4]") "}", 8,
     "tensors overlap or leave a hole"},
    {"{\"a\":" T("U8", "[4]", "[0,4]") ",\"b\":" T("U8", "[4]", "[2,6]") "}", 8, "tensors overlap"},
    /* an overlap and a hole of the same size, which a sum of bytes would not show */
    {"{\"c\":" T("U8", "[2]", "[6,8]") ",\"a\":" T("U8", "[4]", "[0,4]") ",\"b\":" T("U8", "[2]",
                                                                                     "[3,5]") "}",
     8, "tensors overlap"},
};

START_TEST(hostile)
{
    expect_wrong(wrong[_i].json, wrong[_i].data, wrong[_i].text);
}
END_TEST

START_TEST(a_long_name)
{
    static char json[4096];

    for (int len = HDR_NAME_MAX - 1; len <= HDR_NAME_MAX; len++) {
        snprintf(json, sizeof(json), "{\"%0*d\":" T("U8", "[1]", "[0,1]") "}", len, 0);
        if (len < HDR_NAME_MAX)
            expect_right(json, 1);
        else
            expect_wrong(json, 1, "a string of more than 1023 bytes");
    }
}
END_TEST

START_TEST(cut_off_anywhere)
{
    size_t len;

    put_file(MODEL, 16);
    for (len = 0; len < b.len; len++) {
        ck_assert_msg(read_first(len) == HDR_BAD, "%zu of %zu bytes are taken", len, b.len);
        ck_assert_msg(strncmp(error.text, "byte ", 5) == 0, "%s", error.text);
    }
    /* and a header that says it is shorter */
    for (uint64_t n = 0; n + 3 < strlen(MODEL); n++) {
        memcpy(b.data, &n, 8);
        ck_assert_msg(read_first(b.len) == HDR_BAD, "a header of %llu bytes is taken",
                      (unsigned long long)n);
    }
}
END_TEST

/* Any of the reads, in a header of several buffers: what failed first is told. */
START_TEST(a_read_that_fails)
{
    static char json[3 * HDR_BUFFER_LEN];
    enum hdr_status status = HDR_UNREADABLE;
    long n;

    snprintf(json, sizeof(json), "{\"%*s\": %*s", 9, "a", (int)sizeof(json) - 80,
             T("U8", "[1]", "[0,1]") "}");
    put_file(json, 1);
    for (n = 1; status != HDR_OK; n++) {
        struct memory m = memory_of(&b, b.len);
        struct hdr_file file = file_of(&m);

        m.fail_at = n;
        status = safetensors_read(&file, &info, NULL, NULL, &error);
        ck_assert_int_eq(status, m.reads < n ? HDR_OK : HDR_UNREADABLE);
        if (status != HDR_OK)
            ck_assert_msg(strstr(error.text, "cannot be read") && !strstr(error.text, "expected"),
                          "%s", error.text);
        free(m.data);
    }
    ck_assert_int_ge(n, 4);
}
END_TEST

/* Thousands of tensors in a random order, one of them then moved by a byte. */
START_TEST(any_order)
{
    enum { N = 800 };
    static char json[1 << 17];
    unsigned order[N];
    uint32_t state = 88172645u + (uint32_t)_i;

    for (unsigned i = 0; i < N; i++)
        order[i] = i;
    for (unsigned i = N - 1; i > 0; i--) {
        unsigned j = next_random(&state) % (i + 1), kept = order[i];

        order[i] = order[j];
        order[j] = kept;
    }
    for (int moved = 0; moved < 2; moved++) {
        size_t n = (size_t)snprintf(json, sizeof(json), "{");

        for (unsigned i = 0; i < N; i++) {
            unsigned at = order[i] * 3 + (moved && order[i] == N / 2);

            n +=
                (size_t)snprintf(json + n, sizeof(json) - n, "%s\"t%u\":" T("U8", "[3]", "[%u,%u]"),
                                 i ? "," : "", order[i], at, at + 3);
        }
        snprintf(json + n, sizeof(json) - n, "}");
        if (moved)
            expect_wrong(json, N * 3, "tensors overlap or leave a hole");
        else
            expect_right(json, N * 3);
    }
}
END_TEST

START_TEST(mutated)
{
    static struct bytes whole;
    uint32_t state = 123456789u + (uint32_t)_i;
    int right = 0;

    put_file(MODEL, 16);
    whole = b;
    for (int i = 0; i < 4000; i++) {
        b = whole;
        mutate(b.data + 8 * (_i % 2), b.len - 16 - 8 * (size_t)(_i % 2), &state);
        switch (read_first(b.len)) {
        case HDR_OK:
            right++;
            ck_assert_uint_eq(shown.tensors, info.tensors);
            ck_assert_uint_eq(info.tensor_bytes, b.len - info.data_at);
            break;
        case HDR_BAD:
            ck_assert_uint_gt(error.len, 0);
            break;
        case HDR_UNREADABLE:
            ck_abort_msg("nothing was unreadable");
        }
    }
    ck_assert_int_gt(right, 0);
    ck_assert_int_lt(right, 4000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *core = tcase_create("safetensors");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_set_timeout(core, 60);
    tcase_add_test(core, model);
    tcase_add_test(core, other_right_ones);
    tcase_add_test(core, names);
    tcase_add_loop_test(core, every_dtype, 0, sizeof(dtypes) / sizeof(dtypes[0]));
    tcase_add_test(core, lengths);
    tcase_add_loop_test(core, hostile, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(core, a_long_name);
    tcase_add_test(core, cut_off_anywhere);
    tcase_add_test(core, a_read_that_fails);
    tcase_add_loop_test(core, any_order, 0, 3);
    tcase_add_loop_test(core, mutated, 0, 6);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
