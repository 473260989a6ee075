/* rules.c: the option rules of a policy file: an array of
 *
 *     { "note": "why", "match": { condition: pattern or [pattern, ...], ... }, "place": "host" }
 */
#include "config/json.h"

#include <stdio.h>
#include <string.h>

/* What is read at the moment. */
struct builder {
    struct pol_rules *rules;
    struct pol_rule *rule;
    unsigned number; /* its index */
    bool has_match, has_place;
    bool is_full; /* a pattern of this condition found no room */
};

/* At the pair, in `key` ("" for the rule itself) of the rule: what was found, what is allowed. */
static void refuse(struct policy *policy, const struct builder *b, const char *key,
                   const struct cfg_pair *pair, const char *found, size_t found_len,
                   const char *allowed)
{
    char name[64];
    struct cfg_place place = {policy->path, pair->line, pair->column, name, 0};
    struct cfg_line line = {0};

    snprintf(name, sizeof(name), "rules[%u]%s", b->number, key);
    place.name_len = strlen(name);
    cfg_add_place(&line, &place);
    cfg_add(&line, "found ");
    cfg_add_foreign(&line, found, found_len, 60);
    cfg_add(&line, ", allowed: %s; no rule is taken", allowed);
    cfg_say(policy->reader, CFG_ERROR, &line);
}

/* As cfg_word_index(), but to the letter: patterns are compared so. */
static int word_index(const char *words, const char *text)
{
    return strstr(words, text) ? cfg_word_index(words, text, strlen(text)) : -1;
}

/* --- conditions ----------------------------------------------------------------------------------
 */

/* One pattern more at the end of the pool; a list ends with the next one's beginning. */
static bool add_text(struct builder *b, const char *text, size_t len)
{
    struct pol_rules *rules = b->rules;

    b->is_full = len + 2 > sizeof(rules->text) - rules->text_len;
    if (len == 0 || b->is_full)
        return false;
    memcpy(rules->text + rules->text_len, text, len + 1);
    rules->text_len += (uint32_t)len + 1;
    return true;
}

static bool take_word(struct builder *b, const struct cfg_condition *c, const char *text)
{
    size_t len = strlen(text);
    int index = *c->words ? word_index(c->words, text) : 0;

    if (index < 0)
        return false;
    switch (c->kind) {
    case CFG_CONDITION_TEXT:
    case CFG_CONDITION_WORD:
        return add_text(b, text, len);
    case CFG_CONDITION_ALLOCATOR:
        b->rule->allocators = (uint8_t)(b->rule->allocators | 1 << index);
        return true;
    case CFG_CONDITION_DEVICE:
        return b->rule->gpus < POL_RULE_GPUS_MAX &&
               cfg_parse_gpu(text, len, &b->rule->gpu[b->rule->gpus++]);
    case CFG_CONDITION_LEAST:
    case CFG_CONDITION_MOST:
        break;
    }
    return false;
}

/* A string, or an array of at least one. */
static bool take_words(struct policy *policy, struct builder *b, const struct cfg_condition *c,
                       const json_t *value)
{
    const struct jansson *json = policy->json;
    size_t n = json_is_array(value) ? json->array_size(value) : 1;

    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json->array_get(value, i) : value;

        if (!item || !json_is_string(item) || !take_word(b, c, json->string_value(item)))
            return false;
    }
    return n > 0;
}

static bool take_size(struct policy *policy, const struct cfg_condition *c, struct builder *b,
                      const json_t *value, const struct cfg_pair *pair)
{
    uint64_t *to = c->kind == CFG_CONDITION_LEAST ? &b->rule->min_size : &b->rule->max_size;
    const char *text = json_is_string(value) ? policy->json->string_value(value) : NULL;

    if (text)
        return cfg_parse_bytes(text, strlen(text), to);
    return json_is_number(value) && cfg_parse_bytes(pair->value, pair->value_len, to);
}

static void refuse_condition(struct policy *policy, const struct builder *b,
                             const struct cfg_pair *pair)
{
    struct cfg_line keys = {0};

    for (const struct cfg_condition *c = cfg_condition; c->key; c++)
        cfg_add(&keys, "%s%s", keys.len ? " " : "", c->key);
    refuse(policy, b, ".match", pair, pair->key, pair->key_len, keys.text);
}

