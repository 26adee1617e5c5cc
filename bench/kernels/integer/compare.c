/* Heap sort of pointers to records, with a comparison that the caller passes. */
#include <string.h>

#include "bench.h"

enum { COUNT = 60000, ROUNDS = 10 };

struct record {
    char name[12];
    uint32_t age;
};

typedef int compare(const void *a, const void *b);

static struct record records[COUNT];
static void *sorted[COUNT];

static int by_name(const void *a, const void *b)
{
    const struct record *x = a, *y = b;

    for (int i = 0; i < 12; i++)
        if (x->name[i] != y->name[i])
            return x->name[i] < y->name[i] ? -1 : 1;
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct record *x = a, *y = b;

    if (x->age != y->age)
        return x->age < y->age ? -1 : 1;
    return by_name(a, b);
}

static void sink(void **v, size_t at, size_t count, compare *order)
{
    void *value = v[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && order(v[child], v[child + 1]) < 0)
            child++;
        if (order(value, v[child]) >= 0)
            break;
        v[at] = v[child];
    }
    v[at] = value;
}

__attribute__((noinline, noclone)) static void sort(void **v, size_t count, compare *order)
{
    for (size_t i = count / 2; i-- > 0;)
        sink(v, i, count, order);
    while (count-- > 1) {
        void *top = v[0];

        v[0] = v[count];
        v[count] = top;
        sink(v, 0, count, order);
    }
}

int main(void)
{
    static compare *const orders[] = {by_name, by_age};
    uint64_t random = 17, sum = 0;

    for (int i = 0; i < COUNT; i++) {
        uint64_t r = bench_random(&random);

        for (int k = 0; k < 12; k++)
            records[i].name[k] = (char)('a' + (r >> 4 * k & 15));
        records[i].age = (uint32_t)(r >> 50);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++)
            sorted[i] = &records[(i * 7 + round) % COUNT];
        sort(sorted, COUNT, orders[round % 2]);
        for (int i = 0; i < COUNT; i += 331)
            sum = bench_mix(sum, ((struct record *)sorted[i])->age);
    }
    return bench_done("compare", sum);
}
