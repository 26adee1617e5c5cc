/* The soft MMU, door to the folder: guest virtual memory for one hart.
 *
 *   gva --(view: TLB of the space in the rights in force)--> host address   inline
 *   gva --(guest's page walk)--> gpa --> RAM | MMIO | fault                 slow path
 *
 * A *space* is a guest address space (page-table root and ASID). Inside it there
 * is one *view* for each combination of rights (privilege, SUM, MXR) under which
 * data is accessed: two direct-mapped tables, one for loads and one for stores.
 * An entry exists only while the access that it serves is allowed and plain:
 *   load entry:  mapped readable in these rights, A set, RAM, PMP grants the page
 *   store entry: that, and the same for writing, D set, and the page holds no translated code
 * so a tag compare answers every question at once: page, rights, alignment,
 * crossing, MMIO, code page. Invariant: tag bits 0..11 are 0 in a live entry.
 *
 * What is RISC-V about walking comes in through struct mmu_guest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"
#include "dbt/ir/ir.h"
#include "dbt/ir/state.h"
#include "softmmu/phys.h"

/* ---- The layout that translated code knows ----------------------------------- */

enum { TLB_BITS = 12, TLB_SIZE = 1 << TLB_BITS };
#define TLB_EMPTY UINT64_C(0xfff) /* no access has this tag: va & ~0xfff | low bits below size */

/* An access of size n (power of two) at va hits when
 *     (va & (~0xfff | (n - 1))) == entry[(va >> 12) & (TLB_SIZE - 1)].tag
 * and its host address is va + addend, in the store view. */
struct tlb_entry {
    uint64_t tag;
    uint64_t addend;
};

/* A cell is a copy of an entry, for the accesses of one place in the code: the same question
 * without a look into the table. Cells [0, N_CELLS) are of loads, those behind of stores.
 * Translated code fills them, from an entry that it has found; softmmu drops them with the
 * translations that they are of (cell.c). Whoever fills cell n from entry i sets bit
 * n / CELL_CHUNK of cell_chunks and of chunks_of[i]. */
enum { N_CELLS = 1024, CELL_CHUNK = 2 * N_CELLS / 32 };

/* A view that has a window (windows.h): the host address of va is the view's + WINDOW_OFF + va, for
 * va < window_limit, or the view's - WINDOW_OFF + va, for va > window_floor; without one these are
 * 0 and 2^64 - 1. Nothing of the host's lies within WINDOW_OFF before and behind those addresses
 * but the view itself, which is further away than WINDOW_GUARD: code that knows such a base may
 * access base + d, |d| < WINDOW_GUARD. */
enum { WINDOW_OFF = 1 << 20, WINDOW_GUARD = 1 << 17 };

struct mmu_view {
    struct tlb_entry load[TLB_SIZE];
    struct tlb_entry store[TLB_SIZE];
    struct tlb_entry cell[2 * N_CELLS];
    uint32_t chunks_of[TLB_SIZE]; /* bit c: a cell of chunk c may be a copy of this entry */
    uint32_t cell_chunks;         /* of any entry */
    uint64_t window_limit;        /* window addresses are below this, if it is of the lower half, */
    uint64_t window_floor;        /* or above this, if it is of the upper */
    uint64_t window_origin; /* the host address of va 0, for code that wants it in a register */
    /* What follows is for C only. */
    uint8_t load_flags[TLB_SIZE]; /* TLB_GLOBAL, TLB_HUGE, TLB_MIDDLE */
    uint8_t store_flags[TLB_SIZE];
    uint64_t touched;                    /* bit i: load_filled[i] or store_filled[i] is not 0 */
    uint64_t load_filled[TLB_SIZE / 64]; /* bit i % 64 of word i / 64: entry i may be live */
    uint64_t store_filled[TLB_SIZE / 64];
    struct mmu_view *next_spare; /* of memory that no view has (views.c) */
};

