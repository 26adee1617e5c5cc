/* Code that runs once: functions of a hundred instructions and a dozen branches, all
 * different, written at run time and each called a single time. */
#include "bench.h"
#include "emit.h"

enum { FUNCTIONS = 8000, STEPS = 60, ROOM = 1 << 10 };

static const enum emit_reg registers[] = {EMIT_A, EMIT_B, EMIT_C, EMIT_D};

static void write_step(struct emit *e, uint64_t r)
{
    enum emit_reg d = registers[r & 3], s = registers[r >> 2 & 3];
    uint32_t n = (uint32_t)(r >> 8 & 255);
    uint8_t *skip;

    switch (r >> 4 & 7) {
    case 0: emit_add(e, d, s); break;
    case 1: emit_xor(e, d, s); break;
    case 2:
        emit_sub(e, d, s);
        emit_add_imm(e, d, n);
        break;
    case 3: emit_shift_right(e, d, n & 15); break;
    case 4: emit_load(e, d, n); break;
    case 5: emit_store(e, s, n); break;
    case 6: emit_add_imm(e, d, n); break;
    case 7:
        skip = emit_skip_if_zero(e, s);
        emit_add_imm(e, d, n);
        emit_xor(e, s, d);
        emit_land(e, skip);
        break;
    }
}

/* A function needs ROOM bytes at most. */
static void write_function(struct emit *e, uint64_t *random)
{
    emit_load(e, EMIT_C, 0);
    emit_load(e, EMIT_D, 1);
    for (int i = 0; i < STEPS; i++)
        write_step(e, bench_random(random));
    emit_add(e, EMIT_A, EMIT_C);
    emit_xor(e, EMIT_A, EMIT_D);
    emit_return(e);
}

int main(void)
{
    static emitted *functions[FUNCTIONS];
    static uint64_t memory[256];
    struct emit e = {emit_memory((size_t)FUNCTIONS * ROOM)};
    uint64_t random = 71, sum = 1;

    if (!e.at)
        return 1;
    for (int i = 0; i < FUNCTIONS; i++) {
        functions[i] = (emitted *)(uintptr_t)e.at;
        write_function(&e, &random);
    }
    emit_publish();
    for (int i = 0; i < FUNCTIONS; i++)
        sum = bench_mix(sum, functions[i](sum, (uint64_t)i, memory));
    return bench_done("cold", sum);
}
