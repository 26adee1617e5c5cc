/* softmmu: spaces and views, the four fences, salts. */
#include "tests/lib/toy_guest.h"

#include <immintrin.h>

#include "dbt/ir/ir.h"

#define LOW  UINT64_C(0x10000)
#define HIGH UINT64_C(0xffffffff80000000)
enum { ALL = TOY_R | TOY_W | TOY_X };

static struct toy *t;

static int setup(void **state)
{
    (void)state;
    t = toy_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    toy_destroy(t);
    return 0;
}

static uint64_t fetch(uint64_t gva)
{
    struct mmu_fault fault;
    uint64_t gpa = 0;

    assert_true(mmu_fetch(t->mmu, gva, &gpa, &fault));
    return gpa;
}

/* ---- Spaces and views --------------------------------------------------------------------- */

static void a_new_mmu_is_ready(void **state)
{
    (void)state;
    assert_non_null(t->s.view);
    /* Where page 0 is sought, and the page before it together with page 0. */
    const struct mmu_view *v = t->s.view;

    for (unsigned i = 0; i < TLB_SIZE; i += TLB_SIZE - 1) {
        assert_int_equal(v->load[i].tag, TLB_EMPTY);
        assert_int_equal(v->store[i].tag, TLB_EMPTY);
    }
    assert_ptr_equal(t->s.mmu, t->mmu);
    assert_true(t->s.salt[0] != 0 && t->s.salt[1] != 0);
    for (unsigned i = 0; i < 1u << JUMP_BITS; i++)
        assert_int_equal(t->s.jump[i].tag, JUMP_EMPTY);
    for (unsigned i = 0; i < 1u << CODE_PAGE_BITS; i++)
        assert_int_equal(t->s.code_page[i].tag, JUMP_EMPTY);
    /* A view of zero pages hits nowhere, at address 0 neither. */
    for (uint64_t page = 0; page < TLB_SIZE; page++)
        assert_true(toy_hits_none(t, page << 12));
}

static uint64_t load_tag_through_gs(uint64_t gva)
{
    uint64_t offset = (gva >> 12) * sizeof(struct tlb_entry), tag;

    __asm__ volatile("movq %%gs:(%1), %0" : "=r"(tag) : "r"(offset) : "memory");
    return tag;
}

static void gs_points_at_the_view(void **state)
{
    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL);
    toy_enter(t, 1, 0);
    toy_touch(t, LOW);
    assert_int_equal(load_tag_through_gs(LOW), LOW);
    toy_enter(t, 2, 0);
    assert_int_not_equal(load_tag_through_gs(LOW), LOW);
    t->mmu->fsgsbase = false; /* as on an old kernel: by a system call */
    toy_enter(t, 1, 0);
    assert_int_equal(load_tag_through_gs(LOW), LOW);
}

static void entries_lead_to_the_store_view(void **state)
{
    const struct mmu_view *v;
    struct tlb_entry load, store;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM + 0x5000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    toy_touch(t, LOW + 8);
    v = t->s.view;
    load = v->load[LOW >> 12];
    store = v->store[LOW >> 12];
    assert_ptr_equal((uint8_t *)(LOW + 8 + load.addend), t->phys.store + 0x5008);
    assert_ptr_equal((uint8_t *)(LOW + 8 + store.addend), t->phys.store + 0x5008);
    assert_int_equal(load.tag & 0xfff, 0);
}

static void switching_back_finds_everything(void **state)
{
    unsigned walks;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
    toy_add(t, 2, LOW, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_enter(t, 1, 5);
    mmu_store(&t->s, LOW, IR_64, 111);
    toy_touch(t, LOW);
    toy_enter(t, 2, 5);
    assert_true(toy_hits_none(t, LOW));
    toy_touch(t, LOW);
    walks = t->walks;
    toy_enter(t, 1, 5);
    assert_true(toy_hits_both(t, LOW));
    toy_enter(t, 1, 6); /* the same root, another asid: another space */
    assert_true(toy_hits_none(t, LOW));
    toy_enter(t, 2, 5);
    assert_true(toy_hits_both(t, LOW));
    assert_int_equal(t->walks, walks);
    assert_int_equal(toy_peek(t, TOY_RAM), 1);
}

static void rights_have_views_of_their_own(void **state)
{
    void *super, *sum;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL | TOY_U);
    toy_enter(t, 1, 0);
    super = t->s.view;
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, LOW, mmu_load(&t->s, LOW, IR_U8));
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    sum = t->s.view;
    toy_touch(t, LOW);
    assert_ptr_not_equal(super, sum);
    toy_enter(t, 1, 0);
    assert_ptr_equal(t->s.view, super);
    assert_true(toy_hits_none(t, LOW)); /* what SUM allowed is not seen without it */
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_ptr_equal(t->s.view, sum);
    assert_true(toy_hits_both(t, LOW));
}

static void views_are_recycled(void **state)
{
    void *first;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL | TOY_U);
    toy_switch(t, 1, 0, 10, TOY_SUPER, 0);
    first = t->s.view;
    toy_touch(t, LOW);
    for (uint64_t rights = 11; rights < 18; rights++) {
        toy_switch(t, 1, 0, rights, TOY_SUPER, 0);
        assert_ptr_not_equal(t->s.view, first);
        toy_touch(t, LOW);
    }
    toy_switch(t, 1, 0, 18, TOY_SUPER, 0);
    assert_ptr_equal(t->s.view, first); /* the ninth takes the oldest, empty */
    assert_true(toy_hits_none(t, LOW));
    toy_switch(t, 1, 0, 12, TOY_SUPER, 0);
    assert_true(toy_hits_both(t, LOW));
    toy_switch(t, 1, 0, 10, TOY_SUPER, 0); /* was remembered as `first`: must not be so now */
    assert_ptr_not_equal(t->s.view, first);
    assert_true(toy_hits_none(t, LOW));
}

