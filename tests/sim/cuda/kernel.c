/* kernel.c: the built-in kernels and their launch.
 *
 *   fill(u32 *p, u32 value, u64 count)             copy(u32 *dst, const u32 *src, u64 count)
 *   add(u32 *p, u32 value, u64 count)              sum(const u32 *p, u64 count, u64 *out)
 *   check(const u32 *p, u32 value, u64 count, u64 *mismatches)     spin(u64 microseconds)
 *   move(void *to, u64 bytes, u64 moved, const void *from, u64 bytes, u64 moved, [two more])
 *
 * Counts are words; sum and check add to *out. move stands for any kernel that writes one block and
 * reads three (0 bytes: none), and moves so many bytes of each, for the cost model; it touches
 * none, so that a large model takes no time here. A kernel does all of its work whatever the grid,
 * as a grid-stride loop would. What a launch touches is checked when it runs: an address that is no
 * memory of the device ends the context with CUDA_ERROR_ILLEGAL_ADDRESS.
 */
#include "kernel.h"
#include "cost.h"
#include "impl.h"

#include <time.h>

static const uint64_t *parameters(const struct op *op)
{
    return ((const struct kernel_op *)op)->parameter;
}

static void run_fill(struct op *op)
{
    uint32_t *p = (uint32_t *)(void *)op->uses[0].cpu, value = (uint32_t)parameters(op)[1];

    for (uint64_t i = 0, n = parameters(op)[2]; i < n; i++)
        p[i] = value;
}

static void run_copy(struct op *op)
{
    memmove(op->uses[0].cpu, op->uses[1].cpu, op->uses[0].size);
}

static void run_add(struct op *op)
{
    uint32_t *p = (uint32_t *)(void *)op->uses[0].cpu, value = (uint32_t)parameters(op)[1];

    for (uint64_t i = 0, n = parameters(op)[2]; i < n; i++)
        p[i] += value;
}

static void run_sum(struct op *op)
{
    const uint32_t *p = (const uint32_t *)(const void *)op->uses[0].cpu;
    uint64_t sum = 0;

    for (uint64_t i = 0, n = parameters(op)[1]; i < n; i++)
        sum += p[i];
    *(uint64_t *)(void *)op->uses[1].cpu += sum;
}

static void run_check(struct op *op)
{
    const uint32_t *p = (const uint32_t *)(const void *)op->uses[0].cpu;
    uint32_t value = (uint32_t)parameters(op)[1];
    uint64_t wrong = 0;

    for (uint64_t i = 0, n = parameters(op)[2]; i < n; i++)
        wrong += p[i] != value;
    *(uint64_t *)(void *)op->uses[1].cpu += wrong;
}

static void run_spin(struct op *op)
{
    uint64_t microseconds = parameters(op)[0];
    struct timespec time = {(time_t)(microseconds / 1000000),
                            (long)(microseconds % 1000000) * 1000};

    nanosleep(&time, NULL);
}

static void run_move(struct op *op)
{
    (void)op;
}

static void use_bytes(struct op *op, uint64_t address, uint64_t bytes, uint64_t moved,
                      unsigned write)
{
    op_use_locked(op, address, bytes, USE_KERNEL | write);
    op->uses[op->use_count - 1].moved = moved;
}

static bool use_words(struct op *op, uint64_t address, uint64_t words, unsigned write)
{
    if (words > SIZE_MAX / 4)
        return false;
    use_bytes(op, address, words * 4, words * 4, write);
    return true;
}

static bool uses_fill(struct op *op, const uint64_t *p)
{
    return use_words(op, p[0], p[2], USE_WRITE);
}

static bool uses_copy(struct op *op, const uint64_t *p)
{
    return use_words(op, p[0], p[2], USE_WRITE) && use_words(op, p[1], p[2], 0);
}

static bool uses_sum(struct op *op, const uint64_t *p)
{
    return use_words(op, p[0], p[1], 0) && use_words(op, p[2], 2, USE_WRITE);
}

static bool uses_check(struct op *op, const uint64_t *p)
{
    return use_words(op, p[0], p[2], 0) && use_words(op, p[3], 2, USE_WRITE);
}

static bool uses_spin(struct op *op, const uint64_t *p)
{
    (void)op;
    (void)p;
    return true;
}

static bool uses_move(struct op *op, const uint64_t *p)
{
    for (int i = 0; i < OP_USES; i++)
        if (p[3 * i + 1])
            use_bytes(op, p[3 * i], p[3 * i + 1], p[3 * i + 2], i ? 0 : USE_WRITE);
    return true;
}

static const struct kernel kernels[] = {
    {"fill", 3, {8, 4, 8}, run_fill, uses_fill},
    {"copy", 3, {8, 8, 8}, run_copy, uses_copy},
    {"add", 3, {8, 4, 8}, run_add, uses_fill},
    {"sum", 3, {8, 8, 8}, run_sum, uses_sum},
    {"check", 4, {8, 4, 8, 8}, run_check, uses_check},
    {"spin", 1, {8}, run_spin, uses_spin},
    {"move", 12, {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8}, run_move, uses_move},
};

