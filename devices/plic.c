#include "devices/plic.h"

#include <string.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"

enum {
    PRIORITY_END = 4 * PLIC_SOURCES,
    PENDING = 0x1000,
    ENABLE = 0x2000,
    ENABLE_STRIDE = 0x80,
    CONTEXT = 0x200000,
    CONTEXT_STRIDE = 0x1000,
    CONTEXT_THRESHOLD = 0,
    CONTEXT_CLAIM = 4,
};

static bool test(const uint32_t *words, unsigned n)
{
    return (words[n / 32] >> (n % 32) & 1) != 0;
}

static void put(uint32_t *words, unsigned n, bool on)
{
    uint32_t mask = UINT32_C(1) << (n % 32);

    words[n / 32] = on ? words[n / 32] | mask : words[n / 32] & ~mask;
}

/* The source that the context would claim: the highest priority, of equal ones
 * the lowest number; 0 for none. Priority 0 means never. */
static unsigned best(const struct plic *p, const struct plic_context *c)
{
    unsigned found = 0;
    uint32_t found_priority = 0;

    for (unsigned w = 0; w < PLIC_WORDS; w++) {
        for (uint32_t bits = p->pending[w] & c->enable[w]; bits != 0; bits &= bits - 1) {
            unsigned n = w * 32 + (unsigned)__builtin_ctz(bits);

            if (p->priority[n] > found_priority) {
                found = n;
                found_priority = p->priority[n];
            }
        }
    }
    return found;
}

static void update_locked(struct plic *p)
{
    for (unsigned i = 0; i < p->n_contexts; i++) {
        struct plic_context *c = &p->context[i];
        unsigned n = best(p, c);
        bool out = n != 0 && p->priority[n] > c->threshold;

        if (out == c->out)
            continue;
        c->out = out;
        irq_set(&c->line, out);
    }
}

/* The claim does not look at the threshold (PLIC specification 1.0, chapter 7). */
static unsigned claim_locked(struct plic *p, struct plic_context *c)
{
    unsigned n = best(p, c);

    if (n == 0)
        return 0;
    put(p->pending, n, false);
    put(p->claimed, n, true);
    update_locked(p);
    return n;
}

/* A completion of a source that the context has not enabled is ignored (PLIC
 * specification 1.0, chapter 8). The gateway then looks at its level anew. */
static void complete_locked(struct plic *p, struct plic_context *c, uint32_t n)
{
    if (n == 0 || n >= PLIC_SOURCES || !test(c->enable, n) || !test(p->claimed, n))
        return;
    put(p->claimed, n, false);
    if (test(p->level, n))
        put(p->pending, n, true);
    update_locked(p);
}

/* A request that has passed the gateway stays pending though its level falls
 * (PLIC specification 1.0, section 1.4). */
static void set_level(void *arg, unsigned n, bool level)
{
    struct plic *p = arg;

    pthread_mutex_lock(&p->lock);
    if (test(p->level, n) != level) {
        log_line(LOG_irq, "plic: source %u %s", n, level ? "up" : "down");
        put(p->level, n, level);
        if (level && !test(p->claimed, n)) {
            put(p->pending, n, true);
            update_locked(p);
        }
    }
    pthread_mutex_unlock(&p->lock);
}

struct irq_line plic_line(struct plic *p, unsigned n)
{
    CHECK(n > 0 && n < PLIC_SOURCES);
    return (struct irq_line){.set = set_level, .arg = p, .n = n};
}

/* ---- Registers ------------------------------------------------------------------ */

static struct plic_context *find_context(struct plic *p, uint64_t i)
{
    return i < p->n_contexts ? &p->context[i] : NULL;
}

static uint64_t read_locked(struct plic *p, uint64_t offset)
{
    struct plic_context *c;

    if (offset < PRIORITY_END)
        return p->priority[offset / 4];
    if (offset >= PENDING && offset < PENDING + 4 * PLIC_WORDS)
        return p->pending[(offset - PENDING) / 4];
    if (offset >= ENABLE && offset < CONTEXT) {
        uint64_t word = (offset - ENABLE) % ENABLE_STRIDE / 4;

        c = find_context(p, (offset - ENABLE) / ENABLE_STRIDE);
        return c && word < PLIC_WORDS ? c->enable[word] : 0;
    }
    if (offset < CONTEXT)
        return 0;
    c = find_context(p, (offset - CONTEXT) / CONTEXT_STRIDE);
    if (c && offset % CONTEXT_STRIDE == CONTEXT_THRESHOLD)
        return c->threshold;
    if (c && offset % CONTEXT_STRIDE == CONTEXT_CLAIM)
        return claim_locked(p, c);
    return 0;
}

