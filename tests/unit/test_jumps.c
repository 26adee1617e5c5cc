/* What code finds where it does not know the block that it jumps to: by address, and by page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "runtime/jumps.h"
#include "tests/lib/toy_isa.h"

#define GPA  UINT64_C(0x80005120)
#define VA   UINT64_C(0x0000000000401120)
#define HIGH UINT64_C(0xffffffc000006120)
enum { MODE = 0xc1, OFFSET = 0x120 };

/* ---- Noting and forgetting --------------------------------------------------------------------
 */

static struct tcache tc;
static struct hart hart;

static int set_up(void **state)
{
    (void)state;
    hart = (struct hart){.tc = &tc, .s = calloc(1, sizeof(struct cpu_state))};
    assert_non_null(hart.s);
    state_empty_jumps(hart.s);
    tc = (struct tcache){.n_threads = 1, .hart = {&hart}, .n_harts = 1};
    jumps_init(&tc);
    jumps_join(&hart);
    hart.s->salt[0] = UINT64_C(5) << 40;
    hart.s->salt[1] = UINT64_C(6) << 40;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    jumps_fini(&tc);
    free(hart.s);
    return 0;
}

static struct block block_at(uint64_t gpa, uint32_t mode)
{
    static const uint8_t code[2];

    return (struct block){.gpa = gpa, .mode = mode, .code = code};
}

static void note(struct block *b, uint64_t va)
{
    hart.s->pc = va;
    jumps_note(&hart, b);
}

/* What code would find for va: what x64_stub.c does. */
static const void *by_va_of(const struct cpu_state *s, uint64_t va)
{
    const struct jump_entry *e = &s->jump[jump_index(va)];

    return e->tag == (va ^ s->salt[va >> 63]) ? e->code : NULL;
}

static const void *by_va(uint64_t va)
{
    return by_va_of(hart.s, va);
}

static const void *by_page_of(const struct cpu_state *s, uint64_t va)
{
    uint64_t page = va & ~(uint64_t)(PAGE_SIZE - 1);
    const struct code_page *p = &s->code_page[code_page_index(va)];
    uint64_t tag = p->key | (va ^ page);
    const struct jump_entry *e = &s->phys_jump[phys_jump_index(tag)];

    if (p->tag != (page ^ s->salt[va >> 63]))
        return NULL;
    return e->tag == tag ? e->code : NULL;
}

static const void *by_page(uint64_t va)
{
    return by_page_of(hart.s, va);
}

static void a_block_is_found_both_ways(void **state)
{
    struct block b = block_at(GPA, MODE), there = block_at(GPA + 0x1000, MODE);

    (void)state;
    there.code++;
    note(&b, VA);
    note(&there, HIGH);
    assert_ptr_equal(by_va(VA), b.code);
    assert_ptr_equal(by_page(VA), b.code);
    assert_ptr_equal(by_va(HIGH), there.code);
    assert_ptr_equal(by_page(HIGH), there.code);
    assert_null(by_page(VA + 2));
    assert_null(by_page(VA + 0x1000));
}

/* Of a process that is new nothing is found until something was entered from the page, and then all
 * that others have entered there. */
static void a_page_is_enough_for_all_that_is_in_it(void **state)
{
    struct block b = block_at(GPA, MODE), c = block_at(GPA + 0x40, MODE);

    (void)state;
    note(&b, VA);
    note(&c, VA + 0x40);
    hart.s->salt[0] = UINT64_C(7) << 40;
    assert_null(by_page(VA));
    note(&c, VA + 0x7040); /* at another address, too */
    assert_ptr_equal(by_page(VA + 0x7000), b.code);
    assert_null(by_va(VA + 0x7000));
    assert_null(by_page(VA));
}

static void a_mode_finds_its_own(void **state)
{
    struct block b = block_at(GPA, MODE), c = block_at(GPA + 0x40, MODE + 1);

    (void)state;
    note(&b, VA);
    hart.s->salt[0] = UINT64_C(7) << 40; /* of the other mode */
    note(&c, VA + 0x40);
    assert_ptr_equal(by_page(VA + 0x40), c.code);
    assert_null(by_page(VA));
}

static void one_that_straddles_is_found_by_its_address(void **state)
{
    struct block b = block_at(GPA, MODE);

    (void)state;
    b.gpa2 = GPA + 0x1000;
    note(&b, VA);
    assert_ptr_equal(by_va(VA), b.code);
    assert_null(by_page(VA));
    assert_int_equal(hart.s->code_page[code_page_index(VA)].tag, JUMP_EMPTY);
}

