/* Accesses to neighbouring bytes become one. Compilers for machines that may be slow at misaligned
 * words copy them byte by byte,
 *
 *      lbu t0, 0(a0)      lbu t1, 1(a0)   ...      sb t0, 8(sp)      sb t1, 9(sp)   ...
 *
 * and the host, which has no such trouble, then waits for the bytes when the copy is read as a
 * word. Bytes that are stored may also be those of one register, or constants.
 *
 * Only where accesses go through the window: a joined access (IR_JOINED) is there with all its
 * bytes or leaves the block before its first guest instruction, and the bytes are then accessed one
 * by one. So every fault is as precise as without, devices see bytes, and nothing of a run is done
 * twice. RVWMO lets bytes be accessed in any order, at the same time as well; between the first and
 * the last one stands no fence, no way out and no other access, which might be of the same bytes.
 * Not under virtual time, which leaves blocks at their ends only. */
#include <string.h>

#include "dbt/opt/opt_int.h"

enum {
    MOST = 8,      /* bytes of one access */
    REACH = 64,    /* instructions from the first byte to the last */
    MAX_RUNS = 16, /* of loads, and of stores */
    FAR = 1 << 14, /* no offset is larger: from the base, which is compared, it ends in the window's
                    * guard zone (DISP_NEAR of x64_window.c) */
    NO_RUN = 0xff,
};

/* Neighbouring bytes from `first` on: n of them, 2, 4 or 8. */
struct run {
    uint16_t member[MOST]; /* by their place: IR instructions */
    uint16_t leader;       /* the first of them */
    int32_t first;
    uint8_t n;
    /* Of loads: are they joined, and the word in the new block. */
    bool used;
    ir_ref word;
    /* Of stores: the bytes, from byte `from` on, of the word of load[loads]; or, when that is
     * NO_RUN, of value `of`; or, when that is IR_NONE, of `constant`. */
    uint8_t loads, from;
    ir_ref of;
    uint64_t constant;
};

struct join {
    struct ir_block *b;
    struct run load[MAX_RUNS], store[MAX_RUNS];
    unsigned n_loads, n_stores;
    uint8_t run_of[IR_MAX_INSNS]; /* of a byte that is loaded or stored; NO_RUN */
    uint8_t byte_of[IR_MAX_INSNS];
    struct opt_map map;
    struct ir_insn old[IR_MAX_INSNS];
};

static bool is_byte_load(const struct ir_insn *i)
{
    return i->op == IR_ld && i->aux == IR_U8;
}

static bool is_byte_store(const struct ir_insn *i)
{
    return i->op == IR_st && i->aux == IR_U8;
}

static bool is_far(const struct ir_insn *i)
{
    return (int64_t)i->imm > FAR || (int64_t)i->imm < -FAR;
}

/* ---- What is stored -------------------------------------------------------------------------- */

/* A byte of a value. */
struct byte {
    ir_ref of; /* IR_NONE: a constant */
    unsigned k;
    uint8_t constant;
    uint8_t run; /* of loads, of which it is byte k; then `of` has no meaning; or NO_RUN */
};

/* One step from byte *k of a value to what it is a byte of. */
static bool step(const struct ir_block *b, ir_ref *v, unsigned *k)
{
    const struct ir_insn *i = &b->insn[v->n];
    unsigned width = extension((enum ir_op)i->op);
    uint64_t c;

    if (width) {
        if (8 * *k >= width)
            return false;
    } else if (i->op == IR_and && ir_is_const(b, i->b, &c)) {
        if ((c >> 8 * *k & 0xff) != 0xff)
            return false;
    } else if ((i->op == IR_shr || i->op == IR_sar) && ir_is_const(b, i->b, &c)) {
        if ((c & 7) || *k + (c & 63) / 8 >= 8)
            return false;
        *k += (unsigned)(c & 63) / 8;
    } else if (i->op == IR_shr32 && ir_is_const(b, i->b, &c)) {
        if ((c & 7) || *k + (c & 31) / 8 >= 4)
            return false;
        *k += (unsigned)(c & 31) / 8;
    } else {
        return false;
    }
    *v = i->a;
    return true;
}

static struct byte byte_of(const struct join *j, ir_ref v)
{
    const struct ir_block *b = j->b;
    struct byte y = {.of = v, .run = NO_RUN};
    uint64_t c;

    while (step(b, &y.of, &y.k))
        continue;
    if (ir_is_const(b, y.of, &c))
        return (struct byte){.of = IR_NONE, .constant = (uint8_t)(c >> 8 * y.k), .run = NO_RUN};
    if (is_byte_load(&b->insn[y.of.n]) && y.k == 0 && j->run_of[y.of.n] != NO_RUN) {
        y.run = j->run_of[y.of.n];
        y.k = j->byte_of[y.of.n];
    }
    return y;
}

