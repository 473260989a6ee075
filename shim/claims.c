#include "shim/claims.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 127
#define MAGIC UINT64_C(0x3130636d65627968) /* "hybemc01": another layout has another number */

struct slot {
    _Alignas(64) _Atomic uint64_t owner; /* 0: free */
    _Atomic uint64_t reserved;
    _Atomic uint64_t settled;
    _Atomic uint64_t host_pinned; /* by the host's own calls, ever */
};

struct file {
    _Alignas(64) _Atomic uint64_t magic;
    struct slot slot[SLOTS];
};

/* What the last reading of the available RAM knew of. */
struct look {
    uint64_t owner, settled, host_pinned;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *shared;
static struct stat mapped; /* what is mapped there */
static char file_path[96]; /* where it was found; empty: nobody has joined */
static struct slot own;    /* our numbers */
static struct slot *mine;  /* where the others see them; NULL: nowhere */
static uint64_t me;        /* the owner word in our slot */
static struct look last[SLOTS], last_own;
static uint64_t in_flight;

static uint64_t over(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* The contents are anybody's of this user: a sum must not wrap. */
static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* --- who is alive ---------------------------------------------------------------------------- */

/* A process as one word: its id (22 bits at most, PID_MAX_LIMIT) and the tick of its start, so that
 * a later process with the same id is another one. */
#define START_BITS 42

enum life { DEAD, UNKNOWN, ALIVE };

/* Reads <pid>/stat; fields as in proc(5): 3 state, 20 num_threads, 22 starttime. The name in field
 * 2 may hold anything, so they are counted from its last bracket. */
static enum life read_process(unsigned pid, uint64_t *word)
{
    char path[32], text[1024];
    char state;
    long threads;
    unsigned long long start;

    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? DEAD : UNKNOWN;
    ssize_t n = read(fd, text, sizeof text - 1);
    int why = errno;
    close(fd);
    if (n <= 0)
        return n < 0 && why == ESRCH ? DEAD : UNKNOWN;
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest,
                        ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld "
                        "%*d %llu",
                        &state, &threads, &start) != 3)
        return UNKNOWN;
    *word = (uint64_t)pid << START_BITS | (start & ((UINT64_C(1) << START_BITS) - 1));
    /* A zombie's memory is gone, unless only its first thread has ended. */
    return (state == 'Z' || state == 'X') && threads <= 1 ? DEAD : ALIVE;
}

static bool is_dead(uint64_t owner)
{
    uint64_t now = 0;
    enum life life = read_process((unsigned)(owner >> START_BITS), &now);

    return life == DEAD || (life == ALIVE && now != owner);
}

/* --- the file -------------------------------------------------------------------------------- */

/* A file of ours alone, whole on disk: a page that cannot be had later would be a signal. */
static bool is_sound(int fd, struct stat *s)
{
    if (fstat(fd, s) != 0 || !S_ISREG(s->st_mode) || s->st_uid != geteuid() || s->st_nlink != 1 ||
        (s->st_mode & 077))
        return false;
    if (s->st_size == 0)
        return posix_fallocate(fd, 0, sizeof(struct file)) == 0;
    return s->st_size == (off_t)sizeof(struct file);
}

static struct file *open_file(const char *path, struct stat *seen)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    void *p = MAP_FAILED;
    uint64_t none = 0;

    if (fd < 0)
        return NULL;
    if (is_sound(fd, seen))
        p = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd); /* a host that closes what it does not know closes nothing of ours */
    if (p == MAP_FAILED)
        return NULL;
    struct file *opened = p;
    if (!atomic_compare_exchange_strong(&opened->magic, &none, MAGIC) && none != MAGIC) {
        munmap(p, sizeof(struct file));
        return NULL;
    }
    madvise(p, sizeof(struct file), MADV_DONTFORK);
    return opened;
}

/* Before the mapping is touched. Whoever clears /dev/shm may have removed the file, and others have
 * made another, or cut it short: then touching it is a signal (promise P6). A child that was cloned
 * past pthread_atfork() has no mapping at all. */
static bool is_there(void)
{
    int saved = errno;
    struct stat now;

    if (!shared)
        return false;
    bool own_process = me >> START_BITS == (uint64_t)getpid();
    bool there = own_process && stat(file_path, &now) == 0 && now.st_dev == mapped.st_dev &&
                 now.st_ino == mapped.st_ino && now.st_size == (off_t)sizeof(struct file);
    if (!there) {
        if (own_process)
            munmap(shared, sizeof *shared);
        shared = NULL;
        mine = NULL;
    }
    errno = saved;
    return there;
}

static void publish(void)
{
    if (!mine)
        return;
    atomic_store(&mine->reserved, atomic_load(&own.reserved));
    atomic_store(&mine->settled, atomic_load(&own.settled));
    atomic_store(&mine->host_pinned, atomic_load(&own.host_pinned));
}

static bool take_slot(void)
{
    for (int i = 0; i < 2 * SLOTS; i++) {
        struct slot *slot = &shared->slot[i % SLOTS];
        uint64_t owner = atomic_load(&slot->owner);
        /* The second time round, those of the dead are free too. */
        if ((owner == 0 || owner == me || (i >= SLOTS && is_dead(owner))) &&
            atomic_compare_exchange_strong(&slot->owner, &owner, me)) {
            mine = slot;
            publish();
            return true;
        }
    }
    return false;
}

