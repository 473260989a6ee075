/* Handles and mappings, where the driver gives an address or a handle to another thread before the
 * call that freed it has returned: the driver's functions here do what that thread would.
 */
#include "shim/hooks.h"
#include "shim/vmm.h"

#include <check.h>
#include <stdlib.h>

#define PLACE UINT64_C(0x7f0000000000)
#define BYTES UINT64_C(0x200000)

static struct device device = {.ordinal = 3};
static CUresult answer;         /* of the driver's next cuMemUnmap or cuMemRelease */
static void (*meanwhile)(void); /* what another thread does as soon as that has happened */

static CUresult answered(void)
{
    void (*others)(void) = meanwhile;
    CUresult r = answer;

    meanwhile = NULL;
    answer = CUDA_SUCCESS;
    if (others)
        others();
    return r;
}

static CUresult map(CUdeviceptr ptr, size_t size, size_t offset,
                    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    (void)ptr, (void)size, (void)offset, (void)handle, (void)flags;
    return CUDA_SUCCESS;
}

static CUresult unmap(CUdeviceptr ptr, size_t size)
{
    (void)ptr, (void)size;
    return answered();
}

static CUresult release(CUmemGenericAllocationHandle handle)
{
    (void)handle;
    return answered();
}

static void setup(void)
{
    vmm_forget();
    driver.cuMemMap = map;
    driver.cuMemUnmap = unmap;
    driver.cuMemRelease = release;
    device.host_bytes = 0;
    device.vram = (struct ledger){0};
}

static void created(CUmemGenericAllocationHandle handle, bool host)
{
    struct alloc_result result = {
        .address = handle, .bytes = BYTES, .device = &device, .host = host};

    if (host)
        device.host_bytes += BYTES;
    else
        ledger_reserve(&device.vram, BYTES);
    vmm_created(&result);
}

static void mapped(CUdeviceptr address, CUmemGenericAllocationHandle handle)
{
    ck_assert_int_eq(vmm_map(address, BYTES, 0, handle, 0), CUDA_SUCCESS);
}

static bool redirected(CUdeviceptr address, size_t bytes)
{
    int ordinal = -1;
    bool yes = vmm_range_is_redirected(address, bytes, &ordinal);

    ck_assert(!yes || ordinal == device.ordinal);
    return yes;
}

static void map_second(void)
{
    mapped(PLACE, 2);
}

START_TEST(address_reused_at_once)
{
    created(1, false);
    created(2, true);
    mapped(PLACE, 1);
    meanwhile = map_second;
    ck_assert_int_eq(vmm_unmap(PLACE, BYTES), CUDA_SUCCESS);
    ck_assert(redirected(PLACE, BYTES));
    vmm_release(1);
    ck_assert_uint_eq(ledger_sum(&device.vram), 0);
    vmm_release(2);
    ck_assert_uint_eq(device.host_bytes, BYTES); /* mapped still */
    ck_assert_int_eq(vmm_unmap(PLACE, BYTES), CUDA_SUCCESS);
    ck_assert_uint_eq(device.host_bytes, 0);
    ck_assert(!redirected(PLACE, BYTES));
}
END_TEST

START_TEST(unmap_refused)
{
    created(1, true);
    mapped(PLACE, 1);
    mapped(PLACE + BYTES, 1);
    vmm_release(1);
    answer = CUDA_ERROR_INVALID_VALUE;
    ck_assert_int_eq(vmm_unmap(PLACE, 2 * BYTES), CUDA_ERROR_INVALID_VALUE);
    ck_assert(redirected(PLACE, 1));
    ck_assert(redirected(PLACE + 2 * BYTES - 1, 1));
    ck_assert_uint_eq(device.host_bytes, BYTES);
    ck_assert_int_eq(vmm_unmap(PLACE, 2 * BYTES), CUDA_SUCCESS);
    ck_assert_uint_eq(device.host_bytes, 0);
}
END_TEST

START_TEST(neighbours_of_redirected_memory)
{
    created(1, false);
    created(2, true);
    mapped(PLACE, 1);
    mapped(PLACE + BYTES, 2);
    mapped(PLACE + 2 * BYTES, 1);
    ck_assert(!redirected(PLACE, BYTES));
    ck_assert(!redirected(PLACE + 2 * BYTES, BYTES));
    ck_assert(redirected(PLACE, BYTES + 1));
    ck_assert(redirected(PLACE + 2 * BYTES - 1, BYTES));
    ck_assert(redirected(PLACE, 3 * BYTES));
    vmm_unmap(PLACE, 3 * BYTES);
    vmm_release(1);
    vmm_release(2);
    ck_assert_uint_eq(device.host_bytes + ledger_sum(&device.vram), 0);
}
END_TEST

static void create_in_vram(void)
{
    created(1, false);
}

START_TEST(handle_reused_at_once)
{
    int ordinal;

    created(1, true);
    meanwhile = create_in_vram;
    ck_assert_int_eq(vmm_release(1), CUDA_SUCCESS);
    ck_assert_uint_eq(device.host_bytes, 0);
    ck_assert_uint_eq(ledger_sum(&device.vram), BYTES);
    ck_assert(!vmm_is_redirected(1, &ordinal));
    vmm_release(1);
    ck_assert_uint_eq(ledger_sum(&device.vram), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmm");
    TCase *tests = tcase_create("vmm");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, address_reused_at_once);
    tcase_add_test(tests, unmap_refused);
    tcase_add_test(tests, neighbours_of_redirected_memory);
    tcase_add_test(tests, handle_reused_at_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
