/* softmmu: windows against the host's own list of mappings: what is mapped where, with which right,
 * and how many host mappings that costs. */
#include "tests/lib/toy_windows.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    N_ENDS = 1024, /* pages at either end of the half */
    N_RAM = TOY_RAM_LEN >> PAGE_BITS,
    N_MIDDLE = 512,
};
#define RESERVED (3 * (uint64_t)WINDOW_OFF + WINDOW_LIMIT_MAX)
#define BUDGET   16000

/* What is mapped, by page: the first N_ENDS of the half, then the last. */
static struct model {
    bool mapped, write;
    uint64_t number; /* of the page of RAM */
} model[2 * N_ENDS];

static struct window *w;

static uint64_t va_of(unsigned i)
{
    return w->first + ((i < N_ENDS ? i : WINDOW_N_PAGES - 2 * N_ENDS + i) << PAGE_BITS);
}

static struct model *model_of(const uint8_t *hva)
{
    uint64_t i = (uint64_t)(hva - w->origin) >> PAGE_BITS;

    if (i >= N_ENDS)
        i -= WINDOW_N_PAGES - 2 * N_ENDS;
    assert_true(i < 2 * (uint64_t)N_ENDS);
    return &model[i];
}

/* ---- The host's list ------------------------------------------------------------------------ */

struct host_list {
    uint64_t pieces, pages;
};

static void compare_line(struct host_list *l, uint8_t *from, uint8_t *to, const char *rights,
                         uint64_t offset)
{
    if (to <= w->base || from >= w->base + RESERVED)
        return;
    l->pieces++;
    if (from >= (uint8_t *)w->view && from < (uint8_t *)(w->view + 1))
        return;
    assert_int_equal(rights[2], '-');
    if (rights[0] == '-')
        return;
    assert_true(from >= w->origin && to <= w->origin + w->bytes);
    assert_int_equal(rights[3], 's');
    for (; from < to; from += PAGE_SIZE, offset += PAGE_SIZE) {
        const struct model *m = model_of(from);

        assert_true(m->mapped);
        assert_int_equal(m->number, offset >> PAGE_BITS);
        assert_int_equal(rights[1] == 'w', m->write);
        l->pages++;
    }
}

static struct host_list read_host_list(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    struct host_list l = {0, 0};
    char line[512], rights[5];
    uintptr_t from, to;
    uint64_t offset;

    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64, &from, &to, rights, &offset) ==
            4)
            compare_line(&l, (uint8_t *)from, (uint8_t *)to, rights, offset);
    fclose(f);
    return l;
}

static void compare(void)
{
    const struct host_list l = read_host_list();
    uint64_t n = 0;

    for (unsigned i = 0; i < 2 * N_ENDS; i++)
        n += model[i].mapped;
    assert_int_equal(l.pages, n);
    assert_int_equal(w->n_pages, n);
    assert_in_range(w->pieces, l.pieces, l.pieces + 1);
    assert_int_equal(ws->stats.mappings, w->pieces);
}

/* ---- What is done --------------------------------------------------------------------------- */

static bool is_code(uint64_t number)
{
    return track_is_code(t->track, TOY_RAM + (number << PAGE_BITS));
}

static void map(unsigned i, uint64_t number, unsigned n, bool write, uint64_t leaf_len)
{
    assert_true(window_map(w, va_of(i), TOY_RAM + (number << PAGE_BITS), n, write, leaf_len));
    for (unsigned k = 0; k < n; k++)
        model[i + k] = (struct model){true, write && !is_code(number + k), number + k};
}

static void map_some(void)
{
    unsigned n = 1 + (unsigned)below(16);
    unsigned i = (unsigned)(below(2) * N_ENDS + below(N_ENDS - n + 1));
    bool same = model[i].mapped && below(2); /* other rights for what is there, or its neighbours */
    uint64_t number = same ? model[i].number : below(2) ? below(64) : below(N_RAM - n + 1);

    if (number > N_RAM - n)
        number = N_RAM - n;
    map(i, number, n, below(3) != 0, below(8) ? PAGE_SIZE : PAGE_SIZE * 16);
}

static void map_middle(void)
{
    unsigned i = (unsigned)below(2 * N_ENDS / N_MIDDLE) * N_MIDDLE;

    map(i, below(N_RAM / N_MIDDLE) * N_MIDDLE, N_MIDDLE, below(3) != 0,
        below(4) ? MIB2 : UINT64_C(1) << 30);
}

/* More may go than is named. */
static void note_what_went(void)
{
    for (unsigned i = 0; i < 2 * N_ENDS; i++)
        model[i].mapped = model[i].mapped && window_has(w, va_of(i), false);
}

