/* The built-in SBI: the debug console (DBCN), and the legacy calls 0 to 8 that
 * early consoles and teaching kernels use. */
#include "frontend/riscv/sys/sbi.h"

static void put(struct rv_hart *h, uint8_t byte)
{
    if (h->sbi)
        h->sbi->console_put(h->machine, byte);
}

static int get(struct rv_hart *h)
{
    return h->sbi ? h->sbi->console_get(h->machine) : -1;
}

/* ---- DBCN ------------------------------------------------------------------------ */

/* One call moves this much at most, so that the hart stays responsive: the
 * specification lets a call do less than it was asked. */
enum { DBCN_MAX_BYTES = 4096 };

static struct sbi_ret dbcn_write(struct rv_hart *h, const uint8_t *from, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        put(h, from[i]);
    return sbi_ok(len);
}

static struct sbi_ret dbcn_read(struct rv_hart *h, uint64_t gpa, uint8_t *to, uint64_t len)
{
    uint64_t n = 0;

    for (int byte; n < len && (byte = get(h)) >= 0; n++)
        to[n] = (uint8_t)byte;
    if (n > 0)
        h->sbi->wrote(h->machine, gpa, n);
    return sbi_ok(n);
}

/* arg: length, and the buffer's physical address in two halves, of which the
 * upper is beyond what 64 bits can name. */
static struct sbi_ret dbcn_buffer(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    uint64_t len = arg[0], gpa = arg[1];
    uint8_t *bytes;

    if (len == 0)
        return sbi_ok(0);
    bytes = h->sbi && arg[2] == 0 ? h->sbi->ram(h->machine, gpa, len) : NULL;
    if (!bytes)
        return sbi_err(SBI_INVALID_PARAM);
    len = len < DBCN_MAX_BYTES ? len : DBCN_MAX_BYTES;
    return fid == 0 ? dbcn_write(h, bytes, len) : dbcn_read(h, gpa, bytes, len);
}

struct sbi_ret sbi_dbcn(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    switch (fid) {
    case 0:
    case 1: return dbcn_buffer(h, fid, arg);
    case 2: put(h, (uint8_t)arg[0]); return sbi_ok(0);
    default: return sbi_err(SBI_NOT_SUPPORTED);
    }
}

/* ---- Legacy ---------------------------------------------------------------------- */

/* The hart mask lies in the caller's virtual memory; NULL: all harts. Read through
 * the walk, since a fault here is the call's failure and no trap. Harts that do not exist
 * are nobody. */
static bool legacy_mask(struct rv_hart *h, uint64_t gva, uint64_t *harts)
{
    struct mmu_map map;
    struct mmu_fault fault;
    bool whole_page;

    *harts = UINT64_MAX >> (64 - rv_n_harts(h));
    if (gva == 0)
        return true;
    uint64_t mask;

    if (gva & 7)
        return false;
    if (!rv_walk(&h->s, gva, MMU_LOAD, rv_data_rights(h), &map, &fault) || !map.read ||
        !rv_pmp_allowed(&h->s, map.gpa, 8, MMU_LOAD, RV_S, &whole_page) ||
        !mmu_phys_load64(&h->s, map.gpa, &mask))
        return false;
    *harts &= mask;
    return true;
}

static int64_t legacy_ipi(struct rv_hart *h, uint64_t mask_gva)
{
    uint64_t harts;

    if (!legacy_mask(h, mask_gva, &harts))
        return SBI_INVALID_ADDRESS;
    rv_send_ipi(h, harts);
    return 0;
}

static int64_t legacy_fence(struct rv_hart *h, uint64_t mask_gva, const struct rv_fence *fence)
{
    uint64_t harts;

    if (!legacy_mask(h, mask_gva, &harts))
        return SBI_INVALID_ADDRESS;
    rv_send_fence(h, harts, fence);
    return 0;
}

static int64_t legacy_sfence(struct rv_hart *h, const uint64_t *arg, bool all_asid)
{
    const struct rv_fence fence = {
        .start = arg[1], .len = arg[2], .all_asid = all_asid, .asid = (uint16_t)arg[3]};

    return legacy_fence(h, arg[0], &fence);
}

int64_t sbi_legacy(struct rv_hart *h, uint64_t eid, const uint64_t *arg)
{
    switch (eid) {
    case 0: sbi_set_timer(h, arg[0]); return 0;
    case 1: put(h, (uint8_t)arg[0]); return 0;
    case 2: return get(h);
    case 3: rv_set_mip(h, RV_SSI, false); return 0;
    case 4: return legacy_ipi(h, arg[0]);
    case 5: return legacy_fence(h, arg[0], NULL);
    case 6:
    case 7: return legacy_sfence(h, arg, eid == 6);
    default: /* 8 */ sbi_reset(h, 0, 0); return 0;
    }
}
