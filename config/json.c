/* json.c: options from a JSON policy file.
 *
 * jansson reads it, opened with dlopen only now, in local scope: a program without a policy file
 * does not need it, and its json_* names get in nobody's way. It says whether the text is JSON and
 * decodes strings; scan.c finds where each value stands, for messages and for exact numbers.
 */
#include "config/json.h"
#include "config/file.h"

#include <dlfcn.h>
#include <string.h>

#define JANSSON "libjansson.so.4"

static bool open_jansson(struct jansson *json, const struct cfg_io *io)
{
    int mode = RTLD_NOW | RTLD_LOCAL;

#ifdef RTLD_DEEPBIND
    /* jansson shall find its own json_object_get, not json-c's, which a host may have loaded.
     * Sanitizers end the process at RTLD_DEEPBIND; all of them have this name. */
    if (!io->dlsym(RTLD_DEFAULT, "__sanitizer_set_death_callback"))
        mode |= RTLD_DEEPBIND;
#endif
    json->handle = io->dlopen(JANSSON, mode);
    if (!json->handle)
        return false;
    json->loadb = (__typeof__(json->loadb))io->dlsym(json->handle, "json_loadb");
    json->destroy = (__typeof__(json->destroy))io->dlsym(json->handle, "json_delete");
    json->object_get = (__typeof__(json->object_get))io->dlsym(json->handle, "json_object_get");
    json->array_get = (__typeof__(json->array_get))io->dlsym(json->handle, "json_array_get");
    json->array_size = (__typeof__(json->array_size))io->dlsym(json->handle, "json_array_size");
    json->string_value =
        (__typeof__(json->string_value))io->dlsym(json->handle, "json_string_value");
    if (json->loadb && json->destroy && json->object_get && json->array_get && json->array_size &&
        json->string_value)
        return true;
    io->dlclose(json->handle);
    return false;
}

/* --- one value -----------------------------------------------------------------------------------
 */

/* The strings of an array, joined with commas, in buf; false when it holds anything else. */
static bool join(const struct jansson *json, const json_t *array, char *buf, size_t size,
                 size_t *len)
{
    size_t n = json->array_size(array);

    *len = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json->array_get(array, i);
        const char *text = item && json_is_string(item) ? json->string_value(item) : NULL;
        size_t item_len = text ? strlen(text) : 0;

        if (!text || item_len + 2 > size - *len)
            return false;
        if (i)
            buf[(*len)++] = ',';
        memcpy(buf + *len, text, item_len);
        *len += item_len;
    }
    return true;
}

static void take_string(const struct policy *policy, const struct cfg_place *place,
                        enum cfg_option option, const json_t *value, const struct cfg_pair *pair)
{
    const char *text = policy->json->string_value(value);
    size_t len = strlen(text);
    enum cfg_kind kind = cfg_desc[option].kind;

    /* "true", "0.7" and "[]" are no JSON for true, 0.7 and [], as the environment spells them */
    if (kind == CFG_KIND_BOOL || kind == CFG_KIND_UINT || kind == CFG_KIND_RULES ||
        (kind == CFG_KIND_DECIMAL && cfg_word_index(cfg_desc[option].values, text, len) < 0))
        cfg_refuse(policy->reader, place, option, pair->value, pair->value_len);
    else
        cfg_take(policy->reader, place, option, text, len, pair->value, pair->value_len);
}

static void take_value(struct policy *policy, const struct cfg_place *place, enum cfg_option option,
                       const json_t *value, const struct cfg_pair *pair)
{
    enum cfg_kind kind = cfg_desc[option].kind;
    bool number = kind == CFG_KIND_DECIMAL || kind == CFG_KIND_UINT || kind == CFG_KIND_SIZE;
    char list[CFG_TEXT_MAX];
    size_t len;

    if (json_is_string(value))
        take_string(policy, place, option, value, pair);
    else if ((json_is_boolean(value) && kind == CFG_KIND_BOOL) || (json_is_number(value) && number))
        /* as it is written: exact */
        cfg_take(policy->reader, place, option, pair->value, pair->value_len, pair->value,
                 pair->value_len);
    else if (json_is_array(value) && kind == CFG_KIND_GPUS &&
             join(policy->json, value, list, sizeof(list), &len))
        cfg_take(policy->reader, place, option, list, len, pair->value, pair->value_len);
    else if (json_is_array(value) && kind == CFG_KIND_RULES)
        cfg_json_rules(policy, value, pair);
    else
        cfg_refuse(policy->reader, place, option, pair->value, pair->value_len);
}

/* --- one pair ------------------------------------------------------------------------------------
 */

/* The option that a key names, and whether by an alias; CFG_OPTIONS when it is none. */
static enum cfg_option find_option(const char *key, bool *alias)
{
    *alias = false;
    for (size_t i = 0; i < CFG_OPTIONS; i++)
        if (strcmp(key, cfg_desc[i].key) == 0)
            return (enum cfg_option)i;
    *alias = true;
    for (size_t i = 0; i < cfg_aliases; i++)
        if (strcmp(key, cfg_alias[i].key) == 0)
            return cfg_alias[i].option;
    return CFG_OPTIONS;
}

