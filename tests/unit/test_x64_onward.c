/* Which exits may go on without a look at `pending` (x64_exit.onward), and where a link then leads
 * into the block behind them (block_link). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"
#include "tests/lib/x64_text.h"

/* ---- What the back end says ---------------------------------------------------------------- */

/* Of `like`: whatever is no text. */
static const struct x64_unit *emit(const struct ir_block *like, const char *ir)
{
    parse(ir);
    block.mode = like->mode;
    block.window = like->window;
    block.virtual_time = like->virtual_time;
    block.cells = like->cells;
    block.cold = like->cold;
    return emit_block();
}

static const struct ir_block plain;

#define HEAD "block gpa=0x80000100\n       insn +0x100, 4\n%1   = get r10\n%2   = get r11\n"

/* Back, to itself, on by one, to the page's last place; over its end, and before its start. */
static void exits_that_go_on_in_the_page(void **state)
{
    const struct x64_unit *u = emit(
        &plain, HEAD "       exit_if.eq %1, %2 -> +0xfe\n       exit_if.ne %1, %2 -> +0x100\n"
                     "       exit_if.lt %1, %2 -> +0x102\n       exit_if.ge %1, %2 -> +0xffe\n"
                     "       exit_if.ltu %1, %2 -> +0x1000\n       exit_if.geu %1, %2 -> -0x4\n"
                     "       exit_goto -> +0x104\n");
    static const bool onward[] = {false, false, true, true, false, false, true};

    (void)state;
    assert_int_equal(u->n_exits, 7);
    for (unsigned n = 0; n < u->n_exits; n++)
        assert_int_equal(u->exit[n].onward, onward[n]);
    assert_false(emit(&plain, HEAD "       exit_goto -> +0x80\n")->exit[0].onward);
    assert_false(emit(&plain, HEAD "       exit_goto -> +0x100\n")->exit[0].onward);
}

/* A block may hold the jump back and start before its target: then that one starts later, and
 * cannot go there onward. */
static void back_to_a_place_behind_the_start(void **state)
{
    (void)state;
    const struct x64_unit *u = emit(&plain, HEAD "       insn +0x110, 4\n"
                                                 "       exit_if.eq %1, %2 -> +0x108\n"
                                                 "       exit_goto -> +0x114\n");

    assert_true(u->exit[0].onward && u->exit[1].onward);
    assert_false(emit(&plain, "block gpa=0x80000108\n       insn +0x108, 4\n%1   = get r10\n"
                              "       insn +0x110, 4\n       exit_if.eq %1, %1 -> +0x108\n"
                              "       exit_goto -> +0x114\n")
                     ->exit[0]
                     .onward);
}

/* It may have set `pending`. */
static void none_behind_a_helper(void **state)
{
    (void)state;
    const struct x64_unit *u =
        emit(&plain, HEAD "       exit_if.eq %1, %2 -> +0x200\n%4   = call 5 0x0 (%1)\n"
                          "       exit_if.ne %1, %2 -> +0x300\n       exit_goto -> +0x104\n");

    for (unsigned n = 0; n < u->n_exits; n++)
        assert_false(u->exit[n].onward);
    u = emit(&plain, HEAD "%3   = call 5 0x0 (%1)\n%4   = pc +0x104\n"
                          "       exit_goto.call %4 -> +0x200\n");
    assert_int_equal(u->n_exits, 2);
    assert_false(u->exit[0].onward || u->exit[1].onward);
}

static void none_in_virtual_time(void **state)
{
    const struct ir_block in_turns = {.virtual_time = true};
    const struct x64_unit *u =
        emit(&in_turns, HEAD "       exit_if.eq %1, %2 -> +0x200\n       exit_goto -> +0x104\n");

    (void)state;
    assert_false(u->exit[0].onward || u->exit[1].onward);
}

