/* Harts, barriers, console and verdicts: guest.h. */
#include "tests/litmus/guest.h"

#include <stdarg.h>

struct hart harts[MAX_HARTS];
unsigned n_harts = 1;
uint64_t ticks_per_second = 10000000;
static uint64_t rounds = 1000;
static uint64_t n_passed, n_failed, n_blind;

/* ---- Console: the UART, which S mode may reach under every firmware ------------------- */

#define UART      ((volatile uint8_t *)0x10000000)
#define FINISHER  ((volatile uint32_t *)0x100000)
#define UART_LSR  5
#define UART_THRE 0x20

static void put(char c)
{
    while (!(UART[UART_LSR] & UART_THRE))
        continue;
    UART[0] = (uint8_t)c;
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        put(digits[--n]);
}

static void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        while (*++format == 'l')
            continue;
        switch (*format) {
        case 's': put_text(va_arg(args, const char *)); break;
        case 'x': put_number(va_arg(args, uint64_t), 16); break;
        case 'd': put_number((uint64_t)va_arg(args, int), 10); break;
        default: put_number(va_arg(args, uint64_t), 10);
        }
    }
    va_end(args);
}

void finish(unsigned status)
{
    *FINISHER = status ? 0x3333 | status << 16 : 0x5555;
    for (;;)
        pause();
}

void die(const char *why, uint64_t a, uint64_t b)
{
    say("\nlitmus: hart %lu: %s: %lx %lx\n", (uint64_t)self()->index, why, a, b);
    finish(2);
}

/* ---- Verdicts ------------------------------------------------------------------------- */

void verdict(const char *name, uint64_t n_rounds, uint64_t forbidden, const char *what)
{
    bool good = PLANT ? forbidden > 0 : forbidden == 0;

    say("%s %s rounds %lu forbidden %lu",
        good    ? "ok   "
        : PLANT ? "blind"
                : "FAIL ",
        name, n_rounds, forbidden);
    say(*what ? " (%s)\n" : "%s\n", what);
    if (good)
        n_passed++;
    else
        n_failed++;
}

void note(const char *name, const char *what, uint64_t value, const char *unit)
{
    say("note  %s %s %lu %s\n", name, what, value, unit);
}

void skipped(const char *name, const char *why)
{
    say("skip  %s: %s\n", name, why);
    n_blind++;
}

uint64_t rounds_of(uint64_t divisor)
{
    return rounds / divisor < 20 ? 20 : rounds / divisor;
}

/* ---- The command line, out of the device tree ----------------------------------------- */

static char bootargs[512];

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Wants /chosen/bootargs and /cpus/timebase-frequency, whose names are unique (devicetree
 * specification 5.4). */
static void read_tree(const uint8_t *tree)
{
    const uint8_t *at, *strings;

    if (!tree || big32(tree) != 0xd00dfeed)
        return;
    at = tree + big32(tree + 8);
    strings = tree + big32(tree + 12);
    for (;;) {
        uint32_t token = big32(at);

        at += 4;
        if (token == 9)
            return;
        if (token == 1) {
            size_t n = 0;

            while (at[n])
                n++;
            at += (n + 4) & ~(size_t)3;
        } else if (token == 3) {
            uint32_t len = big32(at);
            const char *name = (const char *)strings + big32(at + 4);

            if (same(name, "bootargs"))
                for (uint32_t i = 0; i < len && i < sizeof(bootargs) - 1; i++)
                    bootargs[i] = (char)at[8 + i];
            else if (same(name, "timebase-frequency") && len == 4)
                ticks_per_second = big32(at + 8);
            at += 8 + ((len + 3) & ~3u);
        }
    }
}

/* Where the value of NAME=... begins, or NULL. */
static const char *arg_find(const char *name)
{
    for (const char *p = bootargs; *p;) {
        const char *n = name;

        while (*n && *p == *n)
            p++, n++;
        if (!*n && *p == '=')
            return p + 1;
        while (*p && *p != ' ')
            p++;
        while (*p == ' ')
            p++;
    }
    return NULL;
}

bool arg_given(const char *name)
{
    return arg_find(name) != NULL;
}

uint64_t arg_number(const char *name, uint64_t otherwise)
{
    const char *p = arg_find(name);
    uint64_t value = 0;

    if (!p)
        return otherwise;
    while (*p >= '0' && *p <= '9')
        value = value * 10 + (uint64_t)(*p++ - '0');
    return value;
}

bool arg_has(const char *name, const char *word)
{
    const char *p = arg_find(name);

    while (p && *p && *p != ' ') {
        const char *w = word;

        while (*w && *p == *w)
            p++, w++;
        if (!*w && (!*p || *p == ' ' || *p == ','))
            return true;
        while (*p && *p != ' ' && *p != ',')
            p++;
        p += *p == ',';
    }
    return false;
}

/* ---- Harts ---------------------------------------------------------------------------- */

uint64_t random_below(uint64_t n)
{
    uint64_t x = self()->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    self()->random = x;
    return (x >> 16) % n;
}