static void drop(void)
{
    unsigned i = (unsigned)below(2 * N_ENDS);

    window_drop_page(w, va_of(i) + below(PAGE_SIZE));
    assert_false(window_has(w, va_of(i), false));
    note_what_went();
}

static void become_code(uint64_t number)
{
    track_protect(t->track, TOY_RAM + (number << PAGE_BITS));
    for (unsigned i = 0; i < 2 * N_ENDS; i++)
        if (model[i].number == number)
            model[i].write = false;
}

static void random_step(void)
{
    switch (below(32)) {
    case 0: map_middle(); break;
    case 1:
        if (below(16) == 0) {
            window_drop_all(w);
            note_what_went();
        }
        break;
    case 2 ... 7: drop(); break;
    case 8 ... 15: become_code(below(4) ? below(80) : below(N_RAM)); break;
    case 16 ... 19: track_wrote(t->track, TOY_RAM + (below(80) << PAGE_BITS), 8); break;
    default: map_some();
    }
}

static void begin_kernel(void)
{
    begin_as(WINDOWS_ALWAYS, &toy_kernel);
    toy_enter(t, 1, 0);
    w = kernel_window();
    assert_non_null(w);
    memset(model, 0, sizeof model);
}

static int setup_compared(void **state)
{
    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    begin_kernel();
    return 0;
}

static void the_host_has_what_the_window_says(void **state)
{
    (void)state;
    compare();
    for (seed = 1; seed < 4; seed++) {
        for (unsigned i = 0; i < 4000; i++) {
            random_step();
            if (i % 32 == 0)
                compare();
        }
        window_drop_all(w);
        note_what_went();
        compare();
    }
}

/* The same for a user's window, whose view lies in front. */
static void so_it_does_for_the_lower_half(void **state)
{
    (void)state;
    enter(1, 0);
    w = t->mmu->slot->window;
    assert_int_equal(w->first, 0);
    window_forget(t->mmu, &t->mmu->common->slot);
    for (unsigned i = 0; i < 4000; i++) {
        random_step();
        if (i % 32 == 0)
            compare();
    }
}

/* ---- The budget ----------------------------------------------------------------------------- */

static void pages_mapped_one_by_one_go_when_they_cost_too_much(void **state)
{
    (void)state;
    w->share = 100;
    map(N_MIDDLE, 0, N_MIDDLE, true, MIB2);
    become_code(7); /* splits it, and it stays all the same */
    map(2 * N_ENDS - N_MIDDLE, 0, N_MIDDLE, true, MIB2);
    map(2 * N_ENDS - 3 * N_MIDDLE, N_MIDDLE, N_MIDDLE, true, UINT64_C(1) << 30);
    for (unsigned i = 0; i < 140; i += 2)
        map(i, 1000 + i, 1, true, PAGE_SIZE);
    note_what_went();
    compare();
    assert_in_range(w->pieces, 20, 110);
    assert_true(window_has(w, va_of(138), true)); /* what was asked for is there */
    assert_false(window_has(w, va_of(0), false));
    for (unsigned i = 0; i < N_MIDDLE; i++) {
        assert_true(window_has(w, va_of(N_MIDDLE + i), false));
        assert_true(window_has(w, va_of(2 * N_ENDS - N_MIDDLE + i), false));
        assert_true(window_has(w, va_of(2 * N_ENDS - 3 * N_MIDDLE + i), false));
    }
}

/* A user's window has a hart's share of the budget, the common view's a thread's, while there are
 * plenty. */
static void each_has_its_share(void **state)
{
    struct windows *of_many = windows_create(&t->phys, t->track, WINDOWS_ALWAYS, 8, 2);

    (void)state;
    assert_int_equal(of_many->pieces_of_one, 2000);
    assert_int_equal(of_many->pieces_of_common, 8000);
    windows_destroy(of_many);
    track_set_protected(t->track, window_protect, ws);
    ws->pieces_of_one = 100;
    for (unsigned i = 0; i < 140; i += 2)
        map(i, 1000 + i, 1, true, PAGE_SIZE);
    assert_int_equal(w->n_pages, 70);
    ws->stats.mappings += 16000; /* another's: half is gone */
    map(201, 500, 1, true, PAGE_SIZE);
    assert_int_equal(w->n_pages, 1);
    ws->stats.mappings -= 16000;
    enter(1, 0);
    w = t->mmu->slot->window;
    assert_int_equal(w->first, 0);
    for (unsigned i = 0; i < 140; i += 2)
        map(i, 1000 + i, 1, true, PAGE_SIZE);
    assert_true(w->n_pages < 70);
}

