#include "tests/lib/rv_random.h"

#include <string.h>

#include "dbt/base/check.h"
#include "tests/lib/rv_rig.h"

/* Registers with a part to play: nothing else writes them. */
enum { REG_END = 29, REG_START = 30, REG_LOOP = 31 };
enum { NOP = 0x13, C_NOP = 0x0001, ECALL = 0x73 };

struct gen {
    uint64_t rng;
    struct rv_program *p;
    uint16_t row[RV_RANDOM_MAX];
    bool loop_back[RV_RANDOM_MAX]; /* the branch behind the decrement */
    bool base[32];                 /* still points into the data */
    uint8_t few[6];                /* registers that are picked more often */
};

unsigned rv_random_below(uint64_t *rng, unsigned n)
{
    return (unsigned)((rig_random(rng) >> 32) * n >> 32);
}

static bool one_in(uint64_t *rng, unsigned n)
{
    return rv_random_below(rng, n) == 0;
}

/* ---- Operand values ----------------------------------------------------------------------- */

uint64_t rv_random_int(uint64_t *rng)
{
    static const uint64_t corner[] = {
        0,          1,          UINT64_MAX, INT64_MAX,  (uint64_t)INT64_MIN, UINT64_MAX - 1,
        0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0xffffffff80000000, 0xffffffff7fffffff,
        0x7f,       0x80,       0xff,       0x7fff,     0x8000,              0xffff,
        31,         32,         63,         64,         0x8000000000000001,  0xaaaaaaaaaaaaaaaa,
    };

    switch (rv_random_below(rng, 8)) {
    case 0:
        return rig_random(rng);
    case 1:
        return UINT64_C(1) << rv_random_below(rng, 64);
    case 2:
        return (UINT64_C(1) << rv_random_below(rng, 64)) - 1;
    case 3:
        return (uint64_t)(int64_t)(int32_t)rig_random(rng);
    case 4:
        return rig_random(rng) >> rv_random_below(rng, 64);
    default:
        return corner[rv_random_below(rng, sizeof(corner) / sizeof(corner[0]))];
    }
}

/* A number of `exp` exponent bits and `frac` fraction bits. */
static uint64_t random_float(uint64_t *rng, unsigned exp, unsigned frac)
{
    const uint64_t top = (UINT64_C(1) << exp) - 1, ones = (UINT64_C(1) << frac) - 1;
    const uint64_t bias = top >> 1;
    uint64_t sign = rig_random(rng) >> 63 << (exp + frac);
    uint64_t any = rig_random(rng) & ones;
    uint64_t ends = one_in(rng, 2) ? UINT64_C(1) << rv_random_below(rng, frac)
                                   : ones & ~(UINT64_C(1) << rv_random_below(rng, frac));

    switch (rv_random_below(rng, 16)) {
    case 0:
        return sign; /* zero */
    case 1:
        return sign | top << frac; /* infinity */
    case 2:
        return sign | top << frac | UINT64_C(1) << (frac - 1) | (one_in(rng, 2) ? any : 0);
    case 3:
        return sign | top << frac | (any >> 1 | 1); /* signalling */
    case 4:
        return sign | (one_in(rng, 2) ? any : ends); /* subnormal */
    case 5:
        return sign | (top - 1) << frac | (one_in(rng, 2) ? ones : any); /* huge */
    case 6:
        return sign | UINT64_C(1) << frac | (one_in(rng, 2) ? 0 : ends); /* least normal */
    case 7:
        return sign | bias << frac; /* one */
    case 8: /* around the bounds of the integers, and halves */
        return sign | (bias + 30 + rv_random_below(rng, 4)) << frac | (one_in(rng, 2) ? ends : 0);
    case 9:
        return sign | (bias + 62 + rv_random_below(rng, 3)) % top << frac |
               (one_in(rng, 2) ? ends : 0);
    case 10:
    case 11:
        return sign | (bias - 2 + rv_random_below(rng, 8)) << frac | ends;
    case 12: /* products near the least exponent */
        return sign | (bias / 2 + rv_random_below(rng, 4)) << frac | any;
    default:
        return sign | (rig_random(rng) % top) << frac | (one_in(rng, 4) ? ends : any);
    }
}

