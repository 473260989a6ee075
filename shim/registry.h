/* registry.h: what the driver gave to the host: base address -> size, context, device. One hash
 * table in shards, each with a lock of its own. Redirected blocks are not here: their arena knows
 * them (arena.h).
 */
#ifndef HYBRIDMEM_REGISTRY_H
#define HYBRIDMEM_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

enum reg_kind { REG_DEVICE, REG_MANAGED };

struct reg_record {
    uint64_t address;
    uint64_t bytes;
    uint32_t context; /* id of the context that it ends with (context.h); 0: with none */
    uint16_t device;  /* ordinal */
    uint16_t kind;    /* enum reg_kind */
};

/* Records an allocation. False if memory for the table cannot be had: the allocation is then the
 * driver's alone, and not counted. A record that stood at the address (it was freed by a way that
 * we did not see) goes to *replaced, whose address is otherwise 0. Thread-safe, O(1). */
bool reg_put(const struct reg_record *record, struct reg_record *replaced);

/* Takes a record out. False if there is none: the address is not one that we saw. Called before
 * the driver frees it, since the driver may hand the same address to another thread at once. */
bool reg_take(uint64_t address, struct reg_record *record);

/* Takes out every record of a context, calling `each` for it. */
void reg_drop_context(uint32_t context, void (*each)(const struct reg_record *record));

/* Forgets everything without a word (a forked child). */
void reg_forget(void);

#endif
