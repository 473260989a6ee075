/* generate: what is made from options.def besides the parser and --help: schema.json,
 * default.json and the README's table. Built and called by scripts/generate.
 */
#include "config/option.h"

#include <stdio.h>
#include <string.h>

/* The doc lines hold no control characters, so that quotes are all there is to escape. */
static void print_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

/* Prints words with `before` and `after` around each, and `between` them. */
static void print_words(const char *words, const char *before, const char *after,
                        const char *between)
{
    while (*words) {
        int n = (int)strcspn(words, " ");

        printf("%s%.*s%s", before, n, words, after);
        words += n + (int)strspn(words + n, " ");
        if (*words)
            fputs(between, stdout);
    }
}

static bool has_word(const struct cfg_desc *desc, const char *word)
{
    return cfg_word_index(desc->values, word, strlen(word)) >= 0;
}

/* A value as JSON: numbers, switches and arrays bare, the rest in quotes. */
static void print_initial(const struct cfg_desc *desc)
{
    bool number = desc->kind == CFG_KIND_DECIMAL || desc->kind == CFG_KIND_UINT;

    if (desc->kind == CFG_KIND_BOOL || desc->kind == CFG_KIND_RULES ||
        (number && !has_word(desc, desc->initial)))
        fputs(desc->initial, stdout);
    else
        print_string(desc->initial);
}

/* --- schema.json ---------------------------------------------------------------------------------
 */

#define UNITS  "([KkMmGgTt]([Ii]?[Bb])?|[Bb])?"
#define NUMBER "[0-9]+(\\\\.[0-9]+)?([Ee][+-]?[0-9]+)?"
#define GPU    "((cuda:)?[0-9]{1,4}|GPU-[0-9A-Fa-f-]{2,36})"

static void print_size_type(const struct cfg_desc *desc)
{
    printf("\"anyOf\": [{ \"type\": \"integer\", \"minimum\": 0 },\n"
           "                { \"type\": \"string\", \"pattern\": \"^(" NUMBER " *" UNITS);
    if (has_word(desc, "%"))
        printf("|" NUMBER " *%%");
    if (has_word(desc, "none"))
        printf("|none");
    printf(")$\" }]");
}

/* One, or an array of `most`: `what` is the inner part of a type. */
static void print_one_or_more(const char *what, int most)
{
    printf("\"anyOf\": [{ %s }, { \"type\": \"array\", \"minItems\": 1%s", what, most ? "" : ", ");
    if (most)
        printf(", \"maxItems\": %d, ", most);
    printf("\"items\": { %s } }]", what);
}

static void print_condition(const struct cfg_condition *c)
{
    char type[256] = "\"type\": \"string\", \"minLength\": 1";
    const char *words = c->words;
    size_t len;

    printf("\n              \"%s\": { ", c->key);
    if (c->kind == CFG_CONDITION_LEAST || c->kind == CFG_CONDITION_MOST) {
        print_size_type(&cfg_desc[CFG_OPTION_min_redirect]);
    } else if (c->kind == CFG_CONDITION_DEVICE) {
        print_one_or_more("\"type\": \"string\", \"pattern\": \"^" GPU "$\"", POL_RULE_GPUS_MAX);
    } else {
        for (len = 0; *words; words += strcspn(words, " "), words += strspn(words, " "))
            len += (size_t)snprintf(type + len, sizeof(type) - len, "%s\"%.*s\"",
                                    len ? ", " : "\"enum\": [", (int)strcspn(words, " "), words);
        if (len)
            snprintf(type + len, sizeof(type) - len, "]");
        print_one_or_more(type, 0);
    }
    printf(" }");
}

static void print_rules_type(void)
{
    printf("\"type\": \"array\", \"maxItems\": %d, \"items\": {\n"
           "        \"type\": \"object\", \"additionalProperties\": false,\n"
           "        \"required\": [\"match\", \"place\"],\n"
           "        \"properties\": {\n"
           "          \"note\": { \"description\": \"for people\" },\n"
           "          \"place\": { \"enum\": [",
           POL_RULES_MAX);
    print_words(CFG_PLACES, "\"", "\"", ", ");
    printf("] },\n"
           "          \"match\": {\n"
           "            \"type\": \"object\", \"additionalProperties\": false,\n"
           "            \"properties\": {");
    for (const struct cfg_condition *c = cfg_condition; c->key; c++) {
        print_condition(c);
        fputs(c[1].key ? "," : "\n            }\n          }\n        }\n      }", stdout);
    }
}

