/* safetensors.c: the header of a safetensors file; see safetensors.h. Layout:
 *
 *     u64 n, little-endian
 *     n bytes of JSON: { "__metadata__": {"key": "value", ...},
 *                        "tensor": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, ...
 * } the data, to the end of the file
 */
#include "policy/safetensors.h"

#include "policy/jscan.h"

#include <string.h>

#define LENGTH_LEN 8
#define WORD_MAX   32

/* The reference's dtypes; bits, because some are smaller than a byte. */
static const struct dtype {
    const char *name;
    unsigned bits;
} dtypes[] = {
    {"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E8M0", 8}, {"F4", 4},      {"F6_E2M3", 6},
    {"F6_E3M2", 6},     {"I16", 16},        {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},        {"F32", 32},    {"I64", 64},    {"U64", 64},
    {"F64", 64},        {"C64", 64},
};

struct walk {
    struct hdr hdr;
    struct safetensors_info *info;
    char name[HDR_NAME_MAX]; /* of the tensor at hand */
    size_t name_len;
    uint64_t name_at; /* where its entry begins */
    /* Do the tensors cover the data? See covers(). */
    uint64_t balance, last_end;
    uint64_t
        odd_at; /* the first tensor that does not begin where the one before it ended; 0: none */
};

static struct txt *tensor_fail(struct walk *w, uint64_t at)
{
    struct txt *error = hdr_fail(&w->hdr, at);

    txt_add(error, "tensor ");
    txt_add_foreign(error, w->name, w->name_len);
    txt_add(error, ": ");
    return error;
}

/* --- do they cover the data? ---------------------------------------------------------------------
 * Tensors may stand in any order, and their number is not bounded, so their ranges cannot be kept
 * and sorted. Taken as arrows from begin to end, ranges that lead forward form one path from 0 to
 * the data's end exactly if each place has as many arrows in as out, but for the two ends: no hole,
 * no overlap. That is counted with a hash of the place: a sum which is zero in the end.
 */

static uint64_t hash(uint64_t x) /* splitmix64's finaliser */
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool covers(struct walk *w)
{
    uint64_t size = w->hdr.file->size - w->info->data_at;
    struct txt *error;

    if (w->info->tensor_bytes == size && w->balance + hash(size) - hash(0) == 0)
        return true;
    error = hdr_fail(&w->hdr, w->odd_at ? w->odd_at : w->info->data_at);
    if (w->odd_at) {
        txt_add(error, "tensors overlap or leave a hole: the one here does not begin where the one "
                       "before it ended");
    } else {
        txt_add(error, "the tensors take ");
        txt_add_number(error, w->info->tensor_bytes);
        txt_add(error, " bytes, but the file has ");
        txt_add_number(error, size);
        txt_add(error, " bytes of data");
    }
    return false;
}

/* --- one tensor ----------------------------------------------------------------------------------
 */

static const struct dtype *dtype_named(const char *name)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

static bool read_dtype(struct walk *w, const struct dtype **dtype)
{
    uint64_t at;
    char word[WORD_MAX];
    struct txt *error;
    size_t len;

    jscan_peek(&w->hdr);
    at = w->hdr.at;
    if (!jscan_string(&w->hdr, word, sizeof(word), &len, true))
        return false;
    *dtype = dtype_named(word);
    if (*dtype && strlen(word) == len)
        return true;
    error = tensor_fail(w, at);
    txt_add(error, "dtype ");
    txt_add_foreign(error, word, len);
    txt_add(error, " is unknown");
    return false;
}

static bool read_shape(struct walk *w, struct hdr_tensor *t)
{
    bool first = true;

    t->dims = 0;
    if (!jscan_expect(&w->hdr, '['))
        return false;
    while (jscan_more(&w->hdr, ']', &first)) {
        if (t->dims == HDR_DIMS_MAX) {
            txt_add(tensor_fail(w, w->hdr.at), "more than 16 dimensions");
            return false;
        }
        if (!jscan_whole(&w->hdr, &t->shape[t->dims++]))
            return false;
    }
    return w->hdr.status == HDR_OK;
}

static bool read_offsets(struct walk *w, uint64_t *begin, uint64_t *end)
{
    uint64_t size = w->hdr.file->size - w->info->data_at, at;
    struct txt *error;

    jscan_peek(&w->hdr);
    at = w->hdr.at;
    if (!jscan_expect(&w->hdr, '[') || !jscan_whole(&w->hdr, begin) ||
        !jscan_expect(&w->hdr, ',') || !jscan_whole(&w->hdr, end) || !jscan_expect(&w->hdr, ']'))
        return false;
    if (*begin <= *end && *end <= size)
        return true;
    error = tensor_fail(w, at);
    txt_add(error, "data_offsets ");
    txt_add_number(error, *begin);
    txt_add(error, " to ");
    txt_add_number(error, *end);
    txt_add(error, *begin > *end ? " run backwards" : " reach beyond the end of the file");
    return false;
}

/* The bytes of the shape; the elements of a dimension of 0 are none, whatever the others say. */
static bool shape_bytes(struct walk *w, struct hdr_tensor *t, const struct dtype *dtype)
{
    uint64_t n = 1;
    bool fits = true;

    for (unsigned i = 0; i < t->dims; i++)
        fits = fits && !__builtin_mul_overflow(n, t->shape[i], &n);
    fits = fits && !__builtin_mul_overflow(n, dtype->bits, &n);
    t->bytes = n / 8;
    if (fits && n % 8 == 0)
        return true;
    txt_add(tensor_fail(w, w->name_at),
            fits ? "does not end at a whole byte" : "more than 2^64 bits");
    return false;
}

