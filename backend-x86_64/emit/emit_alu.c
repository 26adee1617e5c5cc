/* Integer operations, guest registers and state. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

/* A binary operation with a register or memory form and one with an immediate. */
struct alu {
    void (*rr)(struct x64_code *c, unsigned reg, unsigned rm);
    void (*rm)(struct x64_code *c, unsigned reg, struct x64_mem m);
    void (*ri)(struct x64_code *c, unsigned reg, int32_t imm);
};
#define ALU(name)                                                                                  \
    {                                                                                              \
        x64_##name##_rr, x64_##name##_rm, x64_##name##_ri                                          \
    }
static const struct alu alu_add = ALU(add), alu_sub = ALU(sub), alu_and = ALU(and),
                        alu_or = ALU(or), alu_xor = ALU(xor), alu_cmp = ALU(cmp);

static void mov(struct x64_emitter *x, unsigned d, unsigned s)
{
    if (d != s)
        x64_mov_rr(&x->c, d, s);
}

/* Loads an operand into a register that is not the allocator's. */
static void load_to(struct x64_emitter *x, unsigned d, ir_ref r)
{
    unsigned reg;
    struct x64_mem m;
    uint64_t value;

    if (ir_is_const(x->b, r, &value))
        x64_mov_imm(&x->c, d, value);
    else if (x64_operand(x, r, &reg, &m))
        x64_mov_rm(&x->c, d, m);
    else
        x64_mov_rr(&x->c, d, reg);
}

/* An operand that is read once, into the register where the result is made. */
struct source {
    bool in_memory;
    unsigned reg; /* X64_NO_REG when in memory */
    struct x64_mem mem;
};

static struct source source_of(struct x64_emitter *x, ir_ref r)
{
    struct source s = {.reg = X64_NO_REG};

    s.in_memory = x64_operand(x, r, &s.reg, &s.mem);
    return s;
}

static void fetch(struct x64_emitter *x, unsigned d, const struct source *s)
{
    if (s->in_memory)
        x64_mov_rm(&x->c, d, s->mem);
    else
        mov(x, d, s->reg);
}

static void binary(struct x64_emitter *x, const struct ir_insn *in, const struct alu *op, bool comm)
{
    struct source a = source_of(x, in->a);
    unsigned b = X64_NO_REG;
    struct x64_mem m;
    int32_t imm;

    if (op->ri && x64_imm32(x, in->b, &imm)) {
        unsigned d = x64_def(x);

        fetch(x, d, &a);
        op->ri(&x->c, d, imm);
        return;
    }
    bool in_memory = x64_operand(x, in->b, &b, &m);
    unsigned d = x64_def(x);

    if (d == b && d != a.reg && !in_memory) {
        if (comm) {
            if (a.in_memory)
                op->rm(&x->c, d, a.mem);
            else
                op->rr(&x->c, d, a.reg);
            return;
        }
        fetch(x, RAX, &a);
        op->rr(&x->c, RAX, b);
        x64_mov_rr(&x->c, d, RAX);
        return;
    }
    fetch(x, d, &a);
    if (in_memory)
        op->rm(&x->c, d, m);
    else
        op->rr(&x->c, d, b);
}

static void add(struct x64_emitter *x, const struct ir_insn *in)
{
    int32_t imm;
    uint64_t value;

    if (x64_imm32(x, in->b, &imm)) {
        unsigned a = x64_gpr(x, in->a);
        unsigned d = x64_def(x);

        if (d == a)
            x64_add_ri(&x->c, d, imm);
        else
            x64_lea_rm(&x->c, d, x64_mem(a, imm));
        return;
    }
    if (ir_is_const(x->b, in->b, &value) || x->val[in->b.n].where == V_STATE ||
        x->val[in->b.n].where == V_SPILL) {
        binary(x, in, &alu_add, true);
        return;
    }
    unsigned a = x64_gpr(x, in->a);
    unsigned b = x64_gpr(x, in->b);
    unsigned d = x64_def(x);

    if (d == a)
        x64_add_rr(&x->c, d, b);
    else if (d == b)
        x64_add_rr(&x->c, d, a);
    else
        x64_lea_rm(&x->c, d, (struct x64_mem){(uint8_t)a, (uint8_t)b, 0, false, 0});
}

