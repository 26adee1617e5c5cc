/* CSR instructions by the privileged specification's text: a row for each register, here or not. */
#include "tests/lib/priv_rules.h"

#include <stddef.h>
#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))
#define ALL    UINT64_MAX
enum { SSI = 1, STI = 5, SEI = 9 };
#define S_INTERRUPTS UINT64_C(0x222)
#define INTERRUPTS   UINT64_C(0xaaa)

static uint64_t field(uint64_t v, unsigned low, unsigned n)
{
    return v >> low & (BIT(n) - 1);
}

/* ---- mstatus and sstatus (3.1.6, 10.1.1) --------------------------------------------------- */

/* SD summarises FS (3.1.6.6); there is no V and no custom extension: VS and XS are 0. */
static uint64_t read_mstatus(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return h->mstatus | ((h->mstatus & PR_FS) == PR_FS ? PR_SD : 0);
}

static uint64_t s_fields(const struct pr_hart *h)
{
    /* 3.1.6.6: without F, FS may be read-only zero (choice). */
    return PR_SIE | PR_SPIE | PR_SPP | PR_SUM | PR_MXR | (h->f ? PR_FS : 0);
}

/* SXL and UXL are read-only (choice), MBE, SBE and UBE 0 (choice). MPP holds U, S and M; to write
 * 2 leaves it (choice, 3.1.6.1: WARL). */
static void write_mstatus(struct pr_hart *h, unsigned n, uint64_t v)
{
    uint64_t mask = s_fields(h) | PR_MIE | PR_MPIE | PR_MPRV | PR_TVM | PR_TW | PR_TSR;

    (void)n;
    if (field(v, PR_MPP_SHIFT, 2) != 2)
        mask |= PR_MPP;
    h->mstatus = (h->mstatus & ~mask) | (v & mask);
}

/* 10.1.1: a restricted view; UXL (bits 33-32) and SD are visible too. */
static uint64_t read_sstatus(const struct pr_hart *h, unsigned n)
{
    return read_mstatus(h, n) &
           (PR_SIE | PR_SPIE | PR_SPP | PR_SUM | PR_MXR | PR_FS | BIT(32) | BIT(33) | PR_SD);
}

static void write_sstatus(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->mstatus = (h->mstatus & ~s_fields(h)) | (v & s_fields(h));
}

/* ---- Interrupts (3.1.8, 3.1.9, 10.1.3, Sstc) ------------------------------------------------ */

static bool timer_is_stimecmp(const struct pr_hart *h)
{
    return h->sstc && (h->menvcfg & PR_STCE);
}

uint64_t pr_pending(const struct pr_hart *h)
{
    uint64_t software = h->mip;

    /* Sstc: STIP is read-only and says whether time has reached stimecmp. */
    if (timer_is_stimecmp(h)) {
        software &= ~BIT(STI);
        software |= h->time >= h->stimecmp ? BIT(STI) : 0;
    }
    return software | h->line;
}

static uint64_t read_mip(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return pr_pending(h);
}

/* MEIP, MTIP and MSIP are read-only. */
static void write_mip(struct pr_hart *h, unsigned n, uint64_t v)
{
    uint64_t mask = BIT(SSI) | BIT(SEI) | (timer_is_stimecmp(h) ? 0 : BIT(STI));

    (void)n;
    h->mip = (h->mip & ~mask) | (v & mask);
}

static uint64_t read_sip(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return pr_pending(h) & h->mideleg;
}

/* 10.1.3: SEIP and STIP are read-only in sip; what is not delegated is read-only zero. */
static void write_sip(struct pr_hart *h, unsigned n, uint64_t v)
{
    uint64_t mask = BIT(SSI) & h->mideleg;

    (void)n;
    h->mip = (h->mip & ~mask) | (v & mask);
}

static uint64_t read_sie(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return h->mie & h->mideleg;
}

static void write_sie(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->mie = (h->mie & ~h->mideleg) | (v & h->mideleg);
}

/* ---- Floating point (F, "Floating-Point Control and Status Register")
 * ------------------------------------------------------------------
 */

/* 3.1.6.6: with FS off every access to fcsr is illegal. */
static bool fp_open(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return (h->mstatus & PR_FS) != 0;
}

static uint64_t read_fp(const struct pr_hart *h, unsigned n) /* fflags, frm, fcsr */
{
    return n == 0 ? h->fflags : n == 1 ? h->frm : (uint64_t)h->frm << 5 | h->fflags;
}

