/* Harts that take turns (runtime/turns.h): each engine must give the same order, the same clock and
 * the same end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE  (TOY_RAM + 0x10000)
#define DATA  (TOY_RAM + 0x400000)
#define TRACE (TOY_RAM + 0x500000)
enum { LIMIT_S = 60, MAX = 3 };

static const struct toy_config hows[] = {
    {.engine = ENGINE_JIT, .turns = true},
    {.engine = ENGINE_JIT, .turns = true, .evaluate_first = true},
    {.engine = ENGINE_JIT, .turns = true, .no_links = true},
    {.engine = ENGINE_INTERP, .turns = true},
    {.engine = ENGINE_CHECK, .turns = true},
};
enum { N_HOWS = sizeof hows / sizeof hows[0] };

/* ---- A machine of a few harts ------------------------------------------------------------------
 */

static struct toy_hart *t[MAX];
static unsigned n;
static uint64_t polled_at[MAX]; /* icount at the poll that ended the run */

/* The machine is over when one of them says so, or at the limit. */
static bool poll(void *arg)
{
    struct toy_hart *self = arg;
    const struct tcache *tc = self->world->hart->tc;
    uint64_t now = self->s.icount;

    if (tc->config.max_insns && now >= tc->config.max_insns)
        atomic_store(&t[0]->world->stop, true);
    if (self->world->stop || t[0]->world->stop) {
        for (unsigned k = 0; k < n; k++)
            toy_stop(t[k]);
        for (unsigned k = 0; k < n; k++)
            if (t[k] == self)
                polled_at[k] = now;
        return false;
    }
    return true;
}

/* The run is over when the time comes that this hart waits for. */
static bool poll_until_due(void *arg)
{
    struct toy_hart *self = arg;

    if (self->s.icount >= atomic_load(&self->world->hart->turn.due))
        atomic_store(&self->world->stop, true);
    return poll(arg);
}

static void begin(const struct toy_config *how, unsigned n_harts, uint64_t limit)
{
    struct toy_config config = *how;

    alarm(LIMIT_S);
    config.n_harts = n = n_harts;
    config.limit = limit;
    t[0] = toy_create(&config);
    for (unsigned k = 1; k < n; k++)
        t[k] = toy_add_hart(t[0], &config);
    for (unsigned k = 0; k < n; k++) {
        t[k]->world->hart->config.events.poll = poll;
        t[k]->world->hart->config.events.arg = t[k];
        polled_at[k] = 0;
    }
}

/* wait_world()'s argument is another than poll's. */
static void sleep_in_turns(void *arg)
{
    hart_sleep(((struct toy_hart *)arg)->world->hart, UINT64_MAX);
}

static void sleeps_until(unsigned k, uint64_t due)
{
    t[k]->world->hart->config.events.poll = poll_until_due;
    t[k]->world->hart->config.events.wait = sleep_in_turns;
    hart_set_due(t[k]->world->hart, due);
}

/* The last one's thread is the first to come: it must make no difference. */
static void run(const uint64_t pc[])
{
    struct toy_run r[MAX];

    tcache_muster(t[0]->world->tcache);
    for (unsigned k = n; k-- > 0;) {
        toy_start(&r[k], t[k], pc[k]);
        usleep(k > 0 ? 300 : 0);
    }
    for (unsigned k = 0; k < n; k++)
        toy_wait_for(&r[k]);
}

static void end(void)
{
    alarm(0);
    for (unsigned k = n; k-- > 0;)
        toy_destroy(t[k]);
}

static uint64_t retired(unsigned k)
{
    return t[k]->s.icount - t[k]->s.n_unretired;
}

static uint64_t all_retired(void)
{
    uint64_t sum = 0;

    for (unsigned k = 0; k < n; k++)
        sum += retired(k);
    return sum;
}

static uint64_t clock_now(void)
{
    return t[0]->world->tcache->turns.clock;
}

/* ---- Order ---------------------------------------------------------------------------------- */

