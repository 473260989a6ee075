/* cost.c: how long work would take on a card: SIMCUDA_COST=vram=500GB/s,pcie=16GB/s,launch=5us
 *
 *   vram    what kernels and copies read or write in device memory
 *   pcie    what crosses the bus: kernels on host memory, copies between host and device
 *   ram     copies from host memory to host memory
 *   launch  of each kernel, before it moves a byte
 *
 * What is left out keeps its default, and an empty value is all defaults. With the setting, event
 * times are simulated: each stream has a clock that every operation moves on by the bytes it moves,
 * by where they lie; what waits in stream order, for an event or in the calling thread, starts no
 * earlier than what it waited for has ended. An operation's parts do not overlap, streams share no
 * bandwidth and arithmetic takes no time. Real time plays no part, so that a run gives the same
 * figures again.
 */
#include "cost.h"

static struct {
    bool on;
    double vram, pcie, ram; /* nanoseconds a byte */
    uint64_t launch;        /* nanoseconds */
} cost;

/* When what this thread waited for last had ended. */
static _Thread_local uint64_t waited_ns;

static void parse_one(const char *entry)
{
    const struct {
        const char *key;
        double *per_byte;
    } rates[] = {{"vram=", &cost.vram}, {"pcie=", &cost.pcie}, {"ram=", &cost.ram}};
    double value;
    int end = 0;

    if (sscanf(entry, "launch=%lfus%n", &value, &end) == 1 && end && !entry[end] && value >= 0 &&
        value < 1e9) {
        cost.launch = (uint64_t)(value * 1e3);
        return;
    }
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        size_t length = strlen(rates[i].key);

        if (!strncmp(entry, rates[i].key, length) &&
            sscanf(entry + length, "%lfGB/s%n", &value, &end) == 1 && end && !entry[length + end] &&
            value > 0 && value < 1e9) {
            *rates[i].per_byte = 1 / value;
            return;
        }
    }
    sim_refuse("SIMCUDA_COST: \"%s\": vram=, pcie= or ram= with a number and GB/s, or launch= with "
               "a number and us, is wanted",
               entry);
}

void cost_start(void)
{
    char *copy, *save = NULL;

    if (!sim_settings.cost)
        return;
    cost.on = true;
    cost.vram = 1 / 500.0;
    cost.pcie = 1 / 16.0;
    cost.ram = 1 / 20.0;
    cost.launch = 5000;
    copy = strdup(sim_settings.cost);
    for (char *entry = strtok_r(copy, ",", &save); entry; entry = strtok_r(NULL, ",", &save))
        parse_one(entry);
    free(copy);
}

bool cost_any(void)
{
    return cost.on;
}

uint64_t cost_launch(void)
{
    return cost.launch;
}

/* --- places ----------------------------------------------------------------------------------- */

/* The share of [address, address + size) that lies in host memory: one address range may be mapped
 * to both. What is no memory of the driver's is pageable. */
static double host_share_locked(uint64_t address, size_t size)
{
    const struct range *range = range_find_locked(address);
    uint64_t end = address + size, host = 0;

    if (!range)
        return 1;
    for (uint64_t at = address; range; range = range_adjoining_locked(range, end)) {
        uint64_t stop = range_end(range) < end ? range_end(range) : end;

        if (range_is_host(range))
            host += stop - at;
        at = stop;
    }
    return size ? (double)host / (double)size : 0;
}

uint64_t cost_access_locked(uint64_t address, size_t size, uint64_t moved)
{
    double host;

    if (!cost.on)
        return 0;
    host = host_share_locked(address, size);
    return (uint64_t)((double)moved * (host * cost.pcie + (1 - host) * cost.vram));
}

double cost_host_share_locked(uint64_t address, size_t size)
{
    return cost.on ? host_share_locked(address, size) : 0;
}

uint64_t cost_copy(double to_host, double from_host, uint64_t moved)
{
    double both = to_host < from_host ? to_host : from_host;
    double one = to_host + from_host - 2 * both;
    double device = 2 - to_host - from_host;

    if (!cost.on)
        return 0;
    return (uint64_t)((double)moved * (device * cost.vram + one * cost.pcie + both * cost.ram));
}

/* --- clocks ----------------------------------------------------------------------------------- */

void cost_not_before(uint64_t *clock_ns, uint64_t other_ns)
{
    if (*clock_ns < other_ns)
        *clock_ns = other_ns;
}

void cost_waited(uint64_t clock_ns)
{
    cost_not_before(&waited_ns, clock_ns);
}

void cost_enqueue_locked(struct stream *stream, uint64_t cost_ns)
{
    if (!cost.on)
        return;
    cost_not_before(&stream->clock_ns, waited_ns);
    stream->clock_ns += cost_ns;
}