/* ---- What the guest's architecture supplies ---------------------------------- */

enum mmu_access { MMU_LOAD, MMU_STORE, MMU_FETCH };

struct mmu_map {       /* the outcome of a walk that succeeded */
    uint64_t gpa;      /* of the very address asked for */
    uint64_t page_len; /* 4096 or more: the leaf's size */
    bool read, write;  /* may be cached for loads, for stores (A, D and rights allow it now) */
    bool global;
};

struct mmu_fault {
    uint64_t cause, tval; /* the guest's numbers */
};

struct mmu_guest {
    /* Translates gva for the access in these rights (mmu_rights of the state, or
     * those for fetches), sets A/D in the page table when the guest asked for it;
     * checks nothing about physical memory but its own page-table reads. */
    bool (*walk)(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map, struct mmu_fault *fault);
    /* The same when nothing must be set for it; changes nothing. NULL: it cannot be told. */
    bool (*peek)(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map);
    /* Do all spaces of such a key have the same global pages in their upper halves, and little else
     * that may be accessed in these rights? One answer for one value of rights only, and one way of
     * translating. NULL: none has. */
    bool (*shares_view)(uint64_t space_key, uint64_t rights);
    /* Does the same code run in these rights as where shares_view says so? Set when that is. */
    bool (*shares_code)(uint64_t space_key, uint64_t rights);
    /* Would both harts, if each walked now, get to the same page at gva of the upper half, in these
     * spaces' rights? The answer is for all of the 2 MiB around it. False where one of them may not
     * walk. NULL: never. */
    bool (*walks_alike)(struct cpu_state *a, struct cpu_state *b, uint64_t gva);
    /* Which addresses a space may have a window for in these rights, n a power of two and at most
     * 2^38: n, those below n; -n, those from there to the end; 0, none. NULL: none has. */
    uint64_t (*window_bound)(uint64_t space_key, uint64_t rights);
    /* Physical memory protection for [gpa, gpa+len): true when allowed; what may be stored to may
     * be loaded, too. *whole_page is set when the answer is the same for all of gpa's 4096-byte
     * page. */
    bool (*allowed)(struct cpu_state *s, uint64_t gpa, unsigned len, enum mmu_access access,
                    uint64_t rights, bool *whole_page);
    /* Writes what physical protection and the rules of walking say on this hart, where it may
     * differ from what another's say; gives its length, at most 1024. NULL: they never differ. */
    size_t (*domain)(struct cpu_state *s, uint8_t *out);
    /* The cause numbers of an access fault (nothing there, or not allowed), and
     * of a misaligned one (atomics only). */
    uint64_t (*access_fault)(enum mmu_access access);
    uint64_t (*misaligned)(enum mmu_access access);
};

/* ---- One hart's MMU: its thread only ------------------------------------------- */

struct mmu;
struct reserve;
struct salts;
struct track;
struct windows;

/* phys, track, salts and guest are borrowed; salts NULL: its own, of one hart. Sets s->mmu, s->view
 * and the salts, and empties the jump caches (state_empty_jumps). NULL when the host refuses the
 * memory. */
struct mmu *mmu_create(struct cpu_state *s, struct phys *phys, struct track *track,
                       struct salts *salts, const struct mmu_guest *guest);
void mmu_destroy(struct mmu *m);

/* Harts that run in turn on one thread may have what a kernel has mapped alike for all of them in
 * common: m has it with `first` from now on (README.md, "Harts that share a thread"). Before either
 * has run; at most MMU_SHARERS_MAX in all, destroyed when none of them runs any more. */
enum { MMU_SHARERS_MAX = 64 };
void mmu_share(struct mmu *m, struct mmu *first);
/* The hart pauses, between blocks, and goes on, where others of those may have run since. Its
 * spaces did not: its own windows go by the time in which it runs. */
void mmu_pause(struct mmu *m);
void mmu_resume(struct mmu *m);

