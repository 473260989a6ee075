/* text.c: one line of text; see text.h. */
#include "policy/text.h"

#include <string.h>

#define FOREIGN_MAX 64

static void add_char(struct txt *txt, char c)
{
    if (txt->len + 1 < sizeof(txt->text))
        txt->text[txt->len++] = c;
    txt->text[txt->len] = '\0';
}

void txt_add(struct txt *txt, const char *text)
{
    while (*text)
        add_char(txt, *text++);
}

void txt_add_number(struct txt *txt, uint64_t number)
{
    char digits[21]; /* of 2^64 - 1, and a NUL */
    char *at = digits + sizeof(digits) - 1;

    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    txt_add(txt, at);
}

void txt_add_foreign(struct txt *txt, const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";

    add_char(txt, '"');
    for (size_t i = 0; i < len && i < FOREIGN_MAX; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= ' ' && c < 0x7f) {
            add_char(txt, (char)c);
        } else {
            txt_add(txt, "\\x");
            add_char(txt, hex[c >> 4]);
            add_char(txt, hex[c & 15]);
        }
    }
    txt_add(txt, len > FOREIGN_MAX ? "...\"" : "\"");
}

/* The length of the valid UTF-8 character at `s`, 0 if there is none (Unicode, table 3-7). */
static size_t utf8_len(const unsigned char *s, size_t len)
{
    size_t n = *s < 0x80 ? 1 : *s < 0xC2 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : *s < 0xF5 ? 4 : 0;
    unsigned char low = *s == 0xE0 ? 0xA0 : *s == 0xF0 ? 0x90 : 0x80;
    unsigned char high = *s == 0xED ? 0x9F : *s == 0xF4 ? 0x8F : 0xBF;

    if (n > len || (n > 1 && (s[1] < low || s[1] > high)))
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

size_t txt_json(const char *text, size_t len, char out[TXT_JSON_MAX])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)*text;
    size_t n = utf8_len((const unsigned char *)text, len);

    if (n == 0) {
        memcpy(out, "\\ufffd", sizeof("\\ufffd"));
        return 1;
    }
    if (c < ' ' || c == '"' || c == '\\' || c == 0x7f) {
        memcpy(out, "\\u00", 4);
        out[4] = hex[c >> 4];
        out[5] = hex[c & 15];
        out[6] = '\0';
        return 1;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return n;
}
