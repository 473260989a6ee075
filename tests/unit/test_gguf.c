/* GGUF headers: right ones of every kind, hostile ones, cut off anywhere, mutated. */
#include "policy/gguf.h"

#include "tests/unit/model_bytes.h"

#define MAX UINT64_MAX

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

static struct bytes b; /* the file that is being written */

/* --- writing -------------------------------------------------------------------------------------
 */

static void begin(uint32_t version, uint64_t tensors, uint64_t pairs)
{
    b.len = 0;
    put(&b, "GGUF", 4);
    put_number(&b, version, 4);
    put_number(&b, tensors, 8);
    put_number(&b, pairs, 8);
}

static void put_pair(const char *key, uint32_t type)
{
    put_text(&b, key);
    put_number(&b, type, 4);
}

static void put_tensor(const char *name, unsigned dims, const uint64_t *shape, uint32_t type,
                       uint64_t offset)
{
    put_text(&b, name);
    put_number(&b, dims, 4);
    for (unsigned i = 0; i < dims; i++)
        put_number(&b, shape[i], 8);
    put_number(&b, type, 4);
    put_number(&b, offset, 8);
}

static void put_data(size_t align, size_t len)
{
    put_zeros(&b, (align - b.len % align) % align);
    put_zeros(&b, len);
}

/* Two tensors of 2 x 144 bytes (Q4_K) and 24 bytes (F32), some metadata. */
static void put_model(uint32_t version)
{
    static const uint64_t big[] = {256, 2}, small[] = {3, 1, 2};

    begin(version, 2, 4);
    put_pair("general.architecture", STRING);
    put_text(&b, "flux");
    put_pair("general.type", STRING);
    put_text(&b, "model");
    put_pair("general.alignment", U32);
    put_number(&b, 64, 4);
    put_pair("tokens", ARRAY);
    put_number(&b, STRING, 4);
    put_number(&b, 2, 8);
    put_text(&b, "a");
    put_text(&b, "");
    put_tensor("double_blocks.0.weight", 2, big, 12, 0);
    put_tensor("small", 3, small, 0, 320);
    put_data(64, 344);
}

/* --- reading -------------------------------------------------------------------------------------
 */

static struct gguf_info info;
static struct shown shown;
static struct txt error;

static enum hdr_status read_first(size_t len)
{
    struct memory m = memory_of(&b, len);
    struct hdr_file file = file_of(&m);
    enum hdr_status status;

    memset(&shown, 0, sizeof(shown));
    shown.size = len;
    status = gguf_read(&file, &info, show, &shown, &error);
    free(m.data);
    return status;
}

static void expect_right(void)
{
    enum hdr_status status = read_first(b.len);

    ck_assert_msg(status == HDR_OK, "%s", error.text);
    ck_assert_uint_eq(shown.tensors, info.tensors);
    ck_assert_uint_eq(shown.bytes, info.tensor_bytes);
}

static void expect_wrong(const char *text)
{
    ck_assert_int_eq(read_first(b.len), HDR_BAD);
    ck_assert_msg(strstr(error.text, text) != NULL, "\"%s\" is not in \"%s\"", text, error.text);
    ck_assert_msg(strncmp(error.text, "byte ", 5) == 0, "%s", error.text);
    ck_assert_uint_eq(shown.tensors, 0); /* nothing of a broken file is shown */
}

START_TEST(versions)
{
    put_model((uint32_t)_i);
    expect_right();
    ck_assert_uint_eq(info.version, (uint32_t)_i);
    ck_assert_uint_eq(info.pairs, 4);
    ck_assert_uint_eq(info.alignment, 64);
    ck_assert_str_eq(info.architecture, "flux");
    ck_assert_str_eq(info.type, "model");
    ck_assert_uint_eq(info.data_at, b.len - 344);
    ck_assert_uint_eq(info.tensor_bytes, 312);
    ck_assert_uint_eq(info.data_at % 64, 0);
    char expected[160];
    snprintf(expected, sizeof(expected),
             "double_blocks.0.weight Q4_K 256x2 288@%zu\nsmall F32 3x1x2 24@%zu\n", b.len - 344,
             b.len - 24);
    ck_assert_str_eq(shown.all, expected);
}
END_TEST

