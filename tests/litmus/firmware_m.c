/* M mode without firmware: all harts start at reset, the CLINT has IPIs and timers, and a remote
 * fence is an IPI that is answered. */
#include "tests/litmus/guest.h"

#define MSIP     ((volatile uint32_t *)0x2000000)
#define MTIMECMP ((volatile uint64_t *)0x2004000)
#define MIE_MSIE (UINT64_C(1) << 3)
#define MIE_MTIE (UINT64_C(1) << 7)

extern volatile uint32_t next_hart;

/* The others have come when none has for a while, or when those that `harts=` promises have. */
unsigned firmware_start_harts(void)
{
    uint64_t want = arg_number("harts", MAX_HARTS), end = time_now() + ticks_per_second / 5;
    unsigned n = 1, now;

    set_timer(UINT64_MAX);
    while (time_now() < end && n < want) {
        now = 1 + next_hart;
        if (now != n)
            end = time_now() + ticks_per_second / 5;
        n = now;
        pause();
    }
    if (n > MAX_HARTS || (arg_given("harts") && n != want))
        die("so many harts came, so many were promised", n, want);
    return n;
}

/* There is nobody who could stop it. */
void firmware_stop(void)
{
}

void firmware_start(unsigned index)
{
    (void)index;
}

void send_ipi(unsigned index)
{
    __asm__ volatile("fence rw, ow" ::: "memory");
    MSIP[harts[index].id] = 1;
}

void clear_ipi(void)
{
    MSIP[self()->id] = 0;
    __asm__ volatile("fence iorw, iorw" ::: "memory");
}

void wait_for_interrupt(void)
{
    __asm__ volatile("csrs mie, %0\n\twfi" ::"r"(MIE_MSIE | MIE_MTIE) : "memory");
}

void set_timer(uint64_t deadline)
{
    MTIMECMP[self()->id] = deadline;
}

void enable_interrupts(bool on)
{
    __asm__ volatile("csrs mie, %0" ::"r"(MIE_MSIE | MIE_MTIE) : "memory");
    if (on)
        __asm__ volatile("csrsi mstatus, 8" ::: "memory");
    else
        __asm__ volatile("csrci mstatus, 8" ::: "memory");
}

bool is_ipi(uint64_t cause)
{
    return cause == (UINT64_C(1) << 63 | 3);
}

bool is_timer(uint64_t cause)
{
    return cause == (UINT64_C(1) << 63 | 7);
}

void remote_fence_i(void)
{
    die("no remote fence without firmware", 0, 0);
}

const char *firmware_name(void)
{
    return "M mode without firmware";
}
