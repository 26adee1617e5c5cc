/* What the host has for a firmware: the flash memory's files, and those that it asks for by fw_cfg.
 * They are opened once for a run of dbt-run: a guest that resets finds its flash as it left it. */
#pragma once

#include "devices/host/block.h"
#include "runtime/system/boot_file.h"
#include "runtime/system/config.h"

struct firmware_file {
    const uint8_t *data; /* NULL: it is not there, and len is 0 */
    uint32_t len;
};

struct firmware_files {
    uint8_t *flash;                         /* the banks, one after the other; NULL: no flash */
    struct block *bank[CONFIG_FLASH_BANKS]; /* NULL: what is written to it is lost at the end */
    struct firmware_file file[CONFIG_MAX_FW_FILES]; /* cfg->fw_file[i] */
    struct firmware_file kernel, initrd, cmdline;   /* if a firmware in flash is to boot them */
    struct boot_file opened[CONFIG_MAX_FW_FILES + 2];
    unsigned n_opened;
};

/* ---- The main thread --------------------------------------------------------------- */

/* Nothing to give back when it returns false. */
bool firmware_files_open(struct firmware_files *f, const struct machine_config *cfg,
                         struct err *e) MUST_CHECK;
void firmware_files_close(struct firmware_files *f);

/* ---- Any thread, one at a time for a bank ------------------------------------------- */

/* Writes bytes of a bank to its file. False: the host could not. */
bool firmware_files_keep(struct firmware_files *f, unsigned bank, uint64_t offset,
                         uint64_t len_bytes);
