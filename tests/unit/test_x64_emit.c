/* The back end against the evaluator: random blocks run both ways, with translation tables
 * that hit, miss, belong to another page, or hit a page that is write-protected; with exits
 * that are linked, stale or not linked, and a jump cache that holds the target or does not. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cmocka.h>

#include "backend-x86_64/x64.h"
#include "dbt/opt/opt.h"
#include "runtime/mmu_layout.h"
#include "softmmu/mmu.h"
#include "tests/lib/ir_clobber.h"
#include "tests/lib/ir_random.h"
#include "tests/lib/x64_one.h"

enum {
    CASES = 20000,
    CODE_BYTES = 1 << 20,
    STUB_BYTES = 4096,
    LANDING_AT = STUB_BYTES,
    BLOCK_AT = STUB_BYTES + 1024,
    COLD_AT = CODE_BYTES / 2, /* of those that are emitted in two parts */
    MXCSR_DENORMAL = 2,       /* RISC-V has no such flag */
    N_LINK_KINDS = 3,
    APART_BYTES = 2 * IR_WORLD_MEM,
};
#define APART(page) ((page)*IR_WORLD_APART)

/* What the emitted code was seen to do. */
struct seen {
    unsigned op[IR_OP_COUNT];
    unsigned taken[2][6]; /* exit_if: leaves the page, condition */
    unsigned exit[4];     /* enum exit_reason */
    unsigned linked, unlinked, cell_hit, cell_stale, cell_empty;
    unsigned jump_hit, jump_miss, jump_alias, jump_by_page, relinked;
    unsigned plain;  /* blocks that were left at their start */
    unsigned faults; /* stores that the signal handler sent to their slow path */
    unsigned entry_pending;
    unsigned filled[2], worn; /* cells */
};

struct rig {
    uint8_t *rw;
    const uint8_t *rx;
    struct x64_stubs stubs;
    struct x64_emitter *emitter;
    struct mmu_view *view;
    struct jump_entry phys_jump[1 << PHYS_JUMP_BITS];
    uint8_t *open, *closed; /* got.mem's pages once more, not writable in `closed` */
    const struct x64_unit *unit;
};

static struct rig rig;
static struct seen seen;
static struct ir_block block;
static struct ir_world start, expected, got;

static const struct x64_mmu_layout layout = {
    MMU_LAYOUT,
};

/* ---- The rig -------------------------------------------------------------------------- */

/* As runtime/host_signal.c: a store into a protected page goes on at its slow path. */
static void on_segv(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    const uint8_t *pc = (const uint8_t *)uc->uc_mcontext.gregs[REG_RIP], *code = rig.rx + BLOCK_AT;
    const uint8_t *at = info->si_addr;

    for (unsigned k = 0; rig.unit && k < rig.unit->n_sites; k++) {
        if (code + rig.unit->site[k].fault != pc || at < rig.closed ||
            at >= rig.closed + APART_BYTES)
            continue;
        uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(code + rig.unit->site[k].slow);
        seen.faults++;
        return;
    }
    signal(number, SIG_DFL);
}

static uint64_t clock_time(struct cpu_state *s)
{
    uint64_t passed = s->icount - s->tsc_base;

    return (uint64_t)((unsigned __int128)passed * s->tsc_mult >> 64) + s->time_add;
}

static const struct ir_insn landing_ir[] = {
    {IR_insn, 4, IR_NONE, IR_NONE, IR_NONE, 0},
    {IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 0},
};

