#include "scripts/hybridmem_machine.h"

#include "policy/jscan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CARDS_MAX  64
#define FILE_MAX   65536 /* bytes of the file */
#define SPEED_LOW  UINT64_C(1000000)
#define SPEED_HIGH UINT64_C(10000000000000)

/* --- where ---------------------------------------------------------------------------------------
 */

const char *machine_bandwidth_file(void)
{
    static char path[PATH_MAX];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;

    /* A relative path is to be ignored (XDG Base Directory Specification). */
    if (cache && cache[0] == '/')
        n = snprintf(path, sizeof(path), "%s/hybridmem/bandwidth.json", cache);
    else if (home && home[0] == '/')
        n = snprintf(path, sizeof(path), "%s/.cache/hybridmem/bandwidth.json", home);
    return n > 0 && n < (int)sizeof(path) ? path : NULL;
}

/* --- the file ------------------------------------------------------------------------------------
 * {"GPU-...": {"to_device": bytes per second, "from_device": bytes per second}, ...}
 */

struct card {
    char uuid[48];
    struct bandwidth bandwidth;
};

struct notes {
    size_t count;
    struct card card[CARDS_MAX];
};

/* A UUID has no character that JSON would escape. */
static bool is_uuid(const char *text)
{
    return *text && strlen(text) < sizeof(((struct card *)0)->uuid) &&
           text[strspn(text, "0123456789abcdefABCDEFGPUMI-")] == '\0';
}

static bool is_speed(uint64_t bytes)
{
    return bytes >= SPEED_LOW && bytes <= SPEED_HIGH;
}

static bool read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
    return pread(*(int *)ctx, buf, len, (off_t)offset) == (ssize_t)len;
}

static bool read_card(struct hdr *hdr, struct card *card)
{
    bool first = true;
    char key[32];
    size_t len;

    *card = (struct card){0};
    if (!jscan_string(hdr, card->uuid, sizeof(card->uuid), &len, false) ||
        !jscan_expect(hdr, ':') || !jscan_expect(hdr, '{'))
        return false;
    while (jscan_more(hdr, '}', &first)) {
        if (!jscan_string(hdr, key, sizeof(key), &len, true) || !jscan_expect(hdr, ':'))
            return false;
        if (strcmp(key, "to_device") == 0)
            jscan_whole(hdr, &card->bandwidth.to_device);
        else if (strcmp(key, "from_device") == 0)
            jscan_whole(hdr, &card->bandwidth.from_device);
        else
            jscan_skip(hdr);
    }
    return hdr->status == HDR_OK && is_uuid(card->uuid) && is_speed(card->bandwidth.to_device) &&
           is_speed(card->bandwidth.from_device);
}

static bool read_cards(struct hdr *hdr, struct notes *notes)
{
    bool first = true;

    if (!jscan_expect(hdr, '{'))
        return false;
    while (jscan_more(hdr, '}', &first)) {
        if (notes->count == CARDS_MAX || !read_card(hdr, &notes->card[notes->count]))
            return false;
        notes->count++;
    }
    return hdr->status == HDR_OK && jscan_peek(hdr) < 0;
}

/* Nothing of a file that is wrong anywhere; no word of one that is not there. */
static void read_notes(const char *path, struct notes *notes)
{
    static struct hdr hdr;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = false;

    notes->count = 0;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return;
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size <= FILE_MAX) {
        struct hdr_file file = {(uint64_t)status.st_size, read_at, &fd};

        hdr_start(&hdr, &file, file.size);
        good = read_cards(&hdr, notes);
    }
    if (fd >= 0)
        close(fd);
    if (good)
        return;
    notes->count = 0;
    fprintf(stderr,
            "warning: %s: cannot be understood, ignored; \"hybridmem doctor\" measures anew\n",
            path);
}

static struct card *find_card(struct notes *notes, const char *uuid)
{
    for (size_t i = 0; i < notes->count; i++)
        if (strcmp(notes->card[i].uuid, uuid) == 0)
            return &notes->card[i];
    return NULL;
}

bool machine_bandwidth(const char *uuid, struct bandwidth *bandwidth)
{
    static struct notes notes;
    const char *path = machine_bandwidth_file();
    const struct card *card;

    if (!path)
        return false;
    read_notes(path, &notes);
    card = find_card(&notes, uuid);
    if (card)
        *bandwidth = card->bandwidth;
    return card != NULL;
}

/* --- writing -------------------------------------------------------------------------------------
 */

/* The folders on the way to the file; those above the cache are not ours to make. */
static void make_folders(const char *path)
{
    char folder[PATH_MAX];
    char *slash;

    for (int up = 2; up > 0; up--) { /* .cache, .cache/hybridmem */
        snprintf(folder, sizeof(folder), "%s", path);
        for (int i = 0; i < up && (slash = strrchr(folder, '/')) != NULL; i++)
            *slash = '\0';
        mkdir(folder, 0700); /* where it fails, the file cannot be made */
    }
}

static bool write_notes(int fd, const struct notes *notes)
{
    bool good = dprintf(fd, "{") == 1;

    for (size_t i = 0; i < notes->count && good; i++)
        good =
            dprintf(fd, "%s\n  \"%s\": {\"to_device\": %" PRIu64 ", \"from_device\": %" PRIu64 "}",
                    i ? "," : "", notes->card[i].uuid, notes->card[i].bandwidth.to_device,
                    notes->card[i].bandwidth.from_device) > 0;
    return good && dprintf(fd, "\n}\n") == 3;
}

static bool replace_file(const char *path, const struct notes *notes)
{
    char partial[PATH_MAX + 16];
    bool good;
    int fd;

    snprintf(partial, sizeof(partial), "%s.XXXXXX", path);
    fd = mkostemp(partial, O_CLOEXEC);
    if (fd < 0)
        return false;
    good = write_notes(fd, notes);
    good = close(fd) == 0 && good && rename(partial, path) == 0;
    if (!good) {
        int saved = errno;

        unlink(partial);
        errno = saved;
    }
    return good;
}

const char *machine_note_bandwidth(const char *uuid, const struct bandwidth *bandwidth)
{
    static struct notes notes;
    const char *path = machine_bandwidth_file();
    struct card *card;

    if (!path)
        return "there is neither XDG_CACHE_HOME nor HOME";
    if (!is_uuid(uuid) || !is_speed(bandwidth->to_device) || !is_speed(bandwidth->from_device))
        return "it makes no sense";
    make_folders(path);
    read_notes(path, &notes);
    card = find_card(&notes, uuid);
    if (!card && notes.count == CARDS_MAX) /* the oldest makes room */
        memmove(notes.card, notes.card + 1, --notes.count * sizeof(notes.card[0]));
    if (!card)
        card = &notes.card[notes.count++];
    snprintf(card->uuid, sizeof(card->uuid), "%s", uuid);
    card->bandwidth = *bandwidth;
    return replace_file(path, &notes) ? NULL : strerror(errno);
}
