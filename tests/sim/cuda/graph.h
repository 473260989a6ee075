/* graph.h: graphs: names without content, but for the addresses that allocations in a capture got.
 */
#ifndef HYBRIDMEM_SIM_GRAPH_H
#define HYBRIDMEM_SIM_GRAPH_H

#include "engine.h"

struct graph {
    struct listed listed;
    void *handle;
    struct graph_block *blocks;
};
struct graph *graph_new_locked(void);
bool graph_end_locked(void *handle); /* false: no such graph */

#endif
