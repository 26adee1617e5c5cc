/* Building: what ir_emit() folds means what was asked for. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/ir_random.h"

static struct ir_block naive, built;
static struct ir_world start, expected, got;

static ir_ref mapped(const ir_ref *map, ir_ref r)
{
    return ir_is_none(r) ? r : map[r.n];
}

/* The block through ir_emit(), instruction by instruction. */
static void rebuild(const struct ir_block *from, struct ir_block *to)
{
    static ir_ref map[IR_MAX_INSNS];

    *to = *from;
    to->n = 0;
    for (uint32_t n = 0; n < from->n; n++) {
        const struct ir_insn *i = &from->insn[n];

        map[n] = ir_emit(to, (enum ir_op)i->op, i->aux, mapped(map, i->a), mapped(map, i->b),
                         mapped(map, i->c), i->imm);
    }
}

static void built_blocks_mean_what_was_asked(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6000; seed++) {
        struct ir_random r = {.seed = seed, .parts = IR_RANDOM_ALL, .n_guest = 1 + seed % 24};
        enum exit_reason x, y;
        struct err e;

        ir_random_block(&r, &naive);
        rebuild(&naive, &built);
        if (!ir_verify(&built, &e))
            fail_msg("seed %" PRIu64 ": %s", seed, e.text);
        ir_world_init(&start, &r);
        ir_world_copy(&expected, &start);
        ir_world_copy(&got, &start);
        x = ir_world_eval(&expected, &naive);
        y = ir_world_eval(&got, &built);
        if (ir_world_same(&expected, x, &got, y, stderr))
            continue;
        ir_print(&naive, stderr);
        ir_print(&built, stderr);
        fail_msg("seed %" PRIu64, seed);
    }
}

/* Every pure row of integers, with constants among its operands and without. */
static void rows_fold_to_their_meaning(void **state)
{
    struct ir_random r = {.seed = 77};

    (void)state;
    ir_world_init(&got, &r);
    for (unsigned n = 0; n < 300000; n++) {
        enum ir_op op = (enum ir_op)ir_random_below(&r, IR_OP_COUNT);
        uint8_t aux = op == IR_addsh ? (uint8_t)(1 + n % 3) : 0;
        uint64_t v[3], want;
        ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE}, out;
        enum exit_reason reason;

        if (!(ir_ops[op].flags & PURE) || op == IR_const || ir_ops[op].result == 'F' ||
            strchr(ir_ops[op].operands, 'F'))
            continue;
        built.n = 0;
        built.start = 0;
        ir_emit(&built, IR_insn, 4, IR_NONE, IR_NONE, IR_NONE, 0);
        for (unsigned k = 0; k < 3; k++) {
            bool constant = ir_random_below(&r, 2) != 0;

            got.s.reg[10 + k] = v[k] = ir_random_value(&r);
            if (ir_ops[op].operands[k] && (k == 0 || ir_ops[op].operands[k - 1]))
                in[k] = constant ? ir_const(&built, v[k])
                                 : ir_emit(&built, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 10 + k);
            else
                break;
        }
        want = ir_eval_pure(op, aux, v[0], v[1], v[2], 0);
        out = ir_emit(&built, op, aux, in[0], in[1], in[2], 0);
        ir_emit(&built, IR_exit_jump, 0, out, IR_NONE, IR_NONE, 0);
        reason = ir_world_eval(&got, &built);
        assert_int_equal(reason, EXIT_LOOKUP);
        if (got.s.pc != want) {
            ir_print(&built, stderr);
            fail_msg("%s of %" PRIx64 ", %" PRIx64 ", %" PRIx64 ": %" PRIx64 ", not %" PRIx64,
                     ir_ops[op].name, v[0], v[1], v[2], got.s.pc, want);
        }
    }
}

static void identities_make_nothing(void **state)
{
    ir_ref x, zero, ones, f;
    uint64_t c;

    (void)state;
    built.n = 0;
    x = ir_emit(&built, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5);
    f = ir_emit(&built, IR_getf, 0, IR_NONE, IR_NONE, IR_NONE, 5);
    zero = ir_const(&built, 0);
    ones = ir_const(&built, UINT64_MAX);
    assert_int_equal(ir_op2(&built, IR_add, x, zero).n, x.n);
    assert_int_equal(ir_op2(&built, IR_add, zero, x).n, x.n);
    assert_int_equal(ir_op2(&built, IR_sub, x, zero).n, x.n);
    assert_int_equal(ir_op2(&built, IR_and, ones, x).n, x.n);
    assert_int_equal(ir_op2(&built, IR_and, x, zero).n, zero.n);
    assert_int_equal(ir_op2(&built, IR_or, x, x).n, x.n);
    assert_int_equal(ir_op2(&built, IR_shl, x, zero).n, x.n);
    assert_int_equal(ir_emit(&built, IR_select, 0, ones, x, zero, 0).n, x.n);
    assert_int_equal(ir_op1(&built, IR_i2f, ir_op1(&built, IR_f2i, f)).n, f.n);
    assert_true(ir_is_const(&built, ir_op2(&built, IR_xor, x, x), &c) && c == 0);
    assert_true(ir_is_const(&built, ir_op2(&built, IR_add, ones, ones), &c) && c == UINT64_MAX - 1);
}

static void constants_go_right(void **state)
{
    ir_ref x, k, sum;

    (void)state;
    built.n = 0;
    x = ir_emit(&built, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5);
    k = ir_const(&built, 5);
    sum = ir_op2(&built, IR_add, k, x);
    assert_int_equal(built.insn[sum.n].a.n, x.n);
    assert_int_equal(built.insn[sum.n].b.n, k.n);
}

/* A block that overflows is a builder's mistake, and stops us at once. */
static void overflow_is_checked(void **state)
{
    int status;
    pid_t child;

    (void)state;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        fclose(stderr);
        built.n = 0;
        for (unsigned n = 0; n <= IR_MAX_INSNS; n++)
            ir_const(&built, n);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_blocks_mean_what_was_asked),
        cmocka_unit_test(rows_fold_to_their_meaning),
        cmocka_unit_test(identities_make_nothing),
        cmocka_unit_test(constants_go_right),
        cmocka_unit_test(overflow_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
