/* Look-ups shared by accesses near each other: which they are is settled before the block is
 * emitted, in one pass forwards.
 *
 *      ld  16(a0)   leader: looks the page up so that the whole span is covered
 *      ld  24(a0)   member: is there an addend? uses it
 *      st   8(a0)   member, and so the store table is asked for all three
 *
 * README.md, "Shared look-ups", says why an addend stays good until a helper is called. */
#include "backend-x86_64/x64_int.h"

enum {
    N_OPEN = 6,          /* bases that may still get a member */
    FAR = INT32_MAX / 4, /* offsets beyond are left alone: sums must not overflow */
    MAX_STEPS = 8,       /* through additions of constants */
};

struct open {
    uint8_t share[N_OPEN]; /* index in share[] */
    bool no_store[N_OPEN]; /* a way out lies behind the leader: see join() */
    unsigned n;
};

uint16_t x64_root_of(const struct ir_block *b, ir_ref at, int64_t *offset)
{
    uint64_t c;

    for (unsigned n = 0; n < MAX_STEPS; n++) {
        const struct ir_insn *in = &b->insn[at.n];

        if (in->op != IR_add || !ir_is_const(b, in->b, &c) ||
            (uint64_t)(*offset + FAR) + c > 2 * FAR)
            break;
        *offset += (int64_t)c;
        at = in->a;
    }
    return at.n;
}

struct x64_place x64_place_of(const struct ir_block *b, const struct ir_insn *access)
{
    int64_t offset = (int64_t)access->imm;
    uint16_t root = x64_root_of(b, access->a, &offset);

    return (struct x64_place){root, (int32_t)offset,
                              (int32_t)(offset + ir_mem_size(access->aux) - 1)};
}

/* A store makes the group ask the store table, which says that loads are allowed, too. That
 * is done for a store that follows the loads for certain: a page that is only read would
 * never be found there. */
static bool join(struct x64_share *s, const struct x64_place *p, bool store, bool no_store)
{
    int32_t first = p->first < s->first ? p->first : s->first;
    int32_t last = p->last > s->last ? p->last : s->last;

    if (s->root != p->root || (store && !s->store && no_store) || last - first >= X64_SPAN_MAX)
        return false;
    s->first = first;
    s->last = last;
    s->store |= store;
    s->n++;
    return true;
}

static void start(struct x64_emitter *x, struct open *open, const struct x64_place *p, bool store)
{
    unsigned k = N_OPEN - 1;

    if (open->n < N_OPEN) {
        k = open->n++;
    } else { /* the oldest gets no more */
        memmove(open->share, open->share + 1, (N_OPEN - 1) * sizeof open->share[0]);
        memmove(open->no_store, open->no_store + 1, (N_OPEN - 1) * sizeof open->no_store[0]);
    }
    open->share[k] = (uint8_t)x->n_shares;
    open->no_store[k] = false;
    x->val[X64_SHARE_VAL + x->n_shares] = (struct x64_val){.where = V_NONE, .hint = X64_NO_REG};
    x->share[x->n_shares++] = (struct x64_share){.root = p->root,
                                                 .lead = p->first,
                                                 .first = p->first,
                                                 .last = p->last,
                                                 .store = store,
                                                 .n = 1};
}

static bool is_far(int32_t offset)
{
    return offset > FAR || offset < -FAR;
}

static void add_access(struct x64_emitter *x, struct open *open, unsigned i)
{
    const struct ir_insn *in = &x->b->insn[i];
    const struct x64_place p = x64_place_of(x->b, in);
    bool store = (ir_ops[in->op].flags & STORE) != 0;
    unsigned k = open->n;

    if (is_far(p.first) || is_far((int32_t)in->imm))
        return;
    while (k > 0 && !join(&x->share[open->share[k - 1]], &p, store, open->no_store[k - 1]))
        k--;
    if (k == 0) {
        if (x->n_shares == X64_MAX_SHARES)
            return;
        start(x, open, &p, store);
        k = open->n;
    }
    unsigned g = open->share[k - 1];

    x->share_of[i] = (uint8_t)g;
    x->val[X64_SHARE_VAL + g].last = (uint16_t)i;
}

/* Behind x64_alloc_start(). */
void x64_share_start(struct x64_emitter *x)
{
    const struct ir_block *b = x->b;
    struct open open = {.n = 0};

    x->n_shares = 0;
    memset(x->share_of, X64_NO_SHARE, b->n);
    if (!b->share_lookups || x->windowed)
        return;
    for (unsigned i = x->barrier[0]; i < b->n; i = x64_next_barrier(x, i)) {
        unsigned flags = ir_ops[b->insn[i].op].flags;

        if (flags & (LOAD | STORE))
            add_access(x, &open, i);
        else if (b->insn[i].op == IR_call)
            open.n = 0;
        else if (flags & SIDE)
            memset(open.no_store, true, sizeof open.no_store);
    }
}
