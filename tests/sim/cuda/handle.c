/* handle.c: what a host holds is a slot of one table. Slots are not used twice, so that a stale or
 * made-up handle is told from a live one without touching what it once stood for. */
#include "sim.h"

#include <sys/mman.h>

#define SLOTS ((size_t)1 << 24) /* address space only; a page is taken when it is first used */

static struct handle *slots;
static atomic_size_t slots_used;
static unsigned serials[HANDLE_KINDS];

void *handle_new_locked(enum handle_kind kind, void *object)
{
    struct handle *slot;

    if (!slots) {
        void *table = mmap(NULL, SLOTS * sizeof(*slots), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (table == MAP_FAILED)
            return NULL;
        slots = table;
    }
    if (atomic_load(&slots_used) == SLOTS)
        return NULL;
    slot = &slots[atomic_load(&slots_used)];
    slot->kind = kind;
    slot->serial = ++serials[kind];
    atomic_store(&slot->object, object);
    atomic_fetch_add(&slots_used, 1);
    return slot;
}

void handle_end(void *handle)
{
    atomic_store(&((struct handle *)handle)->object, NULL);
}

const struct handle *handle_slot(const void *handle)
{
    size_t offset = (size_t)((uintptr_t)handle - (uintptr_t)slots);

    /* slots_used is read first: a handle can only be known to a thread after its slot was filled */
    if (offset / sizeof(*slots) >= atomic_load(&slots_used) || offset % sizeof(*slots))
        return NULL;
    return handle;
}

void *handle_object(const void *handle, enum handle_kind kind)
{
    const struct handle *slot = handle_slot(handle);

    return slot && slot->kind == kind ? atomic_load(&slot->object) : NULL;
}

static struct listed *all;

void listed_add_locked(struct listed *object)
{
    object->next = all;
    object->link = &all;
    if (all)
        all->link = &object->next;
    all = object;
}

void listed_remove_locked(struct listed *object)
{
    *object->link = object->next;
    if (object->next)
        object->next->link = object->link;
}
