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
 * In a hot block the access has a cell, and asks the table only when that is of another page,
 *
 *      lea   rax, [base + disp]
 *      and   rax, ~0xfff | (size - 1)
 *      cmp   rax, gs:[cell]
 *      jne   cold                          the table; fills the cell, goes on at the access
 *      mov   rcx, gs:[cell + 8]
 *      mov   dst, [base + rcx + disp]
 *
 * Accesses near each other (x64_share.c) pay that once; the leader's looks a span up,
 *
 *      rorx  rcx, base, 12 - 4             or of base + first, by a lea
 *      lea   rax, [base + last]
 *      ...                                 as above, with no low bits: the span is in one page
 *      mov   addend, gs:[rcx + table + 8]
 *      mov   dst, [base + addend + disp]
 *
 * and a member has
 *
 *      test  addend, addend                (mov rcx, [rsp + slot] before, when it has no register)
 *      je    cold
 *      mov   dst, [base + addend + disp]
 *
 * Where there is a window (x64_window.c) all of that is the host's MMU's.
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

static bool wants_cell(const struct x64_emitter *x)
{
    return x->cells && !x64_is_wild_at(x, x->insn_off);
}

static struct x64_mem cell_at(const struct x64_emitter *x, unsigned cell)
{
    return (struct x64_mem){X64_NO_REG, X64_NO_REG, 0, true,
                            (int32_t)(x->layout.cell_off + (cell << ENTRY_LOG2))};
}

/* As x64_look_up(), with a cell. */
static struct x64_mem look_up_cell(struct x64_emitter *x, unsigned base, int32_t disp,
                                   unsigned size, bool store, struct x64_cold *how, uint32_t *miss)
{
    struct x64_code *c = &x->c;
    unsigned n = x->next_cell[store]++ % x->layout.n_cells + (store ? x->layout.n_cells : 0);
    struct x64_mem cell = cell_at(x, n);

    how->cell = (uint16_t)n;
    if (disp)
        x64_lea_rm(c, RAX, x64_mem(base, disp));
    else
        x64_mov_rr(c, RAX, base);
    x64_and_ri(c, RAX, (int32_t)(0xfffff000u | (size - 1)));
    x64_cmp_rm(c, RAX, cell);
    *miss = x64_jcc(c, CC_NE);
    cell.disp += ENTRY_ADDEND;
    x64_mov_rm(c, RCX, cell);
    how->hit = x64_at(c);
    return (struct x64_mem){(uint8_t)base, RCX, 0, false, disp};
}

static void load_int(struct x64_emitter *x, uint8_t aux, unsigned d, struct x64_mem m)
{
    struct x64_code *c = &x->c;

    switch (aux & ~IR_JOINED) {
    case IR_U8: x64_movzx8_rm(c, d, m); break;
    case IR_U16: x64_movzx16_rm(c, d, m); break;
    case IR_U32: x64_mov32_rm(c, d, m); break;
    case IR_S8: x64_movsx8_rm(c, d, m); break;
    case IR_S16: x64_movsx16_rm(c, d, m); break;
    case IR_S32: x64_movsxd_rm(c, d, m); break;
    default: x64_mov_rm(c, d, m);
    }
}

static void load_from(struct x64_emitter *x, unsigned op, uint8_t aux, unsigned d, struct x64_mem m)
{
    if (op == IR_ld) {
        load_int(x, aux, d, m);
    } else if (aux == IR_64) {
        x64_vmovq_xm_rrm(&x->c, d, 0, m);
    } else {
        x64_vmovss_xm_rrm(&x->c, d, 0, m);
        box(x, d);
    }
}

static void store_reg(struct x64_emitter *x, unsigned op, uint8_t aux, unsigned val,
                      struct x64_mem m)
{
    struct x64_code *c = &x->c;

    if (op == IR_stf) {
        if (aux == IR_64)
            x64_vmovq_mx_mr(c, m, val);
        else
            x64_vmovss_mx_mr(c, m, val);
        return;
    }
    switch (aux & 3) {
    case 0: x64_mov8_mr(c, m, val); break;
    case 1: x64_mov16_mr(c, m, val); break;
    case 2: x64_mov32_mr(c, m, val); break;
    default: x64_mov_mr(c, m, val);
    }
}

static void store_imm(struct x64_emitter *x, uint8_t aux, int32_t imm, struct x64_mem m)
{
    struct x64_code *c = &x->c;

    switch (aux & 3) {
    case 0: x64_mov8_imm(c, m, imm); break;
    case 1: x64_mov16_imm(c, m, imm); break;
    case 2: x64_mov32_mi(c, m, imm); break;
    default: x64_mov_mi(c, m, imm);
    }
}

/* Stores register val, or the constant when there is none. Gives the offset of the one
 * instruction that may fault. */
static uint32_t store_to(struct x64_emitter *x, unsigned op, uint8_t aux, unsigned val, int32_t imm,
                         struct x64_mem m)
{
    uint32_t site = x64_at(&x->c);

