/* option.c: the option table, made from options.def, and names in it. */
#include "config/option.h"

#include <string.h>
#include <strings.h>

const struct cfg_desc cfg_desc[CFG_OPTIONS] = {
#define OPTION(key_, env_, kind_, default_, low_, high_, advice_low_, advice_high_, values_, doc_) \
    {#key_,                                                                                        \
     CFG_ENV_PREFIX #env_,                                                                         \
     CFG_KIND_##kind_,                                                                             \
     offsetof(struct config, key_),                                                                \
     default_,                                                                                     \
     low_,                                                                                         \
     high_,                                                                                        \
     advice_low_,                                                                                  \
     advice_high_,                                                                                 \
     values_,                                                                                      \
     doc_},
#define ALIAS(...)
#include "config/options.def"
#undef OPTION
#undef ALIAS
};

const struct cfg_alias cfg_alias[] = {
#define OPTION(...)
#define ALIAS(key_, env_, option_) {#key_, CFG_ENV_PREFIX #env_, CFG_OPTION_##option_},
#include "config/options.def"
#undef OPTION
#undef ALIAS
};
const size_t cfg_aliases = sizeof(cfg_alias) / sizeof(cfg_alias[0]);

const struct cfg_condition cfg_condition[] = {
    {"model_type", CFG_CONDITION_WORD, POL_RULE_MODEL_TYPE, "gguf_unet gguf_clip gguf_vae",
     "what the model is, by its header"},
    {"architecture", CFG_CONDITION_TEXT, POL_RULE_ARCHITECTURE, "",
     "general.architecture of a GGUF file, such as flux or llama"},
    {"strategy", CFG_CONDITION_WORD, POL_RULE_STRATEGY, "gpu_only gguf_hybrid gguf_insufficient",
     "does the model fit? As hybridmem plan says for it alone"},
    {"file", CFG_CONDITION_TEXT, POL_RULE_FILE, "",
     "the model's file: its path if the pattern has a /, otherwise its name"},
    {"tensor", CFG_CONDITION_TEXT, POL_RULE_TENSOR, "", "the tensor's name in the file"},
    {"process", CFG_CONDITION_TEXT, POL_RULE_PROCESS, "", "the program's name, such as python3"},
    /* as enum pol_allocator */
    {"allocator", CFG_CONDITION_ALLOCATOR, 0, "malloc async vmm",
     "cuMemAlloc and cuMemAllocPitch; stream-ordered; cuMemCreate"},
    {"device", CFG_CONDITION_DEVICE, 0, "", "as in target_gpu"},
    {"min_size", CFG_CONDITION_LEAST, 0, "", "allocations of this size or more"},
    {"max_size", CFG_CONDITION_MOST, 0, "", "allocations of this size or less"},
    {NULL, CFG_CONDITION_TEXT, 0, NULL, NULL},
};

int cfg_word_index(const char *values, const char *word, size_t len)
{
    int index = 0;

    while (*values) {
        size_t n = strcspn(values, " ");

        if (n == len && strncasecmp(values, word, len) == 0)
            return index;
        values += n + strspn(values + n, " ");
        index++;
    }
    return -1;
}

/* --- the nearest known name ----------------------------------------------------------------------
 */

#define NAME_MAX_LEN 48

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's distance; letters of either case are the same. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[NAME_MAX_LEN + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = corner + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);

            corner = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, change);
        }
    }
    return row[b_len];
}

static void consider(const char *known, const char *name, size_t len, const char **best,
                     unsigned *best_distance)
{
    size_t known_len = strlen(known);
    unsigned d;

    if (known_len > NAME_MAX_LEN)
        return;
    d = distance(name, len, known, known_len);
    /* "conservative" means conservative_factor, far away as it is */
    if (len >= 3 && len < known_len && strncasecmp(known, name, len) == 0)
        d = 1;
    if (d < *best_distance) {
        *best_distance = d;
        *best = known;
    }
}

const char *cfg_nearest(const char *name, size_t len, bool env)
{
    const size_t prefix = env ? strlen(CFG_ENV_PREFIX) : 0;
    const char *best = NULL;
    size_t limit = len / 3 > 2 ? len / 3 : 2;
    unsigned bound;

    if (len == 0 || len > NAME_MAX_LEN)
        return NULL;
    /* A name of which nothing is left is nobody's misspelling. */
    bound = (unsigned)(limit < len ? limit : len - 1) + 1;
    for (size_t i = 0; i < CFG_OPTIONS; i++)
        consider(env ? cfg_desc[i].env + prefix : cfg_desc[i].key, name, len, &best, &bound);
    for (size_t i = 0; i < cfg_aliases; i++)
        consider(env ? cfg_alias[i].env + prefix : cfg_alias[i].key, name, len, &best, &bound);
    if (env)
        consider(CFG_ENV_POLICY, name, len, &best, &bound);
    return best;
}
