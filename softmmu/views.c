/* Memory for views.
 *
 * The harts of a thread take it from one store, and give it back when a fence has emptied a view,
 * as a kernel's does when a process ends or forks. Who wants one gets what was given back last:
 * that is in the host's caches, whichever hart had it. Were it each hart's own, eight harts on two
 * processors would have four times as much of it in use. Nothing of what a view holds passes from
 * hart to hart: who takes it clears it. */
#define _GNU_SOURCE
#include "softmmu/mmu_int.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "dbt/base/check.h"
#include "dbt/base/pages.h"

enum { N_OF_HART = N_SPACES * N_VIEWS + 1 }; /* its slots, and the common view's */

static size_t view_bytes(void)
{
    return align_up(sizeof(struct mmu_view), PAGE_SIZE);
}
static size_t room_bytes(void)
{
    return view_bytes() * N_OF_HART;
}

struct views *views_create(void)
{
    struct views *v = calloc(1, sizeof *v);
    void *room = mmap(NULL, room_bytes(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (v && room != MAP_FAILED) {
        v->n_users = 1;
        v->room[v->n_rooms++].views = room;
        return v;
    }
    if (room != MAP_FAILED)
        munmap(room, room_bytes());
    free(v);
    return NULL;
}

void views_leave(struct views *v)
{
    if (!v || --v->n_users > 0)
        return;
    for (unsigned i = 0; i < v->n_rooms; i++)
        munmap(v->room[i].views, room_bytes());
    free(v);
}

void views_join(struct mmu *m, struct views *v)
{
    struct views *old = m->views;

    CHECK(old->n_users == 1 && !old->spare && v->n_rooms + old->n_rooms <= MMU_SHARERS_MAX);
    for (unsigned i = 0; i < old->n_rooms; i++)
        v->room[v->n_rooms++] = old->room[i];
    v->n_users++;
    m->views = v;
    free(old);
}

/* One that nobody has had. All zero but for the first and last entries: a zero tag is page 0's, and
 * that page is sought at index 0, or at the index of the page before it by an access whose look-up
 * covers both.
 *
 * It gets its memory now. Else each of its pages would be read first and written afterwards: two
 * faults in the host, of which the second takes away the zero page that the first has mapped, and
 * for that it interrupts the processors that the other harts run on. */
static struct mmu_view *make_view(struct views *s)
{
    unsigned i = 0;
    struct mmu_view *v;

    while (i < s->n_rooms && s->room[i].n_taken == N_OF_HART)
        i++;
    CHECK(i < s->n_rooms && "a slot has one view of its own");
    v = (struct mmu_view *)(void *)(s->room[i].views + view_bytes() * s->room[i].n_taken++);
    pages_give(v, view_bytes(), PAGES_WRITTEN);
    v->window_floor = UINT64_MAX;
    view_init(v);
    return v;
}

void slot_take_own(struct mmu *m, struct view_slot *slot)
{
    struct views *s = m->views;

    if (!slot->own && s->spare) {
        slot->own = s->spare;
        s->spare = slot->own->next_spare;
    } else if (!slot->own) {
        slot->own = make_view(s);
    }
    slot->view = slot->own;
    view_clear(slot); /* no fence has come here since it was in use */
}

void slot_give_own(struct mmu *m, struct view_slot *slot)
{
    DCHECK(slot != m->slot && !slot->window);
    if (!slot->own)
        return;
    slot->own->next_spare = m->views->spare;
    m->views->spare = slot->own;
    slot->own = slot->view = NULL;
    m->serial++; /* a combo may lead here */
}
