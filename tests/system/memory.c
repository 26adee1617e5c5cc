/* The address spaces of the programs. Both have the same shape:
 *
 *     0x100000000 and 0xffffffffc0000000 (one middle table)
 *         + 0        leaf 0..1 code for U, 2..3 code for S, 4..5 code that U may write, 6..7 that S
 * may, 8..13 data with any bits, 14 for changes without a fence, 15 anything, 16..31 the arena's
 * first 64 KiB as one Svnapot page
 *         + 2 MiB    the arena as a huge page
 *         + 4 MiB    a huge page that is misaligned
 *     0x80000000 virtual = physical, for S: the arena's first pages, the handler
 *     0xc0000000 RAM as a gigapage, if it is valid
 *
 * SYS_KERNEL: the upper one is at home, the same in both spaces, and most of its pages are global.
 *
 * Programs are at home in a space whose entries they change. A change is followed by a
 * fence that covers it: what a missing fence allows is not one thing (sys_old_or_new). */
#include "dbt/base/check.h"
#include "tests/lib/rv_rig.h"
#include "tests/system/program.h"

#define WINDOW   UINT64_C(0x100000000) /* physically, nothing is there */
#define WINDOW_2 UINT64_C(0xffffffffc0000000)
#define IDENTITY UINT64_C(0x80000000)
#define GIGA     UINT64_C(0xc0000000)
enum {
    HUGE = 0x200000,
    PAGE = 0x1000,
    DATA_FIRST = 8,
    DATA_LAST = 13,
    LOOSE = 14,
    ANY = 15,
    NAPOT = 16
};
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };

static void poke(struct sys_gen *g, uint64_t address, uint64_t value)
{
    struct sys_program *p = g->p;

    CHECK(p->n_pokes < SYS_MAX_POKES);
    p->poke[p->n_pokes++] = (struct sys_poke){address, value};
}

static uint64_t entry(uint64_t gpa, uint64_t bits)
{
    return gpa >> 12 << 10 | bits;
}

static uint64_t arena(uint64_t offset)
{
    return SYS_ARENA + offset;
}

/* Do accesses of this program cross pages? Else its entries lack A or D. */
static bool crosses(struct sys_gen *g)
{
    return (g->p->seed & 1) || !sys_qemu(g, SYS_QEMU_half_d);
}

/* Anything, but mostly what can be used. W without R is reserved, and tried now and then. */
static uint64_t random_bits(struct sys_gen *g)
{
    uint64_t bits = V | A | D | R | (rig_random(&g->rng) & (W | X | U | 0x300));

    if (sys_one_in(g, 3))
        bits &= ~(uint64_t)D;
    if (sys_one_in(g, 3))
        bits &= ~(uint64_t)A;
    if (sys_one_in(g, 4))
        bits &= ~(uint64_t)R;
    if (sys_one_in(g, 8))
        bits ^= U;
    if ((bits & (A | W)) == 0 && sys_qemu(g, SYS_QEMU_amo_a))
        bits |= A;
    if ((crosses(g) || g->m_allowed) && sys_qemu(g, SYS_QEMU_half_d))
        bits |= A | D;
    if (g->kernel && !sys_one_in(g, 4)) /* what its window may have, with D or without */
        bits = (bits | V | R | A) & ~(uint64_t)U;
    else if (sys_one_in(g, 16))
        bits &= ~(uint64_t)V;
    if (sys_one_in(g, 32))
        bits |= UINT64_C(1) << (sys_qemu(g, SYS_QEMU_entry_bits) ? 61 + sys_below(g, 2)
                                                                 : 54 + sys_below(g, 10));
    return bits;
}

/* For the page tables of the window. What is not global is the same in all spaces anyway. */
static uint64_t global(struct sys_gen *g)
{
    return g->kernel && !sys_one_in(g, 4) ? G : 0;
}

static uint64_t random_leaf(struct sys_gen *g)
{
    uint64_t page = sys_one_in(g, 4) ? SYS_CODE : SYS_DATA;
    uint64_t bits = random_bits(g);

    if (page == SYS_CODE && sys_one_in(g, 2))
        bits |= X;
    return entry(arena(page + (uint64_t)PAGE * sys_below(g, 2)), bits | global(g));
}

