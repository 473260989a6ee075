/* RAM becomes free after memory was first asked for: fills what there is with blocks of 8 MiB, and
 * says how far free and its own blocks ever went beyond the total.
 */
#define HOST_DIRECT
#include "host.h"

#include <sys/mman.h>

#define HELD  (UINT64_C(192) << 20)
#define BLOCK (UINT64_C(8) << 20)

int main(void)
{
    size_t free_bytes, total, first;
    uint64_t used = 0, beyond = 0;
    CUdeviceptr p;

    void *held =
        mmap(NULL, HELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    REQUIRE(held != MAP_FAILED);
    host_open(&host_direct);
    MUST(cuMemGetInfo(&free_bytes, &first));
    munmap(held, HELD);
    while (cuMemAlloc(&p, BLOCK) == CUDA_SUCCESS) {
        used += BLOCK;
        MUST(cuMemGetInfo(&free_bytes, &total));
        REQUIRE(total == first);
        if (free_bytes + used > total + beyond)
            beyond = free_bytes + used - total;
    }
    printf("%s\n%llu bytes beyond\n", used ? "blocks" : "no block", (unsigned long long)beyond);
    host_close();
    return 0;
}