START_TEST(without_anything)
{
    begin(3, 0, 0);
    expect_right();
    ck_assert_uint_eq(info.tensor_bytes, 0);
    ck_assert_uint_eq(info.alignment, 32);
    ck_assert_str_eq(info.architecture, "");
}
END_TEST

/* Worked out from ggml's block structures, not from the table under test. */
static const struct {
    const char *name;
    uint32_t number;
    uint64_t block, bytes;
} types[] = {
    {"F32", 0, 1, 4},
    {"F16", 1, 1, 2},
    {"Q4_0", 2, 32, 2 + 16},
    {"Q4_1", 3, 32, 4 + 16},
    {"Q5_0", 6, 32, 2 + 4 + 16},
    {"Q5_1", 7, 32, 4 + 4 + 16},
    {"Q8_0", 8, 32, 2 + 32},
    {"Q8_1", 9, 32, 4 + 4 + 32},
    {"Q2_K", 10, 256, 16 + 64 + 4},
    {"Q3_K", 11, 256, 32 + 64 + 12 + 2},
    {"Q4_K", 12, 256, 4 + 12 + 128},
    {"Q5_K", 13, 256, 4 + 12 + 32 + 128},
    {"Q6_K", 14, 256, 128 + 64 + 16 + 2},
    {"Q8_K", 15, 256, 4 + 256 + 32},
    {"IQ2_XXS", 16, 256, 2 + 64},
    {"IQ2_XS", 17, 256, 2 + 64 + 8},
    {"IQ3_XXS", 18, 256, 2 + 96},
    {"IQ1_S", 19, 256, 2 + 32 + 16},
    {"IQ4_NL", 20, 32, 2 + 16},
    {"IQ3_S", 21, 256, 2 + 64 + 8 + 32 + 4},
    {"IQ2_S", 22, 256, 2 + 64 + 8 + 8},
    {"IQ4_XS", 23, 256, 2 + 2 + 4 + 128},
    {"I8", 24, 1, 1},
    {"I16", 25, 1, 2},
    {"I32", 26, 1, 4},
    {"I64", 27, 1, 8},
    {"F64", 28, 1, 8},
    {"IQ1_M", 29, 256, 32 + 16 + 8},
    {"BF16", 30, 1, 2},
    {"Q4_0_4_4", 31, 32, 18},
    {"Q4_0_8_8", 33, 32, 18},
    {"TQ1_0", 34, 256, 48 + 4 + 2},
    {"TQ2_0", 35, 256, 64 + 2},
    {"IQ4_NL_4_4", 36, 32, 18},
    {"MXFP4", 39, 32, 1 + 16},
    {"NVFP4", 40, 64, 4 + 32},
    {"Q1_0", 41, 128, 2 + 16},
};

START_TEST(tensor_types)
{
    uint64_t shape[] = {types[_i].block * 3, 5};
    uint64_t bytes = types[_i].bytes * 15;

    begin(3, 1, 0);
    put_tensor("t", 2, shape, types[_i].number, 0);
    put_data(32, bytes);
    expect_right();
    ck_assert_str_eq(shown.last.type, types[_i].name);
    ck_assert_uint_eq(shown.last.bytes, bytes);
    b.len--;
    expect_wrong("the tensors' data would take");
    if (types[_i].block > 1) {
        begin(3, 1, 0);
        shape[0] = types[_i].block / 2;
        put_tensor("half", 2, shape, types[_i].number, 0);
        put_data(32, bytes);
        expect_wrong("tensor \"half\": its rows are not whole blocks");
    }
}
END_TEST

