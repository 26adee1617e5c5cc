/* A guest small enough to see through, for the tests of softmmu/: its page table is an
 * array of mappings, its physical protection one forbidden range, its device a few
 * registers that remember what they were asked. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softmmu/mmu_int.h"

#define TOY_RAM    UINT64_C(0x80000000)
#define TOY_DEVICE UINT64_C(0x10000000)
#define TOY_LIMIT  (UINT64_C(1) << 38) /* of windows: for user rights */
enum { TOY_RAM_LEN = 8 << 20, TOY_DEVICE_LEN = 0x100 };

/* Rights, and what a trap's cause is made of. */
enum { TOY_USER = 0, TOY_SUPER = 1, TOY_SUM = 2 };
enum { TOY_PAGE_FAULT = 100, TOY_ACCESS_FAULT = 200, TOY_MISALIGNED = 300 }; /* + mmu_access */

/* What a mapping allows, as page tables say it. */
enum { TOY_R = 1, TOY_W = 2, TOY_X = 4, TOY_U = 8, TOY_G = 16, TOY_DIRTY = 32 };
/* By leaves of 4 KiB, not by one of its length. */
enum { TOY_SMALL = 64 };

struct toy_map {
    uint64_t key, va, gpa, len; /* key 0: of every space */
    unsigned flags;
};

struct toy {
    struct cpu_state s; /* first: the guest's functions cast */
    struct phys phys;
    struct track *track;
    struct mmu *mmu;
    struct toy_map map[64];
    unsigned n_maps;
    uint64_t key; /* of the space that is in force */
    unsigned walks;
    bool uncached;                     /* walks say that nothing may be kept */
    uint64_t forbidden, forbidden_len; /* physical, for all accesses in forbidden_access */
    unsigned forbidden_access;         /* 1 << enum mmu_access */
    uint64_t dev_value, dev_offset;
    unsigned dev_size, dev_reads, dev_writes;
    /* on_write's answers, and what it was told. */
    bool hit_running, still_code;
    uint64_t wrote_gpa;
    unsigned wrote_len, n_wrote;
};

static inline bool toy_walk(struct cpu_state *s, uint64_t gva, enum mmu_access access,
                            uint64_t rights, struct mmu_map *map, struct mmu_fault *fault)
{
    struct toy *t = (struct toy *)s;
    static const unsigned need[] = {TOY_R, TOY_W, TOY_X};

    t->walks++;
    *fault = (struct mmu_fault){TOY_PAGE_FAULT + access, gva};
    if (t->key == 0) {
        *map = (struct mmu_map){.gpa = gva, .page_len = 4096, .read = true, .write = true};
        return true;
    }
    for (unsigned i = 0; i < t->n_maps; i++) {
        struct toy_map *p = &t->map[i];
        bool user = (p->flags & TOY_U) != 0;
        bool data_ok = user ? rights != TOY_SUPER : rights != TOY_USER;

        if ((p->key && p->key != t->key) || gva - p->va >= p->len)
            continue;
        if (!(p->flags & need[access]))
            return false;
        if (access == MMU_FETCH ? user != (rights == TOY_USER) : !data_ok)
            return false;
        if (access == MMU_STORE)
            p->flags |= TOY_DIRTY;
        *map = (struct mmu_map){
            .gpa = p->gpa + (gva - p->va),
            .page_len = p->flags & TOY_SMALL ? 4096 : p->len,
            .read = (p->flags & TOY_R) && data_ok && !t->uncached,
            .write = (p->flags & TOY_W) && (p->flags & TOY_DIRTY) && data_ok && !t->uncached,
            .global = (p->flags & TOY_G) != 0,
        };
        return true;
    }
    return false;
}

static inline bool toy_allowed(struct cpu_state *s, uint64_t gpa, unsigned len,
                               enum mmu_access access, uint64_t rights, bool *whole_page)
{
    const struct toy *t = (const struct toy *)s;
    uint64_t end = t->forbidden + t->forbidden_len;
    uint64_t page = gpa & ~UINT64_C(0xfff);

    (void)rights;
    if (!(t->forbidden_access & 1u << access) || t->forbidden_len == 0) {
        *whole_page = true;
        return true;
    }
    *whole_page = page + 4096 <= t->forbidden || page >= end;
    return gpa + len <= t->forbidden || gpa >= end;
}

/* But for stores nothing is set here. */
static inline bool toy_peek_map(struct cpu_state *s, uint64_t gva, enum mmu_access access,
                                uint64_t rights, struct mmu_map *map)
{
    struct mmu_fault fault;

    return toy_walk(s, gva, access, rights, map, &fault);
}

static inline uint64_t toy_window_bound(uint64_t space_key, uint64_t rights)
{
    return space_key && rights == TOY_USER ? TOY_LIMIT : 0;
}

static inline uint64_t toy_access_fault(enum mmu_access access)
{
    return TOY_ACCESS_FAULT + (uint64_t)access;
}
static inline uint64_t toy_misaligned(enum mmu_access access)
{
    return TOY_MISALIGNED + (uint64_t)access;
}

