/* nvml_inside.h: what the files of the simulated NVML share. */
#ifndef SIM_NVML_INSIDE_H
#define SIM_NVML_INSIDE_H

#include "../cuda/sim.h"

#include <nvml.h>

#define NVML_API __attribute__((visibility("default")))

/* Copies a text into the caller's buffer of `length` bytes, if it fits with its NUL. */
nvmlReturn_t nvml_give_text(char *out, unsigned int length, const char *text);

#endif
