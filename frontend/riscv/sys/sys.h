/* The guest's system side, private to sys/: numbers of the privileged
 * specification, and what its files call of each other. All functions run on the
 * hart's own thread unless they say otherwise. */
#pragma once

#include "dbt/base/bits.h"
#include "dbt/base/log.h"
#include "frontend/riscv/rv.h"
#include "frontend/riscv/rv_status.h"

/* ---- Numbers of the manual ------------------------------------------------------- */

enum rv_cause {
    RV_FETCH_MISALIGNED = 0,
    RV_FETCH_ACCESS = 1,
    RV_ILLEGAL = 2,
    RV_BREAKPOINT = 3,
    RV_LOAD_MISALIGNED = 4,
    RV_LOAD_ACCESS = 5,
    RV_STORE_MISALIGNED = 6,
    RV_STORE_ACCESS = 7,
    RV_ECALL_U = 8,
    RV_ECALL_S = 9,
    RV_ECALL_M = 11,
    RV_FETCH_PAGE = 12,
    RV_LOAD_PAGE = 13,
    RV_STORE_PAGE = 15,
};
#define RV_CAUSE_INTERRUPT (UINT64_C(1) << 63)

/* Bit numbers of mip, mie, mideleg. */
enum rv_irq {
    RV_SSI = 1,
    RV_MSI = 3,
    RV_STI = 5,
    RV_MTI = 7,
    RV_SEI = 9,
    RV_MEI = 11,
};
#define RV_IRQ_S (UINT64_C(1) << RV_SSI | UINT64_C(1) << RV_STI | UINT64_C(1) << RV_SEI)
#define RV_IRQ_M (UINT64_C(1) << RV_MSI | UINT64_C(1) << RV_MTI | UINT64_C(1) << RV_MEI)

/* All exceptions but the ecall from M, which the specification wires to 0, and
 * the numbers that nothing here raises. */
#define RV_MEDELEG_MASK UINT64_C(0xb3ff)

/* menvcfg and senvcfg. */
#define RV_ENVCFG_FIOM          (UINT64_C(1) << 0)
#define RV_ENVCFG_CBIE          (UINT64_C(3) << 4)
#define RV_ENVCFG_CBCFE         (UINT64_C(1) << 6)
#define RV_ENVCFG_CBZE          (UINT64_C(1) << 7)
#define RV_ENVCFG_ADUE          (UINT64_C(1) << 61)
#define RV_ENVCFG_PBMTE         (UINT64_C(1) << 62)
#define RV_ENVCFG_STCE          (UINT64_C(1) << 63)
#define RV_ENVCFG_CBIE_RESERVED (UINT64_C(2) << 4)

enum rv_satp_mode { RV_SATP_BARE = 0, RV_SATP_SV39 = 8, RV_SATP_SV48 = 9, RV_SATP_SV57 = 10 };

static inline enum rv_satp_mode rv_satp_mode(uint64_t satp)
{
    return (enum rv_satp_mode)(satp >> 60);
}

/* Counters count host time as if at 1 GHz, whatever the host's clock is. */
enum { RV_CYCLES_PER_TICK = 100 };

enum { RV_CBO_BLOCK = 64 }; /* Zicbom's and Zicboz's block, in bytes; IR_ZERO_BYTES */

/* ---- Rights: what selects an MMU view -------------------------------------------- */

/* A small number: the privilege of the access, and SUM and MXR where they matter.
 * Where they do not (M, bare) they are 0, so that one view serves all settings. */
enum { RV_RIGHTS_PRIV = 3, RV_RIGHTS_SUM = 4, RV_RIGHTS_MXR = 8 };

uint64_t rv_data_rights(const struct rv_hart *h); /* loads and stores, MPRV considered */
uint64_t rv_fetch_rights(const struct rv_hart *h);

/* ---- CSRs (csr.c, csr_status.c, csr_counter.c) ----------------------------------- */

enum rv_csr_op { RV_CSR_WRITE = 1, RV_CSR_SET = 2, RV_CSR_CLEAR = 3 };

