/* Turns: one hart runs at a time, in an order that nothing but the guest decides, so that a run
 * repeats; and in check mode, where a block runs twice, no other hart stores in between.
 *
 * The turn goes round. Who has it keeps it for TURN_INSNS instructions, until another one's time
 * comes (hart_set_due), or until the guest waits (WFI) or says that it spins (PENDING_YIELD).
 *
 *   OUT --quiesce_enter()--> READY --its turn--> RUNS --over--> READY
 *                              ^                 | ^ \--quiesce_leave() for good--> OUT
 *                              | kicked, due     v |
 *                              +----------- IDLE --+ hart_sleep()
 *
 * There is one clock, cpu_state.icount, which counts the instructions of all harts and passes from
 * hand to hand with the turn. When all are idle it jumps to the next time that one waits for; if
 * there is none, nobody has the turn until somebody is kicked.
 *
 * Who has no turn is outside (quiesce.h): grace periods are over at once, and stopping the world
 * stops one hart. It keeps its turn meanwhile, so that the guest's order does not change. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hart;
struct tcache;

enum { TURN_INSNS = 20000, TURN_NOBODY = -1 };

enum turn_state { TURN_OUT, TURN_READY, TURN_RUNS, TURN_IDLE };

/* Of the tcache. */
struct turns {
    pthread_mutex_t lock;
    _Atomic int holder; /* the number of the hart whose turn it is, or TURN_NOBODY; lock to write */
    unsigned last;      /* lock: whose turn it was */
    uint64_t clock;     /* lock: icount when it was given */
};

/* Of a hart. */
struct turn {
    enum turn_state state; /* turns.lock; RUNS: set and taken away by the hart's own thread */
    _Atomic uint64_t due;  /* icount at which it wants to be called */
    uint64_t end;          /* RUNS: icount at which it is over */
    _Atomic uint32_t go;   /* the futex on which it waits for its turn */
};

void turns_init(struct tcache *t);
void turns_fini(struct tcache *t);

/* ---- The hart's thread --------------------------------------------------------------- */

/* Waits for the hart's turn; nothing when it has it already. */
void turns_take(struct hart *h);
/* Gives it to the next one. state: what becomes of this hart. */
void turns_give(struct hart *h, enum turn_state state);
/* The turn is over when the loop asks next. */
void turns_yield(struct hart *h);
bool turns_are_over(const struct hart *h);
/* The limit of instructions is so close that a whole block might go beyond it. */
bool turns_are_last(const struct hart *h);

/* ---- Any thread, also a signal handler ------------------------------------------------ */

/* After a kick: if nobody has the turn, h may take it. */
void turns_kicked(struct hart *h);