/* One that has a page of its own, which is not recycled before older ones. */
static void enter_used(uint64_t key)
{
    toy_enter(t, key, 0);
    toy_touch(t, LOW);
}

static void spaces_are_recycled(void **state)
{
    uint64_t salt;

    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL);
    toy_enter(t, 1, 0);
    toy_touch(t, LOW);
    fetch(LOW);
    salt = t->s.salt[0];
    toy_enter(t, 2, 0);
    toy_touch(t, LOW);
    for (uint64_t key = 3; key < 64; key++)
        enter_used(key); /* 63, and the one that mmu_create made */
    toy_enter(t, 1, 0);
    assert_true(toy_hits_both(t, LOW));
    enter_used(64);      /* over the oldest: mmu_create's */
    toy_enter(t, 65, 0); /* over 2 */
    assert_int_equal(mmu_stats(t->mmu)->spaces_recycled, 2);
    assert_true(toy_hits_none(t, LOW));
    toy_touch(t, LOW);
    toy_enter(t, 1, 0);
    assert_true(toy_hits_both(t, LOW));
    assert_int_equal(t->s.salt[0], salt);
    toy_enter(t, 2, 0);
    assert_true(toy_hits_none(t, LOW));
    assert_int_equal(mmu_stats(t->mmu)->spaces_recycled, 3);
}

/* Of what a fence has emptied the one that was used last, also where there is room for more. */
static void what_a_fence_has_emptied_is_recycled_first(void **state)
{
    const struct space *of[5];

    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL);
    for (uint64_t key = 1; key < 5; key++) {
        toy_enter(t, key, key < 4 ? 7 : 8);
        toy_touch(t, LOW);
        of[key] = t->mmu->space;
    }
    toy_enter(t, 1, 7);
    mmu_fence(t->mmu, true, 0, false, 7); /* of 1, which is in force, 2 and 3 */
    assert_true(toy_hits_none(t, LOW));
    toy_enter(t, 5, 9);
    assert_ptr_equal(t->mmu->space, of[3]);
    toy_touch(t, LOW);
    toy_enter(t, 6, 9); /* over 1, which has got nothing since */
    assert_ptr_equal(t->mmu->space, of[1]);
    toy_enter(t, 4, 8);
    assert_true(toy_hits_both(t, LOW));
    toy_enter(t, 5, 9);
    assert_true(toy_hits_both(t, LOW));
    toy_enter(t, 2, 7);
    assert_true(toy_hits_none(t, LOW));
}

/* Of one that was emptied with all others nobody has said that it is not wanted any more. */
static void what_a_fence_of_all_has_emptied_stays(void **state)
{
    const struct space *first;

    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL);
    toy_enter(t, 1, 7);
    toy_touch(t, LOW);
    first = t->mmu->space;
    toy_enter(t, 2, 8);
    toy_touch(t, LOW);
    mmu_fence(t->mmu, true, 0, true, 0);
    toy_enter(t, 3, 9);
    assert_ptr_not_equal(t->mmu->space, first);
    toy_enter(t, 1, 7);
    assert_ptr_equal(t->mmu->space, first);
    assert_true(toy_hits_none(t, LOW));
}

/* A remembered setting must not lead to a space that serves another key by now. Spaces made
 * behind mmu_switch's back leave the memory of settings as it is. */
static void recycled_spaces_are_not_remembered(void **state)
{
    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL);
    toy_enter(t, 1, 0);
    toy_touch(t, LOW);
    toy_enter(t, 2, 0);
    for (uint64_t key = 100; key < 164; key++) {
        struct space *sp = space_get(t->mmu, key, 0);

        sp->used = ++t->mmu->tick;
        sp->n_own = 1;
    }
    assert_true(mmu_stats(t->mmu)->spaces_recycled >= 2);
    toy_enter(t, 1, 0);
    assert_true(toy_hits_none(t, LOW));
    assert_int_equal(t->mmu->space_key[t->mmu->space - t->mmu->spaces], 1);
}

/* ---- Fences: each form against each kind of entry ------------------------------------------ */

struct kind {
    uint64_t va, len;
    unsigned flags;
};
static const struct kind kinds[] = {
    {0x10000, 0x1000, ALL},                     /* 0: local */
    {0x20000, 0x1000, ALL | TOY_G},             /* 1: global */
    {0x400000, 0x200000, ALL},                  /* 2: local, huge */
    {0xffffffffc0000000, 0x200000, ALL | TOY_G} /* 3: global, huge, upper half */
};
enum { N_KINDS = 4 };

/* Spaces (1, asid 7), (2, asid 7), (3, asid 8), all entries of all kinds present. */
static void fill_three_spaces(void)
{
    for (unsigned k = 0; k < N_KINDS; k++)
        toy_add(t, 0, kinds[k].va, TOY_RAM + k * 0x200000, kinds[k].len, kinds[k].flags);
    for (unsigned key = 1; key <= 3; key++) {
        toy_enter(t, key, key == 3 ? 8 : 7);
        for (unsigned k = 0; k < N_KINDS; k++)
            toy_touch(t, kinds[k].va + 8);
    }
}

/* Bit k: entries of kind k are there, in the space. They all come or go together. */
static unsigned present(unsigned key)
{
    unsigned mask = 0;

    toy_enter(t, key, key == 3 ? 8 : 7);
    for (unsigned k = 0; k < N_KINDS; k++) {
        assert_int_equal(toy_hits_load(t, kinds[k].va), toy_hits_store(t, kinds[k].va));
        if (toy_hits_both(t, kinds[k].va))
            mask |= 1u << k;
    }
    return mask;
}

struct fence_case {
    bool all_va;
    uint64_t va;
    bool all_asid;
    uint32_t asid;
    unsigned left[4]; /* in spaces 1 to 3 */
};

