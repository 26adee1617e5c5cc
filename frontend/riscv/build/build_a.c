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

/* ---- LR and SC ---------------------------------------------------------------------------
 *
 * With --lrsc=strict they are C's, and C is told of pairs: an LR and an SC behind it in the same
 * block, nothing between but computation and branches away, so that whoever comes to this SC has
 * just executed this LR. LR is called for a watch until its SC is found, since that comes later. A
 * branch to a place between the two leads to an SC that is not of the pair: then there is none, and
 * so it is when the block is cut. */

void rv_pair_see(struct rv_build *t, const struct rv_insn *i)
{
    switch (rv_rows[i->op].kind) {
    case RV_KIND_ALU:
    case RV_KIND_BRANCH:
    case RV_KIND_JUMP: break;
    default: t->lr.open &= i->op == RV_OP_sc_w || i->op == RV_OP_sc_d;
    }
}

void rv_pair_see_exit(struct rv_build *t, int64_t offset)
{
    if (t->lr.open)
        t->lr.exit[t->lr.n_exits++] = offset;
}

/* Takes the SC at t->off: is it the LR's? Then that is told, too. */
static bool pair_up(struct rv_build *t, unsigned size)
{
    bool paired = t->lr.open && t->lr.size == size;

    t->lr.open = false;
    for (unsigned n = 0; n < t->lr.n_exits; n++)
        paired &= t->lr.exit[n] <= t->lr.off || t->lr.exit[n] > t->off;
    if (paired)
        t->b->insn[t->lr.call.n].imm = IR_CALL(RV_HELP_lr, rv_k_lrsc(size, true));
    return paired;
}

static void lr(struct rv_build *t, const struct rv_insn *i, unsigned size)
{
    uint8_t fast = t->b->strict_lrsc ? 0 : IR_FAST(IR_LR, size);

    if (i->rm & 1)
        ir_emit(t->b, IR_fence, 1, IR_NONE, IR_NONE, IR_NONE, 0);
    ir_ref call =
        rv_call_fast(t, RV_HELP_lr, fast, rv_k_lrsc(size, false), rv_get(t, i->rs1), IR_NONE);

    rv_set(t, i->rd, call);
    t->lr.open = t->b->strict_lrsc;
    t->lr.call = call;
    t->lr.off = t->off;
    t->lr.size = size;
    t->lr.n_exits = 0;
}

static void sc(struct rv_build *t, const struct rv_insn *i, unsigned size)
{
    uint8_t fast = t->b->strict_lrsc ? 0 : IR_FAST(IR_SC, size);
    uint32_t k = rv_k_lrsc(size, pair_up(t, size));
    ir_ref address = rv_get(t, i->rs1);

    rv_set(t, i->rd, rv_call_fast(t, RV_HELP_sc, fast, k, address, rv_get(t, i->rs2)));
    rv_leave_pending(t);
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_a.def"
