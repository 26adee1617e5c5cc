/* Calls of the built-in SBI with any arguments: the call returns behind the ecall in S mode,
 * changes a0 and a1 only, and reaches no memory but RAM. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/rv_rig.h"

enum { MAX_CALLS = 40 };
#define PC (RIG_RAM + 0x100)

/* Extensions that there are, most of the time. */
static uint64_t take_extension(struct fuzz_input *in)
{
    static const uint32_t known[] = {
        0,    1,        2,          3,          4,        5,          6,        7,         8,
        0x10, 0x735049, 0x54494d45, 0x52464e43, 0x48534d, 0x53525354, 0x504d55, 0x4442434e};
    unsigned n = fuzz_below(in, 20);

    return n < sizeof known / sizeof known[0] ? known[n] : fuzz_take(in, 8);
}

/* A number of any size, or an address in RAM or at its ends. */
static uint64_t take_argument(struct fuzz_input *in)
{
    switch (fuzz_below(in, 5)) {
    case 0: return fuzz_take(in, 1);
    case 1: return fuzz_take(in, 8);
    case 2: return RIG_RAM + fuzz_take(in, 3) % RIG_RAM_LEN;
    case 3: return RIG_RAM + RIG_RAM_LEN - 8 + fuzz_below(in, 16);
    default: return (uint64_t)0 - fuzz_take(in, 1);
    }
}

static void call(struct rig *r, struct fuzz_input *in)
{
    struct rv_hart *h = r->h;
    uint64_t before[STATE_N_REGS];

    h->s.reg[17] = take_extension(in);
    h->s.reg[16] = fuzz_below(in, 8) ? fuzz_below(in, 10) : fuzz_take(in, 8);
    for (unsigned i = 10; i < 16; i++)
        h->s.reg[i] = take_argument(in);
    memcpy(before, h->s.reg, sizeof before);
    h->s.pc = PC;
    rv_trap(h, RV_ECALL_S, 0);
    CHECK(h->s.pc == PC + 4 && h->priv == RV_S);
    before[10] = h->s.reg[10];
    before[11] = h->s.reg[11];
    CHECK(memcmp(before, h->s.reg, sizeof before) == 0);
    if (r->wrote_len > 0)
        CHECK(phys_is_ram(&r->phys, r->wrote_gpa, r->wrote_len));
    r->n_out = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    struct rig *r = rig_create("default");

    rv_enter_supervisor(r->h, PC, 0, 0);
    r->in = "input";
    for (unsigned n = 0; n < MAX_CALLS && in.left > 0; n++) {
        call(r, &in);
        r->now += fuzz_take(&in, 2);
        r->h->s.icount += fuzz_take(&in, 2);
    }
    rig_destroy(r);
    return 0;
}
