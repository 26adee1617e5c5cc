/* Where control leaves a block. A direct exit is a rel32 that first leads to its
 * own stub, which asks the run loop for the target; x64_patch() then points it at
 * the target's code. Leaving the page is guarded by a cell (struct page_cell): the
 * link holds only while the page we come from is mapped as it was. So is what leads to where an
 * instruction may straddle, which is of the next page as well. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

static bool leaves_page(int64_t target)
{
    return target < 0 || target >= PAGE_SIZE;
}

static bool needs_guard(const struct x64_emitter *x, int64_t target)
{
    return leaves_page(target) || x64_may_straddle(x->b, target);
}

static unsigned add_exit(struct x64_emitter *x, int64_t target)
{
    if (x->unit.n_exits == X64_MAX_EXITS) {
        x->c.full = true;
        return 0;
    }
    x->unit.exit[x->unit.n_exits] = (struct x64_exit){.target = (int32_t)target};
    return x->unit.n_exits++;
}

/* May the block it leads to go without a look at `pending`? Not behind a helper, which may have set
 * it; and not when it goes back, so that each circle has one. Nor does a call: so what is between
 * two looks is at most as many returns as were pushed, and jumps onwards in a page between them.
 * Virtual time stops at every block. */
static bool goes_onward(const struct x64_emitter *x, int64_t target)
{
    return !leaves_page(target) && target > (int64_t)x->b->start && !x->b->virtual_time &&
           !x->calls;
}

/* Of an exit within the page that is no call: where in the target's code it may lead. */
static void choose_entry(const struct x64_emitter *x, struct x64_exit *e)
{
    e->turns = e->target == (int64_t)x->b->start;
    e->onward = goes_onward(x, e->target);
}

/* ecx, rdx: which exit this is. In cold code only: before, cold_at is not known. */
static void name_exit(struct x64_emitter *x, unsigned n)
{
    x64_mov_imm(&x->c, RCX, n);
    x64_lea_rm(&x->c, RDX, x64_mem(X64_RIP, (int32_t)x->unit.cold_at));
}

/* imm: the exit. */
static void cold_link(struct x64_emitter *x, const struct x64_cold *k)
{
    x->unit.exit[k->imm].stub = x64_at(&x->c);
    name_exit(x, (unsigned)k->imm);
    x64_jmp_m(&x->c, STATE_MEM(stub[X64_STUB_LINK]));
}

/* ---- Calls and their returns -------------------------------------------------------------
 *
 * A call pushes the guest address that it expects to be returned to, and is a call of the host;
 * a return compares its target with that address, and is a return of the host, which its
 * predictor foresees. It comes to the landing behind the call, an exit to the block that goes
 * on there. When the two differ (longjmp, another task's stack), all that is expected is
 * forgotten. What is pushed holds under the salts in force, no longer (returns_stale), and
 * while its code is there: who evicts code has left the blocks before. */

