/* parse.c: text -> value, for each kind of option. Numbers are read exactly, without doubles. */
#include "config/option.h"

#include <string.h>
#include <strings.h>

typedef unsigned __int128 u128;

/* What is still to be read; the bytes before `end` need no closing NUL. */
struct span {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool peek(const struct span *s, char c)
{
    return s->at < s->end && *s->at == c;
}

static bool skip(struct span *s, char c)
{
    if (!peek(s, c))
        return false;
    s->at++;
    return true;
}

static void skip_blanks(struct span *s)
{
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
}

/* Is all that is left this word, in either case? */
static bool rest_is(const struct span *s, const char *word)
{
    size_t len = (size_t)(s->end - s->at);

    return len == strlen(word) && strncasecmp(s->at, word, len) == 0;
}

/* --- numbers -------------------------------------------------------------------------------------
 */

#define BILLIONTHS_MAX ((u128)UINT64_MAX * CFG_ONE)
#define DIGITS_MAX     36 /* 10^36 fits 128 bits, with room for one more rounding step */

/* The digits of a number as mantissa x 10^exponent. Beyond DIGITS_MAX significant digits none
 * counts for the range that we keep (29 digits). */
struct digits {
    u128 mantissa;
    int exponent;
    int significant;
    size_t count;
};

static void read_digits(struct span *s, struct digits *d, bool fraction)
{
    for (; s->at < s->end && is_digit(*s->at); s->at++, d->count++) {
        int digit = *s->at - '0';

        if (d->significant < DIGITS_MAX) {
            d->mantissa = d->mantissa * 10 + (u128)digit;
            d->significant += d->mantissa != 0;
            d->exponent -= fraction;
        } else {
            d->exponent += !fraction;
        }
    }
}

/* "e10", "E-3"; false when digits are missing. */
static bool read_exponent(struct span *s, int *exponent)
{
    bool negative;
    int e = 0;

    if (!skip(s, 'e') && !skip(s, 'E'))
        return true;
    negative = skip(s, '-');
    if (!negative)
        skip(s, '+');
    if (s->at == s->end || !is_digit(*s->at))
        return false;
    for (; s->at < s->end && is_digit(*s->at); s->at++)
        e = e < 1000000 ? e * 10 + (*s->at - '0') : e;
    *exponent += negative ? -e : e;
    return true;
}

/* A number without sign, in whole billionths, rounded to the nearest. False when there is none, or
 * when it is beyond 2^64. */
static bool read_number(struct span *s, u128 *billionths)
{
    struct digits d = {0, 0, 0, 0};
    int rounding = 0;

    read_digits(s, &d, false);
    if (d.count == 0)
        return false;
    if (skip(s, '.')) {
        size_t whole = d.count;

        read_digits(s, &d, true);
        if (d.count == whole)
            return false;
    }
    if (!read_exponent(s, &d.exponent))
        return false;
    for (d.exponent += 9; d.exponent > 0 && d.mantissa; d.exponent--) {
        if (d.mantissa > BILLIONTHS_MAX / 10)
            return false;
        d.mantissa *= 10;
    }
    for (; d.exponent < 0 && (d.mantissa || rounding); d.exponent++) {
        rounding = (int)(d.mantissa % 10);
        d.mantissa /= 10;
    }
    *billionths = d.mantissa + (rounding >= 5);
    return *billionths <= BILLIONTHS_MAX;
}

static bool read_all(const char *text, size_t len, u128 *billionths)
{
    struct span s = {text, text + len};

    return read_number(&s, billionths) && s.at == s.end;
}

static bool in_range(u128 billionths, const char *low, const char *high)
{
    u128 bound;

    if (*low && read_all(low, strlen(low), &bound) && billionths < bound)
        return false;
    return !(*high && read_all(high, strlen(high), &bound) && billionths > bound);
}

static bool parse_decimal(const struct cfg_desc *desc, struct span s, cfg_decimal_t *value)
{
    u128 billionths;

    if (cfg_word_index(desc->values, s.at, (size_t)(s.end - s.at)) >= 0) {
        *value = CFG_UNSET;
        return true;
    }
    if (!read_all(s.at, (size_t)(s.end - s.at), &billionths) || billionths >= CFG_UNSET ||
        !in_range(billionths, desc->low, desc->high))
        return false;
    *value = (uint64_t)billionths;
    return true;
}

static bool parse_uint(const struct cfg_desc *desc, struct span s, cfg_uint_t *value)
{
    u128 billionths;

    if (!read_all(s.at, (size_t)(s.end - s.at), &billionths) || billionths % CFG_ONE != 0 ||
        !in_range(billionths, desc->low, desc->high))
        return false;
    *value = (uint64_t)(billionths / CFG_ONE);
    return true;
}

/* --- sizes ---------------------------------------------------------------------------------------
 */

static bool read_unit(const struct span *s, uint64_t *unit)
{
    static const char letters[] = "KMGT";
    char word[4] = "?iB";

    *unit = 1;
    if (s->at == s->end || rest_is(s, "B"))
        return true;
    for (int i = 0; letters[i]; i++) {
        uint64_t binary = UINT64_C(1) << (10 * (i + 1));
        uint64_t decimal = 1;

        for (int j = 0; j <= i; j++)
            decimal *= 1000;
        word[0] = letters[i];
        memcpy(word + 1, "iB", 3);
        *unit = binary;
        if (rest_is(s, word))
            return true;
        word[1] = '\0';
        if (rest_is(s, word))
            return true;
        memcpy(word + 1, "B", 2);
        *unit = decimal;
        if (rest_is(s, word))
            return true;
    }
    return false;
}

static bool parse_size(const struct cfg_desc *desc, struct span s, cfg_size_t *value)
{
    int word = cfg_word_index(desc->values, s.at, (size_t)(s.end - s.at));
    u128 billionths;
    uint64_t unit;

    if (word >= 0 && !rest_is(&s, "%")) {
        *value = (struct cfg_size){CFG_UNSET, false};
        return true;
    }
    if (!read_number(&s, &billionths))
        return false;
    skip_blanks(&s);
    if (rest_is(&s, "%")) {
        if (cfg_word_index(desc->values, "%", 1) < 0 || billionths > 100 * (u128)CFG_ONE)
            return false;
        *value = (struct cfg_size){(uint64_t)billionths, true};
        return true;
    }
    /* Half a byte is a forgotten unit. */
    if (!read_unit(&s, &unit) || (unit == 1 && billionths % CFG_ONE != 0))
        return false;
    if (billionths > BILLIONTHS_MAX / unit || billionths * unit / CFG_ONE >= CFG_UNSET)
        return false;
    *value = (struct cfg_size){(uint64_t)(billionths * unit / CFG_ONE), false};
    return true;
}

/* --- devices -------------------------------------------------------------------------------------
 */

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, or whole bytes from its beginning. */
static bool read_uuid(struct span *s, struct pol_gpu *gpu)
{
    while (s->at < s->end && gpu->uuid_len < sizeof(gpu->uuid)) {
        size_t n = gpu->uuid_len;
        int high, low;

        if ((n == 4 || n == 6 || n == 8 || n == 10) && !skip(s, '-'))
            return false;
        if (s->end - s->at < 2)
            return false;
        high = hex_value(s->at[0]);
        low = hex_value(s->at[1]);
        if (high < 0 || low < 0)
            return false;
        gpu->uuid[gpu->uuid_len++] = (unsigned char)(high << 4 | low);
        s->at += 2;
    }
    return gpu->uuid_len > 0 && s->at == s->end;
}

static bool read_gpu(struct span s, struct pol_gpu *gpu)
{
    memset(gpu, 0, sizeof(*gpu));
    if (s.end - s.at > 4 && strncasecmp(s.at, "GPU-", 4) == 0) {
        s.at += 4;
        gpu->is_uuid = true;
        return read_uuid(&s, gpu);
    }
    if (s.end - s.at > 5 && strncasecmp(s.at, "cuda:", 5) == 0)
        s.at += 5;
    if (s.end - s.at > 4) /* nobody has 10,000 devices */
        return false;
    for (; s.at < s.end; s.at++) {
        if (!is_digit(*s.at))
            return false;
        gpu->ordinal = gpu->ordinal * 10 + (*s.at - '0');
    }
    return true;
}

static bool parse_gpus(struct span s, cfg_gpus_t *value)
{
    cfg_gpus_t gpus = {.all = false};

    if (rest_is(&s, "all")) {
        *value = (struct cfg_gpus){.all = true};
        return true;
    }
    do {
        struct span item;

        skip_blanks(&s);
        item = (struct span){s.at, s.at};
        while (item.end < s.end && !is_blank(*item.end) && *item.end != ',')
            item.end++;
        if (item.at == item.end || gpus.count == CFG_GPUS_MAX ||
            !read_gpu(item, &gpus.gpu[gpus.count]))
            return false;
        gpus.count++;
        s.at = item.end;
        skip_blanks(&s);
    } while (skip(&s, ',') || s.at < s.end);
    *value = gpus;
    return true;
}

/* --- the rest ------------------------------------------------------------------------------------
 */

static bool parse_bool(struct span s, cfg_bool_t *value)
{
    static const char words[] = "false true 0 1 no yes off on";
    int index = cfg_word_index(words, s.at, (size_t)(s.end - s.at));

    if (index < 0)
        return false;
    *value = index % 2 == 1;
    return true;
}

static bool parse_choice(const struct cfg_desc *desc, struct span s, cfg_choice_t *value)
{
    int index = cfg_word_index(desc->values, s.at, (size_t)(s.end - s.at));

    if (index < 0)
        return false;
    *value = index;
    return true;
}

static bool parse_text(struct span s, char *value)
{
    size_t len = (size_t)(s.end - s.at);

    if (len >= CFG_TEXT_MAX)
        return false;
    memcpy(value, s.at, len);
    value[len] = '\0';
    return true;
}

/* Rules themselves stand in files only (rules.c); none can be written anywhere. */
static bool parse_rules(struct span s, cfg_rules_t *value)
{
    if (!rest_is(&s, "[]"))
        return false;
    value->count = 0;
    return true;
}

bool cfg_parse_bytes(const char *text, size_t len, uint64_t *bytes)
{
    cfg_size_t size;

    if (!parse_size(&cfg_desc[CFG_OPTION_min_redirect], (struct span){text, text + len}, &size))
        return false;
    *bytes = size.value;
    return true;
}

bool cfg_parse_gpu(const char *text, size_t len, struct pol_gpu *gpu)
{
    return len > 0 && read_gpu((struct span){text, text + len}, gpu);
}

bool cfg_parse(struct config *config, enum cfg_option option, const char *text, size_t len)
{
    const struct cfg_desc *desc = &cfg_desc[option];
    void *field = (char *)config + desc->offset;
    struct span s = {text, text + len};

    switch (desc->kind) {
    case CFG_KIND_BOOL:
        return parse_bool(s, field);
    case CFG_KIND_DECIMAL:
        return parse_decimal(desc, s, field);
    case CFG_KIND_UINT:
        return parse_uint(desc, s, field);
    case CFG_KIND_SIZE:
        return parse_size(desc, s, field);
    case CFG_KIND_CHOICE:
        return parse_choice(desc, s, field);
    case CFG_KIND_GPUS:
        return parse_gpus(s, field);
    case CFG_KIND_TEXT:
        return parse_text(s, field);
    case CFG_KIND_RULES:
        return parse_rules(s, field);
    }
    return false;
}

bool cfg_advised(const struct config *config, enum cfg_option option)
{
    const struct cfg_desc *desc = &cfg_desc[option];
    const void *field = (const char *)config + desc->offset;

    if (desc->kind == CFG_KIND_DECIMAL && *(const cfg_decimal_t *)field != CFG_UNSET)
        return in_range(*(const cfg_decimal_t *)field, desc->advice_low, desc->advice_high);
    if (desc->kind == CFG_KIND_UINT)
        return in_range((u128) * (const cfg_uint_t *)field * CFG_ONE, desc->advice_low,
                        desc->advice_high);
    return true;
}
