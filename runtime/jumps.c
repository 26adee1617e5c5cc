#include "runtime/jumps.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "runtime/hart_int.h"

enum { N_MODES = 1 << 8 };

/* Of a host thread. All zeros: no tag is 0, since no key is. */
struct phys_jumps {
    struct jump_entry entry[1 << PHYS_JUMP_BITS];
    uint32_t mode[N_MODES]; /* what the numbers in keys stand for; [0] is none */
    unsigned n_modes;
};

void jumps_init(struct tcache *t)
{
    t->jumps = calloc(t->n_threads, sizeof *t->jumps);
    CHECK(t->jumps && "memory for the jump caches");
}

void jumps_fini(struct tcache *t)
{
    free(t->jumps);
}

static struct phys_jumps *jumps_of(const struct hart *h)
{
    return &h->tc->jumps[hart_thread(h)];
}

void jumps_join(struct hart *h)
{
    h->s->phys_jump = jumps_of(h)->entry;
}

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

/* 0: there are more modes than numbers. A guest has a few, of all that there may be. */
static uint64_t number_of(struct phys_jumps *j, uint32_t mode)
{
    for (unsigned i = 1; i <= j->n_modes; i++)
        if (j->mode[i] == mode)
            return i;
    if (j->n_modes + 1 == N_MODES)
        return 0;
    j->mode[++j->n_modes] = mode;
    return j->n_modes;
}

/* A block that is dropped may be of a page that cannot be fetched as a whole (fetch_block.c), and
 * one that straddles needs the next page, too. */
static struct jump_entry *note_page(struct hart *h, const struct block *b)
{
    struct phys_jumps *j = jumps_of(h);
    struct cpu_state *s = h->s;
    uint64_t page_va = align_down(s->pc, PAGE_SIZE), number;

    if (b->gpa2 || atomic_load(&b->dropped))
        return NULL;
    number = number_of(j, b->mode);
    if (!number)
        return NULL;
    struct code_page *p = &s->code_page[code_page_index(page_va)];
    struct jump_entry *e = &j->entry[phys_jump_index(b->gpa)];

    p->tag = page_va ^ s->salt[page_va >> 63];
    p->key = align_down(b->gpa, PAGE_SIZE) | number << JUMP_MODE_BIT;
    put(e, p->key | (b->gpa & (PAGE_SIZE - 1)), b);
    return e;
}

/* Another hart may drop b meanwhile and clear the entries: it sets `dropped` first, then looks
 * here; we write, then look there. One of us sees the other. */
void jumps_note(struct hart *h, const struct block *b)
{
    struct cpu_state *s = h->s;
    struct jump_entry *by_va = &s->jump[jump_index(s->pc)], *by_gpa;

    put(by_va, s->pc ^ s->salt[s->pc >> 63], b);
    by_gpa = note_page(h, b);
    stress_pause(&h->stress);
    if (!atomic_load(&b->dropped))
        return;
    empty(by_va);
    if (by_gpa)
        empty(by_gpa);
}

/* The physical caches first, and behind that a fence: code copies from there into the other one,
 * and then looks whether it still has there what it copied. So it does not, or we find the copy. */
static void forget_by_gpa(struct phys_jumps *j, const struct block *b)
{
    struct jump_entry *e = &j->entry[phys_jump_index(b->gpa)];

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

void jumps_forget(struct tcache *t, const struct block *b)
{
    for (unsigned k = 0; k < t->n_threads; k++)
        forget_by_gpa(&t->jumps[k], b);
    for (unsigned k = 0; k < t->n_harts; k++)
        forget_by_va(t->hart[k]->s, b);
}
