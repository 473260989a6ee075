/* ledger.h: counts live bytes without a shared cache line: each thread adds to a cell of its own
 * (it may go below zero where one thread frees what another allocated), the sum is the truth.
 */
#ifndef HYBRIDMEM_LEDGER_H
#define HYBRIDMEM_LEDGER_H

#include <stdatomic.h>
#include <stdint.h>

#define LEDGER_CELLS 16

struct ledger {
    struct {
        _Alignas(64) _Atomic int64_t bytes;
        _Atomic int64_t since_peak; /* bytes added here since the peak was last looked at */
    } cell[LEDGER_CELLS];
    _Alignas(64) _Atomic uint64_t peak;
};

extern __thread unsigned ledger_cell_; /* 1 + this thread's cell; 0: none chosen yet */
unsigned ledger_choose_cell(void);

static inline unsigned ledger_cell(void)
{
    return __builtin_expect(ledger_cell_ != 0, 1) ? ledger_cell_ - 1 : ledger_choose_cell();
}

/* Live bytes. Lock-free; exact when no other thread is in between. */
uint64_t ledger_sum(struct ledger *ledger);

/* Raises the peak to the present sum. */
void ledger_note_peak(struct ledger *ledger);

/* Counts bytes that are not there yet; the peak does not see them. */
static inline void ledger_reserve(struct ledger *ledger, uint64_t bytes)
{
    atomic_fetch_add_explicit(&ledger->cell[ledger_cell()].bytes, (int64_t)bytes,
                              memory_order_relaxed);
}

/* Bytes counted before have come. The peak is looked at whenever a thread has settled 1 MiB; it may
 * miss a summit by as much for each thread. */
static inline void ledger_settle(struct ledger *ledger, uint64_t bytes)
{
    unsigned c = ledger_cell();
    int64_t drift =
        atomic_load_explicit(&ledger->cell[c].since_peak, memory_order_relaxed) + (int64_t)bytes;
    if (drift >= 1 << 20) {
        ledger_note_peak(ledger);
        drift = 0;
    }
    atomic_store_explicit(&ledger->cell[c].since_peak, drift, memory_order_relaxed);
}

static inline void ledger_sub(struct ledger *ledger, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&ledger->cell[ledger_cell()].bytes, (int64_t)bytes,
                              memory_order_relaxed);
}

#endif
