/* A toy guest with windows. What is mapped is asked of the host itself: a system call that reads or
 * writes a page which is not mapped so fails instead of raising a signal. */
#pragma once

#include "tests/lib/toy_kernel.h"

#include <unistd.h>

#include "dbt/ir/ir.h"

#define LOW  UINT64_C(0x10000)
#define FAR  UINT64_C(0x3f00000000)
#define GPA  (TOY_RAM + 0x10000)
#define MIB2 (UINT64_C(1) << 21)
enum { USER = TOY_R | TOY_W | TOY_X | TOY_U };

static struct toy *t;
static struct windows *ws;
static int pipe_fd[2];
static uint64_t seed; /* below() goes on from it */

static inline uint64_t below(uint64_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % n;
}

static inline void begin_as(enum window_policy policy, const struct mmu_guest *guest)
{
    t = toy_create_sharing(NULL, guest);
    ws = windows_create(&t->phys, t->track, policy, 1, 1);
    mmu_set_windows(t->mmu, ws);
}

static inline void begin(enum window_policy policy)
{
    begin_as(policy, &toy_guest);
}

static inline int set_up_as(enum window_policy policy, const struct mmu_guest *guest)
{
    assert_int_equal(pipe(pipe_fd), 0);
    begin_as(policy, guest);
    return 0;
}

static inline int setup(void **state)
{
    (void)state;
    return set_up_as(WINDOWS_ALWAYS, &toy_guest);
}

static inline int setup_auto(void **state)
{
    (void)state;
    return set_up_as(WINDOWS_AUTO, &toy_guest);
}

static inline int setup_kernel(void **state)
{
    (void)state;
    return set_up_as(WINDOWS_ALWAYS, &toy_kernel);
}

static inline int setup_kernel_auto(void **state)
{
    (void)state;
    return set_up_as(WINDOWS_AUTO, &toy_kernel);
}

static inline int teardown(void **state)
{
    (void)state;
    mmu_destroy(t->mmu);
    windows_destroy(ws);
    track_destroy(t->track);
    phys_fini(&t->phys);
    free(t);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    return 0;
}

static inline void enter(uint64_t key, uint32_t asid)
{
    toy_switch(t, key, asid, TOY_USER, TOY_USER, 0);
}

static inline struct window *kernel_window(void)
{
    return t->mmu->common->slot.window;
}

static const struct mmu_density unknown_code;

/* As samples see it. Most are of 10 ms, which counts as that however long the test is kept waiting
 * between two looks at the clock: more is cut off. */
static inline void run_code(uint64_t ms, struct mmu_density code)
{
    for (uint64_t n; ms > 0; ms -= n) {
        n = ms < 10 ? 1 : 10;
        t->mmu->sampled_at = window_clock() - n * 1000000;
        mmu_sample(t->mmu, 0, code);
    }
}

static inline void run_for(uint64_t ms)
{
    run_code(ms, unknown_code);
}

/* Where the window in force has va. */
static inline uint8_t *host(uint64_t va)
{
    bool upper = mmu_code_window(t->mmu) == IR_WINDOW_UPPER;

    return (uint8_t *)t->s.view + (upper ? -(uint64_t)WINDOW_OFF : WINDOW_OFF) + va;
}

static inline bool can_read(uint64_t va)
{
    char byte;

    if (write(pipe_fd[1], host(va), 1) != 1)
        return false;
    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    return true;
}

/* Writes back what is there. */
static inline bool can_write(uint64_t va)
{
    char byte;

    if (!can_read(va))
        return false;
    byte = (char)*host(va);
    assert_int_equal(write(pipe_fd[1], &byte, 1), 1);
    if (read(pipe_fd[0], host(va), 1) == 1)
        return true;
    assert_int_equal(read(pipe_fd[0], &byte, 1), 1); /* it is there still */
    return false;
}

static inline enum mmu_window_fault load_faults(uint64_t va)
{
    return mmu_window_fault(t->mmu, va, 8, MMU_LOAD);
}
static inline enum mmu_window_fault store_faults(uint64_t va)
{
    return mmu_window_fault(t->mmu, va, 8, MMU_STORE);
}
