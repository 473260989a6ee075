#include "shim/attribution.h"

#include "policy/plan.h"
#include "policy/safetensors.h"
#include "shim/init.h"
#include "shim/log.h"
#include "shim/mappings.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODELS_MAX  32                    /* the one used least recently makes room */
#define TENSORS_MAX (UINT32_C(1) << 17)   /* of one file; real ones have a few thousand */
#define NAMES_MAX   (UINT32_C(1) << 23)   /* bytes of their names */
#define READ_MAX    (UINT64_C(256) << 20) /* bytes read of one header */
#define AHEAD_MAX   256                   /* tensors too small to be seen, in a row */

struct tensor {
    uint64_t offset, bytes;
    uint64_t device_bytes, host_bytes; /* as last uploaded */
    uint32_t name, name_len;
};

struct file {
    uint32_t id; /* never used again; 0: nothing is here */
    uint64_t inode;
    uint64_t used; /* when, in uploads */
    uint64_t estimate;
    uint64_t visible; /* bytes of the tensors whose uploads are seen */
    struct attribution_model model;
    struct tensor *tensor; /* in the order of the file */
    uint32_t tensors;
    char *names;
    uint64_t loaded;       /* of these, uploaded since the last plan line */
    uint64_t insufficient; /* the device's count at the first of them */
    bool is_short;         /* it has grown since */
    uint64_t said_device, said_host;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[MODELS_MAX];
static uint32_t last_id;
static uint64_t uploads;

/* The uploads of smaller ones are not looked at. */
static bool is_visible(const struct tensor *t)
{
    return t->bytes >= POL_PHASE_UPLOAD_MIN;
}

/* --- reading a file's header ----------------------------------------------------------------- */

struct reading {
    int fd;         /* of this process's memory */
    uint64_t start; /* of the mapping */
    uint64_t left;  /* of READ_MAX */
    struct file *file;
    struct model model;
    uint32_t tensor_room, name_bytes, name_room;
    bool failed; /* no memory, or more than is believable */
};

static bool read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
    struct reading *r = ctx;
    char *to = buf;