static void fence_matrix(void **state)
{
    static const struct fence_case cases[] = {
        {true, 0, true, 0, {0, 0x0, 0x0, 0x0}},
        {true, 0, false, 7, {0, 0xa, 0xa, 0xf}},
        {true, 0, false, 8, {0, 0xf, 0xf, 0xa}},
        {true, 0, false, 9, {0, 0xf, 0xf, 0xf}},
        {false, 0x10123, true, 0, {0, 0xe, 0xe, 0xe}},
        {false, 0x10123, false, 7, {0, 0xe, 0xe, 0xf}},
        {false, 0x20000, true, 0, {0, 0xd, 0xd, 0xd}},
        {false, 0x20000, false, 7, {0, 0xf, 0xf, 0xf}},
        {false, 0x30000, true, 0, {0, 0xf, 0xf, 0xf}},
        /* Within the leaf, not at the entry. */
        {false, 0x5ff000, true, 0, {0, 0xb, 0xb, 0xb}},
        {false, 0x5ff000, false, 8, {0, 0xf, 0xf, 0xb}},
        {false, 0x400000, true, 0, {0, 0xb, 0xb, 0xb}},
        {false, 0x600000, true, 0, {0, 0xf, 0xf, 0xf}},
        {false, 0xffffffffc01ff000, true, 0, {0, 0x7, 0x7, 0x7}},
        {false, 0xffffffffc01ff000, false, 7, {0, 0xf, 0xf, 0xf}},
        {false, 0xffffffffc0200000, true, 0, {0, 0xf, 0xf, 0xf}},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned current = 1; current <= 3; current++) {
            const struct fence_case *c = &cases[i];

            teardown(NULL);
            setup(NULL);
            fill_three_spaces();
            toy_enter(t, current, current == 3 ? 8 : 7);
            mmu_fence(t->mmu, c->all_va, c->va, c->all_asid, c->asid);
            for (unsigned key = 1; key <= 3; key++) {
                unsigned left = present(key);

                if (left != c->left[key])
                    fail_msg("case %u, in space %u: space %u keeps %x, not %x", i, current, key,
                             left, c->left[key]);
            }
        }
    }
}

/* Where the leaf is entered does not matter: all of it goes. */
static void a_fence_in_a_leaf_takes_all_of_it(void **state)
{
    static const uint64_t in_leaf[] = {0x400000, 0x4ff000, 0x5ff000};

    (void)state;
    toy_add(t, 1, 0x400000, TOY_RAM + 0x200000, 0x200000, ALL);
    toy_enter(t, 1, 0);
    for (unsigned n = 0; n < 3; n++) {
        for (unsigned k = 0; k < 3; k++)
            toy_touch(t, in_leaf[k]);
        mmu_fence(t->mmu, false, in_leaf[n] + 0x123, true, 0);
        for (unsigned k = 0; k < 3; k++)
            assert_true(toy_hits_none(t, in_leaf[k]));
    }
}

/* Two fences, one after the other, before the space is seen again. */
static void deferred_fences_add_up(void **state)
{
    (void)state;
    fill_three_spaces();
    mmu_fence(t->mmu, true, 0, false, 7);
    mmu_fence(t->mmu, false, 0x20000, true, 0);
    assert_int_equal(present(1), 0x8);
    toy_touch(t, 0x10000);
    assert_int_equal(present(1), 0x9);
    toy_enter(t, 3, 8);
    mmu_fence(t->mmu, true, 0, false, 7);
    mmu_fence(t->mmu, true, 0, true, 0);
    mmu_fence(t->mmu, true, 0, false, 7);
    assert_int_equal(present(1), 0);
    assert_int_equal(present(2), 0);
    assert_int_equal(present(3), 0);
}

static void what_a_fence_leaves_the_next_one_finds(void **state)
{
    (void)state;
    fill_three_spaces();
    assert_int_equal(present(1), 0xf);
    mmu_fence(t->mmu, true, 0, false, 7);
    assert_int_equal(present(1), 0xa);
    mmu_fence(t->mmu, true, 0, true, 0);
    assert_int_equal(present(1), 0);
}

static void flush_all_takes_untranslated_pages_too(void **state)
{
    (void)state;
    toy_enter(t, 0, 0);
    toy_touch(t, TOY_RAM);
    mmu_fence(t->mmu, true, 0, true, 0);
    assert_true(toy_hits_both(t, TOY_RAM)); /* no page table lies behind it */
    mmu_flush_all(t->mmu);
    assert_true(toy_hits_none(t, TOY_RAM));
}

static void fences_find_entries_in_every_view(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL | TOY_U);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    toy_touch(t, LOW);
    toy_switch(t, 1, 0, TOY_USER, TOY_USER, 0);
    toy_touch(t, LOW);
    mmu_fence(t->mmu, false, LOW, false, 0);
    assert_true(toy_hits_none(t, LOW));
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_true(toy_hits_none(t, LOW));
}

