/* preload_constructor.c: a library whose constructor asks for a driver function by name, as the
 * loader runs it: opened by one thread while another makes the process's first driver call.
 */
#include <dlfcn.h>
#include <unistd.h>

__attribute__((constructor)) static void ask(void)
{
    usleep(20000); /* the other thread is in its first call by now; either order must work */
    dlsym(RTLD_DEFAULT, "cuMemAlloc_v2");
}
