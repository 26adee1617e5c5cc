/* Random programs that use the whole machine: three modes, traps, page tables that change, code
 * that rewrites itself, interrupts, PMP.
 *
 *     seed --> sys_random_program --> pieces of ordinary instructions with system code between them
 *          --> sys_image_write    --> an ELF that any `virt` board runs (layout.h, runtime.S)
 *
 * A program is a list of items, each of which can be dropped: shrinking is dropping. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dbt/base/err.h"
#include "frontend/riscv/rv.h"
#include "frontend/riscv/rv_decode.h"
#include "tests/system/layout.h"
#include "tests/system/qemu_known.h"

enum {
    SYS_MAX_ITEMS = 700,
    SYS_MAX_POKES = 192,
};

/* What an oracle may ask for. */
enum sys_flags {
    SYS_NO_CHAOS = 1, /* no interrupts at random instants */
    SYS_FOR_QEMU = 2, /* without what it does otherwise: qemu_known.def */
    SYS_KERNEL = 4,   /* in the upper half, whose pages are global and the same in both spaces */
    SYS_FENCED = 8,   /* no page is looked at whose change is not fenced yet */
};

struct sys_item {
    uint32_t at, len; /* in the code, bytes */
    const char *what; /* static text; NULL: an instruction of a piece */
};

struct sys_poke {
    uint64_t address, value;
};

struct sys_program {
    uint64_t seed;
    uint64_t header[SYS_H_LEN];
    uint8_t code[SYS_CODE_BYTES];
    uint32_t len;
    unsigned n_items, n_pokes;
    struct sys_item item[SYS_MAX_ITEMS];
    struct sys_poke poke[SYS_MAX_POKES];
    uint32_t left_out; /* 1 << enum sys_qemu: what was made otherwise, for QEMU */
};

/* The program of a seed. `ext`: the extensions it may use, 1 << enum rv_ext. */
void sys_random_program(struct sys_program *p, uint64_t seed, unsigned flags, uint64_t ext);

/* Item k becomes nops. */
void sys_program_drop(struct sys_program *p, unsigned k);

/* Writes the image of n programs behind the runtime (flat, as linked at SYS_RUNTIME). False, with
 * the reason in *e. `verbose`: each prints its traps and its end in full. */
bool sys_image_write(const char *path, const char *runtime, const struct sys_program *p, size_t n,
                     bool verbose, struct err *e) MUST_CHECK;

/* ---- Private to generator: program.c, macro.c, memory.c ------------------------------------ */

enum sys_space { SYS_BARE, SYS_A, SYS_B };

/* One of the program's pieces, to jump into. */
struct sys_piece {
    uint32_t start, end; /* offsets of the first instruction and of the last */
    uint32_t target[64]; /* offsets that may be jumped to */
    uint8_t target_len[64];
    unsigned n_targets;
};

struct sys_gen {
    struct sys_program *p;
    uint64_t rng, ext;
    bool chaos, for_qemu, kernel, fenced;
    bool m_allowed, s_allowed;
    /* What holds where the next instruction stands, if nothing went astray. */
    enum rv_priv mode;
    enum sys_space space;
    uint64_t alias[4]; /* of the code, by privilege, under Sv39 */
    uint64_t window;   /* see memory.c */
    bool two_windows;
    uint32_t bases; /* registers that point into data */
    struct sys_piece piece[40];
    unsigned n_pieces;
};

unsigned sys_below(struct sys_gen *g, unsigned n);
bool sys_one_in(struct sys_gen *g, unsigned n);

/* Asked where the program would else hold what QEMU does otherwise: true, and noted, if it is for
 * QEMU. */
bool sys_qemu(struct sys_gen *g, enum sys_qemu row);

/* Emission. An item is what is emitted between begin and end. */
void sys_begin(struct sys_gen *g, const char *what);
void sys_end(struct sys_gen *g);
bool sys_full(const struct sys_gen *g);
void sys_word(struct sys_gen *g, uint32_t word, unsigned len);
void sys_op(struct sys_gen *g, enum rv_op row, unsigned rd, unsigned rs1, unsigned rs2,
            int64_t imm);
void sys_li(struct sys_gen *g, unsigned rd, uint64_t value);
/* csrrw and the like: op RV_OP_csrrw.. with rs1 or a 5-bit immediate. */
void sys_csr(struct sys_gen *g, enum rv_op row, unsigned rd, unsigned number, unsigned rs1);

uint64_t sys_delegated(struct sys_gen *g, uint64_t medeleg);

/* Where the code is seen at in this mode and space. */
uint64_t sys_alias(const struct sys_gen *g, enum rv_priv mode, enum sys_space space);

/* memory.c: the tables that a program begins with, an address in data for the mode at hand, a
 * change of a page table entry and of what is behind. */
void sys_tables(struct sys_gen *g);
uint64_t sys_data_address(struct sys_gen *g);
uint64_t sys_code_store_address(struct sys_gen *g, uint32_t offset);
void sys_change_entry(struct sys_gen *g);
void sys_old_or_new(struct sys_gen *g);
void sys_change_pmp(struct sys_gen *g);
void sys_switch_space(struct sys_gen *g);

/* macro.c: one piece of system code, of those that the mode allows (or, rarely, does not). */
void sys_macro(struct sys_gen *g);
/* Behind it stands the next chunk, for g->mode; before it, the one for mode `from`. */
void sys_next_chunk(struct sys_gen *g, enum rv_priv from);