static void *map_code(int fd, int prot)
{
    void *p = mmap(NULL, CODE_BYTES, prot, MAP_SHARED, fd, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

/* got.mem's pages once more, in the order of their numbers, each with a hole behind it: what goes
 * past a page's end without asking for the next one is noticed. */
static uint8_t *map_apart(int fd, int prot)
{
    uint8_t *to = mmap(NULL, APART_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true((void *)to != MAP_FAILED);
    for (unsigned page = 0; page < IR_WORLD_MEM / PAGE_SIZE; page++) {
        uint8_t *at = to + APART(page);

        assert_ptr_equal(
            mmap(at, PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)page * PAGE_SIZE), at);
    }
    return to;
}

static void map_world(void)
{
    int fd = memfd_create("test_x64_emit-world", 0);

    assert_int_equal(ftruncate(fd, IR_WORLD_MEM), 0);
    assert_ptr_equal(
        mmap(got.mem, IR_WORLD_MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
        got.mem);
    got.apart = rig.open = map_apart(fd, PROT_READ | PROT_WRITE);
    rig.closed = map_apart(fd, PROT_READ);
    close(fd);
}

static unsigned n_xmm;

static int set_up(void **state)
{
    int fd = memfd_create("test_x64_emit", 0);
    struct err e;

    (void)state;
    assert_true(x64_host_ok(&e));
    assert_int_equal(ftruncate(fd, CODE_BYTES), 0);
    rig.rw = map_code(fd, PROT_READ | PROT_WRITE);
    rig.rx = map_code(fd, PROT_READ | PROT_EXEC);
    close(fd);
    x64_make_stubs(&rig.stubs, rig.rw, rig.rx, STUB_BYTES, &layout, n_xmm);
    rig.emitter = x64_emitter_create(&layout, n_xmm);
    rig.view = calloc(1, sizeof *rig.view);
    assert_non_null(rig.view);
    for (unsigned k = 0; k < TLB_SIZE; k++)
        rig.view->load[k].tag = rig.view->store[k].tag = TLB_EMPTY;
    map_world();
    state_empty_jumps(&got.s);

    block.n = sizeof landing_ir / sizeof landing_ir[0];
    memcpy(block.insn, landing_ir, sizeof landing_ir);
    assert_non_null(emit_in_one(rig.emitter, &block, rig.rw + LANDING_AT, BLOCK_AT - LANDING_AT));

    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, rig.view), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
    x64_emitter_destroy(rig.emitter);
    free(rig.view);
    munmap(rig.rw, CODE_BYTES);
    munmap((void *)rig.rx, CODE_BYTES);
    munmap(rig.open, APART_BYTES);
    munmap(rig.closed, APART_BYTES);
    return 0;
}

/* Fills the table entry of one page, for loads or stores. True: an access may be served by it. */
static bool random_entry(struct ir_random *r, struct tlb_entry *table, unsigned page, bool store)
{
    uint64_t va = IR_WORLD_VA + page * PAGE_SIZE;
    struct tlb_entry *t = &table[(va >> PAGE_BITS) & (TLB_SIZE - 1)];

    *t = (struct tlb_entry){TLB_EMPTY, 0};
    if (page == 3 || (store && page == 2))
        return false; /* these must always be told to C */
    switch (ir_random_below(r, store ? 5 : 4)) {
    case 0: return false;
    case 1: /* of another page, at an address where nothing is */
        *t = (struct tlb_entry){va ^ (UINT64_C(1) << (PAGE_BITS + TLB_BITS)), 64};
        return false;
    case 4:
        *t = (struct tlb_entry){va, (uint64_t)(uintptr_t)rig.closed + APART(page) - va};
        return block.share_lookups; /* stores take the slow path all the same */
    default:
        *t = (struct tlb_entry){va, (uint64_t)(uintptr_t)rig.open + APART(page) - va};
        return true;
    }
}

static bool wrong(const char *what)
{
    fprintf(stderr, "  %s\n", what);
    return false;
}

/* Empty cells, or such as are copies of entries that have gone meanwhile. True: they are empty. */
static bool random_cells(struct ir_random *r)
{
    bool empty = ir_random_below(r, 2) == 0;
    struct mmu_view *v = rig.view;

    v->cell_chunks = 0;
    memset(v->chunks_of, 0, sizeof v->chunks_of);
    for (unsigned n = 0; n < 2 * N_CELLS; n++) {
        bool store = n >= N_CELLS;
        unsigned page = ir_random_below(r, store ? 2 : 3);
        uint64_t va = IR_WORLD_VA + page * PAGE_SIZE;
        const uint8_t *to = store && ir_random_below(r, 4) == 0 ? rig.closed : rig.open;

        v->cell[n] = (struct tlb_entry){va, (uint64_t)(uintptr_t)to + APART(page) - va};
        if (empty || ir_random_below(r, 4) == 0)
            v->cell[n].tag = TLB_EMPTY;
    }
    return empty;
}

/* What host code has filled is a copy of an entry of its own table, and noted. */
static bool cells_are_copies(void)
{
    const struct mmu_view *v = rig.view;
    uint32_t noted = 0;

    for (unsigned i = 0; i < TLB_SIZE; i++)
        noted |= v->chunks_of[i];
    for (unsigned n = 0; n < 2 * N_CELLS; n++) {
        const struct tlb_entry *c = &v->cell[n], *table = n < N_CELLS ? v->load : v->store;
        unsigned i = c->tag >> PAGE_BITS & (TLB_SIZE - 1);
        uint32_t chunk = 1u << n / CELL_CHUNK;

        if (c->tag == TLB_EMPTY)
            continue;
        seen.filled[n >= N_CELLS]++;
        if (table[i].tag != c->tag || table[i].addend != c->addend)
            return wrong("a cell is no copy");
        if (!(v->chunks_of[i] & chunk) || !(v->cell_chunks & chunk))
            return wrong("a cell was filled and not noted");
    }
    return noted == v->cell_chunks || wrong("chunks are not noted alike");
}

/* True when every access takes the slow path, so that the traces must agree. */
static bool random_view(struct ir_random *r)
{
    bool slow = true;

    for (unsigned page = 0; page < IR_WORLD_MEM / PAGE_SIZE; page++) {
        slow &= !random_entry(r, rig.view->load, page, false);
        slow &= !random_entry(r, rig.view->store, page, true);
    }
    return slow;
}

/* ---- Running ---------------------------------------------------------------------------- */

static enum exit_reason run_eval(void)
{
    const struct ir_env env = {ir_world_env.load, ir_world_env.store, clock_time};
    int left = setjmp(expected.s.unwind);

    if (left)
        return (enum exit_reason)(left - 1);
    return ir_eval(&block, &expected.s, &env);
}

static enum exit_reason run_host(void)
{
    int left = setjmp(got.s.unwind);

    if (left)
        return (enum exit_reason)(left - 1);
    return rig.stubs.enter(&got.s, rig.rx + BLOCK_AT);
}

static uint64_t tag_of(const struct cpu_state *s, uint64_t va)
{
    return va ^ s->salt[va >> 63];
}

/* Links exits at random; gives what was done to exit n: 0 nothing, 1 linked, 2 linked from
 * the page under another tag. */
static void link_exits(struct ir_random *r, uint8_t *done)
{
    uint8_t *code = rig.rw + BLOCK_AT;

    for (unsigned n = 0; n < rig.unit->n_exits; n++) {
        const struct x64_exit *e = &rig.unit->exit[n];
        struct page_cell *cell = (struct page_cell *)(void *)(code + e->cell);

        assert_int_equal(e->cell == 0,
                         e->target >= 0 && e->target < PAGE_SIZE - (int32_t)block.straddle_bytes);
        assert_int_equal(e->cell % 8, 0);
        done[n] = (uint8_t)ir_random_below(r, e->cell ? N_LINK_KINDS : N_LINK_KINDS - 1);
        if (done[n] == 0)
            continue;
        x64_patch(code + e->jump, rig.rx + BLOCK_AT + e->jump, rig.rx + LANDING_AT);
        if (!e->cell)
            continue;
        cell->page_tag = start.s.page_tag ^ (done[n] == 2 ? UINT64_C(1) << 41 : 0);
    }
}

/* Where the block goes is known, or its neighbour is. */
enum plant { BY_VA, BY_VA_OTHER, BY_PAGE, BY_PAGE_OTHER, BY_GPA_OTHER, BY_NOTHING, N_PLANTS };

/* The page of pc is planted at a key of any mode, and what is at pc in it. */
static void plant_page(struct ir_random *r, enum plant how, uint64_t pc)
{
    uint64_t page = pc & ~(uint64_t)(PAGE_SIZE - 1), tag = tag_of(&got.s, page);
    uint64_t key = ir_random_next(r) & ~(uint64_t)(PAGE_SIZE - 1), at = key | (pc ^ page);

    got.s.code_page[code_page_index(pc)] =
        (struct code_page){how == BY_PAGE_OTHER ? tag ^ UINT64_C(1) << 40 : tag, key};
    rig.phys_jump[phys_jump_index(at)] = (struct jump_entry){
        how == BY_GPA_OTHER ? at ^ UINT64_C(1) << JUMP_MODE_BIT : at, rig.rx + LANDING_AT};
}

/* True: it must be seen that it is known. */
static bool plant_jump(struct ir_random *r, enum plant how, uint64_t pc)
{
    uint64_t tag = tag_of(&got.s, pc);

    if (how == BY_VA || how == BY_VA_OTHER)
        got.s.jump[jump_index(pc)] =
            (struct jump_entry){how == BY_VA ? tag : tag ^ UINT64_C(1) << 20, rig.rx + LANDING_AT};
    else if (how != BY_NOTHING)
        plant_page(r, how, pc);
    return jump_is_tagged(pc) && (how == BY_VA || how == BY_PAGE);
}

/* What was found by its page is known by its address from then on; what was not found is not. */
static bool is_noted(enum plant how, uint64_t pc, bool found)
{
    const struct jump_entry *e = &got.s.jump[jump_index(pc)];

    if (how == BY_VA || how == BY_VA_OTHER)
        return true;
    seen.jump_by_page += found;
    if (found ? e->tag != tag_of(&got.s, pc) || e->code != rig.rx + LANDING_AT
              : e->tag != JUMP_EMPTY)
        return wrong("the jump cache does not have what was found by its page");
    return true;
}

/* Must the block arrive in another one, for the way in which it is known to leave? */
static bool must_arrive(enum exit_reason reason, const uint8_t *done, bool in_cache)
{
    const struct x64_exit *e;

    if (reason == EXIT_LOOKUP) {
        *(in_cache ? &seen.jump_hit : &seen.jump_miss) += 1;
        seen.jump_alias += !jump_is_tagged(expected.s.pc);
        return in_cache;
    }
    if (reason != EXIT_LINK)
        return false;
    assert_true(expected.s.exit_index < rig.unit->n_exits);
    e = &rig.unit->exit[expected.s.exit_index];
    if (!e->cell) {
        *(done[expected.s.exit_index] ? &seen.linked : &seen.unlinked) += 1;
        return done[expected.s.exit_index] == 1;
    }
    switch (done[expected.s.exit_index]) {
    case 1: seen.cell_hit++; return true;
    case 2: seen.cell_stale++; return in_cache && start.s.until_relink > 0;
    default: seen.cell_empty++; return false; /* it is linked first */
    }
}

/* Where the host code came out is what the evaluator says. Makes the two comparable. */
static bool same_way_out(enum exit_reason want, enum exit_reason *reason, bool arrives)
{
    const uint8_t *code = rig.rx + BLOCK_AT;
    const void *landing = rig.rx + LANDING_AT;
    uint64_t page = expected.s.pc & ~(uint64_t)(PAGE_SIZE - 1);
    struct cpu_state *s = &got.s;

    if (arrives) {
        /* The landing looks for what is pending, as every block does. */
        if (*reason != (s->pending ? EXIT_PENDING : EXIT_LINK) ||
            (*reason == EXIT_LINK && s->exit_block != landing))
            return wrong("did not arrive at the block that it is linked to");
        if (s->page_va != page || s->page_tag != tag_of(s, page))
            return wrong("page_va or page_tag is not the target's");
        s->pc = expected.s.pc;
        *reason = want;
        return true;
    }
    if (s->page_va != start.s.page_va || s->page_tag != start.s.page_tag)
        return wrong("page_va or page_tag changed");
    if (*reason != EXIT_LINK)
        return true;
    if (s->exit_block != code + rig.unit->cold_at)
        return wrong("exit_block is not the block");
    if (want == EXIT_LINK && s->exit_index != expected.s.exit_index)
        return wrong("another exit");
    if (s->exit_index >= rig.unit->n_exits)
        return wrong("no such exit");
    s->pc = s->page_va + (uint64_t)(int64_t)rig.unit->exit[s->exit_index].target;
    return true;
}

/* ---- Coverage ------------------------------------------------------------------------------- */

static bool reached_end(enum exit_reason reason, unsigned n_ifs)
{
    switch (block.insn[block.n - 1].op) {
    case IR_exit_goto: return reason == EXIT_LINK && expected.s.exit_index == n_ifs;
    case IR_exit_jump: return reason == EXIT_LOOKUP;
    default: return false;
    }
}

static void note_exit_if(unsigned index)
{
    for (unsigned n = 0, k = 0; n < block.n; n++) {
        const struct ir_insn *i = &block.insn[n];

        if (i->op != IR_exit_if || k++ != index)
            continue;
        seen.taken[(int64_t)i->imm < 0 || i->imm >= PAGE_SIZE][i->aux]++;
        seen.op[IR_exit_if]++;
    }
}

/* Counts the operations that host code has carried out: of a block that ran to its end,
 * those that have an effect or a result that was used. */
static void note_coverage(enum exit_reason reason)
{
    static bool used[IR_MAX_INSNS];
    unsigned n_ifs = 0;

    seen.exit[reason]++;
    seen.op[IR_exit_trap] += reason == EXIT_TRAP && block.insn[block.n - 1].op == IR_exit_trap &&
                             expected.s.exit_cause == block.insn[block.n - 1].imm;
    memset(used, 0, block.n * sizeof used[0]);
    for (unsigned n = 0; n < block.n; n++) {
        const ir_ref in[3] = {block.insn[n].a, block.insn[n].b, block.insn[n].c};

        n_ifs += block.insn[n].op == IR_exit_if;
        for (unsigned k = 0; k < 3; k++)
            if (!ir_is_none(in[k]))
                used[in[k].n] = true;
    }
    if (reason == EXIT_LINK)
        note_exit_if(expected.s.exit_index);
    if (!reached_end(reason, n_ifs))
        return;
    for (unsigned n = 0; n < block.n; n++) {
        const struct ir_op_info *op = &ir_ops[block.insn[n].op];

        if (used[n] || op->result == 'N' || (op->flags & (FAULT | EFFECT | FPFLAGS)))
            seen.op[block.insn[n].op]++;
    }
}

/* ---- A block with more values alive than there are registers ----------------------------------
 */

static ir_ref put(enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, ir_ref z, uint64_t imm)
{
    block.insn[block.n] = (struct ir_insn){(uint8_t)op, aux, x, y, z, imm};
    return (ir_ref){(uint16_t)block.n++};
}

static ir_ref put2(enum ir_op op, ir_ref x, ir_ref y)
{
    return put(op, 0, x, y, IR_NONE, 0);
}

static void begin_insn(void)
{
    put(IR_insn, 4, IR_NONE, IR_NONE, IR_NONE, block.start + 4 * block.n_guest++);
}

enum { MAX_LIVE = 48 };
struct pool {
    struct ir_random *r;
    ir_ref i[MAX_LIVE], f[MAX_LIVE];
    unsigned n_i, n_f;
    ir_ref near; /* the last address, when n_near accesses have used it */
    unsigned n_near;
};

static ir_ref any_int(const struct pool *p)
{
    return p->i[ir_random_below(p->r, p->n_i)];
}

static ir_ref any_fp(const struct pool *p)
{
    return p->f[ir_random_below(p->r, p->n_f)];
}

static ir_ref random_address(struct pool *p)
{
    ir_ref mask = put(IR_const, 0, IR_NONE, IR_NONE, IR_NONE, 0xff8);
    uint64_t page = ir_random_below(p->r, 12) ? ir_random_below(p->r, 2) : 2;
    ir_ref base = put(IR_const, 0, IR_NONE, IR_NONE, IR_NONE, IR_WORLD_VA + page * PAGE_SIZE);

    return put2(IR_add, put2(IR_and, any_int(p), mask), base);
}

static void add_int(struct pool *p, ir_ref v)
{
    p->i[p->n_i++] = v;
}

static void add_fp(struct pool *p, ir_ref v)
{
    p->f[p->n_f++] = v;
}

static ir_ref random_call(struct pool *p)
{
    unsigned id = IR_HELPER_COUNT + ir_random_below(p->r, ir_world_n_helpers - IR_HELPER_COUNT);
    ir_ref in[3] = {IR_NONE, IR_NONE, IR_NONE};

    for (unsigned k = 0; k < ir_world_helpers[id].n_args; k++)
        in[k] = any_int(p);
    return put(IR_call, 0, in[0], in[1], in[2], IR_CALL(id, ir_random_next(p->r) & 0x3ff));
}

static ir_ref random_atomic(struct pool *p, ir_ref at)
{
    uint8_t what = (uint8_t)(1 + ir_random_below(p->r, IR_FAST_COUNT - 1));
    uint8_t fast = IR_FAST(what, ir_random_below(p->r, 2) ? 8 : 4);
    unsigned id = ir_world_fast(what);
    ir_ref value = ir_world_helpers[id].n_args < 2 ? IR_NONE : any_int(p);

    /* A shift of 64 bits by 32, which clang-tidy takes for one of 32. */
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    return put(IR_call, fast, at, value, IR_NONE, IR_CALL(id, fast));
}

static void random_access(struct pool *p)
{
    uint8_t size = (uint8_t)ir_random_below(p->r, 4), width = IR_U32 + (size & 1);
    uint64_t imm = 0;

    if (p->n_near > 0 && ir_random_below(p->r, 4) > 0)
        imm = 8 * ir_random_below(p->r, 4);
    else
        p->near = random_address(p);
    p->n_near++;
    switch (ir_random_below(p->r, 6)) {
    case 4: add_int(p, random_atomic(p, p->near)); break;
    case 5: random_atomic(p, p->near); break;
    case 0:
        add_int(p, put(IR_ld, (uint8_t)ir_random_below(p->r, IR_S32 + 1), p->near, IR_NONE, IR_NONE,
                       imm));
        break;
    case 1: add_fp(p, put(IR_ldf, width, p->near, IR_NONE, IR_NONE, imm)); break;
    case 2: put(IR_st, size, p->near, any_int(p), IR_NONE, imm); break;
    default: put(IR_stf, width, p->near, any_fp(p), IR_NONE, imm);
    }
}

static void random_fp(struct pool *p)
{
    uint8_t aux = IR_FP(64, ir_random_below(p->r, 2) ? IR_RM_DYN : IR_RM_RMM);
    ir_ref a = any_fp(p), b = any_fp(p);

    switch (ir_random_below(p->r, 3)) {
    case 0: add_fp(p, put(IR_ffma, aux, a, b, any_fp(p), 0)); break;
    case 1: add_int(p, put(IR_f2s64, aux, a, IR_NONE, IR_NONE, 0)); break;
    default: add_int(p, put(IR_f2u32, aux, a, IR_NONE, IR_NONE, 0));
    }
}

/* Both halves of a product, in either order, of which one may be unused. */
static void random_product(struct pool *p, ir_ref a, ir_ref b)
{
    const enum ir_op high = ir_random_below(p->r, 2) ? IR_mulhu : IR_mulhs;
    const bool low_first = ir_random_below(p->r, 2);

    for (unsigned k = 0; k < 2; k++) {
        ir_ref half = put2((k == 0) == low_first ? IR_mul : high, a, b);

        if (ir_random_below(p->r, 4))
            add_int(p, half);
    }
}

/* What disturbs: fixed registers, calls, slow paths, guest registers overwritten. */
static void disturb(struct pool *p)
{
    static const uint8_t wide[] = {IR_mulhu, IR_mulhs, IR_mulhsu, IR_divu,  IR_divs, IR_remu,
                                   IR_rems,  IR_rotr,  IR_rotr32, IR_shr32, IR_sub};
    struct ir_random *r = p->r;
    ir_ref a = any_int(p), b = any_int(p);

    begin_insn();
    switch (ir_random_below(r, 9)) {
    case 0:
    case 1: add_int(p, put2((enum ir_op)wide[ir_random_below(r, 11)], a, b)); break;
    case 2: add_int(p, random_call(p)); break;
    case 3: random_access(p); break;
    case 4: random_fp(p); break;
    case 5: add_int(p, put(IR_time, 0, IR_NONE, IR_NONE, IR_NONE, 0)); break;
    case 6: add_int(p, put(IR_select, 0, a, b, any_int(p), 0)); break;
    case 7: random_product(p, a, b); break;
    default: add_int(p, put(IR_orcb, 0, a, IR_NONE, IR_NONE, 0)); break;
    }
    if (ir_random_below(r, 4) == 0)
        put(IR_count, 0, IR_NONE, IR_NONE, IR_NONE, ir_random_below(r, 4));
    for (unsigned k = ir_random_below(r, 4); k > 0; k--)
        put(IR_set, 0, any_int(p), IR_NONE, IR_NONE, ir_random_below(r, 32));
    if (ir_random_below(r, 2))
        put(IR_setf, 0, any_fp(p), IR_NONE, IR_NONE, ir_random_below(r, 32));
}

/* Makes many values, disturbs, then uses each. The header is the random block's. */
static void crowded_block(struct ir_random *r)
{
    struct pool p = {.r = r};
    unsigned n_i = 4 + ir_random_below(r, 26), n_f = 2 + ir_random_below(r, 18);

    r->n_guest = 1;
    ir_random_block(r, &block);
    block.n = block.n_guest = 0;
    block.gpa &= ~UINT64_C(0x800); /* all of it within the page */
    block.start &= 0x7ff;
    begin_insn();
    while (p.n_i < n_i) {
        ir_ref v = put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, ir_random_below(r, 32));

        if (p.n_i > 0 && ir_random_below(r, 2))
            v = put2(ir_random_below(r, 2) ? IR_add : IR_xor, v, any_int(&p));
        p.i[p.n_i++] = v;
    }
    while (p.n_f < n_f) {
        ir_ref v = put(IR_getf, 0, IR_NONE, IR_NONE, IR_NONE, ir_random_below(r, 32));

        if (p.n_f > 0 && ir_random_below(r, 2))
            v = put(IR_fadd, IR_FP(64, IR_RM_DYN), v, any_fp(&p), IR_NONE, 0);
        p.f[p.n_f++] = v;
    }
    for (unsigned n = 1 + ir_random_below(r, 8); n > 0; n--)
        disturb(&p);
    begin_insn();
    ir_ref sum = p.i[0];

    for (unsigned k = 1; k < p.n_i; k++)
        sum = put2(k & 1 ? IR_xor : IR_sub, sum, p.i[k]);
    for (unsigned k = 0; k < p.n_f; k++)
        sum = put2(IR_add, sum, put(IR_f2i, 0, p.f[k], IR_NONE, IR_NONE, 0));
    put(IR_set, 0, sum, IR_NONE, IR_NONE, 5 + ir_random_below(r, 8));
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 2 * ir_random_below(r, 4000));
    block.len_bytes = 4 * block.n_guest;
}