static void sub(struct x64_emitter *x, const struct ir_insn *in)
{
    uint64_t zero;

    if (ir_is_const(x->b, in->a, &zero) && zero == 0) {
        unsigned b = x64_gpr(x, in->b);
        unsigned d = x64_def(x);

        mov(x, d, b);
        x64_neg_r(&x->c, d);
        return;
    }
    binary(x, in, &alu_sub, false);
}

static void addsh(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned a = x64_gpr(x, in->a);
    unsigned b = x64_gpr(x, in->b);
    unsigned d = x64_def(x);

    x64_lea_rm(&x->c, d, (struct x64_mem){(uint8_t)a, (uint8_t)b, in->aux & 3, false, 0});
}

static void andn(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned b = x64_gpr(x, in->b);
    struct source a = source_of(x, in->a); /* behind b, which may be the same value */

    if (a.in_memory)
        x64_andn_rrm(&x->c, x64_def(x), b, a.mem);
    else
        x64_andn_rrr(&x->c, x64_def(x), b, a.reg);
}

static void shift_by(struct x64_emitter *x, const struct ir_insn *in, uint64_t n)
{
    struct source a = source_of(x, in->a);
    unsigned d = x64_def(x);

    if (in->op == IR_shr32 && !a.in_memory && a.reg != d) {
        x64_mov32_rr(&x->c, d, a.reg);
        x64_shr_ri8(&x->c, d, n & 31);
        return;
    }
    if (in->op == IR_shl && (n & 63) == 1 && !a.in_memory && a.reg != d) {
        x64_lea_rm(&x->c, d, (struct x64_mem){(uint8_t)a.reg, (uint8_t)a.reg, 0, false, 0});
        return;
    }
    fetch(x, d, &a);
    switch (in->op) {
    case IR_shl: x64_shl_ri8(&x->c, d, n & 63); break;
    case IR_shr: x64_shr_ri8(&x->c, d, n & 63); break;
    case IR_sar: x64_sar_ri8(&x->c, d, n & 63); break;
    default: x64_shr32_ri8(&x->c, d, n & 31);
    }
}

static void shift(struct x64_emitter *x, const struct ir_insn *in)
{
    uint64_t n;

    if (ir_is_const(x->b, in->b, &n)) {
        shift_by(x, in, n);
        return;
    }
    unsigned a = x64_gpr(x, in->a);
    unsigned b = x64_gpr(x, in->b);
    unsigned d = x64_def(x);

    if (in->op == IR_shl)
        x64_shlx_rrr(&x->c, d, b, a);
    else if (in->op == IR_shr32)
        x64_shrx32_rrr(&x->c, d, b, a);
    else if (in->op == IR_shr)
        x64_shrx_rrr(&x->c, d, b, a);
    else
        x64_sarx_rrr(&x->c, d, b, a);
}

static void rotate(struct x64_emitter *x, const struct ir_insn *in)
{
    uint64_t n;

    if (ir_is_const(x->b, in->b, &n)) {
        unsigned a = x64_gpr(x, in->a);

        if (in->op == IR_rotr)
            x64_rorx(&x->c, x64_def(x), a, n & 63);
        else
            x64_rorx32(&x->c, x64_def(x), a, n & 31);
        return;
    }
    load_to(x, RAX, in->a);
    load_to(x, RCX, in->b);
    if (in->op == IR_rotr32)
        x64_mov32_rr(&x->c, RAX, RAX); /* a count of 0 would not clear the upper half */
    x64_ror_cl(&x->c, in->op == IR_rotr, RAX);
    x64_mov_rr(&x->c, x64_def(x), RAX);
}

static bool is_half(const struct ir_insn *in)
{
    return in->op == IR_mul || in->op == IR_mulhu || in->op == IR_mulhs;
}

/* Are this instruction and the next the halves of one product (pass `pair`), and both wanted? */
static bool begins_pair(const struct x64_emitter *x, const struct ir_insn *in)
{
    const struct ir_insn *next = in + 1;

    return x->i + 1 < x->b->n && is_half(in) && is_half(next) &&
           (in->op == IR_mul) != (next->op == IR_mul) && in->a.n == next->a.n &&
           in->b.n == next->b.n && x->val[x->i + 1].last != 0;
}

static void mul(struct x64_emitter *x, const struct ir_insn *in)
{
    int32_t imm;

    if (x64_imm32(x, in->b, &imm)) {
        unsigned a = x64_gpr(x, in->a);

        x64_imul_imm(&x->c, x64_def(x), a, imm);
        return;
    }
    binary(x, in, &(struct alu){x64_imul_rr, x64_imul_rm, NULL}, true);
}

