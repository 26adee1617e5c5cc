/* Inside the back end: the emitter's state for one block.
 *
 * One forward pass does selection, allocation and emission together. Where a value
 * is, is decided when it is made and may change while it lives:
 *
 *   V_CONST   nowhere yet: an immediate, or loaded when a register is needed
 *   V_STATE   still in its guest register's home slot: a memory operand, or loaded
 *   V_PIN     in the pinned host register of a guest register, shared with it
 *   V_REG     in a temporary host register, alone
 *   V_SPILL   in the frame
 *   V_FSTATE, V_FPIN, V_XMM, V_FSPILL   the same for floating point
 *
 * Invariant: a guest register's slot or pinned register is overwritten only after
 * every value that shares it and is still wanted has been moved away (x64_claim). */
#pragma once

#include <stddef.h>

#include "backend-x86_64/emit/asm.h"
#include "backend-x86_64/x64.h"

enum x64_where {
    V_NONE,
    V_CONST,
    V_STATE,
    V_PIN,
    V_REG,
    V_SPILL,
    V_FSTATE,
    V_FPIN,
    V_XMM,
    V_FSPILL
};

struct x64_val {
    uint8_t where;
    uint8_t reg;   /* V_PIN, V_REG, V_FPIN, V_XMM: host; V_STATE, V_FSTATE: guest register */
    uint8_t slot;  /* V_SPILL, V_FSPILL: frame slot */
    uint8_t hint;  /* pinned host register it is about to be put into, or X64_NO_REG */
    uint8_t home;  /* guest register in whose slot it is too, if home_of says so */
    bool listed;   /* is in lazy[], once */
    bool boxed;    /* the upper half is known to be all ones */
    uint8_t nan;   /* V_FSPILL: 32 or 64 when it may hold a NaN to be repaired, else 0 */
    uint16_t last; /* index of its last use; 0: never used */
};

enum x64_share_role { SHARE_NONE, SHARE_LEADER, SHARE_MEMBER, SHARE_LAST };

/* Code that is seldom run, written behind the block's hot part. */
struct x64_cold {
    void (*emit)(struct x64_emitter *x, const struct x64_cold *k);
    uint32_t fix[2]; /* rel32 fields that lead here */
    unsigned n_fix;
    uint32_t back;         /* where it goes on */
    uint32_t landing;      /* call: what follows it */
    uint32_t site;         /* offset of the instruction that may fault, else 0 */
    uint32_t site_of_load; /* atomic: of another before it, else 0 */
    uint32_t info;         /* memory access: see x64_info(); exit: the rel32 field of its cell */
    uint32_t hit; /* of one that has a cell: where it goes on with an addend in rcx; else 0 */
    uint16_t cell;
    uint16_t xmm_live; /* registers that must survive a call */
    uint8_t dst, base, val;
    uint8_t op, aux;
    enum x64_share_role share : 8; /* memory access: in a shared look-up */
    uint8_t addend, slot;          /* of that: its register, or X64_NO_REG and its slot */
    int32_t disp;
    uint64_t imm;
};

enum {
    X64_MAX_COLD = 1024,
    X64_N_SLOTS = X64_FRAME / 8,
    X64_NONE = 0xffff,
    X64_MAX_SHARES = 64,
    X64_SHARE_MIN = 3,  /* accesses: two save less than their longer cold parts cost fresh code */
    X64_SPAN_MAX = 512, /* bytes; what lies across a page's end takes the cold way */
    X64_MAX_ROOTS = 16,
    X64_NO_SHARE = 0xff,
    X64_SHARE_VAL = IR_MAX_INSNS + 1, /* val[X64_SHARE_VAL + n] is the addend of share[n] */
};

/* Accesses near each other that share a look-up (x64_share.c). */
struct x64_share {
    uint16_t root;       /* value that their addresses are counted from */
    uint16_t n;          /* accesses; below X64_SHARE_MIN: shares nothing */
    int32_t lead;        /* the leader's offset from it */
    int32_t first, last; /* bytes that are accessed: offsets from it */
    bool store;          /* asks the store table */
};

/* An access's bytes, from a value that its address was made of by adding constants. */
struct x64_place {
    uint16_t root;
    int32_t first, last;
};

