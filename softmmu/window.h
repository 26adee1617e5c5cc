/* One window: half of a guest address space as host mappings. README.md ("Windows") has a picture.
 * The folder's own.
 *
 * A page of it is mapped (shared, on RAM's memfd) or PROT_NONE. Invariant: a page is mapped only
 * while its view's rights allow loads from it, and writable only while they allow stores (W, D
 * set), and RAM's page holds no translated code. So an access that does not fault is right, and one
 * that does is asked again in C.
 *
 * A window is its hart's thread's, but for `protect`, by which another takes the right to store
 * away: so it is under windows.lock, which is taken inside track's and takes none. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "softmmu/mmu.h"
#include "softmmu/range.h"
#include "softmmu/windows.h"

enum {
    PAGES_MIDDLE = 512, /* of a leaf of 2 MiB, which a fence drops as one */
    MIDDLE_BYTES = PAGES_MIDDLE * PAGE_SIZE,
    WINDOW_CHUNK_BITS = 10,     /* 4 MiB of guest addresses for a bit of window.used */
    WINDOW_PIECES_MIN = 4,      /* host mappings of an empty one: base, view, origin, end */
    WINDOWS_PIECES_MAX = 32000, /* of all: of vm.max_map_count, 65530; track.c has 24,000 */
};
/* More RAM than this has none. */
#define WINDOW_RAM_PAGES_MAX ((UINT64_C(1) << 29) - 1)
#define WINDOW_LIMIT_MAX     (UINT64_C(1) << 38)
#define WINDOW_N_PAGES       (WINDOW_LIMIT_MAX >> PAGE_BITS)
#define WINDOW_N_CHUNKS      (WINDOW_N_PAGES >> WINDOW_CHUNK_BITS)

/* A page that was mapped and dropped again, several times in a short while. */
struct window_churn {
    uint64_t page, at_ns; /* index in window.page[]; the last time */
    unsigned n;
};
enum { WINDOW_N_CHURN = 64 };

/* Indices in window.page[], + 1: a kernel has each page where it has all of RAM, and some at an
 * address of their own, too. */
struct window_where {
    uint32_t at[2];
};

struct window {
    struct windows *all;
    struct window *next; /* windows.lock */
    unsigned n;          /* its name in the log */
    uint8_t *base, *origin;
    struct mmu_view *view;
    uint64_t first, bytes;      /* of guest addresses; its page 0 is the first's */
    uint32_t *page;             /* by guest page: what is mapped there (window.c), 0: nothing */
    struct window_where *where; /* by page of RAM: where it is mapped, a hint (window.c) */
    uint64_t n_pages;           /* mapped */
    uint64_t n_mapped;          /* ever: pages that stood as they should be are not counted */
    uint64_t n_used;            /* bits of used[] */
    struct range large;         /* of leaves larger than 2 MiB, from the first to the last */
    uint64_t pieces;            /* host mappings that it costs */
    uint64_t share;             /* and may cost while there are plenty: pieces_of_one or _common */
    uint64_t dropped_at;        /* when pages went because it cost too many */
    _Atomic bool failed; /* the host has refused a mapping, or the budget is spent: it has to go */
    _Atomic uint64_t spent; /* nanoseconds in which mappings were changed, ever */
    /* promote.c's, in nanoseconds. */
    uint64_t spent_seen, reviewed_at; /* that: by the clock that promote.c has for it */
    int64_t credit;
    uint64_t last_used, idle_from; /* view_slot.used, and since when it is that */
    uint64_t for_code;             /* in whose account it was opened, or 0 */
    struct window_churn churn[WINDOW_N_CHURN];
    uint64_t used[WINDOW_N_CHUNKS / 64];
    /* By 2 MiB: all that is mapped there is of one leaf of as much or more (window_check). */
    uint64_t of_one_leaf[WINDOW_N_PAGES / PAGES_MIDDLE / 64];
    /* By 2 MiB: something of a leaf of so much may be mapped there. */
    uint64_t has_middle[WINDOW_N_PAGES / PAGES_MIDDLE / 64];
};

struct windows {
    pthread_mutex_t lock;
    struct phys *phys;
    struct track *track;
    enum window_policy policy;
    unsigned n_ever, max_of_hart;
    /* Host mappings, more than a window should need; and than the common view's should. */
    uint64_t pieces_of_one, pieces_of_common;
    struct window *first;
    struct windows_stats stats; /* .open, .mappings: of all that there are */
    _Atomic uint8_t *writable;  /* by page of RAM: some window may map it so */
};

/* ---- windows.c --------------------------------------------------------------------------- */

/* Nanoseconds of the host's clock. */
uint64_t window_clock(void);
/* In which the calling thread had a processor: a system call. */
uint64_t window_work(void);
/* How long a short piece of work has taken that began at window_clock() `from`. What is longer than
 * any counts for no more: the host has let somebody else run. */
uint64_t window_took(uint64_t from);

/* Empty, with a view of zeros. bound: as mmu_guest.window_bound gives it. NULL: the host has no
 * addresses left. */
struct window *window_open(struct windows *ws, uint64_t bound);
void window_close(struct window *w);

/* Is hva an address that code with this window's view could have made? Any thread; async-safe. */
bool window_owns(const struct window *w, const void *hva);

static inline bool window_covers(const struct window *w, uint64_t va)
{
    return va - w->first < w->bytes;
}

/* ---- window.c ------------------------------------------------------------------------------ */

/* Is the page of va, which it covers, mapped (writable)? */
bool window_has(struct window *w, uint64_t va, bool write);

/* Is the page of va, which it covers, fenced so often that it is better not mapped? */
bool window_shuns(struct window *w, uint64_t va);

/* Maps n pages from va on, of leaves of leaf_len bytes, to RAM from gpa on; pages of code
 * read-only. Replaces what is there. False: some are not, and window.failed is set. */
bool window_map(struct window *w, uint64_t va, uint64_t gpa, unsigned n, bool write,
                uint64_t leaf_len);
/* What a fence of va drops; a global page goes as well. */
void window_drop_page(struct window *w, uint64_t va);
void window_drop_all(struct window *w);

/* A leaf of the page table, where it lies around a page. */
struct window_leaf {
    uint64_t gpa, len_bytes; /* of the page; of the leaf */
    bool write;
};
/* A fence of all addresses, where most of what is mapped is as it was: asks `now` what maps va
 * (with the window's rights to all of the 2 MiB around it that the leaf covers; false: nothing
 * does), and drops 2 MiB in which anything is not mapped so. `now` takes no lock. */
void window_check(struct window *w, bool (*now)(void *arg, uint64_t va, struct window_leaf *leaf),
                  void *arg);

/* For track: RAM pages [first, first + n) are marked as code. When this returns no thread stores to
 * them through a window: mprotect waits for the host's TLBs. Any hart's thread, under track's lock.
 * arg: the struct windows. */
void window_protect(void *arg, uint64_t first, uint64_t n);
