/* How harts wait for each other without a lock on the way of translated code.
 *
 * A hart *passes* each time it comes round its loop: then it holds no pointer into code or into
 * what is known about code, but those that a change of cache_generation() voids. What was made
 * unreachable (a dropped block, a link under an old tag) may be reused once every hart has passed
 * since, or is outside its loop: a grace period, as in read-copy-update (P. McKenney, "Is Parallel
 * Programming Hard", chapter 9, quiescent-state based). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct hart;
struct tcache;

/* ---- The hart's thread, in its loop ------------------------------------------------- */

/* Comes in from outside, or goes out; may wait until the world goes on, and for the hart's turn,
 * which going out does not give away. */
void quiesce_enter(struct hart *h);
void quiesce_leave(struct hart *h);

/* Once around the loop. */
void quiesce_pass(struct hart *h);

/* ---- Any thread, that is in no critical section of tcache's lock -------------------------- */

/* What is unreachable now may be reused when quiesce_is_over(epoch), asked by the hart `self` in
 * its loop, which is itself no matter. */
uint64_t quiesce_begin(struct tcache *t);
bool quiesce_is_over(struct tcache *t, const struct hart *self, uint64_t epoch);
/* Waits for that; self counts as passed meanwhile. Harts that run are asked to leave their code. */
void quiesce_wait(struct tcache *t, struct hart *self, uint64_t epoch);