static void cold_full(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov_rm(&x->c, RSP, STATE_MEM(returns));
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

static void push_return(struct x64_emitter *x, ir_ref to)
{
    struct x64_code *c = &x->c;
    unsigned reg = x64_gpr(x, to);

    x64_test_esp(c, X64_RETURNS - 16);
    struct x64_cold *k = x64_cold_add(x, cold_full, x64_jcc(c, CC_E));

    k->back = x64_at(c);
    x64_push(c, reg);
}

/* rcx: the page of the landing, which is not the one in force. */
static void set_page(struct x64_code *c)
{
    x64_mov_rr(c, RDX, RCX);
    x64_shr_ri8(c, RDX, 63);
    x64_mov_rm(c, RDX, (struct x64_mem){RBP, RDX, 3, false, STATE_MEM(salt).disp});
    x64_xor_rr(c, RDX, RCX);
    x64_mov_mr(c, STATE_MEM(page_va), RCX);
    x64_mov_mr(c, STATE_MEM(page_tag), RDX);
}

static void cold_set_page(struct x64_emitter *x, const struct x64_cold *k)
{
    set_page(&x->c);
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

/* What follows a call, which an exit without a guard leads to; where it would need one, the jump
 * caches do. far: the call left the page, most likely. */
static void land(struct x64_emitter *x, bool far)
{
    struct x64_code *c = &x->c;
    const int64_t target = x->insn_off + x->insn_len;

    if (needs_guard(x, target)) {
        x64_pop(c, RAX);
        x64_jmp_m(c, STATE_MEM(stub[X64_STUB_LOOKUP_ANY]));
        return;
    }
    unsigned n = add_exit(x, target);

    x->unit.exit[n].onward = goes_onward(x, target);
    x->unit.exit[n].lands = true;
    x64_pop(c, RCX);
    x64_and_ri(c, RCX, -PAGE_SIZE);
    if (far) {
        set_page(c);
    } else {
        x64_cmp_rm(c, RCX, STATE_MEM(page_va));
        struct x64_cold *k = x64_cold_add(x, cold_set_page, x64_jcc(c, CC_NE));

        k->back = x64_at(c);
    }
    x->unit.exit[n].jump = x64_jmp_patchable(c);
    x64_cold_add(x, cold_link, x->unit.exit[n].jump)->imm = n;
}

/* ---- Direct exits ------------------------------------------------------------------------ */

/* Gives the rel32 of the operand, which is filled when the cell is placed. */
static uint32_t compare_cell(struct x64_emitter *x, unsigned reg)
{
    x64_cmp_rm(&x->c, reg, x64_mem(X64_RIP, 0));
    return x64_at(&x->c) - 4;
}

/* The guard failed: link now if that was never done, even where the jump cache knows the target,
 * else look the target up. */
static void cold_unguarded(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    struct x64_exit *e = &x->unit.exit[k->imm];

    x64_mov_rm(c, RAX, STATE_MEM(page_va));
    x64_add_ri(c, RAX, e->target);
    name_exit(x, (unsigned)k->imm);
    x64_mov_imm(c, RBX, PAGE_CELL_EMPTY);
    uint32_t cell = compare_cell(x, RBX);
    uint32_t never = x64_jcc(c, CC_E);

    if (k->aux == IR_CALLS) {
        x64_call_m(c, STATE_MEM(stub[X64_STUB_LOOKUP_LINK]));
        x64_fix(c, x64_jmp(c), k->landing);
    } else {
        x64_jmp_m(c, STATE_MEM(stub[X64_STUB_LOOKUP_LINK]));
    }
    x64_fix(c, never, x64_at(c));
    x64_jmp_m(c, STATE_MEM(stub[X64_STUB_LINK]));
    /* The data lies behind the code of the exit, away from what is executed often. */
    x64_align(c, 8, 0);
    e->cell = x64_at(c);
    x64_u64(c, PAGE_CELL_EMPTY);
    x64_fix(c, k->info, e->cell);
    x64_fix(c, cell, e->cell);
}

/* Behind the guard, where the page is the target's already. Comes here who has seen the cell that
 * another hart has just linked and not yet the jump: the run loop goes on at the target. */
static void cold_late(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_exit *e = &x->unit.exit[k->imm];

    e->stub = x64_at(&x->c);
    x64_mov_imm(&x->c, RAX, (uint64_t)e->target & (PAGE_SIZE - 1));
    x64_jmp_m(&x->c, STATE_MEM(stub[X64_STUB_PENDING]));
}

/* rax: page_tag. */
static void go_to_page(struct x64_code *c, int64_t target)
{
    x64_mov_rm(c, RCX, STATE_MEM(page_va));
    x64_xor_rr(c, RAX, RCX); /* the salt */
    x64_add_ri(c, RCX, (int32_t)(target & -PAGE_SIZE));
    x64_mov_mr(c, STATE_MEM(page_va), RCX);
    x64_xor_rr(c, RAX, RCX);
    x64_mov_mr(c, STATE_MEM(page_tag), RAX);
}

/* flow: IR_CALLS when it is one. */
static void guarded_jump(struct x64_emitter *x, unsigned n, uint8_t flow)
{
    struct x64_code *c = &x->c;
    const int64_t target = x->unit.exit[n].target;

    x64_mov_rm(c, RAX, STATE_MEM(page_tag));
    uint32_t tag = compare_cell(x, RAX);
    struct x64_cold *k = x64_cold_add(x, cold_unguarded, x64_jcc(c, CC_NE));

    if (leaves_page(target))
        go_to_page(c, target);
    x->unit.exit[n].jump = flow == IR_CALLS ? x64_call_patchable(c) : x64_jmp_patchable(c);
    k->imm = n;
    k->info = tag;
    k->aux = flow;
    k->landing = x64_at(c);
    x64_cold_add(x, cold_late, x->unit.exit[n].jump)->imm = n;
}

static void cold_guarded(struct x64_emitter *x, const struct x64_cold *k)
{
    guarded_jump(x, (unsigned)k->imm, IR_PLAIN);
}

static void exit_goto(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned n = add_exit(x, (int64_t)in->imm);

    if (in->aux == IR_CALLS)
        push_return(x, in->a);
    if (needs_guard(x, (int64_t)in->imm)) {
        guarded_jump(x, n, in->aux);
    } else {
        if (in->aux != IR_CALLS)
            choose_entry(x, &x->unit.exit[n]);
        x->unit.exit[n].jump =
            in->aux == IR_CALLS ? x64_call_patchable(&x->c) : x64_jmp_patchable(&x->c);
        x64_cold_add(x, cold_link, x->unit.exit[n].jump)->imm = n;
    }
    if (in->aux == IR_CALLS)
        land(x, leaves_page((int64_t)in->imm));
}

static void exit_if(struct x64_emitter *x, const struct ir_insn *in)
{
    static const uint8_t cc_of[] = {[IR_EQ] = CC_E,  [IR_NE] = CC_NE, [IR_LT] = CC_L,
                                    [IR_GE] = CC_GE, [IR_LTU] = CC_B, [IR_GEU] = CC_AE};
    struct x64_code *c = &x->c;
    unsigned n = add_exit(x, (int64_t)in->imm);
    unsigned a = x64_gpr(x, in->a);
    unsigned b = X64_NO_REG;
    struct x64_mem m;
    int32_t imm = 0;
    bool is_imm = x64_imm32(x, in->b, &imm);
    bool in_memory = !is_imm && x64_operand(x, in->b, &b, &m);
    bool guarded = needs_guard(x, (int64_t)in->imm);
    uint32_t from = 0;

    /* The no-ops that align the jump's field go before the comparison, which the
     * processor fuses with the jump. Its length is found by writing it. */
    for (unsigned pass = guarded ? 1 : 0; pass < 2; pass++) {
        uint8_t *at = c->p;

        from = x64_at(c);
        if (in_memory)
            x64_cmp_rm(c, a, m);
        else if (!is_imm)
            x64_cmp_rr(c, a, b);
        else if (imm == 0)
            x64_test_rr(c, a, a);
        else
            x64_cmp_ri(c, a, imm);
        if (pass == 0) {
            uint32_t field = x64_at(c) + 2;

            c->p = at;
            x64_align(c, 4, (x64_at(c) - field) & 3);
        }
    }
    uint32_t field = x64_jcc(c, (enum x64_cc)cc_of[in->aux]);

    x64_pair_add(x, from);

    struct x64_cold *k = x64_cold_add(x, guarded ? cold_guarded : cold_link, field);

    k->imm = n;
    if (!guarded) {
        x->unit.exit[n].jump = field;
        choose_entry(x, &x->unit.exit[n]);
    }
}

/* ---- Indirect exits ---------------------------------------------------------------------- */

static void cold_lookup(struct x64_emitter *x, const struct x64_cold *k)
{
    if (k->aux != IR_CALLS) {
        x64_jmp_m(&x->c, STATE_MEM(stub[k->imm]));
        return;
    }
    x64_call_m(&x->c, STATE_MEM(stub[k->imm]));
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

/* To rax: the jump cache, inline for the half of the address space that the block runs
 * in. An address that is no sign extension of its low 40 bits never gets there: then a
 * tag would not tell address and salt apart. */
static void jump_to_rax(struct x64_emitter *x, uint8_t flow)
{
    struct x64_code *c = &x->c;
    struct x64_mem entry = x64_state_at(offsetof(struct cpu_state, jump));
    struct x64_cold *odd, *miss;

    x64_mov_rr(c, RDX, RAX);
    if (x->b->upper_half) {
        x64_sar_ri8(c, RDX, 39);
        x64_add_ri(c, RDX, 1);
    } else {
        x64_shr_ri8(c, RDX, 39);
    }
    odd = x64_cold_add(x, cold_lookup, x64_jcc(c, CC_NE));
    odd->imm = X64_STUB_LOOKUP_ANY;
    x64_mov_rm(c, RDX, x->b->upper_half ? STATE_MEM(salt[1]) : STATE_MEM(salt[0]));
    x64_xor_rr(c, RDX, RAX);
    /* (va >> 1 & mask) * 16 = (va & mask << 1) * 8 */
    x64_mov32_rr(c, RCX, RAX);
    x64_and32_ri(c, RCX, ((1 << JUMP_BITS) - 1) << 1);
    entry.index = RCX;
    entry.scale = 3;
    x64_cmp_rm(c, RDX, entry);
    miss = x64_cold_add(x, cold_lookup, x64_jcc(c, CC_NE));
    miss->imm = X64_STUB_LOOKUP;
    x64_and_ri(c, RAX, -PAGE_SIZE);
    /* Within a page nothing is stored, though storing would be shorter: the stores' data
     * come late, and on Zen 4 later loads were seen to wait for them (the benchmark interp:
     * 2.6 times slower). page_tag follows page_va (softmmu: mmu_refresh). */
    x64_cmp_rm(c, RAX, STATE_MEM(page_va));
    uint32_t same_page = x64_jcc(c, CC_E);

    x64_and_ri(c, RDX, -PAGE_SIZE);
    x64_mov_mr(c, STATE_MEM(page_va), RAX);
    x64_mov_mr(c, STATE_MEM(page_tag), RDX);
    x64_fix(c, same_page, x64_at(c));
    entry.disp += 8;
    if (flow == IR_CALLS)
        x64_call_m(c, entry);
    else
        x64_jmp_m(c, entry);
    odd->aux = miss->aux = flow;
    odd->back = miss->back = x64_at(c);
}

/* Not where the last call expects it. */
static void cold_return(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov_rr(&x->c, RAX, k->base);
    x64_mov_rm(&x->c, RSP, STATE_MEM(returns));
    jump_to_rax(x, IR_PLAIN);
}

static void exit_jump(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    unsigned a = x64_gpr(x, in->a);

    if (in->aux == IR_RETURN) {
        x64_cmp_rm(c, a, x64_mem(RSP, 8));
        x64_cold_add(x, cold_return, x64_jcc(c, CC_NE))->base = (uint8_t)a;
        x64_ret(c);
        return;
    }
    if (in->aux == IR_CALLS)
        push_return(x, in->b);
    x64_mov_rr(c, RAX, a);
    jump_to_rax(x, in->aux);
    if (in->aux == IR_CALLS)
        land(x, false);
}

static void exit_trap(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_gpr(x, in->a);

    x64_mov_mr(c, STATE_MEM(exit_tval), a);
    x64_mov_imm(c, RAX, in->imm);
    x64_mov_mr(c, STATE_MEM(exit_cause), RAX);
    x64_mov32_mi(c, STATE_MEM(insn_off), (int32_t)x->insn_off);
    x64_jmp_m(c, STATE_MEM(stub[X64_STUB_TRAP]));
}

void x64_emit_flow(struct x64_emitter *x, const struct ir_insn *in)
{
    switch (in->op) {
    case IR_exit_if: exit_if(x, in); break;
    case IR_exit_goto: exit_goto(x, in); break;
    case IR_exit_jump: exit_jump(x, in); break;
    case IR_exit_trap: exit_trap(x, in); break;
    default: CHECK(!"every exit of ir.def has a case here");
    }
}