/* --stress=table: from now on the tables hold the last few entries only, all views together. */
void mmu_stress(struct mmu *m);

/* Makes (space_key, asid) the current space, with data accesses in data_rights and fetches in
 * fetch_rights: sets s->view (and gs, see mmu_load_gs), s->salt and the page words.
 * space_key: all that selects a translation (satp's mode and root), 0: no translation.
 * mode: the code mode key, part of what s->salt stands for. Called by the guest's
 * system side whenever one of these may have changed; cheap when nothing did. */
void mmu_switch(struct mmu *m, uint64_t space_key, uint32_t asid, uint64_t data_rights,
                uint64_t fetch_rights, uint32_t mode);

/* Puts s->view into the gs base, where translated code expects it. The run loop
 * calls it before it enters; mmu_switch does whenever the view changes. */
void mmu_load_gs(const struct cpu_state *s);

/* Makes s->limit what the view in force has, if nothing is pending. The run loop calls it before it
 * enters code, mmu_switch when the view changes. */
void mmu_set_limit(struct mmu *m);

/* wrapped is called when the salts run out, after 2^24 of them. May come under mmu_switch,
 * mmu_fence and mmu_fetch, that is while a helper of a running block runs. One hart: they have
 * begun anew, and the jump caches have been emptied; the owner must empty every page_cell too
 * before a block is entered or linked again (so: set PENDING_LEAVE or PENDING_EVENT, then drop the
 * links). Several: they run low; the owner stops the world soon, empties every page_cell and calls
 * salts_begin_anew(). */
void mmu_set_salt_wrap(struct mmu *m, void (*wrapped)(void *arg), void *arg);

/* fault(arg, va, len, access) is called by an atomic that has faulted in the window
 * (cpu_state.window_fault, which it handles), before it is done. It may leave the block. */
void mmu_set_window_fault(struct mmu *m,
                          void (*fault)(void *arg, uint64_t va, unsigned len,
                                        enum mmu_access access),
                          void *arg);

/* After salts_begin_anew(), before this hart makes a tag or enters a block: empties its jump
 * cache. mmu_refresh() or a switch follows. */
void mmu_begin_anew(struct mmu *m);
/* Takes what is in force into force again: with salts of today. */
void mmu_refresh(struct mmu *m);

/* sfence.vma in its four forms. all_va/all_asid say that the operand was x0. */
void mmu_fence(struct mmu *m, bool all_va, uint64_t va, bool all_asid, uint32_t asid);

/* Any thread: the present moment, behind all that it has stored. */
uint64_t mmu_moment(const struct mmu *m);
/* A fence that another hart has made, at that moment, and that this one was not told of until now:
 * forbids what was walked before it. m shares its salts with the hart that it is of. */
void mmu_fence_since(struct mmu *m, uint64_t moment, bool all_va, uint64_t va, bool all_asid,
                     uint32_t asid);

/* Physical rights (PMP) changed: every space's entries go. */
void mmu_flush_all(struct mmu *m);

/* For --engine=check, which has undone what walks for data have set in page tables: the tables know
 * nothing any more. Windows stay as they are, since no walk maps anything there. */
void mmu_forget_known(struct mmu *m);

/* The virtual page becomes code: drops its store entry in the view in force. Other entries that
 * lead to the same physical page stay, for a look through all views costs more than the one fault
 * in the host that each of them may cause. */
void mmu_forget_store(struct mmu *m, uint64_t gva);

/* The pages that are known in the present space and rights, a line each: virtual and physical
 * address, r and w for what may be done. */
void mmu_print(const struct mmu *m, FILE *out);

/* Empties a cell of the view in force. */
void mmu_drop_cell(struct mmu *m, unsigned cell);

/* ---- Windows (windows.h) ---------------------------------------------------------- */

