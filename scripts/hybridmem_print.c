#include "scripts/hybridmem_print.h"

#include "policy/policy.h"
#include "policy/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct text size_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    struct text t;
    int unit = 0;

    while (value >= 999.95 && unit < 6) {
        value /= 1024;
        unit++;
    }
    snprintf(t.text, sizeof(t.text), "%.*f %s",
             unit == 0        ? 0
             : value < 99.995 ? 2
                              : 1,
             value, units[unit]);
    return t;
}

struct text name_text(const char *name, size_t len, size_t width)
{
    size_t head = width / 2, out = 0;
    struct text t;

    for (size_t i = 0; i < len && out < sizeof(t.text) - 1; i++) {
        if (len > width && i == head - 1) {
            t.text[out++] = '~';
            i = len - (width - head);
        }
        t.text[out++] = (char)(name[i] >= ' ' && name[i] < 0x7f ? name[i] : '?');
    }
    t.text[out] = '\0';
    return t;
}

struct text decimal_text(uint64_t billionths)
{
    struct text t;
    int n = snprintf(t.text, sizeof(t.text), "%" PRIu64 ".%09" PRIu64, billionths / POL_ONE,
                     billionths % POL_ONE);

    while (n > 0 && t.text[n - 1] == '0')
        t.text[--n] = '\0';
    if (n > 0 && t.text[n - 1] == '.')
        t.text[--n] = '\0';
    return t;
}

void print_string(const char *text, size_t len)
{
    char piece[TXT_JSON_MAX];

    putchar('"');
    for (size_t i = 0; i < len;) {
        i += txt_json(text + i, len - i, piece);
        fputs(piece, stdout);
    }
    putchar('"');
}

void print_text(const char *key, const char *value)
{
    printf("\"%s\": ", key);
    if (value)
        print_string(value, strlen(value));
    else
        printf("null");
}

void print_wrapped(const char *text, int indent)
{
    int column = 0;

    while (*text) {
        int n = (int)strcspn(text, " ");

        if (column && column + 1 + n > 88) {
            putchar('\n');
            column = 0;
        }
        column += printf("%*s%.*s", column ? 1 : indent, "", n, text);
        text += n + (int)strspn(text + n, " ");
    }
    putchar('\n');
}
