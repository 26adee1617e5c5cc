/* snapshot=on: what the guest writes lies in a temporary file at the same offsets, and a map says
 * which sectors. The map is address space that the host fills as it is touched: 256 MiB of it for
 * a terabyte. Data is written before its bits are set, and read after they were read; requests
 * that overlap in time have no order anyway. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "devices/host/block_private.h"

enum { SECTOR = 512 };

bool block_overlay_open(struct block_overlay *o, uint64_t size, struct err *e)
{
    void *map;

    *o = (struct block_overlay){.map_bytes = align_up(size / SECTOR, 64) / 8};
    if (!block_file_temporary(&o->changes, size, e))
        return false;
    map = mmap(NULL, o->map_bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        err_set(e, "no memory for the map of snapshot=on: %s", strerror(errno));
        o->changes.base.ops->close(&o->changes.base);
        return false;
    }
    o->changed = map;
    return true;
}

void block_overlay_close(struct block_overlay *o)
{
    munmap((void *)o->changed, o->map_bytes);
    o->changes.base.ops->close(&o->changes.base);
}

static bool is_changed(const struct block_overlay *o, uint64_t sector)
{
    return (atomic_load(&o->changed[sector / 64]) >> (sector % 64) & 1) != 0;
}

static void mark(struct block_overlay *o, uint64_t offset, uint64_t len_bytes)
{
    for (uint64_t s = offset / SECTOR; s < (offset + len_bytes) / SECTOR; s++)
        if (!is_changed(o, s))
            atomic_fetch_or(&o->changed[s / 64], bit(s % 64));
}

/* How many bytes from offset, len at most, come from the same file: which one, *changed says. The
 * bits are read once, for another request may be setting them. */
static uint64_t run(const struct block_overlay *o, uint64_t offset, uint64_t len_bytes,
                    bool *changed)
{
    uint64_t n = SECTOR;

    *changed = is_changed(o, offset / SECTOR);
    while (n < len_bytes && is_changed(o, (offset + n) / SECTOR) == *changed)
        n += SECTOR;
    return n;
}

/* Reads into the first len bytes of *iov; they are used up. */
static int read_part(struct block_base *from, struct iovec **iov, unsigned *n, uint64_t offset,
                     uint64_t len_bytes)
{
    struct iovec part[IOV_MAX];
    uint64_t left = len_bytes;
    unsigned n_part = 0;
    int error;

    for (; left > 0; n_part++) {
        part[n_part] = (*iov)[n_part];
        if (part[n_part].iov_len > left)
            part[n_part].iov_len = left;
        left -= part[n_part].iov_len;
    }
    error = from->ops->read(from, part, n_part, offset);
    block_advance(iov, n, len_bytes);
    return error;
}

int block_overlay_read(struct block_overlay *o, struct block_base *base, struct iovec *iov,
                       unsigned n, uint64_t offset, uint64_t len_bytes)
{
    while (len_bytes > 0) {
        bool changed;
        uint64_t part = run(o, offset, len_bytes, &changed);
        struct block_base *from = changed ? &o->changes.base : base;
        int error = part == len_bytes ? from->ops->read(from, iov, n, offset)
                                      : read_part(from, &iov, &n, offset, part);

        if (error)
            return error;
        offset += part;
        len_bytes -= part;
    }
    return 0;
}

int block_overlay_write(struct block_overlay *o, struct iovec *iov, unsigned n, uint64_t offset,
                        uint64_t len_bytes)
{
    int error = o->changes.base.ops->write(&o->changes.base, iov, n, offset);

    if (!error)
        mark(o, offset, len_bytes);
    return error;
}

int block_overlay_zero(struct block_overlay *o, uint64_t offset, uint64_t len_bytes)
{
    int error = o->changes.base.ops->zero(&o->changes.base, offset, len_bytes, true);

    if (!error)
        mark(o, offset, len_bytes);
    return error;
}
