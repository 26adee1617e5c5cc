/* A hart with page tables in its RAM, for comparing accesses with the privileged rules: the state
 * is set in the rules' terms, an access is made by both, a difference is one line.
 *
 *      root[3] -> level1[0] -> level0[0x83] -> the data page, 0x83000 into RAM
 *
 * A leaf at any level maps PRIV_VA to the same data page, so that cases differ in the entry
 * alone. */
#pragma once

#include "tests/lib/priv_rig.h"

enum { PRIV_ROOT = 0x10000, PRIV_L1 = 0x11000, PRIV_L0 = 0x12000, PRIV_DATA = 0x83000 };
#define PRIV_VA UINT64_C(0xc0083000)

#define PTE_N       (UINT64_C(1) << 63)
#define PTE_PBMT(n) ((uint64_t)(n) << 61)

struct priv_world {
    struct rig *r;
    struct pr_hart p;
    struct pr_memory m;
    uint64_t seed;
    uint64_t n_cases, n_allowed;
};

/* M mode, Sv39 at the root, PMP open by entry 0, ADUE and PBMTE clear, leaf at level 0. */
void priv_world_init(struct priv_world *w, const char *model);
void priv_world_fini(struct priv_world *w);

uint64_t priv_pte(uint64_t offset, uint64_t low);                    /* of RAM's byte at offset */
void priv_poke(struct priv_world *w, uint64_t offset, uint64_t pte); /* no fence */
/* The offset of the entry for PRIV_VA at that level; the entries above lead to it. */
uint64_t priv_entry(struct priv_world *w, unsigned level);
/* The leaf that maps PRIV_VA to the data page from that level, with these other bits. */
uint64_t priv_leaf(unsigned level, uint64_t bits);

/* Puts w->p into force. priv_apply() is for privilege, mstatus and satp alone. */
void priv_apply(struct priv_world *w);
void priv_apply_all(struct priv_world *w);
void priv_fence(struct priv_world *w);

/* One access by both; a difference in what happens, in memory or in the page table fails the
 * test with one line, which begins with `what`. */
void priv_check(struct priv_world *w, const char *what, enum pr_kind kind, uint64_t va,
                unsigned size);

/* The states that matter for an access: privilege, or MPRV with MPP, by SUM and MXR. */
enum { PRIV_N_STATES = 3 * 2 * 3 * 4 };
void priv_state(struct priv_world *w, unsigned n);
unsigned priv_size(enum pr_kind kind); /* of the access that tests make by default */
