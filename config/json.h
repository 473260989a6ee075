/* json.h: inside config/: what reading a policy file is made of: jansson, and walks over the text
 * and the tree at once. The text must be the tree's own.
 */
#ifndef HYBRIDMEM_CONFIG_JSON_H
#define HYBRIDMEM_CONFIG_JSON_H

#include "config/option.h"

#include <jansson.h>

struct jansson {
    void *handle;
    __typeof__(json_loadb) *loadb;
    __typeof__(json_delete) *destroy; /* of a value that only we hold; json_decref would link */
    __typeof__(json_object_get) *object_get;
    __typeof__(json_array_get) *array_get;
    __typeof__(json_array_size) *array_size;
    __typeof__(json_string_value) *string_value;
};

struct policy {
    struct cfg_reader *reader;
    const char *path;
    const struct jansson *json;
    const json_t *root;
    unsigned errors_before; /* of the reader, when the file was opened */
    bool stopped;           /* too many: nothing more is said */
};

/* One pair of an object: its key decoded, its value in the tree and in the text. */
typedef void cfg_pair_fn(struct policy *policy, void *arg, const char *key, const json_t *value,
                         const struct cfg_pair *pair);

/* Calls `take` for each pair of `object`, whose text `scan` goes over. False if it stopped before
 * the end, after an error was said. */
bool cfg_json_pairs(struct policy *policy, const json_t *object, struct cfg_scan scan,
                    cfg_pair_fn *take, void *arg);

/* The option rules: all of the array's rules, or none, after errors were said. */
void cfg_json_rules(struct policy *policy, const json_t *array, const struct cfg_pair *pair);

#endif
