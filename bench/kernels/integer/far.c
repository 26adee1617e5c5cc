/* chase through 128 MiB: what is wanted is neither in the host's caches nor, for the most part, in
 * any TLB, be it the host's or a soft MMU's. */
#include "bench.h"

enum { NODES = 1 << 21, STEPS = 6000000 };

static struct node {
    struct node *next;
    uint64_t value;
    uint64_t room[6];
} nodes[NODES];

int main(void)
{
    static uint32_t order[NODES];
    uint64_t random = 3, sum = 0;
    const struct node *at = nodes;

    for (uint32_t i = 0; i < NODES; i++)
        order[i] = i;
    for (uint32_t i = NODES - 1; i > 0; i--) {
        uint32_t k = (uint32_t)(bench_random(&random) % i), t = order[i];

        order[i] = order[k];
        order[k] = t;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = bench_random(&random);
    }
    for (int i = 0; i < STEPS; i++) {
        sum += at->value;
        at = at->next;
    }
    return bench_done("far", sum);
}
