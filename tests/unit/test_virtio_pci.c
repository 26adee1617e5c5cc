/* virtio-pci, by a random number generator: what is the transport's, and not all devices'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_rng.h"
#include "tests/lib/virtio_driver.h"

enum { ISR = 0x1000, DEVICE = 0x2000, NOTIFY = 0x3000, COMMON_LEN = 0x38 };

static struct virtio_driver d;
static struct virtio_rng rng;

static void fill(void *arg, void *to, size_t len_bytes)
{
    (void)arg;
    memset(to, 0x5a, len_bytes);
}

static int begin(void **state)
{
    (void)state;
    vd_init(&d);
    vd_init_pci(&d);
    virtio_rng_init(&rng, fill, NULL, &d.host);
    vd_plug(&d, &rng.v);
    return 0;
}

static int end(void **state)
{
    (void)state;
    virtio_rng_fini(&rng);
    vd_fini(&d);
    return 0;
}

static uint64_t get(uint64_t at, unsigned size)
{
    return pci_window.read(&d.window, at, size);
}

static void set(uint64_t at, unsigned size, uint64_t value)
{
    pci_window.write(&d.window, at, size, value);
}

static void start(void)
{
    assert_true(vd_negotiate(&d, 0));
    vd_start(&d, 8);
    vd_poll(&d);
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
}

static void ask(unsigned i)
{
    memset(vd_at(&d, VD_DATA), 0, 64);
    vd_desc(&d, i, VD_RAM + VD_DATA, 16, VD_WRITE, 0);
    vd_offer(&d, (uint16_t)i);
    vd_notify(&d);
}

/* ---- Who it is, and where things are ------------------------------------------------------------
 */

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vd_config(&d, PCI_VENDOR, 4), 0x10441af4);
    assert_int_equal(vd_config(&d, PCI_REVISION, 1), 1);
    assert_int_equal(vd_config(&d, PCI_INTERRUPT_PIN, 1), 1);
    assert_true(vd_config(&d, PCI_SUBSYSTEM, 2) >= 0x40);
}

/* Each structure is named once, and lies in BAR 4; there is no capability but these. */
static void the_capabilities(void **state)
{
    static const uint64_t offset[] = {[1] = 0, [2] = NOTIFY, [3] = ISR, [4] = DEVICE};
    unsigned found = 0;

    (void)state;
    for (unsigned at = vd_config(&d, PCI_CAPABILITIES, 1); at; at = vd_config(&d, at + 1, 1)) {
        unsigned type = vd_config(&d, at + 3, 1);

        assert_int_equal(vd_config(&d, at, 1), 9);
        assert_int_equal(vd_config(&d, at + 2, 1), type == 2 || type == 5 ? 20 : 16);
        assert_in_range(type, 1, 5);
        assert_false(found >> type & 1);
        found |= 1u << type;
        if (type == 5)
            continue;
        assert_int_equal(vd_config(&d, at + 4, 1), 4);
        assert_int_equal(vd_config(&d, at + 8, 4), offset[type]);
        assert_int_equal(vd_config(&d, at + 12, 4), 0x1000);
        if (type == 2)
            assert_int_equal(vd_config(&d, at + 16, 4), 4);
    }
    assert_int_equal(found, 0x3e);
    vd_set_config(&d, PCI_BAR + 16, 4, UINT32_MAX);
    assert_int_equal(vd_config(&d, PCI_BAR + 16, 4), 0xffffc00c);
}

static void common_configuration(void **state)
{
    (void)state;
    assert_int_equal(get(0x10, 2), 0xffff); /* no vectors */
    set(0x10, 2, 0);
    assert_int_equal(get(0x10, 2), 0xffff);
    assert_int_equal(get(0x12, 2), rng.v.ops->n_queues);
    set(0x00, 4, 1);
    assert_int_equal(get(0x00, 4), 1);
    assert_int_equal(get(0x04, 4), rng.v.offered >> 32);
    set(0x00, 4, 2);
    assert_int_equal(get(0x04, 4), 0);
    set(0x08, 4, 1);
    set(0x0c, 4, 0x12345678);
    assert_int_equal(get(0x0c, 4), 0x12345678);
    set(0x08, 4, 9);
    assert_int_equal(get(0x0c, 4), 0);
    assert_int_equal(get(0x18, 2), rng.v.ops->queue_max);
    assert_int_equal(get(0x1a, 2), 0xffff);
    assert_int_equal(get(0x1e, 2), 0);
    set(0x20, 8, 0x1122334455667788);
    assert_int_equal(get(0x20, 8), 0x1122334455667788);
    assert_int_equal(get(0x24, 4), 0x11223344);
    set(0x2c, 4, 7);
    assert_int_equal(get(0x28, 8), UINT64_C(7) << 32);
    set(0x30, 4, 9);
    assert_int_equal(rng.v.queue[0].device_gpa, 9);
    assert_int_equal(rng.v.queue[0].driver_gpa, UINT64_C(7) << 32);
    set(0x16, 2, 5); /* no such queue */
    assert_int_equal(get(0x16, 2), 5);
    assert_int_equal(get(0x18, 2), 0);
    assert_int_equal(get(0x20, 8), 0);
    set(0x18, 2, 4);
    set(0x1c, 2, 1);
    assert_int_equal(get(0x1c, 2), 0);
}

