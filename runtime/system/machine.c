/* The machine's life: its parts are made, its harts' threads run until the first of them ends it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "runtime/proc.h"
#include "runtime/system/machine_int.h"
#include "runtime/system/memmap.h"
#include "runtime/system/signature.h"

/* ---- Any thread --------------------------------------------------------------------------- */

struct machine_hart *machine_self(struct machine *m)
{
    const struct hart *running = hart_running();

    for (unsigned i = 0; running && i < m->n_harts; i++)
        if (m->hart[i].hart == running)
            return &m->hart[i];
    return NULL;
}

void machine_wake(void *arg)
{
    struct machine *m = arg;
    struct machine_hart *self = machine_self(m);

    hart_kick(self ? self->hart : m->hart[0].hart, PENDING_EVENT);
}

static void end_run(struct machine *m)
{
    atomic_store(&m->finished, true);
    monitor_wake(m->monitor.monitor);
    for (unsigned i = 0; i < m->n_harts; i++)
        hart_kick(m->hart[i].hart, PENDING_EVENT);
}

void machine_finish(void *arg, enum finish_kind kind, int code)
{
    struct machine *m = arg;

    if (atomic_exchange(&m->finishing, true))
        return;
    m->end.reset = kind == FINISH_RESET && !m->cfg.no_reboot;
    m->end.code = code;
    end_run(m);
}

/* A hart may be waiting for whoever does not read what it writes; or the guest may be ending the
 * run this moment, to start anew. */
static void quit(void *arg)
{
    struct machine *m = arg;

    atomic_store(&m->user_quits, true);
    board_hurry(&m->board);
    end_run(m);
}

/* ---- Making it ------------------------------------------------------------------------------ */

static void arm(void *arg, unsigned timer, uint64_t deadline_ticks)
{
    struct machine *m = arg;

    if (timer == BOARD_TIMER_RTC)
        hart_set_deadline(&m->hart[0], TIMER_RTC, deadline_ticks);
    else
        hart_set_deadline(&m->hart[timer - BOARD_TIMER_HART], TIMER_CLINT, deadline_ticks);
}

static void create_board(struct machine *m)
{
    struct board_host host = {
        .set_mip = hart_set_mip,
        .arm = arm,
        .finish = machine_finish,
        .quit = quit,
        .to_monitor = machine_to_monitor,
        .monitor = machine_typed,
        .wake = machine_wake,
        .crowded = hart_finds_lines_crowded,
        .virtual_time = m->run.virtual_time,
        .wrote = machine_wrote,
        .arg = m,
    };

    for (unsigned i = 0; i < m->n_harts; i++)
        host.hart[i] = &m->hart[i];
    m->clock = (struct clock){.now_ticks = machine_ticks,
                              .set_ticks = machine_set_ticks,
                              .wall_seconds = machine_wall_ns,
                              .arg = m};
    board_init(&m->board, &m->phys, &m->clock, &m->cfg, &m->plan, m->run.ends, &host);
    m->have_board = true;
}

/* Before the harts: their shared code has a list of blocks for each page that can hold code. */
static void add_rom(struct machine *m)
{
    if (config_has_flash(&m->cfg))
        phys_set_rom(&m->phys, MEMMAP_flash_gpa, MEMMAP_flash_len, m->run.ends->firmware.flash);
}

