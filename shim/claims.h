/* claims.h: the RAM that the preloaded processes of one user have pinned or are about to pin.
 *
 * What another process has pinned shows in MemAvailable at the next poll; what it has promised
 * since the last poll does not. So each process publishes two numbers in a small file that all of
 * them map: `reserved`, raised before memory is pinned, and `settled`, raised after. Each writes
 * its own slot alone and reads the others', with no lock that a killed process could leave held. A
 * process that cannot have the file keeps its numbers to itself.
 *
 * Thread-safe. All sizes are bytes.
 */
#ifndef HYBRIDMEM_CLAIMS_H
#define HYBRIDMEM_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes a slot in the file of all processes; made if it is not there, readable by its owner alone.
 * False if there is none to be had: a symbolic link, another user's, of a wrong size, no room. */
bool claims_join(const char *path);

/* Gives the slot back, at exit. */
void claims_leave(void);

/* Pages are about to be pinned; they are; they are about to be given back; they were. */
void claims_reserve(uint64_t bytes);
void claims_settle(uint64_t bytes);
void claims_unsettle(uint64_t bytes);
void claims_release(uint64_t bytes);

/* The host pins memory of its own accord; below zero: it did not come to it. */
void claims_note_host_pin(int64_t bytes);

/* Around a reading of the available RAM: notes what that reading has in it already, and the lower
 * of both looks counts. Our own settled bytes are the result of the second. */
void claims_look(void);
uint64_t claims_look_again(void);

/* Bytes promised by this process and the others that the last reading did not know of. What others
 * gave back since then is not counted: it may be another cgroup's. */
uint64_t claims_growth(void);

/* What the others had reserved and not yet pinned at the last look. */
uint64_t claims_in_flight(void);

/* In a forked child: the slot is the parent's. */
void claims_after_fork(void);

#endif