    if (val == X64_NO_REG)
        store_imm(x, aux, imm, m);
    else
        store_reg(x, op, aux, val, m);
    return site;
}

/* ---- Cold parts ------------------------------------------------------------------------ */

/* The members that follow find no addend, and look up for themselves. */
static void spoil(struct x64_emitter *x, const struct x64_cold *k)
{
    if (k->addend == X64_NO_REG)
        x64_mov_mi(&x->c, x64_frame_slot(k->slot), 0);
    else
        x64_mov_imm(&x->c, k->addend, 0);
}

/* rax has the tag still. */
static void fill_cell(struct x64_emitter *x, const struct x64_cold *k, enum x64_stub fill)
{
    struct x64_code *c = &x->c;

    x64_mov_imm(c, RCX, (uint64_t)k->cell << ENTRY_LOG2);
    x64_call_m(c, STATE_MEM(stub[fill]));
    x64_fix(c, x64_jcc(c, CC_E), k->hit);
}

/* Where the shared look-up did not serve (the span crosses a page's end, say), the access's
 * own one, as it is without sharing. */
static struct x64_mem look_up_cold(struct x64_emitter *x, const struct x64_cold *k, uint32_t table,
                                   uint32_t *miss)
{
    if (k->share == SHARE_LEADER)
        spoil(x, k);
    return x64_look_up(x, k->base, k->disp, ir_mem_size(k->aux), table, miss);
}

static void load_alone(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    uint32_t miss;
    struct x64_mem m = look_up_cold(x, k, x->layout.load_off, &miss);

    load_from(x, k->op, k->aux, k->dst, m);
    x64_fix(c, x64_jmp(c), k->back);
    x64_fix(c, miss, x64_at(c));
}

static uint32_t store_alone(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    uint32_t miss;
    struct x64_mem m = look_up_cold(x, k, x->layout.store_off, &miss);
    uint32_t site = store_to(x, k->op, k->aux, k->val, (int32_t)k->imm, m);

    x64_fix(c, x64_jmp(c), k->back);
    x64_fix(c, miss, x64_at(c));
    return site;
}

static void cold_load(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    if (k->site)
        x64_site_add(x, k->site, x64_at(c));
    if (k->share != SHARE_NONE)
        load_alone(x, k);
    if (k->hit)
        fill_cell(x, k, X64_STUB_FILL_LOAD);
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
    uint32_t alone = k->share == SHARE_NONE ? 0 : store_alone(x, k);

    if (k->hit)
        fill_cell(x, k, X64_STUB_FILL_STORE);
    x64_site_add(x, k->site, x64_at(c));
    if (alone)
        x64_site_add(x, alone, x64_at(c));
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
    /* It may have faulted, as the next one would: those ask the tables. */
    if (k->share == SHARE_LEADER || k->share == SHARE_MEMBER)
        spoil(x, k);
    x64_fix(c, x64_jmp(c), k->back);
}

/* ---- Shared look-ups (x64_share.c) ----------------------------------------------------- */

static struct x64_share *share_of(struct x64_emitter *x)
{
    unsigned g = x->share_of[x->i];

    return g == X64_NO_SHARE || x->share[g].n < X64_SHARE_MIN ? NULL : &x->share[g];
}

/* The entry is that of the span's first byte, or of the base where that is not far below it; the
 * tag must be the last byte's page. So one comparison answers for every access, misaligned ones as
 * well: a page and the next have different entries. base + disp is the leader's address. */
static uint32_t look_up_span(struct x64_emitter *x, const struct x64_share *s, unsigned base,
                             int32_t disp, unsigned addend)
{
    struct x64_code *c = &x->c;
    uint32_t mask = ((1u << x->layout.tlb_bits) - 1) << ENTRY_LOG2;
    uint32_t table = s->store ? x->layout.store_off : x->layout.load_off;
    struct x64_mem entry = {RCX, X64_NO_REG, 0, true, (int32_t)table};
    int32_t first = disp - s->lead + s->first, last = disp - s->lead + s->last;

    if (first >= 0 && last < X64_SPAN_MAX) {
        x64_rorx(c, RCX, base, PAGE_BITS - ENTRY_LOG2);
    } else {
        x64_lea_rm(c, RCX, x64_mem(base, first));
        x64_rorx(c, RCX, RCX, PAGE_BITS - ENTRY_LOG2);
    }
    x64_lea_rm(c, RAX, x64_mem(base, last));
    x64_and32_ri(c, RCX, (int32_t)mask);
    x64_and_ri(c, RAX, (int32_t)0xfffff000u);
    x64_cmp_rm(c, RAX, entry);
    uint32_t miss = x64_jcc(c, CC_NE);

    entry.disp += ENTRY_ADDEND;
    x64_mov_rm(c, addend, entry);
    return miss;
}

