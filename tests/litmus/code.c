/* Code that one hart writes and others run. A function returns the number of the change it was
 * written by; whoever has been told of a change must not run what was there before. */
#include "tests/litmus/guest.h"

enum { PAGE = 4096, FIELD_MAX = 2047 };

/* The code under test has a page of its own, or shares it with what is stored to all the time. */
static struct {
    uint32_t code[64];
    volatile uint64_t data[32];
} pages[2] __attribute__((aligned(PAGE)));

static volatile uint64_t epoch __attribute__((aligned(LINE)));
static volatile uint64_t ended, wrong, runs;
static volatile uint64_t answered[MAX_HARTS][LINE / 8] __attribute__((aligned(LINE)));
static struct barrier barrier __attribute__((aligned(LINE)));
static uint64_t wanted;
static bool share_page;

static uint32_t li_a0(uint64_t n)
{
    return 0x00000513u | (uint32_t)n << 20;
}

enum { RET = 0x00008067, J_SELF = 0x0000006f, NOP = 0x00000013 };

static volatile uint32_t *code(void)
{
    return share_page ? &pages[1].code[0] : &pages[0].code[0];
}

static volatile uint64_t *data(void)
{
    return share_page ? &pages[1].data[0] : (volatile uint64_t *)&pages[0].data[0] + PAGE / 8;
}

static void fence_i(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

/* Did it run what change n replaced? The numbers wrap, so nothing can be said of a caller that was
 * held up for so long that the writer is far ahead. */
static bool is_old(uint64_t got, uint64_t n)
{
    uint64_t ahead = (got + FIELD_MAX - n % FIELD_MAX) % FIELD_MAX;

    return ahead > FIELD_MAX / 2 && acquire(&epoch) - n < FIELD_MAX / 4;
}

static uint64_t call_code(volatile uint32_t *at)
{
    return ((uint64_t(*)(void))(uintptr_t)at)();
}

/* How the others learn of a change. */
static bool by_firmware;

/* Hart 0 writes change n, makes all see it, and then says so. PLANT: it says so first. */
static void publish(volatile uint32_t *at, uint32_t insn, uint64_t n)
{
    if (PLANT)
        release(&epoch, n);
    if (PLANT)
        delay(200);
    if (n % 3 == 0)
        __atomic_exchange_n(at, insn, __ATOMIC_RELAXED);
    else
        *at = insn;
    if (by_firmware)
        remote_fence_i();
    else
        fence_i();
    release(&epoch, n);
}

/* ---- The reader is told, fences if the writer did not, and calls ---------------------- */

static void patch_and_call(unsigned index)
{
    volatile uint32_t *f = code();
    uint64_t bad = 0, n_runs = 0;

    if (index == 0) {
        f[0] = li_a0(0);
        f[1] = RET;
        fence_i();
        if (by_firmware)
            remote_fence_i();
    }
    barrier_wait(&barrier, n_harts);
    fence_i();
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            publish(f, li_a0(n % FIELD_MAX), n);
            data()[0] = n;
            delay(random_below(64));
        }
        release(&ended, 1);
    } else {
        while (!acquire(&ended)) {
            uint64_t n = acquire(&epoch), got;

            if (!by_firmware)
                fence_i();
            got = call_code(f);
            bad += is_old(got, n);
            data()[index] = n;
            n_runs++;
        }
    }
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
    __atomic_add_fetch(&runs, n_runs, __ATOMIC_RELAXED);
}

/* ---- The same inside one block: load of the epoch, then the changed instruction ------- */

/* f(epoch, data): fence r,rw and the instruction under test directly behind the load. Returns the
 * epoch in a1's place: a0 the number it ran. */
static const uint32_t loaded_and_run[] = {
    0x00053583, /* ld a1, 0(a0) */
    0x0230000f, /* fence r, rw */
    0x00000513, /* li a0, N: the one that changes */
    RET,
};

