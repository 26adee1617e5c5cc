/* Which accesses have cells (softmmu/mmu.h): those of blocks that run often, but not those that
 * jump from page to page. Their cells would seldom hit, and a miss costs more than the table's
 * look-up.
 *
 *   a block has run STATE_HEAT times -> noted and dropped, the next translation gives it cells
 *   a cell has missed STATE_CELL_MISSES times -> trial: it is kept empty for some accesses, and C
 *     looks how many of them touch the page of the one before, in the same space; few: the
 *     instruction is noted, its block is dropped, the next translation gives it none
 *
 *   an access has faulted in the window or missed it WILD_UNFIT times, and will again (MMIO, a
 * store into code) -> noted for its mode, and asks the tables
 *
 *   a block has found WILD_UNFIT times that what it takes for granted at its start is not so (that
 * pointers of its loop are in the window, that registers hold singles) -> its start is noted, and
 * it takes neither for granted
 *
 *   an access of a kernel's touches little but new pages (touch.h) -> noted, too
 *
 *   what was noted for one of these three reasons is forgotten a second later, and what is noted
 * again after 4, 16, and then every 64 seconds: a kernel that patches itself at boot does so by its
 * memset(), through pages that come and go, and clears memory by it ever after
 *
 * A trial tells many misses from few hits: nothing counts those. What is noted is advice, in
 * bounded sets that are forgotten at times: see seen.h. */
#pragma once

#include <stdint.h>

#include "softmmu/mmu.h"

struct block;
struct hart;
struct tcache;
struct wild;

/* A hart's. The sets are tc's: what one hart has noted goes for what all translate. */
struct wild *wild_create(const struct tcache *tc);
void wild_destroy(struct wild *w);

/* What the back end asks of an instruction (struct ir_advice). arg: struct wild. */
_Bool wild_is_noted(void *arg, uint64_t gpa, uint32_t mode);

/* The same of a block. It is noted when it has left at its entry with s->is_hot, and dropped. */
_Bool wild_is_hot(void *arg, uint64_t gpa, uint32_t mode);
void wild_note_hot(struct hart *h, struct block *b);

/* Of a block of so many bytes (touch.h). */
_Bool wild_is_counted(void *arg, uint64_t gpa, uint64_t len_bytes);

/* From the slow path of an access to va: its cell s->worn_cell has no misses left. May drop the
 * running block, which can go on to its end: it is right, only slow. */
void wild_worn(struct hart *h, uint64_t va);

/* ---- The same for what is not as code takes for granted, after a few tries ------------- */

/* From the slow path of an access through the window that has faulted there, at host address
 * `code`: will it do so again? Handles s->window_fault; may leave the block before the access. */
void hart_window_fault(struct hart *h, uint64_t va, unsigned len, enum mmu_access access);
/* The same of a joined access (IR_JOINED): the block is left before it. */
_Noreturn void hart_part_joined(struct hart *h, uint64_t va, unsigned len, enum mmu_access access);
/* In the loop, between blocks, now and then: forgets what is due, and drops the blocks that were
 * made by it. now_ns: CLOCK_MONOTONIC. Not under virtual time, where each run makes the same
 * blocks. */
void wild_look_again(struct hart *h, uint64_t now_ns);

/* In the loop: a block has left before the instruction at gpa, which will be evaluated (s->plain,
 * which is handled). */
void wild_plain(struct hart *h, uint64_t gpa, uint32_t mode);
