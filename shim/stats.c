#include "shim/stats.h"

#include "shim/attribution.h"
#include "shim/backing.h"
#include "shim/device.h"
#include "shim/gate.h"
#include "shim/init.h"
#include "shim/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct snapshot {
    uint64_t vram, vram_peak, host, host_peak, lent, lent_peak, recalled, managed, allocations,
        bytes, insufficient, refused;
};

static struct snapshot take(struct device *d)
{
    ledger_note_peak(&d->vram);
    return (struct snapshot){
        .vram = ledger_sum(&d->vram),
        .vram_peak = atomic_load(&d->vram.peak),
        .host = atomic_load(&d->host_bytes),
        .host_peak = atomic_load(&d->host_bytes_peak),
        .lent = atomic_load(&d->lent_bytes),
        .lent_peak = atomic_load(&d->lent_bytes_peak),
        .recalled = atomic_load(&d->recalled_bytes),
        .managed = ledger_sum(&d->managed),
        .allocations = atomic_load(&d->redirected_allocations),
        .bytes = atomic_load(&d->redirected_bytes),
        .insufficient = atomic_load(&d->insufficient),
        .refused = atomic_load(&d->refused),
    };
}

/* Text in pieces into a file descriptor, without stdio's buffers. */
struct out {
    int fd;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
    char buf[1024];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(buf, sizeof buf, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof buf || !log_write(out->fd, buf, (size_t)n))
        out->failed = true;
}

/* The models' names are the only text that comes from outside. */
static void put_text(struct out *out, const char *key, const char *text)
{
    char buf[ATTRIBUTION_PATH_MAX * (TXT_JSON_MAX - 1)];
    size_t len = strlen(text), n = 0;

    for (size_t i = 0; i < len; n += strlen(buf + n))
        i += txt_json(text + i, len - i, buf + n);
    buf[n] = '\0';
    put(out, "\"%s\":\"", key);
    if (!log_write(out->fd, buf, n))
        out->failed = true;
    put(out, "\",");
}

static void put_models(struct out *out)
{
    struct attribution_model m;

    for (unsigned i = 0; attribution_model(i, &m); i++) {
        put(out, i ? ",{" : "{");
        put_text(out, "file", m.file);
        put_text(out, "architecture", m.architecture);
        put(out,
            "\"model_type\":\"%s\",\"tensor_bytes\":%llu,\"device_bytes\":%llu,"
            "\"host_bytes\":%llu}",
            model_type_name(m.type), (unsigned long long)m.tensor_bytes,
            (unsigned long long)m.device_bytes, (unsigned long long)m.host_bytes);
    }
}

/* As of the last poll; null where there was none: a device that is no target, or that nothing was
 * allocated on. */
static void put_limits(struct out *out, struct device *d)
{
    struct pol_limits limits;
    bool polled = false;

    /* Not waited for: the process is ending, and whoever holds the lock may never let go. */
    if (pthread_mutex_trylock(&d->lock) == 0) {
        polled = d->polled;
        limits = d->limits;
        pthread_mutex_unlock(&d->lock);
    }
    if (polled)
        put(out, "\"vram_total\":%llu,\"vram_reserved\":%llu,\"gpu_budget\":%llu,",
            (unsigned long long)limits.vram_total, (unsigned long long)limits.reserved,
            (unsigned long long)limits.gpu_budget);
    else
        put(out, "\"vram_total\":null,\"vram_reserved\":null,\"gpu_budget\":null,");
}

