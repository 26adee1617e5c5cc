/* Blocks that run for the first time: who is remembered, and what evaluating them must not miss. */
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
enum { LIMIT_S = 20 };

/* ---- The set -------------------------------------------------------------------------------- */

static void a_block_is_new_once(void **state)
{
    struct seen *s = seen_create();

    (void)state;
    assert_false(seen_before(s, CODE, 1));
    assert_true(seen_before(s, CODE, 1));
    assert_false(seen_before(s, CODE, 3));
    assert_false(seen_before(s, CODE + 2, 1));
    assert_true(seen_before(s, CODE, 3));
    seen_forget(s, CODE, 3);
    assert_true(!seen_has(s, CODE, 3) && seen_has(s, CODE, 1));
    seen_forget(s, CODE, 3);
    assert_false(seen_before(s, CODE, 3));
    seen_destroy(s);
}

/* Two blocks by turns, whatever else runs between: each is translated in the end. */
static void nobody_stays_new(void **state)
{
    struct seen *s = seen_create();
    unsigned n_new = 0;

    (void)state;
    for (uint64_t gpa = 0; gpa < 2000; gpa += 2)
        n_new += !seen_before(s, gpa, 0);
    for (unsigned round = 0; round < 100; round++)
        for (uint64_t gpa = 0; gpa < 2000; gpa += 2)
            n_new += !seen_before(s, gpa, 0);
    assert_in_range(n_new, 900, 1000);
    seen_destroy(s);
}

/* A guest that runs new code for ever: most of it is still found to be new. */
static void it_does_not_fill_up(void **state)
{
    struct seen *s = seen_create();
    unsigned n_new = 0, n = 1000000;

    (void)state;
    for (uint64_t k = 0; k < n; k++)
        n_new += !seen_before(s, k * 2, 0);
    assert_in_range(n_new, n / 2, n);
    seen_destroy(s);
}

/* ---- The first run -------------------------------------------------------------------------- */

static struct toy_hart *begin(void)
{
    const struct toy_config config = {.engine = ENGINE_JIT, .evaluate_first = true};

    alarm(LIMIT_S);
    return toy_create(&config);
}

static void end(struct toy_hart *t)
{
    alarm(0);
    toy_destroy(t);
}

static void the_second_run_is_translated(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, ADDI, 3, 3, 1);
    TOY(t, at, STOP, 0, 0, 0);
    for (uint64_t round = 1; round <= 3; round++) {
        const struct hart_stats *stats = hart_stats(t->world->hart);

        toy_run(t, CODE);
        assert_int_equal(t->s.reg[3], round);
        assert_int_equal(stats->evaluated, stats->translated + (round == 1));
    }
    assert_int_equal(hart_stats(t->world->hart)->evaluated, hart_stats(t->world->hart)->translated);
    end(t);
}

/* Two stores into the page of the block that runs: the first hits none of its bytes, and must not
 * open the page, since the second one hits the next instruction. */
static void a_first_run_sees_its_own_stores(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, STW, 5, 9, 0);
    TOY(t, at, STW, 5, 8, 0);
    TOY(t, at, ADDI, 3, 3, 1); /* becomes + 100 */
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[5] = toy_word(TOY_ADDI, 3, 3, 100);
    t->s.reg[8] = CODE + 8;
    t->s.reg[9] = CODE + 0x800;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 100);
    end(t);
}

/* The block that a trap left in its middle runs no more: its page is an ordinary one afterwards. */
static void a_trap_ends_a_first_run(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, LD, 3, 8, 0); /* leaves by a jump out of the evaluator */
    TOY(t, at, STOP, 0, 0, 0);
    at = CODE + 0x1000;
    TOY(t, at, STOP, 0, 0, 0);
    t->vector = CODE + 0x1000;
    t->s.reg[8] = 0x1000; /* nothing is there */
    toy_run(t, CODE);
    assert_int_equal(t->traps, 1);
    assert_int_equal(t->epc, CODE);
    assert_int_equal(((struct hart *)t->world->hart)->evaluated.len_bytes, 0);
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_new_once),
        cmocka_unit_test(nobody_stays_new),
        cmocka_unit_test(it_does_not_fill_up),
        cmocka_unit_test(the_second_run_is_translated),
        cmocka_unit_test(a_first_run_sees_its_own_stores),
        cmocka_unit_test(a_trap_ends_a_first_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