/* Fields in their width only, and nothing behind them. */
static void other_accesses_are_ignored(void **state)
{
    (void)state;
    set(0x14, 1, 1);
    set(0x14, 2, 3);
    set(0x14, 4, 3);
    assert_int_equal(get(0x14, 1), 1);
    assert_int_equal(get(0x14, 2), 0);
    assert_int_equal(get(0x10, 4), 0);
    assert_int_equal(get(0x00, 8), 0);
    set(0x20, 4, 0x11112222);
    set(0x20, 2, 0x3333);
    set(0x23, 1, 0x44);
    assert_int_equal(get(0x20, 2), 0);
    assert_int_equal(get(0x20, 4), 0x11112222);
    assert_int_equal(get(0x12, 1), 0);
    for (uint64_t at = COMMON_LEN; at < 0x1000; at += 8) {
        set(at, 8, UINT64_MAX);
        assert_int_equal(get(at, 8), 0);
    }
    assert_int_equal(get(NOTIFY, 4), 0);
    set(ISR, 1, 0xff);
    assert_int_equal(get(ISR, 1), 0);
    assert_int_equal(get(DEVICE, 8), 0);
    set(DEVICE, 8, 1);
    assert_int_equal(get(0x14, 1), 1);
}

static void a_queue_is_enabled_once(void **state)
{
    (void)state;
    start();
    assert_int_equal(get(0x1c, 2), 1);
    set(0x18, 2, 4);
    set(0x20, 4, 0);
    set(0x1c, 2, 0);
    assert_int_equal(get(0x1c, 2), 1);
    assert_int_equal(get(0x18, 2), 8);
    assert_int_equal(rng.v.queue[0].desc_gpa, VD_RAM + VD_DESC);
    set(0x14, 1, 0);
    assert_int_equal(get(0x1c, 2), 0);
    assert_int_equal(get(0x18, 2), rng.v.ops->queue_max);
}

/* ---- It works
 * ------------------------------------------------------------------------------------ */

