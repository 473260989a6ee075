#include "shim/ledger.h"

__thread unsigned ledger_cell_;

unsigned ledger_choose_cell(void)
{
    static atomic_uint next;
    unsigned c = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % LEDGER_CELLS;
    ledger_cell_ = c + 1;
    return c;
}

uint64_t ledger_sum(struct ledger *ledger)
{
    int64_t sum = 0;
    for (int i = 0; i < LEDGER_CELLS; i++)
        sum += atomic_load_explicit(&ledger->cell[i].bytes, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

void ledger_note_peak(struct ledger *ledger)
{
    uint64_t now = ledger_sum(ledger);
    uint64_t peak = atomic_load_explicit(&ledger->peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &ledger->peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
        ;
}
