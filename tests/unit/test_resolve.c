/* Look-ups: the C library's own dlsym found without dlsym, and what cuGetProcAddress should answer.
 * No driver is loaded; a few entries of the driver's table are set by hand.
 */
#include "shim/elf.h"
#include "shim/hooks.h"
#include "shim/resolve.h"

#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void have(int hook, void *real)
{
    hooks[hook].present = true;
    *hooks[hook].real = real;
}

#define HAVE(symbol, real) have(HOOK_##symbol, (void *)(real))
#define OURS(symbol)       hooks[HOOK_##symbol].replacement

/* Functions that no library exports, as far as dladdr() can tell. */
static char anonymous[8];

START_TEST(elf)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY);
    ck_assert_ptr_nonnull(libc);
    ck_assert_ptr_eq(elf_find("libc.so.", "getpid"), resolve_real_dlsym(libc, "getpid"));
    ck_assert_ptr_null(elf_find("libc.so.", "no_such_function"));
    ck_assert_ptr_null(elf_find("libno.so.", "getpid"));
    /* strlen is an indirect function: only its existence matters here */
    ck_assert_ptr_nonnull(elf_find("libc.so.", "dlsym"));
}
END_TEST

START_TEST(every_row)
{
    /* The driver's own address identifies the row, whatever version and flags say. */
    static char real[HOOK_COUNT];
    for (int i = 0; i < HOOK_COUNT; i++)
        have(i, &real[i]);
    for (int i = 0; i < HOOK_COUNT; i++)
        ck_assert_ptr_eq(resolve_proc(hooks[i].base, &real[i], 2000, 0), hooks[i].replacement);
    ck_assert_ptr_eq(resolve_proc("cuInit", &real[0], 13000, 0), &real[0]);
    ck_assert_ptr_eq(resolve_proc("", anonymous, 13000, 0), anonymous);
}
END_TEST

/* A driver may answer with an address that it does not export. */
START_TEST(by_version_and_flags)
{
    static char real[8];
    HAVE(cuStreamBeginCapture, &real[0]);
    HAVE(cuStreamBeginCapture_ptsz, &real[1]);
    HAVE(cuStreamBeginCapture_v2, &real[2]);
    HAVE(cuStreamBeginCapture_v2_ptsz, &real[3]);
    HAVE(cuMemAlloc_v2, &real[4]);
    const char *base = "cuStreamBeginCapture";
    uint64_t legacy = CU_GET_PROC_ADDRESS_LEGACY_STREAM;
    uint64_t per_thread = CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;

    ck_assert_ptr_eq(resolve_proc(base, anonymous, 9000, 0), anonymous);
    ck_assert_ptr_eq(resolve_proc(base, anonymous, 10000, 0), OURS(cuStreamBeginCapture));
    ck_assert_ptr_eq(resolve_proc(base, anonymous, 10009, legacy), OURS(cuStreamBeginCapture));
    ck_assert_ptr_eq(resolve_proc(base, anonymous, 10010, 0), OURS(cuStreamBeginCapture_v2));
    ck_assert_ptr_eq(resolve_proc(base, anonymous, 13000, per_thread),
                     OURS(cuStreamBeginCapture_v2_ptsz));
    ck_assert_ptr_eq(resolve_proc(base, anonymous, 10000, per_thread),
                     OURS(cuStreamBeginCapture_ptsz));
    /* without a stream both flags lead to the one function */
    ck_assert_ptr_eq(resolve_proc("cuMemAlloc", anonymous, 13000, per_thread), OURS(cuMemAlloc_v2));
    ck_assert_ptr_eq(resolve_proc("cuMemAlloc", anonymous, 3020, 0), OURS(cuMemAlloc_v2));
    ck_assert_ptr_eq(resolve_proc("cuMemAlloc", anonymous, 2000, 0), anonymous); /* 32 bits */
    /* what this driver lacks is not ours to offer */
    ck_assert_ptr_eq(resolve_proc("cuMemFree", anonymous, 13000, 0), anonymous);
}
END_TEST

/* An address that is exported under another name is a variant with an ABI of its own. */
START_TEST(a_variant_we_do_not_know)
{
    static char real;
    void *other = resolve_real_dlsym(RTLD_DEFAULT, "getpid");
    HAVE(cuMemAlloc_v2, &real);
    ck_assert_ptr_eq(resolve_proc("cuMemAlloc", other, 15000, 0), other);
}
END_TEST

START_TEST(not_ours)
{
    ck_assert_ptr_eq(resolve_real_dlsym(RTLD_DEFAULT, "getpid"), dlsym(RTLD_DEFAULT, "getpid"));
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, "cuMemAlloc_v3"));
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, "cu"));
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, ""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *tcase = tcase_create("resolve");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, elf);
    tcase_add_test(tcase, every_row);
    tcase_add_test(tcase, by_version_and_flags);
    tcase_add_test(tcase, a_variant_we_do_not_know);
    tcase_add_test(tcase, not_ours);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
