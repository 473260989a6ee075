/* budget.c: the budget formulas; see budget.h. */
#include "policy/budget.h"

typedef unsigned __int128 u128;

static uint64_t saturate(u128 x)
{
    return x > UINT64_MAX ? UINT64_MAX : (uint64_t)x;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t pol_scale(uint64_t x, uint64_t billionths)
{
    return saturate((u128)x * billionths / POL_ONE);
}

uint64_t pol_overhead(uint64_t total, uint64_t overhead_percent)
{
    return saturate((u128)total * overhead_percent / (100 * POL_ONE));
}

uint64_t pol_gpu_budget(uint64_t total, uint64_t reserved, uint64_t overhead_percent,
                        uint64_t factor)
{
    uint64_t usable = minus(minus(total, reserved), pol_overhead(total, overhead_percent));

    return pol_scale(usable, factor);
}

uint64_t pol_ram_pad(uint64_t ram_total, uint64_t pad)
{
    uint64_t tenth = ram_total / 10;

    if (pad != POL_AUTO)
        return pad;
    return tenth > 2 * POL_GIB ? tenth : 2 * POL_GIB;
}

uint64_t pol_sys_avail(uint64_t ram_available, uint64_t pad)
{
    return minus(ram_available, pad);
}

uint64_t pol_reserved(uint64_t total, uint64_t free_bytes, uint64_t ours)
{
    return minus(minus(total, free_bytes), ours);
}