/* One CSR instruction: *old is what rd gets. False, with nothing done: illegal.
 * Without `write` the operand is not looked at. */
bool rv_csr_access(struct rv_hart *h, unsigned number, enum rv_csr_op op, bool write,
                   uint64_t operand, uint64_t *old) MUST_CHECK;

/* Writes "name value" of each register in the table but those that run by themselves. */
void rv_csr_print(const struct rv_hart *h, FILE *out);

/* What rows of rv_csr.def call. x() reads, x_write() writes legal values only and
 * sees to the consequences, x_ok() says whether an access may be made. */
bool rv_fp_on(const struct rv_hart *h);
uint64_t rv_fflags(const struct rv_hart *h);
uint64_t rv_fcsr(const struct rv_hart *h);
void rv_fcsr_set(struct rv_hart *h, uint64_t frm, uint64_t fflags); /* FS stays as it is */
void rv_fcsr_write(struct rv_hart *h, uint64_t frm, uint64_t fflags);

bool rv_counter_ok(const struct rv_hart *h, unsigned n);
/* Has each level above the one that runs opened the instruction? field: of menvcfg and senvcfg. */
bool rv_cbo_open(const struct rv_hart *h, uint64_t field);
uint64_t rv_counter(const struct rv_hart *h, unsigned n);
void rv_counter_write(struct rv_hart *h, unsigned n, uint64_t v);
void rv_counter_write_csr(struct rv_hart *h, unsigned n, uint64_t v);
uint64_t rv_time(const struct rv_hart *h);
void rv_mcountinhibit_write(struct rv_hart *h, uint64_t v);
void rv_mcounteren_write(struct rv_hart *h, uint64_t v);
void rv_scounteren_write(struct rv_hart *h, uint64_t v);
bool rv_stimecmp_ok(const struct rv_hart *h);
void rv_stimecmp_write(struct rv_hart *h, uint64_t v);

uint64_t rv_mstatus(const struct rv_hart *h);
void rv_mstatus_write(struct rv_hart *h, uint64_t v);
uint64_t rv_sstatus(const struct rv_hart *h);
void rv_sstatus_write(struct rv_hart *h, uint64_t v);
uint64_t rv_mip(const struct rv_hart *h); /* software bits and lines ORed; the clock is asked */
uint64_t rv_mip_latched(const struct rv_hart *h); /* STIP as of the last rv_timer_tick() */
void rv_mip_write(struct rv_hart *h, uint64_t old, uint64_t v);
void rv_sip_write(struct rv_hart *h, uint64_t old, uint64_t v);
void rv_mie_write(struct rv_hart *h, uint64_t v);
void rv_sie_write(struct rv_hart *h, uint64_t v);
void rv_mideleg_write(struct rv_hart *h, uint64_t v);
uint64_t rv_tvec(uint64_t v);
uint64_t rv_epc(const struct rv_hart *h, uint64_t v);
void rv_menvcfg_write(struct rv_hart *h, uint64_t v);
void rv_senvcfg_write(struct rv_hart *h, uint64_t v);
uint64_t rv_menvcfg_mask(const struct rv_cpu_model *m); /* the bits that can be set */
bool rv_satp_ok(const struct rv_hart *h);
void rv_satp_write(struct rv_hart *h, uint64_t v);

/* Does stimecmp decide mip.STIP? Under Sstc, and always when the built-in SBI
 * keeps its timer there. */
static inline bool rv_timer_in_use(const struct rv_hart *h)
{
    return h->builtin_sbi || (h->menvcfg & RV_ENVCFG_STCE) != 0;
}

/* ---- PMP (pmp.c) ----------------------------------------------------------------- */

bool rv_pmp_allowed(struct cpu_state *s, uint64_t gpa, unsigned len, enum mmu_access access,
                    uint64_t rights, bool *whole_page);
