/* Calls and returns: doubly recursive Fibonacci numbers. */
#include "bench.h"

__attribute__((noinline, noclone, optimize("no-optimize-sibling-calls"))) static uint64_t
fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(void)
{
    return bench_done("fib", fib(37));
}
