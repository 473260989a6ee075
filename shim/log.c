#include "shim/log.h"

#include "shim/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int threshold = CFG_LOG_WARN;
static char file_name[CFG_TEXT_MAX]; /* empty: stderr; written once, before any thread reads it */

/* Opened for each line: a descriptor that we kept could be closed by a host that closes all of its
 * own, and be the host's next file. */
static int open_log(void)
{
    return file_name[0] ? open(file_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
}

void log_configure(enum cfg_log level, const char *file)
{
    atomic_store(&threshold, level);
    if (!file || !*file)
        return;
    snprintf(file_name, sizeof file_name, "%s", file);
    int fd = open_log();
    if (fd >= 0) {
        close(fd);
        return;
    }
    log_error("%s: cannot write the log (%m); it goes to stderr: change HYBRIDMEM_LOG_FILE", file);
    file_name[0] = '\0';
}

bool log_write(int fd, const char *text, size_t len)
{
    sigset_t pipe_signal, before, pending;
    struct timespec at_once = {0};

    /* A host that never wrote to a stderr whose reader has gone must not die of our line. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    bool ok = write(fd, text, len) == (ssize_t)len;
    if (!ok && errno == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe_signal, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
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
    int cancel = cancel_defer();
    /* One write for a line, so that lines of several processes do not mix. Where it cannot be
     * written there is nobody to tell. */
    int fd = open_log();
    log_write(fd >= 0 ? fd : STDERR_FILENO, buf, (size_t)n);
    if (fd >= 0)
        close(fd);
    cancel_allow(cancel);
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
