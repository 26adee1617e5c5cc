/* Where values live: a host register for each value as it is made. The temporaries are registers
 * that a C function preserves, and rdx, which the stubs do. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

void x64_alloc_start(struct x64_emitter *x)
{
    for (unsigned r = 0; r < 16; r++)
        x->owner[r] = x->xmm_owner[r] = X64_NONE;
    x->held = x->xmm_held = 0;
    for (unsigned g = 0; g < STATE_N_REGS; g++)
        x->home_of[g] = X64_NONE;
    x->slots = 0;
    x->n_lazy = 0;
    x->nan[0] = x->nan[1] = 0;
    x->locked = x->xmm_locked = x->nan_from = 0;
}

/* A guest can write a block that needs more than there are: the block is refused, as if
 * the buffer were full, and the caller cuts it. */
static unsigned take_slot(struct x64_emitter *x)
{
    if (x->slots == UINT64_MAX) {
        x->c.full = true;
        return 0;
    }
    unsigned n = (unsigned)__builtin_ctzll(~x->slots);

    x->slots |= UINT64_C(1) << n;
    return n;
}

static void add_lazy(struct x64_emitter *x, unsigned value, enum x64_where where, unsigned reg)
{
    struct x64_val *v = &x->val[value];

    v->where = (uint8_t)where;
    v->reg = (uint8_t)reg;
    if (v->listed) /* it was here before, and nobody has tidied up since */
        return;
    v->listed = true;
    x->lazy[x->n_lazy++] = (uint16_t)value;
}

void x64_at_home(struct x64_emitter *x, unsigned value, unsigned g)
{
    x->val[value].home = (uint8_t)g;
    x->home_of[g] = (uint16_t)value;
}

static bool is_at_home(const struct x64_emitter *x, unsigned value)
{
    return x->home_of[x->val[value].home] == value;
}

static void spill(struct x64_emitter *x, unsigned reg)
{
    unsigned value = x->owner[reg];
    struct x64_val *v = &x->val[value];

    if (is_at_home(x, value)) {
        add_lazy(x, value, V_STATE, v->home);
    } else if (value < X64_SHARE_VAL && x->b->insn[value].op == IR_const) {
        v->where = V_CONST;
    } else {
        v->slot = (uint8_t)take_slot(x);
        v->where = V_SPILL;
        x64_mov_mr(&x->c, x64_frame_slot(v->slot), reg);
    }
    x->owner[reg] = X64_NONE;
    x->held &= ~(1u << reg);
}

static void spill_xmm(struct x64_emitter *x, unsigned reg)
{
    unsigned value = x->xmm_owner[reg];
    struct x64_val *v = &x->val[value];

    x->xmm_owner[reg] = X64_NONE;
    x->xmm_held &= ~(1u << reg);
    if (is_at_home(x, value)) {
        add_lazy(x, value, V_FSTATE, v->home - STATE_FP);
        return;
    }
    v->slot = (uint8_t)take_slot(x);
    v->where = V_FSPILL;
    v->nan = x->nan[1] >> reg & 1 ? 64 : x->nan[0] >> reg & 1 ? 32 : 0;
    x64_vmovq_mx_mr(&x->c, x64_frame_slot(v->slot), reg);
}

/* Can the value leave its register without a store? */
static bool is_cheap(const struct x64_emitter *x, unsigned value)
{
    if (value >= X64_SHARE_VAL)
        return false; /* an addend: no instruction of the block made it */
    return x->b->insn[value].op == IR_const || is_at_home(x, value);
}

/* Is it better to take the register of value v away than that of w? */
static bool goes_before(const struct x64_emitter *x, unsigned v, unsigned w)
{
    if (is_cheap(x, v) != is_cheap(x, w))
        return is_cheap(x, v);
    return x->val[v].last > x->val[w].last;
}

