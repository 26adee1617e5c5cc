/* runtime/host_time: ticks of 100 ns from the host's counter, or from instructions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/host_time.h"

enum { TICKS_PER_MS = 10000 };

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct cpu_state *begin(void)
{
    struct cpu_state *s = calloc(1, sizeof *s);
    struct host_time t;

    assert_non_null(s);
    host_time_begin(&t);
    host_time_set(&t, s); /* at once: it waits as long as it needs */
    return s;
}

static void time_begins_at_0(void **state)
{
    struct cpu_state *s = begin();

    (void)state;
    assert_true(host_time_ticks(s, false) < 1000 * TICKS_PER_MS);
    s->time_add = UINT64_C(1) << 60;
    assert_true(host_time_ticks(s, false) >= UINT64_C(1) << 60);
    free(s);
}

static void ticks_are_100_ns(void **state)
{
    struct cpu_state *s = begin();
    uint64_t before = now_ns(), first = host_time_ticks(s, false);
    const struct timespec nap = {.tv_nsec = 100000000};

    (void)state;
    nanosleep(&nap, NULL);
    uint64_t ticks = host_time_ticks(s, false) - first;
    uint64_t want = (now_ns() - before) / 100;

    /* To one per cent: what may come between two readings on a busy host, not the rate. */
    assert_in_range(ticks, want - want / 100, want + want / 100);
    free(s);
}

static void time_does_not_go_back(void **state)
{
    struct cpu_state *s = begin();
    uint64_t last = 0;

    (void)state;
    for (unsigned k = 0; k < 100000; k++) {
        uint64_t t = host_time_ticks(s, false);

        assert_true(t >= last);
        last = t;
    }
    free(s);
}

/* A whole number of ticks is never one short. */
static void virtual_time_counts_instructions(void **state)
{
    struct cpu_state *s = calloc(1, sizeof *s);

    (void)state;
    host_time_set_virtual(s);
    for (uint64_t tick = 0; tick < 3000; tick++) {
        s->icount = tick * VIRTUAL_INSNS_PER_TICK;
        assert_int_equal(host_time_ticks(s, true), tick);
        s->icount += VIRTUAL_INSNS_PER_TICK - 1;
        assert_int_equal(host_time_ticks(s, true), tick);
    }
    for (unsigned k = 12; k < 50; k++) { /* three years of it */
        uint64_t tick = UINT64_C(1) << k;

        s->icount = tick * VIRTUAL_INSNS_PER_TICK;
        assert_int_equal(host_time_ticks(s, true), tick);
        s->icount--;
        assert_int_equal(host_time_ticks(s, true), tick - 1);
    }
    s->time_add = 5;
    s->icount = 0;
    assert_int_equal(host_time_ticks(s, true), 5);
    free(s);
}

/* The inverse, whatever the clock was set to. */
static void virtual_time_is_reached_at_its_count(void **state)
{
    const uint64_t added[] = {0, 5, 1000000, -UINT64_C(3), UINT64_C(1) << 63};
    struct cpu_state *s = calloc(1, sizeof *s);

    (void)state;
    host_time_set_virtual(s);
    for (unsigned k = 0; k < sizeof added / sizeof added[0]; k++) {
        s->time_add = added[k];
        s->icount = 12345;
        uint64_t now = host_time_ticks(s, true);

        assert_true(now == added[k] + 123);
        assert_int_equal(host_time_icount_at(s, now), 12345);
        assert_int_equal(host_time_icount_at(s, now - 1), 12345);
        assert_int_equal(host_time_icount_at(s, now + 1), 12400);
        assert_int_equal(host_time_icount_at(s, now + 1000), 112300);
        if (now < UINT64_MAX / 2)
            assert_true(host_time_icount_at(s, UINT64_MAX / 2) == UINT64_MAX);
    }
    s->time_add = 0;
    assert_true(host_time_icount_at(s, UINT64_MAX) == UINT64_MAX);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_begins_at_0),
        cmocka_unit_test(ticks_are_100_ns),
        cmocka_unit_test(time_does_not_go_back),
        cmocka_unit_test(virtual_time_counts_instructions),
        cmocka_unit_test(virtual_time_is_reached_at_its_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
