/* Which physical pages hold translated code, and who must hear of a store to
 * them. A page that becomes code has its store view made read-only *before* its
 * bytes are read: mprotect returns when no thread can still be storing through
 * an old entry, so a store that comes after is either seen in the bytes or faults
 * into the slow path. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "softmmu/phys.h"

struct track;

/* on_write: a store to [gpa, gpa+len) inside a code page is about to become
 * visible or just did; drop what overlaps. Returns true when a block that is
 * running now was dropped. *page_is_code is set to whether blocks remain in the
 * page. */
struct track *track_create(struct phys *phys,
                           bool (*on_write)(void *arg, uint64_t gpa, unsigned len,
                                            bool *page_is_code),
                           void *arg);
void track_destroy(struct track *t);

/* fn hears of pages [first, first + n) of RAM that have just been marked as code, before
 * track_protect() returns; it makes them read-only wherever else they are mapped. Called on any
 * hart's thread with track's lock held: it calls nothing of track's but track_is_code(). NULL:
 * nobody. Before the first hart runs, after the last. */
void track_set_protected(struct track *t, void (*fn)(void *arg, uint64_t first, uint64_t n),
                         void *arg);

/* Before bytes of the page are translated. Idempotent, cheap when it is code
 * already. True when it became code just now (store entries must be dropped). */
bool track_protect(struct track *t, uint64_t gpa);
/* The same of a page of a large text segment, as it seems. Where some of the pages around it hold
 * code, the others are taken to do so, too; they take some slow stores before they open. */
bool track_protect_text(struct track *t, uint64_t gpa);

/* Does the page hold code? For RAM addresses. */
bool track_is_code(const struct track *t, uint64_t gpa);

/* A store to RAM from C (slow path, device, loader) to [gpa, gpa+len), after it
 * was made; or a change of the ROM. Returns what on_write did; false for pages that hold no code. A
 * page left without blocks becomes writable again unless it keeps being rewritten. */
bool track_wrote(struct track *t, uint64_t gpa, uint64_t len_bytes);

/* Finds whether host address hva lies in the store view: the SIGSEGV handler asks. */
bool track_owns(const struct track *t, const void *hva, uint64_t *gpa);

struct track_stats {
    uint64_t protects, unprotects, writes, hits;
};
const struct track_stats *track_stats(const struct track *t);
