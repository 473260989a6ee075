/* gguf.c: the header of a GGUF file; see gguf.h. Layout (ggml's docs/gguf.md), all little-endian:
 *
 *     "GGUF" u32 version  u64 tensors  u64 pairs
 *     pairs:   string key, u32 type, value         string: u64 length, bytes
 *              array value: u32 type, u64 count, values
 *     tensors: string name, u32 dimensions, u64 each, u32 type, u64 offset in the data
 *     padding to general.alignment, then the data
 */
#include "policy/gguf.h"

#include <string.h>

#define TENSOR_LEN_MIN 24 /* bytes of a tensor's entry with an empty name and no dimension */
#define PAIR_LEN_MIN   13 /* of a pair with an empty key and a one-byte value */
#define ALIGN_DEFAULT  32

/* ggml.h, enum ggml_type; each row of a tensor is whole blocks. Numbers that are missing were
 * given up before GGUF; 31-33 and 36-38 are repacked layouts, given up since. */
static const struct tensor_type {
    const char *name;
    uint32_t number;
    uint16_t block; /* elements */
    uint16_t bytes; /* of a block */
} tensor_types[] = {
    {"F32", 0, 1, 4},           {"F16", 1, 1, 2},           {"Q4_0", 2, 32, 18},
    {"Q4_1", 3, 32, 20},        {"Q5_0", 6, 32, 22},        {"Q5_1", 7, 32, 24},
    {"Q8_0", 8, 32, 34},        {"Q8_1", 9, 32, 40},        {"Q2_K", 10, 256, 84},
    {"Q3_K", 11, 256, 110},     {"Q4_K", 12, 256, 144},     {"Q5_K", 13, 256, 176},
    {"Q6_K", 14, 256, 210},     {"Q8_K", 15, 256, 292},     {"IQ2_XXS", 16, 256, 66},
    {"IQ2_XS", 17, 256, 74},    {"IQ3_XXS", 18, 256, 98},   {"IQ1_S", 19, 256, 50},
    {"IQ4_NL", 20, 32, 18},     {"IQ3_S", 21, 256, 110},    {"IQ2_S", 22, 256, 82},
    {"IQ4_XS", 23, 256, 136},   {"I8", 24, 1, 1},           {"I16", 25, 1, 2},
    {"I32", 26, 1, 4},          {"I64", 27, 1, 8},          {"F64", 28, 1, 8},
    {"IQ1_M", 29, 256, 56},     {"BF16", 30, 1, 2},         {"Q4_0_4_4", 31, 32, 18},
    {"Q4_0_4_8", 32, 32, 18},   {"Q4_0_8_8", 33, 32, 18},   {"TQ1_0", 34, 256, 54},
    {"TQ2_0", 35, 256, 66},     {"IQ4_NL_4_4", 36, 32, 18}, {"IQ4_NL_4_8", 37, 32, 18},
    {"IQ4_NL_8_8", 38, 32, 18}, {"MXFP4", 39, 32, 17},      {"NVFP4", 40, 64, 36},
    {"Q1_0", 41, 128, 18},
};

