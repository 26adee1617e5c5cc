/* The RISC-V privileged specification's rules as plain functions, for tests: what an access, a
 * CSR instruction, a trap or a return does to a hart. Written from the text of 20240411 (machine
 * level 1.13, supervisor level 1.13, Sstc, Svadu, Svnapot, Svpbmt, Zicbom, Zicboz), not from
 * frontend/riscv/sys; simple and slow. Each outcome names the clause that decided it, so that a
 * failing test says where to read.
 *
 * Where the text leaves a choice, the rule says "choice:" and what frontend/riscv/sys/README.md
 * announces. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The low bits of a page table entry (Sv39). */
enum {
    PTE_V = 1,
    PTE_R = 2,
    PTE_W = 4,
    PTE_X = 8,
    PTE_U = 16,
    PTE_G = 32,
    PTE_A = 64,
    PTE_D = 128
};

enum { PR_U = 0, PR_S = 1, PR_M = 3 };
enum { PR_N_PMP = 16 }; /* choice: 0, 16 or 64 (3.7.1) */

/* mstatus (3.1.6). */
#define PR_SIE  (UINT64_C(1) << 1)
#define PR_MIE  (UINT64_C(1) << 3)
#define PR_SPIE (UINT64_C(1) << 5)
#define PR_MPIE (UINT64_C(1) << 7)
#define PR_SPP  (UINT64_C(1) << 8)
#define PR_MPP  (UINT64_C(3) << 11)
#define PR_FS   (UINT64_C(3) << 13)
#define PR_MPRV (UINT64_C(1) << 17)
#define PR_SUM  (UINT64_C(1) << 18)
#define PR_MXR  (UINT64_C(1) << 19)
#define PR_TVM  (UINT64_C(1) << 20)
#define PR_TW   (UINT64_C(1) << 21)
#define PR_TSR  (UINT64_C(1) << 22)
#define PR_SD   (UINT64_C(1) << 63)
enum { PR_MPP_SHIFT = 11 };

/* menvcfg, senvcfg (3.1.18, 10.1.10). */
#define PR_CBIE  (UINT64_C(3) << 4)
#define PR_CBCFE (UINT64_C(1) << 6)
#define PR_CBZE  (UINT64_C(1) << 7)
#define PR_ADUE  (UINT64_C(1) << 61)
#define PR_PBMTE (UINT64_C(1) << 62)
#define PR_STCE  (UINT64_C(1) << 63)

/* A hart as the text sees it. */
struct pr_hart {
    /* What it has besides I, M, A, S and U. */
    bool f, c, zicntr, sstc, svadu, svpbmt, svnapot, zicbom, zicboz;
    uint64_t misa, hartid;

    unsigned priv;
    uint64_t pc, time;
    uint64_t mstatus; /* UXL and SXL included, SD computed when read */
    uint64_t mtvec, medeleg, mideleg, mie, mscratch, mepc, mcause, mtval;
    uint64_t mip;  /* the bits that software wrote */
    uint64_t line; /* what interrupt controllers and timers drive */
    uint64_t mcounteren, mcountinhibit, menvcfg, mcycle, minstret;
    uint64_t stvec, scounteren, senvcfg, sscratch, sepc, scause, stval, satp, stimecmp;
    uint8_t frm, fflags;
    uint8_t pmpcfg[PR_N_PMP];
    uint64_t pmpaddr[PR_N_PMP];
};

/* ---- Accesses (priv_rules_access.c) ------------------------------------------------------ */

enum pr_kind { PR_FETCH, PR_LOAD, PR_STORE, PR_AMO, PR_LR, PR_SC, PR_CBO, PR_ZERO, PR_N_KINDS };

/* Main memory; everything else is vacant. */
struct pr_memory {
    const uint8_t *bytes;
    uint64_t base, len;
};

/* One page's part of an access, translated. */
struct pr_part {
    uint64_t va, pa;
    unsigned len;
    bool updated; /* A or D had to be set */
    uint64_t pte_pa, pte;
    bool global;       /* the leaf, or a pointer on the way to it, has G */
    uint64_t leaf_len; /* bytes that the leaf maps */
};

struct pr_access {
    bool ok;
    uint64_t cause, tval; /* if not ok */
    unsigned n_parts;     /* begun, the one that failed included */
    struct pr_part part[2];
    const char *clause;
};

/* An access of `size` bytes at va by the hart in its state. Nothing is changed: the page-table
 * entries that hardware would have written are in the parts. */
void pr_access(const struct pr_hart *h, const struct pr_memory *m, enum pr_kind kind, uint64_t va,
               unsigned size, struct pr_access *out);
/* PMP alone (3.7): may [pa, pa+size) be accessed with this effective privilege? */
bool pr_pmp(const struct pr_hart *h, enum pr_kind kind, unsigned priv, uint64_t pa, unsigned size,
            const char **clause);
unsigned pr_data_priv(const struct pr_hart *h); /* effective privilege of loads and stores */

/* ---- CSR instructions (priv_rules_csr.c) ------------------------------------------------- */

enum pr_op { PR_READ, PR_WRITE, PR_SET, PR_CLEAR, PR_N_OPS };

/* False: illegal instruction, nothing changed. *old is what rd gets. */
bool pr_csr(struct pr_hart *h, unsigned number, enum pr_op op, uint64_t operand, uint64_t *old,
            const char **clause);
const char *pr_csr_name(unsigned number); /* NULL: no row, neither of those here nor of those not */
bool pr_csr_here(const struct pr_hart *h, unsigned number); /* for M, with everything open */
void pr_csr_reset(struct pr_hart *h); /* the values after reset; the model is filled in */
void pr_advance(struct pr_hart *h, uint64_t ticks);
uint64_t pr_pending(const struct pr_hart *h); /* mip as it reads */

/* ---- Traps (priv_rules_trap.c) ----------------------------------------------------------- */

/* The interrupt to take now; -1: none. */
int pr_interrupt(const struct pr_hart *h, const char **clause);
void pr_take_interrupt(struct pr_hart *h, int irq);
void pr_take_exception(struct pr_hart *h, uint64_t cause, uint64_t tval);

enum pr_insn {
    PR_MRET,
    PR_SRET,
    PR_WFI,
    PR_SFENCE_VMA,
    PR_SINVAL_VMA,
    PR_SFENCE_W_INVAL,
    PR_WRS_NTO,
    PR_WRS_STO,
    PR_CBO_CLEAN,
    PR_CBO_FLUSH,
    PR_CBO_INVAL,
    PR_CBO_ZERO,
    PR_N_INSNS
};
/* May the hart execute it now? False: illegal instruction. */
bool pr_legal(const struct pr_hart *h, enum pr_insn insn, const char **clause);
void pr_return(struct pr_hart *h, enum pr_insn insn); /* PR_MRET or PR_SRET, legal */

/* All exceptions that an instruction at once has a reason for; see "Synchronous exception
 * priority" (3.1.15). */
struct pr_reasons {
    const struct pr_access *fetch[2]; /* its parcels; NULL: it has no second */
    bool illegal;
    bool target_misaligned;
    bool ecall, ebreak;
    const struct pr_access *data; /* NULL: no explicit access */
    uint64_t word, target;
    uint64_t pc;
    unsigned priv;
};
/* False: none. */
bool pr_first_exception(const struct pr_reasons *r, uint64_t *cause, uint64_t *tval,
                        const char **clause);