/* ---- One case
 * ------------------------------------------------------------------------------------ */

static void random_block(struct ir_random *r)
{
    if (ir_random_below(r, 4) == 0) {
        crowded_block(r);
    } else {
        ir_random_block(r, &block);
        struct ir_insn *last = &block.insn[block.n - 1];

        if (last->op == IR_exit_goto && ir_random_below(r, 2))
            last->imm &= PAGE_SIZE - 2;
    }
    block.share_lookups = block.cells = false;
    block.virtual_time = ir_random_below(r, 2) != 0;
    block.upper_half = ir_random_below(r, 2) != 0;
    block.one_hart = ir_random_below(r, 2) != 0;
    block.straddle_bytes = ir_random_below(r, 4) ? 0 : (uint32_t)ir_random_below(r, PAGE_SIZE);
}

static void random_state(struct ir_random *r)
{
    struct cpu_state *s = &start.s;

    ir_world_init(&start, r);
    s->tsc_base = ir_random_next(r);
    s->time_add = ir_random_next(r);
    /* The host's clock counts nothing here; it has a test of its own. */
    s->tsc_mult = block.virtual_time ? ir_random_next(r) : 0;
    s->mxcsr |= ir_random_below(r, 64) & ~(uint32_t)MXCSR_DENORMAL;
    s->pending = ir_random_below(r, 24) == 0 ? 1u << ir_random_below(r, 5) : 0;
    if (ir_random_below(r, 4))
        for (unsigned k = 0; k < 32; k++)
            s->reg[STATE_FP + k] |= ir_random_below(r, 16) ? UINT64_C(0xffffffff00000000) : 0;
}

