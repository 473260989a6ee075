/* jscan.c: JSON read byte by byte; see jscan.h. */
#include "policy/jscan.h"

static bool fail(struct hdr *hdr, const char *what)
{
    txt_add(hdr_fail(hdr, hdr->at), what);
    return false;
}

/* "found X" about the byte at hand. */
static bool fail_found(struct hdr *hdr, const char *expected)
{
    int c = hdr_peek(hdr);
    char byte = (char)c;
    struct txt *error = hdr_fail(hdr, hdr->at);

    txt_add(error, "JSON: expected ");
    txt_add(error, expected);
    txt_add(error, ", found ");
    if (c < 0)
        txt_add(error, "the header's end");
    else
        txt_add_foreign(error, &byte, 1);
    return false;
}

int jscan_peek(struct hdr *hdr)
{
    int c;

    while ((c = hdr_peek(hdr)) == ' ' || c == '\t' || c == '\n' || c == '\r')
        hdr->at++;
    return c;
}

bool jscan_expect(struct hdr *hdr, char c)
{
    char expected[] = {'\'', c, '\'', '\0'};

    if (jscan_peek(hdr) != c)
        return fail_found(hdr, expected);
    hdr->at++;
    return true;
}

bool jscan_more(struct hdr *hdr, char close, bool *first)
{
    int c = jscan_peek(hdr);
    bool was_first = *first;

    *first = false;
    if (c == close) {
        hdr->at++;
        return false;
    }
    if (was_first)
        return c >= 0 || fail_found(hdr, "a value");
    if (c != ',')
        return fail_found(hdr, close == '}' ? "',' or '}'" : "',' or ']'");
    hdr->at++;
    /* A comma at the very end is left to whoever reads the next value: the bracket is none. */
    return hdr->status == HDR_OK;
}

/* --- strings -------------------------------------------------------------------------------------
 */

struct out {
    char *to;
    size_t size, len;
    bool too_long;
};

static void put(struct out *out, unsigned c)
{
    if (out->len + 1 < out->size)
        out->to[out->len++] = (char)c;
    else
        out->too_long = true;
}

static void put_utf8(struct out *out, uint32_t point)
{
    if (point < 0x80) {
        put(out, point);
    } else if (point < 0x800) {
        put(out, 0xC0 | point >> 6);
        put(out, 0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(out, 0xE0 | point >> 12);
        put(out, 0x80 | (point >> 6 & 0x3F));
        put(out, 0x80 | (point & 0x3F));
    } else {
        put(out, 0xF0 | point >> 18);
        put(out, 0x80 | (point >> 12 & 0x3F));
        put(out, 0x80 | (point >> 6 & 0x3F));
        put(out, 0x80 | (point & 0x3F));
    }
}

static bool read_hex(struct hdr *hdr, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        int c = hdr_peek(hdr);

        if (c >= '0' && c <= '9')
            c -= '0';
        else if (c >= 'a' && c <= 'f')
            c -= 'a' - 10;
        else if (c >= 'A' && c <= 'F')
            c -= 'A' - 10;
        else
            return fail_found(hdr, "four hexadecimal digits");
        *value = *value << 4 | (uint32_t)c;
        hdr->at++;
    }
    return true;
}

/* Behind "\u". Points beyond 16 bits are written as two (RFC 8259, section 7). */
static bool read_point(struct hdr *hdr, struct out *out)
{
    uint32_t point, low;

    if (!read_hex(hdr, &point))
        return false;
    if (point >= 0xD800 && point < 0xE000) {
        if (point >= 0xDC00 || hdr_peek(hdr) != '\\')
            return fail(hdr, "JSON: half of a surrogate pair");
        hdr->at++;
        if (hdr_peek(hdr) != 'u')
            return fail(hdr, "JSON: half of a surrogate pair");
        hdr->at++;
        if (!read_hex(hdr, &low))
            return false;
        if (low < 0xDC00 || low >= 0xE000)
            return fail(hdr, "JSON: half of a surrogate pair");
        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    put_utf8(out, point);
    return true;
}

/* Behind a backslash. */
static bool read_escape(struct hdr *hdr, struct out *out)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    int c = hdr_peek(hdr);

    if (c == 'u') {
        hdr->at++;
        return read_point(hdr, out);
    }
    for (int i = 0; letters[i]; i++) {
        if (c == letters[i]) {
            put(out, (unsigned char)values[i]);
            hdr->at++;
            return true;
        }
    }
    return fail_found(hdr, "an escape");
}

/* One character of more than one byte, in the shortest form, no surrogate (Unicode, table 3-7). */
static bool read_utf8(struct hdr *hdr, struct out *out)
{
    int c = hdr_peek(hdr);
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    int low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    int high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;

    if (c < 0xC2 || c > 0xF4)
        return fail(hdr, "not valid UTF-8");
    put(out, (unsigned)c);
    for (hdr->at++; more > 0; more--, hdr->at++) {
        c = hdr_peek(hdr);
        if (c < low || c > high)
            return fail(hdr, "not valid UTF-8");
        put(out, (unsigned)c);
        low = 0x80;
        high = 0xBF;
    }
    return true;
}