/* What goes is looked for now and then only. */
static void they_do_not_go_at_each_page(void **state)
{
    unsigned n = 0;

    (void)state;
    w->share = 100;
    w->dropped_at = window_clock(); /* just now */
    for (unsigned i = 0; i < 400; i += 2) {
        map(i, 1000 + i, 1, true, PAGE_SIZE);
        n += window_has(w, va_of(0), false);
    }
    assert_true(n > 100);
    w->dropped_at -= UINT64_C(1000000000);
    map(1, 1001, 1, true, PAGE_SIZE);
    note_what_went();
    assert_int_equal(w->n_pages, 1);
    compare();
}

/* Those of a 64 KiB leaf are no pages of their own: they stay. */
static void leaves_of_64k_stay(void **state)
{
    (void)state;
    w->share = 20;
    map(0, 0, 16, true, 16 * PAGE_SIZE);
    for (unsigned i = 0; i < 40; i += 2)
        map(N_MIDDLE + i, 1000 + i, 1, true, PAGE_SIZE);
    note_what_went();
    compare();
    assert_true(window_has(w, va_of(0), true));
    assert_false(window_has(w, va_of(N_MIDDLE), false));
}

/* With all of the budget spent it may map again what it gives up itself. */
static void small_pages_make_room_at_the_end_of_the_budget(void **state)
{
    const uint64_t others = 32000;

    (void)state;
    for (unsigned i = 0; i < 100; i += 2)
        map(i, 1000 + i, 1, true, PAGE_SIZE);
    ws->stats.mappings += others - w->pieces;
    map(101, 500, 1, true, PAGE_SIZE);
    assert_false(w->failed);
    note_what_went();
    assert_int_equal(w->n_pages, 1);
    ws->stats.mappings = w->pieces;
    compare();
}

/* ---- Random guests --------------------------------------------------------------------------- */

/* Pages that are global, of a space, and of its users; what each leads to is written in its RAM. */
enum { N_KERNEL = 8, N_OWN = 4, N_KEYS = 3 };
#define KERNEL(i)  (UINT64_C(0xffffffff80000000) + 0x1000 * (uint64_t)(i))
#define OWN(i)     (UINT64_C(0xffffffd000400000) + 0x1000 * (uint64_t)(i))
#define USER_VA(i) (UINT64_C(0x100000) + 0x1000 * (uint64_t)(i))

static void add_guest(void)
{
    for (unsigned i = 0; i < N_RAM; i++)
        toy_poke(t, TOY_RAM + ((uint64_t)i << PAGE_BITS), i);
    for (unsigned i = 0; i < N_KERNEL; i++)
        toy_add(t, 0, KERNEL(i), GPA + 0x1000 * i, 0x1000, TOY_R | TOY_W | TOY_X | TOY_G);
    for (uint64_t key = 1; key <= N_KEYS; key++)
        for (unsigned i = 0; i < N_OWN; i++) {
            toy_add(t, key, OWN(i), GPA, 0x1000, TOY_R | TOY_W | TOY_X);
            toy_add(t, key, USER_VA(i), GPA, 0x1000, USER);
        }
}

static uint32_t asid_of(uint64_t key)
{
    return (uint32_t)(key % 3);
}

/* A page gets another place, and its user another view of it: a fence that covers the change. */
static void change(void)
{
    struct toy_map *p = &t->map[below(t->n_maps)];
    bool all_va = below(4) == 0, all_asid = (p->flags & TOY_G) || below(2);

    p->gpa = TOY_RAM + (below(N_RAM) << PAGE_BITS);
    p->flags &= ~(unsigned)TOY_DIRTY;
    if (below(4) == 0)
        p->flags ^= TOY_W;
    mmu_fence(t->mmu, all_va, p->va + below(0x1000), all_asid, asid_of(p->key));
}

static void go(void)
{
    static const uint64_t rights[] = {TOY_USER, TOY_SUPER, TOY_SUPER, TOY_SUM};
    uint64_t key = below(8) ? 1 + below(N_KEYS) : N_KEYS + 1 + below(90);
    uint64_t r = rights[below(4)];

    toy_switch(t, key, asid_of(key), r, r == TOY_USER ? TOY_USER : TOY_SUPER, 0);
}

/* The mapping that an access finds, or NULL. */
static const struct toy_map *find(uint64_t va, bool store)
{
    const uint64_t r = t->mmu->now.data_rights;

    for (unsigned i = 0; i < t->n_maps; i++) {
        const struct toy_map *p = &t->map[i];
        bool user = (p->flags & TOY_U) != 0;

        if (p->va != va || (p->key && p->key != t->key))
            continue;
        if ((store && !(p->flags & TOY_W)) || (user ? r == TOY_SUPER : r == TOY_USER))
            return NULL;
        return p;
    }
    return NULL;
}

