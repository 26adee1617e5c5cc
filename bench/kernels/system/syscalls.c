/* The shortest system call there is. */
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

enum { ROUNDS = 1500000 };

int main(void)
{
    long parent = getppid();
    uint64_t sum = 0;

    for (int i = 0; i < ROUNDS; i++)
        sum += syscall(SYS_getppid) == parent;
    return bench_done("syscalls", sum);
}
