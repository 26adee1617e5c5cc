#include "runtime/jumps.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/hart_int.h"

static void put(struct jump_entry *e, uint64_t tag, const struct block *b)
{
    if (__atomic_load_n(&e->tag, __ATOMIC_RELAXED) == tag && e->code == b->code)
        return;
    __atomic_store_n(&e->code, b->code, __ATOMIC_RELAXED);
    __atomic_store_n(&e->tag, tag, __ATOMIC_SEQ_CST);
}

static void empty(struct jump_entry *e)
{
    __atomic_store_n(&e->tag, JUMP_EMPTY, __ATOMIC_SEQ_CST);
}

/* False: there are more modes than numbers. A guest has a few, of all that there may be. */
static bool number_of(struct jump_modes *m, uint32_t mode, uint64_t *number)
{
    unsigned i = 0;

    while (i < m->n && m->mode[i] != mode)
        i++;
    if (i == JUMP_MODES)
        return false;
    if (i == m->n)
        m->mode[m->n++] = mode;
    *number = i;
    return true;
}

/* A kernel's salts last: it hardly ever finds by the page what it does not find by the address. One
 * that is dropped may be of a page that cannot be fetched as a whole (fetch_block.c), and one
 * that straddles needs the next page, too. */
static bool note_page(struct hart *h, const struct block *b, uint64_t *key)
{
    struct cpu_state *s = h->s;
    uint64_t page_va = s->pc & ~(uint64_t)(PAGE_SIZE - 1), number;

    if (page_va >> 63 || b->gpa2 || atomic_load(&b->dropped) ||
        !number_of(&h->modes, b->mode, &number))
        return false;
    *key = (b->gpa & ~(uint64_t)(PAGE_SIZE - 1)) | number << JUMP_MODE_BIT;
    s->code_page[code_page_index(page_va)] =
        (struct code_page){page_va ^ s->salt[page_va >> 63], *key};
    return true;
}

/* Another hart may drop b meanwhile and clear the entries: it sets `dropped` first, then looks
 * here; we write, then look there. One of us sees the other. */
void jumps_note(struct hart *h, const struct block *b)
{
    struct cpu_state *s = h->s;
    struct jump_entry *by_va = &s->jump[jump_index(s->pc)], *by_gpa = NULL;
    uint64_t key;

    put(by_va, s->pc ^ s->salt[s->pc >> 63], b);
    if (note_page(h, b, &key)) {
        by_gpa = &s->phys_jump[phys_jump_index(b->gpa)];
        put(by_gpa, key | (b->gpa & (PAGE_SIZE - 1)), b);
    }
    stress_pause(&h->stress);
    if (!atomic_load(&b->dropped))
        return;
    empty(by_va);
    if (by_gpa)
        empty(by_gpa);
}

/* The physical cache first, and behind that a fence: code copies from it into the other one, and
 * then looks whether it still has there what it copied. So it does not, or we find the copy. */
static void forget_by_gpa(struct cpu_state *s, const struct block *b)
{
    struct jump_entry *e = &s->phys_jump[phys_jump_index(b->gpa)];

    if (__atomic_load_n(&e->code, __ATOMIC_RELAXED) == b->code)
        empty(e);
}

/* The index is made of bits 1..14 of the virtual address; bits 12 to 14 are those of a page that we
 * do not know. */
static void forget_by_va(struct cpu_state *s, const struct block *b)
{
    unsigned low = jump_index(b->gpa & (PAGE_SIZE - 1));

    for (unsigned page = 0; page < (1u << JUMP_BITS); page += PAGE_SIZE / 2) {
        struct jump_entry *e = &s->jump[page | low];

        if (__atomic_load_n(&e->code, __ATOMIC_RELAXED) == b->code)
            empty(e);
    }
}

void jumps_forget(struct cpu_state *s, const struct block *b)
{
    forget_by_gpa(s, b);
    forget_by_va(s, b);
}
