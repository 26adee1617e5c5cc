/* Harts that share a processor: more of them than the host has. Hart n belongs to processor n mod
 * tcache_config.n_procs for good. A processor is a host thread, and each of its harts a fiber on
 * it.
 *
 *   READY --its turn--> runs --proc_yield()--> READY
 *     ^                  \----proc_sleep()--> ASLEEP --kicked, its time, its word--> its turn
 *     |                   \---its body returns--> OUT
 *     +-- proc_prepare()
 *
 * To change harts costs less than a microsecond, and nobody is stopped who does not say so: a hart
 * gives its processor away between blocks, where it sleeps, spins, or is asked to (PENDING_YIELD).
 * The machine asks it when its slice is over; a kick of one that sleeps asks it at once. Who is
 * asked may wait for a better moment (hart_events.yield): an operating system's spin locks are
 * handed on in no time if their owners run. That is the point of all this; with a host thread each,
 * the host stops whom it likes. For the same reason who waited for a word that has changed is let
 * in before the others' turn.
 *
 * Who does not run is outside (quiesce.h). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/fiber.h"

struct hart;
struct tcache;

/* What ends a sleep, besides a kick and its time. */
enum proc_sleep {
    SLEEP_TIMED,   /* nothing */
    SLEEP_ALARMED, /* nothing, and who wants it to end in time kicks it */
    SLEEP_ON_WORD, /* its word changes (word_wait.c) */
};

struct proc {
    struct fiber thread;          /* its own stack, while its harts run */
    struct hart *_Atomic current; /* who runs or, while it idles, ran last; NULL: nobody yet */
    _Atomic uint32_t wake;        /* the futex on which it idles */
    _Atomic bool idle;
    struct hart *turn; /* the last that came to run because it was its turn */
    unsigned n_let_in; /* others since */
};

/* Of a hart; its processor's thread's. */
struct proc_place {
    struct hart *next; /* the ring of its processor's */
    struct fiber fiber;
    enum { PROC_OUT, PROC_READY, PROC_ASLEEP } state;
    enum proc_sleep kind; /* ASLEEP */
    uint64_t until;       /* ASLEEP: CLOCK_MONOTONIC, nanoseconds; UINT64_MAX: for ever */
    void (*body)(void *arg);
    void *arg;
};

/* ---- Before the first hart runs --------------------------------------------------------- */

/* Hart h->n, whose number is the highest yet. */
void proc_join(struct hart *h);

/* ---- The processor's thread, before its harts run ------------------------------------- */

/* Is to run body(arg), once. False: the host has no memory for its stack. */
bool proc_prepare(struct hart *h, void (*body)(void *arg), void *arg, struct err *e) MUST_CHECK;

/* Runs the harts of processor k until the bodies of all have returned. */
void proc_run(struct tcache *t, unsigned k);

/* ---- The hart that runs ---------------------------------------------------------------- */

/* Others may run until it is kicked, the time is over, or what kind says. */
void proc_sleep(struct hart *h, uint64_t timeout_ns, enum proc_sleep kind);
void proc_yield(struct hart *h);

/* Is there anybody who may want to run on h's processor, soon? Else it need not be asked to yield:
 * who sleeps for ever is kicked. */
bool proc_is_shared(const struct hart *h);

/* ---- Any thread, also a signal handler --------------------------------------------------- */

/* After a kick. */
void proc_kicked(struct hart *h);
