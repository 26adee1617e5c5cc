/* Page tables that one hart changes and another uses (Sv39). The page that a window leads to holds
 * the number of the change that made it so; whoever has been fenced must not see an older one. */
#include "tests/litmus/guest.h"

#ifdef MACHINE
void test_paging(void)
{
    skipped("paging", "M mode");
}
#else
#include "tests/litmus/sbi.h"

#define WINDOW UINT64_C(0xc0000000) /* entry 3 of the root */
enum { V = 1, R = 2, W = 4, X = 8, A = 64, D = 128, RSW = 256, PAGE = 4096 };

static uint64_t root[512] __attribute__((aligned(PAGE)));
static uint64_t middle[512] __attribute__((aligned(PAGE)));
static volatile uint64_t leaf[512] __attribute__((aligned(PAGE)));
static volatile uint64_t page[2][512] __attribute__((aligned(PAGE)));
static volatile uint32_t code[2][1024] __attribute__((aligned(PAGE)));

static volatile uint64_t epoch __attribute__((aligned(LINE)));
static volatile uint64_t ended, wrong, runs, faults, go, done;
static struct barrier barrier __attribute__((aligned(LINE)));
static uint64_t wanted;

enum fence { BY_PAGE, BY_ALL, BY_ASID, BY_MESSAGE };
static enum fence how;

static uint64_t entry(const volatile void *target, uint64_t flags)
{
    return (uint64_t)target >> 12 << 10 | flags;
}

static void paging_on(void)
{
    root[0] = entry(NULL, V | R | W | A | D);
    root[2] = entry((void *)UINT64_C(0x80000000), V | R | W | X | A | D);
    root[3] = entry(middle, V);
    middle[0] = entry(leaf, V);
    full_fence();
    __asm__ volatile("csrw satp, %0\n\tsfence.vma" ::"r"(UINT64_C(8) << 60 | (uint64_t)root >> 12)
                     : "memory");
}

static void paging_off(void)
{
    __asm__ volatile("csrw satp, zero\n\tsfence.vma" ::: "memory");
}

static void fence_here(void)
{
    __asm__ volatile("sfence.vma" ::: "memory");
}

/* ---- Fences on the others, by firmware or by a message that is answered --------------- */

static volatile uint64_t fenced[MAX_HARTS][LINE / 8] __attribute__((aligned(LINE)));
static volatile uint64_t asked_for __attribute__((aligned(LINE)));

static void answer(void)
{
    fence_here();
    release(&fenced[self()->index][0], acquire(&asked_for));
}

static void fence_others(void)
{
    struct sbi_ret r = {0, 0};

    if (PLANT)
        return;
    fence_here();
    switch (how) {
    case BY_PAGE: r = sbi(SBI_RFENCE, RFENCE_VMA, 0, UINT64_MAX, WINDOW, PAGE, 0); break;
    case BY_ALL: r = sbi(SBI_RFENCE, RFENCE_VMA, 0, UINT64_MAX, 0, 0, 0); break;
    case BY_ASID: r = sbi(SBI_RFENCE, RFENCE_VMA_ASID, 0, UINT64_MAX, WINDOW, PAGE, 0); break;
    default:
        release(&asked_for, asked_for + 1);
        full_fence();
        for (unsigned h = 1; h < n_harts; h++)
            send_ipi(h);
        for (unsigned h = 1; h < n_harts; h++)
            spin_for(&fenced[h][0], asked_for);
    }
    if (r.error)
        die("no remote sfence", (uint64_t)r.error, how);
}

static void begin(unsigned index)
{
    paging_on();
    self()->on_ipi = answer;
    enable_interrupts(index != 0);
    barrier_wait(&barrier, n_harts);
}

static void end(void)
{
    enable_interrupts(false);
    self()->on_ipi = NULL;
    paging_off();
}

/* ---- Another page --------------------------------------------------------------------- */

