/* The generator of random blocks, see ir_random.h. */
#include <string.h>

#include "tests/lib/ir_random.h"

enum { RECENT = 12 }; /* how many values of a class stay candidates for operands */

struct gen {
    struct ir_random *r;
    struct ir_block *b;
    ir_ref recent[2][RECENT]; /* [0] of class I, [1] of class F */
    unsigned n_recent[2];
    ir_ref near; /* the base of the latest access to memory that made one, if has_near */
    uint64_t near_imm;
    bool has_near;
};

uint64_t ir_random_next(struct ir_random *r)
{
    uint64_t z = r->seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool one_in(struct ir_random *r, unsigned n)
{
    return ir_random_below(r, n) == 0;
}

/* ---- Values ------------------------------------------------------------------------ */

uint64_t ir_random_value(struct ir_random *r)
{
    static const uint64_t corners[] = {
        0,
        1,
        2,
        UINT64_MAX,
        UINT64_MAX - 1,
        INT64_MAX,
        (uint64_t)INT64_MIN,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        UINT64_C(0xffffffff80000000),
        UINT64_C(0xffffffff7fffffff),
        UINT64_C(0x100000000),
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        31,
        32,
        63,
        64,
    };
    uint64_t v = ir_random_next(r);

    switch (ir_random_below(r, 8)) {
    case 0:
    case 1: return corners[ir_random_below(r, sizeof(corners) / sizeof(corners[0]))];
    case 2: return v % 129 - 64;
    case 3: return (uint64_t)(int64_t)(int32_t)v;
    case 4: return (uint32_t)v;
    case 5: return (UINT64_C(1) << (v & 63)) - (v >> 6 & 1);
    default: return v;
    }
}

static uint64_t float32(struct ir_random *r)
{
    static const uint32_t corners[] = {
        0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
        0x7fc00000, 0x7f800001, 0xffc00123, 1,          0x80000001, 0x007fffff,
        0x00800000, 0x7f7fffff, 0x4f000000, 0x5f800000,
    };
    uint64_t v = ir_random_next(r);

    if (one_in(r, 3))
        return corners[ir_random_below(r, 16)];
    if (one_in(r, 2)) /* near 1: sums and products that cancel, round, and do not overflow */
        return (v & 0x83ffffff) | 0x3c000000;
    return (uint32_t)v;
}

uint64_t ir_random_float(struct ir_random *r)
{
    static const uint64_t corners[] = {
        0,
        UINT64_C(1) << 63,
        UINT64_C(0x3ff0000000000000),
        UINT64_C(0xbff0000000000000),
        UINT64_C(0x7ff0000000000000),
        UINT64_C(0xfff0000000000000),
        UINT64_C(0x7ff8000000000000),
        UINT64_C(0x7ff0000000000001),
        UINT64_C(0xfff8000000000123),
        1,
        UINT64_C(0x000fffffffffffff),
        UINT64_C(0x0010000000000000),
        UINT64_C(0x7fefffffffffffff),
        UINT64_C(0x41e0000000000000),
        UINT64_C(0x43f0000000000000),
        UINT64_C(0xc3e0000000000000),
    };
    uint64_t v = ir_random_next(r);

    if (one_in(r, 2))
        return UINT64_C(0xffffffff00000000) | float32(r);
    if (one_in(r, 3))
        return corners[ir_random_below(r, 16)];
    if (one_in(r, 2))
        return (v & UINT64_C(0x807fffffffffffff)) | UINT64_C(0x3f80000000000000);
    return v;
}

/* ---- Instructions, not folded -------------------------------------------------------- */

static ir_ref put(struct gen *g, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, ir_ref z,
                  uint64_t imm)
{
    struct ir_block *b = g->b;

    CHECK(b->n < IR_MAX_INSNS);
    b->insn[b->n] = (struct ir_insn){(uint8_t)op, aux, x, y, z, imm};
    return (ir_ref){(uint16_t)b->n++};
}

static ir_ref put0(struct gen *g, enum ir_op op, uint64_t imm)
{
    return put(g, op, 0, IR_NONE, IR_NONE, IR_NONE, imm);
}

static ir_ref put1(struct gen *g, enum ir_op op, ir_ref x)
{
    return put(g, op, 0, x, IR_NONE, IR_NONE, 0);
}

static ir_ref put2(struct gen *g, enum ir_op op, ir_ref x, ir_ref y)
{
    return put(g, op, 0, x, y, IR_NONE, 0);
}

static ir_ref constant(struct gen *g, uint64_t v)
{
    return put0(g, IR_const, v);
}

/* Few registers are hot, so that values are overwritten and read again. */
static unsigned random_reg(struct gen *g)
{
    return one_in(g->r, 4) ? ir_random_below(g->r, 32) : 8 + ir_random_below(g->r, 6);
}

static void remember(struct gen *g, ir_ref v)
{
    unsigned f = ir_ops[g->b->insn[v.n].op].result == 'F';

    g->recent[f][g->n_recent[f]++ % RECENT] = v;
}

static ir_ref operand(struct gen *g, bool f)
{
    unsigned n = g->n_recent[f] < RECENT ? g->n_recent[f] : RECENT;

    if (n != 0 && !one_in(g->r, 3))
        return g->recent[f][ir_random_below(g->r, n)];
    if (one_in(g->r, 2))
        return put0(g, f ? IR_getf : IR_get, random_reg(g));
    if (!f)
        return constant(g, ir_random_value(g->r));
    return put1(g, IR_i2f, constant(g, ir_random_float(g->r)));
}

static uint8_t random_fp_aux(struct gen *g, enum ir_op op)
{
    static const uint8_t modes[] = {IR_RM_RNE, IR_RM_RTZ, IR_RM_RDN, IR_RM_RUP,
                                    IR_RM_DYN, IR_RM_DYN, IR_RM_RMM};
    unsigned rm = modes[ir_random_below(g->r, g->r->parts & IR_RANDOM_RMM ? 7 : 6)];
    unsigned width = op == IR_f32to64   ? 32
                     : op == IR_f64to32 ? 64
                                        : 32u << ir_random_below(g->r, 2);

    return IR_FP(width, rm);
}

/* The upper half of a 32-bit result is undefined until it is boxed. */
static bool is_half(const struct ir_insn *i)
{
    bool arithmetic = (ir_ops[i->op].flags & FPFLAGS) != 0 || i->op == IR_fsgnj ||
                      i->op == IR_fsgnjn || i->op == IR_fsgnjx;

    if (ir_ops[i->op].result != 'F' || !arithmetic)
        return false;
    return i->op == IR_f64to32 || (i->op != IR_f32to64 && ir_fp_width(i->aux) == 32);
}

/* Any pure or floating-point row of the table. */
static ir_ref arithmetic(struct gen *g)
{
    ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE};
    enum ir_op op;
    uint8_t aux = 0;
    ir_ref v;

    do {
        op = (enum ir_op)ir_random_below(g->r, IR_OP_COUNT);
    } while (!(ir_ops[op].flags & (PURE | FPFLAGS)) || op == IR_const ||
             (!(g->r->parts & IR_RANDOM_FP) &&
              (ir_ops[op].result == 'F' || strchr(ir_ops[op].operands, 'F'))));
    for (unsigned k = 0; ir_ops[op].operands[k]; k++)
        in[k] = operand(g, ir_ops[op].operands[k] == 'F');
    if (op == IR_addsh)
        aux = (uint8_t)(1 + ir_random_below(g->r, 3));
    else if ((ir_ops[op].flags & FPFLAGS) || (op >= IR_fsgnj && op <= IR_fsgnjx))
        aux = random_fp_aux(g, op);
    v = put(g, op, aux, in[0], in[1], in[2], 0);
    return is_half(&g->b->insn[v.n]) ? put1(g, IR_box32, v) : v;
}