/* It may be of a page of which a part may be fetched. */
static void one_that_is_dropped_is_not_noted(void **state)
{
    struct block b = block_at(GPA, MODE);

    (void)state;
    b.dropped = true;
    note(&b, VA);
    assert_null(by_va(VA));
    assert_int_equal(hart.s->code_page[code_page_index(VA)].tag, JUMP_EMPTY);
}

/* It was entered at more than one address; others that lie in the same places stay. */
static void what_is_dropped_is_forgotten(void **state)
{
    struct block b = block_at(GPA, MODE), c = block_at(GPA + 0x4000, MODE);

    (void)state;
    c.code++;
    note(&b, VA);
    note(&b, VA + 0x1000);
    jumps_forget(&tc, &c);
    assert_ptr_equal(by_page(VA), b.code);
    jumps_forget(&tc, &b);
    assert_null(by_va(VA));
    assert_null(by_va(VA + 0x1000));
    assert_null(by_page(VA));
    note(&c, VA);
    jumps_forget(&tc, &b);
    assert_ptr_equal(by_va(VA), c.code);
    assert_ptr_equal(by_page(VA), c.code);
}

static void more_modes_than_numbers(void **state)
{
    enum { NUMBERS = 255 };

    (void)state;
    for (uint32_t mode = 0; mode < NUMBERS + 3; mode++) {
        struct block b = block_at(GPA, mode);

        hart.s->salt[0] = (UINT64_C(100) + mode) << 40;
        note(&b, VA);
        assert_ptr_equal(by_va(VA), b.code);
        assert_ptr_equal(by_page(VA), mode < NUMBERS ? b.code : NULL);
    }
}

/* What one hart has entered the others of its thread find, when they know the page; those of other
 * threads do not, and each forgets. */
static void harts_of_a_thread_find_alike(void **state)
{
    struct block b = block_at(GPA, MODE), c = block_at(GPA + 0x40, MODE);
    struct tcache three = {.n_threads = 2};
    struct hart h[3];

    (void)state;
    jumps_init(&three);
    for (unsigned n = 0; n < 3; n++) {
        h[n] = (struct hart){.tc = &three, .n = n, .s = calloc(1, sizeof(struct cpu_state))};
        assert_non_null(h[n].s);
        state_empty_jumps(h[n].s);
        h[n].s->salt[0] = UINT64_C(5) << 40;
        jumps_join(&h[n]);
        three.hart[three.n_harts++] = &h[n];
        h[n].s->pc = VA + (n == 0 ? 0 : 0x40);
        jumps_note(&h[n], n == 0 ? &b : &c);
    }
    assert_ptr_equal(by_page_of(h[2].s, VA), b.code);
    assert_null(by_page_of(h[1].s, VA));
    assert_ptr_equal(by_page_of(h[1].s, VA + 0x40), c.code);
    assert_ptr_equal(by_va_of(h[2].s, VA + 0x40), c.code);
    jumps_forget(&three, &c);
    for (unsigned n = 0; n < 3; n++) {
        assert_null(by_page_of(h[n].s, VA + 0x40));
        assert_null(by_va_of(h[n].s, VA + 0x40));
        free(h[n].s);
    }
    jumps_fini(&three);
}

/* ---- Code that jumps --------------------------------------------------------------------------
 */

#define CODE   (TOY_RAM + 0x10000)
#define PAGE   (TOY_RAM + 0x20000)
#define OTHER  (TOY_RAM + 0x31000) /* in another place of the cache */
#define TABLES (TOY_RAM + 0x700000)
enum { N = 32, EACH = 16, LIMIT_S = 20 };

/* At 0x1000 what goes to all the blocks of the page at 0x2000 once; each of them adds to r3. */
static void put_code(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, JR, 0, 8, 0);
    at = CODE + 0x100;
    TOY(t, at, ADDI, 8, 8, EACH);
    TOY(t, at, BNE, 8, 10, (int)(CODE - at) / 2);
    TOY(t, at, STOP, 0, 0, 0);
    for (unsigned k = 0; k < N; k++) {
        uint64_t one = PAGE + k * EACH, other = OTHER + k * EACH;

        TOY(t, one, ADDI, 3, 3, 1);
        TOY(t, one, JR, 0, 9, 0);
        TOY(t, other, ADDI, 3, 3, 2);
        TOY(t, other, JR, 0, 9, 0);
    }
}

/* Gives how often the run loop was asked. */
static uint64_t run_in(struct toy_hart *t, uint64_t root)
{
    uint64_t runs = hart_stats(t->world->hart)->runs;

    t->root = root;
    mmu_switch(t->s.mmu, root, 0, 0, 0, TOY_MODE_KEY);
    t->s.reg[3] = 0;
    t->s.reg[8] = 0x2000;
    t->s.reg[9] = 0x1100;
    t->s.reg[10] = 0x2000 + N * EACH;
    toy_run(t, 0x1000);
    return hart_stats(t->world->hart)->runs - runs;
}