/* A register of the mask that is free, else the one that is given up for least. */
static unsigned pick(struct x64_emitter *x, uint32_t mask, const uint16_t *owner, bool *taken)
{
    unsigned best = X64_NO_REG;

    CHECK(mask != 0 && "an instruction locks fewer registers than there are");
    if (x->stress) {
        x->stress = x->stress * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned skip = (unsigned)(x->stress >> 33) % (unsigned)__builtin_popcount(mask);

        while (skip-- > 0)
            mask &= mask - 1;
        best = (unsigned)__builtin_ctz(mask);
        *taken = owner[best] != X64_NONE;
        return best;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);

        if (owner[r] == X64_NONE) {
            *taken = false;
            return r;
        }
        if (best == X64_NO_REG || goes_before(x, owner[r], owner[best]))
            best = r;
    }
    *taken = true;
    return best;
}

void x64_evict(struct x64_emitter *x, unsigned reg)
{
    if (x->owner[reg] != X64_NONE)
        spill(x, reg);
    x->locked |= 1u << reg;
}

/* Does a value that is still wanted share the pinned register? */
static bool is_shared(const struct x64_emitter *x, unsigned pin)
{
    for (unsigned k = 0; k < x->n_lazy; k++) {
        const struct x64_val *v = &x->val[x->lazy[k]];

        if (v->where == V_PIN && v->reg == pin && (v->last >= x->i || x->lazy[k] == x->i))
            return true;
    }
    return false;
}

/* A pinned register that nobody reads before it is set, with nothing in between that could
 * show it: good for a value that is wanted no longer than until then. */
static unsigned find_idle_pin(struct x64_emitter *x, unsigned value)
{
    for (unsigned k = 0; k < X64_N_PINS; k++) {
        unsigned set = x->event[x64_pins[k].guest];

        if (set >= x->b->n || set <= x->i || x->b->insn[set].op != IR_set ||
            x->barrier[x->i] < set || x->val[value].last > set ||
            (x->locked >> x64_pins[k].host & 1) != 0 || is_shared(x, x64_pins[k].host))
            continue;
        return x64_pins[k].host;
    }
    return X64_NO_REG;
}

static unsigned take_temp(struct x64_emitter *x)
{
    bool taken;
    unsigned r = pick(x, x->temps & ~x->locked, x->owner, &taken);

    if (taken)
        spill(x, r);
    x->locked |= 1u << r;
    return r;
}

static unsigned take_xmm(struct x64_emitter *x)
{
    bool taken;
    unsigned r = pick(x, x->xmms & ~x->xmm_locked, x->xmm_owner, &taken);

    if (taken)
        spill_xmm(x, r);
    x64_nan_gone(x, r);
    x->xmm_locked |= 1u << r;
    return r;
}

static void own(struct x64_emitter *x, unsigned value, unsigned reg)
{
    x->val[value].where = V_REG;
    x->val[value].reg = (uint8_t)reg;
    x->owner[reg] = (uint16_t)value;
    x->held |= 1u << reg;
}

/* Unless another value, made of this one, has the register now. */
static void disown(struct x64_emitter *x, unsigned value, unsigned reg)
{
    if (x->owner[reg] != value)
        return;
    x->owner[reg] = X64_NONE;
    x->held &= ~(1u << reg);
}

static void own_xmm(struct x64_emitter *x, unsigned value, unsigned reg)
{
    x->val[value].where = V_XMM;
    x->val[value].reg = (uint8_t)reg;
    x->xmm_owner[reg] = (uint16_t)value;
    x->xmm_held |= 1u << reg;
}

static void disown_xmm(struct x64_emitter *x, unsigned value, unsigned reg)
{
    if (x->xmm_owner[reg] != value)
        return;
    x->xmm_owner[reg] = X64_NONE;
    x->xmm_held &= ~(1u << reg);
}

/* A register for `value`, which is there from now on. */
static unsigned place(struct x64_emitter *x, unsigned value)
{
    bool full = true;

    for (uint32_t m = x->temps & ~x->locked; m; m &= m - 1)
        full = full && x->owner[__builtin_ctz(m)] != X64_NONE;
    if (full && !x->stress) {
        unsigned pin = find_idle_pin(x, value);

        if (pin != X64_NO_REG) {
            x->locked |= 1u << pin;
            add_lazy(x, value, V_PIN, pin);
            return pin;
        }
    }
    unsigned reg = take_temp(x);

    own(x, value, reg);
    return reg;
}