/* Once more what was computed before, as it was or a little different. */
static ir_ref again(struct gen *g)
{
    uint32_t n = g->b->n, at = n - 1 - ir_random_below(g->r, n < 60 ? n : 60);
    struct ir_insn i = g->b->insn[at];
    ir_ref *changed = one_in(g->r, 2) ? &i.b : &i.c, v;

    if (!(ir_ops[i.op].flags & (PURE | FPFLAGS)) || i.op == IR_const)
        return arithmetic(g);
    if (one_in(g->r, 2) && !ir_is_none(*changed))
        *changed = operand(g, ir_ops[g->b->insn[changed->n].op].result == 'F');
    else if (one_in(g->r, 2) && i.op == IR_addsh)
        i.aux = (uint8_t)(1 + ir_random_below(g->r, 3));
    v = put(g, (enum ir_op)i.op, i.aux, i.a, i.b, i.c, i.imm);
    return is_half(&i) ? put1(g, IR_box32, v) : v;
}

/* A constant that sums and comparisons of 0, 1 and the like may hit. */
static uint64_t small(struct gen *g)
{
    return one_in(g->r, 3) ? ir_random_value(g->r) : ir_random_below(g->r, 5) - UINT64_C(2);
}

/* Shapes that guests are full of, and that folding looks for. */
static ir_ref idiom(struct gen *g)
{
    static const uint8_t widths[] = {8, 16, 32, 32, 5};
    static const uint16_t extensions[] = {IR_sext8, IR_sext16, IR_sext32,
                                          IR_zext8, IR_zext16, IR_zext32};
    static const uint16_t shifts[] = {IR_shl, IR_shr, IR_sar, IR_rotr, IR_rotr32, IR_shr32};
    static const uint16_t compares[] = {IR_eq, IR_ne, IR_lt, IR_ltu};
    struct ir_random *r = g->r;
    ir_ref x = operand(g, false), y = operand(g, false), t;
    unsigned k;

    switch (ir_random_below(r, 10)) {
    case 0: /* addw and friends */
        t = put2(g, one_in(r, 2) ? IR_add : IR_sub, x, y);
        return put1(g, IR_sext32, t);
    case 1: /* slli, srli */
        k = 64 - widths[ir_random_below(r, 5)];
        t = put2(g, IR_shl, x, constant(g, k));
        k = one_in(r, 3) ? ir_random_below(r, 64) : k;
        return put2(g, one_in(r, 2) ? IR_shr : IR_sar, t, constant(g, k));
    case 2: /* shifts of one kind */
        k = shifts[ir_random_below(r, 6)];
        t = put2(g, (enum ir_op)k, x, constant(g, ir_random_below(r, 70)));
        return put2(g, (enum ir_op)k, t, constant(g, ir_random_below(r, 70)));
    case 3: /* a masked amount */
        t = put2(g, IR_and, y, constant(g, (16u << ir_random_below(r, 3)) - 1));
        return put2(g, (enum ir_op)shifts[ir_random_below(r, 6)], x, t);
    case 4: /* seqz, snez, not of a comparison */
        t = put2(g, (enum ir_op)compares[ir_random_below(r, 4)], x, y);
        if (one_in(r, 2))
            return put2(g, IR_xor, t, constant(g, 1));
        return put2(g, (enum ir_op)compares[ir_random_below(r, 4)],
                    one_in(r, 2) ? t : constant(g, 0),
                    one_in(r, 2) ? constant(g, ir_random_below(r, 2)) : t);
    case 5: /* sums of constants */
        k = compares[ir_random_below(r, 2)];
        t = put2(g, one_in(r, 4) ? IR_xor : IR_add, x, constant(g, small(g)));
        return put2(g, one_in(r, 2) ? (enum ir_op)k : IR_add, t, constant(g, small(g)));
    case 6: /* auipc, addi */
        t = put0(g, IR_pc, ir_random_value(r));
        t = put2(g, IR_add, t, constant(g, ir_random_value(r)));
        return put2(g, IR_and, t, constant(g, UINT64_MAX << ir_random_below(r, 14)));
    case 7: /* sh1add written out */
        t = put2(g, IR_shl, y, constant(g, ir_random_below(r, 5)));
        return put2(g, IR_add, x, t);
    case 8: /* extensions of extensions */
        t = put1(g, (enum ir_op)extensions[ir_random_below(r, 6)], x);
        return put1(g, (enum ir_op)extensions[ir_random_below(r, 6)], t);
    default: /* Zicond */
        t = put2(g, (enum ir_op)compares[ir_random_below(r, 2)], x, constant(g, 0));
        return put(g, IR_select, 0, t, y, operand(g, false), 0);
    }
}

