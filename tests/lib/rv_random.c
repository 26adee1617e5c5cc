#include "tests/lib/rv_random.h"

#include <string.h>

#include "dbt/base/check.h"
#include "tests/lib/rv_rig.h"

/* Registers with a part to play: nothing else writes them. */
enum { REG_END = 29, REG_START = 30, REG_LOOP = 31 };
enum { NOP = 0x13, C_NOP = 0x0001, ECALL = 0x73 };

/* Those that point into the data: the compressed forms need x2 and some of x8..x15. */
static const uint8_t bases[] = {2, 8, 11, 15, 20, 24};

struct gen {
    uint64_t rng, ext;
    unsigned flags;
    struct rv_program *p;
    uint16_t row[RV_RANDOM_MAX];   /* RV_OP_reserved: a word that is no instruction */
    bool loop_back[RV_RANDOM_MAX]; /* the branch behind the decrement */
    bool pair[RV_RANDOM_MAX];      /* the sc of the lr before */
    bool word[RV_RANDOM_MAX];      /* the atomic that wants a 32-bit operand */
    bool base[32];                 /* still points into the data */
    uint8_t few[6];                /* registers that are picked more often */
};

static bool one_in(uint64_t *rng, unsigned n)
{
    return rv_random_below(rng, n) == 0;
}

/* ---- Which instructions ------------------------------------------------------------------- */

static bool has(uint16_t row, char letter)
{
    return strchr(rv_formats[rv_rows[row].format].syntax, letter) != NULL;
}

bool rv_is_memory(uint16_t op)
{
    uint8_t kind = rv_rows[op].kind;

    return kind == RV_KIND_LOAD || kind == RV_KIND_STORE || kind == RV_KIND_AMO ||
           op == RV_OP_flw || op == RV_OP_fld || op == RV_OP_fsw || op == RV_OP_fsd;
}

static const uint64_t rv64gc = UINT64_C(1) << RV_EXT_m | UINT64_C(1) << RV_EXT_a |
                               UINT64_C(1) << RV_EXT_f | UINT64_C(1) << RV_EXT_d |
                               UINT64_C(1) << RV_EXT_c | UINT64_C(1) << RV_EXT_zicsr |
                               UINT64_C(1) << RV_EXT_zifencei;

static bool allowed(const struct gen *g, uint16_t row)
{
    return (rv_rows[row].needs & ~g->ext) == 0;
}

static bool ends_with(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);

    return n >= t && strcmp(name + n - t, tail) == 0;
}

/* The precision of the result 'D' or of the operands 'S', as the name says it: 's', 'd', or
 * 0 for those that take any bits. */
static char precision(uint16_t op, char operand)
{
    const char *name = rv_rows[op].name;

    if (op == RV_OP_flw || op == RV_OP_fmv_w_x)
        return 's';
    if (op == RV_OP_fld || op == RV_OP_fmv_d_x)
        return 'd';
    if (op == RV_OP_fsw || op == RV_OP_fsd || op == RV_OP_fmv_x_w || op == RV_OP_fmv_x_d)
        return 0;
    if (operand == 'D' && strncmp(name, "fcvt_s_", 7) == 0)
        return 's';
    if (operand == 'D' && strncmp(name, "fcvt_d_", 7) == 0)
        return 'd';
    return ends_with(name, "_s") ? 's' : ends_with(name, "_d") ? 'd' : 0;
}

bool rv_makes_single(uint16_t op)
{
    return has(op, 'D') && op != RV_OP_flw && precision(op, 'D') == 's';
}

