/* The PLIC: priorities, thresholds, claims, gateways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/plic.h"

enum { PENDING = 0x1000, ENABLE = 0x2000, CONTEXT = 0x200000, CLAIM = 4 };

static bool out[4];

static void sink(void *arg, unsigned n, bool level)
{
    (void)arg;
    out[n] = level;
}

static uint32_t get(struct plic *p, uint64_t offset)
{
    return (uint32_t)plic_mmio.read(p, offset, 4);
}

static void set(struct plic *p, uint64_t offset, uint32_t value)
{
    plic_mmio.write(p, offset, 4, value);
}

static uint64_t claim_at(unsigned context)
{
    return CONTEXT + 0x1000 * context + CLAIM;
}

/* Two harts, so four contexts; sources 10 and 33 enabled in context 1. */
static struct plic *make(void)
{
    struct plic *p = malloc(sizeof *p);
    struct irq_line lines[4];

    for (unsigned i = 0; i < 4; i++) {
        lines[i] = (struct irq_line){.set = sink, .n = i};
        out[i] = false;
    }
    plic_init(p, lines, 4);
    set(p, 4 * 10, 1);
    set(p, 4 * 33, 2);
    set(p, ENABLE + 0x80, 1u << 10);
    set(p, ENABLE + 0x80 + 4, 1u << 1);
    return p;
}

static void drop(struct plic *p)
{
    plic_fini(p);
    free(p);
}

static void level(struct plic *p, unsigned n, bool on)
{
    struct irq_line line = plic_line(p, n);

    irq_set(&line, on);
}

static void claims_and_completes(void **state)
{
    struct plic *p = make();

    (void)state;
    level(p, 10, true);
    assert_true(out[1]);
    assert_false(out[0]);
    assert_int_equal(get(p, PENDING), 1u << 10);
    assert_int_equal(get(p, claim_at(1)), 10);
    assert_false(out[1]);
    assert_int_equal(get(p, PENDING), 0);
    assert_int_equal(get(p, claim_at(1)), 0);
    /* The level is still up: the completion brings it back. */
    set(p, claim_at(1), 10);
    assert_true(out[1]);
    assert_int_equal(get(p, claim_at(1)), 10);
    level(p, 10, false);
    set(p, claim_at(1), 10);
    assert_false(out[1]);
    drop(p);
}

static void highest_priority_first(void **state)
{
    struct plic *p = make();

    (void)state;
    level(p, 10, true);
    level(p, 33, true);
    assert_int_equal(get(p, PENDING + 4), 2);
    assert_int_equal(get(p, claim_at(1)), 33);
    assert_true(out[1]);
    assert_int_equal(get(p, claim_at(1)), 10);
    drop(p);

    /* Of equal priorities the lowest number. */
    p = make();
    set(p, 4 * 33, 1);
    level(p, 33, true);
    level(p, 10, true);
    assert_int_equal(get(p, claim_at(1)), 10);
    drop(p);
}

static void threshold_masks_the_line_but_not_the_claim(void **state)
{
    struct plic *p = make();

    (void)state;
    set(p, CONTEXT + 0x1000, 1);
    level(p, 10, true);
    assert_false(out[1]);
    level(p, 33, true);
    assert_true(out[1]);
    set(p, CONTEXT + 0x1000, 7);
    assert_false(out[1]);
    assert_int_equal(get(p, claim_at(1)), 33);
    drop(p);
}

static void priority_zero_never_interrupts(void **state)
{
    struct plic *p = make();

    (void)state;
    set(p, 4 * 10, 0);
    level(p, 10, true);
    assert_false(out[1]);
    assert_int_equal(get(p, claim_at(1)), 0);
    set(p, 4 * 10, 8 + 5);
    assert_int_equal(get(p, 4 * 10), 5);
    assert_true(out[1]);
    drop(p);
}

static void a_request_outlives_its_level(void **state)
{
    struct plic *p = make();

    (void)state;
    level(p, 10, true);
    level(p, 10, false);
    assert_true(out[1]);
    assert_int_equal(get(p, claim_at(1)), 10);
    set(p, claim_at(1), 10);
    assert_false(out[1]);
    drop(p);
}

static void foreign_completions_are_ignored(void **state)
{
    struct plic *p = make();

    (void)state;
    level(p, 10, true);
    assert_int_equal(get(p, claim_at(1)), 10);
    set(p, claim_at(0), 10); /* not enabled there */
    set(p, claim_at(1), 33); /* not claimed */
    set(p, claim_at(1), 0);
    set(p, claim_at(1), 96);
    set(p, claim_at(1), UINT32_MAX);
    assert_false(out[1]);
    set(p, claim_at(1), 10);
    assert_true(out[1]);
    drop(p);
}

/* Each register address in the region, and what lies between, is harmless. */
static void every_address_answers(void **state)
{
    struct plic *p = make();

    (void)state;
    for (uint64_t offset = 0; offset < 0x600000; offset += 4) {
        set(p, offset, UINT32_MAX);
        get(p, offset);
    }
    assert_int_equal(get(p, 0), 0);
    assert_int_equal(get(p, ENABLE) & 1, 0);
    drop(p);
}

static void what_is_printed(void **state)
{
    struct plic *p = make();
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    level(p, 10, true);
    plic_print(p, f);
    fclose(f);
    assert_string_equal(text, "source 10: priority 1, line up, pending, enabled for 1\n"
                              "source 33: priority 2, enabled for 1\n"
                              "context 0: threshold 0, line down\n"
                              "context 1: threshold 0, line up\n"
                              "context 2: threshold 0, line down\n"
                              "context 3: threshold 0, line down\n");
    free(text);
    drop(p);
}

static void reset_and_state(void **state)
{
    struct plic *p = make(), *q = make();
    FILE *f = tmpfile();
    struct state_io io = {.f = f, .saving = true};

    (void)state;
    set(p, 4 * 10, 3);
    level(p, 10, true);
    plic_state(p, &io);
    assert_false(io.failed);
    rewind(f);
    io.saving = false;
    out[1] = false;
    plic_state(q, &io);
    assert_false(io.failed);
    assert_int_equal(get(q, 4 * 10), 3);
    assert_true(out[1]);
    plic_reset(q);
    assert_false(out[1]);
    assert_int_equal(get(q, 4 * 10), 0);
    plic_state(q, &io); /* at the end of the file */
    assert_true(io.failed);
    fclose(f);
    drop(p);
    drop(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_and_completes),
        cmocka_unit_test(highest_priority_first),
        cmocka_unit_test(what_is_printed),
        cmocka_unit_test(threshold_masks_the_line_but_not_the_claim),
        cmocka_unit_test(priority_zero_never_interrupts),
        cmocka_unit_test(a_request_outlives_its_level),
        cmocka_unit_test(foreign_completions_are_ignored),
        cmocka_unit_test(every_address_answers),
        cmocka_unit_test(reset_and_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