unsigned x64_addend_def(struct x64_emitter *x, unsigned g)
{
    struct x64_val *v = &x->val[X64_SHARE_VAL + g];

    for (uint32_t m = x->temps & ~x->locked; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);

        if (x->owner[reg] != X64_NONE || (x->stress & 1 << 20))
            continue;
        x->locked |= 1u << reg;
        own(x, X64_SHARE_VAL + g, reg);
        return reg;
    }
    v->slot = (uint8_t)take_slot(x);
    v->where = V_SPILL;
    return X64_NO_REG;
}

unsigned x64_addend_use(struct x64_emitter *x, unsigned g)
{
    const struct x64_val *v = &x->val[X64_SHARE_VAL + g];

    if (v->where == V_SPILL)
        return X64_NO_REG;
    CHECK(v->where == V_REG);
    x->locked |= 1u << v->reg;
    return v->reg;
}

void x64_addend_done(struct x64_emitter *x, unsigned g)
{
    struct x64_val *v = &x->val[X64_SHARE_VAL + g];

    if (v->where == V_SPILL)
        x->slots &= ~(UINT64_C(1) << v->slot);
    else
        disown(x, X64_SHARE_VAL + g, v->reg); /* it stays locked until the instruction is done */
    v->where = V_NONE;
}

unsigned x64_gpr(struct x64_emitter *x, ir_ref r)
{
    struct x64_val *v = &x->val[r.n];
    const struct x64_val was = *v;
    unsigned reg;

    if (v->where == V_PIN || v->where == V_REG) {
        x->locked |= 1u << v->reg;
        return v->reg;
    }
    reg = place(x, r.n);
    switch (was.where) {
    case V_CONST: x64_mov_imm(&x->c, reg, x->b->insn[r.n].imm); break;
    case V_STATE:
        x64_mov_rm(&x->c, reg, x64_guest_reg(was.reg));
        x64_at_home(x, r.n, was.reg);
        break;
    case V_SPILL:
        x64_mov_rm(&x->c, reg, x64_frame_slot(was.slot));
        x->slots &= ~(UINT64_C(1) << was.slot);
        break;
    default: CHECK(!"a value is read after it was made");
    }
    return reg;
}

unsigned x64_xmm(struct x64_emitter *x, ir_ref r)
{
    struct x64_val *v = &x->val[r.n];
    unsigned reg;

    if (v->where == V_XMM || v->where == V_FPIN) {
        x->xmm_locked |= 1u << v->reg;
        return v->reg;
    }
    reg = take_xmm(x);
    if (v->where == V_FSTATE) {
        x64_vmovq_xm_rrm(&x->c, reg, 0, x64_guest_reg(STATE_FP + v->reg));
        x64_at_home(x, r.n, STATE_FP + v->reg);
    } else {
        CHECK(v->where == V_FSPILL);
        x64_vmovq_xm_rrm(&x->c, reg, 0, x64_frame_slot(v->slot));
        x->slots &= ~(UINT64_C(1) << v->slot);
        if (v->nan)
            x64_nan_reloaded(x, reg, v->nan);
    }
    own_xmm(x, r.n, reg);
    return reg;
}

bool x64_operand(struct x64_emitter *x, ir_ref r, unsigned *reg, struct x64_mem *m)
{
    const struct x64_val *v = &x->val[r.n];

    if (v->last == x->i) {
        if (v->where == V_STATE) {
            *m = x64_guest_reg(v->reg);
            return true;
        }
        if (v->where == V_SPILL) {
            *m = x64_frame_slot(v->slot);
            return true;
        }
    }
    *reg = x64_gpr(x, r);
    return false;
}

