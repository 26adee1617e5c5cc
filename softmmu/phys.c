/* RAM as two mappings of one memfd, and the table of MMIO regions. */
#define _GNU_SOURCE
#include "softmmu/phys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"

/* Nothing is mapped this far before and behind a view, so that an address that
 * is wrong by a little faults instead of meeting our own data. */
enum { GUARD_BYTES = 64 * 1024, RAM_PAGE = 4096 };

/* More than memory and swap together would start, and be killed later, when the
 * guest has touched it all: refuse it now. */
static bool fits_host(uint64_t len_bytes, struct err *e)
{
    struct sysinfo host;
    uint64_t have;

    if (sysinfo(&host) != 0)
        return true; /* unknown: mmap decides */
    have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
    if (len_bytes <= have)
        return true;
    return err_set(e,
                   "%llu MiB of guest RAM: this host has %llu MiB of memory and swap together; "
                   "choose a smaller -m",
                   (unsigned long long)(len_bytes >> 20), (unsigned long long)(have >> 20));
}

uint8_t *reserve_aligned(uint64_t bytes, uint64_t origin)
{
    uint64_t whole = bytes + PHYS_HUGE_BYTES;
    uint8_t *base =
        mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t skip = -((uintptr_t)base + origin) % PHYS_HUGE_BYTES;

    if (base == MAP_FAILED)
        return NULL;
    if (skip > 0)
        munmap(base, skip);
    munmap(base + skip + bytes, PHYS_HUGE_BYTES - skip);
    return base + skip;
}

/* A view begins where a huge page may. */
static uint8_t *map_view(int memfd, uint64_t len_bytes, struct err *e)
{
    uint64_t whole = len_bytes + 2 * (uint64_t)GUARD_BYTES;
    uint8_t *base = reserve_aligned(whole, GUARD_BYTES);
    uint8_t *view;

    if (!base) {
        err_set(e, "cannot reserve %llu MiB of addresses for guest RAM: %s",
                (unsigned long long)(whole >> 20), strerror(errno));
        return NULL;
    }
    view = mmap(base + GUARD_BYTES, len_bytes, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_NORESERVE | MAP_FIXED, memfd, 0);
    if (view == MAP_FAILED) {
        err_set(e, "cannot map %llu MiB of guest RAM: %s", (unsigned long long)(len_bytes >> 20),
                strerror(errno));
        munmap(base, whole);
        return NULL;
    }
    return view;
}

static void unmap_view(uint8_t *view, uint64_t len_bytes)
{
    if (view)
        munmap(view - GUARD_BYTES, len_bytes + 2 * (uint64_t)GUARD_BYTES);
}

bool phys_init(struct phys *p, uint64_t gpa, uint64_t len_bytes, struct err *e)
{
    *p = (struct phys){
        .ram_gpa = gpa, .ram_len = len_bytes, .mmio_lock = PTHREAD_RWLOCK_INITIALIZER, .memfd = -1};
    if (len_bytes == 0 || len_bytes % RAM_PAGE || gpa % RAM_PAGE)
        return err_set(e, "guest RAM of %llu bytes: the size must be a multiple of 4096",
                       (unsigned long long)len_bytes);
    if (len_bytes > INT64_MAX || gpa > INT64_MAX)
        return err_set(e, "guest RAM of %llu MiB does not fit the guest's address space",
                       (unsigned long long)(len_bytes >> 20));
    if (!fits_host(len_bytes, e))
        return false;

    p->memfd = memfd_create("guest-ram", MFD_CLOEXEC);
    if (p->memfd < 0)
        return err_set(e, "cannot create guest RAM: %s", strerror(errno));
    if (ftruncate(p->memfd, (off_t)len_bytes) != 0) {
        err_set(e, "cannot size guest RAM to %llu MiB: %s", (unsigned long long)(len_bytes >> 20),
                strerror(errno));
        goto fail;
    }
    p->ram = map_view(p->memfd, len_bytes, e);
    if (!p->ram)
        goto fail;
    p->store = map_view(p->memfd, len_bytes, e);
    if (!p->store)
        goto fail;
    return true;

fail:
    phys_fini(p);
    return false;
}

void phys_fini(struct phys *p)
{
    unmap_view(p->store, p->ram_len);
    unmap_view(p->ram, p->ram_len);
    if (p->memfd >= 0)
        close(p->memfd);
    phys_huge_fini(p);
    *p = (struct phys){.memfd = -1};
}

/* ---- MMIO regions: sorted by address, found by halving ------------------------ */