/* Or a tree of calls in a page, which may be as many as one likes, would be without a look. */
static void a_call_does_not_and_its_landing_does(void **state)
{
    (void)state;
    const struct x64_unit *u =
        emit(&plain, HEAD "%3   = pc +0x104\n       exit_goto.call %3 -> +0x200\n");

    assert_int_equal(u->n_exits, 2);
    assert_false(u->exit[0].onward || u->exit[0].lands);
    assert_true(u->exit[1].onward && u->exit[1].lands);
    assert_int_equal(u->exit[1].target, 0x104);
    u = emit(&plain, HEAD "%3   = pc +0x104\n       exit_goto.call %3 -> +0x2000\n");
    assert_false(u->exit[0].onward || u->exit[0].lands);
    assert_true(u->exit[1].onward && u->exit[1].lands);
    u = emit(&plain, HEAD "%3   = pc +0x104\n       exit_jump.call %1, %3\n");
    assert_int_equal(u->n_exits, 1);
    assert_true(u->exit[0].onward && u->exit[0].lands);
    /* The call comes before the block's start: its landing goes back. */
    u = emit(&plain, HEAD "       insn +0x80, 4\n%4   = pc +0x84\n"
                          "       exit_goto.call %4 -> +0x200\n");
    assert_true(!u->exit[1].onward && u->exit[1].lands);
}

static char *text_from(const struct x64_unit *u, uint32_t at)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    x64_disasm(f, code + at, 0, u->size_bytes - at, NULL);
    fclose(f);
    return text;
}

/* Who comes behind the look comes before all else, so before the runs are counted. */
static void what_is_behind_the_look(void **state)
{
    const struct ir_block cold = {.cells = true, .cold = true};
    const struct x64_unit *u =
        emit(&cold, HEAD "%3   = ld.64 [%1 +0x0]\n       set %3 r12\n       exit_goto -> +0x104\n");
    char *text = text_from(u, u->onward);

    (void)state;
    assert_true(u->onward > 0 && !u->touches_fp);
    assert_non_null(strstr(text, "sub dword"));
    free(text);
    u = emit(&plain, HEAD "%3   = getf f10\n       setf %3 f11\n       exit_goto -> +0x104\n");
    assert_true(u->onward > 0 && u->touches_fp);
    u = emit(&plain, HEAD "%3   = getfflags\n       set %3 r12\n       exit_goto -> +0x104\n");
    assert_true(u->onward > 0 && u->touches_fp);
}

/* What is made before the look, once for all turns, who comes behind it would not have. */
static void a_loop_that_begins_with_something_is_entered_there(void **state)
{
    static const char strides[] =
        "block gpa=0x80000010\n       insn +0x10, 4\n%1   = get r10\n%2   = ld.64 [%1 +0x0]\n"
        "       insn +0x14, 4\n%4   = const 0x8\n%5   = add %1, %4\n       set %5 r10\n"
        "       exit_if.ne %5, %2 -> +0x10\n       exit_goto -> +0x18\n";
    static const char chase[] =
        "block gpa=0x80000010\n       insn +0x10, 4\n%1   = get r10\n%2   = ld.64 [%1 +0x8]\n"
        "       set %2 r10\n       insn +0x14, 4\n%5   = const 0x0\n"
        "       exit_if.ne %2, %5 -> +0x10\n       exit_goto -> +0x18\n";
    const struct ir_block lower = {.mode = IR_MODE_WINDOW, .window = IR_WINDOW_LOWER};

    (void)state;
    const struct x64_unit *u = emit(&lower, strides);

    assert_true(u->loop > 0 && u->onward == 0);
    u = emit(&lower, chase);
    assert_true(u->loop > 0 && u->onward == 0);
    u = emit(&plain, strides);
    assert_true(u->loop == 0 && u->onward > 0);
}

/* ---- Where links lead ------------------------------------------------------------------------ */

#define CODE (TOY_RAM + 0x10000)
enum { FURTHER = 0x100, LOOPS = 0x200 };

static struct block *block_at(struct toy_hart *t, uint64_t gpa)
{
    struct block *b = block_find(t->world->hart->tc->blocks, gpa, TOY_MODE_KEY, NULL, NULL);

