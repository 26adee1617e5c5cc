/* The PCI host bridge and configuration space, by functions that do nothing but note who came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/pci/pci.h"

#define LOW  UINT64_C(0x40000000)
#define HIGH UINT64_C(0x400000000)

struct probe {
    struct pci_device pci;
    unsigned bar;
    uint64_t offset, value;
    unsigned size, n_reads, n_writes, n_config_reads, n_config_writes;
};

static struct pci_host host;
static struct probe a, b;
static struct pci_window low = {.host = &host, .gpa = LOW}, high = {.host = &host, .gpa = HIGH};
static bool line[PCI_LINES];

static uint64_t bar_read(struct pci_device *d, unsigned bar, uint64_t offset, unsigned size)
{
    struct probe *p = (struct probe *)(void *)d;

    p->bar = bar;
    p->offset = offset;
    p->size = size;
    p->n_reads++;
    return 0x1234;
}

static void bar_write(struct pci_device *d, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct probe *p = (struct probe *)(void *)d;

    p->bar = bar;
    p->offset = offset;
    p->size = size;
    p->value = value;
    p->n_writes++;
}

/* With the bridge's lock these would stop here for ever. */
static void config_reads(struct pci_device *d, unsigned offset, unsigned size)
{
    ((struct probe *)(void *)d)->n_config_reads += pci_get(d, offset & 0xfc, 4) != 1 && size > 0;
}

static void config_wrote(struct pci_device *d, unsigned offset, unsigned size)
{
    ((struct probe *)(void *)d)->n_config_writes += pci_get(d, offset & 0xfc, 4) != 1 && size > 0;
}

static const struct pci_ops ops = {.name = "probe",
                                   .bar_read = bar_read,
                                   .bar_write = bar_write,
                                   .config_reads = config_reads,
                                   .config_wrote = config_wrote};

static void set_line(void *arg, unsigned n, bool level)
{
    (void)arg;
    line[n] = level;
}

static void make(struct probe *p, unsigned slot)
{
    static const struct pci_identity id = {.vendor = 0x1af4,
                                           .device = 0x1042,
                                           .revision = 7,
                                           .class_code = 0x010203,
                                           .subsystem_vendor = 0xabcd,
                                           .subsystem = 0xef01};

    *p = (struct probe){.bar = 99};
    pci_init(&p->pci, &ops, &id);
    pci_add_bar(&p->pci, 0, 0x1000, 0);
    pci_add_bar(&p->pci, 2, 0x4000, PCI_BAR_64 | PCI_BAR_PREFETCHABLE);
    pci_use_intx(&p->pci);
    pci_plug(&host, slot, &p->pci);
}

static int begin(void **state)
{
    struct irq_line lines[PCI_LINES];

    (void)state;
    memset(line, 0, sizeof line);
    for (unsigned n = 0; n < PCI_LINES; n++)
        lines[n] = (struct irq_line){.set = set_line, .n = n};
    pci_host_init(&host, lines);
    make(&a, 1);
    make(&b, 6);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pci_host_fini(&host);
    return 0;
}

static uint64_t at(unsigned bus, unsigned slot, unsigned function, unsigned reg)
{
    return (uint64_t)bus << 20 | slot << 15 | function << 12 | reg;
}

static uint64_t get(unsigned slot, unsigned reg, unsigned size)
{
    return pci_ecam.read(&host, at(0, slot, 0, reg), size);
}

static void set(unsigned slot, unsigned reg, unsigned size, uint64_t value)
{
    pci_ecam.write(&host, at(0, slot, 0, reg), size, value);
}

