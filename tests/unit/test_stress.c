/* --stress=cache: who decides when a hart evicts, makes a block anew, or lingers; and that nothing
 * comes of it but work. */
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

#define CODE (TOY_RAM + 0x10000)
enum { LIMIT_S = 60, N_HARTS = 2, N_DRAWN = 4000, N_SEGMENTS = 16 };

/* ---- The draw ------------------------------------------------------------------------------- */

static void draw(uint64_t seed, unsigned n, uint8_t drawn[N_DRAWN])
{
    struct stress s;

    stress_init(&s, seed, n);
    for (unsigned k = 0; k < N_DRAWN; k++) {
        drawn[k] = (uint8_t)(stress_forgets(&s) << 7 | stress_evicts(&s, N_SEGMENTS));
        stress_pause(&s);
    }
}

static void seed_and_hart_decide(void **state)
{
    uint8_t a[N_DRAWN], b[N_DRAWN];

    (void)state;
    draw(5, 1, a);
    draw(5, 1, b);
    assert_memory_equal(a, b, N_DRAWN);
    draw(5, 0, b);
    assert_memory_not_equal(a, b, N_DRAWN);
    draw(6, 1, b);
    assert_memory_not_equal(a, b, N_DRAWN);
}

static void each_happens(void **state)
{
    uint8_t a[N_DRAWN];
    unsigned n_forgotten = 0, n_evicted = 0, n_all = 0;

    (void)state;
    for (unsigned hart = 0; hart < 64; hart++) {
        draw(1, hart, a);
        for (unsigned k = 0; k < N_DRAWN; k++) {
            n_forgotten += a[k] >> 7;
            n_evicted += (a[k] & 0x7f) > 0;
            n_all += (a[k] & 0x7f) == N_SEGMENTS;
        }
    }
    assert_in_range(n_forgotten, 64 * N_DRAWN / 100, 64 * N_DRAWN / 40);
    assert_in_range(n_evicted, 64 * N_DRAWN / 800, 64 * N_DRAWN / 300);
    assert_in_range(n_all, 1, n_evicted / 8);
}

static void without_a_seed_there_is_none(void **state)
{
    uint8_t a[N_DRAWN], nothing[N_DRAWN] = {0};

    (void)state;
    draw(0, 1, a);
    assert_memory_equal(a, nothing, N_DRAWN);
}

/* ---- Harts ---------------------------------------------------------------------------------- */

enum { N_PIECES = 300, TIMES = 4000 };

/* What a run of some harts came to. */
struct outcome {
    uint64_t evictions, dropped, translated;
};

/* Each goes through the same blocks over and over: few enough for the cache. They come back by an
 * indirect jump, so that the loop is asked now and then. */
static struct outcome run_harts(const struct toy_config *config)
{
    struct toy_hart *t[N_HARTS];
    struct toy_run r[N_HARTS];
    struct outcome out = {0};
    uint64_t at = CODE, sum = 0;

    alarm(LIMIT_S);
    t[0] = toy_create(config);
    t[1] = toy_add_hart(t[0], config);
    for (unsigned k = 0; k < N_PIECES; k++) {
        TOY(t[0], at, ADDI, 3, 3, (int)(k % 100));
        TOY(t[0], at, JMP, 0, 0, 10);
        at += 16;
        sum += k % 100;
    }
    TOY(t[0], at, ADDI, 4, 4, 1);
    TOY(t[0], at, BNE, 4, 5, 4);
    TOY(t[0], at, STOP, 0, 0, 0);
    toy_put(t[0], at, toy_word(TOY_JR, 0, 7, 0));
    if (config->turns)
        tcache_muster(t[0]->world->tcache);
    for (unsigned k = 0; k < N_HARTS; k++) {
        t[k]->s.reg[5] = TIMES;
        t[k]->s.reg[7] = CODE;
        toy_start(&r[k], t[k], CODE);
    }
    for (unsigned k = 0; k < N_HARTS; k++) {
        toy_wait_for(&r[k]);
        assert_int_equal(t[k]->s.reg[3], sum * TIMES);
        out.translated += hart_stats(t[k]->world->hart)->translated;
    }
    out.evictions = hart_cache_stats(t[0]->world->hart)->evictions;
    out.dropped = hart_block_stats(t[0]->world->hart)->dropped;
    toy_destroy(t[1]);
    toy_destroy(t[0]);
    alarm(0);
    return out;
}

static void a_cache_with_room_evicts(void **state)
{
    struct toy_config config = {.engine = ENGINE_JIT, .n_harts = N_HARTS, .no_links = true};
    struct outcome calm = run_harts(&config), stressed;

    (void)state;
    config.stress_seed = 3;
    stressed = run_harts(&config);
    assert_int_equal(calm.evictions, 0);
    assert_int_equal(calm.dropped, 0);
    assert_true(stressed.evictions > 0);
    assert_true(stressed.dropped > stressed.evictions + N_PIECES);
    assert_true(stressed.translated > 2 * calm.translated);
}

/* In turns it is the seed alone that decides. */
static void in_turns_a_seed_repeats(void **state)
{
    struct toy_config config = {.engine = ENGINE_JIT,
                                .n_harts = N_HARTS,
                                .turns = true,
                                .no_links = true,
                                .stress_seed = 3};
    struct outcome first = run_harts(&config), again = run_harts(&config), other;

    (void)state;
    config.stress_seed = 4;
    other = run_harts(&config);
    assert_memory_equal(&first, &again, sizeof first);
    assert_memory_not_equal(&first, &other, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_and_hart_decide),         cmocka_unit_test(each_happens),
        cmocka_unit_test(without_a_seed_there_is_none), cmocka_unit_test(a_cache_with_room_evicts),
        cmocka_unit_test(in_turns_a_seed_repeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
