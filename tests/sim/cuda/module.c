/* module.c: modules and functions. Code is PTX text, of which only the names of its entries are
 * read; a name that stands for a built-in kernel (kernel.c) can be launched, any other is not
 * found. */
#include "impl.h"
#include "kernel.h"

#include <ctype.h>
#include <stdlib.h>

struct module {
    void *handle;
    struct ctx *ctx;
    struct module *next;
    const void *library; /* whose it is, or NULL */
    char *text;
    struct function *functions;
};
struct link {
    char *text;
    size_t length;
};

struct ctx *module_ctx(const struct module *module)
{
    return module->ctx;
}

/* PTX is text that starts, after blanks and comments, with a directive. Anything else is a binary,
 * for a card that this is not. */
CUresult module_check_image(const char *image)
{
    if (!memcmp(image,
                "\x7f"
                "ELF",
                4) ||
        !memcmp(image, "\x50\xed\x55\xba", 4))
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    return strstr(image, ".version") && strstr(image, ".target") ? CUDA_SUCCESS
                                                                 : CUDA_ERROR_INVALID_PTX;
}

static struct module *module_new_locked(struct ctx *ctx, const char *text)
{
    struct module *module = calloc(1, sizeof(*module));

    module->ctx = ctx;
    module->text = strdup(text);
    module->handle = handle_new_locked(HANDLE_MODULE, module);
    module->next = ctx->modules;
    ctx->modules = module;
    return module;
}

struct module *module_of_library_locked(struct ctx *ctx, const void *library, const char *text)
{
    struct module *module = ctx->modules;

    while (module && module->library != library)
        module = module->next;
    if (!module) {
        module = module_new_locked(ctx, text);
        module->library = library;
    }
    return module;
}

void *module_handle(const struct module *module)
{
    return module->handle;
}

CUresult sim_module_load_data(CUmodule *out, const void *image)
{
    CUresult result;

    if (!out || !image)
        return CUDA_ERROR_INVALID_VALUE;
    result = module_check_image(image);
    if (result != CUDA_SUCCESS)
        return result;
    sim_enter();
    *out = module_new_locked(ctx_current(), image)->handle;
    sim_leave();
    return CUDA_SUCCESS;
}

/* A file as text, with a zero after it; NULL when it cannot be read. */
char *module_read_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    size_t length = 0, room = 1 << 16;
    char *text = malloc(room);

    while (file && text && (length += fread(text + length, 1, room - 1 - length, file)) == room - 1)
        text = sim_grow(text, room *= 2);
    if (!file || !text || ferror(file)) {
        free(text);
        text = NULL;
    } else {
        memset(text + length, 0, room - length > 4 ? 4 : 1);
    }
    if (file)
        fclose(file);
    return text;
}

CUresult sim_module_load(CUmodule *out, const char *path)
{
    CUresult result;
    char *text;

    if (!out || !path)
        return CUDA_ERROR_INVALID_VALUE;
    text = module_read_file(path);
    if (!text)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = sim_module_load_data(out, text);
    free(text);
    return result;
}

static void end_locked(struct module *module)
{
    struct module **link = &module->ctx->modules;

    while (*link != module)
        link = &(*link)->next;
    *link = module->next;
    while (module->functions) {
        struct function *function = module->functions;

        module->functions = function->next;
        handle_end(function->handle);
        free(function);
    }
    handle_end(module->handle);
    free(module->text);
    free(module);
}

void module_release_locked(struct ctx *ctx)
{
    while (ctx->modules)
        end_locked(ctx->modules);
}

void module_drop_library_locked(const void *library)
{
    for (struct ctx *ctx = ctx_all_locked(); ctx; ctx = ctx->next) {
        struct module *module = ctx->modules;

        while (module && module->library != library)
            module = module->next;
        if (module)
            end_locked(module);
    }
}

CUresult sim_module_unload(CUmodule handle)
{
    struct module *module;

    sim_enter();
    module = handle_object(handle, HANDLE_MODULE);
    if (module)
        end_locked(module);
    sim_leave();
    return module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

bool module_has_entry(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *p = text; (p = strstr(p, ".entry"));) {
        p += 6;
        p += strspn(p, " \t\r\n");
        if (!strncmp(p, name, length) && !isalnum((unsigned char)p[length]) && p[length] != '_' &&
            p[length] != '$')
            return true;
    }
    return false;
}

struct function *module_function_locked(struct module *module, const char *name)
{
    const struct kernel *kernel = kernel_find(name);
    struct function *function;

    if (!kernel || !module_has_entry(module->text, name))
        return NULL;
    for (function = module->functions; function; function = function->next)
        if (function->kernel == kernel)
            return function;
    function = calloc(1, sizeof(*function));
    function->kernel = kernel;
    function->module = module;
    function->handle = handle_new_locked(HANDLE_FUNCTION, function);
    function->next = module->functions;
    module->functions = function;
    return function;
}

