/* fw_cfg: items, the directory of files, the data register, DMA. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/base/check.h"
#include "devices/fw_cfg.h"

#define RAM     UINT64_C(0x80000000)
#define RAM_LEN UINT64_C(0x10000)
enum { ORDER = 0x100, BUFFER = 0x1000 };
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static struct phys phys;
static struct fw_cfg f;
static unsigned n_wakes;
static uint64_t n_wrote;

static void wake(void *arg)
{
    (void)arg;
    n_wakes++;
}

static void wrote(void *arg, uint64_t gpa, uint64_t len_bytes)
{
    (void)arg;
    CHECK(phys_is_ram(&phys, gpa, len_bytes));
    n_wrote += len_bytes;
}

static int begin(void **state)
{
    const struct virtio_dma dma = {.phys = &phys, .wrote = wrote};
    struct err e;

    (void)state;
    n_wakes = 0;
    n_wrote = 0;
    assert_true(phys_init(&phys, RAM, RAM_LEN, &e));
    fw_cfg_init(&f, &dma, wake, NULL);
    fw_cfg_add_number(&f, FW_CFG_NB_CPUS, 0x0102, 2);
    fw_cfg_add_file(&f, "opt/b", "bbbb", 4);
    fw_cfg_add_file(&f, "opt/a", "0123456789", 10);
    fw_cfg_add_file(&f, "opt/c", NULL, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fw_cfg_fini(&f);
    phys_fini(&phys);
    return 0;
}

static uint64_t data(unsigned size)
{
    return fw_cfg_mmio.read(&f, 0, size);
}

static void choose(uint16_t key)
{
    fw_cfg_mmio.write(&f, 8, 2, htobe16(key));
}

/* The control word afterwards. */
static uint32_t order(uint32_t control, uint32_t len, uint64_t gpa)
{
    const uint32_t words[2] = {htobe32(control), htobe32(len)};
    const uint64_t address = htobe64(gpa);
    uint32_t result;

    memcpy(phys.ram + ORDER, words, sizeof words);
    memcpy(phys.ram + ORDER + 8, &address, sizeof address);
    fw_cfg_mmio.write(&f, 16, 8, htobe64(RAM + ORDER));
    fw_cfg_poll(&f);
    memcpy(&result, phys.ram + ORDER, sizeof result);
    return be32toh(result);
}

/* ---- Items ------------------------------------------------------------------------------------
 */

static void items(void **state)
{
    (void)state;
    assert_int_equal(data(4), 0x554d4551); /* "QEMU" is there from the start */
    choose(1);
    assert_int_equal(data(4), 3); /* a data register, and DMA */
    choose(FW_CFG_NB_CPUS);
    assert_int_equal(data(1), 2);
    assert_int_equal(data(1), 1);
    assert_int_equal(data(8), 0); /* behind its end */
    choose(FW_CFG_NB_CPUS);
    assert_int_equal(data(8), 0x0102);
    choose(0x7777); /* there is none such */
    assert_int_equal(data(8), 0);
}

static void files_are_listed_by_name(void **state)
{
    static const struct {
        uint32_t len;
        uint16_t key;
        const char *name;
    } rows[] = {{10, 0x20, "opt/a"}, {4, 0x21, "opt/b"}, {0, 0x22, "opt/c"}};

    (void)state;
    choose(0x19);
    assert_int_equal(be32toh((uint32_t)data(4)), 3);
    for (unsigned i = 0; i < 3; i++) {
        char name[56];

        assert_int_equal(be32toh((uint32_t)data(4)), rows[i].len);
        assert_int_equal(be16toh((uint16_t)data(2)), rows[i].key);
        assert_int_equal(data(2), 0);
        for (unsigned k = 0; k < sizeof name; k++)
            name[k] = (char)data(1);
        assert_string_equal(name, rows[i].name);
    }
    choose(0x20);
    assert_int_equal(data(2), '0' | '1' << 8);
    choose(0x21);
    assert_int_equal(data(8), 0x62626262);
}

static void odd_accesses(void **state)
{
    (void)state;
    choose(0x20);
    assert_int_equal(fw_cfg_mmio.read(&f, 8, 2), 0);
    fw_cfg_mmio.write(&f, 8, 1, 0);
    fw_cfg_mmio.write(&f, 8, 4, 0);
    fw_cfg_mmio.write(&f, 8, 8, 0);
    fw_cfg_mmio.write(&f, 0, 8, 0); /* data cannot be written */
    assert_int_equal(data(1), '0');
    assert_int_equal(fw_cfg_mmio.read(&f, 16, 8), 0x47464320554d4551);
    assert_int_equal(fw_cfg_mmio.read(&f, 20, 4), 0x47464320);
    fw_cfg_mmio.write(&f, 16, 2, 1);
    fw_cfg_mmio.write(&f, 22, 2, 1);
    assert_int_equal(n_wakes, 0);
}

