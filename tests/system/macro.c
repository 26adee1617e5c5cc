/* Pieces of system code. Each is one item, uses x28 to x31 only, but for what it computes, and
 * leaves them to be set anew by what follows. */
#include "tests/lib/rv_random.h"
#include "tests/lib/rv_rig.h"
#include "tests/system/program.h"

enum { T0 = 29, T1 = 30, T2 = 31, TO = RV_RANDOM_SPARE };
enum {
    SSTATUS = 0x100,
    SEPC = 0x141,
    SIP = 0x144,
    MSTATUS = 0x300,
    MEDELEG = 0x302,
    MEPC = 0x341,
    MIP = 0x344,
    MENVCFG = 0x30a
};
#define MPRV UINT64_C(0x20000)
enum { MPP = 0x1800, MPP_SHIFT = 11, SPP = 0x100, SPP_SHIFT = 8 };

static unsigned pick(struct sys_gen *g, const uint16_t *list, unsigned n)
{
    return list[sys_below(g, n)];
}
#define PICK(g, list) pick(g, list, sizeof(list) / sizeof((list)[0]))

/* A register that pieces use as a number, not as an address. */
static unsigned any_register(struct sys_gen *g)
{
    static const uint16_t r[] = {5, 6, 7, 9, 10, 12, 13, 14, 16, 17, 18};

    return PICK(g, r);
}

static void ask(struct sys_gen *g, unsigned service)
{
    sys_op(g, RV_OP_addi, T0, 0, 0, service);
    sys_op(g, RV_OP_ebreak, 0, 0, 0, 0);
}

/* rd: the address of an offset in the code, wherever the code is seen at. */
static void address_of(struct sys_gen *g, unsigned rd, uint32_t offset)
{
    int64_t away = (int64_t)offset - (int64_t)g->p->len;
    int64_t low = (int64_t)((uint64_t)away << 52) >> 52;

    sys_op(g, RV_OP_auipc, rd, 0, 0, away - low);
    sys_op(g, RV_OP_addi, rd, rd, 0, low);
}

/* What is emitted until its own length stands still may only grow. */
static void pad(struct sys_gen *g, uint32_t to)
{
    while (g->p->len < to)
        sys_op(g, RV_OP_addi, 0, 0, 0, 0);
}

/* ---- Ways to another place ----------------------------------------------------------------- */

/* To the middle of a piece that stands before. */
static void jump_back(struct sys_gen *g)
{
    const struct sys_piece *to;
    uint32_t target;

    if (g->n_pieces == 0)
        return;
    to = &g->piece[sys_below(g, g->n_pieces)];
    target = to->target[sys_below(g, to->n_targets)];
    sys_begin(g, "back");
    ask(g, SYS_COUNT);
    address_of(g, 29, to->end);
    address_of(g, 30, to->start);
    sys_op(g, RV_OP_addi, 31, 0, 0, sys_below(g, 3));
    if (sys_one_in(g, 2)) {
        sys_op(g, RV_OP_jal, 0, 0, 0, (int64_t)target - (int64_t)g->p->len);
    } else {
        address_of(g, TO, target);
        sys_op(g, RV_OP_jalr, sys_one_in(g, 2) ? 1 : 0, TO, 0, 0);
    }
    sys_end(g);
}

/* To where there is no code, or none that may be executed. */
static void jump_astray(struct sys_gen *g)
{
    uint64_t to = rv_random_int(&g->rng);

    /* Not to the runtime's beginning. */
    if (to - SYS_RAM < SYS_PROGRAMS - SYS_RAM || sys_qemu(g, SYS_QEMU_stray) || sys_one_in(g, 2))
        to = sys_data_address(g);
    sys_begin(g, "astray");
    ask(g, SYS_COUNT); /* it may lead back */
    sys_li(g, TO, to);
    sys_op(g, RV_OP_jalr, sys_one_in(g, 2) ? 1 : 0, TO, 0, 0);
    sys_end(g);
}

