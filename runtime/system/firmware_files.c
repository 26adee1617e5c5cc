#define _GNU_SOURCE
#include "runtime/system/firmware_files.h"

#include <string.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "runtime/system/boot.h"
#include "runtime/system/memmap.h"

enum { SECTOR = 512 };

static const uint64_t bank_len = UINT64_C(32) << 20;

/* ---- Flash ---------------------------------------------------------------------------- */

/* Done when it returns. */
static int transfer(struct block *b, enum block_op op, uint8_t *bytes, uint64_t offset,
                    uint64_t len_bytes)
{
    const struct iovec iov = {bytes, len_bytes};
    struct block_request r = {
        .op = op, .offset = offset, .len = len_bytes, .iov = &iov, .n_iov = 1};

    block_submit(b, &r);
    CHECK(block_done(b) == &r && "a synchronous block is done at once");
    return r.error;
}

/* Where there is no file, the chips are as they leave the factory. */
static bool open_bank(struct firmware_files *f, const struct machine_config *cfg, unsigned n,
                      struct err *e)
{
    const struct flash_config *c = &cfg->flash[n];
    const struct block_config config = {.path = c->file.path,
                                        .read_only = c->file.read_only,
                                        .snapshot = c->file.snapshot || cfg->snapshot,
                                        .synchronous = true};
    uint8_t *bytes = f->flash + n * bank_len;
    int error;

    if (!c->given) {
        memset(bytes, 0xff, bank_len);
        return true;
    }
    f->bank[n] = block_open(&config, e);
    if (!f->bank[n])
        return err_prefix(e, "if=pflash");
    if (block_size(f->bank[n]) != bank_len)
        return err_set(e,
                       "if=pflash: %s has %llu bytes, a bank of flash has 32 MiB: truncate -s 32M "
                       "a copy of it",
                       c->file.path, (unsigned long long)block_size(f->bank[n]));
    error = transfer(f->bank[n], BLOCK_READ, bytes, 0, bank_len);
    return error == 0 || err_set(e, "if=pflash: cannot read %s: %s", c->file.path, strerror(error));
}

static bool open_flash(struct firmware_files *f, const struct machine_config *cfg, struct err *e)
{
    if (!config_has_flash(cfg))
        return true;
    f->flash = mmap(NULL, MEMMAP_flash_len, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (f->flash == MAP_FAILED) {
        f->flash = NULL;
        return err_set(e, "no memory for 64 MiB of flash");
    }
    for (unsigned n = 0; n < CONFIG_FLASH_BANKS; n++)
        if (!open_bank(f, cfg, n, e))
            return false;
    return true;
}

bool firmware_files_keep(struct firmware_files *f, unsigned bank, uint64_t offset,
                         uint64_t len_bytes)
{
    const uint64_t first = align_down(offset, SECTOR), end = align_up(offset + len_bytes, SECTOR);

    return !f->bank[bank] || transfer(f->bank[bank], BLOCK_WRITE,
                                      f->flash + bank * bank_len + first, first, end - first) == 0;
}

/* ---- Files ---------------------------------------------------------------------------- */

static bool open_file(struct firmware_files *f, struct firmware_file *out, const char *path,
                      struct err *e)
{
    struct boot_file *b = &f->opened[f->n_opened];

    CHECK(f->n_opened < sizeof f->opened / sizeof f->opened[0]);
    if (!boot_file_open(b, path, UINT32_MAX, e))
        return false;
    f->n_opened++;
    if (b->len > UINT32_MAX)
        return err_set(e, "%s: a firmware takes no file of 4 GiB or more", path);
    *out = (struct firmware_file){.data = b->data, .len = (uint32_t)b->len};
    return true;
}

static bool open_files(struct firmware_files *f, const struct machine_config *cfg, struct err *e)
{
    for (unsigned i = 0; i < cfg->n_fw_files; i++) {
        const struct fw_file_config *c = &cfg->fw_file[i];

        f->file[i] = (struct firmware_file){.data = (const uint8_t *)c->text,
                                            .len = (uint32_t)strlen(c->text)};
        if (c->path[0] != '\0' && !open_file(f, &f->file[i], c->path, e))
            return err_prefix(e, "-fw_cfg");
    }
    return true;
}

/* A text goes with its final zero, as from QEMU. */
static bool open_kernel(struct firmware_files *f, const struct machine_config *cfg, struct err *e)
{
    if (!boot_is_from_flash(cfg))
        return true;
    if (cfg->cmdline)
        f->cmdline = (struct firmware_file){.data = (const uint8_t *)cfg->cmdline,
                                            .len = (uint32_t)strlen(cfg->cmdline) + 1};
    return (!cfg->kernel || open_file(f, &f->kernel, cfg->kernel, e)) &&
           (!cfg->initrd || open_file(f, &f->initrd, cfg->initrd, e));
}

/* ---- Life ----------------------------------------------------------------------------- */

bool firmware_files_open(struct firmware_files *f, const struct machine_config *cfg, struct err *e)
{
    *f = (struct firmware_files){0};
    if (open_flash(f, cfg, e) && open_files(f, cfg, e) && open_kernel(f, cfg, e))
        return true;
    firmware_files_close(f);
    return false;
}

void firmware_files_close(struct firmware_files *f)
{
    for (unsigned i = 0; i < f->n_opened; i++)
        boot_file_close(&f->opened[i]);
    for (unsigned n = 0; n < CONFIG_FLASH_BANKS; n++)
        block_close(f->bank[n]);
    if (f->flash)
        munmap(f->flash, MEMMAP_flash_len);
    *f = (struct firmware_files){0};
}
