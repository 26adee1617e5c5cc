/* Calls through a table of functions, in an order that no predictor can learn
 * by heart at once: a virtual machine of closures, or objects' methods. */
#include "bench.h"

enum { ITEMS = 1024, ROUNDS = 18000 };

struct item;
typedef uint64_t method(const struct item *self, uint64_t value);

static struct item {
    method *call;
    uint64_t field;
} items[ITEMS];

static uint64_t add(const struct item *self, uint64_t value)
{
    return value + self->field;
}

static uint64_t xor (const struct item *self, uint64_t value) { return value ^ self->field; }

    static uint64_t scale(const struct item *self, uint64_t value)
{
    return value * (self->field | 1);
}

static uint64_t turn(const struct item *self, uint64_t value)
{
    return value << (self->field & 31) | value >> (63 - (self->field & 31)) >> 1;
}

static uint64_t choose(const struct item *self, uint64_t value)
{
    return value & 64 ? value - self->field : value + 1;
}

static method *const methods[] = {add, xor, scale, turn, choose};

int main(void)
{
    uint64_t random = 11, sum = 1;

    for (int i = 0; i < ITEMS; i++) {
        uint64_t r = bench_random(&random);

        items[i].call = methods[r % 5];
        items[i].field = r >> 8;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < ITEMS; i++)
            sum = items[i].call(&items[i], sum);
    return bench_done("indirect", sum);
}
