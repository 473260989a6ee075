/* calllog.c: SIMCUDA_LOG: one line for each call that came from outside.
 *
 *   T0 cuMemcpyHtoD_v2(d1+0x100, host, 4096)=CUDA_SUCCESS
 *
 * Nothing in it varies from run to run: device memory is d1, d2 ... in order of allocation, pinned
 * host memory h1, h2 ..., handles are numbered by kind, other host addresses are just "host".
 */
#include "memory.h"

#include <fcntl.h>
#include <unistd.h>

static int log_fd = -1;

void log_start(void)
{
    if (!sim_settings.log || !*sim_settings.log)
        return;
    log_fd = open(sim_settings.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        sim_refuse("SIMCUDA_LOG=%s: cannot be opened", sim_settings.log);
}

bool log_any(void)
{
    return log_fd >= 0;
}

static int thread_number(void)
{
    static atomic_int threads;
    static __thread int mine;

    if (!mine)
        mine = atomic_fetch_add(&threads, 1) + 1;
    return mine - 1;
}

#define TEXT_SIZE sizeof(((struct log_line *)0)->text[0])

static void put_handle(char *text, const void *handle);

static void put_address(char *text, uint64_t address, bool is_device)
{
    const struct range *range;

    if (handle_slot((void *)(uintptr_t)address)) { /* of physical memory: a number for the host */
        put_handle(text, (void *)(uintptr_t)address);
        return;
    }
    sim_enter();
    range = range_find_locked(address);
    if (!address)
        snprintf(text, TEXT_SIZE, "0");
    else if (range)
        snprintf(text, TEXT_SIZE, "%c%u+0x%llx", range_is_host(range) ? 'h' : 'd', range->serial,
                 (unsigned long long)(address - range->node.base));
    else
        snprintf(text, TEXT_SIZE, "%s",
                 range_is_window(address) ? "dead"
                 : is_device              ? "ptr"
                                          : "host");
    sim_leave();
}

static void put_handle(char *text, const void *handle)
{
    static const char letters[] = "?csemflagpGxLk"; /* by enum handle_kind */
    const struct handle *slot = handle_slot(handle);

    if (slot)
        snprintf(text, TEXT_SIZE, "%c%u", letters[slot->kind], slot->serial);
    else if ((uintptr_t)handle <= 2)
        snprintf(text, TEXT_SIZE, "%d", (int)(uintptr_t)handle);
    else
        put_address(text, (uintptr_t)handle, false);
}

static void put_side(char *text, CUmemorytype type, const void *host, CUdeviceptr device,
                     const void *array)
{
    if (type == CU_MEMORYTYPE_ARRAY)
        put_handle(text, array);
    else
        put_address(text, type == CU_MEMORYTYPE_HOST ? (uintptr_t)host : device,
                    type != CU_MEMORYTYPE_HOST);
}

static void put_copy(char *text, const void *copy, bool is_3d)
{
    char from[TEXT_SIZE], to[TEXT_SIZE];
    const CUDA_MEMCPY2D *two = copy;
    const CUDA_MEMCPY3D *three = copy;

    if (!copy) {
        snprintf(text, TEXT_SIZE, "0");
    } else if (is_3d) {
        put_side(from, three->srcMemoryType, three->srcHost, three->srcDevice, three->srcArray);
        put_side(to, three->dstMemoryType, three->dstHost, three->dstDevice, three->dstArray);
        snprintf(text, TEXT_SIZE, "{%.40s <- %.40s, %zux%zux%zu}", to, from, three->WidthInBytes,
                 three->Height, three->Depth);
    } else {
        put_side(from, two->srcMemoryType, two->srcHost, two->srcDevice, two->srcArray);
        put_side(to, two->dstMemoryType, two->dstHost, two->dstDevice, two->dstArray);
        snprintf(text, TEXT_SIZE, "{%.40s <- %.40s, %zux%zu}", to, from, two->WidthInBytes,
                 two->Height);
    }
}

static void put_before(char *text, const struct log_argument *argument)
{
    uint64_t value = argument->value;

    switch (argument->type) {
    case LOG_INT:
        snprintf(text, TEXT_SIZE, "%lld", (long long)value);
        break;
    case LOG_UINT:
    case LOG_SIZE:
        snprintf(text, TEXT_SIZE, "%llu", (unsigned long long)value);
        break;
    case LOG_DEVICE_POINTER:
        put_address(text, value, true);
        break;
    case LOG_TEXT:
        snprintf(text, TEXT_SIZE, "\"%.40s\"", value ? (const char *)(uintptr_t)value : "");
        break;
    case LOG_POINTER:
        put_handle(text, (const void *)(uintptr_t)value);
        break;
    case LOG_COPY_2D:
    case LOG_COPY_3D:
        put_copy(text, (const void *)(uintptr_t)value, argument->type == LOG_COPY_3D);
        break;
    default:
        snprintf(text, TEXT_SIZE, "%s", value ? "*" : "0");
    }
}

/* What a successful call wrote. */
static void put_after(char *text, const struct log_argument *argument)
{
    const void *p = (const void *)(uintptr_t)argument->value;
    char inner[TEXT_SIZE];

    if (!p)
        return;
    switch (argument->type) {
    case LOG_OUT_DEVICE_POINTER:
        put_address(inner, *(const CUdeviceptr *)p, true);
        break;
    case LOG_OUT_SIZE:
        snprintf(inner, sizeof(inner), "%zu", *(const size_t *)p);
        break;
    case LOG_OUT_INT:
        snprintf(inner, sizeof(inner), "%d", *(const int *)p);
        break;
    case LOG_OUT_HANDLE:
        put_handle(inner, *(void *const *)p);
        break;
    default:
        return;
    }
    snprintf(text, TEXT_SIZE, "*%.100s", inner);
}

void log_before(struct log_line *line, const struct log_argument *arguments, int count)
{
    if (log_fd < 0)
        return;
    for (int i = 0; i < count; i++)
        put_before(line->text[i], &arguments[i]);
}

void log_after(struct log_line *line, const struct log_argument *arguments, int count,
               const char *symbol, CUresult result)
{
    char text[2048];
    int length, thread;

    if (log_fd < 0)
        return;
    thread = thread_number();
    length = snprintf(text, sizeof(text), "T%d %s(", thread, symbol);
    for (int i = 0; i < count; i++) {
        if (result == CUDA_SUCCESS)
            put_after(line->text[i], &arguments[i]);
        length += snprintf(text + length, sizeof(text) - (size_t)length, "%s%s", i ? ", " : "",
                           line->text[i]);
    }
    length += snprintf(text + length, sizeof(text) - (size_t)length, ")=%s\n",
                       result_name(result) ? result_name(result) : "?");
    if (write(log_fd, text, (size_t)length) != length)
        sim_refuse("SIMCUDA_LOG=%s: cannot be written", sim_settings.log);
}
