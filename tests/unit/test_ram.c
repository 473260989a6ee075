/* How much RAM there is, read from trees made here: plain machines, containers, broken files. */
#include "shim/ram.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIB UINT64_C(1073741824)

static char root[] = "/tmp/hybridmem-ram-XXXXXX";

static void make_root(void)
{
    strcpy(root, "/tmp/hybridmem-ram-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const char *text)
{
    char full[512];

    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

#define MEMINFO                                                                                    \
    "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   16777216 kB\n"

static void expect(uint64_t total, uint64_t available)
{
    struct ram ram;
    ck_assert(ram_read(root, &ram));
    ck_assert_uint_eq(ram.total, total);
    ck_assert_uint_eq(ram.available, available);
}

START_TEST(no_cgroup)
{
    put("proc/meminfo", MEMINFO);
    expect(32 * GIB, 16 * GIB);
}
END_TEST

START_TEST(unreadable)
{
    struct ram ram = {1, 1};
    ck_assert(!ram_read(root, &ram));
    ck_assert_uint_eq(ram.total, 0);
    ck_assert_uint_eq(ram.available, 0);
    put("proc/meminfo", "MemTotal: 33554432 kB\nMemFree: 1048576 kB\n"); /* before Linux 3.14 */
    ck_assert(!ram_read(root, &ram));
    put("proc/meminfo", "MemTotal: many\nMemAvailable: few\n");
    ck_assert(!ram_read(root, &ram));
    put("proc/meminfo", "");
    ck_assert(!ram_read(root, &ram));
}
END_TEST

START_TEST(cgroup_v2)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "0::/user/app\n");
    put("sys/fs/cgroup/user/app/memory.max", "max\n");
    put("sys/fs/cgroup/user/app/memory.current", "1073741824\n");
    expect(32 * GIB, 16 * GIB);
    put("sys/fs/cgroup/user/app/memory.max", "8589934592\n");
    expect(8 * GIB, 7 * GIB);
    put("sys/fs/cgroup/user/app/memory.stat", "anon 5\ninactive_file 536870912\nactive_file 7\n");
    expect(8 * GIB, 7 * GIB + GIB / 2);
    /* an ancestor is tighter */
    put("sys/fs/cgroup/user/memory.max", "4294967296\n");
    put("sys/fs/cgroup/user/memory.current", "3221225472\n");
    expect(4 * GIB, GIB);
    /* beyond its limit already */
    put("sys/fs/cgroup/user/memory.current", "5368709120\n");
    expect(4 * GIB, 0);
}
END_TEST

/* In a container the path may be another namespace's; the mounted root is then the limit. */
START_TEST(cgroup_v2_container)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "0::/../../elsewhere\n");
    put("sys/fs/cgroup/memory.max", "2147483648\n");
    put("sys/fs/cgroup/memory.current", "1073741824\n");
    expect(2 * GIB, GIB);
}
END_TEST

START_TEST(cgroup_v1)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/box\n0::/\n");
    put("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "1073741824\n");
    expect(32 * GIB, 16 * GIB);
    put("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "6442450944\n");
    put("sys/fs/cgroup/memory/box/memory.stat", "total_inactive_file 1073741824\n");
    expect(6 * GIB, 6 * GIB);
}
END_TEST

/* The kernel throttles what cannot be reclaimed beyond memory.high. */
START_TEST(cgroup_v2_high)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "0::/app\n");
    put("sys/fs/cgroup/app/memory.max", "max\n");
    put("sys/fs/cgroup/app/memory.high", "3221225472\n");
    put("sys/fs/cgroup/app/memory.current", "1073741824\n");
    expect(3 * GIB, 2 * GIB);
    put("sys/fs/cgroup/app/memory.max", "2147483648\n");
    expect(2 * GIB, GIB);
}
END_TEST

/* The limit that hurts is an ancestor's that cannot be seen. */
START_TEST(cgroup_v1_hierarchical)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "4:memory:/docker/id\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
    put("sys/fs/cgroup/memory/memory.stat",
        "cache 5\nhierarchical_memory_limit 5368709120\nhierarchical_memsw_limit 6\n");
    expect(5 * GIB, 4 * GIB);
}
END_TEST

#define MOUNTS                                                                                     \
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"                                      \
    "30 22 0:5 / /proc rw - proc proc rw\n"

