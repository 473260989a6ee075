/* format.c: value -> text, and the lines that tell what is wrong. */
#include "config/option.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- values --------------------------------------------------------------------------------------
 */

static void format_decimal(uint64_t billionths, const char *unit, char *buf, size_t len)
{
    uint64_t fraction = billionths % CFG_ONE;
    int digits = 9;

    if (fraction == 0) {
        snprintf(buf, len, "%" PRIu64 "%s", billionths / CFG_ONE, unit);
        return;
    }
    for (; fraction % 10 == 0; digits--)
        fraction /= 10;
    snprintf(buf, len, "%" PRIu64 ".%0*" PRIu64 "%s", billionths / CFG_ONE, digits, fraction, unit);
}

/* The largest unit that tells the size without a fraction. */
static void format_size(const struct cfg_size *size, char *buf, size_t len)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    uint64_t value = size->value;
    int unit = 0;

    if (value == CFG_UNSET) {
        snprintf(buf, len, "none");
    } else if (size->is_percent) {
        format_decimal(value, "%", buf, len);
    } else {
        for (; value && value % 1024 == 0 && unit < 4; unit++)
            value /= 1024;
        snprintf(buf, len, "%" PRIu64 "%s", value, units[unit]);
    }
}

/* Appends to a string in buf; what does not fit is cut off. */
__attribute__((format(printf, 3, 4))) static void append(char *buf, size_t len, const char *format,
                                                         ...)
{
    size_t used = strlen(buf);
    va_list args;

    va_start(args, format);
    vsnprintf(buf + used, len - used, format, args);
    va_end(args);
}

static void format_gpus(const struct cfg_gpus *gpus, char *buf, size_t len)
{
    snprintf(buf, len, "%s", gpus->all ? "all" : "");
    for (size_t i = 0; i < gpus->count; i++) {
        const struct pol_gpu *gpu = &gpus->gpu[i];

        append(buf, len, "%s", i ? "," : "");
        if (!gpu->is_uuid) {
            append(buf, len, "cuda:%d", gpu->ordinal);
            continue;
        }
        append(buf, len, "GPU");
        for (size_t n = 0; n < gpu->uuid_len; n++)
            append(buf, len, "%s%02x", n == 0 || n == 4 || n == 6 || n == 8 || n == 10 ? "-" : "",
                   gpu->uuid[n]);
    }
}

static void format_rules(const struct pol_rules *rules, char *buf, size_t len)
{
    if (rules->count == 0)
        snprintf(buf, len, "[]");
    else
        snprintf(buf, len, "%u rule%s", rules->count, rules->count == 1 ? "" : "s");
}

static void format_choice(const char *values, int choice, char *buf, size_t len)
{
    for (; choice > 0; choice--)
        values += strcspn(values, " ") + 1;
    snprintf(buf, len, "%.*s", (int)strcspn(values, " "), values);
}

const char *cfg_format(const struct config *config, enum cfg_option option, char *buf, size_t len)
{
    const struct cfg_desc *desc = &cfg_desc[option];
    const void *field = (const char *)config + desc->offset;

    if (len == 0)
        return buf;
    switch (desc->kind) {
    case CFG_KIND_BOOL:
        snprintf(buf, len, "%s", *(const cfg_bool_t *)field ? "true" : "false");
        break;
    case CFG_KIND_DECIMAL:
        if (*(const cfg_decimal_t *)field == CFG_UNSET)
            snprintf(buf, len, "auto");
        else
            format_decimal(*(const cfg_decimal_t *)field, "", buf, len);
        break;
    case CFG_KIND_UINT:
        snprintf(buf, len, "%" PRIu64, *(const cfg_uint_t *)field);
        break;
    case CFG_KIND_SIZE:
        format_size(field, buf, len);
        break;
    case CFG_KIND_CHOICE:
        format_choice(desc->values, *(const cfg_choice_t *)field, buf, len);
        break;
    case CFG_KIND_GPUS:
        format_gpus(field, buf, len);
        break;
    case CFG_KIND_TEXT:
        snprintf(buf, len, "%s", (const char *)field);
        break;
    case CFG_KIND_RULES:
        format_rules(field, buf, len);
        break;
    }
    return buf;
}

