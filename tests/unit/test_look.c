/* runtime/look: what a loop waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE    (TOY_RAM + 0x10000)
#define DATA    (TOY_RAM + 0x400000)
#define LONG_NS UINT64_C(30000000000)
enum { WORD = 1, AT = 2, GO = 3, COUNT = 4, OTHER = 5, LEFT = 200 };

/* What is in the loop, besides the load of the word at [r2] and the branch back while it is not
 * r3's value; or where that word is. */
enum more {
    NOTHING,
    LOADS_IT_AGAIN,
    LOADS_ANOTHER,
    OF_DEVICE,
    MISALIGNED, /* between two words, each of which would be looked at with half of the other's */
    STORES,
    COUNTS
};

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
        seen->changed_after = hart_sleep_in_pause(h, LONG_NS);
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
    t->s.reg[AT] = more == OF_DEVICE ? TOY_DEV : more == MISALIGNED ? DATA - 4 : DATA;
    t->s.reg[GO] = more == MISALIGNED ? (uint64_t)LEFT << 32 : LEFT; /* as rest() writes it */
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

static void a_loop_that_changes_something_does_not_close(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        const struct seen seen = look(engines[k], COUNTS);

        assert_int_equal(seen.n_rests, 1);
        assert_false(seen.found);
    }
}

/* What one such load makes of it. */
static bool finds(struct toy_hart *t, uint64_t va, uint8_t aux)
{
    struct hart *h = t->world->hart;

    hart_look(h);
    assert_true(look_goes_on(h)); /* nothing was loaded yet */
    look_load(&t->s, va, aux);
    assert_false(look_goes_on(h));
    assert_true(atomic_load(&t->s.pending) & PENDING_REST);
    return hart_has_found(h);
}

/* A load that is narrower than a word, or extended, is compared by the word that it is of. */
static void words_of_all_sizes(void **state)
{
    static const uint8_t sizes[] = {IR_U8, IR_U16, IR_U32, IR_64, IR_S8, IR_S16, IR_S32};
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});
    struct hart *h = t->world->hart;

    (void)state;
    for (unsigned k = 0; k < sizeof sizes; k++) {
        const unsigned size = ir_mem_size(sizes[k]);

        for (uint64_t at = DATA; at < DATA + 8; at += size) {
            toy_write(t, DATA, UINT64_C(0x81828384f5f6f7f8));
            assert_true(finds(t, at, sizes[k]));
            assert_false(hart_sleep_in_pause(h, 1000));
            toy_write(t, DATA, UINT64_C(0x81828384f5f6f7f8) ^ UINT64_C(1) << 8 * (at - DATA));
            assert_true(hart_sleep_in_pause(h, LONG_NS));
        }
    }
    toy_destroy(t);
}

/* In the moment between the load and the look at its word. */
static void a_byte_that_has_changed_is_not_found(void **state)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});
    struct hart *h = t->world->hart;

    (void)state;
    hart_look(h);
    look_load(&t->s, DATA + 2, IR_U8);
    toy_write(t, DATA, UINT64_C(1) << 16);
    assert_false(look_goes_on(h));
    assert_false(hart_has_found(h));
    toy_destroy(t);
}

/* Who waits for a time, too, must not sleep beyond it. */
static void a_look_at_the_clock_is_seen(void **state)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});

    (void)state;
    hart_look(t->world->hart);
    look_time(&t->s);
    look_load(&t->s, DATA, IR_64);
    assert_false(look_goes_on(t->world->hart));
    assert_false(hart_has_found(t->world->hart));
    toy_destroy(t);
}

/* A loop of many blocks is given up. */
static void a_look_ends(void **state)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});
    struct hart *h = t->world->hart;
    unsigned n = 0;

    (void)state;
    t->s.pc = CODE;
    hart_look(h);
    look_load(&t->s, DATA, IR_64);
    t->s.pc = CODE + 4;
    while (look_goes_on(h))
        n++;
    assert_in_range(n, 1, 20);
    assert_false(hart_has_found(h));
    assert_false(atomic_load(&t->s.pending) & PENDING_REST);
    toy_destroy(t);
}

/* Somebody who spins himself, and would not come round his loop, does when another one sleeps. */
static void who_spins_looks_at_others_words(void **state)
{
    struct toy_hart *a = toy_create(&(struct toy_config){.engine = ENGINE_JIT, .n_harts = 2});
    struct toy_hart *b = toy_add_hart(a, &(struct toy_config){.engine = ENGINE_JIT, .n_harts = 2});

    (void)state;
    atomic_store(&b->s.pending, 0);
    hart_look_at_words(b->world->hart);
    assert_int_equal(atomic_load(&b->s.pending), 0);
    atomic_store(&a->world->tcache->word_waiters, 1);
    hart_look_at_words(b->world->hart);
    assert_true(atomic_load(&b->s.pending) & PENDING_LEAVE);
    toy_destroy(b);
    toy_destroy(a);
}

/* One sleeps on its word; the other one stores that, and comes round its loop. */
struct pair {
    struct toy_hart *storer;
    unsigned n_rests;
    bool changed;
};

static void sleep_for_the_other(struct hart *h, void *arg)
{
    struct pair *p = arg;

    if (p->n_rests++ == 0) {
        hart_look(h);
        return;
    }
    struct toy_run run;

    toy_start(&run, p->storer, CODE + 0x1000);
    p->changed = hart_has_found(h) && hart_sleep_in_pause(h, LONG_NS);
    toy_wait_for(&run);
}

static void the_other_wakes_it(void **state)
{
    const struct toy_config config = {.engine = ENGINE_JIT, .n_harts = 2};
    struct toy_hart *a = toy_create(&config), *b = toy_add_hart(a, &config);
    struct pair p = {.storer = b};
    uint64_t at = CODE + 0x1000;

    (void)state;
    alarm(20);
    a->world->rest = sleep_for_the_other;
    a->world->rest_arg = &p;
    put_loop(a, NOTHING);
    a->s.reg[AT] = b->s.reg[AT] = DATA;
    a->s.reg[GO] = b->s.reg[GO] = LEFT;
    b->s.reg[COUNT] = 30000000;
    TOY(b, at, ADDI, COUNT, COUNT, -1); /* until the first one sleeps */
    TOY(b, at, BNE, COUNT, OTHER, -2);
    TOY(b, at, ST, GO, AT, 0);
    TOY(b, at, PAUSE, 0, 0, 0);
    TOY(b, at, STOP, 0, 0, 0);
    state_pend(&a->s, PENDING_REST);
    toy_run(a, CODE);
    alarm(0);
    assert_int_equal(p.n_rests, 2);
    assert_true(p.changed);
    toy_destroy(b);
    toy_destroy(a);
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
        cmocka_unit_test(a_loop_that_changes_something_does_not_close),
        cmocka_unit_test(words_of_all_sizes),
        cmocka_unit_test(a_byte_that_has_changed_is_not_found),
        cmocka_unit_test(a_look_at_the_clock_is_seen),
        cmocka_unit_test(a_look_ends),
        cmocka_unit_test(who_spins_looks_at_others_words),
        cmocka_unit_test(the_other_wakes_it),
        cmocka_unit_test(what_was_found_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