/* Any write makes FS dirty (choice where it changes nothing). */
static void write_fp(struct pr_hart *h, unsigned n, uint64_t v)
{
    if (n != 1)
        h->fflags = (uint8_t)field(v, 0, 5);
    if (n == 1)
        h->frm = (uint8_t)field(v, 0, 3);
    if (n == 2)
        h->frm = (uint8_t)field(v, 5, 3);
    h->mstatus |= PR_FS;
}

/* ---- Counters (3.1.10 to 3.1.12, 10.1.5)
 * ---------------------------------------------------------- */

/* S needs the bit of mcounteren, U that of scounteren too. */
static bool counter_open(const struct pr_hart *h, unsigned n)
{
    if (n < 3 && !h->zicntr)
        return false;
    if (h->priv != PR_M && !(h->mcounteren & BIT(n)))
        return false;
    return h->priv != PR_U || (h->scounteren & BIT(n));
}

static bool hpm_open(const struct pr_hart *h, unsigned n)
{
    return counter_open(h, 3 + n);
}

static uint64_t read_counter(const struct pr_hart *h, unsigned n)
{
    return n == 0 ? h->mcycle : n == 1 ? h->time : h->minstret;
}

/* Choice: both run at 100 a tick of the clock. */
void pr_advance(struct pr_hart *h, uint64_t ticks)
{
    h->time += ticks;
    h->mcycle += h->mcountinhibit & BIT(0) ? 0 : ticks * 100;
    h->minstret += h->mcountinhibit & BIT(2) ? 0 : ticks * 100;
}

/* Sstc: below M only with menvcfg.STCE and mcounteren.TM. */
static bool stimecmp_open(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return h->sstc && (h->priv == PR_M || ((h->menvcfg & PR_STCE) && (h->mcounteren & BIT(1))));
}

/* ---- menvcfg, senvcfg (3.1.18, 10.1.10), satp (10.1.11)
 * -------------------------------------------- */

static uint64_t envcfg_mask(const struct pr_hart *h)
{
    return BIT(0) | (h->zicbom ? PR_CBIE | PR_CBCFE : 0) | (h->zicboz ? PR_CBZE : 0);
}

/* Zicbom: CBIE = 2 is reserved; the field stays (choice). */
static uint64_t write_envcfg(uint64_t old, uint64_t v, uint64_t mask)
{
    if (field(v, 4, 2) == 2)
        mask &= ~PR_CBIE;
    return (old & ~mask) | (v & mask);
}

static void write_menvcfg(struct pr_hart *h, unsigned n, uint64_t v)
{
    uint64_t mask = envcfg_mask(h) | (h->svadu ? PR_ADUE : 0) | (h->svpbmt ? PR_PBMTE : 0) |
                    (h->sstc ? PR_STCE : 0);

    (void)n;
    h->menvcfg = write_envcfg(h->menvcfg, v, mask);
}

static void write_senvcfg(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->senvcfg = write_envcfg(h->senvcfg, v, envcfg_mask(h));
}

/* 3.1.6.5: TVM closes it to S. */
static bool satp_open(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return h->priv == PR_M || !(h->mstatus & PR_TVM);
}

/* An unsupported mode: the entire write has no effect. Bare with other fields: choice, 0. */
static void write_satp(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    if (field(v, 60, 4) == 8)
        h->satp = v;
    if (field(v, 60, 4) == 0)
        h->satp = 0;
}

/* ---- PMP (3.7.1)
 * ------------------------------------------------------------------------------------ */

static uint64_t read_pmpcfg(const struct pr_hart *h, unsigned n)
{
    uint64_t v;

    memcpy(&v, h->pmpcfg + 4 * n, sizeof(v)); /* pmpcfg0: 0-7, pmpcfg2: 8-15 */
    return v;
}

static void write_cfg(uint8_t *cfg, uint8_t v)
{
    if (*cfg & 0x80) /* "writes to the configuration register are ignored" */
        return;
    v &= 0x9f;
    if (!(v & 1)) /* R=0 with W=1 is reserved; choice: W reads as 0 */
        v &= (uint8_t)~2u;
    *cfg = v;
}

static void write_pmpcfg(struct pr_hart *h, unsigned n, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        write_cfg(&h->pmpcfg[4 * n + i], (uint8_t)(v >> 8 * i));
}

static uint64_t read_pmpaddr(const struct pr_hart *h, unsigned n)
{
    return h->pmpaddr[n];
}

