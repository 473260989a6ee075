/* budget.h: the specification's budget formulas, to the byte. Pure integer arithmetic that never
 * overflows: every intermediate product is 128 bits wide, every difference stops at zero.
 *
 *     overhead   = total x overhead_percent / 100                     of TOTAL, not of free
 *     gpu_budget = max(0, (total - reserved) - overhead) x conservative_factor
 *     pad        = system_ram_pad_gb, or max(2 GiB, 10 % of total RAM)
 *     sys_avail  = max(0, available RAM - pad)
 *
 * Bytes throughout. Decimals are whole billionths (POL_ONE is 1.0), so that 0.7 means seven tenths
 * and not the nearest double; a fraction of a byte is dropped.
 */
#ifndef HYBRIDMEM_POLICY_BUDGET_H
#define HYBRIDMEM_POLICY_BUDGET_H

#include <stdint.h>

#define POL_ONE  UINT64_C(1000000000)
#define POL_GIB  (UINT64_C(1) << 30)
#define POL_AUTO UINT64_MAX /* system_ram_pad: the automatic pad */
#define POL_NONE UINT64_MAX /* vram_limit, host_limit: no limit */

/* x * billionths / POL_ONE, rounded down; UINT64_MAX where the result does not fit. */
uint64_t pol_scale(uint64_t x, uint64_t billionths);

/* Bytes of safety buffer; overhead_percent in billionths of a percent (15 % is 15 * POL_ONE). */
uint64_t pol_overhead(uint64_t total, uint64_t overhead_percent);

/* Bytes that may live in VRAM; factor in billionths. */
uint64_t pol_gpu_budget(uint64_t total, uint64_t reserved, uint64_t overhead_percent,
                        uint64_t factor);

/* Bytes of RAM that stay untouched; `pad` in bytes, or POL_AUTO. */
uint64_t pol_ram_pad(uint64_t ram_total, uint64_t pad);

/* Bytes of RAM that overflow may use. */
uint64_t pol_sys_avail(uint64_t ram_available, uint64_t pad);

/* What others hold on a device: total - free - ours, never below zero. */
uint64_t pol_reserved(uint64_t total, uint64_t free_bytes, uint64_t ours);

#endif
