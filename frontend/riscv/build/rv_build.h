/* Builders: each appends one guest instruction's meaning to a block of IR. A row in
 * isa/ names its builder; build_<family>.c has it. Private to the front end.
 *
 * A builder reads all its source registers before it sets rd, and sets rd after
 * everything that may raise. It leaves the block where control must, through the
 * functions at the end; nothing may be built after rv_leave_*(). */
#pragma once

#include "dbt/base/bits.h"
#include "frontend/riscv/rv_decode.h"
#include "frontend/riscv/rv_helper.h"

enum {
    RV_CAUSE_FETCH_MISALIGNED = 0,
    RV_CAUSE_ILLEGAL = 2,
    RV_CAUSE_BREAKPOINT = 3,
    RV_CAUSE_ECALL = 8, /* plus the privilege */
};

/* A conditional branch leaves by a side exit and the block goes on behind it. More
 * of them than this are rarely reached, and each costs the exits before it nothing
 * but room: the next block starts better. */
enum { RV_MAX_SIDE_EXITS = 4 };

/* Bytes that a jump forward may skip while the block goes on at its target. */
enum { RV_MAX_SKIP = 512 };

/* A block being built, and where in it we are. */
struct rv_build {
    struct ir_block *b;
    const struct rv_cpu_model *model;
    uint32_t mode;      /* RV_MODE_* */
    uint32_t off, next; /* of this instruction and the one that follows, from the page's start */
    unsigned n_side_exits;
    bool done; /* the block has its EXIT */

    /* Virtual time: instructions that are completed and not counted yet, this one
     * apart; and whether this one is counted. */
    unsigned n_uncounted;
    bool counted;

    /* When the instruction before this one is an auipc: its rd, and the offset of
     * what it made from the page's start. rd = 0 otherwise. */
    unsigned auipc_rd;
    int64_t auipc_offset;

    /* --lrsc=strict: no access, nor anything of the system's, has come since an LR of this block.
     */
    bool behind_lr;
};

static inline enum rv_priv rv_build_priv(const struct rv_build *t)
{
    return (enum rv_priv)(t->mode & RV_MODE_PRIV);
}

/* mstatus.FS of the key: 0 off, 3 dirty. */
static inline unsigned rv_build_fs(const struct rv_build *t)
{
    return t->mode >> RV_MODE_FS_SHIFT & 3;
}

/* The function of each row. */
#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i);
#define RVC(name, format, bits, needs, expands)
#include "frontend/riscv/isa/rv_isa.def"
#undef RV
#undef RVC

/* ---- Operands --------------------------------------------------------------------- */

static inline ir_ref rv_get(struct rv_build *t, unsigned r)
{
    if (r == 0)
        return ir_const(t->b, 0);
    return ir_emit(t->b, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, r);
}

static inline void rv_set(struct rv_build *t, unsigned r, ir_ref value)
{
    if (r != 0)
        ir_emit(t->b, IR_set, 0, value, IR_NONE, IR_NONE, r);
}

static inline ir_ref rv_imm(struct rv_build *t, const struct rv_insn *i)
{
    return ir_const(t->b, (uint64_t)i->imm);
}

/* The virtual address `offset` bytes from the start of the block's page. */
static inline ir_ref rv_pc(struct rv_build *t, int64_t offset)
{
    return ir_emit(t->b, IR_pc, 0, IR_NONE, IR_NONE, IR_NONE, (uint64_t)offset);
}

static inline ir_ref rv_select(struct rv_build *t, ir_ref cond, ir_ref x, ir_ref y)
{
    return ir_emit(t->b, IR_select, 0, cond, x, y, 0);
}

/* ---- Meanings that several families share -------------------------------------------- */

/* op(rs1, rs2). The operands are made one after the other, here and everywhere: C
 * leaves the order of arguments open, and a dump must not depend on the compiler. */
static inline ir_ref rv_op_rr(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    ir_ref x = rv_get(t, i->rs1);
    ir_ref y = rv_get(t, i->rs2);

    return ir_op2(t->b, op, x, y);
}

/* op(rs1, imm) */
static inline ir_ref rv_op_ri(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    ir_ref x = rv_get(t, i->rs1);
    ir_ref y = rv_imm(t, i);

    return ir_op2(t->b, op, x, y);
}

