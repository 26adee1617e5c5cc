#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"
#include "devices/host/share_private.h"

enum { FIRST_SLOTS = 64 };

/* A number is the slot, counted from 1, and in its upper half how often the slot was used before: a
 * guest that remembers an old number does not find what came after. */
static uint64_t number_of(const struct share_table *t, uint32_t i)
{
    return (uint64_t)t->slot[i].serial << 32 | (i + 1);
}

void share_table_init(struct share_table *t, uint32_t max_slots)
{
    *t = (struct share_table){.max_slots = max_slots};
}

void share_table_fini(struct share_table *t)
{
    free(t->slot);
    *t = (struct share_table){0};
}

/* New slots, linked as free ones. */
static bool grow(struct share_table *t)
{
    uint32_t n = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS;

    if (n > t->max_slots)
        n = t->max_slots;
    if (n == t->n_slots)
        return false;
    t->slot = realloc(t->slot, n * sizeof *t->slot);
    CHECK(t->slot && "memory for a share's table");
    for (uint32_t i = t->n_slots; i < n; i++)
        t->slot[i] = (struct share_slot){.next_free = i + 1};
    t->first_free = t->n_slots;
    t->n_slots = n;
    return true;
}

uint64_t share_table_add(struct share_table *t, void *object)
{
    uint32_t i = t->first_free;

    if (i == t->n_slots && !grow(t))
        return 0;
    i = t->first_free;
    t->first_free = t->slot[i].next_free;
    t->slot[i].object = object;
    t->n_used++;
    return number_of(t, i);
}

void *share_table_find(const struct share_table *t, uint64_t number)
{
    uint32_t i = (uint32_t)number - 1;

    if (i >= t->n_slots || number_of(t, i) != number)
        return NULL;
    return t->slot[i].object;
}

/* With many slots used up and down, the last serial may come round: the slot is left out then. */
void share_table_remove(struct share_table *t, uint64_t number)
{
    uint32_t i = (uint32_t)number - 1;

    DCHECK(share_table_find(t, number));
    t->slot[i].object = NULL;
    t->n_used--;
    if (++t->slot[i].serial == 0)
        return;
    t->slot[i].next_free = t->first_free;
    t->first_free = i;
}
