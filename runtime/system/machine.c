#define _GNU_SOURCE
#include "runtime/system/machine_int.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"
#include "runtime/host_time.h"
#include "runtime/system/memmap.h"
#include "runtime/system/signature.h"

/* ---- Time ----------------------------------------------------------------------------- */

uint64_t machine_ticks(void *arg)
{
    const struct machine *m = arg;

    return host_time_ticks(&m->cpu.s, m->run.virtual_time);
}

static uint64_t ir_time(struct cpu_state *s)
{
    struct rv_hart *cpu = (struct rv_hart *)(void *)s;

    return cpu->now_ticks(cpu->now_arg);
}

/* From now until `at`; 0: it is there. What is further away than the host can tell is never. */
static uint64_t ns_until(const struct machine *m, uint64_t at)
{
    uint64_t now = host_time_ticks(&m->cpu.s, m->run.virtual_time);

    if (at <= now)
        return 0;
    return at - now > INT64_MAX / NS_PER_TICK ? UINT64_MAX : (at - now) * NS_PER_TICK;
}

/* Virtual time: the icount at which it is `at`; UINT64_MAX: never. */
static uint64_t icount_at(const struct machine *m, uint64_t at)
{
    return at == UINT64_MAX ? UINT64_MAX : host_time_icount_at(&m->cpu.s, at);
}

/* Under virtual time the day begins at a fixed second, so that runs repeat. */
static uint64_t wall_ns(void *arg)
{
    const struct machine *m = arg;
    struct timespec t;

    if (m->run.virtual_time)
        return UINT64_C(1700000000000000000) +
               (machine_ticks(arg) - m->cpu.s.time_add) * NS_PER_TICK;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t earliest(const struct machine *m)
{
    uint64_t least = UINT64_MAX;

    for (unsigned k = 0; k < N_TIMERS; k++)
        if (m->deadline[k] < least)
            least = m->deadline[k];
    return least;
}

/* Arms the host for the earliest deadline. An earlier alarm that is set already stands:
 * it comes, finds nothing due, and arms again; so a deadline that is pushed out, which is
 * what kernels do at each tick, costs nothing. timers_lock is held. */
static void arm_host_locked(struct machine *m)
{
    uint64_t at = earliest(m);

    if (m->run.virtual_time) {
        m->cpu.s.icount_deadline = icount_at(m, at);
        return;
    }
    if (at >= m->armed || !m->have_timer)
        return;
    uint64_t ns = ns_until(m, at);
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)}};

    if (ns == 0) /* which would be no alarm */
        when.it_value.tv_nsec = 1;
    m->armed = at;
    timer_settime(m->timer, 0, &when, NULL);
}

static void set_deadline(struct machine *m, unsigned timer, uint64_t ticks)
{
    pthread_mutex_lock(&m->timers_lock);
    m->deadline[timer] = ticks;
    arm_host_locked(m);
    pthread_mutex_unlock(&m->timers_lock);
}

/* The guest sets its clock. What waits for a time of that clock is the CLINT, which arms again by
 * itself, and the supervisor timer, which is asked when the loop polls; what waits for time to
 * pass waits as long as before. */
void machine_set_ticks(void *arg, uint64_t ticks)
{
    struct machine *m = arg;
    uint64_t now = machine_ticks(m);

    m->cpu.s.time_add += ticks - now;
    pthread_mutex_lock(&m->timers_lock);
    for (unsigned k = 0; k < N_TIMERS; k++) {
        uint64_t left = m->deadline[k] > now ? m->deadline[k] - now : 0;

        if (m->deadline[k] != UINT64_MAX)
            m->deadline[k] = left < UINT64_MAX - ticks ? ticks + left : UINT64_MAX;
    }
    m->deadline[TIMER_STIME] = 0;
    m->armed = UINT64_MAX;
    arm_host_locked(m);
    pthread_mutex_unlock(&m->timers_lock);
    hart_kick(m->hart, PENDING_EVENT);
}

static void arm(void *arg, unsigned timer, uint64_t deadline_ticks)
{
    set_deadline(arg, timer, deadline_ticks);
}

static void set_supervisor_timer(void *arg, uint64_t deadline_ticks)
{
    set_deadline(arg, TIMER_STIME, deadline_ticks);
}

static void end_run(struct machine *m)
{
    atomic_store(&m->finished, true);
    monitor_wake(m->monitor.monitor);
    hart_kick(m->hart, PENDING_EVENT);
}

void machine_finish(void *arg, enum finish_kind kind, int code)
{
    struct machine *m = arg;

    m->end.reset = kind == FINISH_RESET && !m->cfg.no_reboot;
    m->end.code = code;
    end_run(m);
}

void machine_wake(void *arg)
{
    hart_kick(((struct machine *)arg)->hart, PENDING_EVENT);
}

/* The hart may be waiting for whoever does not read what it writes; or the guest may be ending the
 * run this moment, to start anew. */
