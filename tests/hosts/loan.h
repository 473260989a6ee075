/* loan.h: the model of host_direct_loan.c: its tensors, what is allocated, what must be so. */
#ifndef HYBRIDMEM_TESTS_LOAN_H
#define HYBRIDMEM_TESTS_LOAN_H

#define HOST_DIRECT
#include "host.h"

#define WORK_SIZE ((size_t)8 << 20)
#define BLOCKS    128

/* Of the simulated driver; a real one has neither, and the ways "fail" and "card" need them. */
unsigned long simcuda_fail_nth(unsigned long nth, CUresult result) __attribute__((weak));
size_t simcuda_used_bytes(int card) __attribute__((weak));

static const char *way;
static unsigned int steps, count;
static size_t held, total, most_used; /* bytes */
static CUstream ordered_stream, side;
static bool readers_at_work;

static struct tensor {
    const unsigned char *data; /* in the mapping */
    size_t bytes;
    CUdeviceptr address;
    unsigned int added; /* to each word, by the thread that owns it */
    uint64_t sum;       /* of its words, with so much added */
    unsigned int summed;
} tensors[BLOCKS];

static bool is_way(const char *name)
{
    const char *found = strstr(way, name);
    size_t length = strlen(name);

    return found && (found == way || found[-1] == ',') &&
           (!found[length] || found[length] == ',' || found[length - 1] == '=');
}

/* --- calls that may be made to fail -----------------------------------------------------------
 */

/* fail=P:N:C: the N-th driver call answers C, in each allocation of the load (P: l) or of working
 * memory (w), or in each free and the end of the context (f). How often it was met is printed. */
static struct {
    char phase;
    unsigned long nth, met;
    CUresult code;
} plant;

static void take_plant(void)
{
    char code;
    int number;

    REQUIRE(simcuda_used_bytes || !is_way("card"));
    if (!is_way("fail="))
        return;
    REQUIRE(simcuda_fail_nth);
    REQUIRE(sscanf(strstr(way, "fail="), "fail=%c:%lu:%d", &code, &plant.nth, &number) == 3);
    plant.phase = code;
    plant.code = (CUresult)number;
}

/* Makes the call; where a planted error comes of it, or that there is no memory, once more without
 * any. */
#define TRY(in, call)                                                                              \
    do {                                                                                           \
        bool planted_ = plant.phase == (in);                                                       \
        if (planted_)                                                                              \
            simcuda_fail_nth(plant.nth, plant.code);                                               \
        CUresult result_ = (call);                                                                 \
        if (planted_ && simcuda_fail_nth(0, CUDA_SUCCESS) >= plant.nth) {                          \
            plant.met++;                                                                           \
            if (result_ == plant.code || result_ == CUDA_ERROR_OUT_OF_MEMORY)                      \
                result_ = (call);                                                                  \
        }                                                                                          \
        host_must(result_, #call);                                                                 \
    } while (0)

/* --- memory --------------------------------------------------------------------------------------
 */

static size_t look(void)
{
    size_t now, again, used = simcuda_used_bytes ? simcuda_used_bytes(0) : 0;

    most_used = used > most_used ? used : most_used;
    MUST(cuMemGetInfo(&now, &again));
    total = total ? total : again;
    REQUIRE(again == total);
    REQUIRE(now + held <= total);
    return now;
}

static CUresult allocate_some(CUdeviceptr *address, size_t bytes)
{
    return is_way("ordered") ? cuMemAllocAsync(address, bytes, ordered_stream)
                             : cuMemAlloc(address, bytes);
}

static void allocate(char phase, CUdeviceptr *address, size_t bytes)
{
    TRY(phase, allocate_some(address, bytes));
    if (is_way("ordered"))
        MUST(cuStreamSynchronize(ordered_stream));
    held += bytes;
    look();
}

static void release(CUdeviceptr address, size_t bytes, bool in_order)
{
    if (in_order)
        TRY('f', cuMemFreeAsync(address, side));
    else
        TRY('f', cuMemFree(address));
    held -= bytes;
    if (!in_order)
        look();
}

static void load(void)
{
    for (unsigned int i = 0; i < count; i++) {
        struct tensor *t = &tensors[i];

        allocate('l', &t->address, t->bytes);
        MUST(cuMemcpyHtoD(t->address, t->data, t->bytes));
        t->added = 0;
    }
}

/* Not in the order of their allocation; every other one in the order of a stream. */
static void unload(void)
{
    unsigned int stride = 7;

    while (count % stride == 0)
        stride += 2;
    for (unsigned int i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i * stride % count];

        release(t->address, t->bytes, i % 2);
    }
    MUST(cuStreamSynchronize(side));
    look();
}

/* --- what must be so ----------------------------------------------------------------------------
 */

#define READERS 2

/* The thread that works with it, from 1, while nobody else does; 0: none. */
static unsigned int owner(unsigned int i)
{
    return readers_at_work && i % 4 < READERS ? i % 4 + 1 : 0;
}

static uint64_t expected(struct tensor *t)
{
    const uint32_t *words = (const uint32_t *)(const void *)t->data;

    if (t->sum && t->summed == t->added)
        return t->sum;
    t->sum = 0;
    t->summed = t->added;
    for (size_t i = 0; i < t->bytes / 4; i++)
        t->sum += (uint32_t)(words[i] + t->added);
    return t->sum;
}

static void check(unsigned int i)
{
    struct tensor *t = &tensors[i];

    if (host_sum(t->address, t->bytes / 4) == expected(t))
        return;
    printf("wrong: tensor %u\n", i);
    exit(1);
}

static size_t largest(void)
{
    size_t most = 0;

    for (unsigned int i = 0; i < count; i++)
        most = tensors[i].bytes > most ? tensors[i].bytes : most;
    return most;
}

static void check_all(const char *when)
{
    uint64_t sums = 0;

    for (unsigned int i = 0; i < count; i++) {
        if (owner(i))
            continue;
        check(i);
        sums = sums * 31 + tensors[i].sum;
    }
    printf("%s: %016llx\n", when, (unsigned long long)sums);
}

#endif