static void enable(unsigned slot, uint64_t bar0, uint64_t bar2)
{
    set(slot, PCI_BAR, 4, bar0);
    set(slot, PCI_BAR + 8, 8, bar2);
    set(slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

/* ---- Configuration space ----------------------------------------------------------------------
 */

static void identity(void **state)
{
    (void)state;
    assert_int_equal(get(0, PCI_VENDOR, 4), 0x00081b36);
    assert_int_equal(get(0, PCI_REVISION, 4), 0x06000000);
    assert_int_equal(get(0, PCI_STATUS, 2), 0);
    assert_int_equal(get(0, PCI_INTERRUPT_PIN, 1), 0);
    assert_int_equal(get(1, PCI_VENDOR, 4), 0x10421af4);
    assert_int_equal(get(1, PCI_REVISION, 4), 0x01020307);
    assert_int_equal(get(1, PCI_HEADER_TYPE, 1), 0);
    assert_int_equal(get(1, PCI_SUBSYSTEM_VENDOR, 4), 0xef01abcd);
    assert_int_equal(get(1, PCI_INTERRUPT_PIN, 1), 1);
    assert_int_equal(get(1, PCI_VENDOR, 8), 0x10421af4);
    assert_int_equal(get(1, PCI_DEVICE + 1, 1), 0x10);
}

static void nobody_there_is_all_ones(void **state)
{
    const uint64_t places[] = {at(0, 2, 0, 0),    at(0, 1, 1, 0),     at(1, 1, 0, 0),
                               at(255, 31, 7, 0), at(0, 1, 0, 0x100), at(0, 1, 0, 0xff8)};

    (void)state;
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        pci_ecam.write(&host, places[i], 4, 0);
        assert_int_equal(pci_ecam.read(&host, places[i], 1), 0xff);
        assert_int_equal(pci_ecam.read(&host, places[i], 2), 0xffff);
        assert_int_equal(pci_ecam.read(&host, places[i], 4), 0xffffffff);
        assert_int_equal(pci_ecam.read(&host, places[i], 8), UINT64_MAX);
    }
    assert_int_equal(pci_io.read(NULL, 0xcf8, 4), 0xffffffff);
    pci_io.write(NULL, 0, 8, 1);
    assert_int_equal(a.n_config_reads + a.n_config_writes, 0);
}

/* Ones to all of it, in every size: only what can be written changes. */
static void what_can_be_written(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        pci_reset(&a.pci);
        for (unsigned reg = 0; reg < PCI_CONFIG_LEN; reg += size)
            set(1, reg, size, UINT64_MAX);
        assert_int_equal(get(1, 0x00, 4), 0x10421af4);
        assert_int_equal(get(1, 0x04, 4), 0x00000406);
        assert_int_equal(get(1, 0x08, 4), 0x01020307);
        assert_int_equal(get(1, 0x0c, 4), 0x000000ff);
        assert_int_equal(get(1, 0x10, 4), 0xfffff000);
        assert_int_equal(get(1, 0x14, 4), 0);
        assert_int_equal(get(1, 0x18, 4), 0xffffc00c);
        assert_int_equal(get(1, 0x1c, 4), 0xffffffff);
        assert_int_equal(get(1, 0x20, 8), 0);
        assert_int_equal(get(1, 0x30, 4), 0); /* no ROM */
        assert_int_equal(get(1, 0x3c, 4), 0x000001ff);
        assert_int_equal(get(1, 0x40, 4), 0);
    }
    assert_int_equal(get(6, PCI_BAR, 4), 0); /* the other one */
    for (unsigned reg = 0; reg < PCI_CONFIG_LEN; reg += 4)
        set(1, reg, 4, 0);
    assert_int_equal(get(1, 0x18, 4), 0xc);
    assert_int_equal(get(1, PCI_COMMAND, 2), 0);
}