uint64_t rv_random_fp(uint64_t *rng)
{
    switch (rv_random_below(rng, 16)) {
    case 0: /* an integer, or a single that is not boxed */
        return rv_random_int(rng);
    case 1:
        return random_float(rng, 8, 23) | rig_random(rng) << 32;
    case 2:
    case 3: /* a double that a single can nearly hold: ties, overflow, underflow */
        return (random_float(rng, 11, 52) & ~UINT64_C(0x7ff0000000000000)) |
               (UINT64_C(1023 - 150) + rv_random_below(rng, 280)) << 52;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        return random_float(rng, 11, 52);
    default:
        return random_float(rng, 8, 23) | UINT64_C(0xffffffff00000000);
    }
}

/* ---- Which instructions ------------------------------------------------------------------- */

static bool has(uint16_t row, char letter)
{
    return strchr(rv_formats[rv_rows[row].format].syntax, letter) != NULL;
}

static bool is_memory(uint16_t op)
{
    uint8_t kind = rv_rows[op].kind;

    return kind == RV_KIND_LOAD || kind == RV_KIND_STORE || kind == RV_KIND_AMO ||
           op == RV_OP_flw || op == RV_OP_fld || op == RV_OP_fsw || op == RV_OP_fsd;
}

static bool in_rv64gc(uint16_t row)
{
    const uint64_t gc = UINT64_C(1) << RV_EXT_m | UINT64_C(1) << RV_EXT_a |
                        UINT64_C(1) << RV_EXT_f | UINT64_C(1) << RV_EXT_d |
                        UINT64_C(1) << RV_EXT_c | UINT64_C(1) << RV_EXT_zicsr |
                        UINT64_C(1) << RV_EXT_zifencei;

    return (rv_rows[row].needs & ~gc) == 0;
}

/* How often a row is refused, of 16: what ends a program, or bores. */
static unsigned dislike(uint16_t row)
{
    uint16_t op = rv_rows[row].expands;

    if (op == RV_OP_reserved || op == RV_OP_ecall || op == RV_OP_ebreak)
        return 15;
    if (op == RV_OP_jalr && rv_row_is_compressed(row))
        return 14;
    if (op >= RV_OP_mret && op <= RV_OP_sfence_inval_ir)
        return 16;
    if (op == RV_OP_wfi || op == RV_OP_pause)
        return 16;
    if (op == RV_OP_fence || op == RV_OP_fence_tso || op == RV_OP_fence_i)
        return 14;
    return rv_rows[op].kind == RV_KIND_SYS ? 12 : 0;
}

static uint16_t pick_row(struct gen *g)
{
    for (;;) {
        uint16_t row = (uint16_t)(1 + rv_random_below(&g->rng, RV_OP_COUNT - 1));

        if (in_rv64gc(row) && rv_random_below(&g->rng, 16) >= dislike(row))
            return row;
    }
}

/* ---- Their operands ----------------------------------------------------------------------- */

static uint8_t pick_reg(struct gen *g)
{
    return one_in(&g->rng, 3) ? (uint8_t)rv_random_below(&g->rng, 32)
                              : g->few[rv_random_below(&g->rng, sizeof(g->few))];
}

static int64_t pick_imm(struct gen *g, int64_t imm)
{
    static const int64_t corner[] = {0, 1, -1, 2047, -2048, 31, 32, 63, 8, 16, 255, 0x7ff, -8};

    return one_in(&g->rng, 2) ? imm : corner[rv_random_below(&g->rng, 13)];
}

/* A base register whose address fits the access; x0 if there is none. */
static uint8_t pick_base(struct gen *g)
{
    uint8_t r = (uint8_t)rv_random_below(&g->rng, 32);

    for (unsigned k = 0; k < 32; k++, r = (r + 1) % 32)
        if (g->base[r])
            return r;
    return 0;
}

static void choose_memory(struct gen *g, struct rv_insn *i)
{
    bool atomic = rv_rows[i->op].kind == RV_KIND_AMO;
    uint8_t r = pick_base(g);

    if (!one_in(&g->rng, 200))
        i->rs1 = r;
    if (atomic)
        return;
    if (rv_row_is_compressed(i->row))
        return;
    i->imm = (int64_t)rv_random_below(&g->rng, 64) - 32;
    if (!one_in(&g->rng, 4))
        i->imm &= ~7;
}

