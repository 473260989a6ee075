/* command.h: what the parts of the hybridmem command share.
 */
#ifndef HYBRIDMEM_SCRIPTS_COMMAND_H
#define HYBRIDMEM_SCRIPTS_COMMAND_H

#include "config/config.h"

#include <limits.h>

enum {
    EXIT_USAGE = 64,       /* EX_USAGE */
    EXIT_DATA = 65,        /* EX_DATAERR */
    EXIT_NO_INPUT = 66,    /* EX_NOINPUT */
    EXIT_NO_LIBRARY = 69,  /* EX_UNAVAILABLE: no library, no driver, no GPU */
    EXIT_CONFIG = 78,      /* EX_CONFIG */
    EXIT_CANNOT_RUN = 126, /* these two as shells have them */
    EXIT_NOT_FOUND = 127,
};

/* Says what is wrong and how it is used, on stderr; returns EXIT_USAGE. */
int cli_usage(const char *problem, const char *what);

/* A cfg_report_fn: the line on stderr. */
void cli_print_problem(void *arg, enum cfg_severity severity, const char *line);

/* Is argv[*i] --policy or --set? Then it is taken, into the environment, with its value: *status
 * becomes 0 or the exit status. */
bool cli_take_setting(int *i, int argc, char **argv, int *status);

/* The value of an option that is written "--name VALUE" (*i goes on) or "--name=VALUE", or NULL. */
const char *cli_option_value(int *i, int argc, char **argv, const char *name);

/* Finds libhybridmem.so: HYBRIDMEM_LIBRARY, beside this command, or where "make install" puts it.
 * Puts it before what is preloaded already. Where that fails, `why` is a line about it. */
#define CLI_WHY_MAX (2 * PATH_MAX + 128)
bool cli_find_library(char path[PATH_MAX], char why[CLI_WHY_MAX]);
bool cli_preload(const char *library, char why[CLI_WHY_MAX]);

/* hybridmem plan, hybridmem doctor; argv begins behind that word. Returns the exit status. */
int plan_command(int argc, char **argv);
int doctor_command(int argc, char **argv);

#endif
