/* The intermediate representation: one block in SSA form, a flat list of
 * instructions. Control leaves at exits only; there are no joins, so no phis.
 * A value is the index of the instruction that made it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/arena.h"
#include "dbt/base/err.h"
#include "dbt/ir/ir_fp.h"
#include "dbt/ir/state.h"

typedef struct {
    uint16_t n;
} ir_ref; /* a value: the index of the instruction that made it */

enum {
    IR_MAX_GUEST = 64,   /* guest instructions in a block */
    IR_MAX_INSNS = 4096, /* IR instructions; a builder adds at most 48 for a guest instruction */
};

/* No operand. An array with a place for each value has one more for this, so that who walks over
 * operands need not ask, which the host's processor would guess wrong every other time. */
#define IR_NONE ((ir_ref){IR_MAX_INSNS})

static inline bool ir_is_none(ir_ref r)
{
    return r.n == IR_MAX_INSNS;
}

enum ir_op {
#define IR(name, result, operands, flags, meaning) IR_##name,
#include "dbt/ir/ir.def"
#undef IR
    IR_OP_COUNT
};

enum ir_flag {
    PURE = 1,      /* depends on operands, imm and aux only: folded, shared, dropped if unused */
    COMM = 2,      /* a and b may be swapped */
    STATE = 4,     /* reads or writes guest registers or state, nothing else */
    FAULT = 8,     /* may leave the block: guest registers must be precise here */
    LOAD = 16,     /* reads guest memory */
    STORE = 32,    /* writes guest memory; may leave after it (EXIT_PENDING at the next insn) */
    EFFECT = 64,   /* neither dropped nor moved past another; FAULT says whether registers show */
    FPFLAGS = 128, /* PURE but for sticky flags (and the rounding mode): not dropped, not shared */
    MARK = 256,
    SIDE = 512,  /* may leave the block; what follows runs when it does not */
    EXIT = 1024, /* ends the block */
    IDLE = 2048, /* needs not be done when nobody uses its value: PURE, or reads STATE */
};

/* aux of ld, ldf, st, stf: log2 of the size, and how a load is extended. */
enum ir_mem {
    IR_U8 = 0,
    IR_U16 = 1,
    IR_U32 = 2,
    IR_64 = 3,
    IR_S8 = 4,
    IR_S16 = 5,
    IR_S32 = 6,
    /* Of ld and st, with 16, 32 or 64 bits, zero-extended: bytes that the guest accesses one by
     * one, from the last `insn` on, as one misaligned word. Either all of it is done, or the block
     * is left before that `insn` (EXIT_PENDING, cpu_state.plain) and nothing is. */
    IR_JOINED = 8,
};
static inline unsigned ir_mem_size(uint8_t aux)
{
    return 1u << (aux & 3);
} /* bytes */
static inline bool ir_mem_signed(uint8_t aux)
{
    return (aux & 4) != 0;
}

/* aux of exit_if. IR_EQ ^ 1 == IR_NE and so on. */
enum ir_cond { IR_EQ, IR_NE, IR_LT, IR_GE, IR_LTU, IR_GEU };

/* aux of exit_goto and exit_jump: what the jump is to the host's predictor. A call is expected
 * to come back behind the last `insn`, a return to go there. It changes no meaning. */
enum ir_flow { IR_PLAIN, IR_CALLS, IR_RETURN };

/* aux of call: what the helper does, when it is one of these, so that the back end may do it in
 * line where the page is known; 0 else. Operands are an address and, but for lr, a value; the
 * result is the old value (32 bits: sign-extended), of sc 0 or 1. zero has an address only, gives 0
 * and zeroes the IR_ZERO_BYTES that it lies in, by any number of stores; in line where the address
 * is their first. Such a helper changes no guest register. */
enum ir_fast { IR_SWAP = 1, IR_ADD, IR_XOR, IR_AND, IR_OR, IR_LR, IR_SC, IR_ZERO, IR_FAST_COUNT };
enum { IR_ZERO_BYTES = 64 };
#define IR_FAST(what, size) ((uint8_t)((what) | ((size) == 8 ? 16 : 0)))
static inline enum ir_fast ir_fast_what(uint8_t aux)
{
    return (enum ir_fast)(aux & 15);
}
static inline unsigned ir_fast_size(uint8_t aux)
{
    return aux & 16 ? 8 : 4;
}

