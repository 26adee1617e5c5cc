/* A block is dropped while another hart's code jumps to it by its page (x64_stub.c, look_up_page):
 * when both have done, that hart's jump cache does not have it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend-x86_64/x64.h"
#include "dbt/base/clock.h"
#include "runtime/hart_int.h"
#include "runtime/jumps.h"
#include "softmmu/mmu.h"

#define VA  UINT64_C(0x401120)
#define GPA UINT64_C(0x80005120)
enum {
    ROUNDS = 400000, /* or for so long, where the two share a processor */
    LIMIT_MS = 1500,
    LIMIT_S = 120,
    STUB_BYTES = 8192,
    JUMPER_AT = STUB_BYTES,
    BLOCK_AT = STUB_BYTES + 64,
    CODE_BYTES = STUB_BYTES + 4096
};

static const struct x64_mmu_layout layout = {
    .tlb_bits = TLB_BITS,
    .load_off = offsetof(struct mmu_view, load),
    .store_off = offsetof(struct mmu_view, store),
};

static struct x64_stubs stubs;
static const uint8_t *code_rx;
static uint8_t *code_rw;
static struct tcache tc;
static struct hart hart;
static struct block block;
static _Atomic unsigned round_begun, round_entered, round_ended;
static _Atomic bool over;
static unsigned n_entered, n_missed; /* the jumper's */

static void *map_code(int fd, int prot)
{
    void *p = mmap(NULL, CODE_BYTES, prot, MAP_SHARED, fd, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

/* jmp [state.stub[which]] */
static void put_jump(uint8_t *at, enum x64_stub which)
{
    int32_t disp = (int32_t)offsetof(struct cpu_state, stub) + 8 * (int32_t)which - STATE_BIAS;

    at[0] = 0xff;
    at[1] = 0xa5;
    memcpy(at + 2, &disp, sizeof disp);
}

static void put_code(void)
{
    const uint64_t va = VA;

    code_rw[JUMPER_AT] = 0x48; /* mov rax, VA */
    code_rw[JUMPER_AT + 1] = 0xb8;
    memcpy(code_rw + JUMPER_AT + 2, &va, sizeof va);
    put_jump(code_rw + JUMPER_AT + 10, X64_STUB_LOOKUP);
    put_jump(code_rw + BLOCK_AT, X64_STUB_LINK);
}

static int set_up(void **state)
{
    int fd = memfd_create("test_jumps_race", 0);

    (void)state;
    assert_int_equal(ftruncate(fd, CODE_BYTES), 0);
    code_rw = map_code(fd, PROT_READ | PROT_WRITE);
    code_rx = map_code(fd, PROT_READ | PROT_EXEC);
    close(fd);
    x64_make_stubs(&stubs, code_rw, code_rx, STUB_BYTES, &layout, 16);
    put_code();
    hart = (struct hart){.tc = &tc, .s = calloc(1, sizeof *hart.s)};
    assert_non_null(hart.s);
    tc = (struct tcache){.n_threads = 1, .hart = {&hart}, .n_harts = 1};
    jumps_init(&tc);
    jumps_join(&hart);
    x64_init_state(hart.s, &stubs, &layout, NULL, 0);
    state_empty_jumps(hart.s);
    hart.s->salt[0] = UINT64_C(5) << 40;
    block = (struct block){.gpa = GPA, .mode = 1, .code = code_rx + BLOCK_AT};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    jumps_fini(&tc);
    free(hart.s);
    munmap(code_rw, CODE_BYTES);
    munmap((void *)(uintptr_t)code_rx, CODE_BYTES);
    return 0;
}

/* On one processor the other can only come if it is let. */
static void wait_until(_Atomic unsigned *n, unsigned at_least)
{
    for (unsigned spins = 1; atomic_load(n) < at_least; spins++)
        if (spins % 1024 == 0)
            sched_yield();
}

/* A moment, so that the two meet everywhere in each other's way. */
static void spend(unsigned n)
{
    for (volatile unsigned left = n; left > 0; left--)
        ;
}

static void *jumper(void *arg)
{
    (void)arg;
    for (unsigned k = 1;; k++) {
        wait_until(&round_begun, k);
        if (atomic_load(&over))
            return NULL;
        atomic_store(&round_entered, k);
        spend(k / 64 % 64);
        if (stubs.enter(hart.s, code_rx + JUMPER_AT) == EXIT_LINK)
            n_entered++;
        else
            n_missed++;
        atomic_store(&round_ended, k);
    }
}

/* Known by its page only. */
static void begin_round(struct jump_entry *by_va)
{
    block.dropped = false;
    hart.s->pc = VA;
    jumps_note(&hart, &block);
    by_va->tag = JUMP_EMPTY;
}

static void what_is_dropped_meanwhile_does_not_stay(void **state)
{
    struct jump_entry *by_va = &hart.s->jump[jump_index(VA)];
    const uint64_t end = clock_ns(CLOCK_MONOTONIC) + LIMIT_MS * UINT64_C(1000000);
    unsigned n_left = 0, k = 0;
    pthread_t thread;

    (void)state;
    alarm(LIMIT_S);
    assert_int_equal(pthread_create(&thread, NULL, jumper, NULL), 0);
    while (k++ < ROUNDS && clock_ns(CLOCK_MONOTONIC) < end) {
        begin_round(by_va);
        atomic_store(&round_begun, k);
        wait_until(&round_entered, k);
        spend(k % 64);
        atomic_store(&block.dropped, true);
        jumps_forget(&tc, &block);
        wait_until(&round_ended, k);
        n_left += __atomic_load_n(&by_va->tag, __ATOMIC_RELAXED) != JUMP_EMPTY;
    }
    atomic_store(&over, true);
    atomic_store(&round_begun, k);
    pthread_join(thread, NULL);
    alarm(0);
    assert_int_equal(n_left, 0);
    assert_true(k > 1);
    assert_int_equal(n_entered + n_missed, k - 1);
    print_message("entered %u times, missed %u times\n", n_entered, n_missed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_dropped_meanwhile_does_not_stay, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