static void leaf_table(struct sys_gen *g, uint64_t table)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t code = arena(SYS_CODE + (uint64_t)PAGE * i);

        poke(g, table + 8 * (0 + i), entry(code, V | R | X | U | A | global(g)));
        poke(g, table + 8 * (2 + i), entry(code, V | R | X | A | global(g)));
        poke(g, table + 8 * (4 + i), entry(code, V | R | W | U | A | D | global(g)));
        poke(g, table + 8 * (6 + i), entry(code, V | R | W | A | D | global(g)));
    }
    for (unsigned i = DATA_FIRST; i <= DATA_LAST; i++)
        poke(g, table + 8 * i, random_leaf(g));
    poke(g, table + 8 * LOOSE, entry(arena(SYS_DATA), V | R | U * sys_below(g, 2) | A | global(g)));
    if (!(g->ext >> RV_EXT_svnapot & 1) || sys_one_in(g, 3))
        return;
    uint64_t bits = random_bits(g) | UINT64_C(1) << 63 | global(g);
    for (unsigned i = NAPOT; i < NAPOT + 16; i++)
        poke(g, table + 8 * i, entry(arena(0x8000), bits));
}

static void tables_of(struct sys_gen *g, uint64_t root, uint64_t middle, uint64_t leaf)
{
    poke(g, root + 8 * 4, entry(middle, V));
    poke(g, root + 8 * 2, entry(arena(SYS_MIDDLE_ID), V));
    poke(g, root + 8 * 3, sys_one_in(g, 2) ? entry(IDENTITY, random_bits(g)) : 0);
    if (!g->kernel)
        poke(g, root + 8 * 511, entry(middle, V));
    else
        poke(g, root + 8 * 511, entry(arena(SYS_MIDDLE_A), V | (g->p->seed & 2 ? G : 0)));
    poke(g, middle + 8 * 0, entry(leaf, V));
    poke(g, middle + 8 * 1, entry(SYS_ARENA, random_bits(g) | global(g)));
    poke(g, middle + 8 * 2, entry(SYS_ARENA + PAGE, random_bits(g) | global(g)));
    leaf_table(g, leaf);
}

void sys_tables(struct sys_gen *g)
{
    static const uint16_t identity[] = {0, 1, 4, 5, 8, 9, 0x10, 0x11, 0x12, 0x13, 0x15};
    uint64_t handler = (SYS_S_HANDLER & (HUGE - 1)) / PAGE;

    g->window = sys_one_in(g, 3) || g->kernel ? WINDOW_2 : WINDOW;
    g->two_windows = sys_one_in(g, 3) && !g->kernel;
    g->alias[RV_U] = g->window;
    g->alias[RV_S] = sys_one_in(g, 3) && !g->kernel ? SYS_ARENA : g->window + UINT64_C(2) * PAGE;
    tables_of(g, arena(SYS_ROOT_A), arena(SYS_MIDDLE_A), arena(SYS_LEAF_A));
    tables_of(g, arena(SYS_ROOT_B), arena(SYS_MIDDLE_B), arena(SYS_LEAF_B));
    poke(g, arena(SYS_MIDDLE_ID) + 8 * ((SYS_ARENA - IDENTITY) / HUGE),
         entry(arena(SYS_LEAF_ID), V));
    poke(g, arena(SYS_MIDDLE_ID) + 8 * ((SYS_RUNTIME - IDENTITY) / HUGE),
         entry(arena(SYS_LEAF_RT), V));
    poke(g, arena(SYS_LEAF_RT) + 8 * handler, entry(SYS_S_HANDLER, V | R | X | G | A));
    poke(g, arena(SYS_LEAF_RT) + 8 * (handler + 1), entry(SYS_S_SAVE, V | R | W | G | A | D));
    for (unsigned i = 0; i < sizeof(identity) / sizeof(identity[0]); i++)
        poke(g, arena(SYS_LEAF_ID) + 8 * identity[i],
             entry(arena((uint64_t)PAGE * identity[i]),
                   V | R | W | (identity[i] < 2 ? X : 0) | G | A | D));
}

/* ---- Addresses ----------------------------------------------------------------------------- */

static uint64_t page_offset(struct sys_gen *g)
{
    uint64_t at = 256 + sys_below(g, PAGE - 1024);

    if (crosses(g) && sys_one_in(g, 4))
        at = sys_one_in(g, 2) ? sys_below(g, 48) : PAGE - 1 - sys_below(g, 48);
    return sys_one_in(g, 5) ? at : at & ~UINT64_C(7);
}

static uint64_t window(struct sys_gen *g)
{
    return g->two_windows && sys_one_in(g, 2) ? g->window ^ WINDOW ^ WINDOW_2 : g->window;
}

