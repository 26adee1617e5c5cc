/* Our side of a comparison: one hart with a little RAM and no devices, that runs from given
 * registers until the first trap. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frontend/riscv/rv.h"
#include "runtime/hart.h"

/* What is compared of a hart. */
struct diff_state {
    uint64_t x[32], f[32];
    uint64_t fcsr;
    uint64_t cause, epc, tval; /* of the trap that ended the run */
    uint64_t mscratch, sscratch;
};

struct diff_engine;

/* model: as --cpu. priv: what programs run in. Ends the process when the host refuses. */
struct diff_engine *diff_engine_create(enum engine kind, const char *model, enum rv_priv priv,
                                       uint64_t ram_gpa, uint64_t ram_bytes);
void diff_engine_destroy(struct diff_engine *e);

/* The RAM, to be written before a run and read behind it. */
uint8_t *diff_engine_ram(struct diff_engine *e);

/* Runs from pc with s's registers until a trap; s has the state after it. What was written to
 * [wrote, wrote + len) of the RAM since the last run may have been code. */
void diff_engine_run(struct diff_engine *e, struct diff_state *s, uint64_t pc, uint64_t wrote,
                     uint64_t len);
