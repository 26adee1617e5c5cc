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
 * With --lrsc=strict they are C's, and C is told of pairs: an SC before which, in this block, there
 * is an LR and between them nothing but computation, branches away and fences. A block has no other
 * way in, so whoever comes to this SC has just executed this LR. */

/* So that blocks, which have so many side exits and no more, do not end between the two. */
bool rv_begins_pair(const struct rv_build *t, const struct rv_insn *i)
{
    return t->b->strict_lrsc && (i->op == RV_OP_lr_w || i->op == RV_OP_lr_d);
}

void rv_pair_see(struct rv_build *t, const struct rv_insn *i)
{
    switch (rv_rows[i->op].kind) {
    case RV_KIND_ALU:
    case RV_KIND_BRANCH:
    case RV_KIND_JUMP: break;
    default: t->behind_lr &= i->op == RV_OP_sc_w || i->op == RV_OP_sc_d;
    }
}

/* What the back end may do in its place. */
static uint8_t fast_lrsc(const struct rv_build *t, enum ir_fast what, unsigned size)
{
    return t->b->strict_lrsc ? 0 : IR_FAST(what, size);
}

static void lr(struct rv_build *t, const struct rv_insn *i, unsigned size)
{
    if (i->rm & 1)
        ir_emit(t->b, IR_fence, 1, IR_NONE, IR_NONE, IR_NONE, 0);
    rv_set(
        t, i->rd,
        rv_call_fast(t, RV_HELP_lr, fast_lrsc(t, IR_LR, size), size, rv_get(t, i->rs1), IR_NONE));
    t->behind_lr = t->b->strict_lrsc;
}

static void sc(struct rv_build *t, const struct rv_insn *i, unsigned size)
{
    uint32_t k = rv_k_sc(size, t->behind_lr);
    ir_ref address = rv_get(t, i->rs1);

    t->behind_lr = false;
    rv_set(t, i->rd,
           rv_call_fast(t, RV_HELP_sc, fast_lrsc(t, IR_SC, size), k, address, rv_get(t, i->rs2)));
    rv_leave_pending(t);
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_a.def"
