/* One thread that takes locks and counts: read-modify-write, compare and swap,
 * a spin lock, a reference count, fences. */
#include <stdatomic.h>

#include "bench.h"

enum { ROUNDS = 9000000, SLOTS = 64 };

static _Atomic uint64_t counters[SLOTS];
static _Atomic uint32_t flags, references = 1;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static uint64_t raise_to(_Atomic uint64_t *slot, uint64_t value)
{
    uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);

    while (old < value && !atomic_compare_exchange_weak(slot, &old, value))
        continue;
    return old;
}

int main(void)
{
    uint64_t random = 31, sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = bench_random(&random);

        while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
            continue;
        sum = bench_mix(sum, r);
        atomic_flag_clear_explicit(&lock, memory_order_release);

        atomic_fetch_add_explicit(&references, 1, memory_order_relaxed);
        sum += atomic_fetch_add(&counters[r % SLOTS], r >> 60);
        sum += raise_to(&counters[r >> 8 & (SLOTS - 1)], r >> 40);
        sum += atomic_fetch_or_explicit(&flags, 1u << (r >> 20 & 31), memory_order_acq_rel);
        if (i % 16 == 0)
            sum += atomic_exchange(&flags, 0);
        if (atomic_fetch_sub_explicit(&references, 1, memory_order_release) == 1)
            return 1;
        atomic_thread_fence(memory_order_acquire);
    }
    return bench_done("atomics", sum);
}