/* Is a register that the block uses as a single, as it is at the start, none? */
static bool is_no_single(void)
{
    for (unsigned i = 0; i < block.n; i++) {
        const struct ir_insn *in = &block.insn[i];

        if (in->op != IR_unbox32 || block.insn[in->a.n].op != IR_getf)
            continue;
        const uint64_t g = block.insn[in->a.n].imm;
        bool from_start = true;

        for (unsigned k = 0; k < in->a.n; k++)
            from_start &= block.insn[k].op != IR_call &&
                          (block.insn[k].op != IR_setf || block.insn[k].imm != g);
        if (from_start && start.s.reg[STATE_FP + g] >> 32 != UINT32_MAX)
            return true;
    }
    return false;
}

/* The block was left before it did anything, for the run loop. */
static bool same_at_its_start(enum exit_reason reason)
{
    seen.plain++;
    ir_world_copy(&expected, &start);
    expected.s.pc = start.s.page_va + block.start;
    expected.s.reservation = 0;
    got.s.reservation = 0;
    if (block.advice)
        return wrong("left at its start, which is wild");
    if (!is_no_single())
        return wrong("left at its start, and all registers were singles");
    return ir_world_same(&expected, EXIT_PENDING, &got, reason, stderr);
}

static bool starts_are_wild(void *arg, uint64_t gpa, uint32_t mode)
{
    (void)arg;
    (void)mode;
    return gpa & 1;
}