/* The halves of an unsigned product: the one that is this instruction's in place, and the other in
 * rcx. */
static void mul_unsigned(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned b;
    struct x64_mem m;

    x64_evict(x, RDX);
    bool in_memory = x64_operand(x, in->b, &b, &m);

    load_to(x, RDX, in->a);
    unsigned d = x64_def(x);
    unsigned high = in->op == IR_mul ? RCX : d, low = in->op == IR_mul ? d : RCX;

    if (in_memory)
        x64_mulx_rrm(&x->c, high, low, m);
    else
        x64_mulx_rrr(&x->c, high, low, b);
}

/* The same of a signed one. */
static void mul_signed(struct x64_emitter *x, const struct ir_insn *in)
{
    const bool low = in->op == IR_mul;

    x64_evict(x, RDX);
    unsigned b = x64_gpr(x, in->b);

    load_to(x, RAX, in->a);
    x64_imul1_r(&x->c, b);
    x64_mov_rr(&x->c, RCX, low ? RDX : RAX);
    x64_mov_rr(&x->c, x64_def(x), low ? RAX : RDX);
}

/* The upper half of a product: rax * operand. */
static void mul_high(struct x64_emitter *x, const struct ir_insn *in)
{
    x64_evict(x, RDX);
    unsigned b = x64_gpr(x, in->b);
    unsigned a = x64_gpr(x, in->a);

    x64_mov_rr(&x->c, RAX, a);
    if (in->op == IR_mulhs)
        x64_imul1_r(&x->c, b);
    else
        x64_mul_r(&x->c, b);
    if (in->op == IR_mulhsu) {
        /* A negative a counted 2^64 too much: take b off once. */
        x64_mov_rr(&x->c, RCX, a);
        x64_sar_ri8(&x->c, RCX, 63);
        x64_and_rr(&x->c, RCX, b);
        x64_sub_rr(&x->c, RDX, RCX);
    }
    x64_mov_rr(&x->c, x64_def(x), RDX);
}

static void multiply(struct x64_emitter *x, const struct ir_insn *in)
{
    if (x->half_is_made) {
        x->half_is_made = false;
        x64_mov_rr(&x->c, x64_def(x), RCX);
    } else if (begins_pair(x, in)) {
        (in->op == IR_mulhs || in[1].op == IR_mulhs ? mul_signed : mul_unsigned)(x, in);
        x->half_is_made = true;
    } else if (in->op == IR_mul) {
        mul(x, in);
    } else if (in->op == IR_mulhu) {
        mul_unsigned(x, in);
    } else {
        mul_high(x, in);
    }
}

/* The divisors that the host's instruction cannot take, 0 and (signed) -1.
 * val: the dividend's register; the divisor is in rcx. */
static void cold_div(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool rem = k->op == IR_rems || k->op == IR_remu;

    if (rem) {
        /* By 0: the dividend; by -1: 0. */
        x64_xor32_rr(c, RDX, RDX);
        x64_test_rr(c, RCX, RCX);
        x64_cmove_rr(c, RDX, k->val);
    } else {
        /* By 0: all ones; by -1: the dividend's negative, which wraps for the least. */
        x64_mov_rr(c, RAX, k->val);
        x64_neg_r(c, RAX);
        x64_mov_imm(c, RDX, UINT64_MAX);
        x64_test_rr(c, RCX, RCX);
        x64_cmove_rr(c, RAX, RDX);
    }
    x64_fix(c, x64_jmp(c), k->back);
}

static void divide(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    bool is_signed = in->op == IR_divs || in->op == IR_rems;
    x64_evict(x, RDX);
    unsigned a = x64_gpr(x, in->a);
    uint64_t divisor;
    struct x64_cold *k = NULL;

    load_to(x, RCX, in->b);
    if (!ir_is_const(x->b, in->b, &divisor) || divisor == 0 || divisor == UINT64_MAX) {
        if (is_signed) {
            x64_lea_rm(c, RAX, x64_mem(RCX, 1));
            x64_cmp_ri(c, RAX, 1);
            k = x64_cold_add(x, cold_div, x64_jcc(c, CC_BE));
        } else {
            x64_test_rr(c, RCX, RCX);
            k = x64_cold_add(x, cold_div, x64_jcc(c, CC_E));
        }
        k->val = (uint8_t)a;
        k->op = in->op;
    }
    x64_mov_rr(c, RAX, a);
    if (is_signed) {
        x64_cqo(c);
        x64_idiv_r(c, RCX);
    } else {
        x64_xor32_rr(c, RDX, RDX);
        x64_div_r(c, RCX);
    }
    if (k)
        k->back = x64_at(c);
    x64_mov_rr(c, x64_def(x), in->op == IR_divs || in->op == IR_divu ? RAX : RDX);
}

