/* Register allocation under pressure: far more values alive than the host has registers,
 * values that share guest registers across calls and sets, blocks of the greatest size.
 * The code must do as the evaluator, or be refused; never end the program. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend-x86_64/x64.h"
#include "dbt/opt/opt.h"
#include "softmmu/mmu.h"
#include "tests/lib/ir_clobber.h"
#include "tests/lib/ir_random.h"
#include "tests/lib/x64_one.h"

enum { CASES = 6000, STUB_BYTES = 8192, CODE_BYTES = 1 << 20, POOL = 120 };

static const struct x64_mmu_layout layout = {
    .tlb_bits = TLB_BITS,
    .load_off = offsetof(struct mmu_view, load),
    .store_off = offsetof(struct mmu_view, store),
};

static uint8_t *code_rw;
static const uint8_t *code_rx;
static struct x64_stubs stubs;
static struct x64_emitter *emitter;
static struct mmu_view *view; /* finds nothing: every access is a slow one */

static struct ir_block built, block;
static struct ir_world start, expected, got;

static void *map_code(int fd, int prot)
{
    void *p = mmap(NULL, STUB_BYTES + CODE_BYTES, prot, MAP_SHARED, fd, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

static unsigned n_xmm;

static int set_up(void **state)
{
    int fd = memfd_create("test_x64_alloc", 0);
    struct err e;

    (void)state;
    assert_true(x64_host_ok(&e));
    assert_int_equal(ftruncate(fd, STUB_BYTES + CODE_BYTES), 0);
    code_rw = map_code(fd, PROT_READ | PROT_WRITE);
    code_rx = map_code(fd, PROT_READ | PROT_EXEC);
    close(fd);
    x64_make_stubs(&stubs, code_rw, code_rx, STUB_BYTES, &layout, n_xmm);
    emitter = x64_emitter_create(&layout, n_xmm);
    view = calloc(1, sizeof *view);
    assert_non_null(view);
    for (unsigned k = 0; k < TLB_SIZE; k++)
        view->load[k].tag = view->store[k].tag = TLB_EMPTY;
    state_empty_jumps(&got.s);
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, view), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
    x64_emitter_destroy(emitter);
    free(view);
    munmap(code_rw, STUB_BYTES + CODE_BYTES);
    munmap((void *)(uintptr_t)code_rx, STUB_BYTES + CODE_BYTES);
    return 0;
}

/* ---- One block, both ways ------------------------------------------------------------ */

static enum exit_reason run_code(const struct x64_unit *u)
{
    const uint8_t *code = code_rx + STUB_BYTES;
    volatile enum exit_reason reason;
    int left = setjmp(got.s.unwind);

    reason = left ? (enum exit_reason)(left - 1) : stubs.enter(&got.s, code);
    if (reason != EXIT_LINK)
        return reason;
    assert_ptr_equal(got.s.exit_block, code);
    assert_true(got.s.exit_index < u->n_exits);
    got.s.pc = got.s.page_va + (uint64_t)(int64_t)u->exit[got.s.exit_index].target;
    return reason;
}

/* False when the emitter refuses the block: it is one to be cut. Fails when the code does
 * other than the evaluator. */
static bool runs_as_evaluated(uint32_t passes, uint64_t stress, struct ir_random *r)
{
    struct err e;

    if (!ir_verify(&built, &e))
        fail_msg("%s", e.text);
    block = built;
    opt_run(&block, passes, NULL, NULL);
    x64_emitter_stress(emitter, stress);
    const struct x64_unit *u = emit_in_one(emitter, &block, code_rw + STUB_BYTES, CODE_BYTES);

    if (!u)
        return false;
    ir_world_init(&start, r);
    start.s.icount_deadline += 1000;
    ir_world_copy(&expected, &start);
    ir_world_copy(&got, &start);
    x64_init_state(&got.s, &stubs, &layout, ir_world_helpers, ir_world_n_helpers);
    ir_world_clobber(&got.s);
    enum exit_reason x = ir_world_eval(&expected, &built), y = run_code(u);

    expected.s.mxcsr &= ~2u; /* denormal: no flag of the guest's */
    got.s.mxcsr &= ~2u;
    if (ir_world_same(&expected, x, &got, y, stderr))
        return true;
    fprintf(stderr, "passes 0x%x, stress 0x%" PRIx64 ", random number %" PRIx64 "\n", passes,
            stress, r->seed);
    ir_print(&block, stderr);
    x64_disasm(stderr, code_rx + STUB_BYTES, 0, u->size_bytes, u);
    fail();
    return false;
}

/* ---- Blocks by hand ---------------------------------------------------------------------- */

static ir_ref put(enum ir_op op, uint8_t aux, ir_ref a, ir_ref b, ir_ref c, uint64_t imm)
{
    assert_true(built.n < IR_MAX_INSNS);
    built.insn[built.n] = (struct ir_insn){(uint8_t)op, aux, a, b, c, imm};
    return (ir_ref){(uint16_t)built.n++};
}

static ir_ref put0(enum ir_op op, uint64_t imm)
{
    return put(op, 0, IR_NONE, IR_NONE, IR_NONE, imm);
}

static ir_ref put1(enum ir_op op, ir_ref a, uint64_t imm)
{
    return put(op, 0, a, IR_NONE, IR_NONE, imm);
}

static ir_ref put2(enum ir_op op, ir_ref a, ir_ref b)
{
    return put(op, 0, a, b, IR_NONE, 0);
}

static void begin(void)
{
    built = (struct ir_block){.gpa = 0x80001000,
                              .len_bytes = 4,
                              .n_guest = 1,
                              .virtual_time = true,
                              .helpers = ir_world_helpers,
                              .n_helpers = ir_world_n_helpers};
    put(IR_insn, 4, IR_NONE, IR_NONE, IR_NONE, 0);
}

/* Values in their guest registers' slots, more of them than temporaries, across a call and
 * across sets of those registers. */
static void values_at_home_survive(void **state)
{
    static const uint8_t regs[] = {5, 6, 7, 16, 17, 18, 19, 20, 21, 22};
    enum { N = sizeof regs, N_F = 20 };
    ir_ref v[N], f[N_F];

    (void)state;
    for (unsigned how = 0; how < 6; how++) {
        struct ir_random r = {.seed = how};
        bool one_home = how % 3 == 2;

        begin();
        for (unsigned k = 0; k < N; k++)
            v[k] = put0(IR_get, one_home ? 5 : regs[k]);
        for (unsigned k = 0; k < N_F; k++)
            f[k] = put0(IR_getf, one_home ? 3 : k);
        for (unsigned k = 0; how % 3 == 1 && k < N; k++)
            put1(IR_set, v[k], regs[(k + 1) % N]);
        if (one_home) {
            put1(IR_set, put0(IR_const, 7), 5);
            put1(IR_setf, f[4], 4);
            put1(IR_setf, put1(IR_i2f, v[2], 0), 3);
        } else {
            put(IR_call, 0, v[0], v[1], IR_NONE, IR_CALL(IR_HELPER_COUNT + 3, 0x3a5)); /* scatter */
        }
        for (unsigned k = 0; k < N; k++)
            put1(IR_set, put2(IR_add, v[k], put0(IR_const, k)), regs[k]);
        for (unsigned k = 0; k < N_F; k++)
            put1(IR_setf, f[k], 31 - k);
        put0(IR_exit_goto, 4);
        assert_true(runs_as_evaluated(0, how < 3 ? 0 : 99, &r));
    }
}

/* All floating-point registers are taken when a guest register that a value lives in is set: the
 * one that is spilled for it must not be sent to the slot that is about to be overwritten. */
static void a_home_is_lost_before_it_is_overwritten(void **state)
{
    enum { N_XMM = 14 };
    ir_ref v[N_XMM];
    struct ir_random r = {.seed = 5};

    (void)state;
    begin();
    v[0] = put1(IR_i2f, put0(IR_get, 5), 0);
    put1(IR_setf, v[0], 5);
    ir_ref shares = put0(IR_getf, 5);

    for (unsigned k = 1; k < N_XMM; k++)
        v[k] = put1(IR_i2f, put0(IR_get, 5 + k), 0);
    put1(IR_setf, v[1], 5);
    for (unsigned k = 1; k < N_XMM; k++)
        put1(IR_setf, v[k], 10 + k);
    put1(IR_setf, shares, 30);
    put1(IR_setf, v[0], 31);
    put0(IR_exit_goto, 4);
    assert_true(runs_as_evaluated(0, 0, &r));
}

/* More values alive than the frame has room for: such a block is refused. */
static void too_many_values_are_refused(void **state)
{
    ir_ref v[200], f[200];
    struct ir_random r = {.seed = 3};
    bool refused = false;

    (void)state;
    for (unsigned n = 10; n <= 200; n += 10) {
        begin();
        for (unsigned k = 0; k < n; k++) {
            v[k] = put2(IR_mul, put0(IR_get, 5), put0(IR_const, 3 + k));
            f[k] = put1(IR_i2f, v[k], 0);
        }
        for (unsigned k = 0; k < n; k++) {
            put1(IR_set, put2(IR_xor, put0(IR_get, 6), v[k]), 6);
            put1(IR_set, put2(IR_add, put0(IR_get, 7), put1(IR_f2i, f[k], 0)), 7);
        }
        put0(IR_exit_goto, 4);
        bool ran = runs_as_evaluated(0, 0, &r);

        assert_true(ran || n > 30);
        assert_false(ran && refused);
        refused = !ran;
    }
    assert_true(refused);
}

/* Thousands of times from a guest register's slot to a register and back. */
static void values_go_home_often(void **state)
{
    ir_ref v[12], sum;
    struct ir_random r = {.seed = 4};

    (void)state;
    for (unsigned stress = 0; stress < 4; stress++) {
        begin();
        for (unsigned k = 0; k < 12; k++)
            v[k] = put0(IR_get, k < 2 ? 5 + k : 16 + k);
        sum = put2(IR_add, v[0], v[1]);
        while (built.n < IR_MAX_INSNS - 2)
            sum = put(IR_select, 0, sum, v[built.n * 5 % 12], v[built.n * 7 % 12 ^ 1], 0);
        put1(IR_set, sum, 5);
        put0(IR_exit_goto, 4);
        assert_true(runs_as_evaluated(0, stress, &r));
    }
}

/* ---- NaNs ----------------------------------------------------------------------------------- */

static ir_ref put_double(uint64_t bits)
{
    return put1(IR_i2f, put0(IR_const, bits), 0);
}

static ir_ref put_fp(enum ir_op op, ir_ref a, ir_ref b, ir_ref c)
{
    return put(op, IR_FP(64, IR_RM_DYN), a, b, c, 0);
}

/* A value that is moved out of fa5 into the register of one that a result covers is not covered
 * by that result: all temporaries are taken, and `covered` is wanted last. */
static void a_moved_value_is_looked_at(void **state)
{
    struct ir_random r = {.seed = 6};

    (void)state;
    begin();
    ir_ref nan = put_double(UINT64_C(0xfff8000000001234)), one = put_double(UINT64_C(1023) << 52);
    ir_ref moved = put_fp(IR_fadd, nan, nan, IR_NONE);

    put1(IR_setf, moved, 15);
    ir_ref covered = put_fp(IR_fmul, one, one, IR_NONE);
    ir_ref x = put_double(7), y = put_double(9);
    ir_ref sum = put_fp(IR_fadd, covered, one, IR_NONE);

    put1(IR_setf, put_fp(IR_fsub, sum, sum, IR_NONE), 15);
    put1(IR_set, put1(IR_f2i, moved, 0), 5);
    put1(IR_set, put1(IR_f2i, x, 0), 6);
    put1(IR_set, put1(IR_f2i, y, 0), 7);
    put1(IR_set, put1(IR_f2i, covered, 0), 16);
    put0(IR_exit_goto, 4);
    assert_true(runs_as_evaluated(0, 0, &r));
}

/* Values that go to pinned registers, with an effect before value `at`; returns the size of the
 * code without the effect's own, which is the same for each place. */
static uint32_t size_with_effect(const struct ir_insn *effect, unsigned at)
{
    struct ir_random r = {.seed = at};
    unsigned n = 0;

    begin();
    for (unsigned k = 0; k < 3; k++) {
        ir_ref in[2] = {put0(IR_get, 11), put0(IR_get, 12)}, sum, f;

        if (n++ == at)
            put((enum ir_op)effect->op, effect->aux, IR_NONE, IR_NONE, IR_NONE, effect->imm);
        sum = put2(IR_add, in[0], in[1]);
        f = put_fp(IR_fadd, put0(IR_getf, 11), put0(IR_getf, 12), IR_NONE);
        if (n++ == at)
            put((enum ir_op)effect->op, effect->aux, IR_NONE, IR_NONE, IR_NONE, effect->imm);
        put1(IR_set, sum, 10);
        put1(IR_setf, f, 12);
    }
    put0(IR_exit_goto, 4);
    assert_true(runs_as_evaluated(0, 0, &r));
    return emit_in_one(emitter, &block, code_rw + STUB_BYTES, CODE_BYTES)->size_bytes;
}

/* Nothing leaves there, so values may wait in, or be made early in, the registers of others. */
static void an_effect_looks_at_no_register(void **state)
{
    const struct ir_insn effects[] = {{.op = IR_count, .imm = 1}, {.op = IR_fence, .aux = 1}};

    (void)state;
    for (unsigned e = 0; e < 2; e++)
        for (unsigned at = 1; at < 6; at++)
            assert_int_equal(size_with_effect(&effects[e], at), size_with_effect(&effects[e], 0));
}

/* Infinity times zero plus a quiet NaN, the result in the register of any operand. */
static void invalid_products_are_noticed(void **state)
{
    static const uint64_t bits[] = {UINT64_C(0x7ff0000000000000), 0, UINT64_C(0x7ff8000000000000)};
    struct ir_random r = {.seed = 7};

    (void)state;
    for (unsigned how = 0; how < 6; how++) {
        unsigned inf = how & 1;
        ir_ref v[3];

        begin();
        put1(IR_setf, put_double(bits[inf ? 1 : 0]), 15);
        put1(IR_setf, put_double(bits[inf ? 0 : 1]), 14);
        put1(IR_setf, put_double(bits[2]), 13);
        put1(IR_setfflags, put0(IR_const, 0), 0);
        for (unsigned k = 0; k < 3; k++)
            v[k] = put0(IR_getf, 15 - k);
        put1(IR_setf, put_fp(IR_ffma, v[0], v[1], v[2]), 13 + how / 2);
        put1(IR_set, put0(IR_getfflags, 0), 5);
        put0(IR_exit_goto, 4);
        assert_true(runs_as_evaluated(0, 0, &r));
    }
}

/* ---- Random blocks ------------------------------------------------------------------------ */

struct pool {
    struct ir_random *r;
    unsigned limit;    /* of each class alive at once */
    ir_ref v[2][POOL]; /* [0] of class I, [1] of class F */
    unsigned n[2];
};

static ir_ref any_value(struct pool *p, bool f)
{
    return p->v[f][ir_random_below(p->r, p->n[f])];
}

static void keep(struct pool *p, ir_ref v)
{
    unsigned f = ir_ops[built.insn[v.n].op].result == 'F';
    unsigned at = p->n[f] < p->limit ? p->n[f]++ : ir_random_below(p->r, p->limit);

    p->v[f][at] = v;
}

static uint8_t any_fp_aux(struct ir_random *r, enum ir_op op)
{
    unsigned width = op == IR_f32to64 ? 32 : op == IR_f64to32 ? 64 : 32u << ir_random_below(r, 2);

    return IR_FP(width, ir_random_below(r, 4) ? IR_RM_DYN : ir_random_below(r, 5));
}

static bool takes_fp_aux(enum ir_op op)
{
    return (ir_ops[op].flags & FPFLAGS) || (op >= IR_fsgnj && op <= IR_fsgnjx);
}

/* The upper half of a 32-bit result is undefined until it is boxed. */
static bool is_half(enum ir_op op, uint8_t aux)
{
    if (ir_ops[op].result != 'F' || !takes_fp_aux(op) || op == IR_f32to64)
        return false;
    return op == IR_f64to32 || ir_fp_width(aux) == 32;
}

static ir_ref any_operation(struct pool *p)
{
    enum ir_op op;
    ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE};
    uint8_t aux = 0;

    do {
        op = (enum ir_op)ir_random_below(p->r, IR_OP_COUNT);
    } while (!(ir_ops[op].flags & (PURE | FPFLAGS)) || op == IR_const);
    for (unsigned k = 0; ir_ops[op].operands[k]; k++) {
        bool f = ir_ops[op].operands[k] == 'F';

        in[k] = !f && ir_random_below(p->r, 6) == 0 ? put0(IR_const, ir_random_value(p->r))
                                                    : any_value(p, f);
    }
    if (op == IR_addsh)
        aux = (uint8_t)(1 + ir_random_below(p->r, 3));
    else if (takes_fp_aux(op))
        aux = any_fp_aux(p->r, op);
    ir_ref v = put(op, aux, in[0], in[1], in[2], 0);

    return is_half(op, aux) ? put1(IR_box32, v, 0) : v;
}

