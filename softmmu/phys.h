/* Guest physical memory: RAM, regions that devices answer, and ROM, which is the part of a region
 * that can be executed. The RAM is one
 * memfd mapped twice. Through the plain view C code and host system calls read
 * and write. Through the store view translated code stores; a page of it is
 * read-only while it holds translated code (track.h). */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"

/* A device's answer to one access. `offset` from the region's start; size is 1,
 * 2, 4 or 8 and the access is naturally aligned. Reads give the value in the
 * low bits. Called on the thread of the hart that makes the access. */
struct phys_mmio {
    uint64_t (*read)(void *device, uint64_t offset, unsigned size);
    void (*write)(void *device, uint64_t offset, unsigned size, uint64_t value);
    uint8_t min_size, max_size; /* others are an access fault */
};

struct phys_region {
    uint64_t gpa, len_bytes;
    const struct phys_mmio *ops;
    void *device;
    const char *name;
};

/* What the host gives at once where it has huge pages. */
#define PHYS_HUGE_BYTES (UINT64_C(2) << 20)

struct phys_huge {
    _Atomic uint8_t *asked; /* by 2 MiB of RAM: nobody need ask (again); NULL: off */
    _Atomic uint64_t n_given, n_refused, ns;
    _Atomic bool given_up; /* for good: what is given back is not asked for either */
};

struct phys {
    uint64_t ram_gpa, ram_len; /* multiples of 4096 */
    uint8_t *ram;              /* plain view */
    uint8_t *store;            /* store view */
    uint64_t rom_gpa, rom_len; /* multiples of 4096; rom_len 0: there is none */
    const uint8_t *rom;
    struct phys_region region[64];
    unsigned n_regions;
    /* Around each access to a device: shared, and alone around an atomic one, which reads and then
     * writes. The first of all locks that an access takes. */
    pthread_rwlock_t mmio_lock;
    int memfd;
    struct phys_huge huge;
};

/* ---- Before the first hart runs, after the last has stopped ---------------- */

/* Maps len bytes of RAM at gpa. False when the host has not that much. */
bool phys_init(struct phys *p, uint64_t gpa, uint64_t len_bytes, struct err *e) MUST_CHECK;
void phys_fini(struct phys *p);

/* From now on the host is asked for RAM 2 MiB at a time, in its huge pages (huge.c). Costs memory
 * where the guest touches little of each; nothing where the host has none. */
void phys_use_huge_pages(struct phys *p);

/* Adds a device's registers; must not overlap RAM or another region (CHECKed:
 * the board is ours). ops and device are borrowed until phys_fini. */
void phys_add_mmio(struct phys *p, uint64_t gpa, uint64_t len_bytes, const char *name,
                   const struct phys_mmio *ops, void *device);

/* What guest code is fetched from there, where a device answers loads and stores: its owner
 * tells of each change (track_wrote). One range, before anybody asks for pages. Borrowed. */
void phys_set_rom(struct phys *p, uint64_t gpa, uint64_t len_bytes, const uint8_t *bytes);

/* ---- Any thread -------------------------------------------------------------- */

static inline bool phys_is_rom(const struct phys *p, uint64_t gpa, uint64_t len_bytes)
{
    return gpa >= p->rom_gpa && gpa - p->rom_gpa < p->rom_len &&
           len_bytes <= p->rom_len - (gpa - p->rom_gpa);
}

static inline bool phys_is_ram(const struct phys *p, uint64_t gpa, uint64_t len_bytes)
{
    return gpa >= p->ram_gpa && gpa - p->ram_gpa < p->ram_len &&
           len_bytes <= p->ram_len - (gpa - p->ram_gpa);
}

/* Host address in the plain view; the caller has asked phys_is_ram(). */
static inline uint8_t *phys_ptr(const struct phys *p, uint64_t gpa)
{
    return p->ram + (gpa - p->ram_gpa);
}

/* The same for reading, in the store view: there guest code maps the page anyway, so that
 * the host's page tables and the process's size do not count it twice. */
static inline const uint8_t *phys_read_ptr(const struct phys *p, uint64_t gpa)
{
    return p->store + (gpa - p->ram_gpa);
}

/* The page of gpa, which is RAM, may be used for the first time: the 2 MiB around it are to be
 * there. */
void phys_ask_huge(struct phys *p, uint64_t gpa);
static inline void phys_touch(struct phys *p, uint64_t gpa)
{
    if (p->huge.asked && !atomic_load_explicit(&p->huge.asked[(gpa - p->ram_gpa) / PHYS_HUGE_BYTES],
                                               memory_order_relaxed))
        phys_ask_huge(p, gpa);
}
/* All of [gpa, gpa+len), RAM, will be used. */
void phys_back(struct phys *p, uint64_t gpa, uint64_t len_bytes);

/* Can code be fetched from there? */
static inline bool phys_is_code(const struct phys *p, uint64_t gpa, uint64_t len_bytes)
{
    return phys_is_ram(p, gpa, len_bytes) || phys_is_rom(p, gpa, len_bytes);
}

/* Its bytes; the caller has asked phys_is_code(). */
static inline const uint8_t *phys_code_ptr(const struct phys *p, uint64_t gpa)
{
    return phys_is_ram(p, gpa, 1) ? phys_read_ptr(p, gpa) : p->rom + (gpa - p->rom_gpa);
}

/* Pages that can hold code, numbered: RAM's, then the ROM's. */
static inline uint64_t phys_n_pages(const struct phys *p)
{
    return (p->ram_len + p->rom_len) / 4096;
}

static inline uint64_t phys_page(const struct phys *p, uint64_t gpa)
{
    return phys_is_ram(p, gpa, 1) ? (gpa - p->ram_gpa) / 4096
                                  : (p->ram_len + (gpa - p->rom_gpa)) / 4096;
}

/* Stores an aligned value of size 1, 2, 4 or 8 through the store view: what C code prefers for
 * the same reason. False when the page is read-only there, also if it became so this very
 * moment: then the plain view is right. SIGSEGV between _begin and _end goes on at _fail
 * (runtime/host_signal.c). */
bool phys_try_store(uint8_t *store_view, uint64_t value, unsigned size);
extern const uint8_t phys_try_store_begin[], phys_try_store_end[], phys_try_store_fail[];

/* Gives up the plain view's mappings (not the memory): after the images were copied in. */
void phys_unmap_plain(struct phys *p);

/* Gives whole pages of RAM back to the host: [gpa, gpa+len) is zeros from now on, through both
 * views. False: the host cannot, and they are as they were. Any thread. */
bool phys_discard(struct phys *p, uint64_t gpa, uint64_t len_bytes) MUST_CHECK;

/* RAM and regions, by address, a line each. */
void phys_print(const struct phys *p, FILE *out);

/* The region that holds [gpa, gpa+size), or NULL. */
const struct phys_region *phys_find(const struct phys *p, uint64_t gpa, unsigned size);

/* ---- For this folder ----------------------------------------------------------- */

/* Host addresses, not accessible, of which base + origin is where a huge page may begin. NULL: the
 * host has none left. */
uint8_t *reserve_aligned(uint64_t bytes, uint64_t origin);

/* ---- huge.c, for phys.c -------------------------------------------------------- */

void phys_huge_fini(struct phys *p);
/* What has been given back whole will be asked for again. */
void phys_huge_discarded(struct phys *p, uint64_t gpa, uint64_t len_bytes);
