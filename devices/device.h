/* What every device offers besides its registers: reset, and its whole state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One field list serves saving and loading: each device writes
 *     void uart_state(struct uart *u, struct state_io *io) { STATE_IO(io, u->lcr); ... }
 * Versioned by a name and a number at its head (state_io_begin). */
struct state_io {
    FILE *f;
    bool saving;
    bool failed;
};

void state_io_bytes(struct state_io *io, void *data, size_t len_bytes);
void state_io_begin(struct state_io *io, const char *name, uint32_t version);
#define STATE_IO(io, field) state_io_bytes((io), &(field), sizeof(field))

/* The machine's clock, as every device and hart sees it: the one interface
 * through which time reaches the guest (recorded and replayed here, later). */
struct clock {
    uint64_t (*now_ticks)(void *arg); /* 10 MHz since power-on, or since the guest set it */
    void (*set_ticks)(void *arg,
                      uint64_t ticks);   /* on the hart's thread; NULL: it stays as it is */
    uint64_t (*wall_seconds)(void *arg); /* of the day, for the RTC: ns since 1970 */
    void *arg;
};
#define CLOCK_HZ 10000000

static inline uint64_t clock_now(const struct clock *c)
{
    return c->now_ticks(c->arg);
}
