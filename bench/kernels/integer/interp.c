/* An interpreter of a small stack machine: one switch, compiled to an indirect
 * jump through a table, with a pattern that repeats after a few dozen steps. */
#include "bench.h"

enum op { PUSH, LOAD, STORE, ADD, MUL, XOR, SHR, DUP, DEC, JNZ, HALT };

/* for (n = 9000000; n; n--) x = ((x * 31 + n) ^ (x >> 7)) */
static const int64_t program[] = {
    LOAD, 0,     PUSH, 31,   MUL, LOAD, 1,   ADD,   LOAD, 0,   PUSH, 7,    SHR,
    XOR,  STORE, 0,    LOAD, 1,   DEC,  DUP, STORE, 1,    JNZ, 0,    HALT,
};

__attribute__((noinline)) static uint64_t run(const int64_t *code, uint64_t vars[2])
{
    uint64_t stack[16];
    uint64_t *top = stack;
    const int64_t *pc = code;

    for (;;) {
        switch ((enum op) * pc++) {
        case PUSH: *++top = (uint64_t)*pc++; break;
        case LOAD: *++top = vars[*pc++]; break;
        case STORE: vars[*pc++] = *top--; break;
        case ADD:
            top[-1] += *top;
            top--;
            break;
        case MUL:
            top[-1] *= *top;
            top--;
            break;
        case XOR:
            top[-1] ^= *top;
            top--;
            break;
        case SHR:
            top[-1] >>= *top;
            top--;
            break;
        case DUP:
            top[1] = *top;
            top++;
            break;
        case DEC: --*top; break;
        case JNZ: pc = *top-- ? code + *pc : pc + 1; break;
        case HALT: return vars[0];
        }
    }
}

int main(void)
{
    uint64_t vars[2] = {1, 9000000};

    return bench_done("interp", run(program, vars));
}
