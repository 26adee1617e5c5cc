/* The run loop with a guest that is not RISC-V, under each engine: links, eviction, code that
 * changes, mappings that change, waiting, kicks from other threads, host faults. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/opt/opt.h"
#include "runtime/hart_int.h"
#include "softmmu/mmu_int.h"
#include "tests/lib/toy_isa.h"

#define CODE  (TOY_RAM + 0x10000)
#define DATA  (TOY_RAM + 0x400000)
#define TABLE (TOY_RAM + 0x700000)
/* Where the page table is found under itself, and where trap handlers are. */
#define TABLE_VA   UINT64_C(0x8000)
#define HANDLER_VA UINT64_C(0x9000)
enum { LIMIT_S = 20 };

/* How the tests run: each of them under each of these. */
static const struct how {
    enum engine engine;
    bool evaluate_first;
} hows[] = {{ENGINE_JIT, false}, {ENGINE_JIT, true}, {ENGINE_INTERP, false}, {ENGINE_CHECK, false}};

static enum engine engine_of(void **state)
{
    return ((const struct how *)*state)->engine;
}

static bool evaluates_first(void **state)
{
    return ((const struct how *)*state)->evaluate_first;
}

/* A hang is a failure, and says so. */
static struct toy_hart *begin(void **state)
{
    const struct toy_config config = {.engine = engine_of(state),
                                      .evaluate_first = evaluates_first(state)};

    alarm(LIMIT_S);
    return toy_create(&config);
}

static void end(struct toy_hart *t)
{
    alarm(0);
    toy_destroy(t);
}

/* Whether counts of what was translated are known. */
static bool is_jit(void **state)
{
    return engine_of(state) == ENGINE_JIT && !evaluates_first(state);
}

/* A jump from `at` to `to`. */
static uint64_t jump(struct toy_hart *t, uint64_t at, uint64_t to)
{
    return toy_put(t, at, toy_word(TOY_JMP, 0, 0, (int)((int64_t)(to - at) / 2)));
}

static uint64_t loop_back(struct toy_hart *t, uint64_t at, unsigned a, unsigned b, uint64_t to)
{
    return toy_put(t, at, toy_word(TOY_BNE, a, b, (int)((int64_t)(to - at) / 2)));
}

/* r5 <-> r6, by way of r7. */
static uint64_t swap_r5_r6(struct toy_hart *t, uint64_t at)
{
    TOY(t, at, ADDI, 7, 5, 0);
    TOY(t, at, ADDI, 5, 6, 0);
    TOY(t, at, ADDI, 6, 7, 0);
    return at;
}

/* ---- Loops and links ----------------------------------------------------------------------- */

/* r3 = 3 for each of r2 rounds, counted in r1. */
static void put_loop(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, ADDI, 3, 3, 3);
    at = loop_back(t, at, 1, 2, CODE);
    TOY(t, at, STOP, 0, 0, 0);
}

static void a_loop_runs_linked(void **state)
{
    struct toy_hart *t = begin(state);

    put_loop(t);
    t->s.reg[2] = 1000;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 3000);
    assert_int_equal(t->s.pc, CODE + 16);
    if (is_jit(state)) {
        assert_true(hart_stats(t->world->hart)->runs < 10);
        assert_true(hart_block_stats(t->world->hart)->links >= 1);
    }
    end(t);
}

/* By it a window is given sooner or later (softmmu/promote.c). */
static void a_block_knows_how_often_it_reaches_memory(void **state)
{
    const struct toy_config config = {.engine = engine_of(state),
                                      .evaluate_first = evaluates_first(state),
                                      .no_passes = OPT_cells | OPT_share};
    struct toy_hart *t = toy_create(&config);
    uint64_t at = CODE, stop;

    TOY(t, at, LD, 3, 4, 0);
    TOY(t, at, ST, 3, 4, 8);
    TOY(t, at, ST, 3, 4, 16);
    TOY(t, at, ADDI, 1, 1, 1);
    stop = loop_back(t, at, 1, 2, CODE);
    at = stop;
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[2] = 10;
    t->s.reg[4] = DATA;
    t->s.pc = CODE;
    assert_int_equal(hart_density(t->world->hart).n_insns, 0);
    toy_run(t, CODE);
    t->s.pc = CODE;
    assert_int_equal(hart_density(t->world->hart).n_insns, 5);
    assert_int_equal(hart_density(t->world->hart).n_accesses, 3);
    assert_false(hart_density(t->world->hart).is_made);
    assert_int_equal(hart_density(t->world->hart).n_lookups,
                     engine_of(state) == ENGINE_INTERP ? 0 : 3);
    t->s.pc = stop;
    assert_int_equal(hart_density(t->world->hart).n_accesses, 0);
    t->s.pc = CODE + 4;
    assert_int_equal(hart_density(t->world->hart).n_insns, 0);
    end(t);
}