/* The same through the runtime, in any mode. */
static void enter_piece(struct sys_gen *g)
{
    const struct sys_piece *to;
    uint64_t mode = sys_one_in(g, 2) ? g->mode : sys_one_in(g, 2) && g->s_allowed ? RV_S : RV_U;

    if (g->n_pieces == 0)
        return;
    to = &g->piece[sys_below(g, g->n_pieces)];
    sys_begin(g, "enter");
    sys_li(g, T1, to->target[sys_below(g, to->n_targets)] | mode << 32);
    sys_li(g, T2, to->end | (uint64_t)to->start << 16 | (uint64_t)sys_below(g, 3) << 32);
    ask(g, SYS_GOTO);
    sys_end(g);
}

static void set_field(struct sys_gen *g, unsigned csr, uint64_t mask, uint64_t value)
{
    sys_li(g, T1, mask);
    sys_csr(g, RV_OP_csrrc, 0, csr, T1);
    sys_li(g, T1, value);
    sys_csr(g, RV_OP_csrrs, 0, csr, T1);
}

/* Behind it the code goes on in g->mode: by the program's own mret or sret where it can, else by
 * the runtime. The length of constants depends on where they lead: emitted until that stands still.
 */
void sys_next_chunk(struct sys_gen *g, enum rv_priv from)
{
    uint32_t begin = g->p->len, to = begin, was;
    bool own = !sys_one_in(g, 3) && (from == RV_M || (from == RV_S && g->mode != RV_M));
    unsigned epc = from == RV_M ? MEPC : SEPC;

    sys_begin(g, "next");
    do {
        was = to;
        g->p->len = begin;
        if (own) {
            sys_li(g, T0, sys_alias(g, g->mode, g->space) + to);
            sys_csr(g, RV_OP_csrrw, 0, epc, T0);
            if (from == RV_M)
                set_field(g, MSTATUS, MPP, (uint64_t)g->mode << MPP_SHIFT);
            else
                set_field(g, SSTATUS, SPP, (uint64_t)g->mode << SPP_SHIFT);
            sys_op(g, from == RV_M ? RV_OP_mret : RV_OP_sret, 0, 0, 0, 0);
        } else {
            sys_li(g, T1, to | (uint64_t)g->mode << 32);
            sys_op(g, RV_OP_addi, T2, 0, 0, 0);
            ask(g, SYS_GOTO);
        }
        pad(g, was);
        to = g->p->len;
    } while (to != was);
    sys_end(g);
}

/* A call of a few instructions that stand beside the way. */
static void call(struct sys_gen *g)
{
    unsigned r = any_register(g), n = 1 + sys_below(g, 4), link = sys_one_in(g, 3) ? 5 : 1;

    sys_begin(g, "call");
    sys_op(g, RV_OP_jal, link, 0, 0, 8);
    sys_op(g, RV_OP_jal, 0, 0, 0, 4 * (int64_t)(n + 2));
    for (unsigned k = 0; k < n; k++)
        sys_op(g, k & 1 ? RV_OP_add : RV_OP_xor, r, r, any_register(g), 0);
    sys_op(g, RV_OP_jalr, 0, link, 0, 0);
    sys_end(g);
}

/* An instruction whose second half is an instruction, too. */
static void overlap(struct sys_gen *g)
{
    uint32_t half = 0x0001 | any_register(g) << 7 | (1 + sys_below(g, 30)) << 2;

    sys_begin(g, "overlap");
    sys_op(g, RV_OP_bltu, 0, any_register(g), any_register(g), 6);
    sys_word(g, half << 16 | any_register(g) << 7 | 0x37, 4); /* lui */
    sys_end(g);
}

/* ---- Code that changes --------------------------------------------------------------------- */