/* ---- Memory, state, calls -------------------------------------------------------------- */

/* An address and an offset to add to it: mostly in pages 0 and 1, now and then in
 * the page that a store leaves from, or in the one that faults. As often as not it is
 * one beside the last, from the same base and at multiples of 4, as in a structure. */
static ir_ref address(struct gen *g, uint64_t *imm)
{
    unsigned page = one_in(g->r, 10) ? 3 : one_in(g->r, 10) ? 2 : 0;
    uint64_t mask = page ? PAGE_SIZE / 2 - 1 : PAGE_SIZE - 1;
    uint64_t base = IR_WORLD_VA + page * PAGE_SIZE, offset = ir_random_below(g->r, PAGE_SIZE / 4);

    if (g->has_near && !one_in(g->r, 3)) {
        if (one_in(g->r, 3)) { /* the base moves on, as through an array */
            uint64_t step = 8 * (1 + ir_random_below(g->r, 8));

            g->near = put2(g, IR_add, g->near, constant(g, step));
            g->near_imm -= step;
            put(g, IR_set, 0, g->near, IR_NONE, IR_NONE, random_reg(g));
        }
        *imm = g->near_imm + 4 * ir_random_below(g->r, one_in(g->r, 2) ? 8 : 200);
        return g->near;
    }
    if (page == 0 && one_in(g->r, 3)) { /* about the end of page 0 */
        mask = 15;
        base += PAGE_SIZE - ir_random_below(g->r, 64);
        offset = 0;
    } else if (!one_in(g->r, 4)) {
        mask &= ~UINT64_C(7);
        offset &= ~UINT64_C(7);
    }
    ir_ref at = put2(g, IR_and, operand(g, false), constant(g, mask));

    switch (ir_random_below(g->r, 8)) {
    case 0:
    case 1: *imm = offset; break;
    case 2:
    case 3: *imm = offset % 64 - 32; break;
    default: *imm = offset - 2 * PAGE_SIZE;
    }
    g->near_imm = *imm;
    g->has_near = true;
    base += offset - *imm;
    if (one_in(g->r, 2)) { /* leaves something to fold */
        at = put2(g, IR_add, at, constant(g, base - 8));
        base = 8;
    }
    g->near = put2(g, IR_add, at, constant(g, base));
    return g->near;
}