/* As look_up(), for the access being emitted; *how gets what its cold part must know. */
static struct x64_mem look_up_shared(struct x64_emitter *x, const struct ir_insn *in, unsigned base,
                                     struct x64_cold *how, uint32_t *miss)
{
    struct x64_code *c = &x->c;
    unsigned g = x->share_of[x->i];
    const struct x64_val *v = &x->val[X64_SHARE_VAL + g];
    bool first = v->where == V_NONE;
    unsigned held = first ? x64_addend_def(x, g) : x64_addend_use(x, g);
    unsigned addend = held == X64_NO_REG ? RCX : held;

    how->share = first ? SHARE_LEADER : v->last == x->i ? SHARE_LAST : SHARE_MEMBER;
    how->addend = (uint8_t)held;
    how->slot = v->slot;
    if (first) {
        *miss = look_up_span(x, &x->share[g], base, (int32_t)in->imm, addend);
        if (held == X64_NO_REG)
            x64_mov_mr(c, x64_frame_slot(v->slot), RCX);
    } else {
        if (held == X64_NO_REG)
            x64_mov_rm(c, RCX, x64_frame_slot(v->slot));
        x64_test_rr(c, addend, addend);
        *miss = x64_jcc(c, CC_E);
    }
    if (v->last == x->i)
        x64_addend_done(x, g);
    return (struct x64_mem){(uint8_t)base, (uint8_t)addend, 0, false, (int32_t)in->imm};
}

/* ---- The operations ---------------------------------------------------------------------- */

static struct x64_cold *cold_part(struct x64_emitter *x, const struct ir_insn *in,
                                  const struct x64_cold *how, uint32_t miss)
{
    bool store = (ir_ops[in->op].flags & STORE) != 0;
    struct x64_cold *k = x64_cold_add(x, store ? cold_store : cold_load, miss);

    k->op = in->op;
    k->aux = in->aux;
    k->info |= (uint32_t)in->aux << 24;
    k->base = how->base;
    k->share = how->share;
    k->addend = how->addend;
    k->slot = how->slot;
    k->cell = how->cell;
    k->hit = how->hit;
    k->disp = (int32_t)in->imm;
    k->xmm_live = x64_xmm_live(x);
    k->n_fix = miss != 0;
    return k;
}

static struct x64_mem look_up_alone(struct x64_emitter *x, const struct ir_insn *in, unsigned base,
                                    struct x64_cold *how, uint32_t *miss)
{
    bool store = (ir_ops[in->op].flags & STORE) != 0;
    unsigned size = ir_mem_size(in->aux);

    if (wants_cell(x))
        return look_up_cell(x, base, (int32_t)in->imm, size, store, how, miss);
    x->unit.n_lookups++;
    return x64_look_up(x, base, (int32_t)in->imm, size,
                       store ? x->layout.store_off : x->layout.load_off, miss);
}

/* The access's operand, by the way that it has in this block. */
static struct x64_mem reach(struct x64_emitter *x, const struct ir_insn *in, unsigned base,
                            struct x64_cold *how, uint32_t *miss)
{
    if (x64_in_window(x, in))
        return x64_window_access(x, in, base, miss);
    return share_of(x) ? look_up_shared(x, in, base, how, miss)
                       : look_up_alone(x, in, base, how, miss);
}

static void load(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned base = x64_gpr(x, in->a);
    unsigned d = is_fp(in) ? x64_def_xmm(x) : x64_def(x);
    struct x64_cold how = {.base = (uint8_t)base};
    uint32_t miss;
    struct x64_mem m = reach(x, in, base, &how, &miss);
    uint32_t site = x64_at(&x->c);

    load_from(x, in->op, in->aux, d, m);
    x->val[x->i].boxed = in->op == IR_ldf && in->aux != IR_64;

    struct x64_cold *k = cold_part(x, in, &how, miss);

    k->site = x64_in_window(x, in) ? site : 0;
    k->back = x64_at(&x->c);
    k->dst = (uint8_t)d;
    if (is_fp(in))
        k->xmm_live &= (uint16_t) ~(1u << d);
}

static void store(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned base = x64_gpr(x, in->a);
    int32_t imm = 0;
    bool constant = !is_fp(in) && x64_imm32(x, in->b, &imm);
    unsigned val = X64_NO_REG;
    struct x64_cold how = {.base = (uint8_t)base};
    uint32_t miss;

    if (!constant)
        val = is_fp(in) ? x64_fp_bits(x, in->b) : x64_gpr(x, in->b);
    struct x64_mem m = reach(x, in, base, &how, &miss);
    uint32_t site = store_to(x, in->op, in->aux, val, imm, m);
    struct x64_cold *k = cold_part(x, in, &how, miss);

    k->site = site;
    k->back = x64_at(&x->c);
    k->val = (uint8_t)val;
    k->imm = (uint64_t)(int64_t)imm;
}

void x64_emit_mem(struct x64_emitter *x, const struct ir_insn *in)
{
    if (in->op == IR_ld || in->op == IR_ldf)
        load(x, in);
    else
        store(x, in);
}