static const struct mmu_guest toy_guest = {.walk = toy_walk,
                                           .peek = toy_peek_map,
                                           .window_bound = toy_window_bound,
                                           .allowed = toy_allowed,
                                           .access_fault = toy_access_fault,
                                           .misaligned = toy_misaligned};

static inline uint64_t toy_dev_read(void *device, uint64_t offset, unsigned size)
{
    struct toy *t = device;

    t->dev_reads++;
    t->dev_offset = offset;
    t->dev_size = size;
    return t->dev_value;
}

static inline void toy_dev_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct toy *t = device;

    t->dev_writes++;
    t->dev_offset = offset;
    t->dev_size = size;
    t->dev_value = value;
}

static const struct phys_mmio toy_mmio = {toy_dev_read, toy_dev_write, 1, 4};

static inline bool toy_on_write(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    struct toy *t = arg;

    t->n_wrote++;
    t->wrote_gpa = gpa;
    t->wrote_len = len;
    *page_is_code = t->still_code;
    return t->hit_running;
}

static inline void toy_switch(struct toy *t, uint64_t key, uint32_t asid, uint64_t data_rights,
                              uint64_t fetch_rights, uint32_t mode)
{
    t->key = key;
    mmu_switch(t->mmu, key, asid, data_rights, fetch_rights, mode);
}

/* In supervisor rights, mode 0. */
static inline void toy_enter(struct toy *t, uint64_t key, uint32_t asid)
{
    toy_switch(t, key, asid, TOY_SUPER, TOY_SUPER, 0);
}

static inline struct toy_map *toy_add(struct toy *t, uint64_t key, uint64_t va, uint64_t gpa,
                                      uint64_t len, unsigned flags)
{
    struct toy_map *p = &t->map[t->n_maps++];

    *p = (struct toy_map){key, va, gpa, len, flags};
    return p;
}

/* salts NULL: its own, of one hart. */
static inline struct toy *toy_create_sharing(struct salts *salts, const struct mmu_guest *guest)
{
    struct toy *t = calloc(1, sizeof(*t));
    struct err e;

    assert_non_null(t);
    assert_true(phys_init(&t->phys, TOY_RAM, TOY_RAM_LEN, &e));
    phys_add_mmio(&t->phys, TOY_DEVICE, TOY_DEVICE_LEN, "toy", &toy_mmio, t);
    t->track = track_create(&t->phys, toy_on_write, t);
    t->mmu = mmu_create(&t->s, &t->phys, t->track, salts, guest);
    assert_non_null(t->mmu);
    return t;
}

static inline struct toy *toy_create(void)
{
    return toy_create_sharing(NULL, &toy_guest);
}

static inline void toy_destroy(struct toy *t)
{
    mmu_destroy(t->mmu);
    track_destroy(t->track);
    phys_fini(&t->phys);
    free(t);
}

/* Does translated code hit the TLB at gva? */
static inline bool toy_hits_load(const struct toy *t, uint64_t gva)
{
    const struct mmu_view *v = t->s.view;

    return v->load[gva >> 12 & (TLB_SIZE - 1)].tag == (gva & ~UINT64_C(0xfff));
}
static inline bool toy_hits_store(const struct toy *t, uint64_t gva)
{
    const struct mmu_view *v = t->s.view;

    return v->store[gva >> 12 & (TLB_SIZE - 1)].tag == (gva & ~UINT64_C(0xfff));
}

static inline void toy_touch(struct toy *t, uint64_t gva)
{
    mmu_load(&t->s, gva, IR_64);
    mmu_store(&t->s, gva, IR_64, 1);
}

static inline bool toy_hits_both(const struct toy *t, uint64_t gva)
{
    return toy_hits_load(t, gva) && toy_hits_store(t, gva);
}
static inline bool toy_hits_none(const struct toy *t, uint64_t gva)
{
    return !toy_hits_load(t, gva) && !toy_hits_store(t, gva);
}

/* 64 bits at gpa, as the host sees them. */
static inline uint64_t toy_peek(const struct toy *t, uint64_t gpa)
{
    uint64_t v;

    memcpy(&v, phys_ptr(&t->phys, gpa), 8);
    return v;
}
static inline void toy_poke(struct toy *t, uint64_t gpa, uint64_t v)
{
    memcpy(phys_ptr(&t->phys, gpa), &v, 8);
}

/* The statement raises exactly this trap. */
#define ASSERT_RAISES(t, want_cause, want_tval, statement)                                         \
    do {                                                                                           \
        if (setjmp((t)->s.unwind) == 0) {                                                          \
            statement;                                                                             \
            fail_msg("nothing raised: %s", #statement);                                            \
        }                                                                                          \
        assert_int_equal((t)->s.exit_cause, (want_cause));                                         \
        assert_int_equal((t)->s.exit_tval, (want_tval));                                           \
    } while (0)
