/* A toy guest whose spaces earn windows. */
#pragma once

#include "tests/lib/toy_windows.h"

#define LARGE             UINT64_C(0x600000)
#define SAME_PLACE_IN_TLB ((uint64_t)TLB_SIZE << 12)

static inline bool has_window(void)
{
    return mmu_code_mode(t->mmu) != 0;
}

static inline void load_pages(uint64_t len)
{
    for (uint64_t at = 0; at < len; at += 0x1000)
        mmu_load(&t->s, LOW + at, IR_64);
}

/* A space with so much mapped that by its time alone it would have to run for 100 ms. */
static inline void enter_large(uint64_t key)
{
    toy_add(t, key, LOW, TOY_RAM, LARGE, USER | TOY_SMALL);
    toy_add(t, key, LOW + SAME_PLACE_IN_TLB, GPA, 0x1000, USER);
    enter(key, 0);
    load_pages(LARGE);
    run_for(50);
    assert_false(has_window());
}

#define A_MS UINT64_C(1000000)

#define CODE       UINT64_C(0x7000000)
#define CODE_GPA   (GPA + 0x20000)
#define SAME_PLACE (CODE_GPA ^ 0x101000) /* its account has the same place in the table */

static inline void enter_running(uint64_t key, uint64_t va)
{
    struct mmu_fault fault;
    uint64_t gpa;

    enter(key, 0);
    t->s.pc = va;
    assert_true(mmu_fetch(t->mmu, va, &gpa, &fault));
}

/* So many pages of it. */
static inline void add_code(unsigned n)
{
    toy_add(t, 0, CODE, CODE_GPA, n * UINT64_C(0x1000), USER);
}

static inline void run_pages(uint64_t key, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        enter_running(key, CODE + i * UINT64_C(0x1000));
}

#define OF_FOUR ((struct mmu_density){4, 1, 0, false})