uint64_t sys_data_address(struct sys_gen *g)
{
    uint64_t at = page_offset(g), page = (uint64_t)PAGE * sys_below(g, 2);

    if (g->mode == RV_M || g->space == SYS_BARE)
        return arena(SYS_DATA) + page + at;
    switch (sys_below(g, 10)) {
    case 0: return window(g) + HUGE + SYS_DATA + page + at;
    case 1: return window(g) + (uint64_t)NAPOT * PAGE + SYS_DATA + page + at;
    case 2:
        return g->mode == RV_S ? arena(SYS_DATA) + page + at
                               : GIGA + SYS_ARENA - IDENTITY + SYS_DATA + page + at;
    case 3: return window(g) + (uint64_t)PAGE * sys_below(g, 16) + at;
    default:
        return window(g) +
               (uint64_t)PAGE * (DATA_FIRST + sys_below(g, DATA_LAST - DATA_FIRST + 1)) + at;
    }
}

uint64_t sys_code_store_address(struct sys_gen *g, uint32_t offset)
{
    if (g->mode == RV_M || g->space == SYS_BARE)
        return arena(SYS_CODE) + offset;
    if (g->mode == RV_S)
        return sys_one_in(g, 2) ? arena(SYS_CODE) + offset
                                : window(g) + UINT64_C(6) * PAGE + offset;
    return window(g) + UINT64_C(4) * PAGE + offset;
}

/* ---- Changes ------------------------------------------------------------------------------- */

/* A table belongs to one ASID, and a program that wants fences by address sees each at one. Fences
 * by ASID are not for global pages. */
static void fence(struct sys_gen *g, uint64_t gva, bool b)
{
    unsigned asid = b ? 2 : 1;
    bool by_address = !g->two_windows && sys_one_in(g, 2), by_asid = sys_one_in(g, 2) && !g->kernel;

    if (by_address)
        sys_li(g, 29, gva);
    if (by_asid)
        sys_op(g, RV_OP_addi, 30, 0, 0, asid);
    if ((g->ext >> RV_EXT_svinval & 1) && sys_one_in(g, 3)) {
        sys_op(g, RV_OP_sfence_w_inval, 0, 0, 0, 0);
        sys_op(g, RV_OP_sinval_vma, 0, by_address ? 29 : 0, by_asid ? 30 : 0, 0);
        sys_op(g, RV_OP_sfence_inval_ir, 0, 0, 0, 0);
    } else {
        sys_op(g, RV_OP_sfence_vma, 0, by_address ? 29 : 0, by_asid ? 30 : 0, 0);
    }
}

static bool is_b(struct sys_gen *g)
{
    if (g->kernel)
        return false;
    return g->space == SYS_BARE ? sys_one_in(g, 2) : g->space == SYS_B;
}

void sys_change_entry(struct sys_gen *g)
{
    bool b = is_b(g);
    unsigned i = DATA_FIRST + sys_below(g, DATA_LAST - DATA_FIRST + 1);
    uint64_t table = arena(b ? SYS_LEAF_B : SYS_LEAF_A), value = random_leaf(g);
    uint64_t gva;

    if (sys_one_in(g, 4))
        i = ANY;
    if (sys_one_in(g, 6)) { /* the code's own, as the other mode's or with a bit less */
        i = sys_below(g, 8);
        if (g->kernel && g->mode == RV_S)
            i |= 4; /* not what runs: before the fence it might be the old or the new */
        value = entry(arena(SYS_CODE + (uint64_t)PAGE * (i & 1)), random_bits(g) | X | global(g));
    }
    if (sys_one_in(g, 6)) { /* the huge page */
        table = arena(b ? SYS_MIDDLE_B : SYS_MIDDLE_A);
        i = 1;
        value = entry(SYS_ARENA, random_bits(g) | global(g));
        gva = g->window + HUGE + SYS_DATA;
    } else {
        gva = g->window + (uint64_t)PAGE * i;
    }
    sys_begin(g, "entry");
    sys_li(g, 29, table + UINT64_C(8) * i);
    sys_li(g, 30, value);
    sys_op(g, RV_OP_sd, 0, 29, 30, 0);
    fence(g, gva, b);
    sys_end(g);
}

/* Without a fence the old page or the new may be seen, but no third (Privileged, 5.2.1
 * "Supervisor Memory-Management Fence Instruction"): x30 is 0 if so. */
