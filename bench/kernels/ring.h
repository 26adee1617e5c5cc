/* A ring of nodes in random order, for kernels in which each load's address is the value of the
 * load before. */
#pragma once

#include "bench.h"

struct node {
    struct node *next;
    uint64_t value;
    uint64_t room[6];
};

/* Links all n nodes into one ring. order: room for n numbers. */
static inline void ring_link(struct node *nodes, uint32_t *order, uint32_t n)
{
    uint64_t random = 3;

    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t k = (uint32_t)(bench_random(&random) % i), t = order[i];

        order[i] = order[k];
        order[k] = t;
    }
    for (uint32_t i = 0; i < n; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % n]];
        nodes[order[i]].value = bench_random(&random);
    }
}

/* The sum of the values on the way. */
static inline uint64_t ring_walk(const struct node *at, int n_steps)
{
    uint64_t sum = 0;

    for (int i = 0; i < n_steps; i++) {
        sum += at->value;
        at = at->next;
    }
    return sum;
}
