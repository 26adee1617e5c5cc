/* One RISC-V hart under any engine, with RAM and nothing else, for tests that run guest code
 * until its first trap and look at what is left. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frontend/riscv/rv.h"
#include "runtime/hart.h"

struct rv_machine_config {
    const char *model;
    enum engine engine;
    uint32_t passes;      /* opt.h */
    unsigned max_insns;   /* a block; 0: as many as fit */
    uint64_t stress_regs; /* see struct translate_options */
    uint32_t stress;      /* the other modes: enum cli_stress */
    bool uncounted;       /* no virtual time: runs have no limit, and do not say how long */
    uint64_t ram_gpa, ram_len;
};

struct rv_regs {
    uint64_t x[32], f[32];
    uint32_t fcsr;
    uint64_t pc;
};

/* How a run ended: `regs` is the state at the trap, pc what xepc holds. */
struct rv_end {
    struct rv_regs regs;
    bool trapped; /* false: the limit came first */
    uint64_t cause, tval;
    uint64_t insns; /* begun, the one that trapped included or not */
};

struct rv_machine;

/* NULL, with the reason in *e. */
struct rv_machine *rv_machine_create(const struct rv_machine_config *config, struct err *e);
void rv_machine_destroy(struct rv_machine *m);
struct rv_hart *rv_machine_hart(struct rv_machine *m); /* between runs */

/* The guest's RAM. Who changes bytes that have been executed says so with rv_machine_wrote. */
uint8_t *rv_machine_ram(struct rv_machine *m);
void rv_machine_wrote(struct rv_machine *m, uint64_t gpa, uint64_t len);

/* From `from` in mode priv to the first trap, at most about `limit` instructions. */
void rv_machine_run(struct rv_machine *m, const struct rv_regs *from, enum rv_priv priv,
                    uint64_t limit, struct rv_end *end);

/* Called before each block that the run loop enters; with ENGINE_INTERP and max_insns 1,
 * before each instruction. NULL: off. */
void rv_machine_watch(struct rv_machine *m, void (*before)(void *arg, const struct rv_regs *r),
                      void *arg);
