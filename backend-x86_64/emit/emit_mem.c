/* Guest memory. The hit path looks the page up in the view that gs points at:
 *
 *      lea   rax, [base + disp]
 *      rorx  rcx, rax, 12 - 4              index * 16 ...
 *      and   ecx, (entries - 1) * 16       ... masked
 *      and   rax, ~0xfff | (size - 1)      page, and what must be 0 when aligned
 *      cmp   rax, gs:[rcx + table]
 *      jne   slow
 *      mov   rcx, gs:[rcx + table + 8]     addend
 *      mov   dst, [base + rcx + disp]
 *
 * A store may fault on a page whose store view was made read-only after the entry
 * was filled; the signal handler then goes on at `slow`, so up to that instruction
 * base and value are untouched. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

enum { ENTRY_LOG2 = 4, ENTRY_ADDEND = 8 };

static bool is_fp(const struct ir_insn *in)
{
    return in->op == IR_ldf || in->op == IR_stf;
}

static void box(struct x64_emitter *x, unsigned xmm)
{
    x64_vorpd_rrm(&x->c, xmm, xmm, STATE_MEM(fp_box));
}

static void cold_load(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    x64_keep_xmm(x, k->xmm_live, false);
    x64_lea_rm(c, RAX, x64_mem(k->base, k->disp));
    x64_mov32_mi(c, STATE_MEM(slow_info), (int32_t)k->info);
    x64_call_stub(x, X64_STUB_LOAD);
    x64_keep_xmm(x, k->xmm_live, true);
    if (k->op == IR_ld) {
        if (k->dst != X64_NO_REG)
            x64_mov_rr(c, k->dst, RAX);
    } else {
        x64_vmovq_xr_rrr(c, k->dst, 0, RAX);
        if (k->aux != IR_64)
            box(x, k->dst);
    }
    x64_fix(c, x64_jmp(c), k->back);
}

static void cold_store(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    if (k->site) {
        if (x->unit.n_sites == X64_MAX_SITES)
            c->full = true;
        else
            x->unit.site[x->unit.n_sites++] = (struct x64_site){k->site, x64_at(c)};
    }
    x64_keep_xmm(x, k->xmm_live, false);
    /* The value first: it may be in no register but scratch. */
    if (k->op == IR_stf)
        x64_vmovq_rx_rr(c, RCX, k->val);
    else if (k->val == X64_NO_REG)
        x64_mov_imm(c, RCX, k->imm);
    else
        x64_mov_rr(c, RCX, k->val);
    x64_lea_rm(c, RAX, x64_mem(k->base, k->disp));
    x64_mov32_mi(c, STATE_MEM(slow_info), (int32_t)k->info);
    x64_call_stub(x, X64_STUB_STORE);
    x64_keep_xmm(x, k->xmm_live, true);
    x64_fix(c, x64_jmp(c), k->back);
}

struct x64_mem x64_look_up(struct x64_emitter *x, unsigned base, int32_t disp, unsigned size,
                           uint32_t table, uint32_t *miss)
{
    struct x64_code *c = &x->c;
    uint32_t mask = ((1u << x->layout.tlb_bits) - 1) << ENTRY_LOG2;
    struct x64_mem entry = {RCX, X64_NO_REG, 0, true, (int32_t)table};

    if (disp)
        x64_lea_rm(c, RAX, x64_mem(base, disp));
    else
        x64_mov_rr(c, RAX, base);
    x64_rorx(c, RCX, RAX, PAGE_BITS - ENTRY_LOG2);
    x64_and32_ri(c, RCX, (int32_t)mask);
    x64_and_ri(c, RAX, (int32_t)(0xfffff000u | (size - 1)));
    x64_cmp_rm(c, RAX, entry);
    *miss = x64_jcc(c, CC_NE);
    entry.disp += ENTRY_ADDEND;
    x64_mov_rm(c, RCX, entry);
    return (struct x64_mem){(uint8_t)base, RCX, 0, false, disp};
}

