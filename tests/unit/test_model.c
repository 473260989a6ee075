/* Models: which format, which type, in how many files. */
#include "policy/model.h"

#include "tests/unit/model_bytes.h"

static struct bytes b;
static struct model model;
static struct txt error;

/* --- files ---------------------------------------------------------------------------------------
 */

static void put_pair(const char *key, const char *value)
{
    put_text(&b, key);
    put_number(&b, 8, 4);
    put_text(&b, value);
}

struct split {
    uint64_t no, count, tensors;
};

/* A GGUF file of tensors of 32 bytes each. */
static void put_gguf(const char *architecture, const char *type, const struct split *split,
                     const char *const *names, unsigned n)
{
    b.len = 0;
    put(&b, "GGUF", 4);
    put_number(&b, 3, 4);
    put_number(&b, n, 8);
    put_number(&b, (architecture != NULL) + (type != NULL) + (split ? 3 : 0), 8);
    if (architecture)
        put_pair("general.architecture", architecture);
    if (type)
        put_pair("general.type", type);
    if (split) {
        put_text(&b, "split.no");
        put_number(&b, 10, 4);
        put_number(&b, split->no, 8);
        put_text(&b, "split.count");
        put_number(&b, 10, 4);
        put_number(&b, split->count, 8);
        put_text(&b, "split.tensors.count");
        put_number(&b, 10, 4);
        put_number(&b, split->tensors, 8);
    }
    for (unsigned i = 0; i < n; i++) {
        put_text(&b, names[i]);
        put_number(&b, 1, 4);
        put_number(&b, 8, 8);
        put_number(&b, 0, 4);
        put_number(&b, 32 * i, 8);
    }
    put_zeros(&b, (32 - b.len % 32) % 32 + 32 * n);
}

static enum hdr_status read_part(unsigned number, unsigned count)
{
    struct memory m = memory_of(&b, b.len);
    struct hdr_file file = file_of(&m);
    struct model_part part = {number, count};
    enum hdr_status status = model_read(&model, &file, &part, NULL, NULL, &error);

    free(m.data);
    return status;
}

static enum hdr_status read_alone(void)
{
    model = (struct model){0};
    return read_part(1, 1);
}

static void expect_wrong(enum hdr_status status, const char *text)
{
    ck_assert_int_eq(status, HDR_BAD);
    ck_assert_msg(strstr(error.text, text) != NULL, "\"%s\" is not in \"%s\"", text, error.text);
}

static void put_raw(const void *data, size_t len)
{
    b.len = 0;
    put(&b, data, len);
}

#define SAFETENSORS                                                                                \
    "\x4c\0\0\0\0\0\0\0{\"decoder.up_blocks.0.w\":{\"dtype\":\"U8\",\"shape\":[6],"                \
    "\"data_offsets\":[0,6]}}   123456"

START_TEST(formats)
{
    static const char *const names[] = {"double_blocks.0.w"};

    put_gguf("flux", NULL, NULL, names, 1);
    ck_assert_int_eq(read_alone(), HDR_OK);
    ck_assert_int_eq(model.format, MODEL_GGUF);
    ck_assert_uint_eq(model.version, 3);
    ck_assert_uint_eq(model.tensors, 1);
    ck_assert_uint_eq(model.tensor_bytes, 32);
    ck_assert_uint_eq(model.parts, 1);
    ck_assert_str_eq(model.architecture, "flux");
    ck_assert_uint_eq(model.named_bytes[MODEL_UNET], 32);

    put_raw(SAFETENSORS, sizeof(SAFETENSORS) - 1);
    ck_assert_msg(read_alone() == HDR_OK, "%s", error.text);
    ck_assert_int_eq(model.format, MODEL_SAFETENSORS);
    ck_assert_uint_eq(model.tensor_bytes, 6);
    ck_assert_uint_eq(model.named_bytes[MODEL_VAE], 6);
}
END_TEST

START_TEST(other_files)
{
    put_raw("", 0);
    expect_wrong(read_alone(), "is empty");
    put_raw("x", 1);
    expect_wrong(read_alone(), "neither a GGUF nor a safetensors file");
    put_raw("PK\3\4 and so on", 12);
    expect_wrong(read_alone(), "a zip archive");
    put_raw("{\"weight_map\": {}}", 18);
    expect_wrong(read_alone(), "the index of a model in several safetensors files");
    put_raw("\1\0\0\0\0\0\0\0[", 9);
    expect_wrong(read_alone(), "neither");
    put_raw("\1\0\0\0\1\0\0\0{", 9); /* a header of 4 GiB */
    expect_wrong(read_alone(), "neither");
    put_raw("GGUF", 4);
    expect_wrong(read_alone(), "the version would take 4 bytes");
    put_raw("\x9\0\0\0\0\0\0\0{", 9);
    expect_wrong(read_alone(), "a header of 9 bytes does not fit");
    model = (struct model){0};
    put_raw(SAFETENSORS, sizeof(SAFETENSORS) - 1);
    expect_wrong(read_part(1, 2), "does not begin with GGUF, as a part of a GGUF model would");
}
END_TEST

