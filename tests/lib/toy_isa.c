#include "tests/lib/toy_isa.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/opt/opt.h"

static struct toy_hart *toy(const struct cpu_state *s)
{
    return (struct toy_hart *)(uintptr_t)s;
}

/* ---- Helpers: what an instruction does that the IR cannot say -------------------------- */

static void sync_state(struct cpu_state *s)
{
    struct toy_hart *t = toy(s);

    mmu_switch(s->mmu, t->root, 0, 0, 0, TOY_MODE_KEY);
    state_pend(s, PENDING_IRQ);
}

static uint64_t help_wait(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    state_pend(s, PENDING_WAIT);
    return 0;
}

static uint64_t help_pause(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    state_pend(s, PENDING_YIELD);
    return 0;
}

static uint64_t help_stop(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    atomic_store(&toy(s)->world->stop, true);
    state_pend(s, PENDING_EVENT);
    return 0;
}

static uint64_t help_fence(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)b, (void)c;
    mmu_fence(s->mmu, k != 0, a, true, 0);
    return 0;
}

static uint64_t help_space(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)b, (void)c;
    toy(s)->root = a;
    sync_state(s);
    return 0;
}

static uint64_t help_ret(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    struct toy_hart *t = toy(s);

    (void)a, (void)b, (void)c;
    t->masked = 0;
    state_pend(s, PENDING_IRQ);
    return t->epc + (uint64_t)(int64_t)(int32_t)k;
}

static uint64_t help_odd(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    return toy(s)->world->odd++;
}

enum {
    HELP_wait = IR_HELPER_COUNT,
    HELP_stop,
    HELP_fence,
    HELP_space,
    HELP_ret,
    HELP_odd,
    HELP_pause
};

static const struct ir_helper helper_rows[] = {
#define IR_HELPER(name, fn, n) {#name, fn, n},
#include "dbt/ir/ir_helper.def"
#undef IR_HELPER
    {"toy_wait", help_wait, 0},   {"toy_stop", help_stop, 0}, {"toy_fence", help_fence, 1},
    {"toy_space", help_space, 1}, {"toy_ret", help_ret, 0},   {"toy_odd", help_odd, 0},
    {"toy_pause", help_pause, 0},
};

static const struct ir_helper *helpers(unsigned *n)
{
    *n = sizeof helper_rows / sizeof helper_rows[0];
    return helper_rows;
}

/* ---- The front end ---------------------------------------------------------------------- */

struct fields {
    unsigned op, rd, rs;
    int64_t imm;
};

static struct fields decode(uint32_t w)
{
    return (struct fields){.op = w & 255,
                           .rd = (unsigned)bits_get(w, 8, 5),
                           .rs = (unsigned)bits_get(w, 13, 5),
                           .imm = sign_extend(w >> 18, 14)};
}

uint32_t toy_word(enum toy_op op, unsigned rd, unsigned rs, int imm)
{
    CHECK(imm >= -8192 && imm < 8192);
    return (uint32_t)op | rd << 8 | rs << 13 | (uint32_t)imm << 18;
}

static ir_ref get(struct ir_block *b, unsigned reg)
{
    return ir_emit(b, IR_get, 0, IR_NONE, IR_NONE, IR_NONE, reg);
}

static void set(struct ir_block *b, unsigned reg, ir_ref v)
{
    ir_emit(b, IR_set, 0, v, IR_NONE, IR_NONE, reg);
}

static ir_ref call(struct ir_block *b, unsigned id, int32_t k, ir_ref a)
{
    return ir_emit(b, IR_call, 0, a, IR_NONE, IR_NONE, IR_CALL(id, k));
}

static void go_to(struct ir_block *b, int64_t off)
{
    ir_emit(b, IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, (uint64_t)off);
}

/* By address, since what off means may have changed. */
static void jump_behind(struct ir_block *b, int64_t off)
{
    ir_ref pc = ir_emit(b, IR_pc, 0, IR_NONE, IR_NONE, IR_NONE, (uint64_t)off);

    ir_emit(b, IR_exit_jump, 0, pc, IR_NONE, IR_NONE, 0);
}

static void trap_now(struct ir_block *b, uint64_t cause, ir_ref tval)
{
    ir_emit(b, IR_exit_trap, 0, tval, IR_NONE, IR_NONE, cause);
}

static void build_mem(struct ir_block *b, const struct fields *f)
{
    ir_ref at = get(b, f->rs);

    if (f->op == TOY_LD)
        set(b, f->rd, ir_emit(b, IR_ld, IR_64, at, IR_NONE, IR_NONE, (uint64_t)f->imm));
    else
        ir_emit(b, IR_st, f->op == TOY_ST ? IR_64 : IR_U32, at, get(b, f->rd), IR_NONE,
                (uint64_t)f->imm);
}

