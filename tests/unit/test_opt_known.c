/* Known bits: what opt_known.c claims of a value is true of it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/base/bits.h"
#include "dbt/opt/opt_fold.h"
#include "tests/lib/ir_random.h"

enum { N_CHAINS = 60000, CHAIN = 24 };

static struct ir_block block;
static struct opt_fold fold;
static uint64_t value[IR_MAX_INSNS];

static bool is_true(struct opt_known k, uint64_t v)
{
    if (k.width < 64 && v >> k.width != 0)
        return false;
    return k.sign >= 1 && (uint64_t)sign_extend(v, k.sign) == v;
}

static ir_ref put(enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, ir_ref z, uint64_t imm,
                  uint64_t v)
{
    block.insn[block.n] = (struct ir_insn){(uint8_t)op, aux, x, y, z, imm};
    value[block.n] = v;
    return (ir_ref){(uint16_t)block.n++};
}

/* Something of which a little is known: a constant, or a load of some width. */
static ir_ref leaf(struct ir_random *r)
{
    uint64_t v = ir_random_value(r);
    uint8_t aux = (uint8_t)ir_random_below(r, IR_S32 + 1);
    unsigned n = 8 * ir_mem_size(aux);

    if (ir_random_below(r, 2))
        return put(IR_const, 0, IR_NONE, IR_NONE, IR_NONE, v, v);
    v = ir_mem_signed(aux) ? (uint64_t)sign_extend(v, n) : n == 64 ? v : bits_get(v, 0, n);
    return put(IR_ld, aux, (ir_ref){0}, IR_NONE, IR_NONE, 0, v);
}

static ir_ref operand(struct ir_random *r)
{
    return ir_random_below(r, 3) ? leaf(r) : (ir_ref){(uint16_t)ir_random_below(r, block.n)};
}

static void chain(struct ir_random *r)
{
    block.n = 0;
    leaf(r);
    for (unsigned n = 0; n < CHAIN; n++) {
        enum ir_op op = (enum ir_op)ir_random_below(r, IR_OP_COUNT);
        uint8_t aux = op == IR_addsh ? (uint8_t)(1 + n % 3) : 0;
        ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE};
        uint64_t v[3] = {0, 0, 0};

        if (!(ir_ops[op].flags & PURE) || op == IR_const || ir_ops[op].result == 'F' ||
            strchr(ir_ops[op].operands, 'F'))
            continue;
        for (unsigned k = 0; ir_ops[op].operands[k]; k++) {
            in[k] = operand(r);
            v[k] = value[in[k].n];
        }
        put(op, aux, in[0], in[1], in[2], 0, ir_eval_pure(op, aux, v[0], v[1], v[2], 0));
    }
}

static void what_is_known_is_true(void **state)
{
    struct ir_random r = {.seed = 11};

    (void)state;
    fold.b = &block;
    for (unsigned n = 0; n < N_CHAINS; n++) {
        chain(&r);
        opt_known_clear(&fold, block.n);
        for (uint32_t k = 0; k < block.n; k++) {
            if (is_true(opt_known(&fold, (ir_ref){(uint16_t)k}), value[k]))
                continue;
            ir_print(&block, stderr);
            fail_msg("%%%u (%s) is %" PRIx64 ", believed to have width %u, sign %u", k,
                     ir_ops[block.insn[k].op].name, value[k], fold.known[k].width,
                     fold.known[k].sign);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_known_is_true)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
