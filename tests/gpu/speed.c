/* speed.c: what host memory costs: reading it from a kernel, copying it, pinning it; and which
 * calls wait for work that has nothing to do with them. */
#include "tests/gpu/probe.h"

#include <stdlib.h>
#include <sys/mman.h>

#define ROUNDS 5

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef CUresult operation(struct probe *p, CUdeviceptr a, CUdeviceptr b);

/* The median of ROUNDS in GB/s (10^9), after one to warm up; negative: *result tells why. */
static double measured(struct probe *p, operation *run, CUdeviceptr a, CUdeviceptr b,
                       CUresult *result)
{
    double ms[ROUNDS];
    CUevent start, end;

    p->drv.cuEventCreate(&start, 0);
    p->drv.cuEventCreate(&end, 0);
    *result = run(p, a, b);
    for (int i = 0; i < ROUNDS && *result == CUDA_SUCCESS; i++) {
        float elapsed = 0;
        p->drv.cuEventRecord(start, NULL);
        *result = run(p, a, b);
        p->drv.cuEventRecord(end, NULL);
        if (*result == CUDA_SUCCESS)
            *result = p->drv.cuEventSynchronize(end);
        p->drv.cuEventElapsedTime(&elapsed, start, end);
        ms[i] = elapsed > 0 ? (double)elapsed : 1e-3;
    }
    p->drv.cuEventDestroy(start);
    p->drv.cuEventDestroy(end);
    if (*result != CUDA_SUCCESS)
        return -1;
    qsort(ms, ROUNDS, sizeof ms[0], compare);
    return (double)p->big / ms[ROUNDS / 2] / 1e6;
}

static CUresult kernel_read(struct probe *p, CUdeviceptr a, CUdeviceptr out)
{
    uint64_t words = p->big / 4;
    void *params[] = {&a, &words, &out};

    return probe_launch(p, "sum", NULL, params);
}

double probe_kernel_reads(struct probe *p, CUdeviceptr from)
{
    struct probe_block out;
    CUresult result;

    if (!probe_make(p, PROBE_DEVICE, PROBE_MIB, &out))
        return -1;
    double speed = measured(p, kernel_read, from, out.device, &result);
    probe_drop(p, &out);
    return speed;
}

static CUresult kernel_write(struct probe *p, CUdeviceptr a, CUdeviceptr unused)
{
    uint64_t words = p->big / 4;
    uint32_t value = 7;
    void *params[] = {&a, &value, &words};

    (void)unused;
    return probe_launch(p, "fill", NULL, params);
}

static CUresult copy_to(struct probe *p, CUdeviceptr a, CUdeviceptr device)
{
    return p->drv.cuMemcpyAsync(device, a, p->big, NULL);
}

static CUresult copy_from(struct probe *p, CUdeviceptr a, CUdeviceptr device)
{
    return p->drv.cuMemcpyAsync(a, device, p->big, NULL);
}

static void speed_of(struct probe *p, const struct probe_block *block, CUdeviceptr device,
                     CUdeviceptr out)
{
    static const struct {
        const char *name;
        operation *run;
        bool kernel;
    } rows[] = {
        {"kernel reads, GB/s", kernel_read, true},
        {"kernel writes, GB/s", kernel_write, true},
        {"copy to VRAM, GB/s", copy_to, false},
        {"copy from VRAM, GB/s", copy_from, false},
    };
    CUdeviceptr address = block->device ? block->device : (CUdeviceptr)(uintptr_t)block->host;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CUresult result = CUDA_SUCCESS;
        if (rows[i].kernel && !block->device) {
            probe_answer(p, "speed", rows[i].name, probe_kind_name[block->kind], "-");
            continue;
        }
        double speed = measured(p, rows[i].run, address, rows[i].kernel ? out : device, &result);
        if (speed < 0)
            probe_answer(p, "speed", rows[i].name, probe_kind_name[block->kind], "%s",
                         probe_result(result));
        else
            probe_answer(p, "speed", rows[i].name, probe_kind_name[block->kind], "%.1f", speed);
    }
}

