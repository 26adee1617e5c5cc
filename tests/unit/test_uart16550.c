/* The UART: what a driver sees of FIFOs, interrupts, loopback and flow control. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/uart16550.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR };

static bool irq;
static char sent[64];
static unsigned n_sent, n_ready;

static void sink(void *arg, unsigned n, bool level)
{
    (void)arg, (void)n;
    irq = level;
}

static void put(void *arg, uint8_t byte)
{
    (void)arg;
    if (n_sent < sizeof sent)
        sent[n_sent++] = (char)byte;
}

static void ready(void *arg)
{
    (void)arg;
    n_ready++;
}

static void make(struct uart *u)
{
    irq = false;
    n_sent = n_ready = 0;
    uart_init(u, (struct irq_line){.set = sink}, (struct uart_wire){.put = put, .ready = ready});
}

static uint8_t get(struct uart *u, unsigned reg)
{
    return (uint8_t)uart_mmio.read(u, reg, 1);
}

static void set(struct uart *u, unsigned reg, uint8_t value)
{
    uart_mmio.write(u, reg, 1, value);
}

static size_t receive(struct uart *u, const char *text)
{
    return uart_receive(u, (const uint8_t *)text, strlen(text));
}

static void sends(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, THR, 'h');
    uart_mmio.write(&u, THR, 4, 0x1122334400 | 'i'); /* a wide access is one of the register */
    assert_int_equal(n_sent, 2);
    assert_memory_equal(sent, "hi", 2);
    assert_int_equal(get(&u, LSR), 0x60);
    uart_fini(&u);
}

static void divisor_latch(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, LCR, 0x83);
    set(&u, 0, 0x34);
    set(&u, 1, 0x12);
    assert_int_equal(get(&u, 0), 0x34);
    assert_int_equal(get(&u, 1), 0x12);
    set(&u, LCR, 0x03);
    assert_int_equal(n_sent, 0);
    assert_int_equal(get(&u, IER), 0);
    set(&u, SCR, 0xa5);
    assert_int_equal(get(&u, SCR), 0xa5);
    uart_fini(&u);
}

static void receives_with_and_without_fifo(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, IER, 1);
    assert_int_equal(receive(&u, "ab"), 1); /* no FIFO: one byte */
    assert_true(irq);
    assert_int_equal(get(&u, IIR), 0x04);
    assert_int_equal(get(&u, RBR), 'a');
    assert_int_equal(n_ready, 1);
    assert_false(irq);
    set(&u, FCR, 0x81); /* FIFO on, trigger at 8 */
    assert_int_equal(get(&u, IIR), 0xc1);
    assert_int_equal(receive(&u, "0123456789abcdefXYZ"), 16);
    assert_int_equal(get(&u, IIR), 0xc4);
    assert_int_equal(get(&u, LSR) & 1, 1);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(get(&u, RBR), "0123456789abcdef"[i]);
    assert_int_equal(get(&u, IIR), 0xcc); /* below the trigger: the timeout */
    assert_true(irq);
    assert_int_equal(n_ready, 2); /* told once */
    for (unsigned i = 9; i < 16; i++)
        assert_int_equal(get(&u, RBR), "0123456789abcdef"[i]);
    assert_false(irq);
    assert_int_equal(get(&u, LSR) & 1, 0);
    assert_int_equal(get(&u, RBR), 0);
    uart_fini(&u);
}

static void clearing_the_fifo_drops_its_bytes(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, FCR, 1);
    assert_int_equal(receive(&u, "0123456789abcdefX"), 16);
    set(&u, FCR, 3);
    assert_int_equal(n_ready, 1);
    assert_int_equal(get(&u, LSR) & 1, 0);
    assert_int_equal(receive(&u, "Z"), 1);
    assert_int_equal(get(&u, RBR), 'Z');
    uart_fini(&u);
}

/* What Linux's serial8250_THRE_test does, and its start of transmission. */
static void transmitter_interrupt(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, FCR, 1);
    set(&u, IER, 2);
    assert_true(irq);
    assert_int_equal(get(&u, IIR), 0xc2);
    assert_false(irq); /* told */
    assert_int_equal(get(&u, IIR), 0xc1);
    set(&u, IER, 0);
    set(&u, IER, 2);
    assert_int_equal(get(&u, IIR), 0xc2);
    set(&u, THR, 'x');
    assert_true(irq);
    set(&u, IER, 0);
    assert_false(irq);
    uart_fini(&u);
}