static void quit(void *arg)
{
    struct machine *m = arg;

    atomic_store(&m->user_quits, true);
    board_hurry(&m->board);
    end_run(m);
}

static void timer_due(struct machine *m, unsigned timer)
{
    if (timer < BOARD_MAX_TIMERS) {
        board_timer(&m->board, timer);
    } else if (timer == TIMER_STIME) {
        rv_timer_tick(&m->cpu);
    } else if (timer == TIMER_HTIF) {
        board_poll_htif(&m->board);
        set_deadline(m, TIMER_HTIF, machine_ticks(m) + HTIF_TICKS);
    } else {
        machine_finish(m, FINISH_POWEROFF, 0);
    }
}

static void serve_timers(struct machine *m)
{
    uint64_t now = machine_ticks(m);

    for (unsigned k = 0; k < N_TIMERS; k++) {
        pthread_mutex_lock(&m->timers_lock);
        bool due = m->deadline[k] != UINT64_MAX && m->deadline[k] <= now;

        if (due)
            m->deadline[k] = UINT64_MAX;
        pthread_mutex_unlock(&m->timers_lock);
        if (due)
            timer_due(m, k);
    }
    pthread_mutex_lock(&m->timers_lock);
    if (m->armed <= now)
        m->armed = UINT64_MAX;
    arm_host_locked(m);
    pthread_mutex_unlock(&m->timers_lock);
}

/* ---- Interrupt lines ------------------------------------------------------------------- */

static void apply_lines(struct machine *m)
{
    uint64_t level = atomic_load(&m->line_level);

    for (uint64_t diff = level ^ m->line_applied; diff; diff &= diff - 1) {
        unsigned n = (unsigned)__builtin_ctzll(diff);

        rv_set_mip(&m->cpu, n, (level >> n & 1) != 0);
    }
    m->line_applied = level;
}

/* On the hart's own thread a line takes effect at once, so that a CSR read behind the store
 * that raised it sees it; but not in check mode, where a block runs twice. */
static void set_mip(void *hart, unsigned n, bool level)
{
    struct machine *m = hart;

    if (level)
        atomic_fetch_or(&m->line_level, UINT64_C(1) << n);
    else
        atomic_fetch_and(&m->line_level, ~(UINT64_C(1) << n));
    if (m->run.engine != ENGINE_CHECK && pthread_equal(pthread_self(), m->thread))
        apply_lines(m);
    else if (m->hart)
        hart_kick(m->hart, PENDING_EVENT);
}

/* ---- What the run loop asks for ---------------------------------------------------------- */

static bool poll_events(void *arg)
{
    struct machine *m = arg;

    if (atomic_load(&m->finished))
        return false;
    monitor_serve(m->monitor.monitor);
    board_poll(&m->board);
    apply_lines(m);
    serve_timers(m);
    return !atomic_load(&m->finished);
}

