/* Accesses through a window (softmmu/windows.h): the host's MMU looks the page up.
 *
 *      cmp  base, gs:[window_limit]
 *      jae  cold
 *      mov  dst, gs:[base + disp + WINDOW_OFF]       a site: a fault goes on in the cold part
 *
 * The comparison is what keeps wild addresses away from the host's memory. It is made once for each
 * *root*, the value that addresses are made of by adding constants, and not at all in the turns of
 * a loop. README.md, "Windows", says why that is safe.
 *
 * A loop that follows pointers or walks a table by what it has loaded waits for the address; gs
 * costs a cycle there, so that such blocks have the window's origin in a register. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

/* A pointer that a loop moves is at most three times DISP_NEAR, and an access, away from where it
 * was inside: by the access's offset, by its step, by the next access's offset. */
enum { ORIGIN = R13, DISP_NEAR = 1 << 15 };

static bool is_near(int64_t offset)
{
    return offset > -DISP_NEAR && offset < DISP_NEAR;
}

static bool has_place(const struct x64_place *p)
{
    return is_near(p->first) && is_near(p->last);
}

/* An atomic's address has no offset. */
static int64_t offset_of(const struct ir_insn *access)
{
    return access->op == IR_call ? 0 : (int64_t)access->imm;
}

static unsigned bytes_of(const struct ir_insn *access)
{
    if (access->op != IR_call)
        return ir_mem_size(access->aux);
    return ir_fast_what(access->aux) == IR_ZERO ? IR_ZERO_BYTES : ir_fast_size(access->aux);
}

/* What value v is at most, UINT64_MAX when that is not known. */
static uint64_t bound_of_field(const struct ir_block *b, ir_ref v)
{
    const struct ir_insn *in = &b->insn[v.n];
    uint64_t c;

    switch (in->op) {
    case IR_zext8: return UINT8_MAX;
    case IR_zext16: return UINT16_MAX;
    case IR_and: return ir_is_const(b, in->b, &c) ? c : UINT64_MAX;
    case IR_shr: return ir_is_const(b, in->b, &c) ? UINT64_MAX >> (c & 63) : UINT64_MAX;
    case IR_shr32: return ir_is_const(b, in->b, &c) ? UINT32_MAX >> (c & 31) : UINT64_MAX;
    case IR_ld:
        return ir_mem_signed(in->aux) ? UINT64_MAX : UINT64_MAX >> (64 - 8 * ir_mem_size(in->aux));
    default: return UINT64_MAX;
    }
}

/* Also of such a one that is scaled. */
static uint64_t bound_of(const struct ir_block *b, ir_ref v)
{
    const struct ir_insn *in = &b->insn[v.n];
    uint64_t scale;

    if (in->op != IR_shl || !ir_is_const(b, in->b, &scale) || (scale &= 63) == 0)
        return bound_of_field(b, v);
    uint64_t bound = bound_of_field(b, in->a);

    return bound >> (64 - scale) ? UINT64_MAX : bound << scale;
}

/* One step from an address to what it is near, at most *far below it. */
static bool step_to_near(const struct ir_block *b, ir_ref *at, uint64_t *far)
{
    const struct ir_insn *in = &b->insn[at->n];
    unsigned scale = in->op == IR_addsh ? in->aux & 3 : 0;
    uint64_t bound;

    if (in->op != IR_add && in->op != IR_addsh)
        return false;
    bound = bound_of(b, in->b);
    *at = in->a;
    if (bound >= DISP_NEAR && in->op == IR_add) {
        bound = bound_of(b, in->a);
        *at = in->b;
    }
    *far += bound << scale;
    return bound < DISP_NEAR;
}

/* As x64_place_of(), and through additions of what is small: an element of a table is near the
 * table. */
static struct x64_place place_of(const struct ir_block *b, const struct ir_insn *access)
{
    int64_t offset = offset_of(access);
    uint64_t far = 0;
    ir_ref at = {x64_root_of(b, access->a, &offset)};
    struct x64_place p = {at.n, (int32_t)offset, 0};

    for (unsigned n = 0; n < 2 && step_to_near(b, &at, &far); n++) {
        at.n = x64_root_of(b, at, &offset);
        if (!is_near(offset) || !is_near((int64_t)far))
            break;
        p.root = at.n;
        p.first = (int32_t)offset;
        p.last = (int32_t)far;
    }
    p.last += p.first + (int32_t)bytes_of(access) - 1;
    return p;
}