/* True when the block ends here. */
static bool build_insn(struct ir_block *b, uint32_t word, int64_t off)
{
    const struct fields f = decode(word);

    switch (f.op) {
    case TOY_ADDI:
        set(b, f.rd, ir_op2(b, IR_add, get(b, f.rs), ir_const(b, (uint64_t)f.imm)));
        return false;
    case TOY_ADDH:
        set(b, f.rd, ir_op2(b, IR_add, get(b, f.rs), ir_const(b, (uint64_t)f.imm << 12)));
        return false;
    case TOY_LD:
    case TOY_ST:
    case TOY_STW: build_mem(b, &f); return false;
    case TOY_BNE: {
        ir_ref x = get(b, f.rd), y = get(b, f.rs);

        ir_emit(b, IR_exit_if, IR_NE, x, y, IR_NONE, (uint64_t)(off + f.imm * 2));
        go_to(b, off + 4);
        return true;
    }
    case TOY_JMP: go_to(b, off + f.imm * 2); return true;
    case TOY_JR:
        ir_emit(b, IR_exit_jump, 0, ir_op2(b, IR_add, get(b, f.rs), ir_const(b, (uint64_t)f.imm)),
                IR_NONE, IR_NONE, 0);
        return true;
    case TOY_TRAP: trap_now(b, (uint64_t)f.imm, get(b, f.rs)); return true;
    case TOY_WAIT:
    case TOY_STOP:
        call(b, f.op == TOY_WAIT ? HELP_wait : HELP_stop, 0, IR_NONE);
        go_to(b, off + 4);
        return true;
    case TOY_FENCE:
        call(b, HELP_fence, (int32_t)f.imm, get(b, f.rs));
        jump_behind(b, off + 4);
        return true;
    case TOY_SPACE:
        call(b, HELP_space, 0, get(b, f.rs));
        jump_behind(b, off + 4);
        return true;
    case TOY_RET:
        ir_emit(b, IR_exit_jump, 0, call(b, HELP_ret, (int32_t)f.imm, IR_NONE), IR_NONE, IR_NONE,
                0);
        return true;
    case TOY_PAUSE:
        call(b, HELP_pause, 0, IR_NONE);
        ir_emit(b, IR_exit_pending, 0, IR_NONE, IR_NONE, IR_NONE, (uint64_t)off + 4);
        return false;
    case TOY_ODD: set(b, f.rd, call(b, HELP_odd, 0, IR_NONE)); return false;
    }
    trap_now(b, TOY_CAUSE_ILLEGAL, ir_const(b, word));
    return true;
}

/* The run loop counts traps. A load that faults counts twice here. */
static bool always_traps(uint32_t word)
{
    unsigned op = decode(word).op;

    return op == TOY_TRAP || op == TOY_ILLEGAL || op > TOY_ODD;
}

static void build(struct ir_block *b, const struct cpu_state *s, uint64_t gpa, uint32_t mode,
                  const struct guest_fetch *fetch, unsigned max_insns)
{
    uint32_t off = (uint32_t)(gpa & (PAGE_SIZE - 1));
    bool ended = false;

    (void)s;
    CHECK((mode & ~(uint32_t)IR_MODE_WINDOW) == TOY_MODE_KEY);
    b->gpa = gpa;
    b->start = off;
    b->mode = mode;
    b->n = b->n_guest = 0;
    b->straddle_bytes = 2;
    while (!ended && b->n_guest < max_insns && (off < fetch->end || b->n_guest == 0)) {
        uint16_t lo = 0, hi = 0;
        uint64_t cause = 0, tval = 0;
        bool ok = fetch->parcel(fetch->arg, off, &lo, &cause, &tval) &&
                  fetch->parcel(fetch->arg, off + 2, &hi, &cause, &tval);

        if (!ok && b->n_guest > 0)
            break; /* it may never be reached */
        ir_emit(b, IR_insn, 4, IR_NONE, IR_NONE, IR_NONE, off);
        if (ok && b->virtual_time && !always_traps(lo | (uint32_t)hi << 16))
            ir_emit(b, IR_count, 0, IR_NONE, IR_NONE, IR_NONE, 1);
        if (ok)
            ended = build_insn(b, lo | (uint32_t)hi << 16, off);
        else
            trap_now(b, cause, ir_const(b, tval));
        ended |= !ok;
        b->n_guest++;
        off += 4;
    }
    if (!ended)
        go_to(b, off);
    b->len_bytes = off - b->start;
}

