/* replay.c: plays a trace of what a CUDA program does, and says how long the card took.
 *
 *   replay TRACE       prints "PHASE MICROSECONDS" for each phase, in event time
 *
 * A trace has a line for each call; blocks are numbers from 0 on, sizes are bytes:
 *
 *   allocator malloc|async     cuMemAlloc, or cuMemAllocAsync from a pool that keeps what it has
 *   alloc BLOCK BYTES          free BLOCK
 *   model DATA FILE            maps a model file, whose data begin there
 *   upload BLOCK OFFSET BYTES AT   from that mapping, AT bytes into its data; waited for
 *   set BLOCK                  all of it, to zero
 *   move OUT:MOVED IN:MOVED…   a kernel that writes one block (or "-") and reads up to three, and
 *                              moves so many bytes of each
 *   sync                       waits for the card
 *   phase NAME                 the same, and the time until the next one is printed under this name
 *   repeat N … end             what is between, N times
 *
 * Meant for the simulated driver with SIMCUDA_COST and SIMCUDA_CONTENT, where a model of any size
 * takes next to no memory: of a model file only the first word of each tensor is there. It is
 * verified when its block is freed or the trace ends.
 */
#define HOST_DIRECT
#include "host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOVE_RANGES    4
#define POOL_THRESHOLD 4 /* CU_MEMPOOL_ATTR_RELEASE_THRESHOLD */

static const char move_ptx[] = ".version 6.4\n.target sm_50\n.address_size 64\n"
                               ".visible .entry move(.param .u64 to)\n{\nret;\n}\n";

enum kind { ALLOC, FREE, UPLOAD, SET, MOVE, SYNC, MODEL, PHASE, REPEAT, END };
struct step {
    enum kind kind;
    long block[MOVE_RANGES]; /* -1: none */
    uint64_t bytes[MOVE_RANGES];
    uint64_t offset, at;
    char name[256];
};
struct block {
    CUdeviceptr address;
    uint64_t bytes;
    uint64_t stamp, offset; /* of the last upload; stamp 0: none */
};

static struct {
    struct step *steps;
    size_t count, line;
    struct block *blocks;
    long block_count;
    bool async;
    CUfunction move;
    const char *model; /* the newest mapping */
    size_t model_bytes;
    uint64_t model_data, uploads;
    CUevent begun, ended;
    const char *phase;
} replay;

/* --- reading -----------------------------------------------------------------------------------
 */

static void refuse(const char *why)
{
    fprintf(stderr, "replay: line %zu: %s\n", replay.line, why);
    exit(2);
}

static long block_number(long block)
{
    if (block < 0 || block > 10000000)
        refuse("no such block");
    if (block >= replay.block_count)
        replay.block_count = block + 1;
    return block;
}

static void read_move(struct step *step, const char *text)
{
    int used;

    for (int i = 0; i < MOVE_RANGES; i++)
        step->block[i] = -1;
    for (int i = 0; *text && *text != '\n'; i++, text += used) {
        used = 0;
        if (i == MOVE_RANGES)
            refuse("one block to write and three to read, no more");
        if (i == 0 && sscanf(text, " -%n", &used) == 0 && used)
            continue;
        if (sscanf(text, " %ld:%lu%n", &step->block[i], &step->bytes[i], &used) != 2)
            refuse("BLOCK:BYTES is wanted");
        block_number(step->block[i]);
    }
}

static void read_step(struct step *step, const char *text)
{
    char *name = step->name;

    if (sscanf(text, "alloc %ld %lu", step->block, step->bytes) == 2)
        step->kind = ALLOC;
    else if (sscanf(text, "free %ld", step->block) == 1)
        step->kind = FREE;
    else if (sscanf(text, "upload %ld %lu %lu %lu", step->block, &step->offset, step->bytes,
                    &step->at) == 4)
        step->kind = UPLOAD;
    else if (sscanf(text, "set %ld", step->block) == 1)
        step->kind = SET;
    else if (!strncmp(text, "move ", 5))
        step->kind = MOVE;
    else if (!strncmp(text, "sync", 4))
        step->kind = SYNC;
    else if (sscanf(text, "model %lu %255s", &step->at, name) == 2)
        step->kind = MODEL;
    else if (sscanf(text, "phase %255s", name) == 1)
        step->kind = PHASE;
    else if (sscanf(text, "repeat %lu", step->bytes) == 1)
        step->kind = REPEAT;
    else if (!strncmp(text, "end", 3))
        step->kind = END;
    else
        refuse("no such step");
    if (step->kind == MOVE)
        read_move(step, text + 5);
    else if (step->kind < MOVE)
        block_number(step->block[0]);
}

static void read_trace(const char *path)
{
    FILE *file = fopen(path, "r");
    char text[512], allocator[8];

    if (!file)
        refuse(path);
    while (fgets(text, sizeof(text), file)) {
        replay.line++;
        if (*text == '#' || *text == '\n')
            continue;
        if (sscanf(text, "allocator %7s", allocator) == 1) {
            replay.async = !strcmp(allocator, "async");
            continue;
        }
        if (replay.count % 4096 == 0)
            replay.steps = realloc(replay.steps, (replay.count + 4096) * sizeof(*replay.steps));
        memset(&replay.steps[replay.count], 0, sizeof(*replay.steps));
        read_step(&replay.steps[replay.count++], text);
    }
    fclose(file);
    replay.blocks = calloc((size_t)replay.block_count + 1, sizeof(*replay.blocks));
}

/* --- playing -----------------------------------------------------------------------------------
 */

