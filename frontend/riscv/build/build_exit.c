/* How blocks are left, and what virtual time must hear before. */
#include "frontend/riscv/build/rv_build.h"

static void count(struct rv_build *t, unsigned n)
{
    if (t->b->virtual_time && n > 0)
        ir_emit(t->b, IR_count, 0, IR_NONE, IR_NONE, IR_NONE, n);
    t->n_uncounted = 0;
    t->counted = true;
}

void rv_count(struct rv_build *t)
{
    if (!t->counted)
        count(t, t->n_uncounted + 1);
}

void rv_count_before(struct rv_build *t)
{
    count(t, t->n_uncounted);
}

void rv_count_completed(struct rv_build *t)
{
    if (t->counted)
        return;
    count(t, t->n_uncounted);
    t->counted = false;
}

void rv_leave_if(struct rv_build *t, enum ir_cond cond, ir_ref x, ir_ref y, int64_t offset)
{
    rv_count(t);
    ir_emit(t->b, IR_exit_if, (uint8_t)cond, x, y, IR_NONE, (uint64_t)offset);
    t->n_side_exits++;
}

void rv_leave_pending(struct rv_build *t)
{
    rv_count(t);
    ir_emit(t->b, IR_exit_pending, 0, IR_NONE, IR_NONE, IR_NONE, t->next);
}

void rv_leave_paused(struct rv_build *t)
{
    if (t->b->virtual_time)
        rv_leave_pending(t);
}

static void leave_goto(struct rv_build *t, enum ir_flow flow, ir_ref link, int64_t offset)
{
    rv_count(t);
    ir_emit(t->b, IR_exit_goto, (uint8_t)flow, link, IR_NONE, IR_NONE, (uint64_t)offset);
    t->done = true;
}

static void leave_jump(struct rv_build *t, enum ir_flow flow, ir_ref link, ir_ref target)
{
    rv_count(t);
    ir_emit(t->b, IR_exit_jump, (uint8_t)flow, target, link, IR_NONE, 0);
    t->done = true;
}

void rv_leave_goto(struct rv_build *t, int64_t offset)
{
    leave_goto(t, IR_PLAIN, IR_NONE, offset);
}

void rv_leave_jump(struct rv_build *t, ir_ref target)
{
    leave_jump(t, IR_PLAIN, IR_NONE, target);
}

/* The registers that hold return addresses (Unprivileged ISA, "Unconditional Jumps"). */
static bool is_link(unsigned r)
{
    return r == 1 || r == 5;
}

/* A call that comes back into the next page is not worth foreseeing. */
static bool is_call(const struct rv_build *t, const struct rv_insn *i)
{
    return is_link(i->rd) && t->next < PAGE_SIZE;
}

void rv_leave_jal(struct rv_build *t, const struct rv_insn *i, int64_t offset)
{
    bool call = is_call(t, i);
    ir_ref link = i->rd ? rv_pc(t, t->next) : IR_NONE;

    rv_set(t, i->rd, link);
    leave_goto(t, call ? IR_CALLS : IR_PLAIN, call ? link : IR_NONE, offset);
}

void rv_leave_jalr(struct rv_build *t, const struct rv_insn *i, ir_ref target)
{
    bool call = is_call(t, i);
    ir_ref link = i->rd ? rv_pc(t, t->next) : IR_NONE;
    enum ir_flow flow = is_link(i->rs1) && !is_link(i->rd) ? IR_RETURN : IR_PLAIN;

    rv_set(t, i->rd, link);
    leave_jump(t, call ? IR_CALLS : flow, call ? link : IR_NONE, target);
}

void rv_leave_resume(struct rv_build *t)
{
    rv_leave_jump(t, rv_pc(t, t->next));
}

void rv_leave_trap(struct rv_build *t, uint64_t cause, ir_ref tval)
{
    rv_count_before(t); /* it does not retire */
    ir_emit(t->b, IR_exit_trap, 0, tval, IR_NONE, IR_NONE, cause);
    t->done = true;
}

void rv_leave_illegal(struct rv_build *t, const struct rv_insn *i)
{
    rv_leave_trap(t, RV_CAUSE_ILLEGAL, ir_const(t->b, i->word));
}
