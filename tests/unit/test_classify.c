/* Weights or working memory, on streams of calls as programs make them. Every stream is WRITTEN
 * FROM PUBLIC SOURCE, NOT RECORDED: PyTorch's allocators (the constants of
 * c10/cuda/CUDACachingAllocator.cpp; one driver call for each tensor with cudaMallocAsync; handles
 * of 20 MiB with expandable segments), ComfyUI's order (load, encode, load, sample, decode; it
 * unloads a model to make room), llama.cpp's (one buffer, then uploads, then cache and compute
 * buffers), and loaders that make temporaries.
 */
#include "policy/classify.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static struct pol_phase phase;
static uint64_t next_address;
static uint64_t predicted[3]; /* bytes of allocations by class, since forget_predictions() */
static uint64_t small_segment, small_left, large_segment, large_left;

static void fresh(void)
{
    memset(&phase, 0, sizeof(phase));
    memset(predicted, 0, sizeof(predicted));
    next_address = 256 * GIB;
    small_left = large_left = 0;
}

static void forget_predictions(void)
{
    memset(predicted, 0, sizeof(predicted));
}

static enum pol_class now(void)
{
    return pol_phase_class(&phase, 0);
}

/* --- the driver ----------------------------------------------------------------------------------
 */

static uint64_t alloc(uint64_t bytes)
{
    uint64_t address = next_address;

    next_address += (bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
    predicted[pol_phase_class(&phase, bytes)] += bytes;
    pol_phase_alloc(&phase, address, bytes);
    return address;
}

static void upload(uint64_t address, uint64_t bytes)
{
    pol_phase_upload(&phase, address, bytes);
}

static uint64_t load(uint64_t bytes)
{
    uint64_t address = alloc(bytes);

    upload(address, bytes);
    return address;
}

/* --- PyTorch's native allocator, as far as a load goes -------------------------------------------
 */

static uint64_t cut(uint64_t *segment, uint64_t *left, uint64_t size, uint64_t bytes)
{
    if (*left < bytes) {
        *segment = alloc(size);
        *left = size;
    }
    *left -= bytes;
    return *segment + *left;
}

static uint64_t native(uint64_t bytes)
{
    if (bytes <= MIB) /* kSmallSize, kSmallBuffer */
        return cut(&small_segment, &small_left, 2 * MIB, bytes);
    if (bytes < 10 * MIB) /* kMinLargeAlloc, kLargeBuffer */
        return cut(&large_segment, &large_left, 20 * MIB, bytes);
    return alloc((bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB)); /* kRoundLarge */
}

/* --- streams -------------------------------------------------------------------------------------
 */

START_TEST(nothing_is_known_at_first)
{
    fresh();
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
    for (int i = 0; i < 100; i++)
        alloc(32 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
}
END_TEST

START_TEST(cuda_malloc_async)
{
    fresh();
    for (int i = 0; i < 100; i++)
        load(30 * MIB);
    ck_assert_uint_eq(predicted[POL_CLASS_UNKNOWN], 30 * MIB);
    ck_assert_uint_eq(predicted[POL_CLASS_WEIGHTS], 99 * 30 * MIB);
    forget_predictions();
    for (int step = 0; step < 20; step++)
        for (int i = 0; i < 100; i++) {
            uint64_t half = alloc(60 * MIB), out = alloc(24 * MIB);

            pol_phase_free(&phase, half, 60 * MIB);
            pol_phase_free(&phase, out, 24 * MIB);
        }
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], 20 * 100 * 84 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
}
END_TEST

/* Many tensors in a segment, biases and norms between them. */
/* With sizes that weights have too, two blocks are taken for weights before the end is seen. */
START_TEST(the_end_of_uploads)
{
    fresh();
    for (int i = 0; i < 100; i++)
        load(i % 2 ? 60 * MIB : 24 * MIB);
    forget_predictions();
    for (int i = 0; i < 100; i++)
        alloc(i % 2 ? 60 * MIB : 24 * MIB);
    ck_assert_uint_eq(predicted[POL_CLASS_WEIGHTS], 84 * MIB + 24 * MIB);
}
END_TEST

/* A size that no layer had: PyTorch's native allocator would keep these segments for good. */
START_TEST(a_new_size_after_many_uploads)
{
    fresh();
    for (int i = 0; i < 7; i++)
        load(30 * MIB);
    ck_assert_int_eq(pol_phase_class(&phase, 60 * MIB), POL_CLASS_WEIGHTS);
    load(30 * MIB);
    ck_assert_int_eq(pol_phase_class(&phase, 60 * MIB), POL_CLASS_WORKING);
    ck_assert_int_eq(pol_phase_class(&phase, 30 * MIB), POL_CLASS_WEIGHTS);
    load(60 * MIB);
    ck_assert_int_eq(pol_phase_class(&phase, 60 * MIB), POL_CLASS_WEIGHTS);
    /* the small tensors' segments, and handles that are not the whole block */
    ck_assert_int_eq(pol_phase_class(&phase, 20 * MIB), POL_CLASS_WEIGHTS);
    ck_assert_int_eq(pol_phase_class(&phase, 2 * MIB), POL_CLASS_WEIGHTS);
    ck_assert_int_eq(pol_phase_class(&phase, 0), POL_CLASS_WEIGHTS);
}
END_TEST

START_TEST(native_segments)
{
    fresh();
    for (int layer = 0; layer < 40; layer++) {
        upload(native(6 * MIB), 6 * MIB);
        upload(native(8 * KIB), 8 * KIB);
        upload(native(40 * MIB + 512), 40 * MIB + 512);
        upload(native(300 * KIB), 300 * KIB);
    }
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], 0);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    /* a segment of biases came before its upload: the habit is known, and it takes one more */
    for (int i = 0; i < 4; i++)
        native(64 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
}
END_TEST

