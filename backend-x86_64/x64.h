/* The x86-64 back end, door to the folder: one IR block in, host code out.
 *
 * Register contract, at every block boundary:
 *   rbp        struct cpu_state + STATE_BIAS
 *   gs base    the MMU view in force
 *   rsp        16-byte aligned, on the stack of expected returns: [rsp + 8] is the guest
 *              address that the last call expects to be returned to, [rsp] where that goes on
 *   pinned     x64_pin.def: guest register -> host register that holds it; those of
 *              floating point only while state.fp_away is 0
 *   MXCSR      while fp_away is 0, the guest's rounding mode and sticky flags, else the host's
 * everything else is free. Guest registers that are not pinned live in the state.
 *
 * The code is position independent: it names the host only through rbp, and other
 * blocks only through the rel32 fields of its exits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"
#include "dbt/ir/ir.h"

enum {
    X64_FRAME = 512,    /* bytes of cpu_state.frame, for spills */
    X64_MAX_EXITS = 72, /* direct exits of a block */
    /* Stores that may hit a protected page, accesses through a window: 4 are one cbo.zero. */
    X64_MAX_SITES = 4 * IR_MAX_GUEST,
    X64_MAX_PAIRS = 64,
    X64_CODE_ALIGN = 16,
    X64_LINE = 64,         /* of the host's caches */
    X64_RETURNS = 1 << 14, /* bytes of the stack of expected returns */
};

/* What the emitter must know of the MMU's tables: filled by runtime. */
struct x64_mmu_layout {
    unsigned tlb_bits;            /* entries of 16 bytes: tag, addend */
    uint32_t load_off, store_off; /* of the tables in the view */
    /* Cells, as softmmu/mmu.h has them: loads' first, then as many of stores. */
    uint32_t cell_off, chunks_of_off, cell_chunks_off;
    unsigned n_cells;
    /* Windows (softmmu/mmu.h): from the view to guest address 0; how far from a base that was
     * compared an access may be; and two words of the view. */
    uint32_t window_off, window_guard, window_limit_off, window_floor_off, window_origin_off;
    uint64_t (*load)(struct cpu_state *s, uint64_t va, uint8_t aux);
    bool (*store)(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value);
};

/* Of slow_info: the offset of the guest's instruction from page_va. */
static inline uint32_t x64_info_insn_off(uint32_t slow_info)
{
    return slow_info & 0xffff;
}

/* A direct exit. All offsets are from the block's first byte. */
struct x64_exit {
    uint32_t jump;  /* of a rel32 field, 4-byte aligned, patched by one store */
    uint32_t stub;  /* where it leads while it is not linked */
    int32_t target; /* guest: from the start of the block's page */
    bool turns;     /* to the block's own start: linked to itself it leads to unit.loop */
    bool onward;    /* to a later place in the page: it may lead to unit.onward */
    bool lands;     /* comes from a call's return, which does not say where floating point is */
    uint32_t cell;  /* of its struct page_cell when it has a guard, else 0 */
};

struct x64_map {
    uint32_t host;  /* the first byte of what was made for ... */
    uint32_t guest; /* ... this offset in the page */
};

/* A comparison and the jump by it, which the host makes one of. */
struct x64_pair {
    uint32_t first, last; /* bytes */
};

struct x64_site {
    uint32_t fault; /* an instruction that accesses guest memory */
    uint32_t slow;  /* its slow path: where to go on when it faults */
};

/* Where a block's code may be written: what always runs, and what seldom does. Both lie in one
 * piece of memory, `cold` behind `hot`, and have the same low bits as where they run: offsets from
 * the block's first byte reach both. cold NULL: it follows the rest. */
struct x64_room {
    uint8_t *hot, *cold;
    size_t hot_bytes, cold_bytes;
};

/* What x64_emit() made. The arrays live in the emitter until the next call. */
struct x64_unit {
    uint32_t size_bytes;          /* of what begins at the block's first byte */
    uint32_t cold_at, cold_bytes; /* of what is apart; 0 when nothing is */
    uint32_t loop; /* where it may be entered from itself: what is behind needs no repeating */
    /* Where it may be entered by exits that are `onward`, without a look at `pending`: there is no
     * circle of such exits, and no more of them in line than places in a page. By a block that does
     * not touch floating point only where this one does not, either. */
    uint32_t onward;
    bool touches_fp;
    /* Accesses that look themselves up in the table, each for itself: no cell, no window. */
    unsigned n_lookups;
    unsigned n_exits, n_map, n_sites, n_pairs; /* n_pairs: of those that there is room for */
    struct x64_exit exit[X64_MAX_EXITS];
    struct x64_map map[IR_MAX_GUEST + 1];
    struct x64_site site[X64_MAX_SITES];
    struct x64_pair pair[X64_MAX_PAIRS];
};

