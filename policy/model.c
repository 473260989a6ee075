/* model.c: the files of a model; see model.h. */
#include "policy/model.h"

#include "policy/safetensors.h"

#include <string.h>

struct reading {
    struct model *model;
    hdr_visit_fn *visit;
    void *arg;
};

static enum hdr_status fail(struct txt *error, const char *what)
{
    *error = (struct txt){0};
    txt_add(error, what);
    return HDR_BAD;
}

static void take_tensor(void *arg, const struct hdr_tensor *tensor)
{
    struct reading *r = arg;
    enum model_type type = model_type_of_tensor(tensor->name, tensor->name_len);

    if (type != MODEL_UNKNOWN)
        r->model->named_bytes[type] += tensor->bytes;
    if (r->visit)
        r->visit(r->arg, tensor);
}

/* --- parts ---------------------------------------------------------------------------------------
 */

static bool five_digits(const char *text, unsigned *number)
{
    *number = 0;
    for (int i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *number = *number * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

bool model_part_of_name(const char *name, size_t len, struct model_part *part)
{
    static const size_t end_len = sizeof("-00001-of-00002.gguf") - 1;
    const char *end;

    if (len <= end_len)
        return false;
    end = name + len - end_len;
    return end[0] == '-' && five_digits(end + 1, &part->number) &&
           memcmp(end + 6, "-of-", 4) == 0 && five_digits(end + 10, &part->count) &&
           memcmp(end + 15, ".gguf", 5) == 0 && part->number >= 1 && part->number <= part->count;
}

static enum hdr_status check_part(struct model *model, const struct gguf_info *info,
                                  const struct model_part *part, struct txt *error)
{
    uint64_t count = info->split_count ? info->split_count : 1;

    *error = (struct txt){0};
    if (info->split_tensors)
        model->split_tensors = info->split_tensors;
    if (count > 1 || part->count > 1) {
        if (count != part->count || info->split_no != part->number - 1) {
            txt_add(error, "says that it is part ");
            txt_add_number(error, info->split_no + 1);
            txt_add(error, " of ");
            txt_add_number(error, count);
            txt_add(error, ", its name says part ");
            txt_add_number(error, part->number);
            txt_add(error, " of ");
            txt_add_number(error, part->count);
            txt_add(error, " (-00001-of-00002.gguf is part 1 of 2)");
            return HDR_BAD;
        }
        if (part->number == part->count && model->split_tensors &&
            model->split_tensors != model->tensors + info->tensors) {
            txt_add(error, "all parts have ");
            txt_add_number(error, model->tensors + info->tensors);
            txt_add(error, " tensors, but split.tensors.count says ");
            txt_add_number(error, model->split_tensors);
            return HDR_BAD;
        }
    }
    return HDR_OK;
}

/* --- the formats ---------------------------------------------------------------------------------
 */

static bool add(struct model *model, uint64_t tensors, uint64_t bytes)
{
    model->parts++;
    model->tensors += tensors;
    return !__builtin_add_overflow(model->tensor_bytes, bytes, &model->tensor_bytes);
}

static enum hdr_status read_gguf(struct reading *r, const struct hdr_file *file,
                                 const struct model_part *part, struct txt *error)
{
    struct model *model = r->model;
    struct gguf_info info;
    enum hdr_status status = gguf_read(file, &info, NULL, NULL, error);

    if (status == HDR_OK)
        status = check_part(model, &info, part, error);
    if (status == HDR_OK)
        status = gguf_read(file, &info, take_tensor, r, error);
    if (status != HDR_OK)
        return status;
    if (model->parts == 0) {
        model->format = MODEL_GGUF;
        model->version = info.version;
        memcpy(model->architecture, info.architecture, sizeof(model->architecture));
        memcpy(model->general_type, info.type, sizeof(model->general_type));
    }
    if (!add(model, info.tensors, info.tensor_bytes))
        return fail(error, "all parts together have more than 2^64 bytes");
    return HDR_OK;
}

static enum hdr_status read_safetensors(struct reading *r, const struct hdr_file *file,
                                        struct txt *error)
{
    struct safetensors_info info;
    enum hdr_status status = safetensors_read(file, &info, take_tensor, r, error);

    if (status != HDR_OK)
        return status;
    r->model->format = MODEL_SAFETENSORS;
    add(r->model, info.tensors, info.tensor_bytes);
    return HDR_OK;
}

enum hdr_status model_read(struct model *model, const struct hdr_file *file,
                           const struct model_part *part, hdr_visit_fn *visit, void *arg,
                           struct txt *error)
{
    struct reading r = {model, visit, arg};
    char start[9] = "";
    size_t len = file->size < sizeof(start) ? (size_t)file->size : sizeof(start);

    if (len == 0)
        return fail(error, "is empty");
    if (!file->read_at(file->ctx, 0, start, len)) {
        fail(error, "byte 0: cannot be read");
        return HDR_UNREADABLE;
    }
    if (len >= 4 && memcmp(start, "GGUF", 4) == 0)
        return read_gguf(&r, file, part, error);
    if (part->count > 1)
        return fail(error, "byte 0: does not begin with GGUF, as a part of a GGUF model would");
    if (len >= 4 && memcmp(start, "PK\3\4", 4) == 0)
        return fail(error, "a zip archive, such as PyTorch's own checkpoints: only GGUF and "
                           "safetensors files can be planned");
    /* The header's length is below 2^32, and it is an object. One of 123 bytes begins as JSON does.
     */
    if (len == sizeof(start) && start[8] == '{' && memcmp(start + 4, "\0\0\0\0", 4) == 0)
        return read_safetensors(&r, file, error);
    if (start[0] == '{')
        return fail(error, "JSON, such as the index of a model in several safetensors files, which "
                           "is not read: name the .safetensors files themselves");
    return fail(error, "neither a GGUF nor a safetensors file");
}