/* ---- What a block is ------------------------------------------------------------------------- */

/* Does it go back to its own start here, with no guard and no call? */
static bool turns(const struct ir_block *b, const struct ir_insn *in)
{
    return !x64_may_straddle(b, b->start) &&
           (in->op == IR_exit_if || (in->op == IR_exit_goto && in->aux == IR_PLAIN)) &&
           in->imm == b->start;
}

/* And calls no helper, which might change the view. */
static bool is_loop(const struct ir_block *b)
{
    bool loops = false;

    for (unsigned i = 0; i < b->n; i++) {
        if (b->insn[i].op == IR_call)
            return false;
        loops |= turns(b, &b->insn[i]);
    }
    return loops;
}

/* Follows a mark on guest registers `in` through the block; from_loads: what is loaded has it, too.
 * Gives the registers that have it at the end. *addressed: an access's address has it. */
static uint32_t follow(const struct ir_block *b, uint32_t in, bool from_loads, bool *addressed)
{
    bool marked[IR_MAX_INSNS];

    for (unsigned i = 0; i < b->n; i++) {
        const struct ir_insn *n = &b->insn[i];
        const ir_ref operand[3] = {n->a, n->b, n->c};
        bool load = (ir_ops[n->op].flags & LOAD) != 0;
        bool m = n->op == IR_get && in >> (n->imm & 31) & 1;

        for (unsigned k = 0; k < 3 && ir_ops[n->op].operands[k]; k++)
            m |= ir_ops[n->op].operands[k] == 'I' && marked[operand[k].n];
        *addressed |= load && m;
        marked[i] = m || (load && from_loads);
        if (n->op == IR_set)
            in = (in & ~(UINT32_C(1) << n->imm)) | (uint32_t)m << n->imm;
    }
    return in;
}

/* Is an address of one turn made of what the turn before has loaded? */
static bool is_chase(const struct ir_block *b)
{
    bool addressed = false;
    uint32_t loaded = follow(b, 0, true, &addressed);

    addressed = false;
    follow(b, loaded, false, &addressed);
    return addressed;
}

/* What has rdx for itself, two operands and a result, which is as many temporaries as there are:
 * then none of them can hold the origin. */
static bool takes_all_temporaries(const struct ir_block *b)
{
    for (unsigned i = 0; i < b->n; i++)
        switch (b->insn[i].op) {
        case IR_mulhu:
        case IR_mulhs:
        case IR_mulhsu:
        case IR_divu:
        case IR_divs:
        case IR_remu:
        case IR_rems: return true;
        default: break;
        }
    return false;
}

static bool is_joined(const struct ir_insn *in)
{
    return in->op != IR_call && (in->aux & IR_JOINED);
}

/* Does the access, of the guest instruction at insn_off, go through the window? opt_join() has
 * asked for a joined one, which has no other way. */
static bool goes_through(const struct x64_emitter *x, const struct ir_insn *in, uint32_t insn_off)
{
    return is_joined(in) || (is_near(offset_of(in)) && !x64_is_wild_at(x, insn_off));
}

/* ---- Roots of loops ----------------------------------------------------------------------------
 */

/* A helper may write registers. */
bool x64_is_from_start(const struct ir_block *b, unsigned v)
{
    const enum ir_op set = b->insn[v].op == IR_get ? IR_set : IR_setf;

    for (unsigned i = 0; i < v; i++)
        if (b->insn[i].op == IR_call || (b->insn[i].op == set && b->insn[i].imm == b->insn[v].imm))
            return false;
    return true;
}

/* May v, which guest register g has at the start, be compared once for all turns? Each has to
 * change it by little and to access what it points at through the window: then it meets the guard
 * zone before it leaves it. */
static bool stays_near(const struct x64_emitter *x, unsigned v, unsigned g)
{
    const struct ir_block *b = x->b;
    ir_ref now = {(uint16_t)v};
    uint32_t insn_off = b->start;
    bool accessed = false;

    for (unsigned i = 0; i < b->n; i++) {
        const struct ir_insn *in = &b->insn[i];
        int64_t off = 0;

        if (in->op == IR_insn)
            insn_off = (uint32_t)in->imm;
        if (ir_ops[in->op].flags & (LOAD | STORE)) {
            struct x64_place p = place_of(b, in);

            accessed |= p.root == v && has_place(&p) && goes_through(x, in, insn_off);
        } else if (in->op == IR_set && in->imm == g) {
            now = in->a;
        } else if (turns(b, in) &&
                   (x64_root_of(b, now, &off) != v || !is_near(off) || (!accessed && now.n != v))) {
            return false;
        }
    }
    return true;
}

