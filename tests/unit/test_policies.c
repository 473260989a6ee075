/* The policies in config/ do what the README says of them. Run from the root of the tree. */
#include "config/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (1024 * MIB)

static struct cfg_result result;

static void refuse(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    (void)severity;
    ck_abort_msg("%s", line);
}

static void load(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "config/%s.json", name);
    cfg_load(&result, path, NULL, refuse, NULL);
}

static enum pol_place place(const char *strategy, const char *tensor, uint64_t bytes)
{
    struct pol_subject subject = {.bytes = bytes};

    subject.text[POL_RULE_STRATEGY] = strategy;
    subject.text[POL_RULE_TENSOR] = tensor;
    subject.text[POL_RULE_MODEL_TYPE] = "gguf_unet";
    return pol_rules_place(&result.config.rules, &subject, NULL);
}

/* On a card of 8 GiB of which `held` are ours, and much RAM. */
static struct pol_verdict verdict(enum pol_class class, uint64_t held, uint64_t bytes)
{
    struct pol_settings settings = cfg_settings(&result.config, 8 * GIB, 64 * GIB);
    struct pol_view view = {8 * GIB, 8 * GIB - held, held, 64 * GIB, 60 * GIB};
    struct pol_limits limits = pol_limits(&settings, &view);
    struct pol_usage usage = {.device_bytes = held};
    struct pol_request request = {.bytes = bytes, .class = class};

    return pol_decide(&settings, &limits, &usage, &request);
}

static const char *const important[] = {
    "blk.0.attn_q.weight",
    "blk.31.ffn_down.weight",
    "double_blocks.0.img_attn.qkv.weight",
    "single_blocks.37.linear1.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "output.weight",
    "lm_head.weight",
};

static const struct {
    const char *tensor;
    bool comfyui, llama; /* go first */
} others[] = {
    {"token_embd.weight", true, true},
    {"model.embed_tokens.weight", true, true},
    {"transformer.wte.weight", false, true},
    {"shared.weight", true, false},
    {"text_model.embeddings.token_embedding.weight", true, false},
    {"blk.0.attn_norm.weight", true, false},
    {"double_blocks.0.img_attn.norm.query_norm.scale", true, false},
    {"single_blocks.0.linear1.bias", true, false},
};

/* Under pressure what matters less goes first, if it is large; without, nothing does. */
static void check_priority(const char *policy, size_t column, uint64_t least)
{
    static const char *const strategies[] = {"gguf_hybrid", "gguf_insufficient"};

    load(policy);
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sizeof(important) / sizeof(important[0]); i++)
            ck_assert_int_eq(place(strategies[s], important[i], GIB), POL_PLACE_AUTO);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            bool first = column ? others[i].llama : others[i].comfyui;
            enum pol_place expected = first ? POL_PLACE_HOST : POL_PLACE_AUTO;

            ck_assert_msg(place(strategies[s], others[i].tensor, least) == expected, "%s",
                          others[i].tensor);
            ck_assert_int_eq(place(strategies[s], others[i].tensor, least - 1), POL_PLACE_AUTO);
            ck_assert_int_eq(place("gpu_only", others[i].tensor, least), POL_PLACE_AUTO);
            ck_assert_int_eq(place(NULL, others[i].tensor, least), POL_PLACE_AUTO);
            ck_assert_int_eq(place(strategies[s], NULL, least), POL_PLACE_AUTO);
        }
    }
}

START_TEST(comfyui)
{
    check_priority("comfyui", 0, 16 * MIB);
    ck_assert_int_eq(result.config.placement, CFG_PLACEMENT_ADAPTIVE);
    ck_assert_int_eq(result.config.report, CFG_REPORT_HYBRID);
}
END_TEST

/* A program that fits itself to the card is told the truth of it. */
START_TEST(llama)
{
    check_priority("llama", 1, 64 * MIB);
    ck_assert_int_eq(result.config.placement, CFG_PLACEMENT_ADAPTIVE);
    ck_assert_int_eq(result.config.report, CFG_REPORT_DEVICE);
}
END_TEST

/* The budget of 8 GiB is 5111011082 bytes: strict holds working memory and small ones to it. */
START_TEST(strict_against_default)
{
    const uint64_t budget = UINT64_C(5111011082);

    load("strict");
    ck_assert(!verdict(POL_CLASS_WORKING, budget - 1, 1).host);
    ck_assert(verdict(POL_CLASS_WORKING, budget, 1).host);
    ck_assert(verdict(POL_CLASS_WORKING, budget, 100 * MIB).host);
    ck_assert(verdict(POL_CLASS_WEIGHTS, budget, 100 * MIB).host);
    load("default");
    ck_assert(!verdict(POL_CLASS_WORKING, budget, 1).host);
    ck_assert(!verdict(POL_CLASS_WORKING, budget, 100 * MIB).host);
    ck_assert(verdict(POL_CLASS_WEIGHTS, budget, 100 * MIB).host);
    ck_assert_uint_eq(result.config.rules.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policies");
    TCase *core = tcase_create("policies");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_test(core, comfyui);
    tcase_add_test(core, llama);
    tcase_add_test(core, strict_against_default);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
