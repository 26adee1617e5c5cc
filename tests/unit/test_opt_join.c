/* Joined accesses (opt_join.c): random copies do what they did before, also where a joined access
 * does not find all its bytes; and a few shapes become what they should. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/opt/opt.h"
#include "tests/lib/ir_random.h"

enum { N_BLOCKS = 20000, SOURCE = 10, TARGET = 11, VALUE = 12, LOADED = 13 };

static struct ir_block before, after, part;
static struct ir_world start, expected, got;
static struct ir_random rnd;
static unsigned n_joined, n_left;

/* ---- Random blocks -----------------------------------------------------------------------------
 */

static ir_ref put(enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, uint64_t imm)
{
    CHECK(before.n < IR_MAX_INSNS);
    before.insn[before.n] = (struct ir_insn){(uint8_t)op, aux, x, y, IR_NONE, imm};
    return (ir_ref){(uint16_t)before.n++};
}

static void begin_insn(void)
{
    put(IR_insn, 4, IR_NONE, IR_NONE, before.start + 4 * before.n_guest++);
}

static bool one_in(unsigned n)
{
    return ir_random_below(&rnd, n) == 0;
}

/* Each is read once, as behind the pass `state`. */
static ir_ref reg(unsigned n)
{
    static ir_ref read[32];

    if (before.n <= read[n].n || before.insn[read[n].n].op != IR_get ||
        before.insn[read[n].n].imm != n)
        read[n] = put(IR_get, 0, IR_NONE, IR_NONE, n);
    return read[n];
}

static void set(ir_ref v, unsigned n)
{
    put(IR_set, 0, v, IR_NONE, n);
}

/* Numbers below n, mostly in order. */
static void shuffle(unsigned *order, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        order[k] = k;
    for (unsigned k = one_in(2) ? 0 : ir_random_below(&rnd, 4); k > 0; k--) {
        unsigned x = (unsigned)ir_random_below(&rnd, n), y = (unsigned)ir_random_below(&rnd, n), t;

        t = order[x];
        order[x] = order[y];
        order[y] = t;
    }
}

/* Something between two accesses of a run, or that ends it. */
static void disturb(void)
{
    begin_insn();
    switch (ir_random_below(&rnd, 6)) {
    case 0: set(put(IR_ld, (uint8_t)ir_random_below(&rnd, 4), reg(TARGET), IR_NONE, 3), 20); break;
    case 1: put(IR_st, (uint8_t)ir_random_below(&rnd, 4), reg(SOURCE), reg(VALUE), 2); break;
    case 2: put(IR_fence, 1, IR_NONE, IR_NONE, 0); break;
    case 3: put(IR_exit_if, IR_EQ, reg(VALUE), reg(19), 64); break;
    case 4: set(put(IR_add, 0, reg(VALUE), reg(19), 0), 21); break;
    default: set(put(IR_ld, IR_U8, reg(SOURCE), IR_NONE, ir_random_below(&rnd, 8)), 22);
    }
}

static void load_bytes(ir_ref *v, unsigned n, uint64_t offset)
{
    unsigned order[10];

    shuffle(order, n);
    for (unsigned k = 0; k < n; k++) {
        begin_insn();
        v[order[k]] = put(IR_ld, IR_U8, reg(SOURCE), IR_NONE, offset + order[k]);
        set(v[order[k]], LOADED + k % 6);
        if (one_in(40))
            disturb();
    }
}

static void split_value(ir_ref of, ir_ref *v, unsigned n)
{
    static const enum ir_op shift[] = {IR_shr, IR_shr, IR_sar, IR_shr32};
    unsigned from = one_in(3) ? (unsigned)ir_random_below(&rnd, 4) : 0;

    for (unsigned k = 0; k < n; k++) {
        ir_ref by = put(IR_const, 0, IR_NONE, IR_NONE, 8 * ((k + from) % 10) + one_in(60));

        v[k] = put(shift[ir_random_below(&rnd, 4)], 0, of, by, 0);
        if (one_in(3))
            v[k] = put(IR_zext8, 0, v[k], IR_NONE, 0);
        else if (one_in(6))
            v[k] = put(IR_and, 0, v[k], put(IR_const, 0, IR_NONE, IR_NONE, one_in(3) ? 127 : 0x1ff),
                       0);
    }
}