static void choose_csr(struct gen *g, struct rv_insn *i)
{
    static const uint16_t csr[] = {1, 2, 3, 3, 1, 2, 1, 0x340, 0x340, 0x340, 0x7c0, 0x5c0};

    i->imm = csr[rv_random_below(&g->rng, sizeof(csr) / sizeof(csr[0]))];
    /* Not too often an invalid rounding mode: all that follows would be illegal. */
    if (i->imm == 2 && has(i->row, 'z'))
        i->rs1 = (uint8_t)rv_random_below(&g->rng, 5);
    else if (i->imm == 3 && !one_in(&g->rng, 8))
        i->imm = 1;
}

static void choose_target(struct gen *g, struct rv_insn *i, unsigned k)
{
    const struct rv_program *p = g->p;
    unsigned reach = p->n - k - 1 < 8 ? p->n - k - 1 : 8;
    unsigned to = k + 1 + rv_random_below(&g->rng, reach);

    i->imm = (int64_t)p->offset[to] - p->offset[k];
    if (i->op != RV_OP_jalr)
        return;
    i->imm = 0;
    if (rv_row_is_compressed(i->row)) {
        i->rs1 = REG_END;
    } else if (!one_in(&g->rng, 16)) {
        i->rs1 = REG_START;
        i->imm = (int64_t)p->offset[to] - p->start;
    }
}

static void choose_operands(struct gen *g, struct rv_insn *i, unsigned k)
{
    uint8_t kind = rv_rows[i->op].kind;

    if (kind == RV_KIND_FP_RM && one_in(&g->rng, 2))
        i->rm = 7;
    if (kind == RV_KIND_FP_RM && (i->rm == 5 || i->rm == 6) && !one_in(&g->rng, 32))
        i->rm = 0;
    if (has(i->row, 's'))
        i->rs1 = pick_reg(g);
    if (has(i->row, 't'))
        i->rs2 = pick_reg(g);
    if (has(i->row, 'd'))
        i->rd = pick_reg(g);
    if (has(i->row, 'i') && kind == RV_KIND_ALU)
        i->imm = pick_imm(g, i->imm);
    if (is_memory(i->op))
        choose_memory(g, i);
    if (has(i->row, 'c'))
        choose_csr(g, i);
    if (kind == RV_KIND_BRANCH || kind == RV_KIND_JUMP)
        choose_target(g, i, k);
}

static bool writes_int(const struct rv_insn *i)
{
    return has(i->op, 'd') && i->rd != 0;
}

/* One try; false: these operands are not for this row, or not for us. */
static bool try_insn(struct gen *g, unsigned k, uint32_t *word, struct rv_insn *i)
{
    uint16_t row = g->row[k];
    struct rv_insn wish;

    *word = ((uint32_t)rig_random(&g->rng) & ~rv_row_mask(row)) | rv_row_match(row);
    if (rv_row_is_compressed(row))
        *word &= 0xffff;
    rv_decode(*word, i);
    if (i->row != row)
        return false;
    wish = *i;
    choose_operands(g, &wish, k);
    /* What is implied or has a format of its own stays as it came. */
    if (rv_encode(&wish, word))
        rv_decode(*word, i);
    else if (rv_rows[i->op].kind == RV_KIND_BRANCH || rv_rows[i->op].kind == RV_KIND_JUMP)
        return false;
    if (i->row != row)
        return false;
    if (!writes_int(i))
        return true;
    if (i->rd >= REG_END)
        return false;
    return !g->base[i->rd] || one_in(&g->rng, 64);
}

static bool lost_base(struct gen *g, const struct rv_insn *i)
{
    return is_memory(i->op) && !g->base[i->rs1] && !one_in(&g->rng, 64);
}

static void fill(struct gen *g, unsigned k)
{
    struct rv_program *p = g->p;
    struct rv_insn i;
    uint32_t word;

    for (unsigned tries = 0; tries < 200; tries++) {
        if (!try_insn(g, k, &word, &i) || (tries < 100 && lost_base(g, &i)))
            continue;
        p->word[k] = word;
        if (writes_int(&i))
            g->base[i.rd] = false;
        return;
    }
    p->word[k] = p->len[k] == 2 ? C_NOP : NOP;
}

static void fill_loop(struct gen *g, unsigned k)
{
    struct rv_program *p = g->p;
    unsigned back = 1 + rv_random_below(&g->rng, k < 12 ? k : 12);
    struct rv_insn dec = {.row = RV_OP_addi, .rd = REG_LOOP, .rs1 = REG_LOOP, .imm = -1};
    struct rv_insn jump = {.row = RV_OP_blt, .rs1 = 0, .rs2 = REG_LOOP};

    jump.imm = (int64_t)p->offset[k - back] - p->offset[k];
    CHECK(rv_encode(&dec, &p->word[k - 1]) && rv_encode(&jump, &p->word[k]));
}

