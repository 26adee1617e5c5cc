/* The core-local interruptor: a software-interrupt bit and a timer per hart, and
 * mtime, which is the machine's clock: set here, it is what `time` reads. Laid out as SiFive's
 * CLINT: 0x0000 + 4*hart  msip        0x4000 + 8*hart  mtimecmp        0xbff8  mtime */
#pragma once

#include <pthread.h>

#include "devices/device.h"
#include "devices/irq.h"
#include "softmmu/phys.h"

enum { CLINT_MAX_HARTS = 64 };

struct clint_hart {
    bool msip;
    bool timer_out; /* what `timer` was last set to */
    uint64_t mtimecmp;
    struct irq_line soft, timer;
};

struct clint {
    pthread_mutex_t lock; /* all below */
    const struct clock *clock;
    /* Asks that clint_tick(hart) be called when the clock has reached `deadline`
     * (UINT64_MAX: never); replaces the request before. Called with the lock
     * held: it must not call back. */
    void (*arm)(void *arg, unsigned hart, uint64_t deadline_ticks);
    void *arm_arg;
    unsigned n_harts;
    struct clint_hart hart[CLINT_MAX_HARTS];
};

extern const struct phys_mmio clint_mmio; /* device: struct clint * */

/* ---- Before the first hart runs, after the last has stopped ---------------- */

/* soft[i] and timer[i] are hart i's lines. `clock` is borrowed. */
void clint_init(struct clint *c, const struct clock *clock, const struct irq_line *soft,
                const struct irq_line *timer, unsigned n_harts,
                void (*arm)(void *arg, unsigned hart, uint64_t deadline_ticks), void *arm_arg);
void clint_fini(struct clint *c);
void clint_reset(struct clint *c);
void clint_state(struct clint *c, struct state_io *io);

/* ---- Any thread --------------------------------------------------------------- */

/* The deadline of `hart` may have passed: drives its timer line, or arms again. */
void clint_tick(struct clint *c, unsigned hart);
