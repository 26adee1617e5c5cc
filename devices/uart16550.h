/* A 16550A with its FIFOs. What it sends leaves at once (the line is infinitely
 * fast, so the transmitter is always empty); what it receives comes from a wire
 * with flow control, so nothing is ever overrun but in loopback. */
#pragma once

#include <pthread.h>

#include "devices/device.h"
#include "devices/irq.h"
#include "softmmu/phys.h"

enum { UART_FIFO = 16 };

/* The far end of the serial line. Both are called without the UART's lock. */
struct uart_wire {
    void (*put)(void *arg, uint8_t byte); /* waits for nobody */
    void (*ready)(void *arg);             /* uart_receive() took too little; now there is room */
    void *arg;
};

struct uart {
    pthread_mutex_t lock; /* all below; the PLIC's is taken inside it */
    struct irq_line irq;
    struct uart_wire wire;
    bool irq_out;
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint8_t line_errors; /* OE, BI of LSR: cleared by reading it */
    uint8_t dll, dlm;
    bool thr_pending; /* THR has become empty and nobody has been told */
    bool rx_blocked;  /* the wire waits for ready() */
    uint8_t rx[UART_FIFO];
    uint8_t rx_head, rx_len;
};

extern const struct phys_mmio uart_mmio; /* device: struct uart * */

/* ---- Before the first hart runs, after the last has stopped ---------------- */

void uart_init(struct uart *u, struct irq_line irq, struct uart_wire wire);
void uart_fini(struct uart *u);
void uart_reset(struct uart *u);
void uart_state(struct uart *u, struct state_io *io);

/* ---- Any thread --------------------------------------------------------------- */

/* Bytes from the wire. Returns how many were taken; if fewer than n, the wire's
 * ready() is called when there is room again. */
size_t uart_receive(struct uart *u, const uint8_t *data, size_t n);

/* Takes a received byte past the guest's driver, for a firmware that the host
 * serves; -1 when there is none. */
int uart_take(struct uart *u);

/* A break condition on the wire. */
void uart_break(struct uart *u);
