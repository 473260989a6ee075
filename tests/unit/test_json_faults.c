/* Reading a policy file while the system refuses: each call in turn fails, for every n. */
#include "config/option.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char good[] =
    "{\"log\":\"debug\",\"target_gpu\":[\"0\",\"1\"],\"$schema\":{\"a\":[1]}}";

static struct cfg_result result;
static char said[2100];
static int lines;

/* The n-th call from now fails; what is open is counted. */
static int countdown;
static bool failed_once;
static int fds, blocks, libraries;
static size_t read_most; /* bytes that one read gives */
static bool interrupted; /* every second read */

static bool fails(void)
{
    bool fail = countdown > 0 && --countdown == 0;

    failed_once |= fail;
    return fail;
}

static int io_open(const char *path, int flags, ...)
{
    int fd;

    if (fails()) {
        errno = EACCES;
        return -1;
    }
    ck_assert(flags & O_NONBLOCK && flags & O_CLOEXEC);
    fd = open(path, flags);
    fds += fd >= 0;
    return fd;
}

static int io_fstat(int fd, struct stat *status)
{
    if (!fails())
        return fstat(fd, status);
    errno = EIO;
    return -1;
}

static ssize_t io_read(int fd, void *buf, size_t len)
{
    static bool odd;

    odd = !odd;
    if (interrupted && odd) {
        errno = EINTR;
        return -1;
    }
    if (!fails())
        return read(fd, buf, len < read_most ? len : read_most);
    errno = EIO;
    return -1;
}

static int io_close(int fd)
{
    fds--;
    return close(fd);
}

static void *io_malloc(size_t len)
{
    void *p = fails() ? NULL : malloc(len);

    blocks += p != NULL;
    return p;
}

static void io_free(void *p)
{
    blocks -= p != NULL;
    free(p);
}

static void *io_dlopen(const char *path, int mode)
{
    void *library = fails() ? NULL : dlopen(path, mode);

    ck_assert(mode & RTLD_NOW && !(mode & RTLD_GLOBAL));
    libraries += library != NULL;
    return library;
}

static void *io_dlsym(void *library, const char *name)
{
    /* whether a sanitizer is there is no matter of failing */
    return library != RTLD_DEFAULT && fails() ? NULL : dlsym(library, name);
}

static int io_dlclose(void *library)
{
    libraries--;
    return dlclose(library);
}

static const struct cfg_io io = {io_open, io_fstat,  io_read,  io_close,  io_malloc,
                                 io_free, io_dlopen, io_dlsym, io_dlclose};

static void listen_to(void *arg, enum cfg_severity severity, const char *line)
{
    (void)arg;
    ck_assert_int_eq(severity, CFG_ERROR);
    lines++;
    snprintf(said, sizeof(said), "%s", line);
}

static char path[] = "/tmp/hybridmem-test-XXXXXX";
static void *jansson;

static void start(void)
{
    __typeof__(json_set_alloc_funcs) *set_alloc_funcs;
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, good, sizeof(good) - 1), sizeof(good) - 1);
    close(fd);
    /* jansson's own allocations fail and are counted as well */
    jansson = dlopen("libjansson.so.4", RTLD_NOW | RTLD_LOCAL);
    ck_assert_ptr_nonnull(jansson);
    set_alloc_funcs = (__typeof__(set_alloc_funcs))dlsym(jansson, "json_set_alloc_funcs");
    ck_assert_ptr_nonnull(set_alloc_funcs);
    set_alloc_funcs(io_malloc, io_free);
    read_most = SIZE_MAX;
    interrupted = false;
}

static void stop(void)
{
    unlink(path);
    dlclose(jansson);
}

static void read_file(int n)
{
    struct cfg_reader reader = {&result, listen_to, NULL};

    cfg_load(&result, NULL, NULL, NULL, NULL);
    lines = 0;
    failed_once = false;
    fds = blocks = libraries = 0;
    countdown = n;
    cfg_read_file(&reader, path, &io);
    countdown = 0;
    ck_assert_int_eq(fds, 0);
    ck_assert_int_eq(blocks, 0);
    ck_assert_int_eq(libraries, 0);
}

static void expect_good(void)
{
    ck_assert_msg(lines == 0, "%s", said);
    ck_assert_int_eq(result.config.log, CFG_LOG_DEBUG);
    ck_assert_uint_eq(result.config.target_gpu.count, 2);
}

START_TEST(the_nth_call_fails)
{
    int n;

    for (n = 1;; n++) {
        read_file(n);
        if (!failed_once)
            break;
        ck_assert_int_eq(lines, 1);
        ck_assert_uint_eq(result.errors, 1);
        ck_assert_ptr_nonnull(strstr(said, path));
        ck_assert_ptr_nonnull(strstr(said, "; the "));
        /* all of a value or nothing */
        ck_assert(result.config.log == CFG_LOG_WARN || result.config.log == CFG_LOG_DEBUG);
        ck_assert(result.config.target_gpu.all || result.config.target_gpu.count == 2);
    }
    expect_good();
    ck_assert_int_gt(n, 30); /* it went through jansson too */
}
END_TEST

START_TEST(what_is_said)
{
    static const char *const words[] = {
        "cannot be opened: Permission denied",
        "cannot be examined: Input/output error",
        "no memory to read it",
        "cannot be read: Input/output error",
        "cannot be read: Input/output error",
        "cannot be read without libjansson.so.4 (package libjansson4, jansson or jansson-libs)",
        "cannot be read without libjansson.so.4",
    };

    for (int i = 0; i < (int)(sizeof(words) / sizeof(words[0])); i++) {
        read_file(i + 1);
        ck_assert_int_eq(lines, 1);
        ck_assert_msg(strstr(said, words[i]) != NULL, "%d: %s", i, said);
        ck_assert_ptr_nonnull(strstr(said, "; the file is ignored"));
    }
}
END_TEST

START_TEST(read_in_pieces)
{
    for (read_most = 1; read_most < 8; read_most++) {
        interrupted = read_most % 2;
        read_file(0);
        expect_good();
    }
}
END_TEST

/* A file that grows between fstat and read. */
static ssize_t endless_read(int fd, void *buf, size_t len)
{
    (void)fd;
    memset(buf, ' ', len);
    return (ssize_t)len;
}

START_TEST(endless)
{
    struct cfg_reader reader = {&result, listen_to, NULL};
    struct cfg_io growing = io;

    growing.read = endless_read;
    lines = 0;
    cfg_read_file(&reader, path, &growing);
    ck_assert_int_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(said, "is larger than 1 MiB; the file is ignored"));
    ck_assert_int_eq(fds, 0);
    ck_assert_int_eq(blocks, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json faults");
    TCase *core = tcase_create("faults");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, core);
    tcase_set_timeout(core, 30);
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_test(core, the_nth_call_fails);
    tcase_add_test(core, what_is_said);
    tcase_add_test(core, read_in_pieces);
    tcase_add_test(core, endless);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
