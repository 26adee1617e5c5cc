/* runtime/block: which blocks are found, which fall, and where their jumps lead. The code is
 * the back end's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/block.h"
#include "softmmu/mmu.h"

#define RAM UINT64_C(0x80000000)
enum { RAM_LEN = 1 << 20, MODE = 3, FAR = 0x1000, N_EXITS = 2 };

struct fixture {
    struct phys phys;
    struct cpu_state *s;
    struct block_table *t;
    struct cache *cache;
    struct x64_emitter *x;
    struct ir_block ir;
    uint64_t gpa2;
    bool has_gpa2;
    unsigned asked;
};

static void on_drop(void *arg, struct block *b)
{
    block_drop(((struct fixture *)arg)->t, b);
}

static const struct x64_mmu_layout layout = {.tlb_bits = TLB_BITS,
                                             .load_off = offsetof(struct mmu_view, load),
                                             .store_off = offsetof(struct mmu_view, store)};

static struct fixture *begin(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e;

    assert_non_null(f);
    assert_true(phys_init(&f->phys, RAM, RAM_LEN, &e));
    f->s = calloc(1, sizeof *f->s);
    f->t = block_table_create(&f->phys, f->s);
    f->cache = cache_create(1 << 20, 4, on_drop, f, &e);
    assert_non_null(f->cache);
    block_table_set_cache(f->t, f->cache);
    f->x = x64_emitter_create(&layout, 16);
    return f;
}

static void end(struct fixture *f)
{
    x64_emitter_destroy(f->x);
    cache_destroy(f->cache);
    block_table_destroy(f->t);
    phys_fini(&f->phys);
    free(f->s);
    free(f);
}

/* Exit 0 stays in the page, exit 1 leaves it. */
static void build(struct ir_block *b, uint64_t gpa, uint32_t len)
{
    b->gpa = gpa;
    b->start = (uint32_t)(gpa & 0xfff);
    b->len_bytes = len;
    b->mode = MODE;
    b->n = 0;
    b->n_guest = 1;
    ir_emit(b, IR_insn, 4, IR_NONE, IR_NONE, IR_NONE, b->start);
    ir_ref x = ir_emit(b, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 1);
    ir_ref y = ir_emit(b, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 2);

    ir_emit(b, IR_exit_if, IR_EQ, x, y, IR_NONE, 0x40);
    ir_emit(b, IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, FAR);
}

/* A block of len bytes of guest code; gpa2: the page that its end lies in, or 0. */
static struct block *make(struct fixture *f, uint64_t gpa, uint32_t len, uint64_t gpa2)
{
    struct block *b = cache_meta(f->cache, sizeof *b);
    struct block_exit *exit = cache_meta(f->cache, N_EXITS * sizeof *exit);
    size_t cap;
    uint8_t *rw = cache_room(f->cache, &cap);

    build(&f->ir, gpa, len);
    const struct x64_unit *u = x64_emit(f->x, &f->ir, rw, cap);

    assert_non_null(u);
    assert_int_equal(u->n_exits, N_EXITS);
    *b = (struct block){.gpa = gpa,
                        .gpa2 = gpa2,
                        .mode = MODE,
                        .len_bytes = len,
                        .size_bytes = u->size_bytes,
                        .n_exits = N_EXITS,
                        .exit = exit};
    for (unsigned k = 0; k < N_EXITS; k++)
        exit[k] = (struct block_exit){.from = b, .at = u->exit[k]};
    b->code = cache_commit(f->cache, u->size_bytes, b);
    cache_own(f->cache, b);
    block_insert(f->t, b);
    return b;
}

static bool gpa2_of(void *arg, uint64_t *gpa2)
{
    struct fixture *f = arg;

    f->asked++;
    *gpa2 = f->gpa2;
    return f->has_gpa2;
}

static struct block *find(struct fixture *f, uint64_t gpa)
{
    return block_find(f->t, gpa, MODE, gpa2_of, f);
}

/* Where the jump of exit k leads, as the processor reads it. */
static const uint8_t *leads_to(const struct block *b, unsigned k)
{
    const uint8_t *field = b->code + b->exit[k].at.jump;
    int32_t rel;

    memcpy(&rel, field, sizeof rel);
    return field + 4 + rel;
}

static const uint8_t *stub_of(const struct block *b, unsigned k)
{
    return b->code + b->exit[k].at.stub;
}

static struct page_cell cell_of(const struct block *b)
{
    struct page_cell c;

    memcpy(&c, b->code + b->exit[1].at.cell, sizeof c);
    return c;
}

