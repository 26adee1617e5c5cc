/* --engine=check finds what is wrong with the host code: each kind of difference is planted in a
 * process of its own, which must end with EXIT_BUG and a report; and devices hear everything
 * once. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE (TOY_RAM + 0x10000)
#define DATA (TOY_RAM + 0x40000)

/* A number that no other bytes of a block's code are likely to hold. */
enum { PLANT = 0x1a58, LIMIT_S = 20 };

static struct toy_hart *begin(void)
{
    const struct toy_config config = {.engine = ENGINE_CHECK};
    struct toy_hart *t = toy_create(&config);

    t->vector = CODE + 0x2000;
    toy_put(t, CODE + 0x2000, toy_word(TOY_STOP, 0, 0, 0));
    return t;
}

static struct block *block_at(struct toy_hart *t, uint64_t gpa)
{
    return block_find(t->world->hart->tc->blocks, gpa, TOY_MODE_KEY, NULL, NULL);
}

/* Wherever the bytes hold PLANT, as 32 bits, they hold `value` from now on. Gives how often. */
static unsigned plant_in(uint8_t *rw, uint32_t n_bytes, int32_t value)
{
    const int32_t old = PLANT;
    unsigned n = 0;

    for (uint32_t k = 0; k + 4 <= n_bytes; k++) {
        if (memcmp(rw + k, &old, 4) == 0) {
            memcpy(rw + k, &value, 4);
            n++;
        }
    }
    return n;
}

/* In both parts of the host code of the block at CODE. */
static void plant(struct toy_hart *t, int32_t value)
{
    const struct block *b = block_at(t, CODE);
    const struct cache *c = t->world->hart->tc->cache;
    unsigned n = plant_in(cache_rw_of(c, b->code), b->size_bytes, value);

    n += plant_in(cache_rw_of(c, b->cold), b->cold_bytes, value);
    CHECK(n > 0 && "the back end puts the immediate into the code");
}

/* ---- What is planted: each runs well once, and then is spoilt ---------------------------- */

static void in_a_register(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ADDI, 3, 3, PLANT);
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, CODE);
    CHECK(t->s.reg[3] == PLANT);
    plant(t, PLANT + 1);
    toy_run(t, CODE);
}

static void in_an_address(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ST, 4, 8, PLANT);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = DATA;
    toy_run(t, CODE);
    plant(t, PLANT + 8);
    t->s.reg[4] = 1;
    toy_run(t, CODE);
}

static void in_a_cause(struct toy_hart *t)
{
    toy_put(t, CODE, toy_word(TOY_TRAP, 0, 4, PLANT));
    toy_run(t, CODE);
    CHECK(t->cause == PLANT);
    plant(t, PLANT + 1);
    toy_run(t, CODE);
}

/* r1 != r2, or not. */
static void in_a_branch(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ADDI, 1, 4, PLANT);
    TOY(t, at, BNE, 1, 2, 8);
    TOY(t, at, STOP, 0, 0, 0);
    at = CODE + 20;
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[2] = PLANT + 1;
    toy_run(t, CODE);
    CHECK(t->s.pc == CODE + 24);
    plant(t, PLANT + 1);
    toy_run(t, CODE);
}

static void in_the_way_out(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, LD, 3, 8, PLANT);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = TOY_RAM + TOY_RAM_LEN - PLANT - 8;
    toy_run(t, CODE);
    plant(t, PLANT + 0x1000); /* behind RAM */
    toy_run(t, CODE);
}

static void in_a_device_access(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, LD, 3, 8, PLANT);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = TOY_DEV - PLANT;
    toy_run(t, CODE);
    plant(t, PLANT + 8);
    toy_run(t, CODE);
}

static void in_what_a_device_is_told(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ADDI, 3, 4, PLANT);
    TOY(t, at, ST, 3, 8, 0);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = TOY_DEV;
    toy_run(t, CODE);
    plant(t, PLANT + 1);
    toy_run(t, CODE);
}

/* The device access goes to RAM instead. */
static void in_a_missing_device_access(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ST, 4, 8, PLANT);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = DATA;
    toy_run(t, CODE);
    t->s.reg[8] = TOY_DEV - PLANT;
    plant(t, (int32_t)(DATA - (TOY_DEV - PLANT)) & 0x7ffffff8);
    toy_run(t, CODE);
}

static void in_a_helper(struct toy_hart *t)
{
    uint64_t at = CODE;

    TOY(t, at, ODD, 3, 0, 0);
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, CODE);
}

