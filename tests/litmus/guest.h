/* What the litmus programs stand on: harts, a console, barriers, verdicts. One binary in S mode
 * under any firmware (firmware_s.c), one in M mode without (firmware_m.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A planted fault in every test: the build that must fail everywhere. */
#ifdef PLANTED
#define PLANT 1
#else
#define PLANT 0
#endif

enum { MAX_HARTS = 64, LINE = 64 };

/* One a hart, and tp points at it; its size is known to start.S. */
struct hart {
    unsigned index; /* 0: the one that booted */
    uint64_t id;
    void (*fn)(unsigned index); /* what run_on_all() wants done, once `job` changes */
    uint64_t job, done;
    uint64_t random;
    /* Interrupts and exceptions, if a test wants them. A fault's hook gives where to go on. */
    void (*on_ipi)(void);
    void (*on_timer)(void);
    uint64_t (*on_fault)(uint64_t cause, uint64_t epc, uint64_t tval);
    uint64_t n_ipis;
    bool sleeps; /* in wait_until(), and wants an IPI */
} __attribute__((aligned(256)));

extern struct hart harts[MAX_HARTS];
extern unsigned n_harts;

static inline struct hart *self(void)
{
    struct hart *h;

    __asm__ volatile("mv %0, tp" : "=r"(h));
    return h;
}

/* ---- The command line: NAME=VALUE ... ------------------------------------------------- */

uint64_t arg_number(const char *name, uint64_t otherwise);
/* Does the list `name` hold the word? */
bool arg_has(const char *name, const char *word);
bool arg_given(const char *name);

/* ---- Memory --------------------------------------------------------------------------------
 * Plain accesses by volatile; the compiler puts nothing between, and the host decides. */

static inline uint64_t get64(const volatile uint64_t *p)
{
    return *p;
}

static inline void put64(volatile uint64_t *p, uint64_t value)
{
    *p = value;
}

static inline uint64_t acquire(const volatile uint64_t *p)
{
    uint64_t value = *p;

    __asm__ volatile("fence r, rw" ::: "memory");
    return value;
}

static inline void release(volatile uint64_t *p, uint64_t value)
{
    __asm__ volatile("fence rw, w" ::: "memory");
    *p = value;
}

static inline void full_fence(void)
{
    __asm__ volatile("fence rw, rw" ::: "memory");
}

static inline void pause(void)
{
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" ::: "memory");
}

static inline uint64_t time_now(void)
{
    uint64_t t;

    __asm__ volatile("fence iorw, iorw\n\trdtime %0\n\tfence iorw, iorw" : "=r"(t)::"memory");
    return t;
}

/* ---- Harts ---------------------------------------------------------------------------- */

/* Every hart runs fn, this one too; comes back when all have. */
void run_on_all(void (*fn)(unsigned index));

struct barrier {
    volatile uint64_t arrived, turn;
};

/* Waits for n harts. Spins, and sleeps when that takes long: there may be fewer processors. */
void barrier_wait(struct barrier *b, unsigned n);

/* Until *p is at least the value, likewise. Whoever raises it calls wake_sleepers(). */
void wait_until(const volatile uint64_t *p, uint64_t at_least);
void wake_sleepers(void);

/* Until *p is at least the value, by spinning only: nobody need wake us. */
void spin_for(const volatile uint64_t *p, uint64_t at_least);
/* The same; false after so many ticks. */
bool spin_until(const volatile uint64_t *p, uint64_t at_least, uint64_t ticks);

/* A test that has more harts than there are processors may wait a host's time slice a round: it
 * ends at its rounds, or `seconds=` after start_clock(). */
void start_clock(void);
bool in_time(void);

uint64_t random_below(uint64_t n);

/* Some hundred instructions at most. */
void delay(uint64_t steps);

/* ---- Firmware: SBI or the CLINT ------------------------------------------------------- */

extern uint64_t ticks_per_second;

unsigned firmware_start_harts(void); /* gives how many there are, this one included */
void firmware_stop(void);            /* this hart, until firmware_start() */
void firmware_start(unsigned index);
void send_ipi(unsigned index);
void clear_ipi(void);
/* Sleeps until an IPI or a timer is pending; it stays so. */
void wait_for_interrupt(void);
void set_timer(uint64_t deadline);
void enable_interrupts(bool on);
/* An interrupt's cause: software or timer? */
bool is_ipi(uint64_t cause);
bool is_timer(uint64_t cause);
/* What the others fetch from now on is what was written before. */
void remote_fence_i(void);
const char *firmware_name(void);

/* ---- Console and verdicts ------------------------------------------------------------- */

/* %s %u (uint64_t) %x %d (int). By one hart at a time. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void finish(unsigned status);
_Noreturn void die(const char *why, uint64_t a, uint64_t b);

/* A test's line: its name, what it counted, and how much of it may not be. */
void verdict(const char *name, uint64_t rounds, uint64_t forbidden, const char *what);
/* Behind a verdict: figures that decide nothing. */
void note(const char *name, const char *what, uint64_t value, const char *unit);
void skipped(const char *name, const char *why);
uint64_t rounds_of(uint64_t divisor); /* rounds of a test whose round costs so many others */

/* ---- The tests ------------------------------------------------------------------------ */

void *memset(void *to, int byte, size_t n);
void test_rows(void);
void test_lrsc(void);
void test_words(void);
void test_paging(void);
void test_code(void);
void test_wake(void);
void test_hsm(void);
void test_timer(void);
