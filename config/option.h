/* option.h: inside config/: the option table and the parts that config.c puts together. Reading
 * text and writing it live here; where a text came from is told by struct cfg_place.
 */
#ifndef HYBRIDMEM_CONFIG_OPTION_H
#define HYBRIDMEM_CONFIG_OPTION_H

#include "config/config.h"

#include <sys/stat.h>
#include <sys/types.h>

#define CFG_ENV_PREFIX  "HYBRIDMEM_"
#define CFG_ENV_POLICY  "POLICY"  /* names the policy file */
#define CFG_ENV_LIBRARY "LIBRARY" /* for the command: where the library is */

/* --- the table -----------------------------------------------------------------------------------
 */

enum cfg_kind {
    CFG_KIND_BOOL,
    CFG_KIND_DECIMAL,
    CFG_KIND_UINT,
    CFG_KIND_SIZE,
    CFG_KIND_CHOICE,
    CFG_KIND_GPUS,
    CFG_KIND_TEXT,
    CFG_KIND_RULES,
};

/* A row of options.def; "" where there is none. */
struct cfg_desc {
    const char *key;
    const char *env; /* the whole name, HYBRIDMEM_... */
    enum cfg_kind kind;
    size_t offset; /* of the field in struct config */
    const char *initial;
    const char *low;
    const char *high;
    const char *advice_low;
    const char *advice_high;
    const char *values;
    const char *doc;
};

struct cfg_alias {
    const char *key;
    const char *env;
    enum cfg_option option;
};

extern const struct cfg_desc cfg_desc[CFG_OPTIONS];
extern const struct cfg_alias cfg_alias[];
extern const size_t cfg_aliases;

/* Is `word` one of the blank-separated words of `values`? Its index, or -1. */
int cfg_word_index(const char *values, const char *word, size_t len);

/* The known key (`env`: environment variable, without HYBRIDMEM_) that a misspelt name comes
 * nearest to, or NULL. */
const char *cfg_nearest(const char *name, size_t len, bool env);

/* What a rule may ask for. */
enum cfg_condition_kind {
    CFG_CONDITION_TEXT, /* patterns */
    CFG_CONDITION_WORD, /* some of `words` */
    CFG_CONDITION_ALLOCATOR,
    CFG_CONDITION_DEVICE,
    CFG_CONDITION_LEAST,
    CFG_CONDITION_MOST,
};

struct cfg_condition {
    const char *key;
    enum cfg_condition_kind kind;
    enum pol_rule_text text; /* TEXT, WORD */
    const char *words;       /* the only ones allowed, or "" */
    const char *doc;
};

extern const struct cfg_condition cfg_condition[]; /* up to the one whose key is NULL */

#define CFG_PLACES "auto device host skip" /* as enum pol_place */

/* --- text -> value and back ----------------------------------------------------------------------
 */

/* Reads text[0..len) into the option's field; false, and nothing changed, when it is not allowed.
 */
bool cfg_parse(struct config *config, enum cfg_option option, const char *text, size_t len);

/* The same for one size, in bytes, and for one device. */
bool cfg_parse_bytes(const char *text, size_t len, uint64_t *bytes);
bool cfg_parse_gpu(const char *text, size_t len, struct pol_gpu *gpu);

/* Is the value inside the advised range? True where there is none. */
bool cfg_advised(const struct config *config, enum cfg_option option);

/* --- diagnostics ---------------------------------------------------------------------------------
 */

/* One line under construction; what does not fit is cut off. */
struct cfg_line {
    size_t len;
    char text[2048];
};

void cfg_add(struct cfg_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds foreign text: control characters escaped, at most `show` bytes of it, then "...". */
void cfg_add_foreign(struct cfg_line *line, const char *text, size_t len, size_t show);

/* Adds what an option accepts, for people. */
void cfg_add_allowed(struct cfg_line *line, enum cfg_option option);

/* The same for a rule's condition. */
void cfg_add_condition(struct cfg_line *line, const struct cfg_condition *condition);

struct cfg_reader {
    struct cfg_result *result;
    cfg_report_fn *report; /* may be NULL */
    void *arg;
};

void cfg_say(struct cfg_reader *reader, enum cfg_severity severity, const struct cfg_line *line);

/* Where a name was met: in an environment variable, or (file not NULL) in a policy file. */
struct cfg_place {
    const char *file;
    unsigned line, column;
    const char *name;
    size_t name_len;
};

/* Adds "HYBRIDMEM_LOG: ", or "FILE:LINE:COLUMN: key "log": ". */
void cfg_add_place(struct cfg_line *line, const struct cfg_place *place);

/* Takes a value, or says why not. `found` is the value as its author wrote it. */
void cfg_take(struct cfg_reader *reader, const struct cfg_place *place, enum cfg_option option,
              const char *text, size_t len, const char *found, size_t found_len);
void cfg_refuse(struct cfg_reader *reader, const struct cfg_place *place, enum cfg_option option,
                const char *found, size_t found_len);

/* --- sources -------------------------------------------------------------------------------------
 */

/* The value of an environment variable in `env`, white space cut off at both ends; NULL if unset.
 */
const char *cfg_getenv(char **env, const char *name, size_t *len);

void cfg_read_env(struct cfg_reader *reader, char **env);

/* What reading a policy file asks of the system: replaced in tests, to fail at the n-th call. */
struct cfg_io {
    int (*open)(const char *path, int flags, ...);
    int (*fstat)(int fd, struct stat *status);
    ssize_t (*read)(int fd, void *buf, size_t len);
    int (*close)(int fd);
    void *(*malloc)(size_t len);
    void (*free)(void *p);
    void *(*dlopen)(const char *path, int mode);
    void *(*dlsym)(void *library, const char *name);
    int (*dlclose)(void *library);
};
extern const struct cfg_io cfg_io_system;

#define CFG_FILE_MAX  (1u << 20) /* bytes of a policy file */
#define CFG_DEPTH_MAX 16         /* its deepest nesting */
#define CFG_LINES_MAX 20         /* problems that are told of one file */

void cfg_read_file(struct cfg_reader *reader, const char *path, const struct cfg_io *io);

/* A walk over the pairs of the object in a JSON text. JSON libraries tell a position only for
 * syntax errors, and numbers only as doubles: this finds where each pair stands in the text. */
struct cfg_scan {
    const char *text;
    size_t len, at;
    unsigned line, column; /* of text[at], from 1; columns are code points */
};

struct cfg_pair {
    const char *key, *value;
    size_t key_len, value_len; /* quotes included */
    unsigned line, column;     /* of the key */
    unsigned value_line, value_column;
};

struct cfg_scan cfg_scan_start(const char *text, size_t len);

/* Goes on to where brackets nest deeper than `max`; false if they never do. Any text will do. */
bool cfg_scan_deep(struct cfg_scan *scan, unsigned max);

/* The next element of the outermost array: a pair without a key, line and column are the value's.
 * False after the last. The text must be valid JSON. */
bool cfg_scan_item(struct cfg_scan *scan, struct cfg_pair *item);

/* The next pair of the outermost object; false after the last. The text must be valid JSON. */
bool cfg_scan_pair(struct cfg_scan *scan, struct cfg_pair *pair);

#endif