    assert_non_null(b);
    return b;
}

/* How far behind `to` its link leads, made anew. */
static int64_t entry(struct toy_hart *t, struct block_exit *e, struct block *to)
{
    const struct tcache *tc = t->world->hart->tc;
    int32_t rel;

    block_link(tc->blocks, e, to, 0, t->world->hart);
    memcpy(&rel, cache_rw_of(tc->cache, e->from->code) + e->at.jump, sizeof rel);
    return e->from->code + e->at.jump + 4 + rel - to->code;
}

/* Goes to FURTHER when r1 != r2, and there LOOPS r3 times. */
static struct toy_hart *run_three_blocks(void)
{
    const struct toy_config config = {.engine = ENGINE_JIT};
    struct toy_hart *t = toy_create(&config);
    uint64_t at = CODE;

    TOY(t, at, BNE, 1, 2, FURTHER / 2);
    TOY(t, at, STOP, 0, 0, 0);
    at = CODE + FURTHER;
    TOY(t, at, ADDI, 3, 3, -1);
    TOY(t, at, BNE, 3, 2, -2);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[1] = 1;
    t->s.reg[3] = 10;
    toy_run(t, CODE);
    assert_int_equal(t->s.reg[3], 0);
    return t;
}

static void a_link_leads_behind_the_look(void **state)
{
    struct toy_hart *t = run_three_blocks();
    struct block *from = block_at(t, CODE), *to = block_at(t, CODE + FURTHER);
    struct block_exit *e = &from->exit[0];

    (void)state;
    assert_true(e->at.onward && !e->at.lands && to->onward > 0);
    assert_int_equal(entry(t, e, to), to->onward);
    e->at.onward = false;
    assert_int_equal(entry(t, e, to), 0);
    e->at.onward = true;
    to->onward = 0;
    assert_int_equal(entry(t, e, to), 0);
    toy_destroy(t);
}

/* The link to itself goes where it would go anyway. */
static void a_loop_looks_in_each_turn(void **state)
{
    struct toy_hart *t = run_three_blocks();
    struct block *b = block_at(t, CODE + FURTHER);

    (void)state;
    assert_true(b->exit[0].at.turns && !b->exit[0].at.onward);
    assert_int_equal(entry(t, &b->exit[0], b), 0);
    b->loop = 1;
    assert_int_equal(entry(t, &b->exit[0], b), 1);
    toy_destroy(t);
}

/* A block that touches floating point finds the registers in place behind its look: one that does,
 * too, has them there; a call's return may come from anywhere. */
static void floating_point_is_in_place_behind_the_look(void **state)
{
    struct toy_hart *t = run_three_blocks();
    struct block *from = block_at(t, CODE), *to = block_at(t, CODE + FURTHER);
    struct block_exit *e = &from->exit[0];

    (void)state;
    for (unsigned k = 0; k < 8; k++) {
        from->touches_fp = k & 1;
        to->touches_fp = k & 2;
        e->at.lands = k & 4;
        assert_int_equal(entry(t, e, to), k == 2 || k == 6 || k == 7 ? 0 : to->onward);
    }
    toy_destroy(t);
}

int main(void)
{
#define EMITS(f) cmocka_unit_test_setup_teardown(f, x64_text_begin, x64_text_end)
    const struct CMUnitTest tests[] = {
        EMITS(exits_that_go_on_in_the_page),
        EMITS(back_to_a_place_behind_the_start),
        EMITS(none_behind_a_helper),
        EMITS(none_in_virtual_time),
        EMITS(a_call_does_not_and_its_landing_does),
        EMITS(what_is_behind_the_look),
        EMITS(a_loop_that_begins_with_something_is_entered_there),
        cmocka_unit_test(a_link_leads_behind_the_look),
        cmocka_unit_test(a_loop_looks_in_each_turn),
        cmocka_unit_test(floating_point_is_in_place_behind_the_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
