#include "runtime/system/boot_image.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dbt/base/bits.h"
#include "runtime/system/memmap.h"

#define AS_DRIVE "give it as --drive file=FILE, beside a -kernel"

static const struct {
    uint32_t offset;
    uint32_t len;
    const char *bytes;
    enum image_kind kind;
    const char *what;
    const char *advice;
} rows[] = {
#define BLOCK_FORMAT(name, offset, bytes, what)                                                    \
    {offset, sizeof bytes - 1, bytes, IMAGE_DISK, what, AS_DRIVE},
#include "devices/host/block_format.def"
#undef BLOCK_FORMAT
#define IMAGE_MAGIC(offset, bytes, kind, what, advice)                                             \
    {offset, sizeof bytes - 1, bytes, IMAGE_##kind, what, advice},
#include "runtime/system/boot_image.def"
#undef IMAGE_MAGIC
};

static uint64_t le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static bool is_refused(enum image_kind kind)
{
    return kind == IMAGE_REFUSED || kind == IMAGE_FORMAT || kind == IMAGE_DISK;
}

static bool matches(const struct boot_file *f, unsigned i)
{
    return rows[i].len > 0 && f->len >= rows[i].offset + rows[i].len &&
           memcmp(f->data + rows[i].offset, rows[i].bytes, rows[i].len) == 0;
}

/* Who says --as of a thing that we take for something else is believed: a flat
 * binary may hold any bytes. */
static bool detect(const struct boot_plan *p, struct boot_image *img, struct err *e)
{
    const struct boot_file *f = &img->file;

    img->kind = IMAGE_UNKNOWN;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!matches(f, i))
            continue;
        img->kind = rows[i].kind;
        if (is_refused(img->kind) && p->cfg->as != AS_AUTO)
            img->kind = IMAGE_UNKNOWN;
        if (is_refused(img->kind))
            return err_set(e, "%s is %s: %s", f->path, rows[i].what, rows[i].advice);
        return true;
    }
    return true;
}

/* ---- Disks -------------------------------------------------------------------------- */

/* The row that the file's first bytes match, or -1; also when it cannot be read, which others
 * then say. A pipe is no disk, and would be emptied. */
static int find_row(const char *path)
{
    struct boot_file f;
    struct stat st;
    struct err e;
    int found = -1;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || !boot_file_open(&f, path, 0, &e))
        return -1;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0] && found < 0; i++)
        if (matches(&f, i))
            found = (int)i;
    boot_file_close(&f);
    return found;
}

enum disk_kind image_disk_kind(const char *path)
{
    int i = find_row(path);

    if (i < 0)
        return DISK_OTHER;
    switch (rows[i].kind) {
    case IMAGE_DISK: return DISK_PARTITIONED;
    case IMAGE_FORMAT:
    case IMAGE_GZIP:
    case IMAGE_ZSTD: return DISK_FORMAT;
    default: return DISK_OTHER;
    }
}

bool image_refuse_format(const char *path, struct err *e)
{
    int i = find_row(path);
    const char *what = i < 0 ? "of an unknown format" : rows[i].what;
    const char *advice = i < 0 || rows[i].advice[0] == '\0' ? "unpack it first" : rows[i].advice;

    return err_set(e, "%s is %s: %s (format=raw takes its bytes as they are)", path, what, advice);
}

/* ---- Packed kernels ------------------------------------------------------------------ */

/* An EFI zboot kernel: a small program and behind it, at the offset and of the
 * length in its header, the packed Image. */
static bool zboot_payload(const struct boot_file *f, enum boot_packing *packing, uint64_t *offset,
                          uint64_t *len, struct err *e)
{
    char type[9] = {0};

    if (f->len < 0x40)
        return err_set(e, "%s: truncated EFI zboot kernel", f->path);
    *offset = le(f->data + 8, 4);
    *len = le(f->data + 12, 4);
    memcpy(type, f->data + 24, 8);
    if (*offset > f->len || *len > f->len - *offset)
        return err_set(e, "%s: truncated EFI zboot kernel: its payload ends at %llu of %zu bytes",
                       f->path, (unsigned long long)(*offset + *len), f->len);
    if (strcmp(type, "gzip") != 0 && strncmp(type, "zstd", 4) != 0) {
        for (char *c = type; *c; c++)
            *c = isprint((unsigned char)*c) ? *c : '?';
        return err_set(e, "%s: EFI zboot kernel packed with '%s'; gzip and zstd are known", f->path,
                       type);
    }
    *packing = type[0] == 'g' ? PACKED_GZIP : PACKED_ZSTD;
    return true;
}

