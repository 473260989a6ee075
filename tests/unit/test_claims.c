/* What processes tell each other of the RAM they are about to pin: real processes, one file; kills,
 * forks, hostile files.
 */
#include "shim/claims.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)

static char dir[64], path[96];

static void make_dir(void)
{
    strcpy(dir, "/tmp/hybridmem-claims-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/claims", dir);
}

static void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Another process: does what it is told, one letter for each, and answers when it has. */
struct other {
    pid_t pid;
    int order, answer;
};

static void obey(char letter)
{
    switch (letter) {
    case 'j':
        if (!claims_join(path))
            _exit(1);
        break;
    case 'r':
        claims_reserve(100 * MIB);
        break;
    case 's':
        claims_settle(100 * MIB);
        break;
    case 'h':
        claims_note_host_pin((int64_t)(30 * MIB));
        break;
    case 'u':
        claims_unsettle(100 * MIB);
        claims_release(100 * MIB);
        break;
    case 'l':
        claims_leave();
        break;
    case '?':
        claims_look();
        break;
    default:
        _exit(1);
    }
}

static struct other start(void)
{
    int order[2], answer[2];
    char letter;

    ck_assert_int_eq(pipe(order), 0);
    ck_assert_int_eq(pipe(answer), 0);
    struct other o = {fork(), order[1], answer[0]};
    ck_assert_int_ge(o.pid, 0);
    if (o.pid == 0) {
        claims_after_fork();
        close(order[1]);
        while (read(order[0], &letter, 1) == 1) {
            obey(letter);
            if (write(answer[1], &letter, 1) != 1)
                break;
        }
        _exit(0);
    }
    close(order[0]);
    close(answer[1]);
    return o;
}

static void tell(const struct other *o, const char *letters)
{
    char back;

    for (; *letters; letters++) {
        ck_assert_int_eq(write(o->order, letters, 1), 1);
        ck_assert_int_eq(read(o->answer, &back, 1), 1);
        ck_assert_int_eq(back, *letters);
    }
}

static void end(struct other *o, int signal)
{
    int status;

    if (signal)
        kill(o->pid, signal);
    close(o->order);
    ck_assert_int_eq(waitpid(o->pid, &status, 0), o->pid);
    ck_assert(signal ? WIFSIGNALED(status) : status == 0);
    close(o->answer);
}

static uint64_t look(void)
{
    claims_look();
    return claims_look_again();
}

