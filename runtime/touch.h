/* Accesses of a kernel's, in its window, that touch little but new pages: the first word of each
 * new stack, the registers at its top. Such a fault costs what some thousand look-ups in the tables
 * do, and others that touch the page may never come, or come on another thread.
 *
 *   TOUCH_FAULTS faults --> counted: blocks that hold the access are translated anew and count
 * their runs --as many faults again--> it is one of these
 *        \--one has run STATE_HEAT times--> it is not; it is counted again after twice as many
 * faults
 *
 * With several harts the faults are those of all, and the runs those of each: one of eight may
 * still be the cheaper way with STATE_HEAT / 2 runs a fault. What is here is advice. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct touches;

enum { TOUCH_FAULTS = 16 };

struct touches *touches_create(void);
void touches_destroy(struct touches *t);

/* Any thread: shall a block of so many bytes count its runs? */
bool touch_is_counted(const struct touches *t, uint64_t gpa, uint64_t len_bytes);

enum touch_next {
    TOUCH_GOES_ON,
    TOUCH_COUNTS,         /* it is counted from now on: blocks that hold it must be made anew */
    TOUCH_IS_OF_NEW_PAGES /* it is known to be; nothing is remembered of it any more */
};

/* Under tcache's lock: the access of the instruction at gpa has brought a page into the window. */
enum touch_next touch_fault(struct touches *t, uint64_t gpa);
/* Likewise: a block of so many bytes has run often. */
void touch_ran(struct touches *t, uint64_t gpa, uint64_t len_bytes);
