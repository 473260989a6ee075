/* report.c: what the host did wrong: illegal uses at once, leaks at exit; nothing when all is well.
 * Into SIMCUDA_REPORT (a file, made only when there is something to say) or stderr. */
#include "vmm.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

void report_line(const char *format, ...)
{
    char line[512] = "simcuda: ";
    va_list arguments;
    bool to_file = sim_settings.report && strcmp(sim_settings.report, "stderr");
    int fd = STDERR_FILENO;
    size_t length;

    va_start(arguments, format);
    vsnprintf(line + 9, sizeof(line) - 11, format, arguments);
    va_end(arguments);
    length = strlen(line);
    line[length++] = '\n';
    if (to_file)
        fd = open(sim_settings.report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, length) != (ssize_t)length)
        fprintf(stderr, "simcuda: SIMCUDA_REPORT=%s: cannot be written\n%s", sim_settings.report,
                line);
    if (to_file && fd >= 0)
        close(fd);
}

void report_illegal(const char *format, ...)
{
    char text[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report_line("illegal use: %s", text);
    if (sim_settings.abort_on_illegal)
        abort();
}

#define LEAK_LINES 20

void report_leaks_locked(void)
{
    unsigned blocks = 0;
    unsigned long long bytes = 0;

    for (struct ctx *ctx = ctx_all_locked(); ctx; ctx = ctx->next) {
        if (!atomic_load(&ctx->alive))
            continue;
        if (!ctx->primary)
            report_line("leak: context c%u on device %d", handle_slot(ctx->handle)->serial,
                        ctx->device->ordinal);
        for (const struct range *range = ctx->ranges; range; range = range->next) {
            if (range->kind != RANGE_DEVICE)
                continue;
            bytes += range->node.size;
            if (blocks++ < LEAK_LINES)
                report_line("leak: d%u: %zu bytes on device %d, by %s", range->serial,
                            range->node.size, range->device->ordinal, range->made_by);
        }
    }
    vmm_leaks_locked(&blocks, &bytes, LEAK_LINES);
    if (blocks)
        report_line("leaks: %u blocks, %llu bytes", blocks, bytes);
}