static void patch_in_block(unsigned index)
{
    volatile uint32_t *f = code();
    uint64_t bad = 0, n_runs = 0;

    if (index == 0) {
        for (unsigned i = 0; i < sizeof(loaded_and_run) / 4; i++)
            f[i] = loaded_and_run[i];
        remote_fence_i();
    }
    barrier_wait(&barrier, n_harts);
    fence_i();
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            publish(&f[2], li_a0(n % FIELD_MAX), n);
            delay(random_below(64));
        }
        release(&ended, 1);
    } else {
        while (!acquire(&ended)) {
            register const volatile uint64_t *a0 __asm__("a0") = &epoch;
            register uint64_t a1 __asm__("a1");

            __asm__ volatile("jalr %2" : "+r"(a0), "=r"(a1) : "r"(f) : "ra", "memory");
            bad += is_old((uint64_t)a0, a1);
            n_runs++;
        }
    }
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
    __atomic_add_fetch(&runs, n_runs, __ATOMIC_RELAXED);
}

/* ---- Out of an endless loop ----------------------------------------------------------- */

/* The others run `1: j 1b`; hart 0 writes `ret` over it. With a remote fence they must come back;
 * without any fence on their side only the firmware can make them look. PLANT: it is not written.
 */
static void patch_out(unsigned index)
{
    volatile uint32_t *f = code();

    for (uint64_t n = 1;; n++) {
        if (index == 0) {
            *f = J_SELF;
            remote_fence_i();
            ended = n > wanted || !in_time();
            runs = n - 1;
        }
        barrier_wait(&barrier, n_harts);
        if (ended)
            break;
        if (index == 0) {
            delay(random_below(2000));
            *f = PLANT ? J_SELF : RET;
            remote_fence_i();
            for (unsigned h = 1; h < n_harts; h++)
                if (!spin_until(&answered[h][0], n, ticks_per_second * (PLANT ? 1 : 20)))
                    wrong = wrong + 1;
            *f = RET;
            remote_fence_i();
        } else {
            fence_i();
            call_code(f);
            release(&answered[index][0], n);
        }
        barrier_wait(&barrier, n_harts);
    }
}

/* ---- Changes without a fence: the old or the new, nothing else ------------------------ */

static void patch_unfenced(unsigned index)
{
    volatile uint32_t *f = code();
    uint64_t bad = 0, n_runs = 0;

    if (index == 0) {
        f[0] = li_a0(1);
        f[1] = RET;
        remote_fence_i();
    }
    barrier_wait(&barrier, n_harts);
    fence_i();
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            *f = li_a0(PLANT ? 3 : 1 + n % 2);
            delay(random_below(64));
        }
        release(&ended, 1);
    } else {
        while (!acquire(&ended)) {
            uint64_t got = call_code(f);

            bad += got != 1 && got != 2;
            n_runs++;
        }
    }
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
    __atomic_add_fetch(&runs, n_runs, __ATOMIC_RELAXED);
}

static void try(const char *name, void (*fn)(unsigned), bool firmware, bool shared, uint64_t n)
{
    by_firmware = firmware;
    share_page = shared;
    epoch = ended = wrong = runs = 0;
    for (unsigned h = 0; h < MAX_HARTS; h++)
        answered[h][0] = 0;
    wanted = n;
    start_clock();
    run_on_all(fn);
    verdict(name, n, wrong, "old code was run");
    note(name, "calls by the others:", runs, "");
}

void test_code(void)
{
#ifdef MACHINE
    const bool firmware = false;
#else
    const bool firmware = true;
#endif

    try("code.message", patch_and_call, false, false, rounds_of(10));
    try("code.message-shared", patch_and_call, false, true, rounds_of(10));
    if (!firmware) {
        skipped("code.firmware", "no remote fence without firmware");
        return;
    }
    try("code.rfence", patch_and_call, true, false, rounds_of(10));
    try("code.rfence-shared", patch_and_call, true, true, rounds_of(10));
    try("code.block", patch_in_block, true, false, rounds_of(10));
    try("code.block-shared", patch_in_block, true, true, rounds_of(10));
    try("code.loop", patch_out, true, false, PLANT ? 2 : rounds_of(100));
    try("code.loop-shared", patch_out, true, true, PLANT ? 2 : rounds_of(100));
    try("code.unfenced", patch_unfenced, true, false, rounds_of(10));
    try("code.unfenced-shared", patch_unfenced, true, true, rounds_of(10));
}