static void copy(void)
{
    unsigned n = 1 + (unsigned)ir_random_below(&rnd, 10), kind = (unsigned)ir_random_below(&rnd, 6);
    unsigned order[10];
    ir_ref v[10];

    begin_insn();
    if (kind == 0)
        split_value(reg(VALUE), v, n);
    else if (kind == 1)
        for (unsigned k = 0; k < n; k++)
            v[k] = put(IR_const, 0, IR_NONE, IR_NONE, one_in(2) ? 0 : ir_random_next(&rnd));
    else
        load_bytes(v, n, ir_random_below(&rnd, 40) - UINT64_C(20));
    if (kind == 2) /* bytes of a byte, which are none of its neighbours */
        split_value(v[ir_random_below(&rnd, n)], v, n);
    shuffle(order, n);
    uint64_t offset = ir_random_below(&rnd, 40) - UINT64_C(20);

    for (unsigned k = 0; k < n; k++) {
        begin_insn();
        put(IR_st, IR_U8, reg(TARGET), v[one_in(60) ? 0 : order[k]], offset + order[k]);
        if (one_in(40))
            disturb();
    }
}

static void random_block(uint64_t seed)
{
    rnd = (struct ir_random){.seed = seed};
    before = (struct ir_block){.gpa = 0x80000000, .joins = true, .one_hart = true};
    before.helpers = ir_world_helpers;
    before.n_helpers = ir_world_n_helpers;
    begin_insn();
    for (unsigned k = 1 + (unsigned)ir_random_below(&rnd, 4); k > 0; k--)
        copy();
    begin_insn();
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, 512);
    before.len_bytes = 4 * before.n_guest;
}

/* Near the ends of pages, of which one faults and one is left behind a store. */
static void random_state(void)
{
    ir_world_init(&start, &rnd);
    for (unsigned n = SOURCE; n <= TARGET; n++)
        start.s.reg[n] = IR_WORLD_VA + 64 + (1 + ir_random_below(&rnd, 3)) * PAGE_SIZE -
                         ir_random_below(&rnd, 128);
    if (one_in(4)) /* over each other */
        start.s.reg[TARGET] = start.s.reg[SOURCE] + ir_random_below(&rnd, 32);
}

/* ---- The evaluator as runtime does it -----------------------------------------------------------
 */

static uint64_t salt; /* some joined accesses do not find their bytes, whatever they are */

static void maybe_leave(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t limit)
{
    if (!(aux & IR_JOINED))
        return;
    n_joined++;
    if (va + ir_mem_size(aux) <= IR_WORLD_VA + limit && (va * 0x9e3779b97f4a7c15 ^ salt) >> 61)
        return;
    n_left++;
    s->plain = PLAIN_JOINED;
    s->pc = s->page_va + s->insn_off;
    state_leave(s, EXIT_PENDING);
}

static uint64_t load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    maybe_leave(s, va, aux, 3 * PAGE_SIZE);
    return ir_world_env.load(s, va, aux);
}

static bool store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value)
{
    maybe_leave(s, va, aux, 2 * PAGE_SIZE);
    return ir_world_env.store(s, va, aux, value);
}

static enum exit_reason evaluate(struct ir_world *w, const struct ir_block *b)
{
    const struct ir_env env = {load, store, ir_world_env.time};
    int left = setjmp(w->s.unwind);

    return left ? (enum exit_reason)(left - 1) : ir_eval(b, &w->s, &env);
}

/* What comes before the guest instruction at `off`, and then a way out to it. */
static void cut_before(uint32_t off)
{
    part = before;
    for (part.n = 0; before.insn[part.n].op != IR_insn || before.insn[part.n].imm != off;)
        part.n++;
    assert_true(part.n > 0);
    part.insn[part.n++] =
        (struct ir_insn){IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, (uint64_t)off};
}