static void no_links_means_none(void **state)
{
    const struct toy_config config = {
        .engine = engine_of(state), .evaluate_first = evaluates_first(state), .no_links = true};
    struct toy_hart *t = toy_create(&config);

    put_loop(t);
    t->s.reg[2] = 1000;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 3000);
    assert_true(hart_stats(t->world->hart)->runs >= 999);
    assert_int_equal(hart_block_stats(t->world->hart)->links, 0);
    toy_destroy(t);
}

static void one_instruction_a_block(void **state)
{
    const struct toy_config config = {
        .engine = engine_of(state), .evaluate_first = evaluates_first(state), .max_insns = 1};
    struct toy_hart *t = toy_create(&config);

    put_loop(t);
    t->s.reg[2] = 100;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 300);
    /* The last one runs once. */
    assert_int_equal(hart_stats(t->world->hart)->translated, evaluates_first(state) ? 3 : 4);
    toy_destroy(t);
}

static void pages_are_linked_to_pages(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t there = CODE + 0x3000, at = CODE;

    TOY(t, at, ADDI, 1, 1, 1);
    at = jump(t, at, there);
    TOY(t, there, ADDI, 3, 3, 3);
    there = loop_back(t, there, 1, 2, CODE);
    TOY(t, there, STOP, 0, 0, 0);
    t->s.reg[2] = 1000;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 3000);
    if (is_jit(state))
        assert_true(hart_stats(t->world->hart)->runs < 10);
    end(t);
}

/* A loop that comes to a straddler in each turn. */
static void loop_over_straddler(void **state, uint64_t there, bool by_register)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE;

    t->s.reg[2] = 1000;
    t->s.reg[8] = there + 2;
    t->s.reg[9] = CODE + 0x100;
    TOY(t, at, ADDI, 1, 1, 1);
    if (by_register)
        TOY(t, at, JR, 0, 8, -2);
    else
        at = jump(t, at, there);
    TOY(t, there, ADDI, 3, 3, 3); /* straddles */
    TOY(t, there, JR, 0, 9, 0);
    at = CODE + 0x100;
    at = loop_back(t, at, 1, 2, CODE);
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 3000);
    if (is_jit(state))
        assert_true(hart_stats(t->world->hart)->runs < 20);
    end(t);
}

/* From inside its page, by a jump that has a guard. */
static void a_straddler_is_linked(void **state)
{
    loop_over_straddler(state, CODE + 0xffe, false);
}

static void jumps_through_a_register(void **state)
{
    loop_over_straddler(state, CODE + 0x5ffe, true);
}

/* ---- A cache that is always too small ------------------------------------------------------ */

enum { MANY = 2500, ROUNDS = 5, EACH_BYTES = 0x134 };

/* MANY blocks (interp: more than the cache's lists hold), some in one page and some over two, each
 * leading to the next one. */
static void eviction_goes_on_and_on(void **state)
{
    const struct toy_config config = {.engine = engine_of(state),
                                      .evaluate_first = evaluates_first(state),
                                      .cache_bytes = 64 << 10,
                                      .cache_segments = 4};
    struct toy_hart *t = toy_create(&config);
    uint64_t at, sum = 0;

    alarm(4 * LIMIT_S);
    for (unsigned k = 0; k < MANY; k++) {
        at = CODE + k * EACH_BYTES;
        for (unsigned i = 0; i < 3 + k % 5; i++, sum += k % 100)
            TOY(t, at, ADDI, 10 + i, 10 + i, (int)(k % 100));
        if (k + 1 == MANY)
            break;
        jump(t, at, CODE + (k + 1) * EACH_BYTES);
    }
    TOY(t, at, ADDI, 1, 1, 1);
    /* Too far for BNE. */
    TOY(t, at, BNE, 1, 2, 4);
    TOY(t, at, STOP, 0, 0, 0);
    TOY(t, at, JR, 0, 8, 0);
    t->s.reg[8] = CODE;
    t->s.reg[2] = ROUNDS;
    toy_run(t, CODE);

    uint64_t got = 0;

    for (unsigned i = 10; i < 20; i++)
        got += t->s.reg[i];
    assert_int_equal(got, sum * ROUNDS);
    assert_true(hart_cache_stats(t->world->hart)->evictions > 8);
    assert_true(hart_stats(t->world->hart)->translated > MANY * ROUNDS / 2);
    end(t);
}

/* ---- Code that changes ----------------------------------------------------------------------- */

enum { PLUS_1, PLUS_100, N_PLUS };

static uint32_t plus(unsigned which)
{
    return toy_word(TOY_ADDI, 3, 3, which == PLUS_100 ? 100 : 1);
}

/* r5 and r6: the two words; r8: where they go; r2 rounds. */
static void set_words(struct toy_hart *t, uint64_t where, uint64_t rounds)
{
    t->s.reg[5] = plus(PLUS_100);
    t->s.reg[6] = plus(PLUS_1);
    t->s.reg[8] = where;
    t->s.reg[2] = rounds;
}

