/* One block, from IR to host code: the loop over its instructions, the block's
 * entry, and the cold parts behind it. */
#include <stdlib.h>

#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

const struct x64_pin x64_pins[X64_N_PINS] = {
#define PIN(guest, host) {guest, X64_PIN_##host},
#define FPIN(guest, host)
#define X64_PIN_rsi RSI
#define X64_PIN_rdi RDI
#define X64_PIN_r8  R8
#define X64_PIN_r9  R9
#define X64_PIN_r10 R10
#define X64_PIN_r11 R11
#define X64_PIN_r14 R14
#define X64_PIN_r15 R15
#include "backend-x86_64/x64_pin.def"
#undef PIN
#undef FPIN
};

const struct x64_pin x64_fpins[X64_N_FPINS] = {
#define PIN(guest, host)
#define FPIN(guest, host) {guest, host},
#include "backend-x86_64/x64_pin.def"
#undef PIN
#undef FPIN
};

struct x64_emitter *x64_emitter_create(const struct x64_mmu_layout *layout, unsigned n_xmm)
{
    struct x64_emitter *x = calloc(1, sizeof *x);

    CHECK(x && "memory for the emitter");
    x->layout = *layout;
    memset(x->pin_of_guest, X64_NO_REG, sizeof x->pin_of_guest);
    for (unsigned k = 0; k < X64_N_PINS; k++) {
        x->pin_of_guest[x64_pins[k].guest] = x64_pins[k].host;
        x->guest_of_pin[x64_pins[k].host] = x64_pins[k].guest;
    }
    memset(x->fpin_of_guest, X64_NO_REG, sizeof x->fpin_of_guest);
    x->xmms = 0xfffc; /* xmm0 and xmm1 are scratch */
    for (unsigned k = 0; k < x64_n_fpins(n_xmm); k++) {
        x->fpin_of_guest[x64_fpins[k].guest] = x64_fpins[k].host;
        x->guest_of_fpin[x64_fpins[k].host] = x64_fpins[k].guest;
        x->xmms &= ~(1u << x64_fpins[k].host);
    }
    return x;
}

void x64_emitter_destroy(struct x64_emitter *x)
{
    free(x);
}

void x64_emitter_stress(struct x64_emitter *x, uint64_t seed)
{
    x->stress = seed;
}

struct x64_cold *x64_cold_add(struct x64_emitter *x,
                              void (*emit)(struct x64_emitter *, const struct x64_cold *),
                              uint32_t from)
{
    struct x64_cold *k = &x->cold_overflow;

    if (x->n_cold == X64_MAX_COLD)
        x->c.full = true;
    else
        k = &x->cold[x->n_cold++];
    *k = (struct x64_cold){.emit = emit, .fix = {from}, .n_fix = 1};
    k->info = x64_info(x->insn_off, x->insn_len, 0);
    return k;
}

void x64_site_add(struct x64_emitter *x, uint32_t fault, uint32_t slow)
{
    if (x->unit.n_sites == X64_MAX_SITES)
        x->c.full = true;
    else
        x->unit.site[x->unit.n_sites++] = (struct x64_site){fault, slow};
}

static void cold_pending(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov_imm(&x->c, RAX, k->imm);
    x64_jmp_m(&x->c, STATE_MEM(stub[X64_STUB_PENDING]));
}

/* At the entry of a block that touches floating point: something is pending, or the
 * registers are in the state only. */
static void cold_entry(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    x64_cmp32_mi(c, STATE_MEM(pending), 0);
    uint32_t pending = x64_jcc(c, CC_NE);

    x64_call_m(c, STATE_MEM(stub[X64_STUB_FP_IN]));
    x64_fix(c, x64_jmp(c), k->back);
    x64_fix(c, pending, x64_at(c));
    cold_pending(x, k);
}

static void cold_hot(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov32_mi(&x->c, x64_state_at(offsetof(struct cpu_state, runs_left) + 4 * k->imm),
                 STATE_HEAT);
    x64_mov32_mi(&x->c, STATE_MEM(is_hot), 1);
    x64_mov_imm(&x->c, RAX, x->b->start);
    x64_jmp_m(&x->c, STATE_MEM(stub[X64_STUB_PENDING]));
}

static bool has_access(const struct x64_emitter *x)
{
    for (unsigned i = x->barrier[0]; i < x->b->n; i = x64_next_barrier(x, i))
        if ((ir_ops[x->b->insn[i].op].flags & (LOAD | STORE)) || x64_is_modify(&x->b->insn[i]))
            return true;
    return false;
}

/* Code that is seldom run gets no cells and does not use the window: each would be filled once more
 * for each process, and hit a few times. So a block without them counts its runs. Upper halves are
 * kernels', whose accesses go from structure to structure: no cells, and their window, which is one
 * for all processes, from the first run on. */
static void choose_paths(struct x64_emitter *x)
{
    const struct x64_mmu_layout *l = &x->layout;
    const struct ir_block *b = x->b;
    bool may = has_access(x), lower = may && !b->upper_half;
    bool cells = lower && b->cells && l->n_cells;
    bool window = lower && b->window == IR_WINDOW_LOWER;

    x->cells = !b->cold && cells;
    x->windowed = may && ir_uses_window(b);
    x->counts_runs = b->counted || (b->cold && (cells || window));
}

static void count_run(struct x64_emitter *x)
{
    unsigned n = x->next_heat++ % STATE_N_HEAT;

    x64_sub32_mi(&x->c, x64_state_at(offsetof(struct cpu_state, runs_left) + 4 * n), 1);
    struct x64_cold *k = x64_cold_add(x, cold_hot, x64_jcc(&x->c, CC_E));

    k->imm = n;
}