/* 1 if the host does not say: then harts that spin sleep sooner than they need to. */
static unsigned count_processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* In check mode and virtual time harts take turns as it is. Firmware in M mode waits in loops that
 * do not say so, where it holds its locks half of the time (OpenSBI's fences): with a thread each
 * the host stops whom it likes, and that is better there than to stop at all turns. */
static unsigned count_procs(const struct machine *m)
{
    unsigned n = m->run.hart_threads ? m->run.hart_threads : m->n_processors;

    if (m->run.engine == ENGINE_CHECK || m->run.virtual_time ||
        (!m->run.hart_threads && m->plan.firmware != FIRMWARE_BUILTIN))
        return 0;
    return n < m->cfg.n_harts ? n : 0;
}

static bool create_harts(struct machine *m, struct err *e)
{
    size_t len = align_up(m->cfg.n_harts * sizeof *m->hart, 64);
    m->n_processors = count_processors();
    m->n_procs = count_procs(m);

    const struct tcache_config shared = {.engine = m->run.engine,
                                         .translate = m->run.translate,
                                         .cache_bytes = m->run.cache_bytes,
                                         .cache_segments = m->run.cache_segments,
                                         .stress_seed = m->run.stress_seed,
                                         .windows = m->run.windows,
                                         .n_harts = m->cfg.n_harts,
                                         .n_procs = m->n_procs,
                                         .turns = m->run.virtual_time,
                                         .max_insns = m->run.max_insns};

    add_rom(m);
    m->tcache = tcache_create(&m->phys, &shared, e);
    if (!m->tcache)
        return false;
    m->cluster = rv_cluster_create(m->cfg.n_harts);
    m->hart = aligned_alloc(64, len);
    CHECK(m->hart && "memory for the harts");
    memset(m->hart, 0, len);
    machine_slices_create(m);
    for (unsigned i = 0; i < m->cfg.n_harts; i++) {
        m->n_harts = i + 1;
        if (!hart_init(&m->hart[i], m, i, e))
            return false;
    }
    return true;
}

struct machine *machine_create(const struct machine_config *cfg,
                               const struct machine_run_config *run, struct err *e)
{
    struct machine *m = calloc(1, sizeof *m);

    CHECK(m && "memory for the machine");
    host_time_begin(&m->host_time);
    m->cfg = *cfg;
    m->run = *run;
    pthread_mutex_init(&m->gate.lock, NULL);
    pthread_cond_init(&m->gate.changed, NULL);
    if (!(m->have_plan = boot_plan(&m->plan, &m->cfg, e)) ||
        !(m->have_phys = phys_init(&m->phys, MEMMAP_ram_gpa, cfg->ram_len, e)) ||
        !create_harts(m, e) || !lines_open(&m->run.ends->lines, &m->cfg, e)) {
        machine_destroy(m);
        return NULL;
    }
    machine_monitor_init(m);
    create_board(m);
    if (run->huge_pages)
        phys_use_huge_pages(&m->phys);
    boot_commit(&m->plan, &m->phys);
    return m;
}

void machine_destroy(struct machine *m)
{
    if (m->have_board)
        board_fini(&m->board);
    machine_monitor_fini(m);
    for (unsigned i = 0; i < m->n_harts; i++)
        hart_fini(&m->hart[i]);
    machine_slices_destroy(m);
    if (m->tcache)
        tcache_destroy(m->tcache);
    if (m->have_phys)
        phys_fini(&m->phys);
    if (m->have_plan)
        boot_plan_fini(&m->plan);
    if (m->cluster)
        rv_cluster_destroy(m->cluster);
    pthread_cond_destroy(&m->gate.changed);
    pthread_mutex_destroy(&m->gate.lock);
    free(m->hart);
    free(m);
}

/* ---- The harts' threads ---------------------------------------------------------------------- */

static void run_hart(void *arg)
{
    struct machine_hart *h = arg;

    if (h->m->n_procs)
        hart_begin_slice(h);
    hart_run(h->hart);
    rv_away(&h->cpu);
}

/* On the hart's thread: all that can go wrong, then says that it is ready, or why not. */
static bool prepare(struct machine_hart *h)
{
    struct machine *m = h->m;
    bool ok;

    h->tid = (pid_t)syscall(SYS_gettid);
    ok = (m->run.virtual_time || hart_timers_start(h, &h->why)) &&
         (!m->n_procs ||
          (hart_slices_start(h, &h->why) && proc_prepare(h->hart, run_hart, h, &h->why)));
    if (ok)
        hart_place(h);
    rv_back(&h->cpu); /* before any of them runs: who is here does not depend on the threads */
    pthread_mutex_lock(&m->gate.lock);
    m->gate.n_ready++;
    m->gate.failed |= !ok;
    pthread_cond_broadcast(&m->gate.changed);
    pthread_mutex_unlock(&m->gate.lock);
    return ok;
}

static unsigned n_threads(const struct machine *m)
{
    return m->n_procs ? m->n_procs : m->n_harts;
}

/* The thread of hart h, with those that share it. */
static void prepare_harts(struct machine_hart *h)
{
    for (unsigned i = h->index; i < h->m->n_harts; i += n_threads(h->m))
        prepare(&h->m->hart[i]);
}

static void run_harts(struct machine_hart *h)
{
    if (h->m->n_procs)
        proc_run(h->m->tcache, h->index);
    else
        run_hart(h);
}

/* Signals that are the process's go to the main thread. */
static void keep_own_signals(void)
{
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGNAL_TIMER);
    sigdelset(&set, SIGNAL_SLICE);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGABRT);
    sigdelset(&set, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void *hart_main(void *arg)
{
    struct machine_hart *h = arg;
    struct gate *g = &h->m->gate;
    bool go;

    keep_own_signals();
    prepare_harts(h);
    pthread_mutex_lock(&g->lock);
    while (g->state == GATE_CLOSED)
        pthread_cond_wait(&g->changed, &g->lock);
    go = g->state == GATE_OPEN;
    pthread_mutex_unlock(&g->lock);
    if (go)
        run_harts(h);
    return NULL;
}

static void set_gate(struct machine *m, bool open)
{
    pthread_mutex_lock(&m->gate.lock);
    m->gate.state = open ? GATE_OPEN : GATE_CANCELLED;
    pthread_cond_broadcast(&m->gate.changed);
    pthread_mutex_unlock(&m->gate.lock);
}

static void join_harts(struct machine *m)
{
    for (unsigned i = 1; i < m->n_harts; i++)
        if (m->hart[i].has_thread)
            pthread_join(m->hart[i].thread_made, NULL);
}

/* All threads but the main one's; each waits at the gate. */
static bool make_threads(struct machine *m, struct err *e)
{
    unsigned n = 1;

    for (; n < n_threads(m); n++) {
        struct machine_hart *h = &m->hart[n];
        int error = pthread_create(&h->thread_made, NULL, hart_main, h);

        if (error != 0)
            return err_set(e, "the host gives no thread for hart %u: %s", n, strerror(error));
        h->has_thread = true;
    }
    prepare_harts(&m->hart[0]);
    pthread_mutex_lock(&m->gate.lock);
    while (m->gate.n_ready < m->n_harts)
        pthread_cond_wait(&m->gate.changed, &m->gate.lock);
    bool ok = !m->gate.failed;

    pthread_mutex_unlock(&m->gate.lock);
    for (unsigned i = 0; !ok && i < m->n_harts; i++)
        if (m->hart[i].why.text[0])
            *e = m->hart[i].why;
    return ok;
}

static void set_clocks(struct machine *m)
{
    struct cpu_state *first = &m->hart[0].cpu.s;

    if (m->run.virtual_time)
        host_time_set_virtual(first);
    else
        host_time_set(&m->host_time, first);
    for (unsigned i = 1; i < m->n_harts; i++) {
        struct cpu_state *s = &m->hart[i].cpu.s;

        s->tsc_base = first->tsc_base;
        s->tsc_mult = first->tsc_mult;
        s->time_add = first->time_add;
    }
}

static void set_first_deadlines(struct machine *m)
{
    struct machine_hart *h = &m->hart[0];

    hart_set_deadline(h, TIMER_HTIF, m->plan.tohost_gpa ? HTIF_TICKS : UINT64_MAX);
}

bool machine_run(struct machine *m, struct machine_end *end, struct err *e)
{
    set_clocks(m);
    bool ok = make_threads(m, e) && board_start(&m->board, e) && machine_monitor_start(m, e);

    if (ok)
        set_first_deadlines(m);
    if (ok && m->run.virtual_time)
        tcache_muster(m->tcache);
    set_gate(m, ok);
    if (ok)
        run_harts(&m->hart[0]);
    join_harts(m);
    if (!ok)
        return false;
    /* What the user typed to this machine is heard; what he types from now on, the next one hears.
     */
    board_stop(&m->board);
    *end = atomic_load(&m->user_quits) ? (struct machine_end){0} : m->end;
    return true;
}

void machine_print_signature(const struct machine *m, FILE *out)
{
    if (m->plan.signature_len > 0)
        signature_print(out, phys_read_ptr(&m->phys, m->plan.signature_gpa), m->plan.signature_len);
}
