/* Fibers: several stacks on one thread, of which one runs. What changes them is a function call of
 * ours, no system call: some nanoseconds.
 *
 * A fiber stays on the thread that has started it, so what the compiler keeps of a thread-local's
 * address stays true. No lock is held over a switch. */
#pragma once

#include <stddef.h>

#include "dbt/base/err.h"

struct fiber {
    void *sp; /* while it does not run */
    void *stack;
    size_t stack_bytes; /* the sanitizers' too: of a thread's own stack */
    void (*body)(void *arg);
    void *arg;
    struct fiber *from; /* who switched to it last */
    void *tsan, *asan;  /* what the sanitizers know it by */
};

/* The calling thread's own stack, to come back to. */
void fiber_of_thread(struct fiber *f);
/* A stack for body(arg), which does not return: it switches away for good. False: no memory. */
bool fiber_create(struct fiber *f, void (*body)(void *arg), void *arg, struct err *e) MUST_CHECK;
/* When it will not run again, by another one; nothing where none was created. */
void fiber_destroy(struct fiber *f);

/* self runs; returns when somebody switches to it. */
void fiber_switch(struct fiber *self, struct fiber *to);