static bool follows(const struct byte *x, const struct byte *y, unsigned distance)
{
    if (ir_is_none(x->of) || ir_is_none(y->of))
        return ir_is_none(x->of) && ir_is_none(y->of);
    return x->run == y->run && (x->run != NO_RUN || x->of.n == y->of.n) && y->k == x->k + distance;
}

/* Are they the bytes of one value, in its order? Then the run knows of which. */
static bool is_one_value(const struct join *j, struct run *r)
{
    struct byte low = byte_of(j, j->b->insn[r->member[0]].b);

    r->loads = low.run;
    r->of = low.of;
    r->from = (uint8_t)low.k;
    r->constant = 0;
    for (unsigned k = 0; k < r->n; k++) {
        struct byte y = byte_of(j, j->b->insn[r->member[k]].b);

        if (!follows(&low, &y, k))
            return false;
        r->constant |= (uint64_t)y.constant << 8 * k;
    }
    return true;
}

/* ---- Which bytes are neighbours -------------------------------------------------------------- */

/* Where bytes of the same base were found, by offset from the first one's: at place[MOST + d]. */
struct found {
    uint16_t place[2 * MOST + 1];
};

static void note_found(struct found *f, const struct ir_insn *first, const struct ir_insn *i,
                       uint32_t n)
{
    int64_t d = (int64_t)(i->imm - first->imm);

    if (d >= -MOST && d <= MOST && f->place[MOST + d] == 0)
        f->place[MOST + d] = (uint16_t)n;
}

/* The longest access of bytes around the first one that were all found. Gives how many bytes it
 * has, at *low from the first one; 1: there is none. */
static unsigned longest(const struct found *f, int *low)
{
    for (unsigned n = MOST; n > 1; n /= 2)
        for (int at = 1 - (int)n; at <= 0; at++) {
            unsigned k = 0;

            while (k < n && f->place[MOST + at + (int)k])
                k++;
            *low = at;
            if (k == n)
                return n;
        }
    return 1;
}

static void take(struct run *r, const struct found *f, const struct ir_insn *first, int low,
                 unsigned n)
{
    *r = (struct run){
        .n = (uint8_t)n, .first = (int32_t)((int64_t)first->imm + low), .leader = UINT16_MAX};
    for (unsigned k = 0; k < n; k++) {
        r->member[k] = f->place[MOST + low + (int)k];
        if (r->member[k] < r->leader)
            r->leader = r->member[k];
    }
}

static bool is_joinable(const struct ir_block *b, const struct ir_insn *i, uint32_t insn_off)
{
    return !is_far(i) && !ir_is_wild(b, b->gpa - b->start + insn_off);
}

/* Nothing but the run's own accesses from its first to its last: else some would come early. */
static bool is_unbroken(const struct ir_block *b, const struct run *r)
{
    unsigned last = 0, n = 0;

    for (unsigned k = 0; k < r->n; k++)
        last = r->member[k] > last ? r->member[k] : last;
    for (unsigned i = r->leader; i <= last; i++)
        n += (ir_ops[b->insn[i].op].flags & (LOAD | STORE)) != 0;
    return n == r->n;
}

/* The bytes that are accessed from instruction n on as it does, up to another access, a fence or a
 * way out. */
static struct found neighbours(const struct join *j, uint32_t n)
{
    const struct ir_insn *first = &j->b->insn[n];
    struct found f = {.place = {0}};

    for (uint32_t k = n; k < j->b->n && k < n + REACH; k++) {
        const struct ir_insn *i = &j->b->insn[k];

        if (!(ir_ops[i->op].flags & (FAULT | SIDE | EXIT | EFFECT)))
            continue;
        if (i->op != first->op || i->aux != first->aux || i->a.n != first->a.n)
            break;
        note_found(&f, first, i, k);
    }
    return f;
}

/* Puts the longest run that begins with instruction n into *r. */
static bool find_run(const struct join *j, uint32_t n, struct run *r)
{
    const struct ir_insn *first = &j->b->insn[n];
    const struct found f = neighbours(j, n);
    int low;

    for (unsigned size = longest(&f, &low); size > 1; size /= 2) {
        /* Shorter, and still around the first one. */
        if (low + (int)size <= 0)
            low = 1 - (int)size;
        take(r, &f, first, low, size);
        if (is_unbroken(j->b, r) && (first->op == IR_ld || is_one_value(j, r)))
            return true;
    }
    return false;
}