static void report(uint64_t seed, uint32_t passes)
{
    fprintf(stderr, "seed 0x%" PRIx64 ", passes 0x%x\n", seed, passes);
    ir_print(&block, stderr);
    if (rig.unit) {
        x64_disasm(stderr, rig.rw + BLOCK_AT, 0, rig.unit->size_bytes, rig.unit);
        x64_disasm(stderr, rig.rw + BLOCK_AT, rig.unit->cold_at, rig.unit->cold_bytes, NULL);
    }
}

/* Reserves a word, most often one of those that atomics ask for; the same one in both worlds. */
static void random_reservation(struct ir_random *r)
{
    unsigned size = ir_random_below(r, 2) ? 8 : 4;
    uint64_t at = 8 * ir_random_below(r, 4), value = 0;

    memcpy(&value, start.mem + at, size);
    expected.s.reservation = got.s.reservation = 0;
    if (ir_random_below(r, 3) == 0)
        return;
    expected.s.reservation = ir_world_word(&expected, at) | (size == 8 ? 1 : 2);
    got.s.reservation = ir_world_word(&got, at) | (size == 8 ? 1 : 2);
    expected.s.reserved_value = got.s.reserved_value = value;
}

static bool same_reservation(void)
{
    uint64_t want = expected.s.reservation, have = got.s.reservation;

    if (want == 0 || have == 0)
        return want == have || wrong("reservation");
    uint64_t offset = (want & ~UINT64_C(3)) - (uintptr_t)expected.mem;

    return (have == (ir_world_word(&got, offset) | (want & 3)) &&
            expected.s.reserved_value == got.s.reserved_value) ||
           wrong("reservation");
}

/* Is it the exit of a page that was linked under another tag? */
static bool is_stale(enum exit_reason want, const uint8_t *done)
{
    return want == EXIT_LINK && rig.unit->exit[expected.s.exit_index].cell &&
           done[expected.s.exit_index] == 2;
}

/* Each of those counts down to the one that is linked anew. */
static bool has_counted(enum exit_reason want, const uint8_t *done)
{
    const bool stale = is_stale(want, done);
    const bool relinked = stale && start.s.until_relink == 0;

    seen.relinked += relinked;
    return got.s.until_relink == (relinked ? 63 : start.s.until_relink - stale) ||
           wrong("until_relink");
}

/* From one random state. */
static bool same_from_a_state(struct ir_random *r)
{
    uint8_t done[X64_MAX_EXITS];
    bool empty_cells = random_cells(r), slow = random_view(r) && empty_cells, arrives;
    const enum plant how = (enum plant)ir_random_below(r, N_PLANTS);
    enum exit_reason want, reason;

    random_state(r);
    start.s.until_relink = ir_random_below(r, 4);
    ir_world_copy(&expected, &start);
    ir_world_copy(&got, &start);
    got.s.until_relink = start.s.until_relink;
    got.s.phys_jump = rig.phys_jump;
    x64_init_state(&got.s, &rig.stubs, &layout, ir_world_helpers, ir_world_n_helpers);
    ir_world_clobber(&got.s);
    got.s.plain = 0;
    if (ir_random_below(r, 4) == 0)
        memset(got.s.misses_left, 0, sizeof got.s.misses_left);
    random_reservation(r);
    link_exits(r, done);
    want = run_eval();
    arrives = must_arrive(want, done, plant_jump(r, how, expected.s.pc));
    seen.entry_pending += start.s.pending != 0;
    reason = run_host();
    const bool looked_up = want == EXIT_LOOKUP || is_stale(want, done);
    bool noted = is_noted(how, expected.s.pc, arrives && looked_up && got.s.plain != PLAIN_START);
    bool same;

    state_empty_jumps(&got.s);
    if (got.s.plain == PLAIN_START)
        return noted && same_at_its_start(reason);
    same = same_way_out(want, &reason, arrives) && noted && has_counted(want, done);

    expected.s.mxcsr &= ~(uint32_t)MXCSR_DENORMAL;
    got.s.mxcsr &= ~(uint32_t)MXCSR_DENORMAL;
    if (!slow)
        got.trace = expected.trace;
    same &= ir_world_same(&expected, want, &got, reason, stderr);
    same &= same_reservation();
    if (empty_cells)
        same &= cells_are_copies();
    seen.worn += got.s.worn_code != NULL;
    note_coverage(want);
    return same;
}

static bool same_as_evaluated(uint64_t seed)
{
    const struct x64_room apart = {rig.rw + BLOCK_AT, rig.rw + COLD_AT, COLD_AT - BLOCK_AT,
                                   CODE_BYTES - COLD_AT};
    static const struct ir_advice wild_starts = {.is_wild = starts_are_wild};
    static const uint32_t pass_sets[] = {0, OPT_ALL, OPT_ALL, OPT_fold, OPT_cse | OPT_dce};
    struct ir_random r = {.seed = seed, .parts = IR_RANDOM_ALL, .n_guest = 1 + seed % 40};
    uint32_t passes = pass_sets[ir_random_below(&r, 5)];
    struct err e;

    random_block(&r);
    if (!ir_verify(&block, &e))
        fail_msg("seed 0x%" PRIx64 ": %s", seed, e.text);
    opt_run(&block, passes, NULL, NULL);
    block.advice = seed % 3 == 0 ? &wild_starts : NULL;
    x64_emitter_stress(rig.emitter, ir_random_below(&r, 3) ? 0 : ir_random_next(&r) | 1);
    rig.unit = NULL;
    rig.unit = seed % 2 ? emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT)
                        : x64_emit(rig.emitter, &block, &apart);
    if (!rig.unit) {
        report(seed, passes);
        return wrong("is not emitted");
    }
    if (same_from_a_state(&r))
        return true;
    report(seed, passes);
    return false;
}

/* cmocka has a handler of its own while a test runs. */
static void catch_faults(void)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_segv;
    sa.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &sa, NULL);
}

static void random_blocks_do_what_they_mean(void **state)
{
    const char *text = getenv("DBT_FUZZ_CASES"), *from = getenv("DBT_FUZZ_SEED");
    uint64_t n = text ? strtoull(text, NULL, 0) : CASES, seed = from ? strtoull(from, NULL, 0) : 0;

    (void)state;
    catch_faults();
    for (; n > 0; n--, seed++)
        if (!same_as_evaluated(seed))
            fail_msg("DBT_FUZZ_CASES=1 DBT_FUZZ_SEED=%" PRIu64, seed);
}

/* Comes behind the random blocks: nothing of the back end went unseen. */
static void everything_was_seen(void **state)
{
    (void)state;
    if (getenv("DBT_FUZZ_CASES"))
        skip();
    for (unsigned op = 0; op < IR_OP_COUNT; op++)
        if (seen.op[op] == 0)
            fail_msg("%s was in no host code", ir_ops[op].name);
    for (unsigned far = 0; far < 2; far++)
        for (unsigned cond = 0; cond < 6; cond++)
            if (seen.taken[far][cond] == 0)
                fail_msg("condition %u, %s the page", cond, far ? "out of" : "within");
    for (unsigned k = 0; k < 4; k++)
        assert_true(seen.exit[k] > 0);
    assert_true(seen.linked && seen.unlinked && seen.cell_hit && seen.cell_stale);
    assert_true(seen.cell_empty && seen.jump_hit && seen.jump_miss && seen.jump_alias);
    assert_true(seen.jump_by_page && seen.relinked);
    assert_true(seen.faults && seen.entry_pending && seen.plain);
    assert_true(seen.filled[0] && seen.filled[1] && seen.worn);
}

/* ---- Calls and returns
 * ------------------------------------------------------------------------------- */