/* Every *w result is the low 32 bits, sign-extended. */
static inline void rv_set_w(struct rv_build *t, unsigned r, ir_ref value)
{
    rv_set(t, r, ir_op1(t->b, IR_sext32, value));
}

static inline void bin(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    rv_set(t, i->rd, rv_op_rr(t, i, op));
}

static inline void bin_i(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    rv_set(t, i->rd, rv_op_ri(t, i, op));
}

static inline void un(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    rv_set(t, i->rd, ir_op1(t->b, op, rv_get(t, i->rs1)));
}

/* For operations whose low half does not depend on the operands' upper halves. */
static inline void bin_w(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    rv_set_w(t, i->rd, rv_op_rr(t, i, op));
}

static inline void bin_iw(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    rv_set_w(t, i->rd, rv_op_ri(t, i, op));
}

/* For those where it does: each operand is extended by `extend` before. */
static inline void bin_w_of(struct rv_build *t, const struct rv_insn *i, enum ir_op op,
                            enum ir_op extend)
{
    ir_ref x = ir_op1(t->b, extend, rv_get(t, i->rs1));
    ir_ref y = ir_op1(t->b, extend, rv_get(t, i->rs2));

    rv_set_w(t, i->rd, ir_op2(t->b, op, x, y));
}

/* ---- LR and SC as a pair (build_a.c) ----------------------------------------------------- */

/* Should a block begin with it? */
bool rv_begins_pair(const struct rv_build *t, const struct rv_insn *i);
/* Before each instruction: ends behind_lr where that is so. */
void rv_pair_see(struct rv_build *t, const struct rv_insn *i);

/* ---- Leaving the block, and counting (build_exit.c) ------------------------------------ */

/* Virtual time: counts what is completed, this instruction included. Before
 * everything that may leave the block or look at the clock. Nothing otherwise. */
void rv_count(struct rv_build *t);
/* The same where this instruction does not complete, or is not begun. */
void rv_count_before(struct rv_build *t);
/* What is completed before this instruction, which is counted later: before what may raise an
 * exception, so that the count does not depend on where blocks begin. */
void rv_count_completed(struct rv_build *t);

/* A call of C: rv_helper.h says which operands the helper takes. It may raise, or look at the
 * clock. fast: which atomic the helper is, for the back end (enum ir_fast); 0: none. */
static inline ir_ref rv_call_fast(struct rv_build *t, enum rv_helper_id id, uint8_t fast,
                                  uint32_t k, ir_ref x, ir_ref y)
{
    rv_count_completed(t);
    return ir_emit(t->b, IR_call, fast, x, y, IR_NONE, IR_CALL(id, k));
}

static inline ir_ref rv_call(struct rv_build *t, enum rv_helper_id id, uint32_t k, ir_ref x,
                             ir_ref y)
{
    return rv_call_fast(t, id, 0, k, x, y);
}

/* Leaves for the offset when the comparison holds; the block goes on behind. */
void rv_leave_if(struct rv_build *t, enum ir_cond cond, ir_ref x, ir_ref y, int64_t offset);
/* The block may go on, unless something is pending: after a helper that stores. */
void rv_leave_pending(struct rv_build *t);
/* Behind pause and wrs: where harts take turns, before the guest looks again at what it waits for.
 */
void rv_leave_paused(struct rv_build *t);

void rv_leave_goto(struct rv_build *t, int64_t offset);
void rv_leave_jump(struct rv_build *t, ir_ref target);
/* jal and jalr, which may be calls and returns; these set rd. */
void rv_leave_jal(struct rv_build *t, const struct rv_insn *i, int64_t offset);
void rv_leave_jalr(struct rv_build *t, const struct rv_insn *i, ir_ref target);
/* Goes on behind this instruction under whatever mode is in force then. */
void rv_leave_resume(struct rv_build *t);
/* A trap at this instruction, of which nothing has been done. */
void rv_leave_trap(struct rv_build *t, uint64_t cause, ir_ref tval);
void rv_leave_illegal(struct rv_build *t, const struct rv_insn *i);