static uint32_t random_word(struct sys_gen *g)
{
    static const uint16_t row[] = {RV_OP_add, RV_OP_sub, RV_OP_xor, RV_OP_sltu, RV_OP_mul};
    unsigned rd = any_register(g), rs1 = any_register(g), rs2 = any_register(g);

    switch (sys_below(g, 8)) {
    case 0: return 0x00010001;                                                /* c.nop twice */
    case 1: return sys_one_in(g, 3) ? 0 : 0x00000463 | rs1 << 15 | rs2 << 20; /* beq, by 8 */
    case 2:
    case 3: return rv_row_match((enum rv_op)PICK(g, row)) | rd << 7 | rs1 << 15 | rs2 << 20;
    default: return rv_row_match(RV_OP_addi) | rd << 7 | rs1 << 15 | sys_below(g, 4096) << 20;
    }
}

static void store_word(struct sys_gen *g, unsigned value, unsigned address)
{
    if (sys_one_in(g, 3)) {
        sys_op(g, RV_OP_sh, 0, address, value, 0);
        sys_op(g, RV_OP_srli, value, value, 0, 16);
        sys_op(g, RV_OP_sh, 0, address, value, 2);
    } else {
        sys_op(g, RV_OP_sw, 0, address, value, 0);
    }
    sys_op(g, RV_OP_fence_i, 0, 0, 0, 0);
}

/* An instruction of a piece that stands before becomes another. */
static void patch_piece(struct sys_gen *g)
{
    const struct sys_piece *to;
    unsigned k;

    if (g->n_pieces == 0)
        return;
    to = &g->piece[sys_below(g, g->n_pieces)];
    k = sys_below(g, to->n_targets);
    if (to->target_len[k] != 4)
        return;
    sys_begin(g, "patch");
    sys_li(g, T0, random_word(g));
    sys_li(g, T1, sys_code_store_address(g, to->target[k]));
    store_word(g, T0, T1);
    sys_end(g);
}

/* The next instruction becomes another, in a loop or once. */
static void patch_next(struct sys_gen *g)
{
    uint32_t begin = g->p->len, target = begin, was, word = random_word(g), old = random_word(g);
    unsigned times = sys_one_in(g, 2) ? 1 + sys_below(g, 4) : 0;
    uint64_t seed = g->rng;

    sys_begin(g, "patch next");
    do {
        was = target;
        g->rng = seed;
        g->p->len = begin;
        sys_op(g, RV_OP_addi, T2, 0, 0, times);
        if (times)
            sys_word(g, old, 4);
        sys_li(g, T0, word);
        sys_op(g, RV_OP_slli, TO, T2, 0, 20);
        sys_op(g, RV_OP_add, T0, T0, TO, 0);
        sys_li(g, T1, sys_code_store_address(g, target));
        store_word(g, T0, T1);
        pad(g, was);
        target = times ? begin + 4 : g->p->len;
    } while (target != was);
    if (times) {
        sys_op(g, RV_OP_addi, T2, T2, 0, -1);
        sys_op(g, RV_OP_blt, 0, 0, T2, (int64_t)target - (int64_t)g->p->len);
    } else {
        sys_word(g, old, 4);
    }
    sys_op(g, RV_OP_addi, 0, 0, 0, 0); /* for a branch by 8 */
    sys_end(g);
}

/* ---- CSRs ---------------------------------------------------------------------------------- */

/* What software may write without losing the way; a CSR that has no such bits is only read. Bits
 * that are WARL in different ways are left out. */
struct csr_choice {
    uint16_t number;
    uint64_t writable;
};

/* QEMU 7.2 lets bit 0 of xepc be written. */
static const struct csr_choice s_csrs[] = {
    {0x100, 0xc6122},    {0x104, 0x222}, {0x106, 7},   {0x141, ~1},   {0x142, 31},
    {0x143, UINT64_MAX}, {0x144, 0x2},   {0x10a, 0x1}, {0x001, 0x1f}, {0x002, 7},
    {0x003, 0xff},       {0x105, 0},     {0x180, 0},
};
static const struct csr_choice m_csrs[] = {
    {0x300, 0x7e79aa}, {0x300, 0xe19aa}, {0x302, 0xb1f7}, {0x303, 0x222}, {0x304, 0x222},
    {0x306, 7},        {0x344, 0x222},   {0x341, ~1},     {0x342, 31},    {0x343, UINT64_MAX},
    {0x30a, 0xf1},     {0xf14, 0},       {0x323, 0},      {0x3a2, 0},     {0x3b8, 0},
};
static const uint16_t odd_csrs[] = {0x7c0, 0x000, 0x5c0, 0x9ff, 0xf15, 0xc00, 0xc01,
                                    0xc02, 0xcc0, 0x3a1, 0x181, 0x200, 0x280, 0x400};