static bool is_minmax_w(uint16_t row)
{
    return row >= RV_OP_amomin_w && row <= RV_OP_amomaxu_w;
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

static bool asks(uint16_t op)
{
    return op == RV_OP_ecall || op == RV_OP_ebreak;
}

static uint16_t pick_row(struct gen *g)
{
    if (one_in(&g->rng, 400))
        return RV_OP_reserved;
    for (;;) {
        uint16_t row = (uint16_t)(1 + rv_random_below(&g->rng, RV_OP_COUNT - 1));

        if (!allowed(g, row) || rv_random_below(&g->rng, 16) < dislike(row))
            continue;
        if ((g->flags & RV_RANDOM_USER) && asks(rv_rows[row].expands))
            continue;
        if ((g->flags & RV_RANDOM_NO_SC) && (row == RV_OP_sc_w || row == RV_OP_sc_d))
            continue;
        if ((g->flags & RV_RANDOM_FOR_QEMU) && row == RV_OP_ctzw)
            continue;
        if ((g->flags & RV_RANDOM_AMO_WORD) && is_minmax_w(row) && !one_in(&g->rng, 8))
            continue;
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

static void choose_memory(struct gen *g, struct rv_insn *i, unsigned k)
{
    bool atomic = rv_rows[i->op].kind == RV_KIND_AMO;
    uint8_t r = pick_base(g);

    if (!one_in(&g->rng, 200))
        i->rs1 = r;
    if (g->pair[k])
        i->rs1 = g->p->word[k - 1] >> 15 & 31;
    if (g->word[k])
        i->rs2 = g->p->word[k - 1] >> 7 & 31;
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
    static const uint16_t csr[] = {1, 2, 3, 3, 1, 2, 1, 0x340, 0x340, 0x140, 0x7c0, 0xf14};

    i->imm = csr[rv_random_below(&g->rng, g->flags & RV_RANDOM_USER ? 7 : 12)];
    /* Not too often an invalid rounding mode: all that follows would be illegal. */
    if (i->imm == 2 && has(i->row, 'z'))
        i->rs1 = (uint8_t)rv_random_below(&g->rng, 5);
    else if (i->imm == 3 && !one_in(&g->rng, 8))
        i->imm = 1;
}

/* Where a jump may lead: not past a loop's decrement, which would be to loop for ever. */
static bool is_target(const struct gen *g, unsigned k)
{
    return !g->loop_back[k] && !g->p->room[k];
}

static void choose_target(struct gen *g, struct rv_insn *i, unsigned k)
{
    const struct rv_program *p = g->p;
    unsigned reach = p->n - k - 1 < 8 ? p->n - k - 1 : 8;
    unsigned to = k + 1 + rv_random_below(&g->rng, reach);

    while (!is_target(g, to))
        to++;
    i->imm = (int64_t)p->offset[to] - p->offset[k];
    if (i->op != RV_OP_jalr)
        return;
    i->imm = 0;
    if (rv_row_is_compressed(i->row)) {
        i->rs1 = REG_END;
    } else if ((g->flags & RV_RANDOM_USER) || !one_in(&g->rng, 16)) {
        i->rs1 = REG_START;
        i->imm = (int64_t)p->offset[to] - p->start;
    }
}

static uint8_t in_half(uint8_t reg, char precision)
{
    return precision ? (uint8_t)((reg & ~1) | (precision == 'd')) : reg;
}

static void keep_apart(struct gen *g, struct rv_insn *i)
{
    if (one_in(&g->rng, 32))
        return;
    if (has(i->op, 'D'))
        i->rd = in_half(i->rd, precision(i->op, 'D'));
    if (has(i->op, 'S'))
        i->rs1 = in_half(i->rs1, precision(i->op, 'S'));
    if (has(i->op, 'T'))
        i->rs2 = in_half(i->rs2, precision(i->op, 'S'));
    if (has(i->op, 'R'))
        i->rs3 = in_half(i->rs3, precision(i->op, 'S'));
}

/* Floating-point registers: fewer than there are, so that results become operands. */
static void choose_fp(struct gen *g, struct rv_insn *i)
{
    if (!one_in(&g->rng, 3)) {
        if (has(i->op, 'D'))
            i->rd = 8 + (i->rd & 7);
        if (has(i->op, 'S'))
            i->rs1 = 8 + (i->rs1 & 7);
        if (has(i->op, 'T'))
            i->rs2 = 8 + (i->rs2 & 7);
    }
    if (g->flags & RV_RANDOM_APART)
        keep_apart(g, i);
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
    choose_fp(g, i);
    if (rv_is_memory(i->op))
        choose_memory(g, i, k);
    if (has(i->row, 'c'))
        choose_csr(g, i);
    if (kind == RV_KIND_BRANCH || kind == RV_KIND_JUMP)
        choose_target(g, i, k);
}

static bool writes_int(const struct rv_insn *i)
{
    return has(i->op, 'd') && i->rd != 0;
}

/* An indirect jump into the data or to the start, or the spare register. */
static bool is_unwanted(const struct gen *g, const struct rv_insn *i)
{
    if (i->op == RV_OP_jalr && (g->base[i->rs1] || (i->rs1 == REG_START && i->imm <= 1)))
        return true;
    return (has(i->op, 'd') && i->rd == RV_RANDOM_SPARE) ||
           (has(i->op, 's') && i->rs1 == RV_RANDOM_SPARE) ||
           (has(i->op, 't') && i->rs2 == RV_RANDOM_SPARE);
}

/* One try; false: these operands are not for this row, or not for us. */
static bool try_insn(struct gen *g, unsigned k, uint32_t *word, struct rv_insn *i)
{
    uint16_t row = g->row[k];
    struct rv_insn wish;
    uint32_t wished;

    *word = ((uint32_t)rig_random(&g->rng) & ~rv_row_mask(row)) | rv_row_match(row);
    if (rv_row_is_compressed(row))
        *word &= 0xffff;
    rv_decode(*word, i);
    if (i->row != row)
        return false;
    wish = *i;
    choose_operands(g, &wish, k);
    /* What is implied or has a format of its own stays as it came. */
    if (rv_encode(&wish, &wished) || (wish.rs1 = wish.rd, rv_encode(&wish, &wished)))
        rv_decode(*word = wished, i);
    else if (rv_rows[i->op].kind == RV_KIND_BRANCH || rv_rows[i->op].kind == RV_KIND_JUMP)
        return false;
    if (i->row != row || is_unwanted(g, i))
        return false;
    if (!writes_int(i))
        return true;
    if (i->rd >= REG_END)
        return false;
    return !g->base[i->rd] || one_in(&g->rng, 64);
}

static bool lost_base(struct gen *g, const struct rv_insn *i)
{
    return rv_is_memory(i->op) && !g->base[i->rs1] &&
           ((g->flags & RV_RANDOM_FOR_QEMU) || !one_in(&g->rng, 64));
}

/* No instruction of RV64GC; it may be one of an extension that is off. */
static uint32_t junk(struct gen *g)
{
    struct rv_insn i;
    uint32_t word;

    do {
        word = (uint32_t)rig_random(&g->rng) | 3;
        rv_decode(word, &i);
    } while (i.op != RV_OP_reserved && allowed(g, i.op));
    return word;
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

    while (!is_target(g, k - back))
        back++;
    struct rv_insn dec = {.row = RV_OP_addi, .rd = REG_LOOP, .rs1 = REG_LOOP, .imm = -1};
    struct rv_insn jump = {.row = RV_OP_blt, .rs1 = 0, .rs2 = REG_LOOP};

    jump.imm = (int64_t)p->offset[k - back] - p->offset[k];
    CHECK(rv_encode(&dec, &p->word[k - 1]) && rv_encode(&jump, &p->word[k]));
}

/* ---- Programs ----------------------------------------------------------------------------- */

static void choose_registers(struct rv_program *p)
{
    uint64_t rng = p->seed * UINT64_C(0x9fb21c651e98df25) + 2;

    for (unsigned r = 1; r < 32; r++)
        p->x[r] = rv_random_int(&rng);
    for (unsigned r = 0; r < 32; r++)
        p->f[r] = rv_random_fp(&rng);
    for (unsigned k = 0; k < sizeof(bases); k++) {
        uint64_t at = rv_random_below(&rng, 0x1e00);

        if (one_in(&rng, 4))
            at = 0xfc0 + rv_random_below(&rng, 0x80); /* the page boundary */
        if (one_in(&rng, 32))
            at = 0x1fc0 + rv_random_below(&rng, 0x44); /* the end of memory */
        if (!one_in(&rng, 6))
            at &= ~UINT64_C(7);
        p->x[bases[k]] = RV_RANDOM_BASE + RV_RANDOM_DATA + at;
    }
    p->x[RV_RANDOM_SPARE] = RV_RANDOM_SPARE_VALUE;
    p->x[REG_END] = RV_RANDOM_BASE + p->offset[p->n - 1];
    p->x[REG_START] = RV_RANDOM_BASE + p->start;
    p->x[REG_LOOP] = rv_random_below(&rng, 4);
    p->fcsr = rv_random_below(&rng, 5) << 5 | (one_in(&rng, 2) ? rig_random(&rng) & 31 : 0);
    if (one_in(&rng, 64))
        p->fcsr |= 0xe0;
    p->priv = one_in(&rng, 2) ? RV_M : one_in(&rng, 2) ? RV_S : RV_U;
}

/* Boxed singles in even registers, anything but them in odd ones. */
static void keep_registers_apart(struct rv_program *p)
{
    uint64_t rng = p->seed * UINT64_C(0xd6e8feb86659fd93) + 3;

    for (unsigned r = 0; r < 32; r += 2)
        while (p->f[r] >> 32 != UINT32_MAX)
            p->f[r] = rv_random_fp(&rng);
    for (unsigned r = 1; r < 32; r += 2)
        while (p->f[r] >> 32 == UINT32_MAX)
            p->f[r] = rv_random_fp(&rng);
}

/* An instruction and what belongs to it, from k on; how many. */
static unsigned place_some(struct gen *g, unsigned k)
{
    struct rv_program *p = g->p;
    unsigned left = p->n - 1 - k;

    if (k > 0 && left >= 2 && one_in(&g->rng, 40)) {
        g->row[k] = RV_OP_addi;
        g->row[k + 1] = RV_OP_blt;
        g->loop_back[k + 1] = true;
        return 2;
    }
    g->row[k] = pick_row(g);
    if ((g->row[k] == RV_OP_lr_w || g->row[k] == RV_OP_lr_d) && left >= 2 && !one_in(&g->rng, 4) &&
        !(g->flags & RV_RANDOM_NO_SC)) {
        g->row[k + 1] = g->row[k] == RV_OP_lr_w ? RV_OP_sc_w : RV_OP_sc_d;
        g->pair[k + 1] = true;
        return 2;
    }
    if ((g->flags & RV_RANDOM_AMO_WORD) && is_minmax_w(g->row[k]) && left >= 2 &&
        !one_in(&g->rng, 32)) {
        g->row[k + 1] = g->row[k];
        g->row[k] = RV_OP_addiw;
        g->word[k + 1] = true;
        return 2;
    }
    if (!(g->flags & RV_RANDOM_ROOM) || !rv_makes_single(rv_rows[g->row[k]].expands))
        return 1;
    if (left < 3) {
        g->row[k] = RV_OP_addi;
        return 1;
    }
    g->row[k + 1] = g->row[k + 2] = RV_OP_addi;
    p->room[k + 1] = 1;
    p->room[k + 2] = 2;
    return 3;
}

/* Offsets; `len` is known. */
static void lay_out(struct rv_program *p)
{
    uint32_t at = p->start;

    for (unsigned k = 0; k < p->n; k++) {
        p->offset[k] = at;
        at += p->len[k];
    }
    p->end = at;
}

static void place_rows(struct gen *g)
{
    struct rv_program *p = g->p;

    for (unsigned k = 0; k + 1 < p->n;)
        k += place_some(g, k);
    g->row[p->n - 1] = RV_OP_ecall;
    for (unsigned k = 0; k < p->n; k++)
        p->len[k] = rv_row_is_compressed(g->row[k]) ? 2 : 4;
    lay_out(p);
}

static void choose_words(struct gen *g, uint32_t valid_bases)
{
    struct rv_program *p = g->p;

    for (unsigned r = 0; r < 32; r++)
        g->base[r] = (valid_bases >> r & 1) != 0;
    for (unsigned k = 0; k < sizeof(g->few); k++)
        g->few[k] =
            (uint8_t)(k < 3 ? 8 + rv_random_below(&g->rng, 8) : rv_random_below(&g->rng, 28));
    for (unsigned k = 0; k + 1 < p->n; k++) {
        if (p->room[k])
            p->word[k] = NOP;
        else if (g->row[k] == RV_OP_reserved)
            p->word[k] = junk(g);
        else if (g->loop_back[k + 1])
            fill_loop(g, ++k);
        else
            fill(g, k);
    }
    p->word[p->n - 1] = ECALL;
}

void rv_random_program(struct rv_program *p, uint64_t seed, unsigned flags)
{
    struct gen g = {
        .rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 1, .ext = rv64gc, .flags = flags, .p = p};

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->n = 16 + rv_random_below(&g.rng, RV_RANDOM_MAX - 15);
    p->start = rv_random_below(&g.rng, RV_RANDOM_CODE_BYTES - 4 * RV_RANDOM_MAX) & ~1u;
    if (one_in(&g.rng, 4)) /* some straddle the two pages */
        p->start = (0x1000 - rv_random_below(&g.rng, 2 * p->n)) & ~1u;
    place_rows(&g);
    choose_words(&g, RV_RANDOM_BASES);
    choose_registers(p);
    if (flags & RV_RANDOM_APART)
        keep_registers_apart(p);
}

uint32_t rv_random_piece(struct rv_program *p, uint64_t seed, unsigned flags, uint64_t ext,
                         uint32_t start, unsigned n, uint32_t valid_bases)
{
    struct gen g = {
        .rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 1, .ext = ext, .flags = flags, .p = p};
    uint32_t left = 0;

    CHECK(n >= 2 && n <= RV_RANDOM_MAX);
    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->n = n;
    p->start = start;
    place_rows(&g);
    choose_words(&g, valid_bases);
    p->word[n - 1] = NOP;
    for (unsigned r = 0; r < 32; r++)
        left |= (uint32_t)g.base[r] << r;
    return left;
}

bool rv_random_target(const struct rv_program *p, unsigned k)
{
    struct rv_insn i;

    rv_decode(p->word[k], &i);
    return !(i.op == RV_OP_blt && i.rs1 == 0 && i.rs2 == REG_LOOP);
}

void rv_program_of(struct rv_program *p, uint64_t seed, uint32_t start, const uint32_t *word,
                   unsigned n, unsigned flags)
{
    CHECK(n >= 1 && n <= RV_RANDOM_MAX);
    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->start = start;
    p->n = n;
    for (unsigned k = 0; k < n; k++) {
        struct rv_insn i;

        p->word[k] = word[k];
        p->len[k] = (uint8_t)rv_len_bytes((uint16_t)word[k]);
        rv_decode(word[k], &i);
        if ((flags & RV_RANDOM_ROOM) && rv_makes_single(i.op) && k + 2 < n && word[k + 1] == NOP &&
            word[k + 2] == NOP) {
            p->room[k + 1] = 1;
            p->room[k + 2] = 2;
        }
    }
    lay_out(p);
    choose_registers(p);
    if (flags & RV_RANDOM_APART)
        keep_registers_apart(p);
}

void rv_program_drop(struct rv_program *p, unsigned k)
{
    p->word[k] = p->len[k] == 2 ? C_NOP : NOP;
}

void rv_program_place(const struct rv_program *p, uint8_t *ram)
{
    uint64_t rng = p->seed;

    memset(ram, 0, RV_RANDOM_CODE_BYTES);
    for (unsigned k = 0; k < p->n; k++)
        memcpy(ram + p->offset[k], &p->word[k], p->len[k]);
    for (unsigned at = RV_RANDOM_DATA; at < RV_RANDOM_RAM_BYTES; at += 8) {
        uint64_t v = rig_random(&rng);

        memcpy(ram + at, &v, 8);
    }
}