static void any_access(struct pool *p)
{
    struct ir_random *r = p->r;
    ir_ref low = put2(IR_and, any_value(p, false), put0(IR_const, PAGE_SIZE - 1));
    ir_ref at = put2(IR_add, low, put0(IR_const, IR_WORLD_VA));
    uint8_t fp_mem = ir_random_below(r, 2) ? IR_U32 : IR_64;

    switch (ir_random_below(r, 4)) {
    case 0: keep(p, put(IR_ld, (uint8_t)ir_random_below(r, 7), at, IR_NONE, IR_NONE, 0)); break;
    case 1: keep(p, put(IR_ldf, fp_mem, at, IR_NONE, IR_NONE, 0)); break;
    case 2: put(IR_st, (uint8_t)ir_random_below(r, 4), at, any_value(p, false), IR_NONE, 0); break;
    default: put(IR_stf, fp_mem, at, any_value(p, true), IR_NONE, 0);
    }
}

static void any_call(struct pool *p)
{
    unsigned id = IR_HELPER_COUNT + ir_random_below(p->r, ir_world_n_helpers - IR_HELPER_COUNT);
    ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE};

    for (unsigned n = 0; n < ir_world_helpers[id].n_args; n++)
        in[n] = any_value(p, false);
    keep(p, put(IR_call, 0, in[0], in[1], in[2], IR_CALL(id, (uint32_t)ir_random_next(p->r))));
}