/* --- diagnostics ---------------------------------------------------------------------------------
 */

void cfg_add(struct cfg_line *line, const char *format, ...)
{
    size_t room = sizeof(line->text) - line->len;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line->text + line->len, room, format, args);
    va_end(args);
    if (n > 0)
        line->len += (size_t)n < room ? (size_t)n : room - 1;
}

void cfg_add_foreign(struct cfg_line *line, const char *text, size_t len, size_t show)
{
    size_t shown = len < show ? len : show;

    /* Not in the middle of a UTF-8 sequence. */
    while (shown < len && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == 0x7F)
            cfg_add(line, "\\x%02x", c);
        else
            cfg_add(line, "%c", c);
    }
    if (shown < len)
        cfg_add(line, "...");
}

void cfg_add_allowed(struct cfg_line *line, enum cfg_option option)
{
    const struct cfg_desc *desc = &cfg_desc[option];

    switch (desc->kind) {
    case CFG_KIND_BOOL:
        cfg_add(line, "true or false");
        break;
    case CFG_KIND_DECIMAL:
        cfg_add(line, "a number from %s to %s%s%s", desc->low, desc->high,
                *desc->values ? ", or " : "", desc->values);
        break;
    case CFG_KIND_UINT:
        cfg_add(line, "a whole number from %s to %s", desc->low, desc->high);
        break;
    case CFG_KIND_SIZE:
        cfg_add(line, "a size such as 512MiB or 6G%s%s",
                cfg_word_index(desc->values, "%", 1) >= 0 ? ", a percentage such as 50%" : "",
                cfg_word_index(desc->values, "none", 4) >= 0 ? ", or none" : "");
        break;
    case CFG_KIND_CHOICE:
        cfg_add(line, "%s", desc->values);
        break;
    case CFG_KIND_GPUS:
        cfg_add(line, "all, cuda:0, a list such as cuda:0,cuda:1, or UUIDs such as GPU-0123abcd");
        break;
    case CFG_KIND_TEXT:
        cfg_add(line, "text of at most %d bytes", CFG_TEXT_MAX - 1);
        break;
    case CFG_KIND_RULES:
        cfg_add(line, "in a policy file an array of at most %d rules, elsewhere only []",
                POL_RULES_MAX);
        break;
    }
}

void cfg_add_condition(struct cfg_line *line, const struct cfg_condition *condition)
{
    switch (condition->kind) {
    case CFG_CONDITION_TEXT:
        cfg_add(line, "a pattern such as \"*norm*\", or an array of them");
        break;
    case CFG_CONDITION_WORD:
    case CFG_CONDITION_ALLOCATOR:
        cfg_add(line, "of %s, one or an array", condition->words);
        break;
    case CFG_CONDITION_DEVICE:
        cfg_add(line, "cuda:0 or GPU-0123abcd, or an array of at most %d", POL_RULE_GPUS_MAX);
        break;
    case CFG_CONDITION_LEAST:
    case CFG_CONDITION_MOST:
        cfg_add_allowed(line, CFG_OPTION_min_redirect);
        break;
    }
}

void cfg_add_place(struct cfg_line *line, const struct cfg_place *place)
{
    if (!place->file) {
        cfg_add_foreign(line, place->name, place->name_len, 80);
        cfg_add(line, ": ");
        return;
    }
    cfg_add_foreign(line, place->file, strlen(place->file), 1000);
    if (place->line)
        cfg_add(line, ":%u:%u", place->line, place->column);
    cfg_add(line, ": ");
    if (place->name) {
        cfg_add(line, "key \"");
        cfg_add_foreign(line, place->name, place->name_len, 80);
        cfg_add(line, "\": ");
    }
}

void cfg_say(struct cfg_reader *reader, enum cfg_severity severity, const struct cfg_line *line)
{
    if (severity == CFG_ERROR)
        reader->result->errors++;
    else
        reader->result->warnings++;
    if (reader->report)
        reader->report(reader->arg, severity, line->text);
}
