/* The world in which random blocks run, see ir_random.h. */
#include <inttypes.h>
#include <string.h>

#include "tests/lib/ir_random.h"

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

/* ---- Helpers --------------------------------------------------------------------- */

/* Sees every register: a set that was dropped or delayed shows. */
static uint64_t hash_all(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t h = k;

    (void)a, (void)b, (void)c;
    for (unsigned n = 0; n < STATE_N_REGS; n++)
        h = mix(h, s->reg[n]);
    return mix(h, s->insn_off);
}

/* Writes an integer and a floating-point register. */
static uint64_t scatter(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    s->reg[k & 31] ^= a;
    s->reg[STATE_FP + (k >> 5 & 31)] += b;
    return s->reg[a & 31];
}

/* Raises a trap now and then. */
static uint64_t may_raise(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)b, (void)c;
    if ((a & 7) == 1)
        state_raise(s, 2 + k % 4, a);
    return mix(k, a);
}

/* Asks for the block to be left, now and then. */
static uint64_t may_pend(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    if (((a ^ b ^ c) & 7) == 1)
        atomic_fetch_or(&s->pending, PENDING_LEAVE);
    return a + b * k + c;
}

/* Rounding as the guest's fp_rm says it, and in MXCSR's own numbers; no flags. */
static void set_rounding(struct cpu_state *s, unsigned rm)
{
    static const uint8_t mx[4] = {
        [IR_RM_RNE] = 0, [IR_RM_RDN] = 1, [IR_RM_RUP] = 2, [IR_RM_RTZ] = 3};

    s->fp_rm = rm;
    s->mxcsr = 0x1f80 | (uint32_t)mx[rm] << 13;
}

/* Writes fcsr: what was computed before may not be shared with what comes after. */
static uint64_t set_rm(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t flags = s->mxcsr & 61; /* not the denormal flag, which no guest has */

    (void)b, (void)c;
    set_rounding(s, (k ^ a) & 3);
    return flags;
}

static uint8_t *locate(struct ir_world *w, uint64_t va, uint8_t aux, uint64_t fault);

static bool is_word(uint64_t va, unsigned size)
{
    return va - IR_WORLD_VA <= IR_WORLD_MEM - 8 && va % size == 0;
}

static uint64_t sign_word(uint64_t v, unsigned size)
{
    return size == 4 ? (uint64_t)(int64_t)(int32_t)v : v;
}

/* k: IR_FAST(). What is no word of the world is left alone. */
uint64_t ir_world_word(const struct ir_world *w, uint64_t offset)
{
    if (!w->apart)
        return (uintptr_t)w->mem + offset;
    return (uintptr_t)w->apart + offset / PAGE_SIZE * IR_WORLD_APART + offset % PAGE_SIZE;
}

static uint64_t reservation_of(const struct cpu_state *s, const uint8_t *at, unsigned size)
{
    const struct ir_world *w = (const struct ir_world *)s;

    return ir_world_word(w, (uint64_t)(at - w->mem)) | (size == 8 ? 1 : 2);
}

static uint64_t load_reserved(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    unsigned size = ir_fast_size((uint8_t)k);
    uint8_t *at;
    uint64_t v = 0;

    (void)b, (void)c;
    if (!is_word(a, size))
        return sign_word(mix(k, a), size);
    at = locate((struct ir_world *)s, a, size == 8 ? IR_64 : IR_U32, IR_WORLD_LOAD_FAULT);
    memcpy(&v, at, size);
    s->reservation = reservation_of(s, at, size);
    s->reserved_value = v;
    return sign_word(v, size);
}

static uint64_t changed(enum ir_fast what, uint64_t old, uint64_t value)
{
    switch (what) {
    case IR_ADD: return old + value;
    case IR_XOR: return old ^ value;
    case IR_AND: return old & value;
    case IR_OR: return old | value;
    default: return value;
    }
}

static uint64_t atomic(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    unsigned size = ir_fast_size((uint8_t)k);
    enum ir_fast what = ir_fast_what((uint8_t)k);
    uint64_t old = 0, reserved = s->reservation, new;
    uint8_t *at;

    (void)c;
    if (!is_word(a, size))
        return sign_word(mix(k, a), size);
    at = locate((struct ir_world *)s, a, size == 8 ? IR_64 : IR_U32, IR_WORLD_STORE_FAULT);
    memcpy(&old, at, size);
    if (what == IR_SC) {
        s->reservation = 0;
        if (reserved != reservation_of(s, at, size) || s->reserved_value != old)
            return 1;
    }
    new = changed(what, old, b);
    memcpy(at, &new, size);
    return what == IR_SC ? 0 : sign_word(old, size);
}

/* As IR_ZERO; what is no block of the world is left alone. */
static uint64_t zero_block(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)b, (void)c;
    if (a - IR_WORLD_VA > IR_WORLD_MEM - IR_ZERO_BYTES || a % IR_ZERO_BYTES != 0)
        return mix(k, a);
    memset(locate((struct ir_world *)s, a, IR_64, IR_WORLD_STORE_FAULT), 0, IR_ZERO_BYTES);
    return 0;
}

const struct ir_helper ir_world_helpers[] = {
#define IR_HELPER(name, fn, n) {#name, fn, n},
#include "dbt/ir/ir_helper.def"
#undef IR_HELPER
    {"hash_all", hash_all, 0},
    {"may_raise", may_raise, 1},
    {"set_rm", set_rm, 1},
    {"scatter", scatter, 2},
    {"may_pend", may_pend, 3},
    {"atomic", atomic, 2},
    {"load_reserved", load_reserved, 1},
    {"zero_block", zero_block, 1},
};
const unsigned ir_world_n_helpers = sizeof(ir_world_helpers) / sizeof(ir_world_helpers[0]);

