/* Toy guests on the harts of one thread: each has the kernel's page KERNEL in common with the
 * others, where they walk alike, and OWN for itself. */
#pragma once

#include "tests/lib/toy_windows.h"

#define KERNEL UINT64_C(0xffffffff80000000)
#define OWN    UINT64_C(0xffffffff80001000)
#define AT(i)  (TOY_RAM + 0x100000 + UINT64_C(0x1000) * (i))
enum { ALL = TOY_R | TOY_W | TOY_X | TOY_G, N = 3 };

static struct toy *hart[N]; /* [0] is t */
static struct salts *salts;
static bool alike;
static uint8_t protection[N];

static inline bool walks_alike(struct cpu_state *a, struct cpu_state *b, uint64_t gva)
{
    (void)gva;
    return alike && ((struct toy *)a)->key && ((struct toy *)b)->key;
}

static inline size_t domain(struct cpu_state *s, uint8_t *out)
{
    for (unsigned k = 0; k < N; k++)
        if (s == &hart[k]->s)
            *out = protection[k];
    return 1;
}

/* The last look finds hart 0's page table changed. */
static unsigned looks_left;

static inline bool look(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                        struct mmu_map *map)
{
    if (looks_left && --looks_left == 0) {
        alike = false;
        hart[0]->map[0].gpa = AT(9);
    }
    return toy_peek_map(s, gva, access, rights, map);
}

static struct mmu_guest shared_kernel;

static inline struct toy *add_hart(void)
{
    struct toy *o = calloc(1, sizeof *o);

    assert_non_null(o);
    o->mmu = mmu_create(&o->s, &t->phys, t->track, salts, &shared_kernel);
    assert_non_null(o->mmu);
    mmu_share(o->mmu, t->mmu);
    mmu_set_windows(o->mmu, ws);
    return o;
}

static inline int begin_harts(enum window_policy policy)
{
    assert_int_equal(pipe(pipe_fd), 0);
    shared_kernel = toy_kernel;
    shared_kernel.walks_alike = walks_alike;
    shared_kernel.domain = domain;
    shared_kernel.peek = look;
    looks_left = 0;
    alike = true;
    memset(protection, 0, sizeof protection);
    salts = salts_create(N);
    hart[0] = t = toy_create_sharing(salts, &shared_kernel);
    ws = windows_create(&t->phys, t->track, policy, N, 1);
    mmu_set_windows(t->mmu, ws);
    for (unsigned k = 1; k < N; k++)
        hart[k] = add_hart();
    for (unsigned k = 0; k < N; k++) {
        toy_add(hart[k], 0, KERNEL, AT(0), 0x1000, ALL);
        toy_add(hart[k], 0, OWN, AT(1 + k), 0x1000, TOY_R | TOY_W);
        toy_poke(t, AT(1 + k), 100 + k);
        toy_enter(hart[k], 1 + k, 5);
    }
    return 0;
}

static inline int begin_tables(void **state)
{
    (void)state;
    return begin_harts(WINDOWS_OFF);
}

static inline int begin_auto(void **state)
{
    (void)state;
    return begin_harts(WINDOWS_AUTO);
}

static inline int begin_windows(void **state)
{
    (void)state;
    return begin_harts(WINDOWS_ALWAYS);
}

/* Whose view it is goes first, or last. */
static inline int end_harts_from(unsigned first)
{
    struct toy *owner = hart[0];

    for (unsigned i = 0; i < N; i++) {
        unsigned k = (first + i) % N;

        mmu_destroy(hart[k]->mmu);
        if (k)
            free(hart[k]);
    }
    windows_destroy(ws);
    track_destroy(owner->track);
    phys_fini(&owner->phys);
    free(owner);
    salts_destroy(salts);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    return 0;
}

static inline int end_harts(void **state)
{
    (void)state;
    return end_harts_from(0);
}

static inline int end_harts_owner_last(void **state)
{
    (void)state;
    return end_harts_from(1);
}

/* Its turn comes. */
static inline struct toy *resume(unsigned k)
{
    mmu_resume(hart[k]->mmu);
    return hart[k];
}

static inline uint64_t load_in_window(unsigned k, uint64_t va)
{
    t = resume(k);
    load_faults(va);
    return mmu_load(&t->s, va, IR_64);
}

static inline bool is_mapped_for(unsigned k, uint64_t va)
{
    t = resume(k);
    return can_read(va);
}
