#include "devices/uart16550.h"

#include <string.h>

enum { /* offsets; those with two names are switched by LCR_DLAB */
       RBR_THR_DLL = 0,
       IER_DLM = 1,
       IIR_FCR = 2,
       LCR = 3,
       MCR = 4,
       LSR = 5,
       MSR = 6,
       SCR = 7,
};

enum {
    IER_RX = 1,
    IER_THR = 2,
    IER_LINE = 4,
    IER_MODEM = 8,
    IER_ALL = 15,

    IIR_NONE = 1,
    IIR_LINE = 6,
    IIR_RX = 4,
    IIR_RX_TIMEOUT = 12,
    IIR_THR = 2,
    IIR_MODEM = 0,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 1,
    FCR_CLEAR_RX = 2,
    FCR_CLEAR_TX = 4,
    FCR_KEPT = 0xc9,

    LCR_DLAB = 0x80,

    MCR_DTR = 1,
    MCR_RTS = 2,
    MCR_OUT1 = 4,
    MCR_OUT2 = 8,
    MCR_LOOP = 16,
    MCR_ALL = 31,

    LSR_DR = 1,
    LSR_OE = 2,
    LSR_BI = 16,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,

    MSR_DCTS = 1,
    MSR_DDSR = 2,
    MSR_TERI = 4,
    MSR_DDCD = 8,
    MSR_DELTAS = 15,
    MSR_CTS = 16,
    MSR_DSR = 32,
    MSR_RI = 64,
    MSR_DCD = 128,
};

/* ---- The receiver's FIFO --------------------------------------------------------- */

static unsigned rx_capacity(const struct uart *u)
{
    return u->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

static unsigned rx_trigger(const struct uart *u)
{
    static const uint8_t level[] = {1, 4, 8, 14};

    return u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1;
}

static void rx_push(struct uart *u, uint8_t byte)
{
    if (u->rx_len == rx_capacity(u)) {
        u->line_errors |= LSR_OE;
        return;
    }
    u->rx[(u->rx_head + u->rx_len) % UART_FIFO] = byte;
    u->rx_len++;
}

static uint8_t rx_pop(struct uart *u)
{
    uint8_t byte = u->rx[u->rx_head];

    if (u->rx_len == 0)
        return 0;
    u->rx_head = (u->rx_head + 1) % UART_FIFO;
    u->rx_len--;
    return byte;
}

/* ---- Interrupts ------------------------------------------------------------------ */

/* The highest request, as IIR reports it. The timeout of a FIFO that holds less
 * than its trigger level has always passed already: the line is infinitely fast. */
static uint8_t request(const struct uart *u)
{
    if ((u->ier & IER_LINE) && u->line_errors)
        return IIR_LINE;
    if ((u->ier & IER_RX) && u->rx_len > 0)
        return u->rx_len >= rx_trigger(u) ? IIR_RX : IIR_RX_TIMEOUT;
    if ((u->ier & IER_THR) && u->thr_pending)
        return IIR_THR;
    if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_locked(struct uart *u)
{
    bool out = request(u) != IIR_NONE;

    if (out == u->irq_out)
        return;
    u->irq_out = out;
    irq_set(&u->irq, out);
}

/* The modem lines are up, or in loopback what MCR drives. */
static void update_modem(struct uart *u)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD, changed, deltas = 0;

    if (u->mcr & MCR_LOOP)
        lines = (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
    changed = (lines ^ u->msr) & 0xf0;
    if (changed & MSR_CTS)
        deltas |= MSR_DCTS;
    if (changed & MSR_DSR)
        deltas |= MSR_DDSR;
    if ((changed & MSR_RI) && !(lines & MSR_RI))
        deltas |= MSR_TERI;
    if (changed & MSR_DCD)
        deltas |= MSR_DDCD;
    u->msr = (u->msr & MSR_DELTAS) | deltas | lines;
}

/* ---- Registers ------------------------------------------------------------------- */

static uint8_t read_iir(struct uart *u)
{
    uint8_t id = request(u);

    if (id == IIR_THR)
        u->thr_pending = false;
    return id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t value = u->line_errors | LSR_THRE | LSR_TEMT | (u->rx_len > 0 ? LSR_DR : 0);

    u->line_errors = 0;
    return value;
}

static uint8_t read_msr(struct uart *u)
{
    uint8_t value = u->msr;

    u->msr &= ~MSR_DELTAS;
    return value;
}

static uint8_t read_locked(struct uart *u, uint64_t offset)
{
    switch (offset) {
    case RBR_THR_DLL: return u->lcr & LCR_DLAB ? u->dll : rx_pop(u);
    case IER_DLM: return u->lcr & LCR_DLAB ? u->dlm : u->ier;
    case IIR_FCR: return read_iir(u);
    case LCR: return u->lcr;
    case MCR: return u->mcr;
    case LSR: return read_lsr(u);
    case MSR: return read_msr(u);
    case SCR: return u->scr;
    default: return 0;
    }
}

static void write_ier(struct uart *u, uint8_t value)
{
    uint8_t enabled = value & ~u->ier;

    u->ier = value & IER_ALL;
    if (enabled & IER_THR)
        u->thr_pending = true; /* THR is empty, as always */
}

static void write_fcr(struct uart *u, uint8_t value)
{
    if ((value ^ u->fcr) & FCR_ENABLE)
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    if (value & FCR_CLEAR_RX)
        u->rx_len = 0;
    if (value & FCR_CLEAR_TX)
        u->thr_pending = true;
    u->fcr = value & FCR_KEPT;
}

/* True when the byte is to leave through the wire. */
static bool write_thr(struct uart *u, uint8_t value)
{
    u->thr_pending = true; /* busy and empty again in no time */
    if (!(u->mcr & MCR_LOOP))
        return true;
    rx_push(u, value);
    return false;
}

static bool write_locked(struct uart *u, uint64_t offset, uint8_t value)
{
    switch (offset) {
    case RBR_THR_DLL:
        if (!(u->lcr & LCR_DLAB))
            return write_thr(u, value);
        u->dll = value;
        break;
    case IER_DLM:
        if (u->lcr & LCR_DLAB)
            u->dlm = value;
        else
            write_ier(u, value);
        break;
    case IIR_FCR: write_fcr(u, value); break;
    case LCR: u->lcr = value; break;
    case MCR:
        u->mcr = value & MCR_ALL;
        update_modem(u);
        break;
    case SCR: u->scr = value; break;
    default: break;
    }
    return false;
}

/* The wire waits and there is room: it is told once. */
static bool take_unblocked(struct uart *u)
{
    bool unblocked = u->rx_blocked && !(u->mcr & MCR_LOOP) && u->rx_len < rx_capacity(u);

    if (unblocked)
        u->rx_blocked = false;
    return unblocked;
}

/* An access of any size is one of its first register, as in QEMU. */
static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct uart *u = device;
    uint64_t value;
    bool ready;

    (void)size;
    pthread_mutex_lock(&u->lock);
    value = read_locked(u, offset);
    ready = take_unblocked(u);
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
    if (ready)
        u->wire.ready(u->wire.arg);
    return value;
}

/* The byte goes out after the lock is given back: the wire has locks of its own. Harts that write
 * at once are ordered by the guest's own lock, held until we return. */
static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct uart *u = device;
    bool send, ready;

    (void)size;
    pthread_mutex_lock(&u->lock);
    send = write_locked(u, offset, (uint8_t)value);
    ready = take_unblocked(u);
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
    if (send)
        u->wire.put(u->wire.arg, (uint8_t)value);
    if (ready)
        u->wire.ready(u->wire.arg);
}

