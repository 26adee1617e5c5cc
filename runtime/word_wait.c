/* A hart that has spun for long for a word of guest memory sleeps; others wake it when the word has
 * changed.
 *
 * Where there are more harts than host processors, spinning would take the time of him who is to
 * change it. Worse, locks are handed on in turn: each owner must come to run before the next, so
 * all would wait for the host to come round to him, again and again.
 *
 * But no store tells who waits for it. So harts look at the words of those who sleep whenever they
 * come round their loops, which is every few microseconds where a kernel works.
 *
 * Nobody is missed for longer than the sleeper's time limit: who stores and comes round may not see
 * yet that another has lain down, and that one may not see the store; the next who comes round sees
 * both. */
#include "runtime/hart_int.h"

#include "dbt/base/bits.h"

enum { IS_LARGE = 1 }; /* in hart.word, beside the address: of 8 bytes, not 4 */

bool word_has_changed(const struct hart *h)
{
    uintptr_t word = atomic_load(&h->word);
    uint64_t value = atomic_load(&h->word_value);

    return word & IS_LARGE
               ? __atomic_load_n((const uint64_t *)(word - IS_LARGE), __ATOMIC_RELAXED) != value
               : __atomic_load_n((const uint32_t *)word, __ATOMIC_RELAXED) != (uint32_t)value;
}

/* A sleeper may just go to sleep on another word, and be waked for a mixture of one's address and
 * the other's value: it spins again. Address and size are never mixed: RAM's last 4 bytes would be
 * read as 8. */
void word_wake(struct tcache *t)
{
    for (uint64_t left = atomic_load(&t->word_waiters); left; left &= left - 1) {
        unsigned k = (unsigned)__builtin_ctzll(left);

        if (word_has_changed(t->hart[k]) && atomic_fetch_and(&t->word_waiters, ~bit(k)) & bit(k))
            hart_kick(t->hart[k], PENDING_LEAVE);
    }
}

bool sleep_on_word(struct hart *h, const void *word, unsigned size, uint64_t value,
                   uint64_t timeout_ns, uint64_t *n_sleeps)
{
    struct tcache *t = h->tc;

    atomic_store(&h->word, (uintptr_t)word | (size == 8 ? IS_LARGE : 0));
    atomic_store(&h->word_value, value);
    atomic_fetch_or(&t->word_waiters, bit(h->n));
    if (!word_has_changed(h)) {
        ++*n_sleeps;
        sleep_outside(h, timeout_ns, SLEEP_ON_WORD);
    }
    atomic_fetch_and(&t->word_waiters, ~bit(h->n));
    return word_has_changed(h);
}

bool hart_sleep_on_word(struct hart *h, const void *word, unsigned size, uint64_t value,
                        uint64_t timeout_ns)
{
    return sleep_on_word(h, word, size, value, timeout_ns, &h->stats.word_sleeps);
}

void hart_look_at_words(struct hart *h)
{
    if (atomic_load_explicit(&h->tc->word_waiters, memory_order_relaxed))
        state_pend(h->s, PENDING_LEAVE);
}

void hart_sleep_in_wfi(struct hart *h, uint64_t timeout_ns)
{
    h->stats.wfi_sleeps++;
    sleep_outside(h, timeout_ns, SLEEP_TIMED);
}
