/* Loads all over 8 MiB: open addressing with inserts, look-ups and deletes. */
#include "bench.h"

enum { BITS = 19, SLOTS = 1 << BITS, KEYS = 300000, ROUNDS = 18 };

static struct slot {
    uint64_t key; /* 0: free */
    uint64_t value;
} table[SLOTS];

static size_t home(uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15u >> (64 - BITS));
}

/* Where the key is, or the free slot where it belongs. */
static struct slot *find(uint64_t key)
{
    size_t i = home(key);

    while (table[i].key && table[i].key != key)
        i = (i + 1) & (SLOTS - 1);
    return &table[i];
}

/* Moves later keys of the cluster up, so that none is cut off from its home. */
static void erase(struct slot *gone)
{
    size_t hole = (size_t)(gone - table);

    for (size_t i = (hole + 1) & (SLOTS - 1); table[i].key; i = (i + 1) & (SLOTS - 1)) {
        size_t distance = (i - home(table[i].key)) & (SLOTS - 1);

        if (distance < ((i - hole) & (SLOTS - 1)))
            continue;
        table[hole] = table[i];
        hole = i;
    }
    table[hole].key = 0;
}

int main(void)
{
    uint64_t sum = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t random = 99;

        for (int i = 0; i < KEYS; i++) {
            uint64_t key = bench_random(&random);
            struct slot *s = find(key);

            s->key = key;
            s->value += (uint64_t)i;
        }
        random = 99;
        for (int i = 0; i < KEYS; i++) {
            struct slot *s = find(bench_random(&random));

            sum = bench_mix(sum, s->value);
            if (i % 3 == round % 3)
                erase(s);
        }
    }
    return bench_done("hashmap", sum);
}