START_TEST(alone)
{
    ck_assert_uint_eq(look(), 0);
    claims_reserve(5 * MIB);
    ck_assert_uint_eq(claims_growth(), 5 * MIB);
    claims_settle(5 * MIB);
    ck_assert_uint_eq(claims_growth(), 5 * MIB); /* since the look */
    ck_assert_uint_eq(look(), 5 * MIB);
    ck_assert_uint_eq(claims_growth(), 0);
    claims_note_host_pin((int64_t)MIB);
    ck_assert_uint_eq(claims_growth(), MIB);
    claims_note_host_pin(-(int64_t)MIB);
    ck_assert_uint_eq(claims_growth(), 0);
    claims_unsettle(5 * MIB);
    claims_release(5 * MIB);
    ck_assert_uint_eq(claims_growth(), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* A look between a pin's two steps: what is promised and not pinned still has to come. */
START_TEST(a_pin_under_way)
{
    claims_reserve(8 * MIB);
    ck_assert_uint_eq(look(), 0);
    ck_assert_uint_eq(claims_growth(), 8 * MIB);
    claims_settle(8 * MIB);
    claims_look();
    claims_unsettle(8 * MIB); /* given back between the looks: the reading may have it as free */
    ck_assert_uint_eq(claims_look_again(), 0);
}
END_TEST

START_TEST(two_processes)
{
    struct other o = start();

    ck_assert(claims_join(path));
    tell(&o, "j");
    look();
    tell(&o, "r");
    ck_assert_uint_eq(claims_growth(), 100 * MIB);
    ck_assert_uint_eq(claims_in_flight(), 0); /* as of the look */
    look();
    ck_assert_uint_eq(claims_in_flight(), 100 * MIB);
    ck_assert_uint_eq(claims_growth(), 100 * MIB);
    tell(&o, "s");
    look();
    ck_assert_uint_eq(claims_in_flight(), 0);
    ck_assert_uint_eq(claims_growth(), 0);
    tell(&o, "h");
    ck_assert_uint_eq(claims_growth(), 30 * MIB);
    tell(&o, "rs");
    ck_assert_uint_eq(claims_growth(), 130 * MIB);
    tell(&o, "uu"); /* what it gives back is not ours before the next look */
    ck_assert_uint_eq(claims_growth(), 30 * MIB);
    tell(&o, "l");
    ck_assert_uint_eq(claims_growth(), 0);
    end(&o, 0);
}
END_TEST

START_TEST(what_was_there_before_we_came)
{
    struct other o = start();

    tell(&o, "jrs");
    ck_assert(claims_join(path));
    look();
    ck_assert_uint_eq(claims_growth(), 0);
    claims_reserve(MIB);
    ck_assert_uint_eq(claims_growth(), MIB);
    end(&o, 0);
}
END_TEST

START_TEST(killed_in_the_middle_of_a_pin)
{
    struct other o = start();

    ck_assert(claims_join(path));
    tell(&o, "jr");
    end(&o, SIGKILL);
    ck_assert_uint_eq(claims_growth(), 100 * MIB); /* nobody has looked */
    look();
    ck_assert_uint_eq(claims_in_flight(), 0);
    ck_assert_uint_eq(claims_growth(), 0);
}
END_TEST

/* Another process in a slot whose former owner the last look had seen with as much: all of what the
 * new one holds is new. */
START_TEST(a_slot_changes_hands)
{
    struct other a = start(), b = start();

    ck_assert(claims_join(path));
    tell(&a, "jrs");
    look();
    tell(&a, "l");
    tell(&b, "jr");
    ck_assert_uint_eq(claims_growth(), 100 * MIB);
    end(&b, 0); /* it holds the other's pipe too */
    end(&a, 0);
}
END_TEST

/* More processes than slots, each killed: their slots come back. */
START_TEST(slots_of_the_dead)
{
    for (int i = 0; i < 150; i++) {
        struct other o = start();
        tell(&o, "jrs");
        end(&o, SIGKILL);
    }
    ck_assert(claims_join(path));
}
END_TEST

START_TEST(a_forked_child_is_another)
{
    int status;

    ck_assert(claims_join(path));
    claims_reserve(MIB);
    look();
    pid_t pid = fork();
    if (pid == 0) {
        claims_after_fork();
        claims_leave(); /* not the parent's slot */
        if (claims_growth() != 0 || !claims_join(path))
            _exit(1);
        claims_note_host_pin((int64_t)MIB);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(claims_growth(), MIB + MIB); /* ours in flight, and its host's pin */
}
END_TEST

START_TEST(the_file_is_ours_alone)
{
    struct stat s;

    umask(0);
    ck_assert(claims_join(path));
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_uint_eq(s.st_mode & 0777, 0600);
    ck_assert_int_eq(s.st_size, 8192);
}
END_TEST

static void put(const char *name, size_t bytes, int fill, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    char *text = malloc(bytes + 1);

    memset(text, fill, bytes + 1);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, bytes), (ssize_t)bytes);
    fchmod(fd, mode);
    close(fd);
    free(text);
}

START_TEST(files_that_are_not_used)
{
    char elsewhere[128];

    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", dir);
    put(elsewhere, 8192, 0, 0600);
    ck_assert_int_eq(symlink(elsewhere, path), 0);
    ck_assert(!claims_join(path));
    unlink(path);
    ck_assert_int_eq(link(elsewhere, path), 0);
    ck_assert(!claims_join(path));
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert(!claims_join(path));
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert(!claims_join(path));
    unlink(path);
    put(path, 8191, 0, 0600); /* a page less would be a signal later */
    ck_assert(!claims_join(path));
    unlink(path);
    put(path, 8192, 0, 0644);
    ck_assert(!claims_join(path));
    unlink(path);
    put(path, 8192, 0x5a, 0600); /* another layout */
    ck_assert(!claims_join(path));
    unlink(path);
    snprintf(path, sizeof path, "%s/no/such/dir", dir);
    ck_assert(!claims_join(path));
    claims_reserve(MIB); /* alone, but counted */
    ck_assert_uint_eq(claims_growth(), MIB);
    snprintf(path, sizeof path, "%s/claims", dir);
    ck_assert(claims_join(path));
}
END_TEST

/* All numbers as large as can be, in slots of processes that are not or that never end. */
START_TEST(hostile_numbers)
{
    struct other o = start();
    uint64_t most = UINT64_MAX;

    tell(&o, "j");
    ck_assert(claims_join(path));
    look();
    int fd = open(path, O_RDWR);
    for (off_t word = 2 * 8; word < 8192; word += 8)
        if (word / 64 > 0 && word % 64 != 0)
            ck_assert_int_eq(pwrite(fd, &most, 8, word), 8);
    ck_assert_uint_eq(claims_growth(), UINT64_MAX); /* nothing may be pinned, nothing breaks */
    for (off_t slot = 64; slot < 8192; slot += 64)
        ck_assert_int_eq(pwrite(fd, &most, 8, slot), 8);
    close(fd);
    look();
    claims_reserve(MIB);
    look();
    end(&o, SIGKILL);
}
END_TEST

/* Our slot was given to somebody else: our numbers are still right, and move. */
START_TEST(a_lost_slot)
{
    uint64_t zero = 0, word = 0;

    ck_assert(claims_join(path));
    claims_reserve(3 * MIB);
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &word, 8, 64), 8);
    ck_assert_uint_eq(word >> 42, (uint64_t)getpid());
    ck_assert_int_eq(pwrite(fd, &zero, 8, 64), 8);
    look();
    ck_assert_uint_eq(claims_growth(), 3 * MIB);
    ck_assert_int_eq(pread(fd, &word, 8, 64), 8);
    ck_assert_uint_eq(word >> 42, (uint64_t)getpid());
    close(fd);
}
END_TEST