static bool is_same(uint32_t passes, FILE *out)
{
    enum exit_reason x, y;
    struct err e;

    after = before;
    opt_run(&after, passes, NULL, NULL);
    if (!ir_verify(&after, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return false;
    }
    ir_world_copy(&expected, &start);
    ir_world_copy(&got, &start);
    got.s.plain = expected.s.plain = 0;
    y = evaluate(&got, &after);
    if (got.s.plain == 0) {
        x = evaluate(&expected, &before);
    } else {
        cut_before(got.s.insn_off);
        x = evaluate(&expected, &part) == EXIT_LINK ? EXIT_PENDING : EXIT_TRAP;
    }
    expected.trace = got.trace = 0; /* there are fewer accesses */
    return ir_world_same(&expected, x, &got, y, out);
}

static void copies_stay_copies(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < N_BLOCKS; seed++) {
        random_block(seed);
        assert_int_equal(before.n < IR_MAX_INSNS, 1);
        for (unsigned n = 0; n < 3; n++) {
            random_state();
            salt = ir_random_next(&rnd);
            if (is_same(OPT_join, stderr) && is_same(OPT_ALL, stderr))
                continue;
            ir_print(&before, stderr);
            fprintf(stderr, "-- after\n");
            ir_print(&after, stderr);
            fail_msg("seed %" PRIu64, seed);
        }
    }
    assert_true(n_joined > N_BLOCKS && n_left > N_BLOCKS / 8 && n_left < n_joined / 2);
}

/* ---- Shapes
 * -------------------------------------------------------------------------------------- */

static const struct shape {
    const char *in, *out; /* out: NULL: the same */
} shapes[] = {
    /* A copy; what is seen of the bytes is taken out of the word. */
    {"%1 = get r10\n %2 = get r11\n %3 = ld.u8 [%1 +5]\n %4 = ld.u8 [%1 +6]\n set %3 r5\n"
     " st.u8 [%2 -1] %3\n st.u8 [%2 +0] %4\n exit_goto +4",
     "%1 = get r10\n %2 = get r11\n %3 = ld.j16 [%1 +5]\n %4 = zext8 %3\n set %4 r5\n"
     " st.j16 [%2 -1] %3\n exit_goto +4"},
    /* Constants, and the bytes of a register from its third on. */
    {"%1 = get r10\n %2 = const 0\n st.u8 [%1 +0] %2\n st.u8 [%1 +1] %2\n st.u8 [%1 +3] %2\n"
     " st.u8 [%1 +2] %2\n exit_goto +4",
     "%1 = get r10\n %2 = const 0\n st.j32 [%1 +0] %2\n exit_goto +4"},
    {"%1 = get r10\n %2 = const 0x10\n %3 = const 0x18\n %4 = get r5\n %5 = shr %4 %2\n"
     " %6 = shr %4 %3\n st.u8 [%1 +1] %6\n st.u8 [%1 +0] %5\n exit_goto +4",
     "%1 = get r10\n %2 = const 0x10\n %3 = get r5\n %4 = shr %3 %2\n st.j16 [%1 +0] %4\n"
     " exit_goto +4"},
    /* As far from its base as the guard zone of a window allows, and farther. */
    {"%1 = get r10\n %2 = const 0\n st.u8 [%1 +0x4000] %2\n st.u8 [%1 +0x4001] %2\n exit_goto +4",
     "%1 = get r10\n %2 = const 0\n st.j16 [%1 +0x4000] %2\n exit_goto +4"},
    {"%1 = get r10\n %2 = const 0\n st.u8 [%1 +0x4001] %2\n st.u8 [%1 +0x4002] %2\n exit_goto +4",
     NULL},
    {"%1 = get r10\n %2 = const 0\n st.u8 [%1 -0x4001] %2\n st.u8 [%1 -0x4000] %2\n exit_goto +4",
     NULL},
    /* Of a byte that is loaded all others are zeros. */
    {"%1 = get r10\n %2 = get r11\n %3 = const 0x8\n %4 = ld.u8 [%1 +5]\n %5 = ld.u8 [%1 +6]\n"
     " st.u8 [%2 +0] %4\n st.u8 [%2 +1] %5\n %6 = const 0x10\n %7 = sar %4 %3\n"
     " %8 = sar %4 %6\n st.u8 [%2 +4] %7\n st.u8 [%2 +5] %8\n exit_goto +4",
     "%1 = get r10\n %2 = get r11\n %3 = const 0x8\n %4 = ld.j16 [%1 +5]\n %5 = zext8 %4\n"
     " st.j16 [%2 +0] %4\n %6 = shr %5 %3\n st.j16 [%2 +4] %6\n exit_goto +4"},
    /* Not in its order, not neighbours, with a load between that could see half of it. */
    {"%1 = get r10\n %2 = get r11\n %3 = ld.u8 [%1 +5]\n %4 = ld.u8 [%1 +6]\n"
     " st.u8 [%2 -1] %4\n st.u8 [%2 +0] %3\n exit_goto +4",
     NULL},
    {"%1 = get r10\n %2 = get r11\n %3 = ld.u8 [%1 +5]\n %4 = ld.u8 [%1 +7]\n"
     " st.u8 [%2 +0] %3\n st.u8 [%2 +2] %4\n exit_goto +4",
     NULL},
    {"%1 = get r10\n %2 = get r11\n %3 = ld.u8 [%1 +5]\n %4 = ld.u8 [%1 +6]\n st.u8 [%2 +0] %3\n"
     " %5 = ld.u16 [%1 +0]\n st.u8 [%2 +1] %4\n set %5 r5\n exit_goto +4",
     NULL},
    {"%1 = get r10\n %2 = get r11\n %3 = ld.u8 [%1 +5]\n fence 1\n %4 = ld.u8 [%1 +6]\n"
     " st.u8 [%2 +0] %3\n st.u8 [%2 +1] %4\n exit_goto +4",
     NULL},
    {"%1 = get r10\n %2 = const 0\n st.u8 [%1 +0] %2\n fence 0\n st.u8 [%1 +1] %2\n exit_goto +4",
     NULL},
    {"%1 = get r10\n %2 = get r11\n %3 = ld.u8 [%1 +5]\n %4 = ld.u16 [%2 +0]\n"
     " %5 = ld.u8 [%1 +6]\n st.u8 [%2 +0] %3\n st.u8 [%2 +1] %5\n set %4 r5\n exit_goto +4",
     NULL},
};