/* Where their order is not the specification's: one kind for a program. */
static uint64_t irqs(struct sys_gen *g)
{
    static const uint16_t one[] = {0x2, 0x20, 0x200, 0x2};

    return sys_qemu(g, SYS_QEMU_irq_order) ? one[g->p->seed & 3] : 0x222;
}

static bool runs_by_itself(unsigned number)
{
    return number >= 0xc00 && number <= 0xc02;
}

static void odd_csr(struct sys_gen *g)
{
    unsigned number = PICK(g, odd_csrs), rd = any_register(g);

    sys_begin(g, "odd csr");
    if (sys_one_in(g, 2))
        sys_csr(g, RV_OP_csrrs, rd, number,
                sys_qemu(g, SYS_QEMU_csrrs_zero) || sys_one_in(g, 2) ? 0 : T0);
    else
        sys_csr(g, RV_OP_csrrw, rd, number, T0);
    if (runs_by_itself(number))
        sys_op(g, RV_OP_addi, rd, 0, 0, 0);
    sys_end(g);
}

/* All bits of the field, or none. */
static uint64_t whole_field(uint64_t value, uint64_t field)
{
    return (value & field & -field) ? value | field : value & ~field;
}

/* What may be written to mstatus or sstatus. */
static uint64_t status_bits(struct sys_gen *g, uint64_t value, bool m)
{
    uint64_t fs = whole_field(value, 3 << 13), mpp = whole_field(value, MPP);

    if (fs != value && sys_qemu(g, SYS_QEMU_fs))
        value = fs;
    if (m && mpp != value && sys_qemu(g, SYS_QEMU_warl))
        value = (value & ~(uint64_t)MPP) | (mpp & MPP);
    if ((value & MPRV) && sys_qemu(g, SYS_QEMU_mprv))
        value &= ~MPRV;
    return value;
}

static void csr(struct sys_gen *g)
{
    static const uint16_t row[] = {RV_OP_csrrw, RV_OP_csrrs, RV_OP_csrrc, RV_OP_csrrs, RV_OP_csrrc};
    static const uint16_t row_i[] = {RV_OP_csrrsi, RV_OP_csrrci};
    bool machine = g->mode == RV_M ? !sys_one_in(g, 3) : sys_one_in(g, 12);
    const struct csr_choice *c = machine
                                     ? &m_csrs[sys_below(g, sizeof(m_csrs) / sizeof(m_csrs[0]))]
                                     : &s_csrs[sys_below(g, sizeof(s_csrs) / sizeof(s_csrs[0]))];
    unsigned rd = any_register(g);
    uint64_t value = rv_random_int(&g->rng);

    if (sys_one_in(g, 3))
        value = rig_random(&g->rng);
    if (c->number == MENVCFG && sys_qemu(g, SYS_QEMU_adue))
        return;
    if (c->number == MIP || c->number == SIP)
        value &= irqs(g);
    sys_begin(g, "csr");
    if (c->writable == 0) {
        sys_csr(g, RV_OP_csrrs, rd, c->number, 0);
    } else if (sys_one_in(g, 4) && !(c->number == MEDELEG &&
                                     sys_qemu(g, SYS_QEMU_amo_load))) { /* its stores are above */
        sys_csr(g, (enum rv_op)PICK(g, row_i), rd, c->number, value & c->writable & 31);
    } else {
        value &= c->writable;
        if (c->number == MSTATUS || c->number == SSTATUS)
            value = status_bits(g, value, c->number == MSTATUS);
        if (c->number == MEDELEG)
            value = sys_delegated(g, value);
        sys_li(g, T0, value);
        sys_csr(g, (enum rv_op)PICK(g, row), sys_one_in(g, 3) ? 0 : rd, c->number, T0);
    }
    /* The M timer stays on: it ends what hangs. */
    if (c->number == 0x304) {
        sys_op(g, RV_OP_addi, T0, 0, 0, 0x80);
        sys_csr(g, RV_OP_csrrs, 0, 0x304, T0);
    }
    sys_end(g);
}

