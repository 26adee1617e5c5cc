/* The CLINT: software interrupts, the timer, half-word accesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/clint.h"

static uint64_t now, armed[2];
static bool soft_out[2], timer_out[2];

static uint64_t ticks(void *arg)
{
    (void)arg;
    return now;
}

static void soft_sink(void *arg, unsigned n, bool level)
{
    (void)arg;
    soft_out[n] = level;
}

static void timer_sink(void *arg, unsigned n, bool level)
{
    (void)arg;
    timer_out[n] = level;
}

static void arm(void *arg, unsigned hart, uint64_t deadline)
{
    (void)arg;
    armed[hart] = deadline;
}

static void set_ticks(void *arg, uint64_t ticks)
{
    (void)arg;
    now = ticks;
}

static const struct clock clock_of_test = {.now_ticks = ticks, .set_ticks = set_ticks};

static void make(struct clint *c)
{
    struct irq_line soft[2], timer[2];

    for (unsigned i = 0; i < 2; i++) {
        soft[i] = (struct irq_line){.set = soft_sink, .n = i};
        timer[i] = (struct irq_line){.set = timer_sink, .n = i};
        soft_out[i] = timer_out[i] = false;
    }
    now = 1000;
    clint_init(c, &clock_of_test, soft, timer, 2, arm, NULL);
}

static void software_interrupts(void **state)
{
    struct clint c;

    (void)state;
    make(&c);
    clint_mmio.write(&c, 4, 4, 0xffffffff);
    assert_true(soft_out[1]);
    assert_false(soft_out[0]);
    assert_int_equal(clint_mmio.read(&c, 4, 4), 1);
    clint_mmio.write(&c, 4, 4, 0xfffffffe);
    assert_false(soft_out[1]);
    clint_fini(&c);
}

static void the_timer_fires_at_its_deadline(void **state)
{
    struct clint c;

    (void)state;
    make(&c);
    clint_mmio.write(&c, 0x4008, 8, 1500);
    assert_int_equal(armed[1], 1500);
    assert_false(timer_out[1]);
    now = 1499;
    clint_tick(&c, 1); /* too early: armed again */
    assert_false(timer_out[1]);
    assert_int_equal(armed[1], 1500);
    now = 1500;
    clint_tick(&c, 1);
    assert_true(timer_out[1]);
    assert_true(armed[1] == UINT64_MAX);
    clint_mmio.write(&c, 0x4008, 8, 2000);
    assert_false(timer_out[1]);
    clint_mmio.write(&c, 0x4008, 8, 5); /* in the past: at once */
    assert_true(timer_out[1]);
    assert_false(timer_out[0]);
    clint_fini(&c);
}

static void halves(void **state)
{
    struct clint c;

    (void)state;
    make(&c);
    clint_mmio.write(&c, 0x4000, 4, 0x89abcdef);
    clint_mmio.write(&c, 0x4004, 4, 0x01234567);
    assert_true(clint_mmio.read(&c, 0x4000, 8) == 0x0123456789abcdef);
    assert_int_equal(clint_mmio.read(&c, 0x4000, 4), 0x89abcdef);
    assert_int_equal(clint_mmio.read(&c, 0x4004, 4), 0x01234567);
    now = 0x1122334455667788;
    assert_true(clint_mmio.read(&c, 0xbff8, 8) == now);
    assert_int_equal(clint_mmio.read(&c, 0xbffc, 4), 0x11223344);
    assert_int_equal(clint_mmio.read(&c, 0xbff8, 4), 0x55667788);
    clint_fini(&c);
}

/* Every hart's timer is compared with it, and waits anew. */
static void mtime_is_set(void **state)
{
    struct clint c;

    (void)state;
    make(&c);
    clint_mmio.write(&c, 0x4000, 8, 5000);
    clint_mmio.write(&c, 0x4008, 8, 6000);
    armed[0] = armed[1] = 0;
    clint_mmio.write(&c, 0xbff8, 8, 5500);
    assert_int_equal(now, 5500);
    assert_true(timer_out[0]);
    assert_false(timer_out[1]);
    assert_true(armed[0] == UINT64_MAX);
    assert_int_equal(armed[1], 6000);
    clint_mmio.write(&c, 0xbff8, 8, 7); /* and back */
    assert_int_equal(clint_mmio.read(&c, 0xbff8, 8), 7);
    assert_false(timer_out[0]);
    assert_int_equal(armed[0], 5000);
    clint_mmio.write(&c, 0xbffc, 4, 0x11223344);
    assert_true(now == 0x1122334400000007);
    assert_true(timer_out[0] && timer_out[1]);
    clint_mmio.write(&c, 0xbff8, 4, 0x55667788);
    assert_true(now == 0x1122334455667788);
    clint_fini(&c);
}

/* A machine whose clock is not the guest's. */
static void mtime_stays_where_it_cannot_be_set(void **state)
{
    const struct clock fixed = {.now_ticks = ticks};
    struct clint c;

    (void)state;
    make(&c);
    c.clock = &fixed;
    clint_mmio.write(&c, 0xbff8, 8, 7);
    assert_int_equal(clint_mmio.read(&c, 0xbff8, 8), 1000);
    clint_fini(&c);
}

static void every_address_answers(void **state)
{
    struct clint c;

    (void)state;
    make(&c);
    for (uint64_t offset = 0; offset < 0x10000; offset += 4) {
        clint_mmio.write(&c, offset, 4, UINT32_MAX);
        clint_mmio.read(&c, offset, 4);
        if (offset % 8 == 0) {
            clint_mmio.write(&c, offset, 8, UINT64_MAX);
            clint_mmio.read(&c, offset, 8);
        }
    }
    assert_int_equal(clint_mmio.read(&c, 8, 4), 0); /* there is no third hart */
    now = 1000;
    clint_reset(&c);
    assert_false(soft_out[0] || soft_out[1] || timer_out[0] || timer_out[1]);
    clint_fini(&c);
}

static void state_is_kept(void **state)
{
    struct clint c, d;
    FILE *f = tmpfile();
    struct state_io io = {.f = f, .saving = true};

    (void)state;
    make(&c);
    clint_mmio.write(&c, 0, 4, 1);
    clint_mmio.write(&c, 0x4000, 8, 900);
    clint_state(&c, &io);
    rewind(f);
    make(&d);
    io.saving = false;
    clint_state(&d, &io);
    assert_false(io.failed);
    assert_true(soft_out[0] && timer_out[0]);
    assert_int_equal(clint_mmio.read(&d, 0x4000, 8), 900);
    fclose(f);
    clint_fini(&c);
    clint_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(software_interrupts),
        cmocka_unit_test(the_timer_fires_at_its_deadline),
        cmocka_unit_test(halves),
        cmocka_unit_test(mtime_is_set),
        cmocka_unit_test(mtime_stays_where_it_cannot_be_set),
        cmocka_unit_test(every_address_answers),
        cmocka_unit_test(state_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