/* Each counts, and notes how far the next one is. */
static uint64_t put_tracer(uint64_t at)
{
    const uint64_t pc = at;

    TOY(t[0], at, ADDI, 3, 3, 1);
    TOY(t[0], at, ST, 3, 6, 0);
    TOY(t[0], at, LD, 4, 7, 0);
    TOY(t[0], at, ST, 4, 8, 0);
    TOY(t[0], at, ADDI, 8, 8, 8);
    TOY(t[0], at, BNE, 3, 5, -10);
    TOY(t[0], at, STOP, 0, 0, 0);
    return pc;
}

enum { ROUNDS = 20000, TRACE_LEN = ROUNDS * 8 };

static void trace(const struct toy_config *how, unsigned n_harts, uint64_t of_each[MAX])
{
    uint64_t pc[MAX];

    begin(how, n_harts, 0);
    pc[0] = put_tracer(CODE);
    for (unsigned k = 0; k < n; k++) {
        pc[k] = pc[0];
        t[k]->s.reg[5] = ROUNDS;
        t[k]->s.reg[6] = DATA + 8 * (uint64_t)k;
        t[k]->s.reg[7] = DATA + 8 * (uint64_t)((k + 1) % n);
        t[k]->s.reg[8] = TRACE + TRACE_LEN * (uint64_t)k;
    }
    run(pc);
    for (unsigned k = 0; k < n; k++)
        of_each[k] = retired(k);
}

/* What the first run left: other engines and later runs must leave the same. */
static uint8_t wanted[MAX * TRACE_LEN];

static void the_order_is_the_same_in_each_run_and_engine(void **state)
{
    uint64_t first[MAX], then[MAX];

    (void)state;
    for (unsigned n_harts = 2; n_harts <= MAX; n_harts++) {
        trace(&hows[0], n_harts, first);
        memcpy(wanted, phys_ptr(&t[0]->world->phys, TRACE), n * TRACE_LEN);
        end();
        for (unsigned how = 0; how < N_HOWS; how++) {
            trace(&hows[how], n_harts, then);
            assert_memory_equal(phys_ptr(&t[0]->world->phys, TRACE), wanted, n * TRACE_LEN);
            assert_memory_equal(then, first, n * sizeof *then);
            assert_int_equal(all_retired(), clock_now());
            end();
        }
    }
}

