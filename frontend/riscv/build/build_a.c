/* A: read-modify-write, load-reserved and store-conditional, through C but for what the back end
 * does itself. Host atomics are full barriers, so aq and rl ask for nothing more; a load-reserved
 * is a plain load, before which earlier stores have to be visible when rl is set. */
#include "frontend/riscv/build/rv_build.h"

static uint8_t fast_of(enum mmu_amo op, unsigned size)
{
    static const uint8_t fast[] = {[MMU_SWAP] = IR_SWAP,
                                   [MMU_ADD] = IR_ADD,
                                   [MMU_XOR] = IR_XOR,
                                   [MMU_AND] = IR_AND,
                                   [MMU_OR] = IR_OR};

    return op < sizeof fast ? IR_FAST(fast[op], size) : 0;
}

static void amo(struct rv_build *t, const struct rv_insn *i, enum mmu_amo op, unsigned size)
{
    ir_ref address = rv_get(t, i->rs1);

    rv_set(t, i->rd,
           rv_call_fast(t, RV_HELP_amo, fast_of(op, size), rv_k_amo(op, size), address,
                        rv_get(t, i->rs2)));
    rv_leave_pending(t);
}

static void lr(struct rv_build *t, const struct rv_insn *i, unsigned size)
{
    if (i->rm & 1)
        ir_emit(t->b, IR_fence, 1, IR_NONE, IR_NONE, IR_NONE, 0);
    rv_set(t, i->rd,
           rv_call_fast(t, RV_HELP_lr, IR_FAST(IR_LR, size), size, rv_get(t, i->rs1), IR_NONE));
}

static void sc(struct rv_build *t, const struct rv_insn *i, unsigned size)
{
    ir_ref address = rv_get(t, i->rs1);

    rv_set(t, i->rd,
           rv_call_fast(t, RV_HELP_sc, IR_FAST(IR_SC, size), size, address, rv_get(t, i->rs2)));
    rv_leave_pending(t);
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_a.def"
