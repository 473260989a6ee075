/* stats.h: what went where, for people and for programs. The README lists the keys of stats_file.
 */
#ifndef HYBRIDMEM_STATS_H
#define HYBRIDMEM_STATS_H

#include <stdbool.h>

/* What the options `summary` and `stats_file` ask for. */
void stats_at_exit(void);

/* Has any device been used in this process? */
bool stats_any_device(void);

#endif