/* A request of 200 MiB: ten handles are created and mapped, one cuMemSetAccess makes them usable.
 */
START_TEST(expandable_segments)
{
    uint64_t segment = 512 * GIB;

    fresh();
    for (int request = 0; request < 20; request++, segment += 200 * MIB) {
        for (int handle = 0; handle < 10; handle++)
            predicted[pol_phase_class(&phase, 20 * MIB)] += 20 * MIB;
        pol_phase_alloc(&phase, segment, 200 * MIB);
        upload(segment, 90 * MIB);
        upload(segment + 90 * MIB, 110 * MIB);
    }
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], 0);
    ck_assert_uint_eq(predicted[POL_CLASS_WEIGHTS], 19 * 200 * MIB);
    for (int request = 0; request < 3; request++, segment += 40 * MIB)
        pol_phase_alloc(&phase, segment, 40 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
    /* empty_cache unmaps all of it by one range, or by several */
    pol_phase_free(&phase, 512 * GIB, 3000 * MIB);
    pol_phase_free(&phase, 512 * GIB + 3000 * MIB, 1120 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
}
END_TEST

/* Uploads through pinned staging buffers come in pieces. */
START_TEST(uploads_in_pieces)
{
    fresh();
    for (int i = 0; i < 10; i++) {
        uint64_t tensor = alloc(33 * MIB);

        for (uint64_t at = 0; at < 33 * MIB; at += MIB)
            upload(tensor + at, MIB);
    }
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], 0);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
}
END_TEST

START_TEST(llama_cpp)
{
    uint64_t model;

    fresh();
    model = alloc(5 * GIB);
    for (uint64_t at = 0; at < 5 * GIB; at += 64 * MIB)
        upload(model + at, 64 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    pol_phase_write(&phase, alloc(GIB), GIB); /* the cache is cleared */
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], GIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
    alloc(300 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
    /* inputs of each batch go into the compute buffer */
    for (int i = 0; i < 100; i++)
        upload(next_address - MIB, 128 * KIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
}
END_TEST

START_TEST(one_odd_block_is_no_end)
{
    fresh();
    for (int i = 0; i < 10; i++)
        load(30 * MIB);
    for (int i = 0; i < 10; i++) {
        uint64_t odd = alloc(64 * MIB);

        if (i % 3 == 0)
            pol_phase_write(&phase, odd, 64 * MIB);
        else if (i % 3 == 1)
            pol_phase_free(&phase, odd, 64 * MIB);
        ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
        load(30 * MIB);
        load(30 * MIB);
    }
    ck_assert_uint_eq(predicted[POL_CLASS_WEIGHTS], (9 + 10 * 2) * 30 * MIB);
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], 10 * 64 * MIB);
}
END_TEST

/* Patching weights on the card makes three temporaries for each tensor. At first they end the
 * weights, then the habit is known. */