/* Cut short, its pages are a signal for whoever touches them: it is made whole again instead. */
START_TEST(a_file_that_is_cut_short)
{
    struct stat s;

    ck_assert(claims_join(path));
    ck_assert_int_eq(truncate(path, 0), 0);
    claims_reserve(3 * MIB);
    claims_settle(MIB);
    ck_assert_uint_eq(claims_growth(), 3 * MIB);
    ck_assert_uint_eq(look(), MIB);
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_int_eq(s.st_size, 8192);
    ck_assert_int_eq(truncate(path, 4096), 0); /* not ours to mend: somebody's own */
    claims_unsettle(MIB);
    claims_release(MIB);
    look();
    ck_assert_uint_eq(claims_growth(), 2 * MIB);
    ck_assert_int_eq(truncate(path, 0), 0);
    claims_leave();
}
END_TEST

/* Removed: who comes later makes another, and all meet there. */
START_TEST(a_file_that_is_removed)
{
    struct other early = start(), late = start();

    ck_assert(claims_join(path));
    tell(&early, "j");
    ck_assert_int_eq(unlink(path), 0);
    tell(&late, "jr");
    look();
    ck_assert_uint_eq(claims_in_flight(), 100 * MIB);
    tell(&early, "?r");
    ck_assert_uint_eq(claims_growth(), 200 * MIB);
    end(&late, 0);
    end(&early, 0);
}
END_TEST

/* Cloned by a bare system call, with no handler of fork(): the mapping is not there. */
START_TEST(a_child_that_nobody_told)
{
    int status;

    ck_assert(claims_join(path));
    claims_reserve(MIB);
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        claims_note_host_pin((int64_t)MIB);
        look();
        claims_leave();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    look();
    ck_assert_uint_eq(claims_growth(), MIB);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("claims");
    TCase *tcase = tcase_create("claims");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, alone);
    tcase_add_test(tcase, a_pin_under_way);
    tcase_add_test(tcase, two_processes);
    tcase_add_test(tcase, what_was_there_before_we_came);
    tcase_add_test(tcase, killed_in_the_middle_of_a_pin);
    tcase_add_test(tcase, a_slot_changes_hands);
    tcase_add_test(tcase, slots_of_the_dead);
    tcase_add_test(tcase, a_forked_child_is_another);
    tcase_add_test(tcase, the_file_is_ours_alone);
    tcase_add_test(tcase, files_that_are_not_used);
    tcase_add_test(tcase, hostile_numbers);
    tcase_add_test(tcase, a_lost_slot);
    tcase_add_test(tcase, a_file_that_is_cut_short);
    tcase_add_test(tcase, a_file_that_is_removed);
    tcase_add_test(tcase, a_child_that_nobody_told);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
