/* What translated code looks into where it does not know the block that it jumps to, before it
 * leaves for the run loop (x64_stub.c):
 *
 *   cpu_state.jump        by virtual address: blocks that were entered there
 *   cpu_state.code_page   by the page of it: where it lies, since something was entered from there
 *   cpu_state.phys_jump   by physical address and mode: blocks that were entered anywhere
 *
 * The first two are a hart's, of the salts in force, and die with them, as links over pages do
 * (softmmu/README.md, "Salts"). The third is of all harts of a host thread, and outlives processes:
 * one that is new asks the run loop once for each page of its program. A block is entered by way of
 * a page only where it lies in that page with all of its bytes. A kernel's salts last, so it asks
 * seldom for a page; but of two blocks with one place in the first cache both are found here. */
#pragma once

struct block;
struct hart;
struct tcache;

/* ---- Before the first hart runs, after the last --------------------------------------------- */

void jumps_init(struct tcache *t);
void jumps_fini(struct tcache *t);
/* h has its number. */
void jumps_join(struct hart *h);

/* ---- The hart's thread ------------------------------------------------------------------- */

/* b, found or made by fetch_block(), is about to run at s->pc, for which jump_is_tagged(). */
void jumps_note(struct hart *h, const struct block *b);

/* ---- One thread at a time: tcache's lock --------------------------------------------------- */

/* Nobody comes to b any more. b->dropped has been set, and a fence is behind it. */
void jumps_forget(struct tcache *t, const struct block *b);