/* By the tables, as code with a window or without one would when it missed. */
static void access_page(uint64_t va, bool store)
{
    const struct toy_map *p = find(va, store);

    if (setjmp(t->s.unwind) != 0) {
        assert_null(p);
        return;
    }
    if (store)
        mmu_store(&t->s, va + 8, IR_64, va);
    else
        assert_int_equal(TOY_RAM + (mmu_load(&t->s, va, IR_64) << PAGE_BITS), p ? p->gpa : 1);
    assert_non_null(p);
    assert_true(!store || toy_peek(t, p->gpa + 8) == va);
}

static void fault_page(uint64_t va, bool store)
{
    const struct toy_map *p = find(va, store);
    struct window *in_force = t->mmu->slot->window;

    if (!in_force || !window_covers(in_force, va))
        return;
    enum mmu_window_fault kind = store ? store_faults(va) : load_faults(va);

    assert_int_equal(kind == WINDOW_GUEST, p == NULL);
    if (kind != WINDOW_MAPPED)
        return;
    assert_true(window_has(in_force, va, store));
}

/* What the window in force maps is what the guest's table says. */
static void look_at(uint64_t va)
{
    struct window *in_force = t->mmu->slot->window;
    uint64_t number;

    if (!in_force || !window_covers(in_force, va) || !window_has(in_force, va, false))
        return;
    memcpy(&number, host(va), sizeof number);
    assert_non_null(find(va, false));
    assert_int_equal(TOY_RAM + (number << PAGE_BITS), find(va, false)->gpa);
    if (window_has(in_force, va, true)) {
        assert_non_null(find(va, true));
        assert_false(track_is_code(t->track, find(va, true)->gpa));
    }
}

static void random_guest_step(void)
{
    uint64_t va =
        below(2) ? KERNEL(below(N_KERNEL)) : (below(2) ? OWN(below(N_OWN)) : USER_VA(below(N_OWN)));
    uint64_t gpa = TOY_RAM + (below(N_RAM) << PAGE_BITS);

    switch (below(16)) {
    case 0: change(); break;
    case 1: mmu_fence(t->mmu, below(2), va, below(2), (uint32_t)below(3)); break;
    case 2:
        if (below(16) == 0)
            mmu_flush_all(t->mmu);
        break;
    case 3: track_protect(t->track, gpa); break;
    case 4: track_wrote(t->track, gpa, 8); break;
    case 5: mmu_sample(t->mmu, 0, unknown_code); break;
    case 6 ... 8: go(); break;
    case 9 ... 12: fault_page(va, below(2)); break;
    default: access_page(va, below(2));
    }
    for (unsigned i = 0; i < N_KERNEL; i++)
        look_at(KERNEL(i));
    for (unsigned i = 0; i < N_OWN; i++) {
        look_at(OWN(i));
        look_at(USER_VA(i));
    }
}

static void run_random_guest(bool stress)
{
    add_guest();
    if (stress)
        mmu_stress(t->mmu);
    for (unsigned i = 0; i < 40000; i++) {
        if (i % 512 == 0 && t->mmu->common->n_lost) /* no end of the trial, for now */
            t->mmu->common->n_lost = i < 20000 ? 0 : t->mmu->common->n_lost;
        if (i % 64 == 0 && t->mmu->common->slot.window)
            memset(t->mmu->common->slot.window->churn, 0, sizeof w->churn);
        random_guest_step();
    }
    assert_true(mmu_stats(t->mmu)->window_faults[WINDOW_MAPPED] > 100);
    assert_true(mmu_stats(t->mmu)->spaces_recycled > 10);
}

static void random_guests_see_their_own_pages(void **state)
{
    (void)state;
    seed = 7;
    run_random_guest(false);
}

static void so_they_do_under_stress(void **state)
{
    (void)state;
    seed = 8;
    run_random_guest(true);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_compared, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_host_has_what_the_window_says),
        TEST(so_it_does_for_the_lower_half),
        TEST(pages_mapped_one_by_one_go_when_they_cost_too_much),
        TEST(each_has_its_share),
        TEST(they_do_not_go_at_each_page),
        TEST(leaves_of_64k_stay),
        TEST(small_pages_make_room_at_the_end_of_the_budget),
        TEST(random_guests_see_their_own_pages),
        TEST(so_they_do_under_stress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