static bool is_compared(const struct x64_emitter *x, uint16_t root)
{
    for (unsigned n = 0; n < x->n_roots; n++)
        if (x->root[n] == root)
            return true;
    return false;
}

static void note_root(struct x64_emitter *x, uint16_t root)
{
    if (x->n_roots < X64_MAX_ROOTS)
        x->root[x->n_roots++] = root;
}

static void find_loop_roots(struct x64_emitter *x)
{
    const struct ir_block *b = x->b;

    if (ir_is_wild(b, IR_START_AT(b->gpa)))
        return;
    for (unsigned i = 0; i < b->n; i++) {
        if (!(ir_ops[b->insn[i].op].flags & (LOAD | STORE)))
            continue;
        struct x64_place p = place_of(b, &b->insn[i]);

        if (has_place(&p) && !is_compared(x, p.root) && b->insn[p.root].op == IR_get &&
            b->insn[p.root].imm != 0 && x64_is_from_start(b, p.root) &&
            stays_near(x, p.root, (unsigned)b->insn[p.root].imm))
            note_root(x, p.root);
    }
}

/* ---- Emission -----------------------------------------------------------------------------------
 */

static struct x64_mem in_view(uint32_t offset)
{
    return (struct x64_mem){X64_NO_REG, X64_NO_REG, 0, true, (int32_t)offset};
}

/* Leaves before the instruction, which the run loop evaluates. imm: enum PLAIN_*. */
static void cold_plain(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    x64_mov32_mi(c, STATE_MEM(plain), (int32_t)k->imm);
    x64_lea_rm(c, RAX, x64_mem(X64_RIP, 0));
    x64_mov_mr(c, STATE_MEM(plain_code), RAX);
    x64_mov_imm(c, RAX, x64_info_insn_off(k->info));
    x64_jmp_m(c, STATE_MEM(stub[X64_STUB_PENDING]));
}

void x64_cold_plain(struct x64_emitter *x, uint32_t from, unsigned why)
{
    x64_cold_add(x, cold_plain, from)->imm = why;
}

static uint32_t compare_with(struct x64_emitter *x, unsigned reg, struct x64_mem bound,
                             unsigned outside)
{
    uint32_t from = x64_at(&x->c);

    x64_cmp_rm(&x->c, reg, bound);
    uint32_t miss = x64_jcc(&x->c, outside);

    x64_pair_add(x, from);
    return miss;
}

/* Gives the field of the jump that is taken when reg is not in the window. */
static uint32_t compare(struct x64_emitter *x, unsigned reg)
{
    if (x->b->window == IR_WINDOW_UPPER)
        return compare_with(x, reg, in_view(x->layout.window_floor_off), CC_BE);
    return compare_with(x, reg, in_view(x->layout.window_limit_off), CC_AE);
}

/* base is not below `limit`, which is 0 when something is pending: the block is left where it has
 * come to. So it is when that is over and nobody has set the limit again: the run loop does. */
static void cold_look(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    x64_cmp32_mi(c, STATE_MEM(pending), 0);
    uint32_t pending = x64_jcc(c, CC_NE);

    x64_cmp_rm(c, k->base, in_view(x->layout.window_limit_off));
    uint32_t inside = x64_jcc(c, CC_B);

    cold_plain(x, k);
    x64_fix(c, pending, x64_at(c));
    x64_fix(c, inside, x64_at(c));
    x64_mov_imm(c, RAX, k->back);
    x64_jmp_m(c, STATE_MEM(stub[X64_STUB_PENDING]));
}

/* The access, of a user's, whose comparison comes in each run of the block before it can be left or
 * has changed anything but registers: before any exit, or cell of one, is used. A block that
 * touches floating point looks at `fp_away` as well, and has none. */