START_TEST(a_read_that_fails)
{
    static const char *const names[] = {"t"};
    struct model_part part = {1, 1};
    enum hdr_status status = HDR_UNREADABLE;
    long n;

    put_gguf("wan", "model", NULL, names, 1);
    for (n = 1; status != HDR_OK; n++) {
        struct memory m = memory_of(&b, b.len);
        struct hdr_file file = file_of(&m);

        m.fail_at = n;
        model = (struct model){0};
        status = model_read(&model, &file, &part, NULL, NULL, &error);
        ck_assert_int_eq(status, m.reads < n ? HDR_OK : HDR_UNREADABLE);
        free(m.data);
    }
    ck_assert_int_gt(n, 3); /* its beginning, and its header */
}
END_TEST

/* --- parts ---------------------------------------------------------------------------------------
 */

START_TEST(part_names)
{
    static const struct {
        const char *name;
        unsigned number, count; /* 0: no part */
    } cases[] = {
        {"m-00001-of-00003.gguf", 1, 3},
        {"dir/m-00003-of-00003.gguf", 3, 3},
        {"m-99999-of-99999.gguf", 99999, 99999},
        {"m-00001-of-00001.gguf", 1, 1},
        {"m-00000-of-00003.gguf", 0, 0},
        {"m-00004-of-00003.gguf", 0, 0},
        {"m-0001-of-00003.gguf", 0, 0},
        {"m-00001-of-00003.safetensors", 0, 0},
        {"m-00001_of_00003.gguf", 0, 0},
        {"m-0000x-of-00003.gguf", 0, 0},
        {"m-00001-of-0000y.gguf", 0, 0},
        {"m_00001-of-00003.gguf", 0, 0},
        {"m-00001-of-00003.GGUF", 0, 0},
        {"-00001-of-00003.gguf", 0, 0},
        {"m.gguf", 0, 0},
        {"", 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model_part part = {0, 0};
        bool is = model_part_of_name(cases[i].name, strlen(cases[i].name), &part);

        ck_assert_msg(is == (cases[i].number != 0), "%s", cases[i].name);
        if (is) {
            ck_assert_uint_eq(part.number, cases[i].number);
            ck_assert_uint_eq(part.count, cases[i].count);
        }
    }
}
END_TEST

START_TEST(parts)
{
    static const char *const names[] = {"blk.0.a", "blk.1.a", "blk.2.a"};

    model = (struct model){0};
    put_gguf("llama", NULL, &(struct split){0, 2, 5}, names, 3);
    ck_assert_int_eq(read_part(1, 2), HDR_OK);
    put_gguf(NULL, NULL, &(struct split){1, 2, 5}, names, 2);
    ck_assert_int_eq(read_part(2, 2), HDR_OK);
    ck_assert_uint_eq(model.parts, 2);
    ck_assert_uint_eq(model.tensors, 5);
    ck_assert_uint_eq(model.tensor_bytes, 160);
    ck_assert_uint_eq(model.named_bytes[MODEL_CLIP], 160);
    ck_assert_str_eq(model.architecture, "llama");
}
END_TEST

START_TEST(parts_that_do_not_belong_together)
{
    static const char *const names[] = {"blk.0.a", "blk.1.a"};

    model = (struct model){0};
    put_gguf("llama", NULL, &(struct split){1, 2, 0}, names, 1);
    expect_wrong(read_part(1, 2), "says that it is part 2 of 2, its name says part 1 of 2");
    put_gguf("llama", NULL, &(struct split){0, 3, 0}, names, 1);
    expect_wrong(read_part(1, 2), "part 1 of 3, its name says part 1 of 2");
    put_gguf("llama", NULL, NULL, names, 1);
    expect_wrong(read_part(1, 2), "part 1 of 1, its name says part 1 of 2");
    put_gguf("llama", NULL, &(struct split){0, 2, 0}, names, 1);
    expect_wrong(read_alone(), "part 1 of 2, its name says part 1 of 1");
    put_gguf("llama", NULL, &(struct split){0, UINT64_MAX, 0}, names, 1);
    expect_wrong(read_alone(), "part 1 of 18446744073709551615");

    model = (struct model){0};
    put_gguf("llama", NULL, &(struct split){0, 2, 4}, names, 1);
    ck_assert_int_eq(read_part(1, 2), HDR_OK);
    put_gguf(NULL, NULL, &(struct split){1, 2, 4}, names, 2);
    expect_wrong(read_part(2, 2), "all parts have 3 tensors, but split.tensors.count says 4");

    model = (struct model){.tensor_bytes = UINT64_MAX - 10, .parts = 1};
    put_gguf(NULL, NULL, &(struct split){1, 2, 0}, names, 1);
    expect_wrong(read_part(2, 2), "more than 2^64 bytes");
}
END_TEST

/* --- types ---------------------------------------------------------------------------------------
 */

static const struct {
    const char *architecture, *general_type;
    enum model_type type;
} metadata[] = {
    {"flux", "", MODEL_UNET},       {"sd1", "", MODEL_UNET},         {"sdxl", "", MODEL_UNET},
    {"sd3", "", MODEL_UNET},        {"aura", "", MODEL_UNET},        {"hidream", "", MODEL_UNET},
    {"cosmos", "", MODEL_UNET},     {"ltxv", "", MODEL_UNET},        {"hyvid", "", MODEL_UNET},
    {"wan", "", MODEL_UNET},        {"lumina2", "", MODEL_UNET},     {"qwen_image", "", MODEL_UNET},
    {"t5", "", MODEL_CLIP},         {"t5encoder", "", MODEL_CLIP},   {"llama", "", MODEL_CLIP},
    {"qwen2vl", "", MODEL_CLIP},    {"qwen3", "", MODEL_CLIP},       {"qwen3vl", "", MODEL_CLIP},
    {"clip", "mmproj", MODEL_CLIP}, {"", "clip-vision", MODEL_CLIP}, {"flux", "model", MODEL_UNET},
    {"", "", MODEL_UNKNOWN},        {"flux2x", "", MODEL_UNKNOWN},   {"clip", "", MODEL_UNKNOWN},
    {"FLUX", "", MODEL_UNKNOWN},    {"", "model", MODEL_UNKNOWN},
};

START_TEST(by_metadata)
{
    ck_assert_int_eq(model_type_of_metadata(metadata[_i].architecture, metadata[_i].general_type),
                     metadata[_i].type);
}
END_TEST

/* Names as they stand in published files. */
static const struct {
    const char *name;
    enum model_type type;
} names[] = {
    {"double_blocks.0.img_attn.proj.weight", MODEL_UNET},
    {"single_blocks.37.linear2.weight", MODEL_UNET},
    {"model.diffusion_model.input_blocks.0.0.weight", MODEL_UNET},
    {"diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", MODEL_UNET},
    {"joint_blocks.0.x_block.attn.qkv.weight", MODEL_UNET},
    {"double_layers.3.modX.1.weight", MODEL_UNET},
    {"transformer_blocks.0.attn.add_q_proj.weight", MODEL_UNET},
    {"blocks.0.cross_attn.k.weight", MODEL_UNET},
    {"down_blocks.0.downsamplers.0.conv.weight", MODEL_UNET},
    {"input_blocks.3.0.op.weight", MODEL_UNET},
    {"time_embed.0.weight", MODEL_UNET},
    {"cap_embedder.1.weight", MODEL_UNET},
    {"first_stage_model.decoder.conv_in.weight", MODEL_VAE},
    {"decoder.up.0.block.0.conv1.weight", MODEL_VAE},
    {"encoder.down_blocks.0.resnets.0.conv1.weight", MODEL_VAE},
    {"decoder.up_blocks.3.resnets.2.norm2.bias", MODEL_VAE},
    {"decoder.upsamples.0.residual.0.gamma", MODEL_VAE},
    {"encoder.conv_out.weight", MODEL_VAE},
    {"post_quant_conv.weight", MODEL_VAE},
    {"vae.decoder.mid.attn_1.k.weight", MODEL_VAE},
    {"blk.31.attn_q.weight", MODEL_CLIP},
    {"token_embd.weight", MODEL_CLIP},
    {"enc.blk.0.attn_k.weight", MODEL_CLIP},
    {"v.blk.0.attn_q.weight", MODEL_CLIP},
    {"text_model.encoder.layers.0.self_attn.q_proj.weight", MODEL_CLIP},
    {"text_encoders.t5xxl.transformer.shared.weight", MODEL_CLIP},
    {"cond_stage_model.transformer.text_model.final_layer_norm.weight", MODEL_CLIP},
    {"conditioner.embedders.1.model.logit_scale", MODEL_CLIP},
    {"encoder.block.0.layer.0.SelfAttention.q.weight", MODEL_CLIP},
    {"decoder.block.0.layer.1.EncDecAttention.q.weight", MODEL_CLIP},
    {"shared.weight", MODEL_CLIP},
    {"model.layers.0.self_attn.q_proj.weight", MODEL_CLIP},
    {"weight", MODEL_UNKNOWN},
    {"", MODEL_UNKNOWN},
    {"double_block", MODEL_UNKNOWN},
    {"x.double_blocks.0", MODEL_UNKNOWN},
};

START_TEST(by_name)
{
    ck_assert_msg(model_type_of_tensor(names[_i].name, strlen(names[_i].name)) == names[_i].type,
                  "%s", names[_i].name);
}
END_TEST

/* Only as long as it says: names need not end where a NUL stands. */
START_TEST(a_name_ends_at_its_length)
{
    ck_assert_int_eq(model_type_of_tensor("blk.0", 4), MODEL_CLIP);
    ck_assert_int_eq(model_type_of_tensor("blk.0", 3), MODEL_UNKNOWN);
}
END_TEST

static const struct {
    const char *architecture;
    uint64_t bytes, unet, clip, vae;
    enum model_type type;
    enum model_origin origin;
} both[] = {
    /* they agree; only one tells */
    {"flux", 100, 90, 0, 0, MODEL_UNET, MODEL_FROM_METADATA},
    {"flux", 100, 0, 0, 0, MODEL_UNET, MODEL_FROM_METADATA},
    {"", 100, 0, 0, 10, MODEL_VAE, MODEL_FROM_NAMES},
    {"mamba", 100, 0, 10, 0, MODEL_CLIP, MODEL_FROM_NAMES},
    {"", 100, 0, 0, 0, MODEL_UNKNOWN, MODEL_FROM_NOTHING},
    /* the metadata lies: the names of most bytes tell otherwise */
    {"flux", 100, 0, 0, 51, MODEL_VAE, MODEL_FROM_NAMES},
    {"flux", 100, 0, 0, 50, MODEL_UNET, MODEL_FROM_METADATA},
    {"llama", 100, 100, 0, 0, MODEL_UNET, MODEL_FROM_NAMES},
    /* a checkpoint with all three: what most of it is */
    {"", 100, 70, 20, 10, MODEL_UNET, MODEL_FROM_NAMES},
    {"", 100, 20, 70, 10, MODEL_CLIP, MODEL_FROM_NAMES},
    {"", UINT64_MAX, UINT64_MAX, 0, 0, MODEL_UNET, MODEL_FROM_NAMES},
};

START_TEST(by_both)
{
    struct model m = {.tensor_bytes = both[_i].bytes,
                      .named_bytes = {both[_i].unet, both[_i].clip, both[_i].vae}};
    enum model_origin origin;

    strcpy(m.architecture, both[_i].architecture);
    ck_assert_int_eq(model_type(&m, &origin), both[_i].type);
    ck_assert_int_eq(origin, both[_i].origin);
}
END_TEST

START_TEST(type_names)
{
    ck_assert_str_eq(model_type_name(MODEL_UNET), "gguf_unet");
    ck_assert_str_eq(model_type_name(MODEL_CLIP), "gguf_clip");
    ck_assert_str_eq(model_type_name(MODEL_VAE), "gguf_vae");
    ck_assert_str_eq(model_type_name(MODEL_UNKNOWN), "unknown");
    ck_assert_str_eq(model_type_name((enum model_type)9), "unknown");
}
END_TEST

/* A line that is full stays a line; a foreign name is cut. */
START_TEST(text)
{
    struct txt t = {0};

    txt_add_number(&t, 0);
    txt_add_number(&t, UINT64_MAX);
    ck_assert_str_eq(t.text, "018446744073709551615");
    t = (struct txt){0};
    for (int i = 0; i < 10; i++)
        txt_add_foreign(&t, "0123456789012345678901234567890123456789012345678901234567890123XYZ",
                        67);
    ck_assert_uint_eq(t.len, sizeof(t.text) - 1);
    ck_assert_uint_eq(strlen(t.text), t.len);
    ck_assert(strncmp(t.text,
                      "\"01234567890123456789012345678901234567890123456789012345678901"
                      "23...\"\"0",
                      70) == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *core = tcase_create("model");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_test(core, formats);
    tcase_add_test(core, other_files);
    tcase_add_test(core, a_read_that_fails);
    tcase_add_test(core, part_names);
    tcase_add_test(core, parts);
    tcase_add_test(core, parts_that_do_not_belong_together);
    tcase_add_loop_test(core, by_metadata, 0, sizeof(metadata) / sizeof(metadata[0]));
    tcase_add_loop_test(core, by_name, 0, sizeof(names) / sizeof(names[0]));
    tcase_add_test(core, a_name_ends_at_its_length);
    tcase_add_loop_test(core, by_both, 0, sizeof(both) / sizeof(both[0]));
    tcase_add_test(core, type_names);
    tcase_add_test(core, text);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