/* ---- DMA ----------------------------------------------------------------------------------------
 */

static void an_order_waits_for_the_poll(void **state)
{
    uint32_t control = htobe32(0x20u << 16 | SELECT | READ), len = htobe32(4);
    uint64_t gpa = htobe64(RAM + BUFFER);

    (void)state;
    memcpy(phys.ram + ORDER, &control, 4);
    memcpy(phys.ram + ORDER + 4, &len, 4);
    memcpy(phys.ram + ORDER + 8, &gpa, 8);
    fw_cfg_mmio.write(&f, 16, 4, 0); /* by halves, the upper one first */
    assert_int_equal(n_wakes, 0);
    fw_cfg_mmio.write(&f, 20, 4, htobe32((uint32_t)(RAM + ORDER)));
    assert_int_equal(n_wakes, 1);
    assert_int_equal(n_wrote, 0);
    fw_cfg_poll(&f);
    assert_memory_equal(phys.ram + BUFFER, "0123", 5);
    assert_int_equal(n_wrote, 8); /* and the control word */
    memcpy(&control, phys.ram + ORDER, 4);
    assert_int_equal(control, 0);
    fw_cfg_poll(&f);
    assert_int_equal(n_wrote, 8);
}

static void reads_and_skips(void **state)
{
    (void)state;
    assert_int_equal(order(0x20u << 16 | SELECT, 0, 0), 0);
    assert_int_equal(order(SKIP, 3, 0), 0);
    assert_int_equal(order(READ, 2, RAM + BUFFER), 0);
    assert_memory_equal(phys.ram + BUFFER, "34", 3);
    memset(phys.ram + BUFFER, 0xff, 16);
    assert_int_equal(order(READ, 8, RAM + BUFFER), 0); /* zeros behind the end */
    assert_memory_equal(phys.ram + BUFFER, "56789\0\0\0\xff", 9);
    assert_int_equal(order(SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(order(READ, 1, RAM + BUFFER), 0);
    assert_int_equal(phys.ram[BUFFER], 0);
    assert_int_equal(order(0x20u << 16 | SELECT | SKIP, 9, 0), 0);
    assert_int_equal(data(1), '9'); /* the register goes on there */
}

static void bad_orders(void **state)
{
    (void)state;
    assert_int_equal(order(0x20u << 16 | SELECT | READ, 10, RAM + RAM_LEN - 9), ERROR);
    assert_int_equal(order(READ, 1, 0), ERROR);
    assert_int_equal(order(READ, 2, UINT64_MAX), ERROR);
    assert_int_equal(order(READ, UINT32_MAX, RAM), ERROR);
    assert_int_equal(order(WRITE, 1, RAM + BUFFER), ERROR);
    assert_int_equal(order(READ, 0, 0), 0);
    assert_int_equal(order(0, 5, 0), 0);
    n_wrote = 0;
    fw_cfg_mmio.write(&f, 16, 8, htobe64(RAM + RAM_LEN - 15)); /* itself outside of RAM */
    fw_cfg_poll(&f);
    fw_cfg_mmio.write(&f, 16, 8, 0);
    fw_cfg_poll(&f);
    fw_cfg_mmio.write(&f, 16, 4, htobe32(1)); /* and this, for its upper half */
    fw_cfg_mmio.write(&f, 20, 4, htobe32((uint32_t)(RAM + ORDER)));
    fw_cfg_poll(&f);
    assert_int_equal(n_wrote, 0);
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

static void a_reset(void **state)
{
    (void)state;
    choose(0x20);
    fw_cfg_mmio.write(&f, 16, 8, htobe64(RAM + ORDER));
    fw_cfg_reset(&f);
    fw_cfg_poll(&f);
    assert_int_equal(n_wrote, 0);
    assert_int_equal(data(1), 'Q');
}

static void state_goes_round(void **state)
{
    struct state_io io = {.f = tmpfile(), .saving = true};

    (void)state;
    assert_non_null(io.f);
    choose(0x20);
    (void)data(2);
    fw_cfg_mmio.write(&f, 16, 8, htobe64(RAM + ORDER));
    fw_cfg_state(&f, &io);
    fw_cfg_reset(&f);
    n_wakes = 0;
    rewind(io.f);
    io.saving = false;
    fw_cfg_state(&f, &io);
    fclose(io.f);
    assert_false(io.failed);
    assert_int_equal(data(1), '2');
    assert_int_equal(n_wakes, 1);
    fw_cfg_poll(&f);
    assert_int_equal(n_wrote, 4);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(items),           TEST(files_are_listed_by_name),
        TEST(odd_accesses),    TEST(an_order_waits_for_the_poll),
        TEST(reads_and_skips), TEST(bad_orders),
        TEST(a_reset),         TEST(state_goes_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
