/* The evaluator: what each operation means, by doing it. It is the engine behind
 * --engine=interp, the reference of --engine=check, and the constant folder. */
#include <ffi.h>

#include "dbt/ir/ir.h"
#include "dbt/ir/ir_arith.h"

/* One switch over the rows; forced inline, so that the loop below dispatches
 * straight to the operation. */
static inline __attribute__((always_inline)) uint64_t
eval_pure(enum ir_op op, uint8_t aux, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    (void)aux;
    switch (op) {
#define IR(name, result, operands, flags, meaning)                                                 \
    case IR_##name:                                                                                \
        return (uint64_t)(meaning);
#include "dbt/ir/ir.def"
#undef IR
    case IR_OP_COUNT: break;
    }
    CHECK(!"an operation of ir.def");
    return 0;
}

uint64_t ir_eval_pure(enum ir_op op, uint8_t aux, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    return eval_pure(op, aux, a, b, c, imm);
}

/* ---- Helper calls ------------------------------------------------------------ */

/* How libffi calls an ir_helper_fn. Made before main() and only read then. */
static ffi_type *helper_types[5];
static ffi_cif helper_cif;

__attribute__((constructor)) static void prepare_helper_cif(void)
{
    helper_types[0] = &ffi_type_pointer;
    for (int i = 1; i < 5; i++)
        helper_types[i] = &ffi_type_uint64;
    CHECK(ffi_prep_cif(&helper_cif, FFI_DEFAULT_ABI, 5, &ffi_type_uint64, helper_types) == FFI_OK);
}

static uint64_t call_helper(const struct ir_block *b, struct cpu_state *s, uint64_t imm, uint64_t x,
                            uint64_t y, uint64_t z)
{
    uint64_t k = ir_call_k(imm);
    void *values[5] = {&s, &k, &x, &y, &z};
    uint64_t result;

    DCHECK(ir_call_id(imm) < b->n_helpers);
    ffi_call(&helper_cif, FFI_FN(b->helpers[ir_call_id(imm)].fn), &result, values);
    return result;
}

/* ---- Leaving ------------------------------------------------------------------- */

static enum exit_reason leave(struct cpu_state *s, enum exit_reason reason, uint64_t pc)
{
    s->pc = pc;
    s->exit_block = NULL;
    return reason;
}

static enum exit_reason trap(struct cpu_state *s, uint64_t cause, uint64_t tval)
{
    s->exit_cause = cause;
    s->exit_tval = tval;
    return leave(s, EXIT_TRAP, s->page_va + s->insn_off);
}

static bool cond_holds(enum ir_cond cond, uint64_t a, uint64_t b)
{
    switch (cond) {
    case IR_EQ: return a == b;
    case IR_NE: return a != b;
    case IR_LT: return (int64_t)a < (int64_t)b;
    case IR_GE: return (int64_t)a >= (int64_t)b;
    case IR_LTU: return a < b;
    case IR_GEU: return a >= b;
    }
    CHECK(!"a condition");
    return false;
}

/* ---- The loop ------------------------------------------------------------------- */

static bool is_pending(struct cpu_state *s)
{
    /* Relaxed: who sets a bit waits for nobody; we see it at this check or the next. */
    return atomic_load_explicit(&s->pending, memory_order_relaxed) != 0;
}

static void count(struct cpu_state *s, uint64_t n)
{
    s->icount += n;
    if (s->icount >= s->icount_deadline)
        state_pend(s, PENDING_TIME);
}

static uint64_t eval_fp(struct cpu_state *s, const struct ir_insn *i, uint64_t x, uint64_t y,
                        uint64_t z)
{
    uint32_t flags = 0;
    uint64_t result = ir_eval_fp((enum ir_op)i->op, i->aux, s->fp_rm, x, y, z, &flags);

    s->mxcsr |= ir_fp_to_mxcsr(flags);
    return result;
}

static uint64_t *state_word(struct cpu_state *s, uint64_t offset)
{
    return (uint64_t *)((char *)s + offset);
}

