/* What a hart waits for that spins without saying so: it is looked at. Its next blocks are
 * evaluated, not run; when it comes back to where it was, with all registers as they were, without
 * a store or a look at the clock, and having loaded one word of RAM, it waits for that word.
 * Nothing is lost by looking: it is the guest's own way on.
 *
 * What helpers do is not seen. A loop that changes something by an atomic instruction, and waits
 * for another word all the same, sleeps until that changes, or for its time. */
#include "runtime/hart_int.h"

#include <string.h>

#include "dbt/base/bits.h"

enum { LOOK_BLOCKS = 8 };

void hart_look(struct hart *h)
{
    struct look *l = &h->look;

    *l = (struct look){.left = LOOK_BLOCKS, .pc = h->s->pc};
    memcpy(l->reg, h->s->reg, sizeof l->reg);
}

void hart_look_away(struct hart *h)
{
    h->look.left = 0;
    h->look.is_found = false;
}

bool hart_has_found(const struct hart *h)
{
    return h->look.is_found;
}

/* Not before something was loaded: a block may be left before its first instruction. */
static bool is_back(const struct hart *h)
{
    const struct look *l = &h->look;

    return l->n_loads > 0 && h->s->pc == l->pc && memcmp(l->reg, h->s->reg, sizeof l->reg) == 0;
}

/* Of bytes the four around them. */
static bool find_word(struct hart *h)
{
    struct look *l = &h->look;

    if (l->is_unclear || !mmu_ram_of_load(h->mmu, l->va, l->size, &l->gpa))
        return false;
    if (l->size >= 4)
        return true;
    const unsigned shift = 8 * (l->gpa & 3);

    l->gpa = align_down(l->gpa, 4);
    const uint32_t word =
        __atomic_load_n((const uint32_t *)(void *)phys_ptr(h->tc->phys, l->gpa), __ATOMIC_RELAXED);
    const bool is_same = ((word >> shift ^ l->value) & (bit(8 * l->size) - 1)) == 0;

    l->value = word;
    l->size = 4;
    return is_same;
}

bool look_goes_on(struct hart *h)
{
    struct look *l = &h->look;

    if (!l->left)
        return false;
    if (is_back(h)) {
        l->is_found = find_word(h);
        l->left = 0;
        state_pend(h->s, PENDING_REST);
        return false;
    }
    return --l->left > 0;
}

uint64_t look_load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    struct look *l = &((struct hart *)s->owner)->look;
    const uint64_t value = mmu_load(s, va, aux);

    if (l->left) {
        const unsigned size = ir_mem_size(aux);

        l->is_unclear |= l->n_loads > 0 && (va != l->va || size != l->size || value != l->value);
        l->n_loads++;
        l->va = va;
        l->size = size;
        l->value = value;
    }
    return value;
}

bool look_store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value)
{
    ((struct hart *)s->owner)->look.is_unclear = true;
    return mmu_store(s, va, aux, value);
}

/* It may wait for a time, too. */
uint64_t look_time(struct cpu_state *s)
{
    struct hart *h = s->owner;

    h->look.is_unclear = true;
    return h->config.time(s);
}

bool hart_sleep_in_pause(struct hart *h, uint64_t timeout_ns)
{
    const struct look *l = &h->look;

    return sleep_on_word(h, phys_ptr(h->tc->phys, l->gpa), l->size, l->value, timeout_ns,
                         &h->stats.pause_sleeps);
}