static unsigned disasm(uint32_t word, uint64_t pc, char *text, size_t len)
{
    const struct fields f = decode(word);

    (void)pc;
    snprintf(text, len, "op %u r%u, r%u, %d", f.op, f.rd, f.rs, (int)f.imm);
    return 4;
}

/* ---- The system side ---------------------------------------------------------------------- */

static uint32_t mode_key(const struct cpu_state *s)
{
    (void)s;
    return TOY_MODE_KEY;
}

static void deliver(struct toy_hart *t, uint64_t cause, uint64_t tval)
{
    t->epc = t->s.pc;
    t->cause = cause;
    t->tval = tval;
    t->masked = 1;
    t->s.pc = t->vector;
}

static void trap(struct cpu_state *s, uint64_t cause, uint64_t tval)
{
    toy(s)->traps++;
    deliver(toy(s), cause, tval);
}

static bool interrupt(struct cpu_state *s)
{
    struct toy_hart *t = toy(s);

    /* Cleared before the line is looked at: a line that rises now sets it again. */
    atomic_fetch_and(&s->pending, ~(uint32_t)PENDING_IRQ);
    if (t->masked || !atomic_load(&t->world->line))
        return false;
    t->irqs++;
    deliver(t, TOY_CAUSE_IRQ, 0);
    return true;
}

static bool wakes(const struct cpu_state *s)
{
    return atomic_load(&toy(s)->world->line);
}

static void print_state(const struct cpu_state *s, FILE *out)
{
    fprintf(out, "pc %lx\n", (unsigned long)s->pc);
}

static const char *cause_name(uint64_t cause)
{
    (void)cause;
    return "toy";
}

static const struct guest_ops ops = {
    .name = "toy",
    .state_size = offsetof(struct toy_hart, world),
    .build = build,
    .disasm = disasm,
    .helpers = helpers,
    .mode_key = mode_key,
    .sync = sync_state,
    .trap = trap,
    .interrupt = interrupt,
    .wakes = wakes,
    .print_state = print_state,
    .cause_name = cause_name,
};

static bool walk(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map, struct mmu_fault *fault)
{
    uint64_t entry = gva | 1;
    uint64_t root = toy(s)->root;

    (void)rights;
    *fault = (struct mmu_fault){TOY_CAUSE_FETCH + access, gva};
    if (root && (gva >> PAGE_BITS >= TOY_TABLE_PAGES ||
                 !mmu_phys_load64(s, root + (gva >> PAGE_BITS) * 8, &entry) || !(entry & 1)))
        return false;
    *map = (struct mmu_map){.gpa = align_down(entry, PAGE_SIZE) | (gva & (PAGE_SIZE - 1)),
                            .page_len = PAGE_SIZE,
                            .read = true,
                            .write = true};
    return true;
}

static bool allowed(struct cpu_state *s, uint64_t gpa, unsigned len, enum mmu_access access,
                    uint64_t rights, bool *whole_page)
{
    (void)s, (void)gpa, (void)len, (void)access, (void)rights;
    *whole_page = true;
    return true;
}

static uint64_t access_fault(enum mmu_access access)
{
    return TOY_CAUSE_ACCESS + (uint64_t)access;
}

static const struct mmu_guest mmu_ops = {
    .walk = walk, .allowed = allowed, .access_fault = access_fault, .misaligned = access_fault};

/* ---- The machine ----------------------------------------------------------------------------- */

static uint64_t dev_read(void *device, uint64_t offset, unsigned size)
{
    struct toy_world *w = device;

    (void)offset, (void)size;
    w->dev_reads++;
    return w->dev_value++; /* reading it twice shows */
}

static void dev_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct toy_world *w = device;

    (void)size;
    w->dev_writes++;
    if (offset == TOY_DEV_LINE) {
        atomic_store(&w->line, value != 0);
        hart_kick(w->hart, PENDING_IRQ);
        return;
    }
    w->dev_value = value;
}

static const struct phys_mmio dev_ops = {dev_read, dev_write, 1, 8};

static bool poll_world(void *arg)
{
    struct toy_world *w = arg;
    unsigned n = atomic_fetch_add(&w->n_polls, 1) + 1;

    return !atomic_load(&w->stop) && !(w->max_polls && n >= w->max_polls);
}

static void rest_world(void *arg)
{
    struct toy_world *w = arg;

    if (w->rest)
        w->rest(w->hart, w->rest_arg);
}

static void wait_world(void *arg)
{
    struct toy_world *w = arg;

    atomic_fetch_add(&w->n_waits, 1);
    hart_sleep(w->hart, w->wait_ns);
}

static uint64_t no_time(struct cpu_state *s)
{
    (void)s;
    return 0;
}

