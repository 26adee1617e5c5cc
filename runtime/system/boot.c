#define _GNU_SOURCE
#include "runtime/system/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "dbt/base/bits.h"
#include "dbt/base/pages.h"
#include "runtime/system/boot_image.h"
#include "runtime/system/memmap.h"

#define MIB (UINT64_C(1) << 20)

/* Where Debian's package `u-boot-qemu` puts the one for S mode. */
static const char uboot_path[] = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin";

enum {
    /* RISC-V Linux keeps this much, with the final zero, and drops the rest
     * silently (COMMAND_LINE_SIZE). */
    CMDLINE_ROOM = 1024,
    /* Behind the device tree: OpenSBI and U-Boot make it longer in place. */
    DTB_SLACK = 64 * 1024,
    FW_INFO_ROOM = 4096,
};

/* ---- Parts ---------------------------------------------------------------------------- */

bool boot_add_part(struct boot_plan *p, const char *name, uint64_t gpa, uint64_t len_bytes,
                   const void *data, size_t data_len, struct err *e)
{
    uint64_t offset = gpa - MEMMAP_ram_gpa;

    if (gpa < MEMMAP_ram_gpa || offset >= p->cfg->ram_len || len_bytes > p->cfg->ram_len - offset)
        return err_set(e,
                       "%s does not fit into RAM: it takes %llu bytes from %#llx, RAM has %llu "
                       "MiB from %#llx; give more with -m",
                       name, (unsigned long long)len_bytes, (unsigned long long)gpa,
                       (unsigned long long)(p->cfg->ram_len / MIB),
                       (unsigned long long)MEMMAP_ram_gpa);
    if (p->n_parts == BOOT_MAX_PARTS)
        return err_set(e, "%s has too many segments: at most %d are loaded", name, BOOT_MAX_PARTS);
    p->part[p->n_parts++] = (struct boot_part){
        .gpa = gpa, .len_bytes = len_bytes, .data = data, .data_len = data_len, .name = name};
    return true;
}

static bool overlap(const struct boot_part *a, const struct boot_part *b)
{
    return a->gpa < b->gpa + b->len_bytes && b->gpa < a->gpa + a->len_bytes;
}

static bool check_overlaps(const struct boot_plan *p, struct err *e)
{
    for (unsigned i = 0; i < p->n_parts; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct boot_part *a = &p->part[j], *b = &p->part[i];

            if (overlap(a, b))
                return err_set(e,
                               "%s (%#llx to %#llx) overlaps %s (%#llx to %#llx); RAM has %llu "
                               "MiB (-m)",
                               b->name, (unsigned long long)b->gpa,
                               (unsigned long long)(b->gpa + b->len_bytes), a->name,
                               (unsigned long long)a->gpa,
                               (unsigned long long)(a->gpa + a->len_bytes),
                               (unsigned long long)(p->cfg->ram_len / MIB));
        }
    }
    return true;
}

bool boot_keep_file(struct boot_plan *p, const char *path, struct boot_file *out, struct err *e)
{
    CHECK(p->n_files < BOOT_MAX_FILES);
    if (!boot_file_open(&p->file[p->n_files], path, p->cfg->ram_len, e))
        return false;
    *out = p->file[p->n_files++];
    return true;
}

/* ---- What runs, and in which mode ------------------------------------------------------- */

static bool has_suffix(const char *path, const char *suffix)
{
    size_t len = strlen(path), n = strlen(suffix);

    return len > n && strcmp(path + len - n, suffix) == 0;
}

/* S mode under a firmware, or M mode without one? */
static bool wants_supervisor(const struct boot_plan *p, const struct boot_image *img)
{
    const struct machine_config *cfg = p->cfg;

    if (cfg->as != AS_AUTO)
        return cfg->as == AS_SUPERVISOR;
    if (cfg->firmware != FIRMWARE_AUTO)
        return cfg->firmware != FIRMWARE_NONE;
    if (img->kind == IMAGE_ELF)
        return img->tohost_gpa == 0 && img->entry != MEMMAP_ram_gpa;
    return img->kind == IMAGE_LINUX || cfg->kernel != NULL || img->file.path == uboot_path;
}

static bool choose_firmware(struct boot_plan *p, bool supervisor, struct err *e)
{
    enum firmware asked = p->cfg->firmware;

    if (supervisor && asked == FIRMWARE_NONE)
        return err_set(e, "--as supervisor needs a firmware below it; leave out --firmware none");
    if (!supervisor && asked != FIRMWARE_AUTO && asked != FIRMWARE_NONE)
        return err_set(e, "--as machine runs without a firmware; leave out --firmware");
    p->firmware = asked != FIRMWARE_AUTO ? asked : supervisor ? FIRMWARE_BUILTIN : FIRMWARE_NONE;
    return true;
}

