/* kernel.h: the built-in kernels. */
#ifndef HYBRIDMEM_SIM_KERNEL_H
#define HYBRIDMEM_SIM_KERNEL_H

#include "engine.h"

#define KERNEL_PARAMETERS 12

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
const struct kernel *kernel_at(size_t index); /* NULL after the last one */

struct ctx *module_ctx(const struct module *module);
CUresult module_check_image(const char *image);
char *module_read_file(const char *path);
bool module_has_entry(const char *text, const char *name);
CUresult function_attribute(int *value, CUfunction_attribute attribute);
/* The library's module in this context; made from `text` when there is none yet. */
struct module *module_of_library_locked(struct ctx *ctx, const void *library, const char *text);
void *module_handle(const struct module *module);
void module_drop_library_locked(const void *library);

struct function {
    void *handle;
    struct module *module;
    struct function *next;
    const struct kernel *kernel;
};
struct function *module_function_locked(struct module *module, const char *name);
/* What is launched by this handle in ctx: a function, or a library's kernel; NULL: neither. */
const struct function *function_get_locked(CUfunction handle, struct ctx *ctx);

#endif