struct x64_emitter {
    struct x64_mmu_layout layout;
    struct x64_code c;
    const struct ir_block *b;
    unsigned i;        /* the IR instruction being emitted */
    uint32_t insn_off; /* of the guest instruction it belongs to */
    unsigned insn_len;
    uint8_t pin_of_guest[32]; /* host register, or X64_NO_REG */
    uint8_t fpin_of_guest[32];
    uint8_t guest_of_pin[16], guest_of_fpin[32]; /* the other way round */
    bool touches_fp;             /* this block reads or writes floating-point registers or MXCSR */
    bool calls;                  /* and calls helpers */
    uint32_t temps, xmms;        /* masks of what may hold values */
    uint32_t locked, xmm_locked; /* in use by the instruction being emitted */
    uint16_t owner[16];          /* value in each temporary, or X64_NONE */
    uint16_t xmm_owner[16];
    uint32_t held, xmm_held; /* masks of those that have an owner */
    uint32_t nan[2];         /* xmm that may hold a NaN of 32, of 64 bits that is not canonical */
    uint8_t nan_cover[32];   /* of those: the one that is a NaN whenever it is, or X64_NO_REG */
    uint32_t nan_from;       /* of those: what shows in the result of this instruction */
    uint64_t slots;          /* frame slots in use */
    uint16_t home_of[STATE_N_REGS]; /* the value that a guest register's slot holds as well */
    uint16_t lazy[IR_MAX_INSNS];    /* values that share a guest register's place; some dead */
    unsigned n_lazy;
    /* Pinned registers whose guest register is about to be set unseen serve as temporaries. */
    uint16_t event[STATE_N_REGS + 1];  /* the next get or set of a guest register, or b->n */
    uint16_t next_event[IR_MAX_INSNS]; /* of a get or set: the one behind it */
    uint16_t barrier[IR_MAX_INSNS];    /* the first barrier at or behind an instruction */
    unsigned n_cold;
    uint64_t stress;   /* random state, 0: off */
    bool cells;        /* this block's accesses may have some */
    bool windowed;     /* they go through the window */
    bool counts_runs;  /* they may, when it is hot */
    bool has_origin;   /* of the window, in a register */
    bool half_is_made; /* the value of the next instruction is in rcx already: multiply() */
    uint16_t look;     /* the access whose comparison is the look at `pending`, or X64_NONE */
    uint32_t singles;  /* guest floating-point registers that hold boxed ones at its start */
    unsigned n_roots;  /* values that are known to be in the window */
    uint16_t root[X64_MAX_ROOTS];
    unsigned next_heat;    /* of state.runs_left */
    unsigned next_cell[2]; /* to be given out, to a load and to a store */
    unsigned n_shares;
    struct x64_share share[X64_MAX_SHARES];
    uint8_t share_of[IR_MAX_INSNS]; /* index in share[] of an access, or X64_NO_SHARE */
    struct x64_val val[X64_SHARE_VAL + X64_MAX_SHARES];
    struct x64_cold cold[X64_MAX_COLD];
    struct x64_cold cold_overflow; /* where writes go when cold[] is full; the block is given up */
    struct x64_unit unit;
};

/* The register contract as a table (x64_pin.def), in x64_emit.c. */
struct x64_pin {
    uint8_t guest, host;
};
#define PIN(guest, host) +1
#define FPIN(guest, host)
enum {
    X64_N_PINS = 0
#include "backend-x86_64/x64_pin.def"
};
#undef PIN
#undef FPIN
#define PIN(guest, host)
#define FPIN(guest, host) +1
enum {
    X64_N_FPINS = 0
#include "backend-x86_64/x64_pin.def"
};
#undef PIN
#undef FPIN
extern const struct x64_pin x64_pins[X64_N_PINS];
extern const struct x64_pin x64_fpins[X64_N_FPINS]; /* f0..f31 and xmm */

/* How many of x64_fpins are below xmm<n_xmm>: they stand in order. */
static inline unsigned x64_n_fpins(unsigned n_xmm)
{
    unsigned n = 0;

    while (n < X64_N_FPINS && x64_fpins[n].host < n_xmm)
        n++;
    return n;
}

/* ---- Addresses ------------------------------------------------------------------- */

#define STATE_MEM(field) x64_mem(RBP, (int32_t)offsetof(struct cpu_state, field) - STATE_BIAS)

static inline struct x64_mem x64_state_at(uint64_t offset)
{
    return x64_mem(RBP, (int32_t)offset - STATE_BIAS);
}
static inline struct x64_mem x64_guest_reg(unsigned n)
{
    return x64_state_at(8 * (uint64_t)n);
}
static inline struct x64_mem x64_frame_slot(unsigned n)
{
    return x64_state_at(offsetof(struct cpu_state, frame) + 8 * (uint64_t)n);
}

/* How a slow path is told where it is: offset of the guest instruction from
 * page_va (13 bits), its length (3), aux (8). */
static inline uint32_t x64_info(uint32_t insn_off, unsigned len, uint8_t aux)
{
    return insn_off | (uint32_t)len << 16 | (uint32_t)aux << 24;
}

