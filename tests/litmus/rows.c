/* Runs what generate.py makes of patterns.txt. Each hart goes over an array of instances; before
 * each it waits for the others, but not for long, so that they meet if they run at all. */
#include "tests/litmus/guest.h"

typedef void row_fn(uint64_t *x, uint64_t *y, uint64_t *z, uint8_t *out);

enum outcome_kind { WEAK, TSO, INTERLEAVING };

struct outcome {
    uint16_t code; /* values as digits of base 4: registers, then final values */
    uint8_t kind;
};

struct row {
    const char *name;
    unsigned n_threads, n_registers, n_finals;
    unsigned can_fail; /* in a planted build: something forbidden can be seen */
    unsigned asked, n_outcomes;
    uint8_t first[4], n_results[4];
    row_fn *thread[4];
    const struct outcome *outcomes;
};

#include "rows.inc"

enum {
    N_ROWS = sizeof(rows) / sizeof(rows[0]),
    INSTANCES = 2048,
    CELLS = 24, /* of 8 bytes an instance: three lines */
    MAX_GROUPS = 4,
    MAX_THREADS = 4,
    MAX_VALUES = 6,
    N_CODES = 1 << 2 * MAX_VALUES,
    /* How often to look before it is not waited for any longer: at the start, where the others may
     * have to wake up, and later. Who was left alone asks again after so many instances. */
    START_PATIENCE = 100000,
    PATIENCE = 300,
    LONELY = 64,
};

/* So many harts as a row has threads play it together, beside other groups. */
static struct group {
    uint64_t cell[INSTANCES][CELLS] __attribute__((aligned(LINE)));
    uint8_t out[MAX_THREADS][INSTANCES][4] __attribute__((aligned(LINE)));
    struct {
        volatile uint64_t at;
    } __attribute__((aligned(LINE))) progress[MAX_THREADS];
    struct barrier barrier __attribute__((aligned(LINE)));
    uint64_t seen[N_CODES];
    uint64_t rounds;
} groups[MAX_GROUPS];

static const struct row *row;
static uint64_t wanted;

/* Where y and z lie: on lines of their own, or beside x. */
static void place(struct group *g, unsigned instance, bool near, uint64_t *at[3])
{
    uint64_t *x = g->cell[instance];

    at[0] = x;
    at[1] = x + (near ? 1 : LINE / 8);
    at[2] = x + (near ? 2 : 2 * LINE / 8);
}

/* Waits for the others at an instance; false if they did not come. */
static bool meet(struct group *g, unsigned thread, uint64_t number, unsigned patience)
{
    put64(&g->progress[thread].at, number);
    for (unsigned other = 0; other < row->n_threads; other++)
        while (get64(&g->progress[other].at) < number)
            if (patience-- == 0)
                return false;
    return true;
}

static void play(struct group *g, unsigned thread, uint64_t base, bool near)
{
    row_fn *fn = row->thread[thread];
    unsigned lonely = 0;

    for (unsigned i = 0; i < INSTANCES; i++) {
        uint64_t *at[3];

        place(g, i, near, at);
        if (lonely)
            lonely--;
        else if (!meet(g, thread, base + i, i ? PATIENCE : START_PATIENCE))
            lonely = LONELY;
        /* Who came last leaves first, by as long as a line takes from one processor to another. */
        delay(random_below(UINT64_C(1) << random_below(9)));
        fn(at[0], at[1], at[2], g->out[thread][i]);
    }
}

static void tally(struct group *g, bool near)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        unsigned code = 0, shift = 0;
        uint64_t *at[3];

        place(g, i, near, at);
        for (unsigned t = 0; t < row->n_threads; t++)
            for (unsigned r = 0; r < row->n_results[t]; r++)
                code |= (unsigned)g->out[t][i][r] % 4 << 2 * (row->first[t] + r);
        shift = 2 * row->n_registers;
        for (unsigned f = 0; f < row->n_finals; f++, shift += 2)
            code |= (unsigned)*at[f] % 4 << shift;
        g->seen[code]++;
        for (unsigned c = 0; c < 3; c++)
            put64(at[c], 0);
    }
    g->rounds += INSTANCES;
}

static void play_row(unsigned index)
{
    unsigned n = row->n_threads, which = index / n;
    struct group *g = &groups[which];
    uint64_t n_groups = n_harts / n < MAX_GROUPS ? n_harts / n : MAX_GROUPS;
    uint64_t batches = (wanted / n_groups + INSTANCES - 1) / INSTANCES;

    if (which >= n_groups)
        return;
    for (uint64_t batch = 0; batch < batches; batch++) {
        unsigned thread = (unsigned)((index % n + batch) % n);
        bool near = batch / n % 2;

        play(g, thread, batch * INSTANCES + 1, near);
        barrier_wait(&g->barrier, n);
        if (thread == 0)
            tally(g, near);
        barrier_wait(&g->barrier, n);
    }
}

static const struct outcome *find_outcome(unsigned code)
{
    for (unsigned i = 0; i < row->n_outcomes; i++)
        if (row->outcomes[i].code == code)
            return &row->outcomes[i];
    return NULL;
}

static void say_outcome(unsigned code, uint64_t count, const char *mark)
{
    unsigned values = row->n_registers + row->n_finals;

    say(" ");
    for (unsigned i = 0; i < values; i++) {
        say(i == row->n_registers ? "/" : i ? "," : "");
        say("%lu", (uint64_t)(code >> 2 * i & 3));
    }
    say(":%lu%s", count, mark);
}

/* The counts of all groups. An outcome that mere interleaving does not explain is marked: * where
 * TSO shows it, ~ where only weaker machines do, ! where it is forbidden. */
static void judge(void)
{
    static const char *const marks[] = {[WEAK] = "~", [TSO] = "*", [INTERLEAVING] = ""};
    uint64_t forbidden = 0, total = 0;

    say("      %s:", row->name);
    for (unsigned code = 0; code < N_CODES; code++) {
        const struct outcome *o = find_outcome(code);
        uint64_t count = 0;

        for (unsigned g = 0; g < MAX_GROUPS; g++)
            count += groups[g].seen[code];
        total += count;
        forbidden += o ? 0 : count;
        if (count || code == row->asked)
            say_outcome(code, count, o ? marks[o->kind] : "!");
    }
    say("\n");
    if (PLANT && !row->can_fail)
        return;
    verdict(row->name, total, forbidden, "");
}

/* A word of the list names a pattern or a row: "mp", "mp.tso". */
static bool chosen(const char *name)
{
    char pattern[32];
    unsigned n = 0;

    if (!arg_given("only") || arg_has("only", name))
        return true;
    for (; name[n] && name[n] != '.' && n < sizeof(pattern) - 1; n++)
        pattern[n] = name[n];
    pattern[n] = 0;
    return arg_has("only", pattern);
}

void test_rows(void)
{
    for (unsigned i = 0; i < N_ROWS; i++) {
        row = &rows[i];
        if (row->n_threads > n_harts || !chosen(row->name))
            continue;
        memset(groups, 0, sizeof(groups));
        wanted = rounds_of(1);
        run_on_all(play_row);
        judge();
    }
}