/* Supervisor interrupts are software's to raise: what is pending, enabled and not masked is taken
 * before the next instruction (Privileged, 3.1.9). */
static void interrupt(struct sys_gen *g)
{
    bool m = g->mode == RV_M;
    unsigned ip = m ? MIP : SIP;

    sys_begin(g, "interrupt");
    sys_li(g, T0, m ? irqs(g) & rig_random(&g->rng) : irqs(g) & 2);
    sys_csr(g, sys_one_in(g, 3) ? RV_OP_csrrc : RV_OP_csrrs, 0, ip, T0);
    sys_li(g, T0, irqs(g) & rig_random(&g->rng));
    sys_csr(g, RV_OP_csrrs, 0, m ? 0x304 : 0x104, T0);
    if (sys_one_in(g, 2))
        sys_csr(g, RV_OP_csrrsi, any_register(g), m ? MSTATUS : SSTATUS,
                m && sys_one_in(g, 2) ? 8 : 2);
    sys_end(g);
}

/* What is pending and enabled ends it at once. */
static void wait(struct sys_gen *g)
{
    if (g->mode != RV_M || !(irqs(g) & 2))
        return;
    sys_begin(g, "wfi");
    sys_csr(g, RV_OP_csrrci, 0, MSTATUS, 8);
    sys_csr(g, RV_OP_csrrsi, 0, MIP, 2);
    sys_csr(g, RV_OP_csrrsi, 0, 0x304, 2);
    sys_op(g, RV_OP_wfi, 0, 0, 0, 0);
    sys_end(g);
}

static void lone(struct sys_gen *g)
{
    static const uint16_t row[] = {RV_OP_ecall,      RV_OP_ebreak, RV_OP_fence_i,
                                   RV_OP_sfence_vma, RV_OP_mret,   RV_OP_sret,
                                   RV_OP_pause,      RV_OP_ecall,  RV_OP_fence_tso};
    enum rv_op op = (enum rv_op)PICK(g, row);

    /* Where these lead is what the last trap left. */
    if ((op == RV_OP_mret && g->mode == RV_M) || (op == RV_OP_sret && g->mode != RV_U))
        return;
    sys_begin(g, "lone");
    sys_op(g, RV_OP_addi, T0, 0, 0, 0);
    sys_op(g, op, 0, 0, 0, 0);
    sys_end(g);
}

void sys_macro(struct sys_gen *g)
{
    unsigned which = sys_below(g, 32);

    switch (which) {
    case 0:
    case 1:
    case 2: jump_back(g); return;
    case 3:
    case 4: enter_piece(g); return;
    case 5:
        if (sys_one_in(g, 3))
            jump_astray(g);
        else
            call(g);
        return;
    case 6: overlap(g); return;
    case 7:
    case 8: patch_piece(g); return;
    case 9:
    case 10: patch_next(g); return;
    case 11: odd_csr(g); return;
    case 12: interrupt(g); return;
    case 13: wait(g); return;
    case 14:
    case 15: lone(g); return;
    default: break;
    }
    if (which < 20) {
        csr(g);
    } else if (g->mode == RV_U) {
        jump_back(g);
    } else if (which < 26) {
        sys_change_entry(g);
    } else if (which < 28) {
        sys_switch_space(g);
    } else if (which < 30 || g->mode != RV_M) {
        sys_old_or_new(g);
    } else {
        sys_change_pmp(g);
    }
}