/* Hybrid: the unified tree has no memory controller and lies beside the others. */
START_TEST(mounted_elsewhere)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "7:cpuset,memory:/box\n0::/box\n");
    put("proc/self/mountinfo",
        MOUNTS "31 30 0:31 / /cg/mem rw master:4 - cgroup cgroup rw,cpuset,memory\n"
               "32 30 0:32 / /cg/unified rw - cgroup2 cgroup2 rw\n"
               "33 30 0:33 / /cg/other rw - cgroup cgroup rw,memory_recursiveprot\n");
    put("cg/mem/box/memory.limit_in_bytes", "2147483648\n");
    put("cg/mem/box/memory.usage_in_bytes", "1073741824\n");
    put("cg/unified/box/memory.max", "1610612736\n");
    put("cg/unified/box/memory.current", "1073741824\n");
    expect(GIB + GIB / 2, GIB / 2);
    put("sys/fs/cgroup/box/memory.max", "1\n"); /* not mounted there */
    put("sys/fs/cgroup/box/memory.current", "1\n");
    expect(GIB + GIB / 2, GIB / 2);
}
END_TEST

/* A container that shares the machine's cgroup namespace: the mount shows its own part, and a group
 * of its own making lies inside that. */
START_TEST(a_part_of_the_tree)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "0::/docker/id/inner\n");
    put("proc/self/mountinfo",
        MOUNTS "31 30 0:31 /docker/i /wrong rw - cgroup2 cgroup rw\n"
               "32 30 0:31 /docker/id /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    put("wrong/memory.max", "1\n");
    put("wrong/memory.current", "1\n");
    put("sys/fs/cgroup/memory.max", "4294967296\n");
    put("sys/fs/cgroup/memory.current", "1073741824\n");
    expect(4 * GIB, 3 * GIB);
    put("sys/fs/cgroup/inner/memory.max", "2147483648\n");
    put("sys/fs/cgroup/inner/memory.current", "1073741824\n");
    expect(2 * GIB, GIB);
    /* another namespace's path: only the mount itself is known to be ours */
    put("proc/self/cgroup", "0::/../other\n");
    put("other/memory.max", "1\n");
    put("other/memory.current", "1\n");
    put("wrong/memory.max", "3221225472\n");
    put("wrong/memory.current", "1073741824\n");
    expect(3 * GIB, 2 * GIB);
}
END_TEST

/* Far down a list that is longer than what is read at once, after a line that is longer too, and
 * across every place where a reading may end. */
START_TEST(many_mounts)
{
    static char text[40000];

    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "0::/\n");
    put("cg/memory.max", "2147483648\n");
    put("cg/memory.current", "1073741824\n");
    for (size_t before = 4000; before < 4100; before++) {
        size_t n = (size_t)sprintf(text, "500 1 0:9 / /overlay rw - overlay overlay lowerdir=");
        memset(text + n, 'x', 9000);
        n += 9000;
        n += (size_t)sprintf(text + n, "\n1 1 0:9 / /mnt/disk rw - ext4 /dev/disk rw,");
        size_t line = before + 3 * 4095 - n;
        memset(text + n, 'y', line);
        sprintf(text + n + line,
                "\n501 1 0:31 / /cg rw - cgroup2 none rw\n502 1 0:9 / /x rw - ext4 /dev rw");
        put("proc/self/mountinfo", text);
        expect(2 * GIB, GIB);
    }
}
END_TEST

START_TEST(this_machine)
{
    struct ram ram;
    ck_assert(ram_read("", &ram));
    ck_assert_uint_gt(ram.total, 0);
    ck_assert_uint_le(ram.available, ram.total);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ram");
    TCase *tcase = tcase_create("ram");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, make_root, remove_root);
    tcase_add_test(tcase, no_cgroup);
    tcase_add_test(tcase, unreadable);
    tcase_add_test(tcase, cgroup_v2);
    tcase_add_test(tcase, cgroup_v2_container);
    tcase_add_test(tcase, cgroup_v1);
    tcase_add_test(tcase, cgroup_v2_high);
    tcase_add_test(tcase, cgroup_v1_hierarchical);
    tcase_add_test(tcase, mounted_elsewhere);
    tcase_add_test(tcase, a_part_of_the_tree);
    tcase_add_test(tcase, many_mounts);
    tcase_add_test(tcase, this_machine);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
