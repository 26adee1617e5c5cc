/* Inside the machine: shared by the machine_*.c. */
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
    unsigned hart;          /* the one that is shown: `cpu N` */
};

/* What a hart waits for: its CLINT timer, its supervisor timer (Sstc, SBI), and the next sample of
 * what it runs (mmu_sample). The others are hart 0's alone: the RTC's alarm, HTIF's poll. */
enum { TIMER_CLINT, TIMER_STIME, TIMER_SAMPLE, TIMER_RTC, TIMER_HTIF, N_TIMERS };
enum { NS_PER_TICK = 100, HTIF_TICKS = 10000 };

/* Of harts' threads, which no other one gets. */
#define SIGNAL_TIMER SIGRTMIN
#define SIGNAL_SLICE (SIGRTMIN + 1)

/* A timer of the host's that signals a thread. */
struct host_alarm {
    timer_t timer;
    bool is_made;
};

/* One hart: a guest CPU, its thread (which it may share), and the host's timer that wakes it. Hart
 * 0 is the main thread's, and does what is the machine's own: host threads that have something for
 * a device to do wake it, and it is the monitor's. */
struct machine_hart {
    struct rv_hart cpu; /* first: the guest's callbacks get its address */
    struct machine *m;
    unsigned index;
    struct hart *hart;
    /* Set by the thread itself, before the gate opens. */
    pid_t tid;             /* of its thread */
    pthread_t thread_made; /* the main thread's fields: the thread to be joined, if has_thread */
    bool has_thread;
    struct err why; /* it could not begin */

    /* Deadlines in ticks; the earliest is armed with the host. */
    pthread_mutex_t timers_lock;
    uint64_t deadline[N_TIMERS]; /* timers_lock; UINT64_MAX: none, also when the clock gets there */
    uint64_t armed;              /* timers_lock */
    struct host_alarm alarm;     /* timers_lock */
    /* The host's alarm has come: none is armed, though the guest's clock may not be there yet,
     * which is not the host's. */
    _Atomic bool rang;

    /* Interrupt lines that other threads drive: applied between blocks. */
    _Atomic uint64_t line_level;
    uint64_t line_applied; /* the hart's thread's */

    /* The hart's thread's: when it was in hart_spins() first and last in the same loop, and how
     * often. */
    uint64_t spins_since, spun_at;
    unsigned n_spins;
    unsigned crowded;               /* lines: hart_wait_for_lines() */
    uint64_t slice_end, kept_since; /* machine_slice.c; the host's time, in ns */
    enum rv_spin spins_for;
    uint64_t spins_with[STATE_N_REGS]; /* what its registers were */
    uint64_t look_after;               /* ticks of waiting by pause, until it is seen what for */
};

/* Where the harts' threads wait until all of them can begin, or one cannot. */
struct gate {
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    unsigned n_ready;
    bool failed; /* somebody cannot begin */
    enum { GATE_CLOSED, GATE_OPEN, GATE_CANCELLED } state;
};

struct machine {
    struct machine_config cfg;
    struct machine_run_config run;
    struct machine_hart *hart; /* n_harts of them */
    unsigned n_harts;
    unsigned n_processors;      /* of the host's, for this process */
    unsigned n_procs;           /* host threads that harts share; 0: each has its own */
    struct slice_alarm *slices; /* n_procs of them: machine_slice.c */
    struct rv_cluster *cluster;
    struct tcache *tcache;
    struct phys phys;
    bool have_phys, have_board, have_plan;
    struct boot_plan plan;
    struct board board;
    struct machine_monitor monitor;
    struct clock clock;
    struct host_time host_time;
    struct gate gate;

    /* The end: who comes first says what it is, and then that it has come. */
    _Atomic bool finishing;
    struct machine_end end;  /* of who has set finishing, until finished */
    _Atomic bool user_quits; /* which overrides it */
    _Atomic bool finished;
};

/* ---- Any thread ------------------------------------------------------------------------- */

/* The hart whose thread this is; NULL: another thread. */
struct machine_hart *machine_self(struct machine *m);
/* A hart's loop looks at the machine's events soon: this thread's, if it is a hart's, else hart
 * 0's. */
void machine_wake(void *arg);
/* Ends the run at the next block boundary of each hart. Who comes first says how. */
void machine_finish(void *arg, enum finish_kind kind, int code);