/* The operands of a comparison: register a with b, or memory, or an immediate. */
struct compared {
    unsigned a, b; /* b: X64_NO_REG when it is none */
    bool is_imm;
    int32_t imm;
    struct x64_mem mem;
};

static struct compared compared_of(struct x64_emitter *x, ir_ref a, ir_ref b)
{
    struct compared k = {.a = x64_gpr(x, a), .b = X64_NO_REG};

    k.is_imm = x64_imm32(x, b, &k.imm);
    if (!k.is_imm)
        (void)x64_operand(x, b, &k.b, &k.mem);
    return k;
}

/* The flags are set as by cmp. */
static void compare(struct x64_emitter *x, const struct compared *k)
{
    if (k->is_imm && k->imm == 0)
        x64_test_rr(&x->c, k->a, k->a);
    else if (k->is_imm)
        alu_cmp.ri(&x->c, k->a, k->imm);
    else if (k->b == X64_NO_REG)
        x64_cmp_rm(&x->c, k->a, k->mem);
    else
        x64_cmp_rr(&x->c, k->a, k->b);
}

static void set_cond(struct x64_emitter *x, const struct ir_insn *in)
{
    enum x64_cc cc = in->op == IR_eq   ? CC_E
                     : in->op == IR_ne ? CC_NE
                     : in->op == IR_lt ? CC_L
                                       : CC_B;
    int32_t imm;
    bool swap = cc != CC_E && cc != CC_NE && x64_imm32(x, in->a, &imm);

    if (swap)
        cc = in->op == IR_lt ? CC_G : CC_A;
    struct compared k = swap ? compared_of(x, in->b, in->a) : compared_of(x, in->a, in->b);
    unsigned d = x64_def(x);

    if (d != k.a && d != k.b) {
        /* A register that is cleared before has no byte to be extended. */
        x64_xor32_rr(&x->c, d, d);
        compare(x, &k);
        x64_setcc(&x->c, cc, d);
        return;
    }
    compare(x, &k);
    x64_setcc(&x->c, cc, RAX);
    x64_movzx8_rr(&x->c, d, RAX);
}

static void select_one(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned b;
    struct x64_mem m;

    load_to(x, RAX, in->c);
    x->locked = 0; /* c has been read: three operands and a result are more than the temporaries */
    unsigned a = x64_gpr(x, in->a);

    if (x64_operand(x, in->b, &b, &m)) {
        x64_test_rr(&x->c, a, a);
        x64_cmovne_rm(&x->c, RAX, m);
    } else {
        x64_test_rr(&x->c, a, a);
        x64_cmovne_rr(&x->c, RAX, b);
    }
    x64_mov_rr(&x->c, x64_def(x), RAX);
}

struct unary {
    void (*rr)(struct x64_code *c, unsigned reg, unsigned rm);
    void (*rm)(struct x64_code *c, unsigned reg, struct x64_mem m);
};

static void unary(struct x64_emitter *x, const struct ir_insn *in, struct unary op)
{
    unsigned a;
    struct x64_mem m;

    if (x64_operand(x, in->a, &a, &m))
        op.rm(&x->c, x64_def(x), m);
    else
        op.rr(&x->c, x64_def(x), a);
}
#define UNARY(name) ((struct unary){x64_##name##_rr, x64_##name##_rm})

static void bswap(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned a = x64_gpr(x, in->a);
    unsigned d = x64_def(x);

    mov(x, d, a);
    x64_bswap(&x->c, d);
}

/* Each byte 0 or 0xff. h: bit 7 of a byte is set when the byte is not 0; then
 * (h << 1) - (h >> 7) spreads it. */
static void orcb(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    x64_evict(x, RDX);
    load_to(x, RAX, in->a);
    x64_mov_imm(c, RCX, UINT64_C(0x7f7f7f7f7f7f7f7f));
    x64_mov_rr(c, RDX, RAX);
    x64_and_rr(c, RDX, RCX);
    x64_add_rr(c, RDX, RCX);
    x64_or_rr(c, RDX, RAX);
    x64_andn_rrr(c, RDX, RCX, RDX);
    x64_mov_rr(c, RAX, RDX);
    x64_shr_ri8(c, RDX, 7);
    x64_add_rr(c, RAX, RAX);
    x64_sub_rr(c, RAX, RDX);
    x64_mov_rr(c, x64_def(x), RAX);
}