static uint16_t find_look(const struct x64_emitter *x)
{
    const struct ir_block *b = x->b;
    const unsigned leaves = FAULT | SIDE | EXIT | EFFECT;
    uint32_t insn_off = b->start;

    if (!x->windowed || b->window != IR_WINDOW_LOWER || b->virtual_time || x->touches_fp)
        return X64_NONE;
    for (unsigned i = 0; i < b->n; i++) {
        const struct ir_insn *in = &b->insn[i];
        unsigned flags = ir_ops[in->op].flags;

        if (in->op == IR_insn)
            insn_off = (uint32_t)in->imm;
        if (flags & (LOAD | STORE)) {
            struct x64_place p = place_of(b, in);

            return has_place(&p) && !is_compared(x, p.root) && goes_through(x, in, insn_off)
                       ? (uint16_t)i
                       : X64_NONE;
        }
        if (flags & leaves)
            return X64_NONE;
    }
    return X64_NONE;
}

/* All are below the limit, a power of two, if what any of them has is. */
static void compare_loop_roots(struct x64_emitter *x)
{
    struct x64_code *c = &x->c;
    bool upper = x->b->window == IR_WINDOW_UPPER;
    void (*join_rm)(struct x64_code * c, unsigned d, struct x64_mem m) =
        upper ? x64_and_rm : x64_or_rm;
    void (*join_rr)(struct x64_code * c, unsigned d, unsigned s) = upper ? x64_and_rr : x64_or_rr;

    for (unsigned n = 0; n < x->n_roots; n++) {
        unsigned g = (unsigned)x->b->insn[x->root[n]].imm;
        unsigned pin = x->pin_of_guest[g];

        if (pin == X64_NO_REG)
            (n ? join_rm : x64_mov_rm)(c, RAX, x64_guest_reg(g));
        else
            (n ? join_rr : x64_mov_rr)(c, RAX, pin);
    }
    x64_cold_plain(x, compare(x, RAX), PLAIN_START);
}

void x64_window_choose(struct x64_emitter *x)
{
    CHECK(!x->windowed || x->layout.window_guard >= 4 * DISP_NEAR);
    bool loop = x->windowed && is_loop(x->b);

    x->n_roots = 0;
    x->has_origin = loop && is_chase(x->b) && !takes_all_temporaries(x->b);
    if (x->has_origin)
        x->temps &= ~(UINT32_C(1) << ORIGIN);
    if (loop && !x->b->virtual_time)
        find_loop_roots(x);
}

void x64_window_start(struct x64_emitter *x)
{
    x->unit.loop = 0;
    x->look = X64_NONE;
    if (!x->windowed)
        return;
    if (x->has_origin)
        x64_mov_rm(&x->c, ORIGIN, in_view(x->layout.window_origin_off));
    if (x->n_roots)
        compare_loop_roots(x);
    x->unit.loop = x64_at(&x->c);
    x->look = find_look(x);
}

/* The comparison that is the block's look at `pending` as well. */
static void look(struct x64_emitter *x, unsigned base)
{
    struct x64_cold *k = x64_cold_add(x, cold_look, compare_with(x, base, STATE_MEM(limit), CC_AE));

    k->imm = PLAIN_ACCESS;
    k->base = (uint8_t)base;
    k->back = x->insn_off;
}

bool x64_in_window(const struct x64_emitter *x, const struct ir_insn *in)
{
    return x->windowed && goes_through(x, in, x->insn_off);
}

struct x64_mem x64_window_access(struct x64_emitter *x, const struct ir_insn *in, unsigned base,
                                 uint32_t *miss)
{
    struct x64_place p = place_of(x->b, in);
    bool shares = !x->b->virtual_time && has_place(&p);
    int32_t disp = (int32_t)offset_of(in);

    CHECK(is_near(disp) && "what is compared is its base");
    *miss = 0;
    if (x->i == x->look) {
        look(x, base);
        note_root(x, p.root);
    } else if (!shares || !is_compared(x, p.root)) {
        *miss = compare(x, base);
    }
    if (*miss && (shares || is_joined(in))) {
        x64_cold_plain(x, *miss, PLAIN_ACCESS);
        if (shares)
            note_root(x, p.root);
        *miss = 0;
    }
    if (x->has_origin)
        return (struct x64_mem){(uint8_t)base, ORIGIN, 0, false, disp};
    int32_t off = (int32_t)x->layout.window_off;

    return (struct x64_mem){(uint8_t)base, X64_NO_REG, 0, true,
                            disp + (x->b->window == IR_WINDOW_UPPER ? -off : off)};
}
