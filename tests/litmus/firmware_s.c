/* S mode: harts, IPIs, timers and remote fences by SBI (RISC-V SBI specification 2.0). */
#include "tests/litmus/guest.h"
#include "tests/litmus/sbi.h"

#define SIE_SSIE (UINT64_C(1) << 1)
#define SIE_STIE (UINT64_C(1) << 5)

extern void secondary_entry(void);

unsigned firmware_start_harts(void)
{
    unsigned n = 1;

    __asm__ volatile("csrs sie, %0" ::"r"(SIE_SSIE | SIE_STIE));
    set_timer(UINT64_MAX);
    for (uint64_t id = 0; id < MAX_HARTS && n < MAX_HARTS; id++) {
        struct sbi_ret state = sbi(SBI_HSM, HSM_STATUS, id, 0, 0, 0, 0);

        if (id == self()->id || state.error)
            continue;
        harts[n].id = id;
        if (sbi(SBI_HSM, HSM_START, id, (uint64_t)secondary_entry, (uint64_t)&harts[n], 0, 0).error)
            die("cannot start hart", id, 0);
        n++;
    }
    return n;
}

void firmware_stop(void)
{
    sbi(SBI_HSM, HSM_STOP, 0, 0, 0, 0, 0);
}

void firmware_start(unsigned index)
{
    /* It may be on its way to stop still. */
    while (sbi(SBI_HSM, HSM_START, harts[index].id, (uint64_t)secondary_entry,
               (uint64_t)&harts[index], 0, 0)
               .error)
        pause();
}

void send_ipi(unsigned index)
{
    if (sbi(SBI_IPI, 0, 1, harts[index].id, 0, 0, 0).error)
        die("cannot send an IPI to hart", harts[index].id, 0);
}

void clear_ipi(void)
{
    __asm__ volatile("csrc sip, %0" ::"r"(SIE_SSIE) : "memory");
    full_fence();
}

void wait_for_interrupt(void)
{
    __asm__ volatile("csrs sie, %0\n\twfi" ::"r"(SIE_SSIE | SIE_STIE) : "memory");
}

void set_timer(uint64_t deadline)
{
    sbi(SBI_TIME, 0, deadline, 0, 0, 0, 0);
}

void enable_interrupts(bool on)
{
    __asm__ volatile("csrs sie, %0" ::"r"(SIE_SSIE | SIE_STIE) : "memory");
    if (on)
        __asm__ volatile("csrsi sstatus, 2" ::: "memory");
    else
        __asm__ volatile("csrci sstatus, 2" ::: "memory");
}

bool is_ipi(uint64_t cause)
{
    return cause == (UINT64_C(1) << 63 | 1);
}

bool is_timer(uint64_t cause)
{
    return cause == (UINT64_C(1) << 63 | 5);
}

void remote_fence_i(void)
{
    full_fence();
    __asm__ volatile("fence.i" ::: "memory");
    if (sbi(SBI_RFENCE, RFENCE_I, 0, UINT64_MAX, 0, 0, 0).error)
        die("no remote fence.i", 0, 0);
}

const char *firmware_name(void)
{
    return "S mode by SBI";
}