static const struct plant_row {
    const char *name;
    void (*run)(struct toy_hart *t);
    const char *report; /* a piece of it */
} rows[] = {
    {"in_a_register", in_a_register, "registers\n"},
    {"in_an_address", in_an_address, "memory\n"},
    {"in_a_cause", in_a_cause, "registers\n"},
    {"in_a_branch", in_a_branch, "registers\n"},
    {"in_the_way_out", in_the_way_out, "they left in different ways\n"},
    {"in_a_device_access", in_a_device_access, "another device access\n"},
    {"in_what_a_device_is_told", in_what_a_device_is_told, "another value to a device\n"},
    {"in_a_missing_device_access", in_a_missing_device_access, "differ"},
    {"in_a_helper", in_a_helper, "registers\n"},
};

/* Runs it in a child; gives the wait status and what it wrote. */
static int run_child(const struct plant_row *row, char *text, size_t len)
{
    FILE *report = tmpfile();
    size_t n;
    int status;

    assert_non_null(report);
    fflush(NULL);
    pid_t child = fork();

    if (child == 0) {
        alarm(LIMIT_S);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        log_state.out = report;
        struct toy_hart *t = begin();

        row->run(t);
        _exit(0); /* nothing was found */
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    rewind(report);
    n = fread(text, 1, len - 1, report);
    text[n] = '\0';
    fclose(report);
    return status;
}

static void is_found(void **state)
{
    const struct plant_row *row = *state;
    static char text[1 << 16];
    int status = run_child(row, text, sizeof text);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_BUG)
        fail_msg("wait status %x, report: %s", status, text);
    assert_non_null(strstr(text, "check: the engines differ at pc 0000000080010000"));
    if (!strstr(text, row->report))
        fail_msg("'%s' is not in: %s", row->report, text);
    /* Both views of the block, and what it began with. */
    assert_non_null(strstr(text, "before:"));
    assert_non_null(strstr(text, "insn"));
}

/* ---- What must not differ ------------------------------------------------------------------- */

static void devices_hear_it_once(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, LD, 3, 8, 0); /* the device counts: reading twice would show */
    TOY(t, at, LD, 4, 8, 0);
    TOY(t, at, ST, 4, 9, 0);
    TOY(t, at, ST, 3, 8, 0);
    TOY(t, at, LD, 5, 8, 0);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = TOY_DEV;
    t->s.reg[9] = DATA;
    t->world->dev_value = 7;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 7);
    assert_int_equal(t->s.reg[4], 8);
    assert_int_equal(t->s.reg[5], 7);
    assert_int_equal(t->world->dev_reads, 3);
    assert_int_equal(t->world->dev_writes, 1);
    assert_int_equal(toy_read(t, DATA), 8);
    toy_destroy(t);
}

/* A block that reads what it writes sees its own memory undone before it runs again. */
static void memory_is_undone_in_between(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    for (unsigned k = 0; k < 3; k++) { /* overlapping, so that the order of undoing matters */
        TOY(t, at, LD, 3, 8, (int)k * 4);
        TOY(t, at, ADDI, 3, 3, 1);
        TOY(t, at, ST, 3, 8, (int)k * 4);
    }
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = DATA;
    toy_run(t, CODE);
    assert_int_equal(toy_read(t, DATA), UINT64_C(0x100000001));
    assert_int_equal(toy_read(t, DATA + 8), 1);
    toy_destroy(t);
}

/* Not a difference: both trap in the middle, after a store that stays. */
static void a_trap_in_the_middle(void **state)
{
    struct toy_hart *t = begin();
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, ADDI, 3, 3, 1);
    TOY(t, at, ST, 3, 8, 0);
    TOY(t, at, LD, 4, 9, 0);
    TOY(t, at, ADDI, 3, 3, 1);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[8] = DATA;
    toy_run(t, CODE);
    assert_int_equal(t->traps, 1);
    assert_int_equal(t->epc, CODE + 8);
    assert_int_equal(t->s.reg[3], 1);
    assert_int_equal(toy_read(t, DATA), 1);
    toy_destroy(t);
}

int main(void)
{
    enum { N_ROWS = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[N_ROWS + 3] = {
        [N_ROWS] = cmocka_unit_test(devices_hear_it_once),
        cmocka_unit_test(memory_is_undone_in_between),
        cmocka_unit_test(a_trap_in_the_middle),
    };

    for (unsigned k = 0; k < N_ROWS; k++)
        tests[k] =
            (struct CMUnitTest){rows[k].name, is_found, NULL, NULL, (void *)(uintptr_t)&rows[k]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
