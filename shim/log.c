#include "shim/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic int threshold = CFG_LOG_WARN;
static _Atomic int descriptor = STDERR_FILENO;

void log_configure(enum cfg_log level, const char *file)
{
    atomic_store(&threshold, level);
    if (!file || !*file)
        return;
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        log_error("%s: cannot write the log (%m); it goes to stderr: change HYBRIDMEM_LOG_FILE",
                  file);
    else
        atomic_store(&descriptor, fd);
}

bool log_wants(enum cfg_log level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_line(enum cfg_log level, const char *format, ...)
{
    static const char *const names[] = {"", "error: ", "warning: ", "", "debug: "};
    char buf[1024];
    int saved = errno;
    va_list args;

    if (!log_wants(level))
        return;
    int n = snprintf(buf, sizeof buf, "hybridmem: %s", names[level]);
    va_start(args, format);
    errno = saved; /* for %m */
    int m = vsnprintf(buf + n, sizeof buf - (size_t)n, format, args);
    va_end(args);
    n = m < 0 ? n : n + m;
    if (n > (int)sizeof buf - 1)
        n = (int)sizeof buf - 1;
    buf[n++] = '\n';
    /* One write for a line, so that lines of several processes do not mix. Where it cannot be
     * written there is nobody to tell. */
    ssize_t ignored = write(atomic_load(&descriptor), buf, (size_t)n);
    (void)ignored;
    errno = saved;
}

const char *log_size(uint64_t bytes, char buf[LOG_SIZE_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double x = (double)bytes;
    int u = 0;

    while (x >= 1024 && u < 6) {
        x /= 1024;
        u++;
    }
    snprintf(buf, LOG_SIZE_MAX, u ? "%.1f %s" : "%.0f %s", x, units[u]);
    return buf;
}
