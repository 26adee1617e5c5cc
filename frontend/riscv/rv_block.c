/* A block: from a guest physical address on, instruction after instruction, until one
 * of them takes control away. It ends
 *   - at a jump (short ones forward are followed), a trap, or an instruction behind which the
 *     mode may be another (the builders say so: t->done), and behind the last side exit it may
 *     have;
 *   - before an LR, with --lrsc=strict: so that its SC is in the same block;
 *   - at the end of the page; an instruction that straddles it is a block of its own;
 *   - before an instruction that cannot be fetched: when it is really reached, it is the
 *     first of its own block and becomes the trap. */
#include "frontend/riscv/build/rv_build.h"

typedef void build_fn(struct rv_build *t, const struct rv_insn *i);

static build_fn *const builders[RV_OP_COMPRESSED] = {
#define RV(name, format, bits, needs, kind, builder) [RV_OP_##name] = rv_build_##name,
#define RVC(name, format, bits, needs, expands)
#include "frontend/riscv/isa/rv_isa.def"
#undef RV
#undef RVC
};

/* ---- Fetching ------------------------------------------------------------------------ */

enum { MAX_IR_OF_INSN = 64 }; /* IR_MAX_INSNS speaks of 48; with markers and exits */

/* What became of fetching one instruction. */
struct fetched {
    bool ok;
    unsigned len_bytes; /* up to and with the parcel that failed, when one did */
    uint32_t word;
    uint64_t cause;
};

static struct fetched fetch_insn(const struct guest_fetch *fetch, uint32_t off)
{
    struct fetched f = {.len_bytes = 2};
    uint16_t low, high = 0;
    uint64_t tval;

    if (!fetch->parcel(fetch->arg, off, &low, &f.cause, &tval))
        return f;
    f.len_bytes = rv_len_bytes(low);
    if (f.len_bytes == 4 && !fetch->parcel(fetch->arg, off + 2, &high, &f.cause, &tval))
        return f;
    f.word = low | (uint32_t)high << 16;
    f.ok = true;
    return f;
}

static void mark(struct rv_build *t, unsigned len_bytes)
{
    ir_emit(t->b, IR_insn, (uint8_t)len_bytes, IR_NONE, IR_NONE, IR_NONE, t->off);
    t->next = t->off + len_bytes;
    t->counted = false;
    t->b->n_guest++;
    t->b->len_bytes = t->next - t->b->start;
}

/* ---- What is legal ------------------------------------------------------------------- */

/* 5 and 6 are reserved; dynamic means frm, which may hold a reserved value. */
static bool rounding_ok(const struct rv_build *t, unsigned rm)
{
    if (rm == IR_RM_DYN)
        return (t->mode & RV_MODE_FRM_INVALID) == 0;
    return rm <= IR_RM_RMM;
}

static bool is_fp(enum rv_kind kind)
{
    return kind == RV_KIND_FP || kind == RV_KIND_FP_RM || kind == RV_KIND_FP_READ;
}

/* A compressed instruction needs C, and what its long form needs. */
static bool is_legal(const struct rv_build *t, const struct rv_insn *i)
{
    const struct rv_row *long_row = &rv_rows[i->op];
    uint64_t needs = rv_rows[i->row].needs | long_row->needs;

    if (i->op == RV_OP_reserved || (needs & ~t->model->ext) != 0)
        return false;
    if (is_fp((enum rv_kind)long_row->kind) && rv_build_fs(t) == 0)
        return false;
    return long_row->kind != RV_KIND_FP_RM || rounding_ok(t, i->rm);
}

/* ---- The loop ------------------------------------------------------------------------ */

/* Floating-point state is on but not yet dirty. The first instruction that may change
 * it makes it so, and is then executed under the new mode key: code for that key need
 * not ask again. */
static void become_dirty(struct rv_build *t)
{
    rv_count_before(t);
    rv_call(t, RV_HELP_fs_dirty, 0, IR_NONE, IR_NONE);
    rv_leave_jump(t, rv_pc(t, t->off));
}

static void build_insn(struct rv_build *t, const struct rv_insn *i)
{
    enum rv_kind kind = (enum rv_kind)rv_rows[i->op].kind;

    mark(t, i->len);
    if (!is_legal(t, i)) {
        rv_leave_illegal(t, i);
        return;
    }
    if ((kind == RV_KIND_FP || kind == RV_KIND_FP_RM) && rv_build_fs(t) != 3) {
        become_dirty(t);
        return;
    }
    rv_pair_see(t, i);
    builders[i->op](t, i);
    if (i->op != RV_OP_auipc)
        t->auipc_rd = 0;
    if (!t->counted)
        t->n_uncounted++;
}

/* Ends the block between two instructions. */
static void leave_before(struct rv_build *t)
{
    rv_count_before(t);
    rv_leave_goto(t, t->off);
}

/* The parcel that is missing is the tval: made from the page's address like all others,
 * because code may be mapped twice. When it is in the page behind, whose mapping
 * decides, the block reaches into that page as if it had been there. */
static void leave_fetch_fault(struct rv_build *t, const struct fetched *f)
{
    mark(t, f->len_bytes);
    rv_leave_trap(t, f->cause, rv_pc(t, t->next - 2));
}

static bool is_full(const struct rv_build *t, const struct guest_fetch *fetch, unsigned max_insns)
{
    return (t->off >= fetch->end && t->b->n_guest > 0) || t->b->n_guest == max_insns ||
           t->b->n > IR_MAX_INSNS - MAX_IR_OF_INSN;
}

static void build_all(struct rv_build *t, const struct guest_fetch *fetch, unsigned max_insns)
{
    while (!t->done) {
        struct fetched f;
        struct rv_insn i;

        if (is_full(t, fetch, max_insns)) {
            leave_before(t);
            return;
        }
        f = fetch_insn(fetch, t->off);
        if (!f.ok) {
            if (t->b->n_guest > 0)
                leave_before(t);
            else
                leave_fetch_fault(t, &f);
            return;
        }
        /* What straddles is alone in its block: its bytes are those of two mappings. */
        if (t->off + f.len_bytes > PAGE_SIZE && t->b->n_guest > 0) {
            leave_before(t);
            return;
        }
        rv_decode(f.word, &i);
        if (t->b->n_guest > 0 && rv_begins_pair(t, &i)) {
            leave_before(t);
            return;
        }
        build_insn(t, &i);
        t->off = t->next;
    }
}

void rv_build_block(struct ir_block *b, const struct rv_cpu_model *model, uint64_t gpa,
                    uint32_t mode, const struct guest_fetch *fetch, unsigned max_insns)
{
    struct rv_build t = {.b = b, .model = model, .mode = mode};

    CHECK(max_insns >= 1 && max_insns <= IR_MAX_GUEST);
    b->gpa = gpa;
    b->start = (uint32_t)(gpa & (PAGE_SIZE - 1));
    b->len_bytes = 0;
    b->n_guest = 0;
    b->mode = mode;
    b->n = 0;
    b->straddle_bytes = 2;
    b->helpers = rv_helpers(&b->n_helpers);
    t.off = t.next = b->start;
    build_all(&t, fetch, max_insns);
}
