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

/* A trial of the block's first access, of which each but the first comes from the space before or
 * from a new one. */
static uint64_t tries_in_spaces(struct toy_hart *t, bool new_spaces)
{
    enum { TRIAL = 33 };
    struct hart *h = t->world->hart;
    const struct block *b = block_find(h->tc->blocks, CODE, TOY_MODE_KEY, NULL, NULL);
    const uint64_t salt = t->s.salt[0], noted = hart_stats(h)->wild;

    assert_non_null(b);
    for (uint64_t n = 0; n < TRIAL; n++) {
        t->s.insn_off = CODE % PAGE_SIZE;
        t->s.worn_cell = 0;
        t->s.worn_code = b->code;
        t->s.salt[0] = salt + (new_spaces ? n << 40 : 0);
        wild_worn(h, DATA);
    }
    t->s.salt[0] = salt;
    return hart_stats(h)->wild - noted;
}

static void an_access_of_many_spaces_loses_its_cell(void **state)
{
    struct toy_hart *t = begin(true);

    (void)state;
    run(t, DATA, DATA);
    run(t, DATA, DATA);
    assert_int_equal(tries_in_spaces(t, false), 0);
    assert_int_equal(tries_in_spaces(t, true), 1);
    end(t);
}

/* ---- What is unfit, and for how long ------------------------------------------------------ */

enum { TRIES = 16, LISTED = 256, S = 1000000000 };

static struct hart *hart_of(struct toy_hart *t)
{
    return t->world->hart;
}

static const struct block *block_of(struct toy_hart *t)
{
    return block_find(hart_of(t)->tc->blocks, CODE, TOY_MODE_KEY, NULL, NULL);
}

/* The block has left so often before the instruction at gpa; `why` as s->plain. */
static void leave(struct toy_hart *t, const struct block *b, uint64_t gpa, uint32_t why)
{
    for (unsigned n = 0; n < TRIES; n++) {
        t->s.plain = why;
        t->s.plain_code = b->code;
        wild_plain(hart_of(t), gpa, b->mode);
    }
}

static bool is_noted(struct toy_hart *t, uint64_t gpa)
{
    return wild_is_noted(hart_of(t)->wild, gpa, TOY_MODE_KEY);
}

/* What is noted at `now` is noted until so many seconds later. */
static void is_left_alone_for(struct toy_hart *t, uint64_t *now, unsigned seconds)
{
    run(t, DATA, DATA);
    leave(t, block_of(t), CODE, PLAIN_START);
    assert_true(is_noted(t, IR_START_AT(CODE)));
    run(t, DATA, DATA); /* a block that takes nothing for granted */
    const struct block *b = block_of(t);

    wild_look_again(hart_of(t), *now);
    wild_look_again(hart_of(t), *now + (uint64_t)seconds * S - 1);
    assert_true(is_noted(t, IR_START_AT(CODE)));
    assert_ptr_equal(block_of(t), b);
    *now += (uint64_t)seconds * S;
    wild_look_again(hart_of(t), *now);
    assert_false(is_noted(t, IR_START_AT(CODE)));
    assert_null(block_of(t));
}

static void what_is_unfit_gets_another_chance_ever_later(void **state)
{
    struct toy_hart *t = begin(false);
    uint64_t now = S;

    (void)state;
    is_left_alone_for(t, &now, 1);
    is_left_alone_for(t, &now, 4);
    is_left_alone_for(t, &now, 16);
    is_left_alone_for(t, &now, 64);
    is_left_alone_for(t, &now, 64);
    end(t);
}

static void tries_are_counted_anew(void **state)
{
    struct toy_hart *t = begin(false);

    (void)state;
    run(t, DATA, DATA);
    const struct block *b = block_of(t);

    leave(t, b, CODE + 8, PLAIN_ACCESS);
    for (unsigned n = 1; n < TRIES; n++) {
        t->s.plain = PLAIN_ACCESS;
        t->s.plain_code = b->code;
        wild_plain(hart_of(t), CODE + 16, b->mode);
    }
    wild_look_again(hart_of(t), S);
    wild_look_again(hart_of(t), UINT64_C(2) * S);
    t->s.plain = PLAIN_ACCESS;
    t->s.plain_code = b->code;
    wild_plain(hart_of(t), CODE + 16, b->mode);
    assert_false(is_noted(t, CODE + 16));
    end(t);
}

/* More than are listed stay noted: each costs what it cost before. */
static void more_than_are_listed_stay_noted(void **state)
{
    struct toy_hart *t = begin(false);
    unsigned n_noted = 0;

    (void)state;
    run(t, DATA, DATA);
    const struct block *b = block_of(t);

    for (unsigned n = 0; n < LISTED + 3; n++)
        leave(t, b, CODE + 2 * n, PLAIN_ACCESS);
    wild_look_again(hart_of(t), S);
    wild_look_again(hart_of(t), UINT64_C(2) * S);
    for (unsigned n = 0; n < LISTED + 3; n++)
        n_noted += is_noted(t, CODE + 2 * n);
    assert_int_equal(n_noted, 3);
    assert_true(is_noted(t, CODE + 2 * LISTED));
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_runs_often_gets_cells),
        cmocka_unit_test(a_block_has_them_at_once_when_none_is_evaluated),
        cmocka_unit_test(an_access_that_jumps_loses_its_cell),
        cmocka_unit_test(an_access_that_moves_on_keeps_its_cell),
        cmocka_unit_test(an_access_of_many_spaces_loses_its_cell),
        cmocka_unit_test(what_is_unfit_gets_another_chance_ever_later),
        cmocka_unit_test(tries_are_counted_anew),
        cmocka_unit_test(more_than_are_listed_stay_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
