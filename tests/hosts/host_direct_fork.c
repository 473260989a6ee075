/* A child of a process that uses CUDA cannot use it; the parent's data must not suffer from what
 * the child tries, nor from its exit. */
#define HOST_DIRECT
#include "host.h"

#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)8 << 20)

static int child(CUdeviceptr block)
{
    CUdeviceptr p = 0;
    unsigned int word = 0, type = 0;
    size_t bytes = 0, total = 0;

    host_show("child: alloc", cuMemAlloc(&p, SIZE));
    host_show("child: read", cuMemcpyDtoH(&word, block, 4));
    host_show("child: set", cuMemsetD8(block, 0xff, SIZE));
    host_show("child: memory info", cuMemGetInfo(&bytes, &total));
    host_show("child: memory type",
              cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, block));
    host_show("child: free", cuMemFree(block));
    return 0;
}

/* `how` is exit, which runs the handlers of the libraries too, or _exit. */
static void run_child(CUdeviceptr block, void (*how)(int))
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        int code = child(block);

        fflush(stdout);
        how(code);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    printf("child ended with %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

int main(void)
{
    CUdeviceptr block, after;

    host_open(&host_direct);
    MUST(cuMemAlloc(&block, SIZE));
    host_fill_block(block, SIZE, 0, NULL);
    MUST(cuCtxSynchronize());
    run_child(block, _exit);
    run_child(block, exit);
    printf("words wrong: %llu\n",
           (unsigned long long)host_check_block(block, SIZE, 0, host.result, NULL));
    MUST(cuMemAlloc(&after, SIZE));
    host_fill_block(after, SIZE, 1, NULL);
    printf("words wrong in a new block: %llu\n",
           (unsigned long long)host_check_block(after, SIZE, 1, host.result, NULL));
    MUST(cuMemFree(after));
    MUST(cuMemFree(block));
    host_close();
    printf("done\n");
    return 0;
}