/* Locked by its own entry, and by the next when that is locked and TOR. Bits 55-2. */
static void write_pmpaddr(struct pr_hart *h, unsigned n, uint64_t v)
{
    if (h->pmpcfg[n] & 0x80)
        return;
    if (n + 1 < PR_N_PMP && (h->pmpcfg[n + 1] & 0x80) && field(h->pmpcfg[n + 1], 3, 2) == 1)
        return;
    h->pmpaddr[n] = field(v, 0, 54);
}

/* ---- xtvec, xepc
 * -------------------------------------------------------------------------------------- */

/* 3.1.14: bit 0 is always 0, and bit 1 when instructions are 4 bytes. */
static uint64_t epc(const struct pr_hart *h, uint64_t v)
{
    return h->c ? v & ~UINT64_C(1) : v & ~UINT64_C(3);
}

static void write_mepc(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->mepc = epc(h, v);
}

static void write_sepc(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->sepc = epc(h, v);
}

static void write_nothing(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)h, (void)n, (void)v;
}

static uint64_t read_zero(const struct pr_hart *h, unsigned n)
{
    (void)h, (void)n;
    return 0;
}

static void write_mcycle(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->mcycle = v;
}

static void write_minstret(struct pr_hart *h, unsigned n, uint64_t v)
{
    (void)n;
    h->minstret = v;
}

static uint64_t read_minstret(const struct pr_hart *h, unsigned n)
{
    (void)n;
    return h->minstret;
}

/* ---- The table
 * ------------------------------------------------------------------------------------------ */

struct row {
    uint16_t number;
    uint8_t count;
    bool here;
    const char *name, *clause;
    size_t word; /* plain registers: where it is, what of it can be written, what it is at reset */
    uint64_t mask;
    bool (*open)(const struct pr_hart *h, unsigned n);
    uint64_t (*read)(const struct pr_hart *h, unsigned n);
    void (*write)(struct pr_hart *h, unsigned n, uint64_t v);
};

#define PLAIN(number, name, mask, clause)                                                          \
    {                                                                                              \
        number, 1, true, #name, clause, offsetof(struct pr_hart, name), mask, NULL, NULL, NULL     \
    }
#define FIELDS(number, name, write, clause)                                                        \
    {                                                                                              \
        number, 1, true, #name, clause, offsetof(struct pr_hart, name), 0, NULL, NULL, write       \
    }
#define ROW(number, count, name, open, read, write, clause)                                        \
    {                                                                                              \
        number, count, true, #name, clause, 0, 0, open, read, write                                \
    }
#define NOT(number, count, name, why)                                                              \
    {                                                                                              \
        number, count, false, #name, why, 0, 0, NULL, NULL, NULL                                   \
    }