static void a_block_rewrites_itself(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE, where;

    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, STW, 5, 8, 0);
    where = at;
    at = toy_put(t, at, plus(PLUS_1)); /* the very next instruction */
    at = swap_r5_r6(t, at);
    at = loop_back(t, at, 1, 2, CODE);
    TOY(t, at, STOP, 0, 0, 0);
    set_words(t, where, 400);
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 200 * 101);
    end(t);
}

static void a_block_rewrites_another(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t there = CODE + 0x2000, at = CODE;

    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, STW, 5, 8, 0);
    at = jump(t, at, there);
    uint64_t where = there;

    there = toy_put(t, there, plus(PLUS_1));
    there = swap_r5_r6(t, there);
    there = loop_back(t, there, 1, 2, CODE);
    TOY(t, there, STOP, 0, 0, 0);
    set_words(t, where, 400);
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 200 * 101);
    end(t);
}

/* The changed word is the second half of an instruction that lies over two pages, so that the
 * block is known by its first page, and the store hits its second. */
static void the_second_page_of_a_block_changes(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t there = CODE + 0x2ffe, at = CODE;

    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, STW, 5, 8, 0);
    TOY(t, at, JR, 0, 9, 0);
    t->s.reg[9] = there;
    there = toy_put(t, there, plus(PLUS_1));
    TOY(t, there, ADDI, 4, 4, 1); /* its first half is stored with the other's second */
    there = swap_r5_r6(t, there);
    there = loop_back(t, there, 1, 2, CODE);
    TOY(t, there, STOP, 0, 0, 0);
    set_words(t, CODE + 0x3000, 100);
    uint64_t behind = (toy_word(TOY_ADDI, 4, 4, 1) & 0xffff) << 16;

    t->s.reg[5] = plus(PLUS_100) >> 16 | behind;
    t->s.reg[6] = plus(PLUS_1) >> 16 | behind;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 50 * 101);
    assert_int_equal(t->s.reg[4], 100);
    end(t);
}

/* A jump over the end of a page, of whose second half alone the next page is code. */
static void the_tail_of_a_jump_changes(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t jumps = CODE + 0x2ffe, at = CODE;
    uint32_t word[N_PLUS];

    for (unsigned k = 0; k < N_PLUS; k++) {
        uint64_t there = CODE + 0x100 + k * 0x100;

        word[k] = toy_word(TOY_JMP, 0, 0, (int)((int64_t)(there - jumps) / 2));
        there = toy_put(t, there, plus(k));
        jump(t, there, CODE + 0x300);
    }
    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, STW, 5, 8, 0);
    TOY(t, at, JR, 0, 9, 0);
    at = swap_r5_r6(t, CODE + 0x300);
    at = loop_back(t, at, 1, 2, CODE);
    TOY(t, at, STOP, 0, 0, 0);
    toy_put(t, jumps, word[PLUS_1]);
    set_words(t, CODE + 0x3000, 100);
    t->s.reg[5] = word[PLUS_100] >> 16;
    t->s.reg[6] = word[PLUS_1] >> 16;
    t->s.reg[9] = jumps;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 50 * 101);
    end(t);
}

/* ---- Mappings that change -----------------------------------------------------------------------
 */

/* Paging on: CODE's pages at 0x1000, the table and a page for handlers. */
static void set_up_paging(struct toy_hart *t)
{
    toy_map(t, TABLE, 0x1000, CODE);
    toy_map(t, TABLE, TABLE_VA, TABLE);
    toy_map(t, TABLE, HANDLER_VA, CODE + 0x8000);
    t->s.reg[20] = TABLE_VA;
    t->root = TABLE;
    t->vector = HANDLER_VA;
    mmu_switch(t->s.mmu, TABLE, 0, 0, 0, TOY_MODE_KEY);
}

/* 0x1000 remaps 0x2000 to one of two pages, fences, and goes there in the way of `op`. */
static void remap_and_go(void **state, enum toy_op op, int fence_all)
{
    struct toy_hart *t = begin(state);
    uint64_t pages[2] = {CODE + 0x4000, CODE + 0x5000};
    uint64_t at = CODE;

    set_up_paging(t);
    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, ST, 5, 20, 2 * 8);
    TOY(t, at, FENCE, 0, 8, fence_all);
    if (op == TOY_JMP)
        at = toy_put(t, at, toy_word(TOY_JMP, 0, 0, (int)(0x2000 - (0x1000 + (at - CODE))) / 2));
    else
        TOY(t, at, JR, 0, 8, 0);
    for (unsigned k = 0; k < N_PLUS; k++) {
        at = toy_put(t, pages[k], plus(k));
        TOY(t, at, JMP, 0, 0, (0x1100 - 0x2004) / 2);
    }
    at = CODE + 0x100;
    /* Twice in a row without a remap, so that links are made and used. */
    TOY(t, at, ADDI, 11, 11, 1);
    TOY(t, at, BNE, 11, 12, (0x2000 - 0x1104) / 2);
    TOY(t, at, ADDI, 11, 13, 0);
    at = swap_r5_r6(t, at);
    TOY(t, at, BNE, 1, 2, (int)(CODE - at) / 2);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[5] = pages[PLUS_1] | 1;
    t->s.reg[6] = pages[PLUS_100] | 1;
    t->s.reg[8] = 0x2000;
    t->s.reg[2] = 200;
    t->s.reg[12] = 4;
    toy_run(t, 0x1000);
    assert_int_equal(t->s.reg[3], 100 * 4 * 101);
    assert_int_equal(t->traps, 0);
    end(t);
}