static void a_page_that_becomes_code_loses_its_store_entries(void **state)
{
    (void)state;
    toy_add(t, 2, LOW + 0x7000, TOY_RAM, 0x1000, ALL);
    toy_add(t, 2, LOW + 0x8000, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_enter(t, 2, 0);
    toy_touch(t, LOW + 0x7000);
    toy_touch(t, LOW + 0x8000);
    mmu_forget_store(t->mmu, LOW + 0x7010);
    assert_false(toy_hits_store(t, LOW + 0x7000));
    assert_true(toy_hits_load(t, LOW + 0x7000));
    assert_true(toy_hits_both(t, LOW + 0x8000));
    /* One that shares the entry's place is not taken for it. */
    mmu_forget_store(t->mmu, LOW + 0x8000 + ((uint64_t)PAGE_SIZE << TLB_BITS));
    assert_true(toy_hits_both(t, LOW + 0x8000));
}

/* ---- Cells ----------------------------------------------------------------------------------- */

enum { LOAD_CELL = 3, STORE_CELL = N_CELLS + 70 };

/* As translated code fills one from an entry that it has found. */
static void fill_cell(unsigned n, const struct tlb_entry *table, uint64_t gva)
{
    struct mmu_view *v = t->s.view;
    unsigned i = tlb_index(gva);

    assert_int_equal(table[i].tag, page_of(gva));
    v->cell[n] = table[i];
    v->chunks_of[i] |= 1u << n / CELL_CHUNK;
    v->cell_chunks |= 1u << n / CELL_CHUNK;
}

static void fill_cells(uint64_t gva)
{
    struct mmu_view *v = t->s.view;

    toy_touch(t, gva);
    fill_cell(LOAD_CELL, v->load, gva);
    fill_cell(STORE_CELL, v->store, gva);
}

static bool cells_hold(uint64_t gva)
{
    const struct mmu_view *v = t->s.view;

    assert_int_equal(v->cell[LOAD_CELL].tag, v->cell[STORE_CELL].tag);
    return v->cell[LOAD_CELL].tag == page_of(gva);
}

static void cells_begin_empty(void **state)
{
    const struct mmu_view *v;

    (void)state;
    toy_enter(t, 1, 0);
    v = t->s.view;
    for (unsigned n = 0; n < 2 * N_CELLS; n++)
        assert_int_equal(v->cell[n].tag, TLB_EMPTY);
}

/* Each form of a fence against cells of each kind of leaf; those that must go, go. */
static void cells_go_with_what_a_fence_names(void **state)
{
    static const struct {
        unsigned kind; /* of the leaf */
        bool all_va;
        uint64_t va;
        bool all_asid;
        uint32_t asid;
        bool goes;
    } cases[] = {
        {0, true, 0, true, 0, true},
        {0, true, 0, false, 7, true},
        {0, true, 0, false, 8, false},
        {0, false, 0x10123, true, 0, true},
        {0, false, 0x10123, false, 7, true},
        {0, false, 0x10123, false, 8, false},
        {0, false, 0x11000, true, 0, false},
        {1, true, 0, true, 0, true},
        {1, false, 0x20008, true, 0, true},
        {2, false, 0x5ff000, true, 0, true}, /* in the leaf, another page */
        {2, false, 0x5ff000, false, 7, true},
        {2, false, 0x600000, true, 0, false},
        {3, false, 0xffffffffc01ff000, true, 0, true},
    };

    (void)state;
    for (unsigned k = 0; k < N_KINDS; k++)
        toy_add(t, 0, kinds[k].va, TOY_RAM + k * 0x200000, kinds[k].len, kinds[k].flags);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t va = kinds[cases[i].kind].va;

        for (unsigned away = 0; away < 2; away++) {
            mmu_flush_all(t->mmu);
            toy_enter(t, 1, 7);
            fill_cells(va);
            if (away) /* another space is in force */
                toy_enter(t, 2, 9);
            mmu_fence(t->mmu, cases[i].all_va, cases[i].va, cases[i].all_asid, cases[i].asid);
            toy_enter(t, 1, 7);
            if (cells_hold(va) == cases[i].goes)
                fail_msg("case %u, away %u", i, away);
        }
    }
}

/* A cell outlives the entry that it is a copy of, and must be found by its page all the same. */
static void a_fence_finds_cells_without_an_entry(void **state)
{
    uint64_t other = LOW + ((uint64_t)PAGE_SIZE << TLB_BITS);

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
    toy_add(t, 1, other, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    fill_cells(LOW);
    toy_touch(t, other);
    assert_true(toy_hits_none(t, LOW) && cells_hold(LOW));
    mmu_fence(t->mmu, false, LOW, true, 0);
    assert_false(cells_hold(LOW));
}

static void a_fence_finds_cells_of_every_view(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL | TOY_U);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    fill_cells(LOW);
    toy_switch(t, 1, 0, TOY_USER, TOY_USER, 0);
    fill_cells(LOW);
    mmu_fence(t->mmu, false, LOW, false, 0);
    assert_false(cells_hold(LOW));
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_false(cells_hold(LOW));
}

/* Two cells of one page, and one of another page: all of the first go, whatever chunk they are in.
 */
static void all_cells_of_a_page_go(void **state)
{
    struct mmu_view *v;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
    toy_add(t, 1, LOW + 0x1000, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    toy_touch(t, LOW);
    toy_touch(t, LOW + 0x1000);
    v = t->s.view;
    for (unsigned n = 0; n < N_CELLS; n += 31)
        fill_cell(n, v->load, n % 2 ? LOW + 0x1000 : LOW);
    mmu_fence(t->mmu, false, LOW, true, 0);
    for (unsigned n = 0; n < N_CELLS; n += 31)
        assert_int_equal(v->cell[n].tag, n % 2 ? LOW + 0x1000 : TLB_EMPTY);
    mmu_fence(t->mmu, false, LOW + 0x1000, true, 0);
    for (unsigned n = 0; n < N_CELLS; n += 31)
        assert_int_equal(v->cell[n].tag, TLB_EMPTY);
}

static void flush_all_takes_cells(void **state)
{
    (void)state;
    toy_enter(t, 0, 0);
    fill_cells(TOY_RAM);
    mmu_fence(t->mmu, true, 0, true, 0);
    assert_true(cells_hold(TOY_RAM)); /* no page table lies behind it */
    mmu_flush_all(t->mmu);
    assert_false(cells_hold(TOY_RAM));
}

static void a_page_that_becomes_code_loses_its_cells(void **state)
{
    uint64_t other = LOW + ((uint64_t)PAGE_SIZE << TLB_BITS);

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x2000, ALL);
    toy_add(t, 1, other, TOY_RAM + 0x2000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    fill_cells(LOW);
    mmu_forget_store(t->mmu, LOW + 0x1000);
    assert_true(cells_hold(LOW));
    toy_touch(t, other); /* without an entry of its own, too */
    mmu_forget_store(t->mmu, LOW + 8);
    assert_int_equal(((struct mmu_view *)t->s.view)->cell[STORE_CELL].tag, TLB_EMPTY);
}

static void a_view_that_serves_others_has_no_cells(void **state)
{
    void *first;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL | TOY_U);
    toy_switch(t, 1, 0, 10, TOY_SUPER, 0);
    first = t->s.view;
    fill_cells(LOW);
    for (uint64_t rights = 11; rights < 18; rights++)
        toy_switch(t, 1, 0, rights, TOY_SUPER, 0);
    toy_switch(t, 1, 0, 18, TOY_SUPER, 0);
    assert_ptr_equal(t->s.view, first);
    assert_false(cells_hold(LOW));
}

