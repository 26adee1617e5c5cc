/* --engine=check: every block runs twice and must do the same twice.
 *
 *   save state -> evaluator, logging RAM writes and device accesses -> note what it did
 *   -> undo -> host code, device reads answered from the log -> compare
 *
 * So devices see each access once, and the host code's effects are those that stay.
 * What must not differ between the two runs is held still: time is virtual, and what
 * other threads want of the hart waits for the block's end (hart_kick). */
#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"
#include "dbt/base/tsan.h"
#include "runtime/hart_int.h"

enum { MAX_WRITES = 4096, MAX_MMIO = 256 };

struct ram_write {
    uint64_t gpa;
    unsigned size;
    uint8_t before[64], after[64];
};

struct mmio {
    const struct phys_region *region;
    uint64_t offset, value;
    unsigned size;
    bool write;
    uint64_t time_add, icount_deadline; /* behind it */
};

/* The parts of a guest's struct that a block can change: the head of struct cpu_state
 * up to what belongs to the host, and the guest's own registers behind it. */
struct image {
    struct mmu_reservation reservation;
    size_t tail_len;
    uint8_t *tail;
    uint8_t head[offsetof(struct cpu_state, scratch)];
};

struct check {
    struct hart *h;
    struct mmu_watch watch;
    struct image before, wanted;
    enum exit_reason reason;
    uint32_t pending;
    bool replay;
    unsigned n_writes, n_mmio, mmio_at;
    struct block *unfit; /* dropped behind the run; or NULL */
    const char *trouble; /* the runs differ in how they reach devices or memory */
    struct ram_write write[MAX_WRITES];
    struct mmio mmio[MAX_MMIO];
};

/* ---- Guest RAM ------------------------------------------------------------------------------ */

/* Devices' threads may be at it: the guest's own races. Words stay whole, as the soft MMU's do. */
NOT_SANITIZED static void copy_ram(uint8_t *to, const uint8_t *from, unsigned size)
{
    unsigned k = 0;

    for (; k + 8 <= size; k += 8)
        *(volatile any_u64 *)(to + k) = *(const volatile any_u64 *)(from + k);
    for (; k + 4 <= size; k += 4)
        *(volatile any_u32 *)(to + k) = *(const volatile any_u32 *)(from + k);
    for (; k + 2 <= size; k += 2)
        *(volatile any_u16 *)(to + k) = *(const volatile any_u16 *)(from + k);
    for (; k < size; k++)
        ((volatile uint8_t *)to)[k] = ((const volatile uint8_t *)from)[k];
}

/* ---- What the soft MMU tells us ----------------------------------------------------------- */

static void on_ram_write(void *arg, uint64_t gpa, unsigned size)
{
    struct check *c = arg;

    if (c->replay)
        return;
    CHECK(c->n_writes < MAX_WRITES && size <= 64);
    struct ram_write *w = &c->write[c->n_writes++];

    w->gpa = gpa;
    w->size = size;
    copy_ram(w->before, phys_ptr(c->h->tc->phys, gpa), size);
}

static struct mmio *next_mmio(struct check *c, const struct phys_region *r, uint64_t offset,
                              unsigned size, bool write)
{
    struct mmio *m = &c->mmio[c->mmio_at];

    if (!c->replay) {
        CHECK(c->n_mmio < MAX_MMIO);
        m = &c->mmio[c->n_mmio++];
        *m = (struct mmio){.region = r, .offset = offset, .size = size, .write = write};
        return m;
    }
    if (c->mmio_at >= c->n_mmio || m->region != r || m->offset != offset || m->size != size ||
        m->write != write) {
        c->trouble = "the host code makes another device access";
        return NULL;
    }
    c->mmio_at++;
    return m;
}

/* Not the block's doing: a device may have set the clock, or asked to be called at another time. It
 * is not accessed again. */
static void behind_mmio(struct check *c, struct mmio *m)
{
    struct cpu_state *s = c->h->s;

    if (!m)
        return;
    if (c->replay) {
        s->time_add = m->time_add;
        s->icount_deadline = m->icount_deadline;
    } else {
        m->time_add = s->time_add;
        m->icount_deadline = s->icount_deadline;
    }
}

static uint64_t on_mmio_read(void *arg, const struct phys_region *r, uint64_t offset, unsigned size)
{
    struct check *c = arg;
    struct mmio *m = next_mmio(c, r, offset, size, false);

    if (!c->replay)
        m->value = r->ops->read(r->device, offset, size);
    behind_mmio(c, m);
    return m ? m->value : 0;
}

static void on_mmio_write(void *arg, const struct phys_region *r, uint64_t offset, unsigned size,
                          uint64_t value)
{
    struct check *c = arg;
    struct mmio *m = next_mmio(c, r, offset, size, true);

    if (!c->replay) {
        m->value = value;
        r->ops->write(r->device, offset, size, value);
    } else if (m && m->value != value) {
        c->trouble = "the host code writes another value to a device";
    }
    behind_mmio(c, m);
}

