/* settings.c: the same settings as the simulated driver's, read by the same code. */
#include "../cuda/settings.c"
#include "../cuda/driver_version.c"
