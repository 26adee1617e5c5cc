/* Where in memory code should begin. The host fetches lines of 64 bytes and decodes a comparison
 * and the jump by it as one, unless they are not in one line. Small loops were seen to be 1.2
 * to 1.5 times slower on Zen 5 where a comparison lay across the end of a line, or the loop did
 * (the kernels sieve, strings and strlib); for most code it makes no difference. */
#include "backend-x86_64/x64_int.h"

/* In how many more lines than one are the bytes from `first` to `last`? */
static unsigned breaks(uintptr_t first, uintptr_t last)
{
    return (unsigned)(last / X64_LINE - first / X64_LINE);
}

static unsigned breaks_at(const struct x64_unit *u, uintptr_t at)
{
    unsigned n = 0;

    for (unsigned k = 0; k < u->n_pairs; k++)
        n += breaks(at + u->pair[k].first, at + u->pair[k].last);
    for (unsigned k = 0; k < u->n_exits; k++)
        if (u->exit[k].turns)
            n += breaks(at + u->loop, at + u->exit[k].jump + 3);
    return n;
}

size_t x64_lead(const struct x64_unit *u, uintptr_t at)
{
    unsigned fewest = breaks_at(u, at);
    size_t best = 0;

    for (size_t lead = X64_CODE_ALIGN; fewest && lead < X64_LINE; lead += X64_CODE_ALIGN) {
        unsigned n = breaks_at(u, at + lead);

        if (n < fewest) {
            fewest = n;
            best = lead;
        }
    }
    return best;
}

void x64_pair_add(struct x64_emitter *x, uint32_t from)
{
    struct x64_unit *u = &x->unit;

    if (u->n_pairs < X64_MAX_PAIRS)
        u->pair[u->n_pairs++] = (struct x64_pair){from, x64_at(&x->c) - 1};
}