/* Borrowed; before the first run. */
void mmu_set_windows(struct mmu *m, struct windows *ws);
/* How often code reaches memory: accesses in so many of the guest's instructions, and those among
 * them that ask the table each time. No instructions: it is not known. */
struct mmu_density {
    unsigned n_insns, n_accesses, n_lookups;
    bool is_made; /* the code is there for windows, too */
};

/* The time has come that mmu_sample() asked for. */
void mmu_sample_due(struct mmu *m);
/* Between blocks: is it time for mmu_sample()? */
bool mmu_wants_sample(const struct mmu *m);
/* The physical address of the code at s->pc, for its density. 0: no fetch is known to have come
 * there, or it is a kernel's, which has one window for all spaces. Changes nothing. */
uint64_t mmu_sampled_code(const struct mmu *m);
/* Between blocks, now and then: what runs? Gives and takes windows; salts may change. n_blocks: how
 * many the hart has made, or run for the first time, ever. In how many ns of this code the next
 * look is wanted; 0: when it comes. */
uint64_t mmu_sample(struct mmu *m, uint64_t n_blocks, struct mmu_density code);
/* To be part of the mode of code that is translated now: IR_MODE_WINDOW, or 0. */
uint32_t mmu_code_mode(const struct mmu *m);
/* Which window the view in force has, for code that is translated now. */
enum ir_window mmu_code_window(const struct mmu *m);
/* Could code have made hva through the window in force? For the signal handler. */
bool mmu_owns_window_address(const struct mmu *m, const void *hva);

enum mmu_window_fault {
#define WINDOW_FAULT(constant, name, help) WINDOW_##constant,
#include "softmmu/window_faults.def"
#undef WINDOW_FAULT
    WINDOW_FAULT_KINDS
};
/* An access of len bytes through the window has faulted in the host. The caller then makes it by
 * mmu_load() or mmu_store(), which raise what is to be raised. */
enum mmu_window_fault mmu_window_fault(struct mmu *m, uint64_t va, unsigned len,
                                       enum mmu_access access);
/* Would the page table first have to say of a store there that there was one (D), or forbid it?
 * False for what is beside the window. */
bool mmu_window_is_clean(struct mmu *m, uint64_t va, unsigned len);

/* ---- Accesses that missed, from translated code, the evaluator or C ------------- */

/* Both may state_raise() at s->insn_off. Loads: the value extended as aux
 * (enum ir_mem) says. Any alignment; MMIO when naturally aligned, else access fault.
 * A store that drops the running block returns true: leave behind this instruction. */
uint64_t mmu_load(struct cpu_state *s, uint64_t gva, uint8_t aux);
bool mmu_store(struct cpu_state *s, uint64_t gva, uint8_t aux, uint64_t value);

/* Atomic read-modify-write of an aligned 4- or 8-byte word; misaligned or MMIO
 * raises. compute(old, operand) gives the new value, 32-bit ones in the low half.
 * Returns the old value (32-bit: sign-extended). */
enum mmu_amo { MMU_SWAP, MMU_ADD, MMU_XOR, MMU_AND, MMU_OR, MMU_MIN, MMU_MAX, MMU_MINU, MMU_MAXU };
uint64_t mmu_amo(struct cpu_state *s, uint64_t gva, unsigned size, enum mmu_amo op, uint64_t v);
uint64_t mmu_lr(struct cpu_state *s, uint64_t gva, unsigned size);
/* 0 on success, 1 on failure. Reservation: by address and value compare, unless
 * mmu_reserve_strictly() was called. paired, which matters only then: this hart has just executed
 * an LR, and nothing since that accesses memory, devices or CSRs. */
uint64_t mmu_sc(struct cpu_state *s, uint64_t gva, unsigned size, uint64_t value, bool paired);
void mmu_clear_reservation(struct mmu *m);

/* --lrsc=strict: SC fails after any store of another hart or a device to the reserved bytes,
 * whatever it stored. r is borrowed, `hart` its number of this one; before the hart runs. */