/* What Linux's autoconfig does to find a UART. */
static void loopback(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    assert_int_equal(get(&u, MSR), 0xb0);
    set(&u, MCR, 0x1a);
    assert_int_equal(get(&u, MSR) & 0xf0, 0x90);
    assert_int_equal(get(&u, MSR) & 0x0f, 0);
    set(&u, FCR, 1);
    set(&u, THR, 'q');
    assert_int_equal(n_sent, 0);
    assert_int_equal(get(&u, RBR), 'q');
    assert_int_equal(receive(&u, "w"), 0); /* waits outside */
    for (unsigned i = 0; i < 17; i++)
        set(&u, THR, (uint8_t)i);
    set(&u, IER, 4);
    assert_true(irq);
    assert_int_equal(get(&u, IIR), 0xc6);
    assert_int_equal(get(&u, LSR), 0x63); /* overrun */
    assert_int_equal(get(&u, LSR), 0x61);
    assert_false(irq);
    set(&u, MCR, 8);
    set(&u, FCR, 3);
    assert_int_equal(n_ready, 1);
    uart_fini(&u);
}

/* Without FIFOs the receiver holds one byte: a second one is an overrun. */
static void overrun(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, MCR, 0x10);
    set(&u, THR, 'a');
    assert_int_equal(get(&u, LSR), 0x61);
    set(&u, THR, 'b');
    assert_int_equal(get(&u, LSR), 0x63);
    assert_int_equal(get(&u, LSR), 0x61); /* told once */
    assert_int_equal(get(&u, RBR), 'a');
    assert_int_equal(get(&u, LSR), 0x60);
    set(&u, FCR, 1);
    for (unsigned k = 0; k < 16; k++)
        set(&u, THR, (uint8_t)k);
    assert_int_equal(get(&u, LSR), 0x61);
    set(&u, THR, 16);
    assert_int_equal(get(&u, LSR), 0x63);
    for (unsigned k = 0; k < 16; k++)
        assert_int_equal(get(&u, RBR), k);
    assert_int_equal(get(&u, LSR), 0x60);
    uart_fini(&u);
}

/* Bit 7 of LCR alone chooses. */
static void divisor_latch_is_one_bit(void **state)
{
    struct uart u;

    (void)state;
    for (unsigned others = 0; others < 0x80; others++) {
        make(&u);
        set(&u, LCR, (uint8_t)(0x80 | others));
        set(&u, IER, 0x12);
        set(&u, RBR, 0x34);
        set(&u, LCR, (uint8_t)others);
        set(&u, IER, 0x05);
        assert_int_equal(get(&u, IER), 0x05);
        set(&u, LCR, (uint8_t)(0x80 | others));
        assert_int_equal(get(&u, IER), 0x12);
        assert_int_equal(get(&u, RBR), 0x34);
        assert_int_equal(n_sent, 0);
        uart_fini(&u);
    }
}

static void modem_interrupt(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    set(&u, IER, 8);
    assert_false(irq);
    set(&u, MCR, 0x10); /* loopback with all lines down */
    assert_true(irq);
    assert_int_equal(get(&u, IIR), 0x00);
    assert_int_equal(get(&u, MSR), 0x0b);
    assert_false(irq);
    set(&u, MCR, 0x14);
    assert_false(irq); /* RI counts when it ends */
    set(&u, MCR, 0x10);
    assert_int_equal(get(&u, MSR), 0x04);
    uart_fini(&u);
}

static void break_and_take(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    assert_int_equal(uart_take(&u), -1);
    receive(&u, "k!");
    assert_int_equal(uart_take(&u), 'k');
    assert_int_equal(n_ready, 1);
    uart_break(&u);
    assert_int_equal(get(&u, LSR), 0x71);
    assert_int_equal(get(&u, RBR), 0);
    uart_fini(&u);
}

static void every_address_answers(void **state)
{
    struct uart u;

    (void)state;
    make(&u);
    for (unsigned value = 0; value < 256; value++) {
        for (uint64_t offset = 0; offset < 0x100; offset++) {
            uart_mmio.write(&u, offset, 1, value);
            uart_mmio.read(&u, offset, 1);
        }
    }
    uart_reset(&u);
    assert_false(irq);
    uart_fini(&u);
}

static void state_is_kept(void **state)
{
    struct uart u, v;
    FILE *f = tmpfile();
    struct state_io io = {.f = f, .saving = true};

    (void)state;
    make(&u);
    set(&u, FCR, 1);
    set(&u, IER, 1);
    receive(&u, "abc");
    get(&u, RBR);
    uart_state(&u, &io);
    rewind(f);
    make(&v);
    io.saving = false;
    uart_state(&v, &io);
    assert_false(io.failed);
    assert_true(irq);
    assert_int_equal(get(&v, RBR), 'b');
    fclose(f);
    uart_fini(&u);
    uart_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends),
        cmocka_unit_test(divisor_latch),
        cmocka_unit_test(receives_with_and_without_fifo),
        cmocka_unit_test(clearing_the_fifo_drops_its_bytes),
        cmocka_unit_test(transmitter_interrupt),
        cmocka_unit_test(loopback),
        cmocka_unit_test(overrun),
        cmocka_unit_test(divisor_latch_is_one_bit),
        cmocka_unit_test(modem_interrupt),
        cmocka_unit_test(break_and_take),
        cmocka_unit_test(every_address_answers),
        cmocka_unit_test(state_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
