/* hybridmem_machine.h: what the command knows of this machine's cards: the bandwidths that
 * "hybridmem doctor" has measured.
 */
#ifndef HYBRIDMEM_SCRIPTS_HYBRIDMEM_MACHINE_H
#define HYBRIDMEM_SCRIPTS_HYBRIDMEM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* Between pinned host memory and a card, in bytes per second. */
struct bandwidth {
    uint64_t to_device, from_device;
};

/* What is noted of the card with this UUID; false: nothing. A file that makes no sense is ignored,
 * after one line on stderr. */
bool machine_bandwidth(const char *uuid, struct bandwidth *bandwidth);

/* Notes it, whole or not at all, beside what is noted of other cards. Returns NULL, or what went
 * wrong: a static string. */
const char *machine_note_bandwidth(const char *uuid, const struct bandwidth *bandwidth);

/* Where it is noted: $XDG_CACHE_HOME/hybridmem/bandwidth.json, or under ~/.cache. NULL: there is no
 * such place. A static buffer. */
const char *machine_bandwidth_file(void);

#endif