/* Under --stress=table a cell lives no longer than the entry that it is of. */
static void stress_takes_cells(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x8000, ALL);
    mmu_stress(t->mmu);
    toy_enter(t, 1, 0);
    fill_cells(LOW);
    for (unsigned page = 1; page <= N_RECENT; page++)
        toy_touch(t, LOW + page * 0x1000);
    assert_true(toy_hits_none(t, LOW));
    assert_false(cells_hold(LOW));
}

static void one_cell_is_emptied(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
    toy_enter(t, 1, 0);
    fill_cells(LOW);
    mmu_drop_cell(t->mmu, LOAD_CELL);
    assert_int_equal(((struct mmu_view *)t->s.view)->cell[LOAD_CELL].tag, TLB_EMPTY);
    assert_int_equal(((struct mmu_view *)t->s.view)->cell[STORE_CELL].tag, LOW);
}

/* ---- Fetches --------------------------------------------------------------------------------- */

static void fetches_need_x_and_ram(void **state)
{
    struct mmu_fault fault;
    uint64_t gpa;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM + 0x3000, 0x1000, TOY_X);
    toy_add(t, 1, LOW + 0x1000, TOY_RAM, 0x1000, TOY_R | TOY_W);
    toy_add(t, 1, LOW + 0x2000, TOY_DEVICE, 0x1000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(fetch(LOW + 0x10), TOY_RAM + 0x3010);
    assert_int_equal(fetch(LOW + 0xffe), TOY_RAM + 0x3ffe);
    assert_int_equal(t->walks, 1);
    assert_false(mmu_fetch(t->mmu, LOW + 0x1004, &gpa, &fault));
    assert_int_equal(fault.cause, TOY_PAGE_FAULT + MMU_FETCH);
    assert_int_equal(fault.tval, LOW + 0x1004);
    assert_false(mmu_fetch(t->mmu, LOW + 0x2004, &gpa, &fault));
    assert_int_equal(fault.cause, TOY_ACCESS_FAULT + MMU_FETCH);
    assert_int_equal(fault.tval, LOW + 0x2004);
    t->forbidden = TOY_RAM + 0x3800;
    t->forbidden_len = 0x100;
    t->forbidden_access = 1 << MMU_FETCH;
    mmu_flush_all(t->mmu);
    fetch(LOW + 0x7fe);
    assert_false(mmu_fetch(t->mmu, LOW + 0x800, &gpa, &fault)); /* the page was not kept whole */
    assert_int_equal(fault.cause, TOY_ACCESS_FAULT + MMU_FETCH);
}

/* A large leaf that is not for stores. */
static void text_is_told_from_other_code(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, TOY_R | TOY_X);
    toy_add(t, 1, 0x400000, TOY_RAM + 0x200000, 0x200000, TOY_R | TOY_X);
    toy_add(t, 1, 0x600000, TOY_RAM + 0x200000, 0x200000, ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    assert_false(mmu_fetched_text(t->mmu, 0x400000)); /* not yet */
    fetch(LOW);
    fetch(0x400000);
    fetch(0x601000);
    assert_false(mmu_fetched_text(t->mmu, LOW));
    assert_true(mmu_fetched_text(t->mmu, 0x400ffe));
    assert_false(mmu_fetched_text(t->mmu, 0x401000));
    assert_false(mmu_fetched_text(t->mmu, 0x601000));
}

static void fetch_rights_are_told_apart(void **state)
{
    struct mmu_fault fault;
    uint64_t gpa;

    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, TOY_X | TOY_U);
    toy_switch(t, 1, 0, TOY_USER, TOY_USER, 0);
    fetch(LOW);
    toy_switch(t, 1, 0, TOY_USER, TOY_SUPER, 0);
    assert_false(mmu_fetch(t->mmu, LOW, &gpa, &fault));
}

static void fetches_obey_fences(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
    toy_add(t, 1, 0x400000, TOY_RAM + 0x200000, 0x200000, ALL | TOY_G);
    toy_enter(t, 1, 3);
    fetch(LOW);
    fetch(0x403000);
    t->map[0].gpa = TOY_RAM + 0x1000;
    t->map[1].gpa = TOY_RAM + 0x400000;
    mmu_fence(t->mmu, false, LOW, false, 4);
    mmu_fence(t->mmu, false, 0x5fe000, false, 3); /* it is global */
    assert_int_equal(fetch(LOW), TOY_RAM);
    assert_int_equal(fetch(0x403000), TOY_RAM + 0x203000);
    mmu_fence(t->mmu, false, LOW, false, 3);
    assert_int_equal(fetch(LOW), TOY_RAM + 0x1000);
    mmu_fence(t->mmu, true, 0, false, 3);
    assert_int_equal(fetch(0x403000), TOY_RAM + 0x203000);
    mmu_fence(t->mmu, false, 0x5fe000, true, 0); /* in the leaf of what was fetched */
    assert_int_equal(fetch(0x403000), TOY_RAM + 0x403000);
    t->map[0].gpa = TOY_RAM + 0x2000;
    mmu_fence(t->mmu, true, 0, false, 3);
    assert_int_equal(fetch(LOW), TOY_RAM + 0x2000);
}

