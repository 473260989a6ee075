/* driver_version.c: compiled once for each driver version that the simulator stands in for. */
#include "sim.h"

#ifndef SIM_DRIVER_VERSION
#define SIM_DRIVER_VERSION 13050
#endif

const int sim_driver_version = SIM_DRIVER_VERSION;