/* Index of the first region that ends behind gpa; n_regions if none does. */
static unsigned first_ending_behind(const struct phys *p, uint64_t gpa)
{
    unsigned lo = 0, hi = p->n_regions;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct phys_region *r = &p->region[mid];

        if (gpa >= r->gpa && gpa - r->gpa >= r->len_bytes)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void phys_add_mmio(struct phys *p, uint64_t gpa, uint64_t len_bytes, const char *name,
                   const struct phys_mmio *ops, void *device)
{
    unsigned at = first_ending_behind(p, gpa);
    const unsigned max = sizeof(p->region) / sizeof(p->region[0]);

    CHECK(p->n_regions < max && "the board has at most 64 regions");
    CHECK(len_bytes > 0 && gpa + (len_bytes - 1) >= gpa && "a region does not wrap");
    CHECK((gpa + (len_bytes - 1) < p->ram_gpa || gpa >= p->ram_gpa + p->ram_len) &&
          "a region does not overlap RAM");
    CHECK((at == p->n_regions || gpa + (len_bytes - 1) < p->region[at].gpa) &&
          "regions do not overlap");

    memmove(&p->region[at + 1], &p->region[at], (p->n_regions - at) * sizeof(p->region[0]));
    p->region[at] = (struct phys_region){gpa, len_bytes, ops, device, name};
    p->n_regions++;
}

const struct phys_region *phys_find(const struct phys *p, uint64_t gpa, unsigned size)
{
    unsigned at = first_ending_behind(p, gpa);
    const struct phys_region *r = &p->region[at];

    if (at == p->n_regions || gpa < r->gpa || size > r->len_bytes - (gpa - r->gpa))
        return NULL;
    return r;
}

void phys_set_rom(struct phys *p, uint64_t gpa, uint64_t len_bytes, const uint8_t *bytes)
{
    CHECK(p->rom_len == 0 && gpa % RAM_PAGE == 0 && len_bytes % RAM_PAGE == 0);
    p->rom_gpa = gpa;
    p->rom_len = len_bytes;
    p->rom = bytes;
}

static void print_range(FILE *out, uint64_t gpa, uint64_t len_bytes, const char *name)
{
    fprintf(out, "%016" PRIx64 "-%016" PRIx64 "  %s\n", gpa, gpa + (len_bytes - 1), name);
}

void phys_print(const struct phys *p, FILE *out)
{
    unsigned at = 0;

    for (; at < p->n_regions && p->region[at].gpa < p->ram_gpa; at++)
        print_range(out, p->region[at].gpa, p->region[at].len_bytes, p->region[at].name);
    print_range(out, p->ram_gpa, p->ram_len, "ram");
    for (; at < p->n_regions; at++)
        print_range(out, p->region[at].gpa, p->region[at].len_bytes, p->region[at].name);
}

/* The views' rights are the mappings', not the pages': what was read-only stays so. */
bool phys_discard(struct phys *p, uint64_t gpa, uint64_t len_bytes)
{
    DCHECK(phys_is_ram(p, gpa, len_bytes) && gpa % RAM_PAGE == 0 && len_bytes % RAM_PAGE == 0);
    if (fallocate(p->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(gpa - p->ram_gpa),
                  (off_t)len_bytes) != 0)
        return false;
    phys_huge_discarded(p, gpa, len_bytes);
    return true;
}

void phys_unmap_plain(struct phys *p)
{
    /* The pages belong to the memfd and stay; RAM that is used is mapped in again. */
    madvise(p->ram, p->ram_len, MADV_DONTNEED);
}

__asm__(".text\n"
        ".globl phys_try_store\n"
        ".globl phys_try_store_begin\n"
        ".globl phys_try_store_end\n"
        ".globl phys_try_store_fail\n"
        ".type phys_try_store, @function\n"
        "phys_try_store:\n"
        "    cmpl $4, %edx\n"
        "    je 4f\n"
        "    ja 8f\n"
        "    cmpl $2, %edx\n"
        "    je 2f\n"
        "phys_try_store_begin:\n"
        "    movb %sil, (%rdi)\n"
        "    jmp 9f\n"
        "2:  movw %si, (%rdi)\n"
        "    jmp 9f\n"
        "4:  movl %esi, (%rdi)\n"
        "    jmp 9f\n"
        "8:  movq %rsi, (%rdi)\n"
        "phys_try_store_end:\n"
        "9:  movl $1, %eax\n"
        "    ret\n"
        "phys_try_store_fail:\n"
        "    xorl %eax, %eax\n"
        "    ret\n"
        ".size phys_try_store, . - phys_try_store\n");