static void pc_value(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned d = x64_def(x);

    if (in->imm != (uint64_t)(int64_t)(int32_t)in->imm) { /* sums of constants may be long */
        x64_mov_imm(&x->c, d, in->imm);
        x64_add_rm(&x->c, d, STATE_MEM(page_va));
        return;
    }
    x64_mov_rm(&x->c, d, STATE_MEM(page_va));
    if (in->imm)
        x64_add_ri(&x->c, d, (int32_t)in->imm);
}

static void set_guest(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned g = (unsigned)in->imm;
    unsigned pin = x->pin_of_guest[g];
    const struct x64_val *v = &x->val[in->a.n];
    int32_t imm;
    uint64_t value;

    if (pin == X64_NO_REG) {
        if (v->where == V_STATE && v->reg == g)
            return; /* x = x */
        if (x64_imm32(x, in->a, &imm)) {
            x64_claim(x, g);
            x64_mov_mi(&x->c, x64_guest_reg(g), imm);
            return;
        }
        unsigned r = x64_gpr(x, in->a);

        x64_claim(x, g);
        x64_mov_mr(&x->c, x64_guest_reg(g), r);
        x64_at_home(x, in->a.n, g);
        return;
    }
    if (v->where == V_PIN && v->reg == pin)
        return;
    if (ir_is_const(x->b, in->a, &value)) {
        x64_claim(x, g);
        x64_mov_imm(&x->c, pin, value);
        return;
    }
    unsigned r;
    struct x64_mem m;

    if (x64_operand(x, in->a, &r, &m)) {
        x64_claim(x, g);
        x64_mov_rm(&x->c, pin, m);
    } else {
        x64_claim(x, g);
        x64_mov_rr(&x->c, pin, r);
    }
}

static void state_word(struct x64_emitter *x, const struct ir_insn *in)
{
    if (in->op == IR_ldst)
        x64_mov_rm(&x->c, x64_def(x), x64_state_at(in->imm));
    else
        x64_mov_mr(&x->c, x64_state_at(in->imm), x64_gpr(x, in->a));
}

void x64_emit_alu(struct x64_emitter *x, const struct ir_insn *in)
{
    switch (in->op) {
    case IR_add: add(x, in); break;
    case IR_sub: sub(x, in); break;
    case IR_and: binary(x, in, &alu_and, true); break;
    case IR_or: binary(x, in, &alu_or, true); break;
    case IR_xor: binary(x, in, &alu_xor, true); break;
    case IR_andn: andn(x, in); break;
    case IR_addsh: addsh(x, in); break;
    case IR_shl:
    case IR_shr:
    case IR_shr32:
    case IR_sar: shift(x, in); break;
    case IR_rotr:
    case IR_rotr32: rotate(x, in); break;
    case IR_mul:
    case IR_mulhu:
    case IR_mulhs:
    case IR_mulhsu: multiply(x, in); break;
    case IR_divu:
    case IR_divs:
    case IR_remu:
    case IR_rems: divide(x, in); break;
    case IR_eq:
    case IR_ne:
    case IR_lt:
    case IR_ltu: set_cond(x, in); break;
    case IR_select: select_one(x, in); break;
    case IR_sext8: unary(x, in, UNARY(movsx8)); break;
    case IR_sext16: unary(x, in, UNARY(movsx16)); break;
    case IR_sext32: unary(x, in, UNARY(movsxd)); break;
    case IR_zext8: unary(x, in, UNARY(movzx8)); break;
    case IR_zext16: unary(x, in, UNARY(movzx16)); break;
    case IR_zext32: unary(x, in, UNARY(mov32)); break;
    case IR_clz: unary(x, in, UNARY(lzcnt)); break;
    case IR_ctz: unary(x, in, UNARY(tzcnt)); break;
    case IR_popcnt: unary(x, in, UNARY(popcnt)); break;
    case IR_bswap: bswap(x, in); break;
    case IR_orcb: orcb(x, in); break;
    case IR_get: (void)x64_def(x); break;
    case IR_set: set_guest(x, in); break;
    case IR_pc: pc_value(x, in); break;
    case IR_ldst:
    case IR_stst: state_word(x, in); break;
    default: CHECK(!"every integer operation of ir.def has a case here");
    }
}
