/* LR and SC between harts: no update is lost, everybody gets on, and what another hart stores
 * between the two makes the SC fail. */
#include "tests/litmus/guest.h"

static struct {
    volatile uint64_t word[8];
} shared __attribute__((aligned(4096)));
static struct barrier barrier __attribute__((aligned(LINE)));
static uint64_t wanted;
static volatile uint64_t most_tries[MAX_HARTS];

/* ---- Counters ------------------------------------------------------------------------- */

static uint64_t add_to(volatile uint64_t *p, uint64_t n)
{
    uint64_t old, failed, tries = 0;

    if (PLANT) {
        put64(p, get64(p) + n);
        return 1;
    }
    do {
        tries++;
        __asm__ volatile("lr.d %0, (%2)\n\tadd %0, %0, %3\n\tsc.d %1, %0, (%2)"
                         : "=&r"(old), "=&r"(failed)
                         : "r"(p), "r"(n)
                         : "memory");
    } while (failed);
    return tries;
}

static uint64_t add_one_word(volatile uint32_t *p)
{
    uint64_t old, failed, tries = 0;

    if (PLANT) {
        *p = *p + 1;
        return 1;
    }
    do {
        tries++;
        __asm__ volatile("lr.w.aq %0, (%2)\n\taddiw %0, %0, 1\n\tsc.w.rl %1, %0, (%2)"
                         : "=&r"(old), "=&r"(failed)
                         : "r"(p)
                         : "memory");
    } while (failed);
    return tries;
}

/* Word 0 is counted by all, and so are the two halves of word 1, in turns. */
static void count_up(unsigned index)
{
    volatile uint32_t *halves = (volatile uint32_t *)&shared.word[1];
    uint64_t most = 0;

    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t a = add_to(&shared.word[0], 1);
        uint64_t b = add_one_word(&halves[i % 2]);

        most = a > most ? a : most;
        most = b > most ? b : most;
    }
    most_tries[index] = most;
}

static void counters(void)
{
    uint64_t most = 0, lost, lost_half;

    wanted = rounds_of(1) * 10;
    run_on_all(count_up);
    for (unsigned i = 0; i < n_harts; i++)
        most = most_tries[i] > most ? most_tries[i] : most;
    lost = n_harts * wanted - shared.word[0];
    lost_half = (uint32_t)(n_harts * (wanted - wanted / 2) - (uint32_t)shared.word[1]);
    lost_half += (uint32_t)(n_harts * (wanted / 2) - (shared.word[1] >> 32));
    verdict("lrsc.counter", wanted, lost, "lost updates");
    verdict("lrsc.counter-halves", wanted, lost_half, "lost updates");
    note("lrsc.counter", "most tries of one update:", most, "");
}

/* ---- A store of another hart's between LR and SC -------------------------------------- */

enum interference {
    BYTE,
    HALF,
    WORD,
    UPPER,
    DOUBLE,
    AMO,
    LRSC,
    ABA, /* from here on only --lrsc=strict notices */
    SAME,
    SAME_BYTE,
    SAME_ACROSS,
    SAME_AMO,
    SAME_LRSC,
    SAME_LATE,
    NOTHING,
    N_INTERFERENCES
};

static const char *const interference_names[] = {
    "lrsc.sb",          "lrsc.sh",       "lrsc.sw",        "lrsc.sw-upper",  "lrsc.sd",
    "lrsc.amo",         "lrsc.lrsc",     "lrsc.aba",       "lrsc.same",      "lrsc.same-byte",
    "lrsc.same-across", "lrsc.same-amo", "lrsc.same-lrsc", "lrsc.same-late", "lrsc.nothing",
};

static enum interference how;
static volatile uint64_t go, done;
static uint64_t passed_scs;

/* Its upper half is p's lower one; what is beneath does not matter. */
static void store_across(volatile uint64_t *p, uint64_t old)
{
    __asm__ volatile("sd %1, (%0)" : : "r"((uintptr_t)p - 4), "r"(old << 32) : "memory");
}

static void interfere(volatile uint64_t *p)
{
    uint64_t old = get64(p);

    switch (how) {
    case BYTE: *(volatile uint8_t *)p ^= 1; break;
    case HALF: *((volatile uint16_t *)p + 1) ^= 1; break;
    case WORD: *(volatile uint32_t *)p ^= 1; break;
    case UPPER: *((volatile uint32_t *)p + 1) ^= 1; break;
    case DOUBLE: put64(p, old + 1); break;
    case AMO: __atomic_add_fetch(p, 1, __ATOMIC_RELAXED); break;
    case LRSC: add_to(p, 1); break;
    case ABA:
        put64(p, old + 1);
        put64(p, old);
        break;
    case SAME: put64(p, old); break;
    case SAME_BYTE: ((volatile uint8_t *)p)[5] = (uint8_t)(old >> 40); break;
    case SAME_ACROSS: store_across(p, old); break;
    case SAME_AMO: __atomic_fetch_or(p, 0, __ATOMIC_RELAXED); break;
    case SAME_LRSC: add_to(p, 0); break;
    case SAME_LATE: /* the page has been stored to before */
        for (unsigned i = 0; i < 200; i++)
            put64(p + 1, i);
        put64(p, old);
        break;
    default: break;
    }
}