    if (len > r->left)
        return false;
    r->left -= len;
    while (len > 0) {
        ssize_t n = pread(r->fd, to, len, (off_t)(r->start + offset));
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        n = n > 0 ? n : 0;
        to += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* Room for `more` elements behind `used`: doubled as needed, up to `most`. */
static bool make_room(void **array, size_t size, uint32_t used, uint32_t more, uint32_t most,
                      uint32_t *room)
{
    uint32_t wanted = *room ? *room : 1024;
    void *grown;

    if (used + more <= *room)
        return true;
    while (wanted < used + more)
        wanted *= 2;
    if (wanted > most || !(grown = realloc(*array, wanted * size)))
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

static void take_tensor(void *arg, const struct hdr_tensor *t)
{
    struct reading *r = arg;
    struct file *f = r->file;
    enum model_type type = model_type_of_tensor(t->name, t->name_len);
    uint32_t len = ATTRIBUTION_TENSOR_MAX - 1;

    if (t->name_len < len)
        len = (uint32_t)t->name_len;
    if (r->failed ||
        !make_room((void **)&f->tensor, sizeof f->tensor[0], f->tensors, 1, TENSORS_MAX,
                   &r->tensor_room) ||
        !make_room((void **)&f->names, 1, r->name_bytes, len, NAMES_MAX, &r->name_room)) {
        r->failed = true;
        return;
    }
    f->tensor[f->tensors++] = (struct tensor){
        .offset = t->offset, .bytes = t->bytes, .name = r->name_bytes, .name_len = len};
    memcpy(f->names + r->name_bytes, t->name, len);
    r->name_bytes += len;
    if (type != MODEL_UNKNOWN)
        r->model.named_bytes[type] += t->bytes;
}

/* A part of a model in several files is read as if it were alone: where the metadata stands in
 * another part, the names of its tensors tell the type. */
static bool read_format(struct reading *r, const struct hdr_file *in)
{
    struct safetensors_info safetensors;
    struct gguf_info gguf;
    char start[9] = "";
    struct txt error;

    if (in->size < sizeof start || !read_at(r, 0, start, sizeof start))
        return false;
    if (memcmp(start, "GGUF", 4) == 0) {
        if (gguf_read(in, &gguf, take_tensor, r, &error) != HDR_OK)
            return false;
        memcpy(r->model.architecture, gguf.architecture, sizeof gguf.architecture);
        memcpy(r->model.general_type, gguf.type, sizeof gguf.type);
        r->model.tensor_bytes = gguf.tensor_bytes;
        r->model.format = MODEL_GGUF;
        return true;
    }
    /* A header below 2^32 bytes, and an object: no other file is looked at any further. */
    if (start[8] != '{' || memcmp(start + 4, "\0\0\0\0", 4) != 0 ||
        safetensors_read(in, &safetensors, take_tensor, r, &error) != HDR_OK)
        return false;
    r->model.tensor_bytes = safetensors.tensor_bytes;
    r->model.format = MODEL_SAFETENSORS;
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The option's values stand in the order of the types. */
static enum model_type type_of(const struct model *model)
{
    enum model_origin origin;
    int wish = shim_config()->model_type;

    return wish == CFG_MODEL_TYPE_AUTO ? model_type(model, &origin)
                                       : (enum model_type)(wish - CFG_MODEL_TYPE_UNET);
}

static bool read_header(struct file *f, int fd, uint64_t start, uint64_t size)
{
    struct reading r = {.fd = fd, .start = start, .left = READ_MAX, .file = f};
    struct hdr_file in = {size, read_at, &r};

    if (!read_format(&r, &in) || r.failed || f->tensors == 0)
        return false;
    qsort(f->tensor, f->tensors, sizeof f->tensor[0], by_offset);
    for (uint32_t i = 0; i < f->tensors; i++)
        f->visible += is_visible(&f->tensor[i]) ? f->tensor[i].bytes : 0;
    f->model.tensor_bytes = r.model.tensor_bytes;
    f->estimate = pol_estimate(r.model.tensor_bytes, r.model.format == MODEL_GGUF);
    f->model.type = type_of(&r.model);
    memcpy(f->model.architecture, r.model.architecture, sizeof f->model.architecture);
    return true;
}

static void clear(struct file *f)
{
    if (f->id)
        mappings_forget(f->id);
    free(f->tensor);
    free(f->names);
    *f = (struct file){0};
}

static struct file *seat(void)
{
    struct file *f = &files[0];

    for (unsigned i = 0; i < MODELS_MAX; i++) {
        if (!files[i].id)
            return &files[i];
        if (files[i].used < f->used)
            f = &files[i];
    }
    clear(f);
    return f;
}

/* Read from the mapping, by the kernel: where it ends early there is an error and no SIGBUS. The
 * file is not opened, since closing it would give up the host's locks on it (fcntl(2), F_SETLK). */
static bool read_model(struct file *f, const char *path, uint64_t start)
{
    struct stat status;
    int fd = start && stat(path, &status) == 0 && S_ISREG(status.st_mode)
                 ? open("/proc/self/mem", O_RDONLY | O_CLOEXEC)
                 : -1;
    bool good = fd >= 0 && read_header(f, fd, start, (uint64_t)status.st_size);

    if (fd >= 0)
        close(fd);
    return good;
}

/* The number of a mapped file; 0: no model. */
static uint32_t name_file(const char *path, uint64_t inode, uint64_t start)
{
    size_t len = strlen(path);
    struct model_part part;
    struct file fresh = {0}, *f;

    if (len >= ATTRIBUTION_PATH_MAX)
        return 0;
    for (unsigned i = 0; i < MODELS_MAX; i++)
        if (files[i].id && files[i].inode == inode && strcmp(files[i].model.file, path) == 0)
            return files[i].id;
    if (!read_model(&fresh, path, start)) {
        clear(&fresh);
        return 0;
    }
    f = seat();
    *f = fresh;
    /* Parts are about as large as each other, and are not looked for. */
    if (model_part_of_name(path, len, &part) &&
        __builtin_mul_overflow(f->estimate, part.count, &f->estimate))
        f->estimate = UINT64_MAX;
    memcpy(f->model.file, path, len + 1);
    f->inode = inode;
    f->id = ++last_id;
    return f->id;
}

static struct file *file_of(uint32_t id)
{
    for (unsigned i = 0; id && i < MODELS_MAX; i++)
        if (files[i].id == id)
            return &files[i];
    return NULL;
}

/* --- plan lines ------------------------------------------------------------------------------ */

/* A line to be said once the lock is free. */
struct news {
    bool any;
    char file[ATTRIBUTION_PATH_MAX];
    enum model_type type;
    enum pol_strategy strategy;
    uint64_t device_bytes, host_bytes;
};

static void end_pass(struct file *f, struct news *news)
{
    const struct attribution_model *m = &f->model;

    f->loaded = 0;
    if (f->said_device == m->device_bytes && f->said_host == m->host_bytes)
        return;
    f->said_device = m->device_bytes;
    f->said_host = m->host_bytes;
    news->any = true;
    memcpy(news->file, m->file, sizeof news->file);
    news->type = m->type;
    news->strategy = f->is_short     ? POL_GGUF_INSUFFICIENT
                     : m->host_bytes ? POL_GGUF_HYBRID
                                     : POL_GPU_ONLY;
    news->device_bytes = m->device_bytes;
    news->host_bytes = m->host_bytes;
}

static void say(const struct news *n)
{
    char device[LOG_SIZE_MAX], host[LOG_SIZE_MAX];

    const char *slash = strrchr(n->file, '/');

    if (n->any)
        log_info("%s: %s → %s | GPU %s | CPU %s", slash ? slash + 1 : n->file,
                 model_type_name(n->type), pol_strategy_name(n->strategy),
                 log_size(n->device_bytes, device), log_size(n->host_bytes, host));
}

/* --- uploads --------------------------------------------------------------------------------- */

/* The first tensor that ends behind `offset`; f->tensors if there is none. */
static uint32_t tensor_at(const struct file *f, uint64_t offset)
{
    uint32_t low = 0, high = f->tensors;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->tensor[middle].offset + f->tensor[middle].bytes > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* A tensor whose first byte comes is uploaded anew. True if it never was before. */
static bool place(struct file *f, struct tensor *t, uint64_t offset, uint64_t end, bool to_host)
{
    uint64_t from = offset > t->offset ? offset : t->offset;
    uint64_t to = end < t->offset + t->bytes ? end : t->offset + t->bytes;
    bool is_new = !t->device_bytes && !t->host_bytes;

    if (from == t->offset) {
        f->model.device_bytes -= t->device_bytes;
        f->model.host_bytes -= t->host_bytes;
        t->device_bytes = t->host_bytes = 0;
    }
    *(to_host ? &t->host_bytes : &t->device_bytes) += to - from;
    *(to_host ? &f->model.host_bytes : &f->model.device_bytes) += to - from;
    f->loaded += is_visible(t) ? to - from : 0;
    return is_new;
}

static enum attribution_news take_upload(struct file *f, struct attribution *at,
                                         const struct device *device, uint64_t offset, uint64_t end,
                                         bool to_host)
{
    uint64_t insufficient = atomic_load_explicit(&device->insufficient, memory_order_relaxed);

    if (f->loaded == 0)
        f->insufficient = insufficient;
    f->is_short = insufficient > f->insufficient;
    f->used = ++uploads;
    enum attribution_news news = ATTRIBUTION_NOTHING;
    for (uint32_t i = tensor_at(f, offset); i < f->tensors && f->tensor[i].offset < end; i++) {
        if (place(f, &f->tensor[i], offset, end, to_host))
            news = ATTRIBUTION_LOADING;
        *at = (struct attribution){f->id, i};
    }
    /* Both: a tensor may come twice, and a model again. */
    bool complete = f->visible && f->loaded >= f->visible &&
                    f->model.device_bytes + f->model.host_bytes >= f->visible;
    return complete ? ATTRIBUTION_COMPLETE : news;
}

enum attribution_news attribution_upload(struct attribution *at, const struct device *device,
                                         uint64_t src, uint64_t bytes, bool to_host)
{
    struct news before = {.any = false}, now = {.any = false};
    struct mapping found;
    enum attribution_news what = ATTRIBUTION_NOTHING;

    pthread_mutex_lock(&lock);
    if (mappings_find(src, name_file, &found)) {
        struct file *f = file_of(found.file), *last = file_of(at->model);
        uint64_t end = found.offset + (bytes < found.left ? bytes : found.left);
        if (last && last != f)
            end_pass(last, &before);
        what = take_upload(f, at, device, found.offset, end, to_host);
        if (what == ATTRIBUTION_COMPLETE) {
            end_pass(f, &now);
            *at = (struct attribution){0};
        }
    }
    pthread_mutex_unlock(&lock);
    say(&before);
    say(&now);
    return what;
}

/* --- guesses --------------------------------------------------------------------------------- */

/* A tensor has a block of its own where the block is as large, or rounded up as PyTorch rounds. */
#define ROUNDING (UINT64_C(2) << 20)

static bool is_for(uint64_t bytes, const struct tensor *t)
{
    return bytes >= t->bytes && bytes - t->bytes < (t->bytes < ROUNDING / 2 ? 512 : ROUNDING);
}

/* Norms and biases lie between the weights: what is too small to be seen is passed over, unless the
 * block is for it. */
static const struct tensor *next_tensor(const struct file *f, uint32_t after, uint64_t bytes)
{
    for (uint32_t i = after + 1; i < f->tensors && i - after <= AHEAD_MAX; i++) {
        if (is_for(bytes, &f->tensor[i]))
            return &f->tensor[i];
        if (is_visible(&f->tensor[i]))
            break;
    }
    return NULL;
}

void attribution_expect(struct attribution *at, uint64_t bytes)
{
    pthread_mutex_lock(&lock);
    mappings_look(name_file);
    for (unsigned f = 0; f < MODELS_MAX && !at->model; f++) {
        const struct attribution_model *m = &files[f].model;
        uint32_t i = 0;
        while (i < files[f].tensors && !is_for(bytes, &files[f].tensor[i]))
            i++;
        if (i < files[f].tensors && !m->device_bytes && !m->host_bytes)
            *at = (struct attribution){files[f].id, i - 1};
    }
    pthread_mutex_unlock(&lock);
}

bool attribution_guess(const struct attribution *at, uint64_t bytes,
                       struct attribution_guess *guess)
{
    pthread_mutex_lock(&lock);
    const struct file *f = file_of(at->model);
    if (f) {
        memcpy(guess->file, f->model.file, sizeof guess->file);
        memcpy(guess->architecture, f->model.architecture, sizeof guess->architecture);
        guess->type = f->model.type;
        guess->estimate = f->estimate;
        const struct tensor *next = next_tensor(f, at->tensor, bytes);
        uint32_t len = next ? next->name_len : 0;
        if (len)
            memcpy(guess->tensor, f->names + next->name, len);
        guess->tensor[len] = '\0';
        guess->is_new = len && !next->device_bytes && !next->host_bytes;
    }
    pthread_mutex_unlock(&lock);
    return f;
}

void attribution_end(struct attribution *at)
{
    struct news news = {.any = false};

    pthread_mutex_lock(&lock);
    struct file *f = file_of(at->model);
    if (f)
        end_pass(f, &news);
    pthread_mutex_unlock(&lock);
    *at = (struct attribution){0};
    say(&news);
}

bool attribution_model(unsigned i, struct attribution_model *model)
{
    unsigned seen = 0;
    bool found = false;

    pthread_mutex_lock(&lock);
    for (unsigned f = 0; f < MODELS_MAX && !found; f++)
        if (files[f].id && seen++ == i) {
            *model = files[f].model;
            found = true;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

void attribution_at_exit(void)
{
    for (unsigned i = 0; i < MODELS_MAX; i++) {
        struct news news = {.any = false};

        pthread_mutex_lock(&lock);
        if (files[i].id)
            end_pass(&files[i], &news);
        pthread_mutex_unlock(&lock);
        say(&news);
    }
}

/* What the parent had read is left where it is: another of its threads may have been changing it.
 */
void attribution_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(files, 0, sizeof files);
    mappings_forget(0);
}