/* The types of metadata values; 0 bytes: not of one size. */
enum { VALUE_STRING = 8, VALUE_ARRAY = 9 };
static const unsigned char value_len[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
#define VALUE_TYPES (sizeof(value_len) / sizeof(value_len[0]))

struct walk {
    struct hdr hdr;
    struct gguf_info *info;
    unsigned seen;           /* the keys of ours that were met */
    char name[HDR_NAME_MAX]; /* of the pair or tensor at hand */
    size_t name_len;
    uint64_t next; /* where in the data the next tensor must begin */
    uint64_t used; /* where the last one ended */
};

/* Begins the error about the tensor at hand. */
static struct txt *tensor_fail(struct walk *w, uint64_t at)
{
    struct txt *error = hdr_fail(&w->hdr, at);

    txt_add(error, "tensor ");
    txt_add_foreign(error, w->name, w->name_len);
    txt_add(error, ": ");
    return error;
}

/* --- metadata ------------------------------------------------------------------------------------
 */

static struct txt *pair_fail(struct walk *w, uint64_t at)
{
    struct txt *error = hdr_fail(&w->hdr, at);

    txt_add(error, "metadata ");
    txt_add_foreign(error, w->name, w->name_len);
    txt_add(error, ": ");
    return error;
}

/* A string into a buffer, closed by a NUL; of one that is too long only the beginning if `cut`. */
static bool read_string(struct walk *w, char *to, size_t size, size_t *len, bool cut,
                        const char *what)
{
    uint64_t at = w->hdr.at, whole;
    size_t kept;

    if (!hdr_u64(&w->hdr, &whole, what))
        return false;
    if (whole <= hdr_left(&w->hdr) && whole >= size && !cut) {
        struct txt *error = hdr_fail(&w->hdr, at);

        txt_add(error, what);
        txt_add(error, " of ");
        txt_add_number(error, whole);
        txt_add(error, " bytes is too long (at most ");
        txt_add_number(error, size - 1);
        txt_add(error, ")");
        return false;
    }
    kept = whole < size ? (size_t)whole : size - 1;
    if (whole > hdr_left(&w->hdr))
        return hdr_skip(&w->hdr, whole, what); /* which says what is wrong */
    if (!hdr_bytes(&w->hdr, to, kept, what) || !hdr_skip(&w->hdr, whole - kept, what))
        return false;
    to[kept] = '\0';
    *len = kept;
    return true;
}

static bool known_type(struct walk *w, uint64_t at, uint32_t type)
{
    struct txt *error;

    if (type < VALUE_TYPES)
        return true;
    error = pair_fail(w, at);
    txt_add(error, "value type ");
    txt_add_number(error, type);
    txt_add(error, " is unknown");
    return false;
}

static bool skip_array(struct walk *w)
{
    uint64_t at = w->hdr.at, count, len;
    uint32_t type;

    if (!hdr_u32(&w->hdr, &type, "an array's type") ||
        !hdr_u64(&w->hdr, &count, "an array's length") || !known_type(w, at, type))
        return false;
    if (type == VALUE_ARRAY) {
        txt_add(pair_fail(w, at), "an array of arrays, which ggml does not know");
        return false;
    }
    len = type == VALUE_STRING ? 8 : value_len[type];
    if (count > hdr_left(&w->hdr) / len) {
        struct txt *error = pair_fail(w, at);

        txt_add(error, "an array of ");
        txt_add_number(error, count);
        txt_add(error, " values does not fit the file");
        return false;
    }
    if (type != VALUE_STRING)
        return hdr_skip(&w->hdr, count * len, "an array");
    for (uint64_t i = 0; i < count; i++)
        if (!hdr_u64(&w->hdr, &len, "a string's length") || !hdr_skip(&w->hdr, len, "a string"))
            return false;
    return true;
}

static bool skip_value(struct walk *w, uint32_t type)
{
    uint64_t len;

    if (type == VALUE_ARRAY)
        return skip_array(w);
    if (type != VALUE_STRING)
        return hdr_skip(&w->hdr, value_len[type], "a value");
    return hdr_u64(&w->hdr, &len, "a string's length") && hdr_skip(&w->hdr, len, "a string");
}

/* A whole number of any width that is not negative. */
static bool read_number(struct walk *w, uint32_t type, uint64_t *number)
{
    static const char is_integer[VALUE_TYPES] = {1, 2, 1, 2, 1, 2, 0, 0, 0, 0, 1, 2, 0};
    uint64_t at = w->hdr.at;
    unsigned char b[8] = {0};

    if (!is_integer[type]) {
        txt_add(pair_fail(w, at), "is not a whole number");
        return false;
    }
    if (!hdr_bytes(&w->hdr, b, value_len[type], "a number"))
        return false;
    if (is_integer[type] == 2 && b[value_len[type] - 1] & 0x80) {
        txt_add(pair_fail(w, at), "is negative");
        return false;
    }
    *number = 0;
    for (int i = 0; i < 8; i++)
        *number |= (uint64_t)b[i] << (8 * i);
    return true;
}

static bool read_word(struct walk *w, uint32_t type, char to[GGUF_WORD_MAX])
{
    size_t len;

    if (type != VALUE_STRING) {
        txt_add(pair_fail(w, w->hdr.at), "is not a string");
        return false;
    }
    return read_string(w, to, GGUF_WORD_MAX, &len, true, "a string");
}

static bool read_alignment(struct walk *w, uint32_t type)
{
    uint64_t at = w->hdr.at, number;
    struct txt *error;

    if (!read_number(w, type, &number))
        return false;
    if (number && number <= GGUF_ALIGN_MAX && !(number & (number - 1))) {
        w->info->alignment = (uint32_t)number;
        return true;
    }
    error = pair_fail(w, at);
    txt_add_number(error, number);
    txt_add(error, " is not a power of two up to 1 MiB");
    return false;
}

static bool read_pair(struct walk *w)
{
    static const char *const keys[] = {"general.architecture", "general.type",
                                       "general.alignment",    "split.no",
                                       "split.count",          "split.tensors.count"};
    struct gguf_info *info = w->info;
    uint64_t start = w->hdr.at, at;
    uint32_t type;
    unsigned key;

    if (!read_string(w, w->name, sizeof(w->name), &w->name_len, true, "a metadata key"))
        return false;
    at = w->hdr.at;
    if (!hdr_u32(&w->hdr, &type, "a metadata type") || !known_type(w, at, type))
        return false;
    for (key = 0; key < sizeof(keys) / sizeof(keys[0]); key++)
        if (w->name_len == strlen(keys[key]) && memcmp(w->name, keys[key], w->name_len) == 0)
            break;
    if (w->seen & 1u << key && key < sizeof(keys) / sizeof(keys[0])) {
        txt_add(pair_fail(w, start), "is there twice");
        return false;
    }
    w->seen |= 1u << key;
    switch (key) {
    case 0:
        return read_word(w, type, info->architecture);
    case 1:
        return read_word(w, type, info->type);
    case 2:
        return read_alignment(w, type);
    case 3:
        return read_number(w, type, &info->split_no);
    case 4:
        return read_number(w, type, &info->split_count);
    case 5:
        return read_number(w, type, &info->split_tensors);
    }
    return skip_value(w, type);
}

/* --- tensors -------------------------------------------------------------------------------------
 */

static bool read_shape(struct walk *w, struct hdr_tensor *t, uint64_t *elements)
{
    uint64_t at = w->hdr.at;
    struct txt *error;

    if (!hdr_u32(&w->hdr, &t->dims, "a tensor's dimensions"))
        return false;
    if (t->dims > HDR_DIMS_MAX) {
        error = tensor_fail(w, at);
        txt_add_number(error, t->dims);
        txt_add(error, " dimensions (at most 16)");
        return false;
    }
    *elements = 1;
    for (unsigned i = 0; i < t->dims; i++) {
        at = w->hdr.at;
        if (!hdr_u64(&w->hdr, &t->shape[i], "a tensor's shape"))
            return false;
        if (t->shape[i] == 0 || t->shape[i] > INT64_MAX) {
            error = tensor_fail(w, at);
            txt_add(error, t->shape[i] ? "a negative dimension" : "a dimension of 0");
            return false;
        }
        if (__builtin_mul_overflow(*elements, t->shape[i], elements) || *elements > INT64_MAX) {
            txt_add(tensor_fail(w, at), "more than 2^63 elements");
            return false;
        }
    }
    return true;
}

static const struct tensor_type *type_numbered(uint32_t number)
{
    for (size_t i = 0; i < sizeof(tensor_types) / sizeof(tensor_types[0]); i++)
        if (tensor_types[i].number == number)
            return &tensor_types[i];
    return NULL;
}

static bool read_type(struct walk *w, struct hdr_tensor *t, uint64_t elements)
{
    uint64_t at = w->hdr.at;
    const struct tensor_type *type;
    struct txt *error;
    uint32_t number;

    if (!hdr_u32(&w->hdr, &number, "a tensor's type"))
        return false;
    type = type_numbered(number);
    if (!type) {
        error = tensor_fail(w, at);
        txt_add(error, "type ");
        txt_add_number(error, number);
        txt_add(error, " is unknown");
        return false;
    }
    if ((t->dims ? t->shape[0] : 1) % type->block) {
        error = tensor_fail(w, at);
        txt_add(error, "its rows are not whole blocks of ");
        txt_add_number(error, type->block);
        txt_add(error, " elements, as ");
        txt_add(error, type->name);
        txt_add(error, " has them");
        return false;
    }
    t->type = type->name;
    if (__builtin_mul_overflow(elements / type->block, type->bytes, &t->bytes)) {
        txt_add(tensor_fail(w, at), "more than 2^64 bytes");
        return false;
    }
    return true;
}

/* Each begins where the one before it ended, up to the padding (as ggml demands). */
static bool read_offset(struct walk *w, struct hdr_tensor *t)
{
    uint64_t at = w->hdr.at, pad = w->info->alignment - 1;
    struct txt *error;

    if (!hdr_u64(&w->hdr, &t->offset, "a tensor's offset"))
        return false;
    if (t->offset != w->next) {
        error = tensor_fail(w, at);
        txt_add(error, t->offset < w->next ? "overlaps the one before it: offset "
                                           : "a hole before it: offset ");
        txt_add_number(error, t->offset);
        txt_add(error, " where ");
        txt_add_number(error, w->next);
        txt_add(error, " should be");
        return false;
    }
    if (t->offset > w->hdr.file->size || t->bytes > w->hdr.file->size - t->offset) {
        error = tensor_fail(w, at);
        txt_add_number(error, t->bytes);
        txt_add(error, " bytes reach beyond the end of the file");
        return false;
    }
    /* Cannot overflow: within the file, whose size fits a signed number. */
    w->used = t->offset + t->bytes;
    w->next = (w->used + pad) & ~pad;
    w->info->tensor_bytes += t->bytes;
    return true;
}

static bool read_tensor(struct walk *w, struct hdr_tensor *t)
{
    uint64_t elements;

    if (!read_string(w, w->name, sizeof(w->name), &w->name_len, false, "a tensor's name") ||
        !read_shape(w, t, &elements) || !read_type(w, t, elements) || !read_offset(w, t))
        return false;
    t->name = w->name;
    t->name_len = w->name_len;
    return true;
}

/* All tensors: with `visit` NULL to check them, then to show them. */
static bool read_tensors(struct walk *w, hdr_visit_fn *visit, void *arg)
{
    struct hdr_tensor t;

    w->next = w->used = w->info->tensor_bytes = 0;
    for (uint64_t i = 0; i < w->info->tensors; i++) {
        if (!read_tensor(w, &t))
            return false;
        if (visit) {
            t.offset += w->info->data_at;
            visit(arg, &t);
        }
    }
    return true;
}

/* The data begins behind the tensors' entries: only now is it known whether it fits the file. */
static bool check_data(struct walk *w)
{
    uint64_t pad = w->info->alignment - 1, size = w->hdr.file->size;
    struct txt *error;

    w->info->data_at = (w->hdr.at + pad) & ~pad;
    if (w->info->tensors == 0 || (w->info->data_at <= size && w->used <= size - w->info->data_at))
        return true;
    error = hdr_fail(&w->hdr, w->info->data_at);
    txt_add(error, "the tensors' data would take ");
    txt_add_number(error, w->used);
    txt_add(error, " bytes from here on, but the file ends at ");
    txt_add_number(error, size);
    return false;
}

/* --- the whole -----------------------------------------------------------------------------------
 */

static bool check_version(struct walk *w)
{
    uint32_t version = w->info->version;
    struct txt *error;

    if (version == 2 || version == 3)
        return true;
    error = hdr_fail(&w->hdr, 4);
    if (version && !(version & 0xffff)) {
        txt_add(error, "a big-endian GGUF file, which is not supported");
        return false;
    }
    txt_add(error, "GGUF version ");
    txt_add_number(error, version);
    txt_add(error, " is not supported (2 and 3 are)");
    return false;
}

/* A count that the rest of the file cannot hold is told before the walk to the file's end. */
static bool check_count(struct walk *w, uint64_t at, uint64_t count, unsigned len, const char *what)
{
    struct txt *error;

    if (count <= hdr_left(&w->hdr) / len)
        return true;
    error = hdr_fail(&w->hdr, at);
    txt_add_number(error, count);
    txt_add(error, what);
    return false;
}

static bool read_start(struct walk *w)
{
    struct gguf_info *info = w->info;
    char magic[4];

    if (!hdr_bytes(&w->hdr, magic, sizeof(magic), "the word GGUF"))
        return false;
    if (memcmp(magic, "GGUF", 4) != 0) {
        txt_add(hdr_fail(&w->hdr, 0), "does not begin with GGUF");
        return false;
    }
    return hdr_u32(&w->hdr, &info->version, "the version") && check_version(w) &&
           hdr_u64(&w->hdr, &info->tensors, "the number of tensors") &&
           hdr_u64(&w->hdr, &info->pairs, "the number of metadata pairs") &&
           check_count(w, 8, info->tensors, TENSOR_LEN_MIN, " tensors do not fit the file") &&
           check_count(w, 16, info->pairs, PAIR_LEN_MIN, " metadata pairs do not fit the file");
}

static bool read_all(struct walk *w, hdr_visit_fn *visit, void *arg)
{
    uint64_t tensors_at;

    if (!read_start(w))
        return false;
    for (uint64_t i = 0; i < w->info->pairs; i++)
        if (!read_pair(w))
            return false;
    tensors_at = w->hdr.at;
    if (!read_tensors(w, NULL, NULL) || !check_data(w))
        return false;
    w->hdr.at = tensors_at;
    return !visit || read_tensors(w, visit, arg);
}

enum hdr_status gguf_read(const struct hdr_file *file, struct gguf_info *info, hdr_visit_fn *visit,
                          void *arg, struct txt *error)
{
    struct walk w = {.info = info};

    *info = (struct gguf_info){.alignment = ALIGN_DEFAULT};
    hdr_start(&w.hdr, file, file->size < GGUF_HEADER_MAX ? file->size : GGUF_HEADER_MAX);
    read_all(&w, visit, arg);
    *error = w.hdr.error;
    return w.hdr.status;
}
