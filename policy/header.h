/* header.h: what the readers of model files share: the file as two functions, a tensor, and a
 * buffered walk over the header that never leaves the file.
 *
 * Constant memory: the walk holds one buffer, a tensor is handed on and forgotten. A file is not
 * trusted in anything it says.
 */
#ifndef HYBRIDMEM_POLICY_HEADER_H
#define HYBRIDMEM_POLICY_HEADER_H

#include "policy/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HDR_NAME_MAX   1024 /* bytes of a tensor's name, with the closing NUL */
#define HDR_DIMS_MAX   16
#define HDR_BUFFER_LEN 16384

/* A file, supplied by the caller. */
struct hdr_file {
    uint64_t size; /* bytes */
    /* Reads exactly `len` bytes from `offset` on; false if that fails. Asked only for bytes within
     * `size`. */
    bool (*read_at)(void *ctx, uint64_t offset, void *buf, size_t len);
    void *ctx;
};

enum hdr_status {
    HDR_OK,
    HDR_BAD,        /* the contents are wrong: the error says what and at which byte */
    HDR_UNREADABLE, /* read_at failed: its owner knows why */
};

struct hdr_tensor {
    const char *name; /* as it is in the file, closed by a NUL; it may hold any byte */
    size_t name_len;
    const char *type; /* "Q4_K", "BF16" ...: a static string */
    unsigned dims;
    uint64_t shape[HDR_DIMS_MAX]; /* in the order of the file: GGUF has the fastest first */
    uint64_t bytes;
    uint64_t offset; /* from the beginning of the file */
};

/* Called for each tensor, in the order of the header. */
typedef void hdr_visit_fn(void *arg, const struct hdr_tensor *tensor);

struct hdr {
    const struct hdr_file *file;
    uint64_t at;  /* of the next byte */
    uint64_t end; /* where the walk must stop */
    enum hdr_status status;
    struct txt error;
    struct txt ignored; /* of the errors after the first */
    uint64_t buf_at;
    size_t buf_len;
    unsigned char buf[HDR_BUFFER_LEN];
};

/* Begins at byte 0; `end` is at most the file's size. */
void hdr_start(struct hdr *hdr, const struct hdr_file *file, uint64_t end);

/* Notes that the contents are wrong at byte `at`; returns the line to say what in. Of several
 * errors the first one stays. */
struct txt *hdr_fail(struct hdr *hdr, uint64_t at);

/* The next bytes; false after any error, and when the walk's end comes first. `what` is what they
 * would have been, for the error. */
bool hdr_bytes(struct hdr *hdr, void *out, size_t len, const char *what);
bool hdr_skip(struct hdr *hdr, uint64_t len, const char *what);
bool hdr_u32(struct hdr *hdr, uint32_t *value, const char *what); /* little-endian */
bool hdr_u64(struct hdr *hdr, uint64_t *value, const char *what);

/* The next byte without going on; -1 at the end and after an error. */
int hdr_peek(struct hdr *hdr);

/* Bytes that are left. */
uint64_t hdr_left(const struct hdr *hdr);

#endif