void mmu_reserve_strictly(struct mmu *m, struct reserve *r, unsigned hart);

enum { LR_SITES = 256 }; /* places with an LR that are told apart */

/* LR's reservation as data, for --engine=check and snapshots. */
struct mmu_reservation {
    bool reserved;
    bool watched; /* this and the next two: mmu_reserve_strictly() only */
    uint8_t size;
    uint64_t gpa, value;
    unsigned lr_site;
    uint64_t lr_watches[LR_SITES / 64];
};
struct mmu_reservation mmu_get_reservation(const struct mmu *m);
/* A load of size bytes at gva has just been made: was it aligned, and of RAM? Then *gpa is where.
 */
bool mmu_ram_of_load(struct mmu *m, uint64_t gva, unsigned size, uint64_t *gpa);
void mmu_set_reservation(struct mmu *m, const struct mmu_reservation *r);

/* Zeroes the aligned block of len bytes that holds gva (cbo.zero): a store. */
void mmu_zero(struct cpu_state *s, uint64_t gva, unsigned len);
/* Checks that gva may be accessed as cbo.* demands (load or store), raising a
 * store fault if not. */
void mmu_probe_cbo(struct cpu_state *s, uint64_t gva);

/* Where code at gva is: its physical address. False: *fault says what to raise.
 * Instruction fetches need RAM. Notes that the page was fetched under the current salt; may
 * change s->salt and s->page_tag (README.md, "Salts"), so tags are made after it, not before. */
bool mmu_fetch(struct mmu *m, uint64_t gva, uint64_t *gpa, struct mmu_fault *fault);

/* Of an address that mmu_fetch() just found: does physical protection allow all of its page,
 * so that what is fetched beside it needs no asking? */
bool mmu_fetched_whole(const struct mmu *m, uint64_t gva);
/* The same: does a leaf of 2 MiB or more map it, through which nobody stores, as it is now? */
bool mmu_fetched_text(const struct mmu *m, uint64_t gva);

/* Reads or writes physical memory on behalf of the page walker: RAM only, false elsewhere.
 * `compare_swap64` stores if unchanged and says whether it did. */
bool mmu_phys_load64(struct cpu_state *s, uint64_t gpa, uint64_t *value);
bool mmu_phys_cas64(struct cpu_state *s, uint64_t gpa, uint64_t old, uint64_t value);

/* Watching, for --engine=check: called before each RAM write with its old bytes,
 * and instead of each MMIO access. NULL: off. See runtime/check_mode.h. */
struct mmu_watch {
    void (*ram_write)(void *arg, uint64_t gpa, unsigned size);
    uint64_t (*mmio_read)(void *arg, const struct phys_region *r, uint64_t offset, unsigned size);
    void (*mmio_write)(void *arg, const struct phys_region *r, uint64_t offset, unsigned size,
                       uint64_t value);
    /* Instead of telling track of a store into code: does it hit the running block? */
    bool (*code_write)(void *arg, uint64_t gpa, unsigned size);
    void *arg;
};
void mmu_set_watch(struct mmu *m, const struct mmu_watch *watch);

struct mmu_stats {
    uint64_t loads, stores, walks, fetch_walks, fences, switches, spaces_made, spaces_recycled;
    uint64_t mmio;
    uint64_t windows_opened, windows_closed, window_pages, window_faults[WINDOW_FAULT_KINDS];
    /* Nanoseconds: of faults, with what a signal costs; of filling windows from the tables; of
     * giving and taking them. What fences and code cost: windows_stats(). */
    uint64_t window_fault_ns[WINDOW_FAULT_KINDS], window_fill_ns, window_turn_ns;
    uint64_t lr_watched; /* --lrsc=strict: load-reserveds without a paired store-conditional */
};
const struct mmu_stats *mmu_stats(const struct mmu *m);
