/* A second guest, for the tests of the run loop: 32 registers, sixteen instructions of four
 * bytes at any even address, one flat page table in RAM, one interrupt line. That it runs
 * proves that runtime/ knows no RISC-V.
 *
 *   word   op [0,8)   rd [8,13)   rs [13,18)   imm [18,32), signed
 *
 * Page table: entry of va is the 8 bytes at root + (va >> 12) * 8: gpa of the page, bit 0 valid.
 * root 0: no translation. There is no r0 that is always 0: all registers are alike. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/hart.h"

#define TOY_RAM UINT64_C(0x80000000)
#define TOY_DEV UINT64_C(0x10000000)
enum { TOY_RAM_LEN = 8 << 20, TOY_DEV_LEN = 0x1000, TOY_TABLE_PAGES = 512 };

/* What the guest may do. The row's text says it; toy_isa.c builds it. */
enum toy_op {
    TOY_ILLEGAL, /* any word whose op has no row: traps, CAUSE_ILLEGAL, tval the word */
    TOY_ADDI,    /* rd = rs + imm */
    TOY_ADDH,    /* rd = rs + (imm << 12) */
    TOY_LD,      /* rd = 8 bytes at rs + imm */
    TOY_ST,      /* 8 bytes at rs + imm = rd */
    TOY_STW,     /* 4 bytes at rs + imm = rd */
    TOY_BNE,     /* if rd != rs go to pc + imm * 2 */
    TOY_JMP,     /* go to pc + imm * 2 */
    TOY_JR,      /* go to rs + imm */
    TOY_TRAP,    /* traps: cause imm, tval rs */
    TOY_WAIT,    /* sleeps until the line is up */
    TOY_STOP,    /* ends the run behind this instruction */
    TOY_FENCE,   /* forgets translations: of the page of rs, or (imm != 0) all */
    TOY_SPACE,   /* root = rs */
    TOY_RET,     /* back from a trap: pc = epc + imm, interrupts on */
    TOY_PAUSE,   /* another hart's turn */
    TOY_ODD,     /* rd = a number that is another one each time: no deterministic machine */
};

enum {
    TOY_CAUSE_FETCH = 40, /* no mapping, or no RAM; + enum mmu_access */
    TOY_CAUSE_ACCESS = 50,
    TOY_CAUSE_ILLEGAL = 60,
    TOY_CAUSE_IRQ = 70,
    TOY_MODE_KEY = 5,
};

/* What is not the hart's own state, and so not run twice by --engine=check. */
struct toy_world {
    struct phys phys;
    struct tcache *tcache;
    struct hart *hart;
    _Atomic bool line, stop;
    _Atomic unsigned n_waits, n_polls;
    uint64_t wait_ns;
    unsigned max_polls; /* ends the run at the n-th poll; 0: never */
    uint64_t odd;
    uint64_t dev_value;
    unsigned dev_reads, dev_writes;
    bool shares;                             /* RAM and code are another's */
    void (*rest)(struct hart *h, void *arg); /* for PENDING_REST; or NULL */
    void *rest_arg;
};

struct toy_hart {
    struct cpu_state s; /* first: the guest's functions cast */
    uint64_t epc, cause, tval, vector, root;
    uint64_t traps, irqs, masked;
    struct toy_world *world; /* last: not the guest's, and other threads read it */
};

uint32_t toy_word(enum toy_op op, unsigned rd, unsigned rs, int imm);

/* ---- A machine: one hart, RAM, a device at TOY_DEV: one register, and the line -------- */

enum { TOY_DEV_LINE = 0x100 }; /* offset of what sets the interrupt line to the value's truth */

struct toy_config {
    enum engine engine;
    size_t cache_bytes; /* 0: 4 MiB in 8 segments */
    unsigned cache_segments, max_insns;
    uint32_t no_passes; /* of enum opt_set */
    unsigned n_harts;   /* 0: one */
    unsigned n_procs;   /* tcache_config.n_procs */
    bool turns;         /* and instructions are counted */
    uint64_t limit;     /* tcache_config.max_insns */
    bool no_links, evaluate_first, strict_lrsc;
    uint64_t stress_seed; /* tcache_config.stress_seed */
};

struct toy_hart *toy_create(const struct toy_config *config);
/* Another hart of first's machine, with the same config; its world is its own but for RAM, device
 * and code. Destroyed before first. */
struct toy_hart *toy_add_hart(struct toy_hart *first, const struct toy_config *config);
void toy_destroy(struct toy_hart *t);

/* Runs from pc until STOP, or whatever else ends it. */
void toy_run(struct toy_hart *t, uint64_t pc);
/* Ends the run; any thread. */
void toy_stop(struct toy_hart *t);

/* The same on a thread of its own; toy_wait_for() returns when it has ended. */
struct toy_run {
    struct toy_hart *t;
    uint64_t pc;
    pthread_t thread;
};
void toy_start(struct toy_run *r, struct toy_hart *t, uint64_t pc);
void toy_wait_for(struct toy_run *r);

/* Writes code as a loader does: blocks made from these bytes are dropped. Gives the address
 * behind it. */
uint64_t toy_put(struct toy_hart *t, uint64_t gpa, uint32_t word);
uint64_t toy_read(const struct toy_hart *t, uint64_t gpa);
void toy_write(struct toy_hart *t, uint64_t gpa, uint64_t value);
/* An entry of the page table at root; gpa 0: not mapped. */
void toy_map(struct toy_hart *t, uint64_t root, uint64_t va, uint64_t gpa);

/* Assembles at `at`, which moves on. */
#define TOY(t, at, op, rd, rs, imm) ((at) = toy_put(t, at, toy_word(TOY_##op, rd, rs, imm)))