const struct phys_mmio uart_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 8};

/* ---- The wire -------------------------------------------------------------------- */

size_t uart_receive(struct uart *u, const uint8_t *data, size_t n)
{
    size_t taken = 0;

    pthread_mutex_lock(&u->lock);
    /* In loopback the receiver is not connected to the wire: the bytes wait. */
    if (!(u->mcr & MCR_LOOP))
        for (; taken < n && u->rx_len < rx_capacity(u); taken++)
            rx_push(u, data[taken]);
    u->rx_blocked = taken < n;
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
    return taken;
}

int uart_take(struct uart *u)
{
    int byte = -1;
    bool ready;

    pthread_mutex_lock(&u->lock);
    if (u->rx_len > 0)
        byte = rx_pop(u);
    ready = take_unblocked(u);
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
    if (ready)
        u->wire.ready(u->wire.arg);
    return byte;
}

void uart_break(struct uart *u)
{
    pthread_mutex_lock(&u->lock);
    if (u->rx_len < rx_capacity(u))
        rx_push(u, 0);
    u->line_errors |= LSR_BI;
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
}

/* ---- Life ------------------------------------------------------------------------ */

static void set_defaults(struct uart *u)
{
    u->ier = u->fcr = u->lcr = u->scr = u->line_errors = u->dlm = 0;
    u->dll = 12;
    u->mcr = MCR_OUT2;
    u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    u->thr_pending = false;
    u->rx_head = u->rx_len = 0;
}

static void no_put(void *arg, uint8_t byte)
{
    (void)arg, (void)byte;
}

static void no_ready(void *arg)
{
    (void)arg;
}

void uart_init(struct uart *u, struct irq_line irq, struct uart_wire wire)
{
    *u = (struct uart){.irq = irq, .wire = wire};
    if (!wire.put)
        u->wire.put = no_put;
    if (!wire.ready)
        u->wire.ready = no_ready;
    pthread_mutex_init(&u->lock, NULL);
    set_defaults(u);
}

void uart_fini(struct uart *u)
{
    pthread_mutex_destroy(&u->lock);
}

void uart_reset(struct uart *u)
{
    bool ready;

    pthread_mutex_lock(&u->lock);
    set_defaults(u);
    ready = take_unblocked(u);
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
    if (ready)
        u->wire.ready(u->wire.arg);
}

void uart_state(struct uart *u, struct state_io *io)
{
    pthread_mutex_lock(&u->lock);
    state_io_begin(io, "uart16550", 1);
    STATE_IO(io, u->ier);
    STATE_IO(io, u->fcr);
    STATE_IO(io, u->lcr);
    STATE_IO(io, u->mcr);
    STATE_IO(io, u->msr);
    STATE_IO(io, u->scr);
    STATE_IO(io, u->line_errors);
    STATE_IO(io, u->dll);
    STATE_IO(io, u->dlm);
    STATE_IO(io, u->thr_pending);
    STATE_IO(io, u->rx);
    STATE_IO(io, u->rx_head);
    STATE_IO(io, u->rx_len);
    if (u->rx_head >= UART_FIFO || u->rx_len > UART_FIFO) {
        u->rx_head = u->rx_len = 0;
        io->failed = true;
    }
    update_locked(u);
    pthread_mutex_unlock(&u->lock);
}