/* Does a fetch at gva in that space come with a walk? */
static bool walks_for(uint64_t key, uint32_t asid, uint64_t gva)
{
    unsigned walks = t->walks;

    toy_enter(t, key, asid);
    fetch(gva);
    return t->walks > walks;
}

static void global_fetches_of_the_upper_half_are_all_spaces(void **state)
{
    (void)state;
    toy_add(t, 0, HIGH, TOY_RAM, 0x200000, ALL | TOY_G);
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL | TOY_G);
    assert_true(walks_for(1, 3, HIGH + 0x1000) && walks_for(1, 3, LOW));
    assert_false(walks_for(2, 4, HIGH + 0x1000));
    assert_true(walks_for(2, 4, LOW)); /* of a user: its own */
    mmu_fence(t->mmu, true, 0, false, 3);
    mmu_fence(t->mmu, false, HIGH, false, 4);
    assert_false(walks_for(1, 3, HIGH + 0x1000) || walks_for(2, 4, HIGH + 0x1000));
    mmu_fence(t->mmu, false, HIGH, true, 0); /* of the leaf */
    assert_true(walks_for(2, 4, HIGH + 0x1000));
    assert_false(walks_for(1, 3, HIGH + 0x1000));
    for (uint64_t page = 0x2000; page < 0x80000; page += 0x1000)
        fetch(HIGH + page);
    t->map[0].gpa += 0x200000;
    mmu_fence(t->mmu, true, 0, true, 0); /* one of what is as it was: test_leaves.c */
    for (uint64_t page = 0x1000; page < 0x80000; page += 0x1000)
        assert_true(walks_for(1, 3, HIGH + page));
    mmu_flush_all(t->mmu);
    assert_true(walks_for(1, 3, HIGH + 0x1000));
    toy_switch(t, 2, 4, TOY_SUPER, TOY_USER, 0); /* in the rights that they were made in */
    unsigned walks = t->walks;
    struct mmu_fault fault;
    uint64_t gpa;

    assert_false(mmu_fetch(t->mmu, HIGH + 0x1000, &gpa, &fault));
    assert_int_equal(t->walks, walks + 1);
}

/* One that has non-global code there no longer looks at what the others have fetched, nor they at
 * its. */
static void a_space_with_an_upper_half_of_its_own_fetches_for_itself(void **state)
{
    (void)state;
    toy_add(t, 0, HIGH, TOY_RAM, 0x1000, ALL | TOY_G);
    toy_add(t, 2, HIGH + 0x1000, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_add(t, 1, HIGH + 0x1000, TOY_RAM + 0x2000, 0x1000, ALL | TOY_G);
    assert_true(walks_for(1, 3, HIGH));
    assert_true(walks_for(2, 4, HIGH + 0x1000));
    assert_int_equal(fetch(HIGH + 0x1000), TOY_RAM + 0x1000);
    assert_true(walks_for(2, 4, HIGH));
    assert_true(walks_for(1, 3, HIGH + 0x1000));
    assert_int_equal(fetch(HIGH + 0x1000), TOY_RAM + 0x2000);
    assert_false(walks_for(2, 4, HIGH + 0x1000));
    assert_int_equal(fetch(HIGH + 0x1000), TOY_RAM + 0x1000);
}

/* ---- Salts ------------------------------------------------------------------------------------
 */

static void salts_stand_for_space_rights_and_mode(void **state)
{
    uint64_t a, b;

    (void)state;
    toy_enter(t, 1, 0);
    a = t->s.salt[0];
    assert_int_equal(a & ((UINT64_C(1) << 40) - 1), 0);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(t->s.salt[0], a); /* data rights change no code */
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 4);
    b = t->s.salt[0];
    assert_int_not_equal(b, a);
    toy_switch(t, 1, 0, TOY_USER, TOY_USER, 0);
    assert_true(t->s.salt[0] != a && t->s.salt[0] != b);
    toy_enter(t, 2, 0);
    assert_true(t->s.salt[0] != a && t->s.salt[0] != b);
    toy_enter(t, 1, 0);
    assert_int_equal(t->s.salt[0], a);
    for (uint32_t mode = 100; mode < 120; mode++) /* more than a set holds */
        toy_switch(t, 1, 0, TOY_SUPER, TOY_SUPER, mode);
    toy_enter(t, 1, 0);
    assert_int_not_equal(t->s.salt[0], 0);
}

static void page_tag_follows_the_salt(void **state)
{
    (void)state;
    toy_enter(t, 1, 0);
    state_set_page(&t->s, LOW + 0x234);
    toy_enter(t, 2, 0);
    assert_int_equal(t->s.page_va, LOW);
    assert_int_equal(t->s.page_tag, LOW ^ t->s.salt[0]);
    state_set_page(&t->s, HIGH + 0x234);
    toy_enter(t, 0, 0);
    assert_int_equal(t->s.page_tag, HIGH ^ t->s.salt[1]);
    mmu_flush_all(t->mmu);
    assert_int_equal(t->s.page_tag, HIGH ^ t->s.salt[1]);
}

/* Does the fence give the current space a new salt for the lower half? */
static bool fence_renews(bool all_va, uint64_t va, bool all_asid, uint32_t asid)
{
    uint64_t before = t->s.salt[0];

    mmu_fence(t->mmu, all_va, va, all_asid, asid);
    return t->s.salt[0] != before;
}

