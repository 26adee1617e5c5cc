/* RISC-V, the door to the front end: the hart's state, decoding into IR, and the
 * system side (CSRs, traps, page walk, PMP, SBI) as struct guest_ops for the run
 * loop, which knows no RISC-V. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/ir/guest.h"
#include "dbt/ir/ir.h"
#include "softmmu/mmu.h"

enum rv_priv { RV_U = 0, RV_S = 1, RV_M = 3 };

/* What the hart announces and accepts. Bit sets, see rv_ext.def. */
enum rv_ext {
#define RV_EXT(name, text, single, help) RV_EXT_##name,
#include "frontend/riscv/isa/rv_ext.def"
#undef RV_EXT
    RV_EXT_COUNT
};

struct rv_cpu_model {
    uint64_t ext; /* 1 << enum rv_ext */
    bool misaligned_ok;
};
static inline bool rv_has(const struct rv_cpu_model *m, enum rv_ext x)
{
    return (m->ext >> x & 1) != 0;
}

/* "rv64gc", "default", "max", or a name followed by ",zba=on,sstc=off" (QEMU's
 * spelling) or "+zba,-sstc"; QEMU's "rv64" is "default". */
bool rv_model_parse(struct rv_cpu_model *m, const char *text, struct err *e) MUST_CHECK;
/* "rv64imafdc_zicsr_..." for riscv,isa. Returns text. */
char *rv_model_isa(const struct rv_cpu_model *m, char *text, size_t len);

enum { RV_N_PMP = 16 };

/* What a loop waits for: that the word of its reservation changes (wrs), for something else than
 * the interrupts that are pending and keep wfi from waiting, or for what it does not say (pause).
 */
enum rv_spin { RV_SPIN_WORD, RV_SPIN_WFI, RV_SPIN_PAUSE, RV_N_SPINS };

struct rv_hart {
    struct cpu_state s; /* first: helpers cast */
    struct rv_cpu_model model;
    uint64_t hartid;
    enum rv_priv priv;

    uint64_t mstatus; /* without SD (computed); FS as written */
    uint64_t misa, mtvec, mscratch, mepc, mcause, mtval, medeleg, mideleg, mie;
    /* The CSR reads as mip | mip_line. Apart, because csrrs and csrrc of mip work on
     * the software bits only (privileged specification, 3.1.9). Both change from
     * any thread (rv_set_mip); a raised bit is stored before PENDING_IRQ is. */
    _Atomic uint64_t mip;      /* bits that software can write */
    _Atomic uint64_t mip_line; /* levels from outside; STIP: stimecmp has been reached */
    uint64_t mcounteren, mcountinhibit, menvcfg, mseccfg;
    uint64_t stvec, sscratch, sepc, scause, stval, satp, scounteren, senvcfg;
    uint64_t stimecmp;
    uint64_t mcycle_base, minstret_base; /* see sys/csr_counter.c */
    uint8_t pmpcfg[RV_N_PMP];
    uint64_t pmpaddr[RV_N_PMP];
    uint8_t frm;      /* as written, 0..7; s.fp_rm follows when it is valid. fflags: s.mxcsr */
    bool builtin_sbi; /* ecalls from S are the host's to answer */
    uint32_t n_pauses;
    bool has_paused;    /* it waits for others, as pause and wrs say: the machine takes it back */
    bool walks_ended;   /* M mode: no walk by satp that has begun before can be under way */
    bool yield_in_user; /* PENDING_YIELD is to be set when it enters U mode */

    /* Handed in by the machine. */
    bool yields;       /* pause and wrs set PENDING_YIELD from time to time */
    bool virtual_time; /* s.icount is what mcycle and minstret count */
    bool traps_seen;   /* every trap comes by guest_ops.trap, for one who looks there */
    uint64_t (*now_ticks)(void *arg);
    void *now_arg;
    /* Called with now_arg when stimecmp moves into the future, also by SBI set_timer:
     * the machine is to call rv_timer_tick() then. UINT64_MAX: never. */
    void (*set_timer)(void *arg, uint64_t deadline_ticks);
    /* Called with now_arg every few times that the hart waits for something and goes on at once,
     * instead of sched_yield(). NULL: not. */
    void (*spins)(void *arg, enum rv_spin what);
    const struct rv_sbi_host *sbi;
    void *machine;
    _Atomic uint32_t asid; /* the space that it is in; written by rv_sync(), before it is entered */
    struct rv_cluster *cluster; /* the harts that the built-in SBI serves; NULL: this one only */
};

/* What the built-in SBI needs of the machine. */
struct rv_sbi_host {
    void (*console_put)(void *machine, uint8_t byte);
    int (*console_get)(void *machine); /* -1: nothing there */
    /* type: 0 shutdown, 1 cold reboot, 2 warm reboot; ends the run at the next boundary. */
    void (*reset)(void *machine, unsigned type, unsigned reason);
    /* RAM through the plain view, for DBCN; NULL when [gpa, gpa+len) is not RAM. */
    uint8_t *(*ram)(void *machine, uint64_t gpa, uint64_t len);
    void (*wrote)(void *machine, uint64_t gpa, uint64_t len);
    /* Sets PENDING_IRQ of another hart (hart_kick): it asks guest_ops.interrupt before it runs
     * guest code again, and is waked if it sleeps. */
    void (*kick)(void *machine, unsigned hartid);
};