/* Of hart 0, which runs first: it saw the other stand still, go on in leaps, and end. */
static void turns_are_of_some_length(void **state)
{
    const struct toy_config *how = *state;
    uint64_t of_each[MAX], last = 0;
    unsigned n_leaps = 0;

    trace(how, 2, of_each);
    for (unsigned k = 0; k < ROUNDS; k++) {
        uint64_t seen = toy_read(t[0], TRACE + 8 * (uint64_t)k);

        assert_true(seen >= last && seen - last <= TURN_INSNS / 6 + 2);
        n_leaps += seen != last;
        last = seen;
    }
    assert_in_range(n_leaps, ROUNDS * 6 / TURN_INSNS - 2, ROUNDS * 6 / TURN_INSNS + 1);
    end();
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* All sleep: the clock goes on to the time that the first one waits for, and no further. */
static void the_clock_jumps_when_all_sleep(void **state)
{
    const uint64_t pc[] = {CODE, CODE, CODE};
    uint64_t at = CODE;

    begin(*state, 3, 0);
    TOY(t[0], at, WAIT, 0, 0, 0);
    TOY(t[0], at, STOP, 0, 0, 0);
    sleeps_until(0, 1u << 30);
    sleeps_until(1, 7000);
    sleeps_until(2, UINT64_MAX);
    run(pc);
    assert_int_equal(polled_at[1], 7000);
    assert_int_equal(clock_now(), 7000);
    for (unsigned k = 0; k < n; k++)
        assert_int_equal(retired(k), 1);
    end();
}

/* Also when another runs: its turn ends then. */
static void a_sleeper_is_called_at_its_time(void **state)
{
    const uint64_t pc[] = {CODE + 0x100, CODE};
    uint64_t at = CODE;

    begin(*state, 2, 0);
    TOY(t[0], at, WAIT, 0, 0, 0);
    at = CODE + 0x100;
    TOY(t[0], at, ADDI, 3, 3, 1);
    TOY(t[0], at, JMP, 0, 0, -2);
    sleeps_until(1, TURN_INSNS + 7000);
    run(pc);
    assert_in_range(polled_at[1], TURN_INSNS + 7000, TURN_INSNS + 7002);
    assert_int_equal(retired(1), 1);
    assert_int_equal(all_retired(), clock_now());
    end();
}

/* Who says that it spins does not keep the other from what is to be done. */
static void who_spins_gives_its_turn_away(void **state)
{
    enum { TIMES = 2 * TURN_INSNS };
    const uint64_t pc[] = {CODE, CODE + 0x100};
    uint64_t at = CODE;

    begin(*state, 2, 0);
    TOY(t[0], at, PAUSE, 0, 0, 0);
    TOY(t[0], at, LD, 3, 6, 0);
    TOY(t[0], at, BNE, 3, 4, 4);
    TOY(t[0], at, JMP, 0, 0, -6);
    TOY(t[0], at, STOP, 0, 0, 0);
    at = CODE + 0x100;
    TOY(t[0], at, ADDI, 3, 3, 1);
    TOY(t[0], at, BNE, 3, 5, -2);
    TOY(t[0], at, ST, 3, 6, 0);
    const uint64_t for_ever = at;

    TOY(t[0], at, JMP, 0, 0, 0);
    assert_int_equal(at, for_ever + 4);
    t[1]->s.reg[5] = TIMES;
    t[0]->s.reg[6] = t[1]->s.reg[6] = DATA;
    run(pc);
    assert_int_equal(toy_read(t[0], DATA), TIMES);
    assert_in_range(retired(0), 8, 40);
    assert_in_range(retired(1), 2 * TIMES, 2 * TIMES + TURN_INSNS + 40);
    end();
}

/* ---- The limit ---------------------------------------------------------------------------------
 */

/* Blocks are longer than what is left; some end in a trap, which takes as long as an instruction.
 */
static void the_limit_is_exact(void **state)
{
    static const uint64_t limits[] = {
        1,   2,   3,          IR_MAX_GUEST - 1, IR_MAX_GUEST, IR_MAX_GUEST + 1, 100, 997,
        998, 999, TURN_INSNS, TURN_INSNS + 1,   50000};

    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (unsigned n_harts = 1; n_harts <= MAX; n_harts++) {
            const uint64_t pc[] = {CODE, CODE, CODE};
            uint64_t at = CODE, traps = 0;

            begin(*state, n_harts, limits[i]);
            for (unsigned k = 0; k < 20; k++)
                TOY(t[0], at, ADDI, 3, 3, 1);
            TOY(t[0], at, TRAP, 0, 0, 1);
            for (unsigned k = 0; k < n; k++)
                t[k]->vector = CODE;
            run(pc);
            for (unsigned k = 0; k < n; k++)
                traps += t[k]->traps;
            assert_int_equal(clock_now(), limits[i]);
            assert_int_equal(all_retired() + traps, limits[i]);
            end();
        }
    }
}

static void the_limit_ends_a_sleep(void **state)
{
    const uint64_t pc[] = {CODE, CODE};
    uint64_t at = CODE;

    begin(*state, 2, 5000);
    TOY(t[0], at, WAIT, 0, 0, 0);
    sleeps_until(0, UINT64_MAX);
    sleeps_until(1, 6000);
    run(pc);
    assert_int_equal(clock_now(), 5000);
    assert_int_equal(all_retired(), 2);
    end();
}

#define EACH(f)                                                                                    \
    cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[0]),                                     \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[1]),                                 \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[2]),                                 \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[3]),                                 \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[4])

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_the_same_in_each_run_and_engine),
        EACH(turns_are_of_some_length),
        EACH(the_clock_jumps_when_all_sleep),
        EACH(a_sleeper_is_called_at_its_time),
        EACH(who_spins_gives_its_turn_away),
        EACH(the_limit_is_exact),
        EACH(the_limit_ends_a_sleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