static void refuse_key(const struct policy *policy, const struct cfg_place *place)
{
    const char *nearest = cfg_nearest(place->name, place->name_len, false);
    struct cfg_line line = {0};

    cfg_add_place(&line, place);
    if (nearest)
        cfg_add(&line, "unknown, ignored; did you mean \"%s\"?", nearest);
    else
        cfg_add(&line, "unknown, ignored; \"hybridmem --help\" lists the keys");
    cfg_say(policy->reader, CFG_ERROR, &line);
}

static void take_pair(struct policy *policy, void *arg, const char *key, const json_t *value,
                      const struct cfg_pair *pair)
{
    struct cfg_place place = {policy->path, pair->line, pair->column, key, strlen(key)};
    struct cfg_line line = {0};
    enum cfg_option option;
    bool alias;

    (void)arg;
    if (strcmp(key, "$schema") == 0) /* for editors */
        return;
    option = find_option(key, &alias);
    if (option == CFG_OPTIONS) {
        refuse_key(policy, &place);
    } else if (alias && policy->json->object_get(policy->root, cfg_desc[option].key)) {
        cfg_add_place(&line, &place);
        cfg_add(&line, "ignored, because \"%s\" is set too and means the same",
                cfg_desc[option].key);
        cfg_say(policy->reader, CFG_WARNING, &line);
    } else {
        take_value(policy, &place, option, value, pair);
    }
}

/* --- the file ------------------------------------------------------------------------------------
 */

static void refuse_text(const struct policy *policy, unsigned line_number, unsigned column,
                        const char *why)
{
    struct cfg_place place = {.file = policy->path, .line = line_number, .column = column};
    struct cfg_line line = {0};

    cfg_add_place(&line, &place);
    cfg_add_foreign(&line, why, strlen(why), 300);
    cfg_add(&line, "; %s", policy->root ? "the rest is not read" : "the file is ignored");
    cfg_say(policy->reader, CFG_ERROR, &line);
}

/* The JSON value in text[0..len), or NULL after an error was said. */
static json_t *decode(const struct policy *policy, const char *text, size_t len)
{
    json_error_t error = {.line = 0};
    json_t *root = policy->json->loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool told = error.line > 0 && error.text[0];

    if (!root)
        refuse_text(policy, told ? (unsigned)error.line : 0, told ? (unsigned)error.column : 0,
                    error.text[0] ? error.text : "no memory to read it");
    return root;
}

bool cfg_json_pairs(struct policy *policy, const json_t *object, struct cfg_scan scan,
                    cfg_pair_fn *take, void *arg)
{
    struct cfg_pair pair;

    while (cfg_scan_pair(&scan, &pair)) {
        const json_t *value;
        json_t *key;

        if (policy->reader->result->errors - policy->errors_before >= CFG_LINES_MAX) {
            if (!policy->stopped)
                refuse_text(policy, pair.line, pair.column, "too many errors");
            policy->stopped = true;
            return false;
        }
        key = decode(policy, pair.key, pair.key_len);
        if (!key)
            return false;
        value = policy->json->object_get(object, policy->json->string_value(key));
        if (value)
            take(policy, arg, policy->json->string_value(key), value, &pair);
        policy->json->destroy(key);
    }
    return true;
}

static void take_text(struct cfg_reader *reader, const char *path, const char *text, size_t len,
                      const struct jansson *json)
{
    struct policy policy = {
        .reader = reader, .path = path, .json = json, .errors_before = reader->result->errors};
    struct cfg_scan scan = cfg_scan_start(text, len);
    json_t *root;

    /* before jansson, which recurses on the host's stack */
    if (cfg_scan_deep(&scan, CFG_DEPTH_MAX)) {
        refuse_text(&policy, scan.line, scan.column, "is nested too deeply");
        return;
    }
    root = decode(&policy, text, len);
    if (!root)
        return;
    policy.root = root;
    if (json_is_object(root))
        cfg_json_pairs(&policy, root, cfg_scan_start(text, len), take_pair, NULL);
    else
        cfg_ignore_file(reader, path, "found no object, allowed: { \"key\": value, ... }", 0);
    json->destroy(root);
}

void cfg_read_file(struct cfg_reader *reader, const char *path, const struct cfg_io *io)
{
    struct jansson json;
    size_t len, skip;
    char *text = cfg_slurp(reader, path, io, &len);

    if (!text)
        return;
    skip = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* editors of Windows */
    if (open_jansson(&json, io)) {
        take_text(reader, path, text + skip, len - skip, &json);
        io->dlclose(json.handle);
    } else {
        cfg_ignore_file(
            reader, path,
            "cannot be read without " JANSSON " (package libjansson4, jansson or jansson-libs)", 0);
    }
    io->free(text);
}