/* Hart 0 has the reservation while hart 1 stores. */
static void between(unsigned index)
{
    volatile uint64_t *p = &shared.word[2];

    if (index > 1)
        return;
    for (uint64_t i = 1; i <= wanted; i++) {
        uint64_t failed, old, spins;

        if (index == 1) {
            spin_for(&go, i);
            if (!PLANT)
                interfere(p);
            release(&done, i);
            continue;
        }
        /* All in one piece, so that nothing of the compiler's comes between. */
        __asm__ volatile("lr.d.aq %0, (%3)\n"
                         "fence rw, rw\n"
                         "sd %6, (%4)\n"
                         "li %2, 1 << 22\n"
                         "1: .insn i 0x0f, 0, x0, x0, 0x010\n" /* pause */
                         "ld %1, (%5)\n"
                         "addi %2, %2, -1\n"
                         "beqz %2, 2f\n"
                         "bltu %1, %6, 1b\n"
                         "2: fence r, rw\n"
                         "addi %0, %0, 100\n"
                         "sc.d %1, %0, (%3)"
                         : "=&r"(old), "=&r"(failed), "=&r"(spins)
                         : "r"(p), "r"(&go), "r"(&done), "r"(i)
                         : "memory");
        if (spins)
            passed_scs += !failed;
        spin_for(&done, i);
    }
}

/* ABA and a store of the same value: the letter says fail. An SC that compares values passes, which
 * no lock or list in wide use minds; with --lrsc=strict it must not. */
static void interferences(void)
{
    bool strict = arg_has("lrsc", "strict");

    wanted = rounds_of(50);
    for (how = 0; how < N_INTERFERENCES; how++) {
        go = done = passed_scs = 0;
        run_on_all(between);
        if (how == NOTHING) {
            if (!PLANT)
                verdict(interference_names[how], wanted, passed_scs == 0, "not one SC passed");
        } else if (how < ABA || strict) {
            verdict(interference_names[how], wanted, passed_scs, "an SC passed");
        } else if (!PLANT) {
            note(interference_names[how], "SCs passed:", passed_scs, "(documented)");
        }
    }
}

/* ---- A stack whose nodes come back: what ABA breaks ----------------------------------- */

enum { N_NODES = 64 };
static struct node {
    volatile uint64_t next; /* its index + 1 */
    volatile uint64_t owner;
} nodes[N_NODES] __attribute__((aligned(LINE)));
static volatile uint64_t top __attribute__((aligned(LINE)));
static volatile uint64_t twice;

static uint64_t pop(void)
{
    uint64_t first, failed, next;

    do {
        /* The link is read between the two: with a mere comparison it may be old by the SC. */
        __asm__ volatile("lr.d.aq %0, (%3)\n"
                         "li %1, 0\n"
                         "beqz %0, 1f\n"
                         "slli %2, %0, 4\n"
                         "add %2, %2, %4\n"
                         "ld %2, -16(%2)\n"
                         "sc.d.aqrl %1, %2, (%3)\n"
                         "1:"
                         : "=&r"(first), "=&r"(failed), "=&r"(next)
                         : "r"(&top), "r"(nodes)
                         : "memory");
    } while (failed);
    return first;
}

static void push(uint64_t node)
{
    uint64_t first, failed;

    do {
        first = get64(&top);
        put64(&nodes[node - 1].next, first);
        __asm__ volatile("fence rw, w\n"
                         "lr.d %0, (%2)\n"
                         "li %1, 1\n"
                         "bne %0, %4, 1f\n"
                         "sc.d.rl %1, %3, (%2)\n"
                         "1:"
                         : "=&r"(first), "=&r"(failed)
                         : "r"(&top), "r"(node), "r"(first)
                         : "memory");
    } while (failed);
}

static void pop_and_push(unsigned index)
{
    uint64_t mine[4];

    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 0; i < wanted; i++) {
        unsigned n = 0;

        for (; n < 4; n++) {
            mine[n] = pop();
            if (!mine[n])
                break;
            if (__atomic_exchange_n(&nodes[mine[n] - 1].owner, index + 1, __ATOMIC_ACQ_REL))
                __atomic_add_fetch(&twice, 1, __ATOMIC_RELAXED);
        }
        while (n--) {
            put64(&nodes[mine[n] - 1].owner, 0);
            push(mine[n]);
        }
    }
}

static void stack(void)
{
    uint64_t n = 0;

    if (!arg_has("lrsc", "strict")) {
        note("lrsc.stack", "is for", 0,
             "--lrsc=strict: a stack without counters is what ABA breaks");
        return;
    }
    wanted = rounds_of(4);
    for (unsigned i = 0; i < N_NODES; i++)
        push(i + 1);
    run_on_all(pop_and_push);
    for (uint64_t node = top; node && n <= N_NODES; node = nodes[node - 1].next)
        n++;
    verdict("lrsc.stack", wanted, twice + (n != N_NODES), "nodes owned twice or lost");
}

void test_lrsc(void)
{
    counters();
    interferences();
    if (!PLANT)
        stack();
}