static void salts_change_when_fetched_pages_are_fenced(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
    toy_add(t, 1, LOW + 0x1000, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_add(t, 1, 0x400000, TOY_RAM + 0x200000, 0x200000, ALL);
    toy_enter(t, 1, 3);
    assert_false(fence_renews(false, LOW, false, 3));
    fetch(LOW);
    toy_touch(t, LOW + 0x1000);
    assert_false(fence_renews(false, LOW + 0x1000, false, 3)); /* data only */
    assert_false(fence_renews(false, LOW, false, 4));
    assert_true(fence_renews(false, LOW, false, 3));
    assert_false(fence_renews(false, LOW, false, 3)); /* not fetched since */
    fetch(LOW);
    assert_true(fence_renews(false, LOW, true, 0));
    assert_true(fence_renews(true, 0, true, 0));
    assert_true(fence_renews(true, 0, false, 3));
    assert_false(fence_renews(true, 0, false, 4));
    fetch(0x401000);
    assert_true(fence_renews(false, 0x5ff000, false, 3)); /* the leaf was fetched from */
    /* Also when the fetch is answered from memory, after the ids were dropped. */
    fetch(LOW);
    fetch(0x401000);
    assert_true(fence_renews(false, LOW, false, 3));
    fetch(0x401000);
    assert_true(fence_renews(false, 0x5ff000, false, 3));
}

static void salts_of_other_spaces_change_too(void **state)
{
    uint64_t salt;

    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, 0x1000, ALL);
    toy_enter(t, 1, 3);
    fetch(LOW);
    salt = t->s.salt[0];
    toy_enter(t, 2, 3);
    mmu_fence(t->mmu, false, LOW, false, 3);
    toy_enter(t, 1, 3);
    assert_int_not_equal(t->s.salt[0], salt);
}

/* The generation that the space's own upper half joins may be another hart's: what this hart
 * fetched before it came in is no part of what it promises. */
