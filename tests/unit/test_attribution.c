/* Which model an upload's source belongs to: real files, really mapped; the mappings are never
 * readable, so that reading one would end the test.
 */
#include "shim/attribution.h"

#include "tests/unit/model_bytes.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB     (UINT64_C(1) << 20)
#define TENSORS 4

static char folder[64];
static struct bytes b;
static struct device device;
static struct attribution at;
static struct attribution_model model;
static struct attribution_guess guess;
static unsigned maps_read, headers_read, files_opened;

/* Stands in front of the C library's. */
int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    maps_read += strcmp(path, "/proc/self/maps") == 0;
    headers_read += strcmp(path, "/proc/self/mem") == 0;
    files_opened += strncmp(path, folder, strlen(folder)) == 0;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void make_folder(void)
{
    strcpy(folder, "/tmp/hybridmem-models-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    attribution_after_fork();
    at = (struct attribution){0};
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A header of TENSORS tensors, "<prefix>.<i>.weight", of i + 1 MiB each; returns where the data
 * begins. */
static uint64_t put_gguf(const char *architecture, const char *prefix)
{
    char name[300];
    uint64_t offset = 0;

    b.len = 0;
    put(&b, "GGUF", 4);
    put_number(&b, 3, 4);
    put_number(&b, TENSORS, 8);
    put_number(&b, architecture != NULL, 8);
    if (architecture) {
        put_text(&b, "general.architecture");
        put_number(&b, 8, 4);
        put_text(&b, architecture);
    }
    for (unsigned i = 0; i < TENSORS; offset += (i + 1) * MIB, i++) {
        snprintf(name, sizeof name, "%s.%u.weight", prefix, i);
        put_text(&b, name);
        put_number(&b, 1, 4);
        put_number(&b, (i + 1) * MIB / 4, 8);
        put_number(&b, 0, 4);
        put_number(&b, offset, 8);
    }
    put_zeros(&b, (32 - b.len % 32) % 32);
    return b.len;
}

static uint64_t write_file(const char *name, uint64_t more)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, b.data, b.len), (int)b.len);
    ck_assert_int_eq(ftruncate(fd, (off_t)(b.len + more)), 0);
    close(fd);
    return b.len + more;
}

static uint64_t map_at(const char *name, uint64_t from, uint64_t size, void *where)
{
    int fd = open(path_of(name), O_RDONLY);
    void *p = mmap(where, size, PROT_NONE, MAP_PRIVATE | (where ? MAP_FIXED : 0), fd, (off_t)from);

    ck_assert_ptr_ne(p, MAP_FAILED);
    close(fd);
    files_opened = headers_read = maps_read = 0;
    return (uint64_t)(uintptr_t)p;
}

#define DATA (10 * MIB) /* of all tensors: 1 + 2 + 3 + 4 */

/* A model's file, mapped whole; returns the address of its data. */
static uint64_t mapped_model(const char *name, const char *architecture, const char *prefix)
{
    uint64_t data = put_gguf(architecture, prefix);
    return map_at(name, 0, write_file(name, DATA), NULL) + data;
}

static void upload(uint64_t from, uint64_t bytes)
{
    attribution_upload(&at, &device, from, bytes, false);
}

static void expect_nothing(void)
{
    ck_assert_uint_eq(at.model, 0);
    ck_assert(!attribution_model(0, &model));
}

START_TEST(model_is_told)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");

    upload(data, MIB);
    attribution_upload(&at, &device, data + MIB, 2 * MIB, true);
    ck_assert(attribution_model(0, &model));
    ck_assert_str_eq(model.file, path_of("flux.gguf"));
    ck_assert_str_eq(model.architecture, "flux");
    ck_assert_int_eq(model.type, MODEL_UNET);
    ck_assert_uint_eq(model.tensor_bytes, DATA);
    ck_assert_uint_eq(model.device_bytes, MIB);
    ck_assert_uint_eq(model.host_bytes, 2 * MIB);
    ck_assert(!attribution_model(1, &model));
}
END_TEST

/* And no file is opened, the model's least of all: see read_model(). */
START_TEST(only_the_first_upload_reads_the_header)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");

    files_opened = 0;
    for (int i = 0; i < 100; i++)
        upload(data, MIB);
    ck_assert_uint_eq(headers_read, 1);
    ck_assert_uint_eq(files_opened, 0);
    ck_assert_uint_le(maps_read, 2); /* what is known is looked at again after 100 ms */
}
END_TEST