const struct kernel *kernel_find(const char *name)
{
    for (size_t i = 0; i < sizeof(kernels) / sizeof(*kernels); i++)
        if (!strcmp(kernels[i].name, name))
            return &kernels[i];
    return NULL;
}

const struct kernel *kernel_at(size_t index)
{
    return index < sizeof(kernels) / sizeof(*kernels) ? &kernels[index] : NULL;
}

/* --- launch
 * ---------------------------------------------------------------------------------------- */

/* Parameters one by one, or as one buffer in which each lies at its natural alignment. */
static CUresult read_parameters(const struct kernel *kernel, uint64_t *out, void **list,
                                void **extra)
{
    const char *buffer = NULL;
    size_t size = 0, offset = 0;

    if ((list && extra) || (!list && !extra))
        return CUDA_ERROR_INVALID_VALUE;
    for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
        else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
            size = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    for (int i = 0; i < kernel->parameters; i++) {
        size_t bytes = kernel->size[i];

        out[i] = 0;
        offset = (offset + bytes - 1) / bytes * bytes;
        if (list)
            memcpy(&out[i], list[i], bytes);
        else if (buffer && offset + bytes <= size)
            memcpy(&out[i], buffer + offset, bytes);
        else
            return CUDA_ERROR_INVALID_VALUE;
        offset += bytes;
    }
    return CUDA_SUCCESS;
}

static void run_misaligned(struct op *op)
{
    report_illegal("%s: misaligned address", op->name);
    op->result = CUDA_ERROR_MISALIGNED_ADDRESS;
}

static void run_senseless(struct op *op)
{
    report_illegal("%s: a count beyond all memory", op->name);
    op->result = CUDA_ERROR_ILLEGAL_ADDRESS;
}

static uint64_t cost_of(const struct op *op)
{
    uint64_t cost = cost_launch() + (op->run == run_spin ? parameters(op)[0] * 1000 : 0);

    for (int i = 0; i < op->use_count; i++)
        cost += cost_access_locked(op->uses[i].address, op->uses[i].size, op->uses[i].moved);
    return cost;
}

static CUresult submit(const struct kernel *kernel, const uint64_t *parameter,
                       struct stream *stream)
{
    struct kernel_op *launch = op_new(sizeof(*launch), kernel->name, kernel->run);

    memcpy(launch->parameter, parameter, sizeof(launch->parameter));
    launch->op.cost = cost_of;
    if (!kernel->uses(&launch->op, parameter))
        launch->op.run = run_senseless;
    for (int i = 0; i < launch->op.use_count; i++) {
        /* The second use of sum and check is a 64-bit word. */
        uint64_t alignment = i && (kernel->run == run_sum || kernel->run == run_check) ? 8 : 4;

        if (launch->op.uses[i].address % alignment)
            launch->op.run = run_misaligned;
    }
    return engine_submit_locked(stream, &launch->op, false);
}

CUresult sim_launch(CUfunction handle, const unsigned dims[7], CUstream stream_handle, void **list,
                    void **extra)
{
    uint64_t parameter[KERNEL_PARAMETERS] = {0};
    const struct function *function;
    struct stream *stream;
    CUresult result;

    for (int i = 0; i < 6; i++)
        if (!dims[i])
            return CUDA_ERROR_INVALID_VALUE;
    if (dims[0] > 2147483647 || dims[1] > 65535 || dims[2] > 65535 || dims[3] > 1024 ||
        dims[4] > 1024 || dims[5] > 64 || (uint64_t)dims[3] * dims[4] * dims[5] > 1024 ||
        dims[6] > 101376)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    stream = stream_get_locked(stream_handle, &result);
    function = stream ? function_get_locked(handle, stream->ctx) : NULL;
    if (stream && (!function || module_ctx(function->module) != stream->ctx))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        result = read_parameters(function->kernel, parameter, list, extra);
    if (result == CUDA_SUCCESS && !sim_null())
        result = submit(function->kernel, parameter, stream);
    sim_leave();
    return result;
}

CUresult sim_launch_ex(const CUlaunchConfig *config, CUfunction function, void **list, void **extra,
                       bool per_thread)
{
    CUstream stream;

    if (!config || (config->numAttrs && !config->attrs))
        return CUDA_ERROR_INVALID_VALUE;
    stream = config->hStream ? config->hStream
             : per_thread    ? CU_STREAM_PER_THREAD
                             : CU_STREAM_LEGACY;
    return sim_launch(function,
                      (const unsigned[]){config->gridDimX, config->gridDimY, config->gridDimZ,
                                         config->blockDimX, config->blockDimY, config->blockDimZ,
                                         config->sharedMemBytes},
                      stream, list, extra);
}