CUresult sim_module_get_function(CUfunction *out, CUmodule handle, const char *name)
{
    const struct function *function = NULL;
    struct module *module;

    if (!out || !name)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    module = handle_object(handle, HANDLE_MODULE);
    if (module)
        function = module_function_locked(module, name);
    if (function)
        *out = function->handle;
    sim_leave();
    return !module ? CUDA_ERROR_INVALID_HANDLE : function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

/* No module here has globals. */
CUresult sim_module_get_global(CUdeviceptr *out, size_t *bytes, CUmodule handle, const char *name)
{
    if (!name || (!out && !bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return handle_object(handle, HANDLE_MODULE) ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_module_get_loading_mode(CUmoduleLoadingMode *mode)
{
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_EAGER_LOADING;
    return CUDA_SUCCESS;
}

/* --- functions
 * ------------------------------------------------------------------------------------- */

CUresult function_attribute(int *value, CUfunction_attribute attribute)
{
    static const int values[] = {1024, 0, 0, 0, 16, 64, 86, 0, 49152, -1, 0, 0, 0, 0, 0, 0};

    if (!value || (unsigned)attribute >= sizeof(values) / sizeof(*values))
        return CUDA_ERROR_INVALID_VALUE;
    *value = values[attribute];
    return CUDA_SUCCESS;
}

CUresult sim_func_get_attribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
    if (!handle_object(handle, HANDLE_FUNCTION))
        return CUDA_ERROR_INVALID_HANDLE;
    return function_attribute(value, attribute);
}

CUresult sim_func_set_attribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    if (!handle_object(handle, HANDLE_FUNCTION))
        return CUDA_ERROR_INVALID_HANDLE;
    if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
        return value >= 0 && value <= 101376 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    return attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_func_set_cache_config(CUfunction handle, CUfunc_cache config)
{
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    return handle_object(handle, HANDLE_FUNCTION) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_func_get_module(CUmodule *out, CUfunction handle)
{
    const struct function *function;

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    function = handle_object(handle, HANDLE_FUNCTION);
    if (function)
        *out = function->module->handle;
    sim_leave();
    return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_func_get_name(const char **name, CUfunction handle)
{
    const struct function *function;

    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    function = handle_object(handle, HANDLE_FUNCTION);
    if (function)
        *name = function->kernel->name;
    sim_leave();
    return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_func_load(CUfunction handle)
{
    return handle_object(handle, HANDLE_FUNCTION) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult sim_occupancy_blocks(int *blocks, CUfunction handle, int block_size)
{
    if (!blocks || block_size < 1 || block_size > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_object(handle, HANDLE_FUNCTION))
        return CUDA_ERROR_INVALID_HANDLE;
    *blocks = 1536 / block_size > 16 ? 16 : 1536 / block_size;
    return CUDA_SUCCESS;
}

CUresult sim_occupancy_potential(int *grid, int *block, CUfunction handle, int limit)
{
    if (!grid || !block || limit < 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (!handle_object(handle, HANDLE_FUNCTION))
        return CUDA_ERROR_INVALID_HANDLE;
    *block = limit && limit < 768 ? limit : 768;
    *grid = 28 * 2;
    return CUDA_SUCCESS;
}

/* --- the linker: joins PTX texts
 * ------------------------------------------------------------------- */

CUresult sim_link_create(CUlinkState *out)
{
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    sim_enter();
    *out = handle_new_locked(HANDLE_LINK, calloc(1, sizeof(struct link)));
    sim_leave();
    return CUDA_SUCCESS;
}

static struct link *link_get(CUlinkState handle)
{
    return handle_object(handle, HANDLE_LINK);
}

CUresult sim_link_add_data(CUlinkState handle, CUjitInputType type, const void *data, size_t size)
{
    struct link *link = link_get(handle);
    CUresult result = CUDA_SUCCESS;
    char *copy;

    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!data || !size)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_JIT_INPUT_PTX)
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    copy = calloc(1, size + 4);
    memcpy(copy, data, size);
    result = module_check_image(copy);
    if (result == CUDA_SUCCESS) {
        size_t length = strlen(copy);

        sim_enter();
        link->text = sim_grow(link->text, link->length + length + 4);
        memcpy(link->text + link->length, copy, length);
        link->length += length;
        memset(link->text + link->length, 0, 4);
        sim_leave();
    }
    free(copy);
    return result;
}

CUresult sim_link_add_file(CUlinkState handle, CUjitInputType type, const char *path)
{
    CUresult result;
    char *text;

    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    text = module_read_file(path);
    if (!text)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = sim_link_add_data(handle, type, text, strlen(text) + 1);
    free(text);
    return result;
}

CUresult sim_link_complete(CUlinkState handle, void **out, size_t *size)
{
    const struct link *link = link_get(handle);

    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!link->text)
        return CUDA_ERROR_INVALID_IMAGE;
    *out = link->text;
    if (size)
        *size = link->length + 1;
    return CUDA_SUCCESS;
}

CUresult sim_link_destroy(CUlinkState handle)
{
    struct link *link = link_get(handle);

    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    handle_end(handle);
    free(link->text);
    free(link);
    return CUDA_SUCCESS;
}
