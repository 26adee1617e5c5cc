/* From the command line's file names to a guest in RAM. First everything is read,
 * checked and given its place (boot_plan), and only then written (boot_commit):
 * a bad input leaves nothing half-done.
 *
 *   RAM  +0       +2 MiB                                              3 GiB or the end
 *        |firmware|kernel ... its .bss|  |initrd|      ...   |fw_dynamic_info|device tree|
 *        or a bare-metal program
 */
#pragma once

#include "runtime/system/boot_file.h"
#include "runtime/system/config.h"
#include "runtime/system/fdt.h"
#include "softmmu/phys.h"

enum { BOOT_MAX_PARTS = 72, BOOT_MAX_FILES = 8 };

/* One range of RAM: data_len bytes, then zeros (which RAM holds already). */
struct boot_part {
    uint64_t gpa, len_bytes;
    const void *data;
    size_t data_len;
    const char *name; /* for messages; borrowed */
};

struct boot_plan {
    const struct machine_config *cfg; /* borrowed */
    enum firmware firmware;           /* never FIRMWARE_AUTO */
    struct rv_cpu_model announced;    /* what the device tree says: the model, cut to
                                       * what the firmware enables */

    /* The boot hart: where it starts, in S mode under the built-in SBI, else in M. */
    bool supervisor;
    uint64_t pc, a0, a1, a2;

    uint64_t tohost_gpa, fromhost_gpa; /* 0: none */
    uint64_t signature_gpa, signature_len;

    struct boot_part part[BOOT_MAX_PARTS];
    unsigned n_parts;
    struct boot_file file[BOOT_MAX_FILES];
    unsigned n_files;
    struct fdt_blob dtb;
    uint64_t fw_info[6]; /* struct fw_dynamic_info */
};

/* ---- Before the hart runs ------------------------------------------------------ */

/* Is there flash memory with a firmware in it? Then that runs, in S mode unless there is no
 * firmware below, and finds a kernel by fw_cfg. */
bool boot_is_from_flash(const struct machine_config *cfg);

/* Is there a disk and nothing else to run? Then what runs is U-Boot, which boots from it. */
bool boot_is_from_disk(const struct machine_config *cfg);

/* Nothing to give back when it returns false. */
bool boot_plan(struct boot_plan *p, const struct machine_config *cfg, struct err *e) MUST_CHECK;
void boot_plan_fini(struct boot_plan *p);

/* Copies the parts, once, and lets go of the files: a kernel should not be in host
 * memory twice. RAM is what cfg->ram_len says, and zero. */
void boot_commit(struct boot_plan *p, struct phys *phys);

/* --dump-dtb: writes the device tree that the guest would get. */
bool boot_dump_dtb(const struct boot_plan *p, const char *path, struct err *e) MUST_CHECK;
