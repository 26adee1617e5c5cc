#include "tests/system/program.h"

#include <string.h>

#include "dbt/base/check.h"
#include "tests/lib/rv_random.h"
#include "tests/lib/rv_rig.h"

enum { NOP = 0x13, C_NOP = 0x0001, ROOM = 256 };

/* ---- Emission ------------------------------------------------------------------------------ */

unsigned sys_below(struct sys_gen *g, unsigned n)
{
    return rv_random_below(&g->rng, n);
}

bool sys_one_in(struct sys_gen *g, unsigned n)
{
    return sys_below(g, n) == 0;
}

bool sys_qemu(struct sys_gen *g, enum sys_qemu row)
{
    if (g->for_qemu)
        g->p->left_out |= 1u << row;
    return g->for_qemu;
}

void sys_begin(struct sys_gen *g, const char *what)
{
    struct sys_program *p = g->p;

    CHECK(p->n_items < SYS_MAX_ITEMS);
    p->item[p->n_items] = (struct sys_item){.at = p->len, .what = what};
}

void sys_end(struct sys_gen *g)
{
    struct sys_program *p = g->p;

    p->item[p->n_items].len = p->len - p->item[p->n_items].at;
    p->n_items++;
}

/* No room for the longest macro, or for a piece. */
bool sys_full(const struct sys_gen *g)
{
    return g->p->len + 2 * ROOM > SYS_CODE_BYTES || g->p->n_items + 80 > SYS_MAX_ITEMS ||
           g->n_pieces == sizeof(g->piece) / sizeof(g->piece[0]);
}

void sys_word(struct sys_gen *g, uint32_t word, unsigned len)
{
    CHECK(g->p->len + len <= SYS_CODE_BYTES);
    memcpy(g->p->code + g->p->len, &word, len);
    g->p->len += len;
}

void sys_op(struct sys_gen *g, enum rv_op row, unsigned rd, unsigned rs1, unsigned rs2, int64_t imm)
{
    const struct rv_insn i = {.row = (uint16_t)row,
                              .rd = (uint8_t)rd,
                              .rs1 = (uint8_t)rs1,
                              .rs2 = (uint8_t)rs2,
                              .imm = imm};
    uint32_t word;

    CHECK(rv_encode(&i, &word));
    sys_word(g, word, 4);
}

void sys_li(struct sys_gen *g, unsigned rd, uint64_t value)
{
    int64_t low = (int64_t)(value << 52) >> 52;
    uint64_t rest = value - (uint64_t)low;
    unsigned shift = 12;

    if (rest == 0) {
        sys_op(g, RV_OP_addi, rd, 0, 0, low);
        return;
    }
    if ((int64_t)value == (int32_t)value) {
        sys_op(g, RV_OP_lui, rd, 0, 0, (int32_t)rest);
        sys_op(g, RV_OP_addiw, rd, rd, 0, low);
        return;
    }
    while ((rest >> shift & 1) == 0)
        shift++;
    sys_li(g, rd, (uint64_t)((int64_t)rest >> shift));
    sys_op(g, RV_OP_slli, rd, rd, 0, shift);
    if (low)
        sys_op(g, RV_OP_addi, rd, rd, 0, low);
}

void sys_csr(struct sys_gen *g, enum rv_op row, unsigned rd, unsigned number, unsigned rs1)
{
    sys_word(g, rv_row_match(row) | number << 20 | rs1 << 15 | rd << 7, 4);
}

uint64_t sys_alias(const struct sys_gen *g, enum rv_priv mode, enum sys_space space)
{
    return mode == RV_M || space == SYS_BARE ? SYS_ARENA + SYS_CODE : g->alias[mode];
}

/* ---- Pieces -------------------------------------------------------------------------------- */

/* Makes some registers point into data again. */
static void put_bases(struct sys_gen *g)
{
    static const uint8_t base[] = {2, 8, 11, 15, 20, 24};

    sys_begin(g, "bases");
    for (unsigned n = 0; n < 2; n++) {
        unsigned r = base[sys_below(g, sizeof(base))];

        sys_li(g, r, sys_data_address(g));
        g->bases |= 1u << r;
    }
    sys_end(g);
}

static void remember(struct sys_gen *g, const struct rv_program *f)
{
    struct sys_piece *piece = &g->piece[g->n_pieces++];

    piece->start = f->offset[0];
    piece->end = f->offset[f->n - 1];
    for (unsigned k = 0; k < f->n; k++) {
        if (!rv_random_target(f, k))
            continue;
        piece->target_len[piece->n_targets] = f->len[k];
        piece->target[piece->n_targets++] = f->offset[k];
    }
}

