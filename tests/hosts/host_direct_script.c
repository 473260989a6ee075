/* Links libcuda.so.1: the door that every other one is compared with. */
#define HOST_DIRECT
#include "script.h"

int main(void)
{
    return script_run(&host_direct);
}
