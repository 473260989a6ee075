/* model_bytes.h: model files in memory, written byte by byte, for the tests of their readers.
 */
#ifndef HYBRIDMEM_TESTS_MODEL_BYTES_H
#define HYBRIDMEM_TESTS_MODEL_BYTES_H

#include "policy/header.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    size_t len;
    unsigned char data[1 << 17];
};

static inline void put(struct bytes *b, const void *data, size_t len)
{
    ck_assert_uint_le(b->len + len, sizeof(b->data));
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static inline void put_number(struct bytes *b, uint64_t number, unsigned len)
{
    unsigned char byte;

    for (unsigned i = 0; i < len; i++) {
        byte = (unsigned char)(number >> (8 * i));
        put(b, &byte, 1);
    }
}

static inline void put_zeros(struct bytes *b, size_t len)
{
    while (len-- > 0)
        put(b, "", 1);
}

/* GGUF's strings. */
static inline void put_text(struct bytes *b, const char *text)
{
    put_number(b, strlen(text), 8);
    put(b, text, strlen(text));
}

/* --- a file over them ----------------------------------------------------------------------------
 * The copy is exactly as long as the file, so that a sanitizer sees each byte read beyond it.
 */

struct memory {
    unsigned char *data;
    uint64_t size;
    long reads, fail_at; /* the fail_at-th read fails; 0: none */
};

static inline bool memory_read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
    struct memory *m = ctx;

    ck_assert_uint_le(offset, m->size);
    ck_assert_uint_le(len, m->size - offset);
    if (++m->reads == m->fail_at)
        return false;
    memcpy(buf, m->data + offset, len);
    return true;
}

static inline struct memory memory_of(const struct bytes *b, size_t len)
{
    struct memory m = {malloc(len ? len : 1), len, 0, 0};

    ck_assert_ptr_nonnull(m.data);
    memcpy(m.data, b->data, len);
    return m;
}

static inline struct hdr_file file_of(struct memory *m)
{
    return (struct hdr_file){m->size, memory_read_at, m};
}

/* --- what a reader showed ------------------------------------------------------------------------
 */

struct shown {
    uint64_t size; /* of the file */
    uint64_t tensors, bytes;
    struct hdr_tensor last;
    char name[HDR_NAME_MAX];
    char all[4096]; /* "name type 2x3 bytes@offset", one a line */
};

static inline void show(void *arg, const struct hdr_tensor *t)
{
    struct shown *s = arg;
    size_t n = strlen(s->all);

    ck_assert_uint_le(t->offset, s->size);
    ck_assert_uint_le(t->bytes, s->size - t->offset);
    ck_assert_uint_le(t->dims, HDR_DIMS_MAX);
    ck_assert_int_eq(t->name[t->name_len], '\0');
    s->tensors++;
    s->bytes += t->bytes;
    s->last = *t;
    memcpy(s->name, t->name, t->name_len + 1);
    s->last.name = s->name;
    n += (size_t)snprintf(s->all + n, sizeof(s->all) - n, "%s %s ", t->name, t->type);
    for (unsigned i = 0; i < t->dims && n < sizeof(s->all); i++)
        n += (size_t)snprintf(s->all + n, sizeof(s->all) - n, "%s%llu", i ? "x" : "",
                              (unsigned long long)t->shape[i]);
    if (n < sizeof(s->all))
        snprintf(s->all + n, sizeof(s->all) - n, " %llu@%llu\n", (unsigned long long)t->bytes,
                 (unsigned long long)t->offset);
}

/* A seeded sequence, the same everywhere. */
static inline uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* One to four bytes become others: random ones, or those that readers stumble over. */
static inline void mutate(unsigned char *data, size_t len, uint32_t *state)
{
    static const unsigned char nasty[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"',
                                          '{',  '}',  '[',  ',',  '\\'};

    for (uint32_t n = next_random(state) % 4 + 1; n > 0; n--) {
        size_t at = next_random(state) % len;

        data[at] = next_random(state) % 2 ? nasty[next_random(state) % sizeof(nasty)]
                                          : (unsigned char)next_random(state);
    }
}

#endif