START_TEST(uploads_of_all_kinds_of_ranges)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");

    upload(data - 16, 16 + MIB + MIB / 2); /* the header's end, one tensor, a quarter of another */
    ck_assert(attribution_model(0, &model));
    ck_assert_uint_eq(model.device_bytes, MIB + MIB / 2);
    upload(data + MIB + MIB / 2, MIB / 2 + MIB); /* the rest of it */
    ck_assert(attribution_model(0, &model));
    ck_assert_uint_eq(model.device_bytes, 3 * MIB);
    attribution_upload(&at, &device, data + MIB, 2 * MIB, true); /* again, to another place */
    ck_assert(attribution_model(0, &model));
    ck_assert_uint_eq(model.device_bytes, MIB);
    ck_assert_uint_eq(model.host_bytes, 2 * MIB);
    upload(data, 100 * DATA); /* beyond the mapping's end */
    ck_assert(attribution_model(0, &model));
    ck_assert_uint_eq(model.device_bytes, DATA);
    ck_assert_uint_eq(model.host_bytes, 0);
}
END_TEST

START_TEST(part_of_a_file_is_mapped)
{
    uint64_t start = put_gguf("flux", "double_blocks");
    uint64_t size = write_file("flux.gguf", DATA);

    upload(map_at("flux.gguf", MIB, size - MIB, NULL) + start, 2 * MIB); /* without the header */
    expect_nothing();
}
END_TEST

START_TEST(a_mapping_in_pieces)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");
    uint64_t second = (data + MIB) / 4096 * 4096;

    ck_assert_int_eq(mprotect((void *)(uintptr_t)second, MIB, PROT_READ), 0);
    upload(data + MIB, 2 * MIB);
    ck_assert(attribution_model(0, &model));
    ck_assert_uint_eq(at.tensor, 1);
    ck_assert_uint_eq(model.device_bytes, second - data); /* to the end of the piece */
    upload(data + 3 * MIB, 3 * MIB);                      /* in the next one */
    ck_assert(attribution_model(0, &model));
    ck_assert_uint_eq(model.device_bytes, second - data + 3 * MIB);
}
END_TEST

START_TEST(guesses)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");

    ck_assert(!attribution_guess(&at, MIB, &guess));
    upload(data, MIB);
    ck_assert(attribution_guess(&at, 2 * MIB, &guess));
    ck_assert_str_eq(guess.tensor, "double_blocks.1.weight");
    ck_assert_str_eq(guess.file, path_of("flux.gguf"));
    ck_assert_str_eq(guess.architecture, "flux");
    ck_assert_int_eq(guess.type, MODEL_UNET);
    ck_assert(attribution_guess(&at, 2 * MIB - 1, &guess)); /* too small for it */
    ck_assert_str_eq(guess.tensor, "");
    ck_assert(attribution_guess(&at, 4 * MIB - 1, &guess)); /* rounded up */
    ck_assert_str_eq(guess.tensor, "double_blocks.1.weight");
    ck_assert(attribution_guess(&at, 4 * MIB, &guess)); /* too large */
    ck_assert_str_eq(guess.tensor, "");
    upload(data + 6 * MIB, 4 * MIB); /* the last one */
    ck_assert(attribution_guess(&at, 4 * MIB, &guess));
    ck_assert_str_eq(guess.tensor, "");
    upload(data + MIB, 5 * MIB); /* now all are there: the load is over */
    ck_assert(!attribution_guess(&at, MIB, &guess));
}
END_TEST

/* Before the first upload a block's size tells, if a model is mapped that nothing has come of. */
START_TEST(expectations)
{
    struct attribution other = {0};
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");

    map_at("flux.gguf", 0, b.len + DATA, NULL); /* twice: still one file */
    attribution_expect(&at, 6 * MIB);           /* none has that size, or nearly */
    ck_assert_uint_eq(at.model, 0);
    ck_assert_uint_eq(maps_read, 1);
    ck_assert_uint_eq(headers_read, 1);
    attribution_expect(&at, MIB);
    ck_assert(attribution_guess(&at, MIB, &guess));
    ck_assert_str_eq(guess.tensor, "double_blocks.0.weight");
    ck_assert(guess.is_new);
    attribution_expect(&other, 4 * MIB - 1); /* the first that it may be for */
    ck_assert(attribution_guess(&other, 4 * MIB - 1, &guess));
    ck_assert_str_eq(guess.tensor, "double_blocks.1.weight");
    ck_assert_uint_eq(maps_read, 1); /* a moment ago */
    upload(data, MIB);
    other = (struct attribution){0};
    attribution_expect(&other, 2 * MIB); /* a load goes on, or went on */
    ck_assert_uint_eq(other.model, 0);
}
END_TEST

