/* header.c: a buffered walk over the header of a model file; see header.h. */
#include "policy/header.h"

#include <string.h>

void hdr_start(struct hdr *hdr, const struct hdr_file *file, uint64_t end)
{
    hdr->file = file;
    hdr->at = 0;
    hdr->end = end;
    hdr->status = HDR_OK;
    hdr->error = (struct txt){0};
    hdr->ignored = (struct txt){0};
    hdr->buf_at = 0;
    hdr->buf_len = 0;
}

struct txt *hdr_fail(struct hdr *hdr, uint64_t at)
{
    if (hdr->status != HDR_OK) {
        hdr->ignored.len = 0;
        return &hdr->ignored;
    }
    hdr->status = HDR_BAD;
    txt_add(&hdr->error, "byte ");
    txt_add_number(&hdr->error, at);
    txt_add(&hdr->error, ": ");
    return &hdr->error;
}

uint64_t hdr_left(const struct hdr *hdr)
{
    return hdr->end - hdr->at;
}

/* Makes the byte at hdr->at, which is before the end, lie in the buffer. */
static bool fill(struct hdr *hdr)
{
    uint64_t left = hdr_left(hdr);

    if (hdr->at >= hdr->buf_at && hdr->at - hdr->buf_at < hdr->buf_len)
        return true;
    hdr->buf_at = hdr->at;
    hdr->buf_len = left < HDR_BUFFER_LEN ? (size_t)left : HDR_BUFFER_LEN;
    if (hdr->file->read_at(hdr->file->ctx, hdr->buf_at, hdr->buf, hdr->buf_len))
        return true;
    hdr->buf_len = 0;
    txt_add(hdr_fail(hdr, hdr->at), "cannot be read");
    hdr->status = HDR_UNREADABLE;
    return false;
}

/* Are `len` more bytes there? */
static bool has(struct hdr *hdr, uint64_t len, const char *what)
{
    struct txt *error;

    if (hdr->status != HDR_OK)
        return false;
    if (len <= hdr_left(hdr))
        return true;
    error = hdr_fail(hdr, hdr->at);
    txt_add(error, what);
    txt_add(error, " would take ");
    txt_add_number(error, len);
    txt_add(error, len == 1 ? " byte" : " bytes");
    txt_add(error,
            hdr->end == hdr->file->size ? ", but the file ends at " : ", but the header ends at ");
    txt_add_number(error, hdr->end);
    return false;
}

bool hdr_bytes(struct hdr *hdr, void *out, size_t len, const char *what)
{
    unsigned char *to = out;

    if (!has(hdr, len, what))
        return false;
    while (len > 0) {
        size_t there;

        if (!fill(hdr))
            return false;
        there = hdr->buf_len - (size_t)(hdr->at - hdr->buf_at);
        there = there < len ? there : len;
        memcpy(to, hdr->buf + (hdr->at - hdr->buf_at), there);
        to += there;
        len -= there;
        hdr->at += there;
    }
    return true;
}

bool hdr_skip(struct hdr *hdr, uint64_t len, const char *what)
{
    if (!has(hdr, len, what))
        return false;
    hdr->at += len;
    return true;
}

bool hdr_u32(struct hdr *hdr, uint32_t *value, const char *what)
{
    unsigned char b[4];

    if (!hdr_bytes(hdr, b, sizeof(b), what))
        return false;
    *value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return true;
}

bool hdr_u64(struct hdr *hdr, uint64_t *value, const char *what)
{
    unsigned char b[8];

    if (!hdr_bytes(hdr, b, sizeof(b), what))
        return false;
    *value = 0;
    for (int i = 0; i < 8; i++)
        *value |= (uint64_t)b[i] << (8 * i);
    return true;
}

int hdr_peek(struct hdr *hdr)
{
    if (hdr->status != HDR_OK || hdr->at >= hdr->end || !fill(hdr))
        return -1;
    return hdr->buf[hdr->at - hdr->buf_at];
}