bool x64_imm32(const struct x64_emitter *x, ir_ref r, int32_t *imm)
{
    uint64_t value;

    if (!ir_is_const(x->b, r, &value) || value != (uint64_t)(int64_t)(int32_t)value)
        return false;
    *imm = (int32_t)value;
    return true;
}

unsigned x64_def(struct x64_emitter *x)
{
    const struct ir_insn *in = &x->b->insn[x->i];
    struct x64_val *v = &x->val[x->i];
    unsigned reg;

    if (in->op == IR_get) {
        unsigned pin = x->pin_of_guest[in->imm];

        if (pin != X64_NO_REG)
            add_lazy(x, x->i, V_PIN, pin);
        else
            add_lazy(x, x->i, V_STATE, (unsigned)in->imm);
        return X64_NO_REG;
    }
    if (v->hint != X64_NO_REG) {
        x64_claim(x, x->guest_of_pin[v->hint]);
        add_lazy(x, x->i, V_PIN, v->hint);
        return v->hint;
    }
    /* An operand that dies here leaves its register to the result. */
    const ir_ref ops[3] = {in->a, in->b, in->c};

    for (unsigned k = 0; k < 3; k++) {
        const struct x64_val *o = &x->val[ops[k].n];

        if (o->where == V_REG && o->last == x->i && x->owner[o->reg] == ops[k].n) {
            reg = o->reg;
            own(x, x->i, reg);
            return reg;
        }
    }
    return place(x, x->i);
}

unsigned x64_def_xmm(struct x64_emitter *x)
{
    const struct ir_insn *in = &x->b->insn[x->i];
    unsigned hint = x->val[x->i].hint;
    unsigned reg;

    if (in->op == IR_getf) {
        reg = x->fpin_of_guest[in->imm];
        if (reg != X64_NO_REG)
            add_lazy(x, x->i, V_FPIN, reg);
        else
            add_lazy(x, x->i, V_FSTATE, (unsigned)in->imm);
        return X64_NO_REG;
    }
    if (hint != X64_NO_REG) {
        x64_claim_fp(x, x->guest_of_fpin[hint]);
        x64_nan_gone(x, hint);
        add_lazy(x, x->i, V_FPIN, hint);
        return hint;
    }
    const ir_ref ops[3] = {in->a, in->b, in->c};

    for (unsigned k = 0; k < 3; k++) {
        const struct x64_val *o = &x->val[ops[k].n];

        if (o->where == V_XMM && o->last == x->i && x->xmm_owner[o->reg] == ops[k].n) {
            reg = o->reg;
            x64_nan_gone(x, reg);
            own_xmm(x, x->i, reg);
            return reg;
        }
    }
    reg = take_xmm(x);
    own_xmm(x, x->i, reg);
    return reg;
}

void x64_alias_xmm(struct x64_emitter *x, ir_ref r)
{
    const struct x64_val *v = &x->val[r.n];
    unsigned reg = x64_xmm(x, r);

    if (v->where == V_FPIN) {
        add_lazy(x, x->i, V_FPIN, reg);
    } else if (v->last == x->i) {
        own_xmm(x, x->i, reg);
    } else {
        unsigned d = x64_def_xmm(x);

        x64_vmovapd_rrr(&x->c, d, 0, reg);
        x64_nan_copied(x, d, reg);
    }
    x->val[x->i].boxed = v->boxed;
}

/* Moves a value that shares a guest register into a temporary. It is not noted as being at
 * home: that home is about to be overwritten. */
static void move_away(struct x64_emitter *x, unsigned value)
{
    const struct x64_val was = x->val[value];
    unsigned reg;

    if (was.where == V_FPIN) {
        reg = take_xmm(x);
        x64_vmovapd_rrr(&x->c, reg, 0, was.reg);
        x64_nan_copied(x, reg, was.reg);
        own_xmm(x, value, reg);
        x->xmm_locked &= ~(1u << reg);
        return;
    }
    if (was.where == V_FSTATE) {
        reg = take_xmm(x);
        x64_vmovq_xm_rrm(&x->c, reg, 0, x64_guest_reg(STATE_FP + was.reg));
        own_xmm(x, value, reg);
        x->xmm_locked &= ~(1u << reg);
        return;
    }
    reg = take_temp(x);
    if (was.where == V_PIN)
        x64_mov_rr(&x->c, reg, was.reg);
    else
        x64_mov_rm(&x->c, reg, x64_guest_reg(was.reg));
    own(x, value, reg);
    x->locked &= ~(1u << reg);
}