static uint64_t test_end;

void start_clock(void)
{
    test_end = time_now() + arg_number("seconds", 10) * ticks_per_second;
}

bool in_time(void)
{
    return time_now() < test_end;
}

void delay(uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++)
        __asm__ volatile("");
}

/* Long: a thread that the host wakes is put on the processor of who woke it, and two that share one
 * never meet. */
enum { SPINS_PER_LOOK = 64, SPIN_PARTS = 200 };

static bool spin(const volatile uint64_t *p, uint64_t at_least)
{
    uint64_t start = time_now();

    do {
        for (unsigned i = 0; i < SPINS_PER_LOOK; i++) {
            if (acquire(p) >= at_least)
                return true;
            pause();
        }
    } while (time_now() - start < ticks_per_second / SPIN_PARTS);
    return false;
}

void wait_until(const volatile uint64_t *p, uint64_t at_least)
{
    volatile bool *sleeps = &self()->sleeps;

    if (spin(p, at_least))
        return;
    /* Whoever raises *p looks at `sleeps` behind a full fence, as we at *p. */
    for (;;) {
        clear_ipi();
        *sleeps = true;
        full_fence();
        if (acquire(p) >= at_least)
            break;
        wait_for_interrupt();
    }
    *sleeps = false;
}

void wake_sleepers(void)
{
    full_fence();
    for (unsigned i = 0; i < n_harts; i++)
        if (*(volatile bool *)&harts[i].sleeps && i != self()->index)
            send_ipi(i);
}

void spin_for(const volatile uint64_t *p, uint64_t at_least)
{
    while (acquire(p) < at_least)
        pause();
}

bool spin_until(const volatile uint64_t *p, uint64_t at_least, uint64_t ticks)
{
    uint64_t end = time_now() + ticks;

    while (acquire(p) < at_least) {
        if (time_now() > end)
            return false;
        pause();
    }
    return true;
}

void barrier_wait(struct barrier *b, unsigned n)
{
    uint64_t turn = acquire(&b->turn);

    full_fence();
    if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_SEQ_CST) == n) {
        put64(&b->arrived, 0);
        release(&b->turn, turn + 1);
        wake_sleepers();
    } else {
        wait_until(&b->turn, turn + 1);
    }
    full_fence();
}

void run_on_all(void (*fn)(unsigned index))
{
    for (unsigned i = 1; i < n_harts; i++) {
        harts[i].fn = fn;
        release(&harts[i].job, harts[i].job + 1);
    }
    wake_sleepers();
    fn(0);
    for (unsigned i = 1; i < n_harts; i++)
        wait_until(&harts[i].done, harts[i].job);
}

static void hart_ready(struct hart *h)
{
    h->index = (unsigned)(h - harts);
    h->random = (arg_number("seed", 1) << 8 | h->index) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* Where every hart but the first lives. */
void secondary_main(uint64_t id)
{
    struct hart *h = self();

    h->id = id;
    hart_ready(h);
    for (uint64_t job = h->done + 1;; job++) {
        wait_until(&h->job, job);
        h->fn(h->index);
        release(&h->done, job);
        wake_sleepers();
    }
}

/* From trap_entry; gives where to go on. */
uint64_t trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    struct hart *h = self();

    if (is_ipi(cause)) {
        clear_ipi();
        h->n_ipis++;
        if (h->on_ipi)
            h->on_ipi();
    } else if (is_timer(cause) && h->on_timer) {
        h->on_timer();
    } else if (cause >> 63 == 0 && h->on_fault) {
        return h->on_fault(cause, epc, tval);
    } else {
        say("\nlitmus: trap %lx at %lx, tval %lx", cause, epc, tval);
        die("nobody wants it", cause, epc);
    }
    return epc;
}

/* ---- All of it ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*run)(void);
    unsigned harts;
} tests[] = {
    {"rows", test_rows, 2},     {"lrsc", test_lrsc, 2},   {"words", test_words, 2},
    {"paging", test_paging, 2}, {"code", test_code, 2},   {"wake", test_wake, 2},
    {"hsm", test_hsm, 2},       {"timer", test_timer, 1},
};

void main(uint64_t id, const uint8_t *tree)
{
    read_tree(tree);
    harts[0].id = id;
    hart_ready(&harts[0]);
    rounds = arg_number("rounds", rounds);
    n_harts = firmware_start_harts();
    say("\nlitmus: %lu harts, %s, %lu rounds, seed %lu%s\n", (uint64_t)n_harts, firmware_name(),
        rounds, arg_number("seed", 1), PLANT ? ", planted faults" : "");
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (arg_given("tests") && !arg_has("tests", tests[i].name))
            continue;
        if (n_harts < tests[i].harts)
            skipped(tests[i].name, "too few harts");
        else
            tests[i].run();
    }
    say("litmus: %lu passed, %lu failed, %lu skipped\n", n_passed, n_failed, n_blind);
    finish(n_failed ? 1 : 0);
}

/* The compiler may ask for these. */
void *memset(void *to, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}
