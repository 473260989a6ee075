/* Takes device memory until only SIZE stays free, says "ready" and holds it until standard input
 * ends: makes a big card small for another process.
 *
 *   host_direct_ballast SIZE [DEVICE]
 */
#define HOST_DIRECT
#include "host.h"

#include <unistd.h>

#define PIECE ((size_t)256 << 20)

static size_t free_bytes(void)
{
    size_t bytes = 0, total = 0;

    MUST(cuMemGetInfo(&bytes, &total));
    return bytes;
}

int main(int argc, char **argv)
{
    size_t keep = argc > 1 ? host_size(argv[1]) : 0;
    size_t piece = PIECE;
    CUdeviceptr p;
    char buffer[256];

    if (!keep) {
        fprintf(stderr, "usage: %s SIZE [DEVICE]\n", argv[0]);
        return 2;
    }
    host.cu = &host_direct;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&host.device, argc > 2 ? atoi(argv[2]) : 0));
    MUST(cuDevicePrimaryCtxRetain(&host.context, host.device));
    MUST(cuCtxSetCurrent(host.context));
    /* The driver hands memory out in pieces of 2 MiB; what is not freed goes with the context. */
    while (piece >= (size_t)2 << 20)
        if (free_bytes() < keep + piece || cuMemAlloc(&p, piece) != CUDA_SUCCESS)
            piece /= 2;
    printf("ready\n");
    fflush(stdout);
    while (read(STDIN_FILENO, buffer, sizeof(buffer)) > 0)
        ;
    MUST(cuDevicePrimaryCtxReset(host.device));
    return 0;
}