/* ---- Memory and time --------------------------------------------------------------- */

static uint8_t *locate(struct ir_world *w, uint64_t va, uint8_t aux, uint64_t fault)
{
    uint64_t offset = va - IR_WORLD_VA;

    CHECK(offset <= IR_WORLD_MEM - ir_mem_size(aux) && "an address of the generator's");
    if (offset >= 3 * PAGE_SIZE)
        state_raise(&w->s, fault, va);
    w->trace = mix(mix(w->trace, va), aux | fault << 8 | (uint64_t)w->s.insn_off << 16);
    return w->mem + offset;
}

static uint64_t world_load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    uint64_t v = 0;

    memcpy(&v, locate((struct ir_world *)s, va, aux, IR_WORLD_LOAD_FAULT), ir_mem_size(aux));
    if (!ir_mem_signed(aux))
        return v;
    return (uint64_t)((int64_t)(v << (64 - 8 * ir_mem_size(aux))) >> (64 - 8 * ir_mem_size(aux)));
}

static bool world_store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value)
{
    memcpy(locate((struct ir_world *)s, va, aux, IR_WORLD_STORE_FAULT), &value, ir_mem_size(aux));
    return va - IR_WORLD_VA >= 2 * PAGE_SIZE;
}

static uint64_t world_time(struct cpu_state *s)
{
    struct ir_world *w = (struct ir_world *)s;

    return w->ticks += 3;
}

const struct ir_env ir_world_env = {world_load, world_store, world_time};

/* ---- Starting, running, comparing ---------------------------------------------------- */

void ir_world_init(struct ir_world *w, struct ir_random *r)
{
    struct cpu_state *s = &w->s;

    memset(s, 0, offsetof(struct cpu_state, jump));
    for (unsigned n = 0; n < STATE_FP; n++)
        s->reg[n] = ir_random_value(r);
    for (unsigned n = STATE_FP; n < STATE_N_REGS; n++)
        s->reg[n] = ir_random_float(r);
    s->salt[0] = UINT64_C(0x123450) << 40;
    s->salt[1] = UINT64_C(0x123451) << 40;
    state_set_page(s,
                   ir_random_below(r, 2) ? UINT64_C(0x3f12345000) : UINT64_C(0xffffffff80201000));
    set_rounding(s, ir_random_below(r, 4));
    s->icount_deadline = ir_random_below(r, 60);
    for (unsigned n = 0; n < IR_WORLD_OWN; n++)
        w->own[n] = ir_random_value(r);
    for (unsigned n = 0; n < IR_WORLD_MEM; n += 8) {
        uint64_t v = ir_random_next(r);

        memcpy(w->mem + n, &v, 8);
    }
    w->ticks = ir_random_next(r);
    w->trace = 0;
}

void ir_world_copy(struct ir_world *to, const struct ir_world *from)
{
    memcpy(&to->s, &from->s, offsetof(struct cpu_state, jump));
    memcpy(to->own, from->own, sizeof(to->own));
    memcpy(to->mem, from->mem, sizeof(to->mem));
    to->ticks = from->ticks;
    to->trace = from->trace;
}

enum exit_reason ir_world_eval(struct ir_world *w, const struct ir_block *b)
{
    int left = setjmp(w->s.unwind);

    if (left)
        return (enum exit_reason)(left - 1);
    return ir_eval(b, &w->s, &ir_world_env);
}

/* 1 when they differ, to be summed. */
static unsigned differs(const char *name, uint64_t x, uint64_t y, FILE *out)
{
    if (x != y && out)
        fprintf(out, "  %-12s %016" PRIx64 " * %016" PRIx64 "\n", name, x, y);
    return x != y;
}

static unsigned differ_in(const char *name, const uint64_t *x, const uint64_t *y, unsigned n,
                          FILE *out)
{
    unsigned bad = 0;
    char text[24];

    for (unsigned k = 0; k < n; k++) {
        snprintf(text, sizeof(text), "%s%u", name, k);
        bad += differs(text, x[k], y[k], out);
    }
    return bad;
}

bool ir_world_same(const struct ir_world *x, enum exit_reason x_reason, const struct ir_world *y,
                   enum exit_reason y_reason, FILE *out)
{
    const struct cpu_state *xs = &x->s, *ys = &y->s;
    unsigned bad = 0;
    char text[24];

    bad += differs("exit", x_reason, y_reason, out);
    bad += differs("pc", xs->pc, ys->pc, out);
    bad += differs("mxcsr", xs->mxcsr, ys->mxcsr, out);
    bad += differs("icount", xs->icount, ys->icount, out);
    bad += differs("pending", xs->pending, ys->pending, out);
    bad += differs("ticks", x->ticks, y->ticks, out);
    bad += differs("accesses", x->trace, y->trace, out);
    if (x_reason == EXIT_TRAP && y_reason == EXIT_TRAP) {
        bad += differs("cause", xs->exit_cause, ys->exit_cause, out);
        bad += differs("tval", xs->exit_tval, ys->exit_tval, out);
    }
    bad += differ_in("r", xs->reg, ys->reg, STATE_FP, out);
    bad += differ_in("f", xs->reg + STATE_FP, ys->reg + STATE_FP, STATE_N_REGS - STATE_FP, out);
    bad += differ_in("own", x->own, y->own, IR_WORLD_OWN, out);
    for (unsigned n = 0; n < IR_WORLD_MEM; n++) {
        if (x->mem[n] == y->mem[n])
            continue;
        snprintf(text, sizeof(text), "mem[0x%x]", n);
        bad += differs(text, x->mem[n], y->mem[n], out);
    }
    return bad == 0;
}
