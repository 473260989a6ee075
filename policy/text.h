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

#endif