/* While the evaluator runs nothing is dropped: would the store drop a block? */
static bool on_code_write(void *arg, uint64_t gpa, unsigned size)
{
    struct check *c = arg;

    tcache_lock(c->h->tc);
    bool would = block_would_drop(c->h->tc->blocks, gpa, size);

    tcache_unlock(c->h->tc);
    return would;
}

/* ---- States ---------------------------------------------------------------------------------- */

static void save(struct check *c, struct image *im)
{
    struct cpu_state *s = c->h->s;

    memcpy(im->head, s, sizeof im->head);
    memcpy(im->tail, (uint8_t *)s + sizeof *s, im->tail_len);
    im->reservation = mmu_get_reservation(c->h->mmu);
}

static void restore(struct check *c, const struct image *im)
{
    struct cpu_state *s = c->h->s;
    /* What the soft MMU set stays its own: sync below brings it back to this state. */
    uint64_t salt0 = s->salt[0], salt1 = s->salt[1];

    memcpy(s, im->head, sizeof im->head);
    memcpy((uint8_t *)s + sizeof *s, im->tail, im->tail_len);
    s->salt[0] = salt0;
    s->salt[1] = salt1;
    mmu_set_reservation(c->h->mmu, &im->reservation);
    uint64_t page_va = s->page_va;

    c->h->config.guest->sync(s);
    state_set_page(s, page_va);
    atomic_store(&s->pending, c->pending);
}

struct check *check_create(struct hart *h)
{
    struct check *c = calloc(1, sizeof *c);

    CHECK(c && "memory for check mode");
    c->h = h;
    c->watch = (struct mmu_watch){.ram_write = on_ram_write,
                                  .mmio_read = on_mmio_read,
                                  .mmio_write = on_mmio_write,
                                  .code_write = on_code_write,
                                  .arg = c};
    c->before.tail_len = c->wanted.tail_len =
        h->config.guest->state_size - sizeof(struct cpu_state);
    c->before.tail = malloc(c->before.tail_len);
    c->wanted.tail = malloc(c->wanted.tail_len);
    CHECK(c->before.tail && c->wanted.tail && "memory for check mode");
    return c;
}

void check_destroy(struct check *c)
{
    free(c->before.tail);
    free(c->wanted.tail);
    free(c);
}

/* ---- The two runs ------------------------------------------------------------------------------
 */

/* Either engine, until the block is left, also through state_leave(). */
static enum exit_reason run_one(struct check *c, struct block *b, bool host_code)
{
    struct hart *h = c->h;
    struct cpu_state *s = h->s;
    volatile enum exit_reason reason;
    int jumped = _setjmp(s->unwind);

    if (jumped)
        reason = (enum exit_reason)(jumped - 1);
    else if (host_code)
        reason = h->tc->stubs.enter(s, b->code);
    else
        reason = ir_eval(b->ir, s, &h->env);
    if (host_code && reason == EXIT_LINK)
        s->pc = s->page_va + (uint64_t)(int64_t)b->exit[s->exit_index].at.target;
    return reason;
}

static void evaluate(struct check *c, struct block *b)
{
    c->replay = false;
    c->n_writes = c->n_mmio = c->mmio_at = 0;
    c->trouble = NULL;
    c->watch.code_write = on_code_write;
    mmu_set_watch(c->h->mmu, &c->watch);
    c->reason = run_one(c, b, false);
    save(c, &c->wanted);
    for (unsigned k = 0; k < c->n_writes; k++) {
        struct ram_write *w = &c->write[k];

        copy_ram(w->after, phys_ptr(c->h->tc->phys, w->gpa), w->size);
    }
}

static void undo(struct check *c, uint64_t walks_before)
{
    for (unsigned k = c->n_writes; k-- > 0;) {
        const struct ram_write *w = &c->write[k];

        copy_ram(phys_ptr(c->h->tc->phys, w->gpa), w->before, w->size);
    }
    /* A walk may have set A or D in a page table that is now as before: what it let into
     * the tables must be found again. */
    if (c->n_writes && mmu_stats(c->h->mmu)->walks != walks_before)
        mmu_forget_known(c->h->mmu);
    restore(c, &c->before);
}

/* ---- Comparison
 * ---------------------------------------------------------------------------------- */

static bool head_differs(const struct check *c, const struct cpu_state *want,
                         const struct cpu_state *got)
{
    enum { FLAGS = 0xffbd }; /* not the denormal flag, which RISC-V has not */

    if (memcmp(want->reg, got->reg, sizeof want->reg) != 0 || want->pc != got->pc ||
        want->fp_rm != got->fp_rm || (want->mxcsr & FLAGS) != (got->mxcsr & FLAGS) ||
        want->icount != got->icount)
        return true;
    if (c->reason == EXIT_TRAP)
        return want->exit_cause != got->exit_cause || want->exit_tval != got->exit_tval;
    return c->reason == EXIT_LINK && want->exit_index != got->exit_index;
}