static void a_link_dies_with_its_page(void **state)
{
    remap_and_go(state, TOY_JMP, 0);
}

static void a_link_dies_with_all_pages(void **state)
{
    remap_and_go(state, TOY_JMP, 1);
}

static void a_jump_entry_dies_with_its_page(void **state)
{
    remap_and_go(state, TOY_JR, 0);
}

/* 0x1ffe straddles, and is reached from inside its page: a link without a guard would not hear that
 * 0x2000 is mapped elsewhere. */
static void a_link_to_a_straddler_dies_with_the_next_page(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t pages[2] = {CODE + 0x4000, CODE + 0x5000};
    uint64_t at = CODE;

    set_up_paging(t);
    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, ST, 5, 20, 2 * 8);
    TOY(t, at, FENCE, 0, 8, 0);
    TOY(t, at, JMP, 0, 0, (0xffe - 0xc) / 2);
    at = CODE + 0x100;
    at = swap_r5_r6(t, at);
    TOY(t, at, BNE, 1, 2, (int)(CODE - at) / 2);
    TOY(t, at, STOP, 0, 0, 0);
    toy_put(t, CODE + 0xffe, plus(PLUS_1));
    for (unsigned k = 0; k < N_PLUS; k++) {
        toy_write(t, pages[k], plus(k) >> 16 | (uint64_t)toy_word(TOY_JR, 0, 9, 0) << 16);
        t->s.reg[5 + k] = pages[k] | 1;
    }
    t->s.reg[8] = 0x2000;
    t->s.reg[9] = 0x1100;
    t->s.reg[2] = 100;
    toy_run(t, 0x1000);
    assert_int_equal(t->s.reg[3], 50 * 101);
    end(t);
}

/* 0x2000 is mapped elsewhere without a fence, and the loop finds that out in the midst of the
 * page: what runs is the old page, what it goes to is in the new one. Either is right, but the
 * old page must not be linked to the new one: it may be found at another address later on. */
static void a_link_stays_in_its_physical_page(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t old = CODE + 0x4000, new = CODE + 0x5000, at = CODE;

    set_up_paging(t);
    toy_map(t, TABLE, 0x2000, old);
    toy_map(t, TABLE, 0x3000, old);
    toy_map(t, TABLE, 0x102000, CODE + 0x6000); /* shares 0x2000's place among the fetched pages */
    toy_put(t, CODE + 0x6000, toy_word(TOY_JR, 0, 8, 0));
    for (unsigned k = 0; k < 2; k++) {
        uint64_t page = k ? new : old;

        toy_put(t, page + 0x100, toy_word(TOY_JMP, 0, 0, 0x100 / 2));
        toy_put(t, page + 0x200, plus(k));
        toy_put(t, page + 0x204, toy_word(TOY_JR, 0, 9, 0));
    }
    TOY(t, at, ADDI, 9, 21, 0x100);
    TOY(t, at, JR, 0, 8, 0);
    at = CODE + 0x100;
    TOY(t, at, STW, 6, 11, 0x200); /* unlinks 0x2100 again */
    TOY(t, at, ST, 5, 20, 2 * 8);
    TOY(t, at, ADDI, 9, 21, 0x200);
    TOY(t, at, JR, 0, 12, 0);
    at = CODE + 0x200;
    TOY(t, at, FENCE, 0, 8, 0);
    TOY(t, at, ADDI, 9, 21, 0x300);
    TOY(t, at, JR, 0, 11, 0x100);
    toy_put(t, CODE + 0x300, toy_word(TOY_STOP, 0, 0, 0));
    t->s.reg[5] = new | 1;
    t->s.reg[6] = plus(PLUS_1);
    t->s.reg[8] = 0x2100;
    t->s.reg[11] = 0x3000;
    t->s.reg[12] = 0x102000;
    t->s.reg[21] = 0x1000;
    toy_run(t, 0x1000);
    assert_int_equal(t->s.reg[3], 1 + 100 + 1);
    end(t);
}