static void wait_event(void *arg)
{
    struct machine *m = arg;

    pthread_mutex_lock(&m->timers_lock);
    uint64_t at = earliest(m);
    pthread_mutex_unlock(&m->timers_lock);

    uint64_t then = icount_at(m, at);

    if (m->run.virtual_time && then != UINT64_MAX) {
        /* Nothing happens until then: the clock jumps. */
        uint64_t *icount = &m->cpu.s.icount;

        if (*icount < then) {
            m->cpu.s.n_unretired += then - *icount;
            *icount = then;
        }
        hart_kick(m->hart, PENDING_TIME);
        return;
    }
    uint64_t ns = ns_until(m, at);

    if (ns)
        hart_sleep(m->hart, ns);
    if (at <= machine_ticks(m))
        hart_kick(m->hart, PENDING_EVENT);
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

static void wrote(void *arg, uint64_t gpa, uint64_t len)
{
    hart_wrote(((struct machine *)arg)->hart, gpa, len);
}

static const struct rv_sbi_host sbi_host = {.console_put = sbi_put,
                                            .console_get = sbi_get,
                                            .reset = sbi_reset,
                                            .n_harts = 1,
                                            .ram = sbi_ram,
                                            .wrote = wrote};

/* ---- Life ------------------------------------------------------------------------------------ */

static void place_hart(struct machine *m)
{
    struct rv_hart *cpu = &m->cpu;

    rv_hart_reset(cpu, m->plan.pc);
    cpu->builtin_sbi = m->plan.firmware == FIRMWARE_BUILTIN;
    if (m->plan.supervisor) {
        rv_enter_supervisor(cpu, m->plan.pc, m->plan.a0, m->plan.a1);
    } else {
        cpu->s.reg[10] = m->plan.a0;
        cpu->s.reg[11] = m->plan.a1;
        cpu->s.reg[12] = m->plan.a2;
        cpu->s.pc = m->plan.pc;
        rv_sync(cpu);
    }
}

static bool create_hart(struct machine *m, struct err *e)
{
    const struct hart_config config = {
        .guest = &rv_guest_ops,
        .time = ir_time,
        .mmu_guest = &rv_mmu_guest,
        .events = {.poll = poll_events, .wait = wait_event, .arg = m},
        .engine = m->run.engine,
        .translate = m->run.translate,
        .cache_bytes = m->run.cache_bytes,
        .cache_segments = m->run.cache_segments,
        .no_links = m->run.no_links,
        .evaluate_first = m->run.evaluate_first,
        .stress_irq = m->run.stress_irq,
        .stress_table = m->run.stress_table,
    };

    m->cpu.model = m->plan.announced;
    m->cpu.now_ticks = machine_ticks;
    m->cpu.now_arg = m;
    m->cpu.virtual_time = m->run.virtual_time;
    m->cpu.set_timer = set_supervisor_timer;
    m->cpu.sbi = &sbi_host;
    m->cpu.machine = m;
    m->hart = hart_create(&m->cpu.s, &m->phys, &config, e);
    return m->hart != NULL;
}

static void create_board(struct machine *m)
{
    const struct board_host host = {
        .set_mip = set_mip,
        .hart = {m},
        .arm = arm,
        .finish = machine_finish,
        .quit = quit,
        .to_monitor = machine_to_monitor,
        .monitor = machine_typed,
        .wake = machine_wake,
        .wrote = wrote,
        .arg = m,
    };

    m->clock = (struct clock){.now_ticks = machine_ticks,
                              .set_ticks = machine_set_ticks,
                              .wall_seconds = wall_ns,
                              .arg = m};
    board_init(&m->board, &m->phys, &m->clock, &m->cfg, &m->plan, m->run.ends, &host);
    m->have_board = true;
}

/* Before the hart, which keeps a list of blocks for each page that can hold code. */
static bool add_rom(struct machine *m)
{
    if (config_has_flash(&m->cfg))
        phys_set_rom(&m->phys, MEMMAP_flash_gpa, MEMMAP_flash_len, m->run.ends->firmware.flash);
    return true;
}

struct machine *machine_create(const struct machine_config *cfg,
                               const struct machine_run_config *run, struct err *e)
{
    struct machine *m = aligned_alloc(64, align_up(sizeof *m, 64));

    CHECK(m && "memory for the machine");
    memset(m, 0, sizeof *m);
    host_time_begin(&m->host_time);
    m->cfg = *cfg;
    m->run = *run;
    m->armed = UINT64_MAX;
    m->thread = pthread_self();
    for (unsigned k = 0; k < N_TIMERS; k++)
        m->deadline[k] = UINT64_MAX;
    pthread_mutex_init(&m->timers_lock, NULL);
    if (!(m->have_plan = boot_plan(&m->plan, &m->cfg, e)) ||
        !(m->have_phys = phys_init(&m->phys, MEMMAP_ram_gpa, cfg->ram_len, e)) || !add_rom(m) ||
        !create_hart(m, e) || !lines_open(&m->run.ends->lines, &m->cfg, e)) {
        machine_destroy(m);
        return NULL;
    }
    machine_monitor_init(m);
    create_board(m);
    boot_commit(&m->plan, &m->phys);
    return m;
}

void machine_destroy(struct machine *m)
{
    if (m->have_timer)
        timer_delete(m->timer);
    if (m->have_board)
        board_fini(&m->board);
    machine_monitor_fini(m);
    if (m->hart)
        hart_destroy(m->hart);
    if (m->have_phys)
        phys_fini(&m->phys);
    if (m->have_plan)
        boot_plan_fini(&m->plan);
    pthread_mutex_destroy(&m->timers_lock);
    free(m);
}

static void on_alarm(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    hart_kick(info->si_value.sival_ptr, PENDING_EVENT);
}

static bool start_timer(struct machine *m, struct err *e)
{
    struct sigevent ev;
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_alarm;
    sa.sa_flags = SA_RESTART | SA_SIGINFO;
    sigaction(SIGRTMIN, &sa, NULL);
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_THREAD_ID;
    ev.sigev_signo = SIGRTMIN;
    ev.sigev_value.sival_ptr = m->hart;
    ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &ev, &m->timer) != 0)
        return err_set(e, "the host gives no timer: %s", strerror(errno));
    m->have_timer = true;
    return true;
}

bool machine_run(struct machine *m, struct machine_end *end, struct err *e)
{
    m->thread = pthread_self();
    if (m->run.virtual_time)
        host_time_set_virtual(&m->cpu.s);
    else if (!start_timer(m, e))
        return false;
    else
        host_time_set(&m->host_time, &m->cpu.s);
    place_hart(m);
    if (!board_start(&m->board, e) || !machine_monitor_start(m, e))
        return false;
    if (m->plan.tohost_gpa)
        set_deadline(m, TIMER_HTIF, HTIF_TICKS);
    if (m->run.max_insns)
        set_deadline(m, TIMER_LIMIT, m->run.max_insns / VIRTUAL_INSNS_PER_TICK);
    pthread_mutex_lock(&m->timers_lock);
    arm_host_locked(m);
    pthread_mutex_unlock(&m->timers_lock);
    hart_run(m->hart);
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