static const struct ram_write *ram_differs(const struct check *c)
{
    for (unsigned k = 0; k < c->n_writes; k++) {
        const struct ram_write *w = &c->write[k];
        uint8_t now[sizeof w->after];

        copy_ram(now, phys_ptr(c->h->tc->phys, w->gpa), w->size);
        if (memcmp(now, w->after, w->size) != 0)
            return w;
    }
    return NULL;
}

static void print_regs(FILE *out, const struct cpu_state *want, const struct cpu_state *got)
{
    for (unsigned k = 0; k < STATE_N_REGS; k++)
        if (want->reg[k] != got->reg[k])
            fprintf(out, "* %c%-2u  interp %016" PRIx64 "  jit %016" PRIx64 "\n",
                    k < STATE_FP ? 'x' : 'f', k % STATE_FP, want->reg[k], got->reg[k]);
    fprintf(out, "  pc   interp %016" PRIx64 "  jit %016" PRIx64 "\n", want->pc, got->pc);
    fprintf(out, "  mxcsr interp %08x jit %08x, icount %" PRIu64 " %" PRIu64 "\n", want->mxcsr,
            got->mxcsr, want->icount, got->icount);
    fprintf(out, "  trap interp %" PRIx64 " %" PRIx64 " jit %" PRIx64 " %" PRIx64 "\n",
            want->exit_cause, want->exit_tval, got->exit_cause, got->exit_tval);
}

static _Noreturn void report(struct check *c, struct block *b, enum exit_reason got,
                             const struct cpu_state *want, const char *what)
{
    static const char *const reason[] = {"link", "lookup", "pending", "trap"};
    FILE *out = log_state.out ? log_state.out : stderr;
    const struct cpu_state *first = (const struct cpu_state *)(const void *)c->before.head;

    fprintf(out, "check: the engines differ at pc %016" PRIx64 " (physical %" PRIx64 "): %s\n",
            first->page_va + (b->gpa & (PAGE_SIZE - 1)), b->gpa, what);
    fprintf(out, "  left by  interp %s  jit %s\n", reason[c->reason], reason[got]);
    print_regs(out, want, c->h->s);
    fprintf(out, "before:\n");
    for (unsigned k = 0; k < STATE_N_REGS; k++)
        fprintf(out, "%c%-2u %016" PRIx64 "%s", k < STATE_FP ? 'x' : 'f', k % STATE_FP,
                first->reg[k], k % 4 == 3 ? "\n" : "  ");
    ir_print(b->ir, out);
    x64_disasm(out, b->code, 0, b->size_bytes, NULL);
    x64_disasm(out, b->code, (size_t)(b->cold - b->code), b->cold_bytes, NULL);
    fflush(out);
    fprintf(stderr, "dbt-run: --engine=check found a difference at physical %" PRIx64 "\n", b->gpa);
    exit(EXIT_BUG);
}

void check_drop_later(struct check *c, struct block *b)
{
    c->unfit = b;
}

enum exit_reason check_run(struct check *c, struct block *b)
{
    struct hart *h = c->h;
    struct cpu_state *s = h->s;
    jmp_buf outer;
    uint64_t walks = mmu_stats(h->mmu)->walks;
    /* jump cache and the rest of the state stay where they are: a copy of the head will do. */
    static _Thread_local struct cpu_state want;

    memcpy(outer, s->unwind, sizeof outer);
    c->pending = atomic_load(&s->pending);
    save(c, &c->before);
    evaluate(c, b);
    undo(c, walks);

    c->replay = true;
    c->watch.code_write = NULL;
    enum exit_reason got = run_one(c, b, true);

    mmu_set_watch(h->mmu, NULL);
    memcpy(s->unwind, outer, sizeof outer);
    memcpy(&want, c->wanted.head, sizeof c->wanted.head);
    if (c->trouble)
        report(c, b, got, &want, c->trouble);
    if (got != c->reason)
        report(c, b, got, &want, "they left in different ways");
    if (head_differs(c, &want, s))
        report(c, b, got, &want, "registers");
    if (memcmp(c->wanted.tail, (uint8_t *)s + sizeof *s, c->wanted.tail_len) != 0)
        report(c, b, got, &want, "the guest's system registers");
    if (c->mmio_at != c->n_mmio)
        report(c, b, got, &want, "the host code makes fewer device accesses");
    if (ram_differs(c))
        report(c, b, got, &want, "memory");
    if (c->unfit)
        hart_drop_block(h, c->unfit);
    c->unfit = NULL;
    return got;
}