/* An instruction at 0x1ffe; the page that has its second half is mapped by the handler. */
static void fetch_over_a_missing_page(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE + 0xffe;
    uint32_t word = toy_word(TOY_ADDI, 3, 3, 5), other = toy_word(TOY_ADDI, 3, 3, 7);

    set_up_paging(t);
    at = toy_put(t, at, word);
    TOY(t, at, STOP, 0, 0, 0);
    toy_write(t, CODE + 0x6000, other >> 16 | (uint64_t)toy_word(TOY_STOP, 0, 0, 0) << 16);
    at = CODE + 0x8000;
    TOY(t, at, ST, 5, 20, 2 * 8);
    TOY(t, at, FENCE, 0, 8, 0);
    TOY(t, at, RET, 0, 0, 0);
    t->s.reg[5] = (CODE + 0x1000) | 1;
    t->s.reg[8] = 0x2000;

    toy_run(t, 0x1ffe);
    assert_int_equal(t->traps, 1);
    assert_int_equal(t->cause, TOY_CAUSE_FETCH + MMU_FETCH);
    assert_int_equal(t->tval, 0x2000);
    assert_int_equal(t->epc, 0x1ffe);
    assert_int_equal(t->s.reg[3], 5);
    toy_run(t, 0x1ffe);
    assert_int_equal(t->traps, 1);
    assert_int_equal(t->s.reg[3], 10);

    /* Other bytes behind the same first page: another block. */
    toy_map(t, TABLE, 0x2000, CODE + 0x6000);
    mmu_fence(t->s.mmu, false, 0x2000, true, 0);
    toy_run(t, 0x1ffe);
    assert_int_equal(t->s.reg[3], 17);
    toy_map(t, TABLE, 0x2000, CODE + 0x1000);
    mmu_fence(t->s.mmu, false, 0x2000, true, 0);
    uint64_t translated = hart_stats(t->world->hart)->translated;

    toy_run(t, 0x1ffe);
    assert_int_equal(t->s.reg[3], 22);
    assert_int_equal(hart_stats(t->world->hart)->translated, translated); /* both are kept */
    toy_map(t, TABLE, 0x2000, 0);
    mmu_fence(t->s.mmu, false, 0x2000, true, 0);
    toy_run(t, 0x1ffe);
    assert_int_equal(t->traps, 2);
    assert_int_equal(t->s.reg[3], 27);
    end(t);
}

/* The salts begin anew, and one comes back under which a page was linked to another that is mapped
 * elsewhere by now. */
static void links_end_when_salts_begin_anew(void **state)
{
    struct toy_hart *t = begin(state);
    struct mmu *m = t->s.mmu;
    uint64_t at = CODE, salt;

    set_up_paging(t);
    TOY(t, at, JMP, 0, 0, 0x1000 / 2);
    for (unsigned k = 0; k < N_PLUS; k++) {
        at = toy_put(t, CODE + 0x4000 + k * 0x1000, plus(k));
        TOY(t, at, STOP, 0, 0, 0);
    }
    toy_map(t, TABLE, 0x2000, CODE + 0x4000);
    for (unsigned n = 1; n < 4; n++) {
        toy_run(t, 0x1000);
        assert_int_equal(t->s.reg[3], n);
    }
    salt = t->s.salt[0];
    toy_map(t, TABLE, 0x2000, CODE + 0x5000);
    m->salts->next_id = SALT_IDS - 1;
    do
        mmu_fence(m, true, 0, true, 0);
    while (t->s.salt[0] != salt);
    toy_run(t, 0x1000);
    assert_int_equal(t->s.reg[3], 3 + 100);
    end(t);
}

/* An instruction at 0x1ffe that cannot be fetched whole: its trap is of this moment. The handler
 * maps the page and begins again, so that the second time a link, or the jump cache, would lead to
 * the trap. */
static void a_fetch_trap_is_not_found_again(void **state, bool through_register)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE;

    set_up_paging(t);
    if (through_register)
        TOY(t, at, JR, 0, 9, 0);
    else
        TOY(t, at, JMP, 0, 0, 0xffe / 2);
    at = toy_put(t, CODE + 0xffe, plus(PLUS_1));
    TOY(t, at, STOP, 0, 0, 0);
    at = CODE + 0x8000;
    TOY(t, at, ST, 5, 20, 2 * 8);
    TOY(t, at, FENCE, 0, 8, 0);
    TOY(t, at, JR, 0, 10, 0);
    t->s.reg[5] = (CODE + 0x1000) | 1;
    t->s.reg[8] = 0x2000;
    t->s.reg[9] = 0x1ffe;
    t->s.reg[10] = 0x1000;
    toy_run(t, 0x1000);
    assert_int_equal(t->traps, 1);
    assert_int_equal(t->s.reg[3], 1);
    end(t);
}

static void a_fetch_trap_is_not_linked(void **state)
{
    a_fetch_trap_is_not_found_again(state, false);
}

static void a_fetch_trap_is_not_in_the_jump_cache(void **state)
{
    a_fetch_trap_is_not_found_again(state, true);
}

/* ---- Other threads
 * --------------------------------------------------------------------------------- */

struct other {
    struct toy_world *world; /* found before the hart runs: check mode copies what names it */
    unsigned waits;          /* acts when the hart has slept so often */
    bool line, stop;         /* what it does */
    uint32_t bits;           /* and kicks with, 0: not at all */
    pthread_t thread;
};