/* ---- Finding ------------------------------------------------------------------------------- */

static void found_by_address_and_mode(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM + 0x100, 16, 0), *b = make(f, RAM + 0x102, 16, 0);

    (void)state;
    assert_ptr_equal(find(f, RAM + 0x100), a);
    assert_ptr_equal(find(f, RAM + 0x102), b);
    assert_null(find(f, RAM + 0x104));
    assert_null(block_find(f->t, RAM + 0x100, MODE + 1, gpa2_of, f));
    assert_int_equal(f->asked, 0); /* nobody straddles */
    assert_true(block_page_has_code(f->t, RAM + 0xffe));
    assert_false(block_page_has_code(f->t, RAM + 0x1000));
    assert_int_equal(block_stats(f->t)->made, 2);
    end(f);
}

static void straddlers_differ_by_their_second_page(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM + 0xffe, 4, RAM + 0x3000);
    struct block *b = make(f, RAM + 0xffe, 4, RAM + 0x5000);

    (void)state;
    f->has_gpa2 = true;
    f->gpa2 = RAM + 0x3000;
    assert_ptr_equal(find(f, RAM + 0xffe), a);
    f->gpa2 = RAM + 0x5000;
    assert_ptr_equal(find(f, RAM + 0xffe), b);
    f->gpa2 = RAM + 0x7000;
    assert_null(find(f, RAM + 0xffe));
    f->has_gpa2 = false;
    f->gpa2 = RAM + 0x3000;
    assert_null(find(f, RAM + 0xffe));
    assert_true(block_page_has_code(f->t, RAM));
    assert_true(block_page_has_code(f->t, RAM + 0x3000));
    assert_false(block_page_has_code(f->t, RAM + 0x1000));
    end(f);
}

/* ---- Dropping ---------------------------------------------------------------------------------
 */

static void a_range_drops_what_it_touches(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM + 0x100, 16, 0), *b = make(f, RAM + 0x110, 16, 0);

    (void)state;
    assert_false(block_drop_range(f->t, RAM + 0xff, 1));
    assert_false(block_drop_range(f->t, RAM + 0x120, 8));
    assert_false(block_drop_range(f->t, RAM + 0x100, 0));
    assert_true(block_would_drop(f->t, RAM + 0x10f, 1));
    assert_false(a->dropped);
    assert_true(block_drop_range(f->t, RAM + 0x10f, 1));
    assert_true(a->dropped);
    assert_false(b->dropped);
    assert_null(find(f, RAM + 0x100));
    assert_ptr_equal(find(f, RAM + 0x110), b);
    assert_false(block_would_drop(f->t, RAM + 0x10f, 1));
    assert_true(block_drop_range(f->t, RAM, RAM_LEN));
    assert_true(b->dropped);
    assert_false(block_page_has_code(f->t, RAM));
    assert_int_equal(block_stats(f->t)->dropped, 2);
    end(f);
}

/* A write that only begins or ends in RAM, or lies outside of it. */
static void ranges_outside_ram(void **state)
{
    struct fixture *f = begin();

    (void)state;
    make(f, RAM, 16, 0);
    make(f, RAM + RAM_LEN - 16, 16, 0);
    assert_false(block_drop_range(f->t, RAM - 8, 4));
    assert_false(block_drop_range(f->t, RAM + RAM_LEN, 4096));
    assert_false(block_drop_range(f->t, 0, 8));
    assert_false(block_drop_range(f->t, UINT64_MAX - 7, 8));
    assert_true(block_drop_range(f->t, RAM + RAM_LEN - 1, 1));
    assert_true(block_drop_range(f->t, RAM, 1));
    end(f);
}

static void a_straddler_falls_by_either_page(void **state)
{
    struct fixture *f = begin();

    (void)state;
    f->has_gpa2 = true;
    f->gpa2 = RAM + 0x3000;
    for (unsigned k = 0; k < 4; k++) {
        static const struct {
            uint64_t at;
            bool hits;
        } write[4] = {{0xffd, false}, {0xfff, true}, {0x3001, true}, {0x3002, false}};
        struct block *b = make(f, RAM + 0xffe, 4, RAM + 0x3000);
        struct block *other = make(f, RAM + 0x3000 + 0x80, 16, 0);

        /* The page behind in physical memory is not its own. */
        assert_false(block_drop_range(f->t, RAM + 0x1000, 2));
        assert_int_equal(block_drop_range(f->t, RAM + write[k].at, 1), write[k].hits);
        assert_int_equal(b->dropped, write[k].hits);
        assert_false(other->dropped);
        block_drop(f->t, b);
        block_drop(f->t, b); /* twice is once */
        block_drop(f->t, other);
        assert_false(block_page_has_code(f->t, RAM));
        assert_false(block_page_has_code(f->t, RAM + 0x3000));
    }
    end(f);
}

