/* Google's goldfish real-time clock: nanoseconds since 1970 in two words, and an
 * alarm. */
#pragma once

#include <pthread.h>

#include "devices/device.h"
#include "devices/irq.h"
#include "softmmu/phys.h"

struct rtc {
    pthread_mutex_t lock; /* all below; the PLIC's is taken inside it */
    const struct clock *clock;
    struct irq_line irq;
    /* Asks that rtc_tick() be called when the clock has reached `deadline`
     * (UINT64_MAX: never); replaces the request before. Called with the lock
     * held: it must not call back. */
    void (*arm)(void *arg, uint64_t deadline_ticks);
    void *arm_arg;
    uint64_t offset_ns;    /* what the guest has set the clock ahead by, modulo 2^64 */
    uint64_t alarm_ns;     /* in the guest's time */
    uint32_t latched_high; /* of the time whose low half was read last */
    bool alarm_running, irq_pending, irq_enabled, irq_out;
};

extern const struct phys_mmio rtc_mmio; /* device: struct rtc * */

/* ---- Before the first hart runs, after the last has stopped ---------------- */

void rtc_init(struct rtc *r, const struct clock *clock, struct irq_line irq,
              void (*arm)(void *arg, uint64_t deadline_ticks), void *arm_arg);
void rtc_fini(struct rtc *r);
void rtc_reset(struct rtc *r);
void rtc_state(struct rtc *r, struct state_io *io);

/* ---- Any thread --------------------------------------------------------------- */

/* The alarm may be due: raises the interrupt, or arms again. */
void rtc_tick(struct rtc *r);
