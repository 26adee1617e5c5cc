/* Atomics in line: calls of helpers of which the IR says what they do (enum ir_fast). The page must
 * be known for stores (for lr, loads): what may be written may be read, by page tables and by
 * physical protection; or what does not reserve goes through the window. Everything else is the
 * helper's, and so is an access that faults: up to the last one nothing has changed but scratch
 * registers.
 *
 * Where there is one hart nothing is locked. What else writes guest memory, devices, is no hart: aq
 * and rl order accesses as other harts see them, and a fence does it for devices (unprivileged
 * specification, "A" extension, "Specifying Ordering of Atomic Instructions"). */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

enum { XMM_BYTES = 16, ZERO_STORES = IR_ZERO_BYTES / XMM_BYTES };

static void cold_helper(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    if (k->site)
        x64_site_add(x, k->site, x64_at(c));
    if (k->site_of_load)
        x64_site_add(x, k->site_of_load, x64_at(c));
    x64_keep_xmm(x, k->xmm_live, false);
    x64_mov_mr(c, STATE_MEM(scratch[0]), k->base);
    if (k->val != X64_NO_REG)
        x64_mov_mr(c, STATE_MEM(scratch[1]), k->val);
    x64_call_helper(x, k->info & 0xffff, ir_call_id(k->imm), ir_call_k(k->imm));
    x64_keep_xmm(x, k->xmm_live, true);
    x64_fix(c, x64_jmp(c), k->back);
}

static void goes_on_here(struct x64_emitter *x, struct x64_cold *k, const struct ir_insn *in,
                         unsigned base, unsigned val)
{
    k->back = x64_at(&x->c);
    k->base = (uint8_t)base;
    k->val = (uint8_t)val;
    k->imm = in->imm;
    k->xmm_live = x64_xmm_live(x);
}

static void lock(struct x64_emitter *x)
{
    if (!x->b->one_hart)
        x64_byte(&x->c, 0xf0);
}

static void cmpxchg(struct x64_emitter *x, bool wide, struct x64_mem m, unsigned reg)
{
    lock(x);
    if (wide)
        x64_cmpxchg_mr(&x->c, m, reg);
    else
        x64_cmpxchg32_mr(&x->c, m, reg);
}

static void load_old(struct x64_code *c, bool wide, struct x64_mem m)
{
    if (wide)
        x64_mov_rm(c, RAX, m);
    else
        x64_mov32_rm(c, RAX, m);
}

static void store_new(struct x64_code *c, bool wide, struct x64_mem m, unsigned reg)
{
    if (wide)
        x64_mov_mr(c, m, reg);
    else
        x64_mov32_mr(c, m, reg);
}

/* Nobody wants the old value. */
static void in_place(struct x64_emitter *x, enum ir_fast what, bool wide, struct x64_mem m,
                     unsigned val)
{
    struct x64_code *c = &x->c;

    lock(x);
    switch (what) {
    case IR_ADD: wide ? x64_add_mr(c, m, val) : x64_add32_mr(c, m, val); break;
    case IR_XOR: wide ? x64_xor_mr(c, m, val) : x64_xor32_mr(c, m, val); break;
    case IR_AND: wide ? x64_and_mr(c, m, val) : x64_and32_mr(c, m, val); break;
    default: wide ? x64_or_mr(c, m, val) : x64_or32_mr(c, m, val);
    }
}

/* rax: the old value. The host has no such instruction: a loop around cmpxchg, or where there is
 * one hart a load and a store. rdx is free. */
static void logic(struct x64_emitter *x, enum ir_fast what, bool wide, struct x64_mem m,
                  unsigned val, struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    k->site_of_load = x64_at(c);
    load_old(c, wide, m);
    uint32_t again = x64_at(c);

    x64_mov_rr(c, RDX, RAX);
    switch (what) {
    case IR_XOR: x64_xor_rr(c, RDX, val); break;
    case IR_AND: x64_and_rr(c, RDX, val); break;
    default: x64_or_rr(c, RDX, val);
    }
    k->site = x64_at(c);
    if (x->b->one_hart) {
        store_new(c, wide, m, RDX);
        return;
    }
    cmpxchg(x, wide, m, RDX);
    x64_fix(c, x64_jcc(c, CC_NE), again);
}

/* rax: the old value. */
static void swap(struct x64_emitter *x, bool wide, struct x64_mem m, unsigned val,
                 struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    if (x->b->one_hart) {
        k->site_of_load = x64_at(c);
        load_old(c, wide, m);
        k->site = x64_at(c);
        store_new(c, wide, m, val);
        return;
    }
    x64_mov_rr(c, RAX, val);
    k->site = x64_at(c);
    wide ? x64_xchg_mr(c, m, RAX) : x64_xchg32_mr(c, m, RAX);
}

/* Leaves the old value in rax when somebody wants it. */
static void modify(struct x64_emitter *x, const struct ir_insn *in, struct x64_mem m, unsigned val,
                   struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    enum ir_fast what = ir_fast_what(in->aux);
    bool wide = ir_fast_size(in->aux) == 8;

    k->site = x64_at(c);
    if (what == IR_SWAP) {
        swap(x, wide, m, val, k);
    } else if (x->val[x->i].last == 0) {
        in_place(x, what, wide, m, val);
    } else if (what == IR_ADD) {
        x64_mov_rr(c, RAX, val);
        k->site = x64_at(c);
        lock(x);
        wide ? x64_xadd_mr(c, m, RAX) : x64_xadd32_mr(c, m, RAX);
    } else {
        logic(x, what, wide, m, val, k);
    }
}