/* Walks the values that share guest registers: forgets the dead ones, and moves away those that
 * share this one, or all. */
static void claim(struct x64_emitter *x, bool all, enum x64_where where, unsigned reg)
{
    unsigned n = 0;

    for (unsigned k = 0; k < x->n_lazy; k++) {
        unsigned value = x->lazy[k];
        struct x64_val *v = &x->val[value];
        bool lazy =
            v->where == V_PIN || v->where == V_STATE || v->where == V_FSTATE || v->where == V_FPIN;
        /* A value made by this very instruction has last == 0 when unused. */
        bool wanted = v->last > x->i || value == x->i;
        bool in_the_way = (all || (v->where == where && v->reg == reg)) && value != x->i;

        v->listed = lazy && wanted && !in_the_way;
        if (v->listed)
            x->lazy[n++] = (uint16_t)value;
        else if (lazy && wanted)
            move_away(x, value);
    }
    x->n_lazy = n;
}

/* The homes are forgotten first: what is spilled on the way must not go back there. */
void x64_claim(struct x64_emitter *x, unsigned g)
{
    x->home_of[g] = X64_NONE;
    if (x->pin_of_guest[g] != X64_NO_REG)
        claim(x, false, V_PIN, x->pin_of_guest[g]);
    else
        claim(x, false, V_STATE, g);
}

void x64_claim_fp(struct x64_emitter *x, unsigned g)
{
    x->home_of[STATE_FP + g] = X64_NONE;
    if (x->fpin_of_guest[g] != X64_NO_REG)
        claim(x, false, V_FPIN, x->fpin_of_guest[g]);
    else
        claim(x, false, V_FSTATE, g);
}

void x64_claim_all(struct x64_emitter *x)
{
    for (unsigned g = 0; g < STATE_N_REGS; g++)
        x->home_of[g] = X64_NONE;
    claim(x, true, V_NONE, 0);
    for (uint32_t m = x->xmm_held; m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);

        if (x->val[x->xmm_owner[r]].last > x->i)
            spill_xmm(x, r);
    }
}

uint16_t x64_xmm_live(const struct x64_emitter *x)
{
    uint16_t live = 0;

    for (uint32_t m = x->xmm_held; m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);

        if (x->val[x->xmm_owner[r]].last > x->i)
            live |= (uint16_t)(1u << r);
    }
    /* A dead one may still be what tells that another is a NaN. */
    return live | (uint16_t)((x->nan[0] | x->nan[1]) & x->xmms);
}

/* What the value has, once it is used no more: of those that have come this far, an operand at
 * its last use, or what was just made and nobody wants. */
static void release(struct x64_emitter *x, unsigned value)
{
    struct x64_val *v = &x->val[value];

    if (v->last > x->i)
        return;
    switch (v->where) {
    case V_REG: disown(x, value, v->reg); break;
    case V_XMM: disown_xmm(x, value, v->reg); break;
    case V_SPILL:
    case V_FSPILL:
        x->slots &= ~(UINT64_C(1) << v->slot);
        v->where = V_NONE;
        break;
    default: break;
    }
}

void x64_alloc_step(struct x64_emitter *x)
{
    const struct ir_insn *in = &x->b->insn[x->i];

    x->event[x64_reg_of(in)] = x->next_event[x->i];
    release(x, in->a.n);
    release(x, in->b.n);
    release(x, in->c.n);
    release(x, x->i);
    x->locked = x->xmm_locked = x->nan_from = 0;
}
