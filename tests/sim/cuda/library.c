/* library.c: libraries: code without a context, which becomes a module in each context that uses
 * it; kernels are its functions without a context, and may be launched in place of functions. */
#include "impl.h"
#include "kernel.h"

struct library_kernel {
    void *handle;
    struct library *library;
    const struct kernel *kernel;
    struct library_kernel *next;
};
struct library {
    struct listed listed;
    void *handle;
    char *text;
    struct library_kernel *kernels;
    unsigned count;
};

static struct library *library_get(CUlibrary handle)
{
    return handle_object(handle, HANDLE_LIBRARY);
}

static struct library_kernel *kernel_get(CUkernel handle)
{
    return handle_object(handle, HANDLE_KERNEL);
}

const struct function *function_get_locked(CUfunction handle, struct ctx *ctx)
{
    const struct library_kernel *kernel = kernel_get((CUkernel)(void *)handle);
    struct module *module;

    if (!kernel)
        return handle_object(handle, HANDLE_FUNCTION);
    module = module_of_library_locked(ctx, kernel->library, kernel->library->text);
    return module_function_locked(module, kernel->kernel->name);
}

CUresult sim_library_load_data(CUlibrary *out, const void *code)
{
    struct library *library;
    const struct kernel *kernel;
    CUresult result;

    if (!out || !code)
        return CUDA_ERROR_INVALID_VALUE;
    result = module_check_image(code);
    if (result != CUDA_SUCCESS)
        return result;
    library = calloc(1, sizeof(*library));
    library->text = strdup(code);
    sim_enter();
    listed_add_locked(&library->listed);
    library->handle = handle_new_locked(HANDLE_LIBRARY, library);
    for (size_t i = 0; (kernel = kernel_at(i)); i++) {
        struct library_kernel *entry;

        if (!module_has_entry(library->text, kernel->name))
            continue;
        entry = calloc(1, sizeof(*entry));
        entry->library = library;
        entry->kernel = kernel;
        entry->handle = handle_new_locked(HANDLE_KERNEL, entry);
        entry->next = library->kernels;
        library->kernels = entry;
        library->count++;
    }
    *out = library->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

CUresult sim_library_load_file(CUlibrary *out, const char *path)
{
    CUresult result;
    char *text;

    if (!out || !path)
        return CUDA_ERROR_INVALID_VALUE;
    text = module_read_file(path);
    if (!text)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = sim_library_load_data(out, text);
    free(text);
    return result;
}

CUresult sim_library_unload(CUlibrary handle)
{
    struct library *library;

    sim_enter();
    library = library_get(handle);
    if (library) {
        module_drop_library_locked(library);
        while (library->kernels) {
            struct library_kernel *entry = library->kernels;

            library->kernels = entry->next;
            handle_end(entry->handle);
            free(entry);
        }
        handle_end(handle);
        listed_remove_locked(&library->listed);
        free(library->text);
        free(library);
    }
    sim_leave();
    return library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_library_get_kernel(CUkernel *out, CUlibrary handle, const char *name)
{
    const struct library_kernel *entry = NULL;
    const struct library *library;

    if (!out || !name)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    library = library_get(handle);
    for (entry = library ? library->kernels : NULL; entry; entry = entry->next)
        if (!strcmp(entry->kernel->name, name))
            break;
    if (entry)
        *out = entry->handle;
    sim_leave();
    return !library ? CUDA_ERROR_INVALID_HANDLE : entry ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult sim_library_get_kernel_count(unsigned *out, CUlibrary handle)
{
    const struct library *library;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    library = library_get(handle);
    if (library)
        *out = library->count;
    sim_leave();
    return library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_library_enumerate_kernels(CUkernel *out, unsigned most, CUlibrary handle)
{
    const struct library *library;

    if (!out || !most)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    library = library_get(handle);
    if (library)
        for (const struct library_kernel *entry = library->kernels; entry && most--;
             entry = entry->next)
            *out++ = entry->handle;
    sim_leave();
    return library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_library_get_module(CUmodule *out, CUlibrary handle)
{
    struct library *library;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    library = library_get(handle);
    if (library)
        *out = module_handle(module_of_library_locked(ctx_current(), library, library->text));
    sim_leave();
    return library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* No code here has variables. */
CUresult sim_library_get_global(CUlibrary handle, const char *name)
{
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    return library_get(handle) ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_HANDLE;
}

/* --- kernels -------------------------------------------------------------------------------------
 */

CUresult sim_kernel_get_function(CUfunction *out, CUkernel handle)
{
    const struct function *function = NULL;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    if (kernel_get(handle))
        function = function_get_locked((CUfunction)(void *)handle, ctx_current());
    if (function)
        *out = function->handle;
    sim_leave();
    return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_kernel_get_library(CUlibrary *out, CUkernel handle)
{
    const struct library_kernel *kernel;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    kernel = kernel_get(handle);
    if (kernel)
        *out = kernel->library->handle;
    sim_leave();
    return kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_kernel_get_name(const char **out, CUkernel handle)
{
    const struct library_kernel *kernel;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    kernel = kernel_get(handle);
    if (kernel)
        *out = kernel->kernel->name;
    sim_leave();
    return kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_kernel_get_attribute(int *value, CUfunction_attribute attribute, CUkernel handle,
                                  CUdevice dev)
{
    if (!device_get(dev))
        return CUDA_ERROR_INVALID_DEVICE;
    return kernel_get(handle) ? function_attribute(value, attribute) : CUDA_ERROR_INVALID_HANDLE;
}

/* Each parameter lies at its natural alignment. */
CUresult sim_kernel_get_param_info(CUkernel handle, size_t index, size_t *offset, size_t *size)
{
    const struct library_kernel *entry;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    size_t at = 0;

    if (!offset)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    entry = kernel_get(handle);
    if (!entry)
        result = CUDA_ERROR_INVALID_HANDLE;
    for (size_t i = 0; entry && i < (size_t)entry->kernel->parameters; i++) {
        size_t bytes = entry->kernel->size[i];

        at = (at + bytes - 1) / bytes * bytes;
        if (i == index) {
            *offset = at;
            if (size)
                *size = bytes;
            result = CUDA_SUCCESS;
        }
        at += bytes;
    }
    sim_leave();
    return result;
}
