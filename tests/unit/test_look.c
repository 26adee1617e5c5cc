/* runtime/look: what a loop waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE (TOY_RAM + 0x10000)
#define DATA (TOY_RAM + 0x400000)
enum { WORD = 1, AT = 2, GO = 3, COUNT = 4, OTHER = 5, LEFT = 200 };

/* What is in the loop, besides the load of the word at [r2] and the branch back while it is not
 * r3's value; or where that word is. */
enum more { NOTHING, LOADS_IT_AGAIN, LOADS_ANOTHER, OF_DEVICE, STORES, COUNTS, N_MORE };

struct seen {
    struct toy_hart *t;
    unsigned n_rests;
    bool found, changed_before, changed_after;
};

/* First it is to look; then the loop has closed, and what it waits for comes. */
static void rest(struct hart *h, void *arg)
{
    struct seen *seen = arg;

    if (seen->n_rests++ == 0) {
        hart_look(h);
        return;
    }
    seen->found = hart_has_found(h);
    if (seen->found)
        seen->changed_before = hart_sleep_in_pause(h, 1000);
    toy_write(seen->t, DATA, LEFT);
    seen->t->world->dev_value = LEFT;
    if (seen->found)
        seen->changed_after = hart_sleep_in_pause(h, UINT64_MAX);
}

static void put_loop(struct toy_hart *t, enum more more)
{
    uint64_t at = CODE;

    TOY(t, at, LD, WORD, AT, 0);
    switch (more) {
    case LOADS_IT_AGAIN: TOY(t, at, LD, WORD, AT, 0); break;
    case LOADS_ANOTHER: TOY(t, at, LD, OTHER, AT, 64); break;
    case STORES: TOY(t, at, ST, OTHER, AT, 64); break;
    case COUNTS: TOY(t, at, ADDI, COUNT, COUNT, -1); break;
    default: TOY(t, at, ADDI, OTHER, OTHER, 0); break;
    }
    if (more == COUNTS) /* it ends by itself */
        TOY(t, at, BNE, COUNT, GO, -4);
    else
        TOY(t, at, BNE, WORD, GO, -4);
    TOY(t, at, STOP, 0, 0, 0);
}

static struct seen look(enum engine engine, enum more more)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = engine, .evaluate_first = true});
    struct seen seen = {.t = t};

    t->world->rest = rest;
    t->world->rest_arg = &seen;
    put_loop(t, more);
    t->s.reg[AT] = more == OF_DEVICE ? TOY_DEV : DATA;
    t->s.reg[GO] = LEFT;
    t->s.reg[COUNT] = LEFT + 1000;
    state_pend(&t->s, PENDING_REST);
    toy_run(t, CODE);
    toy_destroy(t);
    return seen;
}

static const enum engine engines[] = {ENGINE_JIT, ENGINE_INTERP};

static void a_word_is_found(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++)
        for (enum more more = NOTHING; more <= LOADS_IT_AGAIN; more++) {
            const struct seen seen = look(engines[k], more);

            assert_int_equal(seen.n_rests, 2);
            assert_true(seen.found);
            assert_false(seen.changed_before);
            assert_true(seen.changed_after);
        }
}

static void what_is_no_word_is_not(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++)
        for (enum more more = LOADS_ANOTHER; more <= STORES; more++) {
            const struct seen seen = look(engines[k], more);

            assert_int_equal(seen.n_rests, 2);
            assert_false(seen.found);
        }
}

/* Between two words, each of which would be looked at with half of the other's. */
static void a_misaligned_one_is_not(void **state)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});
    struct seen seen = {.t = t};

    (void)state;
    t->world->rest = rest;
    t->world->rest_arg = &seen;
    put_loop(t, NOTHING);
    t->s.reg[AT] = DATA - 4;
    t->s.reg[GO] = (uint64_t)LEFT << 32; /* when rest() has written it */
    state_pend(&t->s, PENDING_REST);
    toy_run(t, CODE);
    assert_int_equal(seen.n_rests, 2);
    assert_false(seen.found);
    toy_destroy(t);
}

static void a_loop_that_changes_something_does_not_close(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        const struct seen seen = look(engines[k], COUNTS);

        assert_int_equal(seen.n_rests, 1);
        assert_false(seen.found);
    }
}

static void what_was_found_is_forgotten(void **state)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});
    struct hart *h = t->world->hart;

    (void)state;
    h->look = (struct look){.left = 3, .is_found = true};
    hart_look_away(h);
    assert_false(hart_has_found(h));
    assert_int_equal(h->look.left, 0);
    toy_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_is_found),
        cmocka_unit_test(what_is_no_word_is_not),
        cmocka_unit_test(a_misaligned_one_is_not),
        cmocka_unit_test(a_loop_that_changes_something_does_not_close),
        cmocka_unit_test(what_was_found_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