static void *act(void *arg)
{
    struct other *o = arg;

    while (atomic_load(&o->world->n_waits) < o->waits)
        usleep(200);
    usleep(20000);
    if (o->line)
        atomic_store(&o->world->line, true);
    if (o->stop)
        atomic_store(&o->world->stop, true);
    if (o->bits)
        hart_kick(o->world->hart, o->bits);
    return NULL;
}

static void start(struct other *o, struct toy_hart *t)
{
    o->world = t->world;
    assert_int_equal(pthread_create(&o->thread, NULL, act, o), 0);
}

static void a_kick_interrupts_a_tight_loop(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.line = true, .bits = PENDING_IRQ};
    uint64_t at = CODE;

    TOY(t, at, JMP, 0, 0, 0);
    TOY(t, at, STOP, 0, 0, 0);
    t->vector = CODE + 4;
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->irqs, 1);
    assert_int_equal(t->cause, TOY_CAUSE_IRQ);
    assert_int_equal(t->epc, CODE);
    assert_int_equal(hart_stats(t->world->hart)->interrupts, 1);
    end(t);
}

/* Two pages that lead to each other, through cells and through the jump cache. */
static void a_kick_stops_a_loop_over_pages(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.stop = true, .bits = PENDING_EVENT};

    jump(t, CODE, CODE + 0x2000);
    toy_put(t, CODE + 0x2000, toy_word(TOY_JR, 0, 8, 0));
    t->s.reg[8] = CODE;
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->s.pc & ~UINT64_C(0x2000), CODE & ~UINT64_C(0x2000));
    end(t);
}

/* An interrupt comes between a jump that is not linked yet and its target: the jump must not be
 * linked to the handler. */
static void an_interrupt_is_no_target(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE;

    TOY(t, at, STW, 5, 8, TOY_DEV_LINE);
    at = jump(t, at, CODE + 0x200);
    at = toy_put(t, CODE + 0x200, plus(PLUS_1));
    TOY(t, at, STOP, 0, 0, 0);
    at = CODE + 0x100; /* in the same page: no guard */
    TOY(t, at, STW, 6, 8, TOY_DEV_LINE);
    TOY(t, at, ADDI, 4, 4, 1);
    TOY(t, at, RET, 0, 0, 0);
    t->vector = CODE + 0x100;
    t->s.reg[5] = 1;
    t->s.reg[8] = TOY_DEV;
    toy_run(t, CODE);
    assert_int_equal(t->irqs, 1);
    assert_int_equal(t->s.reg[3], 1);
    assert_int_equal(t->s.reg[4], 1);
    t->s.reg[5] = 0;
    for (unsigned n = 2; n < 5; n++) {
        toy_run(t, CODE);
        assert_int_equal(t->s.reg[3], n);
        assert_int_equal(t->s.reg[4], 1);
    }
    end(t);
}

static void put_wait(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, WAIT, 0, 0, 0);
    TOY(t, at, ADDI, 3, 3, 1);
    TOY(t, at, STOP, 0, 0, 0);
    t->masked = 1;
}

static void waiting_ends_by_a_kick(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.waits = 1, .line = true, .bits = PENDING_IRQ};

    put_wait(t);
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->s.reg[3], 1);
    assert_in_range(atomic_load(&t->world->n_waits), 1, 3);
    end(t);
}

/* The interrupt that ends the wait is delivered, with epc behind WAIT. */
static void waiting_ends_by_an_interrupt(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.waits = 1, .line = true, .bits = PENDING_IRQ};

    put_wait(t);
    t->masked = 0;
    t->vector = CODE + 8;
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->s.reg[3], 0);
    assert_int_equal(t->irqs, 1);
    assert_int_equal(t->epc, CODE + 4);
    end(t);
}

static void waiting_ends_by_time(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.waits = 3, .line = true};

    put_wait(t);
    t->world->wait_ns = 5000000;
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->s.reg[3], 1);
    end(t);
}

static void waiting_ends_by_a_stop(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.waits = 1, .stop = true, .bits = PENDING_EVENT};

    put_wait(t);
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->s.reg[3], 0);
    end(t);
}

/* A kick that brings nothing (a line that is not enabled), and a block dropped under a
 * sleeper (a device's DMA): it sleeps on, and does not spin. */
static void a_sleeper_sleeps_on(void **state)
{
    static const uint32_t bits[] = {PENDING_IRQ, PENDING_LEAVE, PENDING_IRQ | PENDING_LEAVE};

    for (unsigned k = 0; k < 3; k++) {
        struct toy_hart *t = begin(state);
        struct other nothing = {.waits = 1, .bits = bits[k]};
        struct other o = {.waits = 2, .line = true, .bits = PENDING_IRQ};

        put_wait(t);
        start(&nothing, t);
        start(&o, t);
        toy_run(t, CODE);
        pthread_join(nothing.thread, NULL);
        pthread_join(o.thread, NULL);
        assert_int_equal(t->s.reg[3], 1);
        assert_in_range(atomic_load(&t->world->n_waits), 2, 5);
        end(t);
    }
}

