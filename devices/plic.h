/* The platform-level interrupt controller, laid out as SiFive's (and QEMU's
 * `virt`): sources in, one line per context out. A context is a hart in a
 * privilege mode; which ones there are is the board's affair.
 *
 *      source n level --> gateway --> pending[n] --> (priority, enable, threshold) --> line
 *                            ^                          |
 *                            +------- complete <--- claim
 *
 * A gateway passes one request on and then waits for its completion. */
#pragma once

#include <pthread.h>
#include <stdio.h>

#include "devices/device.h"
#include "devices/irq.h"
#include "softmmu/phys.h"

enum {
    PLIC_SOURCES = 96, /* source 0 does not exist */
    PLIC_WORDS = PLIC_SOURCES / 32,
    PLIC_MAX_PRIORITY = 7,
    PLIC_MAX_CONTEXTS = 128,
};

struct plic_context {
    uint32_t enable[PLIC_WORDS];
    uint32_t threshold;
    bool out; /* what `line` was last set to */
    struct irq_line line;
};

struct plic {
    pthread_mutex_t lock; /* all below; taken inside any other device's lock */
    uint32_t priority[PLIC_SOURCES];
    uint32_t level[PLIC_WORDS];   /* what the devices drive */
    uint32_t pending[PLIC_WORDS]; /* passed by the gateway, not yet claimed */
    uint32_t claimed[PLIC_WORDS]; /* claimed, not yet completed */
    unsigned n_contexts;
    struct plic_context context[PLIC_MAX_CONTEXTS];
};

extern const struct phys_mmio plic_mmio; /* device: struct plic * */

/* ---- Before the first hart runs, after the last has stopped ---------------- */

/* lines[i] is driven for context i, with the PLIC's lock held. */
void plic_init(struct plic *p, const struct irq_line *lines, unsigned n_contexts);
void plic_fini(struct plic *p);
void plic_reset(struct plic *p);
void plic_state(struct plic *p, struct state_io *io);

/* ---- Any thread --------------------------------------------------------------- */

/* The sources that are in use, and each context's threshold, a line each. */
void plic_print(struct plic *p, FILE *out);

/* The line into source n, 1 <= n < PLIC_SOURCES. */
struct irq_line plic_line(struct plic *p, unsigned n);
