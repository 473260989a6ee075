/* hybridmem: the command. It reads options with the same code as the library, so that what it
 * accepts is what the library will do.
 */
#include "config/option.h"
#include "scripts/command.h"
#include "scripts/hybridmem_print.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char synopsis[] =
    "Usage: hybridmem run [--policy FILE] [--set KEY=VALUE]... [--] PROGRAM [ARGUMENT]...\n"
    "       hybridmem check [FILE]\n"
    "       hybridmem plan --vram SIZE | --gpu N [OPTION]... MODEL...\n"
    "       hybridmem doctor [--json] [--policy FILE] [--set KEY=VALUE]...\n"
    "       hybridmem --help | --version\n";

int cli_usage(const char *problem, const char *what)
{
    fprintf(stderr, "hybridmem: %s%s\n%s", problem, what, synopsis);
    return EXIT_USAGE;
}

void cli_print_problem(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", severity == CFG_ERROR ? "error" : "warning", line);
}

/* --- help ----------------------------------------------------------------------------------------
 */

static void print_option(enum cfg_option option)
{
    const struct cfg_desc *desc = &cfg_desc[option];
    struct cfg_line line = {0};

    printf("\n  %-24s %s\n", desc->key, desc->env);
    print_wrapped(desc->doc, 6);
    cfg_add(&line, "default %s; ", *desc->initial ? desc->initial : "empty");
    cfg_add_allowed(&line, option);
    if (*desc->advice_low)
        cfg_add(&line, " (%s to %s advised)", desc->advice_low, desc->advice_high);
    for (size_t i = 0; i < cfg_aliases; i++)
        if (cfg_alias[i].option == option)
            cfg_add(&line, "; also %s, %s", cfg_alias[i].key, cfg_alias[i].env);
    print_wrapped(line.text, 6);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int help(void)
{
    printf("hybridmem " HYBRIDMEM_VERSION ": CUDA programs that need more memory than the GPU has\n"
           "\n%s\n",
           synopsis);
    puts(
        "run    starts PROGRAM with libhybridmem.so preloaded: allocations that do not fit the\n"
        "       budget go to pinned host memory. Refuses wrong options (exit status 78).\n"
        "check  says what is wrong with FILE and the environment, and which value each option has\n"
        "       in the end, and from where. Exit status 78 when anything is wrong.\n"
        "plan   reads the headers of model files (GGUF, safetensors) and says what would lie\n"
        "       where, and what would make it fit: on this machine's GPU (--gpu), or on any card\n"
        "       (--vram). \"hybridmem plan --help\" has its options.\n"
        "doctor says whether driver, library and options work together on this machine, what the\n"
        "       library would do with each GPU, and what to change where something is wrong.\n"
        "\n"
        "  --policy FILE     JSON file with options; the same as HYBRIDMEM_POLICY=FILE\n"
        "  --set KEY=VALUE   one option, over file and environment; may be repeated\n"
        "\n"
        "HYBRIDMEM_LIBRARY names the libhybridmem.so to preload; otherwise it is looked for "
        "beside\n"
        "this command and in ../lib. Sizes take K M G T (and KiB ... = 1024, KB ... = 1000).\n"
        "\n"
        "Options. Default < policy file < environment < --set:");
    for (int i = 0; i < CFG_OPTIONS; i++)
        print_option((enum cfg_option)i);
    return EXIT_SUCCESS;
}

/* --- check ---------------------------------------------------------------------------------------
 */

static const char *origin_text(enum cfg_origin origin)
{
    switch (origin) {
    case CFG_FROM_DEFAULT:
        return "default";
    case CFG_FROM_FILE:
        return "policy file";
    case CFG_FROM_ENVIRONMENT:
        return "environment";
    }
    return "";
}

/* Widths follow the contents: a device list is long, a switch is not. */
static void print_table(const struct cfg_result *result)
{
    char value[CFG_TEXT_MAX];
    int key_width = 6, value_width = 5;

    for (int i = 0; i < CFG_OPTIONS; i++) {
        int key_len = (int)strlen(cfg_desc[i].key);
        int len =
            (int)strlen(cfg_format(&result->config, (enum cfg_option)i, value, sizeof(value)));

        key_width = key_len > key_width ? key_len : key_width;
        value_width = len > value_width && len <= 40 ? len : value_width;
    }
    printf("%-*s  %-*s  %s\n", key_width, "option", value_width, "value", "from");
    for (int i = 0; i < CFG_OPTIONS; i++) {
        cfg_format(&result->config, (enum cfg_option)i, value, sizeof(value));
        printf("%-*s  %-*s  %s\n", key_width, cfg_desc[i].key, value_width, *value ? value : "\"\"",
               origin_text(result->origin[i]));
    }
}

static int check(int argc, char **argv)
{
    static struct cfg_result result;
    const char *file = getenv(CFG_ENV_PREFIX CFG_ENV_POLICY);

    if (argc && is_help(argv[0]))
        return help();
    if (argc > 1 && strcmp(argv[0], "--") == 0)
        argc--, argv++;
    if (argc > 1)
        return cli_usage("check takes one file, not also ", argv[1]);
    if (argc == 1 && argv[0][0] == '-' && argv[0][1])
        return cli_usage("check has no option ", argv[0]);
    if (argc == 1)
        file = argv[0];
    cfg_load(&result, argc ? file : NULL, environ, cli_print_problem, NULL);
    if (file && *file)
        printf("policy file: %s\n\n", file);
    print_table(&result);
    if (fflush(stdout) != 0) {
        perror("hybridmem: standard output");
        return EXIT_FAILURE;
    }
    if (result.errors + result.warnings)
        fprintf(stderr, "%u error%s, %u warning%s\n", result.errors, result.errors == 1 ? "" : "s",
                result.warnings, result.warnings == 1 ? "" : "s");
    return result.errors ? EXIT_CONFIG : EXIT_SUCCESS;
}

/* --- run -----------------------------------------------------------------------------------------
 */

/* The option that a key or an alias names; CFG_OPTIONS when it is none. */
static enum cfg_option option_named(const char *key, size_t len)
{
    for (size_t i = 0; i < CFG_OPTIONS; i++)
        if (strncmp(cfg_desc[i].key, key, len) == 0 && cfg_desc[i].key[len] == '\0')
            return (enum cfg_option)i;
    for (size_t i = 0; i < cfg_aliases; i++)
        if (strncmp(cfg_alias[i].key, key, len) == 0 && cfg_alias[i].key[len] == '\0')
            return cfg_alias[i].option;
    return CFG_OPTIONS;
}

static void set_variable(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        perror("hybridmem");
        exit(EXIT_CANNOT_RUN);
    }
}

