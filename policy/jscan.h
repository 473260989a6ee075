/* jscan.h: JSON (RFC 8259) read from a header byte by byte: strict, without a tree, in constant
 * memory. Every function skips white space before it; false after any error, which stands in `hdr`.
 */
#ifndef HYBRIDMEM_POLICY_JSCAN_H
#define HYBRIDMEM_POLICY_JSCAN_H

#include "policy/header.h"

#define JSCAN_DEPTH_MAX 32 /* of a value that is skipped */

/* The next character that is not white space, without going on; -1 at the end. */
int jscan_peek(struct hdr *hdr);

/* Goes over exactly this character. */
bool jscan_expect(struct hdr *hdr, char c);

/* For the members of an object and the elements of an array: call it before each, with *first true
 * at the beginning. True: there is one more; false: the closing bracket was gone over, or an
 * error. */
bool jscan_more(struct hdr *hdr, char close, bool *first);

/* A string, escapes decoded, UTF-8 checked, closed by a NUL. Longer than size - 1 bytes: an error,
 * or cut off if `cut`. */
bool jscan_string(struct hdr *hdr, char *to, size_t size, size_t *len, bool cut);

/* A whole number from 0 to 2^64 - 1, without fraction and exponent. */
bool jscan_whole(struct hdr *hdr, uint64_t *value);

/* Any value. */
bool jscan_skip(struct hdr *hdr);

#endif