/* What would have been taken instead: of the condition by itself, or beside what is there. */
static void add_allowed(struct cfg_line *line, const struct builder *b,
                        const struct cfg_condition *c)
{
    if (b->is_full)
        cfg_add(line, "at most %d bytes of patterns in all rules together", POL_RULES_TEXT_MAX);
    else if (b->rule->min_size > b->rule->max_size)
        cfg_add(line, c->kind == CFG_CONDITION_LEAST ? "at most max_size" : "at least min_size");
    else
        cfg_add_condition(line, c);
}

static bool take_value(struct policy *policy, struct builder *b, const struct cfg_condition *c,
                       const json_t *value, const struct cfg_pair *pair)
{
    b->is_full = false;
    if (c->kind == CFG_CONDITION_LEAST || c->kind == CFG_CONDITION_MOST)
        return take_size(policy, c, b, value, pair) && b->rule->min_size <= b->rule->max_size;
    return take_words(policy, b, c, value);
}

static void take_condition(struct policy *policy, void *arg, const char *key, const json_t *value,
                           const struct cfg_pair *pair)
{
    struct builder *b = arg;
    const struct cfg_condition *c = cfg_condition;
    uint32_t start = b->rules->text_len;
    struct cfg_line allowed = {0};
    char name[32];

    while (c->key && strcmp(key, c->key) != 0)
        c++;
    if (!c->key) {
        refuse_condition(policy, b, pair);
        return;
    }
    if (!take_value(policy, b, c, value, pair)) {
        snprintf(name, sizeof(name), ".match.%s", c->key);
        add_allowed(&allowed, b, c);
        refuse(policy, b, name, pair, pair->value, pair->value_len, allowed.text);
    } else if (b->rules->text_len > start) {
        b->rule->text[c->text] = (uint16_t)start;
        b->rules->text[b->rules->text_len++] = '\0';
    }
}

/* --- rules ---------------------------------------------------------------------------------------
 */

static struct cfg_scan inside(const struct cfg_pair *pair)
{
    return (struct cfg_scan){pair->value, pair->value_len, 0, pair->value_line, pair->value_column};
}

static void take_member(struct policy *policy, void *arg, const char *key, const json_t *value,
                        const struct cfg_pair *pair)
{
    struct builder *b = arg;
    const char *text = json_is_string(value) ? policy->json->string_value(value) : "";
    int place = word_index(CFG_PLACES, text);

    if (strcmp(key, "match") == 0) {
        b->has_match = true;
        if (json_is_object(value))
            cfg_json_pairs(policy, value, inside(pair), take_condition, b);
        else
            refuse(policy, b, ".match", pair, pair->value, pair->value_len,
                   "{ \"condition\": value, ... }");
    } else if (strcmp(key, "place") == 0) {
        b->has_place = true;
        b->rule->place = (enum pol_place)place;
        if (place < 0)
            refuse(policy, b, ".place", pair, pair->value, pair->value_len, CFG_PLACES);
    } else if (strcmp(key, "note") != 0) { /* which is for people */
        refuse(policy, b, "", pair, pair->key, pair->key_len, "match, place, note");
    }
}

static void take_rule(struct policy *policy, struct builder *b, const json_t *value,
                      const struct cfg_pair *item)
{
    if (b->number == POL_RULES_MAX || !json_is_object(value)) {
        refuse(policy, b, "", item, item->value, item->value_len,
               b->number == POL_RULES_MAX ? "at most 32 rules"
                                          : "{ \"match\": ..., \"place\": ... }");
        return;
    }
    b->rule = &b->rules->rule[b->number];
    *b->rule = (struct pol_rule){.max_size = UINT64_MAX};
    b->has_match = b->has_place = false;
    if (!cfg_json_pairs(policy, value, inside(item), take_member, b))
        return;
    if (!b->has_match || !b->has_place)
        refuse(policy, b, "", item, item->value, item->value_len, "both match and place");
}

void cfg_json_rules(struct policy *policy, const json_t *array, const struct cfg_pair *pair)
{
    struct builder b = {.rules = &policy->reader->result->config.rules};
    struct cfg_scan scan = inside(pair);
    struct cfg_result *result = policy->reader->result;
    unsigned errors = result->errors;
    struct cfg_pair item;

    b.rules->text_len = 1;
    for (; b.number <= POL_RULES_MAX && cfg_scan_item(&scan, &item); b.number++)
        take_rule(policy, &b, policy->json->array_get(array, b.number), &item);
    b.rules->count = result->errors == errors ? b.number : 0;
    if (result->errors == errors)
        result->origin[CFG_OPTION_rules] = CFG_FROM_FILE;
}