/* The second page may be mapped to the first one's frame. */
static void a_straddler_over_one_frame(void **state)
{
    struct fixture *f = begin();

    (void)state;
    f->has_gpa2 = true;
    f->gpa2 = RAM;
    struct block *b = make(f, RAM + 0xffe, 4, RAM);

    assert_ptr_equal(find(f, RAM + 0xffe), b);
    assert_true(block_drop_range(f->t, RAM + 1, 1));
    assert_true(b->dropped);
    assert_false(block_page_has_code(f->t, RAM));
    end(f);
}

/* Many blocks in few pages, dropped in a random order: lists and hash stay whole. */
static void lists_stay_whole(void **state)
{
    enum { N = 300 };
    struct fixture *f = begin();
    struct block *b[N];
    uint32_t seed = 7;

    (void)state;
    f->has_gpa2 = true;
    for (unsigned k = 0; k < N; k++) {
        bool straddles = k % 3 == 0;

        b[k] = straddles ? make(f, RAM + (k % 4) * 0x1000 + 0xffe, 4, RAM + (k % 5) * 0x1000)
                         : make(f, RAM + k * 32, 16, 0);
    }
    for (unsigned left = N; left > 0; left--) {
        seed = seed * 1664525 + 1013904223;
        unsigned k = (seed >> 8) % left;

        block_drop(f->t, b[k]);
        b[k] = b[left - 1];
        for (unsigned i = 0; i + 1 < left; i += 7)
            assert_true(block_would_drop(f->t, b[i]->gpa, 1));
    }
    for (uint64_t page = 0; page < 16; page++)
        assert_false(block_page_has_code(f->t, RAM + page * 0x1000));
    end(f);
}

/* ---- Links
 * ---------------------------------------------------------------------------------------- */

static const struct page_cell tags = {.page_tag = 0x1000, .next_va = 0x2000, .next_tag = 0x3000};

static void a_link_leads_there_and_back(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM, 8, 0), *b = make(f, RAM + 0x40, 8, 0);

    (void)state;
    assert_int_equal(a->exit[0].at.cell, 0);
    assert_int_not_equal(a->exit[1].at.cell, 0);
    assert_ptr_equal(leads_to(a, 0), stub_of(a, 0));
    assert_ptr_equal(leads_to(a, 1), stub_of(a, 1));
    block_link(f->t, &a->exit[0], b, &tags);
    assert_ptr_equal(leads_to(a, 0), b->code);
    assert_ptr_equal(a->exit[0].to, b);
    assert_ptr_equal(b->incoming, &a->exit[0]);
    block_drop(f->t, b);
    assert_ptr_equal(leads_to(a, 0), stub_of(a, 0));
    assert_null(a->exit[0].to);
    assert_null(b->incoming);
    end(f);
}

static void a_cell_is_filled_and_emptied(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM, 8, 0), *b = make(f, RAM + 0x1000, 8, 0);

    (void)state;
    assert_int_equal(cell_of(a).page_tag, PAGE_CELL_EMPTY);
    block_link(f->t, &a->exit[1], b, &tags);
    assert_ptr_equal(leads_to(a, 1), b->code);
    struct page_cell c = cell_of(a);

    assert_memory_equal(&c, &tags, sizeof c);
    block_drop(f->t, b);
    assert_int_equal(cell_of(a).page_tag, PAGE_CELL_EMPTY);
    assert_ptr_equal(leads_to(a, 1), stub_of(a, 1));
    end(f);
}

static void who_is_dropped_links_nobody(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM, 8, 0), *b = make(f, RAM + 0x40, 8, 0);
    struct block *c = make(f, RAM + 0x80, 8, 0);

    (void)state;
    block_link(f->t, &a->exit[0], b, &tags);
    block_link(f->t, &c->exit[0], b, &tags);
    block_link(f->t, &a->exit[1], c, &tags);
    block_drop(f->t, a);
    assert_ptr_equal(leads_to(a, 0), stub_of(a, 0));
    assert_int_equal(cell_of(a).page_tag, PAGE_CELL_EMPTY);
    assert_ptr_equal(b->incoming, &c->exit[0]);
    assert_null(b->incoming->next_in);
    assert_null(c->incoming);
    assert_ptr_equal(leads_to(c, 0), b->code);
    end(f);
}

