/* Places in code that are rewritten again and again: an inline cache of a JIT, a kernel's jump
 * label. Blocks end before and behind such a place, so that a store there drops an instruction or
 * two and not what stands around them.
 *
 * A place is a granule of 8 bytes. It is forgotten when it is rewritten no more, or seldom beside
 * all that is translated. This is advice: forgetting a place, or keeping one of a page that is
 * something else by now, makes blocks longer or shorter and nothing wrong. */
#pragma once

#include <stdint.h>

struct rewrite;

/* One a machine; callers hold tcache's lock. */
struct rewrite *rewrite_create(void);
void rewrite_destroy(struct rewrite *r);

/* A store to [gpa, gpa + len_bytes) dropped a block. */
void rewrite_note(struct rewrite *r, uint64_t gpa, uint64_t len_bytes);

/* A block that begins at gpa is translated. Where it ends at the latest: an offset from its page's
 * start, PAGE_SIZE when nothing is in its way. */
uint32_t rewrite_block_end(struct rewrite *r, uint64_t gpa);