/* aux of floating-point operations: width 32 or 64; rm is enum ir_rm or
 * IR_RM_DYN (cpu_state.fp_rm). */
enum { IR_RM_DYN = 7 };
#define IR_FP(width, rm) ((uint8_t)(((width) == 64 ? 8 : 0) | (rm)))
static inline unsigned ir_fp_width(uint8_t aux)
{
    return aux & 8 ? 64 : 32;
}
static inline unsigned ir_fp_rm(uint8_t aux)
{
    return aux & 7;
}

#define IR_CALL(id, k) ((uint64_t)(id) | (uint64_t)(uint32_t)(k) << 32)
static inline unsigned ir_call_id(uint64_t imm)
{
    return (uint32_t)imm;
}
static inline uint32_t ir_call_k(uint64_t imm)
{
    return (uint32_t)(imm >> 32);
}

struct ir_insn {
    uint8_t op; /* enum ir_op */
    uint8_t aux;
    ir_ref a, b, c;
    uint64_t imm;
};

/* The signature of every C function that translated code may call. */
typedef uint64_t ir_helper_fn(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c);

struct ir_helper {
    const char *name;
    ir_helper_fn *fn;
    uint8_t n_args; /* of a, b, c: how many it takes */
};

/* A bit of `mode` that is not the guest's: the block runs only where a view has a window
 * (softmmu/mmu.h). */
#define IR_MODE_WINDOW (UINT32_C(1) << 31)

/* Of which half of the addresses there is one. */
enum ir_window { IR_WINDOW_NONE, IR_WINDOW_LOWER, IR_WINDOW_UPPER };

/* What running has taught of code (runtime/wild.h). NULL: of none. */
struct ir_advice {
    /* Does the instruction at gpa, in this mode, jump from page to page, so that it is better off
     * without a cell? Under IR_MODE_WINDOW: without the window. And of IR_START_AT(gpa): does the
     * block that starts there often find that what it takes for granted is not so: that addresses
     * which its loop begins with are in the window, that registers hold singles? */
    bool (*is_wild)(void *arg, uint64_t gpa, uint32_t mode);
    /* Has the block that starts there run often? NULL: all have. */
    bool (*is_hot)(void *arg, uint64_t gpa, uint32_t mode);
    /* Shall a block of so many bytes count its runs, and say when they are many, whether or not it
     * is better off then? NULL: none shall. */
    bool (*is_counted)(void *arg, uint64_t gpa, uint64_t len_bytes);
    void *arg;
};
#define IR_START_AT(gpa) ((gpa) | 1)

struct ir_block {
    uint64_t gpa;            /* guest physical address of the first instruction */
    uint32_t start;          /* its offset in the page: gpa & 0xfff */
    uint32_t len_bytes;      /* of guest code, from gpa on; may end in the next page */
    uint32_t n_guest;        /* guest instructions */
    uint32_t mode;           /* the mode key it was made for */
    uint32_t n;              /* IR instructions */
    uint32_t straddle_bytes; /* an instruction in so many at a page's end may reach behind it */
    bool virtual_time;       /* `count` is wanted */
    bool strict_lrsc;   /* load-reserved and store-conditional are C's, which is told of pairs */
    bool cold;          /* it has not run often: nothing for it that pays later only */
    bool counted;       /* it is to say when it has */
    bool joins;         /* accesses may be IR_JOINED: they go through the window, in real time */
    bool one_hart;      /* nobody else's accesses come between the halves of an atomic */
    bool upper_half;    /* a guess: it runs at addresses with bit 63 set; costs time when wrong */
    bool share_lookups; /* accesses from one base may share a look-up in the tables */
    enum ir_window window;           /* which accesses may go through */
    bool cells;                      /* accesses may have cells (softmmu/mmu.h) */
    const struct ir_advice *advice;  /* borrowed; or NULL */
    const struct ir_helper *helpers; /* indexed by id; borrowed, lives as long as the program */
    unsigned n_helpers;
    struct ir_insn insn[IR_MAX_INSNS];
};

/* Do accesses go through the window? In the lower half where code is hot: each window would be
 * filled once more for each process. In the upper half from the first run on, for one serves all.
 */
static inline bool ir_uses_window(const struct ir_block *b)
{
    return b->upper_half ? b->window == IR_WINDOW_UPPER : !b->cold && b->window == IR_WINDOW_LOWER;
}