static ir_ref load(struct gen *g)
{
    uint64_t imm;
    ir_ref at = address(g, &imm);

    if ((g->r->parts & IR_RANDOM_FP) && one_in(g->r, 4))
        return put(g, IR_ldf, one_in(g->r, 2) ? IR_U32 : IR_64, at, IR_NONE, IR_NONE, imm);
    return put(g, IR_ld, (uint8_t)ir_random_below(g->r, IR_S32 + 1), at, IR_NONE, IR_NONE, imm);
}

static void store(struct gen *g)
{
    bool f = (g->r->parts & IR_RANDOM_FP) && one_in(g->r, 4);
    uint64_t imm;
    ir_ref at = address(g, &imm);
    uint8_t aux = (uint8_t)(f ? IR_U32 + ir_random_below(g->r, 2) : ir_random_below(g->r, 4));

    put(g, f ? IR_stf : IR_st, aux, at, operand(g, f), IR_NONE, imm);
}

/* Half of them as the back end may do them itself. */
static ir_ref atomic(struct gen *g)
{
    uint8_t what = (uint8_t)(1 + ir_random_below(g->r, IR_FAST_COUNT - 1));
    uint8_t fast = IR_FAST(what, one_in(g->r, 2) ? 8 : 4);
    unsigned id = ir_world_fast(what);
    uint64_t page = one_in(g->r, 8) ? ir_random_below(g->r, 4) : 0;
    ir_ref at = put2(g, IR_and, operand(g, false),
                     constant(g, one_in(g->r, 8)   ? 0xfff
                                 : what == IR_ZERO ? 0x1c0
                                                   : 0x18));

    at = put2(g, IR_add, at, constant(g, IR_WORLD_VA + page * PAGE_SIZE));
    return put(g, IR_call, one_in(g->r, 2) ? fast : 0, at,
               ir_world_helpers[id].n_args < 2 ? IR_NONE : operand(g, false), IR_NONE,
               IR_CALL(id, fast));
}