/* The mode key of translated code: what decoding depends on. Data rights (SUM,
 * MXR, MPRV) are not in it: they choose the MMU view at run time. */
enum {
    RV_MODE_PRIV = 3,     /* bits 0..1 */
    RV_MODE_FS_SHIFT = 2, /* bits 2..3: 0 off, 1 on but not yet dirty, 3 dirty */
    RV_MODE_FRM_RMM = 16, /* frm is 4, which the host cannot round by: dynamic goes through C */
    RV_MODE_FRM_INVALID =
        32,                /* frm is 5, 6 or 7: an instruction with dynamic rounding is illegal */
    RV_MODE_TIME_OK = 64,  /* the time CSR may be read in this privilege (m/scounteren.TM) */
    RV_MODE_ZERO_OK = 128, /* and cbo.zero be executed (m/senvcfg.CBZE) */
};

/* ---- Decoding into IR (rv_block.c): any thread, pure ------------------------- */

/* As guest_ops.build; decodes for `model`. An unknown or disabled instruction
 * becomes an illegal-instruction trap with the word as tval. */
void rv_build_block(struct ir_block *b, const struct rv_cpu_model *model, uint64_t gpa,
                    uint32_t mode, const struct guest_fetch *fetch, unsigned max_insns);

/* Disassembles one instruction word (as QEMU/objdump -M no-aliases spell it). Returns its length 2
 * or 4; an unknown word prints as .word / .half. pc is for branch targets. */
unsigned rv_disasm(uint32_t word, uint64_t pc, char *text, size_t len);

/* Helper functions that built IR calls: ids follow IR_HELPER_COUNT. */
const struct ir_helper *rv_helpers(unsigned *n); /* the complete table, IR's own first */

/* ---- The system side: the hart's thread --------------------------------------- */

void rv_hart_reset(struct rv_hart *h, uint64_t pc); /* M mode, as after power-on */
/* Recomputes what depends on CSRs after any change: MMU space and rights, mode key,
 * salt, pending interrupts. */
void rv_sync(struct rv_hart *h);
uint32_t rv_mode_key(const struct rv_hart *h);

/* Delivers a trap: sets CSRs, privilege and s.pc. An ecall from S under builtin
 * SBI is served here instead. */
void rv_trap(struct rv_hart *h, uint64_t cause, uint64_t tval);
/* If an interrupt is deliverable now, delivers it at s.pc and returns true. Clears
 * PENDING_IRQ when none is. */
bool rv_interrupt(struct rv_hart *h);
/* Would WFI wake: any enabled interrupt pending, regardless of mstatus.xIE. */
bool rv_wakes(const struct rv_hart *h);
/* Raises or lowers a bit of mip from outside (PLIC, CLINT, timer). Any thread. */
void rv_set_mip(struct rv_hart *h, unsigned bit_number, bool level);
/* Re-evaluates stimecmp against the clock. */
void rv_timer_tick(struct rv_hart *h);
/* Puts the hart into S mode as the built-in SBI leaves it, for a kernel at pc with a0, a1. */
void rv_enter_supervisor(struct rv_hart *h, uint64_t pc, uint64_t a0, uint64_t a1);

/* ---- The harts of a machine, as the built-in SBI serves them (sys/cluster.c) ------ */

enum { RV_MAX_HARTS = 64 };

/* The states of SBI 2.0, chapter 9, with its numbers. Stopping is done at once. */
enum rv_hsm {
    RV_HSM_STARTED = 0,
    RV_HSM_STOPPED = 1,
    RV_HSM_START_PENDING = 2,
    RV_HSM_SUSPENDED = 4
};

/* Before the first hart runs, after the last has stopped. All harts are STARTED, and away. */
struct rv_cluster *rv_cluster_create(unsigned n_harts);
void rv_cluster_destroy(struct rv_cluster *c);
/* Hart h->hartid of the cluster is h. */
void rv_cluster_add(struct rv_cluster *c, struct rv_hart *h);

/* Any thread. */
enum rv_hsm rv_hsm_state(const struct rv_hart *h);

/* The hart's thread. STOPPED, until another hart starts it. */
void rv_stop(struct rv_hart *h);
/* The hart's thread: who shares its processor, or whom the host has besides, may run. For .spins.
 */
void rv_let_others_run(struct rv_hart *h);
/* The hart runs no guest code from rv_away() to rv_back(): nobody waits for it, and what others
 * want of it is done by rv_back() at the latest. Around every sleep; between blocks only. */
void rv_away(struct rv_hart *h);
void rv_back(struct rv_hart *h);
/* It waits for fences of other harts, which come within microseconds. */
bool rv_is_fencing(const struct rv_hart *h);

extern const struct mmu_guest rv_mmu_guest;
extern const struct guest_ops rv_guest_ops; /* sys/rv_guest.c */
const char *rv_cause_name(uint64_t cause);
/* All registers and CSRs, for the debugger, dumps and comparison. */
void rv_print_state(const struct rv_hart *h, FILE *out);