size_t rv_domain(struct cpu_state *s, uint8_t *out);         /* mmu_guest.domain */
uint64_t rv_pmpcfg(const struct rv_hart *h, unsigned first); /* entries first .. first+7 */
void rv_pmpcfg_write(struct rv_hart *h, unsigned first, uint64_t v);
void rv_pmpaddr_write(struct rv_hart *h, unsigned i, uint64_t v);

/* ---- Page walk (walk.c) ---------------------------------------------------------- */

bool rv_walk(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
             struct mmu_map *map, struct mmu_fault *fault);
/* As mmu_guest.peek, shares_view, shares_code, walks_alike and window_bound. */
bool rv_peek(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
             struct mmu_map *map);
bool rv_shares_view(uint64_t space_key, uint64_t rights);
bool rv_shares_code(uint64_t space_key, uint64_t rights);
bool rv_walks_alike(struct cpu_state *a, struct cpu_state *b, uint64_t gva);
uint64_t rv_window_bound(uint64_t space_key, uint64_t rights);
/* Can satp take this mode? Bare always. */
bool rv_satp_mode_ok(const struct rv_hart *h, enum rv_satp_mode mode);
uint64_t rv_access_fault(enum mmu_access access);
uint64_t rv_misaligned(enum mmu_access access);

/* ---- Traps (trap.c) -------------------------------------------------------------- */

/* The interrupt to take now, as a bit number; -1: none. */
int rv_irq_deliverable(const struct rv_hart *h);
/* The part of rv_sync() that is about interrupts. */
void rv_sync_irq(struct rv_hart *h);
/* Both change privilege and mode and give the new pc. The caller has checked
 * that the instruction is legal. */
uint64_t rv_mret(struct rv_hart *h);
uint64_t rv_sret(struct rv_hart *h);

/* ---- SBI (sbi.c and its parts) --------------------------------------------------- */

/* Serves the ecall at s.pc by the registers and steps over it. */
void rv_sbi_call(struct rv_hart *h);

/* ---- The other harts (cluster.c) --------------------------------------------------- */

/* sfence.vma for [start, start + len), of one address space or all of them; start and len 0: all.
 */
struct rv_fence {
    uint64_t start, len;
    bool all_asid;
    uint32_t asid;
    uint64_t moment; /* when it was made (mmu_moment); see rv_send_fence() */
};

unsigned rv_n_harts(const struct rv_hart *h);
/* Of hart hartid, which exists and is another one than h. */
enum rv_hsm rv_hsm_state_of(const struct rv_hart *h, unsigned hartid);

/* What the hart has to do before it goes on. */
enum rv_attend {
    RV_ATTEND_RUN,   /* nothing: it runs guest code */
    RV_ATTEND_STAY,  /* it runs none (PENDING_WAIT): stopped, suspended, waiting for fences */
    RV_ATTEND_BEGAN, /* it was started, or resumed, at another pc */
};
/* Does what others have asked for. Called by rv_interrupt(). */
enum rv_attend rv_attend(struct rv_hart *h);

/* Bit i of harts: hart i, which exists. */
void rv_send_ipi(struct rv_hart *h, uint64_t harts);
/* fence NULL: fence.i. The hart goes on when all have done it. */
void rv_send_fence(struct rv_hart *h, uint64_t harts, const struct rv_fence *fence);
void rv_do_fence(struct rv_hart *h, const struct rv_fence *fence);
/* Says in which space the hart is to be, and does the fences that nobody had waited for. Before
 * mmu_switch(). */
void rv_enter_space(struct rv_hart *h, uint32_t asid);

/* False: it is not stopped. */
bool rv_start(struct rv_hart *h, unsigned hartid, uint64_t pc, uint64_t arg) MUST_CHECK;
/* False: no other hart could start this one again. */
bool rv_stop_unless_last(struct rv_hart *h) MUST_CHECK;
/* Until an interrupt that mie enables is pending. */
void rv_suspend(struct rv_hart *h);
/* The same, but it goes on at pc, with hartid and arg in a0 and a1. */
void rv_suspend_to(struct rv_hart *h, uint64_t pc, uint64_t arg);