static ir_ref call(struct gen *g)
{
    unsigned id = ir_random_below(g->r, ir_world_n_helpers);
    unsigned n = ir_world_helpers[id].n_args;
    uint64_t k = (uint32_t)ir_random_value(g->r);
    ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE};

    if (one_in(g->r, 3) && (g->r->parts & IR_RANDOM_MEM))
        return atomic(g);
    if (id == IR_HELP_fp)
        k = IR_ffma | (uint64_t)random_fp_aux(g, IR_ffma) << 8;
    for (unsigned m = 0; m < n; m++)
        in[m] = operand(g, false);
    return put(g, IR_call, 0, in[0], in[1], in[2], IR_CALL(id, k));
}

static uint64_t own_word(struct gen *g)
{
    return offsetof(struct ir_world, own) + 8 * ir_random_below(g->r, IR_WORLD_OWN);
}

/* ---- Guest instructions ------------------------------------------------------------------ */

static ir_ref random_result(struct gen *g)
{
    switch (ir_random_below(g->r, 12)) {
    case 0:
    case 1:
    case 2: return idiom(g);
    case 3:
    case 4:
        if (g->r->parts & IR_RANDOM_MEM)
            return load(g);
        break;
    case 8: return again(g);
    case 5:
        if (one_in(g->r, 2) && (g->r->parts & IR_RANDOM_CALL))
            return call(g);
        break;
    case 6:
        if (one_in(g->r, 3))
            return put0(g, IR_ldst, own_word(g));
        if (one_in(g->r, 4) && (g->r->parts & IR_RANDOM_FP))
            return put0(g, IR_getfflags, 0);
        break;
    case 7:
        if (one_in(g->r, 3) && (g->r->parts & IR_RANDOM_TIME))
            return put0(g, IR_time, 0);
        break;
    default: break;
    }
    return arithmetic(g);
}

static void side_exit(struct gen *g, uint64_t next)
{
    uint64_t target = (uint64_t)(int64_t)((int)ir_random_below(g->r, 8192) - 2048) & ~UINT64_C(1);
    uint8_t cond = (uint8_t)ir_random_below(g->r, 6);
    ir_ref x = one_in(g->r, 2) ? idiom(g) : operand(g, false);
    ir_ref y = one_in(g->r, 2) ? constant(g, 0) : operand(g, false);

    if (one_in(g->r, 3))
        put0(g, IR_exit_pending, next);
    else
        put(g, IR_exit_if, cond, x, y, IR_NONE, target);
}

