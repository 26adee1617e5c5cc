/* Random blocks of IR, and a small world for them to run in: a hart's state with
 * a few words of the guest's own behind it, four pages of memory, helpers. The
 * same seed gives the same block, state and memory everywhere. Used by the tests
 * of passes, of the text form and of back ends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/ir/ir.h"

/* What may occur in a block. */
enum {
    IR_RANDOM_FP = 1,    /* F values and floating-point arithmetic */
    IR_RANDOM_MEM = 2,   /* ld, st, ldf, stf, fence */
    IR_RANDOM_CALL = 4,  /* the helpers below */
    IR_RANDOM_TIME = 8,  /* time, count */
    IR_RANDOM_SIDE = 16, /* exit_if, exit_pending */
    IR_RANDOM_RMM = 32,  /* rounding mode RMM, static (never as fp_rm) */
    IR_RANDOM_ALL = 63,
};

/* Memory: [mem_va, mem_va + 4 pages). Page 2 makes a store leave the block behind
 * its instruction (as a page of code does), page 3 faults. Addresses are made
 * such that nothing outside is touched and nothing crosses into page 3. The middle
 * is where 32-bit numbers change their sign, the place of off-by-a-sign mistakes. */
enum {
    IR_WORLD_MEM = 4 * PAGE_SIZE,
    IR_WORLD_OWN = 8,
    IR_WORLD_LOAD_FAULT = 13,
    IR_WORLD_STORE_FAULT = 15,
};
#define IR_WORLD_VA UINT64_C(0x7fffe000)

/* A hart, as a front end would have it: ldst and stst reach `own`. */
struct ir_world {
    struct cpu_state s;
    uint64_t own[IR_WORLD_OWN];
    _Alignas(PAGE_SIZE) uint8_t mem[IR_WORLD_MEM];
    uint64_t ticks; /* what `time` gives next */
    uint64_t trace; /* a hash of all accesses to memory, in order */
    /* Where translated code sees mem: page by page, each IR_WORLD_APART bytes behind the one
     * before. NULL: as it stands. Reservations are such addresses. */
    const uint8_t *apart;
};
enum { IR_WORLD_APART = 2 * PAGE_SIZE };

uint64_t ir_world_word(const struct ir_world *w, uint64_t offset);

struct ir_random {
    uint64_t seed;    /* of splitmix64; advances */
    uint32_t parts;   /* IR_RANDOM_* */
    unsigned n_guest; /* guest instructions wanted, 1..IR_MAX_GUEST */
};

uint64_t ir_random_next(struct ir_random *r);
static inline unsigned ir_random_below(struct ir_random *r, unsigned n)
{
    return (unsigned)((ir_random_next(r) >> 32) * n >> 32);
}
/* A value weighted to corners, and one that looks like a register of f32 or f64. */
uint64_t ir_random_value(struct ir_random *r);
uint64_t ir_random_float(struct ir_random *r);

/* A block that ir_verify() accepts, as naive as a front end would build it:
 * nothing is folded. b->helpers are ir_world_helpers. */
void ir_random_block(struct ir_random *r, struct ir_block *b);

/* ids IR_HELP_fp, then those of the test; they use struct cpu_state only. */
extern const struct ir_helper ir_world_helpers[];
extern const unsigned ir_world_n_helpers;

/* Registers, memory, modes: a state from which a block may start. */
void ir_world_init(struct ir_world *w, struct ir_random *r);
/* Copies what a block can see or change; the jump cache stays. */
void ir_world_copy(struct ir_world *to, const struct ir_world *from);

/* Runs b on w by ir_eval, as the run loop would. */
enum exit_reason ir_world_eval(struct ir_world *w, const struct ir_block *b);
/* Some of the helpers: IR_FAST() is their k. */
enum { IR_WORLD_ATOMIC = IR_HELPER_COUNT + 5, IR_WORLD_LOAD_RESERVED, IR_WORLD_ZERO };
static inline unsigned ir_world_fast(enum ir_fast what)
{
    return what == IR_LR     ? IR_WORLD_LOAD_RESERVED
           : what == IR_ZERO ? IR_WORLD_ZERO
                             : IR_WORLD_ATOMIC;
}
extern const struct ir_env ir_world_env;

/* Is all that the guest can see the same, and the exit? When not, and out is not
 * NULL, prints what differs. Not compared: exit_index, exit_block. */
bool ir_world_same(const struct ir_world *x, enum exit_reason x_reason, const struct ir_world *y,
                   enum exit_reason y_reason, FILE *out);