START_TEST(only_models_are_expected)
{
    put_gguf("flux", "double_blocks");
    map_at("weights.bin", 0, write_file("weights.bin", DATA), NULL);
    map_at(".gguf", 0, write_file(".gguf", DATA), NULL); /* no name at all, if its path has one */
    attribution_expect(&at, MIB);
    ck_assert(attribution_guess(&at, MIB, &guess));
    ck_assert_str_eq(guess.file, path_of(".gguf"));
    ck_assert_uint_eq(headers_read, 1);
}
END_TEST

START_TEST(news_of_a_load)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");
    static const struct {
        uint64_t at, bytes;
        enum attribution_news news;
    } steps[] = {
        {0, MIB, ATTRIBUTION_LOADING},
        {0, MIB, ATTRIBUTION_NOTHING}, /* again, and again */
        {0, MIB, ATTRIBUTION_NOTHING},
        {0, MIB, ATTRIBUTION_NOTHING},
        {0, MIB, ATTRIBUTION_NOTHING},
        {MIB, MIB, ATTRIBUTION_LOADING},
        {2 * MIB, MIB, ATTRIBUTION_NOTHING}, /* the rest of a tensor */
        {3 * MIB, 3 * MIB, ATTRIBUTION_LOADING},
        {6 * MIB, 4 * MIB, ATTRIBUTION_COMPLETE},
        {0, MIB, ATTRIBUTION_NOTHING},
    };

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        ck_assert_int_eq(
            attribution_upload(&at, &device, data + steps[i].at, steps[i].bytes, false),
            steps[i].news);
        ck_assert_int_eq(at.model == 0, steps[i].news == ATTRIBUTION_COMPLETE);
    }
    ck_assert(attribution_guess(&at, 2 * MIB, &guess));
    ck_assert_str_eq(guess.tensor, "double_blocks.1.weight");
    ck_assert(!guess.is_new);
}
END_TEST