/* ---- Allocation (x64_alloc.c) ------------------------------------------------------ */

/* The index in reg[] of the guest register that the instruction reads or writes, or
 * STATE_N_REGS. */
static inline unsigned x64_reg_of(const struct ir_insn *in)
{
    _Static_assert(IR_set == IR_get + 1 && IR_getf == IR_get + 2 && IR_setf == IR_get + 3,
                   "ir.def has these four in a row");
    unsigned which = in->op - (unsigned)IR_get;

    return which > 3 ? STATE_N_REGS : (unsigned)in->imm + (which & 2 ? STATE_FP : 0);
}

/* Where a block may be left: x->barrier[0] is the first such instruction, b->n is behind the last.
 */
static inline unsigned x64_next_barrier(const struct x64_emitter *x, unsigned i)
{
    return i + 1 < x->b->n ? x->barrier[i + 1] : x->b->n;
}

void x64_live(struct x64_emitter *x);        /* the whole block, before x64_alloc_start() */
void x64_alloc_start(struct x64_emitter *x); /* no value has a place yet */
void x64_alloc_step(struct x64_emitter *x);  /* after each instruction: free what died */

void x64_share_start(struct x64_emitter *x); /* behind it: finds the shared look-ups */
/* Goes from `at` back through additions of constants, which *offset gets. */
uint16_t x64_root_of(const struct ir_block *b, ir_ref at, int64_t *offset);
struct x64_place x64_place_of(const struct ir_block *b, const struct ir_insn *access);

/* May the instruction at this offset of the block's page straddle its end? */
static inline bool x64_may_straddle(const struct ir_block *b, int64_t at)
{
    return at < PAGE_SIZE && at >= PAGE_SIZE - (int64_t)b->straddle_bytes;
}

/* ir_is_wild() of the guest instruction at insn_off. */
static inline bool x64_is_wild_at(const struct x64_emitter *x, uint32_t insn_off)
{
    return ir_is_wild(x->b, (x->b->gpa & ~(uint64_t)(PAGE_SIZE - 1)) + insn_off);
}

/* What changes memory in line and may go through the window; LR and SC do not. */
static inline bool x64_is_modify(const struct ir_insn *in)
{
    return in->op == IR_call && in->aux &&
           (ir_fast_what(in->aux) < IR_LR || ir_fast_what(in->aux) == IR_ZERO);
}

/* ---- Windows (x64_window.c) ------------------------------------------------------------ */

void x64_window_choose(struct x64_emitter *x); /* before allocation */
void x64_window_start(struct x64_emitter *x);  /* the block's first code; sets x->look */
/* Does the access, or atomic, of the instruction at insn_off, go through the window? */
bool x64_in_window(const struct x64_emitter *x, const struct ir_insn *in);
/* Its operand. *miss: the field of a jump to its slow path, or 0: only a fault leads there. */
struct x64_mem x64_window_access(struct x64_emitter *x, const struct ir_insn *in, unsigned base,
                                 uint32_t *miss);

/* Is v, a get or getf, what the guest register holds at the block's start? */
bool x64_is_from_start(const struct ir_block *b, unsigned v);
/* Leaves before the instruction, which the run loop evaluates, where the jump at `from` is taken.
 * why: enum PLAIN_*. */
void x64_cold_plain(struct x64_emitter *x, uint32_t from, unsigned why);

/* ---- Boxed singles (emit/emit_box.c) ------------------------------------------------------ */

/* Behind the look at `pending`, with the registers in: asks them, and sets x->singles. */
void x64_box_start(struct x64_emitter *x);
/* Is what this getf gets known to be a boxed single? */
bool x64_is_single(const struct x64_emitter *x, const struct ir_insn *in);

/* A place for the addend of share[g], made by the instruction being emitted: a register that is
 * free, or X64_NO_REG and a frame slot. Nothing is moved away for it. */
unsigned x64_addend_def(struct x64_emitter *x, unsigned g);
/* Where it is now; a register is locked. */
unsigned x64_addend_use(struct x64_emitter *x, unsigned g);
/* Behind its last use. */
void x64_addend_done(struct x64_emitter *x, unsigned g);

unsigned x64_gpr(struct x64_emitter *x, ir_ref r); /* value in a host register, locked */
unsigned x64_xmm(struct x64_emitter *x, ir_ref r);
/* True: the value is best read from *m; false: it is in register *reg. */
bool x64_operand(struct x64_emitter *x, ir_ref r, unsigned *reg, struct x64_mem *m);
bool x64_imm32(const struct x64_emitter *x, ir_ref r, int32_t *imm); /* constant that fits */

