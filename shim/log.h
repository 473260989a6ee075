/* log.h: lines for people, on stderr or in log_file, never on stdout. Allocates nothing, keeps
 * errno, safe from any thread and during start-up.
 */
#ifndef HYBRIDMEM_LOG_H
#define HYBRIDMEM_LOG_H

#include "config/config.h"

#include <stddef.h>
#include <stdint.h>

/* Until this is called: warnings and errors, on stderr. `file` empty: stderr. */
void log_configure(enum cfg_log level, const char *file);

bool log_wants(enum cfg_log level);

/* All of `text` in one write, never at the price of a SIGPIPE. False if that failed. */
bool log_write(int fd, const char *text, size_t len);

/* One line, cut at 1 KiB; newline and "hybridmem: " are added. */
__attribute__((format(printf, 2, 3))) void log_line(enum cfg_log level, const char *format, ...);

#define log_error(...) log_line(CFG_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(CFG_LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(CFG_LOG_INFO, __VA_ARGS__)
/* The arguments are evaluated only where somebody listens. */
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_wants(CFG_LOG_DEBUG))                                                              \
            log_line(CFG_LOG_DEBUG, __VA_ARGS__);                                                  \
    } while (0)

/* "612.5 MiB" into buf; returns buf. */
#define LOG_SIZE_MAX 24
const char *log_size(uint64_t bytes, char buf[LOG_SIZE_MAX]);

#endif
