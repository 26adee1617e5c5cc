/* What translated code can reach of a hart: guest registers first, then the few
 * words through which code, run loop and soft MMU speak to each other. The host
 * register that holds the state points STATE_BIAS bytes into it, so that the
 * integer registers are in reach of an 8-bit displacement.
 *
 *      struct <guest>_hart { struct cpu_state s; ...the guest's own registers }
 *
 * One hart thread owns it. Other threads may only touch `pending` and `limit`, and write
 * `time_add`. */
#pragma once

#include <setjmp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STATE_BIAS = 128,
    STATE_N_REGS = 64,     /* 0..31 integer, 32..63 floating point (raw bits) */
    STATE_FP = 32,         /* index of the first floating-point register */
    STATE_N_HELPERS = 128, /* ir_helper.def's rows, then the front end's */
    JUMP_BITS = 14,        /* the jump cache: 2^14 entries, index = va bits 1..14 */
    PHYS_JUMP_BITS = 15,   /* the physical one: index = address bits 1..15, and those above */
    PHYS_JUMP_FOLD = 13,
    CODE_PAGE_BITS = 10, /* code pages that are known: index = va bits 12..21 */
    JUMP_MODE_BIT = 56,  /* of a key: above Sv39's physical addresses */
    PAGE_BITS = 12,
    PAGE_SIZE = 1 << PAGE_BITS,
};

/* A block that may be entered. Its tag is va ^ salt in the jump cache, and in the physical one the
 * key of its code page, with the offset in that page in the low bits. */
struct jump_entry {
    uint64_t tag;
    const void *code;
};
#define JUMP_EMPTY UINT64_C(1) /* no tag has bit 0 set */

/* A page from which code was entered under tag = its va ^ salt, and all of which may be fetched.
 * Who jumps into it for the first time from then on is where the physical jump cache says. key: its
 * physical address, and from JUMP_MODE_BIT on a number, not 0, for the mode of what is entered. */
struct code_page {
    uint64_t tag;
    uint64_t key;
};

/* Bits of cpu_state.pending. Any of them makes a block leave at its entry, or before its first
 * access, if it looks: soon one does (x64_exit.onward). Set by state_pend(), and by hart_kick(). */
enum {
    PENDING_IRQ = 1,    /* an interrupt may have become deliverable: ask guest_ops.interrupt */
    PENDING_EVENT = 2,  /* the run loop has work: a device, a stop, a debugger */
    PENDING_WAIT = 4,   /* the guest waits for an interrupt (WFI) */
    PENDING_LEAVE = 8,  /* the running block was dropped, or its assumptions are void */
    PENDING_TIME = 16,  /* --time=virtual: icount has reached icount_deadline */
    PENDING_YIELD = 32, /* another hart that shares the turn, or the processor, may run */
    PENDING_REST = 64,  /* it spins for that: let it sleep a moment */
};

enum {
    PLAIN_ACCESS = 1, /* its access is not in the window */
    PLAIN_START,      /* what it takes for granted at its start is not so */
    PLAIN_JOINED,     /* its joined access was not there with all its bytes, this time */
};

/* Why translated code (or the evaluator) came back. `pc` is valid after each. */
enum exit_reason {
    EXIT_LINK,    /* a direct exit that is not linked: exit_block, exit_index say which */
    EXIT_LOOKUP,  /* an indirect jump that missed in the jump caches; pc is the target */
    EXIT_PENDING, /* `pending` was not zero; pc is the block's start, or where it goes on */
    EXIT_TRAP,    /* the guest raised exit_cause, exit_tval at pc */
};

/* A link out of a page, or to what may straddle its end, in the data behind a block's code: good as
 * long as the hart's page_tag is the one it was made under. The target is as far away under any. */
struct page_cell {
    uint64_t page_tag; /* of the page that jumps; PAGE_CELL_EMPTY before it is linked */
};
#define PAGE_CELL_EMPTY UINT64_C(1) /* no page_tag has bit 0 set */

enum {
    STATE_N_CELLS = 2048, /* loads' and stores', of a view (softmmu/mmu.h) */
    STATE_CELL_MISSES = 4096,
    STATE_N_HEAT = 4096,
    STATE_HEAT = 20000,
};

struct cpu_state {
    uint64_t reg[STATE_N_REGS];

    /* Where we are. Code holds no guest virtual address: it adds offsets to
     * page_va, the virtual address of the page in which the block starts.
     * page_tag = page_va ^ salt[page_va >> 63]. */
    uint64_t page_va;
    uint64_t page_tag;
    /* Unique to (address space, generation, mode key), in bits 40..63, the
     * low 40 bits are 0. [1] is for addresses with bit 63 set. */
    uint64_t salt[2];
    uint64_t pc; /* valid while C runs after an exit */
    /* `pending` and `fp_away` are looked at as one by blocks that touch floating point:
     * fp_away is the back end's, not 0 while all floating-point registers are in reg[],
     * which is whenever C runs. */
    _Alignas(8) _Atomic uint32_t pending;
    uint32_t fp_away;
    uint32_t insn_off; /* while a helper runs: offset of its guest instruction from page_va */

    /* Floating point. mxcsr holds rounding and sticky flags while fp_away is not 0, so
     * whenever C runs; else the processor's own MXCSR does. */
    uint32_t mxcsr;
    uint32_t host_mxcsr;
    uint32_t fp_rm; /* the dynamic rounding mode, enum ir_rm */

    uint32_t exit_index;
    const void *exit_block; /* which one, by where its cold part begins (x64_unit.cold_at) */
    uint64_t exit_cause;
    uint64_t exit_tval;