static void load_from(struct x64_emitter *x, uint8_t aux, unsigned d, struct x64_mem m)
{
    struct x64_code *c = &x->c;

    switch (aux) {
    case IR_U8: x64_movzx8_rm(c, d, m); break;
    case IR_U16: x64_movzx16_rm(c, d, m); break;
    case IR_U32: x64_mov32_rm(c, d, m); break;
    case IR_S8: x64_movsx8_rm(c, d, m); break;
    case IR_S16: x64_movsx16_rm(c, d, m); break;
    case IR_S32: x64_movsxd_rm(c, d, m); break;
    default: x64_mov_rm(c, d, m);
    }
}

static void load(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned base = x64_gpr(x, in->a);
    unsigned d = is_fp(in) ? x64_def_xmm(x) : x64_def(x);
    uint32_t miss;
    struct x64_mem m =
        x64_look_up(x, base, (int32_t)in->imm, ir_mem_size(in->aux), x->layout.load_off, &miss);
    struct x64_cold *k = x64_cold_add(x, cold_load, miss);

    if (!is_fp(in)) {
        load_from(x, in->aux, d, m);
    } else if (in->aux == IR_64) {
        x64_vmovq_xm_rrm(c, d, 0, m);
    } else {
        x64_vmovss_xm_rrm(c, d, 0, m);
        box(x, d);
        x->val[x->i].boxed = true;
    }
    k->back = x64_at(c);
    k->op = in->op;
    k->aux = in->aux;
    k->info |= (uint32_t)in->aux << 24;
    k->base = (uint8_t)base;
    k->dst = (uint8_t)d;
    k->disp = (int32_t)in->imm;
    k->xmm_live = x64_xmm_live(x);
    if (is_fp(in))
        k->xmm_live &= (uint16_t) ~(1u << d);
}

static void store_reg(struct x64_emitter *x, const struct ir_insn *in, unsigned val,
                      struct x64_mem m)
{
    struct x64_code *c = &x->c;

    if (in->op == IR_stf) {
        if (in->aux == IR_64)
            x64_vmovq_mx_mr(c, m, val);
        else
            x64_vmovss_mx_mr(c, m, val);
        return;
    }
    switch (in->aux & 3) {
    case 0: x64_mov8_mr(c, m, val); break;
    case 1: x64_mov16_mr(c, m, val); break;
    case 2: x64_mov32_mr(c, m, val); break;
    default: x64_mov_mr(c, m, val);
    }
}

static void store_imm(struct x64_emitter *x, const struct ir_insn *in, int32_t imm,
                      struct x64_mem m)
{
    struct x64_code *c = &x->c;

    switch (in->aux & 3) {
    case 0: x64_mov8_imm(c, m, imm); break;
    case 1: x64_mov16_imm(c, m, imm); break;
    case 2: x64_mov32_mi(c, m, imm); break;
    default: x64_mov_mi(c, m, imm);
    }
}

static void store(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned base = x64_gpr(x, in->a);
    int32_t imm = 0;
    bool constant = !is_fp(in) && x64_imm32(x, in->b, &imm);
    unsigned val = X64_NO_REG;
    uint32_t miss;

    if (!constant)
        val = is_fp(in) ? x64_fp_bits(x, in->b) : x64_gpr(x, in->b);
    struct x64_mem m =
        x64_look_up(x, base, (int32_t)in->imm, ir_mem_size(in->aux), x->layout.store_off, &miss);
    struct x64_cold *k = x64_cold_add(x, cold_store, miss);

    k->site = x64_at(c);
    if (constant)
        store_imm(x, in, imm, m);
    else
        store_reg(x, in, val, m);
    k->back = x64_at(c);
    k->op = in->op;
    k->aux = in->aux;
    k->info |= (uint32_t)in->aux << 24;
    k->base = (uint8_t)base;
    k->val = (uint8_t)val;
    k->imm = (uint64_t)(int64_t)imm;
    k->disp = (int32_t)in->imm;
    k->xmm_live = x64_xmm_live(x);
}

void x64_emit_mem(struct x64_emitter *x, const struct ir_insn *in)
{
    if (in->op == IR_ld || in->op == IR_ldf)
        load(x, in);
    else
        store(x, in);
}
