/* Random operations on blocks of every allocator, by several threads, against a model that knows
 * each byte.
 *
 *   stress [OPERATIONS [SEED [THREADS [FILE OFFSET BYTES COUNT]]]]
 *
 * OPERATIONS are those of all threads together. What a thread does follows from the seed and its
 * number; blocks go from thread to thread, so that only a run with one thread repeats exactly. What
 * is wrong ends the program with the seed, the thread, the operation and those before it.
 *
 * With a model's file, whose tensors lie from OFFSET on, many of the blocks are its weights, the
 * others are larger than else, so that the card is short of room, and no graphs are made: after the
 * first one the library moves no memory any more.
 */
#include "graphs.h"
#include "weights.h"

#define THREADS_MOST 64

static struct block *any(struct worker *w)
{
    return &w->block[stress_below(w, SLOTS)];
}

static void operate_on(struct worker *w, struct block *b)
{
    struct block *other = any(w);
    size_t dice = stress_below(w, 100);

    if (dice < 12 || (dice < 34 && !other->kind)) {
        op_set(w, b);
    } else if (dice < 34) {
        if (other == b)
            op_kernel(w, b);
        else if (dice == 33 && !weights.data)
            op_graph(w, b, other);
        else if (dice % 2)
            op_line(w, b, other);
        else
            op_box(w, b, other);
    } else if (dice < 46) {
        op_kernel(w, b);
    } else if (dice < 56) {
        op_upload(w, b);
    } else if (dice < 64) {
        op_download(w, b);
    } else if (dice < 74) {
        op_peek(w, b);
    } else if (dice < 78) {
        op_cpu(w, b);
    } else if (dice < 81) {
        op_query(w, b);
    } else if (dice < 84) {
        op_over(w, b);
    } else {
        if (dice < 87)
            download(w, b, 0, b->size);
        if (dice < 88)
            block_close(w, b);
        else
            op_succeed(w, b);
    }
}

static void operate(struct worker *w)
{
    struct block *b = any(w);
    size_t dice = stress_below(w, 1000);

    if (dice < 2)
        lane_replace(w);
    else if (dice < 40)
        block_exchange(w, b);
    else if (b->kind)
        operate_on(w, b);
    else if (weights.data && weights_open(w, b))
        ;
    else if (block_open(w, b, kind_any(w),
                        weights.data ? 1 + stress_below(w, weights.bytes - 1)
                                     : stress_size(w, BLOCK_MOST)))
        first_fill(w, b);
}

static void worker_open(struct worker *w)
{
    DO(cuCtxSetCurrent(host.context));
    w->random = (stress.seed + 1) * 0x9e3779b97f4a7c15u ^ (w->index + 1) * 0xbf58476d1ce4e5b9u;
    w->buffer = malloc(BUFFER_BYTES + sizeof(uint64_t));
    REQUIRE(w->buffer);
    w->lane[LANE_LEGACY] = CU_STREAM_LEGACY;
    w->lane[LANE_PER_THREAD] = CU_STREAM_PER_THREAD;
    for (int i = LANE_FIRST; i < LANES; i++)
        lane_open(w, i);
    for (int i = 0; i < SLOTS; i++)
        DO(cuEventCreate(&w->block[i].ready, CU_EVENT_DISABLE_TIMING));
    for (struct peek *p = w->peek; p < w->peek + 4; p++) {
        DO(cuEventCreate(&p->done, CU_EVENT_DISABLE_TIMING));
        DO(cuMemHostAlloc((void **)&p->seen, PEEK_BYTES, 0));
        p->expected = malloc(PEEK_BYTES);
        REQUIRE(p->expected);
    }
}

static void end_blocks(struct worker *w, struct block *block, int count)
{
    for (struct block *b = block; b < block + count; b++) {
        if (b->kind) {
            download(w, b, 0, b->size);
            block_close(w, b);
        }
        DO(cuEventDestroy(b->ready));
    }
}

static void worker_close(struct worker *w)
{
    end_blocks(w, w->block, SLOTS);
    for (struct peek *p = w->peek; p < w->peek + 4; p++) {
        peek_end(w, p);
        DO(cuEventDestroy(p->done));
        DO(cuMemFreeHost(p->seen));
        free(p->expected);
    }
    for (int i = LANE_FIRST; i < LANES; i++)
        DO(cuStreamDestroy(w->lane[i]));
    free(w->buffer);
}

static void *work(void *argument)
{
    struct worker *w = argument;

    worker_open(w);
    for (w->step = 0; w->step < w->steps; w->step++)
        operate(w);
    worker_close(w);
    return NULL;
}

/* What is left in the mailbox is freed by the last thread there is. */
static void close_all(struct worker *w)
{
    worker_open(w);
    end_blocks(w, stress.mailbox, 16);
    worker_close(w);
    MUST(cuCtxSynchronize());
    MUST(cuMemPoolDestroy(stress.pool));
}

static void open_all(void)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};

    host_open(&host_direct);
    MUST(cuMemPoolCreate(&stress.pool, &props));
    MUST(cuDeviceGetDefaultMemPool(&stress.default_pool, host.device));
    for (int i = 0; i < 16; i++)
        MUST(cuEventCreate(&stress.mailbox[i].ready, CU_EVENT_DISABLE_TIMING));
}

int main(int argc, char **argv)
{
    static struct worker worker[THREADS_MOST];
    long operations = argc > 1 ? atol(argv[1]) : 20000;
    unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 8;
    unsigned long long blocks = 0;

    stress.seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    if (!threads || threads > THREADS_MOST || operations < 0 || (argc > 4 && argc != 8)) {
        fprintf(stderr,
                "stress [OPERATIONS [SEED [THREADS (1 to %d) [FILE OFFSET BYTES COUNT]]]]\n",
                THREADS_MOST);
        return 2;
    }
    if (argc > 4)
        weights_map(argv + 4);
    open_all();
    for (unsigned i = 0; i < threads; i++) {
        worker[i].index = i;
        worker[i].steps = operations / (long)threads;
        weights_share(&worker[i], threads);
        REQUIRE(!pthread_create(&worker[i].thread, NULL, work, &worker[i]));
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(worker[i].thread, NULL);
    close_all(&worker[0]);
    host_close();
    for (unsigned i = 0; i < threads; i++)
        for (int kind = 1; kind < KINDS; kind++)
            blocks += worker[i].counts[kind];
    printf("seed %llu: %llu blocks\ndone\n", (unsigned long long)stress.seed, blocks);
    return 0;
}