/* Takes a slot in the file at file_path, made if it is not there. */
static void attach(void)
{
    shared = open_file(file_path, &mapped);
    if (shared && !take_slot()) {
        munmap(shared, sizeof *shared);
        shared = NULL;
    }
}

bool claims_join(const char *path)
{
    int saved = errno;

    pthread_mutex_lock(&lock);
    if (!is_there() && strlen(path) < sizeof file_path &&
        read_process((unsigned)getpid(), &me) == ALIVE) {
        strcpy(file_path, path);
        attach();
        if (!shared)
            file_path[0] = '\0';
    }
    bool joined = shared != NULL;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return joined;
}

void claims_leave(void)
{
    pthread_mutex_lock(&lock);
    if (is_there()) {
        uint64_t owner = me;
        if (mine)
            atomic_compare_exchange_strong(&mine->owner, &owner, 0);
        munmap(shared, sizeof *shared);
        shared = NULL;
        mine = NULL;
    }
    file_path[0] = '\0';
    pthread_mutex_unlock(&lock);
}

/* --- our own numbers ------------------------------------------------------------------------- */

static void change(_Atomic uint64_t *number, int64_t by)
{
    pthread_mutex_lock(&lock);
    atomic_fetch_add(number, (uint64_t)by);
    if (is_there())
        publish();
    pthread_mutex_unlock(&lock);
}

void claims_reserve(uint64_t bytes)
{
    change(&own.reserved, (int64_t)bytes);
}

void claims_settle(uint64_t bytes)
{
    change(&own.settled, (int64_t)bytes);
}

void claims_unsettle(uint64_t bytes)
{
    change(&own.settled, -(int64_t)bytes);
}

void claims_release(uint64_t bytes)
{
    change(&own.reserved, -(int64_t)bytes);
}

void claims_note_host_pin(int64_t bytes)
{
    change(&own.host_pinned, bytes);
}

/* --- everybody's ----------------------------------------------------------------------------- */

/* A slot in the middle of a pin whose process was killed is emptied: nobody will settle it. */
static void bury(struct slot *slot, uint64_t owner)
{
    if (is_dead(owner))
        atomic_compare_exchange_strong(&slot->owner, &owner, 0);
}

void claims_look(void)
{
    int saved = errno;

    pthread_mutex_lock(&lock);
    if (!is_there() && file_path[0])
        attach();
    /* Not ours any more, by whatever accident: another, if there is one. */
    if (mine && atomic_load(&mine->owner) != me) {
        mine = NULL;
        take_slot();
    }
    last_own = (struct look){me, atomic_load(&own.settled), atomic_load(&own.host_pinned)};
    in_flight = 0;
    for (int i = 0; shared && i < SLOTS; i++) {
        struct slot *slot = &shared->slot[i];
        uint64_t owner = atomic_load(&slot->owner);
        if (owner && slot != mine && atomic_load(&slot->reserved) != atomic_load(&slot->settled)) {
            bury(slot, owner);
            owner = atomic_load(&slot->owner);
        }
        last[i] =
            (struct look){owner, atomic_load(&slot->settled), atomic_load(&slot->host_pinned)};
        if (owner && slot != mine)
            in_flight = plus(in_flight, over(atomic_load(&slot->reserved), last[i].settled));
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static void lower(uint64_t *seen, uint64_t now)
{
    *seen = now < *seen ? now : *seen;
}

uint64_t claims_look_again(void)
{
    pthread_mutex_lock(&lock);
    lower(&last_own.settled, atomic_load(&own.settled));
    bool there = is_there();
    for (int i = 0; there && i < SLOTS; i++)
        lower(&last[i].settled, atomic_load(&shared->slot[i].settled));
    uint64_t settled = last_own.settled;
    pthread_mutex_unlock(&lock);
    return settled;
}

static uint64_t growth_of(const struct slot *slot, const struct look *seen)
{
    return plus(over(atomic_load(&slot->reserved), seen->settled),
                over(atomic_load(&slot->host_pinned), seen->host_pinned));
}

uint64_t claims_growth(void)
{
    static const struct look never;

    pthread_mutex_lock(&lock);
    uint64_t sum = growth_of(&own, &last_own);
    bool there = is_there();
    for (int i = 0; there && i < SLOTS; i++) {
        struct slot *slot = &shared->slot[i];
        uint64_t owner = atomic_load(&slot->owner);
        /* Another process in the slot than at the last look: all of its own is new. */
        if (owner && slot != mine)
            sum = plus(sum, growth_of(slot, owner == last[i].owner ? &last[i] : &never));
    }
    pthread_mutex_unlock(&lock);
    return sum;
}

uint64_t claims_in_flight(void)
{
    pthread_mutex_lock(&lock);
    uint64_t bytes = in_flight;
    pthread_mutex_unlock(&lock);
    return bytes;
}

void claims_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
    shared = NULL; /* not mapped here (MADV_DONTFORK) */
    mine = NULL;
    file_path[0] = '\0';
    memset(&own, 0, sizeof own);
    memset(last, 0, sizeof last);
    last_own = (struct look){0};
    in_flight = 0;
}
