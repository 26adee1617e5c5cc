/* A hart of the machine: its interrupt lines, what its run loop asks for, and what the built-in SBI
 * asks of the machine on its behalf. */
#include "runtime/system/machine_int.h"

/* ---- Interrupt lines ------------------------------------------------------------------- */

static void apply_lines(struct machine_hart *h)
{
    uint64_t level = atomic_load(&h->line_level);

    for (uint64_t diff = level ^ h->line_applied; diff; diff &= diff - 1) {
        unsigned n = (unsigned)__builtin_ctzll(diff);

        rv_set_mip(&h->cpu, n, (level >> n & 1) != 0);
    }
    h->line_applied = level;
}

/* On the hart's own thread a line takes effect at once, so that a CSR read behind the store
 * that raised it sees it; but not in check mode, where a block runs twice. */
void hart_set_mip(void *hart, unsigned n, bool level)
{
    struct machine_hart *h = hart;

    if (level)
        atomic_fetch_or(&h->line_level, UINT64_C(1) << n);
    else
        atomic_fetch_and(&h->line_level, ~(UINT64_C(1) << n));
    if (h->m->run.engine != ENGINE_CHECK && hart_running() == h->hart) {
        apply_lines(h);
        return;
    }
    if (h->hart)
        hart_kick(h->hart, PENDING_EVENT);
    if (level)
        machine_interrupts_another(h->m);
}

/* ---- What the run loop asks for ---------------------------------------------------------- */

static bool is_at_limit(const struct machine_hart *h)
{
    return h->m->run.max_insns && h->cpu.s.icount >= h->m->run.max_insns;
}

/* A device is served by whoever comes first: board_host.wake has kicked somebody. */
static bool poll_events(void *arg)
{
    struct machine_hart *h = arg;
    struct machine *m = h->m;

    if (is_at_limit(h))
        machine_finish(m, FINISH_POWEROFF, 0);

    if (atomic_load(&m->finished))
        return false;
    if (h->index == 0)
        monitor_serve(m->monitor.monitor);
    board_poll(&m->board);
    apply_lines(h);
    hart_serve_timers(h);
    hart_serve_slice(h);
    if (h->crowded)
        hart_wait_for_lines(h);
    return !atomic_load(&m->finished);
}

/* ---- The built-in SBI's host ---------------------------------------------------------------- */

static void sbi_put(void *arg, uint8_t byte)
{
    board_console_put(&((struct machine *)arg)->board, byte);
}

static int sbi_get(void *arg)
{
    return board_console_get(&((struct machine *)arg)->board);
}

static void sbi_reset(void *arg, unsigned type, unsigned reason)
{
    /* SBI 2.0, 10.1: reason 1 is a system failure. */
    machine_finish(arg, type == 0 ? FINISH_POWEROFF : FINISH_RESET,
                   type == 0 && reason == 1 ? 1 : 0);
}

static uint8_t *sbi_ram(void *arg, uint64_t gpa, uint64_t len)
{
    struct machine *m = arg;

    return phys_is_ram(&m->phys, gpa, len) ? phys_ptr(&m->phys, gpa) : NULL;
}

static void sbi_kick(void *arg, unsigned hartid)
{
    struct machine *m = arg;

    machine_interrupts_another(m);
    hart_kick(m->hart[hartid].hart, PENDING_IRQ);
}

void machine_wrote(void *arg, uint64_t gpa, uint64_t len)
{
    struct machine *m = arg;

    struct machine_hart *self = machine_self(m);

    if (self)
        hart_wrote(self->hart, gpa, len);
    else
        tcache_wrote(m->tcache, gpa, len);
}

static const struct rv_sbi_host sbi_host = {.console_put = sbi_put,
                                            .console_get = sbi_get,
                                            .reset = sbi_reset,
                                            .ram = sbi_ram,
                                            .wrote = machine_wrote,
                                            .kick = sbi_kick};

static void set_supervisor_timer(void *arg, uint64_t deadline_ticks)
{
    hart_set_deadline(arg, TIMER_STIME, deadline_ticks);
}

/* Of the hart's own words: hart 0's are next to what it works with. */
static uint64_t now_ticks(void *arg)
{
    const struct machine_hart *h = arg;

    return host_time_ticks(&h->cpu.s, h->m->run.virtual_time);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static struct hart_config make_config(struct machine_hart *h)
{
    const struct machine_run_config *run = &h->m->run;

    return (struct hart_config){
        .guest = &rv_guest_ops,
        .time = machine_ir_time,
        .mmu_guest = &rv_mmu_guest,
        .events = {.poll = poll_events,
                   .wait = hart_wait,
                   .rest = hart_rest,
                   .yield = h->m->n_procs ? hart_give_way : NULL,
                   .sample_after = hart_sample_after,
                   .arg = h},
        .no_links = run->no_links,
        .evaluate_first = run->evaluate_first,
        .stress_irq = run->stress_irq,
        .stress_table = run->stress_table,
    };
}

bool hart_init(struct machine_hart *h, struct machine *m, unsigned index, struct err *e)
{
    h->m = m;
    h->index = index;
    hart_timers_init(h);
    h->cpu.hartid = index;
    h->cpu.model = m->plan.announced;
    h->cpu.now_ticks = now_ticks;
    h->cpu.now_arg = h;
    h->cpu.virtual_time = m->run.virtual_time;
    h->cpu.yields = m->n_procs > 0;
    h->cpu.set_timer = set_supervisor_timer;
    if (m->cfg.n_harts > 1 && m->run.engine != ENGINE_CHECK && !m->run.virtual_time)
        h->cpu.spins = hart_spins;
    h->cpu.sbi = &sbi_host;
    h->cpu.machine = m;
    rv_cluster_add(m->cluster, &h->cpu);

    const struct hart_config config = make_config(h);

    h->hart = hart_create(&h->cpu.s, m->tcache, &config, e);
    return h->hart != NULL;
}

void hart_fini(struct machine_hart *h)
{
    hart_timers_fini(h);
    if (h->hart)
        hart_destroy(h->hart);
}

/* Under the built-in SBI the first hart starts the others when it wants them. A firmware in M mode
 * gets all of them, and finds out by itself which is to go on; so does a program without one. */
void hart_place(struct machine_hart *h)
{
    const struct boot_plan *plan = &h->m->plan;
    struct rv_hart *cpu = &h->cpu;

    rv_hart_reset(cpu, plan->pc);
    if (plan->supervisor && h->index == 0) {
        rv_enter_supervisor(cpu, plan->pc, plan->a0, plan->a1);
    } else if (plan->supervisor) {
        rv_stop(cpu);
    } else {
        cpu->s.reg[10] = h->index;
        cpu->s.reg[11] = plan->a1;
        cpu->s.reg[12] = plan->a2;
        rv_sync(cpu);
    }
}