static void change_page(unsigned index)
{
    volatile uint64_t *window = (volatile uint64_t *)WINDOW;
    uint64_t bad = 0, n_runs = 0;

    if (index == 0) {
        page[0][0] = 0;
        leaf[0] = entry(page[0], V | R | W | A | D);
    }
    barrier_wait(&barrier, n_harts);
    begin(index);
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            page[n % 2][0] = n;
            release(&leaf[0], entry(page[n % 2], V | R | W | A | D));
            fence_others();
            release(&epoch, n);
            delay(random_below(200));
        }
        release(&ended, 1);
    } else {
        while (!acquire(&ended)) {
            uint64_t n = acquire(&epoch);

            bad += *window < n;
            n_runs++;
        }
    }
    end();
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
    __atomic_add_fetch(&runs, n_runs, __ATOMIC_RELAXED);
}

/* The same for what is fetched: two pages of code that say which they are. */
static void change_code(unsigned index)
{
    uint64_t (*window)(void) = (uint64_t(*)(void))WINDOW;
    uint64_t bad = 0, n_runs = 0;

    if (index == 0) {
        for (unsigned n = 0; n < 2; n++) {
            code[n][0] = 0x00000513u | n << 20; /* li a0, n; ret */
            code[n][1] = 0x00008067;
        }
        leaf[0] = entry(code[0], V | X | A);
        remote_fence_i();
    }
    barrier_wait(&barrier, n_harts);
    begin(index);
    __asm__ volatile("fence.i");
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            release(&leaf[0], entry(code[n % 2], V | X | A));
            fence_others();
            release(&epoch, n);
            delay(random_below(200));
            /* Nothing changes until all have answered: else the page of n and that of n + 2 are
             * one. */
            for (unsigned h = 1; h < n_harts; h++)
                if (PLANT ? !spin_until(&done, n * (n_harts - 1), ticks_per_second / 100) : false)
                    break;
            if (!PLANT)
                spin_for(&done, n * (n_harts - 1));
        }
        release(&ended, 1);
    } else {
        for (uint64_t n = 1; n <= wanted; n++) {
            while (acquire(&epoch) < n && !acquire(&ended))
                n_runs += window() > 1; /* it runs there all the while */
            if (get64(&epoch) < n)
                break;
            bad += window() != n % 2;
            n_runs++;
            __atomic_add_fetch(&done, 1, __ATOMIC_RELEASE);
        }
    }
    end();
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
    __atomic_add_fetch(&runs, n_runs, __ATOMIC_RELAXED);
}

/* ---- Rights taken away ---------------------------------------------------------------- */

/* A store that faults is skipped, and counted. */
static uint64_t skip_store(uint64_t cause, uint64_t epc, uint64_t tval)
{
    if (cause != 15 || tval >> 12 != WINDOW >> 12)
        die("another fault", cause, tval);
    __atomic_add_fetch(&faults, 1, __ATOMIC_RELAXED);
    return epc + 4;
}

static void store_word(volatile uint64_t *p, uint64_t value)
{
    __asm__ volatile(".option push\n.option norvc\nsd %1, 0(%0)\n.option pop" ::"r"(p), "r"(value)
                     : "memory");
}

/* Once hart 0 has made the page read-only for all, no store of the others arrives any more. */
static void take_away(unsigned index)
{
    volatile uint64_t *window = (volatile uint64_t *)WINDOW;
    uint64_t bad = 0;

    if (index == 0)
        leaf[0] = entry(page[0], V | R | W | A | D);
    barrier_wait(&barrier, n_harts);
    self()->on_fault = index ? skip_store : NULL;
    begin(index);
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            uint64_t before[8];

            release(&leaf[0], entry(page[0], V | R | A | D));
            fence_others();
            for (unsigned i = 0; i < 8; i++)
                before[i] = page[0][i * 8];
            delay(500);
            for (unsigned i = 0; i < 8; i++)
                bad += before[i] != page[0][i * 8];
            release(&leaf[0], entry(page[0], V | R | W | A | D));
            fence_others();
            delay(random_below(500));
        }
        release(&ended, 1);
    } else {
        for (uint64_t n = 1; !acquire(&ended); n++)
            store_word(window + index % 8 * 8, n);
    }
    end();
    self()->on_fault = NULL;
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
}

/* ---- A and D -------------------------------------------------------------------------- */

static volatile uint64_t svade;

static uint64_t no_svadu(uint64_t cause, uint64_t epc, uint64_t tval)
{
    if (cause != 13 && cause != 15)
        die("another fault", cause, tval);
    svade = 1;
    return epc + 4;
}