/* Unknown bytes are code only when somebody says so: the name, or the option. */
static bool place_unknown(struct boot_plan *p, struct boot_image *img, struct err *e)
{
    const struct boot_file *f = &img->file;
    bool said = p->cfg->kernel || f->path == uboot_path || p->cfg->as != AS_AUTO ||
                has_suffix(f->path, ".bin");
    uint64_t gpa = MEMMAP_ram_gpa + (p->firmware == FIRMWARE_NONE ? 0 : 2 * MIB);

    if (!said)
        return err_set(e,
                       "%s is nothing I know: neither a Linux Image nor an ELF file; if it is a "
                       "flat binary, say so with --as machine or --as supervisor",
                       f->path);
    return image_place_flat(p, img, gpa, e);
}

static bool place_payload(struct boot_plan *p, struct boot_image *img, const char *path,
                          struct err *e)
{
    if (!image_open(p, img, path, e))
        return false;
    if (img->kind == IMAGE_ELF && !elf_place(p, img, e))
        return false;
    if (!choose_firmware(p, wants_supervisor(p, img), e))
        return false;
    if (!signature_find(p, img, e))
        return false;
    p->tohost_gpa = img->tohost_gpa;
    p->fromhost_gpa = img->fromhost_gpa;
    if (img->kind == IMAGE_LINUX)
        return image_place_linux(p, img, e);
    return img->kind == IMAGE_ELF || place_unknown(p, img, e);
}

bool boot_is_from_flash(const struct machine_config *cfg)
{
    return cfg->flash[0].given;
}

bool boot_is_from_disk(const struct machine_config *cfg)
{
    bool has_disk = false;

    for (unsigned i = 0; i < cfg->n_virtio; i++)
        has_disk |= cfg->virtio[i].kind == VIRTIO_KIND_BLK;
    /* The user's firmware may know what to do with a disk. */
    return has_disk && !cfg->kernel && !cfg->image && cfg->firmware != FIRMWARE_FILE &&
           !boot_is_from_flash(cfg);
}

static const char *what_runs(const struct machine_config *cfg)
{
    if (boot_is_from_flash(cfg))
        return NULL;
    if (boot_is_from_disk(cfg))
        return uboot_path;
    return cfg->kernel ? cfg->kernel : cfg->image;
}

static bool say_uboot(struct err *e)
{
    strncat(e->text, " (it boots disks: apt install u-boot-qemu, or give a -kernel)",
            sizeof e->text - strlen(e->text) - 1);
    return false;
}

/* The flash holds code, whatever its bytes are; it is not loaded. */
static bool place_flash(struct boot_plan *p, struct boot_image *payload, struct err *e)
{
    const struct machine_config *cfg = p->cfg;

    if (cfg->image)
        return err_set(e, "both the firmware in flash and %s are given: one thing to run, please",
                       cfg->image);
    payload->entry = MEMMAP_flash_gpa;
    return choose_firmware(p, cfg->as != AS_MACHINE && cfg->firmware != FIRMWARE_NONE, e);
}

/* The payload, if there is one, and the firmware below it. */
static bool place_code(struct boot_plan *p, struct err *e)
{
    const struct machine_config *cfg = p->cfg;
    const char *path = what_runs(cfg);
    struct boot_image payload = {0}, firmware = {0};

    p->firmware = cfg->firmware;
    if (cfg->kernel && cfg->image)
        return err_set(e, "both -kernel %s and %s are given: one thing to run, please", cfg->kernel,
                       cfg->image);
    if (boot_is_from_flash(cfg) && !place_flash(p, &payload, e))
        return false;
    if (!path && !boot_is_from_flash(cfg) &&
        (cfg->firmware != FIRMWARE_FILE || cfg->cmdline || cfg->initrd || cfg->signature))
        return err_set(e, "nothing to run: give a kernel or a program; see dbt-run --help");
    if (path && !place_payload(p, &payload, path, e))
        return path == uboot_path ? say_uboot(e) : false;
    p->pc = payload.entry;
    p->supervisor = p->firmware == FIRMWARE_BUILTIN;
    if (p->firmware == FIRMWARE_BUILTIN || p->firmware == FIRMWARE_NONE)
        return true;
    firmware_info(p, payload.entry);
    if (!firmware_place(p, &firmware, e))
        return false;
    p->pc = firmware.entry;
    return true;
}

/* ---- What lies beside it ------------------------------------------------------------------ */

static uint64_t end_of_parts(const struct boot_plan *p)
{
    uint64_t end = MEMMAP_ram_gpa;

    for (unsigned i = 0; i < p->n_parts; i++)
        if (p->part[i].gpa + p->part[i].len_bytes > end)
            end = p->part[i].gpa + p->part[i].len_bytes;
    return end;
}

static bool place_initrd(struct boot_plan *p, struct fdt_chosen *chosen, struct err *e)
{
    struct boot_file f;

    if (!p->cfg->initrd || boot_is_from_flash(p->cfg))
        return true;
    if (!boot_keep_file(p, p->cfg->initrd, &f, e))
        return false;
    chosen->initrd_gpa = align_up(end_of_parts(p), 2 * MIB);
    chosen->initrd_len = f.len;
    return boot_add_part(p, f.path, chosen->initrd_gpa, f.len, f.data, f.len, e);
}