/* Instruction n, which accesses a byte, may begin a run. */
static void add_run(struct join *j, uint32_t n, uint32_t insn_off)
{
    bool load = j->b->insn[n].op == IR_ld;
    unsigned *n_runs = load ? &j->n_loads : &j->n_stores;
    struct run *r = load ? &j->load[*n_runs] : &j->store[*n_runs];

    if (j->run_of[n] != NO_RUN || *n_runs == MAX_RUNS ||
        !is_joinable(j->b, &j->b->insn[n], insn_off) || !find_run(j, n, r))
        return;
    for (unsigned k = 0; k < r->n; k++) {
        j->run_of[r->member[k]] = (uint8_t)*n_runs;
        j->byte_of[r->member[k]] = (uint8_t)k;
    }
    ++*n_runs;
}

/* Marks the loads whose bytes are stored together: others stay as they are. */
static void find_used(struct join *j)
{
    for (unsigned k = 0; k < j->n_stores; k++)
        if (j->store[k].loads != NO_RUN)
            j->load[j->store[k].loads].used = true;
}

static bool find(struct join *j)
{
    const struct ir_block *b = j->b;
    uint32_t insn_off = b->start;
    bool any = false;

    for (uint32_t n = 0; n < b->n; n++)
        any |= is_byte_store(&b->insn[n]);
    if (!any)
        return false;
    memset(j->run_of, NO_RUN, b->n);
    j->n_loads = j->n_stores = 0;
    for (uint32_t n = 0; n < b->n; n++) {
        if (b->insn[n].op == IR_insn)
            insn_off = (uint32_t)b->insn[n].imm;
        else if (is_byte_load(&b->insn[n]) || is_byte_store(&b->insn[n]))
            add_run(j, n, insn_off);
    }
    find_used(j);
    return j->n_stores > 0;
}

/* ---- The new block --------------------------------------------------------------------------- */

static uint8_t joined(unsigned n_bytes)
{
    return IR_JOINED | (n_bytes == 8 ? IR_64 : n_bytes == 4 ? IR_U32 : IR_U16);
}

static ir_ref from_byte(struct ir_block *b, ir_ref v, unsigned k)
{
    return k ? ir_op2(b, IR_shr, v, ir_const(b, 8 * k)) : v;
}

static ir_ref loaded_byte(struct join *j, const struct ir_insn *i, uint32_t n)
{
    struct run *r = &j->load[j->run_of[n]];

    if (n == r->leader)
        r->word =
            ir_emit(j->b, IR_ld, joined(r->n), i->a, IR_NONE, IR_NONE, (uint64_t)(int64_t)r->first);
    ir_ref v = from_byte(j->b, r->word, j->byte_of[n]);

    return j->byte_of[n] == r->n - 1 ? v : ir_op1(j->b, IR_zext8, v);
}

/* What a run stores is made where its first store was, behind all that it is made of. */
static void store_all(struct join *j, const struct ir_insn *i, const struct run *r)
{
    ir_ref value;

    if (r->loads != NO_RUN)
        value = from_byte(j->b, j->load[r->loads].word, r->from);
    else if (ir_is_none(r->of))
        value = ir_const(j->b, r->constant);
    else
        value = from_byte(j->b, opt_mapped(&j->map, r->of), r->from);
    ir_emit(j->b, IR_st, joined(r->n), i->a, value, IR_NONE, (uint64_t)(int64_t)r->first);
}

static void rebuild(struct join *j)
{
    struct ir_block *b = j->b;
    uint32_t n_old = b->n;

    memcpy(j->old, b->insn, n_old * sizeof b->insn[0]);
    opt_map_init(&j->map);
    b->n = 0;
    for (uint32_t n = 0; n < n_old; n++) {
        struct ir_insn i = j->old[n];
        unsigned run = j->run_of[n];

        opt_map_operands(&j->map, &i);
        if (is_byte_load(&i) && run != NO_RUN && j->load[run].used) {
            j->map.to[n] = loaded_byte(j, &i, n);
        } else if (is_byte_store(&i) && run != NO_RUN) {
            if (n == j->store[run].leader)
                store_all(j, &i, &j->store[run]);
        } else {
            j->map.to[n] = (ir_ref){(uint16_t)b->n};
            b->insn[b->n++] = i;
        }
    }
}

void opt_join(struct ir_block *b)
{
    enum { GROWTH = 4 }; /* a byte that was loaded: word, constant, shift, extension */
    struct join j;

    if (!b->joins || b->n > IR_MAX_INSNS / GROWTH)
        return;
    j.b = b;
    if (!find(&j))
        return;
    rebuild(&j);
    opt_state(b); /* fewer loads look at registers now */
}