static void put_piece(struct sys_gen *g)
{
    struct sys_program *p = g->p;
    unsigned n = 4 + sys_below(g, 20);
    bool no_sc = g->chaos || sys_qemu(g, SYS_QEMU_sc_alone);
    bool for_qemu = sys_qemu(g, SYS_QEMU_ctzw) && sys_qemu(g, SYS_QEMU_stray);
    unsigned flags =
        RV_RANDOM_USER | (no_sc ? RV_RANDOM_NO_SC : 0) | (for_qemu ? RV_RANDOM_FOR_QEMU : 0);
    struct rv_program f;
    uint32_t start;

    if (sys_one_in(g, 2) || g->bases == 0)
        put_bases(g);
    if (sys_one_in(g, 2)) { /* from here on at odd halfwords */
        sys_begin(g, "align");
        sys_word(g, C_NOP, 2);
        sys_end(g);
    }
    start = p->len + 16;
    g->bases = rv_random_piece(&f, rig_random(&g->rng), flags, g->ext, start, n, g->bases);
    sys_begin(g, "piece");
    sys_op(g, RV_OP_auipc, 30, 0, 0, 0);
    sys_op(g, RV_OP_addi, 30, 30, 0, 16);
    sys_op(g, RV_OP_addi, 29, 30, 0, f.offset[n - 1] - start);
    sys_op(g, RV_OP_addi, 31, 0, 0, sys_below(g, 4));
    sys_end(g);
    CHECK(p->len == start);
    for (unsigned k = 0; k < n; k++) {
        sys_begin(g, NULL);
        sys_word(g, f.word[k], f.len[k]);
        if (k + 1 < n && !rv_random_target(&f, k + 1)) { /* a loop and what ends it go together */
            k++;
            sys_word(g, f.word[k], f.len[k]);
        }
        sys_end(g);
    }
    remember(g, &f);
}

/* ---- Programs ------------------------------------------------------------------------------ */

static enum rv_priv pick_mode(struct sys_gen *g)
{
    if (g->m_allowed && sys_one_in(g, 2))
        return RV_M;
    return g->s_allowed && !sys_one_in(g, g->kernel ? 8 : 3) ? RV_S : RV_U;
}

static uint64_t random_bits(struct sys_gen *g, uint64_t mask)
{
    return rig_random(&g->rng) & mask;
}

static uint64_t *csr_slot(struct sys_program *p, unsigned number)
{
    static const uint16_t numbers[] = {
#define SYS_CSR(name, number) number,
#include "tests/system/csr.def"
#undef SYS_CSR
    };
    _Static_assert(sizeof(numbers) / sizeof(numbers[0]) == SYS_N_CSR, "layout.h has its length");

    for (unsigned i = 0; i < SYS_N_CSR; i++)
        if (numbers[i] == number)
            return &p->header[SYS_H_CSR + i];
    CHECK(false && "a CSR of csr.def");
    return NULL;
}

/* An atomic's fault goes one way, whatever it is called. */
uint64_t sys_delegated(struct sys_gen *g, uint64_t medeleg)
{
    const uint64_t load = 1 << 4 | 1 << 5 | 1 << 13;
    uint64_t alike = (medeleg & ~(load << 2)) | (medeleg & load) << 2;

    return alike != medeleg && sys_qemu(g, SYS_QEMU_amo_load) ? alike : medeleg;
}

static void choose_csrs(struct sys_gen *g)
{
    struct sys_program *p = g->p;
    uint64_t satp = g->space == SYS_BARE ? 0
                    : g->space == SYS_A  ? UINT64_C(8) << 60 | UINT64_C(1) << 44
                                         : UINT64_C(8) << 60 | UINT64_C(2) << 44;

    if (satp)
        satp |= (SYS_ARENA + (g->space == SYS_A ? SYS_ROOT_A : SYS_ROOT_B)) >> 12;
    *csr_slot(p, 0x302) = sys_one_in(g, 3) ? 0 : sys_delegated(g, random_bits(g, 0xb1f7));
    *csr_slot(p, 0x303) = random_bits(g, 0x222);
    *csr_slot(p, 0x304) = random_bits(g, 0x222) | 0x80;
    *csr_slot(p, 0x105) = SYS_S_HANDLER | sys_one_in(g, 2);
    *csr_slot(p, 0x180) = satp;
    *csr_slot(p, 0x306) = random_bits(g, 7);
    *csr_slot(p, 0x106) = random_bits(g, 7);
    if (sys_qemu(g, SYS_QEMU_adue) || sys_one_in(g, 2)) /* A and D are the hardware's to set */
        *csr_slot(p, 0x30a) = UINT64_C(1) << 61;
    /* Entries for the handler, against the runtime, and, locked, so that M too can only read them,
     * for the programs: layout.h. */
    *csr_slot(p, 0x3a0) = 0x1d | 0x1b << 8 | 0x18 << 16 | UINT64_C(0x99) << 24;
    /* UXL is 64 bits, for QEMU lets stray code change it. FS on and, mostly, interrupts on behind
     * the mret; rarely what makes supervisors trap. */
    *csr_slot(p, 0x300) = (uint64_t)(sys_qemu(g, SYS_QEMU_fs) ? 3 : 1 + sys_below(g, 3)) << 13 |
                          random_bits(g, 0xc0120) | UINT64_C(2) << 32;
    if (g->m_allowed)
        *csr_slot(p, 0x300) |= random_bits(g, 0x80);
    if (sys_one_in(g, 4))
        *csr_slot(p, 0x300) |= random_bits(g, 0x700000);
    if (g->kernel && !sys_one_in(g, 4))
        *csr_slot(p, 0x300) &= ~UINT64_C(0xc0000); /* MXR, SUM: with them it has no window */
}