static void numbers_come(void **state)
{
    (void)state;
    start();
    ask(0);
    assert_int_equal(*(uint8_t *)vd_at(&d, VD_DATA + 15), 0x5a);
    assert_int_equal(vd_n_used(&d), 1);
    assert_true(d.irq);
    assert_int_equal(vd_config(&d, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    assert_int_equal(get(ISR, 1), 1);
    assert_false(d.irq); /* by having been read */
    assert_int_equal(get(ISR, 1), 0);
}

static void other_queues_are_not_notified(void **state)
{
    (void)state;
    start();
    d.n_kicks = 0;
    set(NOTIFY + 4, 2, 1);
    set(NOTIFY + 0xffc, 2, 0);
    assert_int_equal(d.n_kicks, 0);
    set(NOTIFY, 2, 0);
    assert_int_equal(d.n_kicks, 1);
    set(NOTIFY, 4, 0);
    assert_int_equal(d.n_kicks, 2);
}

/* Without being bus master it leaves memory alone, and afterwards does what it was asked. */
static void no_master_no_memory(void **state)
{
    (void)state;
    start();
    vd_set_config(&d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    d.n_wrote = 0;
    ask(0);
    assert_int_equal(*(uint8_t *)vd_at(&d, VD_DATA), 0);
    assert_int_equal(vd_n_used(&d), 0);
    assert_int_equal(d.n_wrote, 0);
    d.n_kicks = 0;
    vd_set_config(&d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(d.n_kicks, 1);
    vd_poll(&d);
    assert_int_equal(vd_n_used(&d), 1);
    assert_int_equal(*(uint8_t *)vd_at(&d, VD_DATA), 0x5a);
}

static void interrupts_can_be_disabled(void **state)
{
    (void)state;
    start();
    vd_set_config(&d, PCI_COMMAND, 2,
                  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
    ask(0);
    assert_int_equal(vd_n_used(&d), 1);
    assert_false(d.irq);
    vd_set_config(&d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_true(d.irq);
}

/* ---- Through configuration space alone
 * ------------------------------------------------------------ */

enum { BAR_AT = 0x88, OFFSET_AT = 0x8c, LENGTH_AT = 0x90, DATA_AT = 0x94 };

static void describe(uint8_t bar, uint32_t offset, uint32_t length)
{
    vd_set_config(&d, BAR_AT, 1, bar);
    vd_set_config(&d, OFFSET_AT, 4, offset);
    vd_set_config(&d, LENGTH_AT, 4, length);
}

/* The window of section 4.1.4.9, also while memory is disabled. */
static void by_configuration_space(void **state)
{
    (void)state;
    vd_set_config(&d, PCI_COMMAND, 2, 0);
    describe(4, 0x14, 1);
    vd_set_config(&d, DATA_AT, 1, VD_ACKNOWLEDGE);
    assert_int_equal(rng.v.status, VD_ACKNOWLEDGE);
    assert_int_equal(vd_config(&d, DATA_AT, 1), VD_ACKNOWLEDGE);
    describe(4, 0x12, 2);
    assert_int_equal(vd_config(&d, DATA_AT, 2), rng.v.ops->n_queues);
    describe(4, 0x00, 4);
    vd_set_config(&d, DATA_AT, 4, 1);
    describe(4, 0x04, 4);
    assert_int_equal(vd_config(&d, DATA_AT, 4), rng.v.offered >> 32);
}

static void what_it_describes_badly_is_nothing(void **state)
{
    static const struct {
        uint8_t bar;
        uint32_t offset, length;
    } rows[] = {{0, 0x14, 1},  {5, 0x14, 1},       {4, 0x14, 0},       {4, 0x14, 3},
                {4, 0x14, 8},  {4, 0x14, 0x101},   {4, 0x4014, 1},     {4, 0x4000, 4},
                {4, 0x13, 2},  {4, 0x80000014, 1}, {4, 0xfffffffc, 4}, {4, 0x3002, 4},
                {4, 0x3001, 2}};

    (void)state;
    d.n_kicks = 0;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        describe(rows[i].bar, rows[i].offset, rows[i].length);
        vd_set_config(&d, DATA_AT, 4, VD_ACKNOWLEDGE);
        (void)vd_config(&d, DATA_AT, 4);
        if (rng.v.status != 0)
            fail_msg("row %u", i);
    }
    assert_int_equal(d.n_kicks, 0);
}

/* ---- Life
 * ------------------------------------------------------------------------------------------ */

static void a_reset_of_the_machine(void **state)
{
    (void)state;
    start();
    ask(0);
    virtio_pci_reset(&d.function);
    pci_host_reset(&d.pci);
    assert_false(d.irq);
    assert_int_equal(vd_config(&d, PCI_COMMAND, 2), 0);
    assert_int_equal(get(0x14, 1), 0xff); /* its BAR is not there */
    start();
    ask(0);
    assert_int_equal(vd_n_used(&d), 1);
}

static void state_goes_round(void **state)
{
    struct state_io io = {.f = tmpfile(), .saving = true};

    (void)state;
    assert_non_null(io.f);
    start();
    set(0x00, 4, 1);
    ask(0);
    pci_host_state(&d.pci, &io);
    virtio_pci_state(&d.function, &io);
    virtio_pci_reset(&d.function);
    pci_host_reset(&d.pci);
    assert_false(d.irq);
    rewind(io.f);
    io.saving = false;
    pci_host_state(&d.pci, &io);
    virtio_pci_state(&d.function, &io);
    fclose(io.f);
    assert_false(io.failed);
    assert_true(d.irq);
    assert_int_equal(get(0x00, 4), 1);
    assert_int_equal(get(ISR, 1), 1);
    ask(1);
    assert_int_equal(vd_n_used(&d), 2);
}

/* ---- Another device: with a configuration space
 * ------------------------------------------------------ */

static void put(void *arg, uint8_t byte)
{
    (void)arg, (void)byte;
}

static void ready(void *arg)
{
    (void)arg;
}

static void its_configuration_space(void **state)
{
    static struct virtio_driver c;
    static struct virtio_console console;

    (void)state;
    vd_init(&c);
    vd_init_pci(&c);
    virtio_console_init(&console, (struct virtio_console_wire){.put = put, .ready = ready},
                        &c.host);
    vd_plug(&c, &console.v);
    virtio_console_resize(&console, 80, 25);
    assert_int_equal(vd_config(&c, PCI_CLASS, 2), 0x8000);
    assert_int_equal(pci_window.read(&c.window, DEVICE, 2), 80);
    assert_int_equal(pci_window.read(&c.window, DEVICE + 2, 2), 25);
    assert_int_equal(pci_window.read(&c.window, DEVICE, 8) & 0xffffffff, 80 | 25 << 16);
    assert_int_equal(vd_get(&c, VD_GENERATION), console.v.generation & 0xff);
    virtio_console_fini(&console);
    vd_fini(&c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(the_capabilities),
        TEST(common_configuration),
        TEST(other_accesses_are_ignored),
        TEST(a_queue_is_enabled_once),
        TEST(numbers_come),
        TEST(other_queues_are_not_notified),
        TEST(no_master_no_memory),
        TEST(interrupts_can_be_disabled),
        TEST(by_configuration_space),
        TEST(what_it_describes_badly_is_nothing),
        TEST(a_reset_of_the_machine),
        TEST(state_goes_round),
        cmocka_unit_test(its_configuration_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