static inline bool ir_is_wild(const struct ir_block *b, uint64_t gpa)
{
    const struct ir_advice *a = b->advice;

    return a && a->is_wild && a->is_wild(a->arg, gpa, b->mode);
}

struct ir_op_info {
    const char *name;
    char result; /* 'I', 'F', 'N' */
    const char *operands;
    uint16_t flags;
};
extern const struct ir_op_info ir_ops[IR_OP_COUNT];

/* ---- Building (ir_build.c): the thread that owns the block ---------------- */

/* Appends an instruction; PURE ones are folded when all operands are constant
 * and simplified by identities (x+0, x&-1, ...; never across `set`). */
ir_ref ir_emit(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, ir_ref z,
               uint64_t imm);
ir_ref ir_const(struct ir_block *b, uint64_t value);

/* Shorthands, one for each row whose operands are all I or F: ir_add(b, x, y). */
static inline ir_ref ir_op1(struct ir_block *b, enum ir_op op, ir_ref x)
{
    return ir_emit(b, op, 0, x, IR_NONE, IR_NONE, 0);
}
static inline ir_ref ir_op2(struct ir_block *b, enum ir_op op, ir_ref x, ir_ref y)
{
    return ir_emit(b, op, 0, x, y, IR_NONE, 0);
}

/* Is it a constant, and which? */
static inline bool ir_is_const(const struct ir_block *b, ir_ref r, uint64_t *value)
{
    if (ir_is_none(r) || b->insn[r.n].op != IR_const)
        return false;
    *value = b->insn[r.n].imm;
    return true;
}

/* ---- Meaning (ir_eval.c) --------------------------------------------------- */

/* The value of a PURE operation. */
uint64_t ir_eval_pure(enum ir_op op, uint8_t aux, uint64_t a, uint64_t b, uint64_t c, uint64_t imm);

/* The value of an FPFLAGS operation on raw bits, with the rounding mode in aux
 * (dynamic: fp_rm). Sticky flags go into *flags (IR_FP_*). 32-bit results have
 * their upper half all ones. */
uint64_t ir_eval_fp(enum ir_op op, uint8_t aux, unsigned fp_rm, uint64_t a, uint64_t b, uint64_t c,
                    uint32_t *flags);

/* MXCSR's sticky bits of RISC-V-ordered flags, and back. Both are IEEE's five
 * flags; MXCSR bit 1 (denormal) has no counterpart. */
uint32_t ir_fp_to_mxcsr(uint32_t flags);
uint32_t ir_fp_from_mxcsr(uint32_t mxcsr);

/* How the evaluator reaches guest memory and time: handed down by runtime. */
struct ir_env {
    /* May leave by state_leave(); s->insn_off says where. load returns the value
     * extended as aux says; store returns true when the block must be left
     * behind this instruction. */
    uint64_t (*load)(struct cpu_state *s, uint64_t va, uint8_t aux);
    bool (*store)(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value);
    uint64_t (*time)(struct cpu_state *s);
};

/* Runs the block on s, from its first instruction, calling helpers through
 * libffi. s->page_va is set by the caller. Sets s->pc (EXIT_LINK: to the target)
 * and what the reason needs. The caller has armed s->unwind. */
enum exit_reason ir_eval(const struct ir_block *b, struct cpu_state *s, const struct ir_env *env);

/* ---- Helpers of the IR itself (ir_helper.c) ---------------------------------- */

enum ir_helper_id {
#define IR_HELPER(name, fn, n) IR_HELP_##name,
#include "dbt/ir/ir_helper.def"
#undef IR_HELPER
    IR_HELPER_COUNT
};
#define IR_HELPER(name, fn, n) ir_helper_fn fn;
#include "dbt/ir/ir_helper.def"
#undef IR_HELPER

/* ---- Text (ir_print.c, ir_parse.c, ir_verify.c) ---------------------------- */

/* One line an instruction, guest addresses only; ir_parse reads it back. */
void ir_print(const struct ir_block *b, FILE *out);
/* helpers and n_helpers are the caller's to set before, for `call` by name. */
bool ir_parse(struct ir_block *b, const char *text, struct err *e) MUST_CHECK;

/* Operands precede uses and have the right class, aux and imm are in range, the
 * block ends in exactly one EXIT, and begins with `insn`. */
bool ir_verify(const struct ir_block *b, struct err *e) MUST_CHECK;
