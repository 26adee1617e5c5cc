/* The real-time clock: reading, setting, the alarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/rtc_goldfish.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};

static uint64_t wall, armed;
static bool irq;

static uint64_t ticks(void *arg)
{
    (void)arg;
    return 5000;
}

static uint64_t wall_ns(void *arg)
{
    (void)arg;
    return wall;
}

static void sink(void *arg, unsigned n, bool level)
{
    (void)arg, (void)n;
    irq = level;
}

static void arm(void *arg, uint64_t deadline)
{
    (void)arg;
    armed = deadline;
}

static const struct clock clock_of_test = {.now_ticks = ticks, .wall_seconds = wall_ns};

static void make(struct rtc *r)
{
    wall = 0x1723456789abcdef;
    irq = false;
    rtc_init(r, &clock_of_test, (struct irq_line){.set = sink}, arm, NULL);
}

static uint32_t get(struct rtc *r, uint64_t offset)
{
    return (uint32_t)rtc_mmio.read(r, offset, 4);
}

static void set(struct rtc *r, uint64_t offset, uint32_t value)
{
    rtc_mmio.write(r, offset, 4, value);
}

static void the_high_half_is_latched(void **state)
{
    struct rtc r;

    (void)state;
    make(&r);
    assert_int_equal(get(&r, TIME_LOW), 0x89abcdef);
    wall += UINT64_C(1) << 33;
    assert_int_equal(get(&r, TIME_HIGH), 0x17234567);
    rtc_fini(&r);
}

static void the_guest_sets_it(void **state)
{
    struct rtc r;

    (void)state;
    make(&r);
    set(&r, TIME_HIGH, 0x01020304);
    set(&r, TIME_LOW, 0x05060708);
    assert_int_equal(get(&r, TIME_LOW), 0x05060708);
    assert_int_equal(get(&r, TIME_HIGH), 0x01020304);
    wall += 16;
    assert_int_equal(get(&r, TIME_LOW), 0x05060718);
    rtc_fini(&r);
}

static void alarm_at(struct rtc *r, uint64_t ns)
{
    set(r, ALARM_HIGH, (uint32_t)(ns >> 32));
    set(r, ALARM_LOW, (uint32_t)ns);
}

static void the_alarm(void **state)
{
    struct rtc r;

    (void)state;
    make(&r);
    set(&r, IRQ_ENABLED, 1);
    alarm_at(&r, wall + 1000);
    assert_int_equal(get(&r, ALARM_STATUS), 1);
    assert_int_equal(armed, 5000 + 11); /* 100 ns a tick, and never too early */
    assert_false(irq);
    wall += 999;
    rtc_tick(&r);
    assert_false(irq);
    wall += 1;
    rtc_tick(&r);
    assert_true(irq);
    assert_int_equal(get(&r, ALARM_STATUS), 0);
    set(&r, CLEAR_INTERRUPT, 1);
    assert_false(irq);
    alarm_at(&r, wall - 1); /* past: at once */
    assert_true(irq);
    set(&r, IRQ_ENABLED, 0);
    assert_false(irq);
    set(&r, CLEAR_INTERRUPT, 1);
    alarm_at(&r, wall + 1000);
    set(&r, CLEAR_ALARM, 1);
    assert_true(armed == UINT64_MAX);
    alarm_at(&r, UINT64_MAX);
    rtc_reset(&r);
    assert_int_equal(get(&r, ALARM_LOW), 0);
    rtc_fini(&r);
}

static void every_address_answers(void **state)
{
    struct rtc r;

    (void)state;
    make(&r);
    for (uint64_t offset = 0; offset < 0x1000; offset += 4) {
        set(&r, offset, UINT32_MAX);
        get(&r, offset);
    }
    rtc_fini(&r);
}

static void state_is_kept(void **state)
{
    struct rtc r, q;
    FILE *f = tmpfile();
    struct state_io io = {.f = f, .saving = true};

    (void)state;
    make(&r);
    set(&r, IRQ_ENABLED, 1);
    set(&r, TIME_HIGH, 1);
    alarm_at(&r, 7);
    assert_true(irq);
    rtc_state(&r, &io);
    rewind(f);
    make(&q);
    io.saving = false;
    rtc_state(&q, &io);
    assert_false(io.failed);
    assert_true(irq);
    get(&q, TIME_LOW);
    assert_int_equal(get(&q, TIME_HIGH), 1);
    fclose(f);
    rtc_fini(&r);
    rtc_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_high_half_is_latched),
        cmocka_unit_test(the_guest_sets_it),
        cmocka_unit_test(the_alarm),
        cmocka_unit_test(every_address_answers),
        cmocka_unit_test(state_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