static void choose_registers(struct sys_gen *g)
{
    uint64_t *x = g->p->header + SYS_H_X, *f = g->p->header + SYS_H_F;

    for (unsigned r = 1; r < 32; r++)
        x[r] = rv_random_int(&g->rng);
    for (unsigned r = 0; r < 32; r++)
        f[r] = rv_random_fp(&g->rng);
    for (unsigned r = 0; r < 32; r++)
        if (RV_RANDOM_BASES >> r & 1)
            x[r] = sys_data_address(g);
    x[31] = 0; /* how often a piece's loops run, where what sets it has been dropped */
    g->bases = RV_RANDOM_BASES;
    g->p->header[SYS_H_FCSR] = sys_below(g, 5) << 5 | sys_below(g, 32);
}

static void put_chunk(struct sys_gen *g)
{
    unsigned rounds = 1 + sys_below(g, 3);

    for (unsigned r = 0; r < rounds && !sys_full(g); r++) {
        for (unsigned n = sys_below(g, 3); n > 0; n--)
            sys_macro(g);
        put_piece(g);
    }
}

void sys_random_program(struct sys_program *p, uint64_t seed, unsigned flags, uint64_t ext)
{
    struct sys_gen g = {.p = p, .rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 5, .ext = ext};
    unsigned n_chunks = 2 + sys_below(&g, 7), n = 0;

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->header[SYS_H_ID] = seed;
    g.for_qemu = (flags & SYS_FOR_QEMU) != 0;
    g.kernel = (flags & SYS_KERNEL) != 0;
    g.fenced = (flags & SYS_FENCED) != 0;
    g.m_allowed = sys_one_in(&g, 3);
    g.s_allowed = g.m_allowed || !sys_one_in(&g, 3) || g.kernel;
    g.chaos = !g.m_allowed && !(flags & SYS_NO_CHAOS) && sys_one_in(&g, 3);
    g.space = sys_one_in(&g, g.kernel ? 20 : 5) ? SYS_BARE : sys_one_in(&g, 2) ? SYS_A : SYS_B;
    sys_tables(&g);
    choose_csrs(&g);
    g.mode = pick_mode(&g);
    choose_registers(&g);
    if (sys_one_in(&g, 3)) /* the pages' boundary is soon reached */
        p->len = 0xc00 + sys_below(&g, 0x200) * 2;
    for (; n < n_chunks && !sys_full(&g); n++) {
        if (n > 0) {
            enum rv_priv from = g.mode;

            g.mode = pick_mode(&g);
            sys_next_chunk(&g, from);
        }
        p->header[SYS_H_CHUNK + n] = p->len | (uint64_t)g.mode << 32;
        put_chunk(&g);
    }
    sys_begin(&g, "end");
    sys_op(&g, RV_OP_addi, 29, 0, 0, SYS_END);
    sys_op(&g, RV_OP_ebreak, 0, 0, 0, 0);
    sys_end(&g);
    p->header[SYS_H_CHUNKS] = n;
    p->header[SYS_H_CODE_LEN] = (p->len + 7) & ~7u;
    p->header[SYS_H_ALIAS_S] = g.alias[RV_S];
    p->header[SYS_H_ALIAS_U] = g.alias[RV_U];
    p->header[SYS_H_FLAGS] = (g.chaos ? SYS_CHAOS : 0) | (g.for_qemu ? SYS_LIKE_QEMU : 0);
    p->header[SYS_H_N_POKES] = p->n_pokes;
}

void sys_program_drop(struct sys_program *p, unsigned k)
{
    const struct sys_item *item = &p->item[k];
    uint32_t at = item->at, end = item->at + item->len;

    for (; at + 4 <= end; at += 4)
        memcpy(p->code + at, &(uint32_t){NOP}, 4);
    if (at < end)
        memcpy(p->code + at, &(uint16_t){C_NOP}, 2);
}