static void a_block_may_lead_to_itself(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM + 0x40, 8, 0);

    (void)state;
    block_link(f->t, &a->exit[0], a, &tags);
    block_link(f->t, &a->exit[1], a, &tags);
    assert_ptr_equal(leads_to(a, 0), a->code);
    block_drop(f->t, a);
    assert_null(a->incoming);
    assert_null(a->exit[0].to);
    assert_null(a->exit[1].to);
    assert_ptr_equal(leads_to(a, 0), stub_of(a, 0));
    end(f);
}

static void a_link_moves(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM, 8, 0), *b = make(f, RAM + 0x40, 8, 0);
    struct block *c = make(f, RAM + 0x80, 8, 0);
    const struct page_cell other = {0x5000, 0x6000, 0x7000};

    (void)state;
    block_link(f->t, &a->exit[1], b, &tags);
    block_link(f->t, &a->exit[1], c, &other);
    assert_null(b->incoming);
    assert_ptr_equal(c->incoming, &a->exit[1]);
    assert_ptr_equal(leads_to(a, 1), c->code);
    assert_int_equal(cell_of(a).page_tag, 0x5000);
    end(f);
}

static void only_cells_are_unlinked(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM, 8, 0), *b = make(f, RAM + 0x40, 8, 0);

    (void)state;
    block_link(f->t, &a->exit[0], b, &tags);
    block_link(f->t, &a->exit[1], b, &tags);
    block_link(f->t, &b->exit[1], a, &tags);
    block_unlink_cells(f->t);
    assert_ptr_equal(leads_to(a, 0), b->code);
    assert_int_equal(cell_of(a).page_tag, PAGE_CELL_EMPTY);
    assert_int_equal(cell_of(b).page_tag, PAGE_CELL_EMPTY);
    assert_null(a->incoming);
    assert_ptr_equal(b->incoming, &a->exit[0]);
    assert_null(b->incoming->next_in);
    end(f);
}

static void evicted_blocks_are_left_by_all(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM, 8, 0);

    (void)state;
    cache_advance(f->cache);
    struct block *b = make(f, RAM + 0x40, 8, 0);

    block_link(f->t, &b->exit[0], a, &tags);
    block_link(f->t, &a->exit[0], b, &tags);
    for (unsigned k = 0; k < 3; k++)
        cache_advance(f->cache); /* the third is a's segment */
    assert_null(find(f, RAM));
    assert_ptr_equal(find(f, RAM + 0x40), b);
    assert_null(b->incoming);
    assert_ptr_equal(leads_to(b, 0), stub_of(b, 0));
    end(f);
}

/* Every place at which a block's page may stand in the jump cache, and none beside. */
static void the_jump_cache_forgets(void **state)
{
    struct fixture *f = begin();
    struct block *a = make(f, RAM + 0x124, 8, 0), *b = make(f, RAM + 0x1124, 8, 0);

    (void)state;
    for (uint64_t page = 0; page < 4; page++)
        f->s->jump[jump_index(page << 12 | 0x124)] = (struct jump_entry){page << 12, a->code};
    f->s->jump[jump_index(0x2124)] = (struct jump_entry){0x2124, b->code};
    block_drop(f->t, a);
    for (unsigned k = 0; k < 1u << JUMP_BITS; k++)
        assert_ptr_not_equal(f->s->jump[k].code, a->code);
    assert_int_equal(f->s->jump[jump_index(0x3124)].tag, JUMP_EMPTY);
    assert_ptr_equal(f->s->jump[jump_index(0x2124)].code, b->code);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_address_and_mode),
        cmocka_unit_test(straddlers_differ_by_their_second_page),
        cmocka_unit_test(a_range_drops_what_it_touches),
        cmocka_unit_test(ranges_outside_ram),
        cmocka_unit_test(a_straddler_falls_by_either_page),
        cmocka_unit_test(a_straddler_over_one_frame),
        cmocka_unit_test(lists_stay_whole),
        cmocka_unit_test(a_link_leads_there_and_back),
        cmocka_unit_test(a_cell_is_filled_and_emptied),
        cmocka_unit_test(who_is_dropped_links_nobody),
        cmocka_unit_test(a_block_may_lead_to_itself),
        cmocka_unit_test(a_link_moves),
        cmocka_unit_test(only_cells_are_unlinked),
        cmocka_unit_test(evicted_blocks_are_left_by_all),
        cmocka_unit_test(the_jump_cache_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