static void print_type(const struct cfg_desc *desc)
{
    switch (desc->kind) {
    case CFG_KIND_BOOL:
        printf("\"type\": \"boolean\"");
        break;
    case CFG_KIND_DECIMAL:
        if (*desc->values)
            printf("\"anyOf\": [{ \"type\": \"number\", \"minimum\": %s, \"maximum\": %s },\n"
                   "                { \"const\": \"%s\" }]",
                   desc->low, desc->high, desc->values);
        else
            printf("\"type\": \"number\", \"minimum\": %s, \"maximum\": %s", desc->low, desc->high);
        break;
    case CFG_KIND_UINT:
        printf("\"type\": \"integer\", \"minimum\": %s, \"maximum\": %s", desc->low, desc->high);
        break;
    case CFG_KIND_SIZE:
        print_size_type(desc);
        break;
    case CFG_KIND_CHOICE:
        printf("\"enum\": [");
        print_words(desc->values, "\"", "\"", ", ");
        printf("]");
        break;
    case CFG_KIND_GPUS:
        printf("\"anyOf\": [{ \"type\": \"string\", \"pattern\": \"^(all|" GPU "([, ]+" GPU
               ")*)$\" },\n"
               "                { \"type\": \"array\", \"minItems\": 1, \"maxItems\": %d,\n"
               "                  \"items\": { \"type\": \"string\", \"pattern\": \"^" GPU
               "$\" } }]",
               CFG_GPUS_MAX);
        break;
    case CFG_KIND_TEXT:
        printf("\"type\": \"string\", \"maxLength\": %d", CFG_TEXT_MAX - 1);
        break;
    case CFG_KIND_RULES:
        print_rules_type();
        break;
    }
}

static void print_property(const char *key, const struct cfg_desc *desc, const char *same_as)
{
    printf(",\n    \"%s\": {\n      \"description\": ", key);
    if (same_as)
        printf("\"the same as %s\"", same_as);
    else
        print_string(desc->doc);
    printf(",\n      ");
    print_type(desc);
    if (!same_as) {
        printf(",\n      \"default\": ");
        print_initial(desc);
    }
    printf("\n    }");
}

static void print_schema(void)
{
    printf("{\n"
           "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
           "  \"title\": \"hybridmem policy file\",\n"
           "  \"description\": \"Options of hybridmem; HYBRIDMEM_POLICY names the file. "
           "Made from config/options.def by scripts/generate.\",\n"
           "  \"type\": \"object\",\n"
           "  \"additionalProperties\": false,\n"
           "  \"properties\": {\n"
           "    \"$schema\": { \"description\": \"for editors; ignored\" }");
    for (int i = 0; i < CFG_OPTIONS; i++)
        print_property(cfg_desc[i].key, &cfg_desc[i], NULL);
    for (size_t i = 0; i < cfg_aliases; i++)
        print_property(cfg_alias[i].key, &cfg_desc[cfg_alias[i].option],
                       cfg_desc[cfg_alias[i].option].key);
    printf("\n  }\n}\n");
}

static void print_default(void)
{
    printf("{\n  \"$schema\": \"schema.json\"");
    for (int i = 0; i < CFG_OPTIONS; i++) {
        printf(",\n  \"%s\": ", cfg_desc[i].key);
        print_initial(&cfg_desc[i]);
    }
    printf("\n}\n");
}

/* --- README --------------------------------------------------------------------------------------
 */

static void print_range(const struct cfg_desc *desc)
{
    struct cfg_line line = {0};

    switch (desc->kind) {
    case CFG_KIND_CHOICE:
        print_words(desc->values, "`", "`", ", ");
        return;
    case CFG_KIND_BOOL:
        printf("`true`, `false`");
        return;
    case CFG_KIND_TEXT:
        printf("text");
        return;
    default:
        cfg_add_allowed(&line, (enum cfg_option)(desc - cfg_desc));
        fputs(line.text, stdout);
        if (*desc->advice_low)
            printf(" (%s to %s advised)", desc->advice_low, desc->advice_high);
    }
}

static void print_readme_options(void)
{
    puts("| JSON key | environment | default | allowed | meaning |\n|---|---|---|---|---|");
    for (int i = 0; i < CFG_OPTIONS; i++) {
        const struct cfg_desc *desc = &cfg_desc[i];

        printf("| `%s`", desc->key);
        for (size_t j = 0; j < cfg_aliases; j++)
            if (cfg_alias[j].option == (enum cfg_option)i)
                printf(" (or `%s`)", cfg_alias[j].key);
        printf(" | `%s` | %s%s%s | ", desc->env, *desc->initial ? "`" : "", desc->initial,
               *desc->initial ? "`" : "");
        print_range(desc);
        printf(" | %s |\n", desc->doc);
    }
}

static void print_readme_conditions(void)
{
    puts("| condition | allowed | holds for |\n|---|---|---|");
    for (const struct cfg_condition *c = cfg_condition; c->key; c++) {
        struct cfg_line line = {0};

        cfg_add_condition(&line, c);
        printf("| `%s` | %s | %s |\n", c->key, line.text, c->doc);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";

    if (strcmp(what, "schema") == 0)
        print_schema();
    else if (strcmp(what, "default") == 0)
        print_default();
    else if (strcmp(what, "readme-options") == 0)
        print_readme_options();
    else if (strcmp(what, "readme-conditions") == 0)
        print_readme_conditions();
    else
        return 64;
    return fflush(stdout) == 0 ? 0 : 1;
}