static void capabilities_are_a_list(void **state)
{
    static const uint8_t one[2] = {0x11, 0x22}, two[2] = {0x33, 0x44};

    (void)state;
    assert_int_equal(get(1, PCI_STATUS, 2), 0);
    pci_add_capability(&a.pci, 9, 0x40, one, sizeof one);
    pci_add_capability(&a.pci, 5, 0x50, two, sizeof two);
    assert_int_equal(get(1, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
    assert_int_equal(get(1, PCI_CAPABILITIES, 1), 0x50);
    assert_int_equal(get(1, 0x50, 4), 0x44334005);
    assert_int_equal(get(1, 0x40, 4), 0x22110009);
}

static void who_hears_of_accesses(void **state)
{
    (void)state;
    set(1, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    assert_true(pci_is_master(&a.pci));
    assert_false(pci_is_master(&b.pci));
    assert_int_equal(a.n_config_writes, 1);
    (void)get(1, PCI_COMMAND, 2);
    assert_int_equal(a.n_config_reads, 1);
    assert_int_equal(b.n_config_reads + b.n_config_writes, 0);
}

/* ---- BARs ---------------------------------------------------------------------------------------
 */

static void bars_answer_where_they_are(void **state)
{
    (void)state;
    enable(1, LOW + 0x1000, HIGH + 0x8000);
    enable(6, LOW + 0x2000, HIGH + 0xc000);
    assert_int_equal(pci_window.read(&low, 0x1ff8, 8), 0x1234);
    assert_int_equal(a.bar, 0);
    assert_int_equal(a.offset, 0xff8);
    assert_int_equal(a.size, 8);
    pci_window.write(&high, 0xbffc, 4, 77);
    assert_int_equal(a.bar, 2);
    assert_int_equal(a.offset, 0x3ffc);
    assert_int_equal(a.value, 77);
    pci_window.write(&high, 0xc000, 1, 78);
    assert_int_equal(b.value, 78);
    assert_int_equal(b.offset, 0);
    assert_int_equal(pci_window.read(&low, 0xfff, 1), 0xff);
    assert_int_equal(pci_window.read(&low, 0x3000, 2), 0xffff);
    assert_int_equal(pci_window.read(&high, 0x7ffc, 4), 0xffffffff);
    assert_int_equal(pci_window.read(&high, 0x10000, 8), UINT64_MAX);
    assert_int_equal(a.n_reads + a.n_writes + b.n_reads + b.n_writes, 3);
}

static void memory_can_be_disabled(void **state)
{
    (void)state;
    enable(1, LOW, HIGH);
    set(1, PCI_COMMAND, 1, 0);
    assert_int_equal(pci_window.read(&low, 0, 4), 0xffffffff);
    pci_window.write(&high, 0, 4, 1);
    assert_int_equal(a.n_reads + a.n_writes, 0);
    set(1, PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
    assert_int_equal(pci_window.read(&low, 0, 4), 0x1234);
}

/* A 64-bit BAR below 4 GiB, and the upper half that moves it away. */
static void both_halves_count(void **state)
{
    (void)state;
    enable(1, 0, LOW + 0x4000);
    pci_window.write(&low, 0x4000, 4, 1);
    assert_int_equal(a.bar, 2);
    set(1, PCI_BAR + 12, 4, HIGH >> 32);
    pci_window.write(&low, 0x4000, 4, 2);
    assert_int_equal(a.value, 1);
    pci_window.write(&high, LOW + 0x4000, 4, 3);
    assert_int_equal(a.value, 3);
}

/* ---- Interrupts ---------------------------------------------------------------------------------
 */

static void assert_lines(unsigned mask)
{
    for (unsigned n = 0; n < PCI_LINES; n++)
        assert_int_equal(line[n], mask >> n & 1);
}

static void pins_are_swizzled(void **state)
{
    (void)state;
    pci_set_intx(&a.pci, true);
    assert_lines(2);
    pci_set_intx(&b.pci, true);
    assert_lines(6);
    pci_set_intx(&a.pci, false);
    assert_lines(4);
    pci_set_intx(&b.pci, false);
    assert_lines(0);
}

static void a_line_is_shared(void **state)
{
    struct probe c;

    (void)state;
    make(&c, 5);
    pci_set_intx(&a.pci, true);
    pci_set_intx(&c.pci, true);
    pci_set_intx(&a.pci, false);
    assert_lines(2);
    pci_set_intx(&c.pci, false);
    assert_lines(0);
}

static void intx_can_be_disabled(void **state)
{
    (void)state;
    set(1, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
    pci_set_intx(&a.pci, true);
    assert_lines(0);
    assert_int_equal(get(1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    set(1, PCI_COMMAND, 2, 0);
    assert_lines(2);
    set(1, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
    assert_lines(0);
    pci_set_intx(&a.pci, false);
    assert_int_equal(get(1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
}

/* ---- Life
 * ----------------------------------------------------------------------------------------- */

static void a_reset_takes_all_back(void **state)
{
    (void)state;
    enable(1, LOW, HIGH);
    set(1, PCI_INTERRUPT_LINE, 1, 12);
    pci_host_reset(&host);
    assert_int_equal(get(1, PCI_COMMAND, 2), 0);
    assert_int_equal(get(1, PCI_BAR, 4), 0);
    assert_int_equal(get(1, PCI_BAR + 8, 8), 0xc);
    assert_int_equal(get(1, PCI_INTERRUPT_LINE, 2), 0x100);
    assert_int_equal(get(1, PCI_VENDOR, 4), 0x10421af4);
}

static void state_goes_round(void **state)
{
    struct state_io io = {.f = tmpfile(), .saving = true};

    (void)state;
    assert_non_null(io.f);
    enable(1, LOW + 0x1000, HIGH);
    pci_host_state(&host, &io);
    pci_host_reset(&host);
    pci_set_intx(&a.pci, true);
    rewind(io.f);
    io.saving = false;
    pci_host_state(&host, &io);
    assert_false(io.failed);
    assert_int_equal(get(1, PCI_BAR, 4), LOW + 0x1000);
    assert_int_equal(get(1, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
    assert_lines(2);
    fclose(io.f);
}

static void it_can_be_looked_at(void **state)
{
    char text[2048] = "";
    FILE *f = fmemopen(text, sizeof text - 1, "w");

    (void)state;
    enable(1, LOW, HIGH);
    pci_set_intx(&a.pci, true);
    pci_print(&host, f);
    fclose(f);
    assert_non_null(strstr(text, "00:00.0 1b36:0008 class 060000 host bridge\n"));
    assert_non_null(strstr(text, "00:01.0 1af4:1042 class 010203 probe, line 1 up\n"));
    assert_non_null(strstr(text, "BAR 2: 0000000400000000-0000000400003fff\n"));
    assert_non_null(strstr(text, "BAR 0: 4096 bytes, disabled\n"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(nobody_there_is_all_ones),
        TEST(what_can_be_written),
        TEST(capabilities_are_a_list),
        TEST(who_hears_of_accesses),
        TEST(bars_answer_where_they_are),
        TEST(memory_can_be_disabled),
        TEST(both_halves_count),
        TEST(pins_are_swizzled),
        TEST(a_line_is_shared),
        TEST(intx_can_be_disabled),
        TEST(a_reset_takes_all_back),
        TEST(state_goes_round),
        TEST(it_can_be_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