/* A block at BLOCK_AT calls, at LANDING_AT + 512, one that returns to r1 + offset. */
static struct x64_exit call_block(uint64_t offset)
{
    uint8_t *callee = rig.rw + LANDING_AT + 512;
    struct x64_exit back;

    block = (struct ir_block){.n = 0};
    begin_insn();
    ir_ref to = put2(IR_add, put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 1),
                     put(IR_const, 0, IR_NONE, IR_NONE, IR_NONE, offset));

    put(IR_exit_jump, IR_RETURN, to, IR_NONE, IR_NONE, 0);
    assert_non_null(emit_in_one(rig.emitter, &block, callee, 512));
    block = (struct ir_block){.n = 0};
    begin_insn();
    ir_ref link = put(IR_pc, 0, IR_NONE, IR_NONE, IR_NONE, 4);

    put(IR_set, 0, link, IR_NONE, IR_NONE, 1);
    put(IR_exit_goto, IR_CALLS, link, IR_NONE, IR_NONE, 0x40);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
    assert_int_equal(rig.unit->n_exits, 2);
    back = rig.unit->exit[1];
    x64_patch(rig.rw + BLOCK_AT + rig.unit->exit[0].jump,
              rig.rx + BLOCK_AT + rig.unit->exit[0].jump, rig.rx + LANDING_AT + 512);
    return back;
}

static void a_return_goes_where_the_call_expects_it(void **state)
{
    struct ir_random r = {.seed = 3};

    (void)state;
    ir_world_init(&got, &r);
    x64_init_state(&got.s, &rig.stubs, &layout, ir_world_helpers, ir_world_n_helpers);
    got.s.pending = 0;
    state_set_page(&got.s, 0x5000);
    assert_int_equal(call_block(0).target, 4);
    assert_int_equal(run_host(), EXIT_LINK);
    assert_ptr_equal(got.s.exit_block, rig.rx + BLOCK_AT);
    assert_int_equal(got.s.exit_index, 1);
    assert_int_equal(got.s.page_va, 0x5000);
    /* To anywhere else the cache is asked, and then the run loop. */
    call_block(2);
    assert_int_equal(run_host(), EXIT_LOOKUP);
    assert_int_equal(got.s.pc, 0x5006);
    /* Nobody has called. */
    block = (struct ir_block){.n = 0};
    begin_insn();
    put(IR_exit_jump, IR_RETURN, put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 1), IR_NONE, IR_NONE, 0);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
    got.s.reg[1] = 0x5008;
    assert_int_equal(run_host(), EXIT_LOOKUP);
    assert_int_equal(got.s.pc, 0x5008);
}

/* ---- Constants
 * ------------------------------------------------------------------------------- */

/* The block sets r6 to op of r5 and c, or of c and r5. */
static void emit_with_constant(enum ir_op op, uint64_t c, bool left)
{
    uint8_t aux = op == IR_addsh ? 3 : 0;

    block = (struct ir_block){.n = 0};
    begin_insn();
    ir_ref x = put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5);
    ir_ref y = put(IR_const, 0, IR_NONE, IR_NONE, IR_NONE, c);

    put(IR_set, 0, left ? put(op, aux, y, x, IR_NONE, 0) : put(op, aux, x, y, IR_NONE, 0), IR_NONE,
        IR_NONE, 6);
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 4);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
}

/* Every operation of two integers, one of them a constant of those that are special to somebody. */
static void constants_are_operands_like_others(void **state)
{
    static const uint64_t corners[] = {
        0,         1,          2,          31,         32,       63,
        64,        0x7f,       0x80,       INT32_MAX,  1u << 31, UINT32_MAX,
        INT64_MAX, 1ull << 63, UINT64_MAX, 1ull << 32, 0x5555,   (uint64_t)INT32_MIN,
    };
    enum { N = sizeof corners / sizeof corners[0] };
    struct ir_random r = {.seed = 9};

    (void)state;
    ir_world_init(&got, &r);
    x64_init_state(&got.s, &rig.stubs, &layout, ir_world_helpers, ir_world_n_helpers);
    x64_emitter_stress(rig.emitter, 0);
    for (unsigned n = 0; n < IR_OP_COUNT * N * 2; n++) {
        enum ir_op op = (enum ir_op)(n / N / 2);
        uint64_t c = corners[n / 2 % N];

        if (!(ir_ops[op].flags & PURE) || strcmp(ir_ops[op].operands, "II") != 0)
            continue;
        emit_with_constant(op, c, n % 2);
        for (unsigned k = 0; k < N; k++) {
            uint64_t a = n % 2 ? c : corners[k], b = n % 2 ? corners[k] : c;
            uint64_t want = ir_eval_pure(op, op == IR_addsh ? 3 : 0, a, b, 0, 0);

            got.s.reg[5] = corners[k];
            assert_int_equal(run_host(), EXIT_LINK);
            if (got.s.reg[6] != want)
                fail_msg("%s of %" PRIx64 " and %" PRIx64 ": %" PRIx64 ", not %" PRIx64,
                         ir_ops[op].name, a, b, got.s.reg[6], want);
        }
    }
}

/* ---- The host's clock
 * ----------------------------------------------------------------------------- */

static void host_time_is_the_processors(void **state)
{
    struct ir_random r = {.seed = 7};

    (void)state;
    ir_world_init(&got, &r);
    x64_init_state(&got.s, &rig.stubs, &layout, ir_world_helpers, ir_world_n_helpers);
    block = (struct ir_block){.n = 0};
    begin_insn();
    put(IR_set, 0, put(IR_time, 0, IR_NONE, IR_NONE, IR_NONE, 0), IR_NONE, IR_NONE, 5);
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 4);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
    got.s.tsc_base = __rdtsc();
    got.s.tsc_mult = UINT64_C(1) << 63;
    got.s.time_add = 1000;
    for (uint64_t last = 1000, n = 0; n < 100; n++) {
        assert_int_equal(run_host(), EXIT_LINK);
        assert_true(got.s.reg[5] >= last);
        assert_true(got.s.reg[5] <= (__rdtsc() - got.s.tsc_base) / 2 + 1000);
        last = got.s.reg[5];
    }
}

static void an_interrupt_is_pending_when_there_is_one(void **state)
{
    struct ir_random r = {.seed = 8};

    (void)state;
    ir_world_init(&got, &r);
    x64_init_state(&got.s, &rig.stubs, &layout, ir_world_helpers, ir_world_n_helpers);
    block = (struct ir_block){.n = 0};
    begin_insn();
    put(IR_irq, 0, put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5), IR_NONE, IR_NONE, 0);
    put(IR_exit_pending, 0, IR_NONE, IR_NONE, IR_NONE, 4);
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 8);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
    got.s.reg[5] = 0;
    assert_int_equal(run_host(), EXIT_LINK);
    assert_int_equal(got.s.pending, 0);
    got.s.reg[5] = UINT64_C(1) << 63;
    assert_int_equal(run_host(), EXIT_PENDING);
    assert_int_equal(got.s.pending, PENDING_IRQ);
}

/* Too small a buffer is said to be one, and nothing is written behind it. */
static void a_small_buffer_is_refused(void **state)
{
    struct ir_random r = {.seed = 11, .parts = IR_RANDOM_ALL, .n_guest = 12};
    uint8_t *rw = rig.rw + BLOCK_AT;
    uint32_t size;

    (void)state;
    ir_random_block(&r, &block);
    x64_emitter_stress(rig.emitter, 0);
    size = emit_in_one(rig.emitter, &block, rw, CODE_BYTES - BLOCK_AT)->size_bytes;
    for (uint32_t cap = 0; cap < size; cap++) {
        rw[cap] = 0xcc;
        assert_null(emit_in_one(rig.emitter, &block, rw, cap));
        assert_int_equal(rw[cap], 0xcc);
    }
    assert_non_null(emit_in_one(rig.emitter, &block, rw, size));
}

