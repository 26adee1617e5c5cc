/* One RISC-V hart with RAM, soft MMU and a clock that the test sets, for tests of
 * frontend/riscv/sys. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frontend/riscv/rv.h"
#include "frontend/riscv/sys/sys.h"
#include "softmmu/track.h"

enum { RIG_RAM_LEN = 1 << 20 };
#define RIG_RAM UINT64_C(0x80000000)

struct rig {
    struct phys phys;
    struct track *track;
    struct rv_hart *h;
    uint64_t now;   /* what the guest's clock shows */
    uint64_t armed; /* the last deadline handed to the machine */
    unsigned n_armed;
    char out[256]; /* console */
    unsigned n_out;
    const char *in;
    int reset_type, reset_reason; /* -1 until the guest resets */
    uint64_t wrote_gpa, wrote_len;
};

/* A hart of the model ("default") after power-on at RIG_RAM. */
struct rig *rig_create(const char *model);
void rig_destroy(struct rig *r);

/* Calls a helper as translated code would. False: it raised; *cause, *tval say what. */
bool rig_call(struct rig *r, ir_helper_fn *fn, uint64_t k, uint64_t a, uint64_t b, uint64_t *result,
              uint64_t *cause, uint64_t *tval);

void rig_poke64(struct rig *r, uint64_t gpa, uint64_t value);
uint64_t rig_peek64(struct rig *r, uint64_t gpa);

/* Reads and writes a CSR as M, whatever the hart's privilege. CHECKs that it exists. */
uint64_t rig_csr(struct rig *r, unsigned number);
void rig_csr_write(struct rig *r, unsigned number, uint64_t value);

/* A fixed sequence: the tests are the same in every run. */
uint64_t rig_random(uint64_t *seed);
