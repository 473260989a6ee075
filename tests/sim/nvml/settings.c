/* settings.c: the same settings as the simulated driver's, read by the same code. */
#define SIM_ANY_DRIVER 1
#include "../cuda/settings.c"
#include "../cuda/driver_version.c"
