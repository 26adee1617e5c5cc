/* Which blocks have run before, so that one that runs for the first time, and most likely for
 * the last, is evaluated and not translated.
 *
 * A set of hashed bits; there are two more for wild.h. This is advice: a block taken for another
 * is translated at once, one that was forgotten is evaluated once more. No two blocks can keep each
 * other from being translated. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct seen;

/* Any thread. */
struct seen *seen_create(void);
void seen_destroy(struct seen *s);

/* Notes the block at physical address gpa under this mode key. False: it was not noted before. */
bool seen_before(struct seen *s, uint64_t gpa, uint32_t mode);

/* Is it noted? */
bool seen_has(const struct seen *s, uint64_t gpa, uint32_t mode);

/* It is not noted any more, nor any that cannot be told apart from it. */
void seen_forget(struct seen *s, uint64_t gpa, uint32_t mode);