static const struct row rows[] = {
    ROW(0x001, 3, fflags frm fcsr, fp_open, read_fp, write_fp, "F: fcsr; 3.1.6.6: FS"),
    ROW(0xc00, 3, cycle time instret, counter_open, read_counter, NULL, "3.1.11, 10.1.5"),
    ROW(0xc03, 29, hpmcounter, hpm_open, read_zero, NULL, "3.1.11, 10.1.5"),

    ROW(0x100, 1, sstatus, NULL, read_sstatus, write_sstatus, "10.1.1"),
    ROW(0x104, 1, sie, NULL, read_sie, write_sie, "10.1.3: read-only zero if not delegated"),
    PLAIN(0x105, stvec, ~UINT64_C(2), "10.1.2: modes 2 and 3 are reserved"),
    PLAIN(0x106, scounteren, 0xffffffff, "10.1.5: 32 bits"),
    FIELDS(0x10a, senvcfg, write_senvcfg, "10.1.10"),
    PLAIN(0x140, sscratch, ALL, "10.1.6"),
    FIELDS(0x141, sepc, write_sepc, "10.1.7"),
    PLAIN(0x142, scause, ALL, "10.1.8"),
    PLAIN(0x143, stval, ALL, "10.1.9"),
    ROW(0x144, 1, sip, NULL, read_sip, write_sip, "10.1.3: only SSIP is writable"),
    {0x14d, 1, true, "stimecmp", "Sstc", offsetof(struct pr_hart, stimecmp), ALL, stimecmp_open,
     NULL, NULL},
    {0x180, 1, true, "satp", "10.1.11; 3.1.6.5: TVM", offsetof(struct pr_hart, satp), 0, satp_open,
     NULL, write_satp},

    ROW(0xf11, 3, mvendorid marchid mimpid, NULL, read_zero, NULL, "3.1.2 to 3.1.4: 0"),
    {0xf14, 1, true, "mhartid", "3.1.5", offsetof(struct pr_hart, hartid), 0, NULL, NULL, NULL},
    ROW(0xf15, 1, mconfigptr, NULL, read_zero, NULL, "3.1.17: 0"),

    ROW(0x300, 1, mstatus, NULL, read_mstatus, write_mstatus, "3.1.6"),
    FIELDS(0x301, misa, write_nothing, "3.1.1: choice, read-only"),
    PLAIN(0x302, medeleg, 0xb3ff, "3.1.8: what S and U can raise"),
    PLAIN(0x303, mideleg, S_INTERRUPTS, "3.1.8"),
    PLAIN(0x304, mie, INTERRUPTS, "3.1.9"),
    PLAIN(0x305, mtvec, ~UINT64_C(2), "3.1.7: modes 2 and 3 are reserved"),
    PLAIN(0x306, mcounteren, 0xffffffff, "3.1.11: 32 bits"),
    FIELDS(0x30a, menvcfg, write_menvcfg, "3.1.18"),
    PLAIN(0x320, mcountinhibit, 0xfffffffd, "3.1.12: 32 bits, time cannot be inhibited"),
    ROW(0x323, 29, mhpmevent, NULL, read_zero, write_nothing, "3.1.10: choice, read-only zero"),
    PLAIN(0x340, mscratch, ALL, "3.1.13"),
    FIELDS(0x341, mepc, write_mepc, "3.1.14"),
    PLAIN(0x342, mcause, ALL, "3.1.15"),
    PLAIN(0x343, mtval, ALL, "3.1.16"),
    ROW(0x344, 1, mip, NULL, read_mip, write_mip, "3.1.9; Sstc: STIP"),
    ROW(0x3a0, 1, pmpcfg0, NULL, read_pmpcfg, write_pmpcfg, "3.7.1"),
    {0x3a2, 1, true, "pmpcfg2", "3.7.1", 0, 0, NULL, NULL, NULL}, /* row_number(): n = 2 */
    ROW(0x3b0, 16, pmpaddr, NULL, read_pmpaddr, write_pmpaddr, "3.7.1.2: locks"),
    ROW(0x747, 1, mseccfg, NULL, read_zero, write_nothing, "3.1.19: no field is here"),
    ROW(0xb00, 1, mcycle, NULL, read_counter, write_mcycle, "3.1.10"),
    ROW(0xb02, 1, minstret, NULL, read_minstret, write_minstret, "3.1.10"),
    ROW(0xb03, 29, mhpmcounter, NULL, read_zero, write_nothing, "3.1.10: choice, read-only zero"),

    NOT(0x008, 3, vstart vxsat vxrm, "no V"),
    NOT(0x00f, 1, vcsr, "no V"),
    NOT(0x011, 1, ssp, "no Zicfiss"),
    NOT(0x015, 1, seed, "no Zkr"),
    NOT(0x017, 1, jvt, "no Zcmt"),
    NOT(0xc20, 3, vl vtype vlenb, "no V"),
    NOT(0xc80, 32, cycleh to hpmcounter31h, "RV32 only"),
    NOT(0x10c, 4, sstateen, "no Ssstateen"),
    NOT(0x120, 1, scountinhibit, "no Smcdeleg"),
    NOT(0x14e, 2, sctrctl sctrstatus, "no Smctr"),
    NOT(0x150, 8, siselect sireg, "no Smcsrind"),
    NOT(0x15c, 1, stopei, "no AIA"),
    NOT(0x15d, 1, stimecmph, "RV32 only"),
    NOT(0x181, 1, srmcfg, "no Ssqosid"),
    NOT(0x5a8, 1, scontext, "no Sdtrig"),
    NOT(0xda0, 1, scountovf, "no Sscofpmf"),
    NOT(0xdb0, 1, stopi, "no AIA"),
    NOT(0x200, 128, vsstatus to vsatp, "no H"),
    NOT(0x600, 128, hstatus to hgatp, "no H"),
    NOT(0x310, 1, mstatush, "RV32 only"),
    NOT(0x312, 1, medelegh, "RV32 only"),
    NOT(0x30c, 4, mstateen, "no Smstateen"),
    NOT(0x31a, 1, menvcfgh, "RV32 only"),
    NOT(0x321, 2, mcyclecfg minstretcfg, "no Smcntrpmf"),
    NOT(0x34a, 2, mtinst mtval2, "no H"),
    NOT(0x3a1, 1, pmpcfg1, "3.7.1: odd ones are illegal on RV64"),
    NOT(0x3a3, 13, pmpcfg3 to pmpcfg15, "odd, or of entries 16 to 63"),
    NOT(0x3c0, 48, pmpaddr16 to pmpaddr63, "16 entries"),
    NOT(0x721, 31, mcyclecfgh to mhpmevent31h, "RV32 only"),
    NOT(0x740, 5, mnscratch mnepc mncause mnstatus, "no Smrnmi"),
    NOT(0x757, 1, mseccfgh, "RV32 only"),
    NOT(0x7a0, 9, tselect to mcontext, "no Sdtrig"),
    NOT(0x7b0, 4, dcsr to dscratch1, "2.1: visible to debug mode only"),
    NOT(0xb01, 1, the number of mtime, "3.2.1: mtime is memory-mapped"),
    NOT(0xb80, 32, mcycleh to mhpmcounter31h, "RV32 only"),
    NOT(0xfb0, 1, mtopi, "no AIA"),
};