/* ---- Programs ----------------------------------------------------------------------------- */

static void choose_registers(struct gen *g)
{
    struct rv_program *p = g->p;
    /* The compressed forms need x2 and some of x8..x15. */
    static const uint8_t bases[] = {2, 8, 11, 15, 20, 24};

    for (unsigned r = 1; r < 32; r++)
        p->x[r] = rv_random_int(&g->rng);
    for (unsigned r = 0; r < 32; r++)
        p->f[r] = rv_random_fp(&g->rng);
    for (unsigned k = 0; k < sizeof(bases); k++) {
        uint64_t at = rv_random_below(&g->rng, 0x1e00);

        if (one_in(&g->rng, 4))
            at = 0xfc0 + rv_random_below(&g->rng, 0x80); /* the page boundary */
        if (one_in(&g->rng, 32))
            at = 0x1fc0 + rv_random_below(&g->rng, 0x44); /* the end of memory */
        if (!one_in(&g->rng, 6))
            at &= ~UINT64_C(7);
        g->base[bases[k]] = true;
        p->x[bases[k]] = RV_RANDOM_BASE + RV_RANDOM_DATA + at;
    }
    for (unsigned k = 0; k < sizeof(g->few); k++)
        g->few[k] = (uint8_t)(k < 3 ? 8 + rv_random_below(&g->rng, 8)
                                    : rv_random_below(&g->rng, 29));
    p->x[REG_END] = RV_RANDOM_BASE + p->offset[p->n - 1];
    p->x[REG_START] = RV_RANDOM_BASE + p->start;
    p->x[REG_LOOP] = rv_random_below(&g->rng, 4);
    p->fcsr = rv_random_below(&g->rng, 5) << 5 | (one_in(&g->rng, 2) ? rig_random(&g->rng) & 31 : 0);
    if (one_in(&g->rng, 64))
        p->fcsr |= 0xe0;
}

static void place_rows(struct gen *g)
{
    struct rv_program *p = g->p;
    uint32_t at = p->start;

    for (unsigned k = 0; k < p->n; k++) {
        g->row[k] = pick_row(g);
        if (k > 1 && k + 1 < p->n && one_in(&g->rng, 40)) {
            g->loop_back[k] = !g->loop_back[k - 1];
            if (g->loop_back[k])
                g->row[k - 1] = RV_OP_addi, g->row[k] = RV_OP_blt;
        }
    }
    g->row[p->n - 1] = RV_OP_ecall;
    for (unsigned k = 0; k < p->n; k++) {
        p->offset[k] = at;
        p->len[k] = rv_row_is_compressed(g->row[k]) ? 2 : 4;
        at += p->len[k];
    }
    p->end = at;
}

void rv_random_program(struct rv_program *p, uint64_t seed)
{
    struct gen g = {.rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 1, .p = p};

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->n = 16 + rv_random_below(&g.rng, RV_RANDOM_MAX - 15);
    p->start = rv_random_below(&g.rng, RV_RANDOM_CODE_BYTES - 4 * RV_RANDOM_MAX) & ~1u;
    if (one_in(&g.rng, 4)) /* some straddle the two pages */
        p->start = (0x1000 - rv_random_below(&g.rng, 2 * p->n)) & ~1u;
    place_rows(&g);
    choose_registers(&g);
    for (unsigned k = 0; k + 1 < p->n; k++) {
        if (k + 1 < p->n && g.loop_back[k + 1])
            continue;
        if (g.loop_back[k])
            fill_loop(&g, k);
        else
            fill(&g, k);
    }
    p->word[p->n - 1] = ECALL;
}

void rv_program_drop(struct rv_program *p, unsigned k)
{
    p->word[k] = p->len[k] == 2 ? C_NOP : NOP;
}

void rv_program_place(const struct rv_program *p, uint8_t *ram)
{
    uint64_t rng = p->seed;

    for (unsigned k = 0; k < p->n; k++)
        memcpy(ram + p->offset[k], &p->word[k], p->len[k]);
    for (unsigned at = RV_RANDOM_DATA; at < RV_RANDOM_RAM_BYTES; at += 8) {
        uint64_t v = rig_random(&rng);

        memcpy(ram + at, &v, 8);
    }
}