/* --set KEY=VALUE becomes the environment variable, in place of all its other names. */
static int set_option(const char *setting)
{
    size_t len = strcspn(setting, "=");
    enum cfg_option option = option_named(setting, len);
    const char *nearest = cfg_nearest(setting, len, false);

    if (!setting[len])
        return cli_usage("--set takes KEY=VALUE, not ", setting);
    if (option == CFG_OPTIONS) {
        fprintf(stderr, "error: --set %s: unknown option%s%s%s\n", setting,
                nearest ? "; did you mean \"" : "; \"hybridmem --help\" lists them",
                nearest ? nearest : "", nearest ? "\"?" : "");
        return EXIT_CONFIG;
    }
    if (!setting[len + 1] && cfg_desc[option].kind != CFG_KIND_TEXT) {
        fprintf(stderr, "error: --set %s: a value is missing\n", setting);
        return EXIT_CONFIG;
    }
    for (size_t i = 0; i < cfg_aliases; i++)
        if (cfg_alias[i].option == option)
            unsetenv(cfg_alias[i].env);
    set_variable(cfg_desc[option].env, setting + len + 1);
    return 0;
}

/* An absolute path, so that it holds when the program goes elsewhere. */
static int set_policy(const char *file)
{
    char path[PATH_MAX];

    set_variable(CFG_ENV_PREFIX CFG_ENV_POLICY, realpath(file, path) ? path : file);
    return 0;
}

const char *cli_option_value(int *i, int argc, char **argv, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(argv[*i], name, len) != 0)
        return NULL;
    if (argv[*i][len] == '=')
        return argv[*i] + len + 1;
    return argv[*i][len] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

