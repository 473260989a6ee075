/* hybridmem_print.h: how the command writes sizes and names, for people and as JSON.
 */
#ifndef HYBRIDMEM_SCRIPTS_HYBRIDMEM_PRINT_H
#define HYBRIDMEM_SCRIPTS_HYBRIDMEM_PRINT_H

#include <stddef.h>
#include <stdint.h>

/* A short text, by value, so that several may stand in one printf. */
struct text {
    char text[96];
};

/* "4.41 GiB": at most nine columns. */
struct text size_text(uint64_t bytes);

/* Printable ASCII as it is, anything else as '?': a name must not steer the terminal. Of a name
 * longer than `width` the middle is left out. */
struct text name_text(const char *name, size_t len, size_t width);

/* A decimal of billionths, without closing zeros. */
struct text decimal_text(uint64_t billionths);

/* A JSON string on stdout. */
void print_string(const char *text, size_t len);

/* "key": "value" on stdout; null for NULL. */
void print_text(const char *key, const char *value);

/* Words on stdout, indented, in lines of at most 88 columns. */
void print_wrapped(const char *text, int indent);

#endif