static const struct row *find(unsigned number)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (number >= rows[i].number && number < (unsigned)rows[i].number + rows[i].count)
            return &rows[i];
    }
    return NULL;
}

const char *pr_csr_name(unsigned number)
{
    const struct row *r = find(number);

    return r ? r->name : NULL;
}

bool pr_csr_here(const struct pr_hart *h, unsigned number)
{
    const struct row *r = find(number);

    if (!r || !r->here || (number == 0x14d && !h->sstc))
        return false;
    return number < 0xc00 || number > 0xc02 || h->zicntr;
}

/* ---- The instruction (Zicsr; 2.1)
 * ------------------------------------------------------------------------- */

static uint64_t read_row(const struct pr_hart *h, const struct row *r, unsigned n)
{
    uint64_t v;

    if (r->number == 0x3a2)
        return read_pmpcfg(h, 2);
    if (r->read)
        return r->read(h, n);
    memcpy(&v, (const char *)h + r->word, sizeof(v));
    return v;
}

static void write_row(struct pr_hart *h, const struct row *r, unsigned n, uint64_t v)
{
    if (r->number == 0x3a2) {
        write_pmpcfg(h, 2, v);
    } else if (r->write) {
        r->write(h, n, v);
    } else {
        v &= r->mask;
        memcpy((char *)h + r->word, &v, sizeof(v));
    }
}

bool pr_csr(struct pr_hart *h, unsigned number, enum pr_op op, uint64_t operand, uint64_t *old,
            const char **clause)
{
    const struct row *r = find(number);
    unsigned n = r ? number - r->number : 0;
    uint64_t base;

    *clause = r ? r->clause : "2.2: not allocated";
    if (!r || !r->here)
        return false;
    if (h->priv < field(number, 8, 2)) {
        *clause = "2.1: bits 9-8 are the lowest privilege that can access it";
        return false;
    }
    if (op != PR_READ && field(number, 10, 2) == 3) {
        *clause = "2.1: bits 11-10 = 3: read-only";
        return false;
    }
    if (r->open && !r->open(h, n))
        return false;
    *old = read_row(h, r, n);
    if (op == PR_READ)
        return true;
    /* 3.1.9: the controllers' signals take no part in a read-modify-write of mip. */
    base = number == 0x344 ? h->mip : *old;
    write_row(h, r, n, op == PR_WRITE ? operand : op == PR_SET ? base | operand : base & ~operand);
    return true;
}

/* ---- Reset (3.4)
 * --------------------------------------------------------------------------------------------- */

/* "All other hart state is UNSPECIFIED": choice, 0, and stimecmp never. */
void pr_csr_reset(struct pr_hart *h)
{
    struct pr_hart fresh = {.f = h->f,
                            .c = h->c,
                            .zicntr = h->zicntr,
                            .sstc = h->sstc,
                            .svadu = h->svadu,
                            .svpbmt = h->svpbmt,
                            .svnapot = h->svnapot,
                            .zicbom = h->zicbom,
                            .zicboz = h->zicboz,
                            .hartid = h->hartid,
                            .time = h->time,
                            .line = h->line,
                            .pc = h->pc,
                            .priv = PR_M};

    /* 3.1.1: MXL 2, I, M, A, S, U here always; C, F and D as the model has them (D goes with F in
     * the tests). 3.1.6.2: UXL and SXL are 2. */
    fresh.misa = UINT64_C(2) << 62 | BIT(8) | BIT(12) | BIT(0) | BIT(18) | BIT(20);
    fresh.misa |= h->c ? BIT(2) : 0;
    fresh.misa |= h->f ? BIT(5) | BIT(3) : 0;
    fresh.mstatus = UINT64_C(2) << 32 | UINT64_C(2) << 34;
    fresh.stimecmp = ALL;
    *h = fresh;
}
