/* What translated code looks into where it does not know the block that it jumps to, before it
 * leaves for the run loop (x64_stub.c):
 *
 *   cpu_state.jump        by virtual address: blocks that were entered there
 *   cpu_state.code_page   by the page of it: where it lies, since something was entered from there
 *   cpu_state.phys_jump   by physical address and mode: blocks that were entered anywhere
 *
 * The first two are of the salts in force, and die with them, as links over pages do
 * (softmmu/README.md, "Salts"). What is in the third outlives a process: one that is new asks the
 * run loop once for each page of its program. A block is entered by way of a page only where it
 * lies in that page with all of its bytes. */
#pragma once

#include <stdint.h>

struct block;
struct cpu_state;
struct hart;

enum { JUMP_MODES = 1 << 8 };

/* Of a hart: which modes the numbers in keys stand for. */
struct jump_modes {
    uint32_t mode[JUMP_MODES];
    unsigned n;
};

/* The hart's thread: b, found or made by fetch_block(), is about to run at s->pc, for which
 * jump_is_tagged(). */
void jumps_note(struct hart *h, const struct block *b);

/* Nobody comes to b by s any more. Any thread, with tcache's lock, when b->dropped has been set and
 * a fence is behind it. */
void jumps_forget(struct cpu_state *s, const struct block *b);