START_TEST(names_of_any_length)
{
    char prefix[ATTRIBUTION_TENSOR_MAX + 10];

    memset(prefix, 'x', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    upload(mapped_model("long.gguf", "flux", prefix), MIB);
    ck_assert(attribution_guess(&at, 2 * MIB, &guess));
    ck_assert_uint_eq(strlen(guess.tensor), ATTRIBUTION_TENSOR_MAX - 1);
}
END_TEST

START_TEST(parts_tell_by_names)
{
    upload(mapped_model("flux-00002-of-00003.gguf", NULL, "decoder.up"), MIB);
    ck_assert(attribution_model(0, &model));
    ck_assert_str_eq(model.architecture, "");
    ck_assert_int_eq(model.type, MODEL_VAE);
}
END_TEST

START_TEST(safetensors)
{
    static const char json[] = "{\"decoder.up.0.weight\":{\"dtype\":\"F32\",\"shape\":[262144],"
                               "\"data_offsets\":[0,1048576]}}";
    uint64_t map;

    b.len = 0;
    put_number(&b, sizeof json - 1, 8);
    put(&b, json, sizeof json - 1);
    map = map_at("vae.safetensors", 0, write_file("vae.safetensors", MIB), NULL);
    upload(map + b.len, MIB);
    ck_assert(attribution_model(0, &model));
    ck_assert_int_eq(model.type, MODEL_VAE);
    ck_assert_uint_eq(model.device_bytes, MIB);
}
END_TEST

START_TEST(other_files_tell_nothing)
{
    uint64_t map;

    b.len = 0;
    put_zeros(&b, 8192);
    map = map_at("weights.bin", 0, write_file("weights.bin", MIB), NULL);
    for (int i = 0; i < 100; i++)
        upload(map, MIB);
    expect_nothing();
    ck_assert_uint_eq(headers_read, 1);
    b.len = 0;
    put(&b, "GGUF", 4);
    put_zeros(&b, 100); /* version 0 */
    upload(map_at("broken.gguf", 0, write_file("broken.gguf", MIB), NULL), MIB);
    expect_nothing();
    b.len = 0;
    upload(map_at("empty.gguf", 0, (write_file("empty.gguf", 0), 4096), NULL), MIB);
    expect_nothing();
}
END_TEST

START_TEST(no_file_tells_nothing)
{
    void *p = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t data = mapped_model("gone.gguf", "flux", "double_blocks");

    upload((uint64_t)(uintptr_t)p, MIB);
    upload(8, MIB); /* nothing at all */
    upload(UINT64_MAX - 8, MIB);
    ck_assert_int_eq(unlink(path_of("gone.gguf")), 0);
    upload(data, MIB);
    expect_nothing();
}
END_TEST

START_TEST(address_is_used_again)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");
    uint64_t size, map;

    upload(data, MIB);
    put_gguf("t5", "enc");
    size = write_file("t5.gguf", DATA);
    map = data & ~UINT64_C(4095); /* the header is shorter than a page */
    ck_assert_uint_eq(map_at("t5.gguf", 0, size, (void *)(uintptr_t)map), map);
    usleep(150000);
    upload(map + b.len, MIB);
    ck_assert(attribution_model(1, &model));
    ck_assert_int_eq(model.type, MODEL_CLIP);
    ck_assert_uint_eq(model.device_bytes, MIB);
    mmap((void *)(uintptr_t)map, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    usleep(150000);
    upload(map + b.len + MIB, 2 * MIB);
    ck_assert(attribution_model(1, &model));
    ck_assert_uint_eq(model.device_bytes, MIB);
}
END_TEST

START_TEST(strangers_are_not_looked_for_each_time)
{
    maps_read = 0;
    for (uint64_t i = 0; i < 1000; i++)
        upload((i + 1) << 32, MIB); /* nothing lies there, or something else each time */
    ck_assert_uint_le(maps_read, 20);
    ck_assert_uint_ge(maps_read, 1);
    usleep(200000); /* and a model is found again soon */
    upload(mapped_model("flux.gguf", "flux", "double_blocks"), MIB);
    ck_assert(attribution_model(0, &model));
}
END_TEST

START_TEST(more_models_than_are_kept)
{
    uint64_t data[40];
    char name[32];

    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "model-%d.gguf", i);
        data[i] = mapped_model(name, "flux", "double_blocks");
        upload(data[i], MIB);
        usleep(60000);
    }
    b.len = 0;
    put_zeros(&b, 8192);
    upload(map_at("weights.bin", 0, write_file("weights.bin", MIB), NULL), MIB);
    ck_assert(attribution_model(31, &model)); /* what is no model takes no place */
    usleep(60000);
    headers_read = 0;
    upload(data[39], MIB);
    ck_assert_uint_eq(headers_read, 0);
    ck_assert(!attribution_model(32, &model));
    upload(data[0], MIB); /* read once more */
    ck_assert_uint_eq(headers_read, 1);
    ck_assert(attribution_guess(&at, 2 * MIB, &guess));
    ck_assert_str_eq(guess.file, path_of("model-0.gguf"));
}
END_TEST

/* In a real child: what it forgets, and may not free, is no leak of the test's. */
START_TEST(child_knows_nothing)
{
    uint64_t data = mapped_model("flux.gguf", "flux", "double_blocks");
    int status = 0;

    upload(data, MIB);
    pid_t child = fork();
    if (child == 0) {
        attribution_after_fork();
        bool knew = attribution_guess(&at, 2 * MIB, &guess) || attribution_model(0, &model);
        upload(data, MIB);
        _exit(knew || !attribution_model(0, &model));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(attribution_model(0, &model));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("attribution");
    TCase *tests = tcase_create("attribution");

    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, model_is_told);
    tcase_add_test(tests, only_the_first_upload_reads_the_header);
    tcase_add_test(tests, uploads_of_all_kinds_of_ranges);
    tcase_add_test(tests, part_of_a_file_is_mapped);
    tcase_add_test(tests, a_mapping_in_pieces);
    tcase_add_test(tests, guesses);
    tcase_add_test(tests, expectations);
    tcase_add_test(tests, only_models_are_expected);
    tcase_add_test(tests, news_of_a_load);
    tcase_add_test(tests, names_of_any_length);
    tcase_add_test(tests, parts_tell_by_names);
    tcase_add_test(tests, safetensors);
    tcase_add_test(tests, other_files_tell_nothing);
    tcase_add_test(tests, no_file_tells_nothing);
    tcase_add_test(tests, address_is_used_again);
    tcase_add_test(tests, strangers_are_not_looked_for_each_time);
    tcase_add_test(tests, more_models_than_are_kept);
    tcase_add_test(tests, child_knows_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
