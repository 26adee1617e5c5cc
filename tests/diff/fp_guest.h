/* Floating-point instructions run by a guest: for each instruction and rm field a loop in guest
 * code over an array of operands in guest RAM,
 *
 *     load operands; the instruction; read and clear fflags; store result and flags
 *
 * so that a case costs little more than the instruction. All loops are placed at the start, and
 * are translated once. Private to fp_diff. */
#pragma once

#include "frontend/riscv/rv_decode.h"
#include "tests/lib/fp_rules.h"
#include "tests/lib/rv_machine.h"

enum {
    FP_BATCH = 1024, /* cases a run, at most */
    FP_DYN = 7,      /* the rm field that means frm */
};
enum { FP_CSR_FFLAGS = 1, FP_CSR_FRM = 2, FP_CSR_FCSR = 3, FP_CSR_MSTATUS = 0x300 };

struct fp_case {
    uint64_t v[3]; /* registers */
};
struct fp_outcome {
    uint64_t value, flags;
};

#define FP_RAM UINT64_C(0x80000000)
enum {
    FP_SPARE_CODE = 0x20000, /* offset of the pages for other code */
    FP_SPARE_BYTES = 0x4000,
    FP_DATA = 0x40000, /* offset of what loops read, and of what they write */
    FP_RESULTS = 0x80000,
    FP_RAM_BYTES = 0x100000,
    FP_ECALL_WORD = 0x73,
};

struct fp_guest {
    struct rv_machine *machine;
    const char *engine;  /* its name */
    uint32_t spare_used; /* bytes of the spare code that are taken */
};

/* stress_regs: random register assignment, see struct translate_options; 0: not. False, with the
 * reason in *e. */
bool fp_guest_init(struct fp_guest *g, enum engine engine, const char *name, uint64_t stress_regs,
                   struct err *e);
void fp_guest_fini(struct fp_guest *g);

/* Runs n <= FP_BATCH cases of the rule with this rm field while frm has that value. False: the
 * guest did not come to its end, and *end says why. */
bool fp_guest_run(struct fp_guest *g, const struct fp_rule *rule, unsigned field, unsigned frm,
                  const struct fp_case *cases, unsigned n, struct fp_outcome *out,
                  struct rv_end *end);

/* ---- Code of one's own ---------------------------------------------------------------------- */

struct fp_asm {
    uint8_t *ram;
    uint32_t at; /* offset in RAM */
};

/* imm as struct rv_insn has it; CHECKs that the row has such operands. */
void fp_asm_op(struct fp_asm *a, enum rv_op row, unsigned rd, unsigned rs1, unsigned rs2,
               int64_t imm);
void fp_asm_word(struct fp_asm *a, uint32_t word);
uint32_t fp_encode(const struct rv_insn *i);

/* An assembler at the next `bytes` of spare code, from which nothing has been executed since they
 * were written last. */
struct fp_asm fp_guest_spare(struct fp_guest *g, uint32_t bytes);

/* The row of the front end's table that the rule is for. CHECKs that there is one. */
enum rv_op fp_row_of(const struct fp_rule *rule);
