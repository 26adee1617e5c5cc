/* Helpers, fences and time. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

void x64_put_operand(struct x64_emitter *x, unsigned n, ir_ref r)
{
    struct x64_mem slot = x64_state_at(offsetof(struct cpu_state, scratch) + 8 * n);
    int32_t imm;

    if (ir_is_none(r))
        return;
    if (ir_ops[x->b->insn[r.n].op].result == 'F')
        x64_vmovq_mx_mr(&x->c, slot, x64_fp_bits(x, r));
    else if (x64_imm32(x, r, &imm))
        x64_mov_mi(&x->c, slot, imm);
    else
        x64_mov_mr(&x->c, slot, x64_gpr(x, r));
    x->locked = x->xmm_locked = 0;
}

void x64_keep_xmm(struct x64_emitter *x, uint16_t live, bool restore)
{
    unsigned n = 0;

    /* scratch[8..]: the stubs use the ones before. */
    for (uint32_t m = live; m; m &= m - 1, n++) {
        unsigned r = (unsigned)__builtin_ctz(m);
        struct x64_mem slot = x64_state_at(offsetof(struct cpu_state, scratch) + 8 * (8 + n));

        if (restore)
            x64_vmovq_xm_rrm(&x->c, r, 0, slot);
        else
            x64_vmovq_mx_mr(&x->c, slot, r);
    }
}

void x64_call_stub(struct x64_emitter *x, enum x64_stub stub)
{
    unsigned n = x->touches_fp ? stub - X64_STUB_LOAD + X64_STUB_FP_LOAD : stub;

    x64_call_m(&x->c, x64_state_at(offsetof(struct cpu_state, stub) + 8 * n));
}

void x64_call_helper(struct x64_emitter *x, uint32_t insn_off, unsigned id, uint32_t k)
{
    x64_mov32_mi(&x->c, STATE_MEM(insn_off), (int32_t)insn_off);
    x64_mov_imm(&x->c, RAX, id);
    x64_mov32_mi(&x->c, STATE_MEM(helper_k), (int32_t)k);
    x64_call_stub(x, X64_STUB_CALL);
}

static void call(struct x64_emitter *x, const struct ir_insn *in)
{
    if (in->aux) {
        x64_emit_atomic(x, in);
        return;
    }
    x64_put_operand(x, 0, in->a);
    x64_put_operand(x, 1, in->b);
    x64_put_operand(x, 2, in->c);
    x64_claim_all(x);
    x->n_roots = 0; /* it may have changed the view */
    x64_call_helper(x, x->insn_off, ir_call_id(in->imm), ir_call_k(in->imm));
    if (x->val[x->i].last != 0)
        x64_mov_rr(&x->c, x64_def(x), RAX);
}

/* ((clock - tsc_base) * tsc_mult >> 64) + time_add; the clock is the processor's
 * counter, or the instruction count in virtual time. */
static void time_now(struct x64_emitter *x)
{
    struct x64_code *c = &x->c;

    x64_evict(x, RDX);
    if (x->b->virtual_time) {
        x64_mov_rm(c, RAX, STATE_MEM(icount));
    } else {
        /* The counter is read out of order, even before a load in front of a locked instruction;
         * another hart's reading that a guest has loaded would then be later than its own. */
        x64_lfence(c);
        x64_rdtsc(c);
        x64_shl_ri8(c, RDX, 32);
        x64_or_rr(c, RAX, RDX);
    }
    x64_sub_rm(c, RAX, STATE_MEM(tsc_base));
    x64_mul_m(c, STATE_MEM(tsc_mult));
    x64_add_rm(c, RDX, STATE_MEM(time_add));
    if (x->val[x->i].last != 0)
        x64_mov_rr(c, x64_def(x), RDX);
}

/* imm: the bit of `pending`. Locked: other threads set bits too. `limit` stays as it is: behind an
 * IR_irq comes an IR_exit_pending, which looks at `pending` itself, and so does each block under
 * virtual time, which alone has an IR_count. */
static void cold_pend(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_byte(&x->c, 0xf0);
    x64_or32_mi(&x->c, STATE_MEM(pending), (int32_t)k->imm);
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

static void count(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    x64_mov_rm(c, RAX, STATE_MEM(icount));
    x64_add_ri(c, RAX, (int32_t)in->imm);
    x64_mov_mr(c, STATE_MEM(icount), RAX);
    x64_cmp_rm(c, RAX, STATE_MEM(icount_deadline));
    struct x64_cold *k = x64_cold_add(x, cold_pend, x64_jcc(c, CC_AE));

    k->imm = PENDING_TIME;
    k->back = x64_at(c);
}

static void irq(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_gpr(x, in->a);

    x64_test_rr(c, a, a);
    struct x64_cold *k = x64_cold_add(x, cold_pend, x64_jcc(c, CC_NE));

    k->imm = PENDING_IRQ;
    k->back = x64_at(c);
}

/* Earlier stores before later loads: all else is in order on x86 anyway. A locked instruction on a
 * line that is ours takes half as long as mfence. */
static void full_fence(struct x64_code *c)
{
    x64_byte(c, 0xf0);
    x64_or32_mi(c, STATE_MEM(scratch[0]), 0);
}

void x64_emit_call(struct x64_emitter *x, const struct ir_insn *in)
{
    switch (in->op) {
    case IR_call: call(x, in); break;
    case IR_time: time_now(x); break;
    case IR_count: count(x, in); break;
    case IR_irq: irq(x, in); break;
    case IR_fence:
        if (in->aux)
            full_fence(&x->c);
        break;
    default: CHECK(!"every effect of ir.def has a case here");
    }
}
