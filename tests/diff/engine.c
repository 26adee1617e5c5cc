#include "tests/diff/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"
#include "dbt/opt/opt.h"
#include "frontend/riscv/rv.h"
#include "frontend/riscv/sys/sys.h"

struct diff_engine {
    struct rv_hart cpu; /* first: the hart's state */
    struct phys phys;
    struct guest_ops guest;
    struct hart *hart;
    enum rv_priv priv;
    bool trapped;
};

static void deliver(struct cpu_state *s, uint64_t cause, uint64_t tval)
{
    struct diff_engine *e = (struct diff_engine *)(void *)s;

    rv_trap(&e->cpu, cause, tval);
    e->trapped = true;
    hart_kick(e->hart, PENDING_EVENT);
}

static bool poll_events(void *arg)
{
    struct diff_engine *e = arg;

    return !e->trapped;
}

static void wait_event(void *arg)
{
    (void)arg;
    CHECK(false && "no program waits");
}

static uint64_t no_time(void *arg)
{
    (void)arg;
    return 0;
}

static uint64_t ir_no_time(struct cpu_state *s)
{
    (void)s;
    return 0;
}

static void no_timer(void *arg, uint64_t deadline)
{
    (void)arg, (void)deadline;
}

static const struct rv_sbi_host no_sbi = {.n_harts = 1};

static void must(bool ok, const struct err *e)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", e->text);
    exit(2);
}

struct diff_engine *diff_engine_create(enum engine kind, const char *model, enum rv_priv priv,
                                       uint64_t ram_gpa, uint64_t ram_bytes)
{
    struct diff_engine *e = calloc(1, sizeof *e);
    struct err why;

    CHECK(e);
    e->priv = priv;
    must(phys_init(&e->phys, ram_gpa, ram_bytes, &why), &why);
    must(rv_model_parse(&e->cpu.model, model, &why), &why);
    e->cpu.now_ticks = no_time;
    e->cpu.set_timer = no_timer;
    e->cpu.sbi = &no_sbi;
    e->guest = rv_guest_ops;
    e->guest.trap = deliver;
    const struct hart_config config = {
        .guest = &e->guest,
        .time = ir_no_time,
        .mmu_guest = &rv_mmu_guest,
        .events = {.poll = poll_events, .wait = wait_event, .arg = e},
        .engine = kind,
        .translate = {.passes = OPT_ALL, .max_insns = IR_MAX_GUEST},
        .cache_bytes = 8 << 20,
        .cache_segments = 8,
    };

    e->hart = hart_create(&e->cpu.s, &e->phys, &config, &why);
    must(e->hart != NULL, &why);
    rv_hart_reset(&e->cpu, ram_gpa);
    /* U may use all of memory: one NAPOT entry that spans it. */
    e->cpu.pmpaddr[0] = UINT64_MAX >> 10;
    e->cpu.pmpcfg[0] = 0x1f;
    mmu_flush_all(e->cpu.s.mmu);
    return e;
}

void diff_engine_destroy(struct diff_engine *e)
{
    hart_destroy(e->hart);
    phys_fini(&e->phys);
    free(e);
}

uint8_t *diff_engine_ram(struct diff_engine *e)
{
    return e->phys.ram;
}

void diff_engine_run(struct diff_engine *e, struct diff_state *s, uint64_t pc, uint64_t wrote,
                     uint64_t len)
{
    struct rv_hart *h = &e->cpu;

    hart_wrote(e->hart, e->phys.ram_gpa + wrote, len);
    mmu_clear_reservation(h->s.mmu);
    memcpy(h->s.reg, s->x, sizeof(s->x));
    memcpy(h->s.reg + STATE_FP, s->f, sizeof(s->f));
    h->mscratch = s->mscratch;
    h->sscratch = s->sscratch;
    h->mstatus |= RV_STATUS_FS;
    h->priv = e->priv;
    rv_fcsr_set(h, s->fcsr >> 5, s->fcsr & 31);
    rv_sync(h);
    h->s.pc = pc;
    e->trapped = false;
    hart_run(e->hart);
    memcpy(s->x, h->s.reg, sizeof(s->x));
    memcpy(s->f, h->s.reg + STATE_FP, sizeof(s->f));
    s->fcsr = rv_fcsr(h);
    s->cause = h->mcause;
    s->epc = h->mepc;
    s->tval = h->mtval;
    s->mscratch = h->mscratch;
    s->sscratch = h->sscratch;
}
