/* Where control leaves a block. A direct exit is a rel32 that first leads to its
 * own stub, which asks the run loop for the target; x64_patch() then points it at
 * the target's code. Leaving the page is guarded by a cell (struct page_cell): the
 * link holds only while the page we come from is mapped as it was. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

static bool leaves_page(int64_t target)
{
    return target < 0 || target >= PAGE_SIZE;
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

/* ecx, rdx: which exit this is. */
static void name_exit(struct x64_emitter *x, unsigned n)
{
    x64_mov_imm(&x->c, RCX, n);
    x64_lea_rm(&x->c, RDX, x64_mem(X64_RIP, 0));
}

/* imm: the exit. */
static void cold_link(struct x64_emitter *x, const struct x64_cold *k)
{
    x->unit.exit[k->imm].stub = x64_at(&x->c);
    name_exit(x, (unsigned)k->imm);
    x64_jmp_m(&x->c, STATE_MEM(stub[X64_STUB_LINK]));
}

/* The guard failed: link now if that was never done, else look the target up. */
static void cold_unguarded(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    struct x64_exit *e = &x->unit.exit[k->imm];

    x64_mov_rm(c, RAX, STATE_MEM(page_va));
    x64_add_ri(c, RAX, e->target);
    name_exit(x, (unsigned)k->imm);
    x64_jmp_m(c, STATE_MEM(stub[X64_STUB_LOOKUP_LINK]));
    /* The data lies behind the code of the exit, away from what is executed often. */
    x64_align(c, 8, 0);
    e->cell = x64_at(c);
    x64_u64(c, PAGE_CELL_EMPTY);
    x64_u64(c, 0);
    x64_u64(c, 0);
    /* Now the three references to the cell can be filled. */
    for (unsigned f = 0; f < 3; f++) {
        uint32_t at = (uint32_t)(f == 0 ? (uint32_t)k->disp : f == 1 ? k->info : k->back);

        x64_fix(c, at, e->cell + 8 * f);
    }
}

/* A rip-relative operand whose rel32 is filled when the cell is placed. */
static uint32_t load_cell(struct x64_emitter *x, unsigned reg, bool compare)
{
    struct x64_mem later = x64_mem(X64_RIP, 0);

    if (compare)
        x64_cmp_rm(&x->c, reg, later);
    else
        x64_mov_rm(&x->c, reg, later);
    return x64_at(&x->c) - 4;
}

static void guarded_jump(struct x64_emitter *x, unsigned n)
{
    struct x64_code *c = &x->c;

    x64_mov_rm(c, RAX, STATE_MEM(page_tag));
    uint32_t tag = load_cell(x, RAX, true);
    struct x64_cold *k = x64_cold_add(x, cold_unguarded, x64_jcc(c, CC_NE));
    uint32_t next_va = load_cell(x, RCX, false);

    x64_mov_mr(c, STATE_MEM(page_va), RCX);
    uint32_t next_tag = load_cell(x, RDX, false);

    x64_mov_mr(c, STATE_MEM(page_tag), RDX);
    x->unit.exit[n].jump = x64_jmp_patchable(c);
    k->imm = n;
    k->disp = (int32_t)tag;
    k->info = next_va;
    k->back = next_tag;
    /* Reached only while the cell holds a tag, which is while it is linked; the
     * stub stands behind it all the same. */
    struct x64_cold *link = x64_cold_add(x, cold_link, x->unit.exit[n].jump);

    link->imm = n;
}

static void cold_guarded(struct x64_emitter *x, const struct x64_cold *k)
{
    guarded_jump(x, (unsigned)k->imm);
}

static void exit_goto(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned n = add_exit(x, (int64_t)in->imm);

    if (leaves_page((int64_t)in->imm)) {
        guarded_jump(x, n);
        return;
    }
    x->unit.exit[n].jump = x64_jmp_patchable(&x->c);
    struct x64_cold *k = x64_cold_add(x, cold_link, x->unit.exit[n].jump);

    k->imm = n;
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
    bool far = leaves_page((int64_t)in->imm);

    /* The no-ops that align the jump's field go before the comparison, which the
     * processor fuses with the jump. Its length is found by writing it. */
    for (unsigned pass = far ? 1 : 0; pass < 2; pass++) {
        uint8_t *at = c->p;

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
    struct x64_cold *k = x64_cold_add(x, far ? cold_guarded : cold_link, field);

    k->imm = n;
    if (!far)
        x->unit.exit[n].jump = field;
}

static void cold_lookup(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_jmp_m(&x->c, STATE_MEM(stub[k->imm]));
}

/* Indirect: the jump cache, inline for the half of the address space that the block runs
 * in. An address that is no sign extension of its low 40 bits never gets there: then a
 * tag would not tell address and salt apart. */
static void exit_jump(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_gpr(x, in->a);
    struct x64_mem entry = x64_state_at(offsetof(struct cpu_state, jump));

    x64_mov_rr(c, RAX, a);
    x64_mov_rr(c, RDX, a);
    if (x->b->upper_half) {
        x64_sar_ri8(c, RDX, 39);
        x64_add_ri(c, RDX, 1);
    } else {
        x64_shr_ri8(c, RDX, 39);
    }
    x64_cold_add(x, cold_lookup, x64_jcc(c, CC_NE))->imm = X64_STUB_LOOKUP_ANY;
    x64_mov_rm(c, RDX, x->b->upper_half ? STATE_MEM(salt[1]) : STATE_MEM(salt[0]));
    x64_xor_rr(c, RDX, RAX);
    /* (va >> 1 & mask) * 16 = (va & mask << 1) * 8 */
    x64_mov32_rr(c, RCX, RAX);
    x64_and32_ri(c, RCX, ((1 << JUMP_BITS) - 1) << 1);
    entry.index = RCX;
    entry.scale = 3;
    x64_cmp_rm(c, RDX, entry);
    x64_cold_add(x, cold_lookup, x64_jcc(c, CC_NE))->imm = X64_STUB_LOOKUP;
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
    x64_jmp_m(c, entry);
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