static struct block *live(long block)
{
    if (!replay.blocks[block].address) {
        printf("wrong: block %ld is not allocated\n", block);
        exit(1);
    }
    return &replay.blocks[block];
}

static void play_alloc(const struct step *step)
{
    struct block *block = &replay.blocks[step->block[0]];

    REQUIRE(!block->address);
    block->bytes = step->bytes[0];
    block->stamp = 0;
    if (replay.async)
        MUST(cuMemAllocAsync(&block->address, block->bytes, NULL));
    else
        MUST(cuMemAlloc(&block->address, block->bytes));
}

static void verify(const struct block *block)
{
    uint64_t found = 0;

    if (!block->stamp)
        return;
    MUST(cuMemcpyDtoH(&found, block->address + block->offset, sizeof(found)));
    REQUIRE(found == block->stamp);
}

static void play_free(const struct step *step)
{
    struct block *block = live(step->block[0]);

    verify(block);
    if (replay.async)
        MUST(cuMemFreeAsync(block->address, NULL));
    else
        MUST(cuMemFree(block->address));
    block->address = 0;
}

static void play_upload(const struct step *step)
{
    struct block *block = live(step->block[0]);
    uint64_t from = replay.model_data + step->at;

    REQUIRE(step->offset + step->bytes[0] <= block->bytes);
    REQUIRE(from + step->bytes[0] <= replay.model_bytes);
    memcpy(&block->stamp, replay.model + from, sizeof(block->stamp));
    REQUIRE(block->stamp);
    block->offset = step->offset;
    MUST(cuMemcpyHtoD(block->address + step->offset, replay.model + from, step->bytes[0]));
    replay.uploads++;
}

static void play_model(const struct step *step)
{
    int fd = open(step->name, O_RDONLY | O_CLOEXEC);
    struct stat file;

    if (replay.model)
        munmap((void *)(uintptr_t)replay.model, replay.model_bytes);
    REQUIRE(fd >= 0 && fstat(fd, &file) == 0);
    replay.model_bytes = (size_t)file.st_size;
    replay.model_data = step->at;
    replay.model = mmap(NULL, replay.model_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(replay.model != MAP_FAILED);
    close(fd);
}

static void play_move(const struct step *step)
{
    uint64_t values[3 * MOVE_RANGES] = {0};
    void *parameters[3 * MOVE_RANGES];

    for (int i = 0; i < MOVE_RANGES; i++) {
        if (step->block[i] >= 0) {
            values[3 * i] = live(step->block[i])->address;
            values[3 * i + 1] = live(step->block[i])->bytes;
            values[3 * i + 2] = step->bytes[i];
        }
    }
    for (int i = 0; i < 3 * MOVE_RANGES; i++)
        parameters[i] = &values[i];
    MUST(cuLaunchKernel(replay.move, 64, 1, 1, 256, 1, 1, 0, NULL, parameters, NULL));
}

static void play_phase(const char *name)
{
    float milliseconds;

    MUST(cuEventRecord(replay.ended, NULL));
    MUST(cuEventSynchronize(replay.ended));
    MUST(cuEventElapsedTime(&milliseconds, replay.begun, replay.ended));
    if (replay.phase)
        printf("%s %.1f\n", replay.phase, (double)milliseconds * 1000);
    replay.phase = name;
    MUST(cuEventRecord(replay.begun, NULL));
}

static void play_step(const struct step *step)
{
    switch (step->kind) {
    case ALLOC:
        play_alloc(step);
        break;
    case FREE:
        play_free(step);
        break;
    case UPLOAD:
        play_upload(step);
        break;
    case SET:
        MUST(cuMemsetD8Async(live(step->block[0])->address, 0, live(step->block[0])->bytes, NULL));
        break;
    case MOVE:
        play_move(step);
        break;
    case SYNC:
        MUST(cuCtxSynchronize());
        break;
    case MODEL:
        play_model(step);
        break;
    case PHASE:
        play_phase(step->name);
        break;
    case REPEAT:
    case END:
        break;
    }
}

static void play(void)
{
    size_t first = 0;
    uint64_t left = 0;

    for (size_t i = 0; i < replay.count; i++) {
        const struct step *step = &replay.steps[i];

        play_step(step);
        if (step->kind == REPEAT) {
            first = i;
            left = step->bytes[0];
        } else if (step->kind == END && --left) {
            i = first;
        }
    }
    play_phase(NULL);
    for (long i = 0; i < replay.block_count; i++)
        if (replay.blocks[i].address)
            verify(&replay.blocks[i]);
}

static void keep_what_is_freed(void)
{
    CUmemoryPool pool;
    uint64_t all = UINT64_MAX;

    MUST(cuDeviceGetDefaultMemPool(&pool, host.device));
    MUST(cuMemPoolSetAttribute(pool, POOL_THRESHOLD, &all));
}

int main(int argc, char **argv)
{
    CUmodule module;

    if (argc != 2)
        return 2;
    read_trace(argv[1]);
    host_open(&host_direct);
    MUST(cuModuleLoadData(&module, move_ptx));
    MUST(cuModuleGetFunction(&replay.move, module, "move"));
    MUST(cuEventCreate(&replay.begun, 0));
    MUST(cuEventCreate(&replay.ended, 0));
    MUST(cuEventRecord(replay.begun, NULL));
    if (replay.async)
        keep_what_is_freed();
    play();
    for (long i = 0; i < replay.block_count; i++)
        if (replay.blocks[i].address)
            MUST(cuMemFree(replay.blocks[i].address));
    MUST(cuModuleUnload(module));
    host_close();
    printf("verified %lu uploads\n", replay.uploads);
    free(replay.steps);
    free(replay.blocks);
    return 0;
}