/* ---- machine_time.c ------------------------------------------------------------------------ */

/* The guest's clock; arg is the machine. Any thread. */
uint64_t machine_ticks(void *arg);
/* Sets it, with everything that waits for time to pass waiting as long as before. One thread at a
 * time: the CLINT's lock is held, or the harts stand still. */
void machine_set_ticks(void *arg, uint64_t ticks);
uint64_t machine_wall_ns(void *arg); /* of the day */
uint64_t machine_ir_time(struct cpu_state *s);

/* The thread `tid`: gets a timer of the host's that sends it the signal, with arg. */
bool host_alarm_init(struct host_alarm *a, int number,
                     void (*handler)(int number, siginfo_t *info, void *context), void *arg,
                     pid_t tid, struct err *e) MUST_CHECK;
void host_alarm_fini(struct host_alarm *a);
/* At this time of CLOCK_MONOTONIC, in ns; at once if that is over. Instead of what was set. */
void host_alarm_set(const struct host_alarm *a, uint64_t ns);

void hart_timers_init(struct machine_hart *h);
void hart_timers_fini(struct machine_hart *h);
/* The hart's thread: gets a timer of the host's that signals this thread. */
bool hart_timers_start(struct machine_hart *h, struct err *e) MUST_CHECK;
/* Any thread. */
void hart_set_deadline(struct machine_hart *h, unsigned timer, uint64_t ticks);
/* The same, if that is sooner than what is set. */
void hart_bring_deadline(struct machine_hart *h, unsigned timer, uint64_t ticks);
/* The hart's thread: does what is due, arms the host for the rest. */
void hart_serve_timers(struct machine_hart *h);
/* The hart's thread, from events.wait. */
void hart_wait(void *arg);
/* events.sample_after. */
void hart_sample_after(void *arg, uint64_t ns);
/* board_host.crowded: a hart whose thread this is goes no further than its block's end while the
 * lines are. */
void hart_finds_lines_crowded(void *arg, unsigned lines);
/* The hart's thread, from events.poll, which is to be called again. */
void hart_wait_for_lines(struct machine_hart *h);

/* ---- machine_spin.c ------------------------------------------------------------------------- */

/* The hart's thread, rv_hart.spins and events.rest. */
void hart_spins(void *arg, enum rv_spin what);
void hart_rest(void *arg);
/* The hart's thread: what it waits for from now on is something else. */
void hart_spins_anew(struct machine_hart *h);

/* ---- machine_slice.c ----------------------------------------------------------------------- */

/* One thread, before the harts' and after them. */
void machine_slices_create(struct machine *m);
void machine_slices_destroy(struct machine *m);
/* The hart's thread: gets its alarm, if the hart is the thread's first. */
bool hart_slices_start(struct machine_hart *h, struct err *e) MUST_CHECK;
/* The hart's thread: it has come to run. */
void hart_begin_slice(struct machine_hart *h);
/* It sleeps, or has the thread for itself. (Where a rest may come to nothing the slice goes on, and
 * its end may end the rest.) */
void hart_end_slice(struct machine_hart *h);
/* Any thread: its hart, if it is one's, interrupts another. */
void machine_interrupts_another(struct machine *m);
/* The hart's thread, from events.poll: if its slice is over it is asked to give way. */
void hart_serve_slice(struct machine_hart *h);
/* events.yield. */
void hart_give_way(void *arg);

/* ---- machine_hart.c ------------------------------------------------------------------------ */

bool hart_init(struct machine_hart *h, struct machine *m, unsigned index, struct err *e) MUST_CHECK;
void hart_fini(struct machine_hart *h);
/* The hart's thread: as after power-on. */
void hart_place(struct machine_hart *h);
/* board_host.set_mip; the hart is a struct machine_hart. */
void hart_set_mip(void *hart, unsigned n, bool level);
/* board_host.wrote. */
void machine_wrote(void *arg, uint64_t gpa, uint64_t len_bytes);

/* ---- machine_monitor.c ---------------------------------------------------------------- */

void machine_monitor_init(struct machine *m); /* when the lines are open */
bool machine_monitor_start(struct machine *m, struct err *e) MUST_CHECK;
void machine_monitor_fini(struct machine *m);
/* board_host.to_monitor and board_host.monitor. */
void machine_to_monitor(void *arg);
void machine_typed(void *arg, const uint8_t *data, size_t n);