/* An event that is polled does not end the wait. */
static void an_event_is_served_in_between(void **state)
{
    struct toy_hart *t = begin(state);
    struct other event = {.waits = 1, .bits = PENDING_EVENT};
    struct other o = {.waits = 2, .line = true, .bits = PENDING_IRQ};

    put_wait(t);
    start(&event, t);
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(event.thread, NULL);
    pthread_join(o.thread, NULL);
    assert_int_equal(t->s.reg[3], 1);
    assert_int_equal(atomic_load(&t->world->n_polls), 2); /* the event, and STOP's */
    assert_in_range(atomic_load(&t->world->n_waits), 2, 4);
    end(t);
}

/* ---- Faults of the guest
 * ------------------------------------------------------------------------------ */

/* Of a jump to where no code can be. */
static void jump_to(struct toy_hart *t, uint64_t target)
{
    uint64_t traps = t->traps;

    t->vector = CODE + 0x1000;
    toy_put(t, CODE, toy_word(TOY_JR, 0, 8, 0));
    toy_put(t, CODE + 0x1000, toy_word(TOY_STOP, 0, 0, 0));
    t->s.reg[8] = target;
    toy_run(t, CODE);
    assert_int_equal(t->traps, traps + 1);
    assert_int_equal(t->cause, TOY_CAUSE_ACCESS + MMU_FETCH);
    assert_int_equal(t->tval, target);
    assert_int_equal(t->epc, target);
}

static void jumps_into_nowhere(void **state)
{
    struct toy_hart *t = begin(state);

    jump_to(t, 0);
    jump_to(t, TOY_DEV);
    jump_to(t, TOY_RAM - 4);
    jump_to(t, TOY_RAM + TOY_RAM_LEN);
    jump_to(t, UINT64_C(0x123456789abcde0));
    jump_to(t, UINT64_C(0xffffffffffffffff) - 3);
    jump_to(t, UINT64_C(0x8000000000000000));
    end(t);
}

static void runs_off_the_end_of_ram(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t last = TOY_RAM + TOY_RAM_LEN - 4;

    t->vector = CODE;
    toy_put(t, CODE, toy_word(TOY_STOP, 0, 0, 0));
    toy_put(t, last, plus(PLUS_1));
    toy_run(t, last);
    assert_int_equal(t->epc, last + 4);
    assert_int_equal(t->s.reg[3], 1);
    /* Half of an instruction. */
    toy_run(t, last + 2);
    assert_int_equal(t->epc, last + 2);
    assert_int_equal(t->tval, last + 4);
    end(t);
}

static void traps_carry_cause_and_tval(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE;

    t->vector = CODE + 0x1000;
    toy_put(t, CODE + 0x1000, toy_word(TOY_RET, 0, 0, 4));
    TOY(t, at, ADDI, 3, 3, 1);
    TOY(t, at, TRAP, 0, 4, 9);
    TOY(t, at, ADDI, 3, 3, 1);
    TOY(t, at, ILLEGAL, 0, 0, 0);
    TOY(t, at, LD, 5, 4, 0); /* nothing at 0x777 */
    TOY(t, at, ST, 5, 4, 0);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[4] = 0x777;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 2);
    assert_int_equal(t->traps, 4);
    assert_int_equal(t->cause, TOY_CAUSE_ACCESS + MMU_STORE);
    assert_int_equal(t->tval, 0x777);
    assert_int_equal(t->epc, CODE + 5 * 4);
    end(t);
}

/* The vector is where no code is: nothing ever runs, but the loop can be ended. */
static void an_endless_trap_loop_ends(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.stop = true, .bits = PENDING_EVENT};

    t->vector = 0x1000;
    toy_put(t, CODE, toy_word(TOY_TRAP, 0, 0, 1));
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_true(t->traps > 10);
    end(t);
}

/* A handler that is itself the instruction which traps. */
static void a_trap_that_traps_ends(void **state)
{
    struct toy_hart *t = begin(state);
    struct other o = {.stop = true, .bits = PENDING_EVENT};

    t->vector = CODE;
    toy_put(t, CODE, toy_word(TOY_TRAP, 0, 0, 1));
    start(&o, t);
    toy_run(t, CODE);
    pthread_join(o.thread, NULL);
    assert_true(t->traps > 10);
    end(t);
}

/* ---- Faults of the host: a store entry that outlived its page's opening
 * ---------------------------------- */

static void put_store(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, STW, 5, 8, 0);
    TOY(t, at, ADDI, 4, 4, 1);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = DATA;
}

static void a_store_faults_into_the_slow_path(void **state)
{
    struct toy_hart *t = begin(state);

    put_store(t);
    t->s.reg[5] = 1;
    toy_run(t, CODE); /* fills the entry */
    track_protect(t->world->hart->tc->track, DATA);
    t->s.reg[5] = 2;
    toy_run(t, CODE);
    t->s.reg[5] = 3;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[4], 3);
    assert_int_equal(toy_read(t, DATA) & 0xffffffff, 3);
    if (is_jit(state)) /* the first closes the entry, if the page stayed closed */
        assert_in_range(hart_stats(t->world->hart)->store_faults, 1, 2);
    end(t);
}