enum x64_stub {
    X64_STUB_LINK,        /* ecx exit index, rdx block: EXIT_LINK */
    X64_STUB_LOOKUP,      /* rax target: by its page (runtime/jumps.h), else EXIT_LOOKUP */
    X64_STUB_LOOKUP_ANY,  /* rax target: jump cache, else the same */
    X64_STUB_LOOKUP_LINK, /* rax target, ecx, rdx: both, else, or now and then, EXIT_LINK */
    X64_STUB_PENDING,     /* eax offset from page_va: EXIT_PENDING */
    X64_STUB_TRAP,        /* exit_cause, exit_tval, insn_off are set */
    X64_STUB_LOAD,        /* rax va, slow_info (x64_info): rax value */
    X64_STUB_STORE,       /* rax va, rcx value, slow_info */
    X64_STUB_CALL,        /* eax helper, helper_k, scratch[0..2] operands: rax result */
    /* The same three for blocks that have the guest's floating-point registers in xmm, and
     * the way there: X64_STUB_CALL to X64_STUB_FP_CALL and so on. */
    X64_STUB_FP_LOAD,
    X64_STUB_FP_STORE,
    X64_STUB_FP_CALL,
    X64_STUB_FP_IN,  /* loads them; keeps all registers but those */
    X64_STUB_FP_OUT, /* stores them; keeps all registers */
    /* A cell did not hit. rax tag as the table's, ecx cell * 16: when the table has it, it is in
     * the cell, too, then: ZF and rcx addend; else no ZF. Loses rax and rcx. */
    X64_STUB_FILL_LOAD,
    X64_STUB_FILL_STORE,
    X64_STUB_COUNT
};

/* The code that all blocks share. */
struct x64_stubs {
    /* Runs the block at `code` until it leaves. s->unwind is armed by the caller. */
    enum exit_reason (*enter)(struct cpu_state *s, const void *code);
    const void *stub[X64_STUB_COUNT];
    uint32_t size_bytes;
};

struct x64_emitter;

/* ---- Start-up ------------------------------------------------------------------ */

/* False when the host lacks an instruction set that the emitter counts on. */
bool x64_host_ok(struct err *e) MUST_CHECK;

/* How many xmm registers to use: 32 with AVX-512, else 16; 16 also for half of the seeds of
 * x64_emitter_stress(), so that both are tested. Stubs and emitter must agree. */
unsigned x64_n_xmm(uint64_t stress_seed);

/* Writes the stubs to rw, which runs at rx; CHECKs that they fit in cap. */
void x64_make_stubs(struct x64_stubs *out, uint8_t *rw, const uint8_t *rx, size_t cap_bytes,
                    const struct x64_mmu_layout *layout, unsigned n_xmm);

/* Sets the fields of s that belong to the back end. */
void x64_init_state(struct cpu_state *s, const struct x64_stubs *stubs,
                    const struct x64_mmu_layout *layout, const struct ir_helper *helpers,
                    unsigned n_helpers);

/* ---- One thread an emitter ------------------------------------------------------ */

struct x64_emitter *x64_emitter_create(const struct x64_mmu_layout *layout, unsigned n_xmm);
void x64_emitter_destroy(struct x64_emitter *x);

/* Makes the reassignment of registers random (--stress=regs); 0 turns it off. */
void x64_emitter_stress(struct x64_emitter *x, uint64_t seed);

/* Translates b into the room. NULL when that is too little. Borrowed until the next call. */
const struct x64_unit *x64_emit(struct x64_emitter *x, const struct ir_block *b,
                                const struct x64_room *room);

/* By how many bytes, a multiple of X64_CODE_ALIGN below 64, the unit's code, both parts of it,
 * should be moved on that would begin at address `at`. */
size_t x64_lead(const struct x64_unit *u, uintptr_t at);

/* ---- Any thread ------------------------------------------------------------------ */

/* Points the rel32 field at rw_field (which runs at rx_field) to rx_target, by one
 * aligned store. */
void x64_patch(uint8_t *rw_field, const uint8_t *rx_field, const void *rx_target);

/* Prints host code through capstone, one instruction a line: len_bytes from offset `first` of the
 * block at `code` on. Addresses are such offsets. map may be NULL. */
void x64_disasm(FILE *out, const uint8_t *code, size_t first, size_t len_bytes,
                const struct x64_unit *map);
