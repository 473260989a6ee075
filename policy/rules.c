/* rules.c: the first rule that matches decides; see rules.h. */
#include "policy/rules.h"

#include <string.h>

bool pol_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) { /* the last '*' takes one character more: earlier ones never need to */
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool pol_gpu_is(const struct pol_gpu *gpu, int ordinal, const unsigned char *uuid)
{
    if (gpu->is_uuid)
        return uuid && memcmp(uuid, gpu->uuid, gpu->uuid_len) == 0;
    return gpu->ordinal == ordinal;
}

static bool file_matches(const char *pattern, const char *path)
{
    const char *name = strchr(pattern, '/') ? NULL : strrchr(path, '/');

    return pol_glob(pattern, name ? name + 1 : path);
}

static bool text_matches(const struct pol_rules *rules, const struct pol_rule *rule,
                         enum pol_rule_text what, const char *text)
{
    const char *pattern = rules->text + rule->text[what];

    if (!rule->text[what])
        return true;
    if (!text)
        return false;
    for (; *pattern; pattern += strlen(pattern) + 1)
        if (what == POL_RULE_FILE ? file_matches(pattern, text) : pol_glob(pattern, text))
            return true;
    return false;
}

static bool matches(const struct pol_rules *rules, const struct pol_rule *rule,
                    const struct pol_subject *subject)
{
    bool here = rule->gpus == 0;

    if (subject->bytes < rule->min_size || subject->bytes > rule->max_size)
        return false;
    if (rule->allocators && !(rule->allocators >> subject->allocator & 1))
        return false;
    for (unsigned i = 0; i < rule->gpus && !here; i++)
        here = pol_gpu_is(&rule->gpu[i], subject->device, subject->uuid);
    for (int what = 0; what < POL_RULE_TEXTS && here; what++)
        here = text_matches(rules, rule, (enum pol_rule_text)what, subject->text[what]);
    return here;
}

enum pol_place pol_rules_place(const struct pol_rules *rules, const struct pol_subject *subject,
                               unsigned *which)
{
    unsigned number = 0;

    while (number < rules->count && !matches(rules, &rules->rule[number], subject))
        number++;
    if (which)
        *which = number < rules->count ? number + 1 : 0;
    return number < rules->count ? rules->rule[number].place : POL_PLACE_AUTO;
}

enum pol_place pol_place_of(const struct pol_rules *rules, bool skip_clip,
                            const struct pol_subject *subject, unsigned *which)
{
    const char *type = subject->text[POL_RULE_MODEL_TYPE];
    enum pol_place place = pol_rules_place(rules, subject, which);

    if (*which == 0 && skip_clip && type && strcmp(type, "gguf_clip") == 0)
        return POL_PLACE_SKIP;
    return place;
}