static bool make_dtb(struct boot_plan *p, const struct fdt_chosen *chosen, struct err *e)
{
    struct boot_file f;

    if (!p->cfg->dtb)
        return fdt_build(&p->dtb, p->cfg, &p->announced, chosen, e);
    return boot_keep_file(p, p->cfg->dtb, &f, e) &&
           fdt_adopt(&p->dtb, f.data, f.len, f.path, chosen, e);
}

/* High, but below 3 GiB, as QEMU does it, for firmwares that count in 32 bits. If
 * that is taken, or RAM too small for such alignment, at the very end. */
static bool place_dtb(struct boot_plan *p, struct err *e)
{
    const char *name = p->cfg->dtb ? p->cfg->dtb : "the device tree";
    uint64_t room = align_up(p->dtb.len_bytes, 8) + DTB_SLACK;
    uint64_t end = MEMMAP_ram_gpa + p->cfg->ram_len, gpa;

    if (room + FW_INFO_ROOM > p->cfg->ram_len)
        return err_set(e, "%s (%zu bytes) does not fit into RAM; give more with -m", name,
                       p->dtb.len_bytes);
    gpa = align_down((end < 3072 * MIB ? end : 3072 * MIB) - room, 2 * MIB);
    if (gpa < end_of_parts(p) + FW_INFO_ROOM)
        gpa = align_down(end - room, 4096);
    p->a0 = 0;
    p->a1 = gpa;
    p->a2 = p->supervisor ? 0 : gpa - FW_INFO_ROOM;
    return boot_add_part(p, "the firmware's parameters", gpa - FW_INFO_ROOM, sizeof p->fw_info,
                         p->fw_info, sizeof p->fw_info, e) &&
           boot_add_part(p, name, gpa, room, p->dtb.data, p->dtb.len_bytes, e);
}

/* The randomness that a kernel starts from: the same each time if the run is to
 * be repeatable. */
static void seed(uint8_t *out, size_t len, bool fixed)
{
    if (fixed || getrandom(out, len, 0) != (ssize_t)len)
        for (size_t i = 0; i < len; i++)
            out[i] = (uint8_t)(i * 167 + 13);
}

static bool make_plan(struct boot_plan *p, struct err *e)
{
    struct fdt_chosen chosen = {.cmdline = p->cfg->cmdline};

    if (chosen.cmdline && strlen(chosen.cmdline) >= CMDLINE_ROOM)
        return err_set(e, "-append: the command line has %zu characters; a kernel takes %d",
                       strlen(chosen.cmdline), CMDLINE_ROOM - 1);
    seed(chosen.rng_seed, sizeof chosen.rng_seed, p->cfg->fixed_seed);
    if (!place_code(p, e) || !place_initrd(p, &chosen, e))
        return false;
    p->announced = firmware_announces(p->firmware, &p->cfg->model);
    return make_dtb(p, &chosen, e) && place_dtb(p, e) && check_overlaps(p, e);
}

/* ---- The door ------------------------------------------------------------------------------ */

static void close_files(struct boot_plan *p)
{
    for (unsigned i = 0; i < p->n_files; i++)
        boot_file_close(&p->file[i]);
    p->n_files = 0;
}

bool boot_plan(struct boot_plan *p, const struct machine_config *cfg, struct err *e)
{
    *p = (struct boot_plan){.cfg = cfg};
    if (make_plan(p, e))
        return true;
    boot_plan_fini(p);
    return false;
}

void boot_plan_fini(struct boot_plan *p)
{
    close_files(p);
    fdt_blob_fini(&p->dtb);
    *p = (struct boot_plan){0};
}

void boot_commit(struct boot_plan *p, struct phys *phys)
{
    for (unsigned i = 0; i < p->n_parts; i++) {
        const struct boot_part *part = &p->part[i];

        CHECK(phys_is_ram(phys, part->gpa, part->len_bytes));
        phys_back(phys, part->gpa, part->data_len);
        pages_give(phys_ptr(phys, part->gpa), part->data_len, PAGES_WRITTEN);
        memcpy(phys_ptr(phys, part->gpa), part->data, part->data_len);
    }
    p->n_parts = 0;
    close_files(p);
    phys_unmap_plain(phys);
}

bool boot_dump_dtb(const struct boot_plan *p, const char *path, struct err *e)
{
    FILE *f = fopen(path, "wb");
    bool ok;

    if (!f)
        return err_set(e, "cannot write %s: %s", path, strerror(errno));
    ok = fwrite(p->dtb.data, 1, p->dtb.len_bytes, f) == p->dtb.len_bytes;
    if (fclose(f) != 0 || !ok)
        return err_set(e, "cannot write %s: %s", path, strerror(errno));
    return true;
}