/* Takes a temporary away from the value in it, for the instruction being emitted. Comes
 * before its operands are fetched. */
void x64_evict(struct x64_emitter *x, unsigned reg);

unsigned x64_def(struct x64_emitter *x); /* host register for the value being made */
unsigned x64_def_xmm(struct x64_emitter *x);
void x64_alias_xmm(struct x64_emitter *x, ir_ref r); /* the value being made is r's bits */
/* The value is in guest register g's slot as well (g: index in reg[]). */
void x64_at_home(struct x64_emitter *x, unsigned value, unsigned g);
/* Before pinned register or home slot of guest register g is overwritten. */
void x64_claim(struct x64_emitter *x, unsigned g);
void x64_claim_fp(struct x64_emitter *x, unsigned g);
/* Before a helper that may write any guest register and any scratch register. */
void x64_claim_all(struct x64_emitter *x);
uint16_t x64_xmm_live(const struct x64_emitter *x); /* xmm that hold values needed later */

/* ---- Emission, one group of operations a file ---------------------------------------- */

void x64_emit_alu(struct x64_emitter *x, const struct ir_insn *in);
void x64_emit_mem(struct x64_emitter *x, const struct ir_insn *in);
void x64_emit_fp(struct x64_emitter *x, const struct ir_insn *in);
/* Conversions and classes: true when it was one, and is done. */
bool x64_emit_fp_convert(struct x64_emitter *x, const struct ir_insn *in);
void x64_emit_fflags(struct x64_emitter *x, const struct ir_insn *in);
void x64_emit_flow(struct x64_emitter *x, const struct ir_insn *in);
void x64_emit_call(struct x64_emitter *x, const struct ir_insn *in);
void x64_emit_atomic(struct x64_emitter *x, const struct ir_insn *in); /* a call with aux */
/* The page of [base + disp] in the table at `table` of the view: leaves the addend in rcx and gives
 * the operand of the access; *miss is the field of the jump to the slow path. Uses rax. */
struct x64_mem x64_look_up(struct x64_emitter *x, unsigned base, int32_t disp, unsigned size,
                           uint32_t table, uint32_t *miss);
/* Puts a helper's operand n into scratch[n]. */
void x64_put_operand(struct x64_emitter *x, unsigned n, ir_ref r);
/* Saves or restores, around a call from a cold part, the xmm registers of a mask. */
void x64_keep_xmm(struct x64_emitter *x, uint16_t live, bool restore);
/* Calls a stub for a load, a store or C: the form that this block needs. */
void x64_call_stub(struct x64_emitter *x, enum x64_stub stub);
/* Calls helper `id` for the instruction at insn_off, with operands that are in scratch[0..2]
 * already. Result in rax. */
void x64_call_helper(struct x64_emitter *x, uint32_t insn_off, unsigned id, uint32_t k);
/* Notes that the host instruction at offset `fault` may fault, and that it then goes on at `slow`.
 */
void x64_site_add(struct x64_emitter *x, uint32_t fault, uint32_t slow);
/* Notes that what was written from `from` on is a comparison and its jump (x64_place.c). */
void x64_pair_add(struct x64_emitter *x, uint32_t from);

/* ---- NaNs to be made canonical (emit/emit_nan.c) -------------------------------------- */

extern const uint64_t x64_canonical_nan[2]; /* of 32 bits, boxed; of 64 */
/* d has an arithmetic result: a NaN when any x64_fp_operand() of this operation is. */
void x64_nan_result(struct x64_emitter *x, unsigned d, unsigned width);
void x64_nan_reloaded(struct x64_emitter *x, unsigned reg, unsigned width);
void x64_nan_copied(struct x64_emitter *x, unsigned d, unsigned s);
void x64_nan_gone(struct x64_emitter *x, unsigned reg); /* it has got another content */
/* The operands are repaired with the result: which registers, 64-bit ones above. */
uint64_t x64_nan_settled(struct x64_emitter *x);
/* Before anything can look at bits. Flags and rax are lost. */
void x64_nan_flush(struct x64_emitter *x);
/* x64_xmm() where the bits themselves count: canonical. */
unsigned x64_fp_bits(struct x64_emitter *x, ir_ref r);
/* x64_xmm() for an operation of aux's width: the halves of a double are its bits, too. */
unsigned x64_fp_operand(struct x64_emitter *x, const struct ir_insn *in, ir_ref r);
/* In cold code: makes NaNs in these registers canonical. */
void x64_nan_repair(struct x64_emitter *x, uint32_t regs32, uint32_t regs64);

struct x64_cold *x64_cold_add(struct x64_emitter *x,
                              void (*emit)(struct x64_emitter *, const struct x64_cold *),
                              uint32_t from);