/* Other threads change some words of the state: interrupts that are pending. Relaxed, as is the
 * load of translated code: who raises one stores it before PENDING_IRQ, and the loop looks again.
 */
static uint64_t load_state(struct cpu_state *s, uint64_t offset)
{
    return __atomic_load_n(state_word(s, offset), __ATOMIC_RELAXED);
}

/* v[n] is the value of instruction n; the last one, IR_NONE's, is always 0. */
static inline uint64_t value(const uint64_t *v, ir_ref r)
{
    return v[r.n];
}

enum exit_reason ir_eval(const struct ir_block *b, struct cpu_state *s, const struct ir_env *env)
{
    uint64_t v[IR_MAX_INSNS + 1];
    uint32_t direct = 0; /* exit_if and exit_goto seen so far: the exit's index */
    unsigned insn_len = 0;

    v[IR_MAX_INSNS] = 0;
    if (is_pending(s))
        return leave(s, EXIT_PENDING, s->page_va + b->start);

    for (uint32_t n = 0; n < b->n; n++) {
        const struct ir_insn *i = &b->insn[n];
        uint64_t x = value(v, i->a), y = value(v, i->b);

        if (ir_ops[i->op].flags & PURE) {
            v[n] = eval_pure((enum ir_op)i->op, i->aux, x, y, value(v, i->c), i->imm);
            continue;
        }
        switch ((enum ir_op)i->op) {
        case IR_insn:
            s->insn_off = (uint32_t)i->imm;
            insn_len = i->aux;
            break;
        case IR_pc: v[n] = s->page_va + i->imm; break;
        case IR_get: v[n] = s->reg[i->imm]; break;
        case IR_set: s->reg[i->imm] = x; break;
        case IR_getf: v[n] = s->reg[STATE_FP + i->imm]; break;
        case IR_setf: s->reg[STATE_FP + i->imm] = x; break;
        case IR_ldst: v[n] = load_state(s, i->imm); break;
        case IR_stst: *state_word(s, i->imm) = x; break;
        case IR_getfflags: v[n] = ir_fp_from_mxcsr(s->mxcsr); break;
        case IR_setfflags:
            s->mxcsr = (s->mxcsr & ~ir_fp_to_mxcsr(31)) | ir_fp_to_mxcsr(x & 31);
            break;
        case IR_ld: v[n] = env->load(s, x + i->imm, i->aux); break;
        case IR_ldf:
            v[n] = env->load(s, x + i->imm, i->aux);
            if (i->aux == IR_U32)
                v[n] |= UINT64_C(0xffffffff00000000);
            break;
        case IR_st:
        case IR_stf:
            if (env->store(s, x + i->imm, i->aux, y)) {
                s->icount++; /* it completes, and no count of the block comes behind it */
                return leave(s, EXIT_PENDING, s->page_va + s->insn_off + insn_len);
            }
            break;
        case IR_fence: atomic_thread_fence(memory_order_seq_cst); break;
        case IR_call: v[n] = call_helper(b, s, i->imm, x, y, value(v, i->c)); break;
        case IR_time: v[n] = env->time(s); break;
        case IR_count: count(s, i->imm); break;
        case IR_irq:
            if (x != 0)
                state_pend(s, PENDING_IRQ);
            break;
        case IR_exit_pending:
            if (is_pending(s))
                return leave(s, EXIT_PENDING, s->page_va + i->imm);
            break;
        case IR_exit_if:
            if (cond_holds((enum ir_cond)i->aux, x, y)) {
                s->exit_index = direct;
                return leave(s, EXIT_LINK, s->page_va + i->imm);
            }
            direct++;
            break;
        case IR_exit_goto: s->exit_index = direct; return leave(s, EXIT_LINK, s->page_va + i->imm);
        case IR_exit_jump: return leave(s, EXIT_LOOKUP, x);
        case IR_exit_trap: return trap(s, i->imm, x);
        default: v[n] = eval_fp(s, i, x, y, value(v, i->c)); break;
        }
    }
    CHECK(!"a block ends in an exit");
    return EXIT_TRAP;
}
