/* text.h: one line of text, put together without stdio, which this folder does without.
 */
#ifndef HYBRIDMEM_POLICY_TEXT_H
#define HYBRIDMEM_POLICY_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Always closed by a NUL; what does not fit is cut off. */
struct txt {
    size_t len;
    char text[384];
};

void txt_add(struct txt *txt, const char *text);
void txt_add_number(struct txt *txt, uint64_t number);

/* Adds a name from a file, quoted: printable ASCII as it is, other bytes as \xNN, at most 64 bytes
 * of it, then "...". */
void txt_add_foreign(struct txt *txt, const char *text, size_t len);

/* The first character of text[0..len), len > 0, as it stands inside a JSON string, closed by a NUL.
 * Returns the bytes of it. What is not UTF-8 becomes U+FFFD, a byte at a time. */
#define TXT_JSON_MAX 8
size_t txt_json(const char *text, size_t len, char out[TXT_JSON_MAX]);

#endif