static void check_entry(struct x64_emitter *x)
{
    _Static_assert(offsetof(struct cpu_state, fp_away) == offsetof(struct cpu_state, pending) + 4 &&
                       offsetof(struct cpu_state, pending) % 8 == 0,
                   "one comparison looks at both");
    if (x->touches_fp)
        x64_cmp_mi(&x->c, STATE_MEM(pending), 0);
    else
        x64_cmp32_mi(&x->c, STATE_MEM(pending), 0);
    struct x64_cold *k =
        x64_cold_add(x, x->touches_fp ? cold_entry : cold_pending, x64_jcc(&x->c, CC_NE));

    k->imm = x->b->start;
    k->back = x64_at(&x->c);
}

/* Leaves to offset `off` of the page when anything is pending. */
static void check_pending(struct x64_emitter *x, uint32_t off)
{
    x64_cmp32_mi(&x->c, STATE_MEM(pending), 0);
    struct x64_cold *k = x64_cold_add(x, cold_pending, x64_jcc(&x->c, CC_NE));

    k->imm = off;
}

static void note_insn(struct x64_emitter *x, const struct ir_insn *in)
{
    x->insn_off = (uint32_t)in->imm;
    x->insn_len = in->aux;
    if (x->unit.n_map <= IR_MAX_GUEST)
        x->unit.map[x->unit.n_map++] = (struct x64_map){x64_at(&x->c), x->insn_off};
}

static bool is_dropped(const struct x64_emitter *x, const struct ir_insn *in)
{
    bool idle = (ir_ops[in->op].flags & IDLE) != 0;

    return idle & (x->val[x->i].last == 0); /* one guess, which is right, instead of two */
}

static void emit_one(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned flags = ir_ops[in->op].flags;

    if (flags & (FAULT | SIDE | EXIT))
        x64_nan_flush(x);
    if (in->op == IR_insn)
        note_insn(x, in);
    else if (in->op == IR_const)
        x->val[x->i].where = V_CONST;
    else if (in->op == IR_exit_pending)
        check_pending(x, (uint32_t)in->imm);
    else if (flags & (SIDE | EXIT))
        x64_emit_flow(x, in);
    else if (flags & (LOAD | STORE))
        x64_emit_mem(x, in);
    else if (flags & EFFECT)
        x64_emit_call(x, in);
    else if (in->op == IR_getf || in->op == IR_setf || in->op == IR_getfflags ||
             in->op == IR_setfflags || (in->op >= IR_f2i && in->op <= IR_f64to32))
        x64_emit_fp(x, in);
    else
        x64_emit_alu(x, in);
}

static void emit_cold(struct x64_emitter *x)
{
    for (unsigned k = 0; k < x->n_cold && !x->c.full; k++) {
        const struct x64_cold *cold = &x->cold[k];

        for (unsigned f = 0; f < cold->n_fix; f++)
            x64_fix(&x->c, cold->fix[f], x64_at(&x->c));
        cold->emit(x, cold);
    }
}

/* Goes on in the room for what seldom runs. The processor's caches, and its TLB's pages, then hold
 * what does run. */
static void go_apart(struct x64_emitter *x, const struct x64_room *room)
{
    x->unit.size_bytes = x64_at(&x->c);
    if (!room->cold)
        return;
    x->c.full = room->cold_bytes == 0; /* where it begins would be nobody's */
    x->c.p = room->cold;
    x->c.end = room->cold + room->cold_bytes;
    x->unit.cold_at = x64_at(&x->c);
}

static void note_sizes(struct x64_emitter *x, const struct x64_room *room)
{
    if (room->cold)
        x->unit.cold_bytes = x64_at(&x->c) - x->unit.cold_at;
    else
        x->unit.size_bytes = x64_at(&x->c);
}

const struct x64_unit *x64_emit(struct x64_emitter *x, const struct ir_block *b,
                                const struct x64_room *room)
{
    x->c = (struct x64_code){
        .start = room->hot, .p = room->hot, .end = room->hot + room->hot_bytes, .full = false};
    x->b = b;
    x->n_cold = 0;
    x->unit.n_lookups = 0;
    x->unit.n_exits = x->unit.n_map = x->unit.n_sites = x->unit.n_pairs = 0;
    x->unit.cold_at = x->unit.cold_bytes = 0;
    x->insn_off = b->start;
    x->insn_len = 0;
    x->half_is_made = false;
    x->temps = 1u << RBX | 1u << RDX | 1u << R12 | 1u << R13;
    x64_live(x);
    choose_paths(x);
    x64_window_choose(x);
    x64_alloc_start(x);
    x64_share_start(x);
    x->i = 0;
    x64_window_start(x);
    bool plain_start = x64_at(&x->c) == 0;

    if (x->look == X64_NONE)
        check_entry(x);
    x->unit.onward = plain_start ? x64_at(&x->c) : 0;
    x->unit.touches_fp = x->touches_fp;
    x64_box_start(x);
    if (x->counts_runs)
        count_run(x);
    for (; x->i < b->n && !x->c.full; x->i++) {
        const struct ir_insn *in = &b->insn[x->i];

        if (!is_dropped(x, in))
            emit_one(x, in);
        x64_alloc_step(x);
    }
    if (x->c.full)
        return NULL;
    go_apart(x, room);
    emit_cold(x);
    if (x->c.full)
        return NULL;
    note_sizes(x, room);
    return &x->unit;
}