/* The reservation's word for the access at m: cpu_state.reservation. */
static void reservation(struct x64_code *c, struct x64_mem m, bool wide)
{
    m.disp += wide ? 1 : 2;
    x64_lea_rm(c, RDX, m);
}

static void load_reserved(struct x64_emitter *x, const struct ir_insn *in, struct x64_mem m)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fast_size(in->aux) == 8;

    reservation(c, m, wide);
    x64_mov_mr(c, STATE_MEM(reservation), RDX);
    load_old(c, wide, m);
    x64_mov_mr(c, STATE_MEM(reserved_value), RAX);
}

/* The reservation goes behind the store: should that fault, the helper still needs it. A store
 * elsewhere fails, which is the helper's to say. */
static uint32_t store_conditional(struct x64_emitter *x, const struct ir_insn *in, struct x64_mem m,
                                  unsigned val, struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fast_size(in->aux) == 8;

    reservation(c, m, wide);
    x64_mov_rm(c, RAX, STATE_MEM(reserved_value));
    x64_cmp_rm(c, RDX, STATE_MEM(reservation));
    k->fix[k->n_fix++] = x64_jcc(c, CC_NE);
    uint32_t site = x64_at(c);

    cmpxchg(x, wide, m, val);
    x64_mov_mi(c, STATE_MEM(reservation), 0); /* leaves the flags */
    x64_setcc(c, CC_NE, RAX);
    x64_movzx8_rr(c, RAX, RAX);
    return site;
}

/* The operand of what must be aligned, to be stored to: through the window where there is one, for
 * everything but a reservation, which is a host address of RAM. */
static struct x64_mem reach(struct x64_emitter *x, const struct ir_insn *in, unsigned base,
                            unsigned size,
                            void (*emit)(struct x64_emitter *, const struct x64_cold *),
                            struct x64_cold **k)
{
    uint32_t miss, odd = 0;
    struct x64_mem m;

    if (x64_in_window(x, in)) {
        /* Compared first: the helper comes back to code that counts on it. */
        m = x64_window_access(x, in, base, &miss);
        x64_test32_ri(&x->c, base, (int32_t)size - 1);
        odd = x64_jcc(&x->c, CC_NE);
    } else {
        m = x64_look_up(x, base, 0, size, x->layout.store_off, &miss);
    }
    *k = x64_cold_add(x, emit, miss);
    (*k)->n_fix = miss != 0;
    if (odd)
        (*k)->fix[(*k)->n_fix++] = odd;
    return m;
}

/* A fault at any of the stores: the helper zeroes all. */
static void cold_zero(struct x64_emitter *x, const struct x64_cold *k)
{
    for (unsigned n = 0; n < ZERO_STORES; n++)
        x->unit.site[k->hit + n].slow = x64_at(&x->c);
    cold_helper(x, k);
}

/* xmm0 is scratch. */
static void zero_block(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned base = x64_gpr(x, in->a);
    struct x64_cold *k;
    struct x64_mem m = reach(x, in, base, IR_ZERO_BYTES, cold_zero, &k);

    k->hit = x->unit.n_sites;
    x64_vxorpd_rrr(c, 0, 0, 0);
    for (unsigned n = 0; n < ZERO_STORES; n++, m.disp += XMM_BYTES) {
        x64_site_add(x, x64_at(c), 0);
        x64_vmovups_mx_mr(c, m, 0);
    }
    x64_xor32_rr(c, RAX, RAX);
    goes_on_here(x, k, in, base, X64_NO_REG);
    if (x->val[x->i].last != 0)
        x64_mov_rr(c, x64_def(x), RAX);
}

void x64_emit_atomic(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    enum ir_fast what = ir_fast_what(in->aux);

    if (what == IR_ZERO) {
        zero_block(x, in);
        return;
    }
    unsigned size = ir_fast_size(in->aux);
    uint32_t miss;

    x64_evict(x, RDX);
    unsigned base = x64_gpr(x, in->a);
    unsigned val = what == IR_LR ? X64_NO_REG : x64_gpr(x, in->b);
    struct x64_cold *k;
    struct x64_mem m;

    if (what == IR_LR) {
        m = x64_look_up(x, base, 0, size, x->layout.load_off, &miss);
        k = x64_cold_add(x, cold_helper, miss);
        load_reserved(x, in, m);
    } else if (what == IR_SC) {
        m = x64_look_up(x, base, 0, size, x->layout.store_off, &miss);
        k = x64_cold_add(x, cold_helper, miss);
        k->site = store_conditional(x, in, m, val, k);
    } else {
        m = reach(x, in, base, size, cold_helper, &k);
        modify(x, in, m, val, k);
    }
    goes_on_here(x, k, in, base, val);
    if (x->val[x->i].last == 0)
        return;
    unsigned d = x64_def(x);

    if (size == 4 && what != IR_SC)
        x64_movsxd_rr(c, d, RAX);
    else
        x64_mov_rr(c, d, RAX);
}