static uint64_t new_process(struct toy_hart *t, unsigned n, uint64_t page)
{
    uint64_t root = TABLES + 0x1000 * n;

    toy_map(t, root, 0x1000, CODE);
    toy_map(t, root, 0x2000, page);
    return root;
}

static struct toy_hart *begin(void)
{
    const struct toy_config config = {.engine = ENGINE_JIT};
    struct toy_hart *t = toy_create(&config);

    alarm(LIMIT_S);
    put_code(t);
    return t;
}

static void end(struct toy_hart *t)
{
    alarm(0);
    toy_destroy(t);
}

static void a_new_process_asks_once_for_each_page(void **state)
{
    struct toy_hart *t = begin();

    (void)state;
    assert_true(run_in(t, new_process(t, 0, PAGE)) > N);
    assert_int_equal(t->s.reg[3], N);
    for (unsigned n = 1; n < 4; n++) {
        assert_true(run_in(t, new_process(t, n, PAGE)) < 8);
        assert_int_equal(t->s.reg[3], N);
    }
    end(t);
}

static void another_page_at_that_address_is_another(void **state)
{
    struct toy_hart *t = begin();

    (void)state;
    run_in(t, new_process(t, 0, PAGE));
    run_in(t, new_process(t, 1, OTHER));
    assert_int_equal(t->s.reg[3], 2 * N);
    run_in(t, new_process(t, 2, PAGE));
    assert_int_equal(t->s.reg[3], N);
    assert_true(run_in(t, new_process(t, 3, OTHER)) < 8);
    assert_int_equal(t->s.reg[3], 2 * N);
    end(t);
}

/* The exit of the only block at gpa. */
static const struct block_exit *exit_at(struct toy_hart *t, uint64_t gpa)
{
    const struct block *b = block_find(t->world->hart->tc->blocks, gpa, TOY_MODE_KEY, NULL, NULL);

    assert_non_null(b);
    return &b->exit[0];
}

/* A link over pages that another process has made, of the same program: soon it is this one's, and
 * it was never unlinked. */
static void another_process_takes_a_link_over(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, JMP, 0, 0, (0x2000 - 0x1004) / 2);
    at = PAGE;
    TOY(t, at, BNE, 1, 2, -0x1000 / 2);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[2] = 1000;
    for (unsigned n = 0; n < 3; n++) {
        uint64_t root = new_process(t, n, PAGE);

        t->s.reg[1] = 0;
        assert_true(run_in(t, root) < 10);
        assert_int_equal(t->s.reg[1], 1000);
        const struct block_exit *e = exit_at(t, CODE);
        const struct page_cell *cell = (const void *)(e->from->code + e->at.cell);

        assert_true(e->at.cell && e->to == exit_at(t, PAGE)->from && e->epoch == 0);
        assert_int_equal(cell->page_tag, 0x1000 ^ t->s.salt[0]);
    }
    end(t);
}

/* By the page, where its jump cache was of a process before, and where it is of this one. */
static void what_was_written_anew_is_run_anew(void **state)
{
    struct toy_hart *t = begin();

    (void)state;
    run_in(t, new_process(t, 0, PAGE));
    toy_put(t, PAGE + 5 * EACH, toy_word(TOY_ADDI, 3, 3, 100));
    run_in(t, new_process(t, 1, PAGE));
    assert_int_equal(t->s.reg[3], N - 1 + 100);
    toy_put(t, PAGE + 6 * EACH, toy_word(TOY_ADDI, 3, 3, 100));
    run_in(t, new_process(t, 1, PAGE));
    assert_int_equal(t->s.reg[3], N - 2 + 200);
    end(t);
}

int main(void)
{
#define NOTING(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        NOTING(a_block_is_found_both_ways),
        NOTING(a_page_is_enough_for_all_that_is_in_it),
        NOTING(a_mode_finds_its_own),
        NOTING(one_that_straddles_is_found_by_its_address),
        NOTING(one_that_is_dropped_is_not_noted),
        NOTING(what_is_dropped_is_forgotten),
        NOTING(more_modes_than_numbers),
        cmocka_unit_test(harts_of_a_thread_find_alike),
        cmocka_unit_test(a_new_process_asks_once_for_each_page),
        cmocka_unit_test(another_page_at_that_address_is_another),
        cmocka_unit_test(another_process_takes_a_link_over),
        cmocka_unit_test(what_was_written_anew_is_run_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
