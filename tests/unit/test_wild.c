/* Cells are for blocks that run often, and for accesses that stay in their page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE (TOY_RAM + 0x10000)
#define DATA (TOY_RAM + 0x400000)
enum { LIMIT_S = 20, ROUNDS = STATE_HEAT + 2 * STATE_CELL_MISSES };

/* A loop of r9 rounds: r3 = the word at r5; r5 <-> r6. */
static struct toy_hart *begin(bool evaluate_first)
{
    const struct toy_config config = {.engine = ENGINE_JIT, .evaluate_first = evaluate_first};
    struct toy_hart *t;
    uint64_t at = CODE;

    alarm(LIMIT_S);
    t = toy_create(&config);
    TOY(t, at, LD, 3, 5, 0);
    TOY(t, at, ADDI, 7, 5, 0);
    TOY(t, at, ADDI, 5, 6, 0);
    TOY(t, at, ADDI, 6, 7, 0);
    TOY(t, at, ADDI, 4, 4, 1);
    TOY(t, at, BNE, 4, 9, (int)((int64_t)(CODE - at) / 2));
    TOY(t, at, STOP, 0, 0, 0);
    toy_write(t, DATA, 11);
    toy_write(t, DATA + 0x1000, 22);
    return t;
}

static void end(struct toy_hart *t)
{
    alarm(0);
    toy_destroy(t);
}

static void run(struct toy_hart *t, uint64_t a, uint64_t b)
{
    t->s.reg[4] = 0;
    t->s.reg[5] = a;
    t->s.reg[6] = b;
    t->s.reg[9] = ROUNDS;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[4], ROUNDS);
    assert_int_equal(t->s.reg[3], toy_read(t, t->s.reg[6]));
}

static void a_block_that_runs_often_gets_cells(void **state)
{
    struct toy_hart *t = begin(true);
    const struct hart_stats *stats = hart_stats(t->world->hart);

    (void)state;
    run(t, DATA, DATA);
    assert_int_equal(stats->hot, 1);
    assert_int_equal(stats->wild, 0);
    run(t, DATA, DATA); /* what lies behind the loop is translated now */
    uint64_t translated = stats->translated;

    run(t, DATA, DATA + 8);
    assert_int_equal(stats->hot, 1);
    assert_int_equal(stats->wild, 0);
    assert_int_equal(stats->translated, translated);
    end(t);
}

static void a_block_has_them_at_once_when_none_is_evaluated(void **state)
{
    struct toy_hart *t = begin(false);
    const struct hart_stats *stats = hart_stats(t->world->hart);

    (void)state;
    run(t, DATA, DATA);
    assert_int_equal(stats->hot, 0);
    end(t);
}

static void an_access_that_jumps_loses_its_cell(void **state)
{
    struct toy_hart *t = begin(true);
    const struct hart_stats *stats = hart_stats(t->world->hart);

    (void)state;
    run(t, DATA, DATA + 0x1000);
    assert_int_equal(stats->hot, 1);
    assert_int_equal(stats->wild, 1);
    run(t, DATA, DATA + 0x1000); /* what lies behind the loop is translated now */
    uint64_t translated = stats->translated;

    for (unsigned n = 0; n < 3; n++)
        run(t, DATA, DATA + 0x1000);
    assert_int_equal(stats->wild, 1);
    assert_int_equal(stats->translated, translated);
    end(t);
}

/* As many misses, in long runs: a loop over memory. */
static void an_access_that_moves_on_keeps_its_cell(void **state)
{
    struct toy_hart *t = begin(false);
    const struct hart_stats *stats = hart_stats(t->world->hart);

    (void)state;
    t->s.reg[9] = 200;
    for (unsigned n = 0; n < 2 * STATE_CELL_MISSES; n++) {
        t->s.reg[4] = 0;
        t->s.reg[5] = t->s.reg[6] = DATA + n % 2 * 0x1000;
        toy_run(t, CODE);
    }
    assert_int_equal(stats->wild, 0);
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_runs_often_gets_cells),
        cmocka_unit_test(a_block_has_them_at_once_when_none_is_evaluated),
        cmocka_unit_test(an_access_that_jumps_loses_its_cell),
        cmocka_unit_test(an_access_that_moves_on_keeps_its_cell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
