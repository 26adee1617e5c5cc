/* One CSR instruction: is it legal, what is read, what is written. The registers
 * themselves are rows of rv_csr.def. */
#include <inttypes.h>
#include <string.h>

#include "frontend/riscv/rv_helper.h"
#include "frontend/riscv/sys/sys.h"

struct csr {
    bool (*exists)(const struct rv_hart *h, unsigned n);
    uint64_t (*get)(const struct rv_hart *h, unsigned n);
    void (*set)(struct rv_hart *h, unsigned n, uint64_t old, uint64_t v);
    uint16_t number;
    uint8_t count, first;
    const char *name;
};

/* Three functions a row: exists_<number>, get_<number>, set_<number>. */
#define CSR(number, count, name, first, exists, reads, writes)                                     \
    static bool exists_##number(const struct rv_hart *h, unsigned n)                               \
    {                                                                                              \
        return (void)h, (void)n, (exists);                                                         \
    }                                                                                              \
    static uint64_t get_##number(const struct rv_hart *h, unsigned n)                              \
    {                                                                                              \
        return (void)h, (void)n, (reads);                                                          \
    }                                                                                              \
    static void set_##number(struct rv_hart *h, unsigned n, uint64_t old, uint64_t v)              \
    {                                                                                              \
        (void)h, (void)n, (void)old;                                                               \
        (writes);                                                                                  \
    }
#include "frontend/riscv/rv_csr.def"
#undef CSR

static const struct csr rows[] = {
    {0},
#define CSR(number, count, name, first, exists, reads, writes)                                     \
    {exists_##number, get_##number, set_##number, number, count, first, #name},
#include "frontend/riscv/rv_csr.def"
#undef CSR
};

enum row {
    ROW_NONE,
#define CSR(number, count, name, first, exists, reads, writes) ROW_##number,
#include "frontend/riscv/rv_csr.def"
#undef CSR
};

/* CSR number -> row. */
static const uint8_t row_of[4096] = {
#define CSR(number, count, name, first, exists, reads, writes)                                     \
    [number...(number) + (count)-1] = ROW_##number,
#include "frontend/riscv/rv_csr.def"
#undef CSR
};

enum { CSR_MIP = 0x344 };

bool rv_csr_access(struct rv_hart *h, unsigned number, enum rv_csr_op op, bool write,
                   uint64_t operand, uint64_t *old)
{
    const struct csr *r = &rows[row_of[number]];
    unsigned n = number - r->number;
    uint64_t base, v;

    if (r == rows || (unsigned)h->priv < (number >> 8 & 3))
        return false;
    if ((write && number >> 10 == 3) || !r->exists(h, n))
        return false;
    *old = r->get(h, n);
    if (!write)
        return true;

    /* A line from outside that reads as 1 must not become a software bit when
     * csrrs or csrrc writes back what it read (3.1.9). */
    base = number == CSR_MIP ? atomic_load(&h->mip) : *old;
    v = op == RV_CSR_WRITE ? operand : op == RV_CSR_SET ? base | operand : base & ~operand;
    r->set(h, n, base, v);
    return true;
}

uint64_t rv_help_csr(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    struct rv_hart *h = (struct rv_hart *)s;
    uint64_t old;

    (void)b, (void)c;
    if (!rv_csr_access(h, rv_k_csr(k), (enum rv_csr_op)(rv_k_funct3(k) & 3), rv_k_csr_writes(k), a,
                       &old))
        state_raise(s, RV_ILLEGAL, (uint32_t)k);
    return old;
}

/* Counters and the clock run on between two looks: a comparison of states would
 * always differ. */
static bool runs_by_itself(unsigned number)
{
    return number >> 8 == 0xb || number >> 8 == 0xc;
}

void rv_csr_print(const struct rv_hart *h, FILE *out)
{
    for (const struct csr *r = rows + 1; r < rows + sizeof(rows) / sizeof(rows[0]); r++) {
        if (runs_by_itself(r->number))
            continue;
        for (unsigned n = 0; n < r->count; n++) {
            uint64_t v = r->get(h, n);

            if (r->count == 1)
                fprintf(out, "%-14s %016" PRIx64 "\n", r->name, v);
            else if (v != 0) /* of the long rows only what is in use */
                fprintf(out, "%s%-*u %016" PRIx64 "\n", r->name, 14 - (int)strlen(r->name),
                        r->first + n, v);
        }
    }
}