/* Hart 0 counts in the entry's two bits for software, by compare and swap as Linux does; hart 1
 * makes the walk set A and D meanwhile. Neither may undo what the other did. PLANT: in two steps,
 * with time between them. */
static void count_in_entry(unsigned index)
{
    volatile uint64_t *window = (volatile uint64_t *)WINDOW;
    uint64_t bad = 0, fresh = entry(page[0], V | R | W);

    if (index > 1)
        return;
    paging_on();
    if (index == 1)
        self()->on_fault = no_svadu;
    for (uint64_t n = 1; n <= wanted && !svade; n++) {
        if (index == 1) {
            spin_for(&go, n);
            fence_here();
            delay(random_below(64));
            store_word(window, n);
            release(&done, n);
            continue;
        }
        put64(&leaf[0], fresh);
        release(&go, n);
        for (unsigned i = 0; i < 7; i++) {
            uint64_t old = get64(&leaf[0]);

            delay(random_below(32)); /* seven without take less time than the walk */
            if (PLANT)
                put64(&leaf[0], (old & ~UINT64_C(0x300)) | ((old + RSW) & 0x300));
            else
                while (!__atomic_compare_exchange_n(
                    &leaf[0], &old, (old & ~UINT64_C(0x300)) | ((old + RSW) & 0x300), false,
                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                    continue;
        }
        spin_for(&done, n);
        bad += leaf[0] != (fresh | A | D | 3 * RSW);
    }
    paging_off();
    self()->on_fault = NULL;
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
}

/* Who clears D and fences learns of every later store: if the page has changed, D is set. */
static void clean(unsigned index)
{
    volatile uint64_t *window = (volatile uint64_t *)WINDOW;
    uint64_t bad = 0;

    if (index == 0)
        leaf[0] = entry(page[0], V | R | W | A | D);
    barrier_wait(&barrier, n_harts);
    self()->on_fault = index ? skip_store : NULL;
    begin(index);
    if (index == 0) {
        for (uint64_t n = 1; n <= wanted && in_time(); n++) {
            uint64_t sum = 0, later = 0;

            __atomic_and_fetch(&leaf[0], ~(uint64_t)D, __ATOMIC_SEQ_CST);
            fence_others();
            for (unsigned i = 0; i < 8; i++)
                sum += page[0][i * 8];
            delay(random_below(100));
            for (unsigned i = 0; i < 8; i++)
                later += page[0][i * 8];
            full_fence();
            bad += later != sum && !(leaf[0] & D);
        }
        release(&ended, 1);
    } else {
        for (uint64_t n = 1; !acquire(&ended); n++) {
            store_word(window + index % 8 * 8, n);
            delay(random_below(50));
        }
    }
    end();
    self()->on_fault = NULL;
    __atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
}

static void try(const char *name, void (*fn)(unsigned), enum fence by, uint64_t n)
{
    how = by;
    epoch = ended = wrong = runs = faults = go = done = 0;
    wanted = n;
    start_clock();
    run_on_all(fn);
    verdict(name, n, wrong, "");
}

void test_paging(void)
{
    uint64_t n = rounds_of(10);

    try("paging.page", change_page, BY_PAGE, n);
    try("paging.all", change_page, BY_ALL, n);
    try("paging.asid", change_page, BY_ASID, n);
    try("paging.message", change_page, BY_MESSAGE, n);
    try("paging.code", change_code, BY_PAGE, n);
    try("paging.code-message", change_code, BY_MESSAGE, n);
    try("paging.read-only", take_away, BY_PAGE, n);
    note("paging.read-only", "stores that faulted:", faults, "");
    try("paging.read-only-message", take_away, BY_MESSAGE, n);
    svade = 0;
    how = BY_PAGE;
    wanted = 1;
    epoch = ended = wrong = go = done = 0;
    run_on_all(count_in_entry);
    if (svade) {
        skipped("paging.count", "A and D are set by software here (Svade)");
        return;
    }
    try("paging.count", count_in_entry, BY_PAGE, n_harts > 2 ? n / 10 : n);
    try("paging.clean", clean, BY_PAGE, n);
}
#endif
