/* Links no CUDA library at all and opens those that it is told to, as Python opens an extension
 * module; then calls extension_malloc(), if there is one, and extension_run() of the last one.
 *
 *   host_extension [deep:|close:]LIBRARY...      deep: with RTLD_DEEPBIND
 *                                                close: extension_run() at once, and dlclose()
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int run_and_close(void *library)
{
    int (*run)(void) = (int (*)(void))dlsym(library, "extension_run");

    return !run || run() || dlclose(library);
}

int main(int argc, char **argv)
{
    void *library = NULL;
    int (*run)(void);

    for (int i = 1; i < argc; i++) {
        int deep = strncmp(argv[i], "deep:", 5) == 0, closes = strncmp(argv[i], "close:", 6) == 0;
        const char *file = argv[i] + (deep ? 5 : closes ? 6 : 0);
        library = dlopen(file, RTLD_NOW | RTLD_LOCAL | (deep ? RTLD_DEEPBIND : 0));
        if (!library) {
            printf("%s\n", dlerror());
            return 1;
        }
        if (closes && run_and_close(library)) {
            printf("%s: did not run\n", file);
            return 1;
        }
    }
    void *p = NULL;
    int (*allocate)(void **, size_t) =
        library ? (int (*)(void **, size_t))dlsym(library, "extension_malloc") : NULL;
    int (*release)(void *) = allocate ? (int (*)(void *))dlsym(library, "extension_free") : NULL;
    if (release && (allocate(&p, 4096) || release(p))) {
        printf("extension_malloc failed\n");
        return 1;
    }
    run = library ? (int (*)(void))dlsym(library, "extension_run") : NULL;
    if (!run) {
        printf("no extension_run\n");
        return 1;
    }
    return run();
}