static void any_effect(struct pool *p)
{
    if (ir_random_below(p->r, 2))
        put0(IR_count, ir_random_below(p->r, 4));
    else
        put(IR_fence, 1, IR_NONE, IR_NONE, IR_NONE, 0);
}

static void any_step(struct pool *p)
{
    bool f = ir_random_below(p->r, 3) == 0;
    unsigned reg = ir_random_below(p->r, 32);

    switch (ir_random_below(p->r, 16)) {
    case 0: any_access(p); break;
    case 1:
        if (ir_random_below(p->r, 4) == 0)
            any_call(p);
        else
            any_effect(p);
        break;
    case 2:
    case 3: put1(f ? IR_setf : IR_set, any_value(p, f), reg); break;
    case 4:
    case 5: keep(p, put0(f ? IR_getf : IR_get, reg)); break;
    default: keep(p, any_operation(p));
    }
}

static void crowded_block(struct ir_random *r)
{
    struct pool p = {.r = r,
                     .limit = 3 + ir_random_below(r, ir_random_below(r, 5) ? 30 : POOL - 3)};

    begin();
    for (unsigned n = 0; n < 4; n++) {
        keep(&p, put0(IR_get, 2 + 3 * n));
        keep(&p, put0(IR_getf, n));
    }
    for (unsigned n = 20 + ir_random_below(r, 400); n > 0; n--)
        any_step(&p);
    /* All that lives is looked at. */
    for (unsigned n = 0; n < p.n[0]; n++)
        put1(IR_stst, p.v[0][n], offsetof(struct ir_world, own) + 8 * (n % IR_WORLD_OWN));
    for (unsigned n = 0; n < p.n[1]; n++)
        put1(IR_setf, p.v[1][n], n % 32);
    put0(IR_exit_goto, 4);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void crowded_blocks_do_what_they_mean(void **state)
{
    uint64_t seed = number_from("DBT_FUZZ_SEED", 0), n = number_from("DBT_FUZZ_CASES", CASES);
    uint64_t n_refused = 0;

    (void)state;
    for (uint64_t end = seed + n; seed < end; seed++) {
        struct ir_random r = {.seed = seed << 32 | 77};

        crowded_block(&r);
        n_refused += !runs_as_evaluated(seed % 3 ? OPT_ALL : 0, seed % 4 ? 0 : seed | 1, &r);
    }
    assert_true(n_refused < n / 4 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_at_home_survive),
        cmocka_unit_test(a_home_is_lost_before_it_is_overwritten),
        cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(values_go_home_often),
        cmocka_unit_test(a_moved_value_is_looked_at),
        cmocka_unit_test(an_effect_looks_at_no_register),
        cmocka_unit_test(invalid_products_are_noticed),
        cmocka_unit_test(crowded_blocks_do_what_they_mean),
    };

    /* The host's registers, and those of one without AVX-512. */
    n_xmm = x64_n_xmm(0);
    int failed = cmocka_run_group_tests_name("all xmm", tests, set_up, tear_down);

    n_xmm = 16;
    return failed + cmocka_run_group_tests_name("16 xmm", tests, set_up, tear_down);
}