static void a_store_that_faults_drops_the_block(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at;

    put_store(t);
    t->s.reg[5] = 0;
    toy_run(t, CODE);
    const struct mmu_view *v = t->s.view;
    const struct tlb_entry entry = v->store[DATA >> 12 & (TLB_SIZE - 1)];

    at = toy_put(t, DATA, plus(PLUS_1));
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, DATA); /* now the page is code, and the entry gone */
    toy_run(t, DATA); /* and the block is kept */
    assert_int_equal(t->s.reg[3], 2);
    ((struct mmu_view *)t->s.view)->store[DATA >> 12 & (TLB_SIZE - 1)] = entry;
    uint64_t dropped = hart_block_stats(t->world->hart)->dropped;

    t->s.reg[5] = plus(PLUS_100);
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[4], 2);
    assert_int_equal(hart_block_stats(t->world->hart)->dropped, dropped + 1);
    if (is_jit(state) && entry.tag == DATA)
        assert_int_equal(hart_stats(t->world->hart)->store_faults, 1);
    toy_run(t, DATA);
    assert_int_equal(t->s.reg[3], 102);
    end(t);
}

static void a_loader_drops_blocks(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE;

    at = toy_put(t, at, plus(PLUS_1));
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, CODE);
    toy_put(t, CODE, plus(PLUS_100));
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 101);
    end(t);
}

/* What a device writes is heard of as a whole. */
static void a_long_write_drops_all_blocks(void **state)
{
    struct toy_hart *t = begin(state);
    uint64_t at = CODE + 0xff0;
    uint32_t new = plus(PLUS_100);

    at = toy_put(t, at, plus(PLUS_1));
    at = jump(t, at, CODE + 0x1100);
    at = toy_put(t, CODE + 0x1100, plus(PLUS_1));
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, CODE + 0xff0);
    assert_int_equal(t->s.reg[3], 2);
    memcpy(phys_ptr(&t->world->phys, CODE + 0xff0), &new, sizeof new);
    memcpy(phys_ptr(&t->world->phys, CODE + 0x1100), &new, sizeof new);
    hart_wrote(t->world->hart, CODE + 0xf00, 0x400);
    toy_run(t, CODE + 0xff0);
    assert_int_equal(t->s.reg[3], 202);
    end(t);
}

/* ---- Every test under every engine -------------------------------------------------------- */

#define WITH(f, text, k)                                                                           \
    {                                                                                              \
#f " (" text ")", f, NULL, NULL, (void *)(uintptr_t)&hows[k]                               \
    }
#define EACH(f)                                                                                    \
    WITH(f, "jit", 0), WITH(f, "jit, evaluated first", 1), WITH(f, "interp", 2), WITH(f, "check", 3)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_loop_runs_linked),
        EACH(a_block_knows_how_often_it_reaches_memory),
        EACH(no_links_means_none),
        EACH(one_instruction_a_block),
        EACH(pages_are_linked_to_pages),
        EACH(a_straddler_is_linked),
        EACH(jumps_through_a_register),
        EACH(eviction_goes_on_and_on),
        EACH(a_block_rewrites_itself),
        EACH(a_block_rewrites_another),
        EACH(the_second_page_of_a_block_changes),
        EACH(the_tail_of_a_jump_changes),
        EACH(a_link_dies_with_its_page),
        EACH(a_link_dies_with_all_pages),
        EACH(a_jump_entry_dies_with_its_page),
        EACH(a_link_to_a_straddler_dies_with_the_next_page),
        EACH(a_link_stays_in_its_physical_page),
        EACH(fetch_over_a_missing_page),
        EACH(links_end_when_salts_begin_anew),
        EACH(a_fetch_trap_is_not_linked),
        EACH(a_fetch_trap_is_not_in_the_jump_cache),
        EACH(a_kick_interrupts_a_tight_loop),
        EACH(a_kick_stops_a_loop_over_pages),
        EACH(an_interrupt_is_no_target),
        EACH(waiting_ends_by_a_kick),
        EACH(waiting_ends_by_an_interrupt),
        EACH(waiting_ends_by_time),
        EACH(waiting_ends_by_a_stop),
        EACH(a_sleeper_sleeps_on),
        EACH(an_event_is_served_in_between),
        EACH(jumps_into_nowhere),
        EACH(runs_off_the_end_of_ram),
        EACH(traps_carry_cause_and_tval),
        EACH(an_endless_trap_loop_ends),
        EACH(a_trap_that_traps_ends),
        EACH(a_store_faults_into_the_slow_path),
        EACH(a_store_that_faults_drops_the_block),
        EACH(a_loader_drops_blocks),
        EACH(a_long_write_drops_all_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