static bool take_tensor(struct walk *w, struct hdr_tensor *t, const struct dtype *dtype,
                        uint64_t begin, uint64_t end)
{
    struct txt *error;

    if (!shape_bytes(w, t, dtype))
        return false;
    if (t->bytes != end - begin) {
        error = tensor_fail(w, w->name_at);
        txt_add(error, "data_offsets have ");
        txt_add_number(error, end - begin);
        txt_add(error, " bytes, the shape in ");
        txt_add(error, dtype->name);
        txt_add(error, " takes ");
        txt_add_number(error, t->bytes);
        return false;
    }
    if (begin != w->last_end && !w->odd_at)
        w->odd_at = w->name_at;
    w->last_end = end;
    w->balance += hash(begin) - hash(end);
    w->info->tensors++;
    w->info->tensor_bytes += t->bytes;
    t->name = w->name;
    t->name_len = w->name_len;
    t->type = dtype->name;
    t->offset = w->info->data_at + begin;
    return true;
}

/* The members of a tensor's object; unknown ones are passed over, as the reference does. */
static bool read_members(struct walk *w, struct hdr_tensor *t, const struct dtype **dtype,
                         uint64_t *begin, uint64_t *end)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    unsigned seen = 0;
    bool first = true, ok;
    char key[WORD_MAX];
    size_t len;

    while (jscan_more(&w->hdr, '}', &first)) {
        unsigned i = 0;

        if (!jscan_string(&w->hdr, key, sizeof(key), &len, true) || !jscan_expect(&w->hdr, ':'))
            return false;
        while (i < 3 && (strlen(keys[i]) != len || memcmp(keys[i], key, len) != 0))
            i++;
        if (i < 3 && seen & 1u << i) {
            txt_add(tensor_fail(w, w->name_at), "a key is there twice");
            return false;
        }
        seen |= 1u << i;
        ok = i == 0   ? read_dtype(w, dtype)
             : i == 1 ? read_shape(w, t)
             : i == 2 ? read_offsets(w, begin, end)
                      : jscan_skip(&w->hdr);
        if (!ok)
            return false;
    }
    if (w->hdr.status == HDR_OK && (seen & 7) != 7) {
        struct txt *error = tensor_fail(w, w->name_at);

        txt_add(error, keys[seen & 1 ? seen & 2 ? 2 : 1 : 0]);
        txt_add(error, " is missing");
    }
    return w->hdr.status == HDR_OK;
}

/* --- the whole -----------------------------------------------------------------------------------
 */

/* Strings only, the reference insists. */
static bool skip_metadata(struct walk *w)
{
    bool first = true;
    char nothing[1];
    size_t len;

    if (!jscan_expect(&w->hdr, '{'))
        return false;
    while (jscan_more(&w->hdr, '}', &first))
        if (!jscan_string(&w->hdr, nothing, sizeof(nothing), &len, true) ||
            !jscan_expect(&w->hdr, ':') ||
            !jscan_string(&w->hdr, nothing, sizeof(nothing), &len, true))
            return false;
    return w->hdr.status == HDR_OK;
}

static bool read_entry(struct walk *w, hdr_visit_fn *visit, void *arg)
{
    const struct dtype *dtype = NULL;
    uint64_t begin = 0, end = 0;
    struct hdr_tensor t;

    jscan_peek(&w->hdr);
    w->name_at = w->hdr.at;
    if (!jscan_string(&w->hdr, w->name, sizeof(w->name), &w->name_len, false) ||
        !jscan_expect(&w->hdr, ':'))
        return false;
    if (w->name_len == 12 && memcmp(w->name, "__metadata__", 12) == 0)
        return skip_metadata(w);
    if (!jscan_expect(&w->hdr, '{') || !read_members(w, &t, &dtype, &begin, &end) ||
        !take_tensor(w, &t, dtype, begin, end))
        return false;
    if (visit)
        visit(arg, &t);
    return true;
}

static bool read_header(struct walk *w, hdr_visit_fn *visit, void *arg)
{
    bool first = true;

    w->hdr.at = LENGTH_LEN;
    w->balance = w->last_end = w->odd_at = 0;
    w->info->tensors = w->info->tensor_bytes = 0;
    if (!jscan_expect(&w->hdr, '{'))
        return false;
    while (jscan_more(&w->hdr, '}', &first))
        if (!read_entry(w, visit, arg))
            return false;
    if (jscan_peek(&w->hdr) >= 0)
        txt_add(hdr_fail(&w->hdr, w->hdr.at), "JSON: something follows the closing '}'");
    return w->hdr.status == HDR_OK && covers(w);
}

static bool read_length(struct walk *w)
{
    uint64_t n, size = w->hdr.file->size;
    struct txt *error;

    if (!hdr_u64(&w->hdr, &n, "the header's length"))
        return false;
    if (n <= SAFETENSORS_HEADER_MAX && n <= size - LENGTH_LEN) {
        w->hdr.end = w->info->data_at = LENGTH_LEN + n;
        return true;
    }
    error = hdr_fail(&w->hdr, 0);
    txt_add(error, "a header of ");
    txt_add_number(error, n);
    txt_add(error, n > SAFETENSORS_HEADER_MAX ? " bytes (at most 100000000)"
                                              : " bytes does not fit the file");
    return false;
}

enum hdr_status safetensors_read(const struct hdr_file *file, struct safetensors_info *info,
                                 hdr_visit_fn *visit, void *arg, struct txt *error)
{
    struct walk w = {.info = info};

    *info = (struct safetensors_info){0};
    hdr_start(&w.hdr, file, file->size);
    /* Twice: a tensor is shown only of a header that was found right as a whole. */
    if (read_length(&w) && read_header(&w, NULL, NULL) && visit)
        read_header(&w, visit, arg);
    *error = w.hdr.error;
    return w.hdr.status;
}