/* The same of two parts; what runs is the same in both places. */
static void each_part_needs_its_room(void **state)
{
    struct ir_random r = {.seed = 11, .parts = IR_RANDOM_ALL, .n_guest = 12};
    struct x64_room room = {rig.rw + BLOCK_AT, rig.rw + COLD_AT, COLD_AT - BLOCK_AT,
                            CODE_BYTES - COLD_AT};

    (void)state;
    ir_random_block(&r, &block);
    x64_emitter_stress(rig.emitter, 0);
    uint32_t all = emit_in_one(rig.emitter, &block, room.hot, room.hot_bytes)->size_bytes;
    const struct x64_unit *u = x64_emit(rig.emitter, &block, &room);
    const uint32_t hot = u->size_bytes, cold = u->cold_bytes;

    assert_int_equal(u->cold_at, COLD_AT - BLOCK_AT);
    assert_true(hot > 0 && cold > 0);
    assert_in_range(hot + cold, all - 16, all + 16); /* but for no-ops that align */
    room.hot_bytes = hot;
    for (room.cold_bytes = 0; room.cold_bytes < cold; room.cold_bytes++) {
        room.cold[room.cold_bytes] = 0xcc;
        assert_null(x64_emit(rig.emitter, &block, &room));
        assert_int_equal(room.cold[room.cold_bytes], 0xcc);
    }
    assert_non_null(x64_emit(rig.emitter, &block, &room));
    for (room.hot_bytes = 0; room.hot_bytes < hot; room.hot_bytes++) {
        room.hot[room.hot_bytes] = room.cold[0] = 0xcc;
        assert_null(x64_emit(rig.emitter, &block, &room));
        assert_int_equal(room.hot[room.hot_bytes], 0xcc);
        assert_int_equal(room.cold[0], 0xcc);
    }
}

/* ---- Values without end
 * ---------------------------------------------------------------------------- */

/* n values that are alive at once, over a call or two; `dead`: last used by operations whose own
 * results nobody wants, so that nothing is emitted for them. */
static void many_values(unsigned n, unsigned rounds, bool dead)
{
    ir_ref v[128], with = IR_NONE;

    assert_true(n <= 128);
    block.n = block.n_guest = 0;
    begin_insn();
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned k = 0; k < n; k++) {
            ir_ref old = put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 1 + k % 31);

            v[k] = put2(IR_xor, old, put(IR_const, 0, IR_NONE, IR_NONE, IR_NONE, k));
        }
        put(IR_call, 0, IR_NONE, IR_NONE, IR_NONE, IR_CALL(IR_HELPER_COUNT, 0));
        with = v[0];
        for (unsigned k = 1; k < n; k++)
            with = dead ? put2(IR_sub, v[k], v[0]) : put2(IR_sub, with, v[k]);
    }
    if (!dead)
        put(IR_set, 0, with, IR_NONE, IR_NONE, 5);
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 4);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
}

static void more_values_than_the_frame_holds_are_refused(void **state)
{
    (void)state;
    x64_emitter_stress(rig.emitter, 0);
    many_values(X64_FRAME / 8, 1, false);
    assert_non_null(rig.unit);
    many_values(X64_FRAME / 8 + 40, 1, false);
    assert_null(rig.unit);
}

static void values_of_dead_operations_give_their_slots_back(void **state)
{
    (void)state;
    many_values(X64_FRAME / 8, 8, true);
    assert_non_null(rig.unit);
}

/* ---- More than the back end's lists hold
 * ---------------------------------------------------------------- */

/* Is a block of n such instructions emitted? */
static bool emits(unsigned n, const struct ir_insn *i)
{
    block.n = block.n_guest = 0;
    begin_insn();
    put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5);
    while (n-- > 0)
        put((enum ir_op)i->op, i->aux, i->a, i->b, i->c, i->imm);
    put(IR_exit_trap, 0, (ir_ref){1}, IR_NONE, IR_NONE, 2);
    return emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT) != NULL;
}

/* The caller cuts such a block, as when the buffer is full. */
static void full_lists_refuse_the_block(void **state)
{
    const ir_ref x = {1};
    const struct ir_insn exit = {IR_exit_if, IR_EQ, x, x, IR_NONE, 8};
    const struct ir_insn store = {IR_st, IR_64, x, x, IR_NONE, 8};
    const struct ir_insn count = {IR_count, 0, IR_NONE, IR_NONE, IR_NONE, 1};
    const struct ir_insn zero = {IR_call, IR_FAST(IR_ZERO, 8), x, IR_NONE, IR_NONE, IR_CALL(0, 0)};

    (void)state;
    x64_emitter_stress(rig.emitter, 0);
    assert_true(emits(IR_MAX_GUEST, &zero)); /* or each such block would cost a segment */
    assert_true(emits(X64_MAX_EXITS, &exit));
    assert_false(emits(X64_MAX_EXITS + 1, &exit));
    assert_true(emits(X64_MAX_SITES, &store));
    assert_false(emits(X64_MAX_SITES + 1, &store));
    assert_true(emits(1000, &count));
    assert_false(emits(1100, &count));
}

/* ---- Look-ups that are shared ------------------------------------------------------------- */

/* Nothing is found from now on. */
static uint64_t empty_the_tables(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b,
                                 uint64_t c)
{
    (void)s, (void)k, (void)a, (void)b, (void)c;
    for (unsigned i = 0; i < TLB_SIZE; i++)
        rig.view->load[i].tag = rig.view->store[i].tag = TLB_EMPTY;
    return 0;
}

static unsigned n_slow_loads;

static uint64_t count_slow_load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    (void)s, (void)va, (void)aux;
    n_slow_loads++;
    return 0;
}

/* r6 = 0(r5); r7 = 8(r5); a call, perhaps; r8 = 16(r5). Gives how many took the slow path. */
static unsigned load_three(bool calls)
{
    static const struct ir_helper helpers[] = {
#define IR_HELPER(name, fn, n) {#name, fn, n},
#include "dbt/ir/ir_helper.def"
#undef IR_HELPER
        {"empty_the_tables", empty_the_tables, 0},
    };
    struct x64_mmu_layout slow = layout;
    struct ir_random r = {.seed = 1};

    block = (struct ir_block){.n = 0, .helpers = helpers, .n_helpers = IR_HELPER_COUNT + 1};
    begin_insn();
    ir_ref base = put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5);

    for (unsigned k = 0; k < 3; k++) {
        if (calls && k == 2)
            put(IR_call, 0, IR_NONE, IR_NONE, IR_NONE, IR_CALL(IR_HELPER_COUNT, 0));
        put(IR_set, 0, put(IR_ld, IR_64, base, IR_NONE, IR_NONE, 8 * k), IR_NONE, IR_NONE, 6 + k);
    }
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 4);
    opt_run(&block, OPT_share, NULL, NULL);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
    ir_world_init(&got, &r);
    slow.load = count_slow_load;
    x64_init_state(&got.s, &rig.stubs, &slow, helpers, IR_HELPER_COUNT + 1);
    got.s.pending = 0;
    got.s.reg[5] = IR_WORLD_VA + 16;
    empty_the_tables(&got.s, 0, 0, 0, 0);
    rig.view->load[IR_WORLD_VA >> PAGE_BITS & (TLB_SIZE - 1)] =
        (struct tlb_entry){IR_WORLD_VA, (uint64_t)(uintptr_t)rig.open - IR_WORLD_VA};
    n_slow_loads = 0;
    assert_int_equal(run_host(), EXIT_LINK);
    return n_slow_loads;
}

