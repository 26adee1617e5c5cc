/* --lrsc=strict: which bytes of RAM harts have reserved, so that a store takes a reservation away
 * whatever it stores. README.md, "LR/SC", says why it works.
 *
 * A hart watches one page at most. While it does, the page counts as code (track.h): its store view
 * is read-only, so every store to it comes to C. There a store and the look at reservations are one
 * step, under the lock of the page, as is the load of an LR, and as are the look at one's own
 * reservation and the store of an SC. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct reserve;
struct track;

enum { RESERVE_MAX_HARTS = 64 };

/* ---- Before the first hart runs, after the last has stopped ------------------------- */

struct reserve *reserve_create(unsigned n_harts);
void reserve_destroy(struct reserve *r);

/* ---- The hart's thread ---------------------------------------------------------------- */

/* From now on the hart watches the page of [gpa, gpa+size), 4 or 8 aligned bytes of RAM, and no
 * other; nothing is reserved yet. True when the page became code just now (track_protect). */
bool reserve_watch(struct reserve *r, unsigned hart, struct track *track, uint64_t gpa,
                   unsigned size);
/* It watches nothing, and has no reservation. */
void reserve_drop(struct reserve *r, unsigned hart);
/* What it has reserved: the address and size. False: nothing, or no longer. */
bool reserve_get(const struct reserve *r, unsigned hart, uint64_t *gpa, unsigned *size);

/* ---- Any thread ------------------------------------------------------------------------ */

/* The lock of the page of gpa. Innermost: nothing else is locked under it. */
void reserve_lock(struct reserve *r, uint64_t gpa);
void reserve_unlock(struct reserve *r, uint64_t gpa);

/* What the hart watches is reserved. Under the page's lock, with the load of the LR. */
void reserve_take_locked(struct reserve *r, unsigned hart);
/* Is it still? Under the page's lock, with the store of the SC. */
bool reserve_holds_locked(const struct reserve *r, unsigned hart, uint64_t gpa, unsigned size);
/* The hart has stored to [gpa, gpa+len) of one page, under its lock: others' reservations go. */
void reserve_stored_locked(struct reserve *r, unsigned hart, uint64_t gpa, unsigned len);

/* A device, or the firmware that the host is, wrote [gpa, gpa+len): all harts' reservations go. */
void reserve_wrote(struct reserve *r, uint64_t gpa, uint64_t len);
/* Does a hart watch the page of gpa? */
bool reserve_watches(const struct reserve *r, uint64_t gpa);
