/* Shadow page tables, door: host address space in which a guest address space lies as its page
 * table says, so that translated code reaches guest memory without a look-up. docs/windows.md has
 * the picture, README.md ("Windows") the rules.
 *
 * One object a machine: the policy, the budget, and all windows, which must be told when a page
 * becomes code. A window belongs to one view of one hart's MMU. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct phys;
struct track;
struct windows;

enum window_policy {
    WINDOWS_OFF,
    WINDOWS_AUTO,   /* an address space that has run long gets one, and loses it when it churns */
    WINDOWS_ALWAYS, /* every one that may have one, at once and for good: for tests */
};

/* phys and track are borrowed; track tells it of pages that become code from now on. Before the
 * first hart is made. n_threads: on which the harts run; those of one have the common view's window
 * in common. */
struct windows *windows_create(struct phys *phys, struct track *track, enum window_policy policy,
                               unsigned n_harts, unsigned n_threads);
/* When the MMUs that use it are gone, and before track. */
void windows_destroy(struct windows *ws);

struct windows_stats {
    uint64_t open, mappings;    /* now: windows; mappings of the host's that they take, at most */
    uint64_t maps;              /* pieces mapped, of one page or more */
    uint64_t drops, drop_ns;    /* fences that took something away */
    uint64_t protects, code_ns; /* windows in which pages that became code were made read-only */
};
/* Any thread. */
struct windows_stats windows_stats(struct windows *ws);