static void parse(struct ir_block *b, const char *body)
{
    char text[1024];
    struct err e;

    snprintf(text, sizeof text, "block gpa=0x80000000 len=4 guest=1\n insn 0 4\n %s\n", body);
    b->helpers = ir_world_helpers;
    b->n_helpers = ir_world_n_helpers;
    if (!ir_parse(b, text, &e) || !ir_verify(b, &e))
        fail_msg("%s\n%s", e.text, text);
}

static void print(const struct ir_block *b, char *text, size_t size)
{
    FILE *f = fmemopen(text, size, "w");

    ir_print(b, f);
    fclose(f);
}

static void shapes_become_what_they_should(void **state)
{
    static char want[2048], have[2048];

    (void)state;
    for (unsigned k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        parse(&before, shapes[k].out ? shapes[k].out : shapes[k].in);
        print(&before, want, sizeof want);
        parse(&after, shapes[k].in);
        after.joins = true;
        opt_run(&after, OPT_join | OPT_cse | OPT_demand, NULL, NULL);
        print(&after, have, sizeof have);
        assert_string_equal(have, want);
        parse(&after, shapes[k].in); /* without a window */
        after.joins = false;
        opt_run(&after, OPT_join, NULL, NULL);
        parse(&before, shapes[k].in);
        print(&before, want, sizeof want);
        print(&after, have, sizeof have);
        assert_string_equal(have, want);
    }
}

static bool one_is_wild(void *arg, uint64_t gpa, uint32_t mode)
{
    (void)mode;
    return gpa == *(const uint64_t *)arg;
}

/* Neither the loads nor the stores are, from an instruction on that is not for the window. */
static void what_is_wild_is_not_joined(void **state)
{
    uint64_t wild = 0x80000000;
    const struct ir_advice advice = {.is_wild = one_is_wild, .arg = &wild};

    (void)state;
    parse(&after, shapes[0].in);
    after.joins = true;
    after.advice = &advice;
    before = after;
    opt_run(&after, OPT_join, NULL, NULL);
    assert_int_equal(after.n, before.n);
    wild += 4;
    opt_run(&after, OPT_join, NULL, NULL);
    assert_int_not_equal(after.n, before.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_stay_copies),
        cmocka_unit_test(shapes_become_what_they_should),
        cmocka_unit_test(what_is_wild_is_not_joined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