START_TEST(metadata_of_every_type)
{
    static const unsigned len[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    static const uint64_t shape[] = {1};

    begin(3, 1, 2 * 13 - 1);
    for (unsigned type = U8; type <= F64; type++) {
        if (type != ARRAY) {
            put_pair("x", type);
            if (type == STRING)
                put_text(&b, "some text");
            else
                put_number(&b, MAX, len[type]);
        }
        put_pair("list", ARRAY);
        put_number(&b, type == ARRAY ? U8 : type, 4);
        put_number(&b, 3, 8);
        for (int i = 0; i < 3; i++)
            type == STRING ? put_text(&b, "word")
                           : put_number(&b, 1, type == ARRAY ? 1 : len[type]);
    }
    put_tensor("last", 1, shape, 0, 0);
    put_data(32, 4);
    expect_right();
    ck_assert_str_eq(shown.name, "last");
}
END_TEST

START_TEST(split)
{
    begin(3, 0, 3);
    put_pair("split.no", U16);
    put_number(&b, 1, 2);
    put_pair("split.count", U16);
    put_number(&b, 3, 2);
    put_pair("split.tensors.count", I32);
    put_number(&b, 700, 4);
    expect_right();
    ck_assert_uint_eq(info.split_no, 1);
    ck_assert_uint_eq(info.split_count, 3);
    ck_assert_uint_eq(info.split_tensors, 700);
}
END_TEST

/* A scalar, and names and values that lie across the reader's buffer. */
START_TEST(across_the_buffer)
{
    static char word[HDR_BUFFER_LEN];

    memset(word, 'w', sizeof(word) - 1);
    for (size_t shift = 1; shift < 120; shift += 3) {
        word[sizeof(word) - 1 - shift] = '\0';
        begin(3, 1, 3);
        put_pair(word, U8); /* a key longer than any of ours */
        put_number(&b, 1, 1);
        put_pair("y", STRING);
        put_text(&b, word);
        put_pair("general.architecture", STRING);
        put_text(&b, "wan");
        put_tensor("scalar", 0, NULL, 0, 0);
        put_data(32, 4);
        expect_right();
        ck_assert_str_eq(info.architecture, "wan");
        ck_assert_str_eq(shown.name, "scalar");
        ck_assert_uint_eq(shown.bytes, 4);
        word[sizeof(word) - 1 - shift] = 'w';
    }
}
END_TEST

START_TEST(long_words_are_cut)
{
    char word[200];

    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    begin(2, 0, 1);
    put_pair("general.architecture", STRING);
    put_text(&b, word);
    expect_right();
    ck_assert_uint_eq(strlen(info.architecture), GGUF_WORD_MAX - 1);
}
END_TEST

/* --- hostile -------------------------------------------------------------------------------------
 */

static void one_tensor(unsigned dims, uint64_t x, uint64_t y, uint32_t type, uint64_t offset)
{
    uint64_t shape[] = {x, y};

    begin(3, 1, 0);
    put_tensor("t", dims, shape, type, offset);
    put_data(32, 64);
}

static void two_tensors(uint64_t second)
{
    static const uint64_t shape[] = {8};

    begin(3, 2, 0);
    put_tensor("first", 1, shape, 0, 0);
    put_tensor("second", 1, shape, 0, second);
    put_data(32, 256);
}

static void one_pair(const char *key, uint32_t type, uint64_t value, unsigned len)
{
    begin(3, 0, 1);
    put_pair(key, type);
    put_number(&b, value, len);
    put_zeros(&b, 64);
}

static void an_array(uint32_t type, uint64_t count)
{
    begin(3, 0, 1);
    put_pair("list", ARRAY);
    put_number(&b, type, 4);
    put_number(&b, count, 8);
    put_zeros(&b, 64);
}

static void a_name(uint64_t len, size_t there)
{
    begin(3, 1, 0);
    put_number(&b, len, 8);
    put_zeros(&b, there);
}

START_TEST(starts)
{
    b.len = 0;
    expect_wrong("the word GGUF would take 4 bytes, but the file ends at 0");
    put_model(3);
    b.data[3] = 'f';
    expect_wrong("does not begin with GGUF");
    put_model(1);
    expect_wrong("GGUF version 1 is not supported");
    put_model(4);
    expect_wrong("GGUF version 4 is not supported");
    put_model(UINT32_C(3) << 24);
    expect_wrong("big-endian");
    put_model(0);
    expect_wrong("GGUF version 0 is not supported");
    begin(3, MAX, 0);
    expect_wrong("byte 8: 18446744073709551615 tensors do not fit the file");
    begin(3, 0, MAX);
    expect_wrong("byte 16: 18446744073709551615 metadata pairs do not fit the file");
    begin(3, 3, 0);
    put_zeros(&b, 2 * 24);
    expect_wrong("3 tensors do not fit");
}
END_TEST

START_TEST(hostile_metadata)
{
    one_pair("x", 13, 0, 4);
    expect_wrong("metadata \"x\": value type 13 is unknown");
    one_pair("x", UINT32_MAX, 0, 4);
    expect_wrong("value type 4294967295 is unknown");
    one_pair("x", STRING, MAX, 8);
    expect_wrong("a string would take 18446744073709551615 bytes");
    one_pair("general.architecture", STRING, MAX - 7, 8);
    expect_wrong("a string would take");
    one_pair("general.architecture", U32, 7, 4);
    expect_wrong("metadata \"general.architecture\": is not a string");
    one_pair("general.alignment", STRING, 0, 8);
    expect_wrong("is not a whole number");
    one_pair("general.alignment", F32, 32, 4);
    expect_wrong("is not a whole number");
    one_pair("general.alignment", U32, 0, 4);
    expect_wrong("0 is not a power of two");
    one_pair("general.alignment", U32, 48, 4);
    expect_wrong("48 is not a power of two");
    one_pair("general.alignment", U32, 1 << 21, 4);
    expect_wrong("2097152 is not a power of two up to");
    one_pair("general.alignment", U64, MAX, 8);
    expect_wrong("18446744073709551615 is not a power");
    one_pair("split.no", I8, 0xff, 1);
    expect_wrong("metadata \"split.no\": is negative");
    one_pair("split.tensors.count", I32, UINT32_C(0x80000000), 4);
    expect_wrong("is negative");
    one_pair("split.count", I64, MAX, 8);
    expect_wrong("is negative");
    one_pair("split.count", BOOL, 1, 1);
    expect_wrong("is not a whole number");
    an_array(ARRAY, 1);
    expect_wrong("metadata \"list\": an array of arrays");
    an_array(99, 1);
    expect_wrong("value type 99 is unknown");
    an_array(U8, MAX);
    expect_wrong("an array of 18446744073709551615 values does not fit");
    an_array(U64, (MAX >> 3) + 1); /* times 8 is 0 */
    expect_wrong("does not fit the file");
    an_array(STRING, 9);
    expect_wrong("an array of 9 values does not fit");
    begin(3, 0, 1);
    put_number(&b, MAX, 8); /* the key's length */
    put_zeros(&b, 32);
    expect_wrong("a metadata key would take");
    begin(3, 0, 2);
    put_pair("split.no", U8);
    put_number(&b, 0, 1);
    put_pair("split.no", U8);
    put_number(&b, 0, 1);
    expect_wrong("metadata \"split.no\": is there twice");
}
END_TEST

START_TEST(hostile_tensors)
{
    one_tensor(1, 8, 0, 4, 0);
    expect_wrong("tensor \"t\": type 4 is unknown");
    one_tensor(1, 8, 0, 42, 0);
    expect_wrong("type 42 is unknown");
    one_tensor(1, 8, 0, UINT32_MAX, 0);
    expect_wrong("type 4294967295 is unknown");
    one_tensor(1, 0, 0, 0, 0);
    expect_wrong("tensor \"t\": a dimension of 0");
    one_tensor(2, 4, 0, 0, 0);
    expect_wrong("a dimension of 0");
    one_tensor(1, MAX, 0, 0, 0);
    expect_wrong("a negative dimension");
    one_tensor(2, UINT64_C(1) << 32, UINT64_C(1) << 32, 24, 0);
    expect_wrong("more than 2^63 elements");
    one_tensor(2, UINT64_C(1) << 32, UINT64_C(1) << 31, 24, 0);
    expect_wrong("more than 2^63 elements");
    one_tensor(1, INT64_MAX, 0, 0, 0);
    expect_wrong("more than 2^64 bytes");
    one_tensor(1, INT64_MAX, 0, 24, 0);
    expect_wrong("9223372036854775807 bytes reach beyond the end of the file");
    one_tensor(1, 17, 0, 0, 0); /* 68 bytes of 64 */
    expect_wrong("the tensors' data would take 68 bytes");
    one_tensor(1, 8, 0, 0, 32);
    expect_wrong("tensor \"t\": a hole before it: offset 32 where 0 should be");
    two_tensors(0);
    expect_wrong("tensor \"second\": overlaps the one before it: offset 0 where 32 should be");
    two_tensors(31);
    expect_wrong("overlaps the one before it");
    two_tensors(MAX);
    expect_wrong("a hole before it: offset 18446744073709551615");
    two_tensors(32);
    expect_right();
    begin(3, 1, 0);
    put_text(&b, "t");
    put_number(&b, 17, 4);
    put_zeros(&b, 256);
    expect_wrong("17 dimensions (at most 16)");
    a_name(MAX, 64);
    expect_wrong("a tensor's name would take 18446744073709551615 bytes");
    a_name(HDR_NAME_MAX, HDR_NAME_MAX + 64);
    expect_wrong("a tensor's name of 1024 bytes is too long (at most 1023)");
}
END_TEST

/* Names that would steer a terminal or end a string are told harmlessly. */
START_TEST(a_name_of_any_bytes)
{
    begin(3, 1, 0);
    put_number(&b, 4, 8);
    put(&b, "\0\33\"\xff", 4);
    put_number(&b, 1, 4);
    put_number(&b, 0, 8);
    put_zeros(&b, 16);
    expect_wrong("tensor \"\\x00\\x1b\"\\xff\": a dimension of 0");
}
END_TEST

/* A file that is all one length: nothing is read for it, and nothing kept. */
START_TEST(huge_claims_cost_nothing)
{
    struct memory m = {b.data, UINT64_C(1) << 62, 0, 0};
    struct hdr_file file = file_of(&m);

    begin(3, 0, 1);
    put_pair("x", STRING);
    put_number(&b, UINT64_C(1) << 40, 8);
    memset(b.data + b.len, 0, sizeof(b.data) - b.len);
    ck_assert_int_eq(gguf_read(&file, &info, NULL, NULL, &error), HDR_BAD);
    ck_assert_msg(strstr(error.text, "but the header ends at 1073741824"), "%s", error.text);
    ck_assert_int_le(m.reads, 1);
}
END_TEST

START_TEST(cut_off_anywhere)
{
    put_model(3);
    for (size_t len = 0; len < b.len; len++) {
        ck_assert_msg(read_first(len) == HDR_BAD, "%zu of %zu bytes are taken", len, b.len);
        ck_assert_msg(strncmp(error.text, "byte ", 5) == 0, "%s", error.text);
        ck_assert_uint_eq(shown.tensors, 0);
    }
    expect_right();
}
END_TEST

START_TEST(a_read_that_fails)
{
    long n = 0;
    enum hdr_status status;

    put_model(3);
    do {
        struct memory m = memory_of(&b, b.len);
        struct hdr_file file = file_of(&m);

        m.fail_at = ++n;
        status = gguf_read(&file, &info, NULL, NULL, &error);
        if (m.reads >= n) {
            ck_assert_int_eq(status, HDR_UNREADABLE);
            ck_assert(strstr(error.text, "cannot be read"));
        }
        free(m.data);
    } while (status != HDR_OK);
    ck_assert_int_gt(n, 1);
}
END_TEST

/* Whatever the bytes: an answer, and if it is "right", then a sum that the file can hold. */
START_TEST(mutated)
{
    static struct bytes model;
    uint32_t state = 2463534242u + (uint32_t)_i;
    int right = 0;

    put_model(_i % 2 ? 2 : 3);
    model = b;
    for (int i = 0; i < 4000; i++) {
        b = model;
        mutate(b.data, b.len - 344, &state);
        switch (read_first(b.len)) {
        case HDR_OK:
            right++;
            ck_assert_uint_eq(shown.tensors, info.tensors);
            ck_assert_uint_eq(shown.bytes, info.tensor_bytes);
            ck_assert_uint_le(info.tensor_bytes, b.len);
            break;
        case HDR_BAD:
            ck_assert_uint_gt(error.len, 0);
            break;
        case HDR_UNREADABLE:
            ck_abort_msg("nothing was unreadable");
        }
    }
    ck_assert_int_gt(right, 0); /* or the mutations are too coarse to mean anything */
    ck_assert_int_lt(right, 4000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *core = tcase_create("gguf");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_set_timeout(core, 60);
    tcase_add_loop_test(core, versions, 2, 4);
    tcase_add_test(core, without_anything);
    tcase_add_loop_test(core, tensor_types, 0, sizeof(types) / sizeof(types[0]));
    tcase_add_test(core, metadata_of_every_type);
    tcase_add_test(core, split);
    tcase_add_test(core, across_the_buffer);
    tcase_add_test(core, long_words_are_cut);
    tcase_add_test(core, starts);
    tcase_add_test(core, hostile_metadata);
    tcase_add_test(core, hostile_tensors);
    tcase_add_test(core, a_name_of_any_bytes);
    tcase_add_test(core, huge_claims_cost_nothing);
    tcase_add_test(core, cut_off_anywhere);
    tcase_add_test(core, a_read_that_fails);
    tcase_add_loop_test(core, mutated, 0, 6);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
