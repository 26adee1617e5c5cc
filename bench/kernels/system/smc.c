/* A loop that rewrites one instruction of a function and calls it, as compilers at
 * run time do with their inline caches. */
#include "bench.h"
#include "emit.h"

enum { ROUNDS = 300000, STEPS = 12 };

int main(void)
{
    static uint64_t memory[256];
    uint8_t *code = emit_memory(4096), *patched;
    struct emit e = {code};
    uint64_t sum = 0;

    if (!code)
        return 1;
    for (uint32_t i = 0; i < STEPS; i++)
        emit_add_imm(&e, i % 2 ? EMIT_A : EMIT_B, i);
    patched = e.at;
    emit_add_imm(&e, EMIT_A, 0);
    emit_xor(&e, EMIT_A, EMIT_B);
    emit_return(&e);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        e.at = patched;
        emit_add_imm(&e, EMIT_A, i & 0x7ff);
        emit_publish();
        sum = bench_mix(sum, ((emitted *)(uintptr_t)code)(sum, i, memory));
    }
    return bench_done("smc", sum);
}