static void write_json(int fd, bool *failed)
{
    struct out out = {fd, false};
    const char *comma = "";

    put(&out,
        "{\"version\":\"%s\",\"pid\":%d,\"host_share\":%llu,\"host_pinned\":%llu,"
        "\"host_pinned_peak\":%llu,\"gated_calls\":%llu,\"devices\":[",
        HYBRIDMEM_VERSION, (int)getpid(), (unsigned long long)device_host_share(),
        (unsigned long long)backing_host_pinned(), (unsigned long long)backing_host_pinned_peak(),
        (unsigned long long)gate_calls());
    for (int i = 0; i < DEVICES_MAX; i++) {
        struct device *d = device_known(i);
        if (!d)
            continue;
        struct snapshot s = take(d);
        put(&out, "%s{\"ordinal\":%d,", comma, i);
        put_limits(&out, d);
        put(&out,
            "\"device_bytes\":%llu,\"device_bytes_peak\":%llu,"
            "\"host_bytes\":%llu,\"host_bytes_peak\":%llu,"
            "\"lent_bytes\":%llu,\"lent_bytes_peak\":%llu,\"recalled_bytes\":%llu,"
            "\"managed_bytes\":%llu,"
            "\"redirected_allocations\":%llu,\"redirected_bytes\":%llu,\"insufficient\":%llu,"
            "\"refused\":%llu}",
            (unsigned long long)s.vram, (unsigned long long)s.vram_peak, (unsigned long long)s.host,
            (unsigned long long)s.host_peak, (unsigned long long)s.lent,
            (unsigned long long)s.lent_peak, (unsigned long long)s.recalled,
            (unsigned long long)s.managed, (unsigned long long)s.allocations,
            (unsigned long long)s.bytes, (unsigned long long)s.insufficient,
            (unsigned long long)s.refused);
        comma = ",";
    }
    put(&out, "],\"models\":[");
    put_models(&out);
    put(&out, "]}\n");
    *failed = out.failed;
}

/* %p in the name stands for the process id, so that several processes do not meet. */
static bool file_name(const char *pattern, char *name, size_t len)
{
    const char *mark = strstr(pattern, "%p");
    int n = mark ? snprintf(name, len, "%.*s%d%s", (int)(mark - pattern), pattern, (int)getpid(),
                            mark + 2)
                 : snprintf(name, len, "%s", pattern);
    return n > 0 && (size_t)n < len;
}

/* Whole or not at all: a reader never meets half a file. */
static void write_file(const char *pattern)
{
    char name[CFG_TEXT_MAX + 16], partial[CFG_TEXT_MAX + 32];
    bool failed = true;

    if (!file_name(pattern, name, sizeof name))
        return;
    snprintf(partial, sizeof partial, "%s.partial", name);
    int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        write_json(fd, &failed);
        failed = close(fd) != 0 || failed || rename(partial, name) != 0;
    }
    if (failed)
        log_error("%s: cannot write the statistics (%m): change HYBRIDMEM_STATS_FILE", name);
}

static void write_summary(void)
{
    struct attribution_model m;
    char a[LOG_SIZE_MAX], b[LOG_SIZE_MAX], c[LOG_SIZE_MAX];
    struct out out = {STDERR_FILENO, false};

    put(&out, "hybridmem: %-8s %12s %12s %12s %14s %8s\n", "device", "VRAM peak", "host peak",
        "redirected", "allocations", "refused");
    for (int i = 0; i < DEVICES_MAX; i++) {
        struct device *d = device_known(i);
        if (!d)
            continue;
        struct snapshot s = take(d);
        put(&out, "hybridmem: cuda:%-3d %12s %12s %12s %14llu %8llu\n", i, log_size(s.vram_peak, a),
            log_size(s.host_peak, b), log_size(s.bytes, c), (unsigned long long)s.allocations,
            (unsigned long long)s.refused);
    }
    if (attribution_model(0, &m))
        put(&out, "hybridmem: %-9s %11s %12s  %s\n", "model", "VRAM", "host", "file");
    for (unsigned i = 0; attribution_model(i, &m); i++)
        put(&out, "hybridmem: %-9s %11s %12s  %.200s\n", model_type_name(m.type),
            log_size(m.device_bytes, a), log_size(m.host_bytes, b), strrchr(m.file, '/') + 1);
}

bool stats_any_device(void)
{
    for (int i = 0; i < DEVICES_MAX; i++)
        if (device_known(i))
            return true;
    return false;
}

void stats_at_exit(void)
{
    const struct config *c = shim_config();

    attribution_at_exit();
    if (c->summary && stats_any_device())
        write_summary();
    if (c->stats_file[0])
        write_file(c->stats_file);
}