/* What has an effect but no result. */
static void effect(struct gen *g, uint64_t next)
{
    switch (ir_random_below(g->r, 5)) {
    case 0:
    case 1:
        if (g->r->parts & IR_RANDOM_MEM)
            store(g);
        break;
    case 2:
        if (g->r->parts & IR_RANDOM_SIDE)
            side_exit(g, next);
        break;
    case 3:
        if (one_in(g->r, 4) && (g->r->parts & IR_RANDOM_FP))
            put(g, IR_setfflags, 0, operand(g, false), IR_NONE, IR_NONE, 0);
        else
            put(g, IR_stst, 0, operand(g, false), IR_NONE, IR_NONE, own_word(g));
        break;
    default:
        if (one_in(g->r, 8) && (g->r->parts & IR_RANDOM_TIME))
            put(g, IR_irq, 0, operand(g, false), IR_NONE, IR_NONE, 0);
        else if (one_in(g->r, 2) && (g->r->parts & IR_RANDOM_TIME))
            put0(g, IR_count, ir_random_below(g->r, 4));
        else if (g->r->parts & IR_RANDOM_MEM)
            put(g, IR_fence, (uint8_t)ir_random_below(g->r, 2), IR_NONE, IR_NONE, IR_NONE, 0);
        break;
    }
}

static void guest_insn(struct gen *g, uint64_t offset, uint8_t len)
{
    put(g, IR_insn, len, IR_NONE, IR_NONE, IR_NONE, offset);
    for (unsigned n = 1 + ir_random_below(g->r, 3); n > 0; n--) {
        ir_ref v = random_result(g);
        bool f = ir_ops[g->b->insn[v.n].op].result == 'F';

        remember(g, v);
        if (!one_in(g->r, 3))
            put(g, f ? IR_setf : IR_set, 0, v, IR_NONE, IR_NONE, random_reg(g));
    }
    if (one_in(g->r, 3))
        effect(g, offset + len);
}

/* A call wants the address behind the last instruction, in the same page. */
static ir_ref return_address(struct gen *g, uint64_t next)
{
    if (next >= PAGE_SIZE || one_in(g->r, 2))
        return IR_NONE;
    put0(g, IR_pc, next);
    return (ir_ref){(uint16_t)(g->b->n - 1)};
}

static void block_exit(struct gen *g, uint64_t next)
{
    ir_ref back = return_address(g, next), to;
    enum ir_flow flow = ir_is_none(back) ? IR_PLAIN : IR_CALLS;

    switch (ir_random_below(g->r, 4)) {
    case 0:
        put(g, IR_exit_goto, (uint8_t)flow, back, IR_NONE, IR_NONE,
            (uint64_t)(int64_t)(int32_t)ir_random_next(g->r));
        break;
    case 1:
        put(g, IR_exit_trap, 0, operand(g, false), IR_NONE, IR_NONE, ir_random_below(g->r, 16));
        break;
    default:
        to = one_in(g->r, 2) ? idiom(g) : operand(g, false);
        if (flow == IR_PLAIN && one_in(g->r, 2)) {
            flow = IR_RETURN;
            to = put2(g, IR_and, to, constant(g, ~UINT64_C(1)));
        }
        put(g, IR_exit_jump, (uint8_t)flow, to, back, IR_NONE, 0);
        break;
    }
}

void ir_random_block(struct ir_random *r, struct ir_block *b)
{
    struct gen g = {.r = r, .b = b};
    uint64_t offset = ir_random_below(r, PAGE_SIZE / 4) * 2;

    b->gpa = UINT64_C(0x80001000) + offset;
    b->start = (uint32_t)offset;
    b->mode = ir_random_below(r, 32);
    b->n_guest = r->n_guest;
    b->virtual_time = (r->parts & IR_RANDOM_TIME) != 0;
    b->helpers = ir_world_helpers;
    b->n_helpers = ir_world_n_helpers;
    b->n = 0;
    for (unsigned n = 0; n < r->n_guest; n++) {
        uint8_t len = one_in(r, 2) ? 2 : 4;

        guest_insn(&g, offset, len);
        offset += len;
    }
    block_exit(&g, offset);
    b->len_bytes = (uint32_t)offset - b->start;
}
