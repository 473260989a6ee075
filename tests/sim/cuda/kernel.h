/* kernel.h: the built-in kernels. */
#ifndef HYBRIDMEM_SIM_KERNEL_H
#define HYBRIDMEM_SIM_KERNEL_H

#include "engine.h"

#define KERNEL_PARAMETERS 4

struct kernel {
    const char *name;
    int parameters;
    unsigned char size[KERNEL_PARAMETERS]; /* bytes of each parameter */
    void (*run)(struct op *op);
    /* Says what the launch touches; false: its sizes make no sense. */
    bool (*uses)(struct op *op, const uint64_t *parameter);
};
struct kernel_op {
    struct op op;
    uint64_t parameter[KERNEL_PARAMETERS];
};
/* By the name in a module's .entry; NULL when the simulator has no such kernel. */
const struct kernel *kernel_find(const char *name);

struct ctx *module_ctx(const struct module *module);

struct function {
    void *handle;
    struct module *module;
    struct function *next;
    const struct kernel *kernel;
};

#endif