static void a_helper_may_change_the_mapping(void **state)
{
    (void)state;
    x64_emitter_stress(rig.emitter, 0);
    assert_int_equal(load_three(false), 0);
    assert_int_equal(load_three(true), 1);
}

/* ---- Cells ---------------------------------------------------------------------------------- */

static bool all_are_wild(void *arg, uint64_t gpa, uint32_t mode)
{
    (void)mode;
    *(uint64_t *)arg = gpa;
    return true;
}

/* r6 = 0(r5), the only entry of the tables being of IR_WORLD_VA's page. */
static void emit_one_load(const struct ir_advice *advice, bool cold)
{
    struct ir_random r = {.seed = 1};
    struct x64_mmu_layout slow = layout;

    x64_emitter_destroy(rig.emitter);
    rig.emitter = x64_emitter_create(&layout, n_xmm);
    block = (struct ir_block){
        .n = 0, .gpa = 0x1010, .start = 0x10, .cells = true, .cold = cold, .advice = advice};
    begin_insn();
    ir_ref base = put(IR_get, 0, IR_NONE, IR_NONE, IR_NONE, 5);

    put(IR_set, 0, put(IR_ld, IR_64, base, IR_NONE, IR_NONE, 0), IR_NONE, IR_NONE, 6);
    put(IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 4);
    rig.unit = emit_in_one(rig.emitter, &block, rig.rw + BLOCK_AT, CODE_BYTES - BLOCK_AT);
    assert_non_null(rig.unit);
    ir_world_init(&got, &r);
    slow.load = count_slow_load;
    x64_init_state(&got.s, &rig.stubs, &slow, NULL, 0);
    got.s.pending = 0;
    for (unsigned n = 0; n < 2 * N_CELLS; n++)
        rig.view->cell[n].tag = TLB_EMPTY;
    empty_the_tables(&got.s, 0, 0, 0, 0);
    rig.view->load[IR_WORLD_VA >> PAGE_BITS & (TLB_SIZE - 1)] =
        (struct tlb_entry){IR_WORLD_VA, (uint64_t)(uintptr_t)rig.open - IR_WORLD_VA};
    n_slow_loads = 0;
}

static unsigned slow_load_from(uint64_t va)
{
    got.s.reg[5] = va;
    n_slow_loads = 0;
    assert_int_equal(run_host(), EXIT_LINK);
    return n_slow_loads;
}

static void a_cell_answers_without_the_table(void **state)
{
    (void)state;
    emit_one_load(NULL, false);
    assert_int_equal(rig.unit->n_lookups, 0);
    assert_int_equal(slow_load_from(IR_WORLD_VA), 0); /* fills it */
    empty_the_tables(&got.s, 0, 0, 0, 0);
    assert_int_equal(slow_load_from(IR_WORLD_VA + 8), 0);
    assert_int_equal(slow_load_from(IR_WORLD_VA + 9), 1);         /* misaligned */
    assert_int_equal(slow_load_from(IR_WORLD_VA + PAGE_SIZE), 1); /* another page */
    assert_int_equal(slow_load_from(IR_WORLD_VA), 0);
}

static void a_worn_cell_is_told_to_c(void **state)
{
    const uint8_t *code = rig.rx + BLOCK_AT;
    unsigned n;

    (void)state;
    emit_one_load(NULL, false);
    for (n = 0; n < N_CELLS; n++)
        got.s.misses_left[n] = 1;
    assert_int_equal(slow_load_from(IR_WORLD_VA), 0);
    assert_null(got.s.worn_code);
    for (n = 0; n < N_CELLS && got.s.misses_left[n]; n++)
        continue;
    assert_in_range(n, 0, N_CELLS - 1);
    rig.view->cell[n].tag = TLB_EMPTY;
    assert_int_equal(slow_load_from(IR_WORLD_VA), 1);
    assert_int_equal(got.s.worn_cell, n);
    assert_in_range((uintptr_t)got.s.worn_code, (uintptr_t)code,
                    (uintptr_t)code + rig.unit->size_bytes);
    assert_int_equal(rig.view->cell[n].tag, TLB_EMPTY);
}

static void what_is_wild_has_no_cell(void **state)
{
    uint64_t asked = 0;
    const struct ir_advice advice = {.is_wild = all_are_wild, .arg = &asked};

    (void)state;
    emit_one_load(&advice, false);
    assert_int_equal(asked, 0x1010);
    assert_int_equal(rig.unit->n_lookups, 1);
    assert_int_equal(slow_load_from(IR_WORLD_VA), 0);
    empty_the_tables(&got.s, 0, 0, 0, 0);
    assert_int_equal(slow_load_from(IR_WORLD_VA), 1);
}

static void a_block_that_is_not_hot_counts(void **state)
{
    (void)state;
    emit_one_load(NULL, true);
    for (unsigned n = 1; n < STATE_HEAT; n++)
        assert_int_equal(slow_load_from(IR_WORLD_VA), 0);
    got.s.reg[6] = 77;
    assert_int_equal(run_host(), EXIT_PENDING); /* at its start, nothing done */
    assert_int_equal(got.s.pc, got.s.page_va + 0x10);
    assert_int_equal(got.s.is_hot, 1);
    assert_int_equal(got.s.reg[6], 77);
    got.s.is_hot = 0;
    assert_int_equal(slow_load_from(IR_WORLD_VA), 0); /* it counts anew */
    empty_the_tables(&got.s, 0, 0, 0, 0);
    assert_int_equal(slow_load_from(IR_WORLD_VA), 1);
}

/* ---- Printing ------------------------------------------------------------------------------- */

/* Bytes that are no instruction are printed, and it goes on behind them. */
static void disassembly_goes_on_behind_data(void **state)
{
    static const uint8_t code[] = {0x06, 0xc3};
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(out);
    x64_disasm(out, code, 0, sizeof code, NULL);
    fclose(out);
    assert_non_null(strstr(text, ".byte 0x06"));
    assert_non_null(strstr(text, "ret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_do_what_they_mean),
        cmocka_unit_test(everything_was_seen),
        cmocka_unit_test(a_return_goes_where_the_call_expects_it),
        cmocka_unit_test(constants_are_operands_like_others),
        cmocka_unit_test(host_time_is_the_processors),
        cmocka_unit_test(an_interrupt_is_pending_when_there_is_one),
        cmocka_unit_test(a_small_buffer_is_refused),
        cmocka_unit_test(each_part_needs_its_room),
        cmocka_unit_test(more_values_than_the_frame_holds_are_refused),
        cmocka_unit_test(values_of_dead_operations_give_their_slots_back),
        cmocka_unit_test(full_lists_refuse_the_block),
        cmocka_unit_test(a_helper_may_change_the_mapping),
        cmocka_unit_test(a_cell_answers_without_the_table),
        cmocka_unit_test(a_worn_cell_is_told_to_c),
        cmocka_unit_test(what_is_wild_has_no_cell),
        cmocka_unit_test(a_block_that_is_not_hot_counts),
        cmocka_unit_test(disassembly_goes_on_behind_data),
    };

    /* The host's registers, and those of one without AVX-512. */
    n_xmm = x64_n_xmm(0);
    int failed = cmocka_run_group_tests_name("all xmm", tests, set_up, tear_down);

    n_xmm = 16;
    return failed + cmocka_run_group_tests_name("16 xmm", tests, set_up, tear_down);
}