START_TEST(temporaries_between_uploads)
{
    fresh();
    for (int tensor = 0; tensor < 100; tensor++) {
        uint64_t temporary[3];

        load(30 * MIB);
        for (int i = 0; i < 3; i++)
            temporary[i] = alloc(60 * MIB);
        for (int i = 0; i < 3; i++)
            pol_phase_free(&phase, temporary[i], 60 * MIB);
        if (tensor == 4)
            forget_predictions();
        if (tensor >= 4)
            ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    }
    ck_assert_uint_ge(predicted[POL_CLASS_WEIGHTS], 95 * 30 * MIB);
    for (int i = 0; i < 16; i++)
        alloc(60 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
}
END_TEST

/* Everything is allocated, then everything filled. */
START_TEST(allocate_first_upload_later)
{
    uint64_t tensor[200];

    fresh();
    for (int i = 0; i < 200; i++)
        tensor[i] = alloc(30 * MIB);
    for (int i = 0; i < 200; i++)
        upload(tensor[i], 30 * MIB);
    ck_assert_uint_eq(predicted[POL_CLASS_UNKNOWN], 200 * 30 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    for (int i = 0; i < 3; i++)
        alloc(30 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
}
END_TEST

/* A few blocks at a time are allocated, then filled: the habit is known after the first time. */
START_TEST(allocate_a_few_upload_a_few)
{
    fresh();
    for (int group = 0; group < 20; group++) {
        uint64_t tensor[4];

        for (int i = 0; i < 4; i++)
            tensor[i] = alloc(30 * MIB);
        for (int i = 0; i < 4; i++)
            upload(tensor[i], 30 * MIB);
    }
    ck_assert_uint_eq(predicted[POL_CLASS_UNKNOWN], 4 * 30 * MIB);
    ck_assert_uint_eq(predicted[POL_CLASS_WORKING], 0);
}
END_TEST

/* Weights that do not fit are streamed through a buffer, or two in turn, at each step. */
static void stream(int buffers)
{
    uint64_t buffer[3] = {0};

    for (int i = 0; i < 200; i++) {
        uint64_t *at = &buffer[i % buffers];

        if (*at)
            pol_phase_free(&phase, *at, 30 * MIB);
        *at = load(30 * MIB);
        pol_phase_free(&phase, alloc(24 * MIB), 24 * MIB);
    }
}

START_TEST(streamed_weights_are_working_memory)
{
    for (int buffers = 1; buffers <= 2; buffers++) {
        uint64_t wrong;

        fresh();
        for (int i = 0; i < 50; i++)
            load(30 * MIB);
        forget_predictions();
        stream(buffers);
        wrong = predicted[POL_CLASS_WEIGHTS];
        /* the loaded blocks that still count as recent say otherwise */
        ck_assert_msg(wrong <= 12 * 54 * MIB, "%d: %ju MiB", buffers, (uintmax_t)(wrong / MIB));
        ck_assert_int_eq(now(), POL_CLASS_WORKING);
    }
}
END_TEST

START_TEST(inputs_are_no_weights)
{
    fresh();
    for (int i = 0; i < 10; i++)
        load(30 * MIB);
    for (int i = 0; i < 3; i++)
        alloc(24 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
    for (int step = 0; step < 100; step++) {
        uint64_t image = load(8 * MIB), mask = load(2 * MIB);

        for (int i = 0; i < 5; i++)
            pol_phase_free(&phase, alloc(24 * MIB), 24 * MIB);
        pol_phase_free(&phase, image, 8 * MIB);
        pol_phase_free(&phase, mask, 2 * MIB);
        ck_assert_int_eq(now(), POL_CLASS_WORKING);
    }
}
END_TEST

/* Inputs that stay, but are few. */
START_TEST(kept_inputs_are_no_weights)
{
    fresh();
    for (int i = 0; i < 10; i++)
        load(30 * MIB);
    for (int step = 0; step < 100; step++) {
        for (int i = 0; i < 15; i++)
            pol_phase_free(&phase, alloc(24 * MIB), 24 * MIB);
        load(8 * MIB);
        ck_assert_int_eq(now(), POL_CLASS_WORKING);
    }
}
END_TEST

/* Now and then a block of a load is freed soon. */
START_TEST(a_few_short_lived_blocks_are_no_stream)
{
    fresh();
    for (int i = 0; i < 400; i++) {
        uint64_t block = load(30 * MIB);

        if (i % 20 == 19)
            pol_phase_free(&phase, block, 30 * MIB);
        ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    }
}
END_TEST

START_TEST(an_upload_may_come_late)
{
    uint64_t first;

    fresh();
    first = alloc(31 * MIB);
    alloc(30 * MIB);
    alloc(30 * MIB);
    upload(first + 31 * MIB, MIB); /* just behind it */
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
    upload(first + 30 * MIB, MIB);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
}
END_TEST

/* More goes through 20 buffers than ever lives at once. */
START_TEST(what_is_gone_does_not_count_forever)
{
    uint64_t buffer[20] = {0};

    fresh();
    for (int i = 0; i < 400; i++) {
        if (buffer[i % 20])
            pol_phase_free(&phase, buffer[i % 20], 30 * MIB);
        buffer[i % 20] = load(30 * MIB);
        ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    }
}
END_TEST

/* --- models in turn ------------------------------------------------------------------------------
 */

#define TENSORS 120

static void load_model(uint64_t *tensor)
{
    for (int i = 0; i < TENSORS; i++)
        tensor[i] = load(30 * MIB);
}

static void unload_model(const uint64_t *tensor)
{
    for (int i = 0; i < TENSORS; i++)
        pol_phase_free(&phase, tensor[i], 30 * MIB);
}

static void work(void)
{
    for (int i = 0; i < 300; i++) {
        uint64_t a = alloc(60 * MIB), b = alloc(12 * MIB);

        pol_phase_free(&phase, a, 60 * MIB);
        pol_phase_free(&phase, b, 12 * MIB);
    }
}

/* ComfyUI: text encoder, UNet, VAE, twice; what was loaded is unloaded when the next needs room. */
START_TEST(load_encode_sample_decode)
{
    uint64_t encoder[TENSORS] = {0}, unet[TENSORS] = {0}, vae[TENSORS] = {0};

    fresh();
    for (int prompt = 0; prompt < 2; prompt++) {
        uint64_t *models[] = {encoder, unet, vae};

        for (int m = 0; m < 3; m++) {
            forget_predictions();
            load_model(models[m]);
            ck_assert_uint_le(predicted[POL_CLASS_WORKING], 3 * 30 * MIB);
            forget_predictions();
            work();
            ck_assert_uint_le(predicted[POL_CLASS_WEIGHTS], 72 * MIB);
            ck_assert_int_eq(now(), POL_CLASS_WORKING);
            if (m < 2) {
                unload_model(models[m]);
                ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
            }
        }
        unload_model(vae);
    }
}
END_TEST

/* Several models that stay: no free tells where the next load begins. */
START_TEST(models_that_stay)
{
    uint64_t tensor[TENSORS];

    fresh();
    for (int m = 0; m < 4; m++) {
        forget_predictions();
        load_model(tensor);
        ck_assert_uint_le(predicted[POL_CLASS_WORKING], 3 * 30 * MIB);
        forget_predictions();
        work();
        ck_assert_uint_le(predicted[POL_CLASS_WEIGHTS], 72 * MIB);
    }
}
END_TEST

START_TEST(a_model_that_is_freed_is_forgotten)
{
    uint64_t tensor[TENSORS];

    fresh();
    load_model(tensor);
    for (int i = 0; i < TENSORS / 2; i++) {
        ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
        pol_phase_free(&phase, tensor[i], 30 * MIB);
    }
    pol_phase_free(&phase, tensor[TENSORS / 2], 30 * MIB);
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
    /* a whole context goes at once */
    load_model(tensor);
    pol_phase_free(&phase, 0, UINT64_MAX);
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
    ck_assert_uint_eq(phase.live, 0);
}
END_TEST

/* What is small says nothing, in either direction. */
START_TEST(small_ones_do_not_count)
{
    uint64_t tensor;

    fresh();
    upload(alloc(MIB - 1), MIB - 1);
    tensor = alloc(MIB);
    upload(tensor, 64 * KIB - 1);
    pol_phase_write(&phase, tensor, 64 * KIB - 1);
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
    upload(tensor, 64 * KIB);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    for (int i = 0; i < 100; i++)
        alloc(MIB - 1);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
}
END_TEST

/* Where the file is known, nothing needs to be guessed from blocks. */
START_TEST(a_known_file_tells_at_once)
{
    load(8 * MIB);
    pol_phase_loading(&phase);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    load(8 * MIB);
    pol_phase_loaded(&phase);
    ck_assert_int_eq(now(), POL_CLASS_WORKING);
    alloc(8 * MIB);
    pol_phase_loading(&phase);
    ck_assert_int_eq(now(), POL_CLASS_WEIGHTS);
    fresh();
    pol_phase_loaded(&phase);
    pol_phase_loading(&phase);
    ck_assert_int_eq(now(), POL_CLASS_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("classify");
    TCase *core = tcase_create("classify");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_add_test(core, nothing_is_known_at_first);
    tcase_add_test(core, cuda_malloc_async);
    tcase_add_test(core, the_end_of_uploads);
    tcase_add_test(core, a_new_size_after_many_uploads);
    tcase_add_test(core, native_segments);
    tcase_add_test(core, expandable_segments);
    tcase_add_test(core, uploads_in_pieces);
    tcase_add_test(core, llama_cpp);
    tcase_add_test(core, one_odd_block_is_no_end);
    tcase_add_test(core, temporaries_between_uploads);
    tcase_add_test(core, allocate_first_upload_later);
    tcase_add_test(core, allocate_a_few_upload_a_few);
    tcase_add_test(core, streamed_weights_are_working_memory);
    tcase_add_test(core, inputs_are_no_weights);
    tcase_add_test(core, kept_inputs_are_no_weights);
    tcase_add_test(core, a_few_short_lived_blocks_are_no_stream);
    tcase_add_test(core, an_upload_may_come_late);
    tcase_add_test(core, what_is_gone_does_not_count_forever);
    tcase_add_test(core, load_encode_sample_decode);
    tcase_add_test(core, models_that_stay);
    tcase_add_test(core, a_model_that_is_freed_is_forgotten);
    tcase_add_test(core, small_ones_do_not_count);
    tcase_add_test(core, a_known_file_tells_at_once);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
