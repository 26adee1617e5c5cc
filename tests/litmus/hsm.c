/* Harts that stop and start again (SBI specification, "Hart State Management Extension"). */
#include "tests/litmus/guest.h"

#ifdef MACHINE
void test_hsm(void)
{
    skipped("hsm", "no firmware");
}
#else
#include "tests/litmus/sbi.h"

static volatile uint64_t started[MAX_HARTS], wrong, woken;
static struct hart *volatile given;

static int64_t status(unsigned index)
{
    struct sbi_ret r = sbi(SBI_HSM, HSM_STATUS, harts[index].id, 0, 0, 0, 0);

    return r.error ? r.error : (int64_t)r.value;
}

static void expect(bool good)
{
    if (!good)
        wrong = wrong + 1;
}

/* Where a hart that is started again comes, without a stack: it looks at its registers, counts and
 * stops. satp and sstatus.SIE must be 0, a0 the id, a1 what was handed over. */
__attribute__((naked, aligned(4))) static void started_again(void)
{
    __asm__ volatile("ld t0, 8(a1)\n" /* struct hart: id */
                     "bne t0, a0, 1f\n"
                     "csrr t0, satp\n"
                     "bnez t0, 1f\n"
                     "csrr t0, sstatus\n"
                     "andi t0, t0, 2\n"
                     "bnez t0, 1f\n"
                     "lwu t0, 0(a1)\n" /* index */
                     "slli t0, t0, 3\n"
                     "la t1, %0\n"
                     "add t0, t0, t1\n"
                     "li t1, 1\n"
                     "amoadd.d.aqrl zero, t1, (t0)\n"
                     "1: li a7, 0x48534d\n"
                     "li a6, 1\n"
                     "ecall\n"
                     "2: j 2b\n" ::"S"(&started));
}

static void leave(unsigned index)
{
    if (index)
        firmware_stop();
}

static void wait_for_state(unsigned index, int64_t state)
{
    while (status(index) != state)
        pause();
}

/* All but the first stop; each is started and stops again, over and over. */
static void cycles(uint64_t n)
{
    for (unsigned h = 1; h < n_harts; h++) {
        harts[h].fn = leave;
        release(&harts[h].job, harts[h].job + 1);
    }
    wake_sleepers();
    for (unsigned h = 1; h < n_harts; h++)
        wait_for_state(h, HSM_STOPPED);
    for (uint64_t i = 1; i <= n; i++) {
        for (unsigned h = 1; h < n_harts; h++) {
            struct hart *hand = PLANT ? &harts[0] : &harts[h];
            struct sbi_ret r =
                sbi(SBI_HSM, HSM_START, harts[h].id, (uint64_t)started_again, (uint64_t)hand, 0, 0);

            expect(r.error == 0);
        }
        for (unsigned h = 1; h < n_harts; h++) {
            if (!spin_until(&started[h], i, ticks_per_second * (PLANT ? 1 : 20) / 10)) {
                expect(false);
                started[h] = i;
            }
            wait_for_state(h, HSM_STOPPED);
        }
        if (PLANT)
            break;
    }
    /* Back to secondary_main(), which takes its next job: the last one counts as done. */
    for (unsigned h = 1; h < n_harts; h++) {
        harts[h].done = harts[h].job;
        harts[h].sleeps = false;
        firmware_start(h);
    }
}

static void answers(void)
{
    expect(status(0) == HSM_STARTED);
    for (unsigned h = 1; h < n_harts; h++) {
        while (status(h) == HSM_START_PENDING) /* it may not have run yet */
            pause();
        expect(status(h) == HSM_STARTED);
        expect(sbi(SBI_HSM, HSM_START, harts[h].id, (uint64_t)started_again, 0, 0, 0).error ==
               SBI_ALREADY_AVAILABLE);
    }
    expect(sbi(SBI_HSM, HSM_STATUS, 1000, 0, 0, 0, 0).error == (PLANT ? 0 : SBI_INVALID_PARAM));
    expect(sbi(SBI_HSM, HSM_START, 1000, (uint64_t)started_again, 0, 0, 0).error ==
           SBI_INVALID_PARAM);
}

/* Retentive suspend is WFI by another name. */
static void suspend(void)
{
    enable_interrupts(false); /* but sie says what wakes */
    for (uint64_t i = 1; i <= 20; i++) {
        clear_ipi();
        release(&woken, 2 * i - 1);
        sbi(SBI_HSM, HSM_SUSPEND, 0, 0, 0, 0, 0);
        release(&woken, 2 * i);
    }
}

static void suspend_and_wake(unsigned index)
{
    if (index == 1) {
        suspend();
        return;
    }
    for (uint64_t i = 1; index == 0 && i <= 20; i++) {
        while (acquire(&woken) < 2 * i - 1)
            pause();
        delay(1000 * (i % 4));
        if (!PLANT)
            send_ipi(1);
        if (!spin_until(&woken, 2 * i, ticks_per_second * (PLANT ? 1 : 20) / 10)) {
            expect(false);
            send_ipi(1);
        }
    }
}

void test_hsm(void)
{
    uint64_t n = rounds_of(100) > 10000 ? 10000 : rounds_of(100);

    wrong = 0;
    answers();
    verdict("hsm.answers", 1, wrong, "wrong answers");
    wrong = 0;
    cycles(n);
    verdict("hsm.cycles", n, wrong, "not started as it should be");
    wrong = woken = 0;
    run_on_all(suspend_and_wake);
    verdict("hsm.suspend", 20, wrong, "not woken");
}
#endif