static void write_locked(struct plic *p, uint64_t offset, uint32_t value)
{
    struct plic_context *c;

    if (offset >= 4 && offset < PRIORITY_END) {
        p->priority[offset / 4] = value & PLIC_MAX_PRIORITY;
    } else if (offset >= ENABLE && offset < CONTEXT) {
        uint64_t word = (offset - ENABLE) % ENABLE_STRIDE / 4;

        c = find_context(p, (offset - ENABLE) / ENABLE_STRIDE);
        if (!c || word >= PLIC_WORDS)
            return;
        c->enable[word] = word == 0 ? value & ~UINT32_C(1) : value;
    } else if (offset >= CONTEXT) {
        c = find_context(p, (offset - CONTEXT) / CONTEXT_STRIDE);
        if (c && offset % CONTEXT_STRIDE == CONTEXT_CLAIM)
            complete_locked(p, c, value);
        if (!c || offset % CONTEXT_STRIDE != CONTEXT_THRESHOLD)
            return;
        c->threshold = value & PLIC_MAX_PRIORITY;
    }
    update_locked(p);
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct plic *p = device;
    uint64_t value;

    (void)size;
    pthread_mutex_lock(&p->lock);
    value = read_locked(p, offset);
    pthread_mutex_unlock(&p->lock);
    return value;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct plic *p = device;

    (void)size;
    pthread_mutex_lock(&p->lock);
    write_locked(p, offset, (uint32_t)value);
    pthread_mutex_unlock(&p->lock);
}

const struct phys_mmio plic_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 4, .max_size = 4};

/* ---- Life ------------------------------------------------------------------------ */

void plic_init(struct plic *p, const struct irq_line *lines, unsigned n_contexts)
{
    CHECK(n_contexts <= PLIC_MAX_CONTEXTS);
    *p = (struct plic){.n_contexts = n_contexts};
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < n_contexts; i++)
        p->context[i].line = lines[i];
}

void plic_fini(struct plic *p)
{
    pthread_mutex_destroy(&p->lock);
}

/* The levels are the devices': they stay. */
void plic_reset(struct plic *p)
{
    pthread_mutex_lock(&p->lock);
    memset(p->priority, 0, sizeof p->priority);
    memset(p->claimed, 0, sizeof p->claimed);
    memcpy(p->pending, p->level, sizeof p->pending);
    for (unsigned i = 0; i < p->n_contexts; i++) {
        memset(p->context[i].enable, 0, sizeof p->context[i].enable);
        p->context[i].threshold = 0;
    }
    update_locked(p);
    pthread_mutex_unlock(&p->lock);
}

void plic_state(struct plic *p, struct state_io *io)
{
    uint32_t n_contexts = p->n_contexts;

    pthread_mutex_lock(&p->lock);
    state_io_begin(io, "plic", 1);
    STATE_IO(io, n_contexts);
    if (n_contexts != p->n_contexts)
        io->failed = true;
    STATE_IO(io, p->priority);
    STATE_IO(io, p->level);
    STATE_IO(io, p->pending);
    STATE_IO(io, p->claimed);
    for (unsigned i = 0; i < p->n_contexts; i++) {
        STATE_IO(io, p->context[i].enable);
        STATE_IO(io, p->context[i].threshold);
    }
    update_locked(p);
    pthread_mutex_unlock(&p->lock);
}

/* ---- For the eye ------------------------------------------------------------------------- */

static void print_source(const struct plic *p, unsigned n, FILE *out)
{
    bool enabled = false;

    for (unsigned c = 0; c < p->n_contexts; c++)
        enabled |= test(p->context[c].enable, n);
    if (!enabled && !test(p->level, n) && !test(p->pending, n) && !test(p->claimed, n))
        return;
    fprintf(out, "source %2u: priority %u%s%s%s, enabled for", n, p->priority[n],
            test(p->level, n) ? ", line up" : "", test(p->pending, n) ? ", pending" : "",
            test(p->claimed, n) ? ", claimed" : "");
    for (unsigned c = 0; c < p->n_contexts; c++) {
        if (test(p->context[c].enable, n))
            fprintf(out, " %u", c);
    }
    fprintf(out, "%s\n", enabled ? "" : " nobody");
}

void plic_print(struct plic *p, FILE *out)
{
    pthread_mutex_lock(&p->lock);
    for (unsigned n = 1; n < PLIC_SOURCES; n++)
        print_source(p, n, out);
    for (unsigned c = 0; c < p->n_contexts; c++)
        fprintf(out, "context %u: threshold %u, line %s\n", c, p->context[c].threshold,
                p->context[c].out ? "up" : "down");
    pthread_mutex_unlock(&p->lock);
}