static bool unpack(struct boot_plan *p, struct boot_image *img, struct err *e)
{
    const struct boot_file *f = &img->file;
    enum boot_packing packing = img->kind == IMAGE_ZSTD ? PACKED_ZSTD : PACKED_GZIP;
    uint64_t offset = 0, len = f->len;
    struct boot_file *out;

    if (img->kind == IMAGE_ZBOOT && !zboot_payload(f, &packing, &offset, &len, e))
        return false;
    CHECK(p->n_files < BOOT_MAX_FILES);
    out = &p->file[p->n_files];
    if (!boot_unpack(out, f->path, packing, f->data + offset, len, p->cfg->ram_len, e))
        return false;
    p->n_files++;
    img->file = *out;
    return detect(p, img, e);
}

bool image_open(struct boot_plan *p, struct boot_image *img, const char *path, struct err *e)
{
    *img = (struct boot_image){0};
    if (!boot_keep_file(p, path, &img->file, e) || !detect(p, img, e))
        return false;
    /* A zboot kernel may itself be packed for transport; nothing else nests. */
    for (unsigned depth = 0; depth < 2; depth++)
        if (img->kind == IMAGE_GZIP || img->kind == IMAGE_ZSTD || img->kind == IMAGE_ZBOOT)
            if (!unpack(p, img, e))
                return false;
    if (img->kind == IMAGE_GZIP || img->kind == IMAGE_ZSTD || img->kind == IMAGE_ZBOOT)
        return err_set(e, "%s is packed three times over; unpack it first", path);
    return true;
}

/* ---- Linux Images ---------------------------------------------------------------------- */

enum { /* Documentation/arch/riscv/boot-image-header.rst */
       HEADER_LEN = 64,
       TEXT_OFFSET = 8,
       IMAGE_SIZE = 16,
       FLAGS = 24,
       PE_OFFSET = 60,
       FLAG_BIG_ENDIAN = 1,
};

/* The header does not say how long the file is (image_size counts .bss). An Image
 * with an EFI stub is also a PE program, whose section table does. 0: unknown. */
static uint64_t pe_file_len(const struct boot_file *f)
{
    uint64_t pe = le(f->data + PE_OFFSET, 4), sections, n, end = 0;

    if (f->data[0] != 'M' || f->data[1] != 'Z')
        return 0;
    if (pe + 24 > f->len)
        return pe + 24;
    if (memcmp(f->data + pe, "PE\0\0", 4) != 0)
        return 0;
    n = le(f->data + pe + 6, 2);
    sections = pe + 24 + le(f->data + pe + 20, 2);
    if (sections + 40 * n > f->len)
        return sections + 40 * n;
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *s = f->data + sections + 40 * i;
        uint64_t section_end = le(s + 16, 4) + le(s + 20, 4);

        end = section_end > end ? section_end : end;
    }
    return end;
}

bool image_place_linux(struct boot_plan *p, struct boot_image *img, struct err *e)
{
    const struct boot_file *f = &img->file;
    uint64_t text_offset, len, want;

    if (f->len < HEADER_LEN)
        return err_set(e, "%s: truncated Linux Image: it ends in its header", f->path);
    text_offset = le(f->data + TEXT_OFFSET, 8);
    len = le(f->data + IMAGE_SIZE, 8);
    want = pe_file_len(f);
    if (le(f->data + FLAGS, 8) & FLAG_BIG_ENDIAN)
        return err_set(e, "%s is a big-endian Linux Image; this machine is little-endian", f->path);
    if (want > f->len)
        return err_set(e, "%s: truncated Linux Image: %zu bytes of %llu", f->path, f->len,
                       (unsigned long long)want);
    if (text_offset % 4096 != 0)
        return err_set(e, "%s: damaged Linux Image: text offset %#llx", f->path,
                       (unsigned long long)text_offset);
    /* A kernel for M mode says 0 and may have it; one for S mode leaves room below
     * for its firmware. */
    if (text_offset == 0 && p->firmware != FIRMWARE_NONE)
        text_offset = 2 << 20;
    len = len > f->len ? len : f->len;
    img->entry = img->low = MEMMAP_ram_gpa + text_offset;
    img->high = img->low + len;
    return boot_add_part(p, f->path, img->low, len, f->data, f->len, e);
}

bool image_place_flat(struct boot_plan *p, struct boot_image *img, uint64_t gpa, struct err *e)
{
    const struct boot_file *f = &img->file;

    img->entry = img->low = gpa;
    img->high = gpa + f->len;
    return boot_add_part(p, f->path, gpa, f->len, f->data, f->len, e);
}