static void fetches_stay_with_the_shared_salts(void **state)
{
    unsigned walks;

    (void)state;
    toy_add(t, 0, HIGH, TOY_RAM, 0x1000, ALL | TOY_G);
    toy_add(t, 2, HIGH + 0x1000, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_enter(t, 2, 2);
    fetch(HIGH);
    fetch(HIGH + 0x1000); /* local: from here on the space has salts of its own */
    walks = t->walks;
    fetch(HIGH);
    assert_int_equal(t->walks, walks + 1);
}

static void the_upper_half_is_shared_while_global(void **state)
{
    uint64_t shared, bare, own, above = UINT64_C(0xffffffffc0000000);

    (void)state;
    toy_add(t, 0, HIGH, TOY_RAM, 0x1000, ALL | TOY_G);
    toy_add(t, 2, HIGH + 0x1000, TOY_RAM + 0x1000, 0x1000, ALL);
    toy_add(t, 0, above, TOY_RAM, 0x200000, ALL | TOY_G);
    toy_enter(t, 0, 0);
    bare = t->s.salt[1];
    toy_enter(t, 1, 1);
    shared = t->s.salt[1];
    assert_int_not_equal(shared, bare);
    fetch(HIGH);
    toy_enter(t, 2, 2);
    assert_int_equal(t->s.salt[1], shared);
    fetch(HIGH);
    toy_enter(t, 1, 1);
    assert_int_equal(t->s.salt[1], shared);

    /* Fences of one asid leave what is global. */
    mmu_fence(t->mmu, true, 0, false, 1);
    mmu_fence(t->mmu, false, HIGH, false, 1);
    assert_int_equal(t->s.salt[1], shared);
    mmu_fence(t->mmu, false, HIGH + 0x5000, true, 0);
    assert_int_equal(t->s.salt[1], shared);

    /* Local code in the upper half: its salt is there before mmu_fetch returns. */
    toy_enter(t, 2, 2);
    fetch(above);
    state_set_page(&t->s, HIGH);
    fetch(HIGH + 0x1000);
    own = t->s.salt[1];
    assert_int_not_equal(own, shared);
    assert_int_equal(t->s.page_tag, HIGH ^ own);
    toy_enter(t, 1, 1);
    assert_int_equal(t->s.salt[1], shared);
    toy_enter(t, 2, 2);
    assert_int_equal(t->s.salt[1], own);
    mmu_fence(t->mmu, false, HIGH + 0x1000, false, 2);
    assert_int_not_equal(t->s.salt[1], own);
    own = t->s.salt[1];
    fetch(above); /* known since before the space had salts of its own */
    mmu_fence(t->mmu, false, above + 0x5000, true, 0);
    assert_int_not_equal(t->s.salt[1], own);
    own = t->s.salt[1];
    mmu_fence(t->mmu, true, 0, false, 2);
    assert_int_not_equal(t->s.salt[1], own);

    toy_enter(t, 1, 1);
    shared = t->s.salt[1];
    fetch(HIGH);
    mmu_fence(t->mmu, false, HIGH, true, 0);
    assert_int_not_equal(t->s.salt[1], shared);
    shared = t->s.salt[1];
    fetch(HIGH);
    t->map[0].gpa += 0x1000;
    mmu_fence(t->mmu, true, 0, true, 0);
    assert_int_not_equal(t->s.salt[1], shared);
}

static void count_wraps(void *arg)
{
    ++*(unsigned *)arg;
}

static void ids_begin_anew(void **state)
{
    unsigned wraps = 0;
    uint64_t last;

    (void)state;
    mmu_set_salt_wrap(t->mmu, count_wraps, &wraps);
    toy_enter(t, 1, 0);
    t->mmu->salts->next_id = 5000;
    toy_enter(t, 2, 0);
    t->mmu->salts->next_id = SALT_IDS - 2;
    toy_enter(t, 3, 0);
    assert_int_equal(wraps, 0);
    last = t->s.salt[0];
    assert_int_equal(last >> 40, SALT_IDS - 2);
    t->s.jump[7] = (struct jump_entry){0x1234 ^ last, &wraps};
    t->s.code_page[7].tag = 0x7000 ^ last;
    toy_enter(t, 4, 0);
    assert_int_equal(wraps, 1);
    assert_int_equal(t->s.jump[7].tag, JUMP_EMPTY);
    assert_int_equal(t->s.code_page[7].tag, JUMP_EMPTY);
    assert_int_equal(t->s.salt[0] >> 40, 1);
    toy_enter(t, 2, 0); /* its old id is not believed */
    assert_true(t->s.salt[0] >> 40 < 10);
}

/* The leaf of what was fetched before is known to the sets that come after. */
static void ids_begin_anew_with_no_fetch_remembered(void **state)
{
    const uint64_t page[2] = {0x403000, HIGH + 0x3000};

    (void)state;
    toy_add(t, 1, 0x400000, TOY_RAM, 0x200000, ALL);
    toy_add(t, 1, HIGH, TOY_RAM, 0x200000, ALL | TOY_G);
    for (unsigned half = 0; half < 2; half++) {
        toy_enter(t, 1, 0);
        fetch(page[half]);
        t->mmu->salts->next_id = SALT_IDS - 1;
        toy_enter(t, 4 + half, 0);
        toy_enter(t, 1, 0);
        fetch(page[half]);
        uint64_t before = t->s.salt[half];

        mmu_fence(t->mmu, false, page[half] + 0x100000, true, 0);
        assert_int_not_equal(t->s.salt[half], before);
    }
}

/* While processes came and went its salts became another's. */
static void who_comes_back_after_many_remembers_no_fetch(void **state)
{
    (void)state;
    toy_add(t, 1, 0x400000, TOY_RAM, 0x200000, ALL);
    toy_enter(t, 1, 3);
    fetch(0x403000);
    mmu_load(&t->s, 0x404000, IR_64); /* or it would be taken for one that has gone */
    for (unsigned n = 0; n < N_SETS + 2; n++) {
        toy_enter(t, 100 + n, 5);
        mmu_fence(t->mmu, true, 0, false, 5);
    }
    assert_true(t->mmu->n_spaces < 8); /* but its space is still its own */
    toy_enter(t, 1, 3);
    fetch(0x403000);
    uint64_t before = t->s.salt[0];

    mmu_fence(t->mmu, false, 0x503000, false, 3);
    assert_int_not_equal(t->s.salt[0], before);
}

/* The figures that softmmu/README.md quotes: TSC ticks, the best of twenty rounds. */
static void figures(void **state)
{
    uint64_t best_switch = UINT64_MAX, best_refill = UINT64_MAX;

    (void)state;
    toy_add(t, 1, 0, TOY_RAM, TOY_RAM_LEN, ALL | TOY_U);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t begin = __rdtsc(), ticks;

        for (unsigned i = 0; i < 500; i++) {
            toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
            toy_switch(t, 1, 0, TOY_USER, TOY_USER, 0);
        }
        ticks = __rdtsc() - begin;
        best_switch = ticks < best_switch ? ticks : best_switch;
        mmu_flush_all(t->mmu);
        begin = __rdtsc();
        for (uint64_t page = 0; page < 1000; page++)
            mmu_load(&t->s, page << 12, IR_64);
        ticks = __rdtsc() - begin;
        best_refill = ticks < best_refill ? ticks : best_refill;
    }
    print_message("TSC ticks: switch %u, refill %u\n", (unsigned)(best_switch / 1000),
                  (unsigned)(best_refill / 1000));
    assert_true(best_switch > 0 && best_refill > 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_mmu_is_ready),
        CASE(gs_points_at_the_view),
        CASE(entries_lead_to_the_store_view),
        CASE(switching_back_finds_everything),
        CASE(rights_have_views_of_their_own),
        CASE(views_are_recycled),
        CASE(spaces_are_recycled),
        CASE(what_a_fence_has_emptied_is_recycled_first),
        CASE(what_a_fence_of_all_has_emptied_stays),
        CASE(recycled_spaces_are_not_remembered),
        CASE(fence_matrix),
        CASE(what_a_fence_leaves_the_next_one_finds),
        CASE(a_fence_in_a_leaf_takes_all_of_it),
        CASE(deferred_fences_add_up),
        CASE(flush_all_takes_untranslated_pages_too),
        CASE(fences_find_entries_in_every_view),
        CASE(a_page_that_becomes_code_loses_its_store_entries),
        CASE(cells_begin_empty),
        CASE(cells_go_with_what_a_fence_names),
        CASE(a_fence_finds_cells_without_an_entry),
        CASE(a_fence_finds_cells_of_every_view),
        CASE(all_cells_of_a_page_go),
        CASE(flush_all_takes_cells),
        CASE(a_page_that_becomes_code_loses_its_cells),
        CASE(a_view_that_serves_others_has_no_cells),
        CASE(stress_takes_cells),
        CASE(one_cell_is_emptied),
        CASE(fetches_need_x_and_ram),
        CASE(text_is_told_from_other_code),
        CASE(fetch_rights_are_told_apart),
        CASE(fetches_obey_fences),
        CASE(global_fetches_of_the_upper_half_are_all_spaces),
        CASE(a_space_with_an_upper_half_of_its_own_fetches_for_itself),
        CASE(salts_stand_for_space_rights_and_mode),
        CASE(page_tag_follows_the_salt),
        CASE(salts_change_when_fetched_pages_are_fenced),
        CASE(salts_of_other_spaces_change_too),
        CASE(the_upper_half_is_shared_while_global),
        CASE(fetches_stay_with_the_shared_salts),
        CASE(ids_begin_anew),
        CASE(ids_begin_anew_with_no_fetch_remembered),
        CASE(who_comes_back_after_many_remembers_no_fetch),
        CASE(figures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
