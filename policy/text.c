/* text.c: one line of text; see text.h. */
#include "policy/text.h"

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