void sys_old_or_new(struct sys_gen *g)
{
    uint64_t table = arena(g->space == SYS_B && !g->kernel ? SYS_LEAF_B : SYS_LEAF_A);
    uint64_t page = arena(SYS_DATA + (uint64_t)PAGE * sys_below(g, 2));
    uint64_t at = sys_below(g, PAGE / 8) * UINT64_C(8);

    if (g->mode != RV_S || g->space == SYS_BARE || g->fenced)
        return;
    sys_begin(g, "old or new");
    sys_li(g, 29, table + UINT64_C(8) * LOOSE);
    sys_li(g, 30, entry(page, V | R | A | global(g)));
    sys_op(g, RV_OP_sd, 0, 29, 30, 0);
    sys_li(g, 29, g->window + (uint64_t)PAGE * LOOSE + at);
    sys_op(g, RV_OP_ld, 29, 29, 0, 0);
    sys_li(g, 30, arena(SYS_DATA) + at);
    sys_op(g, RV_OP_ld, 30, 30, 0, 0);
    sys_op(g, RV_OP_sub, 30, 30, 29, 0);
    sys_li(g, 31, arena(SYS_DATA) + PAGE + at);
    sys_op(g, RV_OP_ld, 31, 31, 0, 0);
    sys_op(g, RV_OP_sub, 31, 31, 29, 0);
    sys_op(g, RV_OP_sltu, 30, 0, 30, 0);
    sys_op(g, RV_OP_sltu, 31, 0, 31, 0);
    sys_op(g, RV_OP_and, 30, 30, 31, 0);
    sys_op(g, RV_OP_addi, 29, 0, 0, 0);
    sys_op(g, RV_OP_addi, 31, 0, 0, 0);
    sys_op(g, RV_OP_sfence_vma, 0, 0, 0, 0);
    sys_end(g);
}

/* One of entries 4 to 7 gets another range and other rights (Privileged, 3.7.1); W without R is
 * reserved. */
void sys_change_pmp(struct sys_gen *g)
{
    unsigned n = 4 + sys_below(g, 4), cfg = sys_below(g, 8);
    uint64_t at =
        arena((sys_one_in(g, 4) ? SYS_CODE : SYS_DATA) + (sys_below(g, 2 * PAGE) & ~3u)) >> 2;
    unsigned ones = sys_one_in(g, 2) ? sys_below(g, 4) : 9 + sys_below(g, 5);

    if (crosses(g) && sys_qemu(g, SYS_QEMU_pmp_cross))
        return;
    if ((cfg & 3) == 2)
        cfg ^= 2;
    if ((cfg & 5) == 4 && sys_qemu(g, SYS_QEMU_amo_load))
        cfg |= 1;
    cfg |= sys_below(g, 4) << 3;
    if (cfg >> 3 == 3)
        at = (at & ~((UINT64_C(1) << (ones + 1)) - 1)) | ((UINT64_C(1) << ones) - 1);
    sys_begin(g, "pmp");
    sys_li(g, 29, at);
    sys_csr(g, RV_OP_csrrw, 0, 0x3b0 + n, 29);
    sys_li(g, 29, UINT64_C(0xff) << 8 * n);
    sys_csr(g, RV_OP_csrrc, 0, 0x3a0, 29);
    sys_li(g, 29, (uint64_t)cfg << 8 * n);
    sys_csr(g, RV_OP_csrrs, 0, 0x3a0, 29);
    sys_op(g, RV_OP_sfence_vma, 0, 0, 0, 0);
    sys_end(g);
}

/* Another root and its ASID: no fence is needed. From S, the code must be seen at the same address
 * behind. */
void sys_switch_space(struct sys_gen *g)
{
    enum sys_space to = g->mode == RV_M && sys_one_in(g, 4) ? SYS_BARE
                        : sys_one_in(g, 2)                  ? SYS_A
                                                            : SYS_B;
    uint64_t root = arena(to == SYS_B ? SYS_ROOT_B : SYS_ROOT_A) >> 12;
    uint64_t satp = UINT64_C(8) << 60 | (to == SYS_B ? UINT64_C(2) : UINT64_C(1)) << 44 | root;

    if (g->mode == RV_S && g->space == SYS_BARE && g->alias[RV_S] != SYS_ARENA)
        return;
    sys_begin(g, "satp");
    sys_li(g, 29, to == SYS_BARE ? 0 : satp);
    sys_csr(g, RV_OP_csrrw, 0, 0x180, 29);
    sys_end(g);
    g->space = to;
}