    /* Time. Host time: ticks = ((tsc - tsc_base) * tsc_mult) >> 64, plus
     * time_add. Virtual time: icount is the clock, of all harts together: see runtime/turns.h. Any
     * hart may set the clock, which is one for all: it stores time_add of each, in one piece. */
    uint64_t tsc_base;
    uint64_t tsc_mult;
    uint64_t time_add;
    uint64_t icount;
    uint64_t icount_deadline;
    uint64_t n_unretired; /* of icount: traps, and time that the hart slept through */

    /* LR's reservation: 0 none, else bit 0 for 8 bytes or bit 1 for 4, and an address: the host's,
     * in RAM's store view, or with bit 63 a device's guest physical one (softmmu/atomic.c). */
    uint64_t reservation;
    uint64_t reserved_value;

    uint64_t scratch[24];   /* the stubs' room for host registers */
    uint32_t slow_info;     /* x64_info() of the access that takes a slow path */
    uint32_t helper_k;      /* k of the helper that is called */
    uint32_t returns_stale; /* what calls have pushed is of another mapping or mode */
    void *host_sp;          /* C's stack, while code runs */
    void *returns;          /* where the stack of expected returns begins */
    uint64_t frame[64];     /* spilled values of the running block */
    void *view;             /* struct mmu_view *: what gs points at while code runs */
    void *owner;            /* struct hart * of runtime/ */
    struct mmu *mmu;

    /* How a C function that translated code called leaves without returning:
     * state_leave(). Set by the run loop around each entry. */
    jmp_buf unwind;

    /* What the back end's code reaches through the state, so that it names no
     * host address: its stubs, constants, and the C ends of the slow paths. */
    const void *stub[16]; /* enum x64_stub */
    uint64_t fp_box[2], fp_sign32[2], fp_sign64[2];
    uint8_t fflags_of_mxcsr[64], mxcsr_of_fflags[32];
    uint64_t (*slow_load)(struct cpu_state *s, uint64_t va, uint8_t aux);
    _Bool (*slow_store)(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value);
    const void *helper[STATE_N_HELPERS];
    struct jump_entry jump[1 << JUMP_BITS];
    struct jump_entry *phys_jump; /* 1 << PHYS_JUMP_BITS; the run loop's (runtime/jumps.h) */
    struct code_page code_page[1 << CODE_PAGE_BITS];
    /* Jumps out of a page that were linked under another tag may be left to the jump caches until
     * this is below 0: then the run loop links the next one. */
    int64_t until_relink;

    /* How often a block (of a few, where there are more of them) may run until it is taken for hot,
     * and translated again with cells: it then leaves at its entry, with `is_hot` set. */
    uint32_t runs_left[STATE_N_HEAT];
    uint32_t is_hot;
    /* How often each cell may miss until C is told (runtime/wild.h). When it has none left, the
     * access takes its slow path, and these say whose it is: a cell and an address in the block's
     * code, NULL when C was told. */
    uint32_t worn_cell;
    const void *worn_code;
    /* What blocks that go through a window compare addresses with in place of a look at `pending`:
     * the view's window_limit, or 0, and soon 0 when anything is pending (state_pend, and
     * mmu_set_limit, which alone makes it another value). */
    _Atomic uint64_t limit;
    /* The host instruction whose access through a window has faulted, for its slow path; else NULL.
     */
    const void *window_fault;
    /* A block has left before an instruction that it is not fit for: the loop evaluates that one.
     * plain_code: an address in the block. */
    uint32_t plain;
    const void *plain_code;
    uint32_t misses_left[STATE_N_CELLS];
};

/* Leaves the running block from a helper: reason is what dispatch will see.
 * The guest registers are in reg[] whenever a helper runs. */
_Noreturn void state_leave(struct cpu_state *s, enum exit_reason reason);

/* Raises a guest trap at the instruction that called the helper. */
_Noreturn void state_raise(struct cpu_state *s, uint64_t cause, uint64_t tval);

/* Sets bits of `pending`, from any thread. In this order: who finds the limit to be another value
 * than 0 behind it has asked for `pending` since (mmu_set_limit). */
static inline void state_pend(struct cpu_state *s, uint32_t bits)
{
    atomic_fetch_or(&s->pending, bits);
    atomic_store(&s->limit, 0);
}

/* Sets page_va and page_tag for going on at pc. */
static inline void state_set_page(struct cpu_state *s, uint64_t pc)
{
    s->page_va = pc & ~(uint64_t)(PAGE_SIZE - 1);
    s->page_tag = s->page_va ^ s->salt[s->page_va >> 63];
}

/* Only a sign extension of 40 bits goes into the jump cache: for others va ^ salt would
 * not tell address and salt apart. */
static inline _Bool jump_is_tagged(uint64_t va)
{
    return (((va >> 39) + 1) & 0x1ffffff) <= 1;
}

static inline unsigned jump_index(uint64_t va)
{
    return (unsigned)(va >> 1) & ((1u << JUMP_BITS) - 1);
}
static inline unsigned phys_jump_index(uint64_t gpa)
{
    return (unsigned)((gpa ^ gpa >> PHYS_JUMP_FOLD) >> 1) & ((1u << PHYS_JUMP_BITS) - 1);
}
static inline unsigned code_page_index(uint64_t va)
{
    return (unsigned)(va >> PAGE_BITS) & ((1u << CODE_PAGE_BITS) - 1);
}

/* Nothing is known under any salt of where to jump. Its hart's thread, or nobody runs it. */
static inline void state_empty_jumps(struct cpu_state *s)
{
    for (unsigned i = 0; i < 1u << JUMP_BITS; i++)
        s->jump[i].tag = JUMP_EMPTY;
    for (unsigned i = 0; i < 1u << CODE_PAGE_BITS; i++)
        s->code_page[i].tag = JUMP_EMPTY;
}