static void cost_of(struct probe *p, const struct probe_block *block)
{
    const char *column = probe_kind_name[block->kind];
    double gib = (double)block->bytes / (double)(1024 * PROBE_MIB);

    probe_answer(p, "cost per GiB", "touch the pages, ms", column, "%.0f",
                 block->populate_ms / gib);
    probe_answer(p, "cost per GiB", "allocate or pin, ms", column, "%.0f", block->pin_ms / gib);
    probe_answer(p, "cost per GiB", "free or unpin, ms", column, "%.0f", block->drop_ms / gib);
}

void probe_speed(struct probe *p)
{
    struct probe_block device, out, block;

    if (!probe_make(p, PROBE_DEVICE, p->big, &device) ||
        !probe_make(p, PROBE_DEVICE, PROBE_MIB, &out)) {
        probe_answer(p, "speed", "all", "all", "no VRAM");
        return;
    }
    for (int kind = 0; kind < PROBE_KINDS; kind++) {
        if (!probe_make(p, (enum probe_kind)kind, p->big, &block)) {
            probe_answer(p, "speed", "not available", probe_kind_name[kind], "%s", block.why);
            continue;
        }
        speed_of(p, &block, device.device, out.device);
        probe_drop(p, &block);
        if (kind != PROBE_PAGEABLE)
            cost_of(p, &block);
    }
    probe_drop(p, &device);
    probe_drop(p, &out);
}

/* How long a call takes while an unrelated kernel of spin_ms runs on a stream of its own. */
void probe_timed(struct probe *p, const char *row, double ms, CUresult result)
{
    probe_answer(p, "calls beside a running kernel", row, "ms", "%.2f", ms);
    probe_answer(p, "calls beside a running kernel", row, "waited", "%s",
                 ms > p->spin_ms * 0.7 ? "yes" : "no");
    probe_answer(p, "calls beside a running kernel", row, "result", "%s", probe_result(result));
}

CUresult probe_spin(struct probe *p, CUstream stream)
{
    uint64_t microseconds = (uint64_t)p->spin_ms * 1000;
    void *params[] = {&microseconds};

    return probe_launch(p, "spin", stream, params);
}

static void wait_of_make(struct probe *p, CUstream stream, enum probe_kind kind, const char *make,
                         const char *drop)
{
    struct probe_block block;

    probe_spin(p, stream);
    bool made = probe_make(p, kind, 4 * PROBE_MIB, &block);
    probe_timed(p, make, block.pin_ms, made ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN);
    p->drv.cuCtxSynchronize();
    if (!made)
        return;
    probe_spin(p, stream);
    CUresult result = probe_drop(p, &block);
    probe_timed(p, drop, block.drop_ms, result);
    p->drv.cuCtxSynchronize();
}

void probe_waits(struct probe *p)
{
    CUstream stream;
    char bytes[64];
    struct probe_block block;

    if (p->drv.cuStreamCreate(&stream, 1 /* non-blocking */) != CUDA_SUCCESS)
        return;
    probe_spin(p, stream); /* loads the kernel */
    p->drv.cuCtxSynchronize();
    wait_of_make(p, stream, PROBE_DEVICE, "cuMemAlloc", "cuMemFree");
    wait_of_make(p, stream, PROBE_HOSTALLOC, "cuMemHostAlloc", "cuMemFreeHost");
    wait_of_make(p, stream, PROBE_REGISTERED_4K, "cuMemHostRegister", "cuMemHostUnregister");
    if (probe_make(p, PROBE_DEVICE, PROBE_MIB, &block)) {
        probe_spin(p, stream);
        double start = probe_now_ms();
        CUresult result = p->drv.cuMemcpyHtoD(block.device, bytes, sizeof bytes);
        probe_timed(p, "cuMemcpyHtoD, pageable, 64 bytes", probe_now_ms() - start, result);
        p->drv.cuCtxSynchronize();
        probe_spin(p, stream);
        start = probe_now_ms();
        result = p->drv.cuMemsetD8(block.device, 0, PROBE_MIB);
        probe_timed(p, "cuMemsetD8", probe_now_ms() - start, result);
        p->drv.cuCtxSynchronize();
        probe_drop(p, &block);
    }
    p->drv.cuStreamDestroy(stream);
}
