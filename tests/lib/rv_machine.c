#include "tests/lib/rv_machine.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "frontend/riscv/sys/sys.h"
#include "runtime/cli/options.h"

enum { CACHE_BYTES = 16 << 20, CACHE_SEGMENTS = 8 };
enum { SMALL_CACHE_BYTES = 64 << 10, SMALL_CACHE_SEGMENTS = 4 };

struct rv_machine {
    struct rv_hart cpu; /* first: the guest's callbacks get its address */
    struct phys phys;
    bool have_phys;
    struct tcache *tcache;
    struct hart *hart;
    struct guest_ops ops; /* the guest's own, with trap and mode_key in between */
    struct rv_end *end;   /* of the run */
    uint64_t begin;       /* icount at its start */
    void (*before)(void *arg, const struct rv_regs *r);
    void *arg;
};

static struct rv_machine *machine_of(const struct cpu_state *s)
{
    return (struct rv_machine *)(uintptr_t)s;
}

static void read_regs(const struct rv_machine *m, struct rv_regs *r)
{
    memcpy(r->x, m->cpu.s.reg, sizeof(r->x));
    memcpy(r->f, m->cpu.s.reg + STATE_FP, sizeof(r->f));
    r->fcsr = (uint32_t)rv_fcsr(&m->cpu);
    r->pc = m->cpu.s.pc;
}

static void on_trap(struct cpu_state *s, uint64_t cause, uint64_t tval)
{
    struct rv_machine *m = machine_of(s);

    read_regs(m, &m->end->regs);
    m->end->trapped = true;
    m->end->cause = cause;
    m->end->tval = tval;
    m->end->insns = s->icount - m->begin;
    atomic_fetch_or(&s->pending, PENDING_EVENT);
}

static uint32_t on_mode_key(const struct cpu_state *s)
{
    struct rv_machine *m = machine_of(s);

    if (m->before) {
        struct rv_regs r;

        read_regs(m, &r);
        m->before(m->arg, &r);
    }
    return rv_guest_ops.mode_key(s);
}

/* The run goes on until there is a trap, or the limit; --stress=irq asks more often. */
static bool poll(void *arg)
{
    const struct rv_machine *m = arg;

    return !m->end->trapped && m->cpu.s.icount < m->cpu.s.icount_deadline;
}

static void wait_never(void *arg)
{
    (void)arg;
}

static uint64_t now_ticks(void *arg)
{
    (void)arg;
    return 0;
}

static uint64_t ir_time(struct cpu_state *s)
{
    (void)s;
    return 0;
}

static void set_timer(void *arg, uint64_t deadline)
{
    (void)arg, (void)deadline;
}

struct rv_machine *rv_machine_create(const struct rv_machine_config *config, struct err *e)
{
    struct rv_machine *m = aligned_alloc(64, align_up(sizeof(*m), 64));
    bool small = (config->stress & STRESS_CACHE) != 0;

    CHECK(m && "memory for a machine");
    memset(m, 0, sizeof(*m));
    m->ops = rv_guest_ops;
    m->ops.trap = on_trap;
    m->ops.mode_key = on_mode_key;
    m->cpu.now_ticks = now_ticks;
    m->cpu.now_arg = m;
    m->cpu.set_timer = set_timer;
    m->cpu.virtual_time = !config->uncounted;
    m->cpu.traps_seen = true;
    const struct hart_config hart = {
        .guest = &m->ops,
        .time = ir_time,
        .mmu_guest = &rv_mmu_guest,
        .events = {.poll = poll, .wait = wait_never, .arg = m},
        .no_links = (config->stress & STRESS_LINKS) != 0,
        .stress_table = (config->stress & STRESS_TABLE) != 0,
        .stress_irq = (config->stress & STRESS_IRQ) != 0,
    };
    const struct tcache_config tc = {
        .engine = config->engine,
        .translate = {.passes = config->passes,
                      .virtual_time = !config->uncounted,
                      .stress_regs = config->stress_regs,
                      .max_insns = config->max_insns ? config->max_insns : IR_MAX_GUEST},
        .cache_bytes = small ? SMALL_CACHE_BYTES : CACHE_BYTES,
        .cache_segments = small ? SMALL_CACHE_SEGMENTS : CACHE_SEGMENTS,
    };
    if (!rv_model_parse(&m->cpu.model, config->model, e) ||
        !(m->have_phys = phys_init(&m->phys, config->ram_gpa, config->ram_len, e)) ||
        !(m->tcache = tcache_create(&m->phys, &tc, e)) ||
        !(m->hart = hart_create(&m->cpu.s, m->tcache, &hart, e))) {
        rv_machine_destroy(m);
        return NULL;
    }
    rv_hart_reset(&m->cpu, config->ram_gpa);
    rv_pmpaddr_write(&m->cpu, 0, UINT64_MAX); /* NAPOT, all of memory, RWX */
    rv_pmpcfg_write(&m->cpu, 0, 0x1f);
    return m;
}

void rv_machine_destroy(struct rv_machine *m)
{
    if (m->hart)
        hart_destroy(m->hart);
    if (m->tcache)
        tcache_destroy(m->tcache);
    if (m->have_phys)
        phys_fini(&m->phys);
    free(m);
}

struct rv_hart *rv_machine_hart(struct rv_machine *m)
{
    return &m->cpu;
}

uint8_t *rv_machine_ram(struct rv_machine *m)
{
    return phys_ptr(&m->phys, m->phys.ram_gpa);
}

void rv_machine_wrote(struct rv_machine *m, uint64_t gpa, uint64_t len)
{
    hart_wrote(m->hart, gpa, len);
}

void rv_machine_run(struct rv_machine *m, const struct rv_regs *from, enum rv_priv priv,
                    uint64_t limit, struct rv_end *end)
{
    struct rv_hart *cpu = &m->cpu;

    memset(end, 0, sizeof(*end));
    m->end = end;
    memcpy(cpu->s.reg, from->x, sizeof(from->x));
    memcpy(cpu->s.reg + STATE_FP, from->f, sizeof(from->f));
    cpu->s.reg[0] = 0;
    cpu->s.pc = from->pc;
    cpu->priv = priv;
    cpu->mscratch = cpu->sscratch = 0;
    /* On, not yet dirty: the first floating-point instruction has to make it so. */
    cpu->mstatus = (cpu->mstatus & ~RV_STATUS_FS) | UINT64_C(1) << RV_STATUS_FS_SHIFT;
    rv_fcsr_set(cpu, from->fcsr >> 5 & 7, from->fcsr & 31);
    mmu_clear_reservation(cpu->s.mmu);
    rv_sync(cpu);
    m->begin = cpu->s.icount;
    cpu->s.icount_deadline = m->begin + limit;
    hart_run(m->hart);
    if (end->trapped)
        return;
    read_regs(m, &end->regs);
    end->insns = cpu->s.icount - m->begin;
}

void rv_machine_watch(struct rv_machine *m, void (*before)(void *arg, const struct rv_regs *r),
                      void *arg)
{
    m->before = before;
    m->arg = arg;
}