bool cli_take_setting(int *i, int argc, char **argv, int *status)
{
    const char *value;

    if ((value = cli_option_value(i, argc, argv, "--policy")) != NULL)
        *status = set_policy(value);
    else if ((value = cli_option_value(i, argc, argv, "--set")) != NULL)
        *status = set_option(value);
    return value != NULL;
}

/* Takes run's own options; *program becomes the index of the first word that is not one. */
static int take_options(int argc, char **argv, int *program)
{
    int i, status = 0;

    for (i = 0; i < argc && argv[i][0] == '-' && status == 0; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (!cli_take_setting(&i, argc, argv, &status))
            status = cli_usage("run has no such option, or its value is missing: ", argv[i]);
    }
    *program = i;
    return status;
}

bool cli_find_library(char path[PATH_MAX], char why[CLI_WHY_MAX])
{
    static const char *const places[] = {"libhybridmem.so", "../lib/libhybridmem.so",
                                         "../lib64/libhybridmem.so"};
    const char *named = getenv(CFG_ENV_PREFIX CFG_ENV_LIBRARY);
    char self[PATH_MAX], candidate[PATH_MAX + 32];
    ssize_t len;

    if (named && *named) {
        if (realpath(named, path) && access(path, R_OK) == 0)
            return true;
        snprintf(why, CLI_WHY_MAX, "HYBRIDMEM_LIBRARY: %s: %s", named, strerror(errno));
        return false;
    }
    len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    if (strrchr(self, '/'))
        strrchr(self, '/')[1] = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(candidate, sizeof(candidate), "%s%s", self, places[i]);
        if (realpath(candidate, path) && access(path, R_OK) == 0)
            return true;
    }
    snprintf(why, CLI_WHY_MAX,
             "no libhybridmem.so in %s or %s../lib; HYBRIDMEM_LIBRARY can name it", self, self);
    return false;
}

bool cli_preload(const char *library, char why[CLI_WHY_MAX])
{
    const char *others = getenv("LD_PRELOAD");
    char *value;

    /* ld.so(8): both separate the names, and there is no way to quote them */
    if (strpbrk(library, " :")) {
        snprintf(why, CLI_WHY_MAX, "%s: LD_PRELOAD cannot name a path with a blank or a colon",
                 library);
        return false;
    }
    if (asprintf(&value, "%s%s%s", library, others && *others ? ":" : "", others ? others : "") <
        0) {
        snprintf(why, CLI_WHY_MAX, "%s", strerror(ENOMEM));
        return false;
    }
    set_variable("LD_PRELOAD", value);
    free(value);
    return true;
}

static int run(int argc, char **argv)
{
    static struct cfg_result result;
    char library[PATH_MAX], why[CLI_WHY_MAX];
    int program;
    int status;

    if (argc && is_help(argv[0]))
        return help();
    status = take_options(argc, argv, &program);
    if (status != 0)
        return status;
    if (program >= argc)
        return cli_usage("run: no program given", "");
    /* Quietly first: warnings alone are the library's to tell. */
    cfg_load(&result, NULL, environ, NULL, NULL);
    if (result.errors) {
        cfg_load(&result, NULL, environ, cli_print_problem, NULL);
        fprintf(stderr, "hybridmem: %s was not started\n", argv[program]);
        return EXIT_CONFIG;
    }
    if (!cli_find_library(library, why) || !cli_preload(library, why)) {
        fprintf(stderr, "hybridmem: %s\n", why);
        return EXIT_NO_LIBRARY;
    }
    execvp(argv[program], argv + program);
    status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    fprintf(stderr, "hybridmem: %s: %s\n", argv[program], strerror(errno));
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("what shall it do?", "");
    if (strcmp(argv[1], "run") == 0)
        return run(argc - 2, argv + 2);
    if (strcmp(argv[1], "check") == 0)
        return check(argc - 2, argv + 2);
    if (strcmp(argv[1], "plan") == 0)
        return plan_command(argc - 2, argv + 2);
    if (strcmp(argv[1], "doctor") == 0)
        return doctor_command(argc - 2, argv + 2);
    if (is_help(argv[1]))
        return help();
    if (strcmp(argv[1], "--version") == 0) {
        puts("hybridmem " HYBRIDMEM_VERSION);
        return EXIT_SUCCESS;
    }
    return cli_usage("there is no command ", argv[1]);
}
