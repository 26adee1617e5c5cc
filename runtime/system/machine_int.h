/* Inside the machine: shared by machine.c, machine_monitor.c and machine_stats.c. */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "runtime/host_time.h"
#include "runtime/system/machine.h"
#include "runtime/system/monitor.h"

struct chardev;

struct machine_monitor {
    struct monitor *monitor;
    struct chardev *line;   /* --monitor, or NULL */
    uint64_t stopped_ticks; /* the time that stands still */
};

/* The board's timers, then the hart's own: supervisor timer (Sstc, SBI), HTIF's poll, and
 * the instruction limit. */
enum { TIMER_STIME = BOARD_MAX_TIMERS, TIMER_HTIF, TIMER_LIMIT, N_TIMERS };
enum { NS_PER_TICK = 100, HTIF_TICKS = 10000 };

struct machine {
    struct rv_hart cpu;
    struct machine_config cfg;
    struct machine_run_config run;
    struct tcache *tcache;
    struct hart *hart;
    struct phys phys;
    bool have_phys, have_board, have_plan;
    struct boot_plan plan;
    struct board board;
    struct machine_monitor monitor;
    struct clock clock;
    struct host_time host_time;
    struct machine_end end;  /* the hart's thread's */
    _Atomic bool user_quits; /* which overrides it */
    _Atomic bool finished;

    /* Deadlines in ticks; the earliest is armed with the host. */
    pthread_mutex_t timers_lock;
    uint64_t deadline[N_TIMERS]; /* timers_lock; UINT64_MAX: none, also when the clock gets there */
    uint64_t armed;              /* timers_lock */
    timer_t timer;
    bool have_timer;
    pthread_t thread;

    /* Interrupt lines that other threads drive: applied between blocks. */
    _Atomic uint64_t line_level;
    uint64_t line_applied;
};

/* The guest's clock; arg is the machine. */
uint64_t machine_ticks(void *arg);
/* Sets it, with everything that waits for time to pass waiting as long as before. The hart's
 * thread. */
void machine_set_ticks(void *arg, uint64_t ticks);
/* The hart's loop looks at its events soon. Any thread. */
void machine_wake(void *arg);
/* Ends the run at the next block boundary. The hart's thread. */
void machine_finish(void *arg, enum finish_kind kind, int code);

/* ---- machine_monitor.c ---------------------------------------------------------------- */

void machine_monitor_init(struct machine *m); /* when the lines are open */
bool machine_monitor_start(struct machine *m, struct err *e) MUST_CHECK;
void machine_monitor_fini(struct machine *m);
/* board_host.to_monitor and board_host.monitor. */
void machine_to_monitor(void *arg);
void machine_typed(void *arg, const uint8_t *data, size_t n);