static bool read_character(struct hdr *hdr, struct out *out)
{
    int c = hdr_peek(hdr);

    if (c < 0)
        return fail_found(hdr, "'\"'");
    if (c < ' ')
        return fail(hdr, "JSON: a control character in a string");
    if (c >= 0x80)
        return read_utf8(hdr, out);
    hdr->at++;
    if (c == '\\')
        return read_escape(hdr, out);
    put(out, (unsigned)c);
    return true;
}

bool jscan_string(struct hdr *hdr, char *to, size_t size, size_t *len, bool cut)
{
    struct out out = {to, size, 0, false};
    uint64_t at;

    if (jscan_peek(hdr) != '"')
        return fail_found(hdr, "a string");
    at = hdr->at++;
    while (hdr_peek(hdr) != '"')
        if (!read_character(hdr, &out))
            return false;
    hdr->at++;
    if (out.too_long && !cut) {
        struct txt *error = hdr_fail(hdr, at);

        txt_add(error, "a string of more than ");
        txt_add_number(error, size - 1);
        txt_add(error, " bytes");
        return false;
    }
    to[out.len] = '\0';
    *len = out.len;
    return true;
}

/* --- numbers and the rest ------------------------------------------------------------------------
 */

bool jscan_whole(struct hdr *hdr, uint64_t *value)
{
    int c = jscan_peek(hdr);
    uint64_t at = hdr->at;
    bool zero = c == '0';

    if (c < '0' || c > '9')
        return fail_found(hdr, "a whole number from 0");
    for (*value = 0; c >= '0' && c <= '9'; c = hdr_peek(hdr)) {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(c - '0'), value)) {
            txt_add(hdr_fail(hdr, at), "a number beyond 2^64");
            return false;
        }
        if (zero && hdr->at > at)
            return fail(hdr, "JSON: a number that begins with 0");
        hdr->at++;
    }
    if (c == '.' || c == 'e' || c == 'E')
        return fail_found(hdr, "a whole number");
    return hdr->status == HDR_OK;
}

static int skip_digits(struct hdr *hdr)
{
    int digits = 0, c;

    while ((c = hdr_peek(hdr)) >= '0' && c <= '9') {
        digits = 1;
        hdr->at++;
    }
    return digits;
}

static bool skip_number(struct hdr *hdr)
{
    if (hdr_peek(hdr) == '-')
        hdr->at++;
    if (hdr_peek(hdr) == '0')
        hdr->at++;
    else if (!skip_digits(hdr))
        return fail_found(hdr, "a value");
    if (hdr_peek(hdr) == '.') {
        hdr->at++;
        if (!skip_digits(hdr))
            return fail_found(hdr, "a digit");
    }
    if (hdr_peek(hdr) == 'e' || hdr_peek(hdr) == 'E') {
        hdr->at++;
        if (hdr_peek(hdr) == '+' || hdr_peek(hdr) == '-')
            hdr->at++;
        if (!skip_digits(hdr))
            return fail_found(hdr, "a digit");
    }
    return hdr->status == HDR_OK;
}

static bool skip_word(struct hdr *hdr, const char *word)
{
    for (const char *c = word; *c; c++, hdr->at++)
        if (hdr_peek(hdr) != *c)
            return fail_found(hdr, word);
    return true;
}

static bool skip_value(struct hdr *hdr, int depth);

static bool skip_inside(struct hdr *hdr, char close, int depth)
{
    bool first = true;
    char nothing[1];
    size_t len;

    if (depth == JSCAN_DEPTH_MAX)
        return fail(hdr, "JSON: nested more than 32 deep");
    hdr->at++;
    while (jscan_more(hdr, close, &first)) {
        if (close == '}' &&
            (!jscan_string(hdr, nothing, sizeof(nothing), &len, true) || !jscan_expect(hdr, ':')))
            return false;
        if (!skip_value(hdr, depth + 1))
            return false;
    }
    return hdr->status == HDR_OK;
}

static bool skip_value(struct hdr *hdr, int depth)
{
    char nothing[1];
    size_t len;

    switch (jscan_peek(hdr)) {
    case '{':
        return skip_inside(hdr, '}', depth);
    case '[':
        return skip_inside(hdr, ']', depth);
    case '"':
        return jscan_string(hdr, nothing, sizeof(nothing), &len, true);
    case 't':
        return skip_word(hdr, "true");
    case 'f':
        return skip_word(hdr, "false");
    case 'n':
        return skip_word(hdr, "null");
    }
    return skip_number(hdr);
}

bool jscan_skip(struct hdr *hdr)
{
    return skip_value(hdr, 0);
}