static struct toy_hart *make_hart(struct toy_world *w, const struct toy_config *config)
{
    struct toy_hart *t = calloc(1, sizeof *t);
    struct err e;
    const struct hart_config hc = {
        .guest = &ops,
        .time = no_time,
        .mmu_guest = &mmu_ops,
        .events = {.poll = poll_world, .wait = wait_world, .rest = rest_world, .arg = w},
        .evaluate_first = config->evaluate_first,
        .no_links = config->no_links,
    };

    CHECK(t);
    t->world = w;
    w->wait_ns = UINT64_MAX;
    w->hart = hart_create(&t->s, w->tcache, &hc, &e);
    if (!w->hart)
        fprintf(stderr, "%s\n", e.text);
    CHECK(w->hart);
    sync_state(&t->s);
    return t;
}

struct toy_hart *toy_create(const struct toy_config *config)
{
    struct toy_world *w = calloc(1, sizeof *w);
    struct err e;
    const struct tcache_config tc = {
        .engine = config->engine,
        .translate = {.passes = OPT_ALL & ~config->no_passes,
                      .strict_lrsc = config->strict_lrsc,
                      .max_insns = config->max_insns ? config->max_insns : IR_MAX_GUEST,
                      .virtual_time = config->turns},
        .cache_bytes = config->cache_bytes ? config->cache_bytes : 4 << 20,
        .cache_segments = config->cache_segments ? config->cache_segments : 8,
        .stress_seed = config->stress_seed,
        .n_harts = config->n_harts,
        .n_procs = config->n_procs,
        .turns = config->turns,
        .max_insns = config->limit,
    };

    CHECK(w);
    CHECK(phys_init(&w->phys, TOY_RAM, TOY_RAM_LEN, &e));
    phys_add_mmio(&w->phys, TOY_DEV, TOY_DEV_LEN, "toy", &dev_ops, w);
    w->tcache = tcache_create(&w->phys, &tc, &e);
    if (!w->tcache)
        fprintf(stderr, "%s\n", e.text);
    CHECK(w->tcache);
    return make_hart(w, config);
}

struct toy_hart *toy_add_hart(struct toy_hart *first, const struct toy_config *config)
{
    struct toy_world *w = calloc(1, sizeof *w);

    CHECK(w);
    w->shares = true;
    w->phys = first->world->phys;
    w->tcache = first->world->tcache;
    return make_hart(w, config);
}

void toy_destroy(struct toy_hart *t)
{
    hart_destroy(t->world->hart);
    if (!t->world->shares) {
        tcache_destroy(t->world->tcache);
        phys_fini(&t->world->phys);
    }
    free(t->world);
    free(t);
}

void toy_run(struct toy_hart *t, uint64_t pc)
{
    t->s.pc = pc;
    hart_run(t->world->hart);
    /* For the next run. Not before it: another thread may have asked for its end already. */
    atomic_store(&t->world->stop, false);
}

static void *run_thread(void *arg)
{
    struct toy_run *r = arg;

    r->t->s.pc = r->pc;
    hart_run(r->t->world->hart);
    return NULL;
}

void toy_start(struct toy_run *r, struct toy_hart *t, uint64_t pc)
{
    *r = (struct toy_run){.t = t, .pc = pc};
    atomic_store(&t->world->stop, false);
    CHECK(pthread_create(&r->thread, NULL, run_thread, r) == 0);
}

void toy_wait_for(struct toy_run *r)
{
    CHECK(pthread_join(r->thread, NULL) == 0);
}

void toy_stop(struct toy_hart *t)
{
    atomic_store(&t->world->stop, true);
    hart_kick(t->world->hart, PENDING_EVENT);
}

uint64_t toy_put(struct toy_hart *t, uint64_t gpa, uint32_t word)
{
    memcpy(phys_ptr(&t->world->phys, gpa), &word, sizeof word);
    hart_wrote(t->world->hart, gpa, sizeof word);
    return gpa + sizeof word;
}

uint64_t toy_read(const struct toy_hart *t, uint64_t gpa)
{
    uint64_t v;

    memcpy(&v, phys_ptr(&t->world->phys, gpa), sizeof v);
    return v;
}

void toy_write(struct toy_hart *t, uint64_t gpa, uint64_t value)
{
    memcpy(phys_ptr(&t->world->phys, gpa), &value, sizeof value);
    hart_wrote(t->world->hart, gpa, sizeof value);
}

void toy_map(struct toy_hart *t, uint64_t root, uint64_t va, uint64_t gpa)
{
    toy_write(t, root + (va >> PAGE_BITS) * 8, gpa ? gpa | 1 : 0);
}
